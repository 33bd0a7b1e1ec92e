//! Streams that die and go on elsewhere, of callers whose protocol numbers what it tells: Responses its events and items,
//! Converse its blocks, Cohere's Chat its contents. What comes behind the seam has to be numbered on.

use latchkey::gateway::{CallId, Input, Step};
use latchkey::keys::Key;
use latchkey::provider::Quirks;
use latchkey::wire::Format;
use serde_json::Value;

use crate::resume::{CONTINUE, PLAN, chunk, recorded, said as said_by_chat};
use crate::world::{World, json, sent};

const FALLBACKS: &str = r#"{"version":1,"fallbacks":{"openai/gpt-5":["mistral/mistral-large-latest"],
    "anthropic/claude-sonnet-4-5":["mistral/mistral-large-latest"],
    "bedrock/amazon.nova-lite-v1:0":["mistral/mistral-large-latest"],"cohere/command-a-03-2025":["mistral/mistral-large-latest"]}}"#;
const VARIABLES: &[(&str, &str)] = &[
    ("BEDROCK_API_KEY", "bedrock-secret"),
    ("AWS_REGION", "us-east-1"),
    ("COHERE_API_KEY", "cohere-secret"),
    ("MISTRAL_API_KEY", "m"),
];
const DONE: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

const RESPONSE: &str = include_str!("../fixtures/openai/openai.responses-stream.d1b433092b.json");
const SEARCHED: &str = include_str!("../fixtures/openai/openai.responses-stream.c8eb8c8486.json");
const CONVERSED: &str = include_str!("../fixtures/bedrock/bedrock.cache-stream.a6073f8780.json");
const COHERE: &str = include_str!("../fixtures/cohere/cohere.tools-stream.f94689d192.json");
const COHERE_THOUGHT: &str = include_str!("../fixtures/cohere/cohere.thinking-stream.5c8eed34d5.json");
const CLAUDE: &str = include_str!("../fixtures/anthropic/anthropic.chat-stream.db5b0211d6.json");

/// A caller of one protocol, and the stream that dies under them.
struct Caller {
    path: &'static str,
    body: &'static str,
    events: Vec<Vec<u8>>,
    /// What one event says.
    said: fn(&[u8]) -> String,
    /// What a whole stream says, if it is in order.
    told: fn(&[u8]) -> Told,
}

/// A stream as its caller has it.
struct Told {
    said: String,
    /// What its last event says of itself.
    latchkey: Value,
    output_tokens: Value,
    cost: Value,
}

fn responses() -> Caller {
    let body = r#"{"model":"openai/gpt-5","stream":true,"input":"What should I do next?"}"#;
    Caller { path: "/v1/responses", body, events: lines_of(RESPONSE), said: said_in_response, told: told_in_response }
}

fn converse() -> Caller {
    let path = "/model/bedrock%2Famazon.nova-lite-v1%3A0/converse-stream";
    let body = r#"{"messages":[{"role":"user","content":[{"text":"What should I do next?"}]}]}"#;
    let whole = bytes_of(CONVERSED);
    let events = messages_in(&whole).into_iter().map(|(_, _, raw)| raw).collect();
    Caller { path, body, events, said: said_in_conversation, told: told_in_conversation }
}

fn cohere() -> Caller {
    let body = r#"{"model":"cohere/command-a-03-2025","stream":true,"messages":[{"role":"user","content":"What should I do next?"}]}"#;
    Caller { path: "/v2/chat", body, events: lines_of(COHERE), said: said_in_cohere, told: told_in_cohere }
}

fn lines_of(fixture: &str) -> Vec<Vec<u8>> {
    recorded(fixture).into_iter().map(String::into_bytes).collect()
}

fn bytes_of(fixture: &str) -> Vec<u8> {
    use base64::Engine as _;
    let body = json(fixture.as_bytes())["response"]["body"].as_str().expect("a body").to_owned();
    base64::engine::general_purpose::STANDARD.decode(body).expect("base64")
}

/// The messages of an event stream: names, payloads, and their own bytes.
fn messages_in(bytes: &[u8]) -> Vec<(String, Value, Vec<u8>)> {
    let mut messages = Vec::new();
    let mut reader = Format::Bedrock.framing(&Quirks::NONE).reader(1 << 20);
    let read = reader.feed(bytes, &mut |frame| {
        let name = String::from_utf8_lossy(frame.event).into_owned();
        messages.push((name, json(&frame.data), frame.raw.to_vec()));
    });
    read.expect("messages");
    messages
}

