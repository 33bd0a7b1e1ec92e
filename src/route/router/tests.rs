use super::*;
use crate::config;
use crate::route::facts::Prompt;
use crate::route::resolve;
use crate::sorted::SortedMap;

const NOW: UnixMillis = UnixMillis(1_790_035_200_000);

/// A gateway with three hosts at prices of 1, 2 and 10 dollars.
struct World {
    registry: Registry,
    routing: Routing,
    router: Router,
}

impl World {
    fn new(sections: &str) -> World {
        let document = format!(
            r#"{{"version": 1, "providers": {{
                "cave": {{"base_url": "https://cave.example.com", "auth": "none", "models": ["small"]}},
                "den": {{"base_url": "https://den.example.com", "auth": "none", "models": ["small", "middle"]}},
                "hall": {{"base_url": "https://hall.example.com", "auth": "none", "models": ["large"]}}}},
            "models": {{
                "cave/small": {{"context": 8000, "prices": [{{"usd_per_mtok": {{"input": 1, "output": 1, "cache_read": 0.1}}}}]}},
                "den/small": {{"prices": [{{"usd_per_mtok": {{"input": 2, "output": 2, "cache_read": 0.2}}}}]}},
                "den/middle": {{"capabilities": ["tools"], "prices": [{{"usd_per_mtok": {{"input": 3, "output": 3}}}}]}},
                "hall/large": {{"capabilities": ["tools", "vision"], "prices": [{{"usd_per_mtok": {{"input": 10, "output": 10}}}}]}}}},
            {sections}}}"#
        );
        let config = config::read(document.as_bytes()).expect("a document");
        World {
            registry: Registry::new(&SortedMap::new(), &config, true),
            routing: config.routing,
            router: Router::default(),
        }
    }

    fn route(&mut self, model: &str, change: impl Fn(&mut Request<'_>)) -> Result<Routed, Failure> {
        let objective = Objective::default();
        let registry = &self.registry;
        let named = |name: &str| {
            let Resolved { provider, model } = resolve(registry, name)?;
            Ok(vec![Candidate { provider, model, rank: 0 }])
        };
        let mut request = Request {
            registry,
            routing: &self.routing,
            facts: CallFacts {
                key: "key_1",
                model,
                prompt: Prompt { tokens: 100, messages: 1, ..Prompt::default() },
                ..CallFacts::default()
            },
            objective: &objective,
            words: "hi",
            hints: Hints::default(),
            prefix: None,
            cache_lives: None,
            service_tier: None,
            named: &named,
            further: &[],
            is_closed: false,
            figures: &|_, _| Figures::default(),
            permitted: &|_, _| true,
            budget: &|_| None,
            seed: 1,
            explains: false,
            shadow: None,
            unrecorded: None,
            now: NOW,
        };
        change(&mut request);
        self.router.route(&mut request)
    }

    fn order(&mut self, model: &str, change: impl Fn(&mut Request<'_>)) -> Vec<String> {
        let routed = self.route(model, change).expect("a route");
        routed.order().map(|contender| contender.target.to_string()).collect()
    }
}

#[test]
fn an_alias_leads_to_its_candidates_by_its_strategy() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["hall/large", "den/small", "cave/small"], "variants": {"low": "cheapest"}}}"#,
    );
    assert_eq!(world.order("any", |_| ()), ["hall/large", "den/small", "cave/small"]);
    for name in ["any:low", "any:floor", "any:cheap"] {
        assert_eq!(world.order(name, |_| ()), ["cave/small", "den/small", "hall/large"], "{name}");
    }
}

