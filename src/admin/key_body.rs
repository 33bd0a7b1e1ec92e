//! What an operator writes about a key, read into its record.

use serde_json::value::RawValue;

use super::answer::Refusal;
use super::body::{Faults, Fields, assign};
use super::key_fields::{
    MOST_DOLLARS, countries, deadlines, endpoints, environment, expiry, markup, max_price, models, networks, providers,
    store_responses, throughput, unknown_price,
};
use super::rules::{own_budgets, own_limits};
use super::{Context, Request};
use crate::keys::Key;
use crate::units::{NanoUsd, UnixMillis};

const LONGEST_NAME: usize = 100;
const MOST_NOTES: usize = 50;
/// Beyond every model's output, and small enough that twice as many is still a sane number.
const MOST_TOKENS: i64 = 10_000_000;

/// Fields that a key shows but nobody writes.
const READ_ONLY: &[&str] = &["id", "object", "key", "start", "created_at", "updated_at", "revoked_at"];
/// Fields that can be written.
pub(super) const WRITABLE: &[&str] = &[
    "name",
    "team_id",
    "environment",
    "expires_at",
    "disabled",
    "allowed_models",
    "denied_models",
    "allowed_providers",
    "denied_providers",
    "allowed_endpoints",
    "allowed_ips",
    "allowed_countries",
    "max_cost_per_call",
    "max_price",
    "unknown_price",
    "on_ledger_outage",
    "markup",
    "log_content",
    "store_responses",
    "on_anomaly",
    "allow_provider_key",
    "default_max_tokens",
    "on_disconnect",
    "deadlines",
    "throughput",
    "budgets",
    "limits",
    "metadata",
];

/// Applies the fields of the request's body to `key`. A field that is absent stays, `null` is its default.
///
/// On a refusal `key` is in no particular state; it lists every fault there is.
pub(super) fn apply(request: &Request<'_>, context: &Context<'_>, key: &mut Key) -> Result<(), Refusal> {
    let mut faults = Faults::default();
    for (name, value) in Fields::read(request.body)?.each_once("", &mut faults) {
        set(key, &name, value, request.now, context, &mut faults);
    }
    if key.name.is_empty() {
        faults.add("name", format!("is needed: 1 to {LONGEST_NAME} characters"));
    }
    faults.none()
}

fn set(
    key: &mut Key,
    name: &str,
    value: Option<&RawValue>,
    now: UnixMillis,
    context: &Context<'_>,
    faults: &mut Faults,
) {
    match name {
        "name" => assign(&mut key.name, value, |value| name_of(value, faults)),
        "team_id" => assign(&mut key.team_id, value, |value| faults.text(name, value, 1..=64).map(Some)),
        "environment" => match value {
            Some(_) => assign(&mut key.environment, value, |value| environment(name, value, faults)),
            None => context.environment.clone_into(&mut key.environment),
        },
        "expires_at" => assign(&mut key.expires_at, value, |value| expiry(name, value, now, faults).map(Some)),
        "disabled" => assign(&mut key.disabled, value, |value| faults.flag(name, value)),
        "allowed_models" => assign(&mut key.allowed_models, value, |value| models(name, value, context, faults)),
        "denied_models" => assign(&mut key.denied_models, value, |value| models(name, value, context, faults)),
        "allowed_providers" => {
            assign(&mut key.allowed_providers, value, |value| providers(name, value, context, faults));
        }
        "denied_providers" => assign(&mut key.denied_providers, value, |value| providers(name, value, context, faults)),
        "allowed_endpoints" => assign(&mut key.allowed_endpoints, value, |value| endpoints(name, value, faults)),
        "allowed_ips" => assign(&mut key.allowed_ips, value, |value| networks(name, value, faults)),
        "allowed_countries" => assign(&mut key.allowed_countries, value, |value| countries(name, value, faults)),
        "max_cost_per_call" => {
            let range = NanoUsd(1)..=MOST_DOLLARS;
            assign(&mut key.max_cost_per_call, value, |value| faults.money(name, value, range).map(Some));
        }
        "max_price" => assign(&mut key.max_price, value, |value| max_price(name, value, faults)),
        "unknown_price" => assign(&mut key.unknown_price, value, |value| unknown_price(name, value, faults).map(Some)),
        "on_ledger_outage" => {
            let expected = "\"strict\" or \"soft\"";
            assign(&mut key.on_ledger_outage, value, |value| faults.typed(name, value, expected));
        }
        "markup" => assign(&mut key.markup, value, |value| markup(name, value, faults).map(Some)),
        "log_content" => assign(&mut key.log_content, value, |value| faults.flag(name, value)),
        "store_responses" => {
            assign(&mut key.store_responses, value, |value| store_responses(name, value, faults).map(Some));
        }
        "on_anomaly" => {
            let expected = "\"ignore\", \"notify\" or \"suspend\"";
            assign(&mut key.on_anomaly, value, |value| faults.typed(name, value, expected));
        }
        "allow_provider_key" => assign(&mut key.allow_provider_key, value, |value| faults.flag(name, value)),
        "default_max_tokens" => assign(&mut key.default_max_tokens, value, |value| {
            faults.integer(name, value, 1..=MOST_TOKENS).map(|tokens| u32::try_from(tokens).ok())
        }),
        "on_disconnect" => {
            let expected = "\"abort\" or \"drain\"";
            assign(&mut key.on_disconnect, value, |value| faults.typed(name, value, expected));
        }
        "deadlines" => assign(&mut key.deadlines, value, |value| deadlines(name, value, faults)),
        "throughput" => assign(&mut key.throughput, value, |value| throughput(name, value, faults)),
        "budgets" => {
            let before = std::mem::take(&mut key.budgets);
            assign(&mut key.budgets, value, |value| own_budgets(value, &key.id, &before, faults));
        }
        "limits" => {
            let before = std::mem::take(&mut key.limits);
            assign(&mut key.limits, value, |value| own_limits(value, &key.id, &before, faults));
        }
        "metadata" => assign(&mut key.metadata, value, |value| faults.notes(name, value, MOST_NOTES)),
        _ => unknown(name, faults),
    }
}

fn unknown(name: &str, faults: &mut Faults) {
    if READ_ONLY.contains(&name) {
        faults.add(name, "cannot be written");
    } else {
        faults.add(name, format!("is no field of a key; those that can be written are {}", WRITABLE.join(", ")));
    }
}

fn name_of(value: &RawValue, faults: &mut Faults) -> Option<String> {
    let name = faults.text("name", value, 1..=LONGEST_NAME);
    // Marks the field as given: the fault is told already, and "is needed" would be one too many.
    name.or_else(|| Some("?".to_owned()))
}
