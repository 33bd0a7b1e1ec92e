//! What a decision and a classification cost natively, by themselves and as parts of a whole call: the microbenchmark
//! beside the rows `route-…` of `npm run bench`.
//!
//! `cargo run --release --manifest-path tests/classifier/Cargo.toml --bin cost`

use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

use latchkey::budget::Ledger;
use latchkey::config;
use latchkey::gateway::{Gateway, Incoming, Input, Setup, Step};
use latchkey::keys::{Grant, Key, Secrets, mint};
use latchkey::provider::Registry;
use latchkey::route::classify::{Hints, classify};
use latchkey::route::contender::Figures;
use latchkey::route::facts::{CallFacts, Prompt};
use latchkey::route::objective::Objective;
use latchkey::route::{Candidate, Resolved, resolve};
use latchkey::route::router::{Request, Router};
use latchkey::sorted::SortedMap;
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
            let named = |name: &str| {
                let Resolved { provider, model } = resolve(&registry, name)?;
                Ok(vec![Candidate { provider, model, rank: 0 }])
            };
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
                cache_lives: None,
                service_tier: None,
                named: &named,
                further: &[],
                is_closed: false,
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
    let prompt =
        "Explain how the scheduler of this program decides which task runs next, and prove that none starves. "
            .repeat(41);
    let each = timed(|_| classify(black_box(&prompt), Hints::default()).difficulty > 0);
    println!("| classifier, prompt of {} bytes | {each:.1} |", prompt.len());
    for (what, strategy, model, words) in [
        ("one model", "ordered", "cave/m1", "Hi"),
        ("50 candidates", "balanced", "fifty", "Hi"),
        ("one model, long prompt", "ordered", "cave/m1", prompt.as_str()),
        ("50 candidates, long prompt", "balanced", "fifty", prompt.as_str()),
        ("the same, classified", "prompt", "fifty", prompt.as_str()),
    ] {
        println!("| a whole call: {what} | {:.1} |", whole(strategy, model, words));
    }
}

/// A plain call from its first byte to its answer, with key, route, request, usage and record.
fn whole(strategy: &str, model: &str, words: &str) -> f64 {
    const ANSWER: &[u8] = br#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
    let config = config::read(document(strategy).as_bytes()).expect("a document");
    let registry = Registry::new(&SortedMap::new(), &config, true);
    let secrets = Secrets::from_environment(Some("a secret that is only for measuring"), None, None);
    let minted = mint(secrets.as_ref().expect("a secret"), [7; 32]);
    let grant = Rc::new(Grant::new(Key { id: "key_1".to_owned(), ..Key::default() }));
    let mut gateway = Gateway::new(Setup { registry, config, version: 1, secrets }, [9; 32]);
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{words}"}}]}}"#);
    let headers =
        [("content-type", "application/json"), ("authorization", &format!("Bearer {}", minted.text.expose()))];
    let incoming = Incoming {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.into_bytes(),
        ..Incoming::default()
    };
    let (now, mut ledger) = (UnixMillis(START), Ledger::default());
    timed(|round| {
        let (id, mut step) = gateway.begin(incoming.clone(), now);
        if let Step::FindGrant(_) = step {
            step = gateway.resume(id, Input::Grant(Ok(Some(grant.clone()))), now);
        }
        while let Step::AskLedger(message) = &step {
            let reply = ledger.handle(latchkey::json::from_slice(message).expect("a message"), now);
            step = gateway.resume(id, Input::Ledger { sent: now, reply: Ok(Box::new(reply)) }, now);
        }
        assert!(matches!(step, Step::Send(_)), "{step:?}");
        gateway.resume(id, Input::Headers(200, &[("content-type", "application/json")]), now);
        let step = gateway.resume(id, Input::Body(ANSWER), now);
        if round % 100 == 0 {
            gateway.records.take(usize::MAX);
        }
        matches!(step, Step::Respond(response) if response.status == 200)
    })
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
    let config = config::read(document(strategy).as_bytes()).expect("a document");
    (Registry::new(&SortedMap::new(), &config, true), config.routing)
}

fn document(strategy: &str) -> String {
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
    format!(
        r#"{{"version": 1,
            "providers": {{"cave": {{"base_url": "https://cave.example.com", "auth": "none", "models": [{}]}}}},
            "models": {{{}}},
            "aliases": {{"fifty": {{"strategy": "{strategy}", "candidates": [{}]}}}}}}"#,
        listed.join(","),
        prices.join(","),
        candidates.join(",")
    )
}
