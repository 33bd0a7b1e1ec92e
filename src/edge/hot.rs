//! The path of a call, as functions that `worker.mjs` calls: bytes in, bytes out, nothing awaited.
//!
//! Driving a call from JavaScript costs a third of what the same calls through the runtime's Rust bindings cost, so
//! this is the one place where they are not used. A step travels as a small JSON object; its bytes are taken with
//! [`take_bytes`], so that bodies are copied once.

use std::cell::RefCell;

use wasm_bindgen::prelude::wasm_bindgen;

use super::lease::Batch;
use super::log;
use crate::admin::Decider;
use crate::config::{self, Config};
use crate::failure::{Failure, Kind};
use crate::gateway::{
    CallId, Comparison, Deadline, Exchanged, Feedback, FetchedMedia, Gateway, Hypothetical, Incoming, Input, Outbound,
    PastCall, Redecided, Setup, Step, StoredWanted, TokenWanted,
};
use crate::http::{Response, failure_response};
use crate::json::{self, Array, Object, Text};
use crate::keys::{KeyHash, Secrets};
use crate::provider::Registry;
use crate::sorted::SortedMap;
use crate::units::UnixMillis;
use crate::wire::Surface;

thread_local! {
    static ISOLATE: RefCell<Option<Isolate>> = const { RefCell::new(None) };
}

/// What the isolate holds.
pub(super) struct Isolate {
    pub(super) gateway: Gateway,
    /// What is on its way to the ledger, or could not be sent.
    pub(super) batches: Vec<Batch>,
    environment: SortedMap<String, String>,
    /// The bytes of the step that was just answered.
    bytes: Vec<u8>,
    /// A step that [`feed`], which gives bytes alone, led to: the stream goes on with another target.
    pending: Option<(CallId, String)>,
    /// The stored responses that steps ask for, until somebody looks for them.
    wanted: SortedMap<CallId, Box<StoredWanted>>,
    /// Fetched links of a call, until all have come.
    media: Vec<Result<FetchedMedia, String>>,
}

/// Runs `work` on the isolate's gateway, or gives `otherwise` before [`set_up`].
fn with<T>(otherwise: T, work: impl FnOnce(&mut Isolate) -> T) -> T {
    ISOLATE.with_borrow_mut(|isolate| match isolate {
        Some(isolate) => work(isolate),
        None => otherwise,
    })
}

/// All that this isolate holds, for what is not on the path of a call.
pub(super) fn with_isolate<T>(work: impl FnOnce(&mut Isolate) -> T) -> Option<T> {
    with(None, |isolate| Some(work(isolate)))
}

/// The gateway of this isolate, for what is not on the path of a call.
pub(super) fn with_gateway<T>(work: impl FnOnce(&mut Gateway) -> T) -> Option<T> {
    with(None, |isolate| Some(work(&mut isolate.gateway)))
}

/// A variable of the environment.
pub(super) fn variable(name: &str) -> Option<String> {
    with(None, |isolate| isolate.environment.get(name).cloned())
}

/// Sets the isolate up with the environment's variables (a JSON object of strings) and 32 random bytes, unless it is
/// already: calls may be under way.
#[wasm_bindgen]
pub fn set_up(environment: &str, seed: &[u8]) {
    let environment: SortedMap<String, String> = crate::json::from_str(environment).unwrap_or_default();
    let seed = <[u8; 32]>::try_from(seed).unwrap_or_default();
    ISOLATE.with_borrow_mut(|isolate| {
        isolate.get_or_insert_with(|| Isolate {
            gateway: Gateway::new(setup_of(&environment, Config::default(), 0), seed),
            environment,
            batches: Vec::new(),
            bytes: Vec::new(),
            pending: None,
            wanted: SortedMap::new(),
            media: Vec::new(),
        });
    });
}

