//! A ledger and several isolates with a network between them that loses, repeats, delays and reorders, and with crashes
//! on either side.

mod dead;
mod unreported;
use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::{Isolate, Ledger, Released, Row, StoredRow};
use crate::breaker::{Action, Order};
use crate::budget::{
    Aim, Amounts, Budget, Drawn, Enforcement, Hold, LeaseReport, LeaseTold, Message, Need, Period, Purse, Reply, Rule,
    Scope, ScopeKind, Spender, Taken, Terms, Wanted, Window,
};
use crate::limit::{Limit, Per, Unit};
use crate::units::{Millis, NanoUsd, UnixMillis};

const START: i64 = 1_790_000_000_000;
const HOUR: i64 = 3_600_000;
const ISOLATES: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// A call begins in an isolate and takes at most so much.
    Begin(usize, i64),
    /// One of the calls under way ends at a share of what it held.
    End(usize, u8),
    /// An isolate reports, if it has no report under way; else it sends that again.
    Report(usize),
    /// A message or reply on the way arrives.
    Deliver(usize),
    /// It arrives, and will arrive again.
    Repeat(usize),
    /// It is lost.
    Lose(usize),
    /// Time passes.
    Wait(u32),
    /// An isolate is gone with all that it knew, and another comes in its place.
    Kill(usize),
    /// The object is gone, and comes back with what it had stored.
    Restart,
    /// The operator changes the limit.
    SetLimit(i64),
    /// The operator frees what isolates that were silent for so many seconds had leased.
    Release(u64),
}

