//! Answers in both shapes. None were recorded of the binding: these follow its documentation.

use std::borrow::Cow;

use super::{Decoder, path, read_answer, read_error};
use crate::chat::{Answer, Arguments, EndKind, Fold, Part};
use crate::failure::Kind;
use crate::provider::Quirks;
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

fn streamed(pieces: &[&str]) -> Answer<'static> {
    let (mut decoder, mut fold) = (Decoder::new(&Quirks::COMPATIBLE), Fold::new());
    for piece in pieces {
        let frame = Frame { event: b"", data: Cow::Borrowed(piece.as_bytes()), raw: b"" };
        assert_eq!(decoder.push(&frame, &mut fold), Decoded::Taken, "{piece}");
    }
    decoder.finish(&mut fold).expect("complete");
    fold.finish().expect("an answer")
}

fn text(answer: &Answer<'_>) -> String {
    let texts = answer.choices[0].parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.decode().into_owned()),
        _ => None,
    });
    texts.collect()
}

fn calls(answer: &Answer<'_>) -> Vec<(String, String, String)> {
    let calls = answer.choices[0].parts.iter().filter_map(|part| match part {
        Part::ToolCall { id, name, arguments, .. } => {
            let arguments = match arguments {
                Arguments::Quoted(text) => text.decode().into_owned(),
                Arguments::Object(raw) => raw.get().to_owned(),
            };
            Some((id.decode().into_owned(), name.decode().into_owned(), arguments))
        }
        _ => None,
    });
    calls.collect()
}

#[test]
fn a_plain_answer_in_its_own_words_with_and_without_the_envelope() {
    let inside = r#"{"response":"Hello \"you\"","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;
    let wrapped = format!(r#"{{"result":{inside},"success":true,"errors":[],"messages":[]}}"#);
    for body in [inside, &wrapped] {
        let answer = read_answer(body.as_bytes(), &Quirks::COMPATIBLE).expect("an answer");
        assert_eq!((text(&answer).as_str(), answer.choices[0].end.kind), ("Hello \"you\"", EndKind::Stop));
        let usage = answer.usage.expect("usage");
        assert_eq!((usage.prompt_tokens(), usage.completion_tokens()), (7, 3));
    }
    let json = read_answer(br#"{"response":{"a":1}}"#, &Quirks::COMPATIBLE).expect("an answer");
    assert_eq!(text(&json), r#"{"a":1}"#);
}

#[test]
fn calls_in_either_spelling() {
    let body = br#"{"response":null,"tool_calls":[{"name":"look","arguments":{"at":"sky"}},
        {"id":"c2","function":{"name":"see","arguments":"{}"}}]}"#;
    let answer = read_answer(body, &Quirks::COMPATIBLE).expect("an answer");
    let calls = calls(&answer);
    assert_eq!(answer.choices[0].end.kind, EndKind::ToolCalls);
    assert_eq!((calls[0].1.as_str(), calls[0].2.as_str()), ("look", r#"{"at":"sky"}"#));
    assert_eq!(calls[1], ("c2".to_owned(), "see".to_owned(), "{}".to_owned()));
    assert!(calls[0].0.starts_with("call_"));
}

#[test]
fn a_stream_in_its_own_words() {
    let answer = streamed(&[
        r#"{"response":"Hel","p":"abc"}"#,
        r#"{"response":"lo"}"#,
        r#"{"response":"","usage":{"prompt_tokens":7,"completion_tokens":3}}"#,
        "[DONE]",
    ]);
    assert_eq!((text(&answer).as_str(), answer.choices[0].end.kind), ("Hello", EndKind::Stop));
    assert_eq!(answer.usage.expect("usage").completion_tokens(), 3);
}

#[test]
fn the_shape_of_chat_completions_is_read_as_such() {
    let whole = br#"{"id":"x","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"length"}]}"#;
    let answer = read_answer(whole, &Quirks::COMPATIBLE).expect("an answer");
    assert_eq!((text(&answer).as_str(), answer.choices[0].end.kind), ("Hi", EndKind::Length));
    let answer = streamed(&[
        r#"{"id":"x","choices":[{"index":0,"delta":{"content":"Hi"}}]}"#,
        r#"{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
        "[DONE]",
    ]);
    assert_eq!((text(&answer).as_str(), answer.choices[0].end.kind), ("Hi", EndKind::Length));
}

#[test]
fn a_stream_without_its_end_is_cut() {
    let mut decoder = Decoder::new(&Quirks::COMPATIBLE);
    let frame = Frame { event: b"", data: Cow::Borrowed(br#"{"response":"Hel"}"#), raw: b"" };
    decoder.push(&frame, &mut Fold::new());
    assert!(decoder.finish(&mut Fold::new()).is_err());
}

#[test]
fn errors_of_the_envelope_and_of_chat_completions() {
    let read = |status, body: &str| read_error(status, &|_| None, body.as_bytes());
    let wrapped = r#"{"result":null,"success":false,"errors":[{"code":5007,"message":"No such model"}]}"#;
    let unknown = read(400, wrapped);
    assert_eq!(
        (unknown.kind, unknown.message.as_str(), unknown.code.as_deref()),
        (Kind::BadRequest, "No such model", Some("5007"))
    );
    assert_eq!(read(429, r#"{"errors":[{"code":3036,"message":"daily limit"}]}"#).kind, Kind::RateLimited);
    assert_eq!(read(401, r#"{"error":{"message":"no"}}"#).kind, Kind::CredentialRejected);
    for body in ["", "{}", "[]", r#"{"response":5}"#] {
        drop(read_answer(body.as_bytes(), &Quirks::COMPATIBLE));
    }
}

#[test]
fn an_id_keeps_its_slashes_and_climbs_nowhere() {
    assert_eq!(path("@cf/meta/llama-3.1-8b-instruct"), "/run/@cf/meta/llama-3.1-8b-instruct");
    assert_eq!(path("@cf/../a?b"), "/run/@cf/%2E%2E/a%3Fb");
}
