//! Errors: `{"message": …}` with the type in a header, or an exception within a stream.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>; recordings
//! `bedrock.error.29d86c65dd`, `bedrock.error.e4766d0a62`. Exceptions in a stream were not recorded.

use crate::failure::{Failure, Kind};
use crate::json::{Text, readable};
use crate::wire::error::{from_within, retry_after, waiting};

/// Types that say more than their status, and the status each stands for in a stream.
const TYPES: &[(&str, u16, Option<Kind>)] = &[
    ("validationexception", 400, None),
    ("accessdeniedexception", 403, None),
    ("expiredtokenexception", 403, Some(Kind::CredentialRejected)),
    ("invalidsignatureexception", 403, Some(Kind::CredentialRejected)),
    ("incompletesignatureexception", 403, Some(Kind::CredentialRejected)),
    ("missingauthenticationtokenexception", 403, Some(Kind::CredentialRejected)),
    ("unrecognizedclientexception", 403, Some(Kind::CredentialRejected)),
    ("resourcenotfoundexception", 404, None),
    ("modeltimeoutexception", 408, None),
    // The model failed, not the request.
    ("modelerrorexception", 424, Some(Kind::Unavailable)),
    ("modelstreamerrorexception", 424, Some(Kind::Unavailable)),
    ("throttlingexception", 429, None),
    ("servicequotaexceededexception", 429, Some(Kind::RateLimited)),
    ("modelnotreadyexception", 429, Some(Kind::Overloaded)),
    ("internalserverexception", 500, None),
    ("serviceunavailableexception", 503, None),
];

#[derive(Default)]
struct Body<'a> {
    message: Option<Text<'a>>,
    /// As the services in front of the model spell it.
    capital_message: Option<Text<'a>>,
}
readable! { Body<'a> { message, capital_message = "Message" } }

/// Reads an answer with an error status.
#[must_use]
pub fn read_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
    let kind = header("x-amzn-errortype").unwrap_or_default();
    // `ValidationException:http://internal…`
    let kind = kind.split(':').next().unwrap_or_default();
    waiting(failure(Some(status), kind, body), retry_after(header))
}

/// The failure that an exception or error within a stream tells of.
pub(super) fn of_event(kind: &str, payload: &[u8]) -> Failure {
    failure(None, kind, payload)
}

fn failure(status: Option<u16>, kind: &str, body: &[u8]) -> Failure {
    let body: Body<'_> = crate::json::from_slice(body).unwrap_or_default();
    let message =
        body.message.or(body.capital_message).map(|message| message.decode().into_owned()).unwrap_or_default();
    let row = row(kind);
    let mut read = from_within(status, row.map_or(500, |(_, likely, _)| *likely), message, Some(kind.to_owned()));
    let Some(kind) = row.and_then(|(_, _, kind)| *kind).filter(|kind| *kind != read.kind) else { return read };
    let message = std::mem::take(&mut read.message);
    let (message, cause) = match kind {
        Kind::CredentialRejected => ("The provider rejected the gateway's credential.".to_owned(), Some(message)),
        _ => (message, read.cause.take()),
    };
    let mut failure = Failure::new(kind, message);
    (failure.code, failure.upstream_status, failure.cause) = (read.code.take(), read.upstream_status, cause);
    failure
}

fn row(kind: &str) -> Option<&'static (&'static str, u16, Option<Kind>)> {
    let kind = kind.to_ascii_lowercase();
    TYPES.iter().find(|(known, ..)| *known == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Side;

    fn read(status: u16, kind: &str, message: &str) -> Failure {
        let kind = format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        let header = |name: &str| (name == "x-amzn-errortype").then(|| kind.clone());
        read_error(status, &header, format!(r#"{{"message":"{message}"}}"#).as_bytes())
    }

    #[test]
    fn either_spelling_of_the_message_is_read() {
        let failure = read_error(403, &|_| None, br#"{"Message":"User is not authorized"}"#);
        assert!(
            failure.message.contains("User is not authorized")
                || failure.cause.as_ref().is_some_and(|cause| cause.contains("not authorized"))
        );
    }

    #[test]
    fn the_type_says_what_the_status_does_not() {
        let cases = [
            (400, "ValidationException", "The provided model identifier is invalid.", Kind::BadRequest),
            (400, "ValidationException", "Input is too long for requested model.", Kind::ContextLength),
            (403, "ExpiredTokenException", "The security token is expired", Kind::CredentialRejected),
            (403, "AccessDeniedException", "You don't have access to the model.", Kind::Forbidden),
            (404, "ResourceNotFoundException", "end of its life", Kind::NotFound),
            (424, "ModelErrorException", "the model failed", Kind::Unavailable),
            (429, "ThrottlingException", "Too many requests", Kind::RateLimited),
            (400, "ServiceQuotaExceededException", "quota", Kind::RateLimited),
            (503, "ServiceUnavailableException", "", Kind::Overloaded),
        ];
        for (status, kind, message, expected) in cases {
            let failure = read(status, kind, message);
            assert_eq!((failure.kind, failure.upstream_status), (expected, Some(status)), "{kind}");
            assert_eq!(failure.code.as_deref(), Some(kind));
        }
        let expired = read(403, "ExpiredTokenException", "The security token is expired");
        assert_ne!(expired.side, Side::Caller);
        assert!(!expired.message.contains("token"));
    }

    #[test]
    fn an_exception_in_a_stream_is_judged_by_its_type() {
        let of = |kind: &str| of_event(kind, br#"{"message":"m"}"#).kind;
        assert_eq!(of("throttlingException"), Kind::RateLimited);
        assert_eq!(of("modelStreamErrorException"), Kind::Unavailable);
        assert_eq!(of("somethingNewException"), Kind::Unavailable);
        assert_eq!(of_event("validationException", b"garbage").kind, Kind::BadRequest);
    }
}
