//! Two targets asked at once: the first that speaks answers, and the other is over and paid for.

use latchkey::breaker::{Outcome, Region, What};
use latchkey::budget::{Budget, Period, Scope};
use latchkey::failure::Kind;
use latchkey::gateway::{CallId, FetchedMedia, Input, Outbound, Step};
use latchkey::keys::{Key, Sharing, StoreResponses};
use latchkey::limit::{Limit, Per};
use latchkey::units::{Millis, NanoUsd};

use crate::world::{World, events, header, json, refused, sent};

/// Three of a kind: a dollar a million, in and out.
const DOCUMENT: &str = r#"{"version":1,
    "providers": {
        "one": {"base_url": "https://one.example/v1", "format": "openai_chat", "auth": "none", "models": ["m"]},
        "two": {"base_url": "https://two.example/v1", "format": "openai_chat", "auth": "none", "models": ["m"]},
        "three": {"base_url": "https://three.example/v1", "format": "openai_chat", "auth": "none", "models": ["m"]}},
    "models": {
        "one/m": {"mode": "chat", "prices": [{"usd_per_mtok": {"input": 1, "output": 1}}]},
        "two/m": {"mode": "chat", "prices": [{"usd_per_mtok": {"input": 1, "output": 1}}]},
        "three/m": {"mode": "chat", "prices": [{"usd_per_mtok": {"input": 1, "output": 1}}]}},
    "failover": {"same_target": 0, "hedge": {"after_ms": 300, "percent": 100}},
    "fallbacks": {"one/m": ["two/m", "three/m"]}}"#;
const PLAIN: &str = r#"{"model":"one/m","messages":[{"role":"user","content":"Hi"}],"max_tokens":50}"#;
const STREAM: &str = r#"{"model":"one/m","messages":[{"role":"user","content":"Hi"}],"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}}"#;
const ANSWER: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
const START: &[u8] = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
const WORD: &[u8] = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n";
const DONE: &[u8] = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\ndata: [DONE]\n\n";
const OPENED: Input<'_> = Input::Headers(200, &[("content-type", "text/event-stream")]);
/// What nine tokens in and two out cost.
const COST: NanoUsd = NanoUsd(11_000);

fn world() -> World {
    World::of(Key::default(), DOCUMENT, &[])
}

fn host(outbound: &Outbound) -> &str {
    outbound.url.trim_start_matches("https://").split('.').next().unwrap_or_default()
}

/// A call whose first target is slow, and the call that asks the second.
fn hedged(world: &mut World, body: &str) -> (CallId, CallId) {
    let (first, step) = world.chat(body);
    let outbound = sent(step);
    assert_eq!((host(&outbound), outbound.hedge, outbound.abortable), ("one", Some(Millis(300)), true));
    let (second, step) = world.hedge(first).expect("a second target");
    let outbound = sent(step);
    assert_eq!((host(&outbound), outbound.hedge, outbound.abortable), ("two", None, true));
    (first, second)
}

/// Nothing more comes of a call that is over.
fn is_over(world: &mut World, id: CallId) {
    for input in [OPENED, Input::Chunk(WORD), Input::Broken("aborted"), Input::Gone] {
        let Step::Finish(bytes) = world.resume(id, input) else { panic!("goes on") };
        assert_eq!(bytes, b"");
    }
}

/// What was tried, with the reason and whether a cost is known.
fn tried(json_text: &str) -> Vec<(String, String, bool)> {
    let list = json(json_text.as_bytes());
    let entry = |one: &serde_json::Value| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        (text("target"), text("reason"), one["cost"].as_f64().is_some_and(|cost| cost > 0.0))
    };
    list.as_array().expect("a list").iter().map(entry).collect()
}

