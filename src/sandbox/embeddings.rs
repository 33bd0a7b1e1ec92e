//! Embeddings: each word gives a direction of its own, so that texts with words in common lie near each other.

use super::script::{Script, Stage};
use super::{Fault, fingerprint, reply};
use crate::json::{Array, Object, Raw, Text, readable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const DEFAULT_DIMENSIONS: usize = 64;
const MOST_DIMENSIONS: usize = 3072;
/// Inputs times dimensions of one request.
const MOST_NUMBERS: usize = 1 << 18;
/// Words of an input that count; what follows does not turn its vector.
const MOST_WORDS: usize = 64;

#[derive(Default)]
struct EmbeddingRequest<'b> {
    input: Raw<'b>,
    dimensions: Option<usize>,
    encoding_format: Option<Text<'b>>,
}
readable! { EmbeddingRequest<'a> { #[required] input, dimensions, encoding_format } }

/// Answers one request. Token ids embed as the words their digits are.
pub(super) fn play(body: &[u8], stage: &Stage<'_>) -> Result<Script, Fault> {
    let request: EmbeddingRequest<'_> = crate::json::from_slice(body)?;
    let inputs = inputs(&request.input)?;
    let dimensions = request.dimensions.unwrap_or(DEFAULT_DIMENSIONS);
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(Fault::new(format!("dimensions is {dimensions}; the sandbox takes 1 to {MOST_DIMENSIONS}.")));
    }
    if inputs.len().saturating_mul(dimensions) > MOST_NUMBERS {
        return Err(Fault::new(format!("{} inputs of {dimensions} dimensions are too many.", inputs.len())));
    }
    let base64 = request.encoding_format.is_some_and(|format| format.is("base64"));
    let mut body = Vec::new();
    let mut object = Object::open(&mut body);
    object.string("object", "list").array("data", |data| {
        for (index, input) in inputs.iter().enumerate() {
            data.object(|item| {
                item.string("object", "embedding").number("index", index);
                write_vector(item, &vector(input, dimensions), base64);
            });
        }
    });
    let tokens: u64 = inputs.iter().map(|input| reply::tokens(input.len())).sum();
    object.string("model", stage.model).object("usage", |usage| {
        usage.number("prompt_tokens", tokens).number("total_tokens", tokens);
    });
    object.close();
    Ok(Script::plain(body))
}

/// A string, a list of strings, a list of token ids, or a list of such lists.
fn inputs(input: &Raw<'_>) -> Result<Vec<String>, Fault> {
    let words = |ids: Vec<u64>| ids.iter().map(u64::to_string).collect::<Vec<String>>().join(" ");
    let inputs: Vec<String> = if let Some(text) = input.text() {
        vec![text.decode().into_owned()]
    } else if let Ok(texts) = input.read::<Vec<String>>() {
        texts
    } else if let Ok(ids) = input.read::<Vec<u64>>() {
        vec![words(ids)]
    } else {
        input.read::<Vec<Vec<u64>>>()?.into_iter().map(words).collect()
    };
    if inputs.is_empty() { Err(Fault::new("input is an empty list.")) } else { Ok(inputs) }
}

/// A vector of length one.
fn vector(input: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0f64; dimensions];
    // The whole counts a little as well: other orders of the same words, and no word at all, get their own vectors.
    add(&mut sum, fingerprint(input.as_bytes()), 0.1);
    for word in input.split_whitespace().take(MOST_WORDS) {
        add(&mut sum, fingerprint(word.to_ascii_lowercase().as_bytes()), 1.0);
    }
    let length = sum.iter().map(|number| number * number).sum::<f64>().sqrt();
    #[allow(clippy::cast_possible_truncation, reason = "vectors are single precision on the wire")]
    sum.into_iter().map(|number| (number / length) as f32).collect()
}

/// Adds the direction that `seed` stands for.
fn add(sum: &mut [f64], mut seed: u64, weight: f64) {
    for number in sum {
        // One step of splitmix64: evenly spread and the same everywhere.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        *number += (f64::from((mixed >> 32) as u32) / f64::from(u32::MAX) - 0.5) * weight;
    }
}

fn write_vector(item: &mut Object<'_>, vector: &[f32], base64: bool) {
    if base64 {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        item.string("embedding", &STANDARD.encode(bytes));
        return;
    }
    item.array("embedding", |numbers: &mut Array<'_>| {
        for number in vector {
            numbers.number(*number);
        }
    });
}
