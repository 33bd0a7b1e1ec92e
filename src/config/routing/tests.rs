use crate::config::{Config, read};
use crate::keys::ModelPattern;
use crate::route::alias::{Balance, LatencyBudget, Strategy};
use crate::route::check::Escalation;
use crate::route::classify::Kind;
use crate::route::condition::Condition;
use crate::route::facts::{CallFacts, Prompt};
use crate::units::{Millis, NanoUsd};

fn config(sections: &str) -> Config {
    read(format!(r#"{{"version": 1, {sections}}}"#).as_bytes()).expect("no faults")
}

fn faults(sections: &str) -> Vec<String> {
    let faults = read(format!(r#"{{"version": 1, {sections}}}"#).as_bytes()).expect_err("faults");
    faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
}

/// The condition that JSON describes.
fn condition(json: &str) -> Condition {
    let config = config(&format!(r#""rules": [{{"name": "one", "when": {json}}}]"#));
    config.routing.rules[0].when.clone()
}

#[test]
fn an_alias_means_what_it_says() {
    let config = config(
        r#""aliases": {
            "fast-cheap": {
                "candidates": ["groq/llama", {"model": "openai/gpt-*-mini", "latest": true, "weight": 3,
                    "difficulty": {"to": 3}, "kinds": ["code", "chat"], "when": {"environment": "production"},
                    "with": {"temperature": 0.2, "max_tokens": 500, "reasoning_effort": "low",
                             "system_prefix": "Be\nbrief."}}],
                "strategy": "balanced", "explore": 0.02, "margin": 0.3, "latency_budget": {"first_token_ms": 2000},
                "balance": {"price": 1, "latency": 0.5}, "budget_steps": [0.5, 0.9], "sticky": false,
                "variants": {"quick": "fastest"}, "deadlines": {"total_ms": 20000}, "failover": {"throughput": {"tokens_per_second": 0}},
                "fallbacks": ["deep"],
                "escalation": {"within_ms": 8000, "max_usd": 0.02, "streams": true},
                "overlays": [{"when": {"team": "research"}, "strategy": "cheapest", "candidates": ["groq/b"]}]
            },
            "deep": {"candidates": ["anthropic/claude"]}
        }"#,
    );
    let alias = config.routing.aliases.get("fast-cheap").unwrap();
    let (first, second) = (&alias.candidates[0], &alias.candidates[1]);
    assert_eq!((first.model.as_str(), first.weight, first.difficulty), ("groq/llama", 1, (1, 5)));
    assert_eq!((second.weight, second.latest, second.difficulty), (3, true, (1, 3)));
    assert_eq!(second.kinds, [Kind::Code, Kind::Chat]);
    assert_eq!(second.overrides.system_prefix.as_deref(), Some("Be\nbrief."));
    assert_eq!((second.overrides.temperature, second.overrides.max_tokens), (Some(0.2), Some(500)));
    assert_eq!(alias.policy.strategy, Strategy::Balanced);
    assert_eq!(alias.policy.balance, Balance { price: 1.0, latency: 0.5, errors: 4.0 });
    assert_eq!(alias.policy.latency_budget, LatencyBudget { first_token: Some(Millis(2_000)), total: None });
    assert_eq!(*alias.variants.get("quick").unwrap(), Strategy::Fastest);
    assert_eq!(alias.deadlines.total, Some(Millis(20_000)));
    assert_eq!((alias.failover.throughput.tokens_per_second, alias.failover.throughput.within), (Some(0), None));
    assert_eq!(alias.overlays[0].strategy, Some(Strategy::Cheapest));
    let escalation = Escalation { within: Some(Millis(8_000)), most: Some(NanoUsd(20_000_000)), streams: true };
    assert_eq!(alias.policy.escalation, escalation);
}

#[test]
fn a_rule_means_what_it_says() {
    let config = config(
        r#""rules": [{"name": "health", "when": {"tag": "health"}, "only": ["bedrock/*claude*", "azure/*"],
            "ignore": "*/gpt-3*", "jurisdictions": ["eu", "ch"], "zero_retention": true, "no_training": true,
            "quantizations": ["bf16"], "max_price": {"input": 3, "output": 15.5}, "strategy": "fastest",
            "latency_budget": {"total_ms": 9000}}],
        "targets": {"azure/gpt-4o": {"regions": ["westeurope"]}, "azure/*": {"jurisdictions": ["eu"], "no_training": true}}"#,
    );
    let rule = &config.routing.rules[0];
    assert_eq!(rule.demands.only, [[ModelPattern::new("bedrock/*claude*"), ModelPattern::new("azure/*")]]);
    assert_eq!(rule.demands.max_price.output, Some(NanoUsd(15_500_000_000)));
    assert_eq!((rule.strategy, rule.latency_budget.total), (Some(Strategy::Fastest), Some(Millis(9_000))));
    let patterns: Vec<_> = config.routing.targets.iter().map(|(pattern, _)| pattern.clone()).collect();
    assert_eq!(patterns, [ModelPattern::new("azure/*"), ModelPattern::new("azure/gpt-4o")], "the most precise last");
}

#[test]
fn what_has_the_wrong_type_is_told_once() {
    for section in ["providers", "models", "limits", "lanes", "failover", "fallbacks", "health", "targets", "aliases"]
        .into_iter()
        .chain(["rules", "experiments", "semantics"])
    {
        let found = faults(&format!(r#""{section}": 3"#));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(section), "{found:?}");
    }
    for (written, path) in [
        (r#""aliases": {"a": 3}"#, "aliases.a"),
        (r#""aliases": {"a": {"candidates": [3]}}"#, "aliases.a.candidates.0"),
        (r#""rules": [3]"#, "rules.0"),
    ] {
        let found = faults(written);
        assert_eq!(found.iter().filter(|fault| fault.starts_with(&format!("{path}: "))).count(), 1, "{found:?}");
    }
}

#[test]
fn every_fault_is_found_with_its_path() {
    let found = faults(
        r#""aliases": {
            "a": {"candidates": ["b"]}, "b": {"candidates": [{"model": "c"}]}, "c": {"candidates": ["groq/y", "a"]},
            "two words": {"candidates": [{"model": "groq/y", "latest": true, "weight": 0}], "strategy": "best"},
            "none": {"explore": 2, "budget_steps": [0.9, 0.5], "failover": {"throughput": {"tokens_per_second": -1, "within_ms": 1}}}
        },
        "rules": [{"when": {"colour": "red", "input_tokens": {}, "difficulty": {"from": 4, "to": 2}}},
                  {"name": "r", "alias": "nowhere", "when": {"any": [], "tag": []}}, {"name": "r", "max_price": {"input": -1}}],
        "experiments": {"e": {"alias": "nowhere", "variants": {"one": {"share": 0.7}, "two": {"share": 0.7}}},
                        "f": {"alias": "a"}},
        "targets": {"azure/*": {"jurisdiction": "eu"}}"#,
    );
    let expected = [
        "aliases.two words: an alias has",
        "aliases.two words.candidates.0.weight: expected an integer from 1",
        "aliases.two words.candidates.0: `latest` chooses",
        "aliases.two words.strategy: expected `ordered` or `weighted`",
        "aliases.none.explore: expected a number from 0 to 0.5",
        "aliases.none.budget_steps: steps must ascend",
        "aliases.none.failover.throughput.tokens_per_second: expected an integer from 0 to 10000",
        "aliases.none.failover.throughput.within_ms: expected an integer from 100 to 60000",
        "aliases.none.candidates: is missing",
        "aliases.a: `a` stands for itself",
        "aliases.b: `b` stands for itself",
        "aliases.c: `c` stands for itself",
        "rules.0.when.colour: is not known here",
        "rules.0.when.input_tokens: expected `from`, `to` or both",
        "rules.0.when.difficulty: `from` must not be above `to`",
        "rules.0.name: is missing",
        "rules.1.when.any: is empty",
        "rules.1.when.tag: is empty",
        "rules.1: there is no alias `nowhere`",
        "rules.2.max_price.input: expected US dollars",
        "rules.2: another rule is called `r` too",
        "experiments.e.variants: the shares add up to 1.4",
        "experiments.e.alias: is missing",
        "experiments.f.variants: is missing",
        "targets.azure/*.jurisdiction: is not known here",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

#[test]
fn deep_and_wide_aliases_are_checked_at_once() {
    assert_eq!(config(&levels(2, 32)).routing.aliases.len(), 2 * 32, "32 × 32 candidates");
    let found = faults(&levels(2, 33));
    assert_eq!(found.len(), 33, "{found:?}");
    assert_eq!(found[0], "aliases.l0-0: leads to 1089 candidates by way of aliases; at most 1024 are looked at");
    let variant =
        r#""experiments": {"e": {"alias": "l0-0", "variants": {"v": {"share": 1, "candidates": ["l0-0", "l0-1"]}}}}"#;
    let found = faults(&format!("{}, {variant}", levels(2, 32)));
    assert_eq!(found, ["experiments.e: leads to 2048 candidates by way of aliases; at most 1024 are looked at"]);
    assert_eq!(faults(&levels(6, 64)).len(), 100, "no more are told");
    assert_eq!(faults(&levels(40, 10)).len(), 100, "no more are told");
    let found = faults(&levels(8, 3));
    assert_eq!(found.len(), 6, "all but the last six levels are too deep");
    assert!(found[0].starts_with("aliases.l0-0: `l0-0` stands for itself"), "{}", found[0]);
}

/// So many levels of so many aliases, each of which stands for all of the next level.
fn levels(depth: usize, width: usize) -> String {
    let level = |level: usize| {
        let next = |at| if level + 1 < depth { format!("l{}-{at}", level + 1) } else { format!("groq/y{at}") };
        let candidates = serde_json::to_string(&(0..width).map(next).collect::<Vec<_>>()).expect("JSON");
        (0..width).map(|at| format!(r#""l{level}-{at}": {{"candidates": {candidates}}}"#)).collect::<Vec<_>>()
    };
    format!(r#""aliases": {{{}}}"#, (0..depth).flat_map(level).collect::<Vec<_>>().join(","))
}

#[test]
fn who_only_leads_into_a_circle_is_told_too() {
    let found = faults(
        r#""aliases": {"a": {"candidates": ["b"]}, "b": {"candidates": ["groq/y"], "fallbacks": ["b"]},
        "c": {"candidates": ["groq/y"]}}"#,
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("aliases.a: ") && found[1].starts_with("aliases.b: "));
}

#[test]
fn conditions_hold_for_the_calls_they_describe() {
    let headers = vec![("x-region".to_owned(), "EU-west".to_owned())];
    let texts = ["Das Rezept des PATIENTEN".to_owned()];
    let call = CallFacts {
        key: "key_1",
        key_name: "app",
        team: Some("research-eu"),
        environment: "production",
        tags: vec!["health-eu", "batch"],
        metadata: vec![("tier", "gold")],
        headers: &headers,
        model: "fast-cheap",
        endpoint: "chat/completions",
        prompt: Prompt { tokens: 5_000, messages: 3, ..Prompt::default() },
        texts: &texts,
        ..CallFacts::default()
    };
    let cases = [
        ("{}", true),
        (r#"{"tag": "health-*"}"#, true),
        (r#"{"tag": ["nothing", "batch"], "team": "research*"}"#, true),
        (r#"{"tag": "health-*", "team": "sales"}"#, false),
        (r#"{"key": "app"}"#, true),
        (r#"{"key": "key_2"}"#, false),
        (r#"{"metadata": {"tier": ["gold", "silver"]}, "header": {"X-Region": "eu-*"}}"#, true),
        (r#"{"metadata": {"colour": "*"}}"#, false),
        (r#"{"not": {"user": "*"}}"#, true),
        (r#"{"input_tokens": {"from": 5000}, "messages": {"to": 3}}"#, true),
        (r#"{"input_tokens": {"to": 4999}}"#, false),
        (r#"{"output_tokens": {"from": 0}}"#, false),
        (r#"{"mentions": ["Patient", "diagnosis"]}"#, true),
        (r#"{"mentions": ["diagnosis"]}"#, false),
        (r#"{"any": [{"tag": "x"}, {"all": [{"tag": "batch"}, {"environment": "prod*"}]}]}"#, true),
        (r#"{"needs": ["vision"]}"#, false),
        (r#"{"content": ["image", "audio"]}"#, false),
        (r#"{"kind": "*"}"#, false),
    ];
    for (json, expected) in cases {
        assert_eq!(condition(json).holds(&call), expected, "{json}");
    }
}

#[test]
fn what_a_condition_must_read_is_known() {
    assert!(condition(r#"{"kind": "code"}"#).reads_class());
    assert!(condition(r#"{"not": {"difficulty": {"from": 3}}}"#).reads_class());
    assert!(!condition(r#"{"messages": {"from": 3}}"#).reads_class());
}

#[test]
fn a_pattern_that_names_a_provider_alone_is_a_slip() {
    let found = faults(
        r#""rules": [{"name": "a", "only": ["cave"], "ignore": ["gpt-4o", "openai"]}, {"name": "b", "ignore": ["openai/*"]}],
           "providers": {"cave": {"base_url": "https://cave.example"}}, "targets": {"azure": {"regions": ["eu"]}}"#,
    );
    let said = |name: &str| format!("`{name}` is a provider; write `{name}/*` for all of its models");
    let expected = [("rules.0.only", "cave"), ("rules.0.ignore", "openai"), ("targets.azure", "azure")];
    assert_eq!(found, expected.map(|(path, name)| format!("{path}: {}", said(name))));
}

#[test]
fn a_condition_that_says_nothing_is_a_slip() {
    for (name, nothing) in [("content", "[]"), ("needs", "[]"), ("metadata", "{}"), ("header", "{}"), ("tag", "[]")] {
        let found = faults(&format!(r#""rules": [{{"name": "a", "when": {{"{name}": {nothing}}}}}]"#));
        assert!(found.len() == 1 && found[0].starts_with(&format!("rules.0.when.{name}: is empty")), "{found:?}");
    }
}

#[test]
fn who_is_named_and_does_not_exist_is_a_fault() {
    let document = r#"{"version": 1,
        "aliases": {
            "fast": {"candidates": ["opnai/gpt-4o", "openai/gpt-9", "sandbox/echo", {"model": "cave/*"}],
                     "fallbacks": ["antropic/claude-sonnet-4-5"],
                     "overlays": [{"when": {"tag": "x"}, "candidates": ["fsat"]}]},
            "good": {"candidates": ["fast", "gpt-4o", "gpt-4o-2024-08-06", "meta-llama/llama-3.3-70b-instruct", "*/llama-*",
                                    "stone", "claude-*", "den/any"]}
        },
        "fallbacks": {"openai/gpt-4o": ["good:floor", "grok/grok-4"]},
        "rules": [{"name": "no", "ignore": ["opnrouter/*", "gpt-5-preview", "google/*"]}],
        "targets": {"azrue/*": {"jurisdictions": ["eu"]}},
        "semantics": {"model": "workers/@cf/baai/bge-small-en-v1.5", "routes": {"a": ["b"]}},
        "experiments": {"new": {"alias": "good", "variants": {"a": {"share": 0.1, "candidates": ["gemnii/gemini-2.5-pro"]}}}},
        "providers": {"den": {"base_url": "https://den.example.com/v1", "models": ["stone"]}}}"#;
    let (_, stored) = crate::config::read_stored(document.as_bytes()).expect("a document");
    assert_eq!(stored, [], "what was taken once goes on");
    let faults = crate::config::read(document.as_bytes()).expect_err("faults");
    let mut found: Vec<(&str, bool)> =
        faults.iter().map(|fault| (fault.path.as_str(), fault.message.contains("nearest is"))).collect();
    found.sort_unstable();
    let expected = [
        ("aliases.fast.candidates.0", true),
        ("aliases.fast.candidates.3.model", false),
        ("aliases.fast.fallbacks", true),
        ("aliases.fast.overlays.0.candidates.0", true),
        ("experiments.new.variants.a.candidates.0", true),
        ("fallbacks.openai/gpt-4o.1", true),
        ("rules.0.ignore", true),
        ("semantics.model", false),
        ("targets.azrue/*", true),
    ];
    assert_eq!(found, expected, "{faults:#?}");
}
