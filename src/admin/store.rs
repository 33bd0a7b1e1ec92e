//! What the admin use cases need of storage.
//!
//! Two places are behind it: the database, which is right, and the copies at the edge, which are near. A write to the
//! database is one transaction with its audit entry. Any call may fail although it took effect; that is why every
//! change carries an id of its own, by which it is recognised when it is read back.

use super::{ExperimentVersion, PairRow, UsageQuery, UsageRow, VariantRow};
use super::{LedgerHealth, RegionHealth};
use crate::breaker::Order;
use crate::budget::PotStanding;
use crate::budget::ledger::Released;
use crate::gateway::Load;
use crate::json::{self, Reader, readable};
use crate::keys::{Grant, Key, KeyHash, TeamTerms};
use crate::sorted::SortedMap;
use crate::units::{Millis, UnixMillis};

/// How budgets and limits stand: by rule, then by pot.
pub type Pots = SortedMap<String, SortedMap<String, PotStanding>>;

/// The newest migration, as wrangler notes in `d1_migrations` which are applied. It applies them in their order, so that with
/// this one the database has all that this version asks of it.
pub const NEWEST_MIGRATION: &str = "0010_stored_items.sql";

/// The database and the edge copies.
#[allow(async_fn_in_trait, reason = "one isolate is one thread: nothing here is ever sent to another")]
pub trait Store {
    /// Adds a key. Fails if its id or one of its hashes is taken.
    async fn create_key(&self, stored: &StoredKey, audit: &AuditEntry) -> Result<(), StoreError>;
    /// A key by its id, deleted ones included.
    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError>;
    /// Keys by their ids, deleted ones included, in any order.
    async fn keys_of(&self, ids: &[&str]) -> Result<Vec<StoredKey>, StoreError>;
    /// Keys that are not deleted, newest first, from the one after `before`; of one team, if it is named.
    async fn keys(&self, team: Option<&str>, before: Option<&str>, most: u32) -> Result<Vec<StoredKey>, StoreError>;
    /// Puts `stored` in the place of the record whose last change was `expected`; `false`, and nothing is written, if
    /// there was another change since. Hashes it does not list are forgotten.
    async fn replace_key(&self, stored: &StoredKey, expected: &str, audit: &AuditEntry) -> Result<bool, StoreError>;
    /// Keys whose last change has not reached the edge, deleted ones included.
    async fn unpublished_keys(&self, most: u32) -> Result<Vec<StoredKey>, StoreError>;
    /// Notes that the edge has a key as it is here; `false` if that is no longer its last change, or no longer that of
    /// its team.
    async fn key_published(&self, stored: &StoredKey) -> Result<bool, StoreError>;
    /// Writes the edge copy of a grant, sealed; it may vanish some time after `until`.
    async fn put_grant(&self, hash: &KeyHash, sealed: &str, until: Option<UnixMillis>) -> Result<(), StoreError>;
    /// Removes the edge copy of a grant, if there is one.
    async fn remove_grant(&self, hash: &KeyHash) -> Result<(), StoreError>;
    /// Adds a record, or puts it in the place of a deleted one; `false`, and nothing is written, if its id is taken.
    async fn create_record(&self, kind: Kind, stored: &StoredRecord, audit: &AuditEntry) -> Result<bool, StoreError>;
    /// A record by its id, deleted ones included.
    async fn record(&self, kind: Kind, id: &str) -> Result<Option<StoredRecord>, StoreError>;
    /// Records that are not deleted, by id from the highest, from the one after `before`.
    async fn records(&self, kind: Kind, before: Option<&str>, most: u32) -> Result<Vec<StoredRecord>, StoreError>;
    /// Puts `stored` in the place of the record whose last change was `expected`; `false`, and nothing is written, if
    /// there was another change since. The keys of a changed team count as unpublished from then on.
    async fn replace_record(
        &self,
        kind: Kind,
        stored: &StoredRecord,
        expected: &str,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;
    /// The configuration in force; `None` if none was ever written.
    async fn config(&self) -> Result<Option<StoredConfig>, StoreError>;
    /// One version of the configuration.
    async fn config_version(&self, version: u32) -> Result<Option<StoredConfig>, StoreError>;
    /// Versions, newest first, from the one after `before`; without their documents.
    async fn config_versions(&self, before: Option<u32>, most: u32) -> Result<Vec<ConfigVersion>, StoreError>;
    /// Adds a version and so puts it in force; `false`, and nothing is written, unless it is the one after the last.
    async fn append_config(&self, config: &StoredConfig, audit: &AuditEntry) -> Result<bool, StoreError>;
    /// Notes that the edge has `version`; `false` if that is no longer the last one.
    async fn config_published(&self, version: u32) -> Result<bool, StoreError>;
    /// Writes the edge copy of the configuration, sealed.
    async fn put_config(&self, sealed: &str) -> Result<(), StoreError>;
    /// Tells the ledger what a key is subject to, so that it is in force within seconds.
    async fn tell_key(&self, stored: &StoredKey) -> Result<(), StoreError>;
    /// Tells the ledger of a budget or a limit, or that it is gone; nothing of other records.
    async fn tell_rule(&self, kind: Kind, stored: &StoredRecord) -> Result<(), StoreError>;
    /// Teams, budgets and limits whose last change the ledger was not told of, deleted ones included.
    async fn untold_records(&self, most: u32) -> Result<Vec<(Kind, StoredRecord)>, StoreError>;
    /// Notes that the ledger was told of `change` of a record; `false` if that is no longer its last change.
    async fn record_told(&self, kind: Kind, id: &str, change: &str) -> Result<bool, StoreError>;
    /// How these budgets and limits stand.
    async fn standings(&self, rules: Vec<String>) -> Result<Pots, StoreError>;
    /// Has the ledger free what isolates of which nothing was heard for so long had leased of a budget; `None` where
    /// there is no such budget.
    async fn release_budget(&self, id: &str, silence: Millis) -> Result<Option<Released>, StoreError>;
    /// Records of calls, newest first.
    async fn calls(&self, query: &CallsQuery<'_>) -> Result<Vec<CallRow>, StoreError>;
    /// All rows of a call, oldest first.
    async fn call_rows(&self, request_id: &str) -> Result<Vec<CallRow>, StoreError>;
    /// Sums of calls.
    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError>;
    /// Sums over the calls of an experiment, a row for each variant.
    async fn variants(
        &self,
        experiment: &str,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<Vec<VariantRow>, StoreError>;
    /// Calls of an experiment and their shadows, the latest first.
    async fn pairs(&self, experiment: &str, most: u32) -> Result<Vec<PairRow>, StoreError>;
    /// What the latest versions of the configuration say of an experiment and an alias, newest first.
    async fn experiment_history(
        &self,
        experiment: &str,
        alias: &str,
        most: u32,
    ) -> Result<Vec<ExperimentVersion>, StoreError>;
    /// Audit entries, newest first, from the one after `before`; of one subject, if it is named.
    async fn audit(
        &self,
        subject: Option<&str>,
        before: Option<&str>,
        most: u32,
    ) -> Result<Vec<AuditEntry>, StoreError>;
    /// Adds an audit entry that belongs to no other write; one that is there already stays as it is.
    async fn append_audit(&self, audit: &AuditEntry) -> Result<(), StoreError>;
    /// What the health objects of all region groups say.
    async fn breakers(&self) -> Result<Vec<RegionHealth>, StoreError>;
    /// How many teams were made with a ledger of their own, deleted ones included.
    async fn own_ledgers(&self) -> Result<usize, StoreError>;
    /// What the ledgers have for the database: the account's, and those of teams that have one of their own.
    async fn ledgers(&self) -> Vec<LedgerHealth>;
    /// What the isolate that answers is busy with.
    fn load(&self) -> Load;
    /// Has the ledger and the health objects of all region groups do what the operator wants; fails naming those that did
    /// not.
    async fn order_breakers(&self, order: &Order) -> Result<(), StoreError>;
}

/// Storage failed, or did not answer in time; what was asked may have happened all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What it said.
    pub message: String,
}

/// A key as the database holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The record.
    pub key: Key,
    /// The hashes of its texts: the current one, and those that a rotation left in force for a while.
    pub hashes: Vec<StoredHash>,
    /// The id of its last change, which is that of the change's audit entry.
    pub change: String,
    /// Deleted: kept for the sake of what refers to it, shown nowhere.
    pub deleted: bool,
    /// What its team says, where it has one.
    pub team: Option<TeamTerms>,
}

/// What is kept as records, a table each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `/admin/teams`.
    Team,
    /// `/admin/users`.
    User,
    /// `/admin/budgets`.
    Budget,
    /// `/admin/limits`.
    Limit,
    /// `/admin/webhooks`.
    Webhook,
}

