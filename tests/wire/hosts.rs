//! Messages inside of AWS's event stream, as `InvokeModelWithResponseStream` answers.

use latchkey::chat::{Answer, Fold};
use latchkey::failure::Failure;
use latchkey::provider::{Hosting, Quirks};
use latchkey::wire::drive::{Caps, Pipe};
use latchkey::wire::{Closing, Format, Layout, Surface};

use super::corpus::{Recording, corpus, fixtures};
use super::surfaces::naming;
use super::turns;

const QUIRKS: Quirks = Quirks { hosting: Hosting::InvokeModel, ..Quirks::NONE };
const CAPS: Caps = Caps { event: 1 << 20, answer: 1 << 24 };

/// Answers of models that speak Messages there, streamed or not.
fn answers(streamed: bool) -> impl Iterator<Item = &'static Recording> {
    let (recordings, _) = corpus();
    recordings.iter().filter(move |recording| {
        let path = if streamed { "/invoke-with-response-stream" } else { "/invoke" };
        // Version 2 of these models spoke an older protocol of their maker's.
        let speaks = recording.model.contains("anthropic") && !recording.model.contains("claude-v2");
        recording.endpoint.ends_with(path) && speaks && recording.status == 200
    })
}

fn folded(recording: &Recording, size: usize) -> Result<Answer<'static>, Failure> {
    let mut fold = Fold::new();
    let mut decoder = Format::Anthropic.decoder(&QUIRKS);
    let mut reader = Format::Anthropic.framing(&QUIRKS).reader(CAPS.event);
    for piece in recording.bytes.chunks(size) {
        reader.feed(piece, &mut |frame| drop(decoder.push(frame, &mut fold))).expect("whole messages");
    }
    decoder.finish(&mut fold)?;
    fold.finish()
}

#[test]
fn streams_inside_of_event_streams_are_read_however_they_are_cut() {
    let mut checked = 0;
    for recording in answers(true) {
        let whole = folded(recording, usize::MAX).unwrap_or_else(|failure| panic!("{}: {failure}", recording.id));
        let usage = whole.usage.as_ref().unwrap_or_else(|| panic!("{}: no usage", recording.id));
        assert!(usage.output_text > 0, "{}", recording.id);
        assert!(whole.choices.iter().any(|choice| !choice.parts.is_empty()), "{}", recording.id);
        for size in [1, 7, 333] {
            assert_eq!(folded(recording, size).as_ref(), Ok(&whole), "{}: cut every {size} bytes", recording.id);
        }
        checked += 1;
    }
    assert!(checked > 0, "no stream was found");
    println!("checked {checked} streams of InvokeModel");
}

/// Callers of Messages get the events that are inside, under their names and with nothing lost.
#[test]
fn events_inside_are_sent_on_as_their_makers_send_them() {
    for recording in answers(true) {
        let read = |size: usize| {
            let patcher = Surface::Anthropic.patcher(naming(), &QUIRKS, Layout::Events);
            let (mut pipe, mut out) = (Pipe::patched(patcher, CAPS), Vec::new());
            recording.bytes.chunks(size).for_each(|piece| pipe.feed(piece, &mut out));
            pipe.finish(&mut out).unwrap_or_else(|failure| panic!("{}: {failure}", recording.id));
            pipe.close(&Closing { usage: pipe.meter().usage.clone(), ..Closing::default() }, &mut out);
            String::from_utf8(out).expect("text")
        };
        let text = read(usize::MAX);
        assert_eq!(text, read(7), "{}", recording.id);
        assert!(
            text.starts_with("event: message_start\ndata: {") && text.contains("\nevent: message_stop\n"),
            "{text}"
        );
        let mut inside = Vec::new();
        let mut reader = Format::Anthropic.framing(&QUIRKS).reader(CAPS.event);
        let read = reader.feed(&recording.bytes, &mut |frame| {
            inside.push(serde_json::from_slice::<serde_json::Value>(&frame.data).expect("JSON"));
        });
        read.expect("whole messages");
        let after = turns::events(Surface::Anthropic, &text);
        assert_eq!(inside.len(), after.len(), "{}", recording.id);
        for (before, mut after) in inside.into_iter().zip(after) {
            turns::without_cost(&mut after);
            // The host counts in the last event, which says nothing else.
            if before["type"] != "message_stop" {
                assert_eq!(before, after, "{}", recording.id);
            }
        }
    }
}

#[test]
fn plain_answers_are_those_of_the_maker() {
    let mut checked = 0;
    for recording in answers(false) {
        let answer = Format::Anthropic.read_answer(&recording.bytes, &QUIRKS);
        let answer = answer.unwrap_or_else(|failure| panic!("{}: {failure}", recording.id));
        assert!(answer.usage.is_some(), "{}", recording.id);
        checked += 1;
    }
    assert!(checked > 0, "no answer was found");
}

#[test]
fn a_cut_stream_is_no_answer() {
    let stream = fixtures().iter().find(|recording| recording.id == "bedrock.tools-stream.2bce0e93bb");
    let mut pipe = Pipe::patched(Surface::Anthropic.patcher(naming(), &QUIRKS, Layout::Events), CAPS);
    let mut out = Vec::new();
    let bytes = &stream.expect("a fixture").bytes;
    pipe.feed(&bytes[..bytes.len() / 2], &mut out);
    let failure = pipe.finish(&mut out).expect_err("half a stream");
    pipe.fail(&failure, &Closing::default(), &mut out);
    turns::assert_broken(Surface::Anthropic, &String::from_utf8(out).expect("text"), "half a stream");
}
