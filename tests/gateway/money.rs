//! What a call costs, to the nano-dollar.

use latchkey::gateway::Input;
use latchkey::keys::Key;
use latchkey::units::NanoUsd;

use crate::world::{World, events, header, json, sent};

/// Prices of its own, so that the figures below can be worked by hand: $2 in, $0.5 cached, $8 out per million.
const PRICED: &str = r#"{"version":1,"models":{"openai/priced":{"prices":[{"from":"2024-01-01","usd_per_mtok":{"input":2,"cache_read":0.5,"output":8}}]}}}"#;

#[test]
fn cost_is_exact_in_plain_answers_streams_headers_and_records() {
    // 1,000 fresh at 2,000 nano + 500 cached at 500 + 100 out at 8,000 = 2,000,000 + 250,000 + 800,000 nano-dollars.
    let exact = NanoUsd(3_050_000);
    let usage = r#"{"prompt_tokens":1500,"completion_tokens":100,"total_tokens":1600,"prompt_tokens_details":{"cached_tokens":500}}"#;

    let mut world = World::with(Key::default(), Some(PRICED));
    let (id, step) = world.chat(r#"{"model":"openai/priced","messages":[]}"#);
    sent(step);
    let body = format!(
        r#"{{"id":"c","choices":[{{"index":0,"message":{{"role":"assistant","content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
    );
    let response = world.answer(id, 200, &[], &body);
    assert_eq!(header(&response, "x-latchkey-cost"), Some("0.00305"));
    let text = String::from_utf8(response.body).expect("text");
    assert!(text.contains(r#""cost":0.00305"#), "{text}");
    assert_eq!(world.only_record().cost_nano, Some(exact.0));

    let (id, step) =
        world.chat(r#"{"model":"openai/priced","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#);
    sent(step);
    let token = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
    let last = format!(r#"data: {{"id":"c","choices":[],"usage":{usage}}}"#);
    let stream = format!("{token}\n\n{last}\n\ndata: [DONE]\n\n");
    let streamed = world.stream(id, &[stream.as_bytes()], Input::End);
    assert!(streamed.text.contains(r#""cost":0.00305"#), "{}", streamed.text);
    assert_eq!(world.only_record().cost_nano, Some(exact.0));
}

#[test]
fn a_cost_that_is_not_known_is_never_invented() {
    let mut world = World::default();
    let (id, step) = world.chat(r#"{"model":"openai/a-model-nobody-has-heard-of","messages":[]}"#);
    sent(step);
    let body = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#;
    let response = world.answer(id, 200, &[], body);
    assert_eq!(header(&response, "x-latchkey-cost"), None);
    assert_eq!(json(&response.body)["usage"].get("cost"), None);
    assert_eq!(world.only_record().cost_nano, None);
}

#[test]
fn a_router_that_says_what_it_charged_is_believed_where_no_price_is_known() {
    let mut world = World::default();
    let usage = r#"{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6,"cost":0.000106}"#;
    let body = format!(
        r#"{{"id":"c","choices":[{{"index":0,"message":{{"role":"assistant","content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
    );
    let mut cost_at = |model: &str| {
        let (id, step) = world.chat(&format!(r#"{{"model":"{model}","messages":[]}}"#));
        sent(step);
        world.answer(id, 200, &[], &body);
        world.only_record().cost_nano
    };
    assert_eq!(cost_at("openrouter/maker/unheard-of"), Some(106_000));
    assert_eq!(cost_at("openai/unheard-of"), None, "others may not name their own price");
}

#[test]
fn silence_about_usage_is_an_estimate_and_says_so() {
    let mut world = World::with(Key::default(), Some(PRICED));
    let (id, step) = world.chat(r#"{"model":"openai/priced","messages":[{"role":"user","content":"Hi"}]}"#);
    sent(step);
    let body = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"eight ch"},"finish_reason":"stop"}]}"#;
    let response = world.answer(id, 200, &[], body);
    let answer = json(&response.body);
    assert_eq!(answer["usage"]["estimated"], true, "{answer}");
    let record = world.only_record();
    assert_eq!(record.state, "settled_estimate");
    assert!(record.cost_nano.is_some_and(|cost| cost > 0));

    let (id, step) =
        world.chat(r#"{"model":"openai/priced","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#);
    sent(step);
    let stream = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let streamed = world.stream(id, &[stream.as_bytes()], Input::End);
    assert!(events(&streamed.text).iter().any(|event| event.contains(r#""estimated":true"#)), "{}", streamed.text);
    assert_eq!(world.only_record().state, "settled_estimate");
}
