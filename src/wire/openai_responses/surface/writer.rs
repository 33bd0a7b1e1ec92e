//! Writes a stream for a caller of Responses.
//!
//! Items may overlap here as blocks do in the hub: each has its number, and its events name it. An item begins with its
//! first content, so that none is empty. What has been said is kept, because the last event tells everything again.

use crate::chat::{BlockKind, EndKind, EndReason, Event, SignatureRole, Sink};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::wire::carried::Owner;
use crate::wire::{Closing, Naming, StreamWriter, sse};

use super::failure;
use super::own_tools::{self, OwnTools};
use super::reply::{self, Head, Item, Stage};

/// Writes `response.created`, the events of items and parts, and `response.completed` or `response.incomplete`.
#[derive(Debug)]
pub struct Writer {
    naming: Naming,
    out: Vec<u8>,
    head: Head,
    started: bool,
    /// The number of the next event.
    sequence: u64,
    /// Items by their number.
    items: Vec<Item>,
    /// Blocks that have begun and were not told whole.
    open: Vec<Open>,
    /// Those of them that have ended. Whether the last was cut is known by what follows.
    ended: Vec<u32>,
    /// The caller's tools that are more than functions.
    own: OwnTools,
    end: Option<EndReason<'static>>,
    /// The response as the last event told it.
    whole: Option<Vec<u8>>,
}

/// A block between its start and its end.
#[derive(Debug)]
struct Open {
    /// The hub's number.
    block: u32,
    kind: Kind,
    /// The number of its item, once that has begun.
    item: Option<usize>,
    /// The signature of a call or a text: it goes into an item of its own.
    apart: Option<crate::chat::Signature<'static>>,
}

/// What a caller has read of a stream that this goes on behind.
pub(super) struct Behind {
    pub head: Head,
    /// The number of the next event.
    pub sequence: u64,
    /// Items by their number.
    pub items: Vec<Item>,
    /// The hub's text that has not ended, and the number of its item.
    pub open: Option<(u32, Option<usize>)>,
    /// What ends the rest.
    pub out: Vec<u8>,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Text,
    Thought,
    Refusal,
    Call {
        id: Text<'static>,
        name: Text<'static>,
    },
    /// What is withheld; its signature alone is carried.
    Hidden,
}

impl Writer {
    /// A writer for one stream.
    #[must_use]
    pub fn new(naming: Naming) -> Writer {
        Writer {
            head: Head::of(&Text::EMPTY, None, &naming),
            own: OwnTools::of(naming.echo.as_ref()),
            naming,
            out: Vec::new(),
            started: false,
            sequence: 0,
            items: Vec::new(),
            open: Vec::new(),
            ended: Vec::new(),
            end: None,
            whole: None,
        }
    }

    /// Goes on behind another stream.
    pub(super) fn behind(naming: Naming, told: Behind) -> Writer {
        let Behind { head, sequence, items, open, out } = told;
        let open = open.map(|(block, item)| Open { block, kind: Kind::Text, item, apart: None });
        let open = open.into_iter().collect();
        Writer { head, sequence, items, open, out, started: true, ..Writer::new(naming) }
    }

    fn event(&mut self, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        write_event(name, &mut self.sequence, members, &mut self.out);
    }

    /// An event about a part of an item; parts are numbered by `number`.
    fn part_event(&mut self, name: &str, item: usize, number: &str, members: impl FnOnce(&Item, &mut Object<'_>)) {
        let Writer { head, items, out, sequence, .. } = self;
        let Some(known) = items.get(item) else { return };
        let id = known.id(head, item as u64);
        let part = if let Item::Begun(begun) = known { begun.number() } else { 0 };
        write_event(
            name,
            sequence,
            |event| {
                event.string("item_id", &id).number("output_index", item);
                if !number.is_empty() {
                    event.number(number, part);
                }
                members(known, event);
            },
            out,
        );
    }

    fn item_event(&mut self, name: &str, item: usize, stage: Stage) {
        let Writer { head, items, out, sequence, .. } = self;
        let Some(known) = items.get(item) else { return };
        write_event(
            name,
            sequence,
            |event| {
                event.number("output_index", item);
                event.object("item", |object| known.write(head, item as u64, stage, object));
            },
            out,
        );
    }

    /// `response.created` and `response.in_progress`, before anything else.
    fn start(&mut self) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        for name in ["response.created", "response.in_progress"] {
            let Writer { head, naming, out, sequence, .. } = self;
            write_event(
                name,
                sequence,
                |event| {
                    event.object("response", |response| {
                        reply::write_response(head, None, &[], naming, None, response);
                    });
                },
                out,
            );
        }
    }

