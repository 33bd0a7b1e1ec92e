//! Content parts.

use crate::chat::{CacheMark, Part, Request, Source};
use crate::failure::Failure;
use crate::json::{Array, Object, Text};
use crate::provider::{Quirks, ReasoningParameter};
use crate::wire::losses::lose_at;
use crate::wire::{Adjusted, Format, Target};

/// Links that must be fetched first: of sound and documents. Pictures are taken as links.
#[must_use]
pub fn links_to_inline(request: &Request<'_>, target: &Target<'_>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        let inner =
            if let Part::ToolResult { parts, .. } = part { parts.as_slice() } else { std::slice::from_ref(part) };
        for part in inner {
            let link = match part {
                Part::Audio { source: Source::Url(url) } => url,
                Part::File { source: Source::Url(url), .. } if !takes_links(target.quirks) => url,
                _ => continue,
            };
            let link = link.decode().into_owned();
            if !links.contains(&link) {
                links.push(link);
            }
        }
    }
    links
}

/// Routers of OpenRouter's kind take links to anything, video, and cache marks.
pub(super) fn takes_links(quirks: &Quirks) -> bool {
    quirks.reasoning_control == ReasoningParameter::Object
}

/// Writes one content part; what is no content is passed by.
pub(super) fn write_part(
    part: &Part<'_>,
    place: &str,
    target: &Target<'_>,
    adjusted: &mut Adjusted,
    parts: &mut Array<'_>,
) -> Result<(), Failure> {
    match part {
        Part::Text { text, cache, .. } => {
            parts.object(|part| {
                part.string("type", "text").text("text", text);
                write_mark(*cache, target.quirks, part);
            });
        }
        Part::Image { source, detail, cache } => {
            let Some(url) = link(source, target) else {
                return lose_at(Format::OpenAiChat, "image_url", place.to_owned(), adjusted);
            };
            parts.object(|part| {
                part.string("type", "image_url").object("image_url", |image| {
                    image.text("url", &url);
                    if let Some(detail) = detail {
                        image.text("detail", detail);
                    }
                });
                write_mark(*cache, target.quirks, part);
            });
        }
        Part::Audio { source } => {
            let Some((media_type, data)) = inline(source, target) else {
                return lose_at(Format::OpenAiChat, "input_audio", place.to_owned(), adjusted);
            };
            parts.object(|part| {
                part.string("type", "input_audio").object("input_audio", |audio| {
                    audio.text("data", &data).string("format", super::super::media::audio_format(&media_type.decode()));
                });
            });
        }
        Part::Video { source } => {
            let Some(url) = link(source, target).filter(|_| takes_links(target.quirks)) else {
                return lose_at(Format::OpenAiChat, "video_url", place.to_owned(), adjusted);
            };
            parts.object(|part| {
                part.string("type", "video_url").object("video_url", |video| {
                    video.text("url", &url);
                });
            });
        }
        Part::File { source, name, cache } => {
            parts.object(|part| {
                part.string("type", "file").object("file", |file| {
                    match (source, link(source, target)) {
                        (Source::FileId(id), _) => file.text("file_id", id),
                        (_, Some(url)) => file.text("file_data", &url),
                        (_, None) => file.null("file_data"),
                    };
                    match name {
                        Some(name) => file.text("filename", name),
                        None => file.string("filename", "document.pdf"),
                    };
                });
                write_mark(*cache, target.quirks, part);
            });
        }
        Part::Refusal { text } => {
            parts.object(|part| {
                part.string("type", "refusal").text("refusal", text);
            });
        }
        Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {}
    }
    Ok(())
}

pub(super) fn write_mark(mark: Option<CacheMark>, quirks: &Quirks, part: &mut Object<'_>) {
    if let Some(mark) = mark.filter(|_| takes_links(quirks)) {
        part.object("cache_control", |control| {
            control.string("type", "ephemeral");
            if mark == CacheMark::Hour {
                control.string("ttl", "1h");
            }
        });
    }
}

/// The media type and base64 of what is here or has been fetched.
fn inline<'s>(source: &'s Source<'_>, target: &'s Target<'_>) -> Option<(Text<'s>, Text<'s>)> {
    match source {
        Source::Inline { media_type, data } => Some((media_type.borrowed(), data.borrowed())),
        Source::Url(url) => {
            let fetched = target.inlined.get(&*url.decode())?;
            Some((Text::escape(&fetched.media_type), Text::escape(&fetched.data)))
        }
        Source::FileId(_) => None,
    }
}

/// A link to it, a data URL where it is here or has been fetched.
fn link<'s>(source: &'s Source<'_>, target: &'s Target<'_>) -> Option<Text<'s>> {
    match (source, inline(source, target)) {
        (_, Some((media_type, data))) => {
            Some(Text::from_escaped(format!("data:{};base64,{}", media_type.escaped(), data.escaped())))
        }
        (Source::Url(url), None) => Some(url.borrowed()),
        (_, None) => None,
    }
}
