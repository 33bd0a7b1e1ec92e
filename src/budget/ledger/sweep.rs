//! What ends by itself: leases, calls that are heard of no more, isolates, pots that rest.

use super::state::{Committed, Known, MOST_POTS, comes_in_numbers};
use super::{Isolate, Lease, Ledger, Open, Pot, Row};
use crate::budget::{Ended, PotName, Rule, ScopeKind};
use crate::sorted;
use crate::units::{Millis, UnixMillis};

/// How often leases are looked through.
const EVERY: Millis = Millis(1_000);
/// An isolate that has not been heard of for so long is gone. No call lasts that long.
pub const GONE_AFTER: Millis = Millis(3_600_000);
/// A call of one that is gone, which was booked at its ceiling, is known for so long: its truth may come late.
const TRUTH_WITHIN: Millis = Millis(24 * 3_600_000);
/// So many isolates that are gone are told apart, so that a late report still frees what they had; older ones are one.
const MOST_GONE: usize = 1_000;
/// Under this id stand the leases of those.
const GONE: &str = "gone";
/// How often pots are looked through for what no longer counts.
const AGED_EVERY: Millis = Millis(600_000);
/// A key that was revoked or has expired so long ago is in no copy at the edge and no isolate's memory, and no call of it is
/// under way.
const ENDED_KEPT: Millis = Millis(7 * 86_400_000);
/// So many of them are forgotten at a time.
const MOST_FORGOTTEN: usize = 100;
/// So long after its end a lease is kept, for the sake of calls that were booked at their ceilings and may be corrected.
const CORRECTED_WITHIN: Millis = Millis(3_600_000);

impl Ledger {
    /// Ends what has come to its end.
    pub fn sweep(&mut self, now: UnixMillis) {
        if now.since(self.swept_at) < EVERY && now >= self.swept_at {
            return;
        }
        self.swept_at = now;
        let ids: Vec<String> = self.isolates.keys().cloned().collect();
        for id in ids {
            self.commit_overdue(&id, now);
            self.end_leases(&id, now);
            self.forget(&id, now);
        }
        self.merge_gone(now);
        self.forget_aged(now);
        self.forget_surplus(now);
    }

    /// When [`Ledger::sweep`] has something to do even if no message comes; `None` if never.
    #[must_use]
    pub fn next_sweep(&self) -> Option<UnixMillis> {
        let opens = self.isolates.values().flat_map(|isolate| isolate.opens.values());
        opens.filter(|open| !open.committed).map(|open| open.deadline).min()
    }

    /// Books the calls whose deadline has passed at their ceilings.
    fn commit_overdue(&mut self, isolate: &str, now: UnixMillis) {
        let Some(held) = self.isolates.get_mut(isolate) else { return };
        let mut overdue = Vec::new();
        // What was booked stays to be corrected for as long as the isolate is heard of: if only its reports are lost, it
        // counts the call in what it says it used, however late.
        for (request, open) in held.opens.iter_mut().filter(|(_, open)| !open.committed && open.deadline <= now) {
            (open.committed, open.committed_at) = (true, now);
            // Of a budget that is no more nothing is booked, and nothing taken back should it come again.
            for (number, _) in &mut open.holds {
                let lease = held.leases.get(number);
                if lease.is_none_or(|lease| !self.rules.contains_key(PotName::read(&lease.pot).rule)) {
                    *number = 0;
                }
            }
            overdue.push((request.clone(), open.clone()));
        }
        for (request, open) in overdue {
            self.commit(isolate, &request, &open, 1, now);
        }
    }

