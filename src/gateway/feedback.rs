//! `POST /v1/feedback`: what a caller thinks of the answer to one of its calls.

use crate::failure::{Failure, Kind};
use crate::json::{Raw, readable};
use crate::units::UnixMillis;

/// A score for a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    /// The call's `x-request-id`.
    pub request_id: String,
    /// Whose call it must be.
    pub key_id: String,
    /// What is scored; `score` where the caller does not say.
    pub name: String,
    /// From 0 (bad) to 1 (good).
    pub score: f64,
    /// When it came.
    pub at: UnixMillis,
}

#[derive(Default)]
struct Written<'a> {
    id: Option<Raw<'a>>,
    name: Option<Raw<'a>>,
    score: Option<Raw<'a>>,
}
readable! { Written<'a> { id, name, score } }

/// The longest id or name.
const LONGEST: usize = 64;

impl Feedback {
    /// Reads `{"id": "req_…", "score": 0.5, "name": "helpful"}`; a score can also be true or false.
    ///
    /// # Errors
    /// `BadRequest` naming the field.
    pub fn read(body: &[u8], key_id: &str, at: UnixMillis) -> Result<Feedback, Failure> {
        let written: Written<'_> = crate::json::from_slice(body)
            .map_err(|error| Failure::new(Kind::BadRequest, format!("The body must be a JSON object: {error}.")))?;
        let word = |raw: &Option<Raw<'_>>| raw.as_ref().and_then(Raw::text).map(|text| text.decode().into_owned());
        let fits = |text: &String| {
            !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let request_id = word(&written.id)
            .filter(fits)
            .ok_or_else(|| Failure::bad_request("id", "`id` must be the `x-request-id` of a call of this key."))?;
        let name = match written.name.as_ref().filter(|raw| !raw.is_null()) {
            None => "score".to_owned(),
            Some(_) => word(&written.name).filter(fits).ok_or_else(|| {
                Failure::bad_request("name", format!("`name` must be a word of at most {LONGEST} characters."))
            })?,
        };
        let score = written.score.as_ref().and_then(|raw| raw.number().or(raw.boolean().map(f64::from)));
        let score = score
            .filter(|score| (0.0..=1.0).contains(score))
            .ok_or_else(|| Failure::bad_request("score", "`score` must be a number from 0 to 1, or true or false."))?;
        Ok(Feedback { request_id, key_id: key_id.to_owned(), name, score, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Feedback, Failure> {
        Feedback::read(body.as_bytes(), "key_1", UnixMillis(5))
    }

    #[test]
    fn a_score_is_read() {
        let feedback = read(r#"{"id": "req_1", "score": true}"#).expect("feedback");
        assert_eq!((feedback.request_id.as_str(), feedback.score), ("req_1", 1.0));
        assert_eq!((feedback.name.as_str(), feedback.key_id.as_str()), ("score", "key_1"));
        assert_eq!(
            read(r#"{"id": "req_1", "score": 0.25, "name": "tone"}"#).map(|it| it.name).ok().as_deref(),
            Some("tone")
        );
    }

    #[test]
    fn what_is_no_score_is_named() {
        for (body, field) in [
            (r#"{"score": 1}"#, "id"),
            (r#"{"id": "", "score": 1}"#, "id"),
            (r#"{"id": "req_1"}"#, "score"),
            (r#"{"id": "req_1", "score": 1.5}"#, "score"),
            (r#"{"id": "req_1", "score": "good"}"#, "score"),
            (r#"{"id": "req_1", "score": 1, "name": "two words"}"#, "name"),
        ] {
            assert_eq!(read(body).expect_err(body).param.as_deref(), Some(field), "{body}");
        }
        assert_eq!(read("[").map_err(|failure| failure.kind).err(), Some(Kind::BadRequest));
    }
}
