//! The `Health` object of a region group, and how isolates talk to it.
//!
//! The object holds a [`Region`] in memory and writes it as one row when a breaker changes, and else once a minute. What
//! its breakers did goes to the log at once and to the audit trail through an alarm. It calls no provider.
//!
//! Protocol: JSON over `fetch`. `POST /batch` takes a [`Batch`] and answers a reply to it, `POST /order` takes an
//! [`Order`], `GET /overview` answers what an operator sees. The name of the region group is its query.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use wasm_bindgen::prelude::wasm_bindgen;
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, SqlStorageValue, State, durable_object};

use super::ledger::Definitions;
use super::outgoing::request;
use super::rows::texts;
use super::store::{EdgeStore, within};
use super::together::{all, in_time};
use super::{hot, log, now};
use crate::admin::{AuditEntry, RegionHealth, Store, StoreError};
use crate::breaker::protocol::Batch;
use crate::breaker::{Due, Order, Region, View};
use crate::json;
use crate::units::UnixMillis;

/// A region group, the continents (as the platform abbreviates them) whose calls it serves, and where its object is.
pub(super) struct Group {
    name: &'static str,
    continents: &'static [&'static str],
    hint: &'static str,
}

/// Every region group. The first serves whatever comes from nowhere.
pub(super) const GROUPS: [Group; 6] = [
    Group { name: "north-america", continents: &["NA"], hint: "enam" },
    Group { name: "europe", continents: &["EU"], hint: "weur" },
    Group { name: "asia", continents: &["AS"], hint: "apac" },
    Group { name: "south-america", continents: &["SA", "AN"], hint: "sam" },
    Group { name: "oceania", continents: &["OC"], hint: "oc" },
    Group { name: "africa", continents: &["AF"], hint: "afr" },
];

/// Beside the answers, an isolate waits so long for a reply.
pub(super) const REPLY: Duration = Duration::from_secs(2);
/// The operator waits longer.
const OPERATOR: Duration = Duration::from_secs(5);
/// Bytes of one batch.
const MOST_BYTES: usize = 1 << 20;
/// From a transition to its way to the audit trail, and the longest pause where the database is away.
const AUDIT_AFTER_MS: i64 = 1_000;
const LONGEST_RETRY_MS: i64 = 300_000;

/// See the module.
#[durable_object(alarm)]
pub struct Health {
    state: State,
    env: Env,
    region: RefCell<Region>,
    failures: Cell<u32>,
}

struct Row {
    name: String,
    json: String,
}

