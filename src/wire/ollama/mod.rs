//! Ollama's own API: a JSON document a line, arguments as objects, pictures as bare base64.
//!
//! Its OpenAI-compatible layer cannot say how long the context shall be, and a prompt over the server's default is cut
//! there in silence; here `options.num_ctx`, `keep_alive` and levels of thinking can be said.
//!
//! Source: <https://docs.ollama.com/api/chat>, <https://docs.ollama.com/api/embed>.

mod answer;
mod embeddings;
mod error;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod types;

pub use answer::read_answer;
pub use embeddings::{read_embeddings, write_embeddings};
pub use error::read_error;
pub use request::{links_to_inline, write_request};
pub use stream::Decoder;

use crate::chat::EndKind;
use crate::json::Text;

/// The unified reason for a `done_reason`, which does not tell calls apart from a plain end.
fn end(done_reason: Option<&Text<'_>>, called: bool) -> EndKind {
    match done_reason.map(Text::escaped) {
        Some("length") => EndKind::Length,
        None | Some("stop") if called => EndKind::ToolCalls,
        None | Some("stop") => EndKind::Stop,
        Some(_) => EndKind::Other,
    }
}

/// An id for a call of a server that gives none: the moment of the answer and the call's number in it, so that calls of
/// different turns stay apart.
fn minted(created_at: &str, number: u32) -> Text<'static> {
    let moment: String = created_at.chars().filter(char::is_ascii_digit).take(24).collect();
    Text::from_escaped(format!("call_{moment}_{number}"))
}
