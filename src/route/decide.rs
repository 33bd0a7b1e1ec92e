//! The order in which contenders are tried: a pure function of the call, what is known of them, a seed and the time.
//!
//! Constraints take contenders out; the strategy only orders those that are left, and never drops one. So an outage
//! of the best leads to the next best and not to a refusal.

use super::alias::{LatencyBudget, Policy, Strategy};
use super::chance::{chance, mix};
use super::classify::Class;
use super::contender::{Contender, Figures};
use super::demands::{Demands, Exclusion};
use crate::chat::Usage;
use crate::provider::cost;
use crate::sorted;
use crate::units::{Millis, NanoUsd, UnixMillis};

/// A target this much slower than the best is left even by calls whose prompt cache it holds.
const WARM_PATIENCE: f64 = 2.0;
/// How far back a blocked target comes.
const BLOCKED: u8 = 200;
/// How far back one comes that is slower than wished for: behind every group of a strategy, before the blocked.
const SLOW: u8 = 100;
/// Share of failed calls from which a target does not count as healthy.
const SICK: f64 = 0.1;

/// What a decision depends on beside the contenders.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'s> {
    /// An estimate of the prompt's tokens.
    pub input_tokens: u64,
    /// The answer is wanted in one piece: what counts is when all of it is there.
    pub plain: bool,
    /// How many tokens the answer is expected to have.
    pub output_tokens: u64,
    /// What a target must be able to do.
    pub needs: u32,
    /// What it must be.
    pub demands: &'s Demands,
    /// How they are ordered.
    pub policy: &'s Policy,
    /// A hash of the session, for choices that must stay the same within it.
    pub session: Option<u64>,
    /// What the classifier makes of the task.
    pub class: Option<Class>,
    /// What is left of the tightest budget.
    pub budget: Option<BudgetState>,
    /// The contender that calls went to lately.
    pub incumbent: Option<usize>,
    /// The contender that holds this prompt's cache.
    pub warm: Option<Warm>,
    /// Targets slower than this come after all others.
    pub preferred: Preferred,
    /// The service tier that the call asks for.
    pub service_tier: Option<&'s str>,
    /// Decides what is left to chance.
    pub seed: u64,
    /// Whether what scores are made of is noted.
    pub explains: bool,
    /// The time.
    pub now: UnixMillis,
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetState {
    /// The share that is used, 0 to 1.
    pub used: f64,
    /// What is left.
    pub remaining: NanoUsd,
}

impl BudgetState {
    /// Two budgets as one: a call has to fit into what is left of either, and the fuller says how sparing to be.
    #[must_use]
    pub fn and(self, other: BudgetState) -> BudgetState {
        BudgetState { used: self.used.max(other.used), remaining: self.remaining.min(other.remaining) }
    }
}

/// Where a prompt's beginning is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warm {
    /// The contender that has it.
    pub contender: usize,
    /// How many tokens of the prompt it has.
    pub tokens: u64,
}

/// Wishes that order and do not exclude.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Preferred {
    /// Tokens per second.
    pub throughput: Option<f64>,
    /// Time to the first token at the median.
    pub latency_p50: Option<Millis>,
    /// Time to the first token at p95.
    pub latency_p95: Option<Millis>,
}

/// Who is tried in which order, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Those that may be tried, best first.
    pub order: Vec<Ranked>,
    /// Those that may not.
    pub excluded: Vec<(usize, Exclusion)>,
    /// No target makes the latency budget; the order is by speed instead.
    pub latency_unmet: bool,
    /// The first is one that would not be, for the sake of what is known of it.
    pub explored: bool,
    /// What the score of each contender in the order is made of, where that is asked for.
    pub terms: Vec<(usize, Vec<Term>)>,
}

/// A part of a score, by its name.
pub type Term = (&'static str, f64);

/// A contender's place in the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Which contender.
    pub contender: usize,
    /// Which of the models that the call names it serves: those of an earlier one come first.
    pub rank: usize,
    /// Of one model, those of a lower group come first, whatever their score.
    pub group: u8,
    /// The lower, the better; what it counts depends on the strategy.
    pub score: f64,
    /// What the call is expected to cost there.
    pub cost: Option<NanoUsd>,
}

impl Ranked {
    /// What comes before any score, and before what the call itself would rather have: a target that may not be asked
    /// comes behind all others, else models stay in the order in which the call names them.
    #[must_use]
    pub fn standing(&self) -> (bool, usize) {
        (self.group >= BLOCKED, self.rank)
    }
}

