//! A key's life, from the outside.

use serde_json::{Value, json};

use super::{Gateway, START};
use crate::keys::check;
use crate::units::UnixMillis;

#[test]
fn a_new_key_is_shown_once_and_works_at_once() {
    let gateway = Gateway::new();
    let made = gateway.send("POST", "/admin/keys", r#"{"name":"ci","allowed_models":["gpt-4o*"]}"#);
    assert_eq!(made.status, 201);
    let (id, text) = (made.text("id"), made.text("key"));
    assert!(id.starts_with("key_") && text.starts_with(&made.text("start")), "{}", made.body);
    assert_eq!(made.body["environment"], "production", "from the environment");
    assert_eq!(made.body["created_at"], START + 1000);
    assert!(gateway.lets_through(&text));
    assert!(!gateway.grant_at_edge(&text).expect("a grant").permits_target("anthropic", "claude"));

    let read = gateway.send("GET", &format!("/admin/keys/{id}"), "");
    assert_eq!(read.body["key"], Value::Null, "shown once");
    assert_eq!(read.body["allowed_models"], json!(["gpt-4o*"]));
    let contents = gateway.store.contents.borrow();
    let stored = format!("{:?} {:?} {:?}", contents.keys, contents.grants, contents.audit);
    assert!(!stored.contains(&text), "the key's text is stored nowhere");
}

#[test]
fn lists_are_newest_first_and_go_on_by_cursor() {
    let gateway = Gateway::new();
    let ids: Vec<String> = ["a", "b", "c"].map(|name| gateway.key(&json!({ "name": name }).to_string()).0).to_vec();
    let first = gateway.send("GET", "/admin/keys?limit=2", "");
    assert_eq!(first.column("name"), ["c", "b"]);
    let cursor = first.text("next_cursor");
    let second = gateway.send("GET", &format!("/admin/keys?limit=2&cursor={cursor}"), "");
    assert_eq!((second.column("name"), &second.body["next_cursor"]), (vec!["a".to_owned()], &Value::Null));
    gateway.send("DELETE", &format!("/admin/keys/{}", ids[1]), "");
    assert_eq!(gateway.send("GET", "/admin/keys", "").column("name"), ["c", "a"], "deleted ones are gone");
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    let gateway = Gateway::new();
    let (id, text) = gateway.key(r#"{"name":"a","denied_models":["*opus*"],"default_max_tokens":100}"#);
    let patch = r#"{"name":"b","allowed_endpoints":["/v1/embeddings"],"default_max_tokens":null,"metadata":{"k":"v"}}"#;
    let patched = gateway.send("PATCH", &format!("/admin/keys/{id}"), patch);
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(patched.body["name"], "b");
    assert_eq!(patched.body["denied_models"], json!(["*opus*"]), "not named, not changed");
    assert_eq!(patched.body["default_max_tokens"], Value::Null, "null is the default");
    assert_eq!(patched.body["allowed_endpoints"], json!(["embeddings"]));
    assert_eq!(patched.changed_keys, vec![check(&gateway.secrets, &text).expect("ours")], "to be forgotten");
    assert!(!gateway.lets_through(&text), "the edge knows: chat is not allowed any more");
}

#[test]
fn a_key_with_a_list_of_endpoints_can_be_let_give_feedback() {
    let gateway = Gateway::new();
    let (_, text) = gateway.key(r#"{"name":"a","allowed_endpoints":["chat/completions","feedback"]}"#);
    let grant = gateway.grant_at_edge(&text).expect("a grant");
    let permits = |endpoint| grant.permits(UnixMillis(START), endpoint, |_| None).is_ok();
    assert_eq!(["feedback", "embeddings"].map(permits), [true, false]);
}

#[test]
fn every_policy_of_a_key_is_kept_as_it_was_written() {
    let gateway = Gateway::new();
    let written = json!({
        "name": "a",
        "allowed_ips": ["203.0.113.0/24", "2001:db8::1"],
        "allowed_countries": ["DE", "T1"],
        "max_cost_per_call": 0.25,
        "max_price": {"input": 3, "output": null},
        "unknown_price": {"hold": 0.5},
        "on_ledger_outage": "soft",
        "markup": {"factor": 1.15, "fixed": 0.001},
        "log_content": true,
        "store_responses": {"days": 30, "shared_by": "team"},
        "on_anomaly": "suspend",
    });
    let (id, text) = gateway.key(&written.to_string());
    let path = format!("/admin/keys/{id}");
    let read = gateway.send("GET", &path, "").body;
    for (field, value) in written.as_object().expect("fields") {
        assert_eq!(read[field].to_string(), value.to_string(), "{field}");
    }
    assert!(!gateway.lets_through(&text), "from nowhere in particular");
    let nulls: serde_json::Map<_, _> = written
        .as_object()
        .expect("fields")
        .keys()
        .filter(|name| *name != "name")
        .map(|name| (name.clone(), Value::Null))
        .collect();
    let patched = gateway.send("PATCH", &path, &Value::Object(nulls).to_string());
    let plain = gateway.send("POST", "/admin/keys", r#"{"name":"plain"}"#);
    for field in written.as_object().expect("fields").keys().filter(|name| *name != "name") {
        assert_eq!(patched.body[field], plain.body[field], "{field}: null is the default");
    }
    assert!(gateway.lets_through(&text));
}

#[test]
fn disabling_can_be_undone_and_revoking_cannot() {
    let gateway = Gateway::new();
    let (id, text) = gateway.key(r#"{"name":"a"}"#);
    let post = |action: &str| gateway.send("POST", &format!("/admin/keys/{id}/{action}"), "");
    assert_eq!(post("disable").body["disabled"], true);
    assert!(!gateway.lets_through(&text));
    assert_eq!(post("enable").body["disabled"], false);
    assert!(gateway.lets_through(&text));
    let revoked = post("revoke");
    assert!(!gateway.lets_through(&text));
    assert_eq!(post("revoke").body["revoked_at"], revoked.body["revoked_at"], "the first moment stands");
    for action in ["enable", "rotate"] {
        let refused = post(action);
        assert_eq!((refused.status, refused.code()), (409, "key_revoked"), "{action}");
    }
}

#[test]
fn a_deleted_key_is_gone_for_callers_and_operators() {
    let gateway = Gateway::new();
    let (id, text) = gateway.key(r#"{"name":"a"}"#);
    let path = format!("/admin/keys/{id}");
    assert_eq!(gateway.send("DELETE", &path, "").body, json!({ "id": id, "object": "key", "deleted": true }));
    assert!(gateway.grant_at_edge(&text).is_none());
    assert_eq!(gateway.send("GET", &path, "").status, 404);
    assert_eq!(gateway.send("PATCH", &path, r#"{"name":"b"}"#).status, 404);
    assert_eq!(gateway.send("DELETE", &path, "").status, 200, "repeating is no error");
}

#[test]
fn a_rotated_key_has_two_texts_until_the_grace_ends() {
    let gateway = Gateway::new();
    let (id, old) = gateway.key(r#"{"name":"a"}"#);
    let rotated = gateway.send("POST", &format!("/admin/keys/{id}/rotate"), r#"{"grace_seconds":60}"#);
    let new = rotated.text("key");
    assert_ne!(old, new);
    assert_eq!(rotated.text("id"), id);
    assert_eq!(rotated.body["previous_expires_at"], gateway.now.get() + 60_000);
    assert!(gateway.lets_through(&old) && gateway.lets_through(&new));
    let told = gateway.grant_at_edge(&old).map(|grant| (grant.key.expires_at.is_some(), grant.terms.expires_at));
    assert_eq!(told, Some((true, None)), "the end of a text is none of the key that its ledger could forget it by");
    gateway.now.set(gateway.now.get() + 60_000);
    assert!(!gateway.lets_through(&old) && gateway.lets_through(&new));
    gateway.send("POST", &format!("/admin/keys/{id}/disable"), "");
    assert!(gateway.grant_at_edge(&old).is_none(), "swept up with the next change");
}

#[test]
fn rotating_without_grace_ends_every_older_text() {
    let gateway = Gateway::new();
    let (id, first) = gateway.key(r#"{"name":"a"}"#);
    let path = format!("/admin/keys/{id}/rotate");
    let second = gateway.send("POST", &path, r#"{"grace_seconds":3600}"#).text("key");
    let third = gateway.send("POST", &path, "").text("key");
    assert!(!gateway.lets_through(&first) && !gateway.lets_through(&second) && gateway.lets_through(&third));
}

#[test]
fn a_later_rotation_cannot_prolong_an_earlier_grace() {
    let gateway = Gateway::new();
    let (id, first) = gateway.key(r#"{"name":"a"}"#);
    let path = format!("/admin/keys/{id}/rotate");
    gateway.send("POST", &path, r#"{"grace_seconds":10}"#);
    gateway.send("POST", &path, r#"{"grace_seconds":3600}"#);
    gateway.now.set(gateway.now.get() + 10_000);
    assert!(!gateway.lets_through(&first));
}

#[test]
fn the_texts_of_one_key_are_few() {
    let gateway = Gateway::new();
    let (id, _) = gateway.key(r#"{"name":"a"}"#);
    let path = format!("/admin/keys/{id}/rotate");
    let statuses: Vec<u16> = (0..12).map(|_| gateway.send("POST", &path, r#"{"grace_seconds":3600}"#).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 9);
    assert_eq!(gateway.send("POST", &path, r#"{"grace_seconds":3600}"#).code(), "too_many_rotations");
    assert_eq!(gateway.send("POST", &path, "").status, 200, "without a grace all the others end");
}

#[test]
fn the_grace_has_its_bounds() {
    let gateway = Gateway::new();
    let (id, _) = gateway.key(r#"{"name":"a"}"#);
    let path = format!("/admin/keys/{id}/rotate");
    for body in [r#"{"grace_seconds":-1}"#, r#"{"grace_seconds":2592001}"#, r#"{"grace_seconds":"1"}"#] {
        assert_eq!(gateway.send("POST", &path, body).fault_paths(), ["grace_seconds"], "{body}");
    }
    assert_eq!(gateway.send("POST", &path, r#"{"grace":1}"#).fault_paths(), ["grace"]);
}

#[test]
fn what_is_not_there_is_not_found() {
    let gateway = Gateway::new();
    for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/revoke")] {
        let refused = gateway.send(method, &format!("/admin/keys/key_nobody{path}"), r#"{}"#);
        assert_eq!((refused.status, refused.code()), (404, "not_found"), "{method} {path}");
    }
}

#[test]
fn a_key_that_expired_long_ago_does_not_come_back_with_its_budgets_anew() {
    let gateway = Gateway::new();
    let day = 86_400_000;
    let (id, text) = gateway.key(&json!({"name": "a", "expires_at": START + day}).to_string());
    for (days, status) in [(6, 200), (30, 400)] {
        gateway.now.set(START + days * day);
        let path = format!("/admin/keys/{id}");
        let later = json!({"expires_at": START + (days + 1) * day}).to_string();
        let patched = gateway.send("PATCH", &path, &later);
        assert_eq!(patched.status, status, "{}", patched.body);
        assert_eq!(gateway.lets_through(&text), status == 200);
        assert_eq!(patched.fault_paths(), if status == 200 { vec![] } else { vec!["expires_at"] });
        assert_eq!(gateway.send("PATCH", &path, r#"{"name":"b"}"#).status, 200, "the rest may change");
    }
}
