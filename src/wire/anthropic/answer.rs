//! Whole answers.

use serde_json::value::RawValue;

use super::types::{Block, Kind, Message};
use super::{end, error, signature};
use crate::chat::{Answer, Arguments, Choice, Citation, EndKind, EndReason, Part, SignatureRole};
use crate::failure::Failure;
use crate::json::{Raw, Text};
use crate::provider::Quirks;
use crate::wire::structured;

/// Reads an answer.
///
/// Blocks of tools that the provider runs itself are passed by: what came of them is told by the text around them.
/// Where the answer was given through the tool for structured output, its input is the text, and what the model said
/// beside it is left out, so that `content` is the JSON alone.
///
/// # Errors
/// `BadAnswer` where the body is none; the provider's own error where it holds one.
pub fn read_answer<'b>(body: &'b [u8], _: &Quirks) -> Result<Answer<'b>, Failure> {
    let message: Message<'b> = crate::json::from_slice(body)
        .map_err(|error| Failure::bad_answer("The provider's answer could not be read.").because(error.to_string()))?;
    if message.error.is_some() || message.kind.as_ref().is_some_and(|kind| kind.is("error")) {
        return Err(error::of_event(message.error));
    }
    let content = message.content.ok_or_else(|| Failure::bad_answer("The provider's answer has no content."))?;
    let mut parts = Vec::with_capacity(content.len());
    // Claude begins a block of text wherever its sources change, within sentences.
    let mut said = None;
    for block in content {
        match (part(block)?, said.zip(parts.last_mut())) {
            (Some(Part::Text { text: more, citations: sources, .. }), before) => {
                let start = before.as_ref().map_or(0, |(said, _)| *said);
                let end = start + more.characters();
                said = Some(end);
                let sources = sources.into_iter().map(|it| Citation { start: Some(start), end: Some(end), ..it });
                match before {
                    Some((_, Part::Text { text, citations, .. })) => {
                        text.push(&more);
                        citations.extend(sources);
                    }
                    _ => {
                        let citations = sources.collect();
                        parts.push(Part::Text { text: more, citations, cache: None, signature: None });
                    }
                }
            }
            (other, _) => {
                said = None;
                parts.extend(other);
            }
        }
    }
    let called = keep_structured(&mut parts);
    let raw = message.stop_reason;
    let kind = raw.as_ref().map_or(EndKind::Other, |reason| end::kind(reason.escaped(), called));
    if kind == EndKind::ContentFilter
        && let Some(text) = message.stop_details.and_then(|details| details.explanation).filter(|text| !text.is_empty())
    {
        parts.push(Part::Refusal { text });
    }
    Ok(Answer {
        id: message.id.unwrap_or_default(),
        model: message.model.unwrap_or_default(),
        created: None,
        choices: vec![Choice {
            index: 0,
            parts,
            media: Vec::new(),
            logprobs: None,
            end: EndReason { kind, raw, stop: message.stop_sequence },
        }],
        usage: message.usage.and_then(|counts| counts.usage()),
    })
}

/// The hub's part for a block; none for blocks that only the provider's own tools need.
fn part(raw: &RawValue) -> Result<Option<Part<'_>>, Failure> {
    let unreadable = |error: crate::json::Error| {
        Failure::bad_answer("A block of the provider's answer could not be read.").because(error.to_string())
    };
    let kind = crate::json::from_str::<Kind<'_>>(raw.get()).map_err(unreadable)?.kind.unwrap_or_default();
    if !matches!(kind.escaped(), "text" | "thinking" | "redacted_thinking" | "tool_use") {
        return Ok(None);
    }
    let block: Block<'_> = crate::json::from_str(raw.get()).map_err(unreadable)?;
    Ok(Some(match kind.escaped() {
        "text" => Part::Text {
            text: block.text.unwrap_or_default(),
            cache: None,
            citations: block.citations.into_iter().flatten().map(super::types::Citation::into_hub).collect(),
            signature: None,
        },
        "thinking" => Part::Reasoning {
            text: block.thinking.unwrap_or_default(),
            signature: block
                .signature
                .filter(|data| !data.is_empty())
                .map(|data| signature(data, SignatureRole::Signs)),
        },
        "redacted_thinking" => Part::Reasoning {
            text: Text::EMPTY,
            signature: Some(signature(block.data.unwrap_or_default(), SignatureRole::Replaces)),
        },
        _ => Part::ToolCall {
            id: block.id.unwrap_or_default(),
            name: block.name.unwrap_or_default(),
            arguments: Arguments::Object(block.input.unwrap_or(Raw::EMPTY_OBJECT)),
            signature: None,
        },
    }))
}

/// Turns the call that holds the structured answer into text. Answers whether the caller's own tools were called.
fn keep_structured(parts: &mut Vec<Part<'_>>) -> bool {
    let holds_answer = |part: &Part<'_>| matches!(part, Part::ToolCall { name, .. } if structured::is_tool(name));
    if parts.iter().any(holds_answer) {
        let mut answered = false;
        parts.retain(|part| match part {
            Part::Text { .. } => false,
            Part::ToolCall { name, .. } if structured::is_tool(name) => !std::mem::replace(&mut answered, true),
            _ => true,
        });
        for part in parts.iter_mut() {
            if let Part::ToolCall { name, arguments: Arguments::Object(input), .. } = part
                && structured::is_tool(name)
            {
                let text = structured::answer(input);
                *part = Part::Text { text, cache: None, citations: Vec::new(), signature: None };
            }
        }
    }
    parts.iter().any(|part| matches!(part, Part::ToolCall { .. }))
}
