//! What goes on when the operator has a budget count over another time.

use super::{Ledger, Pot, Row};
use crate::budget::{Budget, Parts, PotName, Rule};
use crate::units::UnixMillis;

impl Ledger {
    /// Goes on with a budget that counts over another time than `before`, at the time of the last sweep: what is leased
    /// stays leased, and what was spent stays spent as far as it lies in that time. Of a rule that is no more nothing is
    /// leased, should it come back.
    pub(super) fn recount(&mut self, before: &Rule) {
        let Some(after) = self.rules.get(before.id()).map(|known| known.rule.clone()) else {
            return self.let_go(before.id());
        };
        let (Rule::Budget(old), Rule::Budget(new)) = (before, after) else { return };
        if (old.period, old.window, &old.time_zone) == (new.period, new.window, &new.time_zone) {
            return;
        }
        let is_of = |pot: &str| PotName::read(pot).rule == new.id;
        for (_, pot) in self.pots.iter_mut().filter(|(name, _)| is_of(name)) {
            pot.move_on(before, &mut self.isolates, &mut self.changed, self.swept_at);
        }
        let window = new.frame(self.swept_at).window;
        // Ended ones too: what is told of them late counts like the rest.
        for (id, held) in &mut self.isolates {
            for (number, lease) in held.leases.iter_mut().filter(|(_, lease)| is_of(&lease.pot)) {
                if self.pots.get(&lease.pot).is_some_and(|pot| lease.counts_in(pot.window)) {
                    lease.window = window;
                    self.changed.push(Row::lease(id, *number));
                }
            }
        }
        for (name, pot) in self.pots.iter_mut().filter(|(name, _)| is_of(name)) {
            pot.recount(old, &new, self.swept_at);
            self.changed.push(Row::Pot(name.clone()));
        }
    }

    fn let_go(&mut self, rule: &str) {
        for (name, pot) in self.pots.iter_mut().filter(|(name, _)| PotName::read(name).rule == rule) {
            pot.leased = 0;
            self.changed.push(Row::Pot(name.clone()));
            for (id, number) in pot.holders.drain(..) {
                if let Some(lease) = self.isolates.get_mut(&id).and_then(|held| held.leases.get_mut(&number)) {
                    lease.closed = true;
                    self.changed.push(Row::lease(&id, number));
                }
            }
        }
    }
}

