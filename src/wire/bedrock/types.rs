//! What Converse answers look like on the wire. Unknown fields are ignored; text and JSON stay spans of the body.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>.

use super::usage::Counts;
use crate::json::{Raw, Text, readable};

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    pub output: Option<Output<'a>>,
    pub stop_reason: Option<Text<'a>>,
    pub usage: Option<Counts>,
    pub service_tier: Option<Tier<'a>>,
}
readable! { camel Answer<'a> { output, stop_reason, usage, service_tier } }

#[derive(Debug, Default)]
pub(super) struct Output<'a> {
    pub message: Option<Message<'a>>,
}
readable! { Output<'a> { message } }

#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub content: Option<Vec<Block<'a>>>,
}
readable! { Message<'a> { content } }

#[derive(Debug, Default)]
pub(super) struct Tier<'a> {
    pub kind: Option<Text<'a>>,
}
readable! { Tier<'a> { kind = "type" } }

/// A block of a whole answer: exactly one member is there.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    pub text: Option<Text<'a>>,
    pub reasoning_content: Option<Reasoning<'a>>,
    pub tool_use: Option<ToolUse<'a>>,
    pub citations_content: Option<CitationsContent<'a>>,
    pub image: Option<Image<'a>>,
}
readable! { camel Block<'a> { text, reasoning_content, tool_use, citations_content, image } }

#[derive(Debug, Default)]
pub(super) struct Reasoning<'a> {
    pub reasoning_text: Option<ReasoningText<'a>>,
    pub redacted_content: Option<Text<'a>>,
}
readable! { camel Reasoning<'a> { reasoning_text, redacted_content } }

#[derive(Debug, Default)]
pub(super) struct ReasoningText<'a> {
    pub text: Option<Text<'a>>,
    pub signature: Option<Text<'a>>,
}
readable! { ReasoningText<'a> { text, signature } }

#[derive(Debug, Default)]
pub(super) struct ToolUse<'a> {
    pub tool_use_id: Option<Text<'a>>,
    pub name: Option<Text<'a>>,
    pub input: Option<Raw<'a>>,
    /// `server_tool_use` where the provider runs the tool itself.
    pub kind: Option<Text<'a>>,
}
readable! { camel ToolUse<'a> { tool_use_id, name, input, kind = "type" } }

#[derive(Debug, Default)]
pub(super) struct CitationsContent<'a> {
    pub content: Option<Vec<Passage<'a>>>,
    pub citations: Option<Vec<Citation<'a>>>,
}
readable! { CitationsContent<'a> { content, citations } }

#[derive(Debug, Default)]
pub(super) struct Passage<'a> {
    pub text: Option<Text<'a>>,
}
readable! { Passage<'a> { text } }

#[derive(Debug, Default)]
pub(super) struct Citation<'a> {
    pub title: Option<Text<'a>>,
    pub location: Option<Location<'a>>,
    pub source_content: Option<Vec<Passage<'a>>>,
}
readable! { camel Citation<'a> { title, location, source_content } }

#[derive(Debug, Default)]
pub(super) struct Location<'a> {
    pub web: Option<Web<'a>>,
}
readable! { Location<'a> { web } }

#[derive(Debug, Default)]
pub(super) struct Web<'a> {
    pub url: Option<Text<'a>>,
    pub domain: Option<Text<'a>>,
}
readable! { Web<'a> { url, domain } }

#[derive(Debug, Default)]
pub(super) struct Image<'a> {
    pub format: Option<Text<'a>>,
    pub source: Option<Bytes<'a>>,
}
readable! { Image<'a> { format, source } }

#[derive(Debug, Default)]
pub(super) struct Bytes<'a> {
    pub bytes: Option<Text<'a>>,
}
readable! { Bytes<'a> { bytes } }

/// The payload of any event of a stream; the frame's name says which.
#[derive(Debug, Default)]
pub(super) struct StreamEvent<'a> {
    pub content_block_index: Option<u32>,
    pub start: Option<Start<'a>>,
    pub delta: Option<Delta<'a>>,
    pub stop_reason: Option<Text<'a>>,
    pub usage: Option<Counts>,
    pub service_tier: Option<Tier<'a>>,
}
readable! { camel StreamEvent<'a> { content_block_index, start, delta, stop_reason, usage, service_tier } }

/// What begins with a start: text and reasoning begin with their first delta.
#[derive(Debug, Default)]
pub(super) struct Start<'a> {
    pub tool_use: Option<ToolUse<'a>>,
}
readable! { camel Start<'a> { tool_use } }

/// A piece of a block: exactly one member is there.
#[derive(Debug, Default)]
pub(super) struct Delta<'a> {
    pub text: Option<Text<'a>>,
    pub reasoning_content: Option<ReasoningDelta<'a>>,
    pub tool_use: Option<ToolUseDelta<'a>>,
    pub citation: Option<Citation<'a>>,
    pub image: Option<Image<'a>>,
}
readable! { camel Delta<'a> { text, reasoning_content, tool_use, citation, image } }

#[derive(Debug, Default)]
pub(super) struct ReasoningDelta<'a> {
    pub text: Option<Text<'a>>,
    pub signature: Option<Text<'a>>,
    pub redacted_content: Option<Text<'a>>,
}
readable! { camel ReasoningDelta<'a> { text, signature, redacted_content } }

#[derive(Debug, Default)]
pub(super) struct ToolUseDelta<'a> {
    pub input: Option<Text<'a>>,
}
readable! { ToolUseDelta<'a> { input } }
