//! Calls beside conversation: reranking, moderation, images, speech. Everyone who offers them says nearly the same, so
//! there is no format to choose: requests are the caller's own with the model's name put right (reranking is written
//! anew), and of answers only what was used is read.

mod counts;
mod images;
mod rerank;
mod sniff;
mod talk;
#[cfg(test)]
mod tests;

pub use counts::read_counts;
pub use images::{rewrite_images, write_images};
pub use rerank::{RerankAnswer, read_rerank, write_rerank};
pub use sniff::{Sniffer, read_usage};
pub use talk::{TalkEvent, read_event};

use std::borrow::Cow;

use counts::Named;

use crate::chat::{Unit, Usage};
use crate::failure::Failure;
use crate::json::{Cursor, Edits, Object, Raw, SyntaxError, Text};
use crate::provider::{Quirks, Service};

use super::Closing;
use super::openai_chat::{reported, write_cost};

/// What must be known of an answer before it is sent on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen<'b> {
    /// What the provider says it used.
    pub usage: Option<Usage>,
    /// Sound that came as base64 within JSON (`mistral.audio.6f7f677cdb`).
    pub sound: Option<Text<'b>>,
}

/// Reads what must be known of a successful answer in JSON.
///
/// # Errors
/// `BadAnswer` where it is none of `service`; the upstream's own error where a 200 holds one.
pub fn see_answer<'b>(service: Service, body: &'b [u8], quirks: &Quirks) -> Result<Seen<'b>, Failure> {
    let unreadable = || Failure::bad_answer("The provider's answer is none of this endpoint.");
    let answer = Named::read(body).ok_or_else(unreadable)?;
    if let Some(error) = answer.raw("error").filter(|error| !error.is_null()) {
        return Err(reported(error));
    }
    let sound = answer.raw("audio_data").and_then(|raw| raw.clone().into_text());
    let holds_it = match service {
        Service::Rerank => true,
        Service::Moderation => answer.raw("results").is_some_and(Raw::is_array),
        Service::ImageGeneration | Service::ImageEdit => answer.raw("data").is_some_and(Raw::is_array),
        Service::Speech => sound.is_some(),
        Service::Transcription | Service::Translation => answer.raw("text").is_some(),
    };
    if !holds_it {
        return Err(unreadable());
    }
    let mut usage = answer.raw("usage").and_then(|usage| read_counts(usage, quirks));
    if let Some(data) = answer.raw("data").filter(|_| usage.as_ref().is_none_or(|usage| usage.counted.is_none())) {
        let mut count = 0;
        let counted = data.cursor().items(|_, cursor| {
            count += 1;
            cursor.value().map(drop)
        });
        counted.map_err(|_: SyntaxError| unreadable())?;
        usage.get_or_insert_default().counted = Some(Unit::Image.times(count));
    }
    // `verbose_json` says how long the sound is (`venice.audio.f31bed171a`).
    if let Some(counted) = answer.counted(Unit::InputSecond, &["duration"]).filter(|_| usage.is_none()) {
        usage = Some(Usage { counted: Some(counted), ..Usage::default() });
    }
    Ok(Seen { usage, sound })
}

/// An answer in JSON with its cost, and the gateway's facts where they are wanted. What the provider counts stays as it
/// says it.
#[must_use]
pub fn patch_answer<'b>(body: &'b [u8], closing: &Closing) -> Cow<'b, [u8]> {
    // What cannot be walked was never read either; it goes on as it came.
    patched(body, closing).unwrap_or(Cow::Borrowed(body))
}

fn patched<'b>(body: &'b [u8], closing: &Closing) -> Result<Cow<'b, [u8]>, SyntaxError> {
    let mut cursor = Cursor::new(body)?;
    cursor.kind();
    let open = cursor.position();
    let members = cursor.spans()?;
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut costs = Vec::new();
    let mut object = Object::open(&mut costs);
    write_cost(closing.cost.as_ref(), &mut object);
    object.close();
    let own = members.iter().rev().find(|member| member.key == "usage");
    let own = own.filter(|member| text.get(member.value.clone()).is_some_and(|usage| usage.starts_with('{')));
    let mut edits = Edits::of(body);
    let mut added: Vec<(&str, &[u8])> = Vec::new();
    match own {
        Some(usage) if closing.cost.is_some() => {
            let counted = Cursor::at(text, usage.value.start).spans()?;
            let spans = Cursor::new(&costs)?.spans()?;
            let values = spans.iter().filter_map(|span| Some((&*span.key, costs.get(span.value.clone())?)));
            let values: Vec<(&str, &[u8])> = values.collect();
            let is_replaced = |key: &str| values.iter().any(|(name, _)| *name == key);
            edits.object(usage.value.start, &counted, |member| is_replaced(&member.key), &values);
        }
        None if closing.cost.is_some() => added.push(("usage", &costs)),
        _ => {}
    }
    if let Some(latchkey) = &closing.latchkey {
        added.push(("latchkey", latchkey.get().as_bytes()));
    }
    edits.object(open, &members, |member| added.iter().any(|(key, _)| *key == member.key), &added);
    Ok(Cow::Owned(edits.apply().into_owned()))
}