impl Pot {
    /// Goes on under a budget that counts over another time. Of a rolling window it is known when it was spent; else all
    /// of it counts, as of now, where the new time is no shorter, and nothing where it is.
    fn recount(&mut self, before: &Budget, after: &Budget, now: UnixMillis) {
        let length_of = |parts: Parts| i64::try_from(parts.length.0).unwrap_or(i64::MAX);
        let spent: Vec<(i64, i64)> = match before.parts() {
            Some(parts) => {
                let end = |part: i64| (part + 1).saturating_mul(length_of(parts)).saturating_sub(1).min(now.0);
                self.parts.iter().map(|(part, spent)| (end(*part), *spent)).collect()
            }
            None if before.period.hours() <= after.period.hours() => vec![(now.0, self.spent)],
            None => Vec::new(),
        };
        let (window, used_at) = (after.frame(now).window, self.used_at);
        let holders = std::mem::take(&mut self.holders);
        *self = Pot { window, leased: self.leased, holders, ..Pot::default() };
        for (at, amount) in spent.into_iter().filter(|(at, amount)| *at >= window.0 && *amount != 0) {
            self.book(&Rule::Budget(after.clone()), amount, UnixMillis(at));
        }
        self.used_at = used_at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{LeaseReport, Message, Need, PROTOCOL, Period, Scope, ScopeKind, Terms, Window};
    use crate::units::{Millis, NanoUsd};

    const START: i64 = 1_790_000_000_000;

    fn budget(period: Period, window: Window, limit: i64) -> Budget {
        let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
        Budget { id: "b".into(), scope, limit: NanoUsd(limit), period, window, ..Budget::default() }
    }

    #[test]
    fn what_a_budget_has_spent_and_leased_stays_when_it_counts_over_another_time() {
        use Period::{Day, Month, Total};
        use Window::{Calendar, Rolling};
        let now = UnixMillis(START);
        for (before, after, spent) in [
            ((Day, Rolling), (Day, Calendar), 30),
            ((Day, Calendar), (Day, Rolling), 30),
            ((Day, Calendar), (Month, Calendar), 30),
            ((Day, Rolling), (Month, Rolling), 30),
            ((Month, Rolling), (Day, Calendar), 30),
            ((Month, Rolling), (Total, Calendar), 30),
            // Of a longer time it is not known when it was spent.
            ((Month, Calendar), (Day, Calendar), 0),
            ((Total, Calendar), (Month, Rolling), 0),
        ] {
            let mut ledger = Ledger::default();
            let pot = "b".to_owned();
            ledger.set_rule(Rule::Budget(budget(before.0, before.1, 100)));
            let message = |isolate: &str, message| Message { version: PROTOCOL, isolate: isolate.into(), ..message };
            let ask = |ask, least| Message {
                ask,
                needs: vec![Need { pot: pot.clone(), least, want: least }],
                ..Message::default()
            };
            let granted = ledger.handle(message("one", ask(1, 60)), now);
            let lease = granted.leases.first().expect("a lease").lease;
            let told =
                |used, returned| LeaseReport { lease, pot: pot.clone(), used, returned, ..LeaseReport::default() };
            ledger.handle(message("one", Message { report: 1, leases: vec![told(30, 0)], ..Message::default() }), now);
            ledger.set_rule(Rule::Budget(budget(after.0, after.1, 100)));
            let standing = ledger.standing(&pot, now).expect("known");
            assert_eq!((standing.spent, standing.leased), (spent, 30), "{before:?} {after:?}");
            assert!(ledger.handle(message("two", ask(1, 71 - spent)), now).refusal.is_some(), "{before:?} {after:?}");
            // What the isolate goes on to spend of its lease is counted where it is spent.
            ledger.handle(message("one", Message { report: 2, leases: vec![told(50, 10)], ..Message::default() }), now);
            let standing = ledger.standing(&pot, now).expect("known");
            assert_eq!((standing.spent, standing.leased), (spent + 20, 0), "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_is_told_late_of_a_lease_that_was_freed_counts_over_the_other_time_too() {
        let now = UnixMillis(START);
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Budget(budget(Period::Day, Window::Rolling, 100)));
        let needs = vec![Need { pot: "b".into(), least: 60, want: 60 }];
        let asked = Message { version: PROTOCOL, isolate: "one".into(), ask: 1, needs, ..Message::default() };
        let lease = ledger.handle(asked, now).leases.first().expect("a lease").lease;
        let later = now.plus(Millis(60_000));
        assert_eq!(ledger.release("b", Millis(0), later).map(|freed| freed.leases), Some(1));
        ledger.set_rule(Rule::Budget(budget(Period::Month, Window::Calendar, 100)));
        let told = LeaseReport { lease, pot: "b".into(), used: 20, ..LeaseReport::default() };
        let report = Message { version: PROTOCOL, isolate: "one".into(), report: 1, ..Message::default() };
        ledger.handle(Message { leases: vec![told], ..report }, later);
        assert_eq!(ledger.standing("b", later).map(|it| (it.spent, it.leased)), Some((20, 0)));
    }

    #[test]
    fn of_a_keys_budget_that_was_taken_off_and_came_back_nothing_stays_leased() {
        let own = Budget { scope: Scope::key("k"), ..budget(Period::Total, Window::Calendar, 100) };
        let terms = |budgets: &[&Budget], at: i64| Terms {
            key: "k".into(),
            updated_at: UnixMillis(at),
            budgets: budgets.iter().map(|budget| (*budget).clone()).collect(),
            ..Terms::default()
        };
        let mut ledger = Ledger::default();
        let now = UnixMillis(START);
        ledger.set_terms(terms(&[&own], 1));
        let needs = vec![Need { pot: "b".into(), least: 60, want: 60 }];
        let asked = Message { version: PROTOCOL, isolate: "one".into(), ask: 1, needs, ..Message::default() };
        let lease = ledger.handle(asked, now).leases.first().expect("a lease").lease;
        ledger.set_terms(terms(&[], 2));
        // What it used is told while nobody counts it, and the rest never.
        let told = LeaseReport { lease, pot: "b".into(), used: 20, ..LeaseReport::default() };
        let report = Message { version: PROTOCOL, isolate: "one".into(), report: 1, ..Message::default() };
        ledger.handle(Message { leases: vec![told], ..report }, now);
        ledger.sweep(now.plus(Millis(60_000)));
        ledger.set_terms(terms(&[&own], 3));
        let standing = ledger.standing("b", now.plus(Millis(70_000))).expect("known");
        assert_eq!((standing.leased, standing.lost), (0, 0), "nobody could ever free it");
    }

    #[test]
    fn of_a_rolling_window_only_what_lies_in_the_new_one_counts() {
        let midnight = UnixMillis(START - START % 86_400_000);
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Budget(budget(Period::Day, Window::Rolling, 100)));
        let pot = "b".to_owned();
        for (number, hours, least) in [(1, -3, 40), (2, 2, 10)] {
            let now = UnixMillis(midnight.0 + hours * 3_600_000);
            let needs = vec![Need { pot: pot.clone(), least, want: least }];
            let version = PROTOCOL;
            let isolate = format!("isolate {number}");
            let asked = Message { version, isolate: isolate.clone(), ask: 1, needs, ..Message::default() };
            let lease = ledger.handle(asked, now).leases.first().expect("a lease").lease;
            let told = LeaseReport { lease, pot: pot.clone(), used: least, ..LeaseReport::default() };
            ledger.handle(Message { version, isolate, report: 1, leases: vec![told], ..Message::default() }, now);
        }
        let now = UnixMillis(midnight.0 + 2 * 3_600_000);
        assert_eq!(ledger.standing(&pot, now).map(|it| it.spent), Some(50));
        ledger.set_rule(Rule::Budget(budget(Period::Day, Window::Calendar, 100)));
        assert_eq!(ledger.standing(&pot, now).map(|it| it.spent), Some(10), "since midnight");
        ledger.set_rule(Rule::Budget(budget(Period::Day, Window::Rolling, 100)));
        assert_eq!(ledger.standing(&pot, now).map(|it| it.spent), Some(10));
        assert_eq!(ledger.standing(&pot, now.plus(Millis(25 * 3_600_000))).map(|it| it.spent), Some(0), "a day later");
    }
}
