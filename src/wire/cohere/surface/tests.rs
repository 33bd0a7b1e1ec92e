use serde_json::{Value, json};

use super::*;
use crate::chat::{OutputShape, Part, Role, Source, Tool, ToolChoice};
use crate::json::Raw;
use crate::provider::ModelFacts;
use crate::units::NanoUsd;
use crate::wire::carried;
use crate::wire::{Adjusted, Closing, Cost, RequestPatch};

fn with(content: Value, more: Value) -> String {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

#[test]
fn every_fault_names_its_place() {
    for (body, place) in [
        (with(json!([{"type": "text"}]), json!({})), "messages.0.content.0.text"),
        (with(json!([{"type": "sound"}]), json!({})), "messages.0.content.0.type"),
        (with(json!("hi"), json!({"tool_choice": "auto"})), "tool_choice"),
        (with(json!("hi"), json!({"max_tokens": "x"})), "max_tokens"),
        (with(json!("hi"), json!({"tools": [{"type": "function", "function": {}}]})), "tools.0.function.name"),
        (json!({"messages": [{"role": "critic", "content": "x"}]}).to_string(), "messages.0.role"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}).to_string(), "messages.0.tool_call_id"),
        ("{}".to_owned(), "messages"),
    ] {
        let failure = read_request(body.as_bytes()).expect_err(&body);
        assert_eq!(failure.param.as_deref(), Some(place), "{body}");
    }
    for body in ["", "[]", "{"] {
        assert!(read_request(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_whole_request_is_read() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            ]},
            {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "document", "document": {"id": "0", "data": {"b": 2}}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": "REQUIRED",
        "strict_tools": true,
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "p": 0.5, "k": 0, "stop_sequences": ["x"], "max_tokens": 9,
        "thinking": {"type": "enabled", "token_budget": 100},
        "safety_mode": "STRICT", "documents": [],
    })
    .to_string();
    let request = read_request(body.as_bytes()).expect("a request");
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    assert!(matches!(
        &request.messages[1].parts[1],
        Part::Image { source: Source::Inline { .. }, detail: Some(_), .. }
    ));
    assert!(matches!(&request.messages[2].parts[..], [Part::Reasoning { .. }, Part::ToolCall { .. }]));
    let Part::ToolResult { parts, .. } = &request.messages[3].parts[0] else { panic!("{request:?}") };
    assert!(matches!(&parts[0], Part::Text { text, .. } if text.is("{\"b\":2}")));
    assert!(matches!(&request.tools[..], [Tool::Function { strict: Some(true), .. }]));
    assert!(matches!(request.output, OutputShape::JsonSchema { schema: Some(_), .. }));
    assert_eq!((request.tool_choice, request.max_output_tokens), (Some(ToolChoice::Required), Some(9)));
    assert_eq!(request.sampling.top_k, None, "zero is all of them");
    assert_eq!(request.sampling.top_p.as_ref().map(Raw::get), Some("0.5"));
    assert_eq!(request.reasoning.and_then(|wish| wish.max_tokens), Some(100));
    assert_eq!((request.unsayable.as_slice(), request.untranslatable), (&["safety_mode".into()][..], None));
}

#[test]
fn documents_are_never_lost_in_silence() {
    let body = with(json!("hi"), json!({"documents": ["a"]}));
    assert!(read_request(body.as_bytes()).expect("a request").untranslatable.is_some());
}

#[test]
fn what_is_patched_keeps_the_rest() {
    let facts = ModelFacts::default();
    let patch = RequestPatch {
        model: "command-a",
        stream: false,
        facts: &facts,
        default_max_tokens: Some(7),
        keys: None,
        target: "p/m",
    };
    let body = with(json!("hi"), json!({"documents": ["a"], "provider": {"only": ["cohere"]}}));
    let patched = patch_request(body.as_bytes(), &patch, &mut Adjusted::default()).expect("a request");
    let sent: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
    assert_eq!((&sent["model"], &sent["max_tokens"], sent.get("provider")), (&json!("command-a"), &json!(7), None));
    assert_eq!(sent["documents"], json!(["a"]));
    let cost = Cost { charged: NanoUsd(5), upstream: NanoUsd(5) };
    let closing = Closing { cost: Some(cost), ..Closing::default() };
    let usage = r#"{"billed_units":{"input_tokens":1}}"#;
    let whole = patch_answer(format!(r#"{{"id":"a","usage":{usage}}}"#).as_bytes(), &closing).into_owned();
    let end = patch::patch_end(format!(r#"{{"delta":{{"usage":{usage}}}}}"#).as_bytes(), &closing).into_owned();
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");
    assert!(read(&whole)["usage"]["cost"].is_number() && read(&end)["delta"]["usage"]["cost"].is_number());
}

/// What other models signed travels behind the ids of calls, and goes no further than to them.
#[test]
fn ids_go_to_the_provider_without_what_they_carry() {
    let facts = ModelFacts::default();
    let patch =
        RequestPatch { model: "m", stream: false, facts: &facts, default_max_tokens: None, keys: None, target: "p/m" };
    let carrying = format!("call.1.{}AAAA.{}BBBB", carried::MARK, carried::MARK);
    let call = json!({"id": carrying, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": carrying, "content": "1"}]);
    let body = json!({"model": "x/y", "messages": messages}).to_string();
    let mut adjusted = Adjusted::default();
    let patched = patch_request(body.as_bytes(), &patch, &mut adjusted).expect("a request");
    let sent: Value = serde_json::from_slice(&patched.outgoing.body).expect("JSON");
    let ids = (&sent["messages"][1]["tool_calls"][0]["id"], &sent["messages"][2]["tool_call_id"]);
    assert_eq!((ids, adjusted.header().as_str()), ((&json!("call.1"), &json!("call.1")), "reasoning_details=dropped"));
}

#[test]
fn probabilities_are_refused_where_nobody_could_tell_them() {
    let read = |logprobs: bool| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"logprobs":{logprobs}}}"#);
        read_request(body.as_bytes()).expect("a request").untranslatable.and_then(|failure| failure.param.clone())
    };
    assert_eq!((read(true).as_deref(), read(false)), (Some("logprobs"), None));
}

#[test]
fn a_call_is_waited_for_whatever_word_its_answer_ended_with() {
    let end = crate::chat::EndReason::plain(crate::chat::EndKind::Other);
    assert_eq!((reply::finish_reason(&end, true), reply::finish_reason(&end, false)), ("TOOL_CALL", "COMPLETE"));
}