/// A record as the database holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its id.
    pub id: String,
    /// Its fields, as JSON.
    pub record: String,
    /// The id of its last change, which is that of the change's audit entry.
    pub change: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Deleted: kept for the sake of what refers to it, shown nowhere.
    pub deleted: bool,
}

/// One text of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredHash {
    /// Its hash.
    pub hash: KeyHash,
    /// When it stops, if that is before the key does.
    pub expires_at: Option<UnixMillis>,
}

impl StoredKey {
    /// What the text of `hash` may do: all that the key may, until the text or the key ends.
    ///
    /// `None` if the key is deleted or has no such text.
    #[must_use]
    pub fn grant(&self, hash: &KeyHash) -> Option<Grant> {
        let text = self.hashes.iter().find(|text| text.hash == *hash)?;
        let mut key = self.key.clone();
        key.expires_at = [key.expires_at, text.expires_at].into_iter().flatten().min();
        key.team = self.team;
        (!self.deleted).then(|| Grant::new(key))
    }
}

impl Kind {
    /// One of them, as objects, ids and audit entries name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Team => "team",
            Kind::User => "user",
            Kind::Budget => "budget",
            Kind::Limit => "limit",
            Kind::Webhook => "webhook",
        }
    }
}

impl StoredHash {
    /// Whether it has stopped.
    #[must_use]
    pub fn ended(&self, now: UnixMillis) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// A configuration document with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConfig {
    /// Which, and since when.
    pub version: ConfigVersion,
    /// The document, byte for byte as it was sent.
    pub document: String,
}

