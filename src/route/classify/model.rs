//! The weights and what they make of a text.

use super::features::features;
use super::{Class, Kind};

/// Rows of weights.
pub const BUCKETS: usize = 4_096;
/// Columns: the kinds in their order, then the difficulty.
pub const COLUMNS: usize = Kind::ALL.len() + 1;
/// What a file of weights begins with; the digit is the version of its form and of the features.
pub const MAGIC: &[u8; 4] = b"LKC1";
/// The form: the magic, a temperature, a scale and a bias for each column (all little-endian `f32`), the rows.
const HEAD: usize = 4 + 4 * (1 + 2 * COLUMNS);

/// A linear model with weights of one byte.
#[derive(Clone, Copy, Debug)]
pub struct Model<'w> {
    temperature: f32,
    scales: [f32; COLUMNS],
    biases: [f32; COLUMNS],
    /// Signed numbers, as the bytes that they are.
    rows: &'w [u8],
}

/// The model that is built in.
#[must_use]
pub fn built_in() -> Model<'static> {
    static FILE: &[u8] = include_bytes!("../data/classifier.bin");
    Model::new(FILE)
}

impl<'w> Model<'w> {
    /// The model of a file.
    #[must_use]
    pub fn new(file: &'w [u8]) -> Model<'w> {
        let number = |at: usize| {
            let bytes = file.get(4 + 4 * at..8 + 4 * at).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0.0, f32::from_le_bytes)
        };
        Model {
            temperature: number(0).max(f32::MIN_POSITIVE),
            scales: std::array::from_fn(|column| number(1 + column)),
            biases: std::array::from_fn(|column| number(1 + COLUMNS + column)),
            rows: file.get(HEAD..).unwrap_or_default(),
        }
    }

    /// What it makes of a text.
    #[must_use]
    pub fn classify(&self, text: &str) -> Class {
        let scores = self.scores(text);
        let (kinds, difficulty) = scores.split_at(Kind::ALL.len());
        let best = kinds.iter().copied().fold(f32::MIN, f32::max);
        let weight = |score: f32| f64::from((score - best) / self.temperature).exp();
        let sum: f64 = kinds.iter().map(|score| weight(*score)).sum();
        let kind = Kind::ALL.into_iter().zip(kinds).find(|(_, score)| **score >= best);
        let level = difficulty.first().map_or(3.0, |level| level.round().clamp(1.0, 5.0));
        Class {
            kind: kind.map_or(Kind::Chat, |(kind, _)| kind),
            difficulty: level as u8,
            confidence: if sum > 0.0 { 1.0 / sum } else { 0.0 },
        }
    }

    /// The score of each column.
    #[must_use]
    pub fn scores(&self, text: &str) -> [f32; COLUMNS] {
        let (mut measured, mut worded) = (Sums::default(), Sums::default());
        let mut words = 0u32;
        let row = |row: u32| {
            let start = row as usize * COLUMNS;
            self.rows.get(start..).and_then(|rows| rows.first_chunk())
        };
        features(
            text,
            |at| measured.add(row(at)),
            |at| {
                words += 1;
                worded.add(row(at));
            },
        );
        let (measured, worded) = (measured.total(), worded.total());
        // Many words say the same thing more often, not more surely.
        let share = 1.0 / (words.max(1) as f32).sqrt();
        let mut scores = self.biases;
        let sums = measured.iter().zip(&worded).zip(&self.scales);
        for (score, ((measured, worded), scale)) in scores.iter_mut().zip(sums) {
            *score += scale * (*measured as f32 + *worded as f32 * share);
        }
        scores
    }
}

/// Sums of rows, column by column, of which each has sixteen bits of a word: of the first eight the even ones have one
/// word and the odd ones another, and the last two the third. So a row is added in three steps.
///
/// Weights are counted from -128 up there, so that there are no signs to carry from one column into the next.
#[derive(Default)]
struct Sums {
    even: u64,
    odd: u64,
    rest: u64,
    /// How many rows are in these.
    rows: u32,
    total: [i32; COLUMNS],
}

/// Every other byte of a word.
const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
/// Makes eight signed bytes count from -128 up.
const UP: u64 = 0x8080_8080_8080_8080;
/// So many rows can be added before a column may need more than sixteen bits.
const MOST_ROWS: u32 = 257;

impl Sums {
    fn add(&mut self, row: Option<&[u8; COLUMNS]>) {
        let Some([first @ .., ninth, tenth]) = row else { return };
        if self.rows == MOST_ROWS {
            self.settle();
        }
        let first = u64::from_le_bytes(*first) ^ UP;
        let rest = u64::from(*ninth ^ 0x80) | u64::from(*tenth ^ 0x80) << 16;
        self.even += first & EVEN;
        self.odd += first >> 8 & EVEN;
        self.rest += rest;
        self.rows += 1;
    }

    /// Moves what was added into the total.
    fn settle(&mut self) {
        let lane = |word: u64, at: usize| (word >> (16 * at) & 0xffff) as i32;
        let rows = std::mem::take(&mut self.rows).cast_signed();
        let [even, odd, rest] = [&mut self.even, &mut self.odd, &mut self.rest].map(std::mem::take);
        for (column, sum) in self.total.iter_mut().enumerate() {
            let up = match column {
                8.. => lane(rest, column - 8),
                _ if column % 2 == 0 => lane(even, column / 2),
                _ => lane(odd, column / 2),
            };
            *sum += up - 128 * rows;
        }
    }

    fn total(mut self) -> [i32; COLUMNS] {
        self.settle();
        self.total
    }
}
