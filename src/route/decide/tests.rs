use std::rc::Rc;

use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assume, prop_compose, proptest};

use super::*;
use crate::keys::ModelPattern;
use crate::provider::{Bucket, Capabilities, Price, Rates};
use crate::route::alias::Balance;
use crate::route::classify::Kind;
use crate::route::contender::Traits;
use crate::route::demands::MaxPrice;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn price(input: i64, output: i64) -> Rc<Price> {
    let mut rates = Rates::default();
    rates.set(Bucket::Input, NanoUsd(input * 1_000_000));
    rates.set(Bucket::Output, NanoUsd(output * 1_000_000));
    rates.set(Bucket::CacheRead, NanoUsd(input * 100_000));
    Rc::new(Price { rates, ..Price::default() })
}

/// A contender whose input costs so many thousandths of a dollar a million, its output four times that.
fn contender(name: &str, input: i64) -> Contender {
    Contender {
        provider: Rc::from(name),
        model: Rc::from("m"),
        target: Rc::from(format!("{name}/m")),
        source: 0,
        rank: 0,
        weight: 1,
        context: None,
        capabilities: None,
        retires: None,
        price: Some(price(input, input * 4)),
        traits: Rc::new(Traits::default()),
        difficulty: (1, 5),
        kinds: Vec::new(),
        when: crate::route::condition::Condition::Always,
    }
}

fn pace(p50: u64, p95: u64) -> Figures {
    Figures { first_token_p50: Some(Millis(p50)), first_token_p95: Some(Millis(p95)), ..Figures::default() }
}

#[derive(Debug)]
struct Case {
    contenders: Vec<Contender>,
    figures: Vec<Figures>,
    demands: Demands,
    policy: Policy,
}

