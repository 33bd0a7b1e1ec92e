//! What keeps a call from a target keeps it from those, too, whom the gateway asks for the call's sake.

use latchkey::gateway::{Input, Step};
use latchkey::keys::Key;
use serde_json::{Value, json};

use crate::world::{World, header, json as parsed, refused, sent};

const CHAT: &str = "/v1/chat/completions";
const TAGGED: [(&str, &str); 1] = [("x-latchkey-tags", "health")];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// OpenAI's targets count as being in the EU, all others as nowhere.
fn world(key: Key, sections: Value) -> World {
    let mut document = json!({"version": 1, "targets": {"openai/*": {"jurisdictions": ["eu"]}},
        "rules": [{"name": "eu only", "when": {"tag": "health"}, "jurisdictions": ["eu"]}]});
    for (name, section) in sections.as_object().into_iter().flatten() {
        document[name] = section.clone();
    }
    World::of(key, &document.to_string(), &[])
}

fn asking(text: &str) -> String {
    json!({"model": "any", "messages": [{"role": "user", "content": text}]}).to_string()
}

fn saying(content: &str) -> String {
    json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}})
    .to_string()
}

/// Whether the model that judges answers gets to see that of a call with these headers; its caller is served anyway.
fn is_judged(key: Key, judge: &str, headers: &[(&str, &str)]) -> bool {
    let check = json!({"judge": {"model": judge, "criterion": "It names a city."}});
    let aliases = json!({"any": {"candidates": [{"model": "openai/gpt-4o-mini", "check": check}, "openai/gpt-4o"]}});
    let mut world = world(key, json!({"aliases": aliases}));
    let (id, step) = world.send(CHAT, &asking("Where?"), headers);
    sent(step);
    assert!(matches!(world.refuse(id, 200, &JSON, &saying("In Rome.")), Step::Inner));
    let (inner, step) = world.gateway.begin_inner(id, world.now).expect("it waits for a judge");
    if let Step::Respond(_) = step {
        let (status, body) = refused(step);
        assert_eq!((status, &body["error"]["code"]), (503, &json!("no_target")), "{body}");
        let Step::Respond(response) = world.resume(id, Input::Inner(status, b"{}")) else { panic!("served anyway") };
        assert_eq!((response.status, header(&response, "x-latchkey-adjusted")), (200, Some("check=dropped")));
        return false;
    }
    sent(world.after_ledger(inner, step));
    true
}

#[test]
fn who_judges_is_where_the_call_may_go() {
    assert!(is_judged(Key::default(), "anthropic/claude-haiku-4-5", &[]));
    assert!(!is_judged(Key::default(), "anthropic/claude-haiku-4-5", &TAGGED), "out of the EU");
    assert!(is_judged(Key::default(), "openai/gpt-4o", &TAGGED));
    let narrow = Key { denied_providers: vec!["anthropic".into()], ..Key::default() };
    assert!(!is_judged(narrow, "anthropic/claude-haiku-4-5", &[]), "the key may not");
    let max_price = latchkey::json::from_str(r#"{"output": 12}"#).expect("prices");
    let thrifty = || Key { max_price, ..Key::default() };
    assert!(is_judged(thrifty(), "anthropic/claude-haiku-4-5", &[]));
    assert!(!is_judged(thrifty(), "anthropic/claude-opus-4-1", &[]), "too dear for the key, which pays for it");
}

#[test]
fn who_compares_meanings_is_where_the_call_may_go() {
    let semantics = json!({"model": "gemini/gemini-embedding-001", "routes": {"refunds": ["my money back"]}});
    let aliases = json!({"any": {"candidates": [{"model": "openai/gpt-4o", "when": {"means": "refunds"}}, "openai/gpt-4o-mini"]}});
    let models = json!({"gemini/gemini-embedding-001": {"prices": [{"usd_per_mtok": {"input": 0.15}}]}});
    let mut world = world(Key::default(), json!({"semantics": semantics, "aliases": aliases, "models": models}));
    let (id, step) = world.gateway.begin_vectors(world.now).expect("phrases");
    sent(world.after_ledger(id, step));
    let answer = json!({"embeddings": [{"values": [1.0, 0.0]}]}).to_string();
    let vectors = world.answer(id, 200, &[], &answer);
    assert!(world.gateway.learn(&vectors.body).is_some(), "{}", String::from_utf8_lossy(&vectors.body));
    for (headers, sees) in [(&[][..], true), (&TAGGED[..], false)] {
        let (id, step) = world.send(CHAT, &asking("Refund me!"), headers);
        assert!(matches!(step, Step::Inner));
        let (inner, step) = world.gateway.begin_inner(id, world.now).expect("it waits for a vector");
        assert_eq!(matches!(world.after_ledger(inner, step), Step::Send(_)), sees, "{headers:?}");
        if !sees {
            let outbound = sent(world.resume(id, Input::Inner(503, b"{}")));
            assert_eq!(parsed(&outbound.body)["model"], "gpt-4o-mini", "decided without");
        }
    }

    // What a call may cost has nothing to do with what its vector does, for which its key does not pay.
    let mut body: Value = serde_json::from_str(&asking("My money, please!")).expect("JSON");
    body["provider"] = json!({"max_price": {"completion": 15}});
    let (id, _) = world.send(CHAT, &body.to_string(), &[]);
    let (inner, step) = world.gateway.begin_inner(id, world.now).expect("it waits for a vector");
    assert!(matches!(world.after_ledger(inner, step), Step::Send(_)));
}
