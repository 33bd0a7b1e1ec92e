//! Events on their way to webhooks: at least once each, and not for ever.

use serde::Serialize;
use serde_json::value::RawValue;

use super::webhooks::signature;
use super::{StoreError, Upkeep};
use crate::gateway::link_fault;
use crate::json::readable;
use crate::keys::Secrets;
use crate::units::{Millis, UnixMillis};

/// How long after an attempt the next one is made; after the last, the event is given up. A day and a half in all.
const WAITS: [Millis; 8] = [
    Millis(30_000),
    Millis(2 * 60_000),
    Millis(10 * 60_000),
    Millis(30 * 60_000),
    Millis(2 * 3_600_000),
    Millis(5 * 3_600_000),
    Millis(10 * 3_600_000),
    Millis(18 * 3_600_000),
];
/// Deliveries of one run: each may wait for a server that does not answer.
const MOST_AT_ONCE: u32 = 40;

/// One event that is due at one webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the columns of the tables")]
pub struct Delivery {
    pub event_id: String,
    pub webhook_id: String,
    pub url: String,
    /// How often it was tried.
    pub attempts: u32,
    pub at: UnixMillis,
    pub kind: String,
    pub subject: String,
    pub data: String,
}
readable! { Delivery { event_id, webhook_id, url, attempts, at, kind = "type", subject, data } }

/// Who carries events to their addresses.
#[allow(async_fn_in_trait, reason = "one isolate is one thread: nothing here is ever sent to another")]
pub trait Courier {
    /// Posts JSON, and gives the status of the answer. Redirects are not followed.
    ///
    /// # Errors
    /// What kept it from getting one.
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, String>;
}

/// Delivers what is due, and says how many events arrived.
///
/// Before an attempt its next one is written down: whoever dies on the way has only made it late, and two runs at once
/// do not deliver the same thing.
///
/// # Errors
/// Where storage fails; what is left stays due.
pub async fn deliver<S: Upkeep>(
    store: &S,
    courier: &impl Courier,
    secrets: &Secrets,
    now: UnixMillis,
) -> Result<usize, StoreError> {
    let mut arrived = 0;
    for due in store.due_deliveries(now, MOST_AT_ONCE).await? {
        let wait = usize::try_from(due.attempts).ok().and_then(|tried| WAITS.get(tried));
        let next = wait.map(|wait| now.plus(*wait));
        if !store.claim_delivery(&due, next).await? {
            continue;
        }
        let answer = attempt(courier, secrets, &due, now).await;
        let delivered = answer.as_ref().is_ok_and(|status| (200..300).contains(status));
        let told = answer.map_or_else(|error| error, |status| status.to_string());
        store.delivery_answered(&due, delivered, &told).await?;
        arrived += usize::from(delivered);
    }
    Ok(arrived)
}

async fn attempt(courier: &impl Courier, secrets: &Secrets, due: &Delivery, now: UnixMillis) -> Result<u16, String> {
    // The rules may have become stricter since it was written.
    if let Some(fault) = link_fault(&due.url) {
        return Err(fault.to_owned());
    }
    let event = Event {
        id: &due.event_id,
        kind: &due.kind,
        created_at: due.at,
        subject: &due.subject,
        data: crate::json::from_str(&due.data).ok(),
    };
    let body = crate::json::to_string(&event);
    let signed = signature(secrets, &due.webhook_id, &due.event_id, now, &body);
    courier.post(&due.url, &signed, &body).await
}

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: UnixMillis,
    subject: &'a str,
    data: Option<&'a RawValue>,
}
