//! Functions, tools that the provider runs, and which of them must be called.

use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};
use crate::wire::place::Place;
use crate::wire::schema::from_openapi;

use super::camel;

/// Reads `tools`.
pub(super) fn read_list<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    request.tools.clear();
    // Google takes a lone tool for a list of one.
    if cursor.kind() == Some(Kind::Object) {
        return read_tool(&place.item(0), cursor, request);
    }
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| read_tool(&place.item(index), cursor, request))
}

fn read_tool<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    if !place.opens(cursor)? {
        return Ok(());
    }
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*camel(&key) {
            "functionDeclarations" => functions(&place, cursor, request),
            "googleSearch" | "googleSearchRetrieval" => {
                if !cursor.value()?.is_null() {
                    request.web_search = Some(Raw::EMPTY_OBJECT);
                }
                Ok(())
            }
            _ => {
                if !cursor.value()?.is_null() {
                    let message = "This tool is run by its own provider alone; this model's provider has none.";
                    request.untranslatable.get_or_insert(Failure::unsupported(place.to_string(), message));
                }
                Ok(())
            }
        }
    })
}

fn functions<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.missing());
        }
        let (mut name, mut description, mut parameters) = (None, None, None);
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*camel(&key) {
                "name" => name = place.text(cursor)?,
                "description" => description = place.text(cursor)?,
                "parameters" | "parametersJsonSchema" => {
                    if let Some(schema) = place.object(cursor)? {
                        let schema = from_openapi(&schema);
                        parameters = Some(schema.map_err(|message| place.fault(message))?);
                    }
                }
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| place.member("name").missing())?;
        request.tools.push(Tool::Function { name, description, parameters, strict: None, cache: None });
        Ok::<(), Failure>(())
    })
}

/// Reads `toolConfig`: `{"functionCallingConfig": {"mode", "allowedFunctionNames"}}`.
pub(super) fn read_config<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    request: &mut Request<'a>,
) -> Result<(), Failure> {
    if !place.opens(cursor)? {
        return Ok(());
    }
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        if &*camel(&key) != "functionCallingConfig" || !place.opens(cursor)? {
            return if &*camel(&key) == "functionCallingConfig" {
                Ok(())
            } else {
                cursor.value().map(drop).map_err(Failure::from)
            };
        }
        let (mut mode, mut names) = (None, Vec::new());
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*camel(&key) {
                "mode" => mode = place.text(cursor)?,
                "allowedFunctionNames" => names = place.texts(cursor)?,
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        let mode = mode.map(|mode| mode.decode().to_ascii_uppercase()).unwrap_or_default();
        request.tool_choice = choice(&place, &mode, names)?;
        Ok(())
    })
}

fn choice<'a>(place: &Place<'_>, mode: &str, mut names: Vec<Text<'a>>) -> Result<Option<ToolChoice<'a>>, Failure> {
    Ok(Some(match (mode, names.len()) {
        ("" | "MODE_UNSPECIFIED", _) => return Ok(None),
        ("AUTO", _) | ("VALIDATED", 0) => ToolChoice::Auto,
        ("NONE", _) => ToolChoice::None,
        ("ANY", 0) => ToolChoice::Required,
        ("ANY", 1) => names.pop().map_or(ToolChoice::Required, ToolChoice::Named),
        ("ANY", _) => ToolChoice::Allowed { required: true, names },
        ("VALIDATED", _) => ToolChoice::Allowed { required: false, names },
        _ => return Err(place.member("mode").wrong_word(mode, "'AUTO', 'ANY', 'NONE' and 'VALIDATED'")),
    }))
}
