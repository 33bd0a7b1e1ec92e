//! Every surface before every format: what a caller asks reaches the provider in its own words, and what the provider
//! says reaches the caller in theirs. The results stand in `tests/CONFORMANCE.md`; a cell that regresses fails.
//!
//! Upstreams are strict mocks ([`schema`]): a request that the provider's documentation does not know fails the case.
//! `LATCHKEY_WRITE_CONFORMANCE=1` writes the page anew.

// Tests may stop at what surprises them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod caller;
mod cases;
#[path = "../wire/expected.rs"]
#[allow(dead_code, reason = "the other suite uses more of it")]
mod expected;
mod fidelity;
mod hosts;
mod page;
mod prefixes;
mod schema;
#[path = "../wire/turns.rs"]
#[allow(dead_code, reason = "the other suite uses more of it")]
mod turns;
mod upstream;
#[path = "../gateway/world.rs"]
#[allow(dead_code, reason = "the other suite uses more of it")]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use latchkey::wire::Format;

use caller::CALLERS;
use cases::{CASES, Case, Cell, Outcome};
use page::Row;

#[test]
fn every_surface_reaches_every_format() {
    let cells = CALLERS.iter().flat_map(|caller| Format::ALL.iter().map(|format| (*caller, *format)));
    let rows: Vec<Row> = cells
        .map(|(caller, format)| {
            let cell = Cell { caller, format };
            Row { caller: caller.name(), format, outcomes: CASES.iter().map(|case| outcome(case, &cell)).collect() }
        })
        .collect();
    let failures: Vec<String> = rows.iter().flat_map(Row::failures).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
    let page = page::written(&rows);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/CONFORMANCE.md");
    if std::env::var_os("LATCHKEY_WRITE_CONFORMANCE").is_some() {
        std::fs::write(path, &page).expect("the page is written");
    }
    let listed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(listed == page, "tests/CONFORMANCE.md says otherwise: LATCHKEY_WRITE_CONFORMANCE=1 writes it anew");
}

fn outcome(case: &Case, cell: &Cell<'_>) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| (case.run)(cell))).unwrap_or_else(|died| {
        let told = died.downcast_ref::<String>().cloned();
        Outcome::Failed(told.or(died.downcast_ref::<&str>().map(|told| (*told).to_owned())).unwrap_or_default())
    })
}
