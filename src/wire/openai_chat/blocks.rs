//! Sorts the deltas of one choice into numbered blocks.
//!
//! OpenAI's format has no blocks: text, reasoning and calls are members of a delta. A block begins with its first
//! non-empty piece and, unless it is a tool call, ends where something else begins.

use crate::chat::{BlockKind, Citation, Event, Media, MediaKind, Signature, SignatureRole, Sink};
use crate::json::Text;
use crate::wire::Decoded;

use super::read::TEXT_SIGNATURE_ID;
use super::tools::Tools;
use super::types::{Audio, Function, Image, ReasoningDetail, ToolCall};

/// The blocks of one choice.
#[derive(Debug)]
pub(super) struct Blocks {
    choice: u32,
    next: u32,
    /// The text, reasoning or refusal that is being said.
    open: Option<Open>,
    tools: Tools,
    cited: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    kind: BlockKind,
    block: u32,
    /// The number of the reasoning detail it came from.
    detail: Option<u64>,
    /// Its signature has come: what follows is another block.
    signed: bool,
}

impl Blocks {
    pub(super) fn new(choice: u32) -> Blocks {
        Blocks { choice, next: 0, open: None, tools: Tools::default(), cited: false }
    }

    /// Says more of `kind`.
    pub(super) fn text(&mut self, kind: BlockKind, text: Text<'_>, sink: &mut dyn Sink) {
        if text.is_empty() {
            return;
        }
        let block = self.opened(kind, None, sink);
        let choice = self.choice;
        sink.event(match kind {
            BlockKind::Text => Event::TextDelta { choice, block, text },
            BlockKind::Reasoning => Event::ReasoningDelta { choice, block, text },
            BlockKind::Refusal => Event::RefusalDelta { choice, block, text },
        });
    }

