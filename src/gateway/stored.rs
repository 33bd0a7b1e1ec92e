//! Answers of Responses that are kept for their caller, where the key lets them be: `store`, `previous_response_id`, and
//! `GET` and `DELETE /v1/responses/{id}`.
//!
//! A conversation is kept turn by turn, each with the id of the one before. When it goes on, the turns are put in front
//! of the new input before anything is decided about the call: budgets, limits and targets see what is really sent. So is
//! what the new input points at by the id of an item.
//!
//! An answer is written beside its delivery. Until the database has it, this isolate answers from its own copy, and
//! other isolates ask again for a moment before they say that there is no such response.

use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Response, Route};
use crate::json::check_depth;
use crate::keys::{Grant, Sharing};
use crate::units::UnixMillis;
use crate::wire::openai_responses::stored::{self, Page, Told, Turn, item_ids};

use super::call::{Call, Stage};
use super::unwritten::StoredResponse;
use super::{Gateway, Step};

/// Turns of one conversation.
pub const MOST_TURNS: usize = 200;
/// Bytes of one kept turn: a row of the database holds two million.
const MOST_BYTES: usize = 1_900_000;
/// Bytes of a turn's own input: some of a row is for the answer.
const MOST_INPUT: usize = 1_400_000;
const DAY: i64 = 86_400_000;

/// Whose responses are looked for, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredWanted {
    /// Which one; none where it is empty.
    pub id: String,
    /// Items in the output of whichever.
    pub items: Vec<String>,
    /// The key that asks.
    pub key_id: String,
    /// Its team, where its responses are shared.
    pub team_id: Option<String>,
    /// How many turns before it are wanted too.
    pub before: usize,
    /// The most bytes of all of them.
    pub bytes: usize,
    /// It is to be deleted.
    pub delete: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredFound {
    /// The response that was asked for, then those before it, as far as they are there.
    pub turns: Vec<StoredResponse>,
    /// Responses with items that were asked for, the newest first.
    pub holders: Vec<StoredResponse>,
    /// There are more than the bytes that were asked for.
    pub too_large: bool,
}

impl StoredFound {
    /// Whether anything is missing of what was asked for: another isolate may just be writing it.
    #[must_use]
    pub fn lacks(&self, wanted: &StoredWanted) -> bool {
        let held: Vec<String> = self.holders.iter().flat_map(|holder| item_ids(&holder.response)).collect();
        let has_items = wanted.items.iter().all(|item| held.contains(item));
        !has_items || (!wanted.id.is_empty() && self.turns.is_empty())
    }
}

/// What a call keeps, and what it goes on from.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    id: String,
    previous: Option<String>,
    input: String,
    store: bool,
}

impl Memory {
    /// What of the request says what the call goes on from.
    fn param(&self) -> &'static str {
        if self.previous.is_some() { "previous_response_id" } else { "input" }
    }
}

/// What a stored response is looked up for.
#[derive(Clone, Debug)]
pub(super) enum Recall {
    /// A call goes on from it.
    GoOn(Memory),
    /// `GET /v1/responses/{id}`.
    Read,
    /// `GET /v1/responses/{id}/input_items`.
    Items,
    /// `DELETE /v1/responses/{id}`.
    Delete,
}

impl Gateway {
    /// Sees whether the call is to be kept, or goes on from one that is; gives the step that comes first, if any does.
    pub(super) fn remember(
        &mut self,
        call: &mut Call,
        grant: &Grant,
        now: UnixMillis,
    ) -> Result<Option<Step>, Failure> {
        if grant.key.store_responses.is_none() || call.endpoint != Some(Endpoint::Responses) {
            return Ok(None);
        }
        let keeping = stored::read(&call.incoming.body)?;
        let fits = keeping.input.len() <= MOST_INPUT;
        let memory = Memory {
            id: call.request_id.replacen("req_", "resp_", 1),
            previous: keeping.previous,
            // The protocol keeps answers unless it is told not to.
            store: keeping.store.unwrap_or(true) && fits,
            input: keeping.input,
        };
        if memory.previous.is_some() || !keeping.references.is_empty() {
            let previous = memory.previous.clone().unwrap_or_default();
            let wanted = StoredWanted { items: keeping.references, ..self.wanted(grant, previous, MOST_TURNS) };
            return self.recall(call, wanted, Recall::GoOn(memory), now).map(Some);
        }
        // What is too long to be kept is left for the surface to tell.
        if memory.store {
            call.incoming.body = stored::go_on(&call.incoming.body, &[], &memory.input)?;
            call.memory = Some(Box::new(memory));
        }
        Ok(None)
    }

