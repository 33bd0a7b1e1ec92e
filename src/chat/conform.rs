//! Whether JSON keeps a JSON Schema, as far as models are asked to keep one.

use serde_json::{Map, Value};

/// Schemas within schemas, references included.
const DEEPEST: u32 = 64;

/// Whether `value` keeps `schema`: its types, enumerations, members, items and alternatives.
///
/// Keywords that providers leave out of their structured outputs (patterns, ranges, formats and the like) count as kept:
/// nobody should be blamed for what nobody promised. So does what lies too deep, and a reference to elsewhere.
pub(super) fn conforms(value: &Value, schema: &Value) -> bool {
    keeps(value, schema, schema, 0)
}

fn keeps(value: &Value, schema: &Value, root: &Value, depth: u32) -> bool {
    let schema = match schema {
        Value::Bool(allowed) => return *allowed,
        Value::Object(schema) if depth < DEEPEST => schema,
        _ => return true,
    };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.is_none_or(|target| keeps(value, target, root, depth + 1));
    }
    let nullable = schema.get("nullable").and_then(Value::as_bool) == Some(true);
    if nullable && value.is_null() {
        return true;
    }
    let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|listed| listed.contains(value));
    let constant = schema.get("const").is_none_or(|constant| constant == value);
    let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array());
    let mut alternatives = alternatives.map(|list| list.iter().any(|one| keeps(value, one, root, depth + 1)));
    is_of_type(value, schema) && listed && constant && alternatives.all(|kept| kept) && {
        match value {
            Value::Object(members) => keeps_members(members, schema, root, depth),
            Value::Array(items) => {
                schema.get("items").is_none_or(|each| items.iter().all(|item| keeps(item, each, root, depth + 1)))
            }
            _ => true,
        }
    }
}

fn keeps_members(members: &Map<String, Value>, schema: &Map<String, Value>, root: &Value, depth: u32) -> bool {
    let known = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let complete = required.filter_map(Value::as_str).all(|name| members.contains_key(name));
    let others = schema.get("additionalProperties");
    complete
        && members.iter().all(|(name, value)| match (known.and_then(|known| known.get(name)), others) {
            (Some(member), _) | (None, Some(member)) => keeps(value, member, root, depth + 1),
            (None, None) => true,
        })
}

/// Type words are compared without regard to case: Gemini's own are in capitals.
fn is_of_type(value: &Value, schema: &Map<String, Value>) -> bool {
    let is = |word: &str| match word.to_ascii_lowercase().as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    };
    match schema.get("type") {
        Some(Value::String(word)) => is(word),
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_promised_has_to_be_kept() {
        let address = json!({
            "type": "object",
            "properties": {
                "city": { "type": "string" },
                "number": { "type": ["integer", "null"] },
                "kind": { "enum": ["home", "work"] },
                "tags": { "type": "array", "items": { "type": "STRING" } },
                "inner": { "$ref": "#/$defs/inner" },
                "either": { "anyOf": [{ "type": "string" }, { "type": "boolean" }] }
            },
            "required": ["city"],
            "additionalProperties": false,
            "$defs": { "inner": { "type": "object", "properties": { "inner": { "$ref": "#/$defs/inner" } } } }
        });
        let kept = [
            json!({ "city": "Brno" }),
            json!({ "city": "Brno", "number": 7, "kind": "home", "tags": ["a"], "either": true }),
            json!({ "city": "Brno", "number": null, "inner": { "inner": { "inner": {} } } }),
        ];
        let broken = [
            json!("Brno"),
            json!({}),
            json!({ "city": 5 }),
            json!({ "city": "Brno", "number": 1.5 }),
            json!({ "city": "Brno", "kind": "holiday" }),
            json!({ "city": "Brno", "tags": [1] }),
            json!({ "city": "Brno", "inner": { "inner": 3 } }),
            json!({ "city": "Brno", "either": 3 }),
            json!({ "city": "Brno", "land": "CZ" }),
        ];
        for value in kept {
            assert!(conforms(&value, &address), "{value}");
        }
        for value in broken {
            assert!(!conforms(&value, &address), "{value}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let endless = json!({ "$ref": "#" });
        assert!(conforms(&json!({}), &endless));
    }
}
