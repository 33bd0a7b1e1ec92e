//! What a caller of the OpenAI surface asks for, as it is asked of a Messages upstream.

use std::path::Path;

use serde_json::{Value, json};

use crate::chat::Request;
use crate::failure::{Failure, Kind};
use crate::provider::{Hosting, ModelFacts, Quirks, family};
use crate::wire::{Adjusted, Format, InlinedMedia, InlinedPart, Outgoing, Target, openai_chat};

struct Written {
    outgoing: Outgoing,
    body: Value,
    adjusted: String,
}

fn write_as(model: &str, request: &Request<'_>, inlined: &InlinedMedia) -> Result<Written, Failure> {
    let mut facts = ModelFacts { max_output: Some(64_000), ..ModelFacts::default() };
    if let Some(family) = family(model) {
        family.apply(&mut facts);
    }
    let target = Target { model, quirks: &Quirks::NONE, facts: &facts, inlined };
    let mut adjusted = Adjusted::default();
    let outgoing = Format::Anthropic.write_request(request, &target, &mut adjusted)?;
    let body = serde_json::from_slice(&outgoing.body).expect("JSON");
    Ok(Written { outgoing, body, adjusted: adjusted.header() })
}

fn write(model: &str, asked: &Value) -> Result<Written, Failure> {
    let text = asked.to_string();
    let request = openai_chat::read_request(text.as_bytes()).expect("a readable request");
    write_as(model, &request, &InlinedMedia::new())
}

/// A request with these messages and further fields.
fn ask(messages: Value, fields: Value) -> Value {
    let mut asked = json!({"model": "x", "max_tokens": 10_000, "messages": messages});
    asked.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap_or_default());
    asked
}

fn hello(fields: Value) -> Value {
    ask(json!([{"role": "user", "content": "Hello"}]), fields)
}

/// What stands in `field` of the body.
fn field(model: &str, asked: &Value, field: &str) -> Value {
    write(model, asked).unwrap_or_else(|failure| panic!("{failure}")).body[field].clone()
}

fn refused(model: &str, asked: &Value) -> (Kind, String) {
    match write(model, asked) {
        Ok(written) => panic!("not refused: {}", written.body),
        Err(failure) => (failure.kind, failure.param.clone().unwrap_or_default().into_owned()),
    }
}

const SONNET: &str = "claude-sonnet-4-5";
const OPUS_5: &str = "claude-opus-5";

#[test]
fn a_whole_request_is_translated() {
    let asked = json!({
        "model": "anthropic/claude-sonnet-4-5", "stream": true, "max_completion_tokens": 100, "temperature": 0.50,
        "top_k": 4, "stop": ["END"], "user": "u-1", "service_tier": "default", "parallel_tool_calls": false,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "What is\nthis?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\": [1.0]}"}},
                {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "call_2", "content": "two"},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "one"}]},
            {"role": "user", "content": "Well?"}
        ],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.",
            "parameters": {"type": "object", "properties": {"z": {"type": "integer"}, "a": {}}}}}]
    });
    let written = write(SONNET, &asked).expect("a request");
    assert_eq!(written.outgoing.path, "/v1/messages");
    assert_eq!(written.outgoing.headers, [("anthropic-version", "2023-06-01".to_owned())]);
    assert_eq!(written.adjusted, "");
    assert_eq!(
        String::from_utf8(written.outgoing.body).unwrap(),
        concat!(
            r#"{"model":"claude-sonnet-4-5","max_tokens":100,"stream":true,"temperature":0.5,"top_k":4,"#,
            r#""stop_sequences":["END"],"metadata":{"user_id":"u-1"},"service_tier":"standard_only","#,
            r#""tools":[{"name":"look","description":"Looks.","input_schema":"#,
            r#"{"properties":{"a":{},"z":{"type":"integer"}},"type":"object"}}],"#,
            r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true},"#,
            r#""system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}},"#,
            r#"{"type":"text","text":"Be kind."}],"#,
            r#""messages":[{"role":"user","content":[{"type":"text","text":"What is\nthis?"},"#,
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},"#,
            r#"{"type":"image","source":{"type":"url","url":"https://example.com/cat.jpg"}}]},"#,
            r#"{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"look","input":{"at": [1.0]}},"#,
            r#"{"type":"tool_use","id":"call_2","name":"look","input":{}}]},"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_2","content":[{"type":"text","text":"two"}]},"#,
            r#"{"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"one"}]},"#,
            r#"{"type":"text","text":"Well?"}]}]}"#,
        )
    );
}

