use super::*;
use crate::chat::{EndKind, Event, Fold, Part};
use crate::failure::Kind;
use crate::json::Raw;
use crate::provider::{Capabilities, ModelFacts, Quirks};
use crate::wire::sse::Frame;
use crate::wire::{Adjusted, InlinedMedia, StreamDecoder, openai_chat};

fn written(body: &str, facts: &ModelFacts, quirks: &Quirks) -> (serde_json::Value, String) {
    let request = openai_chat::read_request(body.as_bytes()).unwrap();
    let (inlined, mut adjusted) = (InlinedMedia::new(), Adjusted::default());
    let target = Target { model: "m", quirks, facts, inlined: &inlined };
    let made = write_request(&request, &target, &mut adjusted).unwrap();
    assert_eq!(made.path, PATH);
    (serde_json::from_slice(&made.body).unwrap(), adjusted.header())
}

#[test]
fn a_conversation_becomes_items_and_nothing_is_kept_unasked() {
    let body = r#"{"model":"m","messages":[
        {"role":"developer","content":"Be brief."},
        {"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"https://x.example/a.png","detail":"low"}}]},
        {"role":"assistant","content":"I look.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"A cat."}],
        "tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}],
        "tool_choice":{"type":"function","function":{"name":"look"}},"max_tokens":3,"seed":1,
        "response_format":{"type":"json_schema","json_schema":{"name":"cat","schema":{"type":"object"},"strict":true}},
        "web_search_options":{"user_location":{"type":"approximate","approximate":{"country":"FR"}}}}"#;
    let (made, adjusted) = written(body, &ModelFacts::default(), &Quirks::NONE);
    assert_eq!(
        made,
        serde_json::json!({
            "model": "m",
            "input": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"}]},
                {"role": "assistant", "content": "I look."},
                {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "A cat."}],
            "tools": [
                {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": false},
                {"type": "web_search", "user_location": {"type": "approximate", "country": "FR"}}],
            "tool_choice": {"type": "function", "name": "look"},
            "text": {"format": {"type": "json_schema", "name": "cat", "strict": true, "schema": {"type": "object"}}},
            "max_output_tokens": 16,
            "store": false,
        })
    );
    assert_eq!(adjusted, "seed=dropped, max_tokens=clamped");
}

#[test]
fn what_a_model_thought_goes_back_to_its_maker_alone() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes","reasoning_details":[
        {"type":"reasoning.summary","summary":"hm","format":"openai-responses-v1","index":0},
        {"type":"reasoning.encrypted","data":"gAAA","id":"rs_1","format":"openai-responses-v1","index":0},
        {"type":"reasoning.text","text":"no","signature":"EqQB","format":"anthropic-claude-v1","index":1}]},
        {"role":"user","content":"And?"}],"reasoning":{"enabled":true,"effort":"low"}}"#;
    let facts = ModelFacts { capabilities: Some(Capabilities(Capabilities::REASONING)), ..ModelFacts::default() };
    let (made, adjusted) = written(body, &facts, &Quirks::NONE);
    assert_eq!(
        made["input"][1],
        serde_json::json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": "hm"}]})
    );
    assert_eq!(made["include"], serde_json::json!(["reasoning.encrypted_content"]));
    assert_eq!(made["reasoning"], serde_json::json!({"effort": "low", "summary": "auto"}));
    assert_eq!((made["input"].as_array().unwrap().len(), adjusted.as_str()), (4, "reasoning_details=dropped"));
    let elsewhere = Quirks { signed: "xai-responses-v1", ..Quirks::NONE };
    let (made, _) = written(body, &facts, &elsewhere);
    assert_eq!(made["input"].as_array().unwrap().len(), 3, "neither can be read there");
}

