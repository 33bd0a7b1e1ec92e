//! Bytes to chat and back: one folder a format, no `async`, no clock, no HTTP client.
//!
//! A format reads and writes one upstream's protocol; a surface reads and writes what callers speak. Both meet in
//! [`crate::chat`]. A vendor that departs from a format does so through [`crate::provider::Quirks`], never by name.
//!
//! | what all formats share | files |
//! |---|---|
//! | streams: cut into events, driven, joined with one that goes on | `framing`, `sse`, [`drive`], [`seam`] |
//! | what callers speak, and how their faults are told | `surface`, `place`, `closed` |
//! | what a target lacks, made up for or named | [`losses`], [`schema`], [`structured`], `stops`, `tool_names`, `answered` |
//! | what models sign and callers carry | [`carried`] |
//! | errors and rate limits of upstreams | [`error`], `redact`, `retry_after`, `headroom` |
//! | services beside conversation: images, sound, ranking, moderation | [`service`] |

mod answered;
pub mod anthropic;
pub mod bedrock;
pub mod carried;
mod closed;
pub mod cohere;
pub mod drive;
pub mod error;
pub mod framing;
pub mod gemini;
mod headroom;
pub mod losses;
pub mod ollama;
pub mod openai_chat;
pub mod openai_responses;
mod place;
mod redact;
mod retry_after;
pub mod schema;
pub mod seam;
pub mod service;
pub mod sse;
mod stops;
pub mod structured;
mod surface;
mod tool_names;
pub mod workers_ai;

pub use headroom::headroom;
pub use stops::Stops;
pub use surface::{Layout, Patched, RequestPatch, Seen, Surface};
pub use tool_names::Renamed;

use carried::Carrier;
use framing::Framing;
use std::borrow::Cow;

use crate::chat::{Answer, EmbeddingsAnswer, EmbeddingsRequest, Request, Sink, Usage};
use crate::failure::Failure;
use crate::json::Raw;
use crate::provider::{Hosting, ModelFacts, Quirks};
use crate::sorted::SortedMap;
use crate::units::{Millis, NanoUsd, UnixMillis};

/// The protocol an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenAI Chat Completions and the many that follow it.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini generateContent.
    Gemini,
    /// Bedrock Converse and ConverseStream.
    Bedrock,
    /// Cohere Chat, version 2.
    Cohere,
    /// Ollama's own chat.
    Ollama,
    /// Workers AI, as its binding speaks.
    WorkersAi,
}

/// Where a request is written to: what a format needs to know of the model and the vendor.
#[derive(Clone, Copy, Debug)]
pub struct Target<'t> {
    /// The model id as the provider spells it.
    pub model: &'t str,
    /// How the vendor departs from its format.
    pub quirks: &'t Quirks,
    /// What the model can do.
    pub facts: &'t ModelFacts,
    /// Media that were fetched because this format cannot take their links.
    pub inlined: &'t InlinedMedia,
}

impl Target<'_> {
    /// The most tokens that may be asked of it. What a maker's own servers give is no limit of other routers, which know
    /// who serves the model with more.
    #[must_use]
    pub fn most_output(&self) -> u64 {
        self.facts.max_output.filter(|_| !self.quirks.routes_itself).unwrap_or(u64::MAX)
    }
}

/// Fetched media by the link that the caller wrote.
pub type InlinedMedia = SortedMap<String, InlinedPart>;

/// One fetched link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlinedPart {
    /// From the answer's content type, checked against what it was asked as.
    pub media_type: String,
    /// Base64.
    pub data: String,
}

/// A request in an upstream's own protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Appended to the provider's base URL, with its query.
    pub path: String,
    /// Beyond content type and credentials, such as `anthropic-beta`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

impl Outgoing {
    /// Whether a header asks for a service tier, of which the body says nothing.
    #[must_use]
    pub fn asks_for_tier(&self) -> bool {
        self.headers.iter().any(|(name, _)| *name == gemini::TIER)
    }
}

/// Changes that are listed before those of parameters that callers invent are taken together: a header is no body.
const MOST_NAMED: usize = 64;

/// What was dropped or changed because a target cannot honour it, for `x-latchkey-adjusted`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjusted(Vec<(Cow<'static, str>, Change)>);

