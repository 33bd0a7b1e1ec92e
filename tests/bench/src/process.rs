//! Processes: started, asked what they use, and ended. Linux only, like `/proc`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Clock ticks a second in `/proc`: the same on every Linux that this runs on.
const TICKS: f64 = 100.0;

/// How a target is started.
#[derive(Clone, Debug, Deserialize)]
pub struct Start {
    pub command: Vec<String>,
    #[serde(default)]
    pub directory: Option<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Where its output goes.
    pub log: String,
    pub port: u16,
    /// Seconds that it may take until it listens.
    #[serde(default = "thirty")]
    pub patience: u64,
}

fn thirty() -> u64 {
    30
}

/// A process that ends when this is dropped.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts a process and waits until its port takes connections.
    pub fn start(start: &Start) -> io::Result<Running> {
        let [program, arguments @ ..] = start.command.as_slice() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if TcpStream::connect(("127.0.0.1", start.port)).is_ok() {
            return Err(io::Error::other(format!("port {} is taken", start.port)));
        }
        let log = File::create(&start.log)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(&start.environment).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some(directory) = &start.directory {
            command.current_dir(directory);
        }
        let mut running = Running { child: command.spawn()? };
        let until = Instant::now() + Duration::from_secs(start.patience);
        while TcpStream::connect(("127.0.0.1", start.port)).is_err() {
            if running.child.try_wait()?.is_some() || Instant::now() > until {
                return Err(io::Error::other(format!("{program} does not listen; see {}", start.log)));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(running)
    }

    /// CPU seconds of it, all its threads and all that descend from it.
    pub fn cpu(&self) -> f64 {
        self.family().iter().filter_map(|pid| Stat::of(*pid)).map(|stat| stat.cpu).sum()
    }

    /// The same to the nanosecond, but without threads that have ended: for what is shorter than many ticks of the clock.
    pub fn cpu_of_threads(&self) -> f64 {
        let tasks =
            self.family().into_iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten();
        let nanoseconds = tasks.filter_map(|task| {
            let times = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            times.split_whitespace().next()?.parse::<f64>().ok()
        });
        nanoseconds.sum::<f64>() / 1e9
    }

    /// Resident memory of it and all that descend from it, in MiB.
    pub fn memory(&self) -> f64 {
        self.family().iter().filter_map(|pid| resident(*pid)).sum()
    }

    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let others: Vec<(u32, Stat)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, Stat::of(pid)?)))
            .collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            family.extend(others.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        family
    }
}

impl Drop for Running {
    /// Ends it and what it started, children first.
    fn drop(&mut self) {
        let family: Vec<String> = self.family().iter().rev().map(u32::to_string).collect();
        let _ = Command::new("kill").args(family).stderr(Stdio::null()).status();
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU seconds that the whole machine has spent, whoever spent them.
pub fn machine_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers: Vec<f64> =
        stat.lines().next().unwrap_or_default().split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, then idle and iowait, which are not use, then irq and softirq.
    [0, 1, 2, 5, 6].iter().filter_map(|index| numbers.get(*index)).sum::<f64>() / TICKS
}

/// CPU seconds of this program.
pub fn own_cpu() -> f64 {
    Stat::of(std::process::id()).map_or(0.0, |stat| stat.cpu)
}

struct Stat {
    parent: u32,
    cpu: f64,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; what follows its end is counted.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Stat { parent: fields.get(1)?.parse().ok()?, cpu: (ticks(11)? + ticks(12)?) / TICKS })
    }
}

fn resident(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}
