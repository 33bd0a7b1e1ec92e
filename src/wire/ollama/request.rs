//! Requests.

mod messages;

use crate::chat::{Effort, OutputShape, Part, Reasoning, Request, Source, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Array, Members, Object, Text};
use crate::wire::losses::GATEWAY;
use crate::wire::{Adjusted, Change, Format, Outgoing, Target, losses, structured};

/// Top-level fields of this protocol that are passed on.
const FIELDS: &[&str] = &["keep_alive", "think", "truncate", "shift"];

/// Writes a request.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the caller's field, where the server cannot serve it.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    losses::give_up(Format::Ollama, request, adjusted)?;
    let mut out = Vec::with_capacity(2048);
    let mut body = Object::open(&mut out);
    body.string("model", target.model).boolean("stream", request.stream);
    let options = write_native(request, adjusted, &mut body);
    messages::write(request, instruction(request, adjusted)?.as_deref(), target, adjusted, &mut body)?;
    write_tools(request, adjusted, &mut body)?;
    match &request.output {
        OutputShape::JsonSchema { schema: Some(schema), .. } if schema.is_object() => {
            body.raw("format", schema);
        }
        OutputShape::JsonSchema { .. } | OutputShape::JsonObject => {
            body.string("format", "json");
        }
        OutputShape::Text => {}
    }
    if !request.unknown.iter().any(|(name, _)| name == "think") {
        write_thinking(request.reasoning.as_ref(), &mut body);
    }
    write_options(request, options.as_ref(), &mut body)?;
    body.close();
    Ok(Outgoing { path: "/api/chat".to_owned(), headers: Vec::new(), body: out })
}

/// Links to pictures, each once: they are taken as bytes alone.
#[must_use]
pub fn links_to_inline(request: &Request<'_>, _: &Target<'_>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    let mut note = |part: &Part<'_>| {
        if let Part::Image { source: Source::Url(link), .. } = part {
            let link = link.decode();
            if !links.iter().any(|known| *known == link) {
                links.push(link.into_owned());
            }
        }
    };
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolResult { parts, .. } => parts.iter().for_each(&mut note),
            part => note(part),
        }
    }
    links
}

/// Writes the fields of this protocol that the caller put beside the others; answers its `options`.
fn write_native<'r>(request: &'r Request<'_>, adjusted: &mut Adjusted, body: &mut Object<'_>) -> Option<Members<'r>> {
    let mut options = None;
    for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_ref() {
            "options" => match value.read_borrowed::<Members<'_>>() {
                Ok(members) => options = Some(members),
                Err(_) => adjusted.note("options", Change::Dropped),
            },
            name if GATEWAY.contains(&name) => {}
            "store" if value.boolean() == Some(false) => {}
            name if FIELDS.contains(&name) => {
                body.raw(name, value);
            }
            name => adjusted.note(name.to_owned(), Change::Dropped),
        }
    }
    options
}

/// What is said in words, because no server of this protocol can be made to have a tool called.
///
/// # Errors
/// `BadRequest` where a call is demanded and there is nothing to call.
fn instruction(request: &Request<'_>, adjusted: &mut Adjusted) -> Result<Option<String>, Failure> {
    let demanded = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => format!("Call the tool `{}` now, before anything else.", name.decode()),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => {
            "Call at least one of your tools now, before anything else.".to_owned()
        }
        _ => return Ok(None),
    };
    if request.tools.is_empty() {
        return Err(Failure::bad_request("tool_choice", "A tool call is demanded, but there are no tools."));
    }
    adjusted.note("tool_choice", Change::Changed);
    Ok(Some(demanded))
}

fn write_tools(request: &Request<'_>, adjusted: &mut Adjusted, body: &mut Object<'_>) -> Result<(), Failure> {
    if request.tools.is_empty() || request.tool_choice == Some(ToolChoice::None) {
        return Ok(());
    }
    let allowed = |name: &Text<'_>| match &request.tool_choice {
        Some(ToolChoice::Named(wanted)) => name == wanted,
        Some(ToolChoice::Allowed { names, .. }) => names.contains(name),
        _ => true,
    };
    let mut array = Array::open(body.key("tools"));
    for (at, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function { name, description, parameters, strict, .. } if allowed(name) => {
                if *strict == Some(true) {
                    adjusted.note("tools.strict", Change::Dropped);
                }
                let parameters = structured::parameters(parameters.as_ref(), at, adjusted)?;
                array.object(|tool| {
                    tool.string("type", "function").object("function", |function| {
                        function.text("name", name);
                        if let Some(description) = description {
                            function.text("description", description);
                        }
                        function.raw("parameters", &parameters);
                    });
                });
            }
            Tool::Function { .. } => {}
            Tool::Native(_) => losses::lose_at(Format::Ollama, "tools", format!("tools.{at}"), adjusted)?,
        }
    }
    array.close();
    Ok(())
}

/// Writes `think`: on, off, or a level, which every model takes as on that knows no levels.
fn write_thinking(reasoning: Option<&Reasoning>, body: &mut Object<'_>) {
    let Some(reasoning) = reasoning else { return };
    match (reasoning.effort, reasoning.max_tokens, reasoning.enabled) {
        (Some(Effort::None), ..) | (_, Some(0), _) | (_, _, Some(false)) => body.boolean("think", false),
        (None, None, None) => body,
        (Some(Effort::Minimal | Effort::Low), ..) => body.string("think", "low"),
        (Some(Effort::Medium), ..) => body.string("think", "medium"),
        (Some(Effort::High | Effort::XHigh | Effort::Max), ..) => body.string("think", "high"),
        _ => body.boolean("think", true),
    };
}

/// Writes `options`: the caller's own, and the parameters that stand among them here.
fn write_options(request: &Request<'_>, own: Option<&Members<'_>>, body: &mut Object<'_>) -> Result<(), Failure> {
    let sampling = &request.sampling;
    let numbers = [
        ("temperature", "temperature", &sampling.temperature),
        ("top_p", "top_p", &sampling.top_p),
        ("top_k", "top_k", &sampling.top_k),
        ("min_p", "min_p", &sampling.min_p),
        ("seed", "seed", &sampling.seed),
        ("frequency_penalty", "frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", "presence_penalty", &sampling.presence_penalty),
        ("repetition_penalty", "repeat_penalty", &sampling.repetition_penalty),
    ];
    let mut options = Object::open(body.key("options"));
    let own = own.map(|members| members.0.as_slice()).unwrap_or_default();
    for (name, value) in own {
        options.raw(Text::escape(name).escaped(), value);
    }
    let said = |name: &str| own.iter().any(|(known, _)| known == name);
    for (name, here, raw) in numbers {
        let Some(raw) = raw.as_ref().filter(|raw| !raw.is_null() && !said(here)) else { continue };
        if raw.number().is_none() {
            return Err(Failure::bad_request(name, format!("`{name}` has to be a number.")));
        }
        options.raw(here, raw);
    }
    if let Some(most) = request.max_output_tokens.filter(|_| !said("num_predict")) {
        options.number("num_predict", most);
    }
    if !sampling.stop.is_empty() && !said("stop") {
        options.array("stop", |array| {
            for stop in &sampling.stop {
                array.text(stop);
            }
        });
    }
    options.close();
    Ok(())
}
