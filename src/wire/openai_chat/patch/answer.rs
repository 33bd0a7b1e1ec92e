//! Whole answers.

use std::borrow::Cow;

use crate::chat::{EndKind, Usage};
use crate::failure::Failure;
use crate::json::{Cursor, Edits, Kind, Object, Raw, SyntaxError, Text, readable};
use crate::provider::Quirks;
use crate::wire::Closing;

use super::super::types::{Nested, object, text};
use super::super::{error, finish, usage};
use super::reply::{self, find};

/// What must be known of an upstream's answer before it is sent on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// What the upstream says it used.
    pub usage: Option<Usage>,
    /// Bytes of text, reasoning and calls, for an estimate where it does not say.
    pub output_bytes: u64,
    /// Why the first choice ended.
    pub end: Option<EndKind>,
}

/// A chat completion, a legacy completion or a list of embeddings, as far as that matters here.
#[derive(Default)]
struct Body<'a> {
    error: Option<Raw<'a>>,
    choices: Option<Vec<Choice<'a>>>,
    data: Option<Raw<'a>>,
    usage: Option<Raw<'a>>,
    x_groq: Option<Nested<'a>>,
    service_tier: Option<Text<'a>>,
}
readable! { Body<'a> { error, choices, data, usage: object, x_groq, service_tier: text } }

#[derive(Default)]
struct Choice<'a> {
    /// Whole: how long it is will do.
    message: Option<Raw<'a>>,
    /// Of a legacy completion.
    text: Option<Raw<'a>>,
    finish_reason: Option<Text<'a>>,
}
readable! { Choice<'a> { message, text, finish_reason: text } }

/// Reads what must be known of a successful answer without building it.
///
/// # Errors
/// `BadAnswer` where it is none of this protocol's; the upstream's own error where a 200 holds one.
pub fn read_plain(body: &[u8], quirks: &Quirks) -> Result<Plain, Failure> {
    let unreadable = || Failure::bad_answer("The provider's answer is none of this protocol.");
    let body = body.trim_ascii();
    if body.first() != Some(&b'{') {
        return Err(unreadable());
    }
    let read: Body<'_> = crate::json::from_slice(body).map_err(|error| unreadable().because(error.to_string()))?;
    if let Some(reported) = read.error.as_ref().filter(|error| !error.is_null()) {
        return Err(error::reported(reported));
    }
    if read.choices.as_ref().is_none_or(Vec::is_empty) && read.data.is_none() {
        return Err(unreadable());
    }
    let length = |raw: &Option<Raw<'_>>| raw.as_ref().map_or(0, |raw| raw.get().len() as u64);
    let choices = read.choices.as_deref().unwrap_or_default();
    let counted = read.usage.or(read.x_groq.and_then(|nested| nested.usage));
    let mut counted = counted.and_then(|counted| usage::read(&counted, quirks));
    let tier = read.service_tier.as_ref().filter(|tier| !tier.is_empty());
    if let (Some(counted), Some(tier)) = (&mut counted, tier) {
        counted.service_tier.get_or_insert_with(|| tier.decode().into_owned());
    }
    Ok(Plain {
        usage: counted,
        output_bytes: choices.iter().map(|choice| length(&choice.message) + length(&choice.text)).sum(),
        end: choices.first().and_then(|choice| choice.finish_reason.as_ref()).map(|word| finish::read(&word.decode())),
    })
}

/// The upstream's own answer with cost, usage and the gateway's facts put in, and what vendors spell in their own way
/// put right: reasoning also as `reasoning_content` (or gone, with `hide_reasoning`), content as a string, calls with
/// id and arguments. Everything else stays byte for byte.
#[must_use]
pub fn patch_answer<'b>(body: &'b [u8], closing: &Closing, hide_reasoning: bool) -> Cow<'b, [u8]> {
    // What cannot be walked was never read either; it goes on as it came.
    patched(body, closing, hide_reasoning).unwrap_or(Cow::Borrowed(body))
}

fn patched<'b>(body: &'b [u8], closing: &Closing, hide_reasoning: bool) -> Result<Cow<'b, [u8]>, SyntaxError> {
    let mut cursor = Cursor::new(body)?;
    if cursor.kind() != Some(Kind::Object) {
        return Ok(Cow::Borrowed(body));
    }
    let open = cursor.position();
    let members = cursor.spans()?;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut edits = Edits::of(body);
    let value = |key: &str| find(&members, key).and_then(|member| text.get(member.value.clone()));
    if let Some(choices) = find(&members, "choices") {
        let id = value("id").and_then(|id| id.strip_prefix('"')?.strip_suffix('"')).unwrap_or_default();
        let wanted = reply::Wanted { hide_reasoning, calls_of: Some(id), no_repeated_message: false };
        reply::choices(text, choices.value.start, wanted, &mut edits)?;
    }
    let own_usage = find(&members, "usage").filter(|_| value("usage").is_some_and(|usage| usage.starts_with('{')));
    if let Some(usage) = own_usage {
        reply::usage_object(text, usage.value.start, closing, &mut edits)?;
    }
    let mut added: Vec<(&str, Vec<u8>)> = Vec::new();
    if let Some(latchkey) = &closing.latchkey {
        added.push(("latchkey", latchkey.get().as_bytes().to_vec()));
    }
    if let Some(counted) = closing.usage.as_ref().filter(|_| own_usage.is_none()) {
        let mut written = Vec::new();
        let mut object = Object::open(&mut written);
        usage::write(counted, closing.cost.as_ref(), &mut object);
        object.close();
        added.push(("usage", written));
    }
    let inserted: Vec<(&str, &[u8])> = added.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    edits.object(open, &members, |member| inserted.iter().any(|(key, _)| *key == member.key), &inserted);
    Ok(edits.apply())
}
