//! From a call to targets in an order: rules, experiments, aliases and the strategy put together.
//!
//! A [`Router`] is what one isolate remembers between calls: what names stand for at the prices of the minute, where
//! prompts are cached, where calls went lately, how experiments go. Nothing of it must be right for a call to be
//! served, and the order is a pure function of it, the call and the seed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::alias::{Alias, Named, Policy, Strategy};
use super::chance::mix;
use super::check::Escalation;
use super::classify::{Class, Hints, classify};
use super::condition::Condition;
use super::contender::{Contender, Figures};
use super::decide::{BudgetState, Decision, Preferred, Ranked, Situation, Warm, decide};
use super::demands::{Demands, Exclusion, Rule};
use super::expand::{Expanded, Expansion, find_alias};
use super::experiment::{CONTROL, Experiment, Tally, Variant};
use super::facts::CallFacts;
use super::meaning::Meaning;
use super::objective::Objective;
use super::plan::Candidate;
use super::resolve::{Resolved, resolve};
use super::shown::Excluded;
use crate::config::{OwnDeadlines, OwnFailover, Routing};
use crate::failure::{Failure, Kind};
use crate::keys::Grant;
use crate::provider::Registry;
use crate::sorted;
use crate::units::{Millis, UnixMillis};

/// How long a provider keeps a prompt's beginning that nobody asked to be kept longer: what most promise after the last
/// use.
const CACHE_LIVES: Millis = Millis(300_000);
/// Prompts shorter than this are cached by nobody.
const LEAST_CACHED: u64 = 1_024;
/// Names, caches and tallies that are remembered; each is some hundred bytes.
const MOST_KEPT: usize = 4_096;
/// Tokens that an answer is expected to have while none was seen.
const USUAL_OUTPUT: f64 = 300.0;

/// What one isolate remembers between calls.
#[derive(Clone, Debug, Default)]
pub struct Router {
    expanded: HashMap<String, Kept>,
    went_to: HashMap<String, Rc<str>>,
    caches: HashMap<u64, Cache>,
    outputs: HashMap<String, f64>,
    tallies: HashMap<(String, String), Tally>,
}

#[derive(Clone, Debug)]
struct Kept {
    minute: i64,
    expanded: Rc<Expanded>,
}

#[derive(Clone, Debug)]
struct Cache {
    target: Rc<str>,
    tokens: u64,
    until: UnixMillis,
}

/// Whose candidates are meant, of those that an alias has.
#[derive(Clone, Copy)]
enum Part<'r> {
    /// Its own.
    Own,
    /// Those of its overlay of this number.
    Overlay(usize),
    /// Those of a variant of an experiment.
    Variant(&'r str),
    /// Its fallbacks, and before them its own where something is tried out.
    Fallbacks { tried_out: bool },
}

/// A call that wants a target.
pub struct Request<'r> {
    /// What can be called here.
    pub registry: &'r Registry,
    /// What the operator wrote.
    pub routing: &'r Routing,
    /// What is known of the call.
    pub facts: CallFacts<'r>,
    /// What it says of how its target is chosen.
    pub objective: &'r Objective,
    /// What the classifier reads, if it is asked.
    pub words: &'r str,
    /// What the call says of its difficulty beside its words.
    pub hints: Hints,
    /// A hash of its prompt's beginning, where that can be cached.
    pub prefix: Option<u64>,
    /// How long it wants that cached, where it says so.
    pub cache_lives: Option<Millis>,
    /// The service tier that it asks for.
    pub service_tier: Option<&'r str>,
    /// The targets that it names, where it names no alias first.
    pub named: &'r dyn Fn(&str) -> Result<Vec<Candidate>, Failure>,
    /// Models that it names after the first.
    pub further: &'r [String],
    /// It wants nobody but those that it names.
    pub is_closed: bool,
    /// What was lately seen of a target, with the number of calls under way to it where that is to be counted.
    pub figures: &'r dyn Fn(&str, bool) -> Figures,
    /// Whether its key may use a model of a provider.
    pub permitted: &'r dyn Fn(&str, &str) -> bool,
    /// What is left of its tightest budget, under the name that counts.
    pub budget: &'r dyn Fn(&str) -> Option<BudgetState>,
    /// Decides what is left to chance.
    pub seed: u64,
    /// Whether somebody wants to know what scores are made of.
    pub explains: bool,
    /// Of a shadow: the experiment and the variant that it is of.
    pub shadow: Option<(&'r str, &'r str)>,
    /// Of a call of which only the record is left: the conditions that hang on what that does not tell.
    pub unrecorded: Option<Vec<String>>,
    /// The time.
    pub now: UnixMillis,
}

