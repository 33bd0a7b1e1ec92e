//! The least value that satisfies a JSON Schema.
//!
//! It covers what structured outputs and tool definitions use. `pattern`, `not` and conditions are not looked at.

use serde_json::{Map, Number, Value};

/// Levels of nesting that are followed. A schema whose required parts recurse for ever has no finite value anyway.
const DEEPEST: usize = 32;
/// Values that are made at most, so that a small schema cannot ask for a huge answer.
const MOST_VALUES: usize = 2000;
/// The longest string or list that a minimum can ask for.
const LONGEST: u64 = 1000;

/// A value that fits `schema`: required members only, the first of every choice, the least of every range.
pub(super) fn example(schema: &Value) -> Value {
    Walk { root: schema, left: MOST_VALUES }.value(schema, DEEPEST)
}

struct Walk<'s> {
    root: &'s Value,
    left: usize,
}

impl Walk<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth == 0 || self.left == 0 {
            self.left = self.left.saturating_sub(1);
            return Value::Null;
        }
        self.left -= 1;
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
            return first.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let root = self.root;
            let target = target.strip_prefix('#').and_then(|path| root.pointer(path));
            return target.map_or(Value::Null, |target| self.value(target, depth - 1));
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(branch) = schema.get(choice).and_then(Value::as_array).and_then(|all| simplest(all)) {
                return self.value(branch, depth - 1);
            }
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.all_of(schema, parts, depth);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => Value::String(string(schema)),
            "integer" => number(schema, true),
            "number" => number(schema, false),
            "boolean" => Value::Bool(false),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut members = Map::new();
        for name in required.iter().filter_map(Value::as_str) {
            let member = schema.get("properties").and_then(|properties| properties.get(name));
            let value = member.map_or(Value::Null, |member| self.value(member, depth - 1));
            members.insert(name.to_owned(), value);
        }
        Value::Object(members)
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        let fixed = schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(LONGEST);
        let mut items: Vec<Value> = Vec::new();
        for index in 0..usize::try_from(least).unwrap_or(0) {
            if self.left == 0 {
                break;
            }
            let item = fixed.get(index).or_else(|| schema.get("items"));
            items.push(item.map_or(Value::Null, |item| self.value(item, depth - 1)));
        }
        Value::Array(items)
    }

    /// Objects are joined; of anything else the first part decides.
    fn all_of(&mut self, schema: &Value, parts: &[Value], depth: usize) -> Value {
        let mut joined = match kind(schema) {
            "object" => self.object(schema, depth),
            _ => Value::Null,
        };
        for part in parts {
            let value = self.value(part, depth - 1);
            match (&mut joined, value) {
                (Value::Object(all), Value::Object(more)) => all.extend(more),
                (Value::Null, value) => joined = value,
                _ => {}
            }
        }
        joined
    }
}

/// The first branch that refers to nothing, so that an optional recursion ends at once; else the first.
fn simplest(branches: &[Value]) -> Option<&Value> {
    branches.iter().find(|branch| branch.get("$ref").is_none()).or(branches.first())
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        // No constraint at all: anything fits, and text reads best.
        _ => "string",
    }
}

fn string(schema: &Value) -> String {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => return "2026-01-01T00:00:00Z".to_owned(),
        Some("date") => return "2026-01-01".to_owned(),
        Some("time") => return "00:00:00Z".to_owned(),
        Some("duration") => return "P1D".to_owned(),
        Some("email") => return "someone@example.com".to_owned(),
        Some("hostname") => return "example.com".to_owned(),
        Some("ipv4") => return "192.0.2.1".to_owned(),
        Some("ipv6") => return "2001:db8::1".to_owned(),
        Some("uuid") => return "00000000-0000-4000-8000-000000000000".to_owned(),
        Some("uri") => return "https://example.com/".to_owned(),
        _ => "example",
    };
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let least = usize::try_from(bound("minLength").unwrap_or(0).min(LONGEST)).unwrap_or(0);
    let most = usize::try_from(bound("maxLength").unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let length = text.len().max(least).min(most);
    text.chars().cycle().take(length).collect()
}

/// Zero where it is allowed, else what is nearest to it.
fn number(schema: &Value, whole: bool) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(if whole { 1.0 } else { 0.5 });
    let lowest = match (bound("minimum"), bound("exclusiveMinimum")) {
        (_, Some(above)) => (above / step).floor() * step + step,
        (Some(least), None) => (least / step).ceil() * step,
        (None, None) => f64::NEG_INFINITY,
    };
    let highest = match (bound("maximum"), bound("exclusiveMaximum")) {
        (_, Some(below)) => (below / step).ceil() * step - step,
        (Some(most), None) => (most / step).floor() * step,
        (None, None) => f64::INFINITY,
    };
    let value = 0f64.max(lowest).min(highest);
    // Exact for every integer that a double can hold; a saturating cast beyond.
    #[allow(clippy::cast_possible_truncation, reason = "saturates, and only whole numbers get here")]
    let integer = value as i64;
    if whole { Value::from(integer) } else { Number::from_f64(value).map_or(Value::from(0), Value::Number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn examples_fit_their_schema() {
        for (schema, fits) in [
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}),
                json!({"a": "example"}),
            ),
            (json!({"type": "object"}), json!({})),
            (json!({"properties": {"unit": {"enum": ["c", "f"]}}, "required": ["unit"]}), json!({"unit": "c"})),
            (json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2}), json!([false, false])),
            (json!({"type": "string", "minLength": 9}), json!("exampleex")),
            (json!({"type": "string", "maxLength": 2}), json!("ex")),
            (json!({"type": "string", "format": "date"}), json!("2026-01-01")),
            (json!({"type": ["string", "null"]}), json!("example")),
            (json!({"type": "integer", "minimum": 3}), json!(3)),
            (json!({"type": "integer", "exclusiveMinimum": 3}), json!(4)),
            (json!({"type": "integer", "minimum": 10, "multipleOf": 4}), json!(12)),
            (json!({"type": "integer", "maximum": -3}), json!(-3)),
            (json!({"type": "number", "exclusiveMinimum": 0}), json!(0.5)),
            (
                json!({"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}], "$defs": {"a": {"type": "string"}}}),
                json!(null),
            ),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"const": 7}}}), json!(7)),
            (
                json!({"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": {"const": 2}}, "required": ["b"]}]}),
                json!({"a": 1, "b": 2}),
            ),
            (
                json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2}),
                json!(["example", 0]),
            ),
        ] {
            assert_eq!(example(&schema), fits, "{schema}");
        }
    }

    #[test]
    fn what_never_ends_is_bounded() {
        let tree =
            json!({"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}, "required": ["l", "r"]});
        let wide = json!({"type": "array", "minItems": 999_999_999, "items": {"type": "array", "minItems": 999_999_999, "items": {"$ref": "#"}}});
        let long = json!({"type": "array", "minItems": 1000, "items": {"type": "string", "minLength": 999_999_999}});
        for schema in [tree, wide, json!({"$ref": "#"})] {
            assert!(example(&schema).to_string().len() < 100_000, "{schema}");
        }
        assert!(example(&long).to_string().len() < 2_000_000);
    }
}
