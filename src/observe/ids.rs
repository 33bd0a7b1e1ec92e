use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Mints request ids: unique, unguessable, and without asking the platform for randomness on every call.
#[derive(Clone)]
pub struct Ids {
    seed: [u8; 32],
    minted: u64,
}

impl Ids {
    /// From 32 random bytes, drawn once an isolate.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Ids {
        Ids { seed, minted: 0 }
    }

    /// The next id: `req_` and 128 bits in hexadecimal.
    pub fn mint(&mut self) -> String {
        let bytes = self.next_bytes();
        let mut id = String::with_capacity(36);
        id.push_str("req_");
        for byte in bytes.iter().take(16) {
            for nibble in [byte >> 4, byte & 15] {
                id.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        id
    }

    /// A number that no caller can predict: for a share of calls, never for a key.
    pub fn chance(&mut self) -> u64 {
        let bytes = self.next_bytes();
        bytes.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn next_bytes(&mut self) -> [u8; 32] {
        self.minted = self.minted.wrapping_add(1);
        // HMAC takes keys of any length, so this cannot fail; a failure would only repeat the counter in the id.
        let mut bytes = [0u8; 32];
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.seed) {
            mac.update(&self.minted.to_be_bytes());
            bytes.copy_from_slice(&mac.finalize().into_bytes());
        }
        bytes
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ids").field("minted", &self.minted).finish_non_exhaustive()
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
}
