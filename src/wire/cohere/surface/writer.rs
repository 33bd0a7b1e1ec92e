//! Writes a stream for a caller of `/v2/chat`: typed events, contents and calls numbered apart.
//!
//! Source: <https://docs.cohere.com/v2/docs/streaming>; recordings `cohere.thinking-stream.5c8eed34d5`,
//! `cohere.tools-stream.9c0b37e9f3`.

use crate::chat::{Arguments, BlockKind, EndKind, EndReason, Event, Signature, Sink};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::sorted::SortedMap;
use crate::wire::carried::Owner;
use crate::wire::{Closing, Naming, StreamWriter, sse};

use super::trailer::Trailer;
use super::{reply, usage};

/// Writes `message-start`, contents, calls, citations and `message-end`.
#[derive(Debug)]
pub struct Writer {
    naming: Naming,
    out: Vec<u8>,
    id: Text<'static>,
    started: bool,
    contents: u32,
    calls: u32,
    citations: u32,
    /// Open blocks by the hub's number.
    blocks: SortedMap<u32, Block>,
    waiting: Option<Waiting>,
    trailer: Trailer,
    end: Option<EndReason<'static>>,
}

#[derive(Clone, Copy, Debug)]
enum Block {
    /// Its number among the contents, once it has any.
    Content {
        thinks: bool,
        index: Option<u32>,
    },
    Call {
        index: u32,
    },
}

/// A call that has begun and that nothing more is known of: what signs it may still come, and goes into its id.
#[derive(Debug)]
struct Waiting {
    block: u32,
    id: Text<'static>,
    name: Text<'static>,
}

impl Writer {
    /// A writer for one stream.
    #[must_use]
    pub fn new(naming: Naming) -> Writer {
        Writer {
            naming,
            out: Vec::new(),
            id: Text::EMPTY,
            started: false,
            contents: 0,
            calls: 0,
            citations: 0,
            blocks: SortedMap::new(),
            waiting: None,
            trailer: Trailer::default(),
            end: None,
        }
    }

    /// Forgets what is not taken yet: the caller has it already.
    pub(super) fn discard(&mut self) {
        self.out.clear();
    }

    /// Goes on where a caller is who has read so many contents of a stream that this followed; `open` is the number of
    /// the one that has not ended.
    pub(super) fn go_on(&mut self, contents: u32, mut open: Option<u32>) {
        self.out.clear();
        self.started = true;
        self.contents = contents;
        for block in self.blocks.values_mut().rev() {
            if let Block::Content { index, .. } = block {
                // Others are plans, which have no number.
                *index = open.take();
            }
        }
        if let Some(index) = open {
            self.ended("content-end", index);
        }
    }

    /// `message-start`, before anything else.
    fn start(&mut self) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let Writer { naming, id, out, .. } = self;
        sse::write_object(
            "message-start",
            |event| {
                reply::write_id(id, naming, event);
                event.object("delta", |delta| {
                    delta.object("message", |message| {
                        message.string("role", "assistant").array("content", |_| {}).string("tool_plan", "");
                        message.array("tool_calls", |_| {}).array("citations", |_| {});
                    });
                });
            },
            out,
        );
    }

    /// An event with a number and a `delta.message`.
    fn message(&mut self, name: &str, index: u32, members: impl FnOnce(&mut Object<'_>)) {
        self.start();
        sse::write_object(
            name,
            |event| {
                event.number("index", index).object("delta", |delta| {
                    delta.object("message", members);
                });
            },
            &mut self.out,
        );
    }

    /// An event that ends something.
    fn ended(&mut self, name: &str, index: u32) {
        sse::write_object(
            name,
            |event| {
                event.number("index", index);
            },
            &mut self.out,
        );
    }

    fn words(&mut self, block: u32, text: &Text<'_>) {
        if text.is_empty() {
            return;
        }
        match self.blocks.get(&block).copied() {
            Some(Block::Content { thinks, index }) => {
                let key = if thinks { "thinking" } else { "text" };
                let index = index.unwrap_or_else(|| self.begin(block, thinks, key));
                self.message("content-delta", index, |message| {
                    message.object("content", |content| {
                        content.text(key, text);
                    });
                });
            }
            Some(Block::Call { index }) => self.message("tool-call-delta", index, |message| {
                message.object("tool_calls", |call| {
                    call.object("function", |function| {
                        function.text("arguments", text);
                    });
                });
            }),
            None => {}
        }
    }

    fn begin(&mut self, block: u32, thinks: bool, key: &str) -> u32 {
        let index = self.contents;
        self.contents = index.saturating_add(1);
        self.blocks.insert(block, Block::Content { thinks, index: Some(index) });
        self.message("content-start", index, |message| {
            message.object("content", |content| {
                content.string("type", key).string(key, "");
            });
        });
        index
    }

    /// The call that waits is told now.
    fn begin_call(&mut self) {
        let Some(Waiting { block, id, name }) = self.waiting.take() else { return };
        let index = self.calls;
        self.calls = index.saturating_add(1);
        self.blocks.insert(block, Block::Call { index });
        let id = self.trailer.on(&id).into_owned();
        self.message("tool-call-start", index, |message| {
            message.object("tool_calls", |call| {
                reply::write_call(&id, &name, &Arguments::Quoted(Text::EMPTY), call);
            });
        });
    }

    fn sign(&mut self, block: u32, signature: &Signature<'_>) {
        let waiting = self.waiting.as_ref().filter(|waiting| waiting.block == block);
        let owner = match (waiting, self.blocks.get(&block)) {
            (Some(call), _) => Owner::Call(call.id.decode().into_owned()),
            (None, Some(Block::Content { thinks: false, .. })) => Owner::Text,
            (None, Some(Block::Content { index: Some(_), .. })) => Owner::Thought,
            (None, Some(Block::Content { index: None, .. })) => Owner::Here,
            // A call that was told already has no room left.
            (None, Some(Block::Call { .. }) | None) => return,
        };
        self.trailer.push(signature, &owner, &self.naming.carrier);
    }

    fn end_block(&mut self, block: u32) {
        match self.blocks.remove(&block) {
            Some(Block::Content { index: Some(index), .. }) => self.ended("content-end", index),
            Some(Block::Call { index }) => self.ended("tool-call-end", index),
            Some(Block::Content { index: None, .. }) | None => {}
        }
    }
}

