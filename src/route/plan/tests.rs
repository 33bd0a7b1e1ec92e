use proptest::prelude::*;

use super::*;
use crate::config;

const DOCUMENT: &str = r#"{"version": 1, "providers": {
    "cave": {"base_url": "https://cave.example.com", "key_variables": ["K"], "models": ["llama-5", "gpt-4o"]},
    "den": {"base_url": "https://den.example.com", "key_variables": ["K"], "models": ["llama-5", "openai/gpt-4o"]},
    "lair": {"base_url": "https://lair.example.com", "key_variables": ["K"], "models": ["llama-5"]}}}"#;

fn registry() -> Registry {
    let environment = [("K", "k"), ("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Registry::new(&environment, &config::read(DOCUMENT.as_bytes()).expect("a document"), true)
}

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn shown(plan: &Plan) -> Vec<String> {
    plan.waiting.iter().map(|target| format!("{} {}/{}", target.rank, target.provider, target.model)).collect()
}

fn plan(model: &str, preferences: &Preferences, fallbacks: &[&str]) -> Vec<String> {
    shown(&Plan::new(&registry(), model, preferences, &words(fallbacks)).expect("a plan"))
}

#[test]
fn a_provider_that_is_named_is_the_only_one() {
    let wishes = Preferences::default();
    assert_eq!(plan("openai/gpt-4o", &wishes, &[]), ["0 openai/gpt-4o"]);
    let open = Preferences { allow_fallbacks: Some(true), ..Preferences::default() };
    assert_eq!(plan("openai/gpt-4o", &open, &[]), ["0 openai/gpt-4o", "0 cave/gpt-4o", "0 den/openai/gpt-4o"]);
    assert_eq!(plan("den/openai/gpt-4o", &open, &[]), ["0 den/openai/gpt-4o", "0 cave/gpt-4o", "0 openai/gpt-4o"]);
}

#[test]
fn a_bare_model_goes_to_its_maker_and_then_to_others_that_have_it() {
    let wishes = Preferences::default();
    assert_eq!(plan("gpt-4o", &wishes, &[]), ["0 openai/gpt-4o", "0 cave/gpt-4o", "0 den/openai/gpt-4o"]);
    let closed = Preferences { allow_fallbacks: Some(false), ..Preferences::default() };
    assert_eq!(plan("gpt-4o", &closed, &["anthropic/claude-sonnet-4-5"]), ["0 openai/gpt-4o"]);
    // Without a maker there is no first choice, unless the call makes one.
    let registry = registry();
    let ambiguous = Plan::new(&registry, "llama-5", &closed, &[]).expect_err("three have it");
    assert_eq!(ambiguous.kind, Kind::AmbiguousModel);
    let ordered = Preferences { order: words(&["lair", "cave"]), ..Preferences::default() };
    assert_eq!(plan("llama-5", &ordered, &[]), ["0 lair/llama-5", "0 cave/llama-5", "0 den/llama-5"]);
}

#[test]
fn providers_are_ordered_chosen_and_left_out() {
    let ordered = Preferences { order: words(&["cave", "nobody"]), ..Preferences::default() };
    assert_eq!(plan("openai/gpt-4o", &ordered, &[]), ["0 cave/gpt-4o"]);
    let back = Preferences { order: words(&["cave", "openai"]), ..Preferences::default() };
    assert_eq!(plan("openai/gpt-4o", &back, &[]), ["0 cave/gpt-4o", "0 openai/gpt-4o"]);
    let only = Preferences { only: words(&["den", "openai"]), ..Preferences::default() };
    assert_eq!(plan("gpt-4o", &only, &[]), ["0 openai/gpt-4o", "0 den/openai/gpt-4o"]);
    let without = Preferences { ignore: words(&["openai"]), ..Preferences::default() };
    assert_eq!(plan("gpt-4o", &without, &[]), ["0 cave/gpt-4o", "0 den/openai/gpt-4o"]);
    let nowhere = Preferences { only: words(&["lair"]), ..Preferences::default() };
    let refused = Plan::new(&registry(), "gpt-4o", &nowhere, &[]).expect_err("nobody is left");
    assert_eq!((refused.kind, refused.param.as_deref()), (Kind::NotFound, Some("provider")));
}

#[test]
fn further_models_follow_the_calls_then_the_operators() {
    let wishes = Preferences { models: words(&["anthropic/claude-sonnet-4-5"]), ..Preferences::default() };
    assert_eq!(
        plan("openai/gpt-4o", &wishes, &["cave/llama-5", "nobody-has-this", "openai/gpt-4o"]),
        ["0 openai/gpt-4o", "1 anthropic/claude-sonnet-4-5", "2 cave/llama-5"]
    );
    let slip = Preferences { models: words(&["gpt-4p"]), ..Preferences::default() };
    let refused = Plan::new(&registry(), "openai/gpt-4o", &slip, &[]).expect_err("no such model");
    assert_eq!(refused.kind, Kind::NotFound);
}

#[test]
fn blocked_targets_are_passed_over_and_tired_ones_come_last_of_their_model() {
    let wishes = Preferences { models: words(&["anthropic/claude-sonnet-4-5"]), ..Preferences::default() };
    let mut plan = Plan::new(&registry(), "gpt-4o", &wishes, &[]).expect("a plan");
    let standing = |target: &Candidate| match target.provider.as_str() {
        "openai" => Standing::NearlyExhausted,
        "cave" => Standing::Blocked { until: UnixMillis(500) },
        _ => Standing::Good,
    };
    assert_eq!(plan.opens(standing), Some(UnixMillis(500)));
    let mut order = Vec::new();
    while let Some(target) = plan.pick(standing) {
        order.push(target.provider);
        let left = plan.left(0, standing);
        assert_eq!((left.same_model, left.other_model), (order.len() % 2 == 1 && order.len() < 4, order.len() == 2));
    }
    assert_eq!(order, ["den", "openai", "anthropic", "cave"], "a blocked one is the last resort");
}

proptest! {
    #[test]
    fn every_target_that_is_not_off_is_picked_once_open_ones_first(
        ranks in proptest::collection::vec(0usize..4, 0..20), standings in proptest::collection::vec(0u8..4, 20),
    ) {
        let waiting = ranks.iter().enumerate().map(|(at, rank)| Candidate {
            provider: at.to_string(), model: String::new(), rank: *rank,
        });
        let mut plan = Plan { waiting: waiting.collect() };
        let standing = |target: &Candidate| match standings[target.provider.parse::<usize>().unwrap()] {
            0 => Standing::Good,
            1 => Standing::NearlyExhausted,
            2 => Standing::Blocked { until: UnixMillis(1) },
            _ => Standing::Off,
        };
        let open = plan.waiting.iter().filter(|target| standing(target) != Standing::Off).count();
        let mut picked = Vec::new();
        while let Some(target) = plan.pick(standing) {
            let blocked = matches!(standing(&target), Standing::Blocked { .. });
            picked.push((blocked, target.rank, standing(&target) == Standing::NearlyExhausted));
        }
        prop_assert_eq!(picked.len(), open);
        prop_assert!(picked.is_sorted());
    }
}
