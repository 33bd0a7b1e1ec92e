//! Content: a string, or blocks.

use std::borrow::Cow;

use crate::chat::{Arguments, CacheMark, Message, Part, Request, Role, Signature, SignatureRole, Source};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::anthropic::SIGNED;
use crate::wire::carried::{self, Owner};
use crate::wire::place::Place;

use super::tools;

/// How deep blocks lie within blocks: results hold pages that were found, which hold text.
const MAX_DEPTH: usize = 4;

/// A block with every member that any kind of block has.
#[derive(Default)]
struct Block<'a> {
    kind: Option<Text<'a>>,
    text: Option<Text<'a>>,
    source: Option<Raw<'a>>,
    content: Option<Raw<'a>>,
    title: Option<Text<'a>>,
    context: Option<Text<'a>>,
    thinking: Option<Text<'a>>,
    signature: Option<Text<'a>>,
    data: Option<Text<'a>>,
    id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    input: Option<Raw<'a>>,
    call_id: Option<Text<'a>>,
    tool: Option<Raw<'a>>,
    is_error: bool,
    cites: bool,
    cache: Option<CacheMark>,
}

/// Reads content; nothing for `null`. What cannot be said elsewhere is noted in `request`.
pub(super) fn read<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    read_at(place, cursor, parts, request, 0)
}

fn read_at<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
    depth: usize,
) -> Result<(), Failure> {
    match cursor.kind() {
        Some(Kind::String | Kind::Null) => {
            parts.extend(place.text(cursor)?.map(|text| words(text, None)));
            Ok(())
        }
        Some(Kind::Array) if depth < MAX_DEPTH => cursor.items(|index, cursor| {
            let place = place.item(index);
            if cursor.kind() == Some(Kind::String) {
                parts.extend(place.text(cursor)?.map(|text| words(text, None)));
                return Ok(());
            }
            read_block(&place, cursor, parts, request, depth)
        }),
        Some(Kind::Array) => Err(place.fault(format!("Blocks may lie {MAX_DEPTH} deep in each other."))),
        kind => Err(place.wrong_type("a string or an array of blocks", kind)),
    }
}

/// Reads one block, which lies `depth` blocks deep.
pub(in crate::wire) fn read_block<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
    depth: usize,
) -> Result<(), Failure> {
    if !place.opens(cursor)? {
        return Err(place.wrong_type("an object", Some(Kind::Null)));
    }
    let mut found = Block::default();
    cursor.members(|key, cursor| member(&place.member(&key), &key, cursor, &mut found))?;
    block(place, found, parts, request, depth)
}

fn member<'a>(place: &Place<'_>, key: &str, cursor: &mut Cursor<'a>, block: &mut Block<'a>) -> Result<(), Failure> {
    match key {
        "type" => block.kind = place.text(cursor)?,
        "text" => block.text = place.text(cursor)?,
        "source" => block.source = Some(cursor.value()?),
        "content" => block.content = Some(cursor.value()?),
        "title" => block.title = place.text(cursor)?,
        "context" => block.context = place.text(cursor)?,
        "thinking" => block.thinking = place.text(cursor)?,
        "signature" => block.signature = place.text(cursor)?,
        "data" => block.data = place.text(cursor)?,
        "id" => block.id = place.text(cursor)?,
        "name" | "tool_name" => block.name = place.text(cursor)?,
        "input" => block.input = Some(cursor.value()?),
        "tool_use_id" => block.call_id = place.text(cursor)?,
        "tool" => block.tool = Some(cursor.value()?),
        "is_error" => block.is_error = place.boolean(cursor)?.unwrap_or(false),
        "citations" => block.cites = cursor.value()?.member("enabled").and_then(|on| on.boolean()) == Some(true),
        "cache_control" => block.cache = place.cache_mark(cursor)?,
        _ => drop(cursor.value()?),
    }
    Ok(())
}

