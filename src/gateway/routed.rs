//! Calls whose model string is not all there is to say: aliases, rules, strategies.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::budget::{Aim, Rule};
use crate::chat::Effort;
use crate::failure::Failure;
use crate::http::{Endpoint, Task};
use crate::json::Raw;
use crate::keys::{Grant, Key, ModelPattern};
use crate::route::alias::LatencyBudget;
use crate::route::classify::Class;
use crate::route::contender::{Contender, Figures};
use crate::route::decide::BudgetState;
use crate::route::demands::Demands;
use crate::route::facts::CallFacts;
use crate::route::objective::Objective;
use crate::route::overrides::EffortForm;
use crate::route::reading::{Reading, metadata};
use crate::route::router::{Request, Routed, Router, concerns, demanded, names_alias};
use crate::route::{Candidate, MAX_TARGETS, Plan, Preferences, Resolved};
use crate::sorted::SortedMap;
use crate::units::{NanoUsd, UnixMillis};
use crate::wire::{Surface, openai_chat};

use super::call::{Call, Role};
use super::send::no_attempt;
use super::{Gateway, Incoming};

/// What a decision goes by that its call does not hold.
#[derive(Default)]
pub(super) struct Basis {
    /// What was read of the body.
    pub reading: Reading,
    /// What the classifier made of it, where that is known already.
    pub class: Option<Class>,
    /// Decides what is left to chance.
    pub seed: u64,
}

/// Headers in which other gateways' callers send metadata: a JSON object.
const METADATA_HEADERS: [&str; 2] = ["x-portkey-metadata", "x-litellm-spend-logs-metadata"];

impl Gateway {
    /// Decides where a call goes; whether it did, as nothing is to be decided where its model says all.
    ///
    /// # Errors
    /// As [`Router::route`].
    pub(super) fn route(&mut self, call: &mut Call, now: UnixMillis) -> Result<bool, Failure> {
        if !self.concerns_router(call) {
            return Ok(false);
        }
        let basis = Basis { reading: call.reading(), class: None, seed: self.ids.chance() };
        self.route_by(call, &basis, now).map(|()| true)
    }

    /// Whether there is anything to decide.
    fn concerns_router(&self, call: &Call) -> bool {
        let routing = &self.setup.config.routing;
        let further = call.asked.preferences.as_ref().map_or(&[][..], |preferences| &preferences.models);
        let has_wishes = call.asked.objective.is_some()
            || call.wishes.latency_budget != LatencyBudget::default()
            || names_alias(routing, further);
        // A router that is named reads these itself.
        concerns(routing, &call.asked.model, has_wishes && !self.names_router(&call.asked.model))
    }

    /// Decides where a call goes, even where its model says all.
    ///
    /// # Errors
    /// As [`Router::route`].
    pub(super) fn route_by(&mut self, call: &mut Call, basis: &Basis, now: UnixMillis) -> Result<(), Failure> {
        let mut routed = Err(no_attempt());
        self.consider(call, basis, now, &mut |router, request| routed = router.route(request))?;
        let mut routed = Box::new(routed?);
        routed.prefer(call.asked.wished());
        if call.asked.preferences.as_ref().is_some_and(|preferences| preferences.allow_fallbacks == Some(false)) {
            routed.close(call.asked.wished());
        }
        call.routed = Some(routed);
        Ok(())
    }

    /// What everybody must be who sees the call, as far as that is known before it is decided.
    ///
    /// # Errors
    /// Where it has no key.
    pub(super) fn demands_of(&mut self, call: &mut Call, now: UnixMillis) -> Result<Demands, Failure> {
        let basis = Basis { reading: call.reading(), ..Basis::default() };
        let mut demands = Demands::default();
        self.consider(call, &basis, now, &mut |_, request| demands = demanded(request).1)?;
        // The decision, which comes later, goes by it too.
        call.reading = Some(Box::new(basis.reading));
        Ok(demands)
    }

