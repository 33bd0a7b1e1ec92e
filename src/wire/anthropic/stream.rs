//! Streams: named events, blocks by index, `message_stop` as the terminal marker.
//!
//! Source: <https://platform.claude.com/docs/en/build-with-claude/streaming>; recordings
//! `anthropic.tools-stream.422926529b` (a tool without arguments), `anthropic.document-stream.aa3333f3c9` (citations),
//! `openrouter.chat-stream.01932930f2` (null counts, `[DONE]` after the end).

use super::types::{Block, Delta, Glance, Head, Kind, StopDetails, StreamEvent};
use super::usage::Counts;
use super::{end, error, signature};
use crate::chat::{BlockKind, Citation, EndKind, EndReason, Event, SignatureRole, Sink};
use crate::failure::Failure;
use crate::json::{Raw, Text};
use crate::provider::Quirks;
use crate::wire::structured::{self, Unwrapping};
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

/// More blocks than this at once are no answer but an attack on memory.
const MAX_OPEN: usize = 1024;

const KNOWN_EVENTS: &[&str] = &[
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
];
const KNOWN_BLOCKS: &[&str] = &["text", "thinking", "redacted_thinking", "tool_use"];
const KNOWN_DELTAS: &[&str] =
    &["text_delta", "citations_delta", "thinking_delta", "signature_delta", "input_json_delta"];

/// Decodes a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    open: Vec<Open>,
    /// A text block that the provider has ended. Claude begins another wherever its sources change, within sentences.
    said: Option<Open>,
    /// The number of the next block, which counts only those that the hub knows.
    next: u32,
    counts: Counts,
    /// The `stop_reason`, held back until the terminal marker.
    stop: Option<EndReason<'static>>,
    /// A tool of the caller's was called.
    called: bool,
    /// The structured answer has begun.
    answered: bool,
    answer: Unwrapping,
    state: State,
    /// The message's, empty where it has none.
    id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Waiting,
    Started,
    Ended,
    Failed,
}

/// A block between its start and its end.
#[derive(Debug)]
struct Open {
    /// The provider's number.
    index: u32,
    /// Ours.
    block: u32,
    holds: Holds,
}

#[derive(Debug)]
enum Holds {
    Text(Said),
    Reasoning,
    /// A call's arguments, or the structured answer that came as one.
    Input {
        /// Whether they are given as text.
        as_text: bool,
        /// Whether anything of them has come.
        begun: bool,
        /// They stood in the block's start already. Used if no delta follows.
        whole: Option<String>,
    },
    /// Something that only the provider's own tools need.
    Nothing,
}

/// What is known of a text.
#[derive(Debug, Default)]
struct Said {
    /// Where the provider's block began in it, in characters.
    start: u64,
    /// How long it is by now.
    end: u64,
    /// Sources of the provider's block, which come before its words.
    citations: Vec<Citation<'static>>,
}

