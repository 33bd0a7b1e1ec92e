//! Chat Completions: <https://platform.openai.com/docs/api-reference/chat/object>.

use serde_json::{Value, json};

use super::{End, Say, THOUGHT, USAGE, chat_call, data, halves};

pub fn plain(say: &Say) -> Value {
    let calls: Vec<Value> = say.calls.iter().map(|name| chat_call(name)).collect();
    let text = if say.text.is_empty() { Value::Null } else { json!(say.text) };
    let mut message = json!({"role": "assistant", "content": text});
    if say.thought {
        message["reasoning_content"] = json!(THOUGHT);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage(),
        "choices": [{"index": 0, "message": message, "finish_reason": finish(say)}]})
}

pub fn frames(say: &Say) -> Vec<Vec<u8>> {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    if say.thought {
        deltas.push(json!({"reasoning_content": THOUGHT}));
    }
    deltas.extend(halves(say.text).map(|piece| json!({"content": piece})));
    for (index, name) in say.calls.iter().enumerate() {
        let mut head = chat_call(name);
        let arguments = head["function"]["arguments"].take();
        head["index"] = json!(index);
        head["function"]["arguments"] = json!("");
        deltas.push(json!({"tool_calls": [head]}));
        deltas.push(json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}));
    }
    let chunk = |choices: Value| json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices});
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut out: Vec<Vec<u8>> = deltas.into_iter().map(|delta| data(&chunk(choice(delta, Value::Null)))).collect();
    out.push(data(&chunk(choice(json!({}), json!(finish(say))))));
    let mut last = chunk(json!([]));
    last["usage"] = usage();
    out.push(data(&last));
    out.push(b"data: [DONE]\n\n".to_vec());
    out
}

fn usage() -> Value {
    let (prompt, cached, output) = USAGE;
    json!({"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached}})
}

fn finish(say: &Say) -> &'static str {
    match say.end {
        End::Length => "length",
        End::Refusal => "content_filter",
        End::Stop if say.calls.is_empty() => "stop",
        End::Stop => "tool_calls",
    }
}
