//! Converse: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>, its streams:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>.

use serde_json::{Value, json};

use super::{End, SIGNATURE, Say, THOUGHT, USAGE, anthropic, arguments, halves};

pub fn plain(say: &Say) -> Value {
    json!({"output": {"message": {"role": "assistant", "content": blocks(say)}},
        "stopReason": stop_reason(say), "usage": usage(), "metrics": {"latencyMs": 1}})
}

pub fn frames(say: &Say) -> Vec<Vec<u8>> {
    let mut out = vec![message("event", "messageStart", &json!({"role": "assistant"}))];
    for (index, block) in blocks(say).into_iter().enumerate() {
        let at = |mut payload: Value| {
            payload["contentBlockIndex"] = json!(index);
            payload
        };
        if block["toolUse"].is_object() {
            let head = json!({"toolUseId": block["toolUse"]["toolUseId"], "name": block["toolUse"]["name"]});
            out.push(message("event", "contentBlockStart", &at(json!({"start": {"toolUse": head}}))));
        }
        let delta = |delta| message("event", "contentBlockDelta", &at(json!({"delta": delta})));
        out.extend(deltas(say, &block).into_iter().map(delta));
        out.push(message("event", "contentBlockStop", &at(json!({}))));
    }
    out.push(message("event", "messageStop", &json!({"stopReason": stop_reason(say)})));
    out.push(message("event", "metadata", &json!({"usage": usage(), "metrics": {"latencyMs": 1}})));
    out
}

fn deltas(say: &Say, block: &Value) -> Vec<Value> {
    if block["toolUse"].is_object() {
        vec![json!({"toolUse": {"input": block["toolUse"]["input"].to_string()}})]
    } else if block["reasoningContent"].is_object() {
        vec![json!({"reasoningContent": {"text": THOUGHT}}), json!({"reasoningContent": {"signature": SIGNATURE}})]
    } else {
        halves(say.text).map(|piece| json!({"text": piece})).collect()
    }
}

fn blocks(say: &Say) -> Vec<Value> {
    let mut blocks = Vec::new();
    if say.thought {
        blocks.push(json!({"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": SIGNATURE}}}));
    }
    if !say.text.is_empty() {
        blocks.push(json!({"text": say.text}));
    }
    blocks.extend(
        say.calls.iter().map(
            |name| json!({"toolUse": {"toolUseId": format!("call_{name}"), "name": name, "input": arguments(name)}}),
        ),
    );
    blocks
}

fn usage() -> Value {
    let (prompt, cached, output) = USAGE;
    json!({"inputTokens": prompt - cached, "cacheReadInputTokens": cached, "outputTokens": output,
        "totalTokens": prompt + output})
}

fn stop_reason(say: &Say) -> &'static str {
    if say.end == End::Refusal { "guardrail_intervened" } else { anthropic::stop_reason(say) }
}

/// A message of an AWS event stream, with both checksums.
pub fn message(message_type: &str, kind: &str, payload: &Value) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":message-type", message_type), (&format!(":{message_type}-type"), kind)] {
        headers.push(u8::try_from(name.len()).expect("short"));
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string().into_bytes();
    let length = |bytes: usize| u32::try_from(bytes).expect("short").to_be_bytes();
    let mut message = Vec::new();
    message.extend_from_slice(&length(16 + headers.len() + payload.len()));
    message.extend_from_slice(&length(headers.len()));
    message.extend_from_slice(&checksum(&message).to_be_bytes());
    message.extend_from_slice(&headers);
    message.extend_from_slice(&payload);
    message.extend_from_slice(&checksum(&message).to_be_bytes());
    message
}

/// CRC-32 as zlib has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}
