//! The statement that adds up what the `usage` table has.

use wasm_bindgen::JsValue;

use crate::admin::{Dimension, UsageQuery};

/// A row for each tag: `a, b` is cut at the commas. No tags at all give one row with an empty one.
const TAGS: &str = r#"json_each('["' || replace(replace(replace(u.tags, '\', '\\'), '"', '\"'), ',', '","') || '"]')"#;
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
        "SELECT {} FROM usage AS u{} WHERE {}{}{} LIMIT ? OFFSET ?",
        columns.join(", "),
        if by_tag { format!(" JOIN {TAGS} AS t") } else { String::new() },
        conditions.join(" AND "),
        clause("GROUP BY", &groups),
        clause("ORDER BY", &order),
    );
    values.extend([query.most.into(), query.skip.into()]);
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
        Dimension::Day => "u.at / 86400000 * 86400000",
        Dimension::Hour => "u.at",
    }
}
