//! generateContent, read plainly.

use std::collections::BTreeMap;

use latchkey::chat::EndKind;
use serde_json::Value;

use super::expected::{Call, ReadChoice, Reading, Tokens, events};

pub fn plain(body: &str) -> Reading {
    let answer: Value = serde_json::from_str(body).expect("a JSON answer");
    let mut reading = reading(&[answer]);
    for choice in &mut reading.choices {
        // A whole answer is complete without saying so: gemini.image-out.dbd0d079c4.
        choice.end = choice.end.or(Some(EndKind::Stop));
    }
    reading
}

pub fn streamed(body: &str) -> Reading {
    let chunks: Vec<Value> =
        events(body).iter().map(|(_, data)| serde_json::from_str(data).unwrap_or(Value::Null)).collect();
    reading(&chunks)
}

/// Whether the frames so far hold what ends a stream.
pub fn ended(frames: &[(String, String)]) -> bool {
    let chunks = frames.iter().filter_map(|(_, data)| serde_json::from_str::<Value>(data).ok());
    let mut finished: BTreeMap<u64, bool> = BTreeMap::new();
    for chunk in chunks {
        if chunk["promptFeedback"]["blockReason"].is_string() {
            return true;
        }
        for candidate in chunk["candidates"].as_array().into_iter().flatten() {
            let known = finished.entry(candidate["index"].as_u64().unwrap_or(0)).or_default();
            *known = *known || !candidate["finishReason"].is_null();
        }
    }
    !finished.is_empty() && finished.values().all(|done| *done)
}

fn reading(chunks: &[Value]) -> Reading {
    let mut choices: BTreeMap<u32, ReadChoice> = BTreeMap::new();
    let mut usage = Value::Object(serde_json::Map::new());
    for chunk in chunks {
        if chunk["error"].is_object() {
            return Reading { failed: true, ..Reading::default() };
        }
        for (key, value) in chunk["usageMetadata"].as_object().into_iter().flatten() {
            usage[key] = value.clone();
        }
        if let Some(reason) = chunk["promptFeedback"]["blockReason"].as_str() {
            // Where the vendor says no more, the gateway says it in its own words.
            let said = chunk["promptFeedback"]["blockReasonMessage"].as_str();
            let refusal = said.map_or_else(|| format!("The provider blocked the prompt: {reason}."), str::to_owned);
            let raw_end = Some(reason.to_owned());
            let blocked = ReadChoice { raw_end, refusal, end: Some(EndKind::ContentFilter), ..ReadChoice::default() };
            choices.insert(0, blocked);
        }
        for candidate in chunk["candidates"].as_array().into_iter().flatten() {
            let index = u32::try_from(candidate["index"].as_u64().unwrap_or(0)).expect("a small index");
            let choice = choices.entry(index).or_insert_with(|| ReadChoice { index, ..ReadChoice::default() });
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                take(choice, part);
            }
            // Some recorders keep the number of the word: gemini.tools.6c5f9fd550.
            let reason = match candidate["finishReason"].as_u64() {
                Some(1) => Some("STOP"),
                Some(2) => Some("MAX_TOKENS"),
                Some(number) => panic!("finish reason {number}"),
                None => candidate["finishReason"].as_str(),
            };
            if let Some(reason) = reason {
                choice.raw_end = Some(reason.to_owned());
                let kind = end(reason, !choice.calls.is_empty());
                choice.end = Some(kind);
                if kind == EndKind::ContentFilter {
                    choice.refusal = candidate["finishMessage"].as_str().unwrap_or_default().to_owned();
                }
            }
        }
    }
    Reading { choices: choices.into_values().collect(), tokens: tokens(&usage), failed: false }
}

fn take(choice: &mut ReadChoice, part: &Value) {
    if let Some(text) = part["text"].as_str() {
        let said = if part["thought"] == true { &mut choice.reasoning } else { &mut choice.text };
        said.push_str(text);
    }
    if part["functionCall"].is_object() {
        let call = &part["functionCall"];
        choice.calls.push(Call {
            id: call["id"].as_str().unwrap_or_default().to_owned(),
            name: call["name"].as_str().unwrap_or_default().to_owned(),
            arguments: if call["args"].is_object() { call["args"].clone() } else { serde_json::json!({}) },
        });
    }
    if let Some(data) = part["inlineData"]["data"].as_str() {
        match part["inlineData"]["mimeType"].as_str().unwrap_or_default() {
            sound if sound.starts_with("audio/") => choice.audio += data.len(),
            _ => choice.pictures += 1,
        }
    }
}

fn end(reason: &str, has_calls: bool) -> EndKind {
    match reason {
        "STOP" if has_calls => EndKind::ToolCalls,
        "STOP" => EndKind::Stop,
        "MAX_TOKENS" => EndKind::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR" | "IMAGE_SAFETY" => {
            EndKind::ContentFilter
        }
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "NO_IMAGE" => EndKind::Error,
        _ => EndKind::Other,
    }
}

/// Thoughts and the prompts of provider-run tools are counted beside candidates and prompt; OpenAI's counts include
/// them.
fn tokens(usage: &Value) -> Option<Tokens> {
    let count = |key: &str| usage[key].as_u64();
    let (prompt, total) = (count("promptTokenCount"), count("totalTokenCount"));
    prompt.or(total).or(count("candidatesTokenCount"))?;
    let prompt = prompt.unwrap_or(0) + count("toolUsePromptTokenCount").unwrap_or(0);
    let thoughts = count("thoughtsTokenCount");
    let said = match count("candidatesTokenCount") {
        Some(said) => said + thoughts.unwrap_or(0),
        None => total.unwrap_or(0).saturating_sub(prompt).max(thoughts.unwrap_or(0)),
    };
    let tokens = Tokens {
        prompt,
        completion: said,
        cached: count("cachedContentTokenCount"),
        cache_write: None,
        reasoning: thoughts,
    };
    Some(tokens.without_zeros())
}
