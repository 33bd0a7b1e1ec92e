//! generateContent: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>.

use serde_json::{Value, json};

use super::{End, SIGNATURE, Say, THOUGHT, USAGE, arguments, data, halves};

pub fn plain(say: &Say) -> Value {
    let mut whole = chunk(parts(say));
    whole["candidates"][0]["finishReason"] = json!(finish(say));
    whole["usageMetadata"] = usage();
    whole
}

pub fn frames(say: &Say) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    for part in parts(say) {
        if part["text"].is_string() && part["thought"].is_null() {
            chunks.extend(halves(say.text).map(|piece| chunk(vec![json!({"text": piece})])));
        } else {
            chunks.push(chunk(vec![part]));
        }
    }
    let mut last = chunk(vec![json!({"text": ""})]);
    last["candidates"][0]["finishReason"] = json!(finish(say));
    last["usageMetadata"] = usage();
    chunks.push(last);
    chunks.iter().map(data).collect()
}

fn chunk(parts: Vec<Value>) -> Value {
    json!({"responseId": "r1", "modelVersion": "m",
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}]})
}

/// The first call of a turn is signed: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
fn parts(say: &Say) -> Vec<Value> {
    let mut parts = Vec::new();
    if say.thought {
        parts.push(json!({"text": THOUGHT, "thought": true}));
    }
    if !say.text.is_empty() {
        parts.push(json!({"text": say.text}));
    }
    for (index, name) in say.calls.iter().enumerate() {
        let mut part = json!({"functionCall": {"id": format!("call_{name}"), "name": name, "args": arguments(name)}});
        if say.thought && index == 0 {
            part["thoughtSignature"] = json!(SIGNATURE);
        }
        parts.push(part);
    }
    parts
}

fn usage() -> Value {
    let (prompt, cached, output) = USAGE;
    json!({"promptTokenCount": prompt, "cachedContentTokenCount": cached, "candidatesTokenCount": output,
        "totalTokenCount": prompt + output})
}

fn finish(say: &Say) -> &'static str {
    match say.end {
        End::Length => "MAX_TOKENS",
        End::Refusal => "SAFETY",
        End::Stop => "STOP",
    }
}
