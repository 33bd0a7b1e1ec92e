use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Cursor, Error, FromJson, FromJsonOwned, Text, read_float};

/// One valid JSON value as it was written, of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw<'a>(Cow<'a, str>);

/// `null`.
impl Default for Raw<'_> {
    fn default() -> Self {
        Raw::NULL
    }
}

impl<'a> Raw<'a> {
    /// `null`.
    pub const NULL: Raw<'static> = Raw(Cow::Borrowed("null"));
    /// `{}`.
    pub const EMPTY_OBJECT: Raw<'static> = Raw(Cow::Borrowed("{}"));
    /// `[]`
    pub const EMPTY_ARRAY: Raw<'static> = Raw(Cow::Borrowed("[]"));

    /// Checks that `json` is one JSON value.
    ///
    /// # Errors
    /// Where it is not.
    pub fn parse(json: &'a str) -> Result<Raw<'a>, Error> {
        super::from_str(json)
    }

    /// The same for an owned string.
    ///
    /// # Errors
    /// Where it is not one JSON value.
    pub fn parse_owned(json: String) -> Result<Raw<'static>, Error> {
        let written = Raw::parse(&json)?.0.len();
        if written == json.len() { Ok(Raw(Cow::Owned(json))) } else { Raw::parse(&json).map(Raw::into_owned) }
    }

    /// What an [`Object`](super::Object) or [`Array`](super::Array) was written into; `{}` where that is no JSON.
    #[must_use]
    pub fn written(out: Vec<u8>) -> Raw<'static> {
        String::from_utf8(out).ok().and_then(|json| Raw::parse_owned(json).ok()).unwrap_or(Raw::EMPTY_OBJECT)
    }

    /// Takes a span that a JSON parser has already checked.
    #[must_use]
    pub fn from_raw(raw: &'a RawValue) -> Raw<'a> {
        Raw(Cow::Borrowed(raw.get()))
    }

    /// Takes what [`super::Cursor`] has already checked.
    pub(super) fn from_checked(json: &'a str) -> Raw<'a> {
        Raw(Cow::Borrowed(json))
    }

    /// Serializes `value`.
    #[must_use]
    pub fn of<T: serde::Serialize + ?Sized>(value: &T) -> Raw<'static> {
        Raw(Cow::Owned(super::to_string(value)))
    }

    /// The value as written.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// Whether the value is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether the value is an array.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.0.starts_with('[')
    }

    /// The string inside, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<Text<'_>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text::from_escaped(inside))
    }

    /// The string inside, if it is one, living as long as what it was read from.
    #[must_use]
    pub fn into_text(self) -> Option<Text<'a>> {
        let inside = 1..self.0.len().checked_sub(1)?;
        match self.0 {
            Cow::Borrowed(json) if json.starts_with('"') => json.get(inside).map(Text::from_escaped),
            Cow::Owned(json) if json.starts_with('"') => Some(Text::from_escaped(json.get(inside)?.to_owned())),
            _ => None,
        }
    }

    /// What the cursor has passed, which never has memory of its own.
    pub(crate) fn into_span(self) -> &'a str {
        self.span().unwrap_or("null")
    }

    /// The value as it lives in what it was read from; `None` where it has memory of its own.
    fn span(&self) -> Option<&'a str> {
        match self.0 {
            Cow::Borrowed(json) => Some(json),
            Cow::Owned(_) => None,
        }
    }

    /// Walks the value. What is found lives as long as what the value was read from, so a value with memory of its own
    /// looks like `null`: borrow it first.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'a> {
        Cursor::over(self.span().unwrap_or("null"))
    }

    /// The last member called `key` of a borrowed object.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        if !self.is_object() {
            return None;
        }
        let mut found = None;
        let walked = self.cursor().members(|name, cursor| {
            let value = cursor.value()?;
            if name == key {
                found = Some(value);
            }
            Ok::<(), super::SyntaxError>(())
        });
        walked.ok().and(found)
    }

    /// The number inside as a float, if it is one: for range checks, never for money.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        if self.0.starts_with(['"', '[', '{', 't', 'f', 'n']) { None } else { read_float(&self.0) }
    }

    /// The boolean inside, if it is one.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Reads the value as `T`.
    ///
    /// # Errors
    /// Where it is not a `T`.
    pub fn read<T: FromJsonOwned>(&self) -> Result<T, Error> {
        super::from_str(&self.0)
    }

    /// Reads the value as `T`, borrowing from it.
    ///
    /// # Errors
    /// Where it is not a `T`.
    pub fn read_borrowed<'s, T: FromJson<'s>>(&'s self) -> Result<T, Error> {
        super::from_str(&self.0)
    }

    /// The value without whitespace between its tokens; borrows where there is none.
    ///
    /// Vendors print whole answers prettily and streamed ones not: arguments must read the same either way.
    #[must_use]
    pub fn compact(&self) -> Cow<'_, str> {
        let mut in_string = false;
        let mut escaped = false;
        let mut kept: Option<String> = None;
        for (at, character) in self.0.char_indices() {
            let drop = !in_string && matches!(character, ' ' | '\t' | '\n' | '\r');
            if drop {
                kept.get_or_insert_with(|| self.0.get(..at).unwrap_or_default().to_owned());
            } else if let Some(kept) = &mut kept {
                kept.push(character);
            }
            in_string = if character == '"' && !escaped { !in_string } else { in_string };
            escaped = in_string && character == '\\' && !escaped;
        }
        kept.map_or(Cow::Borrowed(&*self.0), Cow::Owned)
    }

    /// The same value, borrowed from this one.
    #[must_use]
    pub fn borrowed(&self) -> Raw<'_> {
        Raw(Cow::Borrowed(&self.0))
    }

    /// The same value on its own memory.
    #[must_use]
    pub fn into_owned(self) -> Raw<'static> {
        Raw(Cow::Owned(self.0.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_whitespace_between_tokens_goes() {
        let pretty = Raw::parse("{ \"a b\" :\n [ 1 , \"\\\" ]\\\\\" , null ] }").expect("json");
        assert_eq!(pretty.compact(), "{\"a b\":[1,\"\\\" ]\\\\\",null]}");
        assert!(matches!(Raw::EMPTY_OBJECT.compact(), Cow::Borrowed("{}")));
    }

    proptest! {
        #[test]
        fn compacting_prints_what_was_pretty(text in any::<String>(), number in any::<i32>()) {
            let value = serde_json::json!({ "a": [text, number, {}], "b": { "c": null } });
            let pretty = serde_json::to_string_pretty(&value).expect("json");
            let raw = Raw::parse(&pretty).expect("json");
            prop_assert_eq!(raw.compact(), value.to_string());
        }
    }
}