    /// Does `work` with what is known of a call that wants a target.
    fn consider(
        &mut self,
        call: &mut Call,
        Basis { reading, class, seed }: &Basis,
        now: UnixMillis,
        work: &mut dyn FnMut(&mut Router, &mut Request<'_>),
    ) -> Result<(), Failure> {
        let routing = &self.setup.config.routing;
        let own_router = self.names_router(&call.asked.model);
        let has_objective = call.asked.objective.is_some() && !own_router;
        let grant = call.grant.clone().ok_or_else(no_attempt)?;
        let preferences = call.asked.preferences.as_deref().cloned().unwrap_or_default();
        let objective = objective(call, &preferences, has_objective);
        // Taken out while the rest of the gateway is looked at.
        let mut router = std::mem::take(&mut self.router);
        let (registry, view) = (&self.setup.registry, &self.view);
        let fallbacks = &self.setup.config.fallbacks;
        let in_flight = OnceCell::new();
        let suffixed = |name: &str| name.len() < call.asked.model.len();
        let is_closed = preferences.allow_fallbacks == Some(false);
        let named = |name: &str| {
            let mut wishes = if own_router { Preferences::default() } else { preferences.clone() };
            if (objective.sort.is_some() || suffixed(name)) && !own_router {
                // Whoever wants the cheapest or fastest wants it of all who have the model.
                wishes.allow_fallbacks = Some(true);
            }
            if names_alias(routing, &wishes.models) {
                wishes.models.clear();
            }
            let last = if objective.mixes_models { wishes.models.len() } else { 0 };
            let fallbacks = fallbacks.get(name).filter(|_| !is_closed);
            let plan = Plan::new(registry, name, &wishes, fallbacks.map_or(&[][..], Vec::as_slice))?;
            let target =
                |target: Candidate| Candidate { rank: if target.rank > last { target.rank } else { 0 }, ..target };
            Ok(plan.into_targets().map(target).collect())
        };
        let figures = |target: &str, counts: bool| {
            let (seen, verdict) = view.seen(target, now);
            let calls = counts.then(|| in_flight.get_or_init(|| self.in_flight()).get(target)).flatten();
            Figures::seen(&seen, verdict, calls.copied().unwrap_or(0))
        };
        let told = header_metadata(&call.incoming);
        let mut request = Request {
            registry,
            routing,
            facts: facts_of(call, &grant.key, reading, *class, &told),
            objective: &objective,
            words: &reading.last,
            hints: reading.hints,
            prefix: reading.prefix,
            cache_lives: reading.cache_lives,
            service_tier: reading.service_tier.as_deref(),
            named: &named,
            further: if own_router { &[] } else { &preferences.models },
            is_closed,
            figures: &figures,
            permitted: &|provider, model| self.permits(&grant, provider, model, now),
            budget: &|name| self.budget_of(call, &grant, name),
            seed: *seed,
            explains: call.wishes.explain,
            shadow: call.shadows.as_ref().map(|(experiment, variant)| (experiment.as_str(), variant.as_str())),
            unrecorded: (call.role == Role::Past).then(Vec::new),
            now,
        };
        work(&mut router, &mut request);
        let unrecorded = request.unrecorded.take().unwrap_or_default();
        self.router = router;
        call.unrecorded = unrecorded;
        Ok(())
    }

    /// How the budgets stand that count the call under this name, as far as is known here.
    fn budget_of(&self, call: &Call, grant: &Grant, name: &str) -> Option<BudgetState> {
        let tags = call.tags();
        let aim = Aim { provider: "", model: "", alias: Some(name) };
        let draws = self.purse.draws(&grant.terms, &call.spender(grant, &tags), &aim);
        let figures = self.purse.figures(&draws, grant.terms.team.as_deref());
        let states = figures.filter_map(|figure| match figure.rule {
            Rule::Budget(budget) => {
                let used = 1.0 - figure.left as f64 / budget.limit.0.max(1) as f64;
                Some(BudgetState { used: used.clamp(0.0, 1.0), remaining: NanoUsd(figure.left) })
            }
            Rule::Limit(_) => None,
        });
        states.reduce(BudgetState::and)
    }

    /// Calls under way by target.
    fn in_flight(&self) -> SortedMap<&str, u32> {
        let mut counts = SortedMap::new();
        for attempt in self.calls_with_attempts().filter(|attempt| attempt.in_flight) {
            *counts.get_or_default(attempt.target.as_str()) += 1;
        }
        counts
    }

    /// A routed call was served: where its prompt now is cached, and how its experiment goes.
    pub(super) fn note_routed(&mut self, call: &Call, input_tokens: u64, output_tokens: u64, now: UnixMillis) {
        let (Some(routed), Some(attempt)) = (&call.routed, &call.attempt) else { return };
        if call.role == Role::Caller {
            self.router.served(routed, &attempt.target, input_tokens, output_tokens, now);
        }
        if let Some((experiment, variant)) = &routed.variant {
            let first_token = call.first_token.map(|at| at.since(call.started).0);
            // Served by a fallback: what is tried out did not serve it.
            let failed = !routed.order().any(|contender| *contender.target == *attempt.target);
            self.router.count(experiment, variant, failed, first_token.filter(|_| !failed));
        }
    }

    /// A routed call failed for good, through no fault of its caller.
    pub(super) fn note_routed_failure(&mut self, call: &Call, failure: &Failure) {
        if failure.side == crate::failure::Side::Upstream
            && !call.brought_about(failure)
            && let Some((experiment, variant)) = call.routed.as_ref().and_then(|routed| routed.variant.as_ref())
        {
            self.router.count(experiment, variant, true, None);
        }
    }
}

/// What is known of a call when its target is chosen. `told` is the metadata in its headers.
fn facts_of<'c>(
    call: &'c Call,
    key: &'c Key,
    reading: &'c Reading,
    class: Option<Class>,
    told: &'c [(String, String)],
) -> CallFacts<'c> {
    let wishes = &call.wishes;
    let own_metadata = key.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let metadata = reading.metadata.iter().chain(told).map(|(name, value)| (name.as_str(), value.as_str()));
    CallFacts {
        key: &key.id,
        key_name: &key.name,
        team: key.team_id.as_deref(),
        environment: &key.environment,
        user: wishes.user.as_deref().or(reading.user.as_deref()).map(Cow::Borrowed),
        session: wishes.session.as_deref().or(reading.session.as_deref()).map(Cow::Borrowed),
        tags: call.tags(),
        metadata: metadata.chain(own_metadata).collect(),
        headers: &call.incoming.headers,
        model: &call.asked.model,
        endpoint: call.endpoint.map_or("", Endpoint::as_str),
        prompt: reading.prompt,
        texts: &reading.texts,
        plain: !call.asked.stream,
        output_tokens: reading.output_tokens,
        needs: reading.needs,
        class,
        meaning: call.meaning.clone(),
    }
}

