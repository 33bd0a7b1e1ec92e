//! Bedrock's Converse and ConverseStream, as what callers speak (`surface`) and as what upstreams speak: one protocol for
//! the models of many makers, under AWS's own rules.
//!
//! A conversation obeys the same order as in Anthropic Messages, whose rules were Converse's model; what is decided
//! there (turns, the answer's shape, forced tools, thinking) is decided once and only said in other words here.
//! Whatever Converse has no word for goes into `additionalModelRequestFields`, in the words of the model's maker.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

mod answer;
mod citations;
mod embeddings;
mod ending;
mod error;
mod request;
mod stream;
mod surface;
#[cfg(test)]
mod tests;
mod types;
mod usage;

pub use answer::read_answer;
pub use embeddings::{read_embeddings, write_embeddings};
pub use error::read_error;
pub use request::{links_to_inline, write_request};
pub use stream::Decoder;
pub use surface::{
    Patcher, Writer, exception, patch_answer, patch_request, read_request, see_answer, write_answer, write_failure,
};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::chat::{Signature, SignatureRole};
use crate::json::Text;

/// Who can read a signature: of the models that sign their thoughts through Converse, these are the ones that want
/// them back, and they take those that were signed elsewhere.
const SIGNED: &str = "anthropic-claude-v1";

fn signs(data: Text<'_>) -> Signature<'_> {
    Signature { format: Text::from_escaped(SIGNED), data, id: None, role: SignatureRole::Signs }
}

/// Encrypted thoughts, which Converse wraps in base64 once more than their maker does
/// (`bedrock.thinking.cb868c5899`).
fn replaces(redacted: &Text<'_>) -> Signature<'static> {
    let wrapped = redacted.decode();
    let inside = STANDARD.decode(wrapped.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let data = Text::escape_owned(inside.unwrap_or_else(|| wrapped.into_owned()));
    Signature { format: Text::from_escaped(SIGNED), data, id: None, role: SignatureRole::Replaces }
}
