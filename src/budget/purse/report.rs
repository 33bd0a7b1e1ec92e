use super::{Hold, Purse, name_of};
use crate::budget::{Amounts, KeyAsked, MOST_LISTED, Message, Opened, PROTOCOL, Reply};
use crate::units::{Millis, NanoUsd, UnixMillis};

/// Calls get so much longer than their deadline before they are taken to be lost.
const GRACE: Millis = Millis(30_000);

impl Purse {
    /// Whether a report would say anything.
    #[must_use]
    pub fn owes_report(&self) -> bool {
        !self.holds.is_empty()
            || !self.past.is_empty()
            || !self.closed.is_empty()
            || self.keys.values().any(|known| known.served)
            || self.slices.values().any(|slice| slice.lease > 0 && (slice.free() > 0 || !slice.is_settled()))
    }

    /// What the ledger should know, and what the next seconds need. It must be sent until it is answered, and no other
    /// before.
    pub fn report(&mut self, now: UnixMillis) -> Message {
        self.end_overdue(now);
        self.reports += 1;
        let mut message = Message {
            version: PROTOCOL,
            isolate: self.isolate.clone(),
            report: self.reports,
            closed: std::mem::take(&mut self.closed),
            switches: self.switches,
            ..Message::default()
        };
        for (key, known) in self.keys.iter_mut().filter(|(_, known)| known.served) {
            known.served = false;
            message.keys.push(KeyAsked { key: key.clone(), have: known.revision, terms: None });
        }
        for (pot, slice) in &mut self.past {
            if message.leases.len() < MOST_LISTED {
                message.leases.extend(slice.report(pot, false, now));
            }
        }
        // What there is no room for begins the next report.
        let from = std::mem::take(&mut self.unreported);
        for (pot, slice) in self.slices.iter_mut().skip_while(|(pot, _)| **pot < from) {
            if message.leases.len() >= MOST_LISTED {
                self.unreported.clone_from(pot);
                break;
            }
            message.leases.extend(slice.report(pot, true, now));
        }
        for (number, held) in self.holds.iter_mut().filter(|(_, held)| !held.announced) {
            held.announced = true;
            let request = name_of(&held.request, Hold(*number));
            let money = held.parts.iter().filter(|part| part.unit.is_none());
            let holds: Vec<(u64, i64)> = money.map(|part| (part.lease, part.amount)).collect();
            if !holds.is_empty() {
                let left = Millis(held.deadline.since(now).0 + GRACE.0);
                let counted_elsewhere = held.counted_elsewhere;
                message.opened.push(Opened { request, key: held.key.clone(), holds, left, counted_elsewhere });
            }
        }
        self.reporting = Some(message.clone());
        message
    }

    /// The answer to the report that was sent at `sent` came.
    pub fn reported(&mut self, reply: &Reply, sent: UnixMillis) {
        let Some(message) = self.reporting.take() else { return };
        for report in &message.leases {
            if let Some(slice) = self.slices.get_mut(&report.pot).filter(|slice| slice.lease == report.lease) {
                slice.reported(report);
            } else if let Some((_, slice)) = self.past.iter_mut().find(|(_, slice)| slice.lease == report.lease) {
                slice.reported(report);
            }
        }
        self.away_until = UnixMillis(0);
        self.learn(reply, sent);
        self.past.retain(|(_, slice)| !slice.is_settled());
        self.slices.retain(|_, slice| !slice.is_at_rest(sent));
    }

    /// A call that is long overdue was lost on the way: its hold ends at what it held.
    fn end_overdue(&mut self, now: UnixMillis) {
        let overdue = |until: UnixMillis| now.since(until) > GRACE;
        let lost: Vec<u64> =
            self.holds.iter().filter(|(_, held)| overdue(held.deadline)).map(|(number, _)| *number).collect();
        for number in lost {
            let Some(held) = self.holds.get(&number) else { continue };
            let cost = held.parts.iter().filter(|part| part.unit.is_none()).map(|part| part.amount).max();
            let most = Amounts { cost: NanoUsd(cost.unwrap_or(0)), requests: 1, ..Amounts::default() };
            self.settle(Hold(number), &most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{
        Aim, Budget, LeaseTold, Rule, Scope, ScopeKind, Spender, Taken, Terms, Wanted, ledger::Ledger,
    };

    #[test]
    fn more_users_than_a_report_can_list_are_told_of_in_several() {
        const USERS: i64 = 12_000;
        let now = UnixMillis(1_790_000_000_000);
        let scope = Scope { kind: ScopeKind::User, id: "*".into() };
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Budget(Budget { id: "b".into(), scope, limit: NanoUsd(100), ..Budget::default() }));
        let mut purse = Purse::new("one".into());
        let terms = Terms { key: "k".into(), ..Terms::default() };
        for number in 0..USERS {
            let user = format!("user {number}");
            let wanted = Wanted {
                request: "req",
                most: Amounts { cost: NanoUsd(30), requests: 1, ..Amounts::default() },
                terms: &terms,
                deadline: now.plus(Millis(60_000)),
                again: false,
            };
            let spender = Spender { key: "k", user: Some(&user), ..Spender::default() };
            let hold = loop {
                let draws = purse.draws(&terms, &spender, &Aim::default());
                match purse.take(&wanted, draws.pots(), now) {
                    Taken::Held(hold) => break hold.expect("a budget counts it"),
                    Taken::Ask(message) => assert_eq!(purse.answered(&ledger.handle(message, now), now), None),
                    other => panic!("{other:?}"),
                }
            };
            purse.settle(hold, &Amounts { cost: NanoUsd(10), ..Amounts::default() });
        }
        // By then the first report lets all go that it was about.
        let mut later = now.plus(Millis(6_000));
        let mut reports = 0;
        while purse.owes_report() {
            let message = purse.report(later);
            assert!(message.leases.len() <= MOST_LISTED);
            let reply = ledger.handle(message, later);
            assert!(reply.leases.iter().all(|LeaseTold { used, .. }| *used <= 10));
            purse.reported(&reply, later);
            (reports, later) = (reports + 1, later.plus(Millis(1_000)));
            assert!(reports < 10, "there is no end");
        }
        assert_eq!(reports, 2);
        let spent: i64 = ledger.standings("b", later).values().map(|it| it.spent).sum();
        assert_eq!(spent, 10 * USERS);
    }
}
