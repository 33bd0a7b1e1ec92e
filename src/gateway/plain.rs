//! Answers that are not streamed, and error answers.

use std::borrow::Cow;

use crate::chat::{Answer, EmbeddingsAnswer, Flaw, Judge, Usage, VectorEncoding, unfold};
use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Response, Task};
use crate::json::{self, Raw};
use crate::units::UnixMillis;
use crate::wire::drive::{Caps, Pipe};
use crate::wire::openai_chat::Outline;
use crate::wire::service::{self, RerankAnswer};
use crate::wire::{Closing, Cost, Format, Naming, Surface};

use super::attempt::{Attempt, Lane};
use super::call::{Call, Stage};
use super::send::no_attempt;
use super::settle::estimate;
use super::stream::{broken, stream_head};
use super::tried::Tried;
use super::{Gateway, Step};

impl Gateway {
    /// The upstream's status line came.
    pub(super) fn headers(&mut self, call: &mut Call, status: u16, headers: &[(&str, &str)], now: UnixMillis) -> Step {
        let limits = self.setup.config.limits;
        let success = (200..300).contains(&status);
        let content_type = headers.iter().find(|(name, _)| *name == "content-type").map_or("", |(_, value)| *value);
        if let Some(attempt) = &mut call.attempt {
            attempt.status = Some(status);
            attempt.is_page = content_type.starts_with("text/html");
        }
        self.note_headroom(call, headers, now);
        if status == 101 && call.endpoint == Some(Endpoint::Realtime) {
            return self.talk_begun(call, now);
        }
        if call.is_passed_through() {
            return self.pass_through(call, status, headers, content_type, now);
        }
        // A stream that was asked for and is labelled as something else is read whole: it is an error, or an answer
        // that came in one piece after all. A 204 has no body to stream.
        let has_body = !matches!(status, 204 | 205);
        if success && has_body && call.asked.stream && !content_type.starts_with("application/json") {
            return if call.is_service() {
                self.pass_through(call, status, &[], content_type, now)
            } else {
                self.open_stream(call, now)
            };
        }
        let kept = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        call.stage = Stage::Body(status, kept);
        Step::ReadBody(limits.answer_bytes)
    }

    /// The upstream's whole body came.
    pub(super) fn body(
        &mut self,
        call: &mut Call,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let Some(attempt) = &call.attempt else { return Err(no_attempt()) };
        if !(200..300).contains(&status) {
            let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            return Err(attempt.format.read_error(status, &header, body));
        }
        if call.resume.is_some() {
            return Err(Failure::bad_answer("The provider did not stream its continuation."));
        }
        // Before somebody judges it: that takes time which is not the target's.
        call.first_token = Some(now);
        if let Some(step) = self.escalate(call, body, now) {
            return Ok(step);
        }
        let content_type = headers.iter().find(|(name, _)| name == "content-type").map_or("", |(_, value)| value);
        let served = match call.asked.stream && !call.is_service() {
            true => self.stream_whole(call, body, now),
            false => self.serve_plain(call, content_type, body, now),
        };
        let Err(failure) = served else { return served };
        // A generation that failed may say what it used all the same.
        let quirks = call.attempt.as_ref().map(|attempt| attempt.upstream.quirks);
        let told = quirks.and_then(|quirks| service::read_usage(body, &quirks)).filter(Usage::is_credible);
        if told.is_none() { Err(failure) } else { Ok(self.leave(call, told, failure, now)) }
    }

    /// What becomes of a body that is longer than it may be. An answer is as long as it was asked for: that is not its
    /// target's fault, and it would be no shorter elsewhere.
    pub(super) fn too_long(&self, status: u16) -> Failure {
        let most = self.setup.config.limits.answer_bytes;
        if !(200..300).contains(&status) {
            return broken("what it says of an error is too long");
        }
        let message = format!("The provider's answer has more than {most} bytes (limit `answer_bytes`); ask for less.");
        Failure::new(Kind::TooLarge, message).code("answer_too_large")
    }

