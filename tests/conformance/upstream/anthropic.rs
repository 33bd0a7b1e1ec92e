//! Messages: <https://platform.claude.com/docs/en/api/messages>, its streams:
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>.

use serde_json::{Value, json};

use super::{End, SIGNATURE, Say, THOUGHT, USAGE, arguments, event, halves};

pub fn plain(say: &Say) -> Value {
    let (prompt, cached, output) = USAGE;
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks(say),
        "stop_reason": stop_reason(say), "stop_sequence": null,
        "usage": {"input_tokens": prompt - cached, "cache_read_input_tokens": cached, "output_tokens": output}})
}

pub fn frames(say: &Say) -> Vec<Vec<u8>> {
    let (prompt, cached, output) = USAGE;
    let usage = json!({"input_tokens": prompt - cached, "cache_read_input_tokens": cached, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage});
    let mut events = vec![json!({"type": "message_start", "message": message})];
    for (index, block) in blocks(say).into_iter().enumerate() {
        let (head, deltas) = pieces(say, &block);
        events.push(json!({"type": "content_block_start", "index": index, "content_block": head}));
        let delta = |delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "usage": {"output_tokens": output},
        "delta": {"stop_reason": stop_reason(say), "stop_sequence": null}}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(event).collect()
}

/// How a block begins, and what follows.
fn pieces(say: &Say, block: &Value) -> (Value, Vec<Value>) {
    match block["type"].as_str() {
        Some("thinking") => (
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            vec![
                json!({"type": "thinking_delta", "thinking": THOUGHT}),
                json!({"type": "signature_delta", "signature": SIGNATURE}),
            ],
        ),
        Some("tool_use") => (
            json!({"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}),
            vec![json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})],
        ),
        _ => (
            json!({"type": "text", "text": ""}),
            halves(say.text).map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
        ),
    }
}

fn blocks(say: &Say) -> Vec<Value> {
    let mut blocks = Vec::new();
    if say.thought {
        blocks.push(json!({"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}));
    }
    if !say.text.is_empty() {
        blocks.push(json!({"type": "text", "text": say.text}));
    }
    blocks.extend(
        say.calls.iter().map(
            |name| json!({"type": "tool_use", "id": format!("call_{name}"), "name": name, "input": arguments(name)}),
        ),
    );
    blocks
}

/// Also those of Converse, but for refusals.
pub fn stop_reason(say: &Say) -> &'static str {
    match say.end {
        End::Length => "max_tokens",
        End::Refusal => "refusal",
        End::Stop if say.calls.is_empty() => "end_turn",
        End::Stop => "tool_use",
    }
}
