//! What an upstream sends. Every member is optional, and one of an unexpected kind is as good as absent.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Raw, Text};
use crate::wire::openai_chat::types::{count, object, present, text};

/// A whole answer, or what a stream tells of it at its beginning and its end.
#[derive(Debug, Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub model: Option<Text<'a>>,
    /// Seconds; with a fraction where a server counts so.
    #[serde(default, deserialize_with = "count")]
    pub created_at: Option<u64>,
    /// `completed`, `incomplete`, `failed`, `cancelled`, or what is not over yet.
    #[serde(borrow, default, deserialize_with = "text")]
    pub status: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub error: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub incomplete_details: Option<Incomplete<'a>>,
    /// Each is read by its own kind, so that one of a new kind cannot make the answer unreadable.
    #[serde(borrow, default)]
    pub output: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub usage: Option<Raw<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub service_tier: Option<Text<'a>>,
}

/// Why an answer is not complete.
#[derive(Debug, Deserialize)]
pub(super) struct Incomplete<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub reason: Option<Text<'a>>,
}

/// An item of an answer, with every member that those kinds have that mean something here.
#[derive(Debug, Deserialize)]
pub(super) struct Item<'a> {
    #[serde(rename = "type", borrow, default, deserialize_with = "text")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub content: Option<Vec<Content<'a>>>,
    #[serde(borrow, default)]
    pub summary: Option<Vec<Content<'a>>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub encrypted_content: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub call_id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub arguments: Option<Text<'a>>,
    /// Of a call of a tool with free-form input.
    #[serde(borrow, default, deserialize_with = "text")]
    pub input: Option<Text<'a>>,
    /// A generated picture, in base64.
    #[serde(borrow, default, deserialize_with = "text")]
    pub result: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub output_format: Option<Text<'a>>,
}

/// A part of a message or of reasoning.
#[derive(Debug, Deserialize)]
pub(super) struct Content<'a> {
    #[serde(rename = "type", borrow, default, deserialize_with = "text")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub annotations: Option<Vec<Annotation<'a>>>,
    #[serde(borrow, default)]
    pub logprobs: Option<Raw<'a>>,
}

/// A source of what was said. Of those kinds that name a file there is no address.
#[derive(Debug, Deserialize)]
pub(super) struct Annotation<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub url: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub title: Option<Text<'a>>,
    #[serde(default, deserialize_with = "count")]
    pub start_index: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    pub end_index: Option<u64>,
}

/// One event of a stream. All share this shape: which members there are follows from `type`.
#[derive(Debug, Deserialize)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(default, deserialize_with = "count")]
    pub output_index: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    pub content_index: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    pub summary_index: Option<u64>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub delta: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub annotation: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub logprobs: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub response: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub error: Option<Raw<'a>>,
}

impl<'a> Annotation<'a> {
    /// As the hub has it.
    pub fn into_hub(self) -> Option<crate::chat::Citation<'a>> {
        self.url.as_ref()?;
        Some(crate::chat::Citation {
            url: self.url,
            title: self.title,
            quote: None,
            start: self.start_index,
            end: self.end_index,
        })
    }
}
