//! Order at little cost in code: a map that is one sorted `Vec`, and sorting.

use std::borrow::Borrow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;

use serde::ser::{Serialize, Serializer};

/// A map whose entries stand sorted by their keys in one `Vec`.
///
/// It stands in for `BTreeMap`, whose code is in the script once for each type of value, at some ten kilobytes each: a
/// tenth of all code, for maps of a few entries. Looking a key up takes a binary search; inserting one in the middle
/// moves the entries behind it, so a map of more than some thousand entries that changes all the time is better off
/// with another.
///
/// ```
/// use latchkey::sorted::SortedMap;
///
/// let map: SortedMap<String, u32> = [("b".to_owned(), 2), ("a".to_owned(), 1)].into_iter().collect();
/// assert_eq!(map.get("b"), Some(&2));
/// assert_eq!(map.keys().collect::<Vec<_>>(), ["a", "b"]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> SortedMap<K, V> {
    /// Without entries.
    #[must_use]
    pub const fn new() -> SortedMap<K, V> {
        SortedMap { entries: Vec::new() }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.into_iter()
    }

    /// The entries in the order of their keys, whose values may be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + use<'_, K, V> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone + use<'_, K, V> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone + use<'_, K, V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The values in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> ValuesMut<'_, K, V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// The values in the order of their keys.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = V> + use<K, V> {
        self.entries.into_iter().map(|(_, value)| value)
    }

    /// Keeps the entries of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// The map of entries in any order; of a repeated key the last value counts. Of very many, which somebody outside may
    /// have put in the worst order, it is made at once and not one by one.
    #[must_use]
    pub fn of(mut entries: Vec<(K, V)>) -> SortedMap<K, V> {
        sort_by(&mut entries, |(one, _), (other, _)| one.cmp(other));
        // Putting them in one by one would do as well, and take more room in the script.
        entries.dedup_by(|later, earlier| {
            let is_repeated = later.0 == earlier.0;
            if is_repeated {
                std::mem::swap(later, earlier);
            }
            is_repeated
        });
        SortedMap { entries }
    }

    /// The value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(self.place(key).ok()?).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    /// The value of a key, which most likely stands where it did when it was last looked for.
    #[must_use]
    pub fn get_near<Q: Ord + ?Sized>(&self, key: &Q, near: &Cell<usize>) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.place_near(key, near).ok()?;
        self.entries.get(place).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn get_mut_near<Q: Ord + ?Sized>(&mut self, key: &Q, near: &Cell<usize>) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place_near(key, near).ok()?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    /// A key as it stands here, and its value.
    #[must_use]
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.entries.get(self.place(key).ok()?).map(|(key, value)| (key, value))
    }

    /// Whether a key is there.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// The entries whose keys are `from` or more, and less than `to`.
    pub fn range<Q: Ord + ?Sized>(&self, from: &Q, to: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let [from, to] = [from, to].map(|key| self.place(key).unwrap_or_else(|place| place));
        self.entries.get(from..to).unwrap_or_default().iter().map(|(key, value)| (key, value))
    }

    /// Sets the value of a key; gives the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => self.entries.get_mut(place).map(|(_, old)| std::mem::replace(old, value)),
            Err(place) => {
                self.entries.insert(place, (key, value));
                None
            }
        }
    }

    /// The value of a key, which is `make`'s where it had none.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let place = self.place(&key).unwrap_or_else(|place| {
            self.entries.insert(place, (key, make()));
            place
        });
        self.at(place)
    }

    /// The value of a key, which is the default one where it had none.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.get_or_insert_with(key, V::default)
    }

    /// Like [`SortedMap::get_or_default`], for a key that is copied only where it had no value.
    pub fn get_or_default_of<Q>(&mut self, key: &Q) -> &mut V
    where
        K: Borrow<Q>,
        V: Default,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        self.get_or_default_near(key, &Cell::default())
    }

    /// The same, as in [`SortedMap::get_near`].
    pub fn get_or_default_near<Q>(&mut self, key: &Q, near: &Cell<usize>) -> &mut V
    where
        K: Borrow<Q>,
        V: Default,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let place = self.place_near(key, near).unwrap_or_else(|place| {
            self.entries.insert(place, (key.to_owned(), V::default()));
            place
        });
        self.at(place)
    }

    /// Takes a key out; gives the value that it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(self.entries.remove(place).1)
    }

    /// The value at a place where one was found or put just now.
    #[allow(clippy::indexing_slicing)]
    fn at(&mut self, place: usize) -> &mut V {
        &mut self.entries[place].1
    }

    fn place_near<Q: Ord + ?Sized>(&self, key: &Q, near: &Cell<usize>) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        if self.entries.get(near.get()).is_some_and(|(other, _)| other.borrow() == key) {
            return Ok(near.get());
        }
        let place = self.place(key);
        near.set(place.unwrap_or_else(|place| place));
        place
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        // Keys that come in order, as most do, are compared once.
        match self.entries.last() {
            Some((last, _)) if last.borrow() < key => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|(other, _)| other.borrow().cmp(key)),
        }
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self).finish()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> SortedMap<K, V> {
        let mut map = SortedMap::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(entries: [(K, V); N]) -> SortedMap<K, V> {
        entries.into_iter().collect()
    }
}

/// The entries of a [`SortedMap`].
pub type Iter<'a, K, V> = std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

