//! `/admin/config`: the configuration document, replaced as a whole, each version kept.
//!
//! Two operators cannot overwrite each other: a write names the version it was made from (`If-Match`). A document
//! with a fault is refused before it is stored, so that the one in force is always a good one.

use serde::Serialize;

use super::answer::{Answer, Fault, Refusal};
use super::body::{Faults, Fields};
use super::page::{Page, Parameters};
use super::publish::publish_config;
use super::{Call, ConfigVersion, Store, StoredConfig};
use crate::config;
use crate::json::Raw;
use crate::units::UnixMillis;

/// What is in force while nothing was written: version 0.
const EMPTY: &str = r#"{"version":1}"#;
/// A row of the database holds 2,000,000 bytes.
const LONGEST_DOCUMENT: usize = 1_900_000;

/// `GET /admin/config`: the document as it was written, its version in `etag`.
pub(super) async fn read<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let current = current(call).await?;
    Ok(tagged(Answer::written(200, current.document), current.version.version))
}

/// `PUT /admin/config`: puts a document in force; `if-match` must name the version it was made from, or be `*`.
pub(super) async fn replace<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let document = checked(call.request.body)?;
    let current = current(call).await?;
    match call.request.if_match {
        Some(given) => matches(given, current.version.version)?,
        None => {
            let message = "Send the `etag` of the version you started from as `if-match`, or `*` to overwrite any.";
            return Err(Refusal::new(428, "precondition_required", message));
        }
    }
    append(call, &current, document, None).await
}

/// `POST /admin/config/check`: the faults of a document, or what it would change.
pub(super) async fn check<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let document = checked(call.request.body)?;
    let current = current(call).await?;
    let changes = changes(&current.document, document)?;
    Answer::json(200, &Checked { valid: true, version: current.version.version, changes: shown(&changes) })
}

/// `GET /admin/config/versions`: newest first.
pub(super) async fn versions<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let (limit, cursor) = (parameters.limit(), parameters.text("cursor"));
    let before = cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    if cursor.is_some() && before.is_none() {
        parameters.fault("cursor", "must be the `next_cursor` of an earlier page");
    }
    parameters.end()?;
    let rows = call.store.config_versions(before, limit + 1).await?;
    let shown = rows.iter().map(Version::of).collect();
    Answer::json(200, &Page::of(shown, limit, |version: &Version| version.version.to_string()))
}

/// `GET /admin/config/versions/{version}`: that document.
pub(super) async fn read_version<S: Store>(call: &Call<'_, S>, version: &str) -> Result<Answer, Refusal> {
    let found = find(call, version.parse().ok()).await?;
    Ok(tagged(Answer::written(200, found.document), found.version.version))
}

/// `POST /admin/config/rollback`: writes an earlier document as a new version.
pub(super) async fn roll_back<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let version = wanted_version(call.request.body)?;
    let current = current(call).await?;
    if let Some(given) = call.request.if_match {
        matches(given, current.version.version)?;
    }
    let wanted = find(call, Some(version)).await?;
    // What was good under an older version of this program may not be any more. Whom it names was looked at when it was
    // written, if at all: who goes back is in a hurry.
    let faults = match config::read_stored(wanted.document.as_bytes()) {
        Ok((_, faults)) => faults,
        Err(fault) => vec![fault],
    };
    if !faults.is_empty() {
        return Err(Refusal::faulty(faults.into_iter().map(fault_of).collect()));
    }
    append(call, &current, &wanted.document, Some(version)).await
}

/// Puts a document in force that the gateway itself made from `current`; what is no longer current is left alone. Faults
/// that stood there before are no reason against it.
pub(super) async fn put_in_force<S: Store>(
    call: &Call<'_, S>,
    current: &StoredConfig,
    document: &str,
) -> Result<(), Refusal> {
    append(call, current, document, None).await.map(|_| ())
}

async fn append<S: Store>(
    call: &Call<'_, S>,
    current: &StoredConfig,
    document: &str,
    restores: Option<u32>,
) -> Result<Answer, Refusal> {
    let changes = changes(&current.document, document)?;
    let version = ConfigVersion {
        version: current.version.version.saturating_add(1),
        created_at: call.request.now,
        change: call.change_id(),
        restores,
        published: 0,
    };
    let stored = StoredConfig { version, document: document.to_owned() };
    write(call, current.version.version, &stored).await?;
    if let Err(error) = publish_config(call.store, call.secrets, stored.clone()).await {
        let message = format!(
            "Version {} is stored, but its copy for the edge could not be written ({error}). Repeat the request with \
             the new `etag`.",
            stored.version.version
        );
        return Err(Refusal::new(503, "not_published", message));
    }
    let body = Written { version: stored.version.version, changes: shown(&changes) };
    Ok(tagged(Answer::json(200, &body)?, stored.version.version).changed_config())
}

