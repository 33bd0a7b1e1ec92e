//! What a caller is told of budgets and limits.

use crate::budget::{Figure, Refused, Rule};
use crate::failure::{Detail, Failure, Kind};
use crate::json::{Number, Object};
use crate::limit::{Limit, Unit};
use crate::units::{Millis, NanoUsd, UnixMillis};

/// Headers, by lower-case name.
pub(super) type Headers = Vec<(&'static str, String)>;

/// The refusal of a call that does not fit a budget (402) or a limit (429) with the `most` that it can take, and the
/// headers that go with it.
pub(super) fn refusal(refused: &Refused, most: i64, now: UnixMillis) -> (Failure, Headers) {
    let standing = &refused.standing;
    let figure = Figure {
        rule: &refused.rule,
        left: standing.limit.saturating_sub(standing.spent).saturating_sub(standing.leased).max(0),
        resets_at: standing.resets_at,
    };
    let mut headers = headers([figure], now);
    let failure = match &refused.rule {
        Rule::Budget(budget) => over_budget(refused, &budget.id, NanoUsd(standing.limit), NanoUsd(most)),
        Rule::Limit(limit) => {
            headers.extend(rate(limit, &figure, now));
            over_limit(refused, limit, now)
        }
    };
    (failure, headers)
}

/// How the budgets and limits of a call stand: what the tightest budget has left, and requests and tokens in OpenAI's form.
/// Every call of such a key pays for each of these headers, so it gets no second form of the same.
///
/// Source: <https://platform.openai.com/docs/guides/rate-limits>.
pub(super) fn headers<'a>(figures: impl IntoIterator<Item = Figure<'a>>, now: UnixMillis) -> Headers {
    let (mut budget, mut requests, mut tokens) = (None, None, None);
    for figure in figures {
        match figure.rule {
            Rule::Budget(_) => budget = Some(budget.map_or(figure.left, |left: i64| left.min(figure.left))),
            Rule::Limit(Limit { unit: Unit::Parallel, .. }) => {}
            Rule::Limit(limit) => {
                let tightest = if limit.unit == Unit::Requests { &mut requests } else { &mut tokens };
                // Of several there is place for one: that of which the least part is left.
                let part = |left: i64, max: u64| i128::from(left) * i128::from(max);
                if tightest.as_ref().is_none_or(|(max, other): &(u64, Figure<'_>)| {
                    part(figure.left, *max) < part(other.left, limit.max)
                }) {
                    *tightest = Some((limit.max, figure));
                }
            }
        }
    }
    let mut headers = Headers::with_capacity(4);
    if let Some(left) = budget {
        headers.push(("x-latchkey-budget-remaining", NanoUsd(left).text()));
    }
    for (names, tightest) in [(REQUESTS, requests), (TOKENS, tokens)] {
        let Some((max, figure)) = tightest else { continue };
        let [limit, remaining, reset] = names;
        headers.push((limit, max.to_string()));
        headers.push((remaining, figure.left.to_string()));
        headers.push((reset, duration(wait(&figure, now))));
    }
    headers
}

/// The limit that a call did not fit, in the form of the IETF; nothing where it is no rate.
///
/// Source: draft-ietf-httpapi-ratelimit-headers-10.
fn rate(limit: &Limit, figure: &Figure<'_>, now: UnixMillis) -> Headers {
    let (unit, seconds) = (limit.unit.as_str(), wait(figure, now).0.div_ceil(1000));
    let Some(per) = limit.per.filter(|_| limit.unit != Unit::Parallel) else { return Headers::new() };
    let policy = format!("\"{unit}\";q={};w={}", limit.max, per.length().0 / 1000);
    vec![("ratelimit-policy", policy), ("ratelimit", format!("\"{unit}\";r={};t={seconds}", figure.left))]
}

const REQUESTS: [&str; 3] =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const TOKENS: [&str; 3] = ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

fn over_budget(refused: &Refused, id: &str, limit: NanoUsd, most: NanoUsd) -> Failure {
    let standing = &refused.standing;
    let left = NanoUsd(standing.limit.saturating_sub(standing.spent).max(0));
    let scope = refused.rule.scope().kind.as_str();
    let held = NanoUsd(standing.leased);
    let message = format!(
        "The {scope} budget `{id}` has ${left} of ${limit} left, ${held} of it held by other calls; this call could cost \
         up to ${most}."
    );
    let mut json = Vec::new();
    let mut object = Object::open(&mut json);
    object.string("id", id);
    scope_of(&mut object, refused);
    object.number("limit", limit).number("remaining", left).number("held", held);
    moment(&mut object, "reset_at", standing.resets_at);
    object.close();
    let mut failure = Failure::new(Kind::OverBudget, message).code("budget_exceeded");
    failure.detail = detail("budget", json);
    failure
}