#[test]
fn a_pin_holds_whatever_the_call_names() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["hall/large", "den/small", "cave/small"]}, "safe": {"candidates": ["den/small"]}},
        "targets": {"den/*": {"jurisdictions": ["eu"]}},
        "rules": [{"name": "eu only", "when": {"tag": "health"}, "jurisdictions": ["eu"]},
                  {"name": "safe", "when": {"team": "kids"}, "alias": "safe"}]"#,
    );
    assert_eq!(world.order("any", |request| request.facts.tags = vec!["health"]), ["den/small"]);
    let refused =
        world.route("hall/large", |request| request.facts.tags = vec!["health"]).expect_err("pinned elsewhere");
    assert_eq!((refused.kind, refused.code.as_deref()), (Kind::NoTarget, Some("no_target")));
    assert!(refused.message.contains("jurisdiction"), "{}", refused.message);
    assert_eq!(world.order("hall/large", |request| request.facts.team = Some("kids")), ["den/small"]);
    let further: &[String] = vec!["hall/large".to_owned()].leak();
    let mut naming_more = |team| {
        let routed = world.route("any", |request| (request.facts.team, request.further) = (team, further));
        routed.expect("a route").fallbacks
    };
    assert_eq!(naming_more(None).len(), 1);
    assert_eq!(naming_more(Some("kids")), [], "whom a rule puts under an alias does not get out by naming more");
    let routed = world.route("any", |request| request.facts.tags = vec!["health"]).expect("a route");
    assert_eq!(routed.rules, ["eu only"]);
    assert_eq!(routed.decision.excluded.len(), 2);
}

#[test]
fn what_leaves_nobody_is_said() {
    let mut world = World::new(
        r#""aliases": {"small": {"candidates": ["cave/small"]}, "blind": {"candidates": ["den/middle"]},
                       "gone": {"candidates": ["openai/gpt-4o"]}}"#,
    );
    let denied = world.route("small", |request| request.permitted = &|_, _| false).expect_err("denied");
    assert_eq!(denied.kind, Kind::Forbidden);
    let long = world.route("small", |request| request.facts.prompt.tokens = 9_000).expect_err("too long");
    assert_eq!(long.kind, Kind::ContextLength);
    let blind = world.route("blind", |request| request.facts.needs = crate::provider::Capabilities::VISION);
    assert!(blind.expect_err("cannot see").message.contains("vision"));
    let gone = world.route("gone", |_| ()).expect_err("not set up");
    assert_eq!(gone.kind, Kind::NotFound);
    assert!(gone.message.contains("openai/gpt-4o"), "{}", gone.message);
}

#[test]
fn hard_tasks_go_to_the_strong_and_easy_ones_to_the_cheap() {
    let mut world = World::new(
        r#""aliases": {"auto": {"strategy": "prompt", "candidates": [
            {"model": "cave/small", "difficulty": {"to": 3}}, {"model": "hall/large", "difficulty": {"from": 4}}]}}"#,
    );
    assert_eq!(world.order("auto", |_| ())[0], "cave/small");
    let hard = "Prove the spectral theorem for unbounded self-adjoint operators.";
    assert_eq!(world.order("auto", |request| request.words = hard)[0], "hall/large");
}

#[test]
fn overlays_serve_other_environments_and_teams() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["hall/large"], "overlays": [
            {"when": {"environment": "dev"}, "candidates": ["cave/small"]}]}}"#,
    );
    assert_eq!(world.order("any", |request| request.facts.environment = "production"), ["hall/large"]);
    assert_eq!(world.order("any", |request| request.facts.environment = "dev"), ["cave/small"]);
}

#[test]
fn a_session_stays_where_its_prompt_is_cached_until_that_has_gone() {
    let mut world =
        World::new(r#""aliases": {"any": {"candidates": ["cave/small", "den/small"], "strategy": "cheapest"}}"#);
    let in_session = |request: &mut Request<'_>| {
        request.facts.session = Some("s".into());
        request.facts.prompt.tokens = 5_000;
    };
    let routed = world.route("any", in_session).expect("a route");
    assert_eq!(routed.decision.order[0].contender, 0);
    world.router.served(&routed, "den/small", 5_000, 10, NOW);
    assert_eq!(world.order("any", in_session)[0], "den/small", "a tenth of two dollars is less than one");
    let later = |request: &mut Request<'_>| {
        in_session(request);
        request.now = NOW.plus(Millis(301_000));
    };
    assert_eq!(world.order("any", later)[0], "cave/small");
    assert_eq!(world.order("any", |request| request.facts.prompt.tokens = 5_000)[0], "cave/small", "another session");
    let of_another = |request: &mut Request<'_>| {
        in_session(request);
        request.facts.key = "key_2";
    };
    assert_eq!(world.order("any", of_another)[0], "cave/small", "another key's session of the same name");
}

