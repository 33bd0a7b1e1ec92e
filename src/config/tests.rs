use proptest::prelude::*;

use super::*;
use crate::provider::{Auth, Bucket, OutputCap, Quirks, ReasoningBack, cost};
use crate::route::condition::Condition;
use crate::units::{Millis, NanoUsd, UnixMillis};
use crate::wire::Format;

/// Paths and messages of the faults in `json`.
fn faults(json: &str) -> Vec<(String, String)> {
    let faults = read(json.as_bytes()).expect_err("a document with faults");
    faults.into_iter().map(|fault| (fault.path, fault.message)).collect()
}

fn paths(json: &str) -> Vec<String> {
    faults(json).into_iter().map(|(path, _)| path).collect()
}

const COMPLETE: &str = r#"{
    "version": 1,
    "models": {
        "openai/gpt-4o": {
            "context": 64000,
            "prices": [
                {"usd_per_mtok": {"input": 3, "output": 12, "cache_read": 1.5}, "until": "2026-12-01"},
                {"from": "2026-12-01", "usd_per_mtok": {"input": 0.0025, "output": 10},
                 "tiers_above": [{"input_tokens": 200000, "usd_per_mtok": {"input": 5}}],
                 "service_tiers": {"flex": {"input": 1}}, "usd_per_request": 0.01},
                {"from": 1764547200000, "hours": "16:30-00:30", "usd_per_mtok": {"input": 1, "output": 2}}
            ]
        },
        "cave/llama-5": {"mode": "chat", "max_output": 4096, "capabilities": ["tools", "vision"], "retires": "2027-01-31"}
    },
    "providers": {
        "cave": {
            "name": "The cave", "base_url": "https://cave.example.com/v1/", "auth": {"header": "x-api-key"},
            "key_variables": ["CAVE_TOKEN"], "models": ["llama-5", "org/other"],
            "quirks": {"output_cap": "either", "refuses": ["stream_options"], "reasoning_back": "details"},
            "endpoints": {"embeddings": true}
        },
        "openai": {"base_url": "https://proxy.example.com/v1"}
    },
    "limits": {"body_bytes": 1048576, "deadlines": {"first_token_ms": 5000}},
    "lanes": {"relay": true},
    "failover": {"max_attempts": 3, "backoff_ms": 100, "context_length": true, "throughput": {"tokens_per_second": 5}},
    "fallbacks": {"openai/gpt-4o": ["cave/llama-5", "anthropic/claude-sonnet-4-5"]}
}"#;

#[test]
fn a_complete_document_means_what_it_says() {
    let config = read(COMPLETE.as_bytes()).expect("no faults");
    assert_eq!(config.limits.body_bytes, 1 << 20);
    assert_eq!(config.limits.json_depth, Limits::default().json_depth);
    assert_eq!(config.limits.deadlines.first_token, Millis(5_000));
    assert_eq!(config.lanes, Lanes { relay: true, usage_chunk_passes: false });

    let retries = config.failover.retries;
    assert_eq!((retries.max_attempts, retries.same_target, retries.backoff), (3, 2, Millis(100)));
    assert!(retries.context_length && !retries.content_policy && config.failover.enabled);
    let guard = Throughput { tokens_per_second: 5, within: Millis(2_000) };
    assert_eq!((config.failover.throughput, config.failover.hedge), (Some(guard), None));
    assert_eq!(*config.fallbacks.get("openai/gpt-4o").unwrap(), ["cave/llama-5", "anthropic/claude-sonnet-4-5"]);

    let cave = config.providers.get("cave").unwrap();
    assert_eq!(cave.base_url.as_deref(), Some("https://cave.example.com/v1"));
    assert_eq!((cave.auth, cave.format), (Some(Auth::Header("x-api-key")), None));
    assert_eq!(cave.models, ["llama-5", "org/other"]);
    let quirks = Quirks {
        output_cap: OutputCap::Either,
        refuses: &["stream_options"],
        reasoning_back: ReasoningBack::Details,
        ..default_quirks(Format::OpenAiChat)
    };
    assert_eq!(cave.quirks, Some(quirks));
    assert_eq!(config.providers.get("openai").unwrap().quirks, None);

    let gpt = config.models.get("openai/gpt-4o").unwrap();
    assert_eq!((gpt.context, gpt.max_output, gpt.prices.len()), (Some(64_000), None, 3));
    assert_eq!(gpt.prices[0].validity.until, Some(UnixMillis(1_796_083_200_000)));
    assert_eq!(gpt.prices[1].rates.get(Bucket::Input), Some(NanoUsd(2_500_000)));
    assert_eq!(gpt.prices[1].above[0].tokens, 200_000);
    let searched = crate::chat::Usage { tool_requests: Some(3), ..crate::chat::Usage::default() };
    assert_eq!(cost(&searched, &gpt.prices[1]), Some(NanoUsd(30_000_000)));
}

