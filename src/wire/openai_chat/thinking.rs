//! How a vendor of this format is asked to think.

use crate::chat::{Effort, Reasoning};
use crate::json::Object;
use crate::provider::{Capabilities, ModelFacts, Quirks, ReasoningControl, ReasoningParameter};
use crate::wire::{Adjusted, Change};

/// What stands for thoughts that are demanded and that nobody had: nothing at all counts as missing.
pub(super) const NO_THOUGHT: &str = " ";

/// Top-level members, and their values as JSON.
pub(super) type Members = Vec<(&'static str, Vec<u8>)>;

/// The members that ask for `wish`, in the vendor's words. Levels that the model lacks become the nearest it has; a
/// model that does not think at all is not asked.
pub(super) fn members(wish: &Reasoning, quirks: &Quirks, facts: &ModelFacts, adjusted: &mut Adjusted) -> Members {
    if quirks.reasoning_control == ReasoningParameter::Object {
        return vec![("reasoning", object(wish))];
    }
    let effort = effort(wish);
    if facts.reasoning == ReasoningControl::None {
        if effort.is_some_and(|effort| effort != Effort::None) || wish.enabled == Some(true) {
            adjusted.note("reasoning", Change::Dropped);
        }
        return Members::new();
    }
    let control = match (quirks.reasoning_control, facts.reasoning) {
        (ReasoningParameter::ThinkingAlone, ReasoningControl::Effort { .. }) => ReasoningParameter::Effort,
        (control, _) => control,
    };
    match control {
        ReasoningParameter::Effort => {
            let named = level_of(wish, facts, quirks, adjusted).map(|level| format!("\"{level}\"").into_bytes());
            named.map(|named| ("reasoning_effort", named)).into_iter().collect()
        }
        ReasoningParameter::ThinkingType | ReasoningParameter::ThinkingAlone => {
            let on = wish.enabled.unwrap_or(true) && effort != Some(Effort::None);
            let thinking = if on { "{\"type\":\"enabled\"}" } else { "{\"type\":\"disabled\"}" };
            let mut members = vec![("thinking", thinking.as_bytes().to_vec())];
            // A level goes along as the caller named it; one made up from a token count would say more than was asked.
            let both = quirks.reasoning_control == ReasoningParameter::ThinkingType;
            members.extend(wish.effort.filter(|_| on && both).map(|effort| ("reasoning_effort", word(effort))));
            members
        }
        ReasoningParameter::EnableThinking => {
            let on = wish.enabled.unwrap_or(true) && effort != Some(Effort::None);
            let mut members = vec![("enable_thinking", on.to_string().into_bytes())];
            let budget = wish.max_tokens.filter(|_| on);
            members.extend(budget.map(|tokens| ("thinking_budget", tokens.to_string().into_bytes())));
            members
        }
        ReasoningParameter::Object => Members::new(),
    }
}

fn word(effort: Effort) -> Vec<u8> {
    format!("\"{}\"", effort.as_str()).into_bytes()
}

/// Whether a tool cannot be forced, whatever else is asked for: the model always thinks, and refuses both at once.
pub(super) fn never_forced(quirks: &Quirks, facts: &ModelFacts) -> bool {
    quirks.thinks_unforced && facts.refuses_forced_tools
}

/// What is wished for where a tool is forced: models that refuse both at once do not think then, for the call is what
/// the caller waits for.
pub(super) fn unforced(
    wish: Option<Reasoning>,
    quirks: &Quirks,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
) -> Option<Reasoning> {
    // Who always thinks cannot be told not to.
    let always = matches!(facts.reasoning, ReasoningControl::Effort { levels } if !levels.contains(&Effort::None));
    if !quirks.thinks_unforced || always || facts.refuses_forced_tools {
        return wish;
    }
    let asks = wish.as_ref().is_some_and(|wish| *wish != Reasoning::default() && !is_off(wish));
    if asks {
        adjusted.note("reasoning", Change::Dropped);
    }
    // Some think unasked, and nobody lists which.
    let may_think = facts.capabilities.is_some_and(|can| can.has(Capabilities::REASONING));
    if asks || may_think { Some(Reasoning { enabled: Some(false), ..Reasoning::default() }) } else { wish }
}

/// Whether no thinking is wished for.
pub(in crate::wire) fn is_off(wish: &Reasoning) -> bool {
    effort(wish) == Some(Effort::None)
}

/// The word for the level in which this model of this vendor's is asked to think.
fn level_of(wish: &Reasoning, facts: &ModelFacts, quirks: &Quirks, adjusted: &mut Adjusted) -> Option<&'static str> {
    let known = quirks.efforts;
    if known.is_empty() || matches!(facts.reasoning, ReasoningControl::Effort { .. }) {
        return level(wish, facts, adjusted).map(Effort::as_str);
    }
    let asked = effort(wish)?;
    // A word that is no level stands for any.
    let away = |word: &&&str| match Effort::parse(word) {
        Some(level) if (level == Effort::None) == (asked == Effort::None) => (level as i32 - asked as i32).abs(),
        Some(_) => i32::MAX,
        None => i32::MAX - 1,
    };
    let nearest = known.iter().min_by_key(away).copied()?;
    if nearest != asked.as_str() {
        adjusted.note("reasoning", Change::Changed);
    }
    Some(nearest)
}

