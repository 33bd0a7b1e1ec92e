//! Names of fields in another case, made while compiling.
#![allow(clippy::indexing_slicing, clippy::panic, reason = "what fails here fails to compile")]

/// How long a name is in camel case.
pub(crate) const fn camel_length(snake: &str) -> usize {
    let bytes = snake.as_bytes();
    let (mut at, mut length) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'_' {
            length += 1;
        }
        at += 1;
    }
    length
}

/// A name in camel case.
pub(crate) const fn camel<const LENGTH: usize>(snake: &str) -> [u8; LENGTH] {
    let bytes = snake.as_bytes();
    let mut camel = [0; LENGTH];
    let (mut at, mut length) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'_' {
            let is_first = at > 0 && bytes[at - 1] == b'_';
            camel[length] = if is_first { bytes[at].to_ascii_uppercase() } else { bytes[at] };
            length += 1;
        }
        at += 1;
    }
    camel
}

/// The text of a name.
pub(crate) const fn ascii(name: &'static [u8]) -> &'static str {
    match std::str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => panic!("a name of a field is ASCII"),
    }
}
