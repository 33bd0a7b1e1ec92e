//! Calls of the gateway's own: whether a target that was blocked is back.

use std::rc::Rc;

use crate::failure::Failure;
use crate::http::Endpoint;
use crate::json::Object;
use crate::keys::{Grant, Key};
use crate::route::Candidate;
use crate::units::UnixMillis;

use super::call::{Call, Role};
use super::{Asked, CallId, Gateway, Incoming, Step};

/// Under which key such calls are recorded, and what they cost is counted.
const KEY: &str = "probe";
/// Enough for any model to say something.
const MOST_TOKENS: u32 = 16;

impl Gateway {
    /// Begins a call that asks one target for a few tokens, blocked or not. It goes nowhere else and is not repeated.
    pub fn begin_probe(&mut self, target: &str, now: UnixMillis) -> (CallId, Step) {
        let incoming = Incoming {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: question(target),
            ..Incoming::default()
        };
        self.begin_with(incoming, now, |gateway, call| gateway.probe(call, target, now))
    }

    fn probe(&mut self, call: &mut Call, target: &str, now: UnixMillis) -> Result<Step, Failure> {
        call.role = Role::Probe;
        call.endpoint = Some(Endpoint::ChatCompletions);
        call.asked = Asked::read(Endpoint::ChatCompletions, &call.incoming.body)?;
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

fn question(target: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(128);
    let mut object = Object::open(&mut body);
    object.string("model", target).number("max_tokens", MOST_TOKENS);
    object.array("messages", |messages| {
        messages.object(|message| {
            message.string("role", "user").string("content", "ping");
        });
    });
    object.close();
    body
}
