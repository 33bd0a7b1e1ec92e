use std::ops::RangeInclusive;

use crate::config::OwnThroughput;
use crate::failure::Failure;
use crate::json::{self, Raw};
use crate::route::alias::LatencyBudget;
use crate::units::Millis;

use super::Incoming;

/// What the headers of one call ask of the gateway itself: `x-latchkey-…`, and those of other gateways that mean the
/// same. Ours count before theirs; tags add up.
///
/// Sources: <https://docs.litellm.ai/docs/proxy/request_headers>, <https://portkey.ai/docs/api-reference/headers>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// The caller's own end user.
    pub(super) user: Option<String>,
    /// What belongs together for the caller.
    pub(super) session: Option<String>,
    /// The caller's labels, as written: `a, b`.
    pub(super) tags: Option<String>,
    /// Whether the answer tells what was tried.
    pub(super) explain: bool,
    /// Whether a stream that dies is continued elsewhere; `None` leaves it to the operator.
    pub(super) continues: Option<bool>,
    /// After how long a second target is asked as well: `Some(None)` is never, `None` leaves it to the operator.
    pub(super) hedge: Option<Option<Millis>>,
    /// How fast a stream has to be.
    pub(super) throughput: OwnThroughput,
    pub(super) connect: Option<Millis>,
    pub(super) first_token: Option<Millis>,
    pub(super) idle: Option<Millis>,
    pub(super) total: Option<Millis>,
    /// How long its answer may take where there is a choice of targets.
    pub(super) latency_budget: LatencyBudget,
}

/// The longest label; longer ones are refused, since a record that holds half a label misleads.
const LONGEST: usize = 256;

impl Wishes {
    /// Reads them in one pass over the headers.
    ///
    /// # Errors
    /// `BadRequest` naming the header that says nothing of its kind.
    pub(super) fn read(incoming: &Incoming) -> Result<Wishes, Failure> {
        let (mut wishes, mut theirs) = (Wishes::default(), Wishes::default());
        for (name, value) in &incoming.headers {
            let value = value.trim();
            let Some(wish) = name.strip_prefix("x-latchkey-") else {
                theirs.note(name, value)?;
                continue;
            };
            match wish {
                "user" => wishes.user = label(name, value)?,
                "session" => wishes.session = label(name, value)?,
                "tags" => wishes.tags = label(name, value)?,
                "explain" => wishes.explain = flag(name, value)?,
                "continue" => wishes.continues = Some(flag(name, value)?),
                "hedge-ms" => wishes.hedge = Some(or_never(name, value)?),
                "min-tokens-per-second" => wishes.throughput.tokens_per_second = Some(speed(name, value)?),
                "min-tokens-within-ms" => wishes.throughput.within = Some(measured(name, value)?),
                "timeout-ms" => wishes.total = Some(wait(name, value)?),
                "connect-timeout-ms" => wishes.connect = Some(wait(name, value)?),
                "first-token-timeout-ms" => {
                    wishes.first_token = Some(wait(name, value)?);
                }
                "latency-budget-ms" => {
                    wishes.latency_budget.first_token = Some(wait(name, value)?);
                }
                "total-latency-budget-ms" => {
                    wishes.latency_budget.total = Some(wait(name, value)?);
                }
                "idle-timeout-ms" => wishes.idle = Some(wait(name, value)?),
                _ => {}
            }
        }
        wishes.complete_with(theirs);
        Ok(wishes)
    }

    /// Notes a header of another gateway's callers.
    fn note(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "x-litellm-end-user-id" | "x-litellm-customer-id" => self.user = label(name, value)?,
            "x-litellm-session-id" | "x-session-id" => self.session = label(name, value)?,
            "x-litellm-tags" => self.tags = label(name, value)?,
            "x-litellm-timeout" => self.total = Some(seconds(name, value)?),
            "x-litellm-stream-timeout" => self.first_token = Some(seconds(name, value)?),
            "x-portkey-request-timeout" => self.total = Some(wait(name, value)?),
            "x-portkey-metadata" => {
                let user = Raw::parse(value)
                    .ok()
                    .and_then(|raw| raw.member("_user")?.text().map(|text| text.decode().into_owned()));
                if let Some(user) = user {
                    self.user = label(name, &user)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn complete_with(&mut self, theirs: Wishes) {
        self.user = self.user.take().or(theirs.user);
        self.session = self.session.take().or(theirs.session);
        self.first_token = self.first_token.or(theirs.first_token);
        self.total = self.total.or(theirs.total);
        self.tags = match (self.tags.take(), theirs.tags) {
            (Some(ours), Some(theirs)) => Some(format!("{ours}, {theirs}")),
            (ours, theirs) => ours.or(theirs),
        };
    }

    /// Whether the caller set a deadline or a speed: what misses it says nothing of an upstream's health.
    pub(super) fn sets_deadlines(&self) -> bool {
        self.connect.or(self.first_token).or(self.idle).or(self.total).or(self.throughput.within).is_some()
            || self.throughput.tokens_per_second.is_some()
    }
}

fn label(name: &str, value: &str) -> Result<Option<String>, Failure> {
    if value.len() > LONGEST || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        let message = format!("`{name}` must have at most {LONGEST} printable ASCII characters.");
        return Err(Failure::bad_request(name.to_owned(), message));
    }
    Ok(Some(value).filter(|value| !value.is_empty()).map(str::to_owned))
}

fn flag(name: &str, value: &str) -> Result<bool, Failure> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Failure::bad_request(name.to_owned(), format!("`{name}` must be `true` or `false`."))),
    }
}

fn or_never(name: &str, value: &str) -> Result<Option<Millis>, Failure> {
    if value == "0" { Ok(None) } else { wait(name, value).map(Some) }
}

