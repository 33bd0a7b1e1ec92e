//! What callers of each surface say, in the words that Chat Completions has for it: one row a field.

use latchkey::provider::{ModelFacts, Quirks, ReasoningParameter};
use latchkey::wire::{Adjusted, Format, InlinedMedia, Surface, Target};
use serde_json::{Value, json};

/// A request of the surface with `more` in it, as Chat Completions is asked, and what was adjusted.
fn written(surface: Surface, more: &Value) -> (Value, String) {
    let said = json!([{"text": "Hi"}]);
    let mut body = match surface {
        Surface::OpenAiResponses => json!({"model": "m", "input": "Hi"}),
        Surface::Anthropic => {
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]})
        }
        Surface::Gemini => json!({"contents": [{"role": "user", "parts": said}]}),
        Surface::Bedrock => json!({"messages": [{"role": "user", "content": said}]}),
        Surface::OpenAiChat | Surface::Cohere => json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
    };
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = body.to_string();
    let request = surface.read_request(body.as_bytes()).unwrap_or_else(|failure| panic!("{failure}: {body}"));
    let (facts, inlined) = (ModelFacts::default(), InlinedMedia::new());
    // Which takes most of what there is.
    let quirks = Quirks { reasoning_control: ReasoningParameter::Object, developer_role: true, ..Quirks::NONE };
    let target = Target { model: "m", quirks: &quirks, facts: &facts, inlined: &inlined };
    let mut adjusted = Adjusted::default();
    let made = Format::OpenAiChat.write_request(&request, &target, &mut adjusted);
    let made = made.unwrap_or_else(|failure| panic!("{failure}: {body}"));
    (serde_json::from_slice(&made.body).expect("JSON"), adjusted.header())
}

/// Checks that each field is found at its place; JSON null where nothing may stand there.
fn check(surface: Surface, rows: &[(Value, &str, Value)]) {
    let mut wrong = Vec::new();
    for (more, place, expected) in rows {
        let (made, adjusted) = written(surface, more);
        let found = made.pointer(place).cloned().unwrap_or_default();
        if found != *expected {
            wrong.push(format!("{more}\n  {place} is {found}, not {expected}\n  of {made}; {adjusted}"));
        }
    }
    assert!(wrong.is_empty(), "{surface:?}:\n{}", wrong.join("\n"));
}

fn paris() -> Value {
    json!({"type": "approximate", "city": "Paris", "region": "Paris", "country": "FR", "timezone": "Europe/Paris"})
}

/// The same, as Chat Completions has it.
fn in_paris() -> Value {
    let mut place = paris();
    place.as_object_mut().unwrap().remove("type");
    json!({"type": "approximate", "approximate": place})
}

