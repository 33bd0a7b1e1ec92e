//! The hard cases. Recorded answers are read by the tests of all formats.

use proptest::prelude::*;

use super::*;
use crate::chat::{Answer, BlockKind, EndKind, Event, Fold, Part, Sink};
use crate::failure::{Failure, Kind};
use crate::provider::Quirks;
use crate::wire::{Decoded, StreamDecoder, sse::Reader};

/// Checks the ordering laws and folds.
#[derive(Default)]
struct Checked {
    fold: Fold,
    started: bool,
    open: Vec<(u32, u32)>,
    next_block: std::collections::HashMap<u32, u32>,
    ended: Vec<u32>,
}

impl Checked {
    fn starts(&mut self, choice: u32, block: u32) {
        let next = self.next_block.entry(choice).or_default();
        assert_eq!(block, *next, "blocks are numbered densely");
        *next += 1;
        self.open.push((choice, block));
    }
}

impl Sink for Checked {
    fn event(&mut self, event: Event<'_>) {
        assert_eq!(matches!(event, Event::Start { .. }), !std::mem::replace(&mut self.started, true));
        match &event {
            Event::BlockStart { choice, block, .. } | Event::ToolCallStart { choice, block, .. } => {
                self.starts(*choice, *block);
            }
            Event::TextDelta { choice, block, .. }
            | Event::ReasoningDelta { choice, block, .. }
            | Event::RefusalDelta { choice, block, .. }
            | Event::ToolCallDelta { choice, block, .. }
            | Event::BlockSignature { choice, block, .. }
            | Event::BlockCitation { choice, block, .. } => {
                assert!(self.open.contains(&(*choice, *block)), "{event:?} outside of its block");
            }
            Event::BlockEnd { choice, block } => {
                let at = self.open.iter().position(|open| open == &(*choice, *block)).expect("an open block");
                self.open.remove(at);
            }
            Event::End { choice, .. } => {
                assert!(self.open.iter().all(|(open, _)| open != choice), "blocks end before their choice");
                assert!(!self.ended.contains(choice));
                self.ended.push(*choice);
            }
            Event::Start { .. }
            | Event::MediaDelta { .. }
            | Event::LogprobsDelta { .. }
            | Event::Usage(_)
            | Event::Failed(_) => {}
        }
        self.fold.event(event);
    }
}

fn decode<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Result<Answer<'static>, Failure> {
    let mut decoder = Decoder::new(&Quirks::NONE);
    let mut reader = Reader::new(1 << 24);
    let mut sink = Checked::default();
    let mut each = |frame: &crate::wire::sse::Frame<'_>| {
        assert_eq!(decoder.push(frame, &mut sink), Decoded::Taken);
    };
    for chunk in chunks {
        reader.feed(chunk, &mut each).expect("small events");
    }
    reader.finish(&mut each);
    decoder.finish(&mut sink)?;
    sink.fold.finish()
}

fn stream(chunks: &[&str]) -> Result<Answer<'static>, Failure> {
    let body: String = chunks.iter().map(|chunk| format!("data: {}\r\n\r\n", chunk.replace('\n', ""))).collect();
    decode(std::iter::once(body.as_bytes()))
}

#[test]
fn sources_are_placed_by_characters_of_the_text() {
    let answer = stream(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Zürich: "}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"40\u00b0 heiß"}]},"finishReason":"STOP","groundingMetadata":{
            "groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"retrievedContext":{"title":"B"}}],
            "groundingSupports":[{"segment":{"startIndex":9,"endIndex":19,"text":"40° heiß"},
            "groundingChunkIndices":[0,1,7]}],"webSearchQueries":["x","y"]}}],"usageMetadata":{"promptTokenCount":1}}"#,
    ])
    .expect("an answer");
    let [Part::Reasoning { .. }, Part::Text { citations, .. }] = answer.choices[0].parts.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(citations.len(), 2);
    assert_eq!((citations[0].start, citations[0].end), (Some(8), Some(16)));
    assert_eq!(citations[0].url.as_ref().map(|url| url.escaped()), Some("https://a"));
    assert_eq!(citations[1].title.as_ref().map(|title| title.escaped()), Some("B"));
    assert_eq!(answer.usage.expect("usage").tool_requests, Some(2));
}

