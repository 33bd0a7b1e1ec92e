//! The sections `targets`, `aliases`, `rules` and `experiments`: which calls go where.

mod aliases;
mod conditions;
mod experiments;
mod rules;
mod targets;

use super::place::Place;
use crate::keys::ModelPattern;
use crate::route::alias::Alias;
use crate::route::contender::Traits;
use crate::route::demands::Rule;
use crate::route::experiment::Experiment;
use crate::sorted::SortedMap;

pub(super) use aliases::read as aliases;
pub(super) use experiments::read as experiments;
pub(super) use rules::read as rules;
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
}

impl Routing {
    /// Whether nothing of it is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.aliases.is_empty() && self.rules.is_empty() && self.targets.is_empty() && self.experiments.is_empty()
    }
}

/// Longest pattern or name.
const LONGEST: usize = 256;

/// One text or a list of texts.
fn texts<'d>(place: &Place<'d>, most: usize) -> Vec<&'d str> {
    match place.node() {
        super::document::Node::List(_) => {
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

/// Patterns of targets: `provider/model`, with `*`.
fn patterns(place: &Place<'_>) -> Vec<ModelPattern> {
    texts(place, 100).into_iter().map(ModelPattern::new).collect()
}

#[cfg(test)]
mod tests;
