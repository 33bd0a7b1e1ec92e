//! Conditions: for which calls something holds.
//!
//! The configuration writes them as JSON. All members of an object must hold; of a list, one is enough:
//!
//! ```text
//! condition = "{" member* "}"
//! member    = subject ":" patterns
//!           | ( "metadata" | "header" ) ":" "{" ( name ":" patterns )* "}"
//!           | measure ":" "{" [ "from" ":" integer ] [ "to" ":" integer ] "}"
//!           | "content" ":" "[" ( "image" | "audio" | "file" | "tools" | "schema" | "code" )+ "]"
//!           | "needs" ":" "[" capability+ "]"
//!           | "mentions" ":" "[" phrase+ "]"
//!           | ( "all" | "any" ) ":" "[" condition+ "]"
//!           | "not" ":" condition
//! subject   = "key" | "team" | "environment" | "user" | "session" | "tag" | "model" | "endpoint" | "kind"
//! measure   = "input_tokens" | "output_tokens" | "messages" | "tools" | "difficulty"
//! patterns  = pattern | "[" pattern+ "]"
//! ```
//!
//! In a pattern `*` stands for any characters, and case does not count. `needs` wants all of its capabilities,
//! `content` and `mentions` one of theirs. What is not known of a call is matched by no pattern and lies in no range,
//! so that a pin written with `not` includes the calls that do not say what they are.

use crate::keys::Pattern;

use super::facts::CallFacts;

/// A question about a call.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Condition {
    /// Holds for every call.
    #[default]
    Always,
    /// All of these.
    All(Vec<Condition>),
    /// At least one of these.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// What is said of this subject matches one of the patterns.
    Is(Subject, Vec<Pattern>),
    /// A figure lies between these, both included.
    Within(Measure, u64, u64),
    /// The call holds one of these: a set of [`Content`].
    Holds(u32),
    /// The call needs all of these: a set of [`Capabilities`](crate::provider::Capabilities).
    Needs(u32),
    /// One of these phrases, in lower case, stands in what the caller wrote.
    Mentions(Vec<String>),
}

/// What a pattern is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The key's id or its name.
    Key,
    /// The key's team.
    Team,
    /// The key's environment, else the deployment's.
    Environment,
    /// The end user.
    User,
    /// The session.
    Session,
    /// Any of the tags.
    Tag,
    /// The model string of the call.
    Model,
    /// Such as `chat/completions`.
    Endpoint,
    /// The kind of task, as the classifier sees it.
    Kind,
    /// One member of the metadata of the call, else of the key.
    Metadata(String),
    /// A request header, by its lower-case name.
    Header(String),
}

/// A figure of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// An estimate of the prompt's tokens.
    InputTokens,
    /// The output limit that the call asks for.
    OutputTokens,
    /// Messages of the conversation.
    Messages,
    /// Tools that are offered.
    Tools,
    /// 1 (trivial) to 5 (expert), as the classifier sees it.
    Difficulty,
}

/// What a call can hold beside plain words: bits of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content;

impl Content {
    /// An image.
    pub const IMAGE: u32 = 1;
    /// Sound.
    pub const AUDIO: u32 = 1 << 1;
    /// A document.
    pub const FILE: u32 = 1 << 2;
    /// Tools to call.
    pub const TOOLS: u32 = 1 << 3;
    /// A schema or JSON mode for the answer.
    pub const SCHEMA: u32 = 1 << 4;
    /// A block of code.
    pub const CODE: u32 = 1 << 5;

    /// Each with its name in the configuration.
    pub const NAMES: [(&'static str, u32); 6] = [
        ("image", Content::IMAGE),
        ("audio", Content::AUDIO),
        ("file", Content::FILE),
        ("tools", Content::TOOLS),
        ("schema", Content::SCHEMA),
        ("code", Content::CODE),
    ];
}

impl Condition {
    /// Whether it holds for `call`.
    #[must_use]
    pub fn holds(&self, call: &CallFacts<'_>) -> bool {
        match self {
            Condition::Always => true,
            Condition::All(all) => all.iter().all(|one| one.holds(call)),
            Condition::Any(any) => any.iter().any(|one| one.holds(call)),
            Condition::Not(one) => !one.holds(call),
            Condition::Is(subject, patterns) => {
                call.says(subject, &|text| patterns.iter().any(|pattern| pattern.matches(text)))
            }
            Condition::Within(measure, from, to) => {
                call.measure(*measure).is_some_and(|value| (*from..=*to).contains(&value))
            }
            Condition::Holds(content) => call.prompt.content & content != 0,
            Condition::Needs(abilities) => call.needs & abilities == *abilities,
            Condition::Mentions(phrases) => call.prompt.mentions(phrases),
        }
    }

    /// Whether the prompt must have been read to answer it.
    #[must_use]
    pub fn reads_prompt(&self) -> bool {
        match self {
            Condition::Always => false,
            Condition::All(several) | Condition::Any(several) => several.iter().any(Condition::reads_prompt),
            Condition::Not(one) => one.reads_prompt(),
            Condition::Is(subject, _) => matches!(subject, Subject::Kind | Subject::Metadata(_) | Subject::User),
            Condition::Within(..) | Condition::Holds(_) | Condition::Needs(_) | Condition::Mentions(_) => true,
        }
    }

    /// Whether the classifier's opinion is asked for.
    #[must_use]
    pub fn reads_class(&self) -> bool {
        match self {
            Condition::All(several) | Condition::Any(several) => several.iter().any(Condition::reads_class),
            Condition::Not(one) => one.reads_class(),
            Condition::Is(subject, _) => *subject == Subject::Kind,
            Condition::Within(measure, ..) => *measure == Measure::Difficulty,
            _ => false,
        }
    }
}
