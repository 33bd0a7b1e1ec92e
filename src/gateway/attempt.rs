//! From a call to a request to one target.

use std::rc::Rc;

use base64::Engine as _;

use crate::config::Deadlines;
use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Task};
use crate::keys::Grant;
use crate::provider::{ModelFacts, Price, Unsigned, Upstream};
use crate::route::resolve;
use crate::sandbox;
use crate::secret::Secret;
use crate::units::UnixMillis;
use crate::wire::{Adjusted, Format, InlinedPart, Naming, Outgoing, RequestPatch, Surface, Target, openai_chat};

use super::call::{Call, Stage};
use super::settle::price_moment;
use super::{FetchedMedia, Gateway, Incoming, Outbound, Step};

/// The provider that [`sandbox`] plays.
const SANDBOX: &str = "sandbox";

/// One target that a call is sent to.
pub(super) struct Attempt {
    pub(super) upstream: Rc<Upstream>,
    /// The model as the provider spells it.
    pub(super) model: String,
    pub(super) facts: ModelFacts,
    pub(super) price: Option<Price>,
    pub(super) adjusted: Adjusted,
    pub(super) lane: Lane,
    /// When its request was sent.
    pub(super) sent: UnixMillis,
    /// The caller brought their own provider key.
    pub(super) own_key: bool,
    /// Whether reasoning is withheld from the caller.
    pub(super) hide_reasoning: bool,
    /// The key's output limit for a call that names none.
    pub(super) default_max_tokens: Option<u32>,
    /// What the upstream was shown, and might quote.
    credential: Option<Secret>,
}

/// Which way an answer takes to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Natively, read along.
    Relay,
    /// The upstream's own bytes with only what must change changed.
    Patched,
    /// Through the hub.
    Translated,
}

impl Lane {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Lane::Relay => "relay",
            Lane::Patched => "patched",
            Lane::Translated => "translated",
        }
    }
}

impl Gateway {
    /// Chooses the target and sends the call there, or first fetches what the target cannot take as a link.
    pub(super) fn attempt(&mut self, call: &mut Call, now: UnixMillis) -> Result<Step, Failure> {
        let Some(grant) = call.grant.clone() else {
            return Err(Failure::new(Kind::Internal, "The call has no grant."));
        };
        let resolved = resolve(&self.setup.registry, &call.asked.model)?;
        if !grant.permits_target(&resolved.provider, &resolved.model) {
            return Err(Grant::model_refusal(&call.asked.model));
        }
        let registry = &self.setup.registry;
        let upstream = registry
            .upstream(&resolved.provider)
            .ok_or_else(|| Failure::new(Kind::NotFound, format!("There is no provider `{}`.", resolved.provider)))?;
        let lane = match call.surface().format() == upstream.format {
            true if self.may_relay(call, &upstream) => Lane::Relay,
            true => Lane::Patched,
            false => Lane::Translated,
        };
        call.attempt = Some(Attempt {
            facts: registry.facts(&resolved.provider, &resolved.model),
            price: registry.price(&resolved.provider, &resolved.model, price_moment(call)),
            upstream,
            model: resolved.model,
            adjusted: Adjusted::default(),
            lane,
            sent: now,
            own_key: false,
            hide_reasoning: false,
            default_max_tokens: grant.key.default_max_tokens,
            credential: None,
        });
        self.send(call, &grant, now)
    }

