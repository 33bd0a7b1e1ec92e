//! One message in, one reply out.

use super::pot::rate;
use super::state::{Known, Standing, TERM};
use super::{Lease, Ledger, Notice, Open, Row};
use crate::budget::{
    KeyAsked, KeyNews, LeaseReport, LeaseTold, MOST_LISTED, Message, Need, Opened, PROTOCOL, PotName, Refusal, Reply,
    Rule, Rules,
};
use crate::sorted;
use crate::units::UnixMillis;

/// Bytes that the calls under way may take in their isolate's row: storage takes two million.
const MOST_OPEN_BYTES: usize = 1_900_000;

impl Ledger {
    /// Takes a message in and answers it. The same message again changes nothing.
    pub fn handle(&mut self, message: Message, now: UnixMillis) -> Reply {
        let id = message.isolate.clone();
        // First: an isolate that is heard of again after a long silence is not gone.
        self.isolates.entry(id.clone()).or_default().seen_at = now;
        self.sweep(now);
        let switches = self.switch_news(message.switches, now);
        let mut reply = Reply { version: PROTOCOL, term: TERM, switches, ..Reply::default() };
        for key in message.keys.into_iter().take(MOST_LISTED) {
            reply.keys.push(self.news(key));
        }
        for request in message.closed.iter().take(MOST_LISTED) {
            self.close_call(&id, request, now);
        }
        for report in message.leases.iter().take(MOST_LISTED) {
            self.report(&id, report, now);
        }
        self.open_calls(&id, message.report, message.opened, now);
        let is_new = !message.needs.is_empty() && self.isolates.entry(id.clone()).or_default().is_new_ask(message.ask);
        for report in message.leases.iter().filter(|report| report.renew).take(MOST_LISTED) {
            reply.leases.extend(self.renew(&id, &report.pot, report.want, now));
        }
        if is_new {
            match self.meet(&id, &message.needs, now) {
                Ok(()) => self.changed.push(Row::Isolate(id.clone())),
                Err(refusal) => reply.refusal = Some(refusal),
            }
        }
        for need in message.needs.iter().take(MOST_LISTED) {
            reply.leases.extend(self.told(&id, &need.pot, now));
        }
        if message.report > 0 {
            self.tell_unmentioned(&id, &message.leases, &mut reply.leases, now);
        }
        reply
    }

    fn news(&mut self, asked: KeyAsked) -> KeyNews {
        if let Some(terms) = asked.terms.filter(|terms| terms.key == asked.key) {
            self.set_terms(terms);
        }
        let Standing { terms, revision } = self.keys.get(&asked.key).cloned().unwrap_or_default();
        let revision = revision.max(self.meta.common).max(1);
        let rules = (revision != asked.have).then(|| {
            let (budgets, limits) = self.rules_of(&asked.key, terms.team.as_deref(), terms.part);
            Rules { budgets, limits }
        });
        KeyNews { key: asked.key, revision, ended: terms.ended, rules }
    }

    /// Takes in how a lease stands. Its counters only grow, so that an old report that comes late says nothing new.
    fn report(&mut self, isolate: &str, report: &LeaseReport, now: UnixMillis) {
        let of_isolate = self.isolates.get(isolate).and_then(|it| it.leases.get(&report.lease));
        if of_isolate.is_none_or(|lease| report.used <= lease.used && report.returned <= lease.returned) {
            return;
        }
        self.move_on_for(isolate, report.lease, now);
        let Some(lease) = self.isolates.get_mut(isolate).and_then(|it| it.leases.get_mut(&report.lease)) else {
            return;
        };
        self.changed.push(Row::lease(isolate, report.lease));
        let before = lease.outstanding();
        let used = report.used.saturating_sub(lease.used).max(0);
        let returned = report.returned.saturating_sub(lease.returned).max(0);
        lease.used = lease.used.saturating_add(used);
        lease.returned = lease.returned.saturating_add(returned);
        let (name, freed) = (lease.pot.clone(), before.saturating_sub(lease.outstanding()));
        let closed = lease.closed;
        // A call may take more than it held. Then that was granted, or the next call would have to find it once more.
        let over = lease.used.saturating_add(lease.returned).saturating_sub(lease.granted).max(0);
        lease.granted = lease.granted.saturating_add(over);
        let Some(Known { rule, .. }) = self.rules.get(PotName::read(&name).rule) else { return };
        let Some(pot) = self.pots.get_mut(&name) else { return };
        if !lease.counts_in(pot.window) {
            // Of a window that is over: its rows tell what was spent in it.
            return;
        }
        let taken_back = if closed { 0 } else { returned.min(freed) };
        pot.take_back(rule, taken_back);
        pot.leased = pot.leased.saturating_sub(freed - taken_back).max(0);
        pot.book(rule, used, now);
        pot.grant(rule, over, 0, now);
        self.changed.push(Row::Pot(name.clone()));
        self.warn(&name);
    }

