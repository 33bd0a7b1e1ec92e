//! Streams.

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::json::{self, Cursor, Edits, Kind, Object, SyntaxError};
use crate::provider::Quirks;
use crate::wire::drive::StreamPatcher;
use crate::wire::sse::{self, Frame};
use crate::wire::{Closing, Decoded, Naming, StreamDecoder, StreamWriter};

use super::super::stream::{Decoder, Seen};
use super::super::{Writer, writer};
use super::reply::{self, find};

/// Sends a stream's own chunks on, reading along.
///
/// Held back are usage and `[DONE]`, which the gateway closes with, and errors, which it tells in its own words. A chunk
/// is written anew only where a vendor spells a tool call so that clients would misread it, and changed where it holds
/// usage, or reasoning, content and reasons to end in unusual form.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    /// Writes what cannot be sent on as it came; it follows every call so that its numbers are the caller's.
    writer: Writer,
    quirks: Quirks,
    /// The upstream's last chunk without choices but with usage: the one to close with.
    usage_chunk: Option<Vec<u8>>,
    /// The upstream's last usage object.
    usage: Option<Vec<u8>>,
    /// Choices whose reason to end the caller has.
    ended: Vec<u32>,
}

/// Hands events to the meter, and to the writer those that it must know of.
struct Both<'b> {
    meter: &'b mut dyn Sink,
    writer: &'b mut Writer,
    /// The writer gets everything.
    all: bool,
    ended: &'b [u32],
    /// Something was said.
    said: bool,
}

impl Sink for Both<'_> {
    fn event(&mut self, event: Event<'_>) {
        let follows = match &event {
            Event::Start { .. } | Event::ToolCallStart { .. } | Event::ToolCallDelta { .. } => true,
            Event::End { choice, .. } => !self.ended.contains(choice),
            _ => self.all,
        };
        self.said |= !matches!(event, Event::Start { .. } | Event::Usage(_) | Event::End { .. });
        if follows {
            self.writer.event(event.clone());
        }
        self.meter.event(event);
    }
}

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(naming: Naming, quirks: &Quirks) -> Patcher {
        Patcher {
            decoder: Decoder::new(quirks),
            writer: Writer::new(naming),
            quirks: *quirks,
            usage_chunk: None,
            usage: None,
            ended: Vec::new(),
        }
    }

    /// `usage` and `latchkey` as members of an object.
    fn closing_members(&mut self, closing: &Closing, wanted: bool) -> Vec<u8> {
        let own = self.usage.take().filter(|_| wanted);
        let own = own.and_then(|own| {
            let mut edits = Edits::of(&own);
            let mut cursor = Cursor::new(&own).ok()?;
            reply::usage_object(cursor.text(), &reply::Part::of(&mut cursor).ok()?, closing, &mut edits).ok()?;
            Some(edits.apply().into_owned())
        });
        let mut members = Vec::new();
        let mut object = Object::open(&mut members);
        if let Some(own) = &own {
            object.key("usage").extend_from_slice(own);
        }
        writer::write_closing(closing.usage.as_ref().filter(|_| wanted && own.is_none()), closing, &mut object);
        object.close();
        members
    }

    /// Sends an event on as it came, unless something in it must change.
    fn send_on(&mut self, frame: &Frame<'_>, seen: Seen, out: &mut Vec<u8>) {
        if seen.finish {
            for choice in self.decoder.finished() {
                if !self.ended.contains(&choice) {
                    self.ended.push(choice);
                }
            }
        }
        if seen.usage && !seen.choices {
            self.usage_chunk = Some(frame.data.to_vec());
            return;
        }
        let hides = self.writer.naming().hide_reasoning && seen.reasoning;
        let finish = seen.odd_finish || seen.hides_calls;
        let changes = seen.usage || finish || seen.content_array || seen.unusual_reasoning || hides;
        if (changes || !self.quirks.repeated_in_chunks.is_empty())
            && let Ok(changed) = self.changed(&frame.data)
        {
            sse::write_event(b"", &changed, out);
            return;
        }
        frame.pass(out);
    }

    /// Usage in a chunk that was written anew is kept too.
    fn keep_usage(&mut self, chunk: &[u8], seen: Seen) {
        if seen.usage {
            // Only what it keeps matters here.
            let _ = self.changed(chunk);
        }
    }

    /// A chunk without its usage, which is kept for the end, without what it repeats, and with its messages put right.
    fn changed(&mut self, chunk: &[u8]) -> Result<Vec<u8>, SyntaxError> {
        let mut cursor = Cursor::new(chunk)?;
        if cursor.kind() != Some(Kind::Object) {
            return Ok(chunk.to_vec());
        }
        let open = cursor.position();
        let members = cursor.spans()?;
        let text = std::str::from_utf8(chunk).unwrap_or_default();
        let mut edits = Edits::of(chunk);
        if let Some(choices) = find(&members, "choices") {
            let wanted = reply::Wanted {
                hide_reasoning: self.writer.naming().hide_reasoning,
                calls_of: None,
                no_repeated_message: !self.quirks.repeated_in_chunks.is_empty(),
                hides_calls: Some(&self.decoder).filter(|decoder| decoder.seen().hides_calls),
            };
            reply::choices(text, choices.value.start, wanted, &mut edits)?;
        }
        let usage = find(&members, "usage").and_then(|usage| text.get(usage.value.clone()));
        if let Some(usage) = usage.filter(|usage| usage.starts_with('{')) {
            self.usage = Some(usage.as_bytes().to_vec());
        }
        let repeated = self.quirks.repeated_in_chunks;
        edits.object(open, &members, |member| member.key == "usage" || repeated.contains(&&*member.key), &[]);
        Ok(edits.apply().into_owned())
    }
}

