//! What a call used, in buckets that do not overlap.

use crate::units::NanoUsd;

/// A billion, a hundred times the longest context: tokens, or whatever else is counted, of one call.
const MOST: u64 = 1_000_000_000;
/// What one call may cost by a provider's word.
const MOST_USD: NanoUsd = NanoUsd(1_000_000 * NanoUsd::DOLLAR.0);

/// Tokens of one answer, each counted in exactly one bucket.
///
/// Vendors disagree on what includes what (OpenAI's `prompt_tokens` includes cached ones, Anthropic's `input_tokens`
/// does not); each format's reader sorts that out, so that prices apply to buckets without double counting. `None`
/// is "not said", which is not zero.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    /// Text, image and document input that was neither read from nor written to a cache.
    pub input_fresh: u64,
    /// Input read from a prompt cache.
    pub input_cache_read: Option<u64>,
    /// Input written to a cache that lives five minutes (or the vendor's default time).
    pub input_cache_write: Option<u64>,
    /// Input written to a cache that lives an hour.
    pub input_cache_write_1h: Option<u64>,
    /// Fresh audio input, where it is counted apart.
    pub input_audio: Option<u64>,
    /// Fresh image input, where it is counted apart.
    pub input_image: Option<u64>,
    /// Visible text, tool calls and refusals.
    pub output_text: u64,
    /// Reasoning, shown or not.
    pub output_reasoning: Option<u64>,
    /// Generated audio.
    pub output_audio: Option<u64>,
    /// Generated images, in tokens.
    pub output_image: Option<u64>,
    /// Predicted tokens that were used; already within `output_text`, told apart only for the caller.
    pub accepted_prediction: Option<u64>,
    /// Predicted tokens that were not; billed as output and within `output_text`.
    pub rejected_prediction: Option<u64>,
    /// Searches and other billed requests of provider-run tools.
    pub tool_requests: Option<u64>,
    /// What was used of something that is sold other than by the token; known or counted.
    pub counted: Option<Counted>,
    /// What the upstream says it charges for this call, where it can be relied on: prices of a router that picks among
    /// vendors are in no catalogue.
    pub stated_cost: Option<NanoUsd>,
    /// The service tier that the upstream says it used: it decides the price.
    pub service_tier: Option<String>,
    /// The upstream did not say; counted from what was seen.
    pub estimated: bool,
}

/// What is sold other than by the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A second of sound or film sent.
    InputSecond,
    /// A second of sound or film made.
    OutputSecond,
    /// An image made.
    Image,
    /// An image sent.
    InputImage,
    /// A character sent.
    InputCharacter,
    /// A query of a reranker or search index.
    Query,
}

/// So much of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What is counted.
    pub unit: Unit,
    /// Thousandths of it: sound is sold by the second and measured in parts of one.
    pub thousandths: u64,
}

impl Unit {
    /// All, in the order in which they are declared.
    pub const ALL: [Unit; 6] =
        [Unit::InputSecond, Unit::OutputSecond, Unit::Image, Unit::InputImage, Unit::InputCharacter, Unit::Query];

    /// Its name in answers and in the configuration document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Unit::InputSecond => "input_second",
            Unit::OutputSecond => "output_second",
            Unit::Image => "image",
            Unit::InputImage => "input_image",
            Unit::InputCharacter => "input_character",
            Unit::Query => "query",
        }
    }

    /// So many whole ones.
    #[must_use]
    pub fn times(self, count: u64) -> Counted {
        Counted { unit: self, thousandths: count.saturating_mul(1_000) }
    }
}

