//! What must hold between reading and writing this protocol.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::recorded::{self, Recorded};
use super::*;
use crate::chat::{Answer, Event, Fold, Part, Signature, SignatureRole, Sink, Usage};
use crate::failure::Failure;
use crate::json::{Raw, Text};
use crate::provider::Quirks;
use crate::units::{NanoUsd, UnixMillis};
use crate::wire::carried::{self, Carrier};
use crate::wire::drive::StreamPatcher as _;
use crate::wire::sse::Reader;
use crate::wire::{Closing, Cost, Naming, StreamDecoder, StreamWriter};

const CAP: usize = 1 << 24;

/// Every kind of end is accepted: what is tested here is what comes before it.
fn lenient() -> Quirks {
    Quirks { ends_without_done: true, ..Quirks::NONE }
}

fn naming(include_usage: bool) -> Naming {
    Naming {
        fallback_id: "chatcmpl-1".to_owned(),
        model: "model".to_owned(),
        now: UnixMillis(1_700_000_000_000),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage,
        echo: None,
        carrier: Carrier::default(),
    }
}

/// Decodes a stream given in chunks.
fn decode(chunks: &[&[u8]], quirks: &Quirks, sink: &mut dyn Sink) -> Result<(), Failure> {
    let mut decoder = Decoder::new(quirks);
    let mut reader = Reader::new(CAP);
    for chunk in chunks {
        reader.feed(chunk, &mut |frame| drop(decoder.push(frame, sink))).expect("within the cap");
    }
    reader.finish(&mut |frame| drop(decoder.push(frame, sink)));
    decoder.finish(sink)
}

fn fold(stream: &[u8], quirks: &Quirks) -> Result<Answer<'static>, Failure> {
    let mut fold = Fold::new();
    decode(&[stream], quirks, &mut fold)?;
    fold.finish()
}

fn streams() -> Vec<Recorded> {
    let all = recorded::exchanges("chat/completions").into_iter();
    all.filter(|exchange| exchange.status < 400 && exchange.is_stream()).collect()
}

