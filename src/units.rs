//! Money, time and tokens, each a type of its own.
//!
//! A token count that lands in a dollar field, or a second in a millisecond field, is a compile error here.

use crate::json::{self, FromJson, Number, Reader};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use serde::Serialize;

/// An amount of money in billionths of a US dollar.
///
/// A cached token can cost 2.5 of these, so nothing coarser would be exact; $9 million still fits the 2^53 that
/// D1 and Durable Object storage can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: NanoUsd = NanoUsd(0);
    /// One US dollar.
    pub const DOLLAR: NanoUsd = NanoUsd(1_000_000_000);

    /// Cost of `tokens` at `self` per million, rounded up so that no call is free. Saturates.
    ///
    /// ```
    /// use latchkey::units::NanoUsd;
    /// assert_eq!(NanoUsd(150_000_000).per_million(1), NanoUsd(150));
    /// assert_eq!(NanoUsd(2_500_000).per_million(1), NanoUsd(3));
    /// ```
    #[must_use]
    pub fn per_million(self, tokens: u64) -> NanoUsd {
        // All but absurd figures fit into 64 bits, where division is one instruction.
        if let Ok(short @ 0..0x100_0000) = i64::try_from(tokens)
            && (0..1 << 38).contains(&self.0)
        {
            return NanoUsd((self.0 * short + 999_999) / 1_000_000);
        }
        let exact = i128::from(self.0) * i128::from(tokens);
        let rounded = (exact + 999_999).div_euclid(1_000_000);
        NanoUsd(i64::try_from(rounded).unwrap_or(i64::MAX))
    }

    /// What `to_string` gives, for the path of a call: without the machinery of formatting.
    #[must_use]
    pub fn text(self) -> String {
        let mut written = Vec::with_capacity(20);
        self.write(&mut written);
        String::from_utf8(written).unwrap_or_default()
    }

    /// Cost of so many thousandths at `self` per million, rounded up like [`NanoUsd::per_million`].
    ///
    /// ```
    /// use latchkey::units::NanoUsd;
    /// assert_eq!(NanoUsd(100_000_000_000).per_million_thousandths(5_496), NanoUsd(549_600));
    /// ```
    #[must_use]
    pub fn per_million_thousandths(self, thousandths: u64) -> NanoUsd {
        let exact = i128::from(self.0) * i128::from(thousandths);
        NanoUsd(i64::try_from((exact + 999_999_999).div_euclid(1_000_000_000)).unwrap_or(i64::MAX))
    }

    /// Reads a decimal number of US dollars with up to nine decimals, never through a float.
    ///
    /// Exponents are accepted (`2.5e-6`), because price files contain them. `None` if the text is no number, is
    /// finer than a nano-dollar, or does not fit.
    ///
    /// ```
    /// use latchkey::units::NanoUsd;
    /// assert_eq!(NanoUsd::parse_usd("0.0025"), Some(NanoUsd(2_500_000)));
    /// assert_eq!(NanoUsd::parse_usd("3"), Some(NanoUsd(3_000_000_000)));
    /// assert_eq!(NanoUsd::parse_usd("1e-9"), Some(NanoUsd(1)));
    /// assert_eq!(NanoUsd::parse_usd("0.0000000001"), None);
    /// ```
    #[must_use]
    pub fn parse_usd(text: &str) -> Option<NanoUsd> {
        let (amount, remainder) = NanoUsd::read_usd(text)?;
        (!remainder).then_some(amount)
    }

    /// Reads what a provider says it charged, which may be finer than a nano-dollar because a float was printed;
    /// rounded up, like every price line.
    ///
    /// ```
    /// use latchkey::units::NanoUsd;
    /// assert_eq!(NanoUsd::parse_usd_up("0.00010600000000000001"), Some(NanoUsd(106_001)));
    /// assert_eq!(NanoUsd::parse_usd_up("9.19e-05"), Some(NanoUsd(91_900)));
    /// assert_eq!(NanoUsd::parse_usd_up("-0.000001"), None);
    /// ```
    #[must_use]
    pub fn parse_usd_up(text: &str) -> Option<NanoUsd> {
        let (amount, remainder) = NanoUsd::read_usd(text)?;
        (!text.starts_with('-')).then_some(amount + NanoUsd(i64::from(remainder)))
    }

    /// The whole nano-dollars of a decimal number of dollars, and whether something finer is left.
    fn read_usd(text: &str) -> Option<(NanoUsd, bool)> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (sign, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let mut value = 0i128;
        for digit in whole.bytes().chain(fraction.bytes()) {
            value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        // value × 10^(exponent - decimals) dollars = value × 10^shift nano-dollars
        let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(9)?;
        let (scaled, remainder) = if shift >= 0 {
            (value.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)?, false)
        } else {
            let divisor = 10i128.checked_pow(u32::try_from(-shift).ok()?)?;
            (value / divisor, value % divisor != 0)
        };
        Some((NanoUsd(i64::try_from(sign * scaled).ok()?), remainder))
    }

    /// `self + other`, or `None` where it does not fit.
    #[must_use]
    pub fn checked_add(self, other: NanoUsd) -> Option<NanoUsd> {
        self.0.checked_add(other.0).map(NanoUsd)
    }
}