/// Orders `contenders`; `figures` are theirs, in the same order, and `permitted` says what the key may use.
#[must_use]
pub fn decide(
    situation: &Situation<'_>,
    contenders: &[Contender],
    figures: &[Figures],
    permitted: &dyn Fn(&Contender) -> Option<Exclusion>,
) -> Decision {
    let mut decision = Decision::default();
    let mut order: Vec<Ranked> = Vec::with_capacity(contenders.len());
    let expected = Expected::of(situation);
    for (at, contender) in contenders.iter().enumerate() {
        let refusal = permitted(contender)
            .or_else(|| situation.demands.refuse(contender, situation.needs, situation.input_tokens, situation.now));
        let cost = expected.cost(contender, at);
        let refusal = refusal.or_else(|| situation.over_budget(cost).then_some(Exclusion::Budget));
        match refusal {
            Some(refusal) => decision.excluded.push((at, refusal)),
            None => order.push(Ranked { contender: at, rank: contender.rank, group: 0, score: 0.0, cost }),
        }
    }
    let budget = situation.policy.latency_budget;
    if budget != LatencyBudget::default() && !order.is_empty() {
        decision.latency_unmet = keep_in_time(situation, budget, &mut order, figures, &mut decision.excluded);
    }
    let strategy = match (decision.latency_unmet, budget.first_token) {
        (false, _) => situation.policy.strategy,
        (true, Some(_)) => Strategy::Fastest,
        (true, None) => Strategy::FastestTotal,
    };
    score(situation, strategy, contenders, figures, &mut order, &mut decision.terms);
    sorted::sort_by(&mut order, |one, other| {
        let by_score = one.score.total_cmp(&other.score);
        (one.standing(), one.group)
            .cmp(&(other.standing(), other.group))
            .then(by_score)
            .then(one.contender.cmp(&other.contender))
    });
    stay(situation, strategy, figures, &mut order);
    decision.explored = explore(situation, figures, &mut order);
    decision.order = order;
    decision
}

/// What the call is expected to use: the same everywhere, but for where its prompt's beginning is cached.
struct Expected {
    usual: Usage,
    warm: Option<(usize, Usage)>,
}

impl Expected {
    fn of(situation: &Situation<'_>) -> Expected {
        let usual = Usage {
            input_fresh: situation.input_tokens,
            output_text: situation.output_tokens,
            service_tier: situation.service_tier.map(str::to_owned),
            ..Usage::default()
        };
        let warm = situation.warm.map(|warm| {
            let cached = warm.tokens.min(situation.input_tokens);
            let fresh = situation.input_tokens - cached;
            let read = (cached > 0).then_some(cached);
            (warm.contender, Usage { input_fresh: fresh, input_cache_read: read, ..usual.clone() })
        });
        Expected { usual, warm }
    }

    /// What that costs at the contender of this number.
    fn cost(&self, contender: &Contender, at: usize) -> Option<NanoUsd> {
        let warm = self.warm.as_ref().filter(|(holder, _)| *holder == at);
        cost(warm.map_or(&self.usual, |(_, usage)| usage), contender.price.as_ref()?)
    }
}

impl Situation<'_> {
    /// Only `budget_aware` refuses by expectation; what a call may cost at worst is the ledger's to hold.
    fn over_budget(&self, cost: Option<NanoUsd>) -> bool {
        match (self.policy.strategy, self.budget, cost) {
            (Strategy::BudgetAware, Some(budget), Some(cost)) => cost > budget.remaining,
            (Strategy::BudgetAware, Some(_), None) => true,
            _ => false,
        }
    }

    /// Where the same choice must come out for the same session.
    fn draw(&self, contender: &Contender) -> f64 {
        let by = self.session.unwrap_or(self.seed);
        chance(mix(by, &contender.provider, &contender.model))
    }
}

/// Takes out those that cannot make the latency budget at p95; says whether that was all of them, and then keeps all.
/// Of a contender too little is known of, nothing is said.
fn keep_in_time(
    situation: &Situation<'_>,
    budget: LatencyBudget,
    order: &mut Vec<Ranked>,
    figures: &[Figures],
    excluded: &mut Vec<(usize, Exclusion)>,
) -> bool {
    let late = |ranked: &Ranked| {
        let Some(figures) = figures.get(ranked.contender) else { return false };
        let over = |most: Option<Millis>, seen: Option<Millis>| most.zip(seen).is_some_and(|(most, seen)| seen > most);
        over(budget.first_token, figures.first_token_p95)
            || over(budget.total, figures.total_p95(situation.output_tokens, situation.plain))
    };
    let open = |ranked: &Ranked| figures.get(ranked.contender).is_none_or(|figures| figures.is_open(situation.now));
    if order.iter().all(|ranked| late(ranked) || !open(ranked)) {
        return true;
    }
    order.retain(|ranked| {
        let late = late(ranked);
        if late {
            excluded.push((ranked.contender, Exclusion::Latency));
        }
        !late
    });
    false
}

