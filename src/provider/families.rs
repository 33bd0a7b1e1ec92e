//! What whole families of models have in common: how thinking is steered, what is refused.
//!
//! Price lists say what a model costs and not that it answers `temperature` with a 400. That is known by family and
//! from some version on, so a model that came out yesterday is treated like the newest one of its line.
//!
//! Sources: <https://platform.claude.com/docs/en/about-claude/models/overview> and the migration guide of each model
//! there, <https://ai.google.dev/gemini-api/docs/thinking>, <https://platform.openai.com/docs/guides/reasoning>.

use super::ModelFacts;

mod id;
mod rows;

use rows::FAMILIES;

/// A line of models from some version on.
#[derive(Clone, Debug)]
pub struct Family {
    /// The line, such as `claude-opus`.
    line: &'static str,
    /// The first version it holds for: major, minor.
    since: (u32, u32),
    /// What is known. Limits and capabilities are left to the catalogue.
    facts: ModelFacts,
}

impl Family {
    /// Whether it is a Claude.
    #[must_use]
    pub fn is_claude(&self) -> bool {
        self.line.starts_with("claude")
    }

    /// Overwrites in `facts` what the family knows: everything but limits and capabilities.
    pub fn apply(&self, facts: &mut ModelFacts) {
        *facts = ModelFacts {
            context: facts.context,
            max_output: facts.max_output,
            capabilities: facts.capabilities,
            ..self.facts.clone()
        };
    }

    /// What is known of every model of the family.
    #[must_use]
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }
}

/// The family of a model id, however a host spells it: with a maker in front, a date, a region or a version behind.
///
/// ```
/// use latchkey::provider::{ReasoningControl, family};
/// for id in ["claude-sonnet-4-5", "anthropic/claude-sonnet-4.5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"] {
///     let family = family(id).expect("a Claude model");
///     assert!(matches!(family.facts().reasoning, ReasoningControl::Budget { min: 1024, .. }), "{id}");
/// }
/// assert!(family("mistral-large").is_none());
/// ```
#[must_use]
pub fn family(model_id: &str) -> Option<&'static Family> {
    let model = id::read(model_id)?;
    FAMILIES
        .iter()
        .filter(|family| family.line == model.line && family.since <= model.version)
        .max_by_key(|family| family.since)
}

