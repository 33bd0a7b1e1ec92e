use std::hash::Hasher;

/// Hashes the names of targets eight bytes at a time.
///
/// A decision among fifty targets looks up fifty, and the usual hash, which no choice of keys can slow down, takes five
/// times as long. Callers can choose names that fall together here too, but a view holds so few that this is no matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quick(u64);

impl Quick {
    fn step(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.step(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            self.step(rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn finish(&self) -> u64 {
        // A map looks at both ends of it.
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_told_apart_and_spread() {
        let hash = |name: &str| {
            let mut quick = Quick::default();
            quick.write(name.as_bytes());
            quick.finish()
        };
        let names: Vec<String> = (0..512).map(|index| format!("openai/gpt-bench-{index}")).collect();
        let hashes: HashSet<u64> = names.iter().map(|name| hash(name)).collect();
        assert_eq!(hashes.len(), names.len());
        for bits in [0, 57] {
            let places: HashSet<u64> = hashes.iter().map(|hash| hash >> bits & 127).collect();
            assert!(places.len() > 100, "{} of 128 places, from bit {bits}", places.len());
        }
        assert_ne!(hash("a/b"), hash("a/b\0"));
    }
}
