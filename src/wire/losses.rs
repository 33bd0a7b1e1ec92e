//! What becomes of a parameter that the chosen target cannot honour: the one table for every format.
//!
//! A harmless loss leaves an answer that the caller can use as if nothing were missing; it is listed in
//! `x-latchkey-adjusted`. A harmful one would leave out data that the caller waits for, or break a promise that their
//! code relies on; it is refused, naming the parameter. Which of the two a loss is depends on the parameter, not on the
//! format; the formats only differ in what they can honour.

mod asked;

use std::borrow::Cow;

use super::{Adjusted, Change, Format};
use crate::chat::Request;
use crate::failure::Failure;
use crate::json::{Object, Raw};

/// What a format does with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Carried over, where the model takes it.
    Honoured,
    /// Dropped and listed.
    Harmless,
    /// Refused.
    Harmful,
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its name on the OpenAI surface: of a top-level field, or of a content part or message field.
    pub parameter: &'static str,
    /// Whether losing it does harm.
    pub harmful: bool,
    /// What its loss means for the caller, as a sentence.
    pub meaning: &'static str,
    /// The formats that have a word for it, or another way of saying it.
    pub honoured_by: &'static [Format],
}

use Format::{Anthropic, Bedrock, Cohere, Gemini, Ollama, OpenAiChat, OpenAiResponses, WorkersAi};

const ALL: &[Format] = &[OpenAiChat, OpenAiResponses, Anthropic, Gemini, Bedrock, Cohere, Ollama, WorkersAi];

/// Responses has no word for it.
const BUT_RESPONSES: &[Format] = &[OpenAiChat, Anthropic, Gemini, Bedrock, Cohere, Ollama, WorkersAi];

const fn harmless(parameter: &'static str, honoured_by: &'static [Format], meaning: &'static str) -> Loss {
    Loss { parameter, harmful: false, meaning, honoured_by }
}

const fn harmful(parameter: &'static str, honoured_by: &'static [Format], meaning: &'static str) -> Loss {
    Loss { parameter, harmful: true, meaning, honoured_by }
}

