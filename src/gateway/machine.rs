use std::rc::Rc;

use serde::Serialize;

use crate::breaker::View;
use crate::budget::{KeyStandings, Purses, ledger_of};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Response, Route, route, status_of};
use crate::json::check_depth;
use crate::keys::{self, Grant, KeyHash, Secrets};
use crate::observe::{Ids, RecordBuffer};
use crate::provider::Registry;
use crate::route::meaning::{Meaning, Vectors};
use crate::route::router::Router;
use crate::route::{HedgeBudget, RetryBudget};
use crate::sorted::SortedMap;
use crate::units::{Millis, UnixMillis};

use super::attempt::Attempt;
use super::call::{Call, Stage};
use super::grants::Grants;
use super::headers::unauthorized;
use super::shadow::Content;
use super::stream::{broken, expired, lost_track};
use super::tokens::Tokens;
use super::wishes::Wishes;
use super::{Asked, CallId, Feedback, Incoming, Input, Step, Unwritten};

/// What one isolate remembers.
pub struct Gateway {
    pub(super) setup: Setup,
    pub(super) ids: Ids,
    pub(super) grants: Grants,
    /// What calls are signed in with where there is no key.
    pub(super) tokens: Tokens,
    /// Finished calls that are not in the database yet.
    pub records: RecordBuffer,
    /// How the targets are doing.
    pub view: View,
    /// What keeps repetitions a share of traffic.
    pub(super) retries: RetryBudget,
    /// What keeps second targets asked at the same time a share of traffic.
    pub(super) hedges: HedgeBudget,
    /// Where calls went, and what came of it.
    pub(super) router: Router,
    /// The vectors of the configuration's phrases, where it has any and they are here.
    pub(super) vectors: Option<Vectors>,
    /// Whether calls can be compared with the configuration's phrases.
    pub(super) compares: bool,
    /// What calls mean, by a hash of their words.
    pub(super) meanings: SortedMap<u64, Meaning>,
    /// What was answered to calls whose contents are kept, until it is written.
    pub contents: Vec<Content>,
    /// Responses that are stored, until they are written.
    pub unwritten: Unwritten,
    /// What this isolate may spend.
    pub purse: Purses,
    /// By ids that only grow, and each in a box of its own: a call is taken out and put back with every chunk of a stream.
    calls: SortedMap<CallId, Box<Call>>,
    next_call: u32,
}

/// What an isolate is set up with; replaced when the configuration changes. Calls under way keep what they have.
#[derive(Debug)]
pub struct Setup {
    /// Providers, credentials, models and prices.
    pub registry: Registry,
    /// The operator's configuration.
    pub config: Config,
    /// Its version; 0 for the default.
    pub version: u32,
    /// What keys are checked with; `None` where the deployment has no secret at all, and then no key is good.
    pub secrets: Option<Secrets>,
}

/// So long after its deadline nobody drives a call any longer. What it holds is let go of later than that.
const LOST_AFTER: Millis = Millis(20_000);

/// What one isolate is busy with, and what its budgets for trying more than once have refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Calls that wait for something; a call that asks two targets at once counts twice.
    pub calls_under_way: usize,
    /// Second targets that would have been more than their share.
    pub hedges_refused: u64,
}

impl Gateway {
    /// A gateway with a seed of 32 random bytes for its ids.
    #[must_use]
    pub fn new(setup: Setup, seed: [u8; 32]) -> Gateway {
        let mut ids = Ids::new(seed);
        let isolate = ids.mint().replacen("req_", "iso_", 1);
        Gateway {
            view: View::new(setup.config.health, ids.chance()),
            setup,
            ids,
            grants: Grants::default(),
            tokens: Tokens::default(),
            retries: RetryBudget::default(),
            hedges: HedgeBudget::default(),
            router: Router::default(),
            records: RecordBuffer::default(),
            vectors: None,
            compares: false,
            meanings: SortedMap::new(),
            contents: Vec::new(),
            unwritten: Unwritten::default(),
            purse: Purses::new(isolate),
            calls: SortedMap::new(),
            next_call: 0,
        }
    }

