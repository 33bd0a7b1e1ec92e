//! Talks over a socket: what they use is paid turn by turn, and they end where it cannot be.

use latchkey::budget::{Budget, Period, Scope};
use latchkey::gateway::{CallId, Input, Step};
use latchkey::keys::{Grant, Key, Markup, UnknownPrice};
use latchkey::limit::{Limit, Per};
use latchkey::observe::Record;
use latchkey::units::{Millis, NanoUsd};
use serde_json::json;

use crate::world::{World, header, header_of, json as read, refused, sent};

/// 100 tokens heard and 50 said, of gpt-realtime: 100 × 32 + 50 × 64 micro-dollars.
const TURN: &str = r#"{"type":"response.done","response":{"id":"r","usage":{"total_tokens":150,"input_tokens":100,"output_tokens":50,"input_token_details":{"text_tokens":0,"audio_tokens":100,"cached_tokens":0},"output_token_details":{"text_tokens":0,"audio_tokens":50}}}}"#;
const COST: i64 = 6_400_000;

fn open(world: &mut World, model: &str, headers: &[(&str, &str)]) -> (CallId, Step) {
    let mut all = vec![("upgrade", "websocket")];
    all.extend_from_slice(headers);
    world.connect(&format!("/v1/realtime?model={model}"), &all)
}

fn begun(world: &mut World, id: CallId) {
    match world.resume(id, Input::Headers(101, &[])) {
        Step::Commit { head, relay: false } => assert_eq!(head.status, 101),
        step => panic!("{step:?}"),
    }
}

fn with_budget(micro_dollars: i64) -> World {
    let budget = Budget {
        id: "bud".into(),
        scope: Scope::key("*"),
        limit: NanoUsd(micro_dollars * 1_000),
        period: Period::Total,
        ..Budget::default()
    };
    let ceiling = Some(UnknownPrice::Hold(NanoUsd(1_000_000)));
    World::with(Key { budgets: vec![budget], unknown_price: ceiling, ..Key::default() }, None)
}

#[test]
fn a_talk_is_paid_turn_by_turn_and_recorded_once() {
    let mut world = World::default();
    let protocols = [("sec-websocket-protocol", "realtime, something")];
    let (id, step) = open(&mut world, "openai%2Fgpt-realtime", &protocols);
    let outbound = sent(step);
    assert_eq!(outbound.url, "https://api.openai.com/v1/realtime?model=gpt-realtime");
    assert!(outbound.socket && outbound.abortable);
    match world.resume(id, Input::Headers(101, &[])) {
        Step::Commit { head, .. } => assert_eq!(header(&head, "sec-websocket-protocol"), Some("realtime")),
        step => panic!("{step:?}"),
    }
    for event in [r#"{"type":"session.created"}"#, TURN, TURN] {
        assert!(matches!(world.resume(id, Input::Chunk(event.as_bytes())), Step::Hold));
    }
    assert!(matches!(world.resume(id, Input::End), Step::Finish(rest) if rest.is_empty()));
    let record = world.only_record();
    assert_eq!((record.endpoint, record.input_audio, record.output_audio), ("realtime", 200, 100));
    assert_eq!((record.cost_nano, record.state), (Some(2 * COST), "settled_actual"));
}

#[test]
fn the_fixed_part_of_a_mark_up_is_charged_once_a_talk() {
    let fixed = NanoUsd(1_000_000);
    let markup = Some(Markup { fixed, ..Markup::default() });
    let mut world = World::with(Key { markup, ..Key::default() }, None);
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
    sent(step);
    begun(&mut world, id);
    for _ in 0..3 {
        world.resume(id, Input::Chunk(TURN.as_bytes()));
    }
    world.resume(id, Input::End);
    assert_eq!(world.only_record().cost_nano, Some(3 * COST + fixed.0));
}

#[test]
fn a_later_turn_holds_what_is_charged_once_a_talk_no_more() {
    let mut world = with_budget(12_500);
    world.grant = Grant::new(Key {
        markup: Some(Markup { fixed: NanoUsd(5_000_000), ..Markup::default() }),
        ..world.grant.key.clone()
    });
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
    sent(step);
    begun(&mut world, id);
    // 11,400 of the micro-dollars are spent, and the next turn wants 1,000.
    let step = world.resume(id, Input::Chunk(TURN.as_bytes()));
    assert!(matches!(step, Step::Hold), "{step:?}");
}

