//! Upstreams of every format: what they answer, and how that goes over the wire.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod openai_chat;
mod openai_responses;

use latchkey::wire::Format;
use serde_json::{Value, json};

/// What the model says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Say {
    pub thought: bool,
    pub text: &'static str,
    /// Names; ids are `call_<name>`, arguments `{"at":"<name>"}`.
    pub calls: &'static [&'static str],
    pub end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum End {
    #[default]
    Stop,
    Length,
    Refusal,
}

pub const THOUGHT: &str = "I look first.";
/// Base64, as every provider's opaque tokens are.
pub const SIGNATURE: &str = "c2lnbmVkLWJ5LW1l";
/// Prompt, of it cached, output.
pub const USAGE: (u64, u64, u64) = (20, 8, 5);
/// The words of errors in a stream.
pub const FAILED: &str = "The model failed.";

/// A whole answer.
pub fn plain(format: Format, say: &Say) -> String {
    let answer = match format {
        Format::OpenAiChat => openai_chat::plain(say),
        // Over HTTP it stands in an envelope: <https://developers.cloudflare.com/workers-ai/get-started/rest-api/>.
        Format::WorkersAi => {
            json!({"result": openai_chat::plain(say), "success": true, "errors": [], "messages": []})
        }
        Format::OpenAiResponses => openai_responses::plain(say),
        Format::Anthropic => anthropic::plain(say),
        Format::Gemini => gemini::plain(say),
        Format::Bedrock => bedrock::plain(say),
        Format::Cohere => cohere::plain(say),
        Format::Ollama => ollama::plain(say),
    };
    answer.to_string()
}

/// The same as a stream, piece by piece.
pub fn frames(format: Format, say: &Say) -> Vec<Vec<u8>> {
    match format {
        Format::OpenAiChat | Format::WorkersAi => openai_chat::frames(say),
        Format::OpenAiResponses => openai_responses::frames(say),
        Format::Anthropic => anthropic::frames(say),
        Format::Gemini => gemini::frames(say),
        Format::Bedrock => bedrock::frames(say),
        Format::Cohere => cohere::frames(say),
        Format::Ollama => ollama::frames(say),
    }
}

/// An error in the middle of a stream.
pub fn error_frame(format: Format) -> Vec<u8> {
    match format {
        Format::OpenAiChat | Format::WorkersAi => {
            data(&json!({"error": {"message": FAILED, "type": "server_error", "code": "server_error"}}))
        }
        Format::OpenAiResponses => event(&json!({"type": "error", "sequence_number": 9,
            "error": {"type": "server_error", "code": "server_error", "message": FAILED, "param": null}})),
        Format::Anthropic => event(&json!({"type": "error", "error": {"type": "api_error", "message": FAILED}})),
        Format::Gemini => data(&json!({"error": {"code": 500, "message": FAILED, "status": "INTERNAL"}})),
        Format::Bedrock => bedrock::message("exception", "internalServerException", &json!({"message": FAILED})),
        Format::Cohere => event(&json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": FAILED}})),
        Format::Ollama => format!("{}\n", json!({"error": FAILED})).into_bytes(),
    }
}

/// An error instead of an answer.
pub fn refusal(format: Format, status: u16) -> String {
    let (words, kind) = match status {
        429 => ("Slow down.", "rate_limit_error"),
        _ => ("No such parameter.", "invalid_request_error"),
    };
    match format {
        Format::OpenAiChat | Format::OpenAiResponses => {
            json!({"error": {"message": words, "type": kind, "param": null, "code": null}})
        }
        Format::WorkersAi => {
            json!({"errors": [{"code": 5006, "message": words}], "success": false, "result": {}, "messages": []})
        }
        Format::Anthropic => json!({"type": "error", "error": {"type": kind, "message": words}}),
        Format::Gemini => {
            let word = if status == 429 { "RESOURCE_EXHAUSTED" } else { "INVALID_ARGUMENT" };
            json!({"error": {"code": status, "message": words, "status": word}})
        }
        Format::Bedrock | Format::Cohere => json!({"message": words}),
        Format::Ollama => json!({"error": words}),
    }
    .to_string()
}

/// Text in two pieces.
fn halves(text: &'static str) -> impl Iterator<Item = &'static str> {
    let (first, second) = text.split_at(text.len() / 2);
    [first, second].into_iter().filter(|piece| !piece.is_empty())
}

/// What a function is called with; the one that stands for structured output is called with the answer.
fn arguments(name: &str) -> Value {
    if super::cases::TOOLS.contains(&name) { json!({"at": name}) } else { json!({"city": "Paris"}) }
}

/// A call as Chat Completions spells it, and Cohere.
fn chat_call(name: &str) -> Value {
    json!({"id": format!("call_{name}"), "type": "function",
        "function": {"name": name, "arguments": arguments(name).to_string()}})
}

fn data(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

fn event(data: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("a type")).into_bytes()
}
