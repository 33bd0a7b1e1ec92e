//! Reading JSON into types, with less code than derived readers leave in the script: 350 KB less, of 4 MB of wasm.
//!
//! A derived reader is a loop of its own for each type: its keys, its fields, its faults. There were hundreds, a quarter
//! of the script, and few of them ran often enough to be optimised. Here one loop reads every object; what a type adds is
//! a table of names and a branch for each of its fields. `readable!` writes both.

pub(crate) mod names;

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::{Error, Kind, Raw, Reader, Text, read_float};
use crate::sorted::SortedMap;

/// What can be read from JSON; it may borrow from it.
pub trait FromJson<'a>: Sized {
    /// Reads the value that comes next, and passes it.
    ///
    /// # Errors
    /// Where it is no JSON, or not of this type.
    fn from_json(reader: &mut Reader<'a>) -> Result<Self, Error>;

    /// Reads the value that comes next into a field, and passes it.
    ///
    /// # Errors
    /// As those of [`FromJson::from_json`]; the field keeps what it had.
    // Once for each type, and not inlined for each of the fields that have it.
    #[inline(never)]
    fn read_into(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        *self = Self::from_json(reader)?;
        Ok(())
    }
}

/// What can be read from JSON and does not borrow from it.
pub trait FromJsonOwned: for<'a> FromJson<'a> {}
impl<T: for<'a> FromJson<'a>> FromJsonOwned for T {}

/// Reads `json` as a `T`, which may borrow from it.
///
/// # Errors
/// Where it is no UTF-8, no JSON, or no `T`.
pub fn from_slice<'a, T: FromJson<'a>>(json: &'a [u8]) -> Result<T, Error> {
    from_str(super::reader::utf8(json)?)
}

/// Reads `json` as a `T`, which may borrow from it.
///
/// # Errors
/// Where it is no JSON, or no `T`.
pub fn from_str<'a, T: FromJson<'a>>(json: &'a str) -> Result<T, Error> {
    let mut reader = Reader::over(json);
    let read = T::from_json(&mut reader);
    reader.end(read.is_ok())?;
    read.map_err(|error| reader.locate(error))
}

/// Makes a type with a [`Default`] readable from a JSON object.
///
/// ```text
/// #[derive(Default)]
/// struct Call<'a> {
///     kind: Text<'a>,
///     call_id: Option<u64>,
/// }
/// readable!(camel Call<'a> { #[required] kind = "type", call_id: count });
/// ```
///
/// All fields are listed, each read under its own name or the one given after `=`, with [`FromJson`] or the function
/// given after `:`. Members that are not there leave what the default has, unless they are required; one that comes
/// twice is refused; members of other names are passed by. `camel` makes `callId` of `call_id`.
macro_rules! readable {
    (camel $type:ident $(<$life:lifetime>)? { $($fields:tt)* }) => {
        $crate::json::readable!(@ camel $type [$($life)?] $($fields)*);
    };
    ($type:ident $(<$life:lifetime>)? { $($fields:tt)* }) => {
        $crate::json::readable!(@ snake $type [$($life)?] $($fields)*);
    };
    (@ $case:ident $type:ident [$($life:lifetime)?]
        $($(#[$required:ident])? $field:ident $(= $name:literal)? $(: $read:path)?),* $(,)?) => {
        impl<'a> $crate::json::FromJson<'a> for $type$(<$life>)? {
            fn from_json(reader: &mut $crate::json::Reader<'a>) -> Result<Self, $crate::json::Error> {
                #[allow(non_camel_case_types, reason = "they are called as the fields are")]
                enum Field { $($field),* }
                const NAMES: &[&str] = &[$($crate::json::readable!(@name $case $field $($name)?)),*];
                const { assert!(NAMES.len() <= 64, "more names than `Reader::object` keeps in mind") };
                const REQUIRED: &[usize] = &[$($($crate::json::readable!(@place $required Field::$field),)?)*];
                let mut value = Self::default();
                // Does not compile where a field was forgotten.
                let Self { $($field: _),* } = &value;
                reader.object(NAMES, REQUIRED, &mut |field, reader| {
                    match field {
                        $(field if field == Field::$field as usize => {
                            $crate::json::readable!(@read reader value.$field $(, $read)?)
                        })*
                        _ => Ok(()),
                    }
                })?;
                Ok(value)
            }
        }
    };
    (@place required $place:path) => { $place as usize };
    (@name $case:ident $field:ident $name:literal) => { $name };
    (@name snake $field:ident) => { stringify!($field) };
    (@name camel $field:ident) => {{
        const SNAKE: &str = stringify!($field);
        const CAMEL: [u8; $crate::json::read::names::camel_length(SNAKE)] = $crate::json::read::names::camel(SNAKE);
        $crate::json::read::names::ascii(&CAMEL)
    }};
    (@read $reader:ident $field:expr) => { $crate::json::FromJson::read_into(&mut $field, $reader) };
    (@read $reader:ident $field:expr, $read:path) => { $read($reader).map(|read| $field = read) };
}
pub(crate) use readable;

/// Gives each variant of an enumeration its word: as JSON it is read and written by that, and it says so itself.
///
/// ```text
/// words!(Policy { Soft = "soft", Strict = "strict" });
/// ```
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// As JSON and errors name it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $word,)*
                }
            }
        }

        impl<'a> $crate::json::FromJson<'a> for $type {
            fn from_json(reader: &mut $crate::json::Reader<'a>) -> Result<Self, $crate::json::Error> {
                reader.word(&[$($word),*], &[$($type::$variant),*])
            }
        }

        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

