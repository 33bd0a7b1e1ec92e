//! Calls that go to a provider as they came.

use latchkey::budget::{Budget, Period, Scope};
use latchkey::gateway::{Deadline, Input, Step};
use latchkey::keys::{Key, UnknownPrice};
use latchkey::units::NanoUsd;
use serde_json::json;

use crate::world::{World, dollar, header, header_of, refused, sent};

fn open() -> Key {
    Key { allowed_endpoints: vec!["passthrough".into()], ..Key::default() }
}

/// Plays an upstream whose body passes; gives the head of the answer and the step that ends it.
fn passed(world: &mut World, id: latchkey::gateway::CallId, head: (u16, &str), pieces: &[&str]) -> (Step, Step) {
    let headers = [("content-type", head.1), ("openai-version", "2020-10-01"), ("set-cookie", "a=b")];
    assert!(matches!(world.resume(id, Input::Headers(head.0, &headers)), Step::Hold));
    let mut first = None;
    for piece in pieces {
        let step = world.resume(id, Input::Chunk(piece.as_bytes()));
        first.get_or_insert(step);
    }
    (first.expect("a piece"), world.resume(id, Input::End))
}

#[test]
fn the_callers_key_is_swapped_and_usage_is_read_along() {
    for (path, url, kind, pieces, tokens) in [
        (
            "/passthrough/openai/v1/responses?key=lk-1&a=b",
            "https://api.openai.com/v1/responses?a=b",
            "application/json",
            &[r#"{"model":"gpt-4o","#, r#""usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}"#][..],
            (10, 5),
        ),
        (
            "/passthrough/anthropic/v1/messages",
            "https://api.anthropic.com/v1/messages",
            "text/event-stream",
            &[
                "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1,\"cache_read_input_tokens\":3}}}\n\n",
                "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n",
            ],
            (7, 9),
        ),
        (
            "/passthrough/gemini/v1beta/models/gemini-2.5-flash:generateContent",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
            "application/json; charset=UTF-8",
            &[r#"{"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":6}}"#],
            (4, 2),
        ),
    ] {
        let mut world = World::with(open(), None);
        let (id, step) = world.send(path, r#"{"model":"gpt-4o"}"#, &[("anthropic-version", "2023-06-01")]);
        let outbound = sent(step);
        assert_eq!(outbound.url, url);
        assert!(outbound.outside && outbound.abortable);
        assert!(outbound.passed.contains(&("anthropic-version".to_owned(), "2023-06-01".to_owned())));
        let shown = format!("{:?}{:?}", outbound.passed, outbound.headers);
        assert!(!shown.contains(&world.key), "the gateway's key stays here");
        let credential =
            ["authorization", "x-api-key", "x-goog-api-key"].iter().find_map(|it| header_of(&outbound, it));
        assert!(credential.is_some_and(|value| value.contains("secret")));
        let (first, last) = passed(&mut world, id, (200, kind), pieces);
        let Step::Commit { head, relay: true } = first else { panic!("{first:?}") };
        assert_eq!(head.body, pieces[0].as_bytes());
        assert_eq!(header(&head, "content-type"), Some(kind));
        assert_eq!(head.passed, [("openai-version".to_owned(), "2020-10-01".to_owned())]);
        assert!(matches!(last, Step::Finish(rest) if rest.is_empty()));
        let record = world.only_record();
        assert_eq!((record.endpoint, record.input_fresh, record.output_text), ("passthrough", tokens.0, tokens.1));
        assert_eq!(record.state, "settled_actual", "{path}");
    }
}

#[test]
fn what_is_known_of_the_model_is_priced() {
    let mut world = World::with(open(), None);
    let (id, step) = world.post("/passthrough/openai/chat/completions", r#"{"model":"gpt-4o"}"#);
    sent(step);
    let answer = r#"{"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;
    passed(&mut world, id, (200, "application/json"), &[answer]);
    let record = world.only_record();
    assert_eq!((record.model.as_str(), record.cost_nano), ("gpt-4o", Some(3_500_000)));
}

#[test]
fn a_count_that_no_call_can_have_is_none() {
    let mut world = World::with(open(), None);
    let (id, step) = world.post("/passthrough/openai/chat/completions", r#"{"model":"gpt-4o"}"#);
    sent(step);
    let answer = r#"{"usage":{"prompt_tokens":1000,"completion_tokens":18446744073709551615,"total_tokens":999}}"#;
    passed(&mut world, id, (200, "application/json"), &[answer]);
    let record = world.only_record();
    assert_eq!(record.state, "settled_estimate");
    assert!(record.cost_nano.is_some_and(|cost| cost < 1_000_000), "{record:?}");
}

#[test]
fn an_error_passes_too_and_costs_nothing() {
    let mut world = World::with(open(), None);
    let (id, step) = world.post("/passthrough/openai/nothing", r#"{"model":"gpt-4o"}"#);
    sent(step);
    let (first, _) = passed(&mut world, id, (404, "application/json"), &[r#"{"error":{"message":"no"}}"#]);
    assert!(matches!(first, Step::Commit { head, .. } if head.status == 404));
    let record = world.only_record();
    assert_eq!((record.status, record.state, record.attempts), (404, "released", 1));
}

#[test]
fn what_went_on_as_it_came_is_not_sent_again() {
    let mut world = World::of(open(), r#"{"version":1}"#, &[("OPENAI_API_KEY_2", "sk-second")]);
    for failure in [Input::Broken("connection lost"), Input::Expired(Deadline::Connect)] {
        let (id, step) = world.post("/passthrough/openai/v1/responses", r#"{"model":"gpt-4o"}"#);
        sent(step);
        let Step::Respond(response) = world.resume(id, failure) else { panic!("it goes on") };
        assert_eq!(header(&response, "x-latchkey-attempts"), Some("1"));
    }
}

#[test]
fn a_body_that_breaks_off_never_looks_whole() {
    let mut world = World::with(open(), None);
    let (id, step) = world.post("/passthrough/openai/chat/completions", r#"{"model":"gpt-4o"}"#);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "application/json")]));
    world.resume(id, Input::Chunk(b"{"));
    assert!(matches!(world.resume(id, Input::Broken("reset")), Step::Break));
    assert_eq!(world.only_record().state, "settled_estimate");
}

#[test]
fn only_keys_that_name_it_may_pass_through() {
    for key in [Key::default(), Key { allowed_endpoints: vec!["chat/completions".into()], ..Key::default() }] {
        let mut world = World::with(key, None);
        let (status, answer) = refused(world.post("/passthrough/openai/files", "").1);
        assert_eq!((status, &answer["error"]["code"]), (403, &json!("endpoint_not_allowed")));
    }
    let mut held = World::with(Key { allowed_models: vec!["openai/gpt-4o".into()], ..open() }, None);
    let (status, answer) = refused(held.post("/passthrough/openai/files", "").1);
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("model_not_allowed")), "its model is not known");
    sent(held.post("/passthrough/openai/chat/completions", r#"{"model":"gpt-4o"}"#).1);
    for path in ["/deployments/o1", "/Deployments/o1", "/%64eployments/o1", "/deployments%2Fo1", "/%6Dodels/o1:x"] {
        let (status, _) = refused(held.post(&format!("/passthrough/openai{path}/chat"), r#"{"model":"gpt-4o"}"#).1);
        assert_eq!(status, 403, "{path}: servers read it so");
    }
    let (status, _) = refused(World::with(open(), None).post("/passthrough/openai/..%2fadmin", "").1);
    assert_eq!(status, 400);
    let own = [("x-latchkey-provider-key", "sk-own")];
    let (status, answer) = refused(World::with(open(), None).send("/passthrough/openai/files", "", &own).1);
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("provider_key_not_allowed")));
    let (status, _) = refused(World::with(open(), None).post("/passthrough/nobody/x", "").1);
    assert_eq!(status, 404);
}

#[test]
fn a_strict_budget_wants_a_ceiling() {
    let budget = dollar();
    let strict = Key { budgets: vec![budget], ..open() };
    let body = r#"{"model":"gpt-4o","max_tokens":5}"#;
    let mut world = World::with(strict.clone(), None);
    let (status, answer) = refused(world.post("/passthrough/openai/chat/completions", body).1);
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("cost_unbounded")));
    let ceiling = Some(UnknownPrice::Hold(NanoUsd(5_000_000)));
    let mut world = World::with(Key { unknown_price: ceiling, ..strict }, None);
    sent(world.post("/passthrough/openai/chat/completions", body).1);
}

/// Nobody charges for what only reads: it needs no ceiling, and no price.
#[test]
fn what_only_reads_goes_out_under_a_strict_budget() {
    let budget = dollar();
    let strict = Key { budgets: vec![budget], unknown_price: Some(UnknownPrice::Refuse), ..open() };
    for method in ["GET", "DELETE"] {
        let mut world = World::with(strict.clone(), None);
        let (id, step) = world.request(method, "/passthrough/openai/v1/files/file-1");
        sent(world.after_ledger(id, step));
    }
}

#[test]
fn what_is_passed_through_says_nothing_of_how_soon_streams_begin() {
    let mut world = World::of(open(), r#"{"version":1}"#, &[]);
    let (id, step) = world.send("/passthrough/openai/v1/chat/completions", r#"{"model":"gpt-4o"}"#, &[]);
    sent(step);
    world.now.0 += 9_000;
    passed(&mut world, id, (200, "application/json"), &[r#"{"usage":{"prompt_tokens":10,"completion_tokens":500}}"#]);
    let told = world.gateway.view.batch(world.now).expect("a batch");
    assert!(told.contains("openai/gpt-4o") && !told.contains("first_token_ms"), "{told}");
}

const AWS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "own/secret"), ("AWS_REGION", "us-east-1")];

#[test]
fn bodies_are_read_where_they_are_signed() {
    let signing = World::of(open(), r#"{"version":1}"#, &AWS);
    for (path, reads) in [
        ("/passthrough/bedrock/model/amazon.titan-tg1/invoke?a=b", true),
        ("/passthrough/openai/v1/files", false),
        ("/passthrough/nobody/v1/files", false),
        ("/v1/chat/completions", false),
    ] {
        assert_eq!(signing.gateway.signs_body(path), reads, "{path}");
    }
    let keyed = World::of(open(), r#"{"version":1}"#, &[AWS[0], AWS[1], ("BEDROCK_API_KEY", "bedrock-secret")]);
    assert!(!keyed.gateway.signs_body("/passthrough/bedrock/model/amazon.titan-tg1/invoke"), "a key signs nothing");
}

#[test]
fn the_signature_covers_what_is_no_json() {
    let signature = |body: &str| {
        let mut world = World::of(open(), r#"{"version":1}"#, &AWS);
        let (_, step) = world.form("/passthrough/bedrock/model/m/invoke", body, &[("content-type", "text/plain")]);
        let outbound = sent(step);
        header_of(&outbound, "authorization").expect("a signature").to_owned()
    };
    assert_ne!(signature("one"), signature("another"));
}

#[test]
fn what_passes_through_is_spent_from_the_budget() {
    // Enough for what a call may cost at most, but no longer for that and what the first one did cost.
    let limit = NanoUsd(43_000_000);
    let budget = Budget { id: "bud".into(), scope: Scope::key("*"), limit, period: Period::Total, ..Budget::default() };
    let held = Some(UnknownPrice::Hold(NanoUsd(5_000_000)));
    let mut world = World::with(Key { budgets: vec![budget], unknown_price: held, ..open() }, None);
    let body = r#"{"model":"gpt-4o"}"#;
    let (id, step) = world.post("/passthrough/openai/chat/completions", body);
    sent(step);
    let answer = r#"{"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;
    passed(&mut world, id, (200, "application/json"), &[answer]);
    assert_eq!(world.only_record().cost_nano, Some(3_500_000));
    world.report();
    let (status, answer) = refused(world.post("/passthrough/openai/chat/completions", body).1);
    assert_eq!((status, &answer["error"]["code"]), (402, &json!("budget_exceeded")), "{answer}");
}
