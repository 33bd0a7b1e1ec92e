//! Where calls go: aliases, rules, strategies and experiments, and the recipes of the README.

use std::collections::BTreeMap;

use latchkey::breaker::Region;
use latchkey::gateway::{CallId, Step};
use latchkey::keys::Key;
use serde_json::{Value, json};

use crate::world::{World, header, json as parsed, refused, sent};

const ANSWER: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

/// The configuration of a recipe, out of the README: the block of JSON that follows its heading.
fn recipe(heading: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, after) = readme.split_once(heading).unwrap_or_else(|| panic!("no recipe `{heading}`"));
    let (_, block) = after.split_once("```json\n").expect("a block");
    block.split_once("```").expect("its end").0.to_owned()
}

fn world(document: &str) -> World {
    World::of(
        Key::default(),
        document,
        &[("AZURE_API_KEY", "k"), ("AZURE_BASE_URL", "https://eu.example.com/openai/v1")],
    )
}

fn asking(model: &str, text: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": text}]}).to_string()
}

/// Where a call is sent first, as `x-latchkey-model` says.
fn target(world: &mut World, body: &str, headers: &[(&str, &str)]) -> String {
    let (id, step) = world.send("/v1/chat/completions", body, headers);
    sent(step);
    served_by(world, id)
}

