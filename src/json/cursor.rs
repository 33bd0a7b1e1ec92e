use std::borrow::Cow;
use std::ops::Range;

use super::Raw;

/// Arrays and objects that may lie within each other; callers' schemas rarely pass twenty.
const DEEPEST: u32 = 128;
/// Room that is made at once for the members of an object.
const USUAL_MEMBERS: usize = 8;

/// Walks JSON once, from its start, checking as it goes and giving spans of it.
///
/// For input whose faults must be named by their place, which a derived deserializer cannot, and for changing JSON
/// where it stands. Repeated keys are given as often as they come. Nothing recurses by the depth of the input.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// What is no JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct SyntaxError {
    /// Bytes before it.
    pub at: usize,
    /// What was expected or found there.
    pub what: &'static str,
}

/// Kind of a JSON value, told by its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// A digit or `-`.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `null`
    Null,
}

/// A member of an object: its key and where both of its halves stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// Where the key's quote stands.
    pub start: usize,
    /// Where the value stands.
    pub value: Range<usize>,
}

impl Member<'_> {
    /// The value, in the `text` in which it was found.
    #[must_use]
    pub fn raw<'t>(&self, text: &'t str) -> Raw<'t> {
        Raw::from_checked(text.get(self.value.clone()).unwrap_or("null"))
    }
}

/// What is done at each place of an array or object: it must pass the value there.
type Pass<'e, 'a, P, E> = &'e mut dyn FnMut(P, &mut Cursor<'a>) -> Result<(), E>;

/// What is done at the value of each member of an object, whose key it is given: it must pass that value.
pub type Each<'e, 'a> = &'e mut dyn FnMut(&str, &mut Cursor<'a>) -> Result<(), SyntaxError>;

