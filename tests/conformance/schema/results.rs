//! The laws of turns, which no schema says: every call is answered, in the place where its provider looks for that.

use latchkey::wire::Format;
use serde_json::Value;

/// Whether each result stands behind the call that it answers, and none is missing.
pub fn check(format: Format, body: &Value) -> Result<(), String> {
    let turns = ["messages", "contents", "input"].into_iter().find_map(|key| body[key].as_array());
    let turns = turns.ok_or("it has no turns")?;
    // Where results stand in one turn, that is the very next one, and turns alternate.
    let at_once = matches!(format, Format::Anthropic | Format::Gemini | Format::Bedrock);
    let mut open: Vec<String> = Vec::new();
    let mut last = "";
    for turn in turns {
        let role = turn["role"].as_str().unwrap_or_default();
        if at_once && role == last {
            return Err(format!("two turns of `{role}` in a row: {turn}"));
        }
        last = role;
        let (called, answered) = ids(format, turn);
        for id in answered {
            match open.iter().position(|known| *known == id) {
                Some(at) => drop(open.remove(at)),
                None => return Err(format!("a result of `{id}`, which was not called: {turn}")),
            }
        }
        if at_once && !open.is_empty() {
            return Err(format!("{open:?} have no results in the next turn: {turn}"));
        }
        open.extend(called);
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} have no results")) }
}

/// The calls of a turn, and those that it answers.
fn ids(format: Format, turn: &Value) -> (Vec<String>, Vec<String>) {
    let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (mut called, mut answered) = (Vec::new(), Vec::new());
    match format {
        Format::OpenAiResponses => match turn["type"].as_str() {
            Some("function_call") => called.push(id(&turn["call_id"])),
            Some("function_call_output") => answered.push(id(&turn["call_id"])),
            _ => {}
        },
        Format::Anthropic => {
            for block in list(&turn["content"]) {
                match block["type"].as_str() {
                    Some("tool_use") => called.push(id(&block["id"])),
                    Some("tool_result") => answered.push(id(&block["tool_use_id"])),
                    _ => {}
                }
            }
        }
        Format::Gemini => {
            for part in list(&turn["parts"]) {
                called.extend(part["functionCall"]["name"].as_str().map(str::to_owned));
                answered.extend(part["functionResponse"]["name"].as_str().map(str::to_owned));
            }
        }
        Format::Bedrock => {
            for block in list(&turn["content"]) {
                called.extend(block["toolUse"]["toolUseId"].as_str().map(str::to_owned));
                answered.extend(block["toolResult"]["toolUseId"].as_str().map(str::to_owned));
            }
        }
        Format::OpenAiChat | Format::WorkersAi | Format::Cohere => {
            called.extend(list(&turn["tool_calls"]).iter().map(|call| id(&call["id"])));
            answered.extend(turn["tool_call_id"].as_str().map(str::to_owned));
        }
        Format::Ollama => {
            called.extend(list(&turn["tool_calls"]).iter().map(|call| id(&call["function"]["name"])));
            answered.extend(turn["tool_name"].as_str().map(str::to_owned));
        }
    }
    (called, answered)
}
