//! A made-up market of five hosts of one model: latencies that drift, prices that change at half-time, outages, slow
//! spells and prompt caches. Everything in it follows from its seed.

use std::collections::HashMap;

use latchkey::route::chance::{chance, mix};
use latchkey::units::UnixMillis;

/// When it opens.
pub const OPENS: i64 = 1_790_035_200_000;
/// How long it is open: two hours.
pub const OPEN_FOR: i64 = 7_200_000;
/// How many hosts there are.
pub const HOSTS: usize = 5;

/// Dollars per million input tokens; output costs four times as much, cached input a tenth.
const PRICES: [f64; HOSTS] = [0.4, 0.55, 0.75, 1.0, 1.3];
/// Milliseconds to the first token that half of the calls beat, on a usual day.
const PACES: [f64; HOSTS] = [300.0, 380.0, 470.0, 560.0, 650.0];
/// How long a host keeps a prompt's beginning.
const CACHE_LIVES: i64 = 300_000;

/// The longest answer.
const MOST_OUTPUT: f64 = 500.0;

/// One host.
struct Host {
    price: f64,
    /// By what its price is multiplied at half-time.
    change: f64,
    pace: f64,
    /// Where in its daily swing it is.
    phase: f64,
    outages: [(i64, i64); 2],
    slow: (i64, i64),
}

impl Host {
    fn price_at(&self, now: i64) -> f64 {
        if now < OPENS + OPEN_FOR / 2 { self.price } else { self.price * self.change }
    }
}

/// All hosts, in the order in which an operator who knows nothing of them would write them.
pub struct Market {
    seed: u64,
    hosts: Vec<Host>,
    caches: HashMap<(usize, u64), i64>,
}

/// What a call asks for.
pub struct Asked {
    /// What belongs together, for calls of a conversation.
    pub session: Option<u64>,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// What became of an attempt.
pub enum Outcome {
    Down,
    Served { first_token: u64, generation: u64, usd: f64 },
}

impl Market {
    /// Who is cheap and who is fast is dealt out by the seed, so that neither goes with the order.
    pub fn new(seed: u64) -> Market {
        let draw = |what: &str, host: usize| chance(mix(seed, what, &host.to_string()));
        let dealt = |what: &str, of: [f64; HOSTS]| {
            let mut places: Vec<usize> = (0..HOSTS).collect();
            places.sort_by(|one, other| draw(what, *one).total_cmp(&draw(what, *other)));
            places.into_iter().map(|place| of[place]).collect::<Vec<f64>>()
        };
        let (prices, paces) = (dealt("price", PRICES), dealt("pace", PACES));
        let span = |what: &str, host: usize, length: f64| {
            let from = OPENS + (draw(what, host) * (OPEN_FOR - 600_000) as f64) as i64;
            (from, from + (length * (0.5 + draw("length", host))) as i64)
        };
        let host = |at: usize| Host {
            price: prices[at],
            change: [0.6, 1.0, 1.6][(draw("change", at) * 3.0) as usize],
            pace: paces[at],
            phase: draw("phase", at) * std::f64::consts::TAU,
            outages: [span("outage", at, 240_000.0), span("another", at, 120_000.0)],
            slow: span("slow", at, 500_000.0),
        };
        Market { seed, hosts: (0..HOSTS).map(host).collect(), caches: HashMap::new() }
    }

    /// Its hosts and their prices as a configuration document, with `alias` in front of them.
    pub fn document(&self, alias: &str) -> String {
        let mut providers = Vec::new();
        let mut models = Vec::new();
        for (at, host) in self.hosts.iter().enumerate() {
            providers.push(format!(
                r#""h{at}": {{"base_url": "https://h{at}.example.com", "auth": "none", "models": ["m"]}}"#
            ));
            let rates = |price: f64| {
                let (output, cached) = (price * 4.0, price / 10.0);
                format!(r#"{{"input": {price:.6}, "output": {output:.6}, "cache_read": {cached:.6}}}"#)
            };
            let half = OPENS + OPEN_FOR / 2;
            models.push(format!(
                r#""h{at}/m": {{"prices": [{{"usd_per_mtok": {}}}, {{"from": {half}, "usd_per_mtok": {}}}]}}"#,
                rates(host.price),
                rates(host.price * host.change)
            ));
        }
        let candidates: Vec<String> = (0..HOSTS).map(|at| format!(r#""h{at}/m""#)).collect();
        format!(
            r#"{{"version": 1, "providers": {{{}}}, "models": {{{}}},
                "aliases": {{"any": {{"candidates": [{}], {alias}}}}}}}"#,
            providers.join(","),
            models.join(","),
            candidates.join(",")
        )
    }

    /// Call number `number` of the day.
    pub fn call(&self, number: u64) -> Asked {
        let draw = |what: &str| chance(mix(self.seed, what, &number.to_string()));
        Asked {
            session: (draw("session") < 0.4).then(|| (draw("which") * 100.0) as u64 + number / 2_000 * 100),
            input_tokens: 1_200 + (draw("input") * 4_000.0) as u64,
            output_tokens: 100 + (draw("output") * (MOST_OUTPUT - 100.0)) as u64,
        }
    }

    /// The most that a call can cost at a host.
    pub fn worst(&self, host: usize, asked: &Asked, now: UnixMillis) -> f64 {
        let price = self.hosts.get(host).map_or(0.0, |host| host.price_at(now.0));
        (asked.input_tokens as f64 + MOST_OUTPUT * 4.0) * price / 1e6
    }

    /// Asks a host; the same call at the same moment is answered the same, whoever asks.
    pub fn ask(&mut self, host: usize, number: u64, asked: &Asked, now: UnixMillis) -> Outcome {
        let Some(its) = self.hosts.get(host) else { return Outcome::Down };
        let now = now.0;
        if its.outages.iter().any(|(from, to)| (*from..*to).contains(&now)) {
            return Outcome::Down;
        }
        let day = (now - OPENS) as f64 / OPEN_FOR as f64;
        let price = its.price_at(now);
        let drift = 1.0 + 0.25 * (day * std::f64::consts::TAU + its.phase).sin();
        let spell = if (its.slow.0..its.slow.1).contains(&now) { 5.0 } else { 1.0 };
        let draw = |what: &str| chance(mix(self.seed, what, &format!("{host} {number}")));
        // A normal deviate of two even ones (Box and Muller): latencies are spread as its exponential.
        let normal = (-2.0 * draw("one").ln()).sqrt() * (std::f64::consts::TAU * draw("two")).cos();
        let first_token = its.pace * drift * spell * (0.35 * normal).exp();
        let cached = asked.session.map(|session| (host, session)).map_or(0, |place| {
            let until = self.caches.insert(place, now + CACHE_LIVES);
            if until.is_some_and(|until| until > now) { asked.input_tokens * 4 / 5 } else { 0 }
        });
        let input = (asked.input_tokens - cached) as f64 + cached as f64 / 10.0;
        let usd = (input + asked.output_tokens as f64 * 4.0) * price / 1e6;
        Outcome::Served { first_token: first_token as u64, generation: asked.output_tokens * 10, usd }
    }
}
