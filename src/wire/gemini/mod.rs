//! Gemini `generateContent` and `streamGenerateContent`, as what callers speak (`surface`) and as what upstreams speak.
//!
//! Source: <https://ai.google.dev/api/generate-content>. Vertex answers in the same shape.

mod answer;
mod building;
mod citations;
mod embeddings;
mod ending;
mod error;
mod logprobs;
mod names;
mod request;
mod stream;
mod surface;
mod timestamp;
mod types;
mod usage;

#[cfg(test)]
mod conversation;
#[cfg(test)]
mod tests;

pub use answer::read_answer;
pub use embeddings::{read_embeddings, write_embeddings};
pub use error::read_error;
pub(in crate::wire) use names::is_function_name;
pub use request::{links_to_inline, write_request};
pub use stream::Decoder;
pub use surface::{
    Patcher, Writer, patch_answer, patch_request, read_embeddings_request, read_request, see_answer, write_answer,
    write_embeddings_answer, write_failure,
};

use crate::provider::Hosting;

/// Stands for the signature of a call that this model never made: it came from another model, or its own was lost on
/// the way. Without any, the newer models refuse the whole conversation.
///
/// Source: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
const UNSIGNED_CALL: &str = "skip_thought_signature_validator";
/// Who can read a `thoughtSignature`.
const SIGNATURE_FORMAT: &str = "google-gemini-v1";

/// The header in which Vertex is asked for another tier than the usual one: its requests have no member for it.
///
/// Source: <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/priority-paygo>.
pub(in crate::wire) const TIER: &str = "x-vertex-ai-llm-shared-request-type";

/// Where a model's tokens are counted.
#[must_use]
pub fn count_path(model: &str, hosting: Hosting) -> String {
    path(model, "countTokens", hosting)
}

/// The path of a method of a model: `models/…` unless the id says what it belongs to. Everything but the plainest
/// characters is escaped, so that no id leads elsewhere.
pub(in crate::wire) fn path(model: &str, method: &str, hosting: Hosting) -> String {
    let (collection, id) = match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), id)) => (collection, id),
        _ => ("models", model),
    };
    let mut path = match hosting {
        Hosting::PublisherModel => format!("/publishers/google/{collection}/"),
        Hosting::Own | Hosting::InvokeModel => format!("/v1beta/{collection}/"),
    };
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path.push(':');
    path.push_str(method);
    path
}
