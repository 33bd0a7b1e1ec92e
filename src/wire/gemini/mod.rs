//! Not built yet.

use crate::chat::{Answer, Request, Sink};
use crate::failure::{Failure, Kind};
use crate::provider::Quirks;
use crate::wire::{Adjusted, Decoded, Outgoing, StreamDecoder, Target, sse::Frame};

fn missing() -> Failure {
    Failure::new(Kind::Internal, "this format is not built yet")
}

/// Writes a request.
///
/// # Errors
/// Always, for now.
pub fn write_request(_: &Request<'_>, _: &Target<'_>, _: &mut Adjusted) -> Result<Outgoing, Failure> {
    Err(missing())
}

/// Reads an answer.
///
/// # Errors
/// Always, for now.
pub fn read_answer<'b>(_: &'b [u8], _: &Quirks) -> Result<Answer<'b>, Failure> {
    Err(missing())
}

/// Reads an error.
#[must_use]
pub fn read_error(_: u16, _: &dyn Fn(&str) -> Option<String>, _: &[u8]) -> Failure {
    missing()
}

/// Links to fetch first.
#[must_use]
pub fn links_to_inline(_: &Request<'_>, _: &Target<'_>) -> Vec<String> {
    Vec::new()
}

/// Decodes a stream.
#[derive(Debug)]
pub struct Decoder;

impl Decoder {
    /// A decoder.
    #[must_use]
    pub fn new(_: &Quirks) -> Decoder {
        Decoder
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, _: &Frame<'_>, _: &mut dyn Sink) -> Decoded {
        Decoded::Unknown
    }
    fn finish(&mut self, _: &mut dyn Sink) -> Result<(), Failure> {
        Err(missing())
    }
}
