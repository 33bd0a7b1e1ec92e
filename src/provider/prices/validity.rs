use crate::units::UnixMillis;

const MINUTES_A_DAY: u16 = 24 * 60;

/// When a price holds. The default is always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Validity {
    /// From this moment on.
    pub from: Option<UnixMillis>,
    /// Up to, not including, this moment.
    pub until: Option<UnixMillis>,
    /// Only at these hours of the day.
    pub hours: Option<Hours>,
}

/// A part of the day in UTC, in minutes after midnight; it may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The first minute.
    pub from: u16,
    /// The first minute after it.
    pub until: u16,
}

impl Validity {
    /// Whether the price holds at `now`.
    #[must_use]
    pub fn holds(&self, now: UnixMillis) -> bool {
        self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
            && self.hours.is_none_or(|hours| hours.hold(now))
    }

    /// Which of two prices that both hold is meant: the one for some hours only, then the later one.
    #[must_use]
    pub fn rank(&self) -> (bool, Option<UnixMillis>) {
        (self.hours.is_some(), self.from)
    }
}

impl Hours {
    /// Reads `16:30-00:30`.
    ///
    /// ```
    /// use latchkey::provider::Hours;
    /// assert_eq!(Hours::parse("16:30-00:30"), Some(Hours { from: 990, until: 30 }));
    /// assert_eq!(Hours::parse("16:30-24:00"), Some(Hours { from: 990, until: 1440 }));
    /// assert_eq!(Hours::parse("4pm"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Hours> {
        let (from, until) = text.split_once('-')?;
        let hours = Hours { from: minute(from)?, until: minute(until)? };
        (hours.from != hours.until && hours.from < MINUTES_A_DAY).then_some(hours)
    }

    /// Whether `now` is within.
    #[must_use]
    pub fn hold(self, now: UnixMillis) -> bool {
        let minute = u16::try_from(now.0.div_euclid(60_000).rem_euclid(i64::from(MINUTES_A_DAY))).unwrap_or(0);
        if self.from < self.until {
            self.from <= minute && minute < self.until
        } else {
            self.from <= minute || minute < self.until
        }
    }
}

/// Minutes after midnight of `16:30`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= MINUTES_A_DAY).then_some(minutes)
}
