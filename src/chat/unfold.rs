//! Tells a whole answer as the events of a stream, for callers who asked for one.

use crate::json::Text;

use super::{Answer, Arguments, BlockKind, Choice, EndReason, Event, Part, Signature, Sink};

/// Gives `sink` the events that a stream of this very answer would have had, each block in one delta.
///
/// [`Fold`](super::Fold) makes the same answer of them again.
pub fn unfold(answer: &Answer<'_>, sink: &mut dyn Sink) {
    sink.event(Event::Start { id: answer.id.borrowed(), model: answer.model.borrowed(), created: answer.created });
    for choice in &answer.choices {
        let mut block = 0;
        for part in &choice.parts {
            if unfold_part(part, choice.index, block, sink) {
                block += 1;
            }
        }
        unfold_end(choice, sink);
    }
    if let Some(usage) = &answer.usage {
        sink.event(Event::Usage(usage.clone()));
    }
    for choice in &answer.choices {
        let EndReason { kind, raw, stop } = &choice.end;
        let reason =
            EndReason { kind: *kind, raw: raw.as_ref().map(Text::borrowed), stop: stop.as_ref().map(Text::borrowed) };
        sink.event(Event::End { choice: choice.index, reason });
    }
}

/// Whether the part is one that answers have.
fn unfold_part(part: &Part<'_>, choice: u32, block: u32, sink: &mut dyn Sink) -> bool {
    match part {
        Part::Text { text, citations, signature, .. } => {
            sink.event(Event::BlockStart { choice, block, kind: BlockKind::Text });
            if !text.is_empty() {
                sink.event(Event::TextDelta { choice, block, text: text.borrowed() });
            }
            for citation in citations {
                sink.event(Event::BlockCitation { choice, block, citation: citation.clone() });
            }
            sign(signature.as_ref(), choice, block, sink);
        }
        Part::Reasoning { text, signature } => {
            sink.event(Event::BlockStart { choice, block, kind: BlockKind::Reasoning });
            if !text.is_empty() {
                sink.event(Event::ReasoningDelta { choice, block, text: text.borrowed() });
            }
            sign(signature.as_ref(), choice, block, sink);
        }
        Part::Refusal { text } => {
            sink.event(Event::BlockStart { choice, block, kind: BlockKind::Refusal });
            sink.event(Event::RefusalDelta { choice, block, text: text.borrowed() });
        }
        Part::ToolCall { id, name, arguments, signature } => {
            sink.event(Event::ToolCallStart { choice, block, id: id.borrowed(), name: name.borrowed() });
            // Before the arguments: some surfaces have no place for it but before the call.
            sign(signature.as_ref(), choice, block, sink);
            sink.event(Event::ToolCallDelta { choice, block, arguments: written(arguments) });
        }
        Part::Image { .. } | Part::Audio { .. } | Part::Video { .. } | Part::File { .. } | Part::ToolResult { .. } => {
            return false;
        }
    }
    sink.event(Event::BlockEnd { choice, block });
    true
}

fn sign(signature: Option<&Signature<'_>>, choice: u32, block: u32, sink: &mut dyn Sink) {
    if let Some(signature) = signature {
        sink.event(Event::BlockSignature { choice, block, signature: signature.clone() });
    }
}

/// A call without arguments has the delta `{}`.
fn written<'a>(arguments: &'a Arguments<'_>) -> Text<'a> {
    let text = arguments.quoted();
    if text.is_empty() { Text::from_escaped("{}") } else { text }
}

/// What stands beside the parts.
fn unfold_end(choice: &Choice<'_>, sink: &mut dyn Sink) {
    for media in &choice.media {
        sink.event(Event::MediaDelta { choice: choice.index, media: media.clone() });
    }
    if let Some(logprobs) = &choice.logprobs {
        sink.event(Event::LogprobsDelta { choice: choice.index, logprobs: logprobs.borrowed() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Citation, EndKind, Fold, Media, MediaKind, SignatureRole, Usage};
    use crate::json::Raw;

    #[test]
    fn what_is_unfolded_folds_to_the_same_answer() {
        let text = Text::from_escaped;
        let signature = Signature { format: text("f"), data: text("s"), id: None, role: SignatureRole::Signs };
        let citation = Citation { url: Some(text("https://a.example")), ..Citation::default() };
        let choice = |index| Choice {
            index,
            parts: vec![
                Part::Reasoning { text: text("hm"), signature: Some(signature.clone()) },
                Part::Text { text: text("yes\\n"), cache: None, citations: vec![citation.clone()], signature: None },
                Part::ToolCall {
                    id: text("call_1"),
                    name: text("f"),
                    arguments: Arguments::Quoted(text("{\\\"a\\\":1}")),
                    signature: Some(signature.clone()),
                },
                Part::Refusal { text: text("no") },
            ],
            media: vec![Media {
                kind: MediaKind::Image,
                id: None,
                media_type: text("image/png"),
                data: text("AAAA"),
                transcript: None,
                expires_at: None,
            }],
            logprobs: Some(Raw::parse(r#"{"content":[]}"#).expect("json")),
            end: EndReason::new(EndKind::ToolCalls, Some(text("tool_use"))),
        };
        let answer = Answer {
            id: text("id"),
            model: text("m"),
            created: Some(7),
            choices: vec![choice(0), choice(1)],
            usage: Some(Usage { input_fresh: 3, ..Usage::default() }),
        };
        let mut fold = Fold::new();
        unfold(&answer, &mut fold);
        assert_eq!(fold.finish(), Ok(answer));
    }
}
