//! Streams: the frame's name says what its payload is; blocks by index; `metadata` with the usage behind the stop.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html>; recordings
//! `bedrock.tools-stream.b7c20e63d4`, `bedrock.thinking-stream.58788c18fe` (an empty block before the first),
//! `bedrock.document-stream.1d52f58e95` (citations), `bedrock.server-tools-stream.91706cac36`.

use super::answer::picture;
use super::types::{Delta, ReasoningDelta, Start, StreamEvent, ToolUse};
use super::{ending, error, replaces, signs};
use crate::chat::{BlockKind, EndReason, Event, Signature, Sink};
use crate::failure::Failure;
use crate::json::Text;
use crate::provider::Quirks;
use crate::wire::structured::{self, Unwrapping};
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

/// More blocks than this at once are no answer but an attack on memory.
const MAX_OPEN: usize = 1024;

/// Decodes a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    open: Vec<Open>,
    /// The number of the next block, which counts only those that the hub knows.
    next: u32,
    /// A tool of the caller's was called.
    called: bool,
    /// The structured answer has begun.
    answered: bool,
    answer: Unwrapping,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Waiting,
    Started,
    /// The stop reason came.
    Stopped,
    /// What comes behind it came, too.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Text,
    Reasoning,
    /// A call's arguments, or the structured answer that came as one.
    Input {
        as_text: bool,
        begun: bool,
    },
    /// Something that only the provider's own tools need.
    Nothing,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(_: &Quirks) -> Decoder {
        Decoder::default()
    }

    fn start(&mut self, sink: &mut dyn Sink) {
        if self.state == State::Waiting {
            self.state = State::Started;
            sink.event(Event::Start { id: Text::EMPTY, model: Text::EMPTY, created: None });
        }
    }

    fn block_start(&mut self, index: u32, start: Option<Start<'_>>, sink: &mut dyn Sink) -> Decoded {
        self.block_stop(index, sink);
        let Some(start) = start else { return self.open(index, Holds::Nothing, sink).err().unwrap_or(Decoded::Taken) };
        let opened = match start.tool_use {
            Some(call) => self.call_start(index, call, sink),
            // Results of the provider's own tools, and what only its deltas tell.
            None => self.open(index, Holds::Nothing, sink).map(|_| ()),
        };
        opened.err().unwrap_or(Decoded::Taken)
    }

    fn call_start(&mut self, index: u32, call: ToolUse<'_>, sink: &mut dyn Sink) -> Result<(), Decoded> {
        let name = call.name.unwrap_or_default();
        let as_text = structured::is_tool(&name);
        let is_ours = as_text && std::mem::replace(&mut self.answered, true);
        if is_ours || call.kind.is_some_and(|kind| kind.is("server_tool_use")) {
            return self.open(index, Holds::Nothing, sink).map(|_| ());
        }
        let block = self.open(index, Holds::Input { as_text, begun: false }, sink)?;
        if !as_text {
            self.called = true;
            sink.event(Event::ToolCallStart { choice: 0, block, id: call.tool_use_id.unwrap_or_default(), name });
        }
        Ok(())
    }

    /// Opens a block and answers its number.
    fn open(&mut self, index: u32, holds: Holds, sink: &mut dyn Sink) -> Result<u32, Decoded> {
        if self.open.len() >= MAX_OPEN {
            return Err(Decoded::Corrupt("too many blocks are open at once".to_owned()));
        }
        let block = self.next;
        let kind = match holds {
            Holds::Text | Holds::Input { as_text: true, .. } => Some(BlockKind::Text),
            Holds::Reasoning => Some(BlockKind::Reasoning),
            Holds::Input { .. } | Holds::Nothing => None,
        };
        if let Some(kind) = kind {
            sink.event(Event::BlockStart { choice: 0, block, kind });
        }
        self.next += u32::from(holds != Holds::Nothing);
        self.open.push(Open { index, block, holds });
        Ok(block)
    }

    fn block_delta(&mut self, index: u32, delta: Delta<'_>, sink: &mut dyn Sink) -> Decoded {
        let result = match delta {
            Delta { text: Some(text), .. } => self.text(index, text, sink),
            Delta { reasoning_content: Some(reasoning), .. } => self.reasoning(index, reasoning, sink),
            Delta { tool_use: Some(piece), .. } => self.input(index, piece.input.unwrap_or_default(), sink),
            Delta { citation: Some(citation), .. } => self.block_of(index, Holds::Text, sink).map(|block| {
                sink.event(Event::BlockCitation { choice: 0, block, citation: citation.into_hub() });
            }),
            Delta { image: Some(image), .. } => {
                if let Some(media) = picture(image) {
                    sink.event(Event::MediaDelta { choice: 0, media });
                }
                Ok(())
            }
            _ => Err(Decoded::Unknown),
        };
        result.err().unwrap_or(Decoded::Taken)
    }

    /// The number of the open block of `index`, opened here where a delta is the first that is heard of it, or the first
    /// that says what its start did not.
    fn block_of(&mut self, index: u32, wanted: Holds, sink: &mut dyn Sink) -> Result<u32, Decoded> {
        match self.open.iter().find(|open| open.index == index) {
            Some(open) if open.holds == wanted => Ok(open.block),
            Some(open) if open.holds != Holds::Nothing => {
                Err(Decoded::Corrupt(format!("block {index} holds something else")))
            }
            _ => {
                self.open.retain(|open| open.index != index);
                self.open(index, wanted, sink)
            }
        }
    }

    fn text(&mut self, index: u32, text: Text<'_>, sink: &mut dyn Sink) -> Result<(), Decoded> {
        if text.is_empty() {
            return Ok(());
        }
        let block = self.block_of(index, Holds::Text, sink)?;
        sink.event(Event::TextDelta { choice: 0, block, text });
        Ok(())
    }

    fn reasoning(&mut self, index: u32, delta: ReasoningDelta<'_>, sink: &mut dyn Sink) -> Result<(), Decoded> {
        let block = self.block_of(index, Holds::Reasoning, sink)?;
        if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
            sink.event(Event::ReasoningDelta { choice: 0, block, text });
        }
        let mut sign = |signature: Signature<'_>| sink.event(Event::BlockSignature { choice: 0, block, signature });
        if let Some(data) = delta.signature.filter(|data| !data.is_empty()) {
            sign(signs(data));
        }
        if let Some(redacted) = &delta.redacted_content {
            sign(replaces(redacted));
        }
        Ok(())
    }

    fn input(&mut self, index: u32, piece: Text<'_>, sink: &mut dyn Sink) -> Result<(), Decoded> {
        let open = self.open.iter_mut().find(|open| open.index == index);
        match open.map(|open| (open.block, &mut open.holds)) {
            Some((block, Holds::Input { as_text, begun })) => {
                if !piece.is_empty() {
                    *begun = true;
                    input(as_text.then_some(&mut self.answer), block, piece, sink);
                }
                Ok(())
            }
            Some((_, Holds::Nothing)) => Ok(()),
            _ => Err(Decoded::Corrupt(format!("input for block {index}, which is no call"))),
        }
    }

    fn block_stop(&mut self, index: u32, sink: &mut dyn Sink) {
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            close(&self.open.remove(at), &mut self.answer, sink);
        }
    }

    fn message_stop(&mut self, reason: Option<Text<'_>>, sink: &mut dyn Sink) {
        if self.state != State::Started {
            return;
        }
        self.open.drain(..).for_each(|open| close(&open, &mut self.answer, sink));
        self.state = State::Stopped;
        let kind = ending::kind(reason.as_ref().map_or("", Text::escaped), self.called);
        sink.event(Event::End { choice: 0, reason: EndReason::new(kind, reason) });
    }

    fn take(&mut self, kind: &str, event: StreamEvent<'_>, sink: &mut dyn Sink) -> Decoded {
        let late = matches!(self.state, State::Stopped | State::Ended);
        match (kind, event.content_block_index) {
            ("messageStart", _) => {}
            ("contentBlockStart" | "contentBlockDelta" | "contentBlockStop", _) if late => {}
            ("contentBlockStart", Some(index)) => return self.block_start(index, event.start, sink),
            ("contentBlockDelta", Some(index)) => match event.delta {
                Some(delta) => return self.block_delta(index, delta, sink),
                None => return Decoded::Corrupt("a delta without content".to_owned()),
            },
            ("contentBlockStop", Some(index)) => self.block_stop(index, sink),
            ("contentBlockStart" | "contentBlockDelta" | "contentBlockStop", None) => {
                return Decoded::Corrupt(format!("a {kind} without its index"));
            }
            ("messageStop", _) => self.message_stop(event.stop_reason, sink),
            _ => {
                let tier = event.service_tier.and_then(|tier| tier.kind).map(|tier| tier.decode().into_owned());
                if let Some(usage) = event.usage.and_then(|counts| counts.usage(tier)) {
                    sink.event(Event::Usage(usage));
                }
                if self.state == State::Stopped {
                    self.state = State::Ended;
                }
            }
        }
        Decoded::Taken
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        if matches!(self.state, State::Ended | State::Failed) {
            return Decoded::Taken;
        }
        let kind = match std::str::from_utf8(frame.event) {
            Ok(kind) => kind,
            Err(_) => return Decoded::Unknown,
        };
        if let Some(fault) = kind.strip_prefix("exception:").or_else(|| kind.strip_prefix("error:")) {
            self.state = State::Failed;
            sink.event(Event::Failed(error::of_event(fault, &frame.data)));
            return Decoded::Taken;
        }
        const KNOWN: [&str; 6] =
            ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];
        if !KNOWN.contains(&kind) {
            return Decoded::Unknown;
        }
        match crate::json::from_slice::<StreamEvent<'_>>(&frame.data) {
            Ok(event) => {
                self.start(sink);
                self.take(kind, event, sink)
            }
            Err(error) => Decoded::Corrupt(error.to_string()),
        }
    }

    fn finish(&mut self, _: &mut dyn Sink) -> Result<(), Failure> {
        match self.state {
            State::Stopped | State::Ended | State::Failed => Ok(()),
            State::Waiting | State::Started => Err(Failure::truncated("no messageStop")),
        }
    }

    fn ended(&self) -> bool {
        self.state == State::Ended
    }
}

fn close(open: &Open, answer: &mut Unwrapping, sink: &mut dyn Sink) {
    match open.holds {
        Holds::Nothing => return,
        // A tool without arguments may send none.
        Holds::Input { as_text, begun: false } => {
            input(as_text.then_some(answer), open.block, Text::from_escaped("{}"), sink);
        }
        Holds::Input { .. } | Holds::Text | Holds::Reasoning => {}
    }
    sink.event(Event::BlockEnd { choice: 0, block: open.block });
}

/// Gives a piece of a call's arguments, or of the `answer` that came as one.
fn input(answer: Option<&mut Unwrapping>, block: u32, piece: Text<'_>, sink: &mut dyn Sink) {
    match answer {
        Some(answer) => answer.push(block, piece, sink),
        None => sink.event(Event::ToolCallDelta { choice: 0, block, arguments: piece }),
    }
}
