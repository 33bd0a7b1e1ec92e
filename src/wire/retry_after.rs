//! How long an upstream asks to wait, in the spellings that vendors use.

use crate::json;
use crate::units::{Millis, UnixMillis, days};

/// Names under which limits are counted, as they end `x-ratelimit-remaining-…` and `x-ratelimit-reset-…`.
const COUNTED: &[&str] = &["requests", "tokens", "requests-day", "tokens-minute"];

/// The wait that an answer's headers ask for, `header` being looked up by lower-case name.
///
/// In this order: `retry-after-ms`; `retry-after` in seconds or as an HTTP date (told from the answer's own `date`);
/// the `x-ratelimit-reset-*` of the limit that is used up; `x-ratelimit-reset` in seconds or as a moment. Call it only
/// for a status that means "later": `retry-after` also comes on answers that succeeded.
#[must_use]
pub fn retry_after(header: &dyn Fn(&str) -> Option<String>) -> Option<Millis> {
    let now = header("date").as_deref().and_then(http_date);
    milliseconds(header("retry-after-ms"))
        .or_else(|| {
            let value = header("retry-after")?;
            duration(&value).or_else(|| until(http_date(&value)?, now))
        })
        .or_else(|| used_up(header))
        .or_else(|| {
            let value = header("x-ratelimit-reset")?;
            // openrouter.error.65a778b3d4 gives milliseconds since the epoch, others seconds since it or from now.
            match value.trim().parse::<i64>() {
                Ok(moment) if moment > 100_000_000_000 => until(moment, now),
                Ok(moment) if moment > 100_000_000 => until(moment.saturating_mul(1000), now),
                _ => duration(&value),
            }
        })
}

/// The longest reset among the limits of which nothing remains; without such, the shortest of all.
fn used_up(header: &dyn Fn(&str) -> Option<String>) -> Option<Millis> {
    let resets = COUNTED.iter().filter_map(|counted| {
        let reset = duration(&header(&format!("x-ratelimit-reset-{counted}"))?)?;
        let remaining = header(&format!("x-ratelimit-remaining-{counted}"));
        Some((remaining.is_some_and(|left| left.trim() == "0"), reset))
    });
    let resets: Vec<(bool, Millis)> = resets.collect();
    let empty = resets.iter().filter(|(empty, _)| *empty).map(|(_, reset)| *reset).max();
    empty.or_else(|| resets.iter().map(|(_, reset)| *reset).min())
}

fn until(moment: i64, now: Option<i64>) -> Option<Millis> {
    u64::try_from(moment.saturating_sub(now?)).ok().map(Millis)
}

fn milliseconds(value: Option<String>) -> Option<Millis> {
    let number = json::read_float(value?.trim())?;
    whole(number)
}

fn whole(milliseconds: f64) -> Option<Millis> {
    // A week is longer than any limit's period; more is nonsense, and so is less than nothing.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..=604_800_000.0).contains(&milliseconds).then(|| Millis(milliseconds.ceil() as u64))
}

/// A reset that is written as a moment: seconds or milliseconds since the epoch, or RFC 3339.
pub(super) fn moment(value: &str, now: UnixMillis) -> Option<UnixMillis> {
    let value = value.trim();
    if let Some((date, time)) = value.strip_suffix('Z').and_then(|value| value.split_once('T')) {
        let mut clock = time.split(':').map(|part| part.split('.').next().unwrap_or_default().parse::<u8>());
        let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        return UnixMillis::parse_date(date).map(|day| UnixMillis(day.0 + seconds * 1000));
    }
    let number = value.parse::<i64>().ok()?;
    // What lies within a lifetime of now is a moment, in whichever unit; what is smaller is a length of time.
    let near = |moment: i64| (now.0 / 2..now.0.saturating_mul(2)).contains(&moment).then_some(UnixMillis(moment));
    near(number).or_else(|| near(number.saturating_mul(1000)))
}

/// `2`, `0.5` (seconds), `6ms`, `1m0s`, `5m45.6s`, `1h2m`.
pub(super) fn duration(value: &str) -> Option<Millis> {
    let mut rest = value.trim();
    if let Some(seconds) = json::read_float(rest) {
        return whole(seconds * 1000.0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(unit_at);
        let number = json::read_float(number)?;
        let next_at = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(next_at);
        total += number
            * match unit {
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                "d" => 86_400_000.0,
                _ => return None,
            };
        rest = next;
    }
    (!value.trim().is_empty()).then(|| whole(total)).flatten()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as milliseconds since the epoch.
fn http_date(value: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = value.split_once(", ")?.1.split(' ');
    let day = i64::from(words.next()?.parse::<u8>().ok()?);
    let month = words.next().filter(|name| name.len() == 3).and_then(|name| MONTHS.find(name))?;
    let month = i64::try_from(month / 3 + 1).ok()?;
    let year = words.next()?.parse::<i64>().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u8>().map(i64::from));
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<u64> {
        let find = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        retry_after(&find).map(|wait| wait.0)
    }

    #[test]
    fn every_spelling() {
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "1")]), Some(250));
        assert_eq!(wait(&[("retry-after", "2")]), Some(2000));
        assert_eq!(wait(&[("retry-after", "-2")]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        let date = ("date", "Sun, 06 Nov 1994 08:49:30 GMT");
        assert_eq!(wait(&[date, ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(7000));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), None);
        let reset = [("date", "Fri, 08 Aug 2025 15:40:00 GMT"), ("x-ratelimit-reset", "1754667660000")];
        assert_eq!(wait(&reset), Some(60_000));
        let seconds = [reset[0], ("x-ratelimit-reset", "1754667660")];
        assert_eq!(wait(&seconds), Some(60_000));
        assert_eq!(wait(&[("x-ratelimit-reset", "30")]), Some(30_000));
        assert_eq!(wait(&[("retry-after", "1d2h3m4s5ms")]), Some(((26 * 60 + 3) * 60 + 4) * 1000 + 5));
        assert_eq!(wait(&[("retry-after", "2w")]), None);
    }

    #[test]
    fn the_limit_that_is_used_up_decides() {
        let headers = [
            ("x-ratelimit-reset-requests", "5m45.6s"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-tokens", "6ms"),
            ("x-ratelimit-remaining-tokens", "10"),
        ];
        assert_eq!(wait(&headers), Some(345_600));
        assert_eq!(wait(&[headers[0], headers[2]]), Some(6));
        assert_eq!(wait(&[("x-ratelimit-reset-tokens-minute", "11.25")]), Some(11_250));
    }

    #[test]
    fn dates() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:01 GMT"), Some(1000));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800_000));
        for nonsense in ["", "Sun, ", "Sun, 06 Nov", "Sun, 06 Foo 1994 08:49:37 GMT", "tomorrow"] {
            assert_eq!(http_date(nonsense), None);
        }
    }
}
