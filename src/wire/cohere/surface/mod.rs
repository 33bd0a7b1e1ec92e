//! Cohere's Chat, version 2, as what callers speak.
//!
//! It has no field for signatures: they travel behind the ids of calls ([`trailer`]).

mod failure;
mod messages;
mod patch;
mod patcher;
mod read;
mod reply;
#[cfg(test)]
mod tests;
mod trailer;
mod usage;
mod writer;

pub use failure::write_failure;
pub use patch::{patch_answer, patch_request, see_answer};
pub use patcher::Patcher;
pub use read::read_request;
pub use reply::write_answer;
pub use writer::Writer;
