//! Ids of tool calls for vendors that want them in a form of their own.

use std::borrow::Cow;

/// `id` as nine of `[a-zA-Z0-9]`: itself where it is that already, else a hash of it, the same each time, so that a
/// call and its result still belong together. Taken as written, escapes included.
///
/// Source: <https://docs.mistral.ai/capabilities/function_calling>.
#[must_use]
pub(super) fn nine(id: &str) -> Cow<'_, str> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let mut hash = fnv(id.bytes());
    let mut spelled = String::with_capacity(9);
    for _ in 0..9 {
        let digit = usize::try_from(hash % 62).unwrap_or(0);
        spelled.push(ALPHABET.get(digit).map_or('0', |byte| char::from(*byte)));
        hash /= 62;
    }
    Cow::Owned(spelled)
}

/// FNV-1a: no secret depends on it, only that different ids rarely meet.
pub(in crate::wire) fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_apart_and_together() {
        assert_eq!(nine("aB3dE6gH9"), "aB3dE6gH9");
        let other = nine("call_abc").into_owned();
        assert_eq!((other.len(), nine("call_abc") == other, nine("call_abd") == other), (9, true, false));
        assert_eq!(nine(&other), other);
    }
}
