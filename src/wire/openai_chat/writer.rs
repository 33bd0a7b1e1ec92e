//! Writes a stream for the caller: chunks, the usage chunk if asked for, and `[DONE]`.

use crate::chat::{BlockKind, EndReason, Event, Media, MediaKind, Signature, Sink, Usage};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::sorted::SortedMap;
use crate::wire::{Closing, Naming, StreamWriter};

use super::failure::write_error;
use super::{details, reply, usage};

const END_OF_CHUNK: &[u8] = b"]}\n\n";
const END_OF_TEXT: &[u8] = b"\"},\"finish_reason\":null}]}\n\n";

/// Writes `chat.completion.chunk`s.
///
/// What every chunk repeats is written once, when the answer starts; a piece of text is then three copies.
#[derive(Debug)]
pub struct Writer {
    naming: Naming,
    out: Vec<u8>,
    /// `data: {"id":…,"object":…,"created":…,"model":…,"choices":[`
    head: Vec<u8>,
    /// The head, and what stands before a piece of the first choice's text.
    text_head: Vec<u8>,
    choices: SortedMap<u32, Progress>,
    /// The first chunk of a choice names the role.
    names_role: bool,
}

/// What one choice has had so far.
#[derive(Debug, Default)]
struct Progress {
    /// Blocks of tool calls and their ids, in the order in which they began: the place is the index that the caller sees.
    calls: Vec<(u32, Text<'static>)>,
    /// The reasoning block that was last heard of, and its number among the details.
    thought: Option<(u32, u64)>,
    next_detail: u64,
    images: usize,
    /// The text block that was last heard of, and the characters before it: its sources count from its own first.
    text: (u32, u64),
    /// Characters of text so far.
    said: u64,
}

impl Writer {
    /// A writer for one stream.
    #[must_use]
    pub fn new(naming: Naming) -> Writer {
        Writer {
            naming,
            out: Vec::new(),
            head: Vec::new(),
            text_head: Vec::new(),
            choices: SortedMap::new(),
            names_role: true,
        }
    }

    /// The role has been named by chunks that came from elsewhere.
    pub(super) fn role_is_known(&mut self) {
        self.names_role = false;
    }

    /// Forgets what was written since the last [`StreamWriter::take`].
    pub(super) fn discard(&mut self) {
        self.out.clear();
    }

    /// The naming it writes by.
    pub(super) fn naming(&self) -> &Naming {
        &self.naming
    }

    fn start(&mut self, id: &Text<'_>, model: &Text<'_>, created: Option<i64>) {
        let mut head = Vec::with_capacity(192);
        head.extend_from_slice(b"data: ");
        let mut object = Object::open(&mut head);
        reply::write_head(&mut object, "chat.completion.chunk", id, model, created, &self.naming);
        object.key("choices").push(b'[');
        self.text_head.clone_from(&head);
        self.text_head.extend_from_slice(b"{\"index\":0,\"delta\":{\"content\":\"");
        self.head = head;
    }

    /// The head, also where the upstream never named its answer.
    fn started(&mut self) {
        if self.head.is_empty() {
            self.start(&Text::EMPTY, &Text::EMPTY, None);
        }
    }

    /// What is known of a choice. Its first chunk names the role.
    fn choice(&mut self, index: u32, speaks: bool) -> &mut Progress {
        if !self.choices.contains_key(&index) {
            self.started();
        }
        if self.names_role && !self.choices.contains_key(&index) {
            self.delta(index, |delta| {
                delta.string("role", "assistant");
                if speaks {
                    delta.string("content", "")
                } else {
                    delta.null("content")
                };
            });
        }
        self.choices.get_or_default(index)
    }

