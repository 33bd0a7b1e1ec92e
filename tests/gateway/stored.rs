//! Responses that are stored for their caller, and conversations that go on from them, on every format.

use latchkey::gateway::{CallId, Input, MOST_TURNS, Step, StoredFound, StoredResponse, StoredWanted};
use latchkey::keys::{Key, Secrets, Sharing, StoreResponses, mint};
use latchkey::units::UnixMillis;
use serde_json::{Value, json};

use crate::world::{World, dollar, header, json as read, refused, sent};

const SPOKEN: &str = r#"{"id":"resp_up","object":"response","created_at":1,"status":"completed","model":"gpt-5","store":false,"previous_response_id":null,"output":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi!","annotations":[]}]}],"usage":{"input_tokens":10,"output_tokens":2,"total_tokens":12}}"#;
const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"thinking","thinking":"hm","signature":"EqQB"},{"type":"text","text":"Hi!"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"output_tokens":3}}"#;
const STREAMED: [&str; 5] = [
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_up\",\"status\":\"in_progress\",\"store\":false,\"output\":[]}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":2,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hey\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":3,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hey\",\"annotations\":[]}]}}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":4,\"response\":{\"id\":\"resp_up\",\"object\":\"response\",\"created_at\":1,\"status\":\"completed\",\"model\":\"gpt-5\",\"output\":[{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hey\",\"annotations\":[]}]}],\"usage\":{\"input_tokens\":10,\"output_tokens\":2,\"total_tokens\":12}}}\n\n",
];

fn keeping(shared_by: Sharing) -> Key {
    Key { store_responses: Some(StoreResponses { days: 30, shared_by }), ..Key::default() }
}

fn world() -> World {
    World::with(keeping(Sharing::Key), None)
}

fn turn(model: &str, words: &str, previous: Option<&str>, more: Value) -> String {
    let mut body = json!({"model": model, "input": words});
    if let Some(previous) = previous {
        body["previous_response_id"] = json!(previous);
    }
    for (key, value) in more.as_object().expect("members") {
        body[key] = value.clone();
    }
    body.to_string()
}

/// What the database does.
fn find(rows: &[StoredResponse], wanted: &StoredWanted) -> StoredFound {
    let owned = |row: &&StoredResponse| {
        row.key_id == wanted.key_id || (wanted.team_id.is_some() && row.team_id == wanted.team_id)
    };
    let holds = |row: &&StoredResponse| {
        let output = read(row.response.as_bytes())["output"].as_array().cloned().unwrap_or_default();
        output.iter().any(|item| wanted.items.iter().any(|id| item["id"] == *id))
    };
    let holders = rows.iter().rev().filter(owned).filter(holds).cloned().collect();
    let (mut turns, mut next): (Vec<StoredResponse>, _) = (Vec::new(), Some(wanted.id.clone()));
    while let Some(id) = next.take() {
        let Some(row) = rows.iter().find(|row| row.id == id).filter(owned) else { break };
        next = row.previous.clone().filter(|_| turns.len() < wanted.before);
        turns.push(row.clone());
    }
    StoredFound { turns, holders, too_large: false }
}

/// Moves what waits into the database, and answers what is asked of it.
fn from(rows: &mut Vec<StoredResponse>, world: &mut World, (id, step): (CallId, Step)) -> (CallId, Step) {
    write(rows, world);
    let Step::FindResponses(wanted) = step else { return (id, step) };
    let found = find(rows, &wanted);
    if wanted.delete {
        rows.retain(|row| !found.turns.contains(row));
    }
    let step = world.resume(id, Input::Responses(Ok(found)));
    (id, step)
}

fn write(rows: &mut Vec<StoredResponse>, world: &mut World) {
    let begun = world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4));
    rows.extend(begun.iter().map(|response| StoredResponse::clone(response)));
    world.gateway.unwritten.end(&begun, true);
}

fn input_of(step: Step) -> Value {
    read(&sent(step).body)["input"].clone()
}

/// Takes another key of the same gateway.
fn other_key(world: &mut World, team: Option<&str>, sharing: Sharing) {
    let secrets = Secrets::from_environment(Some("a secret that is only for tests"), None, None).expect("a secret");
    world.key = mint(&secrets, [8; 32]).text.expose().to_owned();
    let key = Key { id: "key_other".to_owned(), team_id: team.map(str::to_owned), ..keeping(sharing) };
    world.grant = latchkey::keys::Grant::new(key);
}

