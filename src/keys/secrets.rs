//! Subkeys of the gateway's secret, one a purpose, and values sealed with them.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::wire::carried::Keys;

/// Separates our derivations from those of any other program that is given the same secret.
const SALT: &[u8] = b"latchkey/1";
/// The format of a sealed value; a value of another format is not opened.
const SEAL_VERSION: &str = "1";
/// Characters of a seal: 32 bytes as base64url.
const SEAL_LENGTH: usize = 43;

/// What is derived from `LATCHKEY_SECRET`: the current generation, and older ones still accepted.
///
/// New tags and seals are made with the current generation only. Its `Debug` is blank.
#[derive(Clone)]
pub struct Secrets {
    current: Generation,
    accepted: Vec<Generation>,
    carried: Rc<Keys>,
}

#[derive(Clone)]
struct Generation {
    key_tag: Hmac<Sha256>,
    seal: Hmac<Sha256>,
    webhook: Hmac<Sha256>,
    copy: [u8; 32],
    carried: Hmac<Sha256>,
}

impl Secrets {
    /// Subkeys from the environment: `LATCHKEY_SECRET`, `LATCHKEY_SECRET_PREVIOUS` and `ADMIN_KEY`.
    ///
    /// Without `LATCHKEY_SECRET` everything is derived from `ADMIN_KEY`, so that one secret is enough to begin with.
    /// Keys made that way stay valid when `LATCHKEY_SECRET` is set later, as long as `ADMIN_KEY` stays the same; to
    /// change `ADMIN_KEY` without ending them, set `LATCHKEY_SECRET_PREVIOUS` to the old one. Whoever holds a key can
    /// test guesses of the secret against its tag, so the secret must be random (32 bytes or more), not a pass
    /// phrase. `None` if neither secret is there.
    #[must_use]
    pub fn from_environment(secret: Option<&str>, previous: Option<&str>, admin_key: Option<&str>) -> Option<Secrets> {
        let [secret, previous, admin_key] =
            [secret, previous, admin_key].map(|value| value.filter(|text| !text.is_empty()).map(str::as_bytes));
        let own = |bytes| Generation::derive(b"secret", bytes);
        let borrowed = |bytes| Generation::derive(b"admin key", bytes);
        // The previous one may have been either: a secret, or the admin key that stood in for it.
        let previous = [previous.and_then(own), previous.and_then(borrowed)].into_iter().flatten();
        let mut generations = [secret.and_then(own), admin_key.and_then(borrowed)].into_iter().flatten();
        let (current, accepted) = (generations.next()?, generations.chain(previous).collect::<Vec<_>>());
        let carried = [&current].into_iter().chain(&accepted).map(|generation| generation.carried.clone());
        Some(Secrets { carried: Rc::new(Keys::new(carried.collect())), current, accepted })
    }

    /// The tag of `public`, made with the current generation.
    pub(super) fn key_tag(&self, public: &[u8]) -> [u8; 32] {
        self.current.tag_of(public)
    }

    /// Whether any accepted generation gives a tag for which `matches` is true.
    pub(super) fn any_key_tag(&self, public: &[u8], matches: impl Fn(&[u8; 32]) -> bool) -> bool {
        self.generations().any(|generation| matches(&generation.tag_of(public)))
    }

    /// Signs `value` for one `purpose` and one `name`, so that it is accepted in no other place.
    ///
    /// The value stays readable: a seal shows tampering, it hides nothing.
    #[must_use]
    pub fn seal(&self, purpose: &str, name: &str, value: &str) -> String {
        let tag = self.current.seal_of(purpose, name, value);
        format!("{SEAL_VERSION}.{}.{value}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The value inside `sealed`, or `None` if it was not sealed here, for this purpose and name.
    #[must_use]
    pub fn open<'a>(&self, purpose: &str, name: &str, sealed: &'a str) -> Option<&'a str> {
        let rest = sealed.strip_prefix(SEAL_VERSION)?.strip_prefix('.')?;
        let (tag, value) = rest.split_once('.')?;
        if tag.len() != SEAL_LENGTH {
            return None;
        }
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.generations()
            .any(|generation| bool::from(generation.seal_of(purpose, name, value).as_slice().ct_eq(&tag)))
            .then_some(value)
    }

    /// The secrets that events for a webhook are signed with: the current generation's, then the older ones'.
    #[must_use]
    pub fn webhook_secrets(&self, id: &str) -> Vec<[u8; 32]> {
        let secret = |generation: &Generation| generation.webhook.clone().chain_update(id).finalize().into_bytes();
        self.generations().map(|generation| secret(generation).into()).collect()
    }

    /// What credentials that isolates leave each other are encrypted with (AES-256): the current generation's, because a
    /// copy that cannot be read is only a copy lost.
    #[must_use]
    pub fn copy_key(&self) -> [u8; 32] {
        self.current.copy
    }

