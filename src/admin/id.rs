//! Ids that sort by the moment of their making, so that the newest of anything is the last of an index.

use crate::units::UnixMillis;

/// Digits in their order, without the letters that are mistaken for digits (Crockford's base 32).
const DIGITS: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n', 'p',
    'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
];

/// `prefix_` and 26 digits: 48 bits of time in milliseconds, 80 of randomness.
pub(super) fn mint(prefix: &str, now: UnixMillis, random: [u8; 10]) -> String {
    let time = u128::try_from(now.0).unwrap_or(0) & 0xffff_ffff_ffff;
    let number = random.iter().fold(time, |number, byte| (number << 8) | u128::from(*byte));
    let digits = (0..26u32).rev().map(|place| {
        let index = usize::try_from((number >> (place * 5)) & 31).unwrap_or(0);
        DIGITS.get(index).copied().unwrap_or('0')
    });
    format!("{prefix}_{}", digits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_digits_are_pinned() {
        assert_eq!(mint("key", UnixMillis(0), [0; 10]), "key_00000000000000000000000000");
        assert_eq!(mint("key", UnixMillis(1), [255; 10]), "key_0000000001zzzzzzzzzzzzzzzz");
    }

    proptest! {
        #[test]
        fn later_sorts_after_earlier(earlier in 0..1i64 << 47, wait in 1..1i64 << 40, first: [u8; 10], second: [u8; 10]) {
            prop_assert!(mint("key", UnixMillis(earlier), first) < mint("key", UnixMillis(earlier + wait), second));
        }

        #[test]
        fn other_randomness_is_another_id(now in 0..1i64 << 47, first: [u8; 10], second: [u8; 10]) {
            prop_assert_eq!(mint("a", UnixMillis(now), first) == mint("a", UnixMillis(now), second), first == second);
        }
    }
}