/// What is left of an answer when the protocol's own limits are taken into account: blocks have no borders in it.
fn shown(answer: &Answer<'_>) -> Value {
    let choices = answer.choices.iter().map(|choice| {
        let all = |of: fn(&Part<'_>) -> Option<String>| choice.parts.iter().filter_map(of).collect::<String>();
        json!({
            "index": choice.index,
            "text": all(|part| if let Part::Text { text, .. } = part { Some(text.decode().into_owned()) } else { None }),
            "reasoning": all(|part| match part {
                Part::Reasoning { text, .. } => Some(text.decode().into_owned()),
                _ => None,
            }),
            "refusal": all(|part| if let Part::Refusal { text } = part { Some(text.decode().into_owned()) } else { None }),
            "calls": choice.parts.iter().filter_map(|part| match part {
                Part::ToolCall { id, name, arguments, signature } => Some(json!([
                    id.decode(), name.decode(), arguments.quoted().decode(),
                    signature.as_ref().map(|signature| signature.data.decode().into_owned())
                ])),
                _ => None,
            }).collect::<Vec<_>>(),
            "signatures": choice.parts.iter().filter_map(|part| match part {
                Part::Reasoning { signature: Some(signature), .. } => Some(signature.data.decode().into_owned()),
                _ => None,
            }).collect::<Vec<_>>(),
            "media": choice.media.iter().map(|media| media.data.decode().into_owned()).collect::<Vec<_>>(),
            "end": format!("{:?}", choice.end.kind),
        })
    });
    // Where the upstream gives no id, the gateway's own is written.
    let id = if answer.id.is_empty() { "chatcmpl-1".into() } else { answer.id.decode() };
    json!({ "id": id, "choices": choices.collect::<Vec<_>>() })
}

#[test]
fn a_stream_that_is_written_anew_reads_the_same() {
    for exchange in streams() {
        let Ok(answer) = fold(exchange.response.as_bytes(), &lenient()) else { continue };
        let mut writer = Writer::new(naming(true));
        decode(&[exchange.response.as_bytes()], &lenient(), &mut writer).expect("it was read before");
        writer.close(&Closing { usage: answer.usage.clone(), ..Closing::default() });
        let mut written = Vec::new();
        writer.take(&mut written);
        let again = fold(&written, &Quirks::NONE).expect(&exchange.id);
        assert_eq!(shown(&again), shown(&answer), "{}", exchange.id);
        let tokens = |usage: Option<Usage>| usage.map(|usage| (usage.prompt_tokens(), usage.completion_tokens()));
        assert_eq!(tokens(again.usage), tokens(answer.usage), "{}", exchange.id);
    }
}

#[test]
fn an_answer_that_is_written_anew_reads_the_same() {
    let answers = recorded::exchanges("chat/completions").into_iter();
    for exchange in answers.filter(|exchange| exchange.status < 400 && !exchange.is_stream()) {
        let answer = read_answer(exchange.response.as_bytes(), &Quirks::NONE).expect(&exchange.id);
        let written = write_answer(&answer, &naming(true), &Closing::default());
        let again = read_answer(&written, &Quirks::NONE).expect(&exchange.id);
        assert_eq!(shown(&again), shown(&answer), "{}", exchange.id);
    }
}

/// Sends a stream through the patched lane.
fn patched(stream: &[u8], quirks: &Quirks, naming: Naming, closing: &Closing) -> Result<Vec<u8>, Failure> {
    let mut patcher = Patcher::new(naming, quirks);
    let mut out = Vec::new();
    let mut failed = None;
    let mut meter = |event: Event<'_>| {
        if let Event::Failed(failure) = event {
            failed = Some(failure);
        }
    };
    let mut reader = Reader::new(CAP);
    reader.feed(stream, &mut |frame| drop(patcher.frame(frame, &mut meter, &mut out))).expect("within the cap");
    reader.finish(&mut |frame| drop(patcher.frame(frame, &mut meter, &mut out)));
    patcher.finish(&mut meter)?;
    match failed {
        Some(failure) => Err(failure),
        None => {
            patcher.close(closing, &mut out);
            Ok(out)
        }
    }
}

#[test]
fn a_patched_stream_is_one_that_openais_clients_read_as_we_do() {
    for exchange in streams() {
        let Ok(answer) = fold(exchange.response.as_bytes(), &lenient()) else { continue };
        let closing = Closing {
            usage: answer.usage.clone(),
            cost: Some(Cost { charged: NanoUsd(5), upstream: NanoUsd(4) }),
            ..Closing::default()
        };
        let out = patched(exchange.response.as_bytes(), &lenient(), naming(true), &closing).expect(&exchange.id);
        let text = String::from_utf8(out).expect("text");
        assert!(text.ends_with("data: [DONE]\n\n"), "{}", exchange.id);
        let client = strict_client(&text).unwrap_or_else(|fault| panic!("{}: {fault}\n{text}", exchange.id));
        let first = &shown(&answer)["choices"][0];
        assert_eq!(client["content"], first["text"], "{}", exchange.id);
        assert_eq!(client["reasoning_content"], first["reasoning"], "{}", exchange.id);
        let calls = first["calls"].as_array().expect("a list").iter();
        let calls: Vec<Value> = calls.map(|call| json!([call[0], call[1], call[2]])).collect();
        assert_eq!(client["calls"], Value::Array(calls), "{}", exchange.id);
        if answer.usage.is_some() {
            assert_eq!(client["usage"]["cost"].to_string(), "5e-9", "{}", exchange.id);
            assert!(client["usage"]["prompt_tokens_details"]["cached_tokens"].is_u64(), "{}", exchange.id);
        }
    }
}

#[test]
fn usage_goes_only_to_those_who_asked_for_it() {
    for exchange in streams() {
        let closing = Closing { usage: Some(Usage::default()), ..Closing::default() };
        let Ok(out) = patched(exchange.response.as_bytes(), &lenient(), naming(false), &closing) else { continue };
        let text = String::from_utf8(out).expect("text");
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
            let chunk: Value = serde_json::from_str(data).expect(&exchange.id);
            assert!(!chunk["usage"].is_object(), "{}: {data}", exchange.id);
        }
    }
}