#[test]
fn three_turns_on_a_provider_that_speaks_it() {
    let (mut world, mut rows) = (world(), Vec::new());
    let first = turn("openai/gpt-5", "one", None, json!({"instructions": "Be brief.", "store": true}));
    let (id, step) = world.post("/v1/responses", &first);
    let request = read(&sent(step).body);
    assert_eq!(
        (&request["input"], &request["store"]),
        (&json!("one"), &json!(false)),
        "nothing is kept at the provider"
    );
    let response = world.answer(id, 200, &[], SPOKEN);
    assert_eq!(header(&response, "x-latchkey-adjusted"), None);
    let one = read(&response.body);
    assert_eq!((&one["store"], &one["previous_response_id"]), (&json!(true), &Value::Null));
    let first_id = one["id"].as_str().expect("an id").to_owned();
    assert_ne!(first_id, "resp_up", "ids of ours are nobody else's");
    write(&mut rows, &mut world);

    let next = world.post("/v1/responses", &turn("openai/gpt-5", "two", Some(&first_id), json!({"stream": true})));
    let (id, step) = from(&mut rows, &mut world, next);
    let request = read(&sent(step).body);
    assert_eq!((request.get("previous_response_id"), request.get("instructions")), (None, None));
    let kinds = |input: &Value| -> Vec<String> {
        let items = input.as_array().expect("items").iter();
        items.map(|item| item["content"][0]["text"].as_str().unwrap_or("(thought)").to_owned()).collect()
    };
    assert_eq!(kinds(&request["input"]), ["one", "(thought)", "Hi!", "two"]);
    assert_eq!(request["input"][1]["encrypted_content"], "gAAA");
    let streamed = world.stream(id, &STREAMED.map(str::as_bytes), Input::End);
    let events: Vec<Value> = streamed
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| read(data.as_bytes()))
        .collect();
    let second_id = events[0]["response"]["id"].as_str().expect("an id").to_owned();
    let last = &events.last().expect("events")["response"];
    assert_eq!((&last["id"], &last["previous_response_id"]), (&json!(second_id), &json!(first_id)));
    assert_eq!(last["store"], json!(true));

    // The last turn is in this isolate still, and the one before it in the database.
    let third = world.post("/v1/responses", &turn("openai/gpt-5", "three", Some(&second_id), json!({})));
    let (id, step) = third;
    let Step::FindResponses(wanted) = step else { panic!("{step:?}") };
    assert_eq!(wanted.id, first_id);
    let step = world.resume(id, Input::Responses(Ok(find(&rows, &wanted))));
    assert_eq!(kinds(&input_of(step)), ["one", "(thought)", "Hi!", "two", "Hey", "three"]);
    let three = read(&world.answer(id, 200, &[], SPOKEN).body);
    rows.clear();
    let begun = world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4));
    world.gateway.unwritten.end(&begun, false);
    write(&mut rows, &mut world);
    assert_eq!(rows.len(), 2, "what could not be written is tried again: {rows:?}");
    let kept_until = UnixMillis(rows[1].at.0 + 30 * 86_400_000);
    assert_eq!((rows[1].expires_at, &rows[1].previous), (kept_until, &Some(second_id)));
    assert_eq!(read(rows[1].response.as_bytes()), three, "as its caller got it");
}

