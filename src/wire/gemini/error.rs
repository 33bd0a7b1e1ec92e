//! Reads errors: Google's envelope, whose details say more than its status.

use crate::failure::{Failure, Retry};
use crate::json::{Raw, Text, readable};
use crate::wire::error::{from_status, from_within, retry_after, status_of, waiting};

use super::types::Few;

#[derive(Debug, Default)]
struct Envelope<'a> {
    error: Option<Raw<'a>>,
}
readable! { Envelope<'a> { error } }

/// <https://google.aip.dev/193>
#[derive(Debug, Default)]
struct Status<'a> {
    /// A number, and on other endpoints of the vendor a word (`gemini.error.212d07fc5d`).
    code: Option<Raw<'a>>,
    message: Option<Text<'a>>,
    status: Option<Text<'a>>,
    details: Few<Detail<'a>>,
}
readable! { Status<'a> { code, message, status, details } }

/// The fields of `ErrorInfo`, `RetryInfo` and `QuotaFailure`.
#[derive(Debug, Default)]
struct Detail<'a> {
    reason: Option<Text<'a>>,
    retry_delay: Option<Text<'a>>,
    violations: Few<Violation<'a>>,
}
readable! { camel Detail<'a> { reason, retry_delay, violations } }

#[derive(Debug, Default)]
struct Violation<'a> {
    quota_id: Option<Text<'a>>,
}
readable! { camel Violation<'a> { quota_id } }

/// Reads an answer with an error status. Its content type says nothing: a refused stream is labelled
/// `text/event-stream` and holds plain JSON (`gemini.error.0db90f5158`), in an array where `alt=sse` was left out.
#[must_use]
pub fn read_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
    let body = body.trim_ascii();
    let inside = body.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(body);
    match crate::json::from_slice::<Envelope<'_>>(inside) {
        Ok(Envelope { error: Some(error) }) => failure(Some(status), header, &error),
        _ => waiting(from_status(status, String::new(), None), retry_after(header)),
    }
}

/// An error that came inside a successful answer.
pub(super) fn in_answer(error: &Raw<'_>) -> Failure {
    failure(None, &|_| None, error)
}