/// Where a call goes, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// The alias that it named, or a rule named for it.
    pub alias: Option<String>,
    /// The experiment that it takes part in, and as what.
    pub variant: Option<(String, String)>,
    /// The experiment and the variant of the shadow that goes beside it, until that is begun.
    pub shadow: Option<(String, String)>,
    /// The rules that hold for it.
    pub rules: Vec<String>,
    /// What the order goes by.
    pub strategy: Strategy,
    /// What the classifier makes of it, where it was asked.
    pub class: Option<Class>,
    /// What it means, where that was asked.
    pub meaning: Option<Meaning>,
    /// What it was decided with.
    pub seed: u64,
    /// What was known of the contenders.
    pub figures: Vec<Figures>,
    /// Who was considered.
    pub expanded: Rc<Expanded>,
    /// Who is tried in which order.
    pub decision: Decision,
    /// For those of the excluded that a rule took out, which.
    pub excluded_by: Vec<(usize, String)>,
    /// Targets to try after all of them, of those that may be tried.
    pub fallbacks: Vec<Resolved>,
    /// Deadlines that differ from the gateway's.
    pub deadlines: OwnDeadlines,
    /// What follows a failure, where that differs from the gateway's.
    pub failover: OwnFailover,
    /// How far it goes on for the sake of a better answer.
    pub escalation: Escalation,
    /// What its targets must be, by the rules and by what it says itself.
    pub demands: Demands,
    /// Where its prompt's cache is remembered.
    pub(super) cache_key: Option<u64>,
    /// How long that cache lives after its last use.
    pub(super) cache_lives: Millis,
    /// The name that counts: without the word behind it that asks for a strategy, or as a rule names it.
    pub name: String,
}

impl Routed {
    /// The contenders that may be tried, best first.
    pub fn order(&self) -> impl Iterator<Item = &Contender> {
        self.decision.order.iter().filter_map(|ranked| self.expanded.contenders.get(ranked.contender))
    }

    /// Of each model, puts the providers that the call names first at the front, in the call's order.
    pub fn prefer(&mut self, wished: &[String]) {
        if wished.is_empty() {
            return;
        }
        let contenders = &self.expanded.contenders;
        sorted::sort_by_key(&mut self.decision.order, |ranked| (ranked.standing(), place(wished, ranked, contenders)));
    }

    /// Of each model, leaves the providers that the call names first, or the best where it names none that has it.
    pub fn close(&mut self, wished: &[String]) {
        let contenders = &self.expanded.contenders;
        let mut served: Vec<usize> = Vec::new();
        self.decision.order.retain(|ranked| {
            let is_first = !served.contains(&ranked.rank);
            served.push(ranked.rank);
            is_first || place(wished, ranked, contenders) < wished.len()
        });
    }
}

/// Where among the providers that a call names that of a contender stands; behind them where it is none.
fn place(wished: &[String], ranked: &Ranked, contenders: &[Contender]) -> usize {
    let provider = contenders.get(ranked.contender).map(|contender| &*contender.provider);
    wished.iter().position(|name| Some(name.as_str()) == provider).unwrap_or(wished.len())
}

/// Whether one of the models that a call names after the first is an alias.
#[must_use]
pub fn names_alias(routing: &Routing, further: &[String]) -> bool {
    further.iter().any(|model| routing.aliases.contains_key(model))
}

/// Whether a call of this model string is routed at all, or its model says all there is to say.
#[must_use]
pub fn concerns(routing: &Routing, model: &str, has_objective: bool) -> bool {
    has_objective
        || !routing.rules.is_empty()
        || find_alias(&routing.aliases, model).is_some()
        || model.rsplit_once(':').is_some_and(|(name, word)| {
            Strategy::of_suffix(word).is_some() || find_alias(&routing.aliases, name).is_some()
        })
}