impl Usage {
    /// All input: what OpenAI calls `prompt_tokens`.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        [self.input_cache_read, self.input_cache_write, self.input_cache_write_1h, self.input_audio, self.input_image]
            .into_iter()
            .flatten()
            .fold(self.input_fresh, u64::saturating_add)
    }

    /// All output: what OpenAI calls `completion_tokens`.
    #[must_use]
    pub fn completion_tokens(&self) -> u64 {
        [self.output_reasoning, self.output_audio, self.output_image]
            .into_iter()
            .flatten()
            .fold(self.output_text, u64::saturating_add)
    }

    /// This and another, bucket by bucket: what two attempts at one call used together.
    #[must_use]
    pub fn plus(&self, other: &Usage) -> Usage {
        let both = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        Usage {
            input_fresh: self.input_fresh.saturating_add(other.input_fresh),
            input_cache_read: both(self.input_cache_read, other.input_cache_read),
            input_cache_write: both(self.input_cache_write, other.input_cache_write),
            input_cache_write_1h: both(self.input_cache_write_1h, other.input_cache_write_1h),
            input_audio: both(self.input_audio, other.input_audio),
            input_image: both(self.input_image, other.input_image),
            output_text: self.output_text.saturating_add(other.output_text),
            output_reasoning: both(self.output_reasoning, other.output_reasoning),
            output_audio: both(self.output_audio, other.output_audio),
            output_image: both(self.output_image, other.output_image),
            accepted_prediction: both(self.accepted_prediction, other.accepted_prediction),
            rejected_prediction: both(self.rejected_prediction, other.rejected_prediction),
            tool_requests: both(self.tool_requests, other.tool_requests),
            counted: match (self.counted, other.counted) {
                (Some(one), Some(other)) if one.unit == other.unit => {
                    Some(Counted { thousandths: one.thousandths.saturating_add(other.thousandths), ..one })
                }
                (one, other) => other.or(one),
            },
            stated_cost: None,
            service_tier: other.service_tier.clone(),
            estimated: self.estimated || other.estimated,
        }
    }

    /// Input and output.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens().saturating_add(self.completion_tokens())
    }

    /// Whether a call can have used so much. Servers are known to write less than nothing as an unsigned number: what they
    /// mean is not known, and no sum in which that stands is right again.
    #[must_use]
    pub fn is_credible(&self) -> bool {
        let counted = self.counted.map_or(0, |counted| counted.thousandths / 1_000);
        let counts = [self.total_tokens(), self.tool_requests.unwrap_or(0), counted];
        counts.into_iter().all(|count| count <= MOST) && self.stated_cost.is_none_or(|cost| cost <= MOST_USD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each bucket another number, so that no two can be taken for each other.
    fn numbered(first: u64) -> Usage {
        let count = |at: u64| Some(first + at);
        Usage {
            input_fresh: first,
            input_cache_read: count(1),
            input_cache_write: count(2),
            input_cache_write_1h: count(3),
            input_audio: count(4),
            input_image: count(5),
            output_text: first + 6,
            output_reasoning: count(7),
            output_audio: count(8),
            output_image: count(9),
            accepted_prediction: count(10),
            rejected_prediction: count(11),
            tool_requests: count(12),
            counted: Some(Unit::Image.times(first + 13)),
            ..Usage::default()
        }
    }

    #[test]
    fn what_two_attempts_used_is_the_sum_of_each_bucket() {
        let (one, other) = (numbered(100), numbered(1000));
        let sum = one.plus(&other);
        let twice = |at: u64| Some(1100 + 2 * at);
        let expected = Usage {
            input_fresh: 1100,
            input_cache_read: twice(1),
            input_cache_write: twice(2),
            input_cache_write_1h: twice(3),
            input_audio: twice(4),
            input_image: twice(5),
            output_text: 1112,
            output_reasoning: twice(7),
            output_audio: twice(8),
            output_image: twice(9),
            accepted_prediction: twice(10),
            rejected_prediction: twice(11),
            tool_requests: twice(12),
            counted: Some(Unit::Image.times(1126)),
            ..Usage::default()
        };
        assert_eq!(sum, expected);
        assert_eq!(sum.total_tokens(), one.total_tokens() + other.total_tokens());
        // Known of one alone, it is that; known of neither, it stays unknown.
        let plain = Usage { input_fresh: 1, ..Usage::default() };
        assert_eq!(plain.plus(&one), Usage { input_fresh: 101, ..numbered(100) });
        assert_eq!(one.plus(&plain), Usage { input_fresh: 101, ..numbered(100) });
        assert_eq!(plain.plus(&plain), Usage { input_fresh: 2, ..Usage::default() });
        let guessed = Usage { estimated: true, ..plain.clone() };
        assert!(guessed.plus(&plain).estimated && plain.plus(&guessed).estimated);
    }

    #[test]
    fn counts_that_no_call_can_have_are_not_believed() {
        let most = Usage {
            input_fresh: MOST,
            tool_requests: Some(MOST),
            counted: Some(Unit::Query.times(MOST)),
            stated_cost: Some(MOST_USD),
            ..Usage::default()
        };
        assert!(most.is_credible());
        for wrong in [
            Usage { output_text: 1, ..most.clone() },
            Usage { tool_requests: Some(MOST + 1), ..most.clone() },
            Usage { counted: Some(Unit::Query.times(MOST + 1)), ..most.clone() },
            Usage { stated_cost: Some(NanoUsd(MOST_USD.0 + 1)), ..most.clone() },
        ] {
            assert!(!wrong.is_credible(), "{wrong:?}");
        }
    }
}