impl DurableObject for Health {
    fn new(state: State, env: Env) -> Health {
        let region = match load(&state) {
            Ok(row) => row.and_then(|row| crate::json::from_str(&row.json).ok()).unwrap_or_default(),
            Err(error) => {
                log::failed("health_not_loaded", &error);
                Region::default()
            }
        };
        Health { state, env, region: RefCell::new(region), failures: Cell::new(0) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let (path, now) = (request.path(), now());
        let name = request.url()?.query().unwrap_or_default().to_owned();
        match (request.method(), path.as_str()) {
            (Method::Post, "/batch") => {
                let body = request.bytes().await?;
                if body.len() > MOST_BYTES {
                    return Response::error("a batch is too large", 413);
                }
                let batch: Batch = crate::json::from_slice(&body)?;
                let chance = chance()?;
                let reply = self.change(&name, now, |region| region.absorb(&batch, now, chance)).await?;
                reply.map_or_else(
                    |fault| Response::error(fault, 400),
                    |reply| Response::ok(crate::json::to_string(&reply)),
                )
            }
            (Method::Post, "/order") => {
                let order: Order = crate::json::from_slice(&request.bytes().await?)?;
                let done = self.change(&name, now, |region| region.order(&order, now)).await?;
                let text = self.region.borrow_mut().store(now);
                self.write(&name, &text)?;
                done.map_or_else(|fault| Response::error(fault, 409), |()| Response::ok("{}"))
            }
            (Method::Get, "/overview") => Response::ok(crate::json::to_string(&self.region.borrow().overview(now))),
            _ => Response::error("unknown route", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        // A throw would use up the platform's six retries; the next try is armed here instead.
        let failures = match self.audit().await {
            Ok(()) => 0,
            Err(error) => {
                log::failed("health_audit", &error);
                self.failures.get().saturating_add(1)
            }
        };
        self.failures.set(failures);
        if failures > 0 {
            let wait = AUDIT_AFTER_MS.saturating_mul(1 << failures.min(16)).min(LONGEST_RETRY_MS);
            self.state.storage().set_alarm(wait).await?;
        }
        Response::ok("")
    }
}

impl Health {
    /// Runs `work` on the region, and logs and stores what it changed.
    async fn change<T>(&self, name: &str, now: UnixMillis, work: impl FnOnce(&mut Region) -> T) -> Result<T> {
        let (done, stored, changed) = {
            let mut region = self.region.borrow_mut();
            let before = region.transitions();
            let done = work(&mut region);
            let fresh = region.waiting().iter().filter(|transition| transition.number > before);
            for transition in fresh {
                let event = log::object(|said| {
                    said.string("event", "breaker").string("region", name);
                    json::write(transition, said.key("transition"));
                });
                worker::console_log!("{event}");
            }
            let stored = region.should_store(before, now).then(|| region.store(now));
            (done, stored, region.transitions() != before)
        };
        if let Some(json) = stored {
            self.write(name, &json)?;
        }
        if changed && self.state.storage().get_alarm().await?.is_none() {
            self.state.storage().set_alarm(AUDIT_AFTER_MS).await?;
        }
        Ok(done)
    }

    fn write(&self, name: &str, json: &str) -> Result<()> {
        let values = [name, json].map(|text| SqlStorageValue::String(text.to_owned())).to_vec();
        let statement = "INSERT OR REPLACE INTO region (id, name, json) VALUES (1, ?, ?)";
        self.state.storage().sql().exec(statement, values).map(|_| ())
    }

    /// Moves the transitions to the audit trail, each once.
    async fn audit(&self) -> Result<()> {
        let waiting = self.region.borrow().waiting().to_vec();
        let Some(last) = waiting.last().map(|transition| transition.number) else { return Ok(()) };
        let name = load(&self.state)?.map(|row| row.name).unwrap_or_default();
        let store = EdgeStore { env: &self.env };
        for transition in &waiting {
            let entry = AuditEntry::of_transition(&name, transition);
            store.append_audit(&entry).await.map_err(|error| Error::RustError(error.to_string()))?;
        }
        let json = {
            let mut region = self.region.borrow_mut();
            region.audited(last);
            region.store(now())
        };
        self.write(&name, &json)
    }
}

fn load(state: &State) -> Result<Option<Row>> {
    let sql = state.storage().sql();
    sql.exec(
        "CREATE TABLE IF NOT EXISTS region (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, json TEXT NOT NULL)",
        Vec::new(),
    )?;
    let rows = texts(&sql.exec("SELECT name, json FROM region WHERE id = 1", Vec::new())?)?;
    Ok(rows.into_iter().next().map(|[name, json]| Row { name, json }))
}

/// Whether the object should hear from this isolate when records are written.
#[wasm_bindgen]
pub fn health_due(now: f64) -> bool {
    hot::with_gateway(|gateway| gateway.view.due(hot::moment(now)) != Due::No).unwrap_or_default()
}

/// The longest that a call waits for the object, in milliseconds.
#[wasm_bindgen]
pub fn health_patience() -> f64 {
    #[allow(clippy::cast_precision_loss)] // A few seconds at most.
    hot::with_gateway(|gateway| gateway.view.patience().0 as f64).unwrap_or(0.0)
}

/// Tells the object of the caller's continent what was seen and takes in what it knows. Gives the moment from which that
/// will be too old to begin a call with; infinity where no call need wait for it.
#[wasm_bindgen]
pub async fn exchange_health(env: Env, continent: String) -> f64 {
    if let Some(batch) = hot::with_gateway(|gateway| gateway.view.batch(now())).flatten() {
        let answer = ask(&env, group(&continent), "/batch", Some(batch), REPLY).await;
        let failed = hot::with_gateway(|gateway| match &answer {
            Ok(reply) => gateway.view.absorb(reply, now()).err(),
            Err(error) => {
                gateway.view.unanswered(now());
                Some(error.to_string())
            }
        });
        if let Some(error) = failed.flatten() {
            log::lacked("health_silent", &error);
        }
    }
    let stale = hot::with_gateway(|gateway| gateway.view.stale_at()).flatten();
    #[allow(clippy::cast_precision_loss)] // Milliseconds since the epoch are exact in a float.
    stale.map_or(f64::INFINITY, |at| at.0 as f64)
}

/// How the providers are doing, for status pages: what this isolate knows, asked for anew where that is old.
pub(super) async fn providers(env: Env, continent: String) -> String {
    let is_stale = |view: &View| view.stale_at().is_some_and(|at| at <= now());
    if hot::with_gateway(|gateway| is_stale(&gateway.view)) == Some(true) {
        let patience = hot::with_gateway(|gateway| gateway.view.patience().0).unwrap_or_default();
        let _ = in_time(Duration::from_millis(patience), exchange_health(env, continent)).await;
    }
    hot::with_gateway(|gateway| crate::admin::provider_health(&gateway.view, &gateway.setup().registry, now()))
        .unwrap_or_default()
}

/// What the objects of all region groups know.
pub(super) async fn overview(env: &Env) -> Vec<RegionHealth> {
    let asked = GROUPS.iter().map(|group| async move {
        let answer = ask(env, group, "/overview", None, OPERATOR).await;
        let overview =
            answer.and_then(|json| String::from_utf8(json).map_err(|error| StoreError { message: error.to_string() }));
        RegionHealth { region: group.name, overview: overview.map_err(|error| error.to_string()) }
    });
    all(asked).await
}

/// Tells the ledger and the objects of all region groups what the operator wants: whichever does not take it, the others
/// bring it to the isolates.
///
/// # Errors
/// Naming those that did not take it.
pub(super) async fn order(env: &Env, order: &Order) -> std::result::Result<(), StoreError> {
    let json = crate::json::to_string(order);
    let definitions = Definitions { order: Some(order.clone()), ..Definitions::default() };
    let leased = super::ledgers::define(env, [None], definitions).await.err();
    let leased = leased.map(|error| format!("the ledger ({error})"));
    let asked = GROUPS.iter().map(|group| {
        let json = json.clone();
        async move { ask(env, group, "/order", Some(json), OPERATOR).await.map_err(|error| (group.name, error)) }
    });
    let failed: Vec<String> = all(asked)
        .await
        .into_iter()
        .filter_map(|done| done.err())
        .map(|(name, error)| format!("{name} ({error})"))
        .chain(leased)
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(StoreError { message: failed.join(", ") }) }
}

fn group(continent: &str) -> &'static Group {
    let [first, ..] = &GROUPS;
    GROUPS.iter().find(|group| group.continents.contains(&continent)).unwrap_or(first)
}

pub(super) async fn ask(
    env: &Env,
    group: &Group,
    path: &str,
    body: Option<String>,
    limit: Duration,
) -> std::result::Result<Vec<u8>, StoreError> {
    let asked = async {
        let stub = env.durable_object("HEALTH")?.get_by_name_with_location_hint(group.name, group.hint)?;
        let url = format!("https://health{path}?{}", group.name);
        let mut answer = stub.fetch_with_request(request(&url, &[], body.map(Into::into))?).await?;
        match answer.status_code() {
            200 => answer.bytes().await,
            _ => Err(Error::RustError(answer.text().await?)),
        }
    };
    within(limit, "the health object", asked).await
}

pub(super) fn chance() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}
