//! Streams that die and go on elsewhere, of callers who speak the same protocol as the provider that died: its events went
//! on to them as they came, and the continuation has to take its place behind those.

use latchkey::gateway::{CallId, Input, Step};
use latchkey::keys::Key;
use serde_json::Value;

use crate::resume::{CONTINUE, OTHER_PLAN, PLAN, chunk, recorded, said as said_by_chat, spoken};
use crate::world::{World, json, sent};

const FALLBACKS: &str = r#"{"version":1,"fallbacks":{"anthropic/claude-sonnet-4-5":["openai/gpt-4o"],
    "gemini/gemini-2.5-flash":["openai/gpt-4o"],"openai/gpt-4o":["anthropic/claude-sonnet-4-5"]}}"#;
const MESSAGES: &str = r#"{"model":"anthropic/claude-sonnet-4-5","max_tokens":500,"stream":true,
    "messages":[{"role":"user","content":"What should I do next?"}]}"#;
const CONTENTS: &str = r#"{"contents":[{"role":"user","parts":[{"text":"What should I do next?"}]}]}"#;
const GEMINI_PLAN: &str = include_str!("../fixtures/gemini/gemini.chat-stream.43b0fb5e81.json");
const DONE: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

/// A stream that broke off behind `begun`; what the caller has of it, once another target is asked.
fn broken_off(world: &mut World, path: &str, body: &str, begun: &[String]) -> (CallId, Value, String) {
    let (id, step) = world.send(path, body, CONTINUE);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    let mut text = String::new();
    for piece in begun {
        match world.resume(id, Input::Chunk(piece.as_bytes())) {
            Step::Hold => {}
            Step::Commit { head, .. } => text.push_str(std::str::from_utf8(&head.body).unwrap()),
            Step::Write(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            step => panic!("unexpected {step:?}"),
        }
    }
    let asked = json(&sent(world.resume(id, Input::Broken("connection lost"))).body);
    (id, asked, text)
}

/// Has the next target say `stream`, to its end.
fn go_on(world: &mut World, id: CallId, stream: &[String], text: &mut String) {
    let mut steps = vec![world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]))];
    steps.extend(stream.iter().map(|piece| world.resume(id, Input::Chunk(piece.as_bytes()))));
    if world.gateway.is_under_way(id) {
        steps.push(world.resume(id, Input::End));
    }
    for step in steps {
        let (Step::Write(bytes) | Step::Finish(bytes)) = step else { panic!("unexpected {step:?}") };
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

/// The text of a stream of Messages, if its events follow one another as they must.
fn told_in_order(text: &str) -> (String, Value) {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = data.map(|data| json(data.as_bytes())).filter(|event| event["type"] != "ping").collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"message_start"), Some(&"message_stop")), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "message_start" || **kind == "message_stop").count(), 2);
    let (mut open, mut next, mut said) = (None, 0, String::new());
    for event in &events {
        let index = event["index"].as_u64();
        match event["type"].as_str().expect("a type") {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)), "{event}");
                (open, next) = (index, next + 1);
            }
            "content_block_delta" => {
                assert_eq!(open, index, "{event}");
                said.push_str(event["delta"]["text"].as_str().unwrap_or_default());
            }
            "content_block_stop" => assert_eq!(open.take(), index, "{event}"),
            "message_delta" => assert_eq!(open, None, "{event}"),
            _ => {}
        }
    }
    (said, events[events.len() - 2].clone())
}

/// The text of a stream of Gemini's, and its last object.
fn parts_of(text: &str) -> (String, Value) {
    let objects: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| json(data.as_bytes())).collect();
    let parts = objects.iter().filter_map(|object| object["candidates"][0]["content"]["parts"].as_array()).flatten();
    let said = parts.filter_map(|part| part["text"].as_str()).collect();
    (said, objects.last().expect("objects").clone())
}

