use std::borrow::Cow;

use serde::Serialize;

use super::Policy;
use crate::json::{self, FromJson, Reader, readable};
use crate::units::{Millis, UnixMillis};

/// What happens to the traffic of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Breaker {
    /// It gets calls.
    Passing {
        /// Failures since the last success.
        failures: u32,
        /// How often it was blocked before, without passing for long in between.
        trips: u32,
        /// Since when.
        since: UnixMillis,
    },
    /// It gets none.
    Blocking {
        /// Until when; from then on one probe may go.
        until: UnixMillis,
        /// How often it was blocked, this time included.
        trips: u32,
        /// Since when.
        since: UnixMillis,
    },
    /// It gets one call, whose outcome decides.
    Probing {
        /// When the probe is taken back, unless its outcome is known by then.
        until: UnixMillis,
        /// How often it was blocked.
        trips: u32,
        /// Since when.
        since: UnixMillis,
    },
}

/// That one call may be sent to a blocked target, to see whether it is back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permit {
    /// Since when the state holds that allows it.
    pub granted: UnixMillis,
    /// How often the target was blocked by then.
    pub trips: u32,
}

/// What came of calls that were not probes, one or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were served.
    pub served: u32,
    /// How many failed.
    pub failed: u32,
    /// How many of the served were poor.
    pub poor: u32,
    /// Failures since the last success.
    pub run: u32,
    /// The credential was refused.
    pub refused: bool,
    /// How long the provider asked to wait, the last time it did.
    pub retry_after: Option<Millis>,
}

/// A state as it is stored: members that it does not have are not there.
#[derive(Default)]
struct Stored<'a> {
    state: Cow<'a, str>,
    failures: Option<u32>,
    trips: u32,
    since: UnixMillis,
    until: Option<UnixMillis>,
}
readable! { Stored<'a> { #[required] state, failures, #[required] trips, #[required] since, until } }

impl<'a> FromJson<'a> for Breaker {
    fn from_json(reader: &mut Reader<'a>) -> Result<Breaker, json::Error> {
        let Stored { state, failures, trips, since, until } = Stored::from_json(reader)?;
        match (&*state, failures, until) {
            ("passing", Some(failures), _) => Ok(Breaker::Passing { failures, trips, since }),
            ("blocking", _, Some(until)) => Ok(Breaker::Blocking { until, trips, since }),
            ("probing", _, Some(until)) => Ok(Breaker::Probing { until, trips, since }),
            _ => Err(json::Error::data("expected the state of a breaker")),
        }
    }
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker::Passing { failures: 0, trips: 0, since: UnixMillis(0) }
    }
}

impl Breaker {
    /// When it came to be as it is.
    #[must_use]
    pub fn since(self) -> UnixMillis {
        match self {
            Breaker::Passing { since, .. } | Breaker::Blocking { since, .. } | Breaker::Probing { since, .. } => since,
        }
    }

    /// How often it was blocked without passing for long in between.
    #[must_use]
    pub fn trips(self) -> u32 {
        match self {
            Breaker::Passing { trips, .. } | Breaker::Blocking { trips, .. } | Breaker::Probing { trips, .. } => trips,
        }
    }

    /// Counts calls. `bad` says that the ratio of failures or of poor answers over the window is too high.
    ///
    /// While it is blocked or probed, nothing but the probe counts: whatever ends now began before.
    #[must_use]
    pub fn count(self, tally: &Tally, bad: bool, policy: &Policy, now: UnixMillis, chance: u64) -> Breaker {
        let Breaker::Passing { failures, trips, since } = self else { return self };
        let failures = if tally.served == 0 { failures.saturating_add(tally.failed) } else { tally.run };
        let trips = if now.since(since) >= policy.forget { 0 } else { trips };
        if failures >= policy.failures_in_a_row || tally.refused || bad {
            return Breaker::block(trips.saturating_add(1), tally.retry_after, policy, now, chance);
        }
        Breaker::Passing { failures, trips, since }
    }

    /// Grants the probe, if the time for one has come and nobody has it.
    #[must_use]
    pub fn grant(self, policy: &Policy, now: UnixMillis) -> Option<Breaker> {
        match self.lapse(now) {
            Breaker::Blocking { until, trips, .. } if until <= now => {
                Some(Breaker::Probing { until: now.plus(policy.probe), trips, since: now })
            }
            _ => None,
        }
    }

    /// Takes a probe back whose time is over; another may be granted at once.
    #[must_use]
    pub fn lapse(self, now: UnixMillis) -> Breaker {
        match self {
            Breaker::Probing { until, trips, since } if until <= now => Breaker::Blocking { until, trips, since },
            other => other,
        }
    }

    /// Decides by the outcome of the probe that `permit` allowed; `served` is `None` where it said nothing, and another
    /// may go at once. `None` where it decides nothing any more.
    ///
    /// A probe that was taken back still shows that the target is back, if it is served and none has failed since: a
    /// target all of whose answers take longer than a probe may would else stay blocked for ever.
    #[must_use]
    pub fn probed(
        self,
        permit: Permit,
        served: Option<bool>,
        asked: Option<Millis>,
        policy: &Policy,
        now: UnixMillis,
        chance: u64,
    ) -> Option<Breaker> {
        let (Breaker::Blocking { trips, since, .. } | Breaker::Probing { trips, since, .. }) = self else {
            return None;
        };
        let is_awaited = matches!(self, Breaker::Probing { .. }) && since == permit.granted;
        match served {
            Some(true) if is_awaited || trips == permit.trips => {
                Some(Breaker::Passing { failures: 0, trips, since: now })
            }
            Some(false) if is_awaited => Some(Breaker::block(trips.saturating_add(1), asked, policy, now, chance)),
            None if is_awaited => Some(Breaker::Blocking { until: now, trips, since }),
            _ => None,
        }
    }

    fn block(trips: u32, asked: Option<Millis>, policy: &Policy, now: UnixMillis, chance: u64) -> Breaker {
        Breaker::Blocking { until: now.plus(policy.block_after(trips, asked, chance)), trips, since: now }
    }
}
