//! AWS's event stream: messages of a prelude (lengths and their checksum), headers, payload and a checksum of it all.
//!
//! Both checksums are verified before anything of a message is believed: a length that was damaged would make garbage
//! of everything behind it. Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>.

use std::borrow::Cow;

use super::Unframed;
use crate::json::{Object, Text, readable};
use crate::wire::sse::Frame;
use base64::Engine as _;

/// Total length, length of the headers, checksum of both.
const PRELUDE: usize = 12;
/// A prelude and the message's own checksum.
const LEAST: usize = PRELUDE + 4;

/// The type of a header that is text.
const STRING: u8 = 7;
/// What payloads are.
const JSON: &str = "application/json";

/// Cuts bytes into messages.
#[derive(Debug)]
pub struct Reader {
    /// The beginning of a message whose end has not come yet.
    pending: Vec<u8>,
    max: usize,
    /// Whether payloads hold another protocol's events.
    unwraps: bool,
    /// Nothing is read after damage.
    damaged: Option<Unframed>,
}

/// One message, its headers still packed.
struct Message<'m> {
    headers: &'m [u8],
    payload: &'m [u8],
    raw: &'m [u8],
}

impl Reader {
    pub(super) fn new(max: usize, unwraps: bool) -> Reader {
        Reader { pending: Vec::new(), max, unwraps, damaged: None }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Unframed> {
        if let Some(damaged) = self.damaged {
            return Err(damaged);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let result = if pending.is_empty() {
            self.cut(bytes, each).map(|rest| self.pending.extend_from_slice(rest))
        } else {
            pending.extend_from_slice(bytes);
            self.cut(&pending, each).map(|rest| self.pending.extend_from_slice(rest))
        };
        self.damaged = result.err();
        result
    }

    /// Gives every whole message at the beginning of `bytes`; answers what is left.
    fn cut<'b>(&self, mut bytes: &'b [u8], each: &mut dyn FnMut(&Frame<'_>)) -> Result<&'b [u8], Unframed> {
        while let Some((message, rest)) = first(bytes, self.max)? {
            give(&message, self.unwraps, each)?;
            bytes = rest;
        }
        Ok(bytes)
    }
}

/// The message at the beginning of `bytes` and what follows it; `None` where it is not there in full.
fn first(bytes: &[u8], max: usize) -> Result<Option<(Message<'_>, &[u8])>, Unframed> {
    let Some((prelude, _)) = bytes.split_at_checked(PRELUDE) else { return Ok(None) };
    let (Some(total), Some(headers), Some(sum)) = (word(prelude, 0), word(prelude, 4), word(prelude, 8)) else {
        return Ok(None);
    };
    if prelude.get(..8).map(checksum) != Some(sum) {
        return Err(Unframed::Damaged("the checksum of a prelude is wrong"));
    }
    let total = usize::try_from(total).unwrap_or(usize::MAX);
    let headers = usize::try_from(headers).unwrap_or(usize::MAX);
    if total > max {
        return Err(Unframed::TooLarge { max });
    }
    if total < LEAST || headers > total - LEAST {
        return Err(Unframed::Damaged("the lengths of a message contradict each other"));
    }
    let Some((raw, rest)) = bytes.split_at_checked(total) else { return Ok(None) };
    let (summed, _) = raw.split_at(total - 4);
    if word(raw, total - 4) != Some(checksum(summed)) {
        return Err(Unframed::Damaged("the checksum of a message is wrong"));
    }
    let (headers, payload) = summed.get(PRELUDE..).unwrap_or_default().split_at(headers);
    Ok(Some((Message { headers, payload, raw }, rest)))
}

/// CRC-32 as in Ethernet and zip. One small table: faster ways take sixteen kilobytes of the script for them.
fn checksum(bytes: &[u8]) -> u32 {
    static TABLE: [u32; 256] = table();
    let step = |sum: u32, byte: &u8| TABLE.get((sum as u8 ^ byte) as usize).unwrap_or(&0) ^ (sum >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

/// What each byte does to a checksum.
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
            bit += 1;
        }
        #[allow(clippy::indexing_slicing, reason = "while the program is built")]
        {
            table[byte] = sum;
        }
        byte += 1;
    }
    table
}

/// Writes an event.
pub fn write_event(kind: &str, payload: &[u8], out: &mut Vec<u8>) {
    write(&[(":event-type", kind), (":content-type", JSON), (":message-type", "event")], payload, out);
}

/// Writes an exception, which ends a stream: SDKs throw it.
pub fn write_exception(kind: &str, payload: &[u8], out: &mut Vec<u8>) {
    write(&[(":exception-type", kind), (":content-type", JSON), (":message-type", "exception")], payload, out);
}

fn write(headers: &[(&str, &str)], payload: &[u8], out: &mut Vec<u8>) {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let packed: usize = headers.iter().map(|(name, value)| 1 + name.len() + 3 + value.len()).sum();
    let begin = out.len();
    out.extend_from_slice(&length(LEAST + packed + payload.len()));
    out.extend_from_slice(&length(packed));
    let sum = checksum(out.get(begin..).unwrap_or_default());
    out.extend_from_slice(&sum.to_be_bytes());
    for (name, value) in headers {
        // Names and values are ours, and short.
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name.as_bytes());
        out.push(STRING);
        out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(payload);
    let sum = checksum(out.get(begin..).unwrap_or_default());
    out.extend_from_slice(&sum.to_be_bytes());
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

fn give(message: &Message<'_>, unwraps: bool, each: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Unframed> {
    let headers = Headers::read(message.headers)?;
    let raw = message.raw;
    match headers.message_type {
        b"exception" => {
            let event = [b"exception:", headers.exception_type].concat();
            each(&Frame { event: &event, data: Cow::Borrowed(message.payload), raw });
        }
        b"error" => {
            let event = [b"error:", headers.error_code].concat();
            let mut data = Vec::new();
            let mut body = Object::open(&mut data);
            body.string("message", &String::from_utf8_lossy(headers.error_message));
            body.close();
            each(&Frame { event: &event, data: Cow::Owned(data), raw });
        }
        _ if unwraps && headers.event_type == b"chunk" => {
            let data = Cow::Owned(unwrap(message.payload)?);
            each(&Frame { event: b"", data, raw });
        }
        _ => each(&Frame { event: headers.event_type, data: Cow::Borrowed(message.payload), raw }),
    }
    Ok(())
}

/// The event inside of `{"bytes": "<base64>"}`.
fn unwrap(payload: &[u8]) -> Result<Vec<u8>, Unframed> {
    #[derive(Default)]
    struct Chunk<'a> {
        bytes: Text<'a>,
    }
    readable! { Chunk<'a> { #[required] bytes } }
    let chunk: Chunk<'_> =
        crate::json::from_slice(payload).map_err(|_| Unframed::Damaged("a chunk holds no bytes of an event"))?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(chunk.bytes.decode().as_bytes());
    decoded.map_err(|_| Unframed::Damaged("a chunk is not valid base64"))
}

/// The headers that tell what a message is; empty where they are not there.
#[derive(Default)]
struct Headers<'m> {
    message_type: &'m [u8],
    event_type: &'m [u8],
    exception_type: &'m [u8],
    error_code: &'m [u8],
    error_message: &'m [u8],
}

impl<'m> Headers<'m> {
    fn read(mut bytes: &'m [u8]) -> Result<Headers<'m>, Unframed> {
        let mut headers = Headers::default();
        while !bytes.is_empty() {
            let (name, value, rest) = header(bytes).ok_or(Unframed::Damaged("a header of a message cannot be read"))?;
            match name {
                b":message-type" => headers.message_type = value,
                b":event-type" => headers.event_type = value,
                b":exception-type" => headers.exception_type = value,
                b":error-code" => headers.error_code = value,
                b":error-message" => headers.error_message = value,
                _ => {}
            }
            bytes = rest;
        }
        Ok(headers)
    }
}

/// The first header, name and value, and what follows it. Values that are no strings are given as their bytes.
fn header(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, bytes) = bytes.split_first()?;
    let (name, bytes) = bytes.split_at_checked(usize::from(*length))?;
    let (kind, bytes) = bytes.split_first()?;
    let (length, bytes) = match kind {
        0 | 1 => (0, bytes),
        2 => (1, bytes),
        3 => (2, bytes),
        4 => (4, bytes),
        5 | 8 => (8, bytes),
        6 | 7 => {
            let (length, bytes) = bytes.split_at_checked(2)?;
            (usize::from(u16::from_be_bytes(length.try_into().ok()?)), bytes)
        }
        9 => (16, bytes),
        _ => return None,
    };
    let (value, bytes) = bytes.split_at_checked(length)?;
    Some((name, value, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        write(headers, payload, &mut message);
        message
    }

    /// A message of a recording, byte by byte: `bedrock.thinking-stream.58788c18fe` begins with it.
    #[test]
    fn what_is_written_is_what_the_provider_writes() {
        let recorded = base64::engine::general_purpose::STANDARD.decode(RECORDED).expect("base64");
        let mut written = Vec::new();
        let mut reader = Reader::new(1000, false);
        let read = reader.feed(&recorded, &mut |frame| {
            write_event(&String::from_utf8_lossy(frame.event), &frame.data, &mut written);
        });
        assert_eq!((read, written), (Ok(()), recorded));
    }

    fn event(kind: &str, payload: &str) -> Vec<u8> {
        message(&[(":event-type", kind), (":message-type", "event")], payload.as_bytes())
    }

    const RECORDED: &str = "AAAAsgAAAFKKQLTFCzpldmVudC10eXBlBwAMbWVzc2FnZVN0YXJ0DTpjb250ZW50LXR5cGUHABBhcHBsaWNhdGlvbi9q\
        c29uDTptZXNzYWdlLXR5cGUHAAVldmVudHsicCI6ImFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVow\
        Iiwicm9sZSI6ImFzc2lzdGFudCJ9QP+CaA==";

    type Seen = Vec<(String, String)>;

    fn read(bytes: &[u8], size: usize, unwraps: bool) -> (Seen, Option<Unframed>) {
        let mut seen = Vec::new();
        let mut reader = Reader::new(1000, unwraps);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for piece in bytes.chunks(size) {
            let fed = reader.feed(piece, &mut |frame| seen.push((text(frame.event), text(&frame.data))));
            if fed.is_err() {
                return (seen, fed.err());
            }
        }
        (seen, None)
    }

    #[test]
    fn a_checksum_is_the_one_that_everybody_has() {
        // The check value of every catalogue of checksums.
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn messages_of_every_type_are_told_apart() {
        let mut stream = event("messageStart", "{}");
        stream.extend(message(
            &[(":message-type", "exception"), (":exception-type", "throttlingException")],
            br#"{"message":"slow down"}"#,
        ));
        stream.extend(message(
            &[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "a \"b\"")],
            b"",
        ));
        let (seen, fault) = read(&stream, usize::MAX, false);
        let seen: Vec<(&str, &str)> = seen.iter().map(|(event, data)| (event.as_str(), data.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("messageStart", "{}"),
                ("exception:throttlingException", r#"{"message":"slow down"}"#),
                ("error:InternalFailure", r#"{"message":"a \"b\""}"#),
            ]
        );
        assert_eq!(fault, None);
    }

    /// Of every type that the format has, so that one between two others hides neither.
    #[test]
    fn headers_of_every_type_are_passed_by() {
        let values: [&[u8]; 10] = [
            &[0],
            &[1],
            &[2, 7],
            &[3, 0, 7],
            &[4, 0, 0, 0, 7],
            &[5; 9],
            &[6, 0, 2, 7, 7],
            &[7, 0, 1, b'x'],
            &[8; 9],
            &[9; 17],
        ];
        let text = |name: &str, value: &str| {
            let mut header = vec![u8::try_from(name.len()).expect("short")];
            header.extend(name.as_bytes());
            header.extend([7, 0, u8::try_from(value.len()).expect("short")]);
            header.extend(value.as_bytes());
            header
        };
        for value in values {
            let mut bytes = text(":message-type", "event");
            bytes.extend([1, b'n']);
            bytes.extend(value);
            bytes.extend(text(":event-type", "metadata"));
            let read = Headers::read(&bytes).expect("headers");
            assert_eq!(
                (read.message_type, read.event_type),
                (b"event".as_slice(), b"metadata".as_slice()),
                "{value:?}"
            );
        }
        assert!(Headers::read(&[1, b'n', 10, 0]).is_err(), "a type that is none");
    }

    #[test]
    fn wrapped_events_are_unwrapped() {
        let (seen, fault) = read(&event("chunk", r#"{"bytes":"e30=","p":"abc"}"#), 1, true);
        assert_eq!((seen, fault), (vec![(String::new(), "{}".to_owned())], None));
        let (_, fault) = read(&event("chunk", r#"{"bytes":"?"}"#), 1, true);
        assert_eq!(fault, Some(Unframed::Damaged("a chunk is not valid base64")));
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_gathered() {
        let long = event("chunk", &"x".repeat(2000));
        assert_eq!(read(&long[..12], 1, false).1, Some(Unframed::TooLarge { max: 1000 }));
    }

    #[test]
    fn nothing_is_read_after_damage() {
        let mut reader = Reader::new(1000, false);
        assert!(reader.feed(&[0; 16], &mut |_| {}).is_err());
        let mut count = 0;
        assert!(reader.feed(&event("a", "{}"), &mut |_| count += 1).is_err());
        assert_eq!(count, 0);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(
            payloads in proptest::collection::vec("[a-z]{0,30}", 0..6),
            size in 1usize..40,
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| event("e", payload)).collect();
            let expected: Seen = payloads.into_iter().map(|payload| ("e".to_owned(), payload)).collect();
            prop_assert_eq!(read(&stream, size, false), (expected, None));
        }

        #[test]
        fn one_wrong_bit_is_found(payload in "[a-z]{0,30}", at in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let mut stream = event("e", &payload);
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
            let (seen, fault) = read(&stream, usize::MAX, false);
            // A length that grew is found by its own checksum, so nothing waits for bytes that never come.
            prop_assert!(seen.is_empty() && fault.is_some());
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..50) {
            read(&bytes, size, true);
        }
    }
}
