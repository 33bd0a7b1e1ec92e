//! End users: people behind a key, by the id that callers send in `user` or `x-latchkey-user`.
//!
//! A user needs no record to be counted or limited; a record gives the id a name, and notes.

use crate::json::readable;
use crate::sorted::SortedMap;
use serde::Serialize;
use serde_json::value::RawValue;

use super::body::{Faults, assign};
use super::records::Resource;

const LONGEST_ID: usize = 200;
const LONGEST_NAME: usize = 100;
const MOST_NOTES: usize = 50;

/// An end user's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct User {
    /// What callers send; chosen by whoever makes the record, and never changed.
    id: String,
    name: String,
    /// The operator's own notes.
    metadata: SortedMap<String, String>,
}
readable! { User { id, name, metadata } }

impl Resource for User {
    const WRITABLE: &[&str] = &["id", "name", "metadata"];

    fn id(&mut self) -> &mut String {
        &mut self.id
    }

    fn set(&mut self, name: &str, value: Option<&RawValue>, faults: &mut Faults) {
        match name {
            "id" => assign(&mut self.id, value, |value| faults.text(name, value, 1..=LONGEST_ID)),
            "name" => assign(&mut self.name, value, |value| faults.text(name, value, 0..=LONGEST_NAME)),
            _ => assign(&mut self.metadata, value, |value| faults.notes(name, value, MOST_NOTES)),
        }
    }

    fn check(&self, faults: &mut Faults) {
        if self.id.is_empty() {
            faults.add_once("id", &format!("is needed: what callers send as `user`, 1 to {LONGEST_ID} characters"));
        }
    }
}
