//! Callers who speak Gemini, to upstreams of every format.

use latchkey::gateway::Input;
use serde_json::{Value, json};

use crate::world::{World, header, header_of, json as read, refused, sent};

const HELLO: &str = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#;
const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hi!"}],"role":"model"},"finishReason":"STOP","index":0,"unmodelled":1}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7},"modelVersion":"gemini-2.5-flash","responseId":"R"}"#;

fn path(model: &str, method: &str) -> String {
    format!("/v1beta/models/{model}:{method}")
}

#[test]
fn the_same_protocol_is_patched_and_nothing_is_lost() {
    let mut world = World::default();
    let body =
        r#"{ "contents": [{"role":"user","parts":[{"text":"Hi"}]}], "unmodelled": {"a": 1}, "model": "models/x" }"#;
    let (id, step) = world.post(&path("gemini%2Fgemini-2.5-flash", "generateContent"), body);
    let outbound = sent(step);
    assert!(outbound.url.ends_with("/v1beta/models/gemini-2.5-flash:generateContent"), "{}", outbound.url);
    assert_eq!(header_of(&outbound, "x-goog-api-key"), Some("gemini-secret"));
    let request = read(&outbound.body);
    assert_eq!((&request["unmodelled"]["a"], &request["model"]), (&json!(1), &Value::Null));
    let response = world.answer(id, 200, &[], ANSWER);
    let answer = read(&response.body);
    assert_eq!(answer["candidates"][0]["unmodelled"], 1);
    assert!(answer["usageMetadata"]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{answer}");
    let record = world.only_record();
    assert_eq!((record.endpoint, record.lane), ("generateContent", "patched"));
}

#[test]
fn another_protocol_is_translated_both_ways() {
    let mut world = World::default();
    let body = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "71"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"maxOutputTokens": 9, "stopSequences": ["x"]},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    });
    let (id, step) = world.post(&path("openai/gpt-4o", "generateContent"), &body.to_string());
    let request = read(&sent(step).body);
    assert_eq!(request["messages"][0], json!({"role": "system", "content": "Be brief."}));
    let call = &request["messages"][2]["tool_calls"][0];
    assert_eq!(request["messages"][3], json!({"role": "tool", "tool_call_id": call["id"], "content": "71"}));
    assert_eq!(request["tools"][0]["function"]["parameters"]["properties"]["a"]["type"], "integer");
    assert_eq!((&request["tool_choice"], &request["max_completion_tokens"]), (&json!("required"), &json!(9)));
    let answer = r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":2}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;
    let response = world.answer(id, 200, &[], answer);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("safetySettings=dropped"));
    let answer = read(&response.body);
    let call = json!({"functionCall": {"id": "call_1", "name": "f", "args": {"a": 2}}});
    assert_eq!(answer["candidates"][0]["content"], json!({"parts": [call], "role": "model"}));
    assert_eq!(answer["candidates"][0]["finishReason"], "STOP");
    assert_eq!(answer["usageMetadata"]["totalTokenCount"], 12);
}

/// The same stream in both layouts.
#[test]
fn a_stream_is_events_or_one_array() {
    let chunks: [&[u8]; 3] = [
        b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hey\"},\"finish_reason\":null}]}\n\n",
        b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        b"data: [DONE]\n\n",
    ];
    let mut world = World::default();
    let (id, step) = world.post(&(path("openai/gpt-4o", "streamGenerateContent") + "?alt=sse"), HELLO);
    assert_eq!(read(&sent(step).body)["stream"], true);
    let streamed = world.stream(id, &chunks, Input::End);
    assert_eq!(header(&streamed.head, "content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(streamed.text.starts_with("data: {") && streamed.text.ends_with("}\r\n\r\n"), "{}", streamed.text);

    let mut world = World::default();
    let (id, step) = world.post(&path("openai/gpt-4o", "streamGenerateContent"), HELLO);
    sent(step);
    let streamed = world.stream(id, &chunks, Input::End);
    assert_eq!(header(&streamed.head, "content-type"), Some("application/json; charset=utf-8"));
    let items = read(streamed.text.as_bytes());
    assert_eq!(items[0]["candidates"][0]["content"]["parts"][0]["text"], "Hey");
    assert_eq!(items[1]["candidates"][0]["finishReason"], "STOP");

    // Broken off: an error as the last item, and no end of the array.
    let mut world = World::default();
    let (id, step) = world.post(&path("openai/gpt-4o", "streamGenerateContent"), HELLO);
    sent(step);
    let streamed = world.stream(id, &chunks[..1], Input::Broken("reset"));
    let items = read(format!("{}]", streamed.text).as_bytes());
    assert_eq!((&items[1]["error"]["code"], &items[1]["error"]["status"]), (&json!(502), &json!("UNAVAILABLE")));
}

#[test]
fn errors_have_the_callers_own_shape() {
    let mut world = World::default();
    let (status, body) = refused(world.post(&path("openai/gpt-4o", "generateContent"), "[]").1);
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["status"]),
        (400, &json!(400), &json!("INVALID_ARGUMENT"))
    );
    let (status, body) = refused(world.post(&path("nobody/knows", "generateContent"), HELLO).1);
    assert_eq!((status, &body["error"]["status"]), (404, &json!("NOT_FOUND")));
    let (status, body) = refused(world.post("/v1beta/nothing", HELLO).1);
    assert_eq!((status, &body["error"]["status"]), (404, &json!("NOT_FOUND")));
}

