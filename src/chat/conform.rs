//! Whether JSON keeps a JSON Schema: as far as models are asked to keep one, or to the letter.

mod measures;

use serde_json::{Map, Value};

/// Schemas within schemas, references included.
const DEEPEST: u32 = 64;

/// Whether `value` keeps `schema`: its types, enumerations, members, items and alternatives.
///
/// Keywords that providers leave out of their structured outputs (patterns, ranges, formats and the like) count as kept:
/// nobody should be blamed for what nobody promised. So does what lies too deep, and a reference to elsewhere.
pub(super) fn conforms(value: &Value, schema: &Value) -> bool {
    Schema { root: schema, fully: false }.is_kept(value, schema, 0)
}

/// Whether `value` keeps all of `schema`, save `format`, `unevaluated…` and references to elsewhere.
///
/// Source: <https://json-schema.org/draft/2020-12/json-schema-validation>.
#[must_use]
pub fn satisfies(value: &Value, schema: &Value) -> bool {
    Schema { root: schema, fully: true }.is_kept(value, schema, 0)
}

/// A schema whose references begin at its root.
#[derive(Clone, Copy)]
struct Schema<'s> {
    root: &'s Value,
    /// Whether what providers leave out counts, too.
    fully: bool,
}

impl Schema<'_> {
    fn is_kept(self, value: &Value, schema: &Value, depth: u32) -> bool {
        let schema = match schema {
            Value::Bool(allowed) => return *allowed,
            Value::Object(schema) if depth < DEEPEST => schema,
            _ => return true,
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|path| self.root.pointer(path));
            let kept = target.is_none_or(|target| self.is_kept(value, target, depth + 1));
            // Only to the letter does a reference leave its neighbours in force.
            if !kept || !self.fully {
                return kept;
            }
        }
        let nullable = schema.get("nullable").and_then(Value::as_bool) == Some(true);
        if nullable && value.is_null() {
            return true;
        }
        let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|listed| listed.contains(value));
        let constant = schema.get("const").is_none_or(|constant| constant == value);
        let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array());
        let mut alternatives = alternatives.map(|list| list.iter().any(|one| self.is_kept(value, one, depth + 1)));
        is_of_type(value, schema)
            && listed
            && constant
            && alternatives.all(|kept| kept)
            && (!self.fully || self.keeps_measures(value, schema, depth))
            && match value {
                Value::Object(members) => self.keeps_members(members, schema, depth),
                Value::Array(items) => self.keeps_items(items, schema, depth),
                _ => true,
            }
    }

    fn keeps_members(self, members: &Map<String, Value>, schema: &Map<String, Value>, depth: u32) -> bool {
        let known = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let complete = required.filter_map(Value::as_str).all(|name| members.contains_key(name));
        let others = schema.get("additionalProperties");
        complete
            && members.iter().all(|(name, value)| match (known.and_then(|known| known.get(name)), others) {
                (Some(member), _) => self.is_kept(value, member, depth + 1),
                (None, Some(_)) if self.fully && measures::is_patterned(name, schema) => true,
                (None, Some(member)) => self.is_kept(value, member, depth + 1),
                (None, None) => true,
            })
    }

    fn keeps_items(self, items: &[Value], schema: &Map<String, Value>, depth: u32) -> bool {
        let first = if self.fully { schema.get("prefixItems").and_then(Value::as_array) } else { None };
        let first = first.map_or(&[][..], Vec::as_slice);
        let placed = items.iter().zip(first).all(|(item, each)| self.is_kept(item, each, depth + 1));
        let mut others = items.iter().skip(first.len());
        placed && schema.get("items").is_none_or(|each| others.all(|item| self.is_kept(item, each, depth + 1)))
    }
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
    fn to_the_letter_every_keyword_counts() {
        let cases = [
            (json!({"minimum": 1, "exclusiveMaximum": 5, "multipleOf": 0.5}), json!(1.5), json!(5)),
            (json!({"multipleOf": 0.5}), json!(2), json!(0.7)),
            (json!({"exclusiveMinimum": 0}), json!(0.1), json!(0)),
            (json!({"minLength": 2, "maxLength": 3}), json!("äß"), json!("a")),
            (json!({"pattern": "^[A-Z]{3}$"}), json!("EUR"), json!("euro")),
            (json!({"minItems": 1, "maxItems": 2, "uniqueItems": true}), json!([1, 2]), json!([1, 1])),
            (json!({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}), json!(["a", 1]), json!([1, 1])),
            (json!({"contains": {"const": 1}, "maxContains": 1}), json!([0, 1]), json!([1, 1])),
            (json!({"minProperties": 1, "maxProperties": 1}), json!({"a": 1}), json!({})),
            (json!({"propertyNames": {"pattern": "^[a-z]+$"}}), json!({"a": 1}), json!({"A": 1})),
            (
                json!({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": false}),
                json!({"x-a": "b"}),
                json!({"x-a": 1}),
            ),
            (json!({"dependentRequired": {"a": ["b"]}}), json!({"a": 1, "b": 2}), json!({"a": 1})),
            (json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}), json!(2), json!(3)),
            (json!({"oneOf": [{"minimum": 1}, {"minimum": 5}]}), json!(2), json!(6)),
            (json!({"not": {"type": "string"}}), json!(2), json!("a")),
            (json!({"if": {"minimum": 5}, "then": {"multipleOf": 5}, "else": {"multipleOf": 2}}), json!(10), json!(3)),
            (json!({"$defs": {"a": {"type": "number"}}, "$ref": "#/$defs/a", "maximum": 3}), json!(2), json!(4)),
        ];
        for (schema, kept, broken) in cases {
            assert!(satisfies(&kept, &schema), "{kept} of {schema}");
            assert!(!satisfies(&broken, &schema), "{broken} of {schema}");
        }
        let lenient = json!({"type": "string", "pattern": "^a$", "maxLength": 1});
        assert!(conforms(&json!("bb"), &lenient), "what nobody promised");
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let endless = json!({ "$ref": "#" });
        assert!(conforms(&json!({}), &endless) && satisfies(&json!({}), &endless));
    }
}
