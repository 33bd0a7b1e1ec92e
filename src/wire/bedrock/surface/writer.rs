//! Writes a stream for a caller of ConverseStream.
//!
//! Every block has its number, so blocks may overlap as they do elsewhere. Text and reasoning begin with their first
//! delta; `messageStop` and the usage behind it are the gateway's to write, so that nothing looks finished before it is.

use crate::chat::{BlockKind, EndKind, EndReason, Event, Signature, SignatureRole, Sink};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::sorted::SortedMap;
use crate::wire::bedrock::SIGNED;
use crate::wire::carried::Owner;
use crate::wire::framing::event_stream::{write_event, write_exception};
use crate::wire::{Closing, Naming, StreamWriter};

use super::{failure, reply};

/// Writes `messageStart`, blocks, `messageStop` and `metadata`.
#[derive(Debug)]
pub struct Writer {
    naming: Naming,
    out: Vec<u8>,
    started: bool,
    /// The number of the next block that is written.
    next: u32,
    /// Open blocks by the hub's number.
    blocks: SortedMap<u32, Block>,
    calls: bool,
    refused: bool,
    end: Option<EndReason<'static>>,
}

#[derive(Debug)]
struct Block {
    /// Its number here, once something of it was written.
    index: Option<u32>,
    holds: Holds,
    /// The signature of a call or a text: it goes into a block of its own.
    apart: Option<Signature<'static>>,
}

#[derive(Debug)]
enum Holds {
    Text,
    Thought,
    Call(Text<'static>),
}

impl Writer {
    /// A writer for one stream.
    #[must_use]
    pub fn new(naming: Naming) -> Writer {
        Writer {
            naming,
            out: Vec::new(),
            started: false,
            next: 0,
            blocks: SortedMap::new(),
            calls: false,
            refused: false,
            end: None,
        }
    }

    /// Forgets what is not taken yet: the caller has it already.
    pub(super) fn discard(&mut self) {
        self.out.clear();
    }

    /// Goes on where a caller is who has read so many blocks of a stream that this followed; `open` is the number of
    /// the one that has not ended.
    pub(super) fn go_on(&mut self, blocks: u32, open: Option<u32>) {
        self.out.clear();
        self.started = true;
        self.next = blocks;
        match (open, self.blocks.values_mut().next_back()) {
            (Some(index), Some(block)) => block.index = Some(index),
            // One of which nothing was said.
            (Some(index), None) => self.stop(index),
            (None, _) => {}
        }
    }

    fn start(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            write_event("messageStart", br#"{"role":"assistant"}"#, &mut self.out);
        }
    }

    fn open(&mut self, block: u32, holds: Holds) {
        self.blocks.insert(block, Block { index: None, holds, apart: None });
    }

    /// The number of a block here, given out with the first that is written of it.
    fn index(&mut self, block: u32) -> Option<u32> {
        self.start();
        let Writer { blocks, next, .. } = self;
        let known = blocks.get_mut(&block)?;
        Some(*known.index.get_or_insert_with(|| {
            let index = *next;
            *next = next.saturating_add(1);
            index
        }))
    }

    fn begin_call(&mut self, block: u32, id: &Text<'_>, name: &Text<'_>) {
        self.calls = true;
        self.open(block, Holds::Call(id.borrowed().into_owned()));
        let Some(index) = self.index(block) else { return };
        self.write("contentBlockStart", |event| {
            event.number("contentBlockIndex", index).object("start", |start| {
                start.object("toolUse", |call| {
                    call.text("toolUseId", id).text("name", name);
                });
            });
        });
    }

    fn words(&mut self, block: u32, text: &Text<'_>) {
        let Some(known) = self.blocks.get(&block) else { return };
        if text.is_empty() {
            return;
        }
        let wrapper = match known.holds {
            Holds::Text => None,
            Holds::Thought => Some(("reasoningContent", "text")),
            Holds::Call(_) => Some(("toolUse", "input")),
        };
        self.delta(block, |delta| match wrapper {
            None => {
                delta.text("text", text);
            }
            Some((member, key)) => {
                delta.object(member, |inside| {
                    inside.text(key, text);
                });
            }
        });
    }

