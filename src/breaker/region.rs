use serde::Serialize;

use super::chance::next;
use super::protocol::{Batch, LastError, News, OLDEST, PROTOCOL, Position, Probed, Reply, Report, Switch};
use super::{Breaker, Figures, Headroom, Health, Permit, Policy, SlidingSketch, Switches, Tally, TargetId, target};
use crate::json::{readable, words};
use crate::sorted::{self, SortedMap};
use crate::units::{Millis, UnixMillis};

/// So many targets are followed; passing ones that were called longest ago make room.
const MOST_TARGETS: usize = 512;
/// So many isolates are remembered, so that no batch counts twice.
const MOST_ISOLATES: usize = 1_024;
/// So many transitions wait to be written to the audit trail; the log has all.
const MOST_WAITING: usize = 512;
/// So many last errors of a target.
const MOST_ERRORS: usize = 5;
/// Reports and questions in one batch.
const MOST_REPORTS: usize = 600;
/// How often the state is written where no breaker changes. A minute.
const CHECKPOINT: Millis = Millis(60_000);
/// How much one more sample weighs in an average, in percent.
const WEIGHT: u64 = 10;

/// What the `Health` object of one region group knows: of each target its breaker, its figures and its last errors.
///
/// It is stored as JSON, and later builds read what earlier ones stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Region {
    pub(super) policy: Policy,
    pub(super) targets: SortedMap<TargetId, Target>,
    pub(super) switches: Switches,
    /// The last batch of each isolate, and when it came.
    isolates: SortedMap<String, (u64, UnixMillis)>,
    /// How many transitions there were.
    transitions: u64,
    /// Those that are not in the audit trail yet.
    waiting: Vec<Transition>,
    /// How many repetitions the budgets of the isolates refused, all told.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) refused_retries: u64,
    /// When this was last written.
    stored: UnixMillis,
}
readable! { Region { policy, targets, switches, isolates, transitions, waiting, refused_retries, stored } }

/// One target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Target {
    pub(super) health: Health,
    first_token: SlidingSketch,
    /// Of plain answers.
    #[serde(skip_serializing_if = "SlidingSketch::is_empty")]
    whole: SlidingSketch,
    #[serde(rename = "average_ms")]
    average: Option<Millis>,
    tokens_per_second: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole_tokens_per_second: Option<u32>,
    headroom: Option<Headroom>,
    pub(super) errors: Vec<LastError>,
    /// Which isolate has the probe.
    holder: Option<String>,
    /// What blocked it last.
    pub(super) tripped_by: Option<String>,
    pub(super) used: UnixMillis,
}
readable! { Target {
    health, first_token, whole, average = "average_ms", tokens_per_second, whole_tokens_per_second, headroom, errors,
    holder, tripped_by, used,
} }

/// A breaker changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// Counted from 1 within the region.
    pub number: u64,
    /// When.
    pub at: UnixMillis,
    /// Of which target.
    pub target: TargetId,
    /// What it was.
    pub before: Breaker,
    /// What it is since.
    pub after: Breaker,
    /// What led to it, such as `3 failures in a row: overloaded (529)`.
    pub reason: String,
}
readable! { Transition {
    #[required] number, #[required] at, #[required] target, #[required] before, #[required] after, #[required] reason,
} }

