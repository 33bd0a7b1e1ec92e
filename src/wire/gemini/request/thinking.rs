//! How much the model is asked to think.
//!
//! Models up to 2.5 are given a budget in tokens, later ones a level in words. Which is which is known by family
//! ([`crate::provider::family`]).
//!
//! Source: <https://ai.google.dev/gemini-api/docs/thinking>.

use crate::chat::{Effort, Reasoning};
use crate::json::Object;
use crate::provider::{ModelFacts, ReasoningControl};
use crate::wire::{Adjusted, Change};

/// Budgets that stand for efforts, as the provider's own OpenAI-compatible endpoint has them.
///
/// Source: <https://ai.google.dev/gemini-api/docs/openai#thinking>.
const BUDGETS: [(Effort, u64); 4] =
    [(Effort::Minimal, 1_024), (Effort::Low, 1_024), (Effort::Medium, 8_192), (Effort::High, 24_576)];

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire::gemini) enum Thinking {
    /// Nothing: the model does as it does by itself, and does not show it.
    Unsaid,
    /// As much as it likes, shown or not.
    Open { shown: bool },
    /// So many tokens.
    Budget { tokens: u64, shown: bool },
    /// So much.
    Level { level: Effort, shown: bool },
    /// As much as it likes, said aloud because the model would not think by itself.
    Dynamic { shown: bool },
}

/// Decides what is written for the caller's `reasoning`. Thoughts count against `most`, the limit of the whole output: a
/// budget leaves a fifth of it for the answer, or nothing but thoughts would come.
pub(in crate::wire::gemini) fn decide(
    reasoning: Option<&Reasoning>,
    facts: &ModelFacts,
    most: Option<u64>,
    adjusted: &mut Adjusted,
) -> Thinking {
    let Some(reasoning) = reasoning else { return Thinking::Unsaid };
    let shown = !reasoning.exclude;
    let is_off = reasoning.enabled == Some(false)
        || matches!((reasoning.effort, reasoning.max_tokens), (Some(Effort::None), _) | (None, Some(0)));
    match facts.reasoning {
        ReasoningControl::None => {
            if !is_off {
                adjusted.note("reasoning", Change::Dropped);
            }
            Thinking::Unsaid
        }
        ReasoningControl::Budget { min, max, optional } if is_off => {
            if !optional {
                adjusted.note("reasoning", Change::Clamped);
            }
            Thinking::Budget { tokens: if optional { 0 } else { min.min(max) }, shown: false }
        }
        ReasoningControl::Budget { min, max, .. } => match wanted_tokens(reasoning, max) {
            None if facts.thinks_unasked => Thinking::Open { shown },
            None => Thinking::Dynamic { shown },
            Some(tokens) => {
                let room = most.map_or(max, |most| max.min(most - most / 5));
                let within = tokens.min(room).max(min.min(max));
                if within != tokens && reasoning.effort.is_none() {
                    adjusted.note("reasoning", Change::Clamped);
                }
                Thinking::Budget { tokens: within, shown }
            }
        },
        ReasoningControl::Effort { levels } => leveled(reasoning, is_off, levels, adjusted),
        // A model that nobody knows yet is like the newest ones.
        ReasoningControl::Unknown => match (reasoning.effort, reasoning.max_tokens) {
            (_, Some(tokens)) => Thinking::Budget { tokens, shown },
            (Some(level), None) => Thinking::Level { level: nearest(level, KNOWN_LEVELS).unwrap_or(level), shown },
            (None, None) if is_off => Thinking::Budget { tokens: 0, shown: false },
            (None, None) => Thinking::Open { shown },
        },
    }
}

/// Words that `thinkingLevel` knows, least first.
const KNOWN_LEVELS: &[Effort] = &[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];

fn leveled(reasoning: &Reasoning, is_off: bool, levels: &[Effort], adjusted: &mut Adjusted) -> Thinking {
    let shown = !reasoning.exclude && !is_off;
    let wanted = match (reasoning.effort, reasoning.max_tokens) {
        _ if is_off => Effort::None,
        (Some(effort), _) => effort,
        (None, Some(tokens)) => {
            adjusted.note("reasoning", Change::Changed);
            let within = BUDGETS.iter().rev().find(|(_, budget)| *budget <= tokens);
            within.map_or(Effort::Low, |(effort, _)| *effort)
        }
        (None, None) => return Thinking::Open { shown },
    };
    let Some(level) = nearest(wanted, levels) else { return Thinking::Open { shown } };
    if level != wanted && reasoning.max_tokens.is_none() {
        adjusted.note("reasoning", Change::Clamped);
    }
    Thinking::Level { level, shown }
}

/// The level that is taken and comes next to `wanted`; of two as near, the lesser.
fn nearest(wanted: Effort, levels: &[Effort]) -> Option<Effort> {
    let distance = |level: &Effort| (*level as i32 - wanted as i32).abs();
    levels.iter().copied().filter(|level| *level != Effort::None).min_by_key(distance)
}

