//! Token counts of a Converse answer.

use crate::chat::Usage;
use crate::json::readable;

/// A `usage` object. `inputTokens` leaves cached tokens out; `outputTokens` includes reasoning and does not tell it
/// apart.
///
/// Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>; recording
/// `bedrock.cache-stream.a6073f8780`.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<Written>>,
}
readable! { camel Counts {
    input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, cache_details,
} }

/// What was written to the cache for how long.
#[derive(Clone, Debug, Default)]
struct Written {
    ttl: Option<String>,
    input_tokens: Option<u64>,
}
readable! { camel Written { ttl, input_tokens } }

impl Counts {
    /// Disjoint buckets; `None` where nothing was counted.
    pub fn usage(&self, service_tier: Option<String>) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let hour = self.cache_details.as_deref().unwrap_or_default().iter();
        let hour =
            hour.filter(|written| written.ttl.as_deref() == Some("1h")).filter_map(|written| written.input_tokens);
        let hour = hour.reduce(u64::saturating_add);
        Some(Usage {
            input_fresh: self.input_tokens.unwrap_or(0),
            input_cache_read: self.cache_read_input_tokens,
            input_cache_write: self.cache_write_input_tokens.map(|all| all.saturating_sub(hour.unwrap_or(0))),
            input_cache_write_1h: hour,
            output_text: self.output_tokens.unwrap_or(0),
            service_tier,
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_stand_beside_the_fresh_ones() {
        let counts: Counts = crate::json::from_str(
            r#"{"inputTokens":9,"outputTokens":5,"cacheReadInputTokens":3,"cacheWriteInputTokens":10,
            "cacheDetails":[{"ttl":"5m","inputTokens":4},{"ttl":"1h","inputTokens":6}],"serverToolUsage":{}}"#,
        )
        .expect("counts");
        let usage = counts.usage(None).expect("something was counted");
        assert_eq!((usage.prompt_tokens(), usage.completion_tokens()), (22, 5));
        assert_eq!((usage.input_cache_write, usage.input_cache_write_1h), (Some(4), Some(6)));
        assert_eq!(Counts::default().usage(None), None);
    }
}
