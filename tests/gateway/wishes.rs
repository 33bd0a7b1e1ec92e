//! What a call asks for itself: further models, an order, no fallbacks, a cache that lives long.

use latchkey::gateway::Step;
use latchkey::keys::Key;
use serde_json::{Value, json};

use crate::world::{World, json as parsed, refused, sent};

/// Two servers, of which the second is the cheaper, with two aliases.
const DOCUMENT: &str = r#"{"version":1,"failover":{"same_target":0},"health":{"minimum_samples":5},
    "providers":{"dear":{"base_url":"https://dear.example.com","auth":"none","models":["stone"]},
                 "fair":{"base_url":"https://fair.example.com","auth":"none","models":["stone","pebble"]}},
    "models":{"dear/stone":{"prices":[{"usd_per_mtok":{"input":5,"output":5,"cache_read":0.5}}]},
              "fair/stone":{"prices":[{"usd_per_mtok":{"input":4,"output":4,"cache_read":0.4}}]},
              "fair/pebble":{"prices":[{"usd_per_mtok":{"input":1,"output":1,"cache_read":0.1}}]}},
    "aliases":{"any":{"candidates":["dear/stone"]},"other":{"candidates":["fair/stone"]},
               "both":{"candidates":["dear/stone","fair/stone"],"fallbacks":["fair/pebble"]},
               "thrifty":{"candidates":["dear/stone","fair/stone"],"strategy":"cheapest"},
               "patient":{"candidates":["dear/stone"],"failover":{"same_target":1}}}}"#;

fn world() -> World {
    World::of(Key::default(), DOCUMENT, &[])
}

fn asking(more: &Value) -> String {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body.to_string()
}

/// All targets that a call tries while each of them fails.
fn tried(more: &Value) -> Vec<String> {
    let mut world = world();
    let (id, mut step) = world.chat(&asking(more));
    let mut tried = Vec::new();
    while let Step::Send(outbound) = step {
        let host = outbound.url.trim_start_matches("https://").split('.').next().unwrap_or_default().to_owned();
        tried.push(format!("{host}/{}", parsed(&outbound.body)["model"].as_str().unwrap_or_default()));
        step = world.refuse(id, 500, &[], "oops");
    }
    tried
}

#[test]
fn further_models_come_after_the_first_unless_all_are_to_be_sorted_as_one() {
    let sorted =
        |sort: Value| tried(&json!({"model": "dear/stone", "models": ["fair/pebble"], "provider": {"sort": sort}}));
    let by_model = ["fair/stone", "dear/stone", "fair/pebble"];
    assert_eq!(sorted(json!("price")), by_model);
    assert_eq!(sorted(json!({"by": "price", "partition": "model"})), by_model);
    assert_eq!(sorted(json!({"by": "price", "partition": "none"})), ["fair/pebble", "fair/stone", "dear/stone"]);
    let slip = json!({"model": "any", "provider": {"sort": {"by": "price", "partition": "all"}}});
    assert_eq!(refused(world().chat(&asking(&slip)).1).0, 400);
}

#[test]
fn aliases_and_further_models_go_together() {
    assert_eq!(
        tried(&json!({"model": "any", "models": ["other", "fair/pebble"]})),
        ["dear/stone", "fair/stone", "fair/pebble"]
    );
    assert_eq!(tried(&json!({"model": "dear/stone", "models": ["other"]})), ["dear/stone", "fair/stone"]);
    assert_eq!(tried(&json!({"models": ["fair/pebble", "any", "dear/stone"]})), ["fair/pebble", "dear/stone"]);
    assert_eq!(tried(&json!({"model": "both", "models": ["other"]})), ["dear/stone", "fair/stone", "fair/pebble"]);
    for model in ["any", "dear/stone"] {
        let slip = json!({"model": model, "models": ["other", "gpt-4p"]});
        let (status, body) = refused(world().chat(&asking(&slip)).1);
        assert_eq!((status, &body["error"]["code"]), (404, &json!("model_not_found")), "{body}");
    }
}

#[test]
fn without_fallbacks_only_those_are_asked_that_were_named() {
    let alone = json!({"allow_fallbacks": false});
    assert_eq!(tried(&json!({"model": "both"})), ["dear/stone", "fair/stone", "fair/pebble"]);
    assert_eq!(tried(&json!({"model": "both", "provider": alone})), ["dear/stone"]);
    assert_eq!(
        tried(&json!({"model": "both", "models": ["fair/pebble"], "provider": alone})),
        ["dear/stone", "fair/pebble"]
    );
    let ordered = json!({"allow_fallbacks": false, "order": ["fair", "dear"]});
    for model in ["both", "dear/stone"] {
        assert_eq!(tried(&json!({"model": model, "provider": ordered})), ["fair/stone", "dear/stone"], "{model}");
    }
}

#[test]
fn a_cache_that_lives_for_an_hour_holds_its_calls_for_an_hour() {
    let answer = json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3000, "completion_tokens": 2, "total_tokens": 3002}})
    .to_string();
    let rules = "These rules. ".repeat(600);
    let marked = |mark: Value| json!([{"role": "system", "content": [{"type": "text", "text": rules, "cache_control": mark}]}, {"role": "user", "content": "hi"}]);
    let plain =
        json!([{"role": "system", "content": rules}, {"role": "user", "content": "The \"ttl\":\"1h\" of a cache?"}]);
    for (messages, retention, hours) in [
        (marked(json!({"type": "ephemeral", "ttl": "1h"})), Value::Null, 1),
        (marked(json!({"type": "ephemeral"})), Value::Null, 0),
        (plain.clone(), json!("24h"), 24),
        (plain, json!("in_memory"), 0),
    ] {
        let mut world = world();
        let body = |more: Value| {
            let mut body = json!({"model": "thrifty", "messages": messages, "prompt_cache_retention": retention});
            for (name, value) in more.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            body.to_string()
        };
        let (id, step) = world.chat(&body(json!({"provider": {"only": ["dear"]}})));
        sent(step);
        world.answer(id, 200, &[], &answer);
        let mut host_after = |minutes: i64| {
            world.now.0 += minutes * 60_000;
            sent(world.chat(&body(json!({}))).1).url.contains("dear")
        };
        assert!(host_after(4), "{messages}");
        assert_eq!(host_after(50), hours >= 1, "{messages} {retention}");
        assert_eq!(host_after(22 * 60), hours >= 24, "{messages} {retention}");
    }
}
