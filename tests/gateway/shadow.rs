//! Shadow traffic: beside the answer, by the same rules, at its own expense.

use latchkey::gateway::{CallId, Input, Setup, Step};
use latchkey::keys::Key;
use latchkey::provider::Registry;
use latchkey::sorted::SortedMap;
use serde_json::{Value, json};

use crate::world::{World, header, json as parsed, sent};

fn document(limit: f64, rules: &Value) -> String {
    json!({"version": 1,
        "aliases": {"any": {"candidates": [{"model": "openai/gpt-4o-mini", "with": {"max_tokens": 7}}]}},
        "experiments": {"next": {"alias": "any", "by": "call", "variants": {"newer": {"share": 1,
            "candidates": [{"model": "anthropic/claude-haiku-4-5", "with": {"temperature": 0.1}}],
            "shadow": {"limit": limit, "period": "day"}}}}},
        "rules": rules})
    .to_string()
}

fn world(key: Key, limit: f64) -> World {
    World::of(key, &document(limit, &json!([])), &[])
}

const ASKED: &str = r#"{"model":"any","max_tokens":50,"messages":[{"role":"user","content":"Where?"}]}"#;
const SERVED: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Rome"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
const SHADOWED: &str = r#"{"id":"s","type":"message","role":"assistant","model":"claude-haiku-4-5","stop_reason":"end_turn","content":[{"type":"text","text":"Paris"}],"usage":{"input_tokens":10,"output_tokens":3}}"#;

/// Begins the shadow of a call; gives it with its first step once the ledger was asked.
fn follow(world: &mut World, id: CallId) -> (CallId, Step) {
    let (shadow, step) = world.gateway.begin_shadow(id, world.now).expect("a shadow");
    (shadow, world.after_ledger(shadow, step))
}

/// Puts a version in force by which shadows have this budget.
fn set_up(world: &mut World, limit: f64, version: u32) {
    let config = latchkey::config::read(document(limit, &json!([])).as_bytes()).expect("a document");
    let keys = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"].map(|name| (name.to_owned(), "k".to_owned()));
    let registry = Registry::new(&SortedMap::from_iter(keys), &config, true);
    let secrets = world.gateway.setup().secrets.clone();
    world.gateway.set_up(Setup { registry, config, version, secrets });
}

#[test]
fn a_shadow_is_a_call_of_its_own_that_nobody_waits_for() {
    let mut world = world(Key { log_content: true, ..Key::default() }, 1.0);
    let (id, step) = world.send("/v1/chat/completions", ASKED, &[("x-latchkey-user", "ada")]);
    assert!(sent(step).shadow);
    let (shadow, step) = follow(&mut world, id);
    let asked = sent(step);
    assert!(asked.url.contains("anthropic") && !asked.shadow, "a shadow has none");
    let body = parsed(&asked.body);
    assert_eq!(body["temperature"], 0.1, "what its candidate changes");
    assert_eq!(body["max_tokens"], 50, "and not what that of the call does");
    assert!(world.gateway.begin_shadow(id, world.now).is_none(), "one is enough");
    world.answer(shadow, 200, &[], SHADOWED);
    let response = world.answer(id, 200, &[], SERVED);
    assert_eq!(header(&response, "x-latchkey-variant"), Some("next:control"), "the caller is served as ever");
    let records = world.records();
    let [shadow, call] = records.as_slice() else { panic!("two records: {records:?}") };
    assert_eq!((shadow.role, shadow.made_for.as_deref()), (Some("shadow"), Some(call.request_id.as_str())));
    assert_eq!((shadow.variant.as_deref(), call.variant.as_deref()), (Some("next:newer"), Some("next:control")));
    assert_eq!((shadow.key_id.as_str(), call.key_id.as_str()), ("shadow_next.newer", "key_test"));
    assert!(shadow.cost_nano.is_some_and(|cost| cost > 0));
    let contents: Vec<(bool, bool)> = world
        .gateway
        .contents
        .iter()
        .map(|kept| (kept.request_id == call.request_id, kept.content.contains("Rome")))
        .collect();
    assert_eq!(contents, [(false, false), (true, true)], "both answers are kept");
    assert!(world.gateway.contents[0].content.contains("Paris"));
}

