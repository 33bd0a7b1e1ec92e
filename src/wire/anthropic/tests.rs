//! Every recorded answer, read twice: by this format, and by an independent reading of its JSON.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::{Decoder, read_answer};
use crate::chat::{Answer, EndKind, Event, Fold, Part, SignatureRole, Sink, Usage};
use crate::failure::{Failure, Kind};
use crate::provider::Quirks;
use crate::sorted::SortedMap;
use crate::wire::{Decoded, StreamDecoder, sse};

/// What an answer says, without regard to how it was carried.
#[derive(Debug, Default, PartialEq)]
struct Gist {
    id: String,
    parts: Vec<(&'static str, String, String)>,
    citations: usize,
    stop: String,
    usage: Option<(u64, u64)>,
    cached: (u64, u64),
}

fn gist(answer: &Answer<'_>) -> Gist {
    let choice = answer.choices.first().expect("one choice");
    let mut gist = Gist {
        id: answer.id.decode().into_owned(),
        stop: choice.end.raw.as_ref().map(|raw| raw.decode().into_owned()).unwrap_or_default(),
        ..Gist::default()
    };
    for part in &choice.parts {
        gist.parts.push(match part {
            Part::Text { text, citations, .. } => {
                gist.citations += citations.len();
                ("text", text.decode().into_owned(), String::new())
            }
            Part::Reasoning { text, signature } => {
                let (kind, data) = signature.as_ref().map_or(("thinking", String::new()), |signature| {
                    let replaces = signature.role == SignatureRole::Replaces;
                    (if replaces { "redacted_thinking" } else { "thinking" }, signature.data.decode().into_owned())
                });
                (kind, text.decode().into_owned(), data)
            }
            Part::ToolCall { id, name, arguments, .. } => {
                let arguments: Value = arguments.object().expect("an object").read().expect("JSON");
                ("tool_use", format!("{} {}", id.decode(), name.decode()), arguments.to_string())
            }
            other => panic!("unexpected part {other:?}"),
        });
    }
    if let Some(usage) = &answer.usage {
        gist.usage = Some((usage.prompt_tokens(), usage.completion_tokens()));
        gist.cached = (
            usage.input_cache_read.unwrap_or(0),
            usage.input_cache_write.unwrap_or(0) + usage.input_cache_write_1h.unwrap_or(0),
        );
    }
    gist
}

/// The same from the recording, by trees.
fn expected(message: &Value) -> Gist {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut gist = Gist { id: text(&message["id"]), stop: text(&message["stop_reason"]), ..Gist::default() };
    let mut before = "";
    for block in message["content"].as_array().expect("content") {
        let follows = std::mem::replace(&mut before, block["type"].as_str().expect("a kind")) == "text";
        // Blocks of text side by side are one text.
        if let Some((_, said, _)) = gist.parts.last_mut().filter(|_| follows && before == "text") {
            gist.citations += block["citations"].as_array().map_or(0, Vec::len);
            said.push_str(&text(&block["text"]));
            continue;
        }
        gist.parts.push(match block["type"].as_str().expect("a kind") {
            "text" => {
                gist.citations += block["citations"].as_array().map_or(0, Vec::len);
                ("text", text(&block["text"]), String::new())
            }
            "thinking" => ("thinking", text(&block["thinking"]), text(&block["signature"])),
            "redacted_thinking" => ("redacted_thinking", String::new(), text(&block["data"])),
            "tool_use" => {
                ("tool_use", format!("{} {}", text(&block["id"]), text(&block["name"])), block["input"].to_string())
            }
            _ => continue,
        });
    }
    let usage = &message["usage"];
    let count = |key: &str| usage[key].as_u64().unwrap_or(0);
    let (read, write) = (count("cache_read_input_tokens"), count("cache_creation_input_tokens"));
    gist.usage = usage.is_object().then(|| (count("input_tokens") + read + write, count("output_tokens")));
    gist.cached = (read, write);
    gist
}

/// Puts a recorded stream together as its vendor's own client library does.
fn assemble(body: &str) -> Value {
    let mut message = Value::Null;
    let mut inputs: SortedMap<u64, String> = SortedMap::new();
    for event in body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok()) {
        let index = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                message["content"].as_array_mut().expect("content").push(event["content_block"].clone());
            }
            "content_block_delta" => {
                let block = &mut message["content"][index as usize];
                let delta = &event["delta"];
                for (kind, from, to) in [
                    ("text_delta", "text", "text"),
                    ("thinking_delta", "thinking", "thinking"),
                    ("signature_delta", "signature", "signature"),
                ] {
                    if delta["type"] == kind {
                        let joined = block[to].as_str().unwrap_or_default().to_owned() + delta[from].as_str().unwrap();
                        block[to] = joined.into();
                    }
                }
                if delta["type"] == "input_json_delta" {
                    inputs.get_or_default(index).push_str(delta["partial_json"].as_str().unwrap());
                }
                if delta["type"] == "citations_delta" {
                    if !block["citations"].is_array() {
                        block["citations"] = Value::Array(Vec::new());
                    }
                    block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (key, value) in event["usage"].as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()) {
                    message["usage"][key] = value.clone();
                }
            }
            // Some recordings hold the streams of several turns.
            "message_stop" => break,
            _ => {}
        }
    }
    for (index, input) in inputs.into_iter().filter(|(_, input)| !input.is_empty()) {
        message["content"][index as usize]["input"] = serde_json::from_str(&input).expect("whole input");
    }
    message
}