    /// A chunk of one choice with this delta.
    fn delta(&mut self, choice: u32, members: impl FnOnce(&mut Object<'_>)) {
        self.chunk(choice, members, |rest| {
            rest.null("finish_reason");
        });
    }

    fn chunk(&mut self, choice: u32, delta: impl FnOnce(&mut Object<'_>), rest: impl FnOnce(&mut Object<'_>)) {
        self.out.extend_from_slice(&self.head);
        let mut object = Object::open(&mut self.out);
        object.number("index", choice).object("delta", delta);
        rest(&mut object);
        object.close();
        self.out.extend_from_slice(END_OF_CHUNK);
    }

    fn text(&mut self, choice: u32, block: u32, text: &Text<'_>) {
        let progress = self.choice(choice, true);
        progress.before(block);
        progress.said += text.characters();
        if choice == 0 {
            self.out.extend_from_slice(&self.text_head);
            self.out.extend_from_slice(text.escaped().as_bytes());
            self.out.extend_from_slice(END_OF_TEXT);
        } else {
            self.delta(choice, |delta| {
                delta.text("content", text);
            });
        }
    }

    fn reasoning(&mut self, choice: u32, block: u32, text: &Text<'_>) {
        if self.naming.hide_reasoning {
            return;
        }
        let index = self.choice(choice, true).detail_of(block);
        self.delta(choice, |delta| {
            delta.text("reasoning_content", text);
            delta.array("reasoning_details", |list| details::write_text_piece(text, index, list));
        });
    }

    fn signature(&mut self, choice: u32, block: u32, signature: &Signature<'_>) {
        let hide_reasoning = self.naming.hide_reasoning;
        let progress = self.choice(choice, true);
        let call = progress.calls.iter().find(|(known, _)| *known == block).map(|(_, id)| id.clone());
        let thought = progress.thought.filter(|(known, _)| *known == block);
        if thought.is_some() && hide_reasoning {
            return;
        }
        let index = progress.detail_of(block);
        let carrier = self.naming.carrier.clone();
        self.delta(choice, |delta| {
            delta.array("reasoning_details", |list| match (thought, call) {
                (Some(_), _) => details::write_signature(signature, index, &carrier, list),
                (None, Some(id)) => details::write_encrypted(signature, Some(&id), index, &carrier, list),
                (None, None) => {
                    let id = Text::from_escaped(super::read::TEXT_SIGNATURE_ID);
                    details::write_encrypted(signature, Some(&id), index, &carrier, list);
                }
            });
        });
    }

    fn call(&mut self, choice: u32, block: u32, id: &Text<'_>, name: &Text<'_>) {
        let progress = self.choice(choice, false);
        let index = progress.calls.len();
        progress.calls.push((block, id.borrowed().into_owned()));
        self.delta(choice, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.number("index", index).text("id", id).string("type", "function");
                    call.object("function", |function| {
                        function.text("name", name).string("arguments", "");
                    });
                });
            });
        });
    }

    fn arguments(&mut self, choice: u32, block: u32, arguments: &Text<'_>) {
        let progress = self.choice(choice, false);
        let Some(index) = progress.calls.iter().position(|(known, _)| *known == block) else { return };
        self.delta(choice, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object(|call| {
                    call.number("index", index).object("function", |function| {
                        function.text("arguments", arguments);
                    });
                });
            });
        });
    }

    fn media(&mut self, choice: u32, media: &Media<'_>) {
        let progress = self.choice(choice, true);
        let index = progress.images;
        progress.images += usize::from(media.kind == MediaKind::Image);
        self.delta(choice, |delta| {
            match media.kind {
                MediaKind::Audio => delta.object("audio", |audio| reply::write_audio(media, audio)),
                MediaKind::Image => delta.array("images", |images| reply::write_image(media, index, images)),
            };
        });
    }

    fn end(&mut self, choice: u32, reason: &EndReason<'_>) {
        let calls_tools = !self.choice(choice, true).calls.is_empty();
        self.chunk(choice, |_| {}, |rest| reply::write_end(reason, calls_tools, rest));
    }

    /// The chunk without choices, which closes a stream: usage if asked for, and the gateway's own facts.
    fn last_chunk(&mut self, closing: &Closing) {
        let usage = closing.usage.as_ref().filter(|_| self.naming.include_usage);
        let mut members = Vec::new();
        let mut object = Object::open(&mut members);
        write_closing(usage, closing, &mut object);
        object.close();
        self.chunk_without_choices(&members);
    }

    /// A chunk with these members of an object beside its empty list of choices; none where there are none.
    pub(super) fn chunk_without_choices(&mut self, members: &[u8]) {
        let Some(members) = members.strip_prefix(b"{").filter(|members| *members != b"}") else { return };
        self.started();
        self.out.extend_from_slice(&self.head);
        self.out.extend_from_slice(b"],");
        self.out.extend_from_slice(members);
        self.out.extend_from_slice(b"\n\n");
    }
}

