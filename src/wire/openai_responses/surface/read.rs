//! Reads what a caller of Responses asks for.

use std::borrow::Cow;

use crate::chat::{Effort, Message, OutputShape, Part, Reasoning, Request, Role, Tool};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::sorted;
use crate::wire::losses::GATEWAY;
use crate::wire::place::Place;

use super::{items, tools};

/// What would have to be remembered between calls. No provider does that here: ids of what one key said would open it to
/// every other key. What the gateway itself remembers ([`super::super::stored`]) was put into `input` before.
const ELSEWHERE: [(&str, &str); 4] = [
    (
        "previous_response_id",
        "Answers are kept on `/v1/responses` alone, for keys with `store_responses`: send the whole conversation as \
         `input`, reasoning items included.",
    ),
    (
        "conversation",
        "Conversations that a provider keeps are shared by all keys of this gateway. Send the items as `input`.",
    ),
    (
        "prompt",
        "Prompts that a provider keeps are not to be had through this gateway. Send `instructions` and `input`.",
    ),
    ("background", "Answers are not made in the background here: leave `background` out and stream the answer."),
];

/// Reads the body of `POST /v1/responses`.
///
/// # Errors
/// `BadRequest` with the first fault and its place; `Unsupported` for what would be kept elsewhere.
pub fn read_request(body: &[u8]) -> Result<Request<'_>, Failure> {
    let mut cursor = Cursor::new(body)?;
    if !matches!(cursor.kind(), Some(Kind::Object) | None) {
        let message = "The body of the request must be a JSON object.";
        return Err(Failure::new(crate::failure::Kind::BadRequest, message));
    }
    let mut reading = Reading::default();
    cursor.members(|key, cursor| reading.member(&key, cursor))?;
    cursor.finish()?;
    reading.finish()
}