impl<'a, T: FromJson<'a>> FromJson<'a> for Option<T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Option<T>, Error> {
        if reader.passed_null()? { Ok(None) } else { T::from_json(reader).map(Some) }
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for Vec<T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        reader.array(&mut |reader| {
            items.push(T::from_json(reader)?);
            Ok(())
        })?;
        Ok(items)
    }
}

/// Two values in an array.
impl<'a, T: FromJson<'a>, U: FromJson<'a>> FromJson<'a> for (T, U) {
    fn from_json(reader: &mut Reader<'a>) -> Result<(T, U), Error> {
        let (mut first, mut second) = (None, None);
        reader.values(2, &mut |place, reader| {
            match place {
                0 => first = Some(T::from_json(reader)?),
                _ => second = Some(U::from_json(reader)?),
            }
            Ok(())
        })?;
        first.zip(second).ok_or_else(|| Error::data("expected two values"))
    }
}

/// Three values in an array.
impl<'a, T: FromJson<'a>, U: FromJson<'a>, V: FromJson<'a>> FromJson<'a> for (T, U, V) {
    fn from_json(reader: &mut Reader<'a>) -> Result<(T, U, V), Error> {
        let (mut first, mut second, mut third) = (None, None, None);
        reader.values(3, &mut |place, reader| {
            match place {
                0 => first = Some(T::from_json(reader)?),
                1 => second = Some(U::from_json(reader)?),
                _ => third = Some(V::from_json(reader)?),
            }
            Ok(())
        })?;
        let all = first.zip(second).zip(third).map(|((first, second), third)| (first, second, third));
        all.ok_or_else(|| Error::data("expected three values"))
    }
}

impl<'a, T: FromJson<'a> + Copy + Default, const LENGTH: usize> FromJson<'a> for [T; LENGTH] {
    fn from_json(reader: &mut Reader<'a>) -> Result<[T; LENGTH], Error> {
        let mut values = [T::default(); LENGTH];
        reader.values(LENGTH, &mut |place, reader| {
            if let Some(value) = values.get_mut(place) {
                *value = T::from_json(reader)?;
            }
            Ok(())
        })?;
        Ok(values)
    }
}

/// An object whose keys are data; of a repeated key the last value counts.
impl<'a, K: Ord + FromKey, V: FromJson<'a>> FromJson<'a> for SortedMap<K, V> {
    fn from_json(reader: &mut Reader<'a>) -> Result<SortedMap<K, V>, Error> {
        let mut entries = Vec::new();
        reader.members(&mut |key, reader| {
            entries.push((K::from_key(key)?, V::from_json(reader)?));
            Ok(())
        })?;
        Ok(SortedMap::of(entries))
    }
}

/// What the key of an object can be read as.
pub trait FromKey: Sized {
    /// Reads a key, which was unescaped.
    ///
    /// # Errors
    /// Where it is not of this type.
    fn from_key(key: Cow<'_, str>) -> Result<Self, Error>;
}

impl<'a> FromJson<'a> for Box<str> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Box<str>, Error> {
        reader.text().map(|text| text.as_ref().into())
    }
}

impl FromKey for String {
    fn from_key(key: Cow<'_, str>) -> Result<String, Error> {
        Ok(key.into_owned())
    }
}