    /// A stream may pass natively when nothing in it must change for this caller.
    fn may_relay(&self, call: &Call, upstream: &Upstream) -> bool {
        let lanes = self.setup.config.lanes;
        lanes.relay
            && call.asked.stream
            && call.endpoint == Some(Endpoint::ChatCompletions)
            && (call.asked.include_usage || lanes.usage_chunk_passes)
            && upstream.quirks.stream_is_faithful()
    }

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
            let media_type = media.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
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
        let Some(grant) = call.grant.clone() else {
            return Err(Failure::new(Kind::Internal, "The call has no grant."));
        };
        self.send(call, &grant, now)
    }

    /// Writes the request for the chosen target.
    fn send(&mut self, call: &mut Call, grant: &Grant, now: UnixMillis) -> Result<Step, Failure> {
        let limits = self.setup.config.limits;
        let (outgoing, links) = write(call, self.setup.config.limits.media_count)?;
        if !links.is_empty() {
            call.stage = Stage::Media(links.clone());
            return Ok(Step::FetchMedia(links, limits.media_bytes));
        }
        let deadlines = deadlines(call, limits.deadlines)?;
        let ids = &mut self.ids;
        let total_left = crate::units::Millis(deadlines.total.0.saturating_sub(now.since(call.started).0));
        let (request_id, asked) = (call.request_id.clone(), call.asked.clone());
        let Some(attempt) = call.attempt.as_mut() else {
            return Err(Failure::new(Kind::Internal, "The call has no attempt."));
        };
        if asked.require_parameters && !attempt.adjusted.is_empty() {
            let parameters = attempt.adjusted.header();
            return Err(Failure::unsupported(
                "provider.require_parameters",
                format!("`{}` cannot honour everything asked of it: {parameters}.", attempt.model),
            ));
        }
        let sandbox = (attempt.upstream.id == SANDBOX).then(|| {
            let endpoint = call.endpoint.unwrap_or(Endpoint::ChatCompletions);
            sandbox::play(&attempt.model, played(endpoint.task()), &outgoing.body, ids.chance(), now)
        });
        let mut headers = outgoing.headers;
        headers.push(("content-type", "application/json".to_owned()));
        let framing = attempt.upstream.format.framing(&attempt.upstream.quirks);
        headers.push(("accept", if asked.stream { framing.media_type() } else { "application/json" }.to_owned()));
        headers.push(("x-client-request-id", request_id));
        let caller_key = call.incoming.header("x-latchkey-provider-key").map(str::to_owned);
        attempt.own_key = caller_key.is_some();
        if caller_key.is_some() && !grant.key.allow_provider_key {
            return Err(Failure::new(Kind::Forbidden, "This key may not bring a provider key of its own.")
                .code("provider_key_not_allowed")
                .about("x-latchkey-provider-key"));
        }
        let url = attempt.upstream.url(&outgoing.path, &attempt.model)?;
        if sandbox.is_none() {
            let unsigned = Unsigned { url: &url, body: &outgoing.body, now };
            for (name, value) in attempt.upstream.authorize(&unsigned, caller_key.as_deref())? {
                if !value.is_empty() && attempt.credential.is_none() {
                    attempt.credential = Some(Secret::new(value.trim_start_matches("Bearer ").to_owned()));
                }
                headers.push((name, value));
            }
        }
        attempt.sent = now;
        call.attempts += 1;
        call.stage = Stage::Headers;
        Ok(Step::Send(Box::new(Outbound {
            url,
            headers,
            body: outgoing.body,
            deadlines,
            total_left,
            stream: asked.stream,
            sandbox,
        })))
    }
}

fn played(task: Task) -> sandbox::Endpoint {
    match task {
        Task::Chat => sandbox::Endpoint::Chat,
        Task::Embeddings => sandbox::Endpoint::Embeddings,
        Task::Completions => sandbox::Endpoint::Completions,
    }
}

/// The request in the target's own protocol, or the links that must be fetched before it can be written.
fn write(call: &mut Call, most_links: usize) -> Result<(Outgoing, Vec<String>), Failure> {
    let (endpoint, asked) = (call.endpoint.unwrap_or(Endpoint::ChatCompletions), &call.asked);
    let (surface, task) = (endpoint.surface(), endpoint.task());
    let incoming = &call.incoming;
    let body = &incoming.body;
    let Some(attempt) = call.attempt.as_mut() else {
        return Err(Failure::new(Kind::Internal, "The call has no attempt."));
    };
    let upstream = &attempt.upstream;
    let unsupported = || {
        Failure::new(Kind::NotFound, format!("`{}` has no {} endpoint.", upstream.id, endpoint.as_str()))
            .code("endpoint_not_available")
            .about("model")
    };
    let outgoing = match (task, upstream.format) {
        (Task::Chat, format) if surface.format() == format => patched(surface, incoming, attempt, asked.stream)?,
        (Task::Chat, format) => {
            let mut request = surface.read_request(body)?;
            request.stream = asked.stream;
            request.max_output_tokens = request.max_output_tokens.or(attempt.default_max_tokens.map(u64::from));
            attempt.hide_reasoning = surface.hides_reasoning(&request);
            let target = Target {
                model: &attempt.model,
                quirks: &upstream.quirks,
                facts: &attempt.facts,
                inlined: &call.inlined,
            };
            let links: Vec<String> = format
                .links_to_inline(&request, &target)
                .into_iter()
                .filter(|link| !call.inlined.contains_key(link))
                .collect();
            if links.len() > most_links {
                return Err(super::machine::too_large("media_count", most_links, "links to fetch"));
            }
            if !links.is_empty() {
                return Ok((Outgoing { path: String::new(), headers: Vec::new(), body: Vec::new() }, links));
            }
            format.write_request(&request, &target, &mut attempt.adjusted)?
        }
        (Task::Embeddings, _) if !upstream.endpoints.embeddings => return Err(unsupported()),
        (Task::Embeddings, Format::OpenAiChat) => patched_at("/embeddings", incoming, attempt, false)?,
        (Task::Embeddings, format) => {
            let request = openai_chat::read_embeddings_request(body)?;
            let target = Target {
                model: &attempt.model,
                quirks: &upstream.quirks,
                facts: &attempt.facts,
                inlined: &call.inlined,
            };
            format.write_embeddings(&request, &target, &mut attempt.adjusted)?
        }
        (Task::Completions, Format::OpenAiChat) if upstream.endpoints.completions => {
            patched_at("/completions", incoming, attempt, asked.stream)?
        }
        (Task::Completions, _) => return Err(unsupported()),
    };
    Ok((outgoing, Vec::new()))
}

