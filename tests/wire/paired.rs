//! One and the same request, recorded in several formats: what the gateway makes of the OpenAI-shaped one must say
//! what the provider's own SDK said.
//!
//! Tolerated, because the recordings differ in it by their nature:
//! - what the models themselves answered in earlier turns (words, or none, call ids, signatures);
//! - a limit of output tokens where the OpenAI-shaped request had none and the other format demands one;
//! - `reasoning_effort`, which only the OpenAI-shaped requests had;
//! - the spelling of JSON Schema types, and `additionalProperties`, which one of them does not know;
//! - a string in place of a list with one text, and the name of the member that holds a tool's result;
//! - a link in place of an inlined picture;
//! - a limit of output tokens below the least that the other format takes.

use latchkey::failure::Failure;
use latchkey::provider::{ModelFacts, Quirks};
use latchkey::wire::{Adjusted, Format, InlinedMedia, InlinedPart, Target, openai_chat};
use serde_json::{Value, json};

use super::corpus::{Recording, corpus};
use super::scope::{Scope, scope};

/// Conversations in which the two models called their tool with different arguments, which then came back.
const ANSWERED_APART: [(&str, &str); 1] = [("openai.tools.d123d9953d", "openai.responses.377199c548")];

#[test]
fn paired_requests_say_the_same() {
    let (recordings, whole) = corpus();
    let of = |wanted: Format| {
        recordings.iter().filter(move |recording| {
            let ours = matches!(scope(recording), Scope::Chat { format, .. } if format == wanted);
            ours && recording.case.is_some() && recording.request.is_some()
        })
    };
    let (mut compared, mut wrong) = (0, Vec::new());
    for source in of(Format::OpenAiChat) {
        for format in [Format::OpenAiResponses, Format::Anthropic, Format::Gemini, Format::Bedrock] {
            let alike = |pair: &&Recording| pair.case == source.case && turns(source) == turns(pair);
            for pair in of(format).filter(alike).filter(|pair| !ANSWERED_APART.contains(&(&source.id, &pair.id))) {
                let expected = meaning(format, request(pair));
                let found = match translated(source, pair, format) {
                    Ok(found) => found,
                    Err(failure) => {
                        wrong.push(format!("{} as {}: {failure}", source.id, pair.id));
                        continue;
                    }
                };
                compared += 1;
                let expected = tolerate(expected, request(source));
                let found = tolerate(found, request(source));
                if expected != found {
                    let (source, pair) = (&source.id, &pair.id);
                    wrong.push(format!("{source} as {pair}:\n    expected {expected}\n    found    {found}"));
                }
            }
        }
    }
    println!("compared {compared} pairs");
    assert!(wrong.is_empty(), "{} pairs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(!whole || compared > 40, "only {compared} pairs were found");
}

/// How long the conversation is: of one case there are first requests and those that follow up on an answer.
fn turns(recording: &Recording) -> usize {
    if let Some(items) = request(recording)["input"].as_array() {
        let spoken = items.iter().filter(|item| !["system", "developer"].iter().any(|role| item["role"] == *role));
        let mut speakers: Vec<&str> = spoken.map(speaker).collect();
        speakers.dedup_by(|next, before| next == before && *next == "assistant");
        return speakers.len();
    }
    let turns = ["messages", "contents"].iter().find_map(|key| request(recording)[key].as_array());
    turns.into_iter().flatten().filter(|turn| turn["role"] != "system").count()
}

fn request(recording: &Recording) -> &Value {
    recording.request.as_ref().expect("a request")
}

/// What the gateway makes of `source` for the model that `pair` went to, in the words of [`meaning`].
fn translated(source: &Recording, pair: &Recording, format: Format) -> Result<Value, Failure> {
    let body = request(source).to_string();
    let read = openai_chat::read_request(body.as_bytes())?;
    let facts = ModelFacts { max_output: Some(64_000), ..ModelFacts::default() };
    let mut inlined = InlinedMedia::new();
    let nothing = InlinedMedia::new();
    let target = Target { model: &pair.model, quirks: &Quirks::NONE, facts: &facts, inlined: &nothing };
    for link in format.links_to_inline(&read, &target) {
        inlined.insert(link, InlinedPart { media_type: "image/jpeg".to_owned(), data: "/9j/".to_owned() });
    }
    let mut adjusted = Adjusted::default();
    let made = format.write_request(&read, &Target { inlined: &inlined, ..target }, &mut adjusted)?;
    let written: Value = serde_json::from_slice(&made.body).expect("a request is JSON");
    Ok(meaning(format, &written))
}

/// What a request of either format says.
fn meaning(format: Format, request: &Value) -> Value {
    match format {
        Format::Anthropic => anthropic(request),
        Format::Bedrock => bedrock(request),
        Format::OpenAiResponses => responses(request),
        _ => gemini(request),
    }
}

fn anthropic(request: &Value) -> Value {
    let parts = |content: &Value| -> Vec<Value> {
        let whole = json!([{"type": "text", "text": content}]);
        let blocks = if content.is_string() { &whole } else { content };
        let said = |block: &Value| match block["type"].as_str().unwrap_or_default() {
            "text" => json!({"text": block["text"]}),
            "tool_use" => json!({"call": block["name"], "with": block["input"]}),
            "tool_result" => json!({"result": text_of(&block["content"])}),
            other => json!(other),
        };
        blocks.as_array().into_iter().flatten().map(said).collect()
    };
    let turns = request["messages"].as_array().into_iter().flatten();
    let tools = request["tools"].as_array().into_iter().flatten();
    json!({
        "system": text_of(&request["system"]),
        "turns": turns.map(|turn| json!([turn["role"], parts(&turn["content"])])).collect::<Vec<_>>(),
        "tools": tools
            .map(|tool| json!([tool["name"], tool["description"], schema(&tool["input_schema"])]))
            .collect::<Vec<_>>(),
        "choice": match request["tool_choice"]["type"].as_str() {
            Some("any") => json!("required"),
            Some("tool") => request["tool_choice"]["name"].clone(),
            word => json!(word),
        },
        "max": request["max_tokens"],
    })
}

fn gemini(request: &Value) -> Value {
    let said = |part: &Value| {
        if part["functionCall"].is_object() {
            json!({"call": part["functionCall"]["name"], "with": part["functionCall"]["args"]})
        } else if part["functionResponse"].is_object() {
            let response = part["functionResponse"]["response"].as_object().into_iter().flatten();
            json!({"result": response.map(|(_, value)| text_of(value)).collect::<String>()})
        } else if part["inlineData"].is_object() || part["fileData"].is_object() {
            json!("image")
        } else {
            json!({"text": part["text"]})
        }
    };
    let turns = request["contents"].as_array().into_iter().flatten();
    let tools = request["tools"].as_array().into_iter().flatten();
    let declared = tools.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten());
    let calling = &request["toolConfig"]["functionCallingConfig"];
    json!({
        "system": text_of(&request["systemInstruction"]["parts"]),
        "turns": turns
            .map(|turn| {
                let role = if turn["role"] == "model" { "assistant" } else { "user" };
                json!([role, turn["parts"].as_array().into_iter().flatten().map(said).collect::<Vec<_>>()])
            })
            .collect::<Vec<_>>(),
        "tools": declared
            .map(|tool| {
                let parameters = if tool["parameters"].is_object() { "parameters" } else { "parametersJsonSchema" };
                json!([tool["name"], tool["description"], schema(&tool[parameters])])
            })
            .collect::<Vec<_>>(),
        "choice": match (&calling["allowedFunctionNames"][0], calling["mode"].as_str()) {
            (name @ Value::String(_), _) => name.clone(),
            (_, Some("ANY")) => json!("required"),
            (_, mode) => json!(mode.map(str::to_ascii_lowercase)),
        },
        "max": request["generationConfig"]["maxOutputTokens"],
    })
}

