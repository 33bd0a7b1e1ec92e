//! What is measured: targets from the runner, workloads from here, and the bar that the gateway must reach.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::process::Start;
use crate::protocol::Protocol;
use crate::upstream::Manner;

/// Written by the runner.
#[derive(Deserialize)]
pub struct Plan {
    pub upstream_port: u16,
    /// The first is the floor that all others are divided by.
    pub targets: Vec<Target>,
    /// Names or beginnings of names with `*`; all where empty.
    #[serde(default)]
    pub workloads: Vec<String>,
    #[serde(default)]
    pub rounds: Option<usize>,
    #[serde(default)]
    pub quick: bool,
    #[serde(default)]
    pub soak: bool,
    /// Where the figures go as JSON.
    pub report: String,
}

#[derive(Deserialize)]
pub struct Target {
    pub name: String,
    #[serde(flatten)]
    pub start: Start,
    /// Whether the bar is for this one.
    #[serde(default)]
    pub measured: bool,
    /// The target that this one is, but for something that is turned off.
    #[serde(default)]
    pub without: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// By the provider behind it.
    pub routes: BTreeMap<String, Route>,
    /// Answers the size of the wasm memory in bytes, as a number within JSON: `{"wasm_bytes": …}`.
    #[serde(default)]
    pub memory_url: Option<String>,
    #[serde(default)]
    pub memory_headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub struct Route {
    pub url: String,
    /// For streams, where that is another.
    #[serde(default)]
    pub stream_url: Option<String>,
    pub model: String,
    /// What the target itself speaks here.
    pub protocol: Protocol,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// One kind of load.
#[derive(Clone)]
pub struct Workload {
    pub name: String,
    pub provider: Protocol,
    /// The route of the target that is taken, where it is not the provider's own. The provider's own is then measured
    /// beside it, in the same process: what differs is the cost of the one thing that the route is for.
    pub route: Option<&'static str>,
    pub stream: bool,
    pub include_usage: bool,
    pub callers: usize,
    pub body: usize,
    pub manner: Manner,
    pub time: Duration,
    pub bar: Option<Bar>,
}

impl Workload {
    /// How many times as many rounds a difference is measured in: it has the noise of both its sides.
    pub const DIFFERENCE: usize = 3;

    /// In how many rounds it is measured where most are measured in so many.
    pub fn rounds(&self, usual: usize) -> usize {
        usual * if self.route.is_some() { Workload::DIFFERENCE } else { 1 }
    }
}

/// What the gateway must reach in a workload, against the floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Replies a second, at least so many of the floor's.
    Throughput(f64),
    /// CPU a reply, at most so many times the floor's.
    Cpu(f64),
    /// Milliseconds added to the median latency, at most.
    Added(f64),
    /// CPU a reply more than on the provider's own route, at most so much of the floor's; and of a thousand replies, at
    /// most one waited for an object.
    Beside(f64),
}

impl Plan {
    /// The workloads chosen, and in how many rounds.
    pub fn chosen(&self) -> (Vec<Workload>, usize) {
        let mut chosen = workloads();
        chosen.retain(|workload| {
            let named = |pattern: &String| match pattern.strip_suffix('*') {
                Some(beginning) => workload.name.starts_with(beginning),
                None => workload.name == *pattern,
            };
            // What has a bar is what a quick look is for.
            if self.workloads.is_empty() {
                !self.quick || workload.bar.is_some()
            } else {
                self.workloads.iter().any(named)
            }
        });
        if self.quick {
            for workload in &mut chosen {
                // Of two routes side by side, a difference is measured: that takes its time.
                let is_short = workload.manner.gap.is_zero() && workload.route.is_none();
                workload.time = if is_short { workload.time / 3 } else { workload.time };
            }
        }
        (chosen, self.rounds.unwrap_or(if self.quick { 3 } else { 5 }))
    }
}

/// What a streamed call passes through on its way.
const LANES: [(&str, Protocol, bool); 4] = [
    // The caller asks for usage: nothing in the stream has to change.
    ("relay", Protocol::Openai, true),
    // The caller does not: the usage that the gateway asks for has to be taken out.
    ("patched", Protocol::Openai, false),
    ("anthropic", Protocol::Anthropic, true),
    ("gemini", Protocol::Gemini, true),
];

fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for (name, provider) in
        [("openai", Protocol::Openai), ("anthropic", Protocol::Anthropic), ("gemini", Protocol::Gemini)]
    {
        for callers in [1, 16, 64] {
            let bar = match callers {
                1 => Some(Bar::Added(0.2)),
                16 => Some(Bar::Throughput(if provider == Protocol::Openai { 0.55 } else { 0.5 })),
                _ => None,
            };
            all.push(Workload { bar, ..plain(format!("plain-{name}-{callers}"), provider, callers) });
        }
        all.push(Workload { body: 1 << 20, ..plain(format!("plain-{name}-1m"), provider, 4) });
    }
    // What a decision among fifty targets, the classifier's and a key's budgets cost.
    for (name, route, body, most) in [
        ("route-fifty-16", "fifty", 100, None),
        ("route-prompt-16", "prompt", 4 << 10, Some(0.3)),
        ("budgets-16", "budgets", 100, Some(0.15)),
    ] {
        let bar = most.map(Bar::Beside);
        // A turn of one of the two routes that are compared.
        let time = Duration::from_millis(100);
        all.push(Workload { route: Some(route), body, bar, time, ..plain(name.to_owned(), Protocol::Openai, 16) });
    }
    for (lane, provider, include_usage) in LANES {
        let relayed = lane == "relay";
        for callers in [1, 16, 64] {
            let bar = (callers == 16).then_some(Bar::Throughput(if relayed { 0.7 } else { 0.3 }));
            all.push(Workload { bar, include_usage, ..stream(format!("stream-{lane}-{callers}"), provider, callers) });
        }
        all.push(Workload { body: 1 << 20, include_usage, ..stream(format!("stream-{lane}-1m"), provider, 4) });
        for callers in [16, 64] {
            let bar = (callers == 16).then_some(Bar::Cpu(if relayed { 1.5 } else { 3.3 }));
            let manner = Manner { words: 200, gap: Duration::from_millis(5) };
            let time = Duration::from_secs(4);
            let name = format!("paced-{lane}-{callers}");
            all.push(Workload { bar, include_usage, manner, time, ..stream(name, provider, callers) });
        }
    }
    all
}

fn plain(name: String, provider: Protocol, callers: usize) -> Workload {
    let manner = Manner { words: 20, gap: Duration::ZERO };
    let time = Duration::from_millis(1500);
    Workload {
        name,
        provider,
        route: None,
        stream: false,
        include_usage: true,
        callers,
        body: 100,
        manner,
        time,
        bar: None,
    }
}

fn stream(name: String, provider: Protocol, callers: usize) -> Workload {
    let manner = Manner { words: 100, gap: Duration::ZERO };
    Workload { stream: true, manner, ..plain(name, provider, callers) }
}
