//! The platform: Cloudflare Workers. The only place that names it.
//!
//! `worker.mjs` is the Worker's entry. Calls under `/v1` are driven by it through [`hot`]; everything else (health,
//! the front page, `/openapi.json`, `/admin`) comes to the fetch handler here.

mod admin;
mod copies;
#[allow(missing_docs, reason = "the object's macro adds methods of its own")]
mod health;
mod hot;
mod lease;
#[allow(missing_docs, reason = "the object's macro adds methods of its own")]
mod ledger;
mod ledgers;
mod log;
mod means;
mod outbox;
mod outgoing;
mod probe;
mod rows;
mod store;
mod stored;
mod together;
mod upkeep;
mod usage;

use std::rc::Rc;

use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Date, Env, Headers, Method, Request, Response, Result, event};

use crate::admin::{Context as AdminContext, Entropy, ProviderStatus, Store as _};
use crate::gateway::{Feedback, Input};
use crate::http::{failure_response, front_page};
use crate::keys::{AdminKey, KeyHash};
use crate::provider::Upstream;
use crate::units::UnixMillis;
use crate::wire::Surface;
use store::EdgeStore;

pub use health::Health;
pub use ledger::Ledger;

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    let path = request.path();
    match (request.method(), path.as_str()) {
        (Method::Get | Method::Head, "/openapi.json") => page(crate::admin::OPENAPI.to_owned(), "application/json"),
        (_, path) if path == "/admin" || path.starts_with("/admin/") => administer(request, env, &context).await,
        (Method::Get | Method::Head, "/") => page(front_page(), "text/html; charset=utf-8"),
        (Method::Get | Method::Head, "/health") => page("{\"status\":\"ok\"}".to_owned(), "application/json"),
        (Method::Get | Method::Head, "/health/ready") => ready(&env).await,
        (Method::Get | Method::Head, "/health/providers") => {
            let continent = request.cf().and_then(worker::Cf::continent).unwrap_or_default();
            page(health::providers(env, continent).await, "application/json")
        }
        (Method::Get | Method::Head, "/favicon.ico") => Response::empty().map(|empty| empty.with_status(204)),
        (method, path) => {
            let failure = match crate::http::route(method.as_ref(), path) {
                Err(failure) => failure,
                Ok(_) => crate::http::unknown_path(method.as_ref(), path),
            };
            // A browser's page with a wrong base URL should be able to read why.
            respond(
                failure_response(&failure, Surface::OpenAiChat).header("access-control-allow-origin", "*".to_owned()),
            )
        }
    }
}

fn page(body: String, kind: &str) -> Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", kind)?;
    headers.set("cache-control", "no-store")?;
    Ok(Response::ok(body)?.with_headers(headers))
}

/// The admin routes; what they change is in force in this isolate at once.
async fn administer(request: Request, env: Env, context: &Context) -> Result<Response> {
    let writes = request.method() != Method::Get;
    let admin_key = hot::variable("ADMIN_KEY").and_then(|text| AdminKey::new(&text));
    let environment = hot::variable("ENVIRONMENT").unwrap_or_default();
    let (secrets, providers) = hot::with_gateway(|gateway| {
        let setup = gateway.setup();
        (setup.secrets.clone(), setup.registry.upstreams().map(|upstream| status_of(upstream)).collect::<Vec<_>>())
    })
    .unwrap_or_default();
    let asked = AdminContext {
        admin_key: admin_key.as_ref(),
        secrets: secrets.as_ref(),
        environment: &environment,
        providers: &providers,
        decider: Some(&hot::OwnGateway),
    };
    let (response, changed) = admin::handle(request, &env, &asked).await?;
    if let Some(secrets) = secrets.clone().filter(|_| writes && response.status_code() < 300) {
        context.wait_until(upkeep::deliver_now(env.clone(), secrets, now()));
    }
    if changed.keys {
        hot::with_gateway(crate::gateway::Gateway::forget_grants);
    }
    if changed.config
        && let Err(error) = read_config(&env).await
    {
        log::failed("config_refused", &error);
    }
    Ok(response)
}

/// Takes the configuration from the database: its copy may be a minute old, also where it was just written.
async fn read_config(env: &Env) -> std::result::Result<(), String> {
    let stored = EdgeStore { env }.config().await.map_err(|error| error.to_string())?;
    stored.map_or(Ok(()), |stored| hot::reconfigure(stored.version.version, &stored.document))
}

fn status_of(upstream: &Upstream) -> ProviderStatus {
    ProviderStatus {
        id: upstream.id.clone(),
        name: upstream.name.clone(),
        base_url: upstream.base_url().unwrap_or_default().to_owned(),
        format: upstream.format.as_str().to_owned(),
        has_credential: upstream.is_usable(),
        key_variable: upstream.key_variable().to_owned(),
    }
}

/// Ready means that a call could be served: there are secrets, and the database answers and has all migrations.
async fn ready(env: &Env) -> Result<Response> {
    if hot::with_gateway(|gateway| gateway.setup().secrets.is_none()) == Some(true) {
        return not_ready("there are no secrets yet; run `npx wrangler secret put ADMIN_KEY`, and for LATCHKEY_SECRET");
    }
    let Err(error) = store::is_migrated(env).await else {
        return page("{\"status\":\"ready\"}".to_owned(), "application/json");
    };
    log::failed("not_ready", &error);
    not_ready(if error.to_string().contains("no such") {
        "the database lacks migrations; run `npx wrangler d1 migrations apply DB --remote`"
    } else {
        "the database does not answer; keys that are known are served all the same"
    })
}

