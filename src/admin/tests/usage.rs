//! What was used and what it cost: added up, and explained.

use serde_json::json;

use super::Gateway;
use crate::admin::CallRow;
use crate::units::UnixMillis;

const HOUR: i64 = 3_600_000;
/// The first hour of a day.
const DAY: i64 = 20_717 * 24 * HOUR;

fn gateway_with_calls() -> Gateway {
    let gateway = Gateway::new();
    let row = |at: i64, request_id: &str, key_id: &str, tags: Option<&str>, cost: i64| CallRow {
        request_id: request_id.to_owned(),
        at: UnixMillis(at),
        key_id: key_id.to_owned(),
        model: "gpt-4o".to_owned(),
        provider: "openai".to_owned(),
        tags: tags.map(str::to_owned),
        status: 200,
        input_fresh: 10,
        cost_nano: Some(cost * 1_000_000),
        upstream_cost_nano: Some(cost * 500_000),
        state: "settled_actual".to_owned(),
        ..CallRow::default()
    };
    gateway.store.contents.borrow_mut().calls = vec![
        row(DAY, "req_a", "key_1", Some("a, b"), 4),
        row(DAY + HOUR, "req_b", "key_1", Some("=cmd"), 40),
        row(DAY + 25 * HOUR, "req_c", "key_2", None, 400),
    ];
    gateway.now.set(DAY + 48 * HOUR);
    gateway
}

#[test]
fn sums_are_told_apart_by_what_was_asked_for() {
    let gateway = gateway_with_calls();
    let total = gateway.send("GET", "/admin/usage", "");
    assert_eq!(total.body["data"][0]["cost"].to_string(), "0.444");
    assert_eq!(total.body["data"][0]["upstream_cost"].to_string(), "0.222");
    assert_eq!((&total.body["data"][0]["calls"], &total.body["data"][0]["key_id"]), (&json!(3), &json!(null)));
    let by_key = gateway.send("GET", "/admin/usage?group_by=key,day", "");
    assert_eq!(
        (by_key.column("key_id"), by_key.column("calls")),
        (vec!["key_1".into(), "key_2".into()], vec!["2".into(), "1".into()])
    );
    assert_eq!(by_key.body["data"][1]["day"], DAY + 24 * HOUR);
    let by_tag = gateway.send("GET", "/admin/usage?group_by=tag", "");
    assert_eq!(by_tag.column("tag"), ["", "a", "b", "=cmd"]);
    let one = gateway.send("GET", "/admin/usage?group_by=hour&key_id=key_1", "");
    assert_eq!(one.column("hour"), [DAY.to_string(), (DAY + HOUR).to_string()]);
}

#[test]
fn variants_are_told_apart_where_that_is_asked_for() {
    let gateway = gateway_with_calls();
    for (row, variant) in gateway.store.contents.borrow_mut().calls.iter_mut().zip(["e:control", "e:new"]) {
        row.variant = Some(variant.to_owned());
    }
    let asked = gateway.send("GET", "/admin/usage?group_by=variant,key", "");
    assert_eq!(
        (asked.column("variant"), asked.column("calls")),
        (vec!["e:new".into(), "e:control".into()], vec!["1".into(); 2])
    );
    let one = gateway.send("GET", "/admin/usage?variant=e:new", "");
    assert_eq!(one.body["data"][0]["cost"].to_string(), "0.04");
}

#[test]
fn how_often_prompts_are_cached_is_a_figure_of_each_key() {
    let gateway = gateway_with_calls();
    gateway.store.contents.borrow_mut().calls[0].input_cache_read = 30;
    let by_key = gateway.send("GET", "/admin/usage?group_by=key", "");
    assert_eq!(by_key.column("cache_hit_rate"), ["0.6", "0.0"]);
}

#[test]
fn times_are_whole_hours() {
    let gateway = gateway_with_calls();
    let asked = gateway.send("GET", &format!("/admin/usage?from={}&until={}", DAY + 7, DAY + HOUR + 7), "");
    assert_eq!((&asked.body["from"], &asked.body["until"]), (&json!(DAY), &json!(DAY + 2 * HOUR)));
    assert_eq!(asked.column("calls"), ["2"]);
}

#[test]
fn long_answers_go_on_by_cursor() {
    let gateway = gateway_with_calls();
    let first = gateway.send("GET", "/admin/usage?group_by=hour&limit=2", "");
    assert_eq!(first.body["data"].as_array().map(Vec::len), Some(2));
    let rest =
        gateway.send("GET", &format!("/admin/usage?group_by=hour&limit=2&cursor={}", first.text("next_cursor")), "");
    assert_eq!(rest.column("hour"), [(DAY + 25 * HOUR).to_string()]);
    assert_eq!(rest.body["next_cursor"], json!(null));
}