/// Every parameter that the hub knows. What is not listed is harmless: nobody here knows what it means.
pub static LOSSES: &[Loss] = &[
    harmless("temperature", ALL, "The model draws tokens its own way."),
    harmless("top_p", ALL, "The model draws tokens its own way."),
    harmless("top_k", BUT_RESPONSES, "The model draws tokens its own way."),
    harmless("min_p", &[OpenAiChat, Ollama], "The model draws tokens its own way."),
    harmless(
        "frequency_penalty",
        &[OpenAiChat, Gemini, Cohere, Ollama, WorkersAi],
        "Repetition is judged by the model alone.",
    ),
    harmless(
        "presence_penalty",
        &[OpenAiChat, Gemini, Cohere, Ollama, WorkersAi],
        "Repetition is judged by the model alone.",
    ),
    harmless("repetition_penalty", &[OpenAiChat, Ollama, WorkersAi], "Repetition is judged by the model alone."),
    harmless("logit_bias", &[OpenAiChat], "Token ids differ between vendors, so the bias could only hit other words."),
    harmless(
        "seed",
        &[OpenAiChat, Gemini, Cohere, Ollama, WorkersAi],
        "Answers are not repeatable; vendors promise no more than an effort.",
    ),
    harmful("stop", BUT_RESPONSES, "The answer would run on past the place where it has to end."),
    harmful("n", &[OpenAiChat, Gemini], "There would be one answer where several are waited for."),
    harmful(
        "logprobs",
        &[OpenAiChat, OpenAiResponses, Gemini],
        "The answer would lack the probabilities that were asked for.",
    ),
    harmful(
        "top_logprobs",
        &[OpenAiChat, OpenAiResponses, Gemini],
        "The answer would lack the probabilities that were asked for.",
    ),
    harmful("max_tokens", ALL, "The answer could cost more than was allowed."),
    harmful("tools", ALL, "The model could not do what it is asked to do."),
    harmful("tool_choice", ALL, "The model might not make the call that is waited for."),
    harmless(
        "parallel_tool_calls",
        &[OpenAiChat, OpenAiResponses, Anthropic],
        "An answer may hold several calls; they come as a list anyway.",
    ),
    harmful("response_format", ALL, "The answer might not be the JSON that is waited for."),
    harmless("reasoning", ALL, "The model thinks as much as it does by itself, or not at all."),
    harmless(
        "reasoning_details",
        &[OpenAiChat, OpenAiResponses, Anthropic, Gemini, Bedrock],
        "Reasoning that another model made cannot be read by this one.",
    ),
    harmless(
        "service_tier",
        &[OpenAiChat, OpenAiResponses, Anthropic, Gemini, Bedrock],
        "The call is served at the provider's usual speed and price.",
    ),
    harmless("user", &[OpenAiChat, OpenAiResponses, Anthropic], "The provider cannot tell end users apart."),
    harmless("metadata", &[OpenAiChat, OpenAiResponses, Bedrock], "Labels are for the caller's own records."),
    harmless("store", &[OpenAiChat, OpenAiResponses], "Nothing is kept, which is the default."),
    harmless(
        "prompt_cache_key",
        &[OpenAiChat, OpenAiResponses],
        "The provider finds cached prompts by their beginning alone.",
    ),
    harmless("cache_control", &[OpenAiChat, Anthropic, Bedrock], "The provider decides by itself what to cache."),
    harmless("prediction", &[OpenAiChat], "The same answer takes longer."),
    harmful("modalities", &[OpenAiChat, Gemini], "The answer would be text where sound or images are waited for."),
    harmful("audio", &[OpenAiChat, Gemini], "The answer would be text where sound is waited for."),
    harmful(
        "web_search_options",
        &[OpenAiChat, OpenAiResponses, Anthropic, Gemini],
        "The answer would not rest on a search.",
    ),
    harmful("image_url", ALL, "The model would not see the picture."),
    harmful("input_audio", &[OpenAiChat, Gemini, Bedrock, WorkersAi], "The model would not hear the sound."),
    harmful("video_url", &[OpenAiChat, Gemini, Bedrock], "The model would not see the video."),
    harmful(
        "file",
        &[OpenAiChat, OpenAiResponses, Anthropic, Gemini, Bedrock, WorkersAi],
        "The model would not read the document.",
    ),
    harmless(
        "detail",
        &[OpenAiChat, OpenAiResponses, Gemini, Cohere, WorkersAi],
        "Pictures are read at the provider's usual resolution.",
    ),
    harmless("name", &[OpenAiChat, WorkersAi], "Speakers of one role are not told apart."),
];

/// Members of a request that are said to the gateway and not to a model: OpenRouter's words for routing, and for the
/// usage that is asked for anyway. A target loses nothing by not getting them.
pub const GATEWAY: &[&str] = &["models", "provider", "route", "transforms", "plugins", "usage", "preset"];

/// What `format` does with `parameter`.
#[must_use]
pub fn fate(format: Format, parameter: &str) -> Fate {
    match find(parameter) {
        Some(row) if row.honoured_by.contains(&format) => Fate::Honoured,
        Some(row) if row.harmful => Fate::Harmful,
        _ => Fate::Harmless,
    }
}

/// Gives up whatever `request` asks for that `format` has no word for at all. What only some models refuse, and what
/// stands in messages, is the format's own business.
///
/// # Errors
/// `Unsupported`, naming the parameter, where a loss would do harm.
pub fn give_up(format: Format, request: &Request<'_>, adjusted: &mut Adjusted) -> Result<(), Failure> {
    for (parameter, asked) in asked::asked(request) {
        if asked && fate(format, parameter) != Fate::Honoured {
            lose(format, parameter, adjusted)?;
        }
    }
    if request.audio.is_some() && fate(format, "audio") != Fate::Honoured {
        // Without the modality, voice and encoding are about nothing.
        adjusted.note("audio", Change::Dropped);
    }
    Ok(())
}

