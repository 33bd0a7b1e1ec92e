//! What a caller of Chat Completions gets of a recorded answer says what the provider said, whichever lane it took:
//! read again as any client would read it, it comes to the same.

use latchkey::chat::{EndKind, Event, Sink, Usage};
use latchkey::provider::Quirks;
use latchkey::units::UnixMillis;
use latchkey::wire::carried::Carrier;
use latchkey::wire::drive::{Caps, Pipe};
use latchkey::wire::openai_chat::{Patcher, Writer, patch_answer, read_plain, write_answer};
use latchkey::wire::{Closing, Format, Naming, StreamWriter};
use serde_json::Value;

use super::answers::expected;
use super::corpus::{Recording, corpus};
use super::expect_openai_chat;
use super::expected::{Reading, events};
use super::scope::{Scope, scope};

fn naming() -> Naming {
    Naming {
        fallback_id: "chatcmpl-fallback".to_owned(),
        model: "asked/for".to_owned(),
        now: UnixMillis(1_763_700_000_000),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage: true,
        echo: None,
        carrier: Carrier::default(),
    }
}

/// Every good answer within scope, and what it says.
fn each(streamed: bool, check: impl Fn(Format, &'static Quirks, &'static [u8], &Reading) -> Vec<String>) {
    let (recordings, _) = corpus();
    let (mut passed, mut wrong) = (0, Vec::new());
    for recording in recordings.iter().filter(|recording| recording.is_streamed() == streamed) {
        let Some((format, quirks, body, reading)) = good(recording) else { continue };
        let faults = check(format, quirks, body, &reading);
        if faults.is_empty() {
            passed += 1;
        } else {
            wrong.push(format!("{}:\n    {}", recording.id, faults.join("\n    ")));
        }
    }
    println!("passed {passed}");
    assert!(wrong.is_empty(), "{} recordings:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed > 10, "only {passed} recordings were found");
}

fn good(recording: &'static Recording) -> Option<(Format, &'static Quirks, &'static [u8], Reading)> {
    let Scope::Chat { format, quirks } = scope(recording) else { return None };
    let body = recording.bytes.as_slice();
    if recording.status != 200 || super::answers::exceptions().contains_key(recording.id.as_str()) {
        return None;
    }
    let reading = expected(format, quirks, recording);
    (!reading.failed).then_some((format, quirks, body, reading))
}

/// Keeps the last usage and hands everything on.
struct Metered<'s> {
    usage: &'s mut Option<Usage>,
    next: &'s mut dyn Sink,
}

impl Sink for Metered<'_> {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Usage(usage) = &event {
            *self.usage = Some(usage.clone());
        }
        self.next.event(event);
    }
}

#[test]
fn translated_streams_say_the_same() {
    each(true, |format, quirks, body, expected| {
        let mut decoder = format.decoder(quirks);
        let mut writer = Writer::new(naming());
        let mut usage = None;
        let mut reader = format.framing(quirks).reader(8 << 20);
        let mut take = |frame: &latchkey::wire::sse::Frame<'_>| {
            drop(decoder.push(frame, &mut Metered { usage: &mut usage, next: &mut writer }));
        };
        reader.feed(body, &mut take).expect("a short stream");
        reader.finish(&mut take);
        let finished = decoder.finish(&mut Metered { usage: &mut usage, next: &mut writer });
        writer.close(&Closing { usage, ..Closing::default() });
        let mut out = Vec::new();
        writer.take(&mut out);
        let mut faults = differences(expected, &read_stream(out));
        faults.extend(finished.err().map(|failure| failure.to_string()));
        faults
    });
}

