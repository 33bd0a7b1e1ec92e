//! Requests.

use std::borrow::Cow;

use crate::chat::{Effort, Message, OutputShape, Part, Reasoning, Request, Role, Source, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::provider::{Capabilities, ModelFacts};
use crate::wire::losses::GATEWAY;
use crate::wire::{Adjusted, Change, Format, Outgoing, Target, losses, structured};

/// Top-level fields of this protocol that are passed on.
const FIELDS: &[&str] =
    &["documents", "citation_options", "safety_mode", "strict_tools", "thinking", "priority", "raw_prompting"];
/// More stops are refused.
const MOST_STOPS: usize = 5;

/// Writes a request.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the caller's field, where the model cannot serve it.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    losses::give_up(Format::Cohere, request, adjusted)?;
    let mut out = Vec::with_capacity(2048);
    let mut body = Object::open(&mut out);
    body.string("model", target.model).boolean("stream", request.stream);
    let native = write_native(request, adjusted, &mut body);
    write_messages(request, adjusted, &mut body)?;
    write_tools(request, adjusted, &mut body)?;
    write_shape(request, adjusted, &mut body)?;
    write_sampling(request, target.facts, adjusted, &mut body)?;
    if !native.contains(&"thinking") {
        write_thinking(request.reasoning.as_ref(), target.facts, adjusted, &mut body);
    }
    body.close();
    Ok(Outgoing { path: "/v2/chat".to_owned(), headers: Vec::new(), body: out })
}

/// Writes the fields of this protocol that the caller put beside the others; answers which there were.
fn write_native<'r>(request: &'r Request<'_>, adjusted: &mut Adjusted, body: &mut Object<'_>) -> Vec<&'r str> {
    let mut written = Vec::new();
    for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_ref() {
            name if GATEWAY.contains(&name) => {}
            "store" if value.boolean() == Some(false) => {}
            name if FIELDS.contains(&name) => {
                body.raw(name, value);
                written.push(name);
            }
            name => adjusted.note(name.to_owned(), Change::Dropped),
        }
    }
    written
}

fn write_messages(request: &Request<'_>, adjusted: &mut Adjusted, body: &mut Object<'_>) -> Result<(), Failure> {
    let mut messages = Array::open(body.key("messages"));
    let mut shown = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        if message.role != Role::Tool {
            write_shown(at, &mut shown, adjusted, &mut messages)?;
        }
        match message.role {
            Role::System | Role::Developer => {
                write_said("system", at, &mut message.parts.iter(), adjusted, &mut messages)?
            }
            Role::User => write_said("user", at, &mut message.parts.iter(), adjusted, &mut messages)?,
            Role::Assistant => write_assistant(message, adjusted, &mut messages),
            Role::Tool => {}
        }
        for part in &message.parts {
            if let Part::ToolResult { call_id, parts, .. } = part {
                write_result(call_id, parts, at, adjusted, &mut messages)?;
                shown.extend(parts.iter().filter(|part| matches!(part, Part::Image { .. })));
            }
        }
    }
    write_shown(request.messages.len().saturating_sub(1), &mut shown, adjusted, &mut messages)?;
    if messages.is_empty() {
        return Err(Failure::bad_request("messages", "There has to be a message that says something."));
    }
    messages.close();
    Ok(())
}

/// Pictures that results hold, which a user has to show: behind the last result of the turn.
fn write_shown(
    at: usize,
    shown: &mut Vec<&Part<'_>>,
    adjusted: &mut Adjusted,
    messages: &mut Array<'_>,
) -> Result<(), Failure> {
    write_said("user", at, &mut shown.drain(..), adjusted, messages)
}

/// Words and pictures of a message that is not the model's; nothing where there are none.
fn write_said<'p>(
    role: &'static str,
    at: usize,
    parts: &mut dyn Iterator<Item = &'p Part<'p>>,
    adjusted: &mut Adjusted,
    messages: &mut Array<'_>,
) -> Result<(), Failure> {
    let says = |part: &&Part<'_>| !matches!(part, Part::ToolResult { .. } | Part::Reasoning { .. });
    let mut parts = parts.enumerate().filter(|(_, part)| says(part)).peekable();
    if parts.peek().is_none() {
        return Ok(());
    }
    let mut written = Object::open(messages.item());
    written.string("role", role);
    let mut content = Array::open(written.key("content"));
    for (index, part) in parts {
        let place = || format!("messages.{at}.content.{index}");
        match part {
            Part::Text { text, cache, .. } => {
                if cache.is_some() {
                    losses::lose(Format::Cohere, "cache_control", adjusted)?;
                }
                write_text(text, &mut content);
            }
            Part::Refusal { text } => write_text(text, &mut content),
            Part::Image { source, detail, .. } => write_image(source, detail.as_ref(), &place, &mut content)?,
            Part::Audio { .. } => losses::lose_at(Format::Cohere, "input_audio", place(), adjusted)?,
            Part::Video { .. } => losses::lose_at(Format::Cohere, "video_url", place(), adjusted)?,
            Part::File { .. } => losses::lose_at(Format::Cohere, "file", place(), adjusted)?,
            Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {}
        }
    }
    content.close();
    written.close();
    Ok(())
}

