//! Experiments: which share of an alias's calls goes elsewhere, and when one stops by itself.

use super::alias::Named;
use super::chance::{chance, mix};
use super::condition::Condition;
use super::facts::CallFacts;
use crate::budget::Period;
use crate::units::NanoUsd;

/// Something that is tried on an alias.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Experiment {
    /// The alias whose calls take part.
    pub alias: String,
    /// Which of its calls.
    pub when: Condition,
    /// What stays with one variant.
    pub by: Split,
    /// What is tried. Calls in no variant's share are the control, named `control`.
    pub variants: Vec<Variant>,
    /// When a variant is stopped.
    pub stop: Stop,
}

/// What stays with one variant for as long as the experiment runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// A session; a call without one is its user's, else its key's.
    #[default]
    Session,
    /// An end user; a call without one is its key's.
    User,
    /// A key.
    Key,
    /// Nothing: each call draws anew.
    Call,
}

/// One way that is tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variant {
    /// What it is called in headers and figures.
    pub name: String,
    /// Its share of the calls, 0 to 1.
    pub share: f64,
    /// Its candidates; empty for the alias's own.
    pub candidates: Vec<Named>,
    /// It serves nobody: its share of the calls is sent to its candidates too, beside the answer to the caller.
    pub shadow: Option<Shadow>,
}

/// What the shadows of one variant may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// How much in one period.
    pub limit: NanoUsd,
    /// How long that is for.
    pub period: Period,
}

/// When a variant is stopped: from then on its calls are served as the control's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// No sooner than after so many calls of it and of the control.
    pub least_calls: u64,
    /// Its share of failed calls is higher than the control's by more than this, and by more than chance explains.
    pub error_ratio: f64,
    /// Its mean time to the first token is more than so many times the control's, and by more than chance explains.
    pub latency_ratio: f64,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { least_calls: 50, error_ratio: 0.05, latency_ratio: 2.0 }
    }
}

/// The name of what is not tried on.
pub const CONTROL: &str = "control";

impl Experiment {
    /// The variant that a call belongs to; `None` is the control. `id` is the experiment's, `seed` the call's.
    #[must_use]
    pub fn variant(&self, id: &str, call: &CallFacts<'_>, seed: u64) -> Option<&Variant> {
        let drawn = self.draw(id, call, seed);
        let mut upto = 0.0;
        self.variants.iter().filter(|variant| variant.shadow.is_none()).find(|variant| {
            upto += variant.share;
            drawn < upto
        })
    }

    /// The shadow variant that a call is sent to as well, whichever variant serves it.
    #[must_use]
    pub fn shadow(&self, id: &str, call: &CallFacts<'_>, seed: u64) -> Option<&Variant> {
        // Each is drawn by itself, but one shadow of a call is enough.
        let drawn = |name: &str| self.draw(&format!("{id} {name}"), call, seed);
        self.variants.iter().find(|variant| variant.shadow.is_some() && drawn(&variant.name) < variant.share)
    }

    /// What is drawn for a call; the same for all that belong together.
    fn draw(&self, id: &str, call: &CallFacts<'_>, seed: u64) -> f64 {
        let user = call.user.as_deref();
        let subject = match self.by {
            Split::Session => call.session.as_deref().or(user).unwrap_or(call.key),
            Split::User => user.unwrap_or(call.key),
            Split::Key => call.key,
            Split::Call => return chance(mix(seed, id, "")),
        };
        chance(mix(0, id, subject))
    }
}

/// How calls of one variant went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// How many ended.
    pub calls: u64,
    /// How many of them failed through no fault of the caller.
    pub failed: u64,
    /// Milliseconds to the first token, added up over those that spoke.
    pub first_token_ms: f64,
    /// Their squares, added up.
    pub first_token_squares: f64,
    /// How many spoke.
    pub spoke: u64,
}

impl Tally {
    /// Counts a call that has ended.
    pub fn count(&mut self, failed: bool, first_token_ms: Option<u64>) {
        self.calls += 1;
        self.failed += u64::from(failed);
        if let Some(first) = first_token_ms {
            let first = first as f64;
            self.first_token_ms += first;
            self.first_token_squares += first * first;
            self.spoke += 1;
        }
    }

    /// The share of failed calls.
    fn failures(&self) -> Mean {
        Mean::of(self.calls, self.failed as f64, self.failed as f64)
    }

    fn first_token(&self) -> Mean {
        Mean::of(self.spoke, self.first_token_ms, self.first_token_squares)
    }
}

/// A mean, and the square of its standard error.
struct Mean {
    value: f64,
    error: f64,
}

impl Mean {
    fn of(count: u64, sum: f64, squares: f64) -> Mean {
        let count = count.max(1) as f64;
        let value = sum / count;
        Mean { value, error: (squares / count - value * value).max(0.0) / count }
    }

    /// Whether it is higher than `other` by more than chance explains: twice the standard error of the difference, which
    /// is so by chance once in forty times.
    fn is_above(&self, other: &Mean) -> bool {
        let by = self.value - other.value;
        by > 0.0 && by * by > 4.0 * (self.error + other.error)
    }
}

