//! Streams: named events about items by their number, `response.completed` or its like as the terminal marker.
//!
//! Items are known by `output_index`: ids may differ between the events of one item. What an upstream leaves out (the
//! deltas of an item, the items of the end) is taken from where it says it again.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses-streaming>; recordings
//! `openai.responses-stream.88ec630305` (calls), `openai.error-stream.9e40fe3aff` (an error),
//! `chatgpt.responses-stream.ea21d8ff64` (an end without items), `bedrock.responses-stream.d9c796e6cf` (names behind data).

use serde_json::value::RawValue;

use super::answer::{BREAK, logprobs, picture, read_item};
use super::types::{Annotation, Content, Item, Response, StreamEvent};
use super::{encrypted, ending, usage};
use crate::chat::{BlockKind, Event, Sink, Usage};
use crate::failure::Failure;
use crate::json::{Raw, Text};
use crate::provider::Quirks;
use crate::wire::openai_chat::reported;
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

/// More blocks than this at once are no answer but an attack on memory.
const MAX_OPEN: usize = 1024;

/// Decodes a stream.
#[derive(Debug)]
pub struct Decoder {
    quirks: Quirks,
    open: Vec<Open>,
    /// The number of the next block, which counts only those that the hub knows.
    next: u32,
    /// Items have been told of, so that the end says nothing new.
    told: bool,
    /// A tool of the caller's was called.
    called: bool,
    billed: usage::Billed,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Started,
    Ended,
    Failed,
}

/// A block between its start and its end.
#[derive(Debug)]
struct Open {
    /// The item's number.
    output: u64,
    /// The part's number within its item; 0 for items that are one block.
    part: u64,
    /// Ours.
    block: u32,
    holds: Holds,
    /// The piece of reasoning that was last said something of: of its own words or of their summary, and which.
    piece: Option<(bool, u64)>,
    /// Something of it has come.
    said: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Text,
    Refusal,
    Reasoning,
    Arguments,
    /// The input of a tool that takes free text.
    Input,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(quirks: &Quirks) -> Decoder {
        let open = Vec::new();
        Decoder {
            quirks: *quirks,
            open,
            next: 0,
            told: false,
            called: false,
            billed: usage::Billed::default(),
            state: State::Waiting,
        }
    }

