//! From what is written of candidates to targets: patterns, bare models and aliases of aliases filled in.

use std::cmp::Ordering;
use std::rc::Rc;

use super::alias::{Alias, Named, Overrides};
use super::check::Check;
use super::condition::Condition;
use super::contender::{Contender, Traits};
use super::plan::Candidate;
use super::resolve::{Resolved, resolve};
use crate::config::Routing;
use crate::failure::Kind;
use crate::keys::Pattern;
use crate::provider::{Registry, SANDBOX};
use crate::sorted::{self, SortedMap};
use crate::units::UnixMillis;

/// Targets of one alias, after all is filled in.
const MOST: usize = 64;
/// Candidates that are looked at for it: wide aliases of wide aliases name the same ones over and over. More than these
/// are a fault of the document.
pub const MOST_SOURCES: usize = 1_024;
/// Aliases that may stand for one another.
const MOST_DEPTH: usize = 5;
/// The difficulties of a candidate that names none.
const ALL: (u8, u8) = (1, 5);

/// What a list of candidates stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expanded {
    /// The targets, in the order in which they are written.
    pub contenders: Vec<Contender>,
    /// What each source changes in the request, by [`Contender::source`].
    pub overrides: Vec<Overrides>,
    /// What the answers of each source must be, by [`Contender::source`].
    pub checks: Vec<Option<Check>>,
    /// What is written and cannot be called here.
    pub not_set_up: Vec<String>,
    /// Targets for which there was no room.
    pub left_out: usize,
    /// Whether it hangs on what the classifier says who is a candidate.
    pub reads_class: bool,
}

/// Fills in candidates.
pub struct Expansion<'e> {
    registry: &'e Registry,
    routing: &'e Routing,
    now: UnixMillis,
    expanded: Expanded,
}

