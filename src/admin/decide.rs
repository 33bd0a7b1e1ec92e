//! `/admin/route`: why a call would go where it would, and what a draft of the configuration would change.

use std::fmt::Debug;
use std::rc::Rc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Fault, Refusal};
use super::body::{Faults, Fields};
use super::{Call, CallRow, CallsQuery, Store, StoredKey};
use crate::chat::Usage;
use crate::failure::Failure;
use crate::failure::Kind::{BadRequest, MethodNotAllowed, NotFound};
use crate::gateway::{Hypothetical, Incoming, PastCall, Redecided};
use crate::keys::{Grant, Key};
use crate::route::classify::{Class, Kind};
use crate::sorted::SortedMap;
use crate::units::{Millis, NanoUsd, UnixMillis};

/// A whole configuration document, or a call with a long prompt.
const LONGEST_QUESTION: usize = 2_000_000;
/// Calls that one replay looks at, unless it says otherwise.
const USUAL_CALLS: u32 = 500;
/// And at most. Each is decided twice.
const MOST_CALLS: i64 = 2_000;
/// Changes that are listed one by one.
const MOST_CHANGES: usize = 100;

/// What the gateway of the isolate that is asked would decide, on what it knows of its targets.
pub trait Decider: Debug {
    /// See [`crate::gateway::Gateway::explain`]; under `document` instead of the configuration in force, where it is
    /// given.
    ///
    /// # Errors
    /// Where it is no call.
    fn explain(&self, asked: Hypothetical, document: Option<&str>, now: UnixMillis) -> Result<String, Failure>;
    /// See [`crate::gateway::Gateway::redecide`].
    fn redecide(&self, calls: &[PastCall], document: Option<&str>, now: UnixMillis) -> Vec<Redecided>;
}

/// `POST /admin/route/explain`.
pub(super) async fn explain<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let decider = decider(call)?;
    let mut faults = Faults::default();
    let (mut request, mut document, mut key, mut seed) = (None, None, None, None);
    let mut endpoint = "chat/completions".to_owned();
    let mut headers = SortedMap::new();
    for (name, value) in Fields::within(LONGEST_QUESTION, call.request.body)?.each_once("", &mut faults) {
        let Some(value) = value else { continue };
        match name.as_str() {
            "request" => request = faults.object("request", value).map(|_| value),
            "config" => document = draft(value, &mut faults),
            "key" => key = faults.text("key", value, 1..=80),
            "endpoint" => endpoint = faults.text("endpoint", value, 1..=60).unwrap_or_default(),
            "headers" => headers = faults.notes("headers", value, 64).unwrap_or_default(),
            "seed" => {
                seed = faults.text("seed", value, 1..=20).and_then(|text| text.parse().ok());
                if seed.is_none() {
                    faults.add_once("seed", "must be a whole number as a text, as explanations show it");
                }
            }
            _ => faults.add(name, "is no field of an explanation"),
        }
    }
    if request.is_none() {
        faults.add_once("request", "is needed: the body of the call");
    }
    faults.none()?;
    let grant = grant(call, key.as_deref()).await?;
    let incoming = Incoming {
        method: "POST".to_owned(),
        path: format!("/v1/{}", endpoint.trim_matches('/')),
        headers: headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
        body: request.map(|request| request.get().as_bytes().to_vec()).unwrap_or_default(),
        ..Incoming::default()
    };
    let told = decider.explain(Hypothetical { incoming, grant, seed }, document, call.request.now);
    told.map(|told| Answer::written(200, told)).map_err(|failure| {
        let path = match (failure.kind, failure.param.as_deref()) {
            (BadRequest, Some(header)) if header.starts_with("x-") => format!("headers.{header}"),
            (BadRequest, Some(field)) if field != "endpoint" => format!("request.{field}"),
            (BadRequest, None) => "request".to_owned(),
            // It is no path, or one that is called otherwise.
            (BadRequest | NotFound | MethodNotAllowed, _) => "endpoint".to_owned(),
            _ => return Refusal::new(503, "not_ready", failure.message.clone()),
        };
        Refusal::faulty(vec![Fault { path, message: failure.message.clone() }])
    })
}

