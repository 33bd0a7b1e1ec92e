//! Hosts of one protocol differ in what they take of it. What each takes by its own documentation stands in
//! `accepted.json`, and whatever a caller of any surface asks for, a host is sent nothing else.

use latchkey::gateway::Step;
use latchkey::keys::Key;
use latchkey::wire::Format;
use serde_json::{Value, json};

use super::schema;
use super::world::{World, json as parse, sent};

/// Callers, and what they speak.
const OWN: [(&str, &str); 4] =
    [("of Messages", "anthropic"), ("of Gemini", "gemini"), ("of Converse", "bedrock"), ("of Cohere", "cohere")];

/// Members that say who speaks and are everywhere.
const ALWAYS: [&str; 1] = ["role"];

#[test]
fn hosts_are_sent_what_they_take() {
    let accepted: Value = serde_json::from_str(include_str!("accepted.json")).expect("JSON");
    let models = accepted["models"].as_object().expect("models");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (model, rules) in models {
        let host = &accepted["hosts"][model.split('/').next().unwrap_or_default()];
        for (caller, path, body) in asked(model) {
            let mut world = World::of(Key::default(), r#"{"version":1,"failover":{"enabled":false}}"#, KEYS);
            let (_, step) = world.post(&path, &body.to_string());
            if let Step::Respond(response) = step {
                wrong.push(format!("{model}, {caller}: refused, {}", String::from_utf8_lossy(&response.body)));
                continue;
            }
            checked += 1;
            let outbound = sent(step);
            let sent = parse(&outbound.body);
            let is_own = OWN.iter().any(|(name, format)| *name == caller && rules["format"] == *format);
            wrong.extend(
                faults(host, rules, &sent, is_own).into_iter().map(|fault| format!("{model}, {caller}: {fault}")),
            );
        }
    }
    assert!(checked > 100 || !wrong.is_empty(), "only {checked} requests were looked at");
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

const KEYS: &[(&str, &str)] = &[
    ("MISTRAL_API_KEY", "key"),
    ("GROQ_API_KEY", "key"),
    ("CEREBRAS_API_KEY", "key"),
    ("FIREWORKS_API_KEY", "key"),
    ("MOONSHOT_API_KEY", "key"),
    ("QWEN_API_KEY", "key"),
    ("XAI_API_KEY", "key"),
    ("AWS_REGION", "us-east-1"),
    ("BEDROCK_ANTHROPIC_API_KEY", "key"),
    ("BEDROCK_API_KEY", "key"),
    ("COHERE_API_KEY", "key"),
    ("OLLAMA_API_KEY", "key"),
];

/// What the host, and on it the model, would answer with an error.
///
/// What callers say in the protocol of the model itself is theirs, but for sampling parameters.
fn faults(host: &Value, rules: &Value, body: &Value, is_own: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let has = |list: &Value, word: &str| list.as_array().is_some_and(|list| list.iter().any(|item| item == word));
    let effort = body["reasoning_effort"].as_str().or(body["reasoning"]["effort"].as_str());
    let thinks = effort.is_some_and(|effort| effort != "none");
    for key in rules["needs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if body[key].is_null() {
            faults.push(format!("`{key}` is lost"));
        }
    }
    let text = body.to_string();
    let lacked = rules["lacks_words"].as_array().into_iter().flatten().filter_map(Value::as_str);
    faults.extend(lacked.filter(|word| !is_own && text.contains(word)).map(|word| format!("it says {word}")));
    if let Some(format) = rules["format"].as_str() {
        let format = Format::ALL.iter().find(|known| known.as_str() == format).expect("a format");
        faults.extend(schema::holds(*format, body).err());
    }
    for apart in rules["apart"].as_array().into_iter().flatten().filter_map(Value::as_array) {
        if apart.iter().filter_map(Value::as_str).all(|key| !body[key].is_null()) {
            faults.push(format!("{apart:?} exclude each other"));
        }
    }
    let takes = &host[if body["input"].is_null() { "body" } else { "responses" }];
    for (key, value) in body.as_object().expect("an object") {
        if takes.is_array() && !has(takes, key) {
            faults.push(format!("it has no `{key}`"));
        }
        let over_chat = !body["messages"].is_null() && has(&rules["refuses_over_chat"], key);
        let is_wish = is_own && ["thinking", "output_config"].contains(&key.as_str());
        if (has(&rules["refuses"], key) && !is_wish)
            || over_chat
            || (thinks && has(&rules["refuses_while_thinking"], key))
        {
            faults.push(format!("the model takes no `{key}`"));
        }
        let values = &host["values"][key];
        if values.is_array() && value.as_str().is_some_and(|value| !has(values, value)) {
            faults.push(format!("`{key}` cannot be {value}"));
        }
    }
    if rules["efforts"].is_array() && effort.is_some_and(|effort| !has(&rules["efforts"], effort)) {
        faults.push(format!("the model knows no effort {effort:?}"));
    }
    for message in body["messages"].as_array().into_iter().flatten() {
        let role = message["role"].as_str().unwrap_or_default();
        let Some(takes) = host["messages"].as_object().map(|roles| roles.get(role)) else { break };
        let Some(takes) = takes else {
            faults.push(format!("it knows no role `{role}`"));
            continue;
        };
        for key in message.as_object().expect("an object").keys().filter(|key| !ALWAYS.contains(&key.as_str())) {
            if !has(takes, key) {
                faults.push(format!("`{role}` has no `{key}`"));
            }
        }
    }
    for turn in body["messages"].as_array().into_iter().flatten().filter(|turn| turn["role"] == "assistant") {
        if host["demands_thoughts"] == true && turn["reasoning_content"].as_str().is_none_or(str::is_empty) {
            faults.push("a turn lacks its thoughts".to_owned());
        }
    }
    let forced = body["tool_choice"] == "required" || body["tool_choice"].is_object();
    if rules["unforced"] == true && !is_own && forced && body["tool_choice"]["type"] != "auto" {
        faults.push("a tool is forced".to_owned());
    }
    let off = body["thinking"]["type"] == "disabled" || body["enable_thinking"] == false || effort == Some("none");
    let asks = body["enable_thinking"] == true || body["thinking"]["type"] == "enabled" || thinks;
    if host["thinks_over_no_forced_tool"] == true && forced && !off && (asks || rules["thinks_unasked"] == true) {
        faults.push("it thinks, and a tool is forced".to_owned());
    }
    faults
}

/// Requests of every surface that ask for as much as a host may lose without harm.
fn asked(model: &str) -> Vec<(&'static str, String, Value)> {
    let mut all = Vec::new();
    for (name, effort) in [("of Chat Completions", "high"), ("of Chat Completions, a little", "minimal")] {
        all.push((name, "/v1/chat/completions".to_owned(), chat(model, effort, json!("auto"))));
    }
    all.push((
        "of Chat Completions, forced",
        "/v1/chat/completions".to_owned(),
        chat(model, "high", json!("required")),
    ));
    let named = json!({"type": "function", "function": {"name": "sky"}});
    let mut silent = chat(model, "high", named);
    silent.as_object_mut().expect("an object").remove("reasoning_effort");
    let turn = silent["messages"][2].as_object_mut().expect("an object");
    turn.retain(|key, _| !key.starts_with("reasoning"));
    all.push(("of Chat Completions, named", "/v1/chat/completions".to_owned(), silent));
    for choice in ["auto", "any"] {
        all.push(("of Messages", "/v1/messages".to_owned(), messages(model, choice)));
    }
    for (choice, effort) in [("auto", "high"), ("auto", "minimal"), ("required", "xhigh")] {
        all.push(("of Responses", "/v1/responses".to_owned(), responses(model, choice, effort)));
    }
    for mode in ["AUTO", "ANY"] {
        all.push(("of Gemini", format!("/v1beta/models/{model}:generateContent"), gemini(model, mode)));
    }
    for choice in ["auto", "any"] {
        all.push(("of Converse", format!("/model/{}/converse", model.replace('/', "%2F")), converse(choice)));
    }
    for choice in [Value::Null, json!("REQUIRED")] {
        all.push(("of Cohere", "/v2/chat".to_owned(), cohere(model, choice)));
    }
    all
}

fn parameters() -> Value {
    json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]})
}