/// The events of a server-sent stream.
fn data_in(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("text");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| json(data.as_bytes())).collect()
}

fn said_in_response(event: &[u8]) -> String {
    let deltas = data_in(event).into_iter().filter(|event| event["type"] == "response.output_text.delta");
    deltas.map(|event| event["delta"].as_str().expect("words").to_owned()).collect()
}

fn said_in_conversation(message: &[u8]) -> String {
    let deltas = messages_in(message).into_iter().map(|(_, event, _)| event["delta"]["text"].clone());
    deltas.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn said_in_cohere(event: &[u8]) -> String {
    let contents = data_in(event).into_iter().map(|event| event["delta"]["message"]["content"]["text"].clone());
    contents.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Reads a stream of Responses, whose events and items are numbered without a gap and told whole at the end.
fn told_in_response(bytes: &[u8]) -> Told {
    let events = data_in(bytes);
    let kind = |event: &Value| event["type"].as_str().expect("a type").to_owned();
    let ends = ["response.created", "response.completed"].map(|name| events.iter().filter(|e| kind(e) == name).count());
    assert_eq!(ends, [1, 1], "one beginning and one end");
    let end = events.last().expect("an end").clone();
    assert_eq!((kind(&events[0]), kind(&end)), ("response.created".to_owned(), "response.completed".to_owned()));
    assert_eq!(end["response"]["id"], events[0]["response"]["id"], "one answer has one id");
    let (mut added, mut done, mut said) = (Vec::new(), Vec::new(), String::new());
    let mut parts: Vec<(Value, String)> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        let at = event["output_index"].as_u64().and_then(|at| usize::try_from(at).ok());
        match kind(event).as_str() {
            "response.output_item.added" => {
                assert_eq!(at, Some(added.len()), "{event}");
                assert_eq!(added.len(), done.len(), "one item after another: {event}");
                added.push(event["item"]["id"].clone());
            }
            "response.output_item.done" => {
                assert_eq!(at, Some(done.len()), "{event}");
                done.push(event["item"].clone());
            }
            "response.content_part.added" => parts.push((event["item_id"].clone(), String::new())),
            "response.output_text.delta" => {
                let words = event["delta"].as_str().expect("words");
                said.push_str(words);
                let (item, part) = parts.last_mut().expect("a part");
                assert_eq!((&*item, Some(&*item)), (&event["item_id"], added.last()), "{event}");
                part.push_str(words);
            }
            "response.output_text.done" => assert_eq!(event["text"], parts.last().expect("a part").1, "{event}"),
            _ => {}
        }
    }
    assert_eq!(added, done.iter().map(|item| item["id"].clone()).collect::<Vec<_>>());
    assert_eq!(end["response"]["output"], Value::Array(done), "all is told again, as it was told");
    let usage = &end["response"]["usage"];
    let (latchkey, output_tokens) = (end["response"]["latchkey"].clone(), usage["output_tokens"].clone());
    Told { said, latchkey, output_tokens, cost: usage["cost"].clone() }
}

/// Reads a stream of Converse, whose blocks follow one another.
fn told_in_conversation(bytes: &[u8]) -> Told {
    let messages = messages_in(bytes);
    let names: Vec<&str> = messages.iter().map(|(name, _, _)| name.as_str()).filter(|name| *name != "ping").collect();
    assert_eq!(names.iter().filter(|name| matches!(**name, "messageStart" | "messageStop" | "metadata")).count(), 3);
    assert_eq!((names[0], &names[names.len() - 2..]), ("messageStart", &["messageStop", "metadata"][..]), "{names:?}");
    let (mut open, mut next, mut said) = (None, 0, String::new());
    for (name, event, _) in &messages {
        let index = event["contentBlockIndex"].as_u64();
        match name.as_str() {
            "contentBlockDelta" => {
                if open.is_none() {
                    assert_eq!(index, Some(next), "{event}");
                    (open, next) = (index, next + 1);
                }
                assert_eq!(open, index, "{event}");
                said.push_str(event["delta"]["text"].as_str().unwrap_or_default());
            }
            "contentBlockStop" => assert_eq!(open.take(), index, "{event}"),
            "messageStop" => assert_eq!((open, &event["stopReason"]), (None, &"end_turn".into())),
            _ => {}
        }
    }
    let (_, end, _) = messages.last().expect("messages");
    let usage = &end["usage"];
    let (latchkey, output_tokens) = (end["latchkey"].clone(), usage["outputTokens"].clone());
    Told { said, latchkey, output_tokens, cost: usage["cost"].clone() }
}

/// Reads a stream of Cohere's, whose contents follow one another.
fn told_in_cohere(bytes: &[u8]) -> Told {
    let events = data_in(bytes);
    assert!(bytes.ends_with(b"data: [DONE]\n\n"));
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"message-start"), Some(&"message-end")), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| matches!(**kind, "message-start" | "message-end")).count(), 2);
    let (mut open, mut next, mut said) = (None, 0, String::new());
    for event in &events {
        let index = event["index"].as_u64();
        match event["type"].as_str().expect("a type") {
            "content-start" => {
                assert_eq!((open, index), (None, Some(next)), "{event}");
                (open, next) = (index, next + 1);
            }
            "content-delta" => {
                assert_eq!(open, index, "{event}");
                said.push_str(event["delta"]["message"]["content"]["text"].as_str().unwrap_or_default());
            }
            "content-end" => assert_eq!(open.take(), index, "{event}"),
            _ => {}
        }
    }
    let end = events.last().expect("an end");
    assert_eq!((open, &end["delta"]["finish_reason"]), (None, &"COMPLETE".into()));
    let usage = &end["delta"]["usage"];
    let output_tokens = usage["tokens"]["output_tokens"].clone();
    Told { said, latchkey: end["latchkey"].clone(), output_tokens, cost: usage["cost"].clone() }
}

