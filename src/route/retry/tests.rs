use proptest::prelude::*;

use super::*;
use crate::wire::error::{from_status, waiting};

const NOTHING: Left = Left { credential: false, same_model: false, other_model: false };
const KEY: Left = Left { credential: true, ..NOTHING };
const HOST: Left = Left { same_model: true, ..NOTHING };
const MODEL: Left = Left { other_model: true, ..NOTHING };
const ALL: Left = Left { credential: true, same_model: true, other_model: true };

fn first() -> Spent {
    Spent { attempts: 1, of_target: 1, time_left: Millis(60_000) }
}

fn decide(failure: &Failure, left: Left, spent: Spent) -> Next {
    next(failure, left, spent, &RetryPolicy::default(), &mut RetryBudget::default(), 7)
}

fn status(status: u16, code: Option<&str>) -> Failure {
    from_status(status, "no".to_owned(), code.map(str::to_owned))
}

#[test]
fn each_failure_has_its_way_on() {
    let again = Next::Again(Millis(7));
    let cases = [
        (status(400, None), ALL, Next::Stop),
        (status(413, None), ALL, Next::Stop),
        (status(422, None), ALL, Next::Stop),
        (status(400, Some("context_length_exceeded")), ALL, Next::Stop),
        (status(400, Some("content_filter")), ALL, Next::Stop),
        (status(401, None), KEY, Next::Credential),
        (status(401, None), ALL, Next::Credential),
        (status(401, None), MODEL, Next::Target),
        (status(401, None), NOTHING, Next::Stop),
        (status(402, None), KEY, Next::Credential),
        (status(403, None), KEY, Next::Credential),
        (status(404, None), KEY, Next::Stop),
        (status(404, None), MODEL, Next::Target),
        (status(429, None), KEY, Next::Credential),
        (status(429, None), HOST, Next::Target),
        (status(429, None), NOTHING, again),
        (status(429, None), MODEL, again),
        (status(429, Some("insufficient_quota")), KEY, Next::Credential),
        (status(429, Some("insufficient_quota")), NOTHING, Next::Stop),
        (status(500, None), KEY, again),
        (status(500, None), HOST, Next::Target),
        (status(503, None), MODEL, again),
        (status(529, Some("overloaded_error")), ALL, Next::Target),
        (Failure::truncated("no end"), MODEL, Next::Target),
        (Failure::truncated("no end"), NOTHING, Next::Stop),
        (Failure::new(Kind::Timeout, "late"), HOST, Next::Target),
    ];
    for (failure, left, expected) in cases {
        assert_eq!(decide(&failure, left, first()), expected, "{failure:?} with {left:?}");
    }
}

#[test]
fn what_was_allowed_goes_to_another_model() {
    let policy = RetryPolicy { context_length: true, content_policy: true, ..RetryPolicy::default() };
    for code in ["context_length_exceeded", "content_filter"] {
        let decided = next(&status(400, Some(code)), MODEL, first(), &policy, &mut RetryBudget::default(), 0);
        assert_eq!(decided, Next::Target, "{code}");
    }
}

#[test]
fn patience_and_attempts_end() {
    let spent = |attempts, of_target, time_left| Spent { attempts, of_target, time_left: Millis(time_left) };
    let failing = status(500, None);
    assert_eq!(decide(&failing, MODEL, spent(3, 3, 60_000)), Next::Target, "asked three times");
    assert_eq!(decide(&failing, NOTHING, spent(3, 3, 60_000)), Next::Stop);
    assert_eq!(decide(&failing, NOTHING, spent(5, 4, 60_000)), Next::Again(Millis(7)), "all others have failed before");
    assert_eq!(decide(&failing, ALL, spent(6, 1, 60_000)), Next::Stop, "six attempts");
    assert_eq!(decide(&failing, ALL, spent(1, 1, 0)), Next::Stop, "the total deadline");
    assert_eq!(decide(&failing, NOTHING, spent(1, 1, 5)), Next::Stop, "no time for the wait");
    let longest =
        |spent| next(&failing, NOTHING, spent, &RetryPolicy::default(), &mut RetryBudget::default(), 501 * 1_001 - 1);
    assert_eq!(longest(spent(3, 2, 60_000)), Next::Again(Millis(500)), "it doubles with each repetition on one target");
}