fn score(
    situation: &Situation<'_>,
    strategy: Strategy,
    contenders: &[Contender],
    figures: &[Figures],
    order: &mut [Ranked],
    terms: &mut Vec<(usize, Vec<Term>)>,
) {
    let slowness = Slowness::of(situation, order, figures, strategy);
    let kept = affordable(situation, strategy, order);
    for ranked in order.iter_mut() {
        let Some(contender) = contenders.get(ranked.contender) else { continue };
        let seen = figures.get(ranked.contender).copied().unwrap_or_default();
        let cost = ranked.cost.map_or(f64::MAX, |cost| cost.0.max(1) as f64);
        let weight = f64::from(contender.weight.max(1));
        ranked.score = match strategy {
            Strategy::Ordered => ranked.contender as f64,
            Strategy::Weighted => race(situation.draw(contender), weight.ln()),
            Strategy::Cheapest => cost,
            Strategy::Fastest | Strategy::FastestTotal => slowness.of_one(situation, &seen, strategy),
            Strategy::Throughput => -seen.speed(situation.plain).unwrap_or(0.0),
            Strategy::LeastBusy => (f64::from(seen.in_flight) + 1.0) / weight,
            Strategy::Balanced => {
                let healthy = seen.error_ratio < SICK && slowness.is_usual(situation, &seen);
                ranked.group = if healthy { 0 } else { 1 };
                let balance = situation.policy.balance;
                let latency = slowness.of_one(situation, &seen, Strategy::Fastest).max(1.0);
                // Of a product of powers only the logarithm is wanted, and most of its parts are nothing.
                let power = |base: f64, exponent: f64| match base == 1.0 || exponent == 0.0 {
                    true => 0.0,
                    false => exponent * base.ln(),
                };
                let strength = power(1.0 - seen.error_ratio.clamp(0.0, 0.99), balance.errors)
                    - power(cost, balance.price)
                    - power(latency, balance.latency);
                race(situation.draw(contender), power(weight, 1.0) + strength)
            }
            Strategy::BudgetAware if cost <= kept => ranked.contender as f64,
            Strategy::BudgetAware => {
                ranked.group = 1;
                cost
            }
            Strategy::Prompt => {
                ranked.group = situation.class.map_or(0, |class| {
                    let unsure = class.confidence < situation.policy.least_confidence;
                    contender.distance(class.kind, (class.difficulty + u8::from(unsure)).min(5))
                });
                cost
            }
        };
        let shift = situation.shift(&seen);
        ranked.group = ranked.group.saturating_add(shift);
        if situation.explains {
            terms.push((ranked.contender, noted(situation, strategy, contender, ranked, &seen, &slowness)));
        }
    }
}

/// What a score is made of, for who asks: cost in dollars, waits in milliseconds, shares as such.
fn noted(
    situation: &Situation<'_>,
    strategy: Strategy,
    contender: &Contender,
    ranked: &Ranked,
    seen: &Figures,
    slowness: &Slowness,
) -> Vec<Term> {
    let shift = situation.shift(seen);
    let mut terms: Vec<Term> = Vec::new();
    let weight = f64::from(contender.weight.max(1));
    let cost = ranked.cost.map(|cost| cost.0 as f64 / NanoUsd::DOLLAR.0 as f64);
    let wait = |strategy| slowness.of_one(situation, seen, strategy);
    match strategy {
        Strategy::Ordered => terms.push(("place", ranked.contender as f64)),
        Strategy::Weighted => terms.extend([("weight", weight), ("draw", situation.draw(contender))]),
        Strategy::Fastest | Strategy::FastestTotal => terms.push(("wait_ms", wait(strategy))),
        Strategy::Throughput => terms.extend(seen.speed(situation.plain).map(|speed| ("tokens_per_second", speed))),
        Strategy::LeastBusy => terms.extend([("in_flight", f64::from(seen.in_flight)), ("weight", weight)]),
        Strategy::Balanced => {
            terms.extend(cost.map(|cost| ("cost", cost)));
            terms.extend([
                ("wait_ms", wait(Strategy::Fastest)),
                ("error_ratio", seen.error_ratio),
                ("weight", weight),
                ("draw", situation.draw(contender)),
            ]);
        }
        Strategy::Cheapest => terms.extend(cost.map(|cost| ("cost", cost))),
        Strategy::BudgetAware => {
            terms.extend(cost.map(|cost| ("cost", cost)));
            terms.extend(situation.budget.map(|budget| ("budget_used", budget.used)));
        }
        Strategy::Prompt => {
            terms.extend(cost.map(|cost| ("cost", cost)));
            terms.push(("distance", f64::from(ranked.group.saturating_sub(shift))));
        }
    }
    if shift > 0 {
        terms.push((if shift >= BLOCKED { "blocked" } else { "slower_than_wished" }, 1.0));
    }
    terms
}

