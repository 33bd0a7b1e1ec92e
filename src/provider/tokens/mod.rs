//! Credentials that live for an hour or so, and what a deployment gets them with.
//!
//! A row names the variables ([`TokenSource`]), the environment makes an [`Exchange`] of them, and that says what to send
//! to whom and reads what comes back. Who keeps the token, and when the next one is asked for, is not decided here.

mod service_account;
mod source;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{AwsCredentials, Unsigned};
use crate::json::{Object, Text, readable};
use crate::secret::Secret;
use crate::units::{Millis, UnixMillis};

pub use source::TokenSource;

/// How long what is signed here is good for, and how long credentials of a role are asked for.
const HOUR: Millis = Millis(3_600_000);
/// A token that is said to end sooner is tried all the same: a call that asked for another one would never get out.
const SHORTEST: Millis = Millis(60_000);

/// How this deployment gets tokens: where it asks, and with what.
#[derive(Clone, Debug)]
pub struct Exchange {
    id: String,
    grant: Grant,
}

/// What a token is asked for with.
#[derive(Clone, Debug)]
enum Grant {
    /// A claim signed with a service account's key (<https://www.rfc-editor.org/rfc/rfc7523>,
    /// <https://developers.google.com/identity/protocols/oauth2/service-account>).
    Assertion { url: String, email: String, key_id: Option<String>, private_key: Secret, scope: &'static str },
    /// An application's id and secret (<https://www.rfc-editor.org/rfc/rfc6749#section-4.4>,
    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
    Client { url: String, id: String, secret: Secret, scope: String },
    /// Another role's credentials, asked for with one's own
    /// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
    Role { url: String, arn: String, external_id: Option<String>, own: AwsCredentials },
}

/// A request for a token, as a form.
#[derive(Clone)]
pub struct TokenRequest {
    /// Whole.
    pub url: String,
    /// With a signature, where the request has one.
    pub headers: Vec<(&'static str, String)>,
    /// The form. Where there is a key to sign with, it ends in what is to be signed, and a dot and the signature as
    /// base64url are still to follow.
    pub body: String,
    /// An RSA key in PKCS #8, as base64, for RS256, which the platform can and this crate cannot.
    pub signing_key: Option<Secret>,
}

/// A credential that ends.
#[derive(Clone, Debug)]
pub struct Token {
    /// What requests carry, or are signed with.
    pub credential: Credential,
    /// From when on another one should be asked for.
    pub renewed_from: UnixMillis,
    /// From when on it is of no use.
    pub expires: UnixMillis,
}

/// What requests carry, or are signed with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// Temporary credentials.
    Aws(AwsCredentials),
}

impl Exchange {
    fn new(grant: Grant) -> Exchange {
        let mut hash = Sha256::new();
        for part in grant.parts() {
            // Each with its length, so that no two lists of parts are alike.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let id = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Exchange { id, grant }
    }

    /// Names what tokens are got with. Providers with the same share them, and a changed secret makes another name; it
    /// cannot be told from it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is to be sent at `now`.
    #[must_use]
    pub fn request(&self, now: UnixMillis) -> TokenRequest {
        match &self.grant {
            Grant::Assertion { url, email, key_id, private_key, scope } => {
                let assertion = assertion(email, key_id.as_deref(), scope, url, now);
                let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                TokenRequest {
                    url: url.clone(),
                    headers: Vec::new(),
                    body: format!("{}&assertion={assertion}", form(&[("grant_type", kind)])),
                    signing_key: Some(private_key.clone()),
                }
            }
            Grant::Client { url, id, secret, scope } => TokenRequest {
                url: url.clone(),
                headers: Vec::new(),
                body: form(&[
                    ("grant_type", "client_credentials"),
                    ("client_id", id),
                    ("client_secret", secret.expose()),
                    ("scope", scope),
                ]),
                signing_key: None,
            },
            Grant::Role { url, arn, external_id, own } => {
                let lifetime = (HOUR.0 / 1000).to_string();
                let mut fields = vec![
                    ("Action", "AssumeRole"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", arn.as_str()),
                    ("RoleSessionName", "latchkey"),
                    ("DurationSeconds", lifetime.as_str()),
                ];
                fields.extend(external_id.as_deref().map(|id| ("ExternalId", id)));
                let body = form(&fields);
                let unsigned = Unsigned { method: "POST", url, body: body.as_bytes(), now };
                let headers = own.sign("sts", &unsigned);
                TokenRequest { url: url.clone(), headers, body, signing_key: None }
            }
        }
    }

    /// Reads an answer to a request that was sent at `sent`; `None` where it holds no token.
    #[must_use]
    pub fn read(&self, body: &[u8], sent: UnixMillis) -> Option<Token> {
        let (credential, lifetime) = match &self.grant {
            Grant::Assertion { .. } | Grant::Client { .. } => {
                let answer: Answer<'_> = crate::json::from_slice(body).ok()?;
                let token = answer.access_token?.decode().into_owned();
                // What no header can hold is no token.
                if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return None;
                }
                let lifetime = answer.expires_in.map_or(HOUR, |seconds| Millis(seconds.saturating_mul(1000)));
                (Credential::Bearer(Secret::new(token)), lifetime.max(SHORTEST))
            }
            Grant::Role { own, .. } => (Credential::Aws(assumed(std::str::from_utf8(body).ok()?, own)?), HOUR),
        };
        // A tenth, five minutes of an hour at most: calls that are on their way must still be let in.
        let early = (lifetime.0 / 10).min(300_000);
        Some(Token { credential, renewed_from: sent.plus(Millis(lifetime.0 - early)), expires: sent.plus(lifetime) })
    }
}

impl Grant {
    fn parts(&self) -> Vec<&str> {
        match self {
            Grant::Assertion { url, email, key_id, private_key, scope } => {
                vec!["assertion", url, email, key_id.as_deref().unwrap_or_default(), private_key.expose(), scope]
            }
            Grant::Client { url, id, secret, scope } => vec!["client", url, id, secret.expose(), scope],
            Grant::Role { url, arn, external_id, own } => {
                let AwsCredentials { access_key_id, secret_access_key, session_token, region } = own;
                let session = session_token.as_ref().map_or("", Secret::expose);
                let external_id = external_id.as_deref().unwrap_or_default();
                vec!["role", url, arn, external_id, access_key_id, secret_access_key.expose(), session, region]
            }
        }
    }
}

/// Shows where a request goes and nothing of what it holds.
impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TokenRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

/// <https://www.rfc-editor.org/rfc/rfc6749#section-5.1>
#[derive(Default)]
struct Answer<'a> {
    access_token: Option<Text<'a>>,
    /// Seconds.
    expires_in: Option<u64>,
}
readable! { Answer<'a> { access_token, expires_in } }

/// Header and claims, ready to be signed.
fn assertion(email: &str, key_id: Option<&str>, scope: &str, audience: &str, now: UnixMillis) -> String {
    let (mut header, mut claims) = (Vec::new(), Vec::new());
    let mut object = Object::open(&mut header);
    object.string("alg", "RS256").string("typ", "JWT");
    if let Some(key_id) = key_id {
        object.string("kid", key_id);
    }
    object.close();
    let issued = now.seconds();
    let mut object = Object::open(&mut claims);
    object.string("iss", email).string("scope", scope).string("aud", audience);
    object.number("iat", issued).number("exp", issued.saturating_add_unsigned(HOUR.0 / 1000));
    object.close();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// The credentials in an answer to `AssumeRole`, which is XML with four members in one element.
fn assumed(xml: &str, own: &AwsCredentials) -> Option<AwsCredentials> {
    let member = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    Some(AwsCredentials {
        access_key_id: member("AccessKeyId")?,
        secret_access_key: Secret::new(member("SecretAccessKey")?),
        session_token: Some(Secret::new(member("SessionToken")?)),
        region: own.region.clone(),
    })
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests;
