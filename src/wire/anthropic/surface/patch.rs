//! Requests to, and answers of, an upstream that speaks Messages itself: the caller's own JSON, with only what must
//! change changed.

use std::borrow::Cow;

use crate::failure::Failure;
use crate::json::{self, Cursor, Edits, Kind, Member, Raw, SyntaxError, Text};
use crate::provider::{Hosting, Quirks, SamplingRule};
use crate::wire::anthropic::request::DEFAULT_MAX_TOKENS;
use crate::wire::anthropic::{hosting, read_answer};
use crate::wire::carried::MARK;
use crate::wire::losses::GATEWAY;
use crate::wire::{Adjusted, Change, Closing, Outgoing, Patched, RequestPatch, Seen, closed};

use super::read::refuse_thread;
use super::thinking::put_thinking_right;

/// The version of the protocol for callers who name none.
const VERSION: &str = "2023-06-01";

/// Puts a caller's request right: the model's name, what is said to the gateway, an output limit where there is none,
/// and thoughts of other providers' models, which would be refused. The caller's version goes along, and those betas that
/// the host `at` which it is served knows, to where it wants them.
///
/// # Errors
/// `BadRequest` where the body is no JSON object; `Unsupported` for what would be kept at the provider or be another model.
pub fn patch_request<'h>(
    body: &[u8],
    patch: &RequestPatch<'_>,
    at: Hosting,
    header: &dyn Fn(&str) -> Option<&'h str>,
    adjusted: &mut Adjusted,
) -> Result<Patched, Failure> {
    let mut cursor = Cursor::new(body)?;
    if !matches!(cursor.kind(), Some(Kind::Object) | None) {
        let message = "The body of the request must be a JSON object.";
        return Err(Failure::new(crate::failure::Kind::BadRequest, message));
    }
    let open = cursor.position();
    let members = cursor.spans()?;
    cursor.finish()?;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let last = |key: &str| members.iter().rfind(|member| member.key == key);
    if let Some(thread) = last("thread") {
        refuse_thread(&Cursor::at(text, thread.value.start).value()?)?;
    }
    if let Some(tools) = last("tools").filter(|_| json::mentions(body, b"advisor")) {
        refuse_advisors(text, tools.value.start)?;
    }
    // They would be asked without anybody having seen whether the key may, and what they cost.
    if last("fallbacks").is_some() {
        adjusted.note("fallbacks", Change::Dropped);
    }
    let mut edits = Edits::of(body);
    let mut model = Vec::new();
    Text::escape(patch.model).write(&mut model);
    if at == Hosting::Own {
        for member in members.iter().filter(|member| member.key == "model") {
            edits.replace(member.value.clone(), model.clone());
        }
    }
    let most = patch.default_max_tokens.filter(|_| !members.iter().any(|member| member.key == "max_tokens"));
    let most = most.map(|most| most.to_string());
    let version = hosting::version(at).map(Raw::of);
    let mut headers = headers(at, header, adjusted);
    let betas = betas_in_body(at, &mut headers);
    let value = |key: &str| last(key).and_then(|member| text.get(member.value.clone())).filter(|it| *it != "null");
    let max_tokens = value("max_tokens").or(most.as_deref()).and_then(|most| most.parse().ok());
    let thinking = put_thinking_right(
        body,
        &members,
        patch,
        max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        super::read::read_request,
        adjusted,
    )?;
    let mut inserted: Vec<(&str, &[u8])> = [
        ("max_tokens", most.as_ref().map(String::as_bytes)),
        ("anthropic_version", version.as_ref().map(|version| version.get().as_bytes())),
        ("anthropic_beta", betas.as_ref().map(|betas| betas.get().as_bytes())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect();
    inserted.extend(thinking.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))));
    let refused = refused(patch.facts.sampling, ["temperature", "top_p", "top_k"], &value, adjusted);
    let said_elsewhere = |member: &Member<'_>| match &*member.key {
        key if refused.contains(&key) || thinking.iter().any(|(changed, _)| *changed == key) => true,
        "model" | "anthropic_version" => at != Hosting::Own,
        "stream" => at == Hosting::InvokeModel,
        "anthropic_beta" => betas.is_some(),
        "fallbacks" => true,
        key => GATEWAY.contains(&key),
    };
    edits.object(open, &members, said_elsewhere, &inserted);
    if json::mentions(body, MARK.as_bytes())
        && let Some(messages) = last("messages")
    {
        foreign_thoughts(text, messages.value.start, &mut edits, adjusted)?;
    }
    let path = hosting::path(at, patch.model, patch.stream);
    let body = hosting::marked(at, patch.facts, edits.apply().into_owned(), adjusted);
    let outgoing = Outgoing { path, headers, body };
    Ok(Patched { outgoing, hide_reasoning: false })
}