#[test]
fn a_place_to_stop_is_refused_and_ids_are_kept_short() {
    let request = openai_chat::read_request(br#"{"model":"m","messages":[{"role":"user","content":"x"}],"stop":"."}"#);
    let (inlined, mut adjusted) = (InlinedMedia::new(), Adjusted::default());
    let facts = ModelFacts::default();
    let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let failure = write_request(&request.unwrap(), &target, &mut adjusted).unwrap_err();
    assert_eq!(failure.param.as_deref(), Some("stop"));

    let long = "x".repeat(80);
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{{"id":"{long}","type":"function","function":{{"name":"f","arguments":""}}}}]}},{{"role":"tool","tool_call_id":"{long}","content":""}}]}}"#
    );
    let (made, _) = written(&body, &facts, &Quirks::NONE);
    let (call, result) = (&made["input"][0], &made["input"][1]);
    assert_eq!(call["call_id"], result["call_id"]);
    assert!(call["call_id"].as_str().unwrap().len() <= 64, "{call}");
    assert_eq!((call["arguments"].as_str(), result["output"].as_str()), (Some("{}"), Some("")));
}

#[test]
fn the_end_user_of_a_coding_agent_is_named_within_the_length_that_is_taken() {
    let user = format!("user_{}_account_{}_session_{}", "a".repeat(64), "b".repeat(36), "c".repeat(36));
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"user":"{user}"}}"#);
    let (made, adjusted) = written(&body, &ModelFacts::default(), &Quirks::NONE);
    assert!(made["user"].as_str().is_some_and(|name| name.len() <= 64), "{made}");
    assert_eq!(adjusted, "user=changed");
    let (again, _) = written(&body, &ModelFacts::default(), &Quirks::NONE);
    assert_eq!(made["user"], again["user"], "the same every time");
}

fn streamed(events: &[&str]) -> (Fold, Vec<String>) {
    let (mut decoder, mut fold, mut log) = (Decoder::new(&Quirks::NONE), Fold::new(), Vec::new());
    for data in events {
        let frame = Frame { event: b"", data: data.as_bytes().into(), raw: b"" };
        decoder.push(&frame, &mut |event: Event<'_>| {
            log.push(format!("{event:?}"));
            crate::chat::Sink::event(&mut fold, event);
        });
    }
    (fold, log)
}

#[test]
fn free_text_for_a_tool_is_an_argument() {
    let (fold, _) = streamed(&[
        r#"{"type":"response.created","response":{"id":"r"}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"custom_tool_call","call_id":"c","name":"patch","input":""}}"#,
        r#"{"type":"response.custom_tool_call_input.delta","output_index":0,"delta":"say \"hi\"\n"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"custom_tool_call","call_id":"c","name":"patch","input":"say \"hi\"\n"}}"#,
        r#"{"type":"response.completed","response":{"status":"completed"}}"#,
    ]);
    let answer = fold.finish().unwrap();
    let [Part::ToolCall { arguments, .. }] = answer.choices[0].parts.as_slice() else { panic!("{answer:?}") };
    let object: serde_json::Value = arguments.object().unwrap().read().unwrap();
    assert_eq!(object, serde_json::json!({"input": "say \"hi\"\n"}));
}

