//! What a call costs, to the nano-dollar.

use latchkey::budget::{Budget, Enforcement, Period, Rule, Scope, ScopeKind};
use latchkey::gateway::{Input, Step};
use latchkey::keys::{Key, Markup};
use latchkey::limit::{Limit, Per, Unit};
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
fn the_end_user_that_a_call_is_counted_under_is_the_one_in_its_record() {
    let mut world = World::default();
    let body = r#"{"model":"openai/gpt-4o","messages":[],"user":"ada"}"#;
    for (headers, user) in [(&[][..], "ada"), (&[("x-latchkey-user", "grace")][..], "grace")] {
        let (id, step) = world.send("/v1/chat/completions", body, headers);
        sent(step);
        world.answer(id, 200, &[], r#"{"id":"c","choices":[]}"#);
        assert!(world.rows().iter().all(|row| row.user.as_deref() == Some(user)));
    }
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

#[test]
fn a_count_that_no_call_can_have_is_none() {
    for slip in [
        // Less than nothing, as an unsigned number of 64 bits and of 32.
        r#"{"prompt_tokens":5,"completion_tokens":18446744073709551615,"total_tokens":4}"#,
        r#"{"prompt_tokens":4294967295,"completion_tokens":1,"total_tokens":0}"#,
        r#"{"prompt_tokens":5,"completion_tokens":1e300}"#,
    ] {
        let mut world = World::with(Key::default(), Some(PRICED));
        let (id, step) = world.chat(r#"{"model":"openai/priced","messages":[]}"#);
        sent(step);
        let choice = r#""index":0,"finish_reason":"stop""#;
        let body = format!(
            r#"{{"id":"c","choices":[{{{choice},"message":{{"role":"assistant","content":"x"}}}}],"usage":{slip}}}"#
        );
        world.answer(id, 200, &[], &body);
        let plain = world.only_record();

        let (id, step) = world.chat(r#"{"model":"openai/priced","messages":[],"stream":true}"#);
        sent(step);
        // Some count all along: what was good before says nothing of the whole.
        let so_far = r#""usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}"#;
        let token = format!(r#"data: {{"id":"c","choices":[{{{choice},"delta":{{"content":"x"}}}}],{so_far}}}"#);
        let last = format!(r#"data: {{"id":"c","choices":[],"usage":{slip}}}"#);
        world.stream(id, &[format!("{token}\n\n{last}\n\ndata: [DONE]\n\n").as_bytes()], Input::End);
        for record in [plain, world.only_record()] {
            assert_eq!(record.state, "settled_estimate", "{slip}");
            assert!(record.cost_nano.is_some_and(|cost| (1..1_000_000).contains(&cost)), "{slip}: {record:?}");
        }
    }
}

/// A rate of its own for every bucket, in whole dollars a million tokens, which is thousands of nano-dollars a token.
const PRIMES: &str = r#"{"from":"2024-01-01","usd_per_mtok":{"input":2,"output":3,"cache_read":5,"cache_write":7,"cache_write_1h":11,
    "reasoning":13,"audio_input":17,"audio_output":19,"image_input":23,"image_output":29},"usd_per_request":0.031,
    "tiers_above":[{"input_tokens":200000,"usd_per_mtok":{"input":4,"output":6}}],
    "service_tiers":{"priority":{"input":20,"output":30}}}"#;

/// What a plain answer with this usage costs, as the ledger has it.
fn cost_of(model: &str, answer: &str) -> i64 {
    let models = ["openai", "anthropic", "gemini"].map(|maker| format!(r#""{maker}/primes":{{"prices":[{PRIMES}]}}"#));
    let document = format!(r#"{{"version":1,"models":{{{}}}}}"#, models.join(","));
    let mut world = World::with(Key::default(), Some(&document));
    let (id, step) = world.chat(&format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]}}"#));
    sent(step);
    world.answer(id, 200, &[], answer);
    let record = world.only_record();
    assert_eq!(record.state, "settled_actual");
    record.cost_nano.expect("a cost")
}

#[test]
fn every_bucket_and_tier_costs_what_it_does_by_hand() {
    let openai = |usage: &str, more: &str| {
        let answer = format!(
            r#"{{"id":"c","choices":[{{"index":0,"message":{{"role":"assistant","content":"x"}},"finish_reason":"stop"}}],"usage":{usage}{more}}}"#
        );
        cost_of("openai/primes", &answer)
    };
    // 100 in: 65 fresh × 2 + 20 cached × 5 + 10 audio × 17 + 5 image × 23; 50 out: 21 text × 3 + 20 thoughts × 13 +
    // 5 audio × 19 + 4 image × 29; thousands of nano-dollars.
    let all = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
        "prompt_tokens_details":{"cached_tokens":20,"audio_tokens":10,"image_tokens":5},
        "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":5,"image_tokens":4}}"#;
    assert_eq!(openai(all, ""), (130 + 100 + 170 + 115 + 63 + 260 + 95 + 116) * 1_000);
    // 30 fresh × 2 + 20 read × 5 + 10 written for five minutes × 7 + 7 for an hour × 11 + 40 out × 3, and two searches.
    let claude = r#"{"id":"msg_1","type":"message","role":"assistant","model":"primes","content":[{"type":"text","text":"x"}],
        "stop_reason":"end_turn","usage":{"input_tokens":30,"cache_read_input_tokens":20,"cache_creation_input_tokens":17,
        "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":7},"output_tokens":40,
        "server_tool_use":{"web_search_requests":2}}}"#;
    assert_eq!(cost_of("anthropic/primes", claude), (60 + 100 + 70 + 77 + 120) * 1_000 + 2 * 31_000_000);
    // 100 in: 55 fresh × 2 + 15 cached × 5 + 20 audio × 17 + 10 image × 23; 30 said × 3 and 9 thought × 13 beside them.
    let gemini = r#"{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"finishReason":"STOP","index":0}],
        "usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":15,"candidatesTokenCount":30,"thoughtsTokenCount":9,
        "totalTokenCount":139,"promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":20},
        {"modality":"IMAGE","tokenCount":10}]}}"#;
    assert_eq!(cost_of("gemini/primes", gemini), (110 + 75 + 340 + 230 + 90 + 117) * 1_000);
    // Up to 200,000 tokens the first prices hold, and from the next one on the others, for the whole call.
    let long = |tokens: u64| openai(&format!(r#"{{"prompt_tokens":{tokens},"completion_tokens":10}}"#), "");
    assert_eq!(long(200_000), (400_000 + 30) * 1_000);
    assert_eq!(long(200_001), (800_004 + 60) * 1_000);
    // The tier that was used is the one that is paid, whatever was asked for.
    let used = r#"{"prompt_tokens":100,"completion_tokens":10}"#;
    assert_eq!(openai(used, r#","service_tier":"priority""#), (2_000 + 300) * 1_000);
    assert_eq!(openai(used, r#","service_tier":"default""#), (200 + 30) * 1_000);
    // A ten-thousandth of a cent is not lost: each line is rounded up once, to the nano-dollar.
    assert_eq!(openai(r#"{"prompt_tokens":1,"completion_tokens":0}"#, ""), 2_000);
}

#[test]
fn the_fixed_part_of_a_mark_up_is_charged_once_a_call() {
    let document = r#"{"version":1,"health":{"enabled":false},"models":{
        "openai/a":{"prices":[{"usd_per_mtok":{"input":2,"output":8}}]},
        "deepseek/b":{"prices":[{"usd_per_mtok":{"input":2,"output":8}}]}}}"#;
    let fixed = NanoUsd(1_000_000);
    for enforcement in [Enforcement::Strict, Enforcement::Soft] {
        let scope = Scope::key("key_test");
        let budget = Budget { id: "b".into(), scope, limit: NanoUsd::DOLLAR, enforcement, ..Budget::default() };
        let markup = Some(Markup { fixed, ..Markup::default() });
        // One request is all that there may be, and several attempts at it are one.
        let (scope, per) = (Scope::key("key_test"), Some(Per::Day));
        let limits = vec![Limit { id: "l".into(), scope, unit: Unit::Requests, per, max: 1, ..Limit::default() }];
        let key = Key { budgets: vec![budget], limits, markup, ..Key::default() };
        let mut world = World::with(key, Some(document));
        let (id, mut step) = world.chat(r#"{"models":["openai/a","deepseek/b"],"messages":[],"max_tokens":9}"#);
        let mut taken = 0;
        // Taken and never finished, which the provider bills; then another one answers.
        while let Step::Send(request) = step {
            if request.url.contains("deepseek") {
                break;
            }
            taken += 1;
            step = world.refuse(id, 200, &[], r#"{"id":"#);
            while let Step::Wait(_) = step {
                step = world.resume(id, Input::Waited);
            }
        }
        assert!(taken > 0);
        world.answer(
            id,
            200,
            &[],
            r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#,
        );
        let rows = world.rows();
        assert_eq!(rows.len(), taken + 1, "{rows:?}");
        let charged: Vec<i64> = rows.iter().map(|row| row.cost_nano.expect("charged")).collect();
        assert_eq!(charged[0], fixed.0 + 5 * 2_000 + 8_000, "the one that answered");
        assert!(charged[1..].iter().all(|charged| (1..fixed.0).contains(charged)), "{charged:?}");
        world.report();
        let (ledger, now) = (world.ledger.as_mut().expect("a ledger"), world.now);
        let spent = ledger.standing("b", now).expect("known").spent;
        assert_eq!(spent, charged.iter().sum::<i64>(), "rows sum to the object");
    }
}

/// Nothing of its own counts the calls of a key, and nothing its team has: the account's budget counts them all the same.
#[test]
fn a_key_of_a_team_without_rules_is_counted_by_the_account() {
    let key = Key { team_id: Some("team_own_1".to_owned()), ..Key::default() };
    let mut world = World::with(key, Some(PRICED));
    let shared = Budget {
        id: "all".into(),
        scope: Scope { kind: ScopeKind::Account, id: String::new() },
        limit: NanoUsd(20_000_000),
        period: Period::Total,
        ..Budget::default()
    };
    world.ledger.as_mut().expect("a ledger").set_rule(Rule::Budget(shared));
    world.team_ledgers.insert("team_own_1".to_owned(), latchkey::budget::Ledger::default());
    let call = r#"{"model":"openai/priced","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}"#;
    let answer = r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;
    let mut served = 0;
    while let (id, Step::Send(_)) = world.chat(call) {
        world.answer(id, 200, &[], answer);
        world.report();
        served += 1;
        assert!(served < 9, "of 2.8 thousandths of a dollar each, out of 20");
    }
    assert!(served > 0);
    let now = world.now;
    let spent = world.ledger.as_mut().and_then(|ledger| ledger.standing("all", now)).expect("known").spent;
    assert_eq!(spent, served * 2_800_000);
}
