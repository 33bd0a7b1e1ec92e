use serde::Serialize;

use super::{Breaker, Policy, Tally, Window};
use crate::json::readable;
use crate::units::UnixMillis;

/// A target's breaker and the window that its ratios are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// What happens to its traffic.
    pub breaker: Breaker,
    /// What came of its calls of late.
    pub window: Window,
}
readable! { Health { #[required] breaker, #[required] window } }

impl Health {
    /// Counts calls; whether that blocked the target.
    pub fn count(&mut self, tally: &Tally, policy: &Policy, now: UnixMillis, chance: u64) -> bool {
        let bad = if tally.failed == 0 && tally.poor == 0 {
            self.window.add(tally.served, 0, 0, policy.window, now);
            false
        } else {
            self.window.add(tally.served, tally.failed, tally.poor, policy.window, now);
            self.is_bad(policy, now)
        };
        let was_passing = matches!(self.breaker, Breaker::Passing { .. });
        self.become_(self.breaker.count(tally, bad, policy, now, chance));
        was_passing && matches!(self.breaker, Breaker::Blocking { .. })
    }

    /// Takes another state. Neither what led to a block nor what came of calls during it counts again once the target
    /// passes.
    pub fn become_(&mut self, breaker: Breaker) {
        let passes = |breaker: &Breaker| matches!(breaker, Breaker::Passing { .. });
        if passes(&breaker) != passes(&self.breaker) {
            self.window = Window::default();
        }
        self.breaker = breaker;
    }

    /// The share of failures in the window, in percent; `None` with fewer calls than the policy wants.
    #[must_use]
    pub fn error_percent(&self, policy: &Policy, now: UnixMillis) -> Option<u32> {
        let (served, failed, _) = self.window.sums(policy.window, now);
        let calls = served.saturating_add(failed);
        (calls > 0 && calls >= policy.minimum_calls).then(|| percent(failed, calls))
    }

    fn is_bad(&self, policy: &Policy, now: UnixMillis) -> bool {
        let (served, failed, poor) = self.window.sums(policy.window, now);
        let calls = served.saturating_add(failed);
        let failing = failed > 0 && calls >= policy.minimum_calls && percent(failed, calls) >= policy.error_percent;
        let poor_ones = poor > 0 && served >= policy.poor_minimum_calls && percent(poor, served) >= policy.poor_percent;
        failing || poor_ones
    }
}

fn percent(part: u32, whole: u32) -> u32 {
    u32::try_from(u64::from(part) * 100 / u64::from(whole.max(1))).unwrap_or(100)
}
