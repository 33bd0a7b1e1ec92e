//! What a function returned, as the object that the protocol wants.

use crate::chat::Part;
use crate::json::{Object, Raw, Text, check_depth};

/// Deeper results are sent as text.
const MAX_DEPTH: usize = 32;

/// Writes `response`: a JSON object as it is, anything else as the text under `result`, a failure under `error`.
///
/// An object with a `$ref` in it goes as text, too: the protocol takes that key, wherever it stands, for a pointer to
/// media of its own and refuses what it cannot find ("does not match to a display_name"). Nothing of it is lost so.
pub(super) fn write(parts: &[Part<'_>], is_error: bool, response: &mut Object<'_>) {
    let text = joined(parts);
    let plain = text.decode();
    let object = Raw::parse(plain.trim()).ok().filter(|raw| raw.is_object() && is_harmless(raw.get()));
    match (object, is_error) {
        (Some(object), false) => {
            response.raw("response", &object);
        }
        (object, is_error) => {
            response.object("response", |wrapper| {
                let key = if is_error { "error" } else { "result" };
                match object {
                    Some(object) => wrapper.raw(key, &object),
                    None => wrapper.text(key, &text),
                };
            });
        }
    }
}

fn joined<'p>(parts: &'p [Part<'_>]) -> Text<'p> {
    let mut texts = parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(text),
        _ => None,
    });
    let mut joined = texts.next().map_or(Text::EMPTY, Text::borrowed);
    for text in texts {
        joined.push(&Text::from_escaped("\\n"));
        joined.push(text);
    }
    joined
}

fn is_harmless(json: &str) -> bool {
    // An escaped dollar sign could be part of the key, too.
    !json.contains("$ref") && !json.contains("\\u0024") && check_depth(json.as_bytes(), MAX_DEPTH).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(texts: &[&str], is_error: bool) -> String {
        let parts: Vec<Part<'_>> = texts
            .iter()
            .map(|text| Part::Text { text: Text::escape(text), cache: None, citations: Vec::new(), signature: None })
            .collect();
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        write(&parts, is_error, &mut object);
        object.close();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn objects_stay_and_the_rest_is_wrapped() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        for (text, is_error, expected) in [
            (r#" {"a": 1} "#, false, r#"{"response":{"a": 1}}"#.to_owned()),
            ("71 degrees", false, r#"{"response":{"result":"71 degrees"}}"#.to_owned()),
            ("[1]", false, r#"{"response":{"result":"[1]"}}"#.to_owned()),
            ("", false, r#"{"response":{"result":""}}"#.to_owned()),
            (r#"{"a":1}"#, true, r#"{"response":{"error":{"a":1}}}"#.to_owned()),
            ("no", true, r#"{"response":{"error":"no"}}"#.to_owned()),
            (
                r##"{"x":{"$ref":"#/$defs/A"}}"##,
                false,
                r##"{"response":{"result":"{\"x\":{\"$ref\":\"#/$defs/A\"}}"}}"##.to_owned(),
            ),
            (&deep, false, format!(r#"{{"response":{{"result":{}}}}}"#, serde_json::to_string(&deep).unwrap())),
        ] {
            assert_eq!(response(&[text], is_error), expected);
        }
        assert_eq!(response(&["a", "b"], false), r#"{"response":{"result":"a\nb"}}"#);
    }
}