    /// Begins the item of a block, once.
    fn begin(&mut self, at: usize) -> Option<usize> {
        self.start();
        let open = self.open.get_mut(at)?;
        if let Some(item) = open.item {
            return Some(item);
        }
        if let (Kind::Call { id, .. }, Some(signature)) = (&open.kind, open.apart.take()) {
            let owner = Owner::Call(id.decode().into_owned());
            self.whole_item(reply::apart(&signature, &owner, &self.naming.carrier));
        }
        let open = self.open.get_mut(at)?;
        let item = match &open.kind {
            Kind::Text => Item::Message { text: Text::EMPTY, annotations: Vec::new(), logprobs: String::new() },
            Kind::Refusal => Item::Refusal { text: Text::EMPTY },
            Kind::Thought | Kind::Hidden => Item::Reasoning { text: Text::EMPTY, carried: None },
            Kind::Call { id, name } => {
                let (call_id, tool) = (id.clone(), self.own.called(name));
                match tool.kind {
                    own_tools::Kind::Free => Item::FreeCall { call_id, tool, input: Text::EMPTY },
                    own_tools::Kind::Function => Item::Call { call_id, tool, arguments: Text::EMPTY },
                    own_tools::Kind::Search => Item::SearchCall { call_id, arguments: Text::EMPTY },
                }
            }
        };
        let number = self.items.len();
        open.item = Some(number);
        self.items.push(item);
        self.item_event("response.output_item.added", number, Stage::Begun);
        Some(number)
    }

    /// Begins the one part of an item, where its kind has parts.
    fn begin_part(&mut self, item: usize) {
        match self.items.get(item) {
            Some(Item::Message { text, .. } | Item::Refusal { text }) if text.is_empty() => {
                self.part_event("response.content_part.added", item, "content_index", |known, event| {
                    event.object("part", |part| known.write_part(false, part));
                });
            }
            Some(Item::Reasoning { text, .. }) if text.is_empty() => {
                self.part_event("response.reasoning_summary_part.added", item, "summary_index", |known, event| {
                    event.object("part", |part| known.write_part(false, part));
                });
            }
            _ => {}
        }
    }

    /// An item that comes in one piece.
    fn whole_item(&mut self, item: Item) {
        self.start();
        let number = self.items.len();
        self.items.push(item);
        self.item_event("response.output_item.added", number, Stage::Begun);
        self.item_event("response.output_item.done", number, Stage::Whole);
    }

    fn position(&self, block: u32) -> Option<usize> {
        self.open.iter().rposition(|open| open.block == block)
    }

    fn words(&mut self, block: u32, text: &Text<'_>) {
        let Some(at) = self.position(block).filter(|_| !text.is_empty()) else { return };
        if self.open.get(at).is_some_and(|open| open.kind == Kind::Hidden) {
            return;
        }
        let Some(item) = self.begin(at) else { return };
        self.begin_part(item);
        let (name, number, logprobs) = match self.items.get_mut(item) {
            Some(Item::Message { text: said, .. }) => {
                said.push(text);
                ("response.output_text.delta", "content_index", true)
            }
            Some(Item::Begun(begun)) => {
                begun.say(text);
                ("response.output_text.delta", "content_index", true)
            }
            Some(Item::Refusal { text: said }) => {
                said.push(text);
                ("response.refusal.delta", "content_index", false)
            }
            Some(Item::Reasoning { text: said, .. }) => {
                said.push(text);
                ("response.reasoning_summary_text.delta", "summary_index", false)
            }
            Some(Item::Call { arguments, .. }) => {
                arguments.push(text);
                ("response.function_call_arguments.delta", "", false)
            }
            // It is told once it can be read.
            Some(Item::FreeCall { input: said, .. } | Item::SearchCall { arguments: said, .. }) => {
                return said.push(text);
            }
            _ => return,
        };
        self.part_event(name, item, number, |_, event| {
            event.text("delta", text);
            if logprobs {
                event.array("logprobs", |_| {});
            }
        });
    }

