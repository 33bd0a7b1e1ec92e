//! `/admin/webhooks`: where events are told to, and how they are signed.
//!
//! Signatures follow the Standard Webhooks specification (<https://www.standardwebhooks.com>), so that its libraries
//! verify them: HMAC-SHA256 over `id.timestamp.body`, base64, in `webhook-signature`. A webhook's secret is derived
//! from the gateway's own, and stored nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::Sha256;

use super::answer::{Answer, Refusal};
use super::body::{Faults, assign};
use super::records::{Resource, find};
use super::{Call, Kind, Store};
use crate::gateway::link_fault;
use crate::json::readable;
use crate::keys::{Pattern, Secrets};
use crate::units::UnixMillis;

const LONGEST_URL: usize = 500;
const MOST_EVENTS: usize = 50;
/// D1 matches no longer ones (<https://developers.cloudflare.com/d1/platform/limits/>): the trigger that makes deliveries of an
/// event would fail, and with it every change that makes one.
const LONGEST_PATTERN: usize = 50;
/// What a new webhook is told of unless it says otherwise.
const USUAL_EVENTS: [&str; 5] = ["budget.*", "key.anomaly", "key.revoke", "key.delete", "ledger.refused"];

/// All types of events: what stands in the audit log, but for changes of webhooks, and what is told beside it.
pub(super) const EVENTS: &[&str] = &[
    "budget.create",
    "budget.delete",
    "budget.exhausted",
    "budget.release",
    "budget.threshold",
    "budget.update",
    "config.replace",
    "config.rollback",
    "config.stop_variant",
    "health.allow",
    "health.block",
    "health.pass",
    "health.probe",
    "health.reset",
    "health.trip",
    "key.anomaly",
    "key.create",
    "key.delete",
    "key.disable",
    "key.enable",
    "key.revoke",
    "key.rotate",
    "key.suspend",
    "key.update",
    "ledger.refused",
    "limit.create",
    "limit.delete",
    "limit.update",
    "team.create",
    "team.delete",
    "team.update",
    "user.create",
    "user.delete",
    "user.update",
];

/// A webhook's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Webhook {
    /// `webhook_…`, sorting by the moment of creation.
    id: String,
    /// Where to.
    url: String,
    /// Patterns of the types of events that it is told of.
    events: Vec<String>,
    /// Switched off, for now. What happens meanwhile is not told later.
    disabled: bool,
}
readable! { Webhook { id, url, events, disabled } }

impl Default for Webhook {
    fn default() -> Webhook {
        let events = USUAL_EVENTS.map(str::to_owned).to_vec();
        Webhook { id: String::new(), url: String::new(), events, disabled: false }
    }
}

impl Resource for Webhook {
    const WRITABLE: &[&str] = &["url", "events", "disabled"];

    fn id(&mut self) -> &mut String {
        &mut self.id
    }

    fn set(&mut self, name: &str, value: Option<&RawValue>, faults: &mut Faults) {
        match name {
            "url" => assign(&mut self.url, value, |value| url(name, value, faults)),
            "events" => match value {
                Some(value) => assign(&mut self.events, Some(value), |value| events(name, value, faults)),
                None => self.events = Webhook::default().events,
            },
            _ => assign(&mut self.disabled, value, |value| faults.flag(name, value)),
        }
    }

    fn check(&self, faults: &mut Faults) {
        if self.url.is_empty() {
            faults.add_once("url", "is needed: where events are sent to, by https");
        }
    }
}

/// `GET /admin/webhooks/{id}/secret`.
pub(super) async fn secret<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    find(call, Kind::Webhook, id).await?;
    let secret = call.secrets.webhook_secrets(id).into_iter().next().unwrap_or_default();
    Answer::json(200, &Secret { id, object: "webhook_secret", secret: format!("whsec_{}", STANDARD.encode(secret)) })
}

#[derive(Serialize)]
struct Secret<'a> {
    id: &'a str,
    object: &'static str,
    secret: String,
}

/// The headers that sign `body` for a webhook: its id, when, and a signature for each secret that is still accepted.
pub(super) fn signature(
    secrets: &Secrets,
    webhook: &str,
    event: &str,
    now: UnixMillis,
    body: &str,
) -> [(&'static str, String); 3] {
    let at = now.seconds().to_string();
    let signatures: Vec<String> = secrets
        .webhook_secrets(webhook)
        .iter()
        .filter_map(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
            for part in [event, ".", &at, ".", body] {
                mac.update(part.as_bytes());
            }
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        })
        .collect();
    [("webhook-id", event.to_owned()), ("webhook-timestamp", at), ("webhook-signature", signatures.join(" "))]
}

fn url(path: &str, value: &RawValue, faults: &mut Faults) -> Option<String> {
    let text = faults.text(path, value, 1..=LONGEST_URL)?;
    let fault = if text.starts_with("https://") { link_fault(&text) } else { Some("it must begin with https://") };
    match fault {
        None => Some(text),
        Some(fault) => {
            faults.add(path, format!("cannot be used: {fault}"));
            None
        }
    }
}

fn events(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Vec<String>> {
    let events = faults.texts(path, value, MOST_EVENTS, |faults, path, value| {
        let text = faults.text(path, value, 1..=LONGEST_PATTERN)?;
        // Where it is matched in the end, case counts and other signs have a meaning.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_' | b'*'));
        let pattern = Pattern::new(&text);
        if is_plain && EVENTS.iter().any(|event| pattern.matches(event)) {
            return Some(text);
        }
        faults.add(path, format!("is no event, and a pattern of none; there are {}", EVENTS.join(", ")));
        None
    })?;
    if events.is_empty() {
        faults.add(path, "is empty, and would be told of nothing; `*` is all events");
    }
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_the_specification_says() {
        let secrets = Secrets::from_environment(Some("a secret"), Some("an older one"), None).expect("secrets");
        let headers = signature(&secrets, "webhook_1", "event_1", UnixMillis(1_790_000_000_999), "{}");
        let [(_, id), (_, at), (_, signatures)] = headers;
        assert_eq!((id.as_str(), at.as_str()), ("event_1", "1790000000"));
        let signatures: Vec<&str> = signatures.split(' ').collect();
        let expected = secrets.webhook_secrets("webhook_1");
        assert_eq!(signatures.len(), expected.len());
        assert!(expected.len() > 1, "the previous secret signs too");
        for (signature, secret) in signatures.iter().zip(expected) {
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
            mac.update(b"event_1.1790000000.{}");
            assert_eq!(*signature, format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        }
    }

    #[test]
    fn each_webhook_has_a_secret_of_its_own() {
        let secrets = Secrets::from_environment(Some("a secret"), None, None).expect("secrets");
        assert_ne!(secrets.webhook_secrets("webhook_1"), secrets.webhook_secrets("webhook_2"));
    }
}