#[test]
fn an_empty_document_is_the_default() {
    assert_eq!(read(br#"{"version":1}"#), Ok(Config::default()));
}

#[test]
fn every_fault_is_found_at_once_with_its_path() {
    let found = paths(
        r#"{
        "version": 2, "colour": "red",
        "limits": {"body_bytes": "16 MiB", "deadlines": {"idle": 5}},
        "models": {
            "openai/gpt-4o": {"prices": [{"usd_per_mtok": {"input": 1e-10, "output": -1, "inptu": 2}}]},
            "openai/o1": {"prices": [{"until": "2026-01-01", "from": "2026-02-01", "usd_per_mtok": {"input": 1}},
                                     {"from": "2026-02-01", "hours": "noon", "usd_per_mtok": {}}]},
            "nowhere/x": {}, "gpt": {"context": 0.5}
        },
        "providers": {"my server": {"base_url": "ftp://x"}, "new": {"auth": "basic", "key_variables": ["ADMIN_KEY"]}}
    }"#,
    );
    let expected = [
        "providers.my server",
        "providers.my server.base_url",
        "providers.new.auth",
        "providers.new.key_variables.0",
        "providers.new.base_url",
        "version",
        "colour",
        "limits.body_bytes",
        "limits.deadlines.idle",
        "models.openai/gpt-4o.prices.0.usd_per_mtok.inptu",
        "models.openai/gpt-4o.prices.0.usd_per_mtok.input",
        "models.openai/gpt-4o.prices.0.usd_per_mtok.output",
        "models.openai/gpt-4o.prices.0.usd_per_mtok",
        "models.openai/o1.prices.0",
        "models.openai/o1.prices.1.hours",
        "models.openai/o1.prices.1.usd_per_mtok",
        "models.openai/o1.prices.1",
        "models.nowhere/x",
        "models.gpt",
        "models.gpt.context",
    ];
    assert_eq!(found, expected);
}

#[test]
fn repeated_keys_are_faults_wherever_they_stand() {
    let twice = r#"{"version": 1, "version": 1, "limits": {"json_depth": 20, "json_depth": 30},
                    "models": {"openai/o1": {}, "openai/o1": {}}}"#;
    assert_eq!(paths(twice), ["version", "limits.json_depth", "models.openai/o1"]);
}

#[test]
fn what_is_no_document_is_one_fault() {
    let deep = "[".repeat(50);
    for json in ["", "{", "nul", deep.as_str(), "\u{0}"] {
        assert_eq!(paths(json), [""], "{json}");
    }
    assert_eq!(paths("[]"), [""]);
    assert_eq!(faults("{}"), [("version".to_owned(), "is missing: write 1".to_owned())]);
    assert_eq!(paths(&" ".repeat(5 << 20)), [""]);
}

#[test]
fn the_faults_of_a_hopeless_document_are_capped() {
    let many: Vec<String> = (0..5_000).map(|index| format!(r#""m{index}": 1"#)).collect();
    assert_eq!(faults(&format!(r#"{{"version": 1, "models": {{{}}}}}"#, many.join(","))).len(), 100);
}

#[test]
fn a_difference_names_the_place_and_both_values() {
    let old = r#"{"version":1,"limits":{"json_depth":20},"models":{"a/b":{"context":1,"prices":[1]}}}"#;
    let new = r#"{"models":{"a/b":{"context":2,"prices":[1]}},"lanes":{"relay":true},"version":1}"#;
    let difference = |path: &str, before: Option<&str>, after: Option<&str>| Difference {
        path: path.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let expected = vec![
        difference("lanes", None, Some(r#"{"relay":true}"#)),
        difference("limits", Some(r#"{"json_depth":20}"#), None),
        difference("models.a/b.context", Some("1"), Some("2")),
    ];
    assert_eq!(diff(old.as_bytes(), new.as_bytes()), Ok(expected));
    assert_eq!(diff(old.as_bytes(), old.as_bytes()), Ok(Vec::new()));
    assert!(diff(b"{", b"{}").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn a_damaged_document_is_read_or_refused(at in 0..COMPLETE.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut json = COMPLETE.as_bytes().to_vec();
        json[at] = byte;
        json.truncate(if cut { at } else { json.len() });
        if let Err(faults) = read(&json) {
            prop_assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.message.is_empty()));
        }
        let same = diff(&json, &json);
        prop_assert!(same.is_err() || same == Ok(Vec::new()));
    }
}

#[test]
fn health_is_read_and_its_faults_are_named() {
    let config = read(br#"{"version": 1, "health": {"failures_in_a_row": 5, "block_ms": 2000}}"#).expect("no faults");
    assert_eq!((config.health.failures_in_a_row, config.health.block.0), (5, 2_000));
    let found = faults(
        r#"{"version": 1, "health": {"enabled": 1, "error_percent": 0, "probe_ms": "30s", "block_ms": 400000, "x": 1}}"#,
    );
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["health.x", "health.enabled", "health.error_percent", "health.probe_ms", "health"], "{found:?}");
}

#[test]
fn failover_names_its_faults() {
    let json = r#"{"version": 1, "failover": {"max_attempts": 0, "hedge": {"after_ms": 1}, "throughput": {}, "retry": 1},
        "fallbacks": {"groq/b": ["groq/b"], "c/d": ["", 3]}}"#;
    let expected = [
        "failover.max_attempts",
        "failover.hedge.after_ms",
        "failover.throughput.tokens_per_second",
        "failover.retry",
        "fallbacks.groq/b",
        "fallbacks.c/d.0",
        "fallbacks.c/d.1",
    ];
    let mut found = paths(json);
    found.sort_unstable();
    let mut expected = expected.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn of_a_stored_document_what_is_understood_is_kept() {
    let document = br#"{"version": 1, "from_the_future": {}, "rules": [
        {"name": "eu", "when": {"tag": "health", "mood": "good"}, "jurisdictions": ["eu"], "only": ["openai"]}]}"#;
    let (config, faults) = read_stored(document).expect("a document");
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["from_the_future", "rules.0.when.mood", "rules.0.only"]);
    assert_eq!(config.routing.rules[0].demands.jurisdictions, [["eu".to_owned()]]);
    assert!(read(document).is_err() && read_stored(b"{").is_err());
    let newer =
        br#"{"version": 1, "rules": [{"name": "eu", "when": {"not": {"moon": "full"}}, "jurisdictions": ["eu"]}]}"#;
    let (config, faults) = read_stored(newer).expect("a document");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(config.routing.rules[0].when, Condition::Always, "the rule must not vanish");
}