fn block<'a>(
    place: &Place<'_>,
    mut block: Block<'a>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
    depth: usize,
) -> Result<(), Failure> {
    let kind_place = place.member("type");
    let kind = block.kind.take().ok_or_else(|| kind_place.missing())?;
    let missing = |key: &str| place.member(key).missing();
    if block.cites {
        unsayable(request, "citations");
    }
    match &*kind.decode() {
        "text" => parts.push(words(block.text.ok_or_else(|| missing("text"))?, block.cache)),
        "image" => {
            let source = source(&place.member("source"), block.source.as_ref())?;
            parts.push(Part::Image { source, detail: None, cache: block.cache });
        }
        "document" => document(place, block, parts, request, depth)?,
        "search_result" => {
            let mut found = Vec::new();
            inner(&place.member("content"), block.content.as_ref(), &mut found, request, depth)?;
            let address = block.source.as_ref().and_then(|source| source.clone().into_text());
            push_document(block.title, address, found, block.cache, parts);
        }
        "thinking" => {
            let signed = block.signature.filter(|data| !data.is_empty());
            let signature = signed.and_then(|data| carried::unwrap(data, SIGNED, SignatureRole::Signs));
            let signature = signature.map(|(signature, _)| signature);
            parts.push(Part::Reasoning { text: block.thinking.unwrap_or_default(), signature });
        }
        "redacted_thinking" => {
            let data = block.data.ok_or_else(|| missing("data"))?;
            if let Some((signature, owner)) = carried::unwrap(data, SIGNED, SignatureRole::Replaces) {
                parts.push(belonging(signature, owner));
            }
        }
        "tool_use" => {
            let input = block.input.filter(Raw::is_object).unwrap_or(Raw::EMPTY_OBJECT);
            parts.push(Part::ToolCall {
                id: block.id.ok_or_else(|| missing("id"))?,
                name: block.name.ok_or_else(|| missing("name"))?,
                arguments: Arguments::Object(input),
                signature: None,
            });
        }
        "tool_result" => {
            let mut shown = Vec::new();
            inner(&place.member("content"), block.content.as_ref(), &mut shown, request, depth)?;
            let call_id = block.call_id.ok_or_else(|| missing("tool_use_id"))?;
            parts.push(Part::ToolResult { call_id, parts: shown, is_error: block.is_error, cache: block.cache });
        }
        "tool_reference" => parts.push(words(block.name.ok_or_else(|| missing("tool_name"))?, None)),
        // The provider's own summary of what was said before.
        "compaction" => inner(&place.member("content"), block.content.as_ref(), parts, request, depth)?,
        // What the provider's own tools did: the text behind them tells what came of it.
        other if other == "server_tool_use" || other == "mcp_tool_use" || other.ends_with("_tool_result") => {
            unsayable(request, "server_tool_use");
        }
        // Where another model took over, what a server of tools lists, and tools that were offered only then or are not
        // any more.
        other @ ("container_upload" | "fallback" | "mcp_tool_listing" | "tool_removal") => {
            unsayable(request, other.to_owned());
        }
        "tool_addition" => {
            let place = place.member("tool");
            // What is only named here is offered from the beginning.
            if let Some(tool) = block.tool.and_then(|tool| tool.member("definition")) {
                tools::read_tool(&place.member("definition"), tool, request)?;
            }
        }
        other => {
            let failure = kind_place.fault(format!("Blocks of type '{}' are not supported by this model.", cut(other)));
            request.untranslatable.get_or_insert(failure);
        }
    }
    Ok(())
}

fn inner<'a>(
    place: &Place<'_>,
    content: Option<&Raw<'a>>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
    depth: usize,
) -> Result<(), Failure> {
    match content {
        Some(content) => read_at(place, &mut content.cursor(), parts, request, depth + 1),
        None => Ok(()),
    }
}

fn words<'a>(text: Text<'a>, cache: Option<CacheMark>) -> Part<'a> {
    Part::Text { text, cache, citations: Vec::new(), signature: None }
}

/// Notes what can go unsaid, once.
pub(super) fn unsayable(request: &mut Request<'_>, name: impl Into<Cow<'static, str>>) {
    let name = name.into();
    if !request.unsayable.contains(&name) {
        request.unsayable.push(name);
    }
}

/// `{"type": "base64", "media_type", "data"}`, `{"type": "url", "url"}` or `{"type": "file", "file_id"}`
fn source<'a>(place: &Place<'_>, raw: Option<&Raw<'a>>) -> Result<Source<'a>, Failure> {
    let raw = raw.ok_or_else(|| place.missing())?;
    let (mut kind, mut media_type, mut data, mut url, mut file_id) = (None, None, None, None, None);
    let mut cursor = raw.cursor();
    if place.opens(&mut cursor)? {
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "type" => kind = place.text(cursor)?,
                "media_type" => media_type = place.text(cursor)?,
                "data" => data = place.text(cursor)?,
                "url" => url = place.text(cursor)?,
                "file_id" => file_id = place.text(cursor)?,
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
    }
    let missing = |key: &str| place.member(key).missing();
    let kind = kind.ok_or_else(|| missing("type"))?;
    match &*kind.decode() {
        "base64" => Ok(Source::Inline {
            media_type: media_type.ok_or_else(|| missing("media_type"))?,
            data: data.ok_or_else(|| missing("data"))?,
        }),
        "url" => Ok(Source::Url(url.ok_or_else(|| missing("url"))?)),
        "file" => Ok(Source::FileId(file_id.ok_or_else(|| missing("file_id"))?)),
        other => Err(place.member("type").wrong_word(other, "'base64', 'url' and 'file'")),
    }
}

