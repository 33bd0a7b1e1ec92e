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
    rows: &'w [i8],
}

static HEAD_OF_FILE: [u8; HEAD] = head(FILE);
static ROWS: [i8; BUCKETS * COLUMNS] = rows(FILE);
/// Read while the program is built only: of a `static` the file would be in it a second time.
const FILE: &[u8] = include_bytes!("../data/classifier.bin");

const fn head(file: &[u8]) -> [u8; HEAD] {
    match file.first_chunk() {
        Some(head) => *head,
        None => [0; HEAD],
    }
}

/// The weights as signed numbers, which they are; done once, when the program is built.
const fn rows(file: &[u8]) -> [i8; BUCKETS * COLUMNS] {
    let mut rows = [0; BUCKETS * COLUMNS];
    let mut at = 0;
    while at < rows.len() {
        #[allow(clippy::indexing_slicing, reason = "while the program is built; a short file then fails the build")]
        {
            rows[at] = file[HEAD + at].cast_signed();
        }
        at += 1;
    }
    rows
}

/// The model that is built in.
#[must_use]
pub fn built_in() -> Model<'static> {
    Model::new(&HEAD_OF_FILE, &ROWS)
}

impl<'w> Model<'w> {
    /// A model of a file's head and its rows.
    #[must_use]
    pub fn new(file: &[u8], rows: &'w [i8]) -> Model<'w> {
        let number = |at: usize| {
            let bytes = file.get(4 + 4 * at..8 + 4 * at).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0.0, f32::from_le_bytes)
        };
        Model {
            temperature: number(0).max(f32::MIN_POSITIVE),
            scales: std::array::from_fn(|column| number(1 + column)),
            biases: std::array::from_fn(|column| number(1 + COLUMNS + column)),
            rows,
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
        let mut measured = [0i32; COLUMNS];
        let mut worded = [0i32; COLUMNS];
        let mut words = 0u32;
        let add = |sums: &mut [i32; COLUMNS], row: u32| {
            let start = row as usize * COLUMNS;
            for (sum, weight) in sums.iter_mut().zip(self.rows.get(start..start + COLUMNS).unwrap_or_default()) {
                *sum += i32::from(*weight);
            }
        };
        features(
            text,
            |row| add(&mut measured, row),
            |row| {
                words += 1;
                add(&mut worded, row);
            },
        );
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
