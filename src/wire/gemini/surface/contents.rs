//! The conversation: contents and their parts.

use base64::Engine as _;

use crate::chat::{Arguments, Message, Part, Request, Role, Signature, SignatureRole, Source};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::carried::{self, Owner};
use crate::wire::gemini::SIGNATURE_FORMAT;
use crate::wire::place::Place;

use super::camel;

/// A call of the conversation: results find it by its id, or by the function's name where neither has one.
struct Call<'a> {
    name: Text<'a>,
    id: Text<'a>,
    answered: bool,
}

/// One part with every member that any kind has.
#[derive(Default)]
struct Members<'a> {
    text: Option<Text<'a>>,
    thought: bool,
    signature: Option<Text<'a>>,
    data: Option<Raw<'a>>,
    file: Option<Raw<'a>>,
    call: Option<Raw<'a>>,
    result: Option<Raw<'a>>,
    runs_code: bool,
}

/// Reads `contents`: a list of turns, one turn, or the words of one.
pub(super) fn read<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    let mut calls = Vec::new();
    match cursor.kind() {
        Some(Kind::Array) => cursor.items(|index, cursor| content(&place.item(index), cursor, request, &mut calls)),
        _ => content(place, cursor, request, &mut calls),
    }
}

/// Reads `systemInstruction`, which is a content of text.
pub(super) fn read_system<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    system: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    if cursor.kind() == Some(Kind::String) {
        system.extend(place.text(cursor)?.map(|text| words(text, None)));
        return Ok(());
    }
    if place.opens(cursor)? {
        let mut calls = Vec::new();
        cursor.members(|key, cursor| match &*key {
            "parts" => parts(&place.member(&key), cursor, system, request, &mut calls),
            _ => cursor.value().map(drop).map_err(Failure::from),
        })?;
    }
    Ok(())
}

fn content<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
    calls: &mut Vec<Call<'a>>,
) -> Result<(), Failure> {
    if cursor.kind() == Some(Kind::String) {
        let said = place.text(cursor)?.map(|text| words(text, None)).into_iter().collect();
        request.messages.push(Message { role: Role::User, name: None, parts: said });
        return Ok(());
    }
    if !place.opens(cursor)? {
        return Ok(());
    }
    let (mut role, mut said) = (None, Vec::new());
    cursor.members(|key, cursor| match &*key {
        "role" => {
            role = place.member(&key).text(cursor)?;
            Ok(())
        }
        "parts" => parts(&place.member(&key), cursor, &mut said, request, calls),
        _ => cursor.value().map(drop).map_err(Failure::from),
    })?;
    match role.as_ref().map(Text::decode).as_deref() {
        Some("model" | "assistant") => {
            request.messages.push(Message { role: Role::Assistant, name: None, parts: said })
        }
        Some("system") => request.messages.push(Message { role: Role::System, name: None, parts: said }),
        Some("user" | "function" | "tool" | "") | None => split(said, &mut request.messages),
        Some(other) => return Err(place.member("role").wrong_word(other, "'user' and 'model'")),
    }
    Ok(())
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

fn parts<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    said: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
    calls: &mut Vec<Call<'a>>,
) -> Result<(), Failure> {
    if cursor.kind() == Some(Kind::Array) {
        return cursor.items(|index, cursor| part(&place.item(index), cursor, said, request, calls));
    }
    part(place, cursor, said, request, calls)
}

