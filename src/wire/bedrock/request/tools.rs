//! Tools and which of them must be called.

use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::provider::{ModelFacts, StructuredOutput};
use crate::wire::anthropic::request::names;
use crate::wire::anthropic::request::shape::Shape;
use crate::wire::anthropic::request::tools::{Choice, ChoiceKind};
use crate::wire::anthropic::request::turns::Conversation;
use crate::wire::anthropic::schema;
use crate::wire::{Adjusted, Change, Format, losses, structured};

use super::{LONGEST_NAME, blocks};

/// Members that tell a tool which is written in this protocol already.
const NATIVE: [&str; 3] = ["systemTool", "toolSpec", "cachePoint"];
const NO_CALLS: &str = "Do not call any tools in this turn.";

/// Puts into words what the protocol has none for: that nothing may be called although there are tools. They may only
/// be left out where the conversation has no calls.
pub(super) fn settle(choice: &mut Choice<'_>, conversation: &Conversation<'_>, adjusted: &mut Adjusted) {
    if choice.kind == ChoiceKind::None && !conversation.called(LONGEST_NAME).is_empty() {
        choice.instruction.get_or_insert_with(|| NO_CALLS.to_owned());
        adjusted.note("tool_choice", Change::Changed);
    }
}

/// Writes `toolConfig` where there is one.
///
/// # Errors
/// `BadRequest` where a name or schema cannot be taken, `Unsupported` where a tool is of another protocol.
pub(super) fn write(
    request: &Request<'_>,
    shape: &Shape,
    choice: &Choice<'_>,
    conversation: &Conversation<'_>,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    let called = conversation.called(LONGEST_NAME);
    let answers_by_tool = matches!(shape, Shape::Tool(_));
    let wanted = !request.tools.is_empty() && (choice.kind != ChoiceKind::None || !called.is_empty());
    if !wanted && !answers_by_tool && called.is_empty() {
        return Ok(());
    }
    let mut config = Object::open(body.key("toolConfig"));
    let mut array = Array::open(config.key("tools"));
    for (at, tool) in request.tools.iter().enumerate().filter(|(_, tool)| wanted && is_allowed(tool, request)) {
        write_tool(at, tool, facts, adjusted, &mut array)?;
    }
    if let Shape::Tool(schema) = shape {
        write_spec(&Text::from_escaped(structured::TOOL), Some(structured::PURPOSE), schema, false, &mut array);
    }
    if array.is_empty() {
        // Calls and results are refused without a definition of any tool.
        for name in &called {
            write_spec(&Text::escape(name), None, &Raw::EMPTY_OBJECT, false, &mut array);
        }
    }
    array.close();
    write_choice(choice, &mut config);
    config.close();
    Ok(())
}

fn write_choice(choice: &Choice<'_>, config: &mut Object<'_>) {
    match &choice.kind {
        ChoiceKind::Unsaid | ChoiceKind::None => {}
        ChoiceKind::Auto => {
            config.raw("toolChoice", &wrapped(r#"{"auto":{}}"#));
        }
        ChoiceKind::Any => {
            config.raw("toolChoice", &wrapped(r#"{"any":{}}"#));
        }
        ChoiceKind::Named(name) => {
            config.object("toolChoice", |choice| {
                choice.object("tool", |tool| {
                    tool.string("name", &names::clean_to(&name.decode(), LONGEST_NAME));
                });
            });
        }
    }
}

fn wrapped(json: &'static str) -> Raw<'static> {
    Raw::parse(json).unwrap_or(Raw::EMPTY_OBJECT)
}

fn write_tool(
    at: usize,
    tool: &Tool<'_>,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
    array: &mut Array<'_>,
) -> Result<(), Failure> {
    let (name, description, parameters, strict, cache) = match tool {
        Tool::Native(raw) if native(raw).is_some() => {
            if let Some((member, value)) = native(raw) {
                array.object(|tool| {
                    tool.raw(member, &value);
                });
            }
            return Ok(());
        }
        Tool::Native(_) => return losses::lose_at(Format::Bedrock, "tools", format!("tools.{at}"), adjusted),
        Tool::Function { name, description, parameters, strict, cache } => {
            (name, description, parameters, *strict == Some(true), *cache)
        }
    };
    let schema = structured::parameters(parameters.as_ref(), at, adjusted)?;
    let strict_is_taken = facts.structured == StructuredOutput::Native;
    let closed = if strict && strict_is_taken { schema::closed(&schema) } else { None };
    if strict && closed.is_none() {
        adjusted.note("tools.strict", Change::Dropped);
    }
    let name = names::clean_to(&name.decode(), LONGEST_NAME).into_owned();
    let description = description.as_ref().map(|text| text.decode()).filter(|text| !text.trim().is_empty());
    let name = Text::escape(&name);
    write_spec(&name, description.as_deref(), closed.as_ref().unwrap_or(&schema), closed.is_some(), array);
    if cache.is_some() && facts.capabilities.is_some() && facts.structured == StructuredOutput::Unknown {
        // Of the makers whose models cache, one alone takes marks here.
        adjusted.note("cache_control", Change::Dropped);
    } else {
        blocks::write_cache(cache, facts, adjusted, array);
    }
    Ok(())
}

/// A tool in this protocol's words, without the `type` that the caller's protocol wants of every tool.
fn native<'r>(raw: &'r Raw<'_>) -> Option<(&'static str, Raw<'r>)> {
    let raw = raw.borrowed();
    NATIVE.iter().find_map(|member| Some((*member, raw.member(member)?)))
}

fn write_spec(name: &Text<'_>, description: Option<&str>, schema: &Raw<'_>, strict: bool, array: &mut Array<'_>) {
    array.object(|tool| {
        tool.object("toolSpec", |spec| {
            spec.text("name", name);
            if let Some(description) = description {
                spec.string("description", description);
            }
            spec.object("inputSchema", |input| {
                if *schema == Raw::EMPTY_OBJECT {
                    input.raw("json", &wrapped(r#"{"type":"object"}"#));
                } else {
                    input.raw("json", schema);
                }
            });
            if strict {
                spec.boolean("strict", true);
            }
        });
    });
}

/// Whether the caller's `allowed_tools` has this one.
fn is_allowed(tool: &Tool<'_>, request: &Request<'_>) -> bool {
    match (tool, &request.tool_choice) {
        (Tool::Function { name, .. }, Some(ToolChoice::Allowed { names, .. })) => names.contains(name),
        _ => true,
    }
}