#[test]
fn messages_go_on_behind_their_own_events_overlapping_or_not() {
    let events = recorded(OTHER_PLAN);
    let whole: String = events.iter().map(|event| spoken(event)).collect();
    let first = events.iter().position(|event| !spoken(event).is_empty()).expect("words") + 1;
    let last = events.iter().rposition(|event| !spoken(event).is_empty()).expect("words");
    for cut in (first..=last).step_by(3) {
        let begun: String = events[..cut].iter().map(|event| spoken(event)).collect();
        // What the next target says begins so many bytes before the cut: none, some, all.
        for back in [0, 12, 80, begun.len()] {
            // Less than eight bytes may be chance, and are said again.
            if back > begun.len() || (1..8).contains(&back) || !whole.is_char_boundary(begun.len() - back) {
                continue;
            }
            let mut world = World::of(Key::default(), FALLBACKS, &[]);
            let (id, asked, mut text) = broken_off(&mut world, "/v1/messages", MESSAGES, &events[..cut]);
            assert_eq!(asked["messages"][1]["content"], begun, "the next target is told what was said");
            let mut stream: Vec<String> =
                split(&whole[begun.len() - back..]).iter().map(|piece| chunk(piece)).collect();
            stream.push(DONE.to_owned());
            go_on(&mut world, id, &stream, &mut text);
            let (said, end) = told_in_order(&text);
            assert_eq!(said, whole, "cut before event {cut}, begun again {back} bytes before");
            assert_eq!(
                (&end["latchkey"]["continued"], &end["delta"]["stop_reason"]),
                (&true.into(), &"end_turn".into())
            );
            let rows = world.rows();
            assert_eq!((rows.len(), rows[0].attempts, rows[0].status), (2, 2, 200));
            assert_eq!(end["usage"]["output_tokens"], rows.iter().map(|row| row.output_text).sum::<u64>());
        }
    }
}

#[test]
fn messages_go_on_with_a_recorded_answer_that_differs() {
    let (events, other) = (recorded(OTHER_PLAN), recorded(PLAN));
    let differs = said_by_chat(&other.concat());
    for cut in (4..events.len() - 4).step_by(5) {
        let mut world = World::of(Key::default(), FALLBACKS, &[]);
        let (id, _, mut text) = broken_off(&mut world, "/v1/messages", MESSAGES, &events[..cut]);
        go_on(&mut world, id, &other, &mut text);
        let begun: String = events[..cut].iter().map(|event| spoken(event)).collect();
        assert_eq!(told_in_order(&text).0, format!("{begun}{differs}"), "cut before event {cut}");
    }
}

#[test]
fn a_block_that_nobody_can_go_on_with_is_ended_first() {
    let thought = r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}

"#;
    let start = recorded(OTHER_PLAN)[0].clone();
    let mut world = World::of(Key::default(), FALLBACKS, &[]);
    let (id, _, mut text) = broken_off(&mut world, "/v1/messages", MESSAGES, &[start, thought.to_owned()]);
    go_on(&mut world, id, &[chunk("Anew"), DONE.to_owned()], &mut text);
    assert_eq!(told_in_order(&text).0, "Anew");
}

#[test]
fn contents_go_on_behind_their_own_objects_overlapping_or_differing() {
    let body = json(GEMINI_PLAN.as_bytes())["response"]["body"].as_str().expect("a body").replace("\r\n", "\n");
    let events: Vec<String> = body.split_inclusive("\n\n").map(str::to_owned).collect();
    let whole = parts_of(&body).0;
    let other = recorded(PLAN);
    let differs = said_by_chat(&other.concat());
    let path = "/v1beta/models/gemini%2Fgemini-2.5-flash:streamGenerateContent?alt=sse";
    for cut in 1..events.iter().position(|event| event.contains("finishReason")).expect("an end") {
        let begun = parts_of(&events[..cut].concat()).0;
        for back in [0, 9, begun.len()] {
            let mut world = World::of(Key::default(), FALLBACKS, &[]);
            let (id, _, mut text) = broken_off(&mut world, path, CONTENTS, &events[..cut]);
            let mut stream: Vec<String> =
                split(&whole[begun.len() - back..]).iter().map(|piece| chunk(piece)).collect();
            stream.push(DONE.to_owned());
            go_on(&mut world, id, &stream, &mut text);
            let (said, end) = parts_of(&text);
            assert_eq!(said, whole, "cut before event {cut}, begun again {back} bytes before");
            assert_eq!(
                (&end["latchkey"]["continued"], &end["candidates"][0]["finishReason"]),
                (&true.into(), &"STOP".into())
            );
        }
        let mut world = World::of(Key::default(), FALLBACKS, &[]);
        let (id, _, mut text) = broken_off(&mut world, path, CONTENTS, &events[..cut]);
        go_on(&mut world, id, &other, &mut text);
        assert_eq!(parts_of(&text).0, format!("{begun}{differs}"), "cut before event {cut}");
    }
}

/// In pieces of a few characters.
fn split(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(7).map(|piece| piece.iter().collect()).collect()
}