#[test]
fn messages() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]);
    let search = json!({"type": "web_search_20250305", "name": "web_search", "user_location": paris()});
    let say = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let document = |source: Value| {
        say(json!([{"type": "document", "title": "T", "context": "Of May.", "source": source,
            "cache_control": {"type": "ephemeral"}}]))
    };
    let text = json!({"type": "text", "media_type": "text/plain", "data": "a\nb"});
    let blocks = json!({"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
    let ephemeral = json!({"type": "ephemeral"});
    check(
        Surface::Anthropic,
        &[
            (json!({"tools": [search]}), "/web_search_options/user_location", in_paris()),
            (json!({"tools": tools, "tool_choice": {"type": "any"}}), "/tool_choice", json!("required")),
            (json!({"tools": tools, "tool_choice": {"type": "none"}}), "/tool_choice", json!("none")),
            (json!({"tools": tools, "tool_choice": {"type": "auto"}}), "/tool_choice", json!("auto")),
            (
                json!({"tools": tools, "tool_choice": {"type": "tool", "name": "f"}}),
                "/tool_choice/function/name",
                json!("f"),
            ),
            (
                json!({"tools": tools, "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
                "/parallel_tool_calls",
                json!(false),
            ),
            (json!({"metadata": {"user_id": "u", "other": 1}}), "/user", json!("u")),
            (json!({"stop_sequences": ["a", "b"]}), "/stop", json!(["a", "b"])),
            (json!({"top_k": 4}), "/top_k", json!(4)),
            (json!({"cache_control": {"type": "ephemeral", "ttl": "1h"}}), "/cache_control/ttl", json!("1h")),
            (json!({"service_tier": "standard_only"}), "/service_tier", json!("default")),
            (json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}), "/reasoning/max_tokens", json!(2048)),
            (json!({"output_config": {"effort": "low"}}), "/reasoning/effort", json!("low")),
            (
                json!({"system": [{"type": "text", "text": "Be brief."}, "Be kind."]}),
                "/messages/0/role",
                json!("system"),
            ),
            (document(text.clone()), "/messages/0/content/0/text", json!("T\n\n")),
            (document(text.clone()), "/messages/0/content/1/text", json!("Of May.\n\n")),
            (document(text.clone()), "/messages/0/content/2/text", json!("a\nb")),
            (document(text), "/messages/0/content/2/cache_control", ephemeral.clone()),
            (document(blocks.clone()), "/messages/0/content/3/text", json!("b")),
            (document(blocks), "/messages/0/content/3/cache_control", ephemeral),
            (
                document(json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="})),
                "/messages/0/content/0/text",
                json!("Of May."),
            ),
            (
                document(json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="})),
                "/messages/0/content/1/file",
                json!({"filename": "T", "file_data": "data:application/pdf;base64,JVBERg=="}),
            ),
            (
                say(
                    json!([{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "tool_reference", "tool_name": "f"}]}]),
                ),
                "/messages/0/content",
                json!("f"),
            ),
        ],
    );
}

#[test]
fn generate_content() {
    let choice = |config: Value| {
        let function = |name| json!({"name": name, "parameters": {"type": "OBJECT", "properties": {}}});
        let declared = json!([{"functionDeclarations": [function("f"), function("g"), function("h")]}]);
        json!({"tools": declared, "toolConfig": {"functionCallingConfig": config}})
    };
    let config = |config: Value| json!({"generationConfig": config});
    check(
        Surface::Gemini,
        &[
            (choice(json!({"mode": "NONE"})), "/tool_choice", json!("none")),
            (choice(json!({"mode": "auto"})), "/tool_choice", json!("auto")),
            (choice(json!({"mode": "VALIDATED"})), "/tool_choice", json!("auto")),
            (choice(json!({"mode": "MODE_UNSPECIFIED"})), "/tool_choice", json!(null)),
            (choice(json!({"mode": "ANY"})), "/tool_choice", json!("required")),
            (choice(json!({"mode": "ANY", "allowedFunctionNames": ["g"]})), "/tool_choice/function/name", json!("g")),
            (choice(json!({"mode": "ANY", "allowedFunctionNames": ["g", "h"]})), "/tool_choice", json!("required")),
            (choice(json!({"mode": "ANY", "allowedFunctionNames": ["g", "h"]})), "/tools/0/function/name", json!("g")),
            (choice(json!({"mode": "VALIDATED", "allowed_function_names": ["h"]})), "/tool_choice", json!("auto")),
            (
                choice(json!({"mode": "VALIDATED", "allowed_function_names": ["h"]})),
                "/tools/0/function/name",
                json!("h"),
            ),
            (json!({"serviceTier": "standard"}), "/service_tier", json!("default")),
            (json!({"serviceTier": "FLEX"}), "/service_tier", json!("flex")),
            (json!({"service_tier": "unspecified"}), "/service_tier", json!(null)),
            (json!({"system_instruction": "Be brief."}), "/messages/0/content", json!("Be brief.")),
            (config(json!({"topK": 40.0})), "/top_k", json!(40)),
            (config(json!({"topP": 0.5})), "/top_p", json!(0.5)),
            (config(json!({"candidateCount": 2})), "/n", json!(2)),
            (config(json!({"seed": 3})), "/seed", json!(3)),
            (config(json!({"presencePenalty": 0.5})), "/presence_penalty", json!(0.5)),
            (config(json!({"frequencyPenalty": 0.5})), "/frequency_penalty", json!(0.5)),
            (config(json!({"responseLogprobs": true, "logprobs": 3})), "/top_logprobs", json!(3)),
            (config(json!({"responseLogprobs": true, "logprobs": 3})), "/logprobs", json!(true)),
            (config(json!({"responseModalities": ["TEXT", "IMAGE"]})), "/modalities", json!(["text", "image"])),
            (config(json!({"responseModalities": ["TEXT"]})), "/modalities", json!(null)),
            (config(json!({"responseMimeType": "application/json"})), "/response_format/type", json!("json_object")),
            (config(json!({"thinkingConfig": {"thinkingBudget": 0}})), "/reasoning/enabled", json!(false)),
            (config(json!({"thinkingConfig": {"thinkingBudget": 512}})), "/reasoning/max_tokens", json!(512)),
            (config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}})), "/reasoning/effort", json!("low")),
        ],
    );
}

