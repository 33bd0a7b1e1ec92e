//! From a call and its target to a request.

use base64::Engine as _;

use crate::chat::{OutputShape, Request};
use crate::config::Deadlines;
use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Task};
use crate::json;
use crate::provider::{Quirks, SANDBOX, Unsigned, percent_encoded};
use crate::sandbox;
use crate::secret::Secret;
use crate::units::{Millis, UnixMillis};
use crate::wire::carried::MARK;
use crate::wire::openai_responses::compacting;
use crate::wire::{Change, Format, InlinedMedia, InlinedPart, Outgoing, Renamed, RequestPatch, Stops, Surface, Target};

use super::attempt::{Attempt, Lane};
use super::call::{Call, Stage};
use super::funds::Asks;
use super::{Binding, FetchedMedia, Gateway, Incoming, Outbound, Step};

impl Gateway {
    /// The links came, or did not.
    pub(super) fn inlined(
        &mut self,
        call: &mut Call,
        links: Vec<String>,
        fetched: Vec<Result<FetchedMedia, String>>,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        for (link, media) in links.into_iter().zip(fetched) {
            let media = media.map_err(|cause| {
                Failure::bad_request("messages", format!("The link {} could not be fetched: {cause}.", shown(&link)))
                    .code("media_unavailable")
            })?;
            let mut media_type = media.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            // Stores of objects say no more than that unless they were told.
            let untold = media_type.is_empty() || media_type.ends_with("/octet-stream");
            if let Some(known) = known_by_beginning(&media.bytes).filter(|_| untold) {
                media_type = known.to_owned();
            }
            if !is_media(&media_type) {
                return Err(Failure::bad_request(
                    "messages",
                    format!(
                        "The link {} leads to `{}`, not to an image, sound, video or PDF.",
                        shown(&link),
                        shown(&media_type)
                    ),
                )
                .code("media_type_unsupported"));
            }
            let data = base64::engine::general_purpose::STANDARD.encode(&media.bytes);
            call.inlined.insert(link, InlinedPart { media_type, data });
        }
        self.send(call, now)
    }

    /// Writes the request for the chosen target, or says what has to come first.
    pub(super) fn send(&mut self, call: &mut Call, now: UnixMillis) -> Result<Step, Failure> {
        self.clear(call, now)?;
        self.permit_further(call)?;
        if let Some(first) = self.sign_in(call, now)? {
            return Ok(first);
        }
        // What counts the call may have been heard of since it was last written.
        let draws = self.draws(call);
        self.cap_output(call, &draws);
        let limits = &self.setup.config.limits;
        let mut outgoing = match write(call, limits.media_count)? {
            Written::Whole(outgoing) => outgoing,
            Written::Lacks(links) => {
                call.stage = Stage::Media(links.clone());
                return Ok(Step::FetchMedia(links, limits.media_bytes));
            }
        };
        let asks = Asks { body: &outgoing.body, tier: outgoing.asks_for_tier() };
        if let Some(first) = self.fund(call, &draws, &asks, now)? {
            return Ok(first);
        }
        call.require_parameters()?;
        call.write_headers(&mut outgoing);
        let sandbox = self.play(call, &outgoing.body, now);
        let url = call.url(&outgoing.path)?;
        if sandbox.is_none() {
            self.authorize(call, &mut outgoing, &url, now)?;
        }
        let hedge = self.hedges_after(call);
        if hedge.is_some() && call.attempts == 0 {
            self.hedges.deposit(self.failover(call).hedge_percent());
        }
        let deadlines = call.deadlines(&self.setup.config.limits.deadlines);
        call.total = Some(deadlines.total);
        // A plain call that succeeds at once, as nearly all do, spares the price of a signal.
        let connects = deadlines.connect < deadlines.total;
        let is_one_of_two = hedge.is_some() || call.rival.is_some();
        // A body that its caller breaks off has no end.
        let is_endless = call.incoming.once;
        let abortable =
            call.asked.stream || connects || sandbox.is_some() || call.attempts > 0 || is_one_of_two || is_endless;
        self.claim(call, now)?;
        let Some(attempt) = call.attempt.as_mut() else { return Err(no_attempt()) };
        let binding = attempt.upstream.binding.map(|name| Binding { name, model: attempt.model.clone() });
        attempt.sent = now;
        (attempt.in_flight, attempt.is_paid) = (true, false);
        attempt.status = None;
        attempt.repeated += 1;
        call.attempts += 1;
        call.stage = Stage::Headers;
        let (method, passed) = match call.is_passed_through() {
            true => (call.incoming.method.clone().into(), call.incoming.passed_headers()),
            false => ("POST".into(), Vec::new()),
        };
        Ok(Step::Send(Box::new(Outbound {
            method,
            passed,
            url,
            headers: outgoing.headers,
            body: outgoing.body,
            deadlines,
            total_left: Millis(deadlines.total.0.saturating_sub(now.since(call.started).0)),
            hedge,
            shadow: call.routed.as_ref().is_some_and(|routed| routed.shadow.is_some()),
            keeps: call.memory.is_some(),
            abortable,
            sandbox,
            binding,
            socket: call.endpoint == Some(Endpoint::Realtime),
            outside: call.goes_from_outside(),
        })))
    }

