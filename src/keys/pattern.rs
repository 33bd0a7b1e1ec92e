//! Patterns with `*` over names of providers, models and endpoints.
//!
//! They come from an operator and are read once a grant, then asked on every call: the parts between stars are cut
//! beforehand, and matching neither allocates nor backtracks. Case is ignored, because some upstreams ignore it too
//! and a denied model must not be reachable as `GPT-4o`.

/// A pattern in which `*` stands for any characters, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the stars; one part means there is no star.
    parts: Box<[Box<str>]>,
}

impl Pattern {
    /// Reads a pattern. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        Pattern { parts: text.split('*').map(Box::from).collect() }
    }

    /// Whether `name` is what the pattern says.
    ///
    /// ```
    /// use latchkey::keys::Pattern;
    /// assert!(Pattern::new("gpt-4o*").matches("gpt-4o-mini"));
    /// assert!(Pattern::new("*-mini").matches("gpt-4o-mini"));
    /// assert!(!Pattern::new("gpt-4o").matches("gpt-4o-mini"));
    /// ```
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let Some((first, rest)) = self.parts.split_first() else { return name.is_empty() };
        let Some((last, middle)) = rest.split_last() else { return name.eq_ignore_ascii_case(first.as_bytes()) };
        let Some(mut left) = strip_start(name, first.as_bytes()) else { return false };
        for part in middle {
            // The leftmost place is always as good as any later one.
            let Some(after) = after_first(left, part.as_bytes()) else { return false };
            left = after;
        }
        left.len() >= last.len() && strip_start(left.split_at(left.len() - last.len()).1, last.as_bytes()).is_some()
    }
}

fn strip_start<'a>(name: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = name.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(tail)
}

fn after_first<'a>(name: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    (0..=name.len()).find_map(|skipped| strip_start(name.get(skipped..)?, part))
}

/// A pattern over models: `gpt-4o*` over model ids of any provider, `anthropic/claude-*` over one provider's.
///
/// The first `/` ends the provider's part, and no star reaches across it. Model ids of some providers contain a `/`
/// of their own, so `openai/gpt-4o` is also the id of a model that a reseller serves. What is allowed is therefore
/// read narrowly (the provider of that name) and what is denied widely (the reseller's model too).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPattern {
    provider: Option<Pattern>,
    model: Pattern,
    whole: Pattern,
}

impl ModelPattern {
    /// Reads a pattern. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> ModelPattern {
        let (provider, model) = match text.split_once('/') {
            Some((provider, model)) => (Some(Pattern::new(provider)), model),
            None => (None, text),
        };
        ModelPattern { provider, model: Pattern::new(model), whole: Pattern::new(text) }
    }

    /// Whether it allows `model` at `provider`.
    #[must_use]
    pub fn allows(&self, provider: &str, model: &str) -> bool {
        self.provider.as_ref().is_none_or(|pattern| pattern.matches(provider)) && self.model.matches(model)
    }

    /// Whether it denies `model` at `provider`.
    #[must_use]
    pub fn denies(&self, provider: &str, model: &str) -> bool {
        self.allows(provider, model) || self.whole.matches(model)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, slow and plain, to compare with.
    fn matches_by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), Some((_, shorter))) => {
                matches_by_definition(rest, name) || matches_by_definition(pattern, shorter)
            }
            (Some((b'*', rest)), None) => matches_by_definition(rest, name),
            (Some((wanted, rest)), Some((found, shorter))) => {
                wanted.eq_ignore_ascii_case(found) && matches_by_definition(rest, shorter)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_definition_says(pattern in "[abA*]{0,7}", name in "[abB]{0,9}") {
            let expected = matches_by_definition(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), expected, "{} on {}", pattern, name);
        }

        #[test]
        fn any_text_can_stand_for_a_star(pattern in ".*", name in ".*") {
            let filled = pattern.replace('*', &name);
            prop_assert!(Pattern::new(&pattern).matches(&filled));
            prop_assert!(ModelPattern::new(&pattern).denies("any", &filled));
        }

        #[test]
        fn what_is_allowed_could_be_denied(pattern in "[ab/*]{0,6}", provider in "[ab]{1,3}", model in "[ab/]{1,5}") {
            let pattern = ModelPattern::new(&pattern);
            prop_assert!(!pattern.allows(&provider, &model) || pattern.denies(&provider, &model));
        }
    }

    #[test]
    fn a_pattern_without_a_slash_is_about_any_provider() {
        assert!(ModelPattern::new("gpt-4o*").allows("azure", "gpt-4o-mini"));
        assert!(ModelPattern::new("*").allows("openrouter", "meta-llama/llama-3"));
        assert!(!ModelPattern::new("gpt-4o").allows("azure", "gpt-4o-mini"));
    }

    #[test]
    fn a_reseller_is_not_its_makers_namesake() {
        let pattern = ModelPattern::new("openai/*");
        assert!(pattern.allows("openai", "gpt-4o"));
        assert!(!pattern.allows("openrouter", "openai/gpt-4o"), "allowed narrowly");
        assert!(pattern.denies("openrouter", "openai/gpt-4o"), "denied widely");
    }

    #[test]
    fn model_ids_keep_their_own_slashes() {
        assert!(ModelPattern::new("openrouter/meta-llama/*").allows("openrouter", "meta-llama/llama-3"));
        assert!(ModelPattern::new("*/deepseek-chat").allows("deepseek", "deepseek-chat"));
    }
}
