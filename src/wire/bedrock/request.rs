//! Requests.
//!
//! The same prefix of a conversation gives the same bytes, so that prompt caches hit.

mod blocks;
mod media;
mod native;
mod sampling;
mod tools;

use native::Native;

use crate::chat::{OutputShape, Request};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::provider::{ModelFacts, OwnThinking, ReasoningControl, percent_encoded};
use crate::wire::anthropic::request::shape::{self, Shape};
use crate::wire::anthropic::request::thinking::{self, Obstacles, Thinking};
use crate::wire::anthropic::request::turns::{self, Conversation, Speaker};
use crate::wire::anthropic::request::{names, tools as choices};
use crate::wire::{Adjusted, Change, Format, Outgoing, Target, losses};

pub use media::{links_to_inline, media_type};

/// The longest id of a call and name of a tool.
const LONGEST_NAME: usize = 64;
/// What a thinking budget is a part of where neither the caller nor the catalogue says how long answers may be.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Writes a request.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the caller's field, where the model cannot serve it.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    losses::give_up(Format::Bedrock, request, adjusted)?;
    // Instructions stand apart in this protocol, whatever the model takes elsewhere.
    let facts = &ModelFacts { system_anywhere: false, ..target.facts.clone() };
    let target = &Target { facts, ..*target };
    let shape = shape::of(&request.output, facts, adjusted)?;
    let mut choice = choices::choose(request, &shape, facts, adjusted)?;
    let conversation = turns::order(request, target, LONGEST_NAME, adjusted)?;
    tools::settle(&mut choice, &conversation, adjusted);
    let native = Native::of(request, adjusted);
    let thinking = think(request, facts, &choice, &conversation, &native, adjusted);

    let mut out = Vec::with_capacity(2048);
    let mut body = Object::open(&mut out);
    let cap = sampling::max_tokens(request, facts, thinking, adjusted);
    let top_k = sampling::write(request, facts, thinking, cap, adjusted, &mut body)?;
    native.write(request, facts, thinking, top_k, &mut body);
    native.write_labels(request, adjusted, &mut body)?;
    if let Shape::Native(schema) = &shape {
        write_shape(&request.output, schema, &mut body);
    }
    tools::write(request, &shape, &choice, &conversation, facts, adjusted, &mut body)?;
    let mut writer = blocks::Writer::new(target, adjusted);
    write_conversation(request, &conversation, choice.instruction.as_deref(), &mut writer, &mut body)?;
    body.close();
    let method = if request.stream { "converse-stream" } else { "converse" };
    let path = format!("/model/{}/{method}", percent_encoded(target.model));
    Ok(Outgoing { path, headers: Vec::new(), body: out })
}

/// How much the model is asked to think, where it is known how to ask it.
fn think(
    request: &Request<'_>,
    facts: &ModelFacts,
    choice: &choices::Choice<'_>,
    conversation: &Conversation<'_>,
    native: &Native<'_>,
    adjusted: &mut Adjusted,
) -> Thinking {
    if native.asks_to_think() {
        return Thinking::Unsaid;
    }
    let obstacles = Obstacles {
        forced_tool: choice.is_forced(),
        prefill: conversation.is_prefilled(),
        unthought_call: conversation.has_unthought_call(),
    };
    let most = request.max_output_tokens.or(facts.max_output).unwrap_or(DEFAULT_MAX_TOKENS);
    let control = if facts.own_thinking == OwnThinking::Unknown { ReasoningControl::None } else { facts.reasoning };
    let facts = ModelFacts { reasoning: control, ..facts.clone() };
    thinking::decide(request.reasoning.as_ref(), &facts, obstacles, most, adjusted)
}

/// The protocol's own way of holding text to a schema, which goes as text itself
/// (`bedrock.structured.cad74ff27e`).
fn write_shape(output: &OutputShape<'_>, schema: &Raw<'_>, body: &mut Object<'_>) {
    let OutputShape::JsonSchema { name, description, .. } = output else { return };
    body.object("outputConfig", |config| {
        config.object("textFormat", |format| {
            format.string("type", "json_schema").object("structure", |structure| {
                structure.object("jsonSchema", |json| {
                    json.string("name", &names::clean_to(&name.decode(), LONGEST_NAME));
                    if let Some(description) = description {
                        json.text("description", description);
                    }
                    json.text("schema", &Text::escape(schema.get()));
                });
            });
        });
    });
}

fn write_conversation(
    request: &Request<'_>,
    conversation: &Conversation<'_>,
    instruction: Option<&str>,
    writer: &mut blocks::Writer<'_>,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    if !conversation.system.is_empty() || instruction.is_some() {
        let mut system = Array::open(body.key("system"));
        writer.instructions(&conversation.system, &mut system)?;
        if let Some(instruction) = instruction {
            blocks::write_text(&Text::escape(instruction), &mut system);
        }
        system.close();
    }
    let mut messages = Array::open(body.key("messages"));
    let turns = conversation.turns.len();
    for (at, turn) in conversation.turns.iter().enumerate() {
        let is_last = at + 1 == turns;
        let mut message = Object::open(messages.item());
        message.string("role", if turn.speaker == Speaker::Assistant { "assistant" } else { "user" });
        let mut content = Array::open(message.key("content"));
        writer.blocks(turn, is_last && turn.speaker == Speaker::Assistant, &mut content)?;
        if let (true, Some(mark)) = (is_last, request.cache) {
            writer.mark(mark, &mut content);
        }
        content.close();
        message.close();
    }
    messages.close();
    Ok(())
}

/// Notes that the conversation was changed to fit the protocol.
fn changed(adjusted: &mut Adjusted) {
    adjusted.note("messages", Change::Changed);
}
