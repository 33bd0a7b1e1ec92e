//! Two teams with ledgers of their own under one account, as a model: whatever gets lost, comes twice or late.

use proptest::prelude::*;

use super::*;
use crate::budget::{Budget, KeyNews, Ledger, Match, Part, Period, Rules, Scope, ScopeKind};
use crate::units::Millis;

const TEAMS: [&str; 2] = ["team_own_1", "team_own_2"];
const ISOLATES: usize = 2;
const START: i64 = 1_790_000_000_000;

#[derive(Clone, Debug)]
enum Op {
    Begin { isolate: usize, team: usize, most: i64 },
    End { call: usize, share: u8 },
    Report { isolate: usize, ledger: usize },
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Wait(u32),
    Kill(usize),
    Limit(i64),
}

#[derive(Clone)]
enum Parcel {
    ToLedger { isolate: usize, life: u32, team: Option<&'static str>, message: Message, sent: UnixMillis },
    ToIsolate { isolate: usize, life: u32, team: Option<&'static str>, reply: Reply, report: u64, sent: UnixMillis },
}

struct Running {
    isolate: usize,
    team: usize,
    holds: Holds,
    most: i64,
    deadline: UnixMillis,
}

struct World {
    account: Ledger,
    teams: Vec<Ledger>,
    isolates: Vec<Purses>,
    lives: Vec<u32>,
    /// The report that an isolate has not seen answered, by isolate and ledger.
    unsent: Vec<[Option<(Message, UnixMillis)>; 3]>,
    network: Vec<Parcel>,
    running: Vec<Running>,
    now: UnixMillis,
    /// What was charged for, or may be by calls of isolates that died, by team.
    charged: [i64; 2],
    highest: i64,
    of_team: i64,
    refused: usize,
    begun: u64,
}

fn budget(id: &str, kind: ScopeKind, scope: &str, limit: i64) -> Rule {
    let scope = Scope { kind, id: scope.to_owned() };
    Rule::Budget(Budget { id: id.to_owned(), scope, limit: NanoUsd(limit), period: Period::Total, ..Budget::default() })
}

impl World {
    fn new(limit: i64, of_team: i64) -> World {
        let mut account = Ledger::default();
        account.set_rule(budget("all", ScopeKind::Account, "", limit));
        let mut teams = vec![Ledger::default(), Ledger::default()];
        for (ledger, team) in teams.iter_mut().zip(TEAMS) {
            ledger.set_rule(budget("own", ScopeKind::Team, team, of_team));
        }
        World {
            account,
            teams,
            isolates: (0..ISOLATES).map(|number| Purses::new(format!("iso_{number}"))).collect(),
            lives: vec![0; ISOLATES],
            unsent: vec![[None, None, None]; ISOLATES],
            network: Vec::new(),
            running: Vec::new(),
            now: UnixMillis(START),
            charged: [0; 2],
            highest: limit,
            of_team,
            refused: 0,
            begun: 0,
        }
    }

    fn begin(&mut self, isolate: usize, team: usize, most: i64) {
        self.begun += 1;
        let (request, key) = (format!("req_{}", self.begun), format!("key_{team}"));
        let (id, at) = (TEAMS[team], self.now);
        let deadline = at.plus(Millis(60_000));
        let terms = Terms { key: key.clone(), team: Some(id.to_owned()), part: Part::Own, ..Terms::default() };
        let wanted = Wanted {
            request: &request,
            most: Amounts { cost: NanoUsd(most), requests: 1, ..Amounts::default() },
            terms: &terms,
            deadline,
            again: false,
        };
        let mut asked = None;
        let draws = draws(&self.isolates[isolate], &terms);
        match self.isolates[isolate].take(&wanted, &draws, &mut asked, at) {
            Taken::Held(holds) => {
                let holds = holds.expect("two budgets count it");
                assert!(holds.account.is_some() && holds.team.is_some(), "both, or neither");
                self.running.push(Running { isolate, team, holds, most, deadline });
            }
            Taken::Ask(message) => {
                let team = asked.map(|_| id);
                self.network.push(Parcel::ToLedger { isolate, life: self.lives[isolate], team, message, sent: at });
            }
            Taken::Wait(_) | Taken::Away | Taken::Ended(_) => {}
        }
    }

    fn end(&mut self, call: usize, share: u8) {
        let Running { isolate, team, holds, most, .. } = self.running.swap_remove(call);
        let cost = most * i64::from(share.min(100)) / 100;
        self.charged[team] += cost;
        let used = Amounts { cost: NanoUsd(cost), requests: 1, ..Amounts::default() };
        self.isolates[isolate].settle(&holds, &used);
    }

    fn report(&mut self, isolate: usize, ledger: usize) {
        let team = ledger.checked_sub(1).map(|team| TEAMS[team]);
        let now = self.now;
        let purses = &mut self.isolates[isolate];
        let (message, sent) =
            self.unsent[isolate][ledger].get_or_insert_with(|| (purses.report(team, now), now)).clone();
        self.network.push(Parcel::ToLedger { isolate, life: self.lives[isolate], team, message, sent });
    }

    fn ledger(&mut self, team: Option<&str>) -> &mut Ledger {
        match team {
            None => &mut self.account,
            Some(team) => &mut self.teams[usize::from(team == TEAMS[1])],
        }
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToLedger { isolate, life, team, message, sent } => {
                let (now, report) = (self.now, message.report);
                let json = serde_json::to_string(&message).expect("JSON");
                let reply = self.ledger(team).handle(crate::json::from_str(&json).expect("a message"), now);
                self.network.push(Parcel::ToIsolate { isolate, life, team, reply, report, sent });
            }
            Parcel::ToIsolate { isolate, life, team, reply, report, sent } => {
                if life != self.lives[isolate] {
                    return;
                }
                let ledger = team.map_or(0, |team| 1 + usize::from(team == TEAMS[1]));
                if report > 0 {
                    if self.unsent[isolate][ledger].as_ref().is_some_and(|(message, _)| message.report == report) {
                        self.unsent[isolate][ledger] = None;
                        self.isolates[isolate].reported(team, &reply, sent);
                    }
                } else if self.now.since(sent) < Millis(3_000) {
                    let refusal = self.isolates[isolate].answered(team, &reply, sent);
                    self.refused += usize::from(refusal.is_some());
                }
            }
        }
    }

    fn kill(&mut self, isolate: usize) {
        self.lives[isolate] += 1;
        self.isolates[isolate] = Purses::new(format!("iso_{isolate}_{}", self.lives[isolate]));
        self.unsent[isolate] = [None, None, None];
        let (gone, running): (Vec<Running>, Vec<Running>) =
            std::mem::take(&mut self.running).into_iter().partition(|call| call.isolate == isolate);
        self.running = running;
        for Running { team, most, .. } in gone {
            self.charged[team] += most;
        }
    }

    fn act(&mut self, op: &Op) {
        let count = self.network.len();
        match *op {
            Op::Begin { isolate, team, most } => self.begin(isolate, team, most),
            Op::End { call, share } if !self.running.is_empty() => self.end(call % self.running.len(), share),
            Op::Report { isolate, ledger } => self.report(isolate, ledger),
            Op::Deliver(at) if count > 0 => {
                let parcel = self.network.swap_remove(at % count);
                self.deliver(parcel);
            }
            Op::Repeat(at) if count > 0 => {
                let parcel = self.network[at % count].clone();
                self.deliver(parcel);
            }
            Op::Lose(at) if count > 0 => drop(self.network.swap_remove(at % count)),
            Op::Wait(wait) => {
                self.now = self.now.plus(Millis(u64::from(wait)));
                // No call goes on behind its deadline: what it held would be charged, and nobody hears of it again.
                while let Some(over) = self.running.iter().position(|call| call.deadline <= self.now) {
                    self.end(over, 100);
                }
            }
            Op::Kill(isolate) => self.kill(isolate),
            Op::Limit(limit) => {
                self.highest = self.highest.max(limit);
                self.account.set_rule(budget("all", ScopeKind::Account, "", limit));
            }
            _ => {}
        }
        self.check();
    }

    /// What was charged, and what may yet be: never more than a limit, neither of a team nor of the account.
    fn check(&mut self) {
        let mut sum = 0;
        for team in 0..2 {
            let running: i64 = self.running.iter().filter(|call| call.team == team).map(|call| call.most).sum();
            let exposed = self.charged[team] + running;
            assert!(exposed <= self.of_team, "team {team}: {exposed} of {}", self.of_team);
            sum += exposed;
        }
        assert!(sum <= self.highest, "the account: {sum} of {}", self.highest);
        let now = self.now;
        let standing = self.account.standing("all", now).expect("known");
        assert!(standing.spent + standing.leased <= self.highest, "{standing:?}");
    }

    /// All calls end, all that is under way arrives, and everything is reported and given back.
    fn settle_down(&mut self) {
        while !self.running.is_empty() {
            self.end(0, 50);
        }
        for _ in 0..8 {
            for isolate in 0..ISOLATES {
                (0..3).for_each(|ledger| self.report(isolate, ledger));
            }
            while !self.network.is_empty() {
                let parcel = self.network.remove(0);
                self.deliver(parcel);
            }
            self.now = self.now.plus(Millis(4_000));
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let isolate = || 0..ISOLATES;
    prop_oneof![
        12 => (isolate(), 0..2usize, 1i64..20).prop_map(|(isolate, team, most)| Op::Begin { isolate, team, most }),
        8 => (0..64usize, 0u8..=100).prop_map(|(call, share)| Op::End { call, share }),
        6 => (isolate(), 0..3usize).prop_map(|(isolate, ledger)| Op::Report { isolate, ledger }),
        16 => (0..64usize).prop_map(Op::Deliver),
        2 => (0..64usize).prop_map(Op::Repeat),
        1 => (0..64usize).prop_map(Op::Lose),
        3 => prop_oneof![0u32..500, 0u32..8_000, 0u32..60_000].prop_map(Op::Wait),
    ]
}

fn rough() -> impl Strategy<Value = Op> {
    prop_oneof![30 => op(), 1 => (0..ISOLATES).prop_map(Op::Kill), 1 => (40i64..300).prop_map(Op::Limit)]
}

proptest! {
    #[test]
    fn teams_together_never_spend_more_than_the_account_has(
        ops in proptest::collection::vec(rough(), 1..400), limit in 40i64..300, of_team in 20i64..300,
    ) {
        let mut world = World::new(limit, of_team);
        for op in &ops {
            world.act(op);
        }
    }

    #[test]
    fn each_call_is_counted_once_in_each_ledger_and_the_rest_is_free_again(
        ops in proptest::collection::vec(op(), 1..300), limit in 40i64..300, of_team in 20i64..300,
    ) {
        let mut world = World::new(limit, of_team);
        for op in &ops {
            world.act(op);
        }
        world.settle_down();
        let now = world.now;
        let account = world.account.standing("all", now).expect("known");
        prop_assert_eq!((account.spent, account.leased), (world.charged.iter().sum::<i64>(), 0));
        for team in 0..2 {
            let own = world.teams[team].standing("own", now).expect("known");
            prop_assert_eq!((own.spent, own.leased), (world.charged[team], 0), "team {}", team);
        }
        // All that is left of the account can be spent by one of them, as far as its own budget goes.
        let left = (limit - account.spent).min(of_team - world.charged[0]);
        if left > 0 {
            for _ in 0..6 {
                if world.running.is_empty() {
                    world.begin(0, 0, left);
                }
                while !world.network.is_empty() {
                    let parcel = world.network.remove(0);
                    world.deliver(parcel);
                }
            }
            prop_assert_eq!(world.running.len(), 1, "{} is left and is not given out", left);
        }
    }
}

#[test]
fn what_the_account_refuses_is_held_nowhere() {
    let mut world = World::new(10, 100);
    for _ in 0..6 {
        world.begin(0, 0, 50);
        while !world.network.is_empty() {
            let parcel = world.network.remove(0);
            world.deliver(parcel);
        }
    }
    assert!(world.refused > 0 && world.running.is_empty());
    assert_eq!(world.isolates[0].holding(), 0);
}

#[test]
fn a_call_that_is_heard_of_no_more_has_one_row() {
    let mut world = World::new(100, 100);
    for _ in 0..6 {
        if world.running.is_empty() {
            world.begin(0, 0, 10);
        }
        while !world.network.is_empty() {
            let parcel = world.network.remove(0);
            world.deliver(parcel);
        }
    }
    assert_eq!(world.running.len(), 1);
    (0..2).for_each(|ledger| world.report(0, ledger));
    while !world.network.is_empty() {
        let parcel = world.network.remove(0);
        world.deliver(parcel);
    }
    world.kill(0);
    let later = world.now.plus(Millis(3_000_000));
    world.account.sweep(later);
    world.teams[0].sweep(later);
    assert_eq!((world.account.take_committed().len(), world.teams[0].take_committed().len()), (0, 1));
    let spent = |ledger: &mut Ledger, rule| ledger.standing(rule, later).expect("known").spent;
    assert_eq!((spent(&mut world.account, "all"), spent(&mut world.teams[0], "own")), (10, 10), "each counts it");
}

/// What a call of a team's key draws from.
fn draws(purses: &Purses, terms: &Terms) -> Draws {
    let spender = Spender { key: &terms.key, team: terms.team.as_deref(), ..Spender::default() };
    purses.draws(terms, &spender, &Aim::default())
}

/// What a call of a team's key wants.
fn wanting<'a>(terms: &'a Terms, at: UnixMillis) -> Wanted<'a> {
    Wanted {
        request: "req_1",
        most: Amounts { cost: NanoUsd(10), requests: 1, ..Amounts::default() },
        terms,
        deadline: at.plus(Millis(60_000)),
        again: false,
    }
}

fn terms_of(team: &str) -> Terms {
    Terms { key: format!("key_of_{team}"), team: Some(team.to_owned()), part: Part::Own, ..Terms::default() }
}

#[test]
fn a_purse_that_waits_for_its_ledger_is_not_put_away() {
    let mut purses = Purses::new("iso".to_owned());
    let mut begin = |number: usize, at: UnixMillis| {
        let terms = terms_of(&format!("team_own_{number}"));
        let draws = draws(&purses, &terms);
        assert!(matches!(purses.take(&wanting(&terms, at), &draws, &mut None, at), Taken::Ask(_)), "{number}");
        purses.teams().count()
    };
    let now = UnixMillis(START);
    assert_eq!((0..=MOST_AT_HAND).map(|number| begin(number, now)).max(), Some(MOST_AT_HAND + 1));
    assert_eq!(begin(1_000, now.plus(Millis(60_000))), 1, "those that nobody will answer any more");
}

#[test]
fn while_the_ledger_of_a_team_is_away_that_of_the_account_is_asked_as_ever() {
    let now = UnixMillis(START);
    let mut account = Ledger::default();
    account.set_rule(budget("all", ScopeKind::Account, "", 1_000));
    let mut purses = Purses::new("iso".to_owned());
    let mut terms = terms_of(TEAMS[0]);
    let Rule::Budget(own) = budget("of_key", ScopeKind::Key, &terms.key, 100_000) else { unreachable!() };
    terms.budgets.push(own);
    let (wanted, mut asked) = (wanting(&terms, now), None);
    let first = draws(&purses, &terms);
    assert!(matches!(purses.take(&wanted, &first, &mut asked, now), Taken::Ask(_)) && asked.is_some());
    purses.unanswered(asked.as_deref(), now);
    for _ in 0..20 {
        let draws = draws(&purses, &terms);
        assert!(matches!(purses.take(&wanted, &draws, &mut asked, now), Taken::Away));
        match purses.take_on_credit(&wanted, &draws, &mut asked, now).expect("credit of the team's budget") {
            Taken::Ask(message) => {
                assert_eq!(asked, None, "the account's is asked");
                assert!(purses.answered(None, &account.handle(message, now), now).is_none());
            }
            Taken::Held(holds) => {
                let holds = holds.expect("two budgets count it");
                assert!(holds.account.is_some() && holds.team.is_some(), "both, or neither");
                purses.settle(&holds, &Amounts { cost: NanoUsd(10), requests: 1, ..Amounts::default() });
            }
            other => panic!("{other:?}"),
        }
    }
    let standing = account.standing("all", now).expect("known");
    assert!(standing.leased > 0, "what is spent of the account's budget comes from leases: {standing:?}");
}

#[test]
fn only_ids_that_say_so_have_a_ledger_of_their_own() {
    for (team, own) in
        [(None, false), (Some("team_01k"), false), (Some("team_owner"), false), (Some("team_own_1"), true)]
    {
        assert_eq!(ledger_of(team).is_some(), own, "{team:?}");
    }
}

#[test]
fn what_calls_of_a_key_draw_from_follows_its_rules_and_its_team() {
    let rules = |rules: Vec<Rule>| {
        let budgets =
            rules.into_iter().filter_map(|rule| if let Rule::Budget(budget) = rule { Some(budget) } else { None });
        Some(Rules { budgets: budgets.collect(), limits: Vec::new() })
    };
    let (mut purse, terms) = (Purse::new("iso".into()), Terms { key: "k".into(), ..Terms::default() });
    let hear = |purse: &mut Purse, revision, rules| {
        let news = KeyNews { key: "k".into(), revision, ended: None, rules };
        purse.answered(&Reply { term: Millis(10_000), keys: vec![news], ..Reply::default() }, UnixMillis(START));
    };
    let pots = |purse: &Purse, spender: Spender<'_>, model| {
        let drawn = purse.draws(&terms, &spender, &Aim { model, ..Aim::default() });
        drawn.pots().iter().map(|draw| draw.pot.to_string()).collect::<Vec<_>>()
    };
    let spender = |team, user| Spender { key: "k", team, user, ..Spender::default() };
    let (key, team) = (budget("key", ScopeKind::Key, "k", 1), budget("team", ScopeKind::Team, "*", 1));
    hear(&mut purse, 1, rules(vec![key.clone(), team.clone()]));
    assert_eq!(pots(&purse, spender(None, None), "m"), ["key"]);
    assert_eq!(pots(&purse, spender(Some("red"), None), "m"), ["key", "team/red"]);
    assert_eq!(pots(&purse, spender(Some("blue"), None), "m"), ["key", "team/blue"]);
    hear(&mut purse, 2, rules(vec![key.clone()]));
    assert_eq!(pots(&purse, spender(Some("red"), None), "m"), ["key"], "the rules are others");
    hear(&mut purse, 3, rules(vec![key.clone(), budget("user", ScopeKind::User, "*", 1)]));
    assert_eq!(pots(&purse, spender(None, Some("ann")), "m"), ["key", "user/ann"]);
    assert_eq!(pots(&purse, spender(None, Some("bob")), "m"), ["key", "user/bob"]);
    let Rule::Budget(of_model) = key else { return };
    let matches = Match { model: Some("dear".into()), ..Match::default() };
    hear(&mut purse, 4, rules(vec![Rule::Budget(Budget { matches, ..of_model })]));
    assert_eq!(pots(&purse, spender(None, None), "cheap"), Vec::<String>::new());
    assert_eq!(pots(&purse, spender(None, None), "dear"), ["key"]);
}