/// A conversation whose assistant's turn is what the SDK read, as agents send it back, its `null`s with it.
fn chat(model: &str, effort: &str, choice: Value) -> Value {
    json!({
        "model": model,
        "messages": [
            {"role": "developer", "content": "Be brief.", "name": "house"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "What colour?", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": null, "refusal": null, "annotations": [], "audio": null,
                "function_call": null, "reasoning_content": "Look up.", "reasoning": "Look up.",
                "reasoning_details": [{"type": "reasoning.text", "text": "Look up."}],
                "tool_calls": [{"id": "call_1", "type": "function",
                    "function": {"name": "sky", "arguments": "{\"at\":\"noon\"}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"type": "function", "function": {"name": "sky", "parameters": parameters(), "strict": false}}],
        "tool_choice": choice, "parallel_tool_calls": false,
        "temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "frequency_penalty": 0.5, "presence_penalty": 0.5,
        "repetition_penalty": 1.1, "logit_bias": {"1": 1}, "seed": 7, "max_tokens": 4096, "n": 1,
        "user": "u", "metadata": {"a": "b"}, "store": true, "service_tier": "priority",
        "prompt_cache_key": "p", "prompt_cache_retention": "24h", "safety_identifier": "s", "verbosity": "low",
        "prediction": {"type": "content", "content": "blue"}, "reasoning_effort": effort,
        "stream": true, "stream_options": {"include_usage": true}, "modalities": ["text"],
        "usage": {"include": true}, "transforms": [],
    })
}

fn messages(model: &str, choice: &str) -> Value {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    json!({
        "model": model, "max_tokens": 4096,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What colour?", "cache_control": mark}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Look up.", "signature": "c2ln"},
                {"type": "tool_use", "id": "toolu_1", "name": "sky", "input": {"at": "noon"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "blue"}],
                    "cache_control": mark},
                {"type": "text", "text": "And now?"}]},
        ],
        "tools": [{"name": "sky", "input_schema": parameters(), "cache_control": mark}],
        "tool_choice": {"type": choice, "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "temperature": 0.5, "top_k": 5, "top_p": 0.96, "metadata": {"user_id": "u"}, "service_tier": "auto", "stream": true,
    })
}

fn responses(model: &str, choice: &str, effort: &str) -> Value {
    json!({
        "model": model, "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What colour?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look up."}],
                "encrypted_content": "c2ln"},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "sky", "arguments": "{\"at\":\"noon\"}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "blue"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And now?"}]},
        ],
        "tools": [{"type": "function", "name": "sky", "parameters": parameters(), "strict": false}],
        "tool_choice": choice, "parallel_tool_calls": false, "max_output_tokens": 4096,
        "reasoning": {"effort": effort, "summary": "auto"}, "text": {"verbosity": "low"},
        "include": ["reasoning.encrypted_content"], "store": false, "stream": true,
        "prompt_cache_key": "p", "safety_identifier": "s", "service_tier": "auto", "metadata": {"a": "b"},
        "temperature": 0.5, "top_p": 0.9, "truncation": "disabled", "user": "u",
    })
}

