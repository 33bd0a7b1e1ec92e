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
    use crate::keys::Sharing;
    use crate::units::Millis;

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

    #[test]
    fn a_key_is_told_all_that_it_may_and_may_not_do() {
        let list = |text: &str| vec![text.to_owned()];
        let key = Key {
            id: "key_1".into(),
            name: "ci".into(),
            start: "lk_live_abc".into(),
            team_id: Some("team_1".into()),
            environment: "live".into(),
            created_at: UnixMillis(1),
            expires_at: Some(UnixMillis(2)),
            allowed_models: list("a"),
            denied_models: list("b"),
            allowed_providers: list("c"),
            denied_providers: list("d"),
            allowed_endpoints: list("e"),
            allowed_ips: list("203.0.113.7"),
            allowed_countries: list("DE"),
            max_cost_per_call: Some(NanoUsd::DOLLAR),
            max_price: MaxPrice { input: Some(NanoUsd::DOLLAR), output: None },
            unknown_price: Some(UnknownPrice::Refuse),
            on_ledger_outage: OnLedgerOutage::Soft,
            log_content: true,
            store_responses: Some(StoreResponses { days: 30, shared_by: Sharing::Key }),
            allow_provider_key: true,
            default_max_tokens: Some(3),
            on_disconnect: OnDisconnect::Drain,
            deadlines: OwnDeadlines { total: Some(Millis(4)), ..OwnDeadlines::default() },
            throughput: OwnThroughput { tokens_per_second: Some(5), within: None },
            budgets: vec![Budget { id: "monthly".into(), ..Budget::default() }],
            limits: vec![Limit { id: "burst".into(), ..Limit::default() }],
            ..Key::default()
        };
        let body: serde_json::Value = serde_json::from_str(&describe(&key, None)).expect("JSON");
        let rules = [&body["budgets"][0]["id"], &body["limits"][0]["id"]];
        assert_eq!(rules, ["monthly", "burst"]);
        let mut told = body.as_object().expect("an object").clone();
        told.retain(|name, _| name != "budgets" && name != "limits");
        assert_eq!(
            serde_json::Value::Object(told),
            serde_json::json!({
                "id": "key_1", "object": "key", "name": "ci", "start": "lk_live_abc", "team_id": "team_1",
                "environment": "live", "created_at": 1, "expires_at": 2,
                "allowed_models": ["a"], "denied_models": ["b"], "allowed_providers": ["c"], "denied_providers": ["d"],
                "allowed_endpoints": ["e"], "allowed_ips": ["203.0.113.7"], "allowed_countries": ["DE"],
                "max_cost_per_call": 1, "max_price": {"input": 1, "output": null}, "unknown_price": "refuse",
                "on_ledger_outage": "soft", "log_content": true, "store_responses": {"days": 30, "shared_by": "key"},
                "allow_provider_key": true, "default_max_tokens": 3, "on_disconnect": "drain",
                "deadlines": {"total_ms": 4}, "throughput": {"tokens_per_second": 5},
            })
        );
    }
}
