//! The shape of the answer's text.

use crate::chat::{OutputShape, Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Object, Raw};
use crate::provider::{ModelFacts, StructuredOutput};
use crate::wire::schema::{Dialect, Sanitised, sanitise, sanitise_parameters};
use crate::wire::{Adjusted, Change, structured};

/// How the shape is held.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Any text.
    Free,
    /// Some JSON.
    Json,
    /// JSON of a schema, in the field that understands it.
    Schema { field: &'static str, schema: Raw<'static> },
    /// By a function whose arguments are the answer ([`structured`]), in the field that understands its schema.
    Tool { field: &'static str, schema: Raw<'static> },
    /// By asking for it, where an open object cannot be had beside functions.
    Asked,
}

/// A schema and the name of the field that takes it: the subset of OpenAPI where that says everything, because every
/// model and host takes it, else the field for JSON Schema.
pub(super) fn in_narrowest(
    narrow: Sanitised,
    fields: (&'static str, &'static str),
    wide: impl FnOnce() -> Result<Option<Sanitised>, String>,
) -> Result<(&'static str, Raw<'static>), String> {
    if narrow.lossy
        && let Some(wide) = wide()?
    {
        return Ok((fields.1, wide.schema));
    }
    Ok((fields.0, narrow.schema))
}

/// Decides how. Models before the third generation refuse JSON output beside functions ("Function calling with a
/// response mime type: 'application/json' is unsupported"): there, a function of ours takes the answer.
///
/// # Errors
/// `BadRequest` where the schema cannot be read.
pub(super) fn of(request: &Request<'_>, facts: &ModelFacts, adjusted: &mut Adjusted) -> Result<Shape, Failure> {
    let beside_functions = !super::is_level_steered(facts)
        && request.tool_choice != Some(ToolChoice::None)
        && request.tools.iter().any(|tool| matches!(tool, Tool::Function { .. }));
    let by_tool = beside_functions || facts.structured == StructuredOutput::ForcedTool;
    let schema = match &request.output {
        OutputShape::Text => return Ok(Shape::Free),
        OutputShape::JsonObject => None,
        OutputShape::JsonSchema { schema, .. } => schema.as_ref().filter(|schema| !schema.is_null()),
    };
    let Some(schema) = schema else {
        if !by_tool {
            return Ok(Shape::Json);
        }
        adjusted.note("response_format", Change::Changed);
        return Ok(Shape::Asked);
    };
    let fault = |message: String| Failure::bad_request("response_format.json_schema.schema", message);
    if by_tool {
        let input = structured::answer_schema(Some(schema), adjusted)?;
        let parameters = |dialect| sanitise_parameters(&input, dialect);
        let Some(narrow) = parameters(&Dialect::GEMINI).map_err(fault)? else {
            adjusted.note("response_format", Change::Changed);
            return Ok(Shape::Asked);
        };
        let fields = ("parameters", "parametersJsonSchema");
        let (field, schema) = in_narrowest(narrow, fields, || parameters(&Dialect::GEMINI_JSON)).map_err(fault)?;
        return Ok(Shape::Tool { field, schema });
    }
    // Models before 2.5 sort properties unless they are told their order.
    let ordered = Dialect { property_ordering: true, ..Dialect::GEMINI };
    let narrow = sanitise(schema, &ordered).map_err(fault)?;
    let fields = ("responseSchema", "responseJsonSchema");
    let wide = || sanitise(schema, &Dialect::GEMINI_JSON).map(Some);
    let (field, schema) = in_narrowest(narrow, fields, wide).map_err(fault)?;
    Ok(Shape::Schema { field, schema })
}

impl Shape {
    /// What has to be said among the instructions.
    pub fn instruction(&self) -> Option<&'static str> {
        match self {
            Shape::Asked => Some(structured::OBJECT_INSTRUCTION),
            Shape::Tool { .. } => Some(structured::INSTRUCTION),
            Shape::Free | Shape::Json | Shape::Schema { .. } => None,
        }
    }

    /// Writes its part of `generationConfig`.
    pub fn write(&self, config: &mut Object<'_>) {
        if let Shape::Json | Shape::Schema { .. } = self {
            config.string("responseMimeType", "application/json");
        }
        if let Shape::Schema { field, schema } = self {
            config.raw(field, schema);
        }
    }
}