    fn start(&mut self, response: Option<&RawValue>, sink: &mut dyn Sink) {
        if self.state != State::Waiting {
            return;
        }
        self.state = State::Started;
        let head = response.and_then(|raw| crate::json::from_str::<Response<'_>>(raw.get()).ok());
        let (id, model, created) = head.map_or((None, None, None), |head| (head.id, head.model, head.created_at));
        sink.event(Event::Start {
            id: id.unwrap_or_default(),
            model: model.unwrap_or_default(),
            created: created.and_then(|seconds| i64::try_from(seconds).ok()),
        });
    }

    /// The block of a part; it is begun where it is not there yet. `None` where too many are open.
    fn block(&mut self, output: u64, part: u64, holds: Holds, sink: &mut dyn Sink) -> Option<&mut Open> {
        let known = self.open.iter().rposition(|open| open.output == output && open.part == part);
        if known.and_then(|at| self.open.get(at)).is_some_and(|open| open.holds != holds) {
            // An upstream that gives a number twice means another item.
            self.close(output, sink);
            return self.block(output, part, holds, sink);
        }
        let at = match known {
            Some(at) => at,
            None if self.open.len() >= MAX_OPEN => return None,
            None => {
                let block = self.next;
                self.next += 1;
                let kind = match holds {
                    Holds::Text => Some(BlockKind::Text),
                    Holds::Refusal => Some(BlockKind::Refusal),
                    Holds::Reasoning => Some(BlockKind::Reasoning),
                    Holds::Arguments | Holds::Input => None,
                };
                if let Some(kind) = kind {
                    sink.event(Event::BlockStart { choice: 0, block, kind });
                }
                self.open.push(Open { output, part, block, holds, piece: None, said: false });
                self.open.len() - 1
            }
        };
        self.open.get_mut(at)
    }

    /// More words of a message's part.
    fn words(&mut self, event: &StreamEvent<'_>, holds: Holds, sink: &mut dyn Sink) -> Decoded {
        let (output, part) = (event.output_index.unwrap_or(0), event.content_index.unwrap_or(0));
        let text = event.delta.as_ref().filter(|text| !text.is_empty());
        if let Some(text) = text {
            let Some(open) = self.block(output, part, holds, sink) else { return too_many() };
            open.say(text, sink);
        }
        if let Some(logprobs) = event.logprobs.as_ref().and_then(logprobs) {
            sink.event(Event::LogprobsDelta { choice: 0, logprobs });
        }
        Decoded::Taken
    }

    /// More of what the model thinks: of a summary, or in its own words.
    fn thought(&mut self, event: &StreamEvent<'_>, sink: &mut dyn Sink) -> Decoded {
        let Some(text) = event.delta.as_ref().filter(|text| !text.is_empty()) else { return Decoded::Taken };
        let piece = match event.summary_index {
            Some(index) => (true, index),
            None => (false, event.content_index.unwrap_or(0)),
        };
        let Some(open) = self.block(event.output_index.unwrap_or(0), 0, Holds::Reasoning, sink) else {
            return too_many();
        };
        if open.piece.replace(piece).is_some_and(|before| before != piece) {
            open.say(&Text::from_escaped(BREAK), sink);
        }
        open.say(text, sink);
        Decoded::Taken
    }

    /// More of a call's arguments.
    fn arguments(&mut self, event: &StreamEvent<'_>, sink: &mut dyn Sink) -> Decoded {
        let output = event.output_index.unwrap_or(0);
        let Some(piece) = event.delta.as_ref().filter(|piece| !piece.is_empty()) else { return Decoded::Taken };
        match self.open.iter_mut().rfind(|open| open.output == output) {
            Some(open) => {
                open.say(piece, sink);
                Decoded::Taken
            }
            None => Decoded::Corrupt(format!("arguments of item {output}, which is not open")),
        }
    }

    /// An item begins: of a call, its head is known now.
    fn item_added(&mut self, output: u64, raw: &RawValue, sink: &mut dyn Sink) -> Decoded {
        let item = match read_item(raw) {
            Ok(item) => item,
            Err(failure) => return Decoded::Corrupt(failure.cause.clone().unwrap_or_default()),
        };
        if let Some(holds) = call(&item) {
            return self.call_start(output, holds, &item, sink);
        }
        Decoded::Taken
    }

    fn call_start(&mut self, output: u64, holds: Holds, item: &Item<'_>, sink: &mut dyn Sink) -> Decoded {
        self.close(output, sink);
        let block = self.next;
        self.called = true;
        let id = item.call_id.as_ref().or(item.id.as_ref()).map(Text::borrowed).unwrap_or_default();
        let name = item.name.as_ref().map(Text::borrowed).unwrap_or_default();
        if self.open.len() < MAX_OPEN {
            sink.event(Event::ToolCallStart { choice: 0, block, id, name });
        }
        if self.block(output, 0, holds, sink).is_none() { too_many() } else { Decoded::Taken }
    }

    /// An item is complete, and told whole once more: what has not come of it comes now.
    fn item_done(&mut self, output: u64, raw: &RawValue, sink: &mut dyn Sink) -> Decoded {
        let item = match read_item(raw) {
            Ok(item) => item,
            Err(failure) => return Decoded::Corrupt(failure.cause.clone().unwrap_or_default()),
        };
        self.billed.note(&item);
        let done = match item.kind.as_ref().map(Text::escaped) {
            Some("message") => self.message_done(output, &item, sink),
            Some("reasoning") => self.reasoning_done(output, item, sink),
            Some("image_generation_call") => {
                if let Some(media) = picture(item) {
                    sink.event(Event::MediaDelta { choice: 0, media });
                }
                Decoded::Taken
            }
            _ => match call(&item) {
                Some(holds) => self.call_done(output, holds, &item, sink),
                None => Decoded::Taken,
            },
        };
        self.close(output, sink);
        done
    }

    fn message_done(&mut self, output: u64, item: &Item<'_>, sink: &mut dyn Sink) -> Decoded {
        for (part, content) in (0..).zip(item.content.iter().flatten()) {
            let is_open = self.open.iter().any(|open| open.output == output && open.part == part);
            let (holds, text) = match content.kind.as_ref().map(Text::escaped) {
                Some("refusal") => (Holds::Refusal, &content.refusal),
                Some("output_text" | "text") | None => (Holds::Text, &content.text),
                _ => continue,
            };
            let Some(text) = text.as_ref().filter(|text| !text.is_empty() && !is_open) else { continue };
            let Some(open) = self.block(output, part, holds, sink) else { return too_many() };
            open.say(text, sink);
            let block = open.block;
            cite(content, block, sink);
        }
        Decoded::Taken
    }

    fn reasoning_done(&mut self, output: u64, item: Item<'_>, sink: &mut dyn Sink) -> Decoded {
        let is_open = self.open.iter().any(|open| open.output == output);
        let text = super::answer::thoughts(&item);
        let data = item.encrypted_content.filter(|data| !data.is_empty());
        if !is_open && text.is_empty() && data.is_none() {
            return Decoded::Taken;
        }
        let signed = self.quirks.signed;
        let Some(open) = self.block(output, 0, Holds::Reasoning, sink) else { return too_many() };
        if !open.said && !text.is_empty() {
            open.say(&text, sink);
        }
        if let Some(data) = data {
            let signature = encrypted(data, item.id, signed);
            sink.event(Event::BlockSignature { choice: 0, block: open.block, signature });
        }
        Decoded::Taken
    }

    fn call_done(&mut self, output: u64, holds: Holds, item: &Item<'_>, sink: &mut dyn Sink) -> Decoded {
        if !self.open.iter().any(|open| open.output == output)
            && let decoded @ Decoded::Corrupt(_) = self.call_start(output, holds, item, sink)
        {
            return decoded;
        }
        let whole = if holds == Holds::Input { &item.input } else { &item.arguments };
        let Some(open) = self.open.iter_mut().rfind(|open| open.output == output) else { return Decoded::Taken };
        if let Some(whole) = whole.as_ref().filter(|whole| !open.said && !whole.is_empty()) {
            open.say(whole, sink);
        }
        Decoded::Taken
    }

    /// Ends the blocks of an item.
    fn close(&mut self, output: u64, sink: &mut dyn Sink) {
        let mut at = 0;
        while let Some(open) = self.open.get(at) {
            if open.output == output { self.open.remove(at).end(sink) } else { at += 1 }
        }
    }

    /// The response is over, in the way that its last event is named for.
    fn finished(&mut self, way: &str, response: Option<&RawValue>, sink: &mut dyn Sink) -> Decoded {
        let Some(raw) = response else { return Decoded::Corrupt("an end without its response".to_owned()) };
        let mut response: Response<'_> = match crate::json::from_str(raw.get()) {
            Ok(response) => response,
            Err(error) => return Decoded::Corrupt(error.to_string()),
        };
        if way != "completed" || response.status.is_none() {
            response.status = Some(Text::escape(way));
        }
        if !self.told {
            for (output, item) in (0..).zip(response.output.iter().flatten()) {
                if let decoded @ Decoded::Corrupt(_) = self.item_done(output, item, sink) {
                    return decoded;
                }
            }
        }
        self.open.drain(..).for_each(|open| open.end(sink));
        let failure = ending::failure(&response);
        let failed = failure.is_some();
        failure.into_iter().for_each(|failure| sink.event(Event::Failed(failure)));
        // What failed is charged, too, where it is counted.
        if let Some(usage) = self.usage(&response) {
            sink.event(Event::Usage(usage));
        }
        if failed {
            self.state = State::Failed;
            return Decoded::Taken;
        }
        self.state = State::Ended;
        sink.event(Event::End { choice: 0, reason: ending::reason(&response, self.called) });
        Decoded::Taken
    }