    /// Books the ceilings of a call, or takes them back where `sign` is negative.
    pub(super) fn commit(&mut self, isolate: &str, request: &str, open: &Open, sign: i64, now: UnixMillis) {
        self.changed.push(Row::Isolate(isolate.to_owned()));
        for (number, ceiling) in &open.holds {
            self.move_on_for(isolate, *number, now);
            let Some(held) = self.isolates.get_mut(isolate) else { return };
            let Some(lease) = held.leases.get_mut(number) else { continue };
            let Some(Known { rule, .. }) = self.rules.get(PotName::read(&lease.pot).rule) else { continue };
            let before = lease.outstanding();
            lease.committed = lease.committed.saturating_add(sign * ceiling);
            self.changed.push(Row::lease(isolate, *number));
            let freed = before.saturating_sub(lease.outstanding());
            let Some(pot) = self.pots.get_mut(&lease.pot) else { continue };
            pot.leased = pot.leased.saturating_sub(freed).max(0);
            // Into a new window only that goes which an open lease may get back.
            if lease.counts_in(pot.window) && (!lease.closed || open.committed_at >= pot.window) {
                match sign {
                    1.. => pot.book(rule, *ceiling, now),
                    _ => pot.take_off(rule, *ceiling, open.committed_at),
                }
            }
            self.changed.push(Row::Pot(lease.pot.clone()));
        }
        // The row says what the call may have cost, whatever has become of its budgets; and its correction says the same.
        let cost = open.holds.iter().map(|(_, ceiling)| *ceiling).max().unwrap_or_default();
        if cost != 0 && !open.counted_elsewhere {
            let (request, key) = (request.to_owned(), open.key.clone());
            let team = self.keys.get(&key).and_then(|standing| standing.terms.team.clone());
            self.committed.push(Committed { request, key, team, cost: sign * cost, at: now });
        }
    }

    /// Ends leases that were not renewed. What a strict budget had leased stays charged until the isolate says what
    /// became of it; of anything else, what no call under way holds is free again.
    fn end_leases(&mut self, isolate: &str, now: UnixMillis) {
        let Some(held) = self.isolates.get_mut(isolate) else { return };
        let expired = held.leases.iter().filter(|(_, lease)| !lease.closed && lease.until <= now);
        let expired: Vec<u64> = expired.map(|(number, _)| *number).collect();
        for number in expired {
            self.move_on_for(isolate, number, now);
            let Some(held) = self.isolates.get_mut(isolate) else { return };
            if held.leases.get(&number).is_none_or(|lease| lease.closed) {
                continue;
            }
            let ceilings = held.ceilings(number);
            // Of what a call was booked at too high the isolate may have given a part to another, and not said so yet.
            let is_of = |open: &Open| open.committed && open.holds.iter().any(|(lease, _)| *lease == number);
            let may_be_corrected = held.opens.values().any(is_of);
            let Some(lease) = held.leases.get_mut(&number) else { continue };
            let known = self.rules.get(PotName::read(&lease.pot).rule).map(|known| &known.rule);
            let pot = self.pots.get_mut(&lease.pot);
            let (Some(rule), Some(pot)) = (known, pot) else {
                lease.closed = true;
                self.changed.push(Row::lease(isolate, number));
                continue;
            };
            let has_more = lease.outstanding() > 0 || may_be_corrected;
            let may_be_spent = has_more && !has_left(rule, lease, now);
            if rule.is_strict_budget() && may_be_spent {
                continue;
            }
            let outstanding = lease.outstanding();
            // Calls under way go on; when they end, or their deadline comes, they are booked without a lease.
            let kept = if matches!(rule, Rule::Budget(_)) { ceilings.min(outstanding) } else { 0 };
            if kept > 0 {
                continue;
            }
            lease.closed = true;
            pot.left_by(number);
            pot.leased = pot.leased.saturating_sub(outstanding).max(0);
            self.changed.extend([Row::Pot(lease.pot.clone()), Row::lease(isolate, number)]);
        }
    }

    /// Moves a pot on to the window that `now` is in, see [`Pot::move_on`].
    pub(super) fn move_on(&mut self, pot: &str, now: UnixMillis) {
        let Ledger { rules, pots, isolates, changed, .. } = self;
        if let (Some(known), Some(pot)) = (rules.get(PotName::read(pot).rule), pots.get_mut(pot)) {
            pot.move_on(&known.rule, isolates, changed, now);
        }
    }

    /// Moves the pot of a lease on.
    pub(super) fn move_on_for(&mut self, isolate: &str, lease: u64, now: UnixMillis) {
        let lease = self.isolates.get(isolate).and_then(|held| held.leases.get(&lease));
        if let Some(pot) = lease.map(|lease| lease.pot.clone()) {
            self.move_on(&pot, now);
        }
    }

