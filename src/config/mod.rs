//! The configuration document: what the operator wrote, and what it means.
//!
//! It is one JSON document, replaced as a whole. Everything but `version` is optional; an empty one is the default.
//! Unknown and repeated keys are faults, and so is whatever has the wrong unit or size; [`read()`] names all of them at
//! once, each with its path. Sections that it does not know are refused by name.
//!
//! ```
//! let document = br#"{
//!   "version": 1,
//!   "providers": {
//!     "cave": {
//!       "base_url": "https://llm.example.com/v1",
//!       "format": "openai_chat",
//!       "auth": "bearer",
//!       "key_variables": ["CAVE_API_KEY"],
//!       "quirks": {"output_cap": "max_tokens", "reasoning_back": "reasoning_content"},
//!       "models": ["llama-5"],
//!       "endpoints": {"embeddings": true, "completions": false}
//!     }
//!   },
//!   "models": {
//!     "cave/llama-5": {
//!       "mode": "chat", "context": 128000, "max_output": 8192, "capabilities": ["tools", "vision"],
//!       "retires": "2027-06-30",
//!       "prices": [
//!         {
//!           "from": "2026-11-01", "usd_per_mtok": {"input": 0.5, "output": 2, "cache_read": 0.05},
//!           "tiers_above": [{"input_tokens": 64000, "usd_per_mtok": {"input": 1, "output": 4}}],
//!           "service_tiers": {"batch": {"input": 0.25, "output": 1}}, "usd_per_request": 0.01
//!         },
//!         {"from": "2026-11-01", "until": "2027-01-01", "hours": "22:00-06:00",
//!          "usd_per_mtok": {"input": 0.25, "output": 1}}
//!       ]
//!     }
//!   },
//!   "limits": {
//!     "body_bytes": 16777216, "json_depth": 100, "header_count": 64, "event_bytes": 1048576,
//!     "answer_bytes": 33554432, "media_bytes": 10485760, "media_count": 16,
//!     "deadlines": {
//!       "connect_ms": 30000, "first_token_ms": 120000, "idle_ms": 60000, "total_ms": 600000,
//!       "commit_after_ms": 15000
//!     }
//!   },
//!   "lanes": {"relay": true, "usage_chunk_passes": false},
//!   "health": {
//!     "enabled": true, "failures_in_a_row": 3, "error_percent": 50, "minimum_calls": 20,
//!     "poor_percent": 50, "poor_minimum_calls": 20, "window_ms": 60000,
//!     "block_ms": 10000, "longest_block_ms": 300000, "probe_ms": 30000, "forget_ms": 600000,
//!     "minimum_samples": 20, "snapshot_age_ms": 15000, "patience_ms": 250,
//!     "active_probe": false
//!   },
//!   "targets": {"cave/*": {"jurisdictions": ["eu"], "zero_retention": true, "no_training": true}},
//!   "aliases": {
//!     "fast-cheap": {
//!       "candidates": [
//!         "cave/llama-5",
//!         {"model": "openai/gpt-*-mini", "latest": true, "weight": 3, "when": {"not": {"tag": "private"}},
//!          "with": {"temperature": 0.2, "max_tokens": 2000, "system_prefix": "Be brief."}}
//!       ],
//!       "strategy": "balanced", "explore": 0.02, "latency_budget": {"first_token_ms": 2000}
//!     }
//!   },
//!   "rules": [{"name": "private", "when": {"tag": ["private", "health-*"]}, "jurisdictions": ["eu"]}],
//!   "experiments": {"newer": {"alias": "fast-cheap", "variants": {"new": {"share": 0.05, "candidates": ["cave/llama-6"]}}}},
//!   "semantics": {"model": "cave/embed", "within_ms": 300, "routes": {"refunds": ["I want my money back"]}},
//!   "failover": {
//!     "enabled": true, "max_attempts": 6, "same_target": 2, "backoff_ms": 250, "longest_wait_ms": 5000,
//!     "context_length": false, "content_policy": false, "continue": false,
//!     "hedge": {"after_ms": 3000, "own_p95": true, "percent": 10},
//!     "throughput": {"tokens_per_second": 5, "within_ms": 2000}
//!   },
//!   "fallbacks": {"cave/llama-5": ["anthropic/claude-sonnet-4-6"]}
//! }"#;
//! let config = latchkey::config::read(document).expect("no faults");
//! let mut limits = latchkey::config::Limits::default();
//! limits.deadlines.connect_is_chosen = true;
//! assert_eq!(config.limits, limits);
//! assert_eq!(config.health, latchkey::breaker::Policy::default());
//! ```

mod diff;
mod failover;
mod health;
mod limits;
mod models;
mod names;
mod place;
mod providers;
mod quirks;
mod read;
mod routing;
mod throughput;

pub use diff::{Difference, diff};
pub use failover::{Failover, OwnFailover};
pub use limits::{Deadlines, Limits, OwnDeadlines};
pub use models::ModelEntry;
pub use place::Fault;
pub use providers::{ProviderEntry, default_quirks};
pub use read::{read, read_stored};
pub use routing::Routing;
pub use throughput::{OwnThroughput, Throughput};

use crate::breaker::Policy;
use crate::sorted::SortedMap;

/// What a configuration document means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Servers of the operator's own and departures of built-in rows, by id.
    pub providers: SortedMap<String, ProviderEntry>,
    /// Models that the catalogue lacks or knows otherwise, by `provider/id`.
    pub models: SortedMap<String, ModelEntry>,
    /// How much of everything one call may take.
    pub limits: Limits,
    /// Which of the cheaper ways an answer may take.
    pub lanes: Lanes,
    /// When a failing target is blocked, and for how long.
    pub health: Policy,
    /// Which calls go where.
    pub routing: Routing,
    /// What follows a failure.
    pub failover: Failover,
    /// Models to try after each model, by the string that callers write.
    pub fallbacks: SortedMap<String, Vec<String>>,
}

/// Which of the cheaper ways an answer may take when caller and upstream speak the same protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// A stream whose caller asked for usage, and in which nothing else must change, passes natively: some half of the
    /// CPU, but its cost is then only in the call's record. Off unless the operator prefers that.
    pub relay: bool,
    /// A stream may be relayed although its caller did not ask for the usage chunk, which then reaches them.
    pub usage_chunk_passes: bool,
}

#[cfg(test)]
mod tests;