/// What the model said. Its reasoning goes back as the plan of the calls that it led to, and else nowhere: no model of
/// this protocol wants it.
fn write_assistant(message: &Message<'_>, adjusted: &mut Adjusted, messages: &mut Array<'_>) {
    let calls = || message.parts.iter().filter(|part| matches!(part, Part::ToolCall { .. }));
    let texts = || {
        message.parts.iter().filter_map(|part| match part {
            Part::Text { text, .. } | Part::Refusal { text } if !text.is_empty() => Some(text),
            _ => None,
        })
    };
    if calls().next().is_none() && texts().next().is_none() {
        return;
    }
    let mut written = Object::open(messages.item());
    written.string("role", "assistant");
    if texts().next().is_some() {
        written.array("content", |content| texts().for_each(|text| write_text(text, content)));
    }
    if calls().next().is_some() {
        let plan = plan(message, adjusted);
        if !plan.is_empty() {
            written.text("tool_plan", &plan);
        }
        written.array("tool_calls", |array| calls().for_each(|call| write_call(call, array)));
    }
    written.close();
}

/// Reasoning that no other maker's model signed.
fn plan(message: &Message<'_>, adjusted: &mut Adjusted) -> Text<'static> {
    let mut plan = Text::EMPTY;
    for part in &message.parts {
        match part {
            Part::Reasoning { signature: Some(_), .. } => adjusted.note("reasoning_details", Change::Dropped),
            Part::Reasoning { text, signature: None } => plan.push(text),
            _ => {}
        }
    }
    plan
}

fn write_call(part: &Part<'_>, array: &mut Array<'_>) {
    let Part::ToolCall { id, name, arguments, .. } = part else { return };
    array.object(|call| {
        call.text("id", id).string("type", "function").object("function", |function| {
            function.text("name", name).text("arguments", &arguments.quoted());
        });
    });
}

fn write_result(
    call_id: &Text<'_>,
    parts: &[Part<'_>],
    at: usize,
    adjusted: &mut Adjusted,
    messages: &mut Array<'_>,
) -> Result<(), Failure> {
    let mut text: Cow<'_, str> = Cow::Borrowed("");
    for part in parts {
        match part {
            Part::Text { text: more, .. } => text.to_mut().push_str(more.escaped()),
            // Shown apart.
            Part::Image { .. } => {}
            _ => losses::lose_at(Format::Cohere, "file", format!("messages.{at}.content"), adjusted)?,
        }
    }
    messages.object(|message| {
        message.string("role", "tool").text("tool_call_id", call_id).text("content", &Text::from_escaped(text));
    });
    Ok(())
}

fn write_text(text: &Text<'_>, content: &mut Array<'_>) {
    content.object(|part| {
        part.string("type", "text").text("text", text);
    });
}

fn write_image(
    source: &Source<'_>,
    detail: Option<&Text<'_>>,
    place: &dyn Fn() -> String,
    content: &mut Array<'_>,
) -> Result<(), Failure> {
    let url = match source {
        Source::Url(url) => url.borrowed(),
        Source::Inline { media_type, data } => {
            Text::from_escaped(format!("data:{};base64,{}", media_type.escaped(), data.escaped()))
        }
        Source::FileId(_) => {
            return Err(Failure::bad_request(place(), "Pictures have to be inlined or linked to for this model."));
        }
    };
    content.object(|part| {
        part.string("type", "image_url").object("image_url", |image| {
            image.text("url", &url);
            if let Some(detail) = detail {
                image.text("detail", detail);
            }
        });
    });
    Ok(())
}

/// Writes the tools that may be called, and whether one must be. A single one is demanded by leaving the others out.
fn write_tools(request: &Request<'_>, adjusted: &mut Adjusted, body: &mut Object<'_>) -> Result<(), Failure> {
    let allowed = |name: &Text<'_>| match &request.tool_choice {
        Some(ToolChoice::Named(wanted)) => name == wanted,
        Some(ToolChoice::Allowed { names, .. }) => names.contains(name),
        _ => true,
    };
    if !request.tools.is_empty() {
        let mut array = Array::open(body.key("tools"));
        for (at, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Function { name, description, parameters, strict, .. } if allowed(name) => {
                    if *strict == Some(true) {
                        adjusted.note("tools.strict", Change::Dropped);
                    }
                    let parameters = structured::parameters(parameters.as_ref(), at, adjusted)?;
                    write_function(name, description.as_ref(), &parameters, &mut array);
                }
                Tool::Function { .. } => {}
                Tool::Native(_) => losses::lose_at(Format::Cohere, "tools", format!("tools.{at}"), adjusted)?,
            }
        }
        if array.is_empty() {
            return Err(Failure::bad_request("tool_choice", "A tool is demanded that is not among the tools."));
        }
        array.close();
    }
    match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. }) => {
            if request.tools.is_empty() {
                return Err(Failure::bad_request("tool_choice", "A tool call is demanded, but there are no tools."));
            }
            body.string("tool_choice", "REQUIRED");
        }
        Some(ToolChoice::None) if !request.tools.is_empty() => {
            body.string("tool_choice", "NONE");
        }
        _ => {}
    }
    Ok(())
}

