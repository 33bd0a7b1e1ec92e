//! Whole answers.

use super::types::{Answer as Body, ToolCall};
use super::{end, error, minted};
use crate::chat::{Answer, Arguments, Choice, EndReason, Part};
use crate::failure::Failure;
use crate::json::{Raw, Text};
use crate::provider::Quirks;

/// Reads an answer.
///
/// # Errors
/// `BadAnswer` where the body is none; the server's own error where it holds one.
pub fn read_answer<'b>(body: &'b [u8], _: &Quirks) -> Result<Answer<'b>, Failure> {
    let body: Body<'b> = crate::json::from_slice(body)
        .map_err(|error| Failure::bad_answer("The provider's answer could not be read.").because(error.to_string()))?;
    if let Some(error) = &body.error {
        return Err(error::of_line(error));
    }
    let usage = body.usage();
    let message = body.message.ok_or_else(|| Failure::bad_answer("The provider's answer has no message."))?;
    let created_at = body.created_at.unwrap_or_default();
    let filled = |text: Option<Text<'b>>| text.filter(|text| !text.is_empty());
    let mut parts = Vec::new();
    parts.extend(filled(message.thinking).map(|text| Part::Reasoning { text, signature: None }));
    let said = |text| Part::Text { text, cache: None, citations: Vec::new(), signature: None };
    parts.extend(filled(message.content).map(said));
    let calls = message.tool_calls.unwrap_or_default();
    let called = !calls.is_empty();
    parts.extend((0u32..).zip(calls).map(|(number, call)| part(call, created_at.escaped(), number)));
    let end = EndReason::new(end(body.done_reason.as_ref(), called), body.done_reason);
    Ok(Answer {
        id: Text::EMPTY,
        model: body.model.unwrap_or_default(),
        created: None,
        choices: vec![Choice { index: 0, parts, media: Vec::new(), logprobs: None, end }],
        usage,
    })
}

fn part<'b>(call: ToolCall<'b>, created_at: &str, number: u32) -> Part<'b> {
    Part::ToolCall {
        id: call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| minted(created_at, number)),
        name: call.function.name.unwrap_or_default(),
        arguments: Arguments::Object(call.function.arguments.filter(Raw::is_object).unwrap_or(Raw::EMPTY_OBJECT)),
        signature: None,
    }
}
