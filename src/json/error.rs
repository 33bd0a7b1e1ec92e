use std::fmt;

use super::SyntaxError;

/// Why JSON could not be read as what was asked for, and where.
///
/// One word wide, because every member of every type passes one on.
#[derive(Debug)]
pub struct Error(Box<Fault>);

#[derive(Debug)]
struct Fault {
    message: String,
    /// From 1; 0 as long as the reader has not said where it stands.
    line: usize,
    /// Bytes before the fault in its line.
    column: usize,
    /// Whether it is JSON, and only not what was asked for.
    is_data: bool,
}

impl Error {
    /// Whether the text is JSON as far as it was read, but not of the shape that was asked for.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.0.is_data
    }

    /// The same fault, found at byte `at` of `json`, unless its place is known already.
    pub(super) fn found(mut self, json: &[u8], at: usize) -> Error {
        if self.0.line == 0 {
            let before = json.get(..at).unwrap_or(json);
            self.0.line = 1 + memchr::memchr_iter(b'\n', before).count();
            self.0.column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        }
        self
    }

    /// JSON, but not what was asked for.
    #[cold]
    #[must_use]
    pub fn data(expected: &str) -> Error {
        Error::new(expected.to_owned(), true)
    }

    fn new(message: String, is_data: bool) -> Error {
        Error(Box::new(Fault { message, line: 0, column: 0, is_data }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { message, line, column, .. } = &*self.0;
        if *line == 0 {
            formatter.write_str(message)
        } else {
            write!(formatter, "{message} at line {line} column {column}")
        }
    }
}

impl std::error::Error for Error {}

impl From<SyntaxError> for Error {
    #[cold]
    fn from(error: SyntaxError) -> Error {
        Error::new(error.what.to_owned(), false)
    }
}