    fn sign(&mut self, block: u32, signature: crate::chat::Signature<'static>) {
        let Some(at) = self.position(block) else { return };
        let thinks = self.open.get(at).is_some_and(|open| matches!(open.kind, Kind::Thought | Kind::Hidden));
        if !thinks {
            if let Some(open) = self.open.get_mut(at) {
                open.apart = Some(signature);
            }
            return;
        }
        debug_assert!(matches!(signature.role, SignatureRole::Signs | SignatureRole::Replaces));
        let Some(item) = self.begin(at) else { return };
        if let Some(Item::Reasoning { carried, .. }) = self.items.get_mut(item) {
            *carried = Some(reply::carry(&signature, &self.naming.carrier));
        }
    }

    fn cite(&mut self, block: u32, citation: crate::chat::Citation<'static>) {
        let (Some(at), Some(url)) = (self.position(block), citation.url.clone()) else { return };
        let Some(item) = self.begin(at) else { return };
        self.begin_part(item);
        let Some(Item::Message { annotations, .. }) = self.items.get_mut(item) else { return };
        let number = annotations.len();
        annotations.push(citation.clone());
        self.part_event("response.output_text.annotation.added", item, "content_index", |_, event| {
            event.number("annotation_index", number);
            event.object("annotation", |annotation| reply::write_url_citation(&url, &citation, annotation));
        });
    }

    /// Tells the blocks whole that have ended.
    fn settle(&mut self) {
        for block in std::mem::take(&mut self.ended) {
            self.finish(block);
        }
    }

    /// Ends a block: the events that tell its item whole.
    fn finish(&mut self, block: u32) {
        let Some(at) = self.position(block) else { return };
        if self.open.get(at).is_some_and(|open| matches!(open.kind, Kind::Call { .. })) {
            self.begin(at);
        }
        let Open { kind, item, apart, .. } = self.open.remove(at);
        if let Some(item) = item {
            self.tell_whole(item);
            let stage = Stage::of(item, reply::cut(self.end.as_ref(), &self.items));
            self.item_event("response.output_item.done", item, stage);
        }
        match (apart, kind) {
            (Some(signature), Kind::Call { id, .. }) => {
                let owner = Owner::Call(id.decode().into_owned());
                self.whole_item(reply::apart(&signature, &owner, &self.naming.carrier));
            }
            (Some(signature), _) => {
                self.whole_item(reply::apart(&signature, &Owner::Text, &self.naming.carrier));
            }
            (None, _) => {}
        }
    }

    fn tell_whole(&mut self, item: usize) {
        self.settle_call(item);
        match self.items.get(item) {
            Some(message @ (Item::Message { .. } | Item::Begun(_))) => {
                let (text, tokens) = match message {
                    Item::Message { text, logprobs, .. } => (text.clone(), logprobs.clone()),
                    Item::Begun(begun) => (begun.text(), String::new()),
                    _ => return,
                };
                self.begin_part(item);
                self.part_event("response.output_text.done", item, "content_index", |_, event| {
                    reply::write_logprobs(&tokens, event.text("text", &text));
                });
                self.part_event("response.content_part.done", item, "content_index", |known, event| {
                    event.object("part", |part| known.write_part(true, part));
                });
            }
            Some(Item::Refusal { text }) => {
                let text = text.clone();
                self.part_event("response.refusal.done", item, "content_index", |_, event| {
                    event.text("refusal", &text);
                });
                self.part_event("response.content_part.done", item, "content_index", |known, event| {
                    event.object("part", |part| known.write_part(true, part));
                });
            }
            Some(Item::Reasoning { text, .. }) if !text.is_empty() => {
                let text = text.clone();
                self.part_event("response.reasoning_summary_text.done", item, "summary_index", |_, event| {
                    event.text("text", &text);
                });
                self.part_event("response.reasoning_summary_part.done", item, "summary_index", |known, event| {
                    event.object("part", |part| known.write_part(true, part));
                });
            }
            Some(Item::Call { tool, arguments, .. }) => {
                let (name, arguments) = (tool.name.clone(), arguments.clone());
                self.part_event("response.function_call_arguments.done", item, "", |_, event| {
                    event.text("name", &name).text("arguments", &arguments);
                });
            }
            Some(Item::FreeCall { input, .. }) => {
                let input = input.clone();
                self.part_event("response.custom_tool_call_input.delta", item, "", |_, event| {
                    event.text("delta", &input);
                });
                self.part_event("response.custom_tool_call_input.done", item, "", |_, event| {
                    event.text("input", &input);
                });
            }
            _ => {}
        }
    }

