//! The catalogue: what price lists say of models, compiled in as sorted text and read line by line when asked.
//!
//! Nothing is parsed at start-up: a look-up is a binary search over the text, and only the line that is found is
//! taken apart. `data/generate.mjs` writes the text and says how its columns are coded.
//!
//! The facts are LiteLLM's (MIT licence); what they get wrong stands in `data/exceptions.json`. Operators override
//! any of them in the configuration document.

mod entry;
mod makers;
mod versions;

pub use entry::{Entry, Modality, Mode};
pub use makers::{MAKERS, makes};
pub use versions::{shares_price, stand_in};

/// Sorted by the first column, byte by byte.
const TEXT: &str = include_str!("../data/models.txt");

/// The entry of a provider's model, by the provider's id in the catalogue.
#[must_use]
pub fn find(catalog_id: &str, model: &str) -> Option<Entry> {
    let line = lines_from(catalog_id, model).next()?;
    let entry = Entry::read(line)?;
    (entry.catalog_id() == catalog_id && entry.id() == model).then_some(entry)
}

/// The models of a provider whose ids start with `prefix`, sorted.
pub fn entries<'p>(catalog_id: &'p str, prefix: &'p str) -> impl Iterator<Item = Entry> + 'p {
    lines_from(catalog_id, prefix)
        .map_while(Entry::read)
        .take_while(move |entry| entry.catalog_id() == catalog_id && entry.id().starts_with(prefix))
}

/// The month of the price list that the catalogue was made from, such as `2026-11`.
#[must_use]
pub fn date() -> &'static str {
    TEXT.lines().next().and_then(|line| line.strip_prefix("#date\t")).unwrap_or_default()
}

/// The lines from the first one on whose key is not before `provider/model`.
fn lines_from(provider: &str, model: &str) -> std::str::Lines<'static> {
    // `start` is always the beginning of a line; all lines before it are before the key, none from `end` on is.
    let (mut start, mut end) = (0, TEXT.len());
    while start < end {
        let middle = start + (end - start) / 2;
        let line_start = TEXT.get(..middle).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1).max(start);
        let line = TEXT.get(line_start..end).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
        let key = line.split('\t').next().unwrap_or_default();
        if compare(key, provider, model).is_lt() {
            start = line_start + line.len() + 1;
        } else {
            end = line_start;
        }
    }
    TEXT.get(start..).unwrap_or_default().lines()
}

/// Compares a key with `provider/model` without building the latter.
fn compare(key: &str, provider: &str, model: &str) -> std::cmp::Ordering {
    key.bytes().cmp(provider.bytes().chain([b'/']).chain(model.bytes()))
}

#[cfg(test)]
mod tests;
