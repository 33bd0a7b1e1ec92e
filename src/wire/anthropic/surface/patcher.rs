//! Sends the stream of an upstream that speaks Messages itself on, reading along.

use std::borrow::Cow;

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::json::{self, readable};
use crate::provider::Quirks;
use crate::wire::anthropic::Decoder;
use crate::wire::drive::StreamPatcher;
use crate::wire::framing::Framing;
use crate::wire::sse::{self, Frame};
use crate::wire::{Closing, Decoded, Format, Naming, StreamDecoder, StreamWriter};

use super::{Writer, failure, patch};

/// Sends events on as they came.
///
/// Held back are the end (`message_delta` and what follows it), which gets its cost when the gateway closes, so that no
/// broken stream looks finished, and errors, which the gateway tells in its own words.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    /// The data of the last `message_delta`.
    end: Option<Vec<u8>>,
    framing: Framing,
    naming: Naming,
    /// Knows where the caller is, where another stream may have to go on from there.
    follower: Option<Follower>,
}

/// What a caller has read of a stream whose events went on as they came.
#[derive(Debug)]
struct Follower {
    writer: Writer,
    /// Blocks that were begun.
    blocks: u32,
    /// The last of them has not ended.
    open: bool,
}

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(naming: Naming, quirks: &Quirks) -> Patcher {
        let framing = Format::Anthropic.framing(quirks);
        Patcher { decoder: Decoder::new(quirks), end: None, framing, naming, follower: None }
    }
}

impl Follower {
    /// The caller gets this event as it came.
    fn sent(&mut self, frame: &Frame<'_>) {
        #[derive(Default)]
        struct Placed {
            index: u32,
        }
        readable! { Placed { #[required] index } }
        self.writer.discard();
        let begins = is(frame, b"content_block_start");
        if begins && let Ok(Placed { index }) = crate::json::from_slice(&frame.data) {
            self.blocks = index.saturating_add(1);
        }
        self.open = begins || self.open && !is(frame, b"content_block_stop");
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
        if failed || matches!(decoded, Decoded::Corrupt(_)) || self.decoder.ended() {
            return decoded;
        }
        if let Some(follower) = &mut self.follower {
            follower.sent(frame);
        }
        if is(frame, b"message_delta") {
            // One without a reason to end is no end; a later one repeats its counts.
            if let Some(earlier) = self.end.replace(frame.data.to_vec()) {
                sse::write_event(b"message_delta", &earlier, out);
            }
            return decoded;
        }
        if self.framing != Framing::ServerSent {
            // The event's name stands only inside of what another framing held.
            sse::write_event(kind(&frame.data).as_bytes(), &frame.data, out);
            return decoded;
        }
        frame.pass(out);
        decoded
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure> {
        self.decoder.finish(meter)
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        if let Some(end) = self.end.take() {
            let patched = patch::patch_answer(&end, closing);
            sse::write_event(b"message_delta", &patched, out);
        }
        sse::write_event(b"message_stop", b"{\"type\":\"message_stop\"}", out);
    }

    fn fail(&mut self, failure: &Failure, _: &Closing, out: &mut Vec<u8>) {
        failure::write_event(failure, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        sse::write_event(b"ping", b"{\"type\":\"ping\"}", out);
    }

    fn follow(&mut self) {
        // What is thought went on to the caller, whether asked for or not.
        let naming = Naming { hide_reasoning: false, ..self.naming.clone() };
        self.follower = Some(Follower { writer: Writer::new(naming), blocks: 0, open: false });
    }

    fn follows(&self) -> bool {
        !self.decoder.holds_back()
    }

    fn into_writer(self: Box<Self>) -> Option<Box<dyn StreamWriter>> {
        let Follower { mut writer, blocks, open } = self.follower?;
        writer.go_on(blocks, open);
        Some(Box::new(writer))
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }
}

/// Whether a frame is an event of this kind, by its name or, where a server gives none, by its data.
fn is(frame: &Frame<'_>, kind: &[u8]) -> bool {
    if !frame.event.is_empty() {
        return frame.event == kind;
    }
    let head = frame.data.get(..64).unwrap_or(&frame.data);
    json::mentions(head, kind)
}

/// What an event calls itself.
fn kind(data: &[u8]) -> Cow<'_, str> {
    #[derive(Default)]
    struct Typed<'a> {
        kind: Cow<'a, str>,
    }
    readable! { Typed<'a> { #[required] kind = "type" } }
    crate::json::from_slice(data).map_or(Cow::Borrowed("message"), |typed: Typed<'_>| typed.kind)
}