/// A request in the recording's own words becomes the recorded one, up to shorthands of the protocol.
#[test]
fn paired_requests_come_out_as_recorded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/anthropic/anthropic.tools.75e34b3918.json");
    let recording: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut recorded = recording["request"]["body"].clone();
    let asked = json!({
        "model": "x", "max_tokens": 20_000, "tool_choice": "required",
        "messages": [
            {"role": "user", "content": "What's the weather like in San Francisco?"},
            {"role": "assistant", "tool_calls": [{"id": "toolu_01SaghKCygHLX1a2xXxPjxfv", "type": "function",
                "function": {"name": "get_weather", "arguments": "{\"location\":\"San Francisco, CA\"}"}}]},
            {"role": "tool", "tool_call_id": "toolu_01SaghKCygHLX1a2xXxPjxfv", "content": "71 degrees"}
        ],
        "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Get the current weather for a location",
            "parameters": recorded["tools"][0]["input_schema"].clone()}}]
    });
    recorded["messages"][1]["content"][0].as_object_mut().unwrap().remove("caller");
    let text = |text: &Value| json!([{"type": "text", "text": text}]);
    recorded["messages"][0]["content"] = text(&recorded["messages"][0]["content"]);
    recorded["messages"][2]["content"][0]["content"] = text(&recorded["messages"][2]["content"][0]["content"]);
    assert_eq!(write("claude-sonnet-4-5-20250929", &asked).unwrap().body, recorded);
}

#[test]
fn a_broken_history_is_mended() {
    let call = |id: &str| json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let text = |text: &str| json!({"type": "text", "text": text});
    let user = |content: &str| json!({"role": "user", "content": content});
    let no_result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "No result was given for this call.", "is_error": true});
    let cases = [
        ("a missing result", json!([user("a"), call("1"), user("b")]), 2, json!([no_result("1"), text("b")])),
        ("a call at the end", json!([user("a"), call("1")]), 2, json!([no_result("1")])),
        (
            "a result without its call",
            json!([{"role": "tool", "tool_call_id": "9", "content": "r"}, user("b")]),
            0,
            json!([text("Result of an earlier tool call:"), text("r"), text("b")]),
        ),
        (
            "the model first",
            json!([{"role": "assistant", "content": "Hi"}, user("b")]),
            0,
            json!([text("(The conversation begins.)")]),
        ),
        ("instructions alone", json!([{"role": "system", "content": "Say hi"}]), 0, json!([text("Say hi")])),
        ("silence", json!([user(" \n ")]), 0, json!([text("(no text)")])),
    ];
    for (name, messages, turn, content) in cases {
        let written = write(SONNET, &ask(messages, json!({}))).expect(name);
        assert_eq!(written.body["messages"][turn]["content"], content, "{name}");
        assert_eq!(written.adjusted, "messages=changed", "{name}");
        let turns = written.body["messages"].as_array().unwrap();
        for (at, turn) in turns.iter().enumerate() {
            assert_eq!(turn["role"], if at % 2 == 0 { "user" } else { "assistant" }, "{name}");
        }
    }
}

#[test]
fn neighbours_are_one_turn_and_blanks_are_none() {
    let messages = json!([
        {"role": "user", "content": "a"}, {"role": "user", "content": ""}, {"role": "user", "content": "b"},
        {"role": "assistant", "content": ""}, {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": "d", "refusal": null}, {"role": "user", "content": "e"}
    ]);
    let written = write(SONNET, &ask(messages, json!({}))).unwrap();
    let texts: Vec<Vec<&str>> = written.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| turn["content"].as_array().unwrap().iter().map(|block| block["text"].as_str().unwrap()).collect())
        .collect();
    assert_eq!(texts, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    assert_eq!(written.adjusted, "");
}

#[test]
fn foreign_ids_are_spelled_alike_in_calls_and_results_and_stay_unique() {
    let round = |id: &str| {
        [
            json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{"}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": "r"}),
        ]
    };
    let mut messages = vec![json!({"role": "user", "content": "a"})];
    messages.extend([round("functions.f:0"), round("functions.f:0")].into_iter().flatten());
    let written = write(SONNET, &ask(Value::from(messages), json!({}))).unwrap();
    let ids: Vec<&str> = written.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|turn| turn["content"].as_array().unwrap())
        .filter_map(|block| block["id"].as_str().or(block["tool_use_id"].as_str()))
        .collect();
    assert_eq!(ids.len(), 4);
    assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')), "{ids:?}");
    assert_eq!(written.body["messages"][1]["content"][0]["input"], json!({"invalid_json": "{"}));
}

