use std::borrow::Cow;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor, value::StrDeserializer,
};
use serde::forward_to_deserialize_any;

use super::cursor::{Cursor, Kind};
use super::{Error, Raw, SyntaxError};

/// The name under which [`super::Raw`] and [`super::Text`] ask for a value as it was written.
pub(super) const RAW: &str = "latchkey::json::Raw";
/// The name under which `serde_json::value::RawValue` asks for the same.
const RAW_OF_SERDE_JSON: &str = "$serde_json::private::RawValue";
/// Values that may lie within each other.
const DEEPEST: u32 = 128;

/// Reads `json` as a `T`, which may borrow from it.
///
/// # Errors
/// Where it is no UTF-8, no JSON, or no `T`.
pub fn from_slice<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Error> {
    from_str(utf8(json)?)
}

/// The text of a body.
#[inline(never)]
pub(super) fn utf8(json: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(json).map_err(|error| {
        let syntax = SyntaxError { at: error.valid_up_to(), what: "expected UTF-8" };
        Error::from(syntax).found(json, error.valid_up_to())
    })
}

/// Reads `json` as a `T`, which may borrow from it.
///
/// # Errors
/// Where it is no JSON, or no `T`.
pub fn from_str<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, Error> {
    let mut reader = Reader::over(json);
    let read = T::deserialize(&mut reader);
    reader.end(read.is_ok())?;
    read.map_err(|error| reader.locate(error))
}

/// Serde's view of a [`Cursor`].
///
/// It does what `serde_json`'s does at half the size in the script, for two reasons: it reads text only, not text and
/// bytes, and structs are objects only, so that for each type the half of the derived code that would read it from an
/// array is left out.
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
    /// members are passed by.
    ///
    /// # Errors
    /// The first of `take`, or where this is no object.
    pub fn object(
        &mut self,
        names: &[&str],
        take: &mut dyn FnMut(usize, &mut Reader<'de>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Members mostly come in the order in which types list them, so the search begins after the last one found.
        let mut next = 0;
        self.members(&mut |key, reader| {
            let (before, after) = names.split_at_checked(next).unwrap_or((names, &[]));
            let place = after.iter().position(|name| *name == key).map(|place| next + place);
            match place.or_else(|| before.iter().position(|name| *name == key)) {
                Some(place) => {
                    next = place + 1;
                    take(place, reader)
                }
                None => reader.value().map(drop),
            }
        })
    }

    /// Passes an object. `take` is given every key, unescaped, in the order of writing, and must pass its value.
    ///
    /// # Errors
    /// The first of `take`, or where this is no object.
    pub fn members(
        &mut self,
        take: &mut dyn FnMut(Cow<'de, str>, &mut Reader<'de>) -> Result<(), Error>,
    ) -> Result<(), Error> {
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
            .ok_or_else(|| serde::de::Error::custom(format_args!("`{text}` is none of `{}`", words.join("`, `"))))
    }

    /// Refuses a value of another kind than `kind`.
    #[inline(never)]
    fn expect(&mut self, kind: Kind, expected: &dyn Expected) -> Result<(), Error> {
        if self.cursor.kind() == Some(kind) { Ok(()) } else { Err(self.mismatch(expected)) }
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

    #[inline(never)]
    fn number(&mut self) -> Result<Number, Error> {
        let written = self.cursor.value()?;
        let written = written.get();
        let number = if let Ok(number) = written.parse() {
            Number::Positive(number)
        } else if let Ok(number) = written.parse() {
            Number::Negative(number)
        } else {
            Number::Float(written.parse().unwrap_or(f64::NAN))
        };
        match number {
            Number::Float(float) if !float.is_finite() => {
                Err(SyntaxError { at: self.cursor.position(), what: "number out of range" }.into())
            }
            number => Ok(number),
        }
    }

    /// Why the next value is not what `expected` says.
    #[cold]
    fn mismatch(&mut self, expected: &dyn Expected) -> Error {
        let Some(kind) = self.cursor.kind() else { return self.nothing() };
        let unexpected = match kind {
            Kind::Object => Unexpected::Map,
            Kind::Array => Unexpected::Seq,
            Kind::Null => Unexpected::Unit,
            Kind::Boolean => match self.cursor.value() {
                Ok(value) => Unexpected::Bool(value.get() == "true"),
                Err(error) => return error.into(),
            },
            Kind::String => match self.string() {
                Ok(text) => return serde::de::Error::invalid_type(Unexpected::Str(&text), expected),
                Err(error) => return error,
            },
            Kind::Number => match self.number() {
                Ok(Number::Positive(number)) => Unexpected::Unsigned(number),
                Ok(Number::Negative(number)) => Unexpected::Signed(number),
                Ok(Number::Float(number)) => Unexpected::Float(number),
                Err(error) => return error,
            },
        };
        serde::de::Error::invalid_type(unexpected, expected)
    }

    #[cold]
    fn nothing(&self) -> Error {
        SyntaxError { at: self.cursor.position(), what: "expected a value" }.into()
    }

    fn visit_array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.open(b'[')?;
        let value = visitor.visit_seq(Items { reader: self, first: true })?;
        self.close(b']', "expected the end of the array")?;
        Ok(value)
    }

    fn visit_object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.open(b'{')?;
        let value = visitor.visit_map(Members { reader: self, first: true })?;
        self.close(b'}', "expected the end of the object")?;
        Ok(value)
    }
}

