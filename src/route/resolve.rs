//! Model strings: `provider/model`, or a bare id where it is clear who is meant.

use super::nearest::nearest;
use crate::failure::{Failure, Kind};
use crate::provider::models::{makes, stand_in};
use crate::provider::{Registry, SANDBOX, Upstream};

/// The longest model string: the longest id of the catalogue has 106 bytes.
const MAX_BYTES: usize = 256;
/// Choices that a message lists.
const MAX_CHOICES: usize = 8;

/// Whom a model string means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The provider's id.
    pub provider: String,
    /// The model's id as the provider spells it.
    pub model: String,
}

/// Finds out whom `model` means.
///
/// - `provider/anything`, the first part being a known provider, is that provider's, whether the catalogue knows the
///   rest or not. Dates, `-latest` and endings such as `:free` are the provider's to understand; what says nothing before
///   an id is left out ([`Upstream::bare`]), so that nobody is denied a model, or has a budget for it, by one name alone.
/// - Everything else is an id (which may hold a `/`, like `org/model`): its maker's where there is a credential for
///   the maker, else that of the only usable provider that has it. A dated or `-latest` form that the catalogue does
///   not list goes where its line goes.
///
/// # Errors
/// `BadRequest` where it is no model string, `AmbiguousModel` with the choices, `NotFound` with the nearest names.
pub fn resolve(registry: &Registry, model: &str) -> Result<Resolved, Failure> {
    if model.is_empty() || model.len() > MAX_BYTES || model.chars().any(char::is_control) {
        let message = format!("`model` must have 1 to {MAX_BYTES} bytes and no control characters.");
        return Err(Failure::bad_request("model", message));
    }
    if let Some((provider, id)) = model.split_once('/') {
        if provider == SANDBOX && registry.upstream(SANDBOX).is_none() {
            return Err(not_found("The sandbox is off on this gateway: set SANDBOX to on.".to_owned()));
        }
        if let Some(upstream) = registry.upstream(provider) {
            return match upstream.bare(id) {
                "" => Err(Failure::bad_request("model", format!("`{model}` names a provider and no model."))),
                id => Ok(Resolved { provider: provider.to_owned(), model: id.to_owned() }),
            };
        }
    }
    let choices = choices(registry, model);
    match choices.as_slice() {
        [] => Err(unknown(registry, model)),
        [only] => Ok(Resolved { provider: (*only).to_owned(), model: model.to_owned() }),
        several => Err(ambiguous(model, several)),
    }
}

/// The usable providers that a bare id may mean; only its maker where it is one of them.
///
/// Rows may share a maker's catalogue (a vendor's regions); they are then choices like any others.
fn choices<'r>(registry: &'r Registry, model: &str) -> Vec<&'r str> {
    let is_maker = |upstream: &Upstream| makes(&upstream.catalog_id, model);
    let lists = |upstream: &Upstream| registry.lists(upstream, model);
    let lists_alike = |upstream: &Upstream| stand_in(&upstream.catalog_id, model).is_some();
    let choose = |chosen: &dyn Fn(&Upstream) -> bool| -> Vec<&'r str> {
        let usable = registry.usable().filter(|upstream| upstream.id != SANDBOX);
        usable.filter(|upstream| chosen(upstream)).map(|upstream| upstream.id.as_str()).collect()
    };
    let rules: [&dyn Fn(&Upstream) -> bool; 4] = [
        &|upstream| is_maker(upstream) && lists(upstream),
        &|upstream| is_maker(upstream) && lists_alike(upstream),
        &lists,
        &lists_alike,
    ];
    rules.into_iter().map(choose).find(|found| !found.is_empty()).unwrap_or_default()
}

fn ambiguous(model: &str, providers: &[&str]) -> Failure {
    let choices: Vec<String> = providers.iter().take(MAX_CHOICES).map(|id| format!("`{id}/{model}`")).collect();
    let more = if providers.len() > MAX_CHOICES { ", and others" } else { "" };
    let message = format!("Several providers have `{model}`: write {}{more}.", choices.join(" or "));
    Failure::new(Kind::AmbiguousModel, message).code("ambiguous_model").about("model")
}

fn unknown(registry: &Registry, model: &str) -> Failure {
    // Someone has it, and only the credential is missing: that is more useful to know than a name that looks alike.
    let without_credential = registry
        .upstreams()
        .filter(|upstream| !upstream.is_usable() && makes(&upstream.catalog_id, model))
        .find(|upstream| registry.lists(upstream, model) || stand_in(&upstream.catalog_id, model).is_some());
    if let Some(upstream) = without_credential {
        return not_found(format!("`{model}` is served by `{}`, which is not set up on this gateway.", upstream.id));
    }
    let names: Vec<String> = nearest(registry, model).iter().map(|name| format!("`{name}`")).collect();
    let hint = if names.is_empty() {
        "GET /v1/models lists those of this gateway".to_owned()
    } else {
        format!("the nearest names are {}", names.join(", "))
    };
    not_found(format!("There is no model `{model}`; {hint}."))
}

fn not_found(message: String) -> Failure {
    Failure::new(Kind::NotFound, message).code("model_not_found").about("model")
}

#[cfg(test)]
mod tests;
