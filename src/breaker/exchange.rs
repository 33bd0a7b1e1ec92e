//! The isolate's side of the talk with the `Health` object.

use super::protocol::{Batch, News, PROTOCOL, Reply, Report};
use super::view::{Ahead, Entry, View};
use super::{Breaker, Figures, Policy, TargetId};
use crate::sorted;
use crate::units::{Millis, UnixMillis};
use std::cell::Cell;

/// A batch without an answer for so long is lost, whatever became of the task that sent it.
const LOST_AFTER: Millis = Millis(10_000);
/// An object that was silent is asked again after this, doubled with each time up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Millis = Millis(1_000);
const LONGEST_PAUSE: Millis = Millis(30_000);
/// After so many silences in a row the object is taken to be away.
const SILENCES: u32 = 3;
/// News of successes alone wait until what is known of the others is older than this part of what it may be.
const CALM: u64 = 3;

/// When a batch should be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// There is nothing to say or to ask, or an answer is still awaited.
    No,
    /// When records are written anyway.
    Soon,
    /// At once: a target was blocked, or a probe came back.
    Now,
}

/// Where the talk with the object stands.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    isolate: String,
    /// The number of the last batch.
    number: u64,
    /// The last batch, until its reply is here.
    unheard: Option<String>,
    /// When it was last sent, while its answer is awaited.
    sent: Option<UnixMillis>,
    /// When the object was last heard; `None` before it ever was.
    heard: Option<UnixMillis>,
    /// When it was last heard of all targets.
    heard_all: UnixMillis,
    /// How often in a row it was silent, and when it may be asked again.
    silences: u32,
    again: UnixMillis,
    /// A state changed.
    pub(super) is_urgent: bool,
    /// Something failed.
    pub(super) has_news: bool,
    /// Repetitions that were refused since the last batch.
    pub(super) refused_retries: u64,
    /// A block is over, and a call wanted its target.
    pub(super) asks: Cell<bool>,
}

impl Exchange {
    pub(super) fn named(random: u64) -> Exchange {
        Exchange { isolate: format!("{random:016x}"), ..Exchange::default() }
    }

    /// Without the object, the isolate works on what it knows itself, and probes by itself too. One lost message does
    /// not mean that: the object may have granted the probe to somebody else.
    pub(super) fn is_alone(&self) -> bool {
        self.heard.is_none() || self.silences >= SILENCES
    }

    fn awaits(&self, now: UnixMillis) -> bool {
        self.sent.is_some_and(|sent| now.since(sent) < LOST_AFTER)
    }

    fn age(&self, now: UnixMillis) -> Millis {
        self.heard.map_or(Millis(u64::MAX), |heard| now.since(heard))
    }
}

impl View {
    /// Whether a batch should be sent after an answer.
    #[must_use]
    pub fn due(&self, now: UnixMillis) -> Due {
        let exchange = &self.exchange;
        if !self.policy.enabled || exchange.awaits(now) || now < exchange.again {
            return Due::No;
        }
        if exchange.is_urgent {
            return Due::Now;
        }
        let is_old = exchange.age(now).0 >= self.policy.snapshot_age.0 / CALM;
        if is_old || exchange.has_news || exchange.unheard.is_some() || exchange.asks.get() {
            Due::Soon
        } else {
            Due::No
        }
    }

    /// When the next call should wait for the object, because what is known would then be too old; `None`: never.
    #[must_use]
    pub fn stale_at(&self) -> Option<UnixMillis> {
        let Policy { enabled, patience, snapshot_age, .. } = self.policy;
        let heard = self.exchange.heard.map_or(UnixMillis(0), |heard| heard.plus(snapshot_age));
        (enabled && patience.0 > 0).then(|| heard.max(self.exchange.again))
    }

    /// The longest that a call waits for the object.
    #[must_use]
    pub fn patience(&self) -> Millis {
        self.policy.patience
    }

