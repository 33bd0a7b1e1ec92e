//! The keywords of JSON Schema that providers leave out of structured outputs.

use serde_json::{Map, Value};

use super::Schema;
use crate::chat::Regex;

impl Schema<'_> {
    /// Whether `value` keeps ranges, lengths, patterns, counts and combinations.
    pub(super) fn keeps_measures(self, value: &Value, schema: &Map<String, Value>, depth: u32) -> bool {
        let own = match value {
            Value::Number(number) => number.as_f64().is_none_or(|number| keeps_range(number, schema)),
            Value::String(text) => {
                let patterned = schema.get("pattern").and_then(Value::as_str).is_none_or(|it| matches(it, text));
                within(text.chars().count(), schema, "minLength", "maxLength") && patterned
            }
            Value::Array(items) => self.keeps_counts(items, schema, depth),
            Value::Object(members) => self.keeps_names(members, schema, depth),
            Value::Bool(_) | Value::Null => true,
        };
        own && self.keeps_combinations(value, schema, depth)
    }

    fn keeps_combinations(self, value: &Value, schema: &Map<String, Value>, depth: u32) -> bool {
        let kept = |one: &Value| self.is_kept(value, one, depth + 1);
        let listed = |keyword: &str| schema.get(keyword).and_then(Value::as_array);
        let all = listed("allOf").is_none_or(|all| all.iter().all(kept));
        let one = listed("oneOf").is_none_or(|all| all.iter().filter(|one| kept(one)).count() == 1);
        let not = schema.get("not").is_none_or(|not| !kept(not));
        let follows = schema.get("if").is_none_or(|condition| {
            let branch = if kept(condition) { "then" } else { "else" };
            schema.get(branch).is_none_or(kept)
        });
        all && one && not && follows
    }

    fn keeps_counts(self, items: &[Value], schema: &Map<String, Value>, depth: u32) -> bool {
        let unique = schema.get("uniqueItems") != Some(&Value::Bool(true))
            || items.iter().enumerate().all(|(at, item)| !items.iter().take(at).any(|other| other == item));
        let contained = schema.get("contains").is_none_or(|wanted| {
            let found = items.iter().filter(|item| self.is_kept(item, wanted, depth + 1)).count();
            let least = if schema.contains_key("minContains") { 0 } else { 1 };
            found >= least && within(found, schema, "minContains", "maxContains")
        });
        within(items.len(), schema, "minItems", "maxItems") && unique && contained
    }

    fn keeps_names(self, members: &Map<String, Value>, schema: &Map<String, Value>, depth: u32) -> bool {
        let named = schema
            .get("propertyNames")
            .is_none_or(|each| members.keys().all(|name| self.is_kept(&Value::String(name.clone()), each, depth + 1)));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let patterned = patterns.into_iter().flatten().all(|(pattern, each)| {
            let mut theirs = members.iter().filter(|(name, _)| matches(pattern, name));
            theirs.all(|(_, value)| self.is_kept(value, each, depth + 1))
        });
        let dependent = schema.get("dependentRequired").and_then(Value::as_object);
        let complete =
            dependent.into_iter().flatten().filter(|(name, _)| members.contains_key(*name)).all(|(_, needs)| {
                let mut needs = needs.as_array().into_iter().flatten().filter_map(Value::as_str);
                needs.all(|name| members.contains_key(name))
            });
        within(members.len(), schema, "minProperties", "maxProperties") && named && patterned && complete
    }
}

/// Whether a member's name is one of `patternProperties`.
pub(super) fn is_patterned(name: &str, schema: &Map<String, Value>) -> bool {
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    patterns.into_iter().flatten().any(|(pattern, _)| matches(pattern, name))
}

/// A pattern that is not known here counts as kept.
fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).map_or(true, |regex| regex.matches(text))
}

fn within(count: usize, schema: &Map<String, Value>, least: &str, most: &str) -> bool {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let count = count as f64;
    bound(least).is_none_or(|least| count >= least) && bound(most).is_none_or(|most| count <= most)
}

fn keeps_range(number: f64, schema: &Map<String, Value>) -> bool {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let multiple = |step: f64| {
        let times = number / step;
        step <= 0.0 || (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
    };
    bound("minimum").is_none_or(|least| number >= least)
        && bound("maximum").is_none_or(|most| number <= most)
        && bound("exclusiveMinimum").is_none_or(|least| number > least)
        && bound("exclusiveMaximum").is_none_or(|most| number < most)
        && bound("multipleOf").is_none_or(multiple)
}
