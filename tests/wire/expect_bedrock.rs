//! Converse, read plainly.

use std::collections::BTreeMap;

use latchkey::chat::EndKind;
use serde_json::{Value, json};

use super::expected::{Call, ReadChoice, Reading, Tokens, arguments};

pub fn plain(body: &str) -> Reading {
    let answer: Value = serde_json::from_str(body).expect("a JSON answer");
    let blocks = answer["output"]["message"]["content"].as_array().cloned().unwrap_or_default();
    reading(&blocks, answer["stopReason"].as_str(), &answer["usage"])
}

/// Builds the whole answer that the stream describes, then reads that.
pub fn streamed(events: &[(String, String)]) -> Reading {
    let mut blocks: BTreeMap<u64, Value> = BTreeMap::new();
    let (mut stop, mut usage) = (None, Value::Null);
    for (name, data) in events {
        let event: Value = serde_json::from_str(data).unwrap_or(Value::Null);
        let index = event["contentBlockIndex"].as_u64().unwrap_or(0);
        match name.as_str() {
            "contentBlockStart" => {
                blocks.insert(index, event["start"].clone());
            }
            "contentBlockDelta" => {
                let block = blocks.entry(index).or_insert_with(|| json!({}));
                let delta = &event["delta"];
                append(&mut block["text"], &delta["text"]);
                append(&mut block["input"], &delta["toolUse"]["input"]);
                append(&mut block["reasoning"], &delta["reasoningContent"]["text"]);
            }
            "messageStop" => stop = event["stopReason"].as_str().map(str::to_owned),
            "metadata" => usage = event["usage"].clone(),
            name if name.starts_with("exception:") => return Reading { failed: true, ..Reading::default() },
            _ => {}
        }
    }
    for block in blocks.values_mut() {
        let reasoning = block["reasoning"].take();
        block["reasoningContent"] = json!({"reasoningText": {"text": reasoning}});
        if block["toolUse"].is_object() {
            let input = block["input"].take();
            block["toolUse"]["input"] = arguments(input.as_str().unwrap_or_default());
        }
    }
    let blocks: Vec<Value> = blocks.into_values().collect();
    reading(&blocks, stop.as_deref(), &usage)
}

fn append(to: &mut Value, more: &Value) {
    if let Some(more) = more.as_str() {
        *to = Value::String(to.as_str().unwrap_or_default().to_owned() + more);
    }
}

/// Whether the frames so far hold what ends a stream.
pub fn ended(frames: &[(String, String)]) -> bool {
    frames.iter().any(|(name, _)| name == "messageStop")
}

fn reading(blocks: &[Value], stop: Option<&str>, usage: &Value) -> Reading {
    let mut choice = ReadChoice { raw_end: stop.map(str::to_owned), ..ReadChoice::default() };
    for block in blocks {
        let cited = block["citationsContent"]["content"].as_array().into_iter().flatten();
        let texts = std::iter::once(&block["text"]).chain(cited.map(|passage| &passage["text"]));
        choice.text.extend(texts.filter_map(Value::as_str));
        let reasoning = &block["reasoningContent"]["reasoningText"]["text"];
        choice.reasoning.push_str(reasoning.as_str().unwrap_or_default());
        let call = &block["toolUse"];
        if call.is_object() && call["type"] != "server_tool_use" {
            choice.calls.push(Call {
                id: call["toolUseId"].as_str().unwrap_or_default().to_owned(),
                name: call["name"].as_str().unwrap_or_default().to_owned(),
                arguments: call["input"].clone(),
            });
        }
    }
    choice.end = Some(match stop {
        Some("end_turn" | "stop_sequence") => EndKind::Stop,
        Some("tool_use") => EndKind::ToolCalls,
        Some("max_tokens") => EndKind::Length,
        Some("guardrail_intervened" | "content_filtered") => EndKind::ContentFilter,
        _ => EndKind::Other,
    });
    let count = |key: &str| usage[key].as_u64().unwrap_or(0);
    let (cached, written) = (count("cacheReadInputTokens"), count("cacheWriteInputTokens"));
    let tokens = Tokens {
        prompt: count("inputTokens") + cached + written,
        completion: count("outputTokens"),
        cached: Some(cached),
        cache_write: Some(written),
        reasoning: None,
    };
    let tokens = usage["inputTokens"].is_u64().then(|| tokens.without_zeros());
    Reading { choices: vec![choice], tokens, failed: false }
}
