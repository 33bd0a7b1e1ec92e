//! Reads what a caller asks for: OpenAI's request with OpenRouter's additions.
//!
//! The body is walked once; text, numbers and schemas stay spans of it. What no other format has a word for is kept
//! as written in [`Request::unknown`], and with it what the gateway itself reads (`models`, `provider`, …). A fault
//! is a 400 that names its place. Of repeated keys the last counts, as in the parsers that callers' bodies usually meet.

pub(in crate::wire) mod content;
mod messages;
mod reasoning;
pub(in crate::wire) mod tools;

use std::borrow::Cow;

use crate::chat::{Reasoning, Request, Sampling};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Text};
use crate::wire::anthropic::read_thinking;
use crate::wire::openai_responses;
use crate::wire::place::Place;

pub(in crate::wire) use content::linked;
pub(super) use reasoning::TEXT_SIGNATURE_ID;

use super::borrowed;

/// Fields that may have a meaning elsewhere. Each is compared with those before it, because of a repeated one the last counts.
const MOST_UNKNOWN: usize = 1_000;

/// Reads the body of `POST /v1/chat/completions`, also where it is one of Responses.
///
/// # Errors
/// `BadRequest` with the first fault and its place.
pub fn read_request(body: &[u8]) -> Result<Request<'_>, Failure> {
    let read = match read_own(body) {
        Err(_) if borrowed::is_of_responses(body) => {
            openai_responses::read_request(body).and_then(|request| borrowed::take_limit(body, request))
        }
        own => own,
    };
    read.map(|mut request| {
        borrowed::wrap_calls(body, &mut request);
        request
    })
}

fn read_own(body: &[u8]) -> Result<Request<'_>, Failure> {
    let mut cursor = Cursor::new(body)?;
    match cursor.kind() {
        Some(Kind::Object) | None => {}
        Some(_) => {
            return Err(Failure::new(
                crate::failure::Kind::BadRequest,
                "The body of the request must be a JSON object.",
            ));
        }
    }
    let mut reading =
        Reading { request: Request::default(), has_model: false, messages: None, effort: None, thinking: None };
    cursor.members(|key, cursor| reading.member(key, cursor))?;
    cursor.finish()?;
    reading.finish()
}

/// What `reasoning` and `reasoning_effort`, as written, ask for together; `None` where neither is there.
///
/// # Errors
/// `BadRequest` where `reasoning` is none. A vendor's own level of effort asks for nothing that is known here.
pub(super) fn reasoning_wish(whole: Option<&str>, word: Option<&str>) -> Result<Option<Reasoning>, Failure> {
    let wish = match whole {
        Some(whole) => reasoning::read_wish(&Place::top("reasoning"), &mut Cursor::at(whole, 0))?,
        None => None,
    };
    let Some(word) = word else { return Ok(wish) };
    let effort = reasoning::read_effort(&Place::top("reasoning_effort"), &mut Cursor::at(word, 0))?.unwrap_or(None);
    let mut wish = wish.unwrap_or_default();
    wish.effort = wish.effort.or(effort);
    Ok(Some(wish))
}

/// What is still being read.
struct Reading<'a> {
    request: Request<'a>,
    has_model: bool,
    /// How many there were; `None` where the member is missing.
    messages: Option<usize>,
    /// `reasoning_effort`, for where `reasoning` does not say.
    effort: Option<crate::chat::Effort>,
    /// `thinking`, in the words of Anthropic and of those who took them over.
    thinking: Option<Reasoning>,
}

impl<'a> Reading<'a> {
    fn member(&mut self, key: Cow<'a, str>, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        let place = Place::top(&key);
        let request = &mut self.request;
        match &*key {
            "model" => {
                request.model = place.text(cursor)?.unwrap_or_default();
                self.has_model = !request.model.is_empty();
            }
            "messages" => {
                if place.array(cursor)? {
                    request.messages.clear();
                    messages::read(&place, cursor, request)?;
                    self.messages = Some(request.messages.len());
                }
            }
            "tools" | "functions" => tools::read_list(&place, cursor, &mut request.tools)?,
            "tool_choice" | "function_call" => request.tool_choice = tools::read_choice(&place, cursor)?,
            "parallel_tool_calls" => request.parallel_tool_calls = place.boolean(cursor)?,
            "response_format" => self.output_shape(&place, key.clone(), cursor)?,
            "max_completion_tokens" => {
                request.max_output_tokens = place.count(cursor)?.or(request.max_output_tokens);
            }
            "max_tokens" => {
                let cap = place.count(cursor)?;
                request.max_output_tokens = request.max_output_tokens.or(cap);
            }
            "reasoning" => {
                request.reasoning = reasoning::read_wish(&place, cursor)?.or(request.reasoning.take());
            }
            "reasoning_effort" => match reasoning::read_effort(&place, cursor)? {
                Ok(effort) => self.effort = effort,
                // Vendors have levels of their own (groq.chat.ea12342dae: `default`).
                Err(unknown) => drop(request.untranslatable.get_or_insert(unknown)),
            },
            "thinking" => self.thinking = read_thinking(&place, cursor)?,
            "include_reasoning" => {
                if place.boolean(cursor)? == Some(false) {
                    request.reasoning.get_or_insert_default().exclude = true;
                }
            }
            "stream" => request.stream = place.boolean(cursor)?.unwrap_or(false),
            "stream_options" => request.include_usage |= flag(&place, "include_usage", cursor)?,
            "service_tier" => request.service_tier = place.text(cursor)?,
            "user" => request.user = place.text(cursor)?.or(request.user.take()),
            "safety_identifier" => request.user = request.user.take().or(place.text(cursor)?),
            "metadata" => request.metadata = place.object(cursor)?,
            "prompt_cache_key" => request.prompt_cache_key = place.text(cursor)?,
            "cache_control" => request.cache = place.cache_mark(cursor)?,
            "prediction" => request.prediction = place.object(cursor)?,
            "modalities" => request.modalities = place.texts(cursor)?,
            "audio" => request.audio = place.object(cursor)?,
            "web_search_options" => request.web_search = place.object(cursor)?,
            _ if sampling(&place, &key, cursor, &mut request.sampling)? => {}
            _ => {
                let value = cursor.value()?;
                // OpenRouter's way to ask for the usage chunk; the gateway reads the rest of it.
                if &*key == "usage" && value.is_object() {
                    request.include_usage |= flag(&place, "include", &mut value.cursor()).unwrap_or(false);
                }
                if let Some((_, before)) = request.unknown.iter_mut().find(|(known, _)| *known == key) {
                    *before = value;
                } else if request.unknown.len() < MOST_UNKNOWN {
                    request.unknown.push((key, value));
                } else {
                    let message = format!("The request has more than {MOST_UNKNOWN} fields that are not known.");
                    return Err(Failure::bad_request(key.into_owned(), message));
                }
            }
        }
        Ok(())
    }