/// Takes a configuration document of a later version; calls under way are not disturbed. One that is none leaves the last
/// good one in place, and so does an earlier one: copies of it are read for a minute after a change. What another version of
/// this program would word otherwise is left out of it, and the rest holds, in an isolate that is up as in a new one: rules
/// must not vanish, and whoever stops an experiment in such a document stops it everywhere.
///
/// # Errors
/// With every fault of the document, also where the rest of it was taken.
pub(super) fn reconfigure(version: u32, document: &str) -> Result<(), String> {
    if with(true, |isolate| isolate.gateway.setup().version >= version) {
        return Ok(());
    }
    let told = |fault: &config::Fault| format!("{}: {}", fault.path, fault.message);
    let (config, faults) = config::read_stored(document.as_bytes()).map_err(|fault| told(&fault))?;
    with((), |isolate| {
        isolate.gateway.set_up(setup_of(&isolate.environment, config, version));
    });
    let faults: Vec<String> = faults.iter().map(told).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

fn setup_of(environment: &SortedMap<String, String>, config: Config, version: u32) -> Setup {
    let variable = |name: &str| environment.get(name).map(String::as_str);
    let secrets = Secrets::from_environment(
        variable("LATCHKEY_SECRET"),
        variable("LATCHKEY_SECRET_PREVIOUS"),
        variable("ADMIN_KEY"),
    );
    // Deployed, this is set by wrangler.toml; a run that says nothing of itself is somebody's own machine.
    let local = variable("ENVIRONMENT").is_none_or(|environment| environment == "dev");
    Setup { registry: Registry::new(environment, &config, local), config, version, secrets }
}

/// What this isolate's gateway would decide.
#[derive(Debug)]
pub(super) struct OwnGateway;

impl Decider for OwnGateway {
    fn explain(&self, asked: Hypothetical, document: Option<&str>, now: UnixMillis) -> Result<String, Failure> {
        under(document, |gateway| gateway.explain(asked, now)).unwrap_or_else(|| Err(not_set_up()))
    }

    fn redecide(&self, calls: &[PastCall], document: Option<&str>, now: UnixMillis) -> Vec<Redecided> {
        under(document, |gateway| gateway.redecide(calls, now)).unwrap_or_default()
    }
}

fn not_set_up() -> Failure {
    Failure::new(Kind::Overloaded, "The gateway is not set up yet; try again in a moment.")
}

/// Runs `work` on the gateway as if a draft, where there is one, were in force; `None` where it cannot be.
fn under<T>(document: Option<&str>, work: impl FnOnce(&mut Gateway) -> T) -> Option<T> {
    with(None, |isolate| {
        let Some(document) = document else { return Some(work(&mut isolate.gateway)) };
        let config = config::read(document.as_bytes()).ok()?;
        let setup = setup_of(&isolate.environment, config, isolate.gateway.setup().version);
        Some(isolate.gateway.under(setup, work))
    })
}

/// The most bytes of a request body.
#[wasm_bindgen]
pub fn body_limit() -> u32 {
    with(0, |isolate| u32::try_from(isolate.gateway.setup().config.limits.body_bytes).unwrap_or(u32::MAX))
}

/// Whether the body of what is passed on by `path` must be read as a whole ([`Gateway::signs_body`]).
#[wasm_bindgen]
pub fn signs_body(path: &str) -> bool {
    with(false, |isolate| isolate.gateway.signs_body(path))
}

/// A request came, whose body is whole (`held` is 0), too long and not read (1), or kept or passed on by the edge and
/// gone once it was sent (2). `head` is `METHOD\npath\n`, with the query behind the path, and a line `name:value` for
/// each header.
#[wasm_bindgen]
pub fn begin(head: &str, body: Vec<u8>, held: u8, now: f64) -> String {
    let incoming = Incoming { body, oversize: held == 1, once: held == 2, ..incoming(head) };
    with(String::new(), |isolate| {
        let (id, step) = isolate.gateway.begin(incoming, moment(now));
        isolate.tell(id, step)
    })
}

/// Whether a request comes with a key that this gateway has made, be it still in force or not. `head` is as for [`begin`].
#[wasm_bindgen]
pub fn has_key(head: &str) -> bool {
    with(false, |isolate| isolate.gateway.check_key(&incoming(head)).is_ok())
}

/// The key of a request that begins soon, where it has to be looked up. `head` is as for [`begin`].
pub(super) fn foresee(head: &str, now: UnixMillis) -> Option<KeyHash> {
    let incoming = incoming(head);
    with(None, |isolate| isolate.gateway.foresee(&incoming, now))
}

fn incoming(head: &str) -> Incoming {
    let mut lines = head.split('\n');
    let method = lines.next().unwrap_or_default().to_owned();
    let path = lines.next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers = pairs(lines).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Incoming { method, path: path.to_owned(), query: query.to_owned(), headers, ..Incoming::default() }
}

/// A call of the gateway's own to a blocked target begins.
pub(super) fn begin_probe(target: &str, now: f64) -> String {
    with(String::new(), |isolate| {
        let (id, step) = isolate.gateway.begin_probe(target, moment(now));
        isolate.tell(id, step)
    })
}

/// The call that asks for the vectors of the configuration's phrases begins.
pub(super) fn begin_vectors(now: f64) -> String {
    begun(0, Step::Finish(Vec::new()), |gateway| gateway.begin_vectors(moment(now)))
}

/// The first step of a call that is begun for the sake of another, or `otherwise`.
fn begun(call: u32, otherwise: Step, begin: impl FnOnce(&mut Gateway) -> Option<(CallId, Step)>) -> String {
    with(String::new(), |isolate| {
        let (id, step) = begin(&mut isolate.gateway).unwrap_or((CallId(call), otherwise));
        isolate.tell(id, step)
    })
}

/// What is compared, as JSON: its models, and whether they are wanted as a stream; or the answer that refuses it. Of a body
/// that was too long, nothing was read.
#[wasm_bindgen]
pub fn compare(body: Option<Vec<u8>>) -> String {
    with(String::new(), |isolate| match Comparison::read(body.as_deref(), &isolate.gateway.setup().config.limits) {
        Ok(Comparison { models, stream }) => log::object(|said| {
            said.string("do", "compare").boolean("stream", stream);
            json::write(&models, said.key("models"));
        }),
        Err(failure) => isolate.tell(CallId(0), Step::Respond(failure_response(&failure, Surface::OpenAiChat))),
    })
}

/// The body of one of the calls that a comparison is made of.
#[wasm_bindgen]
pub fn compared(body: &[u8], index: usize) -> Vec<u8> {
    with(Vec::new(), |isolate| {
        let comparison = Comparison::read(Some(body), &isolate.gateway.setup().config.limits).ok();
        comparison.and_then(|comparison| comparison.body(body, index).ok()).unwrap_or_default()
    })
}

/// The stored responses that the last step of a call asks for.
pub(super) fn take_wanted(call: u32) -> Option<StoredWanted> {
    with(None, |isolate| isolate.wanted.remove(&CallId(call))).map(|wanted| *wanted)
}

/// One fetched link of those that were asked for, in order: its bytes, or why it could not be had.
#[wasm_bindgen]
pub fn media(media_type: String, bytes: Vec<u8>, unavailable: Option<String>) {
    let fetched = unavailable.map_or(Ok(FetchedMedia { media_type, bytes }), Err);
    with((), |isolate| isolate.media.push(fetched));
}

/// All links of a call have been told with [`media`].
#[wasm_bindgen]
pub fn media_complete(call: u32, now: f64) -> String {
    let fetched = with(Vec::new(), |isolate| std::mem::take(&mut isolate.media));
    resume(call, Input::Media(fetched), moment(now))
}

/// The first step of the call of the gateway's own that a call waits for; `finish` where it waits for none.
#[wasm_bindgen]
pub fn begin_inner(call: u32, now: f64) -> String {
    begun(call, Step::Finish(Vec::new()), |gateway| gateway.begin_inner(CallId(call), moment(now)))
}

/// The first step of the shadow of a call that was just sent; `finish` where it has none.
#[wasm_bindgen]
pub fn begin_shadow(call: u32, now: f64) -> String {
    begun(call, Step::Finish(Vec::new()), |gateway| gateway.begin_shadow(CallId(call), moment(now)))
}

/// What the call of the gateway's own answered that another waits for; the step with which that goes on.
#[wasm_bindgen]
pub fn inner_answered(call: u32, status: u16, body: &[u8], now: f64) -> String {
    resume(call, Input::Inner(status, body), moment(now))
}

/// Why a link must not be fetched; empty where it may.
#[wasm_bindgen]
pub fn link_fault(link: &str) -> String {
    crate::gateway::link_fault(link).unwrap_or_default().to_owned()
}

/// A token's issuer answered a request of the moment `sent`, or an isolate before, of whose answer this is a copy.
#[wasm_bindgen]
pub fn exchanged(call: u32, status: u16, body: &[u8], sent: f64, is_copy: bool, now: f64) -> String {
    resume(call, Input::Token(Ok(Exchanged { status, body, sent: moment(sent), is_copy })), moment(now))
}

/// A token's issuer could not be asked.
#[wasm_bindgen]
pub fn not_exchanged(call: u32, reason: &str, now: f64) -> String {
    resume(call, Input::Token(Err(reason)), moment(now))
}

/// What copies of tokens are encrypted with; empty where nothing may be kept.
#[wasm_bindgen]
pub fn copy_key() -> Vec<u8> {
    let key =
        |isolate: &mut Isolate| isolate.gateway.setup().secrets.as_ref().map(|secrets| secrets.copy_key().to_vec());
    with(None, key).unwrap_or_default()
}

/// The wait before the next attempt is over.
#[wasm_bindgen]
pub fn waited(call: u32, now: f64) -> String {
    resume(call, Input::Waited, moment(now))
}

/// The first word is late: the step of another call that asks a second target, or `hold` where none may be asked.
#[wasm_bindgen]
pub fn hedge(call: u32, now: f64) -> String {
    begun(call, Step::Hold, |gateway| gateway.hedge(CallId(call), moment(now)))
}

/// The upstream's status line and headers, a line `name:value` for each.
#[wasm_bindgen]
pub fn headers(call: u32, status: u16, headers: &str, now: f64) -> String {
    let headers: Vec<(&str, &str)> = pairs(headers.split('\n')).collect();
    resume(call, Input::Headers(status, &headers), moment(now))
}

/// The upstream's status line, headers and whole body at once, where an answer in one piece was asked for.
#[wasm_bindgen]
pub fn answer(call: u32, status: u16, headers: &str, bytes: &[u8], now: f64) -> String {
    let (id, now) = (CallId(call), moment(now));
    let headers: Vec<(&str, &str)> = pairs(headers.split('\n')).collect();
    with(String::new(), |isolate| {
        let mut step = isolate.gateway.resume(id, Input::Headers(status, &headers), now);
        if matches!(step, Step::ReadBody(_)) {
            step = isolate.gateway.resume(id, Input::Body(bytes), now);
        }
        isolate.tell(id, step)
    })
}

/// The upstream's whole body.
#[wasm_bindgen]
pub fn body(call: u32, bytes: &[u8], now: f64) -> String {
    resume(call, Input::Body(bytes), moment(now))
}

/// The next bytes of a stream, before it is committed.
#[wasm_bindgen]
pub fn peek(call: u32, bytes: &[u8], now: f64) -> String {
    resume(call, Input::Chunk(bytes), moment(now))
}

/// The next bytes of a committed stream: what to write to the caller, as long as it goes on. `None` where the call is done
/// with it: then [`pending`] says how it goes on, and where it does not, its last bytes are with [`take_bytes`].
#[wasm_bindgen]
pub fn feed(call: u32, bytes: &[u8], now: f64) -> Option<Vec<u8>> {
    with(None, |isolate| {
        let id = CallId(call);
        let out = match isolate.gateway.resume(id, Input::Chunk(bytes), moment(now)) {
            Step::Write(out) | Step::Finish(out) => out,
            Step::Hold => Vec::new(),
            step => {
                isolate.pending = Some((id, isolate.tell(id, step)));
                return None;
            }
        };
        if isolate.gateway.is_under_way(id) {
            return Some(out);
        }
        isolate.bytes = out;
        None
    })
}

/// The step with which a call goes on that [`feed`] told is done with its stream; empty where the call is over.
#[wasm_bindgen]
pub fn pending(call: u32) -> String {
    with(String::new(), |isolate| match isolate.pending.take() {
        Some((id, told)) if id == CallId(call) => told,
        _ => String::new(),
    })
}

/// Whether a stream's first real token has come.
#[wasm_bindgen]
pub fn has_spoken(call: u32) -> bool {
    with(true, |isolate| isolate.gateway.has_spoken(CallId(call)))
}

/// A streamed body ended in good order.
#[wasm_bindgen]
pub fn end(call: u32, now: f64) -> String {
    resume(call, Input::End, moment(now))
}

/// The connection to the upstream failed.
#[wasm_bindgen]
pub fn broken(call: u32, reason: &str, now: f64) -> String {
    resume(call, Input::Broken(reason), moment(now))
}

/// The upstream's whole body is longer than it may be.
#[wasm_bindgen]
pub fn too_long(call: u32, now: f64) -> String {
    resume(call, Input::TooLong, moment(now))
}

/// A deadline passed.
#[wasm_bindgen]
pub fn expired(call: u32, deadline: &str, now: f64) -> String {
    resume(call, Input::Expired(Deadline::parse(deadline).unwrap_or(Deadline::Total)), moment(now))
}

/// Nothing has come for a while.
#[wasm_bindgen]
pub fn silence(call: u32, now: f64) -> String {
    resume(call, Input::Silence, moment(now))
}

/// The caller went away. Whether the upstream is still to be read to its end, for what it costs.
#[wasm_bindgen]
pub fn gone(call: u32, now: f64) -> bool {
    resume(call, Input::Gone, moment(now));
    with(false, |isolate| isolate.gateway.is_under_way(CallId(call)))
}

/// The bytes of the step that was just answered.
#[wasm_bindgen]
pub fn take_bytes() -> Vec<u8> {
    with(Vec::new(), |isolate| std::mem::take(&mut isolate.bytes))
}

/// Something happened to a call: the step that follows.
pub(super) fn resume(call: u32, input: Input<'_>, now: UnixMillis) -> String {
    with(String::new(), |isolate| {
        let step = isolate.gateway.resume(CallId(call), input, now);
        isolate.tell(CallId(call), step)
    })
}

pub(super) fn moment(now: f64) -> UnixMillis {
    // Milliseconds since the epoch are exact in a float for 285,000 years.
    #[allow(clippy::cast_possible_truncation)]
    UnixMillis(now as i64)
}

fn pairs<'h>(lines: impl Iterator<Item = &'h str>) -> impl Iterator<Item = (&'h str, &'h str)> {
    lines.filter_map(|line| line.split_once(':'))
}