impl Situation<'_> {
    /// How far back a target comes for its state: behind all others where it is blocked, behind the preferred where
    /// it is slower than wished for.
    fn shift(&self, seen: &Figures) -> u8 {
        let slow = |most: Option<Millis>, is: Option<Millis>| most.zip(is).is_some_and(|(most, is)| is > most);
        let dull = self.preferred.throughput.zip(seen.tokens_per_second).is_some_and(|(least, is)| is < least);
        let unwished = dull
            || slow(self.preferred.latency_p50, seen.first_token_p50)
            || slow(self.preferred.latency_p95, seen.first_token_p95);
        if !seen.is_open(self.now) {
            BLOCKED
        } else if unwished {
            SLOW
        } else {
            0
        }
    }
}

/// The first to arrive of racers whose speed is their weight, of which this takes the logarithm: each wins in proportion
/// to it.
fn race(chance: f64, weight: f64) -> f64 {
    // Weights of inverse squares are tiny and their reciprocals huge; the logarithm keeps both in range and in order.
    (-chance.ln()).ln() - weight
}

/// The cost up to which `budget_aware` keeps the order as it is written.
///
/// With n steps, of which k are passed, the cheapest `1 - k/(n+1)` of the candidates are kept, and always one.
fn affordable(situation: &Situation<'_>, strategy: Strategy, order: &[Ranked]) -> f64 {
    let (Strategy::BudgetAware, Some(budget)) = (strategy, situation.budget) else { return f64::MAX };
    let steps = &situation.policy.budget_steps;
    let passed = steps.iter().filter(|step| budget.used >= **step).count();
    let mut costs: Vec<i64> = order.iter().map(|ranked| ranked.cost.map_or(i64::MAX, |cost| cost.0)).collect();
    sorted::sort(&mut costs);
    let kept = (costs.len() * (steps.len() + 1 - passed)).div_ceil(steps.len() + 1).max(1);
    costs.get(kept - 1).map_or(f64::MAX, |cost| (*cost).max(1) as f64)
}

/// What is usual among the contenders, for those of which nothing is known yet.
struct Slowness {
    median: f64,
    median_p95: f64,
}

impl Slowness {
    fn of(situation: &Situation<'_>, order: &[Ranked], figures: &[Figures], strategy: Strategy) -> Slowness {
        if !matches!(strategy, Strategy::Fastest | Strategy::FastestTotal | Strategy::Balanced) {
            return Slowness { median: 0.0, median_p95: f64::MAX };
        }
        let known = |figures: &Figures| time(situation, figures, strategy);
        let seen = order.iter().filter_map(|ranked| figures.get(ranked.contender));
        let mut times: Vec<f64> = seen.clone().filter_map(known).collect();
        let mut tails: Vec<f64> = seen.filter_map(|seen| tail(situation, seen)).collect();
        let median = |times: &mut Vec<f64>| {
            sorted::sort_by(times, f64::total_cmp);
            times.get(times.len() / 2).copied()
        };
        Slowness { median: median(&mut times).unwrap_or(1_000.0), median_p95: median(&mut tails).unwrap_or(f64::MAX) }
    }

    fn of_one(&self, situation: &Situation<'_>, figures: &Figures, strategy: Strategy) -> f64 {
        time(situation, figures, strategy).unwrap_or(self.median)
    }

    fn is_usual(&self, situation: &Situation<'_>, figures: &Figures) -> bool {
        tail(situation, figures).is_none_or(|tail| tail <= 2.0 * self.median_p95)
    }
}

/// Milliseconds that 19 of 20 such calls wait no longer: of a stream until it speaks, of a plain answer until its end.
fn tail(situation: &Situation<'_>, figures: &Figures) -> Option<f64> {
    let p95 = match situation.plain {
        true => figures.total_p95(situation.output_tokens, true),
        false => figures.first_token_p95,
    };
    p95.map(|p95| p95.0 as f64)
}