/// What is on its way.
#[derive(Clone, Debug)]
enum Parcel {
    ToLedger {
        isolate: usize,
        life: u32,
        message: Message,
        sent: UnixMillis,
        call: Option<Wish>,
    },
    ToIsolate {
        isolate: usize,
        life: u32,
        reply: Reply,
        is_report: bool,
        number: u64,
        sent: UnixMillis,
        call: Option<Wish>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Wish {
    most: i64,
    tries: u8,
}

struct Running {
    isolate: usize,
    hold: Option<Hold>,
    most: i64,
    deadline: UnixMillis,
    /// The hour in which it began.
    hour: i64,
}

struct World {
    rule: Budget,
    ledger: Ledger,
    stored: HashMap<(String, String), String>,
    purses: Vec<Purse>,
    lives: Vec<u32>,
    /// The clock of each isolate differs from the ledger's.
    skew: Vec<i64>,
    /// The report that an isolate has not seen answered, by isolate: it is sent until it is.
    unsent: Vec<Option<(Message, UnixMillis)>>,
    network: Vec<Parcel>,
    running: Vec<Running>,
    now: UnixMillis,
    /// What the upstream has charged for, and what it may yet charge for calls of isolates that are gone.
    charged: i64,
    lost: i64,
    /// Both, by the hour in which the call began.
    by_hour: HashMap<i64, i64>,
    /// What the operator freed of that, not knowing whether it was spent.
    released: i64,
    highest_limit: i64,
    begun: u64,
}

impl World {
    fn new(rule: Budget, skew: &[i64]) -> World {
        let mut ledger = Ledger::default();
        ledger.set_rule(Rule::Budget(rule.clone()));
        let purses = (0..ISOLATES).map(|number| Purse::new(format!("isolate-{number}"))).collect();
        let mut world = World {
            highest_limit: rule.limit.0,
            rule,
            ledger,
            stored: HashMap::new(),
            purses,
            lives: vec![0; ISOLATES],
            skew: skew.to_vec(),
            unsent: vec![None; ISOLATES],
            network: Vec::new(),
            running: Vec::new(),
            now: UnixMillis(START),
            charged: 0,
            lost: 0,
            by_hour: HashMap::new(),
            released: 0,
            begun: 0,
        };
        world.store();
        world
    }

    fn clock(&self, isolate: usize) -> UnixMillis {
        UnixMillis(self.now.0 + self.skew[isolate])
    }

    fn store(&mut self) {
        for (row, json) in self.ledger.take_changes() {
            let place = (row.place().0.to_owned(), row.place().1.to_owned());
            match json {
                Some(json) => self.stored.insert(place, json),
                None => self.stored.remove(&place),
            };
        }
    }

    fn act(&mut self, op: &Op) {
        match *op {
            Op::Begin(isolate, most) => self.begin(isolate % ISOLATES, Wish { most, tries: 0 }),
            Op::End(which, share) if !self.running.is_empty() => {
                let index = which % self.running.len();
                self.end(index, share);
            }
            Op::Report(isolate) => self.report(isolate % ISOLATES),
            Op::Deliver(which) if !self.network.is_empty() => {
                let parcel = self.network.remove(which % self.network.len());
                self.deliver(parcel);
            }
            Op::Repeat(which) if !self.network.is_empty() => {
                let parcel = self.network[which % self.network.len()].clone();
                self.deliver(parcel);
            }
            Op::Lose(which) if !self.network.is_empty() => {
                self.network.remove(which % self.network.len());
            }
            Op::Wait(millis) => {
                self.now = self.now.plus(Millis(u64::from(millis)));
                // The gateway's own deadline ends what has run for too long.
                while let Some(index) = self.running.iter().position(|call| call.deadline <= self.now) {
                    self.end(index, 100);
                }
            }
            Op::Kill(isolate) => self.kill(isolate % ISOLATES),
            Op::Restart => self.restart(),
            Op::SetLimit(limit) => {
                self.rule.limit = NanoUsd(limit);
                self.highest_limit = self.highest_limit.max(limit);
                self.ledger.set_rule(Rule::Budget(self.rule.clone()));
                self.store();
            }
            Op::Release(seconds) => self.release(Millis(seconds * 1_000)),
            Op::End(..) | Op::Deliver(_) | Op::Repeat(_) | Op::Lose(_) => {}
        }
        self.check();
    }

    fn release(&mut self, silence: Millis) {
        self.released += self.ledger.release("b", silence, self.now).expect("a budget").amount.0;
        self.store();
    }

    fn begin(&mut self, isolate: usize, wish: Wish) {
        let now = self.clock(isolate);
        self.begun += 1;
        let request = format!("req_{}", self.begun);
        let terms = Terms { key: "k".into(), ..Terms::default() };
        let wanted = Wanted {
            request: &request,
            most: Amounts { cost: NanoUsd(wish.most), requests: 1, ..Amounts::default() },
            terms: &terms,
            deadline: now.plus(Millis(60_000)),
            again: wish.tries > 0,
        };
        let draws = draws(&self.purses[isolate], &terms);
        match self.purses[isolate].take(&wanted, draws.pots(), now) {
            Taken::Held(hold) => {
                assert!(hold.is_some(), "a call that a budget counts holds something");
                let (deadline, hour) = (self.now.plus(Millis(60_000)), self.now.0 / HOUR);
                self.running.push(Running { isolate, hold, most: wish.most, deadline, hour });
            }
            Taken::Ask(message) => {
                let call = (wish.tries < 3).then_some(Wish { tries: wish.tries + 1, ..wish });
                let life = self.lives[isolate];
                self.network.push(Parcel::ToLedger { isolate, life, message, sent: now, call });
            }
            Taken::Wait(_) | Taken::Away | Taken::Ended(_) => {}
        }
    }

    fn end(&mut self, index: usize, share: u8) {
        let Running { isolate, hold, most, hour, .. } = self.running.swap_remove(index);
        let cost = most * i64::from(share.min(100)) / 100;
        self.charged += cost;
        *self.by_hour.entry(hour).or_default() += cost;
        if let Some(hold) = hold {
            self.purses[isolate].settle(hold, &Amounts { cost: NanoUsd(cost), requests: 1, ..Amounts::default() });
        }
    }

    fn report(&mut self, isolate: usize) {
        let now = self.clock(isolate);
        if self.unsent[isolate].is_none() {
            self.unsent[isolate] = Some((self.purses[isolate].report(now), now));
        }
        let (message, _) = self.unsent[isolate].clone().expect("just made");
        let life = self.lives[isolate];
        self.network.push(Parcel::ToLedger { isolate, life, message, sent: now, call: None });
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToLedger { isolate, life, message, sent, call } => {
                let is_report = message.report > 0;
                let number = message.report;
                let json = serde_json::to_string(&message).expect("JSON");
                let reply = self.ledger.handle(crate::json::from_str(&json).expect("a message"), self.now);
                self.store();
                self.network.push(Parcel::ToIsolate { isolate, life, reply, is_report, number, sent, call });
            }
            Parcel::ToIsolate { isolate, life, reply, is_report, number, sent, call } => {
                // A reply to an isolate that is gone reaches nobody; one that took too long was given up.
                if life != self.lives[isolate] {
                    return;
                }
                if is_report {
                    if self.unsent[isolate].as_ref().is_some_and(|(message, _)| message.report == number) {
                        self.unsent[isolate] = None;
                        self.purses[isolate].reported(&reply, sent);
                    }
                } else if self.clock(isolate).since(sent) < Millis(3_000) {
                    let refusal = self.purses[isolate].answered(&reply, sent);
                    if let (Some(call), None) = (call, refusal) {
                        self.begin(isolate, call);
                    }
                }
            }
        }
    }

    fn kill(&mut self, isolate: usize) {
        self.lives[isolate] += 1;
        self.purses[isolate] = Purse::new(format!("isolate-{isolate}-{}", self.lives[isolate]));
        self.unsent[isolate] = None;
        // What its calls cost in the end nobody will say; at the worst, all that they held.
        let (gone, running): (Vec<Running>, Vec<Running>) =
            std::mem::take(&mut self.running).into_iter().partition(|call| call.isolate == isolate);
        self.running = running;
        for Running { most, hour, .. } in gone {
            self.lost += most;
            *self.by_hour.entry(hour).or_default() += most;
        }
    }

    fn restart(&mut self) {
        let mut before = std::mem::take(&mut self.ledger);
        for ((kind, name), json) in &self.stored {
            let row = Row::at(kind, name).expect("a row of ours");
            self.ledger.restore(&row, json).expect("readable");
        }
        // Nothing that money depends on was known and not stored.
        assert_eq!(self.ledger.meta, before.meta);
        assert_eq!(self.ledger.standing("b", self.now), before.standing("b", self.now));
        assert_eq!(leases_and_calls(&self.ledger), leases_and_calls(&before));
    }

    /// What must hold at any moment.
    fn check(&mut self) {
        let under_way: i64 = self.running.iter().map(|call| call.most).sum();
        // What was freed may have been spent: then a late report says so.
        let most = self.highest_limit + self.released;
        if self.rule.period == Period::Total {
            let total = self.charged + self.lost + under_way;
            assert!(total <= most, "{total} of {most} could be charged");
        }
        if self.rule.period == Period::Hour {
            let hour = self.now.0 / HOUR;
            let under_way = self.running.iter().filter(|call| call.hour == hour).map(|call| call.most).sum::<i64>();
            let total = self.by_hour.get(&hour).copied().unwrap_or_default() + under_way;
            assert!(total <= most, "{total} of {most} could be charged for calls of this hour");
        }
        let standing = self.ledger.standing("b", self.now).expect("known");
        let sum = standing.spent + standing.leased;
        assert!(sum <= most, "{sum} of {most} is promised");
        assert!(standing.spent >= 0 && standing.leased >= 0, "{standing:?}");
    }

    /// Lets everything come to its end: no more calls, no more losses.
    fn settle_down(&mut self) {
        while !self.running.is_empty() {
            self.end(0, 50);
        }
        for _ in 0..8 {
            while !self.network.is_empty() {
                let parcel = self.network.remove(0);
                let again = self.running.len();
                self.deliver(parcel);
                while self.running.len() > again {
                    self.end(again, 50);
                }
            }
            self.now = self.now.plus(Millis(4_000));
            for isolate in 0..ISOLATES {
                self.report(isolate);
            }
        }
        while !self.network.is_empty() {
            let parcel = self.network.remove(0);
            self.deliver(parcel);
        }
    }
}

/// What isolates have; when they were heard of is not stored each time.
fn leases_and_calls(ledger: &Ledger) -> BTreeMap<String, Isolate> {
    let isolates = ledger.isolates.iter().filter(|(_, held)| !held.leases.is_empty() || !held.opens.is_empty());
    let had = |held: &Isolate| {
        let (leases, opens) = (held.leases.clone(), held.opens.clone());
        Isolate { leases, opens, ..Isolate::default() }
    };
    isolates.map(|(id, held)| (id.clone(), had(held))).collect()
}

fn op() -> impl Strategy<Value = Op> {
    let isolate = || 0..ISOLATES;
    prop_oneof![
        8 => (isolate(), 1i64..30).prop_map(|(isolate, most)| Op::Begin(isolate, most)),
        6 => (0..64usize, 0u8..=100).prop_map(|(which, share)| Op::End(which, share)),
        4 => isolate().prop_map(Op::Report),
        14 => (0..64usize).prop_map(Op::Deliver),
        2 => (0..64usize).prop_map(Op::Repeat),
        1 => (0..64usize).prop_map(Op::Lose),
        4 => prop_oneof![0u32..500, 0u32..8_000, 0u32..120_000].prop_map(Op::Wait),
        1 => isolate().prop_map(Op::Kill),
        1 => Just(Op::Restart),
    ]
}

fn with_limits() -> impl Strategy<Value = Op> {
    prop_oneof![30 => op(), 1 => (20i64..300).prop_map(Op::SetLimit)]
}

fn with_releases() -> impl Strategy<Value = Op> {
    prop_oneof![20 => op(), 1 => (10u64..60).prop_map(Op::Release), 2 => (0..ISOLATES).prop_map(Op::Kill)]
}

fn gentle() -> impl Strategy<Value = Op> {
    op().prop_filter("no kills", |op| !matches!(op, Op::Kill(_)))
}

fn budget(period: Period, window: Window, limit: i64) -> Budget {
    Budget {
        id: "b".into(),
        scope: Scope { kind: ScopeKind::Account, id: String::new() },
        limit: NanoUsd(limit),
        period,
        window,
        ..Budget::default()
    }
}

fn skews() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(-5_000i64..=5_000, ISOLATES)
}

