//! What callers of Chat Completions really sent, written for Messages upstreams and checked by the types of Anthropic's
//! own client library, where Python and the library are there.

use serde_json::Value;

use latchkey::wire::Format;

use super::library;
use super::recorded::translated;

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
    let lines = translated(Format::Anthropic, MODELS, |id, _, body| assert_rules(id, body));
    library::check("anthropic_types.py", lines);
}