/// What an operator asks of the breakers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Order {
    /// What to do.
    pub action: Action,
    /// `provider`, `provider/model` or `provider/model#2`.
    pub subject: String,
    /// When it ends by itself.
    pub until: Option<UnixMillis>,
    /// Why, in the operator's words.
    pub reason: Option<String>,
}
readable! { Order { #[required] action, #[required] subject, until, reason } }

/// See [`Order`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Forgets what the operator decided and what the breaker counted: it passes.
    #[default]
    Reset,
    /// It gets no calls at all.
    Block,
    /// It gets calls, whatever its breaker says.
    Allow,
}
words! { Action { Reset = "reset", Block = "block", Allow = "allow" } }

impl Region {
    /// Takes a batch in. `chance` is for the jitter of blocks.
    ///
    /// # Errors
    /// Where the batch speaks no version that this build knows, or is too large.
    pub fn absorb(&mut self, batch: &Batch, now: UnixMillis, mut chance: u64) -> Result<Reply, String> {
        if !(OLDEST..=PROTOCOL).contains(&batch.version) {
            return Err(format!("protocol {} is not one of {OLDEST} to {PROTOCOL}", batch.version));
        }
        if batch.reports.len() > MOST_REPORTS || batch.asks.len() > MOST_REPORTS || batch.isolate.len() > 64 {
            return Err("the batch is too large".to_owned());
        }
        if self.is_new(batch, now) {
            self.policy = batch.policy;
            self.refused_retries = self.refused_retries.saturating_add(batch.refused_retries);
            for report in &batch.reports {
                self.report(report, &batch.isolate, now, next(&mut chance));
            }
            for target in &batch.asks {
                self.ask(target, &batch.isolate, now);
            }
        }
        Ok(self.reply(batch, now))
    }

    /// Does what an operator asks.
    ///
    /// # Errors
    /// Where there are too many decisions already.
    pub fn order(&mut self, order: &Order, now: UnixMillis) -> Result<(), String> {
        if order.action == Action::Reset {
            self.reset(&order.subject, now);
        }
        self.switches.order(order, now)
    }

    /// Whether the state should be written now: a breaker changed since, or a minute has passed.
    #[must_use]
    pub fn should_store(&self, transitions_before: u64, now: UnixMillis) -> bool {
        self.transitions != transitions_before || now.since(self.stored) >= CHECKPOINT
    }

    /// The state as it is to be written.
    pub fn store(&mut self, now: UnixMillis) -> String {
        self.stored = now;
        crate::json::to_string(self)
    }

    /// How many transitions there were so far.
    #[must_use]
    pub fn transitions(&self) -> u64 {
        self.transitions
    }

    /// Transitions that are not in the audit trail yet.
    #[must_use]
    pub fn waiting(&self) -> &[Transition] {
        &self.waiting
    }

    /// The transitions up to this number are in the audit trail.
    pub fn audited(&mut self, number: u64) {
        self.waiting.retain(|transition| transition.number > number);
    }

    /// What holds for a target by the operator's decision.
    #[must_use]
    pub fn switch(&self, target: &str, now: UnixMillis) -> Option<&Switch> {
        let covering = self.switches.holding(now).filter(|switch| switch.covers(target));
        covering.min_by_key(|switch| switch.position != Position::Block)
    }

    /// Whether a batch was not taken in before.
    fn is_new(&mut self, batch: &Batch, now: UnixMillis) -> bool {
        if self.isolates.len() >= MOST_ISOLATES && !self.isolates.contains_key(&batch.isolate) {
            let mut seen: Vec<UnixMillis> = self.isolates.values().map(|(_, seen)| *seen).collect();
            sorted::sort(&mut seen);
            let middle = seen.get(seen.len() / 2).copied().unwrap_or(now);
            self.isolates.retain(|_, (_, seen)| *seen > middle);
        }
        let last = self.isolates.get_or_default(batch.isolate.clone());
        let is_new = batch.batch > last.0;
        *last = (batch.batch.max(last.0), now);
        is_new
    }

    fn report(&mut self, report: &Report, isolate: &str, now: UnixMillis, chance: u64) {
        if report.target.as_str().len() > target::LONGEST {
            return;
        }
        self.make_room(&report.target);
        let policy = self.policy;
        let target = self.targets.get_or_default(report.target.clone());
        target.used = now;
        target.note(report, now);
        let before = target.health.breaker;
        let reason = match report.probe {
            Some(probe) => target.probed(probe, report, isolate, &policy, now, chance),
            None => target.count(report, &policy, now, chance),
        };
        if let Some(reason) = reason {
            self.changed(&report.target, before, reason, now);
        }
    }

    /// Grants the probe of a target to the isolate that asks, if it is time for one.
    fn ask(&mut self, id: &TargetId, isolate: &str, now: UnixMillis) {
        let Some(target) = self.targets.get_mut(id.as_str()) else { return };
        let before = target.health.breaker;
        let Some(probing) = before.grant(&self.policy, now) else { return };
        let lapsed = matches!(before, Breaker::Probing { .. });
        target.health.become_(probing);
        target.holder = Some(isolate.to_owned());
        let reason =
            if lapsed { "the probe did not report and is given to another isolate" } else { "the block is over" };
        self.changed(id, before, reason.to_owned(), now);
    }

    fn reset(&mut self, subject: &str, now: UnixMillis) {
        let within = |id: &&TargetId| target::is_within(id.as_str(), subject);
        let all: Vec<TargetId> = self.targets.keys().filter(within).cloned().collect();
        for id in all {
            let Some(target) = self.targets.get_mut(id.as_str()) else { continue };
            let before = target.health.breaker;
            target.health =
                Health { breaker: Breaker::Passing { failures: 0, trips: 0, since: now }, ..Health::default() };
            target.holder = None;
            if !matches!(before, Breaker::Passing { .. }) {
                self.changed(&id, before, "the operator reset it".to_owned(), now);
            }
        }
    }

    fn changed(&mut self, id: &TargetId, before: Breaker, reason: String, now: UnixMillis) {
        let Some(target) = self.targets.get(id.as_str()) else { return };
        self.transitions += 1;
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.remove(0);
        }
        let after = target.health.breaker;
        self.waiting.push(Transition { number: self.transitions, at: now, target: id.clone(), before, after, reason });
    }

    fn make_room(&mut self, wanted: &TargetId) {
        if self.targets.len() < MOST_TARGETS || self.targets.contains_key(wanted) {
            return;
        }
        let oldest = self.targets.iter().min_by_key(|(_, target)| {
            let is_blocked = !matches!(target.health.breaker, Breaker::Passing { .. });
            (is_blocked, target.used)
        });
        if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
            self.targets.remove(&oldest);
        }
    }

    fn reply(&self, batch: &Batch, now: UnixMillis) -> Reply {
        let asked = |id: &TargetId| batch.reports.iter().any(|report| report.target == *id);
        let listed = self
            .targets
            .iter()
            .filter(|(id, target)| batch.all || !matches!(target.health.breaker, Breaker::Passing { .. }) || asked(id));
        let targets = listed.map(|(id, target)| News {
            target: id.clone(),
            breaker: target.health.breaker,
            yours: matches!(target.health.breaker, Breaker::Probing { .. })
                && target.holder.as_deref() == Some(batch.isolate.as_str()),
            figures: target.figures(&self.policy, now),
        });
        Reply {
            version: batch.version,
            batch: batch.batch,
            all: batch.all,
            targets: targets.collect(),
            switches: self.switches.holding(now).cloned().collect(),
        }
    }
}