impl<'a> Cursor<'a> {
    /// At the start of `body`.
    ///
    /// # Errors
    /// Where it is no UTF-8.
    pub fn new(body: &'a [u8]) -> Result<Cursor<'a>, SyntaxError> {
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Cursor { text, at: 0 }),
            Err(error) => Err(SyntaxError { at: error.valid_up_to(), what: "expected UTF-8" }),
        }
    }

    /// At `position` of a body, which must be the start of a value there.
    #[must_use]
    pub fn at(text: &'a str, position: usize) -> Cursor<'a> {
        Cursor { text, at: position }
    }

    /// At the start of a value that has been checked already.
    pub(super) fn over(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// What is walked, whole.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// How many bytes were passed.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What comes next; `None` where no value does. Passes whitespace.
    pub fn kind(&mut self) -> Option<Kind> {
        Some(match self.peek()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Boolean,
            b'n' => Kind::Null,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ => return None,
        })
    }

    /// Passes one value of any kind.
    ///
    /// # Errors
    /// Where it is none, or nests too deep.
    pub fn value(&mut self) -> Result<Raw<'a>, SyntaxError> {
        self.peek();
        let start = self.at;
        self.skip()?;
        Ok(Raw::from_checked(self.text.get(start..self.at).unwrap_or_default()))
    }

    /// Passes one object; `each` is given every key in turn and must pass its value.
    ///
    /// # Errors
    /// The first of `each`, or where this is no object.
    pub fn members<E: From<SyntaxError>>(
        &mut self,
        mut each: impl FnMut(Cow<'a, str>, &mut Cursor<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_member(&mut each)
    }

    /// Passes one array; `each` is given every place in turn and must pass the value there.
    ///
    /// # Errors
    /// The first of `each`, or where this is no array.
    pub fn items<E: From<SyntaxError>>(
        &mut self,
        mut each: impl FnMut(usize, &mut Cursor<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_item(&mut each)
    }

    /// Passes one object and says where its members stand.
    ///
    /// # Errors
    /// Where it is none.
    pub fn spans(&mut self) -> Result<Vec<Member<'a>>, SyntaxError> {
        self.spans_by(&mut |_, cursor| cursor.skip())
    }

    /// Passes one object and says where its members stand; `each` is given every key in turn and must pass its value.
    ///
    /// # Errors
    /// The first of `each`, or where this is no object.
    pub fn spans_by(&mut self, each: Each<'_, 'a>) -> Result<Vec<Member<'a>>, SyntaxError> {
        let mut members = Vec::with_capacity(USUAL_MEMBERS);
        let mut first = true;
        while let Some((start, key)) = self.next_key(&mut first)? {
            self.peek();
            let value = self.at;
            each(&key, self)?;
            members.push(Member { key, start, value: value..self.at });
        }
        Ok(members)
    }

    /// Checks that nothing but whitespace is left.
    ///
    /// # Errors
    /// Where something is.
    pub fn finish(mut self) -> Result<(), SyntaxError> {
        if self.peek().is_some() { self.error("expected the end") } else { Ok(()) }
    }

    // These two are in the script once for each kind of error, and not once for each caller.
    #[inline(never)]
    fn each_member<E: From<SyntaxError>>(&mut self, each: Pass<'_, 'a, Cow<'a, str>, E>) -> Result<(), E> {
        let mut first = true;
        while let Some((_, key)) = self.next_key(&mut first)? {
            each(key, self)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn each_item<E: From<SyntaxError>>(&mut self, each: Pass<'_, 'a, usize, E>) -> Result<(), E> {
        for index in 0.. {
            if !self.has_item(index == 0)? {
                break;
            }
            each(index, self)?;
        }
        Ok(())
    }

    /// Passes the brace or comma before a member and its key, or the end of the object; says where the key's quote stood.
    #[inline(never)]
    fn next_key(&mut self, first: &mut bool) -> Result<Option<(usize, Cow<'a, str>)>, SyntaxError> {
        let is_first = std::mem::take(first);
        if is_first {
            self.take(b'{', "expected `{`")?;
        }
        if self.took(b'}') {
            return Ok(None);
        }
        if !is_first {
            self.take(b',', "expected `,` or `}`")?;
        }
        self.peek();
        let start = self.at;
        Ok(Some((start, self.key()?)))
    }

    /// Passes the bracket or comma before an item, or the end of the array.
    #[inline(never)]
    fn has_item(&mut self, is_first: bool) -> Result<bool, SyntaxError> {
        if is_first {
            self.take(b'[', "expected `[`")?;
        }
        if self.took(b']') {
            return Ok(false);
        }
        if !is_first {
            self.take(b',', "expected `,` or `]`")?;
        }
        Ok(true)
    }

    /// Passes one value, keeping a bit for every array (0) and object (1) that is open.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        let mut open: u128 = 0;
        let mut depth = 0;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    let is_object = bracket == b'{';
                    if !self.took(if is_object { b'}' } else { b']' }) {
                        if depth == DEEPEST {
                            return self.error("too many arrays and objects within each other");
                        }
                        open = (open << 1) | u128::from(is_object);
                        depth += 1;
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => return self.error("expected a value"),
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let in_object = open & 1 == 1;
                if self.took(b',') {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                self.take(if in_object { b'}' } else { b']' }, "expected `,` or the end of an array or object")?;
                open >>= 1;
                depth -= 1;
            }
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        if self.peek() != Some(b'"') {
            return self.error("expected a key");
        }
        let key = self.string()?;
        self.take(b':', "expected `:`")?;
        Ok(if memchr::memchr(b'\\', key.as_bytes()).is_none() {
            Cow::Borrowed(key)
        } else {
            Cow::Owned(super::Text::from_escaped(key).decode().into_owned())
        })
    }

    /// Passes a string and gives what stands between its quotes.
    pub(super) fn string(&mut self) -> Result<&'a str, SyntaxError> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        let start = self.at;
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(found) = special(rest) else {
                self.at = bytes.len();
                return self.error("a string without its end");
            };
            self.at += found;
            match rest.get(found) {
                Some(b'"') => {
                    let inside = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(inside);
                }
                Some(b'\\') => match rest.get(found + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                    Some(b'u') if rest.get(found + 2..found + 6).is_some_and(|hex| hex.is_ascii() && is_hex(hex)) => {
                        self.at += 6;
                    }
                    _ => return self.error("an unknown escape"),
                },
                _ => return self.error("a control character in a string"),
            }
        }
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        self.took_here(b'-');
        let whole = self.digits();
        let leading_zero = whole > 1 && self.text.as_bytes().get(self.at - whole) == Some(&b'0');
        if whole == 0 || leading_zero {
            return self.error("not a number");
        }
        if self.took_here(b'.') && self.digits() == 0 {
            return self.error("not a number");
        }
        if self.took_here(b'e') || self.took_here(b'E') {
            let _ = self.took_here(b'+') || self.took_here(b'-');
            if self.digits() == 0 {
                return self.error("not a number");
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn literal(&mut self, word: &'static str) -> Result<(), SyntaxError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.error("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    /// The next byte that is no whitespace, which is passed.
    // Most JSON is written without: only where there is some is a function called.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.pass_space(),
        }
    }

    #[inline(never)]
    fn pass_space(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn took(&mut self, byte: u8) -> bool {
        let took = self.peek() == Some(byte);
        self.at += usize::from(took);
        took
    }

    fn took_here(&mut self, byte: u8) -> bool {
        let took = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(took);
        took
    }

    pub(super) fn take(&mut self, byte: u8, what: &'static str) -> Result<(), SyntaxError> {
        if self.took(byte) { Ok(()) } else { self.error(what) }
    }

    fn error<T>(&self, what: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at, what })
    }
}

fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_hexdigit)
}

/// The first quote, backslash or control character, looked for eight bytes at a time.
pub(super) fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The highest bit of a byte is set where that byte is below `least`; only the first one is exact.
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word & HIGHS;
    let (words, _) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = below(word, 0x20) | quote | backslash;
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let tail = words.len() * 8;
    let rest = bytes.get(tail..).unwrap_or_default();
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|at| tail + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(json: &[u8]) -> bool {
        let Ok(mut cursor) = Cursor::new(json) else { return false };
        cursor.value().is_ok() && cursor.finish().is_ok()
    }

    #[test]
    fn members_items_and_their_places() {
        let mut cursor = Cursor::new(br#" { "a" : [1, {}] , "\u0062":"x"} "#).expect("UTF-8");
        let mut seen = Vec::new();
        cursor
            .members::<SyntaxError>(|key, cursor| {
                let value = cursor.value()?;
                seen.push((key.into_owned(), value.get().to_owned()));
                Ok(())
            })
            .expect("an object");
        assert_eq!(seen, [("a".to_owned(), "[1, {}]".to_owned()), ("b".to_owned(), "\"x\"".to_owned())]);
        cursor.finish().expect("nothing is left");

        let body = br#"{"a":1,"b": [2 ]}"#;
        let spans = Cursor::new(body).expect("UTF-8").spans().expect("an object");
        let shown: Vec<_> = spans.iter().map(|span| (span.start, &body[span.value.clone()])).collect();
        assert_eq!(shown, [(1, &b"1"[..]), (7, &b"[2 ]"[..])]);
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_is() {
        for (json, at) in [("{", 1), ("[1,]", 3), ("{\"a\"}", 4), ("\"a", 2), ("nul", 0), ("01", 2), ("\"\\x\"", 1)] {
            let mut cursor = Cursor::new(json.as_bytes()).expect("UTF-8");
            assert_eq!(cursor.value().expect_err(json).at, at, "{json}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(!accepts(deep.as_bytes()));
        assert!(accepts(&deep.as_bytes()[72..328]));
    }

    proptest! {
        #[test]
        fn judges_as_serde_json_does(json in r#"[\[\]{},:"\\u0129aeE.+\- tfnrulse\n\t]{0,24}"#) {
            let serde = serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok();
            prop_assert_eq!(accepts(json.as_bytes()), serde, "{}", json);
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = accepts(&bytes);
        }

        #[test]
        fn every_string_is_found_whole(text in any::<String>()) {
            let json = serde_json::to_string(&text).expect("a string");
            prop_assert!(accepts(json.as_bytes()));
            prop_assert_eq!(special(text.as_bytes()), text.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20));
        }
    }
}