    /// `GET` and `DELETE` of a response.
    pub(super) fn recall_for(
        &mut self,
        call: &mut Call,
        grant: &Grant,
        route: Route,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let (id, recall, before) = match route {
            Route::Response(id) => (id, Recall::Read, 0),
            Route::InputItems(id) => (id, Recall::Items, MOST_TURNS),
            Route::ForgetResponse(id) => (id, Recall::Delete, 0),
            _ => return Err(not_found()),
        };
        if call.incoming.parameter("stream") == Some("true") {
            let message = "A stored response is not streamed again: leave `stream` out.";
            return Err(Failure::unsupported("stream", message));
        }
        if let Recall::Items = recall {
            page(call)?;
        }
        let wanted = self.wanted(grant, id, before);
        if let Recall::Delete = recall {
            if self.unwritten.delete(&wanted) {
                let body = stored::write_deleted(&wanted.id);
                return Ok(Step::Respond(call.dress(Response::json(200, body), now)));
            }
            call.stage = Stage::Recalling(Box::new((recall, StoredFound::default())));
            return Ok(Step::FindResponses(Box::new(StoredWanted { delete: true, ..wanted })));
        }
        self.recall(call, wanted, recall, now)
    }

    fn wanted(&self, grant: &Grant, id: String, before: usize) -> StoredWanted {
        let shares = grant.key.store_responses.is_some_and(|policy| policy.shared_by == Sharing::Team);
        StoredWanted {
            id,
            items: Vec::new(),
            key_id: grant.key.id.clone(),
            team_id: grant.key.team_id.clone().filter(|_| shares),
            before,
            bytes: self.setup.config.limits.body_bytes,
            delete: false,
        }
    }

    /// Finds what is wanted in this isolate, or has looked up what is not there.
    fn recall(
        &mut self,
        call: &mut Call,
        mut wanted: StoredWanted,
        recall: Recall,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let mut found = StoredFound { holders: self.unwritten.holders(&mut wanted), ..StoredFound::default() };
        while let Some(own) = self.unwritten.find(&wanted.id, &wanted) {
            found.turns.push(StoredResponse::clone(own));
            wanted.id = own.previous.clone().filter(|_| wanted.before > 0).unwrap_or_default();
            wanted.before = wanted.before.saturating_sub(1);
        }
        if wanted.id.is_empty() && wanted.items.is_empty() {
            return self.with_found(call, recall, &found, now);
        }
        call.stage = Stage::Recalling(Box::new((recall, found)));
        Ok(Step::FindResponses(Box::new(wanted)))
    }

    /// The look-up is done.
    pub(super) fn recalled(
        &mut self,
        call: &mut Call,
        (recall, mut own): (Recall, StoredFound),
        found: Result<StoredFound, String>,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let found = found.map_err(|cause| {
            let message = "Stored responses cannot be read; try again in a moment.";
            Failure::new(Kind::Overloaded, message).code("storage_unavailable").because(cause)
        })?;
        own.turns.extend(found.turns);
        own.holders.extend(found.holders);
        if found.too_large {
            let param = if let Recall::GoOn(memory) = &recall { memory.param() } else { "response_id" };
            return Err(too_long(param, format!("more than {} bytes", self.setup.config.limits.body_bytes)));
        }
        self.with_found(call, recall, &own, now)
    }

    /// Goes on with what was found, the last turn first.
    fn with_found(
        &mut self,
        call: &mut Call,
        recall: Recall,
        found: &StoredFound,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let turns = &found.turns;
        let memory = match recall {
            Recall::GoOn(memory) => memory,
            recall => {
                let newest = turns.first().ok_or_else(not_found)?;
                let body = match recall {
                    Recall::Delete => stored::write_deleted(&newest.id),
                    Recall::Items => stored::write_page(&in_order(turns), &page(call)?),
                    _ => newest.response.clone().into_bytes(),
                };
                return Ok(Step::Respond(call.dress(Response::json(200, body), now)));
            }
        };
        self.go_on(call, memory, found)?;
        self.first_target(call, now)
    }

    /// Puts the turns before in front of what the call brings, and what that points at into its place.
    fn go_on(&self, call: &mut Call, mut memory: Memory, found: &StoredFound) -> Result<(), Failure> {
        let turns = &found.turns;
        if let Some(previous) = memory.previous.as_deref() {
            check_turns(previous, turns)?;
        }
        let limits = &self.setup.config.limits;
        let holders: Vec<&str> = found.holders.iter().map(|holder| holder.response.as_str()).collect();
        memory.input = stored::resolve(&memory.input, &holders, limits.body_bytes)?;
        let before: Vec<Turn<'_>> = turns.iter().rev().map(turn_of).collect();
        let body = stored::go_on(&call.incoming.body, &before, &memory.input)?;
        if body.len() > limits.body_bytes {
            return Err(too_long(memory.param(), format!("more than {} bytes", limits.body_bytes)));
        }
        check_depth(&body, limits.json_depth).map_err(|deep| {
            Failure::bad_request(memory.param(), format!("{deep} (limit `json_depth`).")).code("json_too_deep")
        })?;
        call.incoming.body = body;
        memory.store &= memory.input.len() <= MOST_INPUT;
        call.memory = Some(Box::new(memory));
        Ok(())
    }