async fn write<S: Store>(call: &Call<'_, S>, current: u32, stored: &StoredConfig) -> Result<(), Refusal> {
    let version = |version: u32| Some(format!(r#"{{"version":{version}}}"#));
    let action = match stored.version.restores {
        Some(_) => "config.rollback",
        None if call.actor == "schedule" => "config.stop_variant",
        None => "config.replace",
    };
    let audit = call.audit(action, "config", version(current), version(stored.version.version));
    match call.store.append_config(stored, &audit).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(changed_meanwhile()),
        // The write may have landed although its answer did not.
        Err(error) => match call.store.config_version(stored.version.version).await {
            Ok(Some(found)) if found.version.change == stored.version.change => Ok(()),
            _ => Err(error.into()),
        },
    }
}

async fn current<S: Store>(call: &Call<'_, S>) -> Result<StoredConfig, Refusal> {
    Ok(call.store.config().await?.unwrap_or_else(nothing))
}

fn nothing() -> StoredConfig {
    let version = ConfigVersion { published: 1, ..ConfigVersion::default() };
    StoredConfig { version, document: EMPTY.to_owned() }
}

async fn find<S: Store>(call: &Call<'_, S>, version: Option<u32>) -> Result<StoredConfig, Refusal> {
    let found = match version {
        Some(0) => Some(nothing()),
        Some(version) => call.store.config_version(version).await?,
        None => None,
    };
    found.ok_or_else(|| Refusal::not_found("There is no such version of the configuration."))
}

fn wanted_version(body: &[u8]) -> Result<u32, Refusal> {
    let mut faults = Faults::default();
    let mut version = None;
    for (name, value) in Fields::read(body)?.each_once("", &mut faults) {
        match (name.as_str(), value) {
            ("version", Some(value)) => version = faults.integer("version", value, 0..=i64::from(u32::MAX)),
            ("version", None) => {}
            _ => faults.add(name, "is no field of a rollback; there is only version"),
        }
    }
    faults.none()?;
    let missing = || Fault { path: "version".to_owned(), message: "is needed: which version to bring back".to_owned() };
    version.and_then(|version| u32::try_from(version).ok()).ok_or_else(|| Refusal::faulty(vec![missing()]))
}

/// The document as text, if there is no fault in it.
fn checked(body: &[u8]) -> Result<&str, Refusal> {
    if body.len() > LONGEST_DOCUMENT {
        return Err(Refusal::too_large(LONGEST_DOCUMENT));
    }
    config::read(body).map_err(|faults| Refusal::faulty(faults.into_iter().map(fault_of).collect()))?;
    str::from_utf8(body)
        .map_err(|error| Refusal::new(400, "invalid_request", format!("The document is no text: {error}.")))
}

fn changes(before: &str, after: &str) -> Result<Vec<config::Difference>, Refusal> {
    config::diff(before.as_bytes(), after.as_bytes()).map_err(|fault| Refusal::faulty(vec![fault_of(fault)]))
}

fn fault_of(fault: config::Fault) -> Fault {
    Fault { path: fault.path, message: fault.message }
}

fn tagged(answer: Answer, version: u32) -> Answer {
    answer.header("etag", format!("\"{version}\"")).header("x-latchkey-config", version.to_string())
}

/// Whether `if-match` names `version`: `*`, or a list of entity tags of which one does. Where an answer is compressed on
/// its way, Cloudflare makes its tag a weak one (`W/"7"`); of a document that is never written otherwise, that says as much.
fn matches(given: &str, version: u32) -> Result<(), Refusal> {
    let tag = format!("\"{version}\"");
    let mut tags = given.split(',').map(|given| given.trim().trim_start_matches("W/"));
    let named = tags.any(|given| given == "*" || given == tag);
    if named { Ok(()) } else { Err(changed_meanwhile()) }
}

fn changed_meanwhile() -> Refusal {
    let message = "The configuration is no longer the version named in `if-match`. Read it again and redo the change.";
    Refusal::new(412, "precondition_failed", message)
}

fn shown(changes: &[config::Difference]) -> Vec<Change<'_>> {
    let json = |text: &Option<String>| text.as_ref().and_then(|text| Raw::parse(text).ok()).map(Raw::into_owned);
    changes
        .iter()
        .map(|change| Change { path: &change.path, before: json(&change.before), after: json(&change.after) })
        .collect()
}

#[derive(Serialize)]
struct Checked<'a> {
    valid: bool,
    /// The version in force, with which the document was compared.
    version: u32,
    changes: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    changes: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    path: &'a str,
    before: Option<Raw<'static>>,
    after: Option<Raw<'static>>,
}

#[derive(Serialize)]
struct Version {
    version: u32,
    created_at: UnixMillis,
    restores: Option<u32>,
    published: bool,
}

impl Version {
    fn of(version: &ConfigVersion) -> Version {
        Version {
            version: version.version,
            created_at: version.created_at,
            restores: version.restores,
            published: version.published != 0,
        }
    }
}