    /// `text`, `json_object` or `json_schema`. Other kinds (grammars) have a meaning for some servers of this format.
    fn output_shape(&mut self, place: &Place<'_>, key: Cow<'a, str>, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        let Some(value) = place.object(cursor)? else { return Ok(()) };
        match tools::read_shape(place, &mut value.cursor())? {
            Some(shape) => self.request.output = shape,
            None => {
                let failure =
                    place.fault("This kind of 'response_format' is not supported by the chosen model.".into());
                self.request.untranslatable.get_or_insert(failure);
                self.request.unknown.push((key, value));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Request<'a>, Failure> {
        if !self.has_model {
            self.request.model = first_model(&self.request)
                .ok_or_else(|| Failure::bad_request("model", "you must provide a model parameter"))?;
        }
        match self.messages {
            None => return Err(Place::top("messages").missing()),
            Some(0) => {
                let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, \
                               but got an empty array instead.";
                return Err(Failure::bad_request("messages", message));
            }
            Some(_) => {}
        }
        let request = &mut self.request;
        if let Some(thinking) = self.thinking.filter(|_| request.reasoning.is_none()) {
            request.reasoning = Some(thinking);
        }
        if self.effort.is_some() {
            let reasoning = request.reasoning.get_or_insert_default();
            reasoning.effort = reasoning.effort.or(self.effort);
        }
        Ok(self.request)
    }
}

/// Reads a parameter of drawing; `false`, with nothing passed, where `key` is none.
fn sampling<'a>(
    place: &Place<'_>,
    key: &str,
    cursor: &mut Cursor<'a>,
    sampling: &mut Sampling<'a>,
) -> Result<bool, Failure> {
    match key {
        "temperature" => sampling.temperature = place.number(cursor)?,
        "top_p" => sampling.top_p = place.number(cursor)?,
        "top_k" => sampling.top_k = place.number(cursor)?,
        "min_p" => sampling.min_p = place.number(cursor)?,
        "frequency_penalty" => sampling.frequency_penalty = place.number(cursor)?,
        "presence_penalty" => sampling.presence_penalty = place.number(cursor)?,
        "repetition_penalty" => sampling.repetition_penalty = place.number(cursor)?,
        "seed" => sampling.seed = place.number(cursor)?,
        "logit_bias" => sampling.logit_bias = place.object(cursor)?,
        "n" => sampling.n = place.count(cursor)?,
        "logprobs" => sampling.logprobs = place.boolean(cursor)?,
        "top_logprobs" => sampling.top_logprobs = place.count(cursor)?,
        "stop" => match cursor.kind() {
            Some(Kind::String) => sampling.stop = place.text(cursor)?.into_iter().collect(),
            Some(Kind::Array | Kind::Null) => sampling.stop = place.texts(cursor)?,
            kind => return Err(place.wrong_type("a string or an array of strings", kind)),
        },
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether the object here says `true` under `name`.
fn flag(place: &Place<'_>, name: &str, cursor: &mut Cursor<'_>) -> Result<bool, Failure> {
    let mut set = false;
    if place.opens(cursor)? {
        cursor.members(|key, cursor| {
            if &*key == name {
                set = place.member(&key).boolean(cursor)?.unwrap_or(false);
            } else {
                cursor.value()?;
            }
            Ok::<(), Failure>(())
        })?;
    }
    Ok(set)
}

/// The first of OpenRouter's `models`, which may stand in for `model`.
fn first_model<'a>(request: &Request<'a>) -> Option<Text<'a>> {
    let (_, models) = request.unknown.iter().find(|(key, _)| key == "models")?;
    let mut cursor = models.cursor();
    let mut first = None;
    cursor
        .items(|_, cursor| {
            let value = cursor.value()?;
            first = first.take().or(value.into_text());
            Ok::<(), crate::json::SyntaxError>(())
        })
        .ok()?;
    first.filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests;
