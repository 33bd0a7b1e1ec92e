//! What follows a failure: the `failover` and `fallbacks` sections.

use super::place::Place;
use super::throughput::{self, OwnThroughput, Throughput};
use crate::route::RetryPolicy;
use crate::sorted::SortedMap;
use crate::units::Millis;

/// Fallbacks of one model, and models that have some.
const MAX_FALLBACKS: usize = 16;
/// The longest model string, as callers may write it.
const MAX_MODEL_BYTES: usize = 256;

/// What a call does when an upstream fails, is slow or falls silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Off, each call is one request to its first target and health is not kept: the baseline of measurements.
    pub enabled: bool,
    /// How often and how long a call is tried again.
    pub retries: RetryPolicy,
    /// Whether a stream that dies after its first token is continued by the next target, where the call does not say.
    pub continues: bool,
    /// When a second target is asked beside a slow first, where the call does not say; `None` is never.
    pub hedge: Option<Hedge>,
    /// A stream slower than this moves on before it is committed; `None` lets all be.
    pub throughput: Option<Throughput>,
}

/// When a second target is asked beside a slow first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// After so long without an answer, or a stream's first token.
    pub after: Millis,
    /// Rather after what 95 of 100 streams of the target took to begin of late, where that is known.
    pub own_p95: bool,
    /// Of a hundred calls that may be hedged, so many are at most.
    pub percent: u64,
}

/// What share of calls is hedged at most where nothing is said of it.
const HEDGED_PERCENT: u64 = 10;

impl Failover {
    /// Of a hundred calls that may be hedged, so many are at most.
    #[must_use]
    pub fn hedge_percent(&self) -> u64 {
        self.hedge.map_or(HEDGED_PERCENT, |hedge| hedge.percent)
    }
}

/// What the calls of one alias do otherwise than [`Failover`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnFailover {
    /// Attempts of one call.
    pub max_attempts: Option<u32>,
    /// How often the same target is asked again.
    pub same_target: Option<u32>,
    /// The first wait before that.
    pub backoff: Option<Millis>,
    /// The longest wait.
    pub longest_wait: Option<Millis>,
    /// When a second target is asked beside a slow first.
    pub hedge: Option<Hedge>,
    /// The least speed of a stream.
    pub throughput: OwnThroughput,
}

impl OwnFailover {
    /// These, and the others where none is set.
    #[must_use]
    pub fn or(&self, others: Failover) -> Failover {
        let mut failover = others;
        set(&mut failover.retries.max_attempts, self.max_attempts);
        set(&mut failover.retries.same_target, self.same_target);
        set(&mut failover.retries.backoff, self.backoff);
        set(&mut failover.retries.longest_wait, self.longest_wait);
        failover.hedge = self.hedge.or(failover.hedge);
        failover.throughput = self.throughput.or(failover.throughput);
        failover
    }
}

impl Default for Failover {
    fn default() -> Failover {
        Failover { enabled: true, retries: RetryPolicy::default(), continues: false, hedge: None, throughput: None }
    }
}

pub(super) fn read(place: &Place<'_>) -> Failover {
    let mut failover = Failover::default();
    let known = [
        "enabled",
        "max_attempts",
        "same_target",
        "backoff_ms",
        "longest_wait_ms",
        "context_length",
        "content_policy",
        "continue",
        "hedge",
        "throughput",
    ];
    for (key, place) in place.members(&known) {
        match key {
            "enabled" => set(&mut failover.enabled, place.boolean()),
            "max_attempts" => set(&mut failover.retries.max_attempts, count(&place, 1..=20)),
            "same_target" => set(&mut failover.retries.same_target, count(&place, 0..=10)),
            "backoff_ms" => set(&mut failover.retries.backoff, place.integer(0..=60_000).map(Millis)),
            "longest_wait_ms" => set(&mut failover.retries.longest_wait, place.integer(0..=60_000).map(Millis)),
            "context_length" => set(&mut failover.retries.context_length, place.boolean()),
            "content_policy" => set(&mut failover.retries.content_policy, place.boolean()),
            "continue" => set(&mut failover.continues, place.boolean()),
            "hedge" => failover.hedge = hedge(&place),
            _ => failover.throughput = throughput::read(&place),
        }
    }
    failover
}

/// The `failover` of an alias.
pub(super) fn own(place: &Place<'_>) -> OwnFailover {
    let mut own = OwnFailover::default();
    let known = ["max_attempts", "same_target", "backoff_ms", "longest_wait_ms", "hedge", "throughput"];
    for (key, place) in place.members(&known) {
        match key {
            "max_attempts" => own.max_attempts = count(&place, 1..=20),
            "same_target" => own.same_target = count(&place, 0..=10),
            "backoff_ms" => own.backoff = place.integer(0..=60_000).map(Millis),
            "longest_wait_ms" => own.longest_wait = place.integer(0..=60_000).map(Millis),
            "hedge" => own.hedge = hedge(&place),
            _ => own.throughput = throughput::own(&place),
        }
    }
    own
}

fn hedge(place: &Place<'_>) -> Option<Hedge> {
    let (mut after, mut own_p95, mut percent) = (None, false, Some(HEDGED_PERCENT));
    let members = place.members(&["after_ms", "own_p95", "percent"]);
    if !members.iter().any(|(key, _)| *key == "after_ms") {
        place.lacks("after_ms", "how long the first target is waited for");
    }
    for (key, place) in members {
        match key {
            "after_ms" => after = place.integer(50..=600_000),
            "own_p95" => set(&mut own_p95, place.boolean()),
            _ => percent = place.integer(1..=100),
        }
    }
    Some(Hedge { after: Millis(after?), own_p95, percent: percent? })
}

/// Models to try after each model, in order.
pub(super) fn fallbacks(place: &Place<'_>) -> SortedMap<String, Vec<String>> {
    let mut all = SortedMap::new();
    for (model, place) in place.entries() {
        let models = place.items(MAX_FALLBACKS);
        let models: Vec<String> =
            models.iter().map(|item| item.model(MAX_MODEL_BYTES)).filter(|model| !model.is_empty()).collect();
        if models.iter().any(|fallback| fallback == model) {
            place.fault("names the model itself");
        }
        all.insert(model.to_owned(), models);
    }
    all
}

fn count(place: &Place<'_>, range: std::ops::RangeInclusive<u64>) -> Option<u32> {
    place.integer(range).and_then(|number| u32::try_from(number).ok())
}

fn set<T>(field: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *field = value;
    }
}