    /// The answer of the built-in sandbox, where that is the target.
    fn play(&mut self, call: &Call, body: &[u8], now: UnixMillis) -> Option<sandbox::Script> {
        let attempt = call.attempt.as_ref().filter(|attempt| attempt.upstream.id == SANDBOX)?;
        let task = call.task().unwrap_or(Task::Chat);
        Some(sandbox::play(&attempt.model, played(task), body, self.ids.chance(), now))
    }

    /// Adds the headers that the target knows us by, or the caller where they brought a key of their own.
    fn authorize(&self, call: &mut Call, outgoing: &mut Outgoing, url: &str, now: UnixMillis) -> Result<(), Failure> {
        let method = if call.is_passed_through() { call.incoming.method.as_str() } else { "POST" };
        let own_key = call.incoming.header("x-latchkey-provider-key");
        let Some(attempt) = call.attempt.as_mut() else { return Err(no_attempt()) };
        let unsigned = Unsigned { method, url, body: &outgoing.body, now };
        let exchange = if own_key.is_none() { attempt.upstream.exchange()? } else { None };
        let credential = exchange.and_then(|exchange| self.tokens.credential(exchange, now));
        let authorization = match credential {
            Some(credential) => attempt.upstream.authorize_with(&unsigned, credential),
            None => attempt.upstream.authorize(&unsigned, own_key, attempt.credential)?,
        };
        let shown = authorization.iter().map(|(_, value)| value).find(|value| !value.is_empty());
        attempt.shown = shown.map(|value| Secret::new(value.trim_start_matches("Bearer ").to_owned()));
        outgoing.headers.extend(authorization);
        Ok(())
    }
}

fn played(task: Task) -> sandbox::Endpoint {
    match task {
        // What is only counted is never sent to it, and it has no services.
        Task::Chat | Task::Compaction | Task::Count | Task::Service(_) | Task::Passthrough | Task::Talk => {
            sandbox::Endpoint::Chat
        }
        Task::Embeddings => sandbox::Endpoint::Embeddings,
        Task::Completions => sandbox::Endpoint::Completions,
    }
}

/// What came of writing a request.
enum Written {
    /// It is whole.
    Whole(Outgoing),
    /// These links must be fetched before it can be.
    Lacks(Vec<String>),
}

