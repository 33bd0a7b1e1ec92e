use serde_json::{Value, json};

use super::*;
use crate::units::Millis;

const NOW: UnixMillis = UnixMillis(1_800_000_000_123);

fn chat(model: &str, request: &Value) -> Script {
    play(model, Endpoint::Chat, request.to_string().as_bytes(), 0, NOW)
}

fn user(text: &str) -> Value {
    json!({"model": "x", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": text}]})
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn body(script: &Script) -> Value {
    assert_eq!(script.steps.len(), 1);
    serde_json::from_slice(&script.steps[0].bytes).unwrap()
}

/// The chunks of a stream, without the terminal marker, and whether it was there.
fn chunks(script: &Script) -> (Vec<Value>, bool) {
    let mut done = false;
    let mut chunks = Vec::new();
    for step in &script.steps {
        assert!(!done, "something after the end");
        let event = std::str::from_utf8(&step.bytes).unwrap();
        match event.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap() {
            "[DONE]" => done = true,
            data => chunks.push(serde_json::from_str::<Value>(data).unwrap()),
        }
    }
    (chunks, done)
}

/// All strings at `pointer` within each chunk, joined.
fn joined(chunks: &[Value], pointer: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer(pointer)?.as_str()).collect()
}

#[test]
fn echo_says_the_last_user_message_exactly() {
    let text = "Grüße,\n\"quoted\"  twice \\ 🎉";
    let answer = body(&chat("echo", &user(text)));
    assert_eq!(answer["choices"][0]["message"]["content"], text);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["created"], 1_800_000_000);
    assert_eq!(answer["model"], "echo");
    let tokens = text.len().div_ceil(4);
    assert_eq!(answer["usage"]["completion_tokens"], tokens);
    let prompt = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(answer["usage"]["total_tokens"], prompt + tokens as u64);

    let parts = json!([{"type": "text", "text": "a "}, {"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "b"}]);
    let answer = body(&chat("echo", &json!({"messages": [{"role": "user", "content": parts}]})));
    assert_eq!(answer["choices"][0]["message"]["content"], "a b");
}

#[test]
fn a_stream_says_what_the_plain_answer_says() {
    let request = with(user("one two  three\n"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let script = chat("echo", &request);
    assert_eq!(script.ending, Ending::Complete);
    let (chunks, done) = chunks(&script);
    assert!(done);
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(joined(&chunks, "/choices/0/delta/content"), "one two  three\n");
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
    let usage = chunks.last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"], body(&chat("echo", &user("one two  three\n")))["usage"]);

    let (chunks, _) = self::chunks(&chat("echo", &with(user("hi"), json!({"stream": true}))));
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "usage only where it was asked for");
}

#[test]
fn the_same_call_gives_the_same_script() {
    let request = with(user("hi"), json!({"stream": true}));
    assert_eq!(chat("echo", &request), chat("echo", &request));
}

#[test]
fn limits_are_respected() {
    let answer = body(&chat("echo", &with(user("12345678rest"), json!({"max_completion_tokens": 2}))));
    assert_eq!(answer["choices"][0]["message"]["content"], "12345678");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 2);
    for stop in [json!("END"), json!(["nowhere", "END"])] {
        let answer = body(&chat("echo", &with(user("some ENDless text"), json!({"stop": stop}))));
        assert_eq!(answer["choices"][0]["message"]["content"], "some ");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
    let long = body(&chat("echo", &user(&"x".repeat(1 << 20))));
    assert_eq!(long["choices"][0]["finish_reason"], "length");
}

#[test]
fn n_gives_as_many_choices() {
    let answer = body(&chat("echo", &with(user("hi"), json!({"n": 3}))));
    assert_eq!(answer["choices"].as_array().unwrap().len(), 3);
    assert_eq!(answer["choices"][2]["index"], 2);
    assert_eq!(answer["usage"]["completion_tokens"], 3);
    let (chunks, _) = chunks(&chat("echo", &with(user("hi"), json!({"n": 2, "stream": true}))));
    assert_eq!(chunks.iter().filter(|chunk| chunk["choices"][0]["index"] == 1).count(), 3);
    assert_eq!(chat("echo", &with(user("hi"), json!({"n": 1000}))).status, 400);
}

#[test]
fn effort_makes_it_think() {
    let answer = body(&chat("echo", &with(user("hi"), json!({"reasoning_effort": "low"}))));
    let reasoning = answer["choices"][0]["message"]["reasoning_content"].as_str().unwrap();
    let tokens = answer["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap();
    assert!(!reasoning.is_empty() && tokens > 0);
    assert_eq!(answer["usage"]["completion_tokens"], tokens + 1);
    let stream = chat("echo", &with(user("hi"), json!({"reasoning_effort": "low", "stream": true})));
    assert_eq!(joined(&chunks(&stream).0, "/choices/0/delta/reasoning_content"), reasoning);
    let answer = body(&chat("echo", &with(user("hi"), json!({"reasoning_effort": "none"}))));
    assert!(answer["choices"][0]["message"].get("reasoning_content").is_none());
}

fn with_tools(more: Value) -> Value {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}});
    with(with(user("weather?"), json!({"tools": [tool("first"), tool("second")]})), more)
}

#[test]
fn tools_calls_then_answers() {
    let answer = body(&chat("tools", &with_tools(json!({}))));
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "first");
    assert_eq!(call["function"]["arguments"], r#"{"city":"example"}"#);

    let mut next = with_tools(json!({}));
    let messages = next["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"}));
    let answer = body(&chat("tools", &next));
    assert_eq!(answer["choices"][0]["message"]["content"], "sunny");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[test]
fn tool_choice_decides() {
    let named = json!({"tool_choice": {"type": "function", "function": {"name": "second"}}});
    let answer = body(&chat("tools", &with_tools(named)));
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "second");
    let answer = body(&chat("tools", &with_tools(json!({"tool_choice": "none"}))));
    assert_eq!(answer["choices"][0]["message"]["content"], "weather?");
    let unknown = json!({"tool_choice": {"type": "function", "function": {"name": "third"}}});
    assert_eq!(chat("tools", &with_tools(unknown)).status, 400);
    let answer = body(&chat("tools", &user("no tools here")));
    assert_eq!(answer["choices"][0]["message"]["content"], "no tools here");
}

#[test]
fn a_streamed_tool_call_joins_to_the_plain_one() {
    let (chunks, done) = chunks(&chat("tools", &with_tools(json!({"stream": true}))));
    assert!(done);
    let call = "/choices/0/delta/tool_calls/0";
    assert_eq!(joined(&chunks, &format!("{call}/function/name")), "first");
    assert_eq!(joined(&chunks, &format!("{call}/function/arguments")), r#"{"city":"example"}"#);
    assert!(joined(&chunks, &format!("{call}/id")).starts_with("call_"));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn json_fits_the_schema_asked_for() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 5}}, "required": ["n"]});
    let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}});
    let answer = body(&chat("json", &with(user("hi"), format)));
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"n":5}"#);
    let answer = body(&chat("json", &with(user("hi"), json!({"response_format": {"type": "json_object"}}))));
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"text":"hi"}"#);
}