fn over_limit(refused: &Refused, limit: &Limit, now: UnixMillis) -> Failure {
    let (unit, scope) = (limit.unit.as_str(), limit.scope.kind.as_str());
    let per = limit.per.map_or(String::new(), |per| format!(" per {}", per.as_str()));
    let never = limit.unit != Unit::Parallel && refused.fits_at.is_none();
    let what = format!("{scope} limit `{}` of {} {unit}{per}", limit.id, limit.max);
    let message = if never {
        format!("This call alone may take more than the {what} allows. Ask for less, or shorten the prompt.")
    } else {
        format!("The {what} is reached.")
    };
    // Slots are free when calls end, which nobody knows; a moment is as good as any.
    let fits_at = refused.fits_at.unwrap_or(now.plus(Millis(1_000)));
    let mut json = Vec::new();
    let mut object = Object::open(&mut json);
    object.string("id", &limit.id).string("unit", unit);
    scope_of(&mut object, refused);
    object.number("max", limit.max);
    moment(&mut object, "reset_at", (!never).then_some(fits_at));
    object.close();
    let mut failure = Failure::new(Kind::RateLimited, message).code("rate_limit_exceeded");
    failure.side = crate::failure::Side::Caller;
    failure.detail = detail("limit", json);
    failure.retry_after = (!never).then(|| fits_at.since(now));
    failure
}

fn scope_of(object: &mut Object<'_>, refused: &Refused) {
    let scope = refused.rule.scope();
    object.object("scope", |told| {
        told.string("type", scope.kind.as_str());
        match &refused.subject {
            Some(subject) => told.string("id", subject),
            None => told.string("id", &scope.id),
        };
    });
}

fn moment(object: &mut Object<'_>, name: &str, at: Option<UnixMillis>) {
    match at {
        Some(at) => object.number(name, at.0),
        None => object.null(name),
    };
}

fn detail(name: &'static str, json: Vec<u8>) -> Option<Box<Detail>> {
    Some(Box::new(Detail { name, json: String::from_utf8(json).ok()? }))
}

fn wait(figure: &Figure<'_>, now: UnixMillis) -> Millis {
    figure.resets_at.map_or(Millis(0), |at| at.since(now))
}

/// As OpenAI writes it: `20ms`, `1.5s`, `6m0s`.
fn duration(Millis(wait): Millis) -> String {
    // Every call under a limit tells one: no formatting.
    let mut told = Vec::with_capacity(8);
    let (whole, unit): (u64, &[u8]) = match wait {
        0..1_000 => (wait, b"ms"),
        1_000..60_000 => (wait / 1_000, b"s"),
        _ => (wait / 60_000, b"m"),
    };
    whole.write(&mut told);
    if unit == b"s" && wait % 1_000 > 0 {
        told.push(b'.');
        (wait % 1_000 / 100).write(&mut told);
    }
    told.extend_from_slice(unit);
    if unit == b"m" {
        (wait % 60_000 / 1_000).write(&mut told);
        told.push(b's');
    }
    String::from_utf8(told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, PotStanding, Scope, ScopeKind};
    use crate::limit::Per;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn limit() -> Limit {
        let scope = Scope { kind: ScopeKind::User, id: "*".into() };
        Limit { id: "l".into(), scope, unit: Unit::Requests, per: Some(Per::Minute), max: 60, ..Limit::default() }
    }

    #[test]
    fn a_refusal_says_which_limit_and_until_when() {
        let refused = Refused {
            rule: Rule::Limit(limit()),
            subject: Some("ada".into()),
            standing: PotStanding {
                limit: 60,
                spent: 60,
                resets_at: Some(NOW.plus(Millis(60_000))),
                ..PotStanding::default()
            },
            fits_at: Some(NOW.plus(Millis(1_200))),
            may_return: false,
        };
        let (failure, headers) = refusal(&refused, 1, NOW);
        let detail = failure.detail.as_ref().expect("a detail");
        assert_eq!(detail.name, "limit");
        let expected =
            r#"{"id":"l","unit":"requests","scope":{"type":"user","id":"ada"},"max":60,"reset_at":1790000001200}"#;
        assert_eq!(detail.json, expected);
        assert_eq!(failure.retry_after, Some(Millis(1_200)));
        let expected = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1m0s"),
            ("ratelimit-policy", "\"requests\";q=60;w=60"),
            ("ratelimit", "\"requests\";r=0;t=60"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn the_tightest_budget_is_told() {
        let rules = [1, 2].map(|id| Rule::Budget(Budget { id: id.to_string(), ..Budget::default() }));
        let figures = rules.iter().zip([70_000_000, 5]).map(|(rule, left)| Figure { rule, left, resets_at: None });
        assert_eq!(headers(figures, NOW), [("x-latchkey-budget-remaining", "0.000000005".to_owned())]);
    }

    #[test]
    fn of_limits_of_a_kind_the_one_is_told_of_which_least_is_left() {
        let limits = [
            (Unit::InputTokens, 100, 50),
            (Unit::Tokens, 1_000, 400),
            (Unit::Requests, 60, 59),
            (Unit::Parallel, 2, 0),
        ];
        let rules = limits.map(|(unit, max, _)| Rule::Limit(Limit { unit, max, ..limit() }));
        let left = limits.map(|(_, _, left)| left);
        let figures = rules.iter().zip(left).map(|(rule, left)| Figure { rule, left, resets_at: None });
        let told: Vec<String> = headers(figures, NOW).into_iter().map(|(_, value)| value).collect();
        assert_eq!(told, ["60", "59", "0ms", "1000", "400", "0ms"]);
    }

    #[test]
    fn waits_are_written_as_openai_does() {
        let told = [20, 1_000, 1_540, 360_000, 61_900].map(|wait| duration(Millis(wait)));
        assert_eq!(told, ["20ms", "1s", "1.5s", "6m0s", "1m1s"]);
    }
}