fn bedrock(request: &Value) -> Value {
    let said = |block: &Value| {
        if block["toolUse"].is_object() {
            json!({"call": block["toolUse"]["name"], "with": block["toolUse"]["input"]})
        } else if block["toolResult"].is_object() {
            json!({"result": text_of(&block["toolResult"]["content"])})
        } else if block["image"].is_object() {
            json!("image")
        } else {
            json!({"text": block["text"]})
        }
    };
    let turns = request["messages"].as_array().into_iter().flatten();
    let tools = request["toolConfig"]["tools"].as_array().into_iter().flatten();
    let choice = &request["toolConfig"]["toolChoice"];
    json!({
        "system": text_of(&request["system"]),
        "turns": turns
            .map(|turn| json!([turn["role"], turn["content"].as_array().into_iter().flatten().map(said).collect::<Vec<_>>()]))
            .collect::<Vec<_>>(),
        "tools": tools
            .map(|tool| &tool["toolSpec"])
            .map(|tool| json!([tool["name"], tool["description"], schema(&tool["inputSchema"]["json"])]))
            .collect::<Vec<_>>(),
        "choice": match (choice["any"].is_object(), choice["tool"]["name"].as_str()) {
            (true, _) => json!("required"),
            (_, Some(name)) => json!(name),
            _ if choice["auto"].is_object() => json!("auto"),
            _ => Value::Null,
        },
        "max": request["inferenceConfig"]["maxTokens"],
    })
}

