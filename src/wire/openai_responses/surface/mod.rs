//! OpenAI Responses as what callers speak: `POST /v1/responses`.

mod echo;
mod failure;
mod follower;
mod items;
mod own_tools;
mod patch;
mod patcher;
mod read;
mod reply;
mod tools;
mod usage;
mod writer;

#[cfg(test)]
mod tests;

pub use echo::echo;
pub(in crate::wire) use items::free_form as free_arguments;
pub use patch::{compacting, patch_answer, patch_request, see_answer, wrap_thoughts};
pub use patcher::Patcher;
pub use read::read_request;
pub(in crate::wire) use reply::free_text;
pub use reply::write_answer;
pub(in crate::wire) use tools::{free_tool, is_free_tool};
pub use writer::Writer;

/// What is said of a reference to an item. SDKs of agents send them unless they are told that nothing is stored.
const NOT_KEPT: &str = "Items are kept by their ids on `/v1/responses` alone, for keys with `store_responses`. Send the items \
    themselves, as SDKs do with `store: false`.";

/// How this protocol's own models' reasoning is named.
const SIGNED: &str = "openai-responses-v1";
