//! The operator's own credential.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// `ADMIN_KEY`, as its digest: comparing digests takes the same time whatever was sent, and of whatever length.
#[derive(Clone)]
pub struct AdminKey([u8; 32]);

impl AdminKey {
    /// `None` for an empty text: an unset variable opens nothing.
    #[must_use]
    pub fn new(text: &str) -> Option<AdminKey> {
        (!text.is_empty()).then(|| AdminKey(Sha256::digest(text.as_bytes()).into()))
    }

    /// Whether `presented` is the admin key. The gateway's own routes ask this too, to refuse it there.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        self.0.ct_eq(&presented).into()
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AdminKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_matches() {
        let key = AdminKey::new("admin").expect("not empty");
        assert!(key.matches("admin"));
        for wrong in ["", "Admin", "admin ", "admi"] {
            assert!(!key.matches(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_is_no_key() {
        assert!(AdminKey::new("").is_none());
    }
}
