//! The conversation.

use crate::chat::{Arguments, CacheMark, Message, Part, Request, Role};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::sorted;

use super::content;
use super::reasoning::Thoughts;
use super::tools::read_calls;
use crate::wire::anthropic;
use crate::wire::place::Place;

const ROLES: &str = "'system', 'developer', 'user', 'assistant', 'tool' and 'function'";

/// A message with every member that any role has. Roles may come after what depends on them.
#[derive(Default)]
struct Members<'a> {
    role: Option<Text<'a>>,
    name: Option<Text<'a>>,
    parts: Vec<Part<'a>>,
    has_content: bool,
    refusal: Option<Text<'a>>,
    calls: Vec<Part<'a>>,
    /// The format before tools: a call without an id.
    legacy_call: Option<(Text<'a>, Arguments<'a>)>,
    call_id: Option<Text<'a>>,
    cache: Option<CacheMark>,
    images: Option<Raw<'a>>,
    thoughts: Thoughts<'a>,
    foreign: Option<Failure>,
}

/// Reads `messages` into the request.
pub(super) fn read<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    // Legacy calls have no ids: a result answers the call before it.
    let mut legacy_id = Text::EMPTY;
    cursor.items(|index, cursor| {
        let place = place.item(index);
        match cursor.kind() {
            Some(Kind::Object) => {}
            Some(kind) => return Err(place.wrong_type("an object", Some(kind))),
            None => drop(cursor.value()?),
        }
        let mut members = Members::default();
        cursor.members(|key, cursor| member(&place.member(&key), &key, cursor, &mut members))?;
        if let Some(foreign) = members.foreign.take() {
            request.untranslatable.get_or_insert(foreign);
        }
        if let Some((name, arguments)) = members.legacy_call.take() {
            legacy_id = Text::from_escaped(format!("call_{index}"));
            members.calls.push(Part::ToolCall { id: legacy_id.clone(), name, arguments, signature: None });
        }
        let message = message(&place, members, &legacy_id)?;
        let is_result = |part: &Part<'_>| matches!(part, Part::ToolResult { .. });
        // Blocks of Messages (see `borrowed`).
        if message.role == Role::User && message.parts.iter().any(is_result) {
            anthropic::split(message.parts, &mut request.messages);
        } else {
            request.messages.push(message);
        }
        Ok::<(), Failure>(())
    })
}

fn member<'a>(place: &Place<'_>, key: &str, cursor: &mut Cursor<'a>, members: &mut Members<'a>) -> Result<(), Failure> {
    match key {
        "role" => members.role = place.text(cursor)?,
        "name" => members.name = place.text(cursor)?,
        "content" => {
            members.has_content = cursor.kind() != Some(Kind::Null);
            members.parts.clear();
            members.foreign = content::read(place, cursor, &mut members.parts)?;
        }
        "refusal" => members.refusal = place.text(cursor)?,
        "tool_calls" => {
            members.calls.clear();
            read_calls(place, cursor, &mut members.calls)?;
        }
        "function_call" => members.legacy_call = super::tools::read_legacy_call(place, cursor)?,
        "tool_call_id" => members.call_id = place.text(cursor)?,
        "cache_control" => members.cache = place.cache_mark(cursor)?,
        "reasoning_content" => {
            members.thoughts.plain = place.text(cursor)?.or(members.thoughts.plain.take());
        }
        // An object or a list here is another vendor's own.
        "reasoning" => {
            let value = cursor.value()?;
            members.thoughts.plain = members.thoughts.plain.take().or(value.into_text());
        }
        "reasoning_details" => members.thoughts.details(place, cursor)?,
        "images" => members.images = Some(cursor.value()?).filter(Raw::is_array),
        _ => drop(cursor.value()?),
    }
    Ok(())
}

fn message<'a>(place: &Place<'_>, mut members: Members<'a>, legacy_id: &Text<'a>) -> Result<Message<'a>, Failure> {
    let role_place = place.member("role");
    let word = members.role.take().ok_or_else(|| role_place.missing())?;
    let role = match &*word.decode() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        other => return Err(role_place.wrong_word(other, ROLES)),
    };
    if !members.has_content && matches!(role, Role::System | Role::Developer | Role::User) {
        return Err(place.member("content").missing());
    }
    if let Some(mark) = members.cache.filter(|_| role != Role::Tool) {
        mark_last(mark, &mut members.parts);
    }
    let mut parts = members.parts;
    // Blocks of Messages (see `borrowed`), which no format has a place for elsewhere.
    let is_misplaced = |part: &Part<'_>| match part {
        Part::ToolResult { .. } => role != Role::User,
        Part::ToolCall { .. } => role != Role::Assistant,
        _ => false,
    };
    if parts.iter().any(is_misplaced) {
        let message =
            "Calls of tools stand in turns of the 'assistant', and blocks with their results in turns of the 'user'.";
        return Err(place.member("content").fault(message.into()));
    }
    match role {
        Role::Assistant => {
            if let Some(images) = &members.images {
                content::images(images, &mut parts);
            }
            parts.extend(members.refusal.filter(|text| !text.is_empty()).map(|text| Part::Refusal { text }));
            // Some say a call in the words of Messages, too: <https://github.com/BerriAI/litellm/issues/23510>.
            let mut said: Vec<String> = parts.iter().filter_map(id_of).map(|id| id.escaped().to_owned()).collect();
            if !said.is_empty() {
                sorted::sort(&mut said);
                let is_said = |id: &Text<'_>| said.binary_search_by(|known| known.as_str().cmp(id.escaped())).is_ok();
                members.calls.retain(|call| !id_of(call).is_some_and(is_said));
            }
            parts.append(&mut members.calls);
            members.thoughts.put_into(&mut parts);
        }
        Role::Tool => {
            let call_id = match members.call_id {
                Some(id) => id,
                None if word.is("function") => legacy_id.clone(),
                None => return Err(place.member("tool_call_id").missing()),
            };
            parts = vec![Part::ToolResult { call_id, parts, is_error: false, cache: members.cache }];
        }
        Role::System | Role::Developer | Role::User => {}
    }
    Ok(Message { role, name: members.name, parts })
}

fn id_of<'p>(part: &'p Part<'_>) -> Option<&'p Text<'p>> {
    if let Part::ToolCall { id, .. } = part { Some(id) } else { None }
}

/// A mark on a message is one on its last part.
fn mark_last(mark: CacheMark, parts: &mut [Part<'_>]) {
    if let Some(Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. }) = parts.last_mut() {
        cache.get_or_insert(mark);
    }
}