/// Folds events and checks the order in which they come.
#[derive(Default)]
struct Laws {
    fold: Fold,
    started: bool,
    over: bool,
    open: SortedMap<u32, bool>,
    next: u32,
    deltas: usize,
}

impl Sink for Laws {
    fn event(&mut self, event: Event<'_>) {
        assert!(!self.over, "nothing follows the end: {event:?}");
        let may_come = matches!(event, Event::Failed(_)) || self.started != matches!(event, Event::Start { .. });
        assert!(may_come, "start comes first and once: {event:?}");
        match &event {
            Event::Start { .. } => self.started = true,
            Event::BlockStart { block, .. } | Event::ToolCallStart { block, .. } => {
                assert_eq!(*block, self.next, "blocks are numbered densely");
                self.next += 1;
                self.open.insert(*block, true);
            }
            Event::TextDelta { block, .. }
            | Event::ReasoningDelta { block, .. }
            | Event::RefusalDelta { block, .. }
            | Event::ToolCallDelta { block, .. }
            | Event::BlockCitation { block, .. }
            | Event::BlockSignature { block, .. } => {
                self.deltas += 1;
                assert_eq!(self.open.get(block), Some(&true), "a delta is within its block");
            }
            Event::BlockEnd { block, .. } => {
                assert_eq!(self.open.insert(*block, false), Some(true), "a block ends once")
            }
            Event::End { .. } => {
                assert!(self.open.values().all(|open| !open), "blocks end before their choice");
                self.over = true;
            }
            Event::Failed(_) => self.over = true,
            Event::Usage(_) | Event::MediaDelta { .. } | Event::LogprobsDelta { .. } => {}
        }
        self.fold.event(event);
    }
}

fn decode<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Result<Answer<'static>, Failure> {
    let mut laws = Laws::default();
    let mut decoder = Decoder::new(&Quirks::NONE);
    let mut reader = sse::Reader::new(1 << 20);
    let mut corrupt = None;
    let mut each = |frame: &sse::Frame<'_>| {
        if let Decoded::Corrupt(error) = decoder.push(frame, &mut laws) {
            corrupt.get_or_insert(error);
        }
    };
    for chunk in chunks {
        reader.feed(chunk, &mut each).expect("small events");
    }
    reader.finish(&mut each);
    if let Some(error) = corrupt {
        return Err(Failure::bad_answer(error));
    }
    decoder.finish(&mut laws)?;
    laws.fold.finish()
}