/// The rules that hold for a call, and what they and the call itself demand of its targets.
#[must_use]
pub fn demanded<'r>(request: &mut Request<'r>) -> (Vec<&'r Rule>, Demands) {
    let all = request.routing.rules.iter();
    let rules: Vec<&Rule> = all.filter(|rule| holds(&rule.when, ("rules", &rule.name), request)).collect();
    let mut demands = request.objective.demands.clone();
    rules.iter().for_each(|rule| demands.join(&rule.demands));
    (rules, demands)
}

impl Router {
    /// Forgets what names stand for, because the configuration changed, and how those experiments go that it changed.
    pub fn reset(&mut self, before: &Routing, after: &Routing) {
        self.expanded.clear();
        self.went_to.clear();
        let part = |routing: &Routing, id: &str| {
            let experiment = routing.experiments.get(id).cloned();
            let alias = experiment.as_ref().and_then(|experiment| routing.aliases.get(&experiment.alias)).cloned();
            (experiment, alias)
        };
        self.tallies.retain(|(id, _), _| part(before, id) == part(after, id));
    }

    /// Decides where a call goes.
    ///
    /// # Errors
    /// `NotFound` for a name that stands for nothing here; `Forbidden` where the key may use none of its targets;
    /// `ContextLength`, `Unsupported` or `NoTarget` where what the call needs, or a rule demands, leaves none.
    pub fn route<'r>(&mut self, request: &mut Request<'r>) -> Result<Routed, Failure> {
        let routing = request.routing;
        let (rules, demands) = demanded(request);
        let asked = request.facts.model;
        let (name, wanted) = Router::name(routing, &rules, asked);
        let found = find_alias(&routing.aliases, name).filter(|_| !is_exact(request, name));
        let (experiment, variant) = match found {
            Some(_) if request.shadow.is_some() => shadowed(request),
            Some((alias, _)) => self.variant(alias, request),
            None => (None, None),
        };
        let shadow = experiment.and_then(|id| shadow_of(id, request));
        let (policy, candidates) = Router::candidates(found, variant, wanted, request);
        let expanded = match candidates {
            Some((part, named)) => self.expand((name, part), || Cow::Borrowed(named), request),
            None => {
                let targets = (request.named)(name)?;
                Rc::new(Expansion::new(request.registry, routing, request.now).of_targets(targets))
            }
        };
        if expanded.reads_class {
            see_class(request);
        }
        let policy = with_wishes(policy, &rules, request.objective);
        match &mut request.unrecorded {
            _ if policy.strategy != Strategy::Prompt => {}
            Some(unrecorded) if request.facts.class.is_none() => {
                unrecorded.push(format!("strategy.{}: kind and difficulty", Strategy::Prompt.name()));
            }
            _ => see_class(request),
        }
        let counts = policy.strategy == Strategy::LeastBusy || request.explains;
        let figures_of = |contender: &Contender| (request.figures)(&contender.target, counts);
        let figures: Vec<Figures> = expanded.contenders.iter().map(figures_of).collect();
        // Two keys may call their sessions the same.
        let key = request.facts.key;
        let cache_key = request.facts.session.as_deref().map(|session| mix(0, key, session)).or(request.prefix);
        let decision = self.decide(request, name, &policy, &demands, &expanded, &figures, cache_key);
        let excluded_by = excluded_by(&rules, request, &expanded, &decision);
        if decision.order.is_empty() {
            let mut failure = nowhere(asked, &expanded, &decision);
            let excluded = Excluded { decision: &decision, by: &excluded_by, expanded: &expanded };
            failure.detail = if request.explains { excluded.detail() } else { None };
            return Err(failure);
        }
        let tried_out = variant.is_some_and(|variant| !variant.candidates.is_empty());
        // Whoever a rule puts under an alias does not get out of it by naming more. Without an alias among them, those
        // that the call names are contenders already.
        let leads_on = match found {
            Some(_) => rules.iter().all(|rule| rule.alias.is_none()),
            None => names_alias(routing, request.further),
        };
        let further = if leads_on { request.further } else { &[] };
        let fallbacks = self.fallbacks(request, found.map(|(_, alias)| (name, alias)), tried_out, further, &demands)?;
        Ok(Routed {
            alias: found.map(|(alias, _)| alias.to_owned()),
            shadow,
            variant: experiment.map(|id| {
                let name = variant.map_or(CONTROL, |variant| variant.name.as_str());
                (id.to_owned(), name.to_owned())
            }),
            rules: rules.iter().map(|rule| rule.name.clone()).collect(),
            strategy: policy.strategy,
            class: request.facts.class,
            meaning: request.facts.meaning.take(),
            seed: request.seed,
            figures,
            expanded,
            decision,
            excluded_by,
            fallbacks,
            deadlines: found.map_or_else(OwnDeadlines::default, |(_, alias)| alias.deadlines),
            failover: found.map_or_else(OwnFailover::default, |(_, alias)| alias.failover),
            escalation: policy.escalation,
            demands,
            cache_key,
            cache_lives: request.cache_lives.unwrap_or(CACHE_LIVES),
            name: name.to_owned(),
        })
    }

    /// Remembers what a served call used: how long answers are, and where its prompt now is cached.
    pub fn served(&mut self, routed: &Routed, target: &str, input_tokens: u64, output_tokens: u64, now: UnixMillis) {
        make_room(&mut self.outputs);
        let seen = self.outputs.entry(routed.name.clone()).or_insert(USUAL_OUTPUT);
        *seen += (output_tokens as f64 - *seen) * 0.1;
        let contender = routed.order().find(|contender| &*contender.target == target);
        if let (Some(key), Some(contender)) = (routed.cache_key, contender)
            && input_tokens >= LEAST_CACHED
        {
            if self.caches.len() >= MOST_KEPT {
                self.caches.retain(|_, cache| cache.until > now);
            }
            make_room(&mut self.caches);
            let until = now.plus(routed.cache_lives);
            self.caches.insert(key, Cache { target: contender.target.clone(), tokens: input_tokens, until });
        }
    }

    /// Counts how a call of an experiment ended.
    pub fn count(&mut self, experiment: &str, variant: &str, failed: bool, first_token_ms: Option<u64>) {
        make_room(&mut self.tallies);
        let key = (experiment.to_owned(), variant.to_owned());
        self.tallies.entry(key).or_default().count(failed, first_token_ms);
    }

    /// Why a variant is stopped, if it is.
    #[must_use]
    pub fn stopped(&self, id: &str, experiment: &Experiment, variant: &str) -> Option<&'static str> {
        let tally = |name: &str| self.tallies.get(&(id.to_owned(), name.to_owned())).copied().unwrap_or_default();
        experiment.stop.verdict(&tally(variant), &tally(CONTROL))
    }

    /// The name that counts, and the strategy that a word after it asks for.
    fn name<'n>(routing: &Routing, rules: &[&'n Rule], asked: &'n str) -> (&'n str, Option<Strategy>) {
        if let Some(alias) = rules.iter().find_map(|rule| rule.alias.as_deref()) {
            return (alias, None);
        }
        if routing.aliases.contains_key(asked) {
            return (asked, None);
        }
        let Some((name, word)) = asked.rsplit_once(':') else { return (asked, None) };
        let variant = find_alias(&routing.aliases, name).and_then(|(_, alias)| alias.variants.get(word).copied());
        match variant.or_else(|| Strategy::of_suffix(word)) {
            Some(strategy) => (name, Some(strategy)),
            None => (asked, None),
        }
    }

    /// The experiment on an alias that the call takes part in, and its variant where that is not the control.
    fn variant<'r>(&self, alias: &str, request: &mut Request<'r>) -> (Option<&'r str>, Option<&'r Variant>) {
        let experiments = &request.routing.experiments;
        let Some((id, experiment)) = experiments.iter().find(|(_, experiment)| experiment.alias == alias) else {
            return (None, None);
        };
        if experiment.variants.is_empty() || !holds(&experiment.when, ("experiments", id), request) {
            return (None, None);
        }
        let drawn = experiment.variant(id, &request.facts, request.seed);
        (Some(id), drawn.filter(|variant| self.stopped(id, experiment, &variant.name).is_none()))
    }

    /// Policy and candidates of a call: of the variant, else of the overlay, else of the alias. None without an alias.
    fn candidates<'r>(
        alias: Option<(&'r str, &'r Alias)>,
        variant: Option<&'r Variant>,
        wanted: Option<Strategy>,
        request: &mut Request<'r>,
    ) -> (Policy, Option<(Part<'r>, &'r [Named])>) {
        let Some((name, alias)) = alias else {
            let strategy = wanted.unwrap_or_default();
            return (Policy { strategy, ..Policy::default() }, None);
        };
        let mut policy = alias.policy.clone();
        let mut chosen = (Part::Own, alias.candidates.as_slice());
        let mut overlays = alias.overlays.iter().enumerate();
        if let Some((at, overlay)) = overlays.find(|(_, overlay)| holds(&overlay.when, ("overlays", name), request)) {
            policy.strategy = overlay.strategy.unwrap_or(policy.strategy);
            if !overlay.candidates.is_empty() {
                chosen = (Part::Overlay(at), &overlay.candidates);
            }
        }
        if let Some(variant) = variant.filter(|variant| !variant.candidates.is_empty()) {
            chosen = (Part::Variant(&variant.name), &variant.candidates);
        }
        policy.strategy = wanted.unwrap_or(policy.strategy);
        for named in chosen.1 {
            note_unrecorded(&named.when, ("candidates", &named.model), &request.facts, &mut request.unrecorded);
        }
        (policy, Some(chosen))
    }

    /// What the candidates of a part of an alias stand for, looked up once a minute: prices change by the minute, and no
    /// sooner.
    fn expand<'n>(
        &mut self,
        (name, part): (&str, Part<'_>),
        candidates: impl FnOnce() -> Cow<'n, [Named]>,
        request: &Request<'_>,
    ) -> Rc<Expanded> {
        let minute = request.now.0.div_euclid(60_000);
        let key = match part {
            Part::Own => Cow::Borrowed(name),
            Part::Overlay(at) => Cow::Owned(format!("{name}\noverlay {at}")),
            Part::Variant(variant) => Cow::Owned(format!("{name}\nvariant {variant}")),
            Part::Fallbacks { tried_out } => Cow::Owned(format!("{name}\nfallbacks {tried_out}")),
        };
        if let Some(kept) = self.expanded.get(&*key).filter(|kept| kept.minute == minute) {
            return kept.expanded.clone();
        }
        let expansion = Expansion::new(request.registry, request.routing, request.now);
        let expanded = Rc::new(expansion.of(&candidates()));
        make_room(&mut self.expanded);
        self.expanded.insert(key.into_owned(), Kept { minute, expanded: expanded.clone() });
        expanded
    }

    /// The targets of the models that the call names further, and then of an alias's fallbacks: they must be what its
    /// candidates must be. For who is served with what is only tried out, the alias's own candidates come before them.
    fn fallbacks(
        &mut self,
        request: &Request<'_>,
        found: Option<(&str, &Alias)>,
        tried_out: bool,
        further: &[String],
        demands: &Demands,
    ) -> Result<Vec<Resolved>, Failure> {
        let found = found.filter(|(_, alias)| !request.is_closed && (!alias.fallbacks.is_empty() || tried_out));
        if found.is_none() && further.is_empty() {
            return Ok(Vec::new());
        }
        for model in further.iter().filter(|model| !request.routing.aliases.contains_key(*model)) {
            match resolve(request.registry, model) {
                Err(failure) if failure.kind != Kind::AmbiguousModel => return Err(failure),
                _ => {}
            }
        }
        let named = |model: &String| Named { model: model.clone(), weight: 1, difficulty: (1, 5), ..Named::default() };
        let all = || {
            let aliases = || found.iter().map(|(_, alias)| *alias);
            let own = aliases().filter(|_| tried_out).flat_map(|alias| alias.candidates.iter().cloned());
            let fallbacks = aliases().flat_map(|alias| &alias.fallbacks);
            own.chain(further.iter().chain(fallbacks).map(named)).collect::<Vec<Named>>()
        };
        let expanded = match found.filter(|_| further.is_empty()) {
            Some((name, _)) => self.expand((name, Part::Fallbacks { tried_out }), || Cow::Owned(all()), request),
            // What a call names by itself is not remembered.
            None => Rc::new(Expansion::new(request.registry, request.routing, request.now).of(&all())),
        };
        let may = |contender: &&Contender| {
            let (needs, tokens) = (request.facts.needs, request.facts.prompt.tokens);
            contender.is_meant_for(&request.facts)
                && (request.permitted)(&contender.provider, &contender.model)
                && demands.refuse(contender, needs, tokens, request.now).is_none()
        };
        let target = |contender: &Contender| Resolved {
            provider: contender.provider.to_string(),
            model: contender.model.to_string(),
        };
        Ok(expanded.contenders.iter().filter(may).map(target).collect())
    }

    #[allow(clippy::too_many_arguments, reason = "what a decision is made of, each once")]
    fn decide(
        &mut self,
        request: &Request<'_>,
        name: &str,
        policy: &Policy,
        demands: &Demands,
        expanded: &Expanded,
        figures: &[Figures],
        cache_key: Option<u64>,
    ) -> Decision {
        let place = |target: &str| expanded.contenders.iter().position(|contender| &*contender.target == target);
        let cache = cache_key.and_then(|key| self.caches.get(&key)).filter(|cache| cache.until > request.now);
        let warm = cache.and_then(|cache| Some(Warm { contender: place(&cache.target)?, tokens: cache.tokens }));
        let usual = self.outputs.get(name).copied().unwrap_or(USUAL_OUTPUT);
        let situation = Situation {
            input_tokens: request.facts.prompt.tokens,
            plain: request.facts.plain,
            output_tokens: request.facts.output_tokens.map_or(usual as u64, |most| most.min(usual as u64)).max(1),
            needs: request.facts.needs,
            demands,
            policy,
            session: request.facts.session.as_deref().map(super::chance::hash),
            class: request.facts.class,
            budget: (request.budget)(name),
            incumbent: self.went_to.get(name).and_then(|target| place(target)),
            warm,
            preferred: request.objective.preferred,
            service_tier: request.service_tier,
            seed: request.seed,
            explains: request.explains,
            now: request.now,
        };
        let permitted = |contender: &Contender| {
            if !contender.is_meant_for(&request.facts) {
                return Some(Exclusion::NotMeant);
            }
            let may = (request.permitted)(&contender.provider, &contender.model);
            (!may).then_some(Exclusion::KeyPolicy)
        };
        let decision = decide(&situation, &expanded.contenders, figures, &permitted);
        let went = decision.order.first().and_then(|ranked| expanded.contenders.get(ranked.contender));
        if let Some(contender) = went.filter(|_| !decision.explored && warm.is_none() && request.shadow.is_none())
            && self.went_to.get(name).is_none_or(|known| *known != contender.target)
        {
            make_room(&mut self.went_to);
            self.went_to.insert(name.to_owned(), contender.target.clone());
        }
        decision
    }
}

