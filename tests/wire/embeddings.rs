//! Answers of embeddings endpoints, native and as a caller of OpenAI's gets them.

use base64::Engine as _;
use latchkey::chat::VectorEncoding;
use latchkey::provider::Quirks;
use latchkey::wire::openai_chat::{patch_answer, read_plain, write_embeddings_answer};
use latchkey::wire::{Closing, Format};
use serde_json::Value;

/// What is wrong with how an answer is read and written.
pub fn check(format: Format, body: &str) -> Vec<String> {
    match format {
        Format::Gemini | Format::Cohere | Format::Ollama => check_native(format, body),
        _ => check_openai(body),
    }
}

/// The vectors go on as they came; only the usage is read.
fn check_openai(body: &str) -> Vec<String> {
    let usage = match read_plain(body.as_bytes(), &Quirks::COMPATIBLE) {
        Ok(plain) => plain.usage,
        Err(failure) => return vec![failure.to_string()],
    };
    let came = json(body.as_bytes());
    let mut faults = Vec::new();
    if usage.as_ref().map(|usage| usage.prompt_tokens()) != came["usage"]["prompt_tokens"].as_u64() {
        faults.push(format!("usage: expected {}, found {usage:?}", came["usage"]));
    }
    let patched = patch_answer(body.as_bytes(), &Closing { usage, ..Closing::default() }, false);
    if json(&patched)["data"] != came["data"] {
        faults.push("the vectors changed".to_owned());
    }
    faults
}

fn check_native(format: Format, body: &str) -> Vec<String> {
    let came = json(body.as_bytes());
    let predicted =
        came["predictions"].as_array().into_iter().flatten().map(|one| numbers(&one["embeddings"]["values"]));
    let came: Vec<Vec<f64>> = match (came["embeddings"].as_array(), came["embeddings"]["float"].as_array()) {
        _ if came["predictions"].is_array() => predicted.collect(),
        (_, Some(vectors)) => vectors.iter().map(numbers).collect(),
        (Some(several), _) if several[0].is_array() => several.iter().map(numbers).collect(),
        (Some(several), _) => several.iter().map(|one| numbers(&one["values"])).collect(),
        _ => vec![numbers(&came["embedding"]["values"])],
    };
    let answer = match format.read_embeddings(body.as_bytes()) {
        Ok(answer) => answer,
        Err(failure) => return vec![failure.to_string()],
    };
    let written = |encoding| {
        let closing = Closing { usage: answer.usage.clone(), ..Closing::default() };
        write_embeddings_answer(&answer, "model", encoding, &closing).expect("vectors")
    };
    let as_floats = json(&written(VectorEncoding::Float));
    let as_base64 = json(&written(VectorEncoding::Base64));
    let mut faults = Vec::new();
    if vectors(&as_floats, numbers) != came {
        faults.push("the vectors changed".to_owned());
    }
    let single = |vector: &Vec<f64>| vector.iter().map(|number| *number as f32).collect::<Vec<_>>();
    if vectors(&as_base64, decoded) != came.iter().map(single).collect::<Vec<_>>() {
        faults.push("the vectors changed in base64".to_owned());
    }
    faults
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}

fn vectors<T>(answer: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    answer["data"].as_array().into_iter().flatten().map(|item| read(&item["embedding"])).collect()
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn decoded(text: &Value) -> Vec<f32> {
    let text = text.as_str().unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().expect("four bytes"))).collect()
}
