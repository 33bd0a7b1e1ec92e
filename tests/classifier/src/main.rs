//! Trains the classifier of prompts: from `labelled.tsv` and what `frames.tsv` and `slots.tsv` make together to
//! `src/route/data/classifier.bin`, and from `heldout.tsv`, of which nothing is learned, to `evaluation.md`.
//!
//! Everything is drawn from a fixed seed: the same files give the same weights.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use latchkey::route::classify::Kind;
use latchkey::route::classify::features::features;
use latchkey::route::classify::model::{BUCKETS, COLUMNS, MAGIC, Model};

const KINDS: usize = Kind::ALL.len();
const MADE: usize = 6_000;
const EPOCHS: usize = 30;
/// How many steps a weight can be from zero. With 127 the script is 13 KB larger, zipped, and judges no better.
const LEVELS: f32 = 15.0;

struct Example {
    kind: usize,
    difficulty: f32,
    text: String,
    measures: Vec<u32>,
    words: Vec<u32>,
    /// Prompts written by hand count more than those made of frames.
    weight: f32,
}

impl Example {
    fn new(kind: &str, difficulty: &str, text: &str, weight: f32) -> Example {
        let text = text.replace("\\n", "\n");
        let (mut measures, mut words) = (Vec::new(), Vec::new());
        features(&text, |row| measures.push(row), |row| words.push(row));
        let kind = Kind::ALL.iter().position(|known| known.name() == kind).expect("a kind");
        Example { kind, difficulty: difficulty.parse().expect("a level"), text, measures, words, weight }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn lines(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join(name)).expect(name);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn labelled(name: &str, weight: f32) -> Vec<Example> {
    lines(name).iter().map(|line| Example::new(&line[0], &line[1], &line[2], weight)).collect()
}

fn made(dice: &mut Dice) -> Vec<Example> {
    let slots: HashMap<String, Vec<String>> = lines("slots.tsv")
        .into_iter()
        .map(|line| (line[0].clone(), line[1].split('|').map(str::to_owned).collect()))
        .collect();
    let frames = lines("frames.tsv");
    let fill = |frame: &str, dice: &mut Dice| {
        let mut text = String::new();
        let mut rest = frame;
        while let Some((before, after)) = rest.split_once('{') {
            let (slot, after) = after.split_once('}').expect("a closed slot");
            let values = slots.get(slot).unwrap_or_else(|| panic!("no slot {slot}"));
            text += before;
            text += &values[dice.roll(values.len())];
            rest = after;
        }
        let text = text + rest;
        // People write carelessly.
        match dice.roll(6) {
            0 => text.to_lowercase(),
            1 => text.trim_end_matches(['.', '?']).to_owned(),
            2 => format!("Please {}", text),
            _ => text,
        }
    };
    (0..MADE)
        .map(|_| {
            let frame = &frames[dice.roll(frames.len())];
            Example::new(&frame[0], &frame[1], &fill(&frame[2], dice), 1.0)
        })
        .collect()
}

struct Weights {
    rows: Vec<[f32; COLUMNS]>,
    biases: [f32; COLUMNS],
}

impl Weights {
    fn scores(&self, example: &Example) -> [f32; COLUMNS] {
        let mut scores = self.biases;
        let share = 1.0 / (example.words.len().max(1) as f32).sqrt();
        let all = example.measures.iter().map(|row| (row, 1.0)).chain(example.words.iter().map(|row| (row, share)));
        for (row, by) in all {
            for (score, weight) in scores.iter_mut().zip(&self.rows[*row as usize]) {
                *score += weight * by;
            }
        }
        scores
    }

    fn train(examples: &[&Example], dice: &mut Dice) -> Weights {
        let mut weights = Weights { rows: vec![[0.0; COLUMNS]; BUCKETS], biases: [0.0; COLUMNS] };
        weights.biases[KINDS] = 2.7;
        let mut order: Vec<usize> = (0..examples.len()).collect();
        for epoch in 0..EPOCHS {
            for at in (1..order.len()).rev() {
                order.swap(at, dice.roll(at + 1));
            }
            let rate = 0.15 / (1.0 + epoch as f32 * 0.25);
            for at in &order {
                let example = examples[*at];
                let scores = weights.scores(example);
                let best = scores[..KINDS].iter().copied().fold(f32::MIN, f32::max);
                let sum: f32 = scores[..KINDS].iter().map(|score| (score - best).exp()).sum();
                let mut gradient = [0.0; COLUMNS];
                for kind in 0..KINDS {
                    gradient[kind] = (scores[kind] - best).exp() / sum - f32::from(u8::from(kind == example.kind));
                }
                gradient[KINDS] = (scores[KINDS] - example.difficulty).clamp(-1.5, 1.5) * 0.6;
                weights.learn(example, &gradient, rate * example.weight);
            }
        }
        weights
    }

    fn learn(&mut self, example: &Example, gradient: &[f32; COLUMNS], rate: f32) {
        let share = 1.0 / (example.words.len().max(1) as f32).sqrt();
        let all = example.measures.iter().map(|row| (row, 0.3)).chain(example.words.iter().map(|row| (row, share)));
        for (row, by) in all {
            for (weight, slope) in self.rows[*row as usize].iter_mut().zip(gradient) {
                *weight -= rate * (slope * by + 0.0008 * *weight);
            }
        }
        for (bias, slope) in self.biases.iter_mut().zip(gradient) {
            *bias -= rate * 0.1 * slope;
        }
    }

    /// In one byte each, as the gateway reads them; of few levels, so that they zip.
    fn file(&self, temperature: f32) -> Vec<u8> {
        let most = |column: usize| self.rows.iter().map(|row| row[column].abs()).fold(1e-6, f32::max);
        let scales: Vec<f32> = (0..COLUMNS).map(|column| most(column) / LEVELS).collect();
        let mut file = MAGIC.to_vec();
        for number in [temperature].iter().chain(&scales).chain(&self.biases) {
            file.extend_from_slice(&number.to_le_bytes());
        }
        for row in &self.rows {
            file.extend(row.iter().zip(&scales).map(|(weight, scale)| (weight / scale).round() as i8 as u8));
        }
        file
    }
}

/// The temperature at which probabilities of prompts that were not learned from are least wrong.
fn temperature(labelled: &[Example], made: &[Example], dice: &mut Dice) -> f32 {
    let mut unseen: Vec<([f32; COLUMNS], usize)> = Vec::new();
    for fold in 0..5 {
        let inside = labelled.iter().enumerate().filter(|(at, _)| at % 5 != fold).map(|(_, example)| example);
        let weights = Weights::train(&inside.chain(made).collect::<Vec<_>>(), dice);
        let outside = labelled.iter().enumerate().filter(|(at, _)| at % 5 == fold);
        unseen.extend(outside.map(|(_, example)| (weights.scores(example), example.kind)));
    }
    let loss = |temperature: f32| -> f32 {
        let of_one = |(scores, kind): &([f32; COLUMNS], usize)| {
            let sum: f32 = scores[..KINDS].iter().map(|score| (score / temperature).exp()).sum();
            sum.ln() - scores[*kind] / temperature
        };
        unseen.iter().map(of_one).sum()
    };
    let right = unseen.iter().filter(|(scores, kind)| {
        let best = (0..KINDS).max_by(|one, other| scores[*one].total_cmp(&scores[*other]));
        best == Some(*kind)
    });
    println!("kind in cross-validation: {} of {}", right.count(), unseen.len());
    (4..60).map(|step| step as f32 * 0.05).min_by(|one, other| loss(*one).total_cmp(&loss(*other))).expect("steps")
}

fn main() {
    let mut dice = Dice(7);
    let labelled_examples = labelled("labelled.tsv", 3.0);
    let made = made(&mut dice);
    let temperature = temperature(&labelled_examples, &made, &mut dice);
    let all: Vec<&Example> = labelled_examples.iter().chain(&made).collect();
    let file = Weights::train(&all, &mut dice).file(temperature);
    std::fs::write(root().join("../../src/route/data/classifier.bin"), &file).expect("written");
    let evaluation = evaluate(&Model::new(&file), temperature, all.len());
    std::fs::write(root().join("evaluation.md"), &evaluation).expect("written");
    println!("{evaluation}");
}

fn evaluate(model: &Model<'_>, temperature: f32, learned: usize) -> String {
    let held_out = labelled("heldout.tsv", 1.0);
    let mut kinds = vec![[0u32; KINDS]; KINDS];
    let mut levels = [[0u32; 5]; 5];
    let mut bins = [(0u32, 0u32, 0.0f64); 5];
    let (mut right, mut exact, mut near) = (0, 0, 0);
    let mut wrong = String::new();
    for example in &held_out {
        let class = model.classify(&example.text);
        let kind = Kind::ALL.iter().position(|kind| *kind == class.kind).expect("a kind");
        let level = example.difficulty as usize;
        kinds[example.kind][kind] += 1;
        levels[level - 1][usize::from(class.difficulty) - 1] += 1;
        right += u32::from(kind == example.kind);
        exact += u32::from(level == usize::from(class.difficulty));
        near += u32::from(level.abs_diff(usize::from(class.difficulty)) <= 1);
        if std::env::var_os("SHOW").is_some() && (kind != example.kind || level.abs_diff(usize::from(class.difficulty)) > 1) {
            let _ = writeln!(wrong, "{} {level} -> {} {}: {}", Kind::ALL[example.kind].name(), class.kind.name(), class.difficulty, example.text.lines().next().unwrap_or_default());
        }
        let bin = &mut bins[((class.confidence * 5.0) as usize).min(4)];
        *bin = (bin.0 + 1, bin.1 + u32::from(kind == example.kind), bin.2 + class.confidence);
    }
    eprintln!("{wrong}");
    let of = |count: u32| format!("{count} of {} ({:.1} %)", held_out.len(), f64::from(count) * 100.0 / held_out.len() as f64);
    let mut text = String::from("# Evaluation of the classifier\n\n");
    let _ = write!(
        text,
        "Made by `cargo run --release --manifest-path tests/classifier/Cargo.toml`. Learned from {learned} prompts\n\
         (`labelled.tsv` by hand, the rest made of `frames.tsv` and `slots.tsv`), measured on `heldout.tsv`, which was\n\
         written apart from them. All of these files are the project's own work, under its licence.\n\n\
         - kind right: {}\n- difficulty right: {}\n- difficulty within one level: {}\n- temperature: {temperature:.2}\n\n",
        of(right), of(exact), of(near)
    );
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    table(&mut text, "Kinds: rows are the label, columns the answer", &names, &kinds.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
    table(&mut text, "Difficulty: rows are the label, columns the answer", &["1", "2", "3", "4", "5"], &levels.map(|row| row.to_vec()));
    text += "\n## Calibration: how often the kind is right, by confidence\n\n| confidence | prompts | mean confidence | right |\n|---|---|---|---|\n";
    for (at, (count, right, sum)) in bins.iter().enumerate().filter(|(_, bin)| bin.0 > 0) {
        let share = |part: f64| part / f64::from(*count);
        let _ = writeln!(text, "| {:.1} to {:.1} | {count} | {:.2} | {:.2} |", at as f64 / 5.0, (at + 1) as f64 / 5.0, share(*sum), share(f64::from(*right)));
    }
    text
}

fn table(text: &mut String, title: &str, names: &[&str], rows: &[Vec<u32>]) {
    let _ = write!(text, "\n## {title}\n\n| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for (name, row) in names.iter().zip(rows) {
        let cells: Vec<String> = row.iter().map(|count| if *count == 0 { String::new() } else { count.to_string() }).collect();
        let _ = writeln!(text, "| **{name}** | {} |", cells.join(" | "));
    }
}
