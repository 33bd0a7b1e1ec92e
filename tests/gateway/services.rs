//! Calls beside conversation: reranking, moderation, images, speech.

use latchkey::budget::{Budget, Period, Scope};
use latchkey::gateway::{Input, Step};
use latchkey::keys::Key;
use latchkey::limit::{Limit, Per, Unit};
use latchkey::units::{Millis, NanoUsd};
use serde_json::json;

use crate::world::{World, header, header_of, json as read, refused, sent};

const VARIABLES: [(&str, &str); 7] = [
    ("COHERE_API_KEY", "cohere-secret"),
    ("VOYAGE_API_KEY", "voyage-secret"),
    ("QWEN_API_KEY", "qwen-secret"),
    ("MISTRAL_API_KEY", "mistral-secret"),
    ("XAI_API_KEY", "xai-secret"),
    ("GROQ_API_KEY", "groq-secret"),
    ("TOGETHER_API_KEY", "together-secret"),
];
const ALONE: &str = r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false}}"#;
const COHERE: &str =
    r#"{"id":"c","results":[{"index":1,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1}}}"#;
const VOYAGE: &str =
    r#"{"object":"list","data":[{"relevance_score":0.7,"index":0}],"model":"rerank-2","usage":{"total_tokens":57}}"#;

fn world(key: Key) -> World {
    World::of(key, ALONE, &VARIABLES)
}

fn ranking(model: &str) -> String {
    json!({"model": model, "query": "q", "documents": ["a", "b"], "top_n": 1}).to_string()
}

