use std::rc::Rc;

use crate::chat::{Flaw, Shape, Usage};
use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Response, Task, failure_response, no_store, surface_of};
use crate::keys::{Grant, Network, OnAnomaly};
use crate::observe::Record;
use crate::route::Plan;
use crate::route::meaning::Meaning;
use crate::route::reading::Reading;
use crate::route::router::Routed;
use crate::units::{Millis, UnixMillis};
use crate::wire::drive::Pipe;
use crate::wire::error::redact;
use crate::wire::{Closing, Cost, InlinedMedia, Surface};

use super::attempt::{Attempt, Lane};
use super::escalate::{Judged, PassedOver};
use super::funds::Funds;
use super::inner::Inner;
use super::resume::{Besides, Resume};
use super::stored::{Memory, Recall, StoredFound};
use super::stream::stream_head;
use super::talk::Talk;
use super::through::Through;
use super::tried::Tried;
use super::wishes::Wishes;
use super::{Asked, CallId, Incoming};

/// One request on its way from the caller to an upstream and back.
pub struct Call {
    /// Ours, minted when it came.
    pub(super) request_id: String,
    /// What the caller sent.
    pub(super) incoming: Incoming,
    /// Which endpoint; `None` for the routes that only read (models, key).
    pub(super) endpoint: Option<Endpoint>,
    /// What its body asks for.
    pub(super) asked: Asked,
    /// Where a call goes that is passed through, behind its provider's base URL.
    pub(super) passed_path: String,
    /// When it came.
    pub(super) started: UnixMillis,
    /// What it was given in all when it was last sent: the edge goes by that, whatever the configuration says since.
    pub(super) total: Option<Millis>,
    /// When its key was known.
    pub(super) admitted: UnixMillis,
    /// When its first real token came.
    pub(super) first_token: Option<UnixMillis>,
    /// Whose it is.
    pub(super) grant: Option<Rc<Grant>>,
    /// The attempt that is under way or was the last.
    pub(super) attempt: Option<Attempt>,
    /// How many attempts were sent.
    pub(super) attempts: u32,
    /// Attempts that are over; the one that succeeds at once is not listed unless somebody wants to know.
    pub(super) tried: Vec<Tried>,
    /// Where it may still go; looked for once it is needed.
    pub(super) plan: Option<Box<Plan>>,
    /// Why it goes where it goes, where its model does not say all.
    pub(super) routed: Option<Box<Routed>>,
    /// What the caller sent, while a candidate changes something in it.
    pub(super) original_body: Option<Vec<u8>>,
    /// What it is made for.
    pub(super) role: Role,
    /// The request id of the call that it is made for.
    pub(super) made_for: Option<String>,
    /// What was read of its body, where more than one step goes by that, until it is decided.
    pub(super) reading: Option<Box<Reading>>,
    /// What it means, where that was asked and told in time.
    pub(super) meaning: Option<Meaning>,
    /// Somebody has asked what it means.
    pub(super) wondered: bool,
    /// Of a shadow: the experiment and the variant that it is of.
    pub(super) shadows: Option<(String, String)>,
    /// What its caller got so far, where that is to be kept.
    pub(super) kept: Option<Vec<u8>>,
    /// What it goes on from, and whether its answer is stored, where the key has that.
    pub(super) memory: Option<Box<Memory>>,
    /// A call of the gateway's own that it waits for, until that begins.
    pub(super) inner: Option<Box<Inner>>,
    /// Of a past call: the conditions that hang on what its record does not tell.
    pub(super) unrecorded: Vec<String>,
    /// What is wrong with the answer that came.
    pub(super) flaw: Option<Flaw>,
    /// What the caller reads if nothing succeeds.
    pub(super) failure: Option<Failure>,
    /// What its headers ask of the gateway.
    pub(super) wishes: Wishes,
    /// The version of the configuration that decides where it goes.
    pub(super) config: u32,
    /// The status line went out before the first token.
    pub(super) committed_early: bool,
    /// More than one attempt is in what the caller read.
    pub(super) continued: bool,
    /// What it holds of budgets and limits.
    pub(super) funds: Funds,
    /// The talk that it is, once that has begun.
    pub(super) talk: Option<Box<Talk>>,
    /// The call that asks another target for the same answer at the same time.
    pub(super) rival: Option<CallId>,
    /// Two targets were asked at once.
    pub(super) hedged: bool,
    /// The stream that is to be continued, until the next target's stream begins.
    pub(super) resume: Option<Box<Resume>>,
    /// What is billed beside the attempt that ends it.
    pub(super) besides: Option<Box<Besides>>,
    /// The ledger's rows of those attempts, until the call is over.
    pub(super) rows: Vec<Record>,
    /// The last answer that failed its check: better than none.
    pub(super) passed_over: Option<Box<PassedOver>>,
    /// What the caller is still to get of a stream that broke off.
    pub(super) unwritten: Vec<u8>,
    /// Links that had to be fetched, by link.
    pub(super) inlined: InlinedMedia,
    /// The caller is gone, and the rest of the answer is only read for what it costs.
    pub(super) drained: bool,
    /// Where it is.
    pub(super) stage: Stage,
}