/// Refuses what would have to be remembered for the caller.
///
/// # Errors
/// `Unsupported`, naming the member.
pub(super) fn refuse_elsewhere(key: &str, value: &Raw<'_>) -> Result<(), Failure> {
    let asked = !value.is_null() && value.boolean() != Some(false);
    match ELSEWHERE.iter().find(|(known, _)| *known == key) {
        Some((key, why)) if asked => Err(Failure::unsupported(*key, *why)),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Reading<'a> {
    request: Request<'a>,
    instructions: Option<Text<'a>>,
    has_input: bool,
    /// Tools that came in items.
    more_tools: Vec<Tool<'a>>,
}

impl<'a> Reading<'a> {
    fn member(&mut self, key: &str, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        let place = Place::top(key);
        let request = &mut self.request;
        match key {
            "model" => request.model = place.text(cursor)?.unwrap_or_default(),
            "instructions" => self.instructions = place.text(cursor)?,
            "input" => {
                request.messages.clear();
                let tools = std::mem::take(&mut request.tools);
                self.has_input = items::read(&place, cursor, request)?;
                self.more_tools = std::mem::replace(&mut request.tools, tools);
            }
            "tools" => tools::read_list(&place, cursor, request)?,
            "tool_choice" => request.tool_choice = tools::read_choice(&place, cursor, request)?,
            "parallel_tool_calls" => request.parallel_tool_calls = place.boolean(cursor)?,
            "max_output_tokens" => request.max_output_tokens = place.count(cursor)?,
            "temperature" => request.sampling.temperature = place.number(cursor)?,
            "top_p" => request.sampling.top_p = place.number(cursor)?,
            "top_logprobs" => request.sampling.top_logprobs = place.count(cursor)?.filter(|top| *top > 0),
            "reasoning" => request.reasoning = reasoning(&place, cursor, &mut request.unsayable)?,
            "text" => text(&place, cursor, request)?,
            "include" => {
                if place.texts(cursor)?.iter().any(|word| word.is("message.output_text.logprobs")) {
                    request.sampling.logprobs = Some(true);
                }
            }
            "stream" => request.stream = place.boolean(cursor)?.unwrap_or(false),
            "service_tier" => request.service_tier = place.text(cursor)?,
            "user" => request.user = place.text(cursor)?.or(request.user.take()),
            "safety_identifier" => request.user = request.user.take().or(place.text(cursor)?),
            "metadata" => request.metadata = place.object(cursor)?,
            "prompt_cache_key" => request.prompt_cache_key = place.text(cursor)?,
            _ => self.rest(key, cursor.value()?)?,
        }
        Ok(())
    }

    fn rest(&mut self, key: &str, value: Raw<'a>) -> Result<(), Failure> {
        refuse_elsewhere(key, &value)?;
        match key {
            "store" if value.boolean() == Some(true) => self.request.unsayable.push(Cow::Borrowed("store")),
            // Nothing is asked, or only how the stream is padded.
            "store" | "previous_response_id" | "stream_options" | "conversation" | "prompt" | "background" => {}
            // The default is that too long a conversation is refused.
            "truncation" if value.get() == "\"disabled\"" => {}
            "max_tool_calls" if !value.is_null() => {
                // It only counts the calls of tools that the provider runs.
                self.request.unsayable.push(Cow::Borrowed("max_tool_calls"));
            }
            _ if value.is_null() => {}
            key if GATEWAY.contains(&key) => self.request.unknown.push((Cow::Owned(key.to_owned()), value)),
            key => self.request.unsayable.push(Cow::Owned(key.to_owned())),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Request<'a>, Failure> {
        if self.request.model.is_empty() {
            return Err(Place::top("model").missing());
        }
        if !self.has_input {
            return Err(Place::top("input").missing());
        }
        if !self.more_tools.is_empty() {
            let listed = self.request.tools.len();
            self.request.tools.append(&mut self.more_tools);
            drop_repeated(&mut self.request.tools, listed);
        }
        if let Some(text) = self.instructions.filter(|text| !text.is_empty()) {
            let parts = vec![Part::Text { text, cache: None, citations: Vec::new(), signature: None }];
            self.request.messages.insert(0, Message { role: Role::System, name: None, parts });
        }
        if self.request.messages.is_empty() {
            return Err(Failure::bad_request("input", "`input` must hold at least one item."));
        }
        Ok(self.request)
    }
}

/// `{"effort", "summary"}`. Thoughts are shown to those who ask for a summary of them.
fn reasoning(
    place: &Place<'_>,
    cursor: &mut Cursor<'_>,
    unsayable: &mut Vec<Cow<'_, str>>,
) -> Result<Option<Reasoning>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let mut wish = Reasoning { exclude: true, ..Reasoning::default() };
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "effort" => {
                if let Some(word) = place.text(cursor)? {
                    let word = word.decode();
                    let known = "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' and 'max'";
                    wish.effort = Some(Effort::parse(&word).ok_or_else(|| place.wrong_word(&word, known))?);
                }
            }
            "summary" | "generate_summary" => {
                if place.text(cursor)?.is_some_and(|word| !word.is("none")) {
                    wish.exclude = false;
                }
            }
            "mode" => {
                if place.text(cursor)?.is_some_and(|word| !word.is("standard")) {
                    unsayable.push(Cow::Borrowed("reasoning.mode"));
                }
            }
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    if !wish.exclude && wish.effort != Some(Effort::None) {
        wish.enabled = Some(true);
    }
    Ok(Some(wish))
}

/// Drops functions behind the first `listed` tools whose names came before: what a search finds was listed all along where
/// the provider makes it. There may be as many as the caller likes.
fn drop_repeated(tools: &mut Vec<Tool<'_>>, listed: usize) {
    let named = tools.iter().enumerate().filter_map(|(at, tool)| match tool {
        Tool::Function { name, .. } => Some((name.escaped(), at)),
        Tool::Native(_) => None,
    });
    let mut named: Vec<(&str, usize)> = named.collect();
    sorted::sort(&mut named);
    let repeated = named.windows(2).filter_map(|two| match two {
        [(one, _), (other, at)] if one == other && *at >= listed => Some(*at),
        _ => None,
    });
    let mut repeated: Vec<usize> = repeated.collect();
    sorted::sort(&mut repeated);
    let mut at = 0..;
    tools.retain(|_| at.next().is_some_and(|at| repeated.binary_search(&at).is_err()));
}

/// `{"format", "verbosity"}`
fn text<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    if !place.opens(cursor)? {
        return Ok(());
    }
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "format" => request.output = format(&place, cursor, request)?,
            "verbosity" => {
                if place.text(cursor)?.is_some_and(|word| !word.is("medium")) {
                    request.unsayable.push(Cow::Borrowed("text.verbosity"));
                }
            }
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })
}

fn format<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<OutputShape<'a>, Failure> {
    if !place.opens(cursor)? {
        return Ok(OutputShape::Text);
    }
    let (mut kind, mut name, mut description, mut schema, mut strict) = (None, None, None, None, None);
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "name" => name = place.text(cursor)?,
            "description" => description = place.text(cursor)?,
            "schema" => schema = place.object(cursor)?,
            "strict" => strict = place.boolean(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let kind_place = place.member("type");
    let kind = kind.ok_or_else(|| kind_place.missing())?;
    Ok(match &*kind.decode() {
        "text" => OutputShape::Text,
        "json_object" => OutputShape::JsonObject,
        "json_schema" => OutputShape::JsonSchema {
            name: name.ok_or_else(|| place.member("name").missing())?,
            description,
            schema: Some(schema.ok_or_else(|| place.member("schema").missing())?),
            strict,
        },
        // Grammars have a meaning for some of this protocol's own servers.
        other => {
            let failure = kind_place.wrong_word(other, "'text', 'json_object' and 'json_schema'");
            request.untranslatable.get_or_insert(failure);
            OutputShape::Text
        }
    })
}
