//! What a recording says, read a second time and by other means than the code under test.
//!
//! The readings in `expect_*.rs` are written on plain JSON values, without regard for speed, so that a mistake has to
//! be made twice to go unseen.

use latchkey::chat::{Answer, Arguments, EndKind, Part, Usage};
use serde_json::Value;

/// A whole answer, or what a stream came to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Reading {
    pub choices: Vec<ReadChoice>,
    pub tokens: Option<Tokens>,
    /// The upstream reported an error inside a 200.
    pub failed: bool,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct ReadChoice {
    pub index: u32,
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub calls: Vec<Call>,
    pub end: Option<EndKind>,
    pub raw_end: Option<String>,
    pub pictures: usize,
    /// Length of generated audio, in base64 digits.
    pub audio: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Empty where the upstream gave none: then anything unique will do.
    pub id: String,
    pub name: String,
    pub arguments: Value,
}

/// OpenAI's way of counting.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    pub cached: Option<u64>,
    pub cache_write: Option<u64>,
    pub reasoning: Option<u64>,
}

impl Tokens {
    fn of(usage: &Usage) -> Tokens {
        let written = [usage.input_cache_write, usage.input_cache_write_1h];
        Tokens {
            prompt: usage.prompt_tokens(),
            completion: usage.completion_tokens(),
            cached: usage.input_cache_read.filter(|&tokens| tokens > 0),
            cache_write: written.iter().flatten().copied().reduce(|a, b| a + b).filter(|&tokens| tokens > 0),
            reasoning: usage.output_reasoning.filter(|&tokens| tokens > 0),
        }
    }

    /// Zero and silence are alike in what they cost.
    pub fn without_zeros(self) -> Tokens {
        let seen = |tokens: Option<u64>| tokens.filter(|&count| count > 0);
        Tokens {
            cached: seen(self.cached),
            cache_write: seen(self.cache_write),
            reasoning: seen(self.reasoning),
            ..self
        }
    }
}

/// Arguments as a value: empty text and `null` are no arguments, and text that is no JSON stands as it is.
pub fn arguments(text: &str) -> Value {
    match serde_json::from_str(text) {
        _ if text.trim().is_empty() => Value::Object(serde_json::Map::new()),
        Ok(Value::Null) => Value::Object(serde_json::Map::new()),
        Ok(value) => value,
        Err(_) => Value::String(text.to_owned()),
    }
}

impl Reading {
    /// What the code under test made of it, in the same words.
    pub fn of(answer: &Answer<'_>) -> Reading {
        Reading {
            choices: answer
                .choices
                .iter()
                .map(|choice| {
                    let mut read = ReadChoice {
                        index: choice.index,
                        end: Some(choice.end.kind),
                        raw_end: choice.end.raw.as_ref().map(|raw| raw.decode().into_owned()),
                        ..ReadChoice::default()
                    };
                    for part in &choice.parts {
                        read.take(part);
                    }
                    for media in &choice.media {
                        match media.kind {
                            latchkey::chat::MediaKind::Audio => read.audio += media.data.escaped().len(),
                            latchkey::chat::MediaKind::Image => read.pictures += 1,
                        }
                    }
                    read
                })
                .collect(),
            tokens: answer.usage.as_ref().map(Tokens::of),
            failed: false,
        }
    }

