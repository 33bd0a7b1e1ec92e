//! Requests as the server wants them.

use serde_json::{Value, json};

use super::write_request;
use crate::failure::{Failure, Kind};
use crate::provider::{ModelFacts, Quirks};
use crate::wire::openai_chat::read_request;
use crate::wire::{Adjusted, InlinedMedia, InlinedPart, Target};

fn sent(request: &Value) -> Result<(Value, String), Failure> {
    let body = request.to_string();
    let read = read_request(body.as_bytes())?;
    let inlined = InlinedMedia::from([(
        "https://a.example/cat.png".to_owned(),
        InlinedPart { media_type: "image/png".to_owned(), data: "AAAA".to_owned() },
    )]);
    let facts = ModelFacts::default();
    let target = Target { model: "qwen3:4b", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let mut adjusted = Adjusted::default();
    let outgoing = write_request(&read, &target, &mut adjusted)?;
    assert_eq!(outgoing.path, "/api/chat");
    Ok((serde_json::from_slice(&outgoing.body).expect("JSON"), adjusted.header()))
}

#[test]
fn a_conversation_with_pictures_thoughts_calls_and_results() {
    let (body, adjusted) = sent(&json!({
        "model": "m", "stream": true, "max_tokens": 9, "temperature": 0.5, "stop": ["END"], "reasoning_effort": "low",
        "options": {"num_ctx": 32_768, "temperature": 0.1}, "keep_alive": "10m", "top_k": 4, "seed": 7,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": "https://a.example/cat.png"}}]},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "blue"},
        ],
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    }))
    .expect("a request");
    assert_eq!(
        body,
        json!({
            "model": "qwen3:4b", "stream": true, "keep_alive": "10m",
            "messages": [
                {"role": "user", "content": "Look.", "images": ["AAAA"]},
                {"role": "assistant", "content": "", "thinking": "hm",
                    "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"at": 1}}}]},
                {"role": "tool", "content": "blue", "tool_name": "look", "tool_call_id": "c1"},
            ],
            "tools": [{"type": "function",
                "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}],
            "format": {"type": "object"},
            "think": "low",
            "options": {"num_ctx": 32_768, "temperature": 0.1, "top_k": 4, "seed": 7, "num_predict": 9, "stop": ["END"]},
        })
    );
    assert_eq!(adjusted, "");
}

#[test]
fn a_result_is_of_the_call_before_it_where_ids_come_again() {
    let call = |name: &str| {
        let function = json!({"name": name, "arguments": "{}"});
        json!({"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]})
    };
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "ok"});
    let turns = json!([{"role": "user", "content": "a"}, call("look"), result, call("feel"), result]);
    let (body, _) = sent(&json!({"model": "m", "messages": turns})).expect("a request");
    let named = |at: usize| body["messages"][at]["tool_name"].clone();
    assert_eq!((named(2), named(4)), (json!("look"), json!("feel")));
}

#[test]
fn a_demanded_call_is_asked_for_in_words() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}],
        "tools": [tool("a"), tool("b")], "tool_choice": {"type": "function", "function": {"name": "b"}}});
    let (body, adjusted) = sent(&request).expect("a request");
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["messages"][1]["content"], "Call the tool `b` now, before anything else.");
    assert_eq!(adjusted, "tool_choice=changed");
    request["tool_choice"] = json!("none");
    assert_eq!(sent(&request).expect("a request").0["tools"], Value::Null);
}

#[test]
fn thinking_is_switched_and_graded() {
    let think = |reasoning: Value| {
        let request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "reasoning": reasoning});
        sent(&request).expect("a request").0["think"].clone()
    };
    assert_eq!(think(json!({"effort": "none"})), json!(false));
    assert_eq!(think(json!({"effort": "xhigh"})), json!("high"));
    assert_eq!(think(json!({"enabled": true})), json!(true));
    assert_eq!(think(json!({})), Value::Null);
}

#[test]
fn what_would_do_harm_is_refused() {
    for (member, value) in [("n", json!(2)), ("logprobs", json!(true)), ("web_search_options", json!({}))] {
        let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
        request[member] = value;
        let failure = sent(&request).expect_err(member);
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Unsupported, Some(member)));
    }
}

#[test]
fn calls_without_ids_get_some_that_stay_apart() {
    let body = br#"{"model":"m","created_at":"2026-08-04T19:59:20.445769Z","done":true,"message":{"tool_calls":[
        {"function":{"name":"a","arguments":{}}},{"function":{"name":"b"}}]}}"#;
    let answer = super::read_answer(body, &Quirks::NONE).expect("an answer");
    let ids: Vec<String> = answer.choices[0]
        .parts
        .iter()
        .filter_map(|part| match part {
            crate::chat::Part::ToolCall { id, .. } => Some(id.decode().into_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["call_20260804195920445769_0", "call_20260804195920445769_1"]);
}
