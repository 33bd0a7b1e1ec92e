//! `/admin/teams`, `/admin/users`, `/admin/budgets`, `/admin/limits` and `/admin/webhooks`: what is kept as a record
//! under an id.
//!
//! They differ in their fields alone, so a kind says how its fields are read ([`Resource`]) and everything else is
//! here: made, listed, read, changed and deleted, each change with its audit entry.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Fault, Refusal};
use super::body::{Faults, Fields};
use super::page::{Page, Parameters};
use super::publish::{publish_team, tell_record};
use super::{Call, Kind, Pots, Request, Store, StoredRecord, id};
use crate::budget::{Budget, Figures, PotName, PotStanding, Scope, ScopeKind};
use crate::gateway::is_own_key;
use crate::json::{FromJsonOwned, Raw, readable};
use crate::limit::Limit;
use crate::sorted::{self, SortedMap};
use crate::units::Millis;

use super::teams::{self, Team};
use super::users::User;
use super::webhooks::Webhook;

/// Changes of one record at the same moment, each of which makes the other start over.
const MOST_TRIES: usize = 3;
/// Spenders that are listed with a budget or limit that each has a part of.
const MOST_SPENDERS: usize = 100;
/// Fields that a record shows but nobody writes.
const READ_ONLY: &[&str] = &["id", "object", "created_at", "updated_at"];

/// What is kept as a record.
pub(super) trait Resource: Default + Serialize + FromJsonOwned {
    /// Fields that can be written.
    const WRITABLE: &[&str];

    /// Its id, empty until it has one.
    fn id(&mut self) -> &mut String;

    /// Sets a writable field; without a value, to its default.
    fn set(&mut self, name: &str, value: Option<&RawValue>, faults: &mut Faults);

    /// Finds what is wrong with it as a whole, such as a field that is needed and missing.
    fn check(&self, faults: &mut Faults);
}

/// `POST /admin/{kind}`.
pub(super) async fn create<S: Store>(call: &Call<'_, S>, kind: Kind) -> Result<Answer, Refusal> {
    let now = call.request.now;
    let prefix = if kind == Kind::Team { teams::prefix(call).await? } else { kind.as_str() };
    let minted = id::mint(prefix, now, call.request.entropy.id);
    let (id, record) = edit(kind, "{}", &minted, call.request)?;
    known_scope(call, kind).await?;
    let stored =
        StoredRecord { id, record, change: call.change_id(), created_at: now, updated_at: now, deleted: false };
    let audit = call.audit(&action(kind, "create"), &stored.id, None, Some(stored.record.clone()));
    let written = match call.store.create_record(kind, &stored, &audit).await {
        Ok(written) => written,
        Err(error) => landed(call, kind, &stored).await?.ok_or(error)?,
    };
    if !written {
        let message = format!("There is a {} `{}` already.", kind.as_str(), stored.id);
        return Err(Refusal::new(409, "already_exists", message));
    }
    tell(call, kind, &stored).await?;
    Ok(Answer::written(201, shown(kind, &stored)))
}

/// `GET /admin/{kind}`: newest first; users by their ids, backwards.
pub(super) async fn list<S: Store>(call: &Call<'_, S>, kind: Kind) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let (limit, cursor) = (parameters.limit(), parameters.cursor(if kind == Kind::User { "" } else { kind.as_str() }));
    parameters.end()?;
    let mut rows = call.store.records(kind, cursor.as_deref(), limit + 1).await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_cursor = rows.last().filter(|_| more).map(|last| last.id.clone());
    let pots = pots(call, kind, rows.iter().map(|stored| stored.id.clone()).collect()).await;
    let told = |stored: &StoredRecord| with_figures(kind, shown(kind, stored), pots.get(&stored.id));
    let data = rows.iter().filter_map(|stored| Raw::parse(&told(stored)).ok().map(Raw::into_owned)).collect();
    Answer::json(200, &Page { data, next_cursor })
}

/// `GET /admin/{kind}/{id}`.
pub(super) async fn read<S: Store>(call: &Call<'_, S>, kind: Kind, id: &str) -> Result<Answer, Refusal> {
    let found = find(call, kind, id).await?;
    let pots = pots(call, kind, vec![found.id.clone()]).await;
    Ok(Answer::written(200, with_figures(kind, shown(kind, &found), pots.get(id))))
}

/// How budgets or limits stand; nothing of other kinds, or while the ledger does not answer.
async fn pots<S: Store>(call: &Call<'_, S>, kind: Kind, ids: Vec<String>) -> Pots {
    if !matches!(kind, Kind::Budget | Kind::Limit) || ids.is_empty() {
        return Pots::new();
    }
    call.store.standings(ids).await.unwrap_or_default()
}

