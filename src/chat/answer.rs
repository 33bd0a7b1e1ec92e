//! A whole answer, for calls that are not streamed.

use crate::json::{Raw, Text};

use super::{EndReason, Media, Part, Usage};

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<'a> {
    /// The upstream's id; empty where it gave none.
    pub id: Text<'a>,
    /// The model as the upstream names it; empty where it does not.
    pub model: Text<'a>,
    /// Seconds since the epoch, where the upstream says.
    pub created: Option<i64>,
    /// One for each of the `n` that was asked for.
    pub choices: Vec<Choice<'a>>,
    /// What it used; `None` where the upstream did not say.
    pub usage: Option<Usage>,
}

/// One of an answer's alternatives.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<'a> {
    /// Its number.
    pub index: u32,
    /// Text, reasoning, refusals and tool calls in the order in which they were made.
    pub parts: Vec<Part<'a>>,
    /// Generated audio and images.
    pub media: Vec<Media<'a>>,
    /// OpenAI's `logprobs` object.
    pub logprobs: Option<Raw<'a>>,
    /// Why it ended.
    pub end: EndReason<'a>,
}
