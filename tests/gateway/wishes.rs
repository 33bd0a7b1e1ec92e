//! What a call asks for itself: further models, an order, no fallbacks, a latency budget, a cache that lives long.

use latchkey::breaker::Region;
use latchkey::budget::{Budget, Scope};
use latchkey::gateway::{Input, Step};
use latchkey::keys::Key;
use latchkey::units::NanoUsd;
use serde_json::{Value, json};

use crate::world::{World, header, json as parsed, refused, sent};

const CHAT: &str = "/v1/chat/completions";

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
    let (_, step) = world().chat(&asking(&json!({"model": "openrouter/auto", "models": ["other", "their/own"]})));
    assert_eq!(parsed(&sent(step).body)["models"], json!(["other", "their/own"]), "a router's own");
    for model in ["any", "dear/stone"] {
        let slip = json!({"model": model, "models": ["other", "gpt-4p"]});
        let (status, body) = refused(world().chat(&asking(&slip)).1);
        assert_eq!((status, &body["error"]["code"]), (404, &json!("model_not_found")), "{body}");
    }
}

/// Keys, budgets and prices know it by its short one.
#[test]
fn a_model_is_the_same_under_its_long_name() {
    let denied_models = vec!["gemini/gemini-2.5-pro".into()];
    let key = Key { denied_models, allowed_endpoints: vec!["*".into()], ..Key::default() };
    let mut world = World::with(key, None);
    for model in ["gemini/gemini-2.5-pro", "gemini/models/gemini-2.5-pro", "gemini/models/models/gemini-2.5-pro"] {
        let (status, told) = refused(world.chat(&asking(&json!({"model": model}))).1);
        assert_eq!((status, &told["error"]["code"]), (403, &json!("model_not_allowed")), "{model}");
        let passed = model.replace("gemini/", "");
        let step = world.post("/passthrough/gemini/v1beta/cachedContents", &json!({"model": passed}).to_string()).1;
        assert_eq!(refused(step).0, 403, "{passed}");
    }
    let outbound = sent(world.chat(&asking(&json!({"model": "gemini/models/gemini-2.5-flash"}))).1);
    assert!(outbound.url.contains("/models/gemini-2.5-flash:"), "{}", outbound.url);
}

/// It chooses among them by itself: nobody would see whether the key may use them, and what they cost.
#[test]
fn a_router_is_told_of_no_models_that_the_key_may_not_use() {
    let allowed = ["openrouter/openai/gpt-4o-mini", "openrouter/openai/gpt-4.1-*"].map(str::to_owned).to_vec();
    let key = Key { allowed_models: allowed, allowed_endpoints: vec!["*".into()], ..Key::default() };
    let asking = |more: &Value| {
        let mut body = more.clone();
        body["model"] = json!("openrouter/openai/gpt-4o-mini");
        asking(&body).replace("\\\\u", "\\u")
    };
    for further in [
        json!({"models": ["openai/gpt-4.1-mini", "anthropic/claude-opus-4"]}),
        json!({"mod\\u0065ls": ["anthropic/claude-opus-4"]}),
        json!({"preset": "dear"}),
        json!({"providerOptions": {"gateway": {"models": ["anthropic/claude-opus-4"]}}}),
    ] {
        let (status, body) = refused(World::with(key.clone(), None).chat(&asking(&further)).1);
        assert_eq!((status, &body["error"]["code"]), (403, &json!("model_not_allowed")), "{further}");
        let passed = asking(&further).replace("openrouter/", "");
        let step = World::with(key.clone(), None).post("/passthrough/openrouter/chat/completions", &passed).1;
        assert_eq!(refused(step).0, 403, "{further}");
    }
    for unclear in [json!("anthropic/claude-opus-4"), json!(["anthropic/claude-opus-4", null])] {
        let passed = asking(&json!({"models": unclear})).replace("openrouter/", "");
        let step = World::with(key.clone(), None).post("/passthrough/openrouter/chat/completions", &passed).1;
        let (status, body) = refused(step);
        assert_eq!((status, &body["error"]["param"]), (400, &json!("models")), "{unclear}");
    }
    let further = json!({"models": ["openai/gpt-4.1-mini"], "provider": {"sort": "price"}});
    let outbound = sent(World::with(key, None).chat(&asking(&further)).1);
    assert_eq!(parsed(&outbound.body)["models"], further["models"]);
    let budget = Budget { id: "bud".into(), scope: Scope::key("*"), limit: NanoUsd::DOLLAR, ..Budget::default() };
    let priced = r#"{"version":1,"models":{"openrouter/openai/gpt-4o-mini":
        {"prices":[{"usd_per_mtok":{"input":0.15,"output":0.6}}]}}}"#;
    let mut strict = World::with(Key { budgets: vec![budget], ..Key::default() }, Some(priced));
    for further in [
        json!({"models": ["openai/gpt-4.1-mini"]}),
        json!({"preset": "dear"}),
        json!({"providerOptions": {"gateway": {"models": ["anthropic/claude-opus-4"]}}}),
    ] {
        let (status, body) = refused(strict.chat(&asking(&further)).1);
        assert_eq!((status, &body["error"]["code"]), (400, &json!("cost_unbounded")), "{further}");
    }
    sent(strict.chat(&asking(&json!({"provider": {"sort": "price"}}))).1);
}