#[test]
fn tokens_are_counted_by_the_provider_or_estimated() {
    let mut world = World::default();
    let (id, step) = world.post(&path("gemini/gemini-2.5-flash", "countTokens"), HELLO);
    let outbound = sent(step);
    assert!(outbound.url.ends_with("/models/gemini-2.5-flash:countTokens"), "{}", outbound.url);
    let counted = world.answer(id, 200, &[], r#"{"totalTokens": 7}"#);
    assert_eq!(read(&counted.body), json!({"totalTokens": 7}));
    let (_, estimated) = refused(world.post(&path("openai/gpt-4o", "countTokens"), HELLO).1);
    assert_eq!(estimated["latchkey"]["estimated"], true);
    assert!(estimated["totalTokens"].as_u64().is_some_and(|tokens| tokens > 5));

    let asked = r#"{"model":"anthropic/claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.post("/v1/messages/count_tokens", asked);
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.anthropic.com/v1/messages/count_tokens");
    assert_eq!(read(&outbound.body)["model"], "claude-sonnet-4-5");
    assert_eq!(read(&world.answer(id, 200, &[], r#"{"input_tokens":8}"#).body), json!({"input_tokens": 8}));
    let (_, estimated) = refused(
        world.post("/v1/messages/count_tokens", &asked.replace("anthropic/claude-sonnet-4-5", "openai/gpt-4o")).1,
    );
    assert_eq!(estimated["latchkey"]["estimated"], true);
}

#[test]
fn embeddings_come_from_either_protocol() {
    let one = r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":2}"#;
    let mut world = World::default();
    let (id, step) = world.post(&path("openai/text-embedding-3-small", "embedContent"), one);
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.openai.com/v1/embeddings");
    let request =
        json!({"model": "text-embedding-3-small", "input": ["a"], "dimensions": 2, "encoding_format": "float"});
    assert_eq!(read(&outbound.body), request);
    let answer = r#"{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5,1]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let answer = read(&world.answer(id, 200, &[], answer).body);
    assert_eq!(answer["embedding"], json!({"values": [0.5, 1]}));
    assert_eq!(answer["usageMetadata"]["promptTokenCount"], 1);

    let batch = r#"{"requests":[{"model":"models/x","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#;
    let (id, step) = world.post(&path("gemini/gemini-embedding-001", "batchEmbedContents"), batch);
    let outbound = sent(step);
    assert!(outbound.url.ends_with("/models/gemini-embedding-001:batchEmbedContents"), "{}", outbound.url);
    let answer = r#"{"embeddings":[{"values":[1]},{"values":[2]}]}"#;
    let answer = read(&world.answer(id, 200, &[], answer).body);
    assert_eq!(answer["embeddings"][1], json!({"values": [2]}));
}

/// A conversation that begins with one vendor's model and goes on with another's.
#[test]
fn what_one_model_signed_goes_back_to_it_and_to_nobody_else() {
    let thought = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"thinking","thinking":"hm","signature":"EqQBsigned"},{"type":"tool_use","id":"t1","name":"f","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let asked = json!({
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1024}, "maxOutputTokens": 4000},
    });
    let mut world = World::default();
    let (id, step) = world.post(&path("anthropic/claude-sonnet-4-5", "generateContent"), &asked.to_string());
    sent(step);
    let said = read(&world.answer(id, 200, &[], thought).body)["candidates"][0]["content"].clone();
    assert_eq!(said["parts"][0]["thought"], true, "{said}");
    let mut next = asked.clone();
    let result = json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "id": "t1", "response": {"result": "7"}}}]});
    next["contents"] = json!([asked["contents"][0], said, result]);
    let back =
        read(&sent(world.post(&path("anthropic/claude-sonnet-4-5", "generateContent"), &next.to_string()).1).body);
    assert_eq!(back["messages"][1]["content"][0]["signature"], "EqQBsigned", "{back}");
    let elsewhere = path("gemini/gemini-3-flash-preview", "generateContent");
    let elsewhere = read(&sent(world.post(&elsewhere, &next.to_string()).1).body);
    let parts = &elsewhere["contents"][1]["parts"];
    assert_eq!(parts.as_array().map(Vec::len), Some(1), "{elsewhere}");
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
}

