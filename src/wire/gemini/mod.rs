//! Gemini `generateContent` and `streamGenerateContent?alt=sse`, as an upstream speaks them.
//!
//! Source: <https://ai.google.dev/api/generate-content>. Vertex answers in the same shape.

mod answer;
mod building;
mod citations;
mod ending;
mod error;
mod logprobs;
mod stream;
mod timestamp;
mod types;
mod usage;

#[cfg(test)]
mod recorded;

pub use answer::read_answer;
pub use error::read_error;
pub use stream::Decoder;

use crate::chat::Request;
use crate::failure::{Failure, Kind};
use crate::wire::{Adjusted, Outgoing, Target};

/// Who can read a `thoughtSignature`.
const SIGNATURE_FORMAT: &str = "google-gemini-v1";

/// Writes a request.
///
/// # Errors
/// Always, for now.
pub fn write_request(_: &Request<'_>, _: &Target<'_>, _: &mut Adjusted) -> Result<Outgoing, Failure> {
    Err(Failure::new(Kind::Internal, "this format is not built yet"))
}

/// Links to fetch first.
#[must_use]
pub fn links_to_inline(_: &Request<'_>, _: &Target<'_>) -> Vec<String> {
    Vec::new()
}
