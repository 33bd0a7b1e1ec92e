use proptest::prelude::*;

use super::*;
use crate::config;
use crate::sorted::SortedMap;

fn registry(keys: &[&str]) -> Registry {
    let environment: SortedMap<String, String> =
        keys.iter().map(|key| ((*key).to_owned(), "secret".to_owned())).collect();
    let document = br#"{"version": 1, "providers": {"cave": {"base_url": "https://cave.example.com", "auth": "none",
        "models": ["llama-5", "stone/flint-7b"]}}, "models": {"cave/fire-1": {"context": 1000}}}"#;
    Registry::new(&environment, &config::read(document).expect("no faults"), true)
}

fn found(registry: &Registry, model: &str) -> String {
    let Resolved { provider, model } = resolve(registry, model).expect(model);
    format!("{provider} {model}")
}

#[test]
fn the_first_part_names_the_provider() {
    let registry = registry(&[]);
    let cases = [
        ("openai/gpt-99", "openai gpt-99"),
        ("openrouter/meta-llama/llama-3.3-70b-instruct:free", "openrouter meta-llama/llama-3.3-70b-instruct:free"),
        ("groq/openai/gpt-oss-120b", "groq openai/gpt-oss-120b"),
        ("workers-ai/@cf/meta/llama-3.1-8b-instruct", "workers-ai @cf/meta/llama-3.1-8b-instruct"),
        ("anthropic/claude-sonnet-4-5-latest", "anthropic claude-sonnet-4-5-latest"),
        ("sandbox/delay-100", "sandbox delay-100"),
        ("cave/anything", "cave anything"),
        ("ollama/qwen3:8b", "ollama qwen3:8b"),
    ];
    for (model, expected) in cases {
        assert_eq!(found(&registry, model), expected);
    }
}

#[test]
fn a_bare_id_goes_to_its_maker_or_to_the_only_one_who_has_it() {
    let both = registry(&["OPENAI_API_KEY", "AZURE_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY"]);
    assert_eq!(found(&both, "gpt-4o"), "openai gpt-4o");
    assert_eq!(found(&both, "gemini-2.5-pro"), "gemini gemini-2.5-pro");
    assert_eq!(found(&both, "llama-guard-3-8b"), "groq llama-guard-3-8b");
    assert_eq!(found(&both, "llama-5"), "cave llama-5");
    assert_eq!(found(&both, "stone/flint-7b"), "cave stone/flint-7b");
    assert_eq!(found(&both, "fire-1"), "cave fire-1");
    // Not listed, but of a line that is.
    assert_eq!(found(&both, "gpt-4o-2031-01-01"), "openai gpt-4o-2031-01-01");
    let host_only = registry(&["DEEPINFRA_API_KEY"]);
    assert_eq!(
        found(&host_only, "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        "deepinfra meta-llama/Llama-3.3-70B-Instruct-Turbo"
    );
    // Hosted by Qwen's platform, made by DeepSeek.
    let three = registry(&["QWEN_API_KEY", "DEEPSEEK_API_KEY"]);
    assert_eq!(found(&three, "deepseek-v4-pro"), "deepseek deepseek-v4-pro");
    assert_eq!(found(&registry(&["QWEN_API_KEY"]), "deepseek-v4-pro"), "qwen deepseek-v4-pro");
}

#[test]
fn an_id_that_several_have_is_refused_with_the_choices() {
    let registry = registry(&["DEEPINFRA_API_KEY", "TOGETHER_API_KEY", "HYPERBOLIC_API_KEY"]);
    let failure = resolve(&registry, "deepseek-ai/DeepSeek-V3").expect_err("several have it");
    assert_eq!((failure.kind, failure.code.as_deref()), (Kind::AmbiguousModel, Some("ambiguous_model")));
    assert!(failure.message.contains("`deepinfra/deepseek-ai/DeepSeek-V3`"), "{}", failure.message);
    assert!(failure.message.contains("`together/deepseek-ai/DeepSeek-V3`"), "{}", failure.message);
}

#[test]
fn an_unknown_id_is_answered_with_the_nearest_names() {
    let registry = registry(&["OPENAI_API_KEY", "ANTHROPIC_API_KEY"]);
    let message = |model: &str| {
        let failure = resolve(&registry, model).expect_err(model);
        assert_eq!((failure.kind, failure.code.as_deref()), (Kind::NotFound, Some("model_not_found")));
        failure.message.clone()
    };
    assert!(message("gpt4o").contains("`openai/gpt-4o`"), "{}", message("gpt4o"));
    assert!(message("GPT-4O").contains("`openai/gpt-4o`"), "{}", message("GPT-4O"));
    assert!(message("opnai/gpt-4o").contains("`openai/gpt-4o`"), "{}", message("opnai/gpt-4o"));
    assert!(message("claude-sonet-4-5").contains("`anthropic/claude-sonnet-4-5`"));
    assert!(message("something quite different").contains("GET /v1/models"));
    assert!(message("mistral-large-latest").contains("served by `mistral`"));
}

#[test]
fn what_is_no_model_string_is_a_bad_request() {
    let registry = registry(&[]);
    let long = "x".repeat(300);
    for model in ["", "openai/", "gpt\n4", long.as_str()] {
        assert_eq!(resolve(&registry, model).expect_err(model).kind, Kind::BadRequest, "{model}");
    }
}

#[test]
fn the_sandbox_can_be_off() {
    let deployed = Registry::new(&SortedMap::new(), &config::Config::default(), false);
    let failure = resolve(&deployed, "sandbox/echo").expect_err("off");
    assert!(failure.message.contains("SANDBOX"), "{}", failure.message);
    assert_eq!(resolve(&deployed, "echo").expect_err("no bare sandbox models").kind, Kind::NotFound);
}

proptest! {
    #[test]
    fn any_string_is_resolved_or_refused(model in "(openai/|cave/|sandbox/|gpt-4o)?\\PC{0,40}") {
        let registry = registry(&["OPENAI_API_KEY"]);
        match resolve(&registry, &model) {
            Ok(resolved) => {
                let whole = format!("{}/{}", resolved.provider, resolved.model);
                prop_assert!(resolved.model == model || whole == model, "{whole} is not {model}");
            }
            Err(failure) => prop_assert!(!failure.message.is_empty()),
        }
    }
}