#[test]
fn what_was_held_on_credit_is_of_the_lease_that_came_after_it() {
    let rule = budget("b", ScopeKind::Key, "k", 1_000);
    let Rule::Budget(hourly) = rule else { return };
    let hourly = Budget { period: Period::Hour, ..hourly };
    let terms = Terms { key: "k".into(), budgets: vec![hourly], ..Terms::default() };
    let (mut ledger, mut purse, mut now) = (Ledger::default(), Purse::new("iso".into()), UnixMillis(START));
    let wanted = |now: UnixMillis| Wanted {
        request: "req",
        most: Amounts { cost: NanoUsd(10), ..Amounts::default() },
        terms: &terms,
        deadline: now.plus(Millis(7_200_000)),
        again: false,
    };
    let used = |cost| Amounts { cost: NanoUsd(cost), ..Amounts::default() };
    let spender = Spender { key: "k", ..Spender::default() };
    let draws = purse.draws(&terms, &spender, &Aim::default());
    assert!(matches!(purse.take(&wanted(now), draws.pots(), now), Taken::Ask(_)));
    purse.unanswered(now);
    let on_credit = purse.take_on_credit(&wanted(now), draws.pots()).expect("within the credit").expect("held");
    // The ledger is back, and an hour later the next window has a lease of its own.
    for wait in [3_000, 3_600_000] {
        now = now.plus(Millis(wait));
        let hold = loop {
            match purse.take(&wanted(now), draws.pots(), now) {
                Taken::Held(hold) => break hold.expect("a budget counts it"),
                Taken::Ask(message) => assert!(purse.answered(&ledger.handle(message, now), now).is_none()),
                other => panic!("{other:?}"),
            }
        };
        purse.settle(hold, &used(1));
    }
    purse.settle(on_credit, &used(4));
    for _ in 0..3 {
        let message = purse.report(now);
        purse.reported(&ledger.handle(message, now), now);
        now = now.plus(Millis(4_000));
    }
    assert!(!purse.owes_report(), "all has been told: {purse:?}");
    let standing = ledger.standing("b", now).expect("known");
    assert_eq!((standing.spent, standing.leased), (1, 0), "the rest was spent in the hour before");
}