/// The level to ask this model for: the nearest it has to the one that is wished for.
pub(in crate::wire) fn level(wish: &Reasoning, facts: &ModelFacts, adjusted: &mut Adjusted) -> Option<Effort> {
    let asked = effort(wish)?;
    let ReasoningControl::Effort { levels } = facts.reasoning else { return Some(asked) };
    let nearest = nearest(asked, levels);
    if nearest != asked {
        adjusted.note("reasoning", Change::Changed);
    }
    Some(nearest)
}

/// The level that was asked for, by name, by switch or by a number of tokens.
fn effort(wish: &Reasoning) -> Option<Effort> {
    wish.effort.or(match (wish.enabled, wish.max_tokens) {
        (Some(false), _) | (_, Some(0)) => Some(Effort::None),
        (_, Some(1..=2048)) => Some(Effort::Low),
        (_, Some(2049..=8192)) => Some(Effort::Medium),
        (_, Some(_)) => Some(Effort::High),
        _ => None,
    })
}

/// The nearest of `levels`, the lesser of two equally near: less is cheaper.
fn nearest(asked: Effort, levels: &[Effort]) -> Effort {
    let away = |level: &&Effort| (**level as i32 - asked as i32).abs();
    levels.iter().min_by_key(away).copied().unwrap_or(asked)
}

fn object(wish: &Reasoning) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    if let Some(effort) = wish.effort {
        object.string("effort", effort.as_str());
    }
    if let Some(tokens) = wish.max_tokens {
        object.number("max_tokens", tokens);
    }
    if let Some(enabled) = wish.enabled {
        object.boolean("enabled", enabled);
    }
    if wish.exclude {
        object.boolean("exclude", true);
    }
    object.close();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(wish: Reasoning, control: ReasoningParameter, reasoning: ReasoningControl) -> (String, String) {
        let quirks = Quirks { reasoning_control: control, ..Quirks::NONE };
        let facts = ModelFacts { reasoning, ..ModelFacts::default() };
        let mut adjusted = Adjusted::default();
        let members = members(&wish, &quirks, &facts, &mut adjusted);
        let show = |(key, value): &(&str, Vec<u8>)| format!("{key}={}", String::from_utf8_lossy(value));
        (members.iter().map(show).collect::<Vec<_>>().join(" "), adjusted.header())
    }

    #[test]
    fn every_vendors_words() {
        use ReasoningParameter::{Effort as Word, EnableThinking, Object, ThinkingType};
        let low = || Reasoning { effort: Some(Effort::Low), ..Reasoning::default() };
        let tokens = |tokens| Reasoning { max_tokens: Some(tokens), ..Reasoning::default() };
        let off = || Reasoning { enabled: Some(false), ..Reasoning::default() };
        let unknown = ReasoningControl::Unknown;
        let cases = [
            (low(), Word, unknown, "reasoning_effort=\"low\""),
            (tokens(4096), Word, unknown, "reasoning_effort=\"medium\""),
            (off(), Word, unknown, "reasoning_effort=\"none\""),
            (Reasoning::default(), Word, unknown, ""),
            (low(), ThinkingType, unknown, "thinking={\"type\":\"enabled\"} reasoning_effort=\"low\""),
            (off(), ThinkingType, unknown, "thinking={\"type\":\"disabled\"}"),
            (tokens(100), EnableThinking, unknown, "enable_thinking=true thinking_budget=100"),
            (tokens(100), Object, unknown, "reasoning={\"max_tokens\":100}"),
        ];
        for (wish, control, facts, expected) in cases {
            assert_eq!(asked(wish.clone(), control, facts), (expected.to_owned(), String::new()), "{wish:?}");
        }
        let levels = ReasoningControl::Effort { levels: &[Effort::Low, Effort::High] };
        let wish = Reasoning { effort: Some(Effort::Medium), ..Reasoning::default() };
        assert_eq!(asked(wish, Word, levels), ("reasoning_effort=\"low\"".to_owned(), "reasoning=changed".to_owned()));
        assert_eq!(asked(low(), Word, ReasoningControl::None), (String::new(), "reasoning=dropped".to_owned()));
    }
}
