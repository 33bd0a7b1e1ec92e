//! What an answer must be, lest the call goes on to the next candidate.

use serde_json::Value;

use crate::chat::{Answer, Choice, EndKind, Part, Regex, Shape, satisfies};
use crate::json::Raw;
use crate::keys::Pattern;
use crate::units::{Millis, NanoUsd};

/// What the answer of a candidate must be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// A JSON object with these members; an empty list for any.
    pub json: Option<Vec<String>>,
    /// JSON of a schema.
    pub schema: Option<Schema>,
    /// One of these patterns matches the whole text.
    pub matches: Vec<Pattern>,
    /// One of these expressions matches somewhere in the text.
    pub regex: Vec<Regex>,
    /// It has at least so many characters.
    pub least_characters: usize,
    /// It is no refusal.
    pub no_refusal: bool,
    /// The mean probability of its tokens, where the upstream tells it, is at least this.
    pub least_confidence: Option<f64>,
    /// Another model finds that it meets a criterion.
    pub judge: Option<JudgedBy>,
}

/// Which schema an answer must keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// The one that the call asks for, where it asks for one.
    Asked,
    /// This one, to the letter.
    Of(Value),
}

/// A model that judges answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedBy {
    /// `provider/model`.
    pub model: String,
    /// What a good answer is, in words.
    pub criterion: String,
    /// How long it may take; an answer that nobody has judged by then is as good as it gets.
    pub within: Millis,
}

/// How far a call goes on for the sake of a better answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Escalation {
    /// No further attempt once so much time has passed.
    pub within: Option<Millis>,
    /// No further attempt that would bring the cost of the call, as far as is known, above this.
    pub most: Option<NanoUsd>,
    /// Streams are held back until they are checked.
    pub streams: bool,
}

impl Check {
    /// What is wrong with an answer, in a word; `None` where nothing is. Answers that call tools are never wrong.
    /// `asked` is the JSON that the call asks for. A judge is not asked here.
    #[must_use]
    pub fn fault(&self, answer: &Answer<'_>, asked: Option<&Shape>) -> Option<&'static str> {
        answer.choices.iter().find_map(|choice| self.fault_of(choice, asked))
    }

    fn fault_of(&self, choice: &Choice<'_>, asked: Option<&Shape>) -> Option<&'static str> {
        if choice.end.kind == EndKind::ToolCalls {
            return None;
        }
        let refused = |part: &Part<'_>| matches!(part, Part::Refusal { .. });
        if self.no_refusal && (choice.end.kind == EndKind::ContentFilter || choice.parts.iter().any(refused)) {
            return Some("refusal");
        }
        let text = text_of(choice);
        let text = text.trim();
        if text.chars().take(self.least_characters).count() < self.least_characters {
            return Some("too_short");
        }
        if !self.matches.is_empty() && !self.matches.iter().any(|pattern| pattern.matches(text)) {
            return Some("pattern");
        }
        if !self.regex.is_empty() && !self.regex.iter().any(|regex| regex.matches(text)) {
            return Some("regex");
        }
        if self.json.as_ref().is_some_and(|members| !is_object(text, members)) {
            return Some("json");
        }
        if self.schema.as_ref().is_some_and(|schema| !schema.is_kept_by(text, asked)) {
            return Some("schema");
        }
        let confidence = choice.logprobs.as_ref().and_then(confidence);
        let unsure = self.least_confidence.zip(confidence).is_some_and(|(least, is)| is < least);
        unsure.then_some("confidence")
    }
}

impl Schema {
    fn is_kept_by(&self, text: &str, asked: Option<&Shape>) -> bool {
        let schema = match (self, asked) {
            (Schema::Of(schema), _) | (Schema::Asked, Some(Shape::Schema(schema))) => schema,
            (Schema::Asked, Some(Shape::Object)) => return is_object(text, &[]),
            (Schema::Asked, None) => return true,
        };
        let value: Option<Value> = crate::json::from_str(unfenced(text)).ok();
        value.is_some_and(|value| satisfies(&value, schema))
    }
}

/// The words of an answer.
#[must_use]
pub fn text_of(choice: &Choice<'_>) -> String {
    let said = |part: &Part<'_>| match part {
        Part::Text { text, .. } => Some(text.decode().into_owned()),
        _ => None,
    };
    choice.parts.iter().filter_map(said).collect()
}

/// Whether a text, in a fence or bare, is a JSON object that has these members.
fn is_object(text: &str, members: &[String]) -> bool {
    let object = Raw::parse(unfenced(text)).ok().filter(Raw::is_object);
    object.is_some_and(|object| members.iter().all(|name| object.member(name).is_some()))
}

/// What stands in a fence, with or without a word for its language; else the text itself.
fn unfenced(text: &str) -> &str {
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    fenced.map_or(text, |rest| rest.trim_start_matches(|letter: char| letter.is_ascii_alphabetic())).trim()
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
        check.fault(&answer, None)
    }

    #[test]
    fn schemas_and_expressions_are_checked() {
        let schema = serde_json::json!({"type": "object", "required": ["year"],
            "properties": {"year": {"type": "integer", "minimum": 1900}}});
        let of = Check { schema: Some(Schema::Of(schema.clone())), ..Check::default() };
        assert_eq!(fault(&of, "```json\n{\"year\": 1969}\n```", ""), None);
        for bad in ["{\"year\": 1066}", "{}", "1969", "in 1969"] {
            assert_eq!(fault(&of, bad, ""), Some("schema"), "{bad}");
        }
        let asked = Schema::Asked;
        assert!(asked.is_kept_by("anything", None));
        assert!(!asked.is_kept_by("anything", Some(&Shape::Object)));
        assert!(!asked.is_kept_by("{}", Some(&Shape::Schema(schema))));
        let regex = Check { regex: vec![Regex::new(r"(?i)\bapproved\b").expect("good")], ..Check::default() };
        assert_eq!((fault(&regex, "It is Approved.", ""), fault(&regex, "unapproved", "")), (None, Some("regex")));
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
