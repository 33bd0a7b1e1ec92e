//! What died with an isolate: charged in full until somebody knows better.

use serde::Serialize;

use super::state::TERM;
use super::{Isolate, Lease, Ledger, Row};
use crate::budget::{PotName, Rule};
use crate::json::readable;
use crate::units::{Millis, NanoUsd, UnixMillis};

/// A lease that ended so long ago and was neither renewed nor given back is shown as lost.
const LOST_AFTER: Millis = Millis(60_000);

/// What became free again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Released {
    /// In all.
    pub amount: NanoUsd,
    /// From so many leases.
    pub leases: u64,
}
readable! { Released { amount, leases } }

impl Ledger {
    /// Frees what isolates of which nothing was heard for `silence` (at least the term of a lease) had leased of a budget;
    /// `None` where there is no such budget.
    ///
    /// Nobody else can tell what they spent of it before they died: whoever orders this takes it upon themselves that it
    /// may have been all. A report that comes after all is booked as what it says, beyond what was freed. Calls that were
    /// announced and not heard of since are not freed; they are booked at their ceilings when their deadline has passed.
    pub fn release(&mut self, rule: &str, silence: Millis, now: UnixMillis) -> Option<Released> {
        if !matches!(self.rules.get(rule)?.rule, Rule::Budget(_)) {
            return None;
        }
        self.sweep(now);
        let silent = |held: &Isolate| now.since(held.seen_at) >= silence.max(TERM);
        let ids: Vec<String> =
            self.isolates.iter().filter(|(_, held)| silent(held)).map(|(id, _)| id.clone()).collect();
        let mut released = Released::default();
        for id in ids {
            let Some(held) = self.isolates.get_mut(&id) else { continue };
            let of_rule = |lease: &Lease| PotName::read(&lease.pot).rule == rule;
            let ended = |lease: &Lease| !lease.closed && lease.until <= now && lease.outstanding() > 0;
            let numbers = held.leases.iter().filter(|(_, lease)| of_rule(lease) && ended(lease));
            let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
            for number in numbers {
                if held.ceilings(number) > 0 {
                    continue;
                }
                let Some(lease) = held.leases.get_mut(&number) else { continue };
                let outstanding = lease.outstanding();
                // Closed, so that the isolate, should it live, has to begin another.
                lease.closed = true;
                self.changed.push(Row::lease(&id, number));
                let Some(pot) = self.pots.get_mut(&lease.pot) else { continue };
                pot.left_by(number);
                pot.leased = pot.leased.saturating_sub(outstanding).max(0);
                self.changed.push(Row::Pot(lease.pot.clone()));
                released.amount += NanoUsd(outstanding);
                released.leases += 1;
            }
        }
        Some(released)
    }

    /// What of a pot is leased to isolates that have let their lease end without giving it back.
    pub(super) fn lost_of(&self, pot: &str, now: UnixMillis) -> i64 {
        let lost = self.leases_of(pot).filter(|(.., lease)| now.since(lease.until) >= LOST_AFTER);
        let leases =
            lost.map(|(isolate, number, lease)| lease.outstanding().saturating_sub(isolate.ceilings(number)).max(0));
        leases.fold(0, i64::saturating_add)
    }
}
