//! Whole answers.

use std::borrow::Cow;

use super::stream::{Decoder, id_prefix};
use super::types;
use crate::chat::{Answer, Fold};
use crate::failure::Failure;
use crate::provider::Quirks;
use crate::wire::{Decoded, StreamDecoder, openai_chat, sse::Frame};

/// Reads an answer, with or without the envelope that it has over HTTP.
///
/// # Errors
/// `BadAnswer` where the body is none; the provider's own error where it holds one.
pub fn read_answer<'b>(body: &'b [u8], quirks: &Quirks) -> Result<Answer<'b>, Failure> {
    let unreadable = |error: crate::json::Error| {
        Failure::bad_answer("The provider's answer could not be read.").because(error.to_string())
    };
    let outer: types::Answer<'b> = crate::json::from_slice(body).map_err(unreadable)?;
    let body = outer.result.map_or(body, |result| result.get().as_bytes());
    let answer: types::Answer<'b> = crate::json::from_slice(body).map_err(unreadable)?;
    if answer.choices.is_some() || answer.error.is_some() {
        return openai_chat::read_answer(body, quirks);
    }
    if !answer.is_native() {
        return Err(Failure::bad_answer("The provider's answer holds no response."));
    }
    let (mut decoder, mut fold) = (Decoder::of(id_prefix(body), quirks), Fold::new());
    for data in [body, b"[DONE]"] {
        let frame = Frame { event: b"", data: Cow::Borrowed(data), raw: data };
        if let Decoded::Corrupt(error) = decoder.push(&frame, &mut fold) {
            return Err(Failure::bad_answer("The provider's answer could not be read.").because(error));
        }
    }
    decoder.finish(&mut fold)?;
    fold.finish()
}
