//! What each kind of failure is called in each protocol, where SDKs and frameworks decide by it what to do.

use latchkey::failure::{Failure, Kind};
use latchkey::wire::Surface;
use serde_json::Value;

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
