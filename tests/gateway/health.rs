//! What the health of targets decides about a call.

use latchkey::breaker::{Action, Order, Outcome, Verdict, What};
use latchkey::failure::Kind;
use latchkey::gateway::{Deadline, Input};
use latchkey::keys::{Key, OnDisconnect};

use crate::world::{World, header, header_of, json, refused, sent};

const BODY: &str =
    r#"{"models":["openai/gpt-4o","deepseek/deepseek-chat"],"messages":[{"role":"user","content":"Hi"}]}"#;
const SOLE: &str = r#"{"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}]}"#;
const ANSWER: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

fn world() -> World {
    World::of(Key::default(), r#"{"version":1}"#, &[])
}

fn block(world: &mut World, target: &str) {
    let what = What::Failed { retry_after: None, kind: Kind::Unavailable, status: Some(500) };
    let outcome = Outcome { what, sent: world.now, probe: None };
    (0..3).for_each(|_| world.gateway.view.report(target, outcome, world.now));
}

#[test]
fn a_target_whose_limit_is_nearly_used_up_goes_behind_others() {
    let server = |id: &str| {
        format!(
            r#""{id}":{{"base_url":"https://{id}.example/v1","format":"openai_chat","auth":"bearer",
               "models":["llama-5"]}}"#
        )
    };
    let document = format!(r#"{{"version":1,"providers":{{{},{}}}}}"#, server("cave"), server("den"));
    let mut world = World::of(Key::default(), &document, &[("CAVE_API_KEY", "c"), ("DEN_API_KEY", "d")]);
    let body = r#"{"model":"llama-5","provider":{"order":["cave","den"]},"messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.chat(body);
    assert!(sent(step).url.contains("cave"));
    let low = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "3"),
        ("x-ratelimit-reset-requests", "20s"),
    ];
    assert_eq!(world.answer(id, 200, &low, ANSWER).status, 200);
    assert!(sent(world.chat(body).1).url.contains("den"), "spared while its limit is low");
    world.now.0 += 20_000;
    assert!(sent(world.chat(body).1).url.contains("cave"), "asked again once the limit is reset");
}

#[test]
fn who_was_asked_at_the_end_of_a_calls_time_is_not_blamed_for_it() {
    let document = r#"{"version":1,"limits":{"deadlines":{"total_ms":10000}},"failover":{"same_target":0}}"#;
    let passes = |world: &World, target: &str| world.gateway.view.verdict(target, world.now) == Verdict::Pass;
    let end_of_time = |document: &str| {
        let mut world = World::of(Key::default(), document, &[]);
        for _ in 0..3 {
            let (id, step) = world.chat(BODY);
            assert!(sent(step).url.contains("openai"));
            world.now.0 += 9_000;
            assert!(sent(world.refuse(id, 503, &[], "{}")).url.contains("deepseek"));
            world.now.0 += 900;
            assert_eq!(refused(world.resume(id, Input::Expired(Deadline::Total))).0, 504);
        }
        assert!(!passes(&world, "openai/gpt-4o"));
        world
    };
    let hasty = document.replace("\"total_ms\"", "\"first_token_ms\":500,\"total_ms\"");
    assert!(!passes(&end_of_time(&hasty), "deepseek/deepseek-chat"), "it had longer than a stream may take to begin");
    let mut world = end_of_time(document);
    assert!(passes(&world, "deepseek/deepseek-chat"));
    // Who had most of the time and said nothing has failed.
    for _ in 0..3 {
        let (id, step) = world.chat(&SOLE.replace("openai/gpt-4o", "deepseek/deepseek-chat"));
        sent(step);
        world.now.0 += 9_000;
        world.resume(id, Input::Expired(Deadline::Total));
    }
    assert!(!passes(&world, "deepseek/deepseek-chat"));
}

#[test]
fn a_blocked_target_is_left_alone_while_there_is_another() {
    let mut world = world();
    block(&mut world, "openai/gpt-4o");
    let (_, step) = world.chat(BODY);
    assert!(sent(step).url.contains("deepseek"));
    let (status, body) = refused(world.chat(SOLE).1);
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("no_target")));
}

#[test]
fn of_several_that_are_all_blocked_the_first_to_open_is_asked() {
    let mut world = world();
    block(&mut world, "deepseek/deepseek-chat");
    world.now.0 += 5_000;
    block(&mut world, "openai/gpt-4o");
    let (id, step) = world.chat(BODY);
    assert!(sent(step).url.contains("deepseek"));
    let response = world.answer(id, 200, &[("content-type", "application/json")], ANSWER);
    assert_eq!((response.status, header(&response, "x-latchkey-provider")), (200, Some("deepseek")));
}

