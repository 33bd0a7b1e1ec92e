//! Reads what a caller of `/v2/chat` asks for.

use std::borrow::Cow;

use crate::chat::{Effort, OutputShape, Reasoning, Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::losses::GATEWAY;
use crate::wire::openai_chat::read::tools;
use crate::wire::place::Place;

use super::messages;

/// Reads the body.
///
/// # Errors
/// `BadRequest` with the first fault and its place.
pub fn read_request(body: &[u8]) -> Result<Request<'_>, Failure> {
    let mut cursor = Cursor::new(body)?;
    if !matches!(cursor.kind(), Some(Kind::Object) | None) {
        let message = "The body of the request must be a JSON object.";
        return Err(Failure::new(crate::failure::Kind::BadRequest, message));
    }
    let (mut request, mut strict) = (Request { include_usage: true, ..Request::default() }, false);
    cursor.members(|key, cursor| member(&key, cursor, &mut request, &mut strict))?;
    cursor.finish()?;
    if request.messages.is_empty() {
        return Err(Place::top("messages").missing());
    }
    for tool in request.tools.iter_mut().filter(|_| strict) {
        if let Tool::Function { strict, .. } = tool {
            *strict = Some(true);
        }
    }
    Ok(request)
}

fn member<'a>(key: &str, cursor: &mut Cursor<'a>, request: &mut Request<'a>, strict: &mut bool) -> Result<(), Failure> {
    let place = Place::top(key);
    let sampling = &mut request.sampling;
    match key {
        "model" => request.model = place.text(cursor)?.unwrap_or_default(),
        "messages" => {
            request.messages.clear();
            messages::read(&place, cursor, request)?;
        }
        "tools" => tools::read_list(&place, cursor, &mut request.tools)?,
        "tool_choice" => request.tool_choice = choice(&place, cursor)?,
        "strict_tools" => *strict = place.boolean(cursor)? == Some(true),
        "response_format" => {
            if let Some(format) = place.object(cursor)? {
                request.output = shape(&format);
            }
        }
        "stream" => request.stream = place.boolean(cursor)? == Some(true),
        "max_tokens" => request.max_output_tokens = place.count(cursor)?,
        "stop_sequences" => sampling.stop = place.texts(cursor)?,
        "temperature" => sampling.temperature = place.number(cursor)?,
        "p" => sampling.top_p = place.number(cursor)?,
        "k" => sampling.top_k = place.number(cursor)?.filter(|k| k.number() != Some(0.0)),
        "seed" => sampling.seed = place.number(cursor)?,
        "frequency_penalty" => sampling.frequency_penalty = place.number(cursor)?,
        "presence_penalty" => sampling.presence_penalty = place.number(cursor)?,
        "logprobs" => {
            if place.boolean(cursor)? == Some(true) {
                // They are told by the ids that tokens have in models of this protocol's maker.
                let message = "`logprobs` are told by models of this protocol's maker alone; leave them out.";
                request.untranslatable.get_or_insert(Failure::unsupported("logprobs", message));
            }
        }
        "thinking" => request.reasoning = thinking(&place, cursor)?,
        // No word of this protocol's, but of an alias that asks for it.
        "reasoning_effort" => {
            let effort = place.text(cursor)?.and_then(|word| Effort::parse(&word.decode()));
            request.reasoning = effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() });
        }
        "documents" => {
            let documents = cursor.value()?;
            if !documents.is_null() && &*documents.compact() != "[]" {
                // Answers without them would be made up in silence.
                let message = "`documents` are read by models of this protocol's maker alone; put them into a message.";
                request.untranslatable.get_or_insert(Failure::unsupported("documents", message));
            }
        }
        _ => {
            let value = cursor.value()?;
            if !value.is_null() && !GATEWAY.contains(&key) {
                request.unsayable.push(Cow::Owned(key.to_owned()));
            }
        }
    }
    Ok(())
}

fn choice<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Option<ToolChoice<'a>>, Failure> {
    let Some(word) = place.text(cursor)? else { return Ok(None) };
    match &*word.decode() {
        "REQUIRED" => Ok(Some(ToolChoice::Required)),
        "NONE" => Ok(Some(ToolChoice::None)),
        other => Err(place.wrong_word(other, "'REQUIRED' and 'NONE'")),
    }
}

/// `{"type": "json_object", "json_schema"}`; the schema was once called `schema`.
fn shape<'a>(format: &Raw<'a>) -> OutputShape<'a> {
    let kind = format.member("type").and_then(Raw::into_text);
    let schema = format.member("json_schema").or_else(|| format.member("schema")).filter(Raw::is_object);
    match (kind.is_some_and(|kind| kind.is("json_object")), schema) {
        (true, Some(schema)) => OutputShape::JsonSchema {
            name: Text::from_escaped("response"),
            description: None,
            schema: Some(schema),
            strict: None,
        },
        (true, None) => OutputShape::JsonObject,
        (false, _) => OutputShape::Text,
    }
}

/// `{"type": "enabled" | "disabled", "token_budget"}`.
fn thinking(place: &Place<'_>, cursor: &mut Cursor<'_>) -> Result<Option<Reasoning>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let mut wish = Reasoning::default();
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => wish.enabled = place.text(cursor)?.map(|kind| !kind.is("disabled")),
            "token_budget" => wish.max_tokens = place.count(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Some(wish))
}
