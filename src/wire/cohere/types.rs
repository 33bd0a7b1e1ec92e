//! What answers look like on the wire. Unknown fields are ignored; text and JSON stay spans of the body.

use serde_json::value::RawValue;

use crate::chat;
use crate::json::{Raw, Text, readable};

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    pub id: Option<Text<'a>>,
    pub message: Option<Message<'a>>,
    pub finish_reason: Option<Text<'a>>,
    pub usage: Option<Counts>,
    pub error: Option<Text<'a>>,
    pub error_type: Option<Text<'a>>,
}
readable! { Answer<'a> { id, message, finish_reason, usage, error, error_type } }

#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub content: Option<Vec<Content<'a>>>,
    pub tool_plan: Option<Text<'a>>,
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    pub citations: Option<Vec<Citation<'a>>>,
}
readable! { Message<'a> { content, tool_plan, tool_calls, citations } }

#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub text: Option<Text<'a>>,
    pub thinking: Option<Text<'a>>,
    pub kind: Option<Text<'a>>,
}
readable! { Content<'a> { text, thinking, kind = "type" } }

#[derive(Debug, Default)]
pub(super) struct ToolCall<'a> {
    pub id: Option<Text<'a>>,
    pub function: Option<Function<'a>>,
}
readable! { ToolCall<'a> { id, function } }

#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub name: Option<Text<'a>>,
    pub arguments: Option<Text<'a>>,
}
readable! { Function<'a> { name, arguments } }

/// Which words of the answer rest on which sources.
#[derive(Debug, Default)]
pub(super) struct Citation<'a> {
    pub start: Option<u64>,
    pub end: Option<u64>,
    /// The block of `content` that `start` and `end` count in; the only one where it is left out.
    pub content_index: Option<u32>,
    pub sources: Option<Vec<Source<'a>>>,
}
readable! { Citation<'a> { start, end, content_index, sources } }

#[derive(Debug, Default)]
pub(super) struct Source<'a> {
    pub id: Option<Text<'a>>,
    /// An object of whatever members the caller gave the document.
    pub document: Option<&'a RawValue>,
}
readable! { Source<'a> { id, document } }

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
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    billed_units: Option<Units>,
    tokens: Option<Units>,
}
readable! { Counts { billed_units, tokens } }

#[derive(Clone, Debug, Default)]
struct Units {
    /// Whole numbers, which some versions spell `26.0`.
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
    reasoning_tokens: Option<f64>,
}
readable! { Units { input_tokens, output_tokens, reasoning_tokens } }

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
pub(super) fn whole(number: Option<f64>) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked right here")]
    number.filter(|number| number.is_finite() && *number >= 0.0).map(|number| number as u64)
}

/// An event of a stream.
#[derive(Debug, Default)]
pub(super) struct StreamEvent<'a> {
    pub kind: Text<'a>,
    pub id: Option<Text<'a>>,
    pub index: Option<u32>,
    pub delta: Option<Delta<'a>>,
}
readable! { StreamEvent<'a> { #[required] kind = "type", id, index, delta } }

#[derive(Debug, Default)]
pub(super) struct Delta<'a> {
    pub message: Option<Raw<'a>>,
    pub finish_reason: Option<Text<'a>>,
    pub usage: Option<Counts>,
    pub error: Option<Text<'a>>,
    pub error_type: Option<Text<'a>>,
}
readable! { Delta<'a> { message, finish_reason, usage, error, error_type } }

/// The `message` of a delta. What is a list in a whole answer is a single object here, except in `message-start`, which
/// holds empty lists.
#[derive(Debug, Default)]
pub(super) struct MessageDelta<'a> {
    pub content: Option<Content<'a>>,
    pub tool_plan: Option<Text<'a>>,
    pub tool_calls: Option<ToolCall<'a>>,
    pub citations: Option<Citation<'a>>,
}
readable! { MessageDelta<'a> { content, tool_plan, tool_calls, citations } }
