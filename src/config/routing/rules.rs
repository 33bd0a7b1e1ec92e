//! The `rules` section: what must hold for some calls, whatever they ask for.

use super::super::place::Place;
use super::super::{Config, ProviderEntry};
use super::aliases::{latency_budget, strategy};
use super::{conditions, owned, patterns};
use crate::route::demands::{MaxPrice, Rule};
use crate::sorted::SortedMap;
use crate::units::NanoUsd;

const KNOWN: [&str; 13] = [
    "name",
    "when",
    "only",
    "ignore",
    "jurisdictions",
    "regions",
    "zero_retention",
    "no_training",
    "quantizations",
    "max_price",
    "alias",
    "strategy",
    "latency_budget",
];

/// 100,000 dollars per million tokens: whoever writes more has mistaken the unit.
const MAX_USD: NanoUsd = NanoUsd(100_000 * NanoUsd::DOLLAR.0);

/// The rules in their order; `document` has the providers and aliases already.
pub(in super::super) fn read(place: &Place<'_>, document: &Config) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for item in place.items(200) {
        let rule = rule(&item, &document.providers);
        if rule.name.is_empty() {
            item.lacks("name", "explanations call the rule by it");
        } else if rules.iter().any(|other| other.name == rule.name) {
            item.fault(format!("another rule is called `{}` too", rule.name));
        }
        if let Some(alias) = rule.alias.as_ref().filter(|alias| !document.routing.aliases.contains_key(*alias)) {
            item.fault(format!("there is no alias `{alias}` in this document"));
        }
        rules.push(rule);
    }
    rules
}

fn rule(place: &Place<'_>, providers: &SortedMap<String, ProviderEntry>) -> Rule {
    let mut rule = Rule::default();
    for (key, place) in place.members(&KNOWN) {
        let demands = &mut rule.demands;
        match key {
            "name" => rule.name = place.text(80).unwrap_or_default().to_owned(),
            "when" => rule.when = conditions::read(&place),
            "only" => demands.only = vec![patterns(&place, providers)],
            "ignore" => demands.ignore = patterns(&place, providers),
            "jurisdictions" => demands.jurisdictions = vec![owned(&place, 20)],
            "regions" => demands.regions = vec![owned(&place, 50)],
            "zero_retention" => demands.zero_retention = place.boolean().unwrap_or_default(),
            "no_training" => demands.no_training = place.boolean().unwrap_or_default(),
            "quantizations" => demands.quantizations = owned(&place, 20),
            "max_price" => demands.max_price = max_price(&place),
            "alias" => rule.alias = place.text(80).map(str::to_owned),
            "strategy" => rule.strategy = strategy(&place),
            _ => rule.latency_budget = latency_budget(&place),
        }
    }
    rule
}

fn max_price(place: &Place<'_>) -> MaxPrice {
    let mut most = MaxPrice::default();
    for (key, place) in place.members(&["input", "output"]) {
        match key {
            "input" => most.input = place.usd(MAX_USD),
            _ => most.output = place.usd(MAX_USD),
        }
    }
    most
}