/// Adds what is spent and left to a shown budget or limit, or, where each spender has a part of their own, that of the
/// spenders with the least left, in `spenders`.
pub(super) fn with_figures(kind: Kind, shown: String, pots: Option<&SortedMap<String, PotStanding>>) -> String {
    let Some(pots) = pots.filter(|pots| !pots.is_empty()) else { return shown };
    let figures = |standing: &PotStanding| {
        let figures = if kind == Kind::Budget { Figures::of_budget(standing) } else { Figures::of_limit(standing) };
        crate::json::to_string(&figures)
    };
    let open = shown.strip_suffix('}').unwrap_or(&shown);
    let mut parts: Vec<(&str, &PotStanding)> = Vec::new();
    for (name, standing) in pots {
        match PotName::read(name).subject {
            None => return format!("{open},{}", figures(standing).trim_start_matches('{')),
            Some(subject) => parts.push((subject, standing)),
        }
    }
    sorted::sort_by_key(&mut parts, |(_, standing)| {
        standing.limit.saturating_sub(standing.spent).saturating_sub(standing.leased)
    });
    let parts = parts.iter().take(MOST_SPENDERS).map(|(subject, standing)| {
        let id = crate::json::to_string(subject);
        format!("{{\"id\":{id},{}", figures(standing).trim_start_matches('{'))
    });
    format!("{open},\"spenders\":[{}]}}", parts.collect::<Vec<_>>().join(","))
}

/// `PATCH /admin/{kind}/{id}`.
pub(super) async fn update<S: Store>(call: &Call<'_, S>, kind: Kind, id: &str) -> Result<Answer, Refusal> {
    let edit = |stored: &mut StoredRecord| {
        stored.record = edit(kind, &stored.record, &stored.id, call.request)?.1;
        Ok(())
    };
    known_scope(call, kind).await?;
    let stored = change(call, kind, id, "update", edit).await?;
    tell(call, kind, &stored).await?;
    let answer = Answer::written(200, shown(kind, &stored));
    let keys = if kind == Kind::Team { publish_team(call, id).await? } else { Vec::new() };
    Ok(answer.changed_keys(keys))
}

/// `DELETE /admin/{kind}/{id}`.
pub(super) async fn delete<S: Store>(call: &Call<'_, S>, kind: Kind, id: &str) -> Result<Answer, Refusal> {
    if kind == Kind::Team && !call.store.keys(Some(id), None, 1).await?.is_empty() {
        let message = "This team has keys. Delete them, or give them to another team, first.";
        return Err(Refusal::new(409, "team_has_keys", message));
    }
    let edit = |stored: &mut StoredRecord| {
        stored.deleted = true;
        Ok(())
    };
    let stored = change(call, kind, id, "delete", edit).await?;
    tell(call, kind, &stored).await?;
    Answer::json(200, &Deleted { id: &stored.id, object: kind.as_str(), deleted: true })
}

/// Tells the ledger, where it is something that it enforces.
async fn tell<S: Store>(call: &Call<'_, S>, kind: Kind, stored: &StoredRecord) -> Result<(), Refusal> {
    tell_record(call.store, kind, stored.clone()).await.map_err(|error| {
        let message = format!(
            "The change is stored, but not in force yet ({error}). It will be, about a minute after the ledger answers \
             again."
        );
        Refusal::new(503, "not_published", message)
    })
}

/// The record of `id`, unless it is deleted.
pub(super) async fn find<S: Store>(call: &Call<'_, S>, kind: Kind, id: &str) -> Result<StoredRecord, Refusal> {
    let found = call.store.record(kind, id).await?.filter(|stored| !stored.deleted);
    found.ok_or_else(|| Refusal::not_found(format!("There is no such {}.", kind.as_str())))
}

/// Edits a record and writes it with its audit entry. When someone else changed it meanwhile, the edit is made again
/// on what they left.
async fn change<S: Store>(
    call: &Call<'_, S>,
    kind: Kind,
    id: &str,
    what: &str,
    edit: impl Fn(&mut StoredRecord) -> Result<(), Refusal>,
) -> Result<StoredRecord, Refusal> {
    for _ in 0..MOST_TRIES {
        let before = find(call, kind, id).await?;
        let mut after = before.clone();
        edit(&mut after)?;
        after.updated_at = call.request.now.max(before.updated_at.plus(Millis(1)));
        after.change = call.change_id();
        let left = (!after.deleted).then(|| after.record.clone());
        let audit = call.audit(&action(kind, what), id, Some(before.record), left);
        let written = match call.store.replace_record(kind, &after, &before.change, &audit).await {
            Ok(written) => written,
            Err(error) => landed(call, kind, &after).await?.ok_or(error)?,
        };
        if written {
            return Ok(after);
        }
    }
    let message = format!("Others are changing this {} at the same time. Repeat the request.", kind.as_str());
    Err(Refusal::new(409, "conflict", message))
}

