/// Bytes that JSON and English are full of: looking for one of them would stop all the time.
const COMMON: &[u8] = b"\"{}[]:, etaoinsrldcu";

/// Whether `bytes` have `word` in them.
///
/// A quick look before a slow one: whether a body can have a member of some name at all. It does not see names that are
/// written with escapes.
#[must_use]
pub fn mentions(bytes: &[u8], word: &[u8]) -> bool {
    find(bytes, word).is_some()
}

/// Where `bytes` first have `word`, found by its rarest letter. An empty one is nowhere.
// Bodies are short and so are words: `memchr::memmem` takes longer to prepare its search than this takes to search.
#[must_use]
pub fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let before = word.iter().position(|letter| !COMMON.contains(letter)).unwrap_or(0);
    let rare = *word.get(before)?;
    // A rare letter at some place of what follows these bytes belongs to a word that begins at that place of all.
    let mut starts = memchr::memchr_iter(rare, bytes.get(before..)?);
    starts.find(|start| bytes.get(*start..).is_some_and(|rest| rest.starts_with(word)))
}

/// Whether some string in `bytes` begins with one of the words of `lists`, of which empty ones are nowhere: one walk over
/// the quotes, where a search for each word would stop at its letters in every text.
#[must_use]
pub fn quotes(bytes: &[u8], lists: &[&[&str]]) -> bool {
    let words = || lists.iter().copied().flatten().map(|word| word.as_bytes());
    let mut begin_one = [false; 256];
    for letter in words().filter_map(|word| word.first()) {
        if let Some(begins) = begin_one.get_mut(usize::from(*letter)) {
            *begins = true;
        }
    }
    memchr::memchr_iter(b'"', bytes).any(|quote| {
        let Some(rest @ [first, ..]) = bytes.get(quote + 1..) else { return false };
        let begins = begin_one.get(usize::from(*first)).copied().unwrap_or(false);
        begins && words().any(|word| !word.is_empty() && rest.starts_with(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_found_where_they_are() {
        assert_eq!(find(br#"{"a":"```"}"#, b"```"), Some(6));
        assert_eq!(find(b"tools toll_calls tool_calls", b"tool_calls"), Some(17));
        assert!(!mentions(b"tool_call", b"tool_calls"));
        assert!(!mentions(b"", b"a") && !mentions(b"a", b""));
    }

    proptest! {
        #[test]
        fn strings_begin_as_a_search_for_each_word_would_find(
            bytes in r#"["ab_]{0,40}"#,
            words in proptest::collection::vec("[ab_]{0,4}", 0..4),
        ) {
            let found = words.iter().any(|word| !word.is_empty() && bytes.contains(&format!("\"{word}")));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            prop_assert_eq!(quotes(bytes.as_bytes(), &[&words, &["c"]]), found);
        }

        #[test]
        fn as_a_search_through_all_places_would(bytes in "[ab_]{0,40}", word in "[ab_]{1,4}") {
            prop_assert_eq!(find(bytes.as_bytes(), word.as_bytes()), bytes.find(&word));
        }
    }
}
