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
//! subject   = "key" | "team" | "environment" | "user" | "session" | "tag" | "model" | "endpoint" | "kind" | "means"
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
    /// The route whose phrases its words are nearest to.
    Means,
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
            Condition::Mentions(phrases) => call.mentions(phrases),
        }
    }

    /// Whether it holds for a call of which only the record is left, as far as that tells: no headers, no metadata, no
    /// word of the prompt. `None` where it hangs on something else.
    #[must_use]
    pub fn holds_by_record(&self, call: &CallFacts<'_>) -> Option<bool> {
        match self {
            Condition::All(all) => settled(all, call, false),
            Condition::Any(any) => settled(any, call, true),
            Condition::Not(one) => one.holds_by_record(call).map(|holds| !holds),
            _ => self.unrecorded(call).is_none().then(|| self.holds(call)),
        }
    }

    /// Notes what it asks for that no record tells.
    pub fn note_unrecorded(&self, call: &CallFacts<'_>, note: &mut dyn FnMut(String)) {
        match self {
            Condition::All(several) | Condition::Any(several) => {
                several.iter().for_each(|one| one.note_unrecorded(call, note));
            }
            Condition::Not(one) => one.note_unrecorded(call, note),
            _ => self.unrecorded(call).into_iter().for_each(note),
        }
    }

    fn unrecorded(&self, call: &CallFacts<'_>) -> Option<String> {
        let unclassified = call.class.is_none();
        let name = match self {
            Condition::Is(Subject::Metadata(name), _) => return Some(format!("metadata.{name}")),
            Condition::Is(Subject::Header(name), _) => return Some(format!("header.{name}")),
            Condition::Is(Subject::Means, _) => "means",
            Condition::Is(Subject::Kind, _) if unclassified => "kind",
            Condition::Within(Measure::Difficulty, ..) if unclassified => "difficulty",
            Condition::Within(Measure::OutputTokens, ..) => "output_tokens",
            Condition::Within(Measure::Messages, ..) => "messages",
            Condition::Within(Measure::Tools, ..) => "tools",
            Condition::Holds(_) => "content",
            Condition::Needs(_) => "needs",
            Condition::Mentions(_) => "mentions",
            _ => return None,
        };
        Some(name.to_owned())
    }

    /// Whether it asks what the call means.
    #[must_use]
    pub fn reads_meaning(&self) -> bool {
        match self {
            Condition::All(several) | Condition::Any(several) => several.iter().any(Condition::reads_meaning),
            Condition::Not(one) => one.reads_meaning(),
            Condition::Is(subject, _) => *subject == Subject::Means,
            _ => false,
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

/// Whether one of several is `decisive` for all of them, or all are known not to be.
fn settled(several: &[Condition], call: &CallFacts<'_>, decisive: bool) -> Option<bool> {
    let known: Vec<Option<bool>> = several.iter().map(|one| one.holds_by_record(call)).collect();
    if known.contains(&Some(decisive)) {
        return Some(decisive);
    }
    (!known.contains(&None)).then_some(!decisive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_does_not_tell_is_said_unless_it_does_not_matter() {
        let team = |name: &str| Condition::Is(Subject::Team, vec![Pattern::new(name)]);
        let words = Condition::Mentions(vec!["x".to_owned()]);
        let role = Condition::Is(Subject::Metadata("role".to_owned()), vec![Pattern::new("*")]);
        let call = CallFacts { team: Some("a"), ..CallFacts::default() };
        assert_eq!(team("a").holds_by_record(&call), Some(true));
        assert_eq!(words.holds_by_record(&call), None);
        assert_eq!(Condition::All(vec![team("b"), words.clone()]).holds_by_record(&call), Some(false));
        assert_eq!(Condition::Any(vec![team("a"), words.clone()]).holds_by_record(&call), Some(true));
        let open = Condition::All(vec![team("a"), Condition::Not(Box::new(words)), role]);
        assert_eq!(open.holds_by_record(&call), None);
        let mut told = Vec::new();
        open.note_unrecorded(&call, &mut |name| told.push(name));
        assert_eq!(told, ["mentions", "metadata.role"]);
        let hard = Condition::Within(Measure::Difficulty, 4, 5);
        assert_eq!(hard.holds_by_record(&call), None, "the classifier was not asked, and cannot be");
    }

    #[test]
    fn of_needs_all_must_be_there_and_of_contents_one() {
        let of = |needs, content| CallFacts {
            needs,
            prompt: crate::route::facts::Prompt { content, ..Default::default() },
            ..CallFacts::default()
        };
        let needs = Condition::Needs(0b11);
        assert_eq!([0b01, 0b11, 0b111].map(|needed| needs.holds(&of(needed, 0))), [false, true, true]);
        let contents = Condition::Holds(Content::IMAGE | Content::CODE);
        let found = [Content::AUDIO, Content::CODE, Content::IMAGE | Content::CODE, 0];
        assert_eq!(found.map(|content| contents.holds(&of(0, content))), [false, true, true, false]);
    }

    #[test]
    fn what_must_be_asked_first_is_found_wherever_it_stands() {
        let kind = Condition::Is(Subject::Kind, vec![Pattern::new("code")]);
        let means = Condition::Is(Subject::Means, vec![Pattern::new("refunds")]);
        let within = |one: Condition| {
            let hidden = Condition::Any(vec![Condition::Always, Condition::Not(Box::new(one))]);
            Condition::All(vec![Condition::Always, hidden])
        };
        let (kind, means) = (within(kind), within(means));
        assert_eq!([kind.reads_class(), kind.reads_meaning()], [true, false]);
        assert_eq!([means.reads_class(), means.reads_meaning()], [false, true]);
    }
}