/// A document. Plain text is told as words, which every model reads; anything else is a file.
fn document<'a>(
    place: &Place<'_>,
    block: Block<'a>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
    depth: usize,
) -> Result<(), Failure> {
    let place = place.member("source");
    let raw = block.source.as_ref().ok_or_else(|| place.missing())?;
    let is = |kind: &str| raw.member("type").and_then(Raw::into_text).is_some_and(|given| given.is(kind));
    if is("text") {
        let text = raw.member("data").and_then(Raw::into_text).ok_or_else(|| place.member("data").missing())?;
        push_document(block.title, block.context, vec![words(text, None)], block.cache, parts);
    } else if is("content") {
        let mut shown = Vec::new();
        inner(&place.member("content"), raw.member("content").as_ref(), &mut shown, request, depth)?;
        push_document(block.title, block.context, shown, block.cache, parts);
    } else {
        parts.extend(block.context.filter(|context| !context.is_empty()).map(|context| words(context, None)));
        parts.push(Part::File { source: source(&place, Some(raw))?, name: block.title, cache: block.cache });
    }
    Ok(())
}

/// What a document says, behind its title and what is told about it.
fn push_document<'a>(
    title: Option<Text<'a>>,
    about: Option<Text<'a>>,
    shown: Vec<Part<'a>>,
    cache: Option<CacheMark>,
    parts: &mut Vec<Part<'a>>,
) {
    for head in [title, about].into_iter().flatten().filter(|head| !head.is_empty()) {
        parts.push(words(Text::from_escaped(format!("{}\\n\\n", head.escaped())), None));
    }
    parts.extend(shown);
    if let (Some(mark), Some(Part::Text { cache, .. } | Part::Image { cache, .. })) = (cache, parts.last_mut()) {
        *cache = Some(mark);
    }
}

/// A signature that came in a block of its own; [`settle`] gives it to what it belongs to.
fn belonging<'a>(signature: Signature<'a>, owner: Owner) -> Part<'a> {
    match owner {
        Owner::Here | Owner::Thought => Part::Reasoning { text: Text::EMPTY, signature: Some(signature) },
        Owner::Text => Part::Text { text: Text::EMPTY, cache: None, citations: Vec::new(), signature: Some(signature) },
        Owner::Call(id) => Part::ToolCall {
            id: Text::escape_owned(id),
            name: Text::EMPTY,
            arguments: Arguments::Object(Raw::EMPTY_OBJECT),
            signature: Some(signature),
        },
    }
}

/// Gives the calls and texts of an assistant's turn the signatures that came beside them.
pub(super) fn settle(parts: &mut Vec<Part<'_>>) {
    let mut at = 0;
    while let Some(part) = parts.get(at) {
        let owner = match part {
            Part::ToolCall { id: call, name, signature: Some(_), .. } if name.is_empty() => parts
                .iter()
                .position(|part| matches!(part, Part::ToolCall { id, name, .. } if id == call && !name.is_empty())),
            Part::Text { text, signature: Some(_), .. } if text.is_empty() => parts
                .get(..at)
                .and_then(|before| before.iter().rposition(|part| matches!(part, Part::Text { signature: None, .. }))),
            _ => {
                at += 1;
                continue;
            }
        };
        let lone = matches!(part, Part::Text { .. }) && owner.is_none();
        if lone {
            at += 1;
            continue;
        }
        let (Part::ToolCall { signature: given, .. } | Part::Text { signature: given, .. }) = parts.remove(at) else {
            continue;
        };
        // What stood behind the removed one has moved up.
        let owner = owner.map(|owner| if owner > at { owner - 1 } else { owner });
        if let Some(Part::ToolCall { signature, .. } | Part::Text { signature, .. }) =
            owner.and_then(|owner| parts.get_mut(owner))
        {
            *signature = given;
        }
    }
}

/// A user's turn as the hub has it: results of tools in messages of their own.
pub(in crate::wire) fn split<'a>(parts: Vec<Part<'a>>, messages: &mut Vec<Message<'a>>) {
    let mut current: Option<Message<'a>> = None;
    for part in parts {
        let role = if matches!(part, Part::ToolResult { .. }) { Role::Tool } else { Role::User };
        match &mut current {
            Some(message) if message.role == role => message.parts.push(part),
            _ => messages.extend(current.replace(Message { role, name: None, parts: vec![part] })),
        }
    }
    messages.push(current.unwrap_or(Message { role: Role::User, name: None, parts: Vec::new() }));
}

fn cut(word: &str) -> String {
    word.chars().take(64).collect()
}
