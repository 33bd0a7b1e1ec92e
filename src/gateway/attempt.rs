//! One target that a call is sent to.

use std::rc::Rc;

use crate::breaker::Permit;
use crate::chat::{Answer, Effort, Reasoning, Tool};
use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Task};
use crate::json::{self, Raw};
use crate::provider::{ModelFacts, Price, ReasoningControl, Upstream};
use crate::route::Candidate;
use crate::route::overrides::EffortForm;
use crate::secret::Secret;
use crate::units::UnixMillis;
use crate::wire::carried::{Carrier, Keys};
use crate::wire::{Adjusted, Format, Naming, Renamed, Stops, Surface, structured};

use super::Gateway;
use super::call::Call;
use super::settle::price_moment;

/// One target that a call is sent to, with one credential.
pub(super) struct Attempt {
    pub(super) upstream: Rc<Upstream>,
    /// The protocol that it is asked in, of those that it speaks.
    pub(super) format: Format,
    /// The model as the provider spells it.
    pub(super) model: String,
    /// `provider/model`.
    pub(super) target: String,
    /// Which of the models that the call may take it serves, from 0.
    pub(super) rank: usize,
    /// Which of the upstream's keys it is sent with, from 0.
    pub(super) credential: usize,
    /// How often it was sent with this credential.
    pub(super) repeated: u32,
    /// It is blocked, and asked because all others are too.
    pub(super) last_resort: bool,
    pub(super) facts: ModelFacts,
    pub(super) price: Option<Rc<Price>>,
    pub(super) adjusted: Adjusted,
    pub(super) lane: Lane,
    /// When its request was sent.
    pub(super) sent: UnixMillis,
    /// It was sent, and nothing has ended it yet.
    pub(super) in_flight: bool,
    /// It has a row of its own in the ledger, since it was sent.
    pub(super) is_paid: bool,
    /// It is to be the one call that finds out whether a blocked target is back.
    pub(super) probes: bool,
    /// The same of its credential.
    pub(super) probes_credential: bool,
    /// That it is that call, and its outcome was not told yet.
    pub(super) permit: Option<Permit>,
    /// The same of its credential.
    pub(super) credential_permit: Option<Permit>,
    /// The status that it answered with.
    pub(super) status: Option<u16>,
    /// It answered with a web page.
    pub(super) is_page: bool,
    /// The caller brought their own provider key.
    pub(super) own_key: bool,
    /// It is a router, and the call names it: what the body says of routing is for it to read.
    pub(super) routes_itself: bool,
    /// Its first token was refused, and another one got.
    pub(super) signed_in_anew: bool,
    /// Whether reasoning is withheld from the caller.
    pub(super) hide_reasoning: bool,
    /// Whether thoughts are left blank.
    pub(super) omit_thoughts: bool,
    /// Whether the answer may stand in an object that was asked for in its place.
    pub(super) unwraps: bool,
    /// What ends its answer here, because it takes no such thing.
    pub(super) stops: Stops,
    /// Tools that it knows by other names than the caller.
    pub(super) renamed: Renamed,
    /// The key's output limit for a call that names none.
    pub(super) default_max_tokens: Option<u32>,
    /// That limit is lower than it would be, because a budget has little left.
    pub(super) cap_lowered: bool,
    /// What the upstream was shown, and might quote.
    pub(super) shown: Option<Secret>,
    /// What signatures are stamped with that callers carry.
    pub(super) carried: Option<Rc<Keys>>,
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
    /// Makes `target` the one that the call is sent to next.
    pub(super) fn aim(&self, call: &mut Call, target: Candidate, now: UnixMillis) -> Result<(), Failure> {
        let registry = &self.setup.registry;
        let Candidate { provider, model, rank } = target;
        let upstream = registry
            .upstream(&provider)
            .ok_or_else(|| Failure::new(Kind::NotFound, format!("There is no provider `{provider}`.")))?;
        let facts = registry.facts(&provider, &model);
        // Elsewhere an effort is put into what the target takes on its way; this is a protocol in which it goes as it is.
        let surface = call.surface();
        let is_native = upstream.format == surface.format();
        let in_words =
            |effort| matches!(facts.reasoning, ReasoningControl::Effort { levels } if levels.contains(&effort));
        let asked = |body: &[u8], effort: Effort| match surface {
            Surface::Anthropic if is_native && !in_words(effort) => EffortForm::Omitted,
            Surface::Gemini | Surface::Bedrock | Surface::Cohere if is_native => {
                let own = surface.own_effort(body, effort, &model, &upstream.quirks, &facts);
                own.map_or(EffortForm::Omitted, EffortForm::Own)
            }
            _ => EffortForm::Word,
        };
        if let Some(changed) = call.overridden(&provider, &model, &asked)? {
            let sent = std::mem::replace(&mut call.incoming.body, changed);
            call.original_body.get_or_insert(sent);
        } else if let Some(original) = call.original_body.take() {
            call.incoming.body = original;
        }
        // By what this target is asked, which is not what the one before it was.
        let format = call.format_for(&upstream, &facts, &model);
        let is_named = || call.is_passed_through() || self.names_router(&call.asked.model);
        let routes_itself = upstream.quirks.routes_itself && is_named();
        call.attempt = Some(Attempt {
            target: [provider.as_str(), "/", model.as_str()].concat(),
            format,
            rank,
            credential: 0,
            repeated: 0,
            last_resort: false,
            facts,
            price: registry.price(&provider, &model, price_moment(call)),
            lane: self.lane(call, &upstream, format),
            upstream,
            model,
            adjusted: Adjusted::default(),
            sent: now,
            in_flight: false,
            is_paid: false,
            probes: false,
            probes_credential: false,
            permit: None,
            credential_permit: None,
            status: None,
            is_page: false,
            own_key: call.incoming.header("x-latchkey-provider-key").is_some(),
            routes_itself,
            signed_in_anew: false,
            hide_reasoning: false,
            omit_thoughts: false,
            unwraps: false,
            stops: Stops::default(),
            renamed: Renamed::default(),
            default_max_tokens: None,
            cap_lowered: false,
            shown: None,
            carried: self.setup.secrets.as_ref().map(|secrets| secrets.carried_keys().clone()),
        });
        Ok(())
    }

