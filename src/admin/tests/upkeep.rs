//! What the schedule does: deliveries, suspensions, and going on in spite of errors.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::memory::{Memory, Trouble};
use super::{Gateway, block_on};
use crate::admin::{
    CallRow, ConfigVersion, Courier, Delivery, Entropy, Old, StoreError, StoredConfig, Upkeep, deliver, keep_up,
};
use crate::units::UnixMillis;

/// What was posted: the address, the headers, the body.
type Posted = (String, Vec<(&'static str, String)>, String);

/// A courier that gets the answers it was given, in their order; 200 when there are none left.
#[derive(Default)]
struct Post {
    answers: RefCell<Vec<Result<u16, String>>>,
    sent: RefCell<Vec<Posted>>,
}

impl Courier for Post {
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, String> {
        self.sent.borrow_mut().push((url.to_owned(), headers.to_vec(), body.to_owned()));
        let mut answers = self.answers.borrow_mut();
        if answers.is_empty() { Ok(200) } else { answers.remove(0) }
    }
}

impl Upkeep for Memory {
    async fn due_deliveries(&self, now: UnixMillis, most: u32) -> Result<Vec<Delivery>, StoreError> {
        self.run("due_deliveries", |contents| {
            let due = contents.deliveries.iter().filter(|(_, due_at, _)| due_at.is_some_and(|at| at <= now));
            due.map(|(delivery, _, _)| delivery.clone()).take(most as usize).collect()
        })
    }

    async fn claim_delivery(&self, due: &Delivery, next: Option<UnixMillis>) -> Result<bool, StoreError> {
        self.others_first();
        self.run("claim_delivery", |contents| {
            let found = contents.deliveries.iter_mut().find(|(delivery, _, _)| delivery == due);
            let claimed = found.map(|(delivery, due_at, _)| {
                delivery.attempts += 1;
                *due_at = next;
            });
            claimed.is_some()
        })
    }

    async fn delivery_answered(&self, due: &Delivery, delivered: bool, answer: &str) -> Result<(), StoreError> {
        self.run("delivery_answered", |contents| {
            let same = |delivery: &Delivery| delivery.event_id == due.event_id && delivery.webhook_id == due.webhook_id;
            let (_, due_at, told) = contents.deliveries.iter_mut().find(|(one, _, _)| same(one)).expect("it is there");
            *due_at = due_at.filter(|_| !delivered);
            answer.clone_into(told);
        })
    }

    async fn note_busy_keys(&self, _: UnixMillis) -> Result<(), StoreError> {
        self.run("note_busy_keys", |_| ())
    }

    async fn open_anomalies(&self, most: u32) -> Result<Vec<(String, String)>, StoreError> {
        self.run("open_anomalies", |contents| contents.anomalies.iter().take(most as usize).cloned().collect())
    }

    async fn anomaly_handled(&self, event: &str) -> Result<(), StoreError> {
        self.run("anomaly_handled", |contents| contents.anomalies.retain(|(id, _)| id != event))
    }

    async fn forget(&self, old: &Old) -> Result<(), StoreError> {
        self.run("forget", |contents| contents.forgotten = Some(*old))
    }
}

fn due(gateway: &Gateway, url: &str) {
    let delivery = Delivery {
        event_id: "event_1".to_owned(),
        webhook_id: "webhook_1".to_owned(),
        url: url.to_owned(),
        at: UnixMillis(5),
        kind: "key.revoke".to_owned(),
        subject: "key_1".to_owned(),
        data: r#"{"before":1}"#.to_owned(),
        ..Delivery::default()
    };
    gateway.store.contents.borrow_mut().deliveries.push((delivery, Some(UnixMillis(0)), String::new()));
}

fn run(gateway: &Gateway, post: &Post, now: i64) -> usize {
    block_on(deliver(&gateway.store, post, &gateway.secrets, UnixMillis(now))).expect("storage works")
}

#[test]
fn an_event_is_delivered_once_and_signed() {
    let (gateway, post) = (Gateway::new(), Post::default());
    due(&gateway, "https://hooks.example.com/x");
    assert_eq!((run(&gateway, &post, 1_000), run(&gateway, &post, i64::MAX / 2)), (1, 0));
    let sent = post.sent.borrow();
    let (url, headers, body) = &sent[0];
    assert_eq!((sent.len(), url.as_str()), (1, "https://hooks.example.com/x"));
    let body: Value = serde_json::from_str(body).expect("JSON");
    let event =
        json!({ "id": "event_1", "type": "key.revoke", "created_at": 5, "subject": "key_1", "data": {"before": 1} });
    assert_eq!(body, event);
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert_eq!((headers[0].1.as_str(), headers[1].1.as_str()), ("event_1", "1"));
}

#[test]
fn a_failed_delivery_is_tried_ever_more_rarely_and_then_given_up() {
    let (gateway, post) = (Gateway::new(), Post::default());
    due(&gateway, "https://hooks.example.com/x");
    post.answers.borrow_mut().extend([Ok(500), Ok(302), Err("no answer".to_owned())]);
    post.answers.borrow_mut().extend(vec![Ok(404); 20]);
    let mut tried = Vec::new();
    for minute in 0..4 * 24 * 60 {
        let before = post.sent.borrow().len();
        run(&gateway, &post, minute * 60_000);
        if post.sent.borrow().len() > before {
            tried.push(minute);
        }
    }
    assert_eq!(tried, [0, 1, 3, 13, 43, 163, 463, 1063, 2143]);
    let contents = gateway.store.contents.borrow();
    assert_eq!((contents.deliveries[0].1, contents.deliveries[0].2.as_str()), (None, "404"));
}

#[test]
fn what_another_run_has_taken_is_left_to_it() {
    let (gateway, post) = (Gateway::new(), Post::default());
    due(&gateway, "https://hooks.example.com/x");
    gateway.store.meddle(|contents| contents.deliveries[0].0.attempts += 1);
    assert_eq!((run(&gateway, &post, 1_000), post.sent.borrow().len()), (0, 0));
}

#[test]
fn an_address_that_is_not_public_is_never_asked() {
    let (gateway, post) = (Gateway::new(), Post::default());
    due(&gateway, "https://169.254.169.254/latest");
    assert_eq!((run(&gateway, &post, 1_000), post.sent.borrow().len()), (0, 0));
    assert_eq!(gateway.store.contents.borrow().deliveries[0].2, "its address is not public");
}

fn scheduled(gateway: &Gateway, post: &Post) -> Vec<StoreError> {
    let number = gateway.now.get() + 1;
    gateway.now.set(number);
    let entropy = || Entropy { key: [0; 32], id: [0; 10], change: [200; 10] };
    block_on(keep_up(&gateway.store, post, &gateway.secrets, UnixMillis(number), entropy))
}

#[test]
fn a_variant_that_fails_too_often_loses_its_share_and_no_other_does() {
    let (gateway, post) = (Gateway::new(), Post::default());
    let document = json!({"version": 1, "aliases": {"a": {"candidates": ["openai/gpt-4o"]}}, "experiments": {"e": {
        "alias": "a", "stop": {"least_calls": 20},
        "variants": {"bad": {"share": 0.1}, "good": {"share": 0.2}, "new": {"share": 0.3}}}}});
    let written =
        gateway.send_with("PUT", "/admin/config", &document.to_string(), Some("Bearer the admin key"), Some("*"));
    assert_eq!(written.status, 200, "{}", written.body);
    for number in 0..60 {
        let (variant, status) =
            [("control", 200), ("bad", 200 + 300 * (number % 2)), ("good", 200)][number as usize % 3];
        let row = CallRow {
            request_id: format!("req_{number}"),
            at: UnixMillis(gateway.now.get()),
            variant: Some(format!("e:{variant}")),
            status,
            ..CallRow::default()
        };
        gateway.store.contents.borrow_mut().calls.push(row);
    }
    let figures = gateway.send("GET", "/admin/experiments/e", "").body;
    let variants = figures["variants"].as_array().expect("variants");
    let verdicts: Vec<&Value> = variants.iter().map(|variant| &variant["verdict"]).collect();
    assert_eq!(verdicts, [&Value::Null, &json!("it fails more often than the control"), &Value::Null, &Value::Null]);
    assert_eq!((&variants[1]["error_rate"]["mean"], &variants[1]["calls"]), (&json!(0.5), &json!(20)), "{figures}");
    assert!(variants[3]["error_rate"].is_null(), "nothing is known of what was never called");

    // Another part of the document changes: the experiment goes on counting.
    let mut other = document.clone();
    other["limits"] = json!({"json_depth": 20});
    let pushed = gateway.send_with("PUT", "/admin/config", &other.to_string(), Some("Bearer the admin key"), Some("*"));
    assert_eq!(pushed.status, 200, "{}", pushed.body);
    assert_eq!(scheduled(&gateway, &post), []);
    let stopped = gateway.send("GET", "/admin/config", "").body;
    let share = |name: &str| stopped["experiments"]["e"]["variants"][name]["share"].clone();
    assert_eq!((share("bad"), share("good"), share("new")), (json!(0), json!(0.2), json!(0.3)));
    let versions = gateway.send("GET", "/admin/config/versions", "").body;
    assert_eq!(versions["data"].as_array().map(Vec::len), Some(3), "{versions}");
    let audit = gateway.send("GET", "/admin/audit", "").body;
    assert_eq!(
        (&audit["data"][0]["action"], &audit["data"][0]["actor"]),
        (&json!("config.stop_variant"), &json!("schedule"))
    );
    assert_eq!(scheduled(&gateway, &post), []);
    assert_eq!(gateway.send("GET", "/admin/config/versions", "").body, versions, "once");

    // Brought back, it begins anew: what was counted before does not stop it at once.
    assert_eq!(gateway.send("POST", "/admin/config/rollback", r#"{"version": 2}"#).status, 200);
    assert_eq!(scheduled(&gateway, &post), []);
    let again = gateway.send("GET", "/admin/config", "").body;
    assert_eq!(again["experiments"]["e"]["variants"]["bad"]["share"], json!(0.1));
}

#[test]
fn a_variant_is_stopped_in_a_document_that_an_earlier_version_took() {
    let (gateway, post) = (Gateway::new(), Post::default());
    // Neither the provider nor the section is known to this version; the experiment is as good as ever.
    let document = r#"{"version": 1, "before": {}, "aliases": {"a": {"candidates": ["openai/gpt-4o", "gone/m"]}},
        "experiments": {"e": {"alias": "a", "stop": {"least_calls": 20}, "variants": {"bad": {"share": 0.1}}}}}"#;
    let version = ConfigVersion { version: 1, published: 1, ..ConfigVersion::default() };
    gateway.store.contents.borrow_mut().configs.push(StoredConfig { version, document: document.to_owned() });
    for number in 0..40 {
        let (variant, status) = if number % 2 == 0 { ("control", 200) } else { ("bad", 500) };
        let row = CallRow {
            request_id: format!("req_{number}"),
            at: UnixMillis(gateway.now.get()),
            variant: Some(format!("e:{variant}")),
            status,
            ..CallRow::default()
        };
        gateway.store.contents.borrow_mut().calls.push(row);
    }
    let figures = gateway.send("GET", "/admin/experiments/e", "");
    assert_eq!(figures.body["variants"][1]["verdict"], "it fails more often than the control", "{}", figures.body);
    assert_eq!(scheduled(&gateway, &post), []);
    let stopped = gateway.store.contents.borrow().configs.last().map(|stored| stored.document.clone());
    assert_eq!(stopped, Some(document.replace("0.1", "0")));
}

#[test]
fn a_key_that_behaves_oddly_is_suspended_if_it_says_so() {
    let (gateway, post) = (Gateway::new(), Post::default());
    let keys = ["suspend", "notify"].map(|word| gateway.key(&json!({ "name": word, "on_anomaly": word }).to_string()));
    for (id, _) in &keys {
        gateway.store.contents.borrow_mut().anomalies.push((format!("event_{id}"), id.clone()));
    }
    gateway.store.contents.borrow_mut().anomalies.push(("event_gone".to_owned(), "key_gone".to_owned()));
    assert_eq!(scheduled(&gateway, &post), []);
    assert!(!gateway.lets_through(&keys[0].1) && gateway.lets_through(&keys[1].1));
    assert!(gateway.store.contents.borrow().anomalies.is_empty(), "all were dealt with");
    let log = gateway.send("GET", &format!("/admin/audit?subject={}", keys[0].0), "");
    assert_eq!(
        (&log.body["data"][0]["action"], &log.body["data"][0]["actor"]),
        (&json!("key.suspend"), &json!("schedule"))
    );
}

#[test]
fn a_suspension_that_fails_is_made_by_the_next_run() {
    let (gateway, post) = (Gateway::new(), Post::default());
    let (id, text) = gateway.key(r#"{"name":"a","on_anomaly":"suspend"}"#);
    gateway.store.contents.borrow_mut().anomalies.push(("event_1".to_owned(), id));
    gateway.store.trouble("replace_key", Trouble::Refused);
    scheduled(&gateway, &post);
    assert!(gateway.lets_through(&text));
    scheduled(&gateway, &post);
    assert!(!gateway.lets_through(&text));
}

#[test]
fn one_error_keeps_nothing_else_from_being_done() {
    let (gateway, post) = (Gateway::new(), Post::default());
    due(&gateway, "https://hooks.example.com/x");
    gateway.now.set(7 * 60_000 - 1);
    for operation in ["unpublished_keys", "open_anomalies"] {
        gateway.store.trouble(operation, Trouble::Refused);
    }
    assert_eq!(scheduled(&gateway, &post).len(), 2);
    assert_eq!(post.sent.borrow().len(), 1);
    assert_eq!(gateway.store.contents.borrow().forgotten, Some(Old::at(UnixMillis(7 * 60_000))));
}

#[test]
fn hours_are_added_up_by_whole_days_only() {
    for now in [0, 1_790_000_000_000, 1_790_000_000_001] {
        assert_eq!(Old::at(UnixMillis(now)).hours.0 % (24 * 3_600_000), 0);
    }
}
