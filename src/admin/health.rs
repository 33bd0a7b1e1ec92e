//! `/admin/health`: what the breakers know, and what the operator decides about them; and the page without figures that
//! anybody may read.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Fault, Refusal};
use super::body::{Faults, Fields};
use super::page::Parameters;
use super::{AuditEntry, Call, Store, id};
use crate::breaker::{Action, Breaker, Order, Transition, View};
use crate::gateway::Load;
use crate::json::readable;
use crate::provider::Registry;
use crate::units::{Millis, UnixMillis};

/// What the object of one region group says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionHealth {
    /// Its name, such as `europe`.
    pub region: &'static str,
    /// A [`crate::breaker::Overview`] as JSON, or why it could not be had.
    pub overview: Result<String, String>,
}

/// What one ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerHealth {
    /// The team whose own it is; `None` is the account's.
    pub team: Option<String>,
    /// How much it has for the database, as JSON, or why that could not be had: what is on its way (`waiting`) and what the
    /// database refused while it took other rows (`aside`).
    pub outbox: Result<String, String>,
}

#[derive(Serialize)]
struct Regions<'a> {
    regions: Vec<Shown<'a>>,
    ledgers: Vec<ShownLedger<'a>>,
    isolate: Load,
}

#[derive(Serialize)]
struct ShownLedger<'a> {
    team_id: Option<&'a str>,
    error: Option<&'a str>,
    outbox: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Shown<'a> {
    region: &'a str,
    error: Option<&'a str>,
    targets: Vec<&'a RawValue>,
    switches: Vec<&'a RawValue>,
    retries_refused: u64,
}

#[derive(Default)]
struct Overview<'a> {
    targets: Vec<&'a RawValue>,
    switches: Vec<&'a RawValue>,
    /// Missing from an object of an earlier build.
    retries_refused: u64,
}
readable! { Overview<'a> { #[required] targets, #[required] switches, retries_refused } }

/// `GET /admin/health`: all targets of all region groups that have any, the groups that did not answer, and what the
/// ledgers have for the database.
pub(super) async fn read<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    Parameters::read(call.request.query).end()?;
    let found = call.store.breakers().await?;
    let regions = found.iter().map(|found| {
        let read = found.overview.as_deref().map(crate::json::from_str::<Overview<'_>>);
        let (overview, error) = match read {
            Ok(Ok(overview)) => (overview, None),
            Ok(Err(_)) => (Overview::default(), Some("its answer cannot be read")),
            Err(error) => (Overview::default(), Some(error.as_str())),
        };
        let Overview { targets, switches, retries_refused } = overview;
        Shown { region: found.region, error, targets, switches, retries_refused }
    });
    let has_something =
        |shown: &Shown<'_>| shown.error.is_some() || !shown.targets.is_empty() || !shown.switches.is_empty();
    let regions = regions.filter(has_something).collect();
    let ledgers = call.store.ledgers().await;
    let ledgers = ledgers.iter().map(|LedgerHealth { team, outbox }| ShownLedger {
        team_id: team.as_deref(),
        error: outbox.as_ref().err().map(String::as_str),
        outbox: outbox.as_deref().ok().and_then(|outbox| crate::json::from_str(outbox).ok()),
    });
    Answer::json(200, &Regions { regions, ledgers: ledgers.collect(), isolate: call.store.load() })
}

#[derive(Serialize)]
struct Decided<'a> {
    target: &'a str,
    action: Action,
    until: Option<UnixMillis>,
    reason: Option<&'a str>,
}

/// `POST /admin/health/{reset|block|allow}`: tells the objects of all region groups, then the audit trail. Repeating it
/// is safe.
pub(super) async fn decide<S: Store>(call: &Call<'_, S>, action: Action) -> Result<Answer, Refusal> {
    let order = order(call, action)?;
    // Before the audit trail: a provider can be switched off while the database is away.
    call.store.order_breakers(&order).await.map_err(|error| {
        let message = format!("Not every region group took it: {}. Repeat the request.", error.message);
        Refusal::new(503, "not_everywhere", message)
    })?;
    let decided = Decided { target: &order.subject, action, until: order.until, reason: order.reason.as_deref() };
    let after = Some(crate::json::to_string(&decided));
    let entry = call.audit(&format!("health.{}", word(action)), &order.subject, None, after);
    call.store.append_audit(&entry).await.map_err(|error| {
        let message = format!("It is in force, but the audit trail did not take it ({error}). Repeat the request.");
        Refusal::new(503, "not_audited", message)
    })?;
    Answer::json(200, &decided)
}

