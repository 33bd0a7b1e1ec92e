//! Runs recordings through the code under test.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};

use latchkey::chat::{Event, Fold, Sink};
use latchkey::failure::Failure;
use latchkey::provider::Quirks;
use latchkey::wire::sse::Frame;
use latchkey::wire::{Decoded, Format, StreamDecoder};

use super::expected::Reading;
use super::laws::Laws;

/// What one pass over a stream gave.
pub struct Run {
    pub reading: Reading,
    /// Every event, as text.
    pub log: Vec<String>,
    /// Two passes gave the same events when this is the same.
    pub fingerprint: u64,
    pub broken_laws: Vec<String>,
    pub misnamed: Vec<String>,
    /// Whether the stream finished as a success.
    pub finished: Result<(), Failure>,
    pub corrupt: Vec<String>,
}

struct Watch {
    fold: Fold,
    laws: Laws,
    keeps_log: bool,
    log: Vec<String>,
    hasher: Hashed,
    failed: bool,
}

/// Hashes what is formatted into it.
#[derive(Default)]
struct Hashed(DefaultHasher);

impl std::fmt::Write for Hashed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Sink for Watch {
    fn event(&mut self, event: Event<'_>) {
        if self.keeps_log {
            self.log.push(format!("{event:?}"));
        }
        write!(self.hasher, "{event:?}").expect("hashing cannot fail");
        self.laws.event(event.clone());
        self.failed = self.failed || matches!(event, Event::Failed(_));
        self.fold.event(event);
    }
}

struct Pass {
    decoder: Box<dyn StreamDecoder>,
    watch: Watch,
    corrupt: Vec<String>,
}

impl Pass {
    fn new(format: Format, quirks: &Quirks, keeps_log: bool) -> Pass {
        let watch = Watch {
            fold: Fold::new(),
            laws: Laws::default(),
            keeps_log,
            log: Vec::new(),
            hasher: Hashed::default(),
            failed: false,
        };
        Pass { decoder: format.decoder(quirks), watch, corrupt: Vec::new() }
    }

    /// Nothing after a failure counts, as in the gateway.
    fn take(&mut self, frame: &Frame<'_>) {
        if self.watch.failed || !self.corrupt.is_empty() {
            return;
        }
        if let Decoded::Corrupt(why) = self.decoder.push(frame, &mut self.watch) {
            self.corrupt.push(why);
        }
    }

    fn end(mut self) -> Run {
        let stopped = self.watch.failed || !self.corrupt.is_empty();
        let finished = if stopped {
            Err(Failure::bad_answer("stopped before its end"))
        } else {
            self.decoder.finish(&mut self.watch)
        };
        if finished.is_ok() && !self.watch.failed {
            self.watch.laws.check_complete();
        }
        let reading = match self.watch.fold.finish() {
            Ok(answer) => Reading::of(&answer),
            Err(_) => Reading { failed: true, ..Reading::default() },
        };
        Run {
            reading,
            log: self.watch.log,
            fingerprint: self.watch.hasher.0.finish(),
            broken_laws: self.watch.laws.broken,
            misnamed: self.watch.laws.misnamed,
            finished,
            corrupt: self.corrupt,
        }
    }
}

/// A stream in these pieces.
pub fn stream<'b>(format: Format, quirks: &Quirks, pieces: impl Iterator<Item = &'b [u8]>) -> Run {
    let mut pass = Pass::new(format, quirks, false);
    let mut reader = format.framing(quirks).reader(8 << 20);
    for piece in pieces {
        reader.feed(piece, &mut |frame| pass.take(frame)).expect("no event of the corpus is that long");
    }
    reader.finish(&mut |frame| pass.take(frame));
    pass.end()
}

/// Whole frames, each with its event's name and data. The log is kept of short ones.
pub fn frames(format: Format, quirks: &Quirks, frames: &[(String, String)]) -> Run {
    let mut pass = Pass::new(format, quirks, frames.len() < 16);
    for (name, data) in frames {
        pass.take(&Frame { event: name.as_bytes(), data: Cow::Borrowed(data.as_bytes()), raw: b"" });
    }
    pass.end()
}

/// Cuts `bytes` at pseudo-random places, the same for the same seed.
pub fn random_pieces(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let longest = if state & 8 == 0 { 7 } else { 900 };
        let length = (usize::try_from(state >> 33).unwrap_or(1) % longest + 1).min(rest.len());
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Cuts `bytes` as the network did, as far as the recorder kept that.
pub fn recorded_pieces<'b>(bytes: &'b [u8], lengths: &[usize]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for length in lengths {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}
