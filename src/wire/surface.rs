//! What callers speak. One place a surface: everything that the gateway needs of the caller's protocol is asked here.

use std::borrow::Cow;
use std::rc::Rc;

use super::carried::{Carrier, Keys};
use super::drive::StreamPatcher;
use super::{Adjusted, Closing, Format, InlinedMedia, Naming, Outgoing, StreamWriter, Target};
use super::{anthropic, bedrock, cohere, gemini, openai_chat, openai_responses};
use crate::chat::{
    Answer, Effort, EmbeddingsAnswer, EmbeddingsRequest, Message, Part, Reasoning, Request, Role, Usage, VectorEncoding,
};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text};
use crate::provider::{Hosting, ModelFacts, Quirks};

/// The protocol a caller speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Surface {
    /// OpenAI Chat Completions, and what stands beside it in that API.
    #[default]
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
}

/// How the objects of a stream follow one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// As server-sent events.
    #[default]
    Events,
    /// As the items of one JSON array.
    Array,
    /// As the messages of AWS's binary event stream.
    EventStream,
}

impl Layout {
    /// The `content-type` of such a stream.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Layout::Events => "text/event-stream; charset=utf-8",
            Layout::Array => "application/json; charset=utf-8",
            Layout::EventStream => "application/vnd.amazon.eventstream",
        }
    }
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
    /// What opens earlier signatures of this target's that were wrapped.
    pub keys: Option<&'p Rc<Keys>>,
    /// `provider/model`.
    pub target: &'p str,
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
pub struct Seen<'b> {
    /// What the upstream says it used.
    pub usage: Option<Usage>,
    /// Bytes of text, reasoning and calls, for an estimate where it does not say.
    pub output_bytes: u64,
    /// Where its parts stand, where that was noted: with it, the answer need not be walked again to be patched.
    pub outline: Option<openai_chat::Outline<'b>>,
}

impl Surface {
    /// What callers can speak.
    pub const ALL: [Surface; 6] = [
        Surface::OpenAiChat,
        Surface::OpenAiResponses,
        Surface::Anthropic,
        Surface::Gemini,
        Surface::Bedrock,
        Surface::Cohere,
    ];