#[test]
fn it_goes_on_where_nothing_of_it_is_known_with_signatures() {
    let (mut world, mut rows) = (world(), Vec::new());
    let model = "anthropic/claude-sonnet-4-5";
    let thinks = json!({"reasoning": {"effort": "low", "summary": "auto"}});
    let (id, step) = world.post("/v1/responses", &turn(model, "one", None, thinks.clone()));
    sent(step);
    let one = read(&world.answer(id, 200, &[], CLAUDE).body);
    assert_eq!((&one["store"], &one["previous_response_id"]), (&json!(true), &Value::Null), "kept unless it says not");
    let next = world.post("/v1/responses", &turn(model, "two", one["id"].as_str(), thinks));
    let (id, step) = from(&mut rows, &mut world, next);
    let messages = read(&sent(step).body)["messages"].clone();
    let said: Vec<&Value> = messages.as_array().expect("turns").iter().map(|message| &message["role"]).collect();
    assert_eq!(said, ["user", "assistant", "user"]);
    assert_eq!(messages[1]["content"][0], json!({"type": "thinking", "thinking": "hm", "signature": "EqQB"}));
    let two = read(&world.answer(id, 200, &[], CLAUDE).body);
    assert_eq!(two["previous_response_id"], one["id"]);
    // Another model gets the words, and is told that the thoughts were not for it.
    let next = world.post("/v1/responses", &turn("openai/gpt-5", "three", two["id"].as_str(), json!({"store": false})));
    let (id, step) = from(&mut rows, &mut world, next);
    assert_eq!(input_of(step).as_array().map(Vec::len), Some(5), "three said here, two there, no thought");
    let response = world.answer(id, 200, &[], SPOKEN);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("reasoning=dropped"));
    let three = read(&response.body);
    assert_eq!((&three["store"], &three["previous_response_id"]), (&json!(false), &two["id"]));
    assert!(world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4)).is_empty(), "what is not to be stored is not");
}

#[test]
fn items_are_pointed_at_by_their_ids() {
    let (mut world, mut rows) = (world(), Vec::new());
    let claude = "anthropic/claude-sonnet-4-5";
    let thinks = json!({"reasoning": {"effort": "low", "summary": "auto"}});
    let mut ids: Vec<Vec<Value>> = Vec::new();
    for (model, answer) in [("openai/gpt-5", SPOKEN), (claude, CLAUDE)] {
        let (id, step) = world.post("/v1/responses", &turn(model, "one", None, thinks.clone()));
        sent(step);
        let output = read(&world.answer(id, 200, &[], answer).body)["output"].clone();
        ids.push(output.as_array().expect("items").iter().map(|item| item["id"].clone()).collect());
        if rows.is_empty() {
            write(&mut rows, &mut world);
        }
    }
    // The first answer is in the database, the second in this isolate still.
    let points =
        |ids: &[Value]| -> Vec<Value> { ids.iter().map(|id| json!({"type": "item_reference", "id": id})).collect() };
    let say = |words: &str| json!({"role": "user", "content": words});
    let input =
        [vec![say("one")], points(&ids[1]), vec![say("two")], points(&ids[0][1..]), vec![say("three")]].concat();
    let post = |world: &mut World, body: Value| world.post("/v1/responses", &body.to_string());
    let next = post(&mut world, json!({"model": claude, "input": input, "reasoning": {"effort": "low"}}));
    let Step::FindResponses(wanted) = &next.1 else { panic!("{:?}", next.1) };
    assert_eq!((wanted.id.as_str(), &wanted.items), ("", &vec!["msg_1".to_owned()]), "{ids:?}");
    let (id, step) = from(&mut rows, &mut world, next);
    let messages = read(&sent(step).body)["messages"].clone();
    assert_eq!(messages[1]["content"][0], json!({"type": "thinking", "thinking": "hm", "signature": "EqQB"}));
    let said: Vec<&Value> = messages.as_array().expect("turns").iter().map(|message| &message["role"]).collect();
    assert_eq!(said, ["user", "assistant", "user", "assistant", "user"]);
    let kept = read(&world.answer(id, 200, &[], CLAUDE).body);
    // What was pointed at is kept with the turn, as if it had been said.
    let next = post(&mut world, json!({"model": "openai/gpt-5", "input": "four", "previous_response_id": kept["id"]}));
    let (_, step) = from(&mut rows, &mut world, next);
    let input = input_of(step);
    assert_eq!(input.as_array().map(Vec::len), Some(7), "no thoughts of another's, and no references: {input}");
    assert!(!input.to_string().contains("item_reference"), "{input}");
    // Both together.
    let body = json!({"model": "openai/gpt-5", "input": points(&ids[0]), "previous_response_id": kept["id"]});
    let next = post(&mut world, body);
    let (_, step) = from(&mut rows, &mut world, next);
    assert_eq!(input_of(step).as_array().map(Vec::len), Some(8));

    let missing = json!({"model": claude, "input": [say("one"), {"type": "item_reference", "id": "msg_9"}]});
    let next = post(&mut world, missing.clone());
    let (status, body) = refused(from(&mut rows, &mut world, next).1);
    assert_eq!(
        (status, &body["error"]["param"], &body["error"]["code"]),
        (400, &json!("input.1"), &json!("item_not_found"))
    );
    // Another key's items are like those that are not there.
    let own = json!({"model": claude, "input": [{"type": "item_reference", "id": ids[1][0]}]});
    other_key(&mut world, None, Sharing::Key);
    world.gateway.forget_grants();
    let next = post(&mut world, own);
    let (status, body) = refused(from(&mut rows, &mut world, next).1);
    assert_eq!((status, &body["error"]["code"]), (400, &json!("item_not_found")));
}

