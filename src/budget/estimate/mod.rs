//! What a call can cost at most, before it is sent.
//!
//! # The rule
//! - **Input**: no tokenizer makes more tokens than there are bytes, so under a strict budget the request body's bytes
//!   are the bound, with some for what a provider puts around messages and tools. Without a strict budget a token is
//!   taken to be three bytes, which is more than English has and less than it costs to be wrong. A picture of one colour
//!   and a document of empty pages have few bytes and many tokens: under a strict budget each picture has the most that
//!   any model counts, and a document or film what the model takes in at all.
//! - **Output**: the cap that is sent, times the number of answers, and all that the caller predicts of one.
//! - **Price**: the dearest rate that can apply: long-prompt tiers that the bound reaches, service tiers if one is asked
//!   for or the provider's account has one, both together, cache writes if the body asks for them, images that the model
//!   may put out unasked.
//! - What has no bound (links to media, stored files and answers, searches and tools of the provider) is said to have
//!   none. Escapes and white space in the body hide nothing of it, and a caller's own tool may be called like one of the
//!   provider's.

mod caps;
mod marks;

use caps::Caps;
use marks::{Marks, plain};

use super::Amounts;
use crate::provider::{Bucket, Price, Rates};
use crate::units::NanoUsd;

/// The output cap of a call that names none, under a strict budget.
pub const DEFAULT_MAX_TOKENS: u32 = 4_096;

/// Tokens that a provider puts around the messages of a call.
const AROUND: u64 = 64;
/// Tokens that a provider puts around the tools of a call; the documented prompts have up to some 800.
const AROUND_TOOLS: u64 = 1_024;
/// The most tokens that a model counts for one picture: 2,833 and 5,667 for each of eight tiles.
///
/// Source: <https://platform.openai.com/docs/guides/images-vision#calculating-costs>, GPT-4o mini.
const A_PICTURE: u64 = 48_169;
/// Bytes of a token where no hard bound is needed.
const BYTES_PER_TOKEN: u64 = 3;

/// What a call takes at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Of everything that can be limited; the cost is zero where the price is not known.
    pub most: Amounts,
    /// Whether the price is known.
    pub priced: bool,
    /// What has no bound, where something has none.
    pub unbounded: Option<&'static str>,
}

/// What an estimate goes by beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'p> {
    /// Whether there is output, as of embeddings there is none.
    pub answers: bool,
    /// Whether bounds are to be hard.
    pub strict: bool,
    /// What the model costs, where that is known.
    pub price: Option<&'p Price>,
    /// The most that the model puts out, where that is known: the bound of a call without a cap.
    pub model_max: Option<u64>,
    /// The most that the model takes in: the bound of a call with a document.
    pub context: Option<u64>,
    /// Whether the provider may serve the call at any of its service tiers, asked or not.
    pub tiered: bool,
}

/// Estimates a request by its body as it goes out.
#[must_use]
pub fn estimate(body: &[u8], basis: &Basis<'_>) -> Estimate {
    let Basis { answers, strict, price, model_max, context, tiered } = *basis;
    let bytes = body.len() as u64;
    let mut marks = Marks::of(&plain(body));
    marks.tier |= tiered;
    let around = if marks.tools { AROUND + AROUND_TOOLS } else { AROUND };
    let tokens_of = |bytes: u64| if strict { bytes } else { bytes.div_ceil(BYTES_PER_TOKEN) };
    let input_tokens = tokens_of(bytes) + around;
    // What cannot be read here the upstream will not take either: then only the model's own cap is known.
    let caps = Caps::of(body).unwrap_or_default();
    let mut unbounded = marks.unbounded.or(caps.unbounded).or(marks.linked.then_some("a link to media"));
    let output_tokens = if answers { caps.output(model_max) } else { Some(0) };
    if output_tokens.is_none() && strict {
        unbounded = unbounded.or(Some("an answer without a cap"));
    }
    let output_tokens = output_tokens.unwrap_or(u64::from(DEFAULT_MAX_TOKENS));
    let output_tokens = output_tokens.saturating_add(tokens_of(caps.predicted));
    let mut priced_tokens = input_tokens;
    if strict {
        priced_tokens = priced_tokens.saturating_add(marks.pictures.saturating_mul(A_PICTURE));
        match context.filter(|_| marks.pages) {
            Some(context) => priced_tokens = priced_tokens.max(context),
            None if marks.pages => unbounded = unbounded.or(Some("a document")),
            None => {}
        }
    }
    if strict && price.is_some_and(|price| marks.dear.is_some_and(|tier| price.lacks_dear(tier))) {
        unbounded = unbounded.or(Some("a service tier whose price is not known"));
    }
    let cost = price.and_then(|price| worst_cost(price, &marks, priced_tokens, output_tokens));
    let most = Amounts { cost: cost.unwrap_or(NanoUsd::ZERO), requests: 1, input_tokens, output_tokens, parallel: 1 };
    Estimate { most, priced: cost.is_some(), unbounded }
}

fn worst_cost(price: &Price, marks: &Marks, input_tokens: u64, output_tokens: u64) -> Option<NanoUsd> {
    let input = |rates: &Rates| {
        let buckets = [
            (Bucket::Input, true),
            (Bucket::CacheWrite, marks.caches),
            (Bucket::CacheWrite1h, marks.caches),
            (Bucket::AudioInput, marks.sound),
            (Bucket::ImageInput, marks.images),
        ];
        dearest(rates, buckets.iter().filter(|(_, counts)| *counts).map(|(bucket, _)| *bucket))
    };
    let output = |rates: &Rates| {
        // Models that make images do so unless they are told not to; sound has to be asked for.
        let media = [Bucket::AudioOutput].into_iter().filter(|_| marks.media);
        dearest(rates, [Bucket::Output, Bucket::Reasoning, Bucket::ImageOutput].into_iter().chain(media))
    };
    let (mut dearest_input, mut dearest_output) = (input(&price.rates), output(&price.rates));
    for long in price.above.iter().filter(|above| input_tokens > above.tokens).map(Some).chain([None]) {
        let tiers = price.service_tiers.iter().filter(|_| marks.tier).map(|(_, rates)| Some(rates));
        for tier in tiers.chain(long.is_some().then_some(None)) {
            let rates = price.rates_at(long, tier);
            dearest_input = dearest_input.max(input(&rates));
            dearest_output = dearest_output.max(output(&rates));
        }
    }
    let (input, output) = (dearest_input, dearest_output);
    if output_tokens == 0 {
        return Some(input?.per_million(input_tokens));
    }
    // Lines are rounded up each for itself: one more for every bucket that input and output may fall into.
    Some(input?.per_million(input_tokens) + output?.per_million(output_tokens) + NanoUsd(Bucket::COUNT as i64))
}

fn dearest(rates: &Rates, buckets: impl Iterator<Item = Bucket>) -> Option<NanoUsd> {
    buckets.filter_map(|bucket| rates.with_parents(bucket)).max()
}

#[cfg(test)]
mod tests;
