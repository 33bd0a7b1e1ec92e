use std::cell::Cell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::chance::next;
use super::exchange::Exchange;
use super::outcome::name_of;
use super::protocol::{LastError, Position, Probed, Report, Switch};
use super::quick::Quick;
use super::target::{self, TargetId};
use super::{Breaker, Figures, Headroom, Health, Outcome, Permit, Policy, Tally, What};
use crate::sorted;
use crate::units::{Millis, UnixMillis};

/// So many targets are followed; the ones that were used longest ago make room.
pub(super) const MOST_TARGETS: usize = 512;
/// So many failures of a target are told with one batch.
const MOST_ERRORS: usize = 3;

/// Whether a target may be sent a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Pass,
    /// One call may, to see whether it is back: the one for which [`View::take_probe`] says yes.
    Probe,
    /// It should not. With nothing else left, it is better than no answer.
    Blocked {
        /// When it may be probed. Once this has passed, the isolate asks for the probe with its next batch.
        until: UnixMillis,
    },
    /// The operator switched it off: it must not be called, whatever else is left.
    Off,
}

/// What one isolate knows of the health of targets.
#[derive(Debug, Default)]
pub struct View {
    pub(super) policy: Policy,
    /// State of the generator behind the jitter of blocks.
    chance: u64,
    pub(super) targets: HashMap<TargetId, Entry, BuildHasherDefault<Quick>>,
    /// What the operator decided, as the object says.
    pub(super) switches: Vec<Switch>,
    /// The same, as it came with the leases of keys: that is sooner, and does not wait for the object.
    leased: Vec<Switch>,
    /// Where the talk with the object stands.
    pub(super) exchange: Exchange,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) health: Health,
    pub(super) figures: Figures,
    /// What the operator decided about it, and until when.
    pub(super) switch: Option<(Position, UnixMillis)>,
    /// The probe that the object granted and no call has taken yet: since when the state that grants it holds.
    pub(super) granted: Option<UnixMillis>,
    /// The probe that a call of ours took.
    pub(super) taken: Option<UnixMillis>,
    /// Its block is over, and a call wanted it.
    pub(super) asks: Cell<bool>,
    /// Whether the object knows of the last change of state.
    pub(super) ahead: Ahead,
    /// What the object was not told yet.
    pub(super) pending: Report,
    /// When a call last ended.
    pub(super) used: UnixMillis,
}

/// Whether the isolate is ahead of what the object knows of a target's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ahead {
    #[default]
    No,
    /// A change of state waits to be told, and what the object says meanwhile is old.
    Pending,
    /// It is told with the batch under way, whose reply takes it into account.
    Told,
}

impl View {
    /// A view that knows nothing yet. `seed` is for its name and the jitter of its blocks.
    #[must_use]
    pub fn new(policy: Policy, seed: u64) -> View {
        let mut chance = seed;
        let exchange = Exchange::named(next(&mut chance));
        View { policy, chance, exchange, ..View::default() }
    }

