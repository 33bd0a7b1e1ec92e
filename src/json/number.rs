//! Numbers as JSON has them.
//!
//! Rust's own ways to print and to read floats bring tables and fallbacks that are a fiftieth of the zipped script, and
//! its `Display` of integers goes through the machinery of formatting for every one. These do the same with less.

use std::borrow::Cow;

/// What can be written as a number: integers, amounts, finite floats, and what is written as one already.
pub trait Number {
    /// Writes it behind what is there.
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! integers {
    ($($kind:ty),*) => {
        $(impl Number for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        })*
    };
}

integers!(u64, i64, i128, u128);

/// Those that fit into 64 bits are written as if they had them.
macro_rules! small {
    ($($kind:ty as $wide:ty),*) => {
        $(impl Number for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                (*self as $wide).write(out);
            }
        })*
    };
}

small!(u8 as u64, u16 as u64, u32 as u64, usize as u64, i32 as i64);

/// The shortest text that reads as the same float; whole numbers without a fraction. What is not finite is `null`.
impl Number for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        write_float(*self, out);
        drop_fraction(out);
    }
}

impl Number for f32 {
    fn write(&self, out: &mut Vec<u8>) {
        write_float(*self, out);
        drop_fraction(out);
    }
}

fn drop_fraction(out: &mut Vec<u8>) {
    if out.ends_with(b".0") {
        out.truncate(out.len() - 2);
    }
}

impl Number for str {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl<N: Number + ?Sized> Number for &N {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl Number for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

impl Number for Cow<'_, str> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

/// Writes the shortest text that reads as the same float, with a fraction or an exponent; `null` where it is not finite.
pub fn write_float(value: impl zmij::Float, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let written = buffer.format(value);
    // What is not finite is a word there.
    let is_number = written.ends_with(|last: char| last.is_ascii_digit());
    out.extend_from_slice(if is_number { written } else { "null" }.as_bytes());
}

/// A float for a text that people read: the shortest, whole numbers without a fraction.
#[must_use]
pub fn shown(value: f64) -> String {
    let mut out = Vec::new();
    value.write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The float that is nearest to what is written, in any form that JSON or Rust has for one.
#[must_use]
pub fn read_float(written: &str) -> Option<f64> {
    lexical_parse_float::FromLexical::from_lexical(written.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(number: impl Number) -> String {
        let mut out = Vec::new();
        number.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn numbers_are_written_as_ever() {
        assert_eq!(written(u64::MAX), "18446744073709551615");
        assert_eq!(written(-7i32), "-7");
        assert_eq!(written(i128::MIN), i128::MIN.to_string());
        for (float, text) in
            [(0.0, "0"), (-0.25, "-0.25"), (3.0, "3"), (100.0, "100"), (1e21, "1e+21"), (f64::NAN, "null")]
        {
            assert_eq!(written(float), text);
        }
    }

    #[test]
    fn what_is_no_number_is_not_read_as_one() {
        for text in ["", "-", "a", "1x", "0x10", "1,5", "1 ", " 1", "--1", "1e"] {
            assert_eq!(read_float(text), None, "{text:?}");
            assert!(text.parse::<f64>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn floats_are_read_as_rust_reads_them(text in r"[-+]?[0-9]{0,25}(\.[0-9]{0,25})?([eE][-+]?[0-9]{1,3})?") {
            prop_assert_eq!(read_float(&text).map(f64::to_bits), text.parse::<f64>().ok().map(f64::to_bits), "{}", text);
        }

        #[test]
        fn a_float_is_written_so_that_it_is_read_again(bits in any::<u64>()) {
            let float = f64::from_bits(bits);
            prop_assume!(float.is_finite());
            prop_assert_eq!(read_float(&written(float)).map(f64::to_bits), Some(bits));
            prop_assert_eq!(written(float).parse::<f64>().map(f64::to_bits), Ok(bits));
        }
    }
}
