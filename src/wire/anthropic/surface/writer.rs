//! Writes a stream for a caller of Messages.
//!
//! Blocks follow one another here, while other protocols let them overlap: what comes for a later block waits until
//! those before it are complete. A block begins with its first content, so that none is empty.

use std::collections::VecDeque;

use crate::chat::{BlockKind, Citation, EndKind, EndReason, Event, Signature, SignatureRole, Sink, Usage};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::wire::anthropic::SIGNED;
use crate::wire::carried::Owner;
use crate::wire::{Closing, Naming, StreamWriter, sse};

use super::{failure, reply, usage};

/// Writes `message_start`, blocks, `message_delta` and `message_stop`.
#[derive(Debug)]
pub struct Writer {
    naming: Naming,
    out: Vec<u8>,
    id: Text<'static>,
    model: Text<'static>,
    started: bool,
    /// The last count, for `message_start`: what is known of the input by then.
    usage: Option<Usage>,
    /// The number of the next block that is written.
    next: u32,
    /// Blocks in the order in which they began; the first is the one that is written.
    blocks: VecDeque<Block>,
    calls: bool,
    refusal: Option<Text<'static>>,
    end: Option<EndReason<'static>>,
}

/// A block between its start and the end of its writing.
#[derive(Debug)]
struct Block {
    /// The hub's number.
    block: u32,
    kind: Kind,
    /// It has been begun in the output.
    begun: bool,
    /// What came while another block was being written.
    waiting: Vec<Piece>,
    /// The signature of a call or a text: it goes into a block of its own.
    apart: Option<Signature<'static>>,
    ended: bool,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thought,
    Refusal,
    Call { id: Text<'static>, name: Text<'static> },
}

