//! The cases of a cell: one caller's surface before one upstream's format.

use latchkey::gateway::{CallId, Input, Outbound};
use latchkey::http::Response;
use latchkey::keys::Key;
use latchkey::wire::{Format, Surface};
use serde_json::{Value, json};

use super::caller::{Ask, Caller, PIXEL, Seen};
use super::schema;
use super::upstream::{self, End, FAILED, SIGNATURE, Say, THOUGHT, USAGE};
use super::world::{World, header, json as parse, sent};

/// The functions that a model may call.
pub const TOOLS: [&str; 2] = ["sky", "sea"];

pub enum Outcome {
    Passed,
    /// Why one of the two protocols cannot say it, with where that is written down.
    Inexpressible(&'static str),
    Failed(String),
}

pub struct Case {
    pub name: &'static str,
    pub run: fn(&Cell<'_>) -> Outcome,
}

pub const CASES: [Case; 16] = [
    Case { name: "plain", run: plain },
    Case { name: "streamed", run: streamed },
    Case { name: "single tool with its result", run: |cell| cell.both(|cell, ask| cell.tools(ask, &["sky"])) },
    Case {
        name: "parallel tools with their results",
        run: |cell| cell.both(|cell, ask| cell.tools(ask, &["sky", "sea"])),
    },
    Case { name: "three turns of tools with reasoning", run: |cell| cell.both(Cell::reasoning) },
    Case { name: "structured output", run: |cell| cell.both(Cell::structured) },
    Case { name: "image in", run: image },
    Case { name: "max tokens", run: |cell| cell.both(Cell::cut_short) },
    Case { name: "stop sequence", run: stop },
    Case { name: "refusal", run: refusal },
    Case { name: "400", run: |cell| cell.error(400) },
    Case { name: "429", run: |cell| cell.error(429) },
    Case { name: "error inside a 200", run: error_inside },
    Case { name: "cut stream", run: cut },
    Case { name: "usage with cache", run: usage },
    Case { name: "disconnect", run: disconnect },
];

/// A caller before an upstream.
pub struct Cell<'c> {
    pub caller: &'c dyn Caller,
    pub format: Format,
}

const TEXT: Say = Say { thought: false, text: "The sky is blue.", calls: &[], end: End::Stop };
pub const STREAMED: Ask = Ask { stream: true, tools: false, thinks: false, schema: false, most: None, stop: false };

fn plain(cell: &Cell<'_>) -> Outcome {
    let (body, seen) = cell.one(&Ask::default(), false, &TEXT);
    assert!(body.to_string().contains("What colour?"), "{body}");
    check(&seen, &TEXT);
    Outcome::Passed
}

/// However the stream is cut, the caller gets the same.
fn streamed(cell: &Cell<'_>) -> Outcome {
    let run = |size: usize| {
        let mut world = cell.world();
        let (id, _) = cell.call(&mut world, &STREAMED, &[cell.caller.question("What colour?", false)]);
        let bytes = upstream::frames(cell.format, &TEXT).concat();
        let pieces: Vec<&[u8]> = bytes.chunks(size.min(bytes.len())).collect();
        let (head, written) = world.stream_bytes(id, &pieces, Input::End);
        assert_eq!(head.status, 200);
        cell.caller.shown(written)
    };
    let whole = run(usize::MAX);
    check(&cell.caller.read(&cell.caller.gathered(&whole)), &TEXT);
    for size in [1, 7, 64] {
        let cut = cell.caller.gathered(&run(size));
        assert_eq!(cell.caller.read(&cut), cell.caller.read(&cell.caller.gathered(&whole)), "cut every {size} bytes");
    }
    Outcome::Passed
}

fn image(cell: &Cell<'_>) -> Outcome {
    let (body, seen) = cell.one(&Ask::default(), true, &TEXT);
    assert!(body.to_string().contains(PIXEL), "the picture is lost: {body}");
    check(&seen, &TEXT);
    Outcome::Passed
}

fn stop(cell: &Cell<'_>) -> Outcome {
    if cell.caller.surface() == Surface::OpenAiResponses {
        return Outcome::Inexpressible(
            "[the surface](https://platform.openai.com/docs/api-reference/responses/create) has no parameter for it",
        );
    }
    if cell.format == Format::OpenAiResponses {
        // It takes none, and the answer is cut on its way.
        return cell.both(|cell, ask| {
            let going_on = Say { text: "The sky is blue.END And so on.", ..TEXT };
            let (_, seen) = cell.one(&Ask { stop: true, ..ask }, false, &going_on);
            check(&seen, &TEXT);
        });
    }
    let ask = Ask { stop: true, ..Ask::default() };
    let (body, seen) = cell.one(&ask, false, &TEXT);
    assert!(body.to_string().contains("\"END\""), "the stop sequence is lost: {body}");
    check(&seen, &TEXT);
    Outcome::Passed
}

fn refusal(cell: &Cell<'_>) -> Outcome {
    if cell.format == Format::Ollama {
        return Outcome::Inexpressible(
            "[the format](https://docs.ollama.com/api/chat) ends with `stop` or `length` alone",
        );
    }
    cell.both(|cell, ask| {
        let say = Say { end: End::Refusal, ..TEXT };
        let (_, seen) = cell.one(&ask, false, &say);
        check(&seen, &say);
    })
}

/// Where nothing was said before it, it is an answer with a status of its own; behind words it is the end of the stream.
fn error_inside(cell: &Cell<'_>) -> Outcome {
    let mut world = cell.world();
    let question = [cell.caller.question("What colour?", false)];
    let (id, _) = cell.call(&mut world, &STREAMED, &question);
    let (head, _) = world.stream_bytes(id, &[&upstream::error_frame(cell.format)], Input::End);
    assert!(head.status >= 500, "nothing was said, and the status is {}", head.status);
    assert!(cell.caller.error_of(&head).contains(FAILED), "the words are lost");
    let text = cell.broken(Some(upstream::error_frame(cell.format)));
    assert!(text.contains(FAILED), "the words are lost: {text}");
    Outcome::Passed
}

fn cut(cell: &Cell<'_>) -> Outcome {
    cell.broken(None);
    Outcome::Passed
}

fn usage(cell: &Cell<'_>) -> Outcome {
    let (prompt, cached, output) = USAGE;
    let unsaid = match cell.format {
        Format::Ollama => {
            Some("[the format](https://docs.ollama.com/api/usage) does not say what was cached; the rest is told")
        }
        Format::Cohere if cell.caller.surface() != Surface::Cohere => Some(
            "[the format](https://docs.cohere.com/v2/docs/how-does-cohere-pricing-work) does not say which of the tokens \
             that it bills were cached; the rest is told",
        ),
        _ => None,
    };
    for ask in [Ask::default(), STREAMED] {
        let (_, seen) = cell.one(&ask, false, &TEXT);
        assert_eq!(seen.usage, (prompt, if unsaid.is_some() { 0 } else { cached }, output));
    }
    unsaid.map_or(Outcome::Passed, Outcome::Inexpressible)
}

/// The upstream is let go, and what came is on record.
fn disconnect(cell: &Cell<'_>) -> Outcome {
    let mut world = cell.world();
    let (id, _) = cell.call(&mut world, &STREAMED, &[cell.caller.question("What colour?", false)]);
    world.resume(id, Input::Headers(200, &[("content-type", "text/event-stream")]));
    let frames = upstream::frames(cell.format, &TEXT);
    for frame in frames.iter().take(spoken(&frames)) {
        world.resume(id, Input::Chunk(frame));
    }
    world.resume(id, Input::Gone);
    let record = world.only_record();
    assert_eq!(record.status, 499);
    assert!(record.output_text > 0, "what was said is not counted");
    Outcome::Passed
}

/// How many of the frames it takes for the first words.
fn spoken(frames: &[Vec<u8>]) -> usize {
    let first = frames.iter().position(|frame| String::from_utf8_lossy(frame).contains("The sky"));
    first.expect("the first words") + 1
}

/// Whether the caller reads what was said.
fn check(seen: &Seen, say: &Say) {
    assert_eq!(seen.text, say.text);
    let names: Vec<&str> = seen.calls.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, say.calls);
    for (id, name, arguments) in &seen.calls {
        assert!(!id.is_empty(), "a call without an id");
        assert_eq!(*arguments, json!({"at": name}));
    }
    let end = match say.end {
        End::Stop if say.calls.is_empty() => "stop",
        End::Stop => "tools",
        End::Length => "length",
        End::Refusal => "refusal",
    };
    assert_eq!(seen.end, end, "why it ended");
}