/// Puts a stream together as OpenAI's clients do: calls by `index`, strings appended, the first id and name kept.
fn strict_client(stream: &str) -> Result<Value, String> {
    let (mut content, mut reasoning, mut usage) = (String::new(), String::new(), Value::Null);
    let mut calls: Vec<[String; 3]> = Vec::new();
    let mut finishes = 0;
    for data in stream.lines().filter_map(|line| line.strip_prefix("data: ").or(line.strip_prefix("data:"))) {
        if data == "[DONE]" {
            continue;
        }
        let chunk: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?;
        if chunk["usage"].is_object() {
            usage = chunk["usage"].clone();
            if chunk["choices"].as_array().is_none_or(|choices| !choices.is_empty()) {
                return Err(format!("usage outside of its own chunk: {data}"));
            }
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            if choice["index"] != 0 {
                continue;
            }
            finishes += i32::from(choice["finish_reason"].as_str().is_some_and(|word| !word.is_empty()));
            let delta = &choice["delta"];
            content += match &delta["content"] {
                Value::String(text) => text,
                Value::Null => "",
                other => return Err(format!("content is {other}")),
            };
            reasoning += delta["reasoning_content"].as_str().unwrap_or("");
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let index = call["index"].as_u64().ok_or("a call without index")? as usize;
                if index > calls.len() {
                    return Err(format!("call {index} after {}", calls.len()));
                }
                if index == calls.len() {
                    calls.push(Default::default());
                }
                let parts = [&call["id"], &call["function"]["name"], &call["function"]["arguments"]];
                for (known, more) in calls[index].iter_mut().zip(parts) {
                    *known += more.as_str().unwrap_or("");
                }
            }
        }
    }
    if finishes == 0 {
        return Err("no reason to end".to_owned());
    }
    Ok(json!({ "content": content, "reasoning_content": reasoning, "calls": calls, "usage": usage }))
}

#[test]
fn legacy_completions_stream_through_and_are_counted() {
    let exchanges = recorded::exchanges("/completions").into_iter();
    for exchange in exchanges.filter(|exchange| exchange.kind == "completions-stream" && exchange.status < 400) {
        let mut said = 0;
        let mut count = |event: Event<'_>| said += usize::from(matches!(event, Event::TextDelta { .. }));
        decode(&[exchange.response.as_bytes()], &lenient(), &mut count).expect(&exchange.id);
        assert!(said > 0, "{}", exchange.id);
        let out = patched(exchange.response.as_bytes(), &lenient(), naming(true), &Closing::default());
        let text = String::from_utf8(out.expect(&exchange.id)).expect("text");
        let pieces = |stream: &str| stream.matches("\"text\"").count();
        assert_eq!(pieces(&text), pieces(&exchange.response), "{}", exchange.id);
    }
}

#[test]
fn a_faithful_stream_goes_through_byte_for_byte() {
    let stream = "data: {\"id\":\"a\", \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n\
        data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\\u00e9\"}}],\"obfuscation\":\"x\"}\n\n\
        data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let done = "data: [DONE]\n\n";
    let usage =
        "data: {\"id\":\"a\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"x\":{}}}\n\n";
    let whole = format!("{stream}{usage}{done}");
    let closing = Closing {
        usage: Some(Usage { input_fresh: 1, output_text: 2, ..Usage::default() }),
        cost: Some(Cost { charged: NanoUsd(2_500_000), upstream: NanoUsd(2_000_000) }),
        latchkey: Raw::parse_owned("{\"request_id\":\"r\"}".to_owned()).ok(),
        ..Closing::default()
    };
    let out = patched(whole.as_bytes(), &Quirks::NONE, naming(false), &Closing::default()).expect("a stream");
    assert_eq!(String::from_utf8(out).expect("text"), format!("{stream}{done}"));
    let out = patched(whole.as_bytes(), &Quirks::NONE, naming(true), &closing).expect("a stream");
    let last = "data: {\"latchkey\":{\"request_id\":\"r\"},\"id\":\"a\",\"choices\":[],\"usage\":{\"cost\":0.0025,\
        \"cost_details\":{\"upstream_inference_cost\":0.002},\"prompt_tokens_details\":{\"cached_tokens\":0},\
        \"prompt_tokens\":1,\"completion_tokens\":2,\"x\":{}}}\n\n";
    assert_eq!(String::from_utf8(out).expect("text"), format!("{stream}{last}{done}"));
}

