//! Calls of the gateway's own: whether a target that was blocked is back.

use std::rc::Rc;

use crate::failure::Failure;
use crate::http::Endpoint;
use crate::json::Object;
use crate::keys::{Grant, Key};
use crate::provider::models::Mode;
use crate::route::Candidate;
use crate::units::UnixMillis;

use super::call::{Call, Role};
use super::{Asked, CallId, Gateway, Incoming, Step};

/// Under which key such calls are recorded, and what they cost is counted.
pub(super) const KEY: &str = "probe";
/// Enough for any model to say something.
const MOST_TOKENS: u32 = 16;

impl Gateway {
    /// Whether there is a cheap call that shows whether a target is back: what it speaks, draws or transcribes is none.
    #[must_use]
    pub fn can_probe(&self, target: &str) -> bool {
        self.probe_endpoint(target).is_some()
    }

    /// Begins a call that asks one target for a few tokens or a small vector, blocked or not. It goes nowhere else and is
    /// not repeated.
    pub fn begin_probe(&mut self, target: &str, now: UnixMillis) -> (CallId, Step) {
        let endpoint = self.probe_endpoint(target).unwrap_or(Endpoint::ChatCompletions);
        let incoming = Incoming {
            method: "POST".to_owned(),
            path: format!("/v1/{}", endpoint.as_str()),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: question(endpoint, target),
            ..Incoming::default()
        };
        self.begin_with(incoming, now, |gateway, call| gateway.probe(call, endpoint, target, now))
    }

    /// Where its model is asked; of one that nobody knows, as most are.
    fn probe_endpoint(&self, target: &str) -> Option<Endpoint> {
        let (provider, model) = target.split_once('/').unwrap_or((target, ""));
        match self.setup.registry.mode(provider, model).unwrap_or(Mode::Chat) {
            Mode::Chat | Mode::Responses => Some(Endpoint::ChatCompletions),
            Mode::Completion => Some(Endpoint::Completions),
            Mode::Embedding => Some(Endpoint::Embeddings),
            _ => None,
        }
    }

    fn probe(&mut self, call: &mut Call, endpoint: Endpoint, target: &str, now: UnixMillis) -> Result<Step, Failure> {
        call.role = Role::Probe;
        call.endpoint = Some(endpoint);
        call.asked = Asked::read(endpoint, &call.incoming.body)?;
        let key = Key { id: KEY.to_owned(), name: "probes of blocked targets".to_owned(), ..Key::default() };
        call.grant = Some(Rc::new(Grant::new(key)));
        let (provider, model) = target.split_once('/').unwrap_or((target, ""));
        let target = Candidate { provider: provider.to_owned(), model: model.to_owned(), rank: 0 };
        self.aim(call, target, now)?;
        if let Some(attempt) = &mut call.attempt {
            attempt.last_resort = true;
        }
        self.send(call, now)
    }
}

fn question(endpoint: Endpoint, target: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(128);
    let mut object = Object::open(&mut body);
    object.string("model", target);
    match endpoint {
        Endpoint::Embeddings => {
            object.string("input", "ping");
        }
        Endpoint::Completions => {
            object.number("max_tokens", MOST_TOKENS).string("prompt", "ping");
        }
        _ => {
            object.number("max_tokens", MOST_TOKENS);
            object.array("messages", |messages| {
                messages.object(|message| {
                    message.string("role", "user").string("content", "ping");
                });
            });
        }
    }
    object.close();
    body
}
