//! When a failing target is blocked, and for how long.

use super::place::Place;
use crate::breaker::Policy;
use crate::units::Millis;

const KNOWN: [&str; 15] = [
    "enabled",
    "active_probe",
    "failures_in_a_row",
    "error_percent",
    "minimum_calls",
    "poor_percent",
    "poor_minimum_calls",
    "window_ms",
    "block_ms",
    "longest_block_ms",
    "probe_ms",
    "forget_ms",
    "minimum_samples",
    "snapshot_age_ms",
    "patience_ms",
];

pub(super) fn read(place: &Place<'_>) -> Policy {
    let mut policy = Policy::default();
    for (key, place) in place.members(&KNOWN) {
        if key == "enabled" {
            policy.enabled = place.boolean().unwrap_or(policy.enabled);
        } else if key == "active_probe" {
            policy.active_probe = place.boolean().unwrap_or(policy.active_probe);
        } else if let Some((count, range)) = count(&mut policy, key) {
            if let Some(value) = place.integer(range).and_then(|value| u32::try_from(value).ok()) {
                *count = value;
            }
        } else if let Some((length, range)) = length(&mut policy, key)
            && let Some(milliseconds) = place.integer(range)
        {
            *length = Millis(milliseconds);
        }
    }
    if policy.longest_block < policy.block {
        place.fault("has a `longest_block_ms` that is shorter than `block_ms`");
    }
    policy
}

type Range = std::ops::RangeInclusive<u64>;

fn count<'p>(policy: &'p mut Policy, key: &str) -> Option<(&'p mut u32, Range)> {
    Some(match key {
        "failures_in_a_row" => (&mut policy.failures_in_a_row, 1..=1_000),
        // 101 percent is never reached: that threshold is then off.
        "error_percent" => (&mut policy.error_percent, 1..=101),
        "minimum_calls" => (&mut policy.minimum_calls, 1..=1_000_000),
        "poor_percent" => (&mut policy.poor_percent, 1..=101),
        "poor_minimum_calls" => (&mut policy.poor_minimum_calls, 1..=1_000_000),
        "minimum_samples" => (&mut policy.minimum_samples, 1..=1_000_000),
        _ => return None,
    })
}

fn length<'p>(policy: &'p mut Policy, key: &str) -> Option<(&'p mut Millis, Range)> {
    Some(match key {
        "window_ms" => (&mut policy.window, 1_000..=3_600_000),
        "block_ms" => (&mut policy.block, 100..=3_600_000),
        "longest_block_ms" => (&mut policy.longest_block, 100..=86_400_000),
        "probe_ms" => (&mut policy.probe, 100..=600_000),
        "forget_ms" => (&mut policy.forget, 1_000..=86_400_000),
        "snapshot_age_ms" => (&mut policy.snapshot_age, 1_000..=300_000),
        // 0: no call ever waits for the object.
        "patience_ms" => (&mut policy.patience, 0..=5_000),
        _ => return None,
    })
}