/// Whose ledger it is that a step is about; the account's goes unnamed.
fn of_team(team: Option<String>, told: &mut Object<'_>) {
    if let Some(team) = team {
        told.string("team", &team);
    }
}

impl Isolate {
    /// A step as JSON; its bytes are kept for [`take_bytes`].
    fn tell(&mut self, id: CallId, step: Step) -> String {
        let mut json = Vec::with_capacity(512);
        let mut told = Object::open(&mut json);
        told.number("call", id.0);
        match step {
            Step::FindGrant(hash) => {
                told.string("do", "grant").string("hash", &hash.to_string());
            }
            Step::AskLedger { team, message } => {
                told.string("do", "ledger");
                of_team(team, &mut told);
                self.bytes = message;
            }
            Step::AskStandings(terms) => {
                told.string("do", "standings");
                self.bytes = crate::json::to_string(&terms).into_bytes();
            }
            Step::KeepFeedback(Feedback { request_id, key_id, name, score, .. }) => {
                told.string("do", "feedback").string("id", &request_id).string("key", &key_id);
                told.string("name", &name).number("score", score);
            }
            Step::FindCall { request_id, key_id, team } => {
                told.string("do", "told").string("id", &request_id).string("key", &key_id);
                of_team(team, &mut told);
            }
            Step::FindResponses(wanted) => {
                told.string("do", "responses");
                self.wanted.insert(id, wanted);
            }
            Step::FetchMedia(links, most) => {
                told.string("do", "media").number("most", most);
                told.array("links", |array| {
                    for link in &links {
                        crate::json::Text::escape(link).write(array.item());
                    }
                });
            }
            Step::Exchange(wanted) => self.tell_exchange(&mut told, *wanted),
            Step::Send(outbound) => self.tell_send(&mut told, *outbound),
            Step::Wait(wait) => {
                told.string("do", "wait").number("wait", wait.0);
            }
            Step::ReadBody(most) => {
                told.string("do", "read").number("most", most);
            }
            Step::Inner => {
                told.string("do", "inner");
            }
            Step::Hold => {
                told.string("do", "hold");
            }
            Step::Respond(response) => self.tell_head(&mut told, "respond", response),
            Step::Commit { head, relay } => {
                told.boolean("relay", relay);
                self.tell_head(&mut told, "commit", head);
            }
            Step::Write(bytes) => {
                told.string("do", "write");
                self.bytes = bytes;
            }
            Step::Finish(bytes) => {
                told.string("do", "finish");
                self.bytes = bytes;
            }
            Step::Break => {
                told.string("do", "break");
            }
        }
        told.close();
        String::from_utf8(json).unwrap_or_default()
    }

