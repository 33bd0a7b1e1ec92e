//! Writes a whole answer for the caller: a `chat.completion`.

use crate::chat::{Answer, Choice, Citation, Media, MediaKind, Part};
use crate::json::{Array, Object, Text};
use crate::wire::{Closing, Naming};

use super::{borrowed, details, finish, usage};

/// Writes an answer as OpenAI would, with OpenRouter's additions for reasoning, images and cost.
#[must_use]
pub fn write_answer(answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Vec<u8> {
    let unwrapped = naming.echo.as_ref().map(|names| borrowed::unwrap_calls(answer, names));
    let answer = unwrapped.as_ref().unwrap_or(answer);
    let mut out = Vec::with_capacity(1024);
    let mut object = Object::open(&mut out);
    write_head(&mut object, "chat.completion", &answer.id, &answer.model, answer.created, naming);
    object.array("choices", |choices| {
        for choice in &answer.choices {
            choices.object(|object| write_choice(choice, naming, object));
        }
    });
    if let Some(counted) = closing.usage.as_ref().or(answer.usage.as_ref()) {
        object.object("usage", |object| usage::write(counted, closing.cost.as_ref(), object));
        if let Some(tier) = &counted.service_tier {
            object.string("service_tier", tier);
        }
    }
    if let Some(latchkey) = &closing.latchkey {
        object.raw("latchkey", latchkey);
    }
    object.close();
    out
}

/// A chunk repeats the answer's id and model: what is longer than any of them would grow with every token.
const LONGEST_NAME: usize = 512;

/// What an answer and each of its chunks begin with.
pub(super) fn write_head(
    object: &mut Object<'_>,
    kind: &str,
    id: &Text<'_>,
    model: &Text<'_>,
    created: Option<i64>,
    naming: &Naming,
) {
    let is_name = |text: &Text<'_>| !text.is_empty() && text.escaped().len() <= LONGEST_NAME;
    if !is_name(id) {
        object.string("id", &naming.fallback_id)
    } else {
        object.text("id", id)
    };
    object.string("object", kind).number("created", created.unwrap_or_else(|| naming.now.seconds()));
    if !is_name(model) {
        object.string("model", &naming.model)
    } else {
        object.text("model", model)
    };
}

/// Why a choice ended, in OpenAI's word and the upstream's.
pub(super) fn write_end(end: &crate::chat::EndReason<'_>, calls_tools: bool, object: &mut Object<'_>) {
    object.string("finish_reason", finish::write(end.kind, calls_tools));
    match &end.raw {
        Some(raw) => object.text("native_finish_reason", raw),
        None => object.null("native_finish_reason"),
    };
}

/// A source of the text.
///
/// Numbers and title are always there, because clients that check the shape of annotations want them.
pub(super) fn write_citation(citation: &Citation<'_>, shift: u64, annotations: &mut Array<'_>) {
    let Some(url) = &citation.url else { return };
    annotations.object(|annotation| {
        annotation.string("type", "url_citation").object("url_citation", |source| {
            let start = citation.start.unwrap_or(0);
            source
                .text("url", url)
                .text("title", citation.title.as_ref().unwrap_or(url))
                .number("start_index", start.saturating_add(shift))
                .number("end_index", citation.end.unwrap_or(start).saturating_add(shift));
            if let Some(quote) = &citation.quote {
                source.text("content", quote);
            }
        });
    });
}

/// Generated speech, whole or in part.
pub(super) fn write_audio(media: &Media<'_>, audio: &mut Object<'_>) {
    if let Some(id) = &media.id {
        audio.text("id", id);
    }
    if !media.data.is_empty() {
        audio.text("data", &media.data);
    }
    if let Some(transcript) = &media.transcript {
        audio.text("transcript", transcript);
    }
    if let Some(at) = media.expires_at {
        audio.number("expires_at", at);
    }
}

/// A generated picture, as OpenRouter has it.
pub(super) fn write_image(media: &Media<'_>, index: usize, images: &mut Array<'_>) {
    images.object(|image| {
        image.string("type", "image_url").number("index", index).object("image_url", |url| {
            let out = url.key("url");
            for piece in ["\"data:", media.media_type.escaped(), ";base64,", media.data.escaped(), "\""] {
                out.extend_from_slice(piece.as_bytes());
            }
        });
    });
}

fn write_choice(choice: &Choice<'_>, naming: &Naming, object: &mut Object<'_>) {
    object.number("index", choice.index);
    object.object("message", |message| write_message(choice, naming, message));
    match &choice.logprobs {
        Some(logprobs) => object.raw("logprobs", logprobs),
        None => object.null("logprobs"),
    };
    let calls_tools = choice.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    write_end(&choice.end, calls_tools, object);
}

fn write_message(choice: &Choice<'_>, naming: &Naming, message: &mut Object<'_>) {
    let (parts, hide_reasoning) = (&choice.parts, naming.hide_reasoning);
    message.string("role", "assistant");
    joined("content", message, parts.iter().filter_map(said));
    joined("refusal", message, parts.iter().filter_map(refused));
    if !hide_reasoning && parts.iter().filter_map(thought).any(|text| !text.is_empty()) {
        joined("reasoning_content", message, parts.iter().filter_map(thought));
    }
    if details::any(parts, hide_reasoning) {
        message.array("reasoning_details", |list| details::write(parts, hide_reasoning, &naming.carrier, list));
    }
    if parts.iter().any(|part| matches!(part, Part::ToolCall { .. })) {
        message.array("tool_calls", |calls| write_calls(parts, calls));
    }
    if parts.iter().any(|part| matches!(part, Part::Text { citations, .. } if !citations.is_empty())) {
        message.array("annotations", |annotations| write_citations(parts, annotations));
    }
    if let Some(audio) = choice.media.iter().find(|media| media.kind == MediaKind::Audio) {
        message.object("audio", |object| write_audio(audio, object));
    }
    let images = || choice.media.iter().filter(|media| media.kind == MediaKind::Image);
    if images().next().is_some() {
        message.array("images", |list| {
            for (index, image) in images().enumerate() {
                write_image(image, index, list);
            }
        });
    }
}

/// A member that is all of `texts` end to end; `null` where there is none.
fn joined<'t>(key: &str, object: &mut Object<'_>, texts: impl Iterator<Item = &'t Text<'t>>) {
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        object.null(key);
        return;
    }
    let out = object.key(key);
    out.push(b'"');
    for text in texts {
        out.extend_from_slice(text.escaped().as_bytes());
    }
    out.push(b'"');
}

fn said<'p>(part: &'p Part<'_>) -> Option<&'p Text<'p>> {
    if let Part::Text { text, .. } = part { Some(text) } else { None }
}

fn refused<'p>(part: &'p Part<'_>) -> Option<&'p Text<'p>> {
    if let Part::Refusal { text } = part { Some(text) } else { None }
}

fn thought<'p>(part: &'p Part<'_>) -> Option<&'p Text<'p>> {
    if let Part::Reasoning { text, .. } = part { Some(text) } else { None }
}

fn write_calls(parts: &[Part<'_>], calls: &mut Array<'_>) {
    for part in parts {
        let Part::ToolCall { id, name, arguments, .. } = part else { continue };
        calls.object(|call| {
            call.text("id", id).string("type", "function").object("function", |function| {
                function.text("name", name).text("arguments", &arguments.quoted());
            });
        });
    }
}

/// Citations count characters of their own block; the caller sees all blocks as one text.
fn write_citations(parts: &[Part<'_>], annotations: &mut Array<'_>) {
    let mut before = 0;
    for part in parts {
        let Part::Text { text, citations, .. } = part else { continue };
        for citation in citations {
            write_citation(citation, before, annotations);
        }
        before += text.characters();
    }
}
