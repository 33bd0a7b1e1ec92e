//! What the Worker says to the ledger object: asks of calls that wait, records and reports beside the answers, and what
//! the operator writes.

use std::ops::Range;
use std::time::Duration;

use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Error, Result};

use super::ledger::{Definitions, Found, Freed, Kept, Release, Sought, Standings, Wondered};
use super::outgoing::request;
use super::together::{all, in_time};
use super::{hot, log, now};
use crate::admin::CallRow;
use crate::breaker::Due;
use crate::budget::ledger::Released;
use crate::budget::{KeyStandings, Message, PROTOCOL, Reply, Terms, ledger_of};
use crate::gateway::Input;
use crate::json::{self, FromJsonOwned, Object};
use crate::observe::{GATHERED, MOST_TAKEN, Record};
use crate::sorted;
use crate::units::{Millis, UnixMillis};

/// How long a call waits for the object. It is one hop away; what takes longer is an outage.
const ASK_WITHIN: Millis = Millis(2_500);
/// How long a batch, which nobody waits for, may take.
const KEEP_WITHIN: Millis = Millis(10_000);
/// The log takes 256 KB a request, and each entry of it costs some tens of microseconds.
const LINES_AN_ENTRY: usize = 25;
/// What a record usually takes, written.
const BYTES_A_RECORD: usize = 640;

/// Records and the report that belongs to them: sent as they are until they are taken.
#[derive(Debug)]
pub(super) struct Batch {
    /// The team whose own ledger it is for; `None` is the account's.
    team: Option<String>,
    /// A string on the runtime's side, which has it from the first sending on: here it would be in memory twice.
    body: JsValue,
    /// The number of the report.
    report: u64,
    /// When it was made; what is granted in answer to it counts from then.
    made: UnixMillis,
    /// It is on its way, and not to be sent again before this. A request that is cut off takes its sending with it.
    sending_until: UnixMillis,
}

/// Asks the ledger what the call needs (the message is the bytes of its step) and takes the call on from there.
///
/// The message is handed over: this begins a moment after it is called, when other steps have left their bytes.
#[wasm_bindgen]
pub async fn ask_ledger(env: Env, call: u32, team: Option<String>, message: Vec<u8>) -> String {
    let (message, sent) = (String::from_utf8(message).unwrap_or_default(), now());
    let reply = post(&env, team.as_deref(), "/ask", JsValue::from_str(&message), ASK_WITHIN).await;
    let reply = reply.and_then(|bytes| read::<Reply>(&bytes)).map(Box::new).map_err(|error| error.to_string());
    if let Err(error) = &reply {
        log::failed("ledger_away", &error);
    }
    hot::resume(call, Input::Ledger { team, sent, reply }, now())
}

/// Asks the ledger how everything stands that the call's key is subject to (its terms are the bytes of its step).
#[wasm_bindgen]
pub async fn ask_standings(env: Env, call: u32, terms: Vec<u8>) -> String {
    let found = match crate::json::from_slice(&terms) {
        Ok(terms) => standings_of_key(&env, terms).await,
        Err(error) => Err(error.into()),
    };
    let found = found.map(Box::new).map_err(|error| error.to_string());
    hot::resume(call, Input::Standings(found), now())
}

async fn standings_of_key(env: &Env, terms: Terms) -> Result<KeyStandings> {
    let of = async |team: Option<&str>, terms: Terms| {
        let found = standings(env, team, Wondered { terms: Some(terms), ..Wondered::default() }).await?;
        Ok::<KeyStandings, Error>(found.key.unwrap_or_default())
    };
    let Some(team) = ledger_of(terms.team.as_deref()).map(str::to_owned) else { return of(None, terms).await };
    let mut found = of(None, terms.shared()).await?;
    let KeyStandings { budgets, limits } = of(Some(&team), terms).await?;
    found.budgets.extend(budgets);
    found.limits.extend(limits);
    Ok(found)
}

/// Asks a ledger how rules stand.
///
/// # Errors
/// Where it does not answer.
pub(super) async fn standings(env: &Env, team: Option<&str>, wondered: Wondered) -> Result<Standings> {
    let body = crate::json::to_string(&Wondered { version: PROTOCOL, ..wondered });
    read(&post(env, team, "/standings", JsValue::from_str(&body), ASK_WITHIN).await?)
}

/// Asks a ledger what it has for the database, as JSON; or why it does not say.
pub(super) async fn outbox(env: &Env, team: Option<&str>) -> std::result::Result<String, String> {
    let told = post(env, team, "/outbox", JsValue::from_str("{}"), ASK_WITHIN).await;
    told.map(|json| String::from_utf8(json).unwrap_or_default()).map_err(|error| error.to_string())
}

