//! Gemini as what callers speak: `generateContent` and its siblings.
//!
//! Members may be spelled in either case, as the provider takes them.

mod contents;
mod embeddings;
mod failure;
mod layout;
mod logprobs;
mod patch;
mod patcher;
mod read;
mod reply;
mod tools;
mod usage;
mod writer;

#[cfg(test)]
mod tests;

pub use embeddings::{read_embeddings_request, write_embeddings_answer};
pub use failure::write_failure;
pub use patch::{patch_answer, patch_request, see_answer};
pub use patcher::Patcher;
pub use read::read_request;
pub use reply::write_answer;
pub use writer::Writer;

use std::borrow::Cow;

/// A member's name in the case of the documentation: `inline_data` is `inlineData`.
fn camel(key: &str) -> Cow<'_, str> {
    if !key.contains('_') {
        return Cow::Borrowed(key);
    }
    let mut camel = String::with_capacity(key.len());
    let mut after = false;
    for letter in key.chars() {
        match letter {
            '_' => after = !camel.is_empty(),
            letter if after => {
                camel.push(letter.to_ascii_uppercase());
                after = false;
            }
            letter => camel.push(letter),
        }
    }
    Cow::Owned(camel)
}
