use hmac::digest::Key;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Mints request ids: unique, unguessable, and without asking the platform for randomness on every call.
#[derive(Clone)]
pub struct Ids {
    /// Keyed with the seed: hashing that anew would double the price of a draw.
    keyed: Hmac<Sha256>,
    drawn: u64,
    /// The last draw, of which the first `left` bytes were given to nobody yet.
    pool: [u8; 32],
    left: usize,
}

impl Ids {
    /// From 32 random bytes, drawn once an isolate.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Ids {
        let mut block = Key::<Hmac<Sha256>>::default();
        for (byte, random) in block.iter_mut().zip(seed) {
            *byte = random;
        }
        Ids { keyed: Hmac::new(&block), drawn: 0, pool: [0; 32], left: 0 }
    }

    /// The next id: `req_` and 128 bits in hexadecimal.
    pub fn mint(&mut self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        let digits = self.take::<16>().map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        let digits = std::str::from_utf8(digits.as_flattened()).unwrap_or_default();
        ["req_", digits].concat()
    }

    /// A number that no caller can predict: for a share of calls, never for a key.
    pub fn chance(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    /// Bytes that are given out this once: what one caller is told says nothing of what another one is.
    fn take<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        if self.left < COUNT {
            self.drawn = self.drawn.wrapping_add(1);
            let draw = self.keyed.clone().chain_update(self.drawn.to_be_bytes());
            (self.pool, self.left) = (draw.finalize().into_bytes().into(), self.pool.len());
        }
        self.left -= COUNT;
        self.pool.get(self.left..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; COUNT])
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ids").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_hide_their_seed() {
        let mut ids = Ids::new([7; 32]);
        let (first, second) = (ids.mint(), ids.mint());
        assert_ne!(first, second);
        assert_eq!(first.len(), 36);
        assert!(!format!("{ids:?}").contains("7, 7"));
    }

    #[test]
    fn nothing_is_given_out_twice() {
        let mut ids = Ids::new([7; 32]);
        let mut seen = std::collections::HashSet::new();
        for round in 0..1_000 {
            let id = ids.mint();
            assert!(id.bytes().skip(4).all(|digit| digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase()), "{id}");
            let halves = [id[4..20].to_owned(), id[20..].to_owned()];
            let drawn = (0..round % 4).map(|_| format!("{:016x}", ids.chance()));
            for bytes in halves.into_iter().chain(drawn.collect::<Vec<_>>()) {
                assert!(seen.insert(bytes), "in round {round}");
            }
        }
    }
}