    /// Takes the thresholds of a new configuration.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        if !policy.enabled {
            self.targets.clear();
            self.switches.clear();
        }
    }

    /// Takes the operator's decisions as they came with the leases of keys.
    pub fn set_switches(&mut self, switches: Vec<Switch>, now: UnixMillis) {
        self.leased = switches;
        self.switch_targets(now);
    }

    /// Whether anything is counted at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.policy.enabled
    }

    /// Whether `provider/model`, or one of its credentials as `provider/model#2`, may be called. Unknown ones may.
    ///
    /// It is asked by a call that would go there: where a block is over, the next batch asks for the probe.
    #[must_use]
    pub fn verdict(&self, target: &str, now: UnixMillis) -> Verdict {
        let entry = self.targets.get(target);
        let verdict = self.verdict_on(entry, target, now);
        if let (Verdict::Blocked { until }, Some(entry)) = (verdict, entry)
            && until <= now
        {
            entry.asks.set(true);
            self.exchange.asks.set(true);
        }
        verdict
    }

    /// How a target has been doing, and whether it may be called, in one look. Nobody asks for a probe by that: an isolate
    /// to which it was granted, and which has no call for it, would keep it from those that have.
    #[must_use]
    pub fn seen(&self, target: &str, now: UnixMillis) -> (Figures, Verdict) {
        let entry = self.targets.get(target);
        (entry.map(|entry| entry.figures).unwrap_or_default(), self.verdict_on(entry, target, now))
    }

    fn verdict_on(&self, entry: Option<&Entry>, target: &str, now: UnixMillis) -> Verdict {
        let Some(entry) = entry else {
            return match self.switched(target, now) {
                Some((Position::Block, _)) => Verdict::Off,
                _ => Verdict::Pass,
            };
        };
        match entry.switch {
            Some((Position::Block, until)) if now < until => return Verdict::Off,
            Some((Position::Allow, until)) if now < until => return Verdict::Pass,
            _ => {}
        }
        match entry.health.breaker {
            Breaker::Passing { .. } => Verdict::Pass,
            breaker if entry.granted == Some(breaker.since()) && has_time(breaker, &self.policy, now) => Verdict::Probe,
            Breaker::Blocking { until, .. } | Breaker::Probing { until, .. } => {
                let over = until <= now && self.exchange.is_alone();
                if over { Verdict::Probe } else { Verdict::Blocked { until } }
            }
        }
    }

    /// Takes the probe that [`Verdict::Probe`] offered, when its request is about to be sent. `None` where another call
    /// took it meanwhile: the target is then blocked. How it went is told with [`Outcome::probe`]; a stream's first
    /// token is proof enough and best told then, so that others need not wait for the end.
    #[must_use]
    pub fn take_probe(&mut self, target: &str, now: UnixMillis) -> Option<Permit> {
        let (policy, alone) = (self.policy, self.exchange.is_alone());
        let entry = self.targets.get_mut(target)?;
        let breaker = entry.health.breaker;
        let granted = entry.granted == Some(breaker.since()) && has_time(breaker, &policy, now);
        let probing = if granted { Some(breaker) } else { breaker.grant(&policy, now).filter(|_| alone) }?;
        entry.granted = None;
        entry.taken = Some(probing.since());
        entry.health.become_(probing);
        Some(Permit { granted: probing.since(), trips: probing.trips() })
    }

    /// Targets whose block has been over for so long (twice the age that a snapshot may have) that nobody can be calling
    /// them: the first such call would have asked for the probe.
    #[must_use]
    pub fn unattended(&self, now: UnixMillis) -> Vec<TargetId> {
        let is_unattended =
            |target: &&TargetId| match self.targets.get(target.as_str()).map(|entry| entry.health.breaker) {
                Some(Breaker::Blocking { until, .. } | Breaker::Probing { until, .. }) => {
                    now >= until.plus(Millis(self.policy.snapshot_age.0 * 2)) && target.as_str() == target.target()
                }
                _ => false,
            };
        let mut found: Vec<TargetId> = self.targets.keys().filter(is_unattended).cloned().collect();
        found.retain(|target| self.switched(target.as_str(), now).is_none());
        sorted::sort(&mut found);
        found
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
            entry.pending.headroom = Some(headroom);
        }
    }

    /// Notes that the budget for repetitions refused so many.
    pub fn note_refused_retries(&mut self, more: u64) {
        if more > 0 && self.policy.enabled {
            self.exchange.refused_retries = self.exchange.refused_retries.saturating_add(more);
            self.exchange.has_news = true;
        }
    }

    /// Takes in how an attempt ended.
    pub fn report(&mut self, target: &str, outcome: Outcome, now: UnixMillis) {
        let (policy, chance) = (self.policy, next(&mut self.chance));
        let Some(entry) = self.entry(target, now) else { return };
        let changed = if let Some(permit) = outcome.probe {
            entry.probed(permit, outcome.what, &policy, now, chance)
        } else {
            // A straggler that was sent before the last change says nothing about what came after it.
            outcome.sent >= entry.health.breaker.since() && entry.count(outcome.what, &policy, now, chance)
        };
        if changed {
            entry.ahead = Ahead::Pending;
            self.exchange.is_urgent = true;
        } else if matches!(outcome.what, What::Failed { .. } | What::Refused { .. } | What::Poor(_)) {
            self.exchange.has_news = true;
        }
    }

    /// What the operator decided about a target, and until when.
    pub(super) fn switched(&self, target: &str, now: UnixMillis) -> Option<(Position, UnixMillis)> {
        let covering = self.decisions(now).filter(|switch| switch.covers(target));
        let decided = covering.map(|switch| (switch.position, switch.until.unwrap_or(UnixMillis(i64::MAX))));
        // What is off is off, however much else is allowed.
        decided.min_by_key(|(position, _)| *position != Position::Block)
    }

    /// All that the operator decided and that holds. It holds whether health is watched or not.
    pub(super) fn decisions(&self, now: UnixMillis) -> impl Iterator<Item = &Switch> {
        self.switches.iter().chain(&self.leased).filter(move |switch| switch.holds(now))
    }

    /// Puts the decisions down with the targets that they are about.
    pub(super) fn switch_targets(&mut self, now: UnixMillis) {
        let decided: Vec<_> = self.targets.keys().map(|target| self.switched(target.as_str(), now)).collect();
        for (entry, switch) in self.targets.values_mut().zip(decided) {
            entry.switch = switch;
        }
    }

    /// The entry of a target, made where there is none; `None` where nothing is kept.
    pub(super) fn entry(&mut self, target: &str, now: UnixMillis) -> Option<&mut Entry> {
        if !self.policy.enabled || target.len() > target::LONGEST {
            return None;
        }
        if !self.targets.contains_key(target) {
            if self.targets.len() >= MOST_TARGETS {
                self.make_room();
            }
            let entry = Entry { switch: self.switched(target, now), ..Entry::default() };
            self.targets.insert(TargetId::from(target), entry);
        }
        let entry = self.targets.get_mut(target)?;
        entry.used = now;
        Some(entry)
    }

    /// Forgets the half that was used longest ago.
    fn make_room(&mut self) {
        let mut used: Vec<UnixMillis> = self.targets.values().map(|entry| entry.used).collect();
        sorted::sort(&mut used);
        let Some(&middle) = used.get(used.len() / 2) else { return };
        self.targets.retain(|_, entry| entry.used > middle);
    }
}

