//! Calls that are not made: where one would go, and where past ones would have gone under another configuration.
//!
//! Both are decided by what decides real calls, on what this isolate knows of its targets, and leave no trace in it.

use std::rc::Rc;

use crate::chat::Usage;
use crate::failure::Failure;
use crate::http::{Endpoint, Route, failure_response, route};
use crate::json::{Object, Raw};
use crate::keys::Grant;
use crate::provider::cost;
use crate::route::chance::hash;
use crate::route::classify::{Class, Hints};
use crate::route::facts::Prompt;
use crate::route::reading::Reading;
use crate::sorted;
use crate::units::{Millis, NanoUsd, UnixMillis};
use crate::wire::Surface;

use super::call::{Call, Role};
use super::routed::Basis;
use super::wishes::Wishes;
use super::{Asked, Gateway, Incoming, Setup};

/// A call that somebody wonders about.
#[derive(Clone, Debug)]
pub struct Hypothetical {
    /// Its path, headers and body; no key is needed.
    pub incoming: Incoming,
    /// Whose it would be.
    pub grant: Rc<Grant>,
    /// What would be left to chance; drawn where it is not given.
    pub seed: Option<u64>,
}

/// A call that was made, as far as its record tells.
#[derive(Clone, Debug)]
pub struct PastCall {
    /// Which.
    pub request_id: String,
    /// Such as `chat/completions`.
    pub endpoint: String,
    /// The model string that it asked for.
    pub model: String,
    /// Whose it was.
    pub grant: Rc<Grant>,
    /// The end user.
    pub user: Option<String>,
    /// What belonged together.
    pub session: Option<String>,
    /// Its labels, as written.
    pub tags: Option<String>,
    /// Its answer was streamed.
    pub stream: bool,
    /// What the classifier made of it.
    pub class: Option<Class>,
    /// What it used.
    pub usage: Usage,
}

/// Where a past call would go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redecided {
    /// The first target: `provider/model`; none where it would be refused.
    pub target: Option<String>,
    /// What its tokens cost there now.
    pub cost: Option<NanoUsd>,
    /// How long half of the calls wait there for the first token.
    pub first_token: Option<Millis>,
    /// Conditions that hang on what its record does not tell, each with where it stands. They were taken not to hold
    /// (under `not`: to hold).
    pub not_evaluated: Vec<String>,
}

impl Gateway {
    /// Says where a call would go and why, as JSON; of a call that would be refused, the error in place of candidates.
    ///
    /// # Errors
    /// Where it is no call: an unknown path, or a body that cannot be read.
    pub fn explain(&mut self, asked: Hypothetical, now: UnixMillis) -> Result<String, Failure> {
        let mut call = hypothetical(asked.incoming, asked.grant, now)?;
        let seed = asked.seed.unwrap_or_else(|| self.ids.chance());
        let kept = self.router.clone();
        let basis = Basis { reading: Reading::of(&call.incoming.body), class: None, seed };
        let decided = self.route_by(&mut call, &basis, now);
        self.router = kept;
        let mut json = Vec::with_capacity(1_024);
        let mut object = Object::open(&mut json);
        object.number("config", self.setup.version).string("model", &call.asked.model);
        match (decided, &call.routed) {
            (Ok(()), Some(routed)) => routed.write(&mut object),
            (Err(failure), _) => {
                let response = failure_response(&failure, Surface::OpenAiChat);
                let body = String::from_utf8(response.body).unwrap_or_default();
                if let Some(error) = Raw::parse(&body).ok().and_then(|raw| raw.member("error")) {
                    object.number("status", response.status).raw("error", &error);
                }
            }
            (Ok(()), None) => {}
        }
        object.close();
        Ok(String::from_utf8(json).unwrap_or_default())
    }

    /// Where past calls would go, in their order. Each gets the same chance whenever it is asked.
    pub fn redecide(&mut self, calls: &[PastCall], now: UnixMillis) -> Vec<Redecided> {
        let kept = std::mem::take(&mut self.router);
        let decided = calls.iter().map(|past| self.redecide_one(past, now)).collect();
        self.router = kept;
        decided
    }

    /// Does `work` as if `setup` were in force.
    pub fn under<T>(&mut self, setup: Setup, work: impl FnOnce(&mut Gateway) -> T) -> T {
        let kept = (std::mem::replace(&mut self.setup, setup), std::mem::take(&mut self.router));
        let done = work(self);
        (self.setup, self.router) = kept;
        done
    }

    fn redecide_one(&mut self, past: &PastCall, now: UnixMillis) -> Redecided {
        let incoming = Incoming { method: "POST".to_owned(), ..Incoming::default() };
        let mut call = Call::new(past.request_id.clone(), incoming, now);
        call.role = Role::Past;
        call.endpoint = endpoint(&format!("/v1/{}", past.endpoint)).ok();
        call.asked = Asked { model: past.model.clone(), stream: past.stream, ..Asked::default() };
        call.grant = Some(past.grant.clone());
        call.wishes = Wishes {
            user: past.user.clone(),
            session: past.session.clone(),
            tags: past.tags.clone(),
            ..Wishes::default()
        };
        let (tokens, output) = (past.usage.prompt_tokens(), past.usage.completion_tokens());
        let reading = Reading {
            prompt: Prompt { tokens, messages: 1, ..Prompt::default() },
            output_tokens: Some(output.max(1)),
            hints: Hints { messages: 1, tokens, ..Hints::default() },
            ..Reading::default()
        };
        let basis = Basis { reading, class: past.class, seed: hash(&past.request_id) };
        let decided = self.route_by(&mut call, &basis, now);
        let mut not_evaluated = std::mem::take(&mut call.unrecorded);
        sorted::sort(&mut not_evaluated);
        let refused = Redecided { not_evaluated, ..Redecided::default() };
        let Some(routed) = call.routed.as_deref().filter(|_| decided.is_ok()) else { return refused };
        let first = routed.decision.order.first().map(|ranked| ranked.contender);
        let Some(contender) = first.and_then(|first| routed.expanded.contenders.get(first)) else { return refused };
        // For the next of its session: where its prompt would be cached by now.
        self.router.served(routed, &contender.target, tokens, output, now);
        let figures = first.and_then(|first| routed.figures.get(first));
        Redecided {
            target: Some(contender.target.to_string()),
            cost: contender.price.as_ref().and_then(|price| cost(&past.usage, price)),
            first_token: figures.and_then(|figures| figures.first_token_p50),
            ..refused
        }
    }
}

/// The call that a request would be.
fn hypothetical(incoming: Incoming, grant: Rc<Grant>, now: UnixMillis) -> Result<Call, Failure> {
    let endpoint = endpoint(&incoming.path)?;
    let mut call = Call::new("req_hypothetical".to_owned(), incoming, now);
    call.endpoint = Some(endpoint);
    call.asked = Asked::read(endpoint, &call.incoming.body)?;
    call.wishes = Wishes { explain: true, ..Wishes::read(&call.incoming)? };
    call.grant = Some(grant);
    Ok(call)
}

fn endpoint(path: &str) -> Result<Endpoint, Failure> {
    match route("POST", path)? {
        Route::Call(endpoint) => Ok(endpoint),
        _ => Err(Failure::bad_request("endpoint", "`endpoint` must be one that is called with a body naming a model.")),
    }
}