/// The first rule that by itself takes out each of the excluded. What the call asks for is no rule.
fn excluded_by(
    rules: &[&Rule],
    request: &Request<'_>,
    expanded: &Expanded,
    decision: &Decision,
) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (at, reason) in &decision.excluded {
        let Some(contender) = expanded.contenders.get(*at) else { continue };
        let (needs, tokens) = (request.facts.needs, request.facts.prompt.tokens);
        let refuses =
            |rule: &&&Rule| rule.demands.refuse(contender, needs, tokens, request.now).as_ref() == Some(reason);
        named.extend(rules.iter().find(refuses).map(|rule| (*at, rule.name.clone())));
    }
    let inherent = |reason: &Exclusion| matches!(reason, Exclusion::Capability(_) | Exclusion::Context { .. });
    named.retain(|(at, _)| !decision.excluded.iter().any(|(other, reason)| other == at && inherent(reason)));
    named
}

/// The variant that a shadow is of.
fn shadowed<'r>(request: &Request<'r>) -> (Option<&'r str>, Option<&'r Variant>) {
    let Some((id, name)) = request.shadow else { return (None, None) };
    let experiment = request.routing.experiments.get(id);
    let variant = experiment.and_then(|experiment| experiment.variants.iter().find(|variant| variant.name == name));
    (Some(id), variant)
}