    /// The answer in one piece goes to the caller.
    pub(super) fn serve_plain(
        &mut self,
        call: &mut Call,
        content_type: &str,
        body: &[u8],
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let Some(attempt) = &call.attempt else { return Err(no_attempt()) };
        let (usage, answer) = match call.task() {
            Some(Task::Service(service)) => super::service::read(service, call, attempt, content_type, body, now)?,
            _ => read(call, attempt, body, now)?,
        };
        let own_cost = self.cost(call, &usage);
        self.outpace(call, now);
        let (total, cost) = call.with_besides(Some(usage.clone()), own_cost);
        let mut closing = Closing { usage: total, cost, latchkey: None, latency: now.since(call.started) };
        // What cannot be written is a failed attempt; what can is served before it is.
        if call.wishes.explain {
            let served = call.tried_now(None, now);
            let served = served.map(|served| Tried { usage: Some(usage.clone()), cost: own_cost, ..served });
            closing.latchkey = Some(call.explanation(served.as_ref()));
        }
        let written = match answer.write(&closing) {
            Ok(written) => written,
            Err(failure) => return Ok(self.leave(call, Some(usage), failure, now)),
        };
        let flaw = answer.flaw(call);
        call.flaw = flaw;
        self.report_served(call, Some(&usage), now);
        let paid = self.pay(call, Some(&usage), own_cost);
        call.note_served(now);
        call.note_used(Some(&usage), paid);
        let mut response = Response::json(200, written);
        if let Plain::Bytes(_, kind) = &answer
            && let Some((_, value)) = response.headers.first_mut()
        {
            value.clone_from(kind);
        }
        if let Some(Cost { charged, .. }) = cost {
            response = response.header("x-latchkey-cost", charged.text());
        }
        let status = if call.drained { 499 } else { 200 };
        let record = call.record(status, None, Some(&usage), own_cost, now);
        self.keep_record(call, record);
        Ok(Step::Respond(call.dress(response, now)))
    }

    /// A stream was asked for and came in one piece, as servers that cannot stream answer: the caller gets a stream.
    pub(super) fn stream_whole(&mut self, call: &mut Call, body: &[u8], now: UnixMillis) -> Result<Step, Failure> {
        let (mut pipe, mut out, end) = self.as_stream(call, body, now)?;
        if let Err(failure) = end {
            return Ok(self.lose(call, &pipe, failure, now));
        }
        let closing = self.settle(call, &pipe, None, now);
        pipe.close(&closing, &mut out);
        Ok(Step::Respond(call.dress(stream_head(out, call.asked.layout), now)))
    }

    /// An answer in one piece as a stream that lacks its closing, and how it ended: one that failed has used something, too.
    pub(super) fn as_stream(&self, call: &Call, body: &[u8], now: UnixMillis) -> Result<Streamed, Failure> {
        let limits = self.setup.config.limits;
        let caps = Caps { event: limits.answer_bytes, answer: limits.answer_bytes };
        let Some(attempt) = &call.attempt else { return Err(no_attempt()) };
        let (format, quirks) = (attempt.format, &attempt.upstream.quirks);
        let naming = attempt.naming(call, call.asked.include_usage, now);
        let surface = call.surface();
        let mut out = Vec::new();
        let body = body.trim_ascii();
        let is_chat = call.task() == Some(Task::Chat);
        let mut pipe = if is_chat {
            Pipe::translated(format, quirks, surface.writer(naming, call.asked.layout), caps)
                .unwrapping(attempt.unwraps)
                .stopping(&attempt.stops)
                .renaming(&attempt.renamed)
        } else {
            Pipe::patched(surface.patcher(naming, quirks, call.asked.layout), caps)
        };
        let end = if is_chat && body.starts_with(b"{") {
            if let Some(shape) = call.shape() {
                pipe.expect(shape);
            }
            pipe.take_whole(&attempt.read_answer(body)?, &mut out);
            pipe.failure().map_or(Ok(()), Err)
        } else {
            pipe.feed(&as_events(body, format)?, &mut out);
            pipe.finish(&mut out)
        };
        Ok((pipe, out, end))
    }
}

/// A stream that lacks its closing, what the caller gets of it, and how it ended.
type Streamed = (Pipe, Vec<u8>, Result<(), Failure>);

/// The events that a body in one piece would have come in: a stream that is only labelled as JSON is one already, an
/// array has one for each item (`streamGenerateContent` without `alt=sse`), and a legacy completion is its own chunk.
fn as_events(body: &[u8], format: Format) -> Result<Cow<'_, [u8]>, Failure> {
    let unreadable = |error: crate::json::Error| {
        Failure::bad_answer("The provider's answer is none of its protocol.").because(error.to_string())
    };
    let pieces: Vec<Raw<'_>> = match body.first() {
        Some(b'[') => crate::json::from_slice(body).map_err(unreadable)?,
        Some(b'{') => vec![crate::json::from_slice(body).map_err(unreadable)?],
        _ => return Ok(Cow::Borrowed(body)),
    };
    let mut events = Vec::with_capacity(body.len() + 64);
    for piece in &pieces {
        for part in ["data: ", &piece.compact(), "\n\n"] {
            events.extend_from_slice(part.as_bytes());
        }
    }
    if format == Format::OpenAiChat {
        events.extend_from_slice(b"data: [DONE]\n\n");
    }
    Ok(Cow::Owned(events))
}

