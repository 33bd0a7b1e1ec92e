//! Reading the document piece by piece, noting every fault with its path.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use crate::json::number::shown;
use crate::json::read_float;
use crate::json::tree::{Members, Node};
use crate::sorted::SortedMap;
use crate::units::NanoUsd;

/// More than this many faults are not listed: the document is then not what it was meant to be.
const MAX_FAULTS: usize = 100;

/// Something in the document that must be corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, such as `models.openai/gpt-4o.prices.0.usd_per_mtok.input`; empty for the document as a whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The faults found so far, and the models that were named: who that is shows when all has been read.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: RefCell<Vec<Fault>>,
    named: RefCell<Vec<(String, String)>>,
}

impl Faults {
    pub(super) fn into_vec(self) -> Vec<Fault> {
        self.found.into_inner()
    }

    /// Asks of each model that was named what is wrong with it.
    pub(super) fn of_names(&self, fault: impl Fn(&str) -> Option<String>) {
        for (path, model) in self.named.take() {
            if let Some(message) = fault(&model) {
                self.add(&path, message);
            }
        }
    }

    fn add(&self, path: &str, message: String) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_FAULTS {
            found.push(Fault { path: path.to_owned(), message });
        }
    }
}

/// A value of the document and where it stands. What is asked of it and not there is noted as a fault.
#[derive(Clone, Debug)]
pub(super) struct Place<'d> {
    path: String,
    node: &'d Node,
    faults: &'d Faults,
}

impl<'d> Place<'d> {
    pub(super) fn root(node: &'d Node, faults: &'d Faults) -> Place<'d> {
        Place { path: String::new(), node, faults }
    }

    /// Notes a fault here.
    pub(super) fn fault(&self, message: impl Into<String>) {
        self.faults.add(&self.path, message.into());
    }

    /// Whether `read` found nothing wrong here, and what it read.
    pub(super) fn is_understood<T>(&self, read: impl FnOnce(&Place<'d>) -> T) -> (bool, T) {
        let count = || self.faults.found.borrow().len();
        let (before, value) = (count(), read(self));
        // With more faults than are listed, nobody knows.
        (count() == before && before < MAX_FAULTS, value)
    }

    /// Notes that a model, or a pattern of targets, is named here.
    pub(super) fn names(&self, model: &str) {
        self.faults.named.borrow_mut().push((self.path.clone(), model.to_owned()));
    }

    /// A string that names a model; empty where it is none.
    pub(super) fn model(&self, longest: usize) -> String {
        let model = self.text(longest).unwrap_or_default();
        if !model.is_empty() {
            self.names(model);
        }
        model.to_owned()
    }

    /// Notes that a member is missing here. What is no object at all has been noted as that.
    pub(super) fn lacks(&self, key: &str, why: &str) {
        if let Node::Object(_) = self.node {
            self.below(key, self.node).fault(format!("is missing: {why}"));
        }
    }

    /// The members of an object whose keys are free, each key once.
    pub(super) fn entries(&self) -> Vec<(&'d str, Place<'d>)> {
        let Node::Object(Members(members)) = self.node else {
            self.expected("an object");
            return Vec::new();
        };
        let mut entries: Vec<(&str, Place<'_>)> = Vec::with_capacity(members.len());
        let mut seen = SortedMap::new();
        for (key, value) in members {
            let place = self.below(key, value);
            if seen.insert(key.as_str(), ()).is_none() {
                entries.push((key, place));
            } else {
                place.fault("stands here twice");
            }
        }
        entries
    }

    /// The members of an object whose keys are `known`.
    pub(super) fn members(&self, known: &[&str]) -> Vec<(&'d str, Place<'d>)> {
        let mut members = self.entries();
        members.retain(|(key, place)| {
            let is_known = known.contains(key);
            if !is_known {
                place.fault(format!("is not known here; known are {}", known.join(", ")));
            }
            is_known
        });
        members
    }

    /// The items of an array.
    pub(super) fn items(&self, most: usize) -> Vec<Place<'d>> {
        let Node::Array(items) = self.node else {
            self.expected("an array");
            return Vec::new();
        };
        if items.len() > most {
            self.fault(format!("has {} items; at most {most} are allowed", items.len()));
        }
        items.iter().take(most).enumerate().map(|(index, item)| self.below(&index.to_string(), item)).collect()
    }

    /// A string of 1 to `longest` bytes without control characters.
    pub(super) fn text(&self, longest: usize) -> Option<&'d str> {
        let Node::String(text) = self.node else {
            self.expected("a string");
            return None;
        };
        if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
            self.fault(format!("must have 1 to {longest} bytes and no control characters"));
            return None;
        }
        Some(text)
    }

    /// An integer within `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match self.node {
            Node::Number(number) => number.parse::<u64>().ok().filter(|number| range.contains(number)),
            _ => None,
        };
        if number.is_none() {
            self.expected(&format!("an integer from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A decimal number from `least` to `most`: a share, a weight, never money.
    pub(super) fn decimal(&self, least: f64, most: f64) -> Option<f64> {
        let number = match self.node {
            Node::Number(number) => read_float(number).filter(|number| (least..=most).contains(number)),
            _ => None,
        };
        if number.is_none() {
            self.expected(&format!("a number from {} to {}", shown(least), shown(most)));
        }
        number
    }

    /// A text of 1 to `longest` bytes that may have several lines.
    pub(super) fn prose(&self, longest: usize) -> Option<&'d str> {
        let Node::String(text) = self.node else {
            self.expected("a string");
            return None;
        };
        if text.is_empty() || text.len() > longest {
            self.fault(format!("must have 1 to {longest} bytes"));
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let Node::Bool(value) = self.node else {
            self.expected("true or false");
            return None;
        };
        Some(*value)
    }

    /// US dollars, not below zero.
    pub(super) fn usd(&self, most: NanoUsd) -> Option<NanoUsd> {
        let amount = match self.node {
            Node::Number(number) => NanoUsd::parse_usd(number).filter(|usd| (NanoUsd::ZERO..=most).contains(usd)),
            _ => None,
        };
        if amount.is_none() {
            self.expected(&format!("US dollars as a number from 0 to {most} with at most 9 decimals"));
        }
        amount
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let found = match self.node {
            Node::String(text) => words.iter().find(|(word, _)| word == text).map(|(_, meaning)| *meaning),
            _ => None,
        };
        if found.is_none() {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.expected(&words.join(" or "));
        }
        found
    }

    /// The value itself.
    pub(super) fn node(&self) -> &'d Node {
        self.node
    }

    /// Notes that something else should stand here.
    pub(super) fn expected(&self, what: &str) {
        let found = match self.node {
            Node::Number(number) if number.len() <= 32 => number.clone(),
            Node::String(text) if text.len() <= 32 => format!("`{text}`"),
            Node::Null => "null".to_owned(),
            Node::Bool(_) => "a boolean".to_owned(),
            Node::Number(_) => "a number".to_owned(),
            Node::String(_) => "a string".to_owned(),
            Node::Array(_) => "an array".to_owned(),
            Node::Object(_) => "an object".to_owned(),
        };
        self.fault(format!("expected {what}, found {found}"));
    }

    fn below(&self, key: &str, node: &'d Node) -> Place<'d> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Place { path, node, faults: self.faults }
    }
}