/// Milliseconds that such a call waits. Of a plain answer nothing is there before all of it is, so its time is what such
/// took, and without any what a stream of as many tokens would.
fn time(situation: &Situation<'_>, figures: &Figures, strategy: Strategy) -> Option<f64> {
    let whole = typical(figures.whole_p50, figures.whole_p95).filter(|_| situation.plain);
    if whole.is_some() {
        return whole;
    }
    let first = typical(figures.first_token_p50, figures.first_token_p95)?;
    if !situation.plain && strategy != Strategy::FastestTotal {
        return Some(first);
    }
    let speed = figures.tokens_per_second.filter(|speed| *speed > 0.0)?;
    Some(first + situation.output_tokens as f64 * 1_000.0 / speed)
}

/// Half median and half tail: the median alone forgets the tail, the tail alone is noise.
fn typical(middle: Option<Millis>, tail: Option<Millis>) -> Option<f64> {
    let middle = middle.map(|middle| middle.0 as f64);
    // Too few answers for a tail: it is taken for twice the middle, so that one that is new is not unknown for long.
    let tail = tail.map(|tail| tail.0 as f64).or(middle.map(|middle| middle * 2.0))?;
    Some(f64::midpoint(middle.unwrap_or(tail), tail))
}

/// Keeps calls where they are unless leaving pays: where their prompt is cached, and where calls went lately.
fn stay(situation: &Situation<'_>, strategy: Strategy, figures: &[Figures], order: &mut [Ranked]) {
    let Some(best) = order.first().copied() else { return };
    let is_level = |ranked: &Ranked| (ranked.rank, ranked.group) == (best.rank, best.group);
    let place = |of: usize| order.iter().position(|ranked| ranked.contender == of && is_level(ranked));
    if let Some(warm) = situation.warm.filter(|_| situation.policy.sticky)
        && let Some(at) = place(warm.contender)
    {
        let pace = |of: usize| figures.get(of).and_then(|figures| time(situation, figures, Strategy::Fastest));
        let bearable =
            pace(warm.contender).zip(pace(best.contender)).is_none_or(|(its, best)| its <= WARM_PATIENCE * best);
        let holds = match strategy {
            // What its cache saves is in these costs already.
            Strategy::Cheapest | Strategy::Prompt | Strategy::BudgetAware => false,
            Strategy::Fastest | Strategy::FastestTotal | Strategy::Throughput | Strategy::LeastBusy => bearable,
            Strategy::Ordered | Strategy::Weighted | Strategy::Balanced => {
                let cheaper = order.get(at).and_then(|ranked| ranked.cost).zip(best.cost);
                strategy != Strategy::Balanced || cheaper.is_none_or(|(its, best)| its <= best)
            }
        };
        if holds {
            promote(order, at);
            return;
        }
    }
    let steady = matches!(
        strategy,
        Strategy::Cheapest | Strategy::Fastest | Strategy::FastestTotal | Strategy::Throughput | Strategy::Prompt
    );
    if let Some(at) = situation.incumbent.filter(|_| steady).and_then(place)
        && let Some(its) = order.get(at)
    {
        // Scores of throughput are below zero, so a share of the best is a step towards zero.
        let bound = best.score + best.score.abs() * situation.policy.margin;
        if its.score <= bound {
            promote(order, at);
        }
    }
}

/// Moves the one at `at` to the front and keeps the order of the others.
fn promote(order: &mut [Ranked], at: usize) {
    if let Some(part) = order.get_mut(..=at) {
        part.rotate_right(1);
    }
}

/// Sends a small share of calls to another open contender, so that what is known of the others stays true.
fn explore(situation: &Situation<'_>, figures: &[Figures], order: &mut [Ranked]) -> bool {
    let share = situation.policy.explore;
    // A prompt that is cached somewhere would leave its cache, and what follows of its session would go along.
    if situation.warm.is_some() || share <= 0.0 || chance(situation.seed.wrapping_add(0x5eed)) >= share {
        return false;
    }
    let is_open = |ranked: &Ranked| figures.get(ranked.contender).is_none_or(|figures| figures.is_open(situation.now));
    let first = order.first().map(|ranked| ranked.rank);
    let others = order.iter().skip(1).take_while(|ranked| Some(ranked.rank) == first && is_open(ranked)).count();
    if others == 0 {
        return false;
    }
    let pick = (chance(situation.seed.wrapping_add(0xe)) * others as f64) as usize;
    promote(order, 1 + pick.min(others - 1));
    true
}

#[cfg(test)]
mod tests;
