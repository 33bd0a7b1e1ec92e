use super::*;
use crate::chat::Usage;
use crate::config;
use crate::provider::{Auth, Capabilities, ReasoningControl, cost};

const UNSIGNED: Unsigned<'_> = Unsigned { method: "POST", url: "https://a.example", body: b"{}", now: UnixMillis(0) };

const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

fn registry(variables: &[(&str, &str)], document: &str, local: bool) -> Registry {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let config = config::read(document.as_bytes()).expect("a document without faults");
    Registry::new(&environment, &config, local)
}

fn usable(registry: &Registry) -> Vec<&str> {
    registry.usable().map(|upstream| upstream.id.as_str()).collect()
}

const EMPTY: &str = r#"{"version": 1}"#;

#[test]
fn a_provider_is_usable_once_it_has_what_it_needs() {
    assert_eq!(usable(&registry(&[], EMPTY, false)), Vec::<&str>::new());
    assert_eq!(usable(&registry(&[], EMPTY, true)), ["sandbox"]);
    assert_eq!(usable(&registry(&[("SANDBOX", "off")], EMPTY, true)), Vec::<&str>::new());
    assert_eq!(usable(&registry(&[("SANDBOX", "on")], EMPTY, false)), ["sandbox"]);
    let variables = [
        ("OPENAI_API_KEY", " sk-1\n"),
        ("ANTHROPIC_API_KEY", ""),
        // The account is missing, so its address is not complete.
        ("WORKERS_AI_API_KEY", "token"),
        ("OLLAMA_BASE_URL", "http://localhost:11434/v1"),
    ];
    assert_eq!(usable(&registry(&variables, EMPTY, false)), ["ollama", "openai"]);
}

#[test]
fn addresses_and_keys_come_from_variables_then_the_document_then_the_row() {
    let document = r#"{"version": 1, "providers": {
        "groq": {"base_url": "https://proxy.example.com/groq/"},
        "cave": {"base_url": "https://cave.example.com", "key_variables": ["TORCH"], "auth": {"header": "api-key"}}}}"#;
    let variables = [
        ("OPENAI_BASE_URL", "http://localhost:1/v1/"),
        ("OPENAI_API_KEY", "one"),
        ("OPENAI_API_KEY_2", "two"),
        ("OPENAI_API_KEY_9", "nine"),
        ("TORCH", "light"),
    ];
    let registry = registry(&variables, document, false);
    let url = |id: &str| registry.upstream(id).expect(id).url("/chat/completions", "m").expect(id);
    assert_eq!(url("openai"), "http://localhost:1/v1/chat/completions");
    assert_eq!(url("groq"), "https://proxy.example.com/groq/chat/completions");
    assert_eq!(url("cave"), "https://cave.example.com/chat/completions");
    assert_eq!(url("deepseek"), "https://api.deepseek.com/chat/completions");

    let openai = registry.upstream("openai").expect("a row");
    assert_eq!(openai.keys.iter().map(crate::secret::Secret::expose).collect::<Vec<_>>(), ["one", "two", "nine"]);
    assert_eq!(openai.authorize(&UNSIGNED, None, 0), Ok(vec![("authorization", "Bearer one".to_owned())]));
    assert_eq!(openai.authorize(&UNSIGNED, None, 1), Ok(vec![("authorization", "Bearer two".to_owned())]));
    assert_eq!(openai.authorize(&UNSIGNED, Some("mine"), 0), Ok(vec![("authorization", "Bearer mine".to_owned())]));
    let cave = registry.upstream("cave").expect("declared");
    assert_eq!((cave.base_url(), cave.key_variable()), (Some("https://cave.example.com"), "TORCH"));
    assert_eq!(cave.authorize(&UNSIGNED, None, 0), Ok(vec![("api-key", "light".to_owned())]));
    assert_eq!((cave.auth, cave.quirks), (Auth::Header("api-key"), crate::provider::Quirks::COMPATIBLE));
    assert!(!format!("{registry:?}").contains("light"), "a secret was shown");
}

