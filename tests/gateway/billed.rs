//! What attempts are charged that came to nothing, of which a provider may bill more than was seen, or of which nobody hears
//! again.

use latchkey::budget::{Budget, Enforcement};
use latchkey::gateway::{Deadline, Input, Setup, Step};
use latchkey::keys::{Key, OnDisconnect};
use latchkey::limit::Unit;
use latchkey::provider::Registry;
use latchkey::sorted::SortedMap;
use latchkey::units::{Millis, NanoUsd};

use super::funds::{ANSWER, CALL, PRICED, WORST, budget, limit, spent, world};
use super::world::{World, refused, sent};

/// The provider made all of it, at the caller's wish, and bills it: so does whoever is asked next.
#[test]
fn an_answer_that_is_too_long_is_charged_and_nobody_is_asked_again() {
    let document = PRICED.replace(r#""failover": {"enabled": false}, "health": {"enabled": false}, "#, "").replace(
        r#""cave/m": {"#,
        r#""cave/free": {"prices": [{"usd_per_mtok": {"input": 2, "output": 8}}]}, "cave/m": {"#,
    );
    let call = CALL.replace("\"messages\"", "\"models\":[\"cave/free\"],\"messages\"");
    for enforcement in [Enforcement::Strict, Enforcement::Soft] {
        let key = Key { budgets: vec![Budget { enforcement, ..budget(10_000_000) }], ..Key::default() };
        let mut world = World::with(key, Some(&document));
        for _ in 0..4 {
            let (id, step) = world.chat(&call);
            sent(step);
            assert!(matches!(world.resume(id, Input::Headers(200, &[])), Step::ReadBody(_)));
            let (status, told) = refused(world.resume(id, Input::TooLong));
            assert_eq!((status, &told["error"]["code"]), (413, &"answer_too_large".into()), "{told}");
            assert!(told["error"]["message"].as_str().is_some_and(|said| said.contains("`answer_bytes`")), "{told}");
        }
        assert!(spent(&mut world) > 4 * WORST, "what was held");
        let (id, step) = world.chat(&call);
        sent(step);
        world.resume(id, Input::Headers(404, &[]));
        let next = world.resume(id, Input::TooLong);
        assert!(
            matches!(next, Step::Wait(_) | Step::Send(_)),
            "after an error somebody is asked again, however long it is"
        );
    }
}

/// Whether a key has a budget or none: what the provider may bill is in the record, and says how sure it is.
#[test]
fn an_attempt_that_the_provider_may_bill_is_in_the_record_of_every_key() {
    let prompt = 2_000 * i64::try_from(CALL.len().div_ceil(4)).expect("a length");
    let strict = budget(100_000_000);
    let soft = Budget { enforcement: Enforcement::Soft, ..strict.clone() };
    for (budgets, estimate, ceiling) in [
        (Vec::new(), "settled_estimate", "settled_estimate"),
        (vec![soft], "settled_estimate", "committed_ceiling"),
        (vec![strict], "committed_ceiling", "committed_ceiling"),
    ] {
        let rows = |kind: &str, ending: Input<'_>| {
            let mut world = world(budgets.clone(), Vec::new());
            let (id, step) = world.chat(CALL);
            sent(step);
            assert!(matches!(world.resume(id, Input::Headers(200, &[("content-type", kind)])), Step::ReadBody(_)));
            let (status, _) = refused(world.resume(id, ending));
            assert!(status >= 400);
            let rows = world.rows();
            assert_eq!((rows[0].state, rows[0].cost_nano), ("released", None), "what the caller got cost them nothing");
            rows
        };
        let broken = &rows("application/json", Input::Broken("connection lost"))[1];
        assert_eq!(broken.state, estimate);
        assert!(broken.cost_nano.is_some_and(|cost| if estimate == ceiling { cost >= prompt } else { cost == prompt }));
        let long = &rows("application/json", Input::TooLong)[1];
        assert_eq!(long.state, ceiling);
        assert!(long.cost_nano.is_some_and(|cost| cost > WORST && cost < 2 * WORST), "its worst case: {long:?}");
        let page = rows("text/html", Input::Body(b"<html>Welcome</html>"));
        assert_eq!(page.len(), 1, "a page is nobody's work: {page:?}");
    }
}

/// The platform ends what goes on behind an answer, such as a shadow, without a word.
#[test]
fn a_call_that_nobody_drives_any_longer_is_recorded_and_ends() {
    for on_disconnect in [OnDisconnect::Abort, OnDisconnect::Drain] {
        let soft = Budget { enforcement: Enforcement::Soft, ..budget(100_000_000) };
        let mut world = World::with(Key { budgets: vec![soft], on_disconnect, ..Key::default() }, Some(PRICED));
        sent(world.chat(CALL).1);
        world.report();
        let total = latchkey::config::Deadlines::default().total;
        // A configuration that gives calls less time holds for those that are sent from then on.
        let hurried = br#"{"version":1,"limits":{"deadlines":{"total_ms":1000}}}"#;
        let config = latchkey::config::read(hurried).expect("a document");
        let registry = Registry::new(&SortedMap::new(), &config, true);
        world.gateway.set_up(Setup { registry, config, version: 8, secrets: None });
        world.now = world.now.plus(Millis(total.0 + 19_000));
        world.gateway.end_lost(world.now);
        assert_eq!(world.gateway.calls_under_way(), 1, "it may still be driven");
        world.now = world.now.plus(Millis(2_000));
        world.gateway.end_lost(world.now);
        let record = world.only_record();
        assert_eq!((record.status, record.state), (499, "settled_estimate"));
        assert_eq!(world.gateway.purse.holding(), 0);
        assert_eq!(Some(spent(&mut world)), record.cost_nano, "the ledger says the same");
    }
}

