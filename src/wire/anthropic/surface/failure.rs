//! Writes a failure in the words of Messages.
//!
//! Source: <https://platform.claude.com/docs/en/api/errors>.

use std::borrow::Cow;

use crate::failure::{Failure, Kind};
use crate::json::{Object, Text};
use crate::wire::sse;

use super::read::THREAD;

/// The body of an error answer, and the data of an error event: `{"type": "error", "error": {"type", "message"}}`.
///
/// The field that it is about, the code and the upstream's status stand beside them, as on the other surfaces.
#[must_use]
pub fn write_failure(failure: &Failure) -> Vec<u8> {
    let mut body = Vec::with_capacity(160 + failure.message.len());
    let mut object = Object::open(&mut body);
    object.string("type", "error").object("error", |error| {
        error.string("type", type_of(failure.kind)).string("message", &message_of(failure));
        if let Some(param) = &failure.param {
            error.string("param", param);
        }
        // By which SDKs know to go on without the provider's memory.
        if failure.param.as_deref() == Some(THREAD) {
            error.object("details", |details| {
                details.string("error_code", "thread_unsupported_request");
                details.array("unsupported", |list| {
                    list.text(&Text::from_escaped(THREAD));
                });
            });
        }
        if let Some(code) = failure.code.as_ref().filter(|_| failure.kind != Kind::CredentialRejected) {
            error.string("code", code);
        }
        if let Some(status) = failure.upstream_status {
            error.number("upstream_status", status);
        }
    });
    object.close();
    body
}

/// Claude Code makes room where a prompt is too long in Anthropic's own words.
fn message_of(failure: &Failure) -> Cow<'_, str> {
    let own = ["prompt is too long", "exceed context limit"];
    if failure.kind != Kind::ContextLength || own.iter().any(|words| failure.message.contains(words)) {
        return Cow::Borrowed(&failure.message);
    }
    Cow::Owned(format!("prompt is too long: {}", failure.message))
}

/// An error event in a stream: SDKs throw on it, and no `message_stop` may follow.
pub(super) fn write_event(failure: &Failure, out: &mut Vec<u8>) {
    sse::write_event(b"error", &write_failure(failure), out);
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "authentication_error",
        Kind::OverBudget => "billing_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::TooLarge => "request_too_large",
        Kind::RateLimited => "rate_limit_error",
        Kind::Overloaded => "overloaded_error",
        Kind::Timeout => "timeout_error",
        Kind::CredentialRejected
        | Kind::Unavailable
        | Kind::BadAnswer
        | Kind::Truncated
        | Kind::NoTarget
        | Kind::Internal => "api_error",
        Kind::BadRequest
        | Kind::Unsupported
        | Kind::ContextLength
        | Kind::ContentFiltered
        | Kind::AmbiguousModel
        | Kind::MethodNotAllowed
        | Kind::UnsupportedMediaType
        | Kind::Disconnected => "invalid_request_error",
    }
}
