//! What each kind of failure is called in each protocol, where SDKs and frameworks decide by it what to do.

use latchkey::failure::{Failure, Kind};
use latchkey::units::Millis;
use latchkey::wire::Surface;
use serde_json::{Value, json};

/// Anthropic's `error.type`, the exception of Bedrock, and Gemini's `error.status`.
///
/// Sources: <https://platform.claude.com/docs/en/api/errors>,
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors>,
/// <https://ai.google.dev/gemini-api/docs/troubleshooting>.
const WORDS: [(Kind, &str, &str, &str); 22] = [
    (Kind::BadRequest, "invalid_request_error", "ValidationException", "INVALID_ARGUMENT"),
    (Kind::Unsupported, "invalid_request_error", "ValidationException", "INVALID_ARGUMENT"),
    (Kind::ContextLength, "invalid_request_error", "ValidationException", "INVALID_ARGUMENT"),
    (Kind::ContentFiltered, "invalid_request_error", "ValidationException", "INVALID_ARGUMENT"),
    (Kind::AmbiguousModel, "invalid_request_error", "ValidationException", "INVALID_ARGUMENT"),
    (Kind::Unauthorized, "authentication_error", "UnrecognizedClientException", "UNAUTHENTICATED"),
    (Kind::Forbidden, "permission_error", "AccessDeniedException", "PERMISSION_DENIED"),
    (Kind::NotFound, "not_found_error", "ResourceNotFoundException", "NOT_FOUND"),
    (Kind::MethodNotAllowed, "invalid_request_error", "ValidationException", "UNIMPLEMENTED"),
    (Kind::TooLarge, "request_too_large", "ValidationException", "INVALID_ARGUMENT"),
    (Kind::UnsupportedMediaType, "invalid_request_error", "ValidationException", "INVALID_ARGUMENT"),
    (Kind::RateLimited, "rate_limit_error", "ThrottlingException", "RESOURCE_EXHAUSTED"),
    (Kind::OverBudget, "billing_error", "ServiceQuotaExceededException", "RESOURCE_EXHAUSTED"),
    (Kind::CredentialRejected, "api_error", "ServiceUnavailableException", "UNAVAILABLE"),
    (Kind::Unavailable, "api_error", "ServiceUnavailableException", "UNAVAILABLE"),
    (Kind::Overloaded, "overloaded_error", "ServiceUnavailableException", "UNAVAILABLE"),
    (Kind::BadAnswer, "api_error", "ModelErrorException", "UNAVAILABLE"),
    (Kind::Truncated, "api_error", "ModelErrorException", "UNAVAILABLE"),
    (Kind::Timeout, "timeout_error", "ModelTimeoutException", "DEADLINE_EXCEEDED"),
    (Kind::NoTarget, "api_error", "ServiceUnavailableException", "UNAVAILABLE"),
    (Kind::Disconnected, "invalid_request_error", "ValidationException", "CANCELLED"),
    (Kind::Internal, "api_error", "InternalServerException", "INTERNAL"),
];

#[test]
fn every_failure_has_the_word_of_its_callers_protocol() {
    for (kind, anthropic, bedrock, gemini) in WORDS {
        let failure = Failure::new(kind, "No.");
        let written = |surface: Surface| -> Value {
            serde_json::from_slice(&surface.write_failure(&failure)).expect("an error is JSON")
        };
        let body = written(Surface::Anthropic);
        assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &anthropic.into()), "{kind:?}");
        let header = Surface::Bedrock.failure_header(&failure);
        assert_eq!(header, Some(("x-amzn-errortype", bedrock)), "{kind:?}");
        assert_eq!(written(Surface::Bedrock)["message"], "No.", "{kind:?}");
        let body = written(Surface::Gemini);
        assert_eq!((&body["error"]["status"], &body["error"]["message"]), (&gemini.into(), &"No.".into()), "{kind:?}");
    }
}

/// What a client needs to know what to do next: the field, the code, the upstream's status and how long to wait.
#[test]
fn a_failure_tells_what_to_do_about_it() {
    let mut failure = Failure::bad_request("messages.0", "No.").code("too_many");
    failure.upstream_status = Some(422);
    let mut limited = Failure::new(Kind::RateLimited, "Slow down.");
    limited.retry_after = Some(Millis(1_050));
    let written = |surface: Surface, failure: &Failure| -> Value {
        serde_json::from_slice(&surface.write_failure(failure)).expect("an error is JSON")
    };
    assert_eq!(
        written(Surface::Bedrock, &failure),
        json!({"message": "No.", "param": "messages.0", "code": "too_many", "upstreamStatus": 422})
    );
    let info = |reason: &str, metadata: Value| {
        json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "latchkey",
            "metadata": metadata})
    };
    assert_eq!(
        written(Surface::Gemini, &failure)["error"],
        json!({"code": 422, "message": "No.", "status": "INVALID_ARGUMENT",
            "details": [info("too_many", json!({"field": "messages.0", "upstreamStatus": "422"}))]})
    );
    let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.050s"});
    assert_eq!(
        written(Surface::Gemini, &limited)["error"],
        json!({"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED",
            "details": [info("RESOURCE_EXHAUSTED", json!({})), retry]})
    );
}
