use super::{Budget, Period, Window, Zone};
use crate::units::{Millis, UnixMillis, civil, days};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Where in a budget's time a moment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The window of a calendar budget, as the moment it began; 0 where there is only one.
    pub window: UnixMillis,
    /// When the window ends; `None` where it never does, or where it moves along.
    pub ends: Option<UnixMillis>,
    /// The number of the part of a rolling window; 0 elsewhere.
    pub part: i64,
}

/// How a rolling window is kept: as parts that leave it one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// How long one is.
    pub length: Millis,
    /// How many make up the period. One more is counted, so that never less than the period is.
    pub count: i64,
}

impl Budget {
    /// Where `now` is in its time.
    #[must_use]
    pub fn frame(&self, now: UnixMillis) -> Frame {
        if let Some(parts) = self.parts() {
            let length = i64::try_from(parts.length.0).unwrap_or(DAY);
            return Frame { window: UnixMillis(0), ends: None, part: now.0.div_euclid(length) };
        }
        if self.period == Period::Total {
            return Frame { window: UnixMillis(0), ends: None, part: 0 };
        }
        // A zone that is no longer known (the name was checked when it was written) counts as UTC.
        let zone = Zone::find(&self.time_zone).unwrap_or(Zone::UTC);
        let local = now.0 + zone.offset(now);
        let (begins, ends) = self.period.around(local);
        if self.period == Period::Hour {
            // Hours are told from the offset that holds now: one that comes twice is two hours.
            let window = UnixMillis(now.0 - (local - begins));
            return Frame { window, ends: Some(UnixMillis(window.0 + HOUR)), part: 0 };
        }
        Frame { window: zone.moment(begins), ends: Some(zone.moment(ends)), part: 0 }
    }

    /// The parts of its rolling window; `None` where it has none.
    #[must_use]
    pub fn parts(&self) -> Option<Parts> {
        let parts = |length: i64, count| Some(Parts { length: Millis(length.unsigned_abs()), count });
        match (self.window, self.period) {
            (Window::Calendar, _) | (Window::Rolling, Period::Total) => None,
            (Window::Rolling, Period::Hour) => parts(MINUTE, 60),
            (Window::Rolling, Period::Day) => parts(30 * MINUTE, 48),
            (Window::Rolling, Period::Week) => parts(2 * HOUR, 84),
            (Window::Rolling, Period::Month) => parts(12 * HOUR, 60),
        }
    }
}

impl Period {
    /// How long it is, to tell a shorter one from a longer one.
    pub(super) fn hours(self) -> i64 {
        match self {
            Period::Hour => 1,
            Period::Day => 24,
            Period::Week => 7 * 24,
            Period::Month => 30 * 24,
            Period::Total => i64::MAX,
        }
    }

    /// The first moment of the period that `local` is in, and of the next one; both in local time.
    fn around(self, local: i64) -> (i64, i64) {
        let day = local.div_euclid(DAY);
        match self {
            Period::Total => (0, i64::MAX),
            Period::Hour => {
                let begins = local - local.rem_euclid(HOUR);
                (begins, begins + HOUR)
            }
            Period::Day => (day * DAY, (day + 1) * DAY),
            Period::Week => {
                // 1970-01-01 was a Thursday, the fourth day of its week.
                let monday = day - (day + 3).rem_euclid(7);
                (monday * DAY, (monday + 7) * DAY)
            }
            Period::Month => {
                let (year, month, _) = civil(day);
                // Behind December comes a thirteenth month, which is January.
                (days(year, month, 1) * DAY, days(year, month + 1, 1) * DAY)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(period: Period, window: Window, zone: &str) -> Budget {
        Budget { period, window, time_zone: zone.to_owned(), ..Budget::default() }
    }

    fn at(date: &str, minutes: i64) -> UnixMillis {
        UnixMillis(UnixMillis::parse_date(date).expect("a date").0 + minutes * MINUTE)
    }

    #[test]
    fn calendar_windows_begin_where_the_zone_says() {
        let window = |period, zone, now| {
            let frame = budget(period, Window::Calendar, zone).frame(now);
            (frame.window, frame.ends.expect("it ends"))
        };
        let noon = at("2026-11-21", 720);
        assert_eq!(window(Period::Hour, "UTC", noon), (noon, at("2026-11-21", 780)));
        assert_eq!(window(Period::Day, "UTC", noon), (at("2026-11-21", 0), at("2026-11-22", 0)));
        assert_eq!(window(Period::Week, "UTC", noon), (at("2026-11-16", 0), at("2026-11-23", 0)));
        assert_eq!(window(Period::Month, "UTC", noon), (at("2026-11-01", 0), at("2026-12-01", 0)));
        assert_eq!(window(Period::Month, "UTC", at("2026-12-31", 0)), (at("2026-12-01", 0), at("2027-01-01", 0)));
        assert_eq!(window(Period::Day, "Asia/Tokyo", noon), (at("2026-11-20", 900), at("2026-11-21", 900)));
        // A month with a change of the clock in it begins in one offset and ends in the other.
        let march = window(Period::Month, "Europe/Berlin", at("2026-03-15", 0));
        assert_eq!(march, (at("2026-02-28", 23 * 60), at("2026-03-31", 22 * 60)));
        // The day of the change has 25 hours, and each of them is a window.
        let long = window(Period::Day, "Europe/Berlin", at("2026-10-25", 600));
        assert_eq!(long.1.since(long.0), Millis(25 * HOUR.unsigned_abs()));
        assert_eq!(window(Period::Hour, "Europe/Berlin", at("2026-10-25", 30)).0, at("2026-10-25", 0));
        assert_eq!(window(Period::Hour, "Europe/Berlin", at("2026-10-25", 90)).0, at("2026-10-25", 60));
    }

    #[test]
    fn a_rolling_window_is_made_of_parts_as_long_as_the_manual_says() {
        let parts = |period| {
            let parts = budget(period, Window::Rolling, "UTC").parts()?;
            Some((parts.length, parts.count))
        };
        let minutes = |count: u64| Millis(count * 60_000);
        assert_eq!(parts(Period::Hour), Some((minutes(1), 60)));
        assert_eq!(parts(Period::Day), Some((minutes(30), 48)));
        assert_eq!(parts(Period::Week), Some((minutes(120), 84)));
        assert_eq!(parts(Period::Month), Some((minutes(720), 60)));
        assert_eq!(parts(Period::Total), None);
        assert_eq!(budget(Period::Day, Window::Calendar, "UTC").parts(), None);
    }

    #[test]
    fn the_whole_time_has_one_window() {
        let total = budget(Period::Total, Window::Calendar, "UTC").frame(at("2026-11-21", 0));
        assert_eq!((total.window, total.ends), (UnixMillis(0), None));
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_without_gaps(
            seconds in 1_700_000_000i64..2_000_000_000,
            period in prop_oneof![Just(Period::Hour), Just(Period::Day), Just(Period::Week), Just(Period::Month)],
            zone in prop_oneof![
                Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Asia/Kolkata"),
                Just("America/Santiago"), Just("Australia/Lord_Howe"), Just("Asia/Beirut"), Just("Asia/Gaza"),
            ],
        ) {
            let budget = budget(period, Window::Calendar, zone);
            let now = UnixMillis(seconds * 1000);
            let frame = budget.frame(now);
            let ends = frame.ends.expect("it ends");
            prop_assert!(frame.window <= now && now < ends, "{frame:?}");
            prop_assert_eq!(budget.frame(UnixMillis(ends.0 - 1)).window, frame.window);
            prop_assert_eq!(budget.frame(ends).window, ends);
        }
    }
}
