//! What is done by the schedule, once a minute: copies that are behind, events that are due, keys that behave oddly,
//! and what is old enough to go.

use super::key_change::change;
use super::{
    Call, Context, Courier, Delivery, Entropy, Request, Store, StoreError, StoredKey, deliver, experiments,
    publish_pending,
};
use crate::keys::{OnAnomaly, Secrets};
use crate::units::UnixMillis;

const DAY: i64 = 24 * 3_600_000;
/// Rows of calls are kept for so long; their sums are kept longer.
const CALLS_KEPT: i64 = 90 * DAY;
/// Sums by the hour; older ones are added up by the day.
const HOURS_KEPT: i64 = 35 * DAY;
/// Sums by the day, and the audit log, of which the database keeps two years by itself.
const DAYS_KEPT: i64 = 731 * DAY;
/// Events and what became of them.
const EVENTS_KEPT: i64 = 30 * DAY;
/// Rounds of copying in one run; each copies a few.
const MOST_ROUNDS: usize = 20;
/// Anomalies that one run deals with.
const MOST_ANOMALIES: u32 = 20;

/// What the schedule needs of storage, beside [`Store`].
#[allow(async_fn_in_trait, reason = "one isolate is one thread: nothing here is ever sent to another")]
pub trait Upkeep {
    /// Deliveries that are due, the longest due first.
    async fn due_deliveries(&self, now: UnixMillis, most: u32) -> Result<Vec<Delivery>, StoreError>;
    /// Counts an attempt and sets when the next one is due, if there is one; `false` if someone else just did.
    async fn claim_delivery(&self, due: &Delivery, next: Option<UnixMillis>) -> Result<bool, StoreError>;
    /// Notes what an attempt got; one that was delivered is not due again.
    async fn delivery_answered(&self, due: &Delivery, delivered: bool, answer: &str) -> Result<(), StoreError>;
    /// Makes an event of every watched key that is called far more often than in the week before.
    async fn note_busy_keys(&self, now: UnixMillis) -> Result<(), StoreError>;
    /// Anomalies that nobody has dealt with: the id of each and that of its key.
    async fn open_anomalies(&self, most: u32) -> Result<Vec<(String, String)>, StoreError>;
    /// Notes that an anomaly was dealt with.
    async fn anomaly_handled(&self, event: &str) -> Result<(), StoreError>;
    /// Adds up by the day what is kept by the hour and older than `hours`, and deletes what is older than the others.
    async fn forget(&self, old: &Old) -> Result<(), StoreError>;
}

/// Up to when things are old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    /// Rows of calls.
    pub calls: UnixMillis,
    /// Sums by the hour; the beginning of a day.
    pub hours: UnixMillis,
    /// Sums by the day, and the audit log.
    pub days: UnixMillis,
    /// Events.
    pub events: UnixMillis,
    /// What says itself when it is to go.
    pub now: UnixMillis,
}

impl Old {
    /// What is old at `now`.
    #[must_use]
    pub fn at(now: UnixMillis) -> Old {
        let before = |kept: i64| UnixMillis(now.0.saturating_sub(kept));
        let hours = UnixMillis(before(HOURS_KEPT).0.div_euclid(DAY) * DAY);
        Old { calls: before(CALLS_KEPT), hours, days: before(DAYS_KEPT), events: before(EVENTS_KEPT), now }
    }
}

/// One run of the schedule. What fails does not keep the rest from being done; all of it is told.
///
/// `entropy` gives the randomness for one change.
pub async fn keep_up<S: Store + Upkeep>(
    store: &S,
    courier: &impl Courier,
    secrets: &Secrets,
    now: UnixMillis,
    entropy: impl Fn() -> Entropy,
) -> Vec<StoreError> {
    let mut errors = Vec::new();
    let mut note = |result: Result<(), StoreError>| errors.extend(result.err());
    note(catch_up(store, secrets, now).await);
    note(suspend(store, secrets, now, &entropy).await);
    note(stop_experiments(store, secrets, now, entropy).await);
    note(deliver(store, courier, secrets, now).await.map(|_| ()));
    let minute = now.0.div_euclid(60_000);
    if minute % 10 == 0 {
        note(store.note_busy_keys(now).await);
    }
    if minute % 60 == 7 {
        note(store.forget(&Old::at(now)).await);
    }
    errors
}

async fn catch_up<S: Store>(store: &S, secrets: &Secrets, now: UnixMillis) -> Result<(), StoreError> {
    for _ in 0..MOST_ROUNDS {
        if publish_pending(store, secrets, now).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Takes the calls from variants that do too badly.
async fn stop_experiments<S: Store>(
    store: &S,
    secrets: &Secrets,
    now: UnixMillis,
    entropy: impl Fn() -> Entropy,
) -> Result<(), StoreError> {
    let request = Request { now, entropy: entropy(), ..Request::EMPTY };
    let context = Context { admin_key: None, secrets: Some(secrets), environment: "", providers: &[], decider: None };
    let call = Call { store, request: &request, context: &context, secrets, actor: "schedule" };
    // One that cannot be stopped now is stopped by the next run; each isolate has stopped it for itself by then.
    experiments::stop(&call).await.map_err(|refusal| StoreError { message: refusal.into_message() })
}

/// Disables the keys that behave oddly and say that they want that.
async fn suspend<S: Store + Upkeep>(
    store: &S,
    secrets: &Secrets,
    now: UnixMillis,
    entropy: impl Fn() -> Entropy,
) -> Result<(), StoreError> {
    for (event, key_id) in store.open_anomalies(MOST_ANOMALIES).await? {
        let found = store.key(&key_id).await?.filter(|stored| !stored.deleted);
        if found.is_some_and(|stored| stored.key.on_anomaly == OnAnomaly::Suspend && !stored.key.disabled) {
            let request = Request { now, entropy: entropy(), ..Request::EMPTY };
            let context =
                Context { admin_key: None, secrets: Some(secrets), environment: "", providers: &[], decider: None };
            let call = Call { store, request: &request, context: &context, secrets, actor: "schedule" };
            let edit = |stored: &mut StoredKey| {
                stored.key.disabled = true;
                Ok(())
            };
            // A key that cannot be disabled now is disabled by the next run.
            if change(&call, &key_id, "key.suspend", edit).await.is_err() {
                continue;
            }
        }
        store.anomaly_handled(&event).await?;
    }
    Ok(())
}
