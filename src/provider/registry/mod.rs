//! What this deployment can reach: provider rows, the operator's document and the environment put together.
//!
//! Built once per isolate and whenever the document changes. Nothing of the catalogue is read until it is asked for.

mod recent;
mod upstream;

use std::rc::Rc;

use super::models::{self, Entry, Mode};
use super::{Bucket, ModelFacts, PROVIDERS, Price, Rates, SANDBOX, Source, family};
use crate::config::{Config, ModelEntry};
use crate::sorted::{self, SortedMap};
use crate::units::{NanoUsd, UnixMillis};

use recent::Recent;

pub use upstream::{Unsigned, Upstream};

/// Every provider with its address and credentials, and what is known of models.
#[derive(Debug, Default)]
pub struct Registry {
    /// Sorted by id.
    upstreams: Vec<Rc<Upstream>>,
    /// What the document says of models, by `provider/id`.
    models: SortedMap<String, ModelEntry>,
    facts: Recent<ModelFacts>,
    listed_prices: Recent<Option<Rc<Price>>>,
}

impl Registry {
    /// Puts together what there is.
    ///
    /// `environment` holds the variables and secrets of the deployment; empty ones count as not set. `local` says
    /// that the gateway runs on its operator's own machine: servers on localhost can then be reached, and the
    /// sandbox answers unless `SANDBOX` is `off`.
    #[must_use]
    pub fn new(environment: &SortedMap<String, String>, config: &Config, local: bool) -> Registry {
        let variable = |name: &str| {
            environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let mut upstreams: Vec<Upstream> =
            PROVIDERS.iter().map(|row| Upstream::of_row(row, config.providers.get(row.id), &variable, local)).collect();
        let own = config.providers.iter().filter(|(id, _)| super::find(id).is_none());
        upstreams.extend(own.map(|(id, entry)| Upstream::of_entry(id, entry, &variable, local)));
        if variable("SANDBOX").map_or(local, |switch| switch == "on") {
            upstreams.push(Upstream::sandbox());
        }
        sorted::sort_by(&mut upstreams, |one, other| one.id.cmp(&other.id));
        Registry {
            upstreams: upstreams.into_iter().map(Rc::new).collect(),
            models: config.models.clone(),
            ..Registry::default()
        }
    }

    /// The provider of this id, whether it has a credential or not.
    #[must_use]
    pub fn upstream(&self, id: &str) -> Option<Rc<Upstream>> {
        self.upstreams
            .binary_search_by(|upstream| upstream.id.as_str().cmp(id))
            .ok()
            .and_then(|at| self.upstreams.get(at))
            .cloned()
    }

    /// The providers that can be called with what is set up here, sorted by id.
    pub fn usable(&self) -> impl Iterator<Item = &Rc<Upstream>> {
        self.upstreams.iter().filter(|upstream| upstream.is_usable())
    }

    /// All providers, sorted by id.
    pub fn upstreams(&self) -> impl Iterator<Item = &Rc<Upstream>> {
        self.upstreams.iter()
    }

    /// What is known of a model: the document first, then the catalogue, then its family.
    ///
    /// A capability that is there can be relied on. One that is not there may only have been left out of the list.
    #[must_use]
    pub fn facts(&self, provider: &str, model: &str) -> ModelFacts {
        self.facts.get(provider, model, || self.gather_facts(provider, model))
    }

    /// What a model costs at `at`; `None` where that is not known, which is not zero.
    ///
    /// The document's prices come first. A snapshot that the catalogue does not list costs what all listed ones of
    /// its line cost, if that is one price ([`models::shares_price`]).
    #[must_use]
    pub fn price(&self, provider: &str, model: &str, at: UnixMillis) -> Option<Rc<Price>> {
        let written = self.written(provider, model).and_then(|written| {
            let holding = written.prices.iter().filter(|price| price.validity.holds(at));
            holding
                .max_by_key(|price| price.validity.rank())
                .map(|price| Rc::new(Price { source: Source::Configuration, ..price.clone() }))
        });
        if written.is_some() {
            return written;
        }
        if provider == SANDBOX {
            return Some(Rc::new(sandbox_price()));
        }
        self.listed_prices.get(provider, model, || self.listed_price(provider, model).map(Rc::new))
    }

    /// What the document says of a model.
    #[must_use]
    pub fn written(&self, provider: &str, model: &str) -> Option<&ModelEntry> {
        if self.models.is_empty() { None } else { self.models.get(&format!("{provider}/{model}")) }
    }

    /// What the document says of a provider's models, by id.
    pub fn written_of<'r>(&'r self, provider: &'r str) -> impl Iterator<Item = (&'r str, &'r ModelEntry)> {
        // `/` is followed by `0`: these are the keys that begin with the id and a slash.
        self.models
            .range(format!("{provider}/").as_str(), format!("{provider}0").as_str())
            .filter_map(|(key, entry)| Some((key.split_once('/')?.1, entry)))
    }

