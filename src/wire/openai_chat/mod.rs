//! OpenAI Chat Completions, as what callers speak and as what most upstreams speak.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>, with what OpenRouter adds for reasoning, images and
//! cost: <https://openrouter.ai/docs/api-reference/overview>.

mod answer;
mod blocks;
mod borrowed;
mod details;
mod embeddings;
mod error;
mod failure;
mod finish;
mod ids;
mod media;
mod patch;
pub(in crate::wire) mod read;
#[cfg(test)]
mod recorded;
mod reply;
mod sources;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod tools;
pub(super) mod types;
mod usage;
mod write;
mod writer;

pub(super) use error::reported;
pub(super) use ids::fnv;
pub(super) use read::linked;
use thinking::NO_THOUGHT;
pub(super) use thinking::{is_off, level};

pub use answer::read_answer;
pub use borrowed::{FreeTextWriter, borrows, free_tools, is_of_responses};
pub use embeddings::{read_embeddings, read_embeddings_request, write_embeddings, write_embeddings_answer};
pub use error::read_error;
pub use failure::{write_error_event, write_failure};
pub use patch::{
    BYTES_A_CHUNK, Outline, PatchedRequest, Patcher, Plain, patch_answer, patch_request, read_plain, says_only_text,
};
pub use read::read_request;
pub use reply::write_answer;
pub use stream::Decoder;
pub(super) use usage::write_cost;
pub(super) use write::{TIERS, known_tier, user_name};
pub use write::{links_to_inline, write_request};
pub use writer::Writer;
