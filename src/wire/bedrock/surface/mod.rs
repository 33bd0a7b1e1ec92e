//! Converse and ConverseStream as what callers speak.
//!
//! A stream is AWS's binary event stream, which every AWS SDK checks by its checksums. Callers need no signature: the
//! gateway's key goes as a bearer token, as SDKs send `AWS_BEARER_TOKEN_BEDROCK`.

mod blocks;
mod failure;
mod patch;
mod patcher;
mod read;
mod reply;
#[cfg(test)]
mod tests;
mod tools;
mod usage;
mod writer;

pub use failure::{exception, write_failure};
pub use patch::{patch_answer, patch_request, see_answer};
pub use patcher::Patcher;
pub use read::read_request;
pub use reply::write_answer;
pub use writer::Writer;