    fn usage(&self, response: &Response<'_>) -> Option<Usage> {
        usage::read(response, self.billed, &self.quirks)
    }

    fn annotate(&mut self, event: &StreamEvent<'_>, sink: &mut dyn Sink) -> Decoded {
        let (output, part) = (event.output_index.unwrap_or(0), event.content_index.unwrap_or(0));
        let annotation: Option<Annotation<'_>> = event.annotation.as_ref().and_then(|raw| raw.read_borrowed().ok());
        let Some(citation) = annotation.and_then(Annotation::into_hub) else { return Decoded::Taken };
        let Some(open) = self.block(output, part, Holds::Text, sink) else { return too_many() };
        let block = open.block;
        sink.event(Event::BlockCitation { choice: 0, block, citation });
        Decoded::Taken
    }
}

impl Open {
    fn say(&mut self, text: &Text<'_>, sink: &mut dyn Sink) {
        let (choice, block) = (0, self.block);
        let text = text.borrowed();
        let begins = !std::mem::replace(&mut self.said, true);
        if begins && self.holds == Holds::Input {
            sink.event(Event::ToolCallDelta { choice, block, arguments: Text::from_escaped(INPUT_OPENS) });
        }
        sink.event(match self.holds {
            Holds::Text => Event::TextDelta { choice, block, text },
            Holds::Refusal => Event::RefusalDelta { choice, block, text },
            Holds::Reasoning => Event::ReasoningDelta { choice, block, text },
            Holds::Arguments => Event::ToolCallDelta { choice, block, arguments: text },
            // What is JSON text here is text within a string there.
            Holds::Input => Event::ToolCallDelta { choice, block, arguments: Text::escape(text.escaped()) },
        });
    }