/// A stream that broke off behind `begun`; what was asked of the next target, and what the caller has.
fn broken_off(world: &mut World, caller: &Caller, begun: &[Vec<u8>]) -> (CallId, Value, Vec<u8>) {
    let (id, bytes) = streaming(world, caller, begun);
    let asked = json(&sent(world.resume(id, Input::Broken("connection lost"))).body);
    (id, asked, bytes)
}

fn streaming(world: &mut World, caller: &Caller, begun: &[Vec<u8>]) -> (CallId, Vec<u8>) {
    let (id, step) = world.send(caller.path, caller.body, CONTINUE);
    sent(step);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    let mut bytes = Vec::new();
    for piece in begun {
        match world.resume(id, Input::Chunk(piece)) {
            Step::Hold => {}
            Step::Commit { head, .. } => bytes.extend_from_slice(&head.body),
            Step::Write(more) => bytes.extend_from_slice(&more),
            step => panic!("unexpected {step:?}"),
        }
    }
    (id, bytes)
}

/// Has the next target say `stream`, to its end.
fn go_on(world: &mut World, id: CallId, stream: &[String], bytes: &mut Vec<u8>) {
    let mut steps = vec![world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]))];
    steps.extend(stream.iter().map(|piece| world.resume(id, Input::Chunk(piece.as_bytes()))));
    if world.gateway.is_under_way(id) {
        steps.push(world.resume(id, Input::End));
    }
    for step in steps {
        let (Step::Write(more) | Step::Finish(more)) = step else { panic!("unexpected {step:?}") };
        bytes.extend_from_slice(&more);
    }
}

/// What another target says, in pieces of a few characters.
fn chunks(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut stream: Vec<String> = characters.chunks(7).map(|piece| chunk(&piece.iter().collect::<String>())).collect();
    stream.push(DONE.to_owned());
    stream
}

fn world() -> World {
    World::of(Key::default(), FALLBACKS, VARIABLES)
}

