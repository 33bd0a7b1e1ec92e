//! Isolates and the object together: nothing here sleeps, and what gets lost is chosen by the test.

mod exchange;

use proptest::prelude::*;

use super::protocol::{Batch, Position, Reply};
use super::*;
use crate::chat::Flaw;
use crate::failure::Kind;
use crate::units::{Millis, UnixMillis};

const TARGET: &str = "cave/llama-5";
const FAILED: What = What::Failed { retry_after: None, kind: Kind::Overloaded, status: Some(529) };
const SERVED: What = What::Served { first_token: Some(Millis(200)), generation: Millis(500), output_tokens: 50 };
/// When the tests begin.
const START: i64 = 1_800_000_000_000;

/// Some isolates, their object and the clock that they share.
struct World {
    now: UnixMillis,
    region: Region,
    views: Vec<View>,
}

impl World {
    /// Isolates that have heard the object once.
    fn new(isolates: u64) -> World {
        World::under(Policy::default(), isolates)
    }

    fn under(policy: Policy, isolates: u64) -> World {
        let views = (0..isolates).map(|seed| View::new(policy, seed)).collect();
        let mut world = World { now: UnixMillis(START), region: Region::default(), views };
        (0..world.views.len()).for_each(|isolate| world.exchange(isolate));
        world
    }

    fn exchange(&mut self, isolate: usize) {
        self.exchange_losing(isolate, false, false);
    }

    fn exchange_losing(&mut self, isolate: usize, batch_lost: bool, reply_lost: bool) {
        let Some(batch) = self.views[isolate].batch(self.now) else { return };
        if !batch_lost {
            let batch: Batch = crate::json::from_str(&batch).expect("a batch");
            let reply = self.region.absorb(&batch, self.now, self.now.0.unsigned_abs()).expect("absorbed");
            if !reply_lost {
                let reply = serde_json::to_vec(&reply).expect("JSON");
                return self.views[isolate].absorb(&reply, self.now).expect("a reply");
            }
        }
        self.views[isolate].unanswered(self.now);
    }

    fn tell(&mut self, isolate: usize, what: What) {
        self.views[isolate].report(TARGET, Outcome { what, sent: self.now, probe: None }, self.now);
    }

    /// The probe that an isolate was offered.
    fn take_probe(&mut self, isolate: usize) -> Permit {
        self.views[isolate].take_probe(TARGET, self.now).expect("an offer")
    }

    fn tell_probe(&mut self, isolate: usize, probe: Permit, what: What) {
        self.views[isolate].report(TARGET, Outcome { what, sent: self.now, probe: Some(probe) }, self.now);
    }

    fn verdict(&self, isolate: usize) -> Verdict {
        self.views[isolate].verdict(TARGET, self.now)
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus(Millis(milliseconds));
    }

    /// Blocks the target for everybody; until when.
    fn block(&mut self) -> UnixMillis {
        (0..3).for_each(|_| self.tell(0, FAILED));
        assert_eq!(self.views[0].due(self.now), Due::Now);
        (0..self.views.len()).for_each(|isolate| self.exchange(isolate));
        let Verdict::Blocked { until } = self.verdict(self.views.len() - 1) else { panic!("not blocked everywhere") };
        until
    }
}

#[test]
fn what_one_isolate_learns_all_know_and_one_probe_decides_for_all() {
    let mut world = World::new(8);
    let until = world.block();
    assert_eq!(world.region.waiting().len(), 1);
    assert_eq!(world.region.waiting()[0].reason, "3 failures in a row: overloaded (529)");

    world.now = until;
    for isolate in 0..8 {
        assert_eq!(world.verdict(isolate), Verdict::Blocked { until }, "nobody probes unasked");
        assert_eq!(world.views[isolate].due(world.now), Due::Soon);
        world.exchange(isolate);
    }
    let offers: Vec<usize> = (0..8).filter(|isolate| world.verdict(*isolate) == Verdict::Probe).collect();
    assert_eq!(offers, [0], "the first that asked");
    let probe = world.take_probe(0);
    assert_eq!(world.views[0].take_probe(TARGET, world.now), None);
    world.tell_probe(0, probe, SERVED);
    assert_eq!(world.verdict(0), Verdict::Pass);
    for isolate in 0..8 {
        world.exchange(isolate);
        assert_eq!(world.verdict(isolate), Verdict::Pass);
    }
    let reasons: Vec<&str> = world.region.waiting().iter().map(|transition| transition.reason.as_str()).collect();
    assert_eq!(reasons[1..], ["the block is over", "the probe was served"]);
}