/// Writes those of the members that the caller put beside the known ones whose names are among `fields`, and gives up the
/// others.
///
/// # Errors
/// `Unsupported`, naming the member, where its loss would do harm.
pub fn pass_on(
    format: Format,
    fields: &[&str],
    unknown: &[(Cow<'_, str>, Raw<'_>)],
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    for (name, value) in unknown.iter().filter(|(_, value)| !value.is_null()) {
        if fields.contains(&name.as_ref()) {
            body.raw(name, value);
        } else {
            lose(format, name.clone().into_owned(), adjusted)?;
        }
    }
    Ok(())
}

/// Gives `parameter` up for a target that speaks `format`: notes it where that is harmless.
///
/// It does not matter here whether the format has no word for it or only this model refuses it.
///
/// # Errors
/// `Unsupported`, naming the parameter, where the loss would do harm.
pub fn lose(format: Format, parameter: impl Into<Cow<'static, str>>, adjusted: &mut Adjusted) -> Result<(), Failure> {
    let parameter = parameter.into();
    lose_at(format, &parameter.clone(), parameter, adjusted)
}

/// The same for a parameter that stands somewhere in the request: `input_audio` at `messages.2.content.0`.
///
/// # Errors
/// `Unsupported`, naming the place, where the loss would do harm.
pub fn lose_at(
    format: Format,
    parameter: &str,
    place: impl Into<Cow<'static, str>>,
    adjusted: &mut Adjusted,
) -> Result<(), Failure> {
    match find(parameter) {
        Some(row) if row.harmful => Err(Failure::unsupported(
            place,
            format!("`{parameter}` cannot be honoured by this model over {}. {}", name(format), row.meaning),
        )),
        None if GATEWAY.contains(&parameter) => Ok(()),
        _ => {
            adjusted.note(parameter.to_owned(), Change::Dropped);
            Ok(())
        }
    }
}

fn find(parameter: &str) -> Option<&'static Loss> {
    LOSSES.iter().find(|row| row.parameter == parameter)
}

fn name(format: Format) -> &'static str {
    match format {
        OpenAiChat => "OpenAI Chat Completions",
        OpenAiResponses => "OpenAI Responses",
        Anthropic => "Anthropic Messages",
        Gemini => "Gemini generateContent",
        Bedrock => "Bedrock Converse",
        Cohere => "Cohere Chat",
        Ollama => "Ollama's own chat",
        WorkersAi => "Workers AI",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;

    #[test]
    fn harm_is_refused_and_the_rest_is_listed() {
        let mut adjusted = Adjusted::default();
        assert_eq!(lose(Anthropic, "seed", &mut adjusted), Ok(()));
        assert_eq!(lose(Anthropic, "something_new", &mut adjusted), Ok(()));
        let refused = lose(Anthropic, "logprobs", &mut adjusted).unwrap_err();
        assert_eq!((refused.kind, refused.param.as_deref()), (Kind::Unsupported, Some("logprobs")));
        let refused = lose_at(Anthropic, "input_audio", "messages.2.content.0", &mut adjusted).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("messages.2.content.0"));
        for ours in GATEWAY {
            assert_eq!(lose(Anthropic, *ours, &mut adjusted), Ok(()));
        }
        assert_eq!(adjusted.header(), "seed=dropped, something_new=dropped");
    }

    #[test]
    fn a_parameter_has_one_row() {
        for (at, row) in LOSSES.iter().enumerate() {
            assert!(LOSSES.iter().skip(at + 1).all(|other| other.parameter != row.parameter), "{}", row.parameter);
        }
        assert_eq!(fate(Gemini, "seed"), Fate::Honoured);
        assert_eq!(fate(Anthropic, "seed"), Fate::Harmless);
        assert_eq!(fate(Anthropic, "n"), Fate::Harmful);
    }
}
