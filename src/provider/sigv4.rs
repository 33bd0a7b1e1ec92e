//! AWS Signature Version 4: a request signed with a key that never travels.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. The crates that
//! sign bring an HTTP stack along; what is signed here is one request, by primitives that are here anyway.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use url::Url;

use super::{Unsigned, percent_encoded};
use crate::secret::Secret;
use crate::sorted;
use crate::units::{UnixMillis, civil};

/// What requests to AWS are signed with.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// Names the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// Of temporary credentials.
    pub session_token: Option<Secret>,
    /// Where the key is used: part of what is signed.
    pub region: String,
}

impl AwsCredentials {
    /// The headers that sign a request to `service`. None where its URL has no host.
    #[must_use]
    pub fn sign(&self, service: &str, request: &Unsigned<'_>) -> Vec<(&'static str, String)> {
        let Unsigned { method, url, body, now } = *request;
        let Ok(url) = Url::parse(url) else { return Vec::new() };
        let Some(host) = url.host_str() else { return Vec::new() };
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let time = timestamp(now);
        let date = time.get(..8).unwrap_or_default();
        let mut signed = vec![("host", host), ("x-amz-date", time.clone())];
        if let Some(token) = &self.session_token {
            signed.push(("x-amz-security-token", token.expose().to_owned()));
        }
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let target = format!("{method}\n{}\n{}", canonical_path(url.path()), canonical_query(&url));
        let request = canonical_request(&target, &signed, &names, body);
        let scope = format!("{date}/{}/{service}/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let signature = hex(&authenticated(&self.signing_key(date, service), &text));
        let credential = format!("{}/{scope}", self.access_key_id);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
        // The host is whatever the URL says; nobody may set it.
        signed.retain(|(name, _)| *name != "host");
        signed.push(("authorization", authorization));
        signed
    }

    /// The key for one day, region and service, so that the secret itself signs next to nothing.
    fn signing_key(&self, date: &str, service: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.secret_access_key.expose());
        [date, &self.region, service, "aws4_request"]
            .into_iter()
            .fold(None, |key: Option<[u8; 32]>, part| {
                Some(authenticated(key.as_ref().map_or(secret.as_bytes(), |key| key.as_slice()), part))
            })
            .unwrap_or_default()
    }
}

fn canonical_request(target: &str, headers: &[(&str, String)], names: &str, body: &[u8]) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    format!("{target}\n{lines}\n{names}\n{}", hex(&Sha256::digest(body)))
}

/// The query's pairs in the order of their spelling.
fn canonical_query(url: &Url) -> String {
    let pairs = url.query_pairs().map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value)));
    let mut pairs: Vec<String> = pairs.collect();
    sorted::sort(&mut pairs);
    pairs.join("&")
}

/// Dots stay dots, which [`percent_encoded`] does not let a whole segment consist of.
fn encoded(text: &str) -> String {
    percent_encoded(text).replace("%2E", ".")
}

/// The path with every segment encoded once more: what stands encoded in the URL is encoded twice in the signature,
/// so `%3A` in a model's id becomes `%253A`. (Only S3 signs paths as they are.)
fn canonical_path(path: &str) -> String {
    if path.is_empty() {
        return "/".to_owned();
    }
    path.split('/').map(percent_encoded).collect::<Vec<_>>().join("/")
}

fn authenticated(key: &[u8], text: &str) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20150830T123600Z`
fn timestamp(now: UnixMillis) -> String {
    let seconds = now.seconds();
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2015-08-30T12:36:00Z, the time of AWS's test suite.
    const THEN: UnixMillis = UnixMillis(1_440_938_160_000);

    fn suite(session_token: Option<&str>) -> AwsCredentials {
        AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: session_token.map(|token| Secret::new(token.to_owned())),
            region: "us-east-1".to_owned(),
        }
    }

    fn post(url: &str) -> Unsigned<'_> {
        Unsigned { method: "POST", url, body: b"", now: THEN }
    }

    /// `get-vanilla` and `get-vanilla-query-order-key-case` of the suite.
    #[test]
    fn method_and_query_are_signed() {
        let get = |url| signature(&suite(None).sign("service", &Unsigned { method: "GET", ..post(url) }));
        assert_eq!(
            get("https://example.amazonaws.com/"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            get("https://example.amazonaws.com/?Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
    }

    fn signature(headers: &[(&str, String)]) -> String {
        let (_, authorization) = headers.iter().find(|(name, _)| *name == "authorization").expect("signed");
        authorization.rsplit_once('=').expect("a signature").1.to_owned()
    }

    /// `post-vanilla` of AWS's published suite.
    #[test]
    fn a_request_of_the_published_suite() {
        let headers = suite(None).sign("service", &post("https://example.amazonaws.com/"));
        assert_eq!(
            headers,
            [
                ("x-amz-date", "20150830T123600Z".to_owned()),
                (
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, \
                     Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
                        .to_owned()
                ),
            ]
        );
    }

    /// `post-sts-header-before` of the suite.
    #[test]
    fn temporary_credentials_of_the_published_suite() {
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeo\
            IYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU\
            9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr\
            4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let headers = suite(Some(token)).sign("service", &post("https://example.amazonaws.com/"));
        assert_eq!(signature(&headers), "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
    }

    /// The key derivation example of AWS's documentation.
    #[test]
    fn the_signing_key_of_the_documentation() {
        let key = suite(None).signing_key("20150830", "iam");
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn what_is_encoded_in_the_url_is_encoded_twice_in_the_signature() {
        assert_eq!(canonical_path("/model/a.b%3A0/converse"), "/model/a.b%253A0/converse");
        // The ARN of an inference profile is one segment, its slash included.
        let profile = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A012345678901%3Ainference-profile%2Fus.a%3A0/invoke";
        let url = Url::parse(&format!("https://bedrock-runtime.us-east-1.amazonaws.com{profile}")).expect("a URL");
        assert_eq!(url.path(), profile, "nothing of it is respelled on the way");
        assert_eq!(canonical_path(url.path()), profile.replace('%', "%25"));
        assert_eq!(canonical_path(""), "/");
    }

    #[test]
    fn the_port_is_signed_where_there_is_one() {
        let of = |url: &str| signature(&suite(None).sign("bedrock", &post(url)));
        assert_ne!(of("http://localhost:4566/x"), of("http://localhost:4567/x"));
        assert_eq!(of("https://example.com/x"), of("https://example.com:443/x"));
    }

    proptest! {
        #[test]
        fn days_are_counted_as_a_calendar_does(year in 1970i64..2400, month in 1i64..=12, day in 1i64..=28) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            let parsed = UnixMillis::parse_date(&text).expect("a date");
            prop_assert_eq!(civil(parsed.seconds() / 86_400), (year, month, day));
        }
    }
}
