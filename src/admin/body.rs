//! Reads a JSON body field by field and collects everything that is wrong with it.

use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::answer::{Fault, Refusal};
use crate::json::{self, FromJson, FromJsonOwned, Reader};
use crate::sorted::SortedMap;
use crate::units::NanoUsd;

/// No object that an operator writes about a key is longer.
const LONGEST_BODY: usize = 256 * 1024;

/// The fields of a JSON object in the order they were written, repeated ones included.
pub(super) struct Fields<'a>(Vec<(String, &'a RawValue)>);

/// What has been found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

/// Sets a field to what `read` gives, and leaves it where that is a fault; without a value, to its default.
pub(super) fn assign<T: Default>(field: &mut T, value: Option<&RawValue>, read: impl FnOnce(&RawValue) -> Option<T>) {
    match value {
        Some(value) => {
            if let Some(value) = read(value) {
                *field = value;
            }
        }
        // A name that is needed and missing is told once, after all fields are read.
        None => *field = T::default(),
    }
}

impl<'a> Fields<'a> {
    /// Reads `body`; nothing at all is an object without fields.
    pub fn read(body: &'a [u8]) -> Result<Fields<'a>, Refusal> {
        Fields::within(LONGEST_BODY, body)
    }

    /// The same of a body of up to `longest` bytes.
    pub fn within(longest: usize, body: &'a [u8]) -> Result<Fields<'a>, Refusal> {
        if body.len() > longest {
            return Err(Refusal::too_large(longest));
        }
        if body.trim_ascii().is_empty() {
            return Ok(Fields(Vec::new()));
        }
        crate::json::from_slice(body).map_err(|error| {
            let message = format!("The body must be a JSON object: {error}.");
            Refusal::faulty(vec![Fault { path: String::new(), message }])
        })
    }

    /// Each field of the object at `place` once; a repeated one is a fault. `null` is `None`: the field's default.
    pub fn each_once(self, place: &str, faults: &mut Faults) -> Vec<(String, Option<&'a RawValue>)> {
        let mut seen = SortedMap::new();
        let mut fields = Vec::new();
        for (name, value) in self.0 {
            if seen.insert(name.clone(), ()).is_none() {
                fields.push((name, (value.get() != "null").then_some(value)));
            } else {
                faults.add(below(place, &name), "is there twice");
            }
        }
        fields
    }
}

impl<'a> FromJson<'a> for Fields<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Fields<'a>, json::Error> {
        let mut fields = Vec::new();
        reader.members(&mut |name, reader| {
            fields.push((name.into_owned(), FromJson::from_json(reader)?));
            Ok(())
        })?;
        Ok(Fields(fields))
    }
}

impl Faults {
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { path: path.into(), message: message.into() });
    }

    /// Adds a fault unless there is one at its place.
    pub fn add_once(&mut self, path: &str, message: &str) {
        if !self.0.iter().any(|fault| fault.path == path) {
            self.add(path, message);
        }
    }

    /// Takes over what was found in the value at `path`.
    pub fn take(&mut self, path: &str, found: Faults) {
        for Fault { path: below, message } in found.0 {
            self.add(if below.is_empty() { path.to_owned() } else { format!("{path}.{below}") }, message);
        }
    }

    /// All is well, or the refusal that lists what is not.
    pub fn none(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::faulty(self.0)) }
    }

    /// Text of a length within `length` characters, without control characters.
    pub fn text(&mut self, path: &str, value: &RawValue, length: RangeInclusive<usize>) -> Option<String> {
        let text: String = self.typed(path, value, "a text")?;
        if !length.contains(&text.chars().count()) {
            self.add(path, format!("must have {} to {} characters", length.start(), length.end()));
        } else if text.chars().any(char::is_control) {
            self.add(path, "must not contain control characters");
        } else {
            return Some(text);
        }
        None
    }

    /// At most `most` texts, each one through `read`.
    pub fn texts(
        &mut self,
        path: &str,
        value: &RawValue,
        most: usize,
        mut read: impl FnMut(&mut Faults, &str, &RawValue) -> Option<String>,
    ) -> Option<Vec<String>> {
        let values: Vec<Box<RawValue>> = self.typed(path, value, "a list of texts")?;
        if values.len() > most {
            self.add(path, format!("must have at most {most} entries"));
            return None;
        }
        let texts = values.iter().enumerate().map(|(index, value)| read(self, &format!("{path}.{index}"), value));
        // Every entry is read, so that all faults are found, before one of them fails the list.
        let texts: Vec<Option<String>> = texts.collect();
        texts.into_iter().collect()
    }

    /// An object of texts: at most `most`, names of 1 to 40 and values of at most 500 characters.
    pub fn notes(&mut self, path: &str, value: &RawValue, most: usize) -> Option<SortedMap<String, String>> {
        let Ok(fields) = crate::json::from_str::<Fields<'_>>(value.get()) else {
            self.add(path, "must be an object of texts");
            return None;
        };
        let fields = fields.each_once(path, self);
        if fields.len() > most {
            self.add(path, format!("must have at most {most} entries"));
            return None;
        }
        let mut notes = SortedMap::new();
        for (name, value) in fields {
            let path = below(path, &name);
            if !(1..=40).contains(&name.chars().count()) {
                self.add(&path, "must have a name of 1 to 40 characters");
            }
            match value {
                Some(value) => notes.extend(self.text(&path, value, 0..=500).map(|text| (name, text))),
                None => self.add(&path, "must be a text"),
            }
        }
        Some(notes)
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, path: &str, value: &RawValue, range: RangeInclusive<i64>) -> Option<i64> {
        let number: i64 = self.typed(path, value, "a whole number")?;
        if range.contains(&number) {
            return Some(number);
        }
        self.add(path, format!("must be {} to {}", range.start(), range.end()));
        None
    }

    /// US dollars within `range`.
    pub fn money(&mut self, path: &str, value: &RawValue, range: RangeInclusive<NanoUsd>) -> Option<NanoUsd> {
        let amount: NanoUsd = self.typed(path, value, "US dollars: a number with at most 9 decimals")?;
        if range.contains(&amount) {
            return Some(amount);
        }
        self.add(path, format!("must be {} to {} US dollars", range.start(), range.end()));
        None
    }

    pub fn flag(&mut self, path: &str, value: &RawValue) -> Option<bool> {
        self.typed(path, value, "true or false")
    }

    /// The fields of an object, each once.
    pub fn object<'a>(&mut self, path: &str, value: &'a RawValue) -> Option<Vec<(String, Option<&'a RawValue>)>> {
        let fields = crate::json::from_str::<Fields<'a>>(value.get());
        if fields.is_err() {
            self.add(path, "must be an object");
        }
        fields.ok().map(|fields| fields.each_once(path, self))
    }

    /// Whatever `T` is read from; `expected` says what that is.
    pub fn typed<T: FromJsonOwned>(&mut self, path: &str, value: &RawValue, expected: &str) -> Option<T> {
        let read = crate::json::from_str(value.get());
        if read.is_err() {
            self.add(path, format!("must be {expected}"));
        }
        read.ok()
    }
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}
