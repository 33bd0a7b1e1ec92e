//! The figures as people read them: medians over rounds, ratios to the floor within a round.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::measure::{Report, Round, median};
use crate::plan::{Bar, Plan, Workload};

/// Everything in Markdown, and whether every bar was reached and no reply was wrong.
pub fn render(plan: &Plan, report: &Report) -> (String, bool) {
    let mut out = String::new();
    let (workloads, rounds) = plan.chosen();
    let floor = plan.targets.first().map_or("", |target| target.name.as_str());
    let mut good = true;
    let _ = writeln!(
        out,
        "Medians of {rounds} interleaved rounds ({} where a difference is measured); ×: ratio to {floor} within a round. Times in ms. CPU: of all threads of\n\
         the target, ms a reply; more: than on the plain route of the same process, as shares of {floor}'s. Others: share of one CPU that neither target nor bench used (above 20 %, trust only ratios).\n\n\
         | workload | target | replies/s | × | CPU | CPU × | CPU more | p50 | p99 | first word p50 | p99 | gap p50 | p99 | wrong | others | bar |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
        Workload::DIFFERENCE * rounds
    );
    for workload in &workloads {
        for target in &plan.targets {
            let view = View::of(report, workload, &target.name, floor);
            if view.rounds.is_empty() {
                continue;
            }
            let bar = workload.bar.filter(|_| target.measured);
            let verdict = bar.map_or(String::new(), |bar| view.verdict(bar));
            // What other gateways get wrong is shown, and no fault of ours.
            good &= !target.measured || (view.wrong() == 0 && !verdict.ends_with("FAILED"));
            view.row(&mut out, &verdict);
        }
    }
    for target in &plan.targets {
        let whole = target.without.as_deref();
        good &= whole.is_none_or(|whole| turned_off(&mut out, report, whole, &target.name));
    }
    good &= resources(&mut out, report);
    wrongs(&mut out, report);
    if !good {
        out.push_str("\nFAILED: a bar was missed or a reply was wrong.\n");
    }
    (out, good)
}

/// One target under one workload beside the floor.
struct View<'r> {
    rounds: Vec<&'r Round>,
    floor: Vec<&'r Round>,
}

/// Of a thousand calls in steady traffic, so many may wait for an object: a machine that stalls sends them in bursts.
const MOST_WAITING: f64 = 0.001;

impl<'r> View<'r> {
    fn of(report: &'r Report, workload: &Workload, target: &str, floor: &str) -> View<'r> {
        let of = |name: &str| {
            report.rounds.iter().filter(|round| round.workload == workload.name && round.target == name).collect()
        };
        View { rounds: of(target), floor: of(floor) }
    }

    /// CPU a reply more than on the provider's own route, as shares of the floor's.
    fn more(&self) -> Vec<f64> {
        let pairs = self.rounds.iter().zip(&self.floor);
        let mut more: Vec<f64> = pairs.filter_map(|(own, floor)| Some((own.cpu - own.beside?) / floor.cpu)).collect();
        more.sort_by(f64::total_cmp);
        more
    }

    fn median(&self, figure: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| figure(round)).collect())
    }

    /// The median of what `compare` makes of this target's figure and the floor's within each round.
    fn against(&self, figure: impl Fn(&Round) -> Option<f64>, compare: impl Fn(f64, f64) -> f64) -> Option<f64> {
        let pairs = self.rounds.iter().zip(&self.floor);
        median(pairs.filter_map(|(round, floor)| Some(compare(figure(round)?, figure(floor)?))).collect())
    }

    fn wrong(&self) -> u64 {
        self.rounds.iter().flat_map(|round| round.wrong.values()).sum()
    }

    fn verdict(&self, bar: Bar) -> String {
        let (text, reached) = match bar {
            Bar::Throughput(least) => {
                let ratio = self.against(|round| Some(round.rate), |own, floor| own / floor);
                (format!("× ≥ {least}"), ratio.is_some_and(|ratio| ratio >= least))
            }
            Bar::Cpu(most) => {
                let ratio = self.against(|round| Some(round.cpu), |own, floor| own / floor);
                (format!("CPU × ≤ {most}"), ratio.is_some_and(|ratio| ratio <= most))
            }
            Bar::Added(most) => {
                let added = self.against(|round| round.p50, |own, floor| own - floor);
                let figure = added.map_or("–".to_owned(), |added| format!("{added:+.2}"));
                (format!("p50 {figure} ≤ +{most}"), added.is_some_and(|added| added <= most))
            }
            Bar::Beside(most) => {
                let more = median(self.more());
                let waited = self.median(|round| Some(round.waited)).unwrap_or(1.0);
                let figure = more.map_or("–".to_owned(), |more| format!("{more:+.2}"));
                let text = format!("CPU {figure} ≤ +{most} of the floor's, waits for objects {:.2} %", waited * 100.0);
                (text, more.is_some_and(|more| more <= most) && waited <= MOST_WAITING)
            }
        };
        format!("{text} {}", if reached { "ok" } else { "FAILED" })
    }

    fn row(&self, out: &mut String, verdict: &str) {
        let Some(first) = self.rounds.first() else { return };
        let number =
            |value: Option<f64>, decimals: usize| value.map_or("–".to_owned(), |value| format!("{value:.decimals$}"));
        let ratio = |own: f64, floor: f64| own / floor;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {}/{} | {} % | {verdict} |",
            first.workload,
            first.target,
            number(self.median(|round| Some(round.rate)), 0),
            number(self.against(|round| Some(round.rate), ratio), 2),
            number(self.median(|round| Some(round.cpu)), 3),
            number(self.against(|round| Some(round.cpu), ratio), 2),
            spread(&self.more()),
            number(self.median(|round| round.p50), 2),
            number(self.median(|round| round.p99), 2),
            number(self.median(|round| round.first_word_p50), 2),
            number(self.median(|round| round.first_word_p99), 2),
            number(self.median(|round| round.gap_p50), 2),
            number(self.median(|round| round.gap_p99), 2),
            self.wrong(),
            self.rounds.iter().map(|round| round.checked).sum::<u64>(),
            number(self.median(|round| Some(round.foreign * 100.0)), 0),
        );
    }
}

