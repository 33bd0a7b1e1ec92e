//! Gemini `generateContent` and `streamGenerateContent?alt=sse`, as an upstream speaks them.
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
pub use request::{links_to_inline, write_request};
pub use stream::Decoder;

/// Who can read a `thoughtSignature`.
const SIGNATURE_FORMAT: &str = "google-gemini-v1";

/// The path of a method of a model: `models/…` unless the id says what it belongs to. Everything but the plainest
/// characters is escaped, so that no id leads elsewhere.
fn path(model: &str, method: &str) -> String {
    let (collection, id) = match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), id)) => (collection, id),
        _ => ("models", model),
    };
    let mut path = format!("/v1beta/{collection}/");
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
