//! Reads what a caller of Messages asks for.
//!
//! What other protocols have a word for becomes the hub's. What they have none for is listed in
//! [`Request::unsayable`] where it can go unsaid, and is the request's [`Request::untranslatable`] where it cannot.

use std::borrow::Cow;

use crate::chat::{Effort, Message, OutputShape, Part, Reasoning, Request, Role};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::losses::GATEWAY;
use crate::wire::place::Place;

use super::{content, tools};

/// Instructions that clients put first for the provider's own bookkeeping. They differ with every call, and would keep
/// other providers from finding the prompt in their caches.
const BOOKKEEPING: &str = "x-anthropic-billing-header:";

/// Reads the body of `POST /v1/messages`.
///
/// # Errors
/// `BadRequest` with the first fault and its place.
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

/// The member that has a provider keep the conversation.
pub(super) const THREAD: &str = "thread";

/// Refuses a conversation that the provider keeps: ids of what one key said would open it to every other key.
///
/// # Errors
/// `Unsupported`, naming the member.
pub(super) fn refuse_thread(thread: &Raw<'_>) -> Result<(), Failure> {
    let message = "Conversations that a provider keeps are shared by all keys of this gateway. Send all messages.";
    if thread.is_null() { Ok(()) } else { Err(Failure::unsupported(THREAD, message)) }
}

#[derive(Default)]
struct Reading<'a> {
    request: Request<'a>,
    system: Vec<Part<'a>>,
    has_messages: bool,
    effort: Option<Effort>,
}