/// What a call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// For somebody who called.
    Caller,
    /// To find out whether a blocked target is back.
    Probe,
    /// It was made already, and is only decided again.
    Past,
    /// To have an answer judged.
    Judge,
    /// To see what another target makes of the same call.
    Shadow,
    /// To compare what words mean.
    Embedding,
}

impl Role {
    /// As records name it; nothing for what callers and the schedule do.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Role::Caller | Role::Probe | Role::Past => None,
            Role::Judge => Some("judge"),
            Role::Shadow => Some("shadow"),
            Role::Embedding => Some("embedding"),
        }
    }
}

/// What a call is waiting for.
pub(super) enum Stage {
    /// The key's grant.
    Grant(crate::http::Route, crate::keys::KeyHash),
    /// The ledger's answer.
    Ledger,
    /// What is known of a finished call.
    Told,
    /// How the budgets and limits of its key stand.
    Standings,
    /// Stored responses, behind those that are here.
    Recalling(Box<(Recall, StoredFound)>),
    /// Links that the target cannot take as links.
    Media(Vec<String>),
    /// A token for the target.
    Token,
    /// The next attempt's time.
    Waiting,
    /// The upstream's status and headers.
    Headers,
    /// The body of an answer that is not streamed, or of an error.
    Body(u16, Vec<(String, String)>),
    /// Its vector; where its meaning is remembered.
    Wondering(u64),
    /// What another model makes of its answer, which nobody has got yet.
    Judging(Box<Judged>),
    /// The first real token of a stream: nothing has been sent to the caller.
    Holding(Box<Pipe>, Vec<u8>),
    /// The rest of a stream that the caller is reading.
    Streaming(Box<Pipe>),
    /// A body that goes on as it comes.
    Passing(Box<Through>),
    /// The next turn of a talk.
    Talking,
    /// Nothing: it is over.
    Over,
}

/// Room for the headers of an answer.
const MOST_HEADERS: usize = 16;
/// What pages of a browser may read of an answer's headers.
const EXPOSED: &str = "x-request-id, x-latchkey-provider, x-latchkey-model, x-latchkey-attempts, x-latchkey-adjusted, \
                       x-latchkey-cost, x-latchkey-budget-remaining, x-latchkey-variant, x-latchkey-config, \
                       retry-after, server-timing";

impl Call {
    pub(super) fn new(request_id: String, incoming: Incoming, now: UnixMillis) -> Call {
        Call {
            request_id,
            incoming,
            endpoint: None,
            asked: Asked::default(),
            passed_path: String::new(),
            started: now,
            total: None,
            admitted: now,
            first_token: None,
            grant: None,
            attempt: None,
            attempts: 0,
            tried: Vec::new(),
            plan: None,
            routed: None,
            original_body: None,
            role: Role::Caller,
            made_for: None,
            reading: None,
            meaning: None,
            wondered: false,
            shadows: None,
            kept: None,
            memory: None,
            inner: None,
            unrecorded: Vec::new(),
            flaw: None,
            failure: None,
            wishes: Wishes::default(),
            config: 0,
            committed_early: false,
            continued: false,
            funds: Funds::default(),
            talk: None,
            rival: None,
            hedged: false,
            resume: None,
            besides: None,
            rows: Vec::new(),
            passed_over: None,
            unwritten: Vec::new(),
            inlined: InlinedMedia::new(),
            drained: false,
            stage: Stage::Over,
        }
    }

