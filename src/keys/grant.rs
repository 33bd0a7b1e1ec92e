//! A key's record made ready for the path of a call.

use std::net::IpAddr;

use super::{Key, KeyHash, Markup, MaxPrice, ModelPattern, Network, Pattern, Secrets};
use crate::budget::{Ended, Part, Terms, ledger_of};
use crate::failure::{Failure, Kind};
use crate::units::UnixMillis;

/// The purpose under which a grant is sealed; the name is the hash of the key it is for.
const PURPOSE: &str = "grant";

/// What a key may do. Read from storage once, then asked on every call.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The record it was made from.
    pub key: Key,
    /// What of it the ledger should know.
    pub terms: Terms,
    allowed_models: Vec<ModelPattern>,
    denied_models: Vec<ModelPattern>,
    allowed_providers: Vec<Pattern>,
    denied_providers: Vec<Pattern>,
    allowed_endpoints: Vec<Pattern>,
    allowed_networks: Vec<Network>,
}

impl Grant {
    /// Reads a record as storage holds it; fails on what is no record of ours.
    pub fn read(json: &str) -> Result<Grant, Failure> {
        let key: Key = crate::json::from_str(json).map_err(|error| unreadable(error.to_string()))?;
        if key.id.is_empty() {
            return Err(unreadable("it has no id"));
        }
        Ok(Grant::new(key))
    }

    /// The grant that `key` describes.
    #[must_use]
    pub fn new(key: Key) -> Grant {
        let models = |texts: &[String]| texts.iter().map(|text| ModelPattern::new(text)).collect();
        let names = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        Grant {
            allowed_models: models(&key.allowed_models),
            denied_models: models(&key.denied_models),
            allowed_providers: names(&key.allowed_providers),
            denied_providers: names(&key.denied_providers),
            allowed_endpoints: names(&key.allowed_endpoints),
            // Where a text of the key ends before the key does, that is no end of the key that the ledger should hear of.
            terms: Terms { expires_at: None, ..terms(&key) },
            allowed_networks: key.allowed_ips.iter().filter_map(|text| Network::parse(text).ok()).collect(),
            key,
        }
    }

    /// The record, sealed for the edge: it cannot be changed there, nor be put in the place of another key's.
    #[must_use]
    pub fn seal(&self, secrets: &Secrets, hash: &KeyHash) -> String {
        secrets.seal(PURPOSE, &hash.to_string(), &crate::json::to_string(&self.key))
    }

    /// Reads what [`Grant::seal`] wrote for the same key; fails on anything else.
    pub fn open(secrets: &Secrets, hash: &KeyHash, sealed: &str) -> Result<Grant, Failure> {
        let opened = secrets.open(PURPOSE, &hash.to_string(), sealed);
        Grant::read(opened.ok_or_else(|| unreadable("its seal is not ours"))?)
    }

    /// Whether the key is in force at `now`, may be used from where the request comes from, and may call `endpoint`
    /// (one of [`super::ENDPOINTS`]). `header` gives the request's headers by their lower-case names.
    ///
    /// A key that has expired, is disabled or was revoked is a 401 `invalid_api_key`; an address or country that is
    /// not its own a 403 `ip_not_allowed`; an endpoint that is not its own a 403 `endpoint_not_allowed`.
    pub fn permits<'h>(
        &self,
        now: UnixMillis,
        endpoint: &str,
        header: impl Fn(&'static str) -> Option<&'h str>,
    ) -> Result<(), Failure> {
        let refuse = |message: &str| Err(Failure::new(Kind::Unauthorized, message).code("invalid_api_key"));
        if self.key.revoked_at.is_some() {
            return refuse("This gateway key was revoked.");
        }
        if self.key.disabled {
            return refuse("This gateway key is disabled.");
        }
        if self.key.team.is_some_and(|team| team.disabled) {
            return refuse("The team of this gateway key is disabled.");
        }
        if self.key.expires_at.is_some_and(|end| end <= now) {
            return refuse("This gateway key has expired.");
        }
        self.permits_origin(header)?;
        let permitted = endpoint == "key" || allowed_by(&self.allowed_endpoints, |pattern| pattern.matches(endpoint));
        if !permitted {
            let message = format!("This gateway key may not call `{endpoint}`.");
            return Err(Failure::new(Kind::Forbidden, message).code("endpoint_not_allowed"));
        }
        Ok(())
    }

