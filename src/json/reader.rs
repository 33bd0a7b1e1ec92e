use std::borrow::Cow;

use super::cursor::{Cursor, Kind};
use super::{Error, Raw, SyntaxError};

/// Values that may lie within each other.
const DEEPEST: u32 = 128;

/// The text of a body.
#[inline(never)]
pub(super) fn utf8(json: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(json).map_err(|error| {
        let syntax = SyntaxError { at: error.valid_up_to(), what: "expected UTF-8" };
        Error::from(syntax).found(json, error.valid_up_to())
    })
}

/// Says in a number of which members were there that the one at `place` was.
fn bit(place: usize) -> u64 {
    1 << (place % 64)
}

/// What is done at each place of an array or object that a [`Reader`] walks: it must pass the value there.
pub type Take<'t, 'de, P> = &'t mut dyn FnMut(P, &mut Reader<'de>) -> Result<(), Error>;

/// Walks JSON value by value, for those who know what they expect.
#[derive(Debug)]
pub struct Reader<'de> {
    cursor: Cursor<'de>,
    depth: u32,
}

// What does not depend on the type that is read stands in functions of its own: each line that does is in the script
// hundreds of times.
impl<'de> Reader<'de> {
    pub(super) fn over(json: &'de str) -> Reader<'de> {
        Reader { cursor: Cursor::over(json), depth: 0 }
    }

    /// Checks that nothing follows a value that could be read.
    #[inline(never)]
    pub(super) fn end(&mut self, read: bool) -> Result<(), Error> {
        self.cursor.peek();
        if !read {
            return Ok(());
        }
        self.cursor.clone().finish().map_err(|error| self.locate(error.into()))
    }

    /// The same fault with its place, which is where the reader stands.
    #[cold]
    pub(super) fn locate(&self, error: Error) -> Error {
        error.found(self.cursor.text().as_bytes(), self.cursor.position())
    }

    /// Passes an object. `take` is given the place in `names` of each member that has one and must pass its value; other
    /// members are passed by. Those at the places `required` must be there. Of `names` there are 64 at most.
    ///
    /// # Errors
    /// The first of `take`, or where this is no object, or a member is missing or comes twice: whoever else reads it may go
    /// by the other one.
    pub fn object(&mut self, names: &[&str], required: &[usize], take: Take<'_, 'de, usize>) -> Result<(), Error> {
        let mut seen = 0u64;
        // Members mostly come in the order in which types list them, so the search begins after the last one found.
        let mut next = 0;
        self.members(&mut |key, reader| {
            let (before, after) = names.split_at_checked(next).unwrap_or((names, &[]));
            let place = after.iter().position(|name| *name == key).map(|place| next + place);
            match place.or_else(|| before.iter().position(|name| *name == key)) {
                Some(place) => {
                    next = place + 1;
                    if seen & bit(place) != 0 {
                        return Err(Error::data(&format!("duplicate field `{key}`")));
                    }
                    seen |= bit(place);
                    take(place, reader)
                }
                None => reader.value().map(drop),
            }
        })?;
        match required.iter().find(|place| seen & bit(**place) == 0).and_then(|place| names.get(*place)) {
            Some(name) => Err(Error::data(&format!("missing field `{name}`"))),
            None => Ok(()),
        }
    }

    /// Passes an object. `take` is given every key, unescaped, in the order of writing, and must pass its value.
    ///
    /// # Errors
    /// The first of `take`, or where this is no object.
    pub fn members(&mut self, take: Take<'_, 'de, Cow<'de, str>>) -> Result<(), Error> {
        if self.cursor.kind() != Some(Kind::Object) {
            return Err(Error::data("expected an object"));
        }
        self.open(b'{')?;
        let mut first = true;
        while let Some(key) = self.key(&mut first)? {
            self.colon()?;
            take(key, self)?;
        }
        self.close(b'}', "expected the end of the object")
    }

    /// Passes an array. `take` must pass the element that comes next.
    ///
    /// # Errors
    /// The first of `take`, or where this is no array.
    pub fn array(&mut self, take: &mut dyn FnMut(&mut Reader<'de>) -> Result<(), Error>) -> Result<(), Error> {
        if self.cursor.kind() != Some(Kind::Array) {
            return Err(Error::data("expected an array"));
        }
        self.open(b'[')?;
        let mut first = true;
        while self.follows(&mut first, b']')? {
            take(self)?;
        }
        self.close(b']', "expected the end of the array")
    }

    /// Passes an array of `count` values. `take` is given the place of each and must pass it.
    ///
    /// # Errors
    /// The first of `take`, or where this is no array, or one of another length.
    pub fn values(&mut self, count: usize, take: Take<'_, 'de, usize>) -> Result<(), Error> {
        let mut place = 0;
        self.array(&mut |reader| {
            if place == count {
                return Err(Error::data("too many values"));
            }
            take(place, reader)?;
            place += 1;
            Ok(())
        })?;
        if place == count { Ok(()) } else { Err(Error::data("too few values")) }
    }

    /// What comes next.
    ///
    /// # Errors
    /// Where no value does.
    pub fn kind(&mut self) -> Result<Kind, Error> {
        let at = self.cursor.position();
        self.cursor.kind().ok_or_else(|| SyntaxError { at, what: "expected a value" }.into())
    }

    /// Whether an object comes next.
    pub fn is_object(&mut self) -> bool {
        self.cursor.kind() == Some(Kind::Object)
    }

    /// Passes a value of any kind and gives it as it was written.
    ///
    /// # Errors
    /// Where it is none.
    #[inline(never)]
    pub fn value(&mut self) -> Result<Raw<'de>, Error> {
        self.cursor.value().map_err(Error::from)
    }

    /// Passes a string and gives it unescaped.
    ///
    /// # Errors
    /// Where it is none.
    pub fn text(&mut self) -> Result<Cow<'de, str>, Error> {
        if self.cursor.kind() != Some(Kind::String) {
            return Err(Error::data("expected a string"));
        }
        self.string()
    }

