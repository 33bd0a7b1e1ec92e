//! Time zones by name, as far as budgets need them: the rule that holds from now on.

use crate::units::{UnixMillis, civil, days};

/// Rules and the names that share them; written by `data/generate.mjs`.
const ZONES: &str = include_str!("data/zones.txt");

const DAY: i64 = 86_400;

/// How a place's clock differs from UTC.
///
/// Only the rule in force is known, not the past: a budget's windows are always around now.
///
/// ```
/// use latchkey::budget::Zone;
/// use latchkey::units::UnixMillis;
/// let berlin = Zone::find("Europe/Berlin").expect("known");
/// let summer = UnixMillis::parse_date("2026-07-01").expect("a date");
/// let winter = UnixMillis::parse_date("2026-12-01").expect("a date");
/// assert_eq!((berlin.offset(summer), berlin.offset(winter)), (7_200_000, 3_600_000));
/// assert!(Zone::find("Mars/Olympus").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Seconds that the clock is ahead of UTC outside summer time.
    standard: i64,
    /// Seconds ahead in summer time, and when that begins and ends.
    summer: Option<(i64, Change, Change)>,
}

/// A yearly change of the clock: the so-many-th weekday of a month, at so many seconds after its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    month: i64,
    /// 1 to 5; 5 is the last.
    week: i64,
    /// 0 is Sunday.
    weekday: i64,
    /// May lie before or after the day itself.
    seconds: i64,
}

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone { standard: 0, summer: None };

    /// The zone of a name such as `America/New_York`; `None` if there is none.
    #[must_use]
    pub fn find(name: &str) -> Option<Zone> {
        if name == "UTC" {
            return Some(Zone::UTC);
        }
        let known = |line: &&str| line.split_once('\t').is_some_and(|(_, names)| names.split(' ').any(|it| it == name));
        let (rule, _) = ZONES.lines().find(known)?.split_once('\t')?;
        Zone::parse(rule)
    }

    /// How many milliseconds its clock is ahead of UTC at `moment`.
    #[must_use]
    pub fn offset(&self, moment: UnixMillis) -> i64 {
        let Some((summer, begins, ends)) = self.summer else { return self.standard * 1000 };
        let seconds = moment.seconds();
        let (year, ..) = civil((seconds + self.standard).div_euclid(DAY));
        // Each change is written in the time that holds until it.
        let begins = begins.in_year(year) - self.standard;
        let ends = ends.in_year(year) - summer;
        let is_summer = if begins < ends {
            (begins..ends).contains(&seconds)
        } else {
            // South of the equator summer spans the turn of the year.
            seconds >= begins || seconds < ends
        };
        1000 * if is_summer { summer } else { self.standard }
    }

    /// The moment at which the clock shows `local`, milliseconds since 1970 as if it were UTC. A time that the clock
    /// skips is the moment of the change, of one that it shows twice it is the first.
    #[must_use]
    pub fn moment(&self, local: i64) -> UnixMillis {
        let summer = self.summer.map_or(self.standard, |(summer, ..)| summer);
        let (ahead, behind) = (self.standard.max(summer) * 1000, self.standard.min(summer) * 1000);
        let first = UnixMillis(local - ahead);
        if self.offset(first) == ahead {
            return first;
        }
        let second = UnixMillis(local - behind);
        if self.offset(second) == behind {
            return second;
        }
        // Skipped: the change lies between the two.
        let (mut before, mut after) = (first.0, second.0);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.offset(UnixMillis(middle)) == behind { before = middle } else { after = middle }
        }
        UnixMillis(after)
    }

    /// Reads a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    ///
    /// Source: <https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html#tag_08_03>, with the hours up
    /// to 167 that RFC 9636 adds.
    fn parse(rule: &str) -> Option<Zone> {
        let mut parts = rule.split(',');
        let (standard, rest) = clock_time(skip_name(parts.next()?)?)?;
        let standard = -standard;
        let (Some(begins), Some(ends)) = (parts.next(), parts.next()) else {
            return rest.is_empty().then_some(Zone { standard, summer: None });
        };
        let rest = skip_name(rest)?;
        let summer = if rest.is_empty() { standard + 3600 } else { -clock_time(rest)?.0 };
        Some(Zone { standard, summer: Some((summer, Change::parse(begins)?, Change::parse(ends)?)) })
    }
}

impl Change {
    /// Reads `M3.5.0/2:30`.
    fn parse(text: &str) -> Option<Change> {
        let (date, time) = text.split_once('/').unwrap_or((text, "2"));
        let mut numbers = date.strip_prefix('M')?.split('.').map(|number| number.parse::<i64>().ok());
        let (month, week, weekday) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let valid = (1..=12).contains(&month) && (1..=5).contains(&week) && (0..=6).contains(&weekday);
        let (seconds, rest) = clock_time(time)?;
        (valid && rest.is_empty()).then_some(Change { month, week, weekday, seconds })
    }

