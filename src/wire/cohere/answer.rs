//! Whole answers.

use super::ending;
use super::types::{Answer as Body, Content, Message, ToolCall};
use crate::chat::{Answer, Arguments, Choice, EndKind, EndReason, Part};
use crate::failure::Failure;
use crate::json::Text;
use crate::provider::Quirks;

/// Reads an answer. A plan for calls is told as reasoning: it is no part of what the user is answered.
///
/// # Errors
/// `BadAnswer` where the body is none; the provider's own error where it holds one.
pub fn read_answer<'b>(body: &'b [u8], _: &Quirks) -> Result<Answer<'b>, Failure> {
    let answer: Body<'b> = crate::json::from_slice(body)
        .map_err(|error| Failure::bad_answer("The provider's answer could not be read.").because(error.to_string()))?;
    if let Some(failure) = ending::failure(answer.error, answer.error_type) {
        return Err(failure);
    }
    let message = answer.message.ok_or_else(|| Failure::bad_answer("The provider's answer has no message."))?;
    let raw = answer.finish_reason;
    let kind = raw.as_ref().map_or(EndKind::Other, |reason| ending::kind(reason.escaped()));
    Ok(Answer {
        id: answer.id.unwrap_or_default(),
        model: Text::EMPTY,
        created: None,
        choices: vec![Choice {
            index: 0,
            parts: parts(message),
            media: Vec::new(),
            logprobs: None,
            end: EndReason::new(kind, raw),
        }],
        usage: answer.usage.and_then(|counts| counts.usage()),
    })
}

fn parts(message: Message<'_>) -> Vec<Part<'_>> {
    let Message { content, tool_plan, tool_calls, citations } = message;
    let mut parts = Vec::new();
    parts.extend(tool_plan.filter(|plan| !plan.is_empty()).map(|text| Part::Reasoning { text, signature: None }));
    // Where each of the provider's blocks stands among ours.
    let mut places = Vec::new();
    for block in content.unwrap_or_default() {
        places.push(parts.len());
        parts.push(part(block));
    }
    for citation in citations.unwrap_or_default() {
        let index = citation.content_index.map_or(0, |index| usize::try_from(index).unwrap_or(usize::MAX));
        if let Some(Part::Text { citations, .. }) = places.get(index).and_then(|at| parts.get_mut(*at)) {
            citations.extend(citation.into_hub());
        }
    }
    parts.extend(tool_calls.unwrap_or_default().into_iter().map(call));
    parts
}

fn part(block: Content<'_>) -> Part<'_> {
    match block.kind.as_ref().map(Text::escaped) {
        Some("thinking") => Part::Reasoning { text: block.thinking.unwrap_or_default(), signature: None },
        _ => Part::Text { text: block.text.unwrap_or_default(), cache: None, citations: Vec::new(), signature: None },
    }
}

fn call(call: ToolCall<'_>) -> Part<'_> {
    let (name, arguments) = call.function.map_or((None, None), |function| (function.name, function.arguments));
    let arguments = arguments.filter(|text| !text.is_empty()).unwrap_or(Text::from_escaped("{}"));
    Part::ToolCall {
        id: call.id.unwrap_or_default(),
        name: name.unwrap_or_default(),
        arguments: Arguments::Quoted(arguments),
        signature: None,
    }
}
