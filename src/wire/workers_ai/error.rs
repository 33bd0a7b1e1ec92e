//! Errors: Cloudflare's envelope `{"success": false, "errors": [{"code", "message"}]}`, else those of Chat Completions.
//!
//! Source: <https://developers.cloudflare.com/workers-ai/platform/errors/>.

use crate::failure::Failure;
use crate::json::{Raw, Text, readable};
use crate::wire::error::{from_status, retry_after, waiting};
use crate::wire::openai_chat;

#[derive(Default)]
struct Body<'a> {
    errors: Vec<Error<'a>>,
}
readable! { Body<'a> { #[required] errors } }

#[derive(Default)]
struct Error<'a> {
    message: Option<Text<'a>>,
    code: Option<Raw<'a>>,
}
readable! { Error<'a> { message, code } }

/// Reads an answer with an error status.
#[must_use]
pub fn read_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
    let Ok(Body { errors }) = crate::json::from_slice(body) else {
        return openai_chat::read_error(status, header, body);
    };
    let first = errors.into_iter().next();
    let (message, code) = first.map_or((None, None), |error| (error.message, error.code));
    let message = message.map(|text| text.decode().into_owned()).unwrap_or_default();
    let code = code
        .filter(|code| !code.is_null())
        .map(|code| code.text().map_or_else(|| code.get().to_owned(), |word| word.decode().into_owned()));
    waiting(from_status(status, message, code), retry_after(header))
}
