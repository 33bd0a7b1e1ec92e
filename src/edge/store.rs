//! Keys, teams, rules, configuration, audit log and call records in D1, with their copies in KV.
//!
//! Nothing here decides: statements in, rows out, each within a time limit, because storage that hangs must not hang
//! a call. Money and moments are whole numbers below 2^53, and D1 takes no big integers, so they travel as floats;
//! lists travel as one JSON parameter, because a statement has at most 100.

use std::fmt::Display;
use std::time::Duration;

use js_sys::futures::JsFuture;
use js_sys::{Array, JSON, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{D1Database, D1PreparedStatement, Env, worker_sys};

use super::copies::{read_copy, write_copy};
use super::ledger::Definitions;
use super::ledgers::RuleRow;
use super::log;
use super::rows::{ConfigRow, KeyRow, RecordRow, table_of};
use super::together::in_time;
use super::usage;
use crate::admin::{
    AuditEntry, CallRow, CallsQuery, ConfigVersion, ExperimentVersion, Kind, LedgerHealth, NEWEST_MIGRATION, PairRow,
    Pots, RegionHealth, Store, StoreError, StoredConfig, StoredHash, StoredKey, StoredRecord, UsageQuery, UsageRow,
    VariantRow, open_config,
};
use crate::breaker::Order;
use crate::budget::ledger::Released;
use crate::budget::{Ended, ledger_of};
use crate::gateway::{Content, Feedback, Load};
use crate::json::FromJsonOwned;
use crate::keys::{Grant, Key, KeyHash, Secrets};
use crate::units::{Millis, UnixMillis};

/// The database is far for some; beyond this the call fails rather than waits.
const DATABASE: Duration = Duration::from_secs(5);
/// An edge copy of a text that has ended may go after this many seconds.
const ENDED_KEPT: i64 = 24 * 60 * 60;
/// The name of the configuration's copy.
const CONFIG: &str = "current";
/// Sorts after every id: no character is higher.
const LAST: &str = "\u{10ffff}";

/// What a key may do, from its edge copy or, where there is none, from the database.
///
/// `None` if there is no such key. A copy that was not sealed here is passed over, and the database asked.
///
/// # Errors
/// Where neither place answers.
pub async fn load_grant(env: &Env, secrets: &Secrets, hash: &KeyHash) -> Result<Option<Grant>, StoreError> {
    match read_copy(env, "KEYS", &grant_name(hash)).await {
        Ok(Some(sealed)) => match Grant::open(secrets, hash, &sealed) {
            Ok(grant) => return Ok(Some(grant)),
            Err(failure) => {
                let cause = failure.cause.as_deref().unwrap_or_default();
                not_read(&format_args!("key {hash}: {failure} {cause}"));
            }
        },
        Ok(None) => {}
        Err(error) => not_read(&format_args!("key {hash}: {error}")),
    }
    let those = "id = (SELECT key_id FROM key_hashes WHERE hash = ?1)";
    let stored = EdgeStore { env }.stored_keys(those, &[hash.to_string().into()]).await?.pop();
    Ok(stored.and_then(|stored| stored.grant(hash)))
}

/// A copy at the edge is of no use: the database is asked instead.
fn not_read(copy: &dyn Display) {
    log::lacked("copy_not_read", copy);
}

/// The version and the document of the configuration in force; `None` if none was ever written.
///
/// # Errors
/// Where neither the edge copy nor the database can be read.
pub async fn load_config(env: &Env, secrets: &Secrets) -> Result<Option<(u32, String)>, StoreError> {
    match read_copy(env, "CONFIG", CONFIG).await {
        Ok(Some(sealed)) => match open_config(secrets, &sealed) {
            Some((version, document)) => return Ok(Some((version, document.to_owned()))),
            None => not_read(&"configuration: it was not sealed with these secrets"),
        },
        Ok(None) => {}
        Err(error) => not_read(&format_args!("configuration: {error}")),
    }
    let stored = EdgeStore { env }.config().await?;
    Ok(stored.map(|stored| (stored.version.version, stored.document)))
}

/// The vectors of the configuration's phrases, sealed, if they are in KV.
///
/// # Errors
/// Where it does not answer.
pub async fn load_vectors(env: &Env, fingerprint: &str) -> Result<Option<String>, StoreError> {
    read_copy(env, "CONFIG", &vectors_name(fingerprint)).await
}

/// Keeps the vectors of the configuration's phrases.
///
/// # Errors
/// Where KV does not take them.
pub async fn put_vectors(env: &Env, fingerprint: &str, sealed: &str) -> Result<(), StoreError> {
    write_copy(env, "CONFIG", &vectors_name(fingerprint), Some((sealed, None))).await
}

fn vectors_name(fingerprint: &str) -> String {
    format!("vectors:{fingerprint}")
}

/// Appends records of calls to the `calls` table, all or none; one that is there already stays as it is.
///
/// `records` is a JSON array of objects; the table's other columns are read out of them when they are asked for.
///
/// # Errors
/// Where the database fails or does not answer; repeating is safe.
pub async fn insert_records(env: &Env, records: JsValue) -> Result<(), StoreError> {
    // `WHERE true` tells the parser that what follows belongs to the insert, not to a join.
    let statement = "INSERT INTO calls (request_id, seq, at, key_id, record) \
         SELECT value->>'request_id', value->>'seq', value->>'at', value->>'key_id', value \
         FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING";
    EdgeStore { env }.run(statement, &[records]).await.map(|_| ())
}

/// Keeps what was answered to calls, each once.
///
/// # Errors
/// Where the database does not answer.
pub async fn insert_contents(env: &Env, contents: &[Content]) -> Result<(), StoreError> {
    let store = EdgeStore { env };
    let database = store.database()?;
    let mut statements = Vec::with_capacity(contents.len());
    for Content { request_id, at, content } in contents {
        let statement = "INSERT INTO contents (request_id, at, content) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        let values = [request_id.as_str().into(), number(at.0), content.as_str().into()];
        statements.push(database.prepare(statement).bind(&values)?);
    }
    store.batch(statements).await.map(|_| ())
}

/// Writes an event that is about a budget, once.
pub async fn insert_event(env: &Env, event: JsValue) -> Result<(), StoreError> {
    let store = EdgeStore { env };
    let statement = "INSERT INTO events (id, at, type, subject, data) \
         SELECT ?1->>'id', ?1->>'at', ?1->>'type', ?1->>'subject', ?1->'data' WHERE true ON CONFLICT DO NOTHING";
    store.run(statement, &[event]).await.map(|_| ())
}

/// Whether the database has all that this version asks of it.
///
/// # Errors
/// Where it does not answer, or has not: then it says that there is "no such" thing.
pub async fn is_migrated(env: &Env) -> Result<(), StoreError> {
    let statement = "SELECT name AS id, '' AS record FROM d1_migrations WHERE name = ?1";
    let applied: Vec<RuleRow> = EdgeStore { env }.rows(statement, &[NEWEST_MIGRATION.into()]).await?;
    let message = || format!("no such migration was applied: {NEWEST_MIGRATION}");
    if applied.is_empty() { Err(StoreError { message: message() }) } else { Ok(()) }
}

/// What a [`CallRow`] is read from.
const CALL_COLUMNS: &str = "request_id, seq, at, key_id, team_id, endpoint, provider, model, status, stream, lane, attempts, \
    input_fresh, input_cache_read, input_cache_write, input_cache_write_1h, input_audio, input_image, \
    output_text, output_reasoning, output_audio, output_image, cost_nano, upstream_cost_nano, prices, \
    corrects, state, first_token_ms, total_ms, error, cause, client_request_id, adjusted, tried, user, \
    session, tags, record->>'config' AS config, record->>'asked' AS asked, record->>'alias' AS alias, \
    record->>'variant' AS variant, record->>'task' AS task, record->>'difficulty' AS difficulty, \
    record->>'role' AS role, record->>'made_for' AS made_for";

impl EdgeStore<'_> {
    /// Keeps what the key `feedback.key_id` thinks of a call of its own; `false` where it made no such call.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn keep_feedback(&self, feedback: &Feedback) -> Result<bool, StoreError> {
        let statement = "INSERT INTO feedback (request_id, name, at, score) SELECT ?1, ?2, ?3, ?4 \
             WHERE EXISTS (SELECT 1 FROM calls WHERE request_id = ?1 AND seq = 0 AND key_id = ?5) \
             ON CONFLICT (request_id, name) DO UPDATE SET at = excluded.at, score = excluded.score";
        let values = [
            feedback.request_id.as_str().into(),
            feedback.name.as_str().into(),
            number(feedback.at.0),
            feedback.score.into(),
            feedback.key_id.as_str().into(),
        ];
        Ok(self.run(statement, &values).await? == 1)
    }
}

