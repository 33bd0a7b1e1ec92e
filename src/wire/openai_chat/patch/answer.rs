//! Whole answers.

use std::borrow::Cow;
use std::ops::Range;

use crate::chat::{EndKind, Usage};
use crate::failure::Failure;
use crate::json::{Cursor, Edits, Kind, Member, Object, Raw, SyntaxError, Text};
use crate::provider::Quirks;
use crate::wire::Closing;

use super::super::types::Nested;
use super::super::{error, finish, usage};
use super::reply::{self, Part, find};

/// What must be known of an upstream's answer before it is sent on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain<'b> {
    /// What the upstream says it used.
    pub usage: Option<Usage>,
    /// Bytes of text, reasoning and calls, for an estimate where it does not say.
    pub output_bytes: u64,
    /// Why the first choice ended.
    pub end: Option<EndKind>,
    /// Where its parts stand.
    pub outline: Outline<'b>,
}

/// Where the parts of a whole answer stand that are read or put right: a chat completion, a legacy completion or a list
/// of embeddings. It is walked once for both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline<'b> {
    text: &'b str,
    whole: Part<'b>,
    choices: Vec<Choice<'b>>,
    usage: Option<Part<'b>>,
    /// `stop` beside calls is what the upstream means.
    keeps_stop: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Choice<'b> {
    finish_reason: Option<Text<'b>>,
    /// Where that stands.
    reason_at: Option<Range<usize>>,
    /// A router's own upstream's word is told, too.
    has_native: bool,
    message: Option<Part<'b>>,
    /// Of the message, or of a legacy completion's text.
    bytes: u64,
}

/// Members of an answer that are read.
const READ: [&str; 6] = ["error", "choices", "data", "usage", "x_groq", "service_tier"];

impl<'b> Outline<'b> {
    fn of(body: &'b [u8]) -> Result<Outline<'b>, SyntaxError> {
        let mut cursor = Cursor::new(body)?;
        cursor.kind();
        let mut outline = Outline { text: cursor.text(), ..Outline::default() };
        let mut seen = [false; READ.len()];
        outline.whole.open = cursor.position();
        let members = cursor.spans_by(&mut |key, cursor| {
            let place = READ.iter().position(|name| *name == key).and_then(|place| seen.get_mut(place));
            if place.is_some_and(|seen| std::mem::replace(seen, true)) {
                return Err(SyntaxError { at: cursor.position(), what: "a member that comes twice" });
            }
            match (key, cursor.kind()) {
                ("choices", Some(Kind::Array)) => cursor.items(|_, cursor| {
                    outline.choices.push(Choice::of(cursor)?);
                    Ok(())
                }),
                ("choices", Some(kind)) if kind != Kind::Null => {
                    Err(SyntaxError { at: cursor.position(), what: "expected the list of choices" })
                }
                ("usage", Some(Kind::Object)) => {
                    outline.usage = Some(Part::of(cursor)?);
                    Ok(())
                }
                _ => cursor.value().map(drop),
            }
        })?;
        cursor.finish()?;
        outline.whole.members = members;
        Ok(outline)
    }

    /// The value of this name, where it is more than `null`.
    fn raw(&self, key: &str) -> Option<Raw<'b>> {
        find(&self.whole.members, key).map(|member| member.raw(self.text)).filter(|raw| !raw.is_null())
    }

