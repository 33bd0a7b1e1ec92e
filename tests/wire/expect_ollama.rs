//! Ollama's own chat, read plainly.

use latchkey::chat::EndKind;
use serde_json::{Value, json};

use super::expected::{Call, ReadChoice, Reading, Tokens};

pub fn plain(body: &str) -> Reading {
    reading(&serde_json::from_str(body).expect("a JSON answer"))
}

/// Puts the lines together to the whole answer that they are pieces of, then reads that.
pub fn streamed(lines: &[(String, String)]) -> Reading {
    let (mut text, mut thinking, mut calls, mut last) = (String::new(), String::new(), Vec::new(), Value::Null);
    for (_, line) in lines {
        let line: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        if line["error"].is_string() {
            return Reading { failed: true, ..Reading::default() };
        }
        let message = &line["message"];
        text.push_str(message["content"].as_str().unwrap_or_default());
        thinking.push_str(message["thinking"].as_str().unwrap_or_default());
        calls.extend(message["tool_calls"].as_array().into_iter().flatten().cloned());
        last = line;
    }
    last["message"] = json!({"content": text, "thinking": thinking, "tool_calls": calls});
    reading(&last)
}

/// Whether the lines so far hold what ends a stream.
pub fn ended(lines: &[(String, String)]) -> bool {
    lines.iter().any(|(_, line)| serde_json::from_str::<Value>(line).is_ok_and(|line| line["done"] == true))
}

fn reading(answer: &Value) -> Reading {
    let message = &answer["message"];
    let calls: Vec<Call> = message["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| Call {
            id: call["id"].as_str().unwrap_or_default().to_owned(),
            name: call["function"]["name"].as_str().unwrap_or_default().to_owned(),
            arguments: call["function"]["arguments"].clone(),
        })
        .collect();
    let reason = answer["done_reason"].as_str();
    let end = match reason {
        Some("length") => EndKind::Length,
        Some("stop") | None if !calls.is_empty() => EndKind::ToolCalls,
        Some("stop") | None => EndKind::Stop,
        Some(_) => EndKind::Other,
    };
    let choice = ReadChoice {
        text: message["content"].as_str().unwrap_or_default().to_owned(),
        reasoning: message["thinking"].as_str().unwrap_or_default().to_owned(),
        calls,
        end: Some(end),
        raw_end: reason.map(str::to_owned),
        ..ReadChoice::default()
    };
    let tokens = answer["eval_count"].as_u64().map(|completion| Tokens {
        prompt: answer["prompt_eval_count"].as_u64().unwrap_or(0),
        completion,
        ..Tokens::default()
    });
    Reading { choices: vec![choice], tokens, failed: false }
}
