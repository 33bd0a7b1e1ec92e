//! What of a call matters for where it may go.

use std::borrow::Cow;

use super::classify::Class;
use super::condition::{Measure, Subject};
use super::meaning::Meaning;
use crate::chat::lowered;

/// What is known of a call before a target is chosen.
#[derive(Clone, Debug, Default)]
pub struct CallFacts<'c> {
    /// The key's id.
    pub key: &'c str,
    /// What its operator calls it.
    pub key_name: &'c str,
    /// The key's team.
    pub team: Option<&'c str>,
    /// The key's environment, else the deployment's.
    pub environment: &'c str,
    /// The end user.
    pub user: Option<Cow<'c, str>>,
    /// The session.
    pub session: Option<Cow<'c, str>>,
    /// Tags of the call.
    pub tags: Vec<&'c str>,
    /// Metadata of the call and then of the key; the first of a name counts.
    pub metadata: Vec<(&'c str, &'c str)>,
    /// Request headers with lower-case names.
    pub headers: &'c [(String, String)],
    /// The model string.
    pub model: &'c str,
    /// Such as `chat/completions`.
    pub endpoint: &'c str,
    /// What its prompt is like.
    pub prompt: Prompt,
    /// What people wrote in it, the system's words first, up to a cap.
    pub texts: &'c [String],
    /// Its answer is wanted in one piece, not as a stream.
    pub plain: bool,
    /// The output limit that it asks for.
    pub output_tokens: Option<u64>,
    /// What a target must be able to do: a set of [`Capabilities`](crate::provider::Capabilities).
    pub needs: u32,
    /// What the classifier makes of it, where it was asked.
    pub class: Option<Class>,
    /// What it means, where that was asked.
    pub meaning: Option<Meaning>,
}

/// What a prompt is like, without judging it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prompt {
    /// An estimate of its tokens; zero where it was not read.
    pub tokens: u64,
    /// How many messages there are.
    pub messages: u64,
    /// How many tools are offered.
    pub tools: u64,
    /// What it holds beside words: a set of [`Content`](super::condition::Content).
    pub content: u32,
}

impl CallFacts<'_> {
    /// Whether something that is said of `subject` satisfies `matches`.
    pub(super) fn says(&self, subject: &Subject, matches: &dyn Fn(&str) -> bool) -> bool {
        match subject {
            Subject::Key => matches(self.key) || matches(self.key_name),
            Subject::Team => self.team.is_some_and(matches),
            Subject::Environment => matches(self.environment),
            Subject::User => self.user.as_deref().is_some_and(matches),
            Subject::Session => self.session.as_deref().is_some_and(matches),
            Subject::Tag => self.tags.iter().any(|tag| matches(tag)),
            Subject::Model => matches(self.model),
            Subject::Endpoint => matches(self.endpoint),
            Subject::Kind => self.class.is_some_and(|class| matches(class.kind.name())),
            Subject::Means => self.meaning.as_ref().and_then(|meaning| meaning.route.as_deref()).is_some_and(matches),
            Subject::Metadata(name) => {
                let found = self.metadata.iter().find(|(known, _)| known == name);
                found.is_some_and(|(_, value)| matches(value))
            }
            Subject::Header(name) => {
                self.headers.iter().filter(|(known, _)| known == name).any(|(_, value)| matches(value))
            }
        }
    }

    pub(super) fn measure(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::InputTokens => Some(self.prompt.tokens),
            Measure::OutputTokens => self.output_tokens,
            Measure::Messages => Some(self.prompt.messages),
            Measure::Tools => Some(self.prompt.tools),
            Measure::Difficulty => self.class.map(|class| u64::from(class.difficulty)),
        }
    }

    /// Whether one of `phrases`, which are in lower case, stands in its prompt.
    pub(super) fn mentions(&self, phrases: &[String]) -> bool {
        self.texts.iter().any(|text| {
            let text = lowered(text);
            phrases.iter().any(|phrase| text.contains(phrase.as_str()))
        })
    }
}