/// An answer that has been read and only lacks its cost.
pub(super) enum Plain<'b> {
    Patched(Patched<'b>),
    Chat(Surface, Answer<'b>, Naming),
    Embeddings(Endpoint, EmbeddingsAnswer<'b>, String, VectorEncoding),
    /// It costs nothing and says nothing else.
    Count(&'b [u8]),
    /// Documents in their order, with the answer's id and the model's name.
    Ranking(RerankAnswer, String, String),
    /// Of a service, in JSON.
    Service(Cow<'b, [u8]>),
    /// Anything else, and its media type.
    Bytes(Vec<u8>, String),
}

/// An answer of the caller's own protocol.
pub(super) struct Patched<'b> {
    surface: Surface,
    body: Cow<'b, [u8]>,
    /// Of this very body.
    outline: Option<Outline<'b>>,
    hide_reasoning: bool,
    /// Whether it is worth being judged: most answers show at a glance that they say something.
    doubtful: bool,
}

impl Patched<'_> {
    fn write(&self, closing: &Closing) -> Vec<u8> {
        match &self.outline {
            Some(outline) => outline.patch(closing, self.hide_reasoning),
            None => self.surface.patch_answer(&self.body, closing, self.hide_reasoning),
        }
        .into_owned()
    }
}

impl Plain<'_> {
    pub(super) fn write(&self, closing: &Closing) -> Result<Vec<u8>, Failure> {
        Ok(match self {
            Plain::Patched(patched) => patched.write(closing),
            Plain::Chat(surface, answer, naming) => surface.write_answer(answer, naming, closing)?,
            Plain::Embeddings(endpoint, answer, model, encoding) => {
                let surface = endpoint.surface();
                surface.write_embeddings(answer, model, *encoding, endpoint.is_batch(), closing)?
            }
            Plain::Count(body) => body.to_vec(),
            Plain::Ranking(answer, id, model) => answer.write(id, model, closing),
            Plain::Service(body) => service::patch_answer(body, closing).into_owned(),
            Plain::Bytes(body, _) => body.clone(),
        })
    }

    fn flaw(&self, call: &Call) -> Option<Flaw> {
        let mut judge = Judge::new(call.shape());
        match self {
            Plain::Chat(_, answer, _) => unfold(answer, &mut judge),
            Plain::Patched(patched) if patched.doubtful => {
                let attempt = call.attempt.as_ref()?;
                unfold(&attempt.format.read_answer(&patched.body, &attempt.upstream.quirks).ok()?, &mut judge);
            }
            _ => return None,
        }
        judge.flaw()
    }
}

/// A message of so many bytes, with its role and all, may say nothing.
const SHORT: u64 = 128;

/// Whether an answer holds calls whose arguments are text, and may be broken.
fn calls_tools(body: &[u8]) -> bool {
    json::mentions(body, b"\"arguments\"")
}

/// Reads a successful body: what it used, estimated where it does not say, and the answer itself.
pub(super) fn read<'b>(
    call: &Call,
    attempt: &Attempt,
    body: &'b [u8],
    now: UnixMillis,
) -> Result<(Usage, Plain<'b>), Failure> {
    let request_bytes = call.incoming.body.len() as u64;
    let quirks = &attempt.upstream.quirks;
    let endpoint = call.endpoint.unwrap_or(Endpoint::ChatCompletions);
    let surface = endpoint.surface();
    match (endpoint.task(), attempt.format) {
        (Task::Count, _) => Ok((Usage::default(), Plain::Count(body))),
        (Task::Embeddings, format) if format != Format::OpenAiChat || surface != Surface::OpenAiChat => {
            let answer = format.read_embeddings(body)?;
            let usage = answer.usage.clone().filter(Usage::is_credible).unwrap_or_else(|| estimate(request_bytes, 0));
            let asked = surface.read_embeddings(&call.incoming.body, endpoint.is_batch())?;
            Ok((usage, Plain::Embeddings(endpoint, answer, attempt.model.clone(), asked.encoding)))
        }
        (_, format) if surface.format() == format && attempt.lane != Lane::Translated => {
            let seen = surface.see_answer(body, quirks)?;
            let usage =
                seen.usage.filter(Usage::is_credible).unwrap_or_else(|| estimate(request_bytes, seen.output_bytes));
            let is_chat = endpoint.task() == Task::Chat;
            let doubtful = seen.output_bytes <= SHORT || call.asked.structured || calls_tools(body);
            let body = if attempt.wraps(surface) {
                surface.wrap_signatures(body, quirks, &attempt.carrier())
            } else {
                Cow::Borrowed(body)
            };
            let outline = seen.outline.filter(|_| matches!(body, Cow::Borrowed(_)));
            let (hide_reasoning, doubtful) = (attempt.hide_reasoning, is_chat && doubtful);
            Ok((usage, Plain::Patched(Patched { surface, body, outline, hide_reasoning, doubtful })))
        }
        _ => {
            let answer = attempt.read_answer(body)?;
            let usage = answer
                .usage
                .clone()
                .filter(Usage::is_credible)
                .unwrap_or_else(|| estimate(request_bytes, body.len() as u64));
            let naming = attempt.naming(call, true, now);
            Ok((usage, Plain::Chat(surface, answer, naming)))
        }
    }
}
