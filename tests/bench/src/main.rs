//! Measures the gateway against a worker that only passes bytes, and against other gateways.
//!
//! `latchkey-bench PLAN.json` runs a plan that `run.mjs` wrote. `latchkey-bench upstream PORT [WORDS] [GAP_MS]` only
//! plays the upstream, for a profiler or a look by hand.

mod client;
mod framing;
mod measure;
mod plan;
mod process;
mod protocol;
mod table;
mod upstream;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use upstream::{Manner, Upstream};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["upstream", port, rest @ ..] => {
            let number = |index: usize, default: u64| rest.get(index).map_or(Ok(default), |text| text.parse());
            let words = u32::try_from(number(0, 100)?)?;
            let _upstream =
                Upstream::start(port.parse()?, Manner { words, gap: Duration::from_millis(number(1, 0)?) })?;
            loop {
                std::thread::park();
            }
        }
        [plan] => {
            let plan: plan::Plan = serde_json::from_slice(&std::fs::read(plan)?)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = tokio::task::LocalSet::new().block_on(&runtime, measure::run(&plan))?;
            let (table, good) = table::render(&plan, &report);
            std::fs::write(&plan.report, serde_json::to_vec(&report)?)?;
            println!("{table}");
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => Err("usage: latchkey-bench PLAN.json | upstream PORT [WORDS] [GAP_MS]".into()),
    }
}
