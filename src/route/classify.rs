//! What kind of task a prompt sets, and how hard it is.

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
