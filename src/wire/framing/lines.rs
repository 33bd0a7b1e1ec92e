//! One JSON document a line.

use std::borrow::Cow;

use super::Unframed;
use crate::wire::sse::Frame;

/// Cuts bytes into lines; blank ones are passed by.
#[derive(Debug)]
pub struct Reader {
    /// The beginning of a line whose end has not come yet.
    pending: Vec<u8>,
    max: usize,
}

impl Reader {
    pub(super) fn new(max: usize) -> Reader {
        Reader { pending: Vec::new(), max }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Unframed> {
        let Some((last, whole)) = memchr::memrchr(b'\n', bytes).map(|at| bytes.split_at(at + 1)).map(|(a, b)| (b, a))
        else {
            self.pending.extend_from_slice(bytes);
            return self.check(self.pending.len());
        };
        let mut pending = std::mem::take(&mut self.pending);
        for (at, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if at == 0 && !pending.is_empty() {
                pending.extend_from_slice(line);
                self.check(pending.len())?;
                emit(&pending, each);
            } else {
                self.check(line.len())?;
                emit(line, each);
            }
        }
        self.pending.extend_from_slice(last);
        self.check(last.len())
    }

    /// The last line may lack its end.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(&Frame<'_>)) {
        emit(&std::mem::take(&mut self.pending), each);
    }

    fn check(&self, length: usize) -> Result<(), Unframed> {
        if length > self.max { Err(Unframed::TooLarge { max: self.max }) } else { Ok(()) }
    }
}

fn emit(line: &[u8], each: &mut dyn FnMut(&Frame<'_>)) {
    let data = line.trim_ascii();
    if !data.is_empty() {
        each(&Frame { event: b"", data: Cow::Borrowed(data), raw: line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]], max: usize) -> Result<Vec<Vec<u8>>, Unframed> {
        let mut lines = Vec::new();
        let mut reader = Reader::new(max);
        for piece in pieces {
            reader.feed(piece, &mut |frame| lines.push(frame.data.to_vec()))?;
        }
        reader.finish(&mut |frame| lines.push(frame.data.to_vec()));
        Ok(lines)
    }

    #[test]
    fn lines_are_given_as_they_end() {
        let lines = read(&[b"{\"a\"", b":1}\r\n\n{}\n{\"b\":", b"2}"], 99).expect("short lines");
        assert_eq!(lines, [&b"{\"a\":1}"[..], b"{}", b"{\"b\":2}"]);
        assert_eq!(read(&[b"{}\n", b"123456"], 5), Err(Unframed::TooLarge { max: 5 }));
        assert_eq!(read(&[b"123", b"456\n"], 5), Err(Unframed::TooLarge { max: 5 }));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(body in "[a\n\r ]{0,40}", size in 1usize..9) {
            let whole = read(&[body.as_bytes()], 99);
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            prop_assert_eq!(read(&pieces, 99), whole);
        }
    }
}
