//! Responses: <https://platform.openai.com/docs/api-reference/responses/object>, its streams:
//! <https://platform.openai.com/docs/api-reference/responses-streaming>.

use serde_json::{Value, json};

use super::{End, SIGNATURE, Say, THOUGHT, USAGE, arguments, event, halves};

pub fn plain(say: &Say) -> Value {
    let (prompt, cached, output) = USAGE;
    let why = match say.end {
        End::Stop => Value::Null,
        End::Length => json!({"reason": "max_output_tokens"}),
        End::Refusal => json!({"reason": "content_filter"}),
    };
    json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "error": null,
        "status": if why.is_null() { "completed" } else { "incomplete" }, "incomplete_details": why,
        "output": items(say),
        "usage": {"input_tokens": prompt, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": prompt + output}})
}

fn items(say: &Say) -> Vec<Value> {
    let mut items = Vec::new();
    if say.thought {
        items.push(json!({"type": "reasoning", "id": "rs_1", "encrypted_content": SIGNATURE,
            "summary": [{"type": "summary_text", "text": THOUGHT}]}));
    }
    if !say.text.is_empty() {
        items.push(json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": say.text, "annotations": []}]}));
    }
    items.extend(say.calls.iter().map(|name| {
        json!({"type": "function_call", "id": format!("fc_{name}"), "call_id": format!("call_{name}"), "name": name,
            "arguments": arguments(name).to_string(), "status": "completed"})
    }));
    items
}

pub fn frames(say: &Say) -> Vec<Vec<u8>> {
    let mut events = vec![(
        "response.created",
        json!({"response": {"id": "resp_1", "object": "response",
        "created_at": 1, "model": "m", "status": "in_progress", "output": []}}),
    )];
    for (index, item) in items(say).into_iter().enumerate() {
        let at = |mut members: Value| {
            members["output_index"] = json!(index);
            members["item_id"] = item["id"].clone();
            members
        };
        events.push(("response.output_item.added", json!({"output_index": index, "item": head(&item)})));
        match item["type"].as_str() {
            Some("reasoning") => {
                let part = json!({"type": "summary_text", "text": ""});
                events.push(("response.reasoning_summary_part.added", at(json!({"summary_index": 0, "part": part}))));
                events
                    .push(("response.reasoning_summary_text.delta", at(json!({"summary_index": 0, "delta": THOUGHT}))));
                events.push(("response.reasoning_summary_text.done", at(json!({"summary_index": 0, "text": THOUGHT}))));
            }
            Some("message") => {
                let part = json!({"type": "output_text", "text": "", "annotations": []});
                events.push(("response.content_part.added", at(json!({"content_index": 0, "part": part}))));
                let piece = |piece| ("response.output_text.delta", at(json!({"content_index": 0, "delta": piece})));
                events.extend(halves(say.text).map(piece));
                events.push(("response.output_text.done", at(json!({"content_index": 0, "text": say.text}))));
            }
            _ => {
                let arguments = &item["arguments"];
                events.push(("response.function_call_arguments.delta", at(json!({"delta": arguments}))));
                events.push(("response.function_call_arguments.done", at(json!({"arguments": arguments}))));
            }
        }
        events.push(("response.output_item.done", json!({"output_index": index, "item": item})));
    }
    let whole = plain(say);
    let last = if whole["status"] == "completed" { "response.completed" } else { "response.incomplete" };
    events.push((last, json!({"response": whole})));
    let numbered = events.into_iter().enumerate().map(|(number, (kind, mut members))| {
        members["type"] = json!(kind);
        members["sequence_number"] = json!(number);
        event(&members)
    });
    numbered.collect()
}

/// An item as it begins.
fn head(item: &Value) -> Value {
    let mut head = item.clone();
    match item["type"].as_str() {
        Some("reasoning") => (head["summary"], head["encrypted_content"]) = (json!([]), Value::Null),
        Some("message") => head["content"] = json!([]),
        _ => head["arguments"] = json!(""),
    }
    head
}