    /// Lengthens the lease of a pot, or begins another, and tops it up by what there is.
    fn renew(&mut self, isolate: &str, pot: &str, want: i64, now: UnixMillis) -> Option<LeaseTold> {
        self.draw(isolate, pot, 0, want, now)?;
        self.told(isolate, pot, now)
    }

    /// Grants all needs of a call, or none.
    fn meet(&mut self, isolate: &str, needs: &[Need], now: UnixMillis) -> Result<(), Refusal> {
        let mut refusal: Option<(i64, Refusal)> = None;
        for need in needs.iter().take(MOST_LISTED) {
            self.move_on(&need.pot, now);
            let Some(Known { rule, .. }) = self.rules.get(PotName::read(&need.pot).rule) else { continue };
            let pot = self.pots.entry(need.pot.clone()).or_default();
            let available = pot.available(rule, now);
            let lacking = need.least.saturating_sub(available);
            if lacking <= 0 {
                continue;
            }
            let worst = refusal.as_ref().is_none_or(|(least, _)| available < *least);
            if worst {
                let may_return = rate(rule).is_none() && lacking <= pot.leased;
                let fits_at = pot.fits_at(rule, need.least, now);
                let standing = pot.standing(rule, now);
                refusal = Some((available, Refusal { pot: need.pot.clone(), standing, fits_at, may_return }));
            }
        }
        if let Some((_, refusal)) = refusal {
            return Err(refusal);
        }
        for need in needs.iter().take(MOST_LISTED) {
            self.draw(isolate, &need.pot, need.least, need.want, now);
        }
        Ok(())
    }

    /// Grants at least `least` and at best `want`, as far as that is fair to the others. `None` where there is no rule.
    fn draw(&mut self, isolate: &str, name: &str, least: i64, want: i64, now: UnixMillis) -> Option<()> {
        self.move_on(name, now);
        let sharers = self.sharers(name, now);
        let Known { rule, .. } = self.rules.get(PotName::read(name).rule)?;
        let pot = self.pots.entry(name.to_owned()).or_default();
        pot.advance(rule, now);
        let available = pot.available(rule, now).max(0);
        let fair = available / (2 * sharers);
        let amount = want.min(fair).max(least).clamp(0, available);
        let window = pot.window;
        self.changed.push(Row::Pot(name.to_owned()));
        let held = self.isolates.entry(isolate.to_owned()).or_default();
        let number = pot.lease_of(isolate).unwrap_or_else(|| {
            self.meta.lease += 1;
            self.changed.push(Row::Meta);
            held.leases.insert(self.meta.lease, Lease { pot: name.to_owned(), window, ..Lease::default() });
            pot.held_by(isolate, self.meta.lease);
            self.meta.lease
        });
        self.changed.push(Row::lease(isolate, number));
        let lease = held.leases.get_mut(&number)?;
        let before = lease.outstanding();
        lease.granted = lease.granted.saturating_add(amount);
        // What was used beyond the last grant was booked already, and is not leased once more.
        pot.grant(rule, amount, lease.outstanding().saturating_sub(before), now);
        lease.until = lease.until.max(now.plus(TERM));
        Some(())
    }