    /// What signatures are stamped with while callers carry them: the current generation's key, then the older ones'.
    #[must_use]
    pub fn carried_keys(&self) -> &Rc<Keys> {
        &self.carried
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.current).chain(&self.accepted)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets(…)")
    }
}

impl Generation {
    fn derive(source: &[u8], secret: &[u8]) -> Option<Generation> {
        let derivation = Hkdf::<Sha256>::new(Some(SALT), secret);
        let mut copy = [0u8; 32];
        derivation.expand_multi_info(&[source, b"/", b"copied credential"], &mut copy).ok()?;
        let subkey = |purpose: &[u8]| {
            let mut bytes = [0u8; 64];
            derivation.expand_multi_info(&[source, b"/", purpose], &mut bytes).ok()?;
            Some(Hmac::<Sha256>::new(&bytes.into()))
        };
        Some(Generation {
            key_tag: subkey(b"key tag")?,
            seal: subkey(b"sealed value")?,
            webhook: subkey(b"webhook")?,
            copy,
            carried: subkey(b"carried signature")?,
        })
    }

    fn tag_of(&self, public: &[u8]) -> [u8; 32] {
        self.key_tag.clone().chain_update(public).finalize().into_bytes().into()
    }

    fn seal_of(&self, purpose: &str, name: &str, value: &str) -> [u8; 32] {
        let mut seal = self.seal.clone();
        for part in [purpose, name, value] {
            // Each part with its length: "a" and "bc" must not be sealed like "ab" and "c".
            seal.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            seal.update(part.as_bytes());
        }
        seal.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(secret: &str) -> Secrets {
        Secrets::from_environment(Some(secret), None, None).expect("a secret is there")
    }

    #[test]
    fn a_sealed_value_opens_only_where_it_belongs() {
        let here = secrets("one secret");
        let sealed = here.seal("grant", "abc", r#"{"id":"key_1"}"#);
        assert_eq!(here.open("grant", "abc", &sealed), Some(r#"{"id":"key_1"}"#));
        assert_eq!(here.open("grant", "abd", &sealed), None, "another name");
        assert_eq!(here.open("config", "abc", &sealed), None, "another purpose");
        assert_eq!(secrets("another").open("grant", "abc", &sealed), None, "another secret");
    }

    #[test]
    fn no_change_to_a_sealed_value_goes_unnoticed() {
        let here = secrets("one secret");
        let sealed = here.seal("grant", "abc", r#"{"disabled":true}"#);
        for index in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[index] ^= 1;
            let tampered = String::from_utf8(bytes).expect("still ASCII");
            assert_eq!(here.open("grant", "abc", &tampered), None, "character {index}");
            assert_eq!(here.open("grant", "abc", &sealed[..index]), None, "cut at {index}");
        }
    }

    #[test]
    fn names_and_values_do_not_run_into_each_other() {
        let here = secrets("one secret");
        let tag = |sealed: &str| sealed[..45].to_owned();
        assert_ne!(tag(&here.seal("grant", "a", "bc")), tag(&here.seal("grant", "ab", "c")));
    }

    #[test]
    fn values_sealed_before_a_rotation_still_open() {
        let sealed = secrets("old").seal("grant", "abc", "value");
        let rotated = Secrets::from_environment(Some("new"), Some("old"), None).expect("secrets");
        assert_eq!(rotated.open("grant", "abc", &sealed), Some("value"));
        assert_ne!(rotated.seal("grant", "abc", "value"), sealed);
    }

    #[test]
    fn an_admin_key_alone_is_enough_and_stays_accepted() {
        let first = Secrets::from_environment(None, None, Some("admin")).expect("from the admin key");
        let sealed = first.seal("grant", "abc", "value");
        let later = Secrets::from_environment(Some("secret"), None, Some("admin")).expect("secrets");
        assert_eq!(later.open("grant", "abc", &sealed), Some("value"));
        let changed = Secrets::from_environment(None, Some("admin"), Some("new admin")).expect("secrets");
        assert_eq!(changed.open("grant", "abc", &sealed), Some("value"));
        let strange = Secrets::from_environment(Some("admin"), None, None).expect("secrets");
        assert_eq!(strange.open("grant", "abc", &sealed), None, "a secret and an admin key are never the same");
    }

    #[test]
    fn without_any_secret_there_is_nothing() {
        assert!(Secrets::from_environment(None, None, None).is_none());
        assert!(Secrets::from_environment(Some(""), Some("old"), Some("")).is_none());
    }

    #[test]
    fn debug_is_blank() {
        assert_eq!(format!("{:?}", secrets("visible?")), "Secrets(…)");
    }
}
