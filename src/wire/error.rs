//! What an upstream's refusal means: the part that every format shares.
//!
//! Reading the error body is each format's own; what follows from status, code and words is decided here, once. Words
//! are matched only where vendors differ in nothing else; each row names the recording or page that has them.

use crate::failure::{Failure, Kind, Retry};
use crate::units::Millis;

pub use super::redact::redact;
pub use super::retry_after::retry_after;

/// Codes and types that say more than the status.
const BY_CODE: &[(&str, Kind)] = &[
    ("context_length_exceeded", Kind::ContextLength),
    ("exceed_context_size_error", Kind::ContextLength),
    ("TOO_MANY_TOKENS", Kind::ContextLength),
    ("content_filter", Kind::ContentFiltered),
    ("content_policy_violation", Kind::ContentFiltered),
    ("data_inspection_failed", Kind::ContentFiltered),
    ("moderation_blocked", Kind::ContentFiltered),
    // <https://developers.openai.com/api/reference/resources/responses>: `error.code` of an answer that failed. The
    // first is said of prompts that were flagged.
    ("invalid_prompt", Kind::ContentFiltered),
    ("bio_policy", Kind::ContentFiltered),
    ("misalignment_policy_violation", Kind::ContentFiltered),
    ("image_content_policy_violation", Kind::ContentFiltered),
    // Azure's inner error: <https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter>.
    ("ResponsibleAIPolicyViolation", Kind::ContentFiltered),
    ("invalid_api_key", Kind::CredentialRejected),
    ("InvalidApiKey", Kind::CredentialRejected),
    ("API_KEY_INVALID", Kind::CredentialRejected),
    ("authentication_error", Kind::CredentialRejected),
    // The account behind the key, not the call: <https://platform.openai.com/docs/guides/error-codes>.
    ("account_deactivated", Kind::CredentialRejected),
    ("billing_not_active", Kind::CredentialRejected),
    ("billing_hard_limit_reached", Kind::CredentialRejected),
    ("billing_error", Kind::CredentialRejected),
    ("model_not_found", Kind::NotFound),
    ("DeploymentNotFound", Kind::NotFound),
    ("not_found_error", Kind::NotFound),
    ("rate_limit_exceeded", Kind::RateLimited),
    ("rate_limit_error", Kind::RateLimited),
    ("RateLimitReached", Kind::RateLimited),
    ("insufficient_quota", Kind::RateLimited),
    ("overloaded_error", Kind::Overloaded),
];

/// Words of refusals that share their status and code with others. Lower case.
const BY_WORDS: &[(&str, Kind)] = &[
    // openrouter.error.6246e4cb50, and OpenAI itself.
    ("maximum context length", Kind::ContextLength),
    // ollama.error.e280213180
    ("max context length", Kind::ContextLength),
    // Anthropic: "prompt is too long: 208310 tokens > 200000 maximum".
    ("prompt is too long", Kind::ContextLength),
    // Bedrock: "Input is too long for requested model."
    ("input is too long", Kind::ContextLength),
    // cohere.error.a9f0b49862
    ("too many tokens", Kind::ContextLength),
    // Gemini: "The input token count (1100001) exceeds the maximum number of tokens allowed (1048576)."
    ("input token count", Kind::ContextLength),
    // Anthropic, of prompt and answer together: "input length and `max_tokens` exceed context limit: 2 + 3 > 4".
    ("exceed context limit", Kind::ContextLength),
    // OpenAI's Responses: "Your input exceeds the context window of this model."
    ("exceeds the context window", Kind::ContextLength),
    // xAI: "This model's maximum prompt length is 131072 but the request contains 537812 tokens."
    ("maximum prompt length is", Kind::ContextLength),
    // DashScope: "Range of input length should be [1, 129024]"
    ("range of input length", Kind::ContextLength),
    // Moonshot: "Your request exceeded model token limit: 262144"
    ("exceeded model token limit", Kind::ContextLength),
    // MiniMax: "invalid params, context window exceeds limit"
    ("context window exceeds limit", Kind::ContextLength),
    // llama.cpp and LM Studio: "the request exceeds the available context size"
    ("exceeds the available context size", Kind::ContextLength),
    // Z.ai: "Prompt exceeds max length"
    ("prompt exceeds max length", Kind::ContextLength),
    // Groq and Cerebras: "Please reduce the length of the messages or completion."
    ("reduce the length of the messages", Kind::ContextLength),
    // Copilot: "prompt token count of 9 exceeds the limit of 8"
    ("prompt token count", Kind::ContextLength),
    // SGLang: "The input (9 tokens) is longer than the model's context length (8 tokens)."
    ("longer than the model's context length", Kind::ContextLength),
    // gemini.error.0db90f5158: a wrong key is a 400.
    ("api key not valid", Kind::CredentialRejected),
    // xAI answers a wrong key with 400 and these words.
    ("incorrect api key", Kind::CredentialRejected),
    // AWS, whatever its model speaks: <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>.
    ("security token included in the request is expired", Kind::CredentialRejected),
    // anthropic.error.8b13fd9502: no money left is a 400.
    ("credit balance is too low", Kind::CredentialRejected),
    // Anthropic, as 400s, too: "This organization has been disabled.", "You have reached your specified API usage limits."
    ("organization has been disabled", Kind::CredentialRejected),
    ("specified api usage limits", Kind::CredentialRejected),
    // openrouter.error.ab774acb0a: a refused prompt is a 403.
    ("content violates usage guidelines", Kind::ContentFiltered),
    // vertex.error.ba173de77a: a refused prompt for a picture is a 400.
    ("responsible ai practices", Kind::ContentFiltered),
    // Azure: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    ("content management policy", Kind::ContentFiltered),
];

