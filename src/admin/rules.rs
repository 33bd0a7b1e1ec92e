//! Budgets and rate limits: on their own under `/admin/budgets` and `/admin/limits`, or inside a key's record.

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::body::{Faults, assign};
use super::records::Resource;
use crate::budget::{Budget, Match, Scope};
use crate::config;
use crate::json::FromJsonOwned;
use crate::limit::Limit;
use crate::units::NanoUsd;

/// Budgets, or limits, of one key.
const MOST_OF_A_KEY: usize = 20;
const LONGEST_TEXT: usize = 200;
/// What the definitions themselves allow is less.
const ANY_AMOUNT: std::ops::RangeInclusive<NanoUsd> = NanoUsd::ZERO..=NanoUsd(i64::MAX);

/// What budgets and limits have in common.
trait Rule: Resource {
    fn scope(&mut self) -> &mut Scope;
    fn faults(&self, at: &str) -> Vec<config::Fault>;
    /// The id of a key's own rule: what it counts, and over which time. A changed amount leaves it as it is, and so
    /// what was spent.
    fn own_id(&self, key_id: &str) -> String;
}

impl Resource for Budget {
    const WRITABLE: &[&str] = &["scope", "match", "limit", "period", "window", "time_zone", "enforcement", "warn_at"];

    fn id(&mut self) -> &mut String {
        &mut self.id
    }

    fn set(&mut self, name: &str, value: Option<&RawValue>, faults: &mut Faults) {
        match name {
            "scope" => assign(&mut self.scope, value, |value| scope(value, faults)),
            "match" => assign(&mut self.matches, value, |value| matches(value, faults)),
            "limit" => assign(&mut self.limit, value, |value| faults.money(name, value, ANY_AMOUNT)),
            "period" => {
                let expected = "\"total\", \"hour\", \"day\", \"week\" or \"month\"";
                assign(&mut self.period, value, |value| faults.typed(name, value, expected));
            }
            "window" => {
                assign(&mut self.window, value, |value| faults.typed(name, value, "\"calendar\" or \"rolling\""));
            }
            "time_zone" => {
                let utc = Budget::default().time_zone;
                self.time_zone = value.map_or(Some(utc), |value| faults.text(name, value, 1..=64)).unwrap_or_default();
            }
            "enforcement" => {
                assign(&mut self.enforcement, value, |value| faults.typed(name, value, "\"strict\" or \"soft\""));
            }
            _ => {
                let expected = "a list of shares such as [0.5, 0.8]";
                assign(&mut self.warn_at, value, |value| faults.typed(name, value, expected));
            }
        }
    }

    fn check(&self, faults: &mut Faults) {
        check(self, faults);
    }
}

impl Rule for Budget {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn faults(&self, at: &str) -> Vec<config::Fault> {
        Budget::faults(self, at)
    }

    fn own_id(&self, key_id: &str) -> String {
        own_id(key_id, &[word(&self.period), word(&self.window)], &self.matches)
    }
}

impl Resource for Limit {
    const WRITABLE: &[&str] = &["scope", "match", "unit", "per", "max"];

    fn id(&mut self) -> &mut String {
        &mut self.id
    }

    fn set(&mut self, name: &str, value: Option<&RawValue>, faults: &mut Faults) {
        match name {
            "scope" => assign(&mut self.scope, value, |value| scope(value, faults)),
            "match" => assign(&mut self.matches, value, |value| matches(value, faults)),
            "unit" => {
                let expected = "\"requests\", \"input_tokens\", \"output_tokens\", \"tokens\" or \"parallel\"";
                assign(&mut self.unit, value, |value| faults.typed(name, value, expected));
            }
            "per" => {
                let expected = "\"minute\", \"hour\" or \"day\"";
                assign(&mut self.per, value, |value| faults.typed(name, value, expected).map(Some));
            }
            _ => assign(&mut self.max, value, |value| {
                faults.integer(name, value, 0..=i64::MAX).and_then(|max| u64::try_from(max).ok())
            }),
        }
    }

    fn check(&self, faults: &mut Faults) {
        check(self, faults);
    }
}

impl Rule for Limit {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn faults(&self, at: &str) -> Vec<config::Fault> {
        Limit::faults(self, at)
    }

    fn own_id(&self, key_id: &str) -> String {
        own_id(key_id, &[word(&self.unit), self.per.map_or(String::new(), |per| word(&per))], &self.matches)
    }
}