impl<'e> Expansion<'e> {
    /// Of this gateway, at prices that hold at `now`.
    #[must_use]
    pub fn new(registry: &'e Registry, routing: &'e Routing, now: UnixMillis) -> Expansion<'e> {
        Expansion { registry, routing, now, expanded: Expanded::default() }
    }

    /// What these candidates stand for.
    #[must_use]
    pub fn of(mut self, candidates: &[Named]) -> Expanded {
        for named in candidates {
            self.add(named.clone(), 0);
        }
        self.expanded
    }

    /// Contenders for targets that are known already.
    #[must_use]
    pub fn of_targets(mut self, targets: impl IntoIterator<Item = Candidate>) -> Expanded {
        let named = Named { weight: 1, difficulty: (1, 5), ..Named::default() };
        self.expanded.overrides.push(Overrides::default());
        self.expanded.checks.push(None);
        for Candidate { provider, model, rank } in targets {
            self.push(&named, 0, rank, &Resolved { provider, model });
        }
        self.expanded
    }

    fn add(&mut self, named: Named, depth: usize) {
        if self.expanded.overrides.len() >= MOST_SOURCES {
            self.expanded.left_out += 1;
            return;
        }
        if let Some(alias) = self.routing.aliases.get(&named.model) {
            if depth < MOST_DEPTH {
                for inner in &alias.candidates {
                    self.add(within(&named, inner), depth + 1);
                }
            }
            return;
        }
        let source = self.expanded.overrides.len();
        self.expanded.overrides.push(named.overrides.clone());
        self.expanded.checks.push(named.check.clone());
        let before = self.expanded.contenders.len();
        for target in self.targets(&named) {
            self.push(&named, source, 0, &target);
        }
        if self.expanded.contenders.len() == before && !self.has(&named.model) {
            self.expanded.not_set_up.push(named.model);
        }
    }

    fn has(&self, model: &str) -> bool {
        self.expanded.contenders.iter().any(|known| {
            model.strip_prefix(&*known.provider).and_then(|rest| rest.strip_prefix('/')) == Some(&known.model)
        })
    }

    /// The targets that a model string or pattern means, of those that can be called.
    fn targets(&mut self, named: &Named) -> Vec<Resolved> {
        if named.model.contains('*') {
            return self.matching(&named.model, named.latest);
        }
        match resolve(self.registry, &named.model) {
            Ok(target) => {
                let upstream = self.registry.upstream(&target.provider);
                upstream.filter(|upstream| upstream.is_usable()).map(|_| target).into_iter().collect()
            }
            // Several have it, and an alias is just the place to say that any of them will do.
            Err(failure) if failure.kind == Kind::AmbiguousModel => {
                let hosts = self.registry.usable().filter(|upstream| upstream.id != SANDBOX);
                let hosts = hosts.filter(|upstream| self.registry.lists(upstream, &named.model));
                hosts.map(|upstream| Resolved { provider: upstream.id.clone(), model: named.model.clone() }).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    fn matching(&mut self, pattern: &str, latest: bool) -> Vec<Resolved> {
        let (providers, models) = match pattern.split_once('/') {
            Some((providers, models)) => (Pattern::new(providers), Pattern::new(models)),
            None => (Pattern::new("*"), Pattern::new(pattern)),
        };
        let mut found = Vec::new();
        for upstream in self.registry.usable().filter(|upstream| providers.matches(&upstream.id)) {
            let mut models: Vec<&str> =
                self.registry.model_ids(upstream).into_iter().filter(|id| models.matches(id)).collect();
            models.retain(|id| self.registry.retires(upstream, id).is_none_or(|day| day > self.now));
            sorted::sort_by(&mut models, |one, other| newer_first(one, other));
            if latest {
                models.truncate(1);
            }
            self.expanded.left_out += models.len().saturating_sub(MOST);
            models.truncate(MOST);
            let resolved = |model: &str| Resolved { provider: upstream.id.clone(), model: model.to_owned() };
            found.extend(models.into_iter().map(resolved));
        }
        found
    }

    fn push(&mut self, named: &Named, source: usize, rank: usize, target: &Resolved) {
        let (provider, model) = (target.provider.as_str(), target.model.as_str());
        let known =
            |known: &Contender| &*known.provider == provider && &*known.model == model && known.when == named.when;
        if self.expanded.contenders.iter().any(known) {
            return;
        }
        if self.expanded.contenders.len() >= MOST {
            self.expanded.left_out += 1;
            return;
        }
        self.expanded.reads_class |= named.when.reads_class();
        let facts = self.registry.facts(provider, model);
        let retires = self.registry.upstream(provider).and_then(|upstream| self.registry.retires(&upstream, model));
        self.expanded.contenders.push(Contender {
            provider: Rc::from(provider),
            model: Rc::from(model),
            target: Rc::from(format!("{provider}/{model}")),
            source,
            rank,
            weight: named.weight,
            context: facts.context,
            capabilities: facts.capabilities,
            retires,
            price: self.registry.price(provider, model, self.now),
            traits: Rc::new(traits(self.routing, provider, model)),
            difficulty: named.difficulty,
            kinds: named.kinds.clone(),
            when: named.when.clone(),
        });
    }
}

/// A candidate of an alias that is a candidate itself: it is for no other calls than that, its weight is its share of
/// that one's, and what it does not say is as that one says.
fn within(outer: &Named, inner: &Named) -> Named {
    let when = match (&outer.when, &inner.when) {
        (Condition::Always, own) => own.clone(),
        (outer, Condition::Always) => outer.clone(),
        (outer, own) => Condition::All(vec![outer.clone(), own.clone()]),
    };
    let changes = if inner.overrides.is_empty() { &outer.overrides } else { &inner.overrides };
    Named {
        when,
        weight: inner.weight.saturating_mul(outer.weight),
        difficulty: if inner.difficulty == ALL { outer.difficulty } else { inner.difficulty },
        kinds: if inner.kinds.is_empty() { outer.kinds.clone() } else { inner.kinds.clone() },
        overrides: changes.clone(),
        check: inner.check.clone().or_else(|| outer.check.clone()),
        ..inner.clone()
    }
}

/// What all patterns that match say of a target, the most precise last.
fn traits(routing: &Routing, provider: &str, model: &str) -> Traits {
    let mut all = Traits::default();
    for (_, said) in routing.targets.iter().filter(|(pattern, _)| pattern.allows(provider, model)) {
        if !said.jurisdictions.is_empty() {
            all.jurisdictions.clone_from(&said.jurisdictions);
        }
        if !said.regions.is_empty() {
            all.regions.clone_from(&said.regions);
        }
        all.zero_retention |= said.zero_retention;
        all.no_training |= said.no_training;
        all.quantization = said.quantization.clone().or(all.quantization);
    }
    all
}

/// The alias that a model string names, exactly or by the longest pattern.
#[must_use]
pub fn find_alias<'r>(aliases: &'r SortedMap<String, Alias>, model: &str) -> Option<(&'r str, &'r Alias)> {
    if let Some((name, alias)) = aliases.get_key_value(model) {
        return Some((name, alias));
    }
    let patterns = aliases.iter().filter(|(name, _)| name.contains('*') && Pattern::new(name).matches(model));
    patterns.max_by_key(|(name, _)| name.len()).map(|(name, alias)| (name.as_str(), alias))
}

/// Orders model ids of one family by their numbers, the highest first; of two that differ in nothing else the shorter,
/// which is the one that moves.
fn newer_first(one: &str, other: &str) -> Ordering {
    fn numbers(id: &str) -> Vec<u64> {
        id.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    }
    let (mut left, mut right) = (numbers(one), numbers(other));
    // A date says when, not which: 4-5-20250929 is not newer than 4-6.
    let undated = |numbers: &mut Vec<u64>| numbers.retain(|number| *number < 10_000);
    undated(&mut left);
    undated(&mut right);
    right.cmp(&left).then(one.len().cmp(&other.len())).then(one.cmp(other))
}

#[cfg(test)]
mod tests;
