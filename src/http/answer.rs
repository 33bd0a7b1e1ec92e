//! The one place where a [`Failure`] becomes a status and a body.

use crate::failure::{Failure, Kind};
use crate::wire::Surface;

use super::Response;

/// The status that a caller sees.
///
/// An upstream's own 4xx about the request stays what it was; an upstream's quarrel with the gateway's credential is
/// the gateway's 502, because the caller's key is fine.
#[must_use]
pub fn status_of(failure: &Failure) -> u16 {
    match failure.kind {
        Kind::BadRequest | Kind::Unsupported | Kind::ContextLength | Kind::ContentFiltered | Kind::AmbiguousModel => {
            failure.upstream_status.filter(|status| matches!(status, 413 | 415 | 422)).unwrap_or(400)
        }
        Kind::Unauthorized => 401,
        Kind::OverBudget => 402,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::MethodNotAllowed => 405,
        Kind::TooLarge => 413,
        Kind::UnsupportedMediaType => 415,
        Kind::RateLimited => 429,
        Kind::Disconnected => 499,
        Kind::Internal => 500,
        Kind::CredentialRejected | Kind::Unavailable | Kind::BadAnswer | Kind::Truncated => 502,
        Kind::Overloaded | Kind::NoTarget => 503,
        Kind::Timeout => 504,
    }
}

/// The whole answer in the words of `surface`, with `retry-after` and `allow` where they belong.
#[must_use]
pub fn failure_response(failure: &Failure, surface: Surface) -> Response {
    let mut response = Response::json(status_of(failure), surface.write_failure(failure));
    if let Some(wait) = failure.retry_after {
        response = response.header("retry-after", wait.0.div_ceil(1000).to_string());
        response = response.header("retry-after-ms", wait.0.to_string());
    }
    if let Some((name, value)) = surface.failure_header(failure) {
        response = response.header(name, value);
    }
    if failure.kind == Kind::MethodNotAllowed
        && let Some(allowed) = &failure.cause
    {
        response = response.header("allow", allowed.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Millis;

    #[test]
    fn an_error_has_openai_shape_and_keeps_retry_after() {
        let mut failure = Failure::new(Kind::RateLimited, "Slow \"down\".").code("tokens");
        failure.retry_after = Some(Millis(1500));
        let response = failure_response(&failure, Surface::OpenAiChat);
        assert_eq!(response.status, 429);
        assert!(response.headers.contains(&("retry-after", "2".to_owned())));
        assert!(response.headers.contains(&("retry-after-ms", "1500".to_owned())), "what OpenAI's clients wait for");
        assert_eq!(
            String::from_utf8(response.body).expect("text"),
            r#"{"error":{"message":"Slow \"down\".","type":"rate_limit_error","param":null,"code":"tokens"}}"#
        );
    }
    #[test]
    fn each_kind_of_failure_has_its_status() {
        for (kind, status) in [
            (Kind::BadRequest, 400),
            (Kind::Unauthorized, 401),
            (Kind::OverBudget, 402),
            (Kind::Forbidden, 403),
            (Kind::NotFound, 404),
            (Kind::MethodNotAllowed, 405),
            (Kind::TooLarge, 413),
            (Kind::UnsupportedMediaType, 415),
            (Kind::RateLimited, 429),
            (Kind::Disconnected, 499),
            (Kind::Internal, 500),
            (Kind::CredentialRejected, 502),
            (Kind::Unavailable, 502),
            (Kind::BadAnswer, 502),
            (Kind::Truncated, 502),
            (Kind::Overloaded, 503),
            (Kind::NoTarget, 503),
            (Kind::Timeout, 504),
        ] {
            assert_eq!(status_of(&Failure::new(kind, "")), status, "{kind:?}");
        }
        let refused = |status| {
            let mut failure = Failure::bad_request("a", "");
            failure.upstream_status = Some(status);
            status_of(&failure)
        };
        assert_eq!([400, 404, 413, 415, 422].map(refused), [400, 400, 413, 415, 422]);
    }

    #[test]
    fn a_wrong_method_is_told_the_right_one() {
        let failure = crate::http::route("GET", "/v1/chat/completions").expect_err("another method");
        let response = failure_response(&failure, Surface::OpenAiChat);
        assert_eq!(response.status, 405);
        assert!(response.headers.contains(&("allow", "POST".to_owned())));
    }
}
