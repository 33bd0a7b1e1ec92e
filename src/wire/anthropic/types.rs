//! What Messages answers look like on the wire. Unknown fields are ignored; text and JSON stay spans of the body.
//!
//! Source: <https://platform.claude.com/docs/en/api/messages>.

use super::usage::Counts;
use crate::json::{Raw, Text, readable};

/// A whole answer, or the error that took its place.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub kind: Option<Text<'a>>,
    pub id: Option<Text<'a>>,
    pub model: Option<Text<'a>>,
    /// Each is read by its own kind, so that one of a new kind cannot make the answer unreadable.
    pub content: Option<Vec<&'a serde_json::value::RawValue>>,
    pub stop_reason: Option<Text<'a>>,
    pub stop_sequence: Option<Text<'a>>,
    pub stop_details: Option<StopDetails<'a>>,
    pub usage: Option<Counts>,
    pub error: Option<Error<'a>>,
}
readable! { Message<'a> {
    kind = "type", id, model, content, stop_reason, stop_sequence, stop_details, usage, error,
} }

/// One event of a stream. All events share this shape: which fields there are follows from `type`.
#[derive(Debug, Default)]
pub(super) struct StreamEvent<'a> {
    pub kind: Text<'a>,
    pub index: Option<u32>,
    pub message: Option<Head<'a>>,
    pub content_block: Option<Block<'a>>,
    pub delta: Option<Delta<'a>>,
    pub usage: Option<Counts>,
    pub error: Option<Error<'a>>,
}
readable! { StreamEvent<'a> { #[required] kind = "type", index, message, content_block, delta, usage, error } }

/// The message of a `message_start`.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub id: Option<Text<'a>>,
    pub model: Option<Text<'a>>,
    pub usage: Option<Counts>,
}
readable! { Head<'a> { id, model, usage } }

/// A content block.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    pub kind: Text<'a>,
    pub text: Option<Text<'a>>,
    pub citations: Option<Vec<Citation<'a>>>,
    pub thinking: Option<Text<'a>>,
    pub signature: Option<Text<'a>>,
    /// Of `redacted_thinking`.
    pub data: Option<Text<'a>>,
    pub id: Option<Text<'a>>,
    pub name: Option<Text<'a>>,
    pub input: Option<Raw<'a>>,
}
readable! { Block<'a> { #[required] kind = "type", text, citations, thinking, signature, data, id, name, input } }

/// The `delta` of a `content_block_delta` or a `message_delta`.
#[derive(Debug, Default)]
pub(super) struct Delta<'a> {
    pub kind: Option<Text<'a>>,
    pub text: Option<Text<'a>>,
    pub partial_json: Option<Text<'a>>,
    pub thinking: Option<Text<'a>>,
    pub signature: Option<Text<'a>>,
    pub citation: Option<Citation<'a>>,
    pub stop_reason: Option<Text<'a>>,
    pub stop_sequence: Option<Text<'a>>,
    pub stop_details: Option<StopDetails<'a>>,
}
readable! { Delta<'a> {
    kind = "type", text, partial_json, thinking, signature, citation, stop_reason, stop_sequence, stop_details,
} }

/// A citation of any of the five kinds: of a web page, a search result, or a place in a document of the prompt.
#[derive(Debug, Default)]
pub(super) struct Citation<'a> {
    pub url: Option<Text<'a>>,
    pub source: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
    pub document_title: Option<Text<'a>>,
    pub cited_text: Option<Text<'a>>,
}
readable! { Citation<'a> { url, source, title, document_title, cited_text } }

/// What a refusal was about.
#[derive(Debug, Default)]
pub(super) struct StopDetails<'a> {
    pub explanation: Option<Text<'a>>,
}
readable! { StopDetails<'a> { explanation } }

/// The `error` of an error body or event.
#[derive(Debug, Default)]
pub(super) struct Error<'a> {
    pub kind: Option<Text<'a>>,
    pub message: Option<Text<'a>>,
}
readable! { Error<'a> { kind = "type", message } }

/// As much of an event as tells what it is, for events that cannot be read in full.
#[derive(Debug, Default)]
pub(super) struct Glance<'a> {
    pub kind: Text<'a>,
    pub index: Option<Raw<'a>>,
    pub content_block: Option<Raw<'a>>,
    pub delta: Option<Raw<'a>>,
}
readable! { Glance<'a> { #[required] kind = "type", index, content_block, delta } }

/// The `type` of something.
#[derive(Debug, Default)]
pub(super) struct Kind<'a> {
    pub kind: Option<Text<'a>>,
}
readable! { Kind<'a> { kind = "type" } }

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
