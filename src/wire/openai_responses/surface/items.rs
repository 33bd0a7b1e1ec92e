//! Items of the conversation.

use crate::chat::{Arguments, CacheMark, Message, Part, Request, Role, Signature, SignatureRole, Source, Tool};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Object, Raw, Text};
use crate::wire::carried::{self, Owner};
use crate::wire::openai_chat::linked;
use crate::wire::place::Place;

use super::own_tools::{SEARCH, is_clients, joined};
use super::{NOT_KEPT, SIGNED};

/// An item, or a part of one, with every member that any kind has.
#[derive(Default)]
struct Members<'a> {
    kind: Option<Text<'a>>,
    role: Option<Text<'a>>,
    content: Option<Raw<'a>>,
    text: Option<Text<'a>>,
    refusal: Option<Text<'a>>,
    id: Option<Text<'a>>,
    call_id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    arguments: Option<Raw<'a>>,
    input: Option<Text<'a>>,
    output: Option<Raw<'a>>,
    summary: Option<Raw<'a>>,
    encrypted: Option<Text<'a>>,
    source: Option<Source<'a>>,
    detail: Option<Text<'a>>,
    filename: Option<Text<'a>>,
    tools: Option<Raw<'a>>,
    execution: Option<Text<'a>>,
    cache: Option<CacheMark>,
}

/// Reads `input`: a string, or items. Answers whether there is any.
pub(super) fn read<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<bool, Failure> {
    if let Some(Kind::String | Kind::Null) = cursor.kind() {
        let Some(text) = place.text(cursor)? else { return Ok(false) };
        request.messages.push(Message { role: Role::User, name: None, parts: vec![words(text)] });
        return Ok(true);
    }
    if !place.array(cursor)? {
        return Ok(false);
    }
    let mut apart = Vec::new();
    cursor.items(|index, cursor| {
        let place = place.item(index);
        let members = members(&place, cursor)?;
        item(&place, members, request, &mut apart)
    })?;
    Ok(true)
}

fn members<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Members<'a>, Failure> {
    if !place.opens(cursor)? {
        return Err(place.wrong_type("an object", Some(Kind::Null)));
    }
    let mut members = Members::default();
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => members.kind = place.text(cursor)?,
            "role" => members.role = place.text(cursor)?,
            "content" => members.content = Some(cursor.value()?).filter(|raw| !raw.is_null()),
            "text" => members.text = place.text(cursor)?,
            "refusal" => members.refusal = place.text(cursor)?,
            "id" => members.id = place.text(cursor)?,
            "call_id" => members.call_id = place.text(cursor)?,
            "name" => members.name = place.text(cursor)?,
            "namespace" => members.namespace = place.text(cursor)?,
            "arguments" => members.arguments = Some(cursor.value()?).filter(|raw| !raw.is_null()),
            "input" => members.input = place.text(cursor)?,
            "output" => members.output = Some(cursor.value()?).filter(|raw| !raw.is_null()),
            "summary" => members.summary = Some(cursor.value()?).filter(|raw| !raw.is_null()),
            "encrypted_content" => members.encrypted = place.text(cursor)?,
            "image_url" | "file_url" | "file_data" => {
                members.source = place.text(cursor)?.map(linked).or(members.source.take());
            }
            "file_id" => members.source = members.source.take().or(place.text(cursor)?.map(Source::FileId)),
            "detail" => members.detail = place.text(cursor)?,
            "tools" => members.tools = Some(cursor.value()?).filter(Raw::is_array),
            "filename" => members.filename = place.text(cursor)?,
            "execution" => members.execution = place.text(cursor)?,
            "prompt_cache_breakpoint" => members.cache = place.cache_mark(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    Ok(members)
}