#[test]
fn each_trip_blocks_for_longer() {
    let mut world = World::new(1);
    let mut before = 0;
    for _ in 0..4 {
        let until = if before == 0 {
            world.block()
        } else {
            let probe = world.take_probe(0);
            world.tell_probe(0, probe, FAILED);
            world.exchange(0);
            let Verdict::Blocked { until } = world.verdict(0) else { panic!("not blocked") };
            until
        };
        let Millis(length) = until.since(world.now);
        assert!(length * 10 >= before * 16, "{length} after {before}");
        before = length;
        world.now = until;
        let _ = world.verdict(0);
        world.exchange(0);
    }
}

#[test]
fn a_probe_that_never_reports_is_taken_back() {
    let mut world = World::new(2);
    world.now = world.block();
    for isolate in [0, 1] {
        let _ = world.verdict(isolate);
        world.exchange(isolate);
    }
    let probe = world.take_probe(0);
    world.pass(30_000);
    let _ = world.verdict(1);
    world.exchange(1);
    assert_eq!(world.verdict(1), Verdict::Probe);
    // What the first one says now comes too late to block it for longer.
    world.tell_probe(0, probe, FAILED);
    world.exchange(0);
    world.exchange(1);
    assert_eq!(world.verdict(1), Verdict::Probe);
}

#[test]
fn a_target_whose_answers_take_longer_than_a_probe_may_comes_back() {
    let mut world = World::new(2);
    world.now = world.block();
    let mut probes = Vec::new();
    for isolate in [0, 1, 0] {
        let _ = world.verdict(isolate);
        world.exchange(isolate);
        probes.push(world.take_probe(isolate));
        world.pass(30_000);
    }
    // The first is served after a minute and a half, while the third is under way.
    world.tell_probe(0, probes[0], SERVED);
    for isolate in [0, 1] {
        world.exchange(isolate);
        assert_eq!(world.verdict(isolate), Verdict::Pass);
    }
}

#[test]
fn only_who_has_a_call_for_a_target_gets_its_probe() {
    let mut world = World::new(2);
    world.now = world.block();
    assert!(matches!(world.views[1].seen(TARGET, world.now).1, Verdict::Blocked { .. }));
    assert_eq!(world.views[1].providers(world.now).get("cave").unwrap().word(), "down");
    world.exchange(1);
    let _ = world.verdict(0);
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Probe);
}

#[test]
fn a_probe_that_says_nothing_leaves_it_to_another() {
    let mut world = World::new(2);
    world.now = world.block();
    let _ = world.verdict(0);
    world.exchange(0);
    let probe = world.take_probe(0);
    world.tell_probe(0, probe, What::Void);
    assert!(matches!(world.views[0].seen(TARGET, world.now).1, Verdict::Blocked { .. }), "it is not back");
    world.exchange(0);
    let _ = world.verdict(1);
    world.exchange(1);
    assert_eq!(world.verdict(1), Verdict::Probe, "nor is it blocked for any longer");
    let probe = world.take_probe(1);
    world.tell_probe(1, probe, What::Poor(Flaw::Empty));
    assert_eq!(world.verdict(1), Verdict::Pass, "a poor answer is one");
}