/// The caller's own JSON for another endpoint of OpenAI's than chat.
fn patched_at(path: &str, incoming: &Incoming, attempt: &mut Attempt, stream: bool) -> Result<Outgoing, Failure> {
    let outgoing = patched(Surface::OpenAiChat, incoming, attempt, stream)?;
    Ok(Outgoing { path: path.to_owned(), ..outgoing })
}

/// The caller's own JSON with the model's name put right, and usage asked for.
fn patched(surface: Surface, incoming: &Incoming, attempt: &mut Attempt, stream: bool) -> Result<Outgoing, Failure> {
    let patch = RequestPatch {
        model: &attempt.model,
        stream,
        facts: &attempt.facts,
        default_max_tokens: attempt.default_max_tokens,
    };
    let header = |name: &str| incoming.header(name);
    let quirks = &attempt.upstream.quirks;
    let patched = surface.patch_request(&incoming.body, &patch, quirks, &header, &mut attempt.adjusted)?;
    attempt.hide_reasoning = patched.hide_reasoning;
    if attempt.lane == Lane::Relay && attempt.hide_reasoning {
        // What is to be left out cannot pass natively.
        attempt.lane = Lane::Patched;
    }
    Ok(patched.outgoing)
}

/// The operator's deadlines, or the caller's own where they are shorter or longer within the total.
fn deadlines(call: &Call, defaults: Deadlines) -> Result<Deadlines, Failure> {
    let incoming = &call.incoming;
    let total = incoming.milliseconds("x-latchkey-timeout-ms")?.unwrap_or(defaults.total).min(defaults.total);
    Ok(Deadlines {
        connect: incoming.milliseconds("x-latchkey-connect-timeout-ms")?.unwrap_or(defaults.connect).min(total),
        first_token: incoming
            .milliseconds("x-latchkey-first-token-timeout-ms")?
            .unwrap_or(defaults.first_token)
            .min(total),
        idle: incoming.milliseconds("x-latchkey-idle-timeout-ms")?.unwrap_or(defaults.idle).min(total),
        total,
        commit_after: defaults.commit_after,
    })
}

impl Attempt {
    /// Takes the credential out of what the upstream said, also where nothing in its looks gives it away.
    pub(super) fn conceal(&self, mut failure: Failure) -> Failure {
        let Some(secret) = self.credential.as_ref().map(Secret::expose).filter(|secret| !secret.is_empty()) else {
            return failure;
        };
        for text in [Some(&mut failure.message), failure.cause.as_mut()].into_iter().flatten() {
            *text = text.replace(secret, "[redacted]");
        }
        failure
    }

    /// What an answer of this attempt is called.
    pub(super) fn naming(&self, call: &Call, include_usage: bool, now: UnixMillis) -> Naming {
        Naming {
            fallback_id: call.request_id.replacen("req_", call.surface().id_prefix(), 1),
            model: self.model.clone(),
            now,
            hide_reasoning: self.hide_reasoning,
            include_usage,
        }
    }
}

fn is_media(media_type: &str) -> bool {
    ["image/", "audio/", "video/"].iter().any(|kind| media_type.starts_with(kind))
        || matches!(media_type, "application/pdf" | "text/plain")
}

/// A link or media type as an error may show it.
fn shown(text: &str) -> String {
    text.chars().take(120).filter(|character| !character.is_control()).collect()
}
