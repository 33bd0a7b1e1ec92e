//! Chat Completions, read plainly.

use std::collections::BTreeMap;

use latchkey::chat::EndKind;
use serde_json::Value;

use super::expected::{Call, ReadChoice, Reading, Tokens, arguments, events};

pub fn plain(body: &str, reasoning_apart: bool) -> Reading {
    let answer: Value = serde_json::from_str(body).expect("a JSON answer");
    let mut gathered = Gathered { reasoning_apart, ..Gathered::default() };
    gathered.take(&answer, "message");
    gathered.finish()
}

pub fn streamed(body: &str, reasoning_apart: bool) -> Reading {
    let mut gathered = Gathered { reasoning_apart, ..Gathered::default() };
    for (name, data) in events(body) {
        if data.trim() == "[DONE]" {
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).unwrap_or(Value::Null);
        if name == "error" {
            gathered.failed = true;
        }
        gathered.take(&chunk, "delta");
    }
    gathered.finish()
}

/// Whether the frames so far hold what ends a stream: `[DONE]`, or a finish reason for every choice where that will do.
pub fn ended(frames: &[(String, String)], without_done: bool) -> bool {
    if frames.iter().any(|(_, data)| data.trim() == "[DONE]") {
        return true;
    }
    let mut finished: BTreeMap<u64, bool> = BTreeMap::new();
    for (_, data) in frames {
        let chunk: Value = serde_json::from_str(data).unwrap_or(Value::Null);
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let known = finished.entry(choice["index"].as_u64().unwrap_or(0)).or_default();
            *known = *known || choice["finish_reason"].is_string();
        }
    }
    without_done && !finished.is_empty() && finished.values().all(|done| *done)
}

/// A call by its index: id, name and what there is of its arguments.
type Pieces = (Option<u64>, String, String, String);

#[derive(Default)]
struct Gathered {
    choices: BTreeMap<u32, ReadChoice>,
    calls: BTreeMap<u32, Vec<Pieces>>,
    /// Of each choice: the format's own word for its end, and that of the host behind.
    ends: BTreeMap<u32, (Option<String>, Option<String>)>,
    tokens: Option<Tokens>,
    failed: bool,
    /// More reasoning than completion means that the one leaves out the other.
    reasoning_apart: bool,
}

impl Gathered {
    fn take(&mut self, chunk: &Value, where_said: &str) {
        if chunk["error"].is_object() || chunk["error"].is_string() {
            self.failed = true;
        }
        // The usual place, and those of synthetic.moonshot and groq.tools-stream.c89399b5b3.
        for usage in [&chunk["x_groq"]["usage"], &chunk["choices"][0]["usage"], &chunk["usage"]] {
            self.tokens = tokens(usage, self.reasoning_apart).or(self.tokens.take());
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let index = u32::try_from(choice["index"].as_u64().unwrap_or(0)).expect("a small index");
            let read = self.choices.entry(index).or_insert_with(|| ReadChoice { index, ..ReadChoice::default() });
            let said_end = |key: &str| choice[key].as_str().filter(|word| !word.is_empty()).map(str::to_owned);
            let (finish, native) = self.ends.entry(index).or_default();
            let detailed = choice["finish_details"]["type"].as_str().map(str::to_owned);
            *finish = said_end("finish_reason").or(detailed).or(finish.take());
            *native = said_end("native_finish_reason").or(native.take());
            let said = &choice[where_said];
            speak(read, said);
            let calls = self.calls.entry(index).or_default();
            for call in said["tool_calls"].as_array().into_iter().flatten() {
                merge(calls, call);
            }
            if said["function_call"]["name"].is_string() || said["function_call"]["arguments"].is_string() {
                merge(calls, &serde_json::json!({"index": 0, "function": said["function_call"]}));
            }
        }
    }

    fn finish(mut self) -> Reading {
        for (index, calls) in self.calls {
            let choice = self.choices.get_mut(&index).expect("a choice with calls");
            let read = calls.into_iter().filter(|(_, _, name, _)| !name.is_empty());
            choice.calls =
                read.map(|(_, id, name, written)| Call { id, name, arguments: arguments(&written) }).collect();
        }
        for (index, (finish, native)) in self.ends {
            let choice = self.choices.get_mut(&index).expect("a choice with an end");
            choice.end = Some(end(finish.as_deref(), !choice.calls.is_empty()));
            choice.raw_end = native.or(finish);
        }
        let choices = self.choices.into_values().collect();
        Reading { choices, tokens: self.tokens.map(Tokens::without_zeros), failed: self.failed }
    }
}

