//! How fast a stream has to be before it is committed: `failover.throughput`, and what aliases, keys and calls say of it.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::place::Place;
use crate::json::readable;
use crate::units::Millis;

/// How long it is where nothing is said of it.
const USUAL_WITHIN: Millis = Millis(2_000);

/// The least speed of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throughput {
    /// Estimated at four bytes a token.
    pub tokens_per_second: u64,
    /// How long after its first token a stream is held back and measured.
    pub within: Millis,
}

/// The least speed of some streams, where it differs from the gateway's: those of an alias, of a key or of one call.
///
/// ```
/// use latchkey::config::{OwnThroughput, Throughput};
/// use latchkey::units::Millis;
///
/// let gateway = Some(Throughput { tokens_per_second: 5, within: Millis(1_000) });
/// let faster = OwnThroughput { tokens_per_second: Some(50), within: None };
/// assert_eq!(faster.or(gateway), Some(Throughput { tokens_per_second: 50, within: Millis(1_000) }));
/// let never = OwnThroughput { tokens_per_second: Some(0), within: None };
/// assert_eq!(never.or(gateway), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnThroughput {
    /// Tokens per second; 0 lets all streams be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<u64>,
    /// How long a stream is measured.
    #[serde(rename = "within_ms", skip_serializing_if = "Option::is_none")]
    pub within: Option<Millis>,
}
readable! { OwnThroughput { tokens_per_second, within = "within_ms" } }

impl OwnThroughput {
    /// What can be asked for, in tokens per second.
    pub const SPEEDS: RangeInclusive<u64> = 0..=10_000;
    /// For how long a stream can be measured, in milliseconds.
    pub const WITHIN: RangeInclusive<u64> = 100..=60_000;

    /// This, and the other where nothing is set. A time alone measures nothing.
    #[must_use]
    pub fn or(&self, other: Option<Throughput>) -> Option<Throughput> {
        let tokens_per_second = self.tokens_per_second.or(other.map(|other| other.tokens_per_second))?;
        let within = self.within.or(other.map(|other| other.within)).unwrap_or(USUAL_WITHIN);
        (tokens_per_second > 0).then_some(Throughput { tokens_per_second, within })
    }

    /// This, and the other where nothing is set.
    #[must_use]
    pub fn over(&self, other: OwnThroughput) -> OwnThroughput {
        OwnThroughput {
            tokens_per_second: self.tokens_per_second.or(other.tokens_per_second),
            within: self.within.or(other.within),
        }
    }
}

/// The gateway's: without a speed it is a fault.
pub(super) fn read(place: &Place<'_>) -> Option<Throughput> {
    let mut own = OwnThroughput::default();
    for (key, place) in place.members(&["tokens_per_second", "within_ms"]) {
        match key {
            "tokens_per_second" => own.tokens_per_second = place.integer(1..=*OwnThroughput::SPEEDS.end()),
            _ => own.within = place.integer(OwnThroughput::WITHIN).map(Millis),
        }
    }
    if own.tokens_per_second.is_none() {
        place.lacks("tokens_per_second", "the least speed of a stream");
    }
    own.or(None)
}

/// An alias's: what it does not say is the gateway's, and 0 turns it off.
pub(super) fn own(place: &Place<'_>) -> OwnThroughput {
    let mut own = OwnThroughput::default();
    for (key, place) in place.members(&["tokens_per_second", "within_ms"]) {
        match key {
            "tokens_per_second" => own.tokens_per_second = place.integer(OwnThroughput::SPEEDS),
            _ => own.within = place.integer(OwnThroughput::WITHIN).map(Millis),
        }
    }
    own
}