fn served_by(world: &mut World, id: CallId) -> String {
    let response = world.refuse(id, 400, &[("content-type", "application/json")], r#"{"error":{"message":"no"}}"#);
    let Step::Respond(response) = response else { panic!("expected an answer, not {response:?}") };
    header(&response, "x-latchkey-model").expect("a target").to_owned()
}

/// What `x-latchkey-explain` tells of a call that its first target serves.
fn explained(world: &mut World, body: &str, headers: &[(&str, &str)]) -> Value {
    let mut all = vec![("x-latchkey-explain", "true")];
    all.extend_from_slice(headers);
    let (id, step) = world.send("/v1/chat/completions", body, &all);
    sent(step);
    parsed(&world.answer(id, 200, &[], ANSWER).body)["latchkey"].clone()
}

#[test]
fn cheap_by_default_and_strong_when_hard() {
    let mut world = world(&recipe("#### Cheap by default, strong when hard"));
    assert_eq!(target(&mut world, &asking("auto", "hi, how are you?"), &[]), "openai/gpt-4o-mini");
    let hard = "Prove the spectral theorem for unbounded self-adjoint operators.";
    assert_eq!(target(&mut world, &asking("auto", hard), &[]), "openai/gpt-4o");
    let told = json!({"model": "auto", "reasoning_effort": "high", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(target(&mut world, &told.to_string(), &[]), "openai/gpt-4o");
}

#[test]
fn of_two_words_for_one_thing_the_bodys_counts_then_the_headers_then_the_keys() {
    let document = r#"{"version": 1, "aliases": {"any": {"candidates": [
        {"model": "openai/gpt-4o", "when": {"metadata": {"role": "body"}}},
        {"model": "openai/gpt-4.1", "when": {"metadata": {"role": "portkey"}}},
        {"model": "openai/gpt-4.1-mini", "when": {"metadata": {"role": "litellm"}}},
        {"model": "openai/gpt-4o-mini", "when": {"metadata": {"role": "key"}}}]}}}"#;
    let metadata = [("role".to_owned(), "key".to_owned())].into_iter().collect();
    let mut world = World::of(Key { metadata, ..Key::default() }, document, &[]);
    let mut in_body: Value = serde_json::from_str(&asking("any", "hi")).expect("JSON");
    in_body["metadata"] = json!({"role": "body"});
    let portkey = ("x-portkey-metadata", r#"{"role": "portkey"}"#);
    let litellm = ("x-litellm-spend-logs-metadata", r#"{"role": "litellm"}"#);
    assert_eq!(target(&mut world, &in_body.to_string(), &[litellm, portkey]), "openai/gpt-4o");
    assert_eq!(target(&mut world, &asking("any", "hi"), &[litellm, portkey]), "openai/gpt-4.1");
    assert_eq!(target(&mut world, &asking("any", "hi"), &[litellm]), "openai/gpt-4.1-mini");
    assert_eq!(target(&mut world, &asking("any", "hi"), &[]), "openai/gpt-4o-mini");
}

#[test]
fn tagged_traffic_stays_in_the_eu() {
    let mut world = world(&recipe("#### EU only for tagged traffic"));
    let body = asking("assistant", "hi");
    assert_eq!(target(&mut world, &body, &[]), "openai/gpt-4o");
    assert_eq!(target(&mut world, &body, &[("x-latchkey-tags", "web, health-records")]), "azure/gpt-4o");
    let (_, step) =
        world.send("/v1/chat/completions", &asking("openai/gpt-4o", "hi"), &[("x-latchkey-tags", "health-records")]);
    let (status, body) = refused(step);
    assert_eq!(status, 503);
    assert!(body["error"]["message"].as_str().is_some_and(|text| text.contains("jurisdiction")), "{body}");
    assert!(body["error"].get("excluded").is_none(), "nobody asked: {body}");
    let explained = [("x-latchkey-tags", "health-records"), ("x-latchkey-explain", "true")];
    let (_, body) = refused(world.send("/v1/chat/completions", &asking("openai/gpt-4o", "hi"), &explained).1);
    let out = json!([{"target": "openai/gpt-4o", "reason": "jurisdiction", "rule": "eu only"}]);
    assert_eq!(body["error"]["excluded"], out, "{body}");
}

#[test]
fn a_canary_gets_its_share_by_session() {
    let mut world = world(&recipe("#### Canary of a new model"));
    let body = asking("assistant", "hi");
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for session in 0..200 {
        let session = format!("s{session}");
        let first = target(&mut world, &body, &[("x-latchkey-session", &session)]);
        assert_eq!(target(&mut world, &body, &[("x-latchkey-session", &session)]), first, "sticky");
        *counts.entry(first).or_default() += 1;
    }
    let canary = counts.get("openai/gpt-4.1").copied().unwrap_or(0);
    assert!((8..=35).contains(&canary), "{counts:?}");
    let (id, step) = world.send("/v1/chat/completions", &body, &[("x-latchkey-session", "s0")]);
    sent(step);
    let response = world.answer(id, 200, &[], ANSWER);
    assert!(header(&response, "x-latchkey-variant").is_some_and(|variant| variant.starts_with("newer-model:")));
}

#[test]
fn a_canary_that_fails_is_stopped() {
    let mut world = world(&recipe("#### Canary of a new model"));
    let body = asking("assistant", "hi");
    let mut late = 0;
    for session in 0..2_000 {
        let session = format!("s{session}");
        let (id, step) = world.send("/v1/chat/completions", &body, &[("x-latchkey-session", &session)]);
        let outbound = sent(step);
        if String::from_utf8_lossy(&outbound.body).contains("gpt-4.1") {
            late += u32::from(session.len() == 5);
            // The control serves its caller all the same.
            let next = sent(world.refuse(id, 501, &[], "down"));
            assert!(String::from_utf8_lossy(&next.body).contains("gpt-4o"));
            world.answer(id, 200, &[], ANSWER);
        } else {
            world.answer(id, 200, &[], ANSWER);
        }
    }
    assert_eq!(late, 0, "the canary still gets calls after a thousand");
}

#[test]
fn slow_targets_are_left_out_of_a_latency_budget() {
    let mut world = world(&recipe("#### Two-second latency budget"));
    let body = json!({"model": "quick", "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    // Until enough was seen, nothing is known against the first.
    let chunks: &[&[u8]] = &[b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"];
    for _ in 0..30 {
        let (id, step) = world.send("/v1/chat/completions", &body, &[]);
        sent(step);
        world.now.0 += 3_000;
        world.stream(id, chunks, latchkey::gateway::Input::End);
    }
    hear_from_the_region(&mut world);
    let (id, step) = world.send("/v1/chat/completions", &body, &[("x-latchkey-explain", "true")]);
    sent(step);
    let streamed = world.stream(id, chunks, latchkey::gateway::Input::End);
    assert_eq!(header(&streamed.head, "x-latchkey-model"), Some("openai/gpt-4o-mini"));
    assert!(streamed.text.contains("latency_budget"), "{}", streamed.text);
}

#[test]
fn the_fastest_is_known_where_no_call_is_streamed() {
    let document = r#"{"version":1,"aliases":{"quick":{"strategy":"fastest",
        "candidates":["openai/gpt-4o","openai/gpt-4o-mini","deepseek/deepseek-v4-flash"]},
        "swift":{"candidates":["openai/gpt-4o","openai/gpt-4o-mini"]},
        "soon":{"candidates":["openai/gpt-4o","openai/gpt-4o-mini"],"latency_budget":{"total_ms":2000}}}}"#;
    let mut world = world(document);
    for (model, takes) in [("openai/gpt-4o", 4_000), ("openai/gpt-4o-mini", 900), ("deepseek/deepseek-v4-flash", 2_000)]
    {
        for _ in 0..25 {
            let (id, step) = world.chat(&asking(model, "hi"));
            sent(step);
            world.now.0 += takes;
            world.answer(id, 200, &[], ANSWER);
        }
    }
    hear_from_the_region(&mut world);
    let told = explained(&mut world, &asking("quick", "hi"), &[]);
    let order: Vec<&str> =
        told["candidates"].as_array().expect("an order").iter().filter_map(|one| one["target"].as_str()).collect();
    assert_eq!(order, ["openai/gpt-4o-mini", "deepseek/deepseek-v4-flash", "openai/gpt-4o"]);
    let first = &told["candidates"][0]["telemetry"];
    assert!(first["whole_p50_ms"].as_u64().is_some_and(|whole| (860..=980).contains(&whole)), "{first}");
    assert!(first["first_token_p50_ms"].is_null(), "no stream was seen: {first}");
    let told = explained(&mut world, &asking("swift:nitro", "hi"), &[]);
    assert_eq!(told["candidates"][0]["target"], "openai/gpt-4o-mini", "two tokens in the shortest time: {told}");
    let told = explained(&mut world, &asking("soon", "hi"), &[]);
    assert_eq!(told["excluded"][0]["target"], "openai/gpt-4o", "its answers take four seconds: {told}");
}

#[test]
fn a_target_of_which_little_was_seen_is_not_unknown() {
    let candidates = r#"["openai/gpt-4o","openai/gpt-4o-mini"]"#;
    let document =
        format!(r#"{{"version":1,"aliases":{{"quick":{{"strategy":"fastest","candidates":{candidates}}}}}}}"#);
    let mut world = world(&document);
    let stream = |model: &str| json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let chunks: &[&[u8]] = &[b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"];
    for (model, takes) in [("openai/gpt-4o", 3_000), ("openai/gpt-4o-mini", 100)] {
        let (id, step) = world.chat(&stream(model).to_string());
        sent(step);
        world.now.0 += takes;
        world.stream(id, chunks, latchkey::gateway::Input::End);
    }
    hear_from_the_region(&mut world);
    assert_eq!(target(&mut world, &stream("quick").to_string(), &[]), "openai/gpt-4o-mini");
}

/// What this isolate saw goes to the object of its region, and the figures come back.
fn hear_from_the_region(world: &mut World) {
    let (mut region, now) = (Region::default(), world.now);
    let batch = world.gateway.view.batch(now).expect("something to tell");
    let reply = region.absorb(&latchkey::json::from_str(&batch).expect("a batch"), now, 1).expect("absorbed");
    world.gateway.view.absorb(&serde_json::to_vec(&reply).expect("JSON"), now).expect("a reply");
}

#[test]
fn three_models_can_be_compared() {
    let mut world = world(&recipe("#### Three-model comparison"));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..300 {
        *counts.entry(target(&mut world, &asking("compare", "hi"), &[])).or_default() += 1;
    }
    assert_eq!(counts.len(), 3);
    assert!(counts.values().all(|count| (60..140).contains(count)), "{counts:?}");
}

#[test]
fn what_a_candidate_changes_is_sent_and_undone_for_the_next() {
    let document = r#"{"version":1,"failover":{"same_target":0},"aliases":{"terse":{"candidates":[
        {"model":"openai/gpt-4o","with":{"temperature":0.1,"max_tokens":50,"system_prefix":"Be brief."}},
        "deepseek/deepseek-v4-flash"]}}}"#;
    let mut world = world(document);
    let (id, step) = world.chat(&asking("terse", "hi"));
    let first: Value = serde_json::from_slice(&sent(step).body).expect("JSON");
    assert_eq!((&first["temperature"], &first["messages"][0]["content"]), (&json!(0.1), &json!("Be brief.")));
    let second: Value = serde_json::from_slice(&sent(world.refuse(id, 500, &[], "oops")).body).expect("JSON");
    assert_eq!((&second["temperature"], &second["messages"][0]["content"]), (&Value::Null, &json!("hi")));
}