    /// Whether the key's list names `endpoint`: some are not for keys that merely have no list.
    #[must_use]
    pub fn names_endpoint(&self, endpoint: &str) -> bool {
        self.allowed_endpoints.iter().any(|pattern| pattern.matches(endpoint))
    }

    /// Whether there are models that the key may not use.
    #[must_use]
    pub fn restricts_models(&self) -> bool {
        !self.allowed_models.is_empty() || !self.denied_models.is_empty() || self.key.max_price != MaxPrice::default()
    }

    /// Both headers are set by Cloudflare, whatever the caller sent. What is not there is not allowed.
    fn permits_origin<'h>(&self, header: impl Fn(&'static str) -> Option<&'h str>) -> Result<(), Failure> {
        let refuse = |message: String| Err(Failure::new(Kind::Forbidden, message).code("ip_not_allowed"));
        // The list as it was written decides whether there is one: what cannot be read must not open the door.
        if !self.key.allowed_ips.is_empty() {
            let address = header("cf-connecting-ip").and_then(|text| text.trim().parse::<IpAddr>().ok());
            if !address.is_some_and(|address| self.allowed_networks.iter().any(|network| network.contains(address))) {
                let shown =
                    address.map_or("an unknown address".to_owned(), |address| address.to_canonical().to_string());
                return refuse(format!(
                    "This gateway key may not be used from {shown}; its `allowed_ips` say from where."
                ));
            }
        }
        if !self.key.allowed_countries.is_empty() {
            let country = header("cf-ipcountry").unwrap_or("an unknown country");
            if !self.key.allowed_countries.iter().any(|allowed| allowed.eq_ignore_ascii_case(country)) {
                return refuse(
                    "This gateway key may not be used from this country; its `allowed_countries` say from where."
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// What is charged for what calls cost: as the key says, or its team.
    #[must_use]
    pub fn markup(&self) -> Markup {
        self.key.markup.or(self.key.team.and_then(|team| team.markup)).unwrap_or_default()
    }

    /// Whether the key may use `model` at `provider`: what a target must pass before it is tried.
    #[must_use]
    pub fn permits_target(&self, provider: &str, model: &str) -> bool {
        allowed_by(&self.allowed_providers, |pattern| pattern.matches(provider))
            && allowed_by(&self.allowed_models, |pattern| pattern.allows(provider, model))
            && !self.denied_providers.iter().any(|pattern| pattern.matches(provider))
            && !self.denied_models.iter().any(|pattern| pattern.denies(provider, model))
    }

    /// The refusal for a model none of whose targets the key may use: 403 `model_not_allowed`.
    #[must_use]
    pub fn model_refusal(model: &str) -> Failure {
        Failure::new(
            Kind::Forbidden,
            format!("This gateway key may not use the model `{model}`; GET /v1/key says what it may."),
        )
        .code("model_not_allowed")
        .about("model")
    }
}

/// What the ledger should know of a key.
#[must_use]
pub fn terms(key: &Key) -> Terms {
    let is_off = key.disabled || key.team.is_some_and(|team| team.disabled);
    Terms {
        key: key.id.clone(),
        team: key.team_id.clone(),
        // A change of the team is one of its keys' terms as well.
        updated_at: key.team.map_or(key.updated_at, |team| key.updated_at.max(team.updated_at)),
        budgets: key.budgets.clone(),
        limits: key.limits.clone(),
        ended: key.revoked_at.map(|_| Ended::Revoked).or(is_off.then_some(Ended::Disabled)),
        expires_at: key.expires_at,
        part: if ledger_of(key.team_id.as_deref()).is_some() { Part::Own } else { Part::All },
    }
}

fn unreadable(cause: impl Into<String>) -> Failure {
    Failure::new(Kind::Internal, "The gateway key's record cannot be read.").because(cause)
}

/// An empty list allows everything.
fn allowed_by<P>(patterns: &[P], matches: impl Fn(&P) -> bool) -> bool {
    patterns.is_empty() || patterns.iter().any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Factor, TeamTerms};

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn grant(change: impl Fn(&mut Key)) -> Grant {
        let mut key = Key { id: "key_1".into(), ..Key::default() };
        change(&mut key);
        Grant::new(key)
    }

    fn list(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
    }

    /// Status class and code of a refusal.
    fn refusal(grant: &Grant, endpoint: &str) -> (Kind, String) {
        let failure = grant.permits(NOW, endpoint, |_| None).expect_err("refused");
        (failure.kind, failure.code.clone().expect("with a code").into_owned())
    }

    #[test]
    fn a_plain_key_may_do_everything() {
        let grant = grant(|_| ());
        assert!(grant.permits(NOW, "chat/completions", |_| None).is_ok());
        assert!(grant.permits_target("openai", "gpt-4o"));
    }

    #[test]
    fn a_key_out_of_force_is_unauthorized() {
        let unauthorized = (Kind::Unauthorized, "invalid_api_key".to_owned());
        let expired = grant(|key| key.expires_at = Some(NOW));
        assert_eq!(refusal(&expired, "key"), unauthorized);
        assert_eq!(refusal(&grant(|key| key.disabled = true), "chat/completions"), unauthorized);
        assert_eq!(refusal(&grant(|key| key.revoked_at = Some(NOW)), "chat/completions"), unauthorized);
        let of_a_team = |disabled| grant(|key| key.team = Some(TeamTerms { disabled, ..TeamTerms::default() }));
        assert_eq!(refusal(&of_a_team(true), "chat/completions"), unauthorized);
        assert!(of_a_team(false).permits(NOW, "chat/completions", |_| None).is_ok());
        let later = grant(|key| key.expires_at = Some(UnixMillis(NOW.0 + 1)));
        assert!(later.permits(NOW, "chat/completions", |_| None).is_ok(), "not yet expired");
    }

    #[test]
    fn endpoints_outside_the_list_are_forbidden() {
        let grant = grant(|key| key.allowed_endpoints = list(&["embeddings", "chat/*"]));
        assert!(grant.permits(NOW, "embeddings", |_| None).is_ok());
        assert!(grant.permits(NOW, "chat/completions", |_| None).is_ok());
        assert!(grant.permits(NOW, "key", |_| None).is_ok(), "a key may always read what it may do");
        assert_eq!(refusal(&grant, "completions"), (Kind::Forbidden, "endpoint_not_allowed".to_owned()));
    }

    #[test]
    fn calls_from_elsewhere_are_forbidden() {
        let grant = grant(|key| {
            key.allowed_ips = list(&["203.0.113.0/24", "2001:db8::/32"]);
            key.allowed_countries = list(&["DE"]);
        });
        let from = |address: Option<&'static str>, country: Option<&'static str>| {
            let header = move |name| if name == "cf-connecting-ip" { address } else { country };
            grant.permits(NOW, "models", header).map_err(|failure| failure.code.clone().expect("a code").into_owned())
        };
        let refused = Err("ip_not_allowed".to_owned());
        for address in ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8::1", " 203.0.113.7"] {
            assert_eq!(from(Some(address), Some("DE")), Ok(()), "{address}");
            assert_eq!(from(Some(address), Some("FR")), refused);
            assert_eq!(from(Some(address), None), refused, "no country told");
        }
        for address in [None, Some(""), Some("203.0.114.7"), Some("2001:db9::1"), Some("203.0.113.7, 198.51.100.1")] {
            assert_eq!(from(address, Some("DE")), refused, "{address:?}");
        }
    }

    #[test]
    fn a_range_that_cannot_be_read_opens_nothing() {
        let grant = grant(|key| key.allowed_ips = list(&["from the future"]));
        let failure = grant.permits(NOW, "models", |_| Some("203.0.113.7")).expect_err("refused");
        assert_eq!(failure.kind, Kind::Forbidden);
    }

    #[test]
    fn the_key_s_own_mark_up_wins_over_its_team_s() {
        let [own, team] = [2, 3].map(|factor| Some(Markup { factor: Factor(factor), ..Markup::default() }));
        let terms = Some(TeamTerms { markup: team, ..TeamTerms::default() });
        assert_eq!(grant(|_| ()).markup(), Markup::default());
        assert_eq!(Some(grant(|key| key.team = terms).markup()), team);
        let both = grant(|key| {
            key.team = terms;
            key.markup = own;
        });
        assert_eq!(Some(both.markup()), own);
    }

    #[test]
    fn denied_wins_over_allowed() {
        let grant = grant(|key| {
            key.allowed_models = list(&["gpt-*", "anthropic/claude-*"]);
            key.denied_models = list(&["*-mini"]);
            key.denied_providers = list(&["azure"]);
        });
        assert!(grant.permits_target("openai", "gpt-4o"));
        assert!(grant.permits_target("anthropic", "claude-sonnet-4-5"));
        assert!(!grant.permits_target("openai", "GPT-4o-Mini"), "denied, in any case");
        assert!(!grant.permits_target("azure", "gpt-4o"), "denied provider");
        assert!(!grant.permits_target("vertex", "claude-sonnet-4-5"), "another provider's namesake");
    }

    #[test]
    fn a_stored_record_is_pinned() {
        // Copies in KV outlive the version that wrote them: this text may gain fields, never lose or change one.
        let written = include_str!("../../tests/fixtures/keys/grant.json");
        let key: Key = crate::json::from_str(written).expect("a record");
        let again = serde_json::to_string_pretty(&key).expect("a record");
        assert_eq!(again.trim(), written.trim());
        let grant = Grant::read(written).expect("a record");
        assert!(grant.permits_target("anthropic", "claude-sonnet-4-5"));
        assert!(!grant.permits_target("anthropic", "claude-opus-4-1"));
    }

    #[test]
    fn a_sealed_grant_is_read_back_for_its_own_key_only() {
        let secrets = Secrets::from_environment(Some("a secret of the tests"), None, None).expect("a secret");
        let [hash, other] = ["1", "2"].map(|digit| KeyHash::parse(&digit.repeat(64)).expect("a hash"));
        let sealed = grant(|key| key.denied_models = list(&["*opus*"])).seal(&secrets, &hash);
        let opened = Grant::open(&secrets, &hash, &sealed).expect("ours");
        assert!(!opened.permits_target("anthropic", "claude-opus-4-1"));
        assert_eq!(Grant::open(&secrets, &other, &sealed).expect_err("another key's").kind, Kind::Internal);
        let loosened = sealed.replace("*opus*", "*none*");
        assert_eq!(Grant::open(&secrets, &hash, &loosened).expect_err("changed").kind, Kind::Internal);
    }

    #[test]
    fn unknown_and_missing_fields_are_no_obstacle() {
        let grant = Grant::read(r#"{"id":"key_1","from_the_future":[{"a":1}]}"#).expect("readable");
        assert_eq!(grant.key, Key { id: "key_1".into(), ..Key::default() });
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in ["", "null", "[]", "{}", r#"{"id":1}"#, r#"{"id":"key_1","disabled":"no"}"#] {
            assert_eq!(Grant::read(text).expect_err("refused").kind, Kind::Internal, "{text}");
        }
    }
}
