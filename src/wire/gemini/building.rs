//! One candidate while it is being made.

use crate::chat::{BlockKind, EndKind, EndReason, Event, Media, MediaKind, Signature, SignatureRole, Sink};
use crate::json::{Raw, Text};
use crate::wire::structured;

use super::SIGNATURE_FORMAT;
use super::citations::Sources;
use super::ending::{end_kind, finish_reason};
use super::logprobs::logprobs;
use super::names::restore;
use super::types::{Candidate, FunctionCall, InlineData, Part};

/// What is known of one candidate so far.
#[derive(Debug, Default)]
pub(super) struct Building {
    index: u32,
    response_id: Text<'static>,
    open: Option<Open>,
    blocks: u32,
    calls: u32,
    sources: Sources,
    searches: u64,
    end: Option<End>,
}

/// The text or reasoning block that takes the next words.
#[derive(Clone, Copy, Debug)]
struct Open {
    block: u32,
    kind: BlockKind,
    signed: bool,
}

/// How the candidate says it ended; the last chunk that says so counts.
#[derive(Debug)]
struct End {
    /// Decided already where the prompt was blocked: block reasons are no finish reasons.
    kind: Option<EndKind>,
    reason: Text<'static>,
    message: Option<Text<'static>>,
}

impl Building {
    /// A candidate of which nothing has come yet.
    pub fn new(index: u32, response_id: Text<'static>) -> Building {
        Building { index, response_id, ..Building::default() }
    }

