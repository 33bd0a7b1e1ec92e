//! What an answer must be, lest the call goes on to the next candidate.

use crate::chat::{Answer, Choice, EndKind, Part};
use crate::json::Raw;
use crate::keys::Pattern;

/// What the answer of a candidate must be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// A JSON object with these members; an empty list for any.
    pub json: Option<Vec<String>>,
    /// One of these patterns matches the whole text.
    pub matches: Vec<Pattern>,
    /// It has at least so many characters.
    pub least_characters: usize,
    /// It is no refusal.
    pub no_refusal: bool,
    /// The mean probability of its tokens, where the upstream tells it, is at least this.
    pub least_confidence: Option<f64>,
}

impl Check {
    /// What is wrong with an answer, in a word; `None` where nothing is. Answers that call tools are never wrong.
    #[must_use]
    pub fn fault(&self, answer: &Answer<'_>) -> Option<&'static str> {
        answer.choices.iter().find_map(|choice| self.fault_of(choice))
    }

    fn fault_of(&self, choice: &Choice<'_>) -> Option<&'static str> {
        if choice.end.kind == EndKind::ToolCalls {
            return None;
        }
        let refused = |part: &Part<'_>| matches!(part, Part::Refusal { .. });
        if self.no_refusal && (choice.end.kind == EndKind::ContentFilter || choice.parts.iter().any(refused)) {
            return Some("refusal");
        }
        let said = |part: &Part<'_>| match part {
            Part::Text { text, .. } => Some(text.decode().into_owned()),
            _ => None,
        };
        let text: String = choice.parts.iter().filter_map(said).collect();
        let text = text.trim();
        if text.chars().take(self.least_characters).count() < self.least_characters {
            return Some("too_short");
        }
        if !self.matches.is_empty() && !self.matches.iter().any(|pattern| pattern.matches(text)) {
            return Some("pattern");
        }
        if self.json.as_ref().is_some_and(|members| !is_object(text, members)) {
            return Some("json");
        }
        let confidence = choice.logprobs.as_ref().and_then(confidence);
        let unsure = self.least_confidence.zip(confidence).is_some_and(|(least, is)| is < least);
        unsure.then_some("confidence")
    }
}

/// Whether a text, in a fence or bare, is a JSON object that has these members.
fn is_object(text: &str, members: &[String]) -> bool {
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inside = fenced.map_or(text, |rest| rest.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()));
    let object = Raw::parse(inside.trim()).ok().filter(Raw::is_object);
    object.is_some_and(|object| members.iter().all(|name| object.member(name).is_some()))
}

/// The mean probability (geometric) of the tokens of OpenAI's `logprobs`.
fn confidence(logprobs: &Raw<'_>) -> Option<f64> {
    // Answers that were put together own theirs, and what is owned has to be borrowed before it is walked.
    let logprobs = logprobs.borrowed();
    let tokens = logprobs.member("content")?;
    let tokens: Vec<Raw<'_>> = tokens.read_borrowed().ok()?;
    let logprob = |token: &Raw<'_>| token.borrowed().member("logprob").and_then(|raw| raw.number());
    let known: Vec<f64> = tokens.iter().filter_map(logprob).collect();
    (!known.is_empty()).then(|| (known.iter().sum::<f64>() / known.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Format;

    fn fault(check: &Check, content: &str, more: &str) -> Option<&'static str> {
        let content = serde_json::Value::from(content);
        let body = format!(
            r#"{{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,
                "message":{{"role":"assistant","content":{content}}},"finish_reason":"stop"{more}}}]}}"#
        );
        let answer =
            Format::OpenAiChat.read_answer(body.as_bytes(), &crate::provider::Quirks::NONE).expect("an answer");
        check.fault(&answer)
    }

    #[test]
    fn each_check_finds_its_own_fault() {
        let json = Check { json: Some(vec!["city".to_owned()]), ..Check::default() };
        for good in [r#"{"city":"Rome"}"#, "```json\n{\"city\": 1}\n```"] {
            assert_eq!(fault(&json, good, ""), None, "{good}");
        }
        for bad in [r#"{"town":1}"#, "Rome", "[]", ""] {
            assert_eq!(fault(&json, bad, ""), Some("json"), "{bad}");
        }
        let pattern = Check { matches: vec![Pattern::new("yes*"), Pattern::new("no*")], ..Check::default() };
        assert_eq!((fault(&pattern, "No.", ""), fault(&pattern, "Perhaps", "")), (None, Some("pattern")));
        let short = Check { least_characters: 3, ..Check::default() };
        assert_eq!((fault(&short, "abc", ""), fault(&short, " ab ", "")), (None, Some("too_short")));
        let sure = Check { least_confidence: Some(0.6), ..Check::default() };
        let logprobs = |value: f64| format!(r#","logprobs":{{"content":[{{"token":"a","logprob":{value}}}]}}"#);
        assert_eq!(fault(&sure, "a", &logprobs(-0.1)), None);
        assert_eq!(fault(&sure, "a", &logprobs(-2.0)), Some("confidence"));
        assert_eq!(fault(&sure, "a", ""), None, "what is not told is not held against it");
        let refusal = Check { no_refusal: true, ..Check::default() };
        assert_eq!(fault(&refusal, "Sure", ""), None);
    }
}
