//! Server-sent events: cuts a byte stream into frames, whatever the chunk boundaries, and writes events.
//!
//! Line ends may be `\n`, `\r\n` or `\r`; comments, `id:` and `retry:` lines are skipped; several `data:` lines are
//! joined by a newline, as the specification says. A frame that arrives whole is not copied.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.

use std::borrow::Cow;

use crate::json::Object;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field, empty where there is none.
    pub event: &'a [u8],
    /// The `data:` lines.
    pub data: Cow<'a, [u8]>,
    /// The event as it came, with its closing blank line: what the same-format lane sends on.
    pub raw: &'a [u8],
}

impl Frame<'_> {
    /// Sends the event on as it came, with its blank line whole: the last event of a body may lack it, and a read may end
    /// within it.
    pub fn pass(&self, out: &mut Vec<u8>) {
        if self.raw.ends_with(b"\n\n") {
            return out.extend_from_slice(self.raw);
        }
        let end = self.raw.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
        let (event, blank) = self.raw.split_at_checked(end).unwrap_or((self.raw, b""));
        out.extend_from_slice(event);
        out.extend_from_slice(if blank.starts_with(b"\r\n") { b"\r\n\r\n" } else { b"\n\n" });
    }
}

/// Writes an event, without a name where that is empty.
pub(super) fn write_event(name: &[u8], data: &[u8], out: &mut Vec<u8>) {
    if !name.is_empty() {
        for piece in [b"event: ", name, b"\n"] {
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(b"data: ");
    write_line(data, out);
    out.extend_from_slice(b"\n\n");
}

/// Writes an event whose data is an object that calls itself as the event is called.
pub(super) fn write_object(name: &str, members: impl FnOnce(&mut Object<'_>), out: &mut Vec<u8>) {
    for piece in ["event: ", name, "\ndata: "] {
        out.extend_from_slice(piece.as_bytes());
    }
    let mut event = Object::open(out);
    event.string("type", name);
    members(&mut event);
    event.close();
    out.extend_from_slice(b"\n\n");
}

/// Writes JSON on one line, as an event's data is: between tokens a line end is only space.
pub(super) fn write_line(json: &[u8], out: &mut Vec<u8>) {
    out.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
}

/// An event is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {max} bytes")]
pub struct EventTooLarge {
    /// The limit that was passed.
    pub max: usize,
}

/// Cuts bytes into frames.
#[derive(Debug)]
pub struct Reader {
    /// The beginning of an event whose end has not come yet.
    pending: Vec<u8>,
    /// How much of `pending` has been searched for its end.
    searched: usize,
    /// The last byte was a `\r` that ended a line, so a `\n` that comes next belongs to it.
    after_carriage_return: bool,
    max_event: usize,
}

impl Reader {
    /// A reader that refuses events longer than `max_event` bytes.
    #[must_use]
    pub fn new(max_event: usize) -> Reader {
        Reader { pending: Vec::new(), searched: 0, after_carriage_return: false, max_event }
    }

    /// Takes the next bytes and gives every event that they complete, in order.
    ///
    /// # Errors
    /// Where an event passes the limit; the stream cannot be read on after that.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Frame<'_>)) -> Result<(), EventTooLarge> {
        let mut rest = bytes;
        if self.after_carriage_return && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_carriage_return = false;
        }
        if !self.pending.is_empty() {
            // Only as much as completes the pending event is copied behind it.
            self.pending.extend_from_slice(rest);
            let pending = std::mem::take(&mut self.pending);
            let used = self.cut(&pending, self.searched, each)?;
            self.keep(pending, used);
        } else {
            let used = self.cut(rest, 0, each)?;
            if let Some(tail) = rest.get(used..).filter(|tail| !tail.is_empty()) {
                self.keep(tail.to_vec(), 0);
            }
        }
        if self.pending.len() > self.max_event { Err(EventTooLarge { max: self.max_event }) } else { Ok(()) }
    }

    /// The body ended: what is left is given as a last event, because some vendors leave its blank line out.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Frame<'_>)) {
        let pending = std::mem::take(&mut self.pending);
        self.searched = 0;
        emit(&pending, each);
    }

    fn keep(&mut self, mut tail: Vec<u8>, used: usize) {
        tail.drain(..used.min(tail.len()));
        // The search goes on at the start of the last, unfinished line.
        self.searched = memchr::memrchr2(b'\n', b'\r', &tail).map_or(0, |at| {
            let ends_in_return = at + 1 == tail.len() && tail.get(at) == Some(&b'\r');
            if ends_in_return { start_of_line(&tail, at) } else { at + 1 }
        });
        self.pending = tail;
    }

    /// Gives each complete event of `bytes` and answers how many bytes they took. `from` is the start of a line before
    /// which no event ends.
    fn cut(&mut self, bytes: &[u8], from: usize, each: &mut dyn FnMut(&Frame<'_>)) -> Result<usize, EventTooLarge> {
        let mut event_start = 0;
        let mut line_start = from;
        while let Some(found) = bytes.get(line_start..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
            let line_end = line_start + found;
            let is_return = bytes.get(line_end) == Some(&b'\r');
            let next = match (is_return, bytes.get(line_end + 1)) {
                (true, Some(b'\n')) => line_end + 2,
                _ => line_end + 1,
            };
            let blank = found == 0;
            if is_return && next == bytes.len() && next == line_end + 1 {
                // A `\n` may follow in the next chunk. A blank line is complete either way; others wait for it.
                if !blank {
                    break;
                }
                self.after_carriage_return = true;
            }
            if blank {
                let raw = bytes.get(event_start..next).unwrap_or_default();
                if raw.len() > self.max_event {
                    return Err(EventTooLarge { max: self.max_event });
                }
                emit(raw, each);
                event_start = next;
            }
            line_start = next;
        }
        Ok(event_start)
    }
}

fn start_of_line(bytes: &[u8], end: usize) -> usize {
    bytes.get(..end).and_then(|before| memchr::memrchr2(b'\n', b'\r', before)).map_or(0, |at| at + 1)
}

/// Reads the fields of one event. Events without data (comments, blank lines) are not given.
fn emit(raw: &[u8], each: &mut dyn FnMut(&Frame<'_>)) {
    let mut event: &[u8] = b"";
    let mut data: Option<Cow<'_, [u8]>> = None;
    let body = raw.strip_prefix("\u{feff}".as_bytes()).unwrap_or(raw);
    for line in body.split(|&byte| byte == b'\n' || byte == b'\r') {
        if let Some(value) = field(line, b"data") {
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(before) => {
                    let mut joined = before.into_owned();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                    Cow::Owned(joined)
                }
            });
        } else if let Some(value) = field(line, b"event") {
            event = value;
        }
    }
    if let Some(data) = data {
        each(&Frame { event, data, raw });
    }
}

fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Seen = Vec<(Vec<u8>, Vec<u8>)>;

    fn read(chunks: &[&[u8]], finish: bool) -> Seen {
        let mut seen = Vec::new();
        let mut reader = Reader::new(1 << 20);
        let mut each = |frame: &Frame<'_>| seen.push((frame.event.to_vec(), frame.data.to_vec()));
        for chunk in chunks {
            reader.feed(chunk, &mut each).expect("within the limit");
        }
        if finish {
            reader.finish(&mut each);
        }
        seen
    }

    fn events(pairs: &[(&str, &str)]) -> Seen {
        pairs.iter().map(|(event, data)| (event.as_bytes().to_vec(), data.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_is_written_is_read_again_on_one_line() {
        let mut out = Vec::new();
        write_event(b"", b"{\r\n\n}", &mut out);
        write_event(b"x", b"[1]", &mut out);
        write_object(
            "y",
            |event| {
                event.number("at", 1u8);
            },
            &mut out,
        );
        let written = [("", "{   }"), ("x", "[1]"), ("y", r#"{"type":"y","at":1}"#)];
        assert_eq!(read(&[&out], false), events(&written));
    }

    #[test]
    fn every_line_end_and_every_oddity() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
            ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
            ("data:a\n\n", &[("", "a")]),
            ("event: x\ndata: a\ndata: b\n\n", &[("x", "a\nb")]),
            (": comment\n\nid: 3\nretry: 9\ndata: a\n\n", &[("", "a")]),
            ("\u{feff}data: a\n\n", &[("", "a")]),
            ("\n\n\ndata\n\n", &[("", "")]),
            ("data: a\n\ndata: without its blank line", &[("", "a"), ("", "without its blank line")]),
            ("database: no\n\n", &[]),
        ];
        for (stream, expected) in cases {
            assert_eq!(read(&[stream.as_bytes()], true), events(expected), "{stream:?}");
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(read(&bytes, true), events(expected), "byte by byte: {stream:?}");
        }
    }

    #[test]
    fn an_event_over_the_limit_is_refused() {
        let mut reader = Reader::new(16);
        let mut none = |_: &Frame<'_>| panic!("no event is complete");
        assert_eq!(reader.feed(b"data: 0123456789", &mut none), Ok(()));
        assert_eq!(reader.feed(b"0", &mut none), Err(EventTooLarge { max: 16 }));
    }

    #[test]
    fn a_frame_keeps_its_raw_bytes() {
        let mut reader = Reader::new(1024);
        let mut raw = Vec::new();
        let stream = b"event: x\r\ndata: 1\r\n\r\ndata: 2\n\n";
        for chunk in stream.chunks(3) {
            reader.feed(chunk, &mut |frame| raw.push(frame.raw.to_vec())).expect("small");
        }
        assert_eq!(raw.concat(), stream);
    }

    #[test]
    fn an_event_goes_on_the_same_however_it_was_cut() {
        for stream in ["data: 1\r\n\r\ndata: 2\r\n\r\n", "data: 1\r\r\ndata: 2\n\r\ndata: 3", "data: 1\r\rdata: 2\n\n"]
        {
            let pass = |size: usize| {
                let (mut reader, mut out) = (Reader::new(1024), Vec::new());
                for chunk in stream.as_bytes().chunks(size) {
                    reader.feed(chunk, &mut |frame| frame.pass(&mut out)).expect("small");
                }
                reader.finish(&mut |frame| frame.pass(&mut out));
                String::from_utf8(out).expect("text")
            };
            let whole = pass(stream.len());
            for size in 1..stream.len() {
                assert_eq!(pass(size), whole, "{stream:?} cut at {size}");
            }
            assert_eq!(read(&[whole.as_bytes()], true), read(&[stream.as_bytes()], true), "and says the same");
        }
        let mut out = Vec::new();
        Frame { event: b"", data: b"1".into(), raw: b"data: 1\r\n\r\n" }.pass(&mut out);
        assert_eq!(out, b"data: 1\r\n\r\n", "as it came");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
            stream in "((data|event|id|:|x)(: ?)?[a-z]{0,3}(\r\n|\n|\r){1,3}){0,12}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = stream.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.push(0);
            at.push(bytes.len());
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&chunks, true), read(&[bytes], true));
        }
    }
}