/// US dollars with as many decimals as needed and no more: a valid JSON number.
///
/// ```
/// use latchkey::units::NanoUsd;
/// assert_eq!(NanoUsd(2_500_000).to_string(), "0.0025");
/// assert_eq!(NanoUsd(3_000_000_000).to_string(), "3");
/// assert_eq!(NanoUsd(-1).to_string(), "-0.000000001");
/// ```
impl fmt::Display for NanoUsd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
    }
}

/// In dollars, with as many decimals as it needs.
impl Number for NanoUsd {
    fn write(&self, out: &mut Vec<u8>) {
        if self.0 < 0 {
            out.push(b'-');
        }
        let absolute = self.0.unsigned_abs();
        let (dollars, mut nanos) = (absolute / 1_000_000_000, absolute % 1_000_000_000);
        dollars.write(out);
        if nanos == 0 {
            return;
        }
        let mut fraction = *b".000000000";
        for digit in fraction.iter_mut().skip(1).rev() {
            *digit = b'0' + (nanos % 10) as u8;
            nanos /= 10;
        }
        let used = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        out.extend_from_slice(fraction.get(..used).unwrap_or_default());
    }
}

impl Add for NanoUsd {
    type Output = NanoUsd;
    fn add(self, other: NanoUsd) -> NanoUsd {
        NanoUsd(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: NanoUsd) {
        *self = *self + other;
    }
}

impl Sub for NanoUsd {
    type Output = NanoUsd;
    fn sub(self, other: NanoUsd) -> NanoUsd {
        NanoUsd(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for NanoUsd {
    fn sum<I: Iterator<Item = NanoUsd>>(amounts: I) -> NanoUsd {
        amounts.fold(NanoUsd::ZERO, Add::add)
    }
}

/// On the wire money is a JSON number of US dollars.
impl Serialize for NanoUsd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Through a raw number: a float would turn 0.1 + 0.2 into what nobody was charged.
        json::serialize_span(&self.to_string(), serializer)
    }
}

/// Reads the number's text, so that no amount goes through a float.
impl<'a> FromJson<'a> for NanoUsd {
    fn from_json(reader: &mut Reader<'a>) -> Result<NanoUsd, json::Error> {
        NanoUsd::parse_usd(reader.value()?.get())
            .ok_or_else(|| json::Error::data("expected US dollars as a number with at most 9 decimals"))
    }
}

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl<'a> FromJson<'a> for UnixMillis {
    fn from_json(reader: &mut Reader<'a>) -> Result<UnixMillis, json::Error> {
        i64::from_json(reader).map(UnixMillis)
    }
}

impl UnixMillis {
    /// The first moment in UTC of a day such as `2026-11-30`.
    ///
    /// ```
    /// use latchkey::units::UnixMillis;
    /// assert_eq!(UnixMillis::parse_date("1970-01-02"), Some(UnixMillis(86_400_000)));
    /// assert_eq!(UnixMillis::parse_date("2026-02-29"), None);
    /// ```
    #[must_use]
    pub fn parse_date(text: &str) -> Option<UnixMillis> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next()?;
            let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse::<i64>().ok()).flatten()
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=last).contains(&day) {
            return None;
        }
        Some(UnixMillis(days(year, month, day) * 86_400_000))
    }

    /// Whole seconds since the epoch, as OpenAI's `created` wants them.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero if it is before.
    #[must_use]
    pub fn since(self, earlier: UnixMillis) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment `wait` later.
    #[must_use]
    pub fn plus(self, wait: Millis) -> UnixMillis {
        UnixMillis(self.0.saturating_add(i64::try_from(wait.0).unwrap_or(i64::MAX)))
    }
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl<'a> FromJson<'a> for Millis {
    fn from_json(reader: &mut Reader<'a>) -> Result<Millis, json::Error> {
        u64::from_json(reader).map(Millis)
    }
}

