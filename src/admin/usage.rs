//! `/admin/usage` and `/admin/spend`: what was used and what it cost, added up.
//!
//! Sums are kept by the hour (for older times by the day), so both ends of a time are moved to the next whole hour
//! outwards. A call with several tags counts under each of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::answer::{Answer, Refusal};
use super::page::Parameters;
use super::{Call, Dimension, Store, StoreError, UsageQuery, UsageRow};
use crate::json::{Raw, number};
use crate::units::{NanoUsd, UnixMillis};

const HOUR: i64 = 3_600_000;
/// What is shown where no `from` is given.
const USUAL_TIME: i64 = 30 * 24 * HOUR;
/// Rows of one answer.
const MOST_ROWS: u32 = 10_000;
const USUAL_ROWS: u32 = 1_000;
/// Rows of each list in the answer of `/admin/spend`.
const MOST_SPENDERS: u32 = 10;

/// `GET /admin/usage`: sums by `group_by` (any of `key,team,user,tag,model,provider,variant,day,hour`), as JSON or CSV.
pub(super) async fn usage<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let mut query = period(&mut parameters, call.request.now);
    query.group_by = group_by(&mut parameters);
    let limit = parameters.number("limit", 1, MOST_ROWS).unwrap_or(USUAL_ROWS);
    query.after = place(&mut parameters, &query.group_by);
    let format = parameters.text("format");
    if format.as_deref().is_some_and(|format| format != "json" && format != "csv") {
        parameters.fault("format", "must be json or csv");
    }
    parameters.end()?;
    query.most = limit + 1;
    let mut rows = call.store.usage(&query).await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_cursor = rows.last().filter(|_| more).map(|row| cursor(row, &query.group_by));
    if format.as_deref() == Some("csv") {
        let answer = Answer::csv(200, csv(&query.group_by, &rows));
        return Ok(match next_cursor {
            Some(cursor) => answer.header("x-next-cursor", cursor),
            None => answer,
        });
    }
    let data = rows.iter().map(Shown::of).collect();
    Answer::json(200, &Usage { from: query.from, until: query.until, data, next_cursor })
}

/// `GET /admin/spend`: the whole of a time, and who and what cost most in it.
pub(super) async fn spend<S: Store>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let query = period(&mut parameters, call.request.now);
    parameters.end()?;
    let total = call.store.usage(&UsageQuery { most: 1, ..query.clone() }).await?;
    let top = async |dimension: Dimension| -> Result<Vec<Raw<'static>>, StoreError> {
        let query = UsageQuery { group_by: vec![dimension], by_cost: true, most: MOST_SPENDERS, ..query.clone() };
        let rows = call.store.usage(&query).await?;
        Ok(rows.iter().map(|row| Raw::of(&Shown::of(row))).collect())
    };
    let spend = Spend {
        object: "spend",
        from: query.from,
        until: query.until,
        total: Sums::of(total.first().unwrap_or(&UsageRow::default())),
        keys: top(Dimension::Key).await?,
        teams: top(Dimension::Team).await?,
        users: top(Dimension::User).await?,
        models: top(Dimension::Model).await?,
        providers: top(Dimension::Provider).await?,
    };
    Answer::json(200, &spend)
}

/// The time and the filters of a request.
fn period(parameters: &mut Parameters, now: UnixMillis) -> UsageQuery {
    let until = parameters.moment("until").unwrap_or(now);
    let from = parameters.moment("from").unwrap_or(UnixMillis(until.0.saturating_sub(USUAL_TIME).max(0)));
    if from >= until {
        parameters.fault("from", "must be before `until`");
    }
    let filters = Dimension::FILTERS.iter();
    let filters = filters.filter_map(|dimension| Some((*dimension, parameters.text(dimension.field())?))).collect();
    UsageQuery {
        from: UnixMillis(from.0.div_euclid(HOUR) * HOUR),
        until: UnixMillis(until.0.saturating_add(HOUR - 1).div_euclid(HOUR) * HOUR),
        filters,
        ..UsageQuery::default()
    }
}

fn group_by(parameters: &mut Parameters) -> Vec<Dimension> {
    let mut dimensions = Vec::new();
    for word in parameters.text("group_by").unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty()) {
        match Dimension::parse(word) {
            Some(dimension) if dimensions.contains(&dimension) => parameters.fault("group_by", "names one twice"),
            Some(dimension) => dimensions.push(dimension),
            None => parameters
                .fault("group_by", "must be some of key, team, user, tag, model, provider, variant, day, hour"),
        }
    }
    dimensions
}