    /// The answer for a failure, with what every answer carries.
    pub(super) fn refuse(&mut self, failure: &Failure, now: UnixMillis) -> Response {
        // One list of documents is ranked by two paths, in whose words faults are told.
        let is_rerank = self.endpoint == Some(Endpoint::Rerank);
        let surface = if is_rerank { surface_of(&self.incoming.path) } else { self.surface() };
        // As OpenAI tells it: by this end of a stream Codex knows to make room, and a 400 ends its turn. Its events have no
        // place for an explanation.
        let is_streamed = self.asked.stream && !self.wishes.explain;
        if is_streamed && surface == Surface::OpenAiResponses && failure.kind == Kind::ContextLength {
            let (layout, mut told) = (self.asked.layout, Vec::new());
            let mut writer = surface.writer(self.naming(&self.asked.model, now), layout);
            writer.fail(failure, &Closing::default());
            writer.take(&mut told);
            return self.dress(stream_head(told, layout), now);
        }
        let mut response = failure_response(failure, surface);
        if self.wishes.explain && response.body.pop() == Some(b'}') {
            let told = self.explanation(None);
            // Every surface's error is an object; this is one more member of it.
            for part in [b",\"latchkey\":", told.get().as_bytes(), b"}"] {
                response.body.extend_from_slice(part);
            }
        }
        self.dress(response, now)
    }

    /// The JSON that its answer has to be, where it has to be any.
    pub(super) fn shape(&self) -> Option<Shape> {
        if !self.asked.structured {
            return None;
        }
        Shape::of(&self.surface().read_request(&self.incoming.body).ok()?.output)
    }

    /// What is asked of its endpoint.
    pub(super) fn task(&self) -> Option<Task> {
        self.endpoint.map(Endpoint::task)
    }

    /// Whether it goes to its provider as it came.
    pub(super) fn is_passed_through(&self) -> bool {
        self.task() == Some(Task::Passthrough)
    }