impl Stop {
    /// Why a variant must stop, if it must.
    #[must_use]
    pub fn verdict(&self, variant: &Tally, control: &Tally) -> Option<&'static str> {
        if variant.calls < self.least_calls || control.calls < self.least_calls {
            return None;
        }
        let (its, usual) = (variant.failures(), control.failures());
        if its.value > usual.value + self.error_ratio && its.is_above(&usual) {
            return Some("it fails more often than the control");
        }
        let (its, usual) = (variant.first_token(), control.first_token());
        let enough = variant.spoke.min(control.spoke) >= self.least_calls;
        let slower = enough && its.value > usual.value * self.latency_ratio && its.is_above(&usual);
        slower.then_some("it is slower than the control")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(by: Split) -> Experiment {
        let variant = |name: &str, share| Variant { name: name.to_owned(), share, ..Variant::default() };
        Experiment { by, variants: vec![variant("new", 0.1), variant("newer", 0.2)], ..Experiment::default() }
    }

    fn shares(by: Split, of: impl Fn(u64, &mut CallFacts<'_>)) -> [f64; 3] {
        let mut counts = [0.0; 3];
        for seed in 0..10_000 {
            let mut call = CallFacts { key: "key_1", ..CallFacts::default() };
            of(seed, &mut call);
            let name = experiment(by).variant("one", &call, seed).map(|variant| variant.name.clone());
            let at = ["new", "newer"].iter().position(|known| Some(*known) == name.as_deref()).unwrap_or(2);
            counts[at] += 1e-4;
        }
        counts
    }

    #[test]
    fn shares_are_kept_over_sessions_and_calls() {
        let close = |shares: [f64; 3]| {
            assert!((shares[0] - 0.1).abs() < 0.015 && (shares[1] - 0.2).abs() < 0.015, "{shares:?}");
        };
        close(shares(Split::Session, |seed, call| call.session = Some(format!("s{seed}").into())));
        close(shares(Split::User, |seed, call| call.user = Some(format!("u{seed}").into())));
        close(shares(Split::Call, |_, _| ()));
    }

    #[test]
    fn shadows_are_drawn_by_themselves() {
        let mut tried = experiment(Split::Call);
        let shadow = Some(Shadow { limit: NanoUsd::DOLLAR, period: Period::Day });
        tried.variants[0].shadow = shadow;
        let call = CallFacts { key: "key_1", ..CallFacts::default() };
        let (mut shadowed, mut served, mut both) = (0, 0, 0);
        for seed in 0..10_000 {
            let shadow = tried.shadow("one", &call, seed).is_some();
            shadowed += u32::from(shadow);
            let variant = tried.variant("one", &call, seed);
            assert!(variant.is_none_or(|variant| variant.shadow.is_none()), "a shadow serves nobody");
            served += u32::from(variant.is_some());
            both += u32::from(shadow && variant.is_some());
        }
        assert!((850..1_150).contains(&shadowed) && (1_850..2_150).contains(&served), "{shadowed} {served}");
        assert!((150..250).contains(&both), "calls of a variant are shadowed as often as others: {both}");
    }

    #[test]
    fn a_session_stays_with_its_variant() {
        let one = shares(Split::Session, |_, call| call.session = Some("the same".into()));
        assert!(one.iter().any(|share| (share - 1.0).abs() < 1e-6), "{one:?}");
        let by_key = shares(Split::Session, |_, _| ());
        assert!(by_key.iter().any(|share| (share - 1.0).abs() < 1e-6), "without a session it is the key's: {by_key:?}");
    }

    #[test]
    fn a_variant_stops_when_it_is_worse_beyond_the_bound() {
        let tally = |calls: u64, failed, each: f64| {
            let sum = each * calls as f64;
            Tally { calls, failed, first_token_ms: sum, first_token_squares: sum * each, spoke: calls }
        };
        let control = tally(100, 1, 400.0);
        let stop = Stop::default();
        assert_eq!(stop.verdict(&tally(40, 40, 0.0), &control), None, "too few to tell");
        assert_eq!(stop.verdict(&tally(60, 3, 500.0), &control), None);
        assert!(stop.verdict(&tally(60, 6, 400.0), &control).is_some_and(|why| why.contains("fails")));
        let slow = tally(60, 0, 900.0);
        assert!(stop.verdict(&slow, &control).is_some_and(|why| why.contains("slower")));
        let failed = Tally { calls: 120, failed: 2, ..slow };
        assert!(stop.verdict(&failed, &control).is_some(), "who never spoke was not fast");
    }

    #[test]
    fn chance_stops_nothing() {
        let stop = Stop { least_calls: 20, ..Stop::default() };
        let mut tallies = [Tally::default(); 2];
        for (at, tally) in tallies.iter_mut().enumerate() {
            for call in 0..20 {
                // One of both kinds hangs once, and fails once or three times.
                let first = if at == 0 && call == 7 { 60_000 } else { 400 };
                tally.count(call < if at == 0 { 3 } else { 1 }, Some(first));
            }
        }
        assert_eq!(stop.verdict(&tallies[0], &tallies[1]), None);
        let mut stopped = 0;
        for run in 0..200u64 {
            let mut tallies = [Tally::default(); 2];
            for call in 0..400 {
                let number = mix(run, "call", &call.to_string());
                let first = -2_000.0 * chance(number).ln();
                tallies[(call % 2) as usize].count(chance(number ^ 1) < 0.05, Some(first as u64));
                if call % 10 == 9 && stop.verdict(&tallies[0], &tallies[1]).is_some() {
                    stopped += 1;
                    break;
                }
            }
        }
        assert!(stopped <= 30, "{stopped} of 200 that are no worse than the control");
    }
}
