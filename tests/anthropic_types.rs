//! What callers of Chat Completions really sent, written for Messages upstreams and checked by the types of Anthropic's
//! own client library, where Python and the library are there.

// Tests may stop at what surprises them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use latchkey::provider::{ModelFacts, Quirks, family};
use latchkey::wire::{Adjusted, Format, InlinedMedia, Target, openai_chat};
use serde_json::Value;

/// One of each way to think, to be sampled and to be held to a schema.
const MODELS: &[&str] = &[
    "claude-3-5-haiku-latest",
    "claude-sonnet-4-0",
    "claude-sonnet-4-5",
    "claude-opus-4-6",
    "claude-opus-5",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "nobody-knows-me",
];

/// Recorded requests of the OpenAI surface, with their ids.
fn recorded() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders =
        ["../shared/wire/openai", "../shared/wire/openrouter", "../shared/wire/groq", "tests/fixtures/openai"];
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders {
        match std::fs::read_dir(root.join(folder)) {
            Ok(entries) => files.extend(entries.map(|entry| entry.expect("an entry").path())),
            Err(_) => eprintln!("SKIPPED: {folder} is not there"),
        }
    }
    files.sort();
    let requests = files.iter().filter_map(|file| {
        let recording: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).ok()?;
        let body = recording["request"]["body"].clone();
        let id = recording["id"].as_str()?.to_owned();
        body["messages"].is_array().then_some((id, body))
    });
    requests.collect()
}

/// Each request for each model: a line for the checker. Requests that may not be translated are left out and counted.
fn translated() -> (String, usize, usize) {
    let (mut lines, mut written, mut refused) = (String::new(), 0, 0);
    for (id, body) in recorded() {
        let body = body.to_string();
        let Ok(request) = openai_chat::read_request(body.as_bytes()) else { continue };
        for model in MODELS {
            let mut facts = ModelFacts { max_output: Some(64_000), ..ModelFacts::default() };
            if let Some(family) = family(model) {
                family.apply(&mut facts);
            }
            let target = Target { model, quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
            match Format::Anthropic.write_request(&request, &target, &mut Adjusted::default()) {
                Ok(outgoing) => {
                    let body: Value = serde_json::from_slice(&outgoing.body).expect("JSON");
                    assert_rules(&id, &body);
                    writeln!(lines, "{id} for {model}\t{body}").expect("a string grows");
                    written += 1;
                }
                Err(failure) => {
                    assert!(failure.param.is_some(), "{id} for {model}: the refusal names nothing: {failure}");
                    refused += 1;
                }
            }
        }
    }
    (lines, written, refused)
}

/// What the types cannot say: turns alternate, the user begins, and every call has its result right behind it.
fn assert_rules(id: &str, body: &Value) {
    let turns = body["messages"].as_array().expect("messages");
    let mut waiting: Vec<&str> = Vec::new();
    let mut before = "assistant";
    for turn in turns.iter().filter(|turn| turn["role"] != "system") {
        let role = turn["role"].as_str().expect("a role");
        assert_ne!(role, before, "{id}: {body}");
        before = role;
        let blocks = turn["content"].as_array().expect("content");
        assert!(!blocks.is_empty(), "{id}: an empty turn");
        let named = |key: &'static str| blocks.iter().filter_map(move |block| block[key].as_str());
        let results: Vec<&str> = named("tool_use_id").collect();
        assert_eq!(blocks.iter().take_while(|block| block["type"] == "tool_result").count(), results.len(), "{id}");
        assert!(waiting.len() == results.len() && waiting.iter().all(|call| results.contains(call)), "{id}: {body}");
        waiting = if role == "assistant" { named("id").collect() } else { Vec::new() };
        for text in named("text") {
            assert!(!text.trim().is_empty(), "{id}: blank text");
        }
    }
    assert!(waiting.is_empty(), "{id}: calls wait for results");
}

#[test]
fn what_callers_sent_is_what_the_vendors_library_would_send() {
    let (lines, written, refused) = translated();
    eprintln!("{written} requests written, {refused} refused");
    assert!(written > MODELS.len() && written > refused * 4, "{written} written, {refused} refused");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/anthropic_types.py");
    let python = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut python) = python else {
        eprintln!("SKIPPED: there is no Python");
        return;
    };
    let mut input = python.stdin.take().expect("a pipe");
    // Without the library it stops reading at once; its status says so.
    let sender = std::thread::spawn(move || drop(input.write_all(lines.as_bytes())));
    let output = python.wait_with_output().expect("it ends");
    sender.join().expect("it was sent");
    match output.status.code() {
        Some(75) => eprintln!("SKIPPED: Anthropic's library for Python is not installed"),
        Some(0) => eprintln!("checked by the library's types"),
        _ => panic!("{}", String::from_utf8_lossy(&output.stdout)),
    }
}