#[test]
fn each_turn_is_waited_for_as_long_as_the_first() {
    let mut world = with_budget(20_000);
    let chat = |tokens: u32| {
        format!(r#"{{"model":"openai/gpt-4o","messages":[{{"role":"user","content":"hi"}}],"max_tokens":{tokens}}}"#)
    };
    let (before, step) = world.chat(&chat(1_900));
    sent(step);
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
    world.refuse(before, 400, &[], "{}");
    sent(world.resume(id, Input::Waited));
    begun(&mut world, id);
    world.now = world.now.plus(Millis(5_000));
    sent(world.chat(&chat(1_280)).1);
    let step = world.resume(id, Input::Chunk(TURN.as_bytes()));
    assert!(matches!(step, Step::Wait(_)), "what the other call holds may come back: {step:?}");
}

#[test]
fn a_key_may_come_as_a_subprotocol() {
    let mut world = World::default();
    let protocol = format!("realtime, openai-insecure-api-key.{}", world.key);
    let headers = [("upgrade", "websocket"), ("sec-websocket-protocol", protocol.as_str())];
    let (_, step) = world.connect_without_key("/v1/realtime?model=openai/gpt-realtime", &headers);
    sent(step);
}

/// Browsers break a socket off whose server picks a protocol that they did not offer.
#[test]
fn no_subprotocol_is_picked_that_was_not_offered() {
    for offered in [None, Some("something")] {
        let mut world = World::default();
        let headers: Vec<(&str, &str)> = offered.map(|name| ("sec-websocket-protocol", name)).into_iter().collect();
        let (id, step) = open(&mut world, "openai/gpt-realtime", &headers);
        sent(step);
        let Step::Commit { head, .. } = world.resume(id, Input::Headers(101, &[])) else { panic!("not taken") };
        assert_eq!(header(&head, "sec-websocket-protocol"), None, "{offered:?}");
    }
}

#[test]
fn a_talk_is_recorded_for_the_user_that_its_headers_name() {
    let mut world = World::default();
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[("x-latchkey-user", "ann")]);
    sent(step);
    begun(&mut world, id);
    world.resume(id, Input::Chunk(TURN.as_bytes()));
    world.resume(id, Input::End);
    assert_eq!(world.only_record().user.as_deref(), Some("ann"));
}

#[test]
fn a_deployment_takes_talks_with_its_own_credential_and_another_protocol_is_refused() {
    let variables = [("AZURE_RESOURCE", "shop"), ("AZURE_API_KEY", "azure-secret")];
    let mut world = World::of(Key::default(), r#"{"version":1}"#, &variables);
    let outbound = sent(open(&mut world, "azure/my-realtime", &[]).1);
    assert_eq!(outbound.url, "https://shop.openai.azure.com/openai/v1/realtime?model=my-realtime");
    assert_eq!(header_of(&outbound, "api-key"), Some("azure-secret"));
    let (status, answer) = refused(open(&mut world, "gemini/gemini-live-2.5-flash-preview", &[]).1);
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("endpoint_not_available")), "{answer}");
}

#[test]
fn a_talk_ends_when_its_budget_does() {
    let mut world = with_budget(12_000);
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
    // A ceiling is held for each turn, whatever it will be.
    sent(step);
    begun(&mut world, id);
    let mut step = world.resume(id, Input::Chunk(TURN.as_bytes()));
    while let Step::Wait(_) = step {
        step = world.resume(id, Input::Waited);
    }
    let mut turns = 1;
    while let Step::Hold = step {
        step = world.resume(id, Input::Chunk(TURN.as_bytes()));
        while let Step::Wait(_) = step {
            step = world.resume(id, Input::Waited);
        }
        turns += 1;
        assert!(turns < 5, "it would go on for ever");
    }
    let Step::Finish(event) = step else { panic!("{step:?}") };
    let event = read(&event);
    assert_eq!((&event["type"], &event["error"]["code"]), (&json!("error"), &json!("budget_exceeded")));
    let record = world.only_record();
    assert_eq!(record.cost_nano, Some(i64::from(turns) * COST));
    world.report();
    let now = world.now;
    let standing = world.ledger.as_mut().and_then(|ledger| ledger.standing("bud/key_test", now)).expect("known");
    assert_eq!(standing.spent, i64::from(turns) * COST, "the ledger knows of every turn");
}

