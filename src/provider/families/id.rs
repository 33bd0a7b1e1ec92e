//! Takes a model id apart: line and version.

/// Line and version of a model.
#[derive(PartialEq, Eq)]
pub(super) struct Model {
    /// Such as `claude-opus`, `gemini-flash-lite`, `gpt-codex`, `o`.
    pub line: &'static str,
    /// Major and minor. Without a number in the id the newest, for `-latest`, else zero.
    pub version: (u32, u32),
}

/// Words that mark models which neither chat nor think as their line does.
const OTHER_KINDS: &[&str] = &[
    "audio",
    "computer",
    "embedding",
    "exp",
    "gemma",
    "image",
    "live",
    "banana",
    "omni",
    "realtime",
    "robotics",
    "transcribe",
    "translate",
    "tts",
];

/// Reads `us.anthropic.claude-sonnet-4-5-20250929-v1:0` and its like.
pub(super) fn read(model_id: &str) -> Option<Model> {
    let lower = model_id.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    let words: Vec<&str> = name.split(['-', '.', '@', ':', '_', '~']).filter(|word| !word.is_empty()).collect();
    let start = words.iter().position(|word| {
        matches!(*word, "claude" | "gemini" | "gpt" | "grok" | "kimi" | "nova") || is_o_series(word)
    })?;
    let (maker, words) = words.get(start..)?.split_first()?;
    let has = |word: &str| words.contains(&word);
    if words.iter().any(|word| OTHER_KINDS.contains(word)) {
        return None;
    }
    let line = match *maker {
        "claude" if words.is_empty() => return None,
        "claude" => ["opus", "sonnet", "haiku", "fable", "mythos"]
            .iter()
            .zip(["claude-opus", "claude-sonnet", "claude-haiku", "claude-fable", "claude-mythos"])
            .find(|(tier, _)| has(tier))
            .map_or("claude", |(_, line)| line),
        "gemini" if has("flash") && has("lite") => "gemini-flash-lite",
        "gemini" if has("flash") => "gemini-flash",
        "gemini" if has("pro") => "gemini-pro",
        "gemini" => "gemini",
        "nova" => "nova",
        "grok" if has("non") => "grok-plain",
        "grok" if has("mini") => "grok-mini",
        "grok" if has("code") || has("build") => "grok-code",
        "grok" if has("agent") => "grok-multi-agent",
        "grok" => "grok",
        "gpt" if has("oss") => "gpt-oss",
        "gpt" if has("codex") && has("max") => "gpt-codex-max",
        "gpt" if has("codex") => "gpt-codex",
        "gpt" if has("chat") => "gpt-chat",
        "gpt" if has("search") => "gpt-search",
        "gpt" if has("pro") => "gpt-pro",
        "gpt" => "gpt",
        "kimi" => {
            let minor = words.get(1).and_then(|word| number(word)).unwrap_or(0);
            return Some(Model { line: "kimi", version: (number(words.first()?.strip_prefix('k')?)?, minor) });
        }
        o_series => {
            let line = if has("mini") { "o-mini" } else { "o" };
            return Some(Model { line, version: (o_series.get(1..)?.parse().ok()?, 0) });
        }
    };
    Some(Model { line, version: version(words)? })
}

/// `o1`, `o3`, `o4`, …
fn is_o_series(word: &str) -> bool {
    word.strip_prefix('o').is_some_and(|digits| number(digits).is_some())
}

/// The first short number and the short number right behind it. Dates begin with a longer one, and end the search:
/// `gpt-4o-2024-08-06`.
fn version(words: &[&str]) -> Option<(u32, u32)> {
    let is_date = |word: &&str| word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    let words = words.split(is_date).next().unwrap_or_default();
    if let Some(at) = words.iter().position(|word| number(word).is_some()) {
        let minor = words.get(at + 1).and_then(|word| number(word)).unwrap_or(0);
        return Some((number(words.get(at)?)?, minor));
    }
    Some(if words.contains(&"latest") { (u32::MAX, 0) } else { (0, 0) })
}

fn number(word: &str) -> Option<u32> {
    if (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit()) {
        word.parse().ok()
    } else {
        None
    }
}
