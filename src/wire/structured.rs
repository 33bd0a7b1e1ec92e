//! Structured output for models that have no word for it: a tool that the model is made to call, whose input is the
//! answer.
//!
//! The request writer adds [`TOOL`] with the schema as its input and forces it where it can. Whoever reads the answer
//! knows the tool by its name alone and gives its input as text, so nothing has to be remembered between the two. The
//! caller sees `content` and `stop`, never the tool.

use crate::json::{Raw, Text, readable};

/// The tool's name: fixed, because answers are told by it, and unlikely to be a caller's.
pub const TOOL: &str = "latchkey_structured_answer";

/// What the tool is for, as the model reads it.
pub const PURPOSE: &str = "Gives the final answer. Its input is the whole answer, as the user will read it.";

/// Asks for the tool where it cannot be forced, because the model thinks or has other tools to choose from.
pub const INSTRUCTION: &str = "Give your final answer by calling the tool `latchkey_structured_answer`, and only \
    through it: no text before or after the call. Call other tools first where you need them.";

/// Asks for JSON where any object will do.
pub const OBJECT_INSTRUCTION: &str =
    "Answer with one JSON object and nothing else: no text around it and no code fence.";

/// Whether `name` is the tool's.
#[must_use]
pub fn is_tool(name: &Text<'_>) -> bool {
    name.escaped() == TOOL
}

/// `schema` as the input of a tool, which has to say that it is an object.
///
/// # Errors
/// With a sentence for the caller where the schema describes something else.
pub fn input_schema(schema: Option<&Raw<'_>>) -> Result<Raw<'static>, String> {
    let Some(schema) = schema.filter(|schema| !schema.is_null()) else {
        return Ok(object_schema());
    };
    let members = schema.get().trim().strip_prefix('{').ok_or("the schema must be a JSON object")?.trim_start();
    match schema.read_borrowed::<Root<'_>>() {
        Err(error) => Err(format!("the schema cannot be read: {error}")),
        Ok(Root { kind: None }) if members == "}" => Ok(object_schema()),
        // The type goes first, so that what follows stays as it was written.
        Ok(Root { kind: None }) => {
            Raw::parse_owned(format!("{{\"type\":\"object\",{members}")).map_err(|e| e.to_string())
        }
        Ok(Root { kind: Some(kind) }) if kind.text().is_some_and(|kind| kind.is("object")) => {
            Ok(schema.clone().into_owned())
        }
        Ok(Root { kind: Some(_) }) => Err("the schema's root must be of type `object`".to_owned()),
    }
}

#[derive(Default)]
struct Root<'a> {
    kind: Option<Raw<'a>>,
}
readable! { Root<'a> { kind = "type" } }

fn object_schema() -> Raw<'static> {
    Raw::parse(r#"{"type":"object","properties":{}}"#).unwrap_or(Raw::EMPTY_OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_input_is_an_object() {
        let of = |schema: &str| input_schema(Some(&Raw::parse(schema).unwrap())).map(|raw| raw.get().to_owned());
        assert_eq!(input_schema(None).unwrap().get(), r#"{"type":"object","properties":{}}"#);
        assert_eq!(of("{}").unwrap(), r#"{"type":"object","properties":{}}"#);
        assert_eq!(of("null").unwrap(), r#"{"type":"object","properties":{}}"#);
        assert_eq!(of(r#"{ "type" : "object"}"#).unwrap(), r#"{ "type" : "object"}"#);
        assert_eq!(of(r##"{"$ref":"#/$defs/A"}"##).unwrap(), r##"{"type":"object","$ref":"#/$defs/A"}"##);
        for wrong in [r#"{"type":"array"}"#, "[]", "true", r#"{"type":["object","null"]}"#] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
