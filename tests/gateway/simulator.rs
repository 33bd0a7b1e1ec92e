//! Strategies against one another, thousands of calls each, in a market with drift, outages and caches.
//!
//! A call is routed by the real router on what the real health view knows, which learns only by outcomes of earlier
//! calls and by its talk with the region's object once a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;

use latchkey::breaker::protocol::Batch;
use latchkey::breaker::{Outcome as Seen, Permit, Policy, Region, Verdict, View, What};
use latchkey::config::{self, Routing};
use latchkey::failure::Kind;
use latchkey::provider::Registry;
use latchkey::route::classify::Hints;
use latchkey::route::contender::Figures;
use latchkey::route::decide::BudgetState;
use latchkey::route::facts::{CallFacts, Prompt};
use latchkey::route::objective::Objective;
use latchkey::route::router::{Request, Routed, Router};
use latchkey::route::{Candidate, Resolved, resolve};
use latchkey::sorted::SortedMap;
use latchkey::units::{Millis, NanoUsd, UnixMillis};

use crate::market::{Asked, HOSTS, Market, OPEN_FOR, OPENS, Outcome};

const SEEDS: [u64; 4] = [11, 22, 33, 44];
/// A call every so many milliseconds.
const PACE: i64 = 600;
/// What a host that is down takes to say so.
const REFUSAL: u64 = 150;
const MOST_ATTEMPTS: usize = 4;

/// How a strategy did over one day of the market.
#[derive(Default)]
struct Day {
    usd: f64,
    waits: Vec<u64>,
    failed: u64,
    refused: u64,
    /// How often calls of no session began to go elsewhere than the ones before.
    moves: u64,
}

impl Day {
    fn p95(&self) -> f64 {
        let mut waits = self.waits.clone();
        let at = waits.len() * 95 / 100;
        *waits.select_nth_unstable(at).1 as f64
    }
}

/// An attempt under way: when it ends, its host, when it was sent, whether it is a probe, and what comes of it: times to
/// the first token and from there to the end, and tokens.
type End = (i64, usize, i64, Option<Permit>, Option<(u64, u64, u64)>);

struct Simulator {
    market: Market,
    registry: Registry,
    routing: Routing,
    router: Router,
    view: View,
    region: Region,
    ends: BinaryHeap<Reverse<End>>,
    budget: Option<f64>,
    /// Its calls want their answers in one piece.
    plain: bool,
    day: Day,
}

impl Simulator {
    fn new(seed: u64, alias: &str, budget: Option<f64>) -> Simulator {
        let market = Market::new(seed);
        let config = config::read(market.document(alias).as_bytes()).expect("a document");
        Simulator {
            market,
            registry: Registry::new(&SortedMap::new(), &config, true),
            routing: config.routing,
            router: Router::default(),
            view: View::new(Policy::default(), seed),
            region: Region::default(),
            ends: BinaryHeap::new(),
            budget,
            plain: false,
            day: Day::default(),
        }
    }

    fn plain(seed: u64, alias: &str) -> Simulator {
        Simulator { plain: true, ..Simulator::new(seed, alias, None) }
    }

    fn run(mut self) -> Day {
        let mut before = None;
        for (number, now) in (OPENS..OPENS + OPEN_FOR).step_by(PACE as usize).enumerate() {
            let (number, now) = (number as u64, UnixMillis(now));
            self.catch_up(now);
            let asked = self.market.call(number);
            let Some(routed) = self.route(&asked, number, now) else {
                self.day.refused += 1;
                continue;
            };
            if asked.session.is_none() && !routed.decision.explored {
                let first = routed.order().next().map(|contender| contender.target.to_string());
                self.day.moves += u64::from(before.is_some() && before != first);
                before = first;
            }
            self.send(&routed, &asked, number, now);
        }
        self.day
    }

