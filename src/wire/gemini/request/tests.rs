use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::provider::{Capabilities, Quirks, family};
use crate::wire::{InlinedMedia, InlinedPart, openai_chat};

/// What a caller's OpenAI request becomes for `model`, and what was adjusted.
fn written(model: &str, request: &Value) -> Result<(Outgoing, Value, String), Failure> {
    let mut facts = ModelFacts::default();
    if let Some(family) = family(model) {
        family.apply(&mut facts);
    }
    written_for(model, &facts, request)
}

fn written_for(model: &str, facts: &ModelFacts, request: &Value) -> Result<(Outgoing, Value, String), Failure> {
    let link =
        ("https://example.com/a.png".to_owned(), InlinedPart { media_type: "image/png".into(), data: "AAAA".into() });
    let inlined: InlinedMedia = [link].into();
    let body = request.to_string();
    let request = openai_chat::read_request(body.as_bytes())?;
    let target = Target { model, quirks: &Quirks::NONE, facts, inlined: &inlined };
    let mut adjusted = Adjusted::default();
    let outgoing = write_request(&request, &target, &mut adjusted)?;
    let body = serde_json::from_slice(&outgoing.body).expect("JSON");
    Ok((outgoing, body, adjusted.header()))
}

fn body(model: &str, request: Value) -> Value {
    written(model, &request).unwrap_or_else(|failure| panic!("{request}: {failure}")).1
}

/// What clients do: `test_google_model_empty_user_prompt` in <https://github.com/pydantic/pydantic-ai>.
#[test]
fn a_user_who_says_nothing_leaves_it_to_the_instructions() {
    let said = json!([{"role": "system", "content": "Tell a joke."}, {"role": "user", "content": ""}]);
    assert_eq!(
        body(OLD, chat(said))["contents"],
        json!([{"role": "user", "parts": [{"text": "(The conversation begins.)"}]}])
    );
}

fn chat(messages: Value) -> Value {
    json!({"model": "m", "messages": messages})
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

const OLD: &str = "gemini-2.5-flash";
const NEW: &str = "gemini-3-flash-preview";

fn hello() -> Value {
    chat(json!([{"role": "user", "content": "Hi"}]))
}

fn weather_tool() -> Value {
    json!([{"type": "function", "function": {"name": "get_weather", "parameters":
        {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}}}])
}

#[test]
fn the_path_says_model_and_method() {
    let path = |request: Value| written(OLD, &request).expect("a request").0.path;
    assert_eq!(path(hello()), "/v1beta/models/gemini-2.5-flash:generateContent");
    assert_eq!(
        path(with(hello(), json!({"stream": true}))),
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
}

#[test]
fn instructions_are_lifted_and_turns_alternate() {
    let request = chat(json!([
        {"role": "system", "content": "One."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]},
    ]));
    let expected = json!({
        "contents": [
            {"role": "user", "parts": [{"text": "(The conversation begins.)"}]},
            {"role": "model", "parts": [{"text": "Hello."}]},
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}],
        "systemInstruction": {"parts": [{"text": "One."}, {"text": "Two."}]}});
    assert_eq!(body(OLD, request), expected);
    let alone = body(OLD, chat(json!([{"role": "system", "content": "Be."}])));
    assert_eq!(alone, json!({"contents": [{"role": "user", "parts": [{"text": "Be."}]}]}));
}

#[test]
fn a_model_without_instructions_reads_them_as_the_users_words() {
    let facts = ModelFacts { capabilities: Some(Capabilities(0)), ..ModelFacts::default() };
    let request = chat(json!([{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}]));
    let (_, body, adjusted) = written_for("gemma-3-27b-it", &facts, &request).expect("a request");
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "Be brief."}, {"text": "Hi"}]}]}));
    assert_eq!(adjusted, "messages=changed");
}

#[test]
fn a_last_word_of_the_assistant_is_refused_where_the_model_does() {
    let request = chat(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]));
    assert!(written(NEW, &request).is_ok());
    assert_eq!(written("gemini-3.6-flash", &request).unwrap_err().param.as_deref(), Some("messages"));
}