/// What a refusal means, by its status, its code (or type) and, where those leave it open, its words.
///
/// `message` is made safe for the caller here. Where the upstream rejected the gateway's credential the caller reads
/// our own sentence, because "incorrect API key" would send them looking at theirs; the upstream's words are the cause.
#[must_use]
pub fn from_status(status: u16, message: String, code: Option<String>) -> Failure {
    let message = redact(&message);
    let kind = kind_of(status, &message, code.as_deref());
    let mut failure = match kind {
        Kind::CredentialRejected => {
            Failure::new(kind, "The provider rejected the gateway's credential.").because(message)
        }
        _ if message.is_empty() && (300..400).contains(&status) => {
            let message = format!("The provider answered with a redirect ({status}). Is its base URL right?");
            Failure::new(kind, message)
        }
        _ if message.is_empty() => Failure::new(kind, format!("The provider answered with status {status}.")),
        _ => Failure::new(kind, message),
    };
    failure.retry = match (kind, status, code.as_deref()) {
        // Waiting brings no money and no permission; another account may have them.
        (Kind::RateLimited, _, Some("insufficient_quota")) | (Kind::Forbidden, ..) => Retry::OtherCredential,
        // What one target lacks or refuses, another may have or take.
        (Kind::Unavailable, 501, _) => Retry::OtherTarget,
        (Kind::ContextLength | Kind::ContentFiltered | Kind::NotFound, _, _) => Retry::OtherTarget,
        _ => failure.retry,
    };
    failure.code = code.filter(|code| !code.is_empty()).map(Into::into);
    failure.upstream_status = Some(status);
    failure
}

/// What an error inside an answer with a good status means.
///
/// It is judged by the status that it names itself (`named`), else by the one that it would have had as a whole answer
/// (`likely`). The latter is a guess of ours, and is not told as the upstream's.
#[must_use]
pub fn from_within(named: Option<u16>, likely: u16, message: String, code: Option<String>) -> Failure {
    let says_nothing = message.is_empty() && named.is_none();
    let message = if says_nothing { "The provider answered with an error.".to_owned() } else { message };
    let mut failure = from_status(named.unwrap_or(likely), message, code);
    failure.upstream_status = named;
    failure
}

/// Notes how long the upstream asked to wait, where its status says that waiting helps: `retry-after` comes on
/// successful answers too (Together, Anthropic), so the header alone means nothing.
#[must_use]
pub fn waiting(mut failure: Failure, wait: Option<Millis>) -> Failure {
    if !matches!(failure.upstream_status, Some(429 | 503 | 529)) {
        return failure;
    }
    failure.retry_after = wait;
    if let (Retry::SameTarget { .. }, Some(after)) = (failure.retry, wait) {
        failure.retry = Retry::SameTarget { after };
    }
    failure
}