/// The sampling parameters that the model answers with an error, as older ones do not: "`temperature` and `top_p` cannot
/// both be specified for this model", "`temperature` is deprecated for this model". One is what they draw by anyway, but
/// for `top_k`, where it is a wish like any other.
///
/// `names` are those of `temperature`, `top_p` and `top_k` where they stand.
pub(in crate::wire) fn refused<'b>(
    rule: SamplingRule,
    names: [&'static str; 3],
    value: &dyn Fn(&str) -> Option<&'b str>,
    adjusted: &mut Adjusted,
) -> Vec<&'static str> {
    let [temperature, top_p, top_k] = names;
    let (all, both) = (rule == SamplingRule::Fixed, rule == SamplingRule::OneOfTemperatureAndTopP);
    let told = |key: &&str| match *key {
        key if key == top_p && both => value(top_p).is_some() && value(temperature).is_some(),
        key if key == top_k => all && value(top_k).is_some(),
        key => all && value(key).is_some_and(|value| value != "1"),
    };
    names.into_iter().filter(told).inspect(|key| adjusted.note(*key, Change::Dropped)).collect()
}

/// Refuses a tool that is another model: nobody would have seen whether the key may ask it, and what it costs.
fn refuse_advisors(text: &str, position: usize) -> Result<(), Failure> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        let kind = cursor.value()?.member("type").and_then(Raw::into_text);
        if kind.is_some_and(|kind| kind.decode().starts_with("advisor")) {
            let message = "An advisor is another model, which is not asked through this gateway by the way.";
            return Err(Failure::unsupported(format!("tools.{index}"), message));
        }
        Ok(())
    })
}

/// `anthropic-version` and `anthropic-beta` as the caller has them, within what a header may hold.
fn headers<'h>(
    at: Hosting,
    header: &dyn Fn(&str) -> Option<&'h str>,
    adjusted: &mut Adjusted,
) -> Vec<(&'static str, String)> {
    let tame = |value: &str| -> String {
        let tamed = |letter: &char| letter.is_ascii_alphanumeric() || "-_.,: ".contains(*letter);
        value.chars().filter(tamed).take(1024).collect()
    };
    let version = header("anthropic-version").map(tame).filter(|version| !version.is_empty());
    let mut headers = Vec::new();
    if at == Hosting::Own {
        headers.push(("anthropic-version", version.unwrap_or_else(|| VERSION.to_owned())));
    }
    let betas = header("anthropic-beta").map(|betas| hosting::known(at, &tame(betas), adjusted));
    if let Some(betas) = betas.filter(|betas| !betas.is_empty()) {
        headers.push(("anthropic-beta", betas));
    }
    headers
}

/// The betas as a member of the body, taken out of the headers, where the host wants them there.
fn betas_in_body(at: Hosting, headers: &mut Vec<(&'static str, String)>) -> Option<Raw<'static>> {
    let place = headers.iter().position(|(name, _)| *name == "anthropic-beta" && at == Hosting::InvokeModel)?;
    let (_, betas) = headers.swap_remove(place);
    let named: Vec<&str> = betas.split(',').collect();
    Some(Raw::of(&named))
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
                kept.push(block)
            }
            Ok::<(), SyntaxError>(())
        })?;
        if dropped {
            adjusted.note("thinking", Change::Dropped);
            edits.replace(content.value.clone(), joined(&kept).into_bytes());
        }
        Ok(())
    })
}

fn joined(blocks: &[Raw<'_>]) -> String {
    if blocks.is_empty() {
        return r#"[{"type":"text","text":"(no text)"}]"#.to_owned();
    }
    let blocks: Vec<&str> = blocks.iter().map(Raw::get).collect();
    format!("[{}]", blocks.join(","))
}

fn is_foreign(block: &Raw<'_>) -> bool {
    let signed = ["signature", "data"].into_iter().filter_map(|key| block.member(key)?.into_text());
    // One of this protocol's own is only wrapped where it has no field, and as useless here.
    signed.into_iter().any(|data| data.escaped().starts_with(MARK))
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
