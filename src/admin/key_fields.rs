//! The fields of a key that take more than a word to read.

use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::Context;
use super::body::Faults;
use crate::config::{OwnDeadlines, OwnThroughput};
use crate::keys::{
    ENDPOINTS, Factor, Markup, MaxPrice, Network, Pattern, Sharing, StoreResponses, UnknownPrice, is_endpoint_pattern,
};
use crate::units::{Millis, NanoUsd, UnixMillis};

/// A million: what is more is a slip of units, and sums of it still fit the database's numbers.
pub(super) const MOST_DOLLARS: NanoUsd = NanoUsd(1_000_000 * NanoUsd::DOLLAR.0);
const LONGEST_PATTERN: usize = 200;
const MOST_PATTERNS: usize = 100;
/// The end of the year 2286: what is later is a slip of units.
const LATEST: i64 = 9_999_999_999_999;
/// An hour: the longest deadline, in milliseconds.
const MOST_WAIT: i64 = 3_600_000;
/// A year: the longest that answers are kept.
const MOST_DAYS: i64 = 366;
/// A hundred times the cost: what is more is a percentage mistaken for a factor.
const HIGHEST_FACTOR: Factor = Factor(100_000_000_000);

pub(super) fn environment(path: &str, value: &RawValue, faults: &mut Faults) -> Option<String> {
    let text = faults.text(path, value, 1..=32)?;
    if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_') {
        return Some(text);
    }
    faults.add(path, "must consist of a-z, 0-9, - and _");
    None
}

pub(super) fn expiry(path: &str, value: &RawValue, now: UnixMillis, faults: &mut Faults) -> Option<UnixMillis> {
    let end = faults.integer(path, value, 0..=LATEST)?;
    if end > now.0 {
        return Some(UnixMillis(end));
    }
    faults.add(path, "must be in the future, in milliseconds since 1970");
    None
}

/// A provider's name is that of no model: what was meant to deny all of its models would deny none.
pub(super) fn models(path: &str, value: &RawValue, context: &Context<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS, |faults, path, value| {
        let text = pattern(faults, path, value)?;
        if context.providers.iter().any(|provider| provider.id.eq_ignore_ascii_case(&text)) {
            faults.add(path, format!("is a provider; write `{text}/*` for all of its models"));
        }
        Some(text)
    })
}

fn pattern(faults: &mut Faults, path: &str, value: &RawValue) -> Option<String> {
    let text = faults.text(path, value, 1..=LONGEST_PATTERN)?;
    if text.chars().any(char::is_whitespace) {
        faults.add(path, "must not contain spaces");
        return None;
    }
    Some(text)
}

/// A pattern that means no provider is a slip, and one that would leave the door open where it was meant to deny.
pub(super) fn providers(
    path: &str,
    value: &RawValue,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS, |faults, path, value| {
        let text = pattern(faults, path, value)?;
        let meant = Pattern::new(&text);
        if context.providers.iter().any(|provider| meant.matches(&provider.id)) {
            return Some(text);
        }
        let known: Vec<&str> = context.providers.iter().map(|provider| provider.id.as_str()).collect();
        faults.add(path, format!("means no provider; known are {}", known.join(", ")));
        None
    })
}

pub(super) fn endpoints(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS, |faults, path, value| {
        let text = pattern(faults, path, value)?;
        let text = text.trim_start_matches('/').trim_start_matches("v1/");
        if is_endpoint_pattern(text) {
            return Some(text.to_owned());
        }
        faults.add(path, format!("means no endpoint; known are {}", ENDPOINTS.join(", ")));
        None
    })
}

pub(super) fn networks(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS, |faults, path, value| {
        let text = faults.text(path, value, 1..=LONGEST_PATTERN)?;
        match Network::parse(&text) {
            Ok(_) => Some(text),
            Err(fault) => {
                faults.add(path, fault);
                None
            }
        }
    })
}

/// Two letters each, as ISO 3166-1 has them; `T1` is the Tor network, as Cloudflare calls it.
pub(super) fn countries(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Vec<String>> {
    faults.texts(path, value, MOST_PATTERNS * 3, |faults, path, value| {
        let text = faults.text(path, value, 2..=2)?.to_ascii_uppercase();
        if text == "T1" || text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(text);
        }
        faults.add(path, "must be the two letters of a country, such as DE");
        None
    })
}

pub(super) fn max_price(path: &str, value: &RawValue, faults: &mut Faults) -> Option<MaxPrice> {
    let mut price = MaxPrice::default();
    for (name, value) in faults.object(path, value)? {
        let path = format!("{path}.{name}");
        let mut amount = || value.and_then(|value| faults.money(&path, value, NanoUsd::ZERO..=MOST_DOLLARS));
        match name.as_str() {
            "input" => price.input = amount(),
            "output" => price.output = amount(),
            _ => faults.add(path, "is no field of a price; there are input and output"),
        }
    }
    Some(price)
}