/// Were each tried under all the names that those before it have, it would be some hundred times as long as for calls
/// that are called differently.
#[test]
fn however_many_calls_are_called_the_same_they_are_told_apart() {
    const COUNT: usize = 10_000;
    let talk = |id: &dyn Fn(usize) -> String| {
        let call = |at| json!({"id": id(at), "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let result = |at| json!({"role": "tool", "tool_call_id": id(at), "content": "r"});
        let mut messages = vec![json!({"role": "user", "content": "a"})];
        messages.push(json!({"role": "assistant", "tool_calls": (0..COUNT).map(call).collect::<Vec<_>>()}));
        messages.extend((0..COUNT).map(result));
        let begun = std::time::Instant::now();
        let written = write(SONNET, &ask(Value::from(messages), json!({}))).unwrap();
        (written, begun.elapsed())
    };
    let (_, usual) = talk(&|at| format!("c{at:05}"));
    let (written, alike) = talk(&|_| "c".to_owned());
    let ids = |turn: usize, field: &str| -> Vec<String> {
        let blocks = written.body["messages"][turn]["content"].as_array().unwrap();
        blocks.iter().map(|block| block[field].as_str().unwrap().to_owned()).collect()
    };
    let called = ids(1, "id");
    assert_eq!([&*called[0], &*called[1], &*called[COUNT - 1]], ["c", "c_2", "c_10000"]);
    assert_eq!(called, ids(2, "tool_use_id"));
    assert!(alike < usual * 20, "{alike:?} and {usual:?}");
}

/// Were each looked for among all calls, eight times as many would take sixty-four times as long.
#[test]
fn results_that_come_backwards_are_found_as_fast() {
    let talk = |count: usize| {
        let id = |at: usize| format!("c{at:05}");
        let call = |at| json!({"id": id(at), "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let mut messages = vec![json!({"role": "user", "content": "a"})];
        messages.push(json!({"role": "assistant", "tool_calls": (0..count).map(call).collect::<Vec<_>>()}));
        let result = |at| json!({"role": "tool", "tool_call_id": id(at), "content": "r"});
        messages.extend((0..count).rev().map(result));
        let text = ask(Value::from(messages), json!({})).to_string();
        let request = openai_chat::read_request(text.as_bytes()).expect("a readable request");
        let (facts, inlined) = (ModelFacts::default(), InlinedMedia::new());
        let target = Target { model: SONNET, quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
        let begun = std::time::Instant::now();
        let found = super::turns::order(&request, &target, 64, &mut Adjusted::default()).expect("a conversation");
        let elapsed = begun.elapsed();
        let mut results = found.turns[2].blocks.iter().rev().enumerate();
        let is_own =
            |(at, block): (usize, &_)| matches!(block, super::turns::Block::Result { id: its, .. } if *its == id(at));
        assert!(results.all(is_own), "each stands where it came");
        elapsed
    };
    let quickest = |count| (0..3).map(|_| talk(count)).min().expect("three");
    let (few, many) = (quickest(3_000), quickest(24_000));
    assert!(many < few * 24, "{many:?} and {few:?}");
}

#[test]
fn instructions_in_mid_conversation_stand_where_the_model_takes_them() {
    let messages = json!([
        {"role": "system", "content": "INITIAL"}, {"role": "user", "content": "Which?"},
        {"role": "system", "content": "UPDATED"}
    ]);
    let old = write("claude-opus-4-7", &ask(messages.clone(), json!({}))).unwrap();
    assert_eq!(old.body["system"][1]["text"], "UPDATED");
    assert_eq!(old.adjusted, "messages=changed");
    let new = write(OPUS_5, &ask(messages, json!({}))).unwrap();
    assert_eq!(new.body["messages"][1], json!({"role": "system", "content": [{"type": "text", "text": "UPDATED"}]}));
    assert_eq!(new.adjusted, "");
    let between_users = json!([
        {"role": "user", "content": "a"}, {"role": "system", "content": "S"}, {"role": "user", "content": "b"}
    ]);
    assert_eq!(write(OPUS_5, &ask(between_users, json!({}))).unwrap().body["system"][0]["text"], "S");
}

#[test]
fn a_prefill_is_trimmed_or_refused() {
    let asked =
        ask(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "The answer is \n"}]), json!({}));
    assert_eq!(field(SONNET, &asked, "messages")[1]["content"][0]["text"], "The answer is");
    assert_eq!(refused(OPUS_5, &asked), (Kind::BadRequest, "messages".to_owned()));
}

#[test]
fn documents_are_pdf_or_text_and_pictures_of_known_kinds() {
    let file = |data: &str| {
        let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": data}});
        ask(json!([{"role": "user", "content": [{"type": "text", "text": "Read"}, file]}]), json!({}))
    };
    let block = |data: &str| field(SONNET, &file(data), "messages")[0]["content"][1].clone();
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
    assert_eq!(
        block("data:application/pdf;base64,JVBERi0="),
        json!({"type": "document", "source": pdf, "title": "a.pdf"})
    );
    let text = json!({"type": "text", "media_type": "text/plain", "data": "hi\n"});
    assert_eq!(block("data:text/markdown;base64,aGkK")["source"], text);
    assert_eq!(block("data:image/jpg;base64,AAAA")["source"]["media_type"], "image/jpeg");
    assert_eq!(
        block("https://example.com/a.pdf")["source"],
        json!({"type": "url", "url": "https://example.com/a.pdf"})
    );
    assert_eq!(
        refused(SONNET, &file("data:application/zip;base64,AAAA")),
        (Kind::BadRequest, "messages.0.content.1".to_owned())
    );
    let stored = json!([{"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}]);
    let written = write(SONNET, &ask(stored, json!({}))).unwrap();
    assert_eq!(written.body["messages"][0]["content"][0]["source"], json!({"type": "file", "file_id": "file_1"}));
    assert_eq!(written.outgoing.headers[1], ("anthropic-beta", "files-api-2025-04-14".to_owned()));
    let sound = json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]);
    assert_eq!(refused(SONNET, &ask(sound, json!({}))), (Kind::Unsupported, "messages.0.content.0".to_owned()));
}

#[test]
fn what_was_fetched_takes_the_place_of_its_link() {
    let asked = ask(
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a"}}]}]),
        json!({}),
    )
    .to_string();
    let request = openai_chat::read_request(asked.as_bytes()).unwrap();
    let part = InlinedPart { media_type: "image/webp".to_owned(), data: "AAAA".to_owned() };
    let inlined = InlinedMedia::from([("https://example.com/a".to_owned(), part)]);
    let body = write_as(SONNET, &request, &inlined).unwrap().body;
    let source = json!({"type": "base64", "media_type": "image/webp", "data": "AAAA"});
    assert_eq!(body["messages"][0]["content"][0]["source"], source);
}

fn tool(name: &str, strict: bool) -> Value {
    json!({"type": "function", "function": {"name": name, "strict": strict,
        "parameters": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}}})
}

#[test]
fn every_tool_choice_has_its_word() {
    let cases = [
        (json!("auto"), json!({"type": "auto"})),
        (json!("none"), json!({"type": "none"})),
        (json!("required"), json!({"type": "any"})),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"type": "tool", "name": "f"})),
    ];
    for (choice, expected) in cases {
        let asked = hello(json!({"tools": [tool("f", false)], "tool_choice": choice}));
        assert_eq!(field(SONNET, &asked, "tool_choice"), expected);
    }
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}});
    let asked = hello(json!({"tools": [tool("f", false), tool("g", false)], "tool_choice": allowed}));
    let body = write(SONNET, &asked).unwrap().body;
    assert_eq!((body["tools"].as_array().unwrap().len(), &body["tools"][0]["name"]), (1, &json!("g")));
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    assert_eq!(field(SONNET, &hello(json!({"tool_choice": "auto"})), "tool_choice"), Value::Null);
    assert_eq!(
        refused(SONNET, &hello(json!({"tool_choice": "required"}))),
        (Kind::BadRequest, "tool_choice".to_owned())
    );
}

