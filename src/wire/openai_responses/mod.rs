//! OpenAI Responses: items instead of messages, and a stream that tells of each item from its first sign to its last.
//!
//! Spoken by OpenAI, Azure, xAI, DeepSeek, OpenRouter and others beside Chat Completions. What a model thought is an
//! item of its own, encrypted where nothing is kept upstream, and comes back as it was.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses>.

mod answer;
mod ending;
mod request;
pub mod stored;
mod stream;
mod surface;
#[cfg(test)]
mod tests;
mod types;
mod usage;

pub use answer::read_answer;
pub use request::write_request;
pub use stream::Decoder;
pub use surface::{
    Patcher, Writer, compacting, echo, patch_answer, patch_request, read_request, see_answer, wrap_thoughts,
    write_answer,
};
pub(in crate::wire) use surface::{free_arguments, free_text, free_tool, is_free_tool};

/// Where calls go, below the base URL.
pub(in crate::wire) const PATH: &str = "/responses";

/// Errors have the shape that those of Chat Completions have.
pub use super::openai_chat::read_error;

use crate::chat::{Request, Signature, SignatureRole};
use crate::json::Text;
use crate::wire::Target;

/// Links that have to be fetched first: none, pictures and documents are taken as links.
#[must_use]
pub fn links_to_inline(_: &Request<'_>, _: &Target<'_>) -> Vec<String> {
    Vec::new()
}

/// What a model thought, encrypted by its producer.
fn encrypted<'a>(data: Text<'a>, id: Option<Text<'a>>, signed: &'static str) -> Signature<'a> {
    Signature { format: Text::from_escaped(signed), data, id, role: SignatureRole::Replaces }
}
