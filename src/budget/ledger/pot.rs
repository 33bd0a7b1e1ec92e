use std::collections::HashMap;

use serde::Serialize;

use super::{Isolate, Row};
use crate::budget::{Enforcement, PotStanding, Rule};
use crate::json::{Error, Reader, readable};
use crate::limit::{Limit, Unit};
use crate::units::UnixMillis;

/// What one rule has left for one spender.
///
/// Stored as JSON: fields may be added, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pot {
    /// The window of a calendar budget, as the moment it began.
    pub window: UnixMillis,
    /// Spent in the window; in a rolling one, the sum of `parts`.
    pub spent: i64,
    /// What was spent in each part of a rolling window, by the part's number, oldest first.
    pub parts: Vec<(i64, i64)>,
    /// Leased to isolates and not used: the sum over leases that have not ended.
    pub leased: i64,
    /// Of a rate: when its bucket will be full, in microseconds since 1970.
    pub full_at: i64,
    /// What that leaves out of a microsecond, in parts of which the limit's amount makes one.
    #[serde(skip_serializing_if = "crate::budget::message::is_zero")]
    pub rest: i64,
    /// The highest share of the limit, in thousandths, that was told as a warning in this window.
    pub warned: u16,
    /// When it was last drawn from.
    pub used_at: UnixMillis,
    /// The leases that draw from it, by isolate and number. Not stored: they say so themselves.
    #[serde(skip)]
    pub holders: Vec<(String, u64)>,
}
readable! { Pot { window, spent, parts, leased, full_at, rest, warned, used_at, holders: unread } }

fn unread(reader: &mut Reader<'_>) -> Result<Vec<(String, u64)>, Error> {
    reader.value()?;
    Ok(Vec::new())
}

impl Pot {
    /// Moves on to the window that `now` is in. Leases whose term is over by then end with theirs; calls of the new one
    /// may draw from the others, of which all goes with it that their isolates have or may get back.
    pub(super) fn move_on(
        &mut self,
        rule: &Rule,
        isolates: &mut HashMap<String, Isolate>,
        changed: &mut Vec<Row>,
        now: UnixMillis,
    ) {
        if !self.advance(rule, now) {
            return;
        }
        let Pot { window, holders, leased, spent, .. } = self;
        holders.retain(|(id, number)| {
            let Some(held) = isolates.get_mut(id) else { return false };
            let committed = held.committed(*number, *window);
            let Some(lease) = held.leases.get_mut(number) else { return false };
            lease.closed = !lease.counts_in(*window);
            if lease.closed {
                changed.push(Row::lease(id, *number));
            } else {
                *leased = leased.saturating_add(lease.outstanding());
                *spent = spent.saturating_add(committed);
            }
            !lease.closed
        });
    }

    /// Moves on to the window that `now` is in, empty; whether it was in another one.
    pub(super) fn advance(&mut self, rule: &Rule, now: UnixMillis) -> bool {
        let Rule::Budget(budget) = rule else { return false };
        let frame = budget.frame(now);
        // A clock that was set back does not bring a window back.
        let is_next = frame.window > self.window;
        if is_next {
            let holders = std::mem::take(&mut self.holders);
            *self = Pot { window: frame.window, used_at: self.used_at, holders, ..Pot::default() };
        }
        if let Some(parts) = budget.parts() {
            let before = self.parts.len();
            self.parts.retain(|(part, _)| *part >= frame.part - parts.count);
            if self.parts.len() < before {
                self.warned = 0;
            }
            self.spent = self.parts.iter().map(|(_, spent)| spent).sum();
        }
        is_next
    }

    /// Books what was used.
    pub(super) fn book(&mut self, rule: &Rule, amount: i64, now: UnixMillis) {
        let Rule::Budget(budget) = rule else { return };
        self.spent = self.spent.saturating_add(amount);
        if budget.parts().is_some() {
            let part = budget.frame(now).part;
            match self.parts.last_mut() {
                Some((last, spent)) if *last >= part => *spent = spent.saturating_add(amount),
                _ => self.parts.push((part, amount)),
            }
        }
        self.used_at = now;
    }

    /// Takes back what was booked at `at`, where that counts still: of a rolling window it may have left already.
    pub(super) fn take_off(&mut self, rule: &Rule, amount: i64, at: UnixMillis) {
        let Rule::Budget(budget) = rule else { return };
        if budget.parts().is_some() {
            let part = budget.frame(at).part;
            let Some((_, spent)) = self.parts.iter_mut().find(|(known, _)| *known == part) else { return };
            *spent = spent.saturating_sub(amount);
        }
        self.spent = self.spent.saturating_sub(amount);
    }

    /// How much may still be granted.
    pub(super) fn available(&self, rule: &Rule, now: UnixMillis) -> i64 {
        match rule {
            Rule::Budget(budget) => {
                // A soft budget lets in what passes the limit by its credit, but nothing once it is reached.
                if budget.enforcement == Enforcement::Soft && self.spent >= budget.limit.0 {
                    return 0;
                }
                (budget.limit + budget.credit()).0.saturating_sub(self.spent).saturating_sub(self.leased)
            }
            Rule::Limit(limit) => match limit.unit {
                Unit::Parallel => as_amount(limit.max).saturating_sub(self.leased),
                _ => as_amount(limit.max).saturating_sub(self.missing(limit, now)),
            },
        }
    }