    /// The cheapest way that an answer of this upstream may take.
    pub(super) fn lane(&self, call: &Call, upstream: &Upstream, format: Format) -> Lane {
        match call.surface().format() == format && !call.asked.borrows {
            true if self.may_relay(call, upstream) => Lane::Relay,
            true => Lane::Patched,
            false => Lane::Translated,
        }
    }

    /// A stream may pass natively when nothing in it must change for this caller.
    fn may_relay(&self, call: &Call, upstream: &Upstream) -> bool {
        let lanes = self.setup.config.lanes;
        lanes.relay
            && call.asked.stream
            && !call.wishes.explain
            && call.kept.is_none()
            && !call.checks_streams()
            && !self.may_continue(call)
            && call.endpoint == Some(Endpoint::ChatCompletions)
            && (call.asked.include_usage || lanes.usage_chunk_passes)
            && upstream.quirks.stream_is_faithful()
    }
}

impl Call {
    /// The protocol in which `upstream` is asked: its own, or Responses, which some speak too, where the caller speaks
    /// it or the model takes such a call over nothing else.
    fn format_for(&self, upstream: &Upstream, facts: &ModelFacts, model: &str) -> Format {
        let speaks = upstream.endpoints.responses && matches!(self.task(), Some(Task::Chat | Task::Compaction));
        let wanted = || {
            facts.responses_only
                || self.surface().format() == Format::OpenAiResponses
                // Other routers see to that themselves.
                || (!upstream.quirks.routes_itself
                    && ((facts.tools_over_responses && self.thinks_with_tools(facts)) || self.searches_with(model)))
        };
        if speaks && wanted() { Format::OpenAiResponses } else { upstream.format }
    }

