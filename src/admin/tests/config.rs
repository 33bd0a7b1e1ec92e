//! The configuration document, from its first version to its rollback.

use serde_json::json;

use super::memory::Trouble;
use super::{Answered, Gateway};
use crate::admin::{ConfigVersion, StoredConfig, open_config};

const SHALLOW: &str = r#"{"version":1,"limits":{"json_depth":20}}"#;
const DEEP: &str = r#"{"version":1,"limits":{"json_depth":100}}"#;

fn put(gateway: &Gateway, document: &str, if_match: Option<&str>) -> Answered {
    gateway.send_with("PUT", "/admin/config", document, Some("Bearer the admin key"), if_match)
}

/// What the edge has in force.
fn at_edge(gateway: &Gateway) -> Option<(u32, String)> {
    let contents = gateway.store.contents.borrow();
    let (version, document) = open_config(&gateway.secrets, contents.edge_config.as_deref()?).expect("sealed here");
    Some((version, document.to_owned()))
}

#[test]
fn a_document_is_replaced_by_whoever_read_the_last_one() {
    let gateway = Gateway::new();
    let empty = gateway.send("GET", "/admin/config", "");
    assert_eq!((empty.header("etag"), &empty.body), (Some("\"0\""), &json!({"version": 1})));

    let first = put(&gateway, SHALLOW, Some("\"0\""));
    assert_eq!((first.status, first.header("etag"), first.changed_config), (200, Some("\"1\""), true));
    assert_eq!(first.body["changes"], json!([{"path": "limits", "before": null, "after": {"json_depth": 20}}]));
    assert_eq!(at_edge(&gateway), Some((1, SHALLOW.to_owned())));

    let late = put(&gateway, DEEP, Some("\"0\""));
    assert_eq!((late.status, late.code(), late.changed_config), (412, "precondition_failed", false));
    assert_eq!(put(&gateway, DEEP, None).status, 428);
    assert_eq!(put(&gateway, DEEP, Some("\"7\", \"1\"")).status, 200, "one of several tags");
    assert_eq!(put(&gateway, DEEP, Some("W/\"1\"")).status, 412);
    assert_eq!(put(&gateway, DEEP, Some("W/\"2\"")).status, 200, "its answer was compressed on the way");
    assert_eq!(gateway.send("GET", "/admin/config", "").body, json!({"version": 1, "limits": {"json_depth": 100}}));
}

#[test]
fn a_faulty_document_leaves_the_last_good_one() {
    let gateway = Gateway::new();
    put(&gateway, SHALLOW, Some("*"));
    let faulty = r#"{"version":1,"limits":{"json_depth":0,"speed":1},"aliases":{"a":{}}}"#;
    for refused in [put(&gateway, faulty, Some("*")), gateway.send("POST", "/admin/config/check", faulty)] {
        assert_eq!(
            (refused.status, refused.fault_paths()),
            (400, vec!["aliases.a.candidates", "limits.json_depth", "limits.speed"])
        );
    }
    assert_eq!(put(&gateway, "{", Some("*")).status, 400);
    assert_eq!(at_edge(&gateway), Some((1, SHALLOW.to_owned())));
}

#[test]
fn checking_tells_the_changes_and_changes_nothing() {
    let gateway = Gateway::new();
    put(&gateway, SHALLOW, Some("*"));
    let checked = gateway.send("POST", "/admin/config/check", DEEP);
    let changes = json!([{"path": "limits.json_depth", "before": 20, "after": 100}]);
    assert_eq!(checked.body, json!({"valid": true, "version": 1, "changes": changes}));
    assert_eq!(at_edge(&gateway), Some((1, SHALLOW.to_owned())));
}