impl Case {
    fn new(strategy: Strategy, prices: &[i64], figures: &[Figures]) -> Case {
        let names = ["a", "b", "c", "d", "e"];
        let contenders: Vec<Contender> =
            prices.iter().zip(names).map(|(price, name)| contender(name, *price)).collect();
        let mut figures = figures.to_vec();
        figures.resize(contenders.len(), Figures::default());
        Case { contenders, figures, demands: Demands::default(), policy: Policy { strategy, ..Policy::default() } }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            input_tokens: 1_000,
            plain: false,
            output_tokens: 200,
            needs: 0,
            demands: &self.demands,
            policy: &self.policy,
            session: None,
            class: None,
            budget: None,
            incumbent: None,
            warm: None,
            preferred: Preferred::default(),
            service_tier: None,
            seed: 1,
            explains: false,
            now: NOW,
        }
    }

    fn decide(&self, change: impl Fn(&mut Situation<'_>)) -> Decision {
        let mut situation = self.situation();
        change(&mut situation);
        decide(&situation, &self.contenders, &self.figures, &|_| None)
    }

    fn order(&self, change: impl Fn(&mut Situation<'_>)) -> String {
        let order = self.decide(change).order;
        order.iter().map(|ranked| self.contenders[ranked.contender].provider.to_string()).collect()
    }
}

#[test]
fn each_strategy_orders_by_its_own_measure() {
    let figures = [pace(900, 1_500), pace(200, 400), pace(500, 700)];
    let order = |strategy| Case::new(strategy, &[20, 30, 10], &figures).order(|_| ());
    assert_eq!(order(Strategy::Ordered), "abc");
    assert_eq!(order(Strategy::Cheapest), "cab");
    assert_eq!(order(Strategy::Fastest), "bca");
    let new = Figures { first_token_p95: None, ..pace(300, 300) };
    let beside_new = Case::new(Strategy::Fastest, &[1, 1], &[new, pace(400, 400)]);
    assert_eq!(beside_new.order(|_| ()), "ba", "too few answers for a tail: it is taken for twice the middle");
    let speeds = [10.0, 20.0, 300.0].map(|speed| Figures { tokens_per_second: Some(speed), ..pace(200, 300) });
    assert_eq!(Case::new(Strategy::Throughput, &[1, 1, 1], &speeds).order(|_| ()), "cba");
    let wholes = [30.0, 60.0, 20.0].map(Some);
    let mut case = Case::new(Strategy::Throughput, &[1, 1, 1], &speeds);
    case.figures.iter_mut().zip(wholes).for_each(|(seen, whole)| seen.whole_tokens_per_second = whole);
    assert_eq!((case.order(|_| ()).as_str(), case.order(|situation| situation.plain = true).as_str()), ("cba", "bac"));
    assert_eq!(Case::new(Strategy::FastestTotal, &[1, 1, 1], &speeds).order(|_| ()), "cba");
    let busy = [5, 0, 2].map(|in_flight| Figures { in_flight, ..Figures::default() });
    let mut case = Case::new(Strategy::LeastBusy, &[1, 1, 1], &busy);
    assert_eq!(case.order(|_| ()), "bca");
    case.figures = vec![Figures::default(); 3];
    case.contenders[2].weight = 2;
    assert_eq!(case.order(|_| ()), "cab", "of those with nothing to do the heaviest is asked");
}

#[test]
fn a_plain_call_goes_by_when_the_whole_answer_is_there() {
    let seen = |first: u64, whole: u64| Figures {
        whole_p50: Some(Millis(whole)),
        whole_p95: Some(Millis(whole * 2)),
        ..pace(first, first * 2)
    };
    // The second is slow to begin and soon done; of the third only streams were seen, of which 200 tokens take 2,300 ms.
    let streamed = Figures { tokens_per_second: Some(100.0), ..pace(200, 400) };
    let mut case = Case::new(Strategy::Fastest, &[1, 1, 1], &[seen(100, 9_000), seen(900, 1_000), streamed]);
    let plain = |situation: &mut Situation<'_>| situation.plain = true;
    assert_eq!((case.order(|_| ()).as_str(), case.order(plain).as_str()), ("acb", "bca"));
    case.policy.latency_budget.total = Some(Millis(2_000));
    assert_eq!(case.decide(plain).excluded, [(0, Exclusion::Latency), (2, Exclusion::Latency)]);
    case.policy = Policy { strategy: Strategy::Balanced, ..Policy::default() };
    let decision = case.decide(plain);
    assert_eq!(decision.order.iter().map(|ranked| (ranked.contender, ranked.group)).max(), Some((2, 0)));
    let slow = decision.order.iter().find(|ranked| ranked.contender == 0);
    assert_eq!(slow.map(|ranked| ranked.group), Some(1), "it is more than twice as slow as the middle one");
}

#[test]
fn the_cheapest_is_the_cheapest_for_this_call() {
    let mut case = Case::new(Strategy::Cheapest, &[10, 20], &[]);
    // The first is cheap to read and dear to write.
    case.contenders[0].price = Some(price(10, 400));
    assert_eq!(case.order(|situation| situation.output_tokens = 5), "ab");
    assert_eq!(case.order(|situation| situation.output_tokens = 1_000), "ba");
    case.contenders[1].price = None;
    assert_eq!(case.order(|situation| situation.output_tokens = 1_000), "ab", "an unknown price is not a low one");
}

#[test]
fn a_warm_cache_is_left_only_where_that_pays() {
    let case = Case::new(Strategy::Cheapest, &[20, 10], &[]);
    let warm = |tokens| Some(Warm { contender: 0, tokens });
    assert_eq!(case.order(|situation| situation.warm = warm(100)), "ba", "a small cache saves little");
    let cached = |situation: &mut Situation<'_>| {
        situation.input_tokens = 10_000;
        situation.warm = warm(9_900);
    };
    assert_eq!(case.order(cached), "ab", "a tenth of the price for nearly all of it");
    let fast = Case::new(Strategy::Fastest, &[1, 1], &[pace(500, 800), pace(300, 500)]);
    assert_eq!(fast.order(|situation| situation.warm = warm(500)), "ab");
    let slow = Case::new(Strategy::Fastest, &[1, 1], &[pace(900, 1_800), pace(300, 500)]);
    assert_eq!(slow.order(|situation| situation.warm = warm(500)), "ba", "more than twice as slow");
    let drawn = |case: &Case| case.order(|_| ()).starts_with('b');
    let mut balanced = Case::new(Strategy::Balanced, &[10, 10], &[]);
    let second = |situation: &mut Situation<'_>| situation.warm = Some(Warm { contender: 1, tokens: 900 });
    assert!(!drawn(&balanced), "chance has the first");
    assert_eq!(balanced.order(second), "ba");
    balanced.contenders[1].price = Some(price(100, 400));
    assert_eq!(balanced.order(second), "ab", "where it is dear, even with its cache, it is left");
    let mut explored = Case::new(Strategy::Ordered, &[1, 1], &[]);
    explored.policy.explore = 1.0;
    assert_eq!(explored.order(|_| ()), "ba");
    assert_eq!(explored.order(|situation| situation.warm = warm(500)), "ab", "no cache is left to find something out");
    explored.contenders[1].rank = 1;
    assert_eq!(explored.order(|_| ()), "ab", "nor is the model that the call names first");
    let loose = Policy { sticky: false, ..fast.policy.clone() };
    assert_eq!(Case { policy: loose, ..fast }.order(|situation| situation.warm = warm(500)), "ba");
}