#[derive(Debug)]
enum Piece {
    Words(Text<'static>),
    Signature(Signature<'static>),
    Citation(Citation<'static>),
}

impl Writer {
    /// A writer for one stream.
    #[must_use]
    pub fn new(naming: Naming) -> Writer {
        Writer {
            naming,
            out: Vec::new(),
            id: Text::EMPTY,
            model: Text::EMPTY,
            started: false,
            usage: None,
            next: 0,
            blocks: VecDeque::new(),
            calls: false,
            refusal: None,
            end: None,
        }
    }

    /// Forgets what is not taken yet: the caller has it already.
    pub(super) fn discard(&mut self) {
        self.out.clear();
    }

    /// Goes on where a caller is who has read so many blocks of a stream that this followed; the last is `open` or not.
    pub(super) fn go_on(&mut self, blocks: u32, open: bool) {
        self.out.clear();
        self.started = true;
        self.next = if open { blocks.saturating_sub(1) } else { blocks };
        match self.blocks.front_mut() {
            Some(front) => front.begun = open,
            // One that nobody here models.
            None if open => self.stop_block(),
            None => {}
        }
    }

    fn stop_reason(&self) -> Result<&'static str, Failure> {
        let plain = EndReason::plain(EndKind::Other);
        reply::stop_reason(self.end.as_ref().unwrap_or(&plain), self.calls, self.refusal.as_ref())
    }

    fn event(&mut self, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        sse::write_object(name, members, &mut self.out);
    }

    /// `message_start`, before anything else.
    fn start(&mut self) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let Writer { naming, id, model, usage, out, .. } = self;
        let none = Usage::default();
        let counted = usage.as_ref().unwrap_or(&none);
        sse::write_object(
            "message_start",
            |event| {
                event.object("message", |message| {
                    reply::write_head(id, model, naming, message);
                    message.array("content", |_| {}).null("stop_reason").null("stop_sequence");
                    message.object("usage", |object| {
                        usage::write_input(counted, object);
                        object.number("output_tokens", 0);
                    });
                });
            },
            out,
        );
    }

    fn open(&mut self, block: u32, kind: Kind) {
        self.calls |= matches!(kind, Kind::Call { .. });
        let block = Block { block, kind, begun: false, waiting: Vec::new(), apart: None, ended: false };
        self.blocks.push_back(block);
    }

    /// Writes a piece of a block, or keeps it until it is the block's turn.
    fn piece(&mut self, block: u32, piece: Piece) {
        let Some(at) = self.blocks.iter().position(|known| known.block == block) else { return };
        if at == 0 {
            self.write(piece);
        } else if let Some(waiting) = self.blocks.get_mut(at) {
            waiting.keep(piece);
        }
    }

    /// Words of a block; the common case, which copies them once.
    fn words(&mut self, block: u32, text: &Text<'_>) {
        match self.blocks.front() {
            Some(front) if front.block == block => self.write_words(text),
            _ => self.piece(block, Piece::Words(text.borrowed().into_owned())),
        }
    }

    /// Writes a piece of the first block.
    fn write(&mut self, piece: Piece) {
        match piece {
            Piece::Words(text) => self.write_words(&text),
            Piece::Signature(signature) => self.write_signature(signature),
            Piece::Citation(citation) => {
                self.begin();
                let index = self.next;
                self.event("content_block_delta", |event| {
                    event.number("index", index).object("delta", |delta| {
                        delta.string("type", "citations_delta");
                        delta.object("citation", |object| reply::write_citation(&citation, object));
                    });
                });
            }
        }
    }

    fn write_words(&mut self, text: &Text<'_>) {
        let (kind, key) = match self.blocks.front().map(|front| &front.kind) {
            Some(Kind::Text) => ("text_delta", "text"),
            Some(Kind::Thought) if self.naming.omit_thoughts => return,
            Some(Kind::Thought) => ("thinking_delta", "thinking"),
            Some(Kind::Call { .. }) => ("input_json_delta", "partial_json"),
            Some(Kind::Refusal) => {
                self.refusal.get_or_insert_default().push(text);
                return;
            }
            None => return,
        };
        if text.is_empty() {
            return;
        }
        self.begin();
        let index = self.next;
        self.event("content_block_delta", |event| {
            event.number("index", index).object("delta", |delta| {
                delta.string("type", kind).text(key, text);
            });
        });
    }

    fn write_signature(&mut self, signature: Signature<'static>) {
        let Some(front) = self.blocks.front_mut() else { return };
        if !matches!(front.kind, Kind::Thought) {
            front.apart = Some(signature);
            return;
        }
        if signature.role == SignatureRole::Replaces && !front.begun {
            self.write_apart(&signature, &Owner::Here);
            return;
        }
        self.begin();
        let index = self.next;
        let carried = self.naming.carrier.wrap(&signature, SIGNED, &Owner::Here).into_owned();
        self.event("content_block_delta", |event| {
            event.number("index", index).object("delta", |delta| {
                delta.string("type", "signature_delta").text("signature", &carried);
            });
        });
    }

    /// `content_block_start` of the first block, once; before it the signature of a call, where that is known by now.
    fn begin(&mut self) {
        self.start();
        let Some(front) = self.blocks.front_mut() else { return };
        if std::mem::replace(&mut front.begun, true) {
            return;
        }
        if let Kind::Call { id, .. } = &front.kind
            && let Some(signature) = front.apart.take()
        {
            let owner = Owner::Call(id.decode().into_owned());
            self.write_apart(&signature, &owner);
        }
        let Writer { blocks, next, out, .. } = self;
        let Some(front) = blocks.front() else { return };
        let members = |block: &mut Object<'_>| match &front.kind {
            Kind::Call { id, name } => {
                block.string("type", "tool_use").text("id", id).text("name", name).object("input", |_| {});
            }
            Kind::Thought => {
                block.string("type", "thinking").string("thinking", "").string("signature", "");
            }
            Kind::Text | Kind::Refusal => {
                block.string("type", "text").string("text", "");
            }
        };
        sse::write_object(
            "content_block_start",
            |event| {
                event.number("index", *next).object("content_block", members);
            },
            out,
        );
    }

    /// A signature in a block of its own.
    fn write_apart(&mut self, signature: &Signature<'_>, owner: &Owner) {
        self.start();
        let index = self.next;
        self.next += 1;
        let carried = self.naming.carrier.wrap(signature, SIGNED, owner).into_owned();
        self.event("content_block_start", |event| {
            event.number("index", index);
            event.object("content_block", |block| reply::write_redacted(&carried, block));
        });
        self.event("content_block_stop", |event| {
            event.number("index", index);
        });
    }

