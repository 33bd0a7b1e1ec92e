use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn narrow(schema: Value) -> (Value, bool) {
    put(&schema, &Dialect::GEMINI)
}

fn wide(schema: Value) -> Value {
    put(&schema, &Dialect::GEMINI_JSON).0
}

fn put(schema: &Value, dialect: &Dialect) -> (Value, bool) {
    let raw = Raw::of(schema);
    let sanitised = sanitise(&raw, dialect).expect("a readable schema");
    (sanitised.schema.read().expect("JSON"), sanitised.lossy)
}

#[test]
fn names_in_references_may_be_escaped() {
    let of = |reference: &str, name: &str| {
        narrow(
            json!({"type": "object", "properties": {"a": {"$ref": reference}}, "definitions": {name: {"type": "string"}}}),
        )
    };
    let found = (json!({"type": "object", "properties": {"a": {"type": "string"}}}), false);
    assert_eq!(of("#/definitions/Page%3CItem%3E", "Page<Item>"), found);
    assert_eq!(of("#/definitions/a~1b%24%", "a/b$%"), found);
}

#[test]
fn what_the_narrow_dialect_can_say_loses_nothing() {
    let cases = [
        (json!({"type": "string", "title": "T", "$schema": "x", "default": "a"}), json!({"type": "string"})),
        (json!({"const": "a"}), json!({"type": "string", "enum": ["a"]})),
        (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true})),
        (json!({"enum": ["a", "b", null]}), json!({"type": "string", "enum": ["a", "b"], "nullable": true})),
        (json!({"type": "STRING", "nullable": true}), json!({"type": "string", "nullable": true})),
        (
            json!({"type": ["string", "integer"], "description": "d"}),
            json!({"anyOf": [{"type": "string", "description": "d"}, {"type": "integer"}]}),
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "boolean"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "string", "nullable": true}, {"type": "boolean", "nullable": true}]}),
        ),
        (
            json!({"anyOf": [{"type": "string", "description": "own"}, {"type": "null"}], "description": "outer"}),
            json!({"type": "string", "description": "outer own", "nullable": true}),
        ),
        (
            json!({"type": "object", "properties": {"b": {"type": "number", "exclusiveMinimum": 0},
                "a": {"type": "integer", "exclusiveMaximum": 10}}, "required": ["b", "b", "gone"],
                "additionalProperties": false}),
            json!({"type": "object", "properties": {
                "b": {"type": "number", "description": "(greater than 0)", "minimum": 0},
                "a": {"type": "integer", "maximum": 9}}, "required": ["b"]}),
        ),
        (
            json!({"type": "string", "format": "uuid", "description": "Which."}),
            json!({"type": "string", "description": "Which. (format: uuid)"}),
        ),
        (json!({"type": "string", "format": "date-time"}), json!({"type": "string", "format": "date-time"})),
        (
            json!({"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}, "required": ["b"]}], "type": "object"}),
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "required": ["a", "b"]}),
        ),
        (
            json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "string", "description": "there"}},
                "description": "here"}),
            json!({"type": "string", "description": "here"}),
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        ),
        (
            json!({"required": ["k"], "properties": {"k": {"type": "string"}},
                "anyOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]}),
            json!({"anyOf": [
                {"type": "object", "properties": {"a": {"type": "string"}, "k": {"type": "string"}}, "required": ["k"]},
                {"type": "object", "properties": {"b": {"type": "string"}, "k": {"type": "string"}}, "required": ["k"]}]}),
        ),
    ];
    for (schema, expected) in cases {
        assert_eq!(narrow(schema.clone()), (expected, false), "{schema}");
    }
}

#[test]
fn what_it_cannot_say_is_marked_and_said_by_the_wide_one() {
    let cases = [
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2,
                "maxItems": 2}),
            json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "minItems": 2,
                "maxItems": 2}),
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2,
                "maxItems": 2}),
        ),
        (
            json!({"type": "integer", "enum": [1, 2, null]}),
            json!({"type": "integer", "description": "(one of: 1, 2)"}),
            json!({"type": "integer", "enum": [1, 2]}),
        ),
        (json!({"type": "array"}), json!({"type": "array", "items": {"type": "string"}}), json!({"type": "array"})),
        (json!({}), json!({"type": "string"}), json!({})),
        (json!(true), json!({"type": "string"}), json!({})),
        (
            json!({"enum": ["a", ""]}),
            json!({"type": "string", "description": "(may be empty)", "enum": ["a"]}),
            json!({"type": "string", "enum": ["a", ""]}),
        ),
        (
            json!({"enum": ["a", null], "type": ["string", "null"]}),
            json!({"type": "string", "enum": ["a"], "nullable": true}),
            json!({"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
        ),
    ];
    for (schema, in_narrow, in_wide) in cases {
        let (written, lossy) = narrow(schema.clone());
        assert_eq!(written, in_narrow, "{schema}");
        assert_eq!(lossy, !in_narrow.to_string().contains("nullable"), "{schema}");
        assert_eq!(wide(schema.clone()), in_wide, "{schema}");
    }
}