#[test]
fn what_a_candidate_changes_is_sent_for_callers_of_every_protocol() {
    let document = r#"{"version":1,"aliases":{
        "terse":{"candidates":[{"model":"gemini/gemini-2.5-flash","with":{"temperature":0.1,"max_tokens":50,"system_prefix":"Be brief."}}]},
        "brief":{"candidates":[{"model":"openai/gpt-5","with":{"reasoning_effort":"low"}}]}}}"#;
    let mut world = world(document);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).to_string();
    let messages =
        json!({"model": "terse", "max_tokens": 90, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let converse = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}).to_string();
    let cohere = json!({"model": "terse", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    for (path, body) in [
        ("/v1beta/models/terse:generateContent", &gemini),
        ("/v1/messages", &messages),
        ("/model/terse/converse", &converse),
        ("/v2/chat", &cohere),
        ("/v1/responses", &json!({"model": "terse", "input": "hi"}).to_string()),
        // Cursor says it in the words of Responses.
        ("/v1/chat/completions", &json!({"model": "terse", "input": "hi", "max_output_tokens": 90}).to_string()),
    ] {
        let (_, step) = world.send(path, body, &[]);
        let sent = parsed(&sent(step).body);
        assert_eq!(sent["systemInstruction"]["parts"][0]["text"], "Be brief.", "{path}: {sent}");
        let config = &sent["generationConfig"];
        assert_eq!((&config["temperature"], &config["maxOutputTokens"]), (&json!(0.1), &json!(50)), "{path}: {sent}");
        assert!(sent.get("temperature").is_none() && sent.get("max_tokens").is_none(), "{path}: {sent}");
    }
    let (_, step) = world.send("/v1/responses", &json!({"model": "brief", "input": "hi"}).to_string(), &[]);
    assert_eq!(parsed(&sent(step).body)["reasoning"]["effort"], "low");
    let messages = messages.replace("terse", "brief");
    let (_, step) = world.send("/v1/messages", &messages, &[]);
    assert!(String::from_utf8_lossy(&sent(step).body).contains(r#"effort":"low""#));
}

/// In the words of the protocol, or of the model where the body goes on as it is.
#[test]
fn an_effort_of_an_alias_is_asked_for_over_every_protocol() {
    let candidate = |model: &str| json!([{"model": model, "with": {"reasoning_effort": "low"}}]);
    let aliases = json!({
        "openai": {"candidates": candidate("openai/gpt-5")}, "claude": {"candidates": candidate("anthropic/claude-opus-5")},
        "tokens": {"candidates": candidate("gemini/gemini-2.5-pro")},
        "levels": {"candidates": candidate("gemini/gemini-3.1-pro-preview")},
        "hosted": {"candidates": candidate("bedrock/us.anthropic.claude-opus-5-v1")},
        "command": {"candidates": candidate("cohere/command-a-reasoning-08-2025")},
    });
    let document = json!({"version": 1, "aliases": aliases}).to_string();
    let keys = [("AWS_REGION", "us-east-1"), ("BEDROCK_API_KEY", "key"), ("COHERE_API_KEY", "key")];
    let mut world = World::of(Key::default(), &document, &keys);
    let mut sent = |alias: &str, surface: &str| {
        let (path, body) = match surface {
            "gemini" => (
                format!("/v1beta/models/{alias}:generateContent"),
                json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
                    "generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingBudget": 9000}}}),
            ),
            "converse" => (
                format!("/model/{alias}/converse"),
                json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}],
                    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9000}}}),
            ),
            _ => (
                "/v2/chat".to_owned(),
                json!({"model": alias, "messages": [{"role": "user", "content": "hi"}],
                    "thinking": {"type": "enabled", "token_budget": 9000}}),
            ),
        };
        let (_, step) = world.send(&path, &body.to_string(), &[]);
        parsed(&crate::world::sent(step).body)
    };
    for surface in ["gemini", "converse", "cohere"] {
        assert_eq!(sent("openai", surface)["reasoning_effort"], "low", "{surface}");
        assert_eq!(sent("claude", surface)["output_config"]["effort"], "low", "{surface}");
    }
    let thinking = |shown: bool| json!({"includeThoughts": shown, "thinkingLevel": "low"});
    assert_eq!(sent("levels", "gemini")["generationConfig"]["thinkingConfig"], thinking(true));
    assert_eq!(sent("tokens", "gemini")["generationConfig"]["thinkingConfig"]["thinkingBudget"], 1024);
    let own = &sent("hosted", "converse")["additionalModelRequestFields"];
    assert_eq!((&own["thinking"]["type"], &own["output_config"]["effort"]), (&json!("adaptive"), &json!("low")));
    let own = &sent("command", "cohere")["thinking"];
    assert!(own["type"] == "enabled" && own["token_budget"] != 9000, "{own}");
}