/// [`Store`] over the bindings `DB`, `KEYS` and `CONFIG`.
#[derive(Debug)]
pub struct EdgeStore<'a> {
    /// The Worker's bindings.
    pub env: &'a Env,
}

impl Store for EdgeStore<'_> {
    async fn create_key(&self, stored: &StoredKey, audit: &AuditEntry) -> Result<(), StoreError> {
        let database = self.database()?;
        let key = database.prepare("INSERT INTO keys (id, record, change) VALUES (?1, ?2, ?3)").bind(&[
            stored.key.id.as_str().into(),
            record_of(&stored.key)?.into(),
            stored.change.as_str().into(),
        ])?;
        let hashes = database.prepare(
            "INSERT INTO key_hashes (hash, key_id, expires_at) \
             SELECT json_extract(value, '$.hash'), ?1, json_extract(value, '$.expires_at') FROM json_each(?2)",
        );
        let hashes = hashes.bind(&[stored.key.id.as_str().into(), hashes_json(&stored.hashes).into()])?;
        self.batch(vec![key, hashes, audit_statement(&database, audit, "")?]).await.map(|_| ())
    }

    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError> {
        Ok(self.keys_of(&[id]).await?.pop())
    }

    async fn keys_of(&self, ids: &[&str]) -> Result<Vec<StoredKey>, StoreError> {
        self.stored_keys("id IN (SELECT value FROM json_each(?1))", &[crate::json::to_string(ids).into()]).await
    }

    async fn keys(&self, team: Option<&str>, before: Option<&str>, most: u32) -> Result<Vec<StoredKey>, StoreError> {
        let of_team = if team.is_some() { "json_extract(record, '$.team_id') = ?3 AND" } else { "" };
        let mut values: Vec<JsValue> = vec![before.unwrap_or(LAST).into(), most.into()];
        values.extend(team.map(JsValue::from));
        let those = format!("{of_team} id < ?1 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?2");
        self.stored_keys(&those, &values).await
    }

    async fn replace_key(&self, stored: &StoredKey, expected: &str, audit: &AuditEntry) -> Result<bool, StoreError> {
        let database = self.database()?;
        let (id, change) = (stored.key.id.as_str(), stored.change.as_str());
        let hashes = hashes_json(&stored.hashes);
        let deleted_at = if stored.deleted { number(stored.key.updated_at.0) } else { JsValue::NULL };
        let record = database
            .prepare("UPDATE keys SET record = ?1, change = ?2, deleted_at = ?3 WHERE id = ?4 AND change = ?5")
            .bind(&[record_of(&stored.key)?.into(), change.into(), deleted_at, id.into(), expected.into()])?;
        // The rest of the transaction does nothing unless the first statement wrote this very change.
        let forgotten = database
            .prepare(
                "DELETE FROM key_hashes WHERE key_id = ?1 \
                 AND hash NOT IN (SELECT json_extract(value, '$.hash') FROM json_each(?2)) \
                 AND EXISTS (SELECT 1 FROM keys WHERE id = ?1 AND change = ?3)",
            )
            .bind(&[id.into(), hashes.as_str().into(), change.into()])?;
        let kept = database
            .prepare(
                "INSERT INTO key_hashes (hash, key_id, expires_at) \
                 SELECT json_extract(value, '$.hash'), ?1, json_extract(value, '$.expires_at') FROM json_each(?2) \
                 WHERE EXISTS (SELECT 1 FROM keys WHERE id = ?1 AND change = ?3) \
                 ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at",
            )
            .bind(&[id.into(), hashes.as_str().into(), change.into()])?;
        let entry = audit_statement(&database, audit, "WHERE EXISTS (SELECT 1 FROM keys WHERE change = ?1)")?;
        Ok(self.batch(vec![record, forgotten, kept, entry]).await? == 1)
    }

    async fn unpublished_keys(&self, most: u32) -> Result<Vec<StoredKey>, StoreError> {
        self.stored_keys("published_change IS NOT change ORDER BY id LIMIT ?1", &[most.into()]).await
    }

    async fn key_published(&self, stored: &StoredKey) -> Result<bool, StoreError> {
        let statement = "UPDATE keys SET published_change = change WHERE id = ?1 AND change = ?2 \
             AND ?3 IS (SELECT updated_at FROM teams WHERE id = json_extract(record, '$.team_id'))";
        let team = stored.team.map_or(JsValue::NULL, |team| number(team.updated_at.0));
        let values = [stored.key.id.as_str().into(), stored.change.as_str().into(), team];
        Ok(self.run(statement, &values).await? == 1)
    }

    async fn put_grant(&self, hash: &KeyHash, sealed: &str, until: Option<UnixMillis>) -> Result<(), StoreError> {
        let expiration = until.and_then(|end| u64::try_from(end.seconds().saturating_add(ENDED_KEPT)).ok());
        write_copy(self.env, "KEYS", &grant_name(hash), Some((sealed, expiration))).await
    }

    async fn remove_grant(&self, hash: &KeyHash) -> Result<(), StoreError> {
        write_copy(self.env, "KEYS", &grant_name(hash), None).await
    }

    async fn create_record(&self, kind: Kind, stored: &StoredRecord, audit: &AuditEntry) -> Result<bool, StoreError> {
        let database = self.database()?;
        let table = table_of(kind);
        let row = database
            .prepare(format!(
                "INSERT INTO {table} (id, record, change, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (id) DO UPDATE SET record = excluded.record, change = excluded.change, \
                 created_at = excluded.created_at, updated_at = excluded.updated_at, deleted_at = NULL \
                 WHERE deleted_at IS NOT NULL"
            ))
            .bind(&[
                stored.id.as_str().into(),
                stored.record.as_str().into(),
                stored.change.as_str().into(),
                number(stored.created_at.0),
                number(stored.updated_at.0),
            ])?;
        let condition = format!("WHERE EXISTS (SELECT 1 FROM {table} WHERE change = ?1)");
        Ok(self.batch(vec![row, audit_statement(&database, audit, &condition)?]).await? == 1)
    }

    async fn record(&self, kind: Kind, id: &str) -> Result<Option<StoredRecord>, StoreError> {
        let statement = format!("SELECT * FROM {} WHERE id = ?1", table_of(kind));
        let rows: Vec<RecordRow> = self.rows(&statement, &[id.into()]).await?;
        Ok(rows.into_iter().next().map(RecordRow::read))
    }

    async fn records(&self, kind: Kind, before: Option<&str>, most: u32) -> Result<Vec<StoredRecord>, StoreError> {
        let table = table_of(kind);
        let statement = format!("SELECT * FROM {table} WHERE id < ?1 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?2");
        let rows: Vec<RecordRow> = self.rows(&statement, &[before.unwrap_or(LAST).into(), most.into()]).await?;
        Ok(rows.into_iter().map(RecordRow::read).collect())
    }

    async fn replace_record(
        &self,
        kind: Kind,
        stored: &StoredRecord,
        expected: &str,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let database = self.database()?;
        let table = table_of(kind);
        let (id, change) = (stored.id.as_str(), stored.change.as_str());
        let updated_at = number(stored.updated_at.0);
        let deleted_at = if stored.deleted { updated_at.clone() } else { JsValue::NULL };
        let row = database
            .prepare(format!(
                "UPDATE {table} SET record = ?1, change = ?2, updated_at = ?3, deleted_at = ?4 \
                 WHERE id = ?5 AND change = ?6"
            ))
            .bind(&[
                stored.record.as_str().into(),
                change.into(),
                updated_at,
                deleted_at,
                id.into(),
                expected.into(),
            ])?;
        let condition = format!("WHERE EXISTS (SELECT 1 FROM {table} WHERE change = ?1)");
        let mut statements = vec![row, audit_statement(&database, audit, &condition)?];
        if kind == Kind::Team {
            let behind = database.prepare(
                "UPDATE keys SET published_change = NULL WHERE json_extract(record, '$.team_id') = ?1 \
                 AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM teams WHERE change = ?2)",
            );
            statements.push(behind.bind(&[id.into(), change.into()])?);
        }
        Ok(self.batch(statements).await? == 1)
    }

    async fn config(&self) -> Result<Option<StoredConfig>, StoreError> {
        let statement = "SELECT * FROM config_versions ORDER BY version DESC LIMIT 1";
        let rows: Vec<ConfigRow> = self.rows(statement, &[]).await?;
        Ok(rows.into_iter().next().map(ConfigRow::read))
    }

    async fn config_version(&self, version: u32) -> Result<Option<StoredConfig>, StoreError> {
        let statement = "SELECT * FROM config_versions WHERE version = ?1";
        let rows: Vec<ConfigRow> = self.rows(statement, &[version.into()]).await?;
        Ok(rows.into_iter().next().map(ConfigRow::read))
    }

    async fn config_versions(&self, before: Option<u32>, most: u32) -> Result<Vec<ConfigVersion>, StoreError> {
        let statement = "SELECT version, created_at, change, restores, published FROM config_versions \
             WHERE version < ?1 ORDER BY version DESC LIMIT ?2";
        self.rows(statement, &[before.unwrap_or(u32::MAX).into(), most.into()]).await
    }

    async fn append_config(&self, config: &StoredConfig, audit: &AuditEntry) -> Result<bool, StoreError> {
        let database = self.database()?;
        let StoredConfig { version, document } = config;
        let row = database
            .prepare(
                "INSERT INTO config_versions (version, document, created_at, change, restores) \
                 SELECT ?1, ?2, ?3, ?4, ?5 \
                 WHERE ?1 = (SELECT COALESCE(MAX(version), 0) + 1 FROM config_versions)",
            )
            .bind(&[
                version.version.into(),
                document.as_str().into(),
                number(version.created_at.0),
                version.change.as_str().into(),
                version.restores.map_or(JsValue::NULL, JsValue::from),
            ])?;
        let entry =
            audit_statement(&database, audit, "WHERE EXISTS (SELECT 1 FROM config_versions WHERE change = ?1)")?;
        Ok(self.batch(vec![row, entry]).await? == 1)
    }

    async fn config_published(&self, version: u32) -> Result<bool, StoreError> {
        let statement = "UPDATE config_versions SET published = 1 \
             WHERE version = ?1 AND version = (SELECT MAX(version) FROM config_versions)";
        Ok(self.run(statement, &[version.into()]).await? == 1)
    }

    async fn put_config(&self, sealed: &str) -> Result<(), StoreError> {
        write_copy(self.env, "CONFIG", CONFIG, Some((sealed, None))).await
    }

    async fn tell_key(&self, stored: &StoredKey) -> Result<(), StoreError> {
        let mut terms = crate::keys::terms(&Key { team: stored.team, ..stored.key.clone() });
        if stored.deleted {
            terms.ended = Some(Ended::Revoked);
        }
        if let Some(team) = ledger_of(stored.key.team_id.as_deref()) {
            let shared = terms.shared();
            super::ledgers::define(self.env, [Some(team)], Definitions::of_terms(terms)).await?;
            terms = shared;
        }
        super::ledgers::define(self.env, [None], Definitions::of_terms(terms)).await
    }

    async fn tell_rule(&self, kind: Kind, stored: &StoredRecord) -> Result<(), StoreError> {
        super::ledgers::tell_rule(self, kind, stored).await
    }

    async fn untold_records(&self, most: u32) -> Result<Vec<(Kind, StoredRecord)>, StoreError> {
        let mut untold = Vec::new();
        // Teams first: the ledger of one is told of all that it counts by.
        for kind in [Kind::Team, Kind::Budget, Kind::Limit] {
            let table = table_of(kind);
            let statement = format!("SELECT * FROM {table} WHERE told_change IS NOT change ORDER BY id LIMIT ?1");
            let rows: Vec<RecordRow> = self.rows(&statement, &[most.into()]).await?;
            untold.extend(rows.into_iter().map(|row| (kind, row.read())));
        }
        Ok(untold)
    }

    async fn record_told(&self, kind: Kind, id: &str, change: &str) -> Result<bool, StoreError> {
        let statement = format!("UPDATE {} SET told_change = change WHERE id = ?1 AND change = ?2", table_of(kind));
        Ok(self.run(&statement, &[id.into(), change.into()]).await? == 1)
    }

    async fn standings(&self, rules: Vec<String>) -> Result<Pots, StoreError> {
        super::ledgers::standings(self, rules).await
    }

    async fn calls(&self, query: &CallsQuery<'_>) -> Result<Vec<CallRow>, StoreError> {
        let mut conditions: Vec<&str> = Vec::new();
        let mut values: Vec<JsValue> = Vec::new();
        for (condition, value) in
            [("key_id = ?", query.key_id), ("provider = ?", query.provider), ("model = ?", query.model)]
        {
            if let Some(value) = value {
                conditions.push(condition);
                values.push(value.into());
            }
        }
        for (condition, moment) in [("at >= ?", query.from), ("at < ?", query.until)] {
            if let Some(moment) = moment {
                conditions.push(condition);
                values.push(number(moment.0));
            }
        }
        if let Some(place) = query.before {
            conditions.push("(at, request_id, seq) < (?, ?, ?)");
            values.extend([number(place.at.0), place.request_id.into(), place.seq.into()]);
        }
        let filter = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        values.push(query.most.into());
        let statement =
            format!("SELECT {CALL_COLUMNS} FROM calls {filter} ORDER BY at DESC, request_id DESC, seq DESC LIMIT ?");
        self.rows(&statement, &values).await
    }

    async fn call_rows(&self, request_id: &str) -> Result<Vec<CallRow>, StoreError> {
        let statement = format!(
            "SELECT {CALL_COLUMNS}, record->>'routing' AS routing FROM calls WHERE request_id = ?1 ORDER BY seq LIMIT 100"
        );
        self.rows(&statement, &[request_id.into()]).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        let (statement, values) = usage::statement(query);
        self.rows(&statement, &values).await
    }

    async fn variants(
        &self,
        experiment: &str,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<Vec<VariantRow>, StoreError> {
        // `experiment:` is a prefix of all its variants, and `;` follows `:`.
        let statement = "WITH one AS ( \
               SELECT substr(record->>'variant', length(?1) + 2) AS variant, first_token_ms, \
                 attempts > 0 AND (status >= 500 OR status = 429 OR (status = 200 AND error IS NOT NULL)) \
                   OR coalesce(record->>'missed', 0) AS failed, \
                 (SELECT sum(cost_nano) * 1e-9 FROM calls AS row WHERE row.request_id = calls.request_id) AS cost, \
                 (SELECT avg(score) FROM feedback WHERE feedback.request_id = calls.request_id) AS score \
               FROM calls WHERE record->>'variant' >= ?1 || ':' AND record->>'variant' < ?1 || ';' \
                 AND record->>'variant' IS NOT NULL AND seq = 0 AND at >= ?2 AND at < ?3 \
             ) \
             SELECT variant, count(*) AS calls, sum(failed) AS failed, \
               count(cost) AS priced, total(cost) AS cost, total(cost * cost) AS cost_squares, \
               count(first_token_ms) AS spoke, total(first_token_ms) AS first_token_ms, \
               total(first_token_ms * first_token_ms) AS first_token_squares, \
               count(score) AS scored, total(score) AS score, total(score * score) AS score_squares \
             FROM one GROUP BY variant";
        self.rows(statement, &[experiment.into(), number(from.0), number(until.0)]).await
    }

    async fn experiment_history(
        &self,
        experiment: &str,
        alias: &str,
        most: u32,
    ) -> Result<Vec<ExperimentVersion>, StoreError> {
        let statement = "SELECT created_at, \
               (SELECT value FROM json_each(document, '$.experiments') WHERE key = ?1) AS experiment, \
               (SELECT value FROM json_each(document, '$.aliases') WHERE key = ?2) AS alias \
             FROM config_versions ORDER BY version DESC LIMIT ?3";
        self.rows(statement, &[experiment.into(), alias.into(), most.into()]).await
    }

    async fn pairs(&self, experiment: &str, most: u32) -> Result<Vec<PairRow>, StoreError> {
        let statement = "SELECT substr(shadow.record->>'variant', length(?1) + 2) AS variant, \
               call.record AS call, shadow.record AS shadow, \
               (SELECT content FROM contents WHERE request_id = call.request_id) AS call_content, \
               (SELECT content FROM contents WHERE request_id = shadow.request_id) AS shadow_content \
             FROM calls AS shadow \
             JOIN calls AS call ON call.request_id = shadow.record->>'made_for' AND call.seq = 0 \
             WHERE shadow.record->>'variant' >= ?1 || ':' AND shadow.record->>'variant' < ?1 || ';' \
               AND shadow.record->>'variant' IS NOT NULL AND shadow.record->>'role' = 'shadow' AND shadow.seq = 0 \
             ORDER BY shadow.at DESC LIMIT ?2";
        self.rows(statement, &[experiment.into(), most.into()]).await
    }

    async fn audit(
        &self,
        subject: Option<&str>,
        before: Option<&str>,
        most: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let filter = if subject.is_some() { "subject = ?3 AND" } else { "" };
        let statement = format!("SELECT * FROM audit WHERE {filter} id < ?1 ORDER BY id DESC LIMIT ?2");
        let mut values: Vec<JsValue> = vec![before.unwrap_or(LAST).into(), most.into()];
        values.extend(subject.map(JsValue::from));
        self.rows(&statement, &values).await
    }

    async fn append_audit(&self, audit: &AuditEntry) -> Result<(), StoreError> {
        let database = self.database()?;
        let entry = audit_statement(&database, audit, "WHERE NOT EXISTS (SELECT 1 FROM audit WHERE id = ?1)")?;
        self.batch(vec![entry]).await.map(|_| ())
    }

    async fn breakers(&self) -> Result<Vec<RegionHealth>, StoreError> {
        Ok(super::health::overview(self.env).await)
    }

    async fn own_ledgers(&self) -> Result<usize, StoreError> {
        Ok(super::ledgers::teams(self).await?.len())
    }

    async fn ledgers(&self) -> Vec<LedgerHealth> {
        super::ledgers::health(self).await
    }

    fn load(&self) -> Load {
        super::hot::with_gateway(|gateway| gateway.load()).unwrap_or_default()
    }

    async fn order_breakers(&self, order: &Order) -> Result<(), StoreError> {
        super::health::order(self.env, order).await
    }

    async fn release_budget(&self, id: &str, silence: Millis) -> Result<Option<Released>, StoreError> {
        super::ledgers::release(self, id, silence).await
    }
}

