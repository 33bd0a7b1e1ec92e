//! Rate limits: how many requests, tokens or calls at once a spender may have.
//!
//! They are kept as budgets are ([`crate::budget`]): an isolate leases a slice of what is left, holds a call's estimate
//! of it and settles what was used. Requests and tokens come from a bucket that refills steadily; calls at once are
//! slots that end with their lease, so that nothing sticks after a crash.

use serde::Serialize;

use crate::budget::{Found, Match, Scope};
use crate::config::Fault;
use crate::json::{readable, words};
use crate::units::Millis;

/// The highest limit: far above any provider's, and small enough that a million of them fit a counter.
const MOST: u64 = 1_000_000_000_000;

/// How much of something a spender may have in a time.
///
/// ```
/// use latchkey::limit::{Limit, Per, Unit};
/// let limit: Limit = latchkey::json::from_str(
///     r#"{"id": "lim_1", "scope": {"type": "key", "id": "*"}, "unit": "requests", "per": "minute", "max": 60}"#,
/// ).expect("a limit");
/// assert_eq!((limit.unit, limit.per), (Unit::Requests, Some(Per::Minute)));
/// assert!(limit.faults("limits.0").is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Its own, unlike any other limit's.
    pub id: String,
    /// Whose calls it counts.
    pub scope: Scope,
    /// Which of their calls it counts; all, where nothing is named.
    #[serde(rename = "match")]
    pub matches: Match,
    /// What is counted.
    pub unit: Unit,
    /// In which time; `None` for calls at once, which have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
    /// How many.
    pub max: u64,
}
readable! { Limit { id, scope, matches = "match", unit, per, max } }

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Calls that reached a provider.
    #[default]
    Requests,
    /// Tokens of the prompt, cached ones included.
    InputTokens,
    /// Tokens of the answer, reasoning included.
    OutputTokens,
    /// Both.
    Tokens,
    /// Calls under way at the same time.
    Parallel,
}
words! { Unit {
    Requests = "requests", InputTokens = "input_tokens", OutputTokens = "output_tokens", Tokens = "tokens",
    Parallel = "parallel",
} }

/// The time that a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// Sixty seconds.
    Minute,
    /// Sixty minutes.
    Hour,
    /// 24 hours.
    Day,
}
words! { Per { Minute = "minute", Hour = "hour", Day = "day" } }

impl Limit {
    /// Everything that is wrong with it, with paths below `at`.
    #[must_use]
    pub fn faults(&self, at: &str) -> Vec<Fault> {
        let mut found = Found { at, faults: Vec::new() };
        found.definition(&self.id, &self.scope, &self.matches);
        match (self.unit, self.per) {
            (Unit::Parallel, Some(_)) => found.add("per", "has no meaning for calls in parallel; leave it out"),
            (Unit::Parallel, None) | (_, Some(_)) => {}
            (_, None) => found.add("per", "is needed: `minute`, `hour` or `day`"),
        }
        if !(1..=MOST).contains(&self.max) {
            found.add("max", format!("must be 1 to {MOST}"));
        }
        found.faults
    }
}

impl Per {
    /// How long it is.
    #[must_use]
    pub fn length(self) -> Millis {
        Millis(match self {
            Per::Minute => 60_000,
            Per::Hour => 3_600_000,
            Per::Day => 86_400_000,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_limit_is_pinned() {
        for written in [
            r#"{"id":"l","scope":{"type":"user","id":"*"},"match":{"model":"gpt-*"},"unit":"input_tokens","per":"day","max":9}"#,
            r#"{"id":"l","scope":{"type":"account","id":""},"match":{},"unit":"parallel","max":1}"#,
        ] {
            let limit: Limit = crate::json::from_str(written).expect("a limit");
            assert_eq!(serde_json::to_string(&limit).expect("JSON"), written);
            assert_eq!(limit.faults(""), Vec::new());
        }
    }

    #[test]
    fn a_time_is_as_long_as_it_says() {
        let lengths = [Per::Minute, Per::Hour, Per::Day].map(|per| per.length().0);
        assert_eq!(lengths, [60_000, 60 * 60_000, 24 * 60 * 60_000]);
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let limit = Limit { scope: Scope::key("k"), ..Limit::default() };
        let paths: Vec<String> = limit.faults("limits.0").into_iter().map(|fault| fault.path).collect();
        assert_eq!(paths, ["limits.0.id", "limits.0.per", "limits.0.max"]);
        let timed = Limit { id: "l".into(), unit: Unit::Parallel, per: Some(Per::Day), max: 1, ..limit };
        assert_eq!(timed.faults("").into_iter().map(|fault| fault.path).collect::<Vec<_>>(), ["per"]);
    }
}
