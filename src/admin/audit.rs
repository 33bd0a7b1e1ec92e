//! `/admin/audit`: who changed what, and when.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Refusal};
use super::page::{Page, Parameters};
use super::webhooks::EVENTS;
use super::{AuditEntry, Call, Store, id};
use crate::units::UnixMillis;

impl<S: Store> Call<'_, S> {
    /// The id of the change that this request makes.
    pub(super) fn change_id(&self) -> String {
        id::mint("change", self.request.now, self.request.entropy.change)
    }

    /// The entry for the change that this request makes; `before` and `after` are JSON without secrets.
    pub(super) fn audit(
        &self,
        action: &str,
        subject: &str,
        before: Option<String>,
        after: Option<String>,
    ) -> AuditEntry {
        debug_assert!(
            action.starts_with("webhook.") || EVENTS.contains(&action),
            "a webhook could not ask for {action}"
        );
        AuditEntry {
            id: self.change_id(),
            at: self.request.now,
            actor: self.actor.to_owned(),
            address: self.request.address.map(str::to_owned),
            action: action.to_owned(),
            subject: subject.to_owned(),
            before,
            after,
        }
    }
}

/// `GET /admin/audit`: newest first; `subject` is the id of a key, or `config`.
pub(super) async fn list<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let (limit, cursor, subject) = (parameters.limit(), parameters.cursor("change_"), parameters.text("subject"));
    parameters.end()?;
    let rows = call.store.audit(subject.as_deref(), cursor.as_deref(), limit + 1).await?;
    let shown = rows.iter().map(Shown::of).collect();
    Answer::json(200, &Page::of(shown, limit, |entry: &Shown<'_>| entry.id.to_owned()))
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    at: UnixMillis,
    actor: &'a str,
    address: Option<&'a str>,
    action: &'a str,
    subject: &'a str,
    before: Option<&'a RawValue>,
    after: Option<&'a RawValue>,
}

impl<'a> Shown<'a> {
    fn of(entry: &'a AuditEntry) -> Shown<'a> {
        let json = |text: &'a Option<String>| text.as_deref().and_then(|text| crate::json::from_str(text).ok());
        Shown {
            id: &entry.id,
            at: entry.at,
            actor: &entry.actor,
            address: entry.address.as_deref(),
            action: &entry.action,
            subject: &entry.subject,
            before: json(&entry.before),
            after: json(&entry.after),
        }
    }
}
