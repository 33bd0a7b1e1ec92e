//! Where a call may go, in which order: from what it and the operator name to targets.

use super::resolve::{Resolved, resolve};
use super::retry::Left;
use crate::failure::{Failure, Kind};
use crate::provider::{Registry, SANDBOX, Upstream};
use crate::sorted;
use crate::units::UnixMillis;

/// Most targets of one plan: nobody waits for more, and callers choose how many they name.
pub const MAX_TARGETS: usize = 32;

/// What a call says of where it may go: OpenRouter's `models` and `provider`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Models to try after the first, in this order.
    pub models: Vec<String>,
    /// Providers to try first, in this order.
    pub order: Vec<String>,
    /// The only providers to try; empty for all.
    pub only: Vec<String>,
    /// Providers not to try.
    pub ignore: Vec<String>,
    /// Whether other providers than the preferred one may serve a model. Unset, they may where the call names a bare
    /// model or several providers, and not where it names one `provider/model`.
    pub allow_fallbacks: Option<bool>,
}

/// One place to send a call to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's id.
    pub provider: String,
    /// The model's id as the provider spells it.
    pub model: String,
    /// Which of the models asked for it serves, from 0.
    pub rank: usize,
}

/// What is known of a target's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be asked.
    Good,
    /// It may be asked, and is about to refuse: its rate limit is nearly used up.
    NearlyExhausted,
    /// It must not be asked before this moment, unless nothing else is left.
    Blocked {
        /// When it may be tried again.
        until: UnixMillis,
    },
    /// The operator switched it off.
    Off,
}

/// The targets that a call has not tried yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    waiting: Vec<Candidate>,
}

impl Plan {
    /// All targets of a call for `model`: each of the models in turn, at each provider that may serve it.
    ///
    /// `fallbacks` are the operator's for this model; those that cannot be served here are left out.
    ///
    /// # Errors
    /// As [`resolve`], for a model that the call names; `NotFound` where its preferences leave no provider.
    pub fn new(
        registry: &Registry,
        model: &str,
        preferences: &Preferences,
        fallbacks: &[String],
    ) -> Result<Plan, Failure> {
        let mut waiting = Vec::new();
        let named = std::iter::once(model).chain(preferences.models.iter().map(String::as_str));
        let mut rank = 0;
        for name in named {
            add(registry, name, preferences, rank, &mut waiting)?;
            rank += 1;
        }
        let wanted = preferences.allow_fallbacks != Some(false);
        for name in fallbacks.iter().filter(|_| wanted) {
            // A provider without a credential today is no reason to fail the call.
            let _ = add(registry, name, preferences, rank, &mut waiting);
            rank += 1;
        }
        if waiting.is_empty() {
            let message = format!("Your `provider` preferences leave no provider of `{model}`.");
            return Err(Failure::new(Kind::NotFound, message).code("model_not_found").about("provider"));
        }
        waiting.truncate(MAX_TARGETS);
        Ok(Plan { waiting })
    }

    /// A plan of these targets, in this order within each rank.
    #[must_use]
    pub fn of(mut targets: Vec<Candidate>) -> Plan {
        targets.truncate(MAX_TARGETS);
        Plan { waiting: targets }
    }

    /// The targets, in their order.
    pub fn into_targets(self) -> impl Iterator<Item = Candidate> {
        self.waiting.into_iter()
    }

    /// Leaves only what `keep` allows.
    pub fn retain(&mut self, keep: impl FnMut(&Candidate) -> bool) {
        self.waiting.retain(keep);
    }

    /// Whether no target is left, blocked ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the next target that may be asked: of the first model that has one, the first whose rate limit is not
    /// nearly used up. With all of them blocked, that is the one which opens first: two providers that fail now and then
    /// would else, once both are blocked, be no provider at all.
    pub fn pick(&mut self, standing: impl Fn(&Candidate) -> Standing) -> Option<Candidate> {
        let next = self.next(&standing)?;
        Some(self.waiting.remove(next))
    }

    /// What is left to try after a target that served the model of `rank`.
    pub fn left(&self, rank: usize, standing: impl Fn(&Candidate) -> Standing) -> Left {
        let next = self.next(&standing).and_then(|at| self.waiting.get(at)).map(|candidate| candidate.rank);
        Left { credential: false, same_model: next == Some(rank), other_model: next.is_some_and(|next| next != rank) }
    }