impl EdgeStore<'_> {
    pub(super) fn database(&self) -> Result<D1Database, StoreError> {
        Ok(self.env.d1("DB")?)
    }

    pub(super) async fn rows<T: FromJsonOwned>(
        &self,
        statement: &str,
        values: &[JsValue],
    ) -> Result<Vec<T>, StoreError> {
        let statement = self.database()?.prepare(statement).bind(values)?;
        let asked = async { Ok(JsFuture::from(statement.inner().all()?).await?) };
        let answer = within(DATABASE, "the database", asked).await?;
        // As text our own reader takes them: the bindings' way would be a second one in the script, for each type of row.
        let rows = Reflect::get(&answer, &"results".into()).and_then(|rows| JSON::stringify(&rows));
        let rows = rows.map_err(worker::Error::from)?;
        Ok(crate::json::from_str(&String::from(rows)).map_err(worker::Error::from)?)
    }

    /// The keys of which a condition holds.
    async fn stored_keys(&self, condition: &str, values: &[JsValue]) -> Result<Vec<StoredKey>, StoreError> {
        let rows: Vec<KeyRow> = self.rows(&format!("{SELECT_KEYS} WHERE {condition}"), values).await?;
        rows.into_iter().map(KeyRow::read).collect()
    }

    /// How many rows a statement changed.
    pub(super) async fn run(&self, statement: &str, values: &[JsValue]) -> Result<u64, StoreError> {
        self.batch(vec![self.database()?.prepare(statement).bind(values)?]).await
    }

    /// One transaction; how many rows its first statement changed.
    pub(super) async fn batch(&self, statements: Vec<D1PreparedStatement>) -> Result<u64, StoreError> {
        if statements.is_empty() {
            return Ok(0);
        }
        let database: worker_sys::D1Database = JsValue::from(self.database()?).unchecked_into();
        let statements: Array = statements.iter().map(D1PreparedStatement::inner).collect();
        let asked = async { Ok(JsFuture::from(database.batch(statements)?).await?) };
        let answer = within(DATABASE, "the database", asked).await?;
        // By name, as rows are read: the bindings' way would be another reader in the script.
        let member = |value: JsValue, name: &str| Reflect::get(&value, &name.into());
        let first = Reflect::get_u32(&answer, 0).and_then(|first| member(first, "meta"));
        let changes = first.and_then(|meta| member(meta, "changes")).ok().and_then(|changes| changes.as_f64());
        changes
            .map(|changes| changes as u64)
            .ok_or_else(|| StoreError { message: "the database did not say what it changed".to_owned() })
    }
}

