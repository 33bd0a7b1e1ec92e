use crate::chat::Usage;
use crate::json::{self, Raw, SyntaxError};
use crate::provider::Quirks;
use crate::wire::sse::{Frame, Reader};

use super::counts::{Named, read_counts};

/// The longest body in JSON that is kept, to be read when it is whole.
const MOST_KEPT: usize = 4 << 20;

/// Reads along a body that goes on as it is, for what it says was used: in events, in JSON, or not at all.
pub struct Sniffer {
    quirks: Quirks,
    body: Body,
    counts: Counts,
    bytes: u64,
}

enum Body {
    Events(Reader),
    Json(Vec<u8>),
    /// Nothing in it can say anything.
    Opaque,
}

/// What was said of usage so far.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) usage: Option<Usage>,
    /// The model that the provider names.
    model: Option<String>,
}

impl Sniffer {
    /// For a body of this type; `most` is the longest event.
    #[must_use]
    pub fn new(content_type: &str, quirks: Quirks, most: usize) -> Sniffer {
        let body = match content_type {
            kind if kind.contains("event-stream") => Body::Events(Reader::new(most)),
            kind if kind.contains("json") => Body::Json(Vec::new()),
            _ => Body::Opaque,
        };
        Sniffer { quirks, body, counts: Counts::default(), bytes: 0 }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let (quirks, counts) = (&self.quirks, &mut self.counts);
        let lost = match &mut self.body {
            Body::Events(reader) => reader.feed(bytes, &mut |frame| counts.frame(frame, quirks)).is_err(),
            Body::Json(kept) => {
                kept.extend_from_slice(bytes);
                kept.len() > MOST_KEPT
            }
            Body::Opaque => false,
        };
        if lost {
            self.body = Body::Opaque;
        }
    }

    /// The body ended.
    pub fn finish(&mut self) {
        let (quirks, counts) = (&self.quirks, &mut self.counts);
        match &mut self.body {
            Body::Events(reader) => reader.finish(&mut |frame| counts.frame(frame, quirks)),
            Body::Json(kept) => counts.whole(kept, quirks),
            Body::Opaque => {}
        }
    }

    /// What it says was used.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.counts.usage.clone()
    }

    /// The model that it names.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.counts.model.as_deref()
    }

    /// How long it is so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Counts {
    fn frame(&mut self, frame: &Frame<'_>, quirks: &Quirks) {
        // Most events say nothing of usage.
        if json::mentions(&frame.data, b"sage") {
            self.take(&frame.data, quirks);
        }
    }

    /// A whole body: an object, or the objects of a stream in an array, as Gemini's API has it without `alt=sse`.
    fn whole(&mut self, json: &[u8], quirks: &Quirks) {
        if json.trim_ascii_start().first() != Some(&b'[') {
            return self.take(json, quirks);
        }
        let list = std::str::from_utf8(json).ok().and_then(|json| Raw::parse(json).ok());
        let Some(list) = list else { return };
        // It has been walked once already.
        let _ = list.cursor().items(|_, cursor| {
            self.take(cursor.value()?.get().as_bytes(), quirks);
            Ok::<(), SyntaxError>(())
        });
    }

    fn take(&mut self, json: &[u8], quirks: &Quirks) {
        if let Some(all) = Named::read(json) {
            self.take_object(&all, quirks);
        }
    }

    pub(super) fn take_object(&mut self, all: &Named<'_>, quirks: &Quirks) {
        for part in [all, &all.inner(&["message"]), &all.inner(&["response"])] {
            if let Some(model) = part.raw("model").or(part.raw("modelVersion")).and_then(Raw::text) {
                self.model = Some(model.decode().chars().take(200).collect());
            }
            let counted = part.raw("usage").or(part.raw("usageMetadata"));
            let Some(read) = counted.and_then(|counted| read_counts(counted, quirks)) else { continue };
            self.usage = Some(match self.usage.take() {
                // Counts of a stream grow; an event that leaves the input out has said it before.
                Some(known) => later(known, read),
                None => read,
            });
        }
    }
}

/// What a whole body says was used.
#[must_use]
pub fn read_usage(body: &[u8], quirks: &Quirks) -> Option<Usage> {
    let mut counts = Counts::default();
    counts.take(body, quirks);
    counts.usage
}

/// What a later event says, with the input of an earlier one where it says nothing of that.
fn later(known: Usage, read: Usage) -> Usage {
    if read.prompt_tokens() > 0 {
        return read;
    }
    Usage {
        output_text: read.output_text,
        output_reasoning: read.output_reasoning,
        output_audio: read.output_audio,
        output_image: read.output_image,
        ..known
    }
}