    /// When the first of the blocked targets may be tried again.
    pub fn opens(&self, standing: impl Fn(&Candidate) -> Standing) -> Option<UnixMillis> {
        let until = |candidate: &Candidate| match standing(candidate) {
            Standing::Blocked { until } => Some(until),
            _ => None,
        };
        self.waiting.iter().filter_map(until).min()
    }

    fn next(&self, standing: &impl Fn(&Candidate) -> Standing) -> Option<usize> {
        let mut best: Option<(UnixMillis, usize, bool, usize)> = None;
        for (at, candidate) in self.waiting.iter().enumerate() {
            // Nearly always the first is good: then nobody asks how the others stand.
            let at_best = (UnixMillis(0), candidate.rank, false, at);
            if best.is_some_and(|best| best < at_best) {
                continue;
            }
            let place = match standing(candidate) {
                Standing::Good => at_best,
                Standing::NearlyExhausted => (UnixMillis(0), candidate.rank, true, at),
                Standing::Blocked { until } => (until, candidate.rank, false, at),
                Standing::Off => continue,
            };
            best = Some(best.map_or(place, |best| best.min(place)));
        }
        best.map(|(.., at)| at)
    }
}

/// Adds the targets of one model string.
fn add(
    registry: &Registry,
    name: &str,
    preferences: &Preferences,
    rank: usize,
    targets: &mut Vec<Candidate>,
) -> Result<(), Failure> {
    let resolved = resolve(registry, name);
    let names_provider = resolved.as_ref().is_ok_and(|resolved| resolved.model != name);
    let mut hosts: Vec<Resolved> = resolved.iter().cloned().collect();
    let several = match preferences.allow_fallbacks {
        Some(allowed) => allowed,
        None => !names_provider,
    };
    if several || !preferences.order.is_empty() || !preferences.only.is_empty() {
        hosts.extend(elsewhere(registry, resolved.as_ref().ok(), name));
    }
    hosts.retain(|host| preferences.permit(&host.provider));
    let place = |host: &Resolved| {
        let wished = preferences.order.iter().position(|wished| *wished == host.provider);
        wished.unwrap_or(preferences.order.len())
    };
    sorted::sort_by_key(&mut hosts, place);
    if !several {
        let wished = hosts.iter().filter(|host| place(host) < preferences.order.len()).count();
        // Of several that the call names in order, all were asked for; without leave nobody else was.
        hosts.truncate(wished.max(1));
    }
    let unclear = hosts.len() > 1 && preferences.order.is_empty();
    if let Err(refused) = resolved
        && (unclear || (hosts.is_empty() && !preferences.narrow()))
    {
        return Err(refused);
    }
    for Resolved { provider, model } in hosts {
        if !targets.iter().any(|known| known.provider == provider && known.model == model) {
            targets.push(Candidate { provider, model, rank });
        }
    }
    Ok(())
}

/// Other providers that have the same model, by its own name or as `maker/model`, sorted by id.
fn elsewhere(registry: &Registry, resolved: Option<&Resolved>, name: &str) -> Vec<Resolved> {
    let (home, model) = resolved.map_or(("", name), |resolved| (resolved.provider.as_str(), resolved.model.as_str()));
    let prefixed = format!("{home}/{model}");
    let bare = model.rsplit_once('/').map(|(_, bare)| bare);
    let name_at = |upstream: &Upstream| {
        let names = [Some(model), Some(prefixed.as_str()), bare];
        names.into_iter().flatten().find(|name| registry.lists(upstream, name)).map(str::to_owned)
    };
    let others = registry.usable().filter(|upstream| upstream.id != home && upstream.id != SANDBOX);
    others.filter_map(|other| Some(Resolved { provider: other.id.clone(), model: name_at(other)? })).collect()
}

impl Preferences {
    fn permit(&self, provider: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|named| named == provider);
        (self.only.is_empty() || names(&self.only)) && !names(&self.ignore)
    }

    fn narrow(&self) -> bool {
        !self.only.is_empty() || !self.ignore.is_empty()
    }
}

#[cfg(test)]
mod tests;
