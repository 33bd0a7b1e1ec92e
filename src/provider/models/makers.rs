/// The providers that serve models of their own making, by catalogue id, sorted: a bare model id goes to its maker.
pub const MAKERS: &[&str] = &[
    "ai21",
    "anthropic",
    "cohere",
    "deepseek",
    "gemini",
    "jina",
    "minimax",
    "mistral",
    "moonshot",
    "openai",
    "perplexity",
    "qwen",
    "voyage",
    "xai",
    "zai",
];

/// Beginnings of the ids of models that a maker hosts but did not make.
const HOSTED: &[(&str, &[&str])] =
    &[("perplexity", &["codellama-", "llama-", "mistral-", "mixtral-"]), ("qwen", &["deepseek-", "glm-", "kimi-"])];

/// Whether `model`, which the provider serves, is of its own making.
///
/// ```
/// use latchkey::provider::models::makes;
/// assert!(makes("qwen", "qwen3-max") && !makes("qwen", "deepseek-v4-pro") && !makes("groq", "qwen3-max"));
/// ```
#[must_use]
pub fn makes(catalog_id: &str, model: &str) -> bool {
    let hosted = HOSTED.iter().find(|(host, _)| *host == catalog_id).map_or(&[][..], |(_, starts)| starts);
    MAKERS.binary_search(&catalog_id).is_ok() && !hosted.iter().any(|start| model.starts_with(start))
}
