//! The `Ledger` object: what is left of every budget and limit, who has leased how much of it, and what calls cost until
//! the database has it.
//!
//! What it decides is [`crate::budget::Ledger`]'s; here that is kept in memory and, row by row, in storage: a reply that
//! grants something goes out only when its lease is stored. Isolates hand the records of calls over in batches; a batch
//! is durable in one row, together with the report on the leases that those calls drew from. An alarm writes batches to
//! D1, where each record is inserted once by `(request_id, seq)`, and deletes what arrived: a database that is away for
//! hours loses nothing and counts nothing twice.
//!
//! The account has one, `account`, and each team that was made with `own_ledger` one more, `account/<team>`: see
//! [`crate::budget::Purses`] for what is counted where.
//!
//! Protocol: JSON over `fetch`, versioned. Everything may be sent again and changes nothing then.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `POST /ask` | a [`Message`] | a [`Reply`] |
//! | `POST /records` | `{"version", "batch", "records": [row, …], "report": Message?}` | `{"version", "reply": Reply?}` |
//! | `POST /define` | [`Definitions`] | `{"version"}` |
//! | `POST /release` | a [`Release`] | [`Freed`] |
//! | `POST /calls` | a [`Sought`] | `{"version", "records": [row, …]}`, of what the database may not have yet |
//! | `POST /outbox` | `{}` | how much of what stands there `waiting` and `aside` |
//! | `POST /standings` | `{"version", "rules": [id, …], "terms": Terms?}` | [`Standings`] |

use std::cell::{Cell, RefCell};

use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, SqlStorageValue, State, durable_object};

use super::outbox::Outbox;
use super::rows::each;
use super::{log, now};
use crate::admin::CallRow;
use crate::breaker::Order;
use crate::budget::ledger::{Notice, Released, Row};
use crate::budget::{Budget, KeyStandings, Message, PROTOCOL, PotStanding, Reply, Rule, Terms};
use crate::json::{Raw, readable};
use crate::limit::Limit;
use crate::observe::Record;
use crate::sorted::SortedMap;
use crate::units::{Millis, NanoUsd, UnixMillis};

/// The version before this one knew records only; isolates that speak it are about to end.
const OLDEST: u32 = 1;
/// From the first record of a batch to its way to the database.
const ALARM_AFTER_MS: i64 = 2_000;
/// With the database away, tried again at the latest after this.
const LONGEST_RETRY_MS: i64 = 300_000;
/// Bytes of one request body.
const MOST_BYTES: usize = 8 << 20;

/// See the module.
#[durable_object(alarm)]
pub struct Ledger {
    state: State,
    env: Env,
    failures: Cell<u32>,
    /// `None` where storage could not be read: then nothing is granted.
    ledger: RefCell<Option<crate::budget::Ledger>>,
}

#[wasm_bindgen]
extern "C" {
    /// Storage, with what the platform's crate leaves out of it.
    type Transactional;

    #[wasm_bindgen(structural, method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Transactional,
        writes: &mut dyn FnMut() -> std::result::Result<(), JsValue>,
    ) -> std::result::Result<(), JsValue>;
}

