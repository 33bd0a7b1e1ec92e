//! What Converse answers look like on the wire. Unknown fields are ignored; text and JSON stay spans of the body.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>.

use serde::Deserialize;

use super::usage::Counts;
use crate::json::{Raw, Text};

/// A whole answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub output: Option<Output<'a>>,
    #[serde(borrow, default)]
    pub stop_reason: Option<Text<'a>>,
    #[serde(default)]
    pub usage: Option<Counts>,
    #[serde(borrow, default)]
    pub service_tier: Option<Tier<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Output<'a> {
    #[serde(borrow, default)]
    pub message: Option<Message<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub content: Option<Vec<Block<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tier<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Text<'a>>,
}

/// A block of a whole answer: exactly one member is there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block<'a> {
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub reasoning_content: Option<Reasoning<'a>>,
    #[serde(borrow, default)]
    pub tool_use: Option<ToolUse<'a>>,
    #[serde(borrow, default)]
    pub citations_content: Option<CitationsContent<'a>>,
    #[serde(borrow, default)]
    pub image: Option<Image<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reasoning<'a> {
    #[serde(borrow, default)]
    pub reasoning_text: Option<ReasoningText<'a>>,
    #[serde(borrow, default)]
    pub redacted_content: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReasoningText<'a> {
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub signature: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    #[serde(borrow, default)]
    pub tool_use_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub input: Option<Raw<'a>>,
    /// `server_tool_use` where the provider runs the tool itself.
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CitationsContent<'a> {
    #[serde(borrow, default)]
    pub content: Option<Vec<Passage<'a>>>,
    #[serde(borrow, default)]
    pub citations: Option<Vec<Citation<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Passage<'a> {
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Citation<'a> {
    #[serde(borrow, default)]
    pub title: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub location: Option<Location<'a>>,
    #[serde(borrow, default)]
    pub source_content: Option<Vec<Passage<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Location<'a> {
    #[serde(borrow, default)]
    pub web: Option<Web<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Web<'a> {
    #[serde(borrow, default)]
    pub url: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub domain: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Image<'a> {
    #[serde(borrow, default)]
    pub format: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub source: Option<Bytes<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Bytes<'a> {
    #[serde(borrow, default)]
    pub bytes: Option<Text<'a>>,
}

/// The payload of any event of a stream; the frame's name says which.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamEvent<'a> {
    #[serde(default)]
    pub content_block_index: Option<u32>,
    #[serde(borrow, default)]
    pub start: Option<Start<'a>>,
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    pub stop_reason: Option<Text<'a>>,
    #[serde(default)]
    pub usage: Option<Counts>,
    #[serde(borrow, default)]
    pub service_tier: Option<Tier<'a>>,
}

/// What begins with a start: text and reasoning begin with their first delta.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start<'a> {
    #[serde(borrow, default)]
    pub tool_use: Option<ToolUse<'a>>,
}

/// A piece of a block: exactly one member is there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub reasoning_content: Option<ReasoningDelta<'a>>,
    #[serde(borrow, default)]
    pub tool_use: Option<ToolUseDelta<'a>>,
    #[serde(borrow, default)]
    pub citation: Option<Citation<'a>>,
    #[serde(borrow, default)]
    pub image: Option<Image<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReasoningDelta<'a> {
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub redacted_content: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ToolUseDelta<'a> {
    #[serde(borrow, default)]
    pub input: Option<Text<'a>>,
}
