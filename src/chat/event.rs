//! What an answer is made of, in the order in which it comes.

use crate::failure::Failure;
use crate::json::{Raw, Text};

use super::Usage;

/// One step of an answer.
///
/// Ordering laws, which every decoder keeps and the conformance tests check:
/// - `Start` comes first and once. It is no output: a call can still move to another target after it.
/// - Within a choice, blocks are numbered densely from zero in the order they start. A block is started once, before
///   its deltas, and ended once, after them; blocks may overlap (interleaved tool calls do).
/// - `End` comes once a choice, after all of its blocks ended. `Usage` may come anywhere after `Start`, any number of
///   times: each is a full count and replaces the one before.
/// - `Failed` is the last event if it comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The upstream accepted the call.
    Start {
        /// The answer's id as the upstream gave it; empty where it gave none.
        id: Text<'a>,
        /// The model as the upstream names it; empty where it does not.
        model: Text<'a>,
        /// Seconds since the epoch, where the upstream says.
        created: Option<i64>,
    },
    /// A block of text, reasoning or refusal begins.
    BlockStart {
        /// Which of the `n` choices.
        choice: u32,
        /// The block's number within the choice.
        block: u32,
        /// What its deltas hold.
        kind: BlockKind,
    },
    /// A tool call begins. Its arguments follow as deltas; a call without arguments has a single delta `{}`.
    ToolCallStart {
        /// Which choice.
        choice: u32,
        /// The block's number within the choice.
        block: u32,
        /// Unique within the answer; minted where the upstream has none.
        id: Text<'a>,
        /// The function's name, complete.
        name: Text<'a>,
    },
    /// More text of a text block.
    TextDelta {
        /// Which choice.
        choice: u32,
        /// Which block.
        block: u32,
        /// What to append.
        text: Text<'a>,
    },
    /// More text of a reasoning block.
    ReasoningDelta {
        /// Which choice.
        choice: u32,
        /// Which block.
        block: u32,
        /// What to append.
        text: Text<'a>,
    },
    /// More text of a refusal block.
    RefusalDelta {
        /// Which choice.
        choice: u32,
        /// Which block.
        block: u32,
        /// What to append.
        text: Text<'a>,
    },
    /// More of a tool call's arguments: a piece of the JSON text of an object, as the content of a JSON string.
    ToolCallDelta {
        /// Which choice.
        choice: u32,
        /// Which block.
        block: u32,
        /// What to append.
        arguments: Text<'a>,
    },
    /// What the producer needs back on the next turn, unchanged, with the block it belongs to.
    BlockSignature {
        /// Which choice.
        choice: u32,
        /// Which block: reasoning, text or a tool call.
        block: u32,
        /// The opaque token.
        signature: Signature<'a>,
    },
    /// A source for something in a text block.
    BlockCitation {
        /// Which choice.
        choice: u32,
        /// Which text block.
        block: u32,
        /// Where it is from.
        citation: Citation<'a>,
    },
    /// A piece of generated audio or a whole generated image.
    MediaDelta {
        /// Which choice.
        choice: u32,
        /// What to append.
        media: Media<'a>,
    },
    /// A block is complete.
    BlockEnd {
        /// Which choice.
        choice: u32,
        /// Which block.
        block: u32,
    },
    /// Log probabilities of what was just said, as OpenAI's `logprobs` object.
    LogprobsDelta {
        /// Which choice.
        choice: u32,
        /// The object.
        logprobs: Raw<'a>,
    },
    /// What the call has used so far, in full; the last one counts.
    Usage(Usage),
    /// A choice is complete.
    End {
        /// Which choice.
        choice: u32,
        /// Why it ended.
        reason: EndReason<'a>,
    },
    /// The upstream reported an error in its stream.
    Failed(Failure),
}

/// What a block without a header of its own holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// What the model says.
    Text,
    /// What the model thinks, as far as the vendor shows it.
    Reasoning,
    /// Why the model will not answer.
    Refusal,
}

/// An opaque token that only its producer can read.
///
/// It binds reasoning to the model that made it: sent to another one it is refused, so it is dropped when the next
/// turn goes elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature<'a> {
    /// Who can read it, as OpenRouter's `reasoning_details[].format` names it: `anthropic-claude-v1`,
    /// `google-gemini-v1`, `openai-responses-v1`, `xai-responses-v1`; empty when unknown.
    pub format: Text<'a>,
    /// The token.
    pub data: Text<'a>,
    /// The producer's id of the item, where it has one and wants it back.
    pub id: Option<Text<'a>>,
    /// Beside the content, or instead of it.
    pub role: SignatureRole,
}

/// What a signature is to its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureRole {
    /// It proves content that is shown.
    Signs,
    /// It is the content, encrypted (redacted thinking, encrypted reasoning).
    Replaces,
}

/// A source of something that was said.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Citation<'a> {
    /// Where the source is.
    pub url: Option<Text<'a>>,
    /// What it is called.
    pub title: Option<Text<'a>>,
    /// The words taken from it.
    pub quote: Option<Text<'a>>,
    /// First character of the block's text that it supports.
    pub start: Option<u64>,
    /// The character after the last.
    pub end: Option<u64>,
}

/// Generated audio or images.
#[derive(Clone, Debug, PartialEq)]
pub struct Media<'a> {
    /// Which.
    pub kind: MediaKind,
    /// The producer's id, where it gave one.
    pub id: Option<Text<'a>>,
    /// Such as `image/png`; empty where the format fixes it.
    pub media_type: Text<'a>,
    /// Base64.
    pub data: Text<'a>,
    /// Spoken words, for audio.
    pub transcript: Option<Text<'a>>,
    /// When the upstream forgets it, seconds since the epoch.
    pub expires_at: Option<i64>,
}

/// Kind of generated media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Comes in pieces.
    Audio,
    /// Comes whole.
    Image,
}

/// Why a choice ended: our word and the vendor's.
#[derive(Clone, Debug, PartialEq)]
pub struct EndReason<'a> {
    /// The unified reason.
    pub kind: EndKind,
    /// The vendor's own word, where it gave one.
    pub raw: Option<Text<'a>>,
    /// Which of the caller's sequences ended it, where that is known.
    pub stop: Option<Text<'a>>,
}

/// Unified end reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndKind {
    /// The model was done, or hit a stop sequence.
    Stop,
    /// A token limit cut it.
    Length,
    /// It waits for tool results.
    ToolCalls,
    /// A safety system or the model itself refused.
    ContentFilter,
    /// The vendor's own tool loop paused; sending the turn back continues it.
    Paused,
    /// The vendor says that generation failed.
    Error,
    /// A word we do not know.
    Other,
}

/// Takes events as they are decoded, without a buffer between.
pub trait Sink {
    /// The next event. It borrows from the frame it was read from.
    fn event(&mut self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>)> Sink for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}