impl Target {
    pub(super) fn figures(&self, policy: &Policy, now: UnixMillis) -> Figures {
        // What was slow, and is left alone for that, could else never show that it is not any longer.
        let known = !self.first_token.is_forgotten(now);
        let percentiles = self.first_token.percentiles(policy.minimum_samples).filter(|_| known);
        let whole = Some(&self.whole).filter(|whole| !whole.is_forgotten(now));
        let of_whole = whole.and_then(|whole| whole.percentiles(policy.minimum_samples));
        Figures {
            p50: percentiles.map(|(p50, _)| p50),
            p95: percentiles.map(|(_, p95)| p95),
            average: self.average.filter(|_| known),
            whole_p50: of_whole.map(|(p50, _)| p50),
            whole_p95: of_whole.map(|(_, p95)| p95),
            whole_average: whole.and_then(SlidingSketch::mean),
            tokens_per_second: self.tokens_per_second.filter(|_| known),
            whole_tokens_per_second: self.whole_tokens_per_second.filter(|_| whole.is_some()),
            error_percent: self.health.error_percent(policy, now),
            headroom: self.headroom.filter(|headroom| now < headroom.until),
        }
    }

    /// Notes what a report says beside counts.
    fn note(&mut self, report: &Report, now: UnixMillis) {
        self.first_token.merge(&report.first_token, now);
        self.whole.merge(&report.whole, now);
        let samples = u64::from(report.first_token.total());
        if let Some(mean) = report.first_token.mean() {
            let average = moved(self.average.map(|average| average.0), mean.0, samples);
            self.average = Some(Millis(average));
        }
        let wholes = u64::from(report.whole.total());
        let whole = report.whole.mean().map_or(0, |mean| mean.0.saturating_mul(wholes));
        for (speed, tokens, time, samples) in [
            (&mut self.tokens_per_second, report.tokens, report.generation.0, samples),
            (&mut self.whole_tokens_per_second, report.whole_tokens, whole, wholes),
        ] {
            if let Some(rate) = tokens.saturating_mul(1_000).checked_div(time).filter(|rate| *rate > 0) {
                *speed = u32::try_from(moved(speed.map(u64::from), rate, samples)).ok();
            }
        }
        self.headroom = report.headroom.or(self.headroom);
        self.errors.extend(report.errors.iter().take(MOST_ERRORS).cloned().map(|mut error| {
            error.kind.truncate(error.kind.floor_char_boundary(40));
            error
        }));
        let surplus = self.errors.len().saturating_sub(MOST_ERRORS);
        self.errors.drain(..surplus);
    }

