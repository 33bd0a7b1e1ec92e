//! The admin API over a store in memory, route by route, in good and in bad weather.

mod audit;
mod calls;
mod config;
mod decide;
mod faults;
mod health;
mod keys;
mod memory;
mod openapi;
mod records;
mod trouble;
mod upkeep;
mod usage;

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context as Polling, Poll, Waker};

use serde_json::Value;

use super::{Context, Entropy, ProviderStatus, Request, handle};
use crate::keys::{AdminKey, Grant, KeyHash, Secrets, check};
use crate::units::UnixMillis;
use memory::Memory;

const START: i64 = 1_790_000_000_000;

/// A gateway with nothing but its admin API.
struct Gateway {
    store: Memory,
    admin_key: AdminKey,
    secrets: Secrets,
    providers: Vec<ProviderStatus>,
    decider: decide::Isolate,
    now: Cell<i64>,
    sent: Cell<u8>,
}

/// An answer, its body read.
struct Answered {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
    changed_keys: Vec<KeyHash>,
    changed_config: bool,
}

impl Gateway {
    fn new() -> Gateway {
        let provider = |id: &str| ProviderStatus {
            id: id.to_owned(),
            name: id.to_uppercase(),
            base_url: format!("https://{id}.example/v1"),
            format: "openai_chat".to_owned(),
            has_credential: id == "openai",
            key_variable: format!("{}_API_KEY", id.to_uppercase()),
        };
        Gateway {
            store: Memory::default(),
            admin_key: AdminKey::new("the admin key").expect("not empty"),
            secrets: Secrets::from_environment(Some("a secret of the tests"), None, None).expect("a secret"),
            providers: ["openai", "anthropic"].map(provider).to_vec(),
            decider: decide::Isolate::default(),
            now: Cell::new(START),
            sent: Cell::new(0),
        }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answered {
        self.send_with(method, path, body, Some("Bearer the admin key"), None)
    }

    /// Each request comes a second after the one before, with randomness of its own.
    fn send_with(
        &self,
        method: &str,
        target: &str,
        body: &str,
        authorization: Option<&str>,
        if_match: Option<&str>,
    ) -> Answered {
        self.now.set(self.now.get() + 1000);
        self.sent.set(self.sent.get() + 1);
        let number = self.sent.get();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method,
            path,
            query,
            authorization,
            if_match,
            address: Some("203.0.113.7"),
            body: body.as_bytes(),
            now: UnixMillis(self.now.get()),
            entropy: Entropy { key: [number; 32], id: [number; 10], change: [number; 10] },
        };
        let context = Context {
            admin_key: Some(&self.admin_key),
            secrets: Some(&self.secrets),
            environment: "production",
            providers: &self.providers,
            decider: Some(&self.decider),
        };
        let response = block_on(handle(&self.store, &request, &context));
        let has = |name, value: &str| response.headers.contains(&(name, value.to_owned()));
        let is_table = has("content-type", "text/csv; charset=utf-8");
        assert!(is_table || has("content-type", "application/json"), "{method} {target}");
        assert!(has("cache-control", "private, no-store"), "{method} {target}");
        Answered {
            status: response.status,
            headers: response.headers,
            body: if is_table {
                Value::String(response.body)
            } else {
                serde_json::from_str(&response.body).expect("every other body is JSON")
            },
            changed_keys: response.changed_keys,
            changed_config: response.changed_config,
        }
    }

    /// Makes a key with `body` and gives its id and its text.
    fn key(&self, body: &str) -> (String, String) {
        let made = self.send("POST", "/admin/keys", body);
        assert_eq!(made.status, 201, "{}", made.body);
        (made.text("id"), made.text("key"))
    }

    /// What the edge knows of a key's text.
    fn grant_at_edge(&self, text: &str) -> Option<Grant> {
        let hash = check(&self.secrets, text).expect("a key of this gateway");
        let contents = self.store.contents.borrow();
        let sealed = contents.grants.get(&hash)?;
        Some(Grant::open(&self.secrets, &hash, sealed).expect("sealed for this key"))
    }

    /// Whether a call with this text would be let through now, going by the edge alone.
    fn lets_through(&self, text: &str) -> bool {
        let grant = self.grant_at_edge(text);
        grant.is_some_and(|grant| grant.permits(UnixMillis(self.now.get()), "chat/completions", |_| None).is_ok())
    }
}

impl Answered {
    fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("{field} in {}", self.body)).to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The paths of all faults, sorted.
    fn fault_paths(&self) -> Vec<&str> {
        let faults = self.body["error"]["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut paths: Vec<&str> = faults.iter().filter_map(|fault| fault["path"].as_str()).collect();
        paths.sort_unstable();
        paths
    }

    /// One field of every row of a page.
    fn column(&self, field: &str) -> Vec<String> {
        let rows = self.body["data"].as_array().expect("a page");
        rows.iter().map(|row| row[field].as_str().map_or_else(|| row[field].to_string(), str::to_owned)).collect()
    }
}

/// Nothing in memory ever waits.
fn block_on<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Polling::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the store in memory waited"),
    }
}

#[test]
fn only_the_admin_key_opens() {
    let gateway = Gateway::new();
    let (_, text) = gateway.key(r#"{"name":"a"}"#);
    let of_a_caller = format!("Bearer {text}");
    for wrong in
        [None, Some(""), Some("the admin key"), Some("Basic the admin key"), Some("Bearer x"), Some(&of_a_caller)]
    {
        let refused = gateway.send_with("GET", "/admin/keys", "", wrong, None);
        assert_eq!((refused.status, refused.code()), (401, "invalid_api_key"), "{wrong:?}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        let hidden = gateway.send_with("GET", "/admin/nothing", "", wrong, None);
        assert_eq!(hidden.status, 401, "strangers do not learn which routes exist");
    }
    assert_eq!(gateway.send_with("GET", "/admin/keys", "", Some("bearer  the admin key "), None).status, 200);
}

#[test]
fn without_an_admin_key_it_is_closed() {
    let gateway = Gateway::new();
    let request = Request {
        method: "GET",
        path: "/admin/keys",
        query: "",
        authorization: Some("Bearer "),
        if_match: None,
        address: None,
        body: b"",
        now: UnixMillis(START),
        entropy: Entropy { key: [0; 32], id: [0; 10], change: [0; 10] },
    };
    let context = Context { admin_key: None, secrets: None, environment: "dev", providers: &[], decider: None };
    assert_eq!(block_on(handle(&gateway.store, &request, &context)).status, 401);
}

#[test]
fn unknown_routes_and_wrong_methods_are_told_apart() {
    let gateway = Gateway::new();
    assert_eq!(gateway.send("GET", "/admin/nothing", "").status, 404);
    let refused = gateway.send("PUT", "/admin/keys", "");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST, GET")));
}

#[test]
fn providers_show_whether_a_credential_is_there() {
    let listed = Gateway::new().send("GET", "/admin/providers", "");
    assert_eq!(listed.column("id"), ["openai", "anthropic"]);
    assert_eq!(listed.column("has_credential"), ["true", "false"]);
    assert_eq!(listed.body["next_cursor"], Value::Null);
}
