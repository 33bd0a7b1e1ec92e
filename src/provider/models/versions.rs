//! What is known of a model that the catalogue does not list, from those of its line that it does.
//!
//! Providers name snapshots by a date (`gpt-4o-2024-08-06`, `claude-sonnet-4-5-20250929`, `…@20250929`) and moving
//! names by `-latest`. A name that is not listed is taken for a sibling of those that differ from it in such an
//! ending only. Four digits (`mistral-large-2411`) are not taken for a date: they separate models of other sizes and
//! prices.

use super::{Entry, entries, find};

/// The listed model that stands nearest: the name without its ending, or the newest snapshot of it.
///
/// Limits and capabilities rarely change between snapshots; for prices see [`shares_price`].
#[must_use]
pub fn stand_in(catalog_id: &str, model: &str) -> Option<Entry> {
    let line = line(model).unwrap_or(model);
    find(catalog_id, line).or_else(|| siblings(catalog_id, line).last())
}

/// Whether all listed models of the same line cost the same, so that one that is not listed can be expected to.
#[must_use]
pub fn shares_price(catalog_id: &str, model: &str) -> bool {
    let line = line(model).unwrap_or(model);
    let mut prices =
        find(catalog_id, line).into_iter().chain(siblings(catalog_id, line)).map(|entry| entry.price_text());
    prices.next().is_some_and(|first| prices.all(|other| other == first))
}

/// The listed snapshots and moving names of a line, the newest snapshot last.
fn siblings<'l>(catalog_id: &'l str, line: &'l str) -> impl Iterator<Item = Entry> + 'l {
    entries(catalog_id, line).filter(move |entry| self::line(entry.id()) == Some(line))
}

/// `model` without its date or `-latest`; `None` where it has neither.
fn line(model: &str) -> Option<&str> {
    model.strip_suffix("-latest").or_else(|| without_date(model)).filter(|line| !line.is_empty())
}

fn without_date(model: &str) -> Option<&str> {
    [11, 9].into_iter().find_map(|length| {
        let (line, ending) = model.split_at_checked(model.len().checked_sub(length)?)?;
        let date = ending.strip_prefix(['-', '@'])?;
        let is_date = date.starts_with("20")
            && date.bytes().enumerate().all(|(at, byte)| match (length, at) {
                (11, 4 | 7) => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        is_date.then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn endings_are_told_from_names() {
        let cases = [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5")),
            ("claude-sonnet-4-5@20250929", Some("claude-sonnet-4-5")),
            ("claude-3-7-sonnet-latest", Some("claude-3-7-sonnet")),
            ("mistral-large-2411", None),
            ("gpt-4o", None),
            ("-latest", None),
            ("-2024-08-06", None),
            ("x-12345678", None),
            ("x-2024_08_06", None),
        ];
        for (model, expected) in cases {
            assert_eq!(line(model), expected, "{model}");
        }
    }

    #[test]
    fn a_snapshot_that_is_not_listed_is_like_its_line() {
        assert_eq!(stand_in("openai", "gpt-4o-mini-2031-01-01").map(|entry| entry.id()), Some("gpt-4o-mini"));
        assert!(shares_price("openai", "gpt-4o-mini-2031-01-01"));
        // One of its snapshots cost twice as much.
        assert!(!shares_price("openai", "gpt-4o-2031-01-01"));
        assert!(stand_in("openai", "gpt-99-2031-01-01").is_none());
        assert!(!shares_price("openai", "gpt-99"));
    }

    proptest! {
        #[test]
        fn any_name_has_a_line_or_none(model in "\\PC{0,30}(-latest|-2024-01-02|@20240102)?") {
            if let Some(line) = line(&model) {
                prop_assert!(model.starts_with(line) && !line.is_empty());
            }
            let _ = stand_in("openai", &model);
        }
    }
}
