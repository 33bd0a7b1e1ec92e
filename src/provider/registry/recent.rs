use std::cell::RefCell;

/// Answers of late look-ups, by provider and model.
///
/// A look-up in the catalogue is a search through a megabyte of text that nothing else touches, so it is dear out of
/// proportion: its memory is never in a cache. Most calls of an isolate are for a handful of models.
#[derive(Debug)]
pub(super) struct Recent<V> {
    found: RefCell<Vec<Found<V>>>,
}

#[derive(Debug)]
struct Found<V> {
    provider: String,
    model: String,
    value: V,
}

/// Model names come from callers: with more than this many in turn, remembering starts over.
const MOST: usize = 64;

impl<V> Default for Recent<V> {
    fn default() -> Recent<V> {
        Recent { found: RefCell::new(Vec::new()) }
    }
}

impl<V: Clone> Recent<V> {
    /// What `look_up` gave the last time, or gives now.
    pub(super) fn get(&self, provider: &str, model: &str, look_up: impl FnOnce() -> V) -> V {
        let is_this = |found: &&Found<V>| found.model == model && found.provider == provider;
        if let Some(found) = self.found.borrow().iter().find(is_this) {
            return found.value.clone();
        }
        let value = look_up();
        let mut found = self.found.borrow_mut();
        if found.len() >= MOST {
            found.clear();
        }
        found.push(Found { provider: provider.to_owned(), model: model.to_owned(), value: value.clone() });
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_is_done_once_and_what_is_kept_is_bounded() {
        let recent = Recent::default();
        assert_eq!(recent.get("a", "b/c", || 1), 1);
        assert_eq!(recent.get("a", "b/c", || 2), 1);
        assert_eq!(recent.get("a/b", "c", || 3), 3, "another provider's model");
        for model in 0..1000 {
            assert_eq!(recent.get("a", &model.to_string(), || model), model);
        }
        assert!(recent.found.borrow().len() <= MOST);
    }
}
