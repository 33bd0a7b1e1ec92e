//! Whether an answer that came whole is any good: empty ones, broken tool calls and broken JSON are told from the rest.

use super::conform::conforms;
use super::{EndKind, Event, OutputShape, Sink};
use crate::json::{Raw, Text};
use crate::sorted::SortedMap;
use serde_json::Value;

/// Bytes of text or arguments that are kept to be judged; longer answers are not.
const MOST_KEPT: usize = 1 << 20;

/// What is wrong with an answer that ended in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// It says nothing and calls nothing.
    Empty,
    /// The arguments of one of its tool calls are no JSON object.
    MalformedCall,
    /// It was to be JSON, of a schema perhaps, and is not.
    Unstructured,
}

impl Flaw {
    /// As operators read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Flaw::Empty => "empty_answer",
            Flaw::MalformedCall => "malformed_tool_call",
            Flaw::Unstructured => "schema_failure",
        }
    }
}

/// The JSON that an answer has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Some object.
    Object,
    /// What matches this schema.
    Schema(Value),
}

impl Shape {
    /// What the caller asked for; `None` where any text will do.
    #[must_use]
    pub fn of(output: &OutputShape<'_>) -> Option<Shape> {
        match output {
            OutputShape::Text => None,
            OutputShape::JsonObject | OutputShape::JsonSchema { schema: None, .. } => Some(Shape::Object),
            OutputShape::JsonSchema { schema: Some(schema), .. } => {
                Some(schema.read().map_or(Shape::Object, Shape::Schema))
            }
        }
    }

    fn is_kept_by(&self, text: &str) -> bool {
        match crate::json::from_str::<Value>(text) {
            Err(_) => false,
            Ok(value) => match self {
                Shape::Object => value.is_object(),
                Shape::Schema(schema) => conforms(&value, schema),
            },
        }
    }
}

/// Reads along an answer, plain or streamed, and says in the end what is wrong with it.
///
/// Text is kept only where a [`Shape`] is wanted, arguments always: they are few.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    shape: Option<Shape>,
    /// Text, a refusal, a call or media has come. Thoughts alone answer nothing.
    said: bool,
    refused: bool,
    /// Escaped text by choice.
    texts: SortedMap<u32, String>,
    /// Escaped arguments by choice and block.
    calls: SortedMap<(u32, u32), String>,
    kept: usize,
    /// An answer that was cut or filtered is no better than it can be.
    excused: bool,
    ended: bool,
}

impl Judge {
    /// One for an answer that has to be of this shape, where it has to be of any.
    #[must_use]
    pub fn new(shape: Option<Shape>) -> Judge {
        Judge { shape, ..Judge::default() }
    }

    /// Whether every piece of text has to be read.
    #[must_use]
    pub fn wants_text(&self) -> bool {
        self.shape.is_some()
    }

    /// Text came that nobody read.
    pub fn passed_by(&mut self) {
        self.said = true;
    }

    /// What is wrong with the answer, once it is complete.
    #[must_use]
    pub fn flaw(&self) -> Option<Flaw> {
        if self.excused || !self.ended || self.kept > MOST_KEPT {
            return None;
        }
        let decoded = |escaped: &String| Text::from_escaped(escaped.as_str()).decode().into_owned();
        let is_object = |arguments: &String| {
            let arguments = decoded(arguments);
            arguments.trim_start().starts_with('{') && Raw::parse(&arguments).is_ok()
        };
        if !self.calls.values().all(is_object) {
            return Some(Flaw::MalformedCall);
        }
        if !self.said {
            return Some(Flaw::Empty);
        }
        let shape = self.shape.as_ref().filter(|_| self.calls.is_empty() && !self.refused)?;
        let kept = self.texts.values().all(|text| shape.is_kept_by(&decoded(text)));
        (!kept).then_some(Flaw::Unstructured)
    }

    fn keep(&mut self, text: &Text<'_>) -> bool {
        self.kept = self.kept.saturating_add(text.escaped().len());
        self.kept <= MOST_KEPT
    }
}

impl Sink for Judge {
    fn event(&mut self, event: Event<'_>) {
        self.note(&event);
    }
}

