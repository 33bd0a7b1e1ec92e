//! Every recorded answer and error within scope, against the independent reading.

use std::collections::{BTreeMap, BTreeSet};

use latchkey::failure::{Kind, Side};
use latchkey::provider::Quirks;
use latchkey::wire::Format;

use super::corpus::{Recording, corpus, fixtures, root};
use super::expected::Reading;
use super::scope::{Scope, scope};
use super::{
    decode, embeddings, expect_anthropic, expect_bedrock, expect_cohere, expect_gemini, expect_ollama,
    expect_openai_chat, expect_openai_responses,
};

/// Streams longer than this are cut into pieces of five bytes instead of one, to save time.
const LONG: usize = 50_000;

#[test]
fn chat_completions_are_read_as_recorded() {
    check_all(Format::OpenAiChat);
}

#[test]
fn messages_are_read_as_recorded() {
    check_all(Format::Anthropic);
}

#[test]
fn generated_content_is_read_as_recorded() {
    check_all(Format::Gemini);
}

#[test]
fn converse_is_read_as_recorded() {
    check_all(Format::Bedrock);
}

#[test]
fn chats_of_version_2_are_read_as_recorded() {
    check_all(Format::Cohere);
}

#[test]
fn responses_are_read_as_recorded() {
    check_all(Format::OpenAiResponses);
}

#[test]
fn lines_of_chat_are_read_as_recorded() {
    check_all(Format::Ollama);
}

/// Only Workers AI's layer of Chat Completions was recorded, in whose shape newer models answer its binding, too.
#[test]
fn the_binding_reads_what_was_recorded_over_http() {
    let (recordings, _) = corpus();
    let streams = recordings.iter().filter(|recording| recording.provider == "cloudflare" && recording.status == 200);
    let mut checked = 0;
    for recording in streams {
        let faults = check_stream(Format::WorkersAi, &Quirks::COMPATIBLE, recording);
        assert!(faults.is_empty(), "{}:\n    {}", recording.id, faults.join("\n    "));
        checked += 1;
    }
    assert!(checked > 0, "nothing was recorded");
}

