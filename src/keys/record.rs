//! What is known of a key: the one shape that D1 and KV hold and the admin API shows.

use serde::Serialize;

use super::Markup;
use crate::budget::Budget;
use crate::config::{OwnDeadlines, OwnThroughput};
use crate::json::{self, FromJson, Reader, readable, words};
use crate::limit::Limit;
use crate::sorted::SortedMap;
use crate::units::{NanoUsd, UnixMillis};

/// A key's record. The key itself and its hash are not in it.
///
/// An empty `allowed_…` list allows everything, and `denied_…` wins over `allowed_…`. Reading tolerates fields it
/// does not know and fills in those that are missing, because copies written by the version before and the version
/// after this one are in KV during a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Key {
    /// `key_…`, sorting by the moment of creation.
    pub id: String,
    /// What the operator calls it.
    pub name: String,
    /// The first characters of the key's text, to tell one key from another.
    pub start: String,
    /// The team it belongs to.
    pub team_id: Option<String>,
    /// A label such as `production`; from `ENVIRONMENT` unless given.
    pub environment: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// When it stops; `None` is never.
    pub expires_at: Option<UnixMillis>,
    /// Switched off, for now.
    pub disabled: bool,
    /// Ended, for good.
    pub revoked_at: Option<UnixMillis>,
    /// Patterns of models it may use, such as `gpt-4o*` or `anthropic/claude-*`.
    pub allowed_models: Vec<String>,
    /// Patterns of models it may not use.
    pub denied_models: Vec<String>,
    /// Patterns of provider ids it may use.
    pub allowed_providers: Vec<String>,
    /// Patterns of provider ids it may not use.
    pub denied_providers: Vec<String>,
    /// Patterns of endpoints it may call, such as `chat/completions`.
    pub allowed_endpoints: Vec<String>,
    /// Addresses and ranges that its calls may come from, such as `203.0.113.0/24`.
    pub allowed_ips: Vec<String>,
    /// Countries that its calls may come from, by their two letters.
    pub allowed_countries: Vec<String>,
    /// The most that one call may cost, in the worst case.
    pub max_cost_per_call: Option<NanoUsd>,
    /// The dearest models that it may use.
    pub max_price: MaxPrice,
    /// What happens to a call whose price is not known; `None` refuses it only where a budget or `max_cost_per_call` has
    /// to hold.
    pub unknown_price: Option<UnknownPrice>,
    /// What happens while the ledger does not answer.
    pub on_ledger_outage: OnLedgerOutage,
    /// What is charged for what calls cost; `None` is what the team says.
    pub markup: Option<Markup>,
    /// Whether answers may be kept beside those of a shadow, to be compared.
    pub log_content: bool,
    /// How long answers of Responses are kept for `previous_response_id`; `None` keeps none.
    pub store_responses: Option<StoreResponses>,
    /// What happens when it is suddenly used in another way than before.
    pub on_anomaly: OnAnomaly,
    /// Whether a call may bring its own provider key.
    pub allow_provider_key: bool,
    /// The output limit of a call that names none.
    pub default_max_tokens: Option<u32>,
    /// What happens to the upstream when the caller goes away.
    pub on_disconnect: OnDisconnect,
    /// Deadlines of its calls that differ from the gateway's and their alias's.
    pub deadlines: OwnDeadlines,
    /// How fast its streams have to be, where that differs from the gateway's and their alias's.
    pub throughput: OwnThroughput,
    /// Its own ceilings in money.
    pub budgets: Vec<Budget>,
    /// Its own ceilings in requests, tokens and calls at once.
    pub limits: Vec<Limit>,
    /// The operator's own notes.
    pub metadata: SortedMap<String, String>,
    /// What its team says: added where the record is copied to the edge, written by nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamTerms>,
}
readable! { Key {
    id, name, start, team_id, environment, created_at, updated_at, expires_at, disabled, revoked_at, allowed_models,
    denied_models, allowed_providers, denied_providers, allowed_endpoints, allowed_ips, allowed_countries,
    max_cost_per_call, max_price, unknown_price, on_ledger_outage, markup, log_content, store_responses, on_anomaly,
    allow_provider_key, default_max_tokens, on_disconnect, deadlines, throughput, budgets, limits, metadata, team,
} }

impl Key {
    /// Whether each of its calls has to be bounded by itself, be there budgets or not.
    #[must_use]
    pub fn bounds_calls(&self) -> bool {
        self.max_cost_per_call.is_some() || self.unknown_price == Some(UnknownPrice::Refuse)
    }
}

/// What happens to the upstream call when its caller goes away. Either way, what was seen is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It is cut off.
    #[default]
    Abort,
    /// It is read to its end, for as long as the platform allows.
    Drain,
}
words! { OnDisconnect { Abort = "abort", Drain = "drain" } }

/// How answers are kept that a caller goes on from by their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreResponses {
    /// After so many days they are deleted.
    pub days: u16,
    /// Who may read them, go on from them and delete them.
    pub shared_by: Sharing,
}
readable! { StoreResponses { #[required] days, shared_by } }

/// Who has what a key's calls leave behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// The key itself.
    #[default]
    Key,
    /// Those keys of its team that say the same.
    Team,
}
words! { Sharing { Key = "key", Team = "team" } }

/// What a team says about its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TeamTerms {
    /// Whether none of them works, for now.
    pub disabled: bool,
    /// What is charged for what their calls cost, unless a key says otherwise.
    pub markup: Option<Markup>,
    /// When the team's record was last changed.
    #[serde(skip_serializing_if = "is_never")]
    pub updated_at: UnixMillis,
}
readable! { TeamTerms { disabled, markup, updated_at } }

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_never(at: &UnixMillis) -> bool {
    at.0 == 0
}

/// The highest prices of a model, in US dollars per million tokens; `None` is any price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MaxPrice {
    /// Of input.
    pub input: Option<NanoUsd>,
    /// Of output.
    pub output: Option<NanoUsd>,
}
readable! { MaxPrice { input, output } }

/// What happens to a call whose price is not known. It is never free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPrice {
    /// It is refused.
    Refuse,
    /// It is sent, and this much held for it.
    Hold(NanoUsd),
}

/// `"refuse"` or `{"hold": 0.5}`.
impl<'a> FromJson<'a> for UnknownPrice {
    fn from_json(reader: &mut Reader<'a>) -> Result<UnknownPrice, json::Error> {
        #[derive(Default)]
        struct Held {
            hold: NanoUsd,
        }
        readable! { Held { #[required] hold } }

        if reader.is_object() {
            return Held::from_json(reader).map(|held| UnknownPrice::Hold(held.hold));
        }
        reader.word(&["refuse"], &[UnknownPrice::Refuse])
    }
}

/// What happens to a key's calls while the ledger does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLedgerOutage {
    /// They are refused.
    #[default]
    Strict,
    /// They are let through within a bounded credit, and settled later.
    Soft,
}
words! { OnLedgerOutage { Strict = "strict", Soft = "soft" } }

/// What happens when a key is suddenly used in another way than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAnomaly {
    /// Nothing is watched.
    #[default]
    Ignore,
    /// The operator is told.
    Notify,
    /// The operator is told, and the key is disabled.
    Suspend,
}
words! { OnAnomaly { Ignore = "ignore", Notify = "notify", Suspend = "suspend" } }
