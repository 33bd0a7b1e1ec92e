//! Drives one stream: bytes of the upstream in, bytes for the caller out, and on the way everything that must be known
//! of it (usage, the first real token, the end, an error).

use crate::chat::{Answer, EndKind, Event, Fold, Judge, Shape, Sink, Usage, unfold};
use crate::failure::Failure;
use crate::provider::Quirks;

use super::framing::{Framing, Reader, Unframed};
use super::openai_chat;
use super::seam::{Said, Seam};
use super::sse::Frame;
use super::stops::{Cut, Stops};
use super::structured::Unwrapped;
use super::{Closing, Decoded, Format, Renamed, StreamDecoder, StreamWriter};

/// What is known of an answer while it streams.
#[derive(Debug, Default)]
pub struct Meter {
    /// The last usage the upstream gave.
    pub usage: Option<Usage>,
    /// Whether a real token or tool-call delta has come: what came before is no output.
    pub spoke: bool,
    /// Events read, whatever they held.
    pub events: u32,
    /// Bytes of text, reasoning and arguments seen, for an estimate where the upstream gives no usage.
    pub output_bytes: u64,
    /// Why the first choice ended.
    pub end: Option<EndKind>,
    /// What was said, where it may have to be continued elsewhere.
    pub said: Option<Box<Said>>,
    /// Each event is read and counted, while the stream's pace is judged.
    pub counts_all: bool,
    /// The error that the upstream reported in its stream.
    pub failed: Option<Failure>,
    /// With the error it said what was used, all in all.
    pub counted: bool,
    /// Whether the answer is any good.
    pub judge: Judge,
    /// The answer as it would be in one piece, where somebody wants it.
    folded: Option<Box<Fold>>,
    /// Tools that the upstream knows by other names.
    renamed: Renamed,
}

impl Meter {
    fn note(&mut self, event: &Event<'_>) {
        if let Some(said) = &mut self.said {
            said.note(event);
        }
        self.judge.note(event);
        if let Some(folded) = &mut self.folded {
            folded.event(event.clone());
        }
        match event {
            Event::TextDelta { text, .. }
            | Event::ReasoningDelta { text, .. }
            | Event::RefusalDelta { text, .. }
            | Event::ToolCallDelta { arguments: text, .. } => {
                self.spoke |= !text.is_empty();
                self.output_bytes = self.output_bytes.saturating_add(text.escaped().len() as u64);
            }
            Event::ToolCallStart { .. } | Event::MediaDelta { .. } => self.spoke = true,
            // Of counts so far the last one holds: after one that cannot be, nobody knows.
            Event::Usage(usage) => {
                self.usage = usage.is_credible().then(|| usage.clone());
                self.counted = self.usage.is_some() && self.failed.is_some();
            }
            // An answer without a word (an empty completion) is spoken by its end.
            Event::End { reason, .. } => {
                self.spoke = true;
                self.end = self.end.or(Some(reason.kind));
            }
            Event::Failed(failure) => self.failed = Some(failure.clone()),
            _ => {}
        }
    }
}

/// Notes every event and hands it on, with the caller's own names of tools, unless it is a count that cannot be.
struct Metered<'m, S: ?Sized> {
    meter: &'m mut Meter,
    next: &'m mut S,
}

impl<S: Sink + ?Sized> Sink for Metered<'_, S> {
    fn event(&mut self, mut event: Event<'_>) {
        if let Event::ToolCallStart { name, .. } = &mut event {
            self.meter.renamed.restore(name);
        }
        self.meter.note(&event);
        if !matches!(&event, Event::Usage(usage) if !usage.is_credible()) {
            self.next.event(event);
        }
    }
}

/// One stream on its way.
pub struct Pipe {
    reader: Reader,
    lane: Lane,
    meter: Meter,
    /// Nothing after this counts.
    fault: Option<Failure>,
    /// The upstream said all that it had to say, in good order.
    whole: bool,
    /// How many more bytes of the upstream are taken.
    left: usize,
}