    /// The upstream's own answer with cost, usage and the gateway's facts put in, and what vendors spell in their own way
    /// put right: reasoning also as `reasoning_content` (or gone, with `hide_reasoning`), content as a string, calls with
    /// id and arguments, OpenAI's own words for why a choice ended. Everything else stays byte for byte.
    #[must_use]
    pub fn patch(&self, closing: &Closing, hide_reasoning: bool) -> Cow<'b, [u8]> {
        // What cannot be walked was never read either; it goes on as it came.
        self.patched(closing, hide_reasoning).unwrap_or(Cow::Borrowed(self.text.as_bytes()))
    }

    fn patched(&self, closing: &Closing, hide_reasoning: bool) -> Result<Cow<'b, [u8]>, SyntaxError> {
        let text = self.text;
        let mut edits = Edits::of(text.as_bytes());
        let id =
            self.whole.value(text, "id").and_then(|id| id.strip_prefix('"')?.strip_suffix('"')).unwrap_or_default();
        let wanted = reply::Wanted { hide_reasoning, calls_of: Some(id), ..reply::Wanted::default() };
        for (index, choice) in (0..).zip(&self.choices) {
            let calls = choice.message.as_ref().and_then(|message| message.value(text, "tool_calls"));
            let means_it = self.keeps_stop && choice.finish_reason.as_ref().is_some_and(|word| word.is("stop"));
            let calls_tools = !means_it && calls.is_some_and(|calls| calls.contains('{'));
            let ending = if calls_tools { reply::Ending::Calls } else { reply::Ending::Whole };
            if let Some(place) = choice.reason_at.clone() {
                reply::finish_reason(text, place, choice.has_native, ending, &mut edits);
            }
            if let Some(message) = &choice.message {
                reply::message(text, message, index, wanted, &mut edits)?;
            }
        }
        if let Some(usage) = &self.usage {
            reply::usage_object(text, usage, closing, &mut edits)?;
        }
        let mut added: Vec<(&str, Vec<u8>)> = Vec::new();
        if let Some(latchkey) = &closing.latchkey {
            added.push(("latchkey", latchkey.get().as_bytes().to_vec()));
        }
        if let Some(counted) = closing.usage.as_ref().filter(|_| self.usage.is_none()) {
            let mut written = Vec::new();
            let mut object = Object::open(&mut written);
            usage::write(counted, closing.cost.as_ref(), &mut object);
            object.close();
            added.push(("usage", written));
        }
        let inserted: Vec<(&str, &[u8])> = added.iter().map(|(key, value)| (*key, value.as_slice())).collect();
        let is_replaced = |member: &Member<'_>| inserted.iter().any(|(key, _)| *key == member.key);
        edits.object(self.whole.open, &self.whole.members, is_replaced, &inserted);
        Ok(edits.apply())
    }
}

impl<'b> Choice<'b> {
    fn of(cursor: &mut Cursor<'b>) -> Result<Choice<'b>, SyntaxError> {
        let mut choice = Choice::default();
        cursor.members(|key, cursor| {
            let start = cursor.position();
            match (&*key, cursor.kind()) {
                ("message", Some(Kind::Object)) => choice.message = Some(Part::of(cursor)?),
                ("native_finish_reason", _) => {
                    choice.has_native = true;
                    cursor.value()?;
                }
                ("finish_reason", _) => {
                    let from = cursor.position();
                    choice.finish_reason = cursor.value()?.into_text();
                    choice.reason_at = Some(from..cursor.position());
                }
                _ => drop(cursor.value()?),
            }
            if matches!(&*key, "message" | "text") {
                choice.bytes += (cursor.position() - start) as u64;
            }
            Ok(())
        })?;
        Ok(choice)
    }
}

/// Reads what must be known of a successful answer without building it.
///
/// # Errors
/// `BadAnswer` where it is none of this protocol's; the upstream's own error where a 200 holds one.
pub fn read_plain<'b>(body: &'b [u8], quirks: &Quirks) -> Result<Plain<'b>, Failure> {
    let unreadable = || Failure::bad_answer("The provider's answer is none of this protocol.");
    let mut outline = Outline::of(body.trim_ascii()).map_err(|error| unreadable().because(error.to_string()))?;
    outline.keeps_stop = quirks.stop_beside_calls;
    if let Some(reported) = outline.raw("error") {
        return Err(error::reported(&reported));
    }
    if outline.choices.is_empty() && find(&outline.whole.members, "data").is_none() {
        return Err(unreadable());
    }
    let groq = outline.whole.value(outline.text, "x_groq");
    let within_groq = || crate::json::from_str::<Nested<'_>>(groq?).ok()?.usage;
    let counted = outline.raw("usage").filter(Raw::is_object).or_else(within_groq);
    let mut counted = counted.and_then(|counted| usage::read(&counted, quirks));
    let tier = outline.raw("service_tier").and_then(Raw::into_text).filter(|tier| !tier.is_empty());
    if let (Some(counted), Some(tier)) = (&mut counted, tier) {
        counted.service_tier.get_or_insert_with(|| tier.decode().into_owned());
    }
    let first = outline.choices.first();
    Ok(Plain {
        usage: counted,
        output_bytes: outline.choices.iter().map(|choice| choice.bytes).sum(),
        end: first.and_then(|choice| choice.finish_reason.as_ref()).map(|word| finish::read(&word.decode())),
        outline,
    })
}

/// Does as [`Outline::patch`] to an answer that was not read before; what is none goes on as it came.
#[must_use]
pub fn patch_answer<'b>(body: &'b [u8], closing: &Closing, hide_reasoning: bool) -> Cow<'b, [u8]> {
    Outline::of(body).map_or(Cow::Borrowed(body), |outline| outline.patch(closing, hide_reasoning))
}
