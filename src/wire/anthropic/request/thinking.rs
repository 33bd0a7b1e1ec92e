//! How much the model is asked to think.
//!
//! Older models are given a budget in tokens, newer ones an effort in words; some think unless told not to, some cannot
//! be told. Which is which is known by family ([`crate::provider::family`]).
//!
//! Source: <https://platform.claude.com/docs/en/build-with-claude/thinking#configuring-thinking>.

use crate::chat::{Effort, Reasoning};
use crate::json::Object;
use crate::provider::{ModelFacts, ReasoningControl};
use crate::wire::{Adjusted, Change};

/// The least budget that is taken.
const LEAST_BUDGET: u64 = 1024;
/// The range for models of which nothing is known.
const UNKNOWN: ReasoningControl = ReasoningControl::Budget { min: LEAST_BUDGET, max: 32_000, optional: true };

/// What the caller asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Wish {
    /// Nothing.
    Open,
    /// No thinking.
    Off,
    /// Thinking, in words or in tokens, or just so.
    On { effort: Option<Effort>, tokens: Option<u64> },
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Thinking {
    /// Nothing: the model does as it does by itself.
    Unsaid,
    /// `disabled`, or `between_tools` where the model knows only that.
    Off { between_tools: bool },
    /// `enabled` with a budget.
    Budget(u64),
    /// `adaptive`, with an effort and whether the thoughts are shown.
    Adaptive { effort: Option<Effort>, shown: bool },
}

/// What stands in the way of thinking in this very request.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::wire) struct Obstacles {
    /// A tool call is forced. Thinking models answer that with a 400, and the caller waits for the call.
    pub forced_tool: bool,
    /// The conversation ends with an assistant message to be continued.
    pub prefill: bool,
    /// The last assistant turn calls tools without having thought before, as another vendor's model did. A budget is
    /// then refused: "Expected `thinking` or `redacted_thinking`, but found `tool_use`".
    pub unthought_call: bool,
}

impl Wish {
    /// Reads the caller's `reasoning`.
    pub fn of(reasoning: Option<&Reasoning>) -> Wish {
        let Some(reasoning) = reasoning else { return Wish::Open };
        match (reasoning.effort, reasoning.max_tokens, reasoning.enabled) {
            (Some(Effort::None), ..) | (_, Some(0), _) | (_, _, Some(false)) => Wish::Off,
            (None, None, None) => Wish::Open,
            (effort, tokens, _) => Wish::On { effort, tokens },
        }
    }
}

/// Decides what is written. `max_tokens` is the whole output's limit, which thinking has to stay below.
pub(in crate::wire) fn decide(
    reasoning: Option<&Reasoning>,
    facts: &ModelFacts,
    obstacles: Obstacles,
    max_tokens: u64,
    adjusted: &mut Adjusted,
) -> Thinking {
    let control = if facts.reasoning == ReasoningControl::Unknown { UNKNOWN } else { facts.reasoning };
    let by_budget = matches!(control, ReasoningControl::Budget { .. });
    let impossible = obstacles.forced_tool || (by_budget && (obstacles.prefill || obstacles.unthought_call));
    match (Wish::of(reasoning), control) {
        (Wish::On { .. }, ReasoningControl::None) => dropped(adjusted),
        (Wish::On { .. }, _) if impossible => {
            adjusted.note("reasoning", Change::Dropped);
            if facts.thinks_unasked { off(facts, control, adjusted) } else { Thinking::Unsaid }
        }
        (Wish::Open, _) if obstacles.forced_tool && facts.thinks_unasked => off_if_possible(facts, control),
        (Wish::Open, _) | (Wish::Off, ReasoningControl::None) => Thinking::Unsaid,
        (Wish::Off, _) if facts.thinks_unasked => off(facts, control, adjusted),
        (Wish::Off, _) => Thinking::Unsaid,
        (Wish::On { effort, tokens }, ReasoningControl::Budget { min, max, .. }) => {
            budget(effort, tokens, (min.max(LEAST_BUDGET), max), max_tokens, adjusted)
        }
        (Wish::On { effort, tokens }, ReasoningControl::Effort { levels }) => Thinking::Adaptive {
            effort: level(effort, tokens, levels, adjusted),
            shown: !reasoning.is_some_and(|reasoning| reasoning.exclude),
        },
        (Wish::On { .. }, ReasoningControl::Unknown) => dropped(adjusted),
    }
}

impl Thinking {
    /// Whether the model was asked to think: it then refuses most sampling parameters.
    pub fn is_on(self) -> bool {
        matches!(self, Thinking::Budget(_) | Thinking::Adaptive { .. })
    }

    /// The `effort` of `output_config`.
    pub fn effort(self) -> Option<Effort> {
        if let Thinking::Adaptive { effort, .. } = self { effort } else { None }
    }

