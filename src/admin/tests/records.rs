//! Teams, users, budgets and limits, on their own and inside a key.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Gateway;
use super::memory::Trouble;
use crate::admin::Kind;
use crate::budget::PotStanding;
use crate::units::{Millis, NanoUsd};

/// A good body of each kind, and a change of it.
fn kinds() -> [(&'static str, Value, Value); 5] {
    [
        ("team", json!({ "name": "Search", "markup": {"factor": 1.2, "fixed": 0} }), json!({ "disabled": true })),
        ("user", json!({ "id": "alice@example.com", "name": "Alice" }), json!({ "metadata": {"plan": "free"} })),
        (
            "budget",
            json!({ "scope": {"type": "team", "id": "*"}, "limit": 12.5, "period": "month", "warn_at": [0.5, 0.9] }),
            json!({ "limit": 0.000000001, "match": {"model": "*opus*"} }),
        ),
        (
            "limit",
            json!({ "scope": {"type": "account"}, "unit": "output_tokens", "per": "minute", "max": 100_000 }),
            json!({ "unit": "parallel", "per": null, "max": 8 }),
        ),
        (
            "webhook",
            json!({ "url": "https://hooks.example.com/x", "events": ["key.*"] }),
            json!({ "disabled": true, "events": ["budget.exhausted"] }),
        ),
    ]
}

#[test]
fn a_budget_is_shown_with_what_the_ledger_says_of_it() {
    let gateway = Gateway::new();
    let body = json!({ "scope": {"type": "user", "id": "*"}, "limit": 1, "period": "day" });
    let id = gateway.send("POST", "/admin/budgets", &body.to_string()).text("id");
    let path = format!("/admin/budgets/{id}");
    assert!(gateway.send("GET", &path, "").body.get("remaining").is_none(), "nobody has drawn from it");
    let standing = |spent| PotStanding { limit: 1_000_000_000, spent, leased: 100_000_000, ..PotStanding::default() };
    let pots = [(format!("{id}/ada"), standing(0)), (format!("{id}/bob"), standing(250_000_000))];
    gateway.store.contents.borrow_mut().standings.insert(id.clone(), pots.into());
    let figures = |id: &str, spent: Value, remaining: f64| json!({ "id": id, "spent": spent, "held": 0, "leased": 0.1, "remaining": remaining, "resets_at": null });
    let shown = gateway.send("GET", &path, "").body;
    assert_eq!(shown["spenders"], json!([figures("bob", json!(0.25), 0.65), figures("ada", json!(0), 0.9)]));
    gateway.store.contents.borrow_mut().standings.insert(id.clone(), [(id.clone(), standing(250_000_000))].into());
    assert_eq!(gateway.send("GET", "/admin/budgets", "").body["data"][0]["remaining"], json!(0.65));
    gateway.store.trouble("standings", Trouble::Refused);
    assert_eq!(gateway.send("GET", &path, "").status, 200, "without the ledger it is shown without figures");
}

#[test]
fn a_team_has_a_ledger_of_its_own_from_the_beginning_or_never() {
    let gateway = Gateway::new();
    let own = gateway.send("POST", "/admin/teams", r#"{"name":"Search","own_ledger":true}"#);
    assert_eq!((own.status, &own.body["own_ledger"]), (201, &json!(true)));
    assert!(own.text("id").starts_with("team_own_"), "whoever knows its id knows where it is counted");
    let plain = gateway.send("POST", "/admin/teams", r#"{"name":"Shop"}"#);
    assert!(plain.body.get("own_ledger").is_none() && !plain.text("id").starts_with("team_own_"));
    for (team, change) in [(&own, "false"), (&own, "null"), (&plain, "true")] {
        let path = format!("/admin/teams/{}", team.text("id"));
        let changed = gateway.send("PATCH", &path, &format!(r#"{{"own_ledger":{change}}}"#));
        assert_eq!((changed.status, &changed.body["error"]["faults"][0]["path"]), (400, &json!("own_ledger")));
        assert_eq!(gateway.send("PATCH", &path, r#"{"name":"Renamed"}"#).status, 200);
    }
    let key = gateway.send("POST", "/admin/keys", &json!({ "name": "k", "team_id": own.text("id") }).to_string());
    let path = format!("/admin/keys/{}", key.text("id"));
    for team in [json!(plain.text("id")), json!(null)] {
        let moved = gateway.send("PATCH", &path, &json!({ "team_id": team }).to_string());
        assert_eq!((moved.status, &moved.body["error"]["faults"][0]["path"]), (400, &json!("team_id")));
    }
    assert_eq!(gateway.send("PATCH", &path, r#"{"name":"Renamed"}"#).status, 200);
}

#[test]
fn what_died_with_isolates_is_released_once_and_audited() {
    let gateway = Gateway::new();
    gateway.store.contents.borrow_mut().lost.insert("bud_1".into(), NanoUsd(250_000_000));
    let path = "/admin/budgets/bud_1/release";
    let faulty = gateway.send("POST", path, r#"{"silent_seconds":9,"all":true}"#);
    assert_eq!((faulty.status, faulty.body["error"]["faults"].as_array().map(Vec::len)), (400, Some(2)));
    let released = gateway.send("POST", path, r#"{"silent_seconds":60}"#);
    let expected = json!({ "id": "bud_1", "object": "release", "released": 0.25, "leases": 1, "silent_seconds": 60 });
    assert_eq!((released.status, &released.body), (200, &expected));
    assert_eq!(gateway.send("POST", path, "").body["released"], json!(0), "once");
    let hour = (String::from("bud_1"), Millis(3_600_000));
    assert_eq!(gateway.store.contents.borrow().releases.last(), Some(&hour), "an hour, unless something else is said");
    let audit = gateway.send("GET", "/admin/audit?subject=bud_1", "");
    assert_eq!(audit.column("action"), ["budget.release", "budget.release"]);
    assert_eq!(audit.body["data"][1]["after"], expected);
    assert_eq!(gateway.send("POST", "/admin/budgets/none/release", "").status, 404);
    gateway.store.trouble("append_audit", Trouble::Refused);
    assert_eq!(gateway.send("POST", path, "").body["error"]["code"], json!("not_audited"));
}

#[test]
fn a_key_is_shown_with_how_its_own_budgets_and_limits_stand() {
    let gateway = Gateway::new();
    let body = json!({ "name": "k", "budgets": [{ "limit": 1, "period": "day" }], "limits": [{ "unit": "parallel", "max": 4 }] });
    let made = gateway.send("POST", "/admin/keys", &body.to_string()).body;
    let rule = |list: &str| made[list][0]["id"].as_str().expect("an id").to_owned();
    let standing =
        PotStanding { limit: 1_000_000_000, spent: 400_000_000, leased: 100_000_000, ..PotStanding::default() };
    let slots = PotStanding { limit: 4, leased: 1, ..PotStanding::default() };
    for (id, standing) in [(rule("budgets"), standing), (rule("limits"), slots)] {
        gateway.store.contents.borrow_mut().standings.insert(id.clone(), [(id, standing)].into());
    }
    let path = format!("/admin/keys/{}", made["id"].as_str().expect("an id"));
    let shown = gateway.send("GET", &path, "").body;
    let budget = &shown["budgets"][0];
    assert_eq!((&budget["limit"], &budget["spent"], &budget["remaining"]), (&json!(1), &json!(0.4), &json!(0.5)));
    assert_eq!((&shown["limits"][0]["max"], &shown["limits"][0]["remaining"]), (&json!(4), &json!(3)));
    assert_eq!(shown["name"], "k");
    gateway.store.trouble("standings", Trouble::Refused);
    let shown = gateway.send("GET", &path, "");
    assert_eq!((shown.status, &shown.body["budgets"]), (200, &made["budgets"]), "without the ledger, without figures");
}

#[test]
fn each_is_made_read_listed_changed_and_deleted() {
    for (kind, body, change) in kinds() {
        let gateway = Gateway::new();
        let base = format!("/admin/{kind}s");
        let made = gateway.send("POST", &base, &body.to_string());
        assert_eq!(made.status, 201, "{}", made.body);
        let path = format!("{base}/{}", made.text("id"));
        assert_eq!((&made.body["object"], &made.body["created_at"]), (&json!(kind), &json!(gateway.now.get())));
        assert_eq!(gateway.send("GET", &path, "").body, made.body);
        assert_eq!(gateway.send("GET", &base, "").body, json!({ "data": [made.body], "next_cursor": null }));

        let changed = gateway.send("PATCH", &path, &change.to_string());
        assert_eq!(changed.status, 200, "{}", changed.body);
        let mut expected = made.body.clone();
        for (field, value) in change.as_object().expect("fields").iter().filter(|(_, value)| !value.is_null()) {
            expected[field] = value.clone();
        }
        for (field, _) in change.as_object().expect("fields").iter().filter(|(_, value)| value.is_null()) {
            expected.as_object_mut().expect("fields").remove(field);
        }
        expected["updated_at"] = json!(gateway.now.get());
        assert_eq!(changed.body.to_string(), expected.to_string());

        let deleted = gateway.send("DELETE", &path, "");
        assert_eq!(deleted.body, json!({ "id": made.body["id"], "object": kind, "deleted": true }));
        for (method, body) in [("GET", ""), ("PATCH", "{}"), ("DELETE", "")] {
            assert_eq!(gateway.send(method, &path, body).status, 404, "{method} {path}");
        }
        assert_eq!(gateway.send("GET", &base, "").body["data"], json!([]));
        let log = gateway.send("GET", "/admin/audit", "");
        assert_eq!(log.column("action"), ["delete", "update", "create"].map(|what| format!("{kind}.{what}")));
        assert_eq!(log.body["data"][1]["before"]["id"], made.body["id"]);
    }
}

#[test]
fn every_fault_is_told_with_its_path() {
    let gateway = Gateway::new();
    let faults = |path: &str, body: Value| {
        let refused = gateway.send("POST", path, &body.to_string());
        assert_eq!(refused.status, 400, "{}", refused.body);
        refused.fault_paths().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let team = json!({ "id": "mine", "disabled": 1, "markup": {"factor": -1}, "metadata": [], "colour": "red" });
    let found = faults("/admin/teams", team);
    assert_eq!(found, ["colour", "disabled", "id", "markup.factor", "metadata", "name"]);
    assert_eq!(faults("/admin/users", json!({ "name": 1 })), ["id", "name"]);
    let budget = json!({
        "scope": {"type": "planet", "id": 7, "name": "x"}, "match": {"model": "", "colour": "x"}, "limit": "12",
        "period": "year", "window": "sliding", "time_zone": "Mars/Olympus", "enforcement": "maybe", "warn_at": [2],
        "spent": 1,
    });
    assert_eq!(
        faults("/admin/budgets", budget),
        [
            "enforcement",
            "limit",
            "match.colour",
            "match.model",
            "period",
            "scope.id",
            "scope.name",
            "scope.type",
            "spent",
            "time_zone",
            "warn_at.0",
            "window",
        ]
    );
    assert_eq!(faults("/admin/budgets", json!({})), ["limit", "scope.id"]);
    let limit = json!({ "scope": {"type": "user", "id": "*"}, "unit": "words", "per": "second", "max": 0 });
    assert_eq!(faults("/admin/limits", limit), ["max", "per", "unit"]);
    for url in ["http://example.com/", "https://10.0.0.1/", "https://localhost/", "https://u:p@example.com/", "x"] {
        assert_eq!(faults("/admin/webhooks", json!({ "url": url })), ["url"], "{url}");
    }
    let silent = json!({ "url": "https://hooks.example.com/", "events": [] });
    assert_eq!(faults("/admin/webhooks", silent), ["events"], "it would be told of nothing");
    let long = json!({ "url": "https://hooks.example.com/", "events": ["*".repeat(50), "*".repeat(51)] });
    assert_eq!(faults("/admin/webhooks", long), ["events.1"], "the database could not match it");
    let webhook = json!({ "events": ["key.*", "Key Revoked"], "secret": "mine" });
    assert_eq!(faults("/admin/webhooks", webhook), ["events.1", "secret", "url"]);
}

#[test]
fn a_budget_of_nobody_is_refused() {
    let gateway = Gateway::new();
    let team = gateway.send("POST", "/admin/teams", r#"{"name":"Search"}"#).text("id");
    let (key, _) = gateway.key(r#"{"name":"a"}"#);
    let budget = |kind: &str, id: &str| json!({ "scope": {"type": kind, "id": id}, "limit": 1 }).to_string();
    let limit = |kind: &str, id: &str| json!({ "scope": {"type": kind, "id": id}, "per": "day", "max": 1 }).to_string();
    for (kind, id) in [("team", "Search"), ("key", "a"), ("team", key.as_str()), ("key", team.as_str())] {
        for (path, body) in [("/admin/budgets", budget(kind, id)), ("/admin/limits", limit(kind, id))] {
            assert_eq!(gateway.send("POST", path, &body).fault_paths(), ["scope.id"], "{body}");
        }
    }
    let own = ["probe", "semantics", "shadow_next.newer"].map(|id| ("key", id));
    for (kind, id) in
        [("team", team.as_str()), ("team", "*"), ("key", &key), ("key", "*"), ("user", "a")].iter().chain(&own)
    {
        assert_eq!(gateway.send("POST", "/admin/budgets", &budget(kind, id)).status, 201, "{kind} {id}");
    }
    let made = gateway.send("POST", "/admin/limits", &limit("team", &team)).text("id");
    let path = format!("/admin/limits/{made}");
    let moved = gateway.send("PATCH", &path, r#"{"scope":{"type":"team","id":"Search"}}"#);
    assert_eq!(moved.fault_paths(), ["scope.id"]);
    gateway.send("DELETE", &format!("/admin/teams/{team}"), "");
    for body in [r#"{"max":2}"#, &limit("team", &team)] {
        assert_eq!(gateway.send("PATCH", &path, body).status, 200, "it can be changed, and deleted: {body}");
    }
}

#[test]
fn a_webhook_for_events_that_never_come_is_refused() {
    let events = json!(["budget.exausted", "KEY.*", "nope.*", "webhook.create", "budget.*", "*", "health.trip"]);
    let body = json!({ "url": "https://hooks.example.com/x", "events": events }).to_string();
    let refused = Gateway::new().send("POST", "/admin/webhooks", &body);
    assert_eq!(refused.fault_paths(), ["events.0", "events.1", "events.2", "events.3"]);
}

#[test]
fn a_user_s_id_is_chosen_once_and_may_be_any_text() {
    let gateway = Gateway::new();
    let made = gateway.send("POST", "/admin/users", r#"{"id":"a/b c"}"#);
    assert_eq!(made.text("id"), "a/b c");
    let path = "/admin/users/a%2Fb%20c";
    assert_eq!(gateway.send("GET", path, "").body, made.body);
    assert_eq!(gateway.send("PATCH", path, r#"{"id":"other"}"#).fault_paths(), ["id"]);
    let again = gateway.send("POST", "/admin/users", r#"{"id":"a/b c"}"#);
    assert_eq!((again.status, again.code()), (409, "already_exists"));
    gateway.send("DELETE", path, "");
    assert_eq!(gateway.send("POST", "/admin/users", r#"{"id":"a/b c"}"#).status, 201, "free again");
}

#[test]
fn lists_go_on_by_cursor() {
    let gateway = Gateway::new();
    for name in ["a", "b", "c"] {
        gateway.send("POST", "/admin/teams", &json!({ "name": name }).to_string());
    }
    let first = gateway.send("GET", "/admin/teams?limit=2", "");
    assert_eq!(first.column("name"), ["c", "b"]);
    let rest = gateway.send("GET", &format!("/admin/teams?limit=2&cursor={}", first.text("next_cursor")), "");
    assert_eq!((rest.column("name"), &rest.body["next_cursor"]), (vec!["a".to_owned()], &Value::Null));
    assert_eq!(gateway.send("GET", "/admin/teams?page=2", "").fault_paths(), ["page"]);
}

#[test]
fn a_team_s_word_reaches_all_its_keys() {
    let gateway = Gateway::new();
    let team = gateway.send("POST", "/admin/teams", r#"{"name":"a","markup":{"factor":2}}"#).text("id");
    let (id, text) = gateway.key(&json!({ "name": "in it", "team_id": team }).to_string());
    let (_, outside) = gateway.key(r#"{"name":"not in it"}"#);
    assert_eq!(gateway.grant_at_edge(&text).expect("a grant").markup().factor.0, 2_000_000_000);
    let path = format!("/admin/teams/{team}");
    let disabled = gateway.send("PATCH", &path, r#"{"disabled":true}"#);
    assert_eq!(disabled.changed_keys.len(), 1, "this isolate forgets it");
    assert!(!gateway.lets_through(&text) && gateway.lets_through(&outside));
    assert_eq!(gateway.send("GET", &format!("/admin/keys/{id}"), "").body["disabled"], false, "the key itself is not");
    gateway.send("PATCH", &path, r#"{"disabled":false}"#);
    assert!(gateway.lets_through(&text));

    let of_team = gateway.send("GET", &format!("/admin/keys?team_id={team}"), "");
    assert_eq!(of_team.column("id"), [id.as_str()]);
    assert_eq!(gateway.send("DELETE", &path, "").code(), "team_has_keys");
    gateway.send("PATCH", &format!("/admin/keys/{id}"), r#"{"team_id":null}"#);
    assert_eq!(gateway.grant_at_edge(&text).expect("a grant").markup().factor.0, 1_000_000_000);
    assert_eq!(gateway.send("DELETE", &path, "").status, 200);
    for body in
        [r#"{"name":"b","team_id":"team_none"}"#.to_owned(), json!({ "name": "b", "team_id": team }).to_string()]
    {
        assert_eq!(gateway.send("POST", "/admin/keys", &body).fault_paths(), ["team_id"], "{body}");
    }
    assert_eq!(gateway.send("PATCH", &format!("/admin/keys/{id}"), r#"{"team_id":"x"}"#).fault_paths(), ["team_id"]);
}

#[test]
fn a_team_that_changes_while_its_key_is_changed_has_the_last_word() {
    let gateway = Gateway::new();
    let team = gateway.send("POST", "/admin/teams", r#"{"name":"a"}"#).text("id");
    let (id, text) = gateway.key(&json!({ "name": "a", "team_id": team }).to_string());
    gateway.store.meddle(move |contents| {
        let stored = contents.records.get_mut(&(Kind::Team, team)).expect("the team");
        stored.record = stored.record.replace("\"disabled\":false", "\"disabled\":true");
        stored.updated_at.0 += 1;
    });
    assert_eq!(gateway.send("PATCH", &format!("/admin/keys/{id}"), r#"{"name":"b"}"#).status, 200);
    assert!(!gateway.lets_through(&text), "the copy says what the team says now");
}

#[test]
fn a_team_s_word_that_did_not_reach_the_edge_is_told_and_caught_up() {
    let gateway = Gateway::new();
    let team = gateway.send("POST", "/admin/teams", r#"{"name":"a"}"#).text("id");
    let (_, second) = gateway.key(&json!({ "name": "b", "team_id": team }).to_string());
    let (_, text) = gateway.key(&json!({ "name": "a", "team_id": team }).to_string());
    gateway.store.trouble("put_grant", Trouble::Refused);
    let refused = gateway.send("PATCH", &format!("/admin/teams/{team}"), r#"{"disabled":true}"#);
    assert_eq!((refused.status, refused.code()), (503, "not_published"));
    assert!(gateway.lets_through(&text), "the stale copy");
    assert!(!gateway.lets_through(&second), "what can be written is");
    let (other, _) = gateway.key(r#"{"name":"b"}"#);
    gateway.send("POST", &format!("/admin/keys/{other}/disable"), "");
    assert!(!gateway.lets_through(&text), "with the next change of any key");
}

#[test]
fn a_write_whose_answer_is_lost_is_no_failure() {
    let gateway = Gateway::new();
    gateway.store.trouble("create_record", Trouble::AnswerLost);
    let made = gateway.send("POST", "/admin/teams", r#"{"name":"a"}"#);
    assert_eq!(made.status, 201);
    let path = format!("/admin/teams/{}", made.text("id"));
    gateway.store.trouble("replace_record", Trouble::AnswerLost);
    assert_eq!(gateway.send("PATCH", &path, r#"{"name":"b"}"#).status, 200);
    gateway.store.trouble("replace_record", Trouble::Refused);
    assert_eq!(gateway.send("PATCH", &path, r#"{"name":"c"}"#).code(), "storage_unavailable");
    assert_eq!(gateway.send("GET", &path, "").body["name"], "b");
}

#[test]
fn changes_at_once_do_not_undo_each_other() {
    let gateway = Gateway::new();
    let made = gateway.send("POST", "/admin/teams", r#"{"name":"a"}"#);
    gateway.store.meddle(|contents| {
        for stored in contents.records.values_mut() {
            stored.record = stored.record.replace(r#""name":"a""#, r#""name":"theirs""#);
            stored.change.push('+');
        }
    });
    let changed = gateway.send("PATCH", &format!("/admin/teams/{}", made.text("id")), r#"{"disabled":true}"#);
    assert_eq!((&changed.body["name"], &changed.body["disabled"]), (&json!("theirs"), &json!(true)));
}

#[test]
fn a_key_s_own_budget_keeps_what_was_spent_when_its_amount_changes() {
    let gateway = Gateway::new();
    let body = json!({
        "name": "a",
        "budgets": [{"limit": 5, "period": "day"}, {"limit": 50, "period": "day", "match": {"model": "*opus*"}}],
        "limits": [{"unit": "requests", "per": "minute", "max": 60}, {"unit": "parallel", "max": 4}],
    });
    let made = gateway.send("POST", "/admin/keys", &body.to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    let (id, budgets, limits) = (made.text("id"), &made.body["budgets"], &made.body["limits"]);
    assert_eq!(budgets[0]["scope"], json!({ "type": "key", "id": id }));
    assert_eq!(budgets[0]["id"], format!("{id}-day-calendar"));
    assert_ne!(budgets[0]["id"], budgets[1]["id"]);
    assert_eq!(limits[1]["id"], format!("{id}-parallel"));
    let path = format!("/admin/keys/{id}");
    let dearer = gateway.send("PATCH", &path, r#"{"budgets":[{"limit":7.5,"period":"day"}]}"#);
    assert_eq!(dearer.body["budgets"][0]["id"], budgets[0]["id"], "the same, with another amount");
    assert_eq!(dearer.body["budgets"].as_array().map(Vec::len), Some(1));
    let kept = json!({ "budgets": [{"id": budgets[0]["id"], "limit": 9, "period": "week"}] });
    assert_eq!(gateway.send("PATCH", &path, &kept.to_string()).body["budgets"][0]["id"], budgets[0]["id"], "by its id");
    let whole = gateway.send("GET", &path, "").body;
    let same = json!({ "budgets": whole["budgets"], "limits": whole["limits"] });
    let again = gateway.send("PATCH", &path, &same.to_string());
    assert_eq!(again.body["budgets"].to_string(), whole["budgets"].to_string(), "what was read can be written");
    assert_eq!(gateway.send("PATCH", &path, r#"{"budgets":null}"#).body["budgets"], json!([]));
}

#[test]
fn a_key_s_own_rules_have_their_faults_told() {
    let body = json!({
        "name": "a",
        "budgets": [
            {"limit": 0}, {"limit": 1, "scope": {"type": "team", "id": "t"}}, {"limit": 1, "id": "mine"}, 7,
            {"limit": 1}, {"limit": 2},
        ],
        "limits": [{"unit": "tokens", "max": 5}, {"max": 5, "per": "day", "colour": "red"}],
    });
    let refused = Gateway::new().send("POST", "/admin/keys", &body.to_string());
    assert_eq!(
        refused.fault_paths(),
        [
            "budgets.0.limit",
            "budgets.1",
            "budgets.1.scope",
            "budgets.2",
            "budgets.2.id",
            "budgets.3",
            "budgets.4",
            "budgets.5",
            "limits.0.per",
            "limits.1.colour",
        ]
    );
}

proptest! {
    #[test]
    fn no_value_is_too_strange(name in "[a-z_]{1,12}", value in r#"(\[|\{|"|[0-9a-z:,.\]}-]){0,12}"#) {
        let gateway = Gateway::new();
        for (kind, mut body, _) in kinds() {
            for name in [name.as_str(), "scope", "match", "limit", "warn_at", "max", "metadata"] {
                body.as_object_mut().expect("fields").remove(name);
                let fields = body.to_string();
                let sent = format!(r#"{},"{name}":{value}}}"#, fields.trim_end_matches('}'));
                let status = gateway.send("POST", &format!("/admin/{kind}s"), &sent).status;
                prop_assert!([201, 400, 409].contains(&status), "{} {}", sent, status);
            }
        }
    }
}

#[test]
fn there_are_no_more_ledgers_than_one_request_can_ask() {
    let gateway = Gateway::new();
    let made = gateway.send("POST", "/admin/teams", r#"{"name":"Search","own_ledger":true}"#);
    assert_eq!(made.status, 201);
    {
        let mut contents = gateway.store.contents.borrow_mut();
        let team = contents.records[&(Kind::Team, made.text("id"))].clone();
        let others = (1..500).map(|number| ((Kind::Team, format!("team_own_{number}")), team.clone()));
        contents.records.extend(others.collect::<Vec<_>>());
    }
    let refused = gateway.send("POST", "/admin/teams", r#"{"name":"Shop","own_ledger":true}"#);
    assert_eq!((refused.status, refused.code()), (409, "too_many_ledgers"), "{}", refused.body);
    assert_eq!(gateway.send("POST", "/admin/teams", r#"{"name":"Shop"}"#).status, 201);
}
