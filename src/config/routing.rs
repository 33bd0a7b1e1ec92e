//! The sections `targets`, `aliases`, `rules` and `experiments`: which calls go where.

mod aliases;
mod checks;
mod conditions;
mod experiments;
mod rules;
mod semantics;
mod targets;

use super::ProviderEntry;
use super::place::Place;
use crate::json::tree::Node;
use crate::keys::ModelPattern;
use crate::provider;
use crate::route::alias::Alias;
use crate::route::contender::Traits;
use crate::route::demands::Rule;
use crate::route::expand::find_alias;
use crate::route::experiment::Experiment;
use crate::route::meaning::Semantics;
use crate::sorted::SortedMap;

use aliases::MAX_DEPTH;
pub(super) use aliases::read as aliases;
pub(super) use experiments::read as experiments;
pub(super) use rules::read as rules;
pub(super) use semantics::read as semantics;
pub(super) use targets::read as targets;

/// Everything of the document that decides where calls go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// Logical names; with `*` they stand for all model strings of that form.
    pub aliases: SortedMap<String, Alias>,
    /// Rules in the order in which they are written.
    pub rules: Vec<Rule>,
    /// What is said of targets: patterns of `provider/model`, the shortest first, so that the most precise speaks last.
    pub targets: Vec<(ModelPattern, Traits)>,
    /// Experiments by their ids.
    pub experiments: SortedMap<String, Experiment>,
    /// Routes described by example, where there are any.
    pub semantics: Option<Semantics>,
}

impl Routing {
    /// Whether some condition that a call of this model string meets asks what it means.
    #[must_use]
    pub fn reads_meaning(&self, model: &str) -> bool {
        let rules = self.rules.iter();
        let serving = rules.clone().filter_map(|rule| rule.alias.as_deref()).chain([model]);
        let name = |model: &str| model.rsplit_once(':').map_or(model.to_owned(), |(name, _)| name.to_owned());
        let mut aliases = serving
            .filter_map(|model| find_alias(&self.aliases, model).or_else(|| find_alias(&self.aliases, &name(model))));
        rules.clone().any(|rule| rule.when.reads_meaning()) || aliases.any(|(name, alias)| self.wonders(name, alias, 0))
    }

    fn wonders(&self, name: &str, alias: &Alias, depth: usize) -> bool {
        let tried = self.experiments.values().filter(|experiment| experiment.alias == name);
        let others = tried.clone().flat_map(|experiment| &experiment.variants).flat_map(|variant| &variant.candidates);
        let overlaid = alias.overlays.iter().flat_map(|overlay| &overlay.candidates);
        let mut candidates = alias.candidates.iter().chain(overlaid).chain(others);
        let inner = |model: &str| self.aliases.get(model).filter(|_| depth < MAX_DEPTH);
        alias.overlays.iter().any(|overlay| overlay.when.reads_meaning())
            || tried.clone().any(|experiment| experiment.when.reads_meaning())
            || candidates.any(|named| {
                let beyond = || inner(&named.model).is_some_and(|alias| self.wonders(&named.model, alias, depth + 1));
                named.when.reads_meaning() || beyond()
            })
    }
}

/// Longest pattern or name.
const LONGEST: usize = 256;

/// One text or a list of texts.
fn texts<'d>(place: &Place<'d>, most: usize) -> Vec<&'d str> {
    match place.node() {
        Node::Array(_) => {
            let items = place.items(most);
            if items.is_empty() {
                place.fault("is empty, and would hold for nothing");
            }
            items.iter().filter_map(|item| item.text(LONGEST)).collect()
        }
        _ => place.text(LONGEST).into_iter().collect(),
    }
}

fn owned(place: &Place<'_>, most: usize) -> Vec<String> {
    texts(place, most).into_iter().map(str::to_owned).collect()
}

/// Patterns of targets: `provider/model`, with `*`. The name of a provider alone would be that of a model, and a rule
/// that is to keep calls from there would hold for nothing.
fn patterns(place: &Place<'_>, declared: &SortedMap<String, ProviderEntry>) -> Vec<ModelPattern> {
    texts(place, 100).into_iter().map(|text| pattern(text, place, declared)).collect()
}

fn pattern(text: &str, place: &Place<'_>, declared: &SortedMap<String, ProviderEntry>) -> ModelPattern {
    if provider::find(text).is_some() || declared.contains_key(text) {
        place.fault(format!("`{text}` is a provider; write `{text}/*` for all of its models"));
    }
    if text.contains('/') {
        place.names(text);
    }
    ModelPattern::new(text)
}

#[cfg(test)]
mod tests;
