//! Everything that can be wrong with what an operator writes, told at once.

use proptest::prelude::*;
use serde_json::json;

use super::Gateway;

#[test]
fn every_fault_is_told_with_its_path() {
    let body = json!({
        "name": "",
        "environment": "Production!",
        "expires_at": 1,
        "disabled": "yes",
        "allowed_models": ["gpt-4o", "", 7, "two words", "openai"],
        "denied_models": "gpt-4o",
        "allowed_providers": ["openai", "open-ai"],
        "denied_providers": ["no*"],
        "allowed_endpoints": ["chat/completion"],
        "team_id": "",
        "allowed_ips": ["10.0.0.0/8", "10.0.0.1/8", "home"],
        "allowed_countries": ["de", "Germany", "D1"],
        "max_cost_per_call": 0,
        "max_price": {"input": -1, "output": 0.1234567890, "image": 1},
        "unknown_price": {"hold": 0},
        "on_ledger_outage": "hard",
        "markup": {"factor": 115, "fixed": "0.1", "percent": 15},
        "log_content": "no",
        "store_responses": {"shared_by": "all", "hours": 1},
        "on_anomaly": "panic",
        "allow_provider_key": 1,
        "default_max_tokens": 0,
        "on_disconnect": "hang",
        "deadlines": {"idle_ms": 0, "total_ms": 5000, "coffee_ms": 1},
        "throughput": {"tokens_per_second": 10001, "within_ms": 99, "coffee_ms": 1},
        "metadata": {"a": 1, "b": null, "": "c"},
        "id": "key_mine",
        "budgets": {},
    });
    let refused = Gateway::new().send("POST", "/admin/keys", &body.to_string());
    assert_eq!((refused.status, refused.code()), (400, "invalid_request"));
    assert_eq!(
        refused.fault_paths(),
        [
            "allow_provider_key",
            "allowed_countries.1",
            "allowed_countries.2",
            "allowed_endpoints.0",
            "allowed_ips.1",
            "allowed_ips.2",
            "allowed_models.1",
            "allowed_models.2",
            "allowed_models.3",
            "allowed_models.4",
            "allowed_providers.1",
            "budgets",
            "deadlines.coffee_ms",
            "deadlines.idle_ms",
            "default_max_tokens",
            "denied_models",
            "denied_providers.0",
            "disabled",
            "environment",
            "expires_at",
            "id",
            "log_content",
            "markup.factor",
            "markup.fixed",
            "markup.percent",
            "max_cost_per_call",
            "max_price.image",
            "max_price.input",
            "metadata.",
            "metadata.a",
            "metadata.b",
            "name",
            "on_anomaly",
            "on_disconnect",
            "on_ledger_outage",
            "store_responses.days",
            "store_responses.hours",
            "store_responses.shared_by",
            "team_id",
            "throughput.coffee_ms",
            "throughput.tokens_per_second",
            "throughput.within_ms",
            "unknown_price.hold",
        ]
    );
}

#[test]
fn a_single_fault_is_the_message() {
    let gateway = Gateway::new();
    let missing = gateway.send("POST", "/admin/keys", "{}");
    assert_eq!(missing.body["error"]["param"], "name");
    assert_eq!(missing.body["error"]["message"], "`name`: is needed: 1 to 100 characters");
    let twice = gateway.send("POST", "/admin/keys", r#"{"name":"a","name":"b"}"#);
    assert_eq!(twice.body["error"]["message"], "`name`: is there twice");
    let twice_inside = gateway.send("POST", "/admin/keys", r#"{"name":"a","metadata":{"k":"v","k":"w"}}"#);
    assert_eq!(twice_inside.fault_paths(), ["metadata.k"]);
}

#[test]
fn lists_and_notes_have_their_measure() {
    let gateway = Gateway::new();
    let many: Vec<String> = (0..101).map(|number| format!("model-{number}")).collect();
    let notes: serde_json::Map<_, _> = (0..51).map(|number| (format!("n{number}"), json!("v"))).collect();
    let long = "a".repeat(201);
    let body = json!({ "name": "a", "allowed_models": many, "denied_models": [long], "metadata": notes });
    let refused = gateway.send("POST", "/admin/keys", &body.to_string());
    assert_eq!(refused.fault_paths(), ["allowed_models", "denied_models.0", "metadata"]);
    let huge = format!(r#"{{"name":"{}"}}"#, "a".repeat(300_000));
    assert_eq!(gateway.send("POST", "/admin/keys", &huge).status, 413);
}

#[test]
fn a_refused_patch_changes_nothing() {
    let gateway = Gateway::new();
    let (id, _) = gateway.key(r#"{"name":"a"}"#);
    let path = format!("/admin/keys/{id}");
    assert_eq!(gateway.send("PATCH", &path, r#"{"name":"b","disabled":0}"#).fault_paths(), ["disabled"]);
    assert_eq!(gateway.send("PATCH", &path, r#"{"name":null}"#).fault_paths(), ["name"], "a name is needed");
    assert_eq!(gateway.send("GET", &path, "").body["name"], "a");
    assert_eq!(gateway.store.contents.borrow().audit.len(), 1, "nothing to audit");
}

#[test]
fn parameters_of_lists_are_checked() {
    let gateway = Gateway::new();
    let refused = gateway.send("GET", "/admin/keys?limit=0&page=2&cursor=key_a&cursor=key_b", "");
    assert_eq!(refused.fault_paths(), ["cursor", "limit", "page"]);
    let calls = gateway.send("GET", "/admin/calls?from=yesterday&cursor=x", "");
    assert_eq!(calls.fault_paths(), ["cursor", "from"]);
    for path in ["calls", "usage", "spend", "experiments/e"] {
        let refused = gateway.send("GET", &format!("/admin/{path}?from=2&until=2"), "");
        assert_eq!(refused.fault_paths(), ["from"], "{path}");
    }
    for list in ["keys", "teams", "budgets", "limits", "webhooks", "audit"] {
        let refused = gateway.send("GET", &format!("/admin/{list}?cursor=abc"), "");
        assert_eq!(refused.fault_paths(), ["cursor"], "{list}: an empty page would look like the end");
    }
    let unknown = gateway.send("GET", "/admin/audit?days=3", "").body["error"]["message"].to_string();
    assert!(unknown.contains("known are limit, cursor, subject"), "{unknown}");
}

proptest! {
    #[test]
    fn no_body_is_too_strange(body in ".*") {
        let gateway = Gateway::new();
        let status = gateway.send("POST", "/admin/keys", &body).status;
        prop_assert_eq!(status, 400);
    }

    #[test]
    fn no_value_is_too_strange(name in "[a-z_]{1,20}", value in r#"(\[|\{|"|[0-9a-z:,.\]}-]){0,12}"#) {
        let gateway = Gateway::new();
        for name in [name.as_str(), "expires_at", "metadata", "allowed_models", "default_max_tokens"] {
            let status = gateway.send("POST", "/admin/keys", &format!(r#"{{"name":"a","{name}":{value}}}"#)).status;
            prop_assert!(status == 201 || status == 400, "{}", status);
        }
    }

    #[test]
    fn no_target_is_too_strange(path in "(/[a-z{}%]{0,6}){0,4}", query in ".{0,30}") {
        let status = Gateway::new().send("GET", &format!("/admin{path}?{query}"), "").status;
        prop_assert!([200, 400, 404, 405].contains(&status), "{}", status);
    }
}
