//! `/passthrough/{provider}/…`: what has no common shape goes to a provider as it came, with the gateway's key in the
//! place of the caller's, through the same gate and into the same ledger.

use crate::budget::{Amounts, Basis, Estimate, estimate};
use crate::failure::{Failure, Kind};
use crate::json::{Raw, readable};
use crate::keys::Grant;
use crate::provider::Price;
use crate::route::Candidate;
use crate::units::UnixMillis;

use super::call::Call;
use super::wishes::Wishes;
use super::{Asked, Gateway, Incoming, Step};

/// Headers of one connection, of the caller's key and of the way to this gateway: they are nobody else's.
const KEPT_BACK: &[&str] = &[
    "accept-encoding",
    "api-key",
    "authorization",
    "cdn-loop",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "via",
    "x-api-key",
    "x-goog-api-key",
    "x-real-ip",
    "x-request-id",
];
/// The same of an answer, with what the runtime has undone (compression) and what is the gateway's to say.
const KEPT_FROM_CALLER: &[&str] = &[
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "report-to",
    "nel",
    "server",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "www-authenticate",
    "x-accel-buffering",
    "x-request-id",
];
/// Beginnings of such names.
const KEPT_BACK_FAMILIES: [&str; 5] = ["access-control-", "cf-", "sec-", "x-forwarded-", "x-latchkey-"];

#[derive(Default)]
struct Named<'a> {
    model: Option<Raw<'a>>,
}
readable! { Named<'a> { model } }

impl Gateway {
    /// Whether the provider that `path` passes calls on to wants a signature over their bodies, which therefore cannot be
    /// left unread: AWS takes `UNSIGNED-PAYLOAD` for S3 alone.
    #[must_use]
    pub fn signs_body(&self, path: &str) -> bool {
        let provider = path.strip_prefix("/passthrough/").and_then(|passed| passed.split('/').next());
        let upstream = provider.and_then(|id| self.setup.registry.upstream(id));
        upstream.is_some_and(|upstream| upstream.signs())
    }

    /// Sends what came on to `provider`, if the key is for that.
    pub(super) fn begin_passthrough(
        &mut self,
        call: &mut Call,
        grant: &Grant,
        (provider, path): (String, String),
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        grant.permits(now, "passthrough", |name| call.incoming.header(name))?;
        if !grant.names_endpoint("passthrough") {
            let message = "Only keys whose `allowed_endpoints` name `passthrough` may pass calls through.";
            return Err(Failure::new(Kind::Forbidden, message).code("endpoint_not_allowed"));
        }
        call.permit_own_key(grant)?;
        let named = model_of(&path, &call.incoming.body);
        let upstream = self.setup.registry.upstream(&provider);
        let model = upstream.map_or(named.as_str(), |upstream| upstream.bare(&named)).to_owned();
        let permitted = self.permits(grant, &provider, &model, now) && (!model.is_empty() || !grant.restricts_models());
        if !permitted {
            return Err(Grant::model_refusal(if model.is_empty() { &provider } else { &model }));
        }
        call.wishes = Wishes::read(&call.incoming)?;
        call.passed_path = path;
        call.config = self.setup.version;
        call.asked = Asked { model: format!("{provider}/{model}"), stream: true, ..Asked::default() };
        self.aim(call, Candidate { provider, model, rank: 0 }, now)?;
        if call.attempt.as_ref().is_some_and(|attempt| attempt.upstream.base_url().is_none_or(str::is_empty)) {
            return Err(Failure::new(Kind::NotFound, "This provider has no address that a call could be passed to.")
                .code("endpoint_not_available"));
        }
        self.send(call, now)
    }
}

impl Incoming {
    /// The headers that go on to a provider.
    pub(super) fn passed_headers(&self) -> Vec<(String, String)> {
        let goes_on = |name: &str| !KEPT_BACK.contains(&name) && !is_of_family(name);
        self.headers.iter().filter(|(name, _)| goes_on(name)).cloned().collect()
    }

    /// The query that goes on: the caller's key may stand in it.
    pub(super) fn passed_query(&self) -> String {
        let pairs: Vec<&str> =
            self.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("key=")).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// Whether it only asks for what is there, which nobody charges for.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "DELETE")
    }
}

/// The headers of an answer that reach the caller.
pub(super) fn returned_headers(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let reaches = |name: &str| !KEPT_FROM_CALLER.contains(&name) && !is_of_family(name);
    let kept = headers.iter().filter(|(name, _)| reaches(name));
    kept.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn is_of_family(name: &str) -> bool {
    KEPT_BACK_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// What a call takes at most: nobody knows what is in it, unless it only reads.
pub(super) fn bound(incoming: &Incoming, price: Option<&Price>, strict: bool) -> Estimate {
    if incoming.only_reads() {
        let most = Amounts { requests: 1, parallel: 1, ..Amounts::default() };
        return Estimate { most, priced: true, unbounded: None };
    }
    let basis = Basis { answers: true, strict, price, model_max: None, context: None, tiered: false };
    let found = estimate(&incoming.body, &basis);
    Estimate { unbounded: Some("what is passed through is not read"), ..found }
}

/// The model that a call names: in its path, as Gemini's and Bedrock's do, or in its body; empty where in neither.
fn model_of(path: &str, body: &[u8]) -> String {
    // Servers read an escaped letter as that letter, and some a capital as a small one.
    if let Some(rest) = behind_mark(path).or(behind_mark(&crate::http::percent_decode(path))) {
        let end = rest.find(['/', ':', '?']).unwrap_or(rest.len());
        return crate::http::percent_decode(rest.get(..end).unwrap_or_default());
    }
    let named: Named<'_> = crate::json::from_slice(body).unwrap_or_default();
    let model = named.model.as_ref().and_then(Raw::text).map(|text| text.decode().chars().take(256).collect());
    model.unwrap_or_default()
}

/// What follows the first word of a path behind which models stand.
fn behind_mark(path: &str) -> Option<&str> {
    let lower = path.to_ascii_lowercase();
    let ends = ["/models/", "/model/", "/deployments/"].iter().filter_map(|mark| Some(lower.find(mark)? + mark.len()));
    path.get(ends.min()?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_where_protocols_have_it() {
        for (path, body, model) in [
            ("/v1beta/models/gemini-2.5-pro:generateContent", "", "gemini-2.5-pro"),
            ("/model/us.amazon.nova%3A0/invoke", "", "us.amazon.nova:0"),
            ("/responses", r#"{"model":"gpt-5"}"#, "gpt-5"),
            ("/files", "", ""),
        ] {
            assert_eq!(model_of(path, body.as_bytes()), model, "{path}");
        }
    }

    #[test]
    fn nothing_of_the_caller_or_the_connection_goes_on() {
        let header = |name: &str| (name.to_owned(), "v".to_owned());
        let headers =
            ["authorization", "x-api-key", "cookie", "cf-ray", "x-latchkey-tags", "connection", "openai-beta"];
        let incoming = Incoming {
            headers: headers.map(header).into(),
            query: "key=lk-1&alt=sse".to_owned(),
            ..Incoming::default()
        };
        assert_eq!(incoming.passed_headers(), [header("openai-beta")]);
        assert_eq!(incoming.passed_query(), "?alt=sse");
        let returned = returned_headers(&[("set-cookie", "a"), ("openai-version", "v"), ("content-length", "1")]);
        assert_eq!(returned, [header("openai-version")]);
    }
}
