//! The text of a key: `lk-`, 32 random bytes, and 12 bytes of tag, both as base64url.
//!
//! The tag is compared as text, over the text: a key has exactly one spelling.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Secrets;
use crate::secret::Secret;

const PREFIX: &str = "lk-";
/// `lk-` and 32 bytes as base64url.
const PUBLIC_LENGTH: usize = 3 + 43;
/// 12 bytes as base64url: 96 bits, far beyond what can be tried against a gateway.
const TAG_BYTES: usize = 12;
const TAG_LENGTH: usize = 16;
/// How many characters of a key may be shown again, to tell one from another: 42 bits of its 256.
const START_LENGTH: usize = 10;

/// Characters in the text of a key.
pub const KEY_LENGTH: usize = PUBLIC_LENGTH + TAG_LENGTH;

/// A key just made.
#[derive(Debug)]
pub struct Minted {
    /// What the caller will send. Shown once and stored nowhere.
    pub text: Secret,
    /// What is stored in its place.
    pub hash: KeyHash,
    /// Its first characters, for lists.
    pub start: String,
}

/// The SHA-256 of a key's text. 256 random bits need no salt and no slow hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash that was written as 64 hexadecimal digits, lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<KeyHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0u8; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                *byte = (*byte << 4) | nibble(*digit)?;
            }
        }
        Some(KeyHash(hash))
    }

    fn of(text: &str) -> KeyHash {
        KeyHash(Sha256::digest(text.as_bytes()).into())
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// 64 hexadecimal digits, lower case.
impl fmt::Display for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// As it is displayed: a hash is no secret, it opens nothing.
impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyHash({self})")
    }
}

/// Makes a key from 32 bytes of the platform's cryptographic randomness.
#[must_use]
pub fn mint(secrets: &Secrets, random: [u8; 32]) -> Minted {
    let mut text = String::with_capacity(KEY_LENGTH);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(random, &mut text);
    let tag = secrets.key_tag(text.as_bytes());
    text.push_str(&String::from_utf8_lossy(&tag_text(&tag)));
    let start = text.chars().take(START_LENGTH).collect();
    Minted { hash: KeyHash::of(&text), start, text: Secret::new(text) }
}

/// The hash of a text that may be a key; `None` where it has not the shape of one.
///
/// Whoever knows the hash already knows this very text, and need not [`check`] it again.
#[must_use]
pub fn hash(text: &str) -> Option<KeyHash> {
    (text.len() == KEY_LENGTH && text.starts_with(PREFIX)).then(|| KeyHash::of(text))
}

/// The hash of a key that this gateway has made; `None` for any other text.
///
/// Says nothing of whether the key still exists: that is its grant's to say. Takes a hash and one HMAC for a genuine
/// key, looks nothing up and allocates nothing; the tag is compared in constant time.
#[must_use]
pub fn check(secrets: &Secrets, text: &str) -> Option<KeyHash> {
    let hash = hash(text)?;
    let (public, tag) = text.as_bytes().split_at_checked(PUBLIC_LENGTH)?;
    secrets.any_key_tag(public, |expected| tag_text(expected).ct_eq(tag).into()).then_some(hash)
}

fn tag_text(tag: &[u8; 32]) -> [u8; TAG_LENGTH] {
    let mut text = [0u8; TAG_LENGTH];
    let (kept, _) = tag.split_at(TAG_BYTES);
    // Twelve bytes are sixteen characters; were they not, the text would stay zero and match no key.
    if URL_SAFE_NO_PAD.encode_slice(kept, &mut text).is_err() {
        return [0u8; TAG_LENGTH];
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets() -> Secrets {
        Secrets::from_environment(Some("a secret of the tests"), None, None).expect("a secret is there")
    }

    #[test]
    fn the_text_of_a_key_is_pinned() {
        // Keys handed out last year must still be recognised: this text may never change.
        let minted = mint(&secrets(), [7; 32]);
        assert_eq!(minted.text.expose(), "lk-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcmCudmFKYxP-cNrXD");
        assert_eq!(minted.hash.to_string(), "a7ae56b6e4bde72e43ad8d92314318a1c917b1e3e933f1714ef24ab7a985cf64");
        assert_eq!(minted.start, "lk-BwcHBwc");
        assert_eq!(minted.text.expose().len(), KEY_LENGTH);
    }

    #[test]
    fn keys_of_the_previous_secret_are_recognised() {
        let old = mint(&secrets(), [1; 32]);
        let rotated = Secrets::from_environment(Some("new"), Some("a secret of the tests"), None).expect("secrets");
        assert_eq!(check(&rotated, old.text.expose()), Some(old.hash));
        let gone = Secrets::from_environment(Some("new"), None, None).expect("secrets");
        assert_eq!(check(&gone, old.text.expose()), None);
    }

    #[test]
    fn a_minted_key_does_not_show_itself() {
        let minted = mint(&secrets(), [7; 32]);
        assert!(!format!("{minted:?}").contains(minted.text.expose()));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in ["", "0", &"0".repeat(63), &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert_eq!(KeyHash::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_minted_key_is_recognised(random: [u8; 32]) {
            let minted = mint(&secrets(), random);
            prop_assert_eq!(check(&secrets(), minted.text.expose()), Some(minted.hash));
            prop_assert_eq!(KeyHash::parse(&minted.hash.to_string()), Some(minted.hash));
            prop_assert!(minted.text.expose().starts_with(&minted.start));
        }

        #[test]
        fn any_other_text_is_refused(text in ".*") {
            prop_assert_eq!(check(&secrets(), &text), None);
        }

        #[test]
        fn a_text_of_the_right_shape_is_refused(text in "lk-[A-Za-z0-9_-]{59}") {
            prop_assert_eq!(text.len(), KEY_LENGTH);
            prop_assert_eq!(check(&secrets(), &text), None);
        }

        #[test]
        fn a_flipped_bit_is_refused(random: [u8; 32], index in 0..KEY_LENGTH, bit in 0..7u8) {
            let mut bytes = mint(&secrets(), random).text.expose().as_bytes().to_vec();
            bytes[index] ^= 1 << bit;
            let text = String::from_utf8(bytes).expect("still ASCII");
            prop_assert_eq!(check(&secrets(), &text), None);
        }

        #[test]
        fn another_secret_is_refused(random: [u8; 32], secret in ".{1,40}") {
            prop_assume!(secret != "a secret of the tests");
            let other = Secrets::from_environment(Some(&secret), None, None).expect("a secret is there");
            prop_assert_eq!(check(&other, mint(&secrets(), random).text.expose()), None);
        }
    }
}