enum Number {
    Positive(u64),
    Negative(i64),
    Float(f64),
}

fn give<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, Error> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// Methods that read a number, whichever kind of it is asked for.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.expect(Kind::Number, &visitor)?;
            match self.number()? {
                Number::Positive(number) => visitor.visit_u64(number),
                Number::Negative(number) => visitor.visit_i64(number),
                Number::Float(number) => visitor.visit_f64(number),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.cursor.kind() {
            Some(Kind::Object) => self.visit_object(visitor),
            Some(Kind::Array) => self.visit_array(visitor),
            Some(Kind::String) => give(self.string()?, visitor),
            Some(Kind::Number) => self.deserialize_f64(visitor),
            Some(Kind::Boolean) => self.deserialize_bool(visitor),
            Some(Kind::Null) => self.deserialize_unit(visitor),
            None => Err(self.nothing()),
        }
    }

    numbers!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64);

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(Kind::Boolean, &visitor)?;
        let is_true = self.cursor.value()?.get() == "true";
        visitor.visit_bool(is_true)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(Kind::String, &visitor)?;
        give(self.string()?, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.passed_null()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(Kind::Null, &visitor)?;
        self.cursor.value()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            RAW => visitor.visit_borrowed_str(self.cursor.value()?.into_span()),
            RAW_OF_SERDE_JSON => visitor.visit_map(AsWritten(Some(self.cursor.value()?.into_span()))),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(Kind::Array, &visitor)?;
        self.visit_array(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(Kind::Object, &visitor)?;
        self.visit_object(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.cursor.kind() {
            Some(Kind::String) => {
                let name = self.string()?;
                visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(&*name))
            }
            Some(Kind::Object) => {
                self.open(b'{')?;
                let value = visitor.visit_enum(Variant { reader: self })?;
                self.close(b'}', "expected the end of the object")?;
                Ok(value)
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.cursor.value()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bytes byte_buf }
}

/// The elements of an array.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.reader.follows(&mut self.first, b']')? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The members of an object.
struct Members<'r, 'de> {
    reader: &'r mut Reader<'de>,
    first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        match self.reader.key(&mut self.first)? {
            Some(key) => seed.deserialize(Key(key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        self.reader.colon()?;
        seed.deserialize(&mut *self.reader)
    }
}

/// A key: a string, in which a number may stand.
struct Key<'de>(Cow<'de, str>);

/// Methods that read a number out of a key.
macro_rules! numbers_in_keys {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if let Ok(number) = self.0.parse() {
                visitor.visit_u64(number)
            } else if let Ok(number) = self.0.parse() {
                visitor.visit_i64(number)
            } else {
                Err(serde::de::Error::invalid_type(Unexpected::Str(&self.0), &visitor))
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        give(self.0, visitor)
    }

    /// The name of a field, which nobody keeps.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.0)
    }

    numbers_in_keys!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64);

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(&*self.0))
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct ignored_any
    }
}

/// A variant that carries something: the one member of an object.
struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let variant = seed.deserialize(&mut *self.reader)?;
        self.reader.colon()?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Deserialize::deserialize(self.reader)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.reader.deserialize_map(visitor)
    }
}

/// A value as it was written, the way `serde_json`'s own type for that reads it: the one member of a map.
struct AsWritten<'de>(Option<&'de str>);

impl<'de> MapAccess<'de> for AsWritten<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.0.is_none() {
            return Ok(None);
        }
        let key: StrDeserializer<'_, Error> = RAW_OF_SERDE_JSON.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(Key(Cow::Borrowed(self.0.take().unwrap_or("null"))))
    }
}

#[cfg(test)]
mod tests;
