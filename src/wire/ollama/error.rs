//! Errors: `{"error": "…"}`, as a body or as a line of a stream. Recording `ollama.error.f4d9a8c703`.

use crate::failure::Failure;
use crate::json::{Text, readable};
use crate::wire::error::{from_status, from_within, retry_after, waiting};

#[derive(Default)]
struct Body<'a> {
    error: Option<Text<'a>>,
}
readable! { Body<'a> { error } }

/// Reads an answer with an error status.
#[must_use]
pub fn read_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
    let body: Body<'_> = crate::json::from_slice(body).unwrap_or_default();
    let message = body.error.map(|error| error.decode().into_owned()).unwrap_or_default();
    waiting(from_status(status, message, None), retry_after(header))
}

/// The failure that a line tells of: the server could not go on.
pub(super) fn of_line(error: &Text<'_>) -> Failure {
    from_within(None, 500, error.decode().into_owned(), None)
}