/// What happened to a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Left out.
    Dropped,
    /// Put into the range that the target takes.
    Clamped,
    /// Fewer or shorter than asked.
    Trimmed,
    /// Said in another way that means nearly the same.
    Changed,
    /// The answer is not what it must be.
    Failed,
    /// Nobody who may be asked makes it.
    Unmet,
}

impl Adjusted {
    /// Notes a change; the same parameter is listed once, and of those that only callers name so many.
    pub fn note(&mut self, parameter: impl Into<Cow<'static, str>>, change: Change) {
        let mut parameter = parameter.into();
        let is_known = |parameter: &str| self.0.iter().any(|(known, _)| known == parameter);
        if self.0.len() >= MOST_NAMED && matches!(parameter, Cow::Owned(_)) && !is_known(&parameter) {
            parameter = Cow::Borrowed("others");
        }
        if !is_known(&parameter) {
            self.0.push((parameter, change));
        }
    }

    /// Whether everything was honoured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Parameter and change, in the order in which they were noted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Change)> {
        self.0.iter().map(|(parameter, change)| (parameter.as_ref(), *change))
    }

    /// The header's value: `seed=dropped, stop=trimmed`. Parameter names are the caller's, so only token characters
    /// of them are kept.
    #[must_use]
    pub fn header(&self) -> String {
        let mut header = String::new();
        for (parameter, change) in self.iter() {
            if !header.is_empty() {
                header.push_str(", ");
            }
            header.extend(parameter.chars().take(64).filter(|c| c.is_ascii_alphanumeric() || "._-[]".contains(*c)));
            header.push('=');
            header.push_str(change.as_str());
        }
        header
    }
}

impl Change {
    /// The word in the header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Dropped => "dropped",
            Change::Clamped => "clamped",
            Change::Trimmed => "trimmed",
            Change::Changed => "changed",
            Change::Failed => "failed",
            Change::Unmet => "unmet",
        }
    }
}

/// Reads an upstream's stream, one frame at a time.
///
/// Keeps the ordering laws of [`crate::chat::Event`] and never makes up an ending.
pub trait StreamDecoder {
    /// Takes one frame; gives none, one or many events.
    fn push(&mut self, frame: &sse::Frame<'_>, sink: &mut dyn Sink) -> Decoded;

    /// The body ended.
    ///
    /// # Errors
    /// [`Failure::truncated`] without the format's terminal marker. What is still open (blocks, ends held back for
    /// a later usage) is given to `sink` first only if the marker came.
    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), Failure>;

    /// Whether the format's own terminal marker has come, so that nothing after it counts: some upstreams keep the
    /// connection open. `false` where only the end of the body tells.
    fn ended(&self) -> bool {
        false
    }

    /// Whether something of what has come is told only when its block ends.
    fn holds_back(&self) -> bool {
        false
    }
}

/// What became of a frame. The driver alone decides what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Understood.
    Taken,
    /// An event or chunk kind we do not know: harmless, passed by.
    Unknown,
    /// A known event whose payload cannot be read.
    Corrupt(String),
}

/// What the gateway adds when an answer is complete.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// The last usage seen, or the estimate.
    pub usage: Option<Usage>,
    /// What the call is charged; `None` where the price is unknown.
    pub cost: Option<Cost>,
    /// The `latchkey` object, where the caller asked for it or a sent status line could not carry its facts.
    pub latchkey: Option<Raw<'static>>,
    /// How long the answer took.
    pub latency: Millis,
}

/// Money of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What the key is charged, mark-up included: `usage.cost`.
    pub charged: NanoUsd,
    /// What the provider asks: `usage.cost_details.upstream_inference_cost`.
    pub upstream: NanoUsd,
}

/// What an answer is called.
#[derive(Clone, Debug)]
pub struct Naming {
    /// Used where the upstream gave no id.
    pub fallback_id: String,
    /// The model's name for the caller where the upstream gave none.
    pub model: String,
    /// For `created` where the upstream gave none.
    pub now: UnixMillis,
    /// Whether reasoning is withheld (`reasoning.exclude`).
    pub hide_reasoning: bool,
    /// Whether thoughts are left blank and only what signs or encrypts them is told (Messages' `display: "omitted"`).
    pub omit_thoughts: bool,
    /// Whether the caller asked for the usage chunk of a stream.
    pub include_usage: bool,
    /// What an answer needs of its request ([`Surface::echo`]).
    pub echo: Option<Raw<'static>>,
    /// Wraps what a model signs where the surface's own models do not.
    pub carrier: Carrier,
}

