//! How tokens are drawn, and which of the caller's wishes about it cannot be honoured.

use crate::chat::Request;
use crate::failure::Failure;
use crate::json::{Object, Raw};
use crate::provider::{ModelFacts, OwnThinking, SamplingRule};
use crate::wire::anthropic::request::names;
use crate::wire::anthropic::request::thinking::Thinking;
use crate::wire::{Adjusted, Change, Format, losses};

/// The limit of output tokens: the caller's, or one that leaves room beside a thinking budget.
pub(super) fn max_tokens(
    request: &Request<'_>,
    facts: &ModelFacts,
    thinking: Thinking,
    adjusted: &mut Adjusted,
) -> Option<u64> {
    match (request.max_output_tokens, facts.max_output) {
        (Some(wanted), Some(most)) if wanted > most => {
            adjusted.note("max_tokens", Change::Clamped);
            Some(most)
        }
        (None, most) if matches!(thinking, Thinking::Budget(_)) => most.or(Some(super::DEFAULT_MAX_TOKENS)),
        (wanted, _) => wanted,
    }
}

/// Writes `inferenceConfig` as far as the model takes it. Answers `top_k`, for which the protocol has no word but some
/// models have.
///
/// # Errors
/// `BadRequest` where a number is none.
pub(super) fn write<'r>(
    request: &'r Request<'_>,
    facts: &ModelFacts,
    thinking: Thinking,
    cap: Option<u64>,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<Option<&'r Raw<'r>>, Failure> {
    let sampling = &request.sampling;
    let fixed = match facts.sampling {
        SamplingRule::Fixed => true,
        SamplingRule::Free | SamplingRule::OneOfTemperatureAndTopP => {
            thinking.is_on() && facts.own_thinking == OwnThinking::Thinking
        }
        SamplingRule::FixedWhileThinking => thinking.is_on(),
    };
    let temperature = number("temperature", sampling.temperature.as_ref())?;
    let top_p = number("top_p", sampling.top_p.as_ref())?;
    let top_k = number("top_k", sampling.top_k.as_ref())?.map(|(raw, _)| raw);
    let mut config = Object::open(body.key("inferenceConfig"));
    if let Some(cap) = cap {
        config.number("maxTokens", cap);
    }
    let mut excluded = false;
    match temperature {
        None => {}
        Some((_, 1.0)) if fixed => {}
        Some(_) if fixed => losses::lose(Format::Bedrock, "temperature", adjusted)?,
        // Others draw up to 2.
        Some((_, hot)) if hot > 1.0 => {
            adjusted.note("temperature", Change::Clamped);
            config.number("temperature", 1);
            excluded = facts.sampling == SamplingRule::OneOfTemperatureAndTopP;
        }
        Some((raw, _)) => {
            config.raw("temperature", raw);
            excluded = facts.sampling == SamplingRule::OneOfTemperatureAndTopP;
        }
    }
    match top_p {
        None => {}
        Some((_, 1.0)) if fixed || excluded => {}
        Some(_) if fixed || excluded => losses::lose(Format::Bedrock, "top_p", adjusted)?,
        Some((raw, _)) => {
            config.raw("topP", raw);
        }
    }
    let kept = || sampling.stop.iter().filter(|stop| !names::is_blank(stop));
    if kept().count() < sampling.stop.len() {
        adjusted.note("stop", Change::Trimmed);
    }
    if kept().next().is_some() {
        config.array("stopSequences", |array| {
            for stop in kept() {
                array.text(stop);
            }
        });
    }
    config.close();
    if top_k.is_some() && (fixed || facts.own_thinking != OwnThinking::Thinking) {
        losses::lose(Format::Bedrock, "top_k", adjusted)?;
        return Ok(None);
    }
    Ok(top_k)
}

fn number<'a, 'r>(name: &'static str, raw: Option<&'a Raw<'r>>) -> Result<Option<(&'a Raw<'r>, f64)>, Failure> {
    let Some(raw) = raw.filter(|raw| !raw.is_null()) else { return Ok(None) };
    match raw.number() {
        Some(number) => Ok(Some((raw, number))),
        None => Err(Failure::bad_request(name, format!("`{name}` has to be a number."))),
    }
}
