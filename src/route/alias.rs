//! Logical names and what they stand for.

use super::check::{Check, Escalation};
use super::classify::Kind;
use super::condition::Condition;
use crate::chat::Effort;
use crate::config::{OwnDeadlines, OwnFailover};
use crate::sorted::SortedMap;
use crate::units::Millis;

/// What a logical name such as `fast-cheap` stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alias {
    /// Who may serve it, best first.
    pub candidates: Vec<Named>,
    /// Models to try when no candidate served the call.
    pub fallbacks: Vec<String>,
    /// How the candidates are ordered and limited.
    pub policy: Policy,
    /// Words that can follow the name, as in `name:cheap`, and the strategy that each asks for.
    pub variants: SortedMap<String, Strategy>,
    /// Deadlines of its calls that differ from the gateway's.
    pub deadlines: OwnDeadlines,
    /// What follows a failure of its calls, where that differs from the gateway's.
    pub failover: OwnFailover,
    /// What replaces candidates and policy for some calls: the first whose condition holds.
    pub overlays: Vec<Overlay>,
}

/// A part of an alias that differs for some calls: another environment, a team with wishes of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    /// For which calls.
    pub when: Condition,
    /// The candidates for them; empty to keep the alias's own.
    pub candidates: Vec<Named>,
    /// The strategy for them.
    pub strategy: Option<Strategy>,
}

/// A candidate as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    /// `provider/model`, a pattern of such with `*`, a bare model id or another alias.
    pub model: String,
    /// Of what a pattern matches, only the newest at each provider.
    pub latest: bool,
    /// Its share among candidates that are chosen by weight.
    pub weight: u32,
    /// For which calls it is a candidate at all.
    pub when: Condition,
    /// For tasks of which difficulty it is meant, 1 to 5.
    pub difficulty: (u8, u8),
    /// For which kinds of tasks it is meant; empty for all.
    pub kinds: Vec<Kind>,
    /// What it changes in the request.
    pub overrides: Overrides,
    /// What its answers must be, where that is written.
    pub check: Option<Check>,
}

/// What a candidate changes in the request. What is not named stays as the caller wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// Another sampling parameter.
    pub top_p: Option<f64>,
    /// The output limit, where the caller names none or a larger one.
    pub max_tokens: Option<u64>,
    /// How much to think.
    pub reasoning_effort: Option<Effort>,
    /// What is said before the caller's own messages.
    pub system_prefix: Option<String>,
}

impl Overrides {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Overrides::default()
    }
}

/// How candidates are ordered and limited.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The order.
    pub strategy: Strategy,
    /// The share of calls, 0 to 0.5, that goes to another candidate than the best, so that what is known of the
    /// others stays true.
    pub explore: f64,
    /// How long an answer may take.
    pub latency_budget: LatencyBudget,
    /// How much better another candidate must be before calls leave the one they go to, as a share.
    pub margin: f64,
    /// Shares of the budget at whose use `budget_aware` moves on to cheaper candidates, ascending.
    pub budget_steps: Vec<f64>,
    /// The weights of `balanced`.
    pub balance: Balance,
    /// Below this confidence of the classifier, a task counts as one level harder.
    pub least_confidence: f64,
    /// Whether calls stay where their prompt cache is.
    pub sticky: bool,
    /// How far calls go on whose answers fail their check.
    pub escalation: Escalation,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            strategy: Strategy::Ordered,
            explore: 0.0,
            latency_budget: LatencyBudget::default(),
            margin: 0.15,
            budget_steps: vec![0.5, 0.8, 0.95],
            balance: Balance::default(),
            least_confidence: 0.5,
            sticky: true,
            escalation: Escalation::default(),
        }
    }
}

/// The order of candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// As they are written.
    #[default]
    Ordered,
    /// By chance in proportion to their weights, the same for all calls of a session.
    Weighted,
    /// By what this call is expected to cost.
    Cheapest,
    /// By the time to the first token.
    Fastest,
    /// By the time to the end of the answer.
    FastestTotal,
    /// By tokens per second.
    Throughput,
    /// By calls under way in proportion to their weights.
    LeastBusy,
    /// By chance among the healthy, in proportion to [`Balance`].
    Balanced,
    /// As they are written, but ever fewer of the dear ones as the budget is used up.
    BudgetAware,
    /// Those meant for the kind and difficulty of the task, the cheapest first.
    Prompt,
}

impl Strategy {
    /// Each with its name in the configuration.
    pub const NAMES: [(&'static str, Strategy); 10] = [
        ("ordered", Strategy::Ordered),
        ("weighted", Strategy::Weighted),
        ("cheapest", Strategy::Cheapest),
        ("fastest", Strategy::Fastest),
        ("fastest_total", Strategy::FastestTotal),
        ("throughput", Strategy::Throughput),
        ("least_busy", Strategy::LeastBusy),
        ("balanced", Strategy::Balanced),
        ("budget_aware", Strategy::BudgetAware),
        ("prompt", Strategy::Prompt),
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        Strategy::NAMES.iter().find(|(_, strategy)| *strategy == self).map_or("", |(name, _)| name)
    }

    /// The strategy that a word after any model string asks for, as in `model:floor`.
    #[must_use]
    pub fn of_suffix(word: &str) -> Option<Strategy> {
        match word {
            "floor" | "cheap" => Some(Strategy::Cheapest),
            "nitro" => Some(Strategy::Throughput),
            "fast" => Some(Strategy::Fastest),
            _ => None,
        }
    }
}

/// The weight of a candidate under `balanced` is
/// `cost^-price × latency^-latency × (1 - error ratio)^errors × written weight`,
/// over those of the healthy ones: not blocked, fewer than a tenth of recent calls failed, and no more than twice as
/// slow at p95 as the median of the candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// 2 unless set: half the price is four times the calls.
    pub price: f64,
    /// 0 unless set.
    pub latency: f64,
    /// 4 unless set.
    pub errors: f64,
}

impl Default for Balance {
    fn default() -> Balance {
        Balance { price: 2.0, latency: 0.0, errors: 4.0 }
    }
}

/// How long an answer may take, at p95.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyBudget {
    /// To the first token.
    pub first_token: Option<Millis>,
    /// To the end.
    pub total: Option<Millis>,
}
