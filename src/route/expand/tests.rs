use super::*;
use crate::config;
use crate::route::classify::Kind;

const DOCUMENT: &str = r#"{"version": 1,
    "providers": {
        "cave": {"base_url": "https://cave.example.com", "key_variables": ["K"],
                 "models": ["flint-1", "flint-2", "flint-2-20260101", "flint-10", "stone-7b"]},
        "den": {"base_url": "https://den.example.com", "key_variables": ["K"], "models": ["stone-7b", "flint-3"]},
        "far": {"base_url": "https://far.example.com", "key_variables": ["MISSING"], "models": ["stone-7b"]}},
    "models": {"cave/flint-1": {"retires": "2026-01-01"}, "cave/flint-2": {"context": 9000,
        "prices": [{"usd_per_mtok": {"input": 1, "output": 2}},
                   {"hours": "00:00-06:00", "usd_per_mtok": {"input": 0.5, "output": 1}}]}},
    "targets": {"cave/*": {"jurisdictions": ["eu"], "no_training": true, "quantization": "fp8"},
        "cave/flint-2": {"jurisdictions": ["ch"], "quantization": "bf16"}},
    "aliases": {
        "inner": {"candidates": [{"model": "cave/flint-2", "with": {"temperature": 0.5}}, "den/flint-3"]},
        "outer": {"candidates": [{"model": "inner", "when": {"tag": "a"}, "with": {"temperature": 1}}, "cave/stone-7b"]},
        "gpt-*": {"candidates": ["cave/flint-2"]}, "gpt-4*": {"candidates": ["den/flint-3"]}, "*4o-mini": {"candidates": ["inner"]}}}"#;

const NOON: UnixMillis = UnixMillis(1_790_078_400_000);

fn expand_at(candidates: &[Named], now: UnixMillis) -> Expanded {
    let config = config::read(DOCUMENT.as_bytes()).expect("a document");
    let registry = Registry::new(&SortedMap::from_iter([("K".to_owned(), "k".to_owned())]), &config, true);
    Expansion::new(&registry, &config.routing, now).of(candidates)
}

fn named(model: &str) -> Named {
    Named { model: model.to_owned(), weight: 1, difficulty: (1, 5), ..Named::default() }
}

fn targets(candidates: &[Named]) -> Vec<String> {
    expand_at(candidates, NOON).contenders.iter().map(|contender| contender.target.to_string()).collect()
}

#[test]
fn a_pattern_stands_for_all_that_it_matches_newest_first() {
    assert_eq!(targets(&[named("cave/flint-*")]), ["cave/flint-10", "cave/flint-2", "cave/flint-2-20260101"]);
    assert_eq!(targets(&[Named { latest: true, ..named("cave/flint-*") }]), ["cave/flint-10"]);
    assert_eq!(targets(&[Named { latest: true, ..named("*/flint-*") }]), ["cave/flint-10", "den/flint-3"]);
    assert!(targets(&[named("cave/nothing-*")]).is_empty());
}

#[test]
fn a_bare_model_stands_for_all_who_have_it_here() {
    assert_eq!(targets(&[named("stone-7b")]), ["cave/stone-7b", "den/stone-7b"]);
    let expanded = expand_at(&[named("far/stone-7b"), named("den/flint-3")], NOON);
    assert_eq!(expanded.not_set_up, ["far/stone-7b"]);
    assert_eq!(expanded.contenders.len(), 1);
    let twice = expand_at(&[named("den/flint-3"), named("den/flint-3")], NOON);
    assert_eq!((twice.contenders.len(), twice.not_set_up), (1, vec![]), "what is there already is set up");
}

