//! Recorded requests of each surface's own protocol: read as a surface reads them and written in that protocol again,
//! they ask for the same.

use latchkey::provider::{ModelFacts, Quirks, StructuredOutput};
use latchkey::wire::{Adjusted, InlinedMedia, Surface, Target};
use serde_json::{Value, json};

use super::corpus::{Recording, corpus};
use super::scope::{Scope, scope};

/// Requests that lose on the way what no other protocol has a word for: their blocks or tools are the provider's own.
const OWN_WORDS: [&str; 7] =
    ["server_tool_use", "_tool_result", "compaction", "container", "mcp_servers", "tool_reference", "search_result"];

fn recorded(surface: Surface) -> impl Iterator<Item = (&'static Recording, Value)> {
    let (recordings, _) = corpus();
    recordings.iter().filter_map(move |recording| {
        let own = matches!(scope(recording), Scope::Chat { format, .. } if format == surface.format());
        let mut request = recording.request.clone().filter(|_| own && recording.status < 400)?;
        request["model"] = json!("model");
        Some((recording, request))
    })
}

fn rewritten(surface: Surface, body: &str) -> Result<Value, latchkey::failure::Failure> {
    let facts = ModelFacts { structured: StructuredOutput::Native, system_anywhere: true, ..ModelFacts::default() };
    let inlined = InlinedMedia::new();
    let request = surface.read_request(body.as_bytes())?;
    let target = Target { model: "model", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let made = surface.format().write_request(&request, &target, &mut Adjusted::default())?;
    Ok(serde_json::from_slice(&made.body).expect("JSON"))
}

#[test]
fn requests_of_messages_ask_for_the_same_after_a_way_through_the_hub() {
    let (mut checked, mut refused, mut wrong) = (0, 0, Vec::new());
    for (recording, request) in recorded(Surface::Anthropic) {
        let body = request.to_string();
        if !request["messages"].is_array() || OWN_WORDS.iter().any(|word| body.contains(word)) {
            continue;
        }
        checked += 1;
        match rewritten(Surface::Anthropic, &body) {
            Ok(made) => {
                let (expected, found) = (messages_plainly(&request), messages_plainly(&made));
                if expected != found {
                    wrong.push(format!("{}:\n  expected {expected}\n  found    {found}", recording.id));
                }
            }
            // Tools that only their own provider runs are refused by name.
            Err(failure) if failure.param.as_deref().is_some_and(|param| param.starts_with("tools.")) => refused += 1,
            Err(failure) => wrong.push(format!("{}: {failure}", recording.id)),
        }
    }
    println!("checked {checked} requests");
    assert!(checked > 20 && refused * 4 < checked, "{checked} requests were found, {refused} refused");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn requests_of_gemini_ask_for_the_same_after_a_way_through_the_hub() {
    let (mut checked, mut refused, mut wrong) = (0, 0, Vec::new());
    for (recording, request) in recorded(Surface::Gemini) {
        if request["contents"].is_null() || recording.id == TABLE {
            continue;
        }
        checked += 1;
        match rewritten(Surface::Gemini, &request.to_string()) {
            Ok(made) => {
                let (expected, found) = (contents_plainly(&request), contents_plainly(&made));
                if expected != found {
                    wrong.push(format!("{}:\n  expected {expected}\n  found    {found}", recording.id));
                }
            }
            // Tools that only their own provider runs, and what it keeps, are refused by name.
            Err(failure) if failure.param.as_deref().is_some_and(is_its_own) => refused += 1,
            // Which is what the gateway does before it writes.
            Err(failure) if failure.message.contains("could not be fetched") => refused += 1,
            Err(failure) => wrong.push(format!("{}: {failure}", recording.id)),
        }
    }
    println!("checked {checked} requests, {refused} refused");
    assert!(checked > 20 && refused * 4 < checked, "{checked} requests were found, {refused} refused");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn requests_of_responses_ask_for_the_same_after_a_way_through_the_hub() {
    let (mut checked, mut refused, mut wrong) = (0, 0, Vec::new());
    for (recording, request) in recorded(Surface::OpenAiResponses) {
        if request["input"].is_null() {
            continue;
        }
        checked += 1;
        match rewritten(Surface::OpenAiResponses, &request.to_string()) {
            Ok(made) => {
                let (expected, found) = (items_plainly(&request), items_plainly(&made));
                if expected != found {
                    wrong.push(format!("{}:\n  expected {expected}\n  found    {found}", recording.id));
                }
            }
            // Tools that only their own provider runs, and what it keeps, are refused by name.
            Err(failure) if failure.param.as_deref().is_some_and(is_kept_or_run_there) => refused += 1,
            Err(failure) => wrong.push(format!("{}: {failure}", recording.id)),
        }
    }
    println!("checked {checked} requests, {refused} refused");
    assert!(checked > 20 && refused * 4 < checked, "{checked} requests were found, {refused} refused");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

fn is_kept_or_run_there(place: &str) -> bool {
    let kept = ["prompt", "conversation", "background", "previous_response_id"].contains(&place);
    kept || place.starts_with("tools.") || (place.starts_with("input.") && place.ends_with(".type"))
}

/// What a request of Responses says, without spellings that mean the same.
fn items_plainly(request: &Value) -> Value {
    let mut input = match &request["input"] {
        Value::String(text) => vec![json!({"role": "user", "content": text})],
        items => items.as_array().cloned().expect("items"),
    };
    if let Some(text) = request["instructions"].as_str() {
        input.insert(0, json!({"role": "system", "content": text}));
    }
    let said = input.iter().filter_map(|item| {
        let text_of = |content: &Value| -> Vec<Value> {
            match content {
                Value::String(text) => vec![json!(text)],
                parts => parts.as_array().into_iter().flatten().map(plain_part).collect(),
            }
        };
        Some(match item["type"].as_str() {
            None | Some("message") => json!([item["role"], text_of(&item["content"])]),
            Some("function_call" | "custom_tool_call") => {
                let arguments = item["arguments"].as_str().filter(|text| !text.is_empty()).unwrap_or("{}");
                json!(["call", item["call_id"], in_namespace(&item["namespace"], &item["name"]), arguments])
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                json!([
                    "result",
                    item["call_id"],
                    text_of(&item["output"]).iter().filter(|text| **text != "").collect::<Vec<_>>()
                ])
            }
            // The caller's own search for tools is a function elsewhere; what it found is listed.
            Some("tool_search_call") if item["execution"] == "client" => {
                json!(["call", item["call_id"], "tool_search", item["arguments"].to_string()])
            }
            Some("tool_search_output") if item["execution"] == "client" => {
                let found = item["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str());
                let found = found.map(|name| format!(" {name}")).collect::<String>();
                json!(["result", item["call_id"], [format!("Tools that can be called now:{found}")]])
            }
            Some("reasoning") if item["encrypted_content"].is_string() => {
                json!(["thought", item["id"], item["encrypted_content"]])
            }
            // Without its encrypted form a thought is kept by the provider or by nobody.
            _ => return None,
        })
    });
    let tools = request["tools"].as_array().into_iter().flatten();
    // Those that come in items are there with the others.
    let brought =
        input.iter().filter(|item| matches!(item["type"].as_str(), Some("additional_tools" | "tool_search_output")));
    let brought = brought.flat_map(|item| item["tools"].as_array().into_iter().flatten());
    let of_functions = tools.clone().chain(brought).flat_map(|tool| match tool["type"].as_str() {
        Some("function" | "custom") => vec![tool["name"].clone()],
        Some("namespace") => {
            let inside = tool["tools"].as_array().into_iter().flatten();
            inside.map(|one| in_namespace(&tool["name"], &one["name"])).collect()
        }
        _ => Vec::new(),
    });
    json!({
        "said": said.collect::<Vec<_>>(),
        "tools": of_functions.fold(Vec::new(), |mut known: Vec<Value>, name| {
            if !known.contains(&name) {
                known.push(name);
            }
            known
        }),
        "searches": tools.clone().any(|tool| tool["type"].as_str().is_some_and(|kind| kind.starts_with("web_search"))),
        "choice": match &request["tool_choice"] {
            choice if choice["type"].is_string() && choice["name"].is_null() && choice["tools"].is_null() => Value::Null,
            choice if request["tools"].as_array().is_none_or(Vec::is_empty) => json!(choice.is_object().then_some("")),
            choice => choice.clone(),
        },
        "most": request["max_output_tokens"].as_u64().map(|most| most.max(16)),
        "temperature": request["temperature"],
        "effort": request["reasoning"]["effort"],
        "format": request["text"]["format"]["type"].as_str().filter(|kind| *kind != "text"),
        "schema": request["text"]["format"]["schema"],
        "stream": request["stream"] == true,
    })
}

/// A tool's name as other protocols have to spell it.
fn in_namespace(namespace: &Value, name: &Value) -> Value {
    match (namespace.as_str(), name.as_str()) {
        (Some(namespace), Some(plain)) if namespace != plain => json!(format!("{namespace}__{plain}")),
        _ => name.clone(),
    }
}

fn plain_part(part: &Value) -> Value {
    match part["type"].as_str() {
        Some("input_image" | "input_file") => {
            let kept = ["image_url", "file_url", "file_data", "file_id"].map(|key| part[key].clone());
            json!(kept)
        }
        Some("refusal") => json!(part["refusal"]),
        _ => part["text"].clone(),
    }
}

/// A table in base64 is told as the words that it is.
const TABLE: &str = "gemini.document-stream.72c8a88d92";

fn is_its_own(place: &str) -> bool {
    place.starts_with("tools.") || place == "cachedContent"
}

/// What a request of Gemini says, without spellings that mean the same.
fn contents_plainly(request: &Value) -> Value {
    let request = camel(request);
    let mut turns: Vec<Value> = Vec::new();
    let contents = match &request["contents"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    for content in &contents {
        let role = if content["role"] == "model" { "model" } else { "user" };
        let said = parts(&content["parts"]);
        match turns.last_mut() {
            Some(last) if last["role"] == role => last["parts"].as_array_mut().expect("parts").extend(said),
            _ if said.is_empty() => {}
            _ => turns.push(json!({"role": role, "parts": said})),
        }
    }
    let declared = request["tools"].as_array().into_iter().flatten();
    let functions = declared.flat_map(|tool| tool["functionDeclarations"].as_array().cloned().unwrap_or_default());
    let config = &request["generationConfig"];
    json!({
        "turns": turns,
        "system": parts(&request["systemInstruction"]["parts"]),
        "tools": functions.map(|function| function["name"].clone()).collect::<Vec<_>>(),
        "mode": match request["toolConfig"]["functionCallingConfig"]["mode"].as_str() {
            // Which is what comes without asking.
            Some("AUTO" | "MODE_UNSPECIFIED" | "VALIDATED") | None => "",
            Some(mode) => mode,
        },
        "most": config["maxOutputTokens"],
        "temperature": config["temperature"],
        "stop": config["stopSequences"].as_array().cloned().unwrap_or_default(),
        "json": config["responseMimeType"] == "application/json",
        "schema": config["responseSchema"].is_object() || config["responseJsonSchema"].is_object(),
    })
}

fn parts(list: &Value) -> Vec<Value> {
    let list = match list {
        Value::Array(list) => list.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let said = list.into_iter().filter_map(|part| {
        if part["functionCall"].is_object() {
            return Some(json!({"call": part["functionCall"]["name"], "args": part["functionCall"]["args"]}));
        }
        if part["functionResponse"].is_object() {
            return Some(json!({"returned": part["functionResponse"]["name"]}));
        }
        let data = &part["inlineData"];
        if data["mimeType"].as_str().is_some_and(|kind| !kind.starts_with("text/")) {
            return Some(json!({"data": data["mimeType"]}));
        }
        if data.is_object() || part["fileData"].is_object() {
            return Some(json!({"file": part["fileData"]["fileUri"]}));
        }
        // Thoughts are only for their own model, and need not go back.
        let text = part["text"].as_str().filter(|text| !text.is_empty() && part["thought"] != true)?;
        Some(json!({"text": text}))
    });
    said.collect()
}

/// Members in the case of the documentation.
fn camel(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let mut words = key.split('_');
                let mut name = words.next().unwrap_or_default().to_owned();
                for word in words.filter(|word| !word.is_empty()) {
                    name.push_str(&word[..1].to_uppercase());
                    name.push_str(&word[1..]);
                }
                (name, camel(value))
            })
            .collect(),
        Value::Array(items) => items.iter().map(camel).collect(),
        other => other.clone(),
    }
}

/// What a request of Messages says, without spellings that mean the same.
fn messages_plainly(request: &Value) -> Value {
    let mut turns: Vec<Value> = Vec::new();
    for message in request["messages"].as_array().expect("messages") {
        let said = blocks(&message["content"]);
        match turns.last_mut() {
            // Turns of one speaker are one.
            Some(last) if last["role"] == message["role"] => {
                last["content"].as_array_mut().expect("blocks").extend(said);
            }
            _ => turns.push(json!({"role": message["role"], "content": said})),
        }
    }
    // Results go before what is said beside them.
    for turn in &mut turns {
        turn["content"].as_array_mut().expect("blocks").sort_by_key(|block| block["type"] != "tool_result");
    }
    let tools = request["tools"].as_array().into_iter().flatten();
    let choice = &request["tool_choice"];
    let calls_tools = turns.iter().any(|turn| turn["content"].to_string().contains("\"tool_use\""));
    json!({
        // The provider's bookkeeping is for nobody else.
        "system": blocks(&request["system"]).iter().map(|block| block["text"].clone())
            .filter(|text| !text.as_str().unwrap().starts_with("x-anthropic-billing-header")).collect::<Vec<_>>(),
        "turns": turns,
        // Tools that only the conversation knows are declared again.
        "tools": (!calls_tools).then(|| tools.map(|tool| tool["name"].clone())
            // Elsewhere all tools are offered at once.
            .filter(|name| !name.as_str().unwrap().starts_with("tool_search_tool")).collect::<Vec<_>>()),
        "choice": match choice["type"].as_str() {
            Some("tool") => choice["name"].clone(),
            // Which is what comes without asking.
            Some("auto") | None => Value::Null,
            _ if calls_tools => Value::Null,
            Some(kind) => json!(kind),
        },
        "max_tokens": request["max_tokens"],
        "stop": request["stop_sequences"].as_array().cloned().unwrap_or_default(),
        "stream": request["stream"] == true,
        "user": request["metadata"]["user_id"],
        "thinks": request["thinking"]["type"].as_str().is_some_and(|kind| kind != "disabled"),
    })
}

fn blocks(content: &Value) -> Vec<Value> {
    let list = match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(list) => list.clone(),
        _ => Vec::new(),
    };
    let said = list.into_iter().filter(|block| block["text"].as_str().is_none_or(|text| !text.trim().is_empty()));
    said.flat_map(|mut block| {
        let title = (block["source"]["type"] == "text").then(|| block["title"].as_str().map(str::to_owned)).flatten();
        let members = block.as_object_mut().expect("a block");
        members.retain(|_, value| !value.is_null());
        if let Some(marks) = members.get_mut("cache_control").and_then(Value::as_object_mut) {
            marks.retain(|_, value| value != "5m");
        }
        // Citations of earlier answers are told by their text; who called a tool is the provider's to know.
        for key in ["citations", "caller", "title"] {
            members.remove(key);
        }
        if members.get("is_error") == Some(&json!(false)) {
            members.remove("is_error");
        }
        if members["type"] == "tool_use" {
            members.remove("cache_control");
        }
        // A document of plain words is told as words.
        if members["type"] == "document" && members["source"]["type"] == "text" {
            let text = members["source"]["data"].clone();
            let marks = members.get("cache_control").cloned();
            *members = json!({"type": "text", "text": text}).as_object().cloned().expect("an object");
            members.extend(marks.map(|marks| ("cache_control".to_owned(), marks)));
        }
        if let Some(inner) = members.get("content") {
            let inner = blocks(inner);
            members.insert("content".to_owned(), Value::Array(inner));
        }
        // A document of plain words begins with its title.
        let title = title.map(|title| json!({"type": "text", "text": format!("{title}\n\n")}));
        title.into_iter().chain([block])
    })
    .collect()
}
