//! Sends the stream of an upstream that speaks ConverseStream itself on, reading along.

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::json::readable;
use crate::provider::Quirks;
use crate::wire::bedrock::Decoder;
use crate::wire::drive::StreamPatcher;
use crate::wire::framing::Framing;
use crate::wire::framing::event_stream::{write_event, write_exception};
use crate::wire::{Closing, Decoded, Naming, StreamDecoder, StreamWriter, sse::Frame};

use super::{Writer, failure, patch};

/// Sends messages on as they came.
///
/// Held back are the end (`messageStop` and the `metadata` behind it), which gets its cost when the gateway closes, so
/// that no broken stream looks finished, and exceptions, which the gateway tells in its own words.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    stop: Vec<u8>,
    metadata: Option<Vec<u8>>,
    naming: Naming,
    /// Knows where the caller is, where another stream may have to go on from there.
    follower: Option<Follower>,
}

/// What a caller has read of a stream whose messages went on as they came.
#[derive(Debug)]
struct Follower {
    writer: Writer,
    /// The number of the next block.
    next: u32,
    /// The block that was last said something of, and that has not ended.
    open: Option<u32>,
}

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(naming: Naming, quirks: &Quirks) -> Patcher {
        Patcher { decoder: Decoder::new(quirks), stop: Vec::new(), metadata: None, naming, follower: None }
    }
}

impl Follower {
    /// The caller gets this message as it came.
    fn sent(&mut self, frame: &Frame<'_>) {
        #[derive(Default)]
        struct Placed {
            content_block_index: u32,
        }
        readable! { camel Placed { #[required] content_block_index } }
        self.writer.discard();
        let ends = frame.event == b"contentBlockStop";
        if !ends && !matches!(frame.event, b"contentBlockStart" | b"contentBlockDelta") {
            return;
        }
        let Ok(Placed { content_block_index: index }) = crate::json::from_slice(&frame.data) else { return };
        self.next = self.next.max(index.saturating_add(1));
        self.open = match ends {
            true => self.open.filter(|open| *open != index),
            false => Some(index),
        };
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
        if let Some(follower) = &mut self.follower {
            follower.sent(frame);
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
