use serde_json::{Value, json};

use super::*;
use crate::chat::Counted;
use crate::provider::{Rerank, RerankWords};
use crate::units::NanoUsd;
use crate::wire::Adjusted;

/// The request and the answer of a recording; nothing, said loudly, where the corpus is not there.
fn recording(id: &str) -> Option<(Value, String)> {
    let provider = id.split('.').next().unwrap();
    let path = format!("{}/../shared/wire/{provider}/{id}.json", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no recording {id}");
        return None;
    };
    let recorded: Value = serde_json::from_str(&text).expect("a recording");
    let body = recorded["response"]["body"].as_str().expect("a body").to_owned();
    Some((recorded["request"]["body"].clone(), body))
}

fn written(request: &Value, words: RerankWords) -> (Value, Adjusted) {
    let mut adjusted = Adjusted::default();
    let rerank = Rerank { path: "/rerank", words };
    let outgoing = write_rerank(request.to_string().as_bytes(), "m", rerank, &mut adjusted).expect("a request");
    (serde_json::from_slice(&outgoing.body).expect("JSON"), adjusted)
}

#[test]
fn every_recorded_ranking_reads_alike() {
    let quirks = Quirks { states_cost: true, ..Quirks::COMPATIBLE };
    for (id, indexes, tokens, units) in [
        ("cohere.rerank.4807361e71", &[3, 2, 0][..], 0, Some(Unit::Query.times(1))),
        ("voyage.rerank.cda9925f13", &[3, 0, 2], 57, None),
        ("llamacpp.rerank.bd066b5b49", &[2], 55, None),
        ("dashscope.rerank.f07bc5d0d6", &[0, 1], 34, None),
        ("openrouter.rerank.335788e47c", &[1, 0], 17, None),
    ] {
        let Some((_, body)) = recording(id) else { return };
        let request = json!({"query": "q", "documents": ["a", {"text": "b"}, "c", "d"], "return_documents": true});
        let answer = read_rerank(body.as_bytes(), request.to_string().as_bytes(), &quirks).expect(id);
        let usage = answer.usage.clone().expect("usage");
        assert_eq!((usage.total_tokens(), usage.counted), (tokens, units), "{id}");
        let closing = Closing { usage: Some(usage), ..Closing::default() };
        let shown: Value = serde_json::from_slice(&answer.write("req_1", "m", &closing)).expect("JSON");
        let results = shown["results"].as_array().expect("results");
        let order: Vec<u64> = results.iter().map(|hit| hit["index"].as_u64().unwrap()).collect();
        assert_eq!(order, indexes, "{id}");
        assert!(results.iter().all(|hit| hit["relevance_score"].is_f64() && hit["document"]["text"].is_string()));
        assert_eq!(shown["meta"]["billed_units"]["search_units"].as_u64(), units.map(|_| 1), "{id}");
    }
}

#[test]
fn a_request_is_written_in_each_providers_words() {
    let request = json!({
        "model": "x", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": true,
        "max_tokens_per_doc": 9, "provider": {"order": ["cohere"]},
    });
    let both = json!(["a", "b"]);
    let (plain, adjusted) = written(&request, RerankWords::TopN);
    let expected = json!({"model": "m", "query": "q", "documents": both, "top_n": 1, "max_tokens_per_doc": 9});
    assert_eq!(plain, expected);
    assert!(adjusted.is_empty());
    let (counted, adjusted) = written(&request, RerankWords::TopK);
    assert_eq!(counted, json!({"model": "m", "query": "q", "documents": both, "top_k": 1}));
    assert_eq!(adjusted.header(), "max_tokens_per_doc=dropped");
    let (nested, _) = written(&request, RerankWords::Nested);
    let input = json!({"query": "q", "documents": both});
    assert_eq!(nested, json!({"model": "m", "input": input, "parameters": {"top_n": 1}}));
}