fn part<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    said: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
    calls: &mut Vec<Call<'a>>,
) -> Result<(), Failure> {
    if cursor.kind() == Some(Kind::String) {
        said.extend(place.text(cursor)?.map(|text| words(text, None)));
        return Ok(());
    }
    if !place.opens(cursor)? {
        return Ok(());
    }
    let mut members = Members::default();
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*camel(&key) {
            "text" => members.text = place.text(cursor)?,
            "thought" => members.thought = place.boolean(cursor)? == Some(true),
            "thoughtSignature" => members.signature = place.text(cursor)?.filter(|data| !data.is_empty()),
            "inlineData" => members.data = place.object(cursor)?,
            "fileData" => members.file = place.object(cursor)?,
            "functionCall" => members.call = place.object(cursor)?,
            "functionResponse" => members.result = place.object(cursor)?,
            "executableCode" | "codeExecutionResult" | "toolCall" | "toolResponse" => {
                members.runs_code = !cursor.value()?.is_null();
            }
            // Which part of a film is meant (`videoMetadata`), how closely to look (`mediaResolution`).
            other => {
                if !cursor.value()?.is_null() {
                    unsayable(other, request);
                }
            }
        }
        Ok::<(), Failure>(())
    })?;
    if members.runs_code {
        unsayable("executableCode", request);
    }
    let signature = members.signature.and_then(signed);
    if let Some(call) = members.call {
        said.push(read_call(&place.member("functionCall"), &call, signature, calls)?);
    } else if let Some(result) = members.result {
        said.push(read_result(&place.member("functionResponse"), &result, calls)?);
    } else if let Some(data) = members.data {
        said.push(inline(&place.member("inlineData"), &data)?);
    } else if let Some(file) = members.file {
        said.push(linked(&place.member("fileData"), &file)?);
    } else if let Some(text) = members.text {
        say(text, members.thought, signature, said);
    }
    Ok(())
}

/// Notes what other protocols have no word for.
fn unsayable(name: &str, request: &mut Request<'_>) {
    if !request.unsayable.iter().any(|known| known == name) {
        request.unsayable.push(name.to_owned().into());
    }
}

fn words<'a>(text: Text<'a>, signature: Option<Signature<'a>>) -> Part<'a> {
    Part::Text { text, cache: None, citations: Vec::new(), signature }
}

fn signed(data: Text<'_>) -> Option<Signature<'_>> {
    // What stands for a signature that never was goes no further.
    if data.is(crate::wire::gemini::UNSIGNED_CALL) {
        return None;
    }
    match carried::unwrap(data, SIGNATURE_FORMAT, SignatureRole::Signs)? {
        (signature, Owner::Here) => Some(signature),
        _ => None,
    }
}

/// Words or a thought. A signature that comes on no words belongs to those before it, and a thought that came in pieces
/// is one again: some sign it as a whole.
fn say<'a>(text: Text<'a>, thought: bool, signature: Option<Signature<'a>>, said: &mut Vec<Part<'a>>) {
    if let (true, Some(Part::Reasoning { text: before, signature: unsigned @ None })) = (thought, said.last_mut()) {
        before.push(&text);
        *unsigned = signature;
        return;
    }
    if text.is_empty() && signature.is_some() {
        let before = match (said.last_mut(), thought) {
            (Some(Part::Text { signature: before, .. }), false)
            | (Some(Part::Reasoning { signature: before, .. }), true) => Some(before),
            _ => None,
        };
        if let Some(before) = before.filter(|before| before.is_none()) {
            *before = signature;
            return;
        }
    }
    said.push(if thought { Part::Reasoning { text, signature } } else { words(text, signature) });
}

fn read_call<'a>(
    place: &Place<'_>,
    call: &Raw<'a>,
    signature: Option<Signature<'a>>,
    calls: &mut Vec<Call<'a>>,
) -> Result<Part<'a>, Failure> {
    let text = |key: &str| call.member(key).and_then(Raw::into_text).filter(|text| !text.is_empty());
    let name = text("name").ok_or_else(|| place.member("name").missing())?;
    // Older models and clients have no ids; here every call needs one.
    let id = text("id").unwrap_or_else(|| Text::from_escaped(format!("call_{}", calls.len())));
    calls.push(Call { name: name.clone(), id: id.clone(), answered: false });
    let arguments = call.member("args").filter(Raw::is_object).unwrap_or(Raw::EMPTY_OBJECT);
    Ok(Part::ToolCall { id, name, arguments: Arguments::Object(arguments), signature })
}

