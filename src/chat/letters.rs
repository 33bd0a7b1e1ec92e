//! Small and capital letters of the scripts that people write in and that have both.
//!
//! The standard library knows those of all scripts there ever were, in tables that would be a hundredth of the script.

/// Capital letters of one pattern: from the first to the last, every so many, and how far away each one's small letter is.
/// In order.
#[rustfmt::skip]
const CAPITALS: &[(char, char, u32, i32)] = &[
    // Latin; the single ones are Azerbaijani or West African.
    ('A', 'Z', 1, 32), ('À', 'Ö', 1, 32), ('Ø', 'Þ', 1, 32), ('Ā', 'Į', 2, 1), ('Ĳ', 'Ķ', 2, 1), ('Ĺ', 'Ň', 2, 1),
    ('Ŋ', 'Ŷ', 2, 1), ('Ÿ', 'Ÿ', 1, -121), ('Ź', 'Ž', 2, 1), ('Ɓ', 'Ɓ', 1, 210), ('Ɔ', 'Ɔ', 1, 206), ('Ɖ', 'Ɗ', 1, 205),
    ('Ǝ', 'Ǝ', 1, 79), ('Ə', 'Ə', 1, 202), ('Ɛ', 'Ɛ', 1, 203), ('Ƒ', 'Ƒ', 1, 1), ('Ɣ', 'Ɣ', 1, 207), ('Ɩ', 'Ɩ', 1, 211),
    ('Ƙ', 'Ƙ', 1, 1), ('Ɲ', 'Ɲ', 1, 213), ('Ơ', 'Ƥ', 2, 1), ('Ư', 'Ư', 1, 1), ('Ʋ', 'Ʋ', 1, 217), ('Ƴ', 'Ƶ', 2, 1),
    ('Ǎ', 'Ǜ', 2, 1), ('Ǟ', 'Ǯ', 2, 1), ('Ǵ', 'Ǵ', 1, 1), ('Ǹ', 'Ȟ', 2, 1), ('Ȣ', 'Ȳ', 2, 1),
    // Greek. The sigma at the end of a word has no capital of its own and counts as one.
    ('Ά', 'Ά', 1, 38), ('Έ', 'Ί', 1, 37), ('Ό', 'Ό', 1, 64), ('Ύ', 'Ώ', 1, 63), ('Α', 'Ρ', 1, 32), ('Σ', 'Ϋ', 1, 32),
    ('ς', 'ς', 1, 1),
    // Cyrillic, Armenian, Georgian, Cherokee.
    ('Ѐ', 'Џ', 1, 80), ('А', 'Я', 1, 32), ('Ѡ', 'Ҁ', 2, 1), ('Ҋ', 'Ҿ', 2, 1), ('Ӏ', 'Ӏ', 1, 15), ('Ӂ', 'Ӎ', 2, 1),
    ('Ӑ', 'Ԯ', 2, 1), ('Ա', 'Ֆ', 1, 48), ('Ꭰ', 'Ꮿ', 1, 38_864), ('Ა', 'Ჺ', 1, -3_008), ('Ჽ', 'Ჿ', 1, -3_008),
    // Vietnamese and others of Latin, the capital sharp s, polytonic Greek, wide Latin; the youngest.
    ('Ḁ', 'Ẕ', 2, 1), ('ẞ', 'ẞ', 1, -7_615), ('Ạ', 'Ỿ', 2, 1), ('Ἀ', 'Ἇ', 1, -8), ('Ἐ', 'Ἕ', 1, -8), ('Ἠ', 'Ἧ', 1, -8),
    ('Ἰ', 'Ἷ', 1, -8), ('Ὀ', 'Ὅ', 1, -8), ('Ὑ', 'Ὗ', 2, -8), ('Ὠ', 'Ὧ', 1, -8), ('Ａ', 'Ｚ', 1, 32), ('𞤀', '𞤡', 1, 34),
];

/// The text in small letters.
#[must_use]
pub fn lowered(text: &str) -> String {
    text.chars().map(small).collect()
}

/// The small letter of a capital one; any other character is itself.
pub(super) fn small(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let after = CAPITALS.partition_point(|(first, ..)| *first <= character);
    let row = after.checked_sub(1).and_then(|row| CAPITALS.get(row));
    row.filter(|row| has(row, character)).and_then(|(.., away)| moved(character, *away)).unwrap_or(character)
}

/// The capital letter of a small one; any other character is itself.
pub(super) fn capital(character: char) -> char {
    let capital = |row: &(char, char, u32, i32)| moved(character, -row.3).filter(|capital| has(row, *capital));
    CAPITALS.iter().find_map(capital).unwrap_or(character)
}

fn has((first, last, every, _): &(char, char, u32, i32), character: char) -> bool {
    (*first..=*last).contains(&character) && (u32::from(character) - u32::from(*first)).is_multiple_of(*every)
}

fn moved(character: char, away: i32) -> Option<char> {
    u32::from(character).checked_add_signed(away).and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::{CAPITALS, capital, lowered, small};

    #[test]
    fn letters_are_those_of_the_standard_library() {
        assert!(CAPITALS.is_sorted_by(|one, other| one.1 < other.0));
        let mut known = 0;
        for character in char::MIN..=char::MAX {
            let lower = small(character);
            if lower == character {
                continue;
            }
            known += 1;
            if character != 'ς' {
                assert!(character.to_lowercase().eq([lower]), "{character}: {lower}");
                assert_eq!(capital(lower), character, "{lower}");
            }
        }
        assert!(known > 700, "{known}");
    }

    #[test]
    fn what_people_write_is_lowered_whole() {
        for text in [
            "Grüße aus Österreich, ŁÓDŹ und İ",
            "ПРИВЕТ, Київ",
            "Ἀθῆναι ΚΑΛΗΜΕΡΑ",
            "ԵՐԵՎԱՆ",
            "ĐẶNG THÙY TRÂM",
            "日本語 العربية",
            "ƏLİYEV",
            "𞤀𞤣𞤤𞤢𞤥",
        ] {
            let text = text.replace('İ', "I");
            assert_eq!(lowered(&text), text.to_lowercase());
        }
        assert_eq!(lowered("ΟΔΟΣ"), lowered("οδος"));
    }
}
