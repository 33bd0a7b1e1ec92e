//! What a model signed, on its way through a client: it comes back to that model alone, and what was changed on the way,
//! or belongs elsewhere, is left out and said to be.

use latchkey::keys::Key;
use latchkey::wire::{Format, Surface};
use serde_json::{Value, json};

use super::caller::{Ask, CALLERS, Caller};
use super::schema;
use super::upstream::{self, SIGNATURE, Say};
use super::world::{World, header, json as parse, sent};

const CALL: Say = Say { thought: true, text: "", calls: &["sky"], end: upstream::End::Stop };
const ASK: Ask = Ask { stream: false, tools: true, thinks: true, schema: false, most: None, stop: false };
const SIGNERS: [Format; 4] = [Format::OpenAiResponses, Format::Anthropic, Format::Gemini, Format::Bedrock];

/// Providers `up` and `down`, who speak `formats`; `down` has models that want calls signed.
fn world(formats: [Format; 2]) -> World {
    let provider =
        |format: Format| json!({"base_url": "https://up.example", "auth": "none", "format": format.as_str()});
    let can = json!({"capabilities": ["tools", "parallel_tools", "reasoning", "system"]});
    let document = json!({"version": 1, "failover": {"enabled": false}, "health": {"enabled": false},
        "providers": {"up": provider(formats[0]), "down": provider(formats[1])},
        "models": {"up/m": can, "down/m": can, "up/n": can, "down/gemini-3-flash-preview": can}});
    World::with(Key::default(), Some(&document.to_string()))
}

/// The conversation so far, sent to `model`: the request as it is sent, and what was adjusted.
fn go_on(world: &mut World, caller: &dyn Caller, format: Format, model: &str, turns: &[Value]) -> (Value, String) {
    let (path, mut body) = caller.request(&ASK, turns);
    if body["model"].is_string() {
        body["model"] = json!(model);
    }
    let path = path.replace("up%2Fm", &model.replace('/', "%2F")).replace("up/m", model);
    let (id, step) = world.post(&path, &body.to_string());
    let outbound = sent(step);
    let say = Say { text: "Blue.", ..Say::default() };
    let response = world.answer(id, 200, &[], &upstream::plain(format, &say));
    (parse(&outbound.body), header(&response, "x-latchkey-adjusted").unwrap_or_default().to_owned())
}

/// A turn with a thought and a call, made by `up/m`, and its result.
fn first_turn(world: &mut World, caller: &dyn Caller, format: Format) -> Vec<Value> {
    let mut turns = vec![caller.question("What colour?", false)];
    let (path, body) = caller.request(&ASK, &turns);
    let (id, step) = world.post(&path, &body.to_string());
    let outbound = sent(step);
    schema::check(format, &outbound.url, false, &parse(&outbound.body)).expect("the provider's own request");
    let answer = parse(&world.answer(id, 200, &[], &upstream::plain(format, &CALL)).body);
    let seen = caller.read(&answer);
    caller.next(&answer, &seen, &mut turns);
    turns
}

/// Whether a surface's own fields hold what this format's models sign, as it is.
fn is_native(surface: Surface, format: Format) -> bool {
    let claude = [Format::Anthropic, Format::Bedrock];
    surface.format() == format || (claude.contains(&surface.format()) && claude.contains(&format))
}

/// Whoever reads what another protocol's models sign. Chat Completions has the name of theirs beside it.
fn wrapping() -> impl Iterator<Item = (&'static dyn Caller, Format)> {
    let all = CALLERS.into_iter().flat_map(|caller| SIGNERS.map(|format| (caller, format)));
    all.filter(|(caller, format)| !is_native(caller.surface(), *format))
}

#[test]
fn a_signature_goes_back_to_its_maker_alone() {
    for (caller, format) in wrapping() {
        let name = format!("{} to {}", caller.name(), format.as_str());
        let mut world = world([format, format]);
        let turns = first_turn(&mut world, caller, format);
        let wrapped = json!(turns).to_string().contains(latchkey::wire::carried::MARK);
        assert!(wrapped, "{name}: it stands where the surface's own do");
        let (body, adjusted) = go_on(&mut world, caller, format, "up/m", &turns);
        assert!(
            body.to_string().contains(SIGNATURE) && !adjusted.contains("reasoning_details"),
            "{name}: {adjusted}, {body}"
        );
        // The same provider's other models, and the same model elsewhere.
        for model in ["up/n", "down/m"] {
            let (body, adjusted) = go_on(&mut world, caller, format, model, &turns);
            assert!(!body.to_string().contains(SIGNATURE), "{name}: {body}");
            assert!(adjusted.contains("reasoning_details=dropped"), "{name}: {adjusted:?}");
        }
    }
}