/// Year, month and day of a day counted from 1970-01-01.
pub(crate) fn civil(day: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that a leap day is the last of its year; 146,097 days are 400 years.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The days from 1970-01-01 to a date.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * months + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dollars_survive_the_way_out_and_back() {
        for nanos in [0, 1, -1, 999_999_999, 1_000_000_000, 2_500_000, i64::MAX, i64::MIN + 1] {
            let amount = NanoUsd(nanos);
            assert_eq!(NanoUsd::parse_usd(&amount.to_string()), Some(amount));
            let json = serde_json::to_string(&amount).expect("money is JSON");
            assert_eq!(json::from_str::<NanoUsd>(&json).expect("and back"), amount);
        }
    }

    proptest! {
        #[test]
        fn lines_are_rounded_up_whatever_their_size(rate in 0..1_i64 << 45, tokens in 0..1_u64 << 30, small in any::<bool>()) {
            let (rate, tokens) = if small { (rate >> 8, tokens >> 7) } else { (rate, tokens) };
            let exact = i128::from(rate) * i128::from(tokens);
            let rounded = exact / 1_000_000 + i128::from(exact % 1_000_000 > 0);
            let expected = i64::try_from(rounded).unwrap_or(i64::MAX);
            prop_assert_eq!(NanoUsd(rate).per_million(tokens), NanoUsd(expected));
        }
    }

    #[test]
    fn each_month_has_the_days_of_its_year() {
        let first = |year: i64, month: i64| {
            let first = UnixMillis::parse_date(&format!("{year:04}-{month:02}-01")).expect("a month");
            first.0 / 86_400_000
        };
        for (year, february) in [(1900, 28), (2000, 29), (2024, 29), (2026, 28), (2100, 28)] {
            let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in (1..).zip(lengths) {
                let next = if month == 12 { first(year + 1, 1) } else { first(year, month + 1) };
                assert_eq!(next - first(year, month), length, "{year}-{month}");
                let day = |day: i64| UnixMillis::parse_date(&format!("{year}-{month:02}-{day:02}"));
                assert!(day(length).is_some() && day(length + 1).is_none() && day(0).is_none(), "{year}-{month}");
            }
        }
        assert_eq!(UnixMillis::parse_date("2026-01-01-01"), None);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-", ".", "1.", ".5", "1e", "0x10", "1_000", "NaN", "1e400", "99999999999999999999"] {
            assert_eq!(NanoUsd::parse_usd(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn days_are_counted_both_ways(day in -1_000_000i64..1_000_000) {
            let (year, month, of_month) = civil(day);
            prop_assert_eq!(days(year, month, of_month), day);
        }
    }
}