#[test]
fn what_comes_in_between_two_pages_neither_repeats_a_row_nor_skips_one() {
    let gateway = gateway_with_calls();
    let first = gateway.send("GET", "/admin/usage?group_by=key,hour&limit=2", "");
    assert_eq!(first.column("hour"), [DAY.to_string(), (DAY + HOUR).to_string()]);
    let mut earlier = gateway.store.contents.borrow().calls[0].clone();
    earlier.key_id = "key_0".to_owned();
    gateway.store.contents.borrow_mut().calls.push(earlier);
    let cursor = first.text("next_cursor");
    let second = gateway.send("GET", &format!("/admin/usage?group_by=key,hour&limit=2&cursor={cursor}"), "");
    assert_eq!(
        (second.column("key_id"), second.column("hour")),
        (vec!["key_2".into()], vec![(DAY + 25 * HOUR).to_string()])
    );
    // It is of these groups, and of no others.
    for other in ["key", "hour,key", "", "key,hour,day"] {
        let refused = gateway.send("GET", &format!("/admin/usage?group_by={other}&cursor={cursor}"), "");
        assert_eq!(refused.fault_paths(), ["cursor"], "{other}");
    }
}

#[test]
fn a_table_holds_no_formulas() {
    let gateway = gateway_with_calls();
    let table = gateway.send("GET", "/admin/usage?group_by=tag&format=csv&limit=2", "");
    let cursor = table.header("x-next-cursor").expect("there is more").to_owned();
    let rest = gateway.send("GET", &format!("/admin/usage?group_by=tag&format=csv&cursor={cursor}"), "");
    assert_eq!(
        rest.body,
        "tag,calls,failed_calls,estimated_calls,unpriced_calls,input_tokens,cached_tokens,output_tokens,\
         reasoning_tokens,cost,upstream_cost,cache_hit_rate\r\n\
         b,1,0,0,0,10,0,0,0,0.004,0.002,0\r\n\
         '=cmd,1,0,0,0,10,0,0,0,0.04,0.02,0\r\n"
    );
}

#[test]
fn spend_names_the_dearest_first() {
    let spend = gateway_with_calls().send("GET", "/admin/spend", "");
    assert_eq!(spend.body["cost"].to_string(), "0.444");
    assert_eq!(spend.body["keys"][0]["key_id"], "key_2");
    assert_eq!(spend.body["keys"][1]["cost"].to_string(), "0.044");
    assert_eq!(
        spend.body["models"],
        json!([{ "model": "gpt-4o", "calls": 3, "failed_calls": 0, "estimated_calls": 0,
        "unpriced_calls": 0, "input_tokens": 30, "cached_tokens": 0, "cache_hit_rate": 0.0, "output_tokens": 0,
        "reasoning_tokens": 0,
        "cost": 0.444, "upstream_cost": 0.222 }])
    );
}

#[test]
fn what_cannot_be_asked_is_told() {
    let gateway = Gateway::new();
    let refused =
        gateway.send("GET", "/admin/usage?group_by=key,key,moon&from=5&until=4&format=xml&limit=0&cursor=a&b=c", "");
    assert_eq!(refused.fault_paths(), ["b", "cursor", "format", "from", "group_by", "group_by", "limit"]);
}

#[test]
fn a_cost_is_explained_line_by_line() {
    let gateway = gateway_with_calls();
    let prices = r#"{"source":"catalogue 2026-11","tier":"batch","above":200000,"lines":[["input",3,1000000001],["output",2,5000000000]]}"#;
    let mut correction = gateway.store.contents.borrow().calls[0].clone();
    gateway.store.contents.borrow_mut().calls[0].prices = Some(prices.to_owned());
    (correction.seq, correction.corrects, correction.cost_nano) = (1, Some(0), Some(-1_000_000));
    gateway.store.contents.borrow_mut().calls.push(correction);
    let told = gateway.send("GET", "/admin/ledger/req_a", "");
    assert_eq!(told.body["cost"].to_string(), "0.003", "the sum of its rows");
    let row = &told.body["rows"][0];
    assert_eq!(row["prices"]["source"], "catalogue 2026-11");
    assert_eq!((&row["prices"]["service_tier"], &row["prices"]["prompt_above"]), (&json!("batch"), &json!(200_000)));
    assert_eq!(
        row["lines"][0],
        json!({ "bucket": "input", "count": 3, "per_million": 1.000000001, "amount": 0.000003001 })
    );
    assert_eq!(row["lines"][1]["amount"], json!(0.00001));
    assert_eq!(told.body["rows"][1]["corrects"], 0);
    assert_eq!(gateway.send("GET", "/admin/ledger/req_none", "").status, 404);
}