fn read_result<'a>(place: &Place<'_>, result: &Raw<'a>, calls: &mut [Call<'a>]) -> Result<Part<'a>, Failure> {
    let text = |key: &str| result.member(key).and_then(Raw::into_text).filter(|text| !text.is_empty());
    let (id, name) = (text("id"), text("name"));
    let mut waiting = calls.iter_mut().filter(|call| !call.answered);
    let call = waiting.find(|call| match (&id, &name) {
        (Some(id), _) => call.id == *id,
        (None, Some(name)) => call.name == *name,
        (None, None) => true,
    });
    let found = call.map(|call| {
        call.answered = true;
        call.id.clone()
    });
    let call_id = found.or(id).or(name).ok_or_else(|| place.member("name").missing())?;
    let (mut parts, is_error) = returned(result.member("response"));
    if let Some(shown) = result.member("parts").filter(Raw::is_array) {
        shown.cursor().items(|index, cursor| {
            let place = place.member("parts");
            let place = place.item(index);
            let value = cursor.value()?;
            let member = |camel: &str, snake: &str| value.member(camel).or_else(|| value.member(snake));
            if let Some(data) = member("inlineData", "inline_data").filter(Raw::is_object) {
                parts.push(inline(&place, &data)?);
            }
            if let Some(file) = member("fileData", "file_data").filter(Raw::is_object) {
                parts.push(linked(&place, &file)?);
            }
            Ok::<(), Failure>(())
        })?;
    }
    Ok(Part::ToolResult { call_id, parts, is_error, cache: None })
}

/// What a function returned: the words alone where the object only wraps them.
fn returned(response: Option<Raw<'_>>) -> (Vec<Part<'_>>, bool) {
    let Some(response) = response.filter(|response| !response.is_null()) else { return (Vec::new(), false) };
    let members = response.cursor().spans().unwrap_or_default();
    let only = match members.as_slice() {
        [only] => Some(&*only.key),
        _ => None,
    };
    let wrapped = only.filter(|key| matches!(*key, "result" | "output" | "error"));
    let is_error = wrapped == Some("error");
    let value = wrapped.and_then(|key| response.member(key)).unwrap_or_else(|| response.clone());
    let text = match value.clone().into_text() {
        Some(text) => text,
        None => Text::escape_owned(value.compact().into_owned()),
    };
    (vec![words(text, None)], is_error)
}

/// `{"mimeType", "data"}`. Text is told as words, which every model reads.
fn inline<'a>(place: &Place<'_>, data: &Raw<'a>) -> Result<Part<'a>, Failure> {
    let text = |keys: [&str; 2]| keys.into_iter().find_map(|key| data.member(key).and_then(Raw::into_text));
    let media_type = text(["mimeType", "mime_type"]).ok_or_else(|| place.member("mimeType").missing())?;
    let bytes = text(["data", "data"]).ok_or_else(|| place.member("data").missing())?;
    if media_type.decode().starts_with("text/") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(bytes.decode().as_bytes()).ok();
        if let Some(plain) = decoded.and_then(|decoded| String::from_utf8(decoded).ok()) {
            return Ok(words(Text::escape_owned(plain), None));
        }
    }
    let name = text(["displayName", "display_name"]);
    let kind = media_type.decode().into_owned();
    Ok(shown(&kind, Source::Inline { media_type, data: bytes }, name))
}

/// `{"mimeType", "fileUri"}`: a file of the provider's, or a link.
fn linked<'a>(place: &Place<'_>, file: &Raw<'a>) -> Result<Part<'a>, Failure> {
    let text = |keys: [&str; 2]| keys.into_iter().find_map(|key| file.member(key).and_then(Raw::into_text));
    let uri = text(["fileUri", "file_uri"]).ok_or_else(|| place.member("fileUri").missing())?;
    let kind = text(["mimeType", "mime_type"]).map(|kind| kind.decode().into_owned()).unwrap_or_default();
    let plain = uri.decode().into_owned();
    if plain.contains("/v1beta/files/") || plain.starts_with("files/") {
        return Ok(shown(&kind, Source::FileId(uri), None));
    }
    let is_video = plain.contains("youtube.com/") || plain.contains("youtu.be/");
    Ok(shown(if is_video { "video/mp4" } else { &kind }, Source::Url(uri), None))
}

fn shown<'a>(kind: &str, source: Source<'a>, name: Option<Text<'a>>) -> Part<'a> {
    match kind.split_once('/').map_or("", |(class, _)| class) {
        "image" => Part::Image { source, detail: None, cache: None },
        "audio" => Part::Audio { source },
        "video" => Part::Video { source },
        _ => Part::File { source, name, cache: None },
    }
}