#[test]
fn calls_stay_where_they_go_unless_another_is_better_by_the_margin() {
    let near = Case::new(Strategy::Fastest, &[1, 1], &[pace(400, 540), pace(380, 500)]);
    assert_eq!(near.order(|_| ()), "ba");
    assert_eq!(near.order(|situation| situation.incumbent = Some(0)), "ab", "a tenth is noise");
    let far = Case::new(Strategy::Fastest, &[1, 1], &[pace(400, 700), pace(300, 500)]);
    assert_eq!(far.order(|situation| situation.incumbent = Some(0)), "ba");
    let speeds = [90.0, 100.0].map(|speed| Figures { tokens_per_second: Some(speed), ..Figures::default() });
    let throughput = Case::new(Strategy::Throughput, &[1, 1], &speeds);
    assert_eq!(throughput.order(|situation| situation.incumbent = Some(0)), "ab");
}

#[test]
fn a_latency_budget_excludes_or_says_that_none_makes_it() {
    let mut case = Case::new(Strategy::Ordered, &[1, 1, 1], &[pace(900, 3_000), pace(900, 1_900), pace(500, 1_000)]);
    case.policy.latency_budget.first_token = Some(Millis(2_000));
    let decision = case.decide(|_| ());
    assert_eq!(decision.excluded, [(0, Exclusion::Latency)]);
    assert_eq!(case.order(|_| ()), "bc");
    case.policy.latency_budget.first_token = Some(Millis(500));
    let decision = case.decide(|_| ());
    assert!(decision.latency_unmet && decision.excluded.is_empty());
    assert_eq!(case.order(|_| ()), "cba", "the best is tried");
    case.policy.latency_budget.first_token = Some(Millis(2_000));
    for figures in &mut case.figures[1..] {
        figures.blocked_until = Some(UnixMillis(NOW.0 + 1));
    }
    let decision = case.decide(|_| ());
    assert!(decision.latency_unmet && decision.excluded.is_empty(), "those that would make it may not be asked");
    assert_eq!(case.order(|_| ()), "acb");
    let talks = [(900, 100.0), (300, 20.0)]
        .map(|(first, speed)| Figures { tokens_per_second: Some(speed), ..pace(first, first) });
    let mut case = Case::new(Strategy::Ordered, &[1, 1], &[talks[1], talks[0]]);
    case.policy.latency_budget.total = Some(Millis(2_000));
    assert_eq!(case.order(|_| ()), "ba", "the soonest to its end");
}

#[test]
fn what_is_blocked_comes_last_and_is_not_dropped() {
    let blocked = Figures { blocked_until: Some(UnixMillis(NOW.0 + 1)), ..pace(1, 1) };
    for (_, strategy) in Strategy::NAMES {
        let case = Case::new(strategy, &[1, 10, 20], &[blocked, pace(300, 500), pace(300, 500)]);
        let order = case.order(|_| ());
        assert!(order.len() == 3 && order.ends_with('a'), "{strategy:?}: {order}");
    }
    let mut case = Case::new(Strategy::Ordered, &[1, 1, 1], &[blocked]);
    case.contenders[2].rank = 1;
    assert_eq!(case.order(|_| ()), "bca", "also behind those of the next model that the call names");
}

#[test]
fn a_budget_that_runs_out_moves_calls_to_the_cheaper() {
    let case = Case::new(Strategy::BudgetAware, &[100, 50, 20, 10], &[]);
    let at = |used| {
        let budget = Some(BudgetState { used, remaining: NanoUsd::DOLLAR });
        case.order(move |situation| situation.budget = budget)
    };
    assert_eq!(
        (at(0.1).as_str(), at(0.5).as_str(), at(0.8).as_str(), at(0.96).as_str()),
        ("abcd", "bcda", "cdba", "dcba")
    );
    let empty = case.decide(|situation| situation.budget = Some(BudgetState { used: 1.0, remaining: NanoUsd(20_000) }));
    let left: Vec<usize> = empty.order.iter().map(|ranked| ranked.contender).collect();
    assert_eq!(left, [3], "what the rest of the money does not pay for is out");
    // One is large and nearly used up, the other small: what is left of the small one has to do.
    let large = BudgetState { used: 0.6, remaining: NanoUsd::DOLLAR };
    let small = BudgetState { used: 0.1, remaining: NanoUsd(20_000) };
    for both in [large.and(small), small.and(large)] {
        assert_eq!(both, BudgetState { used: 0.6, remaining: NanoUsd(20_000) });
    }
}