fn item<'a>(
    place: &Place<'_>,
    members: Members<'a>,
    request: &mut Request<'a>,
    // What signs calls that are still to come.
    apart: &mut Vec<(Signature<'a>, String)>,
) -> Result<(), Failure> {
    let kind = members.kind.as_ref().map(Text::decode);
    match kind.as_deref() {
        None | Some("message") => return message(place, members, request),
        Some("reasoning") => return reasoning(place, members, request, apart),
        Some(kind @ ("function_call" | "custom_tool_call")) => {
            let name = members.name.ok_or_else(|| place.member("name").missing())?;
            let name = joined(members.namespace.as_ref(), name);
            let id = members.call_id.or(members.id).ok_or_else(|| place.member("call_id").missing())?;
            let arguments = match (kind, members.arguments, members.input) {
                ("function_call", Some(object), _) if object.is_object() => Arguments::Object(object),
                ("function_call", text, _) => {
                    let text = text.and_then(Raw::into_text);
                    Arguments::Quoted(text.ok_or_else(|| place.member("arguments").missing())?)
                }
                (_, _, input) => Arguments::Object(free_form(&input.unwrap_or_default())),
            };
            let signed = apart.iter().position(|(_, call)| id.is(call));
            let signature = signed.map(|at| apart.remove(at).0);
            push(Role::Assistant, Part::ToolCall { id, name, arguments, signature }, request);
        }
        Some("function_call_output" | "custom_tool_call_output") => {
            let call_id = members.call_id.ok_or_else(|| place.member("call_id").missing())?;
            let output_place = place.member("output");
            let output = members.output.ok_or_else(|| output_place.missing())?;
            let mut parts = Vec::new();
            content(&output_place, &output, &mut parts, request)?;
            push(Role::Tool, Part::ToolResult { call_id, parts, is_error: false, cache: None }, request);
        }
        Some("item_reference") => {
            return Err(Failure::unsupported(place.to_string(), NOT_KEPT));
        }
        Some("tool_search_call") if is_clients(members.execution.as_ref()) => {
            let id = members.call_id.or(members.id).ok_or_else(|| place.member("call_id").missing())?;
            let arguments = match members.arguments {
                Some(text) if !text.is_object() => Arguments::Quoted(text.into_text().unwrap_or_default()),
                object => Arguments::Object(object.unwrap_or(Raw::EMPTY_OBJECT)),
            };
            let name = Text::from_escaped(SEARCH);
            push(Role::Assistant, Part::ToolCall { id, name, arguments, signature: None }, request);
        }
        Some(own) if brings_tools(own) => {
            let known = request.tools.len();
            let place = place.member("tools");
            if let Some(tools) = members.tools {
                super::tools::read_items(&place, &mut tools.cursor(), request)?;
            }
            if let Some(call_id) = members.call_id.filter(|_| is_clients(members.execution.as_ref())) {
                let parts = vec![words(found(request.tools.get(known..).unwrap_or_default()))];
                push(Role::Tool, Part::ToolResult { call_id, parts, is_error: false, cache: None }, request);
            }
        }
        // What the provider's own tools did: the text behind them tells what came of it.
        Some(own) if is_of_own_tool(own) => unsayable(request, own),
        // A summary that only its maker can read, beside what it sums up: alone it is all that is left of that.
        Some("compaction") if request.messages.iter().any(|message| message.role == Role::Assistant) => {
            unsayable(request, "compaction");
        }
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            let message = format!("Items of type `{other}` mean nothing to this model's provider.");
            let failure = Failure::unsupported(place.member("type").to_string(), message);
            request.untranslatable.get_or_insert(failure);
        }
    }
    Ok(())
}

/// What a search for tools found, in words: the tools themselves are listed with the others.
fn found(tools: &[Tool<'_>]) -> Text<'static> {
    let mut told = Text::from_escaped("Tools that can be called now:");
    for tool in tools {
        if let Tool::Function { name, .. } = tool {
            told.push(&Text::from_escaped(" "));
            told.push(name);
        }
    }
    if tools.is_empty() { Text::from_escaped("No tools were found.") } else { told }
}

/// Whether an item has tools that are there from then on, beside those of the request.
pub(super) fn brings_tools(kind: &str) -> bool {
    matches!(kind, "additional_tools" | "tool_search_output")
}

/// Whether an item tells what a tool did that the provider runs itself.
pub(super) fn is_of_own_tool(kind: &str) -> bool {
    matches!(
        kind,
        "web_search_call"
            | "file_search_call"
            | "code_interpreter_call"
            | "image_generation_call"
            | "mcp_list_tools"
            | "mcp_call"
            | "tool_search_call"
            | "program"
            | "program_output"
            | "x_search_call"
    )
}

fn unsayable(request: &mut Request<'_>, kind: &str) {
    if !request.unsayable.iter().any(|known| known == kind) {
        request.unsayable.push(kind.to_owned().into());
    }
}

/// Thoughts, or what signs another part in their place.
fn reasoning<'a>(
    place: &Place<'_>,
    members: Members<'a>,
    request: &mut Request<'a>,
    apart: &mut Vec<(Signature<'a>, String)>,
) -> Result<(), Failure> {
    let text = thoughts(place, &members)?;
    let carried = members.encrypted.filter(|data| !data.is_empty());
    let unwrapped = carried.and_then(|data| carried::unwrap(data, SIGNED, SignatureRole::Replaces));
    match unwrapped {
        Some((given, Owner::Text)) => {
            let said = request.messages.last_mut().into_iter().flat_map(|last| last.parts.iter_mut().rev());
            let mut slots = said.filter_map(|part| match part {
                Part::Text { signature, .. } => Some(signature),
                _ => None,
            });
            if let Some(slot) = slots.next() {
                *slot = Some(given);
            }
        }
        Some((signature, Owner::Call(call))) => {
            if let Some(unsigned) = sign(signature, &call, request) {
                apart.push((unsigned, call));
            }
        }
        other => {
            let mut signature = other.map(|(signature, _)| signature);
            if let Some(own) = signature.as_mut().filter(|own| own.format.escaped() == SIGNED) {
                own.id = members.id;
            }
            if !text.is_empty() || signature.is_some() {
                push(Role::Assistant, Part::Reasoning { text, signature }, request);
            }
        }
    }
    Ok(())
}

fn message<'a>(place: &Place<'_>, members: Members<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    let role_place = place.member("role");
    let role = match &*members.role.ok_or_else(|| role_place.missing())?.decode() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        other => return Err(role_place.wrong_word(other, "'user', 'assistant', 'system' and 'developer'")),
    };
    let content_place = place.member("content");
    let given = members.content.ok_or_else(|| content_place.missing())?;
    let mut parts = Vec::new();
    content(&content_place, &given, &mut parts, request)?;
    match request.messages.last_mut() {
        // One turn may be told in several items; turns of others are told apart.
        Some(last) if last.role == role && role == Role::Assistant => last.parts.extend(parts),
        _ => request.messages.push(Message { role, name: None, parts }),
    }
    Ok(())
}

