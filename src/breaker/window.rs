use serde::Serialize;

use crate::json::readable;
use crate::units::{Millis, UnixMillis};

/// Into so many parts a window is cut; the oldest leaves as a whole.
const PARTS: usize = 6;

/// Counts over a sliding window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The number of the newest part, counted since the epoch.
    newest: i64,
    /// Newest first: what was served, what failed, and what of the served was poor.
    parts: [(u32, u32, u32); PARTS],
}
readable! { Window { #[required] newest, #[required] parts } }

impl Window {
    /// Counts what happened at `now`.
    pub fn add(&mut self, served: u32, failed: u32, poor: u32, length: Millis, now: UnixMillis) {
        self.slide(length, now);
        if let Some((all_served, all_failed, all_poor)) = self.parts.first_mut() {
            *all_served = all_served.saturating_add(served);
            *all_failed = all_failed.saturating_add(failed);
            *all_poor = all_poor.saturating_add(poor);
        }
    }

    /// What was served, what failed, and what of the served was poor, in the window that ends at `now`.
    #[must_use]
    pub fn sums(mut self, length: Millis, now: UnixMillis) -> (u32, u32, u32) {
        self.slide(length, now);
        self.parts.iter().fold((0, 0, 0), |sums: (u32, u32, u32), part| {
            (sums.0.saturating_add(part.0), sums.1.saturating_add(part.1), sums.2.saturating_add(part.2))
        })
    }

    fn slide(&mut self, length: Millis, now: UnixMillis) {
        let part = i64::try_from(length.0 / PARTS as u64).unwrap_or(i64::MAX).max(1);
        let number = now.0.div_euclid(part);
        let passed = number.saturating_sub(self.newest);
        // A clock that steps back a little adds to the newest part. One that steps back by more than a window is none:
        // the window became longer, and its parts are counted otherwise.
        if passed <= 0 && passed.unsigned_abs() < PARTS as u64 {
            return;
        }
        let passed = usize::try_from(passed).unwrap_or(PARTS).min(PARTS);
        self.parts.rotate_right(passed);
        self.parts.iter_mut().take(passed).for_each(|part| *part = (0, 0, 0));
        self.newest = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Millis = Millis(60_000);

    #[test]
    fn what_is_older_than_the_window_is_gone() {
        let mut window = Window::default();
        window.add(1, 2, 1, MINUTE, UnixMillis(1_000_000_000_000));
        window.add(10, 0, 0, MINUTE, UnixMillis(1_000_000_030_000));
        assert_eq!(window.sums(MINUTE, UnixMillis(1_000_000_049_000)), (11, 2, 1));
        assert_eq!(window.sums(MINUTE, UnixMillis(1_000_000_061_000)), (10, 0, 0));
        assert_eq!(window.sums(MINUTE, UnixMillis(1_000_000_200_000)), (0, 0, 0));
    }

    #[test]
    fn a_window_of_another_length_begins_anew() {
        let hour = Millis(3_600_000);
        for (before, after) in [(MINUTE, hour), (hour, MINUTE)] {
            let mut window = Window::default();
            window.add(1, 5, 0, before, UnixMillis(1_000_000_000_000));
            window.add(1, 0, 0, after, UnixMillis(1_000_000_001_000));
            assert_eq!(window.sums(after, UnixMillis(1_000_000_002_000)), (1, 0, 0));
            assert_eq!(window.sums(after, UnixMillis(1_000_007_300_000)), (0, 0, 0), "what is old leaves it");
        }
    }

    #[test]
    fn a_clock_that_steps_back_a_little_adds_to_the_newest_part() {
        let mut window = Window::default();
        window.add(1, 2, 0, MINUTE, UnixMillis(1_000_000_000_000));
        window.add(1, 0, 0, MINUTE, UnixMillis(999_999_985_000));
        assert_eq!(window.sums(MINUTE, UnixMillis(1_000_000_001_000)), (2, 2, 0));
    }

    #[test]
    fn a_stored_window_is_read_by_later_builds() {
        let stored = r#"{"newest":7,"parts":[[1,2,0],[0,0,0],[3,0,1],[0,0,0],[0,0,0],[0,0,0]]}"#;
        let window: Window = crate::json::from_str(stored).expect("read");
        assert_eq!(serde_json::to_string(&window).expect("written"), stored);
    }

    proptest! {
        #[test]
        fn sums_lie_between_what_certainly_and_what_possibly_counts(
            mut steps in prop::collection::vec((0i64..20_000, 0u32..3, 0u32..3), 1..60),
        ) {
            let mut window = Window::default();
            let mut now = 1_000_000_000_000;
            for step in &mut steps {
                now += step.0;
                step.0 = now;
                window.add(step.1, step.2, 0, MINUTE, UnixMillis(now));
            }
            let (served, failed, _) = window.sums(MINUTE, UnixMillis(now));
            let within = |age: i64| steps.iter().filter(move |step| now - step.0 < age);
            let served_within = |age| within(age).map(|step| step.1).sum::<u32>();
            let failed_within = |age| within(age).map(|step| step.2).sum::<u32>();
            prop_assert!((served_within(50_000)..=served_within(60_000)).contains(&served));
            prop_assert!((failed_within(50_000)..=failed_within(60_000)).contains(&failed));
        }
    }
}
