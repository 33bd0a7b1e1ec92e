//! The `experiments` section: which share of an alias's calls goes elsewhere, to see how that does.

use super::super::place::Place;
use super::aliases::{Sources, candidates};
use super::conditions;
use crate::budget::Period;
use crate::json::number::shown;
use crate::route::alias::Alias;
use crate::route::experiment::{Experiment, Shadow, Split, Stop, Variant};
use crate::sorted::SortedMap;
use crate::units::NanoUsd;

/// Nobody tries anything for more.
const MAX_USD: NanoUsd = NanoUsd(1_000_000 * NanoUsd::DOLLAR.0);

/// The experiments by id; `aliases` are those of the document.
pub(in super::super) fn read(place: &Place<'_>, aliases: &SortedMap<String, Alias>) -> SortedMap<String, Experiment> {
    let mut experiments: SortedMap<String, Experiment> = SortedMap::new();
    let sources = Sources::of(aliases);
    for (id, place) in place.entries() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 60 || !id.bytes().all(plain) {
            place.fault("an experiment's id has 1 to 60 of A-Z, a-z, 0-9, - and _");
        }
        let experiment = experiment(&place);
        sources.check(experiment.variants.iter().map(|variant| variant.candidates.as_slice()), &place);
        if !aliases.contains_key(&experiment.alias) {
            place.lacks("alias", "it must name an alias of this document");
        }
        if let Some((other, _)) = experiments.iter().find(|(_, other)| other.alias == experiment.alias) {
            place.fault(format!("`{other}` tries something on the same alias; one at a time can be told apart"));
        }
        experiments.insert(id.to_owned(), experiment);
    }
    experiments
}

fn experiment(place: &Place<'_>) -> Experiment {
    let mut experiment = Experiment::default();
    for (key, place) in place.members(&["alias", "when", "by", "variants", "stop"]) {
        match key {
            "alias" => experiment.alias = place.text(80).unwrap_or_default().to_owned(),
            "when" => experiment.when = conditions::read(&place),
            "by" => {
                let words =
                    [("session", Split::Session), ("user", Split::User), ("key", Split::Key), ("call", Split::Call)];
                experiment.by = place.word(&words).unwrap_or_default();
            }
            "variants" => experiment.variants = variants(&place),
            _ => experiment.stop = stop(&place),
        }
    }
    if experiment.variants.is_empty() {
        place.lacks("variants", "write those to try");
    }
    experiment
}

fn variants(place: &Place<'_>) -> Vec<Variant> {
    let mut variants = Vec::new();
    for (name, place) in place.entries() {
        let mut variant = Variant { name: name.to_owned(), ..Variant::default() };
        for (key, place) in place.members(&["share", "candidates", "shadow"]) {
            match key {
                "share" => variant.share = place.decimal(0.0, 1.0).unwrap_or_default(),
                "candidates" => variant.candidates = candidates(&place),
                _ => variant.shadow = Some(shadow(&place)),
            }
        }
        if variant.shadow.is_some() && variant.candidates.is_empty() {
            place.lacks("candidates", "write where the shadows go");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 60 || !name.bytes().all(plain) {
            place.fault("a variant's name has 1 to 60 of A-Z, a-z, 0-9, - and _");
        }
        variants.push(variant);
    }
    let serving = variants.iter().filter(|variant| variant.shadow.is_none());
    let sum: f64 = serving.map(|variant| variant.share).sum();
    if sum > 1.0 + 1e-9 {
        let sum = shown(sum);
        place.fault(format!("the shares add up to {sum}; at most 1 is allowed, what is left keeps the alias as it is"));
    }
    variants
}

/// `{"limit": 5, "period": "day"}`: US dollars.
fn shadow(place: &Place<'_>) -> Shadow {
    let mut shadow = Shadow { limit: NanoUsd::ZERO, period: Period::Day };
    for (key, place) in place.members(&["limit", "period"]) {
        match key {
            "limit" => shadow.limit = place.usd(MAX_USD).unwrap_or_default(),
            _ => {
                let words = [
                    ("hour", Period::Hour),
                    ("day", Period::Day),
                    ("week", Period::Week),
                    ("month", Period::Month),
                    ("total", Period::Total),
                ];
                shadow.period = place.word(&words).unwrap_or(Period::Day);
            }
        }
    }
    if shadow.limit == NanoUsd::ZERO {
        place.lacks("limit", "write how many US dollars the shadows may cost in one `period`");
    }
    shadow
}

fn stop(place: &Place<'_>) -> Stop {
    let mut stop = Stop::default();
    for (key, place) in place.members(&["least_calls", "error_ratio", "latency_ratio"]) {
        match key {
            "least_calls" => stop.least_calls = place.integer(5..=100_000).unwrap_or(stop.least_calls),
            "error_ratio" => stop.error_ratio = place.decimal(0.0, 1.0).unwrap_or(stop.error_ratio),
            _ => stop.latency_ratio = place.decimal(1.0, 100.0).unwrap_or(stop.latency_ratio),
        }
    }
    stop
}