    fn tell_head(&mut self, told: &mut Object<'_>, what: &str, response: Response) {
        told.string("do", what).number("status", response.status);
        told.object("headers", |headers| {
            for (name, value) in &response.passed {
                headers.text(Text::escape(name).escaped(), &Text::escape(value));
            }
            for (name, value) in &response.headers {
                headers.string(name, value);
            }
        });
        self.bytes = response.body;
    }

    fn tell_exchange(&mut self, told: &mut Object<'_>, wanted: TokenWanted) {
        let TokenWanted { id, request, newer_than } = wanted;
        told.string("do", "exchange").string("id", &id).number("newer_than", newer_than.0).string("url", &request.url);
        told.object("headers", |headers| {
            for (name, value) in &request.headers {
                headers.string(name, value);
            }
        });
        if let Some(key) = &request.signing_key {
            told.string("key", key.expose());
        }
        self.bytes = request.body.into_bytes();
    }

    fn tell_send(&mut self, told: &mut Object<'_>, outbound: Outbound) {
        told.string("do", "send").string("url", &outbound.url).boolean("abort", outbound.abortable);
        told.object("headers", |headers| {
            for (name, value) in &outbound.passed {
                headers.text(Text::escape(name).escaped(), &Text::escape(value));
            }
            for (name, value) in &outbound.headers {
                headers.string(name, value);
            }
        });
        if outbound.method != "POST" {
            told.string("method", &outbound.method);
        }
        let deadlines = outbound.deadlines;
        told.number("total", outbound.total_left.0);
        if deadlines.connect < outbound.total_left {
            told.number("connect", deadlines.connect.0);
        }
        if outbound.abortable {
            told.number("first_token", deadlines.first_token.0)
                .number("idle", deadlines.idle.0)
                .number("commit_after", deadlines.commit_after.0);
        }
        if let Some(wait) = outbound.hedge {
            told.number("hedge", wait.0);
        }
        if !outbound.abortable {
            // An answer in one piece is read before it is told: both go over in one call of [`answer`].
            told.number("most", self.gateway.setup().config.limits.answer_bytes);
        }
        for (name, is_so) in [
            ("shadow", outbound.shadow),
            ("keeps", outbound.keeps),
            ("socket", outbound.socket),
            ("outside", outbound.outside),
            ("held", self.gateway.purse.holding() > 0),
        ] {
            if is_so {
                told.boolean(name, true);
            }
        }
        if let Some(script) = outbound.sandbox {
            told.object("sandbox", |told| tell_script(told, &script));
        }
        if let Some(binding) = outbound.binding {
            told.object("binding", |told| {
                told.string("name", binding.name).string("model", &binding.model);
            });
        }
        self.bytes = outbound.body;
    }
}

fn tell_script(told: &mut Object<'_>, script: &crate::sandbox::Script) {
    told.number("status", script.status);
    told.object("headers", |headers| {
        for (name, value) in &script.headers {
            headers.string(name, value);
        }
    });
    told.array("steps", |steps: &mut Array<'_>| {
        for step in &script.steps {
            steps.object(|told| {
                told.number("wait", step.wait.0).string("text", &String::from_utf8_lossy(&step.bytes));
            });
        }
    });
    told.string(
        "ending",
        match script.ending {
            crate::sandbox::Ending::Complete => "complete",
            crate::sandbox::Ending::Cut => "cut",
            crate::sandbox::Ending::Hang => "hang",
        },
    );
}
