use crate::json::{self, FromJson, FromKey, Reader};
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::rc::Rc;

use serde::{Serialize, Serializer};

/// The longest name of a target that is followed; model ids come from callers.
pub(super) const LONGEST: usize = 256;

/// What health is kept for: `provider/model`, or one of the provider's credentials as `provider/model#2`, counted from 1
/// in the order in which the gateway tries them.
///
/// A failure that is the credential's own (401, 402, 403, and 429 where there are several) counts against the
/// credential, every other one against the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(Rc<str>);

impl TargetId {
    /// The target of a provider's model.
    ///
    /// ```
    /// use latchkey::breaker::TargetId;
    /// let target = TargetId::new("cave", "llama-5");
    /// assert_eq!(target.as_str(), "cave/llama-5");
    /// assert_eq!(target.credential(2).as_str(), "cave/llama-5#2");
    /// assert_eq!(target.credential(2).target(), "cave/llama-5");
    /// assert_eq!(target.provider(), "cave");
    /// ```
    #[must_use]
    pub fn new(provider: &str, model: &str) -> TargetId {
        TargetId([provider, "/", model].concat().into())
    }

    /// One credential of this target, counted from 1.
    #[must_use]
    pub fn credential(&self, number: usize) -> TargetId {
        TargetId(format!("{}#{number}", self.target()).into())
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the credential.
    #[must_use]
    pub fn target(&self) -> &str {
        without_credential(&self.0)
    }

    /// The provider's id.
    #[must_use]
    pub fn provider(&self) -> &str {
        provider_of(&self.0)
    }
}

/// `provider/model` of `provider/model#2`. Model ids may hold a `#` of their own, but not one before a bare number.
pub(super) fn without_credential(target: &str) -> &str {
    match target.rsplit_once('#') {
        Some((before, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => target,
    }
}

pub(super) fn provider_of(target: &str) -> &str {
    target.split_once('/').map_or(target, |(provider, _)| provider)
}

/// Whether a name is `subject`, or belongs to the provider or target that it names. In any case, as with what keys deny:
/// some upstreams take `GPT-4o` for `gpt-4o`.
pub(super) fn is_within(name: &str, subject: &str) -> bool {
    [name, without_credential(name), provider_of(name)].iter().any(|name| name.eq_ignore_ascii_case(subject))
}

impl Default for TargetId {
    fn default() -> TargetId {
        TargetId::from("")
    }
}

impl From<&str> for TargetId {
    fn from(text: &str) -> TargetId {
        TargetId(text.into())
    }
}

impl Borrow<str> for TargetId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for TargetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl FromKey for TargetId {
    fn from_key(key: Cow<'_, str>) -> Result<TargetId, json::Error> {
        Ok(TargetId(key.into()))
    }
}

impl<'a> FromJson<'a> for TargetId {
    fn from_json(reader: &mut Reader<'a>) -> Result<TargetId, json::Error> {
        reader.text().map(|text| TargetId(text.as_ref().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_found_in_any_case() {
        for subject in ["azure", "azure/gpt-4o", "azure/gpt-4o#2", "azure/GPT-4O"] {
            assert!(is_within("azure/GPT-4o#2", subject), "{subject}");
        }
        for subject in ["azure/gpt", "azure/gpt-4o#1", "azur", ""] {
            assert!(!is_within("azure/GPT-4o#2", subject), "{subject}");
        }
    }
}
