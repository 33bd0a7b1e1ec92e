//! What the admin API answers: JSON, never cached, errors in OpenAI's shape with every fault.

use serde::Serialize;

use super::StoreError;
use crate::json::{Cursor, Edits};
use crate::keys::KeyHash;

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers, lower case; `content-type` and `cache-control` among them.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or a table where one was asked for.
    pub body: String,
    /// Keys whose grants changed: whoever remembers them forgets them now.
    pub changed_keys: Vec<KeyHash>,
    /// Whether the configuration changed.
    pub changed_config: bool,
}

impl Response {
    /// The refusal of a body that is not even read.
    #[must_use]
    pub fn too_large(most: usize) -> Response {
        Refusal::too_large(most).into_response()
    }
}

/// One thing wrong with what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where, such as `allowed_models.2`; empty for the whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A request that was carried out.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
    changed_keys: Vec<KeyHash>,
    changed_config: bool,
}

impl Answer {
    pub fn json(status: u16, body: &impl Serialize) -> Result<Answer, Refusal> {
        Ok(Answer::written(status, crate::json::to_string(body)))
    }

    /// `body` is JSON already.
    pub fn written(status: u16, body: String) -> Answer {
        let content_type = "application/json";
        Answer { status, content_type, headers: Vec::new(), body, changed_keys: Vec::new(), changed_config: false }
    }

    /// With other values, as JSON, for members that its object has.
    pub fn replacing(mut self, values: &[(&str, &str)]) -> Answer {
        let replaced = {
            let mut edits = Edits::of(self.body.as_bytes());
            let members = Cursor::new(self.body.as_bytes()).and_then(|mut cursor| cursor.spans()).unwrap_or_default();
            for member in &members {
                if let Some((_, value)) = values.iter().find(|(name, _)| member.key == *name) {
                    edits.replace(member.value.clone(), value.as_bytes());
                }
            }
            String::from_utf8(edits.apply().into_owned())
        };
        self.body = replaced.unwrap_or(self.body);
        self
    }

    /// `body` is a table.
    pub fn csv(status: u16, body: String) -> Answer {
        Answer { content_type: "text/csv; charset=utf-8", ..Answer::written(status, body) }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    pub fn changed_keys(mut self, keys: impl IntoIterator<Item = KeyHash>) -> Answer {
        self.changed_keys.extend(keys);
        self
    }

    pub fn changed_config(mut self) -> Answer {
        self.changed_config = true;
        self
    }

    pub fn into_response(self) -> Response {
        let Answer { status, content_type, mut headers, body, changed_keys, changed_config } = self;
        headers.push(("content-type", content_type.to_owned()));
        headers.push(("cache-control", "private, no-store".to_owned()));
        Response { status, headers, body, changed_keys, changed_config }
    }
}

/// A request that was not carried out. One word wide, because every step of every route passes one on.
#[derive(Debug)]
pub(super) struct Refusal(Box<Refused>);

#[derive(Debug)]
struct Refused {
    status: u16,
    code: &'static str,
    message: String,
    faults: Vec<Fault>,
    headers: Vec<(&'static str, String)>,
    changed_keys: Vec<KeyHash>,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        let message = message.into();
        let (faults, headers, changed_keys) = (Vec::new(), Vec::new(), Vec::new());
        Refusal(Box::new(Refused { status, code, message, faults, headers, changed_keys }))
    }

    pub fn unauthorized(message: &str) -> Refusal {
        let mut refusal = Refusal::new(401, "invalid_api_key", message);
        refusal.0.headers.push(("www-authenticate", "Bearer".to_owned()));
        refusal
    }

    pub fn not_found(message: impl Into<String>) -> Refusal {
        Refusal::new(404, "not_found", message)
    }

    pub fn method_not_allowed(method: &str, allowed: &str) -> Refusal {
        let message = format!("This route takes {allowed}, not {method}.");
        let mut refusal = Refusal::new(405, "method_not_allowed", message);
        refusal.0.headers.push(("allow", allowed.to_owned()));
        refusal
    }

    pub fn too_large(most: usize) -> Refusal {
        Refusal::new(413, "request_too_large", format!("The body is longer than {most} bytes."))
    }

    /// A 400 with every fault; `faults` has at least one.
    pub fn faulty(faults: Vec<Fault>) -> Refusal {
        let message = match faults.as_slice() {
            [Fault { path, message }] if path.is_empty() => message.clone(),
            [Fault { path, message }] => format!("`{path}`: {message}"),
            several => format!("{} faults; see `faults`.", several.len()),
        };
        let mut refusal = Refusal::new(400, "invalid_request", message);
        refusal.0.faults = faults;
        refusal
    }

    /// What it says, where nobody is there to be answered.
    pub fn into_message(self) -> String {
        self.0.message
    }

    pub fn changed_keys(mut self, keys: impl IntoIterator<Item = KeyHash>) -> Refusal {
        self.0.changed_keys.extend(keys);
        self
    }

    pub fn into_response(self) -> Response {
        let Refused { status, code, message, faults, headers, changed_keys } = *self.0;
        let kind = match status {
            401 => "authentication_error",
            404 => "not_found_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let param = faults.first().map(|fault| fault.path.as_str()).filter(|path| !path.is_empty());
        let body = crate::json::to_string(&Envelope {
            error: Error { message: &message, kind, param, code, faults: &faults },
        });
        let mut answer = Answer::written(status, body).changed_keys(changed_keys);
        answer.headers = headers;
        answer.into_response()
    }
}

/// The operator is told what storage said: `no such table` means that the migrations were not applied.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::new(503, "storage_unavailable", format!("Storage did not do what it was asked: {}", error.message))
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    faults: &'a [Fault],
}