    fn end(self, sink: &mut dyn Sink) {
        let (choice, block) = (0, self.block);
        let rest = match (self.holds, self.said) {
            (Holds::Arguments, false) => "{}",
            (Holds::Input, false) => r#"{\"input\":\"\"}"#,
            (Holds::Input, true) => r#"\"}"#,
            _ => "",
        };
        if !rest.is_empty() {
            sink.event(Event::ToolCallDelta { choice, block, arguments: Text::from_escaped(rest) });
        }
        sink.event(Event::BlockEnd { choice, block });
    }
}

const INPUT_OPENS: &str = r#"{\"input\":\""#;

/// What the calls of a caller's tool hold; `None` for items of other kinds.
fn call(item: &Item<'_>) -> Option<Holds> {
    match item.kind.as_ref().map(Text::escaped) {
        Some("function_call") => Some(Holds::Arguments),
        Some("custom_tool_call") => Some(Holds::Input),
        _ => None,
    }
}

fn cite(content: &Content<'_>, block: u32, sink: &mut dyn Sink) {
    for annotation in content.annotations.iter().flatten() {
        let Some(url) = annotation.url.clone() else { continue };
        let citation = crate::chat::Citation {
            url: Some(url),
            title: annotation.title.clone(),
            quote: None,
            start: annotation.start_index,
            end: annotation.end_index,
        };
        sink.event(Event::BlockCitation { choice: 0, block, citation });
    }
}

fn too_many() -> Decoded {
    Decoded::Corrupt("too many blocks are open at once".to_owned())
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        if matches!(self.state, State::Ended | State::Failed) || *frame.data == *b"[DONE]" {
            return Decoded::Taken;
        }
        let event: StreamEvent<'_> = match crate::json::from_slice(&frame.data) {
            Ok(event) => event,
            Err(error) => return Decoded::Corrupt(error.to_string()),
        };
        let kind = event.kind.escaped();
        if kind != "error" {
            self.start(event.response, sink);
        }
        let output = event.output_index.unwrap_or(0);
        self.told |= event.output_index.is_some();
        match kind {
            "response.output_text.delta" => return self.words(&event, Holds::Text, sink),
            "response.refusal.delta" => return self.words(&event, Holds::Refusal, sink),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                return self.thought(&event, sink);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                return self.arguments(&event, sink);
            }
            "response.output_text.annotation.added" => return self.annotate(&event, sink),
            "response.output_item.added" => {
                return event.item.map_or_else(|| lacks(kind), |item| self.item_added(output, item, sink));
            }
            "response.output_item.done" => {
                return event.item.map_or_else(|| lacks(kind), |item| self.item_done(output, item, sink));
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let way = kind.strip_prefix("response.").unwrap_or(kind);
                return self.finished(way, event.response, sink);
            }
            "error" => {
                self.state = State::Failed;
                let told = event.error.or_else(|| crate::json::from_slice::<Raw<'_>>(&frame.data).ok());
                let failure = told.as_ref().map_or_else(|| Failure::bad_answer("The provider failed."), reported);
                sink.event(Event::Failed(failure));
            }
            // What they say is said by the events around them.
            "response.created" | "response.in_progress" | "response.queued" | "keepalive" => {}
            known if known.ends_with(".done") || known.ends_with(".added") => {}
            _ => return Decoded::Unknown,
        }
        Decoded::Taken
    }

    fn finish(&mut self, _: &mut dyn Sink) -> Result<(), Failure> {
        match self.state {
            State::Ended | State::Failed => Ok(()),
            State::Waiting | State::Started => Err(Failure::truncated("no response.completed")),
        }
    }

    fn ended(&self) -> bool {
        self.state == State::Ended
    }
}

fn lacks(kind: &str) -> Decoded {
    Decoded::Corrupt(format!("a {kind} without its item"))
}
