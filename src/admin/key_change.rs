//! Changes of one key: read, edited, written with an audit entry, and copied to the edge.

use super::answer::Refusal;
use super::publish::{publish_key, publish_pending};
use super::{AuditEntry, Call, Store, StoreError, StoredKey};
use crate::keys::{Key, KeyHash};
use crate::units::Millis;

/// Changes of one key at the same moment, each of which makes the other start over.
const MOST_TRIES: usize = 3;

/// A change that the database has, and whether the edge has it too.
pub(super) struct Changed {
    pub stored: StoredKey,
    pub published: Result<(), StoreError>,
}

impl Changed {
    /// The record, or a refusal where a copy at the edge still says what was.
    pub fn published(self) -> Result<StoredKey, Refusal> {
        let Changed { stored, published } = self;
        match published {
            Ok(()) => Ok(stored),
            Err(error) => {
                let message = format!(
                    "The change is stored, but the copies that calls are checked against could not be written \
                     ({error}). Repeat the request."
                );
                Err(Refusal::new(503, "not_published", message).changed_keys(hashes_of(&stored)))
            }
        }
    }
}

/// Edits a key's record, writes it with its audit entry, and publishes it.
///
/// When someone else changed the key meanwhile, the edit is made again on what they left.
pub(super) async fn change<S: Store>(
    call: &Call<'_, S>,
    id: &str,
    action: &str,
    edit: impl Fn(&mut StoredKey) -> Result<(), Refusal>,
) -> Result<Changed, Refusal> {
    for _ in 0..MOST_TRIES {
        let before = find(call, id).await?;
        let mut after = before.clone();
        edit(&mut after)?;
        // The ledger keeps the newest that it was told, and clocks differ: what is written later is newer.
        let last = before.team.map_or(before.key.updated_at, |team| team.updated_at.max(before.key.updated_at));
        after.key.updated_at = call.request.now.max(last.plus(Millis(1)));
        after.change = call.change_id();
        let audit = call.audit(action, id, json_of(&before.key), json_of(&after.key));
        if write(call, &after, &before.change, &audit).await? {
            let published = publish_change(call, after.clone()).await;
            return Ok(Changed { stored: after, published });
        }
    }
    Err(Refusal::new(409, "conflict", "Others are changing this key at the same time. Repeat the request."))
}

/// Publishes a key once more, as it is.
pub(super) async fn publish_again<S: Store>(call: &Call<'_, S>, stored: StoredKey) -> Changed {
    let published = publish_change(call, stored.clone()).await;
    Changed { stored, published }
}

/// The key of `id`, unless it is deleted.
pub(super) async fn find<S: Store>(call: &Call<'_, S>, id: &str) -> Result<StoredKey, Refusal> {
    let found = call.store.key(id).await?.filter(|stored| !stored.deleted);
    found.ok_or_else(|| Refusal::not_found("There is no such key."))
}

pub(super) fn hashes_of(stored: &StoredKey) -> Vec<KeyHash> {
    stored.hashes.iter().map(|text| text.hash).collect()
}

pub(super) fn json_of(key: &Key) -> Option<String> {
    Some(crate::json::to_string(key))
}

async fn write<S: Store>(
    call: &Call<'_, S>,
    after: &StoredKey,
    expected: &str,
    audit: &AuditEntry,
) -> Result<bool, Refusal> {
    let error = match call.store.replace_key(after, expected, audit).await {
        Ok(written) => return Ok(written),
        Err(error) => error,
    };
    // The write may have landed although its answer did not.
    match call.store.key(&after.key.id).await {
        Ok(Some(found)) if found.change == after.change => Ok(true),
        _ => Err(error.into()),
    }
}

async fn publish_change<S: Store>(call: &Call<'_, S>, after: StoredKey) -> Result<(), StoreError> {
    publish_key(call.store, call.secrets, call.request.now, after).await?;
    // What an earlier change could not copy. Their operator was told; this one's change is through.
    let _ = publish_pending(call.store, call.secrets, call.request.now).await;
    Ok(())
}
