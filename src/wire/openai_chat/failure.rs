//! Writes a failure in OpenAI's words.

use crate::failure::{Failure, Kind};
use crate::json::Object;

/// The body of an error answer: `{"error": {"message", "type", "param", "code"}}`.
#[must_use]
pub fn write_failure(failure: &Failure) -> Vec<u8> {
    let mut body = Vec::with_capacity(160 + failure.message.len());
    let mut object = Object::open(&mut body);
    write_error(failure, &mut object);
    object.close();
    body
}

/// An error event in a stream. The official SDKs throw on `error` in a chunk; no `[DONE]` may follow it.
pub fn write_error_event(failure: &Failure, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&write_failure(failure));
    out.extend_from_slice(b"\n\n");
}

/// Writes the member `error`.
pub(super) fn write_error(failure: &Failure, object: &mut Object<'_>) {
    object.object("error", |error| {
        error.string("message", &failure.message).string("type", type_of(failure.kind));
        match &failure.param {
            Some(param) => error.string("param", param),
            None => error.null("param"),
        };
        error.string("code", code_of(failure));
        if let Some(status) = failure.upstream_status {
            error.number("upstream_status", status);
        }
        if let Some(detail) = &failure.detail {
            error.number(detail.name, &detail.json);
        }
    });
}

/// OpenAI's `type` word.
fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::OverBudget => "insufficient_quota",
        Kind::Internal => "server_error",
        Kind::CredentialRejected
        | Kind::Unavailable
        | Kind::BadAnswer
        | Kind::Truncated
        | Kind::Overloaded
        | Kind::NoTarget
        | Kind::Timeout => "upstream_error",
        _ => "invalid_request_error",
    }
}

/// The failure's own code, or the usual one of its kind.
///
/// The provider's code for a credential it refuses is not handed on: it would blame the caller's key for the gateway's. Nor
/// is the one for a prompt that is too long: agents make room by OpenAI's.
fn code_of(failure: &Failure) -> &str {
    match &failure.code {
        Some(code) if !matches!(failure.kind, Kind::CredentialRejected | Kind::ContextLength) => code,
        _ => usual_code(failure.kind),
    }
}

fn usual_code(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest => "invalid_request",
        Kind::Unsupported => "unsupported_parameter",
        Kind::ContextLength => "context_length_exceeded",
        Kind::ContentFiltered => "content_filter",
        Kind::AmbiguousModel => "ambiguous_model",
        Kind::Unauthorized => "invalid_api_key",
        Kind::Forbidden => "forbidden",
        Kind::NotFound => "not_found",
        Kind::MethodNotAllowed => "method_not_allowed",
        Kind::TooLarge => "request_too_large",
        Kind::UnsupportedMediaType => "unsupported_media_type",
        Kind::RateLimited => "rate_limit_exceeded",
        Kind::OverBudget => "budget_exceeded",
        Kind::CredentialRejected => "upstream_credentials_exhausted",
        Kind::Unavailable | Kind::BadAnswer | Kind::Truncated => "upstream_error",
        Kind::Overloaded => "upstream_overloaded",
        Kind::NoTarget => "no_target",
        Kind::Timeout => "deadline_exceeded",
        Kind::Disconnected => "client_disconnected",
        Kind::Internal => "internal_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_provider_key_is_not_the_callers() {
        let written = write_failure(&Failure::new(Kind::CredentialRejected, "no").code("invalid_api_key"));
        let written = String::from_utf8(written).expect("text");
        assert!(written.contains(r#""code":"upstream_credentials_exhausted""#), "{written}");
    }

    #[test]
    fn an_error_is_one_event_and_ends_nothing() {
        let mut out = Vec::new();
        write_error_event(&Failure::truncated("no [DONE]").about("a\"b"), &mut out);
        let written = String::from_utf8(out).expect("text");
        assert!(written.starts_with("data: {\"error\":{\"message\":\"The provider's stream ended early"), "{written}");
        assert!(written.ends_with("\"param\":\"a\\\"b\",\"code\":\"upstream_error\"}}\n\n"), "{written}");
    }
}