/// The rows of a call that a ledger has and the database may not have yet.
///
/// # Errors
/// Where the ledger does not answer.
pub(super) async fn calls(env: &Env, team: Option<&str>, request_id: &str) -> Result<Vec<CallRow>> {
    let body = crate::json::to_string(&Sought { version: PROTOCOL, request_id: request_id.to_owned() });
    let found: Found = read(&post(env, team, "/calls", JsValue::from_str(&body), ASK_WITHIN).await?)?;
    Ok(found.records)
}

/// Whether there is something to tell the ledger: finished calls, or leases to renew or give back.
#[wasm_bindgen]
pub fn owes_ledger() -> bool {
    hot::with_isolate(|isolate| {
        let gateway = &isolate.gateway;
        let has_words = !gateway.records.is_empty() || !gateway.contents.is_empty();
        !isolate.batches.is_empty() || has_words || gateway.purse.owes_report()
    })
    .unwrap_or_default()
}

/// What cannot wait until records are written after an answer: 1 [`exchange_health`](super::health::exchange_health),
/// 2 [`write_records`] itself, 3 both, 0 nothing.
#[wasm_bindgen]
pub fn due_at_once(now: f64) -> u32 {
    let due = hot::with_isolate(|isolate| {
        let gateway = &isolate.gateway;
        let health = gateway.view.due(hot::moment(now)) == Due::Now;
        // What is on its way is not overtaken: a ledger that is slow is told less often, and not more.
        let records = gateway.records.is_full() && isolate.batches.is_empty();
        u32::from(health) + 2 * u32::from(records)
    });
    due.unwrap_or_default()
}

/// How long to wait before records are written and leases renewed, in milliseconds.
#[wasm_bindgen]
pub fn records_wait() -> u32 {
    // A ledger that did not take a batch is not hurried.
    let wait = hot::with_isolate(|isolate| match isolate.batches.is_empty() {
        true => isolate.gateway.records.wait(),
        false => GATHERED,
    });
    u32::try_from(wait.unwrap_or(GATHERED).0).unwrap_or(u32::MAX)
}

/// Writes the records of finished calls to the log and hands them to the ledgers, with the report on the leases that
/// they drew from; what one does not take is sent again the next time. Gives how many bytes went to the log.
///
/// # Errors
/// Where a ledger does not answer.
#[wasm_bindgen]
pub async fn write_records(env: Env) -> std::result::Result<usize, JsValue> {
    write_contents(&env).await;
    let mut logged = 0;
    let parcels = hot::with_isolate(|isolate| {
        logged = prepare(isolate);
        let ready = isolate.batches.iter_mut().filter(|batch| batch.sending_until <= now());
        let sent = ready.map(|batch| {
            batch.sending_until = now().plus(KEEP_WITHIN);
            (batch.team.clone(), batch.body.clone(), batch.report)
        });
        sent.collect::<Vec<_>>()
    });
    let sent = parcels.unwrap_or_default().into_iter().map(|(team, body, report)| hand_over(&env, team, body, report));
    let failed = all(sent).await.into_iter().find_map(std::result::Result::err);
    failed.map_or(Ok(logged), |error| Err(JsValue::from_str(&error.to_string())))
}

async fn hand_over(env: &Env, team: Option<String>, body: JsValue, report: u64) -> Result<()> {
    let kept = post(env, team.as_deref(), "/records", body, KEEP_WITHIN).await.and_then(|bytes| read::<Kept>(&bytes));
    let told = hot::with_isolate(|isolate| {
        let this = |batch: &Batch| batch.team == team && batch.report == report;
        let Some(at) = isolate.batches.iter().position(this) else { return Ok(()) };
        match kept {
            Ok(kept) => {
                let batch = isolate.batches.swap_remove(at);
                let reply = kept.reply.unwrap_or_default();
                isolate.gateway.reported(team.as_deref(), &reply, batch.made, now());
                Ok(())
            }
            Err(error) => {
                if let Some(batch) = isolate.batches.get_mut(at) {
                    batch.sending_until = UnixMillis(0);
                }
                Err(error)
            }
        }
    });
    told.unwrap_or(Ok(()))
}

/// Writes answers that are kept to the database. They are no money: what cannot be written is given up, and said.
async fn write_contents(env: &Env) {
    let contents = hot::with_gateway(|gateway| std::mem::take(&mut gateway.contents)).unwrap_or_default();
    if contents.is_empty() {
        return;
    }
    if let Err(error) = super::store::insert_contents(env, &contents).await {
        log::failed("contents_not_written", &error);
    }
}