    /// Tells of leases that the isolate did not mention: the reply that granted them may never have reached it.
    fn tell_unmentioned(&self, isolate: &str, mentioned: &[LeaseReport], told: &mut Vec<LeaseTold>, now: UnixMillis) {
        let Some(held) = self.isolates.get(isolate) else { return };
        let mentioned = mentioned.iter().map(|report| report.lease);
        let mut known: Vec<u64> = mentioned.chain(told.iter().map(|told| told.lease)).collect();
        sorted::sort(&mut known);
        let is_unknown =
            |(number, lease): &(&u64, &Lease)| lease.outstanding() > 0 && known.binary_search(number).is_err();
        for (_, lease) in held.leases.iter().filter(is_unknown).take(MOST_LISTED) {
            told.extend(self.told(isolate, &lease.pot, now));
        }
    }

    fn told(&self, isolate: &str, name: &str, now: UnixMillis) -> Option<LeaseTold> {
        let sharers = self.sharers(name, now);
        let held = self.isolates.get(isolate)?;
        let pot = self.pots.get(name)?;
        let number = pot.lease_of(isolate)?;
        let lease = held.leases.get(&number)?;
        let Known { rule, .. } = self.rules.get(PotName::read(name).rule)?;
        let share = pot.available(rule, now).max(0) / (2 * sharers);
        let standing = pot.standing(rule, now);
        let Lease { granted, used, returned, .. } = *lease;
        Some(LeaseTold { lease: number, pot: name.to_owned(), granted, used, returned, share, standing })
    }

    /// How many isolates draw from a pot; at least one.
    fn sharers(&self, name: &str, now: UnixMillis) -> i64 {
        let count = self.leases_of(name).filter(|(_, _, lease)| lease.until > now).count();
        i64::try_from(count).unwrap_or(i64::MAX / 2).max(1)
    }

    /// Takes in which calls are under way, unless the report is an old one: then they may be over by now.
    fn open_calls(&mut self, isolate: &str, report: u64, opened: Vec<Opened>, now: UnixMillis) {
        let Some(held) = self.isolates.get_mut(isolate).filter(|held| held.reported < report) else { return };
        held.reported = report;
        if opened.is_empty() {
            return;
        }
        self.changed.push(Row::Isolate(isolate.to_owned()));
        let mut bytes: usize = held.opens.iter().map(|(request, open)| bytes_of(request, open)).sum();
        for Opened { request, key, holds, left, counted_elsewhere } in opened.into_iter().take(MOST_LISTED) {
            let deadline = now.plus(left);
            let open = Open { key, holds, deadline, counted_elsewhere, ..Open::default() };
            bytes += bytes_of(&request, &open);
            // Of one call too many no row is written should its isolate die; what it holds stays leased all the same.
            if bytes > MOST_OPEN_BYTES {
                break;
            }
            held.opens.get_or_insert_with(request, || open);
        }
    }

    /// A call is over. If it was booked at its ceiling, what was booked is taken back: the lease says what it took.
    fn close_call(&mut self, isolate: &str, request: &str, now: UnixMillis) {
        let Some(open) = self.isolates.get(isolate).and_then(|held| held.opens.get(request)) else { return };
        self.changed.push(Row::Isolate(isolate.to_owned()));
        if open.committed {
            self.commit(isolate, request, &open.clone(), -1, now);
        }
        self.isolates.get_mut(isolate).and_then(|held| held.opens.remove(request));
    }

    /// Says when a budget has reached a threshold.
    fn warn(&mut self, name: &str) {
        let named = PotName::read(name);
        let (Some(Known { rule: Rule::Budget(budget), .. }), Some(pot)) =
            (self.rules.get(named.rule), self.pots.get_mut(name))
        else {
            return;
        };
        let share = i128::from(pot.spent) * 1000 / i128::from(budget.limit.0.max(1));
        let thresholds = budget.warn_at.iter().map(|share| share.0).chain([1000]);
        let reached = thresholds.filter(|threshold| i128::from(*threshold) <= share).max().unwrap_or(0);
        if reached > pot.warned {
            pot.warned = reached;
            self.notices.push(Notice {
                budget: budget.id.clone(),
                subject: named.subject.map(str::to_owned),
                window: pot.window,
                share: reached,
                spent: pot.spent,
                limit: budget.limit.0,
            });
        }
    }
}

