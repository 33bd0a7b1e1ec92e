use std::borrow::Cow;
use std::ops::Range;

use super::Member;
use crate::sorted;

/// Changes to a body where it stands: all that is not named stays byte for byte.
///
/// ```
/// use latchkey::json::{Cursor, Edits};
/// let body = br#"{"a": 1, "b":2}"#;
/// let members = Cursor::new(body)?.spans()?;
/// let mut edits = Edits::of(body);
/// edits.object(0, &members, |member| member.key == "a", &[("c", b"3")]);
/// assert_eq!(&*edits.apply(), br#"{"c":3,"b":2}"#);
/// # Ok::<(), latchkey::json::SyntaxError>(())
/// ```
#[derive(Debug)]
pub struct Edits<'b> {
    body: &'b [u8],
    edits: Vec<(Range<usize>, Cow<'b, [u8]>)>,
}

impl<'b> Edits<'b> {
    /// None yet.
    #[must_use]
    pub fn of(body: &'b [u8]) -> Edits<'b> {
        Edits { body, edits: Vec::new() }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Puts `with` in the place of `range`. Ranges must not overlap.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Cow<'b, [u8]>>) {
        let with = with.into();
        if self.body.get(range.clone()) != Some(&*with) {
            self.edits.push((range, with));
        }
    }

    /// Takes members out of the object that opens at `open`, and puts new ones at its front.
    pub fn object(
        &mut self,
        open: usize,
        members: &[Member<'_>],
        remove: impl Fn(&Member<'_>) -> bool,
        insert: &[(&str, &[u8])],
    ) {
        self.members(open, members, &remove, insert);
    }

    /// The same, compiled once for all who ask.
    fn members(
        &mut self,
        open: usize,
        members: &[Member<'_>],
        remove: &dyn Fn(&Member<'_>) -> bool,
        insert: &[(&str, &[u8])],
    ) {
        let (mut at, mut gone) = (0, 0);
        while let Some(first) = members.iter().skip(at).position(remove).map(|found| at + found) {
            let kept = members.iter().skip(first + 1).position(|member| !remove(member));
            let end = kept.map_or(members.len(), |kept| first + 1 + kept);
            if let Some(range) = run(members, first, end) {
                self.replace(range, &b""[..]);
            }
            (at, gone) = (end, gone + end - first);
        }
        if !insert.is_empty() {
            let length = insert.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
            let mut front = Vec::with_capacity(length);
            for (key, value) in insert {
                front.extend_from_slice(if front.is_empty() { b"\"" } else { b",\"" });
                front.extend_from_slice(key.as_bytes());
                front.extend_from_slice(b"\":");
                front.extend_from_slice(value);
            }
            if gone < members.len() {
                front.push(b',');
            }
            self.edits.push((open + 1..open + 1, Cow::Owned(front)));
        }
    }

    /// The body with every change; the body itself where there is none.
    #[must_use]
    pub fn apply(mut self) -> Cow<'b, [u8]> {
        if self.edits.is_empty() {
            return Cow::Borrowed(self.body);
        }
        // Stable, so that what is put at one place keeps its order.
        sorted::sort_by_key(&mut self.edits, |(range, _)| (range.start, range.end));
        let grown: usize = self.edits.iter().map(|(_, with)| with.len()).sum();
        let mut out = Vec::with_capacity(self.body.len() + grown);
        let mut at = 0;
        for (range, with) in &self.edits {
            out.extend_from_slice(self.body.get(at..range.start).unwrap_or_default());
            out.extend_from_slice(with);
            at = at.max(range.end);
        }
        out.extend_from_slice(self.body.get(at..).unwrap_or_default());
        Cow::Owned(out)
    }
}

/// What to cut so that members `first..end`, which are followed by a kept one or by none, are gone with one comma each.
fn run(members: &[Member<'_>], first: usize, end: usize) -> Option<Range<usize>> {
    let start = members.get(first)?.start;
    if let Some(next) = members.get(end) {
        return Some(start..next.start);
    }
    let last = members.get(end.checked_sub(1)?)?.value.end;
    let before = first.checked_sub(1).and_then(|before| members.get(before));
    Some(before.map_or(start, |before| before.value.end)..last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Cursor;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    proptest! {
        #[test]
        fn what_is_left_is_what_a_tree_would_keep(
            kept in proptest::collection::vec(any::<bool>(), 0..7),
            inserted in any::<bool>(),
            space in "[ \n]{0,2}",
        ) {
            let names: Vec<String> = (0..kept.len()).map(|at| format!("k{at}")).collect();
            let members: Vec<String> =
                names.iter().map(|name| format!("{space}\"{name}\"{space}:{space}[{{}}]{space}")).collect();
            let body = format!("{{{}}}", members.join(","));
            let spans = Cursor::new(body.as_bytes()).expect("UTF-8").spans().expect("an object");
            let mut edits = Edits::of(body.as_bytes());
            let gone = |member: &Member<'_>| !kept[member.key[1..].parse::<usize>().expect("a number")];
            edits.object(0, &spans, gone, if inserted { &[("new", b"1")] } else { &[] });
            let changed: Value = serde_json::from_slice(&edits.apply()).expect("still JSON");
            let mut expected = Map::new();
            if inserted {
                expected.insert("new".to_owned(), 1.into());
            }
            for (name, _) in names.iter().zip(&kept).filter(|(_, kept)| **kept) {
                expected.insert(name.clone(), serde_json::json!([{}]));
            }
            prop_assert_eq!(changed, Value::Object(expected));
        }
    }
}
