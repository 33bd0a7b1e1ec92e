//! What goes upstream, and what comes back on each lane.

use latchkey::gateway::{Deadline, Input, Step};
use latchkey::keys::Key;

use crate::world::{World, events, header, header_of, json, refused, sent};

const OPENAI_ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"Hi!","unmodelled":[1]},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12},"system_fingerprint":"fp"}"#;

const OPENAI_STREAM: &[&[u8]] = &[
    b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n",
    b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,\"total_tokens\":11}}\n\n",
    b"data: [DONE]\n\n",
];

#[test]
fn the_same_protocol_is_patched_and_nothing_is_lost() {
    let mut world = World::default();
    let body = r#"{ "model": "openai/gpt-4o", "messages": [{"role":"user","content":"Hi"}], "unmodelled": {"a": 1} }"#;
    let (id, step) = world.chat(body);
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.openai.com/v1/chat/completions");
    assert_eq!(header_of(&outbound, "authorization"), Some("Bearer sk-openai-secret"));
    let expected = body.replace("openai/gpt-4o", "gpt-4o");
    assert_eq!(String::from_utf8(outbound.body).expect("text"), expected);

    let response = world.answer(id, 200, &[], OPENAI_ANSWER);
    assert_eq!(response.status, 200);
    assert_eq!(header(&response, "x-latchkey-provider"), Some("openai"));
    assert_eq!(header(&response, "x-latchkey-model"), Some("openai/gpt-4o"));
    assert_eq!(header(&response, "cache-control"), Some("private, no-store"));
    let answer = json(&response.body);
    assert_eq!(answer["choices"][0]["message"]["unmodelled"][0], 1);
    assert_eq!(answer["system_fingerprint"], "fp");
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

#[test]
fn a_bare_id_goes_to_its_maker_and_is_translated() {
    let mut world = World::default();
    let body = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"seed":7}"#;
    let (id, step) = world.chat(body);
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.anthropic.com/v1/messages");
    assert_eq!(header_of(&outbound, "x-api-key"), Some("sk-ant-secret"));
    assert!(header_of(&outbound, "anthropic-version").is_some());
    let request = json(&outbound.body);
    assert_eq!(request["model"], "claude-sonnet-4-5");
    assert!(request["max_tokens"].as_u64().is_some_and(|most| most > 0));

    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hi!"}],"stop_reason":"end_turn","usage":{"input_tokens":12,"output_tokens":3,"cache_read_input_tokens":5}}"#;
    let response = world.answer(id, 200, &[], answer);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("seed=dropped"));
    let answer = json(&response.body);
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi!");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["choices"][0]["native_finish_reason"], "end_turn");
    assert_eq!(answer["usage"]["prompt_tokens"], 17);
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 5);
}

