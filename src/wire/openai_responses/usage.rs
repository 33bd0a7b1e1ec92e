//! Token counts, and what the provider's own tools did.

use super::types::{Item, Response};
use crate::chat::Usage;
use crate::json::{Raw, Text, readable};
use crate::provider::Quirks;
use crate::units::NanoUsd;
use crate::wire::openai_chat::types::count;

#[derive(Debug, Default)]
struct Written<'a> {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    /// The names of Chat Completions, which some servers keep.
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
    /// Searches of xAI's: `xai.responses-stream.dbb2d2d858`.
    num_server_side_tools_used: Option<u64>,
    cost: Option<Raw<'a>>,
}
readable! { Written<'a> {
    input_tokens: count, output_tokens: count, prompt_tokens: count, completion_tokens: count,
    input_tokens_details, output_tokens_details,
    num_server_side_tools_used: count, cost,
} }

#[derive(Debug, Default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    /// `openai.responses-stream.1a00fc326a`
    cache_write_tokens: Option<u64>,
}
readable! { InputDetails { cached_tokens: count, cache_write_tokens: count } }

#[derive(Debug, Default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}
readable! { OutputDetails { reasoning_tokens: count } }

/// What the provider's own tools did that is billed beside the tokens, as far as the answer's items tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Billed {
    searches: u64,
    /// Of files, runs of code, pictures.
    others: u64,
}

impl Billed {
    /// Counts an item that is complete.
    pub fn note(&mut self, item: &Item<'_>) {
        match item.kind.as_ref().map(Text::escaped) {
            Some("web_search_call") => {
                // Opening a page that was found costs nothing, nor does looking for words in it.
                let did = item.action.as_ref().and_then(|action| action.member("type")).and_then(Raw::into_text);
                let reads = did.is_some_and(|did| matches!(did.escaped(), "open_page" | "find_in_page" | "find"));
                self.searches += u64::from(!reads);
            }
            Some("file_search_call" | "code_interpreter_call" | "image_generation_call") => self.others += 1,
            _ => {}
        }
    }
}

/// Tokens of one answer; `None` where it counts nothing.
///
/// `input_tokens` includes cached ones and those written to the cache, `output_tokens` includes reasoning.
pub(super) fn read(response: &Response<'_>, billed: Billed, quirks: &Quirks) -> Option<Usage> {
    let written: Written<'_> = response.usage.as_ref()?.read_borrowed().ok()?;
    let input = written.input_tokens.or(written.prompt_tokens);
    let output = written.output_tokens.or(written.completion_tokens);
    input.or(output)?;
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let input_details = written.input_tokens_details.unwrap_or_default();
    let cached = input_details.cached_tokens.map(|tokens| tokens.min(input));
    let left = input - cached.unwrap_or(0);
    let stored = input_details.cache_write_tokens.map(|tokens| tokens.min(left));
    let thought = written.output_tokens_details.and_then(|details| details.reasoning_tokens);
    let thought = thought.map(|tokens| tokens.min(output));
    let told = response.tool_usage.as_ref().and_then(|usage| usage.member("web_search")?.member("num_requests"));
    let searches = told.and_then(|told| told.read().ok()).unwrap_or(billed.searches);
    let requests = written.num_server_side_tools_used.unwrap_or(billed.others.saturating_add(searches));
    Some(Usage {
        input_fresh: left - stored.unwrap_or(0),
        input_cache_read: cached,
        input_cache_write: stored,
        output_text: output - thought.unwrap_or(0),
        output_reasoning: thought,
        tool_requests: Some(requests).filter(|requests| *requests > 0),
        stated_cost: written.cost.filter(|_| quirks.states_cost).and_then(|cost| NanoUsd::parse_usd_up(cost.get())),
        service_tier: response
            .service_tier
            .as_ref()
            .filter(|tier| !tier.is_empty())
            .map(|tier| tier.decode().into_owned()),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_chat_completions_count_too() {
        let body = r#"{"usage":{"prompt_tokens":12,"completion_tokens":5,"input_tokens_details":{"cached_tokens":2}}}"#;
        let response: Response<'_> = crate::json::from_str(body).expect("an answer");
        let usage = read(&response, Billed::default(), &Quirks::NONE).expect("usage");
        assert_eq!((usage.input_fresh, usage.input_cache_read, usage.output_text), (10, Some(2), 5));
    }

    #[test]
    fn the_tier_that_was_used_is_the_one_that_is_paid() {
        for (told, tier) in [("priority", Some("priority")), ("", None)] {
            let body = format!(r#"{{"service_tier":"{told}","usage":{{"input_tokens":1,"output_tokens":1}}}}"#);
            let response: Response<'_> = crate::json::from_str(&body).expect("an answer");
            let usage = read(&response, Billed::default(), &Quirks::NONE).expect("usage");
            assert_eq!(usage.service_tier.as_deref(), tier);
        }
    }
}