/// Tells a ledger what the operator has written.
///
/// # Errors
/// Where the ledger does not answer.
pub(super) async fn define(env: &Env, team: Option<&str>, definitions: &Definitions) -> Result<()> {
    let body = crate::json::to_string(definitions);
    post(env, team, "/define", JsValue::from_str(&body), ASK_WITHIN).await.map(|_| ())
}

/// Has a ledger free what isolates of which nothing was heard for so long had leased of a budget.
///
/// # Errors
/// Where the ledger does not answer.
pub(super) async fn release(env: &Env, team: Option<&str>, rule: &str, silence: Millis) -> Result<Option<Released>> {
    let body = crate::json::to_string(&Release { version: PROTOCOL, rule: rule.to_owned(), silence });
    let freed: Freed = read(&post(env, team, "/release", JsValue::from_str(&body), ASK_WITHIN).await?)?;
    Ok(freed.released)
}

/// Makes the next batch for each ledger, unless there is one or nothing to say; how many bytes of that are in the log.
fn prepare(isolate: &mut hot::Isolate) -> usize {
    isolate.gateway.end_lost(now());
    let dropped = isolate.gateway.records.take_dropped();
    if dropped > 0 {
        let event = log::object(|said| {
            said.string("event", "records_dropped").number("count", dropped);
        });
        worker::console_error!("{event}");
    }
    let waiting = isolate.gateway.records.teams_with(|team| ledger_of(Some(team)).is_some());
    let mut ledgers: Vec<Option<String>> = isolate.gateway.purse.teams().map(|team| Some(team.to_owned())).collect();
    ledgers.extend(waiting.into_iter().map(Some));
    ledgers.push(None);
    sorted::sort(&mut ledgers);
    ledgers.dedup();
    ledgers.into_iter().map(|team| prepare_for(isolate, team)).sum()
}

fn prepare_for(isolate: &mut hot::Isolate, team: Option<String>) -> usize {
    if isolate.batches.iter().any(|batch| batch.team == team) {
        return 0;
    }
    let gateway = &mut isolate.gateway;
    let of_ledger = |record: &Record| ledger_of(record.team_id.as_deref()) == team.as_deref();
    let records = gateway.records.take_those(MOST_TAKEN, of_ledger);
    if records.is_empty() && !gateway.purse.owes_report_to(team.as_deref()) {
        return 0;
    }
    let made = now();
    let report = gateway.purse.report(team.as_deref(), made);
    let (body, lines) = write(records, &report);
    for entry in lines.chunks(LINES_AN_ENTRY) {
        let entry: Vec<&str> = entry.iter().filter_map(|line| body.get(line.clone())).collect();
        worker::console_log!("{}", entry.join("\n"));
    }
    let body = JsValue::from_str(&body);
    isolate.batches.push(Batch { team, body, report: report.report, made, sending_until: UnixMillis(0) });
    lines.into_iter().map(|line| line.len()).sum()
}

/// A batch as the ledger reads it, and where in it each record stands.
fn write(records: Vec<Record>, report: &Message) -> (String, Vec<Range<usize>>) {
    let mut body = Vec::with_capacity((records.len() + 1) * BYTES_A_RECORD);
    let mut lines = Vec::with_capacity(records.len());
    let mut parts = Object::open(&mut body);
    parts.number("version", PROTOCOL).string("batch", &format!("{}.{}", report.isolate, report.report));
    parts.array("records", |array| {
        for record in records {
            let out = array.item();
            let begin = out.len();
            json::write(&record, out);
            lines.push(begin..out.len());
        }
    });
    json::write(report, parts.key("report"));
    parts.close();
    (String::from_utf8(body).unwrap_or_default(), lines)
}

/// One request to the ledger object of the account, or of a team.
async fn post(env: &Env, team: Option<&str>, route: &str, body: JsValue, within: Millis) -> Result<Vec<u8>> {
    let ledgers = env.durable_object("LEDGER")?;
    let stub = match team {
        None => ledgers.get_by_name("account")?,
        Some(team) => ledgers.get_by_name(&format!("account/{team}"))?,
    };
    let request = request(&format!("https://ledger{route}"), &[], Some(body))?;
    let exchange = async {
        let mut answer = stub.fetch_with_request(request).await?;
        match answer.status_code() {
            200 => answer.bytes().await,
            _ => Err(Error::RustError(answer.text().await?)),
        }
    };
    let answered = in_time(Duration::from_millis(within.0), exchange).await;
    let late = || Error::RustError(format!("the ledger did not answer within {} ms", within.0));
    answered.ok_or_else(late)?
}

fn read<T: FromJsonOwned>(bytes: &[u8]) -> Result<T> {
    crate::json::from_slice(bytes)
        .map_err(|error| Error::RustError(format!("the ledger's answer cannot be read: {error}")))
}
