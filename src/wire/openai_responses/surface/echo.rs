//! What an answer repeats of its request.

use crate::json::{Cursor, Object, Raw};

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
    Cursor::new(body)
        .ok()?
        .members(|key, cursor| {
            let value = cursor.value()?;
            if let Some((known, _)) = REPEATED.iter().find(|(known, _)| *known == &*key)
                && !value.is_null()
            {
                given.push((known, value));
            }
            Ok::<(), crate::json::SyntaxError>(())
        })
        .ok()?;
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    for (key, usual) in REPEATED {
        let written = given.iter().rfind(|(known, _)| *known == key).map(|(_, value)| value.compact());
        // Nothing is kept that was not said to be kept, which is the gateway's to add.
        let written = written.filter(|_| key != "store");
        object.key(key).extend_from_slice(written.as_deref().unwrap_or(usual).as_bytes());
    }
    object.close();
    Some(Raw::written(out))
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
