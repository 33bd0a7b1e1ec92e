//! Recorded Chat Completions requests: what is read of them.

use latchkey::chat::{Arguments, Part, Request, Role, Source, ToolChoice};
use latchkey::provider::{ModelFacts, Quirks};
use latchkey::wire::{Adjusted, Format, InlinedMedia, Target, openai_chat};
use serde_json::{Value, json};

use super::corpus::{Recording, corpus};
use super::scope::{Scope, scope};

/// Every recorded request of callers of Chat Completions.
pub fn recorded() -> impl Iterator<Item = (&'static Recording, &'static Value)> {
    let (recordings, _) = corpus();
    recordings.iter().filter_map(|recording| {
        let chat = matches!(scope(recording), Scope::Chat { format: Format::OpenAiChat, .. });
        let request = recording.request.as_ref()?;
        (chat && request["messages"].is_array()).then_some((recording, request))
    })
}

#[test]
fn requests_are_read_as_they_were_written() {
    let mut wrong = Vec::new();
    let mut read = 0;
    for (recording, request) in recorded() {
        let mut request = request.clone();
        if request["model"].is_null() {
            // Some paths name the model: deployments, agents.
            request["model"] = json!("by its path");
        }
        let body = request.to_string();
        match openai_chat::read_request(body.as_bytes()) {
            Ok(made) => {
                let (expected, found) = (plainly(&request), shown(&made));
                if expected != found {
                    wrong.push(format!("{}:\n    expected {expected}\n    found    {found}", recording.id));
                }
            }
            // What the upstream refused may be refused here.
            Err(_) if recording.status >= 400 => {}
            Err(failure) => wrong.push(format!("{}: {failure}", recording.id)),
        }
        read += 1;
    }
    println!("read {read} requests");
    assert!(read > 30, "only {read} requests were found");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

/// A tool's result takes no pictures there: they get a turn of their own behind it.
const PICTURE_OF_A_TOOL: &str = "llamacpp.vision.29228b5b3e";

#[test]
fn requests_say_the_same_after_a_way_through_the_hub() {
    let (facts, inlined) = (ModelFacts::default(), InlinedMedia::new());
    let (mut written, mut refused, mut wrong) = (0, 0, Vec::new());
    for (recording, request) in recorded().filter(|(recording, _)| recording.id != PICTURE_OF_A_TOOL) {
        let mut request = request.clone();
        request["model"] = json!("model");
        let body = request.to_string();
        let Ok(read) = openai_chat::read_request(body.as_bytes()) else { continue };
        let target = Target { model: "model", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
        match Format::OpenAiChat.write_request(&read, &target, &mut Adjusted::default()) {
            Ok(made) => {
                written += 1;
                let made: Value = serde_json::from_slice(&made.body).expect("a request is JSON");
                let (mut expected, mut found) = (plainly(&request), plainly(&made));
                for said in [&mut expected, &mut found] {
                    // Usage is always asked for, and one answer is what comes without asking.
                    said["include_usage"] = Value::Null;
                    said["n"] = json!(said["n"].as_u64().unwrap_or(1));
                }
                if expected != found {
                    wrong.push(format!("{}:\n    expected {expected}\n    found    {found}", recording.id));
                }
            }
            // Another vendor's own kinds of parts and levels are refused by name, not lost.
            Err(failure) if recording.provider != "openai" && failure.param.is_some() => refused += 1,
            Err(failure) => wrong.push(format!("{}: {failure}", recording.id)),
        }
    }
    println!("wrote {written} requests");
    assert!(written > 30 && refused * 20 < written, "{written} written, {refused} refused");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a request says, read without the code under test.
pub fn plainly(request: &Value) -> Value {
    let messages = request["messages"].as_array().expect("messages");
    json!({
        "model": request["model"].as_str().unwrap_or_default(),
        "stream": request["stream"] == true,
        "include_usage": request["stream_options"]["include_usage"] == true || request["usage"]["include"] == true,
        "max": request["max_completion_tokens"].as_u64().or(request["max_tokens"].as_u64()),
        "temperature": request["temperature"].as_f64(),
        "stop": match &request["stop"] {
            Value::Array(stops) => stops.clone(),
            Value::Null => Vec::new(),
            stop => vec![stop.clone()],
        },
        "n": request["n"].as_u64(),
        "tools": request["tools"].as_array().into_iter().flatten()
            .filter(|tool| tool["function"].is_object())
            .chain(request["functions"].as_array().into_iter().flatten())
            .map(|tool| if tool["function"].is_object() { &tool["function"]["name"] } else { &tool["name"] })
            .collect::<Vec<_>>(),
        "tool_choice": match (&request["tool_choice"], &request["function_call"]) {
            (Value::String(word), _) | (Value::Null, Value::String(word)) => {
                // Mistral's older word.
                json!(if word == "any" { "required" } else { word })
            }
            (Value::Null, function) => function["name"].clone(),
            (choice, _) if choice["name"].is_string() => choice["name"].clone(),
            (choice, _) => choice["function"]["name"].clone(),
        },
        "messages": messages.iter().map(plain_message).collect::<Vec<_>>(),
    })
}

fn plain_message(message: &Value) -> Value {
    let mut text = String::new();
    let mut media = Vec::new();
    match &message["content"] {
        Value::String(content) => text.push_str(content),
        Value::Array(parts) => {
            for part in parts {
                match part["type"].as_str().unwrap_or("text") {
                    "text" => text.push_str(part["text"].as_str().unwrap_or_default()),
                    "image_url" => media.push("image"),
                    "input_audio" => media.push("audio"),
                    "file" => media.push("file"),
                    "video_url" => media.push("video"),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    let legacy = message["function_call"].is_object().then(|| json!({"function": message["function_call"]}));
    let calls = message["tool_calls"].as_array().into_iter().flatten().chain(legacy.as_ref());
    json!({
        "role": match message["role"].as_str().unwrap_or_default() {
            "function" => "tool",
            role => role,
        },
        "text": text,
        "media": media,
        "calls": calls.map(|call| {
            let function = &call["function"];
            let arguments = super::expected::arguments(function["arguments"].as_str().unwrap_or_default());
            json!([call["id"].as_str().unwrap_or("call_1"), function["name"], arguments])
        }).collect::<Vec<_>>(),
        "answers": match message["role"].as_str() {
            // Functions had no ids before tools took their place; one is minted.
            Some("function") => Some("call_1"),
            _ => message["tool_call_id"].as_str(),
        },
    })
}

/// The same of what was read.
fn shown(request: &Request<'_>) -> Value {
    json!({
        "model": request.model.decode(),
        "stream": request.stream,
        "include_usage": request.include_usage,
        "max": request.max_output_tokens,
        "temperature": request.sampling.temperature.as_ref().and_then(|raw| raw.number()),
        "stop": request.sampling.stop.iter().map(|stop| stop.decode()).collect::<Vec<_>>(),
        "n": request.sampling.n,
        "tools": request.tools.iter().filter_map(|tool| match tool {
            latchkey::chat::Tool::Function { name, .. } => Some(name.decode()),
            latchkey::chat::Tool::Native(_) => None,
        }).collect::<Vec<_>>(),
        "tool_choice": request.tool_choice.as_ref().map(|choice| match choice {
            ToolChoice::Auto => "auto".to_owned(),
            ToolChoice::None => "none".to_owned(),
            ToolChoice::Required => "required".to_owned(),
            ToolChoice::Named(name) => name.decode().into_owned(),
            ToolChoice::Allowed { .. } => "allowed".to_owned(),
        }),
        "messages": request.messages.iter().map(|message| {
            let mut seen = Seen::default();
            message.parts.iter().for_each(|part| seen.take(part));
            json!({
                "role": match message.role {
                    Role::System => "system",
                    Role::Developer => "developer",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                    Role::Tool => "tool",
                },
                "text": seen.text,
                "media": seen.media,
                "calls": seen.calls,
                "answers": seen.answers,
            })
        }).collect::<Vec<_>>(),
    })
}

#[derive(Default)]
struct Seen {
    text: String,
    media: Vec<&'static str>,
    calls: Vec<Value>,
    answers: Option<String>,
}

impl Seen {
    fn take(&mut self, part: &Part<'_>) {
        match part {
            Part::Text { text, .. } | Part::Refusal { text } => self.text.push_str(&text.decode()),
            Part::Image { source, .. } => {
                assert!(!matches!(source, Source::FileId(_)), "an image by its id");
                self.media.push("image");
            }
            Part::Audio { .. } => self.media.push("audio"),
            Part::Video { .. } => self.media.push("video"),
            Part::File { .. } => self.media.push("file"),
            Part::Reasoning { .. } => {}
            Part::ToolCall { id, name, arguments, .. } => {
                let written = match arguments {
                    Arguments::Quoted(text) => text.decode().into_owned(),
                    Arguments::Object(raw) => raw.get().to_owned(),
                };
                self.calls.push(json!([id.decode(), name.decode(), super::expected::arguments(&written)]));
            }
            Part::ToolResult { call_id, parts, .. } => {
                self.answers = Some(call_id.decode().into_owned());
                parts.iter().for_each(|part| self.take(part));
            }
        }
    }
}
