use crate::chat::Request;
use crate::json::Raw;

/// The parameters that formats have no word for, each with whether `request` asks for it. A value that changes nothing
/// (a penalty of zero, one answer, the usual tier) does not ask.
pub(super) fn asked(request: &Request<'_>) -> [(&'static str, bool); 19] {
    let sampling = &request.sampling;
    [
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|top| top > 0)),
        ("modalities", request.modalities.iter().any(|modality| !modality.is("text"))),
        ("web_search_options", request.web_search.is_some()),
        ("seed", says(sampling.seed.as_ref(), None)),
        ("min_p", says(sampling.min_p.as_ref(), Some(0.0))),
        ("frequency_penalty", says(sampling.frequency_penalty.as_ref(), Some(0.0))),
        ("presence_penalty", says(sampling.presence_penalty.as_ref(), Some(0.0))),
        ("repetition_penalty", says(sampling.repetition_penalty.as_ref(), Some(1.0))),
        ("logit_bias", says(sampling.logit_bias.as_ref(), None)),
        ("prediction", says(request.prediction.as_ref(), None)),
        ("metadata", says(request.metadata.as_ref(), None)),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("cache_control", request.cache.is_some()),
        ("user", request.user.is_some()),
        ("service_tier", request.service_tier.as_ref().is_some_and(|tier| !tier.is("auto") && !tier.is("default"))),
        ("parallel_tool_calls", request.parallel_tool_calls == Some(false) && !request.tools.is_empty()),
        ("name", request.messages.iter().any(|message| message.name.is_some())),
    ]
}

fn says(value: Option<&Raw<'_>>, nothing: Option<f64>) -> bool {
    value.is_some_and(|value| {
        let changes = nothing.is_none() || value.number() != nothing;
        changes && !value.is_null() && *value != Raw::EMPTY_OBJECT
    })
}
