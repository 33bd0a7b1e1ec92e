//! Folds the events of a stream into the answer that its unary twin would have been.

use crate::failure::Failure;
use crate::json::{Raw, Text, readable};
use crate::sorted::SortedMap;

use super::{Answer, Arguments, BlockKind, Choice, EndKind, EndReason, Event, Media, MediaKind, Part, Sink, Usage};

/// Collects events. Owns everything it keeps.
#[derive(Debug, Default)]
pub struct Fold {
    id: Text<'static>,
    model: Text<'static>,
    created: Option<i64>,
    choices: SortedMap<u32, Building>,
    usage: Option<Usage>,
    failed: Option<Failure>,
}

#[derive(Debug, Default)]
struct Building {
    parts: SortedMap<u32, Part<'static>>,
    media: Vec<Media<'static>>,
    logprobs: Vec<Raw<'static>>,
    end: Option<EndReason<'static>>,
}

impl Fold {
    /// An empty fold.
    #[must_use]
    pub fn new() -> Fold {
        Fold::default()
    }

    /// The answer so far.
    ///
    /// # Errors
    /// With the failure that the stream reported, or `Truncated` where a choice has not ended.
    pub fn finish(self) -> Result<Answer<'static>, Failure> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        let choices = self
            .choices
            .into_iter()
            .map(|(index, building)| {
                let end = building.end.ok_or_else(|| Failure::truncated("a choice has no end"))?;
                Ok(Choice {
                    index,
                    parts: building.parts.into_values().collect(),
                    media: building.media,
                    logprobs: join_logprobs(&building.logprobs),
                    end,
                })
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Answer { id: self.id, model: self.model, created: self.created, choices, usage: self.usage })
    }

    fn part(&mut self, choice: u32, block: u32) -> Option<&mut Part<'static>> {
        self.choices.get_mut(&choice)?.parts.get_mut(&block)
    }

    fn insert(&mut self, choice: u32, block: u32, part: Part<'static>) {
        self.choices.get_or_default(choice).parts.insert(block, part);
    }

    fn media(&mut self, choice: u32, piece: Media<'_>) {
        let media = &mut self.choices.get_or_default(choice).media;
        let piece = Media {
            kind: piece.kind,
            id: piece.id.map(Text::into_owned),
            media_type: piece.media_type.into_owned(),
            data: piece.data.into_owned(),
            transcript: piece.transcript.map(Text::into_owned),
            expires_at: piece.expires_at,
        };
        match media.iter_mut().find(|known| known.kind == MediaKind::Audio && piece.kind == MediaKind::Audio) {
            None => media.push(piece),
            Some(audio) => {
                audio.data.push(&piece.data);
                audio.id = audio.id.take().or(piece.id);
                audio.expires_at = piece.expires_at.or(audio.expires_at);
                match (&mut audio.transcript, piece.transcript) {
                    (Some(said), Some(more)) => said.push(&more),
                    (said @ None, more) => *said = more,
                    (Some(_), None) => {}
                }
            }
        }
    }
}