/// The status that an error would have had outside of a stream, from its `type` or `code`; 502 where it is unknown.
#[must_use]
pub fn status_of(word: &str) -> u16 {
    if let Some(status) = word.parse::<u16>().ok().filter(|status| (400..600).contains(status)) {
        return status;
    }
    match word {
        "invalid_request_error" | "invalid_request" | "INVALID_ARGUMENT" | "tool_use_failed" => 400,
        "authentication_error" | "UNAUTHENTICATED" => 401,
        "billing_error" => 402,
        "permission_error" | "PERMISSION_DENIED" => 403,
        "not_found_error" | "NOT_FOUND" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "RESOURCE_EXHAUSTED" => 429,
        "api_error" | "server_error" | "internal_error" | "INTERNAL" => 500,
        "UNAVAILABLE" => 503,
        "timeout_error" | "DEADLINE_EXCEEDED" => 504,
        "overloaded_error" => 529,
        // Codes that say more than a status, and those of pictures that cannot be read: `image_parse_error` and its like.
        _ if BY_CODE.iter().any(|(known, _)| *known == word) => 400,
        _ if word.contains("image") && !word.contains("generation") => 400,
        _ => 502,
    }
}

fn kind_of(status: u16, message: &str, code: Option<&str>) -> Kind {
    let named = code.and_then(|code| BY_CODE.iter().find(|(known, _)| *known == code)).map(|(_, kind)| *kind);
    // A server that fails says so by its status; its code is then about something else.
    if let Some(kind) = named.filter(|_| status < 500 || matches!(code, Some("overloaded_error"))) {
        return kind;
    }
    if matches!(status, 400 | 403 | 413 | 422) {
        let words = message.to_ascii_lowercase();
        if let Some((_, kind)) = BY_WORDS.iter().find(|(known, _)| words.contains(known)) {
            return *kind;
        }
    }
    match status {
        401 | 402 | 407 => Kind::CredentialRejected,
        403 => Kind::Forbidden,
        404 | 410 => Kind::NotFound,
        408 | 409 | 425 | 500..=502 | 504..=528 | 530..=599 => Kind::Unavailable,
        413 => Kind::TooLarge,
        429 => Kind::RateLimited,
        503 | 529 => Kind::Overloaded,
        400..=499 => Kind::BadRequest,
        _ => Kind::BadAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Blame;

    fn of(status: u16, message: &str, code: Option<&str>) -> Failure {
        from_status(status, message.to_owned(), code.map(str::to_owned))
    }

    /// Sources: <https://platform.claude.com/docs/en/api/errors>, <https://cloud.google.com/apis/design/errors>.
    #[test]
    fn an_error_in_a_stream_has_the_status_that_its_word_stands_for() {
        for (word, status) in [
            ("invalid_request_error", 400),
            ("INVALID_ARGUMENT", 400),
            ("authentication_error", 401),
            ("UNAUTHENTICATED", 401),
            ("billing_error", 402),
            ("permission_error", 403),
            ("PERMISSION_DENIED", 403),
            ("not_found_error", 404),
            ("NOT_FOUND", 404),
            ("request_too_large", 413),
            ("rate_limit_error", 429),
            ("RESOURCE_EXHAUSTED", 429),
            ("api_error", 500),
            ("INTERNAL", 500),
            ("UNAVAILABLE", 503),
            ("timeout_error", 504),
            ("DEADLINE_EXCEEDED", 504),
            ("overloaded_error", 529),
            ("context_length_exceeded", 400),
            ("image_parse_error", 400),
            ("image_generation_failed", 502),
            ("404", 404),
            ("599", 599),
            ("399", 502),
            ("600", 502),
            ("what", 502),
        ] {
            assert_eq!(status_of(word), status, "{word}");
        }
    }

    #[test]
    fn statuses_codes_and_words() {
        let cases = [
            (400, "Temperature must be between 0 and 2", None, Kind::BadRequest),
            (422, "missing field", None, Kind::BadRequest),
            (400, "This organization has been disabled.", Some("invalid_request_error"), Kind::CredentialRejected),
            (
                400,
                "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
                Some("invalid_request_error"),
                Kind::CredentialRejected,
            ),
            (401, "Invalid API Key", Some("invalid_request_error"), Kind::CredentialRejected),
            (400, "Incorrect API key provided: xa***yz", None, Kind::CredentialRejected),
            (400, "prompt is too long: 208310 tokens > 200000 maximum", None, Kind::ContextLength),
            (400, "input length and `max_tokens` exceed context limit: 2 + 3 > 4", None, Kind::ContextLength),
            (400, "Your input exceeds the context window of this model.", None, Kind::ContextLength),
            (400, "This model's maximum prompt length is 8 but the request contains 9.", None, Kind::ContextLength),
            (400, "Range of input length should be [1, 129024]", None, Kind::ContextLength),
            (400, "Your request exceeded model token limit: 262144", None, Kind::ContextLength),
            (400, "invalid params, context window exceeds limit", None, Kind::ContextLength),
            (400, "the request exceeds the available context size", None, Kind::ContextLength),
            (400, "Prompt exceeds max length", Some("1261"), Kind::ContextLength),
            (400, "Please reduce the length of the messages or completion.", None, Kind::ContextLength),
            (400, "The prompt token count of 9 exceeds the limit of 8", None, Kind::ContextLength),
            (
                400,
                "The input (9 tokens) is longer than the model's context length (8 tokens).",
                None,
                Kind::ContextLength,
            ),
            (400, "too long", Some("context_length_exceeded"), Kind::ContextLength),
            (403, "Content violates usage guidelines.", None, Kind::ContentFiltered),
            (403, "You are not allowed to sample from this model", None, Kind::Forbidden),
            (404, "no such model", Some("model_not_found"), Kind::NotFound),
            (429, "slow down", Some("RateLimitReached"), Kind::RateLimited),
            (500, "error: cannot make GET request", Some("invalid_api_key"), Kind::Unavailable),
            (503, "", None, Kind::Overloaded),
            (529, "Overloaded", Some("overloaded_error"), Kind::Overloaded),
            (302, "", None, Kind::BadAnswer),
            (400, "over the limit", Some("billing_hard_limit_reached"), Kind::CredentialRejected),
            (400, "filtered", Some("ResponsibleAIPolicyViolation"), Kind::ContentFiltered),
            (402, "Insufficient Balance", None, Kind::CredentialRejected),
            (521, "", None, Kind::Unavailable),
            (524, "", None, Kind::Unavailable),
            (530, "", None, Kind::Unavailable),
        ];
        for (status, message, code, kind) in cases {
            let failure = of(status, message, code);
            assert_eq!(failure.kind, kind, "{status} {message}");
            assert_eq!(failure.upstream_status, Some(status));
            assert!(!failure.message.is_empty());
        }
    }

    #[test]
    fn what_another_target_may_take_goes_to_another_target() {
        assert_eq!(of(429, "out of credit", Some("insufficient_quota")).retry, Retry::OtherCredential);
        assert_eq!(of(402, "no money left", None).retry, Retry::OtherCredential);
        assert_eq!(of(403, "this project may not use it", None).retry, Retry::OtherCredential);
        assert_eq!(of(404, "no such model", None).retry, Retry::OtherTarget);
        assert_eq!(of(400, "bad", None).retry, Retry::Never);
        assert_eq!(of(502, "bad gateway", None).retry, Retry::SameTarget { after: Millis(0) });
    }

    #[test]
    fn blame_falls_on_the_credential_or_on_the_target_or_on_nobody() {
        assert_eq!(of(401, "bad key", None).blame(), Blame::Credential);
        assert_eq!(of(429, "slow down", None).blame(), Blame::Credential);
        assert_eq!(of(503, "", None).blame(), Blame::Target);
        assert_eq!(Failure::truncated("no end").blame(), Blame::Target);
        for status in [400, 403, 404, 413, 422] {
            assert_eq!(of(status, "no", None).blame(), Blame::Nobody, "{status}");
        }
    }

    #[test]
    fn a_redirect_is_told_as_one() {
        assert!(of(301, "", None).message.contains("redirect (301)"));
    }

    #[test]
    fn a_status_that_is_guessed_is_not_told() {
        for (named, likely, kind) in
            [(None, 502, Kind::Unavailable), (None, 529, Kind::Overloaded), (Some(429), 502, Kind::RateLimited)]
        {
            let failure = from_within(named, likely, String::new(), None);
            assert_eq!((failure.kind, failure.upstream_status), (kind, named));
            assert_eq!(failure.message.contains("status"), named.is_some(), "{}", failure.message);
        }
    }

    #[test]
    fn a_wait_counts_only_where_waiting_helps() {
        let limited = waiting(of(429, "slow down", None), Some(Millis(1500)));
        assert_eq!(limited.retry, Retry::SameTarget { after: Millis(1500) });
        assert_eq!(limited.retry_after, Some(Millis(1500)));
        let refused = waiting(of(400, "bad", None), Some(Millis(1500)));
        assert_eq!((refused.retry, refused.retry_after), (Retry::Never, None));
    }

    #[test]
    fn the_gateways_own_credential_is_not_blamed_on_the_caller() {
        let failure = of(401, "Incorrect API key provided: sk-abcdefgh12345678", Some("invalid_api_key"));
        assert!(!failure.message.contains("Incorrect"));
        assert!(!failure.cause.as_ref().expect("the upstream's words").contains("abcdefgh"));
    }
}
