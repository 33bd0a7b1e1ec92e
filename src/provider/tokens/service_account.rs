//! The file that a service account's key is handed out in.
//!
//! Source: <https://developers.google.com/identity/protocols/oauth2/service-account>.

use crate::json::{Text, readable};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where tokens are asked for if the file does not say.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// What is needed of the file.
pub(super) struct ServiceAccount {
    /// Whom the key belongs to.
    pub(super) email: String,
    /// Which of its keys it is.
    pub(super) key_id: Option<String>,
    /// PKCS #8 as base64, without lines and headings.
    pub(super) private_key: Secret,
    /// Where tokens are asked for.
    pub(super) token_url: String,
    /// Where the account is at home.
    pub(super) project: Option<String>,
}

impl ServiceAccount {
    /// Reads the file's JSON, or that as base64, as some keep it in a variable.
    pub(super) fn read(text: &str) -> Option<ServiceAccount> {
        if !text.trim_start().starts_with('{') {
            let decoded = STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()?;
            let decoded = String::from_utf8(decoded).ok()?;
            return decoded.trim_start().starts_with('{').then(|| ServiceAccount::of_json(&decoded)).flatten();
        }
        ServiceAccount::of_json(text)
    }

    fn of_json(json: &str) -> Option<ServiceAccount> {
        let file: File<'_> = crate::json::from_str(json).ok()?;
        let plain =
            |text: Option<Text<'_>>| text.filter(|text| !text.is_empty()).map(|text| text.decode().into_owned());
        Some(ServiceAccount {
            email: plain(file.client_email)?,
            key_id: plain(file.private_key_id),
            private_key: Secret::new(key_of(&plain(file.private_key)?)?),
            token_url: plain(file.token_uri).unwrap_or_else(|| TOKEN_URL.to_owned()),
            project: plain(file.project_id),
        })
    }
}

/// The key between the lines that say so. Shells and dashboards like to escape line ends once more.
fn key_of(pem: &str) -> Option<String> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (key, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let key: String = key.replace("\\n", "\n").split_ascii_whitespace().collect();
    STANDARD.decode(&key).is_ok_and(|bytes| !bytes.is_empty()).then_some(key)
}

#[derive(Default)]
struct File<'a> {
    client_email: Option<Text<'a>>,
    private_key: Option<Text<'a>>,
    private_key_id: Option<Text<'a>>,
    token_uri: Option<Text<'a>>,
    project_id: Option<Text<'a>>,
}
readable! { File<'a> { client_email, private_key, private_key_id, token_uri, project_id } }
