//! How much may come back.

use crate::json::{Cursor, Kind, SyntaxError};

/// How much may come back, as the members of a request say it in every format. Of several that say it the largest counts:
/// whichever the provider goes by, it is no more.
#[derive(Default)]
pub(super) struct Caps {
    /// A bit for each of the names: what comes twice says nothing, as nobody knows which of the two counts.
    seen: u16,
    /// Tokens of one answer.
    tokens: Option<u64>,
    /// How many answers.
    answers: Option<u64>,
    /// Bytes of the answer that the caller predicts: what of it turns out wrong is billed beside what comes back.
    pub(super) predicted: u64,
    /// What has no bound: what the provider keeps, or looks up by itself.
    pub(super) unbounded: Option<&'static str>,
}

const CHOICE: &str = "a choice of models by the provider";

/// Members of a request that name what has no bound. Deeper down the same names are a caller's own.
const UNBOUNDED: &[(&str, &str)] = &[
    ("previous_response_id", "a stored answer"),
    ("conversation", "a stored answer"),
    ("cachedContent", "a stored answer"),
    ("cached_content", "a stored answer"),
    ("search_parameters", "a search by the provider"),
    ("web_search_options", "a search by the provider"),
    ("enable_search", "a search by the provider"),
    ("plugins", "a tool that the provider runs"),
    ("mcp_servers", "a tool that the provider runs"),
    // Only what goes to a router has these.
    ("models", CHOICE),
    ("preset", CHOICE),
];

impl Caps {
    /// Reads no more of a body than where its members stand.
    pub(super) fn of(body: &[u8]) -> Result<Caps, SyntaxError> {
        let mut caps = Caps::default();
        let mut cursor = Cursor::new(body)?;
        cursor.members(|name, cursor| match &*name {
            "max_tokens" => caps.tokens(0, cursor),
            "max_completion_tokens" => caps.tokens(1, cursor),
            "max_output_tokens" => caps.tokens(2, cursor),
            "n" => caps.answers(3, cursor),
            "best_of" => caps.answers(4, cursor),
            "generationConfig" | "generation_config" => caps.within(5, cursor, |caps, name, cursor| match name {
                "maxOutputTokens" | "max_output_tokens" => caps.tokens(6, cursor),
                "candidateCount" | "candidate_count" => caps.answers(7, cursor),
                _ => cursor.value().map(drop),
            }),
            "inferenceConfig" => caps.within(8, cursor, |caps, name, cursor| match name {
                "maxTokens" => caps.tokens(9, cursor),
                _ => cursor.value().map(drop),
            }),
            "options" => caps.within(10, cursor, |caps, name, cursor| match name {
                "num_predict" => caps.tokens(11, cursor),
                _ => cursor.value().map(drop),
            }),
            "prediction" => {
                let value = cursor.value()?;
                let bytes = if value.is_null() { 0 } else { value.get().len() as u64 };
                caps.predicted = caps.predicted.saturating_add(bytes);
                Ok(())
            }
            // Of Responses, which only has a provider sum up in it; as an object it may just forget.
            "context_management" => caps.names("a summary by the provider", cursor, |kind| kind == Kind::Array),
            // Of Vercel's router.
            "providerOptions" => {
                let models = cursor.value()?.member("gateway").and_then(|gateway| gateway.member("models"));
                caps.unbounded = caps.unbounded.or(models.map(|_| CHOICE));
                Ok(())
            }
            // As text it is one.
            "prompt" => caps.names("a stored prompt", cursor, |kind| kind == Kind::Object),
            name => match UNBOUNDED.iter().find(|(known, _)| *known == name) {
                Some((_, what)) => caps.names(what, cursor, |kind| !matches!(kind, Kind::Null | Kind::Boolean)),
                None => cursor.value().map(drop),
            },
        })?;
        cursor.finish()?;
        Ok(caps)
    }

    /// The most output tokens of all answers together.
    pub(super) fn output(&self, model_max: Option<u64>) -> Option<u64> {
        Some(self.tokens.or(model_max)?.saturating_mul(self.answers.unwrap_or(1).max(1)))
    }

    /// Notes that what comes next has no bound, where its kind says so, or it is `true`.
    fn names(
        &mut self,
        what: &'static str,
        cursor: &mut Cursor<'_>,
        says: fn(Kind) -> bool,
    ) -> Result<(), SyntaxError> {
        let says = cursor.kind().is_some_and(says);
        if cursor.value()?.get() == "true" || says {
            self.unbounded = self.unbounded.or(Some(what));
        }
        Ok(())
    }

    /// Reads the members of a member, if that is an object.
    fn within(
        &mut self,
        name: u8,
        cursor: &mut Cursor<'_>,
        each: fn(&mut Caps, &str, &mut Cursor<'_>) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        self.note(name, cursor)?;
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        cursor.members(|name, cursor| each(self, &name, cursor))
    }

    fn tokens(&mut self, name: u8, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        self.note(name, cursor)?;
        larger(&mut self.tokens, cursor)
    }

    fn answers(&mut self, name: u8, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        self.note(name, cursor)?;
        larger(&mut self.answers, cursor)
    }

    fn note(&mut self, name: u8, cursor: &Cursor<'_>) -> Result<(), SyntaxError> {
        let bit = 1 << name;
        if self.seen & bit != 0 {
            return Err(SyntaxError { at: cursor.position(), what: "a member comes twice" });
        }
        self.seen |= bit;
        Ok(())
    }
}

/// Takes the whole number that comes next, where it is larger than the one that is known; `null` is none.
fn larger(known: &mut Option<u64>, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    let at = cursor.position();
    let value = cursor.value()?;
    if !value.is_null() {
        let number = value.get().parse().map_err(|_| SyntaxError { at, what: "expected a whole number" })?;
        *known = (*known).max(Some(number));
    }
    Ok(())
}
