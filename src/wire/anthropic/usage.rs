//! Token counts of a Messages answer.

use crate::chat::Usage;
use crate::json::readable;

/// A `usage` object, of a whole answer, a `message_start` or a `message_delta`.
///
/// `input_tokens` leaves cached tokens out; `output_tokens` includes thinking. Counts of a `message_delta` are
/// cumulative and replace those of the start; older API versions repeat only `output_tokens` there.
///
/// Source: <https://platform.claude.com/docs/en/api/messages#usage>; recordings
/// `anthropic.server-tools-stream.c35d76edac` (counts that grow), `anthropic.thinking.551343690f` (both cache times).
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    service_tier: Option<String>,
    speed: Option<String>,
    inference_geo: Option<String>,
    iterations: Option<Vec<Iteration>>,
}
readable! { Counts {
    input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cache_creation,
    output_tokens_details, server_tool_use, service_tier, speed, inference_geo, iterations,
} }

#[derive(Clone, Debug, Default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}
readable! { CacheCreation { ephemeral_5m_input_tokens, ephemeral_1h_input_tokens } }

#[derive(Clone, Debug, Default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}
readable! { OutputDetails { thinking_tokens } }

#[derive(Clone, Debug, Default)]
struct ServerTools {
    web_search_requests: Option<u64>,
}
readable! { ServerTools { web_search_requests } }

/// One run of the model within a call, where the provider ran several.
#[derive(Clone, Debug, Default)]
struct Iteration {
    /// `message` and `compaction` are runs of the model itself, `fallback_message` is that of the one that answered in its
    /// place. Whatever else names a model, as `advisor_message` does, is of another one, with prices of its own.
    kind: Option<String>,
    model: Option<String>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
}
readable! { Iteration {
    kind = "type", model, input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
    cache_creation,
} }

impl Counts {
    /// Takes over what `newer` says.
    pub fn update(&mut self, newer: Counts) {
        fn replace<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        replace(&mut self.input_tokens, newer.input_tokens);
        replace(&mut self.output_tokens, newer.output_tokens);
        replace(&mut self.cache_read_input_tokens, newer.cache_read_input_tokens);
        replace(&mut self.cache_creation_input_tokens, newer.cache_creation_input_tokens);
        replace(&mut self.cache_creation, newer.cache_creation);
        replace(&mut self.output_tokens_details, newer.output_tokens_details);
        replace(&mut self.server_tool_use, newer.server_tool_use);
        replace(&mut self.service_tier, newer.service_tier);
        replace(&mut self.speed, newer.speed);
        replace(&mut self.inference_geo, newer.inference_geo);
        replace(&mut self.iterations, newer.iterations);
    }

