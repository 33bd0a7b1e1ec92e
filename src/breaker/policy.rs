use serde::Serialize;

use crate::json::readable;
use crate::units::Millis;

/// When a target is blocked and for how long: the section `health` of the configuration document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Without it nothing is counted, reported or blocked but by kill switches.
    pub enabled: bool,
    /// So many failures in a row block a target. 3.
    pub failures_in_a_row: u32,
    /// So many percent of failures within the window block it. 50.
    pub error_percent: u32,
    /// Fewer calls within the window say nothing about its ratio of errors. 20.
    pub minimum_calls: u32,
    /// So many percent of empty or malformed answers within the window block it. 50.
    pub poor_percent: u32,
    /// Fewer answers within the window say nothing about their quality. 20.
    pub poor_minimum_calls: u32,
    /// The window over which ratios are taken. A minute.
    #[serde(rename = "window_ms")]
    pub window: Millis,
    /// The first block. 10 s; each trip that follows doubles it.
    #[serde(rename = "block_ms")]
    pub block: Millis,
    /// The longest block, also where a provider asks for more. Five minutes.
    #[serde(rename = "longest_block_ms")]
    pub longest_block: Millis,
    /// An isolate that was given the probe has so long to say how it went. 30 s.
    #[serde(rename = "probe_ms")]
    pub probe: Millis,
    /// After passing for so long, earlier trips are forgotten. Ten minutes.
    #[serde(rename = "forget_ms")]
    pub forget: Millis,
    /// Percentiles of fewer answers than this are not given. 20.
    pub minimum_samples: u32,
    /// What an isolate knows from the object is at most so old when a call begins. 15 s: kill switches, which
    /// travel with the leases of keys too, bite within it at the latest.
    #[serde(rename = "snapshot_age_ms")]
    pub snapshot_age: Millis,
    /// Whether blocked targets that nobody calls are probed once a minute, with a call of the gateway's own. Off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub active_probe: bool,
    /// The longest that a call, the first after a pause, waits for the object. 250 ms.
    #[serde(rename = "patience_ms")]
    pub patience: Millis,
}
readable! { Policy {
    enabled, failures_in_a_row, error_percent, minimum_calls, poor_percent, poor_minimum_calls, window = "window_ms",
    block = "block_ms", longest_block = "longest_block_ms", probe = "probe_ms", forget = "forget_ms", minimum_samples,
    snapshot_age = "snapshot_age_ms", active_probe, patience = "patience_ms",
} }

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            enabled: true,
            failures_in_a_row: 3,
            error_percent: 50,
            minimum_calls: 20,
            poor_percent: 50,
            poor_minimum_calls: 20,
            window: Millis(60_000),
            block: Millis(10_000),
            longest_block: Millis(300_000),
            probe: Millis(30_000),
            forget: Millis(600_000),
            minimum_samples: 20,
            snapshot_age: Millis(15_000),
            active_probe: false,
            patience: Millis(250),
        }
    }
}

impl Policy {
    /// How long trip number `trips` (from 1) blocks: twice as long as the one before, and up to a quarter more by
    /// `chance`, so that isolates and regions do not come back all at once.
    ///
    /// Where the provider said how long to wait, that is the window; from the second trip on only if it is the longer
    /// one, because then its word did not hold before.
    #[must_use]
    pub fn block_after(&self, trips: u32, asked: Option<Millis>, chance: u64) -> Millis {
        let doublings = trips.saturating_sub(1).min(20);
        let grown = self.block.0.saturating_mul(1 << doublings).min(self.longest_block.0);
        let span = match asked {
            Some(asked) if trips <= 1 => asked.0.clamp(SHORTEST_BLOCK.0, self.longest_block.0.max(SHORTEST_BLOCK.0)),
            Some(asked) => asked.0.clamp(grown, self.longest_block.0.max(grown)),
            None => grown,
        };
        let more = (u128::from(span / 4) * u128::from(chance)) >> 64;
        Millis(span.saturating_add(u64::try_from(more).unwrap_or(0)))
    }
}

/// A `retry-after: 0` must not make a block that is over at once.
const SHORTEST_BLOCK: Millis = Millis(1_000);
