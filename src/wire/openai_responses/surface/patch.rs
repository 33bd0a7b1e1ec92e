//! Requests to, and answers of, an upstream that speaks Responses itself: the caller's own JSON, with only what must
//! change changed.

use std::borrow::Cow;

use crate::chat::{Effort, Reasoning, Signature, SignatureRole};
use crate::failure::Failure;
use crate::json::{self, Cursor, Edits, Kind, Member, Object, Raw, SyntaxError, Text};
use crate::provider::{Capabilities, ModelFacts, Quirks, ReasoningControl, ReasoningParameter};
use crate::wire::carried::{self, Carrier, Owner};
use crate::wire::losses::GATEWAY;
use crate::wire::openai_chat::{known_tier, level};
use crate::wire::openai_responses::{PATH, read_answer};
use crate::wire::{Adjusted, Change, Closing, Outgoing, Patched, RequestPatch, Seen, closed};

use super::read::refuse_elsewhere;
use super::{NOT_KEPT, SIGNED};

const ENCRYPTED: &str = "reasoning.encrypted_content";
/// An item in `output` in `response` of an event.
const DEEPEST: usize = 4;

/// Puts a caller's request right: the model's name, what is said to the gateway, an output limit where the key has one,
/// nothing kept at the provider, and thoughts that can come back: encrypted, and without those of others.
///
/// # Errors
/// `BadRequest` where the body is no JSON object; `Unsupported` for what would be kept at the provider.
pub fn patch_request(
    body: &[u8],
    patch: &RequestPatch<'_>,
    quirks: &Quirks,
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
    let value = |member: &Member<'_>| Cursor::at(text, member.value.start).value();
    for member in &members {
        refuse_elsewhere(&member.key, &value(member)?)?;
    }
    let mut edits = Edits::of(body);
    let mut model = Vec::new();
    Text::escape(patch.model).write(&mut model);
    for member in members.iter().filter(|member| member.key == "model") {
        edits.replace(member.value.clone(), model.clone());
    }
    let last = |key: &str| members.iter().rfind(|member| member.key == key);
    let said = |key: &str| last(key).map(value).transpose().map(|value| value.filter(|value| !value.is_null()));
    if said("store")?.is_some_and(|store| store.boolean() == Some(true)) {
        adjusted.note("store", Change::Dropped);
    }
    let most = match said("max_output_tokens")? {
        Some(_) => None,
        None => patch.default_max_tokens.map(|most| most.to_string()),
    };
    let thinks = patch.facts.capabilities.is_some_and(|can| can.has(Capabilities::REASONING));
    let include = if thinks { with_encrypted(said("include")?.as_ref()) } else { None };
    let mut refused = Refused { unforced: false, members: Vec::new() };
    refused.find(text, &members, quirks, patch.facts, &mut edits, adjusted)?;
    let mut inserted: Vec<(&str, &[u8])> = vec![("store", b"false")];
    if refused.unforced {
        inserted.push(("reasoning", b"{\"effort\":\"none\"}"));
    }
    inserted.extend(most.iter().map(|most| ("max_output_tokens", most.as_bytes())));
    inserted.extend(include.iter().map(|include| ("include", include.as_bytes())));
    let removed = |member: &Member<'_>| {
        let key = &*member.key;
        GATEWAY.contains(&key) || refused.members.contains(&key) || inserted.iter().any(|(known, _)| *known == key)
    };
    edits.object(open, &members, removed, &inserted);
    if let Some(input) = last("input") {
        own_thoughts(text, input, quirks, patch, &mut edits, adjusted)?;
    }
    let outgoing = Outgoing { path: PATH.to_owned(), headers: Vec::new(), body: edits.apply().into_owned() };
    Ok(Patched { outgoing, hide_reasoning: false })
}

/// Has a request that was put right make its conversation shorter: at an endpoint that keeps nothing, and knows neither what
/// says so of an answer nor a cap of its output. <https://platform.openai.com/docs/api-reference/responses/compact>.
///
/// # Errors
/// Where the body is no JSON object.
pub fn compacting(outgoing: Outgoing) -> Result<Outgoing, Failure> {
    let mut edits = Edits::of(&outgoing.body);
    let members = Cursor::new(&outgoing.body)?.spans()?;
    edits.object(
        0,
        &members,
        |member| matches!(&*member.key, "store" | "include" | "stream" | "max_output_tokens"),
        &[],
    );
    Ok(Outgoing { path: format!("{PATH}/compact"), body: edits.apply().into_owned(), ..outgoing })
}

