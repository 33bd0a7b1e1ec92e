//! Tools and which of them must be called.

use super::{blocks, names, shape::Shape, thinking::Wish};
use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text, readable};
use crate::provider::{ModelFacts, StructuredOutput};
use crate::wire::anthropic::schema;
use crate::wire::{Adjusted, Change, Format, losses, structured};

/// More strict tools than this are refused
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs#schema-complexity-limits>).
const MOST_STRICT: usize = 20;

/// What `tool_choice` becomes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::wire) struct Choice<'r> {
    pub kind: ChoiceKind<'r>,
    /// Said at the end of the instructions, where a call cannot be forced.
    pub instruction: Option<String>,
    /// `disable_parallel_tool_use`.
    pub one_at_a_time: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::wire) enum ChoiceKind<'r> {
    /// Not written.
    Unsaid,
    Auto,
    None,
    Any,
    Named(Text<'r>),
}

impl Choice<'_> {
    /// Whether the model has to make a call.
    pub fn is_forced(&self) -> bool {
        matches!(self.kind, ChoiceKind::Any | ChoiceKind::Named(_))
    }

    /// Writes `tool_choice`.
    pub fn write(&self, body: &mut Object<'_>) {
        let kind = match &self.kind {
            ChoiceKind::Unsaid if !self.one_at_a_time => return,
            ChoiceKind::Unsaid | ChoiceKind::Auto => "auto",
            ChoiceKind::None => "none",
            ChoiceKind::Any => "any",
            ChoiceKind::Named(_) => "tool",
        };
        body.object("tool_choice", |choice| {
            choice.string("type", kind);
            if let ChoiceKind::Named(name) = &self.kind {
                choice.text("name", name);
            }
            if self.one_at_a_time && self.kind != ChoiceKind::None {
                choice.boolean("disable_parallel_tool_use", true);
            }
        });
    }
}

/// Decides what must be called: what the caller says, and the tool for structured output where there is one.
///
/// # Errors
/// `BadRequest` where a call is demanded and there is nothing to call.
pub(in crate::wire) fn choose<'r>(
    request: &'r Request<'r>,
    shape: &Shape,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
) -> Result<Choice<'r>, Failure> {
    let has_tools = !request.tools.is_empty();
    let wanted = match &request.tool_choice {
        None => ChoiceKind::Unsaid,
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ChoiceKind::Auto,
        Some(ToolChoice::None) => ChoiceKind::None,
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => ChoiceKind::Any,
        Some(ToolChoice::Named(name)) => ChoiceKind::Named(name.borrowed()),
    };
    let mut choice = Choice {
        kind: wanted,
        instruction: None,
        one_at_a_time: has_tools && request.parallel_tool_calls == Some(false),
    };
    if !has_tools {
        if choice.is_forced() {
            return Err(Failure::bad_request("tool_choice", "A tool call is demanded, but there are no tools."));
        }
        choice.kind = ChoiceKind::Unsaid;
    }
    if matches!(shape, Shape::Tool(_)) {
        answer_by_tool(request, facts, has_tools, &mut choice);
    } else if choice.is_forced() && facts.refuses_forced_tools {
        choice.instruction = Some(match &choice.kind {
            ChoiceKind::Named(name) => demand(Some(name)),
            _ => demand(None),
        });
        choice.kind = ChoiceKind::Auto;
        adjusted.note("tool_choice", Change::Changed);
    }
    Ok(choice)
}

/// The words for a tool call that may not be forced.
pub(in crate::wire) fn demand(name: Option<&Text<'_>>) -> String {
    match name {
        Some(name) => format!("Call the tool `{}` now, before anything else.", name.decode()),
        None => "Call at least one of your tools now, before anything else.".to_owned(),
    }
}

/// Makes the model answer through the tool for structured output, by force where that is possible.
fn answer_by_tool(request: &Request<'_>, facts: &ModelFacts, has_tools: bool, choice: &mut Choice<'_>) {
    if matches!(choice.kind, ChoiceKind::Named(_)) {
        // The caller waits for this very call; the answer's shape is for a later turn.
        return;
    }
    let thinks = matches!(Wish::of(request.reasoning.as_ref()), Wish::On { .. });
    let only_answer = !has_tools || choice.kind == ChoiceKind::None;
    let cannot_force = facts.refuses_forced_tools || (thinks && choice.kind != ChoiceKind::Any);
    choice.kind = match (cannot_force, only_answer) {
        (true, _) => ChoiceKind::Auto,
        (false, true) => ChoiceKind::Named(Text::from_escaped(structured::TOOL)),
        (false, false) => ChoiceKind::Any,
    };
    choice.one_at_a_time |= only_answer;
    if cannot_force || !only_answer {
        choice.instruction = Some(structured::INSTRUCTION.to_owned());
    }
}

