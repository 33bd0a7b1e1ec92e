//! Streams as no provider means to send them: frames lost, doubled and swapped, bytes broken.
//!
//! Whatever comes, nothing panics and the laws of events hold. The mutations are drawn from fixed seeds.

use latchkey::provider::Quirks;
use latchkey::wire::Format;

use super::corpus::fixtures;
use super::decode;
use super::scope::{Scope, scope};

const SEEDS: std::ops::Range<u64> = 1..40;

fn each_stream(check: impl Fn(&str, Format, &Quirks, &[(String, String)])) {
    let mut seen = 0;
    for recording in fixtures().iter().filter(|recording| recording.is_streamed()) {
        if let Scope::Chat { format, quirks } = scope(recording) {
            let mut frames = recording.events();
            // The mutations matter, not the length.
            if frames.len() > 60 {
                frames.drain(20..frames.len() - 20);
            }
            check(&recording.id, format, quirks, &frames);
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} streams were found");
}

/// A number below `bound`, drawn from `state`.
fn draw(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap_or(0) % bound.max(1)
}

#[test]
fn frames_lost_doubled_and_swapped_break_no_law() {
    each_stream(|id, format, quirks, frames| {
        for seed in SEEDS {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut mutated = frames.to_vec();
            for _ in 0..=draw(&mut state, 3) {
                let (at, other) = (draw(&mut state, mutated.len()), draw(&mut state, mutated.len()));
                match draw(&mut state, 3) {
                    0 if mutated.len() > 1 => drop(mutated.remove(at)),
                    1 => mutated.insert(other, mutated[at].clone()),
                    _ => mutated.swap(at, other),
                }
            }
            let run = decode::frames(format, quirks, &mutated);
            assert!(run.broken_laws.is_empty(), "{id}, seed {seed}: {:?}", run.broken_laws);
        }
    });
}

#[test]
fn broken_bytes_break_no_law() {
    each_stream(|id, format, quirks, frames| {
        for seed in SEEDS {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut mutated = frames.to_vec();
            let at = draw(&mut state, mutated.len());
            let mut bytes = mutated[at].1.clone().into_bytes();
            let place = draw(&mut state, bytes.len());
            match draw(&mut state, 4) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, b"{}[]\",:0n"[draw(&mut state, 9)]),
                2 => drop(bytes.splice(place..place, *b"null")),
                _ => bytes[place] = u8::try_from(draw(&mut state, 128)).unwrap_or(0),
            }
            mutated[at].1 = String::from_utf8_lossy(&bytes).into_owned();
            let run = decode::frames(format, quirks, &mutated);
            assert!(run.broken_laws.is_empty(), "{id}, seed {seed}: {:?}", run.broken_laws);
        }
    });
}

#[test]
fn values_of_another_kind_break_no_law() {
    let others = ["null", "0", "\"\"", "[]", "{}", "true", "-1", "1e99", "[null]"];
    each_stream(|id, format, quirks, frames| {
        for seed in SEEDS {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut mutated = frames.to_vec();
            let at = draw(&mut state, mutated.len());
            let Ok(mut value) = serde_json::from_str::<serde_json::Value>(&mutated[at].1) else { continue };
            let other = serde_json::from_str(others[draw(&mut state, others.len())]).expect("JSON");
            replace_somewhere(&mut value, other, &mut state);
            mutated[at].1 = value.to_string();
            let run = decode::frames(format, quirks, &mutated);
            assert!(run.broken_laws.is_empty(), "{id}, seed {seed}: {:?}\n{}", run.broken_laws, mutated[at].1);
        }
    });
}

/// Walks into `value` for some steps and puts `other` where it ends up.
fn replace_somewhere(value: &mut serde_json::Value, other: serde_json::Value, state: &mut u64) {
    let stays = draw(state, 4) == 0;
    let inner = match value {
        serde_json::Value::Object(members) if !members.is_empty() && !stays => {
            let at = draw(state, members.len());
            members.values_mut().nth(at)
        }
        serde_json::Value::Array(items) if !items.is_empty() && !stays => {
            let at = draw(state, items.len());
            items.get_mut(at)
        }
        _ => None,
    };
    match inner {
        Some(inner) => replace_somewhere(inner, other, state),
        None => *value = other,
    }
}

#[test]
fn broken_answers_errors_and_requests_are_answered_calmly() {
    for recording in fixtures() {
        let Scope::Chat { format, quirks } = scope(recording) else { continue };
        let body = recording.body.as_deref().unwrap_or_default();
        let request = recording.request.as_ref().map(ToString::to_string).unwrap_or_default();
        for seed in SEEDS {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut broken = |text: &str| {
                let mut bytes = text.as_bytes().to_vec();
                let place = draw(&mut state, bytes.len());
                match draw(&mut state, 3) {
                    0 => bytes.truncate(place),
                    1 => bytes.insert(place, b"{}[]\",:0\xff"[draw(&mut state, 9)]),
                    _ => drop(bytes.splice(place..place, *b"[null,{\"\":1e999}]")),
                }
                bytes
            };
            // That they return at all is what is tested; most of what they return is an error.
            let answer = broken(body);
            drop(format.read_answer(&answer, quirks));
            let failure = format.read_error(400, &|_| None, &answer);
            assert_eq!(failure.upstream_status, Some(400));
            drop(latchkey::wire::openai_chat::read_request(&broken(&request)));
        }
    }
}
