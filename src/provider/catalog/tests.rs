use super::*;

#[test]
fn rows_are_sorted_unique_and_well_formed() {
    for pair in PROVIDERS.windows(2) {
        assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
    }
    for provider in PROVIDERS {
        let id = provider.id;
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
        let local = provider.auth == Auth::Optional;
        let scheme = if local { "http://localhost:" } else { "https://" };
        assert!(provider.base_url.starts_with(scheme) && !provider.base_url.ends_with('/'), "{id}");
        assert_eq!(find(id).map(|found| found.id), Some(id));
    }
}

#[test]
fn variables_are_called_as_documented() {
    let variables = |id: &str| {
        let provider = find(id).expect("a row");
        (provider.key_variable(), provider.base_url_variable())
    };
    assert_eq!(variables("qwen"), ("QWEN_API_KEY".to_owned(), "QWEN_BASE_URL".to_owned()));
    assert_eq!(variables("workers-ai"), ("WORKERS_AI_API_KEY".to_owned(), "WORKERS_AI_BASE_URL".to_owned()));
    assert_eq!(find("qwen").and_then(|row| row.recordings), Some("dashscope"));
    assert_eq!(find("workers-ai").and_then(|row| row.recordings), Some("cloudflare"));
}

#[test]
fn only_what_follows_the_format_may_be_relayed() {
    let faithful = |id: &str| find(id).expect("a row").quirks.stream_is_faithful();
    assert!(faithful("openai") && faithful("azure") && faithful("deepseek") && faithful("xai"));
    assert!(!faithful("cerebras") && !faithful("mistral") && !faithful("perplexity") && !faithful("snowflake"));
}