fn wanted_tokens(reasoning: &Reasoning, max: u64) -> Option<u64> {
    reasoning.max_tokens.or_else(|| {
        let effort = reasoning.effort?;
        Some(BUDGETS.iter().find(|(known, _)| *known == effort).map_or(max, |(_, tokens)| *tokens))
    })
}

impl Thinking {
    /// Writes `thinkingConfig` into `generationConfig`.
    pub fn write(self, config: &mut Object<'_>) {
        let shown = match self {
            Thinking::Unsaid | Thinking::Open { shown: false } => return,
            Thinking::Open { shown }
            | Thinking::Dynamic { shown }
            | Thinking::Budget { shown, .. }
            | Thinking::Level { shown, .. } => shown,
        };
        config.object("thinkingConfig", |thinking| {
            match self {
                Thinking::Budget { tokens, .. } => thinking.number("thinkingBudget", tokens),
                Thinking::Dynamic { .. } => thinking.number("thinkingBudget", -1),
                Thinking::Level { level, .. } => thinking.string("thinkingLevel", level.as_str()),
                Thinking::Unsaid | Thinking::Open { .. } => thinking,
            };
            if shown {
                thinking.boolean("includeThoughts", true);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reasoning: Reasoning, control: ReasoningControl, thinks_unasked: bool) -> (String, String) {
        let facts = ModelFacts { reasoning: control, thinks_unasked, ..ModelFacts::default() };
        let mut adjusted = Adjusted::default();
        let thinking = decide(Some(&reasoning), &facts, None, &mut adjusted);
        let mut out = Vec::new();
        let mut config = Object::open(&mut out);
        thinking.write(&mut config);
        config.close();
        let inside = String::from_utf8(out).unwrap();
        (inside.trim_start_matches(r#"{"thinkingConfig":"#).trim_end_matches('}').to_owned(), adjusted.header())
    }

    fn effort(effort: Effort) -> Reasoning {
        Reasoning { effort: Some(effort), ..Reasoning::default() }
    }

    fn tokens(max_tokens: u64) -> Reasoning {
        Reasoning { max_tokens: Some(max_tokens), ..Reasoning::default() }
    }

    const BUDGET: ReasoningControl = ReasoningControl::Budget { min: 128, max: 32_768, optional: false };
    const LEVELS: ReasoningControl = ReasoningControl::Effort { levels: &[Effort::Low, Effort::High] };

    #[test]
    fn budgets_stay_within_the_family() {
        let optional = ReasoningControl::Budget { min: 512, max: 24_576, optional: true };
        for (reasoning, control, expected, note) in [
            (effort(Effort::Medium), BUDGET, r#"{"thinkingBudget":8192,"includeThoughts":true"#, ""),
            (effort(Effort::Max), BUDGET, r#"{"thinkingBudget":32768,"includeThoughts":true"#, ""),
            (effort(Effort::None), BUDGET, r#"{"thinkingBudget":128"#, "reasoning=clamped"),
            (effort(Effort::None), optional, r#"{"thinkingBudget":0"#, ""),
            (tokens(100), optional, r#"{"thinkingBudget":512,"includeThoughts":true"#, "reasoning=clamped"),
            (tokens(2000), BUDGET, r#"{"thinkingBudget":2000,"includeThoughts":true"#, ""),
            (Reasoning { exclude: true, ..effort(Effort::Low) }, BUDGET, r#"{"thinkingBudget":1024"#, ""),
            (Reasoning { enabled: Some(true), ..Reasoning::default() }, BUDGET, r#"{"includeThoughts":true"#, ""),
            (effort(Effort::High), ReasoningControl::None, "{", "reasoning=dropped"),
            (effort(Effort::None), ReasoningControl::None, "{", ""),
        ] {
            assert_eq!(written(reasoning.clone(), control, true), (expected.into(), note.into()), "{reasoning:?}");
        }
        let asked = Reasoning { enabled: Some(true), ..Reasoning::default() };
        assert_eq!(written(asked, optional, false).0, r#"{"thinkingBudget":-1,"includeThoughts":true"#);
    }

    #[test]
    fn levels_move_to_the_nearest_one_taken() {
        for (reasoning, expected, note) in [
            (effort(Effort::Low), r#"{"thinkingLevel":"low","includeThoughts":true"#, ""),
            (effort(Effort::Medium), r#"{"thinkingLevel":"low","includeThoughts":true"#, "reasoning=clamped"),
            (effort(Effort::Max), r#"{"thinkingLevel":"high","includeThoughts":true"#, "reasoning=clamped"),
            (effort(Effort::None), r#"{"thinkingLevel":"low""#, "reasoning=clamped"),
            (tokens(30_000), r#"{"thinkingLevel":"high","includeThoughts":true"#, "reasoning=changed"),
            (tokens(500), r#"{"thinkingLevel":"low","includeThoughts":true"#, "reasoning=changed"),
        ] {
            assert_eq!(written(reasoning.clone(), LEVELS, true), (expected.into(), note.into()), "{reasoning:?}");
        }
    }
}