    /// Counts what was no probe; why it changed the breaker, if it did.
    fn count(&mut self, report: &Report, policy: &Policy, now: UnixMillis, chance: u64) -> Option<String> {
        // What an isolate saw before it knew of the last change says nothing about what came after it.
        let is_old = report.since < self.health.breaker.since();
        let tally = Tally {
            served: report.served,
            failed: if is_old { 0 } else { report.failed },
            poor: if is_old { 0 } else { report.poor },
            run: if is_old { 0 } else { report.run },
            refused: report.refused && !is_old,
            retry_after: report.retry_after,
        };
        let run = match self.health.breaker {
            Breaker::Passing { failures, .. } if tally.served == 0 => failures.saturating_add(tally.failed),
            _ => tally.run,
        };
        if !self.health.count(&tally, policy, now, chance) {
            return None;
        }
        let error = self.last_error();
        let reason = if tally.refused {
            format!("the credential was refused: {error}")
        } else if run >= policy.failures_in_a_row {
            format!("{run} failures in a row: {error}")
        } else {
            format!("too many failures or poor answers of late: {error}")
        };
        self.tripped_by = Some(reason.clone());
        Some(reason)
    }

    /// Decides by a probe; why it changed the breaker, if it did.
    fn probed(
        &mut self,
        probe: Probed,
        report: &Report,
        isolate: &str,
        policy: &Policy,
        now: UnixMillis,
        chance: u64,
    ) -> Option<String> {
        if probe.served != Some(true) && self.holder.as_deref() != Some(isolate) {
            return None;
        }
        let permit = Permit { granted: probe.granted, trips: probe.trips };
        let decided = self.health.breaker.probed(permit, probe.served, report.retry_after, policy, now, chance)?;
        self.holder = None;
        self.health.become_(decided);
        Some(match probe.served {
            Some(true) => "the probe was served".to_owned(),
            Some(false) => {
                let reason = format!("the probe failed: {}", self.last_error());
                self.tripped_by = Some(reason.clone());
                reason
            }
            None => "the probe said nothing".to_owned(),
        })
    }

    fn last_error(&self) -> String {
        match self.errors.last() {
            Some(LastError { kind, status: Some(status), .. }) => format!("{kind} ({status})"),
            Some(LastError { kind, .. }) => kind.clone(),
            None => "unknown".to_owned(),
        }
    }
}

/// An average after `samples` more of about `value`.
fn moved(average: Option<u64>, value: u64, samples: u64) -> u64 {
    let Some(average) = average else { return value };
    // (1 - weight)^samples of the old average stays; more than 50 samples leave nothing of it.
    let mut kept = 1_000_000u64;
    for _ in 0..samples.min(50) {
        kept = kept * (100 - WEIGHT) / 100;
    }
    (average.saturating_mul(kept) + value.saturating_mul(1_000_000 - kept)) / 1_000_000
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(count: &u64) -> bool {
    *count == 0
}
