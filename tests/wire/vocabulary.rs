//! Each vendor's own words for what went wrong, and what follows from them.

use latchkey::failure::{Blame, Kind, Retry};
use latchkey::units::Millis;
use latchkey::wire::Format;

/// What a vendor says, and what it means: kind, what to try next, and whose health it counts against.
struct Case {
    format: Format,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    kind: Kind,
    retry: Retry,
    blame: Blame,
}

const AT_ONCE: Retry = Retry::SameTarget { after: Millis(0) };

const fn case(format: Format, status: u16, body: &'static str, kind: Kind, retry: Retry, blame: Blame) -> Case {
    Case { format, status, headers: &[], body, kind, retry, blame }
}

const CASES: &[Case] = &[
    // OpenAI: no money is not too many requests, though both are a 429.
    case(
        Format::OpenAiChat,
        429,
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        Kind::RateLimited,
        Retry::OtherCredential,
        Blame::Credential,
    ),
    Case {
        headers: &[("retry-after", "2")],
        ..case(
            Format::OpenAiChat,
            429,
            r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
            Kind::RateLimited,
            Retry::SameTarget { after: Millis(2_000) },
            Blame::Credential,
        )
    },
    case(
        Format::OpenAiChat,
        400,
        r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
        Kind::ContextLength,
        Retry::OtherTarget,
        Blame::Nobody,
    ),
    // Azure's content filter.
    case(
        Format::OpenAiChat,
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter","status":400}}"#,
        Kind::ContentFiltered,
        Retry::OtherTarget,
        Blame::Nobody,
    ),
    // Anthropic.
    case(
        Format::Anthropic,
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        Kind::Overloaded,
        AT_ONCE,
        Blame::Target,
    ),
    case(
        Format::Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
        Kind::CredentialRejected,
        Retry::OtherCredential,
        Blame::Credential,
    ),
    case(
        Format::Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: must be greater than 0"}}"#,
        Kind::BadRequest,
        Retry::Never,
        Blame::Nobody,
    ),
    // Gemini says in the body how long to wait.
    case(
        Format::Gemini,
        429,
        r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3s"}]}}"#,
        Kind::RateLimited,
        Retry::SameTarget { after: Millis(3_000) },
        Blame::Credential,
    ),
    case(
        Format::Gemini,
        400,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
        Kind::CredentialRejected,
        Retry::OtherCredential,
        Blame::Credential,
    ),
    // Cloudflare in front of a server that is down or too slow: a page, not JSON.
    case(Format::OpenAiChat, 520, "<html>error</html>", Kind::Unavailable, AT_ONCE, Blame::Target),
    case(Format::OpenAiChat, 522, "", Kind::Unavailable, AT_ONCE, Blame::Target),
    case(Format::Anthropic, 524, "<html>a timeout occurred</html>", Kind::Unavailable, AT_ONCE, Blame::Target),
    // The credential, not the provider.
    case(Format::OpenAiChat, 401, "{}", Kind::CredentialRejected, Retry::OtherCredential, Blame::Credential),
    case(Format::OpenAiChat, 402, "{}", Kind::CredentialRejected, Retry::OtherCredential, Blame::Credential),
    case(Format::OpenAiChat, 403, "{}", Kind::Forbidden, Retry::OtherCredential, Blame::Nobody),
    // The caller.
    case(Format::OpenAiChat, 413, "{}", Kind::TooLarge, Retry::Never, Blame::Nobody),
    case(Format::OpenAiChat, 422, r#"{"detail":"no such field"}"#, Kind::BadRequest, Retry::Never, Blame::Nobody),
];

#[test]
fn each_vendors_words_lead_to_what_follows() {
    for Case { format, status, headers, body, kind, retry, blame } in CASES {
        let header =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let failure = format.read_error(*status, &header, body.as_bytes());
        assert_eq!((failure.kind, failure.retry, failure.blame()), (*kind, *retry, *blame), "{status} {body}");
        assert_eq!(failure.upstream_status, Some(*status));
    }
}