impl<'a> Reading<'a> {
    fn member(&mut self, key: &str, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        let place = Place::top(key);
        let request = &mut self.request;
        match key {
            "model" => request.model = place.text(cursor)?.unwrap_or_default(),
            "messages" => {
                self.has_messages = place.array(cursor)?;
                if self.has_messages {
                    request.messages.clear();
                    messages(&place, cursor, request)?;
                }
            }
            "system" => {
                self.system.clear();
                content::read(&place, cursor, &mut self.system, request)?;
            }
            "tools" => tools::read_list(&place, cursor, request)?,
            "tool_choice" => tools::read_choice(&place, cursor, request)?,
            "max_tokens" => request.max_output_tokens = place.count(cursor)?,
            "stop_sequences" => request.sampling.stop = place.texts(cursor)?,
            "temperature" => request.sampling.temperature = place.number(cursor)?,
            "top_p" => request.sampling.top_p = place.number(cursor)?,
            "top_k" => request.sampling.top_k = place.number(cursor)?,
            "stream" => request.stream = place.boolean(cursor)?.unwrap_or(false),
            "thinking" => request.reasoning = read_thinking(&place, cursor)?,
            "output_config" => self.output_config(&place, cursor)?,
            "output_format" => self.output_format(&place, cursor)?,
            "metadata" => request.user = user(&place, cursor)?,
            "service_tier" => {
                let tier = place.text(cursor)?;
                let renamed =
                    |tier: Text<'a>| if tier.is("standard_only") { Text::from_escaped("default") } else { tier };
                request.service_tier = tier.map(renamed);
            }
            "cache_control" => request.cache = place.cache_mark(cursor)?,
            "thread" => refuse_thread(&cursor.value()?)?,
            // A promise about where data goes, which others would not know of.
            "inference_geo" => {
                if place.text(cursor)?.is_some_and(|region| !region.is("global")) {
                    let message = "`inference_geo` binds its own provider alone; this model's has no word for it.";
                    request.untranslatable.get_or_insert(Failure::unsupported("inference_geo", message));
                }
            }
            "mcp_servers" => {
                let given = cursor.value()?;
                if given.is_array() && given.compact() != "[]" {
                    let message =
                        "`mcp_servers` are connected to by the provider; this model's provider has no word for it.";
                    request.untranslatable.get_or_insert(Failure::unsupported("mcp_servers", message));
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

    /// `{"effort", "format"}`
    fn output_config(&mut self, place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        if !place.opens(cursor)? {
            return Ok(());
        }
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "effort" => self.effort = place.text(cursor)?.and_then(|word| Effort::parse(&word.decode())),
                "format" => self.output_format(&place, cursor)?,
                other => {
                    if !cursor.value()?.is_null() {
                        content::unsayable(&mut self.request, format!("output_config.{other}"));
                    }
                }
            }
            Ok::<(), Failure>(())
        })
    }

    /// `{"type": "json_schema", "schema"}`
    fn output_format(&mut self, place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        if !place.opens(cursor)? {
            return Ok(());
        }
        let mut schema = None;
        cursor.members(|key, cursor| {
            match &*key {
                "schema" => schema = place.member(&key).object(cursor)?,
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        if schema.is_some() {
            // Schemas may leave members optional here, which the strictest of other vendors refuse.
            let name = Text::from_escaped("response");
            self.request.output = OutputShape::JsonSchema { name, description: None, schema, strict: None };
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Request<'a>, Failure> {
        if self.request.model.is_empty() {
            return Err(Place::top("model").missing());
        }
        if !self.has_messages {
            return Err(Place::top("messages").missing());
        }
        if self.request.messages.is_empty() {
            return Err(Failure::bad_request("messages", "`messages` must hold at least one message."));
        }
        self.system.retain(|part| !matches!(part, Part::Text { text, .. } if text.escaped().starts_with(BOOKKEEPING)));
        if !self.system.is_empty() {
            let message = Message { role: Role::System, name: None, parts: self.system };
            self.request.messages.insert(0, message);
        }
        // Who does not think has the effort go into the words, which no other protocol knows of.
        let thinks = self.request.reasoning.as_ref().is_none_or(|wish| wish.enabled != Some(false));
        if self.effort.is_some() && thinks {
            self.request.reasoning.get_or_insert_default().effort = self.effort;
        }
        tools::settle(&mut self.request);
        Ok(self.request)
    }
}

/// `{"type": "enabled" | "adaptive" | "disabled", "budget_tokens", "display"}`, which other vendors took over in part.
///
/// # Errors
/// `BadRequest` where a member has the wrong type.
pub(in crate::wire) fn read_thinking(place: &Place<'_>, cursor: &mut Cursor<'_>) -> Result<Option<Reasoning>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let (mut wish, mut kind) = (Reasoning::default(), None);
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "budget_tokens" => wish.max_tokens = place.count(cursor)?,
            "display" => wish.exclude = place.text(cursor)?.is_some_and(|word| word.is("omitted")),
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    // The newest models have the second word for the first.
    wish.enabled = kind.as_ref().map(|word| !word.is("disabled") && !word.is("between_tools"));
    if kind.is_some_and(|word| word.is("adaptive")) {
        // It says how much by itself; a budget beside it, which some clients leave at 0, means nothing.
        wish.max_tokens = None;
    }
    Ok(Some(wish))
}

/// `{"user_id"}`
fn user<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Option<Text<'a>>, Failure> {
    let mut user = None;
    if place.opens(cursor)? {
        cursor.members(|key, cursor| {
            match &*key {
                "user_id" => user = place.member(&key).text(cursor)?,
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
    }
    Ok(user)
}

fn messages<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.wrong_type("an object", Some(Kind::Null)));
        }
        let (mut role, mut parts, mut has_content) = (None, Vec::new(), false);
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "role" => role = place.text(cursor)?,
                "content" => {
                    has_content = cursor.kind() != Some(Kind::Null);
                    parts.clear();
                    content::read(&place, cursor, &mut parts, request)?;
                }
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        if !has_content {
            return Err(place.member("content").missing());
        }
        let role = role.ok_or_else(|| place.member("role").missing())?;
        match &*role.decode() {
            "assistant" => {
                content::settle(&mut parts);
                request.messages.push(Message { role: Role::Assistant, name: None, parts });
            }
            // It may have done nothing but change the tools.
            "system" if parts.is_empty() => {}
            "system" => request.messages.push(Message { role: Role::System, name: None, parts }),
            "user" => content::split(parts, &mut request.messages),
            other => {
                return Err(place.member("role").wrong_word(other, "'user', 'assistant' and 'system'"));
            }
        }
        Ok::<(), Failure>(())
    })
}