/// How many bytes a call under way takes in its isolate's row at most: its texts, numbers and the names of its members.
fn bytes_of(request: &str, open: &Open) -> usize {
    128 + request.len() + open.key.len() + 32 * open.holds.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, Period, Scope, ScopeKind, Share, Window};
    use crate::limit::{Limit, Per, Unit};
    use crate::units::{Millis, NanoUsd};

    #[test]
    fn more_calls_at_once_than_a_row_holds_do_not_lock_their_isolate_out() {
        const CALLS: usize = 30_000;
        let now = UnixMillis(1_790_000_000_000);
        let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Budget(Budget { id: "b".into(), scope, limit: NanoUsd::DOLLAR, ..Budget::default() }));
        let message = |message| Message { version: PROTOCOL, isolate: "i".into(), ..message };
        let needs = vec![Need { pot: "b".into(), least: 600_000, want: 600_000 }];
        let lease = ledger.handle(message(Message { ask: 1, needs, ..Message::default() }), now).leases[0].lease;
        let request = |call: usize| format!("req_01kabcdefghjkmnpqrstvwxyz{call:05}.{call}");
        let mut longest = 0;
        let mut tell = |ledger: &mut Ledger, report: u64, change: Message| {
            let leases = vec![LeaseReport { lease, pot: "b".into(), renew: true, ..LeaseReport::default() }];
            let reply = ledger.handle(message(Message { report, leases, ..change }), now);
            assert_eq!(reply.leases.len(), 1, "renewed");
            let rows = ledger.take_changes().into_iter().filter_map(|(_, value)| value);
            longest = rows.map(|value| value.len()).max().unwrap_or(0).max(longest);
        };
        for (report, first) in (1..).zip((0..CALLS).step_by(MOST_LISTED)) {
            let opened = (first..first + MOST_LISTED).map(|call| {
                let (key, holds) = ("key_01kabcdefghjkmnpqrstvwxyz0".to_owned(), vec![(lease, 20)]);
                Opened { request: request(call), key, holds, left: Millis(60_000), ..Opened::default() }
            });
            tell(&mut ledger, report, Message { opened: opened.collect(), ..Message::default() });
        }
        for (report, first) in (4..).zip((0..CALLS).step_by(MOST_LISTED)) {
            let closed = (first..first + MOST_LISTED).map(request).collect();
            tell(&mut ledger, report, Message { closed, ..Message::default() });
        }
        assert!((500_000..2_000_000).contains(&longest), "a row of {longest} bytes");
        assert!(ledger.isolates["i"].opens.is_empty());
        assert_eq!(ledger.standing("b", now).map(|it| (it.leased, it.held)), Some((600_000, 0)));
    }

    const START: UnixMillis = UnixMillis(1_790_000_000_000);

    fn counting(budget: Budget) -> Ledger {
        let mut ledger = Ledger::default();
        let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
        ledger.set_rule(Rule::Budget(Budget { id: "b".into(), scope, limit: NanoUsd(100), ..budget }));
        ledger
    }

    fn of_one(message: Message) -> Message {
        Message { version: PROTOCOL, isolate: "one".into(), ..message }
    }

    fn need(least: i64) -> Need {
        Need { pot: "b".into(), least, want: least }
    }

    #[test]
    fn each_threshold_is_told_of_once_when_it_is_reached() {
        const HOUR: u64 = 3_600_000;
        let warn_at = vec![Share(500), Share(800)];
        let (period, window) = (Period::Day, Window::Rolling);
        let mut ledger = counting(Budget { warn_at, period, window, ..Budget::default() });
        let mut shares = |ask, used, now| {
            let needs = vec![need(100 - used)];
            let lease = ledger.handle(of_one(Message { ask, needs, ..Message::default() }), now).leases[0].lease;
            let leases = vec![LeaseReport { lease, pot: "b".into(), used, ..LeaseReport::default() }];
            ledger.handle(of_one(Message { report: 1, leases, ..Message::default() }), now);
            let notices = ledger.take_notices().into_iter();
            notices.map(|it| (it.share, it.spent, it.limit)).collect::<Vec<_>>()
        };
        assert_eq!(shares(1, 49, START), []);
        assert_eq!(shares(2, 50, START), [(500, 50, 100)]);
        assert_eq!(shares(3, 79, START), []);
        assert_eq!(shares(4, 100, START), [(1000, 100, 100)], "the highest of two");
        assert_eq!(shares(5, 120, START), []);
        // What was spent has left the window by then, and the lease has ended.
        assert_eq!(shares(6, 60, START.plus(Millis(25 * HOUR))), [(500, 60, 100)]);
    }

    #[test]
    fn a_message_says_nothing_new_the_second_time() {
        let mut ledger = counting(Budget::default());
        let ask = of_one(Message { ask: 1, needs: vec![need(60)], ..Message::default() });
        let lease = ledger.handle(ask.clone(), START).leases.first().expect("a lease").lease;
        let rows: Vec<Row> = ledger.take_changes().into_iter().map(|(row, _)| row).collect();
        assert!(rows.contains(&Row::Meta), "no other lease gets its number after a restart: {rows:?}");
        let told = LeaseReport { lease, pot: "b".into(), used: 10, returned: 20, ..LeaseReport::default() };
        let holds = vec![(lease, 30)];
        let opened = vec![Opened { request: "r.1".into(), key: "k".into(), holds, ..Opened::default() }];
        let first = of_one(Message { report: 1, leases: vec![told.clone()], opened, ..Message::default() });
        let second =
            of_one(Message { report: 2, closed: vec!["r.1".into()], leases: vec![told], ..Message::default() });
        ledger.handle(first.clone(), START);
        ledger.handle(second.clone(), START);
        ledger.take_changes();
        let before = ledger.standing("b", START);
        for message in [ask, first, second] {
            ledger.handle(message, START);
            assert_eq!((ledger.take_changes(), ledger.standing("b", START)), (Vec::new(), before));
            assert_eq!(ledger.next_sweep(), None, "the call is over");
        }
    }

    #[test]
    fn a_new_window_is_whole_for_whoever_asks_first() {
        let mut ledger = counting(Budget { period: Period::Day, ..Budget::default() });
        let midnight = UnixMillis(1_790_035_200_000);
        let before = UnixMillis(midnight.0 - 1);
        let ask = |ask| of_one(Message { ask, needs: vec![need(100)], ..Message::default() });
        let lease = ledger.handle(ask(1), before).leases.first().expect("a lease").lease;
        let leases = vec![LeaseReport { lease, pot: "b".into(), used: 100, ..LeaseReport::default() }];
        ledger.handle(of_one(Message { report: 1, leases, ..Message::default() }), before);
        assert!(ledger.handle(ask(2), before).refusal.is_some());
        assert_eq!(ledger.handle(ask(3), midnight).refusal, None);
    }

    #[test]
    fn a_rolling_window_says_when_its_oldest_part_leaves() {
        let (period, window) = (Period::Day, Window::Rolling);
        let mut ledger = counting(Budget { period, window, ..Budget::default() });
        let ask = |ask| of_one(Message { ask, needs: vec![need(100)], ..Message::default() });
        let lease = ledger.handle(ask(1), START).leases.first().expect("a lease").lease;
        let leases = vec![LeaseReport { lease, pot: "b".into(), used: 100, ..LeaseReport::default() }];
        ledger.handle(of_one(Message { report: 1, leases, ..Message::default() }), START);
        let refusal = ledger.handle(ask(2), START.plus(Millis(3_600_000))).refusal.expect("nothing is left");
        let fits_at = refusal.fits_at.expect("a matter of time");
        assert_eq!(refusal.standing.resets_at, Some(fits_at));
        assert!(ledger.handle(ask(3), UnixMillis(fits_at.0 - 1)).refusal.is_some(), "told too late");
        assert_eq!(ledger.handle(ask(4), fits_at).refusal, None, "told too early");
    }

    #[test]
    fn all_of_a_rate_may_go_at_once_and_then_what_time_brings() {
        for max in [7, 59, 601] {
            let mut ledger = Ledger::default();
            let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
            let per = Some(Per::Minute);
            ledger.set_rule(Rule::Limit(Limit { id: "b".into(), scope, per, max, ..Limit::default() }));
            let (mut ask, mut granted) = (0, 0);
            for elapsed in (0..300_000).step_by(137) {
                let refused = loop {
                    ask += 1;
                    let message = of_one(Message { ask, needs: vec![need(1)], ..Message::default() });
                    match ledger.handle(message, START.plus(Millis(elapsed))).refusal {
                        None => granted += 1,
                        refusal => break refusal,
                    }
                };
                assert_eq!(granted, max + elapsed * max / 60_000, "{max} a minute, after {elapsed} ms");
                assert!(refused.is_some_and(|refused| refused.fits_at.is_some()));
            }
        }
    }

    #[test]
    fn a_lease_is_lengthened_and_told_of_where_that_is_asked_for() {
        let mut ledger = counting(Budget::default());
        let ask = of_one(Message { ask: 1, needs: vec![need(60)], ..Message::default() });
        let lease = ledger.handle(ask, START).leases.first().expect("a lease").lease;
        let report = |report, renew| {
            let leases = vec![LeaseReport { lease, pot: "b".into(), renew, ..LeaseReport::default() }];
            of_one(Message { report, leases, ..Message::default() })
        };
        let unmentioned = ledger.handle(of_one(Message { report: 1, ..Message::default() }), START);
        assert_eq!(unmentioned.leases.len(), 1, "the reply that granted it may be lost");
        let (second, third) = (START.plus(Millis(1_000)), START.plus(Millis(2_000)));
        assert_eq!(ledger.handle(report(2, false), second).leases, []);
        assert_eq!(ledger.isolates["one"].leases.get(&lease).map(|it| it.until), Some(START.plus(TERM)));
        assert_eq!(ledger.handle(report(3, true), third).leases.len(), 1);
        assert_eq!(ledger.isolates["one"].leases.get(&lease).map(|it| it.until), Some(third.plus(TERM)));
    }

    #[test]
    fn needs_of_the_same_pot_get_no_more_than_there_is() {
        let mut ledger = counting(Budget::default());
        let twice = Message { ask: 1, needs: vec![need(60), need(60)], ..Message::default() };
        assert_eq!(ledger.handle(of_one(twice), START).leases.first().map(|told| told.granted), Some(100));
        assert_eq!(ledger.standing("b", START).map(|it| it.leased), Some(100));
    }

    #[test]
    fn what_a_call_took_beyond_its_hold_is_gone_for_all_at_once() {
        let now = UnixMillis(1_790_000_000_000);
        let scope = Scope { kind: ScopeKind::Account, ..Scope::default() };
        let (unit, per) = (Unit::OutputTokens, Some(Per::Minute));
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Limit(Limit { id: "l".into(), scope, unit, per, max: 5_000, ..Limit::default() }));
        let mut handle = |isolate: &str, message| {
            ledger.handle(Message { version: PROTOCOL, isolate: isolate.into(), ..message }, now)
        };
        let ask = |least| {
            let needs = vec![Need { pot: "l".into(), least, want: least }];
            Message { ask: 1, needs, ..Message::default() }
        };
        let lease = handle("one", ask(4_000)).leases.first().expect("a lease").lease;
        let told = LeaseReport { lease, pot: "l".into(), used: 8_000, ..LeaseReport::default() };
        // The same again changes nothing.
        for report in [1, 2] {
            handle("one", Message { report, leases: vec![told.clone()], ..Message::default() });
        }
        let refusal = handle("two", ask(1_000)).refusal.expect("a refusal");
        assert_eq!(refusal.standing.spent, 8_000);
        // Three thousand beyond the limit, and the one that is asked for.
        assert!(refusal.fits_at.is_some_and(|at| (48_000..=48_010).contains(&at.since(now).0)), "{refusal:?}");
    }
}