#[test]
fn what_a_second_target_answers_is_kept_beside_its_shadow() {
    let document =
        document(1.0, &json!([])).replacen("{", r#"{"failover": {"hedge": {"after_ms": 300, "percent": 100}},"#, 1);
    let document = document.replace("7}}]", r#"7}},"openai/gpt-4o"]"#);
    let mut world = World::of(Key { log_content: true, ..Key::default() }, &document, &[]);
    let (id, step) = world.chat(ASKED);
    assert!(sent(step).shadow);
    let (second, step) = world.hedge(id).expect("a second target");
    sent(step);
    world.answer(second, 200, &[], SERVED);
    assert_eq!(world.gateway.contents.len(), 1);
}

#[test]
fn contents_are_kept_only_where_the_key_says_so() {
    let mut world = world(Key::default(), 1.0);
    let (id, step) = world.chat(ASKED);
    sent(step);
    let (shadow, _) = follow(&mut world, id);
    world.answer(shadow, 200, &[], SHADOWED);
    world.answer(id, 200, &[], SERVED);
    assert!(world.gateway.contents.is_empty());
    assert_eq!(world.records().len(), 2, "figures are");
}

#[test]
fn shadows_end_where_their_budget_does() {
    // Half of a thousandth of a cent: not enough for the worst case of one.
    let mut world = world(Key::default(), 0.000_005);
    let (id, step) = world.chat(ASKED);
    sent(step);
    let (shadow, mut step) = follow(&mut world, id);
    for _ in 0..40 {
        let Step::Wait(_) = step else { break };
        world.now.0 += 150;
        step = world.resume(shadow, Input::Waited);
    }
    assert!(matches!(step, Step::Respond(response) if response.status == 402), "refused by its own budget");
    assert_eq!(world.answer(id, 200, &[], SERVED).status, 200, "and the caller never knows");
}

#[test]
fn a_later_version_may_give_shadows_another_budget() {
    let mut world = world(Key::default(), 0.000_005);
    for (limit, version, is_sent) in [(0.000_005, 7, false), (1.0, 8, true)] {
        set_up(&mut world, limit, version);
        // What its lease said before is over.
        world.now.0 += 10_000;
        let (id, step) = world.chat(ASKED);
        sent(step);
        let (shadow, mut step) = follow(&mut world, id);
        while let Step::Wait(_) = step {
            world.now.0 += 150;
            step = world.resume(shadow, Input::Waited);
        }
        assert_eq!(matches!(step, Step::Send(_)), is_sent, "version {version}: {step:?}");
    }
}

#[test]
fn what_a_ledger_says_of_an_older_version_is_not_believed() {
    let mut world = world(Key::default(), 0.000_005);
    let (id, step) = world.chat(ASKED);
    sent(step);
    let (shadow, asking) = world.gateway.begin_shadow(id, world.now).expect("a shadow");
    set_up(&mut world, 1.0, 8);
    assert!(matches!(world.after_ledger(shadow, asking), Step::Respond(_)), "it was asked before");
    world.now.0 += 1;
    let (id, step) = world.chat(ASKED);
    sent(step);
    assert!(matches!(follow(&mut world, id).1, Step::Send(_)));
}

#[test]
fn a_shadow_that_waits_pays_from_the_budget_of_the_version_in_force() {
    let mut world = world(Key::default(), 0.000_5);
    for is_first in [true, false] {
        let (id, step) = world.chat(ASKED);
        sent(step);
        let (shadow, step) = follow(&mut world, id);
        if is_first {
            sent(step);
            continue;
        }
        assert!(matches!(step, Step::Wait(_)), "the first one holds what there is: {step:?}");
        set_up(&mut world, 1.0, 8);
        world.now.0 += 150;
        let woken = world.resume(shadow, Input::Waited);
        assert!(matches!(world.after_ledger(shadow, woken), Step::Send(_)));
    }
}

#[test]
fn a_shadow_goes_nowhere_its_call_may_not_go() {
    let rules = json!([{"name": "home", "when": {"tag": "private"}, "ignore": ["anthropic/*"]}]);
    let mut world = World::of(Key::default(), &document(1.0, &rules), &[]);
    let (id, step) = world.send("/v1/chat/completions", ASKED, &[("x-latchkey-tags", "private")]);
    sent(step);
    let (_, step) = follow(&mut world, id);
    assert!(matches!(step, Step::Respond(response) if response.status == 503), "no target is left for it");
    let mut world = self::world(Key { denied_providers: vec!["anthropic".to_owned()], ..Key::default() }, 1.0);
    let (id, step) = world.chat(ASKED);
    sent(step);
    assert!(matches!(follow(&mut world, id).1, Step::Respond(response) if response.status == 403));
}

#[test]
fn a_shadow_that_fails_is_not_repeated_and_its_record_says_so() {
    let mut world = world(Key::default(), 1.0);
    let (id, step) = world.chat(ASKED);
    sent(step);
    let (shadow, step) = follow(&mut world, id);
    sent(step);
    let step = world.refuse(shadow, 500, &[], "oops");
    assert!(matches!(step, Step::Respond(_)), "{step:?}");
    world.answer(id, 200, &[], SERVED);
    let records = world.records();
    assert!(records[0].error.is_some() && records[0].attempts == 1 && records[1].error.is_none());
}
