//! `generationConfig`: how tokens are drawn, how many, and in what form.

use crate::chat::{Message, Part, Request};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text, readable};
use crate::provider::{ReasoningControl, SamplingRule};
use crate::wire::{Adjusted, Change, Format, Target, losses};

use super::native::Native;
use super::shape::Shape;
use super::thinking;

/// More stop sequences than this are refused.
const MOST_STOPS: usize = 5;

/// Writes the members of `generationConfig`.
///
/// # Errors
/// `BadRequest` where a number is none; `Unsupported` where a loss would do harm.
pub(super) fn write(
    request: &Request<'_>,
    target: &Target<'_>,
    shape: &Shape,
    native: &Native,
    adjusted: &mut Adjusted,
    config: &mut Object<'_>,
) -> Result<(), Failure> {
    if let Some(wanted) = request.max_output_tokens {
        let most = target.facts.max_output.unwrap_or(u64::MAX);
        if wanted > most {
            adjusted.note("max_tokens", Change::Clamped);
        }
        config.number("maxOutputTokens", wanted.min(most));
    }
    write_sampling(request, target, adjusted, config)?;
    shape.write(config);
    write_modalities(request, native, adjusted, config);
    if is_low_resolution(&request.messages) && !native.has("mediaResolution") {
        config.string("mediaResolution", "MEDIA_RESOLUTION_LOW");
    }
    if !native.has("thinkingConfig") {
        let most = request.max_output_tokens.or(target.facts.max_output);
        thinking::decide(request.reasoning.as_ref(), target.facts, most, adjusted).write(config);
    }
    native.write(true, config);
    Ok(())
}

fn write_sampling(
    request: &Request<'_>,
    target: &Target<'_>,
    adjusted: &mut Adjusted,
    config: &mut Object<'_>,
) -> Result<(), Failure> {
    let sampling = &request.sampling;
    let rule = target.facts.sampling;
    let both = sampling.temperature.is_some() && sampling.top_p.is_some();
    let fixed = rule == SamplingRule::Fixed;
    // Penalties came with 2.0 and went with the thinking models after it: "Penalty is not enabled for this model".
    let no_penalties = target.facts.reasoning != ReasoningControl::None;
    for (parameter, field, value, refused) in [
        ("temperature", "temperature", &sampling.temperature, fixed),
        ("top_p", "topP", &sampling.top_p, fixed || (both && rule == SamplingRule::OneOfTemperatureAndTopP)),
        ("top_k", "topK", &sampling.top_k, fixed),
        ("frequency_penalty", "frequencyPenalty", &sampling.frequency_penalty, no_penalties),
        ("presence_penalty", "presencePenalty", &sampling.presence_penalty, no_penalties),
    ] {
        let Some(value) = value.as_ref().filter(|value| !value.is_null()) else { continue };
        let number = value.number().ok_or_else(|| Failure::bad_request(parameter, "A number is expected."))?;
        if !refused {
            config.raw(field, value);
        } else if number != 0.0 || !parameter.ends_with("penalty") {
            losses::lose(Format::Gemini, parameter, adjusted)?;
        }
    }
    if let Some(n) = sampling.n.filter(|n| *n != 1) {
        config.number("candidateCount", n);
    }
    write_seed(sampling.seed.as_ref(), adjusted, config)?;
    write_stops(&sampling.stop, adjusted, config)?;
    if sampling.logprobs == Some(true) {
        config.boolean("responseLogprobs", true);
        if let Some(top) = sampling.top_logprobs.filter(|top| *top > 0) {
            config.number("logprobs", top);
        }
    }
    Ok(())
}

/// A seed has 32 bits here. What is longer is cut the same way every time, and listed.
fn write_seed(seed: Option<&Raw<'_>>, adjusted: &mut Adjusted, config: &mut Object<'_>) -> Result<(), Failure> {
    let Some(seed) = seed.filter(|seed| !seed.is_null()) else { return Ok(()) };
    let whole: i64 = seed.read().map_err(|_| Failure::bad_request("seed", "An integer is expected."))?;
    let short = i32::try_from(whole).unwrap_or_else(|_| {
        adjusted.note("seed", Change::Changed);
        i32::try_from(whole.rem_euclid(i64::from(i32::MAX))).unwrap_or_default()
    });
    config.number("seed", short);
    Ok(())
}

fn write_stops(stops: &[Text<'_>], adjusted: &mut Adjusted, config: &mut Object<'_>) -> Result<(), Failure> {
    let stops = || stops.iter().filter(|stop| !stop.is_empty());
    match stops().count() {
        0 => Ok(()),
        // Without one of them the answer could run on.
        count if count > MOST_STOPS => losses::lose(Format::Gemini, "stop", adjusted),
        _ => {
            config.array("stopSequences", |list| {
                stops().for_each(|stop| {
                    list.text(stop);
                });
            });
            Ok(())
        }
    }
}

/// What to produce beside text, and in whose voice. Models that speak do nothing else.
fn write_modalities(request: &Request<'_>, native: &Native, adjusted: &mut Adjusted, config: &mut Object<'_>) {
    let wants = |modality: &str| request.modalities.iter().any(|wanted| wanted.is(modality));
    if wants("audio") {
        config.array("responseModalities", |list| {
            list.text(&Text::from_escaped("AUDIO"));
        });
    } else if wants("image") {
        config.array("responseModalities", |list| {
            for (modality, word) in [("text", "TEXT"), ("image", "IMAGE")] {
                if wants(modality) {
                    list.text(&Text::from_escaped(word));
                }
            }
        });
    }
    let Some(audio) = request.audio.as_ref().filter(|_| wants("audio") && !native.has("speechConfig")) else { return };
    let audio: Audio<'_> = audio.read_borrowed().unwrap_or_default();
    // Sound comes as raw 16-bit samples, whatever was asked for.
    if audio.format.as_ref().is_some_and(|format| !format.is("pcm16")) {
        adjusted.note("audio", Change::Changed);
    }
    if let Some(voice) = &audio.voice {
        config.object("speechConfig", |speech| {
            speech.object("voiceConfig", |config| {
                config.object("prebuiltVoiceConfig", |prebuilt| {
                    prebuilt.text("voiceName", voice);
                });
            });
        });
    }
}

#[derive(Default)]
struct Audio<'a> {
    voice: Option<Text<'a>>,
    format: Option<Text<'a>>,
}
readable! { Audio<'a> { voice, format } }

/// Whether every picture may be read roughly: the protocol decides that for all of them together.
fn is_low_resolution(messages: &[Message<'_>]) -> bool {
    let mut details = messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Image { detail, .. } => Some(detail.as_ref().is_some_and(|detail| detail.is("low"))),
        _ => None,
    });
    details.next() == Some(true) && details.all(|low| low)
}