#[test]
fn an_error_whose_body_never_comes_costs_nothing() {
    for (budgets, spends) in [(vec![budget(10_000_000)], true), (Vec::new(), false)] {
        let mut world = world(budgets, Vec::new());
        let (id, step) = world.chat(CALL);
        sent(step);
        assert!(matches!(world.resume(id, Input::Headers(503, &[])), Step::ReadBody(_)));
        assert_eq!(refused(world.resume(id, Input::Expired(Deadline::Total))).0, 504);
        assert!(world.rows().iter().all(|row| row.cost_nano.unwrap_or(0) == 0));
        assert!(!spends || spent(&mut world) == 0);
    }
}

#[test]
fn what_is_not_known_for_sure_is_charged_at_its_worst_case_under_a_strict_budget() {
    let soft = Budget { enforcement: Enforcement::Soft, ..budget(NanoUsd::DOLLAR.0) };
    for (budget, state) in [(budget(NanoUsd::DOLLAR.0), "committed_ceiling"), (soft, "settled_estimate")] {
        let mut world = world(vec![budget], Vec::new());
        let (id, step) = world.chat(CALL);
        sent(step);
        world.resume(id, Input::Gone);
        let record = world.gateway.records.take(9).pop().expect("a record");
        assert_eq!(record.state, state);
        assert_eq!(record.cost_nano, Some(spent(&mut world)), "the database will have what the ledger has");
        let least = if state == "committed_ceiling" { WORST } else { 1 };
        assert!(record.cost_nano.is_some_and(|cost| cost >= least && cost < 2 * WORST), "{record:?}");
    }
}

#[test]
fn what_is_estimated_beyond_the_worst_case_is_charged_as_estimated() {
    let mut world = world(vec![budget(NanoUsd::DOLLAR.0)], Vec::new());
    let (id, step) = world.chat(CALL);
    sent(step);
    // Ten times as long as was allowed, and not a word of usage.
    let long = ANSWER.replace("\"ho\"", &format!("\"{}\"", "x".repeat(4_000)));
    let (answer, _) = long.split_once(",\n    \"usage\"").expect("usage");
    world.answer(id, 200, &[], &format!("{answer}}}"));
    let cost = world.only_record().cost_nano.expect("a cost");
    assert!(cost > 10 * WORST, "{cost}");
    assert_eq!(cost, spent(&mut world));
}

#[test]
fn what_the_attempt_before_held_is_held_no_more() {
    let fallback = r#""fallbacks": {"cave/m": ["openai/gpt-4o"]}, "failover": {"same_target": 0}"#;
    let document = PRICED.replace(r#""failover": {"enabled": false}"#, fallback);
    let key = Key { budgets: vec![budget(NanoUsd::DOLLAR.0)], ..Key::default() };
    let mut world = World::with(key, Some(&document));
    let (id, step) = world.chat(CALL);
    sent(step);
    sent(world.refuse(id, 500, &[], "{}"));
    assert_eq!(world.gateway.purse.holding(), 1);
    world.answer(id, 200, &[], ANSWER);
    assert_eq!(world.gateway.purse.holding(), 0);
}

#[test]
fn who_leaves_is_recorded_once_somebody_was_asked() {
    let mut waiting = world(Vec::new(), vec![limit(Unit::Parallel, 1)]);
    sent(waiting.chat(CALL).1);
    let (id, step) = waiting.chat(CALL);
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
    waiting.resume(id, Input::Gone);
    assert!(waiting.records().is_empty(), "nobody was asked");

    let document = PRICED.replace(r#""failover": {"enabled": false}"#, r#""failover": {"backoff_ms": 1000}"#);
    let mut world = World::with(Key::default(), Some(&document));
    let (id, step) = world.chat(CALL);
    sent(step);
    let step = world.refuse(id, 500, &[], "{}");
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
    world.resume(id, Input::Gone);
    let record = world.only_record();
    assert_eq!((record.status, record.attempts, record.cost_nano), (499, 1, None));
    assert!(record.error.is_some(), "{record:?}");
}

#[test]
fn an_attempt_that_nobody_waited_for_may_be_billed() {
    let mut world = world(vec![budget(NanoUsd::DOLLAR.0)], Vec::new());
    let (id, step) = world.chat(CALL);
    sent(step);
    let Step::Respond(answer) = world.resume(id, Input::Expired(Deadline::Total)) else { panic!("still waiting") };
    assert_eq!(answer.status, 504);
    let rows = world.gateway.records.take(9);
    let states: Vec<_> = rows.iter().map(|row| (row.seq, row.state)).collect();
    assert_eq!(states, [(0, "released"), (1, "committed_ceiling")]);
    let cost: i64 = rows.iter().filter_map(|row| row.cost_nano).sum();
    assert!(cost >= WORST, "{cost}");
    assert_eq!(cost, spent(&mut world));
}

#[test]
fn counting_tokens_costs_nothing_and_fits_every_budget() {
    let mut world = World::with(Key { budgets: vec![budget(1)], ..Key::default() }, None);
    let body = r#"{"model":"anthropic/claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}"#;
    let (id, step) = world.send("/v1/messages/count_tokens", body, &[("anthropic-version", "2023-06-01")]);
    sent(step);
    world.answer(id, 200, &[], r#"{"input_tokens":8}"#);
    assert_eq!(spent(&mut world), 0);
    world.records();
    let (id, step) = world.send("/v1/messages/count_tokens", body, &[("anthropic-version", "2023-06-01")]);
    sent(step);
    world.resume(id, Input::Gone);
    let left = world.only_record();
    assert_eq!((left.status, left.cost_nano.unwrap_or_default()), (499, 0), "nor where nobody waits for it");
    assert_eq!(spent(&mut world), 0);
}
