//! Reads errors in the many shapes that servers of this format give them.

use crate::failure::Failure;
use crate::json::{Raw, Text, readable};
use crate::wire::error::{from_status, from_within, redact, retry_after, status_of, waiting};

use super::types::{Completion, text};

/// Every member that any known shape has, at the top or within `error`.
#[derive(Default)]
struct Envelope<'a> {
    /// An object (OpenAI), or the message itself: `xai.error.4028a632a9`, `venice.error.18d7f26197`.
    error: Option<Raw<'a>>,
    message: Option<Text<'a>>,
    /// The message (`mistral.error.dd8c3d57bd`) or a list of faults (`hyperbolic.error.b52d881790`).
    detail: Option<Raw<'a>>,
    r#type: Option<Text<'a>>,
    /// A string, a number that repeats the status (`openrouter.error.1aea410ef2`), or `null`.
    code: Option<Raw<'a>>,
    status_code: Option<Raw<'a>>,
    param: Option<Raw<'a>>,
    metadata: Option<Metadata<'a>>,
    /// The inner error of Azure, with the code of a content filter.
    innererror: Option<Inner<'a>>,
}
readable! { Envelope<'a> {
    error, message: text, detail, r#type = "type": text, code, status_code, param, metadata, innererror,
} }

/// What a router says of the provider behind it.
#[derive(Default)]
struct Metadata<'a> {
    /// That provider's own body, as a string: `openrouter.error.1aea410ef2`.
    raw: Option<Text<'a>>,
}
readable! { Metadata<'a> { raw: text } }

#[derive(Default)]
struct Inner<'a> {
    code: Option<Text<'a>>,
}
readable! { Inner<'a> { code: text } }

#[derive(Default)]
struct Fault<'a> {
    loc: Option<Vec<Raw<'a>>>,
    msg: Option<Text<'a>>,
}
readable! { Fault<'a> { loc, msg: text } }

/// What is left of an error once its shape no longer matters.
#[derive(Default)]
struct Said {
    message: String,
    code: Option<String>,
    status: Option<u16>,
    param: Option<String>,
}

/// Reads an answer with an error status.
#[must_use]
pub fn read_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &[u8]) -> Failure {
    let said = read(body);
    let mut failure = from_status(status, said.message, said.code);
    failure.param = said.param.map(Into::into);
    waiting(failure, retry_after(header))
}

/// Reads an `error` event, whatever it holds.
pub(super) fn of_event(data: &[u8]) -> Failure {
    within(read(data))
}

/// What an error's body says; what is no JSON is its own message (`huggingface.error.76a32e3411`), unless it is a page.
fn read(body: &[u8]) -> Said {
    match crate::json::from_slice::<Envelope<'_>>(body) {
        Ok(envelope) => said(&envelope, 0),
        Err(_) => Said { message: plain(body), ..Said::default() },
    }
}

/// The error that an answer with a good status holds instead of, or after, what was asked for.
pub(super) fn in_answer(completion: &Completion<'_>) -> Option<Failure> {
    completion.error.as_ref().map(reported)
}

/// The failure that an `error` member in a good answer reports.
pub(in crate::wire) fn reported(error: &Raw<'_>) -> Failure {
    within(inner(error, 0))
}

fn within(said: Said) -> Failure {
    let likely = said.code.as_deref().map_or(502, status_of);
    let mut failure = from_within(said.status, likely, said.message, said.code);
    failure.param = said.param.map(Into::into);
    failure
}

/// What an envelope says. A quoted upstream's own envelope says it better, so far as `depth` allows.
fn said(envelope: &Envelope<'_>, depth: u8) -> Said {
    let quoted = envelope.metadata.as_ref().and_then(|metadata| metadata.raw.as_ref()).map(Text::decode);
    if let Some(better) = quoted.as_ref().filter(|_| depth < 3).and_then(|raw| quoted_error(raw, depth + 1)) {
        return Said { status: better.status.or(status(envelope)), ..better };
    }
    let nested = envelope.error.as_ref().filter(|error| !error.is_null() && depth < 3);
    let own = Said {
        message: message(envelope),
        code: code(envelope),
        status: status(envelope),
        param: envelope.param.as_ref().and_then(|param| Some(param.text()?.decode().into_owned())),
    };
    match nested.map(|error| inner(error, depth + 1)) {
        Some(inner) => Said {
            message: if inner.message.is_empty() { own.message } else { inner.message },
            code: inner.code.or(own.code),
            status: inner.status.or(own.status),
            param: inner.param.or(own.param),
        },
        None => own,
    }
}

/// `error` is an object, or its message.
fn inner(error: &Raw<'_>, depth: u8) -> Said {
    if let Some(text) = error.text() {
        return Said { message: text.decode().into_owned(), ..Said::default() };
    }
    error.read_borrowed::<Envelope<'_>>().map(|envelope| said(&envelope, depth)).unwrap_or_default()
}

fn quoted_error(raw: &str, depth: u8) -> Option<Said> {
    let envelope: Envelope<'_> = crate::json::from_str(raw).ok()?;
    Some(said(&envelope, depth)).filter(|said| !said.message.is_empty())
}

fn message(envelope: &Envelope<'_>) -> String {
    if let Some(message) = &envelope.message {
        return message.decode().into_owned();
    }
    let Some(detail) = &envelope.detail else { return String::new() };
    if let Some(text) = detail.text() {
        return text.decode().into_owned();
    }
    let faults: Vec<Fault<'_>> = detail.read_borrowed().unwrap_or_default();
    let faults = faults.iter().take(8).filter_map(|fault| {
        let place: Vec<_> = fault.loc.iter().flatten().map(step).collect();
        Some(format!("{}: {}", place.join("."), fault.msg.as_ref()?.decode()))
    });
    faults.collect::<Vec<_>>().join("; ")
}

fn step(step: &Raw<'_>) -> String {
    step.text().map_or_else(|| step.get().to_owned(), |text| text.decode().into_owned())
}

/// The most telling of code and type: a code that only repeats the status tells nothing.
fn code(envelope: &Envelope<'_>) -> Option<String> {
    let words = [
        envelope.innererror.as_ref().and_then(|inner| inner.code.as_ref()).map(|code| code.decode().into_owned()),
        envelope.code.as_ref().and_then(|code| Some(code.text()?.decode().into_owned())),
        envelope.r#type.as_ref().map(|kind| kind.decode().into_owned()),
    ];
    let telling = |word: &String| !word.is_empty() && word.len() <= 100 && word.parse::<u32>().is_err();
    // Sentences stand in for codes in some shapes (xai.error.4028a632a9); they are no code.
    words.into_iter().flatten().find(|word| telling(word) && !word.contains(' '))
}

fn status(envelope: &Envelope<'_>) -> Option<u16> {
    let numbers = [envelope.status_code.as_ref(), envelope.code.as_ref()];
    let mut numbers = numbers.into_iter().flatten().filter_map(|number| number.get().trim_matches('"').parse().ok());
    numbers.find(|status| (400..600).contains(status))
}

/// The text of a body that is no JSON; nothing of an HTML page.
fn plain(body: &[u8]) -> String {
    let start = body.get(..body.len().min(4000)).unwrap_or_default();
    let text = String::from_utf8_lossy(start);
    let text = text.trim();
    if text.starts_with('<') { String::new() } else { redact(text) }
}
