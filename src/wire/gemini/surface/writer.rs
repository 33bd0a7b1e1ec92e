//! Writes a stream for a caller of `streamGenerateContent`: each object is a response with the next parts.
//!
//! Calls come whole here, so their arguments are gathered. The end of every candidate comes with the last object, as
//! usage and cost do, so that nothing looks finished before it is.

use crate::chat::{Arguments, BlockKind, Citation, EndReason, Event, Signature, Sink};
use crate::failure::Failure;
use crate::json::{Array, Object, Text};
use crate::sorted::SortedMap;
use crate::wire::{Closing, Layout, Naming, StreamWriter};

use super::layout::Frames;
use super::{failure, logprobs, reply, usage};

/// Writes `GenerateContentResponse`s.
#[derive(Debug)]
pub struct Writer {
    naming: Naming,
    frames: Frames,
    out: Vec<u8>,
    id: Text<'static>,
    model: Text<'static>,
    /// By choice and block.
    blocks: SortedMap<(u32, u32), Block>,
    candidates: SortedMap<u32, Candidate>,
}

#[derive(Debug)]
enum Block {
    Words { thought: bool },
    Refusal,
    Call { id: Text<'static>, name: Text<'static>, arguments: Text<'static>, signature: Option<Text<'static>> },
}

#[derive(Debug, Default)]
struct Candidate {
    refusal: Option<Text<'static>>,
    sources: Vec<Citation<'static>>,
    end: Option<EndReason<'static>>,
}

impl Writer {
    /// A writer for one stream.
    #[must_use]
    pub fn new(naming: Naming, layout: Layout) -> Writer {
        Writer {
            naming,
            frames: Frames::new(layout),
            out: Vec::new(),
            id: Text::EMPTY,
            model: Text::EMPTY,
            blocks: SortedMap::new(),
            candidates: SortedMap::new(),
        }
    }

    /// Forgets what is not taken yet: the caller has it already.
    pub(super) fn discard(&mut self) {
        self.out.clear();
    }

    /// Goes on behind objects of a stream that this followed, which `frames` wrote.
    pub(super) fn go_on(&mut self, frames: Frames) {
        self.frames = frames;
    }

    /// Writes a response with one part.
    fn part(&mut self, choice: u32, part: impl FnOnce(&mut Object<'_>)) {
        self.response(
            choice,
            |parts| {
                parts.object(part);
            },
            |_| {},
        );
    }

    /// Writes a response with these parts of one candidate, and with what stands beside them.
    fn response(&mut self, choice: u32, list: impl FnOnce(&mut Array<'_>), beside: impl FnOnce(&mut Object<'_>)) {
        self.candidates.get_or_default(choice);
        let mut json = Vec::with_capacity(256);
        let mut response = Object::open(&mut json);
        response.array("candidates", |candidates| {
            candidates.object(|candidate| {
                candidate.object("content", |content| {
                    content.array("parts", list).string("role", "model");
                });
                candidate.number("index", choice);
                beside(candidate);
            });
        });
        reply::write_names(&self.id, &self.model, &self.naming, &mut response);
        response.close();
        self.frames.write(&json, &mut self.out);
    }

    fn words(&mut self, choice: u32, block: u32, text: &Text<'_>) {
        match self.blocks.get_mut(&(choice, block)) {
            Some(Block::Words { thought }) => {
                let thought = *thought;
                let hidden = thought && self.naming.hide_reasoning;
                if !text.is_empty() && !hidden {
                    self.part(choice, |part| reply::write_words(text, thought, None, part));
                }
            }
            Some(Block::Refusal) => {
                self.candidates.get_or_default(choice).refusal.get_or_insert_default().push(text);
            }
            Some(Block::Call { arguments, .. }) => arguments.push(text),
            None => {}
        }
    }

    fn sign(&mut self, choice: u32, block: u32, given: Signature<'_>) {
        match self.blocks.get_mut(&(choice, block)) {
            Some(Block::Call { signature, .. }) => *signature = Some(reply::carry(&given, &self.naming).into_owned()),
            Some(Block::Words { thought }) => {
                let thought = *thought;
                let hidden = thought && self.naming.hide_reasoning;
                if !hidden {
                    let carried = reply::carry(&given, &self.naming).into_owned();
                    self.part(choice, |part| reply::write_words(&Text::EMPTY, thought, Some(&carried), part));
                }
            }
            Some(Block::Refusal) | None => {}
        }
    }

    fn end_block(&mut self, choice: u32, block: u32) {
        if let Some(Block::Call { id, name, arguments, signature }) = self.blocks.remove(&(choice, block)) {
            let arguments = Arguments::Quoted(arguments);
            self.part(choice, |part| reply::write_call(&id, &name, &arguments, signature.as_ref(), part));
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
            Event::BlockStart { choice, block, kind } => {
                let begun = match kind {
                    BlockKind::Text => Block::Words { thought: false },
                    BlockKind::Reasoning => Block::Words { thought: true },
                    BlockKind::Refusal => Block::Refusal,
                };
                self.blocks.insert((choice, block), begun);
            }
            Event::ToolCallStart { choice, block, id, name } => {
                let (id, name) = (id.into_owned(), name.into_owned());
                self.blocks.insert((choice, block), Block::Call { id, name, arguments: Text::EMPTY, signature: None });
            }
            Event::TextDelta { choice, block, text }
            | Event::ReasoningDelta { choice, block, text }
            | Event::RefusalDelta { choice, block, text }
            | Event::ToolCallDelta { choice, block, arguments: text } => self.words(choice, block, &text),
            Event::BlockSignature { choice, block, signature } => self.sign(choice, block, signature),
            Event::BlockCitation { choice, citation, .. } => {
                self.candidates.get_or_default(choice).sources.push(citation.into_owned());
            }
            Event::MediaDelta { choice, media } => self.part(choice, |part| reply::write_media(&media, part)),
            Event::BlockEnd { choice, block } => self.end_block(choice, block),
            Event::End { choice, reason } => {
                let reason = reason.into_owned();
                self.candidates.get_or_default(choice).end = Some(reason);
            }
            Event::LogprobsDelta { choice, logprobs: given } => {
                self.response(choice, |_| {}, |candidate| logprobs::write(&given, candidate));
            }
            Event::Usage(_) | Event::Failed(_) => {}
        }
    }
}

impl StreamWriter for Writer {
    fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    fn close(&mut self, closing: &Closing) {
        let mut json = Vec::with_capacity(256);
        let mut response = Object::open(&mut json);
        response.array("candidates", |candidates| {
            for (index, known) in &self.candidates {
                candidates.object(|candidate| {
                    candidate.object("content", |content| {
                        content.array("parts", |_| {}).string("role", "model");
                    });
                    if let Some(end) = &known.end {
                        reply::write_end(end, known.refusal.as_ref(), candidate);
                    }
                    candidate.number("index", index);
                    reply::write_sources(known.sources.iter(), candidate);
                });
            }
        });
        response.object("usageMetadata", |object| usage::write(closing, object));
        reply::write_names(&self.id, &self.model, &self.naming, &mut response);
        if let Some(latchkey) = &closing.latchkey {
            response.raw("latchkey", latchkey);
        }
        response.close();
        self.frames.write(&json, &mut self.out);
        self.frames.close(&mut self.out);
    }

    fn fail(&mut self, failure: &Failure, _: &Closing) {
        self.frames.write(&failure::write_failure(failure), &mut self.out);
    }

    fn keep_alive(&mut self) {
        self.frames.keep_alive(&mut self.out);
    }
}