#[test]
fn converse() {
    let say = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    let own = |fields: Value| json!({"additionalModelRequestFields": fields});
    let tool = json!({"toolSpec": {"name": "f", "description": "F.", "inputSchema": {"json": {"type": "object", "properties": {}}}}});
    let choice = |choice: Value| json!({"toolConfig": {"tools": [tool], "toolChoice": choice}});
    check(
        Surface::Bedrock,
        &[
            (json!({"serviceTier": {"type": "flex"}}), "/service_tier", json!("flex")),
            (choice(json!({"auto": {}})), "/tool_choice", json!("auto")),
            (choice(json!({"any": {}})), "/tool_choice", json!("required")),
            (choice(json!({"tool": {"name": "f"}})), "/tool_choice/function/name", json!("f")),
            (choice(json!({"auto": {}})), "/tools/0/function/description", json!("F.")),
            (
                own(json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}})),
                "/reasoning/effort",
                json!("medium"),
            ),
            (own(json!({"reasoning_effort": "high"})), "/reasoning/effort", json!("high")),
            (own(json!({"top_k": 5})), "/top_k", json!(5)),
            (
                say(json!({"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}})),
                "/messages/0/content/0/input_audio",
                json!({"data": "AAAA", "format": "mp3"}),
            ),
            (
                say(json!({"video": {"format": "mp4", "source": {"bytes": "AAAA"}}})),
                "/messages/0/content/0/video_url/url",
                json!("data:video/mp4;base64,AAAA"),
            ),
            (
                say(json!({"document": {"format": "pdf", "name": "n", "source": {"bytes": "AAAA"}}})),
                "/messages/0/content/0/file/filename",
                json!("n"),
            ),
            (
                json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema":
                    {"schema": "{\"type\":\"object\"}", "description": "D."}}}}}),
                "/response_format/json_schema",
                json!({"name": "response", "description": "D.", "strict": true, "schema": {"type": "object"}}),
            ),
        ],
    );
}