    /// What has ended since is told, and once a second the region's object is heard.
    fn catch_up(&mut self, now: UnixMillis) {
        while let Some(Reverse((at, host, sent, probe, served))) = self.ends.peek().copied()
            && at <= now.0
        {
            self.ends.pop();
            let what = match served {
                None => What::Failed { retry_after: None, kind: Kind::Unavailable, status: Some(503) },
                Some((first_token, generation, output_tokens)) => What::Served {
                    first_token: Some(Millis(first_token)).filter(|_| !self.plain),
                    generation: Millis(if self.plain { first_token + generation } else { generation }),
                    output_tokens,
                },
            };
            let outcome = Seen { what, sent: UnixMillis(sent), probe };
            self.view.report(&format!("h{host}/m"), outcome, UnixMillis(at));
        }
        if now.0 % 1_200 == 0
            && let Some(batch) = self.view.batch(now)
        {
            let mut batch: Batch = latchkey::json::from_str(&batch).expect("a batch");
            // They come out of a map, and the jitter of blocks is dealt out in their order.
            batch.reports.sort_by(|one, other| one.target.cmp(&other.target));
            batch.asks.sort();
            let reply = self.region.absorb(&batch, now, now.0 as u64).expect("absorbed");
            self.view.absorb(&serde_json::to_vec(&reply).expect("JSON"), now).expect("a reply");
        }
    }

    fn route(&mut self, asked: &Asked, number: u64, now: UnixMillis) -> Option<Routed> {
        let objective = Objective::default();
        let registry = &self.registry;
        let named = |name: &str| {
            let Resolved { provider, model } = resolve(registry, name)?;
            Ok(vec![Candidate { provider, model, rank: 0 }])
        };
        let view = &self.view;
        let figures = |target: &str, _: bool| {
            Figures::seen(&view.figures(target).unwrap_or_default(), view.verdict(target, now), 0)
        };
        let budget = self.budget.map(|limit| BudgetState {
            used: self.day.usd / limit,
            remaining: NanoUsd(((limit - self.day.usd) * 1e9) as i64),
        });
        let mut request = Request {
            registry,
            routing: &self.routing,
            facts: CallFacts {
                key: "key_1",
                model: "any",
                session: asked.session.map(|session| session.to_string().into()),
                prompt: Prompt { tokens: asked.input_tokens, messages: 1, ..Prompt::default() },
                plain: self.plain,
                ..CallFacts::default()
            },
            objective: &objective,
            words: "hi",
            hints: Hints::default(),
            prefix: None,
            cache_lives: None,
            service_tier: None,
            named: &named,
            further: &[],
            is_closed: false,
            figures: &figures,
            permitted: &|_, _| true,
            budget: &|_| budget,
            seed: number,
            explains: false,
            shadow: None,
            unrecorded: None,
            now,
        };
        self.router.route(&mut request).ok()
    }

    /// Tries what the router says, in its order, as the gateway does: past blocked targets while there are others.
    fn send(&mut self, routed: &Routed, asked: &Asked, number: u64, now: UnixMillis) {
        let order: Vec<String> = routed.order().map(|contender| contender.target.to_string()).collect();
        let mut waited = 0;
        for (attempt, target) in order.iter().enumerate().take(MOST_ATTEMPTS) {
            let at = now.plus(Millis(waited));
            let host: usize = target.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a number");
            // What the ledger does before every call: the worst case must fit into what is left.
            if self.budget.is_some_and(|limit| self.day.usd + self.market.worst(host, asked, at) > limit) {
                self.day.refused += 1;
                return;
            }
            let probe = match self.view.verdict(target, at) {
                Verdict::Probe => self.view.take_probe(target, at),
                Verdict::Pass => None,
                Verdict::Blocked { .. } | Verdict::Off if attempt + 1 < order.len() => continue,
                Verdict::Blocked { .. } | Verdict::Off => None,
            };
            match self.market.ask(host, number, asked, at) {
                Outcome::Down => {
                    waited += REFUSAL;
                    self.ends.push(Reverse((at.0 + REFUSAL as i64, host, at.0, probe, None)));
                }
                Outcome::Served { first_token, generation, usd } => {
                    // Who is slow to begin a plain answer is slow to end it too: 200 tokens take as long again.
                    let generation = if self.plain { first_token * asked.output_tokens / 200 } else { generation };
                    let over = at.0 + (first_token + generation) as i64;
                    self.ends.push(Reverse((
                        over,
                        host,
                        at.0,
                        probe,
                        Some((first_token, generation, asked.output_tokens)),
                    )));
                    self.day.usd += usd;
                    self.day.waits.push(waited + first_token + if self.plain { generation } else { 0 });
                    self.router.served(routed, target, asked.input_tokens, asked.output_tokens, at);
                    return;
                }
            }
        }
        self.day.failed += 1;
    }
}

