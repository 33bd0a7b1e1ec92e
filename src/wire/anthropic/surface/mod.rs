//! Anthropic Messages as what callers speak: `POST /v1/messages`.

mod content;
mod failure;
mod links;
mod patch;
mod patcher;
mod read;
mod reply;
mod thinking;
mod tools;
mod usage;
mod writer;

#[cfg(test)]
mod tests;

pub(in crate::wire) use content::{read_block, split};
pub use failure::write_failure;
pub use links::{inline_links, links_in};
pub(in crate::wire) use patch::refused;
pub use patch::{patch_answer, patch_request, see_answer};
pub use patcher::Patcher;
pub use read::read_request;
pub(in crate::wire) use read::read_thinking;
pub use reply::write_answer;
pub(in crate::wire) use thinking::put_thinking_right;
pub use writer::Writer;