#[test]
fn a_delay_comes_first_and_again_over_the_stream() {
    let script = chat("delay-300", &user("hi"));
    assert_eq!(script.steps[0].wait, Millis(300));
    let script = chat("delay-300", &with(user("a b c"), json!({"stream": true})));
    let waits: Vec<u64> = script.steps.iter().map(|step| step.wait.0).collect();
    assert_eq!(waits, [300, 100, 100, 100, 0, 0]);
}

#[test]
fn a_status_comes_as_asked() {
    let script = chat("status-429", &user("hi"));
    assert_eq!(script.status, 429);
    assert!(script.headers.contains(&("retry-after", "1".to_owned())));
    assert_eq!(body(&script)["error"]["code"], "rate_limit_exceeded");
    assert_eq!(chat("status-503", &user("hi")).status, 503);
    assert_eq!(body(&chat("status-418", &user("hi")))["error"]["type"], "invalid_request_error");
}

#[test]
fn a_cut_stops_after_so_many_content_chunks() {
    for (count, expected) in [(0, ""), (2, "a b "), (3, "a b c"), (99, "a b c")] {
        let script = chat(&format!("cut-{count}"), &with(user("a b c"), json!({"stream": true})));
        assert_eq!(script.ending, Ending::Cut);
        let (chunks, done) = chunks(&script);
        assert_eq!(joined(&chunks, "/choices/0/delta/content"), expected);
        assert!(!done && joined(&chunks, "/choices/0/finish_reason").is_empty(), "a cut stream never looks finished");
    }
    assert!(!chunks(&chat("cut-3", &with(user(""), json!({"stream": true})))).1);
    let plain = chat("cut-1", &user("hi"));
    assert_eq!(plain.ending, Ending::Cut);
    assert!(serde_json::from_slice::<Value>(&plain.steps[0].bytes).is_err());
}