    /// The catalogue's entry of exactly this model.
    #[must_use]
    pub fn entry(&self, provider: &str, model: &str) -> Option<Entry> {
        models::find(&self.upstream(provider)?.catalog_id, model)
    }

    /// What a model is for, by the document or else by the catalogue; `None` where neither knows it.
    #[must_use]
    pub fn mode(&self, provider: &str, model: &str) -> Option<Mode> {
        let written = self.written(provider, model).and_then(|written| written.mode);
        written.or_else(|| self.entry(provider, model)?.mode())
    }

    /// Whether a provider is known to serve exactly this model: by the catalogue or by the document.
    #[must_use]
    pub fn lists(&self, upstream: &Upstream, model: &str) -> bool {
        models::find(&upstream.catalog_id, model).is_some()
            || upstream.models.iter().any(|known| known == model)
            || self.written(&upstream.id, model).is_some()
    }

    fn gather_facts(&self, provider: &str, model: &str) -> ModelFacts {
        let mut facts = ModelFacts::default();
        let mut responses_only = false;
        if let Some(entry) = self.entry(provider, model).or_else(|| self.like(provider, model)) {
            facts.context = entry.context();
            facts.max_output = entry.max_output();
            facts.capabilities = entry.capabilities();
            responses_only = entry.mode() == Some(Mode::Responses);
        }
        if let Some(written) = self.written(provider, model) {
            facts.context = written.context.or(facts.context);
            facts.max_output = written.max_output.or(facts.max_output);
            facts.capabilities = written.capabilities.or(facts.capabilities);
        }
        if let Some(family) = family(model) {
            family.apply(&mut facts);
        }
        ModelFacts { responses_only, ..facts }
    }

    /// What the catalogue says a model costs.
    fn listed_price(&self, provider: &str, model: &str) -> Option<Price> {
        let upstream = self.upstream(provider)?;
        // A row that borrows another's models (a vendor's second region) has its facts, not its prices.
        let catalog_id = Some(upstream.catalog_id.as_str()).filter(|listed| *listed == upstream.id)?;
        if let Some(entry) = models::find(catalog_id, model) {
            return entry.price();
        }
        let alike = models::shares_price(catalog_id, model);
        alike.then(|| models::stand_in(catalog_id, model)).flatten().and_then(|entry| entry.price())
    }

    /// The entry of a model that is much the same: a sibling of its line, or what its maker says of it where a host
    /// names it `maker/model`.
    fn like(&self, provider: &str, model: &str) -> Option<Entry> {
        let upstream = self.upstream(provider)?;
        models::stand_in(&upstream.catalog_id, model).or_else(|| {
            let (maker, id) = model.split_once('/')?;
            let id = id.split(':').next().unwrap_or(id);
            models::makes(maker, id).then(|| models::find(maker, id).or_else(|| models::stand_in(maker, id))).flatten()
        })
    }
}

/// Above zero, so that budgets can be rehearsed: a dollar a million in, two out.
fn sandbox_price() -> Price {
    let mut rates = Rates::default();
    rates.set(Bucket::Input, NanoUsd::DOLLAR);
    rates.set(Bucket::Output, NanoUsd(2 * NanoUsd::DOLLAR.0));
    Price { rates, ..Price::default() }
}

#[cfg(test)]
mod tests;