/// The shadow variant of an experiment that goes beside a call of it.
fn shadow_of(id: &str, request: &Request<'_>) -> Option<(String, String)> {
    let experiment = request.routing.experiments.get(id).filter(|_| request.shadow.is_none())?;
    let variant = experiment.shadow(id, &request.facts, request.seed)?;
    Some((id.to_owned(), variant.name.clone()))
}

/// Whether a condition holds; `whose` it is says where it stands.
fn holds(condition: &Condition, whose: (&str, &str), request: &mut Request<'_>) -> bool {
    if request.unrecorded.is_some() {
        note_unrecorded(condition, whose, &request.facts, &mut request.unrecorded);
    } else if condition.reads_class() {
        see_class(request);
    }
    condition.holds(&request.facts)
}

/// Notes what a condition asks for that the record of a past call does not tell, where the answer hangs on that.
fn note_unrecorded(
    condition: &Condition,
    (section, name): (&str, &str),
    facts: &CallFacts<'_>,
    unrecorded: &mut Option<Vec<String>>,
) {
    if let Some(unrecorded) = unrecorded.as_mut().filter(|_| condition.holds_by_record(facts).is_none()) {
        condition.note_unrecorded(facts, &mut |what| {
            let named = format!("{section}.{name}: {what}");
            if !unrecorded.contains(&named) {
                unrecorded.push(named);
            }
        });
    }
}