impl Entry {
    /// Counts the outcome of a call that was no probe; whether it blocked the target.
    fn count(&mut self, what: What, policy: &Policy, now: UnixMillis, chance: u64) -> bool {
        let mut tally = Tally::default();
        match what {
            What::Served { .. } => tally.served = 1,
            What::Poor(_) => (tally.served, tally.poor) = (1, 1),
            What::Refused { .. } => (tally.failed, tally.run, tally.refused) = (1, 1, true),
            What::Failed { retry_after, .. } => {
                (tally.failed, tally.run, tally.retry_after) = (1, 1, retry_after);
            }
            What::Void => return false,
        }
        self.note(what, now);
        self.pending.since = self.health.breaker.since();
        self.pending.served += tally.served;
        self.pending.failed += tally.failed;
        self.pending.poor += tally.poor;
        self.pending.run = if tally.served > 0 { 0 } else { self.pending.run + 1 };
        self.pending.refused |= tally.refused;
        self.pending.retry_after = tally.retry_after.or(self.pending.retry_after);
        self.health.count(&tally, policy, now, chance)
    }

    /// Decides by how the probe went; whether that changed anything.
    fn probed(&mut self, permit: Permit, what: What, policy: &Policy, now: UnixMillis, chance: u64) -> bool {
        let served = match what {
            What::Served { .. } | What::Poor(_) => Some(true),
            What::Failed { .. } | What::Refused { .. } => Some(false),
            What::Void => None,
        };
        let asked = if let What::Failed { retry_after, .. } = what { retry_after } else { None };
        let Some(decided) = self.health.breaker.probed(permit, served, asked, policy, now, chance) else {
            return false;
        };
        self.note(what, now);
        self.pending.probe = Some(Probed { granted: permit.granted, served, trips: permit.trips });
        self.pending.retry_after = asked.or(self.pending.retry_after);
        self.health.become_(decided);
        true
    }

    /// Notes what an outcome says beyond whether it was one.
    fn note(&mut self, what: What, now: UnixMillis) {
        let (kind, status) = match what {
            What::Served { first_token, generation, output_tokens } => {
                if let Some(time) = first_token {
                    self.pending.first_token.add(time);
                    // What came at once says nothing of how fast tokens come.
                    if generation > Millis(0) {
                        self.pending.tokens = self.pending.tokens.saturating_add(output_tokens);
                        self.pending.generation.0 = self.pending.generation.0.saturating_add(generation.0);
                    }
                } else if generation > Millis(0) {
                    self.pending.whole.add(generation);
                    self.pending.whole_tokens = self.pending.whole_tokens.saturating_add(output_tokens);
                }
                return;
            }
            What::Void => return,
            What::Poor(flaw) => (flaw.as_str(), None),
            What::Failed { kind, status, .. } => (name_of(kind), status),
            What::Refused { status } => ("credential_rejected", status),
        };
        if self.pending.errors.len() >= MOST_ERRORS {
            self.pending.errors.remove(0);
        }
        self.pending.errors.push(LastError { at: now, kind: kind.to_owned(), status });
    }
}

/// Whether a probe that is sent now has half of its time left before it is taken back.
fn has_time(breaker: Breaker, policy: &Policy, now: UnixMillis) -> bool {
    matches!(breaker, Breaker::Probing { until, .. } if now.plus(Millis(policy.probe.0 / 2)) <= until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;

    const TARGET: &str = "cave/llama-5";
    const FAILED: What = What::Failed { retry_after: None, kind: Kind::Unavailable, status: Some(503) };
    const SERVED: What = What::Served { first_token: Some(Millis(200)), generation: Millis(500), output_tokens: 50 };

    fn view() -> View {
        View::new(Policy::default(), 7)
    }

    fn at(now: i64, what: What) -> (Outcome, UnixMillis) {
        (Outcome { what, sent: UnixMillis(now), probe: None }, UnixMillis(now))
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
        assert_eq!(view.take_probe(TARGET, UnixMillis(until.0 - 1)), None);

        assert_eq!(view.verdict(TARGET, until), Verdict::Probe);
        let probe = view.take_probe(TARGET, until);
        assert!(probe.is_some());
        assert_eq!(view.take_probe(TARGET, until), None, "there is one probe");
        assert!(matches!(view.verdict(TARGET, until), Verdict::Blocked { .. }));

        view.report(TARGET, Outcome { what: SERVED, sent: until, probe }, until.plus(Millis(9)));
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
        let off = Switch { subject: TARGET.into(), position: Position::Block, ..Switch::default() };
        view.set_switches(vec![off], UnixMillis(10));
        assert_eq!(view.verdict(TARGET, UnixMillis(10)), Verdict::Off, "but for what the operator decided");
    }
}