#[test]
fn difficulty_picks_the_tier_and_kind_the_candidates() {
    let mut case = Case::new(Strategy::Prompt, &[5, 10, 50, 40], &[]);
    let tiers = [(1, 2), (2, 3), (4, 5), (3, 5)];
    for (contender, tier) in case.contenders.iter_mut().zip(tiers) {
        contender.difficulty = tier;
    }
    case.contenders[3].kinds = vec![Kind::Code];
    let class = |kind, difficulty, confidence| Some(Class { kind, difficulty, confidence });
    let order = |class: Option<Class>| case.order(move |situation| situation.class = class);
    assert_eq!(order(class(Kind::Chat, 1, 0.9)), "abcd");
    assert_eq!(order(class(Kind::Chat, 2, 0.9)), "abcd", "both fit, the cheaper first");
    assert_eq!(order(class(Kind::Chat, 5, 0.9)), "cbad", "the strongest first, then down");
    assert_eq!(order(class(Kind::Code, 5, 0.9)), "dcba");
    assert_eq!(order(class(Kind::Code, 3, 0.9)), "dbca", "who is meant for the kind comes before who takes any");
    assert_eq!(order(class(Kind::Chat, 3, 0.9)), "bcad");
    assert_eq!(order(class(Kind::Chat, 3, 0.2)), "cbad", "unsure counts as harder");
}

#[test]
fn constraints_take_out_what_does_not_meet_them() {
    let case = |change: &dyn Fn(&mut Contender), demands: Demands, needs: u32| {
        let mut case = Case::new(Strategy::Ordered, &[10, 10], &[]);
        change(&mut case.contenders[0]);
        case.demands = demands;
        let mut decision = case.decide(|situation| situation.needs = needs);
        decision.excluded.retain(|(contender, _)| *contender == 0);
        decision.excluded.pop().map(|(_, exclusion)| exclusion.name())
    };
    let traits = |traits: Traits| move |contender: &mut Contender| contender.traits = Rc::new(traits.clone());
    let eu = || Traits { jurisdictions: vec!["EU".into()], no_training: true, ..Traits::default() };
    let any = Demands::default;
    let wanted = Demands { jurisdictions: vec![vec!["eu".into()]], ..any() };
    assert_eq!(case(&|_| (), wanted.clone(), 0), Some("jurisdiction"), "what is not said is not so");
    assert_eq!(case(&traits(eu()), wanted, 0), None);
    assert_eq!(case(&traits(eu()), Demands { zero_retention: true, ..any() }, 0), Some("zero_retention"));
    assert_eq!(case(&traits(eu()), Demands { no_training: true, ..any() }, 0), None);
    assert_eq!(case(&|_| (), Demands { only: vec![vec![ModelPattern::new("b/*")]], ..any() }, 0), Some("only"));
    assert_eq!(case(&|_| (), Demands { ignore: vec![ModelPattern::new("a/*")], ..any() }, 0), Some("ignore"));
    assert_eq!(case(&|_| (), Demands { quantizations: vec!["fp8".into()], ..any() }, 0), Some("quantization"));
    let blind = |contender: &mut Contender| contender.capabilities = Some(Capabilities(Capabilities::TOOLS));
    assert_eq!(case(&blind, any(), Capabilities::VISION), Some("capability"));
    assert_eq!(case(&blind, any(), Capabilities::TOOLS), None);
    assert_eq!(case(&|_| (), any(), Capabilities::VISION), None, "nothing is known against it");
    assert_eq!(case(&|contender| contender.context = Some(999), any(), 0), Some("context_length"));
    assert_eq!(case(&|contender| contender.retires = Some(NOW), any(), 0), Some("retired"));
    let dear = Demands { max_price: MaxPrice { output: Some(NanoUsd(39_000_000)), ..Default::default() }, ..any() };
    assert_eq!(case(&|_| (), dear.clone(), 0), Some("max_price"));
    assert_eq!(case(&|contender| contender.price = Some(price(9, 36)), dear.clone(), 0), None);
    assert_eq!(case(&|contender| contender.price = None, dear.clone(), 0), Some("max_price"));
    let of_input = |contender: &mut Contender| {
        let mut rates = Rates::default();
        rates.set(Bucket::Input, NanoUsd(1));
        contender.price = Some(Rc::new(Price { rates, ..Price::default() }));
    };
    assert_eq!(case(&of_input, dear, 0), Some("max_price"), "what is not said to cost nothing may cost anything");
    let served_elsewhere = |contender: &mut Contender| contender.model = Rc::from("openai/gpt-oss");
    let ignoring = Demands { ignore: vec![ModelPattern::new("openai/*")], ..any() };
    assert_eq!(case(&served_elsewhere, ignoring, 0), Some("ignore"), "a host's own prefix is no way around it");
}

