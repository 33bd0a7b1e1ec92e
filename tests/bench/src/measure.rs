//! Runs the plan: targets in turn within every round, so that whatever else the machine does falls on all alike.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client::{self, Load, Outcome, quantile};
use crate::plan::{Plan, Target, Workload};
use crate::process::{Running, machine_cpu, own_cpu};
use crate::protocol::{self, Expected, Protocol};
use crate::upstream::{Manner, Upstream};

/// Before a workload is measured: until then the runtime interprets, or compiles, what is soon called often.
const WARM_UP: Duration = Duration::from_secs(2);

/// The same where two routes of one process are compared: what only one of them needs must be compiled as well as what
/// both do, which takes the runtime some ten thousand calls.
const LONG_WARM_UP: Duration = Duration::from_secs(6);

/// So many turns of two routes make a round. They are shorter than what comes now and then, as records that are moved on
/// in heaps and a machine that is slow for a second, so that it falls on both alike.
const TURNS: u32 = 96;
/// Of so many turns of a route the dearest does not count: a pause of the runtime's collector is longer than two turns, and
/// there are too few of them in a round to fall on both routes alike.
const PAUSED_ONE_IN: usize = 24;
/// The floor has but one route, and is measured for as long as makes a figure to divide by.
const FLOOR_TURNS: u32 = 12;

/// One target under one workload in one round.
#[derive(Serialize, Clone, Default)]
pub struct Round {
    pub workload: String,
    pub target: String,
    pub round: usize,
    /// Replies a second.
    pub rate: f64,
    /// Milliseconds of CPU a reply, of all processes of the target.
    pub cpu: f64,
    /// The same of the route beside it, where the workload compares two of the same process.
    pub beside: Option<f64>,
    /// Milliseconds; `None` where there is none, as of gaps in plain answers.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub first_word_p50: Option<f64>,
    pub first_word_p99: Option<f64>,
    pub gap_p50: Option<f64>,
    pub gap_p99: Option<f64>,
    pub checked: u64,
    /// Share of the replies that waited for the ledger object.
    pub waited: f64,
    pub wrong: BTreeMap<String, u64>,
    /// Share of one CPU that others on the machine used.
    pub foreign: f64,
}

/// How a target begins, in milliseconds.
#[derive(Serialize, Clone, Default)]
pub struct ColdStart {
    pub target: String,
    pub start_to_first_reply: f64,
    pub first_call: f64,
    pub second_call: f64,
}

/// What a target holds, in MiB.
#[derive(Serialize, Clone, Default)]
pub struct Memory {
    pub target: String,
    pub before: f64,
    pub after: f64,
}

#[derive(Serialize, Default)]
pub struct Report {
    pub rounds: Vec<Round>,
    pub cold_starts: Vec<ColdStart>,
    pub memory: Vec<Memory>,
    pub soak: Vec<Soak>,
}

/// What fifty thousand calls leave behind, in bytes of wasm memory where the target says it and MiB resident.
#[derive(Serialize, Clone, Default)]
pub struct Soak {
    pub target: String,
    pub calls: u64,
    pub wasm_bytes: Option<u64>,
    pub resident: f64,
    pub wrong: BTreeMap<String, u64>,
}

type Outcomes<T> = Result<T, Box<dyn Error>>;

/// Runs everything. Must be called within a `LocalSet`.
pub async fn run(plan: &Plan) -> Outcomes<Report> {
    let (workloads, rounds) = plan.chosen();
    let upstream = Upstream::start(plan.upstream_port, Manner { words: 20, gap: Duration::ZERO })?;
    let mut report = Report::default();
    for target in &plan.targets {
        eprintln!("cold start: {}", target.name);
        // A target that takes seconds to start is started once.
        let times = if target.start.patience > 30 { 1 } else { 5 };
        report.cold_starts.push(cold_start(target, times).await?);
    }
    let mut running = Vec::new();
    for target in &plan.targets {
        let process = Running::start(&target.start)?;
        first_call(target).await?;
        report.memory.push(Memory { target: target.name.clone(), before: process.memory(), after: 0.0 });
        running.push((target, process));
    }
    for (index, workload) in workloads.iter().enumerate() {
        eprintln!("{} of {}: {}", index + 1, workloads.len(), workload.name);
        upstream.set(workload.manner);
        for (target, _) in &running {
            // Where two routes are compared, the provider's own as well.
            let compares = workload.route.is_some() && target.measured;
            for route in [None, workload.route].into_iter().skip(usize::from(!compares)) {
                let workload = Workload { route, ..workload.clone() };
                if let Some(load) = load(target, &workload, if compares { LONG_WARM_UP } else { WARM_UP }) {
                    client::run(load).await;
                }
            }
        }
        for round in 0..workload.rounds(rounds) {
            for (target, process) in &running {
                report.rounds.extend(measure(target, process, workload, round).await);
            }
        }
    }
    for ((_, process), memory) in running.iter().zip(&mut report.memory) {
        memory.after = process.memory();
    }
    if plan.soak {
        upstream.set(Manner { words: 20, gap: Duration::ZERO });
        for (target, process) in running.iter().filter(|(target, _)| target.measured) {
            report.soak.extend(soak(target, process, &workloads).await?);
        }
    }
    Ok(report)
}

