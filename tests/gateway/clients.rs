//! What clients send that worked without a gateway between, as users of other gateways reported it.

use latchkey::gateway::{Input, Step};
use latchkey::keys::Key;
use serde_json::{Value, json};

use crate::world::{World, json as read, sent};

const AWS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")];

fn world() -> World {
    let document = r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false}}"#;
    World::of(latchkey::keys::Key::default(), document, AWS)
}

/// Claude Code names tools of MCP servers by server and tool, and one name too long fails the whole call: "Invalid
/// 'tools[43].function.name': string too long. Expected a string with maximum length 64"
/// (<https://github.com/mrexodia/ida-pro-mcp/issues/129>, <https://github.com/QwenLM/Qwen3-VL/issues/2069>).
#[test]
fn tools_whose_names_are_too_long_are_called_by_their_own() {
    let long = "mcp__plugin_chrome-devtools-mcp_chrome-devtools__performance_analyze_insight";
    let body = |model: &str, more: &Value| {
        let mut body = json!({
            "model": model, "max_tokens": 100, "tool_choice": {"type": "tool", "name": long},
            "tools": [{"name": long, "input_schema": {"type": "object"}}, {"name": "Read", "input_schema": {"type": "object"}}],
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": long, "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
            ],
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    let cases = [
        (
            "openai/gpt-4o",
            "/tools/0/function/name",
            "/messages/1/tool_calls/0/function/name",
            "/tool_choice/function/name",
        ),
        ("deepseek/deepseek-v4-flash", "/tools/0/function/name", "/messages/1/tool_calls/0/function/name", "/model"),
        ("openai/gpt-5.3-codex", "/tools/0/name", "/input/1/name", "/tool_choice/name"),
        (
            "bedrock/amazon.nova-pro-v1:0",
            "/toolConfig/tools/0/toolSpec/name",
            "/messages/1/content/0/toolUse/name",
            "/toolConfig/toolChoice/tool/name",
        ),
    ];
    for (model, declared, called, chosen) in cases {
        let mut world = world();
        let (id, step) = world.post("/v1/messages", &body(model, &json!({})));
        let request = read(&sent(step).body);
        let short = request.pointer(declared).and_then(Value::as_str).expect(declared).to_owned();
        assert!(short.len() <= 64 && short.starts_with("mcp__plugin_chrome"), "{short}");
        assert_eq!(request.pointer(called), Some(&json!(short)), "{model}");
        assert!(chosen == "/model" || request.pointer(chosen) == Some(&json!(short)), "{model}: {request}");
        let calls = |name: &str| match model {
            "openai/gpt-5.3-codex" => json!({"id": "resp_1", "status": "completed", "model": "m", "output": [
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}", "status": "completed"}]}),
            "bedrock/amazon.nova-pro-v1:0" => {
                json!({"stopReason": "tool_use", "output": {"message": {"role": "assistant",
                "content": [{"toolUse": {"toolUseId": "call_1", "name": name, "input": {}}}]}}})
            }
            _ => {
                json!({"id": "c", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}}]}}]})
            }
        };
        let answer = read(&world.answer(id, 200, &[], &calls(&short).to_string()).body);
        assert_eq!(answer["content"][0]["name"], long, "{model}: {answer}");
        let (id, step) = world.post("/v1/messages", &body(model, &json!({})));
        sent(step);
        let answer = read(&world.answer(id, 200, &[], &calls("Read").to_string()).body);
        assert_eq!(answer["content"][0]["name"], "Read", "{model}: {answer}");
    }

    let mut world = world();
    let (id, step) = world.post("/v1/messages", &body("openai/gpt-4o", &json!({"stream": true})));
    let request = read(&sent(step).body);
    let function = json!({"name": request["tools"][0]["function"]["name"], "arguments": "{}"});
    let delta = json!({"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]});
    let chunks = [json!({"index": 0, "delta": delta}), json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"})]
        .map(|choice| format!("data: {}\n\n", json!({"id": "c", "choices": [choice]})));
    let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).chain([&b"data: [DONE]\n\n"[..]]).collect();
    let streamed = world.stream(id, &pieces, Input::End);
    assert!(streamed.text.contains(&format!(r#""name":"{long}""#)), "{}", streamed.text);
}

/// Gemini's own names have dots and colons, which Claude's may not: "tools.0.custom.name: String should match pattern".
#[test]
fn tools_with_letters_that_the_target_does_not_know_are_called_by_their_own() {
    let named = |name: &str| json!([{"functionDeclarations": [{"name": name}]}]);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "tools": named("mcp.server:look")});
    let mut world = world();
    let (id, step) = world.post("/v1beta/models/anthropic/claude-sonnet-4-5:generateContent", &body.to_string());
    let name = read(&sent(step).body)["tools"][0]["name"].clone();
    assert!(name.as_str().unwrap().starts_with("mcp_server_look_"), "{name}");
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let answer = read(&world.answer(id, 200, &[], &answer.to_string()).body);
    let call = &answer["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call["name"], "mcp.server:look", "{answer}");
}

/// Clients know OpenAI's words alone: "Unknown ChatFinishReason value. Actual value was eos" in front of Together
/// (<https://github.com/openai/openai-dotnet/pull/267>), `""` in chunks of SGLang's
/// (<https://github.com/sgl-project/sglang/issues/3912>), and Z.ai's own (<https://github.com/pydantic/pydantic-ai/issues/7816>).
#[test]
fn why_an_answer_ended_is_said_in_openais_words() {
    let own = r#"{"version":1,"failover":{"enabled":false},"providers":{"own":{"base_url":"https://own.example/v1","auth":"none"}}}"#;
    let body = |more: &str| format!(r#"{{"model":"own/llama","messages":[{{"role":"user","content":"Hi"}}]{more}}}"#);
    let words = [
        ("eos", "stop"),
        ("sensitive", "content_filter"),
        ("max_tokens", "length"),
        ("tool_calls", "tool_calls"),
        // Gemini's endpoint for Chat Completions says which filter it was.
        ("content_filter: RECITATION", "content_filter"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "error"),
    ];
    for (word, known) in words {
        let mut world = World::with(latchkey::keys::Key::default(), Some(own));
        let (id, step) = world.chat(&body(""));
        sent(step);
        let choice =
            json!({"index": 0, "message": {"role": "assistant", "content": "Hey"}, "finish_reason": word, "x": 1});
        let answer = read(&world.answer(id, 200, &[], &json!({"id": "c", "choices": [choice]}).to_string()).body);
        let told = &answer["choices"][0];
        assert_eq!((&told["finish_reason"], &told["x"]), (&json!(known), &json!(1)));
        assert!(word == known || told["native_finish_reason"] == word, "{told}");

        let (id, step) = world.chat(&body(r#","stream":true"#));
        sent(step);
        let chunks = [("Hey", ""), ("", word)].map(|(said, word)| {
            let choice = json!({"index": 0, "delta": {"content": said}, "finish_reason": word});
            format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
        });
        let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).chain([&b"data: [DONE]\n\n"[..]]).collect();
        let streamed = world.stream(id, &pieces, Input::End);
        let reasons: Vec<Value> = crate::world::events(&streamed.text)
            .iter()
            .filter_map(|event| read_chunk(event)?["choices"].get(0).map(|choice| choice["finish_reason"].clone()))
            .collect();
        assert_eq!(reasons, [Value::Null, json!(known)], "{}", streamed.text);
    }
    // Snowflake's whole answers have an empty word (`snowflake.chat.ced91b5b5a`).
    let mut world = World::with(latchkey::keys::Key::default(), Some(own));
    let (id, step) = world.chat(&body(""));
    sent(step);
    let silent =
        r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hey"},"finish_reason":""}]}"#;
    let answer = read(&world.answer(id, 200, &[], silent).body);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{answer}");
}

/// Choices that end together each say that they call tools, and only those: agents run no calls of one that says `stop`
/// (<https://github.com/anomalyco/opencode/issues/14972>).
#[test]
fn each_choice_that_calls_tools_says_so() {
    let own = r#"{"version":1,"failover":{"enabled":false},"providers":{"own":{"base_url":"https://own.example/v1","auth":"none"}}}"#;
    let mut world = World::with(latchkey::keys::Key::default(), Some(own));
    let body = r#"{"model":"own/llama","n":3,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.chat(body);
    sent(step);
    let call = json!([{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let said = [json!({"tool_calls": call}), json!({"tool_calls": call}), json!({"content": "Hey"})];
    let begun: Vec<Value> =
        (0..).zip(said).map(|(at, delta)| json!({"index": at, "delta": delta, "finish_reason": null})).collect();
    let ended: Vec<Value> = (0..3).map(|at| json!({"index": at, "delta": {}, "finish_reason": "stop"})).collect();
    let chunks = [begun, ended].map(|choices| format!("data: {}\n\n", json!({"id": "c", "choices": choices})));
    let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).chain([&b"data: [DONE]\n\n"[..]]).collect();
    let streamed = world.stream(id, &pieces, Input::End);
    let chunks: Vec<Value> =
        crate::world::events(&streamed.text).iter().filter_map(|event| read_chunk(event)).collect();
    let reasons: Vec<&Value> = chunks
        .iter()
        .flat_map(|chunk| chunk["choices"].as_array().into_iter().flatten())
        .map(|choice| &choice["finish_reason"])
        .filter(|reason| !reason.is_null())
        .collect();
    assert_eq!(reasons, ["tool_calls", "tool_calls", "stop"], "{}", streamed.text);

    let (id, step) = world.chat(&body.replace("true", "false"));
    sent(step);
    let said = [json!({"content": null, "tool_calls": call}), json!({"content": "Hey", "tool_calls": []})];
    let choices =
        (0..).zip(said).map(|(at, message)| json!({"index": at, "message": message, "finish_reason": "stop"}));
    let whole = json!({"id": "c", "choices": choices.collect::<Vec<Value>>()}).to_string();
    let answer = read(&world.answer(id, 200, &[], &whole).body);
    let reasons = [0, 1].map(|at| answer["choices"][at]["finish_reason"].clone());
    assert_eq!(reasons, ["tool_calls", "stop"], "{answer}");
    assert_eq!(answer["choices"][0]["native_finish_reason"], "stop");
}

/// A word that nobody knows says no more than that the answer is over, on every surface: Gemini CLI warns of `OTHER`.
#[test]
fn an_end_in_an_unknown_word_is_an_end() {
    let own = r#"{"version":1,"failover":{"enabled":false},"providers":{"own":{"base_url":"https://own.example/v1","auth":"none"}}}"#;
    let hi = r#"[{"role":"user","content":"Hi"}]"#;
    let cases = [
        ("/v1/messages", format!(r#"{{"model":"own/m","max_tokens":9,"messages":{hi}}}"#), "/stop_reason", "end_turn"),
        ("/v1/responses", format!(r#"{{"model":"own/m","input":{hi}}}"#), "/status", "completed"),
        ("/v2/chat", format!(r#"{{"model":"own/m","messages":{hi}}}"#), "/finish_reason", "COMPLETE"),
        (
            "/v1beta/models/own/m:generateContent",
            r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#.to_owned(),
            "/candidates/0/finishReason",
            "STOP",
        ),
        (
            "/model/own%2Fm/converse",
            r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#.to_owned(),
            "/stopReason",
            "end_turn",
        ),
    ];
    for (path, body, place, told) in cases {
        let mut world = World::with(latchkey::keys::Key::default(), Some(own));
        let (id, step) = world.post(path, &body);
        sent(step);
        let choice = json!({"index": 0, "message": {"role": "assistant", "content": "Hey"}, "finish_reason": "end"});
        let answer = read(&world.answer(id, 200, &[], &json!({"id": "c", "choices": [choice]}).to_string()).body);
        assert_eq!(answer.pointer(place), Some(&json!(told)), "{answer}");
    }
}

/// AWS lists `metrics` as required, and clients count on it: Strands makes its own of it at the end of every stream
/// (`extract_usage_metrics` in `strands/event_loop/streaming.py`).
#[test]
fn a_caller_of_converse_is_told_how_long_it_took() {
    let own = r#"{"version":1,"failover":{"enabled":false},"providers":{"own":{"base_url":"https://own.example/v1","auth":"none"}}}"#;
    let body = r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#;
    let mut world = World::with(latchkey::keys::Key::default(), Some(own));
    let (id, step) = world.post("/model/own%2Fm/converse", body);
    sent(step);
    world.now.0 += 250;
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "Hey"}, "finish_reason": "stop"});
    let answer = read(&world.answer(id, 200, &[], &json!({"id": "c", "choices": [choice]}).to_string()).body);
    let took = |answer: &serde_json::Value| answer["metrics"]["latencyMs"].as_u64().expect("a number");
    assert!((250..300).contains(&took(&answer)), "{answer}");

    let (id, step) = world.post("/model/own%2Fm/converse-stream", body);
    sent(step);
    world.now.0 += 1250;
    let chunk = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "Hey"}, "finish_reason": "stop"}]});
    let stream = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    let (_, written) = world.stream_bytes(id, &[stream.as_bytes()], latchkey::gateway::Input::End);
    let written = String::from_utf8_lossy(&written);
    let end = written.split_once(r#""metrics":{"latencyMs":"#).and_then(|(_, end)| end.split_once('}'));
    let took: u64 = end.expect("metrics").0.parse().expect("a number");
    assert!((1250..1300).contains(&took), "{written}");
}

/// Agents make room by words: Claude Code by Anthropic's (<https://github.com/musistudio/claude-code-router/issues/1799>), others
/// by OpenAI's code (<https://github.com/aaif-goose/goose/issues/11048>), and Codex by that code in a stream that failed, while
/// a 400 ends its turn (`map_api_error` in `codex-rs/codex-api/src/api_bridge.rs`).
#[test]
fn a_prompt_that_is_too_long_is_told_by_words_that_agents_know() {
    let hi = r#"[{"role":"user","content":"Hi"}]"#;
    let refused = |model: &str| match model {
        "deepseek/deepseek-v4-flash" => {
            json!({"error": {"code": "invalid_request_error", "message": "This model's maximum context length is 131072 tokens."}})
        }
        "openai/gpt-5.3-codex" => {
            json!({"error": {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}})
        }
        _ => {
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 2 tokens > 1 maximum"}})
        }
    };
    let ask = |path: &str, body: String| {
        let mut world = world();
        let (id, step) = world.post(path, &body);
        sent(step);
        let model = read(body.as_bytes())["model"].as_str().unwrap().to_owned();
        let step = world.refuse(id, 400, &[("content-type", "application/json")], &refused(&model).to_string());
        let latchkey::gateway::Step::Respond(response) = step else { panic!("{step:?}") };
        assert_eq!(world.only_record().status, 400);
        (response.status, String::from_utf8(response.body).unwrap())
    };
    for model in ["deepseek/deepseek-v4-flash", "openai/gpt-5.3-codex", "anthropic/claude-sonnet-4-5"] {
        let (status, told) =
            ask("/v1/messages", format!(r#"{{"model":"{model}","max_tokens":9,"stream":true,"messages":{hi}}}"#));
        let message = read(told.as_bytes())["error"]["message"].as_str().unwrap().to_owned();
        let said = refused(model)["error"]["message"].as_str().unwrap().to_owned();
        assert!(status == 400 && message.starts_with("prompt is too long: ") && message.ends_with(&said), "{told}");
        assert_eq!(message.matches("too long").count(), 1);

        for (path, key) in [("/v1/chat/completions", "messages"), ("/v1/responses", "input")] {
            let (status, told) = ask(path, format!(r#"{{"model":"{model}","{key}":{hi}}}"#));
            assert_eq!(
                (status, &read(told.as_bytes())["error"]["code"]),
                (400, &json!("context_length_exceeded")),
                "{told}"
            );
        }
        let (status, told) = ask("/v1/responses", format!(r#"{{"model":"{model}","stream":true,"input":{hi}}}"#));
        let events: Vec<Value> = told.lines().filter_map(|line| read_chunk(line.strip_prefix("data: ")?)).collect();
        let failed = events.last().unwrap_or_else(|| panic!("{told}"));
        assert_eq!((status, &failed["type"]), (200, &json!("response.failed")), "{told}");
        assert_eq!(failed["response"]["error"], json!({"code": "context_length_exceeded", "message": said}));
    }
}

#[test]
fn the_gateway_tells_of_long_prompts_as_providers_do() {
    let mut world =
        World::of(Key::default(), r#"{"version": 1, "aliases": {"small": {"candidates": ["openai/gpt-4"]}}}"#, &[]);
    let body = |stream: bool| json!({"model": "small", "stream": stream, "input": "word ".repeat(40_000)}).to_string();
    let refused = |step: Step| if let Step::Respond(response) = step { response } else { panic!("{step:?}") };
    let response = refused(world.post("/v1/responses", &body(false)).1);
    assert_eq!((response.status, &read(&response.body)["error"]["code"]), (400, &json!("context_length_exceeded")));
    let response = refused(world.post("/v1/responses", &body(true)).1);
    let told = String::from_utf8(response.body).unwrap();
    assert_eq!(response.status, 200);
    assert!(told.contains("event: response.failed") && told.contains("\"context_length_exceeded\""), "{told}");
    assert!(world.records().iter().all(|record| record.status == 400));
    let explained = world.send("/v1/responses", &body(true), &[("x-latchkey-explain", "true")]).1;
    let response = refused(explained);
    assert_eq!((response.status, read(&response.body)["latchkey"].is_object()), (400, true));
}

fn read_chunk(event: &str) -> Option<Value> {
    serde_json::from_str(event).ok()
}

/// What Claude Code asks in its auto mode of a model that takes no stop: answered with a 400, no command is ever run
/// (<https://github.com/BerriAI/litellm/issues/33075>, <https://github.com/CherryHQ/cherry-studio/pull/17680>).
#[test]
fn an_answer_ends_where_its_caller_says_though_the_model_goes_on() {
    let body = |model: &str, more: &str| {
        format!(
            r#"{{"model":"{model}","max_tokens":64,"stop_sequences":["</block>"],"messages":[{{"role":"user","content":"Hi"}}]{more}}}"#
        )
    };
    const SAID: &str = "<block>no</block><reason>none</reason>";
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21});
    let chat = json!({"id": "c", "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": SAID}}], "usage": usage});
    let responses = json!({"id": "resp_1", "status": "completed", "model": "m", "usage": {"input_tokens": 9, "output_tokens": 12},
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": SAID}]}]});
    for (model, answer) in [("openai/gpt-5", chat), ("openai/gpt-5.3-codex", responses)] {
        let mut world = world();
        let (id, step) = world.post("/v1/messages", &body(model, ""));
        assert_eq!(read(&sent(step).body)["stop"], Value::Null);
        let response = world.answer(id, 200, &[], &answer.to_string());
        assert_eq!(crate::world::header(&response, "x-latchkey-adjusted"), Some("stop=changed"));
        let answer = read(&response.body);
        assert_eq!(answer["content"], json!([{"type": "text", "text": "<block>no"}]), "{model}");
        assert_eq!((&answer["stop_reason"], &answer["usage"]["output_tokens"]), (&json!("stop_sequence"), &json!(12)));
        assert_eq!(answer["stop_sequence"], "</block>", "{model}");
    }

    for length in 1..=SAID.len() {
        let mut world = world();
        let (id, step) = world.post("/v1/messages", &body("openai/gpt-5", r#","stream":true"#));
        sent(step);
        let letters: Vec<char> = SAID.chars().collect();
        let mut chunks: Vec<String> = letters
            .chunks(length)
            .map(|said| json!({"index": 0, "delta": {"content": said.iter().collect::<String>()}}))
            .chain([json!({"index": 0, "delta": {}, "finish_reason": "length"})])
            .map(|choice| format!("data: {}\n\n", json!({"id": "c", "choices": [choice]})))
            .collect();
        chunks.push(format!("data: {}\n\n", json!({"id": "c", "choices": [], "usage": usage})));
        chunks.push("data: [DONE]\n\n".to_owned());
        let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
        let streamed = world.stream(id, &pieces, Input::End);
        let events: Vec<Value> =
            streamed.text.lines().filter_map(|line| read_chunk(line.strip_prefix("data: ")?)).collect();
        let said: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!(said, "<block>no", "{}", streamed.text);
        let [.., stop, end, last] = events.as_slice() else { panic!("{}", streamed.text) };
        assert_eq!((&stop["type"], &last["type"]), (&json!("content_block_stop"), &json!("message_stop")));
        assert_eq!(
            (&end["delta"]["stop_reason"], &end["usage"]["output_tokens"]),
            (&json!("stop_sequence"), &json!(12))
        );
        assert_eq!(end["delta"]["stop_sequence"], "</block>");
    }
}

/// vLLM says which stop ended an answer in `stop_reason`, SGLang in `matched_stop`; both say there by number that it was a
/// token, and Claude's own words stand there in front of some models.
#[test]
fn a_stop_that_the_provider_names_is_told() {
    let own = r#"{"version":1,"failover":{"enabled":false},"providers":{"own":{"base_url":"https://own.example/v1","auth":"none"}}}"#;
    let body = |more: &str| {
        format!(
            r#"{{"model":"own/llama","max_tokens":9,"stop_sequences":["</b>"],"messages":[{{"role":"user","content":"Hi"}}]{more}}}"#
        )
    };
    let none = json!(["end_turn", null]);
    let which = json!(["stop_sequence", "</b>"]);
    let cases = [
        (json!({"stop_reason": "</b>"}), &which),
        (json!({"matched_stop": "</b>", "stop_reason": null}), &which),
        (json!({"stop_reason": 154_827, "matched_stop": 1}), &none),
        (json!({"stop_reason": "end_turn"}), &none),
    ];
    for (named, told) in cases {
        let choice = |key: &str, said: Value| {
            let mut choice = json!({"index": 0, key: said, "finish_reason": "stop"});
            choice.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
            json!({"id": "c", "choices": [choice]}).to_string()
        };
        let mut world = World::with(latchkey::keys::Key::default(), Some(own));
        let (id, step) = world.post("/v1/messages", &body(""));
        sent(step);
        let whole = choice("message", json!({"role": "assistant", "content": "<b>no"}));
        let answer = read(&world.answer(id, 200, &[], &whole).body);
        assert_eq!(&json!([answer["stop_reason"], answer["stop_sequence"]]), told, "{named}");

        let (id, step) = world.post("/v1/messages", &body(r#","stream":true"#));
        sent(step);
        let chunk = format!("data: {}\n\ndata: [DONE]\n\n", choice("delta", json!({"content": "<b>no"})));
        let streamed = world.stream(id, &[chunk.as_bytes()], Input::End);
        let end = streamed.text.lines().filter_map(|line| read_chunk(line.strip_prefix("data: ")?));
        let end = end.map(|event| event["delta"].clone()).find(|delta| delta.get("stop_reason").is_some());
        let end = end.expect("an end");
        assert_eq!(&json!([end["stop_reason"], end["stop_sequence"]]), told, "{named}");
    }
}

/// Calls of Chat Completions are open until the stream ends, and the writer of Messages keeps words behind them.
#[test]
fn a_call_before_a_stop_is_ended_and_told() {
    let mut world = world();
    let body = r#"{"model":"openai/gpt-5","max_tokens":64,"stream":true,"stop_sequences":["</b>"],
        "tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.post("/v1/messages", body);
    sent(step);
    let call = |call: Value| json!({"index": 0, "delta": {"tool_calls": [call]}});
    let mut chunks: Vec<String> = [
        call(json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}})),
        json!({"index": 0, "delta": {"content": "Calling</b> more"}}),
        call(json!({"index": 0, "function": {"arguments": ":1}"}})),
        call(json!({"index": 1, "id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}})),
        json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"}),
    ]
    .map(|choice| format!("data: {}\n\n", json!({"id": "c", "choices": [choice]})))
    .into();
    chunks.push("data: [DONE]\n\n".to_owned());
    let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
    let streamed = world.stream(id, &pieces, Input::End);
    let told: Vec<String> = streamed
        .text
        .lines()
        .filter_map(|line| read_chunk(line.strip_prefix("data: ")?))
        .filter_map(|event| {
            let index = event["index"].as_u64()?;
            let said = match event["type"].as_str()? {
                "content_block_start" => event["content_block"]["type"].as_str()?,
                "content_block_stop" => "end",
                _ => event["delta"]["partial_json"].as_str().or(event["delta"]["text"].as_str())?,
            };
            Some(format!("{index} {said}"))
        })
        .collect();
    let expected = ["0 tool_use", "0 {\"a\"", "0 :1}", "0 end", "1 text", "1 Calling", "1 end"];
    assert_eq!(told, expected, "{}", streamed.text);
    assert!(streamed.text.contains(r#""stop_reason":"tool_use""#), "{}", streamed.text);
}

/// What nearly is a stop is told once it is clear that it is none, and one that is empty stops nothing.
#[test]
fn what_only_begins_like_a_stop_is_told() {
    let mut world = world();
    let body = r#"{"model":"openai/gpt-5.3-codex","stop":["aab",""],"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.chat(body);
    sent(step);
    let event = |event: Value| format!("data: {event}\n\n");
    let item = json!({"type": "message", "id": "m", "role": "assistant", "content": []});
    let chunks = [
        event(json!({"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}})),
        event(json!({"type": "response.output_item.added", "output_index": 0, "item": item})),
        event(
            json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "m", "delta": "ü\"aa"}),
        ),
        event(
            json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "m", "delta": "c aa"}),
        ),
        event(json!({"type": "response.output_item.done", "output_index": 0, "item": item})),
        event(
            json!({"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed", "output": [],
            "usage": {"input_tokens": 1, "output_tokens": 4}}}),
        ),
    ];
    let pieces: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
    let streamed = world.stream(id, &pieces, Input::End);
    let said: String = crate::world::events(&streamed.text)
        .iter()
        .filter_map(|event| read_chunk(event)?["choices"].get(0)?["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, "ü\"aac aa", "{}", streamed.text);
    assert!(streamed.text.contains(r#""finish_reason":"stop""#), "{}", streamed.text);

    let body = r#"{"model":"openai/gpt-5.3-codex","stop":"","messages":[{"role":"user","content":"Hi"}]}"#;
    sent(world.chat(body).1);
    // Each piece of an answer is gone through for each of them, so they are few.
    let many = json!({"model": "openai/gpt-5.3-codex", "stop": vec!["a"; 17], "messages": [{"role": "user", "content": "Hi"}]});
    let (status, answer) = crate::world::refused(world.chat(&many.to_string()).1);
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("stop")));
}

/// Claude Code's search of the web, and that of Chat Completions: "Unknown parameter: 'web_search_options'"
/// (<https://github.com/BerriAI/litellm/issues/12311>, <https://github.com/BerriAI/litellm/issues/14250>).
#[test]
fn a_search_goes_where_the_model_can_search() {
    let chat = |model: &str| {
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}],"web_search_options":{{}}}}"#)
    };
    let messages = r#"{"model":"openai/gpt-5-mini","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],
        "tools":[{"type":"web_search_20250305","name":"web_search","max_uses":8}]}"#;
    let cases = [
        ("/v1/messages", messages.to_owned(), "/responses"),
        ("/v1/chat/completions", chat("openai/gpt-4o"), "/responses"),
        ("/v1/chat/completions", chat("openai/gpt-4o-search-preview"), "/chat/completions"),
        ("/v1/chat/completions", chat("openrouter/openai/gpt-4o"), "/chat/completions"),
        (
            "/v1/chat/completions",
            chat("openai/gpt-4o").replace("web_search_options", "web_search"),
            "/chat/completions",
        ),
    ];
    for (path, body, end) in cases {
        let outbound = sent(world().post(path, &body).1);
        assert!(outbound.url.ends_with(end), "{body}: {}", outbound.url);
        let request = read(&outbound.body);
        assert!(end != "/responses" || request["tools"][0]["type"] == "web_search", "{request}");
    }
}

/// Claude's words in blocks that begin wherever its sources change: what is read of the last message alone (`codex exec`, the
/// Agents SDK's `final_output`) was the end of a sentence.
#[test]
fn a_sentence_with_sources_is_one_message() {
    let source = |url: &str| json!({"type": "web_search_result_location", "url": url, "title": "T", "cited_text": "q", "encrypted_index": "x"});
    let text = |said: &str, urls: &[&str]| {
        let citations: Vec<Value> = urls.iter().map(|url| source(url)).collect();
        json!({"type": "text", "text": said, "citations": citations})
    };
    let blocks = [
        json!({"type": "text", "text": "Löoking."}),
        json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}),
        json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": []}),
        json!({"type": "text", "text": "It is "}),
        text("wärm", &["https://a", "https://b"]),
        json!({"type": "text", "text": ", and "}),
        text("dry.", &["https://c"]),
    ];
    let usage = json!({"input_tokens": 5, "output_tokens": 9});
    let whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks, "stop_reason": "end_turn", "usage": usage});
    let event = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let mut events =
        vec![event(json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": usage}}))];
    for (index, block) in blocks.iter().enumerate() {
        let delta = |delta: Value| event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        let mut empty = block.clone();
        if block["type"] == "text" {
            (empty["text"], empty["citations"]) = (json!(""), json!([]));
        }
        events.push(event(json!({"type": "content_block_start", "index": index, "content_block": empty})));
        let sources = block["citations"].as_array().into_iter().flatten();
        events.extend(sources.map(|source| delta(json!({"type": "citations_delta", "citation": source}))));
        for letter in block["text"].as_str().unwrap_or_default().chars() {
            events.push(delta(json!({"type": "text_delta", "text": letter})));
        }
        events.push(event(json!({"type": "content_block_stop", "index": index})));
    }
    events.push(event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})));
    events.push(event(json!({"type": "message_stop"})));
    let pieces: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();

    let places = |annotations: &Value, before: u64| -> Vec<(String, u64, u64)> {
        let places = annotations.as_array().unwrap().iter().map(|annotation| {
            let of = annotation.get("url_citation").unwrap_or(annotation);
            let place = |key: &str| of[key].as_u64().unwrap() - before;
            (of["url"].as_str().unwrap().to_owned(), place("start_index"), place("end_index"))
        });
        places.collect()
    };
    let expected: Vec<(String, u64, u64)> = [("https://a", 6, 10), ("https://b", 6, 10), ("https://c", 16, 20)]
        .map(|(url, start, end)| (url.to_owned(), start, end))
        .into();
    let model = "anthropic/claude-sonnet-4-5";
    let asked = |path: &str, stream: bool| match path {
        "/v1/responses" => json!({"model": model, "input": "Hi", "stream": stream}).to_string(),
        _ => json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}).to_string(),
    };
    let ask = |path: &str, stream: bool| {
        let mut world = world();
        let (id, step) = world.post(path, &asked(path, stream));
        sent(step);
        if stream {
            let streamed = world.stream(id, &pieces, Input::End);
            let data = streamed.text.lines().filter_map(|line| read_chunk(line.strip_prefix("data: ")?));
            data.collect::<Vec<Value>>()
        } else {
            vec![read(&world.answer(id, 200, &[], &whole.to_string()).body)]
        }
    };

    for stream in [false, true] {
        let told = ask("/v1/responses", stream);
        let last = told.last().unwrap();
        let output = last.get("response").unwrap_or(last)["output"].as_array().unwrap().clone();
        let said: Vec<&Value> = output.iter().map(|item| &item["content"][0]["text"]).collect();
        assert_eq!(said, ["Löoking.", "It is wärm, and dry."], "{stream}");
        assert_eq!(places(&output[1]["content"][0]["annotations"], 0), expected, "{stream}");
    }
    let told = ask("/v1/chat/completions", false);
    let message = &told[0]["choices"][0]["message"];
    assert_eq!(message["content"], "Löoking.It is wärm, and dry.");
    assert_eq!(places(&message["annotations"], 8), expected);
    let streamed = ask("/v1/chat/completions", true);
    let deltas = streamed.iter().map(|chunk| &chunk["choices"][0]["delta"]);
    let annotations = deltas.filter_map(|delta| delta["annotations"].as_array()).flatten().cloned().collect();
    assert_eq!(places(&Value::Array(annotations), 8), expected);
}

/// What one gateway hands to the next: "`tool_use` ids must be unique" (<https://github.com/BerriAI/litellm/issues/23510>).
#[test]
fn a_call_in_the_words_of_two_protocols_is_one() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let other = json!({"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({
        "model": "anthropic/claude-sonnet-4-5", "tools": [{"type": "function", "function": {"name": "f"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}], "tool_calls": [call, other]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
        ],
    });
    let request = read(&sent(world().chat(&body.to_string()).1).body);
    let ids = |turn: usize, key: &str| -> Vec<Value> {
        request["messages"][turn]["content"].as_array().unwrap().iter().map(|block| block[key].clone()).collect()
    };
    assert_eq!((ids(1, "id"), ids(2, "tool_use_id")), (vec![json!("c1"), json!("c2")], vec![json!("c1"), json!("c2")]));
}

/// A picture without a word, as Claude Code sends it: "messages[6].content[1].text:不能为空"
/// (<https://github.com/zed-industries/zed/issues/37302>, <https://github.com/anthropics/claude-code/issues/57245>).
#[test]
fn a_picture_needs_no_words_beside_it() {
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let body = json!({"model": "openai/gpt-4o", "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": ""}, picture]}]});
    let request = read(&sent(world().post("/v1/messages", &body.to_string()).1).body);
    let kinds: Vec<&Value> =
        request["messages"][0]["content"].as_array().unwrap().iter().map(|part| &part["type"]).collect();
    assert_eq!(kinds, [&json!("image_url")]);
}

