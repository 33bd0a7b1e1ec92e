//! Names that look like one that does not exist.

use crate::provider::Registry;
use crate::provider::models::entries;
use crate::sorted;

/// Names are listed up to this many.
const MAX_NAMES: usize = 3;
/// Longer names are not searched for, and no name of the catalogue is compared beyond it: the work is bounded.
const MAX_LETTERS: usize = 64;

/// The names of this gateway's models that differ from `wanted` in the fewest letters, best first.
///
/// A name is compared both with and without its provider; upper case counts as lower case. More than a quarter of
/// the letters must not differ.
pub(super) fn nearest(registry: &Registry, wanted: &str) -> Vec<String> {
    let wanted: Vec<u8> = wanted.to_ascii_lowercase().into_bytes();
    if wanted.len() > MAX_LETTERS {
        return Vec::new();
    }
    let most = (wanted.len() / 4).clamp(1, 6);
    let mut found: Vec<(usize, String)> = Vec::new();
    for upstream in registry.usable() {
        let listed = entries(&upstream.catalog_id, "").map(|entry| entry.id());
        let own = upstream.models.iter().map(String::as_str);
        let written = registry.written_of(&upstream.id).map(|(id, _)| id);
        for id in listed.chain(own).chain(written) {
            let whole = format!("{}/{id}", upstream.id);
            let distances = [id, &whole].into_iter().filter_map(|name| distance(&wanted, name.as_bytes(), most));
            if let Some(distance) = distances.min() {
                found.push((distance, whole));
            }
        }
    }
    sorted::sort(&mut found);
    found.dedup();
    found.into_iter().take(MAX_NAMES).map(|(_, name)| name).collect()
}

/// How many letters must be put in, taken out or replaced to make one name of the other; `None` if more than `most`.
pub(crate) fn distance(wanted: &[u8], name: &[u8], most: usize) -> Option<usize> {
    if wanted.len().abs_diff(name.len()) > most {
        return None;
    }
    // Levenshtein's table, one row at a time: `row[i]` is the distance of the first i wanted letters.
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (taken, letter) in name.iter().map(u8::to_ascii_lowercase).enumerate() {
        let (mut diagonal, mut left) = (taken, taken + 1);
        let mut least = left;
        for (cell, other) in row.iter_mut().skip(1).zip(wanted) {
            let above = *cell;
            left = (diagonal + usize::from(letter != *other)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
            least = least.min(left);
        }
        if let Some(first) = row.first_mut() {
            *first = taken + 1;
        }
        if least > most {
            return None;
        }
    }
    row.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_put_in_taken_out_and_replaced_count_once() {
        let cases =
            [("gpt4o", "gpt-4o", Some(1)), ("gpt-4o", "gpt4o", Some(1)), ("abc", "abd", Some(1)), ("", "", Some(0))];
        for (wanted, name, expected) in cases {
            assert_eq!(distance(wanted.as_bytes(), name.as_bytes(), 3), expected, "{wanted} {name}");
        }
        assert_eq!(distance(b"kitten", b"sitting", 3), Some(3));
        assert_eq!(distance(b"kitten", b"sitting", 2), None);
    }

    proptest! {
        #[test]
        fn a_distance_is_symmetric_and_zero_only_for_the_same(one in "[a-c]{0,8}", other in "[a-c]{0,8}") {
            let there = distance(one.as_bytes(), other.as_bytes(), 8);
            prop_assert_eq!(there, distance(other.as_bytes(), one.as_bytes(), 8));
            prop_assert_eq!(there == Some(0), one == other);
        }
    }
}