#[test]
fn a_late_answer_does_not_end_a_block_that_a_later_probe_has_made_longer() {
    let mut world = World::new(2);
    world.now = world.block();
    let _ = world.verdict(0);
    world.exchange(0);
    let slow = world.take_probe(0);
    world.pass(30_000);
    let _ = world.verdict(1);
    world.exchange(1);
    let quick = world.take_probe(1);
    world.tell_probe(1, quick, FAILED);
    world.exchange(1);
    world.tell_probe(0, slow, SERVED);
    for isolate in [0, 1] {
        world.exchange(isolate);
        assert!(matches!(world.verdict(isolate), Verdict::Blocked { .. }), "{isolate}");
    }
}

#[test]
fn failures_are_counted_over_all_isolates() {
    let mut world = World::new(3);
    for isolate in 0..3 {
        world.tell(isolate, FAILED);
        assert_eq!(world.verdict(isolate), Verdict::Pass);
        world.exchange(isolate);
    }
    assert!(matches!(world.verdict(2), Verdict::Blocked { .. }));
}

#[test]
fn half_of_many_calls_failing_blocks_without_three_in_a_row() {
    let mut world = World::new(1);
    for _ in 0..12 {
        world.tell(0, SERVED);
        world.tell(0, FAILED);
    }
    assert!(matches!(world.verdict(0), Verdict::Blocked { .. }));
    world.exchange(0);
    assert!(matches!(world.verdict(0), Verdict::Blocked { .. }));
}

#[test]
fn poor_answers_have_a_threshold_of_their_own() {
    let mut world = World::new(1);
    (0..10).for_each(|_| world.tell(0, What::Poor(Flaw::Empty)));
    assert_eq!(world.verdict(0), Verdict::Pass, "too few");
    (0..10).for_each(|_| world.tell(0, What::Poor(Flaw::Empty)));
    assert!(matches!(world.verdict(0), Verdict::Blocked { .. }));
}

#[test]
fn what_a_provider_asks_for_is_how_long_it_is_blocked() {
    let mut world = World::new(1);
    let limited = What::Failed { retry_after: Some(Millis(42_000)), kind: Kind::RateLimited, status: Some(429) };
    (0..3).for_each(|_| world.tell(0, limited));
    world.exchange(0);
    let Verdict::Blocked { until } = world.verdict(0) else { panic!("not blocked") };
    assert!((42_000..=52_500).contains(&until.since(world.now).0), "{until:?}");
}

#[test]
fn stragglers_do_not_block_what_has_come_back() {
    let mut world = World::new(2);
    let before = world.now;
    world.now = world.block();
    let _ = world.verdict(0);
    world.exchange(0);
    let probe = world.take_probe(0);
    world.tell_probe(0, probe, SERVED);
    world.exchange(0);
    for isolate in [0, 1, 0, 1] {
        for _ in 0..3 {
            world.views[isolate].report(TARGET, Outcome { what: FAILED, sent: before, probe: None }, world.now);
        }
        world.exchange(isolate);
        assert_eq!(world.verdict(isolate), Verdict::Pass);
    }
}

#[test]
fn without_the_object_an_isolate_works_on_what_it_knows() {
    let mut view = View::new(Policy::default(), 1);
    let mut now = UnixMillis(START);
    for _ in 0..3 {
        view.report(TARGET, Outcome { what: FAILED, sent: now, probe: None }, now);
        assert!(view.batch(now).is_some());
        view.unanswered(now);
    }
    let Verdict::Blocked { until } = view.verdict(TARGET, now) else { panic!("not blocked") };
    assert_eq!(view.due(now), Due::No, "an object that was silent is left alone for a while");
    now = until;
    assert_eq!(view.verdict(TARGET, now), Verdict::Probe);
    assert!(view.take_probe(TARGET, now).is_some());
    assert_eq!(view.take_probe(TARGET, now), None);
}

