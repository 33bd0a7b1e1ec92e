use std::borrow::Cow;

use serde_json::value::RawValue;

use super::cursor::special;

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
        if special(plain.as_bytes()).is_none() {
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
        Cow::Owned(plain_of(&self.0).0)
    }

    /// How many characters it decodes to.
    #[must_use]
    pub fn characters(&self) -> u64 {
        // All bytes but those that go on with a character. Pieces of a stream are counted one by one and short: what the
        // standard library does for long texts takes longer here.
        self.decode().bytes().filter(|byte| byte & 0xc0 != 0x80).count() as u64
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
    let (plain, is_whole) = plain_of(escaped);
    is_whole.then_some(plain)
}

/// The plain content of a string, and whether all of it could be told. What stands between escapes is copied as it is.
///
/// Half of a surrogate pair that stands alone becomes U+FFFD: models do cut emoji in half.
fn plain_of(escaped: &str) -> (String, bool) {
    let mut plain = String::with_capacity(escaped.len());
    let (mut rest, mut is_whole) = (escaped, true);
    while let Some((before, escape)) = memchr::memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at)) {
        plain.push_str(before);
        let mut after = escape.get(2..).unwrap_or_default();
        let one = match escape.as_bytes().get(1) {
            Some(b'n') => "\n",
            Some(b'"') => "\"",
            Some(b't') => "\t",
            Some(b'r') => "\r",
            Some(b'b') => "\u{8}",
            Some(b'f') => "\u{c}",
            Some(b'u') => {
                let (character, behind) = unit_of(after);
                after = behind;
                is_whole &= character.is_some();
                plain.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                ""
            }
            // What needs no escape stands for itself, and may have more bytes than one.
            _ => {
                let mut characters = escape.get(1..).unwrap_or_default().chars();
                is_whole &= characters.next().map(|character| plain.push(character)).is_some();
                after = characters.as_str();
                ""
            }
        };
        plain.push_str(one);
        rest = after;
    }
    plain.push_str(rest);
    (plain, is_whole)
}

/// What four hexadecimal digits stand for, with those of the escape behind them where the two are a pair, and the rest.
fn unit_of(text: &str) -> (Option<char>, &str) {
    let unit = |text: &str| text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let Some(first) = unit(text) else { return (None, text) };
    let after = text.get(4..).unwrap_or_default();
    let second = after.strip_prefix("\\u").filter(|_| (0xd800..0xdc00).contains(&first));
    if let Some(second) = second
        && let Some(low @ 0xdc00..0xe000) = unit(second)
    {
        let whole = 0x1_0000 + ((first & 0x3ff) << 10 | low & 0x3ff);
        return (char::from_u32(whole), second.get(4..).unwrap_or_default());
    }
    (char::from_u32(first), after)
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
            prop_assert_eq!(escaped.characters(), plain.chars().count() as u64);
            let mut written = Vec::new();
            escaped.write(&mut written);
            prop_assert_eq!(serde_json::from_slice::<String>(&written).expect("a JSON string"), plain);
        }
    }

    #[test]
    fn a_lone_surrogate_does_not_lose_the_text_around_it() {
        let text: Text<'_> = crate::json::from_str(r#""a\ud83d b\ud83d\ude00\n""#).expect("a string");
        assert_eq!(text.decode(), "a\u{fffd} b\u{1f600}\n");
        let cases = [
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r#"\ude00\u00e9\/\\\""#, "\u{fffd}é/\\\""),
            (r"\ud83d\u00e9", "\u{fffd}é"),
            (r"a\", "a"),
            (r"a\u12é", "a\u{fffd}12é"),
        ];
        for (escaped, plain) in cases {
            assert_eq!(Text::from_escaped(escaped).decode(), plain, "{escaped}");
        }
    }
}
