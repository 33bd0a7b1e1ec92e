//! What a call used, sorted into buckets that do not overlap.

use crate::chat::Usage;

use super::types::{Few, ModalityCount, UsageMetadata};

/// Tokens of one answer so far, from its `usageMetadata`.
///
/// `promptTokenCount` includes the cached tokens and leaves out `toolUsePromptTokenCount`; `candidatesTokenCount`
/// leaves out `thoughtsTokenCount`; the total is the sum of prompt, tool use, candidates and thoughts. Metadata
/// without any count (`vertex.safety.8657aa7178`) gives `None`: silence is not zero.
///
/// Source: <https://ai.google.dev/api/generate-content#UsageMetadata>; `gemini.web-search.07771dcad3`,
/// `gemini.cache.12607791ec`.
pub(super) fn usage(metadata: &UsageMetadata<'_>) -> Option<Usage> {
    let (prompt, total) = (metadata.prompt_token_count, metadata.total_token_count);
    prompt.or(total).or(metadata.candidates_token_count)?;
    let prompt = prompt.unwrap_or(0);
    let tool_use = metadata.tool_use_prompt_token_count.unwrap_or(0);
    let input = prompt.saturating_add(tool_use);
    let cached = metadata.cached_content_token_count;
    let fresh_of = |modality| {
        let counted = count(&metadata.prompt_tokens_details, modality);
        let tool = count(&metadata.tool_use_prompt_tokens_details, modality);
        let all = counted.unwrap_or(0).saturating_add(tool.unwrap_or(0));
        let fresh = all.saturating_sub(count(&metadata.cache_tokens_details, modality).unwrap_or(0));
        counted.or(tool).map(|_| fresh)
    };
    let thoughts = metadata.thoughts_token_count;
    // Early chunks and answers cut while thinking leave it out (gemini.chat.d16e1a907b).
    let candidates = metadata
        .candidates_token_count
        .unwrap_or_else(|| total.unwrap_or(0).saturating_sub(input).saturating_sub(thoughts.unwrap_or(0)));
    let (input_audio, input_image) = (fresh_of("AUDIO"), fresh_of("IMAGE"));
    let output_audio = count(&metadata.candidates_tokens_details, "AUDIO");
    let output_image = count(&metadata.candidates_tokens_details, "IMAGE");
    Some(Usage {
        input_fresh: without(input, [cached, input_audio, input_image]),
        input_cache_read: cached,
        input_audio,
        input_image,
        output_text: without(candidates, [output_audio, output_image, None]),
        output_reasoning: thoughts,
        output_audio,
        output_image,
        ..Usage::default()
    })
}

/// The service tier in the hub's words.
///
/// AI Studio says `standard`, `flex` or `priority`; Vertex the same within its traffic type.
pub(super) fn service_tier(metadata: &UsageMetadata<'_>) -> Option<String> {
    let said = metadata.service_tier.as_ref().or(metadata.traffic_type.as_ref())?.0.decode().to_ascii_lowercase();
    Some(match said.strip_prefix("on_demand").unwrap_or(&said).trim_start_matches('_') {
        "" | "standard" | "1" => "default".to_owned(),
        tier => tier.to_owned(),
    })
}

fn count(details: &Few<ModalityCount<'_>>, modality: &str) -> Option<u64> {
    let counts = details.iter().filter(|detail| detail.modality.as_ref().is_some_and(|name| name.0.is(modality)));
    counts.map(|detail| detail.token_count.unwrap_or(0)).reduce(u64::saturating_add)
}

fn without(all: u64, parts: [Option<u64>; 3]) -> u64 {
    parts.into_iter().flatten().fold(all, u64::saturating_sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Usage> {
        usage(&crate::json::from_str(json).expect("usage metadata"))
    }

    #[test]
    fn cached_tokens_and_thoughts_are_counted_once() {
        let usage = read(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":7,"thoughtsTokenCount":30,
                "toolUsePromptTokenCount":11,"totalTokenCount":148}"#,
        )
        .expect("counts");
        assert_eq!((usage.input_fresh, usage.input_cache_read), (51, Some(60)));
        assert_eq!((usage.output_text, usage.output_reasoning), (7, Some(30)));
        assert_eq!(usage.total_tokens(), 148);
    }

    #[test]
    fn audio_that_was_cached_is_not_fresh_audio() {
        let usage = read(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":20},{"modality":"AUDIO","tokenCount":80}],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":40}],
                "candidatesTokenCount":9,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":8}]}"#,
        )
        .expect("counts");
        assert_eq!((usage.input_fresh, usage.input_cache_read, usage.input_audio), (20, Some(40), Some(40)));
        assert_eq!((usage.output_text, usage.output_image), (1, Some(8)));
        assert_eq!((usage.prompt_tokens(), usage.completion_tokens()), (100, 9));
    }

    #[test]
    fn what_tools_put_into_a_prompt_is_input_of_its_own_kind() {
        let usage = read(
            r#"{"promptTokenCount":20,"toolUsePromptTokenCount":90,"candidatesTokenCount":5,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":20}],
                "toolUsePromptTokensDetails":[{"modality":"TEXT","tokenCount":50},{"modality":"IMAGE","tokenCount":40}]}"#,
        )
        .expect("counts");
        assert_eq!((usage.input_fresh, usage.input_image, usage.prompt_tokens()), (70, Some(40), 110));
    }

    #[test]
    fn what_is_not_said_follows_from_the_total_or_stays_unknown() {
        assert_eq!(
            read(r#"{"promptTokenCount":8,"totalTokenCount":33,"thoughtsTokenCount":17}"#).unwrap().output_text,
            8
        );
        assert_eq!(read(r#"{"trafficType":"ON_DEMAND"}"#), None);
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn tiers_in_the_hubs_words() {
        for (said, tier) in [
            (r#"{"serviceTier":"standard"}"#, Some("default")),
            (r#"{"serviceTier":"flex"}"#, Some("flex")),
            (r#"{"trafficType":"ON_DEMAND"}"#, Some("default")),
            (r#"{"trafficType":"ON_DEMAND_PRIORITY"}"#, Some("priority")),
            (r#"{"trafficType":"PROVISIONED_THROUGHPUT"}"#, Some("provisioned_throughput")),
            ("{}", None),
        ] {
            let metadata = crate::json::from_str(said).expect("usage metadata");
            assert_eq!(service_tier(&metadata).as_deref(), tier, "{said}");
        }
    }
}