#[test]
fn switches_travel_with_the_reply_and_end_by_themselves() {
    let mut world = World::new(1);
    let order = |action, subject: &str, until| Order { action, subject: subject.to_owned(), until, reason: None };
    let soon = world.now.plus(Millis(60_000));
    // It holds for what was called before, and for what never was.
    world.tell(0, SERVED);
    world.region.order(&order(Action::Block, "cave", Some(soon)), world.now).expect("taken");
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Off);
    assert_eq!(world.views[0].verdict("cave/other#2", world.now), Verdict::Off);
    assert_eq!(world.views[0].verdict("cavern/other", world.now), Verdict::Pass);
    assert_eq!(world.views[0].providers(world.now).get("cave").unwrap().word(), "off");
    // What is off stays off, whatever else is allowed.
    world.region.order(&order(Action::Allow, TARGET, None), world.now).expect("taken");
    assert_eq!(world.region.switch(TARGET, world.now).map(|switch| switch.position), Some(Position::Block));
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Off);
    world.now = soon;
    assert_eq!(world.verdict(0), Verdict::Pass);
    assert_eq!(world.views[0].verdict("cave/other#2", world.now), Verdict::Pass);
    (0..9).for_each(|_| world.tell(0, FAILED));
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Pass, "what is allowed passes whatever its breaker says");
    world.region.order(&order(Action::Reset, "cave", None), world.now).expect("taken");
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Pass);
    assert_eq!(world.region.switch(TARGET, world.now).map(|switch| switch.position), None::<Position>);
}

#[test]
fn a_batch_counts_once_however_often_it_comes() {
    let mut world = World::new(1);
    (0..2).for_each(|_| world.tell(0, FAILED));
    for _ in 0..5 {
        world.exchange_losing(0, false, true);
        world.pass(40_000);
    }
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Pass);
}

#[test]
fn a_block_that_nobody_ends_is_unattended_until_it_is_probed() {
    let mut world = World::new(2);
    let until = world.block();
    world.now = until.plus(Millis(29_999));
    assert_eq!(world.views[1].unattended(world.now), []);
    world.pass(1);
    assert_eq!(world.views[1].unattended(world.now), [TargetId::from(TARGET)]);
    let switch = |action| Order { action, subject: "cave".to_owned(), until: None, reason: None };
    world.region.order(&switch(Action::Block), world.now).expect("taken");
    world.exchange(0);
    assert_eq!(world.views[0].unattended(world.now), [], "what the operator switched off is not asked");
    world.region.switches = Switches::default();
    world.exchange(0);
    let _ = world.verdict(1);
    world.exchange(1);
    let probe = world.take_probe(1);
    assert_eq!(world.views[1].unattended(world.now), [], "it is being probed");
    world.tell_probe(1, probe, SERVED);
    world.exchange(1);
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Pass);
}

#[test]
fn the_object_writes_when_a_breaker_changes_and_else_once_a_minute() {
    let mut world = World::new(1);
    let mut written = Vec::new();
    for second in 0..200 {
        let before = world.region.transitions();
        match second {
            90..93 => world.tell(0, FAILED),
            _ => world.tell(0, SERVED),
        }
        world.exchange(0);
        if world.region.should_store(before, world.now) {
            world.region.store(world.now);
            written.push(second);
        }
        world.pass(1_000);
    }
    // The third failure blocks it; ten seconds later (and some, by chance) it is probed, and passes.
    assert_eq!(written.first(), Some(&0));
    assert!(written.contains(&60) && written.contains(&92), "{written:?}");
    assert!(written.len() <= 7, "{written:?}");
}

#[test]
fn refused_repetitions_are_counted_once() {
    let mut world = World::new(2);
    for (isolate, more) in [(0, 3), (1, 2), (0, 0)] {
        world.views[isolate].note_refused_retries(more);
        world.exchange_losing(isolate, false, true);
        world.pass(40_000);
        world.exchange(isolate);
    }
    assert_eq!(world.region.overview(world.now).retries_refused, 5);
}