#[test]
fn a_canary_takes_its_share_and_stops_by_itself() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["cave/small"]}},
        "experiments": {"try": {"alias": "any", "by": "call", "stop": {"least_calls": 20},
            "variants": {"large": {"share": 0.3, "candidates": ["hall/large"]}}}}"#,
    );
    let share = |world: &mut World| {
        let tried = (0..1_000).filter(|seed| world.order("any", |request| request.seed = *seed)[0] == "hall/large");
        tried.count()
    };
    assert!((250..350).contains(&share(&mut world)));
    let routed = world.route("any", |request| request.seed = 4).expect("a route");
    assert_eq!(routed.variant.map(|(experiment, _)| experiment).as_deref(), Some("try"));
    for at in 0..40 {
        world.router.count("try", "large", at % 4 == 0, Some(100));
        world.router.count("try", CONTROL, false, Some(100));
    }
    assert_eq!(share(&mut world), 0, "it fails more often than the control");
}

#[test]
fn an_experiment_begins_anew_only_where_it_or_its_alias_was_changed() {
    let sections = r#""aliases": {"any": {"candidates": ["cave/small"]}, "other": {"candidates": ["cave/small"]}},
        "experiments": {"try": {"alias": "any", "by": "call", "stop": {"least_calls": 20},
            "variants": {"large": {"share": 0.3, "candidates": ["hall/large"]}}}}"#;
    for (from, to, stays) in [
        (r#""other": {"candidates": ["cave/small"#, r#""other": {"candidates": ["den/small"#, true),
        (r#""any": {"candidates": ["cave/small"#, r#""any": {"candidates": ["den/small"#, false),
        (r#""share": 0.3"#, r#""share": 0.4"#, false),
    ] {
        let (mut world, changed) = (World::new(sections), World::new(&sections.replace(from, to)));
        for _ in 0..40 {
            world.router.count("try", "large", true, None);
            world.router.count("try", CONTROL, false, None);
        }
        world.router.reset(&world.routing, &changed.routing);
        world.routing = changed.routing;
        let mut seeds = 0..1_000;
        let tried = seeds.any(|seed| world.order("any", |request| request.seed = seed)[0] == "hall/large");
        assert_eq!(tried, !stays, "{to}");
    }
}

#[test]
fn the_word_of_a_call_comes_before_that_of_the_rules_and_of_chance() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["den/small", "cave/small", "hall/large"], "explore": 0.5}},
        "rules": [{"name": "all", "when": {}, "strategy": "weighted"}]"#,
    );
    let wanting = |objective: Objective| {
        let objective: &Objective = Box::leak(Box::new(objective));
        move |request: &mut Request<'_>| request.objective = objective
    };
    let cheapest = wanting(Objective { sort: Some(Strategy::Cheapest), ..Objective::default() });
    assert_eq!(world.order("any", cheapest), ["cave/small", "den/small", "hall/large"]);
    let mut explored = |objective: Objective| {
        let wants = wanting(objective);
        (0..20).any(|seed| {
            let routed = world.route("any", |request| {
                wants(request);
                request.seed = seed;
            });
            routed.expect("a route").decision.explored
        })
    };
    assert!(explored(Objective::default()));
    let preferred = Preferred { latency_p50: Some(Millis(1)), ..Preferred::default() };
    assert!(!explored(Objective { preferred, ..Objective::default() }));
}

