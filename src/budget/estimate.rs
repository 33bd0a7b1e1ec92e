//! What a call can cost at most, before it is sent.
//!
//! # The rule
//! - **Input**: no tokenizer makes more tokens than there are bytes, so under a strict budget the request body's bytes
//!   are the bound, with some for what a provider puts around messages and tools. Without a strict budget a token is
//!   taken to be three bytes, which is more than English has and less than it costs to be wrong.
//! - **Output**: the cap that is sent, times the number of answers.
//! - **Price**: the dearest rate that can apply: long-prompt tiers that the bound reaches, service tiers if one is asked
//!   for, cache writes if the body asks for them.
//! - What has no bound (links to media, stored files and answers, searches of the provider) is said to have none.

use memchr::memmem;

use super::Amounts;
use crate::json::{Cursor, Kind, SyntaxError};
use crate::provider::{Bucket, Price, Rates};
use crate::units::NanoUsd;

/// The output cap of a call that names none, under a strict budget.
pub const DEFAULT_MAX_TOKENS: u32 = 4_096;

/// Tokens that a provider puts around the messages of a call.
const AROUND: u64 = 64;
/// Tokens that a provider puts around the tools of a call; the documented prompts have up to some 800.
const AROUND_TOOLS: u64 = 1_024;
/// How far behind the name of a medium its link may begin, in bytes.
const LINK_WITHIN: usize = 96;
/// Bytes of a token where no hard bound is needed.
const BYTES_PER_TOKEN: u64 = 3;

/// What a quoted word at the beginning of a string says of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Tools,
    Unbounded(&'static str),
    /// What may be a link that the provider follows.
    Medium,
    Caches,
    Sound,
    Image,
    /// Sound or images may come back.
    Media,
    Tier,
}

/// The words that matter, as they stand behind a quote. Those that end in one are whole names.
const WORDS: &[(&str, Mark)] = &[
    ("tools\"", Mark::Tools),
    ("file_id\"", Mark::Unbounded("a stored file")),
    ("fileUri\"", Mark::Unbounded("a stored file")),
    ("previous_response_id\"", Mark::Unbounded("a stored answer")),
    ("web_search", Mark::Unbounded("a search by the provider")),
    ("googleSearch\"", Mark::Unbounded("a search by the provider")),
    ("google_search\"", Mark::Unbounded("a search by the provider")),
    ("code_interpreter\"", Mark::Unbounded("a tool that the provider runs")),
    ("code_execution", Mark::Unbounded("a tool that the provider runs")),
    ("mcp_servers\"", Mark::Unbounded("a tool that the provider runs")),
    ("image_url\"", Mark::Medium),
    ("video_url\"", Mark::Medium),
    ("file_url\"", Mark::Medium),
    ("source\"", Mark::Medium),
    ("input_image\"", Mark::Medium),
    ("cache_control\"", Mark::Caches),
    ("input_audio\"", Mark::Sound),
    ("inlineData\"", Mark::Sound),
    ("image", Mark::Image),
    ("input_image", Mark::Image),
    ("data:image", Mark::Image),
    ("audio\"", Mark::Media),
    ("modalities\"", Mark::Media),
    ("responseModalities\"", Mark::Media),
    ("service_tier\"", Mark::Tier),
];

/// The first letters of [`WORDS`], as bits.
const FIRST_LETTERS: u128 = {
    let (mut letters, mut words) = (0, WORDS);
    while let [(word, _), rest @ ..] = words {
        if let [first, ..] = word.as_bytes() {
            letters |= 1 << *first;
        }
        words = rest;
    }
    letters
};

/// What a request's words say that bounds or prices it.
#[derive(Default)]
struct Marks {
    tools: bool,
    unbounded: Option<&'static str>,
    linked: bool,
    caches: bool,
    sound: bool,
    images: bool,
    media: bool,
    tier: bool,
}

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

/// How much may come back, as the members of a request say it in every format. Of several that say it the largest counts:
/// whichever the provider goes by, it is no more.
#[derive(Default)]
struct Caps {
    /// A bit for each of the names: what comes twice says nothing, as nobody knows which of the two counts.
    seen: u8,
    /// Tokens of one answer.
    tokens: Option<u64>,
    /// How many answers.
    answers: Option<u64>,
}

/// Estimates a request by its body as it goes out.
///
/// `answers` is false for what has no output, such as embeddings. `strict` asks for hard bounds. `model_max` is the most
/// that the model puts out, where that is known: the bound of a call without a cap.
#[must_use]
pub fn estimate(body: &[u8], answers: bool, strict: bool, price: Option<&Price>, model_max: Option<u64>) -> Estimate {
    let bytes = body.len() as u64;
    let marks = Marks::of(body);
    let around = if marks.tools { AROUND + AROUND_TOOLS } else { AROUND };
    let input_tokens = if strict { bytes } else { bytes.div_ceil(BYTES_PER_TOKEN) } + around;
    let mut unbounded = marks.unbounded.or(marks.linked.then_some("a link to media"));
    let output_tokens = if answers { output_cap(body, model_max) } else { Some(0) };
    if output_tokens.is_none() && strict {
        unbounded = unbounded.or(Some("an answer without a cap"));
    }
    let output_tokens = output_tokens.unwrap_or(u64::from(DEFAULT_MAX_TOKENS));
    let cost = price.and_then(|price| worst_cost(price, &marks, input_tokens, output_tokens));
    let most = Amounts { cost: cost.unwrap_or(NanoUsd::ZERO), requests: 1, input_tokens, output_tokens, parallel: 1 };
    Estimate { most, priced: cost.is_some(), unbounded }
}

