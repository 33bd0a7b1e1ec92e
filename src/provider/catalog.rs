//! The rows.

use super::{Auth, Endpoints, Provider, Quirks};
use crate::wire::Format;

/// Every built-in provider, sorted by id.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "anthropic",
        name: "Anthropic",
        base_url: "https://api.anthropic.com",
        format: Format::Anthropic,
        auth: Auth::Header("x-api-key"),
        quirks: Quirks::NONE,
        catalog_id: "anthropic",
        recordings: Some("anthropic"),
        endpoints: Endpoints { embeddings: false, completions: false },
    },
    Provider {
        id: "gemini",
        name: "Google AI Studio",
        base_url: "https://generativelanguage.googleapis.com",
        format: Format::Gemini,
        auth: Auth::Header("x-goog-api-key"),
        quirks: Quirks::NONE,
        catalog_id: "gemini",
        recordings: Some("gemini"),
        endpoints: Endpoints { embeddings: true, completions: false },
    },
    Provider {
        id: "openai",
        name: "OpenAI",
        base_url: "https://api.openai.com/v1",
        format: Format::OpenAiChat,
        auth: Auth::Bearer,
        quirks: Quirks::NONE,
        catalog_id: "openai",
        recordings: Some("openai"),
        endpoints: Endpoints { embeddings: true, completions: true },
    },
];

/// The row of `id`.
#[must_use]
pub fn find(id: &str) -> Option<&'static Provider> {
    PROVIDERS.binary_search_by(|provider| provider.id.cmp(id)).ok().and_then(|at| PROVIDERS.get(at))
}
