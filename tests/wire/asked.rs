//! What callers say, in the words that each format has for it: one row a field. `fields` has the rows of Chat
//! Completions.

use latchkey::provider::{ModelFacts, Quirks, family};
use latchkey::wire::{Adjusted, Format, InlinedMedia, Surface, Target};
use serde_json::{Value, json};

const CLAUDE: &str = "claude-sonnet-4-5";
/// Thinks as long as it likes, so that nothing else may be said about how it draws.
const FIXED: &str = "claude-opus-5";

/// A request to a model, as its provider is asked, and what was adjusted.
fn asked(surface: Surface, format: Format, model: &str, more: &Value) -> (Value, String) {
    let mut body = json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = body.to_string();
    let request = surface.read_request(body.as_bytes()).unwrap_or_else(|failure| panic!("{failure}: {body}"));
    let mut facts = ModelFacts { max_output: Some(64_000), ..ModelFacts::default() };
    if let Some(family) = family(model) {
        family.apply(&mut facts);
    }
    let inlined = InlinedMedia::new();
    let target = Target { model, quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let mut adjusted = Adjusted::default();
    let made = format.write_request(&request, &target, &mut adjusted);
    let made = made.unwrap_or_else(|failure| panic!("{failure}: {body}"));
    (serde_json::from_slice(&made.body).expect("JSON"), adjusted.header())
}

/// Checks what is found at a place, JSON null where nothing may stand there, and what was adjusted.
fn check(surface: Surface, format: Format, rows: &[(&str, Value, &str, Value, &str)]) {
    let mut wrong = Vec::new();
    for (model, more, place, expected, told) in rows {
        let (made, adjusted) = asked(surface, format, model, more);
        let found = made.pointer(place).cloned().unwrap_or_default();
        if found != *expected || adjusted != *told {
            wrong
                .push(format!("{more}\n  {place} is {found}, not {expected}\n  of {made}; `{adjusted}`, not `{told}`"));
        }
    }
    assert!(wrong.is_empty(), "{format:?}:\n{}", wrong.join("\n"));
}

fn tools(more: Value) -> Value {
    let mut asked = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

#[test]
fn messages() {
    let none = || Value::Null;
    let one_by_one = json!({"type": "auto", "disable_parallel_tool_use": true});
    let unread = json!({"type": "object", "properties": {}, "additionalProperties": true});
    let shape = |schema: &Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}});
    check(
        Surface::OpenAiChat,
        Format::Anthropic,
        &[
            (CLAUDE, json!({"temperature": 1}), "/temperature", json!(1), ""),
            (CLAUDE, json!({"temperature": 1.5}), "/temperature", json!(1), "temperature=clamped"),
            (FIXED, json!({"temperature": 1}), "/temperature", none(), ""),
            (FIXED, json!({"top_p": 0.5}), "/top_p", none(), "top_p=dropped"),
            (CLAUDE, json!({"top_p": 0.5}), "/top_p", json!(0.5), ""),
            (CLAUDE, json!({"temperature": 0.5, "top_p": 0.5}), "/top_p", none(), "top_p=dropped"),
            (CLAUDE, tools(json!({})), "/tool_choice", none(), ""),
            (CLAUDE, tools(json!({"parallel_tool_calls": false})), "/tool_choice", one_by_one, ""),
            // Without tools there is nothing to choose.
            (CLAUDE, json!({"tool_choice": "auto"}), "/tool_choice", none(), ""),
            (CLAUDE, json!({"tool_choice": "none"}), "/tool_choice", none(), ""),
            // An object for members of any name cannot be closed.
            (CLAUDE, shape(&unread), "/tools/0/input_schema/additionalProperties", json!(true), ""),
        ],
    );
}

#[test]
fn converse() {
    let mark = json!({"type": "ephemeral"});
    let cached = json!({"type": "default"});
    let talk = |last: Value| json!({"messages": [{"role": "user", "content": "Hi"}, last]});
    let begun = talk(json!({"role": "assistant", "content": [
        {"type": "text", "text": "So ", "cache_control": mark}, {"type": "text", "text": "it is ", "cache_control": mark}]}));
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "21", "cache_control": mark});
    let called = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [result, {"type": "text", "text": "Go on."}]},
    ]});
    let labels = |count: usize| {
        let labels: serde_json::Map<String, Value> = (0..count).map(|at| (format!("l{at}"), json!("a"))).collect();
        json!({"metadata": labels})
    };
    check(
        Surface::Anthropic,
        Format::Bedrock,
        &[
            (CLAUDE, called.clone(), "/messages/2/content/0/toolResult/content/0/text", json!("21"), ""),
            (CLAUDE, called.clone(), "/messages/2/content/1/cachePoint", cached.clone(), ""),
            (CLAUDE, called, "/messages/2/content/2/text", json!("Go on."), ""),
            // What the model is to go on from ends without a space, and what stands before that keeps its own.
            (CLAUDE, begun.clone(), "/messages/1/content/0/text", json!("So "), ""),
            (CLAUDE, begun.clone(), "/messages/1/content/1/cachePoint", cached.clone(), ""),
            (CLAUDE, begun.clone(), "/messages/1/content/2/text", json!("it is"), ""),
            (CLAUDE, begun, "/messages/1/content/3/cachePoint", cached, ""),
        ],
    );
    check(
        Surface::OpenAiChat,
        Format::Bedrock,
        &[
            (CLAUDE, labels(16), "/requestMetadata/l15", json!("a"), ""),
            (CLAUDE, labels(17), "/requestMetadata", Value::Null, "metadata=dropped"),
        ],
    );
}

#[test]
fn cohere() {
    let think = |effort: &str| json!({"reasoning_effort": effort});
    check(
        Surface::OpenAiChat,
        Format::Cohere,
        &[
            ("command-a", json!({"top_p": 0.5}), "/p", json!(0.5), ""),
            ("command-a", json!({"top_k": 5}), "/k", json!(5), ""),
            ("command-a", json!({"top_p": 0.999}), "/p", json!(0.99), "top_p=clamped"),
            ("command-a-reasoning", think("none"), "/thinking", json!({"type": "disabled"}), ""),
            ("command-a-reasoning", think("low"), "/thinking", json!({"type": "enabled", "token_budget": 2048}), ""),
            ("command-a-reasoning", think("high"), "/thinking", json!({"type": "enabled"}), ""),
        ],
    );
}

#[test]
fn gemini() {
    let file = json!({"type": "file", "file": {"file_id": "files/a", "filename": "a.pdf"}});
    let file = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, file]}]});
    // What is said first holds.
    let twice = json!({"google": {"labels": {"team": "b"}}, "labels": {"team": "a"}});
    let level = "/generationConfig/thinkingConfig/thinkingLevel";
    check(
        Surface::OpenAiChat,
        Format::Gemini,
        &[
            ("gemini-2.5-pro", file, "/contents/0/parts/1/fileData/mimeType", json!("application/pdf"), ""),
            ("gemini-2.5-pro", twice, "/labels/team", json!("b"), ""),
            ("gemini-3-pro", json!({"reasoning": {"max_tokens": 24_576}}), level, json!("high"), "reasoning=changed"),
            ("gemini-3-pro", json!({"reasoning": {"max_tokens": 24_575}}), level, json!("low"), "reasoning=changed"),
        ],
    );
}
