//! What to try after a failure: a pure function of the failure, of what is left and of what was spent.

use crate::failure::{Failure, Kind, Retry};
use crate::units::{Millis, UnixMillis};

/// How often and how long a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most requests to upstreams for one call, the first included. 1 tries nothing twice and nowhere else.
    pub max_attempts: u32,
    /// Most repetitions on one target with one credential.
    pub same_target: u32,
    /// The longest first wait; each further one may be twice as long.
    pub backoff: Millis,
    /// No wait is longer. An upstream that asks for a longer one is not waited for.
    pub longest_wait: Millis,
    /// Whether a prompt that is too long for one model may go to another.
    pub context_length: bool,
    /// Whether what one model's provider refuses to say may be asked of another.
    pub content_policy: bool,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 6,
            same_target: 2,
            backoff: Millis(250),
            longest_wait: Millis(5_000),
            context_length: false,
            content_policy: false,
        }
    }
}

/// What a call has not tried yet. Blocked targets come last, and those that are off do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Another credential of the provider that failed.
    pub credential: bool,
    /// The next target serves the same model.
    pub same_model: bool,
    /// The next target serves another model.
    pub other_model: bool,
}

/// What a call has spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Requests to upstreams, the one that just failed included.
    pub attempts: u32,
    /// How often the target that just failed was asked, with this credential.
    pub of_target: u32,
    /// What is left of the total deadline.
    pub time_left: Millis,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same target and credential after this wait.
    Again(Millis),
    /// The same target with the next credential.
    Credential,
    /// The next target.
    Target,
    /// Nothing: the caller gets the failure.
    Stop,
}

/// Decides what follows a failure.
///
/// - What would fail everywhere is not tried again. A prompt that is too long, or refused, goes to another model only
///   where that was allowed.
/// - What is the credential's fault goes to the next credential, then to the next target.
/// - What waiting may heal goes at once to another credential (where it counts per account) or to the same model
///   elsewhere. Only when neither is left is the target asked again, after a wait; and only after that another model. The
///   last target of a call that was elsewhere before is asked until its attempts are spent, unless none is repeated.
/// - A wait is drawn from zero to a bound that doubles each time (full jitter), and is never shorter than what the
///   upstream asked for. Each repetition on one target is paid from `budget`.
///
/// `chance` is any random number.
#[must_use]
pub fn next(
    failure: &Failure,
    left: Left,
    spent: Spent,
    policy: &RetryPolicy,
    budget: &mut RetryBudget,
    chance: u64,
) -> Next {
    if spent.attempts >= policy.max_attempts || spent.time_left == Millis(0) {
        return Next::Stop;
    }
    let elsewhere = left.same_model || left.other_model;
    let to_target = if elsewhere { Next::Target } else { Next::Stop };
    match (failure.kind, failure.retry) {
        (Kind::ContextLength, _) if !policy.context_length => Next::Stop,
        (Kind::ContentFiltered, _) if !policy.content_policy => Next::Stop,
        (_, Retry::Never) => Next::Stop,
        (_, Retry::OtherTarget) => to_target,
        (_, Retry::OtherCredential) if left.credential => Next::Credential,
        (_, Retry::OtherCredential) => to_target,
        (Kind::RateLimited, Retry::SameTarget { .. }) if left.credential => Next::Credential,
        (_, Retry::SameTarget { .. }) if left.same_model => Next::Target,
        (_, Retry::SameTarget { after }) => {
            let wait = policy.wait(after, spent.of_target, chance).filter(|wait| wait.0 < spent.time_left.0);
            match wait {
                Some(wait) if policy.repeats(spent, elsewhere) && budget.withdraw(elsewhere) => Next::Again(wait),
                _ => to_target,
            }
        }
    }
}

impl RetryPolicy {
    /// Whether the target may be asked once more.
    fn repeats(&self, spent: Spent, elsewhere: bool) -> bool {
        let is_last = !elsewhere && spent.attempts > spent.of_target;
        self.same_target > 0 && (is_last || spent.of_target <= self.same_target)
    }

