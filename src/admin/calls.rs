//! `/admin/calls`: what was called lately, and what it cost.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Refusal};
use super::page::{Page, Parameters};
use super::{Call, CallPlace, CallRow, CallsQuery, Store};
use crate::units::{NanoUsd, UnixMillis};

/// `GET /admin/calls`: newest first.
pub(super) async fn list<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let limit = parameters.limit();
    let [key_id, provider, model, cursor] = ["key_id", "provider", "model", "cursor"].map(|name| parameters.text(name));
    let (from, until) = (parameters.moment("from"), parameters.moment("until"));
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        parameters.fault("from", "must be before `until`");
    }
    let before = cursor.as_deref().and_then(read_cursor);
    if cursor.is_some() && before.is_none() {
        parameters.fault("cursor", "must be the `next_cursor` of an earlier page");
    }
    parameters.end()?;
    let query = CallsQuery {
        key_id: key_id.as_deref(),
        provider: provider.as_deref(),
        model: model.as_deref(),
        from,
        until,
        before,
        most: limit + 1,
    };
    let rows = call.store.calls(&query).await?;
    let shown = rows.iter().map(Shown::of).collect();
    Answer::json(200, &Page::of(shown, limit, |shown: &Shown<'_>| write_cursor(shown.place)))
}

fn write_cursor(place: CallPlace<'_>) -> String {
    format!("{}.{}.{}", place.at.0, place.seq, place.request_id)
}

fn read_cursor(text: &str) -> Option<CallPlace<'_>> {
    let (at, rest) = text.split_once('.')?;
    let (seq, request_id) = rest.split_once('.')?;
    Some(CallPlace { at: UnixMillis(at.parse().ok()?), request_id, seq: seq.parse().ok()? })
}

/// A row with money in dollars and tokens together.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip)]
    place: CallPlace<'a>,
    request_id: &'a str,
    seq: u32,
    at: UnixMillis,
    key_id: &'a str,
    team_id: Option<&'a str>,
    endpoint: &'a str,
    provider: &'a str,
    model: &'a str,
    status: u16,
    stream: bool,
    lane: &'a str,
    attempts: u32,
    tokens: Tokens,
    cost: Option<NanoUsd>,
    upstream_cost: Option<NanoUsd>,
    state: &'a str,
    first_token_ms: Option<i64>,
    total_ms: i64,
    error: Option<&'a str>,
    cause: Option<&'a str>,
    client_request_id: Option<&'a str>,
    adjusted: Option<&'a str>,
    tried: Option<&'a RawValue>,
    user: Option<&'a str>,
    session: Option<&'a str>,
    tags: Option<&'a str>,
    config: Option<u32>,
    asked: Option<&'a str>,
    alias: Option<&'a str>,
    variant: Option<&'a str>,
    task: Option<&'a str>,
    difficulty: Option<u8>,
    role: Option<&'a str>,
    made_for: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Tokens {
    input_fresh: i64,
    input_cache_read: i64,
    input_cache_write: i64,
    input_cache_write_1h: i64,
    input_audio: i64,
    input_image: i64,
    output_text: i64,
    output_reasoning: i64,
    output_audio: i64,
    output_image: i64,
}

impl<'a> Shown<'a> {
    fn of(row: &'a CallRow) -> Shown<'a> {
        Shown {
            place: row.place(),
            request_id: &row.request_id,
            seq: row.seq,
            at: row.at,
            key_id: &row.key_id,
            team_id: row.team_id.as_deref(),
            endpoint: &row.endpoint,
            provider: &row.provider,
            model: &row.model,
            status: row.status,
            stream: row.stream != 0,
            lane: &row.lane,
            attempts: row.attempts,
            tokens: Tokens::of(row),
            cost: row.cost_nano.map(NanoUsd),
            upstream_cost: row.upstream_cost_nano.map(NanoUsd),
            state: &row.state,
            first_token_ms: row.first_token_ms,
            total_ms: row.total_ms,
            error: row.error.as_deref(),
            cause: row.cause.as_deref(),
            client_request_id: row.client_request_id.as_deref(),
            adjusted: row.adjusted.as_deref(),
            tried: row.tried.as_deref().and_then(|json| crate::json::from_str(json).ok()),
            user: row.user.as_deref(),
            session: row.session.as_deref(),
            tags: row.tags.as_deref(),
            config: row.config,
            asked: row.asked.as_deref(),
            alias: row.alias.as_deref(),
            variant: row.variant.as_deref(),
            task: row.task.as_deref(),
            difficulty: row.difficulty,
            role: row.role.as_deref(),
            made_for: row.made_for.as_deref(),
        }
    }
}

impl Tokens {
    pub fn of(row: &CallRow) -> Tokens {
        Tokens {
            input_fresh: row.input_fresh,
            input_cache_read: row.input_cache_read,
            input_cache_write: row.input_cache_write,
            input_cache_write_1h: row.input_cache_write_1h,
            input_audio: row.input_audio,
            input_image: row.input_image,
            output_text: row.output_text,
            output_reasoning: row.output_reasoning,
            output_audio: row.output_audio,
            output_image: row.output_image,
        }
    }
}
