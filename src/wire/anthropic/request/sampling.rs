//! How tokens are drawn, and which of the caller's wishes about it cannot be honoured.

use super::thinking::Thinking;
use crate::chat::Sampling;
use crate::failure::Failure;
use crate::json::{Object, Raw, Text};
use crate::provider::{ModelFacts, SamplingRule};
use crate::wire::anthropic::request::names;
use crate::wire::{Adjusted, Change, Format, losses};

/// Writes `temperature`, `top_p`, `top_k` and `stop_sequences` as far as the model takes them.
///
/// # Errors
/// `BadRequest` where a number is none.
pub(super) fn write(
    sampling: &Sampling<'_>,
    facts: &ModelFacts,
    thinking: Thinking,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    let fixed = facts.sampling == SamplingRule::Fixed;
    let thinks = thinking.is_on();
    let mut excluded = false;
    if let Some((raw, temperature)) = number("temperature", sampling.temperature.as_ref())? {
        match temperature {
            // The default, which need not be said.
            1.0 if fixed || thinks => {}
            _ if fixed || thinks => losses::lose(Format::Anthropic, "temperature", adjusted)?,
            // Others draw up to 2.
            hot if hot > 1.0 => {
                adjusted.note("temperature", Change::Clamped);
                body.number("temperature", 1);
                excluded = facts.sampling == SamplingRule::OneOfTemperatureAndTopP;
            }
            _ => {
                body.raw("temperature", raw);
                excluded = facts.sampling == SamplingRule::OneOfTemperatureAndTopP;
            }
        }
    }
    if let Some((raw, top_p)) = number("top_p", sampling.top_p.as_ref())? {
        match top_p {
            1.0 if fixed || thinks || excluded => {}
            // While it thinks, a model takes no less than 0.95.
            top_p if fixed || excluded || (thinks && top_p < 0.95) => {
                losses::lose(Format::Anthropic, "top_p", adjusted)?;
            }
            _ => {
                body.raw("top_p", raw);
            }
        }
    }
    if let Some((raw, _)) = number("top_k", sampling.top_k.as_ref())? {
        if fixed || thinks {
            losses::lose(Format::Anthropic, "top_k", adjusted)?;
        } else {
            body.raw("top_k", raw);
        }
    }
    write_stop(&sampling.stop, adjusted, body);
    Ok(())
}

/// Stop sequences of nothing but white space are refused.
fn write_stop(stop: &[Text<'_>], adjusted: &mut Adjusted, body: &mut Object<'_>) {
    let kept = || stop.iter().filter(|stop| !names::is_blank(stop));
    if kept().count() < stop.len() {
        adjusted.note("stop", Change::Trimmed);
    }
    if kept().next().is_some() {
        body.array("stop_sequences", |array| {
            for stop in kept() {
                array.text(stop);
            }
        });
    }
}

fn number<'a, 'r>(name: &'static str, raw: Option<&'a Raw<'r>>) -> Result<Option<(&'a Raw<'r>, f64)>, Failure> {
    let Some(raw) = raw.filter(|raw| !raw.is_null()) else { return Ok(None) };
    match raw.number() {
        Some(number) => Ok(Some((raw, number))),
        None => Err(Failure::bad_request(name, format!("`{name}` has to be a number."))),
    }
}
