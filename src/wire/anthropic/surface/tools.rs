//! Tools and which of them must be called.

use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Cursor, Object, Raw, Text};
use crate::wire::place::Place;

/// Tools that callers run themselves and that this protocol's own models know by their types: the beginning of each, and
/// what other models have to be told of them.
///
/// Sources: <https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool>, and the pages of `text-editor-tool`
/// and `memory-tool` beside it.
const KNOWN_BY_TYPE: [(&str, &str, &str); 3] = [
    (
        "bash_",
        "Runs a command in a shell that is kept open between calls; `restart` begins a new one.",
        r#"{"type":"object","properties":{"command":{"type":"string"},"restart":{"type":"boolean"}}}"#,
    ),
    (
        "text_editor_",
        "Views and edits text files. `view` shows a file, or what a directory holds; `create` writes `file_text`; \
         `str_replace` replaces `old_str`, which must stand there once; `insert` puts `insert_text` behind a line.",
        r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"}},"required":["command","path"]}"#,
    ),
    (
        "memory_",
        "Keeps what is worth remembering in files below `/memories`, for later conversations. View that directory before \
         anything else. Commands are those of an editor, and `delete` and `rename`.",
        r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"old_path":{"type":"string"},"new_path":{"type":"string"}},"required":["command"]}"#,
    ),
];

/// Reads `tools`. Functions of the caller's become the hub's, a web search its own; other tools that the provider
/// runs are to be had nowhere else.
pub(super) fn read_list<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        let value = place.object(cursor)?.ok_or_else(|| place.missing())?;
        read_tool(&place, value, request)
    })
}

pub(super) fn read_tool<'a>(place: &Place<'_>, value: Raw<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    let (mut kind, mut name, mut description, mut parameters, mut strict, mut cache) =
        (None, None, None, None, None, None);
    value.cursor().members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "name" => name = place.text(cursor)?,
            "description" => description = place.text(cursor)?,
            "input_schema" => parameters = place.object(cursor)?,
            "strict" => strict = place.boolean(cursor)?,
            "cache_control" => cache = place.cache_mark(cursor)?,
            // How and when a tool is offered is the provider's business.
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let known = |kind: &Text<'_>| KNOWN_BY_TYPE.iter().find(|(stem, ..)| kind.escaped().starts_with(stem));
    if let Some((_, purpose, input)) = kind.as_ref().and_then(known) {
        kind = None;
        description = Some(Text::from_escaped(*purpose));
        parameters = Raw::parse(input).ok();
    }
    match kind.as_ref().map(Text::escaped) {
        None | Some("custom") => {
            let name = name.filter(|name| !name.is_empty()).ok_or_else(|| place.member("name").missing())?;
            request.tools.push(Tool::Function { name, description, parameters, strict, cache });
        }
        Some(kind) if kind.starts_with("web_search_") => {
            request.web_search = Some(search(&value));
            for limit in ["max_uses", "allowed_domains", "blocked_domains"] {
                if value.member(limit).is_some_and(|limit| !limit.is_null()) {
                    super::content::unsayable(request, limit);
                }
            }
        }
        // All tools are offered at once elsewhere, so that there is none to be searched for.
        Some(kind) if kind.starts_with("tool_search_tool_") => super::content::unsayable(request, "tool_search_tool"),
        Some(kind) => {
            let kind: String = kind.chars().take(64).collect();
            let message =
                format!("`{kind}` is a tool that only its own provider runs; this model's provider has none.");
            request.untranslatable.get_or_insert(Failure::unsupported(place.to_string(), message));
        }
    }
    Ok(())
}

/// The search tool's options in the words of OpenAI's `web_search_options`.
fn search(tool: &Raw<'_>) -> Raw<'static> {
    let mut out = Vec::new();
    let mut options = Object::open(&mut out);
    if let Some(place) = tool.member("user_location").filter(Raw::is_object) {
        options.object("user_location", |location| {
            location.string("type", "approximate").object("approximate", |approximate| {
                for key in ["city", "region", "country", "timezone"] {
                    if let Some(value) = place.member(key).and_then(Raw::into_text) {
                        approximate.text(key, &value);
                    }
                }
            });
        });
    }
    options.close();
    Raw::written(out)
}

/// Reads `tool_choice`: `{"type": "auto" | "any" | "tool" | "none", "name", "disable_parallel_tool_use"}`.
pub(super) fn read_choice<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    if !place.opens(cursor)? {
        return Ok(());
    }
    let (mut kind, mut name, mut one_at_a_time) = (None, None, None);
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "name" => name = place.text(cursor)?,
            "disable_parallel_tool_use" => one_at_a_time = place.boolean(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let kind_place = place.member("type");
    let kind = kind.ok_or_else(|| kind_place.missing())?;
    request.tool_choice = Some(match &*kind.decode() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(name.ok_or_else(|| place.member("name").missing())?),
        other => return Err(kind_place.wrong_word(other, "'auto', 'any', 'tool' and 'none'")),
    });
    request.parallel_tool_calls = one_at_a_time.map(|one| !one);
    Ok(())
}

/// A choice of a tool that is no function here cannot be forced; the search is made all the same.
pub(super) fn settle(request: &mut Request<'_>) {
    let Some(ToolChoice::Named(wanted)) = &request.tool_choice else { return };
    let is_function = request.tools.iter().any(|tool| matches!(tool, Tool::Function { name, .. } if name == wanted));
    if !is_function && request.web_search.is_some() {
        request.tool_choice = None;
    }
}
