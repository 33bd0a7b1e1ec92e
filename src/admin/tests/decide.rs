//! What would decide, asked of a gateway of its own.

use std::cell::RefCell;
use std::fmt;

use serde_json::json;

use super::Gateway;
use crate::admin::{CallRow, Decider};
use crate::config;
use crate::failure::Failure;
use crate::gateway::{self, Hypothetical, PastCall, Redecided, Setup};
use crate::provider::Registry;
use crate::sorted::SortedMap;
use crate::units::UnixMillis;

const IN_FORCE: &str = r#"{"version": 1,
    "models": {
        "openai/gpt-4o": {"prices": [{"usd_per_mtok": {"input": 2.5, "output": 10}}]},
        "openai/gpt-4o-mini": {"prices": [{"usd_per_mtok": {"input": 0.15, "output": 0.6}}]}},
    "aliases": {"any": {"candidates": ["openai/gpt-4o", "openai/gpt-4o-mini"]}},
    "rules": [{"name": "no giants", "when": {"tag": "small"}, "only": ["*/*mini"]}]}"#;

/// A gateway under [`IN_FORCE`], as an isolate holds one.
pub struct Isolate(RefCell<gateway::Gateway>);

fn setup(document: &str) -> Setup {
    let config = config::read(document.as_bytes()).expect("a document");
    let environment = SortedMap::from_iter([("OPENAI_API_KEY".to_owned(), "sk-secret".to_owned())]);
    Setup { registry: Registry::new(&environment, &config, true), config, version: 3, secrets: None }
}

impl Default for Isolate {
    fn default() -> Isolate {
        Isolate(RefCell::new(gateway::Gateway::new(setup(IN_FORCE), [1; 32])))
    }
}

impl fmt::Debug for Isolate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Isolate")
    }
}

impl Isolate {
    fn under<T>(&self, document: Option<&str>, work: impl FnOnce(&mut gateway::Gateway) -> T) -> T {
        let mut gateway = self.0.borrow_mut();
        match document {
            Some(document) => gateway.under(setup(document), work),
            None => work(&mut gateway),
        }
    }
}

impl Decider for Isolate {
    fn explain(&self, asked: Hypothetical, document: Option<&str>, now: UnixMillis) -> Result<String, Failure> {
        self.under(document, |gateway| gateway.explain(asked, now))
    }

    fn redecide(&self, calls: &[PastCall], document: Option<&str>, now: UnixMillis) -> Vec<Redecided> {
        self.under(document, |gateway| gateway.redecide(calls, now))
    }
}