fn check_all(format: Format) {
    let (recordings, _) = corpus();
    let exceptions = exceptions();
    let (mut passed, mut all, mut wrong) = (0, 0, Vec::new());
    for recording in recordings.iter().filter(|recording| format_of(recording) == Some(format)) {
        all += 1;
        let faults = check(recording);
        match (faults.is_empty(), exceptions.get(recording.id.as_str())) {
            (true, None) => passed += 1,
            (true, Some(_)) => wrong.push(format!("{}: passes now, so it is no exception", recording.id)),
            (false, Some(_)) => {}
            (false, None) => wrong.push(format!("{}:\n    {}", recording.id, faults.join("\n    "))),
        }
    }
    println!("{format:?}: passed {passed} of {all}");
    assert!(wrong.is_empty(), "{} recordings:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed * 100 >= all * 98, "{format:?}: only {passed} of {all}");
}

#[test]
fn exceptions_are_of_this_corpus() {
    let (recordings, whole) = corpus();
    let known: BTreeSet<&str> = recordings.iter().map(|recording| recording.id.as_str()).collect();
    let gone: Vec<&str> = exceptions().into_keys().filter(|id| !known.contains(id)).collect();
    assert!(!whole || gone.is_empty(), "exceptions without a recording: {gone:?}");
}

#[test]
fn the_fixtures_are_read_as_they_were_recorded() {
    let exceptions = exceptions();
    for recording in fixtures().iter().filter(|recording| !exceptions.contains_key(recording.id.as_str())) {
        let faults = check(recording);
        assert!(faults.is_empty(), "{}:\n    {}", recording.id, faults.join("\n    "));
    }
}

#[test]
fn the_denominator_is_what_it_says() {
    let (recordings, whole) = corpus();
    if !whole {
        return;
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for recording in recordings {
        let under = match scope(recording) {
            Scope::Chat { format, .. } => format!("{format:?}"),
            Scope::Embeddings { format } => format!("{format:?} embeddings"),
            Scope::Outside(reason) => format!("outside ({reason})"),
        };
        let Recording { provider, endpoint, kind, .. } = recording;
        *counts.entry(format!("{under}\t{provider}\t{endpoint}\t{kind}")).or_default() += 1;
    }
    let found: String = counts.iter().map(|(line, count)| format!("{line}\t{count}\n")).collect();
    let path = root().join("tests/wire/denominator.txt");
    if std::env::var_os("LATCHKEY_WRITE_DENOMINATOR").is_some() {
        std::fs::write(&path, &found).expect("the denominator is written");
    }
    let listed = std::fs::read_to_string(&path).expect("the denominator is there");
    let listed: BTreeSet<&str> = listed.lines().collect();
    let found: BTreeSet<&str> = found.lines().collect();
    let changed: Vec<&&str> = listed.symmetric_difference(&found).collect();
    assert!(changed.is_empty(), "denominator.txt and the corpus differ in {changed:#?}");
}

/// The format under which a recording counts; `None` where it is out of scope.
fn format_of(recording: &Recording) -> Option<Format> {
    match scope(recording) {
        Scope::Chat { format, .. } | Scope::Embeddings { format } => Some(format),
        Scope::Outside(_) => None,
    }
}

/// What is wrong with how a recording is read.
fn check(recording: &Recording) -> Vec<String> {
    let body = recording.body.as_deref().unwrap_or_default();
    match scope(recording) {
        Scope::Chat { format, .. } | Scope::Embeddings { format } if recording.status >= 400 => {
            check_error(format, recording, body)
        }
        Scope::Chat { format, quirks } if recording.is_streamed() => check_stream(format, quirks, recording),
        Scope::Chat { format, quirks } => check_plain(format, quirks, recording, body),
        Scope::Embeddings { format } => embeddings::check(format, body),
        Scope::Outside(_) => Vec::new(),
    }
}

/// What a good answer says, by the independent reading.
pub fn expected(format: Format, quirks: &Quirks, recording: &Recording) -> Reading {
    let body = recording.body.as_deref().unwrap_or_default();
    match (format, recording.is_streamed()) {
        (Format::OpenAiChat | Format::WorkersAi, false) => expect_openai_chat::plain(body, quirks.reasoning_apart),
        (Format::OpenAiChat | Format::WorkersAi, true) => expect_openai_chat::streamed(body, quirks.reasoning_apart),
        (Format::OpenAiResponses, false) => expect_openai_responses::plain(body),
        (Format::OpenAiResponses, true) => expect_openai_responses::streamed(body),
        (Format::Anthropic, false) => expect_anthropic::plain(body),
        (Format::Anthropic, true) => expect_anthropic::streamed(body),
        (Format::Gemini, false) => expect_gemini::plain(body),
        (Format::Gemini, true) => expect_gemini::streamed(body),
        (Format::Cohere, false) => expect_cohere::plain(body),
        (Format::Cohere, true) => expect_cohere::streamed(body),
        (Format::Ollama, false) => expect_ollama::plain(body),
        (Format::Ollama, true) => expect_ollama::streamed(&recording.events()),
        (Format::Bedrock, false) => expect_bedrock::plain(body),
        (Format::Bedrock, true) => expect_bedrock::streamed(&recording.events()),
    }
}

fn check_plain(format: Format, quirks: &Quirks, recording: &Recording, body: &str) -> Vec<String> {
    let expected = expected(format, quirks, recording);
    match format.read_answer(body.as_bytes(), quirks) {
        Ok(answer) => expected.differences(&Reading::of(&answer)),
        Err(_) if expected.failed => Vec::new(),
        Err(failure) => vec![format!("not read: {failure}")],
    }
}

fn check_stream(format: Format, quirks: &Quirks, recording: &Recording) -> Vec<String> {
    let expected = expected(format, quirks, recording);
    let bytes = recording.bytes.as_slice();
    let whole = decode::stream(format, quirks, [bytes].into_iter());
    let mut faults = expected.differences(&whole.reading);
    faults.extend(whole.broken_laws.iter().chain(&whole.misnamed).map(|law| format!("law: {law}")));
    faults.extend(whole.corrupt.iter().map(|why| format!("corrupt: {why}")));
    if let (Err(failure), false) = (&whole.finished, expected.failed) {
        faults.push(format!("does not finish: {failure}"));
    }
    let mut chunkings = vec![
        ("byte by byte", decode::stream(format, quirks, bytes.chunks(if bytes.len() < LONG { 1 } else { 5 }))),
        (
            "as recorded",
            decode::stream(format, quirks, decode::recorded_pieces(bytes, &recording.chunk_lengths).into_iter()),
        ),
    ];
    for seed in 1..=3 {
        chunkings.push(("at random", decode::stream(format, quirks, decode::random_pieces(bytes, seed).into_iter())));
    }
    for (how, run) in chunkings {
        if run.fingerprint != whole.fingerprint || run.finished.is_ok() != whole.finished.is_ok() {
            faults.push(format!("cut {how} it gives other events"));
        }
    }
    faults.extend(check_cuts(format, quirks, &recording.events()));
    faults
}

/// A stream that is cut must not look finished, and one that has its end must not look cut.
fn check_cuts(format: Format, quirks: &Quirks, all: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for length in cut_points(all.len()) {
        let cut = &all[..length];
        let ended = match format {
            Format::OpenAiChat | Format::WorkersAi => expect_openai_chat::ended(cut, quirks.ends_without_done),
            Format::OpenAiResponses => expect_openai_responses::ended(cut),
            Format::Anthropic => expect_anthropic::ended(cut),
            Format::Gemini => expect_gemini::ended(cut),
            Format::Bedrock => expect_bedrock::ended(cut),
            Format::Cohere => expect_cohere::ended(cut),
            Format::Ollama => expect_ollama::ended(cut),
        };
        let run = decode::frames(format, quirks, cut);
        if run.finished.is_ok() && !ended {
            faults.push(format!("cut after {length} of {} frames it looks finished", all.len()));
        }
        faults.extend(run.broken_laws.iter().map(|law| format!("cut after {length} frames: {law}")));
        if faults.len() > 3 {
            break;
        }
    }
    faults
}

/// Every place in a short stream; in a long one the beginning, the end and some between.
fn cut_points(frames: usize) -> impl Iterator<Item = usize> {
    let step = frames / 24 + 1;
    (0..=frames).filter(move |at| *at < 12 || at + 12 > frames || at % step == 0)
}

fn check_error(format: Format, recording: &Recording, body: &str) -> Vec<String> {
    let failure = format.read_error(recording.status, &|header| recording.header(header), body.as_bytes());
    let text = body.to_ascii_lowercase();
    let too_long = ["context length", "too long", "too many tokens", "exceeds the maximum number of tokens", "n_ctx"];
    let credential = ["api_key_invalid", "credit balance"];
    let refused = ["responsible ai", "violates usage guidelines"];
    let holds = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let expected: &[Kind] = match recording.status {
        400 | 403 if holds(&refused) => &[Kind::ContentFiltered],
        400 if holds(&too_long) => &[Kind::ContextLength],
        400 if holds(&credential) => &[Kind::CredentialRejected],
        401 => &[Kind::CredentialRejected],
        403 => &[Kind::CredentialRejected, Kind::Forbidden],
        404 => &[Kind::NotFound],
        429 => &[Kind::RateLimited],
        400 | 422 => &[Kind::BadRequest, Kind::Unsupported, Kind::NotFound],
        413 => &[Kind::TooLarge],
        503 | 529 => &[Kind::Overloaded],
        _ => &[Kind::Unavailable],
    };
    let mut faults = Vec::new();
    if !expected.contains(&failure.kind) {
        faults.push(format!("{}: expected one of {expected:?}, found {:?}", recording.status, failure.kind));
    }
    if failure.upstream_status != Some(recording.status) {
        faults.push(format!("the upstream's status is lost: {:?}", failure.upstream_status));
    }
    if failure.message.trim().is_empty() {
        faults.push("it says nothing".to_owned());
    }
    if recording.status == 429 && recording.header("retry-after").is_some() && failure.retry_after.is_none() {
        faults.push("`retry-after` is lost".to_owned());
    }
    if recording.status == 401 && failure.side == Side::Caller {
        faults.push("the gateway's own credential is not the caller's fault".to_owned());
    }
    faults
}

/// Recordings that cannot pass, each with its reason.
pub fn exceptions() -> BTreeMap<&'static str, &'static str> {
    include_str!("exceptions.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("an exception without a reason: {line}")))
        .collect()
}
