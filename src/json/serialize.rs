//! Writing whole types, with less code in the script than `serde_json`'s writer leaves for each of them: here nothing can
//! fail, so nothing has to ask whether it did.

use std::fmt::{self, Display};

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{self, Deserialize};
use serde::ser::{self, Serialize, SerializeStruct as _, Serializer};
use serde_json::value::RawValue;

use super::number::write_float;
use super::{Number, Raw, Text};

/// Under this name `serde_json`'s raw values give their span to a writer; a test holds it to it.
const SPAN: &str = "$serde_json::private::RawValue";

/// Writes `value` as JSON. A float that is no number is `null`.
#[must_use]
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    write(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Writes `value` behind what is there, as [`to_string`] does.
pub fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Types of ours refuse nothing.
    let _ = value.serialize(Writer { out, is_span: false });
}

/// Gives `json`, which is JSON, to a writer as it is.
///
/// # Errors
/// Those of the writer.
pub fn serialize_span<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut span = serializer.serialize_struct(SPAN, 1)?;
    span.serialize_field(SPAN, json)?;
    span.end()
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_span(self.get(), serializer)
    }
}

/// A span, which is JSON, as a raw value of `serde_json`: its own way would be a second reader in the script.
pub(super) fn raw_value(span: &str) -> Option<&RawValue> {
    let entry = (BorrowedStrDeserializer::<Refused>::new(SPAN), BorrowedStrDeserializer::new(span));
    Deserialize::deserialize(MapDeserializer::new(std::iter::once(entry))).ok()
}

/// What a type says that does not want to be written.
#[derive(Debug)]
struct Refused;

impl Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it cannot be written")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: Display>(_: T) -> Refused {
        Refused
    }
}

impl de::Error for Refused {
    fn custom<T: Display>(_: T) -> Refused {
        Refused
    }
}

type Written = Result<(), Refused>;

/// Writes one value.
struct Writer<'w> {
    out: &'w mut Vec<u8>,
    /// Whether it is given as text that is JSON already.
    is_span: bool,
}

impl<'w> Writer<'w> {
    fn put(self, json: &str) -> Written {
        self.out.extend_from_slice(json.as_bytes());
        Ok(())
    }

    fn number(self, number: impl Number) -> Written {
        number.write(self.out);
        Ok(())
    }

    fn open(self, open: u8, close: &'static str) -> Result<Parts<'w>, Refused> {
        self.out.push(open);
        Ok(Parts { out: self.out, empty: true, is_span: false, close })
    }

    fn variant(self, variant: &str, open: u8, close: &'static str) -> Result<Parts<'w>, Refused> {
        self.out.push(b'{');
        Text::escape(variant).write(self.out);
        self.out.push(b':');
        self.open(open, close)
    }
}

impl<'w> Serializer for Writer<'w> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Parts<'w>;
    type SerializeTuple = Parts<'w>;
    type SerializeTupleStruct = Parts<'w>;
    type SerializeTupleVariant = Parts<'w>;
    type SerializeMap = Parts<'w>;
    type SerializeStruct = Parts<'w>;
    type SerializeStructVariant = Parts<'w>;

    fn serialize_bool(self, value: bool) -> Written {
        self.put(if value { "true" } else { "false" })
    }
    fn serialize_i8(self, value: i8) -> Written {
        self.serialize_i64(value.into())
    }
    fn serialize_i16(self, value: i16) -> Written {
        self.serialize_i64(value.into())
    }
    fn serialize_i32(self, value: i32) -> Written {
        self.serialize_i64(value.into())
    }
    fn serialize_i64(self, value: i64) -> Written {
        self.number(value)
    }
    fn serialize_i128(self, value: i128) -> Written {
        self.number(value)
    }
    fn serialize_u8(self, value: u8) -> Written {
        self.serialize_u64(value.into())
    }
    fn serialize_u16(self, value: u16) -> Written {
        self.serialize_u64(value.into())
    }
    fn serialize_u32(self, value: u32) -> Written {
        self.serialize_u64(value.into())
    }
    fn serialize_u64(self, value: u64) -> Written {
        self.number(value)
    }
    fn serialize_u128(self, value: u128) -> Written {
        self.number(value)
    }
    fn serialize_f32(self, value: f32) -> Written {
        // A whole number keeps its fraction, as was always stored.
        write_float(value, self.out);
        Ok(())
    }
    fn serialize_f64(self, value: f64) -> Written {
        write_float(value, self.out);
        Ok(())
    }
    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Written {
        if self.is_span {
            return self.put(value);
        }
        Text::escape(value).write(self.out);
        Ok(())
    }
    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.collect_seq(value)
    }
    fn serialize_none(self) -> Written {
        self.put("null")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Written {
        self.put("null")
    }
    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.put("null")
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let mut parts = self.open(b'{', "}")?;
        parts.member(variant, value)?;
        parts.close()
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'w>, Refused> {
        self.open(b'[', "]")
    }
    fn serialize_tuple(self, _: usize) -> Result<Parts<'w>, Refused> {
        self.open(b'[', "]")
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'w>, Refused> {
        self.open(b'[', "]")
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'w>, Refused> {
        self.variant(variant, b'[', "]}")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'w>, Refused> {
        self.open(b'{', "}")
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'w>, Refused> {
        match name {
            SPAN => Ok(Parts { out: self.out, empty: true, is_span: true, close: "" }),
            _ => self.open(b'{', "}"),
        }
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'w>, Refused> {
        self.variant(variant, b'{', "}}")
    }
}

