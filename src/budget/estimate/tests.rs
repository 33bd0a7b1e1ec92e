//! What calls can cost at most, and what is said of those of which nobody knows.

use proptest::prelude::*;

use super::*;
use crate::chat::Usage;
use crate::provider::{LongPrompt, cost};

/// Hard bounds of an answer, and nothing known of the model.
const STRICT: Basis<'static> =
    Basis { answers: true, strict: true, price: None, model_max: None, context: None, tiered: false };

fn price() -> Price {
    let mut price = Price::default();
    for (bucket, usd) in [(Bucket::Input, 2), (Bucket::CacheRead, 1), (Bucket::CacheWrite, 3), (Bucket::Output, 8)] {
        price.rates.set(bucket, NanoUsd(usd * NanoUsd::DOLLAR.0));
    }
    let mut long = Rates::default();
    long.set(Bucket::Input, NanoUsd(4 * NanoUsd::DOLLAR.0));
    price.above.push(LongPrompt { tokens: 1_000, rates: long });
    price
}

#[test]
fn the_worst_case_is_bytes_in_and_the_cap_out() {
    let body = br#"{"model":"m","messages":[],"max_tokens":100,"n":2}"#;
    let found = estimate(body, &Basis { price: Some(&price()), ..STRICT });
    let input = body.len() as u64 + AROUND;
    assert_eq!((found.most.input_tokens, found.most.output_tokens), (input, 200));
    let exact = NanoUsd(2_000).0 * i64::try_from(input).unwrap() + 8_000 * 200;
    assert_eq!(found.most.cost, NanoUsd(exact + Bucket::COUNT as i64));
    assert_eq!((found.priced, found.unbounded), (true, None));
}

