//! The `Ledger` object: what calls cost, kept until the database has it.
//!
//! Isolates hand their records over in batches; here they are durable, once each by `(request_id, seq)`. An alarm
//! writes them to D1 and deletes what arrived, so a database that is away for hours loses nothing and counts nothing
//! twice.
//!
//! Protocol: JSON over `fetch`, versioned. `POST /records` takes `{"version": 1, "records": [row, …]}` and answers
//! `{"version": 1, "kept": n}`; doing it again changes nothing. `GET /records?request_id=` answers
//! `{"version": 1, "records": [row, …]}` with those the database may not have yet.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use worker::{
    DurableObject, Env, Error, Headers, Method, Request, Response, Result, SqlStorageValue, State, durable_object,
};

use super::store;

/// The version of the protocol that this build speaks.
pub(super) const PROTOCOL: u32 = 1;

/// Records that one alarm moves at most; the database takes a batch in one transaction.
const ROWS_AN_ALARM: i64 = 200;
/// From the first record of a batch to its way to the database.
const ALARM_AFTER_MS: i64 = 2_000;
/// With the database away, tried again at the latest after this.
const LONGEST_RETRY_MS: i64 = 300_000;
/// Bytes of one request body.
const MOST_BYTES: usize = 8 << 20;

/// See the module.
#[durable_object]
pub struct Ledger {
    state: State,
    env: Env,
    failures: Cell<u32>,
}

#[derive(Deserialize)]
struct Batch {
    version: u32,
    records: Vec<serde_json::Value>,
}

#[derive(Serialize)]
struct Kept {
    version: u32,
    kept: usize,
}

#[derive(Serialize)]
struct Found {
    version: u32,
    records: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Row {
    request_id: String,
    seq: i64,
    record: String,
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Ledger {
        let created = state.storage().sql().exec(
            "CREATE TABLE IF NOT EXISTS outbox (
                request_id TEXT NOT NULL, seq INTEGER NOT NULL, record TEXT NOT NULL,
                PRIMARY KEY (request_id, seq)) WITHOUT ROWID",
            Vec::new(),
        );
        if let Err(error) = created {
            worker::console_error!("{{\"event\":\"ledger_not_created\",\"error\":\"{error}\"}}");
        }
        Ledger { state, env, failures: Cell::new(0) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let path = request.path();
        match (request.method(), path.as_str()) {
            (Method::Post, "/records") => {
                let body = request.bytes().await?;
                if body.len() > MOST_BYTES {
                    return Response::error("a batch is too large", 413);
                }
                let batch: Batch = serde_json::from_slice(&body)?;
                if batch.version != PROTOCOL {
                    return Response::error("unknown protocol version", 400);
                }
                let kept = self.keep(&batch.records)?;
                self.arm(ALARM_AFTER_MS).await?;
                Response::from_json(&Kept { version: PROTOCOL, kept })
            }
            (Method::Get, "/records") => {
                let wanted =
                    request.url()?.query_pairs().find(|(name, _)| name == "request_id").map(|(_, id)| id.into_owned());
                let records = self.find(&wanted.unwrap_or_default())?;
                Response::from_json(&Found { version: PROTOCOL, records })
            }
            _ => Response::error("unknown route", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        // A throw would use up the platform's six retries; the next try is armed here instead.
        let (next, failures) = match self.flush().await {
            Ok(0) => (None, 0),
            Ok(_) => (Some(0), 0),
            Err(error) => {
                let failures = self.failures.get().saturating_add(1);
                worker::console_error!(
                    "{}",
                    serde_json::json!({ "event": "ledger_flush", "error": error.to_string() })
                );
                let wait = 2_000i64.saturating_mul(1 << failures.min(16));
                (Some(wait.min(LONGEST_RETRY_MS)), failures)
            }
        };
        self.failures.set(failures);
        if let Some(wait) = next {
            self.arm(wait).await?;
        }
        Response::ok("")
    }
}

impl Ledger {
    /// Stores rows in one go: no await between the writes, so that they are one commit.
    fn keep(&self, records: &[serde_json::Value]) -> Result<usize> {
        let sql = self.state.storage().sql();
        let mut kept = 0;
        for record in records {
            let Some(request_id) = record.get("request_id").and_then(serde_json::Value::as_str) else { continue };
            let seq = record.get("seq").and_then(serde_json::Value::as_i64).unwrap_or(0);
            let values = vec![
                SqlStorageValue::String(request_id.to_owned()),
                SqlStorageValue::try_from_i64(seq)?,
                SqlStorageValue::String(record.to_string()),
            ];
            sql.exec("INSERT OR IGNORE INTO outbox (request_id, seq, record) VALUES (?, ?, ?)", values)?;
            kept += 1;
        }
        Ok(kept)
    }

    fn find(&self, request_id: &str) -> Result<Vec<serde_json::Value>> {
        let cursor = self.state.storage().sql().exec(
            "SELECT request_id, seq, record FROM outbox WHERE request_id = ? ORDER BY seq LIMIT 100",
            vec![SqlStorageValue::String(request_id.to_owned())],
        )?;
        let rows: Vec<Row> = cursor.to_array()?;
        rows.iter().map(|row| serde_json::from_str(&row.record).map_err(Error::from)).collect()
    }

    /// Moves the oldest rows to the database; how many are left.
    async fn flush(&self) -> Result<usize> {
        let sql = self.state.storage().sql();
        let oldest = "SELECT request_id, seq, record FROM outbox LIMIT ?";
        let rows: Vec<Row> = sql.exec(oldest, vec![SqlStorageValue::try_from_i64(ROWS_AN_ALARM)?])?.to_array()?;
        if rows.is_empty() {
            return Ok(0);
        }
        let records: Vec<&str> = rows.iter().map(|row| row.record.as_str()).collect();
        let written = store::insert_records(&self.env, &format!("[{}]", records.join(","))).await;
        written.map_err(|error| Error::RustError(error.to_string()))?;
        for row in &rows {
            let key = vec![SqlStorageValue::String(row.request_id.clone()), SqlStorageValue::try_from_i64(row.seq)?];
            sql.exec("DELETE FROM outbox WHERE request_id = ? AND seq = ?", key)?;
        }
        Ok(rows.len())
    }

    /// Sets the alarm unless an earlier one is set.
    async fn arm(&self, wait: i64) -> Result<()> {
        let storage = self.state.storage();
        if storage.get_alarm().await?.is_none() {
            storage.set_alarm(wait).await?;
        }
        Ok(())
    }
}

/// Hands records to the account's ledger object.
///
/// # Errors
/// Where the object does not answer, or refuses.
pub(super) async fn keep(env: &Env, records: &str) -> Result<()> {
    let stub = env.durable_object("LEDGER")?.get_by_name("account")?;
    let mut init = worker::RequestInit::new();
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    let body = format!("{{\"version\":{PROTOCOL},\"records\":{records}}}");
    init.with_method(Method::Post).with_headers(headers).with_body(Some(body.into()));
    let mut answer = stub.fetch_with_request(Request::new_with_init("https://ledger/records", &init)?).await?;
    if answer.status_code() == 200 { Ok(()) } else { Err(Error::RustError(answer.text().await?)) }
}