impl<'a> FromJson<'a> for Raw<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Raw<'a>, Error> {
        reader.value()
    }
}

/// For types that are written as well.
impl<'a> FromJson<'a> for &'a RawValue {
    fn from_json(reader: &mut Reader<'a>) -> Result<&'a RawValue, Error> {
        super::serialize::raw_value(reader.value()?.into_span()).ok_or_else(|| Error::data("expected JSON"))
    }
}

/// See `&RawValue`.
impl<'a> FromJson<'a> for Box<RawValue> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Box<RawValue>, Error> {
        <&RawValue>::from_json(reader).map(ToOwned::to_owned)
    }
}

/// Any value, as a tree.
impl<'a> FromJson<'a> for Value {
    fn from_json(reader: &mut Reader<'a>) -> Result<Value, Error> {
        Ok(match reader.kind()? {
            Kind::Object => {
                let mut members = Map::new();
                reader.members(&mut |key, reader| {
                    members.insert(key.into_owned(), Value::from_json(reader)?);
                    Ok(())
                })?;
                Value::Object(members)
            }
            Kind::Array => Value::Array(Vec::from_json(reader)?),
            Kind::String => Value::String(String::from_json(reader)?),
            Kind::Number => Value::Number(Number::from_json(reader)?),
            Kind::Boolean => Value::Bool(bool::from_json(reader)?),
            Kind::Null => reader.value().map(|_| Value::Null)?,
        })
    }
}

impl<'a> FromJson<'a> for Number {
    fn from_json(reader: &mut Reader<'a>) -> Result<Number, Error> {
        let written = reader.value()?;
        let written = written.get();
        if let Ok(number) = written.parse::<u64>() {
            return Ok(number.into());
        }
        if let Ok(number) = written.parse::<i64>() {
            return Ok(number.into());
        }
        read_float(written).and_then(Number::from_f64).ok_or_else(|| Error::data("expected a number"))
    }
}

impl<'a> FromJson<'a> for Text<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Text<'a>, Error> {
        reader.value()?.into_text().ok_or_else(|| Error::data("expected a string"))
    }
}

impl<'a> FromJson<'a> for Cow<'a, str> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, Error> {
        reader.text()
    }
}

/// For what is known to need no escapes; others are refused.
impl<'a> FromJson<'a> for &'a str {
    fn from_json(reader: &mut Reader<'a>) -> Result<&'a str, Error> {
        match reader.text()? {
            Cow::Borrowed(text) => Ok(text),
            Cow::Owned(_) => Err(Error::data("expected a string without escapes")),
        }
    }
}

impl<'a> FromJson<'a> for String {
    fn from_json(reader: &mut Reader<'a>) -> Result<String, Error> {
        reader.text().map(Cow::into_owned)
    }
}

impl<'a> FromJson<'a> for bool {
    fn from_json(reader: &mut Reader<'a>) -> Result<bool, Error> {
        reader.value()?.boolean().ok_or_else(|| Error::data("expected a boolean"))
    }
}

impl<'a> FromJson<'a> for f64 {
    fn from_json(reader: &mut Reader<'a>) -> Result<f64, Error> {
        reader.value()?.number().filter(|number| number.is_finite()).ok_or_else(|| Error::data("expected a number"))
    }
}

impl<'a> FromJson<'a> for f32 {
    #[allow(clippy::cast_possible_truncation, reason = "the nearest one is meant")]
    fn from_json(reader: &mut Reader<'a>) -> Result<f32, Error> {
        f64::from_json(reader).map(|number| number as f32)
    }
}

/// Whole numbers; what is none, or does not fit, is refused.
macro_rules! whole_numbers {
    ($($type:ident)*) => {$(
        impl<'a> FromJson<'a> for $type {
            fn from_json(reader: &mut Reader<'a>) -> Result<$type, Error> {
                reader.value()?.get().parse().map_err(|_| Error::data(concat!("expected a number (", stringify!($type), ")")))
            }
        }

        impl FromKey for $type {
            fn from_key(key: Cow<'_, str>) -> Result<$type, Error> {
                key.parse().map_err(|_| Error::data(concat!("expected a number (", stringify!($type), ") as key")))
            }
        }
    )*};
}
whole_numbers!(i8 u8 u16 u32 u64 usize i32 i64 i128 u128);

#[cfg(test)]
mod tests;
