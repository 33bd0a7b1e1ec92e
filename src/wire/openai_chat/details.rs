//! Writes `reasoning_details`: what a model thought and what its producer wants back, as OpenRouter has it.
//!
//! Callers send them back as they got them, so signatures survive a conversation. The signature of a tool call is an
//! encrypted detail with the call's id, that of the text one with the id `content`. What callers are shown is bound to the
//! target that signed it.

use crate::chat::{Part, Signature, SignatureRole};
use crate::json::{Array, Object, Text};

use super::read::TEXT_SIGNATURE_ID;
use crate::wire::carried::{self, Carrier};

/// Writes the details of a whole message, numbered in the order of its parts. With `hide_reasoning` only what calls
/// need to be taken back is shown. `carrier` binds what is signed; for an upstream it is one without keys.
pub(super) fn write(parts: &[Part<'_>], hide_reasoning: bool, carrier: &Carrier, details: &mut Array<'_>) {
    let mut index = 0;
    for part in parts {
        match part {
            Part::Reasoning { text, signature } if !hide_reasoning => {
                write_reasoning(text, signature.as_ref().filter(opened), index, carrier, details);
            }
            Part::ToolCall { id, signature: Some(signature), .. } if opened(&signature) => {
                write_encrypted(signature, Some(id), index, carrier, details)
            }
            Part::Text { signature: Some(signature), .. } if opened(&signature) => {
                write_encrypted(signature, Some(&Text::from_escaped(TEXT_SIGNATURE_ID)), index, carrier, details);
            }
            _ => continue,
        }
        index += 1;
    }
}

/// Whether [`write()`] would write anything.
pub(super) fn any(parts: &[Part<'_>], hide_reasoning: bool) -> bool {
    parts.iter().any(|part| match part {
        Part::Reasoning { .. } => !hide_reasoning,
        Part::ToolCall { signature, .. } | Part::Text { signature, .. } => {
            signature.as_ref().is_some_and(|it| opened(&it))
        }
        _ => false,
    })
}

/// Not one of another target's, which nobody can read here.
fn opened(signature: &&Signature<'_>) -> bool {
    !carried::is_sealed(signature)
}

fn write_reasoning(
    text: &Text<'_>,
    signature: Option<&Signature<'_>>,
    index: u64,
    carrier: &Carrier,
    details: &mut Array<'_>,
) {
    match signature {
        Some(signature) if signature.role == SignatureRole::Replaces => {
            if !text.is_empty() {
                details.object(|detail| {
                    detail.string("type", "reasoning.summary").text("summary", text);
                    write_format(signature, detail);
                    detail.number("index", index);
                });
            }
            write_encrypted(signature, signature.id.as_ref(), index, carrier, details);
        }
        _ => {
            details.object(|detail| {
                detail.string("type", "reasoning.text").text("text", text);
                write_proof(signature, carrier, detail);
                detail.number("index", index);
            });
        }
    }
}

/// A piece of a block's text.
pub(super) fn write_text_piece(text: &Text<'_>, index: u64, details: &mut Array<'_>) {
    details.object(|detail| {
        detail.string("type", "reasoning.text").text("text", text).number("index", index);
    });
}

/// The signature of a block whose text has been written: beside it, or the encrypted rest.
pub(super) fn write_signature(signature: &Signature<'_>, index: u64, carrier: &Carrier, details: &mut Array<'_>) {
    match signature.role {
        SignatureRole::Replaces => write_encrypted(signature, signature.id.as_ref(), index, carrier, details),
        SignatureRole::Signs => {
            details.object(|detail| {
                detail.string("type", "reasoning.text");
                write_proof(Some(signature), carrier, detail);
                detail.number("index", index);
            });
        }
    }
}

/// Something only its producer can read; `id` says what it belongs to.
pub(super) fn write_encrypted(
    signature: &Signature<'_>,
    id: Option<&Text<'_>>,
    index: u64,
    carrier: &Carrier,
    details: &mut Array<'_>,
) {
    details.object(|detail| {
        detail.string("type", "reasoning.encrypted").text("data", &carrier.bound(signature));
        if let Some(id) = id {
            detail.text("id", id);
        }
        write_format(signature, detail);
        detail.number("index", index);
    });
}

fn write_proof(signature: Option<&Signature<'_>>, carrier: &Carrier, detail: &mut Object<'_>) {
    let Some(signature) = signature else { return };
    detail.text("signature", &carrier.bound(signature));
    if let Some(id) = &signature.id {
        detail.text("id", id);
    }
    write_format(signature, detail);
}

fn write_format(signature: &Signature<'_>, detail: &mut Object<'_>) {
    if !signature.format.is_empty() {
        detail.text("format", &signature.format);
    }
}