/// An empty text is left out, and not what it says besides: where the cache may cut, and that there is a message.
#[test]
fn empty_words_leave_their_cache_mark_behind() {
    let content = |role: &str, content: &Value| {
        let body = json!({"model": "openrouter/anthropic/claude-sonnet-4.5", "max_tokens": 9,
            "messages": [{"role": "user", "content": "Hi"}, {"role": role, "content": content}]});
        read(&sent(world().post("/v1/messages", &body.to_string()).1).body)["messages"][1]["content"].clone()
    };
    let text = |said: &str| json!({"type": "text", "text": said});
    let marked = |said: &str| json!({"type": "text", "text": said, "cache_control": {"type": "ephemeral"}});
    assert_eq!(content("assistant", &json!([marked("")])), json!([marked("")]));
    assert_eq!(content("user", &json!([text("x"), marked("")])), json!([marked("x")]));
    assert_eq!(content("user", &json!([marked(""), text("x"), text("y")])), json!([marked("x"), text("y")]));
    assert_eq!(content("user", &json!([marked("x"), text("")])), json!([marked("x")]));
}

/// Codex asks a provider that is called `OpenAI` to sum a session up (`codex-rs/core/src/compact_remote_v2.rs`), takes exactly one
/// `compaction` for an answer, and has no other way (<https://github.com/caozhiyuan/copilot-api/issues/359>).
#[test]
fn a_summary_by_the_provider_comes_as_it_made_it() {
    let body = |model: &str| {
        json!({"model": model, "stream": true, "input": [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}]})
            .to_string()
    };
    let mut world = world();
    let (id, step) = world.post("/v1/responses", &body("openai/gpt-5.3-codex"));
    assert_eq!(read(&sent(step).body)["input"][1], json!({"type": "compaction_trigger"}));
    let summary = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"});
    let response = |status: &str, output: &Value, usage: &Value| json!({"id": "r", "model": "m", "status": status, "output": output, "usage": usage});
    let events = [
        json!({"type": "response.created", "response": response("in_progress", &json!([]), &Value::Null)}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": summary}),
        json!({"type": "response.completed", "response": response("completed", &json!([summary]), &json!({"input_tokens": 500, "output_tokens": 100}))}),
    ]
    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    let pieces: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
    let streamed = world.stream(id, &pieces, Input::End);
    assert!(streamed.text.contains(&events[1]), "{}", streamed.text);
    let record = world.only_record();
    assert_eq!((record.input_fresh, record.output_text, record.state), (500, 100, "settled_actual"));

    let (status, told) =
        crate::world::refused(self::world().post("/v1/responses", &body("anthropic/claude-sonnet-4-5")).1);
    assert_eq!((status, &told["error"]["param"]), (400, &json!("input.1.type")));
}