#[test]
fn a_faulty_request_names_its_field() {
    for (body, param) in [
        (json!({"documents": ["a"]}), "query"),
        (json!({"query": "q"}), "documents"),
        (json!({"query": "q", "documents": []}), "documents"),
        (json!({"query": "q", "documents": [1]}), "documents"),
        (json!({"query": "q", "documents": ["a"], "top_n": 0}), "top_n"),
    ] {
        let rerank = Rerank { path: "/rerank", words: RerankWords::TopN };
        let refused = write_rerank(body.to_string().as_bytes(), "m", rerank, &mut Adjusted::default());
        assert_eq!(refused.expect_err("a fault").param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn what_recorded_answers_used_is_read() {
    let seconds = |thousandths| Some(Counted { unit: Unit::InputSecond, thousandths });
    for (id, service, expected) in [
        (
            "mistral.audio.0a46c31a25",
            Service::Transcription,
            Usage {
                input_fresh: 3,
                input_cache_read: Some(0),
                input_audio: Some(375),
                output_text: 11,
                counted: seconds(3_000),
                ..Usage::default()
            },
        ),
        (
            "openai.audio.0338b8b9c4",
            Service::Transcription,
            Usage { input_audio: Some(1), output_text: 5, ..Usage::default() },
        ),
        ("venice.audio.f31bed171a", Service::Transcription, Usage { counted: seconds(5_496), ..Usage::default() }),
        (
            "nebius.images.34a9095689",
            Service::ImageGeneration,
            Usage { counted: Some(Unit::Image.times(1)), ..Usage::default() },
        ),
        (
            "openai.images.0947d4a413",
            Service::ImageGeneration,
            Usage { counted: Some(Unit::Image.times(1)), ..Usage::default() },
        ),
        (
            "xai.images.d00189d7d9",
            Service::ImageEdit,
            Usage { counted: Some(Unit::Image.times(1)), stated_cost: Some(NanoUsd(70_000_000)), ..Usage::default() },
        ),
        ("mistral.moderations.195c7062fd", Service::Moderation, Usage { input_fresh: 13, ..Usage::default() }),
    ] {
        let Some((_, body)) = recording(id) else { return };
        let seen = see_answer(service, body.as_bytes(), &Quirks::COMPATIBLE).expect(id);
        assert_eq!(seen.usage, Some(expected), "{id}");
    }
}

#[test]
fn tokens_of_images_and_of_talks_are_told_apart() {
    let usage = |json: &str| read_counts(&Raw::parse(json).expect("JSON"), &Quirks::NONE).expect("usage");
    // As OpenAI's reference shows them.
    let image = usage(
        r#"{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens_details":{"text_tokens":0,"image_tokens":50}}"#,
    );
    assert_eq!((image.input_fresh, image.input_image), (10, Some(40)));
    assert_eq!((image.output_text, image.output_image), (0, Some(50)));
    let talk = usage(
        r#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,"input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,"cached_tokens_details":{"text_tokens":64,"audio_tokens":0,"image_tokens":0}},"output_token_details":{"text_tokens":30,"audio_tokens":91}}"#,
    );
    assert_eq!((talk.input_cache_read, talk.input_audio, talk.input_fresh), (Some(64), Some(13), 55));
    assert_eq!((talk.output_audio, talk.output_text), (Some(91), 30));
}

/// What passes through is paid by these counts, whatever protocol it speaks.
#[test]
fn counts_that_do_not_include_each_other_are_kept_apart() {
    let usage = |json: &str| read_counts(&Raw::parse(json).expect("JSON"), &Quirks::NONE);
    let anthropic = r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":20,"cache_creation_input_tokens":40,
        "cache_creation":{"ephemeral_5m_input_tokens":25,"ephemeral_1h_input_tokens":15},
        "server_tool_use":{"web_search_requests":2}}"#;
    let expected = Usage {
        input_fresh: 10,
        input_cache_read: Some(20),
        input_cache_write: Some(25),
        input_cache_write_1h: Some(15),
        output_text: 5,
        tool_requests: Some(2),
        ..Usage::default()
    };
    assert_eq!(usage(anthropic), Some(expected));
    let short = usage(r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":4}"#).expect("usage");
    assert_eq!((short.input_cache_write, short.input_cache_write_1h), (Some(4), None));
    let gemini = r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":11,
        "candidatesTokenCount":7,"thoughtsTokenCount":30}"#;
    let expected = Usage {
        input_fresh: 51,
        input_cache_read: Some(60),
        output_text: 7,
        output_reasoning: Some(30),
        ..Usage::default()
    };
    assert_eq!(usage(gemini), Some(expected));
    let thought = r#"{"input_tokens":3,"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4}}"#;
    let thought = usage(thought).expect("usage");
    assert_eq!((thought.output_text, thought.output_reasoning), (5, Some(4)));
    assert_eq!(usage(r#"{"seconds":-1}"#), None, "less than nothing is no count");
    assert_eq!(usage("{}"), None);
}

/// The last event of Anthropic's streams counts the output alone.
#[test]
fn what_was_counted_first_and_last_is_put_together() {
    let mut sniffer = Sniffer::new("text/event-stream", Quirks::NONE, 1 << 20);
    sniffer.feed(
        b"data: {\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n\
        data: {\"usage\":{\"output_tokens\":9,\"output_tokens_details\":{\"reasoning_tokens\":4}}}\n\n",
    );
    sniffer.finish();
    let usage = sniffer.usage().expect("usage");
    assert_eq!((usage.input_fresh, usage.output_text, usage.output_reasoning), (7, 5, Some(4)));
}

#[test]
fn only_cost_is_added_to_an_answer() {
    let cost = crate::wire::Cost { charged: NanoUsd(2_000_000), upstream: NanoUsd(1_000_000) };
    let closing = Closing { cost: Some(cost), ..Closing::default() };
    let counted = patch_answer(br#"{"data":[1], "usage":{"total_tokens":1}}"#, &closing);
    assert_eq!(
        std::str::from_utf8(&counted).unwrap(),
        r#"{"data":[1], "usage":{"cost":0.002,"cost_details":{"upstream_inference_cost":0.001},"total_tokens":1}}"#
    );
    let silent = patch_answer(br#"{"data":[1]}"#, &closing);
    assert_eq!(
        std::str::from_utf8(&silent).unwrap(),
        r#"{"usage":{"cost":0.002,"cost_details":{"upstream_inference_cost":0.001}},"data":[1]}"#
    );
    assert_eq!(&*patch_answer(br#"{"data":[1]}"#, &Closing::default()), br#"{"data":[1]}"#);
}

#[test]
fn a_stream_in_an_array_is_read_along() {
    let mut sniffer = Sniffer::new("application/json; charset=UTF-8", Quirks::NONE, 1 << 20);
    for piece in [
        r#"[{"modelVersion":"m","usageMetadata":{"promptTokenCount":5}},"#,
        r#" {"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":2}}]"#,
    ] {
        sniffer.feed(piece.as_bytes());
    }
    sniffer.finish();
    let usage = sniffer.usage().expect("usage");
    assert_eq!((usage.prompt_tokens(), usage.completion_tokens(), sniffer.model()), (5, 9, Some("m")));
}
