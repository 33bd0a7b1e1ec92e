//! Cohere's version 2, read plainly.

use std::collections::BTreeMap;

use latchkey::chat::EndKind;
use serde_json::{Value, json};

use super::expected::{Call, ReadChoice, Reading, Tokens, arguments, events};

pub fn plain(body: &str) -> Reading {
    let answer: Value = serde_json::from_str(body).expect("a JSON answer");
    reading(&answer["message"], answer["finish_reason"].as_str(), &answer["usage"])
}

/// Builds the whole message that the stream describes, then reads that.
pub fn streamed(body: &str) -> Reading {
    let (mut plan, mut end) = (String::new(), Value::Null);
    let mut contents: BTreeMap<u64, Value> = BTreeMap::new();
    let mut calls: BTreeMap<u64, Value> = BTreeMap::new();
    for (_, data) in events(body) {
        let event: Value = serde_json::from_str(&data).unwrap_or(Value::Null);
        let index = event["index"].as_u64().unwrap_or(0);
        let message = &event["delta"]["message"];
        match event["type"].as_str().unwrap_or_default() {
            "tool-plan-delta" => plan.push_str(message["tool_plan"].as_str().unwrap_or_default()),
            "content-start" => {
                contents.insert(index, message["content"].clone());
            }
            "content-delta" => {
                let content = contents.get_mut(&index).expect("content that has started");
                for key in ["text", "thinking"] {
                    if let Some(more) = message["content"][key].as_str() {
                        content[key] = json!(content[key].as_str().unwrap_or_default().to_owned() + more);
                    }
                }
            }
            "tool-call-start" => {
                calls.insert(index, message["tool_calls"].clone());
            }
            "tool-call-delta" => {
                let call = &mut calls.get_mut(&index).expect("a call that has started")["function"]["arguments"];
                let more = message["tool_calls"]["function"]["arguments"].as_str().unwrap_or_default();
                *call = json!(call.as_str().unwrap_or_default().to_owned() + more);
            }
            "message-end" => end = event["delta"].clone(),
            _ => {}
        }
    }
    if end["error"].is_string() {
        return Reading { failed: true, ..Reading::default() };
    }
    let message = json!({
        "tool_plan": plan,
        "content": contents.into_values().collect::<Vec<_>>(),
        "tool_calls": calls.into_values().collect::<Vec<_>>(),
    });
    reading(&message, end["finish_reason"].as_str(), &end["usage"])
}

/// Whether the frames so far hold what ends a stream.
pub fn ended(frames: &[(String, String)]) -> bool {
    frames.iter().any(|(name, _)| name == "message-end")
}

/// A plan counts as reasoning.
fn reading(message: &Value, end: Option<&str>, usage: &Value) -> Reading {
    let mut choice = ReadChoice { raw_end: end.map(str::to_owned), ..ReadChoice::default() };
    choice.reasoning.push_str(message["tool_plan"].as_str().unwrap_or_default());
    for content in message["content"].as_array().into_iter().flatten() {
        choice.text.push_str(content["text"].as_str().unwrap_or_default());
        choice.reasoning.push_str(content["thinking"].as_str().unwrap_or_default());
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        choice.calls.push(Call {
            id: call["id"].as_str().unwrap_or_default().to_owned(),
            name: call["function"]["name"].as_str().unwrap_or_default().to_owned(),
            arguments: arguments(call["function"]["arguments"].as_str().unwrap_or_default()),
        });
    }
    choice.end = Some(match end {
        Some("COMPLETE" | "STOP_SEQUENCE") => EndKind::Stop,
        Some("MAX_TOKENS") => EndKind::Length,
        Some("TOOL_CALL") => EndKind::ToolCalls,
        Some("ERROR") => EndKind::Error,
        _ => EndKind::Other,
    });
    Reading { choices: vec![choice], tokens: tokens(usage), failed: false }
}

/// What is billed.
fn tokens(usage: &Value) -> Option<Tokens> {
    let billed = &usage["billed_units"];
    let count = |value: &Value| value.as_f64().map(|number| number as u64);
    let tokens = Tokens {
        prompt: count(&billed["input_tokens"])?,
        completion: count(&billed["output_tokens"]).unwrap_or(0),
        reasoning: count(&usage["tokens"]["reasoning_tokens"]),
        ..Tokens::default()
    };
    Some(tokens.without_zeros())
}