#[test]
fn signatures_stay_with_the_part_they_came_on() {
    let answer = stream(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"so","thought":true,"thoughtSignature":"s0"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"},{"text":"","thoughtSignature":"s1"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"c"},{"functionCall":{"name":"f"},"thoughtSignature":"s2"}]},
            "finishReason":"STOP"}],"responseId":"late"}"#,
    ])
    .expect("an answer");
    let shown: Vec<(&str, Option<&str>)> = answer.choices[0]
        .parts
        .iter()
        .map(|part| match part {
            Part::Text { text, signature, .. } | Part::Reasoning { text, signature } => (text.escaped(), signature),
            Part::ToolCall { name, signature, .. } => (name.escaped(), signature),
            part => panic!("{part:?}"),
        })
        .map(|(text, signature)| (text, signature.as_ref().map(|signature| signature.data.escaped())))
        .collect();
    assert_eq!(shown, [("so", Some("s0")), ("ab", Some("s1")), ("c", None), ("f", Some("s2"))]);
    assert_eq!(answer.choices[0].end.kind, EndKind::ToolCalls);
}

#[test]
fn ids_are_minted_the_same_way_whatever_the_chunks() {
    let call = r#"{"functionCall":{"name":"f","args":{"a": 1}}}"#;
    let one = format!(
        r#"{{"responseId":"R-1_z","candidates":[{{"content":{{"parts":[{call},{call}]}},"finishReason":"STOP"}}]}}"#
    );
    let first = format!(r#"{{"responseId":"R-1_z","candidates":[{{"content":{{"parts":[{call}]}}}}]}}"#);
    let second = first.replace("]}}]", "]},\"finishReason\":\"STOP\"}]");
    let whole = stream(&[&one]).expect("an answer");
    assert_eq!(stream(&[&first, &second]).expect("an answer"), whole);
    let ids: Vec<&str> = whole.choices[0]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolCall { id, .. } => id.escaped(),
            part => panic!("{part:?}"),
        })
        .collect();
    assert_eq!(ids, ["call_R-1_z_0", "call_R-1_z_1"]);
}

/// It decides the price, and the first chunk may be the only one that tells it.
#[test]
fn the_tier_that_served_a_stream_is_told_at_its_end() {
    let chunk = |text: &str, tier: &str, more: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}{more}}}],"usageMetadata":{{"promptTokenCount":3,"candidatesTokenCount":2{tier}}}}}"#
        )
    };
    let (first, last) = (chunk("a", r#","serviceTier":"priority""#, ""), chunk("b", "", r#","finishReason":"STOP""#));
    let usage = stream(&[&first, &last]).expect("an answer").usage.expect("usage");
    assert_eq!((usage.service_tier.as_deref(), usage.output_text), (Some("priority"), 2));
}

#[test]
fn several_candidates_are_several_choices() {
    let answer = stream(&[
        r#"{"candidates":[{"index":0,"content":{"parts":[{"text":"a"}]}},{"index":1,"content":{"parts":[{"text":"b"}]}}]}"#,
        r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"d"}]},"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"index":0,"content":{"parts":[{"text":"c"}]},"finishReason":"MAX_TOKENS"}]}"#,
    ])
    .expect("an answer");
    let texts: Vec<(&str, EndKind)> = answer
        .choices
        .iter()
        .map(|choice| match choice.parts.as_slice() {
            [Part::Text { text, .. }] => (text.escaped(), choice.end.kind),
            parts => panic!("{parts:?}"),
        })
        .collect();
    assert_eq!(texts, [("ac", EndKind::Length), ("bd", EndKind::Stop)]);
}