fn failure(status: Option<u16>, header: &dyn Fn(&str) -> Option<String>, error: &Raw<'_>) -> Failure {
    let read = match error.text() {
        Some(message) => Status { message: Some(message), ..Status::default() },
        None => error.read_borrowed().unwrap_or_default(),
    };
    let code =
        read.code.as_ref().map(|code| code.text().map_or_else(|| code.get().into(), |word| word.decode().into_owned()));
    let word = read.status.as_ref().map(|word| word.decode().into_owned());
    let named = status.or_else(|| code.as_ref()?.parse().ok().filter(|status| (400..600).contains(status)));
    let status = named.unwrap_or_else(|| {
        let known = |name: &String| Some(status_of(name)).filter(|status| *status != 502);
        code.as_ref().and_then(known).or_else(|| word.as_ref().and_then(known)).unwrap_or(502)
    });
    let reason =
        read.details.iter().find_map(|detail| detail.reason.as_ref()).map(|reason| reason.decode().into_owned());
    let message = read.message.as_ref().map(|message| message.decode().into_owned()).unwrap_or_default();
    let is_precondition = word.as_deref() == Some("FAILED_PRECONDITION");
    // A project without the right or the service (gemini.error.8ae701ff72): the gateway's side, whoever called.
    let is_credential = status == 403 && (reason.is_some() || message.contains("unregistered callers"));
    let judged = if is_credential { 401 } else { status };
    let mut failure = from_within(named.map(|_| judged), judged, message, reason.or(word).or(code));
    failure.upstream_status = Some(status);
    let delay =
        read.details.iter().find_map(|detail| detail.retry_delay.as_ref()).map(|delay| delay.decode().into_owned());
    let asked = |name: &str| header(name).or_else(|| delay.clone().filter(|_| name == "retry-after"));
    failure = waiting(failure, retry_after(&asked));
    let mut violations = read.details.iter().flat_map(|detail| detail.violations.iter());
    let is_daily =
        violations.any(|violation| violation.quota_id.as_ref().is_some_and(|id| id.decode().contains("PerDay")));
    // What this project cannot have here or today, another target may give (vertex.error.0ad3c2a8cb).
    if is_daily || is_precondition {
        failure.retry = Retry::OtherTarget;
    }
    failure.upstream_status = named;
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;
    use crate::units::Millis;

    fn read(status: u16, body: &str) -> Failure {
        read_error(status, &|_| None, body.as_bytes())
    }

    #[test]
    fn a_rejected_key_is_not_the_callers_fault() {
        let body = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",
            "status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
            "reason":"API_KEY_INVALID"}]}}"#;
        for body in [body.to_owned(), format!("[{body}\n]\n")] {
            let failure = read(400, &body);
            assert_eq!(failure.kind, Kind::CredentialRejected);
            assert_eq!(failure.code.as_deref(), Some("API_KEY_INVALID"));
            assert_eq!(failure.upstream_status, Some(400));
        }
        let disabled = r#"{"error":{"code":403,"message":"not enabled","details":[{"reason":"SERVICE_DISABLED"}]}}"#;
        let failure = read(403, disabled);
        assert_eq!((failure.kind, failure.upstream_status), (Kind::CredentialRejected, Some(403)));
        let file = r#"{"error":{"code":403,"message":"You do not have permission to access the File x"}}"#;
        assert_eq!(read(403, file).kind, Kind::Forbidden);
    }

    #[test]
    fn the_wait_stands_in_the_details() {
        let limited = r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"PerModelPerMinute"}]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"48.5s"}]}}"#;
        let failure = read(429, limited);
        assert_eq!((failure.kind, failure.retry_after), (Kind::RateLimited, Some(Millis(48_500))));
        assert_eq!(failure.retry, Retry::SameTarget { after: Millis(48_500) });
        let daily = read(429, &limited.replace("PerMinute", "PerDay"));
        assert_eq!((daily.kind, daily.retry), (Kind::RateLimited, Retry::OtherTarget));
    }

    #[test]
    fn statuses_words_and_what_is_no_envelope() {
        let cases = [
            (404, r#"{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}"#, Kind::NotFound),
            (400, r#"{"error":{"code":"invalid_request","message":"no"}}"#, Kind::BadRequest),
            (400, r#"{"error":"no"}"#, Kind::BadRequest),
            (503, r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#, Kind::Overloaded),
            (
                400,
                r#"{"error":{"code":400,"message":"The input token count (3) exceeds the maximum"}}"#,
                Kind::ContextLength,
            ),
            (500, "<html>", Kind::Unavailable),
            (502, "", Kind::Unavailable),
            (429, "[]", Kind::RateLimited),
        ];
        for (status, body, kind) in cases {
            assert_eq!(read(status, body).kind, kind, "{body}");
        }
        let elsewhere = r#"{"error":{"message":"User location is not supported","status":"FAILED_PRECONDITION"}}"#;
        assert_eq!(read(400, elsewhere).retry, Retry::OtherTarget);
    }

    #[test]
    fn an_error_inside_an_answer_has_the_status_it_names() {
        for (json, kind, status) in [
            (r#"{"code":503,"message":"overloaded","status":"UNAVAILABLE"}"#, Kind::Overloaded, Some(503)),
            (r#"{"message":"slow","status":"RESOURCE_EXHAUSTED"}"#, Kind::RateLimited, None),
            (r#""what happened""#, Kind::Unavailable, None),
            ("{}", Kind::Unavailable, None),
        ] {
            let failure = in_answer(&Raw::parse(json).expect("json"));
            assert_eq!((failure.kind, failure.upstream_status), (kind, status), "{json}");
        }
        let delayed = r#"{"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"48.5s"}]}"#;
        assert_eq!(in_answer(&Raw::parse(delayed).expect("json")).retry_after, Some(Millis(48_500)));
    }
}
