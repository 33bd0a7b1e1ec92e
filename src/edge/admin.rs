//! The admin API on the platform: headers, body, clock and randomness in, response out.

use worker::{Env, Request, Response};

use super::store::EdgeStore;
use crate::admin::{self, Context, Entropy};

/// Bodies of the admin API are at most a configuration document.
const LONGEST_BODY: usize = 2_000_000;

/// What the isolate must forget after an admin request.
#[derive(Debug, Default)]
pub struct Changed {
    /// The grants of keys.
    pub keys: bool,
    /// The configuration.
    pub config: bool,
}

/// Answers a request under `/admin`.
///
/// # Errors
/// Where the platform does not take the response.
pub async fn handle(mut request: Request, env: &Env, context: &Context<'_>) -> worker::Result<(Response, Changed)> {
    let method = request.method().to_string();
    let url = request.url()?;
    let [authorization, if_match, address, length] =
        ["authorization", "if-match", "cf-connecting-ip", "content-length"].map(|name| request.headers().get(name));
    let (authorization, if_match, address) = (authorization?, if_match?, address?);
    let length = length?.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    let mut asked = admin::Request {
        method: &method,
        path: url.path(),
        query: url.query().unwrap_or_default(),
        authorization: authorization.as_deref(),
        if_match: if_match.as_deref(),
        address: address.as_deref(),
        body: &[],
        now: super::now(),
        entropy: entropy()?,
    };
    let body;
    let answer = if length > LONGEST_BODY {
        admin::Response::too_large(LONGEST_BODY)
    } else {
        // Nobody but the operator gets to fill the isolate's memory.
        if admin::is_authorized(&asked, context) {
            let Ok(read) = request.bytes().await else {
                // Who left while sending waits for nothing.
                return Ok((Response::empty()?.with_status(499), Changed::default()));
            };
            body = read;
            asked.body = &body;
        }
        admin::handle(&EdgeStore { env }, &asked, context).await
    };
    let changed = Changed { keys: !answer.changed_keys.is_empty(), config: answer.changed_config };
    let mut response = Response::from_bytes(answer.body.into_bytes())?.with_status(answer.status);
    for (name, value) in &answer.headers {
        response.headers_mut().set(name, value)?;
    }
    Ok((response, changed))
}

pub(super) fn entropy() -> worker::Result<Entropy> {
    let mut entropy = Entropy { key: [0; 32], id: [0; 10], change: [0; 10] };
    for bytes in [entropy.key.as_mut_slice(), &mut entropy.id, &mut entropy.change] {
        getrandom::fill(bytes).map_err(|error| worker::Error::RustError(error.to_string()))?;
    }
    Ok(entropy)
}
