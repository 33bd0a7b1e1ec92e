//! The lane where caller and upstream speak the same protocol: their own JSON, with only what must change changed.
//!
//! What nobody here models survives both ways, whitespace included.

mod answer;
mod glance;
mod messages;
mod reply;
mod request;
mod stream;

pub(super) use messages::schema_in_words;

pub use answer::{Outline, Plain, patch_answer, read_plain};
pub use glance::{BYTES_A_CHUNK, says_only_text};
pub use request::{PatchedRequest, patch_request};
pub use stream::Patcher;

#[cfg(test)]
mod tests;
