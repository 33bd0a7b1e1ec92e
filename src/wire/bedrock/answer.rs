//! Whole answers.

use super::types::{self, Block, Image, Reasoning, ToolUse};
use super::{citations, ending, replaces, signs};
use crate::chat::{Answer, Arguments, Choice, EndKind, EndReason, Media, MediaKind, Part};
use crate::failure::Failure;
use crate::json::{Raw, Text};
use crate::provider::Quirks;
use crate::wire::structured;

/// Reads an answer.
///
/// Calls of tools that the provider runs itself, and their results, are passed by. The trace of a guardrail is, too: it
/// repeats what the guardrail has taken out (`bedrock.safety.af8f5ca8f4`).
///
/// # Errors
/// `BadAnswer` where the body is none.
pub fn read_answer<'b>(body: &'b [u8], _: &Quirks) -> Result<Answer<'b>, Failure> {
    let answer: types::Answer<'b> = crate::json::from_slice(body)
        .map_err(|error| Failure::bad_answer("The provider's answer could not be read.").because(error.to_string()))?;
    let content = answer.output.and_then(|output| output.message).and_then(|message| message.content);
    let content = content.ok_or_else(|| Failure::bad_answer("The provider's answer has no content."))?;
    let answered = content.iter().filter_map(|block| block.tool_use.as_ref()).any(is_structured);
    let (mut parts, mut media) = (Vec::with_capacity(content.len()), Vec::new());
    for mut block in content {
        media.extend(block.image.take().and_then(picture));
        parts.extend(part(block, answered));
    }
    if answered {
        keep_first_text(&mut parts);
    }
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let raw = answer.stop_reason;
    let kind = raw.as_ref().map_or(EndKind::Other, |reason| ending::kind(reason.escaped(), called));
    let tier = answer.service_tier.and_then(|tier| tier.kind).map(|tier| tier.decode().into_owned());
    Ok(Answer {
        id: Text::EMPTY,
        model: Text::EMPTY,
        created: None,
        choices: vec![Choice { index: 0, parts, media, logprobs: None, end: EndReason::new(kind, raw) }],
        usage: answer.usage.and_then(|counts| counts.usage(tier)),
    })
}

/// The hub's part for a block. Where the answer was given through the tool for structured output, `answered`, the
/// model's words beside it are left out.
fn part(block: Block<'_>, answered: bool) -> Option<Part<'_>> {
    let Block { text, reasoning_content, tool_use, citations_content, .. } = block;
    let said = |text, citations| Part::Text { text, cache: None, citations, signature: None };
    match (text, reasoning_content, tool_use, citations_content) {
        (Some(text), ..) => (!answered).then(|| said(text, Vec::new())),
        (_, Some(reasoning), ..) => Some(thought(reasoning)),
        (_, _, Some(call), _) if is_structured(&call) => {
            Some(said(structured::answer(&call.input.unwrap_or(Raw::EMPTY_OBJECT)), Vec::new()))
        }
        (_, _, Some(call), _) if call.kind.as_ref().is_some_and(|kind| kind.is("server_tool_use")) => None,
        (_, _, Some(ToolUse { tool_use_id, name, input, .. }), _) => Some(Part::ToolCall {
            id: tool_use_id.unwrap_or_default(),
            name: name.unwrap_or_default(),
            arguments: Arguments::Object(input.unwrap_or(Raw::EMPTY_OBJECT)),
            signature: None,
        }),
        (_, _, _, Some(cited)) if !answered => {
            let citations = cited.citations.unwrap_or_default().into_iter().map(types::Citation::into_hub).collect();
            Some(said(citations::joined(cited.content.unwrap_or_default()).unwrap_or_default(), citations))
        }
        _ => None,
    }
}

fn is_structured(call: &ToolUse<'_>) -> bool {
    call.name.as_ref().is_some_and(structured::is_tool)
}

/// A model that calls the answer's tool twice has answered with the first.
fn keep_first_text(parts: &mut Vec<Part<'_>>) {
    let mut kept = false;
    parts.retain(|part| !matches!(part, Part::Text { .. }) || !std::mem::replace(&mut kept, true));
}

fn thought(reasoning: Reasoning<'_>) -> Part<'_> {
    match (reasoning.redacted_content, reasoning.reasoning_text) {
        (Some(redacted), _) => Part::Reasoning { text: Text::EMPTY, signature: Some(replaces(&redacted)) },
        (None, Some(shown)) => Part::Reasoning {
            text: shown.text.unwrap_or_default(),
            signature: shown.signature.filter(|data| !data.is_empty()).map(signs),
        },
        (None, None) => Part::Reasoning { text: Text::EMPTY, signature: None },
    }
}

/// A generated picture.
pub(super) fn picture(image: Image<'_>) -> Option<Media<'_>> {
    let data = image.source?.bytes?;
    let format = image.format.as_ref().map_or("png", Text::escaped);
    let media_type = Text::escape_owned(format!("image/{format}"));
    Some(Media { kind: MediaKind::Image, id: None, media_type, data, transcript: None, expires_at: None })
}