#[test]
fn suffixes_and_sorts_choose_among_all_who_have_the_model() {
    let document = r#"{"version":1,
        "providers":{"dear":{"base_url":"https://dear.example.com","auth":"none","models":["stone"]},
                     "fair":{"base_url":"https://fair.example.com","auth":"none","models":["stone"]}},
        "models":{"dear/stone":{"prices":[{"usd_per_mtok":{"input":2,"output":2}}]},
                  "fair/stone":{"prices":[{"usd_per_mtok":{"input":1,"output":1}}]}}}"#;
    let mut world = world(document);
    assert_eq!(target(&mut world, &asking("dear/stone", "hi"), &[]), "dear/stone");
    assert_eq!(target(&mut world, &asking("dear/stone:floor", "hi"), &[]), "fair/stone");
    let sorted =
        json!({"model": "dear/stone", "provider": {"sort": "price"}, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(target(&mut world, &sorted.to_string(), &[]), "fair/stone");
    let capped = json!({"model": "dear/stone", "provider": {"max_price": {"prompt": 1.5}, "allow_fallbacks": true},
        "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(target(&mut world, &capped.to_string(), &[]), "fair/stone");
    let misspelt = json!({"model": "dear/stone", "provider": {"sort": "cheap"}, "messages": []});
    assert_eq!(refused(world.chat(&misspelt.to_string()).1).0, 400);
}

#[test]
fn a_call_is_told_why_it_went_where_it_went() {
    let document = r#"{"version":1,"rules":[{"name":"no giants","when":{"key":"*"},"ignore":["openai/*"]}],
        "aliases":{"any":{"candidates":["openai/gpt-4o","deepseek/deepseek-v4-flash"],"strategy":"cheapest"}}}"#;
    let mut world = world(document);
    let told = explained(&mut world, &asking("any", "hi"), &[]);
    assert_eq!(
        (&told["alias"], &told["strategy"], &told["rules"]),
        (&json!("any"), &json!("cheapest"), &json!(["no giants"]))
    );
    assert_eq!(told["candidates"][0]["target"], "deepseek/deepseek-v4-flash");
    assert_eq!(told["excluded"][0], json!({"target": "openai/gpt-4o", "reason": "ignore", "rule": "no giants"}));
    assert!(told["candidates"][0]["terms"]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{told}");
    assert_eq!(told["config"], 7);
    let record = world.only_record();
    assert_eq!((record.config, record.asked.as_deref(), record.alias.as_deref()), (7, Some("any"), Some("any")));
    assert_eq!(told["attempts"][0]["reason"], "served");
}

#[test]
fn an_answer_that_fails_its_check_goes_to_the_next_candidate_and_is_paid() {
    let document = r#"{"version":1,"aliases":{"data":{"candidates":[
        {"model":"openai/gpt-4o-mini","check":{"json":["city"],"no_refusal":true}},"openai/gpt-4o"]}}}"#;
    let mut world = world(document);
    let (id, step) = world.send("/v1/chat/completions", &asking("data", "Where?"), &[("x-latchkey-explain", "true")]);
    assert!(String::from_utf8_lossy(&sent(step).body).contains("gpt-4o-mini"));
    let next = sent(world.refuse(id, 200, &[("content-type", "application/json")], ANSWER));
    assert!(!String::from_utf8_lossy(&next.body).contains("mini"), "the next tier");
    let better = ANSWER.replace("\"content\":\"Hi\"", r#""content":"{\"city\":\"Rome\"}""#);
    let told = parsed(&world.answer(id, 200, &[], &better).body);
    assert!(told["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.contains("Rome")), "{told}");
    let attempts = told["latchkey"]["attempts"].as_array().expect("attempts");
    let reasons: Vec<&str> = attempts.iter().filter_map(|attempt| attempt["reason"].as_str()).collect();
    assert_eq!(reasons, ["check_json", "served"]);
    assert!(attempts[0]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "both are paid for: {told}");
    assert_eq!(told["usage"]["total_tokens"], 22, "and counted");

    // With nobody else left, what there is is better than nothing.
    let alone = document.replace(",\"openai/gpt-4o\"]", "]");
    let mut world = self::world(&alone);
    let (id, step) = world.send("/v1/chat/completions", &asking("data", "Where?"), &[]);
    sent(step);
    assert_eq!(world.answer(id, 200, &[], ANSWER).status, 200);
}

#[test]
fn fallbacks_are_what_the_rules_demand_too() {
    let document = r#"{"version":1,"failover":{"same_target":0},
        "rules":[{"name":"no giants","when":{"tag":"small"},"ignore":["anthropic/*"]}],
        "aliases":{"any":{"candidates":["openai/gpt-4o"],"fallbacks":["anthropic/claude-sonnet-4-5","deepseek/deepseek-v4-flash"]}}}"#;
    let mut world = world(document);
    let (id, step) = world.send("/v1/chat/completions", &asking("any", "hi"), &[("x-latchkey-tags", "small")]);
    sent(step);
    let next = sent(world.refuse(id, 500, &[], "oops"));
    assert!(next.url.contains("deepseek"), "{}", next.url);
}

#[test]
fn an_alias_has_retries_and_hedges_of_its_own() {
    let document = r#"{"version":1,"failover":{"same_target":0},"aliases":{
        "once":{"candidates":["openai/gpt-4o","openai/gpt-4o-mini"],"failover":{"max_attempts":1}},
        "stubborn":{"candidates":["openai/gpt-4o"],"failover":{"same_target":1,"backoff_ms":0}},
        "hasty":{"candidates":["openai/gpt-4o","openai/gpt-4o-mini"],"failover":{"hedge":{"after_ms":70}}}}}"#;
    let mut world = world(document);
    let (id, step) = world.chat(&asking("once", "hi"));
    assert_eq!(sent(step).hedge, None);
    assert!(matches!(world.refuse(id, 500, &[], "oops"), Step::Respond(_)), "one attempt");
    let (id, step) = world.chat(&asking("stubborn", "hi"));
    sent(step);
    sent(world.refuse(id, 500, &[], "oops"));
    assert!(matches!(world.refuse(id, 500, &[], "oops"), Step::Respond(_)), "the same target, once again");
    let (_, step) = world.chat(&asking("hasty", "hi"));
    assert_eq!(sent(step).hedge.map(|wait| wait.0), Some(70));
}

