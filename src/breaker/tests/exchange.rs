//! What an isolate and the object tell each other, and what of it is late, lost or too much.

use super::*;

#[test]
fn the_first_call_after_a_pause_waits_for_news_and_no_longer_than_it_should() {
    let mut world = World::new(1);
    assert_eq!(View::new(Policy::default(), 1).stale_at(), Some(UnixMillis(0)), "nothing was heard yet");
    let view = &world.views[0];
    assert_eq!(view.stale_at(), Some(world.now.plus(Millis(15_000))));
    assert_eq!(view.patience(), Millis(250));
    world.pass(15_000);
    world.exchange_losing(0, true, false);
    let again = world.now.plus(Millis(1_000));
    assert_eq!(world.views[0].stale_at(), Some(again), "who was silent is left alone for a while");
    for policy in [Policy { enabled: false, ..Policy::default() }, Policy { patience: Millis(0), ..Policy::default() }]
    {
        assert_eq!(View::new(policy, 1).stale_at(), None);
    }
}

#[test]
fn a_probe_is_asked_for_by_the_call_that_wants_it() {
    let mut world = World::under(Policy { block: Millis(1_000), ..Policy::default() }, 1);
    world.now = world.block();
    assert_eq!(world.views[0].due(world.now), Due::No, "what it knows is new");
    let _ = world.verdict(0);
    assert_eq!(world.views[0].due(world.now), Due::Soon);
}

#[test]
fn what_is_left_of_a_limit_is_told_to_all() {
    let mut world = World::new(2);
    let headroom = Headroom { left: 1, until: world.now.plus(Millis(60_000)) };
    world.views[0].note_headroom(TARGET, headroom, world.now);
    world.exchange(0);
    world.pass(15_000);
    world.exchange(1);
    assert_eq!(world.views[1].figures(TARGET).and_then(|figures| figures.headroom), Some(headroom));
}

#[test]
fn with_health_turned_off_nothing_is_blocked_any_more() {
    let mut world = World::new(1);
    world.block();
    world.views[0].set_policy(Policy { enabled: false, ..Policy::default() });
    assert_eq!(world.verdict(0), Verdict::Pass);
    assert_eq!(world.views[0].due(world.now), Due::No);
}

#[test]
fn a_batch_has_bounds() {
    let batch = Batch { version: 1, isolate: "i".into(), batch: 1, ..Batch::default() };
    let reports = |count| vec![protocol::Report { target: TARGET.into(), ..Default::default() }; count];
    let absorb = |batch: Batch| Region::default().absorb(&batch, UnixMillis(START), 0).is_ok();
    assert!(absorb(Batch { reports: reports(600), asks: vec![TARGET.into(); 600], ..batch.clone() }));
    assert!(!absorb(Batch { reports: reports(601), ..batch.clone() }));
    assert!(!absorb(Batch { asks: vec![TARGET.into(); 601], ..batch.clone() }));
    assert!(!absorb(Batch { isolate: "i".repeat(65), ..batch }));
}

#[test]
fn what_the_object_says_late_undoes_nothing_that_was_seen_since() {
    let mut world = World::new(1);
    world.tell(0, FAILED);
    let batch: Batch = crate::json::from_str(&world.views[0].batch(world.now).expect("a batch")).expect("a batch");
    let reply = world.region.absorb(&batch, world.now, 0).expect("absorbed");
    // Two more fail while the reply to the first is under way.
    (0..2).for_each(|_| world.tell(0, FAILED));
    let blocked = world.verdict(0);
    assert!(matches!(blocked, Verdict::Blocked { .. }));
    world.views[0].absorb(&serde_json::to_vec(&reply).expect("JSON"), world.now).expect("a reply");
    assert_eq!(world.verdict(0), blocked);
    world.exchange(0);
    assert!(matches!(world.verdict(0), Verdict::Blocked { .. }), "and the object hears of them");
}

#[test]
fn a_row_of_failures_goes_on_over_a_reply() {
    let mut world = World::new(1);
    (0..2).for_each(|_| world.tell(0, FAILED));
    world.exchange(0);
    world.tell(0, FAILED);
    assert!(matches!(world.verdict(0), Verdict::Blocked { .. }), "at once, without the object");
}

#[test]
fn a_silent_object_is_asked_ever_more_rarely() {
    let mut world = World::new(1);
    let pauses = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].map(|pause| {
        world.tell(0, FAILED);
        world.exchange_losing(0, true, false);
        world.pass(pause - 1);
        assert_eq!(world.views[0].due(world.now), Due::No, "{pause}");
        world.pass(1);
        world.views[0].due(world.now)
    });
    assert!(!pauses.contains(&Due::No), "{pauses:?}");
}

#[test]
fn what_was_seen_before_a_change_says_nothing_of_what_came_after_it() {
    let mut world = World::new(2);
    // The second isolate sees refusals, and has not told of them yet, when the first has it blocked and back again.
    world.tell(1, FAILED);
    world.tell(1, What::Refused { status: Some(401) });
    (0..3).for_each(|_| world.tell(0, FAILED));
    world.exchange(0);
    let Verdict::Blocked { until } = world.verdict(0) else { panic!("not blocked") };
    world.now = until;
    let _ = world.verdict(0);
    world.exchange(0);
    let probe = world.take_probe(0);
    world.tell_probe(0, probe, SERVED);
    world.exchange(0);
    for isolate in [1, 0] {
        world.exchange(isolate);
        assert_eq!(world.verdict(isolate), Verdict::Pass, "isolate {isolate}");
    }
}
