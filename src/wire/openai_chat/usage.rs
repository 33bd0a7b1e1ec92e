//! Token counts: the many spellings of `usage` into disjoint buckets, and buckets into OpenAI's spelling.

use crate::chat::Usage;
use crate::json::{Object, Raw, readable};
use crate::provider::Quirks;
use crate::units::NanoUsd;
use crate::wire::Cost;

use super::types::count;

/// `usage` as OpenAI and those who follow it write it.
#[derive(Debug, Default)]
struct Written<'a> {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// `deepseek.tools-stream.0849c1ea13`
    prompt_cache_hit_tokens: Option<u64>,
    /// `together.chat.9544d3e355`, `featherless.chat.…`
    cached_tokens: Option<u64>,
    /// `mistral.cache.…`
    num_cached_tokens: Option<u64>,
    /// `databricks.tools-stream.46e31db489`
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    /// `copilot.tools-stream.bb6f46d726`
    reasoning_tokens: Option<u64>,
    /// Searches of xAI and Perplexity.
    num_sources_used: Option<u64>,
    num_search_queries: Option<u64>,
    service_tier: Option<crate::json::Text<'a>>,
    cost: Option<Raw<'a>>,
}
readable! { Written<'a> {
    prompt_tokens: count, completion_tokens: count, total_tokens: count, prompt_tokens_details,
    completion_tokens_details, prompt_cache_hit_tokens: count, cached_tokens: count, num_cached_tokens: count,
    cache_read_input_tokens: count, cache_creation_input_tokens: count, reasoning_tokens: count,
    num_sources_used: count, num_search_queries: count, service_tier: super::types::text, cost,
} }

#[derive(Debug, Default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}
readable! { InputDetails { cached_tokens: count, cache_write_tokens: count, audio_tokens: count, image_tokens: count } }

#[derive(Debug, Default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
    accepted_prediction_tokens: Option<u64>,
    rejected_prediction_tokens: Option<u64>,
}
readable! { OutputDetails {
    reasoning_tokens: count, audio_tokens: count, image_tokens: count, accepted_prediction_tokens: count,
    rejected_prediction_tokens: count,
} }

/// Tokens of one answer, from its `usage` object; `None` where it counts nothing.
///
/// By OpenAI's rule `prompt_tokens` includes cached, audio and image tokens and `completion_tokens` includes reasoning
/// and audio. Those who leave something out give themselves away by `total_tokens`: reasoning of xAI
/// (`xai.tools-stream.11ddfc18c8`: 361 + 26, total 622, reasoning 235), audio of Mistral
/// (`mistral.audio-video.21ab9c01b8`: 11 + 15, total 401, audio 375), thoughts behind Gemini's compatible endpoint
/// (`gemini.tools.651c069baf`: 35 + 12, total 109). More cached tokens than prompt tokens are cut to the prompt
/// (`azure.structured.7ef20abc01`), more reasoning than completion to the completion (`openrouter.tools-stream.ad77df3ada`)
/// unless the vendor is known to count them apart.
#[must_use]
pub fn read(usage: &Raw<'_>, quirks: &Quirks) -> Option<Usage> {
    let written: Written<'_> = usage.read_borrowed().ok()?;
    if written.prompt_tokens.is_none() && written.completion_tokens.is_none() && written.total_tokens.is_none() {
        return None;
    }
    let mut read = Usage {
        tool_requests: written.num_search_queries.or(written.num_sources_used).filter(|requests| *requests > 0),
        service_tier: written
            .service_tier
            .as_ref()
            .filter(|tier| !tier.is_empty())
            .map(|tier| tier.decode().into_owned()),
        stated_cost: written
            .cost
            .as_ref()
            .filter(|_| quirks.states_cost)
            .and_then(|cost| NanoUsd::parse_usd_up(cost.get())),
        ..Usage::default()
    };
    let outside = input(&written, &mut read);
    output(&written, outside, quirks.reasoning_apart, &mut read);
    Some(read)
}