/// A string, or parts.
fn content<'a>(
    place: &Place<'_>,
    content: &Raw<'a>,
    parts: &mut Vec<Part<'a>>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    let mut cursor = content.cursor();
    match cursor.kind() {
        Some(Kind::String) => {
            parts.extend(place.text(&mut cursor)?.map(words));
            Ok(())
        }
        Some(Kind::Array) => cursor.items(|index, cursor| {
            let place = place.item(index);
            let members = members(&place, cursor)?;
            parts.extend(part(&place, members, request)?);
            Ok(())
        }),
        kind => Err(place.wrong_type("a string or an array of parts", kind)),
    }
}

fn part<'a>(place: &Place<'_>, members: Members<'a>, request: &mut Request<'a>) -> Result<Option<Part<'a>>, Failure> {
    let kind_place = place.member("type");
    let kind = members.kind.ok_or_else(|| kind_place.missing())?;
    let missing = |key: &str| place.member(key).missing();
    Ok(Some(match &*kind.decode() {
        "input_text" | "output_text" | "text" | "summary_text" => Part::Text {
            text: members.text.ok_or_else(|| missing("text"))?,
            cache: members.cache,
            citations: Vec::new(),
            signature: None,
        },
        "refusal" => Part::Refusal { text: members.refusal.ok_or_else(|| missing("refusal"))? },
        "input_image" => {
            let source = members.source.ok_or_else(|| missing("image_url"))?;
            Part::Image { source, detail: members.detail.filter(|detail| !detail.is("auto")), cache: members.cache }
        }
        "input_file" => {
            let source = members.source.ok_or_else(|| missing("file_data"))?;
            Part::File { source, name: members.filename, cache: members.cache }
        }
        other => {
            let failure =
                kind_place.wrong_word(other, "'input_text', 'input_image', 'input_file', 'output_text' and 'refusal'");
            request.untranslatable.get_or_insert(failure);
            return Ok(None);
        }
    }))
}

fn words(text: Text<'_>) -> Part<'_> {
    Part::Text { text, cache: None, citations: Vec::new(), signature: None }
}

/// What an item of reasoning shows: its own words, and the summary of them.
fn thoughts<'a>(place: &Place<'_>, item: &Members<'a>) -> Result<Text<'a>, Failure> {
    let mut shown = Text::EMPTY;
    for (key, list) in [("content", &item.content), ("summary", &item.summary)] {
        let Some(list) = list.as_ref().filter(|list| list.is_array()) else { continue };
        let place = place.member(key);
        list.cursor().items(|index, cursor| {
            let text = members(&place.item(index), cursor)?.text.filter(|text| !text.is_empty());
            match text {
                Some(text) if shown.is_empty() => shown = text,
                Some(text) => {
                    shown.push(&Text::from_escaped("\\n\\n"));
                    shown.push(&text);
                }
                None => {}
            }
            Ok::<(), Failure>(())
        })?;
    }
    Ok(shown)
}

/// The input of a tool that takes free text, as the arguments of a function.
pub(in crate::wire) fn free_form(input: &Text<'_>) -> Raw<'static> {
    let mut out = Vec::new();
    let mut arguments = Object::open(&mut out);
    arguments.text("input", input);
    arguments.close();
    Raw::written(out)
}

fn push<'a>(role: Role, part: Part<'a>, request: &mut Request<'a>) {
    match request.messages.last_mut() {
        Some(last) if last.role == role => last.parts.push(part),
        _ => request.messages.push(Message { role, name: None, parts: vec![part] }),
    }
}

/// Gives a call of the turn its signature, which came in an item of its own behind it; gives it back where the call is
/// still to come. Some models give the calls of every turn the same ids.
fn sign<'a>(given: Signature<'a>, call: &str, request: &mut Request<'a>) -> Option<Signature<'a>> {
    let turn = request.messages.last_mut().filter(|message| message.role == Role::Assistant);
    let place = turn.into_iter().flat_map(|message| &mut message.parts).find_map(|part| match part {
        Part::ToolCall { id, signature: signature @ None, .. } if id.is(call) => Some(signature),
        _ => None,
    });
    match place {
        Some(place) => {
            *place = Some(given);
            None
        }
        None => Some(given),
    }
}