async fn measure(target: &Target, process: &Running, workload: &Workload, round: usize) -> Option<Round> {
    let (own, machine, whole) = (own_cpu(), machine_cpu(), process.cpu());
    let pair = Workload { route: None, ..workload.clone() };
    let turns = match (workload.route, target.measured) {
        (Some(_), true) => TURNS,
        (Some(_), false) => FLOOR_TURNS,
        (None, _) => 1,
    };
    let (mut outcome, mut beside) = (Outcome::default(), Outcome::default());
    let (mut own_turns, mut turns_beside) = (Vec::new(), Vec::new());
    for turn in 0..turns {
        // In this order each two turns are of both routes, and neither is always the first.
        let is_own = !target.measured || turn.count_ones() % 2 == 0;
        let before = if turns > 1 { process.cpu_of_threads() } else { process.cpu() };
        let came = client::run(load(target, if is_own { workload } else { &pair }, workload.time)?).await;
        let cpu = if turns > 1 { process.cpu_of_threads() } else { process.cpu() } - before;
        let (outcome, seen) = if is_own { (&mut outcome, &mut own_turns) } else { (&mut beside, &mut turns_beside) };
        seen.push((cpu * 1000.0, came.replies));
        outcome.add(came);
    }
    let foreign = (machine_cpu() - machine) - (process.cpu() - whole) - (own_cpu() - own);
    let elapsed = (outcome.elapsed + beside.elapsed).as_secs_f64();
    for (fault, times) in std::mem::take(&mut beside.wrong) {
        *outcome.wrong.entry(fault).or_default() += times;
    }
    Some(Round {
        workload: workload.name.clone(),
        target: target.name.clone(),
        round,
        rate: outcome.rate(),
        cpu: cpu_of(own_turns),
        beside: (beside.replies > 0).then(|| cpu_of(turns_beside)),
        p50: quantile(&mut outcome.latencies, 0.5),
        p99: quantile(&mut outcome.latencies, 0.99),
        first_word_p50: quantile(&mut outcome.first_words, 0.5),
        first_word_p99: quantile(&mut outcome.first_words, 0.99),
        gap_p50: quantile(&mut outcome.gaps, 0.5),
        gap_p99: quantile(&mut outcome.gaps, 0.99),
        checked: outcome.checked,
        waited: outcome.waited as f64 / outcome.replies.max(1) as f64,
        foreign: (foreign / elapsed).max(0.0),
        wrong: outcome.wrong,
    })
}

/// CPU a reply over the turns of a route, each told by its CPU and its replies.
fn cpu_of(mut turns: Vec<(f64, u64)>) -> f64 {
    let each = |(cpu, replies): &(f64, u64)| cpu / *replies as f64;
    turns.sort_by(|one, other| each(one).total_cmp(&each(other)));
    turns.truncate(turns.len() - turns.len() / PAUSED_ONE_IN);
    let (cpu, replies) = turns.iter().fold((0.0, 0), |sum, turn| (sum.0 + turn.0, sum.1 + turn.1));
    cpu / replies as f64
}