    /// The arguments of a call as they are told whole: never empty, and of free text the text itself.
    fn settle_call(&mut self, item: usize) {
        match self.items.get_mut(item) {
            Some(Item::Call { arguments, .. }) => *arguments = reply::whole(std::mem::take(arguments)),
            Some(Item::FreeCall { input, .. }) => *input = reply::free_text(std::mem::take(input)),
            _ => {}
        }
    }
}

impl Sink for Writer {
    fn event(&mut self, event: Event<'_>) {
        if !matches!(event, Event::BlockEnd { .. } | Event::Usage(_) | Event::End { .. }) {
            self.settle();
        }
        match event {
            Event::Start { model, created, .. } => self.head = Head::of(&model, created, &self.naming),
            Event::BlockStart { choice: 0, block, kind } => {
                let kind = match kind {
                    BlockKind::Text => Kind::Text,
                    BlockKind::Refusal => Kind::Refusal,
                    BlockKind::Reasoning if self.naming.hide_reasoning => Kind::Hidden,
                    BlockKind::Reasoning => Kind::Thought,
                };
                self.open.push(Open { block, kind, item: None, apart: None });
            }
            Event::ToolCallStart { choice: 0, block, id, name } => {
                let kind = Kind::Call { id: id.into_owned(), name: name.into_owned() };
                self.open.push(Open { block, kind, item: None, apart: None });
            }
            Event::TextDelta { choice: 0, block, text }
            | Event::ReasoningDelta { choice: 0, block, text }
            | Event::RefusalDelta { choice: 0, block, text }
            | Event::ToolCallDelta { choice: 0, block, arguments: text } => self.words(block, &text),
            Event::BlockSignature { choice: 0, block, signature } => self.sign(block, signature.into_owned()),
            Event::BlockCitation { choice: 0, block, citation } => self.cite(block, citation.into_owned()),
            // They are told where the text is told whole.
            Event::LogprobsDelta { choice: 0, logprobs } => reply::add_logprobs(&logprobs, &mut self.items),
            Event::BlockEnd { choice: 0, block } => self.ended.push(block),
            Event::MediaDelta { choice: 0, media } => {
                if let Some(item) = reply::picture(&media) {
                    self.whole_item(item);
                }
            }
            Event::End { choice: 0, reason } => {
                self.end = Some(reason.into_owned());
                self.settle();
            }
            // There is one choice; failures are the gateway's to tell.
            _ => {}
        }
    }
}

impl StreamWriter for Writer {
    fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    fn close(&mut self, closing: &Closing) {
        self.settle();
        self.start();
        let plain = EndReason::plain(EndKind::Other);
        let end = self.end.take().unwrap_or(plain);
        let name = match end.kind {
            EndKind::Length | EndKind::ContentFilter => "response.incomplete",
            EndKind::Error => "response.failed",
            _ => "response.completed",
        };
        let mut whole = Vec::with_capacity(1024);
        let mut response = Object::open(&mut whole);
        reply::write_response(&self.head, Some(&end), &self.items, &self.naming, Some(closing), &mut response);
        response.close();
        self.event(name, |event| event.key("response").extend_from_slice(&whole));
        self.whole = Some(whole);
    }

    fn fail(&mut self, failure: &Failure, _: &Closing) {
        self.settle();
        self.start();
        let Writer { head, sequence, out, .. } = self;
        let told = failure::Head { id: &head.id, model: &head.model, created_at: head.created_at, sequence: *sequence };
        failure::write_events(failure, &told, out);
    }

    fn keep_alive(&mut self) {
        self.out.extend_from_slice(b": keep-alive\n\n");
    }
}

/// Writes one event, and counts it.
pub(super) fn write_event(name: &str, sequence: &mut u64, members: impl FnOnce(&mut Object<'_>), out: &mut Vec<u8>) {
    let numbered = |event: &mut Object<'_>| {
        event.number("sequence_number", *sequence);
        members(event);
    };
    sse::write_object(name, numbered, out);
    *sequence = sequence.saturating_add(1);
}