    /// The batch to send now, as JSON; `None` where nothing is kept, or an answer is still awaited. A batch whose reply
    /// was lost is sent again as it was.
    pub fn batch(&mut self, now: UnixMillis) -> Option<String> {
        if !self.policy.enabled || self.exchange.awaits(now) {
            return None;
        }
        self.exchange.sent = Some(now);
        if let Some(unheard) = &self.exchange.unheard {
            return Some(unheard.clone());
        }
        self.exchange.number += 1;
        (self.exchange.is_urgent, self.exchange.has_news) = (false, false);
        self.exchange.asks.set(false);
        let mut batch = Batch {
            version: PROTOCOL,
            isolate: self.exchange.isolate.clone(),
            batch: self.exchange.number,
            policy: self.policy,
            refused_retries: std::mem::take(&mut self.exchange.refused_retries),
            all: now.since(self.exchange.heard_all) >= self.policy.snapshot_age,
            ..Batch::default()
        };
        for (target, entry) in &mut self.targets {
            if entry.asks.take() {
                batch.asks.push(target.clone());
            }
            if let Some(report) = entry.tell(target) {
                batch.reports.push(report);
            }
        }
        self.exchange.unheard = Some(crate::json::to_string(&batch));
        self.exchange.unheard.clone()
    }

    /// Takes in the reply to the last batch.
    ///
    /// # Errors
    /// Where it is none; the object then counts as silent.
    pub fn absorb(&mut self, reply: &[u8], now: UnixMillis) -> Result<(), String> {
        let read = crate::json::from_slice::<Reply>(reply).map_err(|error| error.to_string()).and_then(|reply| {
            let expected = self.exchange.number;
            let found = reply.batch;
            if found == expected { Ok(reply) } else { Err(format!("the reply is to batch {found}, not {expected}")) }
        });
        let reply = read.inspect_err(|_| self.unanswered(now))?;
        if !self.policy.enabled {
            return Ok(());
        }
        let exchange = &mut self.exchange;
        (exchange.sent, exchange.unheard, exchange.silences) = (None, None, 0);
        (exchange.heard, exchange.again) = (Some(now), UnixMillis(0));
        if reply.all {
            exchange.heard_all = now;
        }
        self.switches = reply.switches;
        let mut listed: Vec<&str> = reply.targets.iter().map(|news| news.target.as_str()).collect();
        sorted::sort(&mut listed);
        for (target, entry) in &mut self.targets {
            entry.hear(listed.binary_search(&target.as_str()).is_ok(), now);
        }
        for news in reply.targets {
            self.adopt(news, now);
        }
        self.switch_targets(now);
        Ok(())
    }

    /// The object did not answer in time, or not as it should.
    pub fn unanswered(&mut self, now: UnixMillis) {
        let exchange = &mut self.exchange;
        let pause = Millis(SHORTEST_PAUSE.0 << exchange.silences.min(5)).min(LONGEST_PAUSE);
        exchange.silences = exchange.silences.saturating_add(1);
        if exchange.is_alone() {
            // What it says is old by now; and if the object refuses it, it does so every time.
            exchange.unheard = None;
        }
        (exchange.sent, exchange.again) = (None, now.plus(pause));
    }

    fn adopt(&mut self, news: News, now: UnixMillis) {
        let used = self.targets.get(news.target.as_str()).map_or(UnixMillis(0), |entry| entry.used);
        let Some(entry) = self.entry(news.target.as_str(), now) else { return };
        // Only calls of our own keep a target from making room.
        entry.used = used;
        let headroom = news.figures.headroom.or(entry.figures.headroom);
        entry.figures = Figures { headroom, ..news.figures };
        if entry.ahead != Ahead::Pending {
            entry.become_(news.breaker, news.yours);
        }
    }
}

impl Entry {
    /// What the object was not told yet.
    fn tell(&mut self, target: &TargetId) -> Option<Report> {
        if self.ahead == Ahead::Pending {
            self.ahead = Ahead::Told;
        }
        if self.pending.is_empty() {
            return None;
        }
        Some(Report { target: target.clone(), ..std::mem::take(&mut self.pending) })
    }

    /// A reply came. It lists every target that is blocked: one that it does not list passes.
    fn hear(&mut self, is_listed: bool, now: UnixMillis) {
        if self.ahead == Ahead::Told {
            self.ahead = Ahead::No;
        }
        let passes = matches!(self.health.breaker, Breaker::Passing { .. });
        if self.ahead == Ahead::No && !is_listed && !passes {
            self.become_(Breaker::Passing { failures: 0, trips: 0, since: now }, false);
        }
    }

    fn become_(&mut self, breaker: Breaker, yours: bool) {
        self.granted = (yours && self.taken != Some(breaker.since())).then(|| breaker.since());
        let breaker = match (self.health.breaker, breaker) {
            // Failures of our own in a row are known best here.
            (Breaker::Passing { failures, .. }, Breaker::Passing { trips, since, .. }) => {
                Breaker::Passing { failures, trips, since }
            }
            (_, other) => other,
        };
        self.health.become_(breaker);
    }
}