#[test]
fn of_two_bounds_the_tighter_holds() {
    let price = |input, output| MaxPrice { input: Some(NanoUsd(input)), output, request: None };
    let mut one = Demands { max_price: price(5, None), ..Demands::default() };
    one.join(&Demands { max_price: price(3, Some(NanoUsd(9))), ..Demands::default() });
    one.join(&Demands { max_price: price(4, Some(NanoUsd(12))), ..Demands::default() });
    assert_eq!(one.max_price, price(3, Some(NanoUsd(9))));
    let within = |first: u64, total| LatencyBudget { first_token: Some(Millis(first)), total };
    let tighter = within(300, Some(Millis(900))).least(within(200, Some(Millis(1_000))));
    assert_eq!(tighter, within(200, Some(Millis(900))));
    assert_eq!(within(200, Some(Millis(1_000))).least(within(300, Some(Millis(900)))), tighter);
    assert_eq!(within(300, None).least(tighter), tighter);
}

#[test]
fn two_demands_that_cannot_both_be_met_are_met_by_none() {
    let mut one = Demands { quantizations: vec!["fp8".into()], ..Demands::default() };
    one.join(&Demands { quantizations: vec!["bf16".into()], ..Demands::default() });
    let mut target = contender("a", 1);
    target.traits = Rc::new(Traits { quantization: Some("fp8".into()), ..Traits::default() });
    assert_eq!(one.refuse(&target, 0, 0, NOW), Some(Exclusion::Quantization));
}

#[test]
fn weights_and_inverse_squares_are_kept_over_many_calls() {
    let first = |case: &Case| {
        let mut counts = [0u32; 3];
        for seed in 0..20_000 {
            counts[case.decide(|situation| situation.seed = seed).order[0].contender] += 1;
        }
        counts.map(|count| f64::from(count) / 20_000.0)
    };
    let close = |found: [f64; 3], expected: [f64; 3]| {
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.015), "{found:?}");
    };
    let mut weighted = Case::new(Strategy::Weighted, &[1, 1, 1], &[]);
    for (contender, weight) in weighted.contenders.iter_mut().zip([5, 3, 2]) {
        contender.weight = weight;
    }
    close(first(&weighted), [0.5, 0.3, 0.2]);
    // Prices 1 : 2 : 4 make 16 : 4 : 1.
    close(first(&Case::new(Strategy::Balanced, &[10, 20, 40], &[])), [16.0 / 21.0, 4.0 / 21.0, 1.0 / 21.0]);
    let sick = Figures { error_ratio: 0.2, ..Figures::default() };
    close(first(&Case::new(Strategy::Balanced, &[10, 20, 40], &[sick])), [0.0, 0.8, 0.2]);
    let mut explored = Case::new(Strategy::Ordered, &[1, 1, 1], &[]);
    explored.policy.explore = 0.1;
    close(first(&explored), [0.9, 0.05, 0.05]);
    let mut even = Case::new(Strategy::Balanced, &[10, 20, 40], &[]);
    even.policy.balance = Balance { price: 0.0, ..Balance::default() };
    close(first(&even), [1.0 / 3.0; 3]);
    // Nine tenths to the fourth are 0.66.
    even.figures = vec![Figures { error_ratio: 0.0999, ..Figures::default() }, Figures::default(), Figures::default()];
    close(first(&even), [0.247, 0.377, 0.377]);
    even.figures = vec![pace(200, 200), pace(400, 400), pace(400, 400)];
    close(first(&even), [1.0 / 3.0; 3]);
    even.policy.balance.latency = 1.0;
    close(first(&even), [0.5, 0.25, 0.25]);
}

