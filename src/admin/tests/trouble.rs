//! Storage that fails, answers that get lost, and operators who are in each other's way.

use serde_json::json;

use super::memory::{Contents, Trouble};
use super::{Gateway, block_on};
use crate::admin::publish_pending;
use crate::budget::{Ended, KeyAsked, Message, PROTOCOL};
use crate::keys::{check, terms};
use crate::units::{Millis, UnixMillis};

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
fn a_key_that_cannot_be_published_keeps_no_other_from_it() {
    let gateway = Gateway::new();
    let made = [(), ()].map(|()| {
        gateway.store.trouble("put_grant", Trouble::Refused);
        gateway.key(r#"{"name":"a"}"#).1
    });
    gateway.store.trouble("put_grant", Trouble::Refused);
    let now = UnixMillis(gateway.now.get());
    assert!(block_on(publish_pending(&gateway.store, &gateway.secrets, now)).is_err());
    assert_eq!(made.map(|text| gateway.grant_at_edge(&text).is_some()), [false, true]);
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

/// Why the ledger would end calls of a key.
fn ended(gateway: &Gateway, key: &str) -> Option<Ended> {
    let keys = vec![KeyAsked { key: key.to_owned(), ..KeyAsked::default() }];
    let message = Message { version: PROTOCOL, isolate: "i".to_owned(), keys, ..Message::default() };
    let now = UnixMillis(gateway.now.get());
    let reply = gateway.store.contents.borrow_mut().ledger.handle(message, now);
    reply.keys.first().and_then(|news| news.ended)
}

#[test]
fn the_ledger_hears_what_is_decided_about_a_team() {
    let gateway = Gateway::new();
    let team = gateway.send("POST", "/admin/teams", r#"{"name":"a"}"#).text("id");
    let (id, _) = gateway.key(&json!({ "name": "a", "team_id": team }).to_string());
    let path = format!("/admin/teams/{team}");
    gateway.send("PATCH", &path, r#"{"disabled":true}"#);
    assert_eq!(ended(&gateway, &id), Some(Ended::Disabled));
    gateway.send("PATCH", &format!("/admin/keys/{id}"), r#"{"name":"b"}"#);
    assert_eq!(ended(&gateway, &id), Some(Ended::Disabled));
    gateway.send("PATCH", &path, r#"{"disabled":false}"#);
    assert_eq!(ended(&gateway, &id), None, "not for ever");
}

#[test]
fn a_revocation_is_newer_than_what_it_is_written_upon_whatever_the_clocks_say() {
    let gateway = Gateway::new();
    let (id, _) = gateway.key(r#"{"name":"a"}"#);
    // Somewhere with a clock that is ahead, somebody changes the key at the same moment, and is first.
    gateway.store.meddle(|contents| {
        for stored in contents.keys.values_mut() {
            stored.key.updated_at = stored.key.updated_at.plus(Millis(5_000));
            stored.change.push('+');
            contents.ledger.set_terms(terms(&stored.key));
        }
    });
    assert_eq!(gateway.send("POST", &format!("/admin/keys/{id}/revoke"), "").status, 200);
    assert_eq!(ended(&gateway, &id), Some(Ended::Revoked));
}

#[test]
fn a_budget_that_did_not_reach_the_ledger_is_told_again_by_the_schedule() {
    let gateway = Gateway::new();
    let stands = |id: &str| {
        let now = UnixMillis(gateway.now.get());
        gateway.store.contents.borrow_mut().ledger.standing(id, now).map(|standing| standing.limit)
    };
    let catch_up = || {
        let now = UnixMillis(gateway.now.get());
        block_on(publish_pending(&gateway.store, &gateway.secrets, now)).expect("published")
    };
    gateway.store.trouble("tell_rule", Trouble::Refused);
    let refused = gateway.send("POST", "/admin/budgets", r#"{"scope":{"type":"account"},"limit":1}"#);
    assert_eq!((refused.status, refused.code()), (503, "not_published"));
    let id = gateway.send("GET", "/admin/budgets", "").column("id").remove(0);
    assert_eq!(stands(&id), None);
    assert_eq!((catch_up(), stands(&id)), (1, Some(1_000_000_000)));
    assert_eq!(catch_up(), 0, "once");

    gateway.store.trouble("tell_rule", Trouble::Refused);
    let path = format!("/admin/budgets/{id}");
    assert_eq!(gateway.send("DELETE", &path, "").code(), "not_published");
    assert_eq!(stands(&id), Some(1_000_000_000));
    assert_eq!((catch_up(), stands(&id)), (1, None));
}
