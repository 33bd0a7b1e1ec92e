//! Chance that comes out the same for the same input.

/// A number above 0 and below 1 that `of` decides, spread evenly.
#[must_use]
pub fn chance(of: u64) -> f64 {
    // 53 bits are what a float holds; a half keeps both ends out.
    ((scatter(of) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A hash of a text.
#[must_use]
pub fn hash(text: &str) -> u64 {
    mix(0, text, "")
}

/// A hash of bytes, taken eight at a time: of a long text that is a fifth of the work. Not that of [`hash`].
#[must_use]
pub fn hash_of_long(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = words.iter().fold(scatter(bytes.len() as u64), |hash, word| step(hash, u64::from_le_bytes(*word)));
    scatter(rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte))))
}

/// A hash of a number and two texts.
#[must_use]
pub fn mix(seed: u64, one: &str, other: &str) -> u64 {
    // FNV-1a: short texts, no secrets, the same on every machine.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let start = scatter(seed) ^ 0xcbf2_9ce4_8422_2325;
    let hash = one.bytes().fold(start, step);
    scatter(other.bytes().fold(step(hash, 0xff), step))
}

/// Spreads every bit over all: the finish of SplitMix64.
fn scatter(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_spread_evenly() {
        let mut tenths = [0u32; 10];
        for number in 0..10_000 {
            let drawn = chance(number);
            assert!(drawn > 0.0 && drawn < 1.0);
            tenths[(drawn * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1_100).contains(count)), "{tenths:?}");
    }

    #[test]
    fn where_one_text_ends_counts() {
        assert_ne!(mix(1, "ab", "c"), mix(1, "a", "bc"));
        assert_ne!(hash("a"), hash("b"));
        assert_eq!(hash("same"), hash("same"));
        assert_eq!(hash_of_long(b"the same words"), hash_of_long(b"the same words"));
        assert_ne!(hash_of_long(b"the same words"), hash_of_long(b"the same wordS"));
        assert_ne!(hash_of_long(b"The same words"), hash_of_long(b"the same words"));
    }
}