/// `POST /admin/route/replay`.
pub(super) async fn replay<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let decider = decider(call)?;
    let mut faults = Faults::default();
    let (mut document, mut key_id, mut most) = (None, None, USUAL_CALLS);
    let (mut from, mut until) = (None, None);
    for (name, value) in Fields::within(LONGEST_QUESTION, call.request.body)?.each_once("", &mut faults) {
        let Some(value) = value else { continue };
        let mut moment = |name| faults.integer(name, value, 0..=i64::MAX).map(UnixMillis);
        match name.as_str() {
            "from" => from = moment("from"),
            "until" => until = moment("until"),
            "config" => document = draft(value, &mut faults),
            "key_id" => key_id = faults.text("key_id", value, 1..=80),
            "calls" => {
                let wanted = faults.integer("calls", value, 1..=MOST_CALLS);
                most = wanted.and_then(|wanted| u32::try_from(wanted).ok()).unwrap_or(most);
            }
            _ => faults.add(name, "is no field of a replay"),
        }
    }
    if document.is_none() {
        faults.add_once("config", "is needed: the draft");
    }
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        faults.add("from", "must be before `until`");
    }
    faults.none()?;
    let query = CallsQuery { key_id: key_id.as_deref(), from, until, most, ..CallsQuery::default() };
    let mut rows = call.store.calls(&query).await?;
    // Corrections are no calls of their own, and what never was sent has nothing to compare.
    rows.retain(|row| row.seq == 0 && !row.provider.is_empty());
    rows.reverse();
    let mut grants: SortedMap<&str, Rc<Grant>> = SortedMap::new();
    for row in &rows {
        // Of a key that is gone, nothing is known but its id.
        let gone = || Rc::new(Grant::new(Key { id: row.key_id.clone(), ..Key::default() }));
        grants.get_or_insert_with(&row.key_id, gone);
    }
    let ids: Vec<&str> = grants.keys().copied().collect();
    for StoredKey { key, .. } in call.store.keys_of(&ids).await? {
        if let Some(grant) = grants.get_mut(key.id.as_str()) {
            *grant = Rc::new(Grant::new(key));
        }
    }
    let past = |row: &CallRow| Some(row.past(grants.get(row.key_id.as_str())?.clone()));
    let calls: Vec<PastCall> = rows.iter().filter_map(past).collect();
    let now = call.request.now;
    let (before, after) = (decider.redecide(&calls, None, now), decider.redecide(&calls, document, now));
    Answer::json(200, &Replayed::of(&rows, &before, &after))
}

fn decider<'a, S>(call: &Call<'a, S>) -> Result<&'a dyn Decider, Refusal> {
    let message = "The gateway has not read its configuration yet; try again in a moment.";
    call.context.decider.ok_or_else(|| Refusal::new(503, "not_ready", message))
}

/// A draft of the configuration that has no faults.
fn draft<'v>(value: &'v RawValue, faults: &mut Faults) -> Option<&'v str> {
    match crate::config::read(value.get().as_bytes()) {
        Ok(_) => Some(value.get()),
        Err(found) => {
            found.iter().for_each(|fault| {
                let path = format!("config.{}", fault.path);
                faults.add(path.trim_end_matches('.'), fault.message.clone());
            });
            None
        }
    }
}

async fn grant<S: Store>(call: &Call<'_, S>, key: Option<&str>) -> Result<Rc<Grant>, Refusal> {
    let Some(id) = key else { return Ok(Rc::new(Grant::new(Key::default()))) };
    let stored = call.store.key(id).await?.filter(|stored| !stored.deleted);
    let fault =
        || Refusal::faulty(vec![Fault { path: "key".to_owned(), message: "is no key of this gateway".to_owned() }]);
    stored.map(|stored| Rc::new(Grant::new(stored.key))).ok_or_else(fault)
}

