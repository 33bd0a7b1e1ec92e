//! Errors: `{"id", "message"}`, sometimes with an `error_type`.
//!
//! Source: <https://docs.cohere.com/reference/errors>; recordings `cohere.error.549b0e0ff1`, `cohere.error.a9f0b49862`.

use crate::failure::Failure;
use crate::json::{Text, readable};
use crate::wire::error::{from_status, retry_after, waiting};

#[derive(Default)]
struct Body<'a> {
    message: Option<Text<'a>>,
    error_type: Option<Text<'a>>,
}
readable! { Body<'a> { message, error_type } }

/// Reads an answer with an error status.
#[must_use]
pub fn read_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
    let body: Body<'_> = crate::json::from_slice(body).unwrap_or_default();
    let plain = |text: Text<'_>| text.decode().into_owned();
    let code = body.error_type.map(plain);
    let read = from_status(status, body.message.map(plain).unwrap_or_default(), code);
    waiting(read, retry_after(header))
}