#[test]
fn an_end_that_tells_everything_at_once_is_enough() {
    let body = r#"{"status":"completed","output":[{"type":"reasoning","id":"rs","summary":[{"text":"a"},{"text":"b"}],"encrypted_content":"gAAA"},
        {"type":"message","content":[{"type":"output_text","text":"Hi","annotations":[{"type":"url_citation","url":"https://x.example"}]}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":""}]}"#;
    let (fold, _) = streamed(&[&format!(r#"{{"type":"response.completed","response":{body}}}"#)]);
    let (from_stream, plain) = (fold.finish().unwrap(), read_answer(body.as_bytes(), &Quirks::NONE).unwrap());
    assert_eq!(plain.choices[0].parts.len(), 3);
    let shown = |answer: &crate::chat::Answer<'_>| {
        let parts = answer.choices[0].parts.iter();
        parts
            .map(|part| match part {
                Part::ToolCall { arguments, .. } => arguments.object().unwrap().get().to_owned(),
                part => format!("{part:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&from_stream), shown(&plain));
    assert_eq!(Raw::EMPTY_OBJECT.get(), shown(&plain)[2]);
}

#[test]
fn what_is_billed_beside_the_tokens_is_counted() {
    let items = r#"{"type":"web_search_call","action":{"type":"search","query":"x"}},
        {"type":"web_search_call","action":{"type":"open_page","url":"https://x.example"}},
        {"type":"web_search_call","action":{"type":"find_in_page"}},{"type":"web_search_call"},
        {"type":"code_interpreter_call","code":"1"},{"type":"mcp_call"}"#;
    let told = r#","tool_usage":{"image_gen":{"total_tokens":0},"web_search":{"num_requests":1}}"#;
    for (told, requests) in [("", Some(3)), (told, Some(2))] {
        let body = format!(
            r#"{{"status":"completed","output":[{items}],"usage":{{"input_tokens":1,"output_tokens":1}}{told}}}"#
        );
        let plain = read_answer(body.as_bytes(), &Quirks::NONE).unwrap();
        let (fold, _) = streamed(&[&format!(r#"{{"type":"response.completed","response":{body}}}"#)]);
        let streamed = fold.finish().unwrap();
        let counted = [plain, streamed].map(|answer| answer.usage.unwrap().tool_requests);
        assert_eq!(counted, [requests, requests], "{told}");
    }
}

#[test]
fn an_answer_that_failed_by_the_callers_doing_is_not_the_providers_fault() {
    for (code, kind) in [
        ("context_length_exceeded", Kind::ContextLength),
        ("invalid_prompt", Kind::ContentFiltered),
        ("bio_policy", Kind::ContentFiltered),
        ("image_parse_error", Kind::BadRequest),
        ("invalid_base64_image", Kind::BadRequest),
        ("image_content_policy_violation", Kind::ContentFiltered),
        ("server_error", Kind::Unavailable),
        ("vector_store_timeout", Kind::Unavailable),
    ] {
        let failed = format!(
            r#"{{"type":"response.failed","response":{{"status":"failed","error":{{"code":"{code}","message":"No."}}}}}}"#
        );
        let (fold, _) = streamed(&[&failed]);
        assert_eq!(fold.finish().unwrap_err().kind, kind, "{code}");
    }
}

/// What broke off is no clean end, however little its last event says.
#[test]
fn an_answer_ends_the_way_that_its_last_event_is_named_for() {
    let ended = |name: &str, response: &str| {
        let last = format!(r#"{{"type":"response.{name}","response":{response}}}"#);
        streamed(&[r#"{"type":"response.output_text.delta","output_index":0,"delta":"Hi"}"#, &last]).0.finish()
    };
    let kind = |name: &str, response: &str| ended(name, response).unwrap().choices.remove(0).end.kind;
    for response in ["{}", r#"{"status":"in_progress"}"#, r#"{"status":"completed"}"#] {
        assert!(ended("failed", response).is_err(), "{response}");
        assert_eq!(kind("incomplete", response), EndKind::Length, "{response}");
        assert_eq!(kind("cancelled", response), EndKind::Error, "{response}");
    }
    assert_eq!(kind("completed", "{}"), EndKind::Stop);
    let cut = r#"{"status":"incomplete","incomplete_details":{"reason":"max_time"},"output":[]}"#;
    assert_eq!(kind("completed", cut), EndKind::Length, "where the status says more than the name");
    assert_eq!(read_answer(cut.as_bytes(), &Quirks::NONE).unwrap().choices[0].end.kind, EndKind::Length);
}

/// As the conformance tests hold for streams.
#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let body = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[
        {"type":"function_call","id":"fc_1","call_id":"call_1","name":"now","arguments":""}]}"#;
    let answer = read_answer(body.as_bytes(), &Quirks::NONE).expect("an answer");
    let Some(Part::ToolCall { arguments, .. }) = answer.choices[0].parts.first() else { panic!("no call") };
    assert_eq!(arguments.quoted().escaped(), "{}");
}
