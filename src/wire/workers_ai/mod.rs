//! Workers AI's own protocol, as its binding speaks it.
//!
//! A request is much like one of Chat Completions. An answer is that too for newer models, and `{"response": …}` for
//! older ones, in pieces as in whole: those are told in the words of Chat Completions and read by its reader.
//!
//! Source: <https://developers.cloudflare.com/workers-ai/configuration/bindings/>,
//! <https://developers.cloudflare.com/workers-ai/features/function-calling/traditional/>.

mod answer;
mod embeddings;
mod error;
mod stream;
#[cfg(test)]
mod tests;
mod types;

pub use answer::read_answer;
pub use embeddings::{read_embeddings, write_embeddings};
pub use error::read_error;
pub use stream::Decoder;

use super::openai_chat;
use super::{Adjusted, Outgoing, Target};
use crate::chat::Request;
use crate::failure::Failure;
use crate::provider::percent_encoded;

/// Writes a request.
///
/// # Errors
/// `Unsupported`, naming the caller's field, where the model would leave out what the caller relies on.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    let written = openai_chat::write_request(request, target, adjusted)?;
    Ok(Outgoing { path: path(target.model), ..written })
}

/// Links that have to be fetched first.
#[must_use]
pub fn links_to_inline(request: &Request<'_>, target: &Target<'_>) -> Vec<String> {
    openai_chat::links_to_inline(request, target)
}

/// Where a model is called over HTTP. Its id has slashes of its own: `@cf/meta/llama-3.1-8b-instruct`.
fn path(model: &str) -> String {
    let segments = model.split('/').map(|segment| match segment.strip_prefix('@') {
        Some(rest) => format!("@{}", percent_encoded(rest)),
        None => percent_encoded(segment),
    });
    format!("/run/{}", segments.collect::<Vec<_>>().join("/"))
}
