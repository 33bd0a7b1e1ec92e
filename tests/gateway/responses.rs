//! Callers who speak OpenAI Responses, to upstreams of every format.

use latchkey::budget::{Budget, Scope};
use latchkey::gateway::Input;
use latchkey::units::NanoUsd;
use serde_json::{Value, json};

use crate::world::{World, header, json as read, refused, sent};

const PLAIN: &str = r#"{"id":"resp_up","object":"response","created_at":1,"status":"completed","model":"gpt-5","output":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi!","annotations":[]}]}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":12},"unmodelled":1}"#;

const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"thinking","thinking":"hm","signature":"EqQB"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":12,"output_tokens":3}}"#;

fn hello(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","input":"Hi"{more}}}"#)
}

/// The events of a stream.
fn events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| read(data.as_bytes())).collect()
}

#[test]
fn a_provider_that_speaks_it_gets_the_callers_own_request() {
    let mut world = World::default();
    let (id, step) = world.post("/v1/responses", &hello("openai/gpt-5", r#","unmodelled":[1],"store":true"#));
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.openai.com/v1/responses");
    let request = read(&outbound.body);
    assert_eq!((&request["model"], &request["unmodelled"]), (&json!("gpt-5"), &json!([1])));
    assert_eq!((&request["store"], &request["include"]), (&json!(false), &json!(["reasoning.encrypted_content"])));
    let response = world.answer(id, 200, &[], PLAIN);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("store=dropped"));
    let answer = read(&response.body);
    assert_eq!((&answer["id"], &answer["unmodelled"]), (&json!("resp_up"), &json!(1)));
    assert!(answer["usage"]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{answer}");
    let record = world.only_record();
    assert_eq!((record.endpoint, record.lane, record.status), ("responses", "patched", 200));
}

#[test]
fn another_protocol_is_translated_and_its_thoughts_come_back() {
    let mut world = World::default();
    let more = r#","instructions":"Be brief.","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],
        "reasoning":{"effort":"low","summary":"auto"},"truncation":"auto""#;
    let (id, step) = world.post("/v1/responses", &hello("anthropic/claude-sonnet-4-5", more));
    let request = read(&sent(step).body);
    assert_eq!(request["system"][0]["text"], "Be brief.");
    let response = world.answer(id, 200, &[], CLAUDE);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("truncation=dropped"));
    let answer = read(&response.body);
    assert_eq!((&answer["object"], &answer["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(answer["tools"][0]["name"], "f", "it repeats its request");
    let output = answer["output"].as_array().expect("items").clone();
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "function_call"]);
    assert_eq!((&output[1]["call_id"], &output[1]["arguments"]), (&json!("toolu_1"), &json!(r#"{"a":1}"#)));

    let mut input = vec![json!({"role": "user", "content": "Hi"})];
    input.extend(output);
    input.push(json!({"type": "function_call_output", "call_id": "toolu_1", "output": "7"}));
    let next = |model: &str| {
        let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
        json!({"model": model, "input": input, "tools": tools, "reasoning": {"effort": "low", "summary": "auto"}})
            .to_string()
    };
    let back = read(&sent(world.post("/v1/responses", &next("anthropic/claude-sonnet-4-5")).1).body);
    let thought = &back["messages"][1]["content"][0];
    assert_eq!((&thought["thinking"], &thought["signature"]), (&json!("hm"), &json!("EqQB")), "{back}");
    let (id, step) = world.post("/v1/responses", &next("openai/gpt-5"));
    let elsewhere = read(&sent(step).body);
    let kinds: Vec<_> = elsewhere["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, [Value::Null, json!("function_call"), json!("function_call_output")]);
    let response = world.answer(id, 200, &[], PLAIN);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("reasoning=dropped"));
}

#[test]
fn a_stream_has_every_event_in_its_place_and_never_ends_well_when_cut() {
    let chunks = [
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[{"index":0,"delta":{"role":"assistant","content":"He"},"finish_reason":null}]}"#,
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[{"index":0,"delta":{"content":"y"},"finish_reason":null}]}"#,
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}"#,
        "data: [DONE]",
    ]
    .map(|chunk| format!("{chunk}\n\n"));
    let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
    let own = r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false},"providers":{"own":{"base_url":"https://own.example/v1","auth":"none"}}}"#;
    let mut world = World::with(latchkey::keys::Key::default(), Some(own));
    let (id, step) = world.post("/v1/responses", &hello("own/llama", r#","stream":true"#));
    assert_eq!(sent(step).url, "https://own.example/v1/chat/completions");
    let streamed = world.stream(id, &pieces, Input::End);
    assert_eq!(header(&streamed.head, "content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(&streamed.text);
    let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ];
    assert_eq!(names, expected);
    assert!((0..).zip(&events).all(|(number, event)| event["sequence_number"] == json!(number)), "{events:?}");
    let end = &events[9]["response"];
    assert_eq!(
        (&end["incomplete_details"]["reason"], &end["usage"]["input_tokens"]),
        (&json!("max_output_tokens"), &json!(10))
    );
    assert_eq!(end["output"][0]["content"][0]["text"], "Hey");

    let (id, step) = world.post("/v1/responses", &hello("own/llama", r#","stream":true"#));
    sent(step);
    let streamed = world.stream(id, &pieces[..2], Input::Broken("reset"));
    let events = self::events(&streamed.text);
    let [.., error, last] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&error["type"], &last["type"]), (&json!("error"), &json!("response.failed")));
}

#[test]
fn a_conversation_is_made_shorter_by_providers_that_can() {
    const SHORTER: &str = r#"{"id":"resp_c","object":"response.compaction","created_at":1,"output":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]},{"type":"compaction","id":"cmp_1","encrypted_content":"gAAA"}],"usage":{"input_tokens":10,"output_tokens":2,"total_tokens":12}}"#;
    let document = r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false},
        "models":{"openai/gpt-5":{"prices":[{"usd_per_mtok":{"input":2,"output":8}}]}}}"#;
    let mut world = World::with(latchkey::keys::Key::default(), Some(document));
    let (id, step) = world.post("/v1/responses/compact", &hello("openai/gpt-5", r#","instructions":"Be brief.""#));
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.openai.com/v1/responses/compact");
    let request = json!({"model": "gpt-5", "input": "Hi", "instructions": "Be brief."});
    assert_eq!(read(&outbound.body), request, "it knows no other members");
    let response = world.answer(id, 200, &[], SHORTER);
    let (answer, said) = (read(&response.body), read(SHORTER.as_bytes()));
    assert_eq!((&answer["object"], &answer["output"]), (&said["object"], &said["output"]));
    assert_eq!(header(&response, "x-latchkey-cost"), Some("0.000036"));
    let record = world.only_record();
    assert_eq!(
        (record.endpoint, record.state, record.cost_nano),
        ("responses/compact", "settled_actual", Some(36_000))
    );

    let key = latchkey::keys::Key { budgets: vec![budget()], ..latchkey::keys::Key::default() };
    let mut strict = World::with(key, Some(document));
    let outbound = sent(strict.post("/v1/responses/compact", &hello("openai/gpt-5", r#","max_output_tokens":5"#)).1);
    assert_eq!(read(&outbound.body), json!({"model": "gpt-5", "input": "Hi"}), "nor a cap: the model's own bounds it");
    strict.report();
    let held = strict.ledger.as_mut().and_then(|ledger| ledger.standing("bud/key_test", strict.now));
    assert!(held.is_some_and(|it| it.leased >= 128_000 * 8_000), "{held:?}");

    let (status, body) = refused(world.post("/v1/responses/compact", &hello("anthropic/claude-sonnet-4-5", "")).1);
    assert_eq!((status, &body["error"]["code"]), (404, &json!("endpoint_not_available")), "{body}");
    let kept = hello("openai/gpt-5", r#","previous_response_id":"resp_1""#);
    let (status, body) = refused(world.post("/v1/responses/compact", &kept).1);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("previous_response_id")), "{body}");
}

/// What a generation took that failed is stated in its last event: that is charged, and no guess.
#[test]
fn a_stream_that_failed_costs_what_it_says() {
    let document = r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false},
        "models":{"openai/gpt-5.3-codex":{"prices":[{"usd_per_mtok":{"input":2,"output":8}}]}}}"#;
    let words = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Words that would be more than two tokens.\"}\n\n";
    let failed = |usage: &str| {
        format!(
            "event: response.failed\ndata: {{\"type\":\"response.failed\",\"response\":{{\"id\":\"r\",\"status\":\"failed\",\"error\":{{\"code\":\"server_error\",\"message\":\"Oops.\"}},\"usage\":{usage}}}}}\n\n"
        )
    };
    let stated = failed(r#"{"input_tokens":10,"output_tokens":2,"total_tokens":12}"#);
    for (path, ask) in [("/v1/responses", "input"), ("/v1/chat/completions", "messages")] {
        let body =
            format!(r#"{{"model":"openai/gpt-5.3-codex","stream":true,"{ask}":[{{"role":"user","content":"Hi"}}]}}"#);
        let charged = |pieces: &[&[u8]]| {
            let mut world = World::with(latchkey::keys::Key::default(), Some(document));
            let (id, step) = world.post(path, &body);
            sent(step);
            world.stream(id, pieces, Input::End);
            let rows = world.rows();
            let states: Vec<&str> = rows.iter().map(|row| row.state).collect();
            (states.join(" "), rows.iter().filter_map(|row| row.cost_nano).sum::<i64>())
        };
        // 10 × 2 + 2 × 8 micro-dollars.
        assert_eq!(charged(&[words.as_bytes(), stated.as_bytes()]), ("settled_actual".to_owned(), 36_000), "{path}");
        let (states, cost) = charged(&[stated.as_bytes()]);
        assert!(states.contains("settled_actual") && cost == 36_000, "{path}, before a word: {states}, {cost}");
        let (states, cost) = charged(&[words.as_bytes(), failed("null").as_bytes()]);
        assert!(states == "settled_estimate" && cost > 36_000, "{path}, without a count: {states}, {cost}");
        assert_eq!(charged(&[failed("null").as_bytes()]), ("released".to_owned(), 0), "{path}");
    }
}

/// The same of one that was not streamed, or came in one piece where a stream was asked for.
#[test]
fn an_answer_that_failed_costs_what_it_says() {
    let document = r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false},
        "models":{"openai/gpt-5.3-codex":{"prices":[{"usd_per_mtok":{"input":2,"output":8}}]}}}"#;
    let failed = r#""status":"failed","error":{"code":"server_error","message":"Oops."},"output":[]"#;
    let unsaid = r#""status":"failed","error":null,"output":[]"#;
    let usage = r#","usage":{"input_tokens":10,"output_tokens":2,"total_tokens":12}"#;
    for path in ["/v1/responses", "/v1/chat/completions"] {
        for stream in ["", r#","stream":true"#] {
            for (budgets, status, usage, charged) in [
                (Vec::new(), failed, usage, vec![("released", None), ("settled_actual", Some(36_000))]),
                (vec![budget()], failed, usage, vec![("released", None), ("settled_actual", Some(36_000))]),
                (vec![budget()], unsaid, usage, vec![("released", None), ("settled_actual", Some(36_000))]),
                (vec![budget()], failed, "", vec![("released", None)]),
            ] {
                let key = latchkey::keys::Key { budgets, ..latchkey::keys::Key::default() };
                let mut world = World::with(key, Some(document));
                let ask = if path.ends_with("responses") { "input" } else { "messages" };
                let asked =
                    format!(r#"{{"model":"openai/gpt-5.3-codex","{ask}":[{{"role":"user","content":"Hi"}}]{stream}}}"#);
                let (id, step) = world.post(path, &asked);
                sent(step);
                let answer =
                    world.answer(id, 200, &[], &format!(r#"{{"id":"r","object":"response",{status}{usage}}}"#));
                let told = read(&answer.body);
                assert_eq!((answer.status, told["error"].is_object()), (502, true), "{path}{stream}: {told}");
                let rows: Vec<_> = world.rows().iter().map(|row| (row.state, row.cost_nano)).collect();
                assert_eq!(rows, charged, "{path}{stream}{status}{usage}");
            }
        }
    }
}

fn budget() -> Budget {
    Budget { id: "bud".into(), scope: Scope::key("*"), limit: NanoUsd(2 * NanoUsd::DOLLAR.0), ..Budget::default() }
}

/// A model that its provider serves over Responses alone, for a caller of Chat Completions.
#[test]
fn callers_of_other_protocols_reach_models_of_responses() {
    let mut world = World::default();
    let body = r#"{"model":"openai/gpt-5.3-codex","messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.post("/v1/chat/completions", body);
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.openai.com/v1/responses");
    assert_eq!(read(&outbound.body)["input"], json!([{"role": "user", "content": "Hi"}]));
    let answer = read(&world.answer(id, 200, &[], PLAIN).body);
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi!");
    assert_eq!(world.only_record().lane, "translated");
}

/// "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions."
#[test]
fn tools_that_are_thought_over_go_where_they_are_taken() {
    const CALLS: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-5.6-sol","output":[{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}","status":"completed"}],"usage":{"input_tokens":9,"output_tokens":2,"total_tokens":11}}"#;
    let (tool, effort) = (r#","tools":[{"type":"function","function":{"name":"f"}}]"#, r#","reasoning_effort":"low""#);
    let cases = [
        ("openai/gpt-5.6-sol", tool.to_owned(), "responses"),
        ("openai/gpt-5.4-mini", format!("{tool}{effort}"), "responses"),
        ("openai/gpt-5.4-mini", tool.to_owned(), "chat/completions"),
        ("openai/gpt-5.6-sol", effort.to_owned(), "chat/completions"),
        // "To use function tools, use /v1/responses or set reasoning_effort to 'none'", as callers do who want more answers.
        ("openai/gpt-5.6-sol", format!(r#"{tool},"reasoning_effort":"none","n":2"#), "chat/completions"),
        ("openai/gpt-5.6-sol", format!(r#"{tool},"reasoning":{{"enabled":false}}"#), "chat/completions"),
        ("openai/gpt-5.4-mini", format!(r#"{tool},"include_reasoning":false"#), "chat/completions"),
        // Responses has another form for tools with free-form input, to which these are not brought.
        ("openai/gpt-5.6-sol", r#","tools":[{"type":"custom","custom":{"name":"f"}}]"#.to_owned(), "chat/completions"),
        ("openai/gpt-5.2", format!("{tool}{effort}"), "chat/completions"),
        ("openrouter/openai/gpt-5.6-sol", tool.to_owned(), "chat/completions"),
    ];
    for (model, more, path) in cases {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{more}}}"#);
        let outbound = sent(World::default().post("/v1/chat/completions", &body).1);
        assert!(outbound.url.ends_with(path), "{model}{more}: {}", outbound.url);
    }
    let mut world = World::default();
    let body = r#"{"model":"openai/gpt-5.6-sol","max_tokens":9,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},
        "tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.post("/v1/messages", body);
    let request = read(&sent(step).body);
    assert_eq!((&request["tools"][0]["name"], &request["reasoning"]["effort"]), (&json!("f"), &json!("high")));
    let answer = read(&world.answer(id, 200, &[], CALLS).body);
    assert_eq!(answer["content"], json!([{"type": "tool_use", "id": "call_1", "name": "f", "input": {}}]));
}

/// What a candidate changes counts, and not what was changed for the one before it.
#[test]
fn an_effort_of_an_alias_goes_where_it_is_taken() {
    let document = r#"{"version":1,"failover":{"same_target":0},"aliases":{"any":{"candidates":[
        {"model":"openai/gpt-5.4","with":{"reasoning_effort":"low"}},"openai/gpt-5.4-mini"]}}}"#;
    let mut world = World::of(latchkey::keys::Key::default(), document, &[]);
    let body = r#"{"model":"any","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let (id, step) = world.post("/v1/chat/completions", body);
    let first = sent(step);
    assert!(first.url.ends_with("responses"), "{}", first.url);
    let second = sent(world.refuse(id, 500, &[], "oops"));
    assert!(second.url.ends_with("chat/completions"), "{}", second.url);
}

#[test]
fn what_would_have_to_be_remembered_is_refused() {
    let mut world = World::default();
    for more in [r#","previous_response_id":"resp_1""#, r#","conversation":"conv_1""#, r#","background":true"#] {
        for model in ["openai/gpt-5", "anthropic/claude-sonnet-4-5"] {
            let (status, body) = refused(world.post("/v1/responses", &hello(model, more)).1);
            assert_eq!((status, &body["error"]["code"]), (400, &json!("unsupported_parameter")), "{more}: {body}");
        }
    }
    let (status, body) = refused(world.post("/v1/responses", r#"{"model":"openai/gpt-5"}"#).1);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("input")));
}
