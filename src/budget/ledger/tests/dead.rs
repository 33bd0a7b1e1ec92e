//! What an isolate had that is heard of no more.

use super::*;

/// A lease of `amount` that its isolate does not live to report on.
fn dies_with(ledger: &mut Ledger, isolate: &str, amount: i64, now: UnixMillis) -> Message {
    let needs = vec![Need { pot: "b".into(), least: amount, want: amount }];
    let ask = Message { version: 2, isolate: isolate.into(), ask: 1, needs, ..Message::default() };
    let reply = ledger.handle(ask, now);
    assert!(reply.refusal.is_none(), "{reply:?}");
    let LeaseTold { lease, pot, .. } = reply.leases[0].clone();
    let report = LeaseReport { lease, pot, used: amount / 2, returned: amount - amount / 2, want: 0, renew: false };
    Message { version: 2, isolate: isolate.into(), report: 1, leases: vec![report], ..Message::default() }
}

#[test]
fn a_dead_isolates_lease_stays_charged_until_a_late_report_or_a_release() {
    let mut ledger = Ledger::default();
    ledger.set_rule(Rule::Budget(budget(Period::Total, Window::Calendar, 100)));
    let now = UnixMillis(START);
    let late = dies_with(&mut ledger, "one", 40, now);
    dies_with(&mut ledger, "two", 20, now);
    let day = now.plus(Millis(86_400_000));
    ledger.sweep(day);
    let standing = ledger.standing("b", day).expect("known");
    assert_eq!((standing.spent, standing.leased, standing.lost), (0, 60, 60), "charged in full, and shown");
    ledger.handle(late.clone(), day);
    let standing = ledger.standing("b", day).expect("known");
    assert_eq!((standing.spent, standing.leased), (20, 20), "a day later its report frees the rest");
    assert_eq!(ledger.release("b", Millis(3_600_000), day), Some(Released { amount: NanoUsd(20), leases: 1 }));
    assert_eq!(ledger.release("b", Millis(3_600_000), day), Some(Released::default()), "once");
    assert_eq!(ledger.standing("b", day).map(|it| (it.spent, it.leased, it.lost)), Some((20, 0, 0)));
    assert_eq!(ledger.release("none", Millis(3_600_000), day), None);
}

#[test]
fn what_is_leased_to_the_living_is_not_released() {
    let mut ledger = Ledger::default();
    ledger.set_rule(Rule::Budget(budget(Period::Total, Window::Calendar, 100)));
    let mut purse = Purse::new("one".into());
    let now = UnixMillis(START);
    let most = Amounts { cost: NanoUsd(30), ..Amounts::default() };
    let hold = ask(&mut ledger, &mut purse, most, now).expect("held");
    assert_eq!(ledger.release("b", Millis(0), now.plus(Millis(9_000))), Some(Released::default()), "within its term");
    let reply = ledger.handle(purse.report(now), now);
    purse.reported(&reply, now);
    let later = now.plus(Millis(30_000));
    assert_eq!(ledger.release("b", Millis(0), later), Some(Released::default()), "a call of it is under way");
    // After a release an isolate that lives after all begins a new lease; the old one gives it nothing.
    let gone = now.plus(Millis(95_000));
    ledger.sweep(gone);
    ledger.release("b", Millis(0), gone);
    purse.settle(hold, &Amounts { cost: NanoUsd(12), ..Amounts::default() });
    let reply = ledger.handle(purse.report(gone), gone);
    purse.reported(&reply, gone);
    let standing = ledger.standing("b", gone).expect("known");
    assert_eq!(standing.spent, 12, "the truth counts");
    assert!(ask(&mut ledger, &mut purse, Amounts { cost: NanoUsd(89), ..Amounts::default() }, gone).is_none());
}

#[test]
fn what_died_leaves_a_rolling_window_with_everything_else() {
    let mut ledger = Ledger::default();
    ledger.set_rule(Rule::Budget(budget(Period::Day, Window::Rolling, 100)));
    let now = UnixMillis(START);
    dies_with(&mut ledger, "one", 100, now);
    let hours = |hours: u64| now.plus(Millis(hours * 3_600_000));
    ledger.sweep(hours(25));
    assert_eq!(ledger.standing("b", hours(25)).map(|it| it.leased), Some(100), "it may have been spent a day ago");
    ledger.sweep(hours(26));
    assert_eq!(ledger.standing("b", hours(26)).map(|it| it.leased), Some(0));
}

#[test]
fn isolates_that_are_gone_do_not_gather() {
    let mut ledger = Ledger::default();
    ledger.set_rule(Rule::Budget(budget(Period::Total, Window::Calendar, 10_000)));
    let now = UnixMillis(START);
    for number in 0..1_500 {
        dies_with(&mut ledger, &format!("isolate-{number}"), 2, now);
    }
    let later = now.plus(Millis(3_700_000));
    ledger.sweep(later);
    let rows = ledger.take_changes();
    let isolates =
        |rows: &[StoredRow]| rows.iter().filter(|(row, json)| matches!(row, Row::Isolate(_)) && json.is_some()).count();
    assert_eq!(isolates(&rows), 1_001, "the oldest are one");
    let mut restored = Ledger::default();
    for (row, json) in rows {
        json.map_or(Ok(()), |json| restored.restore(&row, &json)).expect("readable");
    }
    assert_eq!(restored.standing("b", later).map(|it| (it.leased, it.lost)), Some((3_000, 3_000)));
    assert_eq!(restored.release("b", Millis(0), later).map(|it| it.amount), Some(NanoUsd(3_000)));
}