#[test]
fn the_second_answers_where_it_speaks_first() {
    let mut world = world();
    let (first, second) = hedged(&mut world, STREAM);
    world.resume(first, OPENED);
    assert!(matches!(world.resume(first, Input::Chunk(START)), Step::Hold), "a role is no word");
    let streamed = world.stream(second, &[START, WORD, DONE], Input::End);
    assert_eq!(header(&streamed.head, "x-latchkey-model"), Some("two/m"));
    assert_eq!(header(&streamed.head, "x-latchkey-attempts"), Some("2"));
    is_over(&mut world, first);

    let events = events(&streamed.text);
    assert_eq!(events.iter().filter(|event| event.contains("Hello")).count(), 1, "{events:?}");
    let usage = &json(events[events.len() - 2].as_bytes())["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&9.into(), &2.into()), "of what was read");
    let rows = world.rows();
    let [record, other] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((record.input_fresh, record.output_text, record.attempts, record.status), (9, 2, 2, 200));
    assert_eq!((record.provider.as_str(), record.state), ("two", "settled_actual"));
    assert_eq!((other.provider.as_str(), other.state), ("one", "settled_estimate"));
    assert_eq!(other.error.as_deref(), Some("outpaced"));
    let cost = NanoUsd(record.cost_nano.expect("a cost") + other.cost_nano.expect("a cost"));
    assert!(cost > COST, "what the other was asked costs too: {cost}");
    assert_eq!(usage["cost"].as_f64(), Some(cost.to_string().parse().expect("a number")));
    assert_eq!(
        tried(record.tried.as_deref().expect("attempts")),
        [("one/m".to_owned(), "outpaced".to_owned(), true), ("two/m".to_owned(), "served".to_owned(), true)]
    );
}

#[test]
fn whoever_answers_is_told_by_the_configuration_that_decided() {
    let mut world = world();
    let (_, second) = hedged(&mut world, PLAIN);
    world.answer(second, 200, &[], ANSWER);
    assert_eq!(world.rows()[0].config, 7);
}

#[test]
fn calls_of_the_gateways_own_ask_their_target_alone() {
    let mut world = world();
    let (id, step) = world.gateway.begin_probe("one/m", world.now);
    assert_eq!(
        sent(world.after_ledger(id, step)).hedge,
        None,
        "another's answer would say that a blocked target is back"
    );
    world.answer(id, 200, &[], ANSWER);
}

#[test]
fn the_first_answers_where_it_speaks_first_after_all() {
    for body in [STREAM, PLAIN] {
        let mut world = world();
        let (first, second) = hedged(&mut world, body);
        let head = if body == PLAIN {
            world.answer(first, 200, &[], ANSWER)
        } else {
            world.stream(first, &[START, WORD, DONE], Input::End).head
        };
        assert_eq!(header(&head, "x-latchkey-model"), Some("one/m"));
        assert_eq!(header(&head, "x-latchkey-attempts"), Some("2"));
        is_over(&mut world, second);
        let rows = world.rows();
        assert_eq!((rows[0].input_fresh, rows[0].output_text, rows[0].attempts), (9, 2, 2));
        assert_eq!((rows[0].provider.as_str(), rows[1].provider.as_str()), ("one", "two"));
        assert!(rows[1].cost_nano.is_some_and(|cost| cost > 0));
    }
}

#[test]
fn the_one_that_fails_leaves_the_call_and_the_rest_of_the_plan_to_the_other() {
    for second_fails in [false, true] {
        let mut world = world();
        let (first, second) = hedged(&mut world, PLAIN);
        let (fails, stays) = if second_fails { (second, first) } else { (first, second) };
        let Step::Finish(bytes) = world.refuse(fails, 500, &[], "oops") else { panic!("not left to the other") };
        assert_eq!(bytes, b"");
        let third = sent(world.refuse(stays, 503, &[], "busy"));
        assert_eq!((host(&third), third.hedge), ("three", None), "a call is hedged once");
        let answer = world.answer(stays, 200, &[], ANSWER);
        assert_eq!(header(&answer, "x-latchkey-attempts"), Some("3"));
        let record = world.only_record();
        assert_eq!((record.attempts, record.cost_nano.map(NanoUsd), record.state), (3, Some(COST), "settled_actual"));
        assert_eq!(tried(&record.tried.expect("attempts")).len(), 3);
    }
}

#[test]
fn a_stream_that_dies_is_noted_among_several_attempts() {
    for fails_before in [false, true] {
        let mut world = world();
        let (id, step) = world.chat(STREAM);
        sent(step);
        if fails_before {
            sent(world.refuse(id, 500, &[], "oops"));
        }
        world.stream(id, &[START, WORD], Input::Broken("connection lost"));
        let tried = world.rows()[0].tried.as_deref().map(tried);
        let targets = tried.map(|tried| tried.into_iter().map(|(target, ..)| target).collect::<Vec<_>>());
        assert_eq!(
            targets,
            fails_before.then(|| vec!["one/m".to_owned(), "two/m".to_owned()]),
            "alone, the record says it"
        );
    }
}

#[test]
fn when_both_fail_the_caller_reads_one_failure() {
    let mut world = world();
    let (first, second) = hedged(
        &mut world,
        &PLAIN.replace("\"max_tokens\"", "\"provider\":{\"only\":[\"one\",\"two\"]},\"max_tokens\""),
    );
    assert!(matches!(world.refuse(first, 500, &[], "oops"), Step::Finish(_)));
    assert_eq!(refused(world.refuse(second, 500, &[], "oops")).0, 502);
    let record = world.only_record();
    assert_eq!((record.attempts, record.status), (2, 502));
}

#[test]
fn of_two_that_are_silent_neither_is_committed_to() {
    let mut world = world();
    let (first, second) = hedged(&mut world, STREAM);
    for id in [first, second] {
        world.resume(id, OPENED);
        assert!(matches!(world.resume(id, Input::Silence), Step::Hold));
    }
    assert!(matches!(world.resume(second, Input::Broken("gone")), Step::Finish(_)));
    assert!(matches!(world.resume(first, Input::Silence), Step::Commit { .. }), "alone again");
}

#[test]
fn no_third_is_asked_and_none_once_a_word_came() {
    let mut world = world();
    let (first, second) = hedged(&mut world, STREAM);
    assert!(world.hedge(first).is_none() && world.hedge(second).is_none());
    assert_eq!(world.gateway.calls_under_way(), 2);

    let (spoken, step) = world.chat(STREAM);
    sent(step);
    world.resume(spoken, OPENED);
    assert!(matches!(world.resume(spoken, Input::Chunk(WORD)), Step::Commit { .. }));
    assert!(world.hedge(spoken).is_none());

    // Of a stream that is held back to be measured, too.
    let measured = DOCUMENT.replace("\"hedge\":", "\"throughput\": {\"tokens_per_second\": 99}, \"hedge\":");
    let mut held = World::of(Key::default(), &measured, &[]);
    let (spoken, step) = held.chat(STREAM);
    sent(step);
    held.resume(spoken, OPENED);
    assert!(matches!(held.resume(spoken, Input::Chunk(WORD)), Step::Hold));
    assert!(held.hedge(spoken).is_none());

    let nowhere = PLAIN.replace("one/m", "three/m");
    let (alone, step) = world.chat(&nowhere);
    sent(step);
    assert!(world.hedge(alone).is_none(), "there is no other target");
}

#[test]
fn the_second_is_asked_as_its_own_candidate_says() {
    let aliases = r#""aliases": {"any": {"candidates": [
        {"model": "one/m", "with": {"temperature": 0.1}}, {"model": "two/m", "with": {"max_tokens": 7}}]}}, "failover""#;
    let mut world = World::of(Key::default(), &DOCUMENT.replace("\"failover\"", aliases), &[]);
    let (first, step) = world.chat(&PLAIN.replace("one/m", "any"));
    let body = json(&sent(step).body);
    assert_eq!((body["temperature"].as_f64(), body["max_tokens"].as_u64()), (Some(0.1), Some(50)), "{body}");
    let (_, step) = world.hedge(first).expect("a second target");
    let body = json(&sent(step).body);
    assert_eq!((body["temperature"].as_f64(), body["max_tokens"].as_u64()), (None, Some(7)), "{body}");
}