    /// Has the answer of a call that remembers say what it is, and keeps it once it is whole.
    pub(super) fn retell(&mut self, call: &mut Call, step: &mut Step) {
        let Some(memory) = call.memory.take() else { return };
        let mut told = Told { id: &memory.id, previous: memory.previous.as_deref(), store: memory.store };
        let last = match step {
            Step::Respond(response) if response.status != 200 => None,
            Step::Respond(response) if !call.asked.stream => {
                told.store &= memory.input.len() + response.body.len() < MOST_BYTES;
                response.body = stored::retell(&response.body, &told).into_owned();
                String::from_utf8(response.body.clone()).ok()
            }
            Step::Respond(Response { body: bytes, .. })
            | Step::Commit { head: Response { body: bytes, .. }, .. }
            | Step::Write(bytes)
            | Step::Finish(bytes) => {
                // The last word on a response is longer than all that came before it in one read.
                told.store &= memory.input.len() + bytes.len() < MOST_BYTES;
                let (retold, last) = stored::retell_events(bytes, &told);
                *bytes = retold;
                last
            }
            _ => None,
        };
        match last.filter(|_| told.store) {
            Some(response) => self.store(call, *memory, response),
            None => call.memory = Some(memory),
        }
    }

    fn store(&mut self, call: &Call, memory: Memory, response: String) {
        let Some(key) = call.grant.as_ref().map(|grant| &grant.key) else { return };
        let Some(policy) = key.store_responses else { return };
        self.unwritten.push(StoredResponse {
            id: memory.id,
            key_id: key.id.clone(),
            team_id: key.team_id.clone().filter(|_| policy.shared_by == Sharing::Team),
            at: call.started,
            expires_at: UnixMillis(call.started.0.saturating_add(i64::from(policy.days).saturating_mul(DAY))),
            previous: memory.previous,
            input: memory.input,
            response,
        });
    }
}

/// Whether a conversation can go on from `previous`, with which `turns` begin, the last first.
fn check_turns(previous: &str, turns: &[StoredResponse]) -> Result<(), Failure> {
    let newest = turns.first().ok_or_else(|| previous_not_found(previous))?;
    if stored::has_failed(&newest.response) {
        let message = format!("Response `{previous}` failed: go on from the one before it.");
        return Err(Failure::bad_request("previous_response_id", message));
    }
    if turns.len() > MOST_TURNS {
        return Err(too_long("previous_response_id", format!("more than {MOST_TURNS} turns")));
    }
    match turns.last().and_then(|oldest| oldest.previous.as_deref()) {
        Some(missing) => Err(previous_not_found(missing)),
        None => Ok(()),
    }
}

fn turn_of(turn: &StoredResponse) -> Turn<'_> {
    Turn { input: &turn.input, response: &turn.response }
}

fn in_order(turns: &[StoredResponse]) -> Vec<(&str, Turn<'_>)> {
    turns.iter().rev().map(|turn| (turn.id.as_str(), turn_of(turn))).collect()
}

/// The page that is asked for: twenty items, from the last to the first, unless something else is said.
fn page(call: &Call) -> Result<Page<'_>, Failure> {
    let descending = match call.incoming.parameter("order") {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(Failure::bad_request("order", "`order` must be `asc` or `desc`.")),
    };
    let most = call.incoming.parameter("limit").map_or(Some(20), |limit| limit.parse().ok());
    let most = most
        .filter(|most| (1..=100).contains(most))
        .ok_or_else(|| Failure::bad_request("limit", "`limit` must be 1 to 100."))?;
    Ok(Page { descending, most, after: call.incoming.parameter("after") })
}

/// The same words for what there is not, what has gone, and what is somebody else's.
fn not_found() -> Failure {
    let message = "There is no such response for this key: responses are kept where the key has `store_responses`, \
                   and until they expire or are deleted.";
    Failure::new(Kind::NotFound, message).code("response_not_found").about("response_id")
}

fn previous_not_found(id: &str) -> Failure {
    let message = format!(
        "Previous response with id '{id}' not found: it was not stored, has expired or was deleted, or is not this \
         key's. Send the whole conversation as `input`."
    );
    Failure::bad_request("previous_response_id", message).code("previous_response_not_found")
}

fn too_long(param: &'static str, than: String) -> Failure {
    let message =
        format!("The conversation behind `{param}` has {than}. Begin a new one with what matters of it as `input`.");
    Failure::new(Kind::TooLarge, message).about(param)
}
