//! Writes a failure in the words of Cohere's API: `{"message"}`.
//!
//! Source: <https://docs.cohere.com/reference/errors>.

use crate::failure::{Failure, Kind};
use crate::json::Object;

/// The body of an error answer. The field that it is about, the code and the upstream's status stand beside the message,
/// as on the other surfaces.
#[must_use]
pub fn write_failure(failure: &Failure) -> Vec<u8> {
    let mut body = Vec::with_capacity(96 + failure.message.len());
    let mut object = Object::open(&mut body);
    object.string("message", &failure.message);
    if let Some(param) = &failure.param {
        object.string("param", param);
    }
    if let Some(code) = failure.code.as_ref().filter(|_| failure.kind != Kind::CredentialRejected) {
        object.string("error_type", code);
    }
    if let Some(status) = failure.upstream_status {
        object.number("upstream_status", status);
    }
    object.close();
    body
}
