//! The conversation: messages and their content blocks.

use crate::chat::{Arguments, Citation, Message, Part, Request, Role, Signature, SignatureRole, Source};
use crate::failure::Failure;
use crate::json::{Cursor, Raw, Text};
use crate::wire::bedrock::request::media_type;
use crate::wire::bedrock::{SIGNED, replaces};
use crate::wire::carried::{self, MARK, Owner};
use crate::wire::place::Place;

/// Reads `messages`.
pub(super) fn read_messages<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.missing());
        }
        let (mut role, mut said) = (None, Vec::new());
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "role" => role = place.text(cursor)?,
                "content" => read_list(&place, cursor, &mut said, request)?,
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        match role.as_ref().map(Text::decode).as_deref() {
            Some("user") => split(said, &mut request.messages),
            Some("assistant") => {
                request.messages.push(Message { role: Role::Assistant, name: None, parts: said });
            }
            Some(other) => return Err(place.member("role").wrong_word(other, "'user' and 'assistant'")),
            None => return Err(place.member("role").missing()),
        }
        Ok(())
    })
}

/// A user's turn as the hub has it: results of tools in messages of their own.
fn split<'a>(parts: Vec<Part<'a>>, messages: &mut Vec<Message<'a>>) {
    let mut current: Option<Message<'a>> = None;
    for part in parts {
        let role = if matches!(part, Part::ToolResult { .. }) { Role::Tool } else { Role::User };
        match &mut current {
            Some(message) if message.role == role => message.parts.push(part),
            _ => messages.extend(current.replace(Message { role, name: None, parts: vec![part] })),
        }
    }
    messages.extend(current);
}

/// Reads a list of blocks. A cache point belongs to the block before it.
pub(super) fn read_list<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    said: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.missing());
        }
        cursor.members(|key, cursor| block(&place.member(&key), &key, cursor, said, request))
    })
}

/// The one member that a block has.
fn block<'a>(
    place: &Place<'_>,
    key: &str,
    cursor: &mut Cursor<'a>,
    said: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    match key {
        "text" => said.extend(place.text(cursor)?.map(words)),
        "image" | "document" | "video" | "audio" => {
            if let Some(value) = place.object(cursor)? {
                // What a document is about is told to the model before it.
                let about = value.member("context").and_then(Raw::into_text).map(Text::into_owned);
                said.extend(about.filter(|about| !about.is_empty()).map(words));
                said.push(shown(place, key, &value)?);
            }
        }
        "searchResult" => {
            if let Some(value) = place.object(cursor)? {
                found(&value, said);
            }
        }
        "toolUse" => said.push(call(place, cursor)?),
        "toolResult" => said.push(result(place, cursor, request)?),
        "reasoningContent" => {
            if let Some(value) = place.object(cursor)? {
                thought(&value, said);
            }
        }
        "cachePoint" => {
            // Blanks are refused elsewhere, and would take the mark with them.
            let is_blank = |part: &Part<'_>| matches!(part, Part::Text { text, .. } if text.decode().trim().is_empty());
            let marked = said.iter_mut().rev().find(|part| !is_blank(part));
            if let (Some(mark), Some(last)) = (place.cache_mark(cursor)?, marked)
                && let Part::Text { cache, .. }
                | Part::Image { cache, .. }
                | Part::File { cache, .. }
                | Part::ToolResult { cache, .. } = last
            {
                *cache = Some(mark);
            }
        }
        // Marked for a guardrail; without one these are words.
        "guardContent" => {
            let Some(guarded) = place.object(cursor)? else { return Ok(()) };
            let text = guarded.member("text");
            let text = text.and_then(|text| text.member("text").and_then(Raw::into_text).map(Text::into_owned));
            said.extend(text.map(words));
            if let Some(image) = guarded.member("image").filter(Raw::is_object) {
                said.push(shown(&place.member("image"), "image", &image)?);
            }
        }
        "citationsContent" => {
            if let Some(value) = place.object(cursor)? {
                said.push(cited(&value));
            }
        }
        _ => {
            if !cursor.value()?.is_null() && !request.unsayable.iter().any(|known| known == key) {
                request.unsayable.push(key.to_owned().into());
            }
        }
    }
    Ok(())
}

