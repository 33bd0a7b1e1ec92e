//! A provider without key or network: it plays an upstream that speaks OpenAI's protocol, so that everything behind
//! the gateway's front door can be tried, and failure rehearsed, before the first provider key is there.
//!
//! Nothing here waits or sends: a call gives a [`Script`] of bytes and pauses, and the edge performs it. The same
//! model, body, `chance` and `now` always give the same script.
//!
//! | model | what it does |
//! |---|---|
//! | `echo` | says the last user message again, word by word |
//! | `tools` | calls the first tool with arguments that fit its schema; once a result is there, answers in text |
//! | `json` | answers JSON that satisfies the `json_schema` asked for, else an object holding the user's text |
//! | `delay-<ms>` | echoes after so many milliseconds; a stream then takes as long again to the end |
//! | `status-<code>` | refuses with that status (400 to 599); 429 comes with `retry-after` |
//! | `cut-<n>` | echoes and breaks the connection after `n` content chunks; a plain answer breaks halfway |
//! | `hang` | takes the request and never answers |
//! | `flaky-<percent>` | fails with 500 in that share of calls, else echoes |
//!
//! Every model also serves embeddings and legacy completions; usage is an estimate of four bytes a token.

mod answer;
mod behaviour;
mod chat;
mod completions;
mod embeddings;
mod reply;
mod schema;
mod script;

pub use behaviour::MODELS;
pub use script::{Ending, Script, Step};

use crate::units::UnixMillis;
use behaviour::Behaviour;
use script::Stage;

/// What a call asks of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `chat/completions`.
    Chat,
    /// `embeddings`.
    Embeddings,
    /// Legacy `completions`.
    Completions,
}

/// Plays the upstream for one call.
///
/// `model` is the id behind `sandbox/`, `body` the request as the upstream would get it. `chance` is any random
/// number; only the `flaky` models look at it. `now` becomes `created`.
#[must_use]
pub fn play(model: &str, endpoint: Endpoint, body: &[u8], chance: u64, now: UnixMillis) -> Script {
    let Some(behaviour) = Behaviour::of(model) else {
        let message = format!("The sandbox has no model `{model}`; it has {}.", MODELS.join(", "));
        return Script::refusal(404, &message, "model_not_found");
    };
    match behaviour {
        Behaviour::Status(status) => return Script::refusal_on_request(status),
        Behaviour::Flaky(percent) if chance % 100 < percent => return Script::refusal_on_request(500),
        Behaviour::Hang => return Script::silence(),
        _ => {}
    }
    let stage = Stage { model, seed: fingerprint(body), now };
    let played = match endpoint {
        Endpoint::Chat => chat::play(behaviour, body, &stage),
        Endpoint::Completions => completions::play(body, &stage),
        Endpoint::Embeddings => embeddings::play(body, &stage),
    };
    let script = match played {
        Ok(script) => script,
        Err(fault) => return Script::refusal(400, &fault.message, "invalid_request"),
    };
    match behaviour {
        Behaviour::Delay(wait) => script.delayed(wait),
        Behaviour::Cut(chunks) => script.cut_after(chunks),
        _ => script,
    }
}

/// What is wrong with a request.
#[derive(Debug)]
struct Fault {
    message: String,
}

impl Fault {
    fn new(message: impl Into<String>) -> Fault {
        Fault { message: message.into() }
    }
}

impl From<crate::json::Error> for Fault {
    fn from(error: crate::json::Error) -> Fault {
        Fault::new(format!("The body is not what this endpoint takes: {error}."))
    }
}

/// A number that differs where the bytes differ (FNV-1a): ids and vectors come from it, nothing that guards anything.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