    fn stop_block(&mut self) {
        let index = self.next;
        self.next += 1;
        self.event("content_block_stop", |event| {
            event.number("index", index);
        });
    }

    fn close_block(&mut self, block: u32) {
        if let Some(known) = self.blocks.iter_mut().find(|known| known.block == block) {
            known.ended = true;
        }
        self.settle();
    }

    /// Ends the first block where it is complete, and goes on with those that waited for it.
    fn settle(&mut self) {
        while self.blocks.front().is_some_and(|front| front.ended) {
            if matches!(self.blocks.front().map(|front| &front.kind), Some(Kind::Call { .. })) {
                self.begin();
            }
            let Some(Block { kind, begun, apart, .. }) = self.blocks.pop_front() else { return };
            if begun {
                self.stop_block();
            }
            match (apart, kind) {
                (Some(signature), Kind::Call { id, .. }) => {
                    self.write_apart(&signature, &Owner::Call(id.decode().into_owned()));
                }
                (Some(signature), _) => self.write_apart(&signature, &Owner::Text),
                (None, _) => {}
            }
            let waiting = self.blocks.front_mut().map(|front| std::mem::take(&mut front.waiting));
            waiting.into_iter().flatten().for_each(|piece| self.write(piece));
        }
    }
}

impl Block {
    /// Keeps a piece; words go to the words before them.
    fn keep(&mut self, piece: Piece) {
        match (self.waiting.last_mut(), piece) {
            (Some(Piece::Words(said)), Piece::Words(more)) => said.push(&more),
            (_, Piece::Signature(signature)) if !matches!(self.kind, Kind::Thought) => self.apart = Some(signature),
            (_, piece) => self.waiting.push(piece),
        }
    }
}

impl Sink for Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start { id, model, .. } => {
                self.id = id.into_owned();
                self.model = model.into_owned();
            }
            Event::BlockStart { choice: 0, block, kind } => match kind {
                BlockKind::Text => self.open(block, Kind::Text),
                BlockKind::Refusal => self.open(block, Kind::Refusal),
                BlockKind::Reasoning if !self.naming.hide_reasoning => self.open(block, Kind::Thought),
                BlockKind::Reasoning => {}
            },
            Event::ToolCallStart { choice: 0, block, id, name } => {
                self.open(block, Kind::Call { id: id.into_owned(), name: name.into_owned() });
            }
            Event::TextDelta { choice: 0, block, text }
            | Event::ReasoningDelta { choice: 0, block, text }
            | Event::RefusalDelta { choice: 0, block, text }
            | Event::ToolCallDelta { choice: 0, block, arguments: text } => self.words(block, &text),
            Event::BlockSignature { choice: 0, block, signature } => {
                self.piece(block, Piece::Signature(signature.into_owned()));
            }
            Event::BlockCitation { choice: 0, block, citation } => {
                self.piece(block, Piece::Citation(citation.into_owned()));
            }
            Event::BlockEnd { choice: 0, block } => self.close_block(block),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End { choice: 0, reason } => {
                self.end = Some(reason.into_owned());
            }
            // There is one choice and no media; failures are the gateway's to tell.
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
        let reason = match self.stop_reason() {
            Ok(reason) => reason,
            Err(failure) => return self.fail(&failure, closing),
        };
        let Writer { end, refusal, out, .. } = self;
        let stop = end.as_ref().and_then(|end| end.stop.as_ref());
        sse::write_object(
            "message_delta",
            |event| {
                event.object("delta", |delta| {
                    reply::write_end(reason, stop, refusal.as_ref(), delta);
                });
                event.object("usage", |object| usage::write(closing, object));
                if let Some(latchkey) = &closing.latchkey {
                    event.raw("latchkey", latchkey);
                }
            },
            out,
        );
        self.event("message_stop", |_| {});
    }

    fn fail(&mut self, failure: &Failure, _: &Closing) {
        failure::write_event(failure, &mut self.out);
    }

    fn failure(&self) -> Option<Failure> {
        self.stop_reason().err()
    }

    fn keep_alive(&mut self) {
        self.event("ping", |_| {});
    }
}