    /// Takes a new configuration.
    pub fn set_up(&mut self, setup: Setup) {
        self.view.set_policy(setup.config.health);
        self.router.reset(&self.setup.config.routing, &setup.config.routing);
        // Nobody but their own calls tells the ledger what budgets shadows have now.
        self.purse.forget_keys(super::shadow::KEY);
        self.setup = setup;
        self.compare_anew();
    }

    /// What it is set up with.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Forgets what it knows of keys, because one was changed here.
    pub fn forget_grants(&mut self) {
        self.grants.clear();
    }

    /// Whether a call still waits for something.
    #[must_use]
    pub fn is_under_way(&self, id: CallId) -> bool {
        self.calls.contains_key(&id)
    }

    /// Whether a real token of a call's stream has come: until then it has its deadline for the first one, whatever else
    /// comes. What is no such stream has none.
    #[must_use]
    pub fn has_spoken(&self, id: CallId) -> bool {
        match self.calls.get(&id).map(|call| &call.stage) {
            Some(Stage::Holding(pipe, _) | Stage::Streaming(pipe)) => pipe.meter().spoke,
            _ => true,
        }
    }

    /// What the calls under way are sent to.
    pub(super) fn calls_with_attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.calls.values().filter_map(|call| call.attempt.as_ref())
    }

    /// What it is busy with.
    #[must_use]
    pub fn load(&self) -> Load {
        Load { calls_under_way: self.calls.len(), hedges_refused: self.hedges.refused() }
    }

    /// Ends calls that are long past their deadline: the platform has ended their requests without a word, as it does half
    /// a minute after an answer with what goes on behind it. Talks have no deadline.
    pub fn end_lost(&mut self, now: UnixMillis) {
        let defaults = self.setup.config.limits.deadlines;
        let is_lost = |call: &Call| {
            let over = now.since(call.started).0.saturating_sub(LOST_AFTER.0);
            let total = || call.total.unwrap_or_else(|| call.deadlines(&defaults).total);
            over > 0 && call.talk.is_none() && over > total().0
        };
        let lost: Vec<CallId> = self.calls.iter().filter(|(_, call)| is_lost(call)).map(|(id, _)| *id).collect();
        for id in lost {
            // A call that is to be drained is asked twice.
            self.resume(id, Input::Gone, now);
            self.resume(id, Input::Gone, now);
        }
    }

    /// How many calls are under way.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.calls.len()
    }

    /// A request came. Everything that can be refused without a look-up is refused here.
    pub fn begin(&mut self, incoming: Incoming, now: UnixMillis) -> (CallId, Step) {
        self.begin_with(incoming, now, |gateway, call| gateway.admit(call, now))
    }

    pub(super) fn begin_with(
        &mut self,
        incoming: Incoming,
        now: UnixMillis,
        first: impl FnOnce(&mut Gateway, &mut Call) -> Result<Step, Failure>,
    ) -> (CallId, Step) {
        let id = self.next_id();
        let mut call = Box::new(Call::new(self.ids.mint(), incoming, now));
        let step = match first(self, &mut call) {
            Ok(step) => step,
            Err(failure) => self.end_with(&mut call, &failure, now),
        };
        self.keep(id, call);
        (id, step)
    }

    /// Takes a call out, to work on it.
    pub(super) fn take(&mut self, id: CallId) -> Option<Box<Call>> {
        self.calls.remove(&id)
    }

    /// Keeps a call that was made beside another.
    pub(super) fn admit_rival(&mut self, call: Box<Call>) -> CallId {
        let id = self.next_id();
        self.keep(id, call);
        id
    }

    fn next_id(&mut self) -> CallId {
        self.next_call = self.next_call.wrapping_add(1);
        CallId(self.next_call)
    }

    /// Something happened to a call. A call that is over, or unknown, answers with an empty [`Step::Finish`].
    pub fn resume(&mut self, id: CallId, input: Input<'_>, now: UnixMillis) -> Step {
        // What the ledger says is for the isolate as a whole, whatever became of the call that asked.
        let refused = match &input {
            Input::Ledger { team, sent, reply } => self.ledger_answered(team.as_deref(), reply, *sent, now),
            _ => None,
        };
        let Some(mut call) = self.calls.remove(&id) else { return Step::Finish(Vec::new()) };
        call.funds.refused = refused;
        let mut step = self.advance(&mut call, input, now);
        self.retell(&mut call, &mut step);
        self.note_content(&mut call, &step);
        self.keep(id, call);
        step
    }

    pub(super) fn keep(&mut self, id: CallId, mut call: Box<Call>) {
        if matches!(call.stage, Stage::Over) {
            // What was used is settled by now; whatever is still held was not.
            self.release(&mut call);
        } else {
            self.calls.insert(id, call);
        }
    }

    fn advance(&mut self, call: &mut Call, input: Input<'_>, now: UnixMillis) -> Step {
        let result = match (std::mem::replace(&mut call.stage, Stage::Over), input) {
            (_, input) if call.talk.is_some() => Ok(self.talk(call, input, now)),
            (stage, Input::Gone) => Ok(self.abandon(call, stage, now)),
            (Stage::Grant(route, hash), Input::Grant(found)) => self.granted(call, route, hash, found, now),
            (Stage::Ledger, Input::Ledger { .. }) => self.funded(call, now),
            (Stage::Told, Input::Call(found)) => told(call, found, now),
            (Stage::Standings, Input::Standings(found)) => Ok(describe(call, found.ok().as_deref(), now)),
            (Stage::Recalling(recall), Input::Responses(found)) => self.recalled(call, *recall, found, now),
            (Stage::Media(links), Input::Media(fetched)) => self.inlined(call, links, fetched, now),
            (Stage::Token, Input::Token(answer)) => self.signed_in(call, &answer, now),
            (Stage::Wondering(place), Input::Inner(status, body)) => {
                self.meant(call, place, (status == 200).then_some(body), now)
            }
            (Stage::Judging(judged), Input::Inner(status, body)) => {
                self.judged(call, *judged, (status == 200).then_some(body), now)
            }
            (Stage::Waiting, Input::Waited) => Ok(self.waited(call, now)),
            (Stage::Headers, Input::Headers(status, headers)) => Ok(self.headers(call, status, headers, now)),
            (Stage::Body(status, headers), Input::Body(body)) => self.body(call, status, &headers, body, now),
            (Stage::Holding(pipe, held), input) => Ok(self.hold(call, pipe, held, input, now)),
            (Stage::Streaming(pipe), input) => Ok(self.stream(call, pipe, input, now)),
            (Stage::Passing(through), input) => Ok(self.pass(call, through, input, now)),
            (Stage::Body(status, _), Input::TooLong) => Err(self.too_long(status)),
            (Stage::Headers | Stage::Body(..), Input::Broken(reason)) => Err(broken(reason)),
            (Stage::Headers | Stage::Body(..), Input::Expired(deadline)) => Err(expired(deadline)),
            // Nothing of ours is silent before the status line: the caller's own patience is the limit.
            (stage @ (Stage::Headers | Stage::Body(..)), Input::Silence) => {
                call.stage = stage;
                Ok(Step::Hold)
            }
            (Stage::Over, _) => Ok(Step::Finish(Vec::new())),
            _ => Err(lost_track()),
        };
        result.unwrap_or_else(|failure| self.failed(call, failure, now))
    }

    /// The call is over before anything was sent to the caller.
    pub(super) fn end_with(&mut self, call: &mut Call, failure: &Failure, now: UnixMillis) -> Step {
        if let Some(resume) = call.resume.take() {
            return self.end_resumed(call, *resume, failure, now);
        }
        self.outpace(call, now);
        if let Some(step) = self.serve_passed_over(call, now) {
            return step;
        }
        let response = call.refuse(failure, now);
        self.note_routed_failure(call, failure);
        // A flood of bad keys must not reach the database.
        if call.grant.is_some() && call.endpoint.is_some() {
            let record = call.record(status_of(failure), Some(failure), None, None, now);
            self.keep_record(call, record);
        }
        call.stage = Stage::Over;
        Step::Respond(response)
    }

    fn admit(&mut self, call: &mut Call, now: UnixMillis) -> Result<Step, Failure> {
        let limits = &self.setup.config.limits;
        if call.incoming.headers.len() > limits.header_count {
            return Err(too_large("header_count", limits.header_count, "headers"));
        }
        if call.incoming.oversize || call.incoming.body.len() > limits.body_bytes {
            return Err(too_large("body_bytes", limits.body_bytes, "bytes"));
        }
        let wanted = route(&call.incoming.method, &call.incoming.path)?;
        call.endpoint = wanted.endpoint();
        // A key whose grant is here has been checked: two keys of one hash are the same key.
        let known = keys::hash(call.incoming.key()?).and_then(|hash| self.grants.get(&hash, now));
        match known {
            Some(Some(grant)) => {
                call.grant = Some(grant);
                self.route_call(call, wanted, now)
            }
            Some(None) => Err(unknown_key()),
            None => {
                let hash = self.check_key(&call.incoming)?;
                call.stage = Stage::Grant(wanted, hash);
                Ok(Step::FindGrant(hash))
            }
        }
    }

    /// The key of a request that begins soon, if it is one of this gateway's and nothing is known of it yet.
    #[must_use]
    pub fn foresee(&self, incoming: &Incoming, now: UnixMillis) -> Option<KeyHash> {
        let hash = self.check_key(incoming).ok()?;
        self.grants.get(&hash, now).is_none().then_some(hash)
    }

    /// What was found of a key that [`Gateway::foresee`] gave.
    pub fn foreseen(&mut self, hash: KeyHash, grant: Option<Rc<Grant>>, now: UnixMillis) {
        self.grants.insert(hash, grant, now);
    }

    /// The key of a request, if it was made by this gateway. Nothing is looked up.
    ///
    /// # Errors
    /// Where there is no key, or none of this gateway's.
    pub fn check_key(&self, incoming: &Incoming) -> Result<KeyHash, Failure> {
        let key = incoming.key()?;
        let secrets = self.setup.secrets.as_ref().ok_or_else(|| {
            Failure::new(Kind::Internal, "This gateway has no secret yet.")
                .because("set ADMIN_KEY (and LATCHKEY_SECRET) with `wrangler secret put`, then create a key")
        })?;
        keys::check(secrets, key).ok_or_else(unknown_key)
    }

    fn granted(
        &mut self,
        call: &mut Call,
        route: Route,
        hash: KeyHash,
        found: Result<Option<Rc<Grant>>, String>,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let grant = match found {
            Ok(grant) => {
                self.grants.insert(hash, grant.clone(), now);
                grant
            }
            Err(cause) => Some(self.grants.prolong(&hash, now).ok_or_else(|| {
                let message = "The key store did not answer; try again in a moment.";
                Failure::new(Kind::Overloaded, message).code("storage_unavailable").because(cause)
            })?),
        };
        call.admitted = now;
        call.grant = Some(grant.ok_or_else(unknown_key)?);
        self.route_call(call, route, now)
    }

    /// Reads what a call asks of a model, which its path names or its body, and looks for the first target.
    fn begin_call(
        &mut self,
        call: &mut Call,
        grant: &Grant,
        endpoint: Endpoint,
        model: Option<&str>,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        grant.permits(now, endpoint.as_str(), |name| call.incoming.header(name))?;
        require_json(&call.incoming, endpoint)?;
        check_depth(&call.incoming.body, self.setup.config.limits.json_depth).map_err(|deep| {
            Failure::new(Kind::BadRequest, format!("{deep} (limit `json_depth`).")).code("json_too_deep")
        })?;
        call.asked = match model {
            Some(model) => Asked::of_path(endpoint, model, &call.incoming)?,
            None => Asked::of(endpoint, &call.incoming)?,
        };
        call.wishes = Wishes::read(&call.incoming)?;
        match self.remember(call, grant, now)? {
            Some(first) => Ok(first),
            None => self.first_target(call, now),
        }
    }

    /// The key is known: what it may do, and what is wanted.
    fn route_call(&mut self, call: &mut Call, route: Route, now: UnixMillis) -> Result<Step, Failure> {
        let Some(grant) = call.grant.clone() else { return Err(unknown_key()) };
        match route {
            Route::Call(endpoint) => self.begin_call(call, &grant, endpoint, None, now),
            Route::CallOf(endpoint, model) => self.begin_call(call, &grant, endpoint, Some(&model), now),
            Route::Passthrough(provider, path) => self.begin_passthrough(call, &grant, (provider, path), now),
            Route::Realtime => self.begin_talk(call, &grant, now),
            Route::Generation => {
                grant.permits(now, "key", |name| call.incoming.header(name))?;
                let request_id = call.incoming.parameter("id").unwrap_or_default().to_owned();
                if request_id.is_empty() {
                    return Err(Failure::bad_request("id", "Which call? Send its `x-request-id` as `?id=`."));
                }
                call.stage = Stage::Told;
                let team = ledger_of(grant.key.team_id.as_deref()).map(str::to_owned);
                Ok(Step::FindCall { request_id, key_id: grant.key.id.clone(), team })
            }
            route @ (Route::Response(_) | Route::InputItems(_) | Route::ForgetResponse(_)) => {
                grant.permits(now, Endpoint::Responses.as_str(), |name| call.incoming.header(name))?;
                self.recall_for(call, &grant, route, now)
            }
            Route::Key => {
                grant.permits(now, "key", |name| call.incoming.header(name))?;
                call.stage = Stage::Standings;
                Ok(Step::AskStandings(Box::new(grant.terms.clone())))
            }
            Route::Feedback => {
                grant.permits(now, "feedback", |name| call.incoming.header(name))?;
                call.stage = Stage::Told;
                Ok(Step::KeepFeedback(Feedback::read(&call.incoming.body, &grant.key.id, now)?))
            }
            Route::Models | Route::Model(_) => {
                let response = self.inspect(&grant, &route, &call.incoming, now)?;
                Ok(Step::Respond(call.dress(response, now)))
            }
        }
    }
}