    /// What stands for the answer to a prompt that was refused: why, and no more.
    pub fn blocked(reason: Text<'_>, message: Option<Text<'_>>, sink: &mut dyn Sink) -> Building {
        let message = message
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| Text::escape_owned(format!("The provider blocked the prompt: {}.", reason.decode())));
        let mut building = Building::default();
        building.refuse(message, sink);
        building.end = Some(End { kind: Some(EndKind::ContentFilter), reason: reason.into_owned(), message: None });
        building
    }

    /// Its number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// How many searches the provider ran for it.
    pub fn searches(&self) -> u64 {
        self.searches
    }

    /// Whether it said that it ended.
    pub fn is_complete(&self) -> bool {
        self.end.is_some()
    }

    /// Takes its share of one response.
    pub fn take(&mut self, candidate: Candidate<'_>, sink: &mut dyn Sink) {
        for part in candidate.content.into_iter().flat_map(|content| content.parts) {
            self.part(part, sink);
        }
        if let Some(result) = candidate.logprobs_result.filter(|result| !result.chosen_candidates.is_empty()) {
            sink.event(Event::LogprobsDelta { choice: self.index, logprobs: logprobs(&result) });
        }
        if let Some(metadata) = &candidate.grounding_metadata {
            self.sources.ground(metadata);
            let queries = u64::try_from(metadata.web_search_queries.len()).unwrap_or(u64::MAX);
            self.searches = self.searches.max(queries);
        }
        if let Some(metadata) = &candidate.citation_metadata {
            self.sources.recite(metadata);
        }
        if let Some(reason) = candidate.finish_reason.and_then(finish_reason) {
            let message = candidate.finish_message.map(Text::into_owned);
            self.end = Some(End { kind: None, reason, message });
        }
    }

    /// Closes what is open and gives the end. Without a finish reason, it was simply done.
    pub fn end(&mut self, sink: &mut dyn Sink) {
        if self.open.is_none_or(|open| open.kind != BlockKind::Text) && !self.sources.is_empty() {
            self.open(BlockKind::Text, sink);
        }
        if let Some(Open { block, .. }) = self.open {
            let choice = self.index;
            self.sources.take(|citation| sink.event(Event::BlockCitation { choice, block, citation }));
        }
        self.close(sink);
        let has_calls = self.calls > 0;
        let (kind, reason) = match self.end.take() {
            None => (end_kind("STOP", has_calls), None),
            Some(End { kind: Some(kind), reason, .. }) => (kind, Some(reason)),
            Some(End { kind: None, reason, message }) => {
                let kind = end_kind(&reason.decode(), has_calls);
                if let Some(message) = message.filter(|_| kind == EndKind::ContentFilter) {
                    self.refuse(message, sink);
                }
                (kind, Some(reason))
            }
        };
        sink.event(Event::End { choice: self.index, reason: EndReason::new(kind, reason) });
    }

    /// Parts that are none of these are passed by: code that the provider ran, and what it printed, are retold in
    /// the text that follows them.
    fn part(&mut self, part: Part<'_>, sink: &mut dyn Sink) {
        let thought = part.thought == Some(true);
        if let Some(text) = part.text {
            let kind = if thought { BlockKind::Reasoning } else { BlockKind::Text };
            self.words(kind, text, part.thought_signature, sink);
        } else if let Some(call) = part.function_call {
            self.call(call, part.thought_signature, sink);
        } else if let Some(data) = part.inline_data.filter(|_| !thought) {
            self.media(data, sink);
        }
    }

    fn words(&mut self, kind: BlockKind, text: Text<'_>, signature: Option<Text<'_>>, sink: &mut dyn Sink) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        let choice = self.index;
        // A signature belongs to the words before it: what comes after them is another part.
        if self.open.is_some_and(|open| open.signed && !text.is_empty()) {
            self.close(sink);
        }
        let block = self.open(kind, sink);
        if !text.is_empty() {
            sink.event(if kind == BlockKind::Reasoning {
                Event::ReasoningDelta { choice, block, text }
            } else {
                self.sources.push(&text);
                Event::TextDelta { choice, block, text }
            });
        }
        if let Some(data) = signature {
            sink.event(Event::BlockSignature { choice, block, signature: signed(data) });
            self.open = Some(Open { block, kind, signed: true });
        }
    }

    /// A call comes whole. The arguments of the function for structured answers are the answer. A text block stays open
    /// beside it: sources of the text may still follow.
    fn call(&mut self, call: FunctionCall<'_>, signature: Option<Text<'_>>, sink: &mut dyn Sink) {
        let name = call.name.unwrap_or_default();
        let args = call.args.filter(Raw::is_object).unwrap_or(Raw::EMPTY_OBJECT);
        if structured::is_tool(&name) {
            return self.words(BlockKind::Text, structured::answer(&args), None, sink);
        }
        if self.open.is_some_and(|open| open.kind == BlockKind::Reasoning) {
            self.close(sink);
        }
        let (choice, block) = (self.index, self.next_block());
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.mint_id());
        self.calls = self.calls.saturating_add(1);
        sink.event(Event::ToolCallStart { choice, block, id, name: restore(name) });
        if let Some(data) = signature {
            sink.event(Event::BlockSignature { choice, block, signature: signed(data) });
        }
        sink.event(Event::ToolCallDelta { choice, block, arguments: Text::escape(&args.compact()) });
        sink.event(Event::BlockEnd { choice, block });
    }

    /// The id of the next call where the model gave none: the same for the same answer, however it was cut.
    fn mint_id(&self) -> Text<'static> {
        let (answer, choice, ordinal) = (self.response_id.decode(), self.index, self.calls);
        let token = answer.chars().filter(|character| character.is_ascii_alphanumeric() || "_-".contains(*character));
        // OpenAI takes ids of up to 40 characters, and callers may move the conversation there.
        let token: String = token.take(26).collect();
        Text::from_escaped(match choice {
            0 => format!("call_{token}_{ordinal}"),
            _ => format!("call_{token}_{choice}_{ordinal}"),
        })
    }

    fn media(&mut self, data: InlineData<'_>, sink: &mut dyn Sink) {
        let (Some(media_type), Some(data)) = (data.mime_type, data.data) else { return };
        let kind = match media_type.escaped() {
            name if name.starts_with("image/") => MediaKind::Image,
            name if name.starts_with("audio/") => MediaKind::Audio,
            _ => return,
        };
        let media = Media { kind, id: None, media_type, data, transcript: None, expires_at: None };
        sink.event(Event::MediaDelta { choice: self.index, media });
    }

    fn refuse(&mut self, message: Text<'_>, sink: &mut dyn Sink) {
        let (choice, block) = (self.index, self.next_block());
        sink.event(Event::BlockStart { choice, block, kind: BlockKind::Refusal });
        sink.event(Event::RefusalDelta { choice, block, text: message });
        sink.event(Event::BlockEnd { choice, block });
    }

    /// The open block of this kind; closes one of another kind first.
    fn open(&mut self, kind: BlockKind, sink: &mut dyn Sink) -> u32 {
        if let Some(open) = self.open.filter(|open| open.kind == kind) {
            return open.block;
        }
        self.close(sink);
        let block = self.next_block();
        if kind == BlockKind::Text {
            self.sources.start_block();
        }
        sink.event(Event::BlockStart { choice: self.index, block, kind });
        self.open = Some(Open { block, kind, signed: false });
        block
    }

    fn close(&mut self, sink: &mut dyn Sink) {
        if let Some(Open { block, .. }) = self.open.take() {
            sink.event(Event::BlockEnd { choice: self.index, block });
        }
    }

    fn next_block(&mut self) -> u32 {
        let block = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        block
    }
}

fn signed(data: Text<'_>) -> Signature<'_> {
    Signature { format: Text::from_escaped(SIGNATURE_FORMAT), data, id: None, role: SignatureRole::Signs }
}
