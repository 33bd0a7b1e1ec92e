//! `POST /admin/budgets/{id}/release`: frees what isolates that died had leased of a budget.

use serde::Serialize;

use super::answer::{Answer, Refusal};
use super::body::{Faults, Fields};
use super::{Call, Store};
use crate::budget::ledger::{GONE_AFTER, TERM};
use crate::units::{Millis, NanoUsd};

/// A month: who waits for longer has no isolate to wait for.
const LONGEST_SILENCE_SECONDS: i64 = 31 * 24 * 60 * 60;

#[derive(Serialize)]
struct Done<'a> {
    id: &'a str,
    object: &'static str,
    released: NanoUsd,
    leases: u64,
    silent_seconds: u64,
}

/// Frees what is charged to isolates of which nothing was heard for `silent_seconds`, an hour if it is not given; of a
/// key's own budgets too. Then the audit trail is told. Repeating it frees nothing twice.
pub(super) async fn release<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    let silence = silence(call.request.body)?;
    let released = call.store.release_budget(id, silence).await?;
    let released =
        released.ok_or_else(|| Refusal::not_found("There is no such budget, or no call was made under it."))?;
    let silent_seconds = silence.0 / 1000;
    let done = Done { id, object: "release", released: released.amount, leases: released.leases, silent_seconds };
    let entry = call.audit("budget.release", id, None, Some(crate::json::to_string(&done)));
    call.store.append_audit(&entry).await.map_err(|error| {
        let amount = released.amount;
        let message = format!("${amount} are free again, but the audit trail did not take it ({error}). Note it down.");
        Refusal::new(503, "not_audited", message)
    })?;
    Answer::json(200, &done)
}

fn silence(body: &[u8]) -> Result<Millis, Refusal> {
    let mut faults = Faults::default();
    let mut silence = GONE_AFTER;
    if !body.is_empty() {
        for (name, value) in Fields::read(body)?.each_once("", &mut faults) {
            match (name.as_str(), value) {
                ("silent_seconds", None) => {}
                ("silent_seconds", Some(value)) => {
                    let least = i64::try_from(TERM.0 / 1000).unwrap_or(LONGEST_SILENCE_SECONDS);
                    let seconds = faults.integer("silent_seconds", value, least..=LONGEST_SILENCE_SECONDS);
                    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
                    silence = seconds.map_or(silence, |seconds| Millis(seconds * 1000));
                }
                _ => faults.add(name, "is no field of a release; there is only silent_seconds"),
            }
        }
    }
    faults.none()?;
    Ok(silence)
}
