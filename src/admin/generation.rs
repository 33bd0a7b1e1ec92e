//! `GET /v1/generation`: what one call did and cost, told to the key that made it. The names are OpenRouter's.

use serde::Serialize;
use serde_json::value::RawValue;

use super::CallRow;
use crate::units::{NanoUsd, UnixMillis};

/// The body that tells the key `key_id` of a call, from all rows of it; `None` if it is not a call of that key.
#[must_use]
pub fn generation(rows: &[CallRow], key_id: &str) -> Option<String> {
    let first = rows.first().filter(|row| row.key_id == key_id)?;
    let sum = |count: fn(&CallRow) -> i64| rows.iter().map(count).sum::<i64>();
    let amount = |amount: fn(&CallRow) -> Option<i64>| {
        rows.iter().filter_map(amount).map(NanoUsd).reduce(|one, other| one + other)
    };
    let data = Generation {
        id: &first.request_id,
        created_at: first.at,
        model: format!("{}/{}", first.provider, first.model),
        provider_name: &first.provider,
        endpoint: &first.endpoint,
        status: first.status,
        error: first.error.as_deref(),
        streamed: first.stream != 0,
        attempts: first.attempts,
        latency: first.first_token_ms,
        generation_time: first.total_ms,
        tokens_prompt: sum(prompt_tokens),
        tokens_completion: sum(|row| row.output_text + row.output_reasoning + row.output_audio + row.output_image),
        native_tokens_cached: sum(|row| row.input_cache_read),
        native_tokens_reasoning: sum(|row| row.output_reasoning),
        total_cost: amount(|row| row.cost_nano),
        upstream_inference_cost: amount(|row| row.upstream_cost_nano),
        // What corrects the call's own row says what it came to; other rows are of its attempts.
        state: rows.iter().rev().find(|row| row.corrects == Some(first.seq)).unwrap_or(first).state.as_str(),
        user: first.user.as_deref(),
        session: first.session.as_deref(),
        tags: first.tags.as_deref(),
        tried: first.tried.as_deref().and_then(|json| crate::json::from_str(json).ok()),
        routing: first.routing.as_deref().and_then(|json| crate::json::from_str(json).ok()),
    };
    Some(crate::json::to_string(&Body { data }))
}

fn prompt_tokens(row: &CallRow) -> i64 {
    row.input_fresh
        + row.input_cache_read
        + row.input_cache_write
        + row.input_cache_write_1h
        + row.input_audio
        + row.input_image
}

#[derive(Serialize)]
struct Body<'a> {
    data: Generation<'a>,
}

#[derive(Serialize)]
struct Generation<'a> {
    id: &'a str,
    created_at: UnixMillis,
    model: String,
    provider_name: &'a str,
    endpoint: &'a str,
    status: u16,
    error: Option<&'a str>,
    streamed: bool,
    attempts: u32,
    latency: Option<i64>,
    generation_time: i64,
    tokens_prompt: i64,
    tokens_completion: i64,
    native_tokens_cached: i64,
    native_tokens_reasoning: i64,
    total_cost: Option<NanoUsd>,
    upstream_inference_cost: Option<NanoUsd>,
    state: &'a str,
    user: Option<&'a str>,
    session: Option<&'a str>,
    tags: Option<&'a str>,
    /// Each attempt in its order, where there was more than one.
    tried: Option<&'a RawValue>,
    /// What the explanation of the call said, where it asked for one.
    routing: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_to_its_own_key_and_summed_over_its_rows() {
        let row = CallRow {
            request_id: "req_1".to_owned(),
            key_id: "key_1".to_owned(),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            input_fresh: 3,
            input_cache_read: 4,
            output_text: 5,
            output_reasoning: 6,
            cost_nano: Some(2_000_000),
            cause: Some("for the operator".to_owned()),
            routing: Some(r#"{"strategy":"ordered","candidates":[{"target":"p/m"}]}"#.to_owned()),
            tried: Some(
                r#"[{"target":"q/m","reason":"timeout","cost":0.001},{"target":"p/m","reason":"served"}]"#.to_owned(),
            ),
            state: "committed_ceiling".to_owned(),
            ..CallRow::default()
        };
        let correction = CallRow {
            seq: 1,
            corrects: Some(0),
            cost_nano: Some(-500_000),
            input_fresh: -1,
            state: "settled_actual".to_owned(),
            ..CallRow::default()
        };
        let body = generation(&[row.clone(), correction], "key_1").expect("its own");
        let told: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let data = &told["data"];
        assert_eq!((&data["model"], &data["state"]), (&"p/m".into(), &"settled_actual".into()));
        assert_eq!((&data["tokens_prompt"], &data["tokens_completion"]), (&6.into(), &11.into()));
        assert_eq!(data["total_cost"].to_string(), "0.0015");
        assert!(data["upstream_inference_cost"].is_null(), "not known, not zero");
        assert_eq!((&data["tried"][0]["target"], &data["tried"][1]["target"]), (&"q/m".into(), &"p/m".into()));
        assert_eq!(data["tried"][0]["cost"].to_string(), "0.001");
        assert_eq!(data["routing"]["candidates"][0]["target"], "p/m");
        assert!(!body.contains("for the operator"));
        // Booked at its ceiling while nothing was heard of it, which is taken back: its own row says what it came to.
        let ceiling = |seq, cost_nano, corrects| CallRow { seq, cost_nano: Some(cost_nano), corrects, ..row.clone() };
        let own = CallRow { state: "settled_actual".to_owned(), ..row.clone() };
        let body = generation(&[own, ceiling(9, 5, None), ceiling(10, -5, Some(9))], "key_1").expect("its own");
        assert!(body.contains(r#""state":"settled_actual""#), "{body}");
        assert_eq!(generation(&[row], "key_2"), None, "somebody else's");
        assert_eq!(generation(&[], "key_1"), None);
    }
}