pub(super) fn deadlines(path: &str, value: &RawValue, faults: &mut Faults) -> Option<OwnDeadlines> {
    let mut deadlines = OwnDeadlines::default();
    for (name, value) in faults.object(path, value)? {
        let path = format!("{path}.{name}");
        let field = match name.as_str() {
            "connect_ms" => &mut deadlines.connect,
            "first_token_ms" => &mut deadlines.first_token,
            "idle_ms" => &mut deadlines.idle,
            "total_ms" => &mut deadlines.total,
            _ => {
                faults.add(path, "is no deadline; there are connect_ms, first_token_ms, idle_ms and total_ms");
                continue;
            }
        };
        let wait = value.and_then(|value| faults.integer(&path, value, 1..=MOST_WAIT));
        *field = wait.and_then(|wait| u64::try_from(wait).ok()).map(Millis);
    }
    Some(deadlines)
}

pub(super) fn throughput(path: &str, value: &RawValue, faults: &mut Faults) -> Option<OwnThroughput> {
    let mut throughput = OwnThroughput::default();
    for (name, value) in faults.object(path, value)? {
        let path = format!("{path}.{name}");
        let mut number = |range: RangeInclusive<u64>| {
            let range = range.start().cast_signed()..=range.end().cast_signed();
            let number = value.and_then(|value| faults.integer(&path, value, range));
            number.and_then(|number| u64::try_from(number).ok())
        };
        match name.as_str() {
            "tokens_per_second" => throughput.tokens_per_second = number(OwnThroughput::SPEEDS),
            "within_ms" => throughput.within = number(OwnThroughput::WITHIN).map(Millis),
            _ => faults.add(path, "is no field of it; there are tokens_per_second and within_ms"),
        }
    }
    Some(throughput)
}

pub(super) fn unknown_price(path: &str, value: &RawValue, faults: &mut Faults) -> Option<UnknownPrice> {
    let read: UnknownPrice = faults.typed(path, value, "\"refuse\" or {\"hold\": US dollars}")?;
    if let UnknownPrice::Hold(amount) = read
        && !(NanoUsd(1)..=MOST_DOLLARS).contains(&amount)
    {
        faults.add(format!("{path}.hold"), format!("must be above 0 and at most {MOST_DOLLARS} US dollars"));
    }
    Some(read)
}

/// For how long, which must be said, and for whom.
pub(super) fn store_responses(path: &str, value: &RawValue, faults: &mut Faults) -> Option<StoreResponses> {
    let (mut days, mut shared_by, mut is_there) = (None, Sharing::Key, false);
    for (name, value) in faults.object(path, value)? {
        let path = format!("{path}.{name}");
        match (name.as_str(), value) {
            ("days", Some(value)) => {
                is_there = true;
                days = faults.integer(&path, value, 1..=MOST_DAYS).and_then(|days| u16::try_from(days).ok());
            }
            ("shared_by", Some(value)) => {
                shared_by = faults.typed(&path, value, "\"key\" or \"team\"").unwrap_or_default();
            }
            ("days" | "shared_by", None) => {}
            _ => faults.add(path, "is no field of it; there are days and shared_by"),
        }
    }
    if !is_there {
        faults.add(format!("{path}.days"), format!("is needed: 1 to {MOST_DAYS}"));
    }
    days.map(|days| StoreResponses { days, shared_by })
}

pub(super) fn markup(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Markup> {
    let mut markup = Markup::default();
    for (name, value) in faults.object(path, value)? {
        let path = format!("{path}.{name}");
        match (name.as_str(), value) {
            ("factor" | "fixed", None) => {}
            ("factor", Some(value)) => markup.factor = factor(&path, value, faults).unwrap_or_default(),
            ("fixed", Some(value)) => {
                markup.fixed = faults.money(&path, value, NanoUsd::ZERO..=MOST_DOLLARS).unwrap_or_default();
            }
            _ => faults.add(path, "is no field of a mark-up; there are factor and fixed"),
        }
    }
    Some(markup)
}

fn factor(path: &str, value: &RawValue, faults: &mut Faults) -> Option<Factor> {
    let factor: Factor = faults.typed(path, value, "a number with at most 9 decimals, such as 1.15")?;
    if (Factor(0)..=HIGHEST_FACTOR).contains(&factor) {
        return Some(factor);
    }
    faults.add(path, "must be 0 to 100; 1.15 adds 15 percent");
    None
}