#[derive(Default)]
struct Batch<'a> {
    version: u32,
    batch: &'a str,
    /// Passed on as they are: the database's statement names the members it wants.
    records: Raw<'a>,
    report: Option<Message>,
}
readable! { Batch<'a> { #[required] version, #[required] batch, #[required] records, report } }

/// The answer to records.
#[derive(Debug, Default, Serialize)]
pub struct Kept {
    /// The version of the protocol.
    pub version: u32,
    /// The answer to the report, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
}
readable! { Kept { #[required] version, reply } }

/// What the operator has written.
#[derive(Debug, Default, Serialize)]
pub struct Definitions {
    /// The version of the protocol.
    pub version: u32,
    /// What keys are subject to of their own.
    pub terms: Vec<Terms>,
    /// Budgets of no key in particular.
    pub budgets: Vec<Budget>,
    /// Limits of no key in particular.
    pub limits: Vec<Limit>,
    /// Ids of budgets and limits that are no more.
    pub removed: Vec<String>,
    /// What is wanted of a kill switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}
readable! { Definitions { version, terms, budgets, limits, removed, order } }

impl Definitions {
    /// Those of one key.
    #[must_use]
    pub fn of_terms(terms: Terms) -> Definitions {
        Definitions { terms: vec![terms], ..Definitions::default() }
    }
}

/// What is to be freed of a budget, see [`crate::budget::Ledger::release`].
#[derive(Debug, Default, Serialize)]
pub struct Release {
    /// The version of the protocol.
    pub version: u32,
    /// The budget's id.
    pub rule: String,
    /// For how long nothing was heard of an isolate.
    #[serde(rename = "silence_ms")]
    pub silence: Millis,
}
readable! { Release { version, rule, silence = "silence_ms" } }

/// The answer to that.
#[derive(Debug, Default, Serialize)]
pub struct Freed {
    /// The version of the protocol.
    pub version: u32,
    /// `None` where there is no such budget.
    pub released: Option<Released>,
}
readable! { Freed { version, released } }

/// A call of which the rows are sought.
#[derive(Debug, Default, Serialize)]
pub struct Sought {
    /// The version of the protocol.
    pub version: u32,
    /// Which call.
    pub request_id: String,
}
readable! { Sought { version, #[required] request_id } }

/// The answer to that.
#[derive(Debug, Default)]
pub struct Found {
    /// In their order; none where nothing waits here.
    pub records: Vec<CallRow>,
}
readable! { Found { records } }

/// Which rules are asked for.
#[derive(Debug, Default, Serialize)]
pub struct Wondered {
    /// The version of the protocol.
    pub version: u32,
    /// Their ids.
    pub rules: Vec<String>,
    /// A key, where all that it is subject to is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}
readable! { Wondered { version, rules, terms } }

/// How rules stand: by rule, then by pot.
#[derive(Debug, Default, Serialize)]
pub struct Standings {
    /// The version of the protocol.
    pub version: u32,
    /// See [`Standings`].
    pub standings: SortedMap<String, SortedMap<String, PotStanding>>,
    /// How everything stands that the key is subject to, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyStandings>,
}
readable! { Standings { version, standings, key } }

/// A budget has reached a threshold, or its end: a row of the table of events.
#[derive(Serialize)]
struct Event<'a> {
    /// Says which budget, window and threshold it is about, so that what is told twice is one event.
    id: String,
    at: UnixMillis,
    r#type: &'static str,
    subject: &'a str,
    data: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    /// Whose part of the budget, where each spender has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    spender: Option<&'a str>,
    /// The share of the limit that was reached.
    threshold: f64,
    spent: NanoUsd,
    limit: NanoUsd,
}

impl<'a> Event<'a> {
    fn of(notice: &'a Notice, now: UnixMillis) -> Event<'a> {
        let Notice { budget, subject, window, share, spent, limit } = notice;
        let spender = subject.as_deref();
        Event {
            id: format!("event_{budget}_{}_{}_{share}", spender.unwrap_or_default(), window.0),
            at: now,
            r#type: if *share >= 1000 { "budget.exhausted" } else { "budget.threshold" },
            subject: budget,
            data: Told {
                spender,
                threshold: f64::from(*share) / 1000.0,
                spent: NanoUsd(*spent),
                limit: NanoUsd(*limit),
            },
        }
    }
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Ledger {
        let ledger = restore(&state).inspect_err(|error| {
            log::failed("ledger_unreadable", &error);
        });
        Ledger { state, env, failures: Cell::new(0), ledger: RefCell::new(ledger.ok()) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let path = request.path();
        let body = request.bytes().await?;
        if body.len() > MOST_BYTES {
            return Response::error("the body is too large", 413);
        }
        match (request.method(), path.as_str()) {
            (Method::Post, "/ask") => {
                let message: Message = crate::json::from_slice(&body)?;
                let reply = self.change(message.version, |ledger, now| ledger.handle(message, now))?;
                self.arm_for_sweep().await?;
                Response::ok(crate::json::to_string(&reply))
            }
            (Method::Post, "/records") => {
                let Batch { version, batch, records, report } = crate::json::from_slice(&body)?;
                supported(version)?;
                let reply =
                    report.map(|report| self.change(version, |ledger, now| ledger.handle(report, now))).transpose()?;
                self.outbox().keep(batch, records.get())?;
                // While this waits, others arrive.
                drop(body);
                self.arm(ALARM_AFTER_MS).await?;
                Response::ok(crate::json::to_string(&Kept { version: PROTOCOL, reply }))
            }
            (Method::Post, "/define") => {
                let definitions: Definitions = crate::json::from_slice(&body)?;
                let defined = self.change(definitions.version, |ledger, now| define(ledger, definitions, now))?;
                let kept = Response::ok(crate::json::to_string(&Kept { version: PROTOCOL, reply: None }));
                defined.map_or_else(|fault| Response::error(fault, 409), |()| kept)
            }
            (Method::Post, "/release") => {
                let Release { version, rule, silence } = crate::json::from_slice(&body)?;
                let released = self.change(version, |ledger, now| ledger.release(&rule, silence, now))?;
                Response::ok(crate::json::to_string(&Freed { version: PROTOCOL, released }))
            }
            (Method::Post, "/calls") => {
                let Sought { version, request_id } = crate::json::from_slice(&body)?;
                supported(version)?;
                let records = self.outbox().waiting(&request_id)?.join(",");
                Response::from_bytes(format!("{{\"version\":{PROTOCOL},\"records\":[{records}]}}").into_bytes())
            }
            (Method::Post, "/standings") => {
                let wondered: Wondered = crate::json::from_slice(&body)?;
                let standings = self.change(wondered.version, |ledger, now| standings(ledger, wondered, now))?;
                Response::ok(crate::json::to_string(&standings))
            }
            (Method::Post, "/outbox") => Response::ok(self.outbox().figures()?),
            _ => Response::error("unknown route", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        let swept = self.change(PROTOCOL, |ledger, now| ledger.sweep(now));
        // A throw would use up the platform's six retries; the next try is armed here instead.
        let (next, failures) = match swept.and(self.outbox().flush(now()).await) {
            // What stepped aside has its own time.
            Ok(0) => (self.outbox().next()?.map(|due| due.0.saturating_sub(now().0).max(0)), 0),
            Ok(_) => (Some(0), 0),
            Err(error) => {
                let failures = self.failures.get().saturating_add(1);
                log::failed("ledger_flush", &error);
                let wait = 2_000i64.saturating_mul(1 << failures.min(16));
                (Some(wait.min(LONGEST_RETRY_MS)), failures)
            }
        };
        self.failures.set(failures);
        if let Some(wait) = next {
            self.arm(wait).await?;
        }
        self.arm_for_sweep().await?;
        Response::ok("")
    }
}

impl Ledger {
    /// One step of the ledger, stored before anybody hears of it.
    fn change<T>(&self, version: u32, step: impl FnOnce(&mut crate::budget::Ledger, UnixMillis) -> T) -> Result<T> {
        supported(version)?;
        let mut held = self.ledger.borrow_mut();
        if held.is_none() {
            *held = Some(restore(&self.state)?);
        }
        let ledger = held.as_mut().ok_or_else(|| Error::RustError("the ledger cannot be read".to_owned()))?;
        let result = step(ledger, now());
        let stored = self.store(ledger);
        if stored.is_err() {
            // What is in memory was promised to nobody; the next step begins from what is stored.
            *held = None;
        }
        stored.map(|()| result)
    }

    /// Writes what changed: all of it, or nothing.
    fn store(&self, ledger: &mut crate::budget::Ledger) -> Result<()> {
        let storage: JsValue = self.state.as_raw().storage()?.into();
        let storage = storage.unchecked_ref::<Transactional>();
        Ok(storage.transaction_sync(&mut || Ok(self.write(ledger)?))?)
    }

    fn write(&self, ledger: &mut crate::budget::Ledger) -> Result<()> {
        let sql = self.state.storage().sql();
        for (row, value) in ledger.take_changes() {
            let (kind, name) = row.place();
            let place = vec![SqlStorageValue::String(kind.to_owned()), SqlStorageValue::String(name.to_owned())];
            match value {
                Some(value) => {
                    let statement = "INSERT OR REPLACE INTO ledger (kind, name, value) VALUES (?, ?, ?)";
                    sql.exec(statement, [place, vec![SqlStorageValue::String(value)]].concat())?;
                }
                None => {
                    sql.exec("DELETE FROM ledger WHERE kind = ? AND name = ?", place)?;
                }
            }
        }
        for committed in ledger.take_committed() {
            let record = Record::of_ceiling(committed);
            let name = format!("{}.{}", record.request_id, record.seq);
            self.outbox().keep(&name, &format!("[{}]", crate::json::to_string(&record)))?;
        }
        for notice in ledger.take_notices() {
            let event = Event::of(&notice, now());
            self.outbox().keep_event(&event.id, &crate::json::to_string(&event))?;
        }
        Ok(())
    }

    fn outbox(&self) -> Outbox<'_> {
        Outbox::of(&self.state, &self.env)
    }

    /// Sets the alarm unless an earlier one is set.
    async fn arm(&self, wait: i64) -> Result<()> {
        let storage = self.state.storage();
        // One may be set for the deadline of a call, many minutes from now.
        if storage.get_alarm().await?.is_none_or(|set| set > now().0.saturating_add(wait)) {
            storage.set_alarm(wait).await?;
        }
        Ok(())
    }

    /// Sets the alarm for what ends by itself, if something does.
    async fn arm_for_sweep(&self) -> Result<()> {
        let next = self.ledger.borrow().as_ref().and_then(crate::budget::Ledger::next_sweep);
        match next {
            Some(next) => self.arm(next.0.saturating_sub(now().0).max(ALARM_AFTER_MS)).await,
            None => Ok(()),
        }
    }
}

fn supported(version: u32) -> Result<()> {
    if (OLDEST..=PROTOCOL).contains(&version) {
        return Ok(());
    }
    Err(Error::RustError(format!("protocol version {version} is not known; known are {OLDEST} to {PROTOCOL}")))
}

/// What is stored, after the tables are made where there are none yet.
fn restore(state: &State) -> Result<crate::budget::Ledger> {
    let sql = state.storage().sql();
    let ledger = "CREATE TABLE IF NOT EXISTS ledger (kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, \
         PRIMARY KEY (kind, name)) WITHOUT ROWID";
    for table in Outbox::TABLES.into_iter().chain([ledger]) {
        sql.exec(table, Vec::new())?;
    }
    let mut ledger = crate::budget::Ledger::default();
    each(&sql.exec("SELECT kind, name, value FROM ledger", Vec::new())?, &mut |row| {
        let [kind, name, value] = row.as_slice() else { return Ok(()) };
        // A kind that is not known was written by a later version, for a feature that this one has not.
        let Some(row) = Row::at(kind, name) else { return Ok(()) };
        Ok(ledger.restore(&row, value)?)
    })?;
    Ok(ledger)
}

fn define(
    ledger: &mut crate::budget::Ledger,
    definitions: Definitions,
    now: UnixMillis,
) -> std::result::Result<(), String> {
    ledger.sweep(now);
    definitions.terms.into_iter().for_each(|terms| ledger.set_terms(terms));
    definitions.budgets.into_iter().for_each(|budget| ledger.set_rule(Rule::Budget(budget)));
    definitions.limits.into_iter().for_each(|limit| ledger.set_rule(Rule::Limit(limit)));
    definitions.removed.iter().for_each(|id| ledger.remove_rule(id));
    definitions.order.map_or(Ok(()), |order| ledger.order(&order, now))
}

fn standings(ledger: &mut crate::budget::Ledger, wondered: Wondered, now: UnixMillis) -> Standings {
    let key = wondered.terms.map(|terms| ledger.standings_of_key(&terms, now));
    let standings = wondered.rules.into_iter().map(|rule| {
        let pots = ledger.standings(&rule, now);
        (rule, pots)
    });
    Standings { version: PROTOCOL, standings: standings.collect(), key }
}
