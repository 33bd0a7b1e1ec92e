use serde_json::{Value, json};

use super::*;
use crate::chat::{Message, Part, Role};
use crate::failure::Failure;
use crate::provider::{ModelFacts, Quirks, ReasoningBack, ReasoningParameter, ToolCallIds};
use crate::wire::openai_chat::{read_request, recorded};
use crate::wire::{InlinedMedia, InlinedPart};

fn write_as(body: &str, quirks: &Quirks, inlined: &InlinedMedia) -> Result<(Value, String), Failure> {
    let request = read_request(body.as_bytes()).expect(body);
    let facts = ModelFacts::default();
    let target = Target { model: "m", quirks, facts: &facts, inlined };
    let mut adjusted = Adjusted::default();
    let outgoing = write_request(&request, &target, &mut adjusted)?;
    Ok((serde_json::from_slice(&outgoing.body).expect("json"), adjusted.header()))
}

fn write(body: &str, quirks: &Quirks) -> (Value, String) {
    write_as(body, quirks, &InlinedMedia::new()).expect(body)
}

/// Texts that follow each other are one, and marks on results have no place in this format.
fn joined<'a>(messages: &[Message<'a>]) -> Vec<Message<'a>> {
    let mut joined = messages.to_vec();
    for message in &mut joined {
        // A result is told apart by its call's id alone.
        message.name = message.name.take().filter(|_| message.role != Role::Tool);
        join(&mut message.parts);
    }
    joined
}

fn join(parts: &mut Vec<Part<'_>>) {
    for part in std::mem::take(parts) {
        match (parts.last_mut(), part) {
            (Some(Part::Text { text, .. }), Part::Text { text: more, .. }) => text.push(&more),
            (_, Part::ToolResult { call_id, parts: mut inner, is_error, .. }) => {
                join(&mut inner);
                inner.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
                parts.push(Part::ToolResult { call_id, parts: inner, is_error, cache: None });
            }
            (_, Part::Text { text, .. }) if text.is_empty() => {}
            (_, Part::Text { text, signature, .. }) => {
                parts.push(Part::Text { text, cache: None, citations: Vec::new(), signature });
            }
            // Vendors want a name.
            (_, Part::File { source, name, cache }) => {
                let name = name.or(Some(Text::escape("document.pdf")));
                parts.push(Part::File { source, name, cache });
            }
            (_, part) => parts.push(part),
        }
    }
}

#[test]
fn what_is_written_reads_back_as_what_was_asked() {
    let quirks = Quirks {
        reasoning_control: ReasoningParameter::Object,
        reasoning_back: ReasoningBack::Details,
        ..Quirks::NONE
    };
    let facts = ModelFacts::default();
    let inlined = InlinedMedia::new();
    let target = Target { model: "m", quirks: &quirks, facts: &facts, inlined: &inlined };
    // Its tool answers with a picture, which only a user can show here.
    let moved = |(id, _): &(String, String)| id != "llamacpp.vision.29228b5b3e";
    for (id, body) in recorded::chat_requests().into_iter().filter(moved) {
        let request = read_request(body.as_bytes()).expect(&id);
        let written = write_request(&request, &target, &mut Adjusted::default());
        let written = written.unwrap_or_else(|failure| panic!("{id}: {failure}")).body;
        let again = read_request(&written).unwrap_or_else(|failure| panic!("{id}: {failure}"));
        assert_eq!(joined(&again.messages), joined(&request.messages), "{id}");
        assert_eq!((again.tools.len(), &again.output), (request.tools.len(), &request.output), "{id}");
        let mut sampling = request.sampling.clone();
        sampling.n = sampling.n.filter(|n| *n != 1);
        sampling.logprobs = sampling.logprobs.filter(|wanted| *wanted);
        assert_eq!(again.sampling, sampling, "{id}");
        assert_eq!(again.max_output_tokens, request.max_output_tokens, "{id}");
        assert_eq!((again.stream, &again.reasoning), (request.stream, &request.reasoning), "{id}");
    }
}

