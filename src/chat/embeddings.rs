//! Embeddings: what a caller asks for and what comes back.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::Failure;
use crate::json::{Array, Raw, Text};

use super::Usage;

/// A call for embeddings, whatever surface it came through.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingsRequest<'a> {
    /// The model string as the caller wrote it.
    pub model: Text<'a>,
    /// What to embed, in order; never empty.
    pub inputs: Vec<EmbeddingInput<'a>>,
    /// How long each vector shall be; the model's own length where it is not said.
    pub dimensions: Option<u64>,
    /// How the caller wants the numbers written.
    pub encoding: VectorEncoding,
    /// The end user on whose behalf this is.
    pub user: Option<Text<'a>>,
    /// Top-level fields that nothing above models, as written, in order.
    pub unknown: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> EmbeddingsRequest<'a> {
    /// What to embed, for a protocol that takes texts alone.
    ///
    /// # Errors
    /// `Unsupported`, naming the first input that is none.
    pub fn texts(&self) -> Result<Vec<&Text<'a>>, Failure> {
        let texts = self.inputs.iter().enumerate().map(|(at, input)| match input {
            EmbeddingInput::Text(text) => Ok(text),
            EmbeddingInput::Tokens(_) => {
                Err(Failure::unsupported(format!("input.{at}"), "This model embeds texts, not token ids."))
            }
        });
        texts.collect()
    }
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput<'a> {
    /// Words.
    Text(Text<'a>),
    /// Token ids of the model's own tokenizer, as an array of integers. Few providers take them.
    Tokens(Raw<'a>),
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VectorEncoding {
    /// As arrays of numbers.
    #[default]
    Float,
    /// As base64 of little-endian 32-bit floats: a third of the size.
    Base64,
}

/// What a call for embeddings came to.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingsAnswer<'a> {
    /// The model as the upstream names it; empty where it does not.
    pub model: Text<'a>,
    /// One for each input, in the same order.
    pub vectors: Vec<Vector<'a>>,
    /// What it used: input only. `None` where the upstream did not say.
    pub usage: Option<Usage>,
}

/// One vector in whichever spelling it came.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector<'a> {
    /// A JSON array of numbers.
    Floats(Raw<'a>),
    /// Base64 of little-endian 32-bit floats.
    Base64(Text<'a>),
}

impl Vector<'_> {
    /// As a JSON array of numbers: borrowed where it is one already.
    ///
    /// # Errors
    /// Where the base64 is none, or holds something that is no array of finite 32-bit floats.
    pub fn floats(&self) -> Result<Raw<'_>, String> {
        let text = match self {
            Vector::Floats(raw) => return Ok(raw.borrowed()),
            Vector::Base64(text) => text,
        };
        let bytes = STANDARD.decode(text.decode().as_bytes()).map_err(|error| error.to_string())?;
        let (numbers, left_over) = bytes.as_chunks::<4>();
        if !left_over.is_empty() {
            return Err(format!("{} bytes are no array of 32-bit floats", bytes.len()));
        }
        // The shortest spelling that reads back as the same number takes about a dozen characters.
        let mut out = Vec::with_capacity(numbers.len() * 13 + 2);
        let mut array = Array::open(&mut out);
        for number in numbers {
            let number = f32::from_le_bytes(*number);
            if !number.is_finite() {
                return Err("a number of the vector is not finite".to_owned());
            }
            array.number(number);
        }
        array.close();
        let json = String::from_utf8(out).map_err(|error| error.to_string())?;
        Raw::parse_owned(json).map_err(|error| error.to_string())
    }

    /// As base64 of little-endian 32-bit floats: borrowed where it is that already.
    ///
    /// # Errors
    /// Where the JSON is no array of numbers.
    pub fn base64(&self) -> Result<Text<'_>, String> {
        let raw = match self {
            Vector::Base64(text) => return Ok(text.borrowed()),
            Vector::Floats(raw) => raw,
        };
        let numbers: Vec<f32> = raw.read().map_err(|error| error.to_string())?;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(Text::from_escaped(STANDARD.encode(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_become_little_endian_floats() {
        let vector = Vector::Floats(Raw::parse("[1, -0.5, 0]").expect("an array"));
        let base64 = vector.base64().expect("numbers");
        assert_eq!(base64.escaped(), "AACAPwAAAL8AAAAA");
        assert_eq!(Vector::Base64(base64).floats().expect("floats").get(), "[1,-0.5,0]");
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for base64 in ["AAAA", "!", "AACAfw=="] {
            assert!(Vector::Base64(Text::escape(base64)).floats().is_err(), "{base64}");
        }
        for json in ["[\"a\"]", "{}", "null"] {
            assert!(Vector::Floats(Raw::parse(json).expect("json")).base64().is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_bit_is_lost_between_the_spellings(numbers in proptest::collection::vec(-1e30f32..1e30, 0..20)) {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            let original = Vector::Base64(Text::from_escaped(STANDARD.encode(bytes)));
            let floats = original.floats().expect("finite").into_owned();
            let back = Vector::Floats(floats);
            prop_assert_eq!(back.base64().expect("numbers"), original.base64().expect("base64"));
        }
    }
}