    /// Notes that a lease draws from it.
    pub(super) fn held_by(&mut self, isolate: &str, lease: u64) {
        if self.holders.is_empty() {
            // Most never have another, and room for four would take more than the rest of the pot.
            self.holders.reserve_exact(1);
        }
        self.holders.push((isolate.to_owned(), lease));
    }

    /// Notes that a lease draws from it no more.
    pub(super) fn left_by(&mut self, lease: u64) {
        self.holders.retain(|(_, held)| *held != lease);
    }

    /// The newest lease of an isolate.
    pub(super) fn lease_of(&self, isolate: &str) -> Option<u64> {
        self.holders.iter().filter(|(held_by, _)| held_by == isolate).map(|(_, lease)| *lease).max()
    }

    /// Hands out `amount`, of which `leased` is not used yet.
    pub(super) fn grant(&mut self, rule: &Rule, amount: i64, leased: i64, now: UnixMillis) {
        self.leased = self.leased.saturating_add(leased);
        self.used_at = now;
        if let Some(rate) = rate(rule) {
            let full = self.full(rate).max(i128::from(micros(now)) * parts(rate));
            self.set_full(rate, full + time_of(rate, amount));
        }
    }

    /// Takes back what was not used.
    pub(super) fn take_back(&mut self, rule: &Rule, amount: i64) {
        self.leased = self.leased.saturating_sub(amount).max(0);
        if let Some(rate) = rate(rule) {
            self.set_full(rate, self.full(rate) - time_of(rate, amount));
        }
    }

    /// How it stands.
    pub(super) fn standing(&self, rule: &Rule, now: UnixMillis) -> PotStanding {
        match rule {
            Rule::Budget(budget) => PotStanding {
                limit: budget.limit.0,
                spent: self.spent,
                leased: self.leased,
                held: 0,
                lost: 0,
                resets_at: budget.frame(now).ends.or_else(|| self.first_part_leaves(rule)),
            },
            Rule::Limit(limit) => PotStanding {
                limit: as_amount(limit.max),
                spent: if limit.unit == Unit::Parallel { 0 } else { self.missing(limit, now) },
                leased: if limit.unit == Unit::Parallel { self.leased } else { 0 },
                held: 0,
                lost: 0,
                resets_at: rate(rule).map(|_| UnixMillis(self.full_at.max(micros(now)).div_euclid(1000))),
            },
        }
    }

    /// When `amount` could be granted, where that is only a matter of time.
    pub(super) fn fits_at(&self, rule: &Rule, amount: i64, now: UnixMillis) -> Option<UnixMillis> {
        match rate(rule) {
            Some(limit) if amount <= as_amount(limit.max) => {
                let short = amount.saturating_sub(self.available(rule, now)).max(0);
                let wait = i64::try_from(time_of(limit, short) / parts(limit)).unwrap_or(i64::MAX / 4);
                Some(UnixMillis(now.0.saturating_add(wait.div_euclid(1000) + 1)))
            }
            Some(_) => None,
            None => self.standing(rule, now).resets_at,
        }
    }

    /// When the bucket of a rate will be full, in parts of a microsecond.
    fn full(&self, limit: &Limit) -> i128 {
        // The limit was higher, perhaps, when the rest was written.
        i128::from(self.full_at) * parts(limit) + i128::from(self.rest).min(parts(limit) - 1)
    }

    fn set_full(&mut self, limit: &Limit, full: i128) {
        self.full_at = i64::try_from(full.div_euclid(parts(limit))).unwrap_or(i64::MAX);
        self.rest = i64::try_from(full.rem_euclid(parts(limit))).unwrap_or(0);
    }

    /// What the bucket lacks to be full.
    fn missing(&self, limit: &Limit, now: UnixMillis) -> i64 {
        let wait = (self.full(limit) - i128::from(micros(now)) * parts(limit)).max(0);
        let per = i128::from(length(limit));
        i64::try_from((wait + per - 1) / per).unwrap_or(i64::MAX)
    }

    fn first_part_leaves(&self, rule: &Rule) -> Option<UnixMillis> {
        let Rule::Budget(budget) = rule else { return None };
        let (parts, (first, _)) = (budget.parts()?, self.parts.first()?);
        let length = i64::try_from(parts.length.0).unwrap_or(i64::MAX);
        Some(UnixMillis((first + parts.count + 1).saturating_mul(length)))
    }
}

/// The limit, if it is one that refills with time.
pub(super) fn rate(rule: &Rule) -> Option<&Limit> {
    match rule {
        Rule::Limit(limit) if limit.unit != Unit::Parallel => Some(limit),
        _ => None,
    }
}

/// How long a bucket takes to gain `amount`, in parts of a microsecond.
fn time_of(limit: &Limit, amount: i64) -> i128 {
    i128::from(amount.max(0)) * i128::from(length(limit))
}

/// Into how many parts a microsecond is divided, so that each amount takes a whole number of them.
fn parts(limit: &Limit) -> i128 {
    i128::from(limit.max.max(1))
}

/// The length of the limit's time, in microseconds.
fn length(limit: &Limit) -> i64 {
    limit.per.map_or(60_000_000, |per| i64::try_from(per.length().0 * 1000).unwrap_or(i64::MAX))
}

fn micros(now: UnixMillis) -> i64 {
    now.0.saturating_mul(1000)
}

fn as_amount(max: u64) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}