#[test]
fn wide_aliases_of_wide_aliases_are_filled_in_at_once() {
    let levels = (0..5).map(|level| {
        let next = if level < 4 { format!("l{}", level + 1) } else { "cave/flint-2".to_owned() };
        format!(r#""l{level}": {{"candidates": [{}]}}"#, vec![format!("{next:?}"); 4].join(","))
    });
    let aliases = format!(r#""aliases": {{{}, "inner""#, levels.collect::<Vec<_>>().join(","));
    let document = DOCUMENT.replace(
        r#""aliases": {
        "inner""#,
        &aliases,
    );
    let config = config::read(document.as_bytes()).expect("a document");
    let registry = Registry::new(&SortedMap::from_iter([("K".to_owned(), "k".to_owned())]), &config, true);
    let expanded = Expansion::new(&registry, &config.routing, NOON).of(&[named("l0"), named("den/flint-3")]);
    assert_eq!((expanded.contenders.len(), expanded.overrides.len(), expanded.left_out), (1, 1_024, 1));
}

#[test]
fn targets_for_which_there_is_no_room_are_counted() {
    let many: Vec<String> = (0..70).map(|number| format!("\"rock-{number}\"")).collect();
    let document =
        DOCUMENT.replace(r#""models": ["stone-7b", "flint-3"]"#, &format!(r#""models": [{}]"#, many.join(",")));
    let config = config::read(document.as_bytes()).expect("a document");
    let registry = Registry::new(&SortedMap::from_iter([("K".to_owned(), "k".to_owned())]), &config, true);
    let expand = |named: Named| Expansion::new(&registry, &config.routing, NOON).of(&[named]);
    let all = expand(named("den/rock-*"));
    assert_eq!((all.contenders.len(), all.left_out), (64, 6));
    assert_eq!(expand(Named { latest: true, ..named("den/rock-*") }).left_out, 0);
    let two = Expansion::new(&registry, &config.routing, NOON).of(&[named("den/rock-*"), named("cave/flint-2")]);
    assert_eq!((two.contenders.len(), two.left_out), (64, 7));
}

#[test]
fn an_alias_of_an_alias_is_filled_in() {
    let expanded = expand_at(&[named("outer"), named("den/flint-3")], NOON);
    let shown: Vec<(&str, Option<f64>, bool)> = expanded
        .contenders
        .iter()
        .map(|contender| {
            let changes = &expanded.overrides[contender.source];
            (&*contender.target, changes.temperature, contender.when == Condition::Always)
        })
        .collect();
    let expected = [
        ("cave/flint-2", Some(0.5), false),
        ("den/flint-3", Some(1.0), false),
        ("cave/stone-7b", None, true),
        ("den/flint-3", None, true),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn what_a_candidate_says_holds_for_the_alias_that_it_is() {
    let check = Check { no_refusal: true, ..Check::default() };
    let outer =
        Named { difficulty: (4, 5), kinds: vec![Kind::Code], check: Some(check.clone()), weight: 3, ..named("outer") };
    let expanded = expand_at(&[outer], NOON);
    assert_eq!((expanded.contenders.len(), expanded.reads_class), (3, false));
    for contender in &expanded.contenders {
        assert_eq!((contender.difficulty, contender.kinds.as_slice()), ((4, 5), &[Kind::Code][..]));
        assert_eq!((contender.weight, &expanded.checks[contender.source]), (3, &Some(check.clone())));
    }
}

#[test]
fn what_is_known_of_a_target_comes_along() {
    let flint = |now| expand_at(&[named("cave/flint-2")], now).contenders.remove(0);
    let at_noon = flint(NOON);
    assert_eq!((at_noon.context, at_noon.traits.no_training), (Some(9_000), true));
    assert_eq!(at_noon.traits.jurisdictions, ["ch"], "the more precise pattern speaks last");
    assert_eq!(at_noon.traits.quantization.as_deref(), Some("bf16"));
    let dollar = |contender: &Contender| {
        contender.price.as_ref().and_then(|price| price.rates.get(crate::provider::Bucket::Input))
    };
    assert_eq!(dollar(&at_noon), Some(crate::units::NanoUsd::DOLLAR));
    let at_night = flint(UnixMillis(NOON.0 - 10 * 3_600_000));
    assert_eq!(dollar(&at_night), Some(crate::units::NanoUsd(500_000_000)), "prices are those of the hour");
}

#[test]
fn the_longest_pattern_names_the_alias() {
    let aliases = config::read(DOCUMENT.as_bytes()).expect("a document").routing.aliases;
    let found = |model| find_alias(&aliases, model).map(|(name, _)| name.to_owned());
    assert_eq!(found("inner").as_deref(), Some("inner"));
    assert_eq!(found("gpt-3.5").as_deref(), Some("gpt-*"));
    assert_eq!(found("gpt-4o").as_deref(), Some("gpt-4*"));
    assert_eq!(found("gpt-4o-mini").as_deref(), Some("*4o-mini"));
    assert_eq!(found("claude"), None);
}