#[test]
fn what_is_not_set_up_says_what_is_missing() {
    let registry = registry(&[], EMPTY, false);
    let missing = |id: &str| {
        let upstream = registry.upstream(id).expect("a row");
        let signed = upstream.url("/x", "m").and_then(|_| upstream.authorize(&UNSIGNED, None, 0));
        signed.expect_err("not set up").message.clone()
    };
    assert!(missing("groq").ends_with("GROQ_API_KEY is not set."));
    assert!(missing("workers-ai").ends_with("CLOUDFLARE_ACCOUNT_ID is not set."));
    assert!(missing("ollama").ends_with("OLLAMA_BASE_URL is not set."));
    let at_home = self::registry(&[], EMPTY, true).upstream("ollama").expect("a row").authorize(&UNSIGNED, None, 0);
    assert_eq!(at_home, Ok(Vec::new()));
}

#[test]
fn the_document_overrides_the_catalogue_and_the_hour_picks_the_price() {
    let document = r#"{"version": 1, "models": {"openai/gpt-4o": {"context": 64000, "prices": [
        {"from": "2026-11-01", "until": "2026-12-01", "usd_per_mtok": {"input": 3, "output": 12}},
        {"from": "2026-11-10", "usd_per_mtok": {"input": 4, "output": 12}},
        {"from": "2026-11-01", "hours": "22:00-23:00", "usd_per_mtok": {"input": 1, "output": 2}}]}}}"#;
    let registry = registry(&[], document, false);
    let facts = registry.facts("openai", "gpt-4o");
    assert_eq!((facts.context, facts.max_output), (Some(64_000), Some(16_384)));
    let input_at = |day: &str, hour: i64| {
        let at = UnixMillis(UnixMillis::parse_date(day).expect("a day").0 + hour * 3_600_000);
        let price = registry.price("openai", "gpt-4o", at).expect("a price");
        price.rates.get(Bucket::Input).expect("an input price").to_string()
    };
    assert_eq!(input_at("2026-10-31", 12), "2.5", "the catalogue's");
    assert_eq!(input_at("2026-11-05", 12), "3");
    assert_eq!(input_at("2026-11-05", 22), "1");
    assert_eq!(input_at("2026-11-20", 12), "4");
    assert_eq!(input_at("2026-12-05", 12), "4");
}

#[test]
fn facts_join_catalogue_and_family() {
    let registry = registry(&[], EMPTY, false);
    let sonnet = registry.facts("anthropic", "claude-sonnet-4-5");
    assert!(sonnet.context.is_some() && matches!(sonnet.reasoning, ReasoningControl::Budget { .. }), "{sonnet:?}");
    let hosted = registry.facts("openrouter", "openai/gpt-4o:free");
    assert!(hosted.capabilities.unwrap_or_default().has(Capabilities::VISION));
    assert_eq!(registry.facts("groq", "never-heard-of"), ModelFacts::default());
    assert_eq!(registry.facts("nobody", "mistral-large"), ModelFacts::default());
}

#[test]
fn an_unknown_price_is_unknown() {
    let registry = registry(&[], EMPTY, true);
    assert_eq!(registry.price("openai", "gpt-99", NOW), None);
    assert_eq!(registry.price("nobody", "gpt-4o", NOW), None);
    assert_eq!(registry.price("openrouter", "openai/gpt-4o", NOW), None, "a reseller has its own prices");
    assert_eq!(registry.price("openai", "gpt-4o-2031-01-01", NOW), None, "its snapshots differ in price");
    assert!(registry.facts("qwen-cn", "glm-5.1").context.is_some());
    assert_eq!(registry.price("qwen-cn", "glm-5.1", NOW), None, "another region has its own prices");
    let mini = registry.price("openai", "gpt-4o-mini-2031-01-01", NOW).expect("all its snapshots cost the same");
    assert_eq!(mini.rates.get(Bucket::Input), Some(NanoUsd(150_000_000)));
}

#[test]
fn the_sandbox_costs_something() {
    let registry = registry(&[], EMPTY, true);
    let price = registry.price("sandbox", "delay-5", NOW).expect("a price");
    let usage = Usage { input_fresh: 10, output_text: 10, ..Usage::default() };
    assert_eq!(cost(&usage, &price), Some(NanoUsd(30_000)));
    assert_eq!(registry.upstream("sandbox").expect("switched on").authorize(&UNSIGNED, None, 0), Ok(Vec::new()));
}