    /// Forgets ended leases, and an isolate that is gone for good once nothing of a strict budget is charged to it.
    fn forget(&mut self, isolate: &str, now: UnixMillis) {
        let Some(held) = self.isolates.get_mut(isolate) else { return };
        let before = held.opens.len();
        let is_gone = now.since(held.seen_at) >= GONE_AFTER;
        let is_over = now.since(held.seen_at) >= TRUTH_WITHIN;
        held.opens.retain(|_, open| !(is_over && open.committed));
        let opens: Vec<u64> = held.opens.values().flat_map(|open| open.holds.iter().map(|(lease, _)| *lease)).collect();
        let (rules, changed) = (&self.rules, &mut self.changed);
        held.leases.retain(|number, lease| {
            if !lease.closed || opens.contains(number) {
                return true;
            }
            // Of a rate nothing is booked later, nor of a lease of which the isolate has said all.
            let is_money = || rules.get(PotName::read(&lease.pot).rule).is_some_and(|it| it.rule.unit().is_none());
            let may_be_told = lease.is_untold() && is_money();
            let may_be_corrected = may_be_told && !is_gone && now.since(lease.until) < CORRECTED_WITHIN;
            if !may_be_corrected {
                changed.push(Row::lease(isolate, *number));
            }
            may_be_corrected
        });
        let is_over = is_gone && held.leases.is_empty() && held.opens.is_empty();
        if held.opens.len() < before || is_over {
            self.changed.push(Row::Isolate(isolate.to_owned()));
        }
        if is_over {
            self.isolates.remove(isolate);
        }
    }

    /// Isolates that are gone come without end too: the leases of those that are gone longest become one for each pot.
    fn merge_gone(&mut self, now: UnixMillis) {
        let is_over = |held: &Isolate| held.opens.values().all(|open| open.committed);
        let is_gone = |held: &Isolate| now.since(held.seen_at) >= GONE_AFTER && is_over(held);
        let gone = self.isolates.iter().filter(|(id, held)| *id != GONE && is_gone(held));
        let surplus = gone.clone().count().saturating_sub(MOST_GONE);
        if surplus == 0 {
            return;
        }
        let mut gone: Vec<(UnixMillis, String)> = gone.map(|(id, held)| (held.seen_at, id.clone())).collect();
        sorted::sort(&mut gone);
        for (_, id) in gone.into_iter().take(surplus) {
            let Some(held) = self.isolates.remove(&id) else { continue };
            self.changed.extend([Row::Isolate(id.clone()), Row::Isolate(GONE.to_owned())]);
            let all = self.isolates.entry(GONE.to_owned()).or_default();
            all.seen_at = all.seen_at.max(held.seen_at);
            for (number, lease) in held.leases {
                let mut pot = self.pots.get_mut(&lease.pot);
                let known = pot.as_ref().and_then(|pot| pot.lease_of(GONE));
                if let Some(pot) = &mut pot {
                    pot.left_by(number);
                    if known.is_none() && !lease.closed {
                        pot.held_by(GONE, number);
                    }
                }
                let place = known.unwrap_or(number);
                self.changed.extend([Row::lease(&id, number), Row::lease(GONE, place)]);
                let into = all.leases.get_or_default(place);
                if known.is_some() {
                    into.granted = into.granted.saturating_add(lease.outstanding());
                    into.until = into.until.max(lease.until);
                } else {
                    *into = lease;
                }
            }
        }
    }