    /// Writes `thinking`.
    pub fn write(self, body: &mut Object<'_>) {
        if let Some(value) = self.value() {
            body.key("thinking").extend_from_slice(&value);
        }
    }

    /// The object that says it, as JSON; `None` where nothing is said.
    pub fn value(self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut thinking = Object::open(&mut out);
        match self {
            Thinking::Unsaid => return None,
            Thinking::Off { between_tools } => {
                thinking.string("type", if between_tools { "between_tools" } else { "disabled" });
            }
            Thinking::Budget(tokens) => {
                thinking.string("type", "enabled").number("budget_tokens", tokens);
            }
            // Newer models leave their thoughts out unless they are asked for.
            Thinking::Adaptive { shown, .. } => {
                let display = if shown { "summarized" } else { "omitted" };
                thinking.string("type", "adaptive").string("display", display);
            }
        }
        thinking.close();
        Some(out)
    }
}

fn dropped(adjusted: &mut Adjusted) -> Thinking {
    adjusted.note("reasoning", Change::Dropped);
    Thinking::Unsaid
}

/// As little thinking as the model can be brought to.
fn off(facts: &ModelFacts, control: ReasoningControl, adjusted: &mut Adjusted) -> Thinking {
    match (off_if_possible(facts, control), control) {
        (Thinking::Unsaid, ReasoningControl::Effort { levels }) => {
            adjusted.note("reasoning", Change::Changed);
            Thinking::Adaptive { effort: levels.first().copied(), shown: false }
        }
        (thinking, _) => thinking,
    }
}

fn off_if_possible(facts: &ModelFacts, control: ReasoningControl) -> Thinking {
    match control {
        ReasoningControl::Effort { levels } if levels.contains(&Effort::None) => {
            Thinking::Off { between_tools: facts.thinks_between_tools }
        }
        ReasoningControl::Budget { optional: true, .. } => Thinking::Off { between_tools: false },
        _ => Thinking::Unsaid,
    }
}

/// A budget out of words or tokens. It is cut down to the limit of the whole output and never the other way round:
/// the limit is what the caller is willing to pay.
fn budget(
    effort: Option<Effort>,
    tokens: Option<u64>,
    (min, max): (u64, u64),
    max_tokens: u64,
    adjusted: &mut Adjusted,
) -> Thinking {
    if max_tokens <= min {
        return dropped(adjusted);
    }
    let wanted = tokens.unwrap_or_else(|| share(effort.unwrap_or(Effort::Medium), max_tokens));
    // A fifth is left for the answer itself, or all that lies above the least budget.
    let room = (max_tokens - max_tokens / 5).max(min).min(max_tokens - 1);
    let given = wanted.clamp(min, max.max(min)).min(room);
    if tokens.is_some_and(|tokens| tokens != given) {
        adjusted.note("reasoning.max_tokens", Change::Clamped);
    }
    Thinking::Budget(given)
}

/// The part of the whole output that an effort stands for, as OpenRouter reckons it
/// (<https://openrouter.ai/docs/guides/best-practices/reasoning-tokens>).
fn share(effort: Effort, max_tokens: u64) -> u64 {
    let percent = match effort {
        Effort::None | Effort::Minimal => 10,
        Effort::Low => 20,
        Effort::Medium => 50,
        Effort::High => 80,
        Effort::XHigh | Effort::Max => 95,
    };
    max_tokens.saturating_mul(percent) / 100
}

