//! Callers of Converse: recorded streams pass with nothing lost, and recorded requests ask for the same after a way
//! through the hub.

use latchkey::provider::{ModelFacts, Quirks, StructuredOutput};
use latchkey::wire::drive::{Caps, Pipe};
use latchkey::wire::{Adjusted, Closing, InlinedMedia, Layout, Surface, Target};
use serde_json::{Value, json};

use super::corpus::{Recording, corpus};
use super::expected::aws_events;
use super::surfaces::naming;
use super::turns;

const CAPS: Caps = Caps { event: 8 << 20, answer: 64 << 20 };

fn recorded(path: &'static str) -> impl Iterator<Item = &'static Recording> {
    let (recordings, _) = corpus();
    recordings.iter().filter(move |recording| recording.endpoint.ends_with(path) && recording.status == 200)
}

#[test]
fn streams_pass_with_nothing_lost_however_they_are_cut() {
    let mut checked = 0;
    for recording in recorded("/converse-stream").filter(|recording| recording.is_aws_stream()) {
        let read = |size: usize| {
            let patcher = Surface::Bedrock.patcher(naming(), &Quirks::NONE, Layout::EventStream);
            let (mut pipe, mut out) = (Pipe::patched(patcher, CAPS), Vec::new());
            recording.bytes.chunks(size).for_each(|piece| pipe.feed(piece, &mut out));
            pipe.finish(&mut out).ok()?;
            pipe.close(&Closing { usage: pipe.meter().usage.clone(), ..Closing::default() }, &mut out);
            Some(out)
        };
        let Some(written) = read(usize::MAX) else { continue };
        for size in [1, 7, 333] {
            assert_eq!(read(size).as_ref(), Some(&written), "{}: cut every {size} bytes", recording.id);
        }
        let (before, after) = (aws_events(&recording.bytes), aws_events(&written));
        assert_eq!(before.len(), after.len(), "{}", recording.id);
        for ((name, data), (new_name, new_data)) in before.into_iter().zip(after) {
            let read = |data: &str| serde_json::from_str::<Value>(data).expect("JSON");
            let mut after = read(&new_data);
            turns::without_cost(&mut after);
            assert_eq!((name, read(&data)), (new_name, after), "{}", recording.id);
        }
        checked += 1;
    }
    assert!(checked > 0, "no stream was found");
    println!("checked {checked} streams");
}

#[test]
fn requests_ask_for_the_same_after_a_way_through_the_hub() {
    let (mut checked, mut refused, mut wrong) = (0, 0, Vec::new());
    for recording in recorded("/converse").chain(recorded("/converse-stream")) {
        let Some(request) = recording.request.clone().filter(|request| request["messages"][0].is_object()) else {
            continue;
        };
        checked += 1;
        match rewritten(&request.to_string()) {
            Ok(made) if plainly(&request) == plainly(&made) => {}
            Ok(made) => wrong.push(format!(
                "{}:\n  expected {}\n  found    {}",
                recording.id,
                plainly(&request),
                plainly(&made)
            )),
            // Tools that only their own provider runs, and its guardrails, are refused by name.
            Err(failure)
                if failure.param.as_deref().is_some_and(|param| {
                    param.starts_with("toolConfig.tools.") || matches!(param, "guardrailConfig" | "promptVariables")
                        // Their recorders left the bytes out.
                        || param.ends_with(".source")
                }) =>
            {
                refused += 1;
            }
            Err(failure) => wrong.push(format!("{}: {failure}", recording.id)),
        }
    }
    println!("checked {checked} requests, {refused} refused");
    assert!(checked > 5 && refused * 4 < checked, "{checked} requests were found, {refused} refused");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

fn rewritten(body: &str) -> Result<Value, latchkey::failure::Failure> {
    let facts = ModelFacts { structured: StructuredOutput::Native, ..ModelFacts::default() };
    let inlined = InlinedMedia::new();
    let request = Surface::Bedrock.read_request(body.as_bytes())?;
    let target = Target { model: "model", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let made = Surface::Bedrock.format().write_request(&request, &target, &mut Adjusted::default())?;
    Ok(serde_json::from_slice(&made.body).expect("JSON"))
}

/// What a request says, without spellings that mean the same.
fn plainly(request: &Value) -> Value {
    let mut turns: Vec<Value> = Vec::new();
    for message in request["messages"].as_array().into_iter().flatten() {
        let said: Vec<Value> = message["content"].as_array().into_iter().flatten().flat_map(blocks).collect();
        match turns.last_mut() {
            Some(last) if last["role"] == message["role"] => {
                last["content"].as_array_mut().expect("blocks").extend(said);
            }
            _ => turns.push(json!({"role": message["role"], "content": said})),
        }
    }
    let tools = request["toolConfig"]["tools"].as_array().into_iter().flatten();
    let tools: Vec<Value> =
        tools.filter(|tool| tool["toolSpec"].is_object()).map(|tool| tool["toolSpec"]["name"].clone()).collect();
    let config = &request["inferenceConfig"];
    json!({
        "turns": turns,
        "system": request["system"].as_array().into_iter().flatten().filter_map(block).collect::<Vec<_>>(),
        "tools": tools,
        "maxTokens": config["maxTokens"],
        "stop": config["stopSequences"].as_array().filter(|stops| !stops.is_empty()),
    })
}

/// A block, and before it what a document is about: that is told in words.
fn blocks(given: &Value) -> Vec<Value> {
    let about = given.pointer("/document/context").and_then(Value::as_str);
    about.map(|about| json!({"text": about.trim()})).into_iter().chain(block(given)).collect()
}

fn block(block: &Value) -> Option<Value> {
    let mut block = block.clone();
    if let Some(cited) = block.get("citationsContent") {
        // Sources are told in answers; sent back, the words are what counts.
        return Some(json!({"text": cited["content"][0]["text"].as_str()?.trim()}));
    }
    if let Some(text) = block.pointer("/guardContent/text/text") {
        return Some(json!({"text": text.as_str()?.trim()}));
    }
    if let Some(text) = block.pointer("/document/source/text") {
        // Behind its name, by which it is spoken of.
        let name = block["document"]["name"].as_str()?;
        return Some(json!({"text": format!("{name}\n\n{}", text.as_str()?).trim()}));
    }
    if let Some(document) = block.get_mut("document").and_then(Value::as_object_mut) {
        // Names are cleaned.
        document.retain(|key, _| matches!(key.as_str(), "format" | "source"));
    }
    if let Some(video) = block.get_mut("video").and_then(Value::as_object_mut) {
        video["format"] = json!(video["format"].as_str()?.trim_start_matches("video/"));
    }
    if let Some(call) = block.get_mut("toolUse").and_then(Value::as_object_mut) {
        call.remove("type");
    }
    if let Some(result) = block.get_mut("toolResult").and_then(Value::as_object_mut) {
        result.retain(|key, value| key != "type" && !(key == "status" && value == "success"));
        for part in result.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(told) = part.get("json").map(Value::to_string) {
                *part = json!({"text": told});
            }
        }
    }
    // Blank text is refused, and thoughts that nobody signed cannot go back.
    let thought = block.pointer("/reasoningContent/reasoningText");
    if thought.is_some_and(|thought| thought.get("signature").is_none()) {
        return None;
    }
    match block.get("text").and_then(Value::as_str).map(str::trim) {
        Some("") => None,
        Some(text) => Some(json!({"text": text})),
        None => Some(block),
    }
}