impl CallRow {
    /// The call as it can be decided again.
    fn past(&self, grant: Rc<Grant>) -> PastCall {
        let count = |tokens: i64| u64::try_from(tokens).unwrap_or(0);
        let some = |tokens: i64| Some(count(tokens)).filter(|tokens| *tokens > 0);
        let kind = |word: &String| Kind::ALL.into_iter().find(|kind| kind.name() == word);
        let class = self.task.as_ref().and_then(kind).zip(self.difficulty);
        PastCall {
            request_id: self.request_id.clone(),
            endpoint: self.endpoint.clone(),
            model: self.asked.clone().unwrap_or_else(|| format!("{}/{}", self.provider, self.model)),
            grant,
            user: self.user.clone(),
            session: self.session.clone(),
            tags: self.tags.clone(),
            stream: self.stream != 0,
            class: class.map(|(kind, difficulty)| Class { kind, difficulty, confidence: 1.0 }),
            usage: Usage {
                input_fresh: count(self.input_fresh),
                input_cache_read: some(self.input_cache_read),
                input_cache_write: some(self.input_cache_write),
                input_cache_write_1h: some(self.input_cache_write_1h),
                output_text: count(self.output_text),
                output_reasoning: some(self.output_reasoning),
                ..Usage::default()
            },
        }
    }
}

#[derive(Serialize)]
struct Replayed<'a> {
    calls: usize,
    /// Calls whose first target would be another.
    changed: usize,
    /// Calls that the draft would refuse, of those that are served today.
    refused: usize,
    before: Sums<'a>,
    after: Sums<'a>,
    changes: Vec<Change<'a>>,
    /// Calls for which the draft asks something that their records do not tell.
    uncertain_calls: usize,
    uncertain: Vec<Uncertain<'a>>,
}

#[derive(Serialize)]
struct Uncertain<'a> {
    request_id: &'a str,
    /// Each with where it stands; it was taken not to hold.
    conditions: &'a [String],
}

#[derive(Default, Serialize)]
struct Sums<'a> {
    cost: NanoUsd,
    /// Calls whose target has no known price.
    unpriced_calls: usize,
    /// The mean, over calls, of the median at their target.
    first_token_ms: Option<u64>,
    targets: SortedMap<&'a str, usize>,
}

#[derive(Serialize)]
struct Change<'a> {
    request_id: &'a str,
    asked: &'a str,
    /// Who answered it then.
    served_by: String,
    before: Option<&'a str>,
    after: Option<&'a str>,
    cost_before: Option<NanoUsd>,
    cost_after: Option<NanoUsd>,
}

impl<'a> Replayed<'a> {
    fn of(rows: &'a [CallRow], before: &'a [Redecided], after: &'a [Redecided]) -> Replayed<'a> {
        let pairs = || rows.iter().zip(before.iter().zip(after));
        let changed = || pairs().filter(|(_, (before, after))| before.target != after.target);
        let change = |(row, (before, after)): (&'a CallRow, (&'a Redecided, &'a Redecided))| Change {
            request_id: &row.request_id,
            asked: row.asked.as_deref().unwrap_or(&row.model),
            served_by: format!("{}/{}", row.provider, row.model),
            before: before.target.as_deref(),
            after: after.target.as_deref(),
            cost_before: before.cost,
            cost_after: after.cost,
        };
        let uncertain = || rows.iter().zip(after).filter(|(_, after)| !after.not_evaluated.is_empty());
        let told = |(row, after): (&'a CallRow, &'a Redecided)| Uncertain {
            request_id: &row.request_id,
            conditions: &after.not_evaluated,
        };
        Replayed {
            calls: rows.len(),
            changed: changed().count(),
            refused: pairs().filter(|(_, (before, after))| before.target.is_some() && after.target.is_none()).count(),
            before: Sums::of(before),
            after: Sums::of(after),
            changes: changed().take(MOST_CHANGES).map(change).collect(),
            uncertain_calls: uncertain().count(),
            uncertain: uncertain().take(MOST_CHANGES).map(told).collect(),
        }
    }
}

impl<'a> Sums<'a> {
    fn of(decided: &'a [Redecided]) -> Sums<'a> {
        let mut sums = Sums::default();
        let (mut waits, mut known) = (0u64, 0u64);
        for (one, target) in decided.iter().filter_map(|one| Some((one, one.target.as_deref()?))) {
            *sums.targets.get_or_default(target) += 1;
            match one.cost {
                Some(cost) => sums.cost += cost,
                None => sums.unpriced_calls += 1,
            }
            if let Some(Millis(wait)) = one.first_token {
                waits = waits.saturating_add(wait);
                known += 1;
            }
        }
        sums.first_token_ms = waits.checked_div(known);
        sums
    }
}
