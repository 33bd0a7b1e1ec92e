//! The `Ledger` object: what calls cost, kept until the database has it.
//!
//! Isolates hand their records over in batches; here a batch is durable, in one row. An alarm writes batches to D1,
//! where each record is inserted once by `(request_id, seq)`, and deletes what arrived: a database that is away for
//! hours loses nothing and counts nothing twice.
//!
//! Protocol: JSON over `fetch`, versioned. `POST /records` takes `{"version": 1, "batch": "…", "records": [row, …]}` and
//! answers `{"version": 1}`; sending a batch again changes nothing.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use worker::{
    DurableObject, Env, Error, Headers, Method, Request, Response, Result, SqlStorageValue, State, durable_object,
};

use super::store;

/// The version of the protocol that this build speaks.
pub(super) const PROTOCOL: u32 = 1;

/// Batches that one alarm moves at most; the database takes each in one statement.
const BATCHES_AN_ALARM: i64 = 20;
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
struct Batch<'a> {
    version: u32,
    batch: &'a str,
    /// Passed on as they are: the database's statement names the members it wants.
    #[serde(borrow)]
    records: &'a serde_json::value::RawValue,
}

#[derive(Serialize)]
struct Kept {
    version: u32,
}

#[derive(Deserialize)]
struct Row {
    batch: String,
    records: String,
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Ledger {
        let created = state.storage().sql().exec(
            "CREATE TABLE IF NOT EXISTS outbox (batch TEXT PRIMARY KEY, records TEXT NOT NULL) WITHOUT ROWID",
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
                let batch: Batch<'_> = serde_json::from_slice(&body)?;
                if batch.version != PROTOCOL {
                    return Response::error("unknown protocol version", 400);
                }
                self.keep(batch.batch, batch.records.get())?;
                self.arm(ALARM_AFTER_MS).await?;
                Response::from_json(&Kept { version: PROTOCOL })
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
    fn keep(&self, batch: &str, records: &str) -> Result<()> {
        let values = vec![SqlStorageValue::String(batch.to_owned()), SqlStorageValue::String(records.to_owned())];
        let statement = "INSERT OR IGNORE INTO outbox (batch, records) VALUES (?, ?)";
        self.state.storage().sql().exec(statement, values).map(|_| ())
    }

    /// Moves some batches to the database; how many they were.
    async fn flush(&self) -> Result<usize> {
        let sql = self.state.storage().sql();
        let some = "SELECT batch, records FROM outbox LIMIT ?";
        let rows: Vec<Row> = sql.exec(some, vec![SqlStorageValue::try_from_i64(BATCHES_AN_ALARM)?])?.to_array()?;
        for row in &rows {
            let written = store::insert_records(&self.env, &row.records).await;
            written.map_err(|error| Error::RustError(error.to_string()))?;
            let key = vec![SqlStorageValue::String(row.batch.clone())];
            sql.exec("DELETE FROM outbox WHERE batch = ?", key)?;
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
pub(super) async fn keep(env: &Env, batch: &str, records: &str) -> Result<()> {
    let stub = env.durable_object("LEDGER")?.get_by_name("account")?;
    let mut init = worker::RequestInit::new();
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    let body = format!("{{\"version\":{PROTOCOL},\"batch\":\"{batch}\",\"records\":{records}}}");
    init.with_method(Method::Post).with_headers(headers).with_body(Some(body.into()));
    let mut answer = stub.fetch_with_request(Request::new_with_init("https://ledger/records", &init)?).await?;
    if answer.status_code() == 200 { Ok(()) } else { Err(Error::RustError(answer.text().await?)) }
}
