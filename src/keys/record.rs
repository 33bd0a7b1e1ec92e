//! What is known of a key: the one shape that D1 and KV hold and the admin API shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::UnixMillis;

/// A key's record. The key itself and its hash are not in it.
///
/// An empty `allowed_…` list allows everything, and `denied_…` wins over `allowed_…`. Reading tolerates fields it
/// does not know and fills in those that are missing, because copies written by the version before and the version
/// after this one are in KV during a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Key {
    /// `key_…`, sorting by the moment of creation.
    pub id: String,
    /// What the operator calls it.
    pub name: String,
    /// The first characters of the key's text, to tell one key from another.
    pub start: String,
    /// A label such as `production`; from `ENVIRONMENT` unless given.
    pub environment: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// When it stops; `None` is never.
    pub expires_at: Option<UnixMillis>,
    /// Switched off, for now.
    pub disabled: bool,
    /// Ended, for good.
    pub revoked_at: Option<UnixMillis>,
    /// Patterns of models it may use, such as `gpt-4o*` or `anthropic/claude-*`.
    pub allowed_models: Vec<String>,
    /// Patterns of models it may not use.
    pub denied_models: Vec<String>,
    /// Patterns of provider ids it may use.
    pub allowed_providers: Vec<String>,
    /// Patterns of provider ids it may not use.
    pub denied_providers: Vec<String>,
    /// Patterns of endpoints it may call, such as `chat/completions`.
    pub allowed_endpoints: Vec<String>,
    /// Whether a call may bring its own provider key.
    pub allow_provider_key: bool,
    /// The output limit of a call that names none.
    pub default_max_tokens: Option<u32>,
    /// What happens to the upstream when the caller goes away.
    pub on_disconnect: OnDisconnect,
    /// The operator's own notes.
    pub metadata: BTreeMap<String, String>,
}

impl Default for Key {
    fn default() -> Key {
        Key {
            id: String::new(),
            name: String::new(),
            start: String::new(),
            environment: String::new(),
            created_at: UnixMillis(0),
            updated_at: UnixMillis(0),
            expires_at: None,
            disabled: false,
            revoked_at: None,
            allowed_models: Vec::new(),
            denied_models: Vec::new(),
            allowed_providers: Vec::new(),
            denied_providers: Vec::new(),
            allowed_endpoints: Vec::new(),
            allow_provider_key: false,
            default_max_tokens: None,
            on_disconnect: OnDisconnect::Abort,
            metadata: BTreeMap::new(),
        }
    }
}

/// What happens to the upstream call when its caller goes away. Either way, what was seen is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// It is cut off.
    #[default]
    Abort,
    /// It is read to its end, for as long as the platform allows.
    Drain,
}