    /// Passes a string that is one of `words` and gives the one of `values` that stands in its place.
    ///
    /// # Errors
    /// Where it is none of them.
    pub fn word<T: Copy>(&mut self, words: &[&str], values: &[T]) -> Result<T, Error> {
        let place = self.place(words)?;
        values.get(place).copied().ok_or_else(|| Error::data("expected a word"))
    }

    #[inline(never)]
    fn place(&mut self, words: &[&str]) -> Result<usize, Error> {
        let text = self.text()?;
        words
            .iter()
            .position(|word| *word == text)
            .ok_or_else(|| Error::data(&format!("`{text}` is none of `{}`", words.join("`, `"))))
    }

    /// Passes a `null`, if one is there.
    ///
    /// # Errors
    /// Where what begins like one is none.
    #[inline(never)]
    pub fn passed_null(&mut self) -> Result<bool, Error> {
        let is_null = self.cursor.kind() == Some(Kind::Null);
        if is_null {
            self.cursor.value()?;
        }
        Ok(is_null)
    }

    #[inline(never)]
    fn key(&mut self, first: &mut bool) -> Result<Option<Cow<'de, str>>, Error> {
        if !self.follows(first, b'}')? {
            return Ok(None);
        }
        if self.cursor.kind() != Some(Kind::String) {
            return Err(SyntaxError { at: self.cursor.position(), what: "expected a key" }.into());
        }
        self.string().map(Some)
    }

    #[inline(never)]
    fn colon(&mut self) -> Result<(), Error> {
        self.cursor.take(b':', "expected `:`").map_err(Error::from)
    }

    /// Passes the bracket that opens an array or object.
    #[inline(never)]
    fn open(&mut self, bracket: u8) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SyntaxError {
                at: self.cursor.position(),
                what: "too many arrays and objects within each other",
            }
            .into());
        }
        self.cursor.take(bracket, "expected `[` or `{`").map_err(Error::from)
    }

    #[inline(never)]
    fn close(&mut self, bracket: u8, what: &'static str) -> Result<(), Error> {
        self.depth -= 1;
        self.cursor.take(bracket, what).map_err(Error::from)
    }

    /// Whether another element or member follows; passes the comma before it.
    #[inline(never)]
    fn follows(&mut self, first: &mut bool, end: u8) -> Result<bool, Error> {
        if self.cursor.peek() == Some(end) {
            return Ok(false);
        }
        if !std::mem::take(first) {
            let what = if end == b']' { "expected `,` or `]`" } else { "expected `,` or `}`" };
            self.cursor.take(b',', what)?;
        }
        Ok(true)
    }

    /// A string, unescaped. Passes it.
    #[inline(never)]
    fn string(&mut self) -> Result<Cow<'de, str>, Error> {
        let inside = self.cursor.string()?;
        if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
            return Ok(Cow::Borrowed(inside));
        }
        super::text::unescape(inside)
            .map(Cow::Owned)
            .ok_or_else(|| SyntaxError { at: self.cursor.position(), what: "a string with half of a character" }.into())
    }
}
