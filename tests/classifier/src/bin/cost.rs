//! What a decision and a classification cost natively, by themselves: the microbenchmark beside the rows `route-…` of
//! `npm run bench`.
//!
//! `cargo run --release --manifest-path tests/classifier/Cargo.toml --bin cost`

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use latchkey::config;
use latchkey::provider::Registry;
use latchkey::route::classify::{Hints, classify};
use latchkey::route::contender::Figures;
use latchkey::route::facts::{CallFacts, Prompt};
use latchkey::route::objective::Objective;
use latchkey::route::resolve;
use latchkey::route::router::{Request, Router};
use latchkey::units::{Millis, UnixMillis};

const CANDIDATES: usize = 50;
const ROUNDS: usize = 20_000;
const START: i64 = 1_790_035_200_000;

fn main() {
    println!("| what | µs |\n|---|--:|");
    for strategy in ["ordered", "cheapest", "fastest", "balanced", "prompt"] {
        let (registry, routing) = fifty(strategy);
        let mut router = Router::default();
        let each = timed(|round| {
            let named = |name: &str| resolve(&registry, name).map(|target| vec![target]);
            let objective = Objective::default();
            let figures = |target: &str| Figures {
                first_token_p50: Some(Millis(200 + target.len() as u64 * 7)),
                first_token_p95: Some(Millis(600 + target.len() as u64 * 11)),
                ..Figures::default()
            };
            let mut request = Request {
                registry: &registry,
                routing: &routing,
                facts: CallFacts {
                    key: "key_1",
                    model: "fifty",
                    prompt: Prompt { tokens: 1_000, messages: 3, ..Prompt::default() },
                    ..CallFacts::default()
                },
                objective: &objective,
                words: "Write a Python function that checks whether a number is prime.",
                hints: Hints::default(),
                prefix: None,
                service_tier: None,
                named: &named,
                figures: &figures,
                permitted: &|_, _| true,
                budget: None,
                seed: round as u64,
                explains: false,
                shadow: None,
                unrecorded: None,
                now: UnixMillis(START),
            };
            black_box(router.route(&mut request)).is_ok()
        });
        println!("| decision over {CANDIDATES} candidates, `{strategy}` | {each:.1} |");
    }
    let prompt = "Explain how the scheduler of this program decides which task runs next, and prove that none starves. "
        .repeat(41);
    let each = timed(|_| classify(black_box(&prompt), Hints::default()).difficulty > 0);
    println!("| classifier, prompt of {} bytes | {each:.1} |", prompt.len());
}

/// Microseconds that one round takes, in the best of five runs.
fn timed(mut work: impl FnMut(usize) -> bool) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        assert!((0..ROUNDS).all(&mut work), "every round gives an answer");
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / ROUNDS as f64);
    }
    best
}

/// A gateway with an alias of fifty targets, each at a price of its own.
fn fifty(strategy: &str) -> (Registry, config::Routing) {
    let names: Vec<String> = (0..CANDIDATES).map(|number| format!("m{number}")).collect();
    let listed: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let prices: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            format!(r#""cave/{name}": {{"prices": [{{"usd_per_mtok": {{"input": {}, "output": 4}}}}]}}"#, 1 + at % 7)
        })
        .collect();
    let candidates: Vec<String> = names.iter().map(|name| format!(r#""cave/{name}""#)).collect();
    let document = format!(
        r#"{{"version": 1,
            "providers": {{"cave": {{"base_url": "https://cave.example.com", "auth": "none", "models": [{}]}}}},
            "models": {{{}}},
            "aliases": {{"fifty": {{"strategy": "{strategy}", "candidates": [{}]}}}}}}"#,
        listed.join(","),
        prices.join(","),
        candidates.join(",")
    );
    let config = config::read(document.as_bytes()).expect("a document");
    (Registry::new(&HashMap::new(), &config, true), config.routing)
}
