//! What a text is made of, as rows of the model.
//!
//! A word is a run of letters and digits in lower case; a character of a script that puts no blanks between words is a
//! word of its own. Each gives itself, its pair with the word before, its first four and last three letters, and, if it
//! stands among the first four, that too: instructions begin with what is to be done.

use super::model::BUCKETS;

/// Bytes that are read of a text: three quarters from its beginning, the rest from its end.
pub const MOST: usize = 2_048;
/// Rows for measures of the whole; words are hashed into the others.
const MEASURES: u32 = 64;
/// Words of a text that are looked at.
const MOST_WORDS: usize = 256;
/// Letters of a word that count.
const LONGEST_WORD: usize = 24;

/// Tells `measure` the rows that measures of `text` fall into, and `word` the rows of what its words are made of.
pub fn features(text: &str, mut measure: impl FnMut(u32), mut word: impl FnMut(u32)) {
    let (head, tail) = ends(text);
    let mut counts = Counts::default();
    let mut before = 0;
    let mut words = 0;
    for part in [head, tail] {
        for token in Tokens::of(part) {
            counts.add(&token);
            if words >= MOST_WORDS {
                continue;
            }
            let hash = token.hash;
            word(row(hash));
            word(row(mix(before, hash)));
            if token.letters > 5 {
                word(row(mix(1, token.start)));
                word(row(mix(2, token.end)));
            }
            if words < 4 {
                word(row(mix(3 + words as u32, hash)));
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

struct Token {
    hash: u32,
    start: u32,
    end: u32,
    letters: usize,
    what: What,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Word,
    Number,
    Sign,
}

struct Tokens<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Tokens<'t> {
    fn of(text: &'t str) -> Tokens<'t> {
        Tokens { bytes: text.as_bytes(), at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn word(&mut self) -> Token {
        let mut token = Token { hash: START, start: START, end: 0, letters: 0, what: What::Word };
        let mut last = [0u8; 3];
        while let Some(byte) = self.peek().filter(|byte| is_letter(*byte) || byte.is_ascii_digit()) {
            // A character of three bytes from this lead on is of a script without blanks: a word for itself.
            if (0xe3..=0xed).contains(&byte) {
                if token.letters > 0 {
                    break;
                }
                for byte in self.bytes.get(self.at..self.at + 3).unwrap_or_default() {
                    token.hash = step(token.hash, *byte);
                }
                self.at += 3;
                token.letters = 1;
                return token;
            }
            let byte = byte.to_ascii_lowercase();
            if token.letters < LONGEST_WORD {
                token.hash = step(token.hash, byte);
            }
            if token.letters < 4 {
                token.start = step(token.start, byte);
            }
            last = [last[1], last[2], byte];
            token.letters += 1;
            self.at += 1;
        }
        token.end = last.iter().fold(START, |hash, byte| step(hash, *byte));
        token
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        // How long a number is says more than which it is.
        let digits = (self.at - start).min(4) as u8;
        Token { hash: step(step(START, b'#'), digits), start: 0, end: 0, letters: 0, what: What::Number }
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80 || byte == b'\'' || byte == b'_'
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let byte = self.peek()?;
            return Some(match byte {
                b'0'..=b'9' => self.number(),
                _ if is_letter(byte) => self.word(),
                _ => {
                    self.at += 1;
                    if byte <= b' ' {
                        continue;
                    }
                    Token { hash: step(step(START, b'~'), byte), start: 0, end: 0, letters: 0, what: What::Sign }
                }
            });
        }
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
                self.letters += token.letters as u32;
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
        if memchr::memmem::find(text.as_bytes(), b"```").is_some() {
            measure(47);
        }
    }
}