#[test]
fn a_call_that_is_not_made_is_explained() {
    let gateway = Gateway::new();
    let asked =
        json!({"request": {"model": "any:floor", "messages": [{"role": "user", "content": "hi"}]}, "seed": "5"});
    let told = gateway.send("POST", "/admin/route/explain", &asked.to_string());
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!((&told.body["config"], &told.body["seed"]), (&json!(3), &json!("5")));
    let targets: Vec<&str> =
        told.body["candidates"].as_array().expect("candidates").iter().filter_map(|it| it["target"].as_str()).collect();
    assert_eq!(targets, ["openai/gpt-4o-mini", "openai/gpt-4o"]);
    assert!(told.body["candidates"][0]["terms"]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{}", told.body);
    let again = gateway.send("POST", "/admin/route/explain", &asked.to_string());
    assert_eq!(again.body, told.body, "the same seed, the same answer");
    assert_eq!(gateway.decider.0.borrow().records.len(), 0, "it was not made");
}

#[test]
fn who_is_excluded_is_told_with_the_rule() {
    let gateway = Gateway::new();
    let mut asked = json!({"headers": {"X-Latchkey-Tags": "small"},
        "request": {"model": "any", "messages": [{"role": "user", "content": "hi"}]}});
    let told = gateway.send("POST", "/admin/route/explain", &asked.to_string());
    let excluded = json!([{"target": "openai/gpt-4o", "reason": "only", "rule": "no giants"}]);
    assert_eq!(told.body["excluded"], excluded, "{}", told.body);
    asked["request"]["model"] = json!("openai/gpt-4o");
    let told = gateway.send("POST", "/admin/route/explain", &asked.to_string());
    assert_eq!((told.status, &told.body["status"]), (200, &json!(503)), "{}", told.body);
    assert_eq!(told.body["error"]["code"], "no_target");
}

#[test]
fn a_draft_and_a_key_decide_where_they_are_named() {
    let gateway = Gateway::new();
    let (id, _) = gateway.key(r#"{"name": "a", "denied_models": ["openai/gpt-4o-mini"]}"#);
    let request = json!({"model": "other", "messages": [{"role": "user", "content": "hi"}]});
    let draft = json!({"version": 1, "aliases": {"other": {"candidates": ["openai/gpt-4o-mini", "openai/gpt-4o"]}}});
    let asked = json!({"request": request, "key": id, "config": draft});
    let told = gateway.send("POST", "/admin/route/explain", &asked.to_string());
    assert_eq!(told.body["candidates"][0]["target"], "openai/gpt-4o", "{}", told.body);
    assert_eq!(told.body["excluded"][0]["reason"], "key_policy");
    let bad = json!({"request": request, "key": "key_nobody", "colour": 1, "config": {"version": 1, "colour": 3}});
    let told = gateway.send("POST", "/admin/route/explain", &bad.to_string());
    let paths: Vec<&str> =
        told.body["error"]["faults"].as_array().expect("faults").iter().filter_map(|it| it["path"].as_str()).collect();
    assert_eq!((told.status, paths), (400, vec!["colour", "config.colour"]), "{}", told.body);
}

#[test]
fn what_is_no_call_is_told_with_its_place() {
    let gateway = Gateway::new();
    let request = json!({"model": "any", "messages": []});
    for (asked, path) in [
        (json!({"request": request, "endpoint": "chat"}), "endpoint"),
        (json!({"request": request, "endpoint": "models"}), "endpoint"),
        (json!({"request": request, "endpoint": "feedback"}), "endpoint"),
        (json!({"request": request, "headers": {"X-Latchkey-Timeout-Ms": "soon"}}), "headers.x-latchkey-timeout-ms"),
        (json!({"request": {"messages": []}}), "request.model"),
    ] {
        let refused = gateway.send("POST", "/admin/route/explain", &asked.to_string());
        assert_eq!((refused.status, refused.fault_paths()), (400, vec![path]), "{asked}: {}", refused.body);
    }
    let backwards = json!({"config": {"version": 1}, "from": 2, "until": 2});
    let refused = gateway.send("POST", "/admin/route/replay", &backwards.to_string());
    assert_eq!((refused.status, refused.fault_paths()), (400, vec!["from"]), "{}", refused.body);
}

#[test]
fn a_replay_shows_what_a_draft_would_change() {
    let gateway = Gateway::new();
    for number in 0..10 {
        let row = CallRow {
            request_id: format!("req_{number}"),
            at: UnixMillis(number),
            key_id: "key_gone".to_owned(),
            endpoint: "chat/completions".to_owned(),
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            status: 200,
            asked: Some("any".to_owned()),
            tags: (number == 9).then(|| "small".to_owned()),
            input_fresh: 1_000,
            output_text: 100,
            ..CallRow::default()
        };
        gateway.store.contents.borrow_mut().calls.push(row);
    }
    let draft = IN_FORCE.replace(
        r#""candidates": ["openai/gpt-4o", "openai/gpt-4o-mini"]"#,
        r#""candidates": ["openai/gpt-4o", "openai/gpt-4o-mini"], "strategy": "cheapest""#,
    );
    let body = format!(r#"{{"config": {draft}}}"#);
    let told = gateway.send("POST", "/admin/route/replay", &body).body;
    assert_eq!((&told["calls"], &told["changed"], &told["refused"]), (&json!(10), &json!(9), &json!(0)), "{told}");
    assert_eq!(told["before"]["targets"], json!({"openai/gpt-4o": 9, "openai/gpt-4o-mini": 1}));
    assert_eq!(told["after"]["targets"], json!({"openai/gpt-4o-mini": 10}));
    assert_eq!(told["before"]["cost"].to_string(), "0.03171", "nine at 0.0035 and one at 0.00021");
    assert_eq!(told["after"]["cost"].to_string(), "0.0021");
    assert_eq!(told["changes"][0]["served_by"], "openai/gpt-4o");
    assert_eq!(gateway.send("POST", "/admin/route/replay", "{}").status, 400);
    let refused = gateway.send("POST", "/admin/route/replay", r#"{"config":5}"#);
    assert_eq!(refused.fault_paths(), ["config"]);
}

/// A Worker may ask its database a thousand times for one request.
#[test]
fn a_replay_asks_for_all_keys_at_once() {
    let gateway = Gateway::new();
    let only_small = r#"{"name": "k", "allowed_models": ["openai/gpt-4o-mini"]}"#;
    let id = |created: &serde_json::Value| created["id"].as_str().expect("an id").to_owned();
    let mut ids: Vec<String> = (0..3).map(|_| id(&gateway.send("POST", "/admin/keys", only_small).body)).collect();
    ids.push("key_gone".to_owned());
    for (at, key_id) in (0..).zip(ids.iter().chain(&ids)) {
        let row = CallRow {
            request_id: format!("req_{at}"),
            at: UnixMillis(at),
            key_id: key_id.clone(),
            endpoint: "chat/completions".to_owned(),
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            asked: Some("any".to_owned()),
            ..CallRow::default()
        };
        gateway.store.contents.borrow_mut().calls.push(row);
    }
    let before = gateway.store.asked.get();
    let told = gateway.send("POST", "/admin/route/replay", &format!(r#"{{"config": {IN_FORCE}}}"#)).body;
    assert_eq!(gateway.store.asked.get() - before, 2, "for the calls, and for their keys");
    let expected = json!({"openai/gpt-4o-mini": 6, "openai/gpt-4o": 2});
    assert_eq!(told["after"]["targets"], expected, "each is decided for its own key: {told}");
}

#[test]
fn a_replay_says_which_conditions_it_could_not_evaluate() {
    let gateway = Gateway::new();
    for (number, team) in [(0, "batch"), (1, "web")] {
        let row = CallRow {
            request_id: format!("req_{number}"),
            at: UnixMillis(number),
            key_id: "key_gone".to_owned(),
            endpoint: "chat/completions".to_owned(),
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            asked: Some("any".to_owned()),
            tags: Some(team.to_owned()),
            ..CallRow::default()
        };
        gateway.store.contents.borrow_mut().calls.push(row);
    }
    let draft = json!({"version": 1,
        "aliases": {"any": {"candidates": [{"model": "openai/gpt-4o", "when": {"header": {"x-app": "a"}}}, "openai/gpt-4o-mini"]}},
        "rules": [{"name": "secrets", "when": {"tag": "batch", "mentions": ["secret"]}, "only": ["*/*mini"]},
                  {"name": "tagged", "when": {"tag": "web"}, "ignore": ["*/gpt-3*"]}]});
    let told = gateway.send("POST", "/admin/route/replay", &json!({"config": draft}).to_string()).body;
    let uncertain = json!([
        {"request_id": "req_0", "conditions": ["candidates.openai/gpt-4o: header.x-app", "rules.secrets: mentions"]},
        {"request_id": "req_1", "conditions": ["candidates.openai/gpt-4o: header.x-app"]},
    ]);
    assert_eq!((&told["uncertain_calls"], &told["uncertain"]), (&json!(2), &uncertain), "{told}");
    assert_eq!(told["after"]["targets"], json!({"openai/gpt-4o-mini": 2}), "what is not known does not hold");
    let certain = gateway.send("POST", "/admin/route/replay", &format!(r#"{{"config": {IN_FORCE}}}"#)).body;
    assert_eq!((&certain["uncertain_calls"], &certain["uncertain"]), (&json!(0), &json!([])), "{certain}");
}

#[test]
fn a_draft_may_be_as_long_as_a_document() {
    let gateway = Gateway::new();
    let prices: Vec<String> = (0..6_000)
        .map(|number| format!(r#""openai/gpt-{number}":{{"prices":[{{"usd_per_mtok":{{"input":2,"output":8}}}}]}}"#))
        .collect();
    let draft = format!(r#"{{"config": {{"version": 1, "models": {{{}}}}}}}"#, prices.join(","));
    assert!(draft.len() > 400_000);
    assert_eq!(gateway.send("POST", "/admin/route/replay", &draft).status, 200);
    let prompt =
        json!({ "request": { "model": "any", "messages": [{ "role": "user", "content": "x".repeat(400_000) }] } });
    assert_eq!(gateway.send("POST", "/admin/route/explain", &prompt.to_string()).status, 200);
}