/// Cuts the stream of `caller` everywhere, with continuations that begin at the cut, before it, and from the beginning.
fn goes_on_however_it_is_cut(caller: &Caller) {
    let whole: String = caller.events.iter().map(|event| (caller.said)(event)).collect();
    let speaks = |event: &Vec<u8>| !(caller.said)(event).is_empty();
    let first = caller.events.iter().position(speaks).expect("words") + 1;
    let last = caller.events.iter().rposition(speaks).expect("words");
    assert!(last - first > 10, "a stream that is worth cutting");
    for cut in (first..=last).step_by(3) {
        let begun: String = caller.events[..cut].iter().map(|event| (caller.said)(event)).collect();
        for back in [0, 12, 80, begun.len()] {
            // Less than eight bytes may be chance, and are said again.
            if back > begun.len() || (1..8).contains(&back) || !whole.is_char_boundary(begun.len() - back) {
                continue;
            }
            let mut world = world();
            let (id, asked, mut bytes) = broken_off(&mut world, caller, &caller.events[..cut]);
            assert_eq!(asked["messages"][1]["content"], begun, "the next target is told what was said");
            go_on(&mut world, id, &chunks(&whole[begun.len() - back..]), &mut bytes);
            let told = (caller.told)(&bytes);
            assert_eq!(told.said, whole, "cut before event {cut}, begun again {back} bytes before");
            let rows = world.rows();
            let [record, first] = &rows[..] else { panic!("{rows:?}") };
            assert_eq!((&told.latchkey["continued"], record.attempts, record.status), (&true.into(), 2, 200));
            assert_eq!(told.output_tokens, record.output_text + first.output_text, "what both said, once");
            let tried = json(record.tried.as_deref().expect("attempts").as_bytes());
            let costs: Option<Vec<f64>> =
                tried.as_array().expect("a list").iter().map(|one| one["cost"].as_f64()).collect();
            let sum = costs.map(|costs| costs.iter().sum::<f64>());
            assert!((sum.unwrap_or(0.0) - told.cost.as_f64().unwrap_or(0.0)).abs() < 1e-9, "{tried} {}", told.cost);
        }
    }
}

/// Has another recorded answer come behind a cut: nothing of either is lost or doubled.
fn goes_on_with_what_differs(caller: &Caller) {
    let other = recorded(PLAN);
    let differs = said_by_chat(&other.concat());
    let first = caller.events.iter().position(|event| !(caller.said)(event).is_empty()).expect("words") + 1;
    for cut in (first + 2..caller.events.len() - 6).step_by(5) {
        let mut world = world();
        let (id, _, mut bytes) = broken_off(&mut world, caller, &caller.events[..cut]);
        go_on(&mut world, id, &other, &mut bytes);
        let begun: String = caller.events[..cut].iter().map(|event| (caller.said)(event)).collect();
        assert_eq!((caller.told)(&bytes).said, format!("{begun}{differs}"), "cut before event {cut}");
    }
}

#[test]
fn responses_go_on_behind_their_own_events() {
    goes_on_however_it_is_cut(&responses());
    goes_on_with_what_differs(&responses());
}

#[test]
fn conversations_go_on_behind_their_own_messages() {
    goes_on_however_it_is_cut(&converse());
    goes_on_with_what_differs(&converse());
}

#[test]
fn coheres_contents_go_on_behind_their_own_events() {
    goes_on_however_it_is_cut(&cohere());
    goes_on_with_what_differs(&cohere());
}

#[test]
fn what_was_translated_goes_on_in_every_protocol() {
    for caller in [responses(), converse(), cohere()] {
        let body = caller.body.replace("openai/gpt-5", "anthropic/claude-sonnet-4-5");
        let body: &'static str = body.replace("cohere/command-a-03-2025", "anthropic/claude-sonnet-4-5").leak();
        let path: &'static str =
            caller.path.replace("bedrock%2Famazon.nova-lite-v1%3A0", "anthropic%2Fclaude-sonnet-4-5").leak();
        let said = |event: &[u8]| {
            let words = data_in(event).into_iter().map(|event| event["delta"]["text"].clone());
            words.filter_map(|text| text.as_str().map(str::to_owned)).collect::<String>()
        };
        let caller = Caller { path, body, events: lines_of(CLAUDE), said, told: caller.told };
        goes_on_however_it_is_cut(&caller);
        goes_on_with_what_differs(&caller);
    }
}

#[test]
fn items_that_nobody_here_models_keep_their_numbers_and_are_told_again() {
    let caller = Caller { events: lines_of(SEARCHED), ..responses() };
    let whole: String = caller.events.iter().map(|event| (caller.said)(event)).collect();
    let first = caller.events.iter().position(|event| !(caller.said)(event).is_empty()).expect("words") + 1;
    let mut world = world();
    let (id, _, mut bytes) = broken_off(&mut world, &caller, &caller.events[..first + 3]);
    let begun: String = caller.events[..first + 3].iter().map(|event| (caller.said)(event)).collect();
    go_on(&mut world, id, &chunks(&whole[begun.len()..]), &mut bytes);
    assert_eq!(told_in_response(&bytes).said, whole);
    let end = data_in(&bytes).pop().expect("an end");
    let items = end["response"]["output"].as_array().expect("items").clone();
    assert_eq!(items.iter().filter(|item| item["type"] == "web_search_call").count(), 5);
    assert_eq!(items.iter().filter(|item| item["type"] == "message").count(), 1, "one message holds both halves");
}

