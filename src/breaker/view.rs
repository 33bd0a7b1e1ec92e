use std::collections::HashMap;

use super::target::{self, TargetId};
use super::{Breaker, Figures, Headroom, Health, Outcome, Policy, Tally, What};
use crate::units::UnixMillis;

/// So many targets are followed; the ones that were used longest ago make room.
const MOST_TARGETS: usize = 512;

/// Whether a target may be sent a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Pass,
    /// One call may, to see whether it is back: the one for which [`View::take_probe`] says yes.
    Probe,
    /// Not before then. With nothing else left, it is better than no answer.
    Blocked {
        /// When it may be probed.
        until: UnixMillis,
    },
    /// The operator switched it off: it must not be called, whatever else is left.
    Off,
}

/// What one isolate knows of the health of targets.
#[derive(Debug, Default)]
pub struct View {
    policy: Policy,
    /// State of the generator behind the jitter of blocks.
    chance: u64,
    targets: HashMap<TargetId, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    health: Health,
    figures: Figures,
    /// When a call last ended.
    used: UnixMillis,
}

impl View {
    /// A view that knows nothing yet; `seed` is for the jitter of its blocks.
    #[must_use]
    pub fn new(policy: Policy, seed: u64) -> View {
        View { policy, chance: seed, ..View::default() }
    }

    /// Takes the thresholds of a new configuration.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        if !policy.enabled {
            self.targets.clear();
        }
    }

    /// Whether anything is counted at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.policy.enabled
    }

    /// Whether `provider/model`, or one of its credentials as `provider/model#2`, may be called. Unknown ones may.
    #[must_use]
    pub fn verdict(&self, target: &str, now: UnixMillis) -> Verdict {
        let Some(entry) = self.targets.get(target) else { return Verdict::Pass };
        match entry.health.breaker {
            Breaker::Passing { .. } => Verdict::Pass,
            Breaker::Blocking { until, .. } | Breaker::Probing { until, .. } if now < until => {
                Verdict::Blocked { until }
            }
            _ => Verdict::Probe,
        }
    }

    /// Takes the probe that [`Verdict::Probe`] offered, when its request is about to be sent. `false` where another call
    /// took it meanwhile: the target is then blocked. How it went is told with [`Outcome::probe`].
    #[must_use]
    pub fn take_probe(&mut self, target: &str, now: UnixMillis) -> bool {
        let policy = self.policy;
        let Some(entry) = self.targets.get_mut(target) else { return false };
        match entry.health.breaker.grant(&policy, now) {
            Some(probing) => {
                entry.health.become_(probing);
                true
            }
            None => false,
        }
    }

    /// How a target has been doing; `None` for one that nothing is known of.
    #[must_use]
    pub fn figures(&self, target: &str) -> Option<Figures> {
        self.targets.get(target).map(|entry| entry.figures)
    }

    /// Notes what the headers of an answer say of the target's limits.
    pub fn note_headroom(&mut self, target: &str, headroom: Headroom, now: UnixMillis) {
        if let Some(entry) = self.entry(target, now) {
            entry.figures.headroom = Some(headroom);
        }
    }

    /// Takes in how an attempt ended.
    pub fn report(&mut self, target: &str, outcome: Outcome, now: UnixMillis) {
        let (policy, chance) = (self.policy, next(&mut self.chance));
        let Some(entry) = self.entry(target, now) else { return };
        let mut tally = Tally::default();
        let served = match outcome.what {
            What::Served { .. } => Some(true),
            What::Poor => Some(true),
            What::Failed { .. } | What::Refused { .. } => Some(false),
            What::Void => None,
        };
        if let What::Failed { retry_after, .. } = outcome.what {
            tally.retry_after = retry_after;
        }
        if outcome.probe {
            let decided = entry.health.breaker.probed(served, tally.retry_after, &policy, now, chance);
            entry.health.become_(decided);
            return;
        }
        // A straggler that was sent before the last change says nothing about what came after it.
        if served.is_none() || outcome.sent < entry.health.breaker.since() {
            return;
        }
        match outcome.what {
            What::Served { .. } => tally.served = 1,
            What::Poor => (tally.served, tally.poor) = (1, 1),
            What::Refused { .. } => (tally.failed, tally.run, tally.refused) = (1, 1, true),
            _ => (tally.failed, tally.run) = (1, 1),
        }
        entry.health.count(&tally, &policy, now, chance);
    }

    /// The entry of a target, made where there is none; `None` where nothing is kept.
    fn entry(&mut self, target: &str, now: UnixMillis) -> Option<&mut Entry> {
        if !self.policy.enabled || target.len() > target::LONGEST {
            return None;
        }
        if !self.targets.contains_key(target) {
            if self.targets.len() >= MOST_TARGETS {
                self.make_room();
            }
            self.targets.insert(TargetId::from(target), Entry::default());
        }
        let entry = self.targets.get_mut(target)?;
        entry.used = now;
        Some(entry)
    }

    /// Forgets the half that was used longest ago.
    fn make_room(&mut self) {
        let mut used: Vec<UnixMillis> = self.targets.values().map(|entry| entry.used).collect();
        used.sort_unstable();
        let Some(&middle) = used.get(used.len() / 2) else { return };
        self.targets.retain(|_, entry| entry.used > middle);
    }
}

