//! Requests to, and answers of, an upstream that speaks Gemini itself: the caller's own JSON, with only what must change
//! changed.

use std::borrow::Cow;

use crate::failure::Failure;
use crate::json::{self, Cursor, Edits, Kind, Member, Object, Raw, SyntaxError};
use crate::provider::{Hosting, Quirks, ReasoningControl};
use crate::wire::carried::MARK;
use crate::wire::gemini::request::is_level_steered;
use crate::wire::gemini::request::thinking::decide;
use crate::wire::gemini::{TIER, UNSIGNED_CALL, path, read_answer};
use crate::wire::losses::GATEWAY;
use crate::wire::place::Place;
use crate::wire::{Adjusted, Change, Closing, Outgoing, Patched, RequestPatch, Seen, closed};

use super::{camel, read};

/// Puts a caller's request right: what is said to the gateway is taken out, an output limit put in where there is none,
/// and signatures that the model would refuse, because another provider's model made them or nobody did, are replaced. So is
/// how much it is to think, where it knows no such words.
///
/// # Errors
/// `BadRequest` where the body is no JSON object.
pub fn patch_request(
    body: &[u8],
    patch: &RequestPatch<'_>,
    hosting: Hosting,
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
    let mut edits = Edits::of(body);
    let mut inserted: Vec<(&str, &[u8])> = Vec::new();
    let limit = patch.default_max_tokens.map(|most| most.to_string());
    let whole = limit.as_ref().map(|limit| format!("{{\"maxOutputTokens\":{limit}}}"));
    let value = |key: &str| {
        let member = members.iter().rfind(|member| camel(&member.key) == key)?;
        text.get(member.value.clone()).filter(|value| *value != "null").map(|value| (member, value))
    };
    match (value("generationConfig"), &limit, &whole) {
        (Some((config, _)), Some(limit), _) => limit_output(text, config, limit, &mut edits)?,
        (None, _, Some(whole)) => inserted.push(("generationConfig", whole.as_bytes())),
        _ => {}
    }
    if let Some((config, _)) = value("generationConfig") {
        put_thinking_right(text, config, patch, &mut edits, adjusted)?;
    }
    let mut headers = Vec::new();
    let hosted = hosting == Hosting::PublisherModel;
    if let Some((_, tier)) = value("serviceTier").filter(|_| hosted) {
        let tier = tier.trim_matches('"').to_ascii_lowercase();
        headers.extend(Some((TIER, tier)).filter(|(_, tier)| matches!(tier.as_str(), "flex" | "priority")));
    }
    // The path says the model, and the upstream compares.
    let is_ours = |member: &Member<'_>| {
        let key = &*camel(&member.key);
        key == "model"
            || GATEWAY.contains(&&*member.key)
            || (hosted && key == "serviceTier")
            || inserted.iter().any(|(new, _)| *new == key)
    };
    edits.object(open, &members, is_ours, &inserted);
    let signs = is_level_steered(patch.facts);
    let foreign = json::mentions(body, MARK.as_bytes());
    if let Some(contents) = members.iter().rfind(|member| member.key == "contents").filter(|_| signs || foreign) {
        let mut signing = Signing { text, signs, edits: &mut edits, adjusted };
        signing.contents(contents.value.start)?;
    }
    let method = if patch.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let outgoing = Outgoing { path: path(patch.model, method, hosting), headers, body: edits.apply().into_owned() };
    Ok(Patched { outgoing, hide_reasoning: false })
}

fn limit_output(text: &str, config: &Member<'_>, limit: &str, edits: &mut Edits<'_>) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, config.value.start);
    if cursor.kind() != Some(Kind::Object) {
        return Ok(());
    }
    let open = cursor.position();
    let members = cursor.spans()?;
    let is_limit = |member: &Member<'_>| camel(&member.key) == "maxOutputTokens";
    let said = members.iter().rfind(|member| is_limit(member)).and_then(|member| text.get(member.value.clone()));
    if said.is_none_or(|said| said == "null") {
        edits.object(open, &members, is_limit, &[("maxOutputTokens", limit.as_bytes())]);
    }
    Ok(())
}

/// Has the model think as much as it is asked to by a caller who takes it for another one: levels are a 400 to those before
/// Gemini 3, and budgets and levels that a model lacks are one to it.
fn put_thinking_right(
    text: &str,
    config: &Member<'_>,
    patch: &RequestPatch<'_>,
    edits: &mut Edits<'_>,
    adjusted: &mut Adjusted,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, config.value.start);
    if cursor.kind() != Some(Kind::Object) {
        return Ok(());
    }
    let members = cursor.spans()?;
    let find = |name: &str| members.iter().rfind(|member| camel(&member.key) == name);
    let Some(asked) = find("thinkingConfig") else { return Ok(()) };
    let wish = read::thinking(&Place::top("thinkingConfig"), &mut Cursor::at(text, asked.value.start));
    let Ok(Some(wish)) = wish else { return Ok(()) };
    let taken = match patch.facts.reasoning {
        ReasoningControl::Unknown => true,
        ReasoningControl::None => false,
        ReasoningControl::Effort { levels } => wish.effort.is_none_or(|level| levels.contains(&level)),
        ReasoningControl::Budget { min, max, optional } => {
            let within = wish.max_tokens.is_none_or(|tokens| (min..=max).contains(&tokens));
            wish.effort.is_none() && within && (optional || wish.enabled != Some(false))
        }
    };
    if !taken {
        let most = find("maxOutputTokens").and_then(|most| text.get(most.value.clone())?.parse().ok());
        let most = most.or(patch.default_max_tokens.map(u64::from));
        let mut written = Vec::new();
        let mut object = Object::open(&mut written);
        decide(Some(&wish), patch.facts, most, adjusted).write(&mut object);
        object.close();
        let written = Cursor::new(&written)?.value()?.member("thinkingConfig").unwrap_or(Raw::NULL);
        edits.replace(asked.value.clone(), written.get().as_bytes().to_vec());
    }
    Ok(())
}

