//! The configuration document: what the operator wrote, and what it means.
//!
//! It is one JSON document, replaced as a whole. Everything in it is optional; an empty one is the default.

mod diff;
mod document;
mod limits;
mod models;
mod place;
mod providers;
mod quirks;
mod read;

pub use diff::{Difference, diff};
pub use limits::{Deadlines, Limits};
pub use models::ModelEntry;
pub use place::Fault;
pub use providers::{ProviderEntry, default_quirks};
pub use read::read;

use std::collections::BTreeMap;

/// What a configuration document means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Servers of the operator's own and departures of built-in rows, by id.
    pub providers: BTreeMap<String, ProviderEntry>,
    /// Models that the catalogue lacks or knows otherwise, by `provider/id`.
    pub models: BTreeMap<String, ModelEntry>,
    /// How much of everything one call may take.
    pub limits: Limits,
    /// Which of the cheaper ways an answer may take.
    pub lanes: Lanes,
}

/// Which of the cheaper ways an answer may take when caller and upstream speak the same protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// A stream in which nothing must change passes natively; its cost is then only in the call's record.
    pub relay: bool,
    /// A stream may be relayed although its caller did not ask for the usage chunk, which then reaches them.
    pub usage_chunk_passes: bool,
}

impl Default for Lanes {
    fn default() -> Lanes {
        Lanes { relay: true, usage_chunk_passes: false }
    }
}

#[cfg(test)]
mod tests;
