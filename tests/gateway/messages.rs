//! Callers who speak Anthropic Messages, to upstreams of every format.

use latchkey::budget::{Budget, Period, Scope};
use latchkey::gateway::{FetchedMedia, Input, Step};
use latchkey::keys::Key;
use latchkey::units::NanoUsd;
use serde_json::{Value, json};

use crate::world::{World, header, header_of, json as read, refused, sent};

const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hi!","unmodelled":1}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"output_tokens":3},"unmodelled":2}"#;

const OPENAI: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}"#;

fn hello(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","max_tokens":50,"messages":[{{"role":"user","content":"Hi"}}]{more}}}"#)
}

/// The events of a stream: names and data.
fn events(text: &str) -> Vec<(String, Value)> {
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    let parts = events.map(|event| event.split_once("\ndata: ").unwrap_or_else(|| panic!("no data: {event}")));
    parts.map(|(name, data)| (name.trim_start_matches("event: ").to_owned(), read(data.as_bytes()))).collect()
}

#[test]
fn the_same_protocol_is_patched_with_its_headers_and_nothing_is_lost() {
    let mut world = World::default();
    let body = hello("anthropic/claude-sonnet-4-5", r#", "unmodelled": [1], "provider": {"only": ["anthropic"]}"#);
    let more = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "a-2025-01-01,b-2025-02-02\n")];
    let (id, step) = world.send("/v1/messages", &body, &more);
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.anthropic.com/v1/messages");
    assert_eq!(header_of(&outbound, "anthropic-beta"), Some("a-2025-01-01,b-2025-02-02"));
    assert_eq!(header_of(&outbound, "anthropic-version"), Some("2023-06-01"));
    let expected = hello("claude-sonnet-4-5", r#", "unmodelled": [1]"#);
    assert_eq!(String::from_utf8(outbound.body).expect("text"), expected);
    let response = world.answer(id, 200, &[], CLAUDE);
    let answer = read(&response.body);
    assert_eq!((&answer["unmodelled"], &answer["content"][0]["unmodelled"]), (&json!(2), &json!(1)));
    assert!(answer["usage"]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{answer}");
    let record = world.only_record();
    assert_eq!((record.endpoint, record.lane, record.status), ("messages", "patched", 200));
}

#[test]
fn another_protocol_is_translated_both_ways() {
    let mut world = World::default();
    let more = r#","system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],
        "tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"eager_input_streaming":true}],
        "tool_choice":{"type":"any","disable_parallel_tool_use":true},"context_management":{"edits":[]}"#;
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", more));
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.openai.com/v1/chat/completions");
    assert_eq!(header_of(&outbound, "anthropic-version"), None);
    let request = read(&outbound.body);
    assert_eq!(request["messages"][0], json!({"role": "system", "content": "Be brief."}));
    assert_eq!(request["tools"][0]["function"]["name"], "f");
    assert_eq!((&request["tool_choice"], &request["parallel_tool_calls"]), (&json!("required"), &json!(false)));
    let response = world.answer(id, 200, &[], OPENAI);
    let adjusted = header(&response, "x-latchkey-adjusted").expect("what was dropped");
    assert!(
        adjusted.contains("context_management=dropped") && adjusted.contains("cache_control=dropped"),
        "{adjusted}"
    );
    let answer = read(&response.body);
    let call = json!({"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}});
    assert_eq!((&answer["type"], &answer["content"]), (&json!("message"), &json!([call])));
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!((&answer["usage"]["input_tokens"], &answer["usage"]["cache_read_input_tokens"]), (&json!(6), &json!(4)));
}

#[test]
fn thoughts_are_shown_to_those_who_ask_for_them() {
    let answer = r#"{"id":"c","object":"chat.completion","created":1,"model":"deepseek-reasoner","choices":[{"index":0,"message":{"role":"assistant","content":"4","reasoning_content":"2+2"},"finish_reason":"stop"}]}"#;
    for (more, expected) in [("", 1), (r#","thinking":{"type":"enabled","budget_tokens":1024}"#, 2)] {
        let mut world = World::default();
        let (id, step) = world.post("/v1/messages", &hello("deepseek/deepseek-reasoner", more));
        sent(step);
        let response = world.answer(id, 200, &[], answer);
        let content = read(&response.body)["content"].clone();
        assert_eq!(content.as_array().map(Vec::len), Some(expected), "{content}");
        assert_eq!(content[expected - 1]["text"], "4");
    }
}

#[test]
fn a_stream_of_another_protocol_has_every_event_in_its_place() {
    let chunks = [
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":"He"},"finish_reason":null}]}"#,
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"y"},"finish_reason":null}]}"#,
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}"#,
        "data: [DONE]",
    ]
    .map(|chunk| format!("{chunk}\n\n"));
    let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", r#","stream":true"#));
    let request = read(&sent(step).body);
    assert_eq!(request["stream_options"]["include_usage"], true);
    let streamed = world.stream(id, &pieces, Input::End);
    assert_eq!(header(&streamed.head, "content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(&streamed.text);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
    assert!(events.iter().all(|(name, data)| data["type"] == name.as_str()), "{events:?}");
    let (_, end) = &events[5];
    assert_eq!((&end["delta"]["stop_reason"], &end["usage"]["input_tokens"]), (&json!("end_turn"), &json!(10)));

    // The same, broken off after the first words.
    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", r#","stream":true"#));
    sent(step);
    let streamed = world.stream(id, &pieces[..2], Input::Broken("reset"));
    let events = self::events(&streamed.text);
    let (name, data) = events.last().expect("an event");
    assert_eq!((name.as_str(), &data["error"]["type"]), ("error", &json!("api_error")));
}

#[test]
fn errors_have_the_callers_own_shape() {
    let mut world = World::default();
    let (status, body) = refused(world.post("/v1/messages", "{}").1);
    assert_eq!(
        (status, &body["type"], &body["error"]["type"]),
        (400, &json!("error"), &json!("invalid_request_error"))
    );
    let (status, body) = refused(world.post("/v1/messages", &hello("nobody/knows", "")).1);
    assert_eq!((status, &body["error"]["type"]), (404, &json!("not_found_error")));
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", ""));
    sent(step);
    let limited = r#"{"error":{"message":"Slow down.","type":"requests","code":"rate_limit_exceeded"}}"#;
    let response = world.answer(id, 429, &[("retry-after", "7")], limited);
    assert_eq!((response.status, header(&response, "retry-after")), (429, Some("7")));
    assert_eq!(read(&response.body)["error"]["type"], "rate_limit_error");
}

/// A conversation that begins with one vendor's model and goes on with another's.
#[test]
fn what_one_model_signed_goes_back_to_it_and_to_nobody_else() {
    let called = r#"{"responseId":"R","modelVersion":"gemini-3-flash-preview","candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{}},"thoughtSignature":"c2lnbmVk"}]},"finishReason":"STOP"}]}"#;
    let tools = r#","tools":[{"name":"f","input_schema":{"type":"object"}}]"#;
    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("gemini/gemini-3-flash-preview", tools));
    sent(step);
    let content = read(&world.answer(id, 200, &[], called).body)["content"].clone();
    assert_eq!(content[1]["type"], "tool_use", "{content}");
    let next = |model: &str| {
        let messages = json!([
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "7"}]},
        ]);
        let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
        json!({"model": model, "max_tokens": 50, "messages": messages, "tools": tools}).to_string()
    };
    let back = read(&sent(world.post("/v1/messages", &next("gemini/gemini-3-flash-preview")).1).body);
    assert_eq!(back["contents"][1]["parts"][0]["thoughtSignature"], "c2lnbmVk", "{back}");
    let elsewhere = read(&sent(world.post("/v1/messages", &next("anthropic/claude-sonnet-4-5")).1).body);
    let kept: Vec<&str> = elsewhere["messages"][1]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["type"].as_str().unwrap())
        .collect();
    assert_eq!(kept, ["tool_use"], "{elsewhere}");
}

