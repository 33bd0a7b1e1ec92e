//! Requests to, and answers of, an upstream that speaks Converse itself: the caller's own JSON, with only what must
//! change changed.

use std::borrow::Cow;

use crate::failure::Failure;
use crate::json::{self, Cursor, Edits, Kind, Member, Raw, SyntaxError};
use crate::provider::{Quirks, percent_encoded};
use crate::wire::anthropic::request::DEFAULT_MAX_TOKENS;
use crate::wire::anthropic::{put_thinking_right, refused};
use crate::wire::bedrock::read_answer;
use crate::wire::carried::MARK;
use crate::wire::losses::GATEWAY;
use crate::wire::{Adjusted, Change, Closing, Outgoing, Patched, RequestPatch, Seen, closed};

/// Of the model's own protocol.
const TOP_K: &str = "top_k";

/// Puts a caller's request right: what is said to the gateway is taken out, an output limit put in where there is none,
/// and what would be refused is left out or said as the model knows it: sampling parameters, how much Claude is to think,
/// and thoughts of other providers' models.
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
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut edits = Edits::of(body);
    let limit = patch.default_max_tokens.map(|most| most.to_string());
    let whole = limit.as_ref().map(|limit| format!("{{\"maxTokens\":{limit}}}"));
    let mut inserted: Vec<(&str, &[u8])> = Vec::new();
    let config = inside(text, &members, "inferenceConfig")?;
    let own = inside(text, &members, "additionalModelRequestFields")?;
    let value = |key: &str| {
        let (_, members) = if key == TOP_K { own.as_ref()? } else { config.as_ref()? };
        let member = members.iter().rfind(|member| member.key == key)?;
        text.get(member.value.clone()).filter(|value| *value != "null")
    };
    let refused = refused(patch.facts.sampling, ["temperature", "topP", TOP_K], &value, adjusted);
    let limit = limit.as_ref().map(|limit| ("maxTokens", limit.as_bytes())).filter(|_| value("maxTokens").is_none());
    match (&config, &whole) {
        (Some((open, members)), _) => {
            let goes =
                |member: &Member<'_>| refused.contains(&&*member.key) || (limit.is_some() && member.key == "maxTokens");
            edits.object(*open, members, goes, limit.as_slice());
        }
        (None, Some(whole)) => inserted.push(("inferenceConfig", whole.as_bytes())),
        _ => {}
    }
    if let Some((open, members)) = &own {
        let most = value("maxTokens").and_then(|most| most.parse().ok()).or(patch.default_max_tokens.map(u64::from));
        let most = most.or(patch.facts.max_output).unwrap_or(DEFAULT_MAX_TOKENS);
        let thinking = put_thinking_right(body, members, patch, most, super::read_request, adjusted)?;
        let anew: Vec<(&str, &[u8])> =
            thinking.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect();
        let goes = |member: &Member<'_>| {
            refused.contains(&TOP_K) && member.key == TOP_K || thinking.iter().any(|(key, _)| *key == member.key)
        };
        edits.object(*open, members, goes, &anew);
    }
    // The path says the model.
    let is_ours = |member: &Member<'_>| {
        let key = &*member.key;
        key == "modelId" || GATEWAY.contains(&key) || inserted.iter().any(|(new, _)| *new == key)
    };
    edits.object(open, &members, is_ours, &inserted);
    if json::mentions(body, MARK.as_bytes())
        && let Some(messages) = members.iter().rfind(|member| member.key == "messages")
    {
        foreign_thoughts(text, messages.value.start, &mut edits, adjusted)?;
    }
    let method = if patch.stream { "converse-stream" } else { "converse" };
    let path = format!("/model/{}/{method}", percent_encoded(patch.model));
    let outgoing = Outgoing { path, headers: Vec::new(), body: edits.apply().into_owned() };
    Ok(Patched { outgoing, hide_reasoning: false })
}

/// Where the object of a member opens, and its own members.
fn inside<'t>(
    text: &'t str,
    members: &[Member<'_>],
    key: &str,
) -> Result<Option<(usize, Vec<Member<'t>>)>, SyntaxError> {
    let Some(member) = members.iter().rfind(|member| member.key == key) else { return Ok(None) };
    let mut cursor = Cursor::at(text, member.value.start);
    if cursor.kind() != Some(Kind::Object) {
        return Ok(None);
    }
    Ok(Some((cursor.position(), cursor.spans()?)))
}

/// Takes the blocks out that hold what another provider's model signed. A turn of nothing else keeps one word for it.
fn foreign_thoughts(
    text: &str,
    position: usize,
    edits: &mut Edits<'_>,
    adjusted: &mut Adjusted,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    cursor.items(|_, cursor| {
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        let members = cursor.spans()?;
        let Some(content) = members.iter().rfind(|member| member.key == "content") else { return Ok(()) };
        let mut cursor = Cursor::at(text, content.value.start);
        if cursor.kind() != Some(Kind::Array) {
            return Ok(());
        }
        let (mut kept, mut dropped) = (Vec::new(), false);
        cursor.items(|_, cursor| {
            let block = cursor.value()?;
            if is_foreign(&block) {
                dropped = true
            } else {
                kept.push(block.compact().into_owned())
            }
            Ok::<(), SyntaxError>(())
        })?;
        if dropped {
            adjusted.note("reasoningContent", Change::Dropped);
            let kept = if kept.is_empty() { "{\"text\":\"(no text)\"}".to_owned() } else { kept.join(",") };
            edits.replace(content.value.clone(), format!("[{kept}]").into_bytes());
        }
        Ok(())
    })
}

fn is_foreign(block: &Raw<'_>) -> bool {
    block.member("reasoningContent").is_some_and(|reasoning| reasoning.get().contains(MARK))
}

/// Reads what must be known of an answer before it is sent on.
///
/// # Errors
/// `BadAnswer` where it is none.
pub fn see_answer(body: &[u8], quirks: &Quirks) -> Result<Seen<'static>, Failure> {
    Ok(Seen { usage: read_answer(body, quirks)?.usage, output_bytes: body.len() as u64, outline: None })
}

/// The upstream's own answer, or the `metadata` of a stream, with cost and the gateway's facts put in: both have their
/// `usage` at the top.
#[must_use]
pub fn patch_answer<'b>(body: &'b [u8], closing: &Closing) -> Cow<'b, [u8]> {
    closed::patch(body, &["usage"], closing)
}
