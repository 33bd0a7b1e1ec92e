use super::{Hold, Purse, name_of};
use crate::budget::{Amounts, KeyAsked, Message, Opened, PROTOCOL, Reply};
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
        for (pot, slice) in self.slices.iter_mut() {
            message.leases.extend(slice.report(pot, true, now));
        }
        for (pot, slice) in &mut self.past {
            message.leases.extend(slice.report(pot, false, now));
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