/// Sends a stream on to a caller of the same protocol, changing only what must change.
pub trait StreamPatcher {
    /// Takes one event of the upstream: tells `meter` what it means and appends to `out` what the caller gets of it.
    fn frame(&mut self, frame: &Frame<'_>, meter: &mut dyn Sink, out: &mut Vec<u8>) -> Decoded;
    /// The body ended.
    ///
    /// # Errors
    /// `Truncated` without the terminal marker.
    fn finish(&mut self, meter: &mut dyn Sink) -> Result<(), Failure>;
    /// The answer is complete: what was held back of its end, with what the gateway adds.
    fn close(&mut self, closing: &Closing, out: &mut Vec<u8>);
    /// The answer broke off: an error event, and no terminal marker.
    fn fail(&mut self, failure: &Failure, closing: &Closing, out: &mut Vec<u8>);
    /// Something harmless that keeps proxies from hanging up.
    fn keep_alive(&mut self, out: &mut Vec<u8>);
    /// Whether the upstream's terminal marker has come.
    fn ended(&self) -> bool;
    /// How the upstream's events are told apart.
    fn framing(&self) -> Framing {
        Framing::ServerSent
    }
    /// Keeps along what [`StreamPatcher::into_writer`] needs.
    fn follow(&mut self);
    /// Whether it could follow all that the caller has read.
    fn follows(&self) -> bool {
        true
    }
    /// What writes for the caller, to go on with another stream; `None` where it does not follow.
    fn into_writer(self: Box<Self>) -> Option<Box<dyn StreamWriter>>;
    /// Whether events that [`openai_chat::says_only_text`] knows go on as they came, unread.
    fn is_faithful(&self) -> bool {
        false
    }
}

/// How much a stream may hold.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Bytes of one event.
    pub event: usize,
    /// Bytes of the whole stream.
    pub answer: usize,
}

enum Lane {
    Translated(Box<dyn StreamDecoder>, Box<dyn StreamWriter>),
    Patched(Box<dyn StreamPatcher>),
    /// The bytes reach the caller on their own way; here they are only read along.
    Relayed(Box<dyn StreamDecoder>),
}

impl Pipe {
    /// From `format` into the caller's protocol.
    #[must_use]
    pub fn translated(format: Format, quirks: &Quirks, writer: Box<dyn StreamWriter>, caps: Caps) -> Pipe {
        Pipe::over(Lane::Translated(format.decoder(quirks), writer), format.framing(quirks), caps)
    }

    /// Takes answers that are no objects out of those around them, where the stream is translated.
    #[must_use]
    pub fn unwrapping(mut self, wraps: bool) -> Pipe {
        self.lane = match self.lane {
            Lane::Translated(decoder, writer) if wraps => Lane::Translated(Box::new(Unwrapped::new(decoder)), writer),
            lane => lane,
        };
        self
    }

    /// Ends a translated answer at the first of `stops`.
    #[must_use]
    pub fn stopping(mut self, stops: &Stops) -> Pipe {
        self.lane = match self.lane {
            Lane::Translated(decoder, writer) if !stops.is_empty() => {
                Lane::Translated(Box::new(Cut::new(decoder, stops.clone())), writer)
            }
            lane => lane,
        };
        self
    }

    /// Gives tools that were renamed for the upstream their own names back.
    #[must_use]
    pub fn renaming(mut self, renamed: &Renamed) -> Pipe {
        self.meter.renamed = renamed.clone();
        self
    }

    /// Same protocol on both sides: what need not change is sent on as it came.
    #[must_use]
    pub fn patched(patcher: Box<dyn StreamPatcher>, caps: Caps) -> Pipe {
        let framing = patcher.framing();
        Pipe::over(Lane::Patched(patcher), framing, caps)
    }

    /// The caller gets the upstream's bytes natively; this only reads along.
    #[must_use]
    pub fn relayed(format: Format, quirks: &Quirks, caps: Caps) -> Pipe {
        Pipe::over(Lane::Relayed(format.decoder(quirks)), format.framing(quirks), caps)
    }

    /// Counts every byte that is said, until told otherwise: at a glance a chunk is one token.
    pub fn count_all(&mut self, counts: bool) {
        self.meter.counts_all = counts;
    }

    /// Puts the answer together as it would be in one piece.
    pub fn fold(&mut self) {
        self.meter.folded = Some(Box::default());
    }

    /// Whether it does.
    #[must_use]
    pub fn folds(&self) -> bool {
        self.meter.folded.is_some()
    }