/// What the caller says of routing is the gateway's to read, unless the router itself is named.
#[test]
fn a_router_that_is_chosen_is_told_nothing_of_other_models() {
    let allowed = ["openai/*", "openrouter/openai/*"].map(str::to_owned).to_vec();
    let mut world = World::with(Key { allowed_models: allowed, ..Key::default() }, Some(r#"{"version":1}"#));
    let body = json!({"model": "openai/gpt-4o", "models": ["openrouter/openai/gpt-4o"],
        "provider": {"allow_fallbacks": true}});
    let (id, mut step) = world.chat(&asking(&body));
    let mut hosts = Vec::new();
    loop {
        if let Step::Wait(_) = step {
            step = world.resume(id, Input::Waited);
        }
        let Step::Send(outbound) = step else { break };
        hosts.push(outbound.url.split('/').nth(2).unwrap_or_default().to_owned());
        let sent = parsed(&outbound.body);
        assert!(sent.get("models").is_none() && sent.get("provider").is_none(), "{sent}");
        step = world.refuse(id, 500, &[], "oops");
    }
    hosts.dedup();
    assert_eq!(hosts, ["api.openai.com", "openrouter.ai"]);
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

/// Has a host answer streams after three seconds, until that is known.
fn slow(world: &mut World, model: &str) {
    let chunks: &[&[u8]] = &[b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\n", b"data: [DONE]\n\n"];
    for _ in 0..9 {
        let (id, step) = world.chat(&asking(&json!({"model": model, "stream": true})));
        sent(step);
        world.now.0 += 3_000;
        world.stream(id, chunks, Input::End);
    }
    let (mut region, now) = (Region::default(), world.now);
    let batch = world.gateway.view.batch(now).expect("something to tell");
    let reply = region.absorb(&latchkey::json::from_str(&batch).expect("a batch"), now, 1).expect("absorbed");
    world.gateway.view.absorb(&serde_json::to_vec(&reply).expect("JSON"), now).expect("a reply");
}

/// Where a streamed call goes, and what the answer says was not met.
fn streamed(world: &mut World, more: &Value, headers: &[(&str, &str)]) -> (String, Option<String>) {
    let mut more = more.clone();
    more["stream"] = json!(true);
    let (id, step) = world.send(CHAT, &asking(&more), headers);
    sent(step);
    let Step::Respond(response) =
        world.refuse(id, 400, &[("content-type", "application/json")], r#"{"error":{"message":"no"}}"#)
    else {
        panic!("expected an answer");
    };
    let told = |name| header(&response, name).map(str::to_owned);
    (told("x-latchkey-model").expect("a target"), told("x-latchkey-adjusted"))
}

#[test]
fn a_latency_budget_to_the_last_token_is_the_calls_to_set_and_the_answer_says_where_none_makes_it() {
    let mut world = world();
    slow(&mut world, "dear/stone");
    let at = |target: &str| (target.to_owned(), None);
    let both = json!({"model": "both", "max_tokens": 1});
    assert_eq!(streamed(&mut world, &both, &[]), at("dear/stone"));
    for header in ["x-latchkey-latency-budget-ms", "x-latchkey-total-latency-budget-ms"] {
        assert_eq!(streamed(&mut world, &both, &[(header, "1000")]), at("fair/stone"), "{header}");
        assert_eq!(streamed(&mut world, &both, &[(header, "9000")]), at("dear/stone"), "{header}");
    }
    let wishing = |wish: Value| json!({"model": "both", "max_tokens": 1, "provider": {"latency_budget_ms": wish}});
    for wish in [json!(1000), json!({"first_token": 1000}), json!({"total": 1000})] {
        assert_eq!(streamed(&mut world, &wishing(wish.clone()), &[]), at("fair/stone"), "{wish}");
    }
    assert_eq!(streamed(&mut world, &wishing(json!({"total": 9000})), &[]), at("dear/stone"));
    assert_eq!(refused(world.chat(&asking(&wishing(json!({"whole": 1})))).1).0, 400);

    let unmet = Some("latency_budget=unmet".to_owned());
    let alone = json!({"model": "any", "max_tokens": 1});
    assert_eq!(
        streamed(&mut world, &alone, &[("x-latchkey-latency-budget-ms", "1000")]),
        ("dear/stone".to_owned(), unmet.clone())
    );
    let strict = json!({"model": "patient", "max_tokens": 1, "provider": {"require_parameters": true, "latency_budget_ms": 1000}});
    assert_eq!(streamed(&mut world, &strict, &[]), ("dear/stone".to_owned(), unmet), "it is no parameter");
    let (id, step) = world.chat(&asking(&strict));
    sent(step);
    let Step::Wait(wait) = world.refuse(id, 503, &[], "busy") else { panic!("the only target is asked again") };
    world.now.0 += wait.0 as i64;
    sent(world.resume(id, Input::Waited));
}

/// OpenRouter's `require_parameters`: rather no answer than one that was asked for less than the caller said.
#[test]
fn who_cannot_honour_everything_is_not_asked_where_the_caller_insists() {
    let call = |model: &str, insists: bool| {
        let body = json!({"model": model, "max_tokens": 9, "logit_bias": {"50256": -100},
            "provider": {"require_parameters": insists}});
        World::default().chat(&asking(&body)).1
    };
    sent(call("anthropic/claude-sonnet-4-5", false));
    sent(call("openai/gpt-4o", true));
    let (status, answer) = refused(call("anthropic/claude-sonnet-4-5", true));
    let (param, message) = (&answer["error"]["param"], &answer["error"]["message"]);
    assert_eq!((status, param), (400, &json!("provider.require_parameters")), "{answer}");
    assert!(message.as_str().is_some_and(|message| message.contains("logit_bias=dropped")), "{message}");
}

#[test]
fn a_switch_in_a_header_is_on_off_or_a_slip() {
    let call = |value: &str| {
        World::default().send(CHAT, &asking(&json!({"model": "openai/gpt-4o"})), &[("x-latchkey-explain", value)]).1
    };
    for value in ["true", "1", "false", "0"] {
        sent(call(value));
    }
    let (status, answer) = refused(call("yes"));
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("x-latchkey-explain")));
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