#[test]
fn of_targets_whose_credentials_are_all_blocked_one_is_asked() {
    let mut world = World::of(Key::default(), r#"{"version":1}"#, &[("OPENAI_API_KEY_2", "sk-second")]);
    for blocked in ["openai/gpt-4o#1", "openai/gpt-4o#2"] {
        block(&mut world, blocked);
    }
    assert!(sent(world.chat(BODY).1).url.contains("deepseek"), "while there is another");
    assert_eq!(refused(world.chat(SOLE).1).0, 503);
    world.now.0 += 1_000;
    block(&mut world, "deepseek/deepseek-chat");
    assert!(sent(world.chat(BODY).1).url.contains("openai"), "it opens first");
}

#[test]
fn what_the_operator_switched_off_is_not_asked_even_with_nothing_else_left() {
    let mut world = world();
    let batch = world.gateway.view.batch(world.now).expect("a batch");
    assert!(batch.contains("\"batch\":1"));
    let reply = r#"{"version":1,"batch":1,"switches":[{"subject":"openai","position":"block","since":0},{"subject":"deepseek","position":"block","since":0}]}"#;
    world.gateway.view.absorb(reply.as_bytes(), world.now).expect("a reply");
    for call in [BODY, SOLE] {
        let (status, body) = refused(world.chat(call).1);
        assert_eq!((status, body["error"]["code"].as_str()), (503, Some("no_target")));
        let message = body["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("switched off by the operator"), "nobody need look at the provider: {message}");
    }
}

#[test]
fn a_provider_whose_credentials_are_all_switched_off_is_not_asked_either() {
    let block = |subject: &str| format!(r#"{{"subject":"{subject}","position":"block","since":0}}"#);
    let all = ["openai/gpt-4o#1", "openai/gpt-4o#2", "deepseek"].map(block);
    for (switches, is_off) in [(&all[1..], false), (&all[..], true)] {
        let mut world = World::of(Key::default(), r#"{"version":1}"#, &[("OPENAI_API_KEY_2", "sk-second")]);
        world.gateway.view.batch(world.now).expect("a batch");
        let reply = format!(r#"{{"version":1,"batch":1,"switches":[{}]}}"#, switches.join(","));
        world.gateway.view.absorb(reply.as_bytes(), world.now).expect("a reply");
        for call in [BODY, SOLE] {
            let step = world.chat(call).1;
            match is_off {
                true => assert_eq!(refused(step).0, 503),
                false => assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-openai-secret")),
            }
        }
    }
}

#[test]
fn a_probe_asks_its_target_though_it_is_blocked_once_and_nobody_else() {
    let mut world = world();
    block(&mut world, "openai/gpt-4o");
    for status in [200, 503] {
        let (id, step) = world.gateway.begin_probe("openai/gpt-4o", world.now);
        let request = sent(world.after_ledger(id, step));
        assert!(request.url.contains("openai"));
        let asked = crate::world::json(&request.body);
        assert_eq!(asked["messages"], serde_json::json!([{"role": "user", "content": "ping"}]), "{asked}");
        assert_eq!(world.answer(id, status, &[], ANSWER).status, status);
        assert_eq!(world.only_record().key_id, "probe", "what it costs is counted");
    }
}

#[test]
fn a_kill_switch_travels_with_the_lease_of_a_key() {
    let mut world = world();
    let (id, step) = world.chat(SOLE);
    sent(step);
    world.answer(id, 200, &[], ANSWER);
    let order = |action| Order { action, subject: "openai".to_owned(), until: None, reason: None };
    let now = world.now;
    world.ledger.as_mut().expect("a ledger").order(&order(Action::Block), now).expect("taken");
    sent(world.chat(SOLE).1);
    // Its lease is used for five seconds; then this very call asks, and hears of it.
    world.now.0 += 5_000;
    let (status, body) = refused(world.chat(SOLE).1);
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("no_target")));
    assert!(sent(world.chat(BODY).1).url.contains("deepseek"), "what has another target goes there");
    let now = world.now;
    world.ledger.as_mut().expect("a ledger").order(&order(Action::Reset), now).expect("taken");
    world.report();
    sent(world.chat(SOLE).1);
}

#[test]
fn a_model_is_probed_with_what_it_is_for() {
    let document = r#"{"version":1,"models":{"openai/own-embedder":{"mode":"embedding"},
        "openai/own-completer":{"mode":"completion"}}}"#;
    for (target, path, asks) in [
        ("openai/gpt-4o", "/chat/completions", "messages"),
        ("openai/unheard-of", "/chat/completions", "messages"),
        ("openai/text-embedding-3-small", "/embeddings", "input"),
        ("openai/own-embedder", "/embeddings", "input"),
        ("openai/own-completer", "/completions", "prompt"),
    ] {
        let mut world = World::of(Key::default(), document, &[]);
        assert!(world.gateway.can_probe(target), "{target}");
        let (id, step) = world.gateway.begin_probe(target, world.now);
        let outbound = sent(world.after_ledger(id, step));
        assert!(outbound.url.ends_with(path), "{target}: {}", outbound.url);
        assert!(json(&outbound.body)[asks].is_array() || json(&outbound.body)[asks].is_string(), "{target}");
    }
    for target in ["openai/whisper-1", "openai/tts-1"] {
        assert!(!world().gateway.can_probe(target), "{target}");
    }
}

const STREAM: &str = r#"{"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
const OPENED: Input<'_> = Input::Headers(200, &[("content-type", "text/event-stream")]);
const WORD: &[u8] = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n";

#[test]
fn the_first_word_of_a_probe_ends_the_block() {
    let mut world = world();
    block(&mut world, "openai/gpt-4o");
    world.now.0 += 15_000;
    let (id, step) = world.chat(STREAM);
    sent(step);
    world.resume(id, OPENED);
    assert!(matches!(world.gateway.view.verdict("openai/gpt-4o", world.now), Verdict::Blocked { .. }));
    world.resume(id, Input::Chunk(WORD));
    assert_eq!(world.gateway.view.verdict("openai/gpt-4o", world.now), Verdict::Pass, "long before its end");
    world.resume(id, Input::Gone);
    assert_eq!(world.gateway.view.verdict("openai/gpt-4o", world.now), Verdict::Pass);
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_held_against_its_target() {
    let key = Key { on_disconnect: OnDisconnect::Drain, ..Key::default() };
    let mut world = World::of(key, r#"{"version":1}"#, &[]);
    for _ in 0..5 {
        let (id, step) = world.chat(STREAM);
        sent(step);
        world.resume(id, OPENED);
        world.resume(id, Input::Chunk(WORD));
        world.resume(id, Input::Gone);
        assert!(world.gateway.is_under_way(id));
        // It is read on for a while only, and then let go of.
        world.resume(id, Input::Broken("aborted"));
        assert!(!world.gateway.is_under_way(id));
    }
    assert_eq!(world.gateway.view.verdict("openai/gpt-4o", world.now), Verdict::Pass);
}

#[test]
fn who_is_not_asked_because_the_platform_lets_nobody_be_is_not_blamed() {
    let mut world = world();
    for _ in 0..5 {
        let (id, step) = world.chat(BODY);
        assert!(sent(step).url.contains("openai"));
        let most = "Error: Too many subrequests by single Worker invocation.";
        let (status, body) = refused(world.resume(id, Input::Broken(most)));
        assert_eq!((status, body["error"]["code"].as_str()), (500, Some("too_many_subrequests")));
    }
    assert_eq!(world.gateway.view.verdict("openai/gpt-4o", world.now), Verdict::Pass);
    assert_eq!(world.gateway.view.verdict("deepseek/deepseek-chat", world.now), Verdict::Pass);
}

#[test]
fn a_callers_own_key_is_neither_kept_back_nor_a_probe() {
    let key = Key { allow_provider_key: true, ..Key::default() };
    let mut world = World::of(key, r#"{"version":1}"#, &[]);
    block(&mut world, "openai/gpt-4o");
    for _ in 0..2 {
        let (id, step) = world.send("/v1/chat/completions", SOLE, &[("x-latchkey-provider-key", "sk-theirs")]);
        sent(step);
        world.answer(id, 200, &[], ANSWER);
        assert_ne!(world.gateway.view.verdict("openai/gpt-4o", world.now), Verdict::Pass, "it says nothing of our key");
        world.now.0 += 15_000;
    }
    assert_eq!(world.gateway.view.verdict("openai/gpt-4o", world.now), Verdict::Probe, "left for a call with our key");
}
