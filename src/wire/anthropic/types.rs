//! What Messages answers look like on the wire. Unknown fields are ignored; text and JSON stay spans of the body.
//!
//! Source: <https://platform.claude.com/docs/en/api/messages>.

use serde::Deserialize;

use super::usage::Counts;
use crate::json::{Raw, Text};

/// A whole answer, or the error that took its place.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub model: Option<Text<'a>>,
    /// Each is read by its own kind, so that one of a new kind cannot make the answer unreadable.
    #[serde(borrow, default)]
    pub content: Option<Vec<&'a serde_json::value::RawValue>>,
    #[serde(borrow, default)]
    pub stop_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub stop_details: Option<StopDetails<'a>>,
    #[serde(default)]
    pub usage: Option<Counts>,
    #[serde(borrow, default)]
    pub error: Option<Error<'a>>,
}

/// One event of a stream. All events share this shape: which fields there are follows from `type`.
#[derive(Debug, Deserialize)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(borrow, default)]
    pub message: Option<Head<'a>>,
    #[serde(borrow, default)]
    pub content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
    #[serde(default)]
    pub usage: Option<Counts>,
    #[serde(borrow, default)]
    pub error: Option<Error<'a>>,
}

/// The message of a `message_start`.
#[derive(Debug, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub model: Option<Text<'a>>,
    #[serde(default)]
    pub usage: Option<Counts>,
}

/// A content block.
#[derive(Debug, Deserialize)]
pub(super) struct Block<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub citations: Option<Vec<Citation<'a>>>,
    #[serde(borrow, default)]
    pub thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub signature: Option<Text<'a>>,
    /// Of `redacted_thinking`.
    #[serde(borrow, default)]
    pub data: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub input: Option<Raw<'a>>,
}

/// The `delta` of a `content_block_delta` or a `message_delta`.
#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub partial_json: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub citation: Option<Citation<'a>>,
    #[serde(borrow, default)]
    pub stop_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub stop_details: Option<StopDetails<'a>>,
}

/// A citation of any of the five kinds: of a web page, a search result, or a place in a document of the prompt.
#[derive(Debug, Deserialize)]
pub(super) struct Citation<'a> {
    #[serde(borrow, default)]
    pub url: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub source: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub title: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub document_title: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub cited_text: Option<Text<'a>>,
}

/// What a refusal was about.
#[derive(Debug, Deserialize)]
pub(super) struct StopDetails<'a> {
    #[serde(borrow, default)]
    pub explanation: Option<Text<'a>>,
}

/// The `error` of an error body or event.
#[derive(Debug, Deserialize)]
pub(super) struct Error<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub message: Option<Text<'a>>,
}

/// As much of an event as tells what it is, for events that cannot be read in full.
#[derive(Debug, Deserialize)]
pub(super) struct Glance<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub index: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub content_block: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub delta: Option<Raw<'a>>,
}

/// The `type` of something.
#[derive(Debug, Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Text<'a>>,
}

impl<'a> Citation<'a> {
    /// As the hub has it. Offsets into the answer are not given by this protocol: a citation supports its whole block.
    pub fn into_hub(self) -> crate::chat::Citation<'a> {
        let address = self.url.or(self.source.filter(|source| source.escaped().starts_with("http")));
        crate::chat::Citation {
            url: address,
            title: self.title.or(self.document_title),
            quote: self.cited_text,
            start: None,
            end: None,
        }
    }
}