#[test]
fn a_response_can_be_read_listed_and_deleted() {
    let (mut world, mut rows) = (world(), Vec::new());
    let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({})));
    sent(step);
    let one = read(&world.answer(id, 200, &[], SPOKEN).body);
    let path = format!("/v1/responses/{}", one["id"].as_str().expect("an id"));
    // Before the database has it, and after.
    assert_eq!(refused(world.get(&path)), (200, one.clone()));
    let next = world.post("/v1/responses", &turn("openai/gpt-5", "two", one["id"].as_str(), json!({})));
    let (id, step) = from(&mut rows, &mut world, next);
    sent(step);
    let two = read(&world.answer(id, 200, &[], SPOKEN).body);
    let mut ask = |world: &mut World, method: &str, path: &str| {
        let asked = world.request(method, path);
        refused(from(&mut rows, world, asked).1)
    };
    assert_eq!(ask(&mut world, "GET", &path), (200, one.clone()));
    let second = format!("/v1/responses/{}", two["id"].as_str().expect("an id"));
    let (status, items) = ask(&mut world, "GET", &format!("{second}/input_items?order=asc&limit=3"));
    assert_eq!((status, &items["has_more"], items["data"].as_array().map(Vec::len)), (200, &json!(true), Some(3)));
    assert_eq!(items["data"][0]["content"][0]["text"], "one");
    for (query, param) in [("limit=0", "limit"), ("order=up", "order")] {
        let (status, body) = ask(&mut world, "GET", &format!("{second}/input_items?{query}"));
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)));
    }
    let (status, body) = ask(&mut world, "GET", &format!("{second}?stream=true"));
    assert_eq!((status, &body["error"]["param"]), (400, &json!("stream")));

    let deleted = json!({"id": one["id"], "object": "response", "deleted": true});
    assert_eq!(ask(&mut world, "DELETE", &path), (200, deleted));
    for method in ["GET", "DELETE"] {
        let (status, body) = ask(&mut world, method, &path);
        assert_eq!((status, &body["error"]["code"]), (404, &json!("response_not_found")), "{method}");
    }
    let (_, step) = world.post("/v1/responses", &turn("openai/gpt-5", "three", two["id"].as_str(), json!({})));
    let Step::FindResponses(wanted) = step else { panic!("{step:?}") };
    assert_eq!(find(&rows, &wanted).turns.len(), 1);
    let next = world.post("/v1/responses", &turn("openai/gpt-5", "three", two["id"].as_str(), json!({})));
    let (status, body) = refused(from(&mut rows, &mut world, next).1);
    assert_eq!((status, &body["error"]["code"]), (400, &json!("previous_response_not_found")));
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.contains(one["id"].as_str().expect("an id")), "it says which is gone: {message}");
    assert!(!message.contains("  "), "{message}");
}

#[test]
fn what_is_deleted_while_it_is_written_is_deleted_after_all() {
    let mut world = world();
    let mut answered = || {
        let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({})));
        sent(step);
        read(&world.answer(id, 200, &[], SPOKEN).body)["id"].as_str().expect("an id").to_owned()
    };
    let (waiting, on_its_way) = (answered(), answered());
    let delete = |world: &mut World, id: &str| refused(world.request("DELETE", &format!("/v1/responses/{id}")).1).0;
    assert_eq!(delete(&mut world, &waiting), 200);
    let begun = world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4));
    assert_eq!(begun.len(), 1, "what waits is not written any more");
    assert_eq!(delete(&mut world, &on_its_way), 200);
    let gone = world.gateway.unwritten.end(&begun, true);
    assert_eq!(gone.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), [on_its_way]);
    for _ in 0..3 {
        assert!(world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4)).is_empty());
    }
}

