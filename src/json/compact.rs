/// JSON without the white space between its tokens, made while compiling, and how long it is.
///
/// What does not fit into `LENGTH` bytes is only counted: a first call with none says how many the second needs.
#[allow(clippy::indexing_slicing, reason = "what fails here fails to compile")]
pub(crate) const fn compact<const LENGTH: usize>(json: &str) -> ([u8; LENGTH], usize) {
    let bytes = json.as_bytes();
    let (mut kept, mut length) = ([0; LENGTH], 0);
    let (mut at, mut in_string, mut escaped) = (0, false, false);
    while at < bytes.len() {
        let byte = bytes[at];
        if in_string || !byte.is_ascii_whitespace() {
            if length < LENGTH {
                kept[length] = byte;
            }
            length += 1;
        }
        if byte == b'"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && byte == b'\\' && !escaped;
        at += 1;
    }
    (kept, length)
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn only_white_space_between_tokens_goes() {
        const PRETTY: &str = "{ \"a b\" :\n [ 1 , \"\\\" ]\\\\\" , null ] }";
        const LENGTH: usize = compact::<0>(PRETTY).1;
        assert_eq!(compact::<LENGTH>(PRETTY).0.as_slice(), br#"{"a b":[1,"\" ]\\",null]}"#);
    }
}
