//! Callers of every surface: what they ask, what they read, and what they send back on the next turn. Written without
//! the code under test.

mod chat;
mod cohere;
mod converse;
mod gemini;
mod messages;
mod responses;

use latchkey::http::Response;
use latchkey::wire::Surface;
use serde_json::{Value, json};

use super::turns;
use super::world;

/// Every caller, in the order of the page.
pub const CALLERS: [&dyn Caller; 6] =
    [&chat::Chat, &responses::Responses, &messages::Messages, &gemini::Gemini, &converse::Converse, &cohere::Cohere];

/// A picture of one pixel.
pub const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==";

/// The functions that a caller of tools offers.
const TOOLS: [&str; 2] = ["sky", "sea"];

/// What a caller asks for.
#[derive(Clone, Copy, Default)]
pub struct Ask {
    pub stream: bool,
    pub tools: bool,
    pub thinks: bool,
    pub schema: bool,
    pub most: Option<u64>,
    pub stop: bool,
}

/// What a caller reads.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    pub thought: String,
    pub text: String,
    /// Id, name, arguments.
    pub calls: Vec<(String, String, Value)>,
    pub end: &'static str,
    /// All input, of it cached, output.
    pub usage: (u64, u64, u64),
}

/// A client of one surface.
pub trait Caller {
    fn surface(&self) -> Surface;

    /// As the page calls it.
    fn name(&self) -> &'static str;

    /// Path and body of a call in a conversation.
    fn request(&self, ask: &Ask, conversation: &[Value]) -> (String, Value);

    /// A question, with a picture or without.
    fn question(&self, text: &str, picture: bool) -> Value;

    /// An answer and the results of its calls, as the next turns of the conversation.
    fn next(&self, answer: &Value, seen: &Seen, conversation: &mut Vec<Value>);

    /// What a whole answer says.
    fn read(&self, answer: &Value) -> Seen;

    /// The words of an error answer, whose shape is checked.
    fn error_of(&self, response: &Response) -> String;

    /// What is written of a stream, as text.
    fn shown(&self, bytes: Vec<u8>) -> String {
        turns::shown(self.surface(), bytes)
    }

    /// The whole answer that a stream comes to, whose order is checked.
    fn gathered(&self, text: &str) -> Value {
        turns::gathered(self.surface(), text)
    }

    /// Checks that a stream ends in an error and has no end of its own.
    fn assert_broken(&self, text: &str) {
        turns::assert_broken(self.surface(), text, "");
    }
}

/// The schema of what the functions take.
fn place() -> Value {
    json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]})
}

/// The schema of a structured answer.
fn city() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false})
}

fn picture_url() -> String {
    format!("data:image/png;base64,{PIXEL}")
}

/// What the tools of `seen` gave: id, name, result.
fn results(seen: &Seen) -> impl Iterator<Item = (&str, &str, String)> {
    seen.calls.iter().map(|(id, name, _)| (id.as_str(), name.as_str(), format!("seen {name}")))
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn count(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or(0)
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Arguments that are JSON in a string.
fn parsed(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap_or_default()).unwrap_or(Value::Null)
}

/// The unified word for a surface's reason.
fn word(end: &Value) -> &'static str {
    match end.as_str() {
        Some("stop" | "end_turn" | "stop_sequence" | "STOP" | "COMPLETE" | "STOP_SEQUENCE") => "stop",
        Some("length" | "max_tokens" | "MAX_TOKENS") => "length",
        Some("tool_calls" | "tool_use" | "TOOL_CALL") => "tools",
        Some(
            "content_filter"
            | "refusal"
            | "SAFETY"
            | "PROHIBITED_CONTENT"
            | "content_filtered"
            | "guardrail_intervened"
            | "ERROR_TOXIC",
        ) => "refusal",
        _ => "?",
    }
}

/// The body of an error in OpenAI's shape.
fn openai_error(response: &Response) -> String {
    let body = world::json(&response.body);
    assert!(body["error"]["type"].is_string(), "{body}");
    string(&body["error"]["message"])
}
