//! `tests/CONFORMANCE.md`: the matrix, and each case of each cell.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use latchkey::wire::Format;

use super::cases::{CASES, Outcome};

/// One cell of the matrix.
pub struct Row {
    pub caller: &'static str,
    pub format: Format,
    /// One for each case.
    pub outcomes: Vec<Outcome>,
}

impl Row {
    /// What fails, each with its reason.
    pub fn failures(&self) -> Vec<String> {
        let cases = CASES.iter().zip(&self.outcomes);
        let failed = cases.filter_map(|(case, outcome)| match outcome {
            Outcome::Failed(why) => Some(format!("{} to {}, {}: {why}", self.caller, self.format.as_str(), case.name)),
            _ => None,
        });
        failed.collect()
    }

    fn passed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Passed)).count()
    }

    fn sayable(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Inexpressible(_))).count()
    }
}

/// The whole page.
pub fn written(rows: &[Row]) -> String {
    let mut page = String::from(HEAD);
    matrix(rows, &mut page);
    let cells = rows.iter().filter(|row| row.passed() == row.sayable()).count();
    let (passed, all) =
        rows.iter().fold((0, 0), |(passed, all), row| (passed + row.passed(), all + row.outcomes.len()));
    let left = rows.iter().map(|row| row.outcomes.len() - row.sayable()).sum::<usize>();
    writeln!(
        page,
        "\n{cells} of {} cells pass: {passed} of {all} cases, and {left} that a protocol cannot express.\n",
        rows.len()
    )
    .unwrap();
    page.push_str("## What a protocol cannot express\n\n| case | cells | why |\n|---|---|---|\n");
    for ((case, why), cells) in inexpressible(rows) {
        writeln!(page, "| {case} | {} | {why} |", cells.join(", ")).unwrap();
    }
    page.push_str("\n## Each case\n\n`+` passes, `o` cannot be expressed.\n\n");
    details(rows, &mut page);
    page
}

fn matrix(rows: &[Row], page: &mut String) {
    page.push_str("| surface |");
    Format::ALL.iter().for_each(|format| write!(page, " `{}` |", format.as_str()).unwrap());
    write!(page, "\n|---|{}", "---|".repeat(Format::ALL.len())).unwrap();
    for of_caller in rows.chunk_by(|one, other| one.caller == other.caller) {
        write!(page, "\n| {} |", of_caller[0].caller).unwrap();
        of_caller.iter().for_each(|row| write!(page, " {} of {} |", row.passed(), row.sayable()).unwrap());
    }
    page.push('\n');
}

/// Case and reason, with the cells that it holds for.
fn inexpressible(rows: &[Row]) -> BTreeMap<(&'static str, &'static str), Vec<String>> {
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for row in rows {
        for (case, outcome) in CASES.iter().zip(&row.outcomes) {
            if let Outcome::Inexpressible(why) = outcome {
                let cell = format!("{} to `{}`", row.caller, row.format.as_str());
                found.entry((case.name, *why)).or_default().push(cell);
            }
        }
    }
    found
}

fn details(rows: &[Row], page: &mut String) {
    page.push_str("| cell |");
    CASES.iter().for_each(|case| write!(page, " {} |", case.name).unwrap());
    writeln!(page, "\n|---|{}", "---|".repeat(CASES.len())).unwrap();
    for row in rows {
        write!(page, "| {} to `{}` |", row.caller, row.format.as_str()).unwrap();
        for outcome in &row.outcomes {
            let mark = match outcome {
                Outcome::Passed => "+",
                Outcome::Inexpressible(_) => "o",
                Outcome::Failed(_) => "-",
            };
            write!(page, " {mark} |").unwrap();
        }
        page.push('\n');
    }
}

const HEAD: &str = "# Conformance

What callers of each surface get from upstreams of each format, as `npm run conformance` found it: how many of the cases
that the two protocols can express pass. Upstreams are strict mocks: a request with a member that the provider's own
documentation does not know, or with turns in an order that it refuses, fails. What callers read is put together without
the code under test. Recorded answers take the same ways in `tests/wire`.

";
