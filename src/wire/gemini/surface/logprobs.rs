//! Log probabilities in Gemini's shape.

use crate::json::{Array, Object, Raw, readable};

#[derive(Default)]
struct Given<'a> {
    content: Option<Vec<Token<'a>>>,
}
readable! { Given<'a> { content } }

#[derive(Default)]
struct Token<'a> {
    token: Option<Raw<'a>>,
    logprob: Option<Raw<'a>>,
    top_logprobs: Option<Vec<Alternative<'a>>>,
}
readable! { Token<'a> { token, logprob, top_logprobs } }

#[derive(Default)]
struct Alternative<'a> {
    token: Option<Raw<'a>>,
    logprob: Option<Raw<'a>>,
}
readable! { Alternative<'a> { token, logprob } }

/// Writes `logprobsResult` out of OpenAI's `logprobs` object; nothing where that holds no token.
///
/// Source: <https://ai.google.dev/api/generate-content#LogprobsResult>.
pub(super) fn write(given: &Raw<'_>, candidate: &mut Object<'_>) {
    let given: Given<'_> = given.read_borrowed().unwrap_or_default();
    let Some(tokens) = given.content.filter(|tokens| !tokens.is_empty()) else { return };
    candidate.object("logprobsResult", |result| {
        result.array("chosenCandidates", |list| {
            tokens.iter().for_each(|chosen| write_token(chosen.token.as_ref(), chosen.logprob.as_ref(), list));
        });
        if tokens.iter().any(|token| token.top_logprobs.as_ref().is_some_and(|top| !top.is_empty())) {
            result.array("topCandidates", |places| {
                for token in &tokens {
                    places.object(|place| {
                        place.array("candidates", |list| {
                            let others = token.top_logprobs.iter().flatten();
                            others.for_each(|other| write_token(other.token.as_ref(), other.logprob.as_ref(), list));
                        });
                    });
                }
            });
        }
    });
}

fn write_token(token: Option<&Raw<'_>>, logprob: Option<&Raw<'_>>, list: &mut Array<'_>) {
    list.object(|object| {
        for (key, value) in [("token", token), ("logProbability", logprob)] {
            if let Some(value) = value {
                object.raw(key, value);
            }
        }
    });
}