#[test]
fn figures_come_with_the_reply_once_there_are_enough_samples() {
    let mut world = World::new(2);
    (0..19).for_each(|_| world.tell(0, SERVED));
    world.exchange(0);
    assert_eq!(world.views[0].figures(TARGET).and_then(|figures| figures.p50), None);
    world.tell(0, SERVED);
    world.views[0].note_headroom(TARGET, Headroom { left: 20, until: world.now.plus(Millis(900)) }, world.now);
    world.exchange(0);
    // The other isolate never called it, and hears of it once what it knows is old.
    assert_eq!(world.views[1].figures(TARGET), None);
    world.pass(15_000);
    world.exchange(1);
    let figures = world.views[1].figures(TARGET).expect("heard of all");
    assert!(figures.p50.is_some_and(|p50| (190..=210).contains(&p50.0)), "{figures:?}");
    assert!(figures.tokens_per_second.is_some_and(|rate| rate == 100), "{figures:?}");
    assert_eq!(figures.error_percent, Some(0));
    assert_eq!(figures.headroom, None, "it is full again by now");
    assert!(world.views[0].figures(TARGET).and_then(|figures| figures.headroom).is_some());
}

#[test]
fn plain_answers_are_timed_as_a_whole() {
    let mut world = World::new(1);
    let plain = |time| What::Served { first_token: None, generation: Millis(time), output_tokens: 50 };
    (0..19).for_each(|_| world.tell(0, plain(800)));
    // Where nothing was timed, nothing is learnt.
    world.tell(0, plain(0));
    world.exchange(0);
    let figures = world.views[0].figures(TARGET).expect("known");
    assert_eq!((figures.whole_p50, figures.whole_p95), (None, None), "too few");
    assert!(figures.whole_average.is_some_and(|mean| (760..=840).contains(&mean.0)), "{figures:?}");
    world.tell(0, plain(8_000));
    world.tell(0, plain(8_000));
    world.exchange(0);
    let figures = world.views[0].figures(TARGET).expect("known");
    assert!(figures.whole_p50.is_some_and(|p50| (760..=840).contains(&p50.0)), "{figures:?}");
    assert!(figures.whole_p95.is_some_and(|p95| (7_600..=8_400).contains(&p95.0)), "{figures:?}");
    assert_eq!((figures.p50, figures.average, figures.tokens_per_second), (None, None, None), "no stream was seen");
    // 50 tokens in 800 ms, and now and then in eight seconds.
    assert!(figures.whole_tokens_per_second.is_some_and(|rate| (40..=65).contains(&rate)), "{figures:?}");
}

#[test]
fn what_nobody_has_seen_for_ten_minutes_is_told_no_more() {
    let mut world = World::new(1);
    (0..20).for_each(|_| world.tell(0, SERVED));
    world.tell(0, What::Served { first_token: None, generation: Millis(800), output_tokens: 50 });
    world.exchange(0);
    assert!(world.views[0].figures(TARGET).is_some_and(|figures| figures.p95.is_some()));
    world.pass(600_000);
    // Whoever is excluded for being slow gets no calls that could show that it is not any longer.
    world.exchange(0);
    let figures = world.views[0].figures(TARGET).expect("known");
    assert_eq!((figures.p50, figures.p95, figures.average, figures.tokens_per_second), (None, None, None, None));
    assert_eq!((figures.whole_average, figures.whole_tokens_per_second), (None, None));
}

#[test]
fn what_failed_during_a_block_does_not_count_once_it_is_over() {
    let mut world = World::new(1);
    world.now = world.block();
    // With nothing else left, a blocked target is asked all the same.
    world.now = UnixMillis(world.now.0 - 1);
    (0..40).for_each(|_| world.tell(0, FAILED));
    world.pass(1);
    let _ = world.verdict(0);
    world.exchange(0);
    let probe = world.take_probe(0);
    world.tell_probe(0, probe, SERVED);
    world.exchange(0);
    world.pass(10);
    world.tell(0, FAILED);
    assert_eq!(world.verdict(0), Verdict::Pass);
    world.exchange(0);
    assert_eq!(world.verdict(0), Verdict::Pass, "one failure is one failure");
}

