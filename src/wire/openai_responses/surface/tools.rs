//! Tools and which of them must be called.

use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Object, Raw, Text};
use crate::wire::place::Place;

use super::own_tools::{SEARCH, is_clients, joined};

/// What a tool takes that takes free text, where only functions are known.
const FREE_TEXT: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// Reads `tools`. Functions and tools with free-form input become the hub's functions, a search its own; other tools that
/// the provider runs are to be had nowhere else.
pub(super) fn read_list<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    request.tools.clear();
    if !place.array(cursor)? {
        return Ok(());
    }
    read_items(place, cursor, request)
}

/// Reads the tools of an array, behind those that are there.
pub(super) fn read_items<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    cursor.items(|index, cursor| {
        let place = place.item(index);
        let value = place.object(cursor)?.ok_or_else(|| place.missing())?;
        read_tool(&place, value, None, request)
    })
}

/// Reads a tool, or all of a `namespace`, which other protocols have as tools with longer names.
fn read_tool<'a>(
    place: &Place<'_>,
    value: Raw<'a>,
    namespace: Option<&Text<'a>>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    let (mut kind, mut name, mut description, mut parameters, mut strict) = (None, None, None, None, None);
    let (mut grammar, mut within, mut execution) = (None, None, None);
    value.cursor().members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "name" => name = place.text(cursor)?,
            "description" => description = place.text(cursor)?,
            "parameters" => parameters = place.object(cursor)?,
            "tools" => within = Some(cursor.value()?).filter(Raw::is_array),
            "strict" => strict = place.boolean(cursor)?,
            "execution" => execution = place.text(cursor)?,
            "format" => grammar = cursor.value()?.member("definition").and_then(Raw::into_text),
            // Where a search may look, and the like.
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let kind_place = place.member("type");
    let kind = kind.ok_or_else(|| kind_place.missing())?;
    let named =
        |name: Option<Text<'a>>| name.filter(|name| !name.is_empty()).ok_or_else(|| place.member("name").missing());
    match kind.escaped() {
        "function" => {
            let name = joined(namespace, named(name)?);
            request.tools.push(Tool::Function { name, description, parameters, strict, cache: None });
        }
        "custom" => request.tools.push(free_tool(joined(namespace, named(name)?), description, grammar)),
        "namespace" if namespace.is_none() => {
            let name = named(name)?;
            let place = place.member("tools");
            within.ok_or_else(|| place.missing())?.cursor().items(|index, cursor| {
                let place = place.item(index);
                let value = place.object(cursor)?.ok_or_else(|| place.missing())?;
                read_tool(&place, value, Some(&name), request)
            })?;
        }
        kind if kind.starts_with("web_search") => request.web_search = Some(search(&value)),
        SEARCH if is_clients(execution.as_ref()) => {
            let name = Text::from_escaped(SEARCH);
            request.tools.push(Tool::Function { name, description, parameters, strict: None, cache: None });
        }
        // All tools that the provider knows are offered at once elsewhere, so that there is none to be searched for.
        SEARCH => request.unsayable.push(SEARCH.into()),
        kind => {
            let kind: String = kind.chars().take(64).collect();
            let message =
                format!("`{kind}` is a tool that only its own provider runs; this model's provider has none.");
            request.untranslatable.get_or_insert(Failure::unsupported(place.to_string(), message));
        }
    }
    Ok(())
}

/// A tool that takes free text, as a function that takes nothing else.
pub(in crate::wire) fn free_tool<'a>(
    name: Text<'a>,
    description: Option<Text<'a>>,
    grammar: Option<Text<'a>>,
) -> Tool<'a> {
    let description = in_words(description, grammar);
    Tool::Function { name, description, parameters: Raw::parse(FREE_TEXT).ok(), strict: None, cache: None }
}

/// Whether it is a [`free_tool`].
pub(in crate::wire) fn is_free_tool(tool: &Tool<'_>) -> bool {
    matches!(tool, Tool::Function { parameters: Some(parameters), .. } if parameters.get() == FREE_TEXT)
}

/// A grammar that cannot be enforced is told.
fn in_words<'a>(description: Option<Text<'a>>, grammar: Option<Text<'a>>) -> Option<Text<'a>> {
    let Some(grammar) = grammar else { return description };
    let mut told = description.unwrap_or_default();
    told.push(&Text::from_escaped("\\n\\n`input` must follow this grammar:\\n"));
    told.push(&grammar);
    Some(told)
}

/// The search tool's options in the words of Chat Completions' `web_search_options`.
fn search(tool: &Raw<'_>) -> Raw<'static> {
    let mut out = Vec::new();
    let mut options = Object::open(&mut out);
    if let Some(size) = tool.member("search_context_size").and_then(Raw::into_text) {
        options.text("search_context_size", &size);
    }
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

/// Reads `tool_choice`: a word, `{"type": "function" | "custom", "name"}`, or `{"type": "allowed_tools", "mode", "tools"}`.
pub(super) fn read_choice<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<Option<ToolChoice<'a>>, Failure> {
    if let Some(Kind::String | Kind::Null) = cursor.kind() {
        let Some(word) = place.text(cursor)? else { return Ok(None) };
        return match &*word.decode() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            other => Err(place.wrong_word(other, "'none', 'auto' and 'required'")),
        };
    }
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let (mut kind, mut name, mut namespace, mut mode, mut names) = (None, None, None, None, Vec::new());
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "name" => name = place.text(cursor)?,
            "namespace" => namespace = place.text(cursor)?,
            "mode" => mode = place.text(cursor)?,
            "tools" => {
                if place.array(cursor)? {
                    cursor.items(|_, cursor| {
                        let tool = cursor.value()?;
                        let namespace = tool.member("namespace").and_then(Raw::into_text);
                        let name = tool.member("name").and_then(Raw::into_text);
                        names.extend(name.map(|name| joined(namespace.as_ref(), name)));
                        Ok::<(), Failure>(())
                    })?;
                }
            }
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let kind_place = place.member("type");
    let kind = kind.ok_or_else(|| kind_place.missing())?;
    Ok(match &*kind.decode() {
        "function" | "custom" => {
            let name = name.ok_or_else(|| place.member("name").missing())?;
            Some(ToolChoice::Named(joined(namespace.as_ref(), name)))
        }
        "allowed_tools" => Some(ToolChoice::Allowed { required: mode.is_some_and(|mode| mode.is("required")), names }),
        // The search is made all the same.
        kind if kind.starts_with("web_search") => None,
        other => {
            let other: String = other.chars().take(64).collect();
            let message = format!("`{other}` is a tool that only its own provider runs.");
            request.untranslatable.get_or_insert(Failure::unsupported(place.to_string(), message));
            None
        }
    })
}