    /// What an answer of this model is called, whoever gives it.
    pub(super) fn naming(&self, model: &str, now: UnixMillis) -> Naming {
        Naming {
            fallback_id: self.request_id.replacen("req_", self.surface().id_prefix(), 1),
            model: model.to_owned(),
            now,
            hide_reasoning: false,
            omit_thoughts: false,
            include_usage: false,
            echo: self.echo(),
            carrier: Carrier::default(),
        }
    }

    /// What an answer needs of the request.
    fn echo(&self) -> Option<Raw<'static>> {
        let surface = self.surface();
        let needs = surface != Surface::OpenAiChat || self.asked.borrows;
        if needs { surface.echo(&self.incoming.body) } else { None }
    }

    /// Whether it lets `model` search the web, which only models made for that do over Chat Completions: "Web search
    /// options not supported with this model" (<https://github.com/BerriAI/litellm/issues/14250>).
    fn searches_with(&self, model: &str) -> bool {
        let body = &self.incoming.body;
        // Both have a letter that is rare in what people write: every call of such a provider is looked through for them.
        let may = json::mentions(body, b"_search")
            || (self.surface() == Surface::Gemini && json::mentions(body, b"oogleSearch"));
        may && !model.contains("-search-")
            && self.surface().read_request(body).is_ok_and(|request| request.web_search.is_some())
    }

    /// Whether it offers functions, and nothing else, to a model that thinks: because it always does, or is told to.
    fn thinks_with_tools(&self, facts: &ModelFacts) -> bool {
        let thinks = |wish: Option<Reasoning>| wish.and_then(|wish| wish.thinks()).unwrap_or(facts.thinks_unasked);
        let is_function = |tool: &Tool<'_>| matches!(tool, Tool::Function { .. });
        self.surface().read_request(&self.incoming.body).is_ok_and(|request| {
            !request.tools.is_empty() && request.tools.iter().all(is_function) && thinks(request.reasoning)
        })
    }
}

impl Attempt {
    /// A web page in place of an answer has one usual reason, which is found sooner if it is told.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        if !self.is_page || !matches!(failure.kind, Kind::BadAnswer | Kind::Truncated) {
            return failure;
        }
        Failure::bad_answer("The provider sent a web page in place of an answer. Is its base URL right?")
    }

    /// Takes the credential out of what the upstream said, also where nothing in its looks gives it away.
    pub(super) fn conceal(&self, mut failure: Failure) -> Failure {
        let Some(secret) = self.shown.as_ref().map(Secret::expose).filter(|secret| !secret.is_empty()) else {
            return failure;
        };
        failure.message = failure.message.replace(secret, "[redacted]");
        failure.cause = failure.cause.take().map(|cause| cause.replace(secret, "[redacted]"));
        failure
    }

    /// Reads a whole answer, as the caller is to have it where it is translated.
    pub(super) fn read_answer<'b>(&self, body: &'b [u8]) -> Result<Answer<'b>, Failure> {
        let mut answer = self.format.read_answer(body, &self.upstream.quirks)?;
        if self.unwraps {
            structured::unwrap_texts(&mut answer);
        }
        self.stops.cut(&mut answer);
        self.renamed.restore_all(&mut answer);
        Ok(answer)
    }

    /// Wraps what this target signs, and opens what it has signed before.
    pub(super) fn carrier(&self) -> Carrier {
        Carrier::new(self.carried.clone(), &self.target)
    }

    /// Whether signatures of this target may stand where a surface's own are looked for.
    pub(super) fn wraps(&self, surface: Surface) -> bool {
        self.lane == Lane::Translated || surface.wraps(&self.upstream.quirks)
    }

    /// What an answer of this attempt is called.
    pub(super) fn naming(&self, call: &Call, include_usage: bool, now: UnixMillis) -> Naming {
        Naming {
            hide_reasoning: self.hide_reasoning,
            omit_thoughts: self.omit_thoughts,
            include_usage,
            carrier: if self.wraps(call.surface()) { self.carrier() } else { Carrier::default() },
            ..call.naming(&self.model, now)
        }
    }
}
