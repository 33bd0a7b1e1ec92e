//! The `semantics` section: routes described by example phrases.

use super::super::place::Place;
use super::LONGEST;
use crate::route::meaning::Semantics;
use crate::units::Millis;

/// Phrases of all routes together: they are embedded in one request.
const MOST_PHRASES: usize = 100;

pub(in super::super) fn read(place: &Place<'_>) -> Semantics {
    let mut semantics = Semantics { within: Millis(300), least_similarity: 0.6, ..Semantics::default() };
    for (key, place) in place.members(&["model", "within_ms", "least_similarity", "routes"]) {
        match key {
            "model" => semantics.model = place.model(LONGEST),
            "within_ms" => semantics.within = place.integer(10..=10_000).map_or(semantics.within, Millis),
            "least_similarity" => {
                semantics.least_similarity = place.decimal(0.0, 1.0).unwrap_or(semantics.least_similarity);
            }
            _ => semantics.routes = routes(&place),
        }
    }
    if semantics.model.is_empty() {
        place.lacks("model", "write an embedding model such as \"provider/model\"");
    }
    if semantics.routes.is_empty() {
        place.lacks("routes", "write at least one, with its phrases");
    }
    semantics
}

fn routes(place: &Place<'_>) -> Vec<(String, Vec<String>)> {
    let mut routes = Vec::new();
    for (name, place) in place.entries() {
        let items = place.items(MOST_PHRASES);
        let phrases: Vec<String> = items.iter().filter_map(|item| item.prose(1_000)).map(str::to_owned).collect();
        if name.is_empty() || name.len() > 60 {
            place.fault("a route's name has 1 to 60 bytes");
        }
        if items.is_empty() {
            place.expected("a list of phrases");
        }
        routes.push((name.to_owned(), phrases));
    }
    let count: usize = routes.iter().map(|(_, phrases)| phrases.len()).sum();
    if count > MOST_PHRASES {
        place.fault(format!("has {count} phrases; at most {MOST_PHRASES} are allowed in all"));
    }
    routes
}