/// The place of a row: its groups. What comes in between two pages moves none of the rows that are still to come.
fn cursor(row: &UsageRow, group_by: &[Dimension]) -> String {
    let mut groups = Vec::new();
    for dimension in group_by {
        groups.push(row.group(*dimension));
    }
    URL_SAFE_NO_PAD.encode(crate::json::to_string(&groups))
}

/// Reads what [`cursor`] made of a row with the same groups.
fn place(parameters: &mut Parameters, group_by: &[Dimension]) -> Vec<String> {
    let Some(cursor) = parameters.text("cursor") else { return Vec::new() };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
    let groups: Vec<String> = crate::json::from_slice(&bytes).unwrap_or_default();
    let mut fits = !groups.is_empty() && groups.len() == group_by.len();
    for (dimension, group) in group_by.iter().zip(&groups) {
        fits &= !dimension.is_time() || group.parse::<i64>().is_ok();
    }
    if !fits {
        parameters.fault("cursor", "must be the `next_cursor` of a page with the same `group_by`");
    }
    groups
}

/// With a line of names first. Text that a spreadsheet would take for a formula is quoted for it: users and tags are
/// what callers write.
fn csv(group_by: &[Dimension], rows: &[UsageRow]) -> String {
    let sums = "calls,failed_calls,estimated_calls,unpriced_calls,input_tokens,cached_tokens,output_tokens,\
                reasoning_tokens,cost,upstream_cost,cache_hit_rate";
    let mut names: Vec<&str> = group_by.iter().map(|dimension| dimension.field()).collect();
    names.push(sums);
    let mut text = names.join(",") + "\r\n";
    for row in rows {
        let mut cells: Vec<String> = group_by.iter().map(|dimension| cell(&row.group(*dimension))).collect();
        let counts = [
            row.calls,
            row.failed_calls,
            row.estimated_calls,
            row.unpriced_calls,
            row.input_tokens,
            row.cached_tokens,
            row.output_tokens,
            row.reasoning_tokens,
        ];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend([row.cost_nano, row.upstream_cost_nano].map(|amount| NanoUsd(amount).to_string()));
        cells.push(hit_rate(row).map_or(String::new(), number::shown));
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[derive(Serialize)]
struct Usage<'a> {
    from: UnixMillis,
    until: UnixMillis,
    data: Vec<Shown<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Spend {
    object: &'static str,
    from: UnixMillis,
    until: UnixMillis,
    #[serde(flatten)]
    total: Sums,
    keys: Vec<Raw<'static>>,
    teams: Vec<Raw<'static>>,
    users: Vec<Raw<'static>>,
    models: Vec<Raw<'static>>,
    providers: Vec<Raw<'static>>,
}

/// A row with what it is grouped by, and nothing of the rest.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Option<UnixMillis>,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Serialize)]
struct Sums {
    calls: i64,
    failed_calls: i64,
    estimated_calls: i64,
    unpriced_calls: i64,
    input_tokens: i64,
    cached_tokens: i64,
    /// The share of the input that was read from a prompt cache; nothing where there was no input.
    cache_hit_rate: Option<f64>,
    output_tokens: i64,
    reasoning_tokens: i64,
    cost: NanoUsd,
    upstream_cost: NanoUsd,
}

impl<'a> Shown<'a> {
    fn of(row: &'a UsageRow) -> Shown<'a> {
        Shown {
            key_id: row.key_id.as_deref(),
            team_id: row.team_id.as_deref(),
            user: row.user.as_deref(),
            tag: row.tag.as_deref(),
            model: row.model.as_deref(),
            provider: row.provider.as_deref(),
            variant: row.variant.as_deref(),
            day: row.day,
            hour: row.hour,
            sums: Sums::of(row),
        }
    }
}

impl Sums {
    fn of(row: &UsageRow) -> Sums {
        Sums {
            calls: row.calls,
            failed_calls: row.failed_calls,
            estimated_calls: row.estimated_calls,
            unpriced_calls: row.unpriced_calls,
            input_tokens: row.input_tokens,
            cached_tokens: row.cached_tokens,
            cache_hit_rate: hit_rate(row),
            output_tokens: row.output_tokens,
            reasoning_tokens: row.reasoning_tokens,
            cost: NanoUsd(row.cost_nano),
            upstream_cost: NanoUsd(row.upstream_cost_nano),
        }
    }
}

/// To four decimals: more would be noise.
fn hit_rate(row: &UsageRow) -> Option<f64> {
    let share = row.cached_tokens as f64 / row.input_tokens as f64;
    (row.input_tokens > 0).then(|| (share * 10_000.0).round() / 10_000.0)
}