#[test]
fn cycles_end_in_an_object() {
    let tree = json!({"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object", "properties": {
        "value": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}}});
    let expected = json!({"type": "object", "properties": {
        "value": {"type": "string"}, "children": {"type": "array", "items": {"type": "object"}}}});
    assert_eq!(narrow(tree.clone()), (expected.clone(), true));
    assert_eq!(wide(tree), expected);
    for endless in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "#/$defs/Gone"}),
    ] {
        assert_eq!(narrow(endless.clone()), (json!({"type": "object"}), true), "{endless}");
    }
}

#[test]
fn a_definition_used_twice_is_no_cycle() {
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/definitions/P~1x"},
        "b": {"$ref": "#/definitions/P~1x"}}, "definitions": {"P/x": {"type": "integer"}}});
    let expected = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}});
    assert_eq!(narrow(schema), (expected, false));
    let base = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let both = json!({"allOf": [{"$ref": "#/$defs/Base"}, {"$ref": "#/$defs/More"}], "$defs": {"Base": base,
        "More": {"allOf": [{"$ref": "#/$defs/Base"}], "properties": {"b": {"type": "integer"}}}}});
    let expected = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}});
    assert_eq!(narrow(both), (expected, false));
}

#[test]
fn references_that_multiply_are_bounded() {
    let mut definitions = serde_json::Map::new();
    for level in 0..20 {
        let below = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        let properties: Value =
            (0..20).map(|at| (format!("p{at}"), below.clone())).collect::<serde_json::Map<_, _>>().into();
        definitions.insert(format!("L{level}"), json!({"type": "object", "properties": properties}));
        definitions
            .insert(format!("A{level}"), json!({"allOf": vec![json!({"$ref": format!("#/$defs/A{}", level + 1)}); 9]}));
    }
    for root in ["L0", "A0"] {
        let schema = json!({"$ref": format!("#/$defs/{root}"), "$defs": definitions});
        let (written, lossy) = narrow(schema);
        assert!(lossy);
        assert!(written.to_string().len() < 200_000);
    }
}

#[test]
fn properties_keep_their_order() {
    let schema = Raw::parse(r#"{"properties":{"z":{"type":"string"},"a":{"type":"string"}}}"#).expect("json");
    let ordered = Dialect { property_ordering: true, ..Dialect::GEMINI };
    assert_eq!(
        sanitise(&schema, &ordered).expect("a schema").schema.get(),
        r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}},"propertyOrdering":["z","a"]}"#
    );
}

#[test]
fn parameters_are_an_object_or_nothing() {
    let of = |schema: Value| {
        let sanitised = sanitise_parameters(&Raw::of(&schema), &Dialect::GEMINI).expect("a schema");
        sanitised.map(|sanitised| sanitised.schema.read::<Value>().expect("JSON"))
    };
    for none in [json!({}), json!({"type": "object", "properties": {}}), json!(null), json!({"type": "string"})] {
        assert_eq!(of(none.clone()), None, "{none}");
    }
    let choice = json!({"anyOf": [
        {"type": "object", "properties": {"a": {"type": "string"}, "k": {"type": "string"}}, "required": ["a", "k"]},
        {"type": "object", "properties": {"b": {"type": "string"}, "k": {"type": "string"}}, "required": ["b", "k"]}]});
    let expected = json!({"type": "object", "properties": {"a": {"type": "string"}, "k": {"type": "string"},
        "b": {"type": "string"}}, "required": ["k"]});
    assert_eq!(of(choice), Some(expected));
    let nullable = json!({"type": ["object", "null"], "properties": {"a": {"type": "string"}}});
    assert_eq!(of(nullable), Some(json!({"type": "object", "properties": {"a": {"type": "string"}}})));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert!(Raw::parse_owned(deep).is_err());
    let long = Raw::of(&"x".repeat(MAX_SCHEMA));
    assert!(sanitise(&long, &Dialect::GEMINI).is_err());
}