#[test]
fn a_thought_that_nobody_can_go_on_with_is_ended_first() {
    let pieces = [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5","output":[]}}"#,
        r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}"#,
        r#"{"type":"response.reasoning_summary_part.added","sequence_number":2,"item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}"#,
        r#"{"type":"response.reasoning_summary_text.delta","sequence_number":3,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"Hm"}"#,
    ];
    let events = pieces.map(|piece| format!("data: {piece}\n\n").into_bytes()).to_vec();
    let caller = Caller { events, ..responses() };
    let mut world = world();
    let (id, _, mut bytes) = broken_off(&mut world, &caller, &caller.events);
    go_on(&mut world, id, &chunks("Begun anew"), &mut bytes);
    assert_eq!(told_in_response(&bytes).said, "Begun anew");
    let end = data_in(&bytes).pop().expect("an end");
    assert_eq!(end["response"]["output"][0]["summary"][0]["text"], "Hm", "{end}");

    let events = lines_of(COHERE_THOUGHT);
    let thought =
        events.iter().position(|event| event.windows(10).any(|word| word == b"\"thinking\"")).expect("a thought");
    let caller = Caller { events: events[..thought + 6].to_vec(), ..cohere() };
    let mut world = self::world();
    let (id, _, mut bytes) = broken_off(&mut world, &caller, &caller.events);
    go_on(&mut world, id, &chunks("Begun anew"), &mut bytes);
    assert_eq!(told_in_cohere(&bytes).said, "Begun anew");
}

#[test]
fn events_that_are_numbered_like_no_answer_end_truly() {
    let pieces = [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5","output":[]}}"#,
        r#"{"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","output_index":7,"content_index":0,"delta":"Hello"}"#,
    ];
    let events = pieces.map(|piece| format!("data: {piece}\n\n").into_bytes()).to_vec();
    ends_truly(&Caller { events, ..responses() });
}

#[test]
fn calls_and_json_are_never_gone_on_with() {
    let calls = include_str!("../fixtures/openai/openai.responses-stream.88ec630305.json");
    let until = |events: &[Vec<u8>], word: &[u8]| {
        events.iter().position(|event| event.windows(word.len()).any(|part| part == word)).expect("a call") + 1
    };
    let events = lines_of(calls);
    ends_truly(&Caller { events: events[..until(&events, b"arguments.delta")].to_vec(), ..responses() });

    let called = bytes_of(include_str!("../fixtures/bedrock/bedrock.tools-stream.b7c20e63d4.json"));
    let events: Vec<Vec<u8>> = messages_in(&called).into_iter().map(|(_, _, raw)| raw).collect();
    ends_truly(&Caller { events: events[..until(&events, b"toolUseId")].to_vec(), ..converse() });

    let events = lines_of(include_str!("../fixtures/cohere/cohere.tools-stream.aacbbff9e4.json"));
    ends_truly(&Caller { events: events[..until(&events, b"tool-call-start")].to_vec(), ..cohere() });

    let shaped = r#"{"model":"openai/gpt-5","stream":true,"input":"Hi","text":{"format":{"type":"json_object"}}}"#;
    let whole = responses().events;
    ends_truly(&Caller { body: shaped, events: whole[..whole.len() / 2].to_vec(), ..responses() });
}

/// The stream of `caller` dies, and nobody is asked to go on.
fn ends_truly(caller: &Caller) {
    let mut world = world();
    let (id, _) = streaming(&mut world, caller, &caller.events);
    let Step::Finish(bytes) = world.resume(id, Input::Broken("gone")) else { panic!("not over") };
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("rror") || text.contains("xception"), "{text}");
    assert!(!text.contains("response.completed") && !text.contains("metadata"), "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
    let record = world.only_record();
    assert!(record.input_fresh > 0 && record.error.is_some(), "what was asked is paid: {record:?}");
}
