//! Requests to, and answers of, an upstream that speaks Cohere's Chat itself: the caller's own JSON, with only what must
//! change changed.

use std::borrow::Cow;

use crate::failure::Failure;
use crate::json::{self, Cursor, Edits, Kind, SyntaxError, Text};
use crate::provider::Quirks;
use crate::wire::carried::MARK;
use crate::wire::cohere::read_answer;
use crate::wire::losses::GATEWAY;
use crate::wire::{Adjusted, Change, Closing, Outgoing, Patched, RequestPatch, Seen, closed};

use super::trailer;

/// Puts a caller's request right: the model's name, what is said to the gateway, and an output limit where there is none.
///
/// # Errors
/// `BadRequest` where the body is no JSON object.
pub fn patch_request(body: &[u8], patch: &RequestPatch<'_>, adjusted: &mut Adjusted) -> Result<Patched, Failure> {
    let mut cursor = Cursor::new(body)?;
    if !matches!(cursor.kind(), Some(Kind::Object) | None) {
        let message = "The body of the request must be a JSON object.";
        return Err(Failure::new(crate::failure::Kind::BadRequest, message));
    }
    let open = cursor.position();
    let members = cursor.spans()?;
    cursor.finish()?;
    let mut edits = Edits::of(body);
    let mut model = Vec::new();
    Text::escape(patch.model).write(&mut model);
    for member in members.iter().filter(|member| member.key == "model") {
        edits.replace(member.value.clone(), model.clone());
    }
    let most = patch.default_max_tokens.filter(|_| !members.iter().any(|member| member.key == "max_tokens"));
    let most = most.map(|most| most.to_string());
    let inserted: Vec<(&str, &[u8])> = most.iter().map(|most| ("max_tokens", most.as_bytes())).collect();
    edits.object(open, &members, |member| GATEWAY.contains(&&*member.key), &inserted);
    if json::mentions(body, MARK.as_bytes())
        && let Some(messages) = members.iter().rfind(|member| member.key == "messages")
    {
        let text = std::str::from_utf8(body).unwrap_or_default();
        if plain_ids(text, messages.value.start, false, &mut edits)? {
            adjusted.note("reasoning_details", Change::Dropped);
        }
    }
    let outgoing = Outgoing { path: "/v2/chat".to_owned(), headers: Vec::new(), body: edits.apply().into_owned() };
    Ok(Patched { outgoing, hide_reasoning: false })
}

/// Takes what other models signed off the ids of calls and of their results in a list: of messages, or of the calls
/// `within` one. Answers whether there was any.
fn plain_ids(text: &str, position: usize, within: bool, edits: &mut Edits<'_>) -> Result<bool, SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(false);
    }
    let mut found = false;
    cursor.items(|_, cursor| {
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        for member in cursor.spans()? {
            match &*member.key {
                "id" | "tool_call_id" => {
                    let written = text.get(member.value.clone()).unwrap_or_default();
                    if let Some(plain) = trailer::start(written).and_then(|at| written.get(..at)) {
                        edits.replace(member.value, format!("{plain}\"").into_bytes());
                        found = true;
                    }
                }
                "tool_calls" if !within => found |= plain_ids(text, member.value.start, true, edits)?,
                _ => {}
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads what must be known of an answer before it is sent on.
///
/// # Errors
/// `BadAnswer` where it is none; the provider's own error where a 200 holds one.
pub fn see_answer(body: &[u8], quirks: &Quirks) -> Result<Seen<'static>, Failure> {
    Ok(Seen { usage: read_answer(body, quirks)?.usage, output_bytes: body.len() as u64, outline: None })
}

/// The upstream's own answer with cost and the gateway's facts put in.
#[must_use]
pub fn patch_answer<'b>(body: &'b [u8], closing: &Closing) -> Cow<'b, [u8]> {
    closed::patch(body, &["usage"], closing)
}

/// The same of a `message-end`, whose usage stands in its delta.
pub(super) fn patch_end<'b>(body: &'b [u8], closing: &Closing) -> Cow<'b, [u8]> {
    closed::patch(body, &["delta", "usage"], closing)
}
