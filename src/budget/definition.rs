use serde::Serialize;

use super::Zone;
use crate::config::Fault;
use crate::json::{self, FromJson, Reader, readable, words};
use crate::keys::{ModelPattern, Pattern};
use crate::units::NanoUsd;

/// The highest limit: what the database's numbers hold exactly.
const MOST: NanoUsd = NanoUsd(9_000_000 * NanoUsd::DOLLAR.0);
const LONGEST_ID: usize = 64;
const LONGEST_SUBJECT: usize = 200;
const LONGEST_PATTERN: usize = 200;
const MOST_WARNINGS: usize = 10;

/// A ceiling in money over a period, for everything that its scope and its match name.
///
/// ```
/// use latchkey::budget::{Budget, Enforcement};
/// let budget: Budget = latchkey::json::from_str(r#"{
///   "id": "bud_1", "scope": {"type": "user", "id": "*"}, "match": {"model": "anthropic/*"},
///   "limit": 12.5, "period": "month", "time_zone": "Europe/Berlin", "warn_at": [0.8]
/// }"#).expect("a budget");
/// assert_eq!(budget.enforcement, Enforcement::Strict);
/// assert!(budget.faults("budgets.0").is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Its own, unlike any other budget's; what was spent is kept under it.
    pub id: String,
    /// Whose spending it counts.
    pub scope: Scope,
    /// Which of their calls it counts; all, where nothing is named.
    #[serde(rename = "match")]
    pub matches: Match,
    /// How much may be spent in one period.
    pub limit: NanoUsd,
    /// How long that is for.
    pub period: Period,
    /// Whether periods begin at fixed moments, or reach back from every moment.
    pub window: Window,
    /// Where days, weeks and months of a calendar window begin: a name such as `Europe/Berlin`.
    pub time_zone: String,
    /// What happens where the worst case of a call does not fit.
    pub enforcement: Enforcement,
    /// The shares of the limit at which a warning is sent.
    pub warn_at: Vec<Share>,
}
readable! { Budget { id, scope, matches = "match", limit, period, window, time_zone, enforcement, warn_at } }

/// Whose calls a budget or a limit counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// What kind of spender.
    #[serde(rename = "type")]
    pub kind: ScopeKind,
    /// Which one; `*` is each of them for itself. Of no meaning for the account.
    pub id: String,
}
readable! { Scope { kind = "type", id } }

/// The kinds of spenders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScopeKind {
    /// Everything that goes through this gateway.
    Account,
    /// The keys of a team.
    Team,
    /// One key.
    #[default]
    Key,
    /// An end user: the request's `user`, or `x-latchkey-user`.
    User,
    /// A session: `x-latchkey-session`.
    Session,
    /// A tag: one of `x-latchkey-tags`.
    Tag,
}
words! { ScopeKind {
    Account = "account", Team = "team", Key = "key", User = "user", Session = "session", Tag = "tag",
} }

/// Which calls of a spender are counted. What is not named does not matter; what is named must all agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Match {
    /// A pattern over models, such as `gpt-4o*` or `anthropic/claude-*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A pattern over provider ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// A pattern over the aliases that serve calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}
readable! { Match { model, provider, alias } }

/// How long a limit is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// For ever.
    #[default]
    Total,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week; of the calendar, from Monday on.
    Week,
    /// A month; 30 days where it is rolling.
    Month,
}
words! { Period { Total = "total", Hour = "hour", Day = "day", Week = "week", Month = "month" } }

/// When periods begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// With the hour, day, week or month of the time zone.
    #[default]
    Calendar,
    /// At every moment: what counts is the last hour, day, week or month.
    Rolling,
}
words! { Window { Calendar = "calendar", Rolling = "rolling" } }

/// What happens where a call does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// The worst case of each call is held before it is sent: the limit is never passed.
    #[default]
    Strict,
    /// Calls are let in until the limit is reached; it may be passed by [`Budget::credit`].
    Soft,
}
words! { Enforcement { Strict = "strict", Soft = "soft" } }

/// A share of the whole in thousandths; in JSON a number such as `0.8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u16);

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            id: String::new(),
            scope: Scope::default(),
            matches: Match::default(),
            limit: NanoUsd::ZERO,
            period: Period::default(),
            window: Window::default(),
            time_zone: "UTC".to_owned(),
            enforcement: Enforcement::default(),
            warn_at: Vec::new(),
        }
    }
}

impl Budget {
    /// By how much the limit may be passed: nothing where it is strict, a tenth where it is soft.
    #[must_use]
    pub fn credit(&self) -> NanoUsd {
        match self.enforcement {
            Enforcement::Strict => NanoUsd::ZERO,
            Enforcement::Soft => NanoUsd(self.limit.0 / 10),
        }
    }

    /// Everything that is wrong with it, with paths below `at`.
    #[must_use]
    pub fn faults(&self, at: &str) -> Vec<Fault> {
        let mut found = Found { at, faults: Vec::new() };
        found.definition(&self.id, &self.scope, &self.matches);
        if !(NanoUsd(1)..=MOST).contains(&self.limit) {
            found.add("limit", format!("must be above 0 and at most {MOST} US dollars"));
        }
        if self.window == Window::Rolling && self.period == Period::Total {
            found.add("window", "cannot be `rolling` where the period is `total`");
        }
        if Zone::find(&self.time_zone).is_none() {
            found.add("time_zone", "is no time zone; write a name such as `UTC` or `Europe/Berlin`");
        }
        if self.warn_at.len() > MOST_WARNINGS {
            found.add("warn_at", format!("must have at most {MOST_WARNINGS} entries"));
        }
        for (index, share) in self.warn_at.iter().enumerate() {
            if !(1..=1000).contains(&share.0) {
                found.add(&format!("warn_at.{index}"), "must be above 0 and at most 1");
            }
        }
        found.faults
    }
}

