//! `/admin/experiments/{id}/pairs`: calls and their shadows side by side.

use serde::Serialize;

use super::answer::{Answer, Refusal};
use super::page::Parameters;
use super::{Call, Store, StoreError};
use crate::json::readable;
use crate::units::{NanoUsd, UnixMillis};

/// A call and its shadow, each as its record has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says; contents are bodies of answers, where they were kept")]
pub struct PairRow {
    pub variant: String,
    pub call: String,
    pub shadow: String,
    pub call_content: Option<String>,
    pub shadow_content: Option<String>,
}
readable! { PairRow { variant, call, shadow, call_content, shadow_content } }

/// What is compared of a record; what it leaves out is zero, or not there.
#[derive(Default)]
struct Figures {
    request_id: String,
    at: UnixMillis,
    provider: String,
    model: String,
    status: u16,
    error: Option<String>,
    input_fresh: u64,
    input_cache_read: u64,
    input_cache_write: u64,
    input_cache_write_1h: u64,
    output_text: u64,
    output_reasoning: u64,
    cost_nano: Option<i64>,
    first_token_ms: Option<u64>,
    total_ms: u64,
}
readable! { Figures {
    request_id, at, provider, model, status, error, input_fresh, input_cache_read, input_cache_write,
    input_cache_write_1h, output_text, output_reasoning, cost_nano, first_token_ms, total_ms,
} }

#[derive(Serialize)]
struct Pairs {
    data: Vec<Pair>,
}

#[derive(Serialize)]
struct Pair {
    variant: String,
    call: Side,
    shadow: Side,
}

#[derive(Serialize)]
struct Side {
    request_id: String,
    at: UnixMillis,
    target: String,
    status: u16,
    error: Option<String>,
    input_tokens: u64,
    output_tokens: u64,
    cost: Option<NanoUsd>,
    first_token_ms: Option<u64>,
    total_ms: u64,
    content: Option<String>,
}

/// `GET /admin/experiments/{id}/pairs`: the latest first.
pub(super) async fn list<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let limit = parameters.limit();
    parameters.end()?;
    let rows = call.store.pairs(id, limit).await?;
    let data = rows.into_iter().map(Pair::of).collect::<Result<_, StoreError>>()?;
    Answer::json(200, &Pairs { data })
}

impl Pair {
    fn of(row: PairRow) -> Result<Pair, StoreError> {
        let PairRow { variant, call, shadow, call_content, shadow_content } = row;
        Ok(Pair { variant, call: Side::of(&call, call_content)?, shadow: Side::of(&shadow, shadow_content)? })
    }
}

impl Side {
    fn of(record: &str, content: Option<String>) -> Result<Side, StoreError> {
        let record: Figures = crate::json::from_str(record)
            .map_err(|error| StoreError { message: format!("a record of a call: {error}") })?;
        let cached = record.input_cache_read + record.input_cache_write + record.input_cache_write_1h;
        Ok(Side {
            target: format!("{}/{}", record.provider, record.model),
            input_tokens: record.input_fresh + cached,
            output_tokens: record.output_text + record.output_reasoning,
            cost: record.cost_nano.map(NanoUsd),
            request_id: record.request_id,
            at: record.at,
            status: record.status,
            error: record.error,
            first_token_ms: record.first_token_ms,
            total_ms: record.total_ms,
            content,
        })
    }
}