#[test]
fn a_second_that_cannot_be_asked_leaves_the_rest_of_the_plan() {
    let document = DOCUMENT.replace("[\"two/m\", ", "[\"anthropic/claude-sonnet-4-5\", ");
    let mut world = World::of(Key::default(), &document, &[]);
    let (first, step) = world.chat(&PLAIN.replace("\"max_tokens\"", "\"n\":2,\"max_tokens\""));
    sent(step);
    assert!(world.hedge(first).is_none(), "it has no word for two answers");
    assert_eq!(host(&sent(world.refuse(first, 500, &[], "oops"))), "three");
}

#[test]
fn both_are_one_request_to_a_limit() {
    let limit = Limit { scope: Scope::key("*"), per: Some(Per::Minute), max: 2, ..Limit::default() };
    let mut world = World::of(Key { limits: vec![limit], ..Key::default() }, DOCUMENT, &[]);
    for _ in 0..2 {
        let (_, second) = hedged(&mut world, PLAIN);
        assert_eq!(world.answer(second, 200, &[], ANSWER).status, 200);
    }
    assert_eq!(refused(world.chat(PLAIN).1).0, 429);
}

#[test]
fn what_the_second_answers_is_kept_where_the_key_has_answers_kept() {
    let key = Key { store_responses: Some(StoreResponses { days: 1, shared_by: Sharing::Key }), ..Key::default() };
    let mut world = World::of(key, DOCUMENT, &[]);
    let (first, step) = world.post("/v1/responses", r#"{"model":"one/m","input":"Hi"}"#);
    sent(step);
    let (second, step) = world.hedge(first).expect("a second target");
    sent(step);
    let answer = world.answer(second, 200, &[], ANSWER);
    let kept = world.gateway.unwritten.begin(world.now.plus(Millis(1_000_000)));
    assert_eq!(kept.len(), 1);
    assert_eq!(json(&answer.body)["id"].as_str(), Some(kept[0].id.as_str()));
}

#[test]
fn what_links_lead_to_is_fetched_for_both_at_once() {
    let mut world = World::of(Key::default(), &DOCUMENT.replace("openai_chat", "ollama"), &[]);
    let picture = r#"[{"type":"image_url","image_url":{"url":"https://a.example/cat.png"}}]"#;
    let (first, step) = world.chat(&PLAIN.replace("\"Hi\"", picture));
    assert!(matches!(step, Step::FetchMedia(..)), "{step:?}");
    let media = FetchedMedia { media_type: "image/png".to_owned(), bytes: b"foo".to_vec() };
    let asked_first = json(&sent(world.resume(first, Input::Media(vec![Ok(media)]))).body);
    let (_, step) = world.hedge(first).expect("a second target");
    let asked_second = json(&sent(step).body);
    assert_eq!(asked_first["messages"][0]["images"][0], "Zm9v", "{asked_first}");
    assert_eq!(asked_first["messages"], asked_second["messages"]);
}

#[test]
fn hedges_are_a_share_of_traffic() {
    let document = DOCUMENT.replace("\"percent\": 100", "\"percent\": 10");
    let mut world = World::of(Key::default(), &document, &[]);
    let mut hedges = 0;
    for _ in 0..200 {
        let (first, step) = world.chat(PLAIN);
        sent(step);
        hedges += u32::from(world.hedge(first).is_some());
        world.answer(first, 200, &[], ANSWER);
    }
    assert!((20..=22).contains(&hedges), "{hedges} of 200");
    assert_eq!(world.gateway.load().hedges_refused, 200 - u64::from(hedges));
    assert_eq!(world.gateway.calls_under_way(), 0);
}

#[test]
fn a_call_says_for_itself_whether_it_is_hedged() {
    let mut world = World::of(
        Key::default(),
        &DOCUMENT.replace("\"hedge\":", "\"throughput\": {\"tokens_per_second\": 1}, \"hedge\":"),
        &[],
    );
    for (value, expected) in [("0", None), ("700", Some(Millis(700)))] {
        let (_, step) = world.send("/v1/chat/completions", STREAM, &[("x-latchkey-hedge-ms", value)]);
        assert_eq!(sent(step).hedge, expected);
    }
    let mut off = World::of(Key::default(), r#"{"version":1}"#, &[]);
    let (_, step) = off.chat(&PLAIN.replace("one/m", "openai/gpt-4o"));
    let outbound = sent(step);
    assert_eq!((outbound.hedge, outbound.abortable), (None, false), "off, a call is as it was");
}

#[test]
fn a_target_is_waited_for_as_long_as_it_usually_takes() {
    let document = DOCUMENT.replace("\"after_ms\": 300", "\"after_ms\": 9000, \"own_p95\": true");
    let mut world = World::of(Key::default(), &document, &[]);
    let (_, step) = world.chat(STREAM);
    assert_eq!(sent(step).hedge, Some(Millis(9_000)), "nothing is known of it yet");
    let speak = |world: &mut World, region: &mut Region| {
        for _ in 0..60 {
            let (id, step) = world.chat(STREAM);
            sent(step);
            world.stream(id, &[START, WORD, DONE], Input::End);
        }
        hear_from(region, world);
    };
    let mut fixed = World::of(Key::default(), &document.replace("true", "false"), &[]);
    speak(&mut fixed, &mut Region::default());
    assert_eq!(sent(fixed.chat(STREAM).1).hedge, Some(Millis(9_000)), "as the operator says");
    let mut region = Region::default();
    speak(&mut world, &mut region);
    let (_, step) = world.chat(STREAM);
    assert!(sent(step).hedge.is_some_and(|wait| wait < Millis(100)), "its streams begin within 30 ms");
    let (_, step) = world.send("/v1/chat/completions", STREAM, &[("x-latchkey-hedge-ms", "700")]);
    assert_eq!(sent(step).hedge, Some(Millis(700)), "the call's own word counts first");
    let (_, step) = world.chat(PLAIN);
    assert_eq!(sent(step).hedge, Some(Millis(9_000)), "when its answers end is not known yet");
    for _ in 0..60 {
        let (id, step) = world.chat(PLAIN);
        sent(step);
        world.now.0 += 2_000;
        world.answer(id, 200, &[], ANSWER);
    }
    hear_from(&mut region, &mut world);
    let (_, step) = world.chat(PLAIN);
    assert!(sent(step).hedge.is_some_and(|wait| wait > Millis(1_800) && wait < Millis(2_200)), "they take two seconds");
}

/// Figures come back from the object that all isolates report to.
fn hear_from(region: &mut Region, world: &mut World) {
    let batch = latchkey::json::from_str(&world.gateway.view.batch(world.now).expect("a batch")).expect("a batch");
    let reply = region.absorb(&batch, world.now, 0).expect("a reply");
    let reply = serde_json::to_vec(&reply).expect("JSON");
    world.gateway.view.absorb(&reply, world.now).expect("taken in");
}

#[test]
fn a_caller_who_leaves_leaves_both() {
    let mut world = world();
    let (first, second) = hedged(&mut world, STREAM);
    world.resume(first, Input::Gone);
    is_over(&mut world, second);
    let rows = world.rows();
    assert_eq!((rows.len(), rows[0].status, rows[0].attempts), (2, 499, 2));
    assert!(rows.iter().all(|row| row.cost_nano.is_some_and(|cost| cost > 0)));
}

#[test]
fn both_are_held_for_and_what_both_cost_is_booked() {
    let budget = Budget {
        id: "bud".into(),
        scope: Scope::key("*"),
        limit: NanoUsd(10_000_000),
        period: Period::Total,
        ..Budget::default()
    };
    let mut world = World::of(Key { budgets: vec![budget], ..Key::default() }, DOCUMENT, &[]);
    let (_, second) = hedged(&mut world, PLAIN);
    assert_eq!(world.gateway.purse.holding(), 2);
    world.answer(second, 200, &[], ANSWER);
    assert_eq!(world.gateway.purse.holding(), 0);
    let charged = NanoUsd(world.rows().iter().map(|row| row.cost_nano.expect("a cost")).sum());
    world.report();
    let now = world.now;
    let standing = world.ledger.as_mut().and_then(|ledger| ledger.standing("bud/key_test", now)).expect("known");
    assert_eq!(standing.spent, charged.0);

    // Where the second does not fit, the first goes on alone.
    let tight = Budget { limit: NanoUsd(250_000), ..world.grant.key.budgets[0].clone() };
    let mut world = World::of(Key { budgets: vec![tight], ..Key::default() }, DOCUMENT, &[]);
    let (first, step) = world.chat(PLAIN);
    sent(step);
    if let Some((second, step)) = world.hedge(first) {
        assert!(matches!(step, Step::Wait(_) | Step::Finish(_)), "{step:?}");
        world.answer(first, 200, &[], ANSWER);
        is_over(&mut world, second);
    }
    assert_eq!((world.only_record().attempts, world.gateway.purse.holding()), (1, 0));
}

#[test]
fn nobody_is_asked_beside_the_first_whom_a_breaker_blocks() {
    let mut world = world();
    let (what, sent_at) = (What::Failed { retry_after: None, kind: Kind::Unavailable, status: Some(500) }, world.now);
    for target in ["two/m", "three/m"] {
        let outcome = Outcome { what, sent: sent_at, probe: None };
        (0..3).for_each(|_| world.gateway.view.report(target, outcome, sent_at));
    }
    let (first, step) = world.chat(PLAIN);
    assert_eq!(host(&sent(step)), "one");
    assert!(world.hedge(first).is_none());
    assert_eq!(world.answer(first, 200, &[], ANSWER).status, 200);
}
