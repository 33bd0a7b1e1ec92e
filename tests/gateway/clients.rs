//! What clients send that worked without a gateway between, as users of other gateways reported it.

use latchkey::gateway::Input;
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
    let words =
        [("eos", "stop"), ("sensitive", "content_filter"), ("max_tokens", "length"), ("tool_calls", "tool_calls")];
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
}

fn read_chunk(event: &str) -> Option<Value> {
    serde_json::from_str(event).ok()
}
