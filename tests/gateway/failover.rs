//! What a call tries when an upstream fails, and what its caller sees of that.

use latchkey::config::OwnDeadlines;
use latchkey::gateway::{CallId, Deadline, Input, Step};
use latchkey::keys::Key;
use latchkey::units::Millis;
use serde_json::Value;

use crate::world::{World, events, header, header_of, json, refused, sent};

const PLAIN: &str = r#"{"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}],"seed":7}"#;
const ANSWER: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":2}}"#;
const BARE: &str = r#"{"version":1}"#;
const FALLBACK: &str =
    r#"{"version":1,"fallbacks":{"openai/gpt-4o":["anthropic/claude-sonnet-4-5"]},"failover":{"same_target":0}}"#;
const START: &[u8] = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n";
const OVERLOADED: &[u8] = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
const CHUNKS: &[u8] = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn world(document: &str) -> World {
    World::of(Key::default(), document, &[])
}

fn with_models(models: &[&str]) -> String {
    format!(r#"{{"models":{},"messages":[{{"role":"user","content":"Hi"}}]}}"#, serde_json::to_string(models).unwrap())
}

/// The wait that a step asks for; then the request that follows it.
fn waited(world: &mut World, id: CallId, step: Step) -> (Millis, Step) {
    match step {
        Step::Wait(wait) => (wait, world.resume(id, Input::Waited)),
        step => panic!("expected a wait, not {step:?}"),
    }
}

fn reasons(explained: &Value) -> Vec<(String, u64, String)> {
    let attempts = explained["latchkey"]["attempts"].as_array().expect("attempts");
    let of = |attempt: &Value| {
        (
            attempt["target"].as_str().unwrap_or_default().to_owned(),
            attempt["credential"].as_u64().unwrap_or(99),
            attempt["reason"].as_str().unwrap_or_default().to_owned(),
        )
    };
    attempts.iter().map(of).collect()
}

#[test]
fn a_failing_target_is_asked_again_after_a_wait() {
    let mut world = world(BARE);
    let (id, step) = world.send("/v1/chat/completions", PLAIN, &[("x-latchkey-explain", "true")]);
    sent(step);
    let step = world.refuse(id, 500, &[], "oops");
    let (wait, step) = waited(&mut world, id, step);
    assert!(wait <= Millis(250), "{wait:?}");
    assert_eq!(sent(step).url, "https://api.openai.com/v1/chat/completions");
    let response = world.answer(id, 200, &[], ANSWER);
    assert_eq!((response.status, header(&response, "x-latchkey-attempts")), (200, Some("2")));
    let body = json(&response.body);
    let target = "openai/gpt-4o".to_owned();
    assert_eq!(
        reasons(&body),
        [(target.clone(), 1, "Unavailable".to_owned()), (target, 1, "served".to_owned())],
        "{body}"
    );
    assert_eq!(body["latchkey"]["request_id"], header(&response, "x-request-id").unwrap());
    let record = world.only_record();
    assert_eq!((record.attempts, record.status), (2, 200));
    assert_eq!(json(record.tried.expect("attempts").as_bytes()), body["latchkey"]["attempts"]);
}

#[test]
fn the_last_failure_is_the_callers_once_nothing_is_left() {
    let mut world = world(r#"{"version":1,"failover":{"same_target":1,"backoff_ms":0}}"#);
    let (id, step) = world.send("/v1/chat/completions", PLAIN, &[("x-latchkey-explain", "true")]);
    sent(step);
    sent(world.refuse(id, 500, &[], "oops"));
    let (status, body) = refused(world.refuse(id, 503, &[], "oops again"));
    assert_eq!(status, 503);
    assert_eq!(body["error"]["code"], "upstream_overloaded");
    assert_eq!(reasons(&body).len(), 2);
    assert_eq!(world.only_record().attempts, 2);
}

#[test]
fn without_the_switch_a_call_is_one_attempt() {
    let mut world = world(r#"{"version":1,"failover":{"enabled":false},"fallbacks":{"openai/gpt-4o":["groq/y"]}}"#);
    let (id, step) = world.chat(PLAIN);
    sent(step);
    assert_eq!(refused(world.refuse(id, 500, &[], "oops")).0, 502);
}

#[test]
fn a_bad_request_is_bad_everywhere() {
    let mut world = world(FALLBACK);
    for status in [400, 413, 422] {
        let (id, step) = world.chat(PLAIN);
        sent(step);
        assert_eq!(refused(world.refuse(id, status, &[], r#"{"error":{"message":"no"}}"#)).0, status);
    }
}

#[test]
fn each_request_is_written_anew_for_its_own_target() {
    let mut world = world(FALLBACK);
    let (id, step) = world.chat(PLAIN);
    let first = sent(step);
    assert_eq!(json(&first.body)["seed"], 7);
    let second = sent(world.refuse(id, 503, &[], "busy"));
    assert_eq!(second.url, "https://api.anthropic.com/v1/messages");
    assert_eq!(header_of(&second, "x-api-key"), Some("sk-ant-secret"));
    let body = json(&second.body);
    assert!(body["seed"].is_null() && body["max_tokens"].is_number(), "{body}");
    let response = world.answer(id, 200, &[], CLAUDE);
    assert_eq!(header(&response, "x-latchkey-model"), Some("anthropic/claude-sonnet-4-5"));
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("seed=dropped"));
    assert_eq!(header(&response, "x-latchkey-attempts"), Some("2"));
    assert_eq!(json(&response.body)["choices"][0]["message"]["content"], "Hi");
}

#[test]
fn credentials_are_rotated_before_another_target_is_asked() {
    let keys = [("OPENAI_API_KEY_2", "sk-second"), ("OPENAI_API_KEY_3", "sk-third")];
    for status in [401, 402, 403, 429] {
        let mut world = World::of(Key::default(), FALLBACK, &keys);
        let (id, mut step) = world.chat(PLAIN);
        for key in ["sk-openai-secret", "sk-second", "sk-third"] {
            let request = sent(step);
            assert_eq!(header_of(&request, "authorization"), Some(format!("Bearer {key}").as_str()), "{status}");
            step = world.refuse(id, status, &[], r#"{"error":{"message":"no"}}"#);
        }
        assert_eq!(sent(step).url, "https://api.anthropic.com/v1/messages");
        assert_eq!(world.answer(id, 200, &[], CLAUDE).status, 200);
        let tried = world.only_record().tried.expect("attempts");
        let credentials: Vec<u64> =
            json(tried.as_bytes()).as_array().unwrap().iter().filter_map(|one| one["credential"].as_u64()).collect();
        assert_eq!(credentials, [1, 2, 3, 1]);
    }
}

#[test]
fn a_refused_credential_is_left_alone_from_then_on() {
    for status in [401, 402, 403] {
        let mut world = World::of(Key::default(), BARE, &[("OPENAI_API_KEY_2", "sk-second")]);
        let (id, step) = world.chat(PLAIN);
        sent(step);
        sent(world.refuse(id, status, &[], r#"{"error":{"message":"no"}}"#));
        world.answer(id, 200, &[], ANSWER);
        let (_, step) = world.chat(PLAIN);
        assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-second"), "{status}");
        // Once the block is over, one call asks whether it is back; refused again, it is left alone again.
        world.now.0 += 20_000;
        let (id, step) = world.chat(PLAIN);
        assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-openai-secret"), "{status}");
        sent(world.refuse(id, status, &[], r#"{"error":{"message":"no"}}"#));
        let (_, step) = world.chat(PLAIN);
        assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-second"), "{status}");
    }
}

#[test]
fn a_prompt_that_every_credential_is_forbidden_says_nothing_of_them() {
    let mut world = World::of(Key::default(), BARE, &[("OPENAI_API_KEY_2", "sk-second")]);
    for _ in 0..4 {
        let (id, step) = world.chat(PLAIN);
        assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-openai-secret"));
        sent(world.refuse(id, 403, &[], r#"{"error":{"message":"no"}}"#));
        assert_eq!(refused(world.refuse(id, 403, &[], r#"{"error":{"message":"no"}}"#)).0, 403);
    }
}

#[test]
fn the_callers_own_key_goes_to_its_own_provider_only() {
    let key = Key { allow_provider_key: true, ..Key::default() };
    let mut world = World::of(key, FALLBACK, &[("OPENAI_API_KEY_2", "sk-second")]);
    let (id, step) = world.send("/v1/chat/completions", PLAIN, &[("x-latchkey-provider-key", "sk-mine")]);
    assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-mine"));
    let (status, body) = refused(world.refuse(id, 401, &[], r#"{"error":{"message":"no"}}"#));
    assert_eq!((status, &body["error"]["code"]), (502, &"upstream_credentials_exhausted".into()));
    // Nor does it go to another's that the call itself names.
    let body = with_models(&["openai/gpt-4o", "anthropic/claude-sonnet-4-5"]);
    let (id, step) = world.send("/v1/chat/completions", &body, &[("x-latchkey-provider-key", "sk-mine")]);
    assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-mine"));
    assert_eq!(refused(world.refuse(id, 500, &[], "")).0, 502);
    let body = with_models(&["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini"]);
    let (id, step) = world.send("/v1/chat/completions", &body, &[("x-latchkey-provider-key", "sk-mine")]);
    sent(step);
    let next = sent(world.refuse(id, 500, &[], ""));
    assert_eq!(
        (json(&next.body)["model"].as_str(), header_of(&next, "authorization")),
        (Some("gpt-4o-mini"), Some("Bearer sk-mine"))
    );
    // It was not the gateway's credential that was refused.
    let (_, step) = world.chat(PLAIN);
    assert_eq!(header_of(&sent(step), "authorization"), Some("Bearer sk-openai-secret"));
}

#[test]
fn models_are_tried_in_order_and_a_missing_model_is_the_first_of_them() {
    let mut world = world(r#"{"version":1,"failover":{"same_target":0}}"#);
    let body = with_models(&["openai/gpt-4o", "deepseek/deepseek-chat", "anthropic/claude-sonnet-4-5"]);
    let (id, step) = world.chat(&body);
    let first = sent(step);
    assert!(json(&first.body)["models"].is_null(), "the gateway's own to read");
    let second = sent(world.refuse(id, 429, &[("retry-after", "30")], r#"{"error":{"message":"slow down"}}"#));
    assert_eq!(second.url, "https://api.deepseek.com/chat/completions");
    // A list of models allows what is otherwise not tried elsewhere.
    let long = r#"{"error":{"message":"maximum context length is 64000 tokens","code":"context_length_exceeded"}}"#;
    let third = sent(world.refuse(id, 400, &[], long));
    assert_eq!(third.url, "https://api.anthropic.com/v1/messages");
    assert_eq!(header(&world.answer(id, 200, &[], CLAUDE), "x-latchkey-attempts"), Some("3"));
    let (id, step) = world.chat(&body);
    sent(step);
    let filtered = r#"{"error":{"message":"filtered","code":"content_filter"}}"#;
    assert!(sent(world.refuse(id, 400, &[], filtered)).url.contains("deepseek"));
}

#[test]
fn providers_are_ordered_and_narrowed_by_the_call() {
    let document = r#"{"version":1,"failover":{"same_target":0},"providers":{
        "cave":{"base_url":"https://cave.example.com","key_variables":["K"],"models":["gpt-4o"]}}}"#;
    let mut world = World::of(Key::default(), document, &[("K", "k")]);
    let body = |provider: &str| format!(r#"{{"model":"gpt-4o","messages":[],"provider":{provider}}}"#);
    let (id, step) = world.chat(&body(r#"{"order":["cave"]}"#));
    assert!(sent(step).url.starts_with("https://cave.example.com"));
    assert!(sent(world.refuse(id, 500, &[], "")).url.starts_with("https://api.openai.com"));
    let (id, step) = world.chat(&body(r#"{"order":["cave"],"allow_fallbacks":false}"#));
    sent(step);
    assert_eq!(refused(world.refuse(id, 500, &[], "")).0, 502);
    let (_, step) = world.chat(&body(r#"{"only":["deepseek"]}"#));
    assert_eq!(refused(step).0, 404);
    let document = document
        .replace("\"providers\"", "\"fallbacks\":{\"cave/gpt-4o\":[\"anthropic/claude-sonnet-4-5\"]},\"providers\"");
    let mut world = World::of(Key::default(), &document, &[("K", "k")]);
    for (allowed, attempts) in [("true", "3"), ("false", "1")] {
        let provider = format!(r#"{{"sort":"price","allow_fallbacks":{allowed}}}"#);
        let asked = body(&provider).replace("\"gpt-4o\"", "\"cave/gpt-4o\"");
        let (id, step) = world.chat(&asked.replace("[]", r#"[{"role":"user","content":"Hi"}]"#));
        sent(step);
        let mut step = world.refuse(id, 500, &[], "");
        while matches!(step, Step::Send(_)) {
            step = world.refuse(id, 500, &[], "");
        }
        let Step::Respond(response) = step else { panic!("{step:?}") };
        assert_eq!(header(&response, "x-latchkey-attempts"), Some(attempts), "{provider}");
    }
    for wrong in [r#"{"only":"cave"}"#, r#"{"ignore":[1]}"#, r#"{"allow_fallbacks":"no"}"#] {
        let (status, error) = refused(world.chat(&body(wrong)).1);
        assert!(status == 400 && error["error"]["param"].as_str().unwrap().starts_with("provider"), "{error}");
    }
}

#[test]
fn a_key_is_never_sent_to_a_target_that_it_may_not_use() {
    let key = Key { denied_providers: vec!["anthropic".to_owned()], ..Key::default() };
    let mut world = World::of(key, FALLBACK, &[]);
    let (id, step) = world.chat(PLAIN);
    sent(step);
    assert_eq!(refused(world.refuse(id, 500, &[], "")).0, 502);
    let (_, step) = world.chat(&with_models(&["anthropic/claude-sonnet-4-5"]));
    assert_eq!(refused(step).0, 403);
}

#[test]
fn a_target_that_cannot_be_asked_this_is_passed_over() {
    let document = r#"{"version":1,"failover":{"same_target":0},
        "fallbacks":{"openai/text-embedding-3-small":["anthropic/claude-sonnet-4-5","gemini/gemini-embedding-001"]}}"#;
    let mut world = world(document);
    let (id, step) = world.post("/v1/embeddings", r#"{"model":"openai/text-embedding-3-small","input":"a"}"#);
    sent(step);
    assert!(sent(world.refuse(id, 500, &[], "")).url.contains("gemini-embedding-001"));
    // What the provider said tells more than that the last fallback has no such endpoint.
    assert_eq!(refused(world.refuse(id, 400, &[], "")).0, 400);
}

#[test]
fn an_error_inside_a_200_moves_on_before_the_first_token() {
    let mut world = world(r#"{"version":1,"failover":{"same_target":0}}"#);
    let body = r#"{"models":["anthropic/claude-sonnet-4-5","openai/gpt-4o"],"messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
    for ending in 0..4 {
        let (id, step) = world.chat(body);
        sent(step);
        assert!(matches!(world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")])), Step::Hold));
        assert!(matches!(world.resume(id, Input::Chunk(START)), Step::Hold));
        let step = match ending {
            0 => world.resume(id, Input::Chunk(OVERLOADED)),
            1 => world.resume(id, Input::End),
            2 => world.resume(id, Input::Broken("connection lost")),
            _ => world.resume(id, Input::Expired(Deadline::FirstToken)),
        };
        assert!(sent(step).url.contains("openai"), "{ending}");
        let streamed = world.stream(id, &[CHUNKS], Input::End);
        assert_eq!((streamed.head.status, header(&streamed.head, "x-latchkey-attempts")), (200, Some("2")));
        assert_eq!(header(&streamed.head, "x-latchkey-provider"), Some("openai"));
        assert!(streamed.text.contains("Hello") && streamed.text.ends_with("data: [DONE]\n\n"));
        assert!(!streamed.text.contains("latchkey"), "nobody asked");
        world.now.0 += 60_000;
    }
    // Of what broke off or was not waited for the provider may bill the prompt: each has a row more.
    assert_eq!(world.records().len(), 4 + 3);
}

#[test]
fn a_stream_tells_what_was_tried_in_its_last_chunk() {
    let mut world = world(FALLBACK);
    let body = r#"{"model":"openai/gpt-4o","messages":[],"stream":true}"#;
    let (id, step) = world.send("/v1/chat/completions", body, &[("x-latchkey-explain", "true")]);
    sent(step);
    let streamed = world.stream(id, &[CHUNKS], Input::End);
    let events = events(&streamed.text);
    let last = json(events[events.len() - 2].as_bytes());
    assert_eq!(reasons(&last), [("openai/gpt-4o".to_owned(), 1, "served".to_owned())], "{last}");
    assert_eq!(last["choices"], Value::Array(Vec::new()));
}

#[test]
fn silence_commits_and_the_final_chunk_says_so() {
    let mut world = world(FALLBACK);
    let body = r#"{"model":"openai/gpt-4o","messages":[],"stream":true}"#;
    let (id, step) = world.chat(body);
    sent(step);
    assert!(matches!(world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")])), Step::Hold));
    let Step::Commit { head, .. } = world.resume(id, Input::Silence) else { panic!("not committed") };
    assert_eq!(head.status, 200);
    let Step::Finish(bytes) = world.resume(id, Input::Broken("gone")) else { panic!("not over") };
    let last = json(events(std::str::from_utf8(&bytes).unwrap()).last().unwrap().as_bytes());
    assert!(last["error"].is_object(), "{last}");
    assert_eq!(reasons(&last).len(), 1, "{last}");
}

#[test]
fn events_without_a_token_are_held_up_to_a_bound() {
    let mut world = world(FALLBACK);
    let body = r#"{"model":"openai/gpt-4o","messages":[],"stream":true}"#;
    let (id, step) = world.chat(body);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    let mut held = 0;
    loop {
        match world.resume(id, Input::Chunk(b"data: {\"id\":\"c\",\"choices\":[]}\n\n")) {
            Step::Hold => held += 1,
            Step::Commit { .. } => break,
            step => panic!("unexpected {step:?}"),
        }
    }
    assert_eq!(held, 64);
    // The same in bytes: 256 KiB.
    let (id, step) = world.chat(body);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    let long = format!("data: {{\"id\":\"c\",\"choices\":[],\"padding\":\"{}\"}}\n\n", "x".repeat(100 << 10));
    assert!(matches!(world.resume(id, Input::Chunk(long.as_bytes())), Step::Hold));
    assert!(matches!(world.resume(id, Input::Chunk(long.as_bytes())), Step::Hold));
    let Step::Commit { head, .. } = world.resume(id, Input::Chunk(long.as_bytes())) else { panic!("still held") };
    assert!(head.body.len() > 256 << 10, "and nothing of it is lost");
}

#[test]
fn a_blocked_target_is_not_asked_and_probed_once() {
    let mut world = world(FALLBACK);
    for _ in 0..3 {
        let (id, step) = world.chat(PLAIN);
        assert!(sent(step).url.contains("openai"));
        sent(world.refuse(id, 500, &[], ""));
        world.answer(id, 200, &[], CLAUDE);
    }
    let (id, step) = world.chat(PLAIN);
    assert!(sent(step).url.contains("anthropic"), "three failures in a row");
    assert_eq!(header(&world.answer(id, 200, &[], CLAUDE), "x-latchkey-attempts"), Some("1"));
    world.now.0 += 15_000;
    let (probe, step) = world.chat(PLAIN);
    assert!(sent(step).url.contains("openai"), "the probe");
    let (other, step) = world.chat(PLAIN);
    assert!(sent(step).url.contains("anthropic"), "one probe at a time");
    world.answer(other, 200, &[], CLAUDE);
    assert_eq!(world.answer(probe, 200, &[], ANSWER).status, 200);
    let (_, step) = world.chat(PLAIN);
    assert!(sent(step).url.contains("openai"), "back");
}

#[test]
fn where_nothing_may_be_asked_the_caller_learns_when() {
    let mut world = world(r#"{"version":1,"failover":{"same_target":0}}"#);
    for _ in 0..3 {
        let (id, step) = world.chat(PLAIN);
        sent(step);
        assert_eq!(refused(world.refuse(id, 500, &[], "")).0, 502);
    }
    let Step::Respond(response) = world.chat(PLAIN).1 else { panic!("not refused") };
    assert_eq!((response.status, &json(&response.body)["error"]["code"]), (503, &"no_target".into()));
    let wait: u64 = header(&response, "retry-after").expect("when").parse().expect("seconds");
    assert!((1..=300).contains(&wait), "{wait}");
    let alone = PLAIN.replace("\"seed\"", "\"provider\":{\"only\":[\"openai\"]},\"seed\"");
    let (status, body) = refused(world.chat(&alone).1);
    assert_eq!((status, &body["error"]["code"]), (503, &"no_target".into()), "where it names its provider, too");
}

#[test]
fn a_callers_own_deadline_says_nothing_of_a_target() {
    let mut world = world(r#"{"version":1,"failover":{"same_target":0}}"#);
    for _ in 0..5 {
        let (id, step) = world.send("/v1/chat/completions", PLAIN, &[("x-latchkey-timeout-ms", "1")]);
        sent(step);
        let (status, body) = refused(world.resume(id, Input::Expired(Deadline::Total)));
        assert_eq!((status, &body["error"]["param"]), (504, &"total".into()));
    }
    let (_, step) = world.chat(PLAIN);
    sent(step);
}

#[test]
fn the_total_deadline_covers_all_attempts() {
    let mut world = world(FALLBACK);
    let (id, step) = world.send("/v1/chat/completions", PLAIN, &[("x-latchkey-timeout-ms", "1000")]);
    assert_eq!(sent(step).total_left, Millis(990));
    world.now.0 += 600;
    let second = sent(world.refuse(id, 500, &[], ""));
    assert_eq!(second.total_left, Millis(370));
    world.now.0 += 600;
    assert_eq!(refused(world.refuse(id, 500, &[], "")).0, 502, "no time for another");
}

#[test]
fn a_caller_who_left_gets_no_further_attempts() {
    let mut world = world(BARE);
    let (id, step) = world.chat(PLAIN);
    sent(step);
    assert!(matches!(world.refuse(id, 500, &[], ""), Step::Wait(_)));
    assert!(matches!(world.resume(id, Input::Gone), Step::Finish(_)));
    let record = world.only_record();
    assert_eq!((record.status, record.input_fresh), (499, 0), "nothing was under way");
}

#[test]
fn what_the_caller_says_of_a_call_is_in_its_record() {
    let mut world = world(BARE);
    let labels = [("x-latchkey-user", "ada"), ("x-latchkey-session", "s1"), ("x-latchkey-tags", "a, b")];
    let (id, step) = world.send("/v1/chat/completions", PLAIN, &labels);
    sent(step);
    world.answer(id, 200, &[], ANSWER);
    let record = world.only_record();
    assert_eq!((record.user.as_deref(), record.session.as_deref()), (Some("ada"), Some("s1")));
    assert_eq!((record.tags.as_deref(), record.tried), (Some("a, b"), None));
}

#[test]
fn a_deadline_is_the_calls_else_the_keys_else_the_aliases_else_the_gateways() {
    let document = r#"{"version":1,"limits":{"deadlines":{"connect_ms":4001,"first_token_ms":4002,"idle_ms":4003,"total_ms":40000}},
        "aliases":{"slow":{"candidates":["openai/gpt-4o"],"deadlines":{"connect_ms":3001,"first_token_ms":3002,"idle_ms":3003}}}}"#;
    let own = OwnDeadlines { connect: Some(Millis(2001)), first_token: Some(Millis(2002)), ..OwnDeadlines::default() };
    let ask = |key: Key, model: &str, headers: &[(&str, &str)]| {
        let mut world = World::of(key, document, &[]);
        let body = format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Hi"}}]}}"#);
        let found = sent(world.send("/v1/chat/completions", &body, headers).1).deadlines;
        [found.connect, found.first_token, found.idle, found.total].map(|it| it.0)
    };
    let with_key = || Key { deadlines: own, ..Key::default() };
    let header = [("x-latchkey-connect-timeout-ms", "1001")];
    assert_eq!(ask(Key::default(), "openai/gpt-4o", &[]), [4001, 4002, 4003, 40_000], "the gateway's");
    assert_eq!(ask(Key::default(), "slow", &[]), [3001, 3002, 3003, 40_000], "what the alias names");
    assert_eq!(ask(with_key(), "openai/gpt-4o", &[]), [2001, 2002, 4003, 40_000], "what the key names");
    assert_eq!(ask(with_key(), "slow", &[]), [2001, 2002, 3003, 40_000], "the key before the alias");
    assert_eq!(ask(with_key(), "slow", &header), [1001, 2002, 3003, 40_000], "the call before both");
    let all = [
        ("x-latchkey-first-token-timeout-ms", "1002"),
        ("x-latchkey-idle-timeout-ms", "1003"),
        ("x-latchkey-timeout-ms", "1500"),
    ];
    assert_eq!(
        ask(with_key(), "slow", &all),
        [1002, 1002, 1003, 1500],
        "no status line is waited for longer than a token"
    );
    let short = [("x-latchkey-connect-timeout-ms", "9000"), ("x-latchkey-idle-timeout-ms", "9000"), all[2]];
    assert_eq!(ask(Key::default(), "slow", &short), [1500, 1500, 1500, 1500], "none outlasts the whole");
    let ask_plainly = |key: Key, document: &str, model: &str, headers: &[(&str, &str)]| {
        let mut world = World::of(key, document, &[]);
        let body = PLAIN.replace("openai/gpt-4o", model);
        let found = sent(world.send("/v1/chat/completions", &body, headers).1).deadlines;
        [found.connect.0, found.total.0]
    };
    assert_eq!(ask_plainly(Key::default(), document, "openai/gpt-4o", &[]), [4001, 40_000], "plain calls have it too");
    assert_eq!(ask_plainly(Key::default(), document, "slow", &[]), [3001, 40_000]);
    assert_eq!(ask_plainly(with_key(), document, "slow", &[]), [2001, 40_000]);
    assert_eq!(ask_plainly(with_key(), document, "slow", &header), [1001, 40_000]);
    let unsaid = [600_000, 600_000];
    assert_eq!(ask_plainly(Key::default(), BARE, "openai/gpt-4o", &[]), unsaid, "a long answer is let come");
    assert_eq!(ask_plainly(with_key(), BARE, "openai/gpt-4o", &[]), [2001, 600_000], "unless somebody chose otherwise");
    assert_eq!(ask_plainly(Key::default(), BARE, "openai/gpt-4o", &header), [1001, 600_000]);
    let longer = [("x-latchkey-timeout-ms", "90000")];
    assert_eq!(ask(Key::default(), "slow", &longer)[3], 40_000, "and that is within what the operator allows");
}

#[test]
fn an_error_in_the_same_read_as_the_first_token_moves_on_too() {
    const FIRST: &[u8] = b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Never\"},\"finish_reason\":null}]}\n\n";
    const ERROR: &[u8] = b"data: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}\n\n";
    let mut world = world(r#"{"version":1,"failover":{"same_target":0},"health":{"enabled":false}}"#);
    let body = r#"{"models":["openai/gpt-4o","deepseek/deepseek-chat"],"messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
    let (id, step) = world.chat(body);
    sent(step);
    assert!(matches!(world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")])), Step::Hold));
    let step = world.resume(id, Input::Chunk(&[FIRST, ERROR].concat()));
    assert!(sent(step).url.contains("deepseek"));
    let streamed = world.stream(id, &[CHUNKS], Input::End);
    assert_eq!((streamed.head.status, header(&streamed.head, "x-latchkey-attempts")), (200, Some("2")));
    assert!(streamed.text.contains("Hello") && !streamed.text.contains("Never"), "{}", streamed.text);
    let rows = world.rows();
    assert_eq!(rows.len(), 2, "what was said and thrown away is paid for: {rows:?}");
    assert!(rows.iter().all(|row| row.cost_nano.is_some_and(|cost| cost > 0)), "{rows:?}");

    // With nowhere else to go the status is true: nothing was sent yet.
    let (id, step) = world.chat(r#"{"model":"openai/gpt-4o","messages":[],"stream":true}"#);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    assert_eq!(refused(world.resume(id, Input::Chunk(&[FIRST, ERROR].concat()))).0, 502);
}
