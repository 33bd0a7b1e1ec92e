//! Whole answers.

use serde_json::value::RawValue;

use super::types::{Annotation, Content, Item, Response};
use super::{encrypted, ending, usage};
use crate::chat::{Answer, Arguments, Choice, Media, MediaKind, Part};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text};
use crate::provider::Quirks;

/// Reads an answer.
///
/// Items of tools that the provider runs itself are passed by: what came of them is told by the text around them.
///
/// # Errors
/// `BadAnswer` where the body is none; the provider's own error where it holds one.
pub fn read_answer<'b>(body: &'b [u8], quirks: &Quirks) -> Result<Answer<'b>, Failure> {
    let response: Response<'b> = crate::json::from_slice(body)
        .map_err(|error| Failure::bad_answer("The provider's answer could not be read.").because(error.to_string()))?;
    if let Some(failure) = ending::failure(&response) {
        return Err(failure);
    }
    if response.output.is_none() {
        return Err(Failure::bad_answer("The provider's answer has no output."));
    }
    let mut whole = Whole::default();
    for item in response.output.iter().flatten() {
        whole.take(read_item(item)?, quirks);
    }
    let called = whole.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let end = ending::reason(&response, called);
    let usage = usage::read(&response, whole.billed, quirks);
    let Whole { parts, media, logprobs, .. } = whole;
    Ok(Answer {
        id: response.id.unwrap_or_default(),
        model: response.model.unwrap_or_default(),
        created: response.created_at.and_then(|seconds| i64::try_from(seconds).ok()),
        choices: vec![Choice { index: 0, parts, media, logprobs, end }],
        usage,
    })
}

/// # Errors
/// `BadAnswer` where a known member has an impossible shape.
pub(super) fn read_item(raw: &RawValue) -> Result<Item<'_>, Failure> {
    crate::json::from_str(raw.get()).or_else(|error| {
        let kind = Raw::from_raw(raw).member("type").and_then(Raw::into_text);
        // Items of provider-run tools may use the same names for other things.
        match kind {
            Some(kind) if !matches!(kind.escaped(), "message" | "reasoning" | "function_call") => Ok(Item::of(kind)),
            _ => {
                Err(Failure::bad_answer("An item of the provider's answer could not be read.")
                    .because(error.to_string()))
            }
        }
    })
}

#[derive(Default)]
struct Whole<'a> {
    parts: Vec<Part<'a>>,
    media: Vec<Media<'a>>,
    logprobs: Option<Raw<'a>>,
    billed: usage::Billed,
}

impl<'a> Whole<'a> {
    fn take(&mut self, item: Item<'a>, quirks: &Quirks) {
        self.billed.note(&item);
        match item.kind.as_ref().map(Text::escaped) {
            Some("message") => item.content.into_iter().flatten().for_each(|content| self.said(content)),
            Some("reasoning") => {
                let text = thoughts(&item);
                let signature = item
                    .encrypted_content
                    .filter(|data| !data.is_empty())
                    .map(|data| encrypted(data, item.id, quirks.signed));
                if !text.is_empty() || signature.is_some() {
                    self.parts.push(Part::Reasoning { text, signature });
                }
            }
            Some("function_call") => self.parts.push(Part::ToolCall {
                id: item.call_id.or(item.id).unwrap_or_default(),
                name: item.name.unwrap_or_default(),
                // A client parses them: a call without any has an empty object, as in a stream.
                arguments: Arguments::Quoted(
                    item.arguments.filter(|text| !text.is_empty()).unwrap_or(Text::from_escaped("{}")),
                ),
                signature: None,
            }),
            Some("custom_tool_call") => self.parts.push(Part::ToolCall {
                id: item.call_id.or(item.id).unwrap_or_default(),
                name: item.name.unwrap_or_default(),
                arguments: Arguments::Object(free_form(&item.input.unwrap_or_default())),
                signature: None,
            }),
            Some("image_generation_call") => self.media.extend(picture(item)),
            _ => {}
        }
    }

    fn said(&mut self, content: Content<'a>) {
        let words = |text: Option<Text<'a>>| text.filter(|text| !text.is_empty());
        if let Some(logprobs) = content.logprobs.as_ref().and_then(logprobs) {
            self.logprobs.get_or_insert(logprobs);
        }
        match content.kind.as_ref().map(Text::escaped) {
            Some("refusal") => {
                self.parts.extend(words(content.refusal).map(|text| Part::Refusal { text }));
            }
            Some("output_text" | "text") | None => {
                self.parts.extend(words(content.text).map(|text| Part::Text {
                    text,
                    cache: None,
                    citations: content.annotations.into_iter().flatten().filter_map(Annotation::into_hub).collect(),
                    signature: None,
                }));
            }
            _ => {}
        }
    }
}

impl<'a> Item<'a> {
    /// One of which only the kind is known.
    fn of(kind: Text<'a>) -> Item<'a> {
        Item {
            kind: Some(kind),
            id: None,
            content: None,
            summary: None,
            encrypted_content: None,
            call_id: None,
            name: None,
            arguments: None,
            input: None,
            result: None,
            output_format: None,
            action: None,
        }
    }
}

/// What an item of reasoning shows: its own words, and the summary of them.
pub(super) fn thoughts<'a>(item: &Item<'a>) -> Text<'a> {
    let mut shown = Text::EMPTY;
    let parts = item.content.iter().flatten().chain(item.summary.iter().flatten());
    for text in parts.filter_map(|part| part.text.as_ref()).filter(|text| !text.is_empty()) {
        if !shown.is_empty() {
            shown.push(&Text::from_escaped(BREAK));
        }
        if shown.is_empty() { shown = text.clone() } else { shown.push(text) }
    }
    shown
}

/// What stands between two parts of reasoning.
pub(super) const BREAK: &str = "\\n\\n";

/// A generated picture.
pub(super) fn picture(item: Item<'_>) -> Option<Media<'_>> {
    let data = item.result.filter(|data| !data.is_empty())?;
    let format = item.output_format.as_ref().map_or("png", Text::escaped);
    Some(Media {
        kind: MediaKind::Image,
        id: item.id.clone(),
        media_type: Text::from_escaped(format!("image/{format}")),
        data,
        transcript: None,
        expires_at: None,
    })
}

/// The input of a tool that takes free text, as the arguments of a function that takes `input`.
fn free_form(input: &Text<'_>) -> Raw<'static> {
    let mut out = Vec::new();
    let mut arguments = Object::open(&mut out);
    arguments.text("input", input);
    arguments.close();
    Raw::written(out)
}

/// The list of tokens as Chat Completions wraps it; none where it is empty.
pub(super) fn logprobs(list: &Raw<'_>) -> Option<Raw<'static>> {
    let written = list.compact();
    let some = written.starts_with('[') && written != "[]";
    some.then(|| Raw::parse_owned(format!("{{\"content\":{written},\"refusal\":null}}")).ok()).flatten()
}