#[test]
fn a_response_that_nobody_comes_to_write_is_given_up() {
    let mut world = world();
    let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({})));
    sent(step);
    world.answer(id, 200, &[], SPOKEN);
    // Whoever begins is cut off each time.
    let tries = (1..10).filter(|minute| !world.gateway.unwritten.begin(UnixMillis(minute * 60_000)).is_empty());
    assert_eq!(tries.count(), 3);
}

#[test]
fn a_foreign_response_is_like_one_that_is_not_there() {
    let (mut world, mut rows) = (world(), Vec::new());
    let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({})));
    sent(step);
    let known = read(&world.answer(id, 200, &[], SPOKEN).body)["id"].as_str().expect("an id").to_owned();
    let unknown = format!("resp_{}", "0".repeat(32));
    other_key(&mut world, None, Sharing::Key);
    for is_written in [false, true] {
        if is_written {
            write(&mut rows, &mut world);
        }
        let answers = [&known, &unknown].map(|name| {
            let tries = [("GET", ""), ("GET", "/input_items"), ("DELETE", "")];
            let mut told: Vec<(u16, String)> = Vec::new();
            for (method, tail) in tries {
                let (id, step) = world.request(method, &format!("/v1/responses/{name}{tail}"));
                let Step::FindResponses(wanted) = step else { panic!("{step:?}") };
                let step = world.resume(id, Input::Responses(Ok(find(&rows, &wanted))));
                let (status, body) = refused(step);
                told.push((status, body.to_string()));
            }
            let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "two", Some(name), json!({})));
            let Step::FindResponses(wanted) = step else { panic!("{step:?}") };
            let (status, body) = refused(world.resume(id, Input::Responses(Ok(find(&rows, &wanted)))));
            told.push((status, body.to_string().replace(name.as_str(), "…")));
            told
        });
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].iter().map(|(status, _)| *status).collect::<Vec<_>>(), [404, 404, 404, 400]);
    }
}

#[test]
fn a_team_shares_its_responses_where_both_keys_say_so() {
    let mut world = World::with(Key { team_id: Some("team_1".into()), ..keeping(Sharing::Team) }, None);
    let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({})));
    sent(step);
    let known = read(&world.answer(id, 200, &[], SPOKEN).body)["id"].as_str().expect("an id").to_owned();
    let read_by = |world: &mut World| matches!(world.get(&format!("/v1/responses/{known}")), Step::Respond(found) if found.status == 200);
    for (team, sharing, may) in [
        (Some("team_1"), Sharing::Team, true),
        (Some("team_1"), Sharing::Key, false),
        (Some("team_2"), Sharing::Team, false),
        (None, Sharing::Team, false),
    ] {
        other_key(&mut world, team, sharing);
        world.gateway.forget_grants();
        assert_eq!(read_by(&mut world), may, "{team:?} {sharing:?}");
    }
}

#[test]
fn without_the_policy_nothing_is_kept_and_nothing_goes_on() {
    let mut world = World::default();
    let (id, step) =
        world.post("/v1/responses", &turn("anthropic/claude-sonnet-4-5", "one", None, json!({"store": true})));
    sent(step);
    let response = world.answer(id, 200, &[], CLAUDE);
    assert_eq!(header(&response, "x-latchkey-adjusted"), Some("store=dropped"));
    assert_eq!(read(&response.body)["store"], json!(false));
    assert!(world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4)).is_empty());
    let (status, body) =
        refused(world.post("/v1/responses", &turn("openai/gpt-5", "two", Some("resp_1"), json!({}))).1);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("previous_response_id")));
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("store_responses")), "{body}");
}

#[test]
fn what_a_caller_wants_forgotten_is_not_kept() {
    for (store, kept) in [(json!(false), 0), (json!(true), 1), (Value::Null, 1)] {
        let mut world = world();
        let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({"store": store})));
        sent(step);
        let told = read(&world.answer(id, 200, &[], SPOKEN).body);
        assert_eq!(told["store"], json!(kept == 1), "{store}");
        assert_eq!(world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4)).len(), kept, "{store}");
    }
}

