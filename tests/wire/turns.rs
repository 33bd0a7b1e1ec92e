//! What a client of each surface makes of an answer, written without the code under test.

use std::collections::BTreeMap;

use latchkey::wire::Surface;
use serde_json::{Value, json};

/// The data of a stream's events.
pub fn events(surface: Surface, text: &str) -> Vec<Value> {
    match surface {
        Surface::OpenAiChat | Surface::OpenAiResponses | Surface::Anthropic | Surface::Gemini | Surface::Cohere => {
            data(text)
        }
        Surface::Bedrock => converse_events(text).map(|(_, data)| data).collect(),
    }
}

fn data(text: &str) -> Vec<Value> {
    let lines = text.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:"));
    let data = lines.map(str::trim).filter(|data| !data.is_empty() && *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}

/// The answer that a client puts together of a stream.
pub fn gathered(surface: Surface, text: &str) -> Value {
    match surface {
        Surface::OpenAiChat => panic!("its tests stand elsewhere"),
        Surface::OpenAiResponses => items(text),
        Surface::Anthropic => message(text),
        Surface::Gemini => response(text),
        Surface::Bedrock => converse(text),
        Surface::Cohere => chat(text),
    }
}

/// As the official SDK does it; blocks have to come one after the other, and none twice.
fn message(text: &str) -> Value {
    let mut message = Value::Null;
    let mut json = String::new();
    let mut open: Option<usize> = None;
    let mut stopped = false;
    for event in data(text) {
        assert!(!stopped, "nothing follows the end: {event}");
        let at = event["index"].as_u64().map(|index| usize::try_from(index).expect("small"));
        match event["type"].as_str().expect("a type") {
            "message_start" => {
                assert!(message.is_null(), "one start");
                message = event["message"].clone();
                assert!(message["usage"]["input_tokens"].is_u64(), "SDKs count on it: {event}");
            }
            "content_block_start" => {
                let content = message["content"].as_array_mut().expect("content");
                assert!(open.is_none() && at == Some(content.len()), "blocks follow one another: {event}");
                content.push(event["content_block"].clone());
                open = at;
                json.clear();
            }
            "content_block_delta" => {
                assert_eq!(open, at, "{event}");
                let block = &mut message["content"][at.expect("an index")];
                let delta = &event["delta"];
                for (key, kind) in [("text", "text_delta"), ("thinking", "thinking_delta")] {
                    if delta["type"] == kind {
                        let said = format!("{}{}", block[key].as_str().unwrap(), delta[key].as_str().unwrap());
                        block[key] = json!(said);
                    }
                }
                if delta["type"] == "signature_delta" {
                    block["signature"] = delta["signature"].clone();
                }
                if delta["type"] == "citations_delta" {
                    append(block, "citations", &delta["citation"]);
                }
                json.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" => {
                assert_eq!(open.take(), at, "{event}");
                let block = &mut message["content"][at.expect("an index")];
                if block["type"] == "tool_use" && !json.is_empty() {
                    block["input"] = serde_json::from_str(&json).unwrap_or(json!({"invalid_json": json}));
                }
            }
            "message_delta" => {
                assert_eq!(open, None, "all blocks have ended");
                for (key, value) in event["delta"].as_object().expect("a delta") {
                    message[key] = value.clone();
                }
                for (key, value) in event["usage"].as_object().expect("usage") {
                    if !value.is_null() {
                        message["usage"][key] = value.clone();
                    }
                }
                beside(&event, &mut message);
            }
            "message_stop" => stopped = true,
            "ping" => {}
            other => panic!("{other}"),
        }
    }
    assert!(stopped && message["stop_reason"].is_string(), "{text}");
    message
}

/// What the gateway says beside the usage.
fn beside(event: &Value, answer: &mut Value) {
    if event["latchkey"].is_object() {
        answer["latchkey"] = event["latchkey"].clone();
    }
}

/// Puts one more into a list of an object.
fn append(object: &mut Value, key: &str, more: &Value) {
    if object[key].is_null() {
        object[key] = json!([]);
    }
    object[key].as_array_mut().expect("a list").push(more.clone());
}

/// As the official SDK does it: items and their parts grow by deltas, and the last event has to say the same again.
///
/// What a provider's own tools do is told by events of other kinds, which change nothing here.
fn items(text: &str) -> Value {
    let mut output: Vec<Value> = Vec::new();
    let mut whole = Value::Null;
    for (number, event) in data(text).into_iter().enumerate() {
        assert!(whole.is_null(), "nothing follows the end: {event}");
        if !event["sequence_number"].is_null() {
            assert_eq!(event["sequence_number"], json!(number), "{event}");
        }
        let at = usize::try_from(event["output_index"].as_u64().unwrap_or(0)).expect("small");
        let kind = event["type"].as_str().expect("a type");
        assert!(number > 0 || kind == "response.created", "it begins with {kind}");
        let grow = |field: &mut Value| {
            let said = format!("{}{}", field.as_str().expect("a string"), event["delta"].as_str().expect("a delta"));
            *field = json!(said);
        };
        match kind {
            "response.output_item.added" => {
                assert_eq!(at, output.len(), "items follow one another: {event}");
                output.push(event["item"].clone());
            }
            "response.content_part.added" => {
                output[at]["content"].as_array_mut().expect("parts").push(event["part"].clone());
            }
            "response.reasoning_summary_part.added" => {
                output[at]["summary"].as_array_mut().expect("parts").push(event["part"].clone());
            }
            "response.output_text.delta" | "response.reasoning_text.delta" => {
                grow(&mut output[at]["content"][part(&event, "content_index")]["text"])
            }
            "response.refusal.delta" => grow(&mut output[at]["content"][part(&event, "content_index")]["refusal"]),
            "response.reasoning_summary_text.delta" => {
                grow(&mut output[at]["summary"][part(&event, "summary_index")]["text"]);
            }
            "response.function_call_arguments.delta" => grow(&mut output[at]["arguments"]),
            "response.custom_tool_call_input.delta" => grow(&mut output[at]["input"]),
            "response.output_item.done" => {
                let item = &event["item"];
                let is_call =
                    item["type"].as_str().is_some_and(|kind| kind.ends_with("n_call") || kind == "custom_tool_call");
                for key in ["arguments", "input"].into_iter().filter(|_| is_call) {
                    // A call without arguments may be told so only now.
                    assert!(output[at][key] == item[key] || output[at][key] == "", "{event}");
                }
                for (list, text) in [("content", "text"), ("content", "refusal"), ("summary", "text")] {
                    let told = item[list].as_array().into_iter().flatten();
                    for (before, after) in output[at][list].as_array().into_iter().flatten().zip(told) {
                        assert_eq!(before[text], after[text], "{event}");
                    }
                }
                output[at] = item.clone();
            }
            "response.completed" | "response.incomplete" => whole = event["response"].clone(),
            _ => {}
        }
    }
    assert!(whole.is_object(), "{text}");
    // Some leave the items out of the end; some encrypt what was thought anew for it (`azure.responses-stream.a226e7d229`).
    let told = whole["output"].as_array().cloned().unwrap_or_default();
    for (before, after) in output.iter().zip(&told) {
        for key in ["type", "content", "summary", "arguments", "call_id", "name"] {
            assert_eq!(before[key], after[key], "{text}");
        }
    }
    assert!(told.is_empty() || told.len() == output.len(), "{text}");
    whole["output"] = Value::Array(output);
    whole
}

fn part(event: &Value, key: &str) -> usize {
    usize::try_from(event[key].as_u64().unwrap_or(0)).expect("small")
}

/// As clients do it: the parts of all objects, one after the other; usage and the end are the last object's.
fn response(text: &str) -> Value {
    let mut parts = Vec::new();
    let objects = data(text);
    for object in &objects {
        let candidates = object["candidates"].as_array().into_iter().flatten();
        let first = candidates.filter(|candidate| candidate["index"].as_u64().unwrap_or(0) == 0);
        parts.extend(first.flat_map(|candidate| candidate["content"]["parts"].as_array().cloned().unwrap_or_default()));
    }
    let last = objects.last().expect("an object");
    let usage = objects.iter().rev().find(|object| object["usageMetadata"].is_object());
    let mut response = last.clone();
    response["usageMetadata"] = usage.map(|object| object["usageMetadata"].clone()).unwrap_or_default();
    let mut candidate = last["candidates"][0].clone();
    candidate["content"] = json!({"role": "model", "parts": parts});
    response["candidates"] = json!([candidate]);
    response
}

/// What a caller got, as text: binary messages are a line each, name and payload.
pub fn shown(surface: Surface, bytes: Vec<u8>) -> String {
    if surface != Surface::Bedrock {
        return String::from_utf8(bytes).expect("text");
    }
    super::expected::aws_events(&bytes).into_iter().map(|(name, data)| format!("{name} {data}\n")).collect()
}

/// As the SDK's events are put together: contents and calls by their numbers.
fn chat(text: &str) -> Value {
    let (mut content, mut calls, mut answer) = (Vec::<Value>::new(), Vec::<Value>::new(), json!({}));
    let (mut plan, mut citations) = (Value::Null, Vec::new());
    let append = |place: &mut Value, more: &Value| {
        *place = json!(format!("{}{}", place.as_str().unwrap_or_default(), more.as_str().unwrap_or_default()));
    };
    for event in data(text) {
        let message = &event["delta"]["message"];
        let at = event["index"].as_u64().map_or(0, |index| usize::try_from(index).expect("small"));
        match event["type"].as_str().expect("a type") {
            "message-start" => answer["id"] = event["id"].clone(),
            "content-start" => {
                assert_eq!(at, content.len(), "{event}");
                content.push(message["content"].clone());
            }
            "content-delta" => {
                for key in ["text", "thinking"] {
                    if message["content"][key].is_string() {
                        append(&mut content[at][key], &message["content"][key]);
                    }
                }
            }
            "tool-call-start" => {
                assert_eq!(at, calls.len(), "{event}");
                calls.push(message["tool_calls"].clone());
            }
            "tool-call-delta" => {
                append(&mut calls[at]["function"]["arguments"], &message["tool_calls"]["function"]["arguments"]);
            }
            "message-end" => {
                answer["finish_reason"] = event["delta"]["finish_reason"].clone();
                answer["usage"] = event["delta"]["usage"].clone();
                beside(&event, &mut answer);
            }
            "tool-plan-delta" => append(&mut plan, &message["tool_plan"]),
            "citation-start" => citations.push(message["citations"].clone()),
            "content-end" | "tool-call-end" | "citation-end" => {}
            other => panic!("{other}"),
        }
    }
    assert!(answer["finish_reason"].is_string() && text.ends_with("data: [DONE]\n\n"), "{text}");
    answer["message"] = json!({"role": "assistant", "content": content, "tool_calls": calls, "citations": citations});
    if plan.is_string() {
        answer["message"]["tool_plan"] = plan;
    }
    answer
}

fn converse_events(text: &str) -> impl Iterator<Item = (&str, Value)> {
    text.lines().map(|line| {
        let (name, data) = line.split_once(' ').expect("name and payload");
        (name, serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")))
    })
}

/// As clients do it: blocks by their number, each begun before its deltas where it is a call.
fn converse(text: &str) -> Value {
    let (mut blocks, mut answer) = (BTreeMap::<u64, Value>::new(), json!({}));
    let mut inputs = BTreeMap::<u64, String>::new();
    for (name, event) in converse_events(text) {
        assert!(answer["usage"].is_null(), "nothing follows the end: {event}");
        let index = event["contentBlockIndex"].as_u64();
        match name {
            "messageStart" => assert_eq!(event["role"], "assistant"),
            "contentBlockStart" => {
                let index = index.expect("an index");
                assert!(blocks.insert(index, event["start"].clone()).is_none(), "begun once");
                inputs.insert(index, String::new());
            }
            "contentBlockDelta" => {
                let index = index.expect("an index");
                let delta = &event["delta"];
                if let Some(piece) = delta["toolUse"]["input"].as_str() {
                    inputs.get_mut(&index).expect("a call that has begun").push_str(piece);
                } else {
                    let block = blocks.entry(index).or_insert_with(|| json!({}));
                    add(block, delta);
                }
            }
            "contentBlockStop" => {
                let index = index.expect("an index");
                if let Some(input) = inputs.remove(&index) {
                    let block = &mut blocks.get_mut(&index).expect("a block")["toolUse"];
                    block["input"] = serde_json::from_str(&input).unwrap_or(json!({"invalid_json": input}));
                }
                // Words with sources are a block of their own kind.
                if let Some(block) = blocks.get_mut(&index).filter(|block| block["citations"].is_array()) {
                    let (text, citations) = (block["text"].take(), block["citations"].take());
                    *block = json!({"citationsContent": {"content": [{"text": text}], "citations": citations}});
                }
            }
            "messageStop" => answer["stopReason"] = event["stopReason"].clone(),
            // Of a kind that SDKs pass by.
            "ping" => {}
            "metadata" => {
                for (key, value) in event.as_object().expect("metadata") {
                    answer[key] = value.clone();
                }
            }
            other => panic!("{other}"),
        }
    }
    assert!(answer["stopReason"].is_string() && answer["usage"].is_object(), "{text}");
    answer["output"] = json!({"message": {"role": "assistant", "content": blocks.into_values().collect::<Vec<_>>()}});
    answer
}

/// Adds a delta to a block, which has the members that a whole one would have.
fn add(block: &mut Value, delta: &Value) {
    if let Some(text) = delta["text"].as_str() {
        block["text"] = json!(format!("{}{text}", block["text"].as_str().unwrap_or_default()));
    }
    let reasoning = &delta["reasoningContent"];
    if let Some(text) = reasoning["text"].as_str() {
        let shown = &mut block["reasoningContent"]["reasoningText"]["text"];
        *shown = json!(format!("{}{text}", shown.as_str().unwrap_or_default()));
    }
    if reasoning["signature"].is_string() {
        block["reasoningContent"]["reasoningText"]["signature"] = reasoning["signature"].clone();
        block["reasoningContent"]["reasoningText"]["text"]
            .as_str()
            .is_none()
            .then(|| block["reasoningContent"]["reasoningText"]["text"] = json!(""));
    }
    if reasoning["redactedContent"].is_string() {
        block["reasoningContent"] = json!({"redactedContent": reasoning["redactedContent"]});
    }
    if delta["citation"].is_object() {
        append(block, "citations", &delta["citation"]);
    }
    if delta["image"].is_object() {
        block["image"] = delta["image"].clone();
    }
}

/// The request in which the caller sends an answer back as a turn.
pub fn next_turn(surface: Surface, answer: &Value) -> Value {
    match surface {
        Surface::OpenAiChat => panic!("its tests stand elsewhere"),
        Surface::OpenAiResponses => {
            let mut input = vec![json!({"role": "user", "content": "?"})];
            input.extend(answer["output"].as_array().expect("items").iter().cloned());
            json!({"model": "m", "input": input})
        }
        Surface::Anthropic => {
            let answer = json!({"role": "assistant", "content": answer["content"]});
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}, answer]})
        }
        Surface::Cohere => {
            json!({"model": "m", "messages": [{"role": "user", "content": "?"}, answer["message"]]})
        }
        Surface::Bedrock => {
            let question = json!({"role": "user", "content": [{"text": "?"}]});
            json!({"messages": [question, answer["output"]["message"]]})
        }
        Surface::Gemini => {
            let question = json!({"role": "user", "parts": [{"text": "?"}]});
            json!({"contents": [question, answer["candidates"][0]["content"]]})
        }
    }
}