/// What a call says of how its target is chosen: `provider` with its names as patterns, and our own header.
fn objective(call: &Call, preferences: &Preferences, reads: bool) -> Objective {
    let mut objective = call.asked.objective.as_deref().filter(|_| reads).cloned().unwrap_or_default();
    let patterns = |names: &[String]| names.iter().map(|name| ModelPattern::new(&format!("{name}/*"))).collect();
    if !preferences.only.is_empty() {
        objective.demands.only.push(patterns(&preferences.only));
    }
    objective.demands.ignore.extend::<Vec<ModelPattern>>(patterns(&preferences.ignore));
    let (told, written) = (call.wishes.latency_budget, &mut objective.latency_budget);
    written.first_token = told.first_token.or(written.first_token);
    written.total = told.total.or(written.total);
    objective
}

/// Where a decision sends a call first. Nearly all calls need no more than this of their plan.
pub(super) fn best_of(routed: &Routed) -> Option<Candidate> {
    routed.order().next().map(candidate)
}

/// The plan that a decision is: its order, then the fallbacks.
pub(super) fn plan_of(routed: &Routed) -> Plan {
    // More than a plan holds would only be made to be dropped.
    let mut targets: Vec<Candidate> = routed.order().take(MAX_TARGETS).map(candidate).collect();
    let first = targets.iter().map(|target| target.rank).max().unwrap_or_default() + 1;
    for (rank, target) in (first..).zip(&routed.fallbacks) {
        if !targets.iter().any(|known| known.provider == target.provider && known.model == target.model) {
            let Resolved { provider, model } = target.clone();
            targets.push(Candidate { provider, model, rank });
        }
    }
    Plan::of(targets)
}

fn candidate(contender: &Contender) -> Candidate {
    let Contender { provider, model, rank, .. } = contender;
    Candidate { provider: String::from(&**provider), model: String::from(&**model), rank: *rank }
}

/// Metadata in the headers in which other gateways' callers send it.
fn header_metadata(incoming: &Incoming) -> Vec<(String, String)> {
    let headers = METADATA_HEADERS.iter().filter_map(|name| incoming.header(name)).filter(|json| json.len() <= 4_096);
    headers.filter_map(|json| Raw::parse(json).ok()).flat_map(|raw| metadata(&raw)).collect()
}

impl Call {
    /// What its body says, read now where it was not before.
    fn reading(&mut self) -> Reading {
        self.reading.take().map_or_else(|| Reading::of(&self.incoming.body), |reading| *reading)
    }

    /// The body with what the chosen candidate changes in it; nothing where it changes nothing. `asked` says how the
    /// target is asked for an effort, given the body as the caller sent it.
    ///
    /// # Errors
    /// Where the body is no JSON object.
    pub(super) fn overridden(
        &self,
        provider: &str,
        model: &str,
        asked: &dyn Fn(&[u8], Effort) -> EffortForm,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let Some(routed) = self.routed.as_ref().filter(|_| self.task() == Some(Task::Chat)) else {
            return Ok(None);
        };
        let chosen = routed.order().find(|contender| &*contender.provider == provider && &*contender.model == model);
        let changes = chosen.and_then(|contender| routed.expanded.overrides.get(contender.source));
        let Some(changes) = changes.filter(|changes| !changes.is_empty()) else { return Ok(None) };
        let original = self.original_body.as_deref().unwrap_or(&self.incoming.body);
        // A call of Chat Completions may be in the words of Responses.
        let is_of_responses = self.asked.borrows && openai_chat::is_of_responses(original);
        let words = if is_of_responses { Surface::OpenAiResponses } else { self.surface() };
        let body = changes.apply(original, words, &|effort| asked(original, effort));
        body.map(Some).map_err(|error| Failure::bad_request("model", format!("The body cannot be changed: {error}.")))
    }
}
