use super::*;
use crate::provider::find;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const ACCOUNT: &str = r#"{"type":"service_account","project_id":"shop","private_key_id":"k1","client_email":"bot@shop.iam",
    "private_key":"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\na2V5\n-----END PRIVATE KEY-----\n"}"#;

fn exchange(provider: &str, variables: &[(&str, &str)]) -> Option<Result<(Exchange, Option<String>), String>> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    find(provider).expect("a row").tokens.expect("a source").read(&variable, Some(&own()))
}

fn own() -> AwsCredentials {
    AwsCredentials {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Secret::new("own-secret".to_owned()),
        session_token: None,
        region: "eu-central-1".to_owned(),
    }
}

fn fields(body: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[test]
fn a_service_account_signs_a_claim() {
    let as_base64 = base64::engine::general_purpose::STANDARD.encode(ACCOUNT);
    let escaped_twice = ACCOUNT.replace("\\n", "\\\\n");
    for (name, text) in [
        ("VERTEX_SERVICE_ACCOUNT", ACCOUNT),
        ("GOOGLE_APPLICATION_CREDENTIALS_JSON", &as_base64),
        ("VERTEX_SERVICE_ACCOUNT", &escaped_twice),
    ] {
        let (exchange, project) = exchange("vertex", &[(name, text)]).expect("set").expect("well-formed");
        assert_eq!(project.as_deref(), Some("shop"));
        let request = exchange.request(NOW);
        assert_eq!(request.url, "https://oauth2.googleapis.com/token");
        assert_eq!(request.signing_key.as_ref().map(Secret::expose), Some("c2VjcmV0a2V5"));
        let fields = fields(&request.body);
        assert_eq!(fields[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (header, claims) = fields[1].1.split_once('.').expect("two parts");
        let decoded = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("text");
        assert_eq!(decoded(header), r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#);
        assert_eq!(
            decoded(claims),
            r#"{"iss":"bot@shop.iam","scope":"https://www.googleapis.com/auth/cloud-platform","aud":"https://oauth2.googleapis.com/token","iat":1790000000,"exp":1790003600}"#
        );
        assert!(request.body.ends_with(&fields[1].1), "the signature follows");
    }
}

#[test]
fn what_is_no_key_of_a_service_account_is_named() {
    for text in ["{", "{}", "not json", "e30=", &ACCOUNT.replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE")] {
        let fault = exchange("vertex", &[("VERTEX_SERVICE_ACCOUNT", text)]).expect("set").expect_err(text);
        assert_eq!(fault, "VERTEX_SERVICE_ACCOUNT is not the JSON of a service account's key");
    }
    assert!(exchange("vertex", &[]).is_none());
}

#[test]
fn an_application_sends_its_secret() {
    let mut variables = vec![("AZURE_TENANT_ID", "t/../1"), ("AZURE_CLIENT_ID", "app"), ("AZURE_CLIENT_SECRET", "s&c")];
    let (first, _) = exchange("azure", &variables).expect("set").expect("well-formed");
    let request = first.request(NOW);
    assert_eq!(request.url, "https://login.microsoftonline.com/t%2F..%2F1/oauth2/v2.0/token");
    let fields = fields(&request.body);
    assert!(fields.contains(&("client_secret".to_owned(), "s&c".to_owned())), "{fields:?}");
    assert!(fields.contains(&("scope".to_owned(), "https://cognitiveservices.azure.com/.default".to_owned())));
    assert!(request.signing_key.is_none());
    let (second, _) = exchange("azure-anthropic", &variables).expect("set").expect("well-formed");
    assert_eq!(first.id(), second.id(), "one application, one token");
    variables[2].1 = "another";
    assert_ne!(exchange("azure", &variables).expect("set").expect("well-formed").0.id(), first.id());
    assert!(exchange("azure", &variables[..2]).is_none());
}

#[test]
fn a_role_is_taken_on_with_credentials_of_ones_own() {
    let variables = [("AWS_ROLE_ARN", "arn:aws:iam::1:role/caller"), ("AWS_ROLE_EXTERNAL_ID", "x")];
    let (exchange, _) = exchange("bedrock", &variables).expect("set").expect("well-formed");
    let request = exchange.request(NOW);
    assert_eq!(request.url, "https://sts.eu-central-1.amazonaws.com/");
    assert!(
        request.headers.iter().any(|(_, value)| value.contains("/eu-central-1/sts/aws4_request")),
        "{:?}",
        request.headers
    );
    assert!(fields(&request.body).contains(&("ExternalId".to_owned(), "x".to_owned())));
    let answer = b"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
        <AccessKeyId>ASIA</AccessKeyId>\n<SecretAccessKey>inner/secret</SecretAccessKey><SessionToken>sess</SessionToken>\
        </Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let token = exchange.read(answer, NOW).expect("credentials");
    let Credential::Aws(aws) = token.credential else { panic!("not AWS credentials") };
    assert_eq!((aws.access_key_id.as_str(), aws.secret_access_key.expose()), ("ASIA", "inner/secret"));
    assert_eq!(aws.session_token.as_ref().map(Secret::expose), Some("sess"));
    assert!(exchange.read(b"<ErrorResponse><Error/></ErrorResponse>", NOW).is_none());
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let (exchange, _) = exchange("vertex", &[("VERTEX_SERVICE_ACCOUNT", ACCOUNT)]).expect("set").expect("well-formed");
    let read = |body: &str| exchange.read(body.as_bytes(), NOW);
    let token = read(r#"{"access_token":"ya29.a","expires_in":3599,"token_type":"Bearer"}"#).expect("a token");
    assert_eq!((token.renewed_from.0 - NOW.0, token.expires.0 - NOW.0), (3_299_000, 3_599_000));
    for seconds in [60, 1, 0] {
        let short = read(&format!(r#"{{"access_token":"a","expires_in":{seconds}}}"#)).expect("a token");
        assert_eq!((short.renewed_from.0 - NOW.0, short.expires.0 - NOW.0), (54_000, 60_000));
    }
    assert!(read(r#"{"access_token":"a\nb"}"#).is_none(), "no header can hold it");
    assert!(read(r#"{"access_token":""}"#).is_none() && read("{}").is_none() && read("<html>").is_none());
    assert!(read(&format!(r#"{{"access_token":"a","expires_in":{}}}"#, u64::MAX)).is_some());
}

#[test]
fn nothing_secret_is_shown() {
    let (exchange, _) = exchange("vertex", &[("VERTEX_SERVICE_ACCOUNT", ACCOUNT)]).expect("set").expect("well-formed");
    let token = exchange.read(br#"{"access_token":"ya29.secret"}"#, NOW);
    let shown = format!("{exchange:?} {:?} {token:?}", exchange.request(NOW));
    assert!(!shown.contains("c2VjcmV0a2V5") && !shown.contains("ya29") && !shown.contains("assertion="), "{shown}");
}

/// Isolates keep tokens by this name: one that two credentials shared would let each act as the other.
#[test]
fn every_credential_has_tokens_of_its_own() {
    let id = |account: &str| {
        let (exchange, _) =
            exchange("vertex", &[("VERTEX_SERVICE_ACCOUNT", account)]).expect("set").expect("well-formed");
        exchange.id().to_owned()
    };
    assert_eq!(id(ACCOUNT), id(ACCOUNT));
    assert_eq!(id(ACCOUNT).len(), 32);
    for (part, other) in [("bot@shop.iam", "dog@shop.iam"), ("c2VjcmV0", "c2VjcmV1"), ("k1", "k2")] {
        assert_ne!(id(ACCOUNT), id(&ACCOUNT.replace(part, other)), "{other}");
    }
}
