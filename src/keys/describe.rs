//! What a key may be told about itself: the body of `GET /v1/key`.

use serde::Serialize;

use super::{Key, MaxPrice, OnDisconnect, OnLedgerOutage, StoreResponses, UnknownPrice};
use crate::budget::{Budget, KeyStandings, Shown, Stood};
use crate::config::{OwnDeadlines, OwnThroughput};
use crate::limit::Limit;
use crate::units::{NanoUsd, UnixMillis};

/// The body of `GET /v1/key`, as JSON.
///
/// Left out is what the operator noted for themselves (`metadata`, the dates of changes), what they add to its costs
/// and how they watch it.
///
/// `standings` is everything it is subject to, budgets of its team and of the account included, with figures; without
/// them its own rules are listed.
#[must_use]
pub fn describe(key: &Key, standings: Option<&KeyStandings>) -> String {
    let own = KeyStandings {
        budgets: key.budgets.iter().map(|rule| Stood { rule: rule.clone(), standing: None }).collect(),
        limits: key.limits.iter().map(|rule| Stood { rule: rule.clone(), standing: None }).collect(),
    };
    let KeyStandings { budgets, limits } = standings.unwrap_or(&own);
    let description = Description {
        id: &key.id,
        object: "key",
        name: &key.name,
        start: &key.start,
        team_id: key.team_id.as_deref(),
        environment: &key.environment,
        created_at: key.created_at,
        expires_at: key.expires_at,
        allowed_models: &key.allowed_models,
        denied_models: &key.denied_models,
        allowed_providers: &key.allowed_providers,
        denied_providers: &key.denied_providers,
        allowed_endpoints: &key.allowed_endpoints,
        allowed_ips: &key.allowed_ips,
        allowed_countries: &key.allowed_countries,
        max_cost_per_call: key.max_cost_per_call,
        max_price: key.max_price,
        unknown_price: key.unknown_price,
        on_ledger_outage: key.on_ledger_outage,
        log_content: key.log_content,
        store_responses: key.store_responses,
        allow_provider_key: key.allow_provider_key,
        default_max_tokens: key.default_max_tokens,
        on_disconnect: key.on_disconnect,
        deadlines: key.deadlines,
        throughput: key.throughput,
        budgets: budgets.iter().map(Shown::budget).collect(),
        limits: limits.iter().map(Shown::limit).collect(),
    };
    crate::json::to_string(&description)
}

#[derive(Serialize)]
struct Description<'a> {
    id: &'a str,
    object: &'static str,
    name: &'a str,
    start: &'a str,
    team_id: Option<&'a str>,
    environment: &'a str,
    created_at: UnixMillis,
    expires_at: Option<UnixMillis>,
    allowed_models: &'a [String],
    denied_models: &'a [String],
    allowed_providers: &'a [String],
    denied_providers: &'a [String],
    allowed_endpoints: &'a [String],
    allowed_ips: &'a [String],
    allowed_countries: &'a [String],
    max_cost_per_call: Option<NanoUsd>,
    max_price: MaxPrice,
    unknown_price: Option<UnknownPrice>,
    on_ledger_outage: OnLedgerOutage,
    log_content: bool,
    store_responses: Option<StoreResponses>,
    allow_provider_key: bool,
    default_max_tokens: Option<u32>,
    on_disconnect: OnDisconnect,
    deadlines: OwnDeadlines,
    throughput: OwnThroughput,
    budgets: Vec<Shown<'a, Budget>>,
    limits: Vec<Shown<'a, Limit>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_sees_its_policy_but_not_the_operators_notes() {
        let mut key = Key { id: "key_1".into(), name: "ci".into(), ..Key::default() };
        key.allowed_models = vec!["gpt-4o*".into()];
        key.metadata.insert("owner".into(), "finance".into());
        let body = describe(&key, None);
        assert!(body.starts_with(r#"{"id":"key_1","object":"key","name":"ci""#), "{body}");
        assert!(body.contains(r#""allowed_models":["gpt-4o*"]"#), "{body}");
        assert!(!body.contains("finance"), "{body}");
    }
}
