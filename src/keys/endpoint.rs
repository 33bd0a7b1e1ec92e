//! The endpoints a key can be limited to, by the names callers know them under.

use super::Pattern;

/// What can be named in `allowed_endpoints`: the path under `/v1`, without its variable parts.
///
/// `key` is always allowed: a key may read what it may do.
pub const ENDPOINTS: &[&str] = &[
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "responses/compact",
    "messages",
    "messages/count_tokens",
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
    "chat",
    "converse",
    "converse-stream",
    "rerank",
    "moderations",
    "images/generations",
    "images/edits",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "passthrough",
    "realtime",
    "models",
    "feedback",
    "key",
];

/// Whether `pattern` means at least one endpoint; one that means none is a slip that would lock every call out.
#[must_use]
pub fn known(pattern: &str) -> bool {
    let pattern = Pattern::new(pattern);
    ENDPOINTS.iter().any(|endpoint| pattern.matches(endpoint))
}
