//! Log probabilities in OpenAI's shape.

use crate::json::{Object, Raw, Text};

use super::types::{LogprobsResult, TokenLogprob};

/// Gemini's `logprobsResult` as OpenAI's `logprobs` object. Bytes are left out: Gemini gives tokens as text only.
///
/// Source: <https://ai.google.dev/api/generate-content#LogprobsResult>.
pub(super) fn logprobs(result: &LogprobsResult<'_>) -> Raw<'static> {
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    object.array("content", |content| {
        for (at, chosen) in result.chosen_candidates.iter().enumerate() {
            content.object(|token| {
                write_token(chosen, token);
                token.array("top_logprobs", |top| {
                    for other in result.top_candidates.get(at).into_iter().flat_map(|top| top.candidates.iter()) {
                        top.object(|token| write_token(other, token));
                    }
                });
            });
        }
    });
    object.null("refusal");
    object.close();
    let json = String::from_utf8(out).unwrap_or_default();
    Raw::parse_owned(json).unwrap_or(Raw::NULL)
}

fn write_token(token: &TokenLogprob<'_>, object: &mut Object<'_>) {
    object.text("token", token.token.as_ref().unwrap_or(&Text::EMPTY));
    match token.log_probability.as_ref().filter(|number| number.number().is_some()) {
        Some(number) => object.raw("logprob", number),
        // Zero is left out of the wire: the token was certain.
        None => object.number("logprob", 0),
    };
    object.null("bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_tokens_carry_their_alternatives() {
        let result = crate::json::from_str(
            r#"{"chosenCandidates":[{"token":"a\"","tokenId":1,"logProbability":-0.5},{"token":"b"}],
                "topCandidates":[{"candidates":[{"token":"c","logProbability":-1e-3}]}]}"#,
        )
        .expect("a result");
        assert_eq!(
            logprobs(&result).get(),
            concat!(
                r#"{"content":[{"token":"a\"","logprob":-0.5,"bytes":null,"top_logprobs":["#,
                r#"{"token":"c","logprob":-1e-3,"bytes":null}]},"#,
                r#"{"token":"b","logprob":0,"bytes":null,"top_logprobs":[]}],"refusal":null}"#
            )
        );
    }
}