#[test]
fn patched_streams_say_the_same() {
    each(true, |format, quirks, body, expected| {
        if format != Format::OpenAiChat {
            return Vec::new();
        }
        // Through the driver, which passes by what holds only words.
        let caps = Caps { event: 8 << 20, answer: 64 << 20 };
        let mut pipe = Pipe::patched(Box::new(Patcher::new(naming(), quirks)), caps);
        let (mut out, mut faults) = (Vec::new(), Vec::new());
        pipe.feed(body, &mut out);
        faults.extend(pipe.finish(&mut out).err().map(|failure| failure.to_string()));
        let usage = pipe.meter().usage.clone();
        pipe.close(&Closing { usage, ..Closing::default() }, &mut out);
        faults.extend(differences(expected, &read_stream(out)));
        faults
    });
}

#[test]
fn translated_answers_say_the_same() {
    each(false, |format, quirks, body, expected| {
        let answer = match format.read_answer(body, quirks) {
            Ok(answer) => answer,
            Err(failure) => return vec![failure.to_string()],
        };
        let closing = Closing { usage: answer.usage.clone(), ..Closing::default() };
        let written = write_answer(&answer, &naming(), &closing);
        differences(expected, &read_answer(written))
    });
}

#[test]
fn patched_answers_say_the_same() {
    each(false, |format, quirks, body, expected| {
        if format != Format::OpenAiChat {
            return Vec::new();
        }
        let usage = match read_plain(body, quirks) {
            Ok(plain) => plain.usage,
            Err(failure) => return vec![failure.to_string()],
        };
        let patched = patch_answer(body, &Closing { usage, ..Closing::default() }, false);
        differences(expected, &read_answer(patched.into_owned()))
    });
}

fn read_stream(written: Vec<u8>) -> Written {
    let text = String::from_utf8(written).expect("a stream is text");
    assert!(text.ends_with("data: [DONE]\n\n"), "no end: {}", &text[text.len().saturating_sub(200)..]);
    let chunks = events(&text).into_iter().filter_map(|(_, data)| serde_json::from_str::<Value>(&data).ok());
    let usage = chunks.map(|chunk| chunk["usage"].clone()).rfind(Value::is_object);
    Written { reading: expect_openai_chat::streamed(&text, false), usage: usage.unwrap_or_default() }
}

fn read_answer(written: Vec<u8>) -> Written {
    let text = String::from_utf8(written).expect("an answer is text");
    let answer: Value = serde_json::from_str(&text).expect("an answer is JSON");
    Written { reading: expect_openai_chat::plain(&text, false), usage: answer["usage"].clone() }
}

/// What a caller got.
struct Written {
    reading: Reading,
    /// As clients take it, who add nothing up.
    usage: Value,
}

/// As far as the format's words reach: it has none of its own for some reasons to end, and names one where the
/// upstream said nothing.
fn differences(expected: &Reading, written: &Written) -> Vec<String> {
    let (mut expected, mut found) = (expected.clone(), written.reading.clone());
    for (choice, found) in expected.choices.iter_mut().zip(&mut found.choices) {
        if matches!(choice.end, Some(EndKind::Paused | EndKind::Error | EndKind::Other)) {
            (choice.end, found.end) = (None, None);
        }
        if choice.raw_end.is_none() {
            found.raw_end = None;
        }
        for (call, found) in choice.calls.iter().zip(&mut found.calls) {
            if call.id.is_empty() && choice.raw_end.as_deref() == Some("function_call") {
                // Functions, which were there before tools, have no ids.
                "any".clone_into(&mut found.id);
            }
        }
    }
    let mut faults = expected.differences(&found);
    if let Some(tokens) = &expected.tokens {
        let all = [
            ("prompt_tokens", tokens.prompt),
            ("completion_tokens", tokens.completion),
            ("total_tokens", tokens.prompt + tokens.completion),
        ];
        for (key, count) in all.into_iter().filter(|(key, count)| written.usage[*key].as_u64() != Some(*count)) {
            faults.push(format!("{key}: expected {count}, written {}", written.usage[key]));
        }
        let cached = &written.usage["prompt_tokens_details"]["cached_tokens"];
        if !cached.is_u64() {
            faults.push(format!("cached tokens are written as {cached}"));
        }
    }
    faults
}