fn decode_whole(stream: &str) -> Result<Answer<'static>, Failure> {
    decode([stream.as_bytes()])
}

/// The recorded successful answers of this protocol, from whatever host.
fn recordings() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in
        ["../shared/wire/anthropic", "../shared/wire/azure", "../shared/wire/vertex", "../shared/wire/openrouter"]
    {
        files.extend(std::fs::read_dir(root.join(folder)).into_iter().flatten().map(|entry| entry.unwrap().path()));
    }
    if files.is_empty() {
        eprintln!("SKIPPED: the recordings are not beside this checkout; only the fixtures are read");
    }
    files.extend(
        std::fs::read_dir(root.join("tests/fixtures/anthropic")).expect("fixtures").map(|entry| entry.unwrap().path()),
    );
    files.sort();
    let read =
        |path: &PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).expect("a recording") };
    let speaks_messages = |recording: &Value| {
        let path = recording["request"]["path"].as_str().unwrap_or_default();
        (path.contains("/messages") || path.contains("publishers/anthropic"))
            && !path.contains("count_tokens")
            && recording["response"]["status"] == 200
    };
    files.iter().map(|path| (path.display().to_string(), read(path))).filter(|(_, it)| speaks_messages(it)).collect()
}

#[test]
fn every_recorded_answer_is_read_as_its_vendor_reads_it() {
    let (mut plain, mut streamed) = (0, 0);
    for (name, recording) in recordings() {
        let body = recording["response"]["body"].as_str().expect("text");
        if body.starts_with('{') {
            let message: Value = serde_json::from_str(body).expect("JSON");
            if !message["content"].is_array() {
                continue;
            }
            let answer = read_answer(body.as_bytes(), &Quirks::NONE).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(gist(&answer), expected(&message), "{name}");
            plain += 1;
        } else {
            let message = assemble(body);
            let whole = decode_whole(body).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(gist(&whole), expected(&message), "{name}");
            if body.len() < 8_000 {
                assert_eq!(decode(body.as_bytes().chunks(1)).expect(&name), whole, "{name}, byte by byte");
            }
            assert_eq!(decode(body.as_bytes().chunks(701)).expect(&name), whole, "{name}, in pieces");
            streamed += 1;
        }
    }
    eprintln!("{plain} plain and {streamed} streamed answers");
    assert!(plain >= 3 && streamed >= 3);
}

#[test]
fn a_stream_that_is_cut_anywhere_never_looks_finished() {
    for (name, recording) in recordings() {
        let body = recording["response"]["body"].as_str().expect("text");
        let Some(end) = body.find("event: message_stop").filter(|_| body.len() < 4000) else { continue };
        for cut in (0..end).filter(|cut| body.is_char_boundary(*cut)).step_by(7) {
            let error = decode_whole(&body[..cut]).expect_err(&name);
            assert!(matches!(error.kind, Kind::Truncated | Kind::BadAnswer), "{name} cut at {cut}: {error}");
        }
    }
}

const HEAD: &str = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n";

/// A stream of these events between a start and an end.
fn stream(events: &[&str], stop_reason: &str) -> String {
    let mut body = HEAD.to_owned();
    for event in events {
        body += &format!("data: {event}\n\n");
    }
    body + &format!(
        "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{stop_reason}\"}},\"usage\":{{\"output_tokens\":9}}}}\n\n\
         data: {{\"type\":\"message_stop\"}}\n\n"
    )
}

const TEXT: [&str; 3] = [
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
];

