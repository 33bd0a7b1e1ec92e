//! Sends the stream of an upstream that speaks ConverseStream itself on, reading along.

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::provider::Quirks;
use crate::wire::bedrock::Decoder;
use crate::wire::drive::StreamPatcher;
use crate::wire::framing::Framing;
use crate::wire::framing::event_stream::{write_event, write_exception};
use crate::wire::{Closing, Decoded, StreamDecoder, sse::Frame};

use super::{failure, patch};

/// Sends messages on as they came.
///
/// Held back are the end (`messageStop` and the `metadata` behind it), which gets its cost when the gateway closes, so
/// that no broken stream looks finished, and exceptions, which the gateway tells in its own words.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    stop: Vec<u8>,
    metadata: Option<Vec<u8>>,
}

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(quirks: &Quirks) -> Patcher {
        Patcher { decoder: Decoder::new(quirks), stop: Vec::new(), metadata: None }
    }
}

impl StreamPatcher for Patcher {
    fn frame(&mut self, frame: &Frame<'_>, meter: &mut dyn Sink, out: &mut Vec<u8>) -> Decoded {
        let mut failed = false;
        let decoded = self.decoder.push(frame, &mut |event: Event<'_>| {
            failed |= matches!(event, Event::Failed(_));
            meter.event(event);
        });
        if failed || matches!(decoded, Decoded::Corrupt(_)) {
            return decoded;
        }
        match frame.event {
            b"messageStop" => self.stop = frame.raw.to_vec(),
            b"metadata" => self.metadata = Some(frame.data.to_vec()),
            _ => out.extend_from_slice(frame.raw),
        }
        decoded
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
    }

    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure> {
        self.decoder.finish(meter)
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        out.append(&mut self.stop);
        if let Some(metadata) = self.metadata.take() {
            write_event("metadata", &patch::patch_answer(&metadata, closing), out);
        }
    }

    fn fail(&mut self, failure: &Failure, _: &Closing, out: &mut Vec<u8>) {
        write_exception(failure::exception_in_stream(failure.kind), &failure::write_failure(failure), out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        write_event("ping", b"{}", out);
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }
}
