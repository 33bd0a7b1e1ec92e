//! Tools, the choice among them, calls of them, and the shape of the output.

use crate::chat::{Arguments, CacheMark, OutputShape, Part, Signature, SignatureRole, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};

use crate::wire::openai_responses::free_tool;
use crate::wire::place::Place;

/// A function's members, in `tools[].function` and in `functions[]`; a schema's in `response_format.json_schema`.
#[derive(Default)]
struct Described<'a> {
    name: Option<Text<'a>>,
    description: Option<Text<'a>>,
    schema: Option<Raw<'a>>,
    strict: Option<bool>,
    cache: Option<CacheMark>,
}

/// Reads `tools`, or the `functions` of the format before.
pub(in crate::wire) fn read_list<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    tools: &mut Vec<Tool<'a>>,
) -> Result<(), Failure> {
    tools.clear();
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        let value = place.object(cursor)?.ok_or_else(|| place.wrong_type("an object", Some(Kind::Null)))?;
        tools.push(tool(&place, value)?);
        Ok::<(), Failure>(())
    })
}

fn tool<'a>(place: &Place<'_>, value: Raw<'a>) -> Result<Tool<'a>, Failure> {
    let mut function = None;
    let mut kind = None;
    let mut bare = Described::default();
    let (mut own, mut is_described, mut grammar) = (0, false, None);
    value.cursor().members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "function" => function = described(&place, cursor)?,
            "name" | "description" | "parameters" | "schema" | "input_schema" | "strict" | "cache_control" => {
                is_described = true;
                describe(&place, &key, cursor, &mut bare)?;
            }
            "format" => grammar = cursor.value()?.member("definition").and_then(Raw::into_text),
            _ => {
                own += usize::from(cursor.kind() == Some(Kind::Object));
                cursor.value()?;
            }
        }
        Ok::<(), Failure>(())
    })?;
    // Tools that take free text in the words of Responses, and functions in those of Messages (see `borrowed`).
    if kind.as_ref().is_some_and(|kind| kind.is("custom")) && bare.name.is_some() {
        let Described { name, description, schema, strict, cache } = bare;
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| place.member("name").missing())?;
        return Ok(match schema {
            None => free_tool(name, description, grammar),
            parameters => Tool::Function { name, description, parameters, strict, cache },
        });
    }
    let is_function = match &kind {
        Some(kind) => kind.is("function"),
        // Gemini's and Bedrock's own tools have but a member with their name: `{"googleSearch": {}}`.
        None => function.is_some() || is_described || own != 1,
    };
    if !is_function {
        return Ok(Tool::Native(value));
    }
    let cache = bare.cache;
    let wrapped = function.is_some();
    let Described { name, description, schema, strict, cache: own_cache } = function.unwrap_or(bare);
    let function_place = place.member("function");
    let name_place = if wrapped || kind.is_some() { function_place.member("name") } else { place.member("name") };
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| name_place.missing())?;
    Ok(Tool::Function { name, description, parameters: schema, strict, cache: cache.or(own_cache) })
}

fn described<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Option<Described<'a>>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let mut members = Described::default();
    cursor.members(|key, cursor| describe(&place.member(&key), &key, cursor, &mut members))?;
    Ok(Some(members))
}

fn describe<'a>(
    place: &Place<'_>,
    key: &str,
    cursor: &mut Cursor<'a>,
    members: &mut Described<'a>,
) -> Result<(), Failure> {
    match key {
        "name" => members.name = place.text(cursor)?,
        "description" => members.description = place.text(cursor)?,
        "parameters" | "schema" | "input_schema" => members.schema = place.object(cursor)?,
        "strict" => members.strict = place.boolean(cursor)?,
        "cache_control" => members.cache = place.cache_mark(cursor)?,
        _ => drop(cursor.value()?),
    }
    Ok(())
}

/// Reads `tool_choice`, or the `function_call` of the format before; `None` for `null`.
pub(super) fn read_choice<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Option<ToolChoice<'a>>, Failure> {
    match cursor.kind() {
        Some(Kind::String | Kind::Null) => {
            let Some(word) = place.text(cursor)? else { return Ok(None) };
            match &*word.decode() {
                "auto" => Ok(Some(ToolChoice::Auto)),
                "none" => Ok(Some(ToolChoice::None)),
                // `any` is what Anthropic and Mistral call it.
                "required" | "any" => Ok(Some(ToolChoice::Required)),
                other => Err(place.wrong_word(other, "'none', 'auto' and 'required'")),
            }
        }
        Some(Kind::Object) => choice_object(place, cursor).map(Some),
        kind => Err(place.wrong_type("a string or an object", kind)),
    }
}

