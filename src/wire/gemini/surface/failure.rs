//! Writes a failure in the words of Google's APIs.
//!
//! Source: <https://google.aip.dev/193>.

use crate::failure::{Failure, Kind};
use crate::http::status_of;
use crate::json::Object;

/// The body of an error answer, and the last object of a stream that broke off:
/// `{"error": {"code", "message", "status", "details"}}`.
#[must_use]
pub fn write_failure(failure: &Failure) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 + failure.message.len());
    let mut object = Object::open(&mut body);
    object.object("error", |error| {
        error.number("code", status_of(failure)).string("message", &failure.message);
        error.string("status", status_word(failure.kind));
        error.array("details", |details| {
            details.object(|info| {
                info.string("@type", "type.googleapis.com/google.rpc.ErrorInfo").string("reason", reason(failure));
                info.string("domain", "latchkey").object("metadata", |metadata| {
                    if let Some(param) = &failure.param {
                        metadata.string("field", param);
                    }
                    if let Some(status) = failure.upstream_status {
                        metadata.string("upstreamStatus", &status.to_string());
                    }
                });
            });
            // Clients read the wait here rather than from the header.
            if let Some(wait) = failure.retry_after {
                details.object(|retry| {
                    retry.string("@type", "type.googleapis.com/google.rpc.RetryInfo");
                    retry.string("retryDelay", &format!("{}.{:03}s", wait.0 / 1000, wait.0 % 1000));
                });
            }
        });
    });
    object.close();
    body
}

/// The failure's own code, where that is not about the gateway's credential, or its kind.
fn reason(failure: &Failure) -> &str {
    match &failure.code {
        Some(code) if failure.kind != Kind::CredentialRejected => code,
        _ => status_word(failure.kind),
    }
}

fn status_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "UNAUTHENTICATED",
        Kind::Forbidden => "PERMISSION_DENIED",
        Kind::NotFound => "NOT_FOUND",
        Kind::MethodNotAllowed => "UNIMPLEMENTED",
        Kind::RateLimited | Kind::OverBudget => "RESOURCE_EXHAUSTED",
        Kind::Disconnected => "CANCELLED",
        Kind::Internal => "INTERNAL",
        Kind::Timeout => "DEADLINE_EXCEEDED",
        Kind::CredentialRejected
        | Kind::Unavailable
        | Kind::BadAnswer
        | Kind::Truncated
        | Kind::Overloaded
        | Kind::NoTarget => "UNAVAILABLE",
        Kind::BadRequest
        | Kind::Unsupported
        | Kind::ContextLength
        | Kind::ContentFiltered
        | Kind::AmbiguousModel
        | Kind::TooLarge
        | Kind::UnsupportedMediaType => "INVALID_ARGUMENT",
    }
}
