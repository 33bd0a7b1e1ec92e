//! Cohere's Chat: <https://docs.cohere.com/reference/chat>, its streams: <https://docs.cohere.com/reference/chat-stream>.

use serde_json::{Value, json};

use super::{End, Say, THOUGHT, USAGE, chat_call, event, halves};

pub fn plain(say: &Say) -> Value {
    let mut content = Vec::new();
    if say.thought {
        content.push(json!({"type": "thinking", "thinking": THOUGHT}));
    }
    if !say.text.is_empty() {
        content.push(json!({"type": "text", "text": say.text}));
    }
    let mut message = json!({"role": "assistant", "content": content});
    if !say.calls.is_empty() {
        message["tool_calls"] = say.calls.iter().map(|name| chat_call(name)).collect();
    }
    json!({"id": "c1", "message": message, "finish_reason": finish(say), "usage": usage()})
}

pub fn frames(say: &Say) -> Vec<Vec<u8>> {
    let mut events = vec![json!({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}})];
    let typed =
        |kind: &str, index: usize, message: Value| json!({"type": kind, "index": index, "delta": {"message": message}});
    let mut contents = Vec::new();
    if say.thought {
        contents.push(("thinking", vec![THOUGHT]));
    }
    if !say.text.is_empty() {
        contents.push(("text", halves(say.text).collect()));
    }
    for (index, (kind, pieces)) in contents.into_iter().enumerate() {
        events.push(typed("content-start", index, json!({"content": {"type": kind, kind: ""}})));
        events.extend(pieces.iter().map(|piece| typed("content-delta", index, json!({"content": {kind: piece}}))));
        events.push(json!({"type": "content-end", "index": index}));
    }
    for (index, name) in say.calls.iter().enumerate() {
        let mut call = chat_call(name);
        let arguments = call["function"]["arguments"].take();
        call["function"]["arguments"] = json!("");
        events.push(typed("tool-call-start", index, json!({"tool_calls": call})));
        let piece = json!({"tool_calls": {"function": {"arguments": arguments}}});
        events.push(typed("tool-call-delta", index, piece));
        events.push(json!({"type": "tool-call-end", "index": index}));
    }
    events.push(json!({"type": "message-end", "delta": {"finish_reason": finish(say), "usage": usage()}}));
    let mut out: Vec<Vec<u8>> = events.iter().map(event).collect();
    out.push(b"data: [DONE]\n\n".to_vec());
    out
}

fn usage() -> Value {
    let (prompt, cached, output) = USAGE;
    json!({"billed_units": {"input_tokens": prompt, "output_tokens": output},
        "tokens": {"input_tokens": prompt, "output_tokens": output}, "cached_tokens": cached})
}

fn finish(say: &Say) -> &'static str {
    match say.end {
        End::Length => "MAX_TOKENS",
        End::Refusal => "ERROR_TOXIC",
        End::Stop if say.calls.is_empty() => "COMPLETE",
        End::Stop => "TOOL_CALL",
    }
}