#[test]
fn media_goes_as_bytes_or_as_a_file() {
    let request = chat(json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,/9j/"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"format": "wav", "data": "UklG"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"file_id": "files/abc"}},
        {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}},
    ]}]));
    let parts = body(OLD, request)["contents"][0]["parts"].clone();
    let expected = json!([
        {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/"}},
        {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        {"fileData": {"fileUri": "https://youtu.be/x"}},
    ]);
    assert_eq!(parts, expected);
    let unknown = chat(json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/b.png"}}]}]));
    assert_eq!(written(OLD, &unknown).unwrap_err().param.as_deref(), Some("messages.0.content.0"));
}

#[test]
fn links_that_have_to_be_fetched_are_listed_once() {
    let request = json!({"model": "m", "messages": [
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=1"}}]},
        {"role": "tool", "tool_call_id": "c", "content": [
            {"type": "image_url", "image_url": {"url": "https://example.com/b.png"}}]}]});
    let text = request.to_string();
    let request = openai_chat::read_request(text.as_bytes()).expect("a request");
    let facts = ModelFacts::default();
    let target = Target { model: OLD, quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
    assert_eq!(links_to_inline(&request, &target), ["https://example.com/a.png", "https://example.com/b.png"]);
}

/// Two calls at once, both answered, with what `signature` puts beside the first call.
fn tool_conversation(signature: Value) -> Value {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "get_weather", "arguments": "{\"place\":\"x\"}"}});
    let signed = with(call("c1"), signature);
    with(
        chat(json!([
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": null, "tool_calls": [signed, call("c2")]},
            {"role": "tool", "tool_call_id": "c1", "content": "71 degrees"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "{\"ok\":true}"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "user", "content": "So?"},
        ])),
        json!({"tools": weather_tool()}),
    )
}

#[test]
fn results_find_their_function_and_stand_together() {
    let args = json!({"place": "x"});
    let expected = json!([
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [
            {"functionCall": {"id": "c1", "name": "get_weather", "args": args}},
            {"functionCall": {"id": "c2", "name": "get_weather", "args": args}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "c1", "name": "get_weather", "response": {"result": "71 degrees"}}},
            {"functionResponse": {"id": "c2", "name": "get_weather", "response": {"ok": true}}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"text": "So?"}]},
    ]);
    assert_eq!(body(OLD, tool_conversation(json!({})))["contents"], expected);
    let orphan =
        chat(json!([{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "gone", "content": "y"}]));
    assert_eq!(written(OLD, &orphan).unwrap_err().param.as_deref(), Some("messages.1.tool_call_id"));
}

#[test]
fn the_first_call_of_a_turn_is_always_signed_where_it_must_be() {
    let signature_of = |signature: Value| {
        let body = body(NEW, tool_conversation(signature));
        let parts = &body["contents"][1]["parts"];
        assert!(parts[1].get("thoughtSignature").is_none(), "the second call of a turn has none");
        let shown = &body["contents"][2]["parts"][1]["functionResponse"];
        assert_eq!(shown["parts"], json!([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]));
        parts[0]["thoughtSignature"].as_str().expect("a signature").to_owned()
    };
    assert_eq!(signature_of(json!({})), "skip_thought_signature_validator");
    let own = json!({"extra_content": {"google": {"thought_signature": "c2ln"}}});
    assert_eq!(signature_of(own), "c2ln");
}

#[test]
fn foreign_reasoning_stays_behind() {
    let request = chat(json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]},
        {"role": "user", "content": "c"}]));
    let (_, body, adjusted) = written(NEW, &request).expect("a request");
    assert_eq!(body["contents"][1], json!({"role": "model", "parts": [{"text": "b"}]}));
    assert_eq!(adjusted, "reasoning_details=dropped");
}

#[test]
fn functions_carry_their_schema_in_the_field_that_takes_it() {
    let declared = |parameters: Value| {
        let tools =
            json!([{"type": "function", "function": {"name": "2f", "description": "d", "parameters": parameters}}]);
        body(OLD, with(hello(), json!({"tools": tools})))["tools"][0]["functionDeclarations"][0].clone()
    };
    let plain = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "additionalProperties": false,
        "$defs": {"A": {"const": "x"}}});
    let expected = json!({"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}});
    assert_eq!(declared(plain), json!({"name": "lk__2f", "description": "d", "parameters": expected}));
    let map =
        json!({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}});
    assert_eq!(declared(map.clone()), json!({"name": "lk__2f", "description": "d", "parametersJsonSchema": map}));
    assert_eq!(declared(json!({"type": "object", "properties": {}})), json!({"name": "lk__2f", "description": "d"}));
    let wrong = json!({"tools": [{"type": "function", "function": {"name": "a b"}}]});
    assert_eq!(written(OLD, &with(hello(), wrong)).unwrap_err().param.as_deref(), Some("tools.0.function.name"));
}

