//! The operator's API, under `/admin`: keys, teams, users, budgets, limits, configuration, providers, call records and
//! the audit log.
//!
//! The use cases are written over [`Store`], so that they run natively in tests with a store that fails on purpose.
//! What changes a key or the configuration is written to the database first, together with its audit entry, and then
//! copied to the edge (`publish`); a copy that did not land is caught up by the next change and by
//! [`publish_pending`].

mod answer;
mod audit;
mod body;
mod calls;
mod config;
mod decide;
mod deliver;
mod experiments;
mod generation;
mod health;
mod id;
mod key_body;
mod key_change;
mod key_fields;
mod keys;
mod ledger;
mod page;
mod pairs;
mod providers;
mod publish;
mod records;
mod release;
mod route;
mod rules;
mod store;
mod teams;
#[cfg(test)]
mod tests;
mod upkeep;
mod usage;
mod usage_query;
mod users;
mod webhooks;

pub use answer::{Fault, Response};
pub use decide::Decider;
pub use deliver::{Courier, Delivery, deliver};
pub use experiments::{ExperimentVersion, VariantRow};
pub use generation::generation;
pub use health::{LedgerHealth, RegionHealth, provider_health};
pub use pairs::PairRow;
pub use providers::ProviderStatus;
pub use publish::{open_config, publish_pending};
pub use route::{Action, ROUTES, Route};
pub use store::{
    AuditEntry, CallPlace, CallRow, CallsQuery, ConfigVersion, Kind, NEWEST_MIGRATION, Pots, Store, StoreError,
    StoredConfig, StoredHash, StoredKey, StoredRecord,
};

pub use upkeep::{Old, Upkeep, keep_up};
pub use usage_query::{Dimension, UsageQuery, UsageRow};

use crate::breaker;
use crate::http::percent_decode;
use crate::keys::{AdminKey, Secrets};
use crate::units::UnixMillis;
use answer::{Answer, Refusal};

/// The description of the caller's and the operator's API, OpenAPI 3.1: the body of `GET /openapi.json`.
///
/// A test holds it against the routes there are and the answers they give.
pub const OPENAPI: &str = {
    const WRITTEN: &str = include_str!("openapi.json");
    const LENGTH: usize = crate::json::compact::<0>(WRITTEN).1;
    // Half of what is written is indentation.
    const COMPACT: &[u8] = &crate::json::compact::<LENGTH>(WRITTEN).0;
    match std::str::from_utf8(COMPACT) {
        Ok(compact) => compact,
        Err(_) => WRITTEN,
    }
};

/// A request under `/admin`, read whole.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// The path, without query: `/admin/keys`.
    pub path: &'a str,
    /// What follows the `?`, still encoded; empty if nothing does.
    pub query: &'a str,
    /// The `authorization` header.
    pub authorization: Option<&'a str>,
    /// The `if-match` header.
    pub if_match: Option<&'a str>,
    /// From where it came, for the audit log.
    pub address: Option<&'a str>,
    /// The body; empty if there is none.
    pub body: &'a [u8],
    /// When it came.
    pub now: UnixMillis,
    /// Randomness for what it may make.
    pub entropy: Entropy,
}

impl Request<'_> {
    /// Nothing in particular, at the beginning of time.
    const EMPTY: Request<'static> = Request {
        method: "",
        path: "",
        query: "",
        authorization: None,
        if_match: None,
        address: None,
        body: &[],
        now: UnixMillis(0),
        entropy: Entropy { key: [0; 32], id: [0; 10], change: [0; 10] },
    };
}

/// Cryptographic randomness for one request.
#[derive(Clone, Copy)]
pub struct Entropy {
    /// For a new key.
    pub key: [u8; 32],
    /// For a new id.
    pub id: [u8; 10],
    /// For the id of the change.
    pub change: [u8; 10],
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Entropy(…)")
    }
}

/// What the gateway knows beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// `ADMIN_KEY`; without one the admin API is closed.
    pub admin_key: Option<&'a AdminKey>,
    /// What keys and their edge copies are signed with.
    pub secrets: Option<&'a Secrets>,
    /// `ENVIRONMENT`, the label of keys that name none.
    pub environment: &'a str,
    /// The providers that are configured, built-in ones included.
    pub providers: &'a [ProviderStatus],
    /// What decides where calls go, once it is set up.
    pub decider: Option<&'a dyn Decider>,
}

