//! What a caller of a surface gets of a recorded answer, whatever protocol it was given in, and sends back on the next
//! turn: it comes to what the model said, signatures included.

use latchkey::chat::{Answer, Arguments, EndKind, Fold, Part, Signature, SignatureRole, Usage};
use latchkey::failure::Failure;
use latchkey::json::{Raw, Text};
use latchkey::keys::Secrets;
use latchkey::provider::Quirks;
use latchkey::units::UnixMillis;
use latchkey::wire::carried::{self, Carrier};
use latchkey::wire::drive::{Caps, Pipe};
use latchkey::wire::{Adjusted, Closing, Format, Layout, Naming, Surface};
use serde_json::{Value, json};

use super::corpus::{Recording, corpus};
use super::scope::{Scope, scope};
use super::turns;

pub const SURFACES: [Surface; 5] =
    [Surface::OpenAiResponses, Surface::Anthropic, Surface::Gemini, Surface::Bedrock, Surface::Cohere];
const CAPS: Caps = Caps { event: 8 << 20, answer: 64 << 20 };

pub fn naming() -> Naming {
    Naming {
        fallback_id: "fallback".to_owned(),
        model: "asked/for".to_owned(),
        now: UnixMillis(1_763_700_000_000),
        hide_reasoning: false,
        omit_thoughts: false,
        include_usage: true,
        echo: None,
        carrier: carrier(),
    }
}

/// What wraps the signatures of others.
fn carrier() -> Carrier {
    let secrets = Secrets::from_environment(Some("a secret that is only for tests"), None, None).expect("a secret");
    Carrier::new(Some(secrets.carried_keys().clone()), "asked/for")
}

/// Every recorded answer of a chat, with the format it is in.
fn answers(streamed: bool) -> impl Iterator<Item = (&'static Recording, Format, &'static Quirks, &'static str)> {
    let (recordings, _) = corpus();
    recordings.iter().filter(|recording| recording.status < 400).filter_map(move |recording| {
        let Scope::Chat { format, quirks } = scope(recording) else { return None };
        let body = recording.body.as_deref()?;
        (recording.is_event_stream() == streamed).then_some((recording, format, quirks, body))
    })
}

#[test]
fn plain_answers_come_back_as_they_were_said() {
    for surface in SURFACES {
        let mut checked = 0;
        for (recording, format, quirks, body) in answers(false) {
            let Ok(answer) = format.read_answer(body.as_bytes(), quirks) else { continue };
            let closing = Closing { usage: answer.usage.clone(), ..Closing::default() };
            let failed = answer.choices.iter().any(|choice| choice.end.kind == EndKind::Error);
            let Ok(written) = surface.write_answer(&answer, &naming(), &closing) else {
                assert!(failed && surface == Surface::Anthropic, "{}", recording.id);
                continue;
            };
            let written: Value = serde_json::from_slice(&written).expect("JSON");
            same(surface, &recording.id, &answer, &written);
            checked += 1;
        }
        assert!(checked > 20, "only {checked} answers were found");
        println!("{surface:?}: checked {checked} plain answers");
    }
}

#[test]
fn streams_come_back_as_they_were_said_however_they_are_cut() {
    for surface in SURFACES {
        let mut checked = 0;
        for (recording, format, quirks, body) in answers(true) {
            let Ok(answer) = folded(format, quirks, body) else { continue };
            let written = translated(surface, format, quirks, body.as_bytes(), usize::MAX);
            for size in sizes(body) {
                let cut = translated(surface, format, quirks, body.as_bytes(), size);
                assert_eq!(cut, written, "{}: cut every {size} bytes", recording.id);
            }
            let text = turns::shown(surface, written);
            same(surface, &recording.id, &answer, &turns::gathered(surface, &text));
            checked += 1;
        }
        assert!(checked > 20, "only {checked} streams were found");
        println!("{surface:?}: checked {checked} streams");
    }
}

#[test]
fn streams_of_the_same_protocol_pass_with_nothing_lost() {
    for surface in SURFACES {
        let mut checked = 0;
        for (recording, format, quirks, body) in answers(true).filter(|(_, format, ..)| *format == surface.format()) {
            let Ok(answer) = folded(format, quirks, body) else { continue };
            let written = patched(surface, quirks, body.as_bytes(), usize::MAX);
            for size in sizes(body) {
                assert_eq!(patched(surface, quirks, body.as_bytes(), size), written, "{}: {size}", recording.id);
            }
            let text = turns::shown(surface, written);
            // Where the upstream gives calls no ids, there are none in what passes.
            if surface != Surface::Gemini {
                same(surface, &recording.id, &answer, &turns::gathered(surface, &text));
            }
            let (mut before, after) = (turns::events(surface, body), turns::events(surface, &text));
            // Two recordings hold several answers end to end (`anthropic.server-tools-stream.806c4a77f9`,
            // `openai.responses-stream.4ed0c1c296`).
            let ends = ["message_stop", "response.completed"];
            if let Some(end) = before.iter().position(|event| ends.iter().any(|end| event["type"] == **end)) {
                before.truncate(end + 1);
            }
            assert_eq!(before.len(), after.len(), "{}: an event was lost or made up", recording.id);
            for (mut before, mut after) in before.into_iter().zip(after) {
                turns::without_cost(&mut before);
                turns::without_cost(&mut after);
                opened(&mut after);
                assert_eq!(before, after, "{}", recording.id);
            }
            checked += 1;
        }
        // Converse's streams are binary, and tested in `converse`.
        assert!(checked > 3 || surface == Surface::Bedrock, "only {checked} streams were found");
    }
}

