use std::rc::Rc;

use serde_json::{Value, json};

use super::*;
use crate::chat::{
    BlockKind, CacheMark, EndKind, EndReason, Event, Part, Role, Signature, SignatureRole, Sink, Tool, ToolChoice,
};
use crate::failure::{Failure, Kind};
use crate::json::Text;
use crate::provider::{Capabilities, ModelFacts, Quirks};
use crate::units::UnixMillis;
use crate::wire::carried::{self, Owner};
use crate::wire::drive::StreamPatcher as _;
use crate::wire::sse::Frame;
use crate::wire::{Adjusted, Closing, InlinedMedia, Naming, RequestPatch, StreamWriter, Target};

fn request(input: Value, more: Value) -> String {
    let mut body = json!({"model": "m", "input": input});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

fn naming(body: &str) -> Naming {
    Naming {
        fallback_id: "resp_1".to_owned(),
        model: "m".to_owned(),
        now: UnixMillis(1_763_700_000_000),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage: true,
        echo: echo(body.as_bytes()),
        carrier: carried::carrier(),
    }
}

fn text(word: &str) -> Text<'_> {
    Text::escape(word)
}

#[test]
fn probabilities_that_were_asked_for_are_told() {
    let tokens = r#"{"content":[{"token":"Hi","logprob":-0.1,"bytes":[72,105],"top_logprobs":[]}],"refusal":null}"#;
    let more = r#"{"content":[{"token":"!","logprob":-0.2,"bytes":[33],"top_logprobs":[]}],"refusal":null}"#;
    let body = request(json!("hi"), json!({"include": ["message.output_text.logprobs"], "top_logprobs": 1}));
    let mut writer = Writer::new(naming(&body));
    let mut fold = crate::chat::Fold::new();
    for event in [
        Event::Start { id: text("r"), model: text("m"), created: None },
        Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Text },
        Event::TextDelta { choice: 0, block: 0, text: text("Hi") },
        Event::LogprobsDelta { choice: 0, logprobs: crate::json::Raw::parse(tokens).unwrap() },
        Event::TextDelta { choice: 0, block: 0, text: text("!") },
        Event::LogprobsDelta { choice: 0, logprobs: crate::json::Raw::parse(more).unwrap() },
        Event::BlockEnd { choice: 0, block: 0 },
        Event::End { choice: 0, reason: EndReason::plain(EndKind::Stop) },
    ] {
        fold.event(event.clone());
        writer.event(event);
    }
    writer.close(&Closing::default());
    let mut out = Vec::new();
    writer.take(&mut out);
    let streamed = String::from_utf8(out).unwrap();
    let events = streamed.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = events.map(|data| serde_json::from_str(data).expect(data)).collect();
    let of = |kind: &str| events.iter().find(|event| event["type"] == kind).expect(kind).clone();
    let expected = json!([
        {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []},
        {"token": "!", "logprob": -0.2, "bytes": [33], "top_logprobs": []}]);
    assert_eq!(of("response.output_text.done")["logprobs"], expected);
    assert_eq!(of("response.content_part.done")["part"]["logprobs"], expected);
    assert_eq!(of("response.completed")["response"]["output"][0]["content"][0]["logprobs"], expected);
    let whole = write_answer(&fold.finish().unwrap(), &naming(&body), &Closing::default());
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["output"][0]["content"][0]["logprobs"], expected);
}

