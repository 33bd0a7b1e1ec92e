//! What a caller sees when something goes wrong, and that it is recorded once.

use latchkey::gateway::{Deadline, Incoming, Input, Step};
use latchkey::keys::{Key, OnDisconnect};
use latchkey::units::UnixMillis;

use crate::world::{World, events, header, json, refused, sent};

const STREAMED: &str = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
const START: &[u8] = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const TOKEN: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n";
const END: &[u8] = b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const OVERLOADED: &[u8] = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

fn streaming() -> (World, latchkey::gateway::CallId) {
    let mut world = World::default();
    let (id, step) = world.chat(STREAMED);
    sent(step);
    (world, id)
}

#[test]
fn an_invented_key_never_reaches_storage() {
    let mut world = World::default();
    for key in
        ["", "lk-", "lk-invented", "sk-openai-secret", "lk-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    {
        world.key = key.to_owned();
        let (status, error) = refused(world.chat("{}").1);
        assert_eq!((status, &error["error"]["code"]), (401, &"invalid_api_key".into()), "{key}");
    }
    assert!(world.records().is_empty(), "a flood of bad keys must not reach the database");
}

#[test]
fn a_key_that_cannot_be_looked_up_is_our_fault_not_the_callers() {
    let mut world = World::default();
    let headers = vec![("authorization".to_owned(), format!("Bearer {}", world.key))];
    let incoming = Incoming { method: "GET".to_owned(), path: "/v1/models".to_owned(), headers, ..Incoming::default() };
    let (id, step) = world.gateway.begin(incoming, world.now);
    assert!(matches!(step, Step::FindGrant(_)));
    let (status, error) = refused(world.resume(id, Input::Grant(Err("KV timed out".to_owned()))));
    assert_eq!((status, &error["error"]["code"]), (503, &"storage_unavailable".into()));
    assert!(!error.to_string().contains("KV timed out"));
}