/// The values of a [`SortedMap`], to be changed.
pub type ValuesMut<'a, K, V> = std::iter::Map<std::slice::IterMut<'a, (K, V)>, fn(&'a mut (K, V)) -> &'a mut V>;

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Serialize, V: Serialize> Serialize for SortedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

/// Sorts by `compare`; what is equal stays in its order.
///
/// In the script the standard library's sorts take some kilobytes for each type that is sorted. Here there is one of them,
/// which sorts places.
///
/// ```
/// use latchkey::sorted;
///
/// let mut words = ["pear", "fig", "plum", "apple"];
/// sorted::sort_by(&mut words, |one, other| one.len().cmp(&other.len()));
/// assert_eq!(words, ["fig", "pear", "plum", "apple"]);
/// ```
pub fn sort_by<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let order = places(items.len(), &mut |one, other| match (items.get(one), items.get(other)) {
        (Some(one), Some(other)) => compare(one, other),
        _ => Ordering::Equal,
    });
    for (place, from) in order.into_iter().enumerate() {
        items.swap(place, from);
    }
}

/// Sorts by a key of each item; what is equal stays in its order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// Sorts by the items' own order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// With which place each of `count` places is swapped in turn, so that they end up sorted.
#[inline(never)]
fn places(count: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, other| compare(*one, *other));
    for place in 0..count {
        let mut from = order.get(place).copied().unwrap_or(place);
        // What stood at a place before this one has been swapped on to where that one's item came from.
        while from < place {
            from = order.get(from).copied().unwrap_or(place);
        }
        if let Some(at) = order.get_mut(place) {
            *at = from;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::SortedMap;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(items in proptest::collection::vec((0u8..9, any::<u8>()), 0..40)) {
            let (mut ours, mut theirs) = (items.clone(), items);
            super::sort_by_key(&mut ours, |item| item.0);
            theirs.sort_by_key(|item| item.0);
            prop_assert_eq!(&ours, &theirs);
            super::sort(&mut ours);
            theirs.sort_unstable();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[derive(Clone, Debug)]
    enum Change {
        Insert(u8, u16),
        Remove(u8),
        Default(u8),
        Retain(u8),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (any::<u8>(), any::<u16>()).prop_map(|(key, value)| Change::Insert(key, value)),
            any::<u8>().prop_map(Change::Remove),
            any::<u8>().prop_map(Change::Default),
            any::<u8>().prop_map(Change::Retain),
        ]
    }

    proptest! {
        #[test]
        fn does_what_a_b_tree_does(changes in proptest::collection::vec(change(), 0..200)) {
            let (mut map, mut tree) = (SortedMap::new(), BTreeMap::new());
            for change in changes {
                match change {
                    Change::Insert(key, value) => prop_assert_eq!(map.insert(key, value), tree.insert(key, value)),
                    Change::Remove(key) => prop_assert_eq!(map.remove(&key), tree.remove(&key)),
                    Change::Default(key) => prop_assert_eq!(map.get_or_default(key), tree.entry(key).or_default()),
                    Change::Retain(least) => {
                        map.retain(|key, _| *key >= least);
                        tree.retain(|key, _| *key >= least);
                    }
                }
                prop_assert!(map.iter().eq(tree.iter()));
            }
            for key in 0..=u8::MAX {
                prop_assert_eq!(map.get(&key), tree.get(&key));
                // Wherever it is said to have stood.
                for place in [0, usize::from(key) / 16, usize::MAX] {
                    let near = Cell::new(place);
                    prop_assert_eq!(map.get_near(&key, &near), tree.get(&key));
                    prop_assert_eq!(map.get_mut_near(&key, &near).copied(), tree.get(&key).copied());
                    let mut with = map.clone();
                    prop_assert_eq!(*with.get_or_default_near(&key, &near), tree.get(&key).copied().unwrap_or_default());
                }
                prop_assert_eq!(map.contains_key(&key), tree.contains_key(&key));
            }
            prop_assert!(map.range(&50, &200).eq(tree.range(50..200)));
            let json = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&tree).unwrap());
            prop_assert_eq!(crate::json::from_str::<SortedMap<u8, u16>>(&json).unwrap(), map);
        }

        #[test]
        fn is_read_from_members_in_any_order(members in proptest::collection::vec((any::<u8>(), any::<u16>()), 0..60)) {
            let json: Vec<String> = members.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
            let map: SortedMap<u8, u16> = crate::json::from_str(&format!("{{{}}}", json.join(","))).unwrap();
            let tree: BTreeMap<u8, u16> = members.into_iter().collect();
            prop_assert!(map.iter().eq(tree.iter()), "of a repeated key the last value counts");
        }
    }

    /// Put in one by one, each would move all that are there already: some hundred times as long.
    #[test]
    fn a_long_object_takes_no_longer_to_read_backwards() {
        let members: Vec<String> = (0..200_000).map(|key| format!(r#""{key:06}":1"#)).collect();
        let read = |members: Vec<&str>| {
            let json = format!("{{{}}}", members.join(","));
            let begun = std::time::Instant::now();
            let map: SortedMap<String, u32> = crate::json::from_str(&json).unwrap();
            assert_eq!(map.len(), 200_000);
            begun.elapsed()
        };
        let forwards = read(members.iter().map(String::as_str).collect());
        let backwards = read(members.iter().rev().map(String::as_str).collect());
        assert!(backwards < forwards * 20, "{backwards:?} and {forwards:?}");
    }
}
