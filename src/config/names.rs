//! Whom the document names: a model string that nobody could ever serve is a fault.
//!
//! A provider without a key may get one later, and a provider serves models that the catalogue does not know yet. What is
//! surely wrong is a provider that neither this program nor the document has, and a bare name that is neither an alias nor
//! the id of a known model.

use super::Config;
use crate::provider::models::{entries, stand_in};
use crate::provider::{PROVIDERS, SANDBOX, find};
use crate::route::expand::find_alias;
use crate::route::nearest::distance;

/// What is wrong with a model string or a pattern of targets; `None` where that may well mean something.
pub(super) fn fault(config: &Config, model: &str) -> Option<String> {
    let Some((provider, _)) = model.split_once('/') else {
        let own = config.routing.aliases.keys().map(String::as_str);
        return (!is_bare(config, model)).then(|| {
            format!(
                "there is no alias and no model `{model}`{}",
                nearest(model, &mut own.filter(|name| *name != model))
            )
        });
    };
    let is_provider = |id: &str| id == SANDBOX || find(id).is_some() || config.providers.contains_key(id);
    if provider.contains('*') || is_provider(provider) || is_named(config, model) || begins_an_id(config, provider) {
        return None;
    }
    let declared = config.providers.keys().map(String::as_str);
    let near = nearest(provider, &mut PROVIDERS.iter().map(|row| row.id).chain(declared));
    Some(format!("there is no provider `{provider}`{near}; one of your own is declared under `providers`"))
}

/// Whether an alias has this name, or that in front of a variant or another ending.
fn is_named(config: &Config, model: &str) -> bool {
    let name = model.rsplit_once(':').map_or(model, |(name, _)| name);
    [model, name].into_iter().any(|name| find_alias(&config.routing.aliases, name).is_some())
}

fn is_bare(config: &Config, model: &str) -> bool {
    let listed = || PROVIDERS.iter().any(|row| stand_in(row.catalog_id, model).is_some());
    model.contains('*') || is_named(config, model) || own_ids(config).any(|id| id == model) || listed()
}

/// Whether ids of models begin with this name and a slash: `meta-llama/…`.
fn begins_an_id(config: &Config, maker: &str) -> bool {
    let start = format!("{maker}/");
    let listed = || PROVIDERS.iter().any(|row| entries(row.catalog_id, &start).next().is_some());
    own_ids(config).any(|id| id.starts_with(&start)) || listed()
}

/// The ids of models that the document lists.
fn own_ids(config: &Config) -> impl Iterator<Item = &str> {
    let written = config.models.keys().filter_map(|key| Some(key.split_once('/')?.1));
    written.chain(config.providers.values().flat_map(|entry| &entry.models).map(String::as_str))
}

/// `, the nearest is …`, where one is near.
fn nearest(wanted: &str, names: &mut dyn Iterator<Item = &str>) -> String {
    // Two letters in each other's place count twice.
    let most = (wanted.len() / 2).min(2);
    let far = |name: &str| distance(wanted.as_bytes(), name.as_bytes(), most);
    let near = names.filter_map(|name| Some((far(name)?, name))).min();
    near.map_or_else(String::new, |(_, name)| format!(", the nearest is `{name}`"))
}
