//! Streams: typed events, contents and calls numbered apart, `message-end` as the terminal marker.
//!
//! Source: <https://docs.cohere.com/v2/docs/streaming>; recordings `cohere.thinking-stream.5c8eed34d5` (citations between
//! deltas), `cohere.tools-stream.9c0b37e9f3` (a plan), `cohere.tools-stream.99e67fcab5` (an error at the end).

use super::ending;
use super::types::{Citation, Delta, MessageDelta, StreamEvent, ToolCall};
use crate::chat::{BlockKind, EndKind, EndReason, Event, Sink};
use crate::failure::Failure;
use crate::json::Text;
use crate::provider::Quirks;
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

/// More blocks than this at once are no answer but an attack on memory.
const MAX_OPEN: usize = 1024;

/// Decodes a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    open: Vec<Open>,
    /// The number of the next block.
    next: u32,
    state: State,
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
#[derive(Clone, Copy, Debug)]
struct Open {
    of: Of,
    /// The provider's number among those of its kind.
    index: u32,
    /// Ours.
    block: u32,
    /// Whether arguments of a call have come.
    begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Plan,
    Text,
    Thinking,
    Call,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(_: &Quirks) -> Decoder {
        Decoder::default()
    }

    fn start(&mut self, id: Option<Text<'_>>, sink: &mut dyn Sink) {
        if self.state == State::Waiting {
            self.state = State::Started;
            sink.event(Event::Start { id: id.unwrap_or_default(), model: Text::EMPTY, created: None });
        }
    }

    /// Opens a block of a kind that has a header of its own in the hub, and answers its number.
    fn open(&mut self, of: Of, index: u32, sink: &mut dyn Sink) -> Result<u32, Decoded> {
        if self.open.len() >= MAX_OPEN {
            return Err(Decoded::Corrupt("too many blocks are open at once".to_owned()));
        }
        let block = self.next;
        self.next += 1;
        self.open.push(Open { of, index, block, begun: false });
        let kind = match of {
            Of::Text => BlockKind::Text,
            Of::Plan | Of::Thinking => BlockKind::Reasoning,
            Of::Call => return Ok(block),
        };
        sink.event(Event::BlockStart { choice: 0, block, kind });
        Ok(block)
    }

    fn close(&mut self, which: impl Fn(&Open) -> bool, sink: &mut dyn Sink) {
        self.open.retain(|open| {
            let closes = which(open);
            if closes {
                if open.of == Of::Call && !open.begun {
                    // A tool without parameters has a start and an end and nothing between.
                    let arguments = Text::from_escaped("{}");
                    sink.event(Event::ToolCallDelta { choice: 0, block: open.block, arguments });
                }
                sink.event(Event::BlockEnd { choice: 0, block: open.block });
            }
            !closes
        });
    }

