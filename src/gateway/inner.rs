//! Calls that the gateway makes for the sake of another: somebody to judge an answer, the vector of a prompt.
//!
//! The call that wants one waits ([`Step::Inner`]); the edge begins the other ([`Gateway::begin_inner`]), drives it as
//! it drives any call, and tells what it answered ([`super::Input::Inner`]). It has a record of its own, which says what
//! it was for and for whom, goes to one target and is not repeated: whoever waits goes on without it.

use std::rc::Rc;

use crate::failure::{Failure, Kind};
use crate::http::Endpoint;
use crate::keys::Grant;
use crate::route::demands::Demands;
use crate::route::expand::Expansion;
use crate::route::{Candidate, Resolved, resolve};
use crate::units::{Millis, UnixMillis};

use super::call::{Call, Role};
use super::wishes::Wishes;
use super::{Asked, CallId, Gateway, Incoming, Step};

/// A call that is still to be made.
pub(super) struct Inner {
    /// What it is for.
    pub(super) role: Role,
    /// Whom it is charged to.
    pub(super) grant: Rc<Grant>,
    /// `provider/model`.
    pub(super) model: String,
    /// What is asked, in OpenAI's protocol.
    pub(super) endpoint: Endpoint,
    pub(super) body: Vec<u8>,
    /// How long its answer is waited for.
    pub(super) within: Millis,
    /// What everybody must be who sees the call that it is made for; none where it is made for no call.
    pub(super) demands: Demands,
}

impl Gateway {
    /// Begins the call that `id` waits for; `None` where it waits for none.
    pub fn begin_inner(&mut self, id: CallId, now: UnixMillis) -> Option<(CallId, Step)> {
        let mut outer = self.take(id)?;
        let inner = outer.inner.take();
        let wishes = Wishes {
            user: outer.wishes.user.clone(),
            session: outer.wishes.session.clone(),
            tags: outer.wishes.tags.clone(),
            total: inner.as_ref().map(|inner| inner.within),
            ..Wishes::default()
        };
        let (outer_id, grant) = (outer.request_id.clone(), outer.grant.clone());
        self.keep(id, outer);
        Some(self.begin_for(*inner?, Some((outer_id, grant?)), wishes, now))
    }

    /// Begins a call of the gateway's own, for the call of this id and key, if any.
    pub(super) fn begin_for(
        &mut self,
        inner: Inner,
        outer: Option<(String, Rc<Grant>)>,
        wishes: Wishes,
        now: UnixMillis,
    ) -> (CallId, Step) {
        let Inner { role, grant, model, endpoint, body, demands, .. } = inner;
        let incoming = Incoming {
            method: "POST".to_owned(),
            path: format!("/v1/{}", endpoint.as_str()),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body,
            ..Incoming::default()
        };
        self.begin_with(incoming, now, |gateway, call| {
            let (made_for, reader) = outer.unzip();
            let payer = grant.clone();
            (call.role, call.made_for, call.wishes) = (role, made_for, wishes);
            (call.endpoint, call.grant) = (Some(endpoint), Some(grant));
            call.config = gateway.setup.version;
            call.asked = Asked::read(endpoint, &call.incoming.body)?;
            let Resolved { provider, model } = resolve(&gateway.setup.registry, &model)?;
            let target = Candidate { provider, model, rank: 0 };
            let may_see = reader.is_none_or(|reader| gateway.may_see(&reader, &demands, &target, now));
            if !may_see || !gateway.permits(&payer, &target.provider, &target.model, now) {
                let message = "The key or the rules of the call that it is made for keep that from its target.";
                return Err(Failure::new(Kind::NoTarget, message).code("no_target"));
            }
            gateway.ask_once(call, target, now)
        })
    }

    /// Whether a target may be shown what a call of this key says, of which these are the demands.
    fn may_see(&self, grant: &Grant, demands: &Demands, target: &Candidate, now: UnixMillis) -> bool {
        let expansion = Expansion::new(&self.setup.registry, &self.setup.config.routing, now);
        let expanded = expansion.of_targets([target.clone()]);
        let mut targets = expanded.contenders.iter();
        grant.permits_target(&target.provider, &target.model)
            && targets.all(|contender| demands.refuse(contender, 0, 0, now).is_none())
    }

    fn ask_once(&mut self, call: &mut Call, target: Candidate, now: UnixMillis) -> Result<Step, Failure> {
        if matches!(self.standing(&target, now), crate::route::Standing::Blocked { .. } | crate::route::Standing::Off) {
            return Err(Failure::new(Kind::NoTarget, "Its target is blocked."));
        }
        self.aim(call, target, now)?;
        self.send(call, now)
    }
}
