//! What a call tries, and what it tries next when that fails.

use crate::breaker::TargetId;
use crate::config::{Failover, Throughput};
use crate::failure::{Failure, Kind, Side};
use crate::http::{Response, Task};
use crate::keys::Grant;
use crate::route::{Candidate, Left, Next, Plan, Preferences, Spent, Standing, next, resolve};
use crate::units::{Millis, UnixMillis};

use super::attempt::Attempt;
use super::call::{Call, Role, Stage};
use super::health::{NEVER, all_blocked};
use super::routed::{best_of, plan_of};
use super::send::no_attempt;
use super::settle::estimate;
use super::{Gateway, Step};

impl Gateway {
    /// Chooses the first target and sends the call there.
    ///
    /// A call that names one model and no preferences has its other targets looked for only once they are needed.
    pub(super) fn first_target(&mut self, call: &mut Call, now: UnixMillis) -> Result<Step, Failure> {
        let Some(grant) = call.grant.clone() else { return Err(no_attempt()) };
        call.permit_own_key(&grant)?;
        self.retries.deposit(now);
        call.config = self.setup.version;
        if let Some(first) = self.ask_meaning(call, now)? {
            return Ok(first);
        }
        if self.route(call, now)? {
            if grant.key.log_content && call.routed.as_ref().is_some_and(|routed| routed.shadow.is_some()) {
                call.kept = Some(Vec::new());
            }
            self.aim_at_best(call, now)?;
        } else if call.asked.preferences.is_some() {
            self.plan(call)?;
            self.aim_at_next(call, now)?;
        } else {
            let resolved = resolve(&self.setup.registry, &call.asked.model)?;
            if !self.permits(&grant, &resolved.provider, &resolved.model, now) {
                return Err(Grant::model_refusal(&call.asked.model));
            }
            let target = Candidate { provider: resolved.provider, model: resolved.model, rank: 0 };
            self.aim(call, target, now)?;
        }
        if let Some(response) = count_here(call) {
            return Ok(Step::Respond(call.dress(response, now)));
        }
        self.send(call, now).or_else(|failure| self.after(call, failure, now))
    }

    /// An attempt came to nothing before anything of it reached the caller: on to the next, or the end.
    pub(super) fn failed(&mut self, call: &mut Call, failure: Failure, now: UnixMillis) -> Step {
        self.after(call, failure, now).unwrap_or_else(|failure| self.end_with(call, &failure, now))
    }

    /// What follows a failure; an error where nothing does, with the failure that tells the caller most.
    fn after(&mut self, call: &mut Call, failure: Failure, now: UnixMillis) -> Result<Step, Failure> {
        let mut failure = failure;
        loop {
            let Some(attempt) = &call.attempt else { return Err(failure) };
            let was_sent = attempt.in_flight;
            failure = attempt.conceal(attempt.explain(failure));
            if was_sent {
                self.report_failed(call, &failure, now);
                call.note_failed(&failure, now);
                self.pay_for_failed(call, &failure, now);
                if call.resume.is_none() {
                    call.first_token = None;
                }
            }
            if self.leave_to_rival(call, &failure) {
                return Ok(Step::Finish(Vec::new()));
            }
            let anew = was_sent && self.may_sign_in_anew(call, &failure, now);
            let next = self.decide(call, &failure, was_sent, anew, now);
            call.remember(failure);
            let tried = match next {
                Next::Stop => Err(None),
                Next::Again(wait) if wait > Millis(0) => {
                    call.stage = Stage::Waiting;
                    return Ok(Step::Wait(wait));
                }
                Next::Again(_) => self.send(call, now).map_err(Some),
                Next::Credential => self.with_next_credential(call, now).map_err(Some),
                Next::Target => self.aim_at_next(call, now).and_then(|()| self.send(call, now)).map_err(Some),
            };
            match tried {
                Ok(step) => return Ok(step),
                Err(Some(unsent)) => failure = unsent,
                Err(None) => return Err(call.worst()),
            }
        }
    }

    /// The wait is over.
    pub(super) fn waited(&mut self, call: &mut Call, now: UnixMillis) -> Step {
        match self.send(call, now) {
            Ok(step) => step,
            Err(failure) => self.failed(call, failure, now),
        }
    }

    /// Whether the call has another target to go to, blocked or not.
    pub(super) fn has_elsewhere(&self, call: &mut Call, now: UnixMillis) -> bool {
        self.has_other(call, |target| self.standing(target, now))
    }

    /// Whether it has one that is not blocked, and so may do better than the one that it has.
    pub(super) fn has_better(&self, call: &mut Call, now: UnixMillis) -> bool {
        self.has_other(call, |target| match self.standing(target, now) {
            Standing::Blocked { .. } => Standing::Off,
            standing => standing,
        })
    }