/// One version of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigVersion {
    /// Its number: 1 is the first.
    pub version: u32,
    /// When it was written.
    pub created_at: UnixMillis,
    /// The id of the change that wrote it, which is that of the change's audit entry.
    pub change: String,
    /// The version it brought back, if it is a rollback.
    pub restores: Option<u32>,
    /// 1 when the edge has it, else 0: SQLite has no booleans.
    pub published: u8,
}
readable! { ConfigVersion {
    #[required] version, #[required] created_at, #[required] change, restores, #[required] published,
} }

/// Who changed what, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// `change_…`, sorting by time.
    pub id: String,
    /// When.
    pub at: UnixMillis,
    /// Who: `admin`, or `schedule` and `breaker` for what the gateway does by itself.
    pub actor: String,
    /// From which address, where that is known.
    pub address: Option<String>,
    /// What was done, such as `key.rotate`.
    pub action: String,
    /// To what: the id of a key, or `config`.
    pub subject: String,
    /// What it was before, as JSON; no secret is ever in it.
    pub before: Option<String>,
    /// What it is since, as JSON.
    pub after: Option<String>,
}
readable! { AuditEntry {
    #[required] id, #[required] at, #[required] actor, address, #[required] action, #[required] subject, before, after,
} }

/// Which call records to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallsQuery<'a> {
    /// Only calls with this key.
    pub key_id: Option<&'a str>,
    /// Only calls that this provider answered.
    pub provider: Option<&'a str>,
    /// Only calls of this model, as its provider spells it.
    pub model: Option<&'a str>,
    /// Only calls at or after this moment.
    pub from: Option<UnixMillis>,
    /// Only calls before this moment.
    pub until: Option<UnixMillis>,
    /// Only rows older than the one at this place.
    pub before: Option<CallPlace<'a>>,
    /// How many rows.
    pub most: u32,
}