#[test]
fn hang_sends_nothing() {
    let script = chat("hang", &user("hi"));
    assert!(script.steps.is_empty());
    assert_eq!(script.ending, Ending::Hang);
}

#[test]
fn flaky_fails_in_its_share() {
    let request = user("hi").to_string();
    let failed = |chance| play("flaky-30", Endpoint::Chat, request.as_bytes(), chance, NOW).status == 500;
    assert_eq!((0..1000).filter(|chance| failed(*chance)).count(), 300);
}

#[test]
fn what_cannot_be_read_is_refused() {
    assert_eq!(chat("nonsense", &user("hi")).status, 404);
    for broken in ["", "{", "[]", "{}", r#"{"messages":[{}]}"#, r#"{"messages":[],"stop":5}"#] {
        let script = play("echo", Endpoint::Chat, broken.as_bytes(), 0, NOW);
        assert_eq!(script.status, 400, "{broken}");
        assert!(body(&script)["error"]["message"].is_string());
    }
}

#[test]
fn completions_say_each_prompt_again() {
    let request = json!({"prompt": ["a b", "c"], "max_tokens": 10}).to_string();
    let answer = body(&play("echo", Endpoint::Completions, request.as_bytes(), 0, NOW));
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["choices"][0]["text"], "a b");
    assert_eq!(answer["choices"][1]["text"], "c");
    let request = json!({"prompt": "a b", "stream": true, "stream_options": {"include_usage": true}}).to_string();
    let (chunks, done) = chunks(&play("echo", Endpoint::Completions, request.as_bytes(), 0, NOW));
    assert!(done);
    assert_eq!(joined(&chunks, "/choices/0/text"), "a b");
    assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], 1);
}

fn embed(request: &Value) -> Value {
    body(&play("echo", Endpoint::Embeddings, request.to_string().as_bytes(), 0, NOW))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn embeddings_are_unit_vectors_and_kin_is_near() {
    let answer = embed(&json!({"input": ["the red house", "a red house", "tax law"], "dimensions": 128}));
    let vectors: Vec<Vec<f64>> =
        answer["data"].as_array().unwrap().iter().map(|item| numbers(&item["embedding"])).collect();
    for vector in &vectors {
        assert_eq!(vector.len(), 128);
        assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
    }
    assert!(dot(&vectors[0], &vectors[1]) > dot(&vectors[0], &vectors[2]) + 0.2);
    assert_eq!(answer["usage"]["prompt_tokens"], 4 + 3 + 2);
    assert_eq!(numbers(&embed(&json!({"input": [1, 2, 3]}))["data"][0]["embedding"]).len(), 64);
    assert_eq!(embed(&json!({"input": [[1, 2], [3]]}))["data"].as_array().unwrap().len(), 2);
}

#[test]
fn base64_holds_the_same_numbers() {
    use base64::Engine as _;
    let plain = numbers(&embed(&json!({"input": "x", "dimensions": 3}))["data"][0]["embedding"]);
    let encoded = embed(&json!({"input": "x", "dimensions": 3, "encoding_format": "base64"}));
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(encoded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let floats: Vec<f64> =
        bytes.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap()))).collect();
    assert_eq!(floats.len(), 3);
    assert!(plain.iter().zip(&floats).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn embeddings_out_of_bounds_are_refused() {
    for request in [
        json!({"input": []}),
        json!({"input": "x", "dimensions": 0}),
        json!({"input": "x", "dimensions": 9999}),
        json!({"input": {}}),
    ] {
        let script = play("echo", Endpoint::Embeddings, request.to_string().as_bytes(), 0, NOW);
        assert_eq!(script.status, 400, "{request}");
    }
}
