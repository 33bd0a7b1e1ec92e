//! Streams that die after their first token and go on elsewhere, and streams that are too slow to be committed.

use latchkey::config::OwnThroughput;
use latchkey::gateway::{CallId, Deadline, Input, Step};
use latchkey::keys::{Key, OnDisconnect};
use latchkey::units::{Millis, NanoUsd};

use crate::world::{World, events, header, json, sent};

const DOCUMENT: &str = r#"{"version":1,"fallbacks":{"openai/gpt-4o":["anthropic/claude-sonnet-4-5"],
    "anthropic/claude-sonnet-4-5":["openai/gpt-4o"]}}"#;
const SAID: &str = "Mercury, Venus, Earth, Mars";
const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":40,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

fn claude(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{text}}}}}\n\n"
    )
}

pub fn chunk(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}},\"finish_reason\":null}}]}}\n\n"
    )
}

/// A stream that is committed and has said `pieces`.
fn streaming(world: &mut World, body: &str, pieces: &[&str], more: &[(&str, &str)]) -> (CallId, String) {
    let (id, step) = world.send("/v1/chat/completions", body, more);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    let mut text = String::new();
    for piece in pieces {
        match world.resume(id, Input::Chunk(piece.as_bytes())) {
            Step::Hold => {}
            Step::Commit { head, .. } => text.push_str(std::str::from_utf8(&head.body).unwrap()),
            Step::Write(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            step => panic!("unexpected {step:?}"),
        }
    }
    (id, text)
}

/// The continuation's stream, to its end.
fn continued(world: &mut World, id: CallId, pieces: &[&str], text: &mut String) {
    match world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")])) {
        Step::Write(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
        step => panic!("unexpected {step:?}"),
    }
    for piece in pieces {
        match world.resume(id, Input::Chunk(piece.as_bytes())) {
            Step::Write(bytes) | Step::Finish(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            step => panic!("unexpected {step:?}"),
        }
    }
    if world.gateway.is_under_way(id) {
        let Step::Finish(bytes) = world.resume(id, Input::End) else { panic!("not over") };
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

pub fn said(text: &str) -> String {
    let chunks = events(text).into_iter().filter(|event| event != "[DONE]").map(|event| json(event.as_bytes()));
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

const ASK: &str = r#"{"model":"openai/gpt-4o","messages":[{"role":"user","content":"Name the planets"}],"stream":true,"stream_options":{"include_usage":true}}"#;
const DONE: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
pub const CONTINUE: &[(&str, &str)] = &[("x-latchkey-continue", "true")];

#[test]
fn a_continuation_has_what_the_beginning_left_of_the_output_limit() {
    let mut world = World::of(Key::default(), DOCUMENT, &[]);
    let ask = ASK.replace("\"stream\":true", "\"max_tokens\":100,\"stream\":true");
    let said = "word ".repeat(48);
    let (id, _) = streaming(&mut world, &ask, &[&chunk(&said)], CONTINUE);
    let body = json(&sent(world.resume(id, Input::Broken("connection lost"))).body);
    assert_eq!(body["max_tokens"], 40, "240 bytes were sixty tokens: {body}");
}

#[test]
fn a_dying_stream_is_continued_without_repetition_and_paid_once() {
    for (again, expected) in [
        (vec![", Jupiter", ", Saturn"], "Mercury, Venus, Earth, Mars, Jupiter, Saturn"),
        (vec!["Earth, ", "Mars, Jupiter"], "Mercury, Venus, Earth, Mars, Jupiter"),
        (vec!["Mercury, Venus, Earth, Mars", ", Jupiter"], "Mercury, Venus, Earth, Mars, Jupiter"),
        (vec![" and then come giants"], "Mercury, Venus, Earth, Mars and then come giants"),
    ] {
        let mut world = World::of(Key::default(), DOCUMENT, &[]);
        let (id, mut text) = streaming(&mut world, ASK, &[&chunk("Mercury, Venus"), &chunk(", Earth, Mars")], CONTINUE);
        let request = sent(world.resume(id, Input::Broken("connection lost")));
        assert!(request.url.contains("anthropic"));
        let body = json(&request.body);
        let messages = body["messages"].as_array().expect("messages");
        assert_eq!(messages.len(), 2, "this model goes on from its own words: {body}");
        assert!(messages[1].to_string().contains(SAID) && messages[1]["role"] == "assistant", "{body}");
        let pieces: Vec<String> = again.iter().map(|piece| claude(piece)).collect();
        let mut stream = vec![START];
        stream.extend(pieces.iter().map(String::as_str));
        stream.push(END);
        continued(&mut world, id, &stream, &mut text);
        assert_eq!(said(&text), expected);
        assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("\"error\""), "{text}");
        let chunks = events(&text);
        assert!(chunks.iter().all(|event| !event.contains("msg_1")), "one answer has one id");
        let last = json(chunks[chunks.len() - 2].as_bytes());
        assert_eq!(last["latchkey"]["continued"], true, "{last}");
        assert_eq!(last["latchkey"]["attempts"].as_array().unwrap().len(), 2);
        let rows = world.rows();
        let [record, first] = &rows[..] else { panic!("{rows:?}") };
        // As the second said, and an estimate of the first.
        assert_eq!((record.provider.as_str(), record.input_fresh, record.output_text), ("anthropic", 40, 9));
        assert_eq!((record.attempts, record.state), (2, "settled_actual"));
        assert_eq!((first.provider.as_str(), first.state), ("openai", "settled_estimate"));
        assert_eq!(last["usage"]["prompt_tokens"], record.input_fresh + first.input_fresh);
        let tried = json(record.tried.as_deref().expect("attempts").as_bytes());
        let cost: f64 = tried.as_array().unwrap().iter().map(|one| one["cost"].as_f64().expect("a cost")).sum();
        assert!((cost - last["usage"]["cost"].as_f64().expect("a cost")).abs() < 1e-9, "{tried} {last}");
    }
}

#[test]
fn a_stream_of_another_format_is_continued_too() {
    let mut world = World::of(Key::default(), DOCUMENT, &[]);
    let ask = ASK.replace("openai/gpt-4o", "anthropic/claude-sonnet-4-5");
    let (id, mut text) = streaming(&mut world, &ask, &[START, &claude(SAID)], CONTINUE);
    let request = sent(world.resume(id, Input::End));
    assert!(request.url.contains("openai"));
    let messages = json(&request.body)["messages"].clone();
    assert_eq!(messages[1]["content"], SAID);
    assert!(messages[2]["role"] == "user" && messages[2].to_string().contains("Continue"), "{messages}");
    continued(&mut world, id, &[&chunk(", Jupiter"), DONE], &mut text);
    assert_eq!(said(&text), "Mercury, Venus, Earth, Mars, Jupiter");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(world.rows().len(), 2);
}

#[test]
fn a_vendor_with_a_field_for_it_is_told_to_go_on() {
    let document = DOCUMENT.replace("anthropic/claude-sonnet-4-5\"]", "mistral/mistral-large-latest\"]");
    let mut world = World::of(Key::default(), &document, &[("MISTRAL_API_KEY", "m")]);
    let (id, _) = streaming(&mut world, ASK, &[&chunk(SAID)], CONTINUE);
    let request = sent(world.resume(id, Input::End));
    let messages = json(&request.body)["messages"].clone();
    assert_eq!(messages.as_array().map(Vec::len), Some(2), "{messages}");
    assert_eq!((&messages[1]["content"], &messages[1]["prefix"]), (&SAID.into(), &true.into()));
}

#[test]
fn a_stream_that_dies_over_its_thoughts_is_begun_anew() {
    let mut world = World::of(Key::default(), DOCUMENT, &[]);
    let ask = ASK.replace("openai/gpt-4o", "anthropic/claude-sonnet-4-5");
    let thought = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Planets…\"}}\n\n";
    let start = START.split("event: content_block_start").next().expect("a start");
    let (id, mut text) = streaming(&mut world, &ask, &[start, thought], CONTINUE);
    let request = sent(world.resume(id, Input::Broken("gone")));
    assert_eq!(json(&request.body)["messages"].as_array().map(Vec::len), Some(1), "nothing was said yet");
    continued(&mut world, id, &[&chunk("Mercury"), &chunk(", Venus"), DONE], &mut text);
    assert_eq!(said(&text), "Mercury, Venus");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

/// Two recorded answers to one question: the first in chunks of a token or so, the second in longer ones.
pub const PLAN: &str = include_str!("../fixtures/openai/openai.chat-stream.f2dfa03161.json");
pub const OTHER_PLAN: &str = include_str!("../fixtures/anthropic/anthropic.chat-stream.db5b0211d6.json");

/// The events of a recorded stream, each with the blank line behind it.
pub fn recorded(fixture: &str) -> Vec<String> {
    let body = json(fixture.as_bytes())["response"]["body"].as_str().expect("a body").to_owned();
    body.split_inclusive("\n\n").map(str::to_owned).filter(|event| !event.trim().is_empty()).collect()
}

#[test]
fn a_recorded_stream_cut_anywhere_is_joined_to_the_whole() {
    let events = recorded(PLAN);
    let whole = said(&events.concat());
    let pieces: Vec<String> = events.iter().map(|event| said(event)).collect();
    let first = pieces.iter().position(|piece| !piece.is_empty()).expect("words") + 1;
    for cut in first..events.len() - 2 {
        // What the next target says begins so many chunks before the cut: none, some, all.
        for back in [0, 4, 9, cut] {
            let again = &pieces[cut.saturating_sub(back)..];
            let repeated: usize = pieces[cut.saturating_sub(back)..cut].iter().map(String::len).sum();
            if (1..8).contains(&repeated) {
                continue;
            }
            let mut world = World::of(Key::default(), DOCUMENT, &[]);
            let begun: Vec<&str> = events[..cut].iter().map(String::as_str).collect();
            let (id, mut text) = streaming(&mut world, ASK, &begun, CONTINUE);
            sent(world.resume(id, Input::Broken("connection lost")));
            let again: Vec<String> =
                again.iter().filter(|piece| !piece.is_empty()).map(|piece| claude(piece)).collect();
            let mut stream = vec![START];
            stream.extend(again.iter().map(String::as_str));
            stream.push(END);
            continued(&mut world, id, &stream, &mut text);
            assert_eq!(said(&text), whole, "cut before event {cut}, begun again {back} chunks before");
            let record = world.rows().swap_remove(0);
            assert_eq!((record.attempts, record.status, record.error), (2, 200, None));
        }
    }
}

#[test]
fn a_recorded_continuation_that_differs_loses_and_doubles_nothing() {
    let (events, other) = (recorded(PLAN), recorded(OTHER_PLAN));
    let whole: String = other.iter().map(|event| spoken(event)).collect();
    assert!(whole.len() > 400);
    for cut in (3..events.len() - 2).step_by(7) {
        let mut world = World::of(Key::default(), DOCUMENT, &[]);
        let begun: Vec<&str> = events[..cut].iter().map(String::as_str).collect();
        let (id, mut text) = streaming(&mut world, ASK, &begun, CONTINUE);
        sent(world.resume(id, Input::End));
        let stream: Vec<&str> = other.iter().map(String::as_str).collect();
        continued(&mut world, id, &stream, &mut text);
        assert_eq!(said(&text), format!("{}{whole}", said(&events[..cut].concat())));
        let last = json(crate::world::events(&text).iter().rev().nth(1).expect("a last chunk").as_bytes());
        let said: u64 = world.rows().iter().map(|row| row.output_text).sum();
        assert_eq!(last["usage"]["completion_tokens"], said);
    }
}

/// What an event of Anthropic's says.
pub fn spoken(event: &str) -> String {
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or("{}");
    json(data.as_bytes())["delta"]["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_cannot_be_joined_is_not_continued() {
    let call = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]},\"finish_reason\":null}]}\n\n";
    let shaped = ASK.replace("\"stream\":true", "\"stream\":true,\"response_format\":{\"type\":\"json_object\"}");
    let hello = chunk("Hello");
    for (body, pieces, more) in [
        (ASK, vec![hello.as_str()], &[][..]),
        (ASK, vec![hello.as_str(), call], CONTINUE),
        (shaped.as_str(), vec![hello.as_str()], CONTINUE),
    ] {
        let mut world = World::of(Key::default(), DOCUMENT, &[]);
        let (id, _) = streaming(&mut world, body, &pieces, more);
        let Step::Finish(bytes) = world.resume(id, Input::Broken("gone")) else { panic!("not over") };
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
        world.only_record();
    }
}

#[test]
fn a_stream_whose_time_is_over_or_whose_caller_left_is_not_continued() {
    let drains = Key { on_disconnect: OnDisconnect::Drain, ..Key::default() };
    for (key, inputs) in [
        (Key::default(), vec![Input::Expired(Deadline::Total)]),
        (drains, vec![Input::Gone, Input::Broken("connection lost")]),
    ] {
        let mut world = World::of(key, DOCUMENT, &[]);
        let (id, _) = streaming(&mut world, ASK, &[&chunk("Hello")], CONTINUE);
        for input in inputs {
            let step = world.resume(id, input);
            assert!(!matches!(step, Step::Send(_)), "{step:?}");
        }
        assert_eq!(world.only_record().attempts, 1);
    }
}

#[test]
fn what_has_more_than_words_or_too_many_or_may_have_ended_is_not_continued() {
    let cited = r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"char_location","cited_text":"a","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1}}}

"#;
    let second = chunk("Hello").replace("\"index\":0", "\"index\":1");
    let long = chunk(&"word ".repeat(60_000));
    let (openai, hello) = (ASK.to_owned(), chunk("Hello"));
    let claudes = ASK.replace("openai/gpt-4o", "anthropic/claude-sonnet-4-5");
    let of_responses =
        r#"{"model":"openai/gpt-5.3-codex","stop":["end"],"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let item = r#"{"type":"message","id":"m","role":"assistant","content":[]}"#;
    let added = format!("data: {{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{item}}}\n\n");
    let delta = "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"item_id\":\"m\",\"delta\":\"Hello there\"}\n\n";
    let document =
        DOCUMENT.replace("{\"openai/gpt-4o\"", "{\"openai/gpt-5.3-codex\":[\"openai/gpt-4o\"],\"openai/gpt-4o\"");
    for (what, body, pieces, goes_on) in [
        ("words", &openai, vec![hello.as_str()], true),
        ("a second choice", &openai, vec![&hello, &second], false),
        ("more than 256 KiB", &openai, vec![&long], false),
        ("words of another", &claudes, vec![START, &claude("Hello")], true),
        ("a citation", &claudes, vec![START, &claude("Hello"), cited], false),
        ("Responses", &of_responses.replace("\"stop\":[\"end\"],", ""), vec![&added, delta], true),
        ("a stop that the gateway looks for", &of_responses.to_owned(), vec![&added, delta], false),
    ] {
        let mut world = World::of(Key::default(), &document, &[]);
        let (id, _) = streaming(&mut world, body, &pieces, CONTINUE);
        let step = world.resume(id, Input::Broken("connection lost"));
        assert_eq!(matches!(step, Step::Send(_)), goes_on, "{what}: {step:?}");
    }
}

#[test]
fn the_next_target_is_cut_at_a_stop_that_it_does_not_take() {
    let mut world =
        World::of(Key::default(), r#"{"version":1,"fallbacks":{"openai/gpt-4o":["openai/gpt-5.3-codex"]}}"#, &[]);
    let ask = ASK.replace("\"stream\":true", "\"stop\":[\"Pluto\"],\"stream\":true");
    let (id, mut text) = streaming(&mut world, &ask, &[&chunk(SAID)], CONTINUE);
    let request = sent(world.resume(id, Input::Broken("connection lost")));
    assert!(request.url.ends_with("/responses"), "{}", request.url);
    let item = r#"{"type":"message","id":"m","role":"assistant","content":[]}"#;
    let added = format!("data: {{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{item}}}\n\n");
    let delta = "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"item_id\":\"m\",\"delta\":\", Jupiter, Pluto, Eris\"}\n\n";
    let done = r#"data: {"type":"response.completed","response":{"id":"r","model":"m","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":4}}}"#;
    continued(&mut world, id, &[&added, delta, &format!("{done}\n\n")], &mut text);
    assert_eq!(said(&text), "Mercury, Venus, Earth, Mars, Jupiter, ");
}

#[test]
fn a_second_death_ends_the_stream() {
    let document =
        r#"{"version":1,"fallbacks":{"openai/gpt-4o":["anthropic/claude-sonnet-4-5","deepseek/deepseek-chat"]}}"#;
    let mut world = World::of(Key::default(), document, &[]);
    let (id, _) = streaming(&mut world, ASK, &[&chunk(SAID)], CONTINUE);
    sent(world.resume(id, Input::Broken("connection lost")));
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    world.resume(id, Input::Chunk(format!("{START}{}", claude(", Jupiter")).as_bytes()));
    let Step::Finish(bytes) = world.resume(id, Input::Broken("gone")) else { panic!("goes on") };
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
    assert_eq!(world.rows()[0].attempts, 2);
}

#[test]
fn a_model_that_takes_no_beginning_of_its_answer_is_asked_to_go_on() {
    let document = DOCUMENT.replace("claude-sonnet-4-5\"]", "claude-sonnet-4-6\"]");
    let mut world = World::of(Key::default(), &document, &[]);
    let (id, _) = streaming(&mut world, ASK, &[&chunk(SAID)], CONTINUE);
    let body = json(&sent(world.resume(id, Input::Broken("connection lost"))).body);
    let last = body["messages"].as_array().and_then(|messages| messages.last()).expect("messages").clone();
    assert!(last["role"] == "user" && last.to_string().contains("Continue"), "{body}");
}

#[test]
fn of_what_a_dead_stream_counted_and_what_it_said_the_more_is_billed() {
    let counted =
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":300}}\n\n";
    for (pieces, expected) in
        [(vec![claude("Hello"), counted.to_owned()], 300), (vec![claude(&"word ".repeat(80))], 100)]
    {
        let mut world = World::of(Key::default(), DOCUMENT, &[]);
        let ask = ASK.replace("openai/gpt-4o", "anthropic/claude-sonnet-4-5");
        let mut all = vec![START];
        all.extend(pieces.iter().map(String::as_str));
        let (id, _) = streaming(&mut world, &ask, &all, &[]);
        world.resume(id, Input::Broken("connection lost"));
        let record = world.only_record();
        assert_eq!((record.input_fresh, record.output_text, record.state), (40, expected, "settled_estimate"));
    }
}

#[test]
fn when_nobody_can_go_on_the_stream_ends_in_an_error() {
    let mut world = World::of(Key::default(), DOCUMENT, &[]);
    let (id, _) = streaming(&mut world, ASK, &[&chunk("Hello")], CONTINUE);
    sent(world.resume(id, Input::Broken("gone")));
    let refusal = r#"{"error":{"type":"invalid_request_error","message":"no"}}"#;
    let Step::Finish(bytes) = world.refuse(id, 400, &[], refusal) else { panic!("not over") };
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
    let rows = world.rows();
    assert!(rows[0].error.is_some() && rows[1].output_text > 0, "what was said is paid");
    let last = json(events(&text).last().expect("an event").as_bytes());
    assert_eq!(last["usage"]["completion_tokens"], rows[1].output_text, "and told: {text}");
    let cost = NanoUsd(rows[1].cost_nano.expect("a cost")).to_string();
    assert_eq!(last["usage"]["cost"].as_f64(), cost.parse().ok(), "{text}");
}

#[test]
fn a_slow_stream_moves_on_before_it_is_committed() {
    let document = r#"{"version":1,"fallbacks":{"openai/gpt-4o":["anthropic/claude-sonnet-4-5"]},
        "failover":{"throughput":{"tokens_per_second":20,"within_ms":1000}}}"#;
    let mut world = World::of(Key::default(), document, &[]);
    let (id, step) = world.chat(ASK);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    assert!(matches!(world.resume(id, Input::Chunk(chunk("Hm").as_bytes())), Step::Hold), "it is measured first");
    world.now.0 += 1_000;
    assert!(sent(world.resume(id, Input::Chunk(chunk("m").as_bytes()))).url.contains("anthropic"));
    let streamed = world.stream(id, &[START.as_bytes(), claude("Hello").as_bytes(), END.as_bytes()], Input::End);
    assert_eq!(header(&streamed.head, "x-latchkey-attempts"), Some("2"));
    assert_eq!(said(&streamed.text), "Hello");

    let (id, step) = world.chat(ASK);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    assert!(matches!(world.resume(id, Input::Chunk(chunk("Hello").as_bytes())), Step::Hold));
    world.now.0 += 1_000;
    let many = chunk(&"quick ".repeat(100));
    assert!(matches!(world.resume(id, Input::Chunk(many.as_bytes())), Step::Commit { .. }));
}

#[test]
fn a_streams_speed_is_the_calls_else_the_keys_else_the_aliases_else_the_gateways() {
    const GATEWAY: &str = r#"{"version":1,"failover":{"throughput":{"tokens_per_second":10,"within_ms":4000}},
        "fallbacks":{"openai/gpt-4o":["anthropic/claude-sonnet-4-5"]},
        "aliases":{
            "brisk":{"candidates":["openai/gpt-4o","anthropic/claude-sonnet-4-5"],
                "failover":{"throughput":{"tokens_per_second":20,"within_ms":3000}}},
            "hasty":{"candidates":["openai/gpt-4o","anthropic/claude-sonnet-4-5"],"failover":{"throughput":{"within_ms":500}}},
            "idle":{"candidates":["openai/gpt-4o","anthropic/claude-sonnet-4-5"],"failover":{"throughput":{"tokens_per_second":0}}}
        }}"#;
    const NONE: &str = r#"{"version":1,"fallbacks":{"openai/gpt-4o":["anthropic/claude-sonnet-4-5"]}}"#;
    // What becomes of a stream that says so many tokens in so many milliseconds.
    let moves =
        |document: &str, key: OwnThroughput, model: &str, headers: &[(&str, &str)], tokens: usize, after: i64| {
            let mut world = World::of(Key { throughput: key, ..Key::default() }, document, &[]);
            let (id, step) =
                world.send("/v1/chat/completions", &ASK.replace("\"openai/gpt-4o\"", &format!("\"{model}\"")), headers);
            sent(step);
            world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
            match world.resume(id, Input::Chunk(chunk("a").as_bytes())) {
                Step::Commit { .. } => return Speed::Unmeasured,
                step => assert!(matches!(step, Step::Hold), "{step:?}"),
            }
            world.now.0 += after;
            match world.resume(id, Input::Chunk(chunk(&"word".repeat(tokens)).as_bytes())) {
                Step::Hold => Speed::Measured,
                Step::Commit { .. } => Speed::Enough,
                step => {
                    assert!(sent(step).url.contains("anthropic"));
                    Speed::TooSlow
                }
            }
        };
    let unsaid = OwnThroughput::default();
    let keys = OwnThroughput { tokens_per_second: Some(40), within: Some(Millis(2_000)) };
    let header = [("x-latchkey-min-tokens-per-second", "80"), ("x-latchkey-min-tokens-within-ms", "1000")];
    let none: &[(&str, &str)] = &[];
    let speeds = [
        ("openai/gpt-4o", unsaid, none, 10, 4_000),
        ("brisk", unsaid, none, 20, 3_000),
        ("brisk", keys, none, 40, 2_000),
        ("brisk", keys, &header[..], 80, 1_000),
    ];
    for (model, key, headers, speed, within) in speeds {
        let seconds = usize::try_from(within / 1_000).unwrap();
        let case = format!("{speed} tokens a second for {model}");
        let told = |tokens, after| moves(GATEWAY, key, model, headers, tokens, after);
        assert_eq!(told(1, within - 100), Speed::Measured, "{case}, not measured for long enough");
        assert_eq!(told((speed - 2) * seconds, within), Speed::TooSlow, "{case}");
        assert_eq!(told((speed + 1) * seconds, within), Speed::Enough, "{case}");
    }
    assert_eq!(moves(GATEWAY, unsaid, "hasty", &[], 4, 500), Speed::TooSlow, "the gateway's speed, the alias's time");
    assert_eq!(moves(GATEWAY, unsaid, "hasty", &[], 8, 500), Speed::Enough);
    assert_eq!(moves(GATEWAY, unsaid, "idle", &[], 1, 500), Speed::Unmeasured, "an alias may turn it off");
    let never = OwnThroughput { tokens_per_second: Some(0), within: None };
    assert_eq!(moves(GATEWAY, never, "brisk", &[], 1, 500), Speed::Unmeasured, "and so may a key");
    let off = [("x-latchkey-min-tokens-per-second", "0")];
    assert_eq!(moves(GATEWAY, keys, "brisk", &off, 1, 500), Speed::Unmeasured, "and a call");
    assert_eq!(moves(NONE, unsaid, "openai/gpt-4o", &[], 1, 500), Speed::Unmeasured, "nobody asks for it");
    assert_eq!(moves(NONE, unsaid, "openai/gpt-4o", &header[1..], 1, 500), Speed::Unmeasured, "a time without a speed");
    assert_eq!(moves(NONE, unsaid, "openai/gpt-4o", &header[..1], 100, 2_000), Speed::TooSlow, "the usual time");
}

#[derive(Debug, PartialEq, Eq)]
enum Speed {
    Unmeasured,
    Measured,
    Enough,
    TooSlow,
}

#[test]
fn a_speed_that_the_caller_chose_says_nothing_of_an_upstreams_health() {
    let asks = |headers: &[(&str, &str)]| {
        let document = r#"{"version":1,"fallbacks":{"openai/gpt-4o":["anthropic/claude-sonnet-4-5"]},
            "failover":{"throughput":{"tokens_per_second":20,"within_ms":1000}},"health":{"failures_in_a_row":1}}"#;
        let mut world = World::of(Key::default(), document, &[]);
        for _ in 0..2 {
            let (id, step) = world.send("/v1/chat/completions", ASK, headers);
            if sent(step).url.contains("anthropic") {
                return true;
            }
            world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
            world.resume(id, Input::Chunk(chunk("a").as_bytes()));
            world.now.0 += 1_000;
            assert!(sent(world.resume(id, Input::Chunk(chunk("b").as_bytes()))).url.contains("anthropic"));
            world.stream(id, &[START.as_bytes(), claude("Hello").as_bytes(), END.as_bytes()], Input::End);
        }
        false
    };
    assert!(asks(&[]), "the operator's: the next call goes elsewhere at once");
    assert!(!asks(&[("x-latchkey-min-tokens-per-second", "20")]), "the caller's: it goes there again");
}
