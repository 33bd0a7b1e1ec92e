//! Answers that come whole and are no good, and what else says nothing of a target.

use latchkey::breaker::Verdict;
use latchkey::gateway::{CallId, Deadline, Input, Step};
use latchkey::keys::Key;

use crate::world::{World, sent};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const CHAT: &str = "/v1/chat/completions";
const DOCUMENT: &str = r#"{"version":1,"failover":{"enabled":false},"health":{"poor_minimum_calls":5}}"#;

fn world() -> World {
    let key = Key { allow_provider_key: true, ..Key::default() };
    World::of(key, DOCUMENT, &[])
}

fn passes(world: &World, target: &str) -> bool {
    world.gateway.view.verdict(target, world.now) == Verdict::Pass
}

fn asking(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{more}}}"#)
}

fn openai(message: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{message},"finish_reason":"{finish}"}}],"usage":{{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}}}"#
    )
}

/// Makes five calls that each get this answer; whether the target is still asked after them.
fn plain(model: &str, more: &str, answer: &str) -> bool {
    let mut world = world();
    for _ in 0..5 {
        assert!(passes(&world, model), "too few to say");
        let (id, step) = world.chat(&asking(model, more));
        sent(step);
        assert_eq!(world.answer(id, 200, &[], answer).status, 200, "the caller gets it all the same");
    }
    passes(&world, model)
}

const SCHEMA: &str = r#","response_format":{"type":"json_schema","json_schema":{"name":"place","schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}"#;
const OBJECT: &str = r#","response_format":{"type":"json_object"}"#;
const TEXT: &str = r#","response_format":{"type":"text"}"#;

