//! `/admin/keys`: gateway keys from their making to their end.

use serde::Serialize;

use super::answer::{Answer, Fault, Refusal};
use super::body::{Faults, Fields};
use super::key_change::{Changed, change, find, hashes_of, json_of, publish_again};
use super::page::{Page, Parameters};
use super::publish::publish_key;
use super::records::with_figures;
use super::teams::terms_of;
use super::{Call, Kind, Store, StoredHash, StoredKey, id, key_body};
use crate::budget::ledger_of;
use crate::keys::{self, Key, Minted};
use crate::units::{Millis, UnixMillis};

/// Thirty days: a rotation that takes longer is a second key.
const LONGEST_GRACE_SECONDS: i64 = 30 * 24 * 60 * 60;
/// Texts of one key in force at once: the current one and those still in their grace.
const MOST_TEXTS: usize = 10;
/// An expired key can be given more time for so long: the ledger forgets it a day later, with what it has spent.
const REVIVED_WITHIN: Millis = Millis(6 * 24 * 60 * 60 * 1000);
/// How long the hash of an ended text is kept: until its copy at the edge is gone for certain.
const ENDED_KEPT: Millis = Millis(24 * 60 * 60 * 1000);

/// `POST /admin/keys`.
pub(super) async fn create<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let (request, context) = (call.request, call.context);
    let id = id::mint("key", request.now, request.entropy.id);
    let mut key = Key { id, environment: context.environment.to_owned(), ..Key::default() };
    key_body::apply(request, context, &mut key)?;
    let team = terms_of(call, key.team_id.as_deref()).await?;
    let minted = keys::mint(call.secrets, request.entropy.key);
    key.start.clone_from(&minted.start);
    key.created_at = request.now;
    key.updated_at = request.now;
    let hashes = vec![StoredHash { hash: minted.hash, expires_at: None }];
    let stored = StoredKey { key, hashes, change: call.change_id(), deleted: false, team };
    let audit = call.audit("key.create", &stored.key.id, None, json_of(&stored.key));
    if let Err(error) = call.store.create_key(&stored, &audit).await {
        // The key is lost only if it was not written: an answer that got lost is no reason to lose the key too.
        match call.store.key(&stored.key.id).await {
            Ok(Some(found)) if found.change == stored.change => {}
            _ => return Err(error.into()),
        }
    }
    // A new key works without its copy: a reader who finds none asks the database.
    let _ = publish_key(call.store, call.secrets, request.now, stored.clone()).await;
    Answer::json(201, &Shown { text: Some(minted.text.expose()), ..Shown::of(&stored.key) })
}

/// `GET /admin/keys`: newest first; of one team, if `team_id` is given.
pub(super) async fn list<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let (limit, cursor, team) = (parameters.limit(), parameters.cursor("key_"), parameters.text("team_id"));
    parameters.end()?;
    let rows = call.store.keys(team.as_deref(), cursor.as_deref(), limit + 1).await?;
    let shown = rows.iter().map(|stored| Shown::of(&stored.key)).collect();
    Answer::json(200, &Page::of(shown, limit, |shown: &Shown<'_>| shown.key.id.clone()))
}

/// `GET /admin/keys/{id}`, with how its own budgets and limits stand, as far as the ledger answers.
pub(super) async fn read<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    let key = find(call, id).await?.key;
    let answer = Answer::json(200, &Shown::of(&key))?;
    let own = own_rules(&key);
    if own.is_empty() {
        return Ok(answer);
    }
    let pots = call.store.standings(own.iter().map(|(_, id, _)| (*id).to_owned()).collect()).await.unwrap_or_default();
    let told = |kind: Kind| {
        let of_kind = own.iter().filter(|(known, ..)| *known == kind);
        let told: Vec<String> =
            of_kind.map(|(_, id, shown)| with_figures(kind, shown.clone(), pots.get(*id))).collect();
        format!("[{}]", told.join(","))
    };
    Ok(answer.replacing(&[("budgets", &told(Kind::Budget)), ("limits", &told(Kind::Limit))]))
}

/// `PATCH /admin/keys/{id}`.
pub(super) async fn update<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    // The team's terms go into the copies at the edge, and are read before the key is changed.
    let mut changed = find(call, id).await?.key;
    key_body::apply(call.request, call.context, &mut changed)?;
    let team = terms_of(call, changed.team_id.as_deref()).await?;
    let edit = |stored: &mut StoredKey| {
        stored.team = team;
        let (team, end) = (stored.key.team_id.clone(), stored.key.expires_at);
        key_body::apply(call.request, call.context, &mut stored.key)?;
        if end != stored.key.expires_at && end.is_some_and(|end| call.request.now.since(end) > REVIVED_WITHIN) {
            let message = "passed more than six days ago, and what the key has spent is forgotten: make another key";
            return Err(Refusal::faulty(vec![Fault { path: "expires_at".to_owned(), message: message.to_owned() }]));
        }
        same_ledger(team.as_deref(), stored.key.team_id.as_deref())
    };
    show(change(call, id, "key.update", edit).await?)
}

/// `POST /admin/keys/{id}/disable` and `/enable`.
pub(super) async fn set_disabled<S: Store>(call: &Call<'_, S>, id: &str, disabled: bool) -> Result<Answer, Refusal> {
    let action = if disabled { "key.disable" } else { "key.enable" };
    let edit = |stored: &mut StoredKey| {
        if !disabled {
            not_revoked(&stored.key)?;
        }
        stored.key.disabled = disabled;
        Ok(())
    };
    show(change(call, id, action, edit).await?)
}

