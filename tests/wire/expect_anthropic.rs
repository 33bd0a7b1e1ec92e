//! Messages, read plainly.

use std::collections::BTreeMap;

use latchkey::chat::EndKind;
use serde_json::Value;

use super::expected::{Call, ReadChoice, Reading, Tokens, arguments, events};

pub fn plain(body: &str) -> Reading {
    let answer: Value = serde_json::from_str(body).expect("a JSON answer");
    let blocks = answer["content"].as_array().cloned().unwrap_or_default();
    reading(&blocks, answer["stop_reason"].as_str(), &answer["usage"])
}

/// Builds the whole answer that the stream describes, then reads that.
pub fn streamed(body: &str) -> Reading {
    let mut blocks: BTreeMap<u64, Value> = BTreeMap::new();
    let mut inputs: BTreeMap<u64, String> = BTreeMap::new();
    let mut usage = Value::Null;
    let mut stop = None;
    for (_, data) in events(body) {
        let event: Value = serde_json::from_str(&data).unwrap_or(Value::Null);
        let index = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str().unwrap_or_default() {
            "error" => return Reading { failed: true, ..Reading::default() },
            "message_start" => usage = event["message"]["usage"].clone(),
            "content_block_start" => {
                blocks.insert(index, event["content_block"].clone());
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                let block = blocks.get_mut(&index).expect("a block that has started");
                for key in ["text", "thinking"] {
                    if let Some(more) = delta[key].as_str() {
                        let so_far = block[key].as_str().unwrap_or_default().to_owned();
                        block[key] = Value::String(so_far + more);
                    }
                }
                if let Some(more) = delta["partial_json"].as_str() {
                    inputs.entry(index).or_default().push_str(more);
                }
            }
            "message_delta" => {
                stop = event["delta"]["stop_reason"].as_str().map(str::to_owned).or(stop);
                for (key, value) in event["usage"].as_object().into_iter().flatten() {
                    if !value.is_null() {
                        usage[key] = value.clone();
                    }
                }
            }
            _ => {}
        }
    }
    for (index, input) in inputs.into_iter().filter(|(_, input)| !input.is_empty()) {
        if let Some(block) = blocks.get_mut(&index) {
            block["input"] = arguments(&input);
        }
    }
    let blocks: Vec<Value> = blocks.into_values().collect();
    reading(&blocks, stop.as_deref(), &usage)
}

/// Whether the frames so far hold what ends a stream.
pub fn ended(frames: &[(String, String)]) -> bool {
    frames
        .iter()
        .any(|(_, data)| serde_json::from_str::<Value>(data).is_ok_and(|event| event["type"] == "message_stop"))
}

fn reading(blocks: &[Value], stop: Option<&str>, usage: &Value) -> Reading {
    let mut choice = ReadChoice { raw_end: stop.map(str::to_owned), ..ReadChoice::default() };
    for block in blocks {
        match block["type"].as_str().unwrap_or_default() {
            "text" => choice.text.push_str(block["text"].as_str().unwrap_or_default()),
            "thinking" => choice.reasoning.push_str(block["thinking"].as_str().unwrap_or_default()),
            "tool_use" => choice.calls.push(Call {
                id: block["id"].as_str().unwrap_or_default().to_owned(),
                name: block["name"].as_str().unwrap_or_default().to_owned(),
                arguments: block["input"].clone(),
            }),
            _ => {}
        }
    }
    choice.end = Some(match stop {
        Some("end_turn" | "stop_sequence") => EndKind::Stop,
        Some("tool_use") => EndKind::ToolCalls,
        Some("max_tokens" | "model_context_window_exceeded") => EndKind::Length,
        Some("refusal") => EndKind::ContentFilter,
        Some("pause_turn") => EndKind::Paused,
        _ => EndKind::Other,
    });
    Reading { choices: vec![choice], tokens: tokens(usage), failed: false }
}

/// Input and cached tokens are counted apart here; OpenAI's prompt is their sum. Where the provider ran the model
/// several times, every run counts but those of another model that was asked for advice: they have another price.
fn tokens(usage: &Value) -> Option<Tokens> {
    usage["output_tokens"].as_u64().or(usage["input_tokens"].as_u64())?;
    let runs: Vec<&Value> = match usage["iterations"].as_array() {
        Some(runs) if !runs.is_empty() => runs.iter().filter(|run| run["type"] != "advisor_message").collect(),
        _ => vec![usage],
    };
    let sum = |key: &str| -> u64 { runs.iter().filter_map(|run| run[key].as_u64()).sum() };
    let (cached, written) = (sum("cache_read_input_tokens"), sum("cache_creation_input_tokens"));
    let tokens = Tokens {
        prompt: sum("input_tokens") + cached + written,
        completion: sum("output_tokens"),
        cached: Some(cached),
        cache_write: Some(written),
        reasoning: usage["output_tokens_details"]["thinking_tokens"].as_u64(),
    };
    Some(tokens.without_zeros())
}
