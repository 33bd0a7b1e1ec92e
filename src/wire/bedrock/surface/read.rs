//! Reads what a caller of Converse asks for. The model stands in the path.

use std::borrow::Cow;

use crate::chat::{Effort, Message, OutputShape, Reasoning, Request, Role};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::losses::GATEWAY;
use crate::wire::place::Place;

use super::{blocks, tools};

/// Reads the body of `converse` or `converse-stream`.
///
/// # Errors
/// `BadRequest` with the first fault and its place.
pub fn read_request(body: &[u8]) -> Result<Request<'_>, Failure> {
    let mut cursor = Cursor::new(body)?;
    if !matches!(cursor.kind(), Some(Kind::Object) | None) {
        let message = "The body of the request must be a JSON object.";
        return Err(Failure::new(crate::failure::Kind::BadRequest, message));
    }
    let (mut request, mut system) = (Request::default(), Vec::new());
    cursor.members(|key, cursor| member(&key, cursor, &mut request, &mut system))?;
    cursor.finish()?;
    if request.messages.is_empty() {
        return Err(Place::top("messages").missing());
    }
    if !system.is_empty() {
        request.messages.insert(0, Message { role: Role::System, name: None, parts: system });
    }
    Ok(request)
}

fn member<'a>(
    key: &str,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
    system: &mut Vec<crate::chat::Part<'a>>,
) -> Result<(), Failure> {
    let place = Place::top(key);
    match key {
        "messages" => {
            request.messages.clear();
            blocks::read_messages(&place, cursor, request)?;
        }
        "system" => {
            system.clear();
            blocks::read_list(&place, cursor, system, request)?;
        }
        "inferenceConfig" => {
            if place.opens(cursor)? {
                cursor.members(|key, cursor| inference(&place.member(&key), &key, cursor, request))?;
            }
        }
        "toolConfig" => tools::read_config(&place, cursor, request)?,
        "additionalModelRequestFields" => {
            if place.opens(cursor)? {
                cursor.members(|key, cursor| own(&place.member(&key), &key, cursor, request))?;
            }
        }
        "outputConfig" => shape(&place, cursor, request)?,
        "requestMetadata" => request.metadata = place.object(cursor)?,
        "serviceTier" => {
            let tier = place.object(cursor)?;
            request.service_tier = tier.and_then(|tier| tier.member("type").and_then(Raw::into_text));
        }
        "guardrailConfig" | "promptVariables" => {
            // What is held back or put in there would be missing in silence.
            if !matches!(&*cursor.value()?.compact(), "null" | "{}") {
                let message = format!("`{key}` is kept by another provider than this model's.");
                request.untranslatable.get_or_insert(Failure::unsupported(key.to_owned(), message));
            }
        }
        // Said by the path.
        "modelId" => drop(cursor.value()?),
        _ => unsayable(key, &cursor.value()?, request),
    }
    Ok(())
}

/// Notes what other protocols have no word for, and no need of.
fn unsayable<'a>(name: &str, value: &Raw<'a>, request: &mut Request<'a>) {
    if !value.is_null() && !matches!(&*value.compact(), "{}" | "[]") && !GATEWAY.contains(&name) {
        request.unsayable.push(Cow::Owned(name.to_owned()));
    }
}

fn inference<'a>(
    place: &Place<'_>,
    key: &str,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    match key {
        "maxTokens" => request.max_output_tokens = place.count(cursor)?,
        "temperature" => request.sampling.temperature = place.number(cursor)?,
        "topP" => request.sampling.top_p = place.number(cursor)?,
        "stopSequences" => request.sampling.stop = place.texts(cursor)?,
        _ => unsayable(key, &cursor.value()?, request),
    }
    Ok(())
}

/// A field of the model's own protocol: those that ask to think, and those that other protocols have, too.
fn own<'a>(place: &Place<'_>, key: &str, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    // Models of Qwen's take a word for either.
    let is_word = key == "reasoning_effort" || (key == "reasoning_config" && cursor.kind() == Some(Kind::String));
    match key {
        _ if is_word => {
            let effort = place.text(cursor)?.and_then(|word| Effort::parse(&word.decode()));
            request.reasoning = effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() });
        }
        "thinking" | "reasoning_config" | "reasoningConfig" => {
            request.reasoning = thinking(place, cursor, request.reasoning.take())?;
        }
        "top_k" | "topK" => request.sampling.top_k = place.number(cursor)?,
        "anthropic_beta" | "output_config" => request.unknown.push((Cow::Owned(key.to_owned()), cursor.value()?)),
        _ => unsayable(key, &cursor.value()?, request),
    }
    Ok(())
}

/// `{"type", "budget_tokens"}`, or `{"type", "maxReasoningEffort"}`, beside what was said of it elsewhere.
fn thinking(place: &Place<'_>, cursor: &mut Cursor<'_>, said: Option<Reasoning>) -> Result<Option<Reasoning>, Failure> {
    if !place.opens(cursor)? {
        return Ok(said);
    }
    let mut wish = said.unwrap_or_default();
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => wish.enabled = place.text(cursor)?.map(|kind| !kind.is("disabled") && !kind.is("between_tools")),
            "budget_tokens" => wish.max_tokens = place.count(cursor)?,
            "maxReasoningEffort" => {
                wish.effort = place.text(cursor)?.and_then(|word| Effort::parse(&word.decode()));
            }
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Some(wish))
}

/// `{"effort", "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name", "description", "schema"}}}}`, the
/// schema being text itself.
fn shape<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    let Some(config) = place.object(cursor)? else { return Ok(()) };
    let effort = config.member("effort").and_then(Raw::into_text).and_then(|word| Effort::parse(&word.decode()));
    if effort.is_some() {
        request.reasoning.get_or_insert_default().effort = effort;
    }
    let structure = config.member("textFormat").and_then(|format| format.member("structure")?.member("jsonSchema"));
    let Some(json) = structure else { return Ok(()) };
    let text = |key: &str| json.member(key).and_then(Raw::into_text).map(Text::into_owned);
    let schema = text("schema").map(|schema| Raw::parse_owned(schema.decode().into_owned()));
    let schema = schema.transpose().map_err(|error| {
        Failure::bad_request(
            "outputConfig.textFormat.structure.jsonSchema.schema",
            format!("The schema is no JSON: {error}."),
        )
    })?;
    request.output = OutputShape::JsonSchema {
        name: text("name").unwrap_or_else(|| Text::from_escaped("response")),
        description: text("description"),
        schema,
        strict: Some(true),
    };
    Ok(())
}
