//! Sends the stream of an upstream that speaks Gemini itself on, reading along.

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::json;
use crate::provider::Quirks;
use crate::wire::drive::StreamPatcher;
use crate::wire::gemini::Decoder;
use crate::wire::{Closing, Decoded, Layout, Naming, StreamDecoder, StreamWriter, sse::Frame};

use super::layout::Frames;
use super::{Writer, failure, patch};

/// Sends objects on as they came.
///
/// The last one that says that the answer is finished is held back, so that no broken stream looks finished; it gets
/// the cost when the gateway closes. Errors the gateway tells in its own words.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    frames: Frames,
    held: Option<Vec<u8>>,
    naming: Naming,
    layout: Layout,
    /// Knows where the caller is, where another stream may have to go on from there.
    follower: Option<Writer>,
}

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(naming: Naming, quirks: &Quirks, layout: Layout) -> Patcher {
        let (decoder, frames) = (Decoder::new(quirks), Frames::new(layout));
        Patcher { decoder, frames, held: None, naming, layout, follower: None }
    }
}

impl StreamPatcher for Patcher {
    fn frame(&mut self, frame: &Frame<'_>, meter: &mut dyn Sink, out: &mut Vec<u8>) -> Decoded {
        let mut failed = false;
        let Patcher { decoder, follower, .. } = self;
        let decoded = decoder.push(frame, &mut |event: Event<'_>| {
            failed |= matches!(event, Event::Failed(_));
            if let Some(follower) = follower.as_mut() {
                follower.event(event.clone());
                follower.discard();
            }
            meter.event(event);
        });
        if failed || decoded != Decoded::Taken {
            return decoded;
        }
        let held = self.held.take();
        let ends = [b"\"finishReason\"".as_slice(), b"\"promptFeedback\""];
        let is_end = held.is_some() || ends.iter().any(|end| json::mentions(&frame.data, end));
        if let Some(held) = held {
            self.frames.write(&held, out);
        }
        if is_end {
            // Usage may follow the end.
            self.held = Some(frame.data.to_vec());
        } else {
            self.frames.write(&frame.data, out);
        }
        decoded
    }

    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure> {
        self.decoder.finish(meter)
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        if let Some(held) = self.held.take() {
            self.frames.write(&patch::patch_answer(&held, closing), out);
        }
        self.frames.close(out);
    }

    fn fail(&mut self, failure: &Failure, _: &Closing, out: &mut Vec<u8>) {
        self.frames.write(&failure::write_failure(failure), out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.frames.keep_alive(out);
    }

    fn follow(&mut self) {
        // What is thought went on to the caller, whether asked for or not.
        let naming = Naming { hide_reasoning: false, ..self.naming.clone() };
        self.follower = Some(Writer::new(naming, self.layout));
    }

    fn into_writer(self: Box<Self>) -> Option<Box<dyn StreamWriter>> {
        let mut writer = self.follower?;
        writer.go_on(self.frames);
        Some(Box::new(writer))
    }

    fn ended(&self) -> bool {
        false
    }
}
