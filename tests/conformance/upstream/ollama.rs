//! Ollama's own chat: <https://docs.ollama.com/api/chat>.

use serde_json::{Value, json};

use super::{End, Say, THOUGHT, USAGE, arguments, halves};

pub fn plain(say: &Say) -> Value {
    let (prompt, _, output) = USAGE;
    let mut message = json!({"role": "assistant", "content": say.text});
    if say.thought {
        message["thinking"] = json!(THOUGHT);
    }
    if !say.calls.is_empty() {
        message["tool_calls"] = calls(say);
    }
    let reason = if say.end == End::Length { "length" } else { "stop" };
    json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": true,
        "done_reason": reason, "prompt_eval_count": prompt, "eval_count": output})
}

pub fn frames(say: &Say) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    if say.thought {
        messages.push(json!({"role": "assistant", "content": "", "thinking": THOUGHT}));
    }
    messages.extend(halves(say.text).map(|piece| json!({"role": "assistant", "content": piece})));
    if !say.calls.is_empty() {
        messages.push(json!({"role": "assistant", "content": "", "tool_calls": calls(say)}));
    }
    let line =
        |message: Value| json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false});
    let mut lines: Vec<Value> = messages.into_iter().map(line).collect();
    let mut last = plain(say);
    last["message"] = json!({"role": "assistant", "content": ""});
    lines.push(last);
    lines.iter().map(|line| format!("{line}\n").into_bytes()).collect()
}

fn calls(say: &Say) -> Value {
    let calls = say
        .calls
        .iter()
        .map(|name| json!({"id": format!("call_{name}"), "function": {"name": name, "arguments": arguments(name)}}));
    calls.collect()
}
