//! Requests.
//!
//! The same prefix of a conversation gives the same bytes, so that prompt caches hit.

mod input;
mod tools;

use crate::chat::{OutputShape, Request};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text};
use crate::provider::Capabilities;
use crate::wire::losses::{GATEWAY, lose};
use crate::wire::openai_chat::{TIERS, is_off, known_tier, level, user_name};
use crate::wire::{Adjusted, Change, Format, Outgoing, Target, structured};

use super::PATH;

/// The least that may be asked for: "integer below minimum value. Expected a value >= 16".
const LEAST_OUTPUT: u64 = 16;
/// Top-level fields of this protocol that are passed on.
const FIELDS: &[&str] =
    &["prompt_cache_retention", "safety_identifier", "truncation", "max_tool_calls", "context_management"];

/// Writes a request.
///
/// # Errors
/// `Unsupported`, naming the caller's field, where the target would leave out what the caller relies on.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    give_up(request, adjusted)?;
    let mut out = Vec::with_capacity(2048);
    let mut writing = Writing { object: Object::open(&mut out), target, adjusted };
    writing.object.string("model", target.model);
    input::write(request, target, writing.adjusted, writing.object.key("input"))?;
    tools::write(request, writing.adjusted, &mut writing.object)?;
    writing.shape(request)?;
    writing.sampling(request)?;
    writing.reasoning(request);
    writing.rest(request)?;
    writing.object.close();
    Ok(Outgoing { path: PATH.to_owned(), headers: Vec::new(), body: out })
}

/// Gives up what this protocol has no word for.
fn give_up(request: &Request<'_>, adjusted: &mut Adjusted) -> Result<(), Failure> {
    let sampling = &request.sampling;
    let says = |raw: &Option<Raw<'_>>| raw.as_ref().is_some_and(|raw| !raw.is_null() && *raw != Raw::EMPTY_OBJECT);
    let lost = [
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("stop", !sampling.stop.is_empty()),
        ("modalities", request.modalities.iter().any(|modality| !modality.is("text"))),
        ("audio", request.audio.is_some()),
        ("top_k", says(&sampling.top_k)),
        ("min_p", says(&sampling.min_p)),
        ("frequency_penalty", says(&sampling.frequency_penalty)),
        ("presence_penalty", says(&sampling.presence_penalty)),
        ("repetition_penalty", says(&sampling.repetition_penalty)),
        ("logit_bias", says(&sampling.logit_bias)),
        ("seed", says(&sampling.seed)),
        ("prediction", says(&request.prediction)),
        ("cache_control", request.cache.is_some() || input::has_marks(request)),
        ("name", request.messages.iter().any(|message| message.name.is_some())),
    ];
    for (parameter, _) in lost.into_iter().filter(|(_, lost)| *lost) {
        lose(Format::OpenAiResponses, parameter, adjusted)?;
    }
    Ok(())
}

struct Writing<'w> {
    object: Object<'w>,
    target: &'w Target<'w>,
    adjusted: &'w mut Adjusted,
}