#[test]
fn called_tools_are_defined_even_where_the_caller_leaves_them_out() {
    let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([
        {"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "r"}
    ]);
    let body = write(SONNET, &ask(messages, json!({}))).unwrap().body;
    assert_eq!(body["tools"], json!([{"name": "f", "input_schema": {"type": "object"}}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[test]
fn a_call_that_cannot_be_forced_is_asked_for() {
    let asked = hello(json!({"tools": [tool("f", false)], "tool_choice": "required"}));
    let written = write("claude-opus-5-5", &asked).unwrap();
    assert_eq!(written.body["tool_choice"], json!({"type": "auto"}));
    assert!(written.body["system"][0]["text"].as_str().unwrap().contains("at least one of your tools"));
    assert_eq!(written.adjusted, "tool_choice=changed");
}

#[test]
fn strict_tools_are_closed_where_the_model_can_be_strict() {
    let asked = hello(json!({"tools": [tool("f", true)]}));
    let new = write(SONNET, &asked).unwrap();
    assert_eq!(new.body["tools"][0]["strict"], true);
    assert_eq!(new.body["tools"][0]["input_schema"]["additionalProperties"], false);
    let old = write("claude-sonnet-4-0", &asked).unwrap();
    assert_eq!(old.body["tools"][0]["input_schema"]["properties"]["n"]["minimum"], 1);
    assert_eq!((&old.body["tools"][0]["strict"], old.adjusted.as_str()), (&Value::Null, "tools.strict=dropped"));
    let misnamed = hello(json!({"tools": [tool("f", false), tool("a b", false)]}));
    assert_eq!(refused(SONNET, &misnamed), (Kind::BadRequest, "tools.1.function.name".to_owned()));
}

#[test]
fn a_schema_is_held_natively_or_by_a_tool() {
    let shape = json!({"type": "json_schema", "json_schema": {"name": "s", "schema":
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}});
    let native = write(SONNET, &hello(json!({"response_format": shape}))).unwrap().body;
    assert_eq!(native["output_config"]["format"]["type"], "json_schema");
    assert_eq!(native["output_config"]["format"]["schema"]["additionalProperties"], false);
    assert_eq!(native["tools"], Value::Null);

    let name = "latchkey_structured_answer";
    let old = write("claude-3-5-haiku-latest", &hello(json!({"response_format": shape}))).unwrap().body;
    assert_eq!(old["tools"][0]["name"], name);
    assert_eq!(old["tool_choice"], json!({"type": "tool", "name": name, "disable_parallel_tool_use": true}));
    assert_eq!(old["system"], Value::Null);

    let tools = json!({"response_format": shape, "tools": [tool("f", false)]});
    let beside = write("claude-3-5-haiku-latest", &hello(tools)).unwrap().body;
    assert_eq!((&beside["tools"][1]["name"], &beside["tool_choice"]), (&json!(name), &json!({"type": "any"})));
    assert!(beside["system"][0]["text"].as_str().unwrap().contains(name));

    let thinking = json!({"response_format": {"type": "json_object"}, "reasoning_effort": "high"});
    let thinking = write("claude-sonnet-4-0", &hello(thinking)).unwrap().body;
    assert_eq!(thinking["tool_choice"]["type"], "auto");
    assert_eq!(thinking["thinking"], json!({"type": "enabled", "budget_tokens": 8000}));

    let map = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "additionalProperties": {"type": "integer"}}}});
    assert_eq!(field(SONNET, &hello(json!({"response_format": map})), "tools")[0]["name"], name);
    let list = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "array"}}});
    let list = field(SONNET, &hello(json!({"response_format": list})), "tools");
    assert_eq!(list[0]["input_schema"]["properties"], json!({"latchkey_value": {"type": "array"}}));
}

