//! What the ledger object keeps until the database has it: batches of records, and events.
//!
//! The database takes a batch in one statement. What it refuses while it answers otherwise must not hold up the rest: a
//! batch that it refuses twice is cut in halves until a single record is left that it does not take. That one steps aside
//! and is tried again ever more rarely, at last once an hour; nothing is given up. The log tells it, and an event, which the
//! database has to take.

use worker::wasm_bindgen::JsValue;
use worker::{Env, Error, Result, SqlStorage, SqlStorageValue, State, console_error};

use super::log;
use super::rows::texts;
use super::store;
use crate::admin::StoreError;
use crate::units::UnixMillis;

/// What the name of a batch begins with that is an event.
const EVENT: &str = "event:";
/// Batches that one alarm moves at most; the database takes each in one statement.
const BATCHES_AN_ALARM: i64 = 20;
/// Batches in which a call is looked for: more wait only where the database is away for long.
const MOST_LOOKED_AT: i64 = 200;

/// See the module.
pub(super) struct Outbox<'a> {
    sql: SqlStorage,
    env: &'a Env,
}

impl<'a> Outbox<'a> {
    pub(super) const TABLES: [&'static str; 2] = [
        "CREATE TABLE IF NOT EXISTS outbox (batch TEXT PRIMARY KEY, records TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS aside (batch TEXT PRIMARY KEY, tries INTEGER NOT NULL, due INTEGER NOT NULL) \
         WITHOUT ROWID",
    ];