#[test]
fn bounds_are_named_in_their_errors() {
    let document = r#"{"version":1,"limits":{"body_bytes":2000,"json_depth":8,"header_count":16}}"#;
    let mut world = World::with(Key::default(), Some(document));
    let long = format!(r#"{{"model":"openai/gpt-4o","messages":[],"x":"{}"}}"#, "a".repeat(3000));
    let (status, error) = refused(world.chat(&long).1);
    assert_eq!(status, 413);
    assert!(error.to_string().contains("body_bytes"), "{error}");
    let deep = format!(r#"{{"model":"openai/gpt-4o","messages":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    let (status, error) = refused(world.chat(&deep).1);
    assert_eq!(status, 400);
    assert!(error.to_string().contains("json_depth"), "{error}");
    let many: Vec<(String, String)> = (0..20).map(|n| (format!("x-{n}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (status, error) = refused(world.send("/v1/chat/completions", "{}", &many).1);
    assert_eq!(status, 413);
    assert!(error.to_string().contains("header_count"), "{error}");
    let (status, _) = refused(world.send("/v1/chat/completions", "{}", &[]).1);
    assert_eq!(status, 400);
}

#[test]
fn an_upstreams_refusal_keeps_its_class_and_its_retry_after() {
    let mut world = World::default();
    let (id, step) = world.chat(r#"{"model":"openai/gpt-4o","messages":[]}"#);
    sent(step);
    let body =
        r#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    let response = world.answer(id, 429, &[("retry-after", "7")], body);
    assert_eq!((response.status, header(&response, "retry-after")), (429, Some("7")));

    let (id, step) = world.chat(r#"{"model":"openai/gpt-4o","messages":[]}"#);
    sent(step);
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-openai-secret. Ask an administrator.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let response = world.answer(id, 401, &[], body);
    let text = String::from_utf8(response.body).expect("text");
    assert_eq!(response.status, 502, "the caller's own key is fine: {text}");
    assert!(!text.contains("sk-openai"), "{text}");
    assert!(!format!("{:?}", world.records()).contains("sk-openai-secret"));
}

#[test]
fn an_error_inside_a_200_is_an_error_before_the_first_token_and_an_event_after_it() {
    let (mut world, id) = streaming();
    let streamed = world.stream(id, &[START, OVERLOADED], Input::End);
    assert_eq!(streamed.head.status, 503, "{}", streamed.text);
    assert_eq!(world.only_record().state, "released");

    let (mut world, id) = streaming();
    let streamed = world.stream(id, &[START, TOKEN, OVERLOADED], Input::End);
    assert_eq!(streamed.head.status, 200);
    let events = events(&streamed.text);
    assert!(events.iter().any(|event| event.contains("Hello")));
    let last = json(events.last().expect("events").as_bytes());
    assert_eq!(last["error"]["code"], "overloaded_error", "{last}");
    assert!(!streamed.text.contains("[DONE]"));
    let record = world.only_record();
    assert_eq!((record.input_fresh, record.state), (12, "settled_estimate"));
}

#[test]
fn a_stream_cut_anywhere_never_looks_finished_and_is_billed_for_what_was_seen() {
    let whole = [START, TOKEN, TOKEN, END].concat();
    let marker = whole.len() - b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".len();
    for cut in (0..marker).step_by(7) {
        for ending in [0, 1, 2] {
            let (mut world, id) = streaming();
            let ending = match ending {
                0 => Input::End,
                1 => Input::Broken("connection lost"),
                _ => Input::Expired(Deadline::Idle),
            };
            let streamed = world.stream(id, &[&whole[..cut]], ending);
            assert!(!streamed.text.contains("[DONE]"), "cut at {cut}: {}", streamed.text);
            assert!(streamed.text.contains("\"error\""), "cut at {cut}: {}", streamed.text);
            let rows = world.rows();
            assert!(rows[0].error.is_some());
            // Before a word there is an answer of its own, and the attempt is billed besides.
            let billed = if streamed.head.status == 200 { &rows[0] } else { &rows[1] };
            assert_eq!(billed.state, "settled_estimate", "cut at {cut}");
            assert!(billed.cost_nano.is_some_and(|cost| cost > 0));
        }
    }
}

#[test]
fn a_web_page_in_place_of_an_answer_is_called_one() {
    let page = "<html><body>Welcome to nginx</body></html>";
    let html = [("content-type", "text/html; charset=utf-8")];
    let mut world = World::default();
    let (plain, step) = world.chat(r#"{"model":"openai/gpt-4o","messages":[]}"#);
    sent(step);
    world.resume(plain, Input::Headers(200, &html));
    let plain = refused(world.resume(plain, Input::Body(page.as_bytes())));
    let (streamed, step) = world.chat(r#"{"model":"openai/gpt-4o","messages":[],"stream":true}"#);
    sent(step);
    world.resume(streamed, Input::Headers(200, &html));
    world.resume(streamed, Input::Chunk(page.as_bytes()));
    let streamed = refused(world.resume(streamed, Input::End));
    for (status, error) in [plain, streamed] {
        assert_eq!(status, 502);
        assert!(error["error"]["message"].as_str().is_some_and(|it| it.contains("web page")), "{error}");
    }
    assert!(world.records().iter().all(|record| record.error.as_deref() == Some("BadAnswer")));
}

#[test]
fn deadlines_say_which() {
    let (mut world, id) = streaming();
    let (status, error) = refused(world.resume(id, Input::Expired(Deadline::Connect)));
    assert_eq!((status, &error["error"]["code"]), (504, &"deadline_exceeded".into()));
    assert!(error.to_string().contains("connect"));
    let mut world = World::default();
    let (status, error) = refused(
        world
            .send(
                "/v1/chat/completions",
                r#"{"model":"openai/gpt-4o","messages":[]}"#,
                &[("x-latchkey-timeout-ms", "soon")],
            )
            .1,
    );
    assert_eq!((status, &error["error"]["param"]), (400, &"x-latchkey-timeout-ms".into()));
}

#[test]
fn what_is_not_json_is_a_502_and_no_panic() {
    for body in ["", "null", "[]", "<html>", "{\"choices\":3}", "{}"] {
        let mut world = World::default();
        let (id, step) = world.chat(r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}]}"#);
        sent(step);
        assert_eq!(world.answer(id, 200, &[], body).status, 502, "{body}");
        let rows = world.rows();
        assert_eq!(rows[0].status, 502);
        assert_eq!(rows[1].state, "settled_estimate", "it may be billed: {body}");
    }
}

#[test]
fn a_caller_who_leaves_is_recorded_once_whenever_it_happens() {
    for reached in 0..4usize {
        let (mut world, id) = streaming();
        if reached > 0 {
            world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
        }
        for piece in [START, TOKEN].iter().take(reached.saturating_sub(1)) {
            world.resume(id, Input::Chunk(piece));
        }
        world.resume(id, Input::Gone);
        world.resume(id, Input::Gone);
        world.resume(id, Input::Chunk(TOKEN));
        let record = world.only_record();
        assert_eq!((record.status, record.state), (499, "settled_estimate"), "after {reached} steps");
        assert!(record.cost_nano.is_some_and(|cost| cost > 0));
    }
}

#[test]
fn a_drained_answer_is_read_to_its_end_and_billed_as_it_was() {
    let key = Key { on_disconnect: OnDisconnect::Drain, ..Key::default() };
    let mut world = World::with(key, None);
    let (id, step) = world.chat(STREAMED);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    world.resume(id, Input::Chunk(START));
    world.resume(id, Input::Gone);
    assert!(world.gateway.is_under_way(id), "it is still read");
    world.resume(id, Input::Chunk(TOKEN));
    world.resume(id, Input::Chunk(END));
    world.resume(id, Input::End);
    let record = world.only_record();
    assert_eq!((record.status, record.state, record.output_text), (499, "settled_actual", 5));
}

#[test]
fn an_oversized_or_unreadable_event_ends_the_stream() {
    let document = r#"{"version":1,"limits":{"event_bytes":65536}}"#;
    for bad in
        [format!("data: {}\n\n", "a".repeat(70_000)), "event: content_block_delta\ndata: {\"type\":\n\n".to_owned()]
    {
        let mut world = World::with(Key::default(), Some(document));
        let (id, step) = world.chat(STREAMED);
        sent(step);
        let streamed = world.stream(id, &[START, TOKEN, bad.as_bytes()], Input::End);
        assert!(streamed.text.contains("\"error\"") && !streamed.text.contains("[DONE]"), "{}", streamed.text);
        assert!(world.only_record().error.is_some());
    }
}

#[test]
fn a_grant_is_asked_for_again_after_seconds() {
    let mut world = World::default();
    let (_, step) = world.chat(r#"{"model":"openai/gpt-4o","messages":[]}"#);
    sent(step);
    let incoming = |world: &World| Incoming {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: vec![("authorization".to_owned(), format!("Bearer {}", world.key))],
        body: br#"{"model":"openai/gpt-4o","messages":[]}"#.to_vec(),
        ..Incoming::default()
    };
    let again = incoming(&world);
    assert!(matches!(world.gateway.begin(again, world.now).1, Step::Send(_)), "known from memory");
    let later = UnixMillis(world.now.0 + 11_000);
    let again = incoming(&world);
    let (id, step) = world.gateway.begin(again, later);
    assert!(matches!(step, Step::FindGrant(_)), "looked up anew");
    // Where it cannot be, what was known goes on for an hour, and is not asked for with every call.
    let away = || Input::Grant(Err("nobody answers".to_owned()));
    world.now = later;
    let step = world.gateway.resume(id, away(), later);
    sent(world.after_ledger(id, step));
    let again = incoming(&world);
    assert!(!matches!(world.gateway.begin(again, later).1, Step::FindGrant(_)));
    world.now = UnixMillis(later.0 + 3_600_000);
    let again = incoming(&world);
    let (id, _) = world.gateway.begin(again, world.now);
    assert_eq!(refused(world.resume(id, away())).0, 503);
}

#[test]
fn a_key_that_may_only_chat_still_reads_what_it_may_do() {
    let key = Key { allowed_endpoints: vec!["chat/completions".to_owned()], ..Key::default() };
    let mut world = World::with(key, None);
    let (status, answer) = refused(world.get("/v1/key"));
    assert_eq!((status, &answer["allowed_endpoints"]), (200, &serde_json::json!(["chat/completions"])));
    let (status, error) = refused(world.get("/v1/models"));
    assert_eq!((status, &error["error"]["code"]), (403, &"endpoint_not_allowed".into()));
}

#[test]
fn no_record_holds_what_was_said_or_a_credential() {
    const CONTENT: &str = "my dear diary";
    let plain = r#"{"model":"openai/gpt-4o","messages":[]}"#;
    let key = "8c0f5a1e-4d2b-4c6a-9f3e-7b1d2a3c4e5f";
    for (status, body) in [
        (200, format!(r#"{{"choices":"{CONTENT}"}}"#)),
        (
            200,
            format!(r#"{{"choices":[{{"message":{{}},"finish_reason":"stop"}}],"usage":"{CONTENT}","x":1}} {CONTENT}"#),
        ),
        (400, format!(r#"{{"error":{{"message":"Invalid text: \"{CONTENT}\" in \"{CONTENT}\"."}}}}"#)),
        (401, r#"{"error":{"message":"Incorrect API key provided: sk-openai-secret."}}"#.to_owned()),
        (403, format!(r#"{{"error":{{"message":"Bearer {key} has no access."}}}}"#)),
    ] {
        let mut world = World::default();
        let (id, step) = world.chat(plain);
        sent(step);
        let answer = String::from_utf8(world.answer(id, status, &[], &body).body).expect("text");
        let record = format!("{:?}", world.rows());
        for secret in ["sk-openai-secret", key] {
            assert!(!record.contains(secret) && !answer.contains(secret), "{body}: {record} {answer}");
        }
        assert!(!record.contains(CONTENT), "{body}: {record}");
    }
    let mut world = World::default();
    let (status, _) = refused(world.chat(&format!("\"{CONTENT}\"")).1);
    assert_eq!(status, 400);
    assert!(!format!("{:?}", world.only_record()).contains(CONTENT));
}

#[test]
fn an_upstream_that_quotes_the_credential_is_not_quoted() {
    // Nothing in its looks says that this is a key.
    let mut world = World::default();
    let (id, step) = world.chat(r#"{"model":"gemini/gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#);
    sent(step);
    let response = world.answer(id, 400, &[], r#"{"error":{"message":"gemini-secret may not do this","code":400}}"#);
    let (answer, record) = (String::from_utf8(response.body).expect("text"), format!("{:?}", world.only_record()));
    assert!(answer.contains("may not do this") && !answer.contains("gemini-secret"), "{answer}");
    assert!(!record.contains("gemini-secret"), "{record}");
}

#[test]
fn what_is_lost_of_a_call_is_listed_as_far_as_a_header_reaches() {
    let mut world = World::default();
    let fields: String = (0..900).map(|number| format!(r#""field_{number}":1,"#)).collect();
    let call = r#""seed":1,"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}]}"#;
    let (id, step) = world.chat(&format!("{{{fields}{call}"));
    sent(step);
    let answer = r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let response = world.answer(id, 200, &[], answer);
    let listed = header(&response, "x-latchkey-adjusted").expect("listed");
    assert!(
        listed.len() < 8_000,
        "{} bytes, of which a runtime takes so many and a row of the ledger too",
        listed.len()
    );
    for one in ["field_0=dropped", "others=dropped", "seed=dropped"] {
        assert!(listed.contains(one), "{one} is not in {listed}");
    }
    assert_eq!(world.only_record().adjusted.as_deref(), Some(listed));
    let fields: String = (0..5_000).map(|number| format!(r#""field_{number}":1,"#)).collect();
    let (status, answer) = refused(world.chat(&format!("{{{fields}{call}")).1);
    assert_eq!((status, &answer["error"]["code"]), (400, &"invalid_request".into()));
}
