//! Storage that fails, answers that get lost, and operators who are in each other's way.

use serde_json::json;

use super::memory::{Contents, Trouble};
use super::{Gateway, block_on};
use crate::admin::publish_pending;
use crate::keys::check;
use crate::units::UnixMillis;

/// Another operator's change of every key, which does not reach the edge.
fn rename_all(contents: &mut Contents) {
    for stored in contents.keys.values_mut() {
        stored.key.name = "renamed".to_owned();
        stored.change.push('+');
    }
}

#[test]
fn a_key_whose_write_lands_is_shown_although_the_answer_is_lost() {
    let gateway = Gateway::new();
    gateway.store.trouble("create_key", Trouble::AnswerLost);
    let (_, text) = gateway.key(r#"{"name":"a"}"#);
    assert!(gateway.lets_through(&text));
}

#[test]
fn a_key_that_was_not_written_is_not_shown() {
    let gateway = Gateway::new();
    gateway.store.trouble("create_key", Trouble::Refused);
    let refused = gateway.send("POST", "/admin/keys", r#"{"name":"a"}"#);
    assert_eq!((refused.status, refused.code()), (503, "storage_unavailable"));
    assert!(gateway.store.contents.borrow().grants.is_empty());
}

#[test]
fn a_key_works_without_its_copy_and_is_caught_up() {
    let gateway = Gateway::new();
    gateway.store.trouble("put_grant", Trouble::Refused);
    let (id, text) = gateway.key(r#"{"name":"a"}"#);
    assert!(gateway.grant_at_edge(&text).is_none(), "no copy yet");
    let stored = gateway.store.contents.borrow().keys[&id].clone();
    let hash = check(&gateway.secrets, &text).expect("ours");
    assert!(stored.grant(&hash).is_some(), "but the database gives the same grant");
    gateway.key(r#"{"name":"b"}"#);
    let now = UnixMillis(gateway.now.get());
    assert_eq!(block_on(publish_pending(&gateway.store, &gateway.secrets, now)), Ok(1));
    assert!(gateway.lets_through(&text));
    assert_eq!(block_on(publish_pending(&gateway.store, &gateway.secrets, now)), Ok(0));
}

#[test]
fn a_revocation_that_did_not_reach_the_edge_is_told_and_caught_up() {
    let gateway = Gateway::new();
    let (id, text) = gateway.key(r#"{"name":"a"}"#);
    gateway.store.trouble("put_grant", Trouble::Refused);
    let path = format!("/admin/keys/{id}/revoke");
    let refused = gateway.send("POST", &path, "");
    assert_eq!((refused.status, refused.code()), (503, "not_published"));
    assert_eq!(refused.changed_keys.len(), 1, "this isolate forgets it all the same");
    assert!(gateway.lets_through(&text), "the stale copy");
    assert_eq!(gateway.send("POST", &path, "").status, 200, "repeating helps");
    assert!(!gateway.lets_through(&text));
}

#[test]
fn the_next_change_of_any_key_catches_up_the_others() {
    let gateway = Gateway::new();
    let (id, text) = gateway.key(r#"{"name":"a"}"#);
    let (other, _) = gateway.key(r#"{"name":"b"}"#);
    gateway.store.trouble("put_grant", Trouble::Refused);
    gateway.send("POST", &format!("/admin/keys/{id}/revoke"), "");
    gateway.send("PATCH", &format!("/admin/keys/{other}"), r#"{"name":"c"}"#);
    assert!(!gateway.lets_through(&text));
}

#[test]
fn a_deletion_that_did_not_reach_the_edge_can_be_repeated() {
    let gateway = Gateway::new();
    let (id, text) = gateway.key(r#"{"name":"a"}"#);
    gateway.store.trouble("remove_grant", Trouble::Refused);
    let path = format!("/admin/keys/{id}");
    assert_eq!(gateway.send("DELETE", &path, "").code(), "not_published");
    assert_eq!(gateway.send("DELETE", &path, "").status, 200);
    assert!(gateway.grant_at_edge(&text).is_none());
}

#[test]
fn a_new_text_is_shown_although_the_edge_is_behind() {
    let gateway = Gateway::new();
    let (id, old) = gateway.key(r#"{"name":"a"}"#);
    gateway.store.trouble("remove_grant", Trouble::Refused);
    let rotated = gateway.send("POST", &format!("/admin/keys/{id}/rotate"), "");
    assert_eq!((rotated.status, &rotated.body["published"]), (200, &json!(false)), "it is shown only this once");
    assert!(gateway.lets_through(&old), "the stale copy");
    gateway.send("PATCH", &format!("/admin/keys/{id}"), r#"{"name":"b"}"#);
    assert!(!gateway.lets_through(&old) && gateway.lets_through(&rotated.text("key")));
}

#[test]
fn a_change_whose_answer_is_lost_is_recognised() {
    let gateway = Gateway::new();
    let (id, text) = gateway.key(r#"{"name":"a"}"#);
    gateway.store.trouble("replace_key", Trouble::AnswerLost);
    assert_eq!(gateway.send("POST", &format!("/admin/keys/{id}/disable"), "").status, 200);
    assert!(!gateway.lets_through(&text));
    gateway.store.trouble("replace_key", Trouble::Refused);
    assert_eq!(gateway.send("POST", &format!("/admin/keys/{id}/enable"), "").code(), "storage_unavailable");
    assert!(!gateway.lets_through(&text));
}

#[test]
fn an_edit_is_made_again_on_what_others_left() {
    let gateway = Gateway::new();
    let (id, _) = gateway.key(r#"{"name":"a"}"#);
    gateway.store.meddle(rename_all);
    let changed = gateway.send("PATCH", &format!("/admin/keys/{id}"), r#"{"disabled":true}"#);
    assert_eq!((&changed.body["name"], &changed.body["disabled"]), (&json!("renamed"), &json!(true)));
}

#[test]
fn operators_without_end_are_a_conflict() {
    let gateway = Gateway::new();
    let (id, _) = gateway.key(r#"{"name":"a"}"#);
    for _ in 0..3 {
        gateway.store.meddle(rename_all);
    }
    let refused = gateway.send("PATCH", &format!("/admin/keys/{id}"), r#"{"disabled":true}"#);
    assert_eq!((refused.status, refused.code()), (409, "conflict"));
}

#[test]
fn of_two_configurations_at_once_the_later_one_is_published() {
    let gateway = Gateway::new();
    gateway.store.trouble("put_config", Trouble::Refused);
    let put =
        |document: &str| gateway.send_with("PUT", "/admin/config", document, Some("Bearer the admin key"), Some("*"));
    let refused = put(r#"{"version":1,"limits":{"json_depth":20}}"#);
    assert_eq!((refused.status, refused.code()), (503, "not_published"));
    let now = UnixMillis(gateway.now.get());
    assert_eq!(block_on(publish_pending(&gateway.store, &gateway.secrets, now)), Ok(1));
    assert!(gateway.store.contents.borrow().edge_config.is_some());
}