proptest! {
    #[test]
    fn a_strict_budget_is_never_overspent(
        ops in proptest::collection::vec(with_limits(), 1..300), skew in skews(), limit in 20i64..300,
    ) {
        let mut world = World::new(budget(Period::Total, Window::Calendar, limit), &skew);
        for op in &ops {
            world.act(op);
        }
    }

    #[test]
    fn no_window_of_a_strict_budget_is_overspent(
        ops in proptest::collection::vec(op(), 1..300), skew in skews(), limit in 20i64..90, rolling in any::<bool>(),
    ) {
        let window = if rolling { Window::Rolling } else { Window::Calendar };
        let mut world = World::new(budget(Period::Hour, window, limit), &skew);
        // The next hour begins while leases of this one last.
        world.now.0 += if rolling { 0 } else { HOUR - 1_500 - world.now.0 % HOUR };
        for op in &ops {
            let short = if let Op::Wait(wait) = op { Op::Wait(wait % 300) } else { op.clone() };
            world.act(if rolling { op } else { &short });
            world.act(&Op::Wait(if rolling { 20_000 } else { 30 }));
        }
    }

    #[test]
    fn a_release_frees_what_died_and_nothing_twice(
        ops in proptest::collection::vec(with_releases(), 1..300), skew in skews(), limit in 20i64..300,
    ) {
        let mut world = World::new(budget(Period::Total, Window::Calendar, limit), &skew);
        for op in &ops {
            world.act(op);
        }
        world.settle_down();
        // Calls that died with their isolates are booked, and after an hour everybody who is silent is gone.
        world.now = world.now.plus(Millis(3_700_000));
        world.release(Millis(3_600_000));
        world.restart();
        let standing = world.ledger.standing("b", world.now).expect("known");
        prop_assert_eq!(standing.leased, 0, "all that died is free");
        prop_assert!(standing.spent >= world.charged - world.released, "what was told is booked");
        world.check();
        let again = world.ledger.release("b", Millis(10_000), world.now).expect("a budget");
        prop_assert_eq!(again.amount, NanoUsd::ZERO);
    }

    #[test]
    fn what_was_settled_is_counted_once_and_the_rest_is_free_again(
        ops in proptest::collection::vec(gentle(), 1..300), skew in skews(), limit in 20i64..300,
    ) {
        let mut world = World::new(budget(Period::Total, Window::Calendar, limit), &skew);
        for op in &ops {
            world.act(op);
        }
        world.settle_down();
        prop_assert!(world.purses.iter().all(|purse| purse.holding() == 0), "every hold has ended");
        let standing = world.ledger.standing("b", world.now).expect("known");
        prop_assert_eq!(standing.spent, world.charged, "each call is counted once");
        prop_assert_eq!(standing.leased, 0, "nothing is left in a drawer");
        // Whatever is left can be spent, to the last.
        let left = limit - standing.spent;
        if left > 0 {
            world.begin(0, Wish { most: left, tries: 0 });
            while !world.network.is_empty() {
                let parcel = world.network.remove(0);
                world.deliver(parcel);
            }
            prop_assert_eq!(world.running.len(), 1, "{} is left and is not given out", left);
        }
    }
}

