//! Writes a failure within a stream.

use crate::failure::Failure;
use crate::json::{Object, Raw};
use crate::wire::openai_chat::write_failure;

/// What is known of the response that failed.
pub(super) struct Head<'h> {
    pub id: &'h str,
    pub model: &'h str,
    pub created_at: i64,
    /// The number of the next event.
    pub sequence: u64,
}

/// An error event, on which SDKs throw, and the end that says that the response failed: it looks finished to nobody.
///
/// Recording: `openai.error-stream.9e40fe3aff`.
pub(super) fn write_events(failure: &Failure, head: &Head<'_>, out: &mut Vec<u8>) {
    let body = write_failure(failure);
    let body = std::str::from_utf8(&body).ok().and_then(|json| Raw::parse(json).ok());
    let error = body.and_then(|body| body.member("error")).unwrap_or(Raw::EMPTY_OBJECT);
    out.extend_from_slice(b"event: error\ndata: ");
    let mut event = Object::open(out);
    event.string("type", "error").number("sequence_number", head.sequence);
    for key in ["code", "message", "param"] {
        event.raw(key, &error.member(key).unwrap_or(Raw::NULL));
    }
    event.raw("error", &error);
    event.close();
    out.extend_from_slice(b"\n\nevent: response.failed\ndata: ");
    let mut event = Object::open(out);
    event.string("type", "response.failed").number("sequence_number", head.sequence.saturating_add(1));
    event.object("response", |response| {
        response.string("id", head.id).string("object", "response").number("created_at", head.created_at);
        response.string("status", "failed").string("model", head.model);
        response.object("error", |told| {
            for key in ["code", "message"] {
                told.raw(key, &error.member(key).unwrap_or(Raw::NULL));
            }
        });
        response.null("incomplete_details").array("output", |_| {}).null("usage");
    });
    event.close();
    out.extend_from_slice(b"\n\n");
}
