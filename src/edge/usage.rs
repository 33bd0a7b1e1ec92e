//! The statement that adds up what the `usage` table has, or, where variants are told apart, the calls themselves.

use wasm_bindgen::JsValue;

use crate::admin::{Dimension, UsageQuery};

/// A row for each tag: `a, b` is cut at the commas. No tags at all give one row with an empty one.
const TAGS: &str = r#"json_each('["' || replace(replace(replace(u.tags, '\', '\\'), '"', '\"'), ',', '","') || '"]')"#;
/// Calls that took part in an experiment, as rows of the `usage` table would be that had only one call.
const CALLS: &str = "(SELECT at / 3600000 * 3600000 AS at, key_id, coalesce(team_id, '') AS team_id, \
    coalesce(user, '') AS user, coalesce(tags, '') AS tags, provider, model, record->>'variant' AS variant, \
    seq = 0 AS calls, seq = 0 AND status >= 400 AS failed_calls, \
    state IN ('settled_estimate', 'committed_ceiling') AS estimated_calls, \
    state <> 'released' AND cost_nano IS NULL AS unpriced_calls, \
    input_fresh + input_cache_read + input_cache_write + input_cache_write_1h + input_audio + input_image \
      AS input_tokens, \
    input_cache_read AS cached_tokens, output_text + output_reasoning + output_audio + output_image AS output_tokens, \
    output_reasoning AS reasoning_tokens, coalesce(cost_nano, 0) AS cost_nano, \
    coalesce(upstream_cost_nano, 0) AS upstream_cost_nano FROM calls WHERE record->>'variant' IS NOT NULL)";
/// What is summed.
pub(super) const SUMS: [&str; 10] = [
    "calls",
    "failed_calls",
    "estimated_calls",
    "unpriced_calls",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nano",
    "upstream_cost_nano",
];

/// The statement for `query`, and its values.
pub(super) fn statement(query: &UsageQuery) -> (String, Vec<JsValue>) {
    let by_tag = query.group_by.contains(&Dimension::Tag);
    let mut values = vec![super::store::number(query.from.0), super::store::number(query.until.0)];
    let mut conditions = vec!["u.at >= ?".to_owned(), "u.at < ?".to_owned()];
    if by_tag {
        // A tag that a call names twice counts once.
        let earlier = "e.key < t.key AND trim(e.value) = trim(t.value)";
        conditions.push(format!("NOT EXISTS (SELECT 1 FROM {TAGS} AS e WHERE {earlier})"));
    }
    for (dimension, value) in &query.filters {
        conditions.push(match dimension {
            Dimension::Tag if !by_tag => format!("EXISTS (SELECT 1 FROM {TAGS} AS e WHERE trim(e.value) = ?)"),
            _ => format!("{} = ?", expression(*dimension)),
        });
        values.push(value.as_str().into());
    }
    if !query.after.is_empty() {
        let (mut places, mut marks) = (String::new(), String::new());
        for (dimension, group) in query.group_by.iter().zip(&query.after) {
            if !places.is_empty() {
                places.push(',');
                marks.push(',');
            }
            places.push_str(expression(*dimension));
            marks.push('?');
            values.push(match dimension.is_time() {
                true => super::store::number(group.parse().unwrap_or_default()),
                false => group.as_str().into(),
            });
        }
        conditions.push(["(", &places, ") > (", &marks, ")"].concat());
    }
    let groups: Vec<String> = (1..=query.group_by.len()).map(|place| place.to_string()).collect();
    let mut columns: Vec<String> =
        query.group_by.iter().map(|dimension| format!("{} AS {}", expression(*dimension), dimension.field())).collect();
    columns.extend(SUMS.map(|sum| format!("coalesce(sum(u.{sum}), 0) AS {sum}")));
    let mut order = groups.clone();
    if query.by_cost {
        order.insert(0, "cost_nano DESC".to_owned());
    }
    let clause = |word: &str, parts: &[String]| match parts {
        [] => String::new(),
        parts => format!(" {word} {}", parts.join(", ")),
    };
    let statement = format!(
        "SELECT {} FROM {} AS u{} WHERE {}{}{} LIMIT ?",
        columns.join(", "),
        if query.asks_for_variants() { CALLS } else { "usage" },
        if by_tag { format!(" JOIN {TAGS} AS t") } else { String::new() },
        conditions.join(" AND "),
        clause("GROUP BY", &groups),
        clause("ORDER BY", &order),
    );
    values.push(query.most.into());
    (statement, values)
}

fn expression(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Key => "u.key_id",
        Dimension::Team => "u.team_id",
        Dimension::User => "u.user",
        Dimension::Tag => "trim(t.value)",
        Dimension::Model => "u.model",
        Dimension::Provider => "u.provider",
        Dimension::Variant => "u.variant",
        Dimension::Day => "u.at / 86400000 * 86400000",
        Dimension::Hour => "u.at",
    }
}
