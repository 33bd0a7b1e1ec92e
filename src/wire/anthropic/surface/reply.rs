//! Writes what a caller of Messages gets: a whole answer, and the pieces that a stream shares with it.

use crate::chat::{Answer, Citation, EndKind, EndReason, Part, Signature, SignatureRole};
use crate::failure::Failure;
use crate::json::{Array, Object, Text};
use crate::wire::anthropic::SIGNED;
use crate::wire::carried::{Carrier, Owner};
use crate::wire::{Closing, Naming};

use super::usage;

/// Writes a whole answer: its first choice, for there are no others here.
///
/// # Errors
/// As [`stop_reason`].
pub fn write_answer(answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(512);
    let mut message = Object::open(&mut out);
    write_head(&answer.id, &answer.model, naming, &mut message);
    let parts = answer.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
    message.array("content", |content| parts.iter().for_each(|part| write_part(part, naming, content)));
    let plain = EndReason::plain(EndKind::Other);
    let end = answer.choices.first().map_or(&plain, |choice| &choice.end);
    let refusal = parts.iter().find_map(|part| if let Part::Refusal { text } = part { Some(text) } else { None });
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    write_end(stop_reason(end, calls, refusal)?, end.stop.as_ref(), refusal, &mut message);
    message.object("usage", |object| usage::write(closing, object));
    if let Some(latchkey) = &closing.latchkey {
        message.raw("latchkey", latchkey);
    }
    message.close();
    Ok(out)
}

/// Writes `id`, `type`, `role` and `model`.
pub(super) fn write_head(id: &Text<'_>, model: &Text<'_>, naming: &Naming, message: &mut Object<'_>) {
    if id.is_empty() {
        message.string("id", &naming.fallback_id)
    } else {
        message.text("id", id)
    };
    message.string("type", "message").string("role", "assistant");
    if model.is_empty() {
        message.string("model", &naming.model)
    } else {
        message.text("model", model)
    };
}

/// Why the answer ended.
///
/// # Errors
/// With the failure of a generation that failed: there is no `stop_reason` that says so.
pub(super) fn stop_reason(
    end: &EndReason<'_>,
    calls: bool,
    refusal: Option<&Text<'_>>,
) -> Result<&'static str, Failure> {
    let own = end.raw.as_ref().map(Text::escaped);
    Ok(match end.kind {
        _ if refusal.is_some() => "refusal",
        EndKind::Stop | EndKind::Other | EndKind::ToolCalls if calls => "tool_use",
        EndKind::Stop if end.stop.is_some() || own == Some("stop_sequence") => "stop_sequence",
        EndKind::Length if own == Some("model_context_window_exceeded") => "model_context_window_exceeded",
        EndKind::Length => "max_tokens",
        EndKind::ContentFilter => "refusal",
        EndKind::Paused => "pause_turn",
        EndKind::Stop | EndKind::Other | EndKind::ToolCalls => "end_turn",
        EndKind::Error => return Err(end.failure()),
    })
}

/// Writes `stop_reason`, `stop_sequence` and, of a refusal, `stop_details`.
pub(super) fn write_end(reason: &str, stop: Option<&Text<'_>>, refusal: Option<&Text<'_>>, object: &mut Object<'_>) {
    object.string("stop_reason", reason);
    match stop.filter(|_| reason == "stop_sequence") {
        Some(stop) => object.text("stop_sequence", stop),
        None => object.null("stop_sequence"),
    };
    if let Some(text) = refusal {
        object.object("stop_details", |details| {
            details.string("type", "refusal").null("category").text("explanation", text);
        });
    }
}

fn write_part(part: &Part<'_>, naming: &Naming, content: &mut Array<'_>) {
    match part {
        Part::Text { text, citations, signature, .. } => {
            // Empty blocks are refused when they come back.
            if !text.is_empty() || !citations.is_empty() {
                content.object(|block| {
                    block.string("type", "text").text("text", text);
                    if !citations.is_empty() {
                        block.array("citations", |list| {
                            for citation in citations {
                                list.object(|object| write_citation(citation, object));
                            }
                        });
                    }
                });
            }
            if let Some(signature) = signature {
                write_apart(signature, &Owner::Text, &naming.carrier, content);
            }
        }
        Part::Reasoning { text, signature } if !naming.hide_reasoning => {
            let text = if naming.omit_thoughts { &Text::EMPTY } else { text };
            write_thought(text, signature.as_ref(), &naming.carrier, content)
        }
        Part::ToolCall { id, name, arguments, signature } => {
            if let Some(signature) = signature {
                write_apart(signature, &Owner::Call(id.decode().into_owned()), &naming.carrier, content);
            }
            content.object(|block| {
                block.string("type", "tool_use").text("id", id).text("name", name);
                match arguments.object() {
                    Ok(input) => block.raw("input", &input),
                    // The model wrote no object; what it wrote is not lost.
                    Err(_) => block.object("input", |input| {
                        input.text("invalid_json", &arguments.quoted());
                    }),
                };
            });
        }
        _ => {}
    }
}

fn write_thought(text: &Text<'_>, signature: Option<&Signature<'_>>, carrier: &Carrier, content: &mut Array<'_>) {
    match signature {
        Some(signature) if signature.role == SignatureRole::Replaces && text.is_empty() => {
            write_apart(signature, &Owner::Here, carrier, content);
        }
        None if text.is_empty() => {}
        signature => {
            let signature = signature.map(|signature| carrier.wrap(signature, SIGNED, &Owner::Here));
            content.object(|block| {
                block.string("type", "thinking").text("thinking", text);
                block.text("signature", &signature.unwrap_or(Text::EMPTY));
            });
        }
    }
}

/// A signature in a block of its own: one that is all there is to see, or one that a block has no field for.
fn write_apart(signature: &Signature<'_>, owner: &Owner, carrier: &Carrier, content: &mut Array<'_>) {
    content.object(|block| write_redacted(&carrier.wrap(signature, SIGNED, owner), block));
}

/// Writes the members of a `redacted_thinking` block.
pub(super) fn write_redacted(data: &Text<'_>, block: &mut Object<'_>) {
    block.string("type", "redacted_thinking").text("data", data);
}

/// Writes the members of a citation: of a page where its address is known, else of a document.
pub(super) fn write_citation(citation: &Citation<'_>, object: &mut Object<'_>) {
    let quote = citation.quote.as_ref().unwrap_or(&Text::EMPTY);
    match &citation.url {
        Some(url) => {
            object.string("type", "web_search_result_location").text("url", url);
            object.text("cited_text", quote).string("encrypted_index", "");
            match &citation.title {
                Some(title) => object.text("title", title),
                None => object.null("title"),
            };
        }
        None => {
            object.string("type", "char_location").text("cited_text", quote).number("document_index", 0);
            match &citation.title {
                Some(title) => object.text("document_title", title),
                None => object.null("document_title"),
            };
            object.number("start_char_index", citation.start.unwrap_or(0));
            object.number("end_char_index", citation.end.unwrap_or(0));
        }
    }
}