    fn content(&mut self, index: u32, starts: bool, delta: MessageDelta<'_>, sink: &mut dyn Sink) -> Decoded {
        let Some(content) = delta.content else { return Decoded::Corrupt("content without any".to_owned()) };
        let thinks = content.kind.as_ref().map_or(content.thinking.is_some(), |kind| kind.is("thinking"));
        let of = if thinks { Of::Thinking } else { Of::Text };
        let is_it = |open: &&Open| matches!(open.of, Of::Text | Of::Thinking) && open.index == index;
        let block = match self.open.iter().find(is_it) {
            Some(open) if !starts && open.of == of => Ok(open.block),
            Some(open) if !starts => {
                return Decoded::Corrupt(format!("content {index} is of another kind: {:?}", open.of));
            }
            _ => {
                self.close(|open| is_it(&open), sink);
                self.open(of, index, sink)
            }
        };
        let block = match block {
            Ok(block) => block,
            Err(decoded) => return decoded,
        };
        let text = if thinks { content.thinking } else { content.text };
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            sink.event(match of {
                Of::Text => Event::TextDelta { choice: 0, block, text },
                _ => Event::ReasoningDelta { choice: 0, block, text },
            });
        }
        Decoded::Taken
    }

    fn plan(&mut self, delta: MessageDelta<'_>, sink: &mut dyn Sink) -> Decoded {
        let Some(text) = delta.tool_plan.filter(|text| !text.is_empty()) else { return Decoded::Taken };
        let block = match self.open.iter().find(|open| open.of == Of::Plan) {
            Some(open) => open.block,
            None => match self.open(Of::Plan, 0, sink) {
                Ok(block) => block,
                Err(decoded) => return decoded,
            },
        };
        sink.event(Event::ReasoningDelta { choice: 0, block, text });
        Decoded::Taken
    }

    fn call(&mut self, index: u32, starts: bool, delta: MessageDelta<'_>, sink: &mut dyn Sink) -> Decoded {
        let Some(ToolCall { id, function: Some(function) }) = delta.tool_calls else {
            return Decoded::Corrupt("a call without its function".to_owned());
        };
        let is_it = |open: &Open| open.of == Of::Call && open.index == index;
        if starts {
            self.close(is_it, sink);
            let block = match self.open(Of::Call, index, sink) {
                Ok(block) => block,
                Err(decoded) => return decoded,
            };
            let (id, name) = (id.unwrap_or_default(), function.name.unwrap_or_default());
            sink.event(Event::ToolCallStart { choice: 0, block, id, name });
        }
        let Some(open) = self.open.iter_mut().find(|open| is_it(open)) else {
            return Decoded::Corrupt(format!("arguments for call {index}, which has not begun"));
        };
        if let Some(arguments) = function.arguments.filter(|text| !text.is_empty()) {
            open.begun = true;
            sink.event(Event::ToolCallDelta { choice: 0, block: open.block, arguments });
        }
        Decoded::Taken
    }

    fn cite(&mut self, citation: Citation<'_>, sink: &mut dyn Sink) {
        let texts = || self.open.iter().filter(|open| open.of == Of::Text);
        let named = citation.content_index.and_then(|index| texts().find(|open| open.index == index));
        let Some(block) = named.or_else(|| texts().next_back()).map(|open| open.block) else { return };
        for citation in citation.into_hub() {
            sink.event(Event::BlockCitation { choice: 0, block, citation });
        }
    }

    fn end(&mut self, delta: Option<Delta<'_>>, sink: &mut dyn Sink) {
        let Some(Delta { finish_reason, usage, error, error_type, .. }) = delta else {
            self.close(|_| true, sink);
            self.state = State::Ended;
            sink.event(Event::End { choice: 0, reason: EndReason::plain(EndKind::Other) });
            return;
        };
        if let Some(usage) = usage.and_then(|counts| counts.usage()) {
            sink.event(Event::Usage(usage));
        }
        if let Some(failure) = ending::failure(error, error_type) {
            self.state = State::Failed;
            sink.event(Event::Failed(failure));
            return;
        }
        self.close(|_| true, sink);
        self.state = State::Ended;
        let kind = finish_reason.as_ref().map_or(EndKind::Other, |reason| ending::kind(reason.escaped()));
        sink.event(Event::End { choice: 0, reason: EndReason::new(kind, finish_reason) });
    }

    fn take(&mut self, event: StreamEvent<'_>, sink: &mut dyn Sink) -> Decoded {
        let kind = event.kind.escaped();
        if !matches!(kind, "tool-plan-delta" | "debug") {
            self.close(|open| open.of == Of::Plan, sink);
        }
        let index = event.index.unwrap_or(0);
        match kind {
            "message-start" => return Decoded::Taken,
            "content-end" => {
                self.close(|open| matches!(open.of, Of::Text | Of::Thinking) && open.index == index, sink);
                return Decoded::Taken;
            }
            "tool-call-end" => {
                self.close(|open| open.of == Of::Call && open.index == index, sink);
                return Decoded::Taken;
            }
            "message-end" => {
                self.end(event.delta, sink);
                return Decoded::Taken;
            }
            "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start" | "tool-call-delta"
            | "citation-start" => {}
            _ => return Decoded::Unknown,
        }
        let Some(message) = event.delta.and_then(|delta| delta.message) else {
            return Decoded::Corrupt(format!("a {kind} without its message"));
        };
        let delta: MessageDelta<'_> = match message.read_borrowed() {
            Ok(delta) => delta,
            Err(error) => return Decoded::Corrupt(error.to_string()),
        };
        match kind {
            "content-start" | "content-delta" => self.content(index, kind == "content-start", delta, sink),
            "tool-plan-delta" => self.plan(delta, sink),
            "tool-call-start" | "tool-call-delta" => self.call(index, kind == "tool-call-start", delta, sink),
            _ => {
                delta.citations.into_iter().for_each(|citation| self.cite(citation, sink));
                Decoded::Taken
            }
        }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        if matches!(self.state, State::Ended | State::Failed) || &*frame.data == b"[DONE]" {
            return Decoded::Taken;
        }
        let event: StreamEvent<'_> = match crate::json::from_slice(&frame.data) {
            Ok(event) => event,
            Err(error) => return Decoded::Corrupt(error.to_string()),
        };
        self.start(event.id.clone(), sink);
        self.take(event, sink)
    }

    fn finish(&mut self, _: &mut dyn Sink) -> Result<(), Failure> {
        match self.state {
            State::Ended | State::Failed => Ok(()),
            State::Waiting | State::Started => Err(Failure::truncated("no message-end")),
        }
    }

    fn ended(&self) -> bool {
        self.state == State::Ended
    }
}