/// What is known of a finished call came.
fn told(call: &mut Call, found: Result<Option<String>, String>, now: UnixMillis) -> Result<Step, Failure> {
    let body = found.map_err(|cause| {
        let failure = Failure::new(Kind::Overloaded, "The records of calls cannot be read; try again in a moment.");
        failure.code("storage_unavailable").because(cause)
    })?;
    let body = body.ok_or_else(|| {
        let message = "This key made no such call, or not long ago: records appear some seconds after a call.";
        Failure::new(Kind::NotFound, message).code("generation_not_found").about("id")
    })?;
    Ok(Step::Respond(call.dress(Response::json(200, body.into_bytes()), now)))
}

/// What a key may do, and how it stands, where the ledger says so.
fn describe(call: &mut Call, standings: Option<&KeyStandings>, now: UnixMillis) -> Step {
    let body = call.grant.as_ref().map(|grant| keys::describe(&grant.key, standings)).unwrap_or_default();
    Step::Respond(call.dress(Response::json(200, body.into_bytes()), now))
}

fn require_json(incoming: &Incoming, endpoint: Endpoint) -> Result<(), Failure> {
    let may_be_form = matches!(endpoint, Endpoint::ImageEdits | Endpoint::Transcriptions | Endpoint::Translations);
    match incoming.header("content-type") {
        Some(_) if may_be_form && incoming.is_form() => Ok(()),
        Some(kind) if !kind.to_ascii_lowercase().contains("json") => {
            Err(Failure::new(Kind::UnsupportedMediaType, "Send the request as `content-type: application/json`."))
        }
        _ => Ok(()),
    }
}

/// The same words for every key that is no good, so that nothing can be learned from them.
fn unknown_key() -> Failure {
    unauthorized("This is no valid Latchkey key. Keys begin with `lk-` and are made with POST /admin/keys.")
}

pub(super) fn too_large(limit: &'static str, max: usize, what: &str) -> Failure {
    Failure::new(Kind::TooLarge, format!("The request has more than {max} {what} (limit `{limit}`).")).about(limit)
}
