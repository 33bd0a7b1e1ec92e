//! Errors: `{"type":"error","error":{"type","message"},"request_id"}`, as a body or as an event of a stream.
//!
//! Source: <https://platform.claude.com/docs/en/api/errors>; recordings `anthropic.error.26547097f5` and its siblings.

use super::types::Error;
use crate::failure::Failure;
use crate::json::{Text, readable};
use crate::wire::error::{from_status, from_within, retry_after, status_of, waiting};

#[derive(Default)]
struct Body<'a> {
    error: Option<Error<'a>>,
    /// Hosts in front of the model answer `{"message": …}` alone.
    message: Option<Text<'a>>,
}
readable! { Body<'a> { error, message } }

/// Reads an answer with an error status.
#[must_use]
pub fn read_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
    let wait = retry_after(header);
    let body = crate::json::from_slice::<Body<'_>>(body).unwrap_or(Body { error: None, message: None });
    let failure = match body.error {
        Some(error) => from_status(status, plain(error.message), error.kind.map(|kind| kind.decode().into_owned())),
        None => from_status(status, plain(body.message), None),
    };
    waiting(failure, wait)
}

/// The failure of an error event, which has no status.
pub(super) fn of_event(error: Option<Error<'_>>) -> Failure {
    let (kind, message) = error.map_or((None, None), |error| (error.kind, error.message));
    let kind = kind.map(|kind| kind.decode().into_owned()).unwrap_or_default();
    from_within(None, status_of(&kind), plain(message), Some(kind))
}

fn plain(text: Option<Text<'_>>) -> String {
    text.map(|text| text.decode().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Kind, Retry};
    use crate::units::Millis;

    fn read(status: u16, body: &str) -> Failure {
        read_error(status, &|name| (name == "retry-after").then(|| "7".to_owned()), body.as_bytes())
    }

    #[test]
    fn the_type_and_the_status_say_what_to_do() {
        let overloaded = read(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        assert_eq!((overloaded.kind, overloaded.code.as_deref()), (Kind::Overloaded, Some("overloaded_error")));
        assert_eq!(overloaded.retry, Retry::SameTarget { after: Millis(7000) });
        let long =
            r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000"}}"#;
        assert_eq!(read(400, long).kind, Kind::ContextLength);
        assert_eq!(read(400, long).retry_after, None);
        assert_eq!(read(404, r#"{"error":{"type":"not_found_error","message":"model: x"}}"#).kind, Kind::NotFound);
        assert_eq!(read(500, "<html>").kind, Kind::Unavailable);
        assert_eq!(read(400, r#"{"message":"no such field"}"#).message, "no such field");
    }

    #[test]
    fn an_event_is_judged_by_its_type() {
        let event: Error<'_> = crate::json::from_str(r#"{"type":"overloaded_error","message":"Overloaded"}"#).unwrap();
        assert_eq!(of_event(Some(event)).kind, Kind::Overloaded);
        assert_eq!(of_event(None).kind, Kind::Unavailable);
    }
}