/// A maker's own service follows links; hosts of the same models get what they lead to, whatever the caller speaks.
#[test]
fn hosts_get_what_links_lead_to() {
    let link = "https://a.example/cat.png";
    let block = format!(r#"{{"type":"image","source":{{"type":"url","url":"{link}"}}}}"#);
    let of_messages = |model: &str| {
        format!(
            r#"{{"model":"{model}","max_tokens":50,"messages":[{{"role":"user","content":[{block}]}}],"unmodelled":1}}"#
        )
    };
    let of_chat = |model: &str| {
        format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{link}"}}}}]}}]}}"#
        )
    };
    let keys = [
        ("BEDROCK_ANTHROPIC_API_KEY", "k"),
        ("AWS_REGION", "eu-central-1"),
        ("VERTEX_ANTHROPIC_API_KEY", "k"),
        ("VERTEX_PROJECT", "shop"),
        ("VERTEX_LOCATION", "global"),
    ];
    let mut world = World::of(Key::default(), r#"{"version":1}"#, &keys);
    let kept = read(&sent(world.post("/v1/messages", &of_messages("anthropic/claude-sonnet-4-5")).1).body);
    assert_eq!(kept["messages"][0]["content"][0]["source"]["url"], link);
    for host in ["bedrock-anthropic", "vertex-anthropic"] {
        let model = format!("{host}/claude-sonnet-4-5");
        for (path, body) in [("/v1/messages", of_messages(&model)), ("/v1/chat/completions", of_chat(&model))] {
            let (id, step) = world.post(path, &body);
            assert!(matches!(&step, Step::FetchMedia(links, _) if links == &[link]), "{host} {path}: {step:?}");
            let media = FetchedMedia { media_type: "image/png".to_owned(), bytes: b"foo".to_vec() };
            let request = read(&sent(world.resume(id, Input::Media(vec![Ok(media)]))).body);
            let source = json!({"type": "base64", "media_type": "image/png", "data": "Zm9v"});
            assert_eq!(request["messages"][0]["content"][0]["source"], source, "{host} {path}");
            assert_eq!(request["unmodelled"] == 1, path == "/v1/messages");
        }
    }
}

/// Stores of objects serve what they were not told the type of as bytes.
#[test]
fn what_a_link_leads_to_is_known_by_how_it_begins() {
    let body = r#"{"model":"bedrock/amazon.nova-lite-v1:0","messages":[{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"https://a.example/cat"}}]}]}"#;
    let fetched = |bytes: &[u8]| {
        let mut world = World::of(Key::default(), r#"{"version":1}"#, &[("BEDROCK_API_KEY", "k"), ("AWS_REGION", "x")]);
        let (id, _) = world.post("/v1/chat/completions", body);
        let media = FetchedMedia { media_type: "binary/octet-stream".to_owned(), bytes: bytes.to_vec() };
        world.resume(id, Input::Media(vec![Ok(media)]))
    };
    let request = read(&sent(fetched(b"\x89PNG\r\n\x1a\n")).body);
    assert_eq!(request["messages"][0]["content"][0]["image"]["format"], "png");
    let refused = fetched(b"#!/bin/sh");
    assert!(matches!(&refused, Step::Respond(response) if response.status == 400), "{refused:?}");
}

/// What DeepSeek's own servers give is no limit of those that OpenRouter finds for its model.
#[test]
fn a_router_is_asked_for_all_that_is_wanted() {
    let keys = [("DEEPSEEK_API_KEY", "d"), ("OPENROUTER_API_KEY", "o")];
    for (model, most) in [("deepseek/deepseek-r1", 8192), ("openrouter/deepseek/deepseek-r1", 32_000)] {
        let mut world = World::of(Key::default(), r#"{"version":1}"#, &keys);
        let body = format!(r#"{{"model":"{model}","max_tokens":32000,"messages":[{{"role":"user","content":"Hi"}}]}}"#);
        let request = read(&sent(world.post("/v1/messages", &body).1).body);
        assert_eq!(request["max_tokens"], most, "{model}");
    }
}

/// Servers are known to count less than nothing: nobody is shown that before the estimate that it becomes.
#[test]
fn a_count_that_no_call_can_have_is_not_told_at_the_start() {
    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", r#","stream":true"#));
    sent(step);
    let slip = r#""usage":{"prompt_tokens":18446744073709551615,"completion_tokens":1,"total_tokens":0}"#;
    let chunk = |delta: &str, end: &str| {
        let choice = format!(r#"{{"index":0,"delta":{delta},"finish_reason":{end}}}"#);
        format!("data: {{\"id\":\"c\",\"choices\":[{choice}],{slip}}}\n\n")
    };
    let first = chunk(r#"{"role":"assistant"}"#, "null");
    let second = chunk(r#"{"content":"x"}"#, r#""stop""#);
    let stream = format!("{first}{second}data: [DONE]\n\n");
    let streamed = world.stream(id, &[stream.as_bytes()], Input::End);
    assert!(streamed.text.contains(r#""estimated":true"#), "{}", streamed.text);
    assert!(!streamed.text.contains("18446744073709551615"), "{}", streamed.text);
}

/// There is no `stop_reason` for a generation that failed, and a clean one would be a lie.
#[test]
fn a_generation_that_failed_is_an_error() {
    let failed = OPENAI.replace(r#""finish_reason":"tool_calls""#, r#""finish_reason":"error""#);
    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", ""));
    sent(step);
    let response = world.answer(id, 200, &[], &failed);
    let body = read(&response.body);
    assert_eq!((response.status, &body["error"]["type"]), (502, &json!("api_error")), "{body}");
    assert_eq!(body["error"]["message"], "The provider says that generation failed: error");
    let rows = world.rows();
    let [call, attempt] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((call.status, call.output_text), (502, 0));
    let paid = (attempt.output_text, attempt.state);
    assert_eq!(paid, (2, "settled_actual"), "what it used is known, and is paid for");

    // In a stream, it is told before anything was said, or once it comes.
    let chunk = |delta: &str, end: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{end}}}]}}\n\n")
    };
    let (words, end) = (chunk(r#"{"content":"Well"}"#, "null"), chunk("{}", r#""error""#));
    let silent = format!("{end}data: [DONE]\n\n");
    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", r#","stream":true"#));
    sent(step);
    assert!(matches!(world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")])), Step::Hold));
    let Step::Respond(response) = world.resume(id, Input::Chunk(silent.as_bytes())) else { panic!("not answered") };
    assert_eq!((response.status, &read(&response.body)["error"]["type"]), (502, &json!("api_error")));

    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", r#","stream":true"#));
    sent(step);
    let streamed = world.stream(id, &[words.as_bytes(), silent.as_bytes()], Input::End);
    let events = events(&streamed.text);
    let (name, data) = events.last().expect("an event");
    assert_eq!((name.as_str(), &data["error"]["type"]), ("error", &json!("api_error")), "{}", streamed.text);
    assert!(
        !streamed.text.contains("stop_reason\":\"") && !streamed.text.contains("message_stop"),
        "{}",
        streamed.text
    );
    assert!(world.only_record().error.is_some());

    // A stream that came in one piece.
    let mut world = World::default();
    let (id, step) = world.post("/v1/messages", &hello("openai/gpt-4o", r#","stream":true"#));
    sent(step);
    let response = world.answer(id, 200, &[("content-type", "application/json")], &failed);
    assert_eq!((response.status, &read(&response.body)["error"]["type"]), (502, &json!("api_error")));
}

/// Nor is it charged at its worst case where the upstream counted it to the end.
#[test]
fn a_generation_that_failed_costs_what_it_used() {
    let prices = r#"{"version":1,"failover":{"enabled":false},"providers":{"cave":{"base_url":"https://cave.example/v1",
        "format":"openai_chat","auth":"none","key_variables":[],"models":["m"]}},
        "models":{"cave/m":{"mode":"chat","prices":[{"usd_per_mtok":{"input":2,"output":8}}]}}}"#;
    let body = r#"{"model":"cave/m","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let usage = r#""usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}"#;
    let chunk = |delta: &str, end: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{end}}}]}}\n\n")
    };
    let (words, end) = (chunk(r#"{"content":"Well"}"#, "null"), chunk("{}", r#""error""#));
    let counted = format!("{end}data: {{\"choices\":[],{usage}}}\n\n");
    let ended = format!("{counted}data: [DONE]\n\n");
    let at_once = format!("{words}{ended}");
    let whole =
        r#"{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"Well"},"finish_reason":"error"}]"#;
    let whole = format!("{whole},{usage}}}");
    let strict = Budget {
        id: "bud".into(),
        scope: Scope::key("*"),
        limit: NanoUsd::DOLLAR,
        period: Period::Total,
        ..Budget::default()
    };
    let charged = |kind: &str, pieces: &[&str]| {
        let mut world = World::with(Key { budgets: vec![strict.clone()], ..Key::default() }, Some(prices));
        let (id, step) = world.post("/v1/messages", body);
        sent(step);
        if kind == "application/json" {
            world.answer(id, 200, &[("content-type", kind)], pieces[0]);
        } else {
            world.resume(id, Input::Headers(200, &[("content-type", kind)]));
            let mut step = Step::Hold;
            for piece in pieces.iter().map(|piece| Input::Chunk(piece.as_bytes())).chain([Input::End]) {
                if !matches!(step, Step::Respond(_) | Step::Finish(_)) {
                    step = world.resume(id, piece);
                }
            }
        }
        world.report();
        let now = world.now;
        world.ledger.as_mut().and_then(|ledger| ledger.standing("bud/key_test", now)).expect("known").spent
    };
    // 10 × 2 + 2 × 8 micro-dollars.
    assert_eq!(charged("text/event-stream", &[&words, &ended]), 36_000);
    assert_eq!(charged("text/event-stream", &[&at_once]), 36_000);
    assert_eq!(charged("application/json", &[&whole]), 36_000);
    // Servers that stream under a wrong label are read as what they send.
    assert_eq!(charged("application/json", &[&at_once]), 36_000);
    // Without its end, nobody knows what else it did.
    assert!(charged("text/event-stream", &[&words, &counted]) > 8_000_000);
}

/// Clients tell by a model's name how it is asked to think, and know none of an alias, nor who is asked once that one fails.
#[test]
fn each_claude_of_an_alias_is_asked_to_think_in_its_own_words() {
    let document = r#"{"version":1,"failover":{"same_target":0},"aliases":{"any":{"candidates":[
        "anthropic/claude-haiku-4-5","anthropic/claude-opus-4-8","openai/gpt-5.4"]}}}"#;
    let mut world = World::of(Key::default(), document, &[]);
    let more = r#","thinking":{"type":"enabled","budget_tokens":2000,"display":"omitted"}"#;
    let (id, step) = world.post("/v1/messages", &hello("any", more).replace("50", "4096"));
    let first = read(&sent(step).body);
    assert_eq!(first["thinking"], json!({"type": "enabled", "budget_tokens": 2000, "display": "omitted"}));
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let second = read(&sent(world.refuse(id, 529, &[], overloaded)).body);
    assert_eq!(second["thinking"], json!({"type": "adaptive", "display": "omitted"}));
    assert_eq!(second["output_config"], json!({"effort": "low"}));
    let third = read(&sent(world.refuse(id, 529, &[], overloaded)).body);
    assert_eq!((&third["model"], &third["reasoning_effort"]), (&json!("gpt-5.4"), &json!("low")));

    let mut world = World::of(Key::default(), document, &[]);
    let more = r#","thinking":{"type":"adaptive"},"output_config":{"effort":"medium"}"#;
    let (id, step) = world.post("/v1/messages", &hello("any", more).replace("50", "4096"));
    let first = read(&sent(step).body);
    assert_eq!((&first["thinking"]["budget_tokens"], first.get("output_config")), (&json!(2048), None));
    let response = world.answer(id, 200, &[], CLAUDE);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("output_config.effort=dropped"));
}

