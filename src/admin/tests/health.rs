//! What the breakers know, and what the operator decides.

use super::Gateway;
use super::memory::Trouble;
use crate::admin::{AuditEntry, LedgerHealth, RegionHealth, provider_health};
use crate::breaker::{Action, Breaker, Policy, TargetId, Transition, View};
use crate::config::Config;
use crate::provider::Registry;
use crate::units::UnixMillis;

#[test]
fn a_decision_reaches_the_objects_and_the_audit_trail() {
    let gateway = Gateway::new();
    let body = r#"{"target":"openai","seconds":60,"reason":"maintenance"}"#;
    let blocked = gateway.send("POST", "/admin/health/block", body);
    assert_eq!(blocked.status, 200, "{}", blocked.body);
    let orders = gateway.store.contents.borrow().orders.clone();
    assert_eq!((orders[0].action, orders[0].subject.as_str()), (Action::Block, "openai"));
    assert_eq!(orders[0].until, Some(UnixMillis(gateway.now.get() + 60_000)));
    let listed = gateway.send("GET", "/admin/audit?subject=openai", "");
    assert_eq!(listed.column("action"), ["health.block"]);
    assert_eq!(listed.body["data"][0]["after"]["reason"], "maintenance");

    for (action, body) in [("allow", r#"{"target":"openai/gpt-4o"}"#), ("reset", r#"{"target":"openai/gpt-4o#2"}"#)] {
        assert_eq!(gateway.send("POST", &format!("/admin/health/{action}"), body).status, 200, "{action}");
    }
    assert_eq!(gateway.store.contents.borrow().orders.len(), 3);
}

#[test]
fn faults_are_named() {
    let gateway = Gateway::new();
    for (action, body, path) in [
        ("block", "{}", "target"),
        ("block", r#"{"target":"nobody/gpt-4o"}"#, "target"),
        ("block", r#"{"target":"openai","seconds":0}"#, "seconds"),
        ("reset", r#"{"target":"openai","seconds":5}"#, "seconds"),
        ("allow", r#"{"target":"openai","until":5}"#, "until"),
    ] {
        let refused = gateway.send("POST", &format!("/admin/health/{action}"), body);
        assert_eq!((refused.status, refused.body["error"]["param"].as_str()), (400, Some(path)), "{body}");
    }
    assert!(gateway.store.contents.borrow().orders.is_empty());
}

#[test]
fn a_kill_switch_works_while_the_database_is_away() {
    let gateway = Gateway::new();
    gateway.store.trouble("append_audit", Trouble::Refused);
    let answered = gateway.send("POST", "/admin/health/block", r#"{"target":"openai"}"#);
    assert_eq!((answered.status, answered.body["error"]["code"].as_str()), (503, Some("not_audited")));
    assert_eq!(gateway.store.contents.borrow().orders.len(), 1);

    gateway.store.trouble("order_breakers", Trouble::Refused);
    let answered = gateway.send("POST", "/admin/health/block", r#"{"target":"openai"}"#);
    assert_eq!((answered.status, answered.body["error"]["code"].as_str()), (503, Some("not_everywhere")));
}

#[test]
fn regions_that_have_nothing_are_left_out_and_silent_ones_are_named() {
    let gateway = Gateway::new();
    let region = |region, overview: Result<&str, &str>| RegionHealth {
        region,
        overview: overview.map(str::to_owned).map_err(str::to_owned),
    };
    gateway.store.contents.borrow_mut().regions = vec![
        region("europe", Ok(r#"{"targets":[{"target":"openai/gpt-4o"}],"switches":[]}"#)),
        region("asia", Ok(r#"{"targets":[],"switches":[]}"#)),
        region("africa", Err("no answer")),
        region("oceania", Ok("nonsense")),
    ];
    let outbox = Ok(r#"{"waiting":2,"aside":1}"#.to_owned());
    gateway.store.contents.borrow_mut().ledgers = vec![
        LedgerHealth { team: None, outbox },
        LedgerHealth { team: Some("team_own_1".into()), outbox: Err("no answer".into()) },
    ];
    let read = gateway.send("GET", "/admin/health", "");
    let ledgers = serde_json::json!([
        {"team_id": null, "error": null, "outbox": {"waiting": 2, "aside": 1}},
        {"team_id": "team_own_1", "error": "no answer", "outbox": null},
    ]);
    assert_eq!(read.body["ledgers"], ledgers);
    assert_eq!(read.body["isolate"]["hedges_refused"], 7);
    let regions = read.body["regions"].as_array().expect("regions");
    let told: Vec<_> = regions.iter().map(|region| (region["region"].as_str(), region["error"].as_str())).collect();
    let unreadable = Some("its answer cannot be read");
    assert_eq!(told, [(Some("europe"), None), (Some("africa"), Some("no answer")), (Some("oceania"), unreadable)]);
    assert_eq!(regions[0]["targets"][0]["target"], "openai/gpt-4o");
}

#[test]
fn a_transition_has_one_entry_however_often_it_is_written() {
    let transition = Transition {
        number: 7,
        at: UnixMillis(1_800_000_000_000),
        target: TargetId::new("cave", "llama-5"),
        before: Breaker::default(),
        after: Breaker::Blocking {
            until: UnixMillis(1_800_000_010_000),
            trips: 1,
            since: UnixMillis(1_800_000_000_000),
        },
        reason: "3 failures in a row: timeout".to_owned(),
    };
    let entry = AuditEntry::of_transition("europe", &transition);
    assert_eq!(entry.id, AuditEntry::of_transition("europe", &transition).id);
    assert_ne!(entry.id, AuditEntry::of_transition("asia", &transition).id);
    assert_eq!((entry.actor.as_str(), entry.action.as_str()), ("breaker", "health.trip"));
    let after = r#"{"region":"europe","state":"blocking","until":1800000010000,"trips":1,"since":1800000000000,"reason":"3 failures in a row: timeout"}"#;
    assert_eq!(entry.after.as_deref(), Some(after));
}

#[test]
fn a_status_page_names_those_who_can_be_called() {
    let environment = [("OPENAI_API_KEY".to_owned(), "sk-1".to_owned())].into();
    let registry = Registry::new(&environment, &Config::default(), false);
    let shown = provider_health(&View::new(Policy::default(), 1), &registry, UnixMillis(1));
    assert_eq!(shown, r#"{"providers":[{"id":"openai","name":"OpenAI","status":"unknown"}]}"#);
}
