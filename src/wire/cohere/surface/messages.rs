//! The conversation: messages, their contents, calls and results.

use crate::chat::{Message, Part, Request, Role};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::openai_chat::read::{content::linked, tools};
use crate::wire::place::Place;

use super::trailer;

/// A message with every member that any role has.
#[derive(Default)]
struct Members<'a> {
    role: Option<Text<'a>>,
    plan: Option<Text<'a>>,
    said: Vec<Part<'a>>,
    calls: Vec<Part<'a>>,
    call_id: Option<Text<'a>>,
}

/// Reads `messages`.
pub(super) fn read<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.missing());
        }
        let mut members = Members::default();
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "role" => members.role = place.text(cursor)?,
                "content" => content(&place, cursor, &mut members.said)?,
                "tool_plan" => members.plan = place.text(cursor)?.filter(|plan| !plan.is_empty()),
                "tool_calls" => tools::read_calls(&place, cursor, &mut members.calls)?,
                "tool_call_id" => members.call_id = place.text(cursor)?,
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        request.messages.push(message(&place, members)?);
        Ok(())
    })
}

fn message<'a>(place: &Place<'_>, members: Members<'a>) -> Result<Message<'a>, Failure> {
    let Members { role, plan, mut said, mut calls, call_id } = members;
    let role = match role.as_ref().map(Text::decode).as_deref() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        Some(other) => {
            return Err(place.member("role").wrong_word(other, "'system', 'user', 'assistant' and 'tool'"));
        }
        None => return Err(place.member("role").missing()),
    };
    let parts = match role {
        Role::Tool => {
            let call_id = call_id.ok_or_else(|| place.member("tool_call_id").missing())?;
            vec![Part::ToolResult { call_id: trailer::without(call_id), parts: said, is_error: false, cache: None }]
        }
        Role::Assistant => {
            if let Some(text) = plan {
                said.insert(0, Part::Reasoning { text, signature: None });
            }
            trailer::settle(&mut said, &mut calls);
            said.extend(calls);
            said
        }
        _ => said,
    };
    Ok(Message { role, name: None, parts })
}

fn words(text: Text<'_>) -> Part<'_> {
    Part::Text { text, cache: None, citations: Vec::new(), signature: None }
}

/// Words, or a list of contents.
fn content<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, said: &mut Vec<Part<'a>>) -> Result<(), Failure> {
    said.clear();
    if cursor.kind() == Some(Kind::String) {
        said.extend(place.text(cursor)?.map(words));
        return Ok(());
    }
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if cursor.kind() == Some(Kind::String) {
            said.extend(place.text(cursor)?.map(words));
            return Ok(());
        }
        let value = place.object(cursor)?.ok_or_else(|| place.missing())?;
        said.push(part(&place, &value)?);
        Ok::<(), Failure>(())
    })
}

fn part<'a>(place: &Place<'_>, value: &Raw<'a>) -> Result<Part<'a>, Failure> {
    let text = |raw: &Raw<'a>, key: &str| raw.member(key).and_then(Raw::into_text);
    let kind = text(value, "type").unwrap_or_else(|| Text::from_escaped("text"));
    match &*kind.decode() {
        "text" => Ok(words(text(value, "text").ok_or_else(|| place.member("text").missing())?)),
        "thinking" => {
            let text = text(value, "thinking").ok_or_else(|| place.member("thinking").missing())?;
            Ok(Part::Reasoning { text, signature: None })
        }
        "image_url" => {
            let image = value.member("image_url").ok_or_else(|| place.member("image_url").missing())?;
            let url = text(&image, "url").ok_or_else(|| place.member("image_url").missing())?;
            Ok(Part::Image { source: linked(url), detail: text(&image, "detail"), cache: None })
        }
        // What a tool returned, as JSON of any members.
        "document" => {
            let document = value.member("document").ok_or_else(|| place.member("document").missing())?;
            let data = document.member("data").unwrap_or(document);
            let plain = data.clone().into_text();
            Ok(words(plain.unwrap_or_else(|| Text::escape_owned(data.compact().into_owned()))))
        }
        other => Err(place.member("type").wrong_word(other, "'text', 'image_url', 'thinking' and 'document'")),
    }
}
