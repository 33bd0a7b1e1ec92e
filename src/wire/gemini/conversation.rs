//! Whole conversations: what a model signs comes back to it through OpenAI's surface, unchanged and in its place.

use serde_json::{Value, json};

use super::*;
use crate::provider::{ModelFacts, Quirks, family};
use crate::units::UnixMillis;
use crate::wire::carried::Carrier;
use crate::wire::{
    Adjusted, Closing, InlinedMedia, Naming, StreamDecoder as _, StreamWriter as _, Target, openai_chat, sse,
};

const MODEL: &str = "gemini-3-flash-preview";

fn naming() -> Naming {
    Naming {
        fallback_id: "chatcmpl-x".into(),
        model: MODEL.into(),
        now: UnixMillis(0),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage: false,
        echo: None,
        carrier: Carrier::default(),
    }
}

/// What the caller reads of a plain answer.
fn plainly(responses: &[Value]) -> Value {
    let whole = Value::Array(responses.to_vec()).to_string();
    let answer = read_answer(whole.as_bytes(), &Quirks::NONE).expect("an answer");
    let written = openai_chat::write_answer(&answer, &naming(), &Closing::default());
    crate::json::from_slice::<Value>(&written).expect("JSON")["choices"][0]["message"].clone()
}

/// What the caller puts together of the same answer as a stream: texts joined, calls by index, details in order.
fn streamed(responses: &[Value]) -> Value {
    let mut decoder = Decoder::new(&Quirks::NONE);
    let mut writer = openai_chat::Writer::new(naming());
    let body: String = responses.iter().map(|response| format!("data: {response}\r\n\r\n")).collect();
    let mut reader = sse::Reader::new(1 << 20);
    reader.feed(body.as_bytes(), &mut |frame| drop(decoder.push(frame, &mut writer))).expect("small events");
    decoder.finish(&mut writer).expect("a finished stream");
    writer.close(&Closing::default());
    let mut out = Vec::new();
    writer.take(&mut out);
    let mut message = json!({"role": "assistant", "content": null});
    for line in String::from_utf8(out).expect("text").lines().filter_map(|line| line.strip_prefix("data: ")) {
        let Ok(chunk) = crate::json::from_str::<Value>(line) else { continue };
        add(&mut message, &chunk["choices"][0]["delta"]);
    }
    message
}

fn add(message: &mut Value, delta: &Value) {
    let joined = |before: &Value, more: &Value| {
        json!(format!("{}{}", before.as_str().unwrap_or_default(), more.as_str().unwrap_or_default()))
    };
    for key in ["content", "reasoning_content"] {
        if delta[key].is_string() {
            message[key] = joined(&message[key], &delta[key]);
        }
    }
    for detail in delta["reasoning_details"].as_array().into_iter().flatten() {
        let details = message.as_object_mut().expect("a message").entry("reasoning_details").or_insert(json!([]));
        let details = details.as_array_mut().expect("an array");
        // Pieces of one detail have its number.
        match details.iter_mut().find(|known| known["index"] == detail["index"]) {
            Some(known) => {
                for key in ["text", "summary", "signature", "data"].into_iter().filter(|key| detail[*key].is_string()) {
                    known[key] = joined(&known[key], &detail[key]);
                }
            }
            None => details.push(detail.clone()),
        }
    }
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let calls = message.as_object_mut().expect("a message").entry("tool_calls").or_insert(json!([]));
        let calls = calls.as_array_mut().expect("an array");
        let at = usize::try_from(call["index"].as_u64().expect("an index")).expect("small");
        if at == calls.len() {
            calls.push(json!({"id": call["id"], "type": "function", "function": {"name": call["function"]["name"]}}));
        }
        let arguments = joined(&calls[at]["function"]["arguments"], &call["function"]["arguments"]);
        calls[at]["function"]["arguments"] = arguments;
    }
}

/// The turns that the model is sent for the caller's messages.
fn turns(messages: &[Value]) -> Value {
    let body = json!({"model": MODEL, "messages": messages}).to_string();
    let request = openai_chat::read_request(body.as_bytes()).expect("a request");
    let mut facts = ModelFacts::default();
    family(MODEL).expect("a family").apply(&mut facts);
    let target = Target { model: MODEL, quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
    let mut adjusted = Adjusted::default();
    let outgoing = write_request(&request, &target, &mut adjusted).expect("a request");
    assert!(adjusted.is_empty(), "{}", adjusted.header());
    crate::json::from_slice::<Value>(&outgoing.body).expect("JSON")["contents"].clone()
}

fn response(parts: Value, finish: bool) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}});
    if finish {
        candidate["finishReason"] = json!("STOP");
    }
    json!({"responseId": "R1", "modelVersion": MODEL, "candidates": [candidate]})
}

fn call(id: &str, place: &str) -> Value {
    json!({"id": id, "name": "get_weather", "args": {"place": place}})
}

/// Three turns: two calls at once, one more call, and an answer whose signature comes on an empty part.
fn conversation(read: impl Fn(&[Value]) -> Value) {
    let mut messages = vec![json!({"role": "user", "content": "Where is it warmer?"})];
    let thought = json!({"text": "Compare both.", "thought": true});
    let first = json!({"functionCall": call("a", "Oslo"), "thoughtSignature": "Zmlyc3Q="});
    let second = json!({"functionCall": call("b", "Rome")});
    messages.push(read(&[response(json!([thought]), false), response(json!([first, second]), true)]));
    for id in ["a", "b"] {
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "71"}));
    }
    let third = json!({"functionCall": call("c", "Rome again"), "thoughtSignature": "c2Vjb25k"});
    messages.push(read(&[response(json!([third]), true)]));
    messages.push(json!({"role": "tool", "tool_call_id": "c", "content": "{\"degrees\":72}"}));
    let sent = turns(&messages);
    assert_eq!(sent[1]["parts"], json!([first, second]), "the thought's summary need not go back");
    assert_eq!(sent[3]["parts"], json!([third]));
    let answer = [response(json!([{"text": "In "}]), false), response(json!([{"text": "Rome."}]), false)];
    let signed = response(json!([{"text": "", "thoughtSignature": "dGhpcmQ="}]), true);
    messages.push(read(&[answer.as_slice(), &[signed]].concat()));
    messages.push(json!({"role": "user", "content": "Sure?"}));
    let sent = turns(&messages);
    assert_eq!(sent[1]["parts"], json!([first, second]));
    assert_eq!(sent[3]["parts"], json!([third]));
    assert_eq!(sent[5]["parts"], json!([{"text": "In Rome.", "thoughtSignature": "dGhpcmQ="}]));
    assert_eq!(sent[6]["parts"], json!([{"text": "Sure?"}]));
}

#[test]
fn signatures_survive_plain_answers() {
    conversation(plainly);
}

#[test]
fn signatures_survive_streams() {
    conversation(streamed);
}
