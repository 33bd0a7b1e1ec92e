//! Streams: pieces in either shape, and `[DONE]`.

use std::borrow::Cow;

use super::types::Answer;
use crate::chat::Sink;
use crate::failure::Failure;
use crate::provider::Quirks;
use crate::wire::{Decoded, StreamDecoder, openai_chat, sse::Frame};

/// Decodes a stream.
pub struct Decoder {
    inner: openai_chat::Decoder,
    /// A piece came in the protocol's own words, which have none for why an answer ends.
    native: bool,
    /// What ids of calls begin with, once something of the answer is known.
    prefix: Option<String>,
    /// How many calls there were.
    calls: u32,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(quirks: &Quirks) -> Decoder {
        Decoder { inner: openai_chat::Decoder::new(quirks), native: false, prefix: None, calls: 0 }
    }

    /// One whose calls get ids of this beginning.
    pub(super) fn of(prefix: String, quirks: &Quirks) -> Decoder {
        Decoder { prefix: Some(prefix), ..Decoder::new(quirks) }
    }

    fn give(&mut self, data: &[u8], sink: &mut dyn Sink) -> Decoded {
        self.inner.push(&Frame { event: b"", data: Cow::Borrowed(data), raw: b"" }, sink)
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        if &*frame.data == b"[DONE]" {
            if std::mem::take(&mut self.native) {
                let reason = if self.calls > 0 { "tool_calls" } else { "stop" };
                let last = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
                self.give(last.as_bytes(), sink);
            }
            return self.inner.push(frame, sink);
        }
        match crate::json::from_slice::<Answer<'_>>(&frame.data) {
            Ok(piece) if piece.choices.is_none() && piece.error.is_none() && piece.is_native() => {
                self.native = true;
                let prefix = self.prefix.get_or_insert_with(|| id_prefix(&frame.data)).clone();
                let chunk = piece.chunk(&prefix, &mut self.calls);
                self.give(&chunk, sink)
            }
            // Chunks of Chat Completions, errors, and whatever cannot be read.
            _ => self.inner.push(frame, sink),
        }
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.inner.finish(sink)
    }

    fn ended(&self) -> bool {
        self.inner.ended()
    }
}

/// A few letters that differ from answer to answer (FNV-1a): models without ids have nothing else to tell their calls by.
pub(super) fn id_prefix(data: &[u8]) -> String {
    let hash = data
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}_")
}
