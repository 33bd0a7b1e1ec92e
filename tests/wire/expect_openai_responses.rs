//! Responses, read plainly.

use std::collections::BTreeMap;

use latchkey::chat::EndKind;
use serde_json::{Value, json};

use super::expected::{Call, ReadChoice, Reading, Tokens, arguments, events};

pub fn plain(body: &str) -> Reading {
    let answer: Value = serde_json::from_str(body).expect("a JSON answer");
    let output = answer["output"].as_array().cloned().unwrap_or_default();
    reading(&output, &answer)
}

/// Builds the items that the deltas describe; an item that is told whole in the end has to say the same.
pub fn streamed(body: &str) -> Reading {
    let mut items: BTreeMap<u64, Value> = BTreeMap::new();
    let mut last = Value::Null;
    for (_, data) in events(body) {
        let event: Value = serde_json::from_str(&data).unwrap_or(Value::Null);
        let at = event["output_index"].as_u64().unwrap_or(0);
        match event["type"].as_str().unwrap_or_default() {
            "error" | "response.failed" => return Reading { failed: true, ..Reading::default() },
            "response.output_item.done" => {
                items.insert(at, event["item"].clone());
            }
            "response.completed" | "response.incomplete" => last = event["response"].clone(),
            _ => {}
        }
    }
    let mut output: Vec<Value> = items.into_values().collect();
    if output.is_empty() {
        output = last["output"].as_array().cloned().unwrap_or_default();
    }
    reading(&output, &last)
}

/// Whether the frames so far hold what ends a stream.
pub fn ended(frames: &[(String, String)]) -> bool {
    frames.iter().any(|(_, data)| {
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        ["response.completed", "response.incomplete", "response.failed"].iter().any(|kind| event["type"] == **kind)
    })
}

fn reading(output: &[Value], answer: &Value) -> Reading {
    if answer["status"] == "failed" {
        return Reading { failed: true, ..Reading::default() };
    }
    let mut choice = ReadChoice::default();
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let empty = Vec::new();
    let mut thoughts: Vec<String> = Vec::new();
    for item in output {
        match item["type"].as_str().unwrap_or_default() {
            "message" => {
                for part in item["content"].as_array().unwrap_or(&empty) {
                    choice.text.push_str(part["text"].as_str().unwrap_or_default());
                    choice.refusal.push_str(part["refusal"].as_str().unwrap_or_default());
                }
            }
            "reasoning" => {
                let own = item["content"].as_array().unwrap_or(&empty);
                let summary = item["summary"].as_array().unwrap_or(&empty);
                let parts = own.iter().chain(summary).map(|part| string(&part["text"]));
                let said: Vec<String> = parts.filter(|text| !text.is_empty()).collect();
                thoughts.push(said.join("\n\n"));
            }
            "function_call" => choice.calls.push(Call {
                id: string(&item["call_id"]),
                name: string(&item["name"]),
                arguments: arguments(item["arguments"].as_str().unwrap_or_default()),
            }),
            "custom_tool_call" => choice.calls.push(Call {
                id: string(&item["call_id"]),
                name: string(&item["name"]),
                arguments: json!({"input": item["input"]}),
            }),
            "image_generation_call" if item["result"].is_string() => choice.pictures += 1,
            _ => {}
        }
    }
    choice.reasoning = thoughts.concat();
    let status = answer["status"].as_str();
    let why = answer["incomplete_details"]["reason"].as_str();
    choice.raw_end = why.or(status).map(str::to_owned);
    choice.end = Some(match (status, why) {
        (Some("incomplete"), Some("max_output_tokens")) => EndKind::Length,
        (Some("incomplete"), Some("content_filter")) => EndKind::ContentFilter,
        (Some("completed") | None, _) if !choice.calls.is_empty() => EndKind::ToolCalls,
        (Some("completed") | None, _) => EndKind::Stop,
        _ => EndKind::Other,
    });
    Reading { choices: vec![choice], tokens: tokens(&answer["usage"]), failed: false }
}

fn tokens(usage: &Value) -> Option<Tokens> {
    let either = |new: &str, old: &str| usage[new].as_u64().or(usage[old].as_u64());
    let prompt = either("input_tokens", "prompt_tokens")?;
    let tokens = Tokens {
        prompt,
        completion: either("output_tokens", "completion_tokens").unwrap_or(0),
        cached: usage["input_tokens_details"]["cached_tokens"].as_u64(),
        cache_write: usage["input_tokens_details"]["cache_write_tokens"].as_u64(),
        reasoning: usage["output_tokens_details"]["reasoning_tokens"].as_u64(),
    };
    Some(tokens.without_zeros())
}