#[test]
fn neither_a_shadow_nor_a_trial_moves_the_calls_that_follow() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["cave/small", "den/small"], "strategy": "cheapest", "margin": 1, "explore": 0.5}},
        "experiments": {"try": {"alias": "any", "variants": {
            "beside": {"share": 1, "candidates": ["den/small"], "shadow": {"limit": 1, "period": "day"}}}}}"#,
    );
    assert_eq!(world.order("any", |request| request.shadow = Some(("try", "beside"))), ["den/small"]);
    let mut explored = [0, 0];
    for seed in 0..50 {
        let routed = world.route("any", |request| request.seed = seed).expect("a route");
        let first = &*routed.order().next().expect("a target").target;
        assert_eq!(first, if routed.decision.explored { "den/small" } else { "cave/small" }, "seed {seed}");
        explored[usize::from(routed.decision.explored)] += 1;
    }
    assert!(explored.iter().all(|count| *count > 10), "{explored:?}");
}

#[test]
fn fallbacks_must_be_what_candidates_must_be() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["cave/small"], "fallbacks": ["den/small", "den/middle", "hall/large"]}},
        "targets": {"cave/*": {"jurisdictions": ["eu"]}, "den/*": {"jurisdictions": ["eu"]}},
        "experiments": {"try": {"alias": "any", "by": "call", "when": {"tag": "try"},
            "variants": {"large": {"share": 1, "candidates": ["hall/large"]}}}},
        "rules": [{"name": "eu only", "when": {"tag": "health"}, "jurisdictions": ["eu"]}]"#,
    );
    let mut fallbacks = |change: &dyn Fn(&mut Request<'_>)| {
        let routed = world.route("any", change).expect("a route");
        routed.fallbacks.into_iter().map(|target| target.model).collect::<Vec<_>>()
    };
    assert_eq!(fallbacks(&|_| ()), ["small", "middle", "large"]);
    assert_eq!(fallbacks(&|request| request.facts.tags = vec!["health"]), ["small", "middle"]);
    assert_eq!(fallbacks(&|request| request.permitted = &|provider, _| provider != "den"), ["large"]);
    assert_eq!(
        fallbacks(&|request| request.facts.tags = vec!["try"])[..2],
        ["small", "small"],
        "the alias's own first"
    );
    assert!(fallbacks(&|request| request.is_closed = true).is_empty());
    assert_eq!(fallbacks(&|_| ()), ["small", "middle", "large"], "what was looked up for others is not theirs");
}

#[test]
fn no_answer_is_expected_to_be_longer_than_such_answers_are() {
    let mut world = World::new(r#""aliases": {"any": {"candidates": ["cave/small"]}}"#);
    let mut expected = |most| {
        let routed = world.route("any", |request| request.facts.output_tokens = most).expect("a route");
        routed.decision.order[0].cost.expect("a price").0
    };
    assert_eq!([expected(Some(50)), expected(Some(9_000)), expected(None)], [150_000, 400_000, 400_000]);
}

#[test]
fn plain_models_are_no_concern() {
    let world = World::new(r#""aliases": {"any": {"candidates": ["cave/small"]}}"#);
    assert!(!concerns(&world.routing, "cave/small", false));
    assert!(!concerns(&world.routing, "ollama/qwen3:8b", false));
    for model in ["any", "any:cheap", "any:other", "cave/small:floor"] {
        assert!(concerns(&world.routing, model, false), "{model}");
    }
    assert!(concerns(&world.routing, "cave/small", true));
}

#[test]
fn a_decision_is_shown_with_its_reasons() {
    let mut world = World::new(
        r#""aliases": {"any": {"candidates": ["cave/small", "hall/large", "openai/gpt-4o"], "strategy": "cheapest"}}"#,
    );
    let routed = world.route("any", |request| request.facts.prompt.tokens = 9_000).expect("a route");
    let mut json = Vec::new();
    let mut object = crate::json::Object::open(&mut json);
    routed.write(&mut object);
    object.close();
    let shown: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(shown["strategy"], "cheapest");
    assert_eq!(shown["candidates"][0]["target"], "hall/large");
    assert_eq!(shown["candidates"][0]["expected_cost"], 0.093);
    assert_eq!(shown["excluded"][0]["reason"], "context_length");
    assert_eq!(shown["excluded"][1], serde_json::json!({"target": "openai/gpt-4o", "reason": "not_set_up"}));
}