    fn has_other(&self, call: &mut Call, standing: impl Fn(&Candidate) -> Standing) -> bool {
        if self.plan(call).is_err() {
            return false;
        }
        let left = call.plan.as_ref().map(|plan| plan.left(0, standing));
        left.is_some_and(|left| left.same_model || left.other_model)
    }

    /// What follows a failure of this call: as its alias says, else as the gateway does.
    pub(super) fn failover(&self, call: &Call) -> Failover {
        let usual = self.setup.config.failover;
        call.routed.as_ref().map_or(usual, |routed| routed.failover.or(usual))
    }

    /// How fast a stream of this call has to be: as its headers say, else its key, its alias, the gateway.
    pub(super) fn throughput(&self, call: &Call) -> Option<Throughput> {
        let failover = self.failover(call);
        let key = call.grant.as_ref().map(|grant| grant.key.throughput).unwrap_or_default();
        call.wishes.throughput.over(key).or(failover.throughput).filter(|_| failover.enabled)
    }

    fn decide(&mut self, call: &mut Call, failure: &Failure, was_sent: bool, anew: bool, now: UnixMillis) -> Next {
        let failover = self.failover(call);
        // For a caller who left, nothing is begun anew.
        if !failover.enabled || call.drained || call.role != Role::Caller || self.plan(call).is_err() {
            return Next::Stop;
        }
        let total = call.deadlines(&self.setup.config.limits.deadlines).total;
        // What is passed on as it comes is gone once it was sent.
        if was_sent && (call.incoming.once || call.is_passed_through()) {
            return Next::Stop;
        }
        let Some(attempt) = &call.attempt else { return Next::Stop };
        let standing = |target: &Candidate| self.standing(target, now);
        let mut left = call.plan.as_ref().map_or_else(Left::default, |plan| plan.left(attempt.rank, standing));
        if !was_sent {
            // This target cannot be asked this. Another may; asking again changes nothing.
            let elsewhere = left.same_model || left.other_model;
            let may =
                matches!(failure.kind, Kind::Unsupported | Kind::NotFound | Kind::NoTarget | Kind::CredentialRejected);
            return if may && elsewhere { Next::Target } else { Next::Stop };
        }
        left.credential = anew || self.further_credential(attempt, now).is_some();
        let spent = Spent {
            attempts: call.attempts,
            of_target: attempt.repeated,
            time_left: Millis(total.0.saturating_sub(now.since(call.started).0)),
        };
        let mut policy = failover.retries;
        // A call that names further models asked for them to be tried.
        let names_more = call.asked.preferences.as_ref().is_some_and(|wishes| !wishes.models.is_empty());
        policy.context_length |= names_more;
        policy.content_policy |= names_more;
        let before = self.retries.refused();
        let next = next(failure, left, spent, &policy, &mut self.retries, self.ids.chance());
        self.view.note_refused_retries(self.retries.refused() - before);
        next
    }

    /// Aims a call at the first of the targets that were decided on. A plan of the others is made once one is needed.
    pub(super) fn aim_at_best(&mut self, call: &mut Call, now: UnixMillis) -> Result<(), Failure> {
        let best = call.routed.as_ref().and_then(|routed| best_of(routed));
        match best.filter(|target| self.standing(target, now) == Standing::Good) {
            Some(target) => self.aim(call, target, now),
            None => {
                self.plan(call)?;
                self.aim_at_next(call, now)
            }
        }
    }

    /// Sees to it that the call has a plan of the targets that it has not tried.
    fn plan(&self, call: &mut Call) -> Result<(), Failure> {
        if call.plan.is_some() {
            return Ok(());
        }
        let registry = &self.setup.registry;
        let none = Preferences::default();
        let model = call.asked.model.as_str();
        let preferences = match &call.asked.preferences {
            // A router that is named reads these itself.
            Some(_) if self.names_router(model) => &none,
            Some(preferences) => preferences,
            None => &none,
        };
        let fallbacks = self.setup.config.fallbacks.get(model).map_or(&[][..], Vec::as_slice);
        let mut plan = match &call.routed {
            Some(routed) => plan_of(routed),
            None => Plan::new(registry, model, preferences, fallbacks)?,
        };
        if let Some(attempt) = &call.attempt {
            plan.retain(|target| target.provider != attempt.upstream.id || target.model != attempt.model);
            if attempt.own_key {
                // The caller's key is for this provider and nobody else's eyes.
                plan.retain(|target| target.provider == attempt.upstream.id);
            }
        }
        let before = plan.is_empty();
        if let Some(grant) = &call.grant {
            plan.retain(|target| self.permits(grant, &target.provider, &target.model, call.started));
        }
        if call.attempt.is_none() && plan.is_empty() && !before {
            return Err(Grant::model_refusal(model));
        }
        call.plan = Some(Box::new(plan));
        Ok(())
    }