/// The load of `workload` on `target`, where it serves that provider.
fn load(target: &Target, workload: &Workload, time: Duration) -> Option<Load> {
    let provider = match workload.provider {
        Protocol::Openai => "openai",
        Protocol::Anthropic => "anthropic",
        Protocol::Gemini => "gemini",
    };
    let route = target.routes.get(workload.route.unwrap_or(provider))?;
    let url = route.stream_url.as_ref().filter(|_| workload.stream).unwrap_or(&route.url).clone();
    let mut headers = target.headers.clone();
    headers.extend(route.headers.clone());
    let body = protocol::request(route.protocol, &route.model, workload.stream, workload.include_usage, workload.body);
    let expected = Expected {
        protocol: route.protocol,
        stream: workload.stream,
        words: workload.manner.words,
        usage: workload.include_usage,
    };
    let check_every = if workload.stream { 8 } else { 32 };
    Some(Load { url, headers, body, expected, callers: workload.callers, time, calls: u64::MAX, check_every })
}

async fn first_call(target: &Target) -> Outcomes<Duration> {
    let name = if target.routes.contains_key("anthropic") { Protocol::Anthropic } else { Protocol::Openai };
    let name = if target.routes.contains_key("openai") { Protocol::Openai } else { name };
    let workload = Workload {
        name: String::new(),
        provider: name,
        route: None,
        stream: false,
        include_usage: true,
        callers: 1,
        body: 100,
        manner: Manner { words: 20, gap: Duration::ZERO },
        time: Duration::from_secs(60),
        bar: None,
    };
    let load = load(target, &workload, workload.time).ok_or("the target has no route")?;
    let outcome = client::run(Load { calls: 1, check_every: 1, ..load }).await;
    match outcome.wrong.into_keys().next() {
        Some(fault) => Err(format!("{}: {fault}", target.name).into()),
        None => Ok(outcome.elapsed),
    }
}

async fn cold_start(target: &Target, times: usize) -> Outcomes<ColdStart> {
    let (mut totals, mut firsts, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
        let began = Instant::now();
        let process = Running::start(&target.start)?;
        let first = first_call(target).await?;
        totals.push(began.elapsed().as_secs_f64() * 1000.0);
        firsts.push(first.as_secs_f64() * 1000.0);
        seconds.push(first_call(target).await?.as_secs_f64() * 1000.0);
        drop(process);
    }
    Ok(ColdStart {
        target: target.name.clone(),
        start_to_first_reply: median(totals).unwrap_or_default(),
        first_call: median(firsts).unwrap_or_default(),
        second_call: median(seconds).unwrap_or_default(),
    })
}

/// Readings at 10,000, 30,000 and 50,000 calls of every unpaced kind with small bodies.
async fn soak(target: &Target, process: &Running, workloads: &[Workload]) -> Outcomes<Vec<Soak>> {
    let kinds: Vec<&Workload> =
        workloads.iter().filter(|kind| kind.callers == 16 && kind.manner.gap.is_zero() && kind.body < 1000).collect();
    let mut readings = Vec::new();
    let (mut calls, mut wrong) = (0, BTreeMap::new());
    for until in [10_000, 30_000, 50_000] {
        while calls < until {
            for kind in &kinds {
                let mut kind = (*kind).clone();
                kind.manner.words = 20;
                let Some(load) = load(target, &kind, Duration::from_secs(600)) else { continue };
                let outcome: Outcome = client::run(Load { calls: 1000, ..load }).await;
                calls += outcome.replies;
                for (fault, times) in outcome.wrong {
                    *wrong.entry(fault).or_default() += times;
                }
            }
            if kinds.is_empty() || wrong.values().sum::<u64>() > 1000 {
                return Err(format!("the soak of {} goes wrong: {wrong:?}", target.name).into());
            }
        }
        let wasm_bytes = match &target.memory_url {
            Some(url) => Some(client::number_at(url, &target.memory_headers, "wasm_bytes").await?),
            None => None,
        };
        readings.push(Soak {
            target: target.name.clone(),
            calls,
            wasm_bytes,
            resident: process.memory(),
            wrong: wrong.clone(),
        });
    }
    Ok(readings)
}

/// The middle value, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_falls_on_no_route() {
        let mut turns = vec![(10.0, 100); 47];
        turns.push((300.0, 100));
        assert!((cpu_of(turns) - 0.1).abs() < 1e-9);
        assert!((cpu_of(vec![(10.0, 100), (30.0, 100)]) - 0.2).abs() < 1e-9, "few turns all count");
    }
}