    /// Disjoint buckets; `None` where nothing was counted.
    ///
    /// The top-level counts leave compactions out, and after one cover only the last run of the model, while all of them
    /// are billed: so the runs are summed up where they are listed. Fast mode and service in one region alone have prices
    /// of their own, and are told as the tiers `fast`, `us` and `fast-us`.
    pub fn usage(&self) -> Option<Usage> {
        let sum = self.sum_of_runs();
        let counts = sum.as_ref().unwrap_or(self);
        if counts.input_tokens.is_none() && counts.output_tokens.is_none() {
            return None;
        }
        let (write, write_1h) = counts.cache_writes();
        let output = counts.output_tokens.unwrap_or(0);
        let reasoning = self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
        let reasoning = reasoning.map(|tokens| tokens.min(output));
        let dearer = match (self.speed.as_deref(), self.inference_geo.as_deref()) {
            (Some("fast"), Some("us")) => Some("fast-us"),
            (Some("fast"), _) => Some("fast"),
            (_, Some("us")) => Some("us"),
            _ => None,
        };
        Some(Usage {
            input_fresh: counts.input_tokens.unwrap_or(0),
            input_cache_read: counts.cache_read_input_tokens,
            input_cache_write: write,
            input_cache_write_1h: write_1h,
            output_text: output - reasoning.unwrap_or(0),
            output_reasoning: reasoning,
            tool_requests: self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests),
            service_tier: dearer.map(str::to_owned).or_else(|| self.service_tier.clone()),
            ..Usage::default()
        })
    }

    /// Written for five minutes and for an hour. A `message_delta` repeats the total and not the parts.
    fn cache_writes(&self) -> (Option<u64>, Option<u64>) {
        let total = self.cache_creation_input_tokens;
        let Some(parts) = &self.cache_creation else { return (total, None) };
        let hour = parts.ephemeral_1h_input_tokens;
        match total {
            Some(total) => (Some(total.saturating_sub(hour.unwrap_or(0))), hour),
            None => (parts.ephemeral_5m_input_tokens, hour),
        }
    }

    fn sum_of_runs(&self) -> Option<Counts> {
        let compacts = |run: &Iteration| run.kind.as_deref() == Some("compaction");
        let runs = self.iterations.as_deref().filter(|runs| runs.len() > 1 || runs.iter().any(compacts))?;
        let mut sum = Counts::default();
        let is_own = |run: &&Iteration| {
            matches!(run.kind.as_deref(), Some("message" | "compaction" | "fallback_message")) || run.model.is_none()
        };
        for run in runs.iter().filter(is_own) {
            let add = |to: &mut Option<u64>, more: Option<u64>| {
                *to = more.map_or(*to, |more| Some(to.unwrap_or(0).saturating_add(more)));
            };
            add(&mut sum.input_tokens, run.input_tokens);
            add(&mut sum.output_tokens, run.output_tokens);
            add(&mut sum.cache_read_input_tokens, run.cache_read_input_tokens);
            add(&mut sum.cache_creation_input_tokens, run.cache_creation_input_tokens);
            if let Some(parts) = &run.cache_creation {
                let to = sum.cache_creation.get_or_insert_default();
                add(&mut to.ephemeral_5m_input_tokens, parts.ephemeral_5m_input_tokens);
                add(&mut to.ephemeral_1h_input_tokens, parts.ephemeral_1h_input_tokens);
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(start: &str, delta: &str) -> Usage {
        let mut counts: Counts = crate::json::from_str(start).expect("counts");
        counts.update(crate::json::from_str(delta).expect("counts"));
        counts.usage().expect("something was counted")
    }

    #[test]
    fn the_last_count_wins_and_silence_changes_nothing() {
        let start = r#"{"input_tokens":9,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,
            "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#;
        let old = usage(start, r#"{"output_tokens":50}"#);
        assert_eq!((old.input_fresh, old.output_text, old.prompt_tokens()), (9, 50, 46));
        assert_eq!((old.input_cache_write, old.input_cache_write_1h), (Some(10), Some(20)));
        let new = usage(
            start,
            r#"{"input_tokens":11,"cache_creation_input_tokens":35,"output_tokens":50,
            "output_tokens_details":{"thinking_tokens":40}}"#,
        );
        assert_eq!((new.input_fresh, new.input_cache_write, new.input_cache_write_1h), (11, Some(15), Some(20)));
        assert_eq!((new.output_text, new.output_reasoning, new.completion_tokens()), (10, Some(40), 50));
    }

    #[test]
    fn searches_are_billed_as_they_are_counted_last() {
        let start = r#"{"input_tokens":9,"output_tokens":1,"server_tool_use":{"web_search_requests":1}}"#;
        let searched = usage(start, r#"{"output_tokens":5,"server_tool_use":{"web_search_requests":3}}"#);
        assert_eq!((searched.tool_requests, searched.output_text), (Some(3), 5));
        assert_eq!(usage(start, r#"{"output_tokens":5}"#).tool_requests, Some(1));
    }

    #[test]
    fn every_run_of_the_same_model_is_billed() {
        let used = usage(
            "{}",
            r#"{"input_tokens":23,"output_tokens":9,"iterations":[
            {"type":"compaction","input_tokens":100,"output_tokens":30},
            {"type":"advisor_message","model":"another","input_tokens":5000,"output_tokens":5000},
            {"type":"message","model":"claude-opus-5","input_tokens":23,"output_tokens":9}]}"#,
        );
        assert_eq!((used.input_fresh, used.output_text), (123, 39));
        let compacted = usage(
            r#"{"input_tokens":0,"output_tokens":0}"#,
            r#"{"output_tokens":0,"iterations":[{"type":"compaction","input_tokens":9000,"output_tokens":700}]}"#,
        );
        assert_eq!(
            (compacted.input_fresh, compacted.output_text),
            (9000, 700),
            "a request to compact and nothing else"
        );
        let refused = usage(
            "{}",
            r#"{"input_tokens":20,"output_tokens":300,"iterations":[
            {"type":"message","model":"claude-fable-5-2","input_tokens":20,"output_tokens":4},
            {"type":"fallback_message","model":"claude-opus-5-5","input_tokens":20,"output_tokens":300}]}"#,
        );
        assert_eq!((refused.input_fresh, refused.output_text), (40, 304), "what another model said after a refusal");
    }

    #[test]
    fn what_costs_more_is_told_as_a_tier() {
        let tier = |more: &str| usage(&format!(r#"{{"input_tokens":9{more}}}"#), r#"{"output_tokens":5}"#).service_tier;
        let served = [
            (r#","service_tier":"standard","inference_geo":"global","speed":"standard""#, Some("standard")),
            (r#","service_tier":"standard","speed":"fast""#, Some("fast")),
            (r#","service_tier":"standard","inference_geo":"us""#, Some("us")),
            (r#","inference_geo":"us","speed":"fast""#, Some("fast-us")),
            (r#","inference_geo":null"#, None),
        ];
        for (said, told) in served {
            assert_eq!(tier(said).as_deref(), told, "{said}");
        }
    }

    #[test]
    fn no_count_is_no_usage() {
        let counts: Counts = crate::json::from_str(r#"{"input_tokens":null,"service_tier":null}"#).expect("counts");
        assert_eq!(counts.usage(), None);
    }
}
