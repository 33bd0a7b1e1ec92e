//! Isolates whose asks are answered while their reports never arrive, for hours.

use super::*;

/// Who is silent for an hour is gone; no pause is nearly as long.
const LONGEST: u32 = 2_400_000;

/// Everything on its way arrives, but for reports: those are lost.
fn without_reports(world: &mut World) {
    while !world.network.is_empty() {
        let parcel = world.network.remove(0);
        if !matches!(&parcel, Parcel::ToLedger { message, .. } if message.report > 0) {
            world.deliver(parcel);
        }
    }
    world.check();
}

/// The object stays: what it stored last of an isolate that is only refused is when that drew last.
fn steady() -> impl Strategy<Value = Op> {
    gentle().prop_filter("no restarts", |op| !matches!(op, Op::Restart))
}

fn period() -> impl Strategy<Value = Period> {
    prop_oneof![Just(Period::Total), Just(Period::Hour), Just(Period::Day)]
}

/// How long until the next call: some milliseconds, up to a quarter of an hour, or until just before the next hour.
fn pause() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![2 => (0u32..500).prop_map(Some), 2 => (0u32..900_000).prop_map(Some), 1 => Just(None)]
}

proptest! {
    #[test]
    fn figures_pass_no_limit_while_reports_are_lost_for_hours(
        before in proptest::collection::vec(gentle(), 1..60),
        meanwhile in proptest::collection::vec((steady(), pause()), 1..60),
        skew in skews(), limit in 20i64..120, period in period(),
    ) {
        let mut world = World::new(budget(period, Window::Calendar, limit), &skew);
        for op in &before {
            world.act(op);
        }
        for (op, pause) in &meanwhile {
            world.act(op);
            // Each of them asks for something in every hour.
            (0..ISOLATES).for_each(|isolate| world.begin(isolate, Wish { most: 1, tries: 0 }));
            without_reports(&mut world);
            let to_the_hour = u32::try_from(HOUR - world.now.0 % HOUR).unwrap_or(0).saturating_sub(1_500);
            world.act(&Op::Wait(pause.unwrap_or(to_the_hour).min(LONGEST)));
        }
        world.settle_down();
        world.check();
        if period == Period::Total {
            let standing = world.ledger.standing("b", world.now).expect("known");
            prop_assert_eq!((standing.spent, standing.leased), (world.charged, 0), "each call is counted once");
        }
    }
}

#[test]
fn a_call_that_was_booked_at_its_ceiling_is_corrected_hours_later() {
    for period in [Period::Total, Period::Hour] {
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Budget(budget(period, Window::Calendar, 100)));
        let mut purse = Purse::new("one".into());
        let mut now = UnixMillis(START - START % HOUR);
        let most = |cost| Amounts { cost: NanoUsd(cost), ..Amounts::default() };
        let first = ask(&mut ledger, &mut purse, most(30), now).expect("held");
        let reply = ledger.handle(purse.report(now), now);
        purse.reported(&reply, now);
        purse.settle(first, &most(30));
        // From now on its reports are lost, and its asks are not.
        now = now.plus(Millis(20_000));
        let report = purse.report(now);
        for _ in 0..450 {
            if let Some(hold) = ask(&mut ledger, &mut purse, most(10), now) {
                purse.settle(hold, &most(10));
            }
            now = now.plus(Millis(9_000));
            let standing = ledger.standing("b", now).expect("known");
            assert!(standing.spent + standing.leased <= 100, "{period:?}: {standing:?}");
        }
        let reply = ledger.handle(report, now);
        purse.reported(&reply, now);
        let reply = ledger.handle(purse.report(now), now);
        purse.reported(&reply, now);
        let standing = ledger.standing("b", now).expect("known");
        assert!(standing.spent + standing.leased <= 100, "{period:?}: {standing:?}");
    }
}