/// Writes a stream in a surface's protocol. What events produce gathers in a buffer that [`StreamWriter::take`] empties.
pub trait StreamWriter: Sink {
    /// Moves what has been written so far to the end of `out`.
    fn take(&mut self, out: &mut Vec<u8>);
    /// The answer is complete: the usage chunk if asked for, and the protocol's terminal marker.
    fn close(&mut self, closing: &Closing);
    /// The answer broke off: an error event, and no terminal marker.
    fn fail(&mut self, failure: &Failure, closing: &Closing);
    /// What the end of the answer comes to in a protocol that has no word for it: an answer that broke off.
    fn failure(&self) -> Option<Failure> {
        None
    }
    /// Something harmless that keeps proxies from hanging up.
    fn keep_alive(&mut self);
}

impl Format {
    /// Every format.
    pub const ALL: &[Format] = &[
        Format::OpenAiChat,
        Format::OpenAiResponses,
        Format::Anthropic,
        Format::Gemini,
        Format::Bedrock,
        Format::Cohere,
        Format::Ollama,
        Format::WorkersAi,
    ];

    /// As the configuration document and the admin API name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Format::OpenAiChat => "openai_chat",
            Format::OpenAiResponses => "openai_responses",
            Format::Anthropic => "anthropic",
            Format::Gemini => "gemini",
            Format::Bedrock => "bedrock",
            Format::Cohere => "cohere",
            Format::Ollama => "ollama",
            Format::WorkersAi => "workers_ai",
        }
    }

    /// Writes `request` in this format.
    ///
    /// # Errors
    /// `BadRequest` or `Unsupported`, naming the caller's field, where the target cannot serve it.
    pub fn write_request(
        self,
        request: &Request<'_>,
        target: &Target<'_>,
        adjusted: &mut Adjusted,
    ) -> Result<Outgoing, Failure> {
        if let Some(failure) = &request.untranslatable {
            return Err(failure.clone());
        }
        for name in &request.unsayable {
            adjusted.note(name.clone().into_owned(), Change::Dropped);
        }
        let has_laws = matches!(self, Format::Anthropic | Format::Bedrock | Format::Gemini);
        let request = &*if has_laws { Cow::Borrowed(request) } else { answered::answered(request, adjusted) };
        match self {
            Format::OpenAiChat => openai_chat::write_request(request, target, adjusted),
            Format::OpenAiResponses => openai_responses::write_request(request, target, adjusted),
            Format::Anthropic => anthropic::write_request(request, target, adjusted),
            Format::Gemini => gemini::write_request(request, target, adjusted),
            Format::Bedrock => bedrock::write_request(request, target, adjusted),
            Format::Cohere => cohere::write_request(request, target, adjusted),
            Format::Ollama => ollama::write_request(request, target, adjusted),
            Format::WorkersAi => workers_ai::write_request(request, target, adjusted),
        }
    }

    /// Reads a whole successful answer.
    ///
    /// # Errors
    /// `BadAnswer` where it is none; the upstream's own error where a 200 holds one.
    pub fn read_answer<'b>(self, body: &'b [u8], quirks: &Quirks) -> Result<Answer<'b>, Failure> {
        match self {
            Format::OpenAiChat => openai_chat::read_answer(body, quirks),
            Format::OpenAiResponses => openai_responses::read_answer(body, quirks),
            Format::Anthropic => anthropic::read_answer(body, quirks),
            Format::Gemini => gemini::read_answer(body, quirks),
            Format::Bedrock => bedrock::read_answer(body, quirks),
            Format::Cohere => cohere::read_answer(body, quirks),
            Format::Ollama => ollama::read_answer(body, quirks),
            Format::WorkersAi => workers_ai::read_answer(body, quirks),
        }
    }

    /// How the events of its streams are told apart.
    #[must_use]
    pub fn framing(self, quirks: &Quirks) -> Framing {
        match self {
            Format::Anthropic if quirks.hosting == Hosting::InvokeModel => Framing::EventStreamChunks,
            Format::OpenAiChat | Format::OpenAiResponses | Format::Anthropic | Format::Gemini | Format::Cohere => {
                Framing::ServerSent
            }
            Format::Bedrock => Framing::EventStream,
            Format::Ollama => Framing::Lines,
            Format::WorkersAi => Framing::ServerSent,
        }
    }

    /// A decoder for one stream.
    #[must_use]
    pub fn decoder(self, quirks: &Quirks) -> Box<dyn StreamDecoder> {
        match self {
            Format::OpenAiChat => Box::new(openai_chat::Decoder::new(quirks)),
            Format::OpenAiResponses => Box::new(openai_responses::Decoder::new(quirks)),
            Format::Anthropic => Box::new(anthropic::Decoder::new(quirks)),
            Format::Gemini => Box::new(gemini::Decoder::new(quirks)),
            Format::Bedrock => Box::new(bedrock::Decoder::new(quirks)),
            Format::Cohere => Box::new(cohere::Decoder::new(quirks)),
            Format::Ollama => Box::new(ollama::Decoder::new(quirks)),
            Format::WorkersAi => Box::new(workers_ai::Decoder::new(quirks)),
        }
    }

    /// Reads an answer with an error status: classified, with the upstream's own words made safe for the caller.
    ///
    /// `header` looks a response header up by its lower-case name.
    #[must_use]
    pub fn read_error(self, status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
        match self {
            Format::OpenAiChat => openai_chat::read_error(status, header, body),
            Format::OpenAiResponses => openai_responses::read_error(status, header, body),
            Format::Anthropic => anthropic::read_error(status, header, body),
            Format::Gemini => gemini::read_error(status, header, body),
            Format::Bedrock => bedrock::read_error(status, header, body),
            Format::Cohere => cohere::read_error(status, header, body),
            Format::Ollama => ollama::read_error(status, header, body),
            Format::WorkersAi => workers_ai::read_error(status, header, body),
        }
    }

    /// Writes a call for embeddings.
    ///
    /// # Errors
    /// `Unsupported` where the protocol has no embeddings, or `request` holds what they cannot say.
    pub fn write_embeddings(
        self,
        request: &EmbeddingsRequest<'_>,
        target: &Target<'_>,
        adjusted: &mut Adjusted,
    ) -> Result<Outgoing, Failure> {
        match self {
            Format::OpenAiChat => openai_chat::write_embeddings(request, target.model, adjusted),
            Format::Gemini => gemini::write_embeddings(request, target, adjusted),
            Format::Cohere => cohere::write_embeddings(request, target.model, adjusted),
            Format::Bedrock => bedrock::write_embeddings(request, target.model, adjusted),
            Format::Ollama => ollama::write_embeddings(request, target.model, adjusted),
            Format::WorkersAi => workers_ai::write_embeddings(request, target.model, adjusted),
            _ => Err(Failure::unsupported("model", "It makes no embeddings.")),
        }
    }

    /// Reads a successful answer to a call for embeddings.
    ///
    /// # Errors
    /// `BadAnswer` where it is none.
    pub fn read_embeddings(self, body: &[u8]) -> Result<EmbeddingsAnswer<'_>, Failure> {
        match self {
            Format::OpenAiChat => openai_chat::read_embeddings(body),
            Format::Gemini => gemini::read_embeddings(body),
            Format::Cohere => cohere::read_embeddings(body),
            Format::Bedrock => bedrock::read_embeddings(body),
            Format::Ollama => ollama::read_embeddings(body),
            Format::WorkersAi => workers_ai::read_embeddings(body),
            _ => Err(Failure::bad_answer("This protocol has no embeddings.")),
        }
    }

    /// Links in the request that this format cannot take as links and that must be fetched first.
    #[must_use]
    pub fn links_to_inline(self, request: &Request<'_>, target: &Target<'_>) -> Vec<String> {
        match self {
            Format::OpenAiChat => openai_chat::links_to_inline(request, target),
            Format::OpenAiResponses => openai_responses::links_to_inline(request, target),
            Format::Anthropic => anthropic::links_to_inline(request, target),
            Format::Gemini => gemini::links_to_inline(request, target),
            Format::Bedrock => bedrock::links_to_inline(request, target),
            Format::Cohere => cohere::links_to_inline(request, target),
            Format::Ollama => ollama::links_to_inline(request, target),
            Format::WorkersAi => workers_ai::links_to_inline(request, target),
        }
    }
}