#[test]
fn the_caller_sees_the_usage_chunk_only_when_asked() {
    for asked in [false, true] {
        let mut world = World::default();
        let options = if asked { r#","stream_options":{"include_usage":true}"# } else { "" };
        let body = format!(r#"{{"model":"openai/gpt-4o","messages":[],"stream":true{options}}}"#);
        let (id, step) = world.chat(&body);
        let request = json(&sent(step).body);
        assert_eq!(request["stream_options"]["include_usage"], true, "an upstream is always asked");
        let streamed = world.stream(id, OPENAI_STREAM, Input::End);
        let events = events(&streamed.text);
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
        let usage: Vec<_> = events.iter().filter(|event| event.contains("\"prompt_tokens\":10")).collect();
        assert_eq!(usage.len(), usize::from(asked), "{events:?}");
        if asked {
            assert!(json(usage[0].as_bytes())["usage"]["cost"].as_f64().is_some_and(|cost| cost > 0.0));
        }
        let record = world.only_record();
        assert_eq!((record.input_fresh, record.output_text, record.state), (10, 1, "settled_actual"));
    }
}

#[test]
fn a_relayed_stream_is_byte_for_byte_the_upstreams() {
    let mut world = World::with(Key::default(), Some(r#"{"version":1,"lanes":{"relay":true}}"#));
    let body = r#"{"model":"openai/gpt-4o","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let (id, step) = world.chat(body);
    sent(step);
    let streamed = world.stream(id, OPENAI_STREAM, Input::End);
    assert_eq!(streamed.text.as_bytes(), OPENAI_STREAM.concat());
    let record = world.only_record();
    assert_eq!((record.lane, record.input_fresh, record.output_text), ("relay", 10, 1));
    assert!(record.cost_nano.is_some_and(|cost| cost > 0));
}

#[test]
fn nothing_is_sent_to_the_caller_before_the_first_token() {
    let mut world = World::default();
    let (id, step) = world.chat(r#"{"model":"openai/gpt-4o","messages":[],"stream":true}"#);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    let role_only = world.resume(id, Input::Chunk(OPENAI_STREAM[0]));
    assert!(matches!(role_only, Step::Hold), "{role_only:?}");
    let token = world.resume(id, Input::Chunk(OPENAI_STREAM[1]));
    assert!(matches!(token, Step::Commit { .. }), "{token:?}");
}

#[test]
fn silence_commits_the_call_and_keeps_it_warm() {
    let mut world = World::default();
    let (id, step) =
        world.chat(r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}],"stream":true}"#);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    match world.resume(id, Input::Silence) {
        Step::Commit { head, relay: false } => assert_eq!(head.body, b": keep-alive\n\n"),
        step => panic!("{step:?}"),
    }
    assert!(matches!(world.resume(id, Input::Silence), Step::Write(bytes) if bytes == b": keep-alive\n\n"));
}

#[test]
fn what_comes_to_a_stream_that_silence_began_is_no_first_token() {
    for relay in ["true", "false"] {
        let document = format!(r#"{{"version":1,"lanes":{{"relay":{relay}}}}}"#);
        let mut world = World::with(Key::default(), Some(&document));
        let body = r#"{"model":"openai/gpt-4o","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
        let (id, step) = world.chat(body);
        sent(step);
        world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
        assert!(!world.gateway.has_spoken(id));
        assert!(matches!(world.resume(id, Input::Silence), Step::Commit { .. }));
        for piece in [b": ping\n\n", OPENAI_STREAM[0]] {
            assert!(matches!(world.resume(id, Input::Chunk(piece)), Step::Write(_)));
            assert!(!world.gateway.has_spoken(id), "{}", String::from_utf8_lossy(piece));
        }
        world.resume(id, Input::Chunk(OPENAI_STREAM[1]));
        assert!(world.gateway.has_spoken(id));
        // What died before it spoke would have ended in an error that names the deadline.
        let Step::Finish(bytes) = world.resume(id, Input::Expired(Deadline::FirstToken)) else { panic!("going on") };
        assert!(String::from_utf8_lossy(&bytes).contains("`first_token`"));
        assert!(world.gateway.has_spoken(id), "it is over, and waits for nothing");
    }
}

#[test]
fn policy_and_model_strings_are_checked_before_anything_is_sent() {
    let key = Key { denied_models: vec!["openai/*".to_owned()], ..Key::default() };
    let mut world = World::with(key, None);
    let (status, error) = refused(world.chat(r#"{"model":"openai/gpt-4o","messages":[]}"#).1);
    assert_eq!((status, &error["error"]["code"]), (403, &"model_not_allowed".into()));
    let (status, error) = refused(world.chat(r#"{"model":"no-such-model-at-all","messages":[]}"#).1);
    assert_eq!((status, &error["error"]["code"]), (404, &"model_not_found".into()));
    assert!(world.records().iter().all(|record| record.cost_nano.is_none()));
}

#[test]
fn a_callers_own_provider_key_is_used_only_if_allowed() {
    let body = r#"{"model":"openai/gpt-4o","messages":[]}"#;
    let own = [("x-latchkey-provider-key", "sk-their-own")];
    let (status, error) = refused(World::default().send("/v1/chat/completions", body, &own).1);
    assert_eq!((status, &error["error"]["code"]), (403, &"provider_key_not_allowed".into()));

    let mut world = World::with(Key { allow_provider_key: true, ..Key::default() }, None);
    let (id, step) = world.send("/v1/chat/completions", body, &own);
    assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-their-own"));
    world.answer(id, 200, &[], OPENAI_ANSWER);
    let record = world.only_record();
    assert_eq!(record.cost_nano, Some(0));
    assert!(record.upstream_cost_nano.is_some_and(|cost| cost > 0));
}

#[test]
fn a_key_caps_the_output_of_calls_that_name_no_cap() {
    for (model, pointer) in [
        ("openai/gpt-4o", "/max_completion_tokens"),
        ("deepseek/deepseek-chat", "/max_tokens"),
        ("anthropic/claude-sonnet-4-5", "/max_tokens"),
        ("gemini/gemini-2.5-flash", "/generationConfig/maxOutputTokens"),
    ] {
        for (named, most) in [("", 77), (r#","max_tokens":null"#, 77), (r#","max_tokens":50"#, 50)] {
            let mut world = World::with(Key { default_max_tokens: Some(77), ..Key::default() }, None);
            let asked = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{named}}}"#);
            let body = json(&sent(world.chat(&asked).1).body);
            let cap = body.pointer(pointer).or_else(|| body.get("max_tokens"));
            assert_eq!(cap, Some(&most.into()), "{model} {named}: {body}");
        }
    }
}

#[test]
fn what_would_be_cut_short_is_given_room() {
    let rest = [("WORKERS_AI_API_KEY", "k"), ("CLOUDFLARE_ACCOUNT_ID", "a")];
    for variables in [&rest[..], &[("binding:AI", "on")]] {
        for (named, prompt, most) in [
            ("", 400, 5_900..6_000),
            (r#","max_tokens":null"#, 400, 5_900..6_000),
            (r#","max_tokens":50"#, 400, 50..51),
            // What is left of 24,000 is less, but not known so well.
            ("", 24_000, 3_000..3_001),
        ] {
            let mut world = World::of(Key::default(), r#"{"version":1}"#, variables);
            let model = "workers-ai/@cf/meta/llama-3.3-70b-instruct-fp8-fast";
            let text = "a".repeat(prompt);
            let asked = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{named}}}"#);
            let body = json(&sent(world.chat(&asked).1).body);
            let cap = body["max_tokens"].as_u64().expect("a limit");
            assert!(most.contains(&cap), "{cap} for {prompt} bytes{named}");
        }
    }
    // What a long text leaves may be too little, and what does not fit is refused; a picture has few tokens.
    for (shown, most) in [(false, None), (true, Some(3_000))] {
        let mut world = World::of(Key::default(), r#"{"version":1}"#, &rest);
        let long = format!("{}{}", if shown { "data:image/png;base64," } else { "" }, "A".repeat(60_000));
        let content = match shown {
            true => serde_json::json!([{"type": "image_url", "image_url": {"url": long}}]),
            false => long.into(),
        };
        let messages = serde_json::json!([{"role": "user", "content": content}]);
        let model = "workers-ai/@cf/meta/llama-3.3-70b-instruct-fp8-fast";
        let asked = serde_json::json!({"model": model, "messages": messages}).to_string();
        assert_eq!(json(&sent(world.chat(&asked).1).body)["max_tokens"].as_u64(), most, "{shown}");
    }
    let mut world = World::of(Key { default_max_tokens: Some(77), ..Key::default() }, r#"{"version":1}"#, &rest);
    let asked = r#"{"model":"workers-ai/@cf/nobody/knows","messages":[{"role":"user","content":"Hi"}]}"#;
    assert_eq!(json(&sent(world.chat(asked).1).body)["max_tokens"], 77);
}

/// Strict clients run the calls of an answer that says so in a word they know.
#[test]
fn an_answer_that_calls_tools_ends_with_calls_whatever_its_upstream_says() {
    let body =
        |more: &str| format!(r#"{{"model":"openai/gpt-4o","messages":[{{"role":"user","content":"q"}}]{more}}}"#);
    let call = r#"{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let plain = |finish: &str| {
        let choice = format!(
            r#"{{"index":0,{finish},"message":{{"role":"assistant","content":null,"tool_calls":[{call}]}},"x":1}}"#
        );
        format!(r#"{{"id":"a","choices":[{choice}],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#)
    };
    let cases = [
        // OpenAI says so itself where a call is forced by name: openai.tools.207037be52.
        (r#""finish_reason":"stop""#, r#""finish_reason":"stop""#),
        (r#""finish_reason": null"#, r#""finish_reason": "tool_calls","native_finish_reason":null"#),
        (r#""finish_reason":"end_turn""#, r#""finish_reason":"tool_calls","native_finish_reason":"end_turn""#),
        (
            r#""finish_reason":"eos","native_finish_reason":"STOP""#,
            r#""finish_reason":"tool_calls","native_finish_reason":"STOP""#,
        ),
        (r#""finish_reason":"tool_calls""#, r#""finish_reason":"tool_calls""#),
        (r#""finish_reason":"length""#, r#""finish_reason":"length""#),
    ];
    for (given, told) in cases {
        let mut world = World::default();
        let (id, step) = world.chat(&body(""));
        sent(step);
        let response = world.answer(id, 200, &[], &plain(given));
        let answer = String::from_utf8(response.body).expect("text");
        assert!(answer.contains(&format!(r#"{{"index":0,{told},"message""#)), "{given}: {answer}");
        assert!(answer.contains(r#","x":1}"#), "{answer}");
        assert_eq!(world.only_record().lane, "patched");

        let chunk = |delta: &str, finish: &str| {
            format!("data: {{\"id\":\"a\",\"choices\":[{{\"index\":0,{finish},\"delta\":{delta},\"x\":1}}]}}\n\n")
        };
        let calls = chunk(
            r#"{"role":"assistant","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
            r#""finish_reason":null"#,
        );
        let last = format!("{}data: [DONE]\n\n", chunk("{}", given));
        let mut world = World::default();
        let (id, step) = world.chat(&body(r#","stream":true"#));
        sent(step);
        let streamed = world.stream(id, &[calls.as_bytes(), last.as_bytes()], Input::End).text;
        let ends: Vec<&str> =
            streamed.lines().filter(|line| line.contains("_reason\":") && !line.contains("\"f\"")).collect();
        let finished = ends.iter().find(|end| !end.contains("\"finish_reason\": null")).expect(&streamed);
        if given.ends_with("null") {
            assert!(finished.contains(r#""finish_reason":"tool_calls""#), "{given}: {streamed}");
        } else {
            assert!(finished.contains(&format!(r#"{{"index":0,{told},"delta":{{}},"x":1}}"#)), "{given}: {streamed}");
        }
        assert_eq!(world.only_record().lane, "patched");
    }

    // What calls nothing has stopped.
    let mut world = World::default();
    let (id, step) = world.chat(&body(""));
    sent(step);
    let said = plain(r#""finish_reason":"stop""#).replace(&format!("[{call}]"), "[]");
    let answer = String::from_utf8(world.answer(id, 200, &[], &said).body).expect("text");
    assert!(answer.contains(r#""finish_reason":"stop","message""#), "{answer}");
}

/// What each piece of a stream says, of words and of arguments, the caller has before the next piece comes.
#[test]
fn every_piece_goes_on_before_the_next_one_comes() {
    use serde_json::json;

    let openai = |delta: serde_json::Value| {
        format!("data: {}\n\n", json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
    };
    let claude =
        |data: serde_json::Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("a name"));
    let words = ["w0", "w1", "w2", "w3"];
    let said: Vec<String> = words.iter().map(|word| openai(json!({"content": word}))).collect();
    let begins = [json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "w0 "}})];
    let goes_on = words[1..].iter().map(|word| json!({"index": 0, "function": {"arguments": format!("{word} ")}}));
    let called: Vec<String> =
        begins.into_iter().chain(goes_on).map(|call| openai(json!({"tool_calls": [call]}))).collect();
    let of_claude = |block: serde_json::Value, kind: &str, key: &str| -> Vec<String> {
        let delta = |word: &&str| {
            claude(json!({"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: format!("{word} ")}}))
        };
        let mut pieces: Vec<String> = words.iter().map(delta).collect();
        let start = claude(json!({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1}}}));
        let begun = claude(json!({"type": "content_block_start", "index": 0, "content_block": block}));
        pieces[0] = [start, begun, pieces[0].clone()].concat();
        pieces
    };
    let texts = of_claude(json!({"type": "text", "text": ""}), "text_delta", "text");
    let inputs =
        of_claude(json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}), "input_json_delta", "partial_json");
    let gemini: Vec<String> = words
        .iter()
        .map(|word| {
            let candidate = json!({"content": {"role": "model", "parts": [{"text": word}]}});
            format!("data: {}\r\n\r\n", json!({"candidates": [candidate]}))
        })
        .collect();
    let bodies = [
        ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "q"}]})),
        ("/v1/messages", json!({"max_tokens": 99, "messages": [{"role": "user", "content": "q"}]})),
        ("/v1/responses", json!({"input": "q"})),
    ];
    for (model, pieces) in [
        ("openai/gpt-4o", &said),
        ("openai/gpt-4o", &called),
        ("anthropic/claude-sonnet-4-5", &texts),
        ("anthropic/claude-sonnet-4-5", &inputs),
        ("gemini/gemini-2.5-flash", &gemini),
    ] {
        // OpenAI is asked over Responses itself by those who speak it.
        let spoken = |path: &str| path != "/v1/responses" || !model.starts_with("openai");
        for (path, body) in bodies.iter().filter(|(path, _)| spoken(path)) {
            let mut body = body.clone();
            (body["model"], body["stream"]) = (json!(model), json!(true));
            let mut world = World::default();
            let (id, step) = world.post(path, &body.to_string());
            sent(step);
            world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
            for (word, piece) in words.iter().zip(pieces) {
                let told = match world.resume(id, Input::Chunk(piece.as_bytes())) {
                    Step::Commit { head, .. } => head.body,
                    Step::Write(bytes) => bytes.to_vec(),
                    step => panic!("{path} {model} {word}: {step:?}"),
                };
                assert!(String::from_utf8_lossy(&told).contains(word), "{path} {model}: {word} is held back");
            }
        }
    }
}