#[test]
fn a_stream_that_breaks_off_has_an_error_and_no_end() {
    let stream = b"data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\"}}]}\n\n";
    let failure = patched(stream, &Quirks::NONE, naming(true), &Closing::default()).expect_err("no [DONE]");
    assert_eq!(failure.kind, crate::failure::Kind::Truncated);
    let mut patcher = Patcher::new(naming(true), &Quirks::NONE);
    let mut out = Vec::new();
    patcher.fail(&failure, &Closing::default(), &mut out);
    let text = String::from_utf8(out).expect("text");
    assert!(text.starts_with("data: {\"error\":{\"message\":") && !text.contains("data: [DONE]"), "{text}");
}

#[test]
fn the_first_chunk_names_the_role_and_calls_are_numbered_from_zero() {
    let mut writer = Writer::new(naming(false));
    let text = |text: &'static str| crate::json::Text::escape(text);
    let start = |block, id| Event::ToolCallStart { choice: 0, block, id: text(id), name: text("f") };
    let more = |block, arguments| Event::ToolCallDelta { choice: 0, block, arguments: text(arguments) };
    for event in [start(3, "a"), start(5, "b"), more(5, "1"), more(3, "2"), more(5, "3")] {
        writer.event(event);
    }
    let mut out = Vec::new();
    writer.take(&mut out);
    let chunks: Vec<Value> = String::from_utf8(out)
        .expect("text")
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!((&chunks[0]["id"], &chunks[0]["model"]), (&json!("chatcmpl-1"), &json!("model")));
    let calls: Vec<&Value> = chunks[1..].iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]).collect();
    let indexes: Vec<u64> = calls.iter().map(|call| call["index"].as_u64().expect("a number")).collect();
    assert_eq!(indexes, [0, 1, 1, 0, 1]);
}

#[test]
fn what_a_stream_signs_is_bound_to_its_target() {
    let mut writer = Writer::new(Naming { carrier: carried::carrier(), ..naming(false) });
    let text = Text::from_escaped;
    let signature = |role| Signature { format: text("google-gemini-v1"), data: text("EqQB"), id: None, role };
    let signs = |block, role| Event::BlockSignature { choice: 0, block, signature: signature(role) };
    writer.event(Event::ReasoningDelta { choice: 0, block: 0, text: text("hm") });
    writer.event(signs(0, SignatureRole::Signs));
    writer.event(Event::ToolCallStart { choice: 0, block: 1, id: text("c"), name: text("f") });
    writer.event(signs(1, SignatureRole::Signs));
    writer.event(signs(2, SignatureRole::Replaces));
    let mut out = Vec::new();
    writer.take(&mut out);
    let out = String::from_utf8(out).expect("text");
    assert!(!out.contains("EqQB") && out.matches("google-gemini-v1").count() == 3, "{out}");
    let chunks = out.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let details: Vec<Value> =
        chunks.map(|chunk| chunk["choices"][0]["delta"]["reasoning_details"][0].clone()).collect();
    let sealed = details.iter().filter_map(|detail| detail["signature"].as_str().or(detail["data"].as_str()));
    let sealed: Vec<&str> = sealed.collect();
    assert_eq!(sealed.len(), 3);
    for data in sealed {
        let read = carried::bound(Text::escape(data), Text::EMPTY, None, SignatureRole::Signs);
        assert_eq!(carried::carrier().open(&read).expect("its own").data, text("EqQB"));
    }
}

