//! Names, ids and text within the limits of this protocol.

use std::borrow::Cow;

use crate::json::Text;

/// The longest name of a tool.
pub(in crate::wire) const LONGEST_NAME: usize = 128;

/// Whether a tool may be called so: `^[a-zA-Z0-9_-]{1,128}$`.
pub(in crate::wire) fn is_tool_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(is_plain)
}

/// An id or name from elsewhere in the letters that are taken, `^[a-zA-Z0-9_-]+$`. Two that differ stay different: what
/// was replaced is told apart by a hash of the whole.
pub(in crate::wire) fn clean(name: &str) -> Cow<'_, str> {
    clean_to(name, LONGEST_NAME)
}

/// The same where no more than `longest` letters are taken.
pub(in crate::wire) fn clean_to(name: &str, longest: usize) -> Cow<'_, str> {
    if is_tool_name(name) && name.len() <= longest {
        return Cow::Borrowed(name);
    }
    let kept = longest.saturating_sub(9);
    let mut clean: String =
        name.bytes().take(kept).map(|byte| if is_plain(byte) { char::from(byte) } else { '_' }).collect();
    clean.push_str(&format!("_{:08x}", hash(name)));
    Cow::Owned(clean)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// FNV-1a: it only has to be the same every time.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Whether `text` is nothing but white space. Stops at the first letter.
pub(in crate::wire) fn is_blank(text: &Text<'_>) -> bool {
    let mut bytes = text.escaped().bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' => {}
            b'\\' if matches!(bytes.next(), Some(b'n' | b't' | b'r')) => {}
            _ => return false,
        }
    }
    true
}

/// `text` without white space at its end.
pub(in crate::wire) fn trim_end<'t>(text: &'t Text<'_>) -> Text<'t> {
    let mut rest = text.escaped();
    loop {
        let shorter = rest.strip_suffix(' ').or_else(|| {
            let before = rest.strip_suffix(['n', 't', 'r'])?;
            let backslashes = before.bytes().rev().take_while(|byte| *byte == b'\\').count();
            // An even number of them is an escaped backslash and a letter.
            if backslashes % 2 == 1 { before.strip_suffix('\\') } else { None }
        });
        match shorter {
            Some(shorter) => rest = shorter,
            None => return Text::from_escaped(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn foreign_ids_become_plain_and_stay_apart() {
        assert_eq!(clean("toolu_01-x"), "toolu_01-x");
        assert!(is_tool_name(&clean("")) && is_tool_name(&clean(&"é".repeat(300))));
        assert_ne!(clean("functions.get:0"), clean("functions.get/0"));
        assert_eq!(clean("functions.get:0"), clean("functions.get:0"));
        assert!(clean("functions.get:0").starts_with("functions_get_0_"));
    }

    proptest! {
        #[test]
        fn white_space_is_judged_as_if_it_were_not_escaped(plain in "[ \n\t\ra\\\\n]{0,8}") {
            let text = Text::escape(&plain);
            prop_assert_eq!(is_blank(&text), plain.trim().is_empty());
            let trimmed = trim_end(&text);
            prop_assert_eq!(trimmed.decode(), plain.trim_end());
        }
    }
}