#[test]
fn empty_answers_block_a_target() {
    let empty = r#"{"role":"assistant","content":"","refusal":null,"annotations":[]}"#;
    assert!(!plain("openai/gpt-4o", "", &openai(empty, "stop")));
    assert!(!plain("openai/gpt-4o", "", &openai(r#"{"role":"assistant","content":null}"#, "stop")));
    assert!(plain("openai/gpt-4o", "", &openai(empty, "length")), "the caller's limit cut it");
    assert!(plain("openai/gpt-4o", "", &openai(empty, "content_filter")));
    assert!(plain("openai/gpt-4o", "", &openai(r#"{"role":"assistant","content":"Hi"}"#, "stop")));
    let anthropic = r#"{"id":"a","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":2}}"#;
    assert!(!plain("anthropic/claude-sonnet-4-5", "", anthropic));
}

#[test]
fn malformed_calls_block_a_target() {
    let calling = |arguments: &str| {
        let message = format!(
            r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"weather","arguments":"{arguments}"}}}}]}}"#
        );
        openai(&message, "tool_calls")
    };
    let tools = r#","tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]"#;
    assert!(!plain("openai/gpt-4o", tools, &calling(r#"{\"city\": \"Br"#)));
    assert!(plain("openai/gpt-4o", tools, &calling(r#"{\"city\": \"Brno\"}"#)));
}

#[test]
fn json_that_breaks_its_schema_blocks_a_target() {
    let saying = |content: &str| openai(&format!(r#"{{"role":"assistant","content":"{content}"}}"#), "stop");
    for (more, content, kept) in [
        (SCHEMA, r#"{\"city\":\"Brno\"}"#, true),
        (SCHEMA, r#"{\"town\":\"Brno\"}"#, false),
        (OBJECT, r#"{\"town\":\"Brno\"}"#, true),
        (OBJECT, "Brno, where else? It is the second city of the land, and none is more beautiful by far.", false),
        (TEXT, "Brno", true),
    ] {
        assert_eq!(plain("openai/gpt-4o", more, &saying(content)), kept, "{more}: {content}");
    }
}

#[test]
fn streams_are_judged_alike() {
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let empty = chunk(r#"{"role":"assistant","content":""}"#, "null") + &chunk("{}", "\"stop\"") + "data: [DONE]\n\n";
    let said = |pieces: &[&str]| {
        let begin = chunk(r#"{"role":"assistant","content":""}"#, "null");
        let middle: String = pieces.iter().map(|piece| chunk(&format!(r#"{{"content":"{piece}"}}"#), "null")).collect();
        begin + &middle + &chunk("{}", "\"stop\"") + "data: [DONE]\n\n"
    };
    let cases = [
        ("", empty, false),
        ("", said(&["Hi", " there"]), true),
        (SCHEMA, said(&[r#"{\"ci"#, r#"ty\":\"Br"#, r#"no\"}"#]), true),
        (SCHEMA, said(&[r#"{\"ci"#, r#"ty\":\"Br"#]), false),
    ];
    for (more, stream, kept) in cases {
        let mut world = world();
        for _ in 0..5 {
            let (id, step) = world.chat(&asking("openai/gpt-4o", &format!(r#"{more},"stream":true"#)));
            sent(step);
            world.stream(id, &[stream.as_bytes()], Input::End);
        }
        assert_eq!(passes(&world, "openai/gpt-4o"), kept, "{more}: {stream}");
    }
}

/// Makes ten calls that fail as `fail` has it; whether the target is still asked after them.
fn failing(headers: &[(&str, &str)], model: &str, fail: impl Fn(&mut World, CallId)) -> bool {
    let mut world = world();
    for _ in 0..10 {
        let (id, step) = world.send(CHAT, &asking(model, ""), headers);
        if matches!(step, Step::Send(_)) {
            fail(&mut world, id);
        }
    }
    passes(&world, model)
}

#[test]
fn what_a_callers_own_key_or_deadline_meets_says_nothing() {
    let refuse = |status: u16| {
        move |world: &mut World, id: CallId| {
            world.refuse(id, status, &JSON, r#"{"error":{"message":"no"}}"#);
        }
    };
    let own = [("x-latchkey-provider-key", "sk-mine")];
    for status in [401, 429, 500, 503] {
        assert!(failing(&own, "openai/gpt-4o", refuse(status)), "{status} of their own key");
        assert!(!failing(&[], "openai/gpt-4o", refuse(status)) || status == 401, "{status} of ours");
    }
    let expire = |deadline: Deadline| {
        move |world: &mut World, id: CallId| {
            world.resume(id, Input::Expired(deadline));
        }
    };
    let hasty = [("x-latchkey-timeout-ms", "1")];
    assert!(failing(&hasty, "openai/gpt-4o", expire(Deadline::Total)), "a deadline of the caller's");
    assert!(!failing(&[], "openai/gpt-4o", expire(Deadline::Connect)), "one of the operator's");
}

#[test]
fn success_with_a_callers_own_key_makes_up_for_nothing() {
    let mut world = world();
    for round in 0..3 {
        let (id, step) = world.chat(&asking("openai/gpt-4o", ""));
        sent(step);
        world.refuse(id, 500, &JSON, "{}");
        let own = [("x-latchkey-provider-key", "sk-mine")];
        if round < 2 {
            let (id, step) = world.send(CHAT, &asking("openai/gpt-4o", ""), &own);
            sent(step);
            world.answer(id, 200, &[], &openai(r#"{"role":"assistant","content":"Hi"}"#, "stop"));
        }
    }
    assert!(!passes(&world, "openai/gpt-4o"), "three failures of ours in a row");
}

#[test]
fn what_the_sandbox_stages_is_held_against_that_model_of_the_sandbox_alone() {
    let mut world = world();
    for _ in 0..5 {
        let (id, step) = world.chat(&asking("sandbox/status-503", ""));
        if matches!(step, Step::Send(_)) {
            world.refuse(id, 503, &JSON, r#"{"error":{"message":"staged"}}"#);
        }
    }
    assert!(!passes(&world, "sandbox/status-503"));
    assert!(passes(&world, "sandbox/echo") && passes(&world, "openai/gpt-4o"));
}
