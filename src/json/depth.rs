/// The body nests deeper than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("JSON nests deeper than {max} levels")]
pub struct TooDeep {
    /// The limit that was passed.
    pub max: usize,
}

/// Refuses JSON that nests deeper than `max` arrays and objects, before any parser recurses into it.
///
/// It only counts brackets outside strings, so it says nothing about whether the JSON is valid.
///
/// # Errors
/// [`TooDeep`] at the first bracket over the limit.
pub fn check_depth(json: &[u8], max: usize) -> Result<(), TooDeep> {
    let mut depth = 0usize;
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return Err(TooDeep { max });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    Ok(())
}

/// What follows the closing quote of the string that `rest` is inside of.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let escape = rest.get(at) == Some(&b'\\');
        rest = rest.get(at + if escape { 2 } else { 1 }..).unwrap_or_default();
        if !escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(check_depth(br#"{"a":"[[[[\"[[[","b":[{}]}"#, 3), Ok(()));
        assert_eq!(check_depth(b"[[[[", 3), Err(TooDeep { max: 3 }));
        assert_eq!(check_depth(b"\"unterminated [[[[[", 1), Ok(()));
        assert_eq!(check_depth(b"\"ends in an escape \\", 1), Ok(()));
    }
}
