//! Writes what a caller of Converse gets: a whole answer, and the pieces that a stream shares with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::chat::{Answer, Arguments, Citation, EndKind, EndReason, Media, MediaKind, Part, Signature, SignatureRole};
use crate::json::{Array, Object, Text};
use crate::wire::bedrock::SIGNED;
use crate::wire::carried::{self, Carrier, Owner};
use crate::wire::{Closing, Naming};

use super::usage;

/// Writes a whole answer. Of several choices the first is told: there is one here.
#[must_use]
pub fn write_answer(answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut response = Object::open(&mut out);
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    response.object("output", |output| {
        output.object("message", |message| {
            message.string("role", "assistant").array("content", |content| {
                parts.iter().for_each(|part| write_part(part, naming, content));
                for media in choice.iter().flat_map(|choice| &choice.media) {
                    content.object(|block| write_media(media, block));
                }
            });
        });
    });
    let plain = EndReason::plain(EndKind::Other);
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    response.string("stopReason", stop_reason(choice.map_or(&plain, |choice| &choice.end), calls, refused));
    write_metadata(closing, &mut response);
    response.close();
    out
}

/// Writes what an answer came to, which stands at the end of a stream too: SDKs count on `usage` and `metrics`.
pub(super) fn write_metadata(closing: &Closing, object: &mut Object<'_>) {
    object.object("usage", |object| usage::write(closing, object));
    object.object("metrics", |metrics| {
        metrics.number("latencyMs", closing.latency.0);
    });
    if let Some(tier) = closing.usage.as_ref().and_then(|usage| usage.service_tier.as_ref()) {
        object.object("serviceTier", |object| {
            object.string("type", tier);
        });
    }
    if let Some(latchkey) = &closing.latchkey {
        object.raw("latchkey", latchkey);
    }
}

fn write_part(part: &Part<'_>, naming: &Naming, content: &mut Array<'_>) {
    match part {
        Part::Text { text, citations, signature, .. } => {
            if !text.is_empty() {
                content.object(|block| write_text(text, citations, block));
            }
            write_apart(signature.as_ref(), &Owner::Text, &naming.carrier, content);
        }
        Part::Refusal { text } if !text.is_empty() => {
            content.object(|block| {
                block.text("text", text);
            });
        }
        Part::Reasoning { text, signature } => {
            write_thought(text, signature.as_ref(), &naming.carrier, content);
        }
        Part::ToolCall { id, name, arguments, signature } => {
            content.object(|block| {
                block.object("toolUse", |call| {
                    call.text("toolUseId", id).text("name", name);
                    write_input(arguments, call);
                });
            });
            let owner = Owner::Call(id.decode().into_owned());
            write_apart(signature.as_ref(), &owner, &naming.carrier, content);
        }
        _ => {}
    }
}

/// Words, with their sources where they have any.
fn write_text(text: &Text<'_>, citations: &[Citation<'_>], block: &mut Object<'_>) {
    if citations.is_empty() {
        block.text("text", text);
        return;
    }
    block.object("citationsContent", |cited| {
        cited.array("content", |passages| {
            passages.object(|passage| {
                passage.text("text", text);
            });
        });
        cited.array("citations", |list| {
            for citation in citations {
                list.object(|object| write_citation(citation, object));
            }
        });
    });
}

/// Writes the members of a source.
pub(super) fn write_citation(citation: &Citation<'_>, object: &mut Object<'_>) {
    if let Some(title) = &citation.title {
        object.text("title", title);
    }
    if let Some(quote) = &citation.quote {
        object.array("sourceContent", |passages| {
            passages.object(|passage| {
                passage.text("text", quote);
            });
        });
    }
    if let Some(url) = &citation.url {
        object.object("location", |location| {
            location.object("web", |web| {
                web.text("url", url);
            });
        });
    }
}

fn write_input(arguments: &Arguments<'_>, call: &mut Object<'_>) {
    match arguments.object() {
        Ok(input) => call.raw("input", &input),
        // The model wrote no object; what it wrote is not lost.
        Err(_) => call.object("input", |input| {
            input.text("invalid_json", &arguments.quoted());
        }),
    };
}

fn write_thought(text: &Text<'_>, signature: Option<&Signature<'_>>, carrier: &Carrier, content: &mut Array<'_>) {
    match signature {
        Some(signature) if signature.role == SignatureRole::Replaces && text.is_empty() => {
            content.object(|block| write_redacted(signature, &Owner::Here, carrier, block));
        }
        None if text.is_empty() => {}
        _ => {
            content.object(|block| {
                block.object("reasoningContent", |reasoning| {
                    reasoning.object("reasoningText", |shown| {
                        shown.text("text", text);
                        if let Some(signature) = signature {
                            shown.text("signature", &carrier.wrap(signature, SIGNED, &Owner::Here));
                        }
                    });
                });
            });
        }
    }
}

/// The signature of what has no field for one here, in a block of its own behind it.
fn write_apart(signature: Option<&Signature<'_>>, owner: &Owner, carrier: &Carrier, content: &mut Array<'_>) {
    if let Some(signature) = signature {
        content.object(|block| write_redacted(signature, owner, carrier, block));
    }
}

fn write_redacted(signature: &Signature<'_>, owner: &Owner, carrier: &Carrier, block: &mut Object<'_>) {
    block.object("reasoningContent", |reasoning| {
        reasoning.text("redactedContent", &redacted(signature, owner, carrier));
    });
}

/// Opaque bytes, which this protocol writes as base64: so is what is carried, and so becomes what its own models gave.
pub(super) fn redacted(signature: &Signature<'_>, owner: &Owner, carrier: &Carrier) -> Text<'static> {
    if carried::is_native(signature, SIGNED, owner) {
        return Text::from_escaped(STANDARD.encode(signature.data.decode().as_bytes()));
    }
    carrier.wrap(signature, SIGNED, owner).into_owned()
}

/// Writes the members of a block that is a picture or sound.
pub(super) fn write_media(media: &Media<'_>, block: &mut Object<'_>) {
    let (member, fallback) = match media.kind {
        MediaKind::Image => ("image", "png"),
        MediaKind::Audio => ("audio", "wav"),
    };
    let media_type = media.media_type.decode();
    let format = media_type.rsplit_once('/').map_or(fallback, |(_, format)| format);
    block.object(member, |shown| {
        shown.string("format", format).object("source", |source| {
            source.text("bytes", &media.data);
        });
    });
}

/// Why the answer ended.
pub(super) fn stop_reason(end: &EndReason<'_>, calls: bool, refused: bool) -> &'static str {
    let raw = end.raw.as_ref().map(Text::decode).unwrap_or_default();
    match end.kind {
        _ if refused => "content_filtered",
        EndKind::Stop if raw == "stop_sequence" || end.stop.is_some() => "stop_sequence",
        EndKind::ToolCalls => "tool_use",
        EndKind::Stop | EndKind::Other if calls => "tool_use",
        EndKind::Length if raw == "model_context_window_exceeded" => "model_context_window_exceeded",
        EndKind::Length => "max_tokens",
        EndKind::ContentFilter if raw == "guardrail_intervened" => "guardrail_intervened",
        EndKind::ContentFilter => "content_filtered",
        EndKind::Error => "malformed_model_output",
        EndKind::Stop | EndKind::Paused | EndKind::Other => "end_turn",
    }
}
