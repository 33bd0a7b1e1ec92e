use std::cell::Cell;
use std::rc::Rc;

use crate::budget::{LeaseReport, LeaseTold, PotStanding};
use crate::limit::Unit;
use crate::units::{Millis, UnixMillis};

/// Over how long an isolate looks back at its demand, and ahead of it.
const HORIZON: i64 = 2_000;
/// A slice that nothing was taken from for so long is given back.
const IDLE: Millis = Millis(3_000);

/// What an isolate has of one pot.
#[derive(Clone, Debug, Default)]
pub(super) struct Slice {
    /// The number of the lease; 0 where there is none yet.
    pub(super) lease: u64,
    /// Granted in all, as far as was told.
    pub(super) granted: i64,
    /// Used in all, told or not.
    pub(super) used: i64,
    /// Given back in all.
    pub(super) returned: i64,
    /// Held by calls under way.
    pub(super) held: i64,
    /// How many those are.
    pub(super) holders: u32,
    /// When it must not be drawn from any more.
    pub(super) until: UnixMillis,
    /// The fair share of what is left.
    share: i64,
    /// How the pot stood when that was last told.
    pub(super) standing: PotStanding,
    /// What of it the ledger knows.
    known: (i64, i64),
    /// Taken without a lease while the ledger did not answer.
    pub(super) on_credit: i64,
    demand: Demand,
    /// When something was last taken.
    taken_at: UnixMillis,
}

/// How much is taken within [`HORIZON`], the older the less it counts.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    amount: i64,
    at: UnixMillis,
}

impl Slice {
    /// What may be taken now; negative where calls took more than they held.
    pub(super) fn free(&self) -> i64 {
        self.granted.saturating_sub(self.used).saturating_sub(self.returned).saturating_sub(self.held)
    }

    /// Whether `amount` may be taken now.
    pub(super) fn affords(&self, amount: i64, now: UnixMillis) -> bool {
        self.lease > 0 && now < self.until && self.free() >= amount
    }

    /// A call holds `amount` of it.
    pub(super) fn hold(&mut self, amount: i64) {
        self.held = self.held.saturating_add(amount);
        self.holders = self.holders.saturating_add(1);
    }

    /// A call that held `amount` has used `used`.
    pub(super) fn settle(&mut self, amount: i64, used: i64) {
        self.held = self.held.saturating_sub(amount);
        self.holders = self.holders.saturating_sub(1);
        self.used = self.used.saturating_add(used);
    }

    /// What would be used within some seconds beyond what is free, for a call that wants `amount` now.
    pub(super) fn want(&self, amount: i64, now: UnixMillis) -> i64 {
        self.demand.within_horizon(now).max(amount).saturating_sub(self.free()).max(0)
    }

    /// Somebody wants `amount`.
    pub(super) fn wanted(&mut self, amount: i64, now: UnixMillis) {
        let before = self.demand.within_horizon(now);
        self.demand = Demand { amount: before.saturating_add(amount), at: now };
        self.taken_at = now;
    }

    /// What is spent of the pot as far as is known here.
    pub(super) fn spent(&self) -> i64 {
        self.standing.spent.saturating_add(self.used.saturating_sub(self.known.0))
    }

    /// What is there of a pot whose lease was replaced: no money, but what is known of the demand.
    pub(super) fn successor(&self) -> Slice {
        Slice { demand: self.demand, taken_at: self.taken_at, ..Slice::default() }
    }

    /// Takes in what the ledger says of the lease, which is this one or the first.
    pub(super) fn told(&mut self, told: &LeaseTold, until: UnixMillis) {
        if self.lease == 0 {
            // What was used without a lease is used of this one.
            self.lease = told.lease;
            self.used = self.used.saturating_add(told.used);
            self.known = (told.used, told.returned);
            self.returned = told.returned;
        }
        self.granted = self.granted.max(told.granted);
        self.used = self.used.max(told.used);
        self.returned = self.returned.max(told.returned);
        self.until = self.until.max(until);
        (self.share, self.standing) = (told.share, told.standing);
        self.on_credit = 0;
    }

    /// What is to be said of it; `None` where nothing is. Gives back what is not needed.
    pub(super) fn report(&mut self, pot: &str, is_current: bool, now: UnixMillis) -> Option<LeaseReport> {
        if self.lease == 0 {
            return None;
        }
        let idle = now.since(self.taken_at) >= IDLE;
        let target = if idle || !is_current { 0 } else { self.demand.within_horizon(now).min(self.share.max(0)) };
        let free = self.free();
        let surplus = free.saturating_sub(target);
        // Small differences are kept: they would go back and forth.
        if is_current && surplus > 0 && (target == 0 || surplus > target) {
            self.returned = self.returned.saturating_add(surplus);
        }
        let renew = is_current && (!idle || self.held > 0);
        let (used, returned) = (self.used, self.returned);
        if (used, returned) == self.known && !renew {
            return None;
        }
        let want = if idle { 0 } else { self.want(0, now) };
        Some(LeaseReport { lease: self.lease, pot: pot.to_owned(), used, returned, want, renew })
    }

    /// The ledger has this report.
    pub(super) fn reported(&mut self, report: &LeaseReport) {
        self.known = (self.known.0.max(report.used), self.known.1.max(report.returned));
    }

    /// Whether it can be forgotten: nothing is free or held, and the ledger knows all of it.
    pub(super) fn is_settled(&self) -> bool {
        self.held == 0 && self.known == (self.used, self.returned)
    }

    /// Whether it is at rest: like [`Slice::is_settled`], and ended.
    pub(super) fn is_at_rest(&self, now: UnixMillis) -> bool {
        self.is_settled()
            && (self.free() <= 0 || self.lease == 0)
            && self.until <= now
            && now.since(self.taken_at) >= IDLE
    }
}

impl Demand {
    fn within_horizon(self, now: UnixMillis) -> i64 {
        let age = i64::try_from(now.since(self.at).0).unwrap_or(i64::MAX);
        if age >= 4 * HORIZON {
            return 0;
        }
        // Rounded up: one call is a demand for one more.
        let whole = i128::from(HORIZON + age);
        let decayed = (i128::from(self.amount) * i128::from(HORIZON) + whole - 1) / whole;
        i64::try_from(decayed).unwrap_or(i64::MAX)
    }
}

/// A part of what a call holds.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The pot's name.
    pub(super) pot: Rc<str>,
    /// Where its slice stood when it was last looked for.
    pub(super) place: Cell<usize>,
    /// The number of the lease.
    pub(super) lease: u64,
    /// What is counted.
    pub(super) unit: Option<Unit>,
    /// How much of it is held.
    pub(super) amount: i64,
}