/// Fresh input, read from cache, written to cache, all output.
pub fn usage(surface: Surface, answer: &Value) -> [u64; 4] {
    let of = |object: &Value, key: &str| object[key].as_u64().unwrap_or(0);
    match surface {
        Surface::OpenAiChat => panic!("its tests stand elsewhere"),
        Surface::Gemini => {
            let of = |key: &str| of(&answer["usageMetadata"], key);
            let cached = of("cachedContentTokenCount");
            let input = of("promptTokenCount") + of("toolUsePromptTokenCount");
            // Early answers count the candidates by the total alone.
            let output = of("totalTokenCount").saturating_sub(input);
            [input.saturating_sub(cached), cached, 0, output]
        }
        Surface::OpenAiResponses => {
            let usage = &answer["usage"];
            let details = &usage["input_tokens_details"];
            let (cached, written) = (of(details, "cached_tokens"), of(details, "cache_write_tokens"));
            let either = |new: &str, old: &str| of(usage, new).max(of(usage, old));
            let fresh = either("input_tokens", "prompt_tokens") - cached - written;
            [fresh, cached, written, either("output_tokens", "completion_tokens")]
        }
        Surface::Cohere => {
            let billed = &answer["usage"]["billed_units"];
            [of(billed, "input_tokens"), 0, 0, of(billed, "output_tokens")]
        }
        Surface::Bedrock => ["inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens"]
            .map(|key| of(&answer["usage"], key)),
        Surface::Anthropic => {
            ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
                .map(|key| of(&answer["usage"], key))
        }
    }
}