#[test]
fn thinking_fixes_what_it_cannot_be_combined_with() {
    let asked = hello(json!({"reasoning": {"max_tokens": 2000}, "temperature": 0.3, "top_p": 0.97, "top_k": 5}));
    let written = write(SONNET, &asked).unwrap();
    assert_eq!(written.body["thinking"], json!({"type": "enabled", "budget_tokens": 2000}));
    assert_eq!((&written.body["temperature"], &written.body["top_k"]), (&Value::Null, &Value::Null));
    assert_eq!(written.body["top_p"], 0.97);
    assert_eq!(written.adjusted, "temperature=dropped, top_k=dropped");
    let written = write(OPUS_5, &hello(json!({"reasoning_effort": "xhigh", "temperature": 1}))).unwrap();
    assert_eq!(written.body["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(written.body["output_config"], json!({"effort": "xhigh"}));
    assert_eq!((&written.body["temperature"], written.adjusted.as_str()), (&Value::Null, ""));
    let written = write(
        SONNET,
        &hello(json!({"reasoning_effort": "high", "tools": [tool("f", false)], "tool_choice": "required"})),
    )
    .unwrap();
    assert_eq!((&written.body["thinking"], written.adjusted.as_str()), (&Value::Null, "reasoning=dropped"));
}

#[test]
fn sampling_is_put_into_the_range_that_is_taken() {
    let written = write(SONNET, &hello(json!({"temperature": 1.7, "top_p": 0.9, "stop": ["\n", "END"]}))).unwrap();
    assert_eq!(written.body["temperature"], 1);
    assert_eq!(written.body["stop_sequences"], json!(["END"]));
    assert_eq!(written.adjusted, "temperature=clamped, top_p=dropped, stop=trimmed");
    let written = write("claude-sonnet-4-0", &hello(json!({"temperature": 0.2, "top_p": 0.9}))).unwrap();
    assert_eq!((&written.body["top_p"], written.adjusted.as_str()), (&json!(0.9), ""));
    let written = write("claude-opus-4-7", &hello(json!({"temperature": 0.2, "max_tokens": 90_000}))).unwrap();
    assert_eq!(written.body["max_tokens"], 64_000);
    assert_eq!(written.adjusted, "max_tokens=clamped, temperature=dropped");
}

#[test]
fn what_is_lost_is_listed_or_refused() {
    let written = write(
        SONNET,
        &hello(json!({
            "seed": 7, "logit_bias": {"1": 2}, "frequency_penalty": 0, "presence_penalty": 1, "n": 1, "logprobs": false,
            "metadata": {"a": "b"}, "store": false, "provider": {"sort": "price"}, "prompt_cache_key": "k",
            "prediction": {"type": "content", "content": "x"}, "service_tier": "flex", "verbosity": "low"
        })),
    )
    .unwrap();
    assert_eq!(
        written.adjusted,
        "seed=dropped, presence_penalty=dropped, logit_bias=dropped, prediction=dropped, metadata=dropped, \
         prompt_cache_key=dropped, verbosity=dropped, service_tier=dropped"
    );
    for (parameter, value) in [("n", json!(2)), ("logprobs", json!(true)), ("modalities", json!(["text", "audio"]))] {
        assert_eq!(refused(SONNET, &hello(json!({parameter: value}))), (Kind::Unsupported, parameter.to_owned()));
    }
}

#[test]
fn the_protocols_own_fields_go_through() {
    let asked = hello(json!({
        "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "m"}], "betas": ["x-1", "bad\r\nvalue"],
        "output_config": {"task_budget": {"total": 9}}, "cache_control": {"type": "ephemeral"}, "reasoning_effort": "low",
        "tools": [{"type": "bash_20250124", "name": "bash"}],
        "web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "Ulm"}}}
    }));
    let written = write(OPUS_5, &asked).unwrap();
    assert_eq!(written.outgoing.headers[1], ("anthropic-beta", "x-1,mcp-client-2025-11-20".to_owned()));
    assert_eq!(written.body["output_config"], json!({"task_budget": {"total": 9}, "effort": "low"}));
    assert_eq!(written.body["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(written.body["mcp_servers"][0]["name"], "m");
    assert_eq!(
        written.body["tools"],
        json!([{"type": "bash_20250124", "name": "bash"},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 1, "user_location": {"type": "approximate", "city": "Ulm"}}])
    );
    let twice = hello(json!({"output_config": {"effort": "high"}, "reasoning_effort": "low"}));
    let sent = write(OPUS_5, &twice).unwrap().outgoing.body;
    let told = String::from_utf8(sent).expect("text").matches("\"effort\"").count();
    assert_eq!(told, 1, "what the caller says in the protocol's own words goes first");
    let foreign = hello(json!({"tools": [{"type": "custom", "custom": {"name": "c"}}]}));
    assert_eq!(refused(OPUS_5, &foreign), (Kind::Unsupported, "tools.0".to_owned()));
}

/// Three turns of a conversation with thoughts and tools, as a caller sends them back.
#[test]
fn signatures_survive_a_conversation_and_others_are_left_out() {
    let detail = |text: &str, signature: &str, format: &str| json!({"type": "reasoning.text", "text": text, "signature": signature, "format": format, "index": 0});
    let turn = |details: Value, id: &str| {
        [
            json!({"role": "assistant", "content": "Looking.", "reasoning_details": details,
                "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": "r"}),
        ]
    };
    let ours = json!([detail("First.", "sig+1/==", "anthropic-claude-v1")]);
    let hidden = json!([{"type": "reasoning.encrypted", "data": "enc", "format": "anthropic-claude-v1", "index": 0}]);
    let empty = json!([detail("", "sig3", "anthropic-claude-v1")]);
    let foreign = json!([detail("Theirs.", "g", "google-gemini-v1")]);
    let mut messages = vec![json!({"role": "user", "content": "Go"})];
    let rounds = [turn(ours, "a"), turn(hidden, "b"), turn(empty, "c"), turn(foreign, "d")];
    messages.extend(rounds.into_iter().flatten());
    let written = write(OPUS_5, &ask(Value::from(messages.clone()), json!({"reasoning_effort": "high"}))).unwrap();
    let block = |turn: usize| &written.body["messages"][turn]["content"][0];
    assert_eq!(*block(1), json!({"type": "thinking", "thinking": "First.", "signature": "sig+1/=="}));
    assert_eq!(*block(3), json!({"type": "redacted_thinking", "data": "enc"}));
    assert_eq!(*block(5), json!({"type": "thinking", "thinking": "", "signature": "sig3"}));
    assert_eq!(*block(7), json!({"type": "text", "text": "Looking."}));
    assert_eq!(written.adjusted, "reasoning_details=dropped");
    // The same beginning is the same bytes, so that prompt caches hit.
    let shorter = Value::from(messages[..5].to_vec());
    let before = write(OPUS_5, &ask(shorter, json!({"reasoning_effort": "high"}))).unwrap().outgoing.body;
    let common = written.outgoing.body.iter().zip(&before).take_while(|(a, b)| a == b).count();
    assert_eq!(&before[common..], b"]}", "all but the end is a prefix");
    // A model with a budget refuses to think on after a call that it did not think about.
    let written = write(SONNET, &ask(Value::from(messages), json!({"reasoning_effort": "high"}))).unwrap();
    assert_eq!(written.body["thinking"], Value::Null);
}

#[test]
fn a_host_has_the_model_in_the_path_and_the_version_in_the_body() {
    let asked = hello(json!({"stream": true, "betas": ["files-api-2025-04-14"]})).to_string();
    let request = openai_chat::read_request(asked.as_bytes()).expect("a readable request");
    for (hosting, version, path) in [
        (Hosting::InvokeModel, "bedrock-2023-05-31", "/model/m%3A0/invoke-with-response-stream"),
        (Hosting::PublisherModel, "vertex-2023-10-16", "/publishers/anthropic/models/m%3A0:streamRawPredict"),
    ] {
        let quirks = Quirks { hosting, ..Quirks::NONE };
        let facts = ModelFacts::default();
        let target = Target { model: "m:0", quirks: &quirks, facts: &facts, inlined: &InlinedMedia::new() };
        let outgoing = Format::Anthropic.write_request(&request, &target, &mut Adjusted::default()).expect("writable");
        let body: Value = serde_json::from_slice(&outgoing.body).expect("JSON");
        assert_eq!(outgoing.path, path);
        assert_eq!((body["anthropic_version"].as_str(), body.get("model")), (Some(version), None));
        assert_eq!(body.get("stream").is_some(), hosting == Hosting::PublisherModel);
        assert!(outgoing.headers.iter().all(|(name, _)| *name != "anthropic-version"));
    }
}