#[test]
fn a_ranking_is_paid_as_its_provider_sells_it() {
    let mut world = world(Key::default());
    let (id, step) = world.post("/v1/rerank", &ranking("cohere/rerank-v3.5"));
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.cohere.com/v2/rerank");
    let response = world.answer(id, 200, &[], COHERE);
    let answer = read(&response.body);
    assert_eq!((&answer["results"][0]["index"], &answer["usage"]["cost"]), (&json!(1), &json!(0.002)));
    assert_eq!(header(&response, "x-latchkey-cost"), Some("0.002"));
    let record = world.only_record();
    assert_eq!((record.endpoint, record.state, record.cost_nano), ("rerank", "settled_actual", Some(2_000_000)));
    assert!(record.prices.is_some_and(|prices| prices.contains(r#"["query",1,"#)));

    let (id, step) = world.post("/v2/rerank", &ranking("voyage/rerank-2"));
    assert_eq!(sent(step).url, "https://api.voyageai.com/v1/rerank");
    world.answer(id, 200, &[], VOYAGE);
    let record = world.only_record();
    assert_eq!((record.input_fresh, record.cost_nano), (57, Some(2_850)), "57 tokens at 5 cents a million");
}

#[test]
fn faults_are_told_in_the_words_of_the_path() {
    let mut world = world(Key::default());
    let faulty = json!({"model": "cohere/rerank-v3.5", "query": "q"}).to_string();
    let (status, told) = refused(world.post("/v2/rerank", &faulty).1);
    assert_eq!((status, &told["param"], told.get("error")), (400, &json!("documents"), None), "{told}");
    let (status, told) = refused(world.post("/v1/rerank", &faulty).1);
    assert_eq!((status, &told["error"]["param"]), (400, &json!("documents")), "{told}");
    let (id, step) = world.post("/v2/rerank", &ranking("cohere/rerank-v3.5"));
    sent(step);
    let (status, told) = refused(world.refuse(id, 422, &[], r#"{"message":"too many documents"}"#));
    assert_eq!((status, &told["message"]), (422, &json!("too many documents")), "{told}");
}

#[test]
fn a_path_may_stand_beside_the_base_url() {
    let mut world = world(Key::default());
    let (_, step) = world.post("/v1/rerank", &ranking("qwen/gte-rerank"));
    let url = "https://dashscope-intl.aliyuncs.com/api/v1/services/rerank/text-rerank/text-rerank";
    assert_eq!(sent(step).url, url);
}

#[test]
fn another_reranker_is_asked_when_the_first_fails() {
    let document = r#"{"version":1,"health":{"enabled":false}}"#;
    let mut world = World::of(Key::default(), document, &VARIABLES);
    let body = json!({"models": ["cohere/rerank-v3.5", "voyage/rerank-2"], "query": "q", "documents": ["a", "b"]});
    let (id, step) = world.post("/v1/rerank", &body.to_string());
    assert!(sent(step).url.starts_with("https://api.cohere.com/"));
    let next = sent(world.refuse(id, 401, &[], r#"{"message":"invalid api token"}"#));
    assert_eq!(next.url, "https://api.voyageai.com/v1/rerank");
    let response = world.answer(id, 200, &[], VOYAGE);
    assert_eq!(header(&response, "x-latchkey-provider"), Some("voyage"));
}

#[test]
fn moderation_of_two_providers() {
    let mut world = world(Key::default());
    for (model, url) in [
        ("openai/omni-moderation-latest", "https://api.openai.com/v1/moderations"),
        ("mistral/mistral-moderation-2603", "https://api.mistral.ai/v1/moderations"),
    ] {
        let (id, step) = world.post("/v1/moderations", &json!({"model": model, "input": "text"}).to_string());
        let outbound = sent(step);
        assert_eq!(outbound.url, url);
        assert_eq!(read(&outbound.body)["input"], "text");
        let response = world.answer(id, 200, &[], r#"{"id":"m","results":[{"flagged":false}]}"#);
        let answer = read(&response.body);
        assert_eq!((&answer["results"][0]["flagged"], &answer["usage"]["cost"]), (&json!(false), &json!(0)));
        assert_eq!(world.only_record().endpoint, "moderations");
    }
}

#[test]
fn images_are_paid_by_the_token_by_the_image_or_as_stated() {
    let mut world = world(Key::default());
    let ask = |model: &str| json!({"model": model, "prompt": "p", "n": 2}).to_string();
    let (id, step) = world.post("/v1/images/generations", &ask("openai/gpt-image-1"));
    assert_eq!(sent(step).url, "https://api.openai.com/v1/images/generations");
    let tokens = r#"{"created":1,"data":[{"b64_json":"AA"}],"usage":{"total_tokens":1010,"input_tokens":10,"output_tokens":1000,"input_tokens_details":{"text_tokens":10,"image_tokens":0},"output_tokens_details":{"text_tokens":0,"image_tokens":1000}}}"#;
    world.answer(id, 200, &[], tokens);
    let record = world.only_record();
    assert_eq!((record.output_image, record.cost_nano), (1_000, Some(40_050_000)));

    // The events of a stream leave out which tokens are of images: <https://platform.openai.com/docs/api-reference/images-streaming>.
    let (id, _) = world.post("/v1/images/generations", &ask("openai/gpt-image-1"));
    let untold = r#"{"created":1,"data":[{"b64_json":"AA"}],"usage":{"total_tokens":1010,"input_tokens":10,"output_tokens":1000,"input_tokens_details":{"text_tokens":10,"image_tokens":0}}}"#;
    world.answer(id, 200, &[], untold);
    let record = world.only_record();
    assert_eq!((record.output_image, record.output_text, record.cost_nano), (1_000, 0, Some(40_050_000)));

    let (id, _) = world.post("/v1/images/generations", &ask("xai/grok-imagine-image"));
    world.answer(id, 200, &[], r#"{"data":[{"url":"https://a/1"},{"url":"https://a/2"}]}"#);
    let record = world.only_record();
    assert_eq!(record.cost_nano, Some(40_000_000), "two at two cents");
    assert!(record.prices.is_some_and(|prices| prices.contains(r#"["image",2,"#)));

    let edit = json!({"model": "xai/grok-imagine-image", "prompt": "p", "image": {"url": "data:image/png;base64,AA"}});
    let (id, step) = world.post("/v1/images/edits", &edit.to_string());
    assert_eq!(sent(step).url, "https://api.x.ai/v1/images/edits");
    world.answer(id, 200, &[], r#"{"data":[{"url":"u"}],"usage":{"cost_in_usd_ticks":700000000}}"#);
    assert_eq!(world.only_record().cost_nano, Some(70_000_000));

    let (id, _) = world.post("/v1/images/generations", &ask("xai/grok-imagine-image"));
    world.resume(id, Input::Gone);
    let record = world.only_record();
    let left = (record.status, record.state, record.cost_nano);
    assert_eq!(left, (499, "settled_estimate", Some(40_000_000)), "they are made all the same");
}

/// Models that make images in another protocol: one answers with a picture, one predicts it.
#[test]
fn images_of_other_protocols_come_in_the_same_shape() {
    let mut world = world(Key::default());
    let ask = |model: &str| json!({"model": model, "prompt": "A bear", "size": "1024x1024"}).to_string();
    let (id, step) = world.post("/v1/images/generations", &ask("gemini/gemini-2.5-flash-image"));
    let outbound = sent(step);
    let base = "https://generativelanguage.googleapis.com/v1beta/models";
    assert_eq!(outbound.url, format!("{base}/gemini-2.5-flash-image:generateContent"));
    assert_eq!(read(&outbound.body)["contents"][0]["parts"][0]["text"], "A bear");
    let picture = r#"{"candidates":[{"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1290,"totalTokenCount":1295,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}}"#;
    let response = world.answer(id, 200, &[], picture);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("size=changed"));
    let answer = read(&response.body);
    assert_eq!((&answer["data"], &answer["usage"]["total_tokens"]), (&json!([{"b64_json": "AA"}]), &json!(1295)));
    let record = world.only_record();
    assert_eq!((record.endpoint, record.output_image), ("images/generations", 1_290));

    let (id, step) = world.post("/v1/images/generations", &ask("gemini/imagen-3.0-generate-001"));
    let outbound = sent(step);
    assert_eq!(outbound.url, format!("{base}/imagen-3.0-generate-001:predict"));
    let response =
        world.answer(id, 200, &[], r#"{"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"BB"}]}"#);
    assert_eq!(read(&response.body)["data"], json!([{"b64_json": "BB"}]));
    assert_eq!(world.only_record().cost_nano, Some(40_000_000), "by the image");

    let (id, _) = world.post("/v1/images/generations", &ask("gemini/gemini-2.5-flash-image"));
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":5}}"#;
    let (status, told) = refused(world.refuse(id, 200, &[("content-type", "application/json")], blocked));
    assert_eq!((status, &told["error"]["code"]), (400, &json!("content_filter")), "{told}");
}

#[test]
fn what_has_no_price_has_no_cost() {
    let mut world = world(Key::default());
    let ask = json!({"model": "openai/gpt-image-1", "prompt": "p"}).to_string();
    let (id, _) = world.post("/v1/images/generations", &ask);
    let response = world.answer(id, 200, &[], r#"{"created":1,"data":[{"b64_json":"AA"}]}"#);
    assert_eq!(header(&response, "x-latchkey-cost"), None, "its tokens are paid for, and not told");
    assert_eq!(world.only_record().cost_nano, None);
}

#[test]
fn sound_within_json_is_unpacked() {
    let mut world = world(Key::default());
    let ask = json!({"model": "mistral/voxtral-mini-tts-latest", "input": "héllo", "voice": "v"}).to_string();
    let (id, step) = world.post("/v1/audio/speech", &ask);
    assert_eq!(sent(step).url, "https://api.mistral.ai/v1/audio/speech");
    let response = world.answer(id, 200, &[], r#"{"audio_data":"SUQz"}"#);
    assert_eq!((response.body.as_slice(), header(&response, "content-type")), (&b"ID3"[..], Some("audio/mpeg")));
    let record = world.only_record();
    assert_eq!((record.cost_nano, record.state), (Some(80_000), "settled_actual"), "five characters");
}

/// What the edge tells of a form.
fn form(model: &str) -> String {
    json!({"model": model, "response_format": "json", "file": "24000"}).to_string()
}

#[test]
fn a_form_is_sent_by_the_edge_with_the_models_name_put_right() {
    let mut world = world(Key::default());
    let kind = [("content-type", "multipart/form-data; boundary=x")];
    let send = |world: &mut World, model: &str| world.form("/v1/audio/transcriptions", &form(model), &kind);
    let (id, step) = send(&mut world, "mistral/voxtral-mini-latest");
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.mistral.ai/v1/audio/transcriptions");
    assert!(outbound.outside);
    assert_eq!(outbound.body, b"voxtral-mini-latest");
    assert_eq!(header_of(&outbound, "content-type"), Some("multipart/form-data; boundary=x"));
    let told = r#"{"text":"t","usage":{"prompt_audio_seconds":3,"prompt_tokens":3,"total_tokens":389,"completion_tokens":11}}"#;
    world.answer(id, 200, &[], told);
    assert_eq!(world.only_record().cost_nano, Some(150_000), "three seconds");

    let (id, step) = send(&mut world, "groq/whisper-large-v3");
    assert_eq!(sent(step).url, "https://api.groq.com/openai/v1/audio/transcriptions");
    let response = match world.resume(id, Input::Headers(200, &[("content-type", "text/plain")])) {
        Step::ReadBody(_) => world.resume(id, Input::Body(b"1\n00:00 --> 00:01\nHi\n")),
        step => panic!("{step:?}"),
    };
    let Step::Respond(response) = response else { panic!("{response:?}") };
    assert_eq!((header(&response, "content-type"), response.body.len()), (Some("text/plain"), 21));
    let record = world.only_record();
    assert_eq!((record.state, record.cost_nano), ("settled_estimate", Some(92_490)), "three seconds, by its size");
}

/// No provider's answer was published. What the two say of it: <https://platform.openai.com/docs/api-reference/audio/createTranslation>,
/// <https://console.groq.com/docs/api-reference#audio-translation>.
#[test]
fn speech_is_translated_by_who_can() {
    let kind = [("content-type", "multipart/form-data; boundary=x")];
    for (model, url, told) in [
        (
            "openai/whisper-1",
            "https://api.openai.com/v1/audio/translations",
            r#"{"text":"Hello, my name is Wolfgang."}"#,
        ),
        (
            "groq/whisper-large-v3",
            "https://api.groq.com/openai/v1/audio/translations",
            r#"{"text":"Hello, my name is Wolfgang.","x_groq":{"id":"req_unique_id"}}"#,
        ),
    ] {
        let mut world = world(Key::default());
        let (id, step) = world.form("/v1/audio/translations", &form(model), &kind);
        let outbound = sent(step);
        assert_eq!((outbound.url.as_str(), outbound.outside), (url, true), "the edge has the form");
        assert_eq!(outbound.body, model.split_once('/').expect("provider/model").1.as_bytes());
        assert_eq!(header_of(&outbound, "content-type"), Some(kind[0].1));
        let answer = read(&world.answer(id, 200, &[], told).body);
        assert_eq!(answer["text"], "Hello, my name is Wolfgang.", "{model}");
        let record = world.only_record();
        assert_eq!((record.endpoint, record.status), ("audio/translations", 200), "{model}");
        assert!(record.cost_nano.is_some_and(|cost| cost > 0), "by the size of what was sent: {record:?}");
    }
    let mut world = world(Key::default());
    let (status, told) = refused(world.form("/v1/audio/translations", &form("mistral/voxtral-mini-latest"), &kind).1);
    assert_eq!((status, &told["error"]["code"]), (404, &json!("endpoint_not_available")), "it only writes down");
    let plain = json!({"model": "openai/whisper-1"}).to_string();
    let (status, told) = refused(world.post("/v1/audio/translations", &plain).1);
    assert_eq!((status, &told["error"]["param"]), (400, &json!("file")));
}

/// A router that takes sound within JSON (recording `openrouter.audio.2e4b953ad0`).
#[test]
fn sound_within_json_goes_to_who_takes_it() {
    let mut world = world(Key::default());
    let sound = json!({"data": "A".repeat(4_000), "format": "mp3"});
    let ask = |model: &str| json!({"model": model, "input_audio": sound}).to_string();
    let (id, step) = world.post("/v1/audio/transcriptions", &ask("openrouter/openai/whisper-1"));
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://openrouter.ai/api/v1/audio/transcriptions");
    assert_eq!(read(&outbound.body), json!({"model": "openai/whisper-1", "input_audio": sound}));
    let told = r#"{"text":"The sun","usage":{"cost":0.0006,"seconds":6}}"#;
    let answer = read(&world.answer(id, 200, &[], told).body);
    assert_eq!((&answer["text"], &answer["usage"]["cost"]), (&json!("The sun"), &json!(0.0006)));
    assert_eq!(world.only_record().cost_nano, Some(600_000), "as the router says");
    let (status, told) = refused(world.post("/v1/audio/transcriptions", &ask("openai/whisper-1")).1);
    assert_eq!((status, &told["error"]["param"]), (415, &json!("file")), "{told}");
}

#[test]
fn who_has_no_such_endpoint_says_so() {
    let mut world = world(Key::default());
    let (_, step) = world.post("/v1/rerank", &ranking("openai/gpt-4o"));
    let (status, answer) = refused(step);
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("endpoint_not_available")));
    let body = json!({"model": "openai/whisper-1"}).to_string();
    let (status, answer) = refused(world.post("/v1/audio/transcriptions", &body).1);
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("file")));
}

#[test]
fn a_key_is_held_to_its_endpoints_and_models() {
    let mut only_chat = world(Key { allowed_endpoints: vec!["chat/completions".into()], ..Key::default() });
    let (status, answer) = refused(only_chat.post("/v1/rerank", &ranking("cohere/rerank-v3.5")).1);
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("endpoint_not_allowed")));
    let mut only_voyage = world(Key { allowed_models: vec!["voyage/*".into()], ..Key::default() });
    let (status, answer) = refused(only_voyage.post("/v1/rerank", &ranking("cohere/rerank-v3.5")).1);
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("model_not_allowed")));
}

fn with_budget(micro_dollars: i64) -> World {
    let budget = Budget {
        id: "bud".into(),
        scope: Scope::key("*"),
        limit: NanoUsd(micro_dollars * 1_000),
        period: Period::Total,
        ..Budget::default()
    };
    world(Key { budgets: vec![budget], ..Key::default() })
}

#[test]
fn a_strict_budget_holds_what_can_be_bounded_and_refuses_what_cannot() {
    let mut poor = with_budget(1_000);
    let (status, answer) = refused(poor.post("/v1/rerank", &ranking("cohere/rerank-v3.5")).1);
    assert_eq!((status, &answer["error"]["code"]), (402, &json!("budget_exceeded")), "it costs 2,000");
    let mut world = with_budget(3_000);
    let (id, step) = world.post("/v1/rerank", &ranking("cohere/rerank-v3.5"));
    sent(step);
    let response = world.answer(id, 200, &[], COHERE);
    assert_eq!(header(&response, "x-latchkey-budget-remaining"), Some("0.003"));
    world.report();
    let now = world.now;
    let standing = world.ledger.as_mut().and_then(|ledger| ledger.standing("bud/key_test", now)).expect("known");
    assert_eq!(standing.spent, 2_000_000);
    let ask = json!({"model": "openai/gpt-image-1", "prompt": "p"}).to_string();
    let (status, answer) = refused(world.post("/v1/images/generations", &ask).1);
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("cost_unbounded")));
}

/// What is held goes by the one, and what the provider makes by the other.
#[test]
fn how_many_images_are_wanted_is_said_once_and_in_digits() {
    let ask = |n: &str| format!(r#"{{"model":"gemini/imagen-3.0-generate-001","prompt":"p",{n}}}"#);
    let path = "/v1/images/generations";
    for n in [r#""n":1,"n":4"#, r#""n":1,"\u006e":4"#, r#""n":4,"quality":"low","quality":"high""#, r#""n":4.0"#] {
        let (status, answer) = refused(with_budget(1_000_000).post(path, &ask(n)).1);
        assert_eq!(status, 400, "{n}: {answer}");
    }
    let told = r#"{"model":"openai/dall-e-2","prompt":"p","file":"9","n":"1","n":"9"}"#;
    let form = [("content-type", "multipart/form-data; boundary=x")];
    assert_eq!(refused(with_budget(1_000_000).form("/v1/images/edits", told, &form).1).0, 400);
    let (status, answer) = refused(with_budget(100_000).post(path, &ask(r#""n":4"#)).1);
    assert_eq!((status, &answer["error"]["code"]), (402, &json!("budget_exceeded")), "four of them cost 160,000");
    sent(with_budget(160_000).post(path, &ask(r#""n":4"#)).1);
}

/// A key that may have so many output tokens a minute.
fn with_tokens(max: u64) -> World {
    let limit = Limit { id: "lim".into(), scope: Scope::key("*"), unit: Unit::OutputTokens, max, ..Limit::default() };
    world(Key { limits: vec![Limit { per: Some(Per::Minute), ..limit }], ..Key::default() })
}

#[test]
fn what_an_image_has_in_tokens_is_what_a_limit_of_tokens_has_to_have_room_for() {
    let ask = |model: &str, quality: &str| json!({"model": model, "prompt": "p", "quality": quality}).to_string();
    for (max, model, quality, fits) in [
        (1_000, "openai/gpt-image-1", "low", true),
        (1_000, "openai/gpt-image-1", "medium", false),
        (5_000, "openai/gpt-image-1", "auto", true),
        (5_000, "openai/gpt-image-1", "high", false),
        // Sold by the piece.
        (1, "xai/grok-imagine-image", "auto", true),
    ] {
        let step = with_tokens(max).post("/v1/images/generations", &ask(model, quality)).1;
        match step {
            Step::Respond(refused) => {
                assert!(!fits, "{model} {quality}: {:?}", String::from_utf8_lossy(&refused.body));
                assert_eq!((refused.status, header(&refused, "retry-after")), (429, None));
            }
            step => assert!(fits && sent(step).url.ends_with("generations"), "{model} {quality}"),
        }
    }
}

#[test]
fn what_an_image_takes_beyond_its_estimate_is_made_up_for_in_time_and_not_for_good() {
    let mut world = with_tokens(5_000);
    let ask = json!({"model": "openai/gpt-image-1", "prompt": "p"}).to_string();
    let (id, step) = world.post("/v1/images/generations", &ask);
    sent(step);
    let answer = r#"{"created":1,"data":[{"b64_json":"AA"}],"usage":{"total_tokens":8010,"input_tokens":10,"output_tokens":8000}}"#;
    world.answer(id, 200, &[], answer);
    let start = world.now;
    loop {
        let waited = world.now.since(start).0 / 1_000;
        let Step::Respond(refused) = world.post("/v1/images/generations", &ask).1 else {
            // Of 5,000 a minute, 3,000 that are missing and 4,096 for the next.
            assert!((80..=95).contains(&waited), "after {waited} seconds");
            break;
        };
        assert_eq!(refused.status, 429);
        assert!(header(&refused, "retry-after").is_some(), "{:?}", String::from_utf8_lossy(&refused.body));
        assert!(waited < 200, "for good");
        world.report();
        world.now = world.now.plus(Millis(5_000));
    }
}
