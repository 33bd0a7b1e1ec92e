use proptest::prelude::*;

use super::*;

/// Kind, difficulty and text of prompts that the weights were not made of.
fn held_out() -> Vec<(String, u8, String)> {
    let lines = include_str!("../../../tests/classifier/heldout.tsv").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[0].to_owned(), fields[1].parse().expect("a level"), fields[2].replace("\\n", "\n"))
        })
        .collect()
}

#[test]
fn held_out_prompts_are_judged_as_the_evaluation_says() {
    let prompts = held_out();
    let (mut kinds, mut near, mut sure, mut sure_right) = (0, 0, 0, 0);
    for (kind, difficulty, text) in &prompts {
        let class = classify(text, Hints::default());
        kinds += usize::from(class.kind.name() == kind);
        near += usize::from(class.difficulty.abs_diff(*difficulty) <= 1);
        if class.confidence >= 0.8 {
            sure += 1;
            sure_right += usize::from(class.kind.name() == kind);
        }
    }
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    assert!(share(near, prompts.len()) >= 0.9, "difficulty within one level: {near} of {}", prompts.len());
    assert!(share(kinds, prompts.len()) >= 0.75, "kind: {kinds} of {}", prompts.len());
    assert!(share(sure_right, sure) >= 0.9, "right when sure: {sure_right} of {sure}");
    let evaluation = include_str!("../../../tests/classifier/evaluation.md");
    let told = format!("- difficulty within one level: {near} of {}", prompts.len());
    assert!(evaluation.contains(&told), "the evaluation is not of these weights: {told}");
    assert!(evaluation.contains(&format!("- kind right: {kinds} of {}", prompts.len())));
}

#[test]
fn nothing_learned_from_is_held_out() {
    let learned = include_str!("../../../tests/classifier/labelled.tsv");
    for (_, _, text) in held_out() {
        let text = text.replace('\n', "\\n");
        assert!(!learned.contains(&format!("\t{text}\n")), "{text}");
    }
}

#[test]
fn what_a_call_asks_for_bounds_its_difficulty() {
    let hints = |effort, messages, tokens, tools| Hints { effort, messages, tokens, tools };
    let easy = |hints| classify("hi", hints).difficulty;
    assert_eq!(easy(Hints::default()), 1);
    assert_eq!(easy(hints(Some(Effort::High), 1, 10, 0)), 4);
    assert_eq!(easy(hints(None, 1, 10, 2)), 2);
    assert_eq!(easy(hints(None, 30, 10, 0)), 3);
    assert_eq!(easy(hints(None, 1, 50_000, 0)), 3);
    let hard = "Prove the spectral theorem for unbounded self-adjoint operators.";
    assert!(classify(hard, Hints::default()).difficulty >= 4);
    assert_eq!(classify(hard, hints(Some(Effort::Low), 1, 10, 0)).difficulty, 3);
}

#[test]
fn rows_are_summed_column_by_column() {
    // Every weight as far from nothing as a byte goes: what would spill from one column into the next shows.
    let head = 4 + 4 * (1 + 2 * model::COLUMNS);
    for (weight, sum) in [(-128i8, -128.0), (127, 127.0)] {
        let mut file = vec![0u8; head];
        file[4..].fill(0);
        for scale in 1..=model::COLUMNS {
            file[4 + 4 * scale..8 + 4 * scale].copy_from_slice(&1f32.to_le_bytes());
        }
        for row in 0..model::BUCKETS {
            file.extend((0..model::COLUMNS).map(|column| if column == row % 10 { weight.cast_unsigned() } else { 0 }));
        }
        let text = "a b ".repeat(200);
        let (mut measured, mut worded) = ([0f32; model::COLUMNS], [0f32; model::COLUMNS]);
        let mut words = 0f32;
        let add = |sums: &mut [f32; model::COLUMNS], row: u32| sums[row as usize % 10] += sum;
        features::features(
            &text,
            |row| add(&mut measured, row),
            |row| {
                words += 1.0;
                add(&mut worded, row);
            },
        );
        assert!(words > 514.0, "{words}");
        let share = 1.0 / words.sqrt();
        let expected = std::array::from_fn(|column| measured[column] + worded[column] * share);
        assert_eq!(model::Model::new(&file).scores(&text), expected);
    }
}

#[test]
fn the_middle_of_a_long_text_is_not_read() {
    let read = |text: &str| {
        let mut rows = Vec::new();
        features::features(text, |_| (), |row| rows.push(row));
        rows
    };
    let around = |middle: &str| format!("{}{middle}{}", "word ".repeat(400), " end".repeat(400));
    assert_eq!(read(&around(&"one ".repeat(50))), read(&around(&"two ".repeat(50))));
    assert!(read(&"слово ".repeat(5_000)).len() < 2_000);
}

proptest! {
    #[test]
    fn any_text_is_classified(text in ".*", messages in any::<u64>()) {
        let class = classify(&text, Hints { messages, ..Hints::default() });
        prop_assert!((1..=5).contains(&class.difficulty));
        prop_assert!(class.confidence > 0.0 && class.confidence <= 1.0);
    }

    #[test]
    fn rows_are_those_of_the_model(text in "\\PC{0,300}") {
        let mut rows = Vec::new();
        let mut words = Vec::new();
        features::features(&text, |row| rows.push(row), |row| words.push(row));
        prop_assert!(rows.iter().chain(&words).all(|row| (*row as usize) < model::BUCKETS));
        prop_assert!(rows.iter().all(|row| *row < 64) && words.iter().all(|row| *row >= 64));
    }
}
