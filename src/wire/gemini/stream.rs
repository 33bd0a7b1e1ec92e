//! Decodes a stream: each event is a whole response with the next parts of its candidates.
//!
//! There is no terminal event. A candidate's `finishReason` is its end, but some streams repeat one in every chunk
//! (`vertex.chat-stream.540514bc3a`) and usage may follow it, so ends are held back until the body is complete.

use crate::chat::{Event, Sink, Usage};
use crate::failure::Failure;
use crate::json::Text;
use crate::provider::Quirks;
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

use super::answer::read;
use super::building::Building;
use super::error::in_answer;
use super::timestamp::seconds;
use super::types::{Response, UsageMetadata};
use super::usage::{service_tier, usage};

/// More candidates than any model gives; the rest of a broken answer is passed by.
const MAX_CANDIDATES: usize = 64;

/// Decodes a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    /// Nothing may follow: it failed, or its ends are given.
    over: bool,
    response_id: Text<'static>,
    candidates: Vec<Building>,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

impl Decoder {
    /// A decoder. No vendor departs from this format so far.
    #[must_use]
    pub fn new(_: &Quirks) -> Decoder {
        Decoder::default()
    }

    /// Takes one response.
    pub(super) fn take(&mut self, response: Response<'_>, sink: &mut dyn Sink) {
        if self.over {
            return;
        }
        if let Some(error) = &response.error {
            self.over = true;
            sink.event(Event::Failed(in_answer(error)));
            return;
        }
        self.start(&response, sink);
        for candidate in response.candidates {
            if let Some(building) = self.building(candidate.index.unwrap_or(0)) {
                building.take(candidate, sink);
            }
        }
        // A prompt that was refused has no candidate: the first choice then says why.
        if let Some(feedback) = response.prompt_feedback.filter(|_| self.candidates.is_empty())
            && let Some(reason) = feedback.block_reason
        {
            self.candidates.push(Building::blocked(reason.0, feedback.block_reason_message, sink));
        }
        if let Some(metadata) = &response.usage_metadata {
            self.count(metadata, sink);
        }
    }

    /// Gives the last usage and ends every candidate.
    pub(super) fn close(&mut self, sink: &mut dyn Sink) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if let Some(mut usage) = self.usage.take() {
            let searches = self.candidates.iter().map(Building::searches).fold(0, u64::saturating_add);
            usage.tool_requests = Some(searches).filter(|searches| *searches > 0);
            usage.service_tier = self.service_tier.take();
            sink.event(Event::Usage(usage));
        }
        for candidate in &mut self.candidates {
            candidate.end(sink);
        }
    }

    fn start(&mut self, response: &Response<'_>, sink: &mut dyn Sink) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.response_id = response.response_id.clone().unwrap_or_default().into_owned();
        sink.event(Event::Start {
            id: self.response_id.borrowed(),
            model: response.model_version.clone().unwrap_or_default(),
            created: response.create_time.as_ref().and_then(|time| seconds(&time.decode())),
        });
    }

    fn building(&mut self, index: u32) -> Option<&mut Building> {
        let at = match self.candidates.iter().position(|known| known.index() == index) {
            Some(at) => at,
            None if self.candidates.len() == MAX_CANDIDATES => return None,
            None => {
                self.candidates.push(Building::new(index, self.response_id.clone()));
                self.candidates.len() - 1
            }
        };
        self.candidates.get_mut(at)
    }

    /// Gives the count as it stands, so that an answer which breaks off is still billed for what was seen. The usual
    /// tier is left to the last count: a string per chunk would be waste.
    fn count(&mut self, metadata: &UsageMetadata<'_>, sink: &mut dyn Sink) {
        let Some(usage) = usage(metadata) else { return };
        if self.service_tier.is_none() {
            self.service_tier = service_tier(metadata);
        }
        let service_tier = self.service_tier.as_ref().filter(|tier| *tier != "default").cloned();
        sink.event(Event::Usage(Usage { service_tier, ..usage.clone() }));
        self.usage = Some(usage);
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        match read(&frame.data) {
            Ok(responses) => {
                for response in responses {
                    self.take(response, sink);
                }
                Decoded::Taken
            }
            Err(_) if frame.data.as_ref() == b"[DONE]" => Decoded::Unknown,
            Err(error) => Decoded::Corrupt(error.to_string()),
        }
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        if !self.over && (self.candidates.is_empty() || !self.candidates.iter().all(Building::is_complete)) {
            return Err(Failure::truncated("no finishReason"));
        }
        self.close(sink);
        Ok(())
    }
}