/// `POST /admin/keys/{id}/revoke`: ends a key for good, with all its texts. Repeating it changes nothing.
pub(super) async fn revoke<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    let edit = |stored: &mut StoredKey| {
        stored.key.revoked_at.get_or_insert(call.request.now);
        Ok(())
    };
    show(change(call, id, "key.revoke", edit).await?)
}

/// `DELETE /admin/keys/{id}`: ends a key and takes it out of every list; records of its calls stay.
pub(super) async fn delete<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    let deleted = match call.store.key(id).await?.filter(|stored| stored.deleted) {
        // Repeated, perhaps because the copies could not be written the first time.
        Some(stored) => publish_again(call, stored).await,
        None => {
            let edit = |stored: &mut StoredKey| {
                stored.key.revoked_at.get_or_insert(call.request.now);
                stored.deleted = true;
                Ok(())
            };
            change(call, id, "key.delete", edit).await?
        }
    };
    let stored = deleted.published()?;
    let body = Deleted { id: &stored.key.id, object: "key", deleted: true };
    Ok(Answer::json(200, &body)?.changed_keys(hashes_of(&stored)))
}

/// `POST /admin/keys/{id}/rotate`: gives a key a new text; the old one stays in force for the grace.
pub(super) async fn rotate<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    let now = call.request.now;
    let grace_ends = now.plus(grace(call.request.body)?);
    let minted = keys::mint(call.secrets, call.request.entropy.key);
    let edit = |stored: &mut StoredKey| {
        not_revoked(&stored.key)?;
        add_text(stored, &minted, now, grace_ends)
    };
    let Changed { stored, published } = change(call, id, "key.rotate", edit).await?;
    // The new text is shown only this once, so it is shown even where the old one's copy could not be changed.
    let shown = Shown {
        text: Some(minted.text.expose()),
        previous_expires_at: Some(grace_ends),
        published: Some(published.is_ok()),
        ..Shown::of(&stored.key)
    };
    Ok(Answer::json(200, &shown)?.changed_keys(hashes_of(&stored)))
}

fn add_text(stored: &mut StoredKey, minted: &Minted, now: UnixMillis, grace_ends: UnixMillis) -> Result<(), Refusal> {
    stored.hashes.retain(|text| text.expires_at.is_none_or(|end| end.plus(ENDED_KEPT) > now));
    for text in &mut stored.hashes {
        text.expires_at = Some(text.expires_at.map_or(grace_ends, |end| end.min(grace_ends)));
    }
    if stored.hashes.iter().filter(|text| !text.ended(now)).count() >= MOST_TEXTS {
        let message =
            format!("{MOST_TEXTS} texts of this key are in force; rotate with `grace_seconds` 0 to end them.");
        return Err(Refusal::new(409, "too_many_rotations", message));
    }
    stored.hashes.push(StoredHash { hash: minted.hash, expires_at: None });
    stored.key.start.clone_from(&minted.start);
    Ok(())
}

fn grace(body: &[u8]) -> Result<Millis, Refusal> {
    let mut faults = Faults::default();
    let mut seconds = 0;
    for (name, value) in Fields::read(body)?.each_once("", &mut faults) {
        match (name.as_str(), value) {
            ("grace_seconds", None) => {}
            ("grace_seconds", Some(value)) => {
                seconds = faults.integer("grace_seconds", value, 0..=LONGEST_GRACE_SECONDS).unwrap_or(0);
            }
            _ => faults.add(name, "is no field of a rotation; there is only grace_seconds"),
        }
    }
    faults.none()?;
    Ok(Millis(u64::try_from(seconds).unwrap_or(0) * 1000))
}

/// What a key has spent is counted where it was: it does not move to the ledger of another team.
fn same_ledger(before: Option<&str>, after: Option<&str>) -> Result<(), Refusal> {
    if ledger_of(before) == ledger_of(after) {
        return Ok(());
    }
    let message = "has a ledger of its own, or the key's team has: make another key there".to_owned();
    Err(Refusal::faulty(vec![Fault { path: "team_id".to_owned(), message }]))
}

fn not_revoked(key: &Key) -> Result<(), Refusal> {
    match key.revoked_at {
        None => Ok(()),
        Some(_) => Err(Refusal::new(409, "key_revoked", "This key was revoked for good; make another one.")),
    }
}

/// A key's own budgets and limits: their ids, and as they are shown.
fn own_rules(key: &Key) -> Vec<(Kind, &str, String)> {
    let budgets = key.budgets.iter().map(|it| (Kind::Budget, it.id.as_str(), crate::json::to_string(it)));
    let limits = key.limits.iter().map(|it| (Kind::Limit, it.id.as_str(), crate::json::to_string(it)));
    budgets.chain(limits).collect()
}

fn show(changed: Changed) -> Result<Answer, Refusal> {
    let stored = changed.published()?;
    Ok(Answer::json(200, &Shown::of(&stored.key))?.changed_keys(hashes_of(&stored)))
}

/// A key as the admin API shows it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    key: &'a Key,
    object: &'static str,
    /// The key itself, when it was just made.
    #[serde(rename = "key", skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// When its previous text stops, after a rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_expires_at: Option<UnixMillis>,
    /// After a rotation, whether the edge knows when the previous text stops; if not, it will be caught up.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<bool>,
}

impl<'a> Shown<'a> {
    fn of(key: &'a Key) -> Shown<'a> {
        Shown { key, object: "key", text: None, previous_expires_at: None, published: None }
    }
}

#[derive(Serialize)]
struct Deleted<'a> {
    id: &'a str,
    object: &'static str,
    deleted: bool,
}
