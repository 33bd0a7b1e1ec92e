//! Writes what a caller of `/v2/chat` gets: a whole answer, and the pieces that a stream shares with it.

use crate::chat::{Answer, Arguments, Citation, EndKind, EndReason, Part};
use crate::json::{Array, Object, Text};
use crate::wire::carried::Owner;
use crate::wire::{Closing, Naming};

use super::trailer::Trailer;
use super::usage;

/// Writes a whole answer. Of several choices the first is told: there is one here.
#[must_use]
pub fn write_answer(answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut response = Object::open(&mut out);
    write_id(&answer.id, naming, &mut response);
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    response.object("message", |message| write_message(parts, naming, message));
    let plain = EndReason::plain(EndKind::Other);
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    response.string("finish_reason", finish_reason(choice.map_or(&plain, |choice| &choice.end), calls));
    response.object("usage", |object| usage::write(closing, object));
    if let Some(latchkey) = &closing.latchkey {
        response.raw("latchkey", latchkey);
    }
    response.close();
    out
}

pub(super) fn write_id(id: &Text<'_>, naming: &Naming, response: &mut Object<'_>) {
    if id.is_empty() {
        response.string("id", &naming.fallback_id);
    } else {
        response.text("id", id);
    }
}

fn write_message(parts: &[Part<'_>], naming: &Naming, message: &mut Object<'_>) {
    message.string("role", "assistant");
    let shown = |part: &&Part<'_>| match part {
        Part::Text { text, .. } | Part::Refusal { text } | Part::Reasoning { text, .. } => !text.is_empty(),
        _ => false,
    };
    let contents = || parts.iter().filter(shown);
    if contents().next().is_some() {
        message.array("content", |content| {
            contents().for_each(|part| {
                content.object(|block| match part {
                    Part::Reasoning { text, .. } => {
                        block.string("type", "thinking").text("thinking", text);
                    }
                    Part::Text { text, .. } | Part::Refusal { text } => {
                        block.string("type", "text").text("text", text);
                    }
                    _ => {}
                });
            });
        });
    }
    let calls = || parts.iter().filter(|part| matches!(part, Part::ToolCall { .. }));
    if calls().next().is_some() {
        message.array("tool_calls", |array| write_calls(parts, naming, array));
    }
    let cited = contents().enumerate().filter_map(|(at, part)| match part {
        Part::Text { citations, .. } => Some((at, citations)),
        _ => None,
    });
    let mut cited = cited.flat_map(|(at, citations)| citations.iter().map(move |citation| (at, citation))).peekable();
    if cited.peek().is_some() {
        message.array("citations", |array| {
            cited.for_each(|(at, citation)| {
                array.object(|object| write_citation(at, citation, object));
            });
        });
    }
}

/// Calls, which carry what was signed before them.
fn write_calls(parts: &[Part<'_>], naming: &Naming, array: &mut Array<'_>) {
    let mut trailer = Trailer::default();
    for part in parts {
        match part {
            Part::Text { signature: Some(signature), .. } => trailer.push(signature, &Owner::Text, &naming.carrier),
            Part::Reasoning { text, signature: Some(signature) } => {
                let owner = if text.is_empty() { Owner::Here } else { Owner::Thought };
                trailer.push(signature, &owner, &naming.carrier);
            }
            Part::ToolCall { id, name, arguments, signature } => {
                if let Some(signature) = signature {
                    trailer.push(signature, &Owner::Call(id.decode().into_owned()), &naming.carrier);
                }
                array.object(|call| write_call(&trailer.on(id), name, arguments, call));
            }
            _ => {}
        }
    }
}

/// Writes the members of a call.
pub(super) fn write_call(id: &Text<'_>, name: &Text<'_>, arguments: &Arguments<'_>, call: &mut Object<'_>) {
    call.text("id", id).string("type", "function").object("function", |function| {
        function.text("name", name).text("arguments", &arguments.quoted());
    });
}

/// Writes the members of a source: a document that is known by its address or title.
pub(super) fn write_citation(at: usize, citation: &Citation<'_>, object: &mut Object<'_>) {
    object.number("start", citation.start.unwrap_or(0)).number("end", citation.end.unwrap_or(0));
    object.array("sources", |sources| {
        sources.object(|source| {
            let id = citation.url.as_ref().or(citation.title.as_ref()).map_or_else(|| Text::EMPTY, Text::borrowed);
            source.string("type", "document").text("id", &id).object("document", |document| {
                for (key, value) in [("url", &citation.url), ("title", &citation.title), ("text", &citation.quote)] {
                    if let Some(value) = value {
                        document.text(key, value);
                    }
                }
            });
        });
    });
    object.number("content_index", at).string("type", "TEXT_CONTENT");
}

/// Why the answer ended.
pub(super) fn finish_reason(end: &EndReason<'_>, calls: bool) -> &'static str {
    let raw = end.raw.as_ref().map(Text::decode).unwrap_or_default();
    match end.kind {
        EndKind::ToolCalls => "TOOL_CALL",
        EndKind::Stop | EndKind::Other if calls => "TOOL_CALL",
        EndKind::Stop if matches!(&*raw, "STOP_SEQUENCE" | "stop_sequence") || end.stop.is_some() => "STOP_SEQUENCE",
        EndKind::Length => "MAX_TOKENS",
        EndKind::ContentFilter => "ERROR_TOXIC",
        EndKind::Error => "ERROR",
        EndKind::Stop | EndKind::Paused | EndKind::Other => "COMPLETE",
    }
}
