//! What a call costs: usage in disjoint buckets times prices per million, each line rounded up once.
//!
//! Which prices hold is decided in this order: the standard rates; what a long prompt replaces in them; what the
//! service tier replaces in them. Rates that a replacement does not name stay as they were, save those that were the
//! same as their parent's: reasoning that costs what output costs does so in every tier. A bucket without a price is
//! priced as its parent (cached input as input, reasoning as output); where the parent has none either, the cost is
//! not known, which is not zero.

mod rates;
mod receipt;
mod validity;

pub use rates::{Bucket, Rates};
pub use receipt::receipt;
pub use validity::{Hours, Validity};

use crate::chat::{Counted, Unit, Usage};
use crate::units::NanoUsd;

/// What one model costs at one provider.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Price {
    /// The standard rates.
    pub rates: Rates,
    /// What long prompts replace, the shortest first.
    pub above: Vec<LongPrompt>,
    /// What service tiers (`batch`, `flex`, `priority`) replace, by the name that the provider reports.
    pub service_tiers: Vec<(String, Rates)>,
    /// Prices per million of what is not counted in tokens.
    pub units: Vec<(Unit, NanoUsd)>,
    /// When it holds.
    pub validity: Validity,
    /// Who says so.
    pub source: Source,
}

/// Where a price is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Source {
    /// The catalogue that is compiled in.
    #[default]
    Catalogue,
    /// The operator's configuration document.
    Configuration,
}

/// Rates for prompts longer than some number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPrompt {
    /// All input of the call, cached or not, must be more than this.
    pub tokens: u64,
    /// What it replaces.
    pub rates: Rates,
}

/// One line of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was counted.
    pub bucket: Bucket,
    /// How much of it: tokens, or requests.
    pub count: u64,
    /// The rate that was applied, per million; `None` where none is known.
    pub per_million: Option<NanoUsd>,
    /// The amount, rounded up to whole nano-dollars.
    pub amount: Option<NanoUsd>,
}

/// Service tiers that cost a multiple of the usual wherever they are sold.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/fast-mode>,
/// <https://developers.openai.com/api/docs/guides/ultrafast-mode>.
pub const DEAR: [&str; 3] = ["fast", "fast-us", "ultrafast"];

/// What a call costs; `None` where it used something whose price is not known.
///
/// ```
/// use latchkey::chat::Usage;
/// use latchkey::provider::{Bucket, Price, cost};
/// use latchkey::units::NanoUsd;
///
/// let mut price = Price::default();
/// price.rates.set(Bucket::Input, NanoUsd::DOLLAR);
/// let usage = Usage { input_fresh: 3, ..Usage::default() };
/// assert_eq!(cost(&usage, &price), Some(NanoUsd(3_000)));
/// let answered = Usage { output_text: 1, ..usage };
/// assert_eq!(cost(&answered, &price), None);
/// ```
#[must_use]
pub fn cost(usage: &Usage, price: &Price) -> Option<NanoUsd> {
    match price.sold(usage) {
        Some((counted, rate)) => Some(rate.per_million_thousandths(counted.thousandths)),
        // What was counted is not how it is sold, and tokens were not counted: nobody knows.
        None if usage.counted.is_some() && usage.total_tokens() == 0 && price.rates.iter().any(|it| it.1.0 > 0) => None,
        None if usage.service_tier.as_deref().is_some_and(|tier| price.lacks_dear(tier)) => None,
        None => lines(usage, price).map(|line| line.amount).sum(),
    }
}

/// The lines of a call's bill; buckets of which nothing was used are left out.
pub fn lines(usage: &Usage, price: &Price) -> impl Iterator<Item = Line> {
    let rates = price.rates_for(usage);
    counts(usage).into_iter().filter(|(_, count)| *count > 0).map(move |(bucket, count)| {
        let per_million = rates.with_parents(bucket);
        Line { bucket, count, per_million, amount: per_million.map(|rate| rate.per_million(count)) }
    })
}