/// The level nearest to what was asked for; the lower of two that are equally near.
pub(in crate::wire) fn level(
    effort: Option<Effort>,
    tokens: Option<u64>,
    levels: &[Effort],
    adjusted: &mut Adjusted,
) -> Option<Effort> {
    let wanted = match (effort, tokens) {
        (Some(effort), _) => effort,
        (None, Some(tokens)) => {
            adjusted.note("reasoning.max_tokens", Change::Changed);
            match tokens {
                0..=2048 => Effort::Low,
                2049..=8192 => Effort::Medium,
                8193..=32_768 => Effort::High,
                _ => Effort::XHigh,
            }
        }
        (None, None) => return None,
    };
    let rank = |effort: Effort| i32::from(effort as u8);
    let nearest = levels
        .iter()
        .copied()
        .filter(|level| *level != Effort::None)
        .min_by_key(|level| ((rank(*level) - rank(wanted)).abs(), *level))?;
    if effort.is_some() && nearest != wanted {
        adjusted.note("reasoning.effort", Change::Changed);
    }
    Some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::family;

    fn decided(model: &str, reasoning: Reasoning, obstacles: Obstacles, max_tokens: u64) -> (Thinking, String) {
        let mut adjusted = Adjusted::default();
        let facts = family(model).map(|family| family.facts().clone()).unwrap_or_default();
        (decide(Some(&reasoning), &facts, obstacles, max_tokens, &mut adjusted), adjusted.header())
    }

    fn effort(effort: Effort) -> Reasoning {
        Reasoning { effort: Some(effort), ..Reasoning::default() }
    }

    fn tokens(tokens: u64) -> Reasoning {
        Reasoning { max_tokens: Some(tokens), ..Reasoning::default() }
    }

    const FREE: Obstacles = Obstacles { forced_tool: false, prefill: false, unthought_call: false };
    const FORCED: Obstacles = Obstacles { forced_tool: true, prefill: false, unthought_call: false };

    #[test]
    fn a_budget_stays_below_the_whole_output() {
        let cases = [
            (effort(Effort::Low), 10_000, Thinking::Budget(2000), ""),
            (effort(Effort::Minimal), 4096, Thinking::Budget(1024), ""),
            (effort(Effort::Max), 10_000, Thinking::Budget(8000), ""),
            (tokens(5000), 10_000, Thinking::Budget(5000), ""),
            (tokens(50_000), 10_000, Thinking::Budget(8000), "reasoning.max_tokens=clamped"),
            (tokens(100), 10_000, Thinking::Budget(1024), "reasoning.max_tokens=clamped"),
            (tokens(2000), 1025, Thinking::Budget(1024), "reasoning.max_tokens=clamped"),
            (tokens(2000), 1024, Thinking::Unsaid, "reasoning=dropped"),
        ];
        for (reasoning, max_tokens, thinking, header) in cases {
            for model in ["claude-sonnet-4-5", "a model nobody knows"] {
                assert_eq!(decided(model, reasoning.clone(), FREE, max_tokens), (thinking, header.to_owned()));
            }
        }
    }

    #[test]
    fn an_effort_is_moved_to_the_nearest_that_is_taken() {
        let adaptive = |effort| Thinking::Adaptive { effort: Some(effort), shown: true };
        let of = |model, reasoning| decided(model, reasoning, FREE, 4096);
        assert_eq!(of("claude-opus-5", effort(Effort::XHigh)), (adaptive(Effort::XHigh), String::new()));
        assert_eq!(of("claude-opus-4-6", effort(Effort::XHigh)).0, adaptive(Effort::High));
        assert_eq!(of("claude-opus-5", effort(Effort::Minimal)).1, "reasoning.effort=changed");
        assert_eq!(of("claude-opus-5", tokens(9000)), (adaptive(Effort::High), "reasoning.max_tokens=changed".into()));
        let enabled = Reasoning { enabled: Some(true), exclude: true, ..Reasoning::default() };
        assert_eq!(of("claude-opus-4-7", enabled).0, Thinking::Adaptive { effort: None, shown: false });
    }

    #[test]
    fn thinking_is_switched_off_in_the_words_that_the_model_knows() {
        let of = |model| decided(model, effort(Effort::None), FREE, 4096);
        assert_eq!(of("claude-sonnet-4-5").0, Thinking::Unsaid);
        assert_eq!(of("claude-opus-4-8").0, Thinking::Unsaid);
        assert_eq!(of("claude-opus-5").0, Thinking::Off { between_tools: false });
        assert_eq!(of("claude-sonnet-5-5").0, Thinking::Off { between_tools: true });
        let least = Thinking::Adaptive { effort: Some(Effort::Low), shown: false };
        assert_eq!(of("claude-opus-5-5"), (least, "reasoning=changed".to_owned()));
    }

    #[test]
    fn thinking_gives_way_to_what_the_caller_waits_for() {
        let high = effort(Effort::High);
        let of = |model, obstacles| decided(model, high.clone(), obstacles, 9000);
        assert_eq!(of("claude-sonnet-4-5", FORCED), (Thinking::Unsaid, "reasoning=dropped".to_owned()));
        assert_eq!(of("claude-opus-5", FORCED).0, Thinking::Off { between_tools: false });
        let unthought = Obstacles { unthought_call: true, ..FREE };
        assert_eq!(of("claude-sonnet-4-5", unthought).0, Thinking::Unsaid);
        assert!(of("claude-opus-4-6", unthought).0.is_on());
        assert_eq!(of("claude-3-5-haiku-latest", FREE), (Thinking::Unsaid, "reasoning=dropped".to_owned()));
        assert_eq!(decided("claude-opus-5", Reasoning::default(), FREE, 9000).0, Thinking::Unsaid);
        let unasked = decided("claude-opus-5", Reasoning::default(), FORCED, 9000);
        assert_eq!(unasked, (Thinking::Off { between_tools: false }, String::new()));
    }
}
