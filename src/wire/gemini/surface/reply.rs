//! Writes what a caller of `generateContent` gets: a whole answer, and the pieces that a stream shares with it.

use crate::chat::{Answer, Arguments, Choice, Citation, EndKind, EndReason, Media, Part, Signature};
use crate::json::{Array, Object, Text};
use crate::wire::carried::Owner;
use crate::wire::gemini::SIGNATURE_FORMAT;
use crate::wire::{Closing, Naming};

use super::{logprobs, usage};

/// Writes a whole answer.
#[must_use]
pub fn write_answer(answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut response = Object::open(&mut out);
    response.array("candidates", |candidates| {
        for choice in &answer.choices {
            candidates.object(|candidate| write_candidate(choice, naming, candidate));
        }
    });
    response.object("usageMetadata", |object| usage::write(closing, object));
    write_names(&answer.id, &answer.model, naming, &mut response);
    if let Some(latchkey) = &closing.latchkey {
        response.raw("latchkey", latchkey);
    }
    response.close();
    out
}

/// Writes `modelVersion` and `responseId`.
pub(super) fn write_names(id: &Text<'_>, model: &Text<'_>, naming: &Naming, response: &mut Object<'_>) {
    if model.is_empty() {
        response.string("modelVersion", &naming.model);
    } else {
        response.text("modelVersion", model);
    }
    if id.is_empty() {
        response.string("responseId", &naming.fallback_id);
    } else {
        response.text("responseId", id);
    }
}

fn write_candidate(choice: &Choice<'_>, naming: &Naming, candidate: &mut Object<'_>) {
    candidate.object("content", |content| {
        content.array("parts", |parts| {
            choice.parts.iter().for_each(|part| write_part(part, naming, parts));
            for media in &choice.media {
                parts.object(|part| write_media(media, part));
            }
        });
        content.string("role", "model");
    });
    let refusal = choice.parts.iter().find_map(|part| match part {
        Part::Refusal { text } => Some(text),
        _ => None,
    });
    write_end(&choice.end, refusal, candidate);
    candidate.number("index", choice.index);
    if let Some(given) = &choice.logprobs {
        logprobs::write(given, candidate);
    }
    let citations = choice.parts.iter().filter_map(|part| match part {
        Part::Text { citations, .. } => Some(citations),
        _ => None,
    });
    write_sources(citations.flatten(), candidate);
}

/// Writes `finishReason`, and why where the model refused.
pub(super) fn write_end(end: &EndReason<'_>, refusal: Option<&Text<'_>>, candidate: &mut Object<'_>) {
    let own = end.raw.as_ref().map(Text::escaped).filter(|raw| is_own_word(raw));
    let reason = match (end.kind, own) {
        _ if refusal.is_some() && end.kind != EndKind::ContentFilter => "SAFETY",
        (_, Some(own)) => own,
        (EndKind::Stop | EndKind::ToolCalls | EndKind::Paused | EndKind::Other, _) => "STOP",
        (EndKind::Length, _) => "MAX_TOKENS",
        (EndKind::ContentFilter, _) => "SAFETY",
        (EndKind::Error, _) => "OTHER",
    };
    candidate.string("finishReason", reason);
    if let Some(text) = refusal {
        candidate.text("finishMessage", text);
    }
}

/// Whether a vendor's word is one of this protocol's, which are in capitals.
fn is_own_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn write_part(part: &Part<'_>, naming: &Naming, parts: &mut Array<'_>) {
    let carried =
        |signature: &Option<Signature<'_>>| signature.as_ref().map(|signature| carry(signature, naming).into_owned());
    match part {
        Part::Text { text, signature, .. } if !text.is_empty() || signature.is_some() => {
            parts.object(|part| write_words(text, false, carried(signature).as_ref(), part));
        }
        Part::Reasoning { text, signature } if !naming.hide_reasoning && (!text.is_empty() || signature.is_some()) => {
            parts.object(|part| write_words(text, true, carried(signature).as_ref(), part));
        }
        Part::ToolCall { id, name, arguments, signature } => {
            parts.object(|part| write_call(id, name, arguments, carried(signature).as_ref(), part));
        }
        _ => {}
    }
}

/// What a signature is carried in: the token itself where it is this protocol's own.
pub(super) fn carry<'s>(signature: &'s Signature<'_>, naming: &Naming) -> Text<'s> {
    naming.carrier.wrap(signature, SIGNATURE_FORMAT, &Owner::Here)
}

/// Writes the members of a part of words.
pub(super) fn write_words(text: &Text<'_>, thought: bool, signature: Option<&Text<'_>>, part: &mut Object<'_>) {
    part.text("text", text);
    if thought {
        part.boolean("thought", true);
    }
    write_signature(signature, part);
}

/// Writes the members of a part that is a call.
pub(super) fn write_call(
    id: &Text<'_>,
    name: &Text<'_>,
    arguments: &Arguments<'_>,
    signature: Option<&Text<'_>>,
    part: &mut Object<'_>,
) {
    part.object("functionCall", |call| {
        call.text("id", id).text("name", name);
        match arguments.object() {
            Ok(args) => call.raw("args", &args),
            // The model wrote no object; what it wrote is not lost.
            Err(_) => call.object("args", |args| {
                args.text("invalid_json", &arguments.quoted());
            }),
        };
    });
    write_signature(signature, part);
}

fn write_signature(signature: Option<&Text<'_>>, part: &mut Object<'_>) {
    if let Some(signature) = signature {
        part.text("thoughtSignature", signature);
    }
}

/// Writes the members of a part that is a picture or sound.
pub(super) fn write_media(media: &Media<'_>, part: &mut Object<'_>) {
    part.object("inlineData", |data| {
        data.text("mimeType", &media.media_type).text("data", &media.data);
    });
}

/// Writes the sources that an answer names, without places: those count bytes here and characters elsewhere.
pub(super) fn write_sources<'c>(citations: impl Iterator<Item = &'c Citation<'c>>, candidate: &mut Object<'_>) {
    let mut pages = citations.filter(|citation| citation.url.is_some()).peekable();
    if pages.peek().is_none() {
        return;
    }
    candidate.object("groundingMetadata", |metadata| {
        metadata.array("groundingChunks", |chunks| {
            for page in pages {
                chunks.object(|chunk| {
                    chunk.object("web", |web| {
                        if let Some(url) = &page.url {
                            web.text("uri", url);
                        }
                        if let Some(title) = &page.title {
                            web.text("title", title);
                        }
                    });
                });
            }
        });
    });
}
