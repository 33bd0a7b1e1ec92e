//! Answers that are not streamed, and error answers.

use crate::chat::{Answer, EmbeddingsAnswer, Usage, VectorEncoding};
use crate::failure::{Failure, Kind};
use crate::http::{Endpoint, Response};
use crate::units::UnixMillis;
use crate::wire::{Closing, Cost, Format, Naming, gemini, openai_chat};

use super::attempt::{Attempt, Lane};
use super::call::{Call, Stage};
use super::settle::estimate;
use super::{Gateway, Step};

impl Gateway {
    /// The upstream's status line came.
    pub(super) fn headers(&mut self, call: &mut Call, status: u16, headers: &[(&str, &str)], now: UnixMillis) -> Step {
        let limits = self.setup.config.limits;
        let success = (200..300).contains(&status);
        let content_type = headers.iter().find(|(name, _)| *name == "content-type").map_or("", |(_, value)| *value);
        // A stream that was asked for and is labelled as something else is read whole: it is an error, or an answer
        // that came in one piece after all.
        if success && call.asked.stream && !content_type.starts_with("application/json") {
            return self.open_stream(call, now);
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
        let Some(attempt) = &call.attempt else {
            return Err(Failure::new(Kind::Internal, "The call has no attempt."));
        };
        if !(200..300).contains(&status) {
            let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            return Err(attempt.upstream.format.read_error(status, &header, body));
        }
        let (usage, answer) = read(call, attempt, body, now)?;
        let cost = self.cost(call, &usage);
        let closing = Closing { usage: Some(usage), cost, latchkey: None };
        call.first_token = Some(now);
        let written = answer.write(&closing)?;
        let mut response = Response::json(200, written);
        if let Some(Cost { charged, .. }) = cost {
            response = response.header("x-latchkey-cost", charged.to_string());
        }
        let status = if call.drained { 499 } else { 200 };
        self.records.push(call.record(status, None, closing.usage.as_ref(), cost, now));
        Ok(Step::Respond(call.dress(response, now)))
    }
}

/// An answer that has been read and only lacks its cost.
enum Plain<'b> {
    Patched(&'b [u8], &'b Attempt),
    Chat(Answer<'b>, Naming),
    Embeddings(EmbeddingsAnswer<'b>, String, VectorEncoding),
}

impl Plain<'_> {
    fn write(&self, closing: &Closing) -> Result<Vec<u8>, Failure> {
        Ok(match self {
            Plain::Patched(body, attempt) => {
                openai_chat::patch_answer(body, closing, attempt.hide_reasoning).into_owned()
            }
            Plain::Chat(answer, naming) => openai_chat::write_answer(answer, naming, closing),
            Plain::Embeddings(answer, model, encoding) => {
                openai_chat::write_embeddings_answer(answer, model, *encoding, closing)?
            }
        })
    }
}

/// Reads a successful body: what it used, estimated where it does not say, and the answer itself.
fn read<'b>(call: &Call, attempt: &'b Attempt, body: &'b [u8], now: UnixMillis) -> Result<(Usage, Plain<'b>), Failure> {
    let request_bytes = call.incoming.body.len() as u64;
    let quirks = &attempt.upstream.quirks;
    let endpoint = call.endpoint.unwrap_or(Endpoint::ChatCompletions);
    match (endpoint, attempt.upstream.format) {
        (Endpoint::Embeddings, Format::Gemini) => {
            let answer = gemini::read_embeddings(body)?;
            let usage = answer.usage.clone().unwrap_or_else(|| estimate(request_bytes, 0));
            let asked = openai_chat::read_embeddings_request(&call.incoming.body)?;
            Ok((usage, Plain::Embeddings(answer, attempt.model.clone(), asked.encoding)))
        }
        (_, Format::OpenAiChat) => {
            debug_assert!(attempt.lane != Lane::Translated);
            let plain = openai_chat::read_plain(body, quirks)?;
            let usage = plain.usage.unwrap_or_else(|| estimate(request_bytes, plain.output_bytes));
            Ok((usage, Plain::Patched(body, attempt)))
        }
        (_, format) => {
            let answer = format.read_answer(body, quirks)?;
            let usage = answer.usage.clone().unwrap_or_else(|| estimate(request_bytes, body.len() as u64));
            let naming = attempt.naming(&call.request_id, true, now);
            Ok((usage, Plain::Chat(answer, naming)))
        }
    }
}
