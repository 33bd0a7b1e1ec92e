//! OpenAI Chat Completions, as what callers speak and as what most upstreams speak.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>, with what OpenRouter adds for reasoning, images and
//! cost: <https://openrouter.ai/docs/api-reference/overview>.

mod answer;
mod blocks;
mod details;
mod embeddings;
mod error;
mod failure;
mod finish;
mod ids;
mod media;
mod patch;
mod read;
#[cfg(test)]
mod recorded;
mod reply;
mod sources;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod tools;
mod types;
mod usage;
mod writer;

pub use answer::read_answer;
pub use embeddings::{read_embeddings_request, write_embeddings_answer};
pub use error::read_error;
pub use failure::{write_error_event, write_failure};
pub use patch::{PatchedRequest, Patcher, Plain, RequestPatch, patch_answer, patch_request, read_plain};
pub use read::read_request;
pub use reply::write_answer;
pub use stream::Decoder;
pub use writer::Writer;

use crate::chat::Request;
use crate::failure::{Failure, Kind};
use crate::wire::{Adjusted, Outgoing, Target};

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