/// `{"type": "function", "function": {"name"}}`, `{"type": "custom", "custom": {"name"}}`, `{"name"}`, or
/// `{"type": "allowed_tools", "allowed_tools": {"mode", "tools"}}`.
fn choice_object<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<ToolChoice<'a>, Failure> {
    let mut name = None;
    let mut allowed = None;
    let mut kind = None;
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "name" => name = place.text(cursor)?.or(name.take()),
            "function" | "custom" => {
                name = described(&place, cursor)?.and_then(|members| members.name).or(name.take());
            }
            "allowed_tools" => allowed = Some(allowed_tools(&place, cursor)?),
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    if let Some(allowed) = allowed {
        return Ok(allowed);
    }
    match (name, kind.as_ref().map(Text::decode).as_deref()) {
        (Some(name), _) => Ok(ToolChoice::Named(name)),
        (None, Some("auto")) => Ok(ToolChoice::Auto),
        (None, Some("none")) => Ok(ToolChoice::None),
        (None, Some("required" | "any")) => Ok(ToolChoice::Required),
        (None, _) => Err(place.member("function").member("name").missing()),
    }
}

fn allowed_tools<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<ToolChoice<'a>, Failure> {
    let mut required = false;
    let mut names = Vec::new();
    if place.opens(cursor)? {
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "mode" => required = place.text(cursor)?.is_some_and(|mode| mode.is("required")),
                "tools" => {
                    let mut tools = Vec::new();
                    read_list(&place, cursor, &mut tools)?;
                    names.extend(tools.into_iter().filter_map(|tool| match tool {
                        Tool::Function { name, .. } => Some(name),
                        Tool::Native(_) => None,
                    }));
                }
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
    }
    Ok(ToolChoice::Allowed { required, names })
}

/// Reads an assistant's `tool_calls`.
pub(in crate::wire) fn read_calls<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    calls: &mut Vec<Part<'a>>,
) -> Result<(), Failure> {
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.wrong_type("an object", Some(Kind::Null)));
        }
        let mut id = None;
        let mut call = None;
        let mut signature = None;
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "id" => id = place.text(cursor)?,
                "function" | "custom" => call = read_legacy_call(&place, cursor)?,
                "extra_content" => signature = thought_signature(&cursor.value()?),
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        let (name, arguments) = call.ok_or_else(|| place.member("function").missing())?;
        let id = id.ok_or_else(|| place.member("id").missing())?;
        calls.push(Part::ToolCall { id, name, arguments, signature });
        Ok::<(), Failure>(())
    })
}

/// Reads `{"name", "arguments"}`, or `{"name", "input"}` of a tool with free-form input; `None` for `null`.
pub(super) fn read_legacy_call<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
) -> Result<Option<(Text<'a>, Arguments<'a>)>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let mut name = None;
    let mut arguments = Arguments::Quoted(Text::EMPTY);
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "name" => name = place.text(cursor)?,
            "arguments" | "input" => {
                arguments = match cursor.kind() {
                    Some(Kind::Object) => Arguments::Object(cursor.value()?),
                    _ => Arguments::Quoted(place.text(cursor)?.unwrap_or_default()),
                };
            }
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let name = name.ok_or_else(|| place.member("name").missing())?;
    Ok(Some((name, arguments)))
}

/// `extra_content.google.thought_signature`, as Gemini's own compatible endpoint has it.
fn thought_signature<'a>(extra: &Raw<'a>) -> Option<Signature<'a>> {
    let google = extra.member("google")?;
    let data = google.member("thought_signature")?.into_text()?;
    Some(Signature { format: Text::from_escaped("google-gemini-v1"), data, id: None, role: SignatureRole::Signs })
}

/// Reads `response_format`; `None` where its type is none of OpenAI's.
pub(super) fn read_shape<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Option<OutputShape<'a>>, Failure> {
    let mut kind = None;
    let mut schema = None;
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "type" => kind = place.text(cursor)?,
            "json_schema" => schema = described(&place, cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let kind = kind.ok_or_else(|| place.member("type").missing())?;
    Ok(Some(match &*kind.decode() {
        "text" => OutputShape::Text,
        "json_object" => OutputShape::JsonObject,
        "json_schema" => {
            let place = place.member("json_schema");
            let Described { name, description, schema, strict, .. } = schema.ok_or_else(|| place.missing())?;
            // perplexity.web-search.be4c86e060 has none, and no model reads it.
            let name = name.unwrap_or(Text::from_escaped("response"));
            OutputShape::JsonSchema { name, description, schema, strict }
        }
        _ => return Ok(None),
    }))
}
