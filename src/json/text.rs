use std::borrow::Cow;

use serde_json::value::RawValue;

/// The content of a JSON string, still escaped, without its quotes.
///
/// Equality compares escaped spellings: `"é"` and `"\u00e9"` differ here although they decode alike.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// The empty string.
    pub const EMPTY: Text<'static> = Text(Cow::Borrowed(""));

    /// Escapes `plain`; borrows it where nothing needs an escape.
    #[must_use]
    pub fn escape(plain: &'a str) -> Text<'a> {
        if plain.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            return Text(Cow::Borrowed(plain));
        }
        let quoted = serde_json::to_string(plain).unwrap_or_default();
        let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        Text(Cow::Owned(inside.to_owned()))
    }

    /// Escapes an owned string.
    #[must_use]
    pub fn escape_owned(plain: String) -> Text<'static> {
        match Text::escape(&plain).0 {
            Cow::Borrowed(_) => Text(Cow::Owned(plain)),
            Cow::Owned(escaped) => Text(Cow::Owned(escaped)),
        }
    }

    /// Takes what is known to be escaped already, such as a slice of another `Text` cut between characters.
    #[must_use]
    pub fn from_escaped(escaped: impl Into<Cow<'a, str>>) -> Text<'a> {
        Text(escaped.into())
    }

    /// The string inside `raw`, or `None` where `raw` is another kind of value.
    #[must_use]
    pub fn from_raw(raw: &'a RawValue) -> Option<Text<'a>> {
        let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
        Some(Text(Cow::Borrowed(inside)))
    }

    /// The escaped content.
    #[must_use]
    pub fn escaped(&self) -> &str {
        &self.0
    }

    /// The plain content; borrows where there is no escape in it. A lone surrogate becomes U+FFFD.
    #[must_use]
    pub fn decode(&self) -> Cow<'_, str> {
        if memchr::memchr(b'\\', self.0.as_bytes()).is_none() {
            return Cow::Borrowed(&self.0);
        }
        Cow::Owned(unescape(&self.0).unwrap_or_else(|| decode_leniently(&self.0)))
    }

    /// Whether it decodes to the empty string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it decodes to exactly `plain`.
    #[must_use]
    pub fn is(&self, plain: &str) -> bool {
        self.decode() == plain
    }

    /// The same text, borrowed from this one.
    #[must_use]
    pub fn borrowed(&self) -> Text<'_> {
        Text(Cow::Borrowed(&self.0))
    }

    /// The same text on its own memory.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }

    /// The part at `range` of the escaped content; `None` where that cuts a character.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Option<Text<'a>> {
        Some(match &self.0 {
            Cow::Borrowed(text) => Text(Cow::Borrowed(text.get(range)?)),
            Cow::Owned(text) => Text(Cow::Owned(text.get(range)?.to_owned())),
        })
    }

    /// Appends another text.
    pub fn push(&mut self, more: &Text<'_>) {
        if !more.is_empty() {
            self.0.to_mut().push_str(&more.0);
        }
    }

    /// Appends the string with its quotes to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.0.as_bytes());
        out.push(b'"');
    }
}

/// The plain content of a string; `None` where half of a surrogate pair stands alone.
pub(super) fn unescape(escaped: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{escaped}\"")).ok()
}

/// serde_json accepts lone surrogates in raw values and refuses them in strings; models do cut emoji in half.
fn decode_leniently(escaped: &str) -> String {
    let mut plain = String::with_capacity(escaped.len());
    let mut units: Vec<u16> = Vec::new();
    let mut characters = escaped.chars();
    let flush = |units: &mut Vec<u16>, plain: &mut String| {
        plain.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    };
    while let Some(character) = characters.next() {
        if character != '\\' {
            flush(&mut units, &mut plain);
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('u') => {
                let hex: String = characters.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&hex, 16).unwrap_or(0xFFFD));
            }
            other => {
                flush(&mut units, &mut plain);
                plain.push(match other {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('b') => '\u{8}',
                    Some('f') => '\u{c}',
                    Some(other) => other,
                    None => break,
                });
            }
        }
    }
    flush(&mut units, &mut plain);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escaping_and_decoding_are_inverse(plain in any::<String>()) {
            let escaped = Text::escape(&plain);
            prop_assert_eq!(escaped.decode(), plain.as_str());
            let mut written = Vec::new();
            escaped.write(&mut written);
            prop_assert_eq!(serde_json::from_slice::<String>(&written).expect("a JSON string"), plain);
        }
    }

    #[test]
    fn a_lone_surrogate_does_not_lose_the_text_around_it() {
        let text: Text<'_> = crate::json::from_str(r#""a\ud83d b\ud83d\ude00\n""#).expect("a string");
        assert_eq!(text.decode(), "a\u{fffd} b\u{1f600}\n");
    }
}