#[test]
fn an_object_that_was_away_for_long_does_not_hear_of_old_failures() {
    let mut world = World::new(2);
    (0..2).for_each(|_| world.tell(0, FAILED));
    for _ in 0..3 {
        world.exchange_losing(0, true, false);
        world.pass(60_000);
    }
    world.pass(3_600_000);
    world.exchange(0);
    world.tell(1, FAILED);
    world.exchange(1);
    assert_eq!(world.verdict(1), Verdict::Pass, "an hour ago is not now");
}

#[test]
fn what_an_older_build_stored_and_sent_is_read() {
    let stored = include_str!("../../tests/fixtures/health/region.json").trim();
    let region: Region = crate::json::from_str(stored).expect("read");
    assert_eq!(serde_json::to_string(&region).expect("written"), stored);
    let batch: Batch = crate::json::from_str(include_str!("../../tests/fixtures/health/batch.json")).expect("read");
    let mut region = Region::default();
    let reply = region.absorb(&batch, UnixMillis(START), 0).expect("absorbed");
    let expected: Reply = crate::json::from_str(include_str!("../../tests/fixtures/health/reply.json")).expect("read");
    assert_eq!(reply, expected, "{}", serde_json::to_string(&reply).expect("JSON"));
    for version in [0, 2] {
        assert!(region.absorb(&Batch { version, ..batch.clone() }, UnixMillis(START), 0).is_err());
    }
}

#[test]
fn a_restarted_object_knows_what_was_stored() {
    let mut world = World::new(2);
    let until = world.block();
    world.region = crate::json::from_str(&world.region.store(world.now)).expect("read");
    world.views.push(View::new(Policy::default(), 99));
    world.exchange(2);
    assert_eq!(world.verdict(2), Verdict::Blocked { until });
}

#[test]
fn targets_and_isolates_of_the_object_are_capped() {
    let mut region = Region::default();
    let failed = protocol::Report { target: TARGET.into(), failed: 3, run: 3, ..Default::default() };
    let batch = Batch { version: 1, isolate: "first".into(), batch: 1, reports: vec![failed], ..Batch::default() };
    region.absorb(&batch, UnixMillis(START), 0).expect("absorbed");
    for number in 0..3_000u32 {
        let report =
            protocol::Report { target: format!("cave/{number}").as_str().into(), served: 1, ..Default::default() };
        let isolate = number.to_string();
        let batch = Batch { version: 1, isolate, batch: 1, reports: vec![report], ..Batch::default() };
        region.absorb(&batch, UnixMillis(START + i64::from(number)), 0).expect("absorbed");
    }
    assert!(region.store(UnixMillis(START)).len() < 400_000);
    let again = Batch { version: 1, isolate: "first".into(), batch: 2, all: true, ..Batch::default() };
    let news = region.absorb(&again, UnixMillis(START + 3_000), 0).expect("absorbed").targets;
    let blocked = news.iter().filter(|news| matches!(news.breaker, Breaker::Blocking { .. }));
    assert_eq!(blocked.count(), 1, "what is blocked is forgotten last");
}

/// Blocks and probes so short that a few hundred events see many of them.
const HASTY: Policy = Policy {
    enabled: true,
    active_probe: false,
    failures_in_a_row: 3,
    error_percent: 50,
    minimum_calls: 20,
    poor_percent: 50,
    poor_minimum_calls: 20,
    window: Millis(60_000),
    block: Millis(2_000),
    longest_block: Millis(6_000),
    probe: Millis(6_000),
    forget: Millis(30_000),
    minimum_samples: 20,
    snapshot_age: Millis(5_000),
    patience: Millis(250),
};

