//! What an operator writes about a key, read into its record.

use serde_json::value::RawValue;

use super::answer::Refusal;
use super::body::{Faults, Fields};
use super::{Context, Request};
use crate::keys::{ENDPOINTS, Key, OnDisconnect, Pattern, is_endpoint_pattern};
use crate::units::UnixMillis;

const LONGEST_NAME: usize = 100;
const LONGEST_PATTERN: usize = 200;
const MOST_PATTERNS: usize = 100;
const MOST_NOTES: usize = 50;
/// Beyond every model's output, and small enough that twice as many is still a sane number.
const MOST_TOKENS: i64 = 10_000_000;
/// The end of the year 2286: what is later is a slip of units.
const LATEST: i64 = 9_999_999_999_999;

/// Fields that a key shows but nobody writes.
const READ_ONLY: &[&str] = &["id", "object", "key", "start", "created_at", "updated_at", "revoked_at"];
/// Fields that can be written.
pub(super) const WRITABLE: &[&str] = &[
    "name",
    "environment",
    "expires_at",
    "disabled",
    "allowed_models",
    "denied_models",
    "allowed_providers",
    "denied_providers",
    "allowed_endpoints",
    "allow_provider_key",
    "default_max_tokens",
    "on_disconnect",
    "metadata",
];

/// Applies the fields of the request's body to `key`. A field that is absent stays, `null` is its default.
///
/// On a refusal `key` is in no particular state; it lists every fault there is.
pub(super) fn apply(request: &Request<'_>, context: &Context<'_>, key: &mut Key) -> Result<(), Refusal> {
    let mut faults = Faults::default();
    for (name, value) in Fields::read(request.body)?.each_once("", &mut faults) {
        match value {
            Some(value) => set(key, &name, value, request.now, context, &mut faults),
            None => reset(key, &name, context, &mut faults),
        }
    }
    if key.name.is_empty() {
        faults.add("name", format!("is needed: 1 to {LONGEST_NAME} characters"));
    }
    faults.none()
}

fn set(key: &mut Key, name: &str, value: &RawValue, now: UnixMillis, context: &Context<'_>, faults: &mut Faults) {
    match name {
        "name" => assign(&mut key.name, name_of(value, faults)),
        "environment" => assign(&mut key.environment, environment(value, faults)),
        "expires_at" => {
            if let Some(end) = expiry(value, now, faults) {
                key.expires_at = Some(end);
            }
        }
        "disabled" => assign(&mut key.disabled, faults.flag(name, value)),
        "allowed_models" => assign(&mut key.allowed_models, patterns(name, value, faults)),
        "denied_models" => assign(&mut key.denied_models, patterns(name, value, faults)),
        "allowed_providers" => assign(&mut key.allowed_providers, providers(name, value, context, faults)),
        "denied_providers" => assign(&mut key.denied_providers, providers(name, value, context, faults)),
        "allowed_endpoints" => assign(&mut key.allowed_endpoints, endpoints(name, value, faults)),
        "allow_provider_key" => assign(&mut key.allow_provider_key, faults.flag(name, value)),
        "default_max_tokens" => {
            let tokens = faults.integer(name, value, 1..=MOST_TOKENS);
            assign(&mut key.default_max_tokens, tokens.map(|tokens| u32::try_from(tokens).ok()));
        }
        "on_disconnect" => assign(&mut key.on_disconnect, on_disconnect(value, faults)),
        "metadata" => assign(&mut key.metadata, faults.notes(name, value, MOST_NOTES)),
        _ => unknown(name, faults),
    }
}

fn reset(key: &mut Key, name: &str, context: &Context<'_>, faults: &mut Faults) {
    match name {
        // What is needed and missing is told once, after all fields are read.
        "name" => key.name.clear(),
        "environment" => context.environment.clone_into(&mut key.environment),
        "expires_at" => key.expires_at = None,
        "disabled" => key.disabled = false,
        "allowed_models" => key.allowed_models.clear(),
        "denied_models" => key.denied_models.clear(),
        "allowed_providers" => key.allowed_providers.clear(),
        "denied_providers" => key.denied_providers.clear(),
        "allowed_endpoints" => key.allowed_endpoints.clear(),
        "allow_provider_key" => key.allow_provider_key = false,
        "default_max_tokens" => key.default_max_tokens = None,
        "on_disconnect" => key.on_disconnect = OnDisconnect::default(),
        "metadata" => key.metadata.clear(),
        _ => unknown(name, faults),
    }
}

fn unknown(name: &str, faults: &mut Faults) {
    if READ_ONLY.contains(&name) {
        faults.add(name, "cannot be written");
    } else {
        faults.add(name, format!("is no field of a key; those that can be written are {}", WRITABLE.join(", ")));
    }
}

fn assign<T>(field: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *field = value;
    }
}

fn name_of(value: &RawValue, faults: &mut Faults) -> Option<String> {
    let name = faults.text("name", value, 1..=LONGEST_NAME);
    // Marks the field as given: the fault is told already, and "is needed" would be one too many.
    name.or_else(|| Some("?".to_owned()))
}

fn environment(value: &RawValue, faults: &mut Faults) -> Option<String> {
    let text = faults.text("environment", value, 1..=32)?;
    if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_') {
        return Some(text);
    }
    faults.add("environment", "must consist of a-z, 0-9, - and _");
    None
}

fn expiry(value: &RawValue, now: UnixMillis, faults: &mut Faults) -> Option<UnixMillis> {
    let end = faults.integer("expires_at", value, 0..=LATEST)?;
    if end > now.0 {
        return Some(UnixMillis(end));
    }
    faults.add("expires_at", "must be in the future, in milliseconds since 1970");
    None
}

fn on_disconnect(value: &RawValue, faults: &mut Faults) -> Option<OnDisconnect> {
    let read = serde_json::from_str(value.get()).ok();
    if read.is_none() {
        faults.add("on_disconnect", "must be \"abort\" or \"drain\"");
    }
    read
}

fn patterns(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS, pattern)
}

fn pattern(faults: &mut Faults, path: &str, value: &RawValue) -> Option<String> {
    let text = faults.text(path, value, 1..=LONGEST_PATTERN)?;
    if text.chars().any(char::is_whitespace) {
        faults.add(path, "must not contain spaces");
        return None;
    }
    Some(text)
}

/// A pattern that means no provider is a slip, and one that would leave the door open where it was meant to deny.
fn providers(path: &str, value: &RawValue, context: &Context<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS, |faults, path, value| {
        let text = pattern(faults, path, value)?;
        let meant = Pattern::new(&text);
        if context.providers.iter().any(|provider| meant.matches(&provider.id)) {
            return Some(text);
        }
        let known: Vec<&str> = context.providers.iter().map(|provider| provider.id.as_str()).collect();
        faults.add(path, format!("means no provider; known are {}", known.join(", ")));
        None
    })
}

fn endpoints(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS, |faults, path, value| {
        let text = pattern(faults, path, value)?;
        let text = text.trim_start_matches('/').trim_start_matches("v1/");
        if is_endpoint_pattern(text) {
            return Some(text.to_owned());
        }
        faults.add(path, format!("means no endpoint; known are {}", ENDPOINTS.join(", ")));
        None
    })
}
