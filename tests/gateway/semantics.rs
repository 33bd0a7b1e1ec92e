//! Routes described by example phrases: vectors learnt once, a call's own asked in time or not at all.

use latchkey::gateway::{CallId, Input, Step};
use latchkey::keys::Key;
use serde_json::{Value, json};

use crate::world::{World, json as parsed, sent};

fn document() -> String {
    json!({"version": 1,
        "semantics": {"model": "openai/text-embedding-3-small", "within_ms": 200, "least_similarity": 0.7,
            "routes": {"refunds": ["I want my money back"], "code": ["fix this bug"]}},
        "aliases": {"any": {"candidates": [
            {"model": "anthropic/claude-haiku-4-5", "when": {"means": "refunds"}}, "openai/gpt-4o-mini"]}}})
    .to_string()
}

fn embeddings(vectors: &[[f64; 2]]) -> String {
    let data: Vec<Value> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    json!({"object": "list", "model": "text-embedding-3-small", "data": data,
        "usage": {"prompt_tokens": 5, "total_tokens": 5}})
    .to_string()
}

/// A gateway that has the vectors of its phrases: refunds point right, code points up.
fn learnt() -> World {
    let mut world = World::of(Key::default(), &document(), &[]);
    assert!(world.gateway.lacks_vectors());
    let (id, step) = world.gateway.begin_vectors(world.now).expect("phrases");
    let step = world.after_ledger(id, step);
    assert_eq!(parsed(&sent(step).body)["input"], json!(["fix this bug", "I want my money back"]));
    let response = world.answer(id, 200, &[], &embeddings(&[[0.0, 1.0], [1.0, 0.0]]));
    assert!(world.gateway.learn(&response.body).is_some() && !world.gateway.lacks_vectors());
    let record = world.only_record();
    assert_eq!((record.role, record.key_id.as_str()), (Some("embedding"), "semantics"));
    world
}

fn asking(model: &str, text: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": text}]}).to_string()
}

/// Plays the embedding model to a call that waits for it; gives the step that follows.
fn embedded(world: &mut World, id: CallId, vector: [f64; 2]) -> Step {
    let (inner, step) = world.gateway.begin_inner(id, world.now).expect("it waits for a vector");
    let step = world.after_ledger(inner, step);
    let outbound = sent(step);
    assert!(outbound.url.ends_with("/embeddings") && outbound.total_left.0 == 200, "{outbound:?}");
    let response = world.answer(inner, 200, &[], &embeddings(&[vector]));
    world.resume(id, Input::Inner(200, &response.body))
}

#[test]
fn a_call_goes_where_its_meaning_leads_and_is_compared_once() {
    let mut world = learnt();
    let explain = [("x-latchkey-explain", "true")];
    let (id, step) = world.send("/v1/chat/completions", &asking("any", "Give me back what I paid."), &explain);
    assert!(matches!(step, Step::Inner), "{step:?}");
    let outbound = sent(embedded(&mut world, id, [0.9, 0.1]));
    assert!(outbound.url.contains("anthropic"), "{}", outbound.url);
    let answer = r#"{"id":"s","type":"message","role":"assistant","model":"m","stop_reason":"end_turn","content":[{"type":"text","text":"Sure"}],"usage":{"input_tokens":10,"output_tokens":3}}"#;
    let told = parsed(&world.answer(id, 200, &[], answer).body);
    assert_eq!(told["latchkey"]["meaning"]["route"], "refunds", "{told}");
    assert!(told["latchkey"]["meaning"]["similarity"].as_f64().is_some_and(|near| near > 0.9));
    let (_, step) = world.chat(&asking("any", "Give me back what I paid."));
    assert!(sent(step).url.contains("anthropic"), "the same words are known");
    let (id, _) = world.chat(&asking("any", "Please fix it."));
    assert!(sent(embedded(&mut world, id, [0.1, 0.9])).url.contains("openai"), "another route");
    let (id, _) = world.chat(&asking("any", "Good morning!"));
    assert!(sent(embedded(&mut world, id, [-1.0, -0.2])).url.contains("openai"), "no route");
}

#[test]
fn a_vector_that_does_not_come_in_time_is_done_without() {
    let mut world = learnt();
    for told in [Input::Inner(504, b"{}"), Input::Inner(200, b"oops"), Input::Inner(200, b"{\"data\":[]}")] {
        let (id, step) = world.chat(&asking("any", "Give me back what I paid."));
        assert!(matches!(step, Step::Inner), "what failed is not remembered");
        world.gateway.begin_inner(id, world.now);
        assert!(sent(world.resume(id, told)).url.contains("openai"));
    }
}

#[test]
fn whoever_asks_for_no_meaning_pays_for_none() {
    let mut world = learnt();
    let (_, step) = world.chat(&asking("openai/gpt-4o", "Give me back what I paid."));
    assert!(sent(step).url.contains("openai"));
    let mut unlearnt = World::of(Key::default(), &document(), &[]);
    let (_, step) = unlearnt.chat(&asking("any", "Give me back what I paid."));
    assert!(sent(step).url.contains("openai"), "without the phrases' vectors nothing is compared");
}

#[test]
fn a_caller_who_leaves_while_the_vector_is_awaited_is_gone() {
    let mut world = learnt();
    let (id, _) = world.chat(&asking("any", "Give me back what I paid."));
    assert!(matches!(world.resume(id, Input::Gone), Step::Finish(_)));
    assert_eq!(world.gateway.calls_under_way(), 0);
}