/// What may happen next.
#[derive(Clone, Debug)]
enum Event {
    Time(u64),
    /// A call in some isolate, and for how long its upstream takes.
    Call(usize, u64),
    Exchange(usize, bool, bool),
}

fn events(isolates: usize) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        2 => (1u64..2_000).prop_map(Event::Time),
        4 => (0..isolates, 0u64..=HASTY.probe.0 / 2).prop_map(|(isolate, takes)| Event::Call(isolate, takes)),
        3 => (0..isolates, prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(|(isolate, batch, reply)| Event::Exchange(isolate, batch, reply)),
    ];
    prop::collection::vec(event, 100..500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Eight isolates, a provider that flaps, messages that get lost (not three in a row, after which an isolate takes
    /// the object to be away): never two probes at once, and never one before its window has passed.
    #[test]
    fn one_probe_at_a_time_and_none_before_its_time(
        events in events(8),
        serves in prop::collection::vec(any::<bool>(), 16),
    ) {
        let mut world = World::under(HASTY, 8);
        let mut losses = [0; 8];
        // Calls under way: isolate, when they end, when they were sent, whether they are the probe.
        let mut calls: Vec<(usize, UnixMillis, UnixMillis, Option<Permit>)> = Vec::new();
        for event in events {
            match event {
                Event::Time(milliseconds) => world.pass(milliseconds),
                Event::Call(isolate, takes) => {
                    let probe = match world.verdict(isolate) {
                        Verdict::Pass => None,
                        Verdict::Probe => world.views[isolate].take_probe(TARGET, world.now),
                        _ => continue,
                    };
                    calls.push((isolate, world.now.plus(Millis(takes)), world.now, probe));
                }
                Event::Exchange(isolate, batch, reply) => {
                    let lost = (batch || reply) && losses[isolate] < 2;
                    losses[isolate] = if lost { losses[isolate] + 1 } else { 0 };
                    world.exchange_losing(isolate, lost && batch, lost && reply);
                }
            }
            let (ended, under_way): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.1 <= world.now);
            calls = under_way;
            for (isolate, _, sent, probe) in ended {
                // It flaps every ten seconds or so.
                let moment = usize::try_from(world.now.0 / 10_000).unwrap_or(0);
                let what = if serves[moment % serves.len()] { SERVED } else { FAILED };
                world.views[isolate].report(TARGET, Outcome { what, sent, probe }, world.now);
            }
            prop_assert!(calls.iter().filter(|call| call.3.is_some()).count() <= 1, "two probes at once");
        }
        let mut blocked = None;
        for transition in world.region.waiting() {
            match transition.after {
                Breaker::Blocking { since, .. } => blocked = Some(since),
                Breaker::Probing { since, .. } => {
                    let least = HASTY.block;
                    let first = matches!(transition.before, Breaker::Blocking { .. });
                    prop_assert!(!first || blocked.is_some_and(|blocked| since.since(blocked) >= least));
                }
                Breaker::Passing { .. } => {
                    let probed = matches!(transition.before, Breaker::Probing { .. });
                    prop_assert!(probed, "only a probe ends a block");
                }
            }
        }
    }

    #[test]
    fn blocks_grow_within_their_bounds(trips in 0u32..100, asked in prop::option::of(0u64..1_000_000), chance: u64) {
        let policy = Policy::default();
        let Millis(length) = policy.block_after(trips, asked.map(Millis), chance);
        let least = if asked.is_some() && trips <= 1 { 1_000 } else { policy.block.0 };
        prop_assert!((least..=policy.longest_block.0 * 5 / 4).contains(&length));
        if let Some(asked) = asked {
            prop_assert!(length >= asked.min(policy.longest_block.0));
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused(noise: Vec<u8>) {
        let mut view = View::new(Policy::default(), 3);
        let _ = view.batch(UnixMillis(START));
        prop_assert!(view.absorb(&noise, UnixMillis(START)).is_err());
        let _ = crate::json::from_slice::<Batch>(&noise);
    }
}