static ORDERED: LazyLock<Day> = LazyLock::new(|| days(r#""strategy": "ordered""#));

/// The same days for each strategy: cost, p95 and moves over all of them.
fn days(alias: &str) -> Day {
    days_of(alias, |seed| Simulator::new(seed, alias, None))
}

fn days_of(alias: &str, simulator: impl Fn(u64) -> Simulator) -> Day {
    let mut all = Day::default();
    for seed in SEEDS {
        let mut day = simulator(seed).run();
        all.usd += day.usd;
        all.waits.append(&mut day.waits);
        all.failed += day.failed;
        all.moves += day.moves;
    }
    let (p95, calls) = (all.p95(), all.waits.len());
    println!("{alias}: ${:.2}, p95 {p95} ms, {} failed of {calls}, {} moves", all.usd, all.failed, all.moves);
    all
}

#[test]
fn balanced_is_a_fifth_cheaper_than_the_written_order_and_no_slower() {
    let (ordered, balanced) = (&*ORDERED, days(r#""strategy": "balanced""#));
    assert!(balanced.usd <= 0.8 * ordered.usd, "{} against {}", balanced.usd, ordered.usd);
    assert!(balanced.p95() <= ordered.p95(), "{} against {}", balanced.p95(), ordered.p95());
    assert!(balanced.failed <= ordered.failed);
}

#[test]
fn fastest_is_a_third_faster_than_the_written_order_and_does_not_flap() {
    let (ordered, fastest) = (&*ORDERED, days(r#""strategy": "fastest", "explore": 0.03"#));
    assert!(fastest.p95() <= 0.7 * ordered.p95(), "{} against {}", fastest.p95(), ordered.p95());
    // Eight hours: with an outage or slow spell every few minutes, and drift, somebody else is now and then the best.
    assert!(fastest.moves <= 200, "{} moves", fastest.moves);
    assert!(fastest.failed <= ordered.failed);
}

#[test]
fn fastest_is_faster_for_plain_calls_too() {
    let plain = |alias: &str| days_of(alias, |seed| Simulator::plain(seed, alias));
    let (ordered, fastest) = (plain(r#""strategy": "ordered""#), plain(r#""strategy": "fastest", "explore": 0.03"#));
    assert!(fastest.p95() <= 0.8 * ordered.p95(), "{} against {}", fastest.p95(), ordered.p95());
    assert!(fastest.moves <= 200, "{} moves", fastest.moves);
    assert!(fastest.failed <= ordered.failed);
}

#[test]
fn cheapest_follows_the_price_and_does_not_flap() {
    let (ordered, cheapest) = (&*ORDERED, days(r#""strategy": "cheapest""#));
    assert!(cheapest.usd <= 0.6 * ordered.usd, "{} against {}", cheapest.usd, ordered.usd);
    // Three spells of each host and one change of prices a day.
    let changes = SEEDS.len() * (HOSTS * 3 * 2 + 2);
    assert!(cheapest.moves <= changes as u64, "{} moves", cheapest.moves);
}

#[test]
fn budget_aware_is_never_over_budget_and_makes_more_of_it() {
    let (mut served, mut all) = (0.0, 0.0);
    for seed in SEEDS {
        let whole = Simulator::new(seed, r#""strategy": "ordered""#, None).run();
        // Three fifths of what the day would cost in the written order.
        let limit = whole.usd * 0.6;
        let aware = Simulator::new(seed, r#""strategy": "budget_aware""#, Some(limit)).run();
        println!(
            "seed {seed}: {:.2} of {limit:.2} dollars, {} calls, {} refused",
            aware.usd,
            aware.waits.len(),
            aware.refused
        );
        assert!(aware.usd <= limit, "{} of {limit}", aware.usd);
        served += aware.waits.len() as f64;
        all += whole.waits.len() as f64;
    }
    assert!(served >= 0.66 * all, "{served} of {all} calls for three fifths of the money");
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let run = || Simulator::new(7, r#""strategy": "balanced", "explore": 0.05"#, None).run();
    let (one, other) = (run(), run());
    assert_eq!((one.usd.to_bits(), one.moves), (other.usd.to_bits(), other.moves));
    assert!(one.waits == other.waits, "each call waits as long as it did before");
}
