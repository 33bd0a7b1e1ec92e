//! What a key may be told about itself: the body of `GET /v1/key`.

use serde::Serialize;

use super::{Key, OnDisconnect};
use crate::units::UnixMillis;

/// The body of `GET /v1/key`, as JSON.
///
/// Left out is what the operator noted for themselves: `metadata` and the dates of changes.
#[must_use]
pub fn describe(key: &Key) -> String {
    let description = Description {
        id: &key.id,
        object: "key",
        name: &key.name,
        start: &key.start,
        environment: &key.environment,
        created_at: key.created_at,
        expires_at: key.expires_at,
        allowed_models: &key.allowed_models,
        denied_models: &key.denied_models,
        allowed_providers: &key.allowed_providers,
        denied_providers: &key.denied_providers,
        allowed_endpoints: &key.allowed_endpoints,
        allow_provider_key: key.allow_provider_key,
        default_max_tokens: key.default_max_tokens,
        on_disconnect: key.on_disconnect,
    };
    serde_json::to_string(&description).unwrap_or_default()
}

#[derive(Serialize)]
struct Description<'a> {
    id: &'a str,
    object: &'static str,
    name: &'a str,
    start: &'a str,
    environment: &'a str,
    created_at: UnixMillis,
    expires_at: Option<UnixMillis>,
    allowed_models: &'a [String],
    denied_models: &'a [String],
    allowed_providers: &'a [String],
    denied_providers: &'a [String],
    allowed_endpoints: &'a [String],
    allow_provider_key: bool,
    default_max_tokens: Option<u32>,
    on_disconnect: OnDisconnect,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_sees_its_policy_but_not_the_operators_notes() {
        let mut key = Key { id: "key_1".into(), name: "ci".into(), ..Key::default() };
        key.allowed_models = vec!["gpt-4o*".into()];
        key.metadata.insert("owner".into(), "finance".into());
        let body = describe(&key);
        assert!(body.starts_with(r#"{"id":"key_1","object":"key","name":"ci""#), "{body}");
        assert!(body.contains(r#""allowed_models":["gpt-4o*"]"#), "{body}");
        assert!(!body.contains("finance"), "{body}");
    }
}
