//! Cohere's own Chat API, version 2, as what callers speak (`surface`) and as what upstreams speak, and its embeddings.
//!
//! Its OpenAI-compatible layer leaves out what its models are for: citations, documents, plans and thinking. Here they
//! are kept.
//!
//! Source: <https://docs.cohere.com/reference/chat>, <https://docs.cohere.com/reference/embed>.

mod answer;
mod embeddings;
mod ending;
mod error;
mod request;
mod stream;
mod surface;
#[cfg(test)]
mod tests;
mod types;

pub use answer::read_answer;
pub use embeddings::{read_embeddings, write_embeddings};
pub use error::read_error;
pub use request::write_request;
pub use stream::Decoder;
pub use surface::{
    Patcher, Writer, patch_answer, patch_request, read_request, see_answer, write_answer, write_failure,
};

use crate::chat::Request;
use crate::wire::Target;

/// Links that have to be fetched first: none, pictures are taken as links and nothing else is taken at all.
#[must_use]
pub fn links_to_inline(_: &Request<'_>, _: &Target<'_>) -> Vec<String> {
    Vec::new()
}
