//! What a target must be, whatever the strategy would rather have.

use super::alias::{LatencyBudget, Strategy};
use super::condition::Condition;
use super::contender::{Contender, Traits};
use crate::keys::ModelPattern;
use crate::provider::{Bucket, Capabilities, Price};
use crate::units::{NanoUsd, UnixMillis};

/// A rule of the operator's. All rules that hold for a call apply to it together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// What it is called in explanations.
    pub name: String,
    /// For which calls.
    pub when: Condition,
    /// What their targets must be.
    pub demands: Demands,
    /// Which alias serves them, whatever model they name. Of several rules the first counts.
    pub alias: Option<String>,
    /// In which order candidates are tried. Of several rules the first counts.
    pub strategy: Option<Strategy>,
    /// How long an answer may take.
    pub latency_budget: LatencyBudget,
}

/// What a target must be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demands {
    /// It is in each of these lists.
    pub only: Vec<Vec<ModelPattern>>,
    /// It is none of these.
    pub ignore: Vec<ModelPattern>,
    /// Of each list, data is handled under one of these laws.
    pub jurisdictions: Vec<Vec<String>>,
    /// Of each list, it runs in one of these places.
    pub regions: Vec<Vec<String>>,
    /// It keeps nothing.
    pub zero_retention: bool,
    /// It trains on nothing.
    pub no_training: bool,
    /// Its weights are of one of these precisions; empty for any.
    pub quantizations: Vec<String>,
    /// It costs no more than this.
    pub max_price: MaxPrice,
}

/// Prices that a target must not pass, per million tokens and per request. A target without a known price passes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    /// For input.
    pub input: Option<NanoUsd>,
    /// For output.
    pub output: Option<NanoUsd>,
    /// For a million requests of provider-run tools.
    pub request: Option<NanoUsd>,
}

/// Why a contender is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It is a candidate for other calls.
    NotMeant,
    /// The key may not use it.
    KeyPolicy,
    /// The call, or the rule of this name, names others.
    NotNamed,
    /// It is to be left out.
    Ignored,
    /// It handles data under another law, or does not say.
    Jurisdiction,
    /// It runs elsewhere, or does not say.
    Region,
    /// It may keep what it sees, or does not say.
    Retention,
    /// It may train on what it sees, or does not say.
    Training,
    /// Its precision is another, or not known.
    Quantization,
    /// It cannot do this.
    Capability(&'static str),
    /// The prompt is longer than it takes.
    Context {
        /// What the prompt is taken for.
        tokens: u64,
        /// What it takes.
        limit: u64,
    },
    /// It costs more than it may, or nobody knows what it costs.
    Price,
    /// It is no longer served.
    Retired,
    /// It is too slow at p95.
    Latency,
    /// What is left of the budget does not pay for it.
    Budget,
    /// It is not set up on this gateway.
    NotSetUp,
}

impl Exclusion {
    /// One word for explanations.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Exclusion::NotMeant => "condition",
            Exclusion::KeyPolicy => "key_policy",
            Exclusion::NotNamed => "only",
            Exclusion::Ignored => "ignore",
            Exclusion::Jurisdiction => "jurisdiction",
            Exclusion::Region => "region",
            Exclusion::Retention => "zero_retention",
            Exclusion::Training => "no_training",
            Exclusion::Quantization => "quantization",
            Exclusion::Capability(_) => "capability",
            Exclusion::Context { .. } => "context_length",
            Exclusion::Price => "max_price",
            Exclusion::Retired => "retired",
            Exclusion::Latency => "latency_budget",
            Exclusion::Budget => "budget",
            Exclusion::NotSetUp => "not_set_up",
        }
    }
}

/// Abilities that calls ask for, with the words of explanations.
pub(super) const ABILITIES: [(u32, &str); 8] = [
    (Capabilities::TOOLS, "tools"),
    (Capabilities::VISION, "vision"),
    (Capabilities::PDF, "pdf"),
    (Capabilities::AUDIO_INPUT, "audio_input"),
    (Capabilities::AUDIO_OUTPUT, "audio_output"),
    (Capabilities::VIDEO_INPUT, "video_input"),
    (Capabilities::JSON_SCHEMA, "json_schema"),
    (Capabilities::REASONING, "reasoning"),
];

