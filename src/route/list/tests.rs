use serde_json::{Value, json};

use super::*;
use crate::config;

const NOW: UnixMillis = UnixMillis(1_795_219_200_000);

fn registry(keys: &[&str]) -> Registry {
    let environment: SortedMap<String, String> =
        keys.iter().map(|key| ((*key).to_owned(), "secret".to_owned())).collect();
    let document = br#"{"version": 1,
        "providers": {"cave": {"base_url": "https://cave.example.com", "auth": "none", "models": ["flint"]}},
        "models": {"cave/fire": {"context": 1000, "capabilities": ["vision"], "retires": "2030-01-01",
            "prices": [{"usd_per_mtok": {"input": 0.05, "output": 1}, "usd_per_request": 0.5,
                        "service_tiers": {"\"odd\"": {"input": 1}}}]},
        "cave/ash": {"retires": "2020-01-01"}}}"#;
    Registry::new(&environment, &config::read(document).expect("no faults"), false)
}

fn list(registry: &Registry, permitted: Permitted<'_>) -> Vec<Value> {
    let list: Value = serde_json::from_str(&registry.models_json(permitted, NOW)).expect("JSON");
    assert_eq!(list["object"], "list");
    list["data"].as_array().expect("a list").clone()
}

fn ids(models: &[Value]) -> Vec<&str> {
    models.iter().map(|model| model["id"].as_str().expect("an id")).collect()
}

#[test]
fn only_what_can_be_called_and_is_permitted_is_listed() {
    let keyless = registry(&[]);
    assert_eq!(ids(&list(&keyless, &|_, _| true)), ["cave/fire", "cave/flint"]);
    assert_eq!(list(&keyless, &|_, model| model == "flint").len(), 1);
    let openai = list(&registry(&["OPENAI_API_KEY"]), &|provider, _| provider == "openai");
    let ids = ids(&openai);
    assert!(ids.contains(&"openai/gpt-4o") && ids.contains(&"openai/text-embedding-3-small"), "{ids:?}");
    assert!(ids.contains(&"openai/whisper-1") && ids.contains(&"openai/gpt-image-1-mini"), "{ids:?}");
    assert!(!ids.iter().any(|id| id.contains("-x-")), "sizes are no models: {ids:?}");
    // Its day came in October 2026.
    assert!(!ids.contains(&"openai/gpt-4o-2024-05-13"));
    assert!(ids.is_sorted());
}

#[test]
fn a_model_says_what_is_known_of_it() {
    let registry = registry(&["OPENAI_API_KEY"]);
    let body = registry.model_json("gpt-4o", &|_, _| true, NOW).expect("a model");
    let model: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(model["id"], "openai/gpt-4o");
    assert_eq!((&model["object"], &model["owned_by"]), (&json!("model"), &json!("openai")));
    assert_eq!((&model["context_length"], &model["max_output_tokens"]), (&json!(128_000), &json!(16_384)));
    assert_eq!(model["architecture"], json!({"input_modalities": ["text", "image"], "output_modalities": ["text"]}));
    assert_eq!(
        model["pricing"],
        json!({"prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000125"})
    );
    assert_eq!(model["usd_per_mtok"], json!({"input": 2.5, "output": 10, "cache_read": 1.25}));
    assert_eq!(model["service_tiers"]["batch"], json!({"input": 1.25, "output": 5}));
    let supported: Vec<&str> =
        model["supported_parameters"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert!(supported.contains(&"tools") && supported.contains(&"structured_outputs"), "{supported:?}");
    assert!(!supported.contains(&"reasoning"), "{supported:?}");
}

#[test]
fn what_the_document_says_is_listed_too() {
    let registry = registry(&[]);
    let body = registry.model_json("cave/fire", &|_, _| true, NOW).expect("a model");
    let model: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(model["context_length"], 1000);
    assert_eq!(model["pricing"], json!({"prompt": "0.00000005", "completion": "0.000001", "request": "0.5"}));
    assert_eq!(model["service_tiers"], json!({"\"odd\"": {"input": 1}}));
    assert_eq!(model["architecture"]["input_modalities"], json!(["text", "image"]));
    assert_eq!(model["retires"], "2030-01-01");
}

#[test]
fn what_a_key_may_not_use_does_not_exist_for_it() {
    let registry = registry(&["OPENAI_API_KEY"]);
    for (model, allowed) in [("openai/gpt-4o", false), ("openai/gpt-99", true), ("anthropic/claude-opus-4-5", true)] {
        let failure = registry.model_json(model, &|_, _| allowed, NOW).expect_err(model);
        assert_eq!((failure.kind, failure.code.as_deref()), (Kind::NotFound, Some("model_not_found")), "{model}");
    }
}

#[test]
fn dollars_for_one_are_exact() {
    let cases = [(0, "0"), (1, "0.000000000000001"), (2_500_000_000, "0.0000025"), (10_000_000_000_000_000, "10")];
    for (rate, expected) in cases {
        assert_eq!(usd_each(NanoUsd(rate)), expected);
    }
    assert_eq!(usd_each(NanoUsd(i64::MAX)), "9223.372036854775807");
}

#[test]
fn callers_of_messages_read_a_list_of_their_own() {
    let registry = registry(&["OPENAI_API_KEY"]);
    let list: Value = serde_json::from_str(&registry.messages_models_json(&|_, _| true, NOW)).expect("JSON");
    let data = list["data"].as_array().expect("a list");
    assert!(data.len() > 10 && list["has_more"] == false);
    assert_eq!((&list["first_id"], &list["last_id"]), (&data[0]["id"], &data[data.len() - 1]["id"]));
    assert!(data.iter().all(|model| model["type"] == "model" && model["created_at"].as_str().is_some()));
    assert!(data.iter().all(|model| !model["id"].as_str().expect("an id").contains("embedding")));
    let one: Value =
        serde_json::from_str(&registry.messages_model_json("gpt-4o", &|_, _| true).expect("a model")).expect("JSON");
    assert_eq!((&one["id"], &one["display_name"]), (&"openai/gpt-4o".into(), &"gpt-4o (OpenAI)".into()));
    let none: Value = serde_json::from_str(&registry.messages_models_json(&|_, _| false, NOW)).expect("JSON");
    assert_eq!(none, serde_json::json!({"data": [], "has_more": false, "first_id": null, "last_id": null}));
}
