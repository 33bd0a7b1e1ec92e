//! Recorded requests, put right for every row of the format: what a vendor refuses is gone, what it calls otherwise is
//! renamed, and what the caller said is still there.

use latchkey::failure::Kind;
use latchkey::provider::{ModelFacts, OutputCap, PROVIDERS, Provider, ToolCallIds};
use latchkey::wire::RequestPatch;
use latchkey::wire::openai_chat::patch_request;
use latchkey::wire::{Adjusted, Format};
use serde_json::{Value, json};

use super::requests::{plainly, recorded};

#[test]
fn every_row_gets_requests_that_it_takes() {
    let (mut sent, mut wrong) = (0, Vec::new());
    let rows = PROVIDERS.iter().filter(|row| row.format == Format::OpenAiChat).enumerate();
    for (number, row) in rows {
        // Every request for some row and every row for some requests: all of them would take a minute.
        for (_, (recording, request)) in recorded().enumerate().filter(|(at, _)| at % 8 == number % 8) {
            let mut request = request.clone();
            request["seed"] = json!(7);
            request["store"] = json!(false);
            if request["max_tokens"].is_null() {
                request["max_completion_tokens"] = json!(100);
            }
            match patched(row, &request) {
                Ok(made) => {
                    sent += 1;
                    let faults = faults(row, &request, &made);
                    wrong.extend(faults.into_iter().map(|fault| format!("{} for {}: {fault}", recording.id, row.id)));
                }
                Err(Kind::Unsupported) => {}
                Err(kind) => wrong.push(format!("{} for {}: {kind:?}", recording.id, row.id)),
            }
        }
    }
    println!("{sent} requests");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
    assert!(sent > 100, "only {sent} requests were written");
}

fn patched(row: &Provider, request: &Value) -> Result<Value, Kind> {
    let facts = ModelFacts::default();
    let stream = request["stream"] == true;
    let patch = RequestPatch {
        model: "their-model",
        stream,
        facts: &facts,
        default_max_tokens: None,
        keys: None,
        target: "p/m",
    };
    let body = request.to_string();
    let once = patch_request(body.as_bytes(), &patch, &row.quirks, &mut Adjusted::default());
    let once = once.map_err(|failure| failure.kind)?.body.into_owned();
    let twice = patch_request(&once, &patch, &row.quirks, &mut Adjusted::default()).map_err(|failure| failure.kind)?;
    assert_eq!(String::from_utf8_lossy(&twice.body), String::from_utf8_lossy(&once), "{} changed it again", row.id);
    Ok(serde_json::from_slice(&once).expect("a request is JSON"))
}

fn faults(row: &Provider, request: &Value, made: &Value) -> Vec<String> {
    let quirks = &row.quirks;
    let mut faults = Vec::new();
    if made["model"] != "their-model" {
        faults.push(format!("it asks for {}", made["model"]));
    }
    for refused in quirks.refuses.iter().filter(|name| !made[**name].is_null()) {
        faults.push(format!("`{refused}` is refused"));
    }
    let asks = made["stream_options"]["include_usage"] == true;
    if asks != (request["stream"] == true && quirks.takes_stream_options()) {
        faults.push(format!("usage is asked for: {asks}"));
    }
    if made[quirks.seed] != 7 || (quirks.seed != "seed" && !made["seed"].is_null()) {
        faults.push("the seed is lost".to_owned());
    }
    if quirks.output_cap == OutputCap::MaxTokens && !made["max_completion_tokens"].is_null() {
        faults.push("`max_completion_tokens` is unknown there".to_owned());
    }
    for message in made["messages"].as_array().into_iter().flatten() {
        if message["role"] == "developer" && !quirks.developer_role {
            faults.push("a developer speaks".to_owned());
        }
        let ids = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["id"]);
        for id in ids.chain([&message["tool_call_id"]]).filter_map(Value::as_str) {
            let nine = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if quirks.tool_call_ids == ToolCallIds::NineAlphanumerics && !nine {
                faults.push(format!("the id {id} is refused"));
            }
        }
    }
    let (said, mut sent) = (meaning(request), meaning(made));
    if request["response_format"]["type"] == "json_schema" && !quirks.json_schema {
        // The schema is said in words instead, before everything else.
        if made["response_format"]["type"] != "json_object" {
            faults.push(format!("the answer's shape is {}", made["response_format"]));
        }
        sent["messages"].as_array_mut().map(|messages| messages.remove(0));
    }
    if said != sent {
        faults.push(format!("it says something else:\n    {said}\n    {sent}"));
    }
    faults
}

/// What a request says whatever the words a vendor has for it.
fn meaning(request: &Value) -> Value {
    let mut said = plainly(request);
    for key in ["model", "include_usage", "n", "tool_choice"] {
        said[key] = Value::Null;
    }
    for message in said["messages"].as_array_mut().into_iter().flatten() {
        if message["role"] == "developer" {
            message["role"] = json!("system");
        }
        for call in message["calls"].as_array_mut().into_iter().flatten() {
            call[0] = Value::Null;
        }
        message["answers"] = json!(message["answers"].is_string());
    }
    said
}