/// What Gemini CLI asks of every model, and vendors answer with an error: "Unrecognized request argument supplied: top_k",
/// the same of `reasoning_effort` where the model does not think, and "max_tokens is too large".
#[test]
fn no_vendor_is_told_what_it_would_refuse() {
    let keys = [("MISTRAL_API_KEY", "m"), ("GROQ_API_KEY", "g"), ("CEREBRAS_API_KEY", "c")];
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generationConfig":{"temperature":1,"topP":0.95,
        "topK":64,"maxOutputTokens":32000,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":8192}}}"#;
    let answer = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi!"},"finish_reason":"stop"}]}"#;
    for (model, thinks, most) in [
        ("openai/gpt-4o", false, 16_384),
        ("openai/gpt-5.2", true, 32_000),
        ("mistral/mistral-large-latest", false, 32_000),
        ("groq/openai/gpt-oss-120b", true, 32_000),
        ("cerebras/gpt-oss-120b", true, 32_000),
    ] {
        let mut world = World::of(latchkey::keys::Key::default(), r#"{"version":1}"#, &keys);
        let (id, step) = world.post(&path(model, "generateContent"), body);
        let request = read(&sent(step).body);
        assert_eq!((request.get("top_k"), request.get("reasoning_effort").is_some()), (None, thinks), "{model}");
        let cap = request.get("max_completion_tokens").or(request.get("max_tokens"));
        assert_eq!(cap, Some(&json!(most)), "{model}");
        let response = world.answer(id, 200, &[], answer);
        let adjusted = header(&response, "x-latchkey-adjusted").expect("what was dropped");
        assert!(adjusted.contains("top_k=dropped"), "{model}: {adjusted}");
        assert_eq!(adjusted.contains("max_tokens=clamped"), most < 32_000, "{model}: {adjusted}");
        assert_eq!(adjusted.contains("reasoning=dropped"), !thinks, "{model}: {adjusted}");
    }
}

/// The SDK's own example asks for a list, which vendors with schemas refuse: "schema must be a JSON Schema of 'type:
/// "object"', got 'type: "array"'". It is asked for within an object and taken out again.
#[test]
fn a_list_comes_back_from_vendors_that_only_give_objects() {
    let body = r#"{"contents":"Recipes","generationConfig":{"responseMimeType":"application/json",
        "responseSchema":{"type":"ARRAY","items":{"type":"OBJECT","properties":{"name":{"type":"STRING"}}}}}}"#;
    let (wrapped, list) = (r#"{"latchkey_value": [{"name": "Pie"}]}"#, json!([{"name": "Pie"}]));
    let quoted = serde_json::to_string(wrapped).expect("text");
    let chat = format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":{quoted}}},"finish_reason":"stop"}}]}}"#
    );
    let cohere = format!(
        r#"{{"id":"c","finish_reason":"COMPLETE","message":{{"role":"assistant","content":[{{"type":"text","text":{quoted}}}]}}}}"#
    );
    let keys = [("COHERE_API_KEY", "c")];
    for (model, place, answer) in [
        ("openai/gpt-4o", "/response_format/json_schema/schema", &chat),
        ("cohere/command-a-03-2025", "/response_format/json_schema", &cohere),
    ] {
        let mut world = World::of(latchkey::keys::Key::default(), r#"{"version":1}"#, &keys);
        let (id, step) = world.post(&path(model, "generateContent"), body);
        let request = read(&sent(step).body);
        let schema = request.pointer(place).expect("a schema");
        assert_eq!(schema["properties"]["latchkey_value"]["type"], "array", "{model}");
        let answer = read(&world.answer(id, 200, &[], answer).body);
        let text = answer["candidates"][0]["content"]["parts"][0]["text"].as_str().expect("text");
        assert_eq!(read(text.as_bytes()), list, "{model}");
    }
    for length in [1, 7, wrapped.len()] {
        let mut world = World::default();
        let (id, step) = world.post(&path("openai/gpt-4o", "streamGenerateContent?alt=sse"), body);
        sent(step);
        let characters: Vec<char> = wrapped.chars().collect();
        let mut stream: String = characters
            .chunks(length)
            .map(|piece| {
                let delta = json!({"content": piece.iter().collect::<String>()});
                let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
                format!("data: {chunk}\n\n")
            })
            .collect();
        stream.push_str(r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
        stream.push_str("\n\ndata: [DONE]\n\n");
        let streamed = world.stream(id, &[stream.as_bytes()], Input::End);
        let texts = streamed.text.lines().filter_map(|line| {
            let event: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
            Some(event["candidates"][0]["content"]["parts"][0]["text"].as_str()?.to_owned())
        });
        assert_eq!(read(texts.collect::<String>().as_bytes()), list, "in pieces of {length}: {}", streamed.text);
    }
}
