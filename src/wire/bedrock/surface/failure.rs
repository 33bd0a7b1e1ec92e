//! Writes a failure in the words of Bedrock's runtime: its type in a header, its message in the body.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors>.

use crate::failure::{Failure, Kind};
use crate::json::Object;

/// The body of an error answer, and the payload of an exception in a stream: `{"message"}`. The field that it is about,
/// the code and the upstream's status stand beside it, as on the other surfaces.
#[must_use]
pub fn write_failure(failure: &Failure) -> Vec<u8> {
    let mut body = Vec::with_capacity(96 + failure.message.len());
    let mut object = Object::open(&mut body);
    object.string("message", &failure.message);
    if let Some(param) = &failure.param {
        object.string("param", param);
    }
    if let Some(code) = failure.code.as_ref().filter(|_| failure.kind != Kind::CredentialRejected) {
        object.string("code", code);
    }
    if let Some(status) = failure.upstream_status {
        object.number("upstreamStatus", status);
    }
    object.close();
    body
}

/// The exception that SDKs throw, for the header `x-amzn-errortype`. In a stream its first letter is small.
#[must_use]
pub fn exception(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "UnrecognizedClientException",
        Kind::Forbidden => "AccessDeniedException",
        Kind::NotFound => "ResourceNotFoundException",
        Kind::RateLimited => "ThrottlingException",
        Kind::OverBudget => "ServiceQuotaExceededException",
        Kind::Timeout => "ModelTimeoutException",
        Kind::BadAnswer | Kind::Truncated => "ModelErrorException",
        Kind::CredentialRejected | Kind::Unavailable | Kind::Overloaded | Kind::NoTarget => {
            "ServiceUnavailableException"
        }
        Kind::Internal => "InternalServerException",
        Kind::BadRequest
        | Kind::Unsupported
        | Kind::ContextLength
        | Kind::ContentFiltered
        | Kind::AmbiguousModel
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::UnsupportedMediaType
        | Kind::Disconnected => "ValidationException",
    }
}

/// The exceptions that a stream can hold are fewer.
pub(super) fn exception_in_stream(kind: Kind) -> &'static str {
    match exception(kind) {
        "ThrottlingException" | "ServiceQuotaExceededException" => "throttlingException",
        "ModelErrorException" | "ModelTimeoutException" => "modelStreamErrorException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "InternalServerException" => "internalServerException",
        _ => "validationException",
    }
}