    /// Says more of the reasoning. `said` is its plain text; `details` repeat that text where they have any, and hold
    /// what the producer wants back.
    pub(super) fn reasoning<'d>(
        &mut self,
        said: Option<&Text<'_>>,
        details: impl Iterator<Item = &'d ReasoningDetail<'d>> + Clone,
        sink: &mut dyn Sink,
    ) {
        let detailed = details.clone().any(|detail| detail_text(detail).is_some());
        if let Some(said) = said.filter(|_| !detailed) {
            self.text(BlockKind::Reasoning, said.borrowed(), sink);
        }
        for detail in details {
            if let Some(text) = detail_text(detail) {
                let block = self.opened(BlockKind::Reasoning, detail.index, sink);
                sink.event(Event::ReasoningDelta { choice: self.choice, block, text: text.borrowed() });
            }
            self.detail_signature(detail, sink);
        }
    }

    /// A source for what is being said.
    pub(super) fn citation(&mut self, citation: Citation<'_>, sink: &mut dyn Sink) {
        self.cited = true;
        let block = self.opened(BlockKind::Text, None, sink);
        sink.event(Event::BlockCitation { choice: self.choice, block, citation });
    }

    pub(super) fn has_citations(&self) -> bool {
        self.cited
    }

    /// A call, or more of one.
    pub(super) fn tool_call(
        &mut self,
        call: &ToolCall<'_>,
        answer_id: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Decoded> {
        let piece = super::tools::Piece::of(call);
        self.call(&piece, answer_id, sink)?;
        let signature = call.extra_content.as_ref().and_then(|extra| extra.google.as_ref()?.thought_signature.as_ref());
        if let Some((data, block)) = signature.zip(self.tools.current_block()) {
            let signature = google(data.borrowed());
            sink.event(Event::BlockSignature { choice: self.choice, block, signature });
        }
        Ok(())
    }

    /// The one call of the format before tools: `openai.tools.ba48abf73f`.
    pub(super) fn legacy_call(
        &mut self,
        function: &Function<'_>,
        answer_id: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Decoded> {
        self.call(&super::tools::Piece::of_legacy(function), answer_id, sink)
    }

    /// The signature of a whole message belongs to its first call, or else to what was said
    /// (`gemini.tools.651c069baf`).
    pub(super) fn message_signature(&mut self, data: Text<'_>, sink: &mut dyn Sink) {
        let block = match self.tools.first_block() {
            Some(block) => block,
            None => self.opened(BlockKind::Text, None, sink),
        };
        sink.event(Event::BlockSignature { choice: self.choice, block, signature: google(data) });
    }

    /// Speech in pieces and whole pictures.
    pub(super) fn media(&mut self, audio: Option<Audio<'_>>, images: Option<Vec<Image<'_>>>, sink: &mut dyn Sink) {
        let choice = self.choice;
        let is_empty = |audio: &Audio<'_>| {
            let texts = [&audio.id, &audio.data, &audio.transcript];
            texts.into_iter().flatten().all(Text::is_empty) && audio.expires_at.is_none_or(|at| at == 0)
        };
        // An empty placeholder is no sound: snowflake.chat.ced91b5b5a.
        if let Some(audio) = audio.filter(|audio| !is_empty(audio)) {
            let media = Media {
                kind: MediaKind::Audio,
                id: audio.id,
                media_type: Text::EMPTY,
                data: audio.data.unwrap_or_default(),
                transcript: audio.transcript,
                expires_at: audio.expires_at.and_then(|at| i64::try_from(at).ok()),
            };
            sink.event(Event::MediaDelta { choice, media });
        }
        for url in images.into_iter().flatten().filter_map(|image| image.image_url?.url) {
            let Some((media_type, data)) = super::media::data_url(&url) else { continue };
            let kind = MediaKind::Image;
            let media = Media { kind, id: None, media_type, data, transcript: None, expires_at: None };
            sink.event(Event::MediaDelta { choice, media });
        }
    }

    pub(super) fn calls_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    /// Whether a call since the last time had to be put where its own numbers do not say.
    pub(super) fn take_irregular(&mut self) -> bool {
        self.tools.take_irregular()
    }

    /// Ends whatever is open.
    pub(super) fn end(&mut self, answer_id: &str, sink: &mut dyn Sink) {
        self.close_open(sink);
        self.tools.end(self.choice, &mut self.next, answer_id, sink);
    }

    fn call(&mut self, piece: &super::tools::Piece<'_>, answer_id: &str, sink: &mut dyn Sink) -> Result<(), Decoded> {
        self.close_open(sink);
        self.tools.take(piece, self.choice, &mut self.next, answer_id, sink)
    }

    /// What the producer wants back: with the call of the same id, with the text, or with the reasoning it proves or
    /// replaces.
    pub(super) fn detail_signature(&mut self, detail: &ReasoningDetail<'_>, sink: &mut dyn Sink) {
        let (data, role) = match (&detail.signature, &detail.data) {
            (Some(signature), _) if !signature.is_empty() => (signature, SignatureRole::Signs),
            (_, Some(data)) if !data.is_empty() => (data, SignatureRole::Replaces),
            _ => return,
        };
        let format = detail.format.as_ref().map_or(Text::EMPTY, Text::borrowed);
        let mut signature =
            Signature { format, data: data.borrowed(), id: detail.id.as_ref().map(Text::borrowed), role };
        let id = signature.id.as_ref().map(Text::borrowed).unwrap_or_default();
        let elsewhere = match id.escaped() {
            TEXT_SIGNATURE_ID => Some(self.opened(BlockKind::Text, None, sink)),
            _ => self.tools.block_of(&id),
        };
        let block = match elsewhere {
            Some(block) => {
                (signature.id, signature.role) = (None, SignatureRole::Signs);
                block
            }
            None => {
                let block = self.signed(detail.index, role, sink);
                if let Some(open) = &mut self.open {
                    open.signed = true;
                }
                block
            }
        };
        sink.event(Event::BlockSignature { choice: self.choice, block, signature });
    }

    /// The reasoning block that a signature belongs to: the open one, unless that already has its own. Encrypted
    /// content may be numbered apart from the summary it goes with (`openrouter.tools.ef271eff35`).
    fn signed(&mut self, detail: Option<u64>, role: SignatureRole, sink: &mut dyn Sink) -> u32 {
        match self.open {
            Some(open) if open.kind == BlockKind::Reasoning && !open.signed && role == SignatureRole::Replaces => {
                open.block
            }
            _ => self.opened(BlockKind::Reasoning, detail, sink),
        }
    }

    /// The open block of `kind`, opened if need be.
    fn opened(&mut self, kind: BlockKind, detail: Option<u64>, sink: &mut dyn Sink) -> u32 {
        if let Some(open) = &mut self.open {
            let other_detail = open.detail.zip(detail).is_some_and(|(open, new)| open != new);
            if open.kind == kind && !other_detail && !open.signed {
                open.detail = open.detail.or(detail);
                return open.block;
            }
        }
        self.close_open(sink);
        let block = self.next;
        self.next = self.next.saturating_add(1);
        self.open = Some(Open { kind, block, detail, signed: false });
        sink.event(Event::BlockStart { choice: self.choice, block, kind });
        block
    }

    fn close_open(&mut self, sink: &mut dyn Sink) {
        if let Some(open) = self.open.take() {
            sink.event(Event::BlockEnd { choice: self.choice, block: open.block });
        }
    }
}

fn detail_text<'d>(detail: &'d ReasoningDetail<'_>) -> Option<&'d Text<'d>> {
    detail.text.as_ref().or(detail.summary.as_ref()).filter(|text| !text.is_empty())
}

fn google(data: Text<'_>) -> Signature<'_> {
    Signature { format: Text::from_escaped("google-gemini-v1"), data, id: None, role: SignatureRole::Signs }
}