    /// Forgets keys that ended for good long ago, with all that is theirs, and the parts of users, sessions and tags of which
    /// nothing counts any more: their period is over, or their bucket is full. Should they come again, they begin with the
    /// same.
    fn forget_aged(&mut self, now: UnixMillis) {
        if now.since(self.aged_at) < AGED_EVERY && now >= self.aged_at {
            return;
        }
        self.aged_at = now;
        let ended = self.keys.iter().filter(|(_, standing)| {
            let terms = &standing.terms;
            let revoked_at = terms.ended.filter(|ended| *ended == Ended::Revoked).map(|_| terms.updated_at);
            revoked_at.or(terms.expires_at).is_some_and(|end| now.since(end) >= ENDED_KEPT)
        });
        for key in ended.map(|(key, _)| key.clone()).take(MOST_FORGOTTEN).collect::<Vec<_>>() {
            self.forget_key(&key);
        }
        let (rules, keys) = (&self.rules, &self.keys);
        // What is leased of a rule or a key that is no more is never given back.
        let is_nobodys = |name: &str, pot: &Pot| {
            let PotName { rule, subject } = PotName::read(name);
            let Some(Known { rule, .. }) = rules.get(rule) else { return true };
            let is_key = rule.scope().kind == ScopeKind::Key && now.since(pot.used_at) >= ENDED_KEPT;
            is_key && subject.is_some_and(|key| !keys.contains_key(key))
        };
        let is_over = |name: &str, pot: &Pot| {
            let Some(Known { rule, .. }) = rules.get(PotName::read(name).rule) else { return false };
            let mut later = pot.clone();
            later.advance(rule, now);
            comes_in_numbers(rule) && later.standing(rule, now).spent == 0
        };
        // Of one that was drawn from of late, an isolate may still report.
        let rests = |pot: &Pot| now.since(pot.used_at) >= GONE_AFTER;
        let over = self
            .pots
            .iter()
            .filter(|(name, pot)| rests(pot) && (is_nobodys(name, pot) || pot.leased == 0 && is_over(name, pot)));
        for name in over.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.pots.remove(&name);
            self.changed.push(Row::Pot(name));
        }
    }

    /// Users, sessions and tags come without end: pots with nothing leased that rest longest are given up.
    pub(super) fn forget_surplus(&mut self, now: UnixMillis) {
        if self.pots.len() <= MOST_POTS {
            return;
        }
        let rules = &self.rules;
        let may_go = |name: &str| rules.get(PotName::read(name).rule).is_none_or(|known| comes_in_numbers(&known.rule));
        let mut resting: Vec<(UnixMillis, String)> = self
            .pots
            .iter()
            .filter(|(name, pot)| pot.leased == 0 && now.since(pot.used_at) > EVERY && may_go(name))
            .map(|(name, pot)| (pot.used_at, name.clone()))
            .collect();
        sorted::sort(&mut resting);
        for (_, name) in resting.into_iter().take(MOST_POTS / 10) {
            self.pots.remove(&name);
            self.changed.push(Row::Pot(name));
        }
    }
}