    /// The upstream format that is the same protocol: a call to one is patched, to any other translated.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Surface::OpenAiChat => Format::OpenAiChat,
            Surface::OpenAiResponses => Format::OpenAiResponses,
            Surface::Anthropic => Format::Anthropic,
            Surface::Gemini => Format::Gemini,
            Surface::Bedrock => Format::Bedrock,
            Surface::Cohere => Format::Cohere,
        }
    }

    /// Reads a chat call into the hub.
    ///
    /// # Errors
    /// `BadRequest` with the first fault and its place.
    pub fn read_request(self, body: &[u8]) -> Result<Request<'_>, Failure> {
        match self {
            Surface::OpenAiChat => openai_chat::read_request(body),
            Surface::OpenAiResponses => openai_responses::read_request(body),
            Surface::Anthropic => anthropic::read_request(body),
            Surface::Gemini => gemini::read_request(body),
            Surface::Bedrock => bedrock::read_request(body),
            Surface::Cohere => cohere::read_request(body),
        }
    }

    /// Whether what an upstream of the same protocol signs has to be wrapped: where it looks like the signatures of the
    /// protocol's maker and is another's, so that nobody could tell them apart when they come back.
    #[must_use]
    pub fn wraps(self, quirks: &Quirks) -> bool {
        self == Surface::OpenAiResponses && quirks.signed != Quirks::NONE.signed
    }

    /// An answer of such an upstream with its signatures wrapped.
    #[must_use]
    pub fn wrap_signatures<'b>(self, body: &'b [u8], quirks: &Quirks, carrier: &Carrier) -> Cow<'b, [u8]> {
        if self.wraps(quirks) {
            openai_responses::wrap_thoughts(body, quirks.signed, carrier)
        } else {
            Cow::Borrowed(body)
        }
    }

    /// Whether what the model thinks is withheld from the caller of `request`: always where they ask for that, and here
    /// and there unless they ask for it.
    #[must_use]
    pub fn hides_reasoning(self, request: &Request<'_>) -> bool {
        let wish = request.reasoning.as_ref();
        match self {
            Surface::OpenAiChat => wish.is_some_and(|wish| wish.exclude),
            Surface::Anthropic => wish.is_none_or(|wish| wish.enabled != Some(true)),
            Surface::OpenAiResponses => wish.is_none_or(|wish| wish.exclude),
            Surface::Gemini => wish.is_none_or(|wish| wish.exclude),
            // There thoughts always come where there are any.
            Surface::Bedrock | Surface::Cohere => false,
        }
    }

    /// Whether the caller wants to see no thoughts and still carry what its models need back of them
    /// (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking#controlling-thinking-display>).
    #[must_use]
    pub fn omits_thoughts(self, request: &Request<'_>) -> bool {
        self == Surface::Anthropic && request.reasoning.as_ref().is_some_and(|wish| wish.exclude)
    }

    /// What asks a model for `effort` where the caller's own body goes on to an upstream of the same protocol, as that
    /// protocol's writer says it: Gemini's `thinkingConfig`, Converse's `additionalModelRequestFields`, Cohere's
    /// `thinking`. `None` where the model takes none, and for the protocols that have a word for it.
    #[must_use]
    pub fn own_effort(
        self,
        body: &[u8],
        effort: Effort,
        model: &str,
        quirks: &Quirks,
        facts: &ModelFacts,
    ) -> Option<String> {
        let path: &[&str] = match self {
            Surface::Gemini => &["generationConfig", "thinkingConfig"],
            Surface::Bedrock => &["additionalModelRequestFields"],
            Surface::Cohere => &["thinking"],
            Surface::OpenAiChat | Surface::OpenAiResponses | Surface::Anthropic => return None,
        };
        let mut request = self.read_request(body).ok()?;
        let exclude = request.reasoning.take().map_or(self == Surface::Gemini, |wish| wish.exclude);
        request.reasoning = Some(Reasoning { effort: Some(effort), exclude, ..Reasoning::default() });
        if self == Surface::Gemini {
            // What is said has no part in it there, and links in it are not fetched yet.
            let (text, cache) = (Text::from_escaped("?"), None);
            let question = Part::Text { text, cache, citations: Vec::new(), signature: None };
            request.messages = vec![Message { role: Role::User, name: None, parts: vec![question] }];
        }
        let target = Target { model, quirks, facts, inlined: &InlinedMedia::new() };
        let written = self.format().write_request(&request, &target, &mut Adjusted::default()).ok()?;
        let written = Raw::parse(std::str::from_utf8(&written.body).ok()?).ok()?;
        let own = path.iter().try_fold(written, |object, key| object.member(key))?;
        Some(own.get().to_owned())
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
            Surface::OpenAiResponses => openai_responses::patch_request(body, patch, quirks, adjusted),
            Surface::Anthropic => anthropic::patch_request(body, patch, quirks.hosting, header, adjusted),
            Surface::Gemini => gemini::patch_request(body, patch, quirks.hosting, adjusted),
            Surface::Bedrock => bedrock::patch_request(body, patch, adjusted),
            Surface::Cohere => cohere::patch_request(body, patch, adjusted),
        }
    }

    /// Links in a chat call that goes on as it is, which an upstream of the same protocol does not follow.
    #[must_use]
    pub fn links_to_inline(self, body: &[u8], quirks: &Quirks) -> Vec<String> {
        if self.follows_links(quirks) { Vec::new() } else { anthropic::links_in(body) }
    }

    /// The same call with what was fetched in place of those links.
    #[must_use]
    pub fn inline_links<'b>(self, body: &'b [u8], quirks: &Quirks, inlined: &InlinedMedia) -> Cow<'b, [u8]> {
        let nothing = inlined.is_empty() || self.follows_links(quirks);
        if nothing { Cow::Borrowed(body) } else { anthropic::inline_links(body, inlined) }
    }

    /// Whether upstreams that speak this protocol follow links as its maker does.
    fn follows_links(self, quirks: &Quirks) -> bool {
        self != Surface::Anthropic || quirks.hosting == Hosting::Own
    }

    /// Reads what must be known of an answer of the same protocol that goes on as it came.
    ///
    /// # Errors
    /// `BadAnswer` where it is none; the upstream's own error where a 200 holds one.
    pub fn see_answer<'b>(self, body: &'b [u8], quirks: &Quirks) -> Result<Seen<'b>, Failure> {
        match self {
            Surface::OpenAiChat => {
                let openai_chat::Plain { usage, output_bytes, outline, .. } = openai_chat::read_plain(body, quirks)?;
                Ok(Seen { usage, output_bytes, outline: Some(outline) })
            }
            Surface::OpenAiResponses => openai_responses::see_answer(body, quirks),
            Surface::Anthropic => anthropic::see_answer(body, quirks),
            Surface::Gemini => gemini::see_answer(body, quirks),
            Surface::Bedrock => bedrock::see_answer(body, quirks),
            Surface::Cohere => cohere::see_answer(body, quirks),
        }
    }

    /// An answer of the same protocol with cost, usage and the gateway's facts put in.
    #[must_use]
    pub fn patch_answer<'b>(self, body: &'b [u8], closing: &Closing, hide_reasoning: bool) -> Cow<'b, [u8]> {
        match self {
            Surface::OpenAiChat => openai_chat::patch_answer(body, closing, hide_reasoning),
            Surface::OpenAiResponses => openai_responses::patch_answer(body, closing),
            Surface::Anthropic => anthropic::patch_answer(body, closing),
            Surface::Gemini => gemini::patch_answer(body, closing),
            Surface::Bedrock => bedrock::patch_answer(body, closing),
            Surface::Cohere => cohere::patch_answer(body, closing),
        }
    }

    /// Writes a whole answer out of the hub.
    ///
    /// # Errors
    /// With the failure of a generation that failed, where the protocol has no word for such an end.
    pub fn write_answer(self, answer: &Answer<'_>, naming: &Naming, closing: &Closing) -> Result<Vec<u8>, Failure> {
        Ok(match self {
            Surface::OpenAiChat => openai_chat::write_answer(answer, naming, closing),
            Surface::OpenAiResponses => openai_responses::write_answer(answer, naming, closing),
            Surface::Anthropic => return anthropic::write_answer(answer, naming, closing),
            Surface::Gemini => gemini::write_answer(answer, naming, closing),
            Surface::Bedrock => bedrock::write_answer(answer, naming, closing),
            Surface::Cohere => cohere::write_answer(answer, naming, closing),
        })
    }

    /// Writes a stream out of the hub.
    #[must_use]
    pub fn writer(self, naming: Naming, layout: Layout) -> Box<dyn StreamWriter> {
        match self {
            Surface::OpenAiChat => match naming.echo.clone() {
                Some(names) => Box::new(openai_chat::FreeTextWriter::new(openai_chat::Writer::new(naming), names)),
                None => Box::new(openai_chat::Writer::new(naming)),
            },
            Surface::OpenAiResponses => Box::new(openai_responses::Writer::new(naming)),
            Surface::Anthropic => Box::new(anthropic::Writer::new(naming)),
            Surface::Gemini => Box::new(gemini::Writer::new(naming, layout)),
            Surface::Bedrock => Box::new(bedrock::Writer::new(naming)),
            Surface::Cohere => Box::new(cohere::Writer::new(naming)),
        }
    }

    /// Sends a stream of the same protocol on.
    #[must_use]
    pub fn patcher(self, naming: Naming, quirks: &Quirks, layout: Layout) -> Box<dyn StreamPatcher> {
        match self {
            Surface::OpenAiChat => Box::new(openai_chat::Patcher::new(naming, quirks)),
            Surface::OpenAiResponses => Box::new(openai_responses::Patcher::new(naming, quirks)),
            Surface::Anthropic => Box::new(anthropic::Patcher::new(naming, quirks)),
            Surface::Gemini => Box::new(gemini::Patcher::new(naming, quirks, layout)),
            Surface::Bedrock => Box::new(bedrock::Patcher::new(naming, quirks)),
            Surface::Cohere => Box::new(cohere::Patcher::new(naming, quirks)),
        }
    }

    /// The body of an error answer.
    #[must_use]
    pub fn write_failure(self, failure: &Failure) -> Vec<u8> {
        match self {
            Surface::OpenAiChat | Surface::OpenAiResponses => openai_chat::write_failure(failure),
            Surface::Anthropic => anthropic::write_failure(failure),
            Surface::Gemini => gemini::write_failure(failure),
            Surface::Bedrock => bedrock::write_failure(failure),
            Surface::Cohere => cohere::write_failure(failure),
        }
    }

    /// The header by which an error answer says what it is, where that is no matter of its body.
    #[must_use]
    pub fn failure_header(self, failure: &Failure) -> Option<(&'static str, &'static str)> {
        (self == Surface::Bedrock).then(|| ("x-amzn-errortype", bedrock::exception(failure.kind)))
    }

    /// Reads a call for embeddings; `batch` says whether it is of the endpoint for several.
    ///
    /// # Errors
    /// `BadRequest` with the first fault and its place; `Unsupported` on a surface without embeddings.
    pub fn read_embeddings(self, body: &[u8], batch: bool) -> Result<EmbeddingsRequest<'_>, Failure> {
        match self {
            Surface::OpenAiChat => openai_chat::read_embeddings_request(body),
            Surface::Gemini => gemini::read_embeddings_request(body, batch),
            Surface::OpenAiResponses | Surface::Anthropic | Surface::Bedrock | Surface::Cohere => {
                Err(Failure::unsupported("model", "This API has no embeddings."))
            }
        }
    }

    /// Writes the answer to such a call. `model` is used where the upstream named none.
    ///
    /// # Errors
    /// `BadAnswer` where a vector of the upstream is none.
    pub fn write_embeddings(
        self,
        answer: &EmbeddingsAnswer<'_>,
        model: &str,
        encoding: VectorEncoding,
        batch: bool,
        closing: &Closing,
    ) -> Result<Vec<u8>, Failure> {
        match self {
            Surface::Gemini => gemini::write_embeddings_answer(answer, batch, closing),
            _ => openai_chat::write_embeddings_answer(answer, model, encoding, closing),
        }
    }

    /// Where an upstream of the same protocol counts a prompt's tokens; empty where it does not.
    #[must_use]
    pub fn count_path(self, model: &str, quirks: &Quirks) -> String {
        match self {
            // Hosts count in other places, and not what is asked here.
            Surface::Anthropic if quirks.hosting == Hosting::Own => "/v1/messages/count_tokens".to_owned(),
            Surface::OpenAiChat
            | Surface::OpenAiResponses
            | Surface::Anthropic
            | Surface::Bedrock
            | Surface::Cohere => String::new(),
            Surface::Gemini => gemini::count_path(model, quirks.hosting),
        }
    }

    /// The answer to a call that has tokens counted; one that is estimated says so.
    #[must_use]
    pub fn write_count(self, tokens: u64, estimated: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut body = Object::open(&mut out);
        body.number(if self == Surface::Gemini { "totalTokens" } else { "input_tokens" }, tokens);
        if estimated {
            body.object("latchkey", |latchkey| {
                latchkey.boolean("estimated", true);
            });
        }
        body.close();
        out
    }

    /// What an answer needs of the request in `body`: what it repeats of it, or the tools that take free text; nothing
    /// on most surfaces.
    #[must_use]
    pub fn echo(self, body: &[u8]) -> Option<Raw<'static>> {
        match self {
            Surface::OpenAiResponses => openai_responses::echo(body),
            Surface::OpenAiChat => openai_chat::free_tools(body),
            _ => None,
        }
    }

    /// How an answer's id begins where the gateway has to make one.
    #[must_use]
    pub fn id_prefix(self) -> &'static str {
        match self {
            Surface::OpenAiChat => "chatcmpl-",
            Surface::OpenAiResponses => "resp_",
            Surface::Anthropic => "msg_",
            Surface::Gemini | Surface::Bedrock | Surface::Cohere => "",
        }
    }
}