#[test]
fn every_tool_choice() {
    for (choice, expected) in [
        (json!("auto"), json!({"mode": "AUTO"})),
        (json!("none"), json!({"mode": "NONE"})),
        (json!("required"), json!({"mode": "ANY"})),
        (
            json!({"type": "function", "function": {"name": "get_weather"}}),
            json!({"mode": "ANY", "allowedFunctionNames": ["get_weather"]}),
        ),
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto",
                "tools": [{"type": "function", "function": {"name": "get_weather"}}]}}),
            json!({"mode": "VALIDATED", "allowedFunctionNames": ["get_weather"]}),
        ),
    ] {
        let request = with(hello(), json!({"tools": weather_tool(), "tool_choice": choice}));
        assert_eq!(body(OLD, request)["toolConfig"], json!({"functionCallingConfig": expected}));
    }
}

#[test]
fn search_is_a_tool_that_older_models_have_alone() {
    let search = with(hello(), json!({"web_search_options": {}}));
    assert_eq!(body(OLD, search.clone())["tools"], json!([{"googleSearch": {}}]));
    for (tool, expected) in [
        (json!({"type": "openrouter:web_search"}), json!({"googleSearch": {}})),
        (json!({"type": "google_search"}), json!({"google_search": {}})),
        (json!({"type": "url_context", "url_context": {"a": 1}}), json!({"url_context": {"a": 1}})),
        (
            json!({"type": "file_search", "file_search_store_names": ["x"]}),
            json!({"file_search": {"file_search_store_names": ["x"]}}),
        ),
    ] {
        assert_eq!(body(OLD, with(hello(), json!({"tools": [tool]})))["tools"], json!([expected]));
    }
    let foreign = with(hello(), json!({"tools": [{"type": "openrouter:advisor"}]}));
    assert_eq!(written(OLD, &foreign).unwrap_err().param.as_deref(), Some("tools.0"));
    let both = with(search, json!({"tools": weather_tool()}));
    assert_eq!(written(OLD, &both).unwrap_err().param.as_deref(), Some("web_search_options"));
    assert_eq!(body(NEW, both)["toolConfig"], json!({"includeServerSideToolInvocations": true}));
}

#[test]
fn structured_output_beside_functions_goes_through_a_function_where_it_must() {
    let schema = json!({"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}},
        "required": ["b", "a"], "additionalProperties": false});
    let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let native = body(OLD, with(hello(), format.clone()))["generationConfig"].clone();
    assert_eq!(native["responseMimeType"], "application/json");
    assert_eq!(native["responseSchema"]["propertyOrdering"], json!(["a", "b"]));
    let beside = with(with(hello(), format), json!({"tools": weather_tool()}));
    assert_eq!(body(NEW, beside.clone())["generationConfig"], native);
    let by_tool = body(OLD, beside);
    assert!(by_tool.get("generationConfig").is_none());
    let functions = by_tool["tools"][0]["functionDeclarations"].as_array().expect("functions");
    assert_eq!(functions[1]["name"], "latchkey_structured_answer");
    assert_eq!(by_tool["toolConfig"]["functionCallingConfig"], json!({"mode": "ANY"}));
    assert!(by_tool["systemInstruction"].to_string().contains("latchkey_structured_answer"));
    let list = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array", "items": {"type": "string"}}}});
    let list = body(OLD, with(hello(), json!({"response_format": list, "tools": weather_tool()})));
    let inputs = &list["tools"][0]["functionDeclarations"][1]["parameters"]["properties"];
    assert_eq!(inputs["latchkey_value"], json!({"type": "array", "items": {"type": "string"}}));
    let object = with(hello(), json!({"response_format": {"type": "json_object"}}));
    assert_eq!(body(OLD, object)["generationConfig"], json!({"responseMimeType": "application/json"}));
}

#[test]
fn the_answer_of_that_function_is_the_text() {
    let answer = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"latchkey_structured_answer",
        "args":{"a": 1}}}]},"finishReason":"STOP"}]}"#;
    let answer = crate::wire::gemini::read_answer(answer, &Quirks::NONE).expect("an answer");
    let [Part::Text { text, .. }] = answer.choices[0].parts.as_slice() else { panic!("{answer:?}") };
    assert_eq!(text.decode(), r#"{"a":1}"#);
    let list = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"latchkey_structured_answer",
        "args":{"latchkey_value":[1, 2]}}}]},"finishReason":"STOP"}]}"#;
    let list = crate::wire::gemini::read_answer(list, &Quirks::NONE).expect("an answer");
    assert!(matches!(&list.choices[0].parts[..], [Part::Text { text, .. }] if text.is("[1,2]")), "{list:?}");
    assert_eq!(answer.choices[0].end.kind, crate::chat::EndKind::Stop);
}