/// Takes the wrapping off an event's encrypted thoughts.
fn opened(event: &mut Value) {
    let path = if event["item"].is_object() { "/item" } else { "/response/output" };
    let items = match event.pointer_mut(path) {
        Some(Value::Array(items)) => items.as_mut_slice(),
        Some(item) => std::slice::from_mut(item),
        None => &mut [],
    };
    for item in items {
        let Some(data) = item["encrypted_content"].as_str().filter(|data| data.starts_with(carried::MARK)) else {
            continue;
        };
        let (sealed, _) = carried::unwrap(Text::escape(data), "", SignatureRole::Replaces).expect("what was wrapped");
        let data = carrier().open(&sealed).expect("its own").data.decode().into_owned();
        item["encrypted_content"] = json!(data);
    }
}

#[test]
fn a_cut_stream_never_looks_finished() {
    for surface in SURFACES {
        for (recording, format, quirks, body) in answers(true).step_by(5) {
            if folded(format, quirks, body).is_err() {
                continue;
            }
            let cut = &body.as_bytes()[..body.len() / 2];
            let lanes = [
                Some(Pipe::translated(format, quirks, surface.writer(naming(), Layout::Events), CAPS)),
                (format == surface.format())
                    .then(|| Pipe::patched(surface.patcher(naming(), quirks, Layout::Events), CAPS)),
            ];
            for mut pipe in lanes.into_iter().flatten() {
                let mut out = Vec::new();
                pipe.feed(cut, &mut out);
                let Err(failure) = pipe.finish(&mut out) else { continue };
                pipe.fail(&failure, &Closing::default(), &mut out);
                let text = turns::shown(surface, out);
                turns::assert_broken(surface, &text, &recording.id);
            }
        }
    }
}

/// Where to cut a stream: byte by byte only where that is soon done.
fn sizes(body: &str) -> impl Iterator<Item = usize> {
    let bytes = (body.len() < 6000).then_some(1);
    bytes.into_iter().chain([7, 333])
}

fn translated(surface: Surface, format: Format, quirks: &Quirks, body: &[u8], size: usize) -> Vec<u8> {
    run(Pipe::translated(format, quirks, surface.writer(naming(), Layout::Events), CAPS), body, size)
}

fn patched(surface: Surface, quirks: &Quirks, body: &[u8], size: usize) -> Vec<u8> {
    run(Pipe::patched(surface.patcher(naming(), quirks, Layout::Events), CAPS), body, size)
}

fn run(mut pipe: Pipe, body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    body.chunks(size.min(body.len()).max(1)).for_each(|piece| pipe.feed(piece, &mut out));
    pipe.finish(&mut out).expect("a whole stream");
    let closing = Closing { usage: pipe.meter().usage.clone(), ..Closing::default() };
    pipe.close(&closing, &mut out);
    out
}

fn folded(format: Format, quirks: &Quirks, body: &str) -> Result<Answer<'static>, Failure> {
    let mut fold = Fold::new();
    let mut decoder = format.decoder(quirks);
    let mut reader = latchkey::wire::sse::Reader::new(CAPS.event);
    reader.feed(body.as_bytes(), &mut |frame| drop(decoder.push(frame, &mut fold))).expect("small events");
    reader.finish(&mut |frame| drop(decoder.push(frame, &mut fold)));
    decoder.finish(&mut fold)?;
    fold.finish()
}

