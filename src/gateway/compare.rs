//! One prompt to several models: `POST /v1/compare` as the calls that it is made of.
//!
//! Each of them is a call like any other, with the same key, budgets and records; this only says what they are.

use crate::config::Limits;
use crate::failure::Failure;
use crate::json::{Cursor, Edits, Raw, SyntaxError, check_depth};

use super::machine::too_large;

/// Models of one comparison.
pub const MOST_MODELS: usize = 10;

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The models, as they were named.
    pub models: Vec<String>,
    /// Whether the answers are wanted as one stream.
    pub stream: bool,
}

impl Comparison {
    /// Reads the body of a comparison: that of a chat completion, with `models` in the place of `model`; `None` is one that
    /// was too long to be read.
    ///
    /// # Errors
    /// `BadRequest` naming the field; `TooLarge`.
    pub fn read(body: Option<&[u8]>, limits: &Limits) -> Result<Comparison, Failure> {
        let body = body.ok_or_else(|| too_large("body_bytes", limits.body_bytes, "bytes"))?;
        let bad = |error: &dyn std::fmt::Display| {
            Failure::bad_request("body", format!("The body must be a JSON object: {error}."))
        };
        check_depth(body, limits.json_depth).map_err(|deep| bad(&deep))?;
        let text = std::str::from_utf8(body).map_err(|error| bad(&error))?;
        let object = Raw::parse(text).map_err(|error| bad(&error))?;
        if !object.is_object() {
            return Err(bad(&"it is something else"));
        }
        let wanted = "`models` must be a list of 1 to 10 model strings.";
        let models: Vec<String> = object
            .member("models")
            .and_then(|models| models.read().ok())
            .filter(|models: &Vec<String>| (1..=MOST_MODELS).contains(&models.len()))
            .ok_or_else(|| Failure::bad_request("models", wanted))?;
        if models.iter().any(String::is_empty) {
            return Err(Failure::bad_request("models", wanted));
        }
        if object.member("model").is_some() {
            return Err(Failure::bad_request("model", "A comparison names its models in `models`; leave `model` out."));
        }
        let stream = object.member("stream").filter(|stream| !stream.is_null());
        let stream = stream.map(|stream| {
            stream.boolean().ok_or_else(|| Failure::bad_request("stream", "`stream` must be true or false."))
        });
        Ok(Comparison { models, stream: stream.transpose()?.unwrap_or(false) })
    }

    /// The body of the call to the model at `index`; its usage is always asked for.
    ///
    /// # Errors
    /// Where the body is not the one that was read.
    pub fn body(&self, body: &[u8], index: usize) -> Result<Vec<u8>, SyntaxError> {
        let members = Cursor::new(body)?.spans()?;
        let model = self.models.get(index).map(String::as_str).unwrap_or_default();
        let model = Raw::of(model);
        let mut inserted: Vec<(&str, &[u8])> = vec![("model", model.get().as_bytes())];
        if self.stream {
            inserted.push(("stream_options", br#"{"include_usage":true}"#));
        }
        let mut edits = Edits::of(body);
        let open = body.iter().position(|byte| *byte == b'{').unwrap_or(0);
        let replaced = |key: &str| key == "models" || (self.stream && key == "stream_options");
        edits.object(open, &members, |member| replaced(&member.key), &inserted);
        Ok(edits.apply().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_calls_that_differ_in_their_model() {
        let body = br#"{"messages": [{"role": "user", "content": "\u00e4"}], "models": ["a/b", "c"], "stream": true,
            "stream_options": {"include_usage": false}, "seed": 7}"#;
        let comparison = Comparison::read(Some(body), &Limits::default()).expect("a comparison");
        assert_eq!((comparison.models.len(), comparison.stream), (2, true));
        let written = comparison.body(body, 1).expect("a body");
        let read: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
        assert_eq!((&read["model"], &read["seed"]), (&"c".into(), &7.into()));
        assert_eq!(read["stream_options"]["include_usage"], true);
        assert!(read.get("models").is_none() && read["stream"] == true);
        assert!(String::from_utf8(written).expect("text").contains(r"\u00e4"), "the rest stays byte for byte");
    }

    #[test]
    fn what_is_no_comparison_is_refused_by_field() {
        let many = format!(r#"{{"models": [{}]}}"#, [r#""a""#; 11].join(","));
        for (body, field) in [
            ("", "body"),
            ("[]", "body"),
            ("{}", "models"),
            (r#"{"models": []}"#, "models"),
            (r#"{"models": ["a", ""]}"#, "models"),
            (r#"{"models": ["a", 1]}"#, "models"),
            (many.as_str(), "models"),
            (r#"{"models": ["a"], "model": "b"}"#, "model"),
            (r#"{"models": ["a"], "stream": 1}"#, "stream"),
        ] {
            let failure = Comparison::read(Some(body.as_bytes()), &Limits::default()).expect_err(body);
            assert_eq!(failure.param.as_deref(), Some(field), "{body}");
        }
        let long = Comparison::read(None, &Limits::default()).expect_err("too long");
        assert_eq!(long.kind, crate::failure::Kind::TooLarge);
    }
}