/// Whether two ids, however spelled, name the same version of the same line. Ids that cannot be read are taken to.
#[must_use]
pub fn is_same_model(one: &str, other: &str) -> bool {
    match (id::read(one), id::read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Effort::{High, Low};
    use crate::provider::{ReasoningControl, SamplingRule, StructuredOutput};

    fn facts(id: &str) -> &'static ModelFacts {
        family(id).unwrap_or_else(|| panic!("{id} has a family")).facts()
    }

    #[test]
    fn every_spelling_of_a_host_finds_the_same_family() {
        let spellings: &[&[&str]] = &[
            &[
                "claude-sonnet-4-5-20250929",
                "anthropic/claude-sonnet-4.5",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "claude-sonnet-4-5@20250929",
                "databricks-claude-sonnet-4-5",
                "Claude-Sonnet-4-5",
            ],
            &[
                "claude-3-7-sonnet-latest",
                "anthropic.claude-3-7-sonnet-20250219-v1:0",
                "anthropic/claude-3.7-sonnet:thinking",
            ],
            &["claude-opus-4-6", "anthropic.claude-opus-4-6-v1", "claude-opus-4-6@default", "claude-opus-4-6-20260205"],
            &["claude-sonnet-4-0", "claude-4-sonnet", "claude-sonnet-4-20250514"],
            &["gemini-2.5-pro", "google/gemini-2.5-pro", "models/gemini-2.5-pro-preview-05-06"],
            &["gpt-5.4-mini-2026-03-17", "openai/gpt-5.4", "gpt-5.4-nano"],
            &["o3-2025-04-16", "openai/o3"],
            &["o3-mini-2025-01-31", "o3-mini"],
        ];
        for same in spellings {
            for id in *same {
                assert!(std::ptr::eq(family(id).expect(id), family(same[0]).expect(same[0])), "{id}");
            }
        }
    }

    #[test]
    fn a_family_begins_and_ends_where_its_maker_says() {
        assert_eq!(facts("claude-3-5-sonnet-20241022").reasoning, ReasoningControl::None);
        assert_eq!(facts("claude-v2:1").reasoning, ReasoningControl::None);
        assert_eq!(facts("claude-opus-4-1").sampling, SamplingRule::OneOfTemperatureAndTopP);
        assert_eq!(facts("claude-opus-4-20250514").sampling, SamplingRule::Free);
        assert_eq!(facts("claude-haiku-4-5").structured, StructuredOutput::Native);
        assert!(!facts("claude-sonnet-4-5").refuses_prefill && facts("claude-sonnet-4-6").refuses_prefill);
        assert!(!facts("claude-opus-4-8").thinks_unasked && facts("claude-opus-5").thinks_unasked);
        assert!(!facts("claude-fable-5").refuses_forced_tools && facts("claude-fable-5-1").refuses_forced_tools);
        assert!(facts("claude-sonnet-5-5").thinks_between_tools);
        assert_eq!(facts("gemini-2.0-flash").reasoning, ReasoningControl::None);
        assert_eq!(facts("gemini-3-pro-preview").reasoning, ReasoningControl::Effort { levels: &[Low, High] });
        assert_eq!(facts("gpt-5-chat-latest").reasoning, ReasoningControl::None);
        assert_eq!(facts("gpt-5-chat-latest").sampling, SamplingRule::Free);
        assert_eq!(facts("grok-4.20-0309-reasoning").reasoning, ReasoningControl::None);
        assert_eq!(facts("grok-4.7").reasoning, facts("grok-5").reasoning);
        assert_eq!(facts("grok-4-1-fast-non-reasoning").refuses, [""; 0]);
        assert_eq!(facts("moonshotai.kimi-k3").reasoning, facts("kimi-k3.1-pro").reasoning);
        assert!(facts("kimi-k2.6").thinks_unasked && facts("kimi-k2.7-code").refuses_forced_tools);
        for unlisted in ["kimi-k2-0905-preview", "kimi-k2p6", "kimi-latest"] {
            assert!(family(unlisted).is_none(), "{unlisted}");
        }
        for (takes_it, id) in
            [(true, "o1"), (true, "o3-mini"), (false, "o3"), (false, "o4-mini"), (false, "gpt-5-nano")]
        {
            assert_eq!(!facts(id).refuses.contains(&"stop"), takes_it, "{id}");
        }
        for (takes_it, id) in
            [(true, "grok-3"), (false, "grok-4"), (true, "grok-4.20-non-reasoning"), (false, "grok-code-fast-1")]
        {
            assert_eq!(!facts(id).refuses.contains(&"stop"), takes_it, "{id}");
        }
        assert_eq!(facts("gpt-5-pro").reasoning, ReasoningControl::Effort { levels: &[High] });
        assert_eq!(facts("gpt-5.1-codex-max").reasoning, facts("gpt-5.3-codex").reasoning);
    }

    #[test]
    fn a_date_is_no_version() {
        for id in ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "openai/gpt-4.1-mini-2025-04-14"] {
            let known = facts(id);
            assert_eq!((known.reasoning, known.sampling), (ReasoningControl::None, SamplingRule::Free), "{id}");
            assert!(!known.completion_cap_only && !known.tools_over_responses, "{id}");
        }
    }

    #[test]
    fn a_newer_model_is_like_the_newest_known_one() {
        assert!(std::ptr::eq(family("claude-opus-7").unwrap(), family("claude-opus-5-5").unwrap()));
        assert!(std::ptr::eq(family("gemini-flash-latest").unwrap(), family("gemini-3.8-flash").unwrap()));
    }

    #[test]
    fn what_is_no_chat_model_or_another_makers_has_no_family() {
        for id in [
            "gpt-realtime",
            "gemini-embedding-001",
            "gemini-2.5-flash-preview-tts",
            "gemini-3-pro-image-preview",
            "mistral-large",
            "o-ring",
            "",
            "claude",
            "//",
        ] {
            assert!(family(id).is_none(), "{id}");
        }
    }

    #[test]
    fn rows_are_unique_and_limits_are_left_to_the_catalogue() {
        for (at, row) in FAMILIES.iter().enumerate() {
            assert!(FAMILIES.iter().skip(at + 1).all(|other| (other.line, other.since) != (row.line, row.since)));
        }
        let mut known = ModelFacts { context: Some(9), max_output: Some(8), ..ModelFacts::default() };
        family("claude-opus-5").unwrap().apply(&mut known);
        assert_eq!((known.context, known.max_output, known.thinks_unasked), (Some(9), Some(8), true));
    }
}