/// Whether all that can have been spent of a lease has left its rolling window.
fn has_left(rule: &Rule, lease: &Lease, now: UnixMillis) -> bool {
    let Rule::Budget(budget) = rule else { return false };
    let Some(parts) = budget.parts() else { return false };
    // What counts is when it was spent, and the last call that drew from it may have ended long after it.
    let window = parts.length.0.saturating_mul(parts.count.unsigned_abs() + 1);
    now.since(lease.until).0 >= window.saturating_add(GONE_AFTER.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{
        Budget, LeaseReport, LeaseTold, Message, Need, Opened, PROTOCOL, Period, Scope, ScopeKind, Terms,
    };
    use crate::limit::{Limit, Per};
    use crate::units::NanoUsd;

    const DAY: Millis = Millis(86_400_000);

    fn ledger(period: Period, now: UnixMillis, users: usize) -> Ledger {
        let mut ledger = Ledger::default();
        let scope = Scope { kind: ScopeKind::User, id: "*".into() };
        let rule = Rule::Budget(Budget { id: "b".into(), scope, limit: NanoUsd(100), period, ..Budget::default() });
        for user in 0..users {
            let mut pot = Pot::default();
            pot.advance(&rule, now);
            pot.book(&rule, 60, UnixMillis(now.0 + i64::try_from(user).unwrap()));
            ledger.pots.insert(format!("b/user {user}"), pot);
        }
        ledger.set_rule(rule);
        ledger
    }

    #[test]
    fn what_a_user_spent_is_forgotten_once_it_counts_no_more() {
        let now = UnixMillis(1_790_000_000_000);
        for (period, after, left) in
            [(Period::Day, Millis(0), 3), (Period::Day, DAY, 0), (Period::Total, Millis(400 * DAY.0), 3)]
        {
            let mut ledger = ledger(period, now, 3);
            ledger.take_changes();
            ledger.sweep(now.plus(after));
            assert_eq!(ledger.pots.len(), left, "{period:?}, {after:?} later");
            let deleted = ledger.take_changes().into_iter().filter(|(_, value)| value.is_none()).count();
            assert_eq!(deleted, 3 - left, "and in storage");
        }
    }

    #[test]
    fn a_ceiling_that_is_taken_back_is_taken_from_where_it_was_booked() {
        let hour = Millis(3_600_000);
        let rule = Rule::Budget(Budget {
            id: "b".into(),
            scope: Scope { kind: ScopeKind::Account, ..Scope::default() },
            limit: NanoUsd(100),
            period: Period::Hour,
            window: crate::budget::Window::Rolling,
            ..Budget::default()
        });
        let start = UnixMillis(1_790_000_000_000);
        let mut ledger = Ledger::default();
        ledger.set_rule(rule);
        let need = Need { pot: "b".into(), least: 60, want: 60 };
        let message = |message: Message| Message { version: PROTOCOL, isolate: "i".into(), ..message };
        let granted = ledger.handle(message(Message { ask: 1, needs: vec![need], ..Message::default() }), start);
        let lease = granted.leases.first().expect("a lease").lease;
        let open = Opened { request: "r.1".into(), key: "k".into(), holds: vec![(lease, 60)], ..Opened::default() };
        ledger.handle(message(Message { report: 1, opened: vec![open], ..Message::default() }), start);
        let overdue = start.plus(Millis(2_000));
        ledger.sweep(overdue);
        assert_eq!(ledger.standing("b", overdue).map(|it| it.spent), Some(60), "booked at its ceiling");
        // It took 10, and that is heard of fifty minutes later.
        let late = start.plus(Millis(50 * 60_000));
        let told = LeaseReport { lease, pot: "b".into(), used: 10, returned: 50, ..LeaseReport::default() };
        let closed = vec!["r.1".to_owned()];
        ledger.handle(message(Message { report: 2, closed, leases: vec![told], ..Message::default() }), late);
        assert_eq!(ledger.standing("b", late).map(|it| it.spent), Some(10));
        // When the hour in which it was booked is over, it must not be taken back once more.
        for minutes in 0..60 {
            let now = start.plus(hour).plus(Millis(minutes * 60_000));
            let standing = ledger.standing("b", now).expect("known");
            assert!((0..=10).contains(&standing.spent), "{minutes} minutes later: {}", standing.spent);
        }
    }

    #[test]
    fn what_is_left_of_a_ceiling_is_not_given_out_while_another_call_may_have_it() {
        let mut ledger = Ledger::default();
        let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
        let budget = Budget { id: "b".into(), scope, limit: NanoUsd(100), period: Period::Total, ..Budget::default() };
        ledger.set_rule(Rule::Budget(budget));
        let message = |isolate: &str, message| Message { version: PROTOCOL, isolate: isolate.into(), ..message };
        let ask = |least, ask| {
            let needs = vec![Need { pot: "b".into(), least, want: least }];
            Message { ask, needs, ..Message::default() }
        };
        let start = UnixMillis(1_790_000_000_000);
        let granted = ledger.handle(message("one", ask(60, 1)), start);
        let lease = granted.leases.first().expect("a lease").lease;
        let opened = |request: &str, most| {
            vec![Opened { request: request.into(), key: "k".into(), holds: vec![(lease, most)], ..Opened::default() }]
        };
        let first = Message { report: 1, opened: opened("r.1", 60), ..Message::default() };
        ledger.handle(message("one", first), start);
        // The call is overdue, and then the lease is.
        for seconds in [2, 20, 40] {
            ledger.sweep(start.plus(Millis(seconds * 1_000)));
        }
        // It took 10, and another call had the rest already: the word of both comes late.
        let late = start.plus(Millis(60_000));
        let told = LeaseReport { lease, pot: "b".into(), used: 10, ..LeaseReport::default() };
        let opened = opened("r.2", 50);
        let second =
            Message { report: 2, closed: vec!["r.1".into()], leases: vec![told], opened, ..Message::default() };
        ledger.handle(message("one", second), late);
        assert_eq!(ledger.standing("b", late).map(|it| (it.spent, it.leased)), Some((10, 50)));
        assert!(ledger.handle(message("two", ask(41, 1)), late).refusal.is_some(), "40 are left");
        assert!(ledger.handle(message("two", ask(40, 2)), late).refusal.is_none());
    }

    /// A call that holds 30 of a key's own budget is booked at that, as nothing is heard of it until its deadline.
    fn overdue(ledger: &mut Ledger, before_deadline: impl FnOnce(&mut Ledger)) {
        let needs = vec![Need { pot: "b".into(), least: 30, want: 30 }];
        let ask = Message { version: PROTOCOL, isolate: "i".into(), ask: 1, needs, ..Message::default() };
        let lease = ledger.handle(ask, START).leases.first().expect("a lease").lease;
        let opened =
            vec![Opened { request: "r.1".into(), key: "k".into(), holds: vec![(lease, 30)], ..Opened::default() }];
        let report = Message { version: PROTOCOL, isolate: "i".into(), report: 1, opened, ..Message::default() };
        ledger.handle(report, START);
        before_deadline(ledger);
        ledger.sweep(START.plus(Millis(2_000)));
    }

    /// Then its isolate says that it took 12.
    fn corrected(ledger: &mut Ledger) -> Vec<i64> {
        let leases = vec![LeaseReport { lease: 1, pot: "b".into(), used: 12, returned: 18, ..LeaseReport::default() }];
        let closed = vec!["r.1".into()];
        let report =
            Message { version: PROTOCOL, isolate: "i".into(), report: 2, closed, leases, ..Message::default() };
        ledger.handle(report, START.plus(Millis(4_000)));
        ledger.take_committed().into_iter().map(|row| row.cost).collect()
    }

    const START: UnixMillis = UnixMillis(1_790_000_000_000);

    #[test]
    fn what_is_leased_when_a_window_ends_counts_in_the_next_one() {
        const HOUR: i64 = 3_600_000;
        let at = |millis: i64| UnixMillis(START.0 - START.0 % HOUR + HOUR + millis);
        let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
        let budget = Budget { id: "b".into(), scope, limit: NanoUsd(100), period: Period::Hour, ..Budget::default() };
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Budget(budget));
        let message = |isolate: &str, message| Message { version: PROTOCOL, isolate: isolate.into(), ..message };
        let ask = |ask, least| {
            let needs = vec![Need { pot: "b".into(), least, want: least }];
            Message { ask, needs, ..Message::default() }
        };
        let lease = ledger.handle(message("one", ask(1, 60)), at(-3_000)).leases.first().expect("a lease").lease;
        let holds = vec![(lease, 30)];
        let opened = vec![Opened { request: "r.1".into(), key: "k".into(), holds, ..Opened::default() }];
        ledger.handle(message("one", Message { report: 1, opened, ..Message::default() }), at(-3_000));
        // Half of it is a call that is booked at its ceiling; all of it may be spent in the hour that begins.
        ledger.sweep(at(-1_000));
        let figures = |ledger: &mut Ledger, now| ledger.standing("b", now).map(|it| (it.spent, it.leased));
        assert_eq!(figures(&mut ledger, at(-500)), Some((30, 30)));
        assert!(ledger.handle(message("two", ask(1, 41)), at(500)).refusal.is_some(), "40 are left");
        assert_eq!(figures(&mut ledger, at(500)), Some((30, 30)));
        assert!(ledger.handle(message("two", ask(2, 40)), at(500)).refusal.is_none());
        // The truth comes: 10 were used, and the rest is given back.
        let told = LeaseReport { lease, pot: "b".into(), used: 10, returned: 50, ..LeaseReport::default() };
        let told = Message { report: 2, closed: vec!["r.1".into()], leases: vec![told], ..Message::default() };
        ledger.handle(message("one", told), at(1_000));
        assert_eq!(figures(&mut ledger, at(1_000)), Some((10, 40)));
        // Of what reaches into no further hour nothing counts there.
        assert_eq!(figures(&mut ledger, at(HOUR)), Some((0, 0)));
    }

    #[test]
    fn a_correction_that_comes_after_its_budget_was_deleted_corrects_the_row() {
        let budget = Rule::Budget(Budget {
            id: "b".into(),
            scope: Scope { kind: ScopeKind::Account, ..Scope::default() },
            limit: NanoUsd(100),
            ..Budget::default()
        });
        for comes_again in [false, true] {
            for before_deadline in [false, true] {
                let mut ledger = Ledger::default();
                ledger.set_rule(budget.clone());
                let delete = |ledger: &mut Ledger| {
                    ledger.remove_rule("b");
                    if comes_again {
                        ledger.set_rule(budget.clone());
                    }
                };
                overdue(&mut ledger, |ledger| {
                    if before_deadline {
                        delete(ledger)
                    }
                });
                if !before_deadline {
                    delete(&mut ledger);
                }
                assert_eq!(corrected(&mut ledger), [30, -30], "{comes_again} {before_deadline}");
                let standing = ledger.standing("b", START.plus(Millis(4_000))).map(|it| (it.spent, it.leased));
                assert_eq!(standing, comes_again.then_some((0, 0)), "nothing of another budget of its name");
                ledger.sweep(START.plus(DAY));
                assert!(ledger.isolates.is_empty(), "{:?}", ledger.isolates);
            }
        }
    }

    #[test]
    fn what_was_not_booked_while_a_key_had_no_budget_is_not_taken_back_once_it_has() {
        let own = Budget { id: "b".into(), scope: Scope::key("k"), limit: NanoUsd(100), ..Budget::default() };
        let terms = |budgets: &[&Budget], at: i64| Terms {
            key: "k".into(),
            updated_at: UnixMillis(at),
            budgets: budgets.iter().map(|budget| (*budget).clone()).collect(),
            ..Terms::default()
        };
        for (while_it_has_none, spent) in [(true, 0), (false, 12)] {
            let mut ledger = Ledger::default();
            ledger.set_terms(terms(&[&own], 1));
            let take_off = |ledger: &mut Ledger| ledger.set_terms(terms(&[], 2));
            overdue(&mut ledger, |ledger| {
                if while_it_has_none {
                    take_off(ledger)
                }
            });
            take_off(&mut ledger);
            ledger.set_terms(terms(&[&own], 3));
            assert_eq!(corrected(&mut ledger), [30, -30]);
            assert_eq!(ledger.standing("b", START.plus(Millis(4_000))).map(|it| it.spent), Some(spent));
        }
    }

    #[test]
    fn what_was_leased_of_a_budget_that_is_no_more_is_forgotten() {
        let mut ledger = Ledger::default();
        let start = UnixMillis(1_790_000_000_000);
        let budget = Budget { id: "b".into(), scope: Scope::key("k"), limit: NanoUsd(100), ..Budget::default() };
        let terms = |budgets, updated_at| Terms { key: "k".into(), budgets, updated_at, ..Terms::default() };
        ledger.set_terms(terms(vec![budget], start));
        let needs = vec![Need { pot: "b".into(), least: 10, want: 10 }];
        let ask = Message { version: PROTOCOL, isolate: "i".into(), ask: 1, needs, ..Message::default() };
        assert!(ledger.handle(ask, start).refusal.is_none());
        ledger.set_terms(terms(Vec::new(), start.plus(Millis(1))));
        ledger.sweep(start.plus(DAY));
        assert!(ledger.pots.is_empty() && ledger.isolates.is_empty(), "{ledger:?}");
    }

    #[test]
    fn a_key_that_ended_long_ago_is_forgotten_with_all_that_was_its_own() {
        let mut ledger = Ledger::default();
        let each = Scope { kind: ScopeKind::Key, id: "*".into() };
        let of_each = Budget { id: "each".into(), scope: each, limit: NanoUsd(100), ..Budget::default() };
        ledger.set_rule(Rule::Budget(of_each));
        let ends = [("live", None), ("off", Some(Ended::Disabled)), ("gone", Some(Ended::Revoked)), ("old", None)];
        for (key, ended) in ends {
            let expires_at = (key == "old").then_some(START.plus(DAY));
            let own = Budget { id: format!("own-{key}"), scope: Scope::key(key), ..Budget::default() };
            let budgets = vec![Budget { limit: NanoUsd(100), ..own }];
            let terms = Terms { key: key.into(), budgets, updated_at: START, expires_at, ..Terms::default() };
            ledger.set_terms(terms.clone());
            let pots = [format!("own-{key}"), format!("each/{key}")];
            let needs = pots.map(|pot| Need { pot, least: 60, want: 60 }).to_vec();
            // Its isolate dies with what it was given.
            let ask = Message { version: PROTOCOL, isolate: key.into(), ask: 1, needs, ..Message::default() };
            assert!(ledger.handle(ask, START).refusal.is_none());
            ledger.set_terms(Terms { ended, updated_at: START.plus(Millis(1)), ..terms });
        }
        let mut rows = std::collections::BTreeMap::new();
        for (days, stay) in [(6, 4), (7, 3), (9, 2), (10, 2)] {
            ledger.sweep(START.plus(Millis(days * DAY.0 + 1)));
            ledger.sweep(START.plus(Millis(days * DAY.0 + 2_000)));
            rows.extend(ledger.take_changes());
            let isolates = ledger.isolates.len();
            assert_eq!((ledger.keys.len(), ledger.pots.len(), isolates), (stay, 2 * stay, stay), "after {days} days");
            assert_eq!(ledger.rules.len(), stay + 1);
        }
        let left: Vec<&str> = rows.iter().filter(|(_, value)| value.is_some()).map(|(row, _)| row.place().1).collect();
        assert!(left.iter().any(|name| name.contains("live")));
        assert!(!left.iter().any(|name| name.contains("gone") || name.contains("old")), "{left:?}");
    }

    #[test]
    fn leases_that_nothing_is_left_to_be_told_of_do_not_pile_up() {
        let mut ledger = Ledger::default();
        let scope = Scope { kind: ScopeKind::Key, id: "*".into() };
        let budget = Budget { id: "b".into(), scope: scope.clone(), limit: NanoUsd::DOLLAR, ..Budget::default() };
        ledger.set_rule(Rule::Budget(budget));
        let limit = Limit { id: "l".into(), scope, per: Some(Per::Minute), max: 100, ..Limit::default() };
        ledger.set_rule(Rule::Limit(limit));
        let message = |message| Message { version: PROTOCOL, isolate: "i".into(), ..message };
        let mut now = UnixMillis(1_790_000_000_000);
        let mut stored = 0;
        // Forty keys, each with a call every fifteen seconds, for an hour.
        for round in 0..240 {
            let pots = (0..40).flat_map(|key| [format!("b/key_{key}"), format!("l/key_{key}")]);
            let needs = pots.map(|pot| Need { pot, least: 5, want: 9 }).collect();
            let reply = ledger.handle(message(Message { ask: round + 1, needs, ..Message::default() }), now);
            assert_eq!((reply.leases.len(), reply.refusal), (80, None));
            let told = reply.leases.into_iter().map(|told| {
                let LeaseTold { lease, pot, granted, used, .. } = told;
                LeaseReport { lease, pot, used: used + 1, returned: granted - 1, ..LeaseReport::default() }
            });
            let leases = told.collect();
            ledger.handle(message(Message { report: round + 1, leases, ..Message::default() }), now);
            let rows = ledger.take_changes().into_iter().filter(|(row, _)| matches!(row, Row::Isolate(_)));
            stored = rows.filter_map(|(_, value)| value).map(|value| value.len()).max().unwrap_or(stored);
            now = now.plus(Millis(15_000));
        }
        assert!(stored < 100_000, "a row of {stored} bytes, which may have two million");
        assert_eq!(ledger.standing("b/key_7", now).map(|it| (it.spent, it.leased)), Some((240, 0)));
    }

    #[test]
    fn of_too_many_users_those_that_rest_longest_begin_anew() {
        let now = UnixMillis(1_790_000_000_000);
        let mut ledger = ledger(Period::Total, now, MOST_POTS + 1);
        ledger.forget_surplus(now.plus(DAY));
        assert_eq!(ledger.pots.len(), MOST_POTS + 1 - MOST_POTS / 10);
        let newest = format!("b/user {MOST_POTS}");
        assert!(!ledger.pots.contains_key("b/user 0") && ledger.pots.contains_key(&newest));
    }
}
