//! How the events of a stream are told apart: each format has one of these ways, whatever the chunk boundaries.

pub mod event_stream;
mod lines;

use super::sse::{self, Frame};

/// How a stream's events stand in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Server-sent events ([`sse`]).
    ServerSent,
    /// AWS's binary event stream: length-prefixed messages with headers and checksums.
    ///
    /// The frame's `event` is the `:event-type`; of an exception it is `exception:` and its type, of an error `error:`
    /// and its code.
    EventStream,
    /// AWS's event stream around another protocol's events, as base64 in `{"bytes": …}`: what is inside is given, under
    /// an empty name. Recordings: `bedrock.cache-stream.791394fd76`, `bedrock.chat-stream.c5bf033a63`.
    EventStreamChunks,
    /// One JSON document a line.
    Lines,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unframed {
    /// An event is longer than allowed.
    #[error("an event of the stream is longer than {max} bytes")]
    TooLarge {
        /// The limit that was passed.
        max: usize,
    },
    /// The bytes are not what the framing says.
    #[error("the stream is damaged: {0}")]
    Damaged(&'static str),
}

/// Cuts bytes into frames.
#[derive(Debug)]
pub enum Reader {
    /// Server-sent events.
    ServerSent(sse::Reader),
    /// Binary messages.
    EventStream(event_stream::Reader),
    /// Lines.
    Lines(lines::Reader),
}

impl Framing {
    /// A reader that refuses events longer than `max_event` bytes.
    #[must_use]
    pub fn reader(self, max_event: usize) -> Reader {
        match self {
            Framing::ServerSent => Reader::ServerSent(sse::Reader::new(max_event)),
            Framing::EventStream => Reader::EventStream(event_stream::Reader::new(max_event, false)),
            Framing::EventStreamChunks => Reader::EventStream(event_stream::Reader::new(max_event, true)),
            Framing::Lines => Reader::Lines(lines::Reader::new(max_event)),
        }
    }

    /// What an upstream is told that the caller of it accepts.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Framing::ServerSent => "text/event-stream",
            Framing::EventStream | Framing::EventStreamChunks => "application/vnd.amazon.eventstream",
            Framing::Lines => "application/x-ndjson",
        }
    }
}

impl Reader {
    /// Takes the next bytes and gives every event that they complete, in order.
    ///
    /// # Errors
    /// Where an event passes the limit or the bytes are damaged; the stream cannot be read on after that.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Unframed> {
        match self {
            Reader::ServerSent(reader) => {
                reader.feed(bytes, each).map_err(|too_large| Unframed::TooLarge { max: too_large.max })
            }
            Reader::EventStream(reader) => reader.feed(bytes, each),
            Reader::Lines(reader) => reader.feed(bytes, each),
        }
    }

    /// The body ended: gives what is a last event although its end is missing, where the framing allows that.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Frame<'_>)) {
        match self {
            Reader::ServerSent(reader) => reader.finish(each),
            // Half a message is none.
            Reader::EventStream(_) => {}
            Reader::Lines(reader) => reader.finish(each),
        }
    }
}