    /// The wait before the `repetition`th repetition, from 1; `None` where the upstream asks for more patience than
    /// there is.
    fn wait(&self, asked: Millis, repetition: u32, chance: u64) -> Option<Millis> {
        if asked > self.longest_wait {
            return None;
        }
        let doublings = repetition.saturating_sub(1).min(16);
        let bound = (self.backoff.0 << doublings).min(self.longest_wait.0);
        let drawn = chance % (bound + 1);
        Some(Millis(asked.0.saturating_add(drawn).min(self.longest_wait.0.max(asked.0))))
    }
}

/// Keeps retries a share of traffic, so that an outage is not multiplied by everybody trying again.
///
/// Each call pays in a share, each repetition on the same target takes one out. A small allowance by time lets a quiet
/// gateway try again too. What comes in is first for calls that have nowhere else to go, because to them a repetition is
/// all that is left; calls that could go elsewhere get what those leave. One for each isolate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// For whoever wants it, in thousandths of a repetition.
    balance: u64,
    /// For calls that have nowhere else to go, in the same.
    kept: u64,
    refilled: UnixMillis,
    refused: u64,
}

/// A call pays for a fifth of a repetition.
const SHARE: u64 = 200;
const ONE: u64 = 1_000;
/// What a quiet gateway may repeat at once of calls that could go elsewhere, and gets back at one repetition a second.
const ALLOWANCE: u64 = 5 * ONE;
/// The same of calls that have nowhere else to go: those that fail together in the first moments of an isolate.
const ALLOWANCE_KEPT: u64 = 20 * ONE;
/// No calm lets more than this gather.
const MOST: u64 = 100 * ONE;
/// Nor more than this for calls that have nowhere else to go: as many as may fail while the other target is blocked.
const MOST_KEPT: u64 = 80 * ONE;

impl Default for RetryBudget {
    fn default() -> RetryBudget {
        RetryBudget { balance: ALLOWANCE, kept: ALLOWANCE_KEPT, refilled: UnixMillis(0), refused: 0 }
    }
}

impl RetryBudget {
    /// A call came.
    pub fn deposit(&mut self, now: UnixMillis) {
        let Millis(passed) = now.since(self.refilled);
        self.refilled = now;
        self.pay_in(passed, ALLOWANCE_KEPT, ALLOWANCE);
        self.pay_in(SHARE, MOST_KEPT, MOST - MOST_KEPT);
    }

    /// Pays in up to what may be kept and what may gather.
    fn pay_in(&mut self, amount: u64, most_kept: u64, most: u64) {
        let keeps = amount.min(most_kept.saturating_sub(self.kept));
        self.kept += keeps;
        self.balance += (amount - keeps).min(most.saturating_sub(self.balance));
    }

    /// Takes one repetition out, or counts it as refused. `elsewhere` says that the call could go to another target.
    pub fn withdraw(&mut self, elsewhere: bool) -> bool {
        if !elsewhere && self.kept >= ONE {
            self.kept -= ONE;
        } else if self.balance >= ONE {
            self.balance -= ONE;
        } else {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        true
    }

    /// How many repetitions were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// Keeps second requests beside a slow first a share of the calls that may have one. One for each isolate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HedgeBudget {
    /// In hundredths of a hedge.
    balance: u64,
    refused: u64,
}

/// A hedge, in the budget's unit.
const HEDGE: u64 = 100;
/// What an isolate may begin with, and the most that gathers.
const FIRST_HEDGES: u64 = 2 * HEDGE;
const MOST_HEDGES: u64 = 20 * HEDGE;

impl Default for HedgeBudget {
    fn default() -> HedgeBudget {
        HedgeBudget { balance: FIRST_HEDGES, refused: 0 }
    }
}

impl HedgeBudget {
    /// A call came that may be hedged; of a hundred, so many are.
    pub fn deposit(&mut self, percent: u64) {
        self.balance = self.balance.saturating_add(percent).min(MOST_HEDGES);
    }

    /// Takes one hedge out, or counts it as refused.
    pub fn withdraw(&mut self) -> bool {
        let rest = self.balance.checked_sub(HEDGE);
        self.balance = rest.unwrap_or(self.balance);
        self.refused = self.refused.saturating_add(u64::from(rest.is_none()));
        rest.is_some()
    }

    /// How many hedges were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests;
