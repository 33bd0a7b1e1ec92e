//! Requests.
//!
//! The same prefix of a conversation gives the same bytes, so that prompt caches hit: nothing here depends on what
//! comes later in it, except that the instructions may gain a last sentence of ours.

mod blocks;
pub(in crate::wire) mod names;
mod native;
mod sampling;
pub(in crate::wire) mod shape;
mod signer;
pub(in crate::wire) mod thinking;
pub(in crate::wire) mod tools;
pub(in crate::wire) mod turns;

#[cfg(test)]
mod tests;

use native::Native;
use shape::Shape;
use thinking::Obstacles;
use tools::Choice;
use turns::{Conversation, Speaker};

use super::hosting;
use crate::chat::{Effort, Request};
use crate::failure::Failure;
use crate::json::{Array, Object, Text};
use crate::wire::{Adjusted, Change, Format, Outgoing, Target, losses};

/// The limit of output tokens where neither the caller nor the catalogue says one: it may not be left out, and even the
/// oldest models give this many.
pub(in crate::wire) const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Writes a request.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the caller's field, where the model cannot serve it.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    losses::give_up(Format::Anthropic, request, adjusted)?;
    let facts = target.facts;
    let max_tokens = max_tokens(request, target, adjusted);
    let shape = shape::of(&request.output, facts, adjusted)?;
    let choice = tools::choose(request, &shape, facts, adjusted)?;
    let conversation = turns::order(request, target, names::LONGEST_NAME, adjusted)?;
    let mut native = Native::of(request, adjusted);
    let obstacles = Obstacles {
        forced_tool: choice.is_forced(),
        prefill: conversation.is_prefilled(),
        unthought_call: conversation.has_unthought_call(),
    };
    let thinking = thinking::decide(request.reasoning.as_ref(), facts, obstacles, max_tokens, adjusted);

    let mut out = Vec::with_capacity(estimate(request));
    let mut body = Object::open(&mut out);
    hosting::open(target, max_tokens, request.stream, &mut body);
    sampling::write(&request.sampling, facts, thinking, adjusted, &mut body)?;
    thinking.write(&mut body);
    let format = if let Shape::Native(schema) = &shape { Some(schema) } else { None };
    native.write_output_config(thinking.effort().map(Effort::as_str), format, &mut body);
    native.write(&mut body);
    write_labels(request, &native, adjusted, &mut body)?;
    blocks::write_cache(request.cache, &mut body);
    if tools::write(request, &shape, facts, adjusted, &mut body)? {
        choice.write(&mut body);
    } else {
        tools::write_called(&conversation.called(names::LONGEST_NAME), &mut body);
    }
    let mut writer = blocks::Writer { target, adjusted, needs_files: false };
    write_conversation(&conversation, &choice, &mut writer, &mut body)?;
    if writer.needs_files {
        native.betas.push(blocks::FILES_BETA.to_owned());
    }
    let betas = hosting::betas(native.betas);
    let headers = hosting::close(target, betas, &mut body);
    body.close();
    let at = target.quirks.hosting;
    let body = hosting::marked(at, facts, out, adjusted);
    Ok(Outgoing { path: hosting::path(at, target.model, request.stream), headers, body })
}

/// What the caller allows, what the model can give, or [`DEFAULT_MAX_TOKENS`].
fn max_tokens(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> u64 {
    match (request.max_output_tokens, target.facts.max_output) {
        // More than the model has is a 400, and would not be used.
        (Some(wanted), Some(most)) if wanted > most => {
            adjusted.note("max_tokens", Change::Clamped);
            most
        }
        (Some(wanted), _) => wanted,
        (None, most) => most.unwrap_or(DEFAULT_MAX_TOKENS),
    }
}

/// The end user and the service tier.
fn write_labels(
    request: &Request<'_>,
    native: &Native<'_>,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    if let Some(user) = request.user.as_ref().or(native.safety_identifier.as_ref()) {
        body.object("metadata", |metadata| {
            metadata.text("user_id", user);
        });
    }
    match request.service_tier.as_ref().map(Text::escaped) {
        None => {}
        Some("auto") => {
            body.string("service_tier", "auto");
        }
        Some("default" | "standard" | "standard_only") => {
            body.string("service_tier", "standard_only");
        }
        // Priority capacity is bought ahead, and used by `auto` where there is some.
        Some("priority") => {
            adjusted.note("service_tier", Change::Changed);
            body.string("service_tier", "auto");
        }
        Some(_) => losses::lose(Format::Anthropic, "service_tier", adjusted)?,
    }
    Ok(())
}

fn write_conversation(
    conversation: &Conversation<'_>,
    choice: &Choice<'_>,
    writer: &mut blocks::Writer<'_>,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    if !conversation.system.is_empty() || choice.instruction.is_some() {
        let mut system = Array::open(body.key("system"));
        writer.instructions(&conversation.system, &mut system)?;
        if let Some(instruction) = &choice.instruction {
            blocks::write_text(&Text::escape(instruction), None, system.item());
        }
        system.close();
    }
    let mut messages = Array::open(body.key("messages"));
    for (at, turn) in conversation.turns.iter().enumerate() {
        let mut message = Object::open(messages.item());
        message.string(
            "role",
            match turn.speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
                Speaker::System => "system",
            },
        );
        let to_be_continued = turn.speaker == Speaker::Assistant && at + 1 == conversation.turns.len();
        let content = message.key("content");
        if turn.speaker == Speaker::System {
            let mut array = Array::open(content);
            writer.instructions(&turn.blocks, &mut array)?;
            array.close();
        } else {
            writer.blocks(&turn.blocks, to_be_continued, content)?;
        }
        message.close();
    }
    messages.close();
    Ok(())
}

/// About as many bytes as the body will have, so that it grows in one piece.
fn estimate(request: &Request<'_>) -> usize {
    fn of(parts: &[crate::chat::Part<'_>]) -> usize {
        use crate::chat::{Part, Source};
        parts.iter().fold(0, |sum, part| {
            sum + 96
                + match part {
                    Part::Text { text, .. } | Part::Reasoning { text, .. } => text.escaped().len(),
                    Part::Image { source: Source::Inline { data, .. }, .. }
                    | Part::File { source: Source::Inline { data, .. }, .. } => data.escaped().len(),
                    Part::ToolResult { parts, .. } => of(parts),
                    _ => 160,
                }
        })
    }
    1024 + 512 * request.tools.len() + request.messages.iter().map(|message| of(&message.parts)).sum::<usize>()
}