#[test]
fn what_is_unknown_is_passed_by_and_does_not_shift_the_rest() {
    let events = [
        r#"{"type":"ping"}"#,
        r#"{"type":"news","index":[],"delta":7}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"hologram","text":[1]}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"hologram_delta","text":[2]}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"q\":1}"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Hi"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"mood_delta","mood":"glad","text":{}}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
    ];
    let answer = decode_whole(&stream(&events, "end_turn")).expect("an answer");
    assert_eq!(gist(&answer).parts, [("text", "Hi".to_owned(), String::new())]);
}

#[test]
fn a_start_may_be_repeated_and_another_message_breaks_the_stream() {
    let again = HEAD.trim_start_matches("data: ").trim_end();
    let events = [&TEXT[..1], &[again], &TEXT[1..]].concat();
    let answer = decode_whole(&stream(&events, "end_turn")).expect("an answer");
    assert_eq!(gist(&answer).parts, [("text", "Hi".to_owned(), String::new())]);
    let other = again.replace("msg_1", "msg_2");
    let events = [&TEXT[..2], &[&other], &TEXT[..]].concat();
    let failure = decode_whole(&stream(&events, "end_turn")).expect_err("no answer");
    assert_eq!(failure.kind, Kind::BadAnswer);
}

#[test]
fn a_known_event_with_a_broken_payload_is_no_answer() {
    for broken in [
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":7}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":"many"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"te"#,
    ] {
        let events = [TEXT[0], broken, TEXT[2]];
        assert_eq!(decode_whole(&stream(&events, "end_turn")).unwrap_err().kind, Kind::BadAnswer, "{broken}");
    }
}

#[test]
fn an_error_event_ends_the_stream_with_its_kind() {
    let events = [TEXT[0], TEXT[1], r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#];
    assert_eq!(decode_whole(&stream(&events, "end_turn")).unwrap_err().kind, Kind::Overloaded);
    let body = br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    assert_eq!(read_answer(body, &Quirks::NONE).unwrap_err().kind, Kind::RateLimited);
}

#[test]
fn interleaved_calls_keep_their_arguments_and_empty_ones_are_an_object() {
    let events = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"b","name":"g","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\":"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"c","name":"h","input":{"y":2}}}"#,
    ];
    let answer = decode_whole(&stream(&events, "tool_use")).expect("an answer");
    let calls: Vec<String> = gist(&answer).parts.into_iter().map(|(_, call, input)| call + " " + &input).collect();
    assert_eq!(calls, ["a f {}", r#"b g {"x":1}"#, r#"c h {"y":2}"#]);
    assert_eq!(answer.choices[0].end.kind, EndKind::ToolCalls);
}

#[test]
fn a_structured_answer_given_through_the_tool_is_the_content() {
    let call = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"latchkey_structured_answer","input":{}}}"#;
    let piece = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":\"\\n\"}"}}"#;
    let streamed = decode_whole(&stream(&[call, piece, TEXT[2]], "tool_use")).expect("an answer");
    assert_eq!(gist(&streamed).parts, [("text", r#"{"a":"\n"}"#.to_owned(), String::new())]);
    assert_eq!(streamed.choices[0].end.kind, EndKind::Stop);
    let plain = r#"{"id":"m","type":"message","content":[{"type":"text","text":"Here it is:"},
        {"type":"tool_use","id":"a","name":"latchkey_structured_answer","input":{"a":"\n"}}],"stop_reason":"tool_use"}"#;
    let plain = read_answer(plain.as_bytes(), &Quirks::NONE).expect("an answer");
    assert_eq!(gist(&plain).parts, gist(&streamed).parts);
    assert_eq!(plain.choices[0].end.kind, EndKind::Stop);
    assert_eq!(plain.usage, None);
}