#[test]
fn the_vendors_ways_are_kept() {
    let quirks = Quirks {
        developer_role: false,
        seed: "random_seed",
        tool_call_ids: ToolCallIds::NineAlphanumerics,
        refuses: &["user", "stream_options"],
        json_schema: false,
        reasoning_back: ReasoningBack::ReasoningContent,
        chat_path: "/chat",
        ..Quirks::COMPATIBLE
    };
    let body = r#"{"model":"x","stream":true,"seed":1,"user":"u","max_tokens":5,"messages":[{"role":"developer","content":"d"},
        {"role":"assistant","content":"c","reasoning_content":"r","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"t"}],
        "response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}}}"#;
    let (written, adjusted) = write(body, &quirks);
    assert_eq!(adjusted, "response_format=changed, user=dropped");
    assert_eq!((&written["random_seed"], &written["max_tokens"]), (&json!(1), &json!(5)));
    assert!(written.get("stream_options").is_none() && written.get("user").is_none());
    let messages = written["messages"].as_array().expect("messages");
    assert!(messages[0]["content"].as_str().is_some_and(|words| words.contains("JSON Schema")));
    assert_eq!(messages[1], json!({"role": "system", "content": "d"}));
    assert_eq!(messages[2]["reasoning_content"], "r");
    assert_eq!(messages[2]["tool_calls"][0]["id"], messages[3]["tool_call_id"]);
    assert_eq!(written["response_format"], json!({"type": "json_object"}));
}

#[test]
fn sound_and_documents_are_fetched_and_pictures_are_linked() {
    let body = r#"{"model":"x","messages":[{"role":"user","content":[
        {"type":"image_url","image_url":"https://x.test/a.png"},
        {"type":"file","file":{"file_data":"https://x.test/a.pdf","filename":"a.pdf"}}]}]}"#;
    let request = read_request(body.as_bytes()).expect(body);
    let (facts, mut inlined) = (ModelFacts::default(), InlinedMedia::new());
    let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    assert_eq!(links_to_inline(&request, &target), ["https://x.test/a.pdf"]);
    let fetched = InlinedPart { media_type: "application/pdf".to_owned(), data: "AAAA".to_owned() };
    inlined.insert("https://x.test/a.pdf".to_owned(), fetched);
    let (written, _) = write_as(body, &Quirks::NONE, &inlined).expect("a request");
    let parts = &written["messages"][0]["content"];
    assert_eq!(parts[0]["image_url"]["url"], "https://x.test/a.png");
    assert_eq!(parts[1]["file"], json!({"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}));
    let video = body.replace("image_url", "video_url");
    let refused = write_as(&video, &Quirks::NONE, &inlined).expect_err("no vendor of this format takes video");
    assert_eq!(refused.param.as_deref(), Some("messages.0.content.0"));
}

#[test]
fn labels_go_along_with_an_answer_that_is_kept_and_else_nowhere() {
    let ask = |more: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"metadata":{{"a":"b"}}{more}}}"#)
    };
    let (made, adjusted) = write(&ask(""), &Quirks::NONE);
    assert_eq!((made.get("metadata"), adjusted.as_str()), (None, "metadata=dropped"));
    let (made, adjusted) = write(&ask(r#","store":true"#), &Quirks::NONE);
    assert_eq!((&made["metadata"], &made["store"], adjusted.as_str()), (&json!({"a": "b"}), &json!(true), ""));
    let refuses = Quirks { refuses: &["store"], ..Quirks::NONE };
    let (made, _) = write(&ask(r#","store":true"#), &refuses);
    assert_eq!((made.get("metadata"), made.get("store")), (None, None));
}

#[test]
fn a_turn_that_was_cut_short_over_its_thoughts_is_left_out_where_they_cannot_go_back() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"},
        {"role":"assistant","content":null,"reasoning_content":"hm"},{"role":"user","content":"b"}]}"#;
    let (made, adjusted) = write(body, &Quirks { reasoning_back: ReasoningBack::Nowhere, ..Quirks::NONE });
    let roles = |made: &Value| -> Vec<Value> {
        made["messages"].as_array().expect("messages").iter().map(|message| message["role"].clone()).collect()
    };
    assert_eq!((roles(&made), adjusted.as_str()), (vec![json!("user"), json!("user")], "reasoning_details=dropped"));
    let (made, _) = write(body, &Quirks { reasoning_back: ReasoningBack::ReasoningContent, ..Quirks::NONE });
    assert_eq!(made["messages"][1], json!({"role": "assistant", "content": "", "reasoning_content": "hm"}));
}

#[test]
fn the_root_of_a_schema_is_an_object_where_it_has_to_be() {
    let parameters = r#"{"type":"object","properties":{"a":{}},"oneOf":[{"required":["a"]},{}]}"#;
    let tools = format!(
        r#"[{{"type":"function","function":{{"name":"f","parameters":{parameters}}}}},
        {{"type":"function","function":{{"name":"g"}}}}]"#
    );
    let request = format!(r#"{{"model":"x","messages":[{{"role":"user","content":"a"}}],"tools":{tools}}}"#);
    let (body, adjusted) = write(&request, &Quirks::COMPATIBLE);
    let parameters = |at: usize| body["tools"][at]["function"]["parameters"].clone();
    assert_eq!(parameters(0), json!({"type": "object", "properties": {"a": {}}}));
    assert_eq!(parameters(1), json!({"type": "object", "properties": {}}));
    assert_eq!(adjusted, "tools.parameters=changed");
    let listed = r#"{"model":"x","messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema",
        "json_schema":{"name":"n","schema":{"type":"array","items":{"type":"string"}}}}}"#;
    let (body, _) = write(listed, &Quirks::NONE);
    let schema = &body["response_format"]["json_schema"]["schema"];
    assert_eq!((&schema["type"], &schema["properties"]["latchkey_value"]["type"]), (&json!("object"), &json!("array")));
    let circle = listed.replace(r#""type":"array""#, r##""$ref":"#""##);
    let refused = write_as(&circle, &Quirks::NONE, &InlinedMedia::new()).expect_err("a circle");
    assert_eq!(refused.param.as_deref(), Some("response_format.json_schema.schema"));
    let (body, _) = write(listed, &Quirks::COMPATIBLE);
    assert_eq!(body["response_format"]["json_schema"]["schema"]["type"], "array");
}