impl Said {
    fn text(&mut self, block: u32, text: Option<Text<'_>>, sink: &mut dyn Sink) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.end += text.characters();
            sink.event(Event::TextDelta { choice: 0, block, text });
        }
    }

    /// The provider's block has ended.
    fn cite(&mut self, block: u32, sink: &mut dyn Sink) {
        for citation in self.citations.drain(..) {
            let citation = Citation { start: Some(self.start), end: Some(self.end), ..citation };
            sink.event(Event::BlockCitation { choice: 0, block, citation });
        }
        self.start = self.end;
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(_: &Quirks) -> Decoder {
        Decoder::default()
    }

    fn start(&mut self, head: Option<Head<'_>>, sink: &mut dyn Sink) -> Decoded {
        let (id, model, counts) = head.map_or((None, None, None), |head| (head.id, head.model, head.usage));
        let (id, model) = (id.unwrap_or_default(), model.unwrap_or_default());
        if self.state != State::Waiting {
            // Some gateways repeat it. Another message does not go on where the first one stood:
            // <https://github.com/vercel/ai/blob/main/packages/anthropic/src/anthropic-message-lifecycle.test.ts>.
            let is_other = !id.is_empty() && !self.id.is_empty() && *self.id != *id.decode();
            return if is_other {
                Decoded::Corrupt("a second message within the first".to_owned())
            } else {
                Decoded::Taken
            };
        }
        self.state = State::Started;
        self.id = id.decode().into_owned();
        sink.event(Event::Start { id, model, created: None });
        self.count(counts, sink);
        Decoded::Taken
    }

    fn count(&mut self, counts: Option<Counts>, sink: &mut dyn Sink) {
        if let Some(counts) = counts {
            self.counts.update(counts);
            if let Some(usage) = self.counts.usage() {
                sink.event(Event::Usage(usage));
            }
        }
    }

    fn block_start(&mut self, index: u32, mut given: Block<'_>, sink: &mut dyn Sink) -> Decoded {
        if self.open.len() >= MAX_OPEN {
            return Decoded::Corrupt("too many blocks are open at once".to_owned());
        }
        self.block_stop(index, sink);
        let (is_text, words, sources) = (given.kind.is("text"), given.text.take(), given.citations.take());
        let open = match self.said.take_if(|said| is_text && said.index.checked_add(1) == Some(index)) {
            Some(said) => Open { index, ..said },
            None => {
                self.close_said(sink);
                let block = self.next;
                let holds = self.begin(given, sink);
                if !matches!(holds, Holds::Nothing) {
                    self.next += 1;
                }
                Open { index, block, holds }
            }
        };
        self.open.push(open);
        if let Some(Open { block, holds: Holds::Text(said), .. }) = self.open.last_mut() {
            said.text(*block, words, sink);
            said.citations.extend(sources.into_iter().flatten().map(|source| source.into_hub().into_owned()));
        }
        Decoded::Taken
    }

    fn begin(&mut self, given: Block<'_>, sink: &mut dyn Sink) -> Holds {
        let (choice, block) = (0, self.next);
        match given.kind.escaped() {
            "text" => {
                sink.event(Event::BlockStart { choice, block, kind: BlockKind::Text });
                Holds::Text(Said::default())
            }
            "thinking" => {
                sink.event(Event::BlockStart { choice, block, kind: BlockKind::Reasoning });
                reasoning(block, given.thinking, sink);
                sign(block, given.signature, SignatureRole::Signs, sink);
                Holds::Reasoning
            }
            "redacted_thinking" => {
                sink.event(Event::BlockStart { choice, block, kind: BlockKind::Reasoning });
                sign(block, given.data, SignatureRole::Replaces, sink);
                Holds::Reasoning
            }
            "tool_use" => self.input_start(given, sink),
            _ => Holds::Nothing,
        }
    }

    fn input_start(&mut self, given: Block<'_>, sink: &mut dyn Sink) -> Holds {
        let (choice, block) = (0, self.next);
        let name = given.name.unwrap_or_default();
        let as_text = structured::is_tool(&name);
        if as_text {
            if std::mem::replace(&mut self.answered, true) {
                return Holds::Nothing;
            }
            sink.event(Event::BlockStart { choice, block, kind: BlockKind::Text });
        } else {
            self.called = true;
            sink.event(Event::ToolCallStart { choice, block, id: given.id.unwrap_or_default(), name });
        }
        let whole = given.input.filter(|input| input.is_object() && *input != Raw::EMPTY_OBJECT);
        Holds::Input { as_text, begun: false, whole: whole.map(|input| input.get().to_owned()) }
    }

    fn block_delta(&mut self, index: u32, delta: Delta<'_>, sink: &mut dyn Sink) -> Decoded {
        let kind = delta.kind.unwrap_or_default();
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else {
            return Decoded::Corrupt(format!("a delta for block {index}, which is not open"));
        };
        let block = open.block;
        match (kind.escaped(), &mut open.holds) {
            (_, Holds::Nothing) => {}
            ("text_delta", Holds::Text(said)) => said.text(block, delta.text, sink),
            ("citations_delta", Holds::Text(said)) => {
                said.citations.extend(delta.citation.map(|source| source.into_hub().into_owned()));
            }
            ("thinking_delta", Holds::Reasoning) => reasoning(block, delta.thinking, sink),
            ("signature_delta", Holds::Reasoning) => sign(block, delta.signature, SignatureRole::Signs, sink),
            ("input_json_delta", Holds::Input { as_text, begun, .. }) => {
                if let Some(piece) = delta.partial_json.filter(|piece| !piece.is_empty()) {
                    *begun = true;
                    input(as_text.then_some(&mut self.answer), block, piece, sink);
                }
            }
            (kind, _) if KNOWN_DELTAS.contains(&kind) => {
                return Decoded::Corrupt(format!("a {kind} for a block of another kind"));
            }
            _ => return Decoded::Unknown,
        }
        Decoded::Taken
    }

    fn block_stop(&mut self, index: u32, sink: &mut dyn Sink) {
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            let mut open = self.open.remove(at);
            if let Holds::Text(said) = &mut open.holds {
                said.cite(open.block, sink);
                self.close_said(sink);
                self.said = Some(open);
            } else {
                close(open, &mut self.answer, sink);
            }
        }
    }

    fn close_said(&mut self, sink: &mut dyn Sink) {
        self.said.take().into_iter().for_each(|said| close(said, &mut self.answer, sink));
    }

    fn close_all(&mut self, sink: &mut dyn Sink) {
        self.close_said(sink);
        self.open.drain(..).for_each(|open| close(open, &mut self.answer, sink));
    }

    fn message_delta(&mut self, delta: Option<Delta<'_>>, counts: Option<Counts>, sink: &mut dyn Sink) {
        self.count(counts, sink);
        let Some(Delta { stop_reason: Some(reason), stop_sequence, stop_details, .. }) = delta else { return };
        self.close_all(sink);
        let kind = end::kind(reason.escaped(), self.called);
        if kind == EndKind::ContentFilter {
            self.explain(stop_details, sink);
        }
        self.stop = Some(EndReason { kind, raw: Some(reason), stop: stop_sequence }.into_owned());
    }

    /// Says why the model refused, where the provider does.
    fn explain(&mut self, details: Option<StopDetails<'_>>, sink: &mut dyn Sink) {
        let Some(text) = details.and_then(|details| details.explanation).filter(|text| !text.is_empty()) else {
            return;
        };
        let (choice, block) = (0, self.next);
        self.next += 1;
        sink.event(Event::BlockStart { choice, block, kind: BlockKind::Refusal });
        sink.event(Event::RefusalDelta { choice, block, text });
        sink.event(Event::BlockEnd { choice, block });
    }

    fn message_stop(&mut self, sink: &mut dyn Sink) {
        self.close_all(sink);
        self.state = State::Ended;
        let reason = self.stop.take().unwrap_or_else(|| EndReason::plain(EndKind::Other));
        sink.event(Event::End { choice: 0, reason });
    }

    /// What an event is that does not have the shape of those we know: new kinds may look as they like.
    fn unreadable(&mut self, data: &[u8], error: &crate::json::Error, sink: &mut dyn Sink) -> Decoded {
        let corrupt = Decoded::Corrupt(error.to_string());
        let Ok(glance) = crate::json::from_slice::<Glance<'_>>(data) else { return corrupt };
        let is_one_of = |inner: Option<Raw<'_>>, known: &[&str]| {
            let kind = inner.as_ref().and_then(|inner| inner.read_borrowed::<Kind<'_>>().ok()?.kind);
            kind.is_some_and(|kind| known.contains(&kind.escaped()))
        };
        let index = glance.index.and_then(|index| index.read().ok());
        match (glance.kind.escaped(), index) {
            ("content_block_start", Some(index)) if !is_one_of(glance.content_block, KNOWN_BLOCKS) => {
                self.block_stop(index, sink);
                if self.open.len() < MAX_OPEN {
                    self.open.push(Open { index, block: self.next, holds: Holds::Nothing });
                }
                Decoded::Unknown
            }
            ("content_block_delta", Some(_)) if !is_one_of(glance.delta, KNOWN_DELTAS) => Decoded::Unknown,
            (kind, _) if KNOWN_EVENTS.contains(&kind) => corrupt,
            _ => Decoded::Unknown,
        }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        if matches!(self.state, State::Ended | State::Failed) {
            return Decoded::Taken;
        }
        let event: StreamEvent<'_> = match crate::json::from_slice(&frame.data) {
            Ok(event) => event,
            Err(error) => return self.unreadable(&frame.data, &error, sink),
        };
        let kind = event.kind.escaped();
        if self.state == State::Waiting && matches!(kind, "content_block_start" | "message_delta" | "message_stop") {
            self.start(None, sink);
        }
        match (kind, event.index, event.content_block, event.delta) {
            ("content_block_delta", Some(index), _, Some(delta)) => return self.block_delta(index, delta, sink),
            ("content_block_start", Some(index), Some(block), _) => return self.block_start(index, block, sink),
            ("content_block_stop", Some(index), ..) => self.block_stop(index, sink),
            ("content_block_delta" | "content_block_start" | "content_block_stop", ..) => {
                return Decoded::Corrupt(format!("a {kind} without its index or content"));
            }
            ("message_start", ..) => return self.start(event.message, sink),
            ("message_delta", _, _, delta) => self.message_delta(delta, event.usage, sink),
            ("message_stop", ..) => self.message_stop(sink),
            ("error", ..) => {
                self.state = State::Failed;
                sink.event(Event::Failed(error::of_event(event.error)));
            }
            ("ping", ..) => {}
            _ => return Decoded::Unknown,
        }
        Decoded::Taken
    }

    fn finish(&mut self, _: &mut dyn Sink) -> Result<(), Failure> {
        match self.state {
            State::Ended | State::Failed => Ok(()),
            State::Waiting | State::Started => Err(Failure::truncated("no message_stop")),
        }
    }

    fn ended(&self) -> bool {
        self.state == State::Ended
    }

    fn holds_back(&self) -> bool {
        self.open.iter().any(|open| matches!(&open.holds, Holds::Text(said) if !said.citations.is_empty()))
    }
}