/// What closes a stream, good or bad: `usage` and `latchkey`.
pub(super) fn write_closing(usage: Option<&Usage>, closing: &Closing, object: &mut Object<'_>) {
    if let Some(counted) = usage {
        object.object("usage", |object| usage::write(counted, closing.cost.as_ref(), object));
    }
    if let Some(latchkey) = &closing.latchkey {
        object.raw("latchkey", latchkey);
    }
}

impl Progress {
    /// The number among the details of what belongs to `block`.
    fn detail_of(&mut self, block: u32) -> u64 {
        match self.thought {
            Some((known, index)) if known == block => index,
            _ => {
                let index = self.next_detail;
                self.next_detail += 1;
                index
            }
        }
    }

    /// How many characters stand before a text block.
    fn before(&mut self, block: u32) -> u64 {
        if self.text.0 != block {
            self.text = (block, self.said);
        }
        self.text.1
    }

    fn think(&mut self, block: u32) {
        self.thought = Some((block, self.next_detail));
        self.next_detail += 1;
    }
}

impl Sink for Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start { id, model, created } => self.start(&id, &model, created),
            Event::BlockStart { choice, block, kind } => {
                if kind == BlockKind::Reasoning {
                    self.choice(choice, true).think(block);
                }
            }
            Event::ToolCallStart { choice, block, id, name } => self.call(choice, block, &id, &name),
            Event::TextDelta { choice, block, text } => self.text(choice, block, &text),
            Event::ReasoningDelta { choice, block, text } => self.reasoning(choice, block, &text),
            Event::RefusalDelta { choice, text, .. } => {
                self.choice(choice, false);
                self.delta(choice, |delta| {
                    delta.text("refusal", &text);
                });
            }
            Event::ToolCallDelta { choice, block, arguments } => self.arguments(choice, block, &arguments),
            Event::BlockSignature { choice, block, signature } => self.signature(choice, block, &signature),
            Event::BlockCitation { choice, block, citation } => {
                let before = self.choice(choice, true).before(block);
                self.delta(choice, |delta| {
                    delta.array("annotations", |list| reply::write_citation(&citation, before, list));
                });
            }
            Event::MediaDelta { choice, media } => self.media(choice, &media),
            Event::LogprobsDelta { choice, logprobs } => {
                self.choice(choice, true);
                let rest = |rest: &mut Object<'_>| {
                    rest.raw("logprobs", &logprobs).null("finish_reason");
                };
                self.chunk(choice, |_| {}, rest);
            }
            Event::End { choice, reason } => self.end(choice, &reason),
            // The usage chunk and the error event are the gateway's to time: `close` and `fail`.
            Event::BlockEnd { .. } | Event::Usage(_) | Event::Failed(_) => {}
        }
    }
}

impl StreamWriter for Writer {
    fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    fn close(&mut self, closing: &Closing) {
        self.last_chunk(closing);
        self.out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, failure: &Failure, closing: &Closing) {
        fail(failure, closing, self.naming.include_usage, &mut self.out);
    }

    fn keep_alive(&mut self) {
        self.out.extend_from_slice(b": keep-alive\n\n");
    }
}

/// An error event with what is known of the cost until then. No `[DONE]` follows, so no client takes it for an end.
pub(super) fn fail(failure: &Failure, closing: &Closing, include_usage: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    let mut object = Object::open(out);
    write_error(failure, &mut object);
    write_closing(closing.usage.as_ref().filter(|_| include_usage), closing, &mut object);
    object.close();
    out.extend_from_slice(b"\n\n");
}
