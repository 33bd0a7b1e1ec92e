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
    let mut completion: Completion<'_> = crate::json::from_slice(body.trim_ascii()).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::EndKind;
    use crate::wire::openai_chat::recorded;

    #[test]
    fn every_recorded_answer_is_read() {
        let answers = recorded::exchanges("chat/completions").into_iter();
        for exchange in answers.filter(|exchange| exchange.status < 400 && !exchange.is_stream()) {
            let answer = read_answer(exchange.response.as_bytes(), &Quirks::NONE).expect(&exchange.id);
            assert!(answer.usage.is_some(), "{}", exchange.id);
            let known = |choice: &crate::chat::Choice<'_>| {
                choice.end.kind != EndKind::Other && !(choice.parts.is_empty() && choice.media.is_empty())
            };
            // A filtered answer and one that thought until its limit say nothing.
            let silent = ["azure.safety.92c43b7ef3"].contains(&exchange.id.as_str())
                || answer.choices.iter().all(|choice| choice.end.kind == EndKind::Length);
            assert!(silent || answer.choices.iter().all(known), "{}", exchange.id);
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for body in ["", "[]", "{}", r#"{"choices":[]}"#, r#"{"choices":5}"#] {
            let failure = read_answer(body.as_bytes(), &Quirks::NONE).expect_err(body);
            assert_eq!(failure.kind, crate::failure::Kind::BadAnswer, "{body}");
        }
        let refused = br#"{"error":{"message":"slow down","code":429}}"#;
        let failure = read_answer(refused, &Quirks::NONE).expect_err("an error in a 200");
        assert_eq!((failure.kind, failure.upstream_status), (crate::failure::Kind::RateLimited, Some(429)));
    }
}