#[test]
fn an_upstream_is_waited_for_as_it_asks_or_not_at_all() {
    let limited = |seconds: u64| waiting(status(429, None), Some(Millis(seconds * 1000)));
    assert_eq!(decide(&limited(2), NOTHING, first()), Next::Again(Millis(2_007)));
    assert_eq!(decide(&limited(60), MODEL, first()), Next::Target);
    assert_eq!(decide(&limited(60), NOTHING, first()), Next::Stop);
}

#[test]
fn the_budget_is_a_share_of_traffic_and_counts_what_it_refuses() {
    let mut budget = RetryBudget::default();
    let mut now = UnixMillis(1_000_000);
    // All calls of a burst fail, and each wants two repetitions.
    let mut granted = 0;
    for _ in 0..10_000 {
        now = UnixMillis(now.0 + 1);
        budget.deposit(now);
        granted += u32::from(budget.withdraw(false)) + u32::from(budget.withdraw(false));
    }
    assert!((2_000..2_200).contains(&granted), "{granted}");
    assert_eq!(budget.refused(), 20_000 - u64::from(granted));
    let failing = status(500, None);
    assert_eq!(
        next(&failing, MODEL, first(), &RetryPolicy::default(), &mut RetryBudget { balance: 0, ..budget }, 0),
        Next::Target,
        "without budget the call goes on elsewhere"
    );
}

#[test]
fn most_of_the_allowance_is_for_calls_that_have_nowhere_else_to_go() {
    let mut budget = RetryBudget::default();
    assert_eq!((0..100).filter(|_| budget.withdraw(true)).count(), 5);
    assert_eq!((0..100).filter(|_| budget.withdraw(false)).count(), 20);
    assert_eq!(budget.refused(), 175);
    let mut next = |left| next(&status(500, None), left, first(), &RetryPolicy::default(), &mut budget, 7);
    assert_eq!((next(MODEL), next(NOTHING)), (Next::Target, Next::Stop));
    let mut budget = RetryBudget { balance: 0, ..RetryBudget::default() };
    let mut next = |left| super::next(&status(500, None), left, first(), &RetryPolicy::default(), &mut budget, 7);
    assert_eq!((next(MODEL), next(NOTHING)), (Next::Target, Next::Again(Millis(7))));
}

#[test]
fn calls_with_nowhere_else_to_go_come_first() {
    let mut budget = RetryBudget::default();
    let mut now = UnixMillis(1_000_000);
    let mut refused = 0;
    // Every call would rather repeat than go elsewhere; in bursts, an eighth of them has nowhere to go.
    for call in 0..16_000 {
        now = UnixMillis(now.0 + 1);
        budget.deposit(now);
        budget.withdraw(true);
        refused += u32::from(call % 256 >= 224 && !budget.withdraw(false));
    }
    assert_eq!(refused, 0);
}

#[test]
fn no_calm_gathers_more_than_a_burst_of_hedges() {
    let mut budget = HedgeBudget::default();
    assert_eq!((0..9).filter(|_| budget.withdraw()).count(), 2);
    (0..10_000).for_each(|_| budget.deposit(10));
    assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 20);
    assert_eq!(budget.refused(), 7 + 80);
}

#[test]
fn a_quiet_gateway_may_try_again() {
    let mut budget = RetryBudget::default();
    let mut now = UnixMillis(1_000_000);
    for _ in 0..100 {
        now = UnixMillis(now.0 + 5_000);
        budget.deposit(now);
        assert!(budget.withdraw(false) && budget.withdraw(false));
    }
}

proptest! {
    #[test]
    fn waits_are_bounded_and_never_shorter_than_asked(
        asked in 0u64..20_000, repetition in 0u32..100, chance: u64, backoff in 0u64..10_000, longest in 0u64..10_000,
    ) {
        let policy = RetryPolicy { backoff: Millis(backoff), longest_wait: Millis(longest), ..RetryPolicy::default() };
        match policy.wait(Millis(asked), repetition, chance) {
            Some(wait) => prop_assert!(wait.0 >= asked && wait.0 <= longest.max(asked)),
            None => prop_assert!(asked > longest),
        }
    }

    #[test]
    fn a_call_always_comes_to_an_end(statuses in proptest::collection::vec(400u16..600, 0..40), chance: u64) {
        let policy = RetryPolicy::default();
        let mut budget = RetryBudget::default();
        let mut attempts = 0;
        for code in statuses {
            attempts += 1;
            let spent = Spent { attempts, of_target: 1, time_left: Millis(1_000) };
            if next(&status(code, None), ALL, spent, &policy, &mut budget, chance) == Next::Stop {
                break;
            }
        }
        prop_assert!(attempts <= policy.max_attempts);
    }
}
