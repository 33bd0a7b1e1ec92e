//! Query parameters and pages of lists.

use serde::Serialize;
use url::form_urlencoded;

use super::answer::Refusal;
use super::body::Faults;
use crate::units::UnixMillis;

const MOST_ROWS: u32 = 100;
const USUAL_ROWS: u32 = 20;
/// Longer than any id, model name or cursor: one of sums has the names of users and tags in it.
const LONGEST_VALUE: usize = 4_000;

/// The decoded parameters of a list; each is taken once by name, and what nobody took is a fault.
pub(super) struct Parameters {
    given: Vec<(String, String)>,
    /// The names that the route knows.
    known: Vec<String>,
    faults: Faults,
}

impl Parameters {
    pub fn read(query: &str) -> Parameters {
        let mut faults = Faults::default();
        let mut given: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if given.iter().any(|(other, _)| *other == name) {
                faults.add(name, "is there twice");
            } else if value.chars().count() > LONGEST_VALUE {
                faults.add(name, format!("must have at most {LONGEST_VALUE} characters"));
            } else {
                given.push((name, value));
            }
        }
        Parameters { given, known: Vec::new(), faults }
    }

    /// The value of `name`; an empty one counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.known.push(name.to_owned());
        let index = self.given.iter().position(|(given, _)| given == name)?;
        Some(self.given.swap_remove(index).1).filter(|value| !value.is_empty())
    }

    pub fn moment(&mut self, name: &str) -> Option<UnixMillis> {
        let moment = self.text(name)?.parse().ok().filter(|moment| *moment >= 0).map(UnixMillis);
        if moment.is_none() {
            self.faults.add(name, "must be milliseconds since 1970");
        }
        moment
    }

    /// The id of the last row of the page before; ids of these rows begin with `prefix`.
    pub fn cursor(&mut self, prefix: &str) -> Option<String> {
        let cursor = self.text("cursor");
        if cursor.as_ref().is_some_and(|cursor| !cursor.starts_with(prefix)) {
            self.faults.add("cursor", "must be the `next_cursor` of an earlier page");
        }
        cursor
    }

    /// How many rows a page has.
    pub fn limit(&mut self) -> u32 {
        let Some(text) = self.text("limit") else { return USUAL_ROWS };
        match text.parse() {
            Ok(limit) if (1..=MOST_ROWS).contains(&limit) => limit,
            _ => {
                self.faults.add("limit", format!("must be 1 to {MOST_ROWS}"));
                USUAL_ROWS
            }
        }
    }

    /// A whole number of at least `least` and at most `most`.
    pub fn number(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        let number = self.text(name)?.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.faults.add(name, format!("must be {least} to {most}"));
        }
        number
    }

    pub fn fault(&mut self, name: &str, message: &str) {
        self.faults.add(name, message);
    }

    /// Refuses the request if anything was wrong, or was given that the route does not know.
    pub fn end(mut self) -> Result<(), Refusal> {
        for (name, _) in self.given {
            let known = self.known.join(", ");
            let known = if known.is_empty() { "it has none" } else { known.as_str() };
            self.faults.add(name, format!("is no parameter of this route; known are {known}"));
        }
        self.faults.none()
    }
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    pub data: Vec<T>,
    /// What to send as `cursor` for the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of `limit` rows, given one more where there is a next page; `cursor` names the last row of a page.
    pub fn of(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(cursor);
        Page { data: rows, next_cursor }
    }
}
