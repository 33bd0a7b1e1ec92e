//! Reads a whole answer: the one chunk of a stream that has a single chunk.

use crate::chat::{Answer, Fold};
use crate::failure::Failure;
use crate::provider::Quirks;

use super::stream::Decoder;
use super::types::{Few, Response};

/// Reads a successful answer, or the JSON array that a stream without `alt=sse` is.
///
/// It goes through the stream's decoder, so that an answer and its streamed twin cannot differ. A candidate without a
/// `finishReason` counts as ended, because the body itself is complete.
///
/// # Errors
/// `BadAnswer` where the body is none; the upstream's own error where a 200 holds one.
pub fn read_answer<'b>(body: &'b [u8], quirks: &Quirks) -> Result<Answer<'b>, Failure> {
    let responses = read(body).map_err(|error| {
        Failure::bad_answer("The provider's answer is not what its format promises.").because(error.to_string())
    })?;
    let mut decoder = Decoder::new(quirks);
    let mut fold = Fold::new();
    for response in responses {
        decoder.take(response, &mut fold);
    }
    decoder.close(&mut fold);
    let answer = fold.finish()?;
    if answer.choices.is_empty() {
        return Err(Failure::bad_answer("The provider's answer has no candidate."));
    }
    Ok(answer)
}

/// Reads one response, or an array of them.
pub(super) fn read(json: &[u8]) -> Result<Few<Response<'_>>, crate::json::Error> {
    if json.trim_ascii_start().starts_with(b"[") {
        return crate::json::from_slice(json);
    }
    crate::json::from_slice(json).map(Few::one)
}