/// The most output tokens of all answers together.
fn output_cap(body: &[u8], model_max: Option<u64>) -> Option<u64> {
    // What cannot be read here the upstream will not take either: then only the model's own cap is known.
    let caps = Caps::of(body).unwrap_or_default();
    Some(caps.tokens.or(model_max)?.saturating_mul(caps.answers.unwrap_or(1).max(1)))
}

impl Caps {
    /// Reads no more of a body than where its members stand.
    fn of(body: &[u8]) -> Result<Caps, SyntaxError> {
        let mut caps = Caps::default();
        let mut cursor = Cursor::new(body)?;
        cursor.members(|name, cursor| match &*name {
            "max_tokens" => caps.tokens(0, cursor),
            "max_completion_tokens" => caps.tokens(1, cursor),
            "max_output_tokens" => caps.tokens(2, cursor),
            "n" => caps.answers(3, cursor),
            "best_of" => caps.answers(4, cursor),
            "generationConfig" => {
                caps.note(5, cursor)?;
                if cursor.kind() != Some(Kind::Object) {
                    return cursor.value().map(drop);
                }
                cursor.members(|name, cursor| match &*name {
                    "maxOutputTokens" => caps.tokens(6, cursor),
                    "candidateCount" => caps.answers(7, cursor),
                    _ => cursor.value().map(drop),
                })
            }
            _ => cursor.value().map(drop),
        })?;
        cursor.finish()?;
        Ok(caps)
    }

    fn tokens(&mut self, name: u8, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        self.note(name, cursor)?;
        larger(&mut self.tokens, cursor)
    }

    fn answers(&mut self, name: u8, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        self.note(name, cursor)?;
        larger(&mut self.answers, cursor)
    }

    fn note(&mut self, name: u8, cursor: &Cursor<'_>) -> Result<(), SyntaxError> {
        let bit = 1 << name;
        if self.seen & bit != 0 {
            return Err(SyntaxError { at: cursor.position(), what: "a member comes twice" });
        }
        self.seen |= bit;
        Ok(())
    }
}

/// Takes the whole number that comes next, where it is larger than the one that is known; `null` is none.
fn larger(known: &mut Option<u64>, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    let at = cursor.position();
    let value = cursor.value()?;
    if !value.is_null() {
        let number = value.get().parse().map_err(|_| SyntaxError { at, what: "expected a whole number" })?;
        *known = (*known).max(Some(number));
    }
    Ok(())
}

impl Marks {
    /// Goes over the quotes of a body once.
    fn of(body: &[u8]) -> Marks {
        let mut marks = Marks::default();
        for quote in memchr::memchr_iter(b'"', body) {
            let rest = body.get(quote + 1..).unwrap_or_default();
            let letter = rest.first().map_or(0, |letter| u32::from(*letter));
            if letter < 128 && FIRST_LETTERS >> letter & 1 == 1 {
                let alike = |word: &str| word.as_bytes().first() == rest.first() && rest.starts_with(word.as_bytes());
                WORDS.iter().filter(|(word, _)| alike(word)).for_each(|(_, mark)| marks.note(*mark, rest));
            }
        }
        marks
    }