#[test]
fn more_places_to_stop_than_are_taken_are_refused() {
    let stops = |count: usize| json!({"stop": (0..count).map(|at| format!("s{at}")).collect::<Vec<_>>()});
    let (_, body, _) = written(OLD, &with(hello(), stops(5))).expect("a request");
    assert_eq!(body["generationConfig"]["stopSequences"].as_array().map(Vec::len), Some(5));
    let refused = written(OLD, &with(hello(), stops(6))).expect_err("one would be lost");
    assert_eq!(refused.param.as_deref(), Some("stop"));
}

/// Vertex knows no such member: <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/priority-paygo>.
#[test]
fn a_tier_is_a_header_of_vertex() {
    let body = with(hello(), json!({"service_tier": "flex"})).to_string();
    let request = openai_chat::read_request(body.as_bytes()).expect("a request");
    let quirks = Quirks { hosting: Hosting::PublisherModel, ..Quirks::NONE };
    let target = Target { model: OLD, quirks: &quirks, facts: &ModelFacts::default(), inlined: &InlinedMedia::new() };
    let sent = write_request(&request, &target, &mut Adjusted::default()).expect("it");
    assert_eq!(sent.headers, [("x-vertex-ai-llm-shared-request-type", "flex".to_owned())]);
    assert!(!String::from_utf8_lossy(&sent.body).contains("erviceTier"));
}

#[test]
fn how_tokens_are_drawn() {
    let wishes = json!({"temperature": 0.10, "top_p": 0.9, "top_k": 40, "n": 2, "seed": 7, "stop": ["a", "b"],
        "max_tokens": 100, "logprobs": true, "top_logprobs": 3, "service_tier": "flex",
        "safety_settings": [{"category": "X", "threshold": "OFF"}], "frequency_penalty": 0, "presence_penalty": 0.5,
        "logit_bias": {"1": 2}, "user": "u", "metadata": {"k": "v"}, "parallel_tool_calls": false, "store": true,
        "extra_body": {"google": {"cached_content": "cachedContents/x"}}});
    let (_, body, adjusted) = written(OLD, &with(hello(), wishes)).expect("a request");
    assert_eq!(
        body,
        json!({
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "generationConfig": {"maxOutputTokens": 100, "temperature": 0.1, "topP": 0.9, "topK": 40, "candidateCount": 2,
                "seed": 7, "stopSequences": ["a", "b"], "responseLogprobs": true, "logprobs": 3},
            "serviceTier": "flex",
            "safetySettings": [{"category": "X", "threshold": "OFF"}],
            "cachedContent": "cachedContents/x"})
    );
    let mut adjusted: Vec<&str> = adjusted.split(", ").collect();
    adjusted.sort_unstable();
    assert_eq!(
        adjusted,
        ["logit_bias=dropped", "metadata=dropped", "presence_penalty=dropped", "store=dropped", "user=dropped"]
    );
    let long = with(hello(), json!({"stop": ["1", "2", "3", "4"], "seed": 9_007_199_254_740_991_i64}));
    let (_, body, adjusted) = written(OLD, &long).expect("a request");
    assert!(body["generationConfig"]["seed"].as_i64().is_some_and(|seed| i32::try_from(seed).is_ok()));
    assert_eq!(adjusted, "seed=changed");
}

#[test]
fn sound_and_pictures_out() {
    let sound = with(hello(), json!({"modalities": ["text", "audio"], "audio": {"voice": "Kore", "format": "wav"}}));
    let (_, body, adjusted) = written("gemini-2.5-flash-preview-tts", &sound).expect("a request");
    assert_eq!(
        body["generationConfig"],
        json!({"responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}})
    );
    assert_eq!(adjusted, "audio=changed");
    let picture = with(hello(), json!({"modalities": ["text", "image"], "image_config": {"aspect_ratio": "1:1"}}));
    assert_eq!(
        written(OLD, &picture).expect("a request").1["generationConfig"],
        json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspect_ratio": "1:1"}})
    );
}

#[test]
fn arguments_that_are_no_json_are_sent_back_as_text() {
    let request = chat(json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "cut"}]));
    let (_, body, adjusted) = written(OLD, &request).expect("a request");
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["args"], json!({"arguments": "{\"a"}));
    assert_eq!(adjusted, "tool_calls=changed");
}

