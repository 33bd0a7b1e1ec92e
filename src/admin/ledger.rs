//! `/admin/ledger/{request_id}`: how the cost of one call came about, line by line.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Refusal};
use super::calls::Tokens;
use super::{Call, CallRow, Store};
use crate::json::readable;
use crate::units::{NanoUsd, UnixMillis};

/// `GET /admin/ledger/{request_id}`: all rows of a call, oldest first, and their sum.
pub(super) async fn read<S: Store>(call: &Call<'_, S>, request_id: &str) -> Result<Answer, Refusal> {
    let rows = call.store.call_rows(request_id).await?;
    if rows.is_empty() {
        let message = "There is no such call. Rows appear some seconds after a call, and are kept for 90 days.";
        return Err(Refusal::not_found(message));
    }
    let sum = |amount: fn(&CallRow) -> Option<i64>| rows.iter().filter_map(amount).map(NanoUsd).sum::<NanoUsd>();
    let account = Account {
        object: "ledger",
        request_id,
        cost: sum(|row| row.cost_nano),
        upstream_cost: sum(|row| row.upstream_cost_nano),
        rows: rows.iter().map(Shown::of).collect(),
    };
    Answer::json(200, &account)
}

#[derive(Serialize)]
struct Account<'a> {
    object: &'static str,
    request_id: &'a str,
    cost: NanoUsd,
    upstream_cost: NanoUsd,
    rows: Vec<Shown<'a>>,
}

/// One row, with the lines that its upstream cost is the sum of.
#[derive(Serialize)]
struct Shown<'a> {
    seq: u32,
    at: UnixMillis,
    state: &'a str,
    corrects: Option<u32>,
    key_id: &'a str,
    team_id: Option<&'a str>,
    user: Option<&'a str>,
    session: Option<&'a str>,
    tags: Option<&'a str>,
    provider: &'a str,
    model: &'a str,
    status: u16,
    tokens: Tokens,
    cost: Option<NanoUsd>,
    upstream_cost: Option<NanoUsd>,
    prices: Option<Prices<'a>>,
    lines: Vec<Line<'a>>,
    tried: Option<&'a RawValue>,
}

/// Where the prices are from, and which of them held.
#[derive(Serialize)]
struct Prices<'a> {
    source: &'a str,
    from: Option<UnixMillis>,
    service_tier: Option<&'a str>,
    prompt_above: Option<u64>,
}

#[derive(Serialize)]
struct Line<'a> {
    bucket: &'a str,
    #[serde(serialize_with = "count")]
    count: f64,
    per_million: NanoUsd,
    amount: NanoUsd,
}

/// What a record says of its prices, as [`crate::provider::receipt`] writes it.
#[derive(Default)]
struct Receipt<'a> {
    source: &'a str,
    from: Option<UnixMillis>,
    tier: Option<&'a str>,
    above: Option<u64>,
    lines: Vec<(&'a str, f64, i64)>,
}
readable! { Receipt<'a> { #[required] source, from, tier, above, #[required] lines } }

/// Seconds are counted in parts of one, everything else as a whole number.
fn count<S: serde::Serializer>(count: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match thousandths(*count) {
        whole if whole % 1_000 == 0 => serializer.serialize_u64(whole / 1_000),
        _ => serializer.serialize_f64(*count),
    }
}

/// What a receipt counts is far below the 2^53 to which floats are exact.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn thousandths(count: f64) -> u64 {
    (count * 1_000.0).round() as u64
}

impl<'a> Shown<'a> {
    fn of(row: &'a CallRow) -> Shown<'a> {
        let receipt = row.prices.as_deref().and_then(|json| crate::json::from_str::<Receipt<'_>>(json).ok());
        let lines = receipt.as_ref().map(|receipt| receipt.lines.as_slice()).unwrap_or_default();
        let lines = lines.iter().map(|(bucket, count, rate)| {
            let per_million = NanoUsd(*rate);
            Line {
                bucket,
                count: *count,
                per_million,
                amount: per_million.per_million_thousandths(thousandths(*count)),
            }
        });
        Shown {
            seq: row.seq,
            at: row.at,
            state: &row.state,
            corrects: row.corrects,
            key_id: &row.key_id,
            team_id: row.team_id.as_deref(),
            user: row.user.as_deref(),
            session: row.session.as_deref(),
            tags: row.tags.as_deref(),
            provider: &row.provider,
            model: &row.model,
            status: row.status,
            tokens: Tokens::of(row),
            cost: row.cost_nano.map(NanoUsd),
            upstream_cost: row.upstream_cost_nano.map(NanoUsd),
            lines: lines.collect(),
            prices: receipt.map(|receipt| Prices {
                source: receipt.source,
                from: receipt.from,
                service_tier: receipt.tier,
                prompt_above: receipt.above,
            }),
            tried: row.tried.as_deref().and_then(|json| crate::json::from_str(json).ok()),
        }
    }
}