/// Writes `tools`. Answers whether there are any.
///
/// # Errors
/// `BadRequest` where a name or schema cannot be taken, `Unsupported` where a tool is of another protocol.
pub(super) fn write(
    request: &Request<'_>,
    shape: &Shape,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<bool, Failure> {
    if request.tools.is_empty() && request.web_search.is_none() && !matches!(shape, Shape::Tool(_)) {
        return Ok(false);
    }
    let strict_is_taken = facts.structured == StructuredOutput::Native && count_strict(request) <= MOST_STRICT;
    let mut array = Array::open(body.key("tools"));
    for (at, tool) in request.tools.iter().enumerate().filter(|(_, tool)| is_allowed(tool, request)) {
        match tool {
            Tool::Function { .. } => write_function(at, tool, strict_is_taken, adjusted, &mut array)?,
            Tool::Native(raw) if is_server_tool(raw) => {
                array.raw(raw);
            }
            Tool::Native(_) => losses::lose_at(Format::Anthropic, "tools", format!("tools.{at}"), adjusted)?,
        }
    }
    if let Some(options) = &request.web_search {
        write_web_search(options, array.item());
    }
    if let Shape::Tool(schema) = shape {
        array.object(|tool| {
            tool.string("name", structured::TOOL).string("description", structured::PURPOSE);
            tool.raw("input_schema", schema);
        });
    }
    array.close();
    Ok(true)
}

/// Writes tools that only the conversation knows: calls and results are refused without a definition of any tool
/// ("Requests which include `tool_use` or `tool_result` blocks must define tools"). They may not be called again.
pub(super) fn write_called(names: &[String], body: &mut Object<'_>) {
    if names.is_empty() {
        return;
    }
    body.array("tools", |array| {
        for name in names {
            array.object(|tool| {
                tool.string("name", name).object("input_schema", |schema| {
                    schema.string("type", "object");
                });
            });
        }
    });
    body.object("tool_choice", |choice| {
        choice.string("type", "none");
    });
}

fn write_function(
    at: usize,
    tool: &Tool<'_>,
    strict_is_taken: bool,
    adjusted: &mut Adjusted,
    array: &mut Array<'_>,
) -> Result<(), Failure> {
    let Tool::Function { name, description, parameters, strict, cache } = tool else { return Ok(()) };
    if !names::is_tool_name(name.escaped()) {
        let message = "A tool's name may have up to 128 of the letters a-z, A-Z, 0-9, _ and - for this model.";
        return Err(Failure::bad_request(format!("tools.{at}.function.name"), message));
    }
    let schema = structured::parameters(parameters.as_ref(), at, adjusted)?;
    let strict = *strict == Some(true);
    // Strict schemas are taken in a narrower dialect; where it does not suffice, the promise is given up.
    let closed = if strict && strict_is_taken { schema::closed(&schema) } else { None };
    if strict && closed.is_none() {
        adjusted.note("tools.strict", Change::Dropped);
    }
    array.object(|tool| {
        tool.text("name", name);
        if let Some(description) = description {
            tool.text("description", description);
        }
        tool.raw("input_schema", closed.as_ref().unwrap_or(&schema));
        if closed.is_some() {
            tool.boolean("strict", true);
        }
        blocks::write_cache(*cache, tool);
    });
    Ok(())
}

fn count_strict(request: &Request<'_>) -> usize {
    request.tools.iter().filter(|tool| matches!(tool, Tool::Function { strict: Some(true), .. })).count()
}

/// Whether the caller's `allowed_tools` has this one.
fn is_allowed(tool: &Tool<'_>, request: &Request<'_>) -> bool {
    match (tool, &request.tool_choice) {
        (Tool::Function { name, .. }, Some(ToolChoice::Allowed { names, .. })) => names.contains(name),
        _ => true,
    }
}

/// Whether a tool is written in this protocol already: its type ends in a date (`bash_20250124`).
fn is_server_tool(raw: &Raw<'_>) -> bool {
    #[derive(Default)]
    struct Typed<'a> {
        kind: Option<Text<'a>>,
    }
    readable! { Typed<'a> { kind = "type" } }
    let Ok(Typed { kind: Some(kind) }) = raw.read_borrowed() else { return false };
    let Some((_, date)) = kind.escaped().rsplit_once('_') else { return false };
    date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())
}

/// OpenAI's `web_search_options` as the provider's own search tool. The size of the context becomes a number of
/// searches, which is what there is to set.
fn write_web_search(options: &Raw<'_>, out: &mut Vec<u8>) {
    #[derive(Default)]
    struct Options<'a> {
        search_context_size: Option<Text<'a>>,
        user_location: Option<UserLocation<'a>>,
    }
    readable! { Options<'a> { search_context_size, user_location } }
    #[derive(Default)]
    struct UserLocation<'a> {
        approximate: Option<Location<'a>>,
    }
    readable! { UserLocation<'a> { approximate } }
    #[derive(Default)]
    struct Location<'a> {
        city: Option<Text<'a>>,
        country: Option<Text<'a>>,
        region: Option<Text<'a>>,
        timezone: Option<Text<'a>>,
    }
    readable! { Location<'a> { city, country, region, timezone } }
    let options: Options<'_> = options.read_borrowed().unwrap_or_default();
    let most = match options.search_context_size.as_ref().map(Text::escaped) {
        Some("low") => 1,
        Some("high") => 10,
        _ => 5,
    };
    let mut tool = Object::open(out);
    tool.string("type", "web_search_20250305").string("name", "web_search").number("max_uses", most);
    if let Some(place) = options.user_location.and_then(|location| location.approximate) {
        tool.object("user_location", |location| {
            location.string("type", "approximate");
            let fields = [
                ("city", place.city),
                ("country", place.country),
                ("region", place.region),
                ("timezone", place.timezone),
            ];
            for (key, value) in fields {
                if let Some(value) = value {
                    location.text(key, &value);
                }
            }
        });
    }
    tool.close();
}