/// Writes what a value consists of.
struct Parts<'w> {
    out: &'w mut Vec<u8>,
    empty: bool,
    is_span: bool,
    close: &'static str,
}

impl Parts<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.comma();
        self.value(value)
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Written {
        self.name(name);
        self.value(value)
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(Writer { out: self.out, is_span: self.is_span })
    }

    /// Names of ours need no escapes; a span has none.
    fn name(&mut self, name: &str) {
        if !self.is_span {
            self.comma();
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
        }
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
    }

    fn close(self) -> Written {
        self.out.extend_from_slice(self.close.as_bytes());
        Ok(())
    }
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.comma();
        let start = self.out.len();
        self.value(key)?;
        // A number becomes a string.
        if self.out.get(start) != Some(&b'"') {
            self.out.insert(start, b'"');
            self.out.push(b'"');
        }
        self.out.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

/// Items, or members, of each kind that there is.
macro_rules! parts {
    ($($kind:ident $function:ident ($($name:ident)?) $part:ident;)*) => {$(
        impl ser::$kind for Parts<'_> {
            type Ok = ();
            type Error = Refused;

            fn $function<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Written {
                self.$part($($name,)? value)
            }

            fn end(self) -> Written {
                self.close()
            }
        }
    )*};
}
parts! {
    SerializeSeq serialize_element () item;
    SerializeTuple serialize_element () item;
    SerializeTupleStruct serialize_field () item;
    SerializeTupleVariant serialize_field () item;
    SerializeStruct serialize_field (name) member;
    SerializeStructVariant serialize_field (name) member;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::to_string;
    use crate::units::NanoUsd;

    #[derive(Serialize)]
    enum Kind {
        Unit,
        One(u8),
        Two(i8, char),
        Named { some: Option<&'static str> },
    }

    #[derive(Serialize)]
    struct Empty {}

    #[derive(Serialize)]
    struct Whole<'a> {
        kinds: Vec<Kind>,
        floats: [f64; 8],
        single: f32,
        wide: (u128, i64),
        numbers: BTreeMap<i32, bool>,
        texts: BTreeMap<String, ()>,
        span: &'a RawValue,
        owned: Box<RawValue>,
        money: NanoUsd,
        #[serde(skip_serializing_if = "Option::is_none")]
        none: Option<Empty>,
        empty: Empty,
        tree: serde_json::Value,
        #[serde(flatten)]
        more: BTreeMap<&'static str, Vec<u8>>,
    }

    #[test]
    fn what_is_written_is_what_serde_json_writes() {
        let span = serde_json::from_str(r#"{ "spaces" : [1.50, "\u00e9"] }"#).unwrap();
        let whole = Whole {
            kinds: vec![
                Kind::Unit,
                Kind::One(7),
                Kind::Two(-3, '"'),
                Kind::Named { some: Some("é\n\u{1}") },
                Kind::Named { some: None },
            ],
            floats: [0.0, -0.0, 1.0, 0.1, 2.5e-7, 123_456.789, f64::NAN, 1.0 / 3.0],
            single: 0.1,
            wide: (u128::MAX, i64::MIN),
            numbers: [(-1, true), (2, false)].into(),
            texts: [("a \"b\"".to_owned(), ()), (String::new(), ())].into(),
            span,
            owned: RawValue::from_string("[ ]".to_owned()).unwrap(),
            money: NanoUsd(1_500_000_001),
            none: None,
            empty: Empty {},
            tree: json!({ "a": [null, true, 1, -1, 2.5, "x", {}, []] }),
            more: [("bytes", vec![1, 2])].into(),
        };
        assert_eq!(to_string(&whole), serde_json::to_string(&whole).unwrap());
        assert_eq!(to_string("a\\b"), r#""a\\b""#);
    }
}