/// One authorized request and all it works with.
struct Call<'a, S> {
    store: &'a S,
    request: &'a Request<'a>,
    context: &'a Context<'a>,
    secrets: &'a Secrets,
    /// Who asks: `admin`, or `schedule`.
    actor: &'static str,
}

/// Answers a request under `/admin`.
///
/// The caller of this function forgets what it remembers of [`Response::changed_keys`], and of the configuration if
/// [`Response::changed_config`] says so.
pub async fn handle<S: Store>(store: &S, request: &Request<'_>, context: &Context<'_>) -> Response {
    match answer(store, request, context).await {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Whether the request carries the admin key: to be asked before its body is read.
#[must_use]
pub fn is_authorized(request: &Request<'_>, context: &Context<'_>) -> bool {
    authorize(request, context).is_ok()
}

async fn answer<S: Store>(store: &S, request: &Request<'_>, context: &Context<'_>) -> Result<Answer, Refusal> {
    // Whoever is not the operator learns nothing, not even which routes exist.
    let secrets = authorize(request, context)?;
    let (action, id) = route::find(request.method, request.path)?;
    let id = &percent_decode(id);
    let call = Call { store, request, context, secrets, actor: "admin" };
    match action {
        Action::CreateKey => keys::create(&call).await,
        Action::ListKeys => keys::list(&call).await,
        Action::ReadKey => keys::read(&call, id).await,
        Action::UpdateKey => keys::update(&call, id).await,
        Action::RotateKey => keys::rotate(&call, id).await,
        Action::DisableKey => keys::set_disabled(&call, id, true).await,
        Action::EnableKey => keys::set_disabled(&call, id, false).await,
        Action::RevokeKey => keys::revoke(&call, id).await,
        Action::DeleteKey => keys::delete(&call, id).await,
        Action::ReadConfig => config::read(&call).await,
        Action::ReplaceConfig => config::replace(&call).await,
        Action::CheckConfig => config::check(&call).await,
        Action::ListConfigVersions => config::versions(&call).await,
        Action::ReadConfigVersion => config::read_version(&call, id).await,
        Action::RollBackConfig => config::roll_back(&call).await,
        Action::ListProviders => providers::list(&call),
        Action::ListCalls => calls::list(&call).await,
        Action::ListAudit => audit::list(&call).await,
        Action::ReadUsage => usage::usage(&call).await,
        Action::ReadSpend => usage::spend(&call).await,
        Action::ReadLedger => ledger::read(&call, id).await,
        Action::ReadWebhookSecret => webhooks::secret(&call, id).await,
        Action::Create(kind) => records::create(&call, kind).await,
        Action::List(kind) => records::list(&call, kind).await,
        Action::Read(kind) => records::read(&call, kind, id).await,
        Action::Update(kind) => records::update(&call, kind, id).await,
        Action::Delete(kind) => records::delete(&call, kind, id).await,
        Action::ReleaseBudget => release::release(&call, id).await,
        Action::ReadExperiment => experiments::read(&call, id).await,
        Action::ListPairs => pairs::list(&call, id).await,
        Action::ExplainRoute => decide::explain(&call).await,
        Action::ReplayRoutes => decide::replay(&call).await,
        Action::ReadHealth => health::read(&call).await,
        Action::ResetHealth => health::decide(&call, breaker::Action::Reset).await,
        Action::BlockTarget => health::decide(&call, breaker::Action::Block).await,
        Action::AllowTarget => health::decide(&call, breaker::Action::Allow).await,
    }
}

fn authorize<'a>(request: &Request<'_>, context: &Context<'a>) -> Result<&'a Secrets, Refusal> {
    let (Some(admin_key), Some(secrets)) = (context.admin_key, context.secrets) else {
        return Err(Refusal::unauthorized("The admin API is closed, because no ADMIN_KEY is set."));
    };
    let presented = request.authorization.and_then(|header| {
        let (scheme, credential) = header.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
    });
    match presented {
        Some(presented) if admin_key.matches(presented) => Ok(secrets),
        Some(_) => Err(Refusal::unauthorized("This is not the admin key.")),
        None => Err(Refusal::unauthorized("Send the admin key as `Authorization: Bearer …`.")),
    }
}