fn write_function(name: &Text<'_>, description: Option<&Text<'_>>, parameters: &Raw<'_>, array: &mut Array<'_>) {
    array.object(|tool| {
        tool.string("type", "function").object("function", |function| {
            function.text("name", name);
            if let Some(description) = description {
                function.text("description", description);
            }
            function.raw("parameters", parameters);
        });
    });
}

/// Writes the shape of the text. The protocol takes none while there are tools.
fn write_shape(request: &Request<'_>, adjusted: &mut Adjusted, body: &mut Object<'_>) -> Result<(), Failure> {
    let schema = match &request.output {
        OutputShape::Text => return Ok(()),
        OutputShape::JsonObject => None,
        OutputShape::JsonSchema { schema, .. } => schema.as_ref(),
    };
    if !request.tools.is_empty() {
        return losses::lose(Format::Cohere, "response_format", adjusted);
    }
    let schema = schema.map(|schema| structured::answer_schema(Some(schema), adjusted)).transpose()?;
    body.object("response_format", |format| {
        format.string("type", "json_object");
        if let Some(schema) = &schema {
            format.raw("json_schema", schema);
        }
    });
    Ok(())
}

fn write_sampling(
    request: &Request<'_>,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    let sampling = &request.sampling;
    if let Some(wanted) = request.max_output_tokens {
        let most = facts.max_output.unwrap_or(u64::MAX);
        if wanted > most {
            adjusted.note("max_tokens", Change::Clamped);
        }
        body.number("max_tokens", wanted.min(most));
    }
    let ranges = [
        ("temperature", "temperature", &sampling.temperature, (0.0, 1.0)),
        ("top_p", "p", &sampling.top_p, (0.01, 0.99)),
        ("top_k", "k", &sampling.top_k, (0.0, 500.0)),
        ("frequency_penalty", "frequency_penalty", &sampling.frequency_penalty, (0.0, 1.0)),
        ("presence_penalty", "presence_penalty", &sampling.presence_penalty, (0.0, 1.0)),
    ];
    for (name, here, raw, (least, most)) in ranges {
        let Some(raw) = raw.as_ref().filter(|raw| !raw.is_null()) else { continue };
        match raw.number() {
            None => return Err(Failure::bad_request(name, format!("`{name}` has to be a number."))),
            // All of it, which is what is drawn from anyway.
            Some(1.0) if name == "top_p" => {}
            Some(number) if (least..=most).contains(&number) => {
                body.raw(here, raw);
            }
            Some(number) => {
                adjusted.note(name, Change::Clamped);
                // `clamp` may panic, and prints floats then: with all that this takes, a two-hundredth of the script.
                body.number(here, number.max(least).min(most));
            }
        }
    }
    if let Some(seed) = sampling.seed.as_ref().filter(|seed| !seed.is_null()) {
        body.raw("seed", seed);
    }
    if sampling.stop.len() > MOST_STOPS {
        return Err(Failure::bad_request("stop", format!("This model takes up to {MOST_STOPS} stops.")));
    }
    if !sampling.stop.is_empty() {
        body.array("stop_sequences", |array| {
            for stop in &sampling.stop {
                array.text(stop);
            }
        });
    }
    Ok(())
}

/// Writes how much the model is to think: it takes a budget in tokens, or none.
fn write_thinking(reasoning: Option<&Reasoning>, facts: &ModelFacts, adjusted: &mut Adjusted, body: &mut Object<'_>) {
    let Some(reasoning) = reasoning else { return };
    let thinks = facts.capabilities.is_none_or(|capabilities| capabilities.has(Capabilities::REASONING));
    let (on, budget) = match (reasoning.effort, reasoning.max_tokens, reasoning.enabled) {
        (Some(Effort::None), ..) | (_, Some(0), _) | (_, _, Some(false)) => (false, None),
        (None, None, None) => return,
        (_, Some(tokens), _) => (true, Some(tokens)),
        (Some(Effort::Minimal), ..) => (true, Some(512)),
        (Some(Effort::Low), ..) => (true, Some(2048)),
        _ => (true, None),
    };
    if !thinks {
        // A model that cannot think need not be told not to.
        if on {
            adjusted.note("reasoning", Change::Dropped);
        }
        return;
    }
    body.object("thinking", |thinking| {
        thinking.string("type", if on { "enabled" } else { "disabled" });
        if let Some(budget) = budget {
            thinking.number("token_budget", budget);
        }
    });
}