#[test]
fn chat_of_cohere() {
    let say = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let tools =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]);
    check(
        Surface::Cohere,
        &[
            (json!({"tools": tools, "tool_choice": "REQUIRED"}), "/tool_choice", json!("required")),
            (json!({"tools": tools, "tool_choice": "NONE"}), "/tool_choice", json!("none")),
            (json!({"response_format": {"type": "json_object"}}), "/response_format/type", json!("json_object")),
            (json!({"response_format": {"type": "text"}}), "/response_format", json!(null)),
            (
                json!({"response_format": {"type": "json_object", "schema": {"type": "object"}}}),
                "/response_format/json_schema/schema",
                json!({"type": "object"}),
            ),
            (json!({"thinking": {"type": "enabled", "token_budget": 99}}), "/reasoning/max_tokens", json!(99)),
            (json!({"thinking": {"type": "disabled"}}), "/reasoning/enabled", json!(false)),
            (json!({"p": 0.5}), "/top_p", json!(0.5)),
            (json!({"k": 5}), "/top_k", json!(5)),
            (json!({"seed": 5}), "/seed", json!(5)),
            (json!({"frequency_penalty": 0.5}), "/frequency_penalty", json!(0.5)),
            (json!({"presence_penalty": 0.5}), "/presence_penalty", json!(0.5)),
            (json!({"stop_sequences": ["a"]}), "/stop", json!(["a"])),
            (say(json!(["Hi", {"type": "text", "text": "ho"}])), "/messages/0/content", json!("Hiho")),
            (
                say(json!([{"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}])),
                "/messages/0/content/0/image_url",
                json!({"url": "https://x.example/a.png", "detail": "low"}),
            ),
            (
                say(json!([{"type": "document", "document": {"data": {"a": 1}}}])),
                "/messages/0/content",
                json!("{\"a\":1}"),
            ),
            (
                json!({"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}]}]}),
                "/messages/0/content",
                json!("Yes."),
            ),
        ],
    );
}

#[test]
fn responses() {
    let say = |part: Value| json!({"input": [{"type": "message", "role": "user", "content": [part]}]});
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}}]);
    let refusal = json!({"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]});
    let allowed = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]});
    check(
        Surface::OpenAiResponses,
        &[
            (
                json!({"tools": [{"type": "web_search", "user_location": paris()}]}),
                "/web_search_options/user_location",
                in_paris(),
            ),
            (json!({"tools": tools, "tool_choice": allowed}), "/tool_choice", json!("required")),
            (json!({"tools": tools, "tool_choice": allowed}), "/tools/0/function/name", json!("g")),
            (
                json!({"tools": tools, "tool_choice": {"type": "function", "name": "f"}}),
                "/tool_choice/function/name",
                json!("f"),
            ),
            (json!({"top_logprobs": 2}), "/top_logprobs", json!(2)),
            (json!({"include": ["message.output_text.logprobs"]}), "/logprobs", json!(true)),
            (json!({"instructions": "Be brief."}), "/messages/0/content", json!("Be brief.")),
            (json!({"text": {"format": {"type": "json_object"}}}), "/response_format/type", json!("json_object")),
            (json!({"text": {"format": {"type": "text"}}}), "/response_format", json!(null)),
            (
                json!({"text": {"format": {"type": "json_schema", "name": "s", "strict": true, "schema": {"type": "object"}}}}),
                "/response_format/json_schema/name",
                json!("s"),
            ),
            (
                json!({"input": [{"type": "message", "role": "user", "content": "Hi"}, refusal]}),
                "/messages/1/content/0",
                json!({"type": "refusal", "refusal": "No."}),
            ),
            (
                say(json!({"type": "input_image", "image_url": "https://x.example/a.png", "detail": "high"})),
                "/messages/0/content/0/image_url",
                json!({"url": "https://x.example/a.png", "detail": "high"}),
            ),
            (
                say(json!({"type": "input_image", "image_url": "https://x.example/a.png", "detail": "auto"})),
                "/messages/0/content/0/image_url",
                json!({"url": "https://x.example/a.png"}),
            ),
            (
                say(
                    json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}),
                ),
                "/messages/0/content/0/file",
                json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}),
            ),
            (
                say(json!({"type": "input_file", "file_id": "file-1"})),
                "/messages/0/content/0/file/file_id",
                json!("file-1"),
            ),
        ],
    );
}

#[test]
fn chat_completions() {
    let messages = |messages: Value| json!({"messages": messages});
    check(
        Surface::OpenAiChat,
        &[
            (messages(json!([{"role": "user", "name": "ann", "content": "Hi"}])), "/messages/0/name", json!("ann")),
            (
                messages(
                    json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "refusal": "No."}]),
                ),
                "/messages/1/content/0",
                json!({"type": "refusal", "refusal": "No."}),
            ),
            (
                messages(
                    json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,UklGRg=="  , "format": "wav"}}]}]),
                ),
                "/messages/0/content/0/input_audio",
                json!({"data": "UklGRg==", "format": "wav"}),
            ),
            (json!({"top_logprobs": 2}), "/logprobs", json!(true)),
            (
                json!({"reasoning": {"effort": "low", "exclude": true}}),
                "/reasoning",
                json!({"effort": "low", "exclude": true}),
            ),
            (
                messages(
                    json!([{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]),
                ),
                "/messages/0/content/0/cache_control",
                json!({"type": "ephemeral", "ttl": "1h"}),
            ),
        ],
    );
}