/// The next number of a sequence that looks random: splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;
    use crate::units::Millis;

    const TARGET: &str = "cave/llama-5";
    const FAILED: What = What::Failed { retry_after: None, kind: Kind::Unavailable, status: Some(503) };
    const SERVED: What = What::Served { first_token: Some(Millis(200)), generation: Millis(500), output_tokens: 50 };

    fn view() -> View {
        View::new(Policy::default(), 7)
    }

    fn at(now: i64, what: What) -> (Outcome, UnixMillis) {
        (Outcome { what, sent: UnixMillis(now), probe: false }, UnixMillis(now))
    }

    fn tell(view: &mut View, now: i64, what: What) {
        let (outcome, now) = at(now, what);
        view.report(TARGET, outcome, now);
    }

    #[test]
    fn three_failures_in_a_row_block_until_a_probe_serves() {
        let mut view = view();
        for now in [1_000, 1_001] {
            tell(&mut view, now, FAILED);
            assert_eq!(view.verdict(TARGET, UnixMillis(now)), Verdict::Pass);
        }
        tell(&mut view, 1_002, FAILED);
        let Verdict::Blocked { until } = view.verdict(TARGET, UnixMillis(1_002)) else { panic!("not blocked") };
        assert!((11_002..=13_502).contains(&until.0), "{until:?}");
        assert!(!view.take_probe(TARGET, UnixMillis(until.0 - 1)));

        assert_eq!(view.verdict(TARGET, until), Verdict::Probe);
        assert!(view.take_probe(TARGET, until));
        assert!(!view.take_probe(TARGET, until), "there is one probe");
        assert!(matches!(view.verdict(TARGET, until), Verdict::Blocked { .. }));

        view.report(TARGET, Outcome { what: SERVED, sent: until, probe: true }, until.plus(Millis(9)));
        assert_eq!(view.verdict(TARGET, until.plus(Millis(9))), Verdict::Pass);
    }

    #[test]
    fn a_success_in_between_begins_the_row_anew() {
        let mut view = view();
        for (now, what) in [(1, FAILED), (2, FAILED), (3, SERVED), (4, FAILED), (5, FAILED), (6, What::Void)] {
            tell(&mut view, now, what);
        }
        assert_eq!(view.verdict(TARGET, UnixMillis(6)), Verdict::Pass);
    }

    #[test]
    fn a_refused_credential_is_blocked_at_once() {
        let mut view = view();
        let credential = TargetId::from(TARGET).credential(2);
        let (outcome, now) = at(5, What::Refused { status: Some(401) });
        view.report(credential.as_str(), outcome, now);
        assert!(matches!(view.verdict(credential.as_str(), now), Verdict::Blocked { .. }));
        assert_eq!(view.verdict(TARGET, now), Verdict::Pass);
    }

    #[test]
    fn targets_are_capped() {
        let mut view = view();
        for number in 0..10_000 {
            let (outcome, now) = at(number, SERVED);
            view.report(&format!("cave/{number}"), outcome, now);
        }
        assert!(view.targets.len() <= MOST_TARGETS);
        assert!(view.targets.contains_key("cave/9999"));
    }

    #[test]
    fn switched_off_it_keeps_nothing() {
        let mut view = View::new(Policy { enabled: false, ..Policy::default() }, 7);
        for now in 0..10 {
            tell(&mut view, now, FAILED);
        }
        assert_eq!(view.verdict(TARGET, UnixMillis(10)), Verdict::Pass);
        assert!(view.targets.is_empty());
    }
}