fn words(text: Text<'_>) -> Part<'_> {
    Part::Text { text, cache: None, citations: Vec::new(), signature: None }
}

/// `{"format", "source": {"bytes" | "s3Location" | "text"}, "name"}`.
fn shown<'a>(place: &Place<'_>, kind: &str, value: &Raw<'a>) -> Result<Part<'a>, Failure> {
    let owned = value.clone();
    let source = owned.member("source").ok_or_else(|| place.member("source").missing())?;
    let text = |raw: &Raw<'_>, key: &str| raw.member(key).and_then(Raw::into_text).map(Text::into_owned);
    let name = text(value, "name").filter(|name| !name.is_empty());
    if kind == "document" {
        let passages = || source.member("content").filter(Raw::is_array).map(|passages| joined(&passages));
        if let Some(plain) = text(&source, "text").or_else(passages) {
            // By its name it is spoken of.
            let head = name.map_or_else(String::new, |name| format!("{}\\n\\n", name.escaped()));
            return Ok(words(Text::from_escaped(head + plain.escaped())));
        }
    }
    let format = text(value, "format").unwrap_or_default().decode().into_owned();
    let source = match (text(&source, "bytes"), source.member("s3Location")) {
        (Some(data), _) => {
            let media_type = media_type(kind, &format).ok_or_else(|| {
                place.member("format").fault(format!("`{format}` is no format of {kind} that is known."))
            })?;
            Source::Inline { media_type: Text::from_escaped(media_type), data }
        }
        (None, Some(stored)) => Source::Url(text(&stored, "uri").ok_or_else(|| place.member("source").missing())?),
        (None, None) => return Err(place.member("source").missing()),
    };
    Ok(match kind {
        "image" => Part::Image { source, detail: None, cache: None },
        "video" => Part::Video { source },
        "audio" => Part::Audio { source },
        _ => Part::File { source, name, cache: None },
    })
}

/// A page that a search of the caller's found: `{"source", "title", "content": [{"text"}]}`, as words.
fn found(value: &Raw<'_>, said: &mut Vec<Part<'_>>) {
    for key in ["title", "source"] {
        if let Some(head) = value.member(key).and_then(Raw::into_text).filter(|head| !head.is_empty()) {
            said.push(words(Text::from_escaped(format!("{}\\n\\n", head.escaped()))));
        }
    }
    if let Some(passages) = value.member("content").filter(Raw::is_array) {
        said.push(words(joined(&passages)));
    }
}

/// The text of all items, one behind the other.
fn joined(passages: &Raw<'_>) -> Text<'static> {
    let mut all = Text::EMPTY;
    let read = passages.cursor().items(|_, cursor| {
        if let Some(text) = cursor.value()?.member("text").and_then(Raw::into_text) {
            all.push(&text);
        }
        Ok::<(), Failure>(())
    });
    // What cannot be walked was refused before.
    if read.is_err() { Text::EMPTY } else { all }
}

fn call<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Part<'a>, Failure> {
    let (mut id, mut name, mut input) = (None, None, None);
    if place.opens(cursor)? {
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "toolUseId" => id = place.text(cursor)?,
                "name" => name = place.text(cursor)?,
                "input" => input = Some(cursor.value()?),
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
    }
    let id = id.ok_or_else(|| place.member("toolUseId").missing())?;
    let name = name.ok_or_else(|| place.member("name").missing())?;
    let arguments = Arguments::Object(input.filter(Raw::is_object).unwrap_or(Raw::EMPTY_OBJECT));
    Ok(Part::ToolCall { id, name, arguments, signature: None })
}

fn result<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<Part<'a>, Failure> {
    let (mut id, mut parts, mut is_error) = (None, Vec::new(), false);
    if place.opens(cursor)? {
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "toolUseId" => id = place.text(cursor)?,
                "status" => is_error = place.text(cursor)?.is_some_and(|status| status.is("error")),
                "content" => returned(&place, cursor, &mut parts, request)?,
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
    }
    let call_id = id.ok_or_else(|| place.member("toolUseId").missing())?;
    Ok(Part::ToolResult { call_id, parts, is_error, cache: None })
}

/// What a tool returned: blocks, or JSON, which is told as its text.
fn returned<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.missing());
        }
        cursor.members(|key, cursor| match &*key {
            "json" => {
                let value = cursor.value()?;
                parts.push(words(Text::escape_owned(value.compact().into_owned())));
                Ok(())
            }
            _ => block(&place.member(&key), &key, cursor, parts, request),
        })
    })
}

/// `{"reasoningText": {"text", "signature"}}` or `{"redactedContent"}`. One that stands for a place where this protocol
/// has no field goes back there.
fn thought<'a>(value: &Raw<'a>, said: &mut Vec<Part<'a>>) {
    let text = |raw: &Raw<'_>, key: &str| raw.member(key).and_then(Raw::into_text).map(Text::into_owned);
    if let Some(shown) = value.member("reasoningText") {
        let signature = text(&shown, "signature").filter(|data| !data.is_empty());
        let signature = signature.and_then(|data| carried::unwrap(data, SIGNED, SignatureRole::Signs));
        let signature = signature.and_then(|(signature, owner)| (owner == Owner::Here).then_some(signature));
        said.push(Part::Reasoning { text: text(&shown, "text").unwrap_or_default(), signature });
        return;
    }
    let Some(redacted) = text(value, "redactedContent") else { return };
    if !redacted.escaped().starts_with(MARK) {
        said.push(Part::Reasoning { text: Text::EMPTY, signature: Some(replaces(&redacted)) });
        return;
    }
    match carried::unwrap(redacted, SIGNED, SignatureRole::Replaces) {
        Some((signature, Owner::Here)) => {
            said.push(Part::Reasoning { text: Text::EMPTY, signature: Some(signature) });
        }
        Some((signature, owner)) => give_back(signature, &owner, said),
        None => {}
    }
}

/// Puts a signature that has no field in this protocol on the call or the text that it belongs to.
fn give_back<'a>(given: Signature<'a>, owner: &Owner, said: &mut [Part<'a>]) {
    let place = said.iter_mut().rev().find_map(|part| match (part, owner) {
        (Part::ToolCall { id, signature, .. }, Owner::Call(call)) if id.is(call) => Some(signature),
        (Part::Text { signature, .. }, Owner::Text) => Some(signature),
        _ => None,
    });
    if let Some(place) = place {
        *place = Some(given);
    }
}

/// Words with their sources.
fn cited<'a>(value: &Raw<'a>) -> Part<'a> {
    let text = value.member("content").filter(Raw::is_array).map(|passages| joined(&passages)).unwrap_or_default();
    Part::Text { text, cache: None, citations: Vec::<Citation<'_>>::new(), signature: None }
}
