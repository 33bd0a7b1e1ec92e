//! The conversation: flat messages, each with one text and its pictures beside it.

use std::borrow::Cow;

use crate::chat::{Message, Part, Request, Role, Source};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::sorted::SortedMap;
use crate::wire::{Adjusted, Change, Format, Target, losses};

/// Writes `messages`, with `instruction` of ours as the last.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the place, where a part cannot be taken.
pub(super) fn write(
    request: &Request<'_>,
    instruction: Option<&str>,
    target: &Target<'_>,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    let names = named(request.messages.iter().rev());
    let mut writer = Writer { names, called: SortedMap::new(), target, adjusted };
    let mut messages = Array::open(body.key("messages"));
    for (at, message) in request.messages.iter().enumerate() {
        match message.role {
            Role::System | Role::Developer => writer.said("system", at, message, &mut messages)?,
            Role::User => writer.said("user", at, message, &mut messages)?,
            Role::Assistant => writer.assistant(at, message, &mut messages)?,
            Role::Tool => {}
        }
        if message.parts.iter().any(|part| matches!(part, Part::ToolCall { .. })) {
            writer.called = named(std::iter::once(message));
        }
        for part in &message.parts {
            if let Part::ToolResult { call_id, parts, .. } = part {
                writer.result(call_id, parts, at, &mut messages)?;
            }
        }
    }
    if messages.is_empty() {
        return Err(Failure::bad_request("messages", "There has to be a message that says something."));
    }
    if let Some(instruction) = instruction {
        messages.object(|message| {
            message.string("role", "system").string("content", instruction);
        });
    }
    messages.close();
    Ok(())
}

/// The function of each call, by the call's id; of calls of one id the first in the earliest message, where they come last
/// message first.
fn named<'w>(messages: impl Iterator<Item = &'w Message<'w>>) -> SortedMap<Cow<'w, str>, &'w Text<'w>> {
    let parts = messages.flat_map(|message| message.parts.iter().rev());
    let calls = parts.filter_map(|part| match part {
        Part::ToolCall { id, name, .. } => Some((id.decode(), name)),
        _ => None,
    });
    SortedMap::of(calls.collect())
}

struct Writer<'w> {
    names: SortedMap<Cow<'w, str>, &'w Text<'w>>,
    /// Those of the last turn that called something: a result is of that, where ids come again.
    called: SortedMap<Cow<'w, str>, &'w Text<'w>>,
    target: &'w Target<'w>,
    adjusted: &'w mut Adjusted,
}

/// What a message comes to.
#[derive(Default)]
struct Flat<'p> {
    content: Text<'static>,
    images: Vec<Text<'p>>,
}

impl Writer<'_> {
    fn said(
        &mut self,
        role: &'static str,
        at: usize,
        message: &Message<'_>,
        messages: &mut Array<'_>,
    ) -> Result<(), Failure> {
        let flat = self.flatten(&message.parts, at)?;
        if flat.content.is_empty() && flat.images.is_empty() {
            return Ok(());
        }
        messages.object(|message| {
            message.string("role", role);
            write_flat(&flat, message);
        });
        Ok(())
    }

    fn assistant(&mut self, at: usize, message: &Message<'_>, messages: &mut Array<'_>) -> Result<(), Failure> {
        let flat = self.flatten(&message.parts, at)?;
        let calls = || message.parts.iter().filter(|part| matches!(part, Part::ToolCall { .. }));
        let mut thinking = Text::EMPTY;
        for part in &message.parts {
            match part {
                // What another maker's model signed is not for this one.
                Part::Reasoning { signature: Some(_), .. } => {
                    self.adjusted.note("reasoning_details", Change::Dropped);
                }
                Part::Reasoning { text, .. } => thinking.push(text),
                _ => {}
            }
        }
        if flat.content.is_empty() && flat.images.is_empty() && calls().next().is_none() {
            return Ok(());
        }
        let mut written = Object::open(messages.item());
        written.string("role", "assistant");
        write_flat(&flat, &mut written);
        if !thinking.is_empty() {
            written.text("thinking", &thinking);
        }
        if calls().next().is_some() {
            let mut array = Array::open(written.key("tool_calls"));
            for call in calls() {
                self.call(call, &mut array);
            }
            array.close();
        }
        written.close();
        Ok(())
    }

    fn call(&mut self, part: &Part<'_>, array: &mut Array<'_>) {
        let Part::ToolCall { id, name, arguments, .. } = part else { return };
        let input = arguments.object().unwrap_or_else(|_| {
            // A model wrote this; refusing it would end the conversation for good.
            self.adjusted.note("messages", Change::Changed);
            Raw::EMPTY_OBJECT
        });
        array.object(|call| {
            call.text("id", id).object("function", |function| {
                function.text("name", name).raw("arguments", &input);
            });
        });
    }

    fn result(
        &mut self,
        call_id: &Text<'_>,
        parts: &[Part<'_>],
        at: usize,
        messages: &mut Array<'_>,
    ) -> Result<(), Failure> {
        let flat = self.flatten(parts, at)?;
        let id = call_id.decode();
        let name = self.called.get(id.as_ref()).or_else(|| self.names.get(id.as_ref()));
        messages.object(|message| {
            message.string("role", "tool");
            write_flat(&flat, message);
            if let Some(name) = name {
                message.text("tool_name", name);
            }
            message.text("tool_call_id", call_id);
        });
        Ok(())
    }

    fn flatten<'p>(&mut self, parts: &'p [Part<'_>], at: usize) -> Result<Flat<'p>, Failure> {
        let mut flat = Flat::default();
        for (index, part) in parts.iter().enumerate() {
            let place = || format!("messages.{at}.content.{index}");
            match part {
                Part::Text { text, cache, .. } => {
                    if cache.is_some() {
                        losses::lose(Format::Ollama, "cache_control", self.adjusted)?;
                    }
                    flat.content.push(text);
                }
                Part::Refusal { text } => flat.content.push(text),
                Part::Image { source, detail, .. } => {
                    if detail.as_ref().is_some_and(|detail| !detail.is("auto")) {
                        losses::lose(Format::Ollama, "detail", self.adjusted)?;
                    }
                    flat.images.push(self.image(source, &place)?);
                }
                Part::Audio { .. } => losses::lose_at(Format::Ollama, "input_audio", place(), self.adjusted)?,
                Part::Video { .. } => losses::lose_at(Format::Ollama, "video_url", place(), self.adjusted)?,
                Part::File { .. } => losses::lose_at(Format::Ollama, "file", place(), self.adjusted)?,
                Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {}
            }
        }
        Ok(flat)
    }

    /// A picture's base64, on its own memory where it was fetched.
    fn image<'p>(&self, source: &'p Source<'_>, place: &dyn Fn() -> String) -> Result<Text<'p>, Failure> {
        match source {
            Source::Inline { data, .. } => Ok(data.borrowed()),
            Source::Url(link) => match self.target.inlined.get(&*link.decode()) {
                Some(fetched) => Ok(Text::escape(&fetched.data).into_owned()),
                None => Err(Failure::bad_request(place(), "The link could not be fetched.")),
            },
            Source::FileId(_) => {
                Err(Failure::bad_request(place(), "Pictures have to be inlined or linked to for this model."))
            }
        }
    }
}

fn write_flat(flat: &Flat<'_>, message: &mut Object<'_>) {
    message.text("content", &flat.content);
    if !flat.images.is_empty() {
        message.array("images", |array| {
            for image in &flat.images {
                array.text(image);
            }
        });
    }
}
