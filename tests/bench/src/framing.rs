//! How HTTP/1.1 bodies are framed, read as the bytes come.

use httparse::Header;

/// What a message head says of the body behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Framing {
    /// `without` is what no header at all means: nothing for a request, everything until the end for a response.
    pub fn of(headers: &[Header<'_>], without: Framing) -> Framing {
        if header(headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Framing::Chunked;
        }
        let length = header(headers, "content-length").and_then(|value| value.parse().ok());
        length.map_or(without, Framing::Length)
    }
}

/// A header's value by its name in lower case.
pub fn header<'h>(headers: &[Header<'h>], name: &str) -> Option<&'h str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

/// Takes the framing off a body.
pub struct BodyReader {
    framing: Framing,
    state: State,
    /// Bytes still to come of the body or the chunk.
    left: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    /// Behind a size, up to the line's end.
    Extension,
    Data,
    /// The line end behind a chunk's data.
    DataEnd,
    /// A line of the trailer; whether it is empty so far.
    Trailer {
        empty: bool,
    },
    Done,
}

impl BodyReader {
    pub fn new(framing: Framing) -> BodyReader {
        let (state, left) = match framing {
            Framing::Length(0) => (State::Done, 0),
            Framing::Length(length) => (State::Data, length),
            Framing::Chunked => (State::Size, 0),
            Framing::UntilClose => (State::Data, usize::MAX),
        };
        BodyReader { framing, state, left }
    }

    pub fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Moves body bytes from `input` to `out`; gives how much of `input` belonged to this message.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let take = self.left.min(input.len() - at);
                out.extend_from_slice(&input[at..at + take]);
                at += take;
                self.left -= take;
                if self.left == 0 {
                    self.state = if self.framing == Framing::Chunked { State::DataEnd } else { State::Done };
                }
                continue;
            }
            self.line_byte(input[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn line_byte(&mut self, byte: u8) -> Result<(), String> {
        self.state = match (self.state, byte) {
            (State::Size | State::Extension, b'\n') if self.left == 0 => State::Trailer { empty: true },
            (State::Size | State::Extension, b'\n') => State::Data,
            (State::Size, b'\r') | (State::Extension, _) => self.state,
            (State::Size, b';') => State::Extension,
            (State::Size, _) => {
                let digit = char::from(byte).to_digit(16).ok_or_else(|| format!("chunk size with byte {byte}"))?;
                self.left = self.left * 16 + digit as usize;
                State::Size
            }
            (State::DataEnd, b'\n') => State::Size,
            (State::Trailer { empty: true }, b'\n') => State::Done,
            (State::Trailer { .. }, b'\n') => State::Trailer { empty: true },
            (State::Trailer { .. }, b'\r') | (State::DataEnd, _) => self.state,
            (State::Trailer { .. }, _) => State::Trailer { empty: false },
            (State::Data | State::Done, _) => self.state,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_reads_alike_however_it_is_cut() {
        let wire = b"3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nx: y\r\n\r\nnext";
        for step in 1..wire.len() {
            let (mut reader, mut body, mut used) = (BodyReader::new(Framing::Chunked), Vec::new(), 0);
            for part in wire.chunks(step) {
                used += reader.feed(part, &mut body).unwrap();
            }
            assert_eq!((body.as_slice(), used), (&b"abc0123456789abcdef"[..], wire.len() - 4));
            assert!(reader.done());
        }
    }

    #[test]
    fn a_length_ends_where_it_says() {
        let (mut reader, mut body) = (BodyReader::new(Framing::Length(2)), Vec::new());
        assert_eq!(reader.feed(b"abc", &mut body), Ok(2));
        assert!(reader.done() && body == b"ab");
    }
}
