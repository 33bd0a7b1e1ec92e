//! The OpenAPI dialect of schemas as JSON Schema: types in capitals, `nullable`, and counts as strings.

use crate::json::Raw;
use crate::json::tree::{Members, Node};

/// Types as the dialect spells them.
const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
const COUNTS: [&str; 6] = ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// `schema` as JSON Schema. One that is that already comes back saying the same.
///
/// # Errors
/// With a sentence for the caller where it cannot be read.
pub fn from_openapi(schema: &Raw<'_>) -> Result<Raw<'static>, String> {
    let mut root = super::read(schema)?;
    translate(&mut root);
    Ok(root.to_raw())
}

/// Recursion is bounded by the depth to which [`Node`] reads.
fn translate(node: &mut Node) {
    let Node::Object(members) = node else { return };
    for (key, value) in &mut members.0 {
        match key.as_str() {
            "properties" | "$defs" | "defs" => {
                if let Node::Object(named) = value {
                    named.0.iter_mut().for_each(|(_, schema)| translate(schema));
                }
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                if let Node::Array(items) = value {
                    items.iter_mut().for_each(translate);
                }
            }
            "items" | "additionalProperties" | "not" => translate(value),
            key if COUNTS.contains(&key) => {
                let count = value.text().and_then(|text| text.parse::<u64>().ok());
                *value = count.map_or(std::mem::replace(value, Node::Null), |count| Node::Number(count.to_string()));
            }
            _ => {}
        }
    }
    members.0.retain(|(key, value)| key != "propertyOrdering" && key != "property_ordering" && *value != Node::Null);
    name_type(members);
}

fn name_type(members: &mut Members) {
    let nullable = members.remove("nullable") == Some(Node::Bool(true));
    let kind = match members.text("type") {
        Some("TYPE_UNSPECIFIED") => {
            members.remove("type");
            return;
        }
        Some(kind) if TYPES.contains(&kind) => kind.to_ascii_lowercase(),
        Some(kind) => kind.to_owned(),
        None => return,
    };
    let kind = Node::string(kind);
    members.set("type", if nullable { Node::Array(vec![kind, Node::string("null")]) } else { kind });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_nulls_and_counts_are_translated_where_they_are_schema() {
        let read = |json: &str| from_openapi(&Raw::parse(json).expect("json")).expect("a schema").get().to_owned();
        assert_eq!(
            read(
                r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true},"n":{"type":"ARRAY","minItems":"2","items":{"type":"INTEGER"}}},"propertyOrdering":["type"],"enum":["STRING"]}"#
            ),
            r#"{"type":"object","properties":{"type":{"type":["string","null"]},"n":{"type":"array","minItems":2,"items":{"type":"integer"}}},"enum":["STRING"]}"#
        );
        let plain = r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}}}"#;
        assert_eq!(read(plain), plain);
        assert_eq!(read(r#"{"type":"TYPE_UNSPECIFIED","nullable":true}"#), "{}");
    }
}