#[test]
fn a_talk_longer_than_any_call_is_charged_what_its_turns_cost() {
    let mut world = with_budget(100_000);
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
    sent(step);
    begun(&mut world, id);
    for _ in 0..3 {
        // Nobody says a word for a quarter of an hour.
        world.report();
        world.now = world.now.plus(Millis(900_000));
        world.report();
        let mut step = world.resume(id, Input::Chunk(TURN.as_bytes()));
        while let Step::Wait(_) = step {
            step = world.resume(id, Input::Waited);
        }
        assert!(matches!(step, Step::Hold), "{step:?}");
    }
    world.resume(id, Input::End);
    world.report();
    let now = world.now;
    let standing = world.ledger.as_mut().and_then(|ledger| ledger.standing("bud/key_test", now)).expect("known");
    assert_eq!(standing.spent, 3 * COST);
}

#[test]
fn a_caller_who_hangs_up_has_paid_for_what_was_said() {
    let mut world = World::default();
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
    sent(step);
    begun(&mut world, id);
    world.resume(id, Input::Chunk(TURN.as_bytes()));
    assert!(matches!(world.resume(id, Input::Gone), Step::Finish(_)));
    assert_eq!(world.only_record().cost_nano, Some(COST));
}

#[test]
fn a_turn_that_is_counted_beyond_belief_is_charged_what_was_held() {
    let slip = TURN.replace(r#""output_tokens":50"#, r#""output_tokens":18446744073709551615"#);
    let talk = |mut world: World| {
        let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
        sent(step);
        begun(&mut world, id);
        world.resume(id, Input::Chunk(slip.as_bytes()));
        world.resume(id, Input::End);
        world.only_record()
    };
    let record = talk(with_budget(1_000_000));
    assert_eq!((record.cost_nano, record.state), (Some(1_000_000), "committed_ceiling"));
    let record = talk(World::default());
    assert_eq!(record.state, "settled_estimate", "where nothing was held");
    assert!(record.cost_nano.is_some_and(|cost| cost > 0), "{record:?}");
}

/// What the provider said in a recorded talk, as far as the edge tells the gateway of it (src/edge/realtime.mjs).
fn recorded(id: &str) -> Vec<String> {
    let provider = id.split('.').next().expect("a provider");
    let path = format!("{}/tests/fixtures/{provider}/{id}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let events = read(text.as_bytes())["events"].as_array().cloned().expect("events");
    let said = events.iter().filter(|event| event["from"] == "provider").map(|event| event["event"].to_string());
    said.filter(|event| event.contains(r#""usage""#) || event.contains(r#"transcription""#)).collect()
}

/// Plays a recorded talk to its end; gives its rows.
fn replay(world: &mut World, model: &str, id: &str) -> Vec<Record> {
    let (call, step) = open(world, model, &[]);
    sent(step);
    begun(world, call);
    for event in recorded(id) {
        let step = world.resume(call, Input::Chunk(event.as_bytes()));
        assert!(matches!(step, Step::Hold), "{event}: {step:?}");
    }
    assert!(matches!(world.resume(call, Input::End), Step::Finish(_)));
    world.rows()
}

/// Micro-dollars of tokens read, read from the cache, heard, written and said: those of gpt-realtime.
fn realtime([text, cached, audio, written, said]: [i64; 5]) -> i64 {
    text * 4_000 + cached * 400 + audio * 32_000 + written * 16_000 + said * 64_000
}

/// What is heard is written down by another model at another price, by the second or by the token.
#[test]
fn recorded_talks_are_paid_with_what_was_written_down_of_them() {
    let azure = [("AZURE_RESOURCE", "shop"), ("AZURE_API_KEY", "azure-secret"), ("XAI_API_KEY", "xai-secret")];
    for (model, id, talked, (transcriber, seconds, heard, wrote)) in [
        (
            "openai/gpt-realtime",
            "openai.realtime.857ca4faf8",
            realtime([15 + 43 + 63, 64, 27 + 32 + 124, 18 + 18 + 17, 42 + 43 + 98]),
            // Nine seconds at $0.017 a minute.
            ("gpt-realtime-whisper", 9_000, 0, 9 * 283_333 + 3),
        ),
        (
            "azure/gpt-realtime",
            "azure.realtime.d2e1da3700",
            realtime([69 + 32, 64, 26 + 26, 24 + 28, 69]),
            // 26 tokens of sound at $6 a million and 9 of text at $10.
            ("gpt-4o-transcribe", 0, 26, 26 * 6_000 + 9 * 10_000),
        ),
    ] {
        let mut world = World::of(Key::default(), r#"{"version":1}"#, &azure);
        let rows = replay(&mut world, model, id);
        let [talk, transcripts] = rows.as_slice() else { panic!("{id}: {rows:?}") };
        assert_eq!((talk.model.as_str(), talk.cost_nano), ("gpt-realtime", Some(talked)), "{id}");
        assert_eq!((transcripts.model.as_str(), transcripts.cost_nano), (transcriber, Some(wrote)), "{id}");
        assert_eq!((transcripts.status, transcripts.state, transcripts.input_audio), (200, "settled_actual", heard));
        assert_eq!(transcripts.prices.as_ref().is_some_and(|prices| prices.contains("second")), seconds > 0, "{id}");
    }
    // This one says how many of its seconds are to be paid: one, and four, at $0.08 a minute.
    let mut world = World::of(Key::default(), r#"{"version":1}"#, &azure);
    let rows = replay(&mut world, "xai/grok-voice-latest", "xai.realtime.14ec62fbea");
    assert_eq!((rows.len(), rows[0].cost_nano), (1, Some(1_333_334 + 4 * 1_333_333 + 2)), "{rows:?}");
}

#[test]
fn what_is_written_down_in_a_talk_is_drawn_from_its_budgets_and_is_no_request() {
    let mut world = with_budget(1_000_000);
    let rows = replay(&mut world, "openai/gpt-realtime", "openai.realtime.857ca4faf8");
    let paid: i64 = rows.iter().filter_map(|row| row.cost_nano).sum();
    world.report();
    let now = world.now;
    let ledger = world.ledger.as_mut().expect("a ledger");
    assert_eq!(ledger.standing("bud/key_test", now).expect("known").spent, paid);
    let limit = Limit { id: "l".into(), scope: Scope::key("*"), per: Some(Per::Minute), max: 1, ..Limit::default() };
    let mut world = World::with(Key { limits: vec![limit], ..Key::default() }, None);
    assert_eq!(replay(&mut world, "openai/gpt-realtime", "openai.realtime.857ca4faf8").len(), 2, "one request in all");
    let (status, _) = refused(open(&mut world, "openai/gpt-realtime", &[]).1);
    assert_eq!(status, 429, "and no other");
}

/// Who writes it down may have a name that no price list has: then that alone has no cost, or under a strict budget the
/// ceiling of calls whose price is unknown.
#[test]
fn a_transcriber_without_a_price_leaves_the_talk_its_own() {
    for (mut world, cost) in [(World::default(), None), (with_budget(1_000_000), Some(2 * 1_000_000))] {
        let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
        sent(step);
        begun(&mut world, id);
        let named = r#"{"type":"session.updated","session":{"input_audio_transcription":{"model":"house-whisper"}}}"#;
        let heard = r#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"type":"duration","seconds":3}}"#;
        for event in [named, heard, TURN, heard] {
            assert!(matches!(world.resume(id, Input::Chunk(event.as_bytes())), Step::Hold));
        }
        world.resume(id, Input::End);
        let rows = world.rows();
        assert_eq!((rows[0].cost_nano, rows[0].model.as_str()), (Some(COST), "gpt-realtime"));
        assert_eq!((rows[1].cost_nano, rows[1].model.as_str()), (cost, "house-whisper"));
    }
}

#[test]
fn what_cannot_be_a_talk_is_refused() {
    let mut world = World::default();
    for (path, headers, code) in [
        ("/v1/realtime?model=openai/gpt-realtime", &[][..], Some("upgrade_required")),
        ("/v1/realtime", &[("upgrade", "websocket")], Some("invalid_request")),
    ] {
        let (status, answer) = refused(world.connect(path, headers).1);
        assert_eq!((status, answer["error"]["code"].as_str()), (400, code), "{path}");
    }
    let (status, answer) = refused(open(&mut world, "anthropic/claude-sonnet-4-5", &[]).1);
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("endpoint_not_available")));
    let (id, step) = open(&mut world, "openai/gpt-realtime", &[]);
    sent(step);
    let (status, _) = refused(world.refuse(id, 404, &[], r#"{"error":{"message":"no such model"}}"#));
    assert_eq!(status, 404, "the provider did not take the socket");
}
