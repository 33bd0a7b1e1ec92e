//! From what was written to what it means.

use super::place::{Fault, Faults, Place};
use super::{Config, Deadlines, Lanes, Limits, failover, health, models, names, providers, routing};
use crate::json::check_depth;
use crate::json::tree::Node;
use crate::sorted;
use crate::units::Millis;

/// The largest document: a KV value may have 25 MiB, but every isolate reads this on its first call.
const MAX_BYTES: usize = 4 << 20;
/// No document of this shape nests deeper.
const MAX_DEPTH: usize = 24;

/// Those that it reads.
const SECTIONS: [&str; 13] = [
    "version",
    "providers",
    "models",
    "limits",
    "lanes",
    "failover",
    "fallbacks",
    "health",
    "targets",
    "aliases",
    "rules",
    "experiments",
    "semantics",
];

/// Reads a configuration document.
///
/// # Errors
/// With every fault at once, each with its path.
pub fn read(json: &[u8]) -> Result<Config, Vec<Fault>> {
    let (config, faults) = read_all(json).map_err(|fault| vec![fault])?;
    faults.of_names(|model| names::fault(&config, model));
    let faults = faults.into_vec();
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// Reads a document that some version of this program found good when it was written: what this version makes of it, and
/// what it does not understand of it, which it leaves out. Whom it names was looked at then.
///
/// # Errors
/// Where it is no document at all.
pub fn read_stored(json: &[u8]) -> Result<(Config, Vec<Fault>), Fault> {
    read_all(json).map(|(config, faults)| (config, faults.into_vec()))
}

fn read_all(json: &[u8]) -> Result<(Config, Faults), Fault> {
    let node = parse(json)?;
    let faults = Faults::default();
    let config = document(&Place::root(&node, &faults));
    Ok((config, faults))
}

/// The document as written, if it is JSON of a size that can be read.
pub(super) fn parse(json: &[u8]) -> Result<Node, Fault> {
    let fault = |message: String| Fault { path: String::new(), message };
    if json.len() > MAX_BYTES {
        return Err(fault(format!("has {} bytes; at most {MAX_BYTES} are allowed", json.len())));
    }
    check_depth(json, MAX_DEPTH).map_err(|deep| fault(deep.to_string()))?;
    crate::json::from_slice(json).map_err(|error| fault(format!("is not JSON: {error}")))
}

fn document(root: &Place<'_>) -> Config {
    let mut config = Config::default();
    let mut sections = root.entries();
    if !sections.iter().any(|(key, _)| *key == "version") {
        root.lacks("version", "write 1");
    }
    // Models may name providers that the document declares, and experiments its aliases, wherever those stand.
    sorted::sort_by_key(&mut sections, |(key, _)| !matches!(*key, "providers" | "aliases"));
    for (key, place) in sections {
        match key {
            "version" => {
                place.integer(1..=1);
            }
            "providers" => config.providers = providers::read(&place),
            "models" => config.models = models::read(&place, &config.providers),
            "limits" => config.limits = limits(&place),
            "lanes" => config.lanes = lanes(&place),
            "health" => config.health = health::read(&place),
            "failover" => config.failover = failover::read(&place),
            "fallbacks" => config.fallbacks = failover::fallbacks(&place),
            "targets" => config.routing.targets = routing::targets(&place, &config.providers),
            "aliases" => config.routing.aliases = routing::aliases(&place),
            "rules" => config.routing.rules = routing::rules(&place, &config),
            "experiments" => config.routing.experiments = routing::experiments(&place, &config.routing.aliases),
            "semantics" => config.routing.semantics = Some(routing::semantics(&place)),
            _ => place.fault(format!("is not known; known are {}", SECTIONS.join(", "))),
        }
    }
    config
}

fn limits(place: &Place<'_>) -> Limits {
    let mut limits = Limits::default();
    let known = [
        "body_bytes",
        "json_depth",
        "header_count",
        "event_bytes",
        "answer_bytes",
        "media_bytes",
        "media_count",
        "deadlines",
    ];
    for (key, place) in place.members(&known) {
        let (limit, range) = match key {
            // 100 MB is what the platform takes, and an isolate has 128 MiB.
            "body_bytes" => (&mut limits.body_bytes, 1_024..=64 << 20),
            "json_depth" => (&mut limits.json_depth, 8..=120),
            "header_count" => (&mut limits.header_count, 16..=512),
            "event_bytes" => (&mut limits.event_bytes, 4_096..=16 << 20),
            "answer_bytes" => (&mut limits.answer_bytes, 4_096..=64 << 20),
            "media_bytes" => (&mut limits.media_bytes, 0..=32 << 20),
            "media_count" => (&mut limits.media_count, 0..=100),
            _ => {
                limits.deadlines = deadlines(&place);
                continue;
            }
        };
        if let Some(value) = place.integer(range).and_then(|value| usize::try_from(value).ok()) {
            *limit = value;
        }
    }
    limits
}

fn deadlines(place: &Place<'_>) -> Deadlines {
    let mut deadlines = Deadlines::default();
    for (key, place) in place.members(&["connect_ms", "first_token_ms", "idle_ms", "total_ms", "commit_after_ms"]) {
        let deadline = match key {
            "connect_ms" => &mut deadlines.connect,
            "first_token_ms" => &mut deadlines.first_token,
            "idle_ms" => &mut deadlines.idle,
            "total_ms" => &mut deadlines.total,
            _ => &mut deadlines.commit_after,
        };
        if let Some(milliseconds) = place.integer(100..=3_600_000) {
            *deadline = Millis(milliseconds);
            deadlines.connect_is_chosen |= key == "connect_ms";
        }
    }
    deadlines
}

fn lanes(place: &Place<'_>) -> Lanes {
    let mut lanes = Lanes::default();
    for (key, place) in place.members(&["relay", "usage_chunk_passes"]) {
        if let Some(value) = place.boolean() {
            match key {
                "relay" => lanes.relay = value,
                _ => lanes.usage_chunk_passes = value,
            }
        }
    }
    lanes
}
