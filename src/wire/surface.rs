//! What callers speak. One place a surface: everything that the gateway needs of the caller's protocol is asked here.

use std::borrow::Cow;

use super::drive::StreamPatcher;
use super::{Adjusted, Closing, Format, Naming, Outgoing, StreamWriter};
use super::{anthropic, openai_chat};
use crate::chat::{Answer, Request, Usage};
use crate::failure::Failure;
use crate::provider::{ModelFacts, Quirks};

/// The protocol a caller speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Surface {
    /// OpenAI Chat Completions, and what stands beside it in that API.
    #[default]
    OpenAiChat,
    /// Anthropic Messages.
    Anthropic,
}

/// How a caller's own request has to change for an upstream of the same protocol.
#[derive(Clone, Copy, Debug)]
pub struct RequestPatch<'p> {
    /// The model's name for the upstream.
    pub model: &'p str,
    /// Whether the answer is streamed; usage is then asked for.
    pub stream: bool,
    /// What the model can do.
    pub facts: &'p ModelFacts,
    /// The output limit of a chat that names none.
    pub default_max_tokens: Option<u32>,
}

/// A caller's own request on its way to an upstream of the same protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    /// What is sent.
    pub outgoing: Outgoing,
    /// The caller does not want to see reasoning.
    pub hide_reasoning: bool,
}

/// What must be known of an upstream's answer before it is sent on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the upstream says it used.
    pub usage: Option<Usage>,
    /// Bytes of text, reasoning and calls, for an estimate where it does not say.
    pub output_bytes: u64,
}

impl Surface {
    /// The upstream format that is the same protocol: a call to one is patched, to any other translated.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Surface::OpenAiChat => Format::OpenAiChat,
            Surface::Anthropic => Format::Anthropic,
        }
    }

    /// Reads a chat call into the hub.
    ///
    /// # Errors
    /// `BadRequest` with the first fault and its place.
    pub fn read_request(self, body: &[u8]) -> Result<Request<'_>, Failure> {
        match self {
            Surface::OpenAiChat => openai_chat::read_request(body),
            Surface::Anthropic => anthropic::read_request(body),
        }
    }

    /// Whether what the model thinks is withheld from the caller of `request`: always where they ask for that, and here
    /// and there unless they ask for it.
    #[must_use]
    pub fn hides_reasoning(self, request: &Request<'_>) -> bool {
        let wish = request.reasoning.as_ref();
        match self {
            Surface::OpenAiChat => wish.is_some_and(|wish| wish.exclude),
            Surface::Anthropic => wish.is_none_or(|wish| wish.exclude || wish.enabled != Some(true)),
        }
    }

    /// Puts a chat call right for an upstream of the same protocol; what nobody here models stays as it is. `header`
    /// looks one of the caller's headers up by its lower-case name.
    ///
    /// # Errors
    /// `BadRequest` where the body is none of this protocol; `Unsupported` where a parameter would be lost to the
    /// caller's harm.
    pub fn patch_request<'h>(
        self,
        body: &[u8],
        patch: &RequestPatch<'_>,
        quirks: &Quirks,
        header: &dyn Fn(&str) -> Option<&'h str>,
        adjusted: &mut Adjusted,
    ) -> Result<Patched, Failure> {
        match self {
            Surface::OpenAiChat => {
                let patched = openai_chat::patch_request(body, patch, quirks, adjusted)?;
                let path = quirks.chat_path.to_owned();
                let outgoing = Outgoing { path, headers: Vec::new(), body: patched.body.into_owned() };
                Ok(Patched { outgoing, hide_reasoning: patched.hide_reasoning })
            }
            Surface::Anthropic => anthropic::patch_request(body, patch, header, adjusted),
        }
    }

    /// Reads what must be known of an answer of the same protocol that goes on as it came.
    ///
    /// # Errors
    /// `BadAnswer` where it is none; the upstream's own error where a 200 holds one.
    pub fn see_answer(self, body: &[u8], quirks: &Quirks) -> Result<Seen, Failure> {
        match self {
            Surface::OpenAiChat => {
                let plain = openai_chat::read_plain(body, quirks)?;
                Ok(Seen { usage: plain.usage, output_bytes: plain.output_bytes })
            }
            Surface::Anthropic => anthropic::see_answer(body, quirks),
        }
    }

    /// An answer of the same protocol with cost, usage and the gateway's facts put in.
    #[must_use]
    pub fn patch_answer<'b>(self, body: &'b [u8], closing: &Closing, hide_reasoning: bool) -> Cow<'b, [u8]> {
        match self {
            Surface::OpenAiChat => openai_chat::patch_answer(body, closing, hide_reasoning),
            Surface::Anthropic => anthropic::patch_answer(body, closing),
        }
    }

    /// Writes a whole answer out of the hub.
    #[must_use]
    pub fn write_answer(self, answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Vec<u8> {
        match self {
            Surface::OpenAiChat => openai_chat::write_answer(answer, naming, closing),
            Surface::Anthropic => anthropic::write_answer(answer, naming, closing),
        }
    }

    /// Writes a stream out of the hub.
    #[must_use]
    pub fn writer(self, naming: Naming) -> Box<dyn StreamWriter> {
        match self {
            Surface::OpenAiChat => Box::new(openai_chat::Writer::new(naming)),
            Surface::Anthropic => Box::new(anthropic::Writer::new(naming)),
        }
    }

    /// Sends a stream of the same protocol on.
    #[must_use]
    pub fn patcher(self, naming: Naming, quirks: &Quirks) -> Box<dyn StreamPatcher> {
        match self {
            Surface::OpenAiChat => Box::new(openai_chat::Patcher::new(naming, quirks)),
            Surface::Anthropic => Box::new(anthropic::Patcher::new(quirks)),
        }
    }

    /// The body of an error answer.
    #[must_use]
    pub fn write_failure(self, failure: &Failure) -> Vec<u8> {
        match self {
            Surface::OpenAiChat => openai_chat::write_failure(failure),
            Surface::Anthropic => anthropic::write_failure(failure),
        }
    }

    /// How an answer's id begins where the gateway has to make one.
    #[must_use]
    pub fn id_prefix(self) -> &'static str {
        match self {
            Surface::OpenAiChat => "chatcmpl-",
            Surface::Anthropic => "msg_",
        }
    }
}