/// Asks the classifier, once.
fn see_class(request: &mut Request<'_>) {
    if request.facts.class.is_none() {
        request.facts.class = Some(classify(request.words, request.hints));
    }
}

/// A wildcard does not take the place of a target that is named in full.
fn is_exact(request: &Request<'_>, name: &str) -> bool {
    let named = name.split_once('/').and_then(|(provider, _)| request.registry.upstream(provider));
    named.is_some() && !request.routing.aliases.contains_key(name)
}

/// The policy with what rules and the call itself want in its place: the call's word before the rules'.
fn with_wishes(mut policy: Policy, rules: &[&Rule], objective: &Objective) -> Policy {
    let ruled = rules.iter().find_map(|rule| rule.strategy);
    policy.strategy = objective.sort.or(ruled).unwrap_or(policy.strategy);
    let budgets = rules.iter().map(|rule| rule.latency_budget).chain([objective.latency_budget]);
    policy.latency_budget = budgets.fold(policy.latency_budget, |all, one| all.least(one));
    if objective.preferred != Preferred::default() || objective.sort.is_some() {
        // The caller decides; trying others out is for calls that leave it to the gateway.
        policy.explore = 0.0;
    }
    policy
}

fn make_room<K: std::hash::Hash + Eq, V>(kept: &mut HashMap<K, V>) {
    if kept.len() >= MOST_KEPT {
        kept.clear();
    }
}

