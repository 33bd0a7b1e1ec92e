//! Streams: a document a line, the last of which says `done`. Calls come whole.
//!
//! Recordings `ollama.tools-stream.db0f60def2` (thinking, then a call), `ollama.chat-stream.d66e083b7b`.

use super::types::{Answer, ToolCall};
use super::{end, error, minted};
use crate::chat::{BlockKind, EndReason, Event, Sink};
use crate::failure::Failure;
use crate::json::{Raw, Text};
use crate::provider::Quirks;
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

/// Decodes a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The block that deltas go to.
    open: Option<(BlockKind, u32)>,
    /// The number of the next block.
    next: u32,
    /// How many calls there were.
    calls: u32,
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

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(_: &Quirks) -> Decoder {
        Decoder::default()
    }

    /// More of what is said or thought; a change from one to the other begins a block.
    fn words(&mut self, kind: BlockKind, text: Option<Text<'_>>, sink: &mut dyn Sink) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let block = match self.open {
            Some((open, block)) if open == kind => block,
            _ => {
                self.close(sink);
                let block = self.number();
                self.open = Some((kind, block));
                sink.event(Event::BlockStart { choice: 0, block, kind });
                block
            }
        };
        sink.event(match kind {
            BlockKind::Reasoning => Event::ReasoningDelta { choice: 0, block, text },
            _ => Event::TextDelta { choice: 0, block, text },
        });
    }

    fn call(&mut self, call: ToolCall<'_>, created_at: &str, sink: &mut dyn Sink) {
        self.close(sink);
        let (choice, block) = (0, self.number());
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| minted(created_at, self.calls));
        self.calls += 1;
        sink.event(Event::ToolCallStart { choice, block, id, name: call.function.name.unwrap_or_default() });
        let arguments = call.function.arguments.filter(Raw::is_object).unwrap_or(Raw::EMPTY_OBJECT);
        sink.event(Event::ToolCallDelta { choice, block, arguments: Text::escape(arguments.get()) });
        sink.event(Event::BlockEnd { choice, block });
    }

    fn close(&mut self, sink: &mut dyn Sink) {
        if let Some((_, block)) = self.open.take() {
            sink.event(Event::BlockEnd { choice: 0, block });
        }
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        if matches!(self.state, State::Ended | State::Failed) {
            return Decoded::Taken;
        }
        let line: Answer<'_> = match crate::json::from_slice(&frame.data) {
            Ok(line) => line,
            Err(error) => return Decoded::Corrupt(error.to_string()),
        };
        if let Some(error) = &line.error {
            self.state = State::Failed;
            sink.event(Event::Failed(error::of_line(error)));
            return Decoded::Taken;
        }
        if line.message.is_none() && !line.done {
            return Decoded::Unknown;
        }
        let usage = line.usage();
        if self.state == State::Waiting {
            self.state = State::Started;
            let model = line.model.unwrap_or_default();
            sink.event(Event::Start { id: Text::EMPTY, model, created: None });
        }
        let created_at = line.created_at.unwrap_or_default();
        if let Some(message) = line.message {
            self.words(BlockKind::Reasoning, message.thinking, sink);
            self.words(BlockKind::Text, message.content, sink);
            for call in message.tool_calls.unwrap_or_default() {
                self.call(call, created_at.escaped(), sink);
            }
        }
        usage.into_iter().for_each(|usage| sink.event(Event::Usage(usage)));
        if line.done {
            self.close(sink);
            self.state = State::Ended;
            let kind = end(line.done_reason.as_ref(), self.calls > 0);
            sink.event(Event::End { choice: 0, reason: EndReason::new(kind, line.done_reason) });
        }
        Decoded::Taken
    }

    fn finish(&mut self, _: &mut dyn Sink) -> Result<(), Failure> {
        match self.state {
            State::Ended | State::Failed => Ok(()),
            State::Waiting | State::Started => Err(Failure::truncated("no line says that it is done")),
        }
    }

    fn ended(&self) -> bool {
        self.state == State::Ended
    }
}