fn gemini(_: &str, mode: &str) -> Value {
    json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "What colour?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "sky", "args": {"at": "noon"}}, "thoughtSignature": "c2ln"}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "sky", "response": {"output": "blue"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "sky", "parameters": parameters()}]}],
        "toolConfig": {"functionCallingConfig": {"mode": mode}},
        "generationConfig": {"temperature": 0.5, "topP": 0.9, "topK": 5, "seed": 7, "presencePenalty": 0.5,
            "frequencyPenalty": 0.5, "candidateCount": 1, "maxOutputTokens": 4096,
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 2048}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    })
}

fn converse(choice: &str) -> Value {
    json!({
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [{"text": "What colour?"}]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "Look up.", "signature": "c2ln"}}},
                {"toolUse": {"toolUseId": "t1", "name": "sky", "input": {"at": "noon"}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"text": "blue"}], "status": "success"}}]},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "sky", "inputSchema": {"json": parameters()}}}],
            "toolChoice": {choice: {}}},
        "inferenceConfig": {"maxTokens": 4096, "temperature": 0.5, "topP": 0.9},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        "requestMetadata": {"a": "b"},
    })
}

fn cohere(model: &str, choice: Value) -> Value {
    let mut body = json!({
        "model": model, "stream": true,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What colour?"},
            {"role": "assistant", "tool_plan": "Look up.", "tool_calls": [{"id": "sky_1", "type": "function",
                "function": {"name": "sky", "arguments": "{\"at\":\"noon\"}"}}]},
            {"role": "tool", "tool_call_id": "sky_1", "content": "blue"},
        ],
        "tools": [{"type": "function", "function": {"name": "sky", "parameters": parameters()}}],
        "temperature": 0.5, "p": 0.9, "k": 5, "seed": 7, "frequency_penalty": 0.5, "presence_penalty": 0.5,
        "max_tokens": 4096, "safety_mode": "CONTEXTUAL", "thinking": {"type": "enabled", "token_budget": 2048},
    });
    if !choice.is_null() {
        body["tool_choice"] = choice;
    }
    body
}
