//! What an upstream sends. Every member is optional, and one of an unexpected kind is as good as absent.

use serde_json::value::RawValue;

use crate::json::{Raw, Text, readable};
use crate::wire::openai_chat::types::{count, object, present, text};

/// A whole answer, or what a stream tells of it at its beginning and its end.
#[derive(Debug, Default)]
pub(super) struct Response<'a> {
    pub id: Option<Text<'a>>,
    pub model: Option<Text<'a>>,
    /// Seconds; with a fraction where a server counts so.
    pub created_at: Option<u64>,
    /// `completed`, `incomplete`, `failed`, `cancelled`, or what is not over yet.
    pub status: Option<Text<'a>>,
    pub error: Option<Raw<'a>>,
    pub incomplete_details: Option<Incomplete<'a>>,
    /// Each is read by its own kind, so that one of a new kind cannot make the answer unreadable.
    pub output: Option<Vec<&'a RawValue>>,
    pub usage: Option<Raw<'a>>,
    /// What tools of the provider's used beside that.
    pub tool_usage: Option<Raw<'a>>,
    pub service_tier: Option<Text<'a>>,
}
readable! { Response<'a> {
    id: text, model: text, created_at: count, status: text, error: present, incomplete_details, output, usage: object,
    tool_usage: object, service_tier: text,
} }

/// Why an answer is not complete.
#[derive(Debug, Default)]
pub(super) struct Incomplete<'a> {
    pub reason: Option<Text<'a>>,
}
readable! { Incomplete<'a> { reason: text } }

/// An item of an answer, with every member that those kinds have that mean something here.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    pub kind: Option<Text<'a>>,
    pub id: Option<Text<'a>>,
    pub content: Option<Vec<Content<'a>>>,
    pub summary: Option<Vec<Content<'a>>>,
    pub encrypted_content: Option<Text<'a>>,
    pub call_id: Option<Text<'a>>,
    pub name: Option<Text<'a>>,
    pub arguments: Option<Text<'a>>,
    /// Of a call of a tool with free-form input.
    pub input: Option<Text<'a>>,
    /// A generated picture, in base64.
    pub result: Option<Text<'a>>,
    pub output_format: Option<Text<'a>>,
    /// What a search did.
    pub action: Option<Raw<'a>>,
}
readable! { Item<'a> {
    kind = "type": text, id: text, content, summary, encrypted_content: text, call_id: text, name: text,
    arguments: text, input: text, result: text, output_format: text, action,
} }

/// A part of a message or of reasoning.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub kind: Option<Text<'a>>,
    pub text: Option<Text<'a>>,
    pub refusal: Option<Text<'a>>,
    pub annotations: Option<Vec<Annotation<'a>>>,
    pub logprobs: Option<Raw<'a>>,
}
readable! { Content<'a> { kind = "type": text, text: text, refusal: text, annotations, logprobs } }

/// A source of what was said. Of those kinds that name a file there is no address.
#[derive(Debug, Default)]
pub(super) struct Annotation<'a> {
    pub url: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
}
readable! { Annotation<'a> { url: text, title: text, start_index: count, end_index: count } }

/// One event of a stream. All share this shape: which members there are follows from `type`.
#[derive(Debug, Default)]
pub(super) struct StreamEvent<'a> {
    pub kind: Text<'a>,
    pub output_index: Option<u64>,
    pub content_index: Option<u64>,
    pub summary_index: Option<u64>,
    pub delta: Option<Text<'a>>,
    pub annotation: Option<Raw<'a>>,
    pub logprobs: Option<Raw<'a>>,
    pub item: Option<&'a RawValue>,
    pub response: Option<&'a RawValue>,
    pub error: Option<Raw<'a>>,
}
readable! { StreamEvent<'a> {
    #[required] kind = "type", output_index: count, content_index: count, summary_index: count, delta: text,
    annotation, logprobs, item, response, error: present,
} }

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