    pub(super) fn names_router(&self, model: &str) -> bool {
        let provider = model.split_once('/').and_then(|(provider, _)| self.setup.registry.upstream(provider));
        provider.is_some_and(|upstream| upstream.quirks.routes_itself)
    }

    pub(super) fn aim_at_next(&mut self, call: &mut Call, now: UnixMillis) -> Result<(), Failure> {
        let own_key = call.incoming.header("x-latchkey-provider-key").is_some();
        let standing = |target: &Candidate| self.standing(target, now);
        let Some(target) = call.plan.as_mut().and_then(|plan| plan.pick(standing)) else {
            let left = call.plan.as_ref().filter(|plan| !plan.is_empty());
            // Who is left and never opens is switched off.
            let until = left.map_or(now, |plan| plan.opens(standing).unwrap_or(NEVER));
            return Err(all_blocked(&call.asked.model, until, now));
        };
        if own_key && let Some(plan) = &mut call.plan {
            plan.retain(|other| other.provider == target.provider);
        }
        let last_resort = match self.standing(&target, now) {
            // A breaker is of use to the only target there is, too: it fails at once, and is left alone to recover.
            Standing::Blocked { until }
                if call.attempt.is_none() && call.plan.as_ref().is_none_or(|plan| plan.is_empty()) =>
            {
                return Err(all_blocked(&call.asked.model, until, now));
            }
            standing => matches!(standing, Standing::Blocked { .. }),
        };
        self.aim(call, target, now)?;
        if let Some(attempt) = &mut call.attempt {
            attempt.last_resort = last_resort;
        }
        Ok(())
    }

    /// The next of the provider's credentials that this target was not asked with.
    fn further_credential(&self, attempt: &Attempt, now: UnixMillis) -> Option<usize> {
        let keys = attempt.upstream.keys.len();
        if attempt.own_key || keys < 2 {
            return None;
        }
        let target = TargetId::from(attempt.target.as_str());
        self.open_credential(&target, attempt.credential + 1, keys, now).ok()
    }

    fn with_next_credential(&mut self, call: &mut Call, now: UnixMillis) -> Result<Step, Failure> {
        let attempt = call.attempt.as_mut().ok_or_else(no_attempt)?;
        if !attempt.upstream.keys.is_empty() {
            attempt.credential = self.further_credential(attempt, now).ok_or_else(no_attempt)?;
        }
        attempt.repeated = 0;
        self.send(call, now)
    }
}

impl Call {
    /// Whether it may bring a provider key of its own, where it does.
    pub(super) fn permit_own_key(&self, grant: &Grant) -> Result<(), Failure> {
        if self.incoming.header("x-latchkey-provider-key").is_none() || grant.key.allow_provider_key {
            return Ok(());
        }
        Err(Failure::new(Kind::Forbidden, "This key may not bring a provider key of its own.")
            .code("provider_key_not_allowed")
            .about("x-latchkey-provider-key"))
    }

    /// Keeps the failure that tells the caller most: rather what a provider said of the call than that a fallback could
    /// not be asked, and of two alike the later.
    pub(super) fn remember(&mut self, failure: Failure) {
        let tells = |failure: &Failure| match failure.kind {
            Kind::CredentialRejected | Kind::NotFound | Kind::Unsupported | Kind::NoTarget => 0,
            _ if failure.side == Side::Gateway => 0,
            _ => 1,
        };
        if self.failure.as_ref().is_none_or(|known| tells(known) <= tells(&failure)) {
            self.failure = Some(failure);
        }
    }

    fn worst(&mut self) -> Failure {
        self.failure.take().unwrap_or_else(|| Failure::new(Kind::Internal, "The call failed for no known reason."))
    }
}

/// An estimate of a prompt's tokens, where they are to be counted and the target has no endpoint for that in the
/// caller's protocol.
fn count_here(call: &Call) -> Option<Response> {
    let attempt = call.attempt.as_ref()?;
    let surface = call.surface();
    let counts = call.task() == Some(Task::Count);
    let upstream = &attempt.upstream;
    let elsewhere =
        surface.format() != attempt.format || surface.count_path(&attempt.model, &upstream.quirks).is_empty();
    (counts && elsewhere).then(|| {
        let tokens = estimate(call.incoming.body.len() as u64, 0).input_fresh;
        Response::json(200, surface.write_count(tokens, true))
    })
}