    fn note(&mut self, mark: Mark, rest: &[u8]) {
        match mark {
            Mark::Tools => self.tools = true,
            Mark::Unbounded(what) => self.unbounded = self.unbounded.or(Some(what)),
            // The link stands near its name: `"image_url": {"url": "https:`.
            Mark::Medium => {
                let near = rest.get(..LINK_WITHIN.min(rest.len())).unwrap_or_default();
                self.linked |= memmem::find(near, b"\"http").is_some();
            }
            Mark::Caches => self.caches = true,
            Mark::Sound => self.sound = true,
            Mark::Image => self.images = true,
            Mark::Media => self.media = true,
            Mark::Tier => self.tier = true,
        }
    }
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
        let media = [Bucket::AudioOutput, Bucket::ImageOutput].into_iter().filter(|_| marks.media);
        dearest(rates, [Bucket::Output, Bucket::Reasoning].into_iter().chain(media))
    };
    let tiers = price.service_tiers.iter().filter(|_| marks.tier).map(|(_, rates)| rates);
    let long = price.above.iter().filter(|above| input_tokens > above.tokens).map(|above| &above.rates);
    let mut rates = vec![&price.rates];
    rates.extend(tiers.chain(long));
    // A tier that names no rate leaves the standard one, which is among them.
    let (input, output) =
        (rates.iter().filter_map(|it| input(it)).max(), rates.iter().filter_map(|it| output(it)).max());
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::Usage;
    use crate::provider::{LongPrompt, cost};

    fn price() -> Price {
        let mut price = Price::default();
        for (bucket, usd) in [(Bucket::Input, 2), (Bucket::CacheRead, 1), (Bucket::CacheWrite, 3), (Bucket::Output, 8)]
        {
            price.rates.set(bucket, NanoUsd(usd * NanoUsd::DOLLAR.0));
        }
        let mut long = Rates::default();
        long.set(Bucket::Input, NanoUsd(4 * NanoUsd::DOLLAR.0));
        price.above.push(LongPrompt { tokens: 1_000, rates: long });
        price
    }

    #[test]
    fn the_worst_case_is_bytes_in_and_the_cap_out() {
        let body = br#"{"model":"m","messages":[],"max_tokens":100,"n":2}"#;
        let found = estimate(body, true, true, Some(&price()), None);
        let input = body.len() as u64 + AROUND;
        assert_eq!((found.most.input_tokens, found.most.output_tokens), (input, 200));
        let exact = NanoUsd(2_000).0 * i64::try_from(input).unwrap() + 8_000 * 200;
        assert_eq!(found.most.cost, NanoUsd(exact + Bucket::COUNT as i64));
        assert_eq!((found.priced, found.unbounded), (true, None));
    }

    #[test]
    fn caps_are_found_in_every_format() {
        let cap = |body: &str| estimate(body.as_bytes(), true, true, None, None).most.output_tokens;
        assert_eq!(cap(r#"{"max_completion_tokens":7}"#), 7);
        assert_eq!(cap(r#"{"max_output_tokens":8}"#), 8);
        assert_eq!(cap(r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":3}}"#), 27);
        assert_eq!(cap(r#"{"max_tokens":7,"max_completion_tokens":null,"n":2}"#), 14);
        for unread in [
            r#"{"max_tokens":"7"}"#,
            r#"{"max_tokens":7.5}"#,
            r#"{"max_tokens":-7}"#,
            r#"{"max_tokens":1,"max_tokens":null}"#,
            r#"{"generationConfig":{"maxOutputTokens":1},"generationConfig":{}}"#,
            r#"{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":null}}"#,
            r#"[{"n":2}]"#,
            "{",
            "",
        ] {
            assert_eq!(estimate(unread.as_bytes(), true, true, None, Some(5)).most.output_tokens, 5, "{unread}");
        }
        assert_eq!(estimate(b"{}", true, true, None, Some(5)).most.output_tokens, 5, "the model's own");
        assert_eq!(estimate(b"{}", false, true, None, None).most.output_tokens, 0, "no answer, no output");
    }

    #[test]
    fn what_has_no_bound_is_named() {
        let unbounded = |body: &str| estimate(body.as_bytes(), true, true, None, Some(1)).unbounded;
        assert_eq!(unbounded(r#"{"image_url":{"url":"https://a/b.png"}}"#), Some("a link to media"));
        assert_eq!(unbounded(r#"{"image_url":{"url":"data:image/png;base64,AAAA"}}"#), None);
        assert_eq!(unbounded(r#"{"type":"file","file":{"file_id":"f"}}"#), Some("a stored file"));
        assert_eq!(unbounded(r#"{"tools":[{"type":"web_search_preview"}]}"#), Some("a search by the provider"));
        assert_eq!(unbounded(r#"{"content":"say \"file_id\" twice"}"#), None, "what is only talked about");
        assert_eq!(estimate(b"{}", true, true, None, None).unbounded, Some("an answer without a cap"));
        assert_eq!(estimate(b"{}", true, false, None, None).unbounded, None);
    }

    #[test]
    fn an_unknown_price_is_no_price() {
        let found = estimate(b"{}", true, true, None, Some(1));
        assert_eq!((found.priced, found.most.cost), (false, NanoUsd::ZERO));
    }

    proptest! {
        #[test]
        fn no_usage_within_the_bounds_costs_more(
            text in "[a-z ]{0,4000}", max in 1u64..5_000, fresh in 0u64..4_000, read in 0u64..4_000, out in 0u64..5_000,
            reasoned in 0u64..5_000,
        ) {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"max_tokens":{max}}}"#);
            let found = estimate(body.as_bytes(), true, true, Some(&price()), None);
            let out = out.min(max);
            let usage = Usage {
                input_fresh: fresh.min(found.most.input_tokens),
                input_cache_read: Some(read.min(found.most.input_tokens - fresh.min(found.most.input_tokens))),
                output_text: out,
                output_reasoning: Some(reasoned.min(max - out)),
                ..Usage::default()
            };
            prop_assert!(cost(&usage, &price()).unwrap() <= found.most.cost);
        }
    }
}