fn speak(read: &mut ReadChoice, said: &Value) {
    match &said["content"] {
        Value::String(text) => read.text.push_str(text),
        Value::Array(parts) => {
            for part in parts {
                read.text.push_str(part["text"].as_str().unwrap_or_default());
                match &part["thinking"] {
                    Value::String(thought) => read.reasoning.push_str(thought),
                    thoughts => {
                        for thought in thoughts.as_array().into_iter().flatten() {
                            read.reasoning.push_str(thought["text"].as_str().unwrap_or_default());
                        }
                    }
                }
            }
        }
        _ => {}
    }
    let spelled = ["reasoning_content", "reasoning"].map(|key| said[key].as_str().unwrap_or_default());
    match spelled.iter().find(|text| !text.is_empty()) {
        Some(thought) => read.reasoning.push_str(thought),
        None => {
            for detail in said["reasoning_details"].as_array().into_iter().flatten() {
                let thought = detail["text"].as_str().or_else(|| detail["summary"].as_str());
                read.reasoning.push_str(thought.unwrap_or_default());
            }
        }
    }
    read.refusal.push_str(said["refusal"].as_str().unwrap_or_default());
    read.audio += said["audio"]["data"].as_str().unwrap_or_default().len();
    read.pictures += said["images"].as_array().map_or(0, Vec::len);
}

fn merge(calls: &mut Vec<Pieces>, delta: &Value) {
    let index = delta["index"].as_u64();
    let id = delta["id"].as_str().unwrap_or_default();
    let (function, arguments) =
        if delta["type"] == "custom" { (&delta["custom"], "input") } else { (&delta["function"], "arguments") };
    let name = function["name"].as_str().unwrap_or_default();
    let written = match &function[arguments] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        object => object.to_string(),
    };
    let known = match index {
        // One index for two calls, each whole: cerebras.tools-stream.fc7397d8e9.
        Some(_) => calls.iter_mut().rev().find(|(known, known_id, ..)| {
            *known == index && (name.is_empty() || id.is_empty() || known_id.is_empty() || known_id == id)
        }),
        None if name.is_empty() => calls.last_mut(),
        None => None,
    };
    match known {
        Some((_, known_id, known_name, so_far)) => {
            if known_id.is_empty() {
                id.clone_into(known_id);
            }
            if known_name.is_empty() {
                name.clone_into(known_name);
            }
            so_far.push_str(&written);
        }
        None => calls.push((index, id.to_owned(), name.to_owned(), written)),
    }
}

fn end(finish: Option<&str>, has_calls: bool) -> EndKind {
    match finish {
        Some("length" | "max_tokens" | "model_length") => EndKind::Length,
        Some("content_filter") => EndKind::ContentFilter,
        Some("error") => EndKind::Error,
        _ if has_calls => EndKind::ToolCalls,
        Some("tool_calls" | "function_call") => EndKind::ToolCalls,
        None | Some("stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence") => EndKind::Stop,
        Some(_) => EndKind::Other,
    }
}

/// OpenAI's counts, and what the total gives away that those of others leave out.
fn tokens(usage: &Value, reasoning_apart: bool) -> Option<Tokens> {
    let count = |value: &Value| value.as_u64();
    let mut prompt = count(&usage["prompt_tokens"]);
    let mut completion = count(&usage["completion_tokens"]);
    let total = count(&usage["total_tokens"]);
    prompt.or(completion).or(total)?;
    let input = &usage["prompt_tokens_details"];
    let output = &usage["completion_tokens_details"];
    let first = |places: &[&Value]| places.iter().find_map(|place| count(place));
    let mut reasoning = first(&[&output["reasoning_tokens"], &usage["reasoning_tokens"]]);
    let sum = prompt.unwrap_or(0) + completion.unwrap_or(0);
    let beyond = total.unwrap_or(0).saturating_sub(sum);
    if beyond > 0 {
        if reasoning == Some(beyond) {
            completion = Some(completion.unwrap_or(0) + beyond);
        } else if count(&input["audio_tokens"]) == Some(beyond) {
            prompt = Some(prompt.unwrap_or(0) + beyond);
        } else if reasoning.is_none() && completion.is_some() {
            reasoning = Some(beyond);
            completion = Some(completion.unwrap_or(0) + beyond);
        }
    }
    let uncounted = reasoning.filter(|&thought| reasoning_apart && thought > completion.unwrap_or(0));
    let completion = completion.unwrap_or(0) + uncounted.unwrap_or(0);
    let prompt = prompt.unwrap_or(0);
    let cached = first(&[
        &input["cached_tokens"],
        &usage["prompt_cache_hit_tokens"],
        &usage["cached_tokens"],
        &usage["num_cached_tokens"],
        &usage["cache_read_input_tokens"],
    ]);
    let cache_write = first(&[&input["cache_write_tokens"], &usage["cache_creation_input_tokens"]]);
    // Some count more than there is: a part is never more than its whole.
    let cached = cached.map(|tokens| tokens.min(prompt));
    let cache_write = cache_write.map(|tokens| tokens.min(prompt - cached.unwrap_or(0)));
    let reasoning = reasoning.map(|tokens| tokens.min(completion));
    Some(Tokens { prompt, completion, cached, cache_write, reasoning })
}
