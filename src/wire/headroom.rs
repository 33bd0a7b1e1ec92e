//! What a provider's rate limits leave, in the spellings that vendors use.
//!
//! The limit's name stands after `…ratelimit-`, with the aspect before it (`x-ratelimit-remaining-tokens`,
//! mistral.completions.b4862780b5) or after it (`…-ratelimit-tokens-remaining`, anthropic.tools.66dafe7f70), or there is
//! no name at all (together.chat.93d85baacf).

use super::retry_after::{duration, moment};
use crate::breaker::Headroom;
use crate::json;
use crate::units::{Millis, UnixMillis};

/// Limits of one answer that are looked at; the most seen is five.
const MOST_LIMITS: usize = 12;
/// News of a limit are of use for so long, and so long a target is spared at most: only another answer tells more.
const FRESH: Millis = Millis(60_000);

#[derive(Clone, Copy, Debug, Default)]
struct Limit<'h> {
    name: &'h str,
    most: Option<f64>,
    left: Option<f64>,
    reset: Option<&'h str>,
}

#[derive(Clone, Copy)]
enum Aspect {
    Most,
    Left,
    Reset,
}

/// The limit of which the least is left; `None` where the headers (lower-case names) tell of none.
#[must_use]
pub fn headroom(headers: &[(&str, &str)], now: UnixMillis) -> Option<Headroom> {
    let mut limits = [Limit::default(); MOST_LIMITS];
    let mut count = 0;
    for (header, value) in headers {
        let Some((name, aspect)) = limit_in(header) else { continue };
        let known = limits.iter().take(count).position(|limit| limit.name == name);
        let Some(limit) = limits.get_mut(known.unwrap_or(count)) else { continue };
        if known.is_none() {
            (limit.name, count) = (name, count + 1);
        }
        match aspect {
            Aspect::Most => limit.most = number(value),
            Aspect::Left => limit.left = number(value),
            Aspect::Reset => limit.reset = Some(value),
        }
    }
    let told = limits.iter().take(count).filter_map(|limit| limit.headroom(now));
    told.min_by_key(|headroom| (headroom.left, std::cmp::Reverse(headroom.until)))
}

impl Limit<'_> {
    fn headroom(&self, now: UnixMillis) -> Option<Headroom> {
        let share = match (self.left?, self.most) {
            (left, _) if left <= 0.0 => 0.0,
            (left, Some(most)) if most > 0.0 => (left / most * 1000.0).min(1000.0),
            // How much that is nobody knows, but it is not nothing.
            _ => return None,
        };
        let until = self.reset.and_then(|reset| moment(reset, now)).or_else(|| {
            let wait = duration(self.reset?)?;
            Some(now.plus(wait))
        });
        let latest = now.plus(FRESH);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 1000")]
        Some(Headroom { left: share as u16, until: until.map_or(latest, |until| until.min(latest)) })
    }
}

/// The name of the limit that a header is about (empty where it has none), and what the header says of it.
fn limit_in(header: &str) -> Option<(&str, Aspect)> {
    // Most headers of an answer are none of these.
    if !matches!(header.as_bytes().first(), Some(b'x' | b'a' | b'r')) {
        return None;
    }
    let (_, rest) = header.split_once("ratelimit-")?;
    [("limit", Aspect::Most), ("remaining", Aspect::Left), ("reset", Aspect::Reset)].into_iter().find_map(
        |(word, aspect)| {
            let name = if rest == word { Some("") } else { None };
            let before = || rest.strip_prefix(word).and_then(|rest| rest.strip_prefix('-'));
            let after = || rest.strip_suffix(word).and_then(|rest| rest.strip_suffix('-'));
            name.or_else(before).or_else(after).map(|name| (name, aspect))
        },
    )
}

fn number(value: &str) -> Option<f64> {
    json::read_float(value.trim()).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-20T21:45:00Z
    const NOW: UnixMillis = UnixMillis(1_768_945_500_000);

    fn read(headers: &[(&str, &str)]) -> Option<(u16, i64)> {
        headroom(headers, NOW).map(|headroom| (headroom.left, headroom.until.0 - NOW.0))
    }

    #[test]
    fn every_spelling() {
        assert_eq!(read(&[("content-type", "application/json"), ("retry-after", "2")]), None);
        // openai.structured-stream.062d2675bc
        let openai = [
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-remaining-tokens", "20000"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-reset-tokens", "5.09s"),
        ];
        assert_eq!(read(&openai), Some((10, 5_090)));
        // anthropic.tools-stream.6ba013e961
        let anthropic = [
            ("anthropic-ratelimit-input-tokens-limit", "2000000"),
            ("anthropic-ratelimit-input-tokens-remaining", "1000000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-01-20T21:45:22Z"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-01-20T21:45:22Z"),
        ];
        assert_eq!(read(&anthropic), Some((500, 22_000)));
        // cerebras.tools.89ca629d3e: seconds with decimals, and a day is longer than such news are good for.
        let cerebras = [
            ("x-ratelimit-limit-requests-day", "1440000"),
            ("x-ratelimit-remaining-requests-day", "14400"),
            ("x-ratelimit-reset-requests-day", "24477.360426187515"),
        ];
        assert_eq!(read(&cerebras), Some((10, 60_000)));
        // mistral.tools-stream.1e27a706ee, xai.images.d00189d7d9: no reset.
        let mistral = [("x-ratelimit-limit-req-minute", "360"), ("x-ratelimit-remaining-req-minute", "0")];
        assert_eq!(read(&mistral), Some((0, 60_000)));
        // together.chat.93d85baacf, huggingface.vision-stream.59874161e4: no name.
        let together = [("x-ratelimit-limit", "2"), ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "2")];
        assert_eq!(read(&together), Some((500, 2_000)));
        let nameless = [("ratelimit-limit", "400"), ("ratelimit-remaining", "399"), ("ratelimit-reset", "19")];
        assert_eq!(read(&nameless), Some((997, 19_000)));
        // openrouter.error.65a778b3d4: milliseconds since the epoch.
        let openrouter =
            [("x-ratelimit-limit", "1"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768945530000")];
        assert_eq!(read(&openrouter), Some((0, 30_000)));
        // replicate.models.c745b1bec6: without the limit, what is left says nothing.
        assert_eq!(read(&[("ratelimit-remaining", "2999"), ("ratelimit-reset", "1")]), None);
        assert_eq!(read(&[("x-ratelimit-remaining-requests", "many")]), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_left(
            headers in prop::collection::vec(("(x-|a-)?ratelimit-(limit|remaining|reset)?-?[a-c]?", "[-0-9a-zTZ:.]{0,24}"), 0..30),
        ) {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            if let Some(headroom) = headroom(&headers, NOW) {
                prop_assert!(headroom.left <= 1000 && headroom.until <= NOW.plus(FRESH));
            }
        }
    }
}
