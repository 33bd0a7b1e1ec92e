//! JSON Schema as this protocol's constrained decoding takes it.
//!
//! Every object has to be closed, and only some keywords are known; a schema that breaks either rule is answered with
//! a 400. What merely narrows values (`minimum`, `maxLength`, …) moves into the description, where the model still
//! reads it. What cannot be said at all (open maps, recursion, negation) makes the whole schema inexpressible.
//! Members keep their order, because fields are generated in the order in which they stand.
//!
//! Source: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>.

use crate::json::{Array, Members, Object, Raw, Text};

/// Keywords that are copied as they are.
const COPIED: &[&str] = &["type", "enum", "const", "required", "title", "default", "$ref"];
/// Keywords that say nothing about values.
const SILENT: &[&str] = &["$schema", "$id", "$comment", "additionalProperties", "description", "nullable"];
/// Keywords whose loss would let other answers through, or shut the intended ones out.
const INEXPRESSIBLE: &[&str] = &[
    "patternProperties",
    "propertyNames",
    "prefixItems",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "$dynamicRef",
    "$recursiveRef",
];
/// String formats that are known.
const FORMATS: &[&str] = &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// `schema` closed and cut down; `None` where it cannot be expressed.
pub(in crate::wire) fn closed(schema: &Raw<'_>) -> Option<Raw<'static>> {
    let mut out = Vec::new();
    let mut references = References::default();
    write(schema, &mut references, &mut out)?;
    if references.recur() {
        return None;
    }
    Some(Raw::written(out))
}

/// Which definition refers to which others, to find recursion.
#[derive(Default)]
struct References {
    /// The definition that is being written.
    within: String,
    seen: Vec<(String, String)>,
}

impl References {
    /// Whether some definition leads back to itself. Definitions that lead nowhere are struck until none is left.
    fn recur(mut self) -> bool {
        loop {
            let before = self.seen.len();
            let leads_on: Vec<String> = self.seen.iter().map(|(from, _)| from.clone()).collect();
            self.seen.retain(|(_, to)| leads_on.contains(to));
            match self.seen.len() {
                0 => return false,
                after if after == before => return true,
                _ => {}
            }
        }
    }
}

fn write(schema: &Raw<'_>, references: &mut References, out: &mut Vec<u8>) -> Option<()> {
    let Members(members) = schema.read_borrowed().ok()?;
    let get = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let says_something =
        ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"].iter().any(|keyword| get(keyword).is_some());
    if !says_something {
        return None;
    }
    let mut hints = String::new();
    let mut object = Object::open(out);
    for (key, value) in &members {
        match key.as_str() {
            "properties" | "$defs" | "definitions" => write_named(key, value, references, object.key(key))?,
            "items" => write(value, references, object.key(key))?,
            "anyOf" | "allOf" => write_each(value, references, object.key(key))?,
            "oneOf" if get("anyOf").is_none() => write_each(value, references, object.key("anyOf"))?,
            "format" if value.text().is_some_and(|format| FORMATS.contains(&format.escaped())) => {
                object.raw(key, value);
            }
            "minItems" if matches!(value.get(), "0" | "1") => {
                object.raw(key, value);
            }
            "$ref" => {
                let name = value.text()?.decode().rsplit_once('/')?.1.to_owned();
                references.seen.push((references.within.clone(), name));
                object.raw(key, value);
            }
            copied if COPIED.contains(&copied) => {
                object.raw(key, value);
            }
            silent if SILENT.contains(&silent) => {}
            inexpressible if INEXPRESSIBLE.contains(&inexpressible) => return None,
            narrowing => {
                hints.push_str(if hints.is_empty() { "" } else { ", " });
                hints.push_str(&format!("{narrowing}: {}", value.get()));
            }
        }
    }
    if is_object(get("type"), get("properties")) {
        close(get("additionalProperties"), get("properties"))?;
        object.boolean("additionalProperties", false);
        if get("properties").is_none() {
            object.object("properties", |_| {});
        }
    }
    describe(&mut object, get("description"), &hints);
    object.close();
    Some(())
}

/// Whether an object can be closed: not where members of any name are what it is for.
fn close(additional: Option<&Raw<'_>>, properties: Option<&Raw<'_>>) -> Option<()> {
    let named = properties
        .and_then(|properties| properties.read_borrowed::<Members<'_>>().ok())
        .is_some_and(|Members(named)| !named.is_empty());
    match additional.map(Raw::get) {
        None | Some("false") => Some(()),
        Some("true") if named => Some(()),
        Some(_) => None,
    }
}

fn is_object(kind: Option<&Raw<'_>>, properties: Option<&Raw<'_>>) -> bool {
    properties.is_some() || kind.is_some_and(|kind| kind.get().contains("\"object\""))
}

fn describe(object: &mut Object<'_>, description: Option<&Raw<'_>>, hints: &str) {
    let said = description.and_then(Raw::text);
    if hints.is_empty() {
        if let Some(said) = said {
            object.text("description", &said);
        }
        return;
    }
    let mut description = said.map(Text::into_owned).unwrap_or_default();
    if !description.is_empty() {
        description.push(&Text::escape("\n\n"));
    }
    description.push(&Text::escape(&format!("({hints})")));
    object.text("description", &description);
}

/// Schemas by name. Each definition is remembered as the place that its references stand in.
fn write_named(keyword: &str, named: &Raw<'_>, references: &mut References, out: &mut Vec<u8>) -> Option<()> {
    let Members(members) = named.read_borrowed().ok()?;
    let mut object = Object::open(out);
    for (name, schema) in &members {
        let escaped = Text::escape(name);
        let outer = (keyword != "properties").then(|| std::mem::replace(&mut references.within, name.clone()));
        write(schema, references, object.key(escaped.escaped()))?;
        if let Some(outer) = outer {
            references.within = outer;
        }
    }
    object.close();
    Some(())
}

fn write_each(schemas: &Raw<'_>, references: &mut References, out: &mut Vec<u8>) -> Option<()> {
    let schemas: Vec<Raw<'_>> = schemas.read_borrowed().ok()?;
    let mut array = Array::open(out);
    for schema in &schemas {
        write(schema, references, array.item())?;
    }
    array.close();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: &str) -> Option<String> {
        closed(&Raw::parse(schema).expect("JSON")).map(|closed| closed.get().to_owned())
    }

    #[test]
    fn objects_are_closed_and_keep_their_order() {
        assert_eq!(
            of(r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":["object","null"],"properties":{}}}}"#)
                .as_deref(),
            Some(
                r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":["object","null"],"properties":{},"additionalProperties":false}},"additionalProperties":false}"#
            )
        );
    }

    #[test]
    fn what_narrows_values_is_told_in_words() {
        assert_eq!(
            of(r#"{"type":"integer","minimum":1,"description":"A \"count\".","maximum":9}"#).as_deref(),
            Some(r#"{"type":"integer","description":"A \"count\".\n\n(minimum: 1, maximum: 9)"}"#)
        );
        assert_eq!(
            of(r#"{"type":"string","format":"phone"}"#).as_deref(),
            Some(r#"{"type":"string","description":"(format: \"phone\")"}"#)
        );
        assert_eq!(of(r#"{"oneOf":[{"type":"null"}]}"#).as_deref(), Some(r#"{"anyOf":[{"type":"null"}]}"#));
    }

    #[test]
    fn what_cannot_be_said_is_not_said_wrongly() {
        for schema in [
            r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
            r#"{"type":"object","additionalProperties":true}"#,
            r#"{"type":"object","properties":{"x":{}}}"#,
            r#"{"type":"array","items":true}"#,
            r#"{"type":"array","prefixItems":[]}"#,
            r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##,
            r##"{"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"b":{"$ref":"#/$defs/B"}}},"B":{"anyOf":[{"$ref":"#/$defs/A"}]}}}"##,
        ] {
            assert_eq!(of(schema), None, "{schema}");
        }
        let shared = r##"{"anyOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/A"}],"$defs":{"A":{"type":"null"}}}"##;
        assert_eq!(of(shared).as_deref(), Some(shared));
    }
}
