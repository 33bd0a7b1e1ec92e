//! What a text is made of, as rows of the model.
//!
//! A word is a run of letters and digits in lower case; a character of a script that puts no blanks between words is a
//! word of its own. Each gives itself, its pair with the word before, its first four and last three letters, and, if it
//! stands among the first four, that too: instructions begin with what is to be done.

use super::model::BUCKETS;
use crate::json;

/// Bytes that are read of a text: three quarters from its beginning, the rest from its end.
pub const MOST: usize = 1_024;
/// Rows for measures of the whole; words are hashed into the others.
const MEASURES: u32 = 64;
/// Words of a text that are looked at.
const MOST_WORDS: u32 = 256;
/// Letters of a word that count.
const LONGEST_WORD: usize = 24;
/// Words of more letters than this have a beginning and an ending.
const LEAST_AFFIXED: u32 = 5;

/// Tells `measure` the rows that measures of `text` fall into, and `word` the rows of what its words are made of.
pub fn features(text: &str, mut measure: impl FnMut(u32), mut word: impl FnMut(u32)) {
    let (head, tail) = ends(text);
    let mut counts = Counts::default();
    let mut before = 0;
    let mut words = 0;
    for part in [head, tail] {
        let mut rest = part.as_bytes();
        while let Some((what, bytes)) = pass(&mut rest) {
            counts.add(what, bytes.len() as u32);
            // Of all that follows it only matters how much of what there is.
            if words == MOST_WORDS {
                continue;
            }
            let token = Token::of(what, bytes);
            let hash = token.hash;
            let mut feature = |hash| word(row(hash));
            feature(hash);
            feature(mix(before, hash));
            if token.letters > LEAST_AFFIXED {
                feature(mix(1, token.start));
                feature(mix(2, token.end));
            }
            if words < 4 {
                feature(mix(3 + words, hash));
            }
            before = hash;
            words += 1;
        }
    }
    counts.measures(text, &mut measure);
}

/// The parts that are read.
fn ends(text: &str) -> (&str, &str) {
    if text.len() <= MOST {
        return (text, "");
    }
    let head = text.floor_char_boundary(MOST / 4 * 3);
    let tail = text.ceil_char_boundary(text.len() - MOST / 4);
    (text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default())
}

fn row(hash: u32) -> u32 {
    // The high bits of a product are its best mixed ones.
    let spread = hash.wrapping_mul(0x9e37_79b1) >> 7;
    MEASURES + spread % (BUCKETS as u32 - MEASURES)
}

fn mix(one: u32, other: u32) -> u32 {
    (one.wrapping_mul(0x85eb_ca6b) ^ other).wrapping_mul(0xc2b2_ae35).rotate_left(13)
}

fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

const START: u32 = 0x811c_9dc5;

/// What the rows of a token are made of.
struct Token {
    hash: u32,
    /// The hash of a word's first four letters, and of its last three: only for longer words.
    start: u32,
    end: u32,
    /// Bytes of a word.
    letters: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Word,
    /// A word of one character.
    Ideograph,
    Number,
    Sign,
}

/// Bytes of words, in lower case, and 0 for all others: most of what a classification costs is telling one from the other.
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    #[allow(clippy::indexing_slicing, reason = "while the program is built; a wrong index then fails the build")]
    while byte < letters.len() {
        let is_letter = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'\'' | b'_' | 0x80..);
        if is_letter && !is_lead(byte as u8) {
            letters[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    letters
};

/// A character of three bytes that begins so is of a script without blanks: a word for itself.
const fn is_lead(byte: u8) -> bool {
    matches!(byte, 0xe3..=0xed)
}

fn letter(byte: u8) -> u8 {
    LETTERS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Passes a token and the blanks before it, and gives its bytes.
fn pass<'t>(rest: &mut &'t [u8]) -> Option<(What, &'t [u8])> {
    let blanks = rest.iter().position(|byte| *byte > b' ')?;
    let bytes = rest.get(blanks..)?;
    let first = *bytes.first()?;
    let (what, length) = match first {
        b'0'..=b'9' => (What::Number, bytes.iter().position(|byte| !byte.is_ascii_digit())),
        _ if letter(first) != 0 => (What::Word, bytes.iter().position(|byte| letter(*byte) == 0)),
        _ if is_lead(first) => (What::Ideograph, Some(3)),
        _ => (What::Sign, Some(1)),
    };
    let split = length.and_then(|length| bytes.split_at_checked(length));
    let (bytes, after) = split.unwrap_or((bytes, &[]));
    *rest = after;
    Some((what, bytes))
}

impl Token {
    fn of(what: What, bytes: &[u8]) -> Token {
        let raw = |hash| bytes.iter().fold(hash, |hash, byte| step(hash, *byte));
        let hash = match what {
            // How long a number is says more than which it is.
            What::Number => step(step(START, b'#'), bytes.len().min(4) as u8),
            What::Sign => raw(step(START, b'~')),
            What::Ideograph => raw(START),
            What::Word => return Token::of_word(bytes),
        };
        Token { hash, start: 0, end: 0, letters: 0 }
    }

    fn of_word(bytes: &[u8]) -> Token {
        let counted = bytes.get(..LONGEST_WORD).unwrap_or(bytes);
        let (head, further) = counted.split_at_checked(4).unwrap_or((counted, &[]));
        let start = hashed(START, head);
        let letters = bytes.len() as u32;
        // Of shorter words the whole is enough.
        let last = bytes.last_chunk::<3>().filter(|_| letters > LEAST_AFFIXED);
        Token { hash: hashed(start, further), start, end: last.map_or(0, |last| hashed(START, last)), letters }
    }
}

/// The hash of a word's letters, or of further ones where `hash` is that of those before.
fn hashed(hash: u32, letters: &[u8]) -> u32 {
    letters.iter().fold(hash, |hash, byte| step(hash, letter(*byte)))
}

#[derive(Default)]
struct Counts {
    words: u32,
    numbers: u32,
    signs: u32,
    letters: u32,
}

impl Counts {
    fn add(&mut self, what: What, letters: u32) {
        match what {
            What::Word => {
                self.words += 1;
                self.letters += letters;
            }
            What::Ideograph => {
                self.words += 1;
                self.letters += 1;
            }
            What::Number => self.numbers += 1,
            What::Sign => self.signs += 1,
        }
    }

    /// One row for each measure, by which step of its scale it is on.
    fn measures(&self, text: &str, measure: &mut impl FnMut(u32)) {
        let all = (self.words + self.numbers + self.signs).max(1);
        let share = |part: u32| (part * 8 / all).min(7);
        let length = (text.len() as u32 / 8 + 1).ilog2().min(11);
        let lines = (memchr::memchr_iter(b'\n', text.as_bytes()).take(256).count() as u32 + 1).ilog2().min(7);
        measure(length);
        measure(12 + lines);
        measure(20 + share(self.signs));
        measure(28 + share(self.numbers));
        measure(36 + (self.letters / self.words.max(1)).min(9));
        if text.trim_end().ends_with('?') {
            measure(46);
        }
        if json::mentions(text.as_bytes(), b"```") {
            measure(47);
        }
    }
}