fn not_ready(hint: &str) -> Result<Response> {
    let body = log::object(|said| {
        said.string("status", "not_ready").string("hint", hint);
    });
    Ok(page(body, "application/json")?.with_status(503))
}

impl From<crate::json::Error> for worker::Error {
    fn from(error: crate::json::Error) -> worker::Error {
        worker::Error::RustError(error.to_string())
    }
}

/// A response of ours as one of the platform's.
pub(crate) fn respond(response: crate::http::Response) -> Result<Response> {
    let headers = Headers::new();
    for (name, value) in &response.headers {
        headers.append(name, value)?;
    }
    Ok(Response::from_bytes(response.body)?.with_status(response.status).with_headers(headers))
}

/// Looks the key of a call up (KV, then the database) and takes the call on from there.
#[wasm_bindgen]
pub async fn find_grant(env: Env, call: u32, hash: String) -> String {
    let secrets = hot::with_gateway(|gateway| gateway.setup().secrets.clone()).flatten();
    let found = match (KeyHash::parse(&hash), secrets) {
        (Some(hash), Some(secrets)) => store::load_grant(&env, &secrets, &hash).await.map_err(|error| {
            log::failed("keys_away", &error);
            error.to_string()
        }),
        _ => Ok(None),
    };
    hot::resume(call, Input::Grant(found.map(|grant| grant.map(Rc::new))), now())
}

/// Looks the key of an isolate's first request up beside the configuration: the call needs both, and each is a round trip.
/// What cannot be had now the call asks for itself. `head` is as for `begin`.
#[wasm_bindgen]
pub async fn foresee_grant(env: Env, head: String) {
    let secrets = hot::with_gateway(|gateway| gateway.setup().secrets.clone()).flatten();
    let (Some(secrets), Some(hash)) = (secrets, hot::foresee(&head, now())) else { return };
    if let Ok(found) = store::load_grant(&env, &secrets, &hash).await {
        hot::with_gateway(|gateway| gateway.foreseen(hash, found.map(Rc::new), now()));
    }
}

/// Looks a finished call up for the key that made it: in the database, or in the ledger until that has it.
#[wasm_bindgen]
pub async fn find_call(env: Env, call: u32, request_id: String, key_id: String, team: Option<String>) -> String {
    let mut rows = EdgeStore { env: &env }.call_rows(&request_id).await.map_err(|error| error.to_string());
    if rows.as_ref().map_or(true, Vec::is_empty) {
        // Where neither answers, what is said is that the database did not.
        match lease::calls(&env, team.as_deref(), &request_id).await {
            Ok(kept) if !kept.is_empty() => rows = Ok(kept),
            _ => {}
        }
    }
    let found = rows.map(|rows| crate::admin::generation(&rows, &key_id));
    hot::resume(call, Input::Call(found), now())
}

/// Keeps what a key thinks of one of its calls, if that call is known.
#[wasm_bindgen]
pub async fn keep_feedback(env: Env, call: u32, id: String, key_id: String, name: String, score: f64) -> String {
    let feedback = Feedback { request_id: id, key_id, name, score, at: now() };
    let kept = EdgeStore { env: &env }.keep_feedback(&feedback).await.map_err(|error| error.to_string());
    let found = kept.map(|kept| kept.then(|| r#"{"object":"feedback","recorded":true}"#.to_owned()));
    hot::resume(call, Input::Call(found), now())
}

/// Takes the stored configuration document, if there is one and it is not in force yet.
///
/// # Errors
/// Where the store does not answer, or the document cannot be read, when the configuration in force stays; and where a part
/// of it cannot be read, when the rest is in force.
#[wasm_bindgen]
pub async fn refresh_config(env: Env) -> std::result::Result<(), JsValue> {
    let secrets = hot::with_gateway(|gateway| gateway.setup().secrets.clone()).flatten();
    let Some(secrets) = secrets else { return Ok(()) };
    let stored = store::load_config(&env, &secrets).await.map_err(|error| JsValue::from_str(&error.to_string()))?;
    stored
        .map_or(Ok(()), |(version, document)| hot::reconfigure(version, &document))
        .map_err(|faults| JsValue::from_str(&faults))
}

/// What is to be done once a minute.
#[wasm_bindgen]
pub async fn keep_up(env: Env, now: f64) {
    let Some(secrets) = hot::with_gateway(|gateway| gateway.setup().secrets.clone()).flatten() else { return };
    // Without randomness there are no ids; a change without one is refused as a repetition of another.
    let entropy = || admin::entropy().unwrap_or(Entropy { key: [0; 32], id: [0; 10], change: [0; 10] });
    #[allow(clippy::cast_possible_truncation)] // Milliseconds since the epoch are exact in a float.
    let now = UnixMillis(now as i64);
    for error in crate::admin::keep_up(&EdgeStore { env: &env }, &upkeep::Post, &secrets, now, entropy).await {
        log::failed("not_kept_up", &error);
    }
}

/// The platform's clock, which stands still while code runs.
fn now() -> UnixMillis {
    UnixMillis(i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX))
}
