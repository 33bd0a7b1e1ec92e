//! Who may serve a call, and what is known of them.

use std::rc::Rc;

use super::classify::Kind;
use super::condition::Condition;
use super::facts::CallFacts;
use crate::breaker::{self, Verdict};
use crate::provider::{Capabilities, Price};
use crate::units::{Millis, UnixMillis};

/// One target that a name stands for, with what the registry knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// The provider's id.
    pub provider: Rc<str>,
    /// The model as the provider spells it.
    pub model: Rc<str>,
    /// `provider/model`.
    pub target: Rc<str>,
    /// Which of the candidates as they are written it comes from.
    pub source: usize,
    /// Which of the models that the call names it serves, from 0. Those of a later one come after all of an earlier one.
    pub rank: usize,
    /// Its share among those chosen by weight; 1 unless written otherwise.
    pub weight: u32,
    /// Tokens of input and output together, where known.
    pub context: Option<u64>,
    /// What it can do, where known.
    pub capabilities: Option<Capabilities>,
    /// When it stops being served.
    pub retires: Option<UnixMillis>,
    /// What it costs now; `None` is not free but unknown.
    pub price: Option<Rc<Price>>,
    /// What its operator says of it.
    pub traits: Rc<Traits>,
    /// For tasks of which difficulty it is meant, 1 to 5.
    pub difficulty: (u8, u8),
    /// For which kinds of tasks it is meant; empty for all.
    pub kinds: Vec<Kind>,
    /// For which calls it is a candidate at all.
    pub when: Condition,
}

/// What the operator says of targets, by which they can be pinned. What is not said is not so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Under whose law data is handled there, such as `eu`.
    pub jurisdictions: Vec<String>,
    /// Where it runs, in the provider's words.
    pub regions: Vec<String>,
    /// Nothing of a call is kept.
    pub zero_retention: bool,
    /// Nothing of a call is trained on.
    pub no_training: bool,
    /// Such as `fp8`.
    pub quantization: Option<String>,
}

/// What was lately seen of a target from this region.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Time to the first token that half of the calls beat.
    pub first_token_p50: Option<Millis>,
    /// Time to the first token that 19 of 20 calls beat.
    pub first_token_p95: Option<Millis>,
    /// Time to the whole of a plain answer that half of them beat.
    pub whole_p50: Option<Millis>,
    /// Time to the whole of a plain answer that 19 of 20 beat.
    pub whole_p95: Option<Millis>,
    /// Output tokens per second, once it speaks.
    pub tokens_per_second: Option<f64>,
    /// Output tokens of plain answers by the time to the whole of them.
    pub whole_tokens_per_second: Option<f64>,
    /// The share of recent calls that failed.
    pub error_ratio: f64,
    /// Calls under way.
    pub in_flight: u32,
    /// It must not be asked before this moment.
    pub blocked_until: Option<UnixMillis>,
}

impl Figures {
    /// What strategies go by of what was seen of a target, of its breaker's verdict, and of the calls that it has.
    #[must_use]
    pub fn seen(seen: &breaker::Figures, verdict: Verdict, in_flight: u32) -> Figures {
        Figures {
            first_token_p50: seen.p50.or(seen.average),
            first_token_p95: seen.p95,
            whole_p50: seen.whole_p50.or(seen.whole_average),
            whole_p95: seen.whole_p95,
            tokens_per_second: seen.tokens_per_second.map(f64::from),
            whole_tokens_per_second: seen.whole_tokens_per_second.map(f64::from),
            error_ratio: f64::from(seen.error_percent.unwrap_or(0)) / 100.0,
            in_flight,
            blocked_until: match verdict {
                Verdict::Pass | Verdict::Probe => None,
                Verdict::Blocked { until } => Some(until),
                Verdict::Off => Some(UnixMillis(i64::MAX)),
            },
        }
    }

    /// Time to the end of an answer of `output` tokens, at p95; `None` where too little was seen. That of a plain one is
    /// what such took, and without any what a stream of as many tokens would.
    #[must_use]
    pub fn total_p95(&self, output: u64, plain: bool) -> Option<Millis> {
        if let Some(whole) = self.whole_p95.filter(|_| plain) {
            return Some(whole);
        }
        let speed = self.tokens_per_second.filter(|speed| *speed > 0.0)?;
        let spoken = Millis((output as f64 * 1_000.0 / speed) as u64);
        Some(Millis(self.first_token_p95?.0.saturating_add(spoken.0)))
    }

    /// Tokens per second of such calls: each kind by its own, and by the other's only where it was not seen.
    #[must_use]
    pub fn speed(&self, plain: bool) -> Option<f64> {
        match plain {
            true => self.whole_tokens_per_second.or(self.tokens_per_second),
            false => self.tokens_per_second.or(self.whole_tokens_per_second),
        }
    }

    /// Whether it may be asked at `now`.
    #[must_use]
    pub fn is_open(&self, now: UnixMillis) -> bool {
        self.blocked_until.is_none_or(|until| until <= now)
    }
}

impl Contender {
    /// Whether it is a candidate for this call at all.
    #[must_use]
    pub fn is_meant_for(&self, call: &CallFacts<'_>) -> bool {
        self.when.holds(call)
    }

    /// How far the task is from those it is meant for: by levels of difficulty, then by whether it is meant for this
    /// kind, or for any; other kinds are further than all of that.
    #[must_use]
    pub fn distance(&self, kind: Kind, difficulty: u8) -> u8 {
        let (from, to) = self.difficulty;
        let levels = from.saturating_sub(difficulty).max(difficulty.saturating_sub(to));
        // Too strong is dear, too weak is wrong: at the same distance the stronger comes first.
        let weak = u8::from(difficulty > to);
        let foreign = match self.kinds.contains(&kind) {
            true => 0,
            false if self.kinds.is_empty() => 1,
            false => 40,
        };
        levels.saturating_mul(4).saturating_add(2 * weak).saturating_add(foreign)
    }
}