#[test]
fn every_version_is_kept_and_can_be_brought_back() {
    let gateway = Gateway::new();
    put(&gateway, SHALLOW, Some("*"));
    put(&gateway, DEEP, Some("*"));
    let back = gateway.send("POST", "/admin/config/rollback", r#"{"version":1}"#);
    assert_eq!((back.status, back.header("etag")), (200, Some("\"3\"")), "{}", back.body);
    assert_eq!(at_edge(&gateway), Some((3, SHALLOW.to_owned())));
    let versions = gateway.send("GET", "/admin/config/versions?limit=2", "");
    assert_eq!((versions.column("version"), versions.column("restores")), (list(&["3", "2"]), list(&["1", "null"])));
    let older = gateway.send("GET", &format!("/admin/config/versions?cursor={}", versions.text("next_cursor")), "");
    assert_eq!(older.column("version"), ["1"]);
    let second = gateway.send("GET", "/admin/config/versions/2", "");
    assert_eq!((second.header("etag"), second.body["limits"]["json_depth"].as_u64()), (Some("\"2\""), Some(100)));
}

#[test]
fn what_was_in_force_before_the_first_version_can_be_brought_back() {
    let gateway = Gateway::new();
    put(&gateway, SHALLOW, Some("*"));
    let back = gateway.send("POST", "/admin/config/rollback", r#"{"version":0}"#);
    assert_eq!((back.status, back.header("etag")), (200, Some("\"2\"")), "{}", back.body);
    assert_eq!(at_edge(&gateway), Some((2, r#"{"version":1}"#.to_owned())));
    let versions = gateway.send("GET", "/admin/config/versions", "");
    assert_eq!(versions.column("restores"), list(&["0", "null"]));
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_document_that_was_in_force_is_brought_back_whomever_it_names() {
    let gateway = Gateway::new();
    let documents = [r#"{"version":1,"fallbacks":{"openai/gpt-4o":["gone/m"]}}"#, r#"{"version":1,"before":{}}"#, DEEP];
    for (document, version) in documents.into_iter().zip(1..) {
        let version = ConfigVersion { version, published: 1, ..ConfigVersion::default() };
        gateway.store.contents.borrow_mut().configs.push(StoredConfig { version, document: document.to_owned() });
    }
    assert_eq!(put(&gateway, documents[0], Some("*")).fault_paths(), ["fallbacks.openai/gpt-4o.0"]);
    let back = gateway.send("POST", "/admin/config/rollback", r#"{"version":1}"#);
    assert_eq!((back.status, at_edge(&gateway)), (200, Some((4, documents[0].to_owned()))), "{}", back.body);
    let unknown = gateway.send("POST", "/admin/config/rollback", r#"{"version":2}"#);
    assert_eq!(unknown.fault_paths(), ["before"], "of that one not all would be in force");
}

#[test]
fn a_rollback_names_a_version_that_exists() {
    let gateway = Gateway::new();
    put(&gateway, SHALLOW, Some("*"));
    assert_eq!(gateway.send("POST", "/admin/config/rollback", r#"{"version":9}"#).status, 404);
    assert_eq!(gateway.send("POST", "/admin/config/rollback", "{}").fault_paths(), ["version"]);
    assert_eq!(gateway.send("POST", "/admin/config/rollback", r#"{"to":1}"#).fault_paths(), ["to"]);
    assert_eq!(gateway.send("GET", "/admin/config/versions/x", "").status, 404);
    let stale = gateway.send_with(
        "POST",
        "/admin/config/rollback",
        r#"{"version":1}"#,
        Some("Bearer the admin key"),
        Some("\"0\""),
    );
    assert_eq!(stale.status, 412);
}

#[test]
fn of_two_writers_at_once_one_is_told_to_read_again() {
    let gateway = Gateway::new();
    put(&gateway, SHALLOW, Some("*"));
    gateway.store.meddle(|contents| {
        let mut other = contents.configs.last().cloned().expect("a version");
        other.version.version += 1;
        other.version.change.push('+');
        contents.configs.push(other);
    });
    assert_eq!(put(&gateway, DEEP, Some("\"1\"")).status, 412);
}

#[test]
fn a_write_whose_answer_is_lost_is_recognised() {
    let gateway = Gateway::new();
    gateway.store.trouble("append_config", Trouble::AnswerLost);
    assert_eq!(put(&gateway, SHALLOW, Some("*")).status, 200);
    gateway.store.trouble("append_config", Trouble::Refused);
    assert_eq!(put(&gateway, DEEP, Some("*")).code(), "storage_unavailable");
    assert_eq!(at_edge(&gateway), Some((1, SHALLOW.to_owned())));
    // Another operator's write has landed under that number, and this one has not.
    gateway.store.meddle(|contents| {
        let mut other = contents.configs.last().cloned().expect("a version");
        other.version.version += 1;
        other.version.change.push('+');
        contents.configs.push(other);
    });
    gateway.store.trouble("append_config", Trouble::Refused);
    assert_eq!(put(&gateway, DEEP, Some("\"1\"")).code(), "storage_unavailable");
}

#[test]
fn a_document_that_no_row_holds_is_refused_before_it_is_read() {
    let gateway = Gateway::new();
    assert_eq!(put(&gateway, &" ".repeat(1_900_001), Some("*")).status, 413);
    assert_eq!(put(&gateway, &format!("{SHALLOW}{}", " ".repeat(1_900_000 - SHALLOW.len())), Some("*")).status, 200);
}

#[test]
fn a_copy_changed_at_the_edge_is_not_opened() {
    let gateway = Gateway::new();
    put(&gateway, SHALLOW, Some("*"));
    let sealed = gateway.store.contents.borrow().edge_config.clone().expect("a copy");
    assert!(open_config(&gateway.secrets, &sealed).is_some());
    assert!(open_config(&gateway.secrets, &sealed.replace("20", "90")).is_none());
}