/// The place of a row among all: rows are ordered by time, then request, then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallPlace<'a> {
    /// When the call came.
    pub at: UnixMillis,
    /// Its request id.
    pub request_id: &'a str,
    /// The number of the row within the request.
    pub seq: u32,
}

/// A row of the `calls` table: one attempt at a call, or a correction of one. Read from the table, or from the record that
/// is not there yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the columns of the table; the API description says what each means")]
pub struct CallRow {
    pub request_id: String,
    pub seq: u32,
    pub at: UnixMillis,
    pub key_id: String,
    pub team_id: Option<String>,
    pub endpoint: String,
    pub provider: String,
    pub model: String,
    pub status: u16,
    /// 0 or 1: SQLite has no booleans.
    pub stream: u8,
    pub lane: String,
    pub attempts: u32,
    pub input_fresh: i64,
    pub input_cache_read: i64,
    pub input_cache_write: i64,
    pub input_cache_write_1h: i64,
    pub input_audio: i64,
    pub input_image: i64,
    pub output_text: i64,
    pub output_reasoning: i64,
    pub output_audio: i64,
    pub output_image: i64,
    pub cost_nano: Option<i64>,
    pub upstream_cost_nano: Option<i64>,
    pub prices: Option<String>,
    pub corrects: Option<u32>,
    pub state: String,
    pub first_token_ms: Option<i64>,
    pub total_ms: i64,
    pub error: Option<String>,
    pub cause: Option<String>,
    pub client_request_id: Option<String>,
    pub adjusted: Option<String>,
    pub tried: Option<String>,
    pub user: Option<String>,
    pub session: Option<String>,
    pub tags: Option<String>,
    /// The version of the configuration that decided; `None` while none was written.
    pub config: Option<u32>,
    pub asked: Option<String>,
    pub alias: Option<String>,
    pub variant: Option<String>,
    pub task: Option<String>,
    pub difficulty: Option<u8>,
    /// What it was made for, where no caller made it.
    pub role: Option<String>,
    /// The call for whose sake it was made.
    pub made_for: Option<String>,
    /// Only where all rows of one call are asked for: it is long.
    pub routing: Option<String>,
}
readable! { CallRow {
    request_id, seq, at, key_id, team_id, endpoint, provider, model, status, stream: flag, lane, attempts, input_fresh,
    input_cache_read, input_cache_write, input_cache_write_1h, input_audio, input_image, output_text, output_reasoning,
    output_audio, output_image, cost_nano, upstream_cost_nano, prices, corrects, state, first_token_ms, total_ms,
    error, cause, client_request_id, adjusted, tried, user, session, tags, config, asked, alias, variant, task,
    difficulty, role, made_for, routing: written,
} }

/// 0 or 1, or what they stand for.
fn flag(reader: &mut Reader<'_>) -> Result<u8, json::Error> {
    Ok(u8::from(matches!(reader.value()?.get(), "1" | "true")))
}

/// JSON within a string, or as it is.
fn written(reader: &mut Reader<'_>) -> Result<Option<String>, json::Error> {
    let raw = Some(reader.value()?).filter(|raw| !raw.is_null());
    Ok(raw.map(|raw| raw.text().map_or_else(|| raw.get().to_owned(), |text| text.decode().into_owned())))
}

impl CallRow {
    /// Its place among all rows.
    #[must_use]
    pub fn place(&self) -> CallPlace<'_> {
        CallPlace { at: self.at, request_id: &self.request_id, seq: self.seq }
    }
}
