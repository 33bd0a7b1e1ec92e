//! Sends the stream of an upstream that speaks Cohere's Chat itself on, reading along.

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::json::{Text, readable};
use crate::provider::Quirks;
use crate::wire::cohere::Decoder;
use crate::wire::drive::StreamPatcher;
use crate::wire::sse::{self, Frame};
use crate::wire::{Closing, Decoded, Naming, StreamDecoder, StreamWriter};

use super::{Writer, patch, writer};

/// Sends events on as they came.
///
/// Held back is `message-end`, which gets its cost when the gateway closes, so that no broken stream looks finished;
/// errors the gateway tells in its own words.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    end: Option<Vec<u8>>,
    naming: Naming,
    /// Knows where the caller is, where another stream may have to go on from there.
    follower: Option<Follower>,
}

/// What a caller has read of a stream whose events went on as they came.
#[derive(Debug)]
struct Follower {
    writer: Writer,
    /// The number of the next content.
    next: u32,
    /// The content that was last said something of, and that has not ended.
    open: Option<u32>,
}

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(naming: Naming, quirks: &Quirks) -> Patcher {
        Patcher { decoder: Decoder::new(quirks), end: None, naming, follower: None }
    }
}

impl Follower {
    /// The caller gets this event as it came.
    fn sent(&mut self, frame: &Frame<'_>) {
        #[derive(Default)]
        struct Placed<'a> {
            kind: Text<'a>,
            index: u32,
        }
        readable! { Placed<'a> { #[required] kind = "type", index } }
        self.writer.discard();
        let Ok(Placed { kind, index }) = crate::json::from_slice::<Placed<'_>>(&frame.data) else { return };
        match kind.escaped() {
            "content-start" | "content-delta" => {
                self.next = self.next.max(index.saturating_add(1));
                self.open = Some(index);
            }
            "content-end" => self.open = self.open.filter(|open| *open != index),
            _ => {}
        }
    }
}

impl StreamPatcher for Patcher {
    fn frame(&mut self, frame: &Frame<'_>, meter: &mut dyn Sink, out: &mut Vec<u8>) -> Decoded {
        let mut failed = false;
        let Patcher { decoder, follower, .. } = self;
        let decoded = decoder.push(frame, &mut |event: Event<'_>| {
            failed |= matches!(event, Event::Failed(_));
            if let Some(follower) = follower.as_mut() {
                follower.writer.event(event.clone());
            }
            meter.event(event);
        });
        if failed || matches!(decoded, Decoded::Corrupt(_)) {
            return decoded;
        }
        if self.decoder.ended() {
            self.end.get_or_insert_with(|| frame.data.to_vec());
            return decoded;
        }
        if let Some(follower) = &mut self.follower {
            follower.sent(frame);
        }
        frame.pass(out);
        decoded
    }

    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure> {
        self.decoder.finish(meter)
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        if let Some(end) = self.end.take() {
            sse::write_event(b"message-end", &patch::patch_end(&end, closing), out);
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
    }

    fn fail(&mut self, failure: &Failure, _: &Closing, out: &mut Vec<u8>) {
        writer::write_failure_event(failure, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    fn follow(&mut self) {
        self.follower = Some(Follower { writer: Writer::new(self.naming.clone()), next: 0, open: None });
    }

    fn into_writer(self: Box<Self>) -> Option<Box<dyn StreamWriter>> {
        let Follower { mut writer, next, open } = self.follower?;
        writer.go_on(next, open);
        Some(Box::new(writer))
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }
}
