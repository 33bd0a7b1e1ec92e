//! Copies what the database holds to the edge, where calls are checked.
//!
//! A change is marked as published only if it still is the last one; otherwise the newer one is published over it, so
//! that of two changes at once the older copy does not stay. What could not be copied stays marked and is caught up.
//!
//! How soon a change bites: in the isolate that made it, at once. Budgets, limits, revoking and disabling are told to the
//! ledger, and are in force elsewhere when the lease of the key ends there: within 10 seconds. What else a key may do
//! follows when other isolates' memory of the grant (10 seconds) and the copy that KV keeps at their location (60
//! seconds) have run out. A new key needs no copy and works everywhere at once.

use super::answer::Refusal;
use super::key_change::hashes_of;
use super::{Call, Kind, Store, StoreError, StoredConfig, StoredKey, StoredRecord};
use crate::keys::{KeyHash, Secrets};
use crate::units::UnixMillis;

/// Changes of one thing while it is being published; more in a row are left to the next one who publishes.
const MOST_ROUNDS: usize = 4;
/// Keys caught up at a time: each costs a few writes, and someone is waiting.
const MOST_CAUGHT_UP: u32 = 10;
/// Keys of a changed team that are published while its operator waits.
const MOST_OF_A_TEAM: u32 = 50;
/// What the edge copy of the configuration is sealed for, and its name.
const CONFIG_SEAL: (&str, &str) = ("config", "current");

/// Publishes the changes that have not reached the edge or the ledger, and says how many did.
///
/// The admin routes do this after each change of a key; a schedule may do it as well.
///
/// # Errors
/// Where storage fails; what is left stays marked. One that cannot be published does not keep the others from it.
pub async fn publish_pending<S: Store>(store: &S, secrets: &Secrets, now: UnixMillis) -> Result<usize, StoreError> {
    let mut done = Vec::new();
    for stored in store.unpublished_keys(MOST_CAUGHT_UP).await? {
        done.push(publish_key(store, secrets, now, stored).await);
    }
    // The document itself, which may be long, is read only where it is needed.
    let behind = store.config_versions(None, 1).await?.first().is_some_and(|last| last.published == 0);
    if behind && let Some(stored) = store.config().await? {
        done.push(publish_config(store, secrets, stored).await);
    }
    for (kind, stored) in store.untold_records(MOST_CAUGHT_UP).await? {
        done.push(tell_record(store, kind, stored).await);
    }
    let published = done.len();
    done.into_iter().collect::<Result<(), _>>().map(|()| published)
}

/// Tells the ledger of a team, budget or limit, until that is told which was written last.
pub(super) async fn tell_record<S: Store>(store: &S, kind: Kind, mut stored: StoredRecord) -> Result<(), StoreError> {
    if matches!(kind, Kind::User | Kind::Webhook) {
        return Ok(());
    }
    for _ in 0..MOST_ROUNDS {
        store.tell_rule(kind, &stored).await?;
        if store.record_told(kind, &stored.id, &stored.change).await? {
            break;
        }
        match store.record(kind, &stored.id).await? {
            Some(newer) => stored = newer,
            None => break,
        }
    }
    Ok(())
}

/// Publishes the keys of a team that was changed, as far as one request can, and gives their hashes. The rest follows
/// with the schedule.
pub(super) async fn publish_team<S: Store>(call: &Call<'_, S>, team: &str) -> Result<Vec<KeyHash>, Refusal> {
    let (mut hashes, mut done) = (Vec::new(), Ok(()));
    for stored in call.store.keys(Some(team), None, MOST_OF_A_TEAM).await? {
        hashes.extend(hashes_of(&stored));
        done = done.and(publish_key(call.store, call.secrets, call.request.now, stored).await);
    }
    let Err(error) = done else { return Ok(hashes) };
    let message = format!(
        "The change is stored, but not all copies that calls are checked against could be written ({error}). Repeat the \
         request."
    );
    Err(Refusal::new(503, "not_published", message).changed_keys(hashes))
}

/// Publishes one key: each of its texts gets a grant of its own, or none if it has ended.
pub(super) async fn publish_key<S: Store>(
    store: &S,
    secrets: &Secrets,
    now: UnixMillis,
    mut stored: StoredKey,
) -> Result<(), StoreError> {
    for _ in 0..MOST_ROUNDS {
        store.tell_key(&stored).await?;
        for text in &stored.hashes {
            match stored.grant(&text.hash).filter(|_| !text.ended(now)) {
                Some(grant) => {
                    let sealed = grant.seal(secrets, &text.hash);
                    store.put_grant(&text.hash, &sealed, text.expires_at).await?;
                }
                None => store.remove_grant(&text.hash).await?,
            }
        }
        if store.key_published(&stored).await? {
            break;
        }
        match store.key(&stored.key.id).await? {
            Some(newer) => stored = newer,
            None => break,
        }
    }
    Ok(())
}

/// Publishes the configuration in force.
pub(super) async fn publish_config<S: Store>(
    store: &S,
    secrets: &Secrets,
    mut stored: StoredConfig,
) -> Result<(), StoreError> {
    for _ in 0..MOST_ROUNDS {
        let number = stored.version.version;
        let (purpose, name) = CONFIG_SEAL;
        let sealed = secrets.seal(purpose, name, &format!("{number} {}", stored.document));
        store.put_config(&sealed).await?;
        if store.config_published(number).await? {
            break;
        }
        match store.config().await? {
            Some(newer) => stored = newer,
            None => break,
        }
    }
    Ok(())
}

/// The version and the document in the edge copy of the configuration; `None` if it was not sealed here.
#[must_use]
pub fn open_config<'a>(secrets: &Secrets, sealed: &'a str) -> Option<(u32, &'a str)> {
    let (purpose, name) = CONFIG_SEAL;
    let (number, document) = secrets.open(purpose, name, sealed)?.split_once(' ')?;
    Some((number.parse().ok()?, document))
}
