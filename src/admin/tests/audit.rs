//! Who changed what.

use serde_json::Value;

use super::Gateway;

#[test]
fn every_change_leaves_an_entry() {
    let gateway = Gateway::new();
    let (id, first) = gateway.key(r#"{"name":"a"}"#);
    let path = format!("/admin/keys/{id}");
    gateway.send("PATCH", &path, r#"{"name":"b"}"#);
    let second = gateway.send("POST", &format!("{path}/rotate"), "").text("key");
    for action in ["disable", "enable", "revoke"] {
        gateway.send("POST", &format!("{path}/{action}"), "");
    }
    gateway.send("DELETE", &path, "");
    gateway.send_with("PUT", "/admin/config", r#"{"version":1}"#, Some("Bearer the admin key"), Some("*"));
    gateway.send("POST", "/admin/config/rollback", r#"{"version":1}"#);

    let listed = gateway.send("GET", "/admin/audit", "");
    let of_the_key =
        ["delete", "revoke", "enable", "disable", "rotate", "update", "create"].map(|it| format!("key.{it}"));
    let expected: Vec<String> =
        ["config.rollback", "config.replace"].iter().map(|it| (*it).to_owned()).chain(of_the_key.clone()).collect();
    assert_eq!(listed.column("action"), expected);
    let text = listed.body.to_string();
    assert!(!text.contains(&first) && !text.contains(&second), "no key in it");

    let mine = gateway.send("GET", &format!("/admin/audit?subject={id}"), "");
    assert_eq!(mine.column("action"), of_the_key);
    let update = &mine.body["data"][5];
    assert_eq!((&update["before"]["name"], &update["after"]["name"]), (&"a".into(), &"b".into()));
    assert_eq!((&update["actor"], &update["address"]), (&"admin".into(), &"203.0.113.7".into()));
    assert_eq!(mine.body["data"][6]["before"], Value::Null);
}

#[test]
fn the_log_goes_on_by_cursor() {
    let gateway = Gateway::new();
    for name in ["a", "b", "c"] {
        gateway.key(&format!(r#"{{"name":"{name}"}}"#));
    }
    let first = gateway.send("GET", "/admin/audit?limit=2", "");
    let rest = gateway.send("GET", &format!("/admin/audit?cursor={}", first.text("next_cursor")), "");
    assert_eq!((first.column("id").len(), rest.column("id").len()), (2, 1));
}

#[test]
fn reading_leaves_no_entry() {
    let gateway = Gateway::new();
    gateway.send("GET", "/admin/keys", "");
    gateway.send("POST", "/admin/config/check", r#"{"version":1}"#);
    assert!(gateway.store.contents.borrow().audit.is_empty());
}