impl Sink for Writer {
    fn event(&mut self, event: Event<'_>) {
        if !matches!(event, Event::BlockSignature { .. } | Event::Usage(_)) {
            self.begin_call();
        }
        match event {
            Event::Start { id, .. } => self.id = id.into_owned(),
            Event::BlockStart { choice: 0, block, kind } => {
                self.blocks.insert(block, Block::Content { thinks: kind == BlockKind::Reasoning, index: None });
            }
            Event::ToolCallStart { choice: 0, block, id, name } => {
                self.waiting = Some(Waiting { block, id: id.into_owned(), name: name.into_owned() });
            }
            Event::BlockSignature { choice: 0, block, signature } => self.sign(block, &signature),
            Event::TextDelta { choice: 0, block, text }
            | Event::ReasoningDelta { choice: 0, block, text }
            | Event::RefusalDelta { choice: 0, block, text }
            | Event::ToolCallDelta { choice: 0, block, arguments: text } => self.words(block, &text),
            Event::BlockCitation { choice: 0, block, citation } => {
                let at = match self.blocks.get(&block) {
                    Some(Block::Content { index: Some(index), .. }) => usize::try_from(*index).unwrap_or(0),
                    _ => 0,
                };
                let index = self.citations;
                self.citations = index.saturating_add(1);
                self.message("citation-start", index, |message| {
                    message.object("citations", |object| reply::write_citation(at, &citation, object));
                });
                self.ended("citation-end", index);
            }
            Event::BlockEnd { choice: 0, block } => self.end_block(block),
            Event::End { choice: 0, reason } => {
                self.end = Some(reason.into_owned());
            }
            // There is one choice and no media; usage comes with the end, and failures are the gateway's to tell.
            _ => {}
        }
    }
}

impl StreamWriter for Writer {
    fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    fn close(&mut self, closing: &Closing) {
        self.start();
        let plain = EndReason::plain(EndKind::Other);
        let reason = reply::finish_reason(self.end.as_ref().unwrap_or(&plain), self.calls > 0);
        sse::write_object(
            "message-end",
            |event| {
                event.object("delta", |delta| {
                    delta.string("finish_reason", reason).object("usage", |object| usage::write(closing, object));
                });
                if let Some(latchkey) = &closing.latchkey {
                    event.raw("latchkey", latchkey);
                }
            },
            &mut self.out,
        );
        self.out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, failure: &Failure, _: &Closing) {
        write_failure_event(failure, &mut self.out);
    }

    fn keep_alive(&mut self) {
        self.out.extend_from_slice(b": keep-alive\n\n");
    }
}

/// The end of a stream that broke off, as the provider tells it (`cohere.tools-stream.99e67fcab5`): an error in place of
/// the usage, and no `[DONE]` behind it.
pub(super) fn write_failure_event(failure: &Failure, out: &mut Vec<u8>) {
    sse::write_object(
        "message-end",
        |event| {
            event.object("delta", |delta| {
                delta.string("finish_reason", "ERROR").string("error", &failure.message);
                if let Some(code) = &failure.code {
                    delta.string("error_type", code);
                }
            });
        },
        out,
    );
}
