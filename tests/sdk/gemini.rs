//! What callers of Chat Completions really sent, written for Gemini upstreams and checked by the types of Google's own
//! client library, where Python and the library are there.

use serde_json::Value;

use latchkey::wire::Format;

use super::library;
use super::recorded::translated;

/// One of each way to think, to be sampled and to be held to a schema.
const MODELS: &[&str] = &[
    "gemini-2.0-flash",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-3-flash-preview",
    "gemini-3-pro-preview",
    "gemini-4-argon",
    "nobody-knows-me",
];

/// What the types cannot say: turns alternate, the user begins, every call has its result right behind it, newer models
/// find a signature on the first call of each turn, and schemas hold no references.
fn assert_rules(id: &str, model: &str, body: &Value) {
    let mut waiting: Vec<&Value> = Vec::new();
    let mut before = "model";
    for turn in body["contents"].as_array().expect("contents") {
        let role = turn["role"].as_str().expect("a role");
        assert_ne!(role, before, "{id}: {body}");
        before = role;
        let parts = turn["parts"].as_array().expect("parts");
        assert!(!parts.is_empty(), "{id}: an empty turn");
        let all = |key: &'static str| parts.iter().filter(move |part| part.get(key).is_some());
        let results: Vec<&Value> = all("functionResponse").map(|part| &part["functionResponse"]["id"]).collect();
        assert_eq!(results, waiting, "{id}: {body}");
        waiting = all("functionCall").map(|part| &part["functionCall"]["id"]).collect();
        let is_old = model.starts_with("gemini-2");
        if let Some(first) = all("functionCall").next() {
            assert!(is_old || first["thoughtSignature"].is_string(), "{id}: the first call has no signature");
        }
        for part in all("text").filter(|part| part.get("thoughtSignature").is_none()) {
            assert_ne!(part["text"], "", "{id}: empty text");
        }
    }
    assert!(waiting.is_empty(), "{id}: calls wait for results");
    let schemas = [&body["tools"], &body["generationConfig"]].map(Value::to_string).concat();
    assert!(!schemas.contains("\"$ref\"") && !schemas.contains("\"$defs\""), "{id}: {schemas}");
}

#[test]
fn what_callers_sent_is_what_the_vendors_library_would_send() {
    let lines = translated(Format::Gemini, MODELS, assert_rules);
    library::check("gemini_types.py", lines);
}