impl Writing<'_> {
    fn shape(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        let verbosity = request.unknown.iter().find(|(name, _)| name == "verbosity").map(|(_, value)| value);
        if request.output == OutputShape::Text && verbosity.is_none() {
            return Ok(());
        }
        let wanted = match &request.output {
            OutputShape::JsonSchema { schema, .. } => schema.as_ref(),
            _ => None,
        };
        let wanted = wanted.map(|schema| structured::answer_schema(Some(schema), self.adjusted)).transpose()?;
        self.object.object("text", |text| {
            if let Some(verbosity) = verbosity {
                text.raw("verbosity", verbosity);
            }
            match &request.output {
                OutputShape::Text => {}
                OutputShape::JsonObject => {
                    text.object("format", |format| {
                        format.string("type", "json_object");
                    });
                }
                OutputShape::JsonSchema { name, description, strict, .. } => {
                    text.object("format", |format| {
                        format.string("type", "json_schema").text("name", name);
                        if let Some(description) = description {
                            format.text("description", description);
                        }
                        format.boolean("strict", strict.unwrap_or(false));
                        format.raw("schema", wanted.as_ref().unwrap_or(&Raw::EMPTY_OBJECT));
                    });
                }
            }
        });
        Ok(())
    }

    fn sampling(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        let (sampling, facts) = (&request.sampling, self.target.facts);
        let thinks = match &request.reasoning {
            Some(wish) => !is_off(wish),
            None => facts.thinks_unasked,
        };
        let refused = facts.sampling.refused(thinks, sampling.temperature.is_some());
        for (key, value) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
            match value {
                Some(_) if refused.contains(&key) => lose(Format::OpenAiResponses, key, self.adjusted)?,
                Some(value) => drop(self.object.raw(key, value)),
                None => {}
            }
        }
        if let Some(top) = sampling.top_logprobs.or(sampling.logprobs.filter(|wanted| *wanted).map(|_| 0)) {
            self.object.number("top_logprobs", top);
        }
        Ok(())
    }

    /// How much is thought, and whether it is shown: a summary is made only for callers who asked to see it.
    fn reasoning(&mut self, request: &Request<'_>) {
        let facts = self.target.facts;
        let knows = facts.capabilities.is_some_and(|can| can.has(Capabilities::REASONING)) || facts.thinks_unasked;
        let mut include: Vec<&str> = Vec::new();
        // Models that do not think refuse to be asked for it.
        if knows || (facts.capabilities.is_none() && request.reasoning.is_some()) {
            include.push("reasoning.encrypted_content");
        }
        if request.sampling.logprobs == Some(true) || request.sampling.top_logprobs.is_some() {
            include.push("message.output_text.logprobs");
        }
        if !include.is_empty() {
            self.object.array("include", |list| {
                for word in include {
                    list.text(&Text::from_escaped(word));
                }
            });
        }
        let Some(wish) = &request.reasoning else { return };
        if facts.never_thinks() {
            if wish.enabled == Some(true) || wish.effort.is_some_and(|effort| effort != crate::chat::Effort::None) {
                self.adjusted.note("reasoning", Change::Dropped);
            }
            return;
        }
        let effort = level(wish, facts, self.adjusted);
        let shown = !wish.exclude && (wish.enabled == Some(true) || wish.max_tokens.is_some());
        if effort.is_none() && !shown {
            return;
        }
        self.object.object("reasoning", |reasoning| {
            if let Some(effort) = effort {
                reasoning.string("effort", effort.as_str());
            }
            if shown {
                reasoning.string("summary", "auto");
            }
        });
    }

    fn rest(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        if let Some(wanted) = request.max_output_tokens {
            let cap = wanted.min(self.target.most_output()).max(LEAST_OUTPUT);
            if cap != wanted {
                self.adjusted.note("max_tokens", Change::Clamped);
            }
            self.object.number("max_output_tokens", cap);
        }
        if request.stream {
            self.object.boolean("stream", true);
        }
        let user = request.user.as_ref().map(|user| user_name(user, self.adjusted));
        let quirks = self.target.quirks;
        let known = |tier: &&Text<'_>| known_tier(tier.escaped(), TIERS, quirks, self.adjusted);
        let words = [
            ("service_tier", request.service_tier.as_ref().filter(known)),
            ("user", user.as_ref()),
            ("prompt_cache_key", request.prompt_cache_key.as_ref()),
        ];
        for (key, value) in words {
            let Some(value) = value else { continue };
            if self.target.quirks.refuses.contains(&key) {
                lose(Format::OpenAiResponses, key, self.adjusted)?;
            } else {
                self.object.text(key, value);
            }
        }
        if let Some(metadata) = &request.metadata {
            self.object.raw("metadata", metadata);
        }
        let mut store = None;
        for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_ref() {
                "store" => store = value.boolean(),
                "verbosity" => {}
                name if GATEWAY.contains(&name) => {}
                name if FIELDS.contains(&name) => drop(self.object.raw(name, value)),
                name => lose(Format::OpenAiResponses, name.to_owned(), self.adjusted)?,
            }
        }
        // Kept is what somebody asked to be kept.
        self.object.boolean("store", store.unwrap_or(false));
        Ok(())
    }
}