    /// Where `seen` differs, in words; empty where it does not.
    pub fn differences(&self, seen: &Reading) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |what: String, expected: String, found: String| {
            if expected != found {
                all.push(format!("{what}: expected {}, found {}", shortened(&expected), shortened(&found)));
            }
        };
        compare("failed".to_owned(), self.failed.to_string(), seen.failed.to_string());
        if self.failed {
            return all;
        }
        compare("choices".to_owned(), self.choices.len().to_string(), seen.choices.len().to_string());
        for (expected, found) in self.choices.iter().zip(&seen.choices) {
            let at = |what: &str| format!("choice {} {what}", expected.index);
            compare(at("index"), expected.index.to_string(), found.index.to_string());
            compare(at("text"), expected.text.clone(), found.text.clone());
            compare(at("reasoning"), expected.reasoning.clone(), found.reasoning.clone());
            compare(at("refusal"), expected.refusal.clone(), found.refusal.clone());
            compare(at("end"), format!("{:?}", expected.end), format!("{:?}", found.end));
            compare(at("raw end"), format!("{:?}", expected.raw_end), format!("{:?}", found.raw_end));
            compare(at("pictures"), expected.pictures.to_string(), found.pictures.to_string());
            compare(at("audio"), expected.audio.to_string(), found.audio.to_string());
            compare(at("calls"), expected.calls.len().to_string(), found.calls.len().to_string());
            for (number, (wanted, got)) in expected.calls.iter().zip(&found.calls).enumerate() {
                if !wanted.id.is_empty() {
                    compare(at(&format!("call {number} id")), wanted.id.clone(), got.id.clone());
                } else if got.id.is_empty() {
                    compare(at(&format!("call {number} id")), "a minted id".to_owned(), String::new());
                }
                compare(at(&format!("call {number} name")), wanted.name.clone(), got.name.clone());
                let (wanted, got) = (wanted.arguments.to_string(), got.arguments.to_string());
                compare(at(&format!("call {number} arguments")), wanted, got);
            }
        }
        compare("tokens".to_owned(), format!("{:?}", self.tokens), format!("{:?}", seen.tokens));
        all
    }
}

impl ReadChoice {
    fn take(&mut self, part: &Part<'_>) {
        match part {
            Part::Text { text, .. } => self.text.push_str(&text.decode()),
            Part::Reasoning { text, .. } => self.reasoning.push_str(&text.decode()),
            Part::Refusal { text } => self.refusal.push_str(&text.decode()),
            Part::ToolCall { id, name, arguments: given, .. } => self.calls.push(Call {
                id: id.decode().into_owned(),
                name: name.decode().into_owned(),
                arguments: match given {
                    Arguments::Quoted(text) => arguments(&text.decode()),
                    Arguments::Object(raw) => arguments(raw.get()),
                },
            }),
            other => panic!("an answer holds {other:?}"),
        }
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 160 {
        return format!("`{text}`");
    }
    let head: String = text.chars().take(80).collect();
    let tail: String = text.chars().skip(text.chars().count() - 60).collect();
    format!("`{head}…{tail}` ({} characters)", text.chars().count())
}

/// The `data:` of each event, by the plainest reading of the specification.
pub fn events(stream: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut name, mut data): (String, Vec<&str>) = (String::new(), Vec::new());
    let unified = stream.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    for line in unified.split('\n').chain([""]) {
        let value = |rest: &'_ str| -> usize { if rest.starts_with(' ') { 1 } else { 0 } };
        if line.is_empty() {
            if !data.is_empty() {
                found.push((std::mem::take(&mut name), data.join("\n")));
            }
            name.clear();
            data.clear();
        } else if let Some(rest) = line.strip_prefix("data:") {
            data.push(&rest[value(rest)..]);
        } else if let Some(rest) = line.strip_prefix("event:") {
            rest[value(rest)..].clone_into(&mut name);
        }
    }
    found
}

/// The events of an AWS event stream, by the plainest reading: lengths are believed, checksums are not looked at.
pub fn aws_events(mut bytes: &[u8]) -> Vec<(String, String)> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = bytes.split_at(number(&bytes[..4]));
        let (headers, payload) = message[12..message.len() - 4].split_at(number(&message[4..8]));
        let named = |name: &str| {
            let at = headers.windows(name.len()).position(|window| window == name.as_bytes())? + name.len();
            let length = number(&headers[at + 1..at + 3]);
            Some(String::from_utf8_lossy(&headers[at + 3..at + 3 + length]).into_owned())
        };
        let name = match named(":exception-type") {
            Some(kind) => format!("exception:{kind}"),
            None => named(":event-type").unwrap_or_default(),
        };
        found.push((name, String::from_utf8_lossy(payload).into_owned()));
        bytes = rest;
    }
    found
}
