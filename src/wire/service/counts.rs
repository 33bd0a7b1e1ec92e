//! What was used, in whatever words a provider counts it.

use crate::chat::{Counted, Unit, Usage};
use crate::json::{Members, Raw};
use crate::provider::Quirks;
use crate::units::NanoUsd;

/// An object whose members are asked for by any of several names.
pub(super) struct Named<'a>(Vec<(String, Raw<'a>)>);

impl<'a> Named<'a> {
    pub(super) fn read(body: &'a [u8]) -> Option<Named<'a>> {
        let Members(members) = crate::json::from_slice(body).ok()?;
        Some(Named(members))
    }

    fn of(raw: &Raw<'a>) -> Option<Named<'a>> {
        let mut members = Vec::new();
        let walked = raw.cursor().members(|name, cursor| {
            members.push((name.into_owned(), cursor.value()?));
            Ok::<(), crate::json::SyntaxError>(())
        });
        walked.ok().map(|()| Named(members))
    }

    /// The last member of this name.
    pub(super) fn raw(&self, name: &str) -> Option<&Raw<'a>> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, raw)| raw)
    }

    /// The first of these that is a number.
    fn number(&self, names: &[&str]) -> Option<f64> {
        names.iter().find_map(|name| self.raw(name)?.number()).filter(|number| *number >= 0.0)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    pub(super) fn count(&self, names: &[&str]) -> Option<u64> {
        self.number(names).map(|number| number.ceil() as u64)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    pub(super) fn counted(&self, unit: Unit, names: &[&str]) -> Option<Counted> {
        self.number(names).map(|number| Counted { unit, thousandths: (number * 1_000.0).ceil() as u64 })
    }

    /// The first of these that is an object; an empty one where none is.
    pub(super) fn inner(&self, names: &[&str]) -> Named<'a> {
        names.iter().find_map(|name| Named::of(self.raw(name)?)).unwrap_or(Named(Vec::new()))
    }
}

/// Tokens and units of one answer, from its `usage`; `None` where it counts nothing.
///
/// Input includes what was cached, heard and seen, and output what was said; what `total_tokens` has beyond their sum
/// and is told as audio was left out of the prompt (`mistral.audio.0a46c31a25`). Where only a total is told, all of it
/// is input (`voyage.rerank.cda9925f13`).
///
/// Sources: <https://platform.openai.com/docs/api-reference/images/object>,
/// <https://platform.openai.com/docs/api-reference/audio/json-object>,
/// <https://platform.openai.com/docs/api-reference/realtime-server-events/response/done>.
#[must_use]
pub fn read_counts(usage: &Raw<'_>, quirks: &Quirks) -> Option<Usage> {
    let usage = usage.borrowed();
    let all = Named::of(&usage)?;
    if let Some(read) = counted_apart(&all) {
        return Some(read);
    }
    let output = all.count(&["completion_tokens", "output_tokens"]);
    let total = all.count(&["total_tokens"]);
    let input = all.count(&["prompt_tokens", "input_tokens"]);
    let input = input.or(total.map(|total| total.saturating_sub(output.unwrap_or(0))));
    let counted = all
        .counted(Unit::InputSecond, &["seconds", "prompt_audio_seconds", "billable_audio_seconds"])
        .or(all.counted(Unit::Query, &["search_units"]));
    let stated_cost = stated_cost(&all, quirks);
    if input.is_none() && output.is_none() && counted.is_none() && stated_cost.is_none() {
        return None;
    }
    let mut read = Usage { counted, stated_cost, ..Usage::default() };
    let sum = input.unwrap_or(0).saturating_add(output.unwrap_or(0));
    take_input(&all, input.unwrap_or(0), total.map_or(0, |total| total.saturating_sub(sum)), &mut read);
    take_output(&all, output.unwrap_or(0), &mut read);
    Some(read)
}

/// The counts of protocols whose parts do not include each other: Anthropic's, where input leaves out what the cache
/// gave or took (<https://platform.claude.com/docs/en/api/messages#usage>), and Gemini's, where the candidates leave out
/// the thoughts (<https://ai.google.dev/api/generate-content#UsageMetadata>).
fn counted_apart(all: &Named<'_>) -> Option<Usage> {
    let cached = all.count(&["cache_read_input_tokens"]);
    let written = all.count(&["cache_creation_input_tokens"]);
    if cached.or(written).is_some() && all.raw("prompt_tokens").is_none() {
        let hour = all.inner(&["cache_creation"]).count(&["ephemeral_1h_input_tokens"]).unwrap_or(0);
        return Some(Usage {
            input_fresh: all.count(&["input_tokens"]).unwrap_or(0),
            input_cache_read: cached,
            input_cache_write: written.map(|written| written.saturating_sub(hour)),
            input_cache_write_1h: Some(hour).filter(|hour| *hour > 0),
            output_text: all.count(&["output_tokens"]).unwrap_or(0),
            tool_requests: all.inner(&["server_tool_use"]).count(&["web_search_requests"]),
            ..Usage::default()
        });
    }
    let prompt = all.count(&["promptTokenCount"])?;
    let cached = all.count(&["cachedContentTokenCount"]);
    let tools = all.count(&["toolUsePromptTokenCount"]).unwrap_or(0);
    Some(Usage {
        input_fresh: prompt.saturating_add(tools).saturating_sub(cached.unwrap_or(0)),
        input_cache_read: cached,
        output_text: all.count(&["candidatesTokenCount"]).unwrap_or(0),
        output_reasoning: all.count(&["thoughtsTokenCount"]),
        ..Usage::default()
    })
}

/// `outside` is what the total has beyond input and output.
fn take_input(all: &Named<'_>, input: u64, outside: u64, read: &mut Usage) {
    let details = all.inner(&["prompt_tokens_details", "input_tokens_details", "input_token_details"]);
    let cached = details.inner(&["cached_tokens_details"]);
    let mut left = input;
    let mut take = |tokens: Option<u64>| {
        tokens.map(|tokens| {
            let taken = tokens.min(left);
            left -= taken;
            taken
        })
    };
    read.input_cache_read = take(details.count(&["cached_tokens"]));
    // What is cached of each kind is within what is counted of it.
    let fresh = |name: &[&str]| details.count(name).map(|count| count.saturating_sub(cached.count(name).unwrap_or(0)));
    read.input_audio = match fresh(&["audio_tokens"]) {
        Some(audio) if audio > 0 && audio <= outside => Some(audio),
        within => take(within),
    };
    read.input_image = take(fresh(&["image_tokens"]));
    read.input_fresh = left;
}

fn take_output(all: &Named<'_>, output: u64, read: &mut Usage) {
    let details = all.inner(&["completion_tokens_details", "output_tokens_details", "output_token_details"]);
    let mut left = output;
    let mut take = |names: &[&str]| {
        details.count(names).map(|tokens| {
            let taken = tokens.min(left);
            left -= taken;
            taken
        })
    };
    read.output_reasoning = take(&["reasoning_tokens"]);
    read.output_audio = take(&["audio_tokens"]);
    read.output_image = take(&["image_tokens"]);
    read.output_text = left;
}

/// What the provider says it charges: in dollars where it is known to mean that, or in its ten-billionths of a dollar
/// (`xai.images.d00189d7d9`; <https://docs.x.ai/docs/key-information/consumption-and-rate-limits>).
fn stated_cost(all: &Named<'_>, quirks: &Quirks) -> Option<NanoUsd> {
    let ticks = all.count(&["cost_in_usd_ticks"]).and_then(|ticks| i64::try_from(ticks.div_ceil(10)).ok());
    let dollars = all.raw("cost").filter(|_| quirks.states_cost);
    ticks.map(NanoUsd).or_else(|| NanoUsd::parse_usd_up(dollars?.get()))
}