#[test]
fn a_soft_budget_stops_where_it_is_reached() {
    let soft = Budget { enforcement: Enforcement::Soft, ..budget(Period::Total, Window::Calendar, 100) };
    let mut world = World::new(soft, &[0; ISOLATES]);
    world.highest_limit = 110;
    for _ in 0..40 {
        world.begin(0, Wish { most: 7, tries: 0 });
        while !world.network.is_empty() {
            let parcel = world.network.remove(0);
            world.deliver(parcel);
        }
        while !world.running.is_empty() {
            world.end(0, 100);
        }
        world.report(0);
    }
    assert!((100..=110).contains(&world.charged), "{} was spent", world.charged);
}

/// What a call of the key draws from.
fn draws(purse: &Purse, terms: &Terms) -> Drawn {
    purse.draws(terms, &Spender { key: &terms.key, ..Spender::default() }, &Aim::default())
}

/// Asks for one call under a limit and says whether it got through.
fn ask(ledger: &mut Ledger, purse: &mut Purse, most: Amounts, now: UnixMillis) -> Option<Hold> {
    let terms = Terms { key: "k".into(), ..Terms::default() };
    for again in [false, true, true] {
        let wanted = Wanted { request: "req", most, terms: &terms, deadline: now.plus(Millis(60_000)), again };
        match purse.take(&wanted, draws(purse, &terms).pots(), now) {
            Taken::Held(hold) => return hold,
            Taken::Ask(message) => {
                let reply = ledger.handle(message, now);
                if purse.answered(&reply, now).is_some() {
                    return None;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    None
}

fn limited(unit: Unit, per: Option<Per>, max: u64) -> Ledger {
    let mut ledger = Ledger::default();
    let scope = Scope { kind: ScopeKind::Account, id: String::new() };
    ledger.set_rule(Rule::Limit(Limit { id: "l".into(), scope, unit, per, max, ..Limit::default() }));
    ledger
}

#[test]
fn a_rate_refills_with_time() {
    let mut ledger = limited(Unit::Requests, Some(Per::Minute), 6);
    let mut purse = Purse::new("one".into());
    let one = Amounts { requests: 1, ..Amounts::default() };
    let mut now = UnixMillis(START);
    let mut passed = |ledger: &mut Ledger, now| {
        let hold = ask(ledger, &mut purse, one, now)?;
        purse.settle(hold, &one);
        Some(())
    };
    for number in 0..6 {
        assert!(passed(&mut ledger, now).is_some(), "call {number}");
    }
    assert!(passed(&mut ledger, now).is_none(), "the bucket is empty");
    now = now.plus(Millis(9_900));
    assert!(passed(&mut ledger, now).is_none(), "not quite");
    now = now.plus(Millis(200));
    assert!(passed(&mut ledger, now).is_some(), "one has come in ten seconds");
    assert!(passed(&mut ledger, now).is_none());
}

/// Calls at once, in as many isolates as there may be, hold what they may use: none of them sees an empty counter.
#[test]
fn tokens_at_once_never_pass_a_limit_however_many_isolates_ask() {
    let mut ledger = limited(Unit::Tokens, Some(Per::Minute), 1000);
    let most = Amounts { requests: 1, input_tokens: 200, output_tokens: 100, ..Amounts::default() };
    let mut purses: Vec<Purse> = (0..ISOLATES).map(|number| Purse::new(format!("isolate-{number}"))).collect();
    let now = UnixMillis(START);
    let mut held = Vec::new();
    for call in 0..9 {
        held.extend(ask(&mut ledger, &mut purses[call % ISOLATES], most, now).map(|hold| (call % ISOLATES, hold)));
    }
    assert_eq!(held.len(), 3, "three of 300 fit into 1,000");
    // What they did not use is there for others.
    for (isolate, hold) in held {
        purses[isolate].settle(hold, &Amounts { requests: 1, input_tokens: 10, ..Amounts::default() });
    }
    assert!(ask(&mut ledger, &mut purses[0], most, now).is_some());
}

#[test]
fn slots_are_free_when_calls_end_or_their_isolate_is_gone() {
    let mut ledger = limited(Unit::Parallel, None, 2);
    let one = Amounts { requests: 1, parallel: 1, ..Amounts::default() };
    let now = UnixMillis(START);
    let mut purse = Purse::new("one".into());
    let first = ask(&mut ledger, &mut purse, one, now).expect("a slot");
    ask(&mut ledger, &mut purse, one, now).expect("another");
    assert!(ask(&mut ledger, &mut purse, one, now).is_none(), "both are taken");
    purse.settle(first, &Amounts { requests: 1, ..Amounts::default() });
    ask(&mut ledger, &mut purse, one, now).expect("the slot of the call that ended");
    drop(purse);
    let mut other = Purse::new("other".into());
    assert!(ask(&mut ledger, &mut other, one, now.plus(Millis(9_000))).is_none());
    assert!(ask(&mut ledger, &mut other, one, now.plus(Millis(12_000))).is_some(), "the lease has ended");
}

#[test]
fn a_call_that_is_lost_is_booked_at_its_ceiling_until_the_truth_comes() {
    // After more than an hour of silence its isolate counts as gone.
    for later in [95_000, 2 * HOUR.unsigned_abs()] {
        is_booked_at_its_ceiling_until(Millis(later));
    }
}

fn is_booked_at_its_ceiling_until(truth: Millis) {
    let mut ledger = Ledger::default();
    ledger.set_rule(Rule::Budget(budget(Period::Total, Window::Calendar, 100)));
    let mut purse = Purse::new("one".into());
    let now = UnixMillis(START);
    ledger.set_terms(Terms { key: "k".into(), team: Some("t".into()), updated_at: now, ..Terms::default() });
    let most = Amounts { cost: NanoUsd(30), ..Amounts::default() };
    let hold = ask(&mut ledger, &mut purse, most, now).expect("held");
    let reply = ledger.handle(purse.report(now), now);
    purse.reported(&reply, now);
    assert_eq!(ledger.next_sweep(), Some(now.plus(Millis(90_000))));
    let later = now.plus(truth);
    ledger.sweep(later);
    let booked = ledger.take_committed();
    assert_eq!((booked.len(), booked[0].cost, ledger.standing("b", later).map(|it| it.spent)), (1, 30, Some(30)));
    assert_eq!(booked[0].team.as_deref(), Some("t"), "its team is charged, too");
    purse.settle(hold, &Amounts { cost: NanoUsd(12), ..Amounts::default() });
    let reply = ledger.handle(purse.report(later), later);
    purse.reported(&reply, later);
    assert_eq!(ledger.take_committed().iter().map(|it| it.cost).collect::<Vec<_>>(), [-30]);
    assert_eq!(ledger.standing("b", later).map(|it| it.spent), Some(12));
}

#[test]
fn a_revoked_key_stops_within_the_term() {
    let mut ledger = Ledger::default();
    let mut purse = Purse::new("one".into());
    let now = UnixMillis(START);
    assert!(ask(&mut ledger, &mut purse, Amounts::default(), now).is_none(), "no rule: nothing to hold");
    let ended = Some(crate::budget::Ended::Revoked);
    ledger.set_terms(Terms { key: "k".into(), updated_at: now, ended, ..Terms::default() });
    let reply = ledger.handle(purse.report(now), now);
    purse.reported(&reply, now);
    assert_eq!(purse.ended("k"), ended);
}

#[test]
fn kill_switches_travel_with_leases_and_are_kept() {
    let mut ledger = Ledger::default();
    let mut purse = Purse::new("one".into());
    let now = UnixMillis(START);
    assert!(ask(&mut ledger, &mut purse, Amounts::default(), now).is_none(), "no rule: nothing to hold");
    assert_eq!(purse.take_switches(), None, "nothing was ever decided");
    let order = |action| Order { action, subject: "openai".into(), until: None, reason: None };
    ledger.order(&order(Action::Block), now).expect("taken");
    let mut restored = Ledger::default();
    for (row, json) in ledger.take_changes() {
        json.map_or(Ok(()), |json| restored.restore(&row, &json)).expect("readable");
    }
    let reply = restored.handle(purse.report(now), now);
    purse.reported(&reply, now);
    let told = purse.take_switches().expect("news");
    assert_eq!(told.iter().map(|switch| switch.subject.as_str()).collect::<Vec<_>>(), ["openai"]);
    let reply = restored.handle(purse.report(now), now);
    assert_eq!(reply.switches, None, "told once");
    restored.order(&order(Action::Reset), now).expect("taken");
    let reply = restored.handle(purse.report(now), now);
    purse.reported(&reply, now);
    assert_eq!(purse.take_switches(), Some(Vec::new()));
}