/// Why nobody is left, by what took out most.
fn nowhere(model: &str, expanded: &Expanded, decision: &Decision) -> Failure {
    let reasons = decision.excluded.iter().map(|(_, exclusion)| exclusion);
    if expanded.contenders.is_empty() {
        let missing = expanded.not_set_up.join("`, `");
        let message = format!("`{model}` stands for `{missing}`, of which nothing can be called on this gateway.");
        return Failure::new(Kind::NotFound, message).code("model_not_found").about("model");
    }
    let all = |wanted: &dyn Fn(&Exclusion) -> bool| reasons.clone().all(wanted);
    if all(&|exclusion| matches!(exclusion, Exclusion::KeyPolicy | Exclusion::NotMeant)) {
        return Grant::model_refusal(model);
    }
    let too_long = reasons.clone().find_map(|exclusion| match exclusion {
        Exclusion::Context { tokens, limit } => Some((*tokens, *limit)),
        _ => None,
    });
    if let Some((tokens, limit)) = too_long {
        let message =
            format!("The prompt has about {tokens} tokens; `{model}` leads to no target that takes them ({limit}).");
        return Failure::new(Kind::ContextLength, message).about("messages");
    }
    if let Some(Exclusion::Capability(ability)) =
        reasons.clone().find(|exclusion| matches!(exclusion, Exclusion::Capability(_)))
    {
        let message = format!("`{model}` leads to no target that is able to do this: {ability}.");
        return Failure::unsupported("model", message);
    }
    let mut names: Vec<&str> = reasons.map(Exclusion::name).collect();
    sorted::sort(&mut names);
    names.dedup();
    let message = format!(
        "No target of `{model}` meets what this call and the rules demand ({}); loosen a demand or add a candidate.",
        names.join(", ")
    );
    Failure::new(Kind::NoTarget, message).code("no_target")
}

#[cfg(test)]
mod tests;