/// An effort goes into the words, too, and clients send one whether a model is to think or not. Elsewhere it is thinking alone.
#[test]
fn who_is_not_to_think_is_not_asked_for_an_effort() {
    let effort = r#","output_config":{"effort":"high"}"#;
    let off = format!(r#"{effort},"thinking":{{"type":"disabled"}}"#);
    for (model, name, expected) in [
        ("openai/gpt-5.4", "reasoning_effort", json!("none")),
        ("openrouter/openai/gpt-5.4", "reasoning", json!({"enabled": false})),
        ("deepseek/deepseek-v4-flash", "thinking", json!({"type": "disabled"})),
    ] {
        let (_, step) = World::default().post("/v1/messages", &hello(model, &off));
        assert_eq!(read(&sent(step).body)[name], expected, "{model}");
    }
    // How much is said by the effort; a budget of none beside it is no wish.
    let adaptive = format!(r#"{effort},"thinking":{{"budget_tokens":0,"type":"adaptive"}}"#);
    let (_, step) =
        World::default().post("/v1/messages", &hello("gemini/gemini-2.5-pro", &adaptive).replace("50", "9000"));
    let config = read(&sent(step).body)["generationConfig"]["thinkingConfig"].clone();
    assert_eq!(config, json!({"thinkingBudget": 7200, "includeThoughts": true}));
}
