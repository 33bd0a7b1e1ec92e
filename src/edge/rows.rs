//! Rows of the database as they are read.

use crate::admin::{ConfigVersion, Kind, StoreError, StoredConfig, StoredHash, StoredKey, StoredRecord};
use worker::{Result, SqlCursor, SqlStorageValue};

use crate::json::readable;
use crate::keys::{Key, KeyHash};
use crate::units::UnixMillis;

/// The rows of an object's own storage, all of whose columns are texts.
pub(super) fn texts<const COLUMNS: usize>(rows: &SqlCursor) -> Result<Vec<[String; COLUMNS]>> {
    let mut all = Vec::new();
    each(rows, &mut |row| {
        let mut columns = row.into_iter();
        all.push(std::array::from_fn(|_| columns.next().unwrap_or_default()));
        Ok(())
    })?;
    Ok(all)
}

/// The same, one after the other: all at once may be too many.
pub(super) fn each(rows: &SqlCursor, take: &mut dyn FnMut(Vec<String>) -> Result<()>) -> Result<()> {
    let text = |value| match value {
        SqlStorageValue::String(text) => text,
        _ => String::new(),
    };
    for row in rows.raw() {
        take(row?.into_iter().map(text).collect())?;
    }
    Ok(())
}

/// A key, its team and its hashes.
#[derive(Default)]
pub(super) struct KeyRow {
    record: String,
    change: String,
    deleted_at: Option<i64>,
    team: Option<String>,
    hashes: String,
}
readable! { KeyRow { #[required] record, #[required] change, deleted_at, team, #[required] hashes } }

#[derive(Default)]
struct HashRow {
    hash: String,
    expires_at: Option<UnixMillis>,
}
readable! { HashRow { #[required] hash, expires_at } }

impl KeyRow {
    pub(super) fn read(self) -> Result<StoredKey, StoreError> {
        let unreadable = |error: crate::json::Error| StoreError { message: format!("a key's row: {error}") };
        let key: Key = crate::json::from_str(&self.record).map_err(unreadable)?;
        let hashes: Vec<HashRow> = crate::json::from_str(&self.hashes).map_err(unreadable)?;
        let hashes = hashes
            .into_iter()
            .filter_map(|row| Some(StoredHash { hash: KeyHash::parse(&row.hash)?, expires_at: row.expires_at }));
        let team = self.team.as_deref().map(crate::json::from_str).transpose().map_err(unreadable)?;
        let deleted = self.deleted_at.is_some();
        Ok(StoredKey { key, hashes: hashes.collect(), change: self.change, deleted, team })
    }
}

/// A team, user, budget, limit or webhook.
#[derive(Default)]
pub(super) struct RecordRow {
    id: String,
    record: String,
    change: String,
    created_at: UnixMillis,
    updated_at: UnixMillis,
    deleted_at: Option<i64>,
}
readable! { RecordRow {
    #[required] id, #[required] record, #[required] change, #[required] created_at, #[required] updated_at, deleted_at,
} }

impl RecordRow {
    pub(super) fn read(self) -> StoredRecord {
        let RecordRow { id, record, change, created_at, updated_at, deleted_at } = self;
        StoredRecord { id, record, change, created_at, updated_at, deleted: deleted_at.is_some() }
    }
}

/// Where records of a kind are kept.
pub(super) fn table_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Team => "teams",
        Kind::User => "users",
        Kind::Budget => "budgets",
        Kind::Limit => "limits",
        Kind::Webhook => "webhooks",
    }
}

/// A version of the configuration document.
#[derive(Default)]
pub(super) struct ConfigRow {
    version: u32,
    document: String,
    created_at: UnixMillis,
    change: String,
    restores: Option<u32>,
    published: u8,
}
readable! { ConfigRow {
    #[required] version, #[required] document, #[required] created_at, #[required] change, restores,
    #[required] published,
} }

impl ConfigRow {
    pub(super) fn read(self) -> StoredConfig {
        let ConfigRow { version, document, created_at, change, restores, published } = self;
        StoredConfig { version: ConfigVersion { version, created_at, change, restores, published }, document }
    }
}