/// The request in the target's own protocol.
fn write(call: &mut Call, most_links: usize) -> Result<Written, Failure> {
    let (endpoint, asked) = (call.endpoint.unwrap_or(Endpoint::ChatCompletions), &call.asked);
    let (surface, task) = (endpoint.surface(), endpoint.task());
    let incoming = &call.incoming;
    let body = &incoming.body;
    let Some(attempt) = call.attempt.as_mut() else { return Err(no_attempt()) };
    if let Some(resume) = &call.resume {
        return super::resume::write(surface, body, &call.inlined, attempt, &resume.seam).map(Written::Whole);
    }
    if task == Task::Talk {
        let path = attempt.upstream.endpoints.services.realtime.ok_or_else(|| not_offered(attempt, endpoint))?;
        let path = format!("{path}?model={}", percent_encoded(&attempt.model));
        let beta = incoming.header("openai-beta").map(|value| ("openai-beta", value.to_owned()));
        return Ok(Written::Whole(Outgoing { path, headers: beta.into_iter().collect(), body: Vec::new() }));
    }
    if task == Task::Passthrough {
        return Ok(Written::Whole(Outgoing { path: String::new(), headers: Vec::new(), body: body.clone() }));
    }
    if let Task::Service(service) = task {
        let outgoing = super::service::write(service, incoming, attempt)?;
        return outgoing.map(Written::Whole).ok_or_else(|| not_offered(attempt, endpoint));
    }
    let endpoints = &attempt.upstream.endpoints;
    let source = Source { surface, incoming, inlined: &call.inlined, most_links, stream: asked.stream };
    let outgoing = match (task, attempt.format) {
        (Task::Chat, _) if attempt.lane != Lane::Translated => return source.patched_chat(attempt),
        (Task::Chat, _) => return source.translated_chat(attempt),
        (Task::Embeddings, Format::OpenAiChat) if endpoints.embeddings && surface == Surface::OpenAiChat => {
            patched_at("/embeddings", incoming, attempt, false)?
        }
        (Task::Embeddings, _) if endpoints.embeddings => source.embeddings(endpoint.is_batch(), attempt)?,
        (Task::Completions, Format::OpenAiChat) if endpoints.completions => {
            patched_at("/completions", incoming, attempt, asked.stream)?
        }
        (Task::Count, format) if surface.format() == format => {
            attempt.default_max_tokens = None;
            let outgoing = Source { stream: false, ..source }.patched(attempt)?;
            Outgoing { path: surface.count_path(&attempt.model, &attempt.upstream.quirks), ..outgoing }
        }
        (Task::Compaction, Format::OpenAiResponses) => {
            attempt.default_max_tokens = None;
            compacting(Source { stream: false, ..source }.patched(attempt)?)?
        }
        (
            Task::Embeddings
            | Task::Completions
            | Task::Count
            | Task::Compaction
            | Task::Service(_)
            | Task::Passthrough
            | Task::Talk,
            _,
        ) => return Err(not_offered(attempt, endpoint)),
    };
    Ok(Written::Whole(outgoing))
}

/// What a request is written from, beside its target.
struct Source<'c> {
    surface: Surface,
    incoming: &'c Incoming,
    /// Links that were fetched.
    inlined: &'c InlinedMedia,
    /// How many of them may be fetched at once.
    most_links: usize,
    stream: bool,
}

