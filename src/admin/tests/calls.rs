//! Records of calls.

use serde_json::json;

use super::Gateway;
use crate::admin::CallRow;
use crate::units::UnixMillis;

fn gateway_with_calls() -> Gateway {
    let gateway = Gateway::new();
    let row = |at: i64, request_id: &str, key_id: &str, model: &str| CallRow {
        request_id: request_id.to_owned(),
        at: UnixMillis(at),
        key_id: key_id.to_owned(),
        provider: "openai".to_owned(),
        model: model.to_owned(),
        status: 200,
        stream: 1,
        input_fresh: 12,
        cost_nano: Some(2_500_000),
        ..CallRow::default()
    };
    gateway.store.contents.borrow_mut().calls = vec![
        row(100, "req_a", "key_1", "gpt-4o"),
        row(200, "req_b", "key_2", "gpt-4o"),
        row(200, "req_c", "key_1", "gpt-4o-mini"),
        row(300, "req_d", "key_1", "gpt-4o"),
    ];
    gateway
}

#[test]
fn calls_are_newest_first_and_in_dollars() {
    let listed = gateway_with_calls().send("GET", "/admin/calls", "");
    assert_eq!(listed.column("request_id"), ["req_d", "req_c", "req_b", "req_a"]);
    let row = &listed.body["data"][0];
    assert_eq!(row["cost"].to_string(), "0.0025");
    assert_eq!((&row["upstream_cost"], &row["stream"]), (&json!(null), &json!(true)));
    assert_eq!(row["tokens"]["input_fresh"], 12);
}

#[test]
fn calls_are_found_by_key_model_and_time() {
    let gateway = gateway_with_calls();
    for (query, expected) in [
        ("key_id=key_1", vec!["req_d", "req_c", "req_a"]),
        ("key_id=key_1&model=gpt-4o", vec!["req_d", "req_a"]),
        ("from=200&until=300", vec!["req_c", "req_b"]),
        ("provider=anthropic", vec![]),
    ] {
        assert_eq!(gateway.send("GET", &format!("/admin/calls?{query}"), "").column("request_id"), expected, "{query}");
    }
}

#[test]
fn pages_split_calls_of_the_same_millisecond() {
    let gateway = gateway_with_calls();
    let first = gateway.send("GET", "/admin/calls?limit=2", "");
    assert_eq!(first.column("request_id"), ["req_d", "req_c"]);
    let rest = gateway.send("GET", &format!("/admin/calls?limit=2&cursor={}", first.text("next_cursor")), "");
    assert_eq!(rest.column("request_id"), ["req_b", "req_a"]);
    assert_eq!(rest.body["next_cursor"], json!(null));
}