impl StreamPatcher for Patcher {
    fn frame(&mut self, frame: &Frame<'_>, meter: &mut dyn Sink, out: &mut Vec<u8>) -> Decoded {
        let all = json::mentions(&frame.data, b"\"tool_calls\"");
        let mut both = Both { meter, writer: &mut self.writer, all, ended: &self.ended, said: false };
        let decoded = self.decoder.push(frame, &mut both);
        let said = both.said;
        if decoded != Decoded::Taken || self.decoder.failed() {
            self.writer.discard();
            return decoded;
        }
        if self.decoder.ended() {
            self.writer.take(out);
            return decoded;
        }
        let seen = self.decoder.seen();
        if seen.finish && !seen.new_finish && !said {
            // Some end twice (openrouter.web-search-stream.905f79f16b), which clients that join chunks read as another word.
            self.writer.discard();
            self.keep_usage(&frame.data, seen);
        } else if seen.irregular_call {
            self.writer.take(out);
            self.keep_usage(&frame.data, seen);
        } else {
            self.writer.discard();
            self.send_on(frame, seen, out);
        }
        if seen.choices {
            self.writer.role_is_known();
        }
        decoded
    }

    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure> {
        let mut both = Both { meter, writer: &mut self.writer, all: false, ended: &self.ended, said: false };
        self.decoder.finish(&mut both)
    }

    /// Its writer follows every stream.
    fn follow(&mut self) {}

    fn into_writer(mut self: Box<Self>) -> Option<Box<dyn StreamWriter>> {
        self.writer.discard();
        self.writer.role_is_known();
        Some(Box::new(self.writer))
    }

    fn is_faithful(&self) -> bool {
        self.quirks.stream_is_faithful()
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        self.writer.take(out);
        let wanted = self.writer.naming().include_usage;
        let own_chunk = self.usage_chunk.take().filter(|_| wanted);
        if let Some(chunk) = own_chunk {
            sse::write_event(b"", &super::patch_answer(&chunk, closing, false), out);
        } else {
            let members = self.closing_members(closing, wanted);
            self.writer.chunk_without_choices(&members);
            self.writer.take(out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, failure: &Failure, closing: &Closing, out: &mut Vec<u8>) {
        self.writer.discard();
        writer::fail(failure, closing, self.writer.naming().include_usage, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}