impl Source<'_> {
    /// A chat whose target speaks the caller's protocol.
    fn patched_chat(&self, attempt: &mut Attempt) -> Result<Written, Failure> {
        let links = self.surface.links_to_inline(&self.incoming.body, &attempt.upstream.quirks);
        match self.lacks(links)? {
            Some(lacks) => Ok(lacks),
            None => self.patched(attempt).map(Written::Whole),
        }
    }

    /// A chat whose target speaks another.
    fn translated_chat(&self, attempt: &mut Attempt) -> Result<Written, Failure> {
        let (surface, format, body) = (self.surface, attempt.format, &self.incoming.body);
        let mut request = surface.read_request(body)?;
        open_carried(body, &mut request, attempt);
        request.stream = self.stream;
        request.max_output_tokens = request.max_output_tokens.or(attempt.default_max_tokens.map(u64::from));
        attempt.hide_reasoning = surface.hides_reasoning(&request);
        attempt.omit_thoughts = surface.omits_thoughts(&request);
        attempt.unwraps = matches!(request.output, OutputShape::JsonSchema { .. });
        attempt.renamed = Renamed::fit(&mut request, format);
        let (model, quirks) = (&*attempt.model, &attempt.upstream.quirks);
        let target = Target { model, quirks, facts: &attempt.facts, inlined: self.inlined };
        if let Some(lacks) = self.lacks(format.links_to_inline(&request, &target))? {
            return Ok(lacks);
        }
        attempt.stops = Stops::take(&mut request, format, &target, &mut attempt.adjusted);
        format.write_request(&request, &target, &mut attempt.adjusted).map(Written::Whole)
    }

    fn embeddings(&self, is_batch: bool, attempt: &mut Attempt) -> Result<Outgoing, Failure> {
        let request = self.surface.read_embeddings(&self.incoming.body, is_batch)?;
        let (model, quirks) = (&*attempt.model, &attempt.upstream.quirks);
        let target = Target { model, quirks, facts: &attempt.facts, inlined: self.inlined };
        attempt.format.write_embeddings(&request, &target, &mut attempt.adjusted)
    }

    /// Those of the links that were not fetched yet, where there are any.
    fn lacks(&self, links: Vec<String>) -> Result<Option<Written>, Failure> {
        let links: Vec<String> = links.into_iter().filter(|link| !self.inlined.contains_key(link)).collect();
        if links.len() > self.most_links {
            return Err(super::machine::too_large("media_count", self.most_links, "links to fetch"));
        }
        Ok((!links.is_empty()).then_some(Written::Lacks(links)))
    }

    /// The caller's own JSON with the model's name put right, and usage asked for.
    fn patched(&self, attempt: &mut Attempt) -> Result<Outgoing, Failure> {
        let patch = RequestPatch {
            model: &attempt.model,
            stream: self.stream,
            facts: &attempt.facts,
            default_max_tokens: attempt.default_max_tokens,
            keys: attempt.carried.as_ref(),
            target: &attempt.target,
        };
        let header = |name: &str| self.incoming.header(name);
        // A router that the gateway chose is told nothing of what the gateway has read.
        let chosen;
        let quirks = match attempt.upstream.quirks {
            quirks if quirks.routes_itself && !attempt.routes_itself => {
                chosen = Quirks { routes_itself: false, ..quirks };
                &chosen
            }
            _ => &attempt.upstream.quirks,
        };
        let body = self.surface.inline_links(&self.incoming.body, quirks, self.inlined);
        let patched = self.surface.patch_request(&body, &patch, quirks, &header, &mut attempt.adjusted)?;
        attempt.hide_reasoning = patched.hide_reasoning;
        if attempt.lane == Lane::Relay && attempt.hide_reasoning {
            // What is to be left out cannot pass natively.
            attempt.lane = Lane::Patched;
        }
        Ok(patched.outgoing)
    }
}

/// Opens the signatures in `request`, which was read from `body`, that this target made and the caller carried.
pub(super) fn open_carried(body: &[u8], request: &mut Request<'_>, attempt: &mut Attempt) {
    if json::mentions(body, MARK.as_bytes()) {
        attempt.carrier().open_all(request, &mut attempt.adjusted);
    }
}

fn not_offered(attempt: &Attempt, endpoint: Endpoint) -> Failure {
    Failure::new(Kind::NotFound, format!("`{}` has no {} endpoint.", attempt.upstream.id, endpoint.as_str()))
        .code("endpoint_not_available")
        .about("model")
}

/// The caller's own JSON for another endpoint of OpenAI's than chat.
pub(super) fn patched_at(
    path: &str,
    incoming: &Incoming,
    attempt: &mut Attempt,
    stream: bool,
) -> Result<Outgoing, Failure> {
    let (surface, inlined) = (Surface::OpenAiChat, &InlinedMedia::default());
    let outgoing = Source { surface, incoming, inlined, most_links: 0, stream }.patched(attempt)?;
    Ok(Outgoing { path: path.to_owned(), ..outgoing })
}

impl Call {
    /// Whether the body that the edge keeps is sent, and not what is written here.
    fn goes_from_outside(&self) -> bool {
        self.is_passed_through() || (self.is_service() && self.incoming.is_form())
    }