/// Fills the input side; answers how many tokens of `total_tokens` are neither prompt nor completion.
fn input(written: &Written<'_>, usage: &mut Usage) -> u64 {
    let prompt = written.prompt_tokens.unwrap_or(0);
    let counted = prompt.saturating_add(written.completion_tokens.unwrap_or(0));
    let mut outside = written.total_tokens.map_or(0, |total| total.saturating_sub(counted));
    let none = InputDetails::default();
    let details = written.prompt_tokens_details.as_ref().unwrap_or(&none);
    let mut left = prompt;
    let mut take = |tokens: Option<u64>| {
        tokens.map(|tokens| {
            let taken = tokens.min(left);
            left -= taken;
            taken
        })
    };
    usage.input_cache_read = take(
        details
            .cached_tokens
            .or(written.prompt_cache_hit_tokens)
            .or(written.cached_tokens)
            .or(written.num_cached_tokens)
            .or(written.cache_read_input_tokens),
    );
    usage.input_cache_write = take(details.cache_write_tokens.or(written.cache_creation_input_tokens));
    usage.input_audio = match details.audio_tokens {
        Some(audio) if audio > 0 && audio == outside => {
            outside = 0;
            Some(audio)
        }
        within => take(within),
    };
    usage.input_image = take(details.image_tokens);
    usage.input_fresh = left;
    outside
}

fn output(written: &Written<'_>, outside: u64, apart: bool, usage: &mut Usage) {
    let completion = written.completion_tokens.unwrap_or(0);
    let none = OutputDetails::default();
    let details = written.completion_tokens_details.as_ref().unwrap_or(&none);
    let mut left = completion;
    let mut take = |tokens: Option<u64>| {
        tokens.map(|tokens| {
            let taken = tokens.min(left);
            left -= taken;
            taken
        })
    };
    usage.output_reasoning = match details.reasoning_tokens.or(written.reasoning_tokens) {
        Some(reasoning) if reasoning > 0 && reasoning == outside => Some(reasoning),
        Some(reasoning) if apart && reasoning > completion => Some(reasoning),
        None if outside > 0 && written.completion_tokens.is_some() => Some(outside),
        within => take(within),
    };
    usage.output_audio = take(details.audio_tokens);
    usage.output_image = take(details.image_tokens);
    usage.output_text = left;
    usage.accepted_prediction = details.accepted_prediction_tokens;
    usage.rejected_prediction = details.rejected_prediction_tokens;
}

/// Writes the members of a `usage` object in OpenAI's spelling, with `cost` as OpenRouter has it.
pub fn write(usage: &Usage, cost: Option<&Cost>, object: &mut Object<'_>) {
    object
        .number("prompt_tokens", usage.prompt_tokens())
        .number("completion_tokens", usage.completion_tokens())
        .number("total_tokens", usage.total_tokens())
        .object("prompt_tokens_details", |details| {
            details.number("cached_tokens", usage.input_cache_read.unwrap_or(0));
            let written = [usage.input_cache_write, usage.input_cache_write_1h];
            if written.iter().any(Option::is_some) {
                details.number("cache_write_tokens", written.iter().flatten().sum::<u64>());
            }
            some_number(details, "audio_tokens", usage.input_audio);
            some_number(details, "image_tokens", usage.input_image);
        })
        .object("completion_tokens_details", |details| {
            details.number("reasoning_tokens", usage.output_reasoning.unwrap_or(0));
            some_number(details, "audio_tokens", usage.output_audio);
            some_number(details, "image_tokens", usage.output_image);
            some_number(details, "accepted_prediction_tokens", usage.accepted_prediction);
            some_number(details, "rejected_prediction_tokens", usage.rejected_prediction);
        });
    write_cost(cost, object);
    if usage.estimated {
        object.boolean("estimated", true);
    }
}

/// Writes `cost` and `cost_details`, where the price is known.
pub fn write_cost(cost: Option<&Cost>, object: &mut Object<'_>) {
    for (name, value) in cost.into_iter().flat_map(cost_members) {
        object.key(name).extend_from_slice(&value);
    }
}

