//! Fields of this very protocol that a caller put beside the others, and those of the model behind it.

use crate::chat::{Effort, Request};
use crate::failure::Failure;
use crate::json::{Members, Object, Raw, Text};
use crate::provider::{ModelFacts, OwnThinking};
use crate::wire::anthropic::request::thinking::Thinking;
use crate::wire::losses::GATEWAY;
use crate::wire::{Adjusted, Change, Format, losses};

/// Top-level fields that are passed on.
const FIELDS: &[&str] =
    &["guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths"];
/// Fields of the model's own protocol.
const OWN: &str = "additionalModelRequestFields";
/// Labels that the provider keeps: at most so many.
const MOST_LABELS: usize = 16;

/// What the caller wrote in this protocol's own words.
#[derive(Debug, Default)]
pub(super) struct Native<'r> {
    fields: Vec<(&'r str, &'r Raw<'r>)>,
    own: Vec<(String, Raw<'r>)>,
}

impl<'r> Native<'r> {
    /// Sorts the fields that the hub does not model; those that mean nothing here are dropped.
    pub fn of(request: &'r Request<'r>, adjusted: &mut Adjusted) -> Native<'r> {
        let mut native = Native::default();
        for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_ref() {
                OWN => match value.read_borrowed::<Members<'_>>() {
                    Ok(Members(members)) => native.own = members,
                    Err(_) => adjusted.note(OWN, Change::Dropped),
                },
                name if GATEWAY.contains(&name) => {}
                "store" if value.boolean() == Some(false) => {}
                name if FIELDS.contains(&name) => native.fields.push((name, value)),
                // What the model's own protocol has at its top level.
                name @ ("thinking" | "output_config" | "anthropic_beta" | "reasoningConfig") => {
                    native.own.push((name.to_owned(), value.borrowed()));
                }
                name => adjusted.note(name.to_owned(), Change::Dropped),
            }
        }
        native
    }

    /// Whether the caller says in the model's own words how it is to think.
    pub fn asks_to_think(&self) -> bool {
        let words = ["thinking", "reasoning_effort", "reasoningConfig"];
        self.own.iter().any(|(name, _)| words.contains(&name.as_str()))
    }

    /// Writes them, and ours beside those of the caller's that are for the model.
    pub fn write(
        &self,
        request: &Request<'_>,
        facts: &ModelFacts,
        thinking: Thinking,
        top_k: Option<&Raw<'_>>,
        body: &mut Object<'_>,
    ) {
        for (name, value) in &self.fields {
            body.raw(name, value);
        }
        // Whoever asks for thinking without saying how much gets the usual.
        let effort = thinking.effort().or(request.reasoning.as_ref().map(|_| Effort::Medium));
        let says = match facts.own_thinking {
            OwnThinking::Thinking => thinking != Thinking::Unsaid,
            OwnThinking::Unknown | OwnThinking::Effort | OwnThinking::Config => thinking.is_on(),
        };
        if self.own.is_empty() && top_k.is_none() && !says {
            return;
        }
        body.object(OWN, |own| {
            for (name, value) in &self.own {
                own.raw(Text::escape(name).escaped(), value);
            }
            if let Some(top_k) = top_k {
                own.raw("top_k", top_k);
            }
            match (facts.own_thinking, thinking.is_on(), effort) {
                (OwnThinking::Thinking, ..) => write_thinking(thinking, own),
                (OwnThinking::Effort, true, Some(effort)) => {
                    own.string("reasoning_effort", effort.as_str());
                }
                (OwnThinking::Config, true, Some(effort)) => {
                    own.object("reasoningConfig", |config| {
                        config.string("type", "enabled").string("maxReasoningEffort", effort.as_str());
                    });
                }
                _ => {}
            }
        });
    }

    /// Labels and the service tier.
    ///
    /// # Errors
    /// Never: both losses are harmless.
    pub fn write_labels(
        &self,
        request: &Request<'_>,
        adjusted: &mut Adjusted,
        body: &mut Object<'_>,
    ) -> Result<(), Failure> {
        if let Some(metadata) = request.metadata.as_ref().filter(|metadata| !metadata.is_null()) {
            let members = metadata.read_borrowed::<Members<'_>>().map(|members| members.0).unwrap_or_default();
            let is_label = |value: &Raw<'_>| value.text().is_some_and(|text| text.escaped().len() <= 256);
            if members.len() <= MOST_LABELS && members.iter().all(|(_, value)| is_label(value)) {
                body.raw("requestMetadata", metadata);
            } else {
                losses::lose(Format::Bedrock, "metadata", adjusted)?;
            }
        }
        match request.service_tier.as_ref().map(Text::escaped) {
            None | Some("auto") => {}
            Some(tier @ ("default" | "flex" | "priority" | "reserved")) => {
                body.object("serviceTier", |object| {
                    object.string("type", tier);
                });
            }
            Some(_) => losses::lose(Format::Bedrock, "service_tier", adjusted)?,
        }
        Ok(())
    }
}

/// `thinking`, and the effort in an object of its own.
fn write_thinking(thinking: Thinking, own: &mut Object<'_>) {
    thinking.write(own);
    if let Some(effort) = thinking.effort() {
        own.object("output_config", |config| {
            config.string("effort", effort.as_str());
        });
    }
}