    /// Refuses a target that cannot honour all that the call asks for, where it insists on that.
    fn require_parameters(&mut self) -> Result<(), Failure> {
        let Some(attempt) = self.attempt.as_mut() else { return Err(no_attempt()) };
        let is_whole = attempt.adjusted.iter().all(|(_, change)| change == Change::Unmet);
        if self.asked.require_parameters && !is_whole {
            let parameters = attempt.adjusted.header();
            return Err(Failure::unsupported(
                "provider.require_parameters",
                format!("`{}` cannot honour everything asked of it: {parameters}.", attempt.model),
            ));
        }
        if self.routed.as_ref().is_some_and(|routed| routed.decision.latency_unmet) {
            attempt.adjusted.note("latency_budget", Change::Unmet);
        }
        Ok(())
    }

    /// Adds the headers that say what is sent, what is wanted, and for which call.
    fn write_headers(&self, outgoing: &mut Outgoing) {
        let headers = &mut outgoing.headers;
        if let Some(attempt) = self.attempt.as_ref().filter(|_| !self.is_passed_through()) {
            let content_type = self.incoming.header("content-type").filter(|_| self.goes_from_outside());
            let accept = match self.asked.stream {
                // Sound, subtitles, events: whatever was asked for in the body.
                _ if self.is_service() => "*/*",
                true => attempt.format.framing(&attempt.upstream.quirks).media_type(),
                false => "application/json",
            };
            headers.push(("content-type", content_type.unwrap_or("application/json").to_owned()));
            headers.push(("accept", accept.to_owned()));
        }
        headers.push(("x-client-request-id", self.request_id.clone()));
    }

    /// Where its attempt is sent.
    fn url(&self, path: &str) -> Result<String, Failure> {
        let Some(attempt) = &self.attempt else { return Err(no_attempt()) };
        match self.is_passed_through() {
            true => attempt.upstream.passed_url(&self.passed_path, &self.incoming.passed_query()),
            false => attempt.upstream.url(path, &attempt.model),
        }
    }

    /// The gateway's deadlines, where neither the alias's nor the key's nor the caller's own replace them; the caller's
    /// are within the total that the others leave.
    pub(super) fn deadlines(&self, defaults: &Deadlines) -> Deadlines {
        let wishes = &self.wishes;
        let defaults = &self.routed.as_ref().map_or(*defaults, |routed| routed.deadlines.or(*defaults));
        let own = self.grant.as_ref().map(|grant| grant.key.deadlines);
        let defaults = &own.map_or(*defaults, |own| own.or(*defaults));
        let total = wishes.total.unwrap_or(defaults.total).min(defaults.total);
        let first_token = wishes.first_token.unwrap_or(defaults.first_token).min(total);
        // A plain answer's status line comes with the answer: it has a deadline only where somebody chose one. A stream's
        // comes before its first token.
        let connect = match (self.asked.stream, defaults.connect_is_chosen) {
            (true, _) => defaults.connect.min(first_token),
            (false, true) => defaults.connect,
            (false, false) => total,
        };
        Deadlines {
            connect: wishes.connect.unwrap_or(connect).min(total),
            connect_is_chosen: defaults.connect_is_chosen,
            first_token,
            idle: wishes.idle.unwrap_or(defaults.idle).min(total),
            total,
            commit_after: defaults.commit_after,
        }
    }
}

pub(super) fn no_attempt() -> Failure {
    Failure::new(Kind::Internal, "The call has no attempt.")
}

fn is_media(media_type: &str) -> bool {
    ["image/", "audio/", "video/"].iter().any(|kind| media_type.starts_with(kind))
        || matches!(media_type, "application/pdf" | "text/plain")
}

/// The type of what begins like this.
fn known_by_beginning(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    Some(match () {
        () if begins(b"\x89PNG\r\n") => "image/png",
        () if begins(b"\xff\xd8\xff") => "image/jpeg",
        () if begins(b"GIF8") => "image/gif",
        () if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => "image/webp",
        () if begins(b"%PDF-") => "application/pdf",
        () => return None,
    })
}

/// A link or media type as an error may show it.
fn shown(text: &str) -> String {
    text.chars().take(120).filter(|character| !character.is_control()).collect()
}
