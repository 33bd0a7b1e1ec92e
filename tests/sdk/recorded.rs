//! Recorded requests of the OpenAI surface, translated.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use latchkey::provider::{ModelFacts, Quirks, family};
use latchkey::wire::{Adjusted, Format, InlinedMedia, Target, openai_chat};

/// Each recorded request for each model: a line for the checker, after `check` has seen it. Requests that may not be
/// translated are left out and counted.
pub fn translated(format: Format, models: &[&str], check: impl Fn(&str, &str, &Value)) -> String {
    let (mut lines, mut written, mut refused) = (String::new(), 0, 0);
    for (id, body) in recorded() {
        let body = body.to_string();
        let Ok(request) = openai_chat::read_request(body.as_bytes()) else { continue };
        for model in models {
            let mut facts = ModelFacts { max_output: Some(64_000), ..ModelFacts::default() };
            if let Some(family) = family(model) {
                family.apply(&mut facts);
            }
            let target = Target { model, quirks: &Quirks::NONE, facts: &facts, inlined: &InlinedMedia::new() };
            match format.write_request(&request, &target, &mut Adjusted::default()) {
                Ok(outgoing) => {
                    let body: Value = serde_json::from_slice(&outgoing.body).expect("JSON");
                    check(&id, model, &body);
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
    eprintln!("{written} requests written, {refused} refused");
    assert!(written > models.len() && written > refused * 4, "{written} written, {refused} refused");
    lines
}

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
