//! Tools and which of them must be called.

use crate::chat::{Request, Tool, ToolChoice};
use crate::failure::Failure;
use crate::json::{Cursor, Raw, Text};
use crate::wire::place::Place;

/// Reads `toolConfig`: `{"tools", "toolChoice"}`.
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
        match &*key {
            "tools" => read_list(&place, cursor, request),
            "toolChoice" => {
                request.tool_choice = choice(&place, cursor)?;
                Ok(())
            }
            _ => cursor.value().map(drop).map_err(Failure::from),
        }
    })
}

fn read_list<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, request: &mut Request<'a>) -> Result<(), Failure> {
    request.tools.clear();
    if !place.array(cursor)? {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let place = place.item(index);
        if !place.opens(cursor)? {
            return Err(place.missing());
        }
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "toolSpec" => {
                    request.tools.push(spec(&place, cursor)?);
                    Ok(())
                }
                "cachePoint" => {
                    if let (Some(mark), Some(Tool::Function { cache, .. })) =
                        (place.cache_mark(cursor)?, request.tools.last_mut())
                    {
                        *cache = Some(mark);
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
    })
}

/// `{"name", "description", "inputSchema": {"json"}, "strict"}`.
fn spec<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Tool<'a>, Failure> {
    let (mut name, mut description, mut parameters, mut strict) = (None, None, None, None);
    if place.opens(cursor)? {
        cursor.members(|key, cursor| {
            let place = place.member(&key);
            match &*key {
                "name" => name = place.text(cursor)?,
                "description" => description = place.text(cursor)?,
                "strict" => strict = place.boolean(cursor)?,
                "inputSchema" => {
                    if place.opens(cursor)? {
                        cursor.members(|key, cursor| {
                            let place = place.member(&key);
                            match &*key {
                                "json" => parameters = place.object(cursor)?,
                                _ => drop(cursor.value()?),
                            }
                            Ok::<(), Failure>(())
                        })?;
                    }
                }
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
    }
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| place.member("name").missing())?;
    Ok(Tool::Function { name, description, parameters, strict, cache: None })
}

/// `{"auto": {}}`, `{"any": {}}` or `{"tool": {"name"}}`.
fn choice<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Option<ToolChoice<'a>>, Failure> {
    let mut choice = None;
    if !place.opens(cursor)? {
        return Ok(None);
    }
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        let value = cursor.value()?;
        match &*key {
            "auto" if !value.is_null() => choice = Some(ToolChoice::Auto),
            "any" if !value.is_null() => choice = Some(ToolChoice::Required),
            "tool" if !value.is_null() => {
                let name = value.member("name").and_then(Raw::into_text).map(Text::into_owned);
                choice = Some(ToolChoice::Named(name.ok_or_else(|| place.member("name").missing())?));
            }
            _ => {}
        }
        Ok::<(), Failure>(())
    })?;
    Ok(choice)
}