    fn sign(&mut self, block: u32, signature: Signature<'_>) {
        let Some(known) = self.blocks.get_mut(&block) else { return };
        if !matches!(known.holds, Holds::Thought) {
            known.apart = Some(signature.into_owned());
            return;
        }
        let replaces = signature.role == SignatureRole::Replaces && known.index.is_none();
        let carrier = &self.naming.carrier;
        let (member, carried) = if replaces {
            ("redactedContent", reply::redacted(&signature, &Owner::Here, carrier))
        } else {
            ("signature", carrier.wrap(&signature, SIGNED, &Owner::Here).into_owned())
        };
        self.delta(block, |delta| {
            delta.object("reasoningContent", |reasoning| {
                reasoning.text(member, &carried);
            });
        });
    }

    fn delta(&mut self, block: u32, members: impl FnOnce(&mut Object<'_>)) {
        let Some(index) = self.index(block) else { return };
        self.write("contentBlockDelta", |event| {
            event.number("contentBlockIndex", index).object("delta", members);
        });
    }

    fn end_block(&mut self, block: u32) {
        let Some(Block { index, holds, apart }) = self.blocks.remove(&block) else { return };
        if let Some(index) = index {
            self.stop(index);
        }
        let Some(signature) = apart else { return };
        let owner = match holds {
            Holds::Call(id) => Owner::Call(id.decode().into_owned()),
            Holds::Text | Holds::Thought => Owner::Text,
        };
        self.start();
        let index = self.next;
        self.next = self.next.saturating_add(1);
        let carried = reply::redacted(&signature, &owner, &self.naming.carrier);
        self.write("contentBlockDelta", |event| {
            event.number("contentBlockIndex", index).object("delta", |delta| {
                delta.object("reasoningContent", |reasoning| {
                    reasoning.text("redactedContent", &carried);
                });
            });
        });
        self.stop(index);
    }

    fn stop(&mut self, index: u32) {
        self.write("contentBlockStop", |event| {
            event.number("contentBlockIndex", index);
        });
    }

    fn write(&mut self, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        let mut payload = Vec::with_capacity(128);
        let mut object = Object::open(&mut payload);
        members(&mut object);
        object.close();
        write_event(name, &payload, &mut self.out);
    }
}

impl Sink for Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::BlockStart { choice: 0, block, kind } => match kind {
                BlockKind::Reasoning => self.open(block, Holds::Thought),
                BlockKind::Refusal => {
                    self.refused = true;
                    self.open(block, Holds::Text);
                }
                BlockKind::Text => self.open(block, Holds::Text),
            },
            Event::ToolCallStart { choice: 0, block, id, name } => self.begin_call(block, &id, &name),
            Event::TextDelta { choice: 0, block, text }
            | Event::ReasoningDelta { choice: 0, block, text }
            | Event::RefusalDelta { choice: 0, block, text }
            | Event::ToolCallDelta { choice: 0, block, arguments: text } => self.words(block, &text),
            Event::BlockSignature { choice: 0, block, signature } => self.sign(block, signature),
            Event::BlockCitation { choice: 0, block, citation } => {
                self.delta(block, |delta| {
                    delta.object("citation", |object| reply::write_citation(&citation, object));
                });
            }
            Event::MediaDelta { choice: 0, media } => {
                self.start();
                let index = self.next;
                self.next = self.next.saturating_add(1);
                self.write("contentBlockDelta", |event| {
                    event.number("contentBlockIndex", index).object("delta", |delta| reply::write_media(&media, delta));
                });
                self.stop(index);
            }
            Event::BlockEnd { choice: 0, block } => self.end_block(block),
            Event::End { choice: 0, reason } => {
                self.end = Some(reason.into_owned());
            }
            // There is one choice; usage comes with the end, and failures are the gateway's to tell.
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
        let reason = reply::stop_reason(self.end.as_ref().unwrap_or(&plain), self.calls, self.refused);
        self.write("messageStop", |event| {
            event.string("stopReason", reason);
        });
        self.write("metadata", |event| reply::write_metadata(closing, event));
    }

    fn fail(&mut self, failure: &Failure, _: &Closing) {
        let kind = failure::exception_in_stream(failure.kind);
        write_exception(kind, &failure::write_failure(failure), &mut self.out);
    }

    /// An event of a kind that SDKs pass by.
    fn keep_alive(&mut self) {
        self.start();
        write_event("ping", b"{}", &mut self.out);
    }
}