#[test]
fn conversations_have_bounds_and_failed_turns_lead_nowhere() {
    let mut world = World::with(
        keeping(Sharing::Key),
        Some(r#"{"version":1,"failover":{"enabled":false},"health":{"enabled":false},"limits":{"body_bytes":4096}}"#),
    );
    let row = |number: usize, status: &str, words: usize| StoredResponse {
        id: format!("resp_{number}"),
        key_id: "key_test".to_owned(),
        team_id: None,
        at: UnixMillis(0),
        expires_at: UnixMillis(i64::MAX),
        previous: (number > 0).then(|| format!("resp_{}", number - 1)),
        input: "[]".to_owned(),
        response: json!({"status": status, "output": [{"role": "assistant", "content": "a".repeat(words)}]})
            .to_string(),
    };
    let mut go_on = |found: Result<StoredFound, String>| {
        let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "two", Some("resp_1"), json!({})));
        assert!(matches!(step, Step::FindResponses(_)), "{step:?}");
        let (status, body) = refused(world.resume(id, Input::Responses(found)));
        (status, body["error"]["param"].as_str().unwrap_or_default().to_owned(), body["error"]["code"].clone())
    };
    let all = |turns: Vec<StoredResponse>| Ok(StoredFound { turns, ..StoredFound::default() });
    let about = |status: u16, code: &str| (status, "previous_response_id".to_owned(), json!(code));
    assert_eq!(go_on(all(vec![row(0, "failed", 1)])), about(400, "invalid_request"));
    assert_eq!(go_on(all(vec![row(0, "completed", 5000)])), about(413, "request_too_large"));
    let long: Vec<StoredResponse> = (0..=MOST_TURNS).rev().map(|number| row(number, "completed", 1)).collect();
    assert_eq!(go_on(all(long)), about(413, "request_too_large"));
    assert_eq!(
        go_on(Ok(StoredFound { turns: vec![row(0, "completed", 1)], too_large: true, ..StoredFound::default() })),
        about(413, "request_too_large")
    );
    assert_eq!(go_on(all(vec![row(7, "completed", 1)])), about(400, "previous_response_not_found"));
    assert_eq!(go_on(Err("away".to_owned())).0, 503);
    // One that was cut at its output limit is no failure.
    let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "two", Some("resp_0"), json!({})));
    assert!(matches!(step, Step::FindResponses(_)), "{step:?}");
    let found = Ok(StoredFound { turns: vec![row(0, "incomplete", 1)], ..StoredFound::default() });
    assert_eq!(input_of(world.resume(id, Input::Responses(found))).as_array().map(Vec::len), Some(2));
}

#[test]
fn a_strict_budget_knows_what_a_stored_conversation_costs() {
    let budget = dollar();
    let mut world = World::with(Key { budgets: vec![budget], ..keeping(Sharing::Key) }, None);
    let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({"max_output_tokens": 50})));
    sent(step);
    let one = read(&world.answer(id, 200, &[], SPOKEN).body);
    let more = json!({"max_output_tokens": 50});
    let (_, step) = world.post("/v1/responses", &turn("openai/gpt-5", "two", one["id"].as_str(), more));
    let input = input_of(step);
    assert_eq!(input.as_array().map(Vec::len), Some(4), "not refused as `cost_unbounded`: {input}");
}

#[test]
fn a_stream_that_fails_is_kept_as_failed() {
    let mut world = world();
    let (id, step) = world.post("/v1/responses", &turn("openai/gpt-5", "one", None, json!({"stream": true})));
    sent(step);
    let pieces: Vec<&[u8]> = STREAMED.iter().take(3).map(|piece| piece.as_bytes()).collect();
    let streamed = world.stream(id, &pieces, Input::Broken("reset"));
    assert!(streamed.text.contains("response.failed"), "{}", streamed.text);
    let kept = world.gateway.unwritten.begin(UnixMillis(i64::MAX / 4));
    let response = read(kept[0].response.as_bytes());
    assert_eq!((kept.len(), &response["status"], &response["id"]), (1, &json!("failed"), &json!(kept[0].id)));
}