impl Judge {
    /// Takes the next event of the answer.
    pub fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::TextDelta { choice, text, .. } => {
                self.said |= !text.is_empty();
                if self.shape.is_some() && self.keep(text) {
                    self.texts.get_or_default(*choice).push_str(text.escaped());
                }
            }
            Event::RefusalDelta { text, .. } => {
                self.said |= !text.is_empty();
                self.refused = true;
            }
            Event::MediaDelta { .. } => self.said = true,
            Event::ToolCallStart { choice, block, .. } => {
                self.said = true;
                self.calls.get_or_default((*choice, *block));
            }
            Event::ToolCallDelta { choice, block, arguments } => {
                let kept = if self.keep(arguments) { arguments.escaped() } else { "" };
                self.calls.get_or_default((*choice, *block)).push_str(kept);
            }
            Event::End { reason, .. } => {
                self.ended = true;
                self.excused |= matches!(reason.kind, EndKind::Length | EndKind::ContentFilter | EndKind::Paused);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::EndReason;

    fn text(said: &str) -> Event<'_> {
        Event::TextDelta { choice: 0, block: 0, text: Text::from_escaped(said) }
    }

    fn call(arguments: &'static str) -> [Event<'static>; 2] {
        let name = Text::from_escaped("weather");
        let arguments = Text::from_escaped(arguments);
        [
            Event::ToolCallStart { choice: 0, block: 0, id: Text::from_escaped("c"), name },
            Event::ToolCallDelta { choice: 0, block: 0, arguments },
        ]
    }

    fn flaw(shape: Option<Shape>, events: impl IntoIterator<Item = Event<'static>>, kind: EndKind) -> Option<Flaw> {
        let mut judge = Judge::new(shape);
        events.into_iter().for_each(|event| judge.event(event));
        assert_eq!(judge.flaw(), None, "it may still become something");
        judge.event(Event::End { choice: 0, reason: EndReason::plain(kind) });
        judge.flaw()
    }

    #[test]
    fn nothing_is_said_by_empty_text_or_thoughts_alone() {
        let thought = Event::ReasoningDelta { choice: 0, block: 0, text: Text::from_escaped("hm") };
        assert_eq!(flaw(None, [], EndKind::Stop), Some(Flaw::Empty));
        assert_eq!(flaw(None, [text("")], EndKind::Stop), Some(Flaw::Empty));
        assert_eq!(flaw(None, [thought.clone()], EndKind::Stop), Some(Flaw::Empty));
        assert_eq!(flaw(None, [thought], EndKind::Length), None, "a limit of the caller's");
        assert_eq!(flaw(None, [], EndKind::ContentFilter), None);
        assert_eq!(flaw(None, [text("hi")], EndKind::Stop), None);
    }

    #[test]
    fn arguments_are_a_json_object() {
        let good = [r#"{}"#, r#" {\"city\": \"Br\u00fcnn\"}"#];
        let bad = ["", "null", r#"{\"city\": \"Br"#, r#"{\"a\":1}{\"a\":1}"#, "city=Brno"];
        for arguments in good {
            assert_eq!(flaw(None, call(arguments), EndKind::ToolCalls), None, "{arguments}");
        }
        for arguments in bad {
            assert_eq!(flaw(None, call(arguments), EndKind::ToolCalls), Some(Flaw::MalformedCall), "{arguments}");
            assert_eq!(flaw(None, call(arguments), EndKind::Length), None, "{arguments}, but cut");
        }
    }

    #[test]
    fn json_is_kept_only_where_it_was_asked_for() {
        let schema = serde_json::json!({ "type": "object", "required": ["city"] });
        let schema = || Some(Shape::Schema(schema.clone()));
        let cases = [
            (r#"{\"city\":\"Brno\"}"#, None, None),
            (r#"{\"town\":\"Brno\"}"#, None, Some(Flaw::Unstructured)),
            ("Brno", Some(Flaw::Unstructured), Some(Flaw::Unstructured)),
            (r#"```json\n{}\n```"#, Some(Flaw::Unstructured), Some(Flaw::Unstructured)),
        ];
        for (said, of_object, of_schema) in cases {
            assert_eq!(flaw(None, [text(said)], EndKind::Stop), None, "{said}");
            assert_eq!(flaw(Some(Shape::Object), [text(said)], EndKind::Stop), of_object, "{said}");
            assert_eq!(flaw(schema(), [text(said)], EndKind::Stop), of_schema, "{said}");
        }
        assert_eq!(flaw(schema(), call("{}"), EndKind::ToolCalls), None, "it calls instead");
    }
}