    /// The answer that was put together; from here on nothing is.
    pub fn take_folded(&mut self) -> Option<Answer<'static>> {
        self.meter.folded.take()?.finish().ok()
    }

    /// Keeps what is said, so that another stream can go on from there; not of a relayed one.
    pub fn remember(&mut self) {
        match &mut self.lane {
            Lane::Translated(..) => {}
            Lane::Patched(patcher) => patcher.follow(),
            Lane::Relayed(_) => return,
        }
        self.meter.said = Some(Box::default());
    }

    /// Whether another stream could go on from here.
    #[must_use]
    pub fn can_continue(&self) -> bool {
        let follows = match &self.lane {
            Lane::Translated(decoder, _) => !decoder.holds_back(),
            Lane::Patched(patcher) => patcher.follows(),
            Lane::Relayed(_) => false,
        };
        follows && self.meter.said.as_ref().is_some_and(|said| said.can_continue())
    }

    /// What goes on behind a stream that broke off: its writer, and what it said. `None` where nothing can.
    #[must_use]
    pub fn into_seam(mut self) -> Option<Seam> {
        let said = self.meter.said.take().filter(|said| said.can_continue())?;
        let writer = match self.lane {
            Lane::Translated(_, writer) => Some(writer),
            Lane::Patched(patcher) => patcher.into_writer(),
            Lane::Relayed(_) => None,
        };
        Some(Seam::new(writer?, *said))
    }

    fn over(lane: Lane, framing: Framing, caps: Caps) -> Pipe {
        let reader = framing.reader(caps.event);
        Pipe { reader, lane, meter: Meter::default(), fault: None, whole: false, left: caps.answer }
    }

    /// Has the answer judged by whether it is JSON of this shape.
    pub fn expect(&mut self, shape: Shape) {
        self.meter.judge = Judge::new(Some(shape));
    }

    /// Takes bytes of the upstream; appends what the caller gets to `out`.
    ///
    /// After a fault (an error event, an unreadable event, an event over the cap) nothing more is taken.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None if self.fault.is_none() => {
                self.fault = Some(Failure::bad_answer("The provider's answer is too long (limit `answer_bytes`)."));
            }
            None => {}
        }
        let Pipe { reader, lane, meter, fault, .. } = self;
        let read = reader.feed(bytes, &mut |frame| lane.take(frame, meter, fault, out));
        if let (Err(unframed), None) = (read, &self.fault) {
            let failure = Failure::bad_answer(match unframed {
                Unframed::TooLarge { .. } => "The provider sent an oversized event.",
                Unframed::Damaged(_) => "The provider's stream arrived damaged.",
            });
            self.fault = Some(failure.because(unframed.to_string()));
        }
        self.lane.written(out);
    }

    /// Takes a whole answer in place of a stream's bytes. It needs no [`Pipe::finish`]: nothing of it can be missing.
    pub fn take_whole(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        let Pipe { lane, meter, .. } = self;
        if let Lane::Translated(_, writer) = lane {
            unfold(answer, &mut Metered { meter, next: writer.as_mut() });
        }
        self.whole = true;
        self.lane.written(out);
    }

    /// The upstream's body ended in good order.
    ///
    /// # Errors
    /// With the fault that came before, `Truncated` where the format's terminal marker is missing, or `BadAnswer` where
    /// that marker is all that came.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let Pipe { reader, lane, meter, fault, .. } = self;
        reader.finish(&mut |frame| lane.take(frame, meter, fault, out));
        if let Some(fault) = self.fault.clone() {
            return Err(fault);
        }
        let Pipe { lane, meter, .. } = self;
        let ended = match lane {
            Lane::Translated(decoder, writer) => decoder.finish(&mut Metered { meter, next: writer.as_mut() }),
            Lane::Patched(patcher) => patcher.finish(&mut |event: Event<'_>| meter.note(&event)),
            Lane::Relayed(decoder) => decoder.finish(&mut |event: Event<'_>| meter.note(&event)),
        };
        self.lane.written(out);
        ended?;
        self.whole = true;
        match self.failure() {
            Some(failure) => Err(failure),
            // Even an answer without a word has an end with a reason.
            None if !self.meter.spoke => Err(Failure::bad_answer("The provider's stream holds no answer.")),
            None => Ok(()),
        }
    }

    /// The failure that the upstream told of, or that the end of its answer is to this caller.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let at_end = if let Lane::Translated(_, writer) = &self.lane { writer.failure() } else { None };
        self.meter.failed.clone().or(at_end)
    }

    /// Whether the upstream's stream came to its end in good order, be that a failure: what it counted is final.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        if self.meter.failed.is_some() { self.meter.counted } else { self.whole }
    }

    /// Writes the end of a complete answer.
    pub fn close(&mut self, closing: &Closing, out: &mut Vec<u8>) {
        match &mut self.lane {
            Lane::Translated(_, writer) => writer.close(closing),
            Lane::Patched(patcher) => patcher.close(closing, out),
            Lane::Relayed(_) => {}
        }
        self.lane.written(out);
    }

    /// Writes the end of an answer that broke off: an error event and no terminal marker.
    pub fn fail(&mut self, failure: &Failure, closing: &Closing, out: &mut Vec<u8>) {
        match &mut self.lane {
            Lane::Translated(_, writer) => writer.fail(failure, closing),
            Lane::Patched(patcher) => patcher.fail(failure, closing, out),
            // An error event of the upstream's own has reached the caller as it came.
            Lane::Relayed(_) if self.meter.failed.is_some() => {}
            Lane::Relayed(_) => openai_chat::write_error_event(failure, out),
        }
        self.lane.written(out);
    }

    /// Writes something harmless that keeps proxies from hanging up; not on a relayed stream, whose bytes are not ours.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        match &mut self.lane {
            Lane::Translated(_, writer) => writer.keep_alive(),
            Lane::Patched(patcher) => patcher.keep_alive(out),
            Lane::Relayed(_) => {}
        }
        self.lane.written(out);
    }

    /// The fault that ended it, if one did.
    #[must_use]
    pub fn fault(&self) -> Option<&Failure> {
        self.fault.as_ref()
    }

    /// Whether the format's terminal marker has come and the caller's end is ours to write: the rest of the upstream's
    /// body says nothing.
    #[must_use]
    pub fn ended(&self) -> bool {
        match &self.lane {
            Lane::Translated(decoder, _) => decoder.ended(),
            Lane::Patched(patcher) => patcher.ended(),
            Lane::Relayed(_) => false,
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl Lane {
    /// Takes one event of the upstream.
    fn take(&mut self, frame: &Frame<'_>, meter: &mut Meter, fault: &mut Option<Failure>, out: &mut Vec<u8>) {
        if fault.is_some() {
            return;
        }
        meter.events = meter.events.saturating_add(1);
        let kept = meter.said.is_some() || meter.folded.is_some();
        let must_read = kept || meter.counts_all || meter.judge.wants_text();
        if meter.spoke && !must_read && self.is_passed_by(frame) {
            meter.judge.passed_by();
            meter.output_bytes = meter.output_bytes.saturating_add(openai_chat::BYTES_A_CHUNK);
            if matches!(self, Lane::Patched(_)) {
                out.extend_from_slice(frame.raw);
            }
            return;
        }
        let decoded = match self {
            Lane::Translated(decoder, writer) => decoder.push(frame, &mut Metered { meter, next: writer.as_mut() }),
            Lane::Patched(patcher) => patcher.frame(frame, &mut |event: Event<'_>| meter.note(&event), out),
            Lane::Relayed(decoder) => decoder.push(frame, &mut |event: Event<'_>| meter.note(&event)),
        };
        *fault = match decoded {
            Decoded::Corrupt(error) => {
                Some(Failure::bad_answer("The provider sent an event that cannot be read.").because(error))
            }
            Decoded::Taken | Decoded::Unknown => meter.failed.clone(),
        };
    }

    /// Whether an event holds only words that go on as they came, so that reading it would tell nothing.
    fn is_passed_by(&self, frame: &Frame<'_>) -> bool {
        let may = match self {
            Lane::Translated(..) => false,
            Lane::Patched(patcher) => patcher.is_faithful(),
            Lane::Relayed(_) => true,
        };
        may && frame.raw.ends_with(b"\n\n") && frame.event.is_empty() && openai_chat::says_only_text(&frame.data)
    }

    fn written(&mut self, out: &mut Vec<u8>) {
        if let Lane::Translated(_, writer) = self {
            writer.take(out);
        }
    }
}