#[test]
fn every_fault_names_its_place() {
    let cases = [
        (json!("hi"), json!({"model": 3}), "model"),
        (json!(3), json!({}), "input"),
        (json!([]), json!({}), "input"),
        (json!([3]), json!({}), "input.0"),
        (json!([{"role": "user"}]), json!({}), "input.0.content"),
        (json!([{"role": "critic", "content": "x"}]), json!({}), "input.0.role"),
        (json!([{"role": "user", "content": [{"text": "x"}]}]), json!({}), "input.0.content.0.type"),
        (json!([{"role": "user", "content": [{"type": "input_image"}]}]), json!({}), "input.0.content.0.image_url"),
        (json!([{"type": "function_call", "call_id": "c", "arguments": "{}"}]), json!({}), "input.0.name"),
        (json!([{"type": "function_call", "call_id": "c", "name": "f"}]), json!({}), "input.0.arguments"),
        (json!([{"type": "function_call_output", "output": "x"}]), json!({}), "input.0.call_id"),
        (json!([{"type": "item_reference", "id": "msg_1"}]), json!({}), "input.0"),
        (json!("hi"), json!({"tools": [{"type": "function"}]}), "tools.0.name"),
        (json!("hi"), json!({"tool_choice": "some"}), "tool_choice"),
        (json!("hi"), json!({"reasoning": {"effort": "lots"}}), "reasoning.effort"),
        (json!("hi"), json!({"text": {"format": {"type": "json_schema", "name": "n"}}}), "text.format.schema"),
        (json!("hi"), json!({"conversation": "conv_1"}), "conversation"),
        (json!("hi"), json!({"background": true}), "background"),
        (json!("hi"), json!({"previous_response_id": "resp_0"}), "previous_response_id"),
    ];
    for (input, more, place) in cases {
        let body = request(input, more);
        let failure = read_request(body.as_bytes()).expect_err(&body);
        assert_eq!(failure.param.as_deref(), Some(place), "{body}: {failure}");
    }
    for body in ["", "[]", "{", r#"{"model":"m"}"#] {
        assert!(read_request(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn tools_of_the_provider_alone_are_refused_elsewhere_and_the_rest_is_listed() {
    let body = request(json!("hi"), json!({"tools": [{"type": "code_interpreter"}]}));
    let failure = read_request(body.as_bytes()).unwrap().untranslatable.unwrap();
    assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Unsupported, Some("tools.0")));
    let body = request(
        json!([{"type": "web_search_call", "id": "ws"}, {"role": "user", "content": "hi"}]),
        json!({"truncation": "auto", "max_tool_calls": 3, "text": {"verbosity": "low"}, "store": true, "reasoning": {"mode": "pro"},
            "tools": [{"type": "web_search", "search_context_size": "low"}], "tool_choice": {"type": "web_search"}}),
    );
    let request = read_request(body.as_bytes()).unwrap();
    assert_eq!(
        request.unsayable,
        ["web_search_call", "max_tool_calls", "reasoning.mode", "store", "text.verbosity", "truncation"]
    );
    assert!(request.web_search.is_some() && request.untranslatable.is_none() && request.tool_choice.is_none());
}

#[test]
fn a_breakpoint_of_the_prompt_cache_is_a_mark_like_any_other() {
    let mark = json!({"mode": "explicit"});
    let content = json!([{"type": "input_text", "text": "a", "prompt_cache_breakpoint": mark}, {"type": "input_text", "text": "b"},
        {"type": "input_image", "image_url": "https://x.example/a.png", "prompt_cache_breakpoint": mark}]);
    let body = request(json!([{"role": "user", "content": content}]), json!({}));
    let request = read_request(body.as_bytes()).unwrap();
    let marks = request.messages[0].parts.iter().map(|part| match part {
        Part::Text { cache, .. } | Part::Image { cache, .. } => *cache,
        _ => None,
    });
    assert_eq!(marks.collect::<Vec<_>>(), [Some(CacheMark::Short), None, Some(CacheMark::Short)]);
}

#[test]
fn a_summary_that_only_its_maker_can_read_is_not_dropped_where_it_is_all_there_is() {
    let summary = json!({"type": "compaction", "id": "cmp", "encrypted_content": "gAAA"});
    let (asked, said) = (json!({"role": "user", "content": "hi"}), json!({"role": "assistant", "content": "Hello."}));
    for input in [json!([summary, asked]), json!([asked, summary])] {
        let body = request(input, json!({}));
        let failure = read_request(body.as_bytes()).unwrap().untranslatable.expect(&body);
        assert_eq!(failure.kind, Kind::Unsupported, "{body}");
    }
    let body = request(json!([asked, said, summary, asked]), json!({}));
    let request = read_request(body.as_bytes()).unwrap();
    assert_eq!((request.untranslatable, request.unsayable.as_slice()), (None, &["compaction".into()][..]));
}

/// What an agent of Codex's kind sends: free-form tools, encrypted thoughts and its own bookkeeping.
const AGENT: &str = include_str!("../../../../tests/fixtures/agents/codex.json");

#[test]
fn what_a_coding_agent_sends_is_understood() {
    let request = read_request(AGENT.as_bytes()).unwrap();
    assert_eq!(request.untranslatable, None);
    assert_eq!(request.messages[0].role, Role::System);
    let names: Vec<_> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Function { name, parameters, .. } => (name.decode().into_owned(), parameters.is_some()),
            Tool::Native(raw) => panic!("{raw:?}"),
        })
        .collect();
    assert_eq!(names, [("shell".to_owned(), true), ("update_plan".to_owned(), true), ("apply_patch".to_owned(), true)]);
    let calls: Vec<_> = request
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::ToolCall { id, arguments, .. } => Some((id.escaped(), arguments.object().unwrap().get().to_owned())),
            _ => None,
        })
        .collect();
    assert_eq!(calls[0].1, r#"{"command":["ls"]}"#);
    assert!(calls[1].1.starts_with(r#"{"input":"*** Begin Patch\n"#), "{calls:?}");
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
}

#[test]
fn free_text_comes_back_as_it_was_said() {
    let mut writer = Writer::new(naming(AGENT));
    writer.event(Event::Start { id: text("a"), model: text("claude"), created: None });
    writer.event(Event::ToolCallStart { choice: 0, block: 0, id: text("call_9"), name: text("apply_patch") });
    for piece in [r#"{"input":"*** Begin"#, r#" Patch\n"}"#] {
        writer.event(Event::ToolCallDelta { choice: 0, block: 0, arguments: Text::escape(piece) });
    }
    writer.event(Event::BlockEnd { choice: 0, block: 0 });
    writer.event(Event::End { choice: 0, reason: EndReason::plain(EndKind::ToolCalls) });
    writer.close(&Closing::default());
    let mut out = Vec::new();
    writer.take(&mut out);
    let out = String::from_utf8(out).unwrap();
    let last = out.trim_end().lines().last().unwrap().strip_prefix("data: ").unwrap();
    let event: Value = serde_json::from_str(last).unwrap();
    let item = &event["response"]["output"][0];
    assert_eq!(
        (&item["type"], &item["input"], &item["call_id"]),
        (&json!("custom_tool_call"), &json!("*** Begin Patch\n"), &json!("call_9"))
    );
    assert_eq!(event["response"]["tools"].as_array().unwrap().len(), 4, "the last event repeats the request");
    assert!(out.contains("event: response.custom_tool_call_input.done"), "{out}");
}

/// Tools in a namespace are functions with longer names elsewhere, and are called by their own again.
#[test]
fn namespaces_are_names_where_there_are_none() {
    let tools = json!([
        {"type": "function", "name": "look", "parameters": {"type": "object"}},
        {"type": "namespace", "name": "agents", "description": "Others.", "tools": [
            {"type": "function", "name": "spawn", "parameters": {"type": "object"}},
            {"type": "custom", "name": "tell"}]}]);
    let input = json!([
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "c1", "namespace": "agents", "name": "spawn", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "done"}]);
    let choice = json!({"type": "function", "namespace": "agents", "name": "spawn"});
    let body = request(input, json!({"tools": tools, "tool_choice": choice}));
    let request = read_request(body.as_bytes()).unwrap();
    assert_eq!(request.untranslatable, None);
    let names = request.tools.iter().map(|tool| match tool {
        Tool::Function { name, .. } => name.decode(),
        Tool::Native(raw) => panic!("{raw:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["look", "agents__spawn", "agents__tell"]);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named(text("agents__spawn"))));
    assert!(matches!(&request.messages[1].parts[0], Part::ToolCall { name, .. } if name.is("agents__spawn")));

    let mut writer = Writer::new(naming(&body));
    writer.event(Event::Start { id: text("a"), model: text("claude"), created: None });
    let called = [("agents__spawn", "{}"), ("agents__tell", r#"{"input":"go"}"#), ("look", "{}")];
    for (block, (name, arguments)) in (0..).zip(called) {
        writer.event(Event::ToolCallStart { choice: 0, block, id: text("call"), name: text(name) });
        writer.event(Event::ToolCallDelta { choice: 0, block, arguments: Text::escape(arguments) });
        writer.event(Event::BlockEnd { choice: 0, block });
    }
    writer.event(Event::End { choice: 0, reason: EndReason::plain(EndKind::ToolCalls) });
    writer.close(&Closing::default());
    let mut out = Vec::new();
    writer.take(&mut out);
    let out = String::from_utf8(out).unwrap();
    let last = out.trim_end().lines().last().unwrap().strip_prefix("data: ").unwrap();
    let event: Value = serde_json::from_str(last).unwrap();
    let items = event["response"]["output"].as_array().unwrap();
    let told: Vec<_> = items.iter().map(|item| (&item["namespace"], &item["name"], &item["type"])).collect();
    assert_eq!(
        told,
        [
            (&json!("agents"), &json!("spawn"), &json!("function_call")),
            (&json!("agents"), &json!("tell"), &json!("custom_tool_call")),
            (&Value::Null, &json!("look"), &json!("function_call")),
        ]
    );
    assert_eq!(items[1]["input"], "go");
}

/// An agent with many tools has the model search for them, and makes the search itself.
#[test]
fn a_callers_own_search_for_tools_is_a_function_elsewhere() {
    let schema = json!({"type": "object", "properties": {"query": {"type": "string"}}});
    let search =
        json!({"type": "tool_search", "execution": "client", "description": "Finds tools.", "parameters": schema});
    let found = json!([{"type": "namespace", "name": "mail", "tools": [
        {"type": "function", "name": "send", "defer_loading": true, "parameters": {"type": "object"}}]}]);
    let input = json!([
        {"role": "user", "content": "hi"},
        {"type": "tool_search_call", "call_id": "c1", "execution": "client", "status": "completed",
            "arguments": {"query": "mail"}},
        {"type": "tool_search_output", "call_id": "c1", "execution": "client", "status": "completed", "tools": found},
        {"type": "tool_search_call", "call_id": "c2", "execution": "client", "arguments": {"query": "fax"}},
        {"type": "tool_search_output", "call_id": "c2", "execution": "client", "tools": []}]);
    let body = request(input, json!({"tools": [search]}));
    let read = read_request(body.as_bytes()).unwrap();
    assert_eq!((read.unsayable.len(), &read.untranslatable), (0, &None));
    let names = read.tools.iter().map(|tool| match tool {
        Tool::Function { name, parameters, .. } => (name.decode(), parameters.is_some()),
        Tool::Native(raw) => panic!("{raw:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), [("tool_search".into(), true), ("mail__send".into(), true)]);
    let told: Vec<String> = read
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .map(|part| match part {
            Part::Text { text, .. } => text.decode().into_owned(),
            Part::ToolCall { id, name, arguments, .. } => {
                format!("{} {} {}", id.decode(), name.decode(), arguments.object().unwrap().get())
            }
            Part::ToolResult { call_id, parts, .. } => match parts.as_slice() {
                [Part::Text { text, .. }] => format!("{}: {}", call_id.decode(), text.decode()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "hi",
            r#"c1 tool_search {"query":"mail"}"#,
            "c1: Tools that can be called now: mail__send",
            r#"c2 tool_search {"query":"fax"}"#,
            "c2: No tools were found."
        ]
    );

    let mut writer = Writer::new(naming(&body));
    writer.event(Event::Start { id: text("a"), model: text("claude"), created: None });
    writer.event(Event::ToolCallStart { choice: 0, block: 0, id: text("c3"), name: text("tool_search") });
    for piece in [r#"{"query""#, r#":"mail"}"#] {
        writer.event(Event::ToolCallDelta { choice: 0, block: 0, arguments: Text::escape(piece) });
    }
    writer.event(Event::BlockEnd { choice: 0, block: 0 });
    writer.event(Event::End { choice: 0, reason: EndReason::plain(EndKind::ToolCalls) });
    writer.close(&Closing::default());
    let mut out = Vec::new();
    writer.take(&mut out);
    let out = String::from_utf8(out).unwrap();
    let events: Vec<Value> =
        out.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let item = |status: &str, arguments: Value| {
        json!({"type": "tool_search_call", "id": events[2]["item"]["id"],
        "call_id": "c3", "execution": "client", "status": status, "arguments": arguments})
    };
    let whole = item("completed", json!({"query": "mail"}));
    assert_eq!((&events[2]["item"], &events[3]["item"]), (&item("in_progress", json!({})), &whole));
    assert_eq!((events.len(), &events[4]["response"]["output"]), (5, &json!([whole])));

    // What the provider searches itself, it alone can find.
    let body = request(json!("hi"), json!({"tools": [{"type": "tool_search"}]}));
    assert_eq!(read_request(body.as_bytes()).unwrap().unsayable, ["tool_search"]);
}

/// A generation that failed looks finished to nobody.
#[test]
fn an_answer_that_ended_in_an_error_says_so() {
    let end = || EndReason::new(EndKind::Error, Some(text("MALFORMED_FUNCTION_CALL")));
    let mut writer = Writer::new(naming("{}"));
    writer.event(Event::Start { id: text("a"), model: text("gemini"), created: None });
    writer.event(Event::End { choice: 0, reason: end() });
    let usage = Some(crate::chat::Usage { input_fresh: 3, ..Default::default() });
    let closing = Closing { usage, ..Closing::default() };
    writer.close(&closing);
    let mut out = Vec::new();
    writer.take(&mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("event: response.failed\n") && !out.contains("response.completed"), "{out}");
    let choice = crate::chat::Choice { index: 0, end: end(), parts: Vec::new(), media: Vec::new(), logprobs: None };
    let answer =
        crate::chat::Answer { id: text("a"), model: text("m"), created: None, choices: vec![choice], usage: None };
    let whole: Value = serde_json::from_slice(&write_answer(&answer, &naming("{}"), &closing)).unwrap();
    let told = out.trim_end().lines().last().and_then(|line| line.strip_prefix("data: ")).unwrap();
    for response in [&whole, &serde_json::from_str::<Value>(told).unwrap()["response"]] {
        assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!("server_error")));
        assert!(response["error"]["message"].as_str().unwrap().ends_with("failed: MALFORMED_FUNCTION_CALL"));
        assert_eq!(response["usage"]["input_tokens"], 3);
    }
}

/// A model of another protocol signs a call: the caller carries that in an item of its own, and it comes back.
#[test]
fn signatures_of_others_travel_in_items_of_reasoning() {
    let signature = |format: &'static str| Signature {
        format: text(format),
        data: text("c2lnbmVk"),
        id: None,
        role: SignatureRole::Signs,
    };
    let mut writer = Writer::new(naming("{}"));
    writer.event(Event::Start { id: text("a"), model: text("gemini"), created: None });
    writer.event(Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Text });
    writer.event(Event::TextDelta { choice: 0, block: 0, text: text("I look.") });
    writer.event(Event::BlockSignature { choice: 0, block: 0, signature: signature("google-gemini-v1") });
    writer.event(Event::BlockEnd { choice: 0, block: 0 });
    writer.event(Event::ToolCallStart { choice: 0, block: 1, id: text("call_1"), name: text("look") });
    writer.event(Event::BlockSignature { choice: 0, block: 1, signature: signature("google-gemini-v1") });
    writer.event(Event::ToolCallDelta { choice: 0, block: 1, arguments: text("{}") });
    writer.event(Event::BlockEnd { choice: 0, block: 1 });
    writer.close(&Closing::default());
    let mut out = Vec::new();
    writer.take(&mut out);
    let out = String::from_utf8(out).unwrap();
    let last: Value = serde_json::from_str(&out.trim_end().lines().last().unwrap()[6..]).unwrap();
    let body = request(last["response"]["output"].clone(), json!({}));
    let read = read_request(body.as_bytes()).unwrap();
    let parts = read.messages[0].parts.iter();
    let signed = parts.map(|part| match part {
        Part::Text { signature, .. } | Part::ToolCall { signature, .. } => signature.as_ref().unwrap(),
        part => panic!("{part:?}"),
    });
    let opened: Vec<_> = signed.map(|signature| carried::carrier().open(signature).unwrap()).collect();
    assert_eq!(opened, [signature("google-gemini-v1"), signature("google-gemini-v1")]);
}

fn patched(body: &str, quirks: &Quirks) -> Result<(Value, String), Failure> {
    let can = Capabilities(Capabilities::REASONING);
    let facts = ModelFacts { capabilities: Some(can), ..ModelFacts::default() };
    let keys = Rc::new(carried::test_keys(&[1]));
    let patch = RequestPatch {
        model: "their-model",
        stream: true,
        facts: &facts,
        default_max_tokens: Some(100),
        keys: Some(&keys),
        target: "p/m",
    };
    let mut adjusted = Adjusted::default();
    let made = patch_request(body.as_bytes(), &patch, quirks, &mut adjusted)?;
    Ok((serde_json::from_slice(&made.outgoing.body).unwrap(), adjusted.header()))
}

/// Some models give the calls of every turn the same ids; a signature is that of the turn it stands in.
#[test]
fn a_signature_finds_its_call_among_those_of_the_same_id() {
    let signature =
        Signature { format: text("google-gemini-v1"), data: text("c2lnbmVk"), id: None, role: SignatureRole::Signs };
    let wrapped = carried::carrier().sealed(&signature, &Owner::Call("c".to_owned()));
    let signed = json!({"type": "reasoning", "summary": [], "encrypted_content": wrapped.decode()});
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "1"});
    for second in [[&signed, &call], [&call, &signed]] {
        let body = request(json!([call, result, second[0], second[1]]), json!({}));
        let read = read_request(body.as_bytes()).unwrap();
        let calls = read.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::ToolCall { signature, .. } => Some(signature.is_some()),
            _ => None,
        });
        assert_eq!(calls.collect::<Vec<_>>(), [false, true]);
    }
}

/// One that departs from the protocol in who reads its thoughts.
const XAI: Quirks = Quirks { signed: "xai-responses-v1", ..Quirks::NONE };

/// What another provider than the protocol's maker encrypted looks the same; sent to the maker it would be refused.
#[test]
fn encrypted_thoughts_of_another_provider_pass_wrapped_and_go_back_to_it_alone() {
    let item = json!({"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": "EqQB"});
    let answer = json!({"id": "resp_1", "output": [item, {"type": "message", "encrypted_content": "no thought"}]});
    let answer = answer.to_string();
    let wrapped = wrap_thoughts(answer.as_bytes(), XAI.signed, &carried::carrier());
    let wrapped: Value = serde_json::from_slice(&wrapped).unwrap();
    assert_eq!(wrapped["output"][1]["encrypted_content"], "no thought");
    let given = wrapped["output"][0].clone();
    assert!(given["encrypted_content"].as_str().unwrap().starts_with(carried::MARK), "{given}");

    let mut patcher = Patcher::new(naming("{}"), &XAI);
    let mut out = Vec::new();
    for data in [
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [item]},
            "copilot_usage": {"total_nano_aiu": 1}}),
    ] {
        let (name, data) = (data["type"].as_str().unwrap().to_owned(), data.to_string());
        let raw = format!("event: {name}\ndata: {data}\n\n");
        let frame = Frame { event: name.as_bytes(), data: data.as_bytes().into(), raw: raw.as_bytes() };
        patcher.frame(&frame, &mut |_: Event<'_>| {}, &mut out);
    }
    patcher.close(&Closing::default(), &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.matches(carried::MARK).count() == 2 && !out.contains("EqQB"), "{out}");
    assert!(out.contains(r#","copilot_usage":{"total_nano_aiu":1}}"#), "what stands beside the response stays: {out}");

    let body = request(json!([given, {"role": "user", "content": "hi"}]), json!({}));
    let (made, adjusted) = patched(&body, &XAI).unwrap();
    assert_eq!((&made["input"][0], adjusted.as_str()), (&item, ""));
    let (made, adjusted) = patched(&body, &Quirks::NONE).unwrap();
    assert_eq!((made["input"].as_array().unwrap().len(), adjusted.as_str()), (1, "reasoning=dropped"));
}

#[test]
fn a_request_of_the_same_protocol_keeps_everything_but_what_others_would_keep() {
    let foreign =
        Signature { format: text("anthropic-claude-v1"), data: text("EqQB"), id: None, role: SignatureRole::Signs };
    let xai = Signature { format: text("xai-responses-v1"), id: Some(text("rs_x")), ..foreign.clone() };
    let wrap =
        |signature: &Signature<'_>| carried::carrier().wrap(signature, SIGNED, &Owner::Here).decode().into_owned();
    let body = request(
        json!([{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"type": "reasoning", "id": "rs_2", "summary": []},
            {"type": "reasoning", "summary": [], "encrypted_content": wrap(&foreign)},
            {"type": "reasoning", "summary": [], "encrypted_content": wrap(&xai)},
            {"role": "user", "content": "hi"}]),
        json!({"tools": [{"type": "mcp", "server_label": "x"}], "something_new": 1, "store": true, "include": ["a"],
            "provider": {"order": ["x"]}}),
    );
    let (made, adjusted) = patched(&body, &Quirks::NONE).unwrap();
    assert_eq!(made["store"], false);
    assert_eq!(
        (&made["model"], &made["max_output_tokens"], &made["something_new"]),
        (&json!("their-model"), &json!(100), &json!(1))
    );
    assert_eq!(made["include"], json!(["a", "reasoning.encrypted_content"]));
    assert_eq!(made["tools"], json!([{"type": "mcp", "server_label": "x"}]));
    assert!(made["provider"].is_null(), "{made}");
    assert_eq!(made["input"].as_array().unwrap().len(), 2, "{made}");
    assert_eq!(adjusted, "store=dropped, reasoning=dropped");
    let (made, _) = patched(&body, &XAI).unwrap();
    assert_eq!(
        made["input"][0],
        json!({"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": "EqQB"}),
        "its own alone: what stands unwrapped is of the protocol's maker"
    );
    for kept in [json!({"conversation": "c"}), json!({"prompt": {"id": "p"}}), json!({"background": true})] {
        let failure = patched(&request(json!("hi"), kept), &Quirks::NONE).unwrap_err();
        assert_eq!(failure.kind, Kind::Unsupported);
    }
}

#[test]
fn a_request_translated_to_its_own_protocol_says_the_same_of_a_shape() {
    let body = request(
        json!("hi"),
        json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
            "reasoning": {"effort": "low", "summary": "auto"}}),
    );
    let read = read_request(body.as_bytes()).unwrap();
    let facts = ModelFacts::default();
    let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
    let made = crate::wire::Format::OpenAiResponses.write_request(&read, &target, &mut Adjusted::default()).unwrap();
    let made: Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(made["text"]["format"]["schema"], json!({"type": "object"}));
    assert_eq!(made["reasoning"], json!({"effort": "low", "summary": "auto"}));
}

/// Codex hands tools in later; models of others get them with the rest, and their calls come back under their own names.
#[test]
fn tools_that_come_in_items_can_be_called() {
    let more = json!([
        {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find", "parameters": {}}]},
        {"type": "custom", "name": "patch"}, {"type": "function", "name": "known", "parameters": {}}]);
    let item = json!({"type": "additional_tools", "role": "developer", "tools": more});
    let known = json!([{"type": "function", "name": "known", "parameters": {}}]);
    let bodies = [
        json!({"model": "m", "input": [{"role": "user", "content": "hi"}, item], "tools": known}).to_string(),
        json!({"tools": known, "input": [item, {"role": "user", "content": "hi"}], "model": "m"}).to_string(),
    ];
    for body in bodies {
        let read = read_request(body.as_bytes()).expect("a request");
        let names = read.tools.iter().filter_map(|tool| match tool {
            Tool::Function { name, .. } => Some(name.decode().into_owned()),
            Tool::Native(_) => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), ["known", "crm__find", "patch"]);
        assert!(read.unsayable.is_empty(), "{:?}", read.unsayable);
        let mut fold = crate::chat::Fold::new();
        fold.event(Event::Start { id: text("r"), model: text("m"), created: None });
        fold.event(Event::ToolCallStart { choice: 0, block: 0, id: text("c"), name: text("crm__find") });
        fold.event(Event::BlockEnd { choice: 0, block: 0 });
        fold.event(Event::End { choice: 0, reason: EndReason::plain(EndKind::ToolCalls) });
        let whole = write_answer(&fold.finish().unwrap(), &naming(&body), &Closing::default());
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        let call = &whole["output"][0];
        assert_eq!((&call["namespace"], &call["name"]), (&json!("crm"), &json!("find")), "{whole}");
        assert_eq!(whole["tools"].as_array().map(Vec::len), Some(4));
    }
}

/// A hundred thousand of them: whoever compared each with each would still be at it.
#[test]
fn as_many_tools_and_calls_are_read_as_a_body_holds() {
    let tools: Vec<Value> =
        (0..100_000).map(|at| json!({"type": "function", "name": format!("tool_{at:06}")})).collect();
    let calls = (0..100_000).map(|at| {
        json!({"type": "function_call", "call_id": format!("call_{at:06}"), "name": "tool_000000", "arguments": "{}"})
    });
    let results = (0..100_000)
        .map(|at| json!({"type": "function_call_output", "call_id": format!("call_{at:06}"), "output": ""}));
    let mut input: Vec<Value> = vec![json!({"type": "additional_tools", "tools": tools})];
    input.extend(calls.chain(results));
    let body = json!({"model": "m", "input": input}).to_string();
    let read = read_request(body.as_bytes()).expect("a request");
    assert_eq!(read.tools.len(), 100_000);
    let mut adjusted = Adjusted::default();
    let facts = ModelFacts::default();
    let target = crate::wire::Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &Default::default() };
    crate::wire::Format::Cohere.write_request(&read, &target, &mut adjusted).expect("it can be said");
    assert!(!adjusted.header().contains("messages"), "{}", adjusted.header());
}

/// It has thinking switched on and off, and maps levels itself.
#[test]
fn a_router_reads_what_is_said_of_thinking_whatever_the_model() {
    let facts = crate::provider::family("x-ai/grok-4.1-fast").expect("a family").facts();
    let made = |id: &str| {
        let quirks = &crate::provider::find(id).expect("a row").quirks;
        let body = json!({"model": "m", "input": "hi", "reasoning": {"enabled": true}}).to_string();
        let patch =
            RequestPatch { model: "m", stream: false, facts, default_max_tokens: None, keys: None, target: "p/m" };
        let made = patch_request(body.as_bytes(), &patch, quirks, &mut Adjusted::default()).expect("it");
        serde_json::from_slice::<Value>(&made.outgoing.body).expect("JSON")["reasoning"].clone()
    };
    assert_eq!((made("openrouter"), made("xai")), (json!({"enabled": true}), Value::Null));
}

/// Whoever runs a call that was cut runs something else than what the model wanted.
#[test]
fn what_the_limit_cut_is_told_as_incomplete() {
    let call = |block: u32, pieces: &[&str]| {
        let start = Event::ToolCallStart { choice: 0, block, id: text("c").into_owned(), name: text("f").into_owned() };
        let pieces = pieces.iter().map(|piece| text(piece).into_owned());
        let deltas = pieces.map(|arguments| Event::ToolCallDelta { choice: 0, block, arguments });
        std::iter::once(start).chain(deltas).collect::<Vec<Event<'static>>>()
    };
    let words = |block: u32| {
        let delta = Event::TextDelta { choice: 0, block, text: text("Wel").into_owned() };
        vec![Event::BlockStart { choice: 0, block, kind: BlockKind::Text }, delta]
    };
    let thought = |block: u32| {
        let delta = Event::ReasoningDelta { choice: 0, block, text: text("hm").into_owned() };
        vec![Event::BlockStart { choice: 0, block, kind: BlockKind::Reasoning }, delta]
    };
    let ends = |block: u32| vec![Event::BlockEnd { choice: 0, block }];
    let whole = json!("completed");
    let cut = json!("incomplete");
    let signs = |block: u32| {
        let (format, data) = (text("google-gemini-v1").into_owned(), text("s").into_owned());
        let signature = Signature { format, data, id: None, role: SignatureRole::Signs };
        vec![Event::BlockSignature { choice: 0, block, signature }]
    };
    let cases = [
        // One after the other, as Messages has it, and both open to the end, as Chat Completions has it.
        (vec![call(0, &["{}"]), ends(0), call(1, &["{\"a\":", "1"]), ends(1)], vec![&whole, &cut]),
        (vec![call(0, &["{}"]), call(1, &["{\"a\""]), ends(0), ends(1)], vec![&whole, &cut]),
        (vec![call(0, &["{}"]), ends(0)], vec![&cut]),
        (vec![words(0), ends(0)], vec![&cut]),
        (vec![words(0), signs(0), ends(0)], vec![&cut, &Value::Null]),
        (vec![words(0), ends(0), thought(1), ends(1)], vec![&whole, &Value::Null]),
    ];
    for (events, statuses) in cases {
        for kind in [EndKind::Length, EndKind::ContentFilter, EndKind::Stop] {
            let (mut writer, mut fold) = (Writer::new(naming("{}")), crate::chat::Fold::new());
            let start = Event::Start { id: text("r"), model: text("m"), created: None };
            let end = Event::End { choice: 0, reason: EndReason::plain(kind) };
            for event in [start].into_iter().chain(events.concat()).chain([end]) {
                fold.event(event.clone());
                writer.event(event);
            }
            writer.close(&Closing::default());
            let mut out = Vec::new();
            writer.take(&mut out);
            let told: Vec<Value> = String::from_utf8(out)
                .unwrap()
                .lines()
                .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
                .collect();
            let expected: Vec<Value> = statuses
                .iter()
                .map(|status| if kind == EndKind::Stop && !status.is_null() { &whole } else { *status }.clone())
                .collect();
            let mut done: Vec<&Value> =
                told.iter().filter(|event| event["type"] == "response.output_item.done").collect();
            done.sort_by_key(|event| event["output_index"].as_u64());
            let done: Vec<Value> = done.into_iter().map(|event| event["item"]["status"].clone()).collect();
            assert_eq!(done, expected, "{kind:?}: {events:?}");
            let status_of = |response: &Value| -> Vec<Value> {
                response["output"].as_array().unwrap().iter().map(|item| item["status"].clone()).collect()
            };
            let last = &told.last().unwrap()["response"];
            assert_eq!(status_of(last), expected, "{kind:?}: {events:?}");
            let plain = write_answer(&fold.finish().unwrap(), &naming("{}"), &Closing::default());
            let plain: Value = serde_json::from_slice(&plain).unwrap();
            assert_eq!(status_of(&plain), expected, "{kind:?}: {events:?}");
            assert_eq!(
                (&plain["status"], &plain["incomplete_details"]),
                (&last["status"], &last["incomplete_details"])
            );
            let (status, reason) = match kind {
                EndKind::Length => (&cut, json!({"reason": "max_output_tokens"})),
                EndKind::ContentFilter => (&cut, json!({"reason": "content_filter"})),
                _ => (&whole, Value::Null),
            };
            assert_eq!((&plain["status"], &plain["incomplete_details"]), (status, &reason));
        }
    }
}
