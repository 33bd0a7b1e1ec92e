//! The API description against the routes there are and the answers they give.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Gateway;
use crate::admin::{CallRow, LedgerHealth, OPENAPI, PairRow, ROUTES, RegionHealth};
use crate::breaker::Region;
use crate::budget::PotStanding;
use crate::keys::{Key, describe};
use crate::units::{NanoUsd, UnixMillis};

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("the description is JSON")
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

#[test]
fn routes_and_description_are_the_same() {
    let document = document();
    let mut described = BTreeSet::new();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(operations.insert(id.to_owned()), "{id} stands there twice");
            let captured = path.contains('{');
            let declared = operation["parameters"].as_array().into_iter().flatten().any(|it| it["in"] == "path");
            assert_eq!(captured, declared, "{method} {path}: parameters of the path");
            if path.starts_with("/admin") {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let routes: BTreeSet<String> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.template)).collect();
    assert_eq!(described, routes);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut open = vec![&document];
    let mut found = 0;
    while let Some(value) = open.pop() {
        if let Some(target) = value["$ref"].as_str() {
            let target = target.strip_prefix('#').expect("inside this document");
            assert!(document.pointer(target).is_some(), "{target}");
            found += 1;
        }
        open.extend(value.as_object().into_iter().flatten().map(|(_, inner)| inner));
        open.extend(value.as_array().into_iter().flatten());
    }
    assert!(found > 50, "the references were not found");
}

#[test]
fn a_key_has_the_fields_that_are_described() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let mut fields = names(&serde_json::to_value(Key::default()).expect("a record"));
    let written = names(&schemas["KeyBody"]["properties"]);
    assert!(written.is_subset(&fields), "{written:?}");
    assert_eq!(written, super::super::key_body::WRITABLE.iter().map(|name| (*name).to_owned()).collect());
    let own: Value = serde_json::from_str(&describe(&Key::default(), None)).expect("JSON");
    assert_eq!(names(&schemas["OwnKey"]["properties"]), names(&own));
    fields.insert("object".to_owned());
    assert_eq!(names(&schemas["Key"]["properties"]), fields);
}