/// The caller sends the answer back as a turn, and it is read as what the model said.
fn same(surface: Surface, id: &str, answer: &Answer<'_>, written: &Value) {
    let body = turns::next_turn(surface, written).to_string();
    let Some(choice) = answer.choices.first() else { return };
    let expected: Vec<Value> = choice.parts.iter().filter_map(|part| plainly(surface, part)).collect();
    if expected.is_empty() {
        return;
    }
    let mut request = surface.read_request(body.as_bytes()).unwrap_or_else(|failure| panic!("{id}: {failure}\n{body}"));
    let mut adjusted = Adjusted::default();
    carrier().open_all(&mut request, &mut adjusted);
    assert!(adjusted.is_empty(), "{id}: a signature does not open");
    let turn = &request.messages.iter().find(|message| message.role == latchkey::chat::Role::Assistant);
    let turn = turn.unwrap_or_else(|| panic!("{id}: no turn in {body}"));
    let found: Vec<Value> = turn.parts.iter().filter_map(|part| plainly(surface, part)).collect();
    let (expected, found) = (in_order(surface, expected), in_order(surface, found));
    assert_eq!(joined(expected), joined(found), "{id}: {written}");
    let (expected, found) =
        (answer.usage.as_ref().map(|usage| buckets(surface, usage)), turns::usage(surface, written));
    assert_eq!(expected.unwrap_or([0; 4]), found, "{id}: {written}");
}

/// Gemini's callers get calls whole, when their arguments are: words said before that come first, as the lone blanks
/// between two calls of `avian.tools-stream.7b8e33e4b7` do. Cohere's calls have a list of their own.
fn in_order(surface: Surface, mut parts: Vec<Value>) -> Vec<Value> {
    if matches!(surface, Surface::Gemini | Surface::Cohere) {
        parts.sort_by_key(|part| part["call"].is_string());
    }
    parts
}

/// Pieces of one text may come as one: their signatures tell where a part ends.
fn joined(parts: Vec<Value>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for part in parts {
        let key = if part["text"].is_string() { "text" } else { "thought" };
        match all.last_mut() {
            Some(last) if last[key].is_string() && part[key].is_string() && last["signature"].is_null() => {
                last[key] = json!(format!("{}{}", last[key].as_str().unwrap(), part[key].as_str().unwrap()));
                last["signature"] = part["signature"].clone();
            }
            _ => all.push(part),
        }
    }
    all
}

/// Fresh, read from cache, written to cache, all output.
fn buckets(surface: Surface, usage: &Usage) -> [u64; 4] {
    let read = usage.input_cache_read.unwrap_or(0);
    let written = usage.input_cache_write.unwrap_or(0) + usage.input_cache_write_1h.unwrap_or(0);
    let fresh = usage.prompt_tokens() - read - written;
    match surface {
        // What a cache took is part of the prompt there.
        Surface::Gemini => [fresh + written, read, 0, usage.completion_tokens()],
        // What a cache gave is billed in full there.
        Surface::Cohere => [usage.prompt_tokens(), 0, 0, usage.completion_tokens()],
        _ => [fresh, read, written, usage.completion_tokens()],
    }
}

/// What a part says; `None` where it says nothing, or what a turn cannot say.
fn plainly(surface: Surface, part: &Part<'_>) -> Option<Value> {
    let signed = |signature: &Option<Signature<'_>>| match signature {
        None => Value::Null,
        // There is no place for one there.
        Some(_) if surface == Surface::Cohere => Value::Null,
        Some(Signature { format, data, id, role }) => json!([
            format.decode(),
            data.decode(),
            // The surface's own signatures have no ids in its fields.
            id.as_ref().filter(|_| !format.is(native(surface))).map(Text::decode),
            // Nor has Gemini a mark for thoughts that are nothing but their signature.
            *role == SignatureRole::Replaces && !(surface == Surface::Gemini && format.is(native(surface)))
        ]),
    };
    match part {
        Part::Text { text, signature: None, .. } | Part::Reasoning { text, signature: None } if text.is_empty() => None,
        Part::Text { text, .. } | Part::Reasoning { text, .. } if surface == Surface::Cohere && text.is_empty() => None,
        Part::Text { text, signature, .. } => Some(json!({"text": text.decode(), "signature": signed(signature)})),
        Part::Reasoning { text, signature } => Some(json!({"thought": text.decode(), "signature": signed(signature)})),
        Part::ToolCall { id, name, arguments, signature } => Some(json!({
            "call": id.decode(), "name": name.decode(), "signature": signed(signature), "arguments": input(arguments),
        })),
        _ => None,
    }
}

/// Who can read what stands unwrapped in a surface's own fields.
fn native(surface: Surface) -> &'static str {
    match surface {
        Surface::OpenAiChat => "",
        Surface::OpenAiResponses => "openai-responses-v1",
        Surface::Anthropic => "anthropic-claude-v1",
        Surface::Gemini => "google-gemini-v1",
        Surface::Bedrock => "anthropic-claude-v1",
        Surface::Cohere => "",
    }
}

fn input(arguments: &Arguments<'_>) -> Value {
    match arguments.object() {
        Ok(object) => serde_json::from_str(object.get()).expect("JSON"),
        Err(_) => json!({"invalid_json": Raw::of(&arguments.quoted().decode()).text().expect("a string").decode()}),
    }
}