/// With the texts of each key as a JSON array.
const SELECT_KEYS: &str = "SELECT record, change, deleted_at, \
    (SELECT json_set(record, '$.updated_at', updated_at) FROM teams \
     WHERE id = json_extract(keys.record, '$.team_id')) AS team, \
    (SELECT json_group_array(json_object('hash', hash, 'expires_at', expires_at)) \
     FROM key_hashes WHERE key_id = keys.id) AS hashes FROM keys";

/// `condition` may refer to the entry's id as `?1`.
fn audit_statement(
    database: &D1Database,
    audit: &AuditEntry,
    condition: &str,
) -> Result<D1PreparedStatement, StoreError> {
    let statement = format!(
        "INSERT INTO audit (id, at, actor, address, action, subject, before, after) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 {condition}"
    );
    let optional = |text: &Option<String>| text.as_deref().map_or(JsValue::NULL, JsValue::from);
    let values = [
        audit.id.as_str().into(),
        number(audit.at.0),
        audit.actor.as_str().into(),
        optional(&audit.address),
        audit.action.as_str().into(),
        audit.subject.as_str().into(),
        optional(&audit.before),
        optional(&audit.after),
    ];
    Ok(database.prepare(statement).bind(&values)?)
}

pub(super) fn read_json<T: FromJsonOwned>(record: &str) -> Result<T, StoreError> {
    crate::json::from_str(record).map_err(|error| StoreError { message: format!("a record: {error}") })
}

fn record_of(key: &Key) -> Result<String, StoreError> {
    Ok(crate::json::to_string(key))
}

fn hashes_json(hashes: &[StoredHash]) -> String {
    let rows: Vec<String> = hashes
        .iter()
        .map(|text| {
            let end = text.expires_at.map_or("null".to_owned(), |end| end.0.to_string());
            format!(r#"{{"hash":"{}","expires_at":{end}}}"#, text.hash)
        })
        .collect();
    format!("[{}]", rows.join(","))
}

/// Every moment and amount of ours is below 2^53, up to which a float is exact.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub(super) fn number(value: i64) -> JsValue {
    JsValue::from_f64(value as f64)
}

fn grant_name(hash: &KeyHash) -> String {
    format!("k:{hash}")
}

pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = worker::Result<T>>,
) -> Result<T, StoreError> {
    match in_time(limit, work).await {
        Some(result) => Ok(result?),
        None => Err(StoreError { message: format!("{what} did not answer within {} ms", limit.as_millis()) }),
    }
}

impl From<worker::Error> for StoreError {
    fn from(error: worker::Error) -> StoreError {
        StoreError { message: error.to_string() }
    }
}