/// Who an item of Responses is of.
fn speaker(item: &Value) -> &'static str {
    match (item["type"].as_str(), item["role"].as_str()) {
        (Some("function_call_output"), _) => "tool",
        (_, Some("user")) => "user",
        _ => "assistant",
    }
}

fn responses(request: &Value) -> Value {
    let whole = json!([{"role": "user", "content": request["input"]}]);
    let items = if request["input"].is_string() { &whole } else { &request["input"] };
    let items = || items.as_array().into_iter().flatten();
    let is_system = |item: &&Value| ["system", "developer"].iter().any(|role| item["role"] == *role);
    let parts = |item: &Value| -> Vec<Value> {
        let whole = json!([{"type": "input_text", "text": item["content"]}]);
        let content = if item["content"].is_string() { &whole } else { &item["content"] };
        match item["type"].as_str() {
            Some("function_call") => {
                let with: Value = serde_json::from_str(item["arguments"].as_str().unwrap_or("{}")).expect("arguments");
                vec![json!({"call": item["name"], "with": with})]
            }
            Some("function_call_output") => vec![json!({"result": text_of(&item["output"])})],
            Some("message") | None => content
                .as_array()
                .into_iter()
                .flatten()
                .map(|part| if part["type"] == "input_image" { json!("image") } else { json!({"text": part["text"]}) })
                .collect(),
            _ => Vec::new(),
        }
    };
    let system: String = items().filter(is_system).map(|item| text_of(&item["content"])).collect();
    let role = |item: &Value| if speaker(item) == "assistant" { "assistant" } else { "user" };
    json!({
        "system": text_of(&request["instructions"]) + &system,
        "turns": items().filter(|item| !is_system(item)).map(|item| json!([role(item), parts(item)])).collect::<Vec<_>>(),
        "tools": request["tools"].as_array().into_iter().flatten()
            .filter(|tool| tool["type"] == "function")
            .map(|tool| json!([tool["name"], tool["description"], schema(&tool["parameters"])]))
            .collect::<Vec<_>>(),
        "choice": request["tool_choice"],
        "max": request["max_output_tokens"].as_u64().map(|most| most.max(16)),
    })
}

/// The words of a string, or of a list of texts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| text_of(&part["text"])).collect(),
        _ => String::new(),
    }
}

fn schema(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => members
            .iter()
            .filter(|(key, _)| *key != "additionalProperties" && *key != "propertyOrdering")
            .map(|(key, value)| match value {
                Value::String(word) if key == "type" => (key.clone(), json!(word.to_ascii_lowercase())),
                value => (key.clone(), self::schema(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(self::schema).collect(),
        other => other.clone(),
    }
}

/// Takes out of a meaning what may differ.
fn tolerate(mut meaning: Value, source: &Value) -> Value {
    if source["max_completion_tokens"].is_null() && source["max_tokens"].is_null() {
        meaning["max"] = Value::Null;
    }
    let mut turns: Vec<Value> = Vec::new();
    for turn in meaning["turns"].as_array().into_iter().flatten() {
        let is_call = |part: &&Value| part["call"].is_string();
        let parts = turn[1].as_array().into_iter().flatten();
        let parts: Vec<Value> =
            if turn[0] == "assistant" { parts.filter(is_call).cloned().collect() } else { parts.cloned().collect() };
        match turns.last_mut() {
            _ if parts.is_empty() => {}
            // Where the model said nothing, what the caller said before and after stands together.
            Some(last) if last[0] == turn[0] => last[1].as_array_mut().expect("parts").extend(parts),
            _ => turns.push(json!([turn[0], parts])),
        }
    }
    meaning["turns"] = Value::Array(turns);
    meaning
}
