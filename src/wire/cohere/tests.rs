//! Requests as version 2 wants them.

use serde_json::{Value, json};

use super::write_request;
use crate::failure::{Failure, Kind};
use crate::provider::{Capabilities, ModelFacts, Quirks};
use crate::wire::openai_chat::{read_embeddings_request, read_request};
use crate::wire::{Adjusted, Format, InlinedMedia, Target};

fn sent(request: &Value) -> Result<(Value, String), Failure> {
    let body = request.to_string();
    let read = read_request(body.as_bytes())?;
    let facts = ModelFacts { capabilities: Some(Capabilities(Capabilities::REASONING)), ..ModelFacts::default() };
    let target = Target { model: "command-a", quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
    let mut adjusted = Adjusted::default();
    let outgoing = write_request(&read, &target, &mut adjusted)?;
    assert_eq!(outgoing.path, "/v2/chat");
    Ok((serde_json::from_slice(&outgoing.body).expect("JSON"), adjusted.header()))
}

#[test]
fn a_conversation_with_a_plan_calls_and_results() {
    let (body, adjusted) = sent(&json!({
        "model": "m", "max_tokens": 9, "temperature": 1.5, "top_p": 1, "top_k": 5, "stop": "END", "seed": 3,
        "reasoning_effort": "low", "tool_choice": "required",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]},
            {"role": "assistant", "content": null, "reasoning_content": "I will look.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "blue"},
        ],
        "tools": [{"type": "function", "function": {"name": "look"}}],
    }))
    .expect("a request");
    assert_eq!(
        body,
        json!({
            "model": "command-a", "stream": false,
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
                {"role": "user", "content": [{"type": "text", "text": "Look."},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]},
                {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "blue"},
            ],
            "tools": [{"type": "function",
                "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}],
            "tool_choice": "REQUIRED",
            "max_tokens": 9, "temperature": 1, "k": 5, "seed": 3, "stop_sequences": ["END"],
            "thinking": {"type": "enabled", "token_budget": 2048},
        })
    );
    assert_eq!(adjusted, "temperature=clamped");
}

#[test]
fn pictures_of_results_are_shown_by_the_user_behind_them() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let (body, adjusted) = sent(&json!({"model": "m", "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call("1"), call("2")]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "one"}, picture]},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
    ]}))
    .expect("a request");
    let messages = body["messages"].as_array().expect("messages");
    assert_eq!((messages.len(), &messages[2]["content"], adjusted.as_str()), (5, &json!("one"), ""));
    assert_eq!(messages[4], json!({"role": "user", "content": [picture]}));
}

#[test]
fn one_tool_is_demanded_by_leaving_the_others_out() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let (body, _) = sent(&json!({"model": "m", "messages": [{"role": "user", "content": "a"}],
        "tools": [tool("a"), tool("b")], "tool_choice": {"type": "function", "function": {"name": "b"}}}))
    .expect("a request");
    let names: Vec<&Value> = body["tools"].as_array().expect("tools").iter().map(|t| &t["function"]["name"]).collect();
    assert_eq!((names, &body["tool_choice"]), (vec![&json!("b")], &json!("REQUIRED")));
}

#[test]
fn a_schema_stands_beside_the_type() {
    let shape = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "response_format": shape,
        "documents": [{"data": {"text": "t"}}]});
    let (body, _) = sent(&request).expect("a request");
    assert_eq!(body["response_format"], json!({"type": "json_object", "json_schema": {"type": "object"}}));
    assert_eq!(body["documents"], json!([{"data": {"text": "t"}}]));
    request["tools"] = json!([{"type": "function", "function": {"name": "look"}}]);
    let failure = sent(&request).expect_err("not both");
    assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Unsupported, Some("response_format")));
}

#[test]
fn tokens_of_embeddings_may_be_spelled_as_other_numbers_are() {
    let body = br#"{"embeddings":{"float":[[0.5]]},"meta":{"billed_units":{"input_tokens":26.0}}}"#;
    let answer = super::read_embeddings(body).expect("an answer");
    assert_eq!(answer.usage.map(|usage| usage.input_fresh), Some(26));
}

#[test]
fn embeddings_say_what_they_are_for() {
    let body = br#"{"model":"m","input":["a","b"],"dimensions":256,"input_type":"search_query"}"#;
    let request = read_embeddings_request(body).expect("a request");
    let facts = ModelFacts::default();
    let target = Target { model: "embed-v4.0", quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
    let written = Format::Cohere.write_embeddings(&request, &target, &mut Adjusted::default()).expect("written");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    assert_eq!(
        body,
        json!({"model": "embed-v4.0", "texts": ["a", "b"], "input_type": "search_query",
            "embedding_types": ["float"], "output_dimension": 256})
    );
}
