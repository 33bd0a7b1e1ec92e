//! Where in the caller's request something stands, and what to say when it is wrong there.

use std::fmt::{self, Display, Formatter};

use crate::chat::CacheMark;
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, SyntaxError, Text};

/// A place in the request, told by the steps that lead to it: `messages.2.content`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    before: Option<&'p Place<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Member(&'p str),
    Item(usize),
}

impl<'p> Place<'p> {
    pub fn top(key: &'p str) -> Place<'p> {
        Place { before: None, step: Step::Member(key) }
    }

    pub fn member(&'p self, key: &'p str) -> Place<'p> {
        Place { before: Some(self), step: Step::Member(key) }
    }

    pub fn item(&'p self, index: usize) -> Place<'p> {
        Place { before: Some(self), step: Step::Item(index) }
    }

    /// A fault here.
    pub fn fault(&self, message: String) -> Failure {
        Failure::bad_request(self.to_string(), message)
    }

    pub fn missing(&self) -> Failure {
        self.fault(format!("Missing required parameter: '{self}'."))
    }

    pub fn wrong_type(&self, expected: &str, got: Option<Kind>) -> Failure {
        let got = match got {
            Some(Kind::Object) => "an object",
            Some(Kind::Array) => "an array",
            Some(Kind::String) => "a string",
            Some(Kind::Number) => "a number",
            Some(Kind::Boolean) => "a boolean",
            Some(Kind::Null) => "null",
            None => "something that is no JSON",
        };
        self.fault(format!("Invalid type for '{self}': expected {expected}, but got {got} instead."))
    }

    pub fn wrong_word(&self, got: &str, supported: &str) -> Failure {
        let got: String = got.chars().take(64).collect();
        self.fault(format!("Invalid value: '{got}'. Supported values are: {supported}."))
    }

    /// The string here; `None` for `null`.
    pub fn text<'a>(&self, cursor: &mut Cursor<'a>) -> Result<Option<Text<'a>>, Failure> {
        let kind = cursor.kind();
        let value = cursor.value()?;
        match kind {
            Some(Kind::String) => Ok(value.into_text()),
            Some(Kind::Null) => Ok(None),
            kind => Err(self.wrong_type("a string", kind)),
        }
    }

    /// The boolean here; `None` for `null`.
    pub fn boolean(&self, cursor: &mut Cursor<'_>) -> Result<Option<bool>, Failure> {
        let kind = cursor.kind();
        let value = cursor.value()?;
        match kind {
            Some(Kind::Boolean) => Ok(value.boolean()),
            Some(Kind::Null) => Ok(None),
            kind => Err(self.wrong_type("a boolean", kind)),
        }
    }

    /// The whole number here; `None` for `null`.
    pub fn count(&self, cursor: &mut Cursor<'_>) -> Result<Option<u64>, Failure> {
        let kind = cursor.kind();
        let value = cursor.value()?;
        match (kind, value.get().parse()) {
            (Some(Kind::Number), Ok(count)) => Ok(Some(count)),
            (Some(Kind::Null), _) => Ok(None),
            (Some(Kind::Number), Err(_)) => {
                Err(self.fault(format!("Invalid '{self}': expected a whole number that is not negative.")))
            }
            (kind, _) => Err(self.wrong_type("an integer", kind)),
        }
    }

    /// The number here, as written; `None` for `null`.
    pub fn number<'a>(&self, cursor: &mut Cursor<'a>) -> Result<Option<Raw<'a>>, Failure> {
        self.raw(cursor, Kind::Number, "a number")
    }

    /// The object here, as written; `None` for `null`.
    pub fn object<'a>(&self, cursor: &mut Cursor<'a>) -> Result<Option<Raw<'a>>, Failure> {
        self.raw(cursor, Kind::Object, "an object")
    }

    /// The array of strings here; empty for `null`.
    pub fn texts<'a>(&self, cursor: &mut Cursor<'a>) -> Result<Vec<Text<'a>>, Failure> {
        let mut texts = Vec::new();
        if self.array(cursor)? {
            cursor.items(|index, cursor| {
                let place = self.item(index);
                texts.push(place.text(cursor)?.ok_or_else(|| place.wrong_type("a string", Some(Kind::Null)))?);
                Ok::<(), Failure>(())
            })?;
        }
        Ok(texts)
    }

    /// Whether an array begins here; `null`, which is passed, is none.
    pub fn array(&self, cursor: &mut Cursor<'_>) -> Result<bool, Failure> {
        self.begins(cursor, Kind::Array, "an array")
    }

    /// Whether an object begins here; `null`, which is passed, is none.
    pub fn opens(&self, cursor: &mut Cursor<'_>) -> Result<bool, Failure> {
        self.begins(cursor, Kind::Object, "an object")
    }

    /// `{"type": "ephemeral", "ttl": "5m" | "1h"}`, as Messages and OpenRouter have it.
    pub fn cache_mark(&self, cursor: &mut Cursor<'_>) -> Result<Option<CacheMark>, Failure> {
        if !self.opens(cursor)? {
            return Ok(None);
        }
        let mut mark = CacheMark::Short;
        cursor.members(|key, cursor| {
            let place = self.member(&key);
            match &*key {
                "ttl" => match place.text(cursor)? {
                    Some(ttl) if ttl.is("1h") => mark = CacheMark::Hour,
                    Some(ttl) if !ttl.is("5m") => return Err(place.wrong_word(&ttl.decode(), "'5m' and '1h'")),
                    _ => {}
                },
                _ => drop(cursor.value()?),
            }
            Ok::<(), Failure>(())
        })?;
        Ok(Some(mark))
    }

    fn raw<'a>(&self, cursor: &mut Cursor<'a>, wanted: Kind, expected: &str) -> Result<Option<Raw<'a>>, Failure> {
        let kind = cursor.kind();
        let value = cursor.value()?;
        match kind {
            Some(kind) if kind == wanted => Ok(Some(value)),
            Some(Kind::Null) => Ok(None),
            kind => Err(self.wrong_type(expected, kind)),
        }
    }

    fn begins(&self, cursor: &mut Cursor<'_>, wanted: Kind, expected: &str) -> Result<bool, Failure> {
        match cursor.kind() {
            Some(kind) if kind == wanted => Ok(true),
            Some(Kind::Null) => cursor.value().map(|_| false).map_err(Failure::from),
            None => Err(cursor.value().map_or_else(Failure::from, |_| self.wrong_type(expected, None))),
            kind => Err(self.wrong_type(expected, kind)),
        }
    }
}

impl Display for Place<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            write!(formatter, "{before}.")?;
        }
        match self.step {
            // A key of the caller's choosing may be of any length.
            Step::Member(key) => key.chars().take(64).try_for_each(|character| write!(formatter, "{character}")),
            Step::Item(index) => write!(formatter, "{index}"),
        }
    }
}

impl From<SyntaxError> for Failure {
    fn from(error: SyntaxError) -> Failure {
        Failure::new(
            crate::failure::Kind::BadRequest,
            format!("We could not parse the JSON body of your request: {error}."),
        )
    }
}
