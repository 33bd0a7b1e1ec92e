//! What a text is made of, as rows of the model.
//!
//! A word is a run of letters and digits in lower case; a character of a script that puts no blanks between words is a
//! word of its own. Each gives itself, its pair with the word before, its first four and last three letters, and, if it
//! stands among the first four, that too: instructions begin with what is to be done.

use super::model::BUCKETS;
use crate::json;

/// Bytes that are read of a text: three quarters from its beginning, the rest from its end.
pub const MOST: usize = 768;
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
        while let Some(token) = Token::pass(&mut rest) {
            counts.add(&token);
            // Of all that follows it only matters how much of what there is.
            if words == MOST_WORDS {
                continue;
            }
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
    what: What,
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

impl Token {
    /// Passes a token and the blanks before it.
    fn pass(rest: &mut &[u8]) -> Option<Token> {
        let blanks = rest.iter().position(|byte| *byte > b' ')?;
        let bytes = rest.get(blanks..)?;
        let first = *bytes.first()?;
        let (token, length) = match first {
            b'0'..=b'9' => {
                let length = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
                // How long a number is says more than which it is.
                (Token::of(What::Number, step(step(START, b'#'), length.min(4) as u8)), length)
            }
            _ if letter(first) != 0 => Token::word(bytes),
            _ if is_lead(first) => {
                let character = bytes.get(..3).unwrap_or(bytes);
                let hash = character.iter().fold(START, |hash, byte| step(hash, *byte));
                (Token::of(What::Ideograph, hash), character.len())
            }
            sign => (Token::of(What::Sign, step(step(START, b'~'), sign)), 1),
        };
        *rest = bytes.get(length..).unwrap_or_default();
        Some(token)
    }

    fn of(what: What, hash: u32) -> Token {
        Token { what, hash, start: 0, end: 0, letters: 0 }
    }

    /// The word that `bytes` begin with, and its length. Each of its letters is looked at once.
    fn word(bytes: &[u8]) -> (Token, usize) {
        let (mut hash, mut start, mut length) = (START, START, 0);
        for letter in bytes.iter().map(|byte| letter(*byte)).take_while(|letter| *letter != 0) {
            if length < LONGEST_WORD {
                hash = step(hash, letter);
            }
            length += 1;
            if length == 4 {
                start = hash;
            }
        }
        let letters = length as u32;
        // Of shorter words the whole is enough.
        let last = bytes.get(..length).and_then(|word| word.last_chunk::<3>()).filter(|_| letters > LEAST_AFFIXED);
        let end = last.map_or(0, |last| last.iter().fold(START, |hash, byte| step(hash, letter(*byte))));
        (Token { what: What::Word, hash, start, end, letters }, length)
    }
}

#[derive(Default)]
struct Counts {
    words: u32,
    numbers: u32,
    signs: u32,
    letters: u32,
}

impl Counts {
    fn add(&mut self, token: &Token) {
        match token.what {
            What::Word => {
                self.words += 1;
                self.letters += token.letters;
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
