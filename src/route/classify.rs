//! What kind of task a prompt sets, and how hard it is: a small linear model over what the text is made of.
//!
//! Words, pairs of words, their beginnings and endings, signs and a few measures of the whole are hashed into
//! [`model::BUCKETS`] rows of weights ([`features`]); the sum of the rows gives a score for each [`Kind`] and a
//! difficulty ([`model`]). The weights are data, made offline by `tests/classifier` from labelled prompts, of which the
//! evaluation beside them was not made. What a call asks for beside words (effort, long conversations) then sets
//! bounds: see [`Hints`].
//!
//! At most the first and last part of the last user message is read, so that the cost is bounded by
//! [`features::MOST`] bytes, whatever is sent.

pub mod features;
pub mod model;

use crate::chat::Effort;

/// A kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Talk: greetings, opinions, advice.
    Chat,
    /// A question about facts or how something works.
    Question,
    /// Writing, changing or explaining programs.
    Code,
    /// Calculation and proof.
    Mathematics,
    /// Figures, fields or labels out of text, in a given form.
    Extract,
    /// A shorter text out of a longer one.
    Summarize,
    /// The same text in another language.
    Translate,
    /// Prose, verse, mail and other texts.
    Write,
    /// Planning, comparing, judging, arguing from several premises.
    Reason,
}

impl Kind {
    /// All, in the order of the classifier's columns.
    pub const ALL: [Kind; 9] = [
        Kind::Chat,
        Kind::Question,
        Kind::Code,
        Kind::Mathematics,
        Kind::Extract,
        Kind::Summarize,
        Kind::Translate,
        Kind::Write,
        Kind::Reason,
    ];

    /// Its name in the configuration and in explanations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Chat => "chat",
            Kind::Question => "question",
            Kind::Code => "code",
            Kind::Mathematics => "mathematics",
            Kind::Extract => "extract",
            Kind::Summarize => "summarize",
            Kind::Translate => "translate",
            Kind::Write => "write",
            Kind::Reason => "reason",
        }
    }
}

/// What the classifier makes of a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// The likeliest kind.
    pub kind: Kind,
    /// 1 trivial, 2 easy, 3 ordinary, 4 hard, 5 expert.
    pub difficulty: u8,
    /// How sure it is of the kind, 0 to 1.
    pub confidence: f64,
}

/// What a call says of its difficulty beside its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// How much thinking it asks for.
    pub effort: Option<Effort>,
    /// Messages of the conversation.
    pub messages: u64,
    /// An estimate of all its tokens.
    pub tokens: u64,
    /// Tools that are offered.
    pub tools: u64,
}

impl Hints {
    /// Bounds what the words say: whoever asks for much thinking has a hard task, and nothing is trivial among tools,
    /// in a long conversation or over a long document.
    fn bound(&self, difficulty: u8) -> u8 {
        let least = match self.effort {
            Some(Effort::High | Effort::XHigh | Effort::Max) => 4,
            _ if self.tokens > 20_000 || self.messages > 20 => 3,
            _ if self.tools > 0 || self.tokens > 4_000 || self.messages > 6 => 2,
            _ => 1,
        };
        let most = match self.effort {
            Some(Effort::None | Effort::Minimal | Effort::Low) => 3,
            _ => 5,
        };
        difficulty.clamp(least, most)
    }
}

/// Classifies a call by the last text that its user wrote.
///
/// ```
/// use latchkey::route::classify::{Hints, Kind, classify};
/// let class = classify("Write a Python function that checks whether a number is prime.", Hints::default());
/// assert_eq!(class.kind, Kind::Code);
/// assert!(class.difficulty <= 3);
/// ```
#[must_use]
pub fn classify(text: &str, hints: Hints) -> Class {
    let class = model::built_in().classify(text);
    Class { difficulty: hints.bound(class.difficulty), ..class }
}

#[cfg(test)]
mod tests;