#[test]
fn a_list_given_through_the_tool_is_the_content() {
    let call = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"latchkey_structured_answer","input":{}}}"#;
    let piece = |text: &str| {
        format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":{text}}}}}"#
        )
    };
    let pieces = [piece(r#""{\"latchkey_va""#), piece(r#""lue\": [{\"a\":\"\\n\"}""#), piece(r#""]}""#)];
    let events = [call, &pieces[0], &pieces[1], &pieces[2], TEXT[2]];
    let streamed = decode_whole(&stream(&events, "tool_use")).expect("an answer");
    assert_eq!(gist(&streamed).parts, [("text", r#"[{"a":"\n"}]"#.to_owned(), String::new())]);
    let plain = r#"{"id":"m","type":"message","content":[{"type":"tool_use","id":"a","name":"latchkey_structured_answer",
        "input":{"latchkey_value":[{"a":"\n"}]}}],"stop_reason":"tool_use"}"#;
    let plain = read_answer(plain.as_bytes(), &Quirks::NONE).expect("an answer");
    assert_eq!(gist(&plain).parts, gist(&streamed).parts);
    assert_eq!(plain.choices[0].end.kind, EndKind::Stop);
}

#[test]
fn every_stop_reason_has_its_meaning() {
    for (word, kind) in [
        ("end_turn", EndKind::Stop),
        ("stop_sequence", EndKind::Stop),
        ("max_tokens", EndKind::Length),
        ("model_context_window_exceeded", EndKind::Length),
        ("pause_turn", EndKind::Paused),
        ("refusal", EndKind::ContentFilter),
        ("something_new", EndKind::Other),
    ] {
        let answer = decode_whole(&stream(&TEXT, word)).expect("an answer");
        assert_eq!((answer.choices[0].end.kind, gist(&answer).stop.as_str()), (kind, word));
        assert_eq!(answer.usage, Some(Usage { input_fresh: 3, output_text: 9, ..Usage::default() }));
    }
}

#[test]
fn a_refusal_is_explained() {
    let body = stream(&TEXT, "end_turn").replace(
        r#""delta":{"stop_reason":"end_turn"}"#,
        r#""delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"bio","explanation":"Unsafe."}}"#,
    );
    let answer = decode_whole(&body).expect("an answer");
    assert!(matches!(&answer.choices[0].parts[..], [Part::Text { .. }, Part::Refusal { text }] if text.is("Unsafe.")));
    assert_eq!(answer.choices[0].end.kind, EndKind::ContentFilter);
}

/// Lines that a stream is made of, in any order and with any damage.
fn lines() -> impl Strategy<Value = String> {
    let kinds = "message_start|message_delta|message_stop|content_block_start|content_block_delta|content_block_stop|error|ping|x";
    let inner =
        "text|thinking|redacted_thinking|tool_use|text_delta|input_json_delta|signature_delta|citations_delta|y";
    let event = (kinds, inner, 0u32..4, "[a-z\"{}\\\\]{0,6}").prop_map(|(kind, inner, index, text)| {
        let text = Value::from(text);
        format!(
            r#"{{"type":"{kind}","index":{index},"content_block":{{"type":"{inner}","text":{text},"name":{text}}},
            "delta":{{"type":"{inner}","text":{text},"partial_json":{text},"stop_reason":"end_turn"}}}}"#
        )
        .replace('\n', "")
    });
    let damaged = (event, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(event, at, cut)| {
        let at = at.index(event.len());
        if cut && event.is_char_boundary(at) { event[..at].to_owned() } else { event }
    });
    proptest::collection::vec(damaged, 0..24)
        .prop_map(|events| events.into_iter().map(|event| format!("data: {event}\n\n")).collect())
}

proptest! {
    #[test]
    fn no_stream_breaks_the_laws_and_chunking_changes_nothing(
        body in lines(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = decode_whole(&body);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        at.extend([0, body.len()]);
        at.sort_unstable();
        prop_assert_eq!(decode(at.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]])), whole);
    }

    #[test]
    fn no_body_panics(body in "(\\{|\\}|\"content\":|\\[|\\]|\"type\":\"text\"|,|\"input\":|[0-9]|null|\"){0,24}") {
        let _ = read_answer(body.as_bytes(), &Quirks::NONE);
    }
}
