//! `tests/COMPLAINTS.md` names a test for each complaint; this holds it to that.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// How many there are.
const COMPLAINTS: usize = 84;

#[test]
fn every_complaint_has_tests_that_exist_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("tests/COMPLAINTS.md")).expect("the table");
    let mut files = HashMap::new();
    let mut faults = Vec::new();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #"));
    let mut count = 0;
    for (row, expected) in rows.zip(1..) {
        count += 1;
        let cells: Vec<&str> = row.trim_matches('|').splitn(3, " | ").map(str::trim).collect();
        let &[number, _, answer] = cells.as_slice() else { panic!("three cells: {row}") };
        assert_eq!(number, expected.to_string(), "{row}");
        let named: Vec<(&str, &str)> = answer.split('`').skip(1).step_by(2).filter_map(test_of).collect();
        if named.is_empty() && !answer.starts_with("cannot ") {
            faults.push(format!("{number} names no test and gives no reason"));
        }
        for (file, test) in named {
            let text = files.entry(file).or_insert_with(|| fs::read_to_string(root.join(file)).unwrap_or_default());
            if !has(text, file, test) {
                faults.push(format!("{number}: there is no {test:?} in {file}"));
            }
        }
    }
    assert_eq!(faults, [""; 0]);
    assert_eq!(count, COMPLAINTS);
}

/// `file: test`, where it is that.
fn test_of(quoted: &str) -> Option<(&str, &str)> {
    let (file, test) = quoted.split_once(": ")?;
    (file.contains('/') && file.contains('.')).then_some((file, test))
}

/// `*` is any test at all.
fn has(text: &str, file: &str, test: &str) -> bool {
    match (Path::new(file).extension().and_then(|ending| ending.to_str()), test) {
        (Some("rs"), _) => text.contains(&format!("fn {test}(")),
        (_, "*") => text.contains("test(") || text.contains("describe("),
        _ => text.contains(&format!("test(\"{test}\"")),
    }
}
