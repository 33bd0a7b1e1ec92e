//! `cargo bench --bench calls`: what a call costs in the state machine alone, natively, in microseconds.
//!
//! No sockets and no runtime: beside `npm run bench`, which measures the whole, this shows within seconds what a change
//! to the path of a call does. Variants take turns, and each figure is the median of its turns.

#![allow(clippy::expect_used, reason = "it is run by hand, and ends where something is not as it was meant")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

use latchkey::budget::{Budget, Ledger, Period, Scope};
use latchkey::config;
use latchkey::gateway::{CallId, Gateway, Incoming, Input, Setup, Step};
use latchkey::keys::{Grant, Key, Secrets, mint};
use latchkey::limit::{Limit, Per, Unit};
use latchkey::provider::Registry;
use latchkey::route::classify::{Hints, classify};
use latchkey::sorted::SortedMap;
use latchkey::units::{Millis, NanoUsd, UnixMillis};

const TURNS: usize = 15;
const CALLS: u32 = 2_000;
/// Calls under way at any time.
const AT_ONCE: usize = 16;

const ANSWER: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1800000000,"model":"gpt-4o-2024-11-20",
    "choices":[{"index":0,"message":{"role":"assistant","content":"one two three and so on, word by word, until the answer is as long as most are: some twenty words, or more.","refusal":null},"logprobs":null,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":17,"completion_tokens":20,"total_tokens":37,
    "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#;

fn main() {
    let short = "Say the words.";
    let line = "The \\\"quick\\\" brown fox jumps over the lazy dog again and again, and the dog does not mind.\\n";
    let long = line.repeat(45);
    let mut variants = [
        Variant::new("plain", "openai/gpt-4o", short, false),
        Variant::new("two budgets and a limit", "openai/gpt-4o", short, true),
        Variant::new("fifty candidates, balanced", "fifty", short, false),
        Variant::new("plain, 4 KB", "openai/gpt-4o", &long, false),
        Variant::new("classified, 4 KB", "prompt", &long, false),
    ];
    let mut classified = Vec::new();
    for _ in 0..TURNS {
        variants.iter_mut().for_each(Variant::turn);
        classified.push(microseconds(|| classify(black_box(&long), Hints::default())));
    }
    println!("microseconds of a call, and of the same without what it is named for:");
    let middles: Vec<f64> = variants.iter_mut().map(|variant| median(&mut variant.times)).collect();
    for ((variant, middle), beside) in variants.iter().zip(&middles).zip([0, 0, 0, 3, 3]) {
        println!("  {:<28}{middle:>7.1}{:>7.1}", variant.name, middles.get(beside).copied().unwrap_or_default());
    }
    println!("  {:<28}{:>7.1}", "the classifier alone", median(&mut classified));
}

/// A gateway with one key, and the call that is made with it.
struct Variant {
    name: &'static str,
    gateway: Gateway,
    grant: Rc<Grant>,
    ledger: Ledger,
    incoming: Incoming,
    now: UnixMillis,
    under_way: VecDeque<CallId>,
    times: Vec<f64>,
}

impl Variant {
    fn new(name: &'static str, model: &str, prompt: &str, is_budgeted: bool) -> Variant {
        let environment: SortedMap<String, String> =
            [("LATCHKEY_SECRET", "a secret that is only for this"), ("OPENAI_API_KEY", "none")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let fifty: Vec<String> = (0..50).map(|index| format!("\"openai/gpt-bench-{index}\"")).collect();
        let document = format!(
            r#"{{"version": 1, "aliases": {{"fifty": {{"strategy": "balanced", "candidates": [{}]}}, "prompt": {{"strategy": "prompt",
            "candidates": [{{"model": "openai/gpt-4o-mini", "difficulty": {{"to": 3}}}}, "openai/gpt-4o"]}}}}}}"#,
            fifty.join(",")
        );
        let config = config::read(document.as_bytes()).expect("a document");
        let secrets = Secrets::from_environment(environment.get("LATCHKEY_SECRET").map(String::as_str), None, None);
        let key = mint(secrets.as_ref().expect("a secret"), [7; 32]);
        let setup = Setup { registry: Registry::new(&environment, &config, true), config, version: 1, secrets };
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
        let authorization = format!("Bearer {}", key.text.expose());
        let headers = [("content-type", "application/json"), ("accept", "*/*"), ("authorization", &authorization)];
        let (budgets, limits) = if is_budgeted { (budgets(), vec![limit()]) } else { (Vec::new(), Vec::new()) };
        Variant {
            name,
            gateway: Gateway::new(setup, [9; 32]),
            grant: Rc::new(Grant::new(Key { id: "key_of_the_bench".to_owned(), budgets, limits, ..Key::default() })),
            ledger: Ledger::default(),
            incoming: Incoming {
                method: "POST".to_owned(),
                path: "/v1/chat/completions".to_owned(),
                headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                body: body.into_bytes(),
                ..Incoming::default()
            },
            now: UnixMillis(1_790_000_000_000),
            under_way: VecDeque::new(),
            times: Vec::new(),
        }
    }

    /// Notes how long its calls take, with what is said to the ledger beside them.
    fn turn(&mut self) {
        let time = microseconds(|| self.call());
        self.times.push(time);
        self.gateway.records.take(usize::MAX);
        let message = self.gateway.purse.report(None, self.now);
        let reply = self.ledger.handle(message, self.now);
        self.gateway.reported(None, &reply, self.now, self.now);
        self.now = self.now.plus(Millis(500));
    }

    /// Begins a call and, with so many under way, ends the one that began first.
    fn call(&mut self) {
        let (id, mut step) = self.gateway.begin(self.incoming.clone(), self.now);
        if let Step::FindGrant(_) = step {
            step = self.gateway.resume(id, Input::Grant(Ok(Some(Rc::clone(&self.grant)))), self.now);
        }
        while let Step::AskLedger { message, .. } = step {
            let message = latchkey::json::from_slice(&message).expect("a message");
            let reply = Ok(Box::new(self.ledger.handle(message, self.now)));
            step = self.gateway.resume(id, Input::Ledger { team: None, sent: self.now, reply }, self.now);
        }
        assert!(matches!(black_box(step), Step::Send(_)), "a call that is not sent");
        self.under_way.push_back(id);
        if self.under_way.len() < AT_ONCE {
            return;
        }
        let Some(id) = self.under_way.pop_front() else { return };
        self.gateway.resume(id, Input::Headers(200, &[("content-type", "application/json")]), self.now);
        let answered = self.gateway.resume(id, Input::Body(ANSWER.as_bytes()), self.now);
        assert!(matches!(black_box(answered), Step::Respond(response) if response.status == 200), "no answer");
    }
}

/// Neither ever ends a bench.
fn budgets() -> Vec<Budget> {
    let budget = |id: &str, dollars: i64, period| {
        let limit = NanoUsd(dollars * NanoUsd::DOLLAR.0);
        Budget { id: id.to_owned(), scope: Scope::key("*"), limit, period, ..Budget::default() }
    };
    vec![budget("bud_of_the_month", 1_000_000, Period::Month), budget("bud_of_the_day", 100_000, Period::Day)]
}

fn limit() -> Limit {
    let (unit, per, max) = (Unit::Requests, Some(Per::Minute), 10_000_000);
    Limit { id: "lim_of_the_bench".to_owned(), scope: Scope::key("*"), unit, per, max, ..Limit::default() }
}

/// How long `work` takes, over so many times.
fn microseconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let began = Instant::now();
    (0..CALLS).for_each(|_| drop(black_box(work())));
    began.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}