#[test]
fn what_is_left_is_shared_among_all_that_hold_something_of_it() {
    let Rule::Budget(hourly) = budget("b", ScopeKind::Key, "k", 1_000) else { unreachable!() };
    let hourly = Budget { period: Period::Hour, ..hourly };
    let terms = Terms { key: "k".into(), budgets: vec![hourly], ..Terms::default() };
    let (mut ledger, mut purses, mut now) = (Ledger::default(), Purses::new("iso".into()), UnixMillis(START));
    let mut hold = |purses: &mut Purses, now: UnixMillis| loop {
        let draws = draws(purses, &terms);
        match purses.take(&wanting(&terms, now), &draws, &mut None, now) {
            Taken::Held(holds) => break holds.expect("a budget counts it"),
            Taken::Ask(message) => assert!(purses.answered(None, &ledger.handle(message, now), now).is_none()),
            other => panic!("{other:?}"),
        }
    };
    let share = |purses: &Purses| purses.fair_share(&draws(purses, &terms), None);
    assert_eq!(share(&purses), None, "nothing is known yet");
    let first = hold(&mut purses, now);
    assert_eq!(share(&purses), Some(NanoUsd(500)));
    let second = hold(&mut purses, now);
    assert_eq!(share(&purses), Some(NanoUsd(333)));
    // An hour later the budget has another lease, and who holds something of the one before is still under way.
    now = now.plus(Millis(3_600_000));
    let third = hold(&mut purses, now);
    assert_eq!(share(&purses), Some(NanoUsd(250)));
    for (holds, shared) in [(&first, 333), (&third, 500), (&second, 1_000)] {
        purses.settle(holds, &Amounts::default());
        assert_eq!(share(&purses), Some(NanoUsd(shared)));
    }
}