    /// Whether its answer passes natively.
    pub(super) fn is_relayed(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.lane == Lane::Relay)
    }

    /// Whether it asks for a service beside conversation.
    pub(super) fn is_service(&self) -> bool {
        matches!(self.task(), Some(Task::Service(_)))
    }

    /// What the caller speaks.
    pub(super) fn surface(&self) -> Surface {
        self.endpoint.map_or_else(|| surface_of(&self.incoming.path), Endpoint::surface)
    }

    /// Adds the headers that every answer of a call carries.
    pub(super) fn dress(&mut self, mut response: Response, now: UnixMillis) -> Response {
        let headers = &mut response.headers;
        // One allocation for all of them.
        headers.reserve(MOST_HEADERS);
        headers.push(("x-request-id", self.request_id.clone()));
        if !headers.iter().any(|(name, _)| *name == "cache-control") {
            headers.push(no_store());
        }
        if let Some(attempt) = &self.attempt {
            headers.push(("x-latchkey-provider", attempt.upstream.id.clone()));
            headers.push(("x-latchkey-model", header_safe(&attempt.target)));
            headers.push(("x-latchkey-attempts", self.attempts.to_string()));
            if !attempt.adjusted.is_empty() {
                headers.push(("x-latchkey-adjusted", attempt.adjusted.header()));
            }
        }
        if let Some((experiment, variant)) = self.routed.as_ref().and_then(|routed| routed.variant.as_ref()) {
            headers.push(("x-latchkey-variant", format!("{experiment}:{variant}")));
        }
        if self.config > 0 && (self.routed.is_some() || self.wishes.explain) {
            headers.push(("x-latchkey-config", self.config.to_string()));
        }
        headers.append(&mut self.funds.headers);
        headers.push(("server-timing", self.server_timing(now)));
        if self.incoming.wants_cors() {
            headers.push(("access-control-allow-origin", "*".to_owned()));
            headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
        }
        response
    }

    /// The waits of this call: for its key, for the ledger if it had to ask, and for the upstream. The platform's clock
    /// stands still while code runs, so waits are all that can honestly be told.
    fn server_timing(&self, now: UnixMillis) -> String {
        let Millis(key) = self.admitted.since(self.started);
        match &self.attempt {
            Some(attempt) => {
                let Millis(upstream) = now.since(attempt.sent);
                let ledger = self.funds.waited.map(|Millis(waited)| format!("ledger;dur={waited}, "));
                format!("key;dur={key}, {}upstream;dur={upstream}", ledger.unwrap_or_default())
            }
            None => format!("key;dur={key}"),
        }
    }

    /// The record of this call as it stands: the row of its last attempt, which is the call's own.
    pub(super) fn record(
        &self,
        status: u16,
        failure: Option<&Failure>,
        usage: Option<&Usage>,
        cost: Option<Cost>,
        now: UnixMillis,
    ) -> Record {
        let attempt = self.attempt.as_ref();
        let mut record = Record {
            request_id: self.request_id.clone(),
            at: self.started,
            key_id: self.grant.as_ref().map(|grant| grant.key.id.clone()).unwrap_or_default(),
            team_id: self.grant.as_ref().and_then(|grant| grant.key.team_id.clone()),
            endpoint: self.endpoint.map_or("", Endpoint::as_str),
            provider: attempt.map(|attempt| attempt.upstream.id.clone()).unwrap_or_default(),
            model: attempt.map_or_else(|| cut(&self.asked.model), |attempt| cut(&attempt.model)),
            status,
            stream: self.asked.stream,
            lane: attempt.map_or("", |attempt| attempt.lane.as_str()),
            attempts: self.attempts,
            error: failure.map(|failure| failure.reason().into_owned()),
            cause: failure.map(|failure| told(failure.cause.as_deref().unwrap_or(&failure.message))),
            client_request_id: self.incoming.printable("x-request-id"),
            tried: self.attempts_json(),
            user: self.end_user().map(str::to_owned),
            session: self.wishes.session.clone(),
            tags: self.wishes.tags.clone(),
            adjusted: attempt.filter(|attempt| !attempt.adjusted.is_empty()).map(|attempt| attempt.adjusted.header()),
            config: self.config,
            role: self.role.name(),
            made_for: self.made_for.clone(),
            ..Record::default()
        };
        record.prices = usage.zip(cost).and_then(|(usage, _)| attempt.map(|attempt| attempt.receipt(usage)));
        record.settle(usage, cost.map(|cost| cost.charged), cost.map(|cost| cost.upstream));
        if let Some(paid) = self.funds.paid {
            record.charge(paid, self.funds.at_ceiling);
        }
        record.time(self.first_token, now);
        self.note_origin(&mut record);
        self.note_route(&mut record);
        record
    }

    /// Why it went where it went, where its model does not say that by itself.
    fn note_route(&self, record: &mut Record) {
        let Some(routed) = &self.routed else { return };
        record.asked = Some(cut(&self.asked.model));
        record.alias.clone_from(&routed.alias);
        record.variant = routed.variant.as_ref().map(|(experiment, variant)| format!("{experiment}:{variant}"));
        let target = self.attempt.as_ref().map(|attempt| attempt.target.as_str());
        let is_tried = routed.order().any(|contender| Some(&*contender.target) == target);
        record.missed = routed.variant.is_some() && target.is_some() && !is_tried;
        record.task = routed.class.map(|class| class.kind.name());
        record.difficulty = routed.class.map(|class| class.difficulty);
        record.routing = self.wishes.explain.then(|| routed.explained()).flatten();
    }

    /// Where a call of a watched key comes from; of others nobody asks.
    fn note_origin(&self, record: &mut Record) {
        if self.grant.as_ref().is_none_or(|grant| grant.key.on_anomaly == OnAnomaly::Ignore) {
            return;
        }
        record.country = Some(self.incoming.printable("cf-ipcountry").unwrap_or_else(|| "XX".to_owned()));
        let address = self.incoming.header("cf-connecting-ip").and_then(|text| text.trim().parse().ok());
        record.network = address.map(|address| Network::around(address).to_string());
    }
}

/// Model names come from the caller; records keep a bounded piece of them.
fn cut(text: &str) -> String {
    if text.len() <= 200 {
        return text.to_owned();
    }
    text.chars().take(200).collect()
}

/// What a record says of a failure. Parsers quote what they could not read, and upstreams what they were sent: no
/// prompt, answer or credential may get into the log that way.
fn told(cause: &str) -> String {
    let quoted = cause.find('"').zip(cause.rfind('"')).filter(|(first, last)| first < last);
    let parts = quoted.and_then(|(first, last)| cause.get(..=first).zip(cause.get(last..)));
    match parts {
        Some((before, after)) => cut(&redact(&format!("{before}…{after}"))),
        None => cut(&redact(cause)),
    }
}

/// Only what a header may hold.
fn header_safe(text: &str) -> String {
    if text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return text.to_owned();
    }
    text.chars().take(200).filter(|character| character.is_ascii_graphic()).collect()
}