/// What the model answers with an error.
struct Refused {
    /// It refuses to be made to call a tool while it thinks, so that it must not.
    unforced: bool,
    /// Members of the request.
    members: Vec<&'static str>,
}

impl Refused {
    /// Finds it; an effort that the model does not know becomes the nearest that it does.
    fn find(
        &mut self,
        text: &str,
        members: &[Member<'_>],
        quirks: &Quirks,
        facts: &ModelFacts,
        edits: &mut Edits<'_>,
        adjusted: &mut Adjusted,
    ) -> Result<(), SyntaxError> {
        let last = |key: &str| members.iter().rfind(|member| member.key == key);
        let value = |key: &str| last(key).and_then(|member| text.get(member.value.clone()));
        let mut effort = None;
        if let Some(reasoning) = last("reasoning").filter(|_| value("reasoning").is_some_and(|it| it.starts_with('{')))
        {
            let inside = Cursor::at(text, reasoning.value.start).spans()?;
            let written = inside.iter().rfind(|member| member.key == "effort").map(|member| member.value.clone());
            let word = written.clone().and_then(|span| text.get(span)).map(|word| word.trim_matches('"'));
            effort = word.and_then(Effort::parse);
            let wish = Reasoning { effort, ..Reasoning::default() };
            // A router switches thinking on and off where models know no level: https://openrouter.ai/x-ai/grok-4.1-fast.
            let is_routed = quirks.reasoning_control == ReasoningParameter::Object;
            if facts.reasoning == ReasoningControl::None && !is_routed {
                self.members.push("reasoning");
                if effort.is_some_and(|effort| effort != Effort::None) {
                    adjusted.note("reasoning", Change::Dropped);
                }
            } else if let (Some(span), Some(level)) = (written, level(&wish, facts, adjusted))
                && Some(level) != effort
            {
                edits.replace(span, format!("\"{}\"", level.as_str()).into_bytes());
            }
        }
        let thinks = effort.map_or(facts.thinks_unasked, |effort| effort != Effort::None);
        let forced = value("tool_choice").is_some_and(|choice| !matches!(choice, "null" | "\"auto\"" | "\"none\""));
        let may_think = thinks || facts.capabilities.is_some_and(|can| can.has(Capabilities::REASONING));
        if forced && quirks.thinks_unforced && may_think && effort != Some(Effort::None) {
            self.unforced = true;
            if effort.is_some() {
                adjusted.note("reasoning", Change::Dropped);
            }
        }
        let tier = value("service_tier").filter(|tier| *tier != "null").map(|tier| tier.trim_matches('"'));
        if tier.is_some_and(|tier| !known_tier(tier, &[], quirks, adjusted)) {
            self.members.push("service_tier");
        }
        for key in facts.sampling.refused(thinks && !self.unforced, value("temperature").is_some()) {
            // One is what such models do anyway, and what they take.
            if value(key).is_some_and(|value| !matches!(value, "1" | "null")) {
                self.members.push(key);
                adjusted.note(*key, Change::Dropped);
            }
        }
        Ok(())
    }
}

/// `include` with encrypted reasoning in it; `None` where it is in it already.
fn with_encrypted(include: Option<&Raw<'_>>) -> Option<String> {
    let given: Vec<String> = include.and_then(|list| list.read().ok()).unwrap_or_default();
    if given.iter().any(|word| word == ENCRYPTED) {
        return None;
    }
    let mut words: Vec<String> = given.iter().map(|word| Raw::of(word).get().to_owned()).collect();
    words.push(format!("\"{ENCRYPTED}\""));
    Some(format!("[{}]", words.join(",")))
}

/// Takes out what this provider cannot read of earlier thoughts: those of others, and those that it was to remember.
fn own_thoughts(
    text: &str,
    input: &Member<'_>,
    quirks: &Quirks,
    patch: &RequestPatch<'_>,
    edits: &mut Edits<'_>,
    adjusted: &mut Adjusted,
) -> Result<(), Failure> {
    let mut cursor = Cursor::at(text, input.value.start);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    let (mut kept, mut changed) = (Vec::new(), false);
    cursor.items(|index, cursor| {
        let item = cursor.value()?;
        let kind = item.member("type").and_then(Raw::into_text);
        match kind.as_ref().map(Text::escaped) {
            Some("reasoning") => match thought(&item, quirks, patch) {
                Thought::AsItIs => kept.push(Cow::Owned(item.get().to_owned())),
                Thought::Unwrapped(own) => {
                    changed = true;
                    kept.push(Cow::Owned(own));
                }
                Thought::Lost => {
                    changed = true;
                    adjusted.note("reasoning", Change::Dropped);
                }
            },
            Some("item_reference") => {
                return Err(Failure::unsupported(format!("input.{index}"), NOT_KEPT));
            }
            _ => kept.push(Cow::Owned(item.get().to_owned())),
        }
        Ok(())
    })?;
    if changed {
        edits.replace(input.value.clone(), format!("[{}]", kept.join(",")).into_bytes());
    }
    Ok(())
}

/// What becomes of an item of reasoning.
enum Thought {
    AsItIs,
    /// It was wrapped, and is this provider's after all.
    Unwrapped(String),
    Lost,
}

fn thought(item: &Raw<'_>, quirks: &Quirks, patch: &RequestPatch<'_>) -> Thought {
    let Some(data) = item.member("encrypted_content").and_then(Raw::into_text).filter(|data| !data.is_empty()) else {
        // In the open it can be read by everyone.
        let open = item.member("content").is_some_and(|content| content.is_array() && content.compact() != "[]");
        return if open { Thought::AsItIs } else { Thought::Lost };
    };
    let wrapped = data.escaped().starts_with(carried::MARK);
    if !wrapped {
        // It is of the protocol's maker: those of others are wrapped.
        return if quirks.signed == SIGNED { Thought::AsItIs } else { Thought::Lost };
    }
    let Some((sealed, Owner::Here)) = carried::unwrap(data, SIGNED, SignatureRole::Replaces) else {
        return Thought::Lost;
    };
    let opened = Carrier::new(patch.keys.cloned(), patch.target).open(&sealed);
    match opened.filter(|own| own.format.escaped() == quirks.signed) {
        Some(own) => opened_item(item, &own).map_or(Thought::Lost, Thought::Unwrapped),
        None => Thought::Lost,
    }
}

/// The item as its maker gave it.
fn opened_item(item: &Raw<'_>, own: &Signature<'_>) -> Option<String> {
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    object.string("type", "reasoning");
    if let Some(id) = &own.id {
        object.text("id", id);
    }
    object.raw("summary", &item.member("summary").unwrap_or(Raw::EMPTY_ARRAY));
    if let Some(content) = item.member("content") {
        object.raw("content", &content);
    }
    object.text("encrypted_content", &own.data);
    object.close();
    String::from_utf8(out).ok()
}

/// An answer, or an event of a stream, with the encrypted thoughts in it wrapped: `signed` names who can read them, and
/// nothing else in what passes does.
#[must_use]
pub fn wrap_thoughts<'b>(body: &'b [u8], signed: &'static str, carrier: &Carrier) -> Cow<'b, [u8]> {
    if !json::mentions(body, b"\"encrypted_content\"") {
        return Cow::Borrowed(body);
    }
    let Ok(text) = std::str::from_utf8(body) else { return Cow::Borrowed(body) };
    let mut edits = Edits::of(body);
    // What cannot be walked was never read either; it goes on as it came.
    match wrap_in(text, 0, DEEPEST, signed, carrier, &mut edits) {
        Ok(()) => edits.apply(),
        Err(_) => Cow::Borrowed(body),
    }
}

/// Walks to the items: those of `output`, also within `response`, or the one in `item`.
fn wrap_in(
    text: &str,
    position: usize,
    depth: usize,
    signed: &'static str,
    carrier: &Carrier,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    match cursor.kind() {
        Some(Kind::Array) => cursor.items(|_, cursor| {
            cursor.kind();
            let start = cursor.position();
            cursor.value()?;
            if depth > 0 { wrap_in(text, start, depth - 1, signed, carrier, edits) } else { Ok(()) }
        }),
        Some(Kind::Object) => {
            let members = cursor.spans()?;
            let value = |key: &str| {
                let member = members.iter().rfind(|member| member.key == key)?;
                Cursor::at(text, member.value.start).value().ok()?.into_text()
            };
            let is_thought = value("type").is_some_and(|kind| kind.is("reasoning"));
            for member in &members {
                match &*member.key {
                    "item" | "output" | "response" if depth > 0 => {
                        wrap_in(text, member.value.start, depth - 1, signed, carrier, edits)?;
                    }
                    "encrypted_content" if is_thought => {
                        let Some(data) = value("encrypted_content").filter(|data| !data.is_empty()) else { continue };
                        let format = Text::from_escaped(signed);
                        let signature = Signature { format, data, id: value("id"), role: SignatureRole::Replaces };
                        let mut sealed = Vec::new();
                        carrier.sealed(&signature, &Owner::Here).write(&mut sealed);
                        edits.replace(member.value.clone(), sealed);
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
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