#[test]
fn caps_are_found_in_every_format() {
    let cap = |body: &str| strictly(body, None).most.output_tokens;
    assert_eq!(cap(r#"{"max_completion_tokens":7}"#), 7);
    assert_eq!(cap(r#"{"max_output_tokens":8}"#), 8);
    assert_eq!(cap(r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":3}}"#), 27);
    assert_eq!(cap(r#"{"max_tokens":7,"max_completion_tokens":null,"n":2}"#), 14);
    for unread in [
        r#"{"max_tokens":"7"}"#,
        r#"{"max_tokens":7.5}"#,
        r#"{"max_tokens":-7}"#,
        r#"{"max_tokens":1,"max_tokens":null}"#,
        r#"{"generationConfig":{"maxOutputTokens":1},"generationConfig":{}}"#,
        r#"{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":null}}"#,
        r#"[{"n":2}]"#,
        "{",
        "",
    ] {
        assert_eq!(
            estimate(unread.as_bytes(), &Basis { model_max: Some(5), ..STRICT }).most.output_tokens,
            5,
            "{unread}"
        );
    }
    assert_eq!(estimate(b"{}", &Basis { model_max: Some(5), ..STRICT }).most.output_tokens, 5, "the model's own");
    assert_eq!(estimate(b"{}", &Basis { answers: false, ..STRICT }).most.output_tokens, 0, "no answer, no output");
}

#[test]
fn what_has_no_bound_is_named() {
    let unbounded = |body: &str| estimate(body.as_bytes(), &Basis { model_max: Some(1), ..STRICT }).unbounded;
    assert_eq!(unbounded(r#"{"image_url":{"url":"https://a/b.png"}}"#), Some("a link to media"));
    assert_eq!(unbounded(r#"{"image_url":{"url":"data:image/png;base64,AAAA"}}"#), None);
    assert_eq!(unbounded(r#"{"type":"file","file":{"file_id":"f"}}"#), Some("a stored file"));
    assert_eq!(unbounded(r#"{"tools":[{"type":"web_search_preview"}]}"#), Some("a search by the provider"));
    assert_eq!(unbounded(r#"{"content":"say \"file_id\" twice"}"#), None, "what is only talked about");
    assert_eq!(estimate(b"{}", &STRICT).unbounded, Some("an answer without a cap"));
    assert_eq!(estimate(b"{}", &Basis { strict: false, ..STRICT }).unbounded, None);
}

#[test]
fn an_unknown_price_is_no_price() {
    let found = estimate(b"{}", &Basis { model_max: Some(1), ..STRICT });
    assert_eq!((found.priced, found.most.cost), (false, NanoUsd::ZERO));
}

#[test]
fn a_long_prompt_of_a_dearer_tier_is_held_at_what_both_together_cost() {
    let mut price = price();
    let mut priority = Rates::default();
    priority.set(Bucket::Input, NanoUsd(5 * NanoUsd::DOLLAR.0));
    priority.set(Bucket::Output, NanoUsd(20 * NanoUsd::DOLLAR.0));
    price.service_tiers.push(("priority".to_owned(), priority));
    let body = format!(r#"{{"messages":"{}","max_tokens":9,"service_tier":"priority"}}"#, "a".repeat(3_000));
    let found = strictly(&body, Some(&price));
    let tokens = found.most.input_tokens;
    let tier = Some("priority".to_owned());
    let usage = Usage { input_fresh: tokens, output_text: 9, service_tier: tier, ..Usage::default() };
    assert!(cost(&usage, &price).unwrap() <= found.most.cost, "{:?}", found.most.cost);
    let unasked = body.replace(r#","service_tier":"priority""#, "");
    let held = |tiered| estimate(unasked.as_bytes(), &Basis { price: Some(&price), tiered, ..STRICT }).most;
    let served = |input_fresh| cost(&Usage { input_fresh, ..usage.clone() }, &price).unwrap();
    assert!(held(false).cost < served(held(false).input_tokens), "nobody said that it may be served so");
    assert!(held(true).cost >= served(held(true).input_tokens));
    for asked in [r#","speed":"fast""#, r#","inference_geo":"us""#] {
        let found = strictly(&body.replace(r#","service_tier":"priority""#, asked), Some(&price)).most;
        assert!(found.cost >= served(found.input_tokens), "{asked}");
    }
    let schema = body.replace(r#","service_tier":"priority""#, r#","properties":{"speed":{"type":"string"}}"#);
    let found = strictly(&schema, Some(&price)).most;
    assert!(found.cost < served(found.input_tokens), "a tool's parameter asks for nothing");
}

#[test]
fn a_dear_tier_without_a_price_has_no_bound_and_no_cost() {
    let price = price();
    for (asks, tier, is_dear) in [
        (r#""speed":"fast""#, "fast", true),
        (r#""service_tier": "ultrafast""#, "ultrafast", true),
        (r#""speed":"standard""#, "standard", false),
        (r#""service_tier":"flex""#, "flex", false),
    ] {
        let found = strictly(&format!(r#"{{"max_tokens":9,{asks}}}"#), Some(&price));
        assert_eq!(found.unbounded.is_some(), is_dear, "{asks}");
        let usage = Usage { input_fresh: 3, service_tier: Some(tier.to_owned()), ..Usage::default() };
        assert_eq!(cost(&usage, &price).is_none(), is_dear, "{tier}");
    }
    let mut listed = price.clone();
    listed.service_tiers.push(("priority".to_owned(), listed.rates));
    let found = strictly(r#"{"max_tokens":9,"service_tier":"fast"}"#, Some(&listed));
    assert_eq!(found.unbounded, None, "another word for priority");
}

#[test]
fn images_that_a_model_may_put_out_unasked_are_held_as_images() {
    let mut price = price();
    price.rates.set(Bucket::ImageOutput, NanoUsd(30 * NanoUsd::DOLLAR.0));
    let found = strictly(r#"{"messages":[],"max_tokens":2000}"#, Some(&price));
    let usage = Usage { output_image: Some(2_000), ..Usage::default() };
    assert!(cost(&usage, &price).unwrap() <= found.most.cost);
}

#[test]
fn an_image_has_more_tokens_than_its_file_has_bytes() {
    // 1,024 × 1,024 of one colour: 2,833 + 4 × 5,667 tokens to the model that counts most.
    for image in [
        r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}"#,
        r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}"#,
        r#"{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}"#,
        r#"{"inline_data":{"mime_type":"image/png","data":"iVBORw0KGgo="}}"#,
        r#"{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}"#,
    ] {
        let body = format!(r#"{{"max_tokens":9,"messages":[{{"content":[{image}]}}]}}"#);
        let held = strictly(&body, Some(&price())).most.cost;
        assert!(held >= price().rates.get(Bucket::Input).unwrap().per_million(25_501), "{image}: {held}");
    }
}

#[test]
fn a_document_is_held_as_all_that_the_model_takes_in() {
    for document in [
        r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}"#,
        r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0="}}"#,
        r#"{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}"#,
        r#"{"document":{"format":"pdf","name":"a","source":{"bytes":"JVBERi0="}}}"#,
    ] {
        let body = format!(r#"{{"max_tokens":9,"messages":[{{"content":[{document}]}}]}}"#);
        let found = estimate(body.as_bytes(), &Basis { price: Some(&price()), context: Some(200_000), ..STRICT });
        assert!(found.most.cost >= price().above[0].rates.get(Bucket::Input).unwrap().per_million(200_000));
        assert_eq!(found.unbounded, None, "{document}");
        assert_eq!(strictly(&body, None).unbounded, Some("a document"), "{document}");
    }
    let schema = r#"{"max_tokens":9,"tools":[{"parameters":{"properties":{"bytes":{"type":"integer"}}}}]}"#;
    let (plain, found) = (schema.replace("bytes", "bites"), strictly(schema, Some(&price())));
    assert_eq!(found.most.cost, strictly(&plain, Some(&price())).most.cost);
    let schema = r#"{"max_tokens":9,"tools":[{"parameters":{"properties":{"document":{"type":"string"}}}}]}"#;
    assert_eq!(strictly(schema, None).unbounded, None, "only spoken of");
}

#[test]
fn nothing_is_hidden_by_how_it_is_written() {
    let unbounded = |body: &str| strictly(body, None).unbounded;
    let padding = " ".repeat(200);
    for (body, what) in [
        (r#"{"n":1,"tools":[{"type":"w\u0065b_search_preview"}]}"#.to_owned(), "a search by the provider"),
        (r#"{"image_url":{"url":"\u0068ttps://a/b.png"}}"#.to_owned(), "a link to media"),
        (r#"{"image_url":{"url":"https:\/\/a/b.png"}}"#.to_owned(), "a link to media"),
        (r#"{"image_url":{"url":" HTTPS://a/b.png"}}"#.to_owned(), "a link to media"),
        (format!(r#"{{"image_url":{{"detail":"low",{padding}"url":"https://a/b.png"}}}}"#), "a link to media"),
        (r#"{"source":{"s3Location":{"uri":"s3://bucket/film"}}}"#.to_owned(), "a link to media"),
    ] {
        assert_eq!(unbounded(&body), Some(what), "{body}");
    }
}

#[test]
fn what_providers_fetch_run_or_keep_has_no_bound() {
    for body in [
        r#"{"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]}"#,
        r#"{"tools":[{"type":"file_search","vector_store_ids":["v"]}]}"#,
        r#"{"tools":[{"type":"image_generation"}]}"#,
        r#"{"tools":[{"type":"mcp","server_url":"https://a"}]}"#,
        r#"{"tools":[{"type":"mcp_toolset","mcp_server_name":"a"}]}"#,
        r#"{"context_management":{"edits":[{"type":"compact_20260112"}]}}"#,
        r#"{"context_management":[{"type":"compaction","compact_threshold":9000}]}"#,
        r#"{"tools":[{"type":"shell","environment":{"type":"container_auto"}}]}"#,
        r#"{"tools":[{"type":"programmatic_tool_calling"}]}"#,
        r#"{"tools":[{"urlContext":{}}]}"#,
        r#"{"tools":[{"enterpriseWebSearch":{}}]}"#,
        r#"{"tools":[{"exa_ai_search":{}}]}"#,
        r#"{"tools":[{"parallelAiSearch":{}}]}"#,
        r#"{"tools":[{"url_context":{}},{"codeExecution":{}}]}"#,
        r#"{"tools":[{"googleMaps":{}}]}"#,
        r#"{"tools":[{"retrieval":{"vertexAiSearch":{"datastore":"d"}}}]}"#,
        r#"{"tools":[{"retrieval":{"vertex_rag_store":{"rag_resources":[]}}}]}"#,
        r#"{"tools":[{"googleSearchRetrieval":{}}]}"#,
        r#"{"tools":[{"type":"builtin_function","function":{"name":"$web_search"}}]}"#,
        r#"{"search_parameters":{"mode":"on"}}"#,
        r#"{"enable_search":true}"#,
        r#"{"plugins":[{"id":"web"}]}"#,
        r#"{"contents":[{"parts":[{"file_data":{"file_uri":"gs://a/b"}}]}]}"#,
        r#"{"cachedContent":"cachedContents/1"}"#,
        r#"{"conversation":"conv_1"}"#,
        r#"{"prompt":{"id":"pmpt_1"}}"#,
        r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#,
    ] {
        assert!(strictly(body, None).unbounded.is_some_and(|what| what != "an answer without a cap"), "{body}");
    }
}

#[test]
fn a_caller_s_own_tool_and_words_are_no_search() {
    for body in [
        r#"{"max_tokens":1,"tools":[{"type":"function","function":{"name":"web_search"}}]}"#,
        r#"{"max_tokens":1,"tools":[{"name":"code_execution","input_schema":{}}]}"#,
        r#"{"max_tokens":1,"messages":[{"content":"call \"web_search\" now"}]}"#,
        r#"{"max_tokens":1,"messages":[{"content":"web_search"}]}"#,
        r#"{"max_tokens":1,"prompt":"once"}"#,
        r#"{"max_tokens":1,"messages":[{"tool_calls":[{"function":{"arguments":"{\"source\":\"https://a\"}"}}]}]}"#,
        r#"{"max_tokens":1,"tools":[{"name":"Task","input_schema":{"properties":{"prompt":{"type":"string"},
            "conversation":{"type":"string"},"file_id":{"type":"string"},"plugins":{"type":"array"}}}}]}"#,
        r#"{"max_tokens":1,"previous_response_id":null,"enable_search":false,"conversation":null}"#,
        r#"{"max_tokens":1,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]}}"#,
        r#"{"max_tokens":1,"messages":[{"content":[{"type":"container_upload"}]}],"tools":[{"type":"shell"}]}"#,
        r#"{"max_tokens":1,"input":[{"type":"mcp_call"},{"type":"image_generation_call"}]}"#,
    ] {
        assert_eq!(strictly(body, None).unbounded, None, "{body}");
    }
}

#[test]
fn names_within_names_take_no_longer_than_as_many_beside_each_other() {
    let body = r#"{"source":"#.repeat(300_000);
    assert_eq!(strictly(&body, None).unbounded, Some("an answer without a cap"));
}

#[test]
fn caps_of_other_formats_are_found_too() {
    let cap = |body: &str| (strictly(body, None).most.output_tokens, strictly(body, None).unbounded);
    assert_eq!(cap(r#"{"inferenceConfig":{"maxTokens":9}}"#), (9, None));
    assert_eq!(cap(r#"{"options":{"num_predict":9}}"#), (9, None));
    assert_eq!(cap(r#"{"generation_config":{"max_output_tokens":9,"candidate_count":3}}"#), (27, None));
    assert_eq!(cap(r#"{"generationConfig":{"maxOutputTokens":9,"candidate_count":3}}"#), (27, None));
    assert_eq!(cap(r#"{"options":{"num_predict":-1}}"#).1, Some("an answer without a cap"));
}

#[test]
fn predicted_output_that_turns_out_wrong_is_held_beside_what_comes_back() {
    // Rejected tokens are billed as output: <https://platform.openai.com/docs/guides/predicted-outputs>.
    let text = "class User {}\n".repeat(40).replace('\n', "\\n");
    let prediction = format!(r#"{{"type":"content","content":"{text}"}}"#);
    let body = format!(r#"{{"messages":[],"max_tokens":9,"prediction":{prediction}}}"#);
    let bytes = prediction.len() as u64;
    assert_eq!(strictly(&body, None).most.output_tokens, 9 + bytes);
    let loosely = estimate(body.as_bytes(), &Basis { strict: false, ..STRICT });
    assert_eq!(loosely.most.output_tokens, 9 + bytes.div_ceil(BYTES_PER_TOKEN));
    assert_eq!(strictly(r#"{"messages":[],"max_tokens":9,"prediction":null}"#, None).most.output_tokens, 9);
}

fn strictly(body: &str, price: Option<&Price>) -> Estimate {
    estimate(body.as_bytes(), &Basis { price, ..STRICT })
}

proptest! {
    #[test]
    fn no_usage_within_the_bounds_costs_more(
        text in "[a-z ]{0,4000}", max in 1u64..5_000, fresh in 0u64..4_000, read in 0u64..4_000, out in 0u64..5_000,
        reasoned in 0u64..5_000,
    ) {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"max_tokens":{max}}}"#);
        let found = strictly(&body, Some(&price()));
        let out = out.min(max);
        let usage = Usage {
            input_fresh: fresh.min(found.most.input_tokens),
            input_cache_read: Some(read.min(found.most.input_tokens - fresh.min(found.most.input_tokens))),
            output_text: out,
            output_reasoning: Some(reasoned.min(max - out)),
            ..Usage::default()
        };
        prop_assert!(cost(&usage, &price()).unwrap() <= found.most.cost);
    }
}