#[test]
fn a_session_keeps_its_draw() {
    let case = Case::new(Strategy::Weighted, &[1, 1, 1, 1, 1], &[]);
    let order = |session, seed| {
        case.order(move |situation| {
            situation.session = Some(session);
            situation.seed = seed;
        })
    };
    let sessions: Vec<String> = (0..20).map(|session| order(session, 1)).collect();
    assert!(sessions.iter().any(|other| *other != sessions[0]), "sessions differ");
    assert!((0..20).all(|session| order(session, 99) == sessions[session as usize]));
}

#[test]
fn wishes_reorder_and_exclude_nobody() {
    let case = Case::new(Strategy::Cheapest, &[10, 20, 30], &[pace(900, 4_000), pace(300, 900)]);
    let wish = |situation: &mut Situation<'_>| situation.preferred.latency_p95 = Some(Millis(1_000));
    assert_eq!(case.order(wish), "bca");
    let at_the_median =
        |most| move |situation: &mut Situation<'_>| situation.preferred.latency_p50 = Some(Millis(most));
    assert_eq!((case.order(at_the_median(500)).as_str(), case.order(at_the_median(900)).as_str()), ("bca", "abc"));
}

prop_compose! {
    fn any_case()(
        strategy in 0..Strategy::NAMES.len(),
        prices in proptest::collection::vec(1i64..1_000, 1..6),
        seen in proptest::collection::vec((1u64..2_000, 1u64..4_000, 0.0..1.0f64, any::<bool>()), 5),
        explore in 0.0..0.5f64,
    ) -> Case {
        let figures: Vec<Figures> = seen.iter().map(|(p50, more, error_ratio, blocked)| Figures {
            error_ratio: *error_ratio,
            blocked_until: blocked.then_some(UnixMillis(NOW.0 + 5)),
            ..pace(*p50, p50 + more)
        }).collect();
        let mut case = Case::new(Strategy::NAMES[strategy].1, &prices, &figures[..prices.len()]);
        case.policy.explore = explore;
        case
    }
}

proptest! {
    #[test]
    fn an_order_holds_every_permitted_contender_once(case in any_case(), seed in any::<u64>(), denied in 0usize..6) {
        let mut situation = case.situation();
        situation.seed = seed;
        situation.budget = Some(BudgetState { used: 0.7, remaining: NanoUsd(i64::MAX) });
        let name = case.contenders.get(denied).map(|contender| contender.provider.clone());
        let permitted = |contender: &Contender| (Some(&contender.provider) == name.as_ref()).then_some(Exclusion::KeyPolicy);
        let decision = decide(&situation, &case.contenders, &case.figures, &permitted);
        prop_assert!(decision.order.iter().all(|ranked| ranked.contender != denied));
        let mut all: Vec<usize> = decision.order.iter().map(|ranked| ranked.contender).collect();
        all.extend(decision.excluded.iter().map(|(contender, _)| *contender));
        all.sort_unstable();
        prop_assert_eq!(all, (0..case.contenders.len()).collect::<Vec<_>>());
        let again = decide(&situation, &case.contenders, &case.figures, &permitted);
        prop_assert_eq!(decision, again, "the same inputs give the same order");
    }

    #[test]
    fn a_lower_price_never_moves_a_target_back(case in any_case(), at in 0usize..5, seed in any::<u64>()) {
        prop_assume!(at < case.contenders.len());
        let cheapest = |case: &Case| {
            let order = case.decide(|situation| situation.seed = seed).order;
            order.iter().position(|ranked| ranked.contender == at).expect("it is there")
        };
        for strategy in [Strategy::Cheapest, Strategy::Balanced] {
            let mut case = Case { policy: Policy { strategy, ..Policy::default() },
                contenders: case.contenders.clone(), figures: case.figures.clone(), demands: Demands::default() };
            let before = cheapest(&case);
            case.contenders[at].price = Some(price(0, 1));
            prop_assert!(cheapest(&case) <= before);
        }
    }

    #[test]
    fn a_faster_target_never_moves_back(case in any_case(), at in 0usize..5) {
        prop_assume!(at < case.contenders.len());
        let mut case = Case { policy: Policy { strategy: Strategy::Fastest, ..Policy::default() }, ..case };
        let place = |case: &Case| {
            let order = case.decide(|_| ()).order;
            order.iter().position(|ranked| ranked.contender == at).expect("it is there")
        };
        let before = place(&case);
        case.figures[at].first_token_p50 = Some(Millis(1));
        case.figures[at].first_token_p95 = Some(Millis(1));
        prop_assert!(place(&case) <= before);
    }
}
