//! The `check` of a candidate: what its answers must be.

use super::super::place::Place;
use super::{LONGEST, owned};
use crate::chat::Regex;
use crate::json::tree::Node;
use crate::keys::Pattern;
use crate::route::check::{Check, JudgedBy, Schema};
use crate::units::Millis;

/// How long a judge may take, unless it says otherwise.
const JUDGED_WITHIN: Millis = Millis(10_000);

const KNOWN: [&str; 8] =
    ["json", "schema", "matches", "regex", "least_characters", "no_refusal", "least_confidence", "judge"];

pub(super) fn read(place: &Place<'_>) -> Check {
    let mut check = Check::default();
    for (key, place) in place.members(&KNOWN) {
        match key {
            // Without members it is any object.
            "json" if matches!(place.node(), Node::Array(items) if items.is_empty()) => check.json = Some(Vec::new()),
            "json" => check.json = Some(owned(&place, 100)),
            "schema" => check.schema = schema(&place),
            "matches" => check.matches = owned(&place, 20).iter().map(|text| Pattern::new(text)).collect(),
            "regex" => check.regex = regex(&place),
            "least_characters" => {
                let least = place.integer(1..=100_000).and_then(|least| usize::try_from(least).ok());
                check.least_characters = least.unwrap_or_default();
            }
            "no_refusal" => check.no_refusal = place.boolean().unwrap_or_default(),
            "judge" => check.judge = judge(&place),
            _ => check.least_confidence = place.decimal(0.0, 1.0),
        }
    }
    check
}

/// A schema, or `"asked"` for the one that the call asks for.
fn schema(place: &Place<'_>) -> Option<Schema> {
    match place.node() {
        Node::String(word) if word == "asked" => Some(Schema::Asked),
        // To the reader of the document it is any JSON; what is written in it is the schema's own business.
        node @ Node::Object(_) => node.to_raw().read().ok().map(Schema::Of),
        _ => {
            place.expected("a JSON Schema, or \"asked\" for the one that the call asks for");
            None
        }
    }
}

fn regex(place: &Place<'_>) -> Vec<Regex> {
    let items = match place.node() {
        Node::Array(_) => place.items(20),
        _ => vec![place.clone()],
    };
    let read = |item: &Place<'_>| match Regex::new(item.prose(2_000)?) {
        Ok(regex) => Some(regex),
        Err(error) => {
            item.fault(error.to_string());
            None
        }
    };
    items.iter().filter_map(read).collect()
}

fn judge(place: &Place<'_>) -> Option<JudgedBy> {
    let mut judge = JudgedBy { model: String::new(), criterion: String::new(), within: JUDGED_WITHIN };
    for (key, place) in place.members(&["model", "criterion", "within_ms"]) {
        match key {
            "model" => judge.model = place.model(LONGEST),
            "criterion" => judge.criterion = place.prose(4_000).unwrap_or_default().to_owned(),
            _ => judge.within = place.integer(100..=60_000).map_or(JUDGED_WITHIN, Millis),
        }
    }
    if judge.model.is_empty() {
        place.lacks("model", "write who judges, such as \"provider/model\"");
    }
    if judge.criterion.is_empty() {
        place.lacks("criterion", "write what a good answer is");
    }
    Some(judge)
}