    /// When it happens in `year`, in seconds since 1970 of the clock that it changes.
    fn in_year(&self, year: i64) -> i64 {
        let first = days(year, self.month, 1);
        // 1970-01-01 was a Thursday.
        let weekday = (first + 4).rem_euclid(7);
        let mut day = first + (self.weekday - weekday).rem_euclid(7) + 7 * (self.week - 1);
        let next_month = days(year, self.month + 1, 1);
        while day >= next_month {
            day -= 7;
        }
        day * DAY + self.seconds
    }
}

/// What follows a zone's abbreviation: letters, or anything in angle brackets.
fn skip_name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, rest)| rest),
        None => Some(text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic())),
    }
}

/// Seconds of `[+-]hh[:mm[:ss]]` at the start of `text`, and what follows.
fn clock_time(text: &str) -> Option<(i64, &str)> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(unsigned.len());
    let (time, rest) = unsigned.split_at_checked(end)?;
    let mut seconds = 0;
    let mut unit = 3600;
    for part in time.split(':') {
        seconds += part.parse::<i64>().ok().filter(|part| *part < 168)? * unit;
        unit /= 60;
    }
    Some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str, hour: i64) -> UnixMillis {
        UnixMillis(UnixMillis::parse_date(text).expect("a date").0 + hour * 3_600_000)
    }

    /// Hours ahead of UTC.
    fn hours(zone: &str, date: &str, hour: i64) -> f64 {
        let offset = Zone::find(zone).expect("a zone").offset(moment(date, hour));
        f64::from(i32::try_from(offset).expect("small")) / 3_600_000.0
    }

    #[test]
    fn clocks_change_when_they_should() {
        // Germany goes to summer time on the last Sunday of March at 01:00 UTC, and back in October.
        assert_eq!([hours("Europe/Berlin", "2026-03-29", 0), hours("Europe/Berlin", "2026-03-29", 1)], [1.0, 2.0]);
        assert_eq!([hours("Europe/Berlin", "2026-10-25", 0), hours("Europe/Berlin", "2026-10-25", 1)], [2.0, 1.0]);
        // New York on the second Sunday of March at 07:00 UTC, back on the first of November at 06:00.
        assert_eq!(
            [hours("America/New_York", "2026-03-08", 6), hours("America/New_York", "2026-03-08", 7)],
            [-5.0, -4.0]
        );
        assert_eq!(
            [hours("America/New_York", "2026-11-01", 5), hours("America/New_York", "2026-11-01", 6)],
            [-4.0, -5.0]
        );
        // Summer is at the turn of the year in the south; some zones are off by parts of an hour.
        assert_eq!(
            [hours("Australia/Sydney", "2026-01-01", 0), hours("Australia/Sydney", "2026-06-01", 0)],
            [11.0, 10.0]
        );
        assert_eq!([hours("Asia/Kolkata", "2026-06-01", 0), hours("Asia/Kathmandu", "2026-06-01", 0)], [5.5, 5.75]);
        // Ireland counts its winter as the exception, Chile changes at midnight the day before.
        assert_eq!([hours("Europe/Dublin", "2026-07-01", 0), hours("Europe/Dublin", "2026-12-01", 0)], [1.0, 0.0]);
        assert_eq!(
            [hours("America/Santiago", "2026-04-05", 2), hours("America/Santiago", "2026-04-05", 3)],
            [-3.0, -4.0]
        );
    }

    #[test]
    fn every_listed_zone_can_be_read() {
        let mut count = 0;
        for line in ZONES.lines() {
            let (rule, names) = line.split_once('\t').expect("a rule and its names");
            assert!(Zone::parse(rule).is_some(), "{rule}");
            for name in names.split(' ') {
                assert!(Zone::find(name).is_some(), "{name}");
                count += 1;
            }
        }
        assert!(count > 500, "{count} zones");
    }

    #[test]
    fn a_skipped_time_is_the_change_and_a_repeated_one_the_first() {
        let berlin = Zone::find("Europe/Berlin").expect("known");
        let local = |date: &str, minutes: i64| moment(date, 0).0 + minutes * 60_000;
        assert_eq!(berlin.moment(local("2026-03-29", 150)), moment("2026-03-29", 1), "02:30 does not exist");
        assert_eq!(berlin.moment(local("2026-10-25", 150)).0, moment("2026-10-25", 0).0 + 30 * 60_000);
        let beirut = Zone::find("Asia/Beirut").expect("known");
        assert_eq!(beirut.moment(local("2026-03-29", 0)), moment("2026-03-28", 22), "midnight does not exist");
    }

    proptest! {
        #[test]
        fn a_moment_shows_its_local_time(line in 0usize..94, seconds in 1_700_000_000i64..2_400_000_000) {
            let rule = ZONES.lines().nth(line).and_then(|line| line.split('\t').next()).expect("a rule");
            let zone = Zone::parse(rule).expect("a zone");
            let moment = UnixMillis(seconds * 1000);
            let again = zone.moment(moment.0 + zone.offset(moment));
            // A local time that comes twice is read as the first.
            prop_assert!(again == moment || (again < moment && moment.0 - again.0 <= 7_200_000));
        }
    }
}