fn close(open: Open, answer: &mut Unwrapping, sink: &mut dyn Sink) {
    let Open { block, holds, .. } = open;
    match holds {
        Holds::Nothing => return,
        // A tool without arguments sends one empty piece, which is no JSON.
        Holds::Input { as_text, begun: false, whole } => {
            let whole = whole.unwrap_or_else(|| "{}".to_owned());
            input(as_text.then_some(answer), block, Text::escape(&whole), sink);
        }
        Holds::Text(mut said) => said.cite(block, sink),
        Holds::Input { .. } | Holds::Reasoning => {}
    }
    sink.event(Event::BlockEnd { choice: 0, block });
}

fn reasoning(block: u32, text: Option<Text<'_>>, sink: &mut dyn Sink) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        sink.event(Event::ReasoningDelta { choice: 0, block, text });
    }
}

/// Gives a piece of a call's arguments, or of the `answer` that came as one.
fn input(answer: Option<&mut Unwrapping>, block: u32, piece: Text<'_>, sink: &mut dyn Sink) {
    match answer {
        Some(answer) => answer.push(block, piece, sink),
        None => sink.event(Event::ToolCallDelta { choice: 0, block, arguments: piece }),
    }
}

fn sign(block: u32, data: Option<Text<'_>>, role: SignatureRole, sink: &mut dyn Sink) {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        sink.event(Event::BlockSignature { choice: 0, block, signature: signature(data, role) });
    }
}
