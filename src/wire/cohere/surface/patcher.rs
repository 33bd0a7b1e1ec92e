//! Sends the stream of an upstream that speaks Cohere's Chat itself on, reading along.

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::provider::Quirks;
use crate::wire::cohere::Decoder;
use crate::wire::drive::StreamPatcher;
use crate::wire::{Closing, Decoded, StreamDecoder, sse::Frame};

use super::{patch, writer};

/// Sends events on as they came.
///
/// Held back is `message-end`, which gets its cost when the gateway closes, so that no broken stream looks finished;
/// errors the gateway tells in its own words.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    end: Option<Vec<u8>>,
}

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(quirks: &Quirks) -> Patcher {
        Patcher { decoder: Decoder::new(quirks), end: None }
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
        if self.decoder.ended() {
            self.end.get_or_insert_with(|| frame.data.to_vec());
            return decoded;
        }
        frame.pass(out);
        decoded
    }

    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure> {
        self.decoder.finish(meter)
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        if let Some(end) = self.end.take() {
            out.extend_from_slice(b"event: message-end\ndata: ");
            // An event's data is one line; between tokens a line end is only space.
            let end = patch::patch_end(&end, closing);
            out.extend(end.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            out.extend_from_slice(b"\n\ndata: [DONE]\n\n");
        }
    }

    fn fail(&mut self, failure: &Failure, _: &Closing, out: &mut Vec<u8>) {
        writer::write_failure_event(failure, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }
}