/// Sends a request to every route, good ones and bad ones, and compares each answer with its description.
#[test]
fn every_answer_is_as_described() {
    let gateway = Gateway::new();
    let mut seen = BTreeSet::new();
    let mut ask = |method: &str, template: &str, filled: &str, query: &str, body: &str| {
        let target = format!("{}{query}", template.replace("{id}", filled).replace("{version}", filled));
        let answered = gateway.send_with(method, &target, body, Some("Bearer the admin key"), Some("*"));
        let document = document();
        let responses = &document["paths"][template][method.to_lowercase()]["responses"];
        let status = answered.status.to_string();
        let described = if responses[&status].is_object() { &responses[&status] } else { &responses["default"] };
        assert!(described["$ref"].is_string() || answered.status < 300, "{method} {target}: {status}");
        let described = resolve(&document, described);
        let schema = &described["content"]["application/json"]["schema"];
        check(&document, schema, &answered.body, &format!("{method} {target}"));
        if answered.status < 300 {
            seen.insert(format!("{method} {template}"));
        }
        answered
    };
    let id = ask("POST", "/admin/keys", "", "", r#"{"name":"a","expires_at":1800000000000}"#).text("id");
    ask("POST", "/admin/keys", "", "", r#"{"name":7}"#);
    ask("GET", "/admin/keys", "", "?limit=1", "");
    ask("GET", "/admin/keys/{id}", &id, "", "");
    ask("GET", "/admin/keys/{id}", "key_nobody", "", "");
    ask("PATCH", "/admin/keys/{id}", &id, "", r#"{"metadata":{"a":"b"},"default_max_tokens":5}"#);
    ask("POST", "/admin/keys/{id}/rotate", &id, "", r#"{"grace_seconds":5}"#);
    for action in ["disable", "enable", "revoke"] {
        ask("POST", &format!("/admin/keys/{{id}}/{action}"), &id, "", "");
    }
    ask("DELETE", "/admin/keys/{id}", &id, "", "");
    let ruled = r#"{"name":"b","budgets":[{"limit":1}],"limits":[{"unit":"parallel","max":4}]}"#;
    let ruled = ask("POST", "/admin/keys", "", "", ruled).body;
    for list in ["budgets", "limits"] {
        let id = ruled[list][0]["id"].as_str().expect("an id").to_owned();
        let standing = PotStanding { limit: 9, leased: 2, lost: 1, ..PotStanding::default() };
        gateway.store.contents.borrow_mut().standings.insert(id.clone(), [(id, standing)].into());
    }
    let figured = ask("GET", "/admin/keys/{id}", ruled["id"].as_str().expect("an id"), "", "");
    assert!(figured.body["budgets"][0]["lost"].is_number() && figured.body["limits"][0]["remaining"].is_number());
    let document = r#"{"version":1,"limits":{"json_depth":20}}"#;
    ask("GET", "/admin/config", "", "", "");
    ask("POST", "/admin/config/check", "", "", document);
    ask("PUT", "/admin/config", "", "", document);
    ask("PUT", "/admin/config", "", "", "{}");
    ask("POST", "/admin/config/rollback", "", "", r#"{"version":1}"#);
    ask("GET", "/admin/config/versions", "", "", "");
    ask("GET", "/admin/config/versions/{version}", "1", "", "");
    ask("GET", "/admin/providers", "", "", "");
    for (kind, body) in [
        ("team", r#"{"name":"a","markup":{"factor":2}}"#),
        ("user", r#"{"id":"alice"}"#),
        ("budget", r#"{"scope":{"type":"account"},"match":{"provider":"a*"},"limit":5,"warn_at":[0.5]}"#),
        ("limit", r#"{"scope":{"type":"user","id":"*"},"unit":"tokens","per":"day","max":5}"#),
        ("webhook", r#"{"url":"https://hooks.example.com/"}"#),
    ] {
        let (path, one) = (format!("/admin/{kind}s"), format!("/admin/{kind}s/{{id}}"));
        let id = ask("POST", &path, "", "", body).text("id");
        ask("POST", &path, "", "", r#"{"what":1}"#);
        ask("GET", &path, "", "?limit=1", "");
        ask("GET", &one, &id, "", "");
        ask("PATCH", &one, &id, "", "{}");
        if kind == "webhook" {
            ask("GET", "/admin/webhooks/{id}/secret", &id, "", "");
        }
        ask("DELETE", &one, &id, "", "");
    }
    gateway.store.contents.borrow_mut().calls.push(CallRow {
        request_id: "req_1".to_owned(),
        cost_nano: Some(5),
        prices: Some(r#"{"source":"configuration","lines":[["input",3,1000]]}"#.to_owned()),
        ..CallRow::default()
    });
    gateway.store.contents.borrow_mut().lost.insert("bud_1".to_owned(), NanoUsd(5));
    ask("POST", "/admin/budgets/{id}/release", "bud_1", "", r#"{"silent_seconds":60}"#);
    ask("POST", "/admin/budgets/{id}/release", "bud_1", "", r#"{"silent_seconds":1}"#);
    ask("GET", "/admin/calls", "", "", "");
    ask("GET", "/admin/audit", "", "", "");
    ask("GET", "/admin/usage", "", "?group_by=key,team,user,tag,model,provider,day,hour&from=0", "");
    ask("GET", "/admin/usage", "", "?group_by=planet", "");
    ask("GET", "/admin/spend", "", "?from=0", "");
    ask("GET", "/admin/ledger/{id}", "req_1", "", "");
    ask("GET", "/admin/ledger/{id}", "req_none", "", "");
    let experiment = r#"{"version":1,"aliases":{"a":{"candidates":["openai/gpt-4o"]}},
        "experiments":{"e":{"alias":"a","variants":{"v":{"share":0.1}}}}}"#;
    ask("PUT", "/admin/config", "", "", experiment);
    gateway.store.contents.borrow_mut().calls.push(CallRow { variant: Some("e:v".to_owned()), ..CallRow::default() });
    ask("GET", "/admin/experiments/{id}", "e", "?from=0", "");
    ask("GET", "/admin/experiments/{id}", "f", "", "");
    gateway.store.contents.borrow_mut().pairs.push(PairRow {
        variant: "v".to_owned(),
        call: r#"{"request_id":"req_1","cost_nano":5,"status":200}"#.to_owned(),
        shadow: r#"{"request_id":"req_2","provider":"a","model":"b"}"#.to_owned(),
        ..PairRow::default()
    });
    ask("GET", "/admin/experiments/{id}/pairs", "e", "?limit=5", "");
    let explained = r#"{"request":{"model":"any","messages":[]},"headers":{"x-latchkey-tags":"small"}}"#;
    ask("POST", "/admin/route/explain", "", "", explained);
    ask("POST", "/admin/route/explain", "", "", "{}");
    ask("POST", "/admin/route/replay", "", "", r#"{"config":{"version":1}}"#);
    for action in ["block", "allow", "reset"] {
        ask("POST", &format!("/admin/health/{action}"), "", "", r#"{"target":"openai/gpt-4o"}"#);
    }
    gateway.store.contents.borrow_mut().regions = vec![some_region()];
    gateway.store.contents.borrow_mut().ledgers =
        vec![LedgerHealth { team: None, outbox: Ok(r#"{"waiting":2,"aside":1}"#.into()) }];
    ask("GET", "/admin/health", "", "", "");
    let routes: BTreeSet<String> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.template)).collect();
    assert_eq!(seen, routes, "every route answered well once");
}

/// A region in which everything that can be shown is there.
fn some_region() -> RegionHealth {
    let stored = include_str!("../../../tests/fixtures/health/region.json");
    let region: Region = crate::json::from_str(stored).expect("a stored region");
    let overview = region.overview(UnixMillis(1_800_000_000_000));
    RegionHealth { region: "europe", overview: Ok(serde_json::to_string(&overview).expect("JSON")) }
}

#[test]
fn the_comparison_notices_what_differs() {
    let document = document();
    let schema = json!({ "$ref": "#/components/schemas/Provider" });
    let good =
        json!({ "id": "a", "name": "A", "base_url": "b", "format": "c", "has_credential": true, "key_variable": "K" });
    check(&document, &schema, &good, "good");
    for (field, value) in [("id", json!(1)), ("id", Value::Null), ("more", json!(1))] {
        let mut bad = good.clone();
        bad[field] = value;
        let caught = std::panic::catch_unwind(|| check(&document, &schema, &bad, "bad"));
        assert!(caught.is_err(), "{bad}");
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).expect("it leads somewhere"),
        None => schema,
    }
}

/// Panics unless `value` is what `schema` says, as far as this document uses JSON Schema, and has no member that the
/// schema does not name.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolve(document, schema);
    let described = all_properties(document, schema);
    for (name, inner) in value.as_object().into_iter().flatten() {
        match described.iter().find(|(known, _)| known == name) {
            Some((_, schema)) => check(document, schema, inner, &format!("{at}.{name}")),
            None => {
                assert!(schema.get("additionalProperties").is_some() || described.is_empty(), "{at}.{name}: unknown")
            }
        }
    }
    for schema in schema["allOf"].as_array().into_iter().flatten().chain([schema]) {
        let schema = resolve(document, schema);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // It says something of objects alone: what may be null has no members.
            assert!(value.is_null() || value.get(name).is_some(), "{at}.{name}: missing");
        }
        if let Some(constant) = schema.get("const") {
            assert_eq!(constant, value, "{at}");
        }
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(value), "{at}: {value}");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        assert!(types.is_empty() || types.iter().any(|name| is_a(name, value)), "{at}: {value} is no {types:?}");
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            check(document, &schema["items"], item, &format!("{at}.{index}"));
        }
    }
}

fn all_properties(document: &Value, schema: &Value) -> Vec<(String, Value)> {
    let schema = resolve(document, schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, inner)| (name.clone(), inner.clone()));
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| all_properties(document, part));
    own.chain(parts).collect()
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}