fn order<S>(call: &Call<'_, S>, action: Action) -> Result<Order, Refusal> {
    const LONGEST_SECONDS: i64 = 366 * 24 * 60 * 60;
    let mut faults = Faults::default();
    let (mut subject, mut until, mut reason) = (None, None, None);
    for (name, value) in Fields::read(call.request.body)?.each_once("", &mut faults) {
        match (name.as_str(), value) {
            ("target", Some(value)) => subject = faults.text("target", value, 1..=256),
            ("seconds", Some(value)) if action != Action::Reset => {
                let seconds = faults.integer("seconds", value, 1..=LONGEST_SECONDS);
                let length = seconds.and_then(|seconds| u64::try_from(seconds * 1_000).ok());
                until = length.map(|length| call.request.now.plus(Millis(length)));
            }
            ("reason", Some(value)) => reason = faults.text("reason", value, 1..=200),
            ("target" | "reason", None) => {}
            ("seconds", None) => {}
            _ => faults.add(name, format!("is no field of `{}`", word(action))),
        }
    }
    faults.none()?;
    let missing = "is needed: a provider, `provider/model`, or `provider/model#2` for its second credential";
    let subject = subject.ok_or_else(|| fault(missing.to_owned()))?;
    let provider = subject.split_once('/').map_or(subject.as_str(), |(provider, _)| provider);
    if !call.context.providers.iter().any(|known| known.id == provider) {
        return Err(fault(format!(
            "begins with `{provider}`, which is no provider of this gateway; see /admin/providers"
        )));
    }
    Ok(Order { action, subject, until, reason })
}

fn fault(message: String) -> Refusal {
    Refusal::faulty(vec![Fault { path: "target".to_owned(), message }])
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Reset => "reset",
        Action::Block => "block",
        Action::Allow => "allow",
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    region: &'a str,
    #[serde(flatten)]
    breaker: Breaker,
    reason: Option<&'a str>,
}

impl AuditEntry {
    /// The entry of what a breaker did by itself. The same transition always gives the same id.
    #[must_use]
    pub fn of_transition(region: &str, transition: &Transition) -> AuditEntry {
        let hashed = region.bytes().fold(0u16, |hash, byte| hash.wrapping_mul(31).wrapping_add(u16::from(byte)));
        let mut random = [0; 10];
        let (group, number) = random.split_at_mut(2);
        group.copy_from_slice(&hashed.to_be_bytes());
        number.copy_from_slice(&transition.number.to_be_bytes());
        let shown = |breaker: Breaker, reason| Some(crate::json::to_string(&Changed { region, breaker, reason }));
        let action = match transition.after {
            Breaker::Passing { .. } => "health.pass",
            Breaker::Blocking { .. } => "health.trip",
            Breaker::Probing { .. } => "health.probe",
        };
        AuditEntry {
            id: id::mint("change", transition.at, random),
            at: transition.at,
            actor: "breaker".to_owned(),
            address: None,
            action: action.to_owned(),
            subject: transition.target.to_string(),
            before: shown(transition.before, None),
            after: shown(transition.after, Some(transition.reason.as_str())),
        }
    }
}

#[derive(Serialize)]
struct Status<'a> {
    providers: Vec<ProviderLine<'a>>,
}

#[derive(Serialize)]
struct ProviderLine<'a> {
    id: &'a str,
    name: &'a str,
    status: &'a str,
}

/// The body of `GET /health/providers`: the providers that can be called, and for each one word.
#[must_use]
pub fn provider_health(view: &View, registry: &Registry, now: UnixMillis) -> String {
    let known = view.providers(now);
    let usable = registry.upstreams().filter(|upstream| upstream.is_usable());
    let providers = usable.map(|upstream| ProviderLine {
        id: &upstream.id,
        name: &upstream.name,
        status: known.get(upstream.id.as_str()).map_or("unknown", |health| health.word()),
    });
    crate::json::to_string(&Status { providers: providers.collect() })
}