impl Cell<'_> {
    /// The same plain and streamed.
    fn both(&self, run: impl Fn(&Self, Ask)) -> Outcome {
        run(self, Ask::default());
        run(self, STREAMED);
        Outcome::Passed
    }

    /// A world whose one provider speaks the format, and sends its model's thoughts back where that has no signatures.
    pub fn world(&self) -> World {
        let document = json!({"version": 1, "failover": {"enabled": false}, "health": {"enabled": false},
            "providers": {"up": {"base_url": "https://up.example", "auth": "none", "format": self.format.as_str(),
                "quirks": {"reasoning_back": "reasoning_content"}}},
            "models": {"up/m": {"capabilities": ["tools", "parallel_tools", "tool_choice", "vision", "json_schema",
                "reasoning", "system"]}}});
        World::with(Key::default(), Some(&document.to_string()))
    }

    /// Sends a call and holds what reaches the provider against its schema.
    fn call(&self, world: &mut World, ask: &Ask, turns: &[Value]) -> (CallId, Value) {
        let (id, outbound) = self.send(world, ask, turns);
        let body = parse(&outbound.body);
        assert!(body.to_string().contains("Be brief."), "the instructions are lost: {body}");
        (id, body)
    }

    /// The same, as it is sent.
    pub fn send(&self, world: &mut World, ask: &Ask, turns: &[Value]) -> (CallId, Outbound) {
        let (path, body) = self.caller.request(ask, turns);
        let (id, step) = world.post(&path, &body.to_string());
        let outbound = sent(step);
        if let Err(why) = schema::check(self.format, &outbound.url, ask.stream, &parse(&outbound.body)) {
            panic!("{why}");
        }
        (id, outbound)
    }

    /// Plays the answer; gives it whole as the caller has it.
    pub fn answer(&self, world: &mut World, ask: &Ask, id: CallId, say: &Say) -> Value {
        if ask.stream {
            let frames = upstream::frames(self.format, say);
            let pieces: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let (head, written) = world.stream_bytes(id, &pieces, Input::End);
            assert_eq!(head.status, 200, "{}", String::from_utf8_lossy(&written));
            return self.caller.gathered(&self.caller.shown(written));
        }
        let response = world.answer(id, 200, &[], &upstream::plain(self.format, say));
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
        parse(&response.body)
    }

    /// One question and its answer: what was sent, and what is read.
    fn one(&self, ask: &Ask, picture: bool, say: &Say) -> (Value, Seen) {
        let mut world = self.world();
        let (id, body) = self.call(&mut world, ask, &[self.caller.question("What colour?", picture)]);
        let whole = self.answer(&mut world, ask, id, say);
        assert_eq!(world.only_record().status, 200);
        (body, self.caller.read(&whole))
    }

    fn tools(&self, ask: Ask, calls: &'static [&'static str]) {
        let ask = Ask { tools: true, ..ask };
        let bodies = self.conversation(&ask, &[Say { calls, ..Say::default() }]);
        let text = bodies[0].to_string();
        assert!(TOOLS.iter().all(|tool| text.contains(&format!("\"{tool}\""))), "the tools are lost: {text}");
        let last = bodies[1].to_string();
        assert!(calls.iter().all(|call| last.contains(&format!("seen {call}"))), "a result is lost: {last}");
    }

    /// Thoughts and what signs them come back to the model on each turn.
    fn reasoning(&self, ask: Ask) {
        let ask = Ask { tools: true, thinks: true, ..ask };
        let says = [
            Say { thought: true, calls: &["sky"], ..Say::default() },
            Say { thought: true, calls: &["sky", "sea"], ..Say::default() },
        ];
        let bodies = self.conversation(&ask, &says);
        let token = match self.format {
            Format::OpenAiResponses | Format::Anthropic | Format::Gemini | Format::Bedrock => SIGNATURE,
            _ => THOUGHT,
        };
        for (turn, body) in bodies.iter().enumerate() {
            assert_eq!(body.to_string().matches(token).count(), turn, "thoughts that came back on turn {turn}: {body}");
        }
    }

    /// Turns with calls and their results, and a last answer: all requests as they were sent.
    fn conversation(&self, ask: &Ask, says: &[Say]) -> Vec<Value> {
        let mut world = self.world();
        let mut turns = vec![self.caller.question("What colour?", false)];
        let mut bodies: Vec<Value> = Vec::new();
        for say in says.iter().chain([&TEXT]) {
            let (id, body) = self.call(&mut world, ask, &turns);
            let whole = self.answer(&mut world, ask, id, say);
            let seen = self.caller.read(&whole);
            check(&seen, say);
            assert!(!say.thought || seen.thought == THOUGHT, "the thought is lost: {whole}");
            self.caller.next(&whole, &seen, &mut turns);
            bodies.push(body);
        }
        bodies
    }

    fn structured(&self, ask: Ask) {
        let ask = Ask { schema: true, ..ask };
        let mut world = self.world();
        let (id, body) = self.call(&mut world, &ask, &[self.caller.question("Which city?", false)]);
        let body = body.to_string();
        assert!(
            body.contains("\"city\"") && body.contains("required") || body.contains("\\\"city\\\""),
            "the schema is lost: {body}"
        );
        // Where the model has no such parameter, a function of ours stands for it.
        let say = if body.contains("latchkey_structured_answer") {
            Say { calls: &["latchkey_structured_answer"], ..Say::default() }
        } else {
            Say { text: r#"{"city":"Paris"}"#, ..Say::default() }
        };
        let seen = self.caller.read(&self.answer(&mut world, &ask, id, &say));
        assert_eq!(serde_json::from_str::<Value>(&seen.text).ok(), Some(json!({"city": "Paris"})), "{seen:?}");
        assert_eq!((seen.calls.len(), seen.end), (0, "stop"));
    }

    fn cut_short(&self, ask: Ask) {
        let say = Say { end: End::Length, ..TEXT };
        let (body, seen) = self.one(&Ask { most: Some(77), ..ask }, false, &say);
        assert!(body.to_string().contains(":77"), "the limit is lost: {body}");
        check(&seen, &say);
    }

    fn error(&self, status: u16) -> Outcome {
        for ask in [Ask::default(), STREAMED] {
            let mut world = self.world();
            let (id, _) = self.call(&mut world, &ask, &[self.caller.question("What colour?", false)]);
            let headers = [("retry-after", "7")];
            let response: Response = world.answer(id, status, &headers, &upstream::refusal(self.format, status));
            assert_eq!(response.status, status);
            let words = self.caller.error_of(&response);
            assert!(words.contains(if status == 429 { "Slow down." } else { "No such parameter." }), "{words}");
            assert_eq!(header(&response, "retry-after"), (status == 429).then_some("7"));
        }
        Outcome::Passed
    }

    /// The first words come, then `last`, and nothing of the end: what the caller gets.
    fn broken(&self, last: Option<Vec<u8>>) -> String {
        let mut world = self.world();
        let (id, _) = self.call(&mut world, &STREAMED, &[self.caller.question("What colour?", false)]);
        let mut frames = upstream::frames(self.format, &TEXT);
        frames.truncate(spoken(&frames));
        frames.extend(last);
        let pieces: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let (_, written) = world.stream_bytes(id, &pieces, Input::End);
        let text = self.caller.shown(written);
        assert!(text.contains("The sky"), "what came is lost: {text}");
        self.caller.assert_broken(&text);
        text
    }
}