impl Sink for Fold {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start { id, model, created } => {
                self.id = id.into_owned();
                self.model = model.into_owned();
                self.created = created;
            }
            Event::BlockStart { choice, block, kind } => {
                let part = match kind {
                    BlockKind::Text => {
                        Part::Text { text: Text::EMPTY, cache: None, citations: Vec::new(), signature: None }
                    }
                    BlockKind::Reasoning => Part::Reasoning { text: Text::EMPTY, signature: None },
                    BlockKind::Refusal => Part::Refusal { text: Text::EMPTY },
                };
                self.insert(choice, block, part);
            }
            Event::ToolCallStart { choice, block, id, name } => {
                let (id, name) = (id.into_owned(), name.into_owned());
                let part = Part::ToolCall { id, name, arguments: Arguments::Quoted(Text::EMPTY), signature: None };
                self.insert(choice, block, part);
            }
            Event::TextDelta { choice, block, text: more }
            | Event::ReasoningDelta { choice, block, text: more }
            | Event::RefusalDelta { choice, block, text: more }
            | Event::ToolCallDelta { choice, block, arguments: more } => match self.part(choice, block) {
                Some(
                    Part::Text { text, .. }
                    | Part::Reasoning { text, .. }
                    | Part::Refusal { text }
                    | Part::ToolCall { arguments: Arguments::Quoted(text), .. },
                ) => text.push(&more),
                _ => debug_assert!(false, "a delta for a block that never started"),
            },
            Event::BlockSignature { choice, block, signature: given } => {
                if let Some(
                    Part::Text { signature, .. } | Part::Reasoning { signature, .. } | Part::ToolCall { signature, .. },
                ) = self.part(choice, block)
                {
                    *signature = Some(given.into_owned());
                }
            }
            Event::BlockCitation { choice, block, citation } => {
                if let Some(Part::Text { citations, .. }) = self.part(choice, block) {
                    citations.push(citation.into_owned());
                }
            }
            Event::MediaDelta { choice, media } => self.media(choice, media),
            Event::BlockEnd { .. } => {}
            Event::LogprobsDelta { choice, logprobs } => {
                self.choices.get_or_default(choice).logprobs.push(logprobs.into_owned());
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End { choice, reason } => {
                self.choices.get_or_default(choice).end = Some(reason.into_owned());
            }
            Event::Failed(failure) => self.failed = Some(failure),
        }
    }
}

impl super::Signature<'_> {
    /// The same on its own memory.
    #[must_use]
    pub fn into_owned(self) -> super::Signature<'static> {
        super::Signature {
            format: self.format.into_owned(),
            data: self.data.into_owned(),
            id: self.id.map(Text::into_owned),
            role: self.role,
        }
    }
}

impl super::Citation<'_> {
    /// The same on its own memory.
    #[must_use]
    pub fn into_owned(self) -> super::Citation<'static> {
        super::Citation {
            url: self.url.map(Text::into_owned),
            title: self.title.map(Text::into_owned),
            quote: self.quote.map(Text::into_owned),
            start: self.start,
            end: self.end,
        }
    }
}

impl<'a> EndReason<'a> {
    /// A reason in our word and the vendor's.
    #[must_use]
    pub fn new(kind: EndKind, raw: Option<Text<'a>>) -> EndReason<'a> {
        EndReason { kind, raw, stop: None }
    }

    /// A reason without a vendor's word.
    #[must_use]
    pub fn plain(kind: EndKind) -> EndReason<'static> {
        EndReason::new(kind, None)
    }

    /// The same on its own memory.
    #[must_use]
    pub fn into_owned(self) -> EndReason<'static> {
        EndReason { kind: self.kind, raw: self.raw.map(Text::into_owned), stop: self.stop.map(Text::into_owned) }
    }

    /// What a generation that failed ([`EndKind::Error`]) is told as where an error is told.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let word = self.raw.as_ref().map(Text::decode).unwrap_or_default();
        let message = format!("The provider says that generation failed: {word}");
        Failure::bad_answer(message.trim_end_matches(": "))
    }
}

/// One `logprobs` object out of the pieces of a stream: their `content` and `refusal` arrays end to end.
fn join_logprobs(pieces: &[Raw<'static>]) -> Option<Raw<'static>> {
    #[derive(Default)]
    struct Piece<'a> {
        content: Option<Vec<Raw<'a>>>,
        refusal: Option<Vec<Raw<'a>>>,
    }
    readable! { Piece<'a> { content, refusal } }
    let (first, rest) = pieces.split_first()?;
    if rest.is_empty() {
        return Some(first.clone());
    }
    let read: Vec<Piece<'_>> = pieces.iter().filter_map(|piece| piece.read_borrowed().ok()).collect();
    let mut out = Vec::new();
    let mut object = crate::json::Object::open(&mut out);
    for (key, items) in [
        ("content", read.iter().map(|piece| &piece.content).collect::<Vec<_>>()),
        ("refusal", read.iter().map(|piece| &piece.refusal).collect()),
    ] {
        if items.iter().all(|list| list.is_none()) {
            object.null(key);
        } else {
            object.array(key, |array| {
                for item in items.into_iter().flatten().flatten() {
                    array.raw(item);
                }
            });
        }
    }
    object.close();
    Some(Raw::written(out))
}