/// Schemas of all sorts, valid and not, with references into themselves.
fn schemas() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        any::<i16>().prop_map(|number| json!(number)),
        Just(json!(1.5)),
        "[a-c ]{0,2}".prop_map(|text| json!(text)),
    ];
    let leaf = prop_oneof![
        scalar.clone(),
        Just(json!({})),
        proptest::collection::vec(scalar.clone(), 0..3).prop_map(|values| json!({"enum": values})),
        scalar.prop_map(|value| json!({"const": value, "description": "d"})),
        prop_oneof![Just("#"), Just("#/$defs/D"), Just("#/properties/a"), Just("#/nowhere")]
            .prop_map(|reference| json!({"$ref": reference, "description": "r"})),
        prop_oneof![Just("string"), Just("integer"), Just("number"), Just("null"), Just("any"), Just("array")]
            .prop_map(|kind| json!({"type": kind, "format": "uuid", "exclusiveMinimum": 1, "minLength": 1})),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"type": "object", "properties": {"a": a, "b": b},
                "required": ["b", "c"], "additionalProperties": false, "nullable": true})),
            inner.clone().prop_map(|rest| json!({"type": ["object", "null"], "additionalProperties": rest})),
            inner.clone().prop_map(|items| json!({"type": "array", "items": items, "uniqueItems": true})),
            list.clone().prop_map(|items| json!({"prefixItems": items, "minItems": 1})),
            list.clone().prop_map(|any| json!({"anyOf": any, "description": "u", "type": "object"})),
            list.clone().prop_map(|one| json!({"oneOf": one, "description": "u"})),
            list.clone().prop_map(|all| json!({"allOf": all, "properties": {"z": {"type": "string"}}})),
            (inner.clone(), inner).prop_map(|(d, a)| json!({"$defs": {"D": d}, "properties": {"a": a},
                "type": ["object", "string", "array"]})),
        ]
    })
}

const WORDS: &[&str] = &[
    "type",
    "description",
    "nullable",
    "format",
    "enum",
    "anyOf",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "minimum",
    "maximum",
];
const NARROW_WORDS: &[&str] = &["minLength", "maxLength", "pattern", "minProperties", "maxProperties"];
const WIDE_WORDS: &[&str] = &["prefixItems", "additionalProperties"];

/// Checks that a written schema uses only the dialect's words, at every level.
fn check(schema: &Value, dialect: &Dialect) {
    let Value::Object(members) = schema else { panic!("{schema} is no schema") };
    let own = if dialect.typed { NARROW_WORDS } else { WIDE_WORDS };
    for key in members.keys() {
        assert!(WORDS.contains(&key.as_str()) || own.contains(&key.as_str()), "{key} in {schema}");
    }
    if dialect.typed {
        assert!(members.contains_key("type") != members.contains_key("anyOf"), "{schema}");
        assert!(members.get("type").is_none_or(Value::is_string), "{schema}");
        assert!(members.get("enum").is_none_or(|list| list.as_array().unwrap().iter().all(Value::is_string)));
        assert!(members.get("type").is_none_or(|kind| kind != "array") || members.contains_key("items"), "{schema}");
    } else {
        assert!(!members.contains_key("nullable"), "{schema}");
    }
    let below = ["anyOf", "prefixItems"].iter().filter_map(|key| members.get(*key)?.as_array()).flatten();
    let single = ["items", "additionalProperties"].iter().filter_map(|key| members.get(*key));
    let properties = members.get("properties").and_then(Value::as_object);
    let named = properties.into_iter().flat_map(|properties| properties.values());
    below.chain(single).chain(named).for_each(|node| check(node, dialect));
    for name in members.get("required").and_then(Value::as_array).into_iter().flatten() {
        assert!(properties.expect("properties").contains_key(name.as_str().expect("a name")), "{schema}");
    }
}

proptest! {
    #[test]
    fn whatever_goes_in_the_dialect_comes_out(schema in schemas(), narrow in any::<bool>()) {
        let dialect = if narrow { Dialect::GEMINI } else { Dialect::GEMINI_JSON };
        let (written, _) = put(&schema, &dialect);
        check(&written, &dialect);
        prop_assert_eq!(put(&written, &dialect).0, written, "once is enough");
    }

    #[test]
    fn parameters_are_always_an_object(schema in schemas()) {
        for dialect in [Dialect::GEMINI, Dialect::GEMINI_JSON] {
            if let Some(sanitised) = sanitise_parameters(&Raw::of(&schema), &dialect).expect("a schema") {
                let written: Value = sanitised.schema.read().expect("JSON");
                prop_assert_eq!(&written["type"], "object");
                check(&written, &dialect);
            }
        }
    }
}