/// The budgets in a key's record; `before` are those that it has.
pub(super) fn own_budgets(
    value: &RawValue,
    key_id: &str,
    before: &[Budget],
    faults: &mut Faults,
) -> Option<Vec<Budget>> {
    let ids: Vec<&str> = before.iter().map(|budget| budget.id.as_str()).collect();
    own("budgets", value, key_id, &ids, faults)
}

/// The limits in a key's record; `before` are those that it has.
pub(super) fn own_limits(value: &RawValue, key_id: &str, before: &[Limit], faults: &mut Faults) -> Option<Vec<Limit>> {
    let ids: Vec<&str> = before.iter().map(|limit| limit.id.as_str()).collect();
    own("limits", value, key_id, &ids, faults)
}

fn own<R: Rule>(path: &str, value: &RawValue, key_id: &str, before: &[&str], faults: &mut Faults) -> Option<Vec<R>> {
    let values: Vec<Box<RawValue>> = faults.typed(path, value, "a list of objects")?;
    if values.len() > MOST_OF_A_KEY {
        faults.add(path, format!("must have at most {MOST_OF_A_KEY} entries"));
        return None;
    }
    let mut rules: Vec<R> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let mut found = Faults::default();
        if let Some(mut rule) = own_rule::<R>(value, key_id, before, &mut found) {
            if rules.iter_mut().any(|other| other.id() == rule.id()) {
                found.add("", "counts the same as another entry; change what it counts, or over which time");
            }
            rules.push(rule);
        }
        faults.take(&format!("{path}.{index}"), found);
    }
    Some(rules)
}

fn own_rule<R: Rule>(value: &RawValue, key_id: &str, before: &[&str], faults: &mut Faults) -> Option<R> {
    let mut rule = R::default();
    for (name, value) in faults.object("", value)? {
        match name.as_str() {
            "id" => match value.and_then(|value| crate::json::from_str::<String>(value.get()).ok()) {
                Some(id) if before.contains(&id.as_str()) => *rule.id() = id,
                _ => faults.add("id", "must be one that the key has; leave it out for a new entry"),
            },
            name if R::WRITABLE.contains(&name) => rule.set(name, value, faults),
            _ => faults.add(name, format!("is no field; those that can be written are {}", R::WRITABLE.join(", "))),
        }
    }
    let own = Scope::key(key_id);
    if ![Scope::default(), own.clone()].contains(rule.scope()) {
        faults.add_once("scope", "is the key; leave it out, or use /admin/budgets and /admin/limits for others");
    }
    *rule.scope() = own;
    if rule.id().is_empty() {
        *rule.id() = rule.own_id(key_id);
    }
    rule.check(faults);
    Some(rule)
}

/// What the definition finds, where the field was not at fault already.
fn check<R: Rule>(rule: &R, faults: &mut Faults) {
    for fault in rule.faults("") {
        faults.add_once(&fault.path, &fault.message);
    }
}

fn scope(value: &RawValue, faults: &mut Faults) -> Option<Scope> {
    let mut scope = Scope::default();
    for (name, value) in faults.object("scope", value)? {
        match name.as_str() {
            "type" => {
                let expected = "\"account\", \"team\", \"key\", \"user\", \"session\" or \"tag\"";
                assign(&mut scope.kind, value, |value| faults.typed("scope.type", value, expected));
            }
            "id" => assign(&mut scope.id, value, |value| faults.text("scope.id", value, 0..=LONGEST_TEXT)),
            _ => faults.add(format!("scope.{name}"), "is no field of a scope; there are type and id"),
        }
    }
    Some(scope)
}

fn matches(value: &RawValue, faults: &mut Faults) -> Option<Match> {
    let mut matches = Match::default();
    for (name, value) in faults.object("match", value)? {
        let path = format!("match.{name}");
        let mut text = || value.and_then(|value| faults.text(&path, value, 1..=LONGEST_TEXT));
        match name.as_str() {
            "model" => matches.model = text(),
            "provider" => matches.provider = text(),
            "alias" => matches.alias = text(),
            _ => faults.add(path, "is no field of a match; there are model, provider and alias"),
        }
    }
    Some(matches)
}

fn own_id(key_id: &str, words: &[String], matches: &Match) -> String {
    let mut parts = vec![key_id.to_owned()];
    parts.extend(words.iter().filter(|word| !word.is_empty()).cloned());
    if *matches != Match::default() {
        let digest = Sha256::digest(crate::json::to_string(matches));
        parts.push(digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect());
    }
    parts.join("-")
}

/// The word that JSON has for it.
fn word<T: Serialize + FromJsonOwned>(value: &T) -> String {
    crate::json::to_string(value).trim_matches('"').to_owned()
}