    pub(super) fn of(state: &State, env: &'a Env) -> Outbox<'a> {
        Outbox { sql: state.storage().sql(), env }
    }

    /// Keeps a batch: a JSON array of records. One of a name that is there already is the same.
    pub(super) fn keep(&self, batch: &str, records: &str) -> Result<()> {
        if records == "[]" {
            return Ok(());
        }
        let values = vec![JsValue::from_str(batch), JsValue::from_str(records)];
        self.sql.exec_raw("INSERT OR IGNORE INTO outbox (batch, records) VALUES (?, ?)", values).map(|_| ())
    }

    /// Keeps an event: a JSON object that is a row of the table of events.
    pub(super) fn keep_event(&self, id: &str, event: &str) -> Result<()> {
        self.keep(&[EVENT, id].concat(), event)
    }

    /// The records of a call among the batches that wait, as they were written, in their order.
    pub(super) fn waiting(&self, request_id: &str) -> Result<Vec<String>> {
        let statement = "SELECT record.value FROM (SELECT records FROM outbox WHERE batch NOT LIKE ? || '%' LIMIT ?) AS waiting, \
             json_each(waiting.records) AS record \
             WHERE instr(waiting.records, ?) > 0 AND record.value->>'request_id' = ? ORDER BY record.value->>'seq' LIMIT 100";
        let values = vec![text(EVENT), number(MOST_LOOKED_AT)?, text(request_id), text(request_id)];
        let rows = texts(&self.sql.exec(statement, values)?)?;
        Ok(rows.into_iter().map(|[record]| record).collect())
    }

    /// Moves some batches to the database; how many are out of the way.
    ///
    /// # Errors
    /// Where the database is away.
    pub(super) async fn flush(&self, now: UnixMillis) -> Result<usize> {
        let some = "SELECT batch FROM outbox LEFT JOIN aside USING (batch) WHERE due IS NULL OR due <= ? LIMIT ?";
        let names = texts(&self.sql.exec(some, vec![number(now.0)?, number(BATCHES_AN_ALARM)?])?)?;
        for [batch] in &names {
            // Each is read when its turn comes: all at once they would be megabytes.
            let rows = texts(&self.sql.exec("SELECT records FROM outbox WHERE batch = ?", vec![text(batch)])?)?;
            let Some([records]) = rows.into_iter().next() else { continue };
            let records = JsValue::from(records);
            let written = match batch.strip_prefix(EVENT) {
                Some(_) => store::insert_event(self.env, records).await,
                None => store::insert_records(self.env, records).await,
            };
            match written {
                Ok(()) => self.delete(batch)?,
                Err(error) if self.is_away().await => return Err(Error::RustError(error.to_string())),
                // D1 stumbles now and then over what it takes the next time, and does not try writes again by itself.
                Err(_) if self.is_fresh(batch)? => self.wait_for(batch, now)?,
                Err(error) => match self.tell(batch, &error, now).await {
                    Ok(()) => self.put_aside(batch, now)?,
                    Err(_) => return Err(Error::RustError(error.to_string())),
                },
            }
        }
        Ok(names.len())
    }

    /// When what stepped aside is tried again, the next of it; `None` where nothing did.
    pub(super) fn next(&self) -> Result<Option<UnixMillis>> {
        let next = texts(&self.sql.exec("SELECT CAST(min(due) AS TEXT) FROM aside", Vec::new())?)?;
        Ok(next.first().and_then(|[due]| due.parse().ok()).map(UnixMillis))
    }

    /// How much waits, and how much of it stepped aside, as JSON.
    pub(super) fn figures(&self) -> Result<String> {
        let figures =
            "SELECT json_object('waiting', (SELECT count(*) FROM outbox) - count(*), 'aside', count(*)) FROM aside";
        let rows = texts(&self.sql.exec(figures, Vec::new())?)?;
        Ok(rows.into_iter().map(|[json]| json).collect())
    }

    fn delete(&self, batch: &str) -> Result<()> {
        for table in ["DELETE FROM outbox WHERE batch = ?", "DELETE FROM aside WHERE batch = ?"] {
            self.sql.exec(table, vec![text(batch)])?;
        }
        Ok(())
    }

    /// Whether the database takes nothing else either: it is away, or full.
    async fn is_away(&self) -> bool {
        store::insert_records(self.env, JsValue::from_str("[]")).await.is_err()
    }

    /// Whether this is a batch as it came that was refused for the first time.
    fn is_fresh(&self, batch: &str) -> Result<bool> {
        let tries: Vec<[String; 1]> =
            texts(&self.sql.exec("SELECT batch FROM aside WHERE batch = ?", vec![text(batch)])?)?;
        Ok(tries.is_empty() && !batch.contains('/'))
    }

    /// Says that the database does not take this batch while it takes others, to the log and, where the batch is no event
    /// itself, as an event to the database.
    async fn tell(&self, batch: &str, error: &StoreError, now: UnixMillis) -> std::result::Result<(), StoreError> {
        // What a batch is cut into is of the same event.
        let whole = batch.split('/').next().unwrap_or_default();
        let event = log::object(|event| {
            event.string("id", &["event_refused_", whole].concat()).number("at", now.0);
            event.string("type", "ledger.refused").string("subject", batch);
            event.object("data", |data| {
                data.string("error", &error.to_string());
            });
        });
        console_error!("{event}");
        match batch.strip_prefix(EVENT) {
            Some(_) => Ok(()),
            None => store::insert_event(self.env, JsValue::from(event)).await,
        }
    }

    /// The database does not take this one, and takes others.
    fn put_aside(&self, batch: &str, now: UnixMillis) -> Result<()> {
        let halves = "INSERT OR IGNORE INTO outbox SELECT batch || '/' || (2 * key / json_array_length(records)), \
             json_group_array(json(value)) FROM outbox, json_each(records) \
             WHERE batch = ? AND json_array_length(records) > 1 GROUP BY 1";
        // What is no JSON cannot be cut.
        if self.sql.exec(halves, vec![text(batch)]).is_ok_and(|cut| cut.rows_written() > 0) {
            return self.delete(batch);
        }
        self.wait_for(batch, now)
    }

    /// It is tried again later, and ever more rarely.
    fn wait_for(&self, batch: &str, now: UnixMillis) -> Result<()> {
        let later = "INSERT INTO aside VALUES (?1, 1, ?2 + 4000) ON CONFLICT DO UPDATE SET tries = tries + 1, \
             due = ?2 + min(3600000, 4000 << min(tries, 16))";
        self.sql.exec(later, vec![text(batch), number(now.0)?]).map(|_| ())
    }
}

fn text(text: &str) -> SqlStorageValue {
    SqlStorageValue::String(text.to_owned())
}

fn number(number: i64) -> Result<SqlStorageValue> {
    SqlStorageValue::try_from_i64(number)
}