/// Takes out what the gateway adds to an event.
pub fn without_cost(event: &mut Value) {
    if event["response"]["usage"].is_object() {
        without_cost(&mut event["response"]);
    }
    for key in ["usage", "usageMetadata"] {
        if let Some(usage) = event.get_mut(key).and_then(Value::as_object_mut) {
            usage.remove("cost");
            usage.remove("cost_details");
        }
    }
}

/// Checks that a client sees an error and no end.
pub fn assert_broken(surface: Surface, text: &str, id: &str) {
    match surface {
        Surface::OpenAiChat => panic!("its tests stand elsewhere"),
        Surface::OpenAiResponses => {
            let events = data(text);
            let [.., told, last] = events.as_slice() else { panic!("{id}: {text}") };
            assert_eq!((&told["type"], &last["type"]), (&json!("error"), &json!("response.failed")), "{id}: {text}");
            assert!(told["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{id}");
            assert_eq!(last["response"]["status"], "failed", "{id}");
            let ends = ["response.completed", "response.incomplete"];
            assert!(events.iter().all(|event| !ends.iter().any(|end| event["type"] == **end)), "{id}: {text}");
        }
        Surface::Anthropic => {
            let events = data(text);
            let last = events.last().unwrap_or_else(|| panic!("{id}: nothing at all"));
            assert_eq!(last["type"], "error", "{id}: {text}");
            assert!(last["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{id}");
            assert!(events.iter().all(|event| event["type"] != "message_stop"), "{id}: {text}");
        }
        Surface::Cohere => {
            let events = data(text);
            let last = events.last().unwrap_or_else(|| panic!("{id}: nothing at all"));
            assert!(last["delta"]["error"].as_str().is_some_and(|message| !message.is_empty()), "{id}: {text}");
            assert!(
                !text.contains("data: [DONE]") && events.iter().all(|event| event["delta"]["usage"].is_null()),
                "{id}"
            );
        }
        Surface::Bedrock => {
            let events: Vec<(&str, Value)> = converse_events(text).collect();
            let (last, payload) = events.last().unwrap_or_else(|| panic!("{id}: nothing at all"));
            assert!(last.starts_with("exception:"), "{id}: {text}");
            assert!(payload["message"].as_str().is_some_and(|message| !message.is_empty()), "{id}");
            assert!(events.iter().all(|(name, _)| *name != "messageStop"), "{id}: {text}");
        }
        Surface::Gemini => {
            let objects = data(text);
            let last = objects.last().unwrap_or_else(|| panic!("{id}: nothing at all"));
            assert!(last["error"]["code"].as_u64().is_some_and(|code| code >= 400), "{id}: {text}");
            assert!(objects.iter().all(|object| object["candidates"][0]["finishReason"].is_null()), "{id}: {text}");
        }
    }
}