/// Whether a write whose answer was lost took effect; `None` where it did not.
async fn landed<S: Store>(call: &Call<'_, S>, kind: Kind, written: &StoredRecord) -> Result<Option<bool>, Refusal> {
    let found = call.store.record(kind, &written.id).await?;
    Ok(found.filter(|found| found.change == written.change).map(|_| true))
}

fn action(kind: Kind, what: &str) -> String {
    format!("{}.{what}", kind.as_str())
}

/// Refuses a budget or limit of a team or key that there never was: it would hold nobody to anything, and nobody would
/// notice. One that was deleted is none of a slip of the pen, and who sends whole records sends its id again.
async fn known_scope<S: Store>(call: &Call<'_, S>, kind: Kind) -> Result<(), Refusal> {
    if !matches!(kind, Kind::Budget | Kind::Limit) {
        return Ok(());
    }
    let Wanted { scope } = crate::json::from_slice(call.request.body).unwrap_or_default();
    let id = scope.id.as_str();
    if scope.is_each() || id.is_empty() {
        return Ok(());
    }
    let (is_known, message) = match scope.kind {
        ScopeKind::Team => {
            let found = call.store.record(Kind::Team, id).await?;
            (found.is_some(), "is no team; give its id, which begins with `team_`")
        }
        ScopeKind::Key => {
            let found = call.store.key(id).await?;
            (found.is_some() || is_own_key(id), "is no key; give its id, which begins with `key_`")
        }
        _ => return Ok(()),
    };
    let fault = || Fault { path: "scope.id".to_owned(), message: message.to_owned() };
    if is_known { Ok(()) } else { Err(Refusal::faulty(vec![fault()])) }
}

/// The scope that a body names.
#[derive(Default)]
struct Wanted {
    scope: Scope,
}
readable! { Wanted { scope } }

/// Applies the request's body to a record: its id, and what it is since.
fn edit(kind: Kind, before: &str, id: &str, request: &Request<'_>) -> Result<(String, String), Refusal> {
    match kind {
        Kind::Team => edit_as::<Team>(before, id, request),
        Kind::User => edit_as::<User>(before, id, request),
        Kind::Budget => edit_as::<Budget>(before, id, request),
        Kind::Limit => edit_as::<Limit>(before, id, request),
        Kind::Webhook => edit_as::<Webhook>(before, id, request),
    }
}

fn edit_as<R: Resource>(before: &str, id: &str, request: &Request<'_>) -> Result<(String, String), Refusal> {
    let unreadable = |error: &dyn std::error::Error| {
        Refusal::new(500, "internal_error", format!("The record cannot be read: {error}."))
    };
    let mut record: R = crate::json::from_str(before).map_err(|error| unreadable(&error))?;
    let mut faults = Faults::default();
    // Whoever makes a user names it: the field counts only while there is no record.
    let chosen = R::WRITABLE.contains(&"id");
    if !chosen {
        id.clone_into(record.id());
    }
    let is_new = before == "{}";
    for (name, value) in Fields::read(request.body)?.each_once("", &mut faults) {
        let fixed = READ_ONLY.contains(&name.as_str()) && !(name == "id" && chosen && is_new);
        if fixed {
            faults.add(name, "cannot be written");
        } else if R::WRITABLE.contains(&name.as_str()) {
            record.set(&name, value, &mut faults);
        } else {
            faults.add(name, format!("is no field; those that can be written are {}", R::WRITABLE.join(", ")));
        }
    }
    record.check(&mut faults);
    faults.none()?;
    let written = crate::json::to_string(&record);
    Ok((std::mem::take(record.id()), written))
}

/// A record as the admin API shows it: its own fields, and what is known of it.
fn shown(kind: Kind, stored: &StoredRecord) -> String {
    let fields = stored.record.strip_suffix('}').unwrap_or("{");
    let (kind, created, updated) = (kind.as_str(), stored.created_at.0, stored.updated_at.0);
    format!(r#"{fields},"created_at":{created},"updated_at":{updated},"object":"{kind}"}}"#)
}

#[derive(Serialize)]
struct Deleted<'a> {
    id: &'a str,
    object: &'static str,
    deleted: bool,
}