impl Price {
    /// What is paid for by the unit, with its rate per million, where that is how `usage` is sold: tokens are then not
    /// paid for as well.
    ///
    /// Makers of images who count tokens sell those, whatever price lists make of it for one image.
    #[must_use]
    pub fn sold(&self, usage: &Usage) -> Option<(Counted, NanoUsd)> {
        let counted = usage.counted?;
        let by_token = counted.unit == Unit::Image && usage.total_tokens() > 0 && !self.rates.is_empty();
        let rate = self.units.iter().find(|(unit, _)| *unit == counted.unit).map(|(_, rate)| *rate);
        rate.filter(|_| !by_token).map(|rate| (counted, rate))
    }

    /// The rates that hold for `usage`: by the length of its prompt and the service tier that the upstream reports.
    ///
    /// A service tier that is not listed (`default`, `standard`, `on_demand`) costs the standard rates. Providers
    /// give service tiers for short prompts only; for a long one their rate moves as the standard one does: half
    /// price stays half price.
    #[must_use]
    pub fn rates_for(&self, usage: &Usage) -> Rates {
        self.rates_at(self.long_prompt(usage), self.service_tier(usage).map(|(_, rates)| rates))
    }

    /// The rates that hold for prompts of such a length at such a service tier; `None` is the usual one.
    #[must_use]
    pub fn rates_at(&self, long: Option<&LongPrompt>, tier: Option<&Rates>) -> Rates {
        let mut rates = self.rates;
        if let Some(long) = long {
            rates = rates.replaced_by(&long.rates);
        }
        if let Some(tier) = tier {
            let tier = if long.is_some() { tier.in_proportion(&self.rates, &rates) } else { *tier };
            rates = rates.replaced_by(&tier);
        }
        rates
    }

    /// The service tier whose rates hold for `usage`, where it is not the standard one.
    #[must_use]
    pub fn tier_of(&self, usage: &Usage) -> Option<&str> {
        self.service_tier(usage).map(|(name, _)| name.as_str())
    }

    /// The length of prompt above which the rates hold that hold for `usage`.
    #[must_use]
    pub fn above_of(&self, usage: &Usage) -> Option<u64> {
        self.long_prompt(usage).map(|long| long.tokens)
    }

    fn long_prompt(&self, usage: &Usage) -> Option<&LongPrompt> {
        let prompt = usage.prompt_tokens();
        self.above.iter().rev().find(|above| prompt > above.tokens)
    }

    /// Whether a service tier of this name costs a multiple of the usual, and how much is not known.
    #[must_use]
    pub fn lacks_dear(&self, tier: &str) -> bool {
        DEAR.contains(&tier) && self.named(tier).is_none()
    }

    fn service_tier(&self, usage: &Usage) -> Option<&(String, Rates)> {
        self.named(usage.service_tier.as_deref()?)
    }

    fn named(&self, named: &str) -> Option<&(String, Rates)> {
        let listed = |name: &str| self.service_tiers.iter().find(|(known, _)| known == name);
        // OpenAI has two words for one tier.
        listed(named).or_else(|| listed("priority").filter(|_| named == "fast"))
    }
}

fn counts(usage: &Usage) -> [(Bucket, u64); Bucket::COUNT] {
    let or_none = |count: Option<u64>| count.unwrap_or(0);
    [
        (Bucket::Input, usage.input_fresh),
        (Bucket::CacheRead, or_none(usage.input_cache_read)),
        (Bucket::CacheWrite, or_none(usage.input_cache_write)),
        (Bucket::CacheWrite1h, or_none(usage.input_cache_write_1h)),
        (Bucket::AudioInput, or_none(usage.input_audio)),
        (Bucket::ImageInput, or_none(usage.input_image)),
        (Bucket::Output, usage.output_text),
        (Bucket::Reasoning, or_none(usage.output_reasoning)),
        (Bucket::AudioOutput, or_none(usage.output_audio)),
        (Bucket::ImageOutput, or_none(usage.output_image)),
        (Bucket::Request, or_none(usage.tool_requests)),
    ]
}

#[cfg(test)]
mod tests;
