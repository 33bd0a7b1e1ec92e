//! Reads a whole answer.

use crate::chat::{Answer, Fold};
use crate::failure::Failure;
use crate::provider::Quirks;
use crate::wire::Decoded;

use super::stream::Decoder;
use super::types::Completion;

/// Reads a `chat.completion`: as one chunk of a stream that says everything, so that both always agree.
///
/// # Errors
/// `BadAnswer` where it is none or has no choices; the upstream's own error where a 200 holds one.
pub fn read_answer<'b>(body: &'b [u8], quirks: &Quirks) -> Result<Answer<'b>, Failure> {
    let mut completion: Completion<'_> = serde_json::from_slice(body.trim_ascii()).map_err(|error| {
        Failure::bad_answer("The provider's answer is no chat completion.").because(error.to_string())
    })?;
    for choice in completion.choices.iter_mut().flatten() {
        // Beside the whole message stands an empty delta in perplexity.web-search.be4c86e060.
        if choice.message.is_some() {
            choice.delta = None;
        }
    }
    let mut decoder = Decoder::new(quirks);
    let mut fold = Fold::new();
    if let Decoded::Corrupt(error) = decoder.take(completion, &mut fold) {
        return Err(Failure::bad_answer("The provider's answer is no chat completion.").because(error));
    }
    if !decoder.failed() {
        decoder.end(&mut fold);
    }
    let answer = fold.finish()?;
    if answer.choices.is_empty() {
        return Err(Failure::bad_answer("The provider's answer has no choices."));
    }
    Ok(answer)
}