impl Demands {
    /// Adds what `other` demands.
    pub fn join(&mut self, other: &Demands) {
        self.only.extend_from_slice(&other.only);
        self.ignore.extend_from_slice(&other.ignore);
        self.jurisdictions.extend_from_slice(&other.jurisdictions);
        self.regions.extend_from_slice(&other.regions);
        self.zero_retention |= other.zero_retention;
        self.no_training |= other.no_training;
        match (self.quantizations.is_empty(), other.quantizations.is_empty()) {
            (_, true) => {}
            (true, false) => self.quantizations.clone_from(&other.quantizations),
            (false, false) => {
                self.quantizations.retain(|one| other.quantizations.contains(one));
                if self.quantizations.is_empty() {
                    // Nothing satisfies both, which an empty list would not say.
                    self.quantizations.push(String::new());
                }
            }
        }
        self.max_price = self.max_price.least(other.max_price);
    }

    /// Why `contender` is out, if it is: what never changes within a call, save health and price of the moment.
    #[must_use]
    pub fn refuse(&self, contender: &Contender, needs: u32, input_tokens: u64, now: UnixMillis) -> Option<Exclusion> {
        let (provider, model) = (&*contender.provider, &*contender.model);
        if !self.only.iter().all(|list| list.iter().any(|pattern| pattern.allows(provider, model))) {
            return Some(Exclusion::NotNamed);
        }
        if self.ignore.iter().any(|pattern| pattern.denies(provider, model)) {
            return Some(Exclusion::Ignored);
        }
        if let Some(exclusion) = self.refuse_traits(&contender.traits) {
            return Some(exclusion);
        }
        if contender.retires.is_some_and(|day| day <= now) {
            return Some(Exclusion::Retired);
        }
        if let Some(can) = contender.capabilities
            && let Some((_, name)) = ABILITIES.iter().find(|(ability, _)| needs & ability != 0 && !can.has(*ability))
        {
            return Some(Exclusion::Capability(name));
        }
        match contender.context {
            Some(limit) if input_tokens > limit => Some(Exclusion::Context { tokens: input_tokens, limit }),
            _ if !self.max_price.permits(contender.price.as_deref()) => Some(Exclusion::Price),
            _ => None,
        }
    }

    fn refuse_traits(&self, traits: &Traits) -> Option<Exclusion> {
        let one_of = |lists: &[Vec<String>], had: &[String]| {
            lists.iter().all(|list| list.iter().any(|wanted| had.iter().any(|has| has.eq_ignore_ascii_case(wanted))))
        };
        let precise = |quantization: &Option<String>| {
            quantization.as_ref().is_some_and(|has| self.quantizations.iter().any(|one| one.eq_ignore_ascii_case(has)))
        };
        if !one_of(&self.jurisdictions, &traits.jurisdictions) {
            Some(Exclusion::Jurisdiction)
        } else if !one_of(&self.regions, &traits.regions) {
            Some(Exclusion::Region)
        } else if self.zero_retention && !traits.zero_retention {
            Some(Exclusion::Retention)
        } else if self.no_training && !traits.no_training {
            Some(Exclusion::Training)
        } else if !self.quantizations.is_empty() && !precise(&traits.quantization) {
            Some(Exclusion::Quantization)
        } else {
            None
        }
    }
}

impl MaxPrice {
    fn least(self, other: MaxPrice) -> MaxPrice {
        let least = |one: Option<NanoUsd>, other: Option<NanoUsd>| one.into_iter().chain(other).min();
        MaxPrice {
            input: least(self.input, other.input),
            output: least(self.output, other.output),
            request: least(self.request, other.request),
        }
    }

    /// Whether a target of this price passes none of them.
    pub(crate) fn permits(&self, price: Option<&Price>) -> bool {
        let within = |most: Option<NanoUsd>, bucket: Bucket| match (most, price) {
            (None, _) => true,
            (Some(_), None) => false,
            // What a request costs is zero where nothing is said of it; tokens are never free unsaid.
            (Some(most), Some(price)) => match price.rates.with_parents(bucket) {
                Some(rate) => rate <= most,
                None => bucket == Bucket::Request,
            },
        };
        within(self.input, Bucket::Input)
            && within(self.output, Bucket::Output)
            && within(self.request, Bucket::Request)
    }
}

impl LatencyBudget {
    /// The tighter of both.
    #[must_use]
    pub fn least(self, other: LatencyBudget) -> LatencyBudget {
        LatencyBudget {
            first_token: self.first_token.into_iter().chain(other.first_token).min(),
            total: self.total.into_iter().chain(other.total).min(),
        }
    }
}