#[test]
fn every_configuration_of_the_manual_is_a_good_one() {
    let readme = include_str!("../../README.md");
    let (_, page) = readme.split_once("\n## Routing\n").expect("the page");
    let (page, _) = page.split_once("\n## Health and breakers\n").expect("its end");
    let blocks: Vec<&str> =
        page.split("```json\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert!(blocks.len() >= 10, "{} blocks", blocks.len());
    for block in blocks {
        latchkey::config::read(block.as_bytes()).unwrap_or_else(|faults| panic!("{faults:?} in {block}"));
    }
}

/// Two servers of one model that anybody may ask for by its bare name.
const HOSTS: &str = r#"{"version":1,"failover":{"same_target":0},"providers":{
    "cave":{"base_url":"https://cave.example/v1","format":"openai_chat","auth":"none","models":["llama-5"]},
    "den":{"base_url":"https://den.example/v1","format":"openai_chat","auth":"none","models":["llama-5"]}},
    "aliases":{"llama":{"candidates":["cave/llama-5","den/llama-5"]}}}"#;

#[test]
fn an_explanation_has_the_order_in_which_targets_are_asked() {
    let mut world = world(HOSTS);
    let body = json!({"model": "llama", "provider": {"order": ["den"]}, "messages": []}).to_string();
    let told = explained(&mut world, &body, &[]);
    assert_eq!(told["candidates"][0]["target"], "den/llama-5", "{told}");
    assert_eq!(told["attempts"][0]["target"], "den/llama-5", "{told}");
}

#[test]
fn a_latency_budget_in_a_header_counts_where_nothing_else_is_said() {
    let document = HOSTS.replace("\"aliases\"", "\"health\":{\"minimum_samples\":5},\"aliases\"");
    let mut world = world(&document);
    let body = json!({"model": "llama-5", "stream": true, "provider": {"only": ["cave"]}, "messages": []}).to_string();
    let chunks: &[&[u8]] = &[b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"];
    for _ in 0..9 {
        let (id, step) = world.send("/v1/chat/completions", &body, &[]);
        sent(step);
        world.now.0 += 3_000;
        world.stream(id, chunks, latchkey::gateway::Input::End);
    }
    hear_from_the_region(&mut world);
    let body = json!({"model": "llama-5", "provider": {"order": ["cave", "den"]}, "messages": []}).to_string();
    assert_eq!(target(&mut world, &body, &[]), "cave/llama-5");
    assert_eq!(target(&mut world, &body, &[("x-latchkey-latency-budget-ms", "1000")]), "den/llama-5");
    let (_, step) = world.send("/v1/chat/completions", &body, &[("x-latchkey-latency-budget-ms", "soon")]);
    assert_eq!(refused(step).0, 400);
}