#[test]
fn refusals_say_what_was_said() {
    for (chunk, words) in [
        (r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, "The provider blocked the prompt: SAFETY."),
        (r#"{"promptFeedback":{"blockReason":"OTHER","blockReasonMessage":"No."}}"#, "No."),
        (r#"{"candidates":[{"finishReason":"RECITATION","finishMessage":"Not mine."}]}"#, "Not mine."),
    ] {
        let answer = stream(&[chunk]).expect("an answer");
        let [Part::Refusal { text }] = answer.choices[0].parts.as_slice() else { panic!("{answer:?}") };
        assert_eq!(text.decode(), words);
        assert_eq!(answer.choices[0].end.kind, EndKind::ContentFilter);
    }
}

#[test]
fn a_stream_that_breaks_off_is_not_finished() {
    let open = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#;
    for chunks in [&[][..], &[open], &[r#"{"usageMetadata":{"promptTokenCount":1}}"#]] {
        assert_eq!(stream(chunks).expect_err("no end").kind, Kind::Truncated);
    }
    let failed = stream(&[open, r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#, open]);
    assert_eq!(failed.expect_err("an error").kind, Kind::Overloaded);
}

#[test]
fn a_body_that_is_no_answer_is_refused() {
    for body in ["", "{", "[]", "{}", "null", "\"text\"", r#"{"candidates":[]}"#, r#"{"candidates":3}"#] {
        assert_eq!(read_answer(body.as_bytes(), &Quirks::NONE).expect_err("no answer").kind, Kind::BadAnswer, "{body}");
    }
    let error = br#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#;
    assert_eq!(read_answer(error, &Quirks::NONE).expect_err("an error").kind, Kind::RateLimited);
}

/// A stream of plausible chunks, each with its own mixture of parts.
fn chunks() -> impl Strategy<Value = Vec<String>> {
    let part = prop_oneof![
        "[a-zäß\\\\n ]{0,6}".prop_map(|text| format!(r#"{{"text":"{}"}}"#, text.replace('\\', "\\\\"))),
        "[a-z]{0,4}".prop_map(|text| format!(r#"{{"text":"{text}","thought":true}}"#)),
        "[a-z]{0,2}".prop_map(|text| format!(r#"{{"text":"{text}","thoughtSignature":"c2ln"}}"#)),
        "[a-z]{1,3}".prop_map(|name| format!(r#"{{"functionCall":{{"name":"{name}","args":{{"x":"{name}"}}}}}}"#)),
        Just(r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#.to_owned()),
        Just(r#"{"executableCode":{"code":"1"}}"#.to_owned()),
    ];
    let finish = prop_oneof![Just(""), Just(r#","finishReason":"STOP""#), Just(r#","finishReason":"SAFETY""#)];
    let chunk = (proptest::collection::vec(part, 0..4), finish, 0u32..2).prop_map(|(parts, finish, index)| {
        format!(r#"{{"candidates":[{{"index":{index},"content":{{"parts":[{}]}}{finish}}}]}}"#, parts.join(","))
    });
    proptest::collection::vec(chunk, 0..8)
}

proptest! {
    #[test]
    fn the_laws_hold_and_chunks_do_not_matter(chunks in chunks(), size in 1usize..40) {
        let body: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let whole = decode(std::iter::once(body.as_bytes()));
        prop_assert_eq!(decode(body.as_bytes().chunks(size)), whole);
    }

    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200), status in any::<u16>()) {
        let _ = read_answer(&body, &Quirks::NONE);
        let _ = read_error(status, &|_| None, &body);
        let frame = crate::wire::sse::Frame { event: b"", data: body.as_slice().into(), raw: &body };
        let mut decoder = Decoder::new(&Quirks::NONE);
        let _ = decoder.push(&frame, &mut |_: Event<'_>| {});
        let _ = decoder.finish(&mut |_: Event<'_>| {});
    }

    #[test]
    fn no_field_of_any_kind_panics(
        path in prop_oneof![
            Just("candidates"), Just("usageMetadata"), Just("promptFeedback"), Just("error"), Just("responseId"),
        ],
        value in prop_oneof![
            Just("null"), Just("[]"), Just("{}"), Just("-1"), Just("\"x\""), Just("[{}]"), Just("[null]"),
            Just(r#"[{"content":{"parts":[{"functionCall":{}},{"inlineData":{}},{"text":null}]},"finishReason":""}]"#),
            Just(r#"[{"groundingMetadata":{"groundingSupports":[{"segment":{"endIndex":99},"groundingChunkIndices":[9]}]},
                "citationMetadata":{"citations":[{"uri":"u","startIndex":5,"endIndex":1}]},"finishReason":"STOP"}]"#),
        ],
    ) {
        let body = format!(r#"{{"{path}":{value}}}"#);
        let _ = read_answer(body.as_bytes(), &Quirks::NONE);
    }
}

#[test]
fn reasoning_and_text_are_blocks_of_their_own() {
    let mut kinds = Vec::new();
    let mut decoder = Decoder::new(&Quirks::NONE);
    let data = br#"{"candidates":[{"content":{"parts":[{"text":"t","thought":true},{"text":"a"}]}}]}"#;
    let frame = crate::wire::sse::Frame { event: b"", data: data.as_slice().into(), raw: data };
    let mut sink = |event: Event<'_>| {
        if let Event::BlockStart { kind, .. } = event {
            kinds.push(kind);
        }
    };
    assert_eq!(decoder.push(&frame, &mut sink), Decoded::Taken);
    assert_eq!(kinds, [BlockKind::Reasoning, BlockKind::Text]);
}

#[test]
fn no_model_leads_elsewhere() {
    for (model, expected) in [
        ("gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:m"),
        ("models/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:m"),
        ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1:m"),
        ("../x?y#z", "/v1beta/models/..%2Fx%3Fy%23z:m"),
        ("models/a/b:c", "/v1beta/models/a%2Fb%3Ac:m"),
    ] {
        assert_eq!(path(model, "m", Hosting::Own), expected);
    }
}