struct Signing<'s, 'b> {
    text: &'b str,
    /// The model wants the first call of each turn signed.
    signs: bool,
    edits: &'s mut Edits<'b>,
    adjusted: &'s mut Adjusted,
}

impl Signing<'_, '_> {
    fn contents(&mut self, position: usize) -> Result<(), SyntaxError> {
        let mut cursor = Cursor::at(self.text, position);
        match cursor.kind() {
            Some(Kind::Array) => cursor.items(|_, cursor| {
                let start = cursor.kind().map(|_| cursor.position());
                cursor.value()?;
                start.map_or(Ok(()), |start| self.content(start))
            }),
            Some(Kind::Object) => self.content(position),
            _ => Ok(()),
        }
    }

    fn content(&mut self, position: usize) -> Result<(), SyntaxError> {
        let mut cursor = Cursor::at(self.text, position);
        if cursor.kind() != Some(Kind::Object) {
            return Ok(());
        }
        let members = cursor.spans()?;
        let Some(parts) = members.iter().rfind(|member| member.key == "parts") else { return Ok(()) };
        let mut cursor = Cursor::at(self.text, parts.value.start);
        if cursor.kind() != Some(Kind::Array) {
            return Ok(());
        }
        let (mut unsigned, mut changed, mut kept) = (self.signs, false, Vec::new());
        cursor.items(|_, cursor| {
            cursor.kind();
            let start = cursor.position();
            cursor.value()?;
            let part: &str = self.text.get(start..cursor.position()).unwrap_or_default();
            let patched = self.part(part, &mut unsigned)?;
            changed |= !matches!(patched, Some(Cow::Borrowed(_)));
            kept.extend(patched);
            Ok::<(), SyntaxError>(())
        })?;
        if changed {
            let joined = if kept.is_empty() { "{\"text\":\"(no text)\"}".to_owned() } else { kept.join(",") };
            self.edits.replace(parts.value.clone(), format!("[{joined}]").into_bytes());
        }
        Ok(())
    }

    /// A part as the model takes it, `None` where it takes none of it. A signature that is another's goes, and with it
    /// the thought that it signs; the first call of a turn never stays unsigned.
    fn part<'p>(&mut self, part: &'p str, unsigned: &mut bool) -> Result<Option<Cow<'p, str>>, SyntaxError> {
        let mut cursor = Cursor::new(part.as_bytes())?;
        if cursor.kind() != Some(Kind::Object) {
            return Ok(Some(Cow::Borrowed(part)));
        }
        let members = cursor.spans()?;
        let find = |name: &str| members.iter().rfind(|member| camel(&member.key) == name);
        let is_call = find("functionCall").is_some();
        let first_call = is_call && std::mem::replace(unsigned, *unsigned && !is_call);
        let placeholder = format!("\"{UNSIGNED_CALL}\"").into_bytes();
        let is_signature = |member: &Member<'_>| camel(&member.key) == "thoughtSignature";
        let mut edits = Edits::of(part.as_bytes());
        match find("thoughtSignature").map(|member| part.get(member.value.clone()).unwrap_or_default()) {
            Some(given) if is_foreign(given) => {
                self.adjusted.note("thoughtSignature", Change::Dropped);
                if find("thought").is_some() && !is_call {
                    return Ok(None);
                }
                let inserted: [(&str, &[u8]); 1] = [("thoughtSignature", &placeholder)];
                edits.object(0, &members, is_signature, if first_call { &inserted } else { &[] });
            }
            None if first_call => edits.object(0, &members, |_| false, &[("thoughtSignature", &placeholder)]),
            _ => return Ok(Some(Cow::Borrowed(part))),
        }
        Ok(String::from_utf8(edits.apply().into_owned()).ok().map(Cow::Owned))
    }
}

/// Whether a signature, as written, is one that another provider's model made: this protocol's own are never wrapped.
fn is_foreign(written: &str) -> bool {
    written.strip_prefix('"').is_some_and(|data| data.starts_with(MARK))
}

/// Reads what must be known of an answer before it is sent on.
///
/// # Errors
/// `BadAnswer` where it is none; the provider's own error where a 200 holds one.
pub fn see_answer(body: &[u8], quirks: &Quirks) -> Result<Seen<'static>, Failure> {
    Ok(Seen { usage: read_answer(body, quirks)?.usage, output_bytes: body.len() as u64, outline: None })
}

/// The upstream's own answer, or object of a stream, with cost and the gateway's facts put in.
#[must_use]
pub fn patch_answer<'b>(body: &'b [u8], closing: &Closing) -> Cow<'b, [u8]> {
    closed::patch(body, &["usageMetadata"], closing)
}