#[test]
fn a_signature_that_was_changed_on_the_way_is_left_out() {
    for (caller, format) in wrapping() {
        let name = format!("{} to {}", caller.name(), format.as_str());
        let mut world = world([format, format]);
        let turns = first_turn(&mut world, caller, format);
        let written = json!(turns).to_string();
        let mark = latchkey::wire::carried::MARK;
        let at = written.find(mark).unwrap_or_else(|| panic!("{name}: {written}")) + mark.len() + 3;
        let other = if written[at..].starts_with('A') { "B" } else { "A" };
        let forged = format!("{}{other}{}", &written[..at], &written[at + 1..]);
        let forged: Vec<Value> =
            serde_json::from_str(&forged.replace(&written[at - 15..=at], &forged[at - 15..=at])).expect("turns");
        let (body, adjusted) = go_on(&mut world, caller, format, "up/m", &forged);
        assert!(!body.to_string().contains(SIGNATURE), "{name}: {body}");
        assert!(!body.to_string().contains(mark), "{name}: {body}");
        assert!(adjusted.contains("reasoning_details=dropped"), "{name}: {adjusted:?}");
    }
}

/// Another gateway's stamps, and those of a secret that is no more.
#[test]
fn a_signature_that_another_gateway_carried_is_left_out() {
    for (caller, format) in wrapping() {
        let turns = first_turn(&mut world([format, format]), caller, format);
        let document = json!({"version": 1, "failover": {"enabled": false}, "health": {"enabled": false},
            "providers": {"up": {"base_url": "https://up.example", "auth": "none", "format": format.as_str()}}});
        let mut elsewhere =
            World::of(Key::default(), &document.to_string(), &[("LATCHKEY_SECRET", "a secret of another gateway")]);
        let (body, adjusted) = go_on(&mut elsewhere, caller, format, "up/m", &turns);
        assert!(!body.to_string().contains(SIGNATURE), "{body}");
        assert!(adjusted.contains("reasoning_details=dropped"), "{adjusted:?}");
    }
}

/// Calls that another model made have no signature, and the model that wants one on the first of a turn gets the one that
/// stands for none.
#[test]
fn no_call_lacks_its_signature() {
    for caller in CALLERS {
        for format in Format::ALL.iter().copied() {
            let mut world = world([format, Format::Gemini]);
            let turns = first_turn(&mut world, caller, format);
            let (body, _) = go_on(&mut world, caller, Format::Gemini, "down/gemini-3-flash-preview", &turns);
            let parts = body["contents"].as_array().expect("contents").iter().flat_map(|turn| {
                turn["parts"].as_array().expect("parts").iter().filter(|part| part["functionCall"].is_object())
            });
            let signed: Vec<bool> = parts.map(|part| part["thoughtSignature"].is_string()).collect();
            assert_eq!(signed, [true], "{} after {}: {body}", caller.name(), format.as_str());
        }
    }
}

/// Providers of one protocol encrypt thoughts alike and read only their own.
#[test]
fn encrypted_thoughts_do_not_move_between_providers_of_responses() {
    let can = json!({"capabilities": ["tools", "reasoning"]});
    let document = json!({"version": 1, "failover": {"enabled": false}, "health": {"enabled": false},
        "models": {"xai/m": can, "openai/m": can}});
    let keys = [("XAI_API_KEY", "xai-secret"), ("OPENAI_API_KEY", "sk-secret")];
    let caller = CALLERS[1];
    for streamed in [false, true] {
        let mut world = World::of(Key::default(), &document.to_string(), &keys);
        let mut turns = vec![caller.question("What colour?", false)];
        let (path, mut body) = caller.request(&Ask { stream: streamed, ..ASK }, &turns);
        body["model"] = json!("xai/m");
        let (id, step) = world.post(&path, &body.to_string());
        assert!(sent(step).url.starts_with("https://api.x.ai/v1/responses"));
        let answer = if streamed {
            let frames = upstream::frames(Format::OpenAiResponses, &CALL);
            let pieces: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            caller.gathered(&world.stream(id, &pieces, latchkey::gateway::Input::End).text)
        } else {
            parse(&world.answer(id, 200, &[], &upstream::plain(Format::OpenAiResponses, &CALL)).body)
        };
        let seen = caller.read(&answer);
        caller.next(&answer, &seen, &mut turns);
        let (body, adjusted) = go_on(&mut world, caller, Format::OpenAiResponses, "xai/m", &turns);
        assert!(body.to_string().contains(SIGNATURE) && adjusted.is_empty(), "{adjusted}: {body}");
        let (body, adjusted) = go_on(&mut world, caller, Format::OpenAiResponses, "openai/m", &turns);
        assert!(!body.to_string().contains(SIGNATURE), "{body}");
        assert!(!body.to_string().contains("encrypted_content\":"), "{body}");
        assert_eq!(adjusted, "reasoning=dropped");
    }
}
