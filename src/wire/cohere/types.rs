//! What answers look like on the wire. Unknown fields are ignored; text and JSON stay spans of the body.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat;
use crate::json::{Raw, Text};

/// A whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub message: Option<Message<'a>>,
    #[serde(borrow, default)]
    pub finish_reason: Option<Text<'a>>,
    #[serde(default)]
    pub usage: Option<Counts>,
    #[serde(borrow, default)]
    pub error: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub error_type: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub content: Option<Vec<Content<'a>>>,
    #[serde(borrow, default)]
    pub tool_plan: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    pub citations: Option<Vec<Citation<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub thinking: Option<Text<'a>>,
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ToolCall<'a> {
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub function: Option<Function<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub arguments: Option<Text<'a>>,
}

/// Which words of the answer rest on which sources.
#[derive(Debug, Deserialize)]
pub(super) struct Citation<'a> {
    #[serde(default)]
    pub start: Option<u64>,
    #[serde(default)]
    pub end: Option<u64>,
    /// The block of `content` that `start` and `end` count in; the only one where it is left out.
    #[serde(default)]
    pub content_index: Option<u32>,
    #[serde(borrow, default)]
    pub sources: Option<Vec<Source<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Source<'a> {
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    /// An object of whatever members the caller gave the document.
    #[serde(borrow, default)]
    pub document: Option<&'a RawValue>,
}

impl<'a> Citation<'a> {
    /// As the hub has it: one for each source.
    pub fn into_hub(self) -> impl Iterator<Item = chat::Citation<'a>> {
        let (start, end) = (self.start, self.end);
        self.sources.unwrap_or_default().into_iter().map(move |source| {
            let member = |name: &str| Raw::from_raw(source.document?).member(name).and_then(Raw::into_text);
            let title = member("title").or_else(|| source.id.clone());
            chat::Citation { url: member("url"), title, quote: member("text"), start, end }
        })
    }
}

/// A `usage` object.
///
/// `billed_units` is what is charged: without the preamble that the provider puts before every prompt, and without
/// discount for what it cached of that. `tokens` is what the model saw, and counts where nothing is billed.
///
/// Source: <https://docs.cohere.com/docs/how-does-cohere-pricing-work>; recording `cohere.thinking.a6cff422a5`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Counts {
    #[serde(default)]
    billed_units: Option<Units>,
    #[serde(default)]
    tokens: Option<Units>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Units {
    /// Whole numbers, which some versions spell `26.0`.
    #[serde(default)]
    input_tokens: Option<f64>,
    #[serde(default)]
    output_tokens: Option<f64>,
    #[serde(default)]
    reasoning_tokens: Option<f64>,
}

impl Counts {
    /// Disjoint buckets; `None` where nothing was counted.
    pub fn usage(&self) -> Option<chat::Usage> {
        let counted = |units: &&Units| units.input_tokens.is_some() || units.output_tokens.is_some();
        let units = self.billed_units.as_ref().filter(counted).or(self.tokens.as_ref().filter(counted))?;
        let output = whole(units.output_tokens).unwrap_or(0);
        let reasoning = self.tokens.as_ref().and_then(|tokens| whole(tokens.reasoning_tokens));
        let reasoning = reasoning.map(|tokens| tokens.min(output));
        Some(chat::Usage {
            input_fresh: whole(units.input_tokens).unwrap_or(0),
            output_text: output - reasoning.unwrap_or(0),
            output_reasoning: reasoning,
            ..chat::Usage::default()
        })
    }
}

/// A count that came as a float. The cast saturates, and nothing counted is larger than a float can hold exactly.
fn whole(number: Option<f64>) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked right here")]
    number.filter(|number| number.is_finite() && *number >= 0.0).map(|number| number as u64)
}

/// An event of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct StreamEvent<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub message: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub finish_reason: Option<Text<'a>>,
    #[serde(default)]
    pub usage: Option<Counts>,
    #[serde(borrow, default)]
    pub error: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub error_type: Option<Text<'a>>,
}

/// The `message` of a delta. What is a list in a whole answer is a single object here, except in `message-start`, which
/// holds empty lists.
#[derive(Debug, Deserialize)]
pub(super) struct MessageDelta<'a> {
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub tool_plan: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub tool_calls: Option<ToolCall<'a>>,
    #[serde(borrow, default)]
    pub citations: Option<Citation<'a>>,
}