/// The names and the JSON of what [`write_cost`] writes.
#[must_use]
pub fn cost_members(cost: &Cost) -> [(&'static str, Vec<u8>); 2] {
    let mut details = Vec::with_capacity(48);
    let mut object = Object::open(&mut details);
    object.number("upstream_inference_cost", cost.upstream);
    object.close();
    [("cost", cost.charged.text().into_bytes()), ("cost_details", details)]
}

fn some_number(object: &mut Object<'_>, key: &str, number: Option<u64>) {
    if let Some(number) = number {
        object.number(key, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(json: &str) -> Usage {
        read(&Raw::parse(json).expect("json"), &Quirks::NONE).expect("usage")
    }

    #[test]
    fn buckets_are_disjoint() {
        let usage = of(r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":10},
            "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":0}}"#);
        assert_eq!((usage.input_fresh, usage.input_cache_read, usage.input_audio), (30, Some(60), Some(10)));
        assert_eq!((usage.output_text, usage.output_reasoning), (20, Some(30)));
        assert_eq!(usage.total_tokens(), 150);
    }

    #[test]
    fn searches_tiers_and_writes_are_counted_where_they_are_told() {
        let told = |more: &str| of(&format!(r#"{{"prompt_tokens":100,"completion_tokens":50{more}}}"#));
        assert_eq!(told(r#","num_search_queries":2"#).tool_requests, Some(2));
        assert_eq!(told(r#","num_sources_used":3"#).tool_requests, Some(3));
        assert_eq!(told(r#","num_search_queries":0"#).tool_requests, None);
        assert_eq!(told(r#","service_tier":"flex""#).service_tier.as_deref(), Some("flex"));
        assert_eq!(told(r#","service_tier":"""#).service_tier, None);
        let cached = told(r#","cache_read_input_tokens":10,"cache_creation_input_tokens":40"#);
        assert_eq!((cached.input_fresh, cached.input_cache_read, cached.input_cache_write), (50, Some(10), Some(40)));
    }

    #[test]
    fn what_vendors_leave_out_is_found_by_the_total() {
        let xai = of(r#"{"prompt_tokens":361,"completion_tokens":26,"total_tokens":622,
            "completion_tokens_details":{"reasoning_tokens":235}}"#);
        assert_eq!((xai.output_text, xai.output_reasoning, xai.total_tokens()), (26, Some(235), 622));
        let mistral = of(r#"{"completion_tokens":15,"prompt_tokens":11,"total_tokens":401,
            "prompt_tokens_details":{"audio_tokens":375,"cached_tokens":9}}"#);
        assert_eq!((mistral.input_fresh, mistral.input_audio, mistral.total_tokens()), (2, Some(375), 401));
        let gemini = of(r#"{"completion_tokens":12,"prompt_tokens":35,"total_tokens":109}"#);
        assert_eq!((gemini.output_text, gemini.output_reasoning), (12, Some(62)));
        let more = r#"{"prompt_tokens":9,"completion_tokens":35,"total_tokens":44,
            "completion_tokens_details":{"reasoning_tokens":267}}"#;
        assert_eq!((of(more).output_text, of(more).output_reasoning), (0, Some(35)));
        let apart = Quirks { reasoning_apart: true, ..Quirks::NONE };
        let read = read(&Raw::parse(more).expect("json"), &apart).expect("usage");
        assert_eq!((read.output_text, read.output_reasoning), (35, Some(267)));
    }

    #[test]
    fn a_stated_cost_counts_only_from_those_who_may_state_one() {
        // `openrouter.tools-stream.ad77df3ada` and how a float may print.
        let usage = |cost: &str| format!(r#"{{"prompt_tokens":1,"completion_tokens":1,"cost":{cost}}}"#);
        let stating = Quirks { states_cost: true, ..Quirks::COMPATIBLE };
        let cost = |text: &str, quirks: &Quirks| {
            read(&Raw::parse(&usage(text)).expect("json"), quirks).expect("usage").stated_cost
        };
        assert_eq!(cost("0.0000919", &stating), Some(NanoUsd(91_900)));
        assert_eq!(cost("5.8000000000000004e-06", &stating), Some(NanoUsd(5_801)));
        assert_eq!(cost("0.0000919", &Quirks::COMPATIBLE), None);
        for nonsense in ["null", "-1", "\"0.1\"", "{\"total_cost\":1}", "[]", "1e99"] {
            assert_eq!(cost(nonsense, &stating), None, "{nonsense}");
        }
    }

    #[test]
    fn silence_is_not_zero() {
        assert_eq!(read(&Raw::EMPTY_OBJECT, &Quirks::NONE), None);
        assert_eq!(read(&Raw::parse(r#"{"cost":1}"#).expect("json"), &Quirks::NONE), None);
        let half = of(r#"{"prompt_tokens":5,"completion_tokens":null,"total_tokens":null}"#);
        assert_eq!((half.input_fresh, half.output_text, half.input_cache_read), (5, 0, None));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(buckets in proptest::array::uniform7(0u64..1_000_000)) {
            let [input_fresh, read_cache, write_cache, audio, output_text, reasoning, output_audio] = buckets;
            let usage = Usage {
                input_fresh,
                input_cache_read: Some(read_cache),
                input_cache_write: Some(write_cache),
                input_audio: Some(audio),
                output_text,
                output_reasoning: Some(reasoning),
                output_audio: Some(output_audio),
                ..Usage::default()
            };
            let mut out = Vec::new();
            let mut object = Object::open(&mut out);
            write(&usage, None, &mut object);
            object.close();
            prop_assert_eq!(of(&String::from_utf8(out).expect("json")), usage);
        }
    }
}