#[test]
fn nothing_stands_between_the_results_of_one_turn() {
    let call = |id: &str| format!(r#"{{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}"#);
    let picture = r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#;
    let request = format!(
        r#"{{"model":"x","messages":[{{"role":"user","content":"a"}},
        {{"role":"assistant","tool_calls":[{},{}]}},
        {{"role":"tool","tool_call_id":"1","content":[{{"type":"text","text":"one"}},{picture}]}},
        {{"role":"tool","tool_call_id":"2","content":"two"}},
        {{"role":"assistant","content":"b"}}]}}"#,
        call("1"),
        call("2")
    );
    let (body, _) = write(&request, &Quirks::NONE);
    let messages = body["messages"].as_array().expect("messages");
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().expect("a role")).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user", "assistant"]);
    assert_eq!(messages[4]["content"][0]["type"], "image_url");
}

#[test]
fn only_allowed_tools_are_there_to_be_called() {
    let tool = |name: &str| format!(r#"{{"type":"function","function":{{"name":"{name}"}}}}"#);
    let request = |allowed: &str| {
        format!(
            r#"{{"model":"x","messages":[{{"role":"user","content":"a"}}],"tools":[{},{}],"tool_choice":
            {{"type":"allowed_tools","allowed_tools":{{"mode":"required","tools":[{}]}}}}}}"#,
            tool("f"),
            tool("g"),
            tool(allowed)
        )
    };
    let (body, _) = write(&request("g"), &Quirks::COMPATIBLE);
    let tools = body["tools"].as_array().expect("tools");
    assert_eq!(
        (tools.len(), &tools[0]["function"]["name"], &body["tool_choice"]),
        (1, &json!("g"), &json!("required"))
    );
    let refused = write_as(&request("h"), &Quirks::COMPATIBLE, &InlinedMedia::new()).expect_err("no tool");
    assert_eq!(refused.param.as_deref(), Some("tool_choice"));
}

#[test]
fn a_turn_of_calls_alone_has_empty_text_where_null_is_refused() {
    let request = r#"{"model":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,
        "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"1","content":"b"}]}"#;
    let content = |quirks: Quirks| write(request, &quirks).0["messages"][1]["content"].clone();
    assert_eq!(content(Quirks::COMPATIBLE), Value::Null);
    assert_eq!(content(Quirks { null_content: false, ..Quirks::COMPATIBLE }), json!(""));
}

/// What `more` of a request becomes for a provider's model.
fn sent(provider: &str, model: &str, more: Value) -> Result<(Value, String), Failure> {
    let mut body = json!({"model": "x", "messages": [{"role": "user", "content": "a"}]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let body = body.to_string();
    let request = read_request(body.as_bytes()).expect("a request");
    let facts = crate::provider::family(model).map_or_else(ModelFacts::default, |family| family.facts().clone());
    let quirks = &crate::provider::find(provider).expect("a row").quirks;
    let target = Target { model, quirks, facts: &facts, inlined: &InlinedMedia::new() };
    let mut adjusted = Adjusted::default();
    let outgoing = write_request(&request, &target, &mut adjusted)?;
    Ok((serde_json::from_slice(&outgoing.body).expect("json"), adjusted.header()))
}

#[test]
fn what_a_host_refuses_of_some_models_is_left_out() {
    let drawn = json!({"temperature": 0.2, "top_p": 0.9});
    let (body, told) = sent("moonshot", "kimi-k2.6", drawn).expect("it");
    assert_eq!((body.get("temperature"), told.as_str()), (None, "temperature=dropped, top_p=dropped"));
    let refused = sent("openai", "gpt-5", json!({"stop": ["END"]})).expect_err("a harmful loss");
    assert_eq!(refused.param.as_deref(), Some("stop"));
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let forced = json!({"tool_choice": "required", "tools": [tool]});
    let (body, told) = sent("moonshot", "kimi-k2.7-code", forced).expect("it");
    assert_eq!((&body["tool_choice"], told.as_str()), (&json!("auto"), "tool_choice=changed"));
    assert!(body["messages"][0]["content"].as_str().is_some_and(|words| words.contains("Call at least one")));
}

/// Tiers of other protocols are no words of OpenAI's, which answers them with an error.
#[test]
fn a_tier_of_another_protocol_is_left_out() {
    for (tier, told) in [("standard", ""), ("reserved", "service_tier=dropped"), ("priority", "")] {
        let (body, header) = sent("openai", "gpt-4o", json!({"service_tier": tier})).expect("it");
        let kept = body.get("service_tier").and_then(Value::as_str);
        assert_eq!((kept, header.as_str()), ((tier == "priority").then_some(tier), told), "{tier}");
    }
}