impl Scope {
    /// One key.
    #[must_use]
    pub fn key(id: impl Into<String>) -> Scope {
        Scope { kind: ScopeKind::Key, id: id.into() }
    }

    /// Whether each spender of the kind has an account of its own under it.
    #[must_use]
    pub fn is_each(&self) -> bool {
        self.id == "*" && self.kind != ScopeKind::Account
    }
}

impl Match {
    /// Whether calls to this target are counted; `alias` is what serves them, where that is one.
    #[must_use]
    pub fn counts(&self, provider: &str, model: &str, alias: Option<&str>) -> bool {
        // What is counted is read widely, as what is denied is: a reseller's model is meant too.
        self.model.as_ref().is_none_or(|text| ModelPattern::new(text).denies(provider, model))
            && self.provider.as_ref().is_none_or(|text| Pattern::new(text).matches(provider))
            && self.alias.as_ref().is_none_or(|text| alias.is_some_and(|alias| Pattern::new(text).matches(alias)))
    }
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        NanoUsd(i64::from(self.0) * 1_000_000).serialize(serializer)
    }
}

impl<'a> FromJson<'a> for Share {
    fn from_json(reader: &mut Reader<'a>) -> Result<Share, json::Error> {
        // A share has the form of an amount: decimals that are never read through a float.
        let share = NanoUsd::from_json(reader).ok().filter(|share| share.0 % 1_000_000 == 0);
        share
            .and_then(|share| u16::try_from(share.0 / 1_000_000).ok())
            .map(Share)
            .ok_or_else(|| json::Error::data("expected a share such as 0.8, with at most 3 decimals"))
    }
}

/// What budgets and limits are checked for alike.
pub(crate) struct Found<'a> {
    /// The path of the definition.
    pub(crate) at: &'a str,
    pub(crate) faults: Vec<Fault>,
}

impl Found<'_> {
    pub(crate) fn add(&mut self, field: &str, message: impl Into<String>) {
        let path = if self.at.is_empty() { field.to_owned() } else { format!("{}.{field}", self.at) };
        self.faults.push(Fault { path, message: message.into() });
    }

    pub(crate) fn definition(&mut self, id: &str, scope: &Scope, matches: &Match) {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if id.is_empty() || id.len() > LONGEST_ID || !plain {
            self.add("id", format!("must have 1 to {LONGEST_ID} letters, digits, - and _"));
        }
        if scope.kind != ScopeKind::Account {
            self.text("scope.id", &scope.id, LONGEST_SUBJECT);
        }
        let patterns = [("model", &matches.model), ("provider", &matches.provider), ("alias", &matches.alias)];
        for (name, pattern) in patterns {
            if let Some(pattern) = pattern {
                self.text(&format!("match.{name}"), pattern, LONGEST_PATTERN);
            }
        }
    }

    fn text(&mut self, field: &str, text: &str, longest: usize) {
        if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
            self.add(field, format!("must have 1 to {longest} bytes and no control characters"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Budget, crate::json::Error> {
        crate::json::from_str(json)
    }

    #[test]
    fn a_stored_budget_is_pinned() {
        let written = r#"{"id":"b","scope":{"type":"team","id":"t"},"match":{"provider":"p*"},"limit":0.000000001,"period":"week","window":"rolling","time_zone":"UTC","enforcement":"soft","warn_at":[0.5,1]}"#;
        let budget = read(written).expect("a budget");
        assert_eq!(serde_json::to_string(&budget).expect("JSON"), written);
        assert_eq!((budget.limit, budget.warn_at), (NanoUsd(1), vec![Share(500), Share(1000)]));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let budget = read(
            r#"{"id":"no spaces","scope":{"type":"user"},"match":{"model":""},"limit":0,"window":"rolling",
                "time_zone":"Mars/Olympus","warn_at":[1.5]}"#,
        );
        let faults = budget.expect("readable").faults("budgets.3");
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let below = ["id", "scope.id", "match.model", "limit", "window", "time_zone", "warn_at.0"];
        assert_eq!(paths, below.map(|field| format!("budgets.3.{field}")));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for share in ["0.8001", "-0.1", "\"0.8\"", "66"] {
            assert!(read(&format!(r#"{{"warn_at":[{share}]}}"#)).is_err(), "{share}");
        }
    }

    #[test]
    fn a_match_needs_all_that_it_names() {
        let matches = Match { model: Some("claude-*".into()), provider: Some("bedrock".into()), alias: None };
        assert!(matches.counts("bedrock", "claude-sonnet-4-5", None));
        assert!(!matches.counts("azure", "claude-sonnet-4-5", None));
        let alias = Match { alias: Some("fast*".into()), ..Match::default() };
        assert!(alias.counts("any", "any", Some("fast-cheap")));
        assert!(!alias.counts("any", "fast-cheap", None), "asked for by its own name");
        assert!(Match::default().counts("any", "any", None));
    }
}
