//! What an operator sees of a region group.

use serde::Serialize;

use super::protocol::{LastError, Position, Switch};
use super::region::Target;
use super::{Breaker, Figures, Policy, Region, TargetId};
use crate::units::UnixMillis;

/// All targets of a region group and all decisions of the operator that hold.
#[derive(Debug, Serialize)]
pub struct Overview<'r> {
    /// In the order of their names.
    pub targets: Vec<Shown<'r>>,
    /// In the order of their subjects.
    pub switches: Vec<&'r Switch>,
    /// Repetitions on failing targets that the budgets of the isolates refused, all told.
    pub retries_refused: u64,
}

/// One target.
#[derive(Debug, Serialize)]
pub struct Shown<'r> {
    target: &'r TargetId,
    /// `passing`, `blocking` or `probing`.
    state: &'static str,
    since: Option<UnixMillis>,
    /// The end of the block, or when the probe is taken back.
    until: Option<UnixMillis>,
    trips: u32,
    failures_in_a_row: u32,
    /// What blocked it last.
    tripped_by: Option<&'r str>,
    /// What the operator decided.
    switch: Option<Position>,
    /// Of the window.
    calls: Calls,
    figures: Figures,
    last_errors: &'r [LastError],
    /// When an isolate last reported of it.
    reported_at: UnixMillis,
}

#[derive(Debug, Serialize)]
struct Calls {
    served: u32,
    failed: u32,
    poor: u32,
}

impl Region {
    /// What an operator sees.
    #[must_use]
    pub fn overview(&self, now: UnixMillis) -> Overview<'_> {
        let targets = self.targets.iter().map(|(id, target)| {
            let switch = self.switch(id.as_str(), now).map(|switch| switch.position);
            target.shown(id, switch, &self.policy, now)
        });
        let switches = self.switches.holding(now);
        Overview { targets: targets.collect(), switches: switches.collect(), retries_refused: self.refused_retries }
    }
}

impl Target {
    fn shown<'r>(&'r self, id: &'r TargetId, switch: Option<Position>, policy: &Policy, now: UnixMillis) -> Shown<'r> {
        let breaker = self.health.breaker;
        let (served, failed, poor) = self.health.window.sums(policy.window, now);
        let (state, until, failures_in_a_row) = match breaker {
            Breaker::Passing { failures, .. } => ("passing", None, failures),
            Breaker::Blocking { until, .. } => ("blocking", Some(until), 0),
            Breaker::Probing { until, .. } => ("probing", Some(until), 0),
        };
        Shown {
            target: id,
            state,
            since: Some(breaker.since()).filter(|since| since.0 > 0),
            until,
            trips: breaker.trips(),
            failures_in_a_row,
            tripped_by: self.tripped_by.as_deref(),
            switch,
            calls: Calls { served, failed, poor },
            figures: self.figures(policy, now),
            last_errors: &self.errors,
            reported_at: self.used,
        }
    }
}