fn wait(name: &str, value: &str) -> Result<Millis, Failure> {
    match value.parse::<u64>() {
        Ok(wait) if wait > 0 => Ok(Millis(wait)),
        _ => Err(Failure::bad_request(
            name.to_owned(),
            format!("`{name}` must be a whole number of milliseconds above 0."),
        )),
    }
}

/// Tokens per second; 0 lets all streams be.
fn speed(name: &str, value: &str) -> Result<u64, Failure> {
    let speed = value.parse().ok().filter(|speed| OwnThroughput::SPEEDS.contains(speed));
    speed.ok_or_else(|| outside(name, &OwnThroughput::SPEEDS))
}

fn measured(name: &str, value: &str) -> Result<Millis, Failure> {
    let within = value.parse().ok().filter(|within| OwnThroughput::WITHIN.contains(within)).map(Millis);
    within.ok_or_else(|| outside(name, &OwnThroughput::WITHIN))
}

fn outside(name: &str, range: &RangeInclusive<u64>) -> Failure {
    let (least, most) = (range.start(), range.end());
    Failure::bad_request(name.to_owned(), format!("`{name}` must be a whole number from {least} to {most}."))
}

/// Seconds, with decimals.
fn seconds(name: &str, value: &str) -> Result<Millis, Failure> {
    match json::read_float(value) {
        Some(seconds) if seconds > 0.0 && seconds < 1e6 => Ok(Millis(((seconds * 1_000.0) as u64).max(1))),
        _ => Err(Failure::bad_request(name.to_owned(), format!("`{name}` must be a number of seconds above 0."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<Wishes, Failure> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Wishes::read(&Incoming { headers, ..Incoming::default() })
    }

    #[test]
    fn each_header_says_what_it_says() {
        let wishes = read(&[
            ("x-latchkey-user", " ada "),
            ("x-latchkey-tags", "a, b"),
            ("x-latchkey-session", ""),
            ("x-latchkey-explain", "true"),
            ("x-latchkey-hedge-ms", "0"),
            ("x-latchkey-idle-timeout-ms", "300"),
            ("x-latchkey-min-tokens-per-second", "0"),
            ("x-latchkey-min-tokens-within-ms", "500"),
            ("x-latchkey-from-next-year", "?"),
            ("accept", "*/*"),
        ])
        .expect("good headers");
        assert_eq!(wishes.user.as_deref(), Some("ada"));
        assert_eq!((wishes.tags.as_deref(), wishes.session), (Some("a, b"), None));
        assert_eq!((wishes.explain, wishes.continues, wishes.hedge), (true, None, Some(None)));
        assert_eq!((wishes.idle, wishes.total), (Some(Millis(300)), None));
        let throughput = OwnThroughput { tokens_per_second: Some(0), within: Some(Millis(500)) };
        assert_eq!(wishes.throughput, throughput);
    }

    #[test]
    fn headers_of_other_gateways_mean_the_same() {
        let theirs = read(&[
            ("x-litellm-end-user-id", "ada"),
            ("x-litellm-session-id", "s1"),
            ("x-litellm-tags", "a,b"),
            ("x-litellm-timeout", "2.5"),
            ("x-litellm-stream-timeout", "1"),
            ("x-litellm-num-retries", "many"),
        ])
        .expect("good headers");
        assert_eq!((theirs.user.as_deref(), theirs.session.as_deref()), (Some("ada"), Some("s1")));
        assert_eq!((theirs.total, theirs.first_token), (Some(Millis(2_500)), Some(Millis(1_000))));
        assert_eq!(theirs.tags.as_deref(), Some("a,b"));
        let portkey = read(&[
            ("x-portkey-metadata", r#"{"_user": "eve", "team": "a"}"#),
            ("x-portkey-request-timeout", "900"),
            ("x-session-id", "s2"),
        ])
        .expect("good headers");
        assert_eq!((portkey.user.as_deref(), portkey.total), (Some("eve"), Some(Millis(900))));
        assert_eq!(portkey.session.as_deref(), Some("s2"));
        assert_eq!(read(&[("x-litellm-customer-id", "ida")]).expect("good").user.as_deref(), Some("ida"));
    }

    #[test]
    fn ours_count_before_theirs_and_tags_add_up() {
        let both = read(&[
            ("x-latchkey-user", "ours"),
            ("x-litellm-end-user-id", "theirs"),
            ("x-latchkey-timeout-ms", "10"),
            ("x-portkey-request-timeout", "900"),
            ("x-litellm-tags", "b"),
            ("x-latchkey-tags", "a"),
        ])
        .expect("good headers");
        assert_eq!(
            (both.user.as_deref(), both.total, both.tags.as_deref()),
            (Some("ours"), Some(Millis(10)), Some("a, b"))
        );
    }

    #[test]
    fn what_says_nothing_is_named() {
        let long = "x".repeat(300);
        for (name, value) in [
            ("x-latchkey-user", long.as_str()),
            ("x-latchkey-tags", "a\u{7}"),
            ("x-latchkey-explain", "perhaps"),
            ("x-latchkey-timeout-ms", "0"),
            ("x-latchkey-total-latency-budget-ms", "soon"),
            ("x-latchkey-connect-timeout-ms", "1.5"),
            ("x-latchkey-hedge-ms", "-1"),
            ("x-latchkey-min-tokens-per-second", "fast"),
            ("x-latchkey-min-tokens-per-second", "10001"),
            ("x-latchkey-min-tokens-within-ms", "99"),
            ("x-litellm-timeout", "soon"),
            ("x-litellm-stream-timeout", "0"),
            ("x-portkey-request-timeout", "1.5"),
        ] {
            assert_eq!(read(&[(name, value)]).expect_err(name).param.as_deref(), Some(name));
        }
    }
}