/// The median and between what all values lie.
fn spread(sorted: &[f64]) -> String {
    match (median(sorted.to_vec()), sorted.first(), sorted.last()) {
        (Some(middle), Some(least), Some(most)) => format!("{middle:+.2} ({least:+.2} to {most:+.2})"),
        _ => "–".to_owned(),
    }
}

/// What is turned off in `part` may cost `whole` so much of its CPU a reply, while nothing fails.
const MOST_MORE: f64 = 1.1;

/// What it costs, over all workloads; whether that is little enough.
fn turned_off(out: &mut String, report: &Report, whole: &str, part: &str) -> bool {
    let beside = |own: &Round| {
        let same =
            |other: &&Round| other.target == part && (&other.workload, other.round) == (&own.workload, own.round);
        report.rounds.iter().find(same).map(|other| own.cpu / other.cpu)
    };
    let ratios = report.rounds.iter().filter(|round| round.target == whole).filter_map(beside).collect();
    let Some(more) = median(ratios) else { return true };
    let reached = more <= MOST_MORE;
    let verdict = if reached { "ok" } else { "FAILED" };
    let _ = writeln!(
        out,
        "\n{whole} beside {part}: CPU a reply × {more:.2}, median of all rounds (≤ {MOST_MORE}: {verdict})"
    );
    reached
}

/// Cold starts, memory and the soak; whether the soak's bar was reached.
fn resources(out: &mut String, report: &Report) -> bool {
    let _ = writeln!(
        out,
        "\n| target | start to first reply ms | first call | second call | resident MiB at start | at the end |\n\
         |---|--:|--:|--:|--:|--:|"
    );
    for (cold, memory) in report.cold_starts.iter().zip(&report.memory) {
        let _ = writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} |",
            cold.target, cold.start_to_first_reply, cold.first_call, cold.second_call, memory.before, memory.after
        );
    }
    let (Some(first), Some(last)) = (report.soak.first(), report.soak.last()) else { return true };
    let _ = writeln!(out, "\n| soak: calls | wasm memory KiB | resident MiB |\n|--:|--:|--:|");
    for reading in &report.soak {
        let wasm = reading.wasm_bytes.map_or("–".to_owned(), |bytes| (bytes / 1024).to_string());
        let _ = writeln!(out, "| {} | {wasm} | {:.0} |", reading.calls, reading.resident);
    }
    // A target that does not tell its memory has not shown that it stays.
    let stayed = matches!((first.wasm_bytes, last.wasm_bytes), (Some(before), Some(after)) if after <= before);
    let good = stayed && last.wrong.is_empty();
    let verdict = if good { "ok" } else { "FAILED" };
    let _ = writeln!(out, "\nNo new page of wasm memory from call 10,000 to call 50,000, no wrong reply: {verdict}");
    good
}

/// An example of everything that went wrong.
fn wrongs(out: &mut String, report: &Report) {
    let mut faults: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for round in &report.rounds {
        for (fault, times) in &round.wrong {
            *faults.entry((&round.target, &round.workload, fault)).or_default() += times;
        }
    }
    for ((target, workload, fault), times) in faults.iter().take(20) {
        let _ = writeln!(out, "\n{target}, {workload}, {times} times: {fault}");
    }
}