#[test]
fn a_huge_id_is_not_repeated_with_every_chunk() {
    let long = "x".repeat(10_000);
    let mut writer = Writer::new(naming(false));
    writer.event(Event::Start { id: Text::escape(&long), model: Text::escape(&long), created: None });
    writer.event(Event::TextDelta { choice: 0, block: 0, text: Text::escape("Hi") });
    let mut out = Vec::new();
    writer.take(&mut out);
    let out = String::from_utf8(out).expect("text");
    assert!(out.contains("chatcmpl-1") && out.len() < 1000, "{} bytes", out.len());
}

#[test]
fn plain_answers_are_patched_where_they_stand() {
    let closing = Closing {
        usage: Some(Usage { input_fresh: 3, input_cache_read: Some(2), output_text: 1, ..Usage::default() }),
        cost: Some(Cost { charged: NanoUsd(7), upstream: NanoUsd(7) }),
        ..Closing::default()
    };
    let patch =
        |body: &str, hide| String::from_utf8(patch_answer(body.as_bytes(), &closing, hide).into_owned()).expect("text");
    let body = r#"{ "id": "a", "choices":[{"message":{"content":"x","reasoning":"why"}}], "usage":{"prompt_tokens":5,
        "completion_tokens":1,"cost":9,"prompt_tokens_details":{"cached_tokens":2}} , "new": 1 }"#;
    assert_eq!(
        patch(body, false),
        r#"{ "id": "a", "choices":[{"message":{"reasoning_content":"why","content":"x","reasoning":"why"}}], "usage":{"cost":0.000000007,"cost_details":{"upstream_inference_cost":0.000000007},"prompt_tokens":5,
        "completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}} , "new": 1 }"#
    );
    assert!(!patch(body, true).contains("why"));
    let silent: Value =
        serde_json::from_str(&patch(r#"{"choices":[{"message":{"content":"x"}}]}"#, false)).expect("json");
    assert_eq!(silent["usage"]["prompt_tokens"], 5);
    let odd = r#"{"id":"a","choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"why"}]},
        {"type":"text","text":"x"}],"tool_calls":[{"id":"","function":{"name":"f","arguments":"null"}}]}}]}"#;
    let odd: Value = serde_json::from_str(&patch(odd, false)).expect("json");
    let message = &odd["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("x"), &json!("why")));
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
    assert!(message["tool_calls"][0]["id"].as_str().is_some_and(|id| id.starts_with("call_")));
    // Text in parts, with the thinking beside it, and a call that says nothing of its arguments.
    let apart = r#"{"id":"a","choices":[{"message":{"content":[{"type":"text","text":"x"}],"reasoning":"why",
        "tool_calls":[{"id":"call_1","function":{"name":"f"}}]}}]}"#;
    let apart: Value = serde_json::from_str(&patch(apart, false)).expect("json");
    let message = &apart["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("x"), &json!("why")));
    let call = json!({"id": "call_1", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(message["tool_calls"], json!([call]));
}

#[test]
fn every_recorded_answer_survives_patching() {
    let answers = recorded::exchanges("chat/completions").into_iter();
    for exchange in answers.filter(|exchange| exchange.status < 400 && !exchange.is_stream()) {
        let body = exchange.response.as_bytes();
        let answer = read_answer(body, &Quirks::NONE).expect(&exchange.id);
        let plain = read_plain(body, &Quirks::NONE).expect(&exchange.id);
        assert_eq!(plain.usage, answer.usage, "{}", exchange.id);
        let closing = Closing { usage: plain.usage, ..Closing::default() };
        let again = patch_answer(body, &closing, false);
        assert_eq!(shown(&read_answer(&again, &Quirks::NONE).expect(&exchange.id)), shown(&answer), "{}", exchange.id);
    }
}

proptest! {
    #[test]
    fn every_chunking_gives_the_same_events(
        pick in any::<prop::sample::Index>(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let streams = small_streams();
        if !streams.is_empty() {
            let bytes = streams[pick.index(streams.len())].as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let read = |chunks: &[&[u8]]| {
                let mut events = Vec::new();
                let ended = decode(chunks, &lenient(), &mut |event: Event<'_>| events.push(format!("{event:?}")));
                (events, ended.is_ok())
            };
            prop_assert_eq!(read(&chunks), read(&[bytes]));
        }
    }

    #[test]
    fn no_chunk_can_panic(
        changed in any::<prop::sample::Index>(),
        with in r#"([\[\]{}",:0-9a-z]|null|"index"|"id"){0,4}"#,
        length in 0usize..10,
    ) {
        let chunk = r#"{"id":"a","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"x"}],"reasoning":"r",
            "reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","index":0}],"tool_calls":[{"index":0,
            "id":"c","function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"null"}}]},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":null}}}"#
            .replace('\n', " ");
        let start = changed.index(chunk.len());
        let end = (start + length).min(chunk.len());
        let stream = format!("data: {}{with}{}\n\ndata: [DONE]\n\n", &chunk[..start], &chunk[end..]);
        let closing = Closing { usage: Some(Usage::default()), ..Closing::default() };
        let _ = patched(stream.as_bytes(), &Quirks::NONE, naming(true), &closing);
        let mut writer = Writer::new(naming(true));
        let _ = decode(&[stream.as_bytes()], &lenient(), &mut writer);
        let _ = patch_answer(&stream.as_bytes()[6..], &closing, true);
    }
}

/// Recorded streams short enough to be read a few hundred times.
fn small_streams() -> &'static [String] {
    static STREAMS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    STREAMS.get_or_init(|| {
        streams().into_iter().map(|exchange| exchange.response).filter(|body| body.len() < 8_000).collect()
    })
}

