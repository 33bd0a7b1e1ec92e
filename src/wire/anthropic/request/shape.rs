//! The shape of the answer's text.

use crate::chat::OutputShape;
use crate::failure::Failure;
use crate::json::Raw;
use crate::provider::{ModelFacts, StructuredOutput};
use crate::wire::anthropic::schema;
use crate::wire::{Adjusted, structured};

/// How the shape is held.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::wire) enum Shape {
    /// Any text.
    Free,
    /// By the protocol's own `output_config.format`.
    Native(Raw<'static>),
    /// By a tool whose input is the answer ([`structured`]).
    Tool(Raw<'static>),
}

/// Decides how. The protocol's own way only knows closed schemas, and only newer models know it; of a model about which
/// nothing is known, tools are the safer guess. "Some JSON object" goes through the tool, too: an open object is what
/// the protocol cannot say. So does what is no object, which can be taken out of the tool's input again.
///
/// # Errors
/// `BadRequest` where the schema cannot be read.
pub(in crate::wire) fn of(
    output: &OutputShape<'_>,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
) -> Result<Shape, Failure> {
    match output {
        OutputShape::Text => Ok(Shape::Free),
        OutputShape::JsonObject => {
            let any = Raw::parse(r#"{"type":"object","additionalProperties":true}"#).unwrap_or(Raw::EMPTY_OBJECT);
            Ok(Shape::Tool(any))
        }
        OutputShape::JsonSchema { schema, .. } => {
            if let Some(wrapped) = schema.as_ref().and_then(structured::wrapped) {
                return Ok(Shape::Tool(wrapped));
            }
            let schema = structured::answer_schema(schema.as_ref(), adjusted)?.into_owned();
            let native = (facts.structured == StructuredOutput::Native).then(|| schema::closed(&schema)).flatten();
            Ok(native.map_or(Shape::Tool(schema), Shape::Native))
        }
    }
}
