use std::fmt;

use serde::{Serialize, Serializer};

use crate::json::{self, FromJson, Reader, readable};
use crate::units::{Millis, UnixMillis};

/// Eight steps for each doubling up to 2^20 ms, some 17 minutes: a value is known to a sixteenth.
const STEPS: usize = 144;

/// How often a time of about so many milliseconds was seen.
///
/// As JSON it is a list of pairs of step and count: `[[35,2],[61,1]]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sketch {
    counts: Box<[u32; STEPS]>,
    total: u32,
}

/// A sketch of the last while: what is older than two spans is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlidingSketch {
    recent: Sketch,
    earlier: Sketch,
    /// When `recent` began.
    since: UnixMillis,
}
readable! { SlidingSketch { #[required] recent, #[required] earlier, #[required] since } }

/// How long one half of a [`SlidingSketch`] gathers. Five minutes.
const SPAN: Millis = Millis(300_000);

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch { counts: Box::new([0; STEPS]), total: 0 }
    }
}

impl Sketch {
    /// Counts one time.
    pub fn add(&mut self, time: Millis) {
        if let Some(count) = self.counts.get_mut(step(time)) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
    }

    /// Counts what another sketch counted.
    pub fn merge(&mut self, other: &Sketch) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.saturating_add(*more);
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// How many times were counted.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The time within which `percent` of all lie; `None` without any.
    #[must_use]
    pub fn percentile(&self, percent: u32) -> Option<Millis> {
        let rank = (u64::from(self.total) * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0u64;
        for (step, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Some(time_of(step));
            }
        }
        None
    }

    /// The mean of all; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<Millis> {
        let sum: u64 =
            self.counts.iter().enumerate().map(|(step, count)| time_of(step).0.saturating_mul(u64::from(*count))).sum();
        sum.checked_div(u64::from(self.total)).map(Millis)
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if self.total > 0 {
            self.counts.fill(0);
            self.total = 0;
        }
    }
}

impl SlidingSketch {
    /// Counts what was seen up to `now`.
    pub fn merge(&mut self, other: &Sketch, now: UnixMillis) {
        if other.is_empty() {
            return;
        }
        let Millis(age) = now.since(self.since);
        if age >= SPAN.0 {
            let recent = std::mem::take(&mut self.recent);
            self.earlier = if age < 2 * SPAN.0 { recent } else { Sketch::default() };
            self.since = now;
        }
        self.recent.merge(other);
    }

    /// Whether all that was counted is forgotten at `now`.
    #[must_use]
    pub fn is_forgotten(&self, now: UnixMillis) -> bool {
        now.since(self.since).0 >= 2 * SPAN.0
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.earlier.is_empty()
    }

    /// The times within which half and 95 percent lie; `None` with fewer than `least` samples.
    #[must_use]
    pub fn percentiles(&self, least: u32) -> Option<(Millis, Millis)> {
        let both = self.both();
        if both.total() < least {
            return None;
        }
        both.percentile(50).zip(both.percentile(95))
    }

    /// The mean of all that is not forgotten.
    #[must_use]
    pub fn mean(&self) -> Option<Millis> {
        self.both().mean()
    }

    fn both(&self) -> Sketch {
        let mut both = self.recent.clone();
        both.merge(&self.earlier);
        both
    }
}

fn step(Millis(time): Millis) -> usize {
    let time = u32::try_from(time).unwrap_or(u32::MAX).min((1 << 20) - 1);
    if time < 8 {
        return time as usize;
    }
    let doublings = 31 - time.leading_zeros();
    let within = (time >> (doublings - 3)) & 7;
    ((doublings - 2) * 8 + within) as usize
}

/// The middle of a step.
fn time_of(step: usize) -> Millis {
    let step = step as u64;
    if step < 8 {
        return Millis(step);
    }
    let shift = (step / 8 - 1).min(32);
    Millis(((8 + step % 8) << shift) + ((1 << shift) / 2))
}

impl fmt::Debug for Sketch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (middle, most) = (self.percentile(50), self.percentile(95));
        write!(formatter, "Sketch(total {}, p50 {middle:?}, p95 {most:?})", self.total)
    }
}

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.counts.iter().enumerate().filter(|(_, count)| **count > 0))
    }
}

/// Reads pairs of step and count.
impl<'a> FromJson<'a> for Sketch {
    fn from_json(reader: &mut Reader<'a>) -> Result<Sketch, json::Error> {
        let mut sketch = Sketch::default();
        reader.array(&mut |reader| {
            let (step, more) = <(usize, u32)>::from_json(reader)?;
            // A step that this build does not have is left out.
            if let Some(count) = sketch.counts.get_mut(step) {
                *count = count.saturating_add(more);
                sketch.total = sketch.total.saturating_add(more);
            }
            Ok(())
        })?;
        Ok(sketch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stored_sketch_is_read_by_later_builds() {
        let mut sketch = Sketch::default();
        [3, 250, 250, 251, 9_000, 5_000_000].iter().for_each(|time| sketch.add(Millis(*time)));
        let stored = "[[3,1],[47,3],[88,1],[143,1]]";
        assert_eq!(serde_json::to_string(&sketch).expect("written"), stored);
        assert_eq!(crate::json::from_str::<Sketch>(stored).expect("read"), sketch);
        let newer: Sketch = crate::json::from_str("[[3,1],[999,7]]").expect("read");
        assert_eq!(newer.total(), 1);
    }

    #[test]
    fn too_few_samples_have_no_percentile_and_old_ones_are_forgotten() {
        let mut sliding = SlidingSketch::default();
        let mut some = Sketch::default();
        (0..19).for_each(|_| some.add(Millis(100)));
        sliding.merge(&some, UnixMillis(1_000_000));
        assert_eq!(sliding.percentiles(20), None);
        sliding.merge(&some, UnixMillis(1_200_000));
        assert_eq!(sliding.percentiles(20), Some((Millis(100), Millis(100))));
        let mut slow = Sketch::default();
        (0..50).for_each(|_| slow.add(Millis(4_000)));
        sliding.merge(&slow, UnixMillis(1_400_000));
        sliding.merge(&slow, UnixMillis(1_800_000));
        let (middle, _) = sliding.percentiles(20).expect("enough");
        assert!((3_700..4_300).contains(&middle.0), "{middle:?}");
        sliding.merge(&some, UnixMillis(9_000_000));
        assert_eq!(sliding.percentiles(20), None);
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_a_sixteenth(
            mut times in prop::collection::vec(0u64..600_000, 1..200),
            percent in 1u32..=100,
        ) {
            let mut sketch = Sketch::default();
            times.iter().for_each(|time| sketch.add(Millis(*time)));
            times.sort_unstable();
            let rank = (times.len() * percent as usize).div_ceil(100).max(1);
            let exact = times[rank - 1];
            let Millis(told) = sketch.percentile(percent).expect("some");
            prop_assert!(told.abs_diff(exact) <= exact / 16 + 1, "{told} for {exact}");
        }

        #[test]
        fn merging_is_counting_together(
            first in prop::collection::vec(0u64..2_000_000, 0..50),
            second in prop::collection::vec(0u64..2_000_000, 0..50),
        ) {
            let of = |times: &[u64]| {
                let mut sketch = Sketch::default();
                times.iter().for_each(|time| sketch.add(Millis(*time)));
                sketch
            };
            let mut merged = of(&first);
            merged.merge(&of(&second));
            prop_assert_eq!(merged, of(&[first, second].concat()));
        }
    }
}