/// Clients that join the chunks of a choice would read two reasons as one word (`openrouter.web-search-stream.905f79f16b`).
#[test]
fn a_choice_ends_once_however_often_its_upstream_says_so() {
    let chunk = |delta: &str, finish: &str, more: &str| {
        format!(
            r#"data: {{"id":"a","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{more}}}{}"#,
            "\n\n"
        )
    };
    let usage = r#","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#;
    let said = chunk(r#"{"content":"h"}"#, "null", "");
    let end = chunk(r#"{"role":"assistant","content":""}"#, r#""stop""#, "");
    let again = chunk(r#"{"role":"assistant","content":""}"#, r#""stop""#, usage);
    let closing =
        Closing { usage: Some(Usage { input_fresh: 1, output_text: 2, ..Usage::default() }), ..Closing::default() };
    let sent = |stream: String, asked: bool| {
        let stream = format!("{stream}data: [DONE]\n\n");
        let out = patched(stream.as_bytes(), &Quirks::NONE, naming(asked), &closing).expect("a stream");
        String::from_utf8(out).expect("text")
    };
    assert_eq!(sent(format!("{said}{end}{again}"), false), format!("{said}{end}data: [DONE]\n\n"));
    let out = sent(format!("{said}{end}{again}"), true);
    assert_eq!((out.matches("\"stop\"").count(), out.matches("\"total_tokens\":3").count()), (1, 1), "{out}");
    // What says more goes on: another reason, or more of the answer.
    let other = chunk("{}", r#""length""#, "");
    let more = chunk(r#"{"content":"i"}"#, r#""stop""#, "");
    for repeated in [&other, &more] {
        let out = sent(format!("{said}{end}{repeated}"), false);
        assert_eq!(out, format!("{said}{end}{repeated}data: [DONE]\n\n"));
    }
}

#[test]
fn a_reason_to_end_is_read_in_any_letters() {
    use crate::chat::EndKind;
    for (word, kind) in [("MAX_TOKENS", EndKind::Length), ("STOP", EndKind::Stop), ("SAFETY", EndKind::ContentFilter)] {
        assert_eq!(finish::read(word), kind, "{word}");
    }
}