/// `type` in the spelling of one of our requests.
fn lower_types(node: &mut Value) {
    match node {
        Value::Object(members) => {
            if let Some(Value::String(kind)) = members.get_mut("type") {
                *kind = kind.to_lowercase();
            }
            members.values_mut().for_each(lower_types);
        }
        Value::Array(items) => items.iter_mut().for_each(lower_types),
        _ => {}
    }
}

#[test]
fn recorded_pairs_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/wire");
    if !folder.exists() {
        eprintln!("SKIPPED: no recordings in {}", folder.display());
        return;
    }
    for (openai, gemini) in [
        ("openai.chat.0753d44497", "gemini.chat.9be13a8655"),
        ("openai.tools.6c776c152d", "gemini.tools.635bbc99f5"),
        ("openai.tools-stream.1f23d6f533", "gemini.tools-stream.1558a60ce0"),
        ("openai.tools.ab81a98798", "gemini.tools.236c125e13"),
    ] {
        let read = |id: &str| -> Value {
            let vendor = id.split('.').next().expect("a vendor");
            let text = std::fs::read_to_string(folder.join(vendor).join(format!("{id}.json"))).expect("a recording");
            serde_json::from_str::<Value>(&text).expect("JSON")["request"]["body"].clone()
        };
        let mut expected = read(gemini);
        lower_types(&mut expected);
        assert_eq!(body(NEW, read(openai)), expected, "{openai} and {gemini}");
    }
}

#[test]
fn every_call_of_a_turn_has_a_result_behind_it() {
    let call =
        |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
    let result = |id: &str, content: Value| json!({"role": "tool", "tool_call_id": id, "content": content});
    let forgotten = |id: &str, name: &str| json!({"functionResponse": {"id": id, "name": name, "response": {"error": "No result was given for this call."}}});
    let given = |id: &str, name: &str, result: &str| json!({"functionResponse": {"id": id, "name": name, "response": {"result": result}}});
    let asked = chat(json!([{"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [call("1", "f"), call("2", "g")]}, result("2", json!("two")),
        {"role": "user", "content": "b"}, {"role": "assistant", "tool_calls": [call("3", "f")]},
        {"role": "user", "content": "never mind"}]));
    let (_, body, adjusted) = written(OLD, &asked).expect("a request");
    assert_eq!(body["contents"][2]["parts"], json!([forgotten("1", "f"), given("2", "g", "two"), {"text": "b"}]));
    assert_eq!(body["contents"][4]["parts"], json!([{"text": "never mind"}]), "no result at all is taken");
    assert_eq!(adjusted, "messages=changed");

    // Calls of one turn may come in several messages, and pictures stand behind the results of all of them.
    let picture = json!([{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]);
    let split = chat(json!([{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call("1", "f")]},
        {"role": "assistant", "tool_calls": [call("2", "g")]}, result("1", picture), result("2", json!("two"))]));
    let (_, body, adjusted) = written(OLD, &split).expect("a request");
    let shown = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    assert_eq!(body["contents"][2]["parts"], json!([given("1", "f", "one"), given("2", "g", "two"), shown]));
    assert_eq!(adjusted, "");
}

#[test]
fn a_budget_leaves_room_for_the_answer_that_it_is_part_of() {
    let budget = |model: &str, more: Value| {
        let (_, body, adjusted) = written(model, &with(hello(), more)).expect("a request");
        (body["generationConfig"]["thinkingConfig"]["thinkingBudget"].clone(), adjusted)
    };
    let high = |most: u64| json!({"reasoning_effort": "high", "max_tokens": most});
    assert_eq!(budget(OLD, high(40_000)), (json!(24_576), String::new()));
    assert_eq!(budget(OLD, high(2_000)), (json!(1_600), String::new()));
    assert_eq!(budget("gemini-2.5-pro", high(100)), (json!(128), String::new()), "the least it takes");
    let told = json!({"reasoning": {"max_tokens": 5_000}, "max_tokens": 1_000});
    assert_eq!(budget(OLD, told), (json!(800), "reasoning=clamped".to_owned()));
}
