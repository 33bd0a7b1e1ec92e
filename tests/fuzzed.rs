//! The checks of the fuzz targets over mutations of the fixtures, drawn from fixed seeds: what libFuzzer would find with
//! time and a nightly toolchain, in seconds and on every run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "fuzz/checks/mod.rs"]
mod checks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use base64::Engine as _;
use latchkey::wire::Format;
use serde_json::Value;

/// Longer bodies are cut: mutations matter, not length.
const MOST_BYTES: usize = 2_000;
/// Pieces that parsers trip over.
const PIECES: [&[u8]; 16] = [
    b"null",
    b"[null,{\"\":1e999}]",
    b"{}",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"-1",
    b"18446744073709551616",
    b"\n\n",
    b"\r\n\r\n",
    b"data: ",
    b"event: ",
    b"[[[[[[[[",
    b"\xff\xfe",
    b"\xe2\x80",
    b"data: [DONE]\n\n",
];

struct Seed {
    name: String,
    bytes: Vec<u8>,
}

/// A number below `bound`, drawn from `state`.
fn draw(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap_or(0) % bound.max(1)
}

/// Some changes to `seed`, of whose kind another one is `other`. The first byte says where checks cut.
fn mutated(seed: &[u8], other: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=draw(state, 4) {
        let (at, to) = (draw(state, bytes.len() + 1), draw(state, bytes.len() + 1));
        let (from, until) = (at.min(to), at.max(to));
        match draw(state, 7) {
            0 => bytes.truncate(until),
            1 if at < bytes.len() => bytes[at] = u8::try_from(draw(state, 256)).unwrap_or(0),
            2 => drop(bytes.splice(at..at, PIECES[draw(state, PIECES.len())].iter().copied())),
            3 => drop(bytes.drain(from..until.min(from + 40))),
            4 => {
                let piece: Vec<u8> = bytes[from..until.min(from + 200)].to_vec();
                bytes.splice(to..to, piece);
            }
            5 if at < bytes.len() => bytes[at] = b"{}[]\",:0 \n\\"[draw(state, 11)],
            _ => {
                let start = draw(state, other.len() + 1);
                let piece: Vec<u8> = other[start..].iter().copied().take(300).collect();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes.truncate(2 * MOST_BYTES);
    bytes.insert(0, u8::try_from(draw(state, 40)).unwrap_or(0));
    bytes
}

/// Walks into `value` for some steps and puts something else where it ends up.
fn replace_somewhere(value: &mut Value, state: &mut u64) {
    let others =
        ["null", "0", r#""""#, "[]", "{}", "true", "-1", "1e99", "[null]", r#""\u0000""#, r#"{"type":"text"}"#];
    let stays = draw(state, 5) == 0;
    let inner = match value {
        Value::Object(members) if !members.is_empty() && !stays => {
            let at = draw(state, members.len());
            members.values_mut().nth(at)
        }
        Value::Array(items) if !items.is_empty() && !stays => {
            let at = draw(state, items.len());
            items.get_mut(at)
        }
        _ => None,
    };
    match inner {
        Some(inner) => replace_somewhere(inner, state),
        None => *value = serde_json::from_str(others[draw(state, others.len())]).expect("JSON"),
    }
}

/// Runs `check` over `count` mutations of the seeds; a panic names the input that made it.
fn fuzz(seeds: &[Seed], count: usize, check: impl Fn(&[u8])) {
    assert!(!seeds.is_empty(), "no fixture was found");
    for round in 0..count {
        let mut state = (round as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let seed = &seeds[round % seeds.len()];
        let other = &seeds[draw(&mut state, seeds.len())];
        // Broken bytes end in the reader of JSON; values of another kind go on to what reads them.
        let input = match serde_json::from_slice(&seed.bytes) {
            Ok(mut value) if round % 2 == 1 => {
                for _ in 0..=draw(&mut state, 3) {
                    replace_somewhere(&mut value, &mut state);
                }
                [b"\x05", value.to_string().as_bytes()].concat()
            }
            _ => mutated(&seed.bytes, &other.bytes, &mut state),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&input)));
        assert!(outcome.is_ok(), "{}, round {round}:\n{}", seed.name, String::from_utf8_lossy(&input));
    }
}

/// The recorded exchanges of the repository, with how their streams are told.
fn fixtures() -> Vec<(String, Value)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(&path).expect("a fixture");
                let value: Value = serde_json::from_str(&text).expect("JSON");
                found.push((path.file_stem().expect("a name").to_string_lossy().into_owned(), value));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// The bodies of answers, those of streams alone or all others.
fn answers(streamed: bool, of: impl Fn(&str, &str) -> bool) -> Vec<Seed> {
    let all = fixtures().into_iter().filter_map(|(name, recording)| {
        let body = recording["response"]["body"].as_str()?;
        let kind = recording["kind"].as_str()?;
        let provider = recording["provider"].as_str()?;
        if kind.ends_with("-stream") != streamed || !of(provider, kind) {
            return None;
        }
        let mut bytes = match recording["response"]["encoding"].as_str() {
            Some(_) => base64::engine::general_purpose::STANDARD.decode(body).ok()?,
            None => body.as_bytes().to_vec(),
        };
        bytes.truncate(MOST_BYTES);
        Some(Seed { name, bytes })
    });
    all.collect()
}

/// The bodies of requests, those of agents included.
fn requests() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, recording) in fixtures() {
        let of_agents = recording["requests"].as_array().into_iter().flatten().map(|request| &request["body"]);
        for body in of_agents.chain([&recording["request"]["body"]]).filter(|body| body.is_object()) {
            let mut bytes = body.to_string().into_bytes();
            // What is cut is none of JSON: the long ones are seeds for what is broken.
            bytes.truncate(2 * MOST_BYTES);
            seeds.push(Seed { name: name.clone(), bytes });
        }
    }
    seeds
}

fn streams_of(provider: &'static str, responses: bool) -> Vec<Seed> {
    answers(true, move |maker, kind| maker == provider && (kind == "responses-stream") == responses)
}

#[test]
fn events_are_cut_alike_however_they_come() {
    fuzz(&answers(true, |_, _| true), 6_000, checks::framings::events);
    fuzz(&answers(true, |_, _| true), 3_000, checks::framings::others);
}

#[test]
fn no_stream_of_openai_chat_breaks_its_decoder() {
    // Those of other protocols too: what a vendor sends is not always what it says.
    let seeds = answers(true, |_, kind| !kind.starts_with("responses"));
    fuzz(&seeds, 300, |input| checks::streams::check(Format::OpenAiChat, input));
}

#[test]
fn no_stream_of_openai_responses_breaks_its_decoder() {
    fuzz(&streams_of("openai", true), 300, |input| checks::streams::check(Format::OpenAiResponses, input));
}

#[test]
fn no_stream_of_anthropic_breaks_its_decoder() {
    fuzz(&streams_of("anthropic", false), 300, |input| checks::streams::check(Format::Anthropic, input));
}

#[test]
fn no_stream_of_gemini_breaks_its_decoder() {
    fuzz(&streams_of("gemini", false), 300, |input| checks::streams::check(Format::Gemini, input));
}

#[test]
fn no_stream_of_bedrock_breaks_its_decoder() {
    fuzz(&streams_of("bedrock", false), 300, |input| checks::streams::check(Format::Bedrock, input));
}

#[test]
fn no_stream_of_cohere_breaks_its_decoder() {
    fuzz(&streams_of("cohere", false), 300, |input| checks::streams::check(Format::Cohere, input));
}

#[test]
fn no_stream_of_ollama_breaks_its_decoder() {
    fuzz(&streams_of("ollama", false), 300, |input| checks::streams::check(Format::Ollama, input));
}

#[test]
fn no_request_breaks_its_reader() {
    // What is read begins behind the byte that says where streams are cut.
    let body = |input: &[u8]| input.get(1..).unwrap_or_default().to_vec();
    fuzz(&requests(), 3_000, |input| checks::requests::chat(&body(input)));
    fuzz(&requests(), 2_000, |input| checks::requests::surfaces(&body(input)));
}

#[test]
fn nothing_breaks_what_is_changed_where_it_stands() {
    let body = |input: &[u8]| input.get(1..).unwrap_or_default().to_vec();
    let mut seeds = requests();
    seeds.extend(answers(false, |_, _| true));
    fuzz(&seeds, 4_000, |input| checks::patches::chat(&body(input)));
    seeds.extend(answers(true, |_, kind| kind == "responses-stream"));
    fuzz(&seeds, 6_000, |input| checks::stored::response(&body(input)));
}

#[test]
fn what_is_passed_on_is_read_alike_however_it_comes() {
    let mut seeds = answers(true, |_, _| true);
    seeds.extend(answers(false, |_, _| true));
    fuzz(&seeds, 5_000, checks::sniffing::passed);
}
