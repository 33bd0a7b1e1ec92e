//! Sends the stream of an upstream that speaks Responses itself on, reading along.

use std::borrow::Cow;

use crate::chat::{Event, Sink};
use crate::failure::Failure;
use crate::json::{Members, Object, Raw, readable};
use crate::provider::Quirks;
use crate::wire::drive::StreamPatcher;
use crate::wire::openai_responses::Decoder;
use crate::wire::sse::{self, Frame};
use crate::wire::{Closing, Decoded, Naming, StreamDecoder, StreamWriter};

use super::follower::Follower;
use super::{SIGNED, failure, patch};

/// Sends events on as they came.
///
/// Held back are the end, which gets its cost when the gateway closes, so that no broken stream looks finished, and
/// errors, which the gateway tells in its own words.
#[derive(Debug)]
pub struct Patcher {
    decoder: Decoder,
    naming: Naming,
    /// The upstream's id of the response.
    id: Option<String>,
    /// The number of the next event.
    sequence: u64,
    /// The data of the last event.
    end: Option<Vec<u8>>,
    /// Who can read its encrypted thoughts, where that is not the protocol's maker: they are wrapped.
    signed: Option<&'static str>,
    /// Knows where the caller is, where another stream may have to go on from there.
    follower: Option<Follower>,
}

/// The end of a stream.
#[derive(Default)]
struct End<'a> {
    kind: crate::json::Text<'a>,
    response: Raw<'a>,
    sequence_number: Option<u64>,
}
readable! { End<'a> { #[required] kind = "type", #[required] response, sequence_number } }

impl Patcher {
    /// A patcher for one stream.
    #[must_use]
    pub fn new(naming: Naming, quirks: &Quirks) -> Patcher {
        let signed = (quirks.signed != SIGNED).then_some(quirks.signed);
        Patcher { decoder: Decoder::new(quirks), naming, id: None, sequence: 0, end: None, signed, follower: None }
    }

    fn wrapped<'d>(&self, data: &'d [u8]) -> Cow<'d, [u8]> {
        match self.signed {
            Some(signed) => patch::wrap_thoughts(data, signed, &self.naming.carrier),
            None => Cow::Borrowed(data),
        }
    }
}

impl StreamPatcher for Patcher {
    fn frame(&mut self, frame: &Frame<'_>, meter: &mut dyn Sink, out: &mut Vec<u8>) -> Decoded {
        if self.decoder.ended() {
            return Decoded::Taken;
        }
        let mut failed = false;
        let Patcher { decoder, id, follower, .. } = self;
        let decoded = decoder.push(frame, &mut |event: Event<'_>| {
            if let Event::Start { id: given, .. } = &event
                && !given.is_empty()
            {
                *id = Some(given.decode().into_owned());
            }
            failed |= matches!(event, Event::Failed(_));
            if let Some(follower) = follower.as_mut() {
                follower.note(&event);
            }
            meter.event(event);
        });
        if failed || matches!(decoded, Decoded::Corrupt(_)) {
            return decoded;
        }
        if self.decoder.ended() {
            self.end = Some(frame.data.to_vec());
            return decoded;
        }
        self.sequence = self.sequence.saturating_add(1);
        let data = self.wrapped(&frame.data);
        if let Some(follower) = &mut self.follower {
            follower.sent(&data, &self.naming);
        }
        if let Cow::Owned(data) = data {
            sse::write_event(frame.event, &data, out);
            return decoded;
        }
        frame.pass(out);
        decoded
    }

    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure> {
        self.decoder.finish(meter)
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        let Some(data) = self.end.take() else { return };
        let Ok(end) = crate::json::from_slice::<End<'_>>(&data) else { return };
        let response = self.wrapped(end.response.get().as_bytes());
        let patched = patch::patch_answer(&response, closing);
        for piece in [b"event: ", end.kind.escaped().as_bytes(), b"\ndata: "] {
            out.extend_from_slice(piece);
        }
        let mut event = Object::open(out);
        event.text("type", &end.kind).number("sequence_number", end.sequence_number.unwrap_or(self.sequence));
        sse::write_line(&patched, event.key("response"));
        // Some say more beside it (Copilot its `copilot_usage`).
        let all = crate::json::from_slice(&data).map_or_else(|_| Vec::new(), |Members(members)| members);
        for (key, value) in all {
            let is_plain = !key.contains(|letter: char| letter.is_control() || matches!(letter, '"' | '\\'));
            if is_plain && !matches!(key.as_str(), "type" | "sequence_number" | "response") {
                sse::write_line(value.get().as_bytes(), event.key(&key));
            }
        }
        event.close();
        out.extend_from_slice(b"\n\n");
    }

    fn fail(&mut self, failure: &Failure, _: &Closing, out: &mut Vec<u8>) {
        let head = failure::Head {
            id: self.id.as_deref().unwrap_or(&self.naming.fallback_id),
            model: &self.naming.model,
            created_at: self.naming.now.seconds(),
            sequence: self.sequence,
        };
        failure::write_events(failure, &head, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    fn follow(&mut self) {
        self.follower = Some(Follower::default());
    }

    fn follows(&self) -> bool {
        self.follower.as_ref().is_some_and(Follower::follows)
    }

    fn into_writer(self: Box<Self>) -> Option<Box<dyn StreamWriter>> {
        let follower = self.follower.filter(Follower::follows)?;
        Some(Box::new(follower.into_writer(self.naming)))
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }
}
