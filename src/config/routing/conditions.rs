//! Conditions as JSON; the grammar stands at [`crate::route::condition`].

use super::super::models::CAPABILITIES;
use super::super::place::Place;
use super::texts;
use crate::chat::lowered;
use crate::json::tree::{Members, Node};
use crate::keys::Pattern;
use crate::route::condition::{Condition, Content, Measure, Subject};

const MEMBERS: [&str; 23] = [
    "all",
    "any",
    "not",
    "key",
    "team",
    "environment",
    "user",
    "session",
    "tag",
    "model",
    "endpoint",
    "kind",
    "means",
    "metadata",
    "header",
    "content",
    "needs",
    "mentions",
    "input_tokens",
    "output_tokens",
    "messages",
    "tools",
    "difficulty",
];

/// Reads one condition; its members must all hold.
pub(super) fn read(place: &Place<'_>) -> Condition {
    let mut parts: Vec<Condition> = Vec::new();
    for (key, place) in place.members(&MEMBERS) {
        let subject = match key {
            "all" => {
                parts.push(Condition::All(several(&place)));
                continue;
            }
            "any" => {
                parts.push(Condition::Any(several(&place)));
                continue;
            }
            "not" => {
                // Of what another version wrote, the part that is not understood holds: its opposite never would.
                let (known, condition) = place.is_understood(read);
                parts.push(if known { Condition::Not(Box::new(condition)) } else { Condition::Always });
                continue;
            }
            "metadata" | "header" => {
                parts.extend(named(&place, key == "header"));
                continue;
            }
            "content" => {
                parts.push(Condition::Holds(bits(&place, &Content::NAMES)));
                continue;
            }
            "needs" => {
                parts.push(Condition::Needs(bits(&place, &CAPABILITIES)));
                continue;
            }
            "mentions" => {
                let phrases = texts(&place, 100).into_iter().map(lowered).collect();
                parts.push(Condition::Mentions(phrases));
                continue;
            }
            "key" => Subject::Key,
            "team" => Subject::Team,
            "environment" => Subject::Environment,
            "user" => Subject::User,
            "session" => Subject::Session,
            "tag" => Subject::Tag,
            "model" => Subject::Model,
            "endpoint" => Subject::Endpoint,
            "kind" => Subject::Kind,
            "means" => Subject::Means,
            measure => {
                parts.extend(within(&place, measure));
                continue;
            }
        };
        parts.push(Condition::Is(subject, patterns(&place)));
    }
    match parts.len() {
        0 => Condition::Always,
        1 => parts.pop().unwrap_or_default(),
        _ => Condition::All(parts),
    }
}

fn several(place: &Place<'_>) -> Vec<Condition> {
    let items = place.items(50);
    if items.is_empty() {
        place.fault("is empty; write at least one condition");
    }
    items.iter().map(read).collect()
}

fn bits(place: &Place<'_>, words: &[(&str, u32)]) -> u32 {
    if *place.node() == Node::Array(Vec::new()) {
        place.fault("is empty; write at least one");
    }
    place.items(16).iter().filter_map(|item| item.word(words)).fold(0, |all, bit| all | bit)
}

fn patterns(place: &Place<'_>) -> Vec<Pattern> {
    texts(place, 100).into_iter().map(Pattern::new).collect()
}

fn named(place: &Place<'_>, header: bool) -> Vec<Condition> {
    let entries = place.entries();
    if *place.node() == Node::Object(Members::default()) {
        place.fault("is empty, and would hold for everything");
    }
    let subject = |name: &str| {
        if header { Subject::Header(name.to_ascii_lowercase()) } else { Subject::Metadata(name.to_owned()) }
    };
    entries.into_iter().map(|(name, place)| Condition::Is(subject(name), patterns(&place))).collect()
}

fn within(place: &Place<'_>, measure: &str) -> Option<Condition> {
    let measure = match measure {
        "input_tokens" => Measure::InputTokens,
        "output_tokens" => Measure::OutputTokens,
        "messages" => Measure::Messages,
        "tools" => Measure::Tools,
        _ => Measure::Difficulty,
    };
    let (from, to) = range(place, 0, 1_000_000_000)?;
    Some(Condition::Within(measure, from, to))
}

/// `{"from": 1, "to": 3}`; what is left out is as far as it goes.
pub(super) fn range(place: &Place<'_>, least: u64, most: u64) -> Option<(u64, u64)> {
    let (mut from, mut to) = (least, most);
    let members = place.members(&["from", "to"]);
    if members.is_empty() {
        place.expected("`from`, `to` or both");
        return None;
    }
    for (key, place) in members {
        let value = place.integer(least..=most)?;
        match key {
            "from" => from = value,
            _ => to = value,
        }
    }
    if from > to {
        place.fault("`from` must not be above `to`");
        return None;
    }
    Some((from, to))
}
