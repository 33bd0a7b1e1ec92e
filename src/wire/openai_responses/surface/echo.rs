//! What an answer repeats of its request.

use crate::json::{Cursor, Object, Raw, SyntaxError};

use super::items::brings_tools;

/// Members that a response object has of its request, with what stands there where the request says nothing.
const REPEATED: [(&str, &str); 18] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("store", "false"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The members of a request that its answer repeats, as one object; nothing where the body is none.
#[must_use]
pub fn echo(body: &[u8]) -> Option<Raw<'static>> {
    let mut given: Vec<(&str, Raw<'_>)> = Vec::new();
    let mut brought = String::new();
    Cursor::new(body)
        .ok()?
        .members(|key, cursor| {
            let value = cursor.value()?;
            if key == "input" && value.is_array() {
                brought = tools_within(&value)?;
            }
            if let Some((known, _)) = REPEATED.iter().find(|(known, _)| *known == &*key)
                && !value.is_null()
            {
                given.push((known, value));
            }
            Ok::<(), SyntaxError>(())
        })
        .ok()?;
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    for (key, usual) in REPEATED {
        let written = given.iter().rfind(|(known, _)| *known == key).map(|(_, value)| value.compact());
        // Nothing is kept that was not said to be kept, which is the gateway's to add.
        let written = written.filter(|_| key != "store");
        if key == "tools" && !brought.is_empty() {
            let listed = written.as_deref().unwrap_or(usual);
            let listed = listed.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
            let comma = if listed.is_empty() { "" } else { "," };
            object.key(key).extend_from_slice(format!("[{listed}{comma}{brought}]").as_bytes());
            continue;
        }
        object.key(key).extend_from_slice(written.as_deref().unwrap_or(usual).as_bytes());
    }
    object.close();
    Some(Raw::written(out))
}

/// The tools that items of the input bring, without the brackets of a list: their calls are told by them.
fn tools_within(input: &Raw<'_>) -> Result<String, SyntaxError> {
    let mut brought: Vec<String> = Vec::new();
    input.cursor().items(|_, cursor| {
        let item = cursor.value()?;
        let kind = item.member("type").and_then(Raw::into_text);
        let tools = item.member("tools").filter(Raw::is_array);
        if let (Some(true), Some(tools)) = (kind.map(|kind| brings_tools(&kind.decode())), tools) {
            let list = tools.compact();
            let inner = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
            brought.extend(Some(inner.to_owned()).filter(|inner| !inner.is_empty()));
        }
        Ok::<(), SyntaxError>(())
    })?;
    Ok(brought.join(","))
}

/// Writes those members; `short` leaves the long ones empty, as in the first events of a stream.
pub(super) fn write(echo: Option<&Raw<'_>>, short: bool, response: &mut Object<'_>) {
    let echo = echo.map(Raw::borrowed);
    for (key, usual) in REPEATED {
        let long = matches!(key, "instructions" | "tools");
        let said = echo.as_ref().filter(|_| !(short && long)).and_then(|echo| echo.member(key));
        response.key(key).extend_from_slice(said.as_ref().map_or(usual, Raw::get).as_bytes());
    }
}
