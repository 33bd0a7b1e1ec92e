//! Content blocks.

use base64::Engine as _;

use super::turns::{Block, Place};
use super::{names, turns};
use crate::chat::{CacheMark, Part, SignatureRole, Source};
use crate::failure::Failure;
use crate::json::{Array, Object, Text};
use crate::wire::{Adjusted, Change, Format, InlinedPart, Target, losses};

/// Pictures are taken in these.
const IMAGES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];
/// The beta that files in the vendor's store need.
pub(super) const FILES_BETA: &str = "files-api-2025-04-14";

/// Writes blocks.
pub(super) struct Writer<'w> {
    pub target: &'w Target<'w>,
    pub adjusted: &'w mut Adjusted,
    /// A block needs [`FILES_BETA`].
    pub needs_files: bool,
}

impl Writer<'_> {
    /// Writes the blocks of a turn. Text at the very end of a message that is to be continued may not end in white
    /// space.
    pub fn blocks(&mut self, blocks: &[Block<'_>], to_be_continued: bool, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut array = Array::open(out);
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Part { part: Part::Text { text, cache, .. }, .. }
                    if to_be_continued && at + 1 == blocks.len() =>
                {
                    write_text(&names::trim_end(text), *cache, array.item());
                }
                Block::Part { part, place } => self.part(part, *place, &mut array)?,
                Block::Call { part, id } => self.call(part, id, array.item()),
                Block::Result { id, parts, is_error, cache, place } => {
                    self.result(id, parts, (*is_error, *cache), *place, array.item())?;
                }
                Block::NoResult { id } => {
                    array.object(|block| {
                        block.string("type", "tool_result").string("tool_use_id", id);
                        block.string("content", turns::NO_RESULT).boolean("is_error", true);
                    });
                }
                Block::Words(words) => write_text(&Text::escape(words), None, array.item()),
            }
        }
        array.close();
        Ok(())
    }

    /// Writes instructions, which are text and nothing else.
    pub fn instructions(&mut self, blocks: &[Block<'_>], array: &mut Array<'_>) -> Result<(), Failure> {
        for block in blocks {
            match block {
                Block::Part { part: part @ Part::Text { .. }, place } => self.part(part, *place, array)?,
                Block::Part { place, .. } => {
                    return Err(Failure::bad_request(place.path(), "System messages are text for this model."));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn part(&mut self, part: &Part<'_>, place: Place, array: &mut Array<'_>) -> Result<(), Failure> {
        match part {
            Part::Text { text, cache, .. } => write_text(text, *cache, array.item()),
            Part::Refusal { text } => write_text(text, None, array.item()),
            Part::Image { source, detail, cache } => {
                if detail.as_ref().is_some_and(|detail| !detail.is("auto")) {
                    losses::lose(Format::Anthropic, "detail", self.adjusted)?;
                }
                self.image(source, *cache, place, array.item())?;
            }
            Part::File { source, name, cache } => self.file(source, name.as_ref(), *cache, place, array.item())?,
            Part::Audio { .. } => {
                losses::lose_at(Format::Anthropic, "input_audio", place.path(), self.adjusted)?;
            }
            Part::Video { .. } => losses::lose_at(Format::Anthropic, "video_url", place.path(), self.adjusted)?,
            Part::Reasoning { text, signature } => {
                let Some(signature) = signature else { return Ok(()) };
                array.object(|block| match signature.role {
                    SignatureRole::Signs => {
                        block.string("type", "thinking").text("thinking", text);
                        block.text("signature", &signature.data);
                    }
                    SignatureRole::Replaces => {
                        block.string("type", "redacted_thinking").text("data", &signature.data);
                    }
                });
            }
            // Calls and results stand in blocks of their own.
            Part::ToolCall { .. } | Part::ToolResult { .. } => {}
        }
        Ok(())
    }

    fn call(&mut self, part: &Part<'_>, id: &str, out: &mut Vec<u8>) {
        let Part::ToolCall { name, arguments, .. } = part else { return };
        let mut block = Object::open(out);
        block.string("type", "tool_use").string("id", id).string("name", &names::clean(&name.decode()));
        match arguments.object() {
            Ok(input) => {
                block.raw("input", &input);
            }
            // A model wrote this; refusing it would end the conversation for good.
            Err(_) => {
                self.adjusted.note("messages", Change::Changed);
                block.object("input", |input| {
                    input.text("invalid_json", &arguments.quoted());
                });
            }
        }
        block.close();
    }

    fn result(
        &mut self,
        id: &str,
        parts: &[Part<'_>],
        (is_error, cache): (bool, Option<CacheMark>),
        place: Place,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let mut block = Object::open(out);
        block.string("type", "tool_result").string("tool_use_id", id);
        if parts.iter().any(|part| !turns::is_blank(part)) {
            let mut array = Array::open(block.key("content"));
            for part in parts.iter().filter(|part| !turns::is_blank(part)) {
                self.part(part, place, &mut array)?;
            }
            array.close();
        }
        if is_error {
            block.boolean("is_error", true);
        }
        write_cache(cache, &mut block);
        block.close();
        Ok(())
    }

    fn image(
        &mut self,
        source: &Source<'_>,
        cache: Option<CacheMark>,
        place: Place,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let mut block = Object::open(out);
        block.string("type", "image");
        match (source, self.inlined(source)) {
            (_, Some(inlined)) => {
                let (media_type, data) = (Text::escape(&inlined.media_type), Text::escape(&inlined.data));
                write_base64(image_type(&media_type, place)?, &data, &mut block);
            }
            (Source::Inline { media_type, data }, None) => {
                write_base64(image_type(media_type, place)?, data, &mut block);
            }
            (Source::Url(url), None) => write_link(url, &mut block),
            (Source::FileId(id), None) => self.write_file_id(id, &mut block),
        }
        write_cache(cache, &mut block);
        block.close();
        Ok(())
    }

    fn file(
        &mut self,
        source: &Source<'_>,
        name: Option<&Text<'_>>,
        cache: Option<CacheMark>,
        place: Place,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let inlined = self.inlined(source).map(|part| (Text::escape(&part.media_type), Text::escape(&part.data)));
        let inline = match (source, &inlined) {
            (_, Some((media_type, data))) | (Source::Inline { media_type, data }, None) => Some((media_type, data)),
            _ => None,
        };
        if inline.is_some_and(|(media_type, _)| media_type.escaped().starts_with("image/")) {
            return self.image(source, cache, place, out);
        }
        let mut block = Object::open(out);
        block.string("type", "document");
        match (source, inline) {
            (_, Some((media_type, data))) => write_document(media_type, data, place, &mut block)?,
            (Source::Url(url), _) => write_link(url, &mut block),
            (Source::FileId(id), _) => self.write_file_id(id, &mut block),
            (Source::Inline { .. }, None) => {}
        }
        if let Some(name) = name.filter(|name| !names::is_blank(name)) {
            block.text("title", name);
        }
        write_cache(cache, &mut block);
        block.close();
        Ok(())
    }

    fn write_file_id(&mut self, id: &Text<'_>, block: &mut Object<'_>) {
        self.needs_files = true;
        block.object("source", |source| {
            source.string("type", "file").text("file_id", id);
        });
    }

    fn inlined(&self, source: &Source<'_>) -> Option<&InlinedPart> {
        let Source::Url(url) = source else { return None };
        self.target.inlined.get(url.decode().as_ref())
    }
}

/// Writes `cache_control`.
pub(super) fn write_cache(cache: Option<CacheMark>, block: &mut Object<'_>) {
    if let Some(mark) = cache {
        block.object("cache_control", |control| {
            control.string("type", "ephemeral");
            if mark == CacheMark::Hour {
                control.string("ttl", "1h");
            }
        });
    }
}

/// Writes a text block.
pub(super) fn write_text(text: &Text<'_>, cache: Option<CacheMark>, out: &mut Vec<u8>) {
    let mut block = Object::open(out);
    block.string("type", "text").text("text", text);
    write_cache(cache, &mut block);
    block.close();
}

fn write_base64(media_type: &str, data: &Text<'_>, block: &mut Object<'_>) {
    block.object("source", |source| {
        source.string("type", "base64").string("media_type", media_type).text("data", data);
    });
}

fn write_link(url: &Text<'_>, block: &mut Object<'_>) {
    block.object("source", |source| {
        source.string("type", "url").text("url", url);
    });
}

/// A PDF as it is, anything that is text as plain text.
fn write_document(media_type: &Text<'_>, data: &Text<'_>, place: Place, block: &mut Object<'_>) -> Result<(), Failure> {
    let kind = media_type.decode().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind == "application/pdf" {
        write_base64(kind, data, block);
        return Ok(());
    }
    let is_text = kind.starts_with("text/") || matches!(kind, "application/json" | "application/xml");
    let wrong = |message: &str| Failure::bad_request(place.path(), message.to_owned());
    if !is_text {
        return Err(wrong("Documents have to be PDF or text for this model."));
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(data.decode().as_bytes())
        .map_err(|_| wrong("The document is not valid base64."))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("The document is not UTF-8 text."))?;
    block.object("source", |source| {
        source.string("type", "text").string("media_type", "text/plain").string("data", &text);
    });
    Ok(())
}

fn image_type(media_type: &Text<'_>, place: Place) -> Result<&'static str, Failure> {
    let given = media_type.decode().to_ascii_lowercase();
    let given = if given == "image/jpg" { "image/jpeg" } else { given.as_str() };
    IMAGES.iter().copied().find(|known| *known == given).ok_or_else(|| {
        let message = format!("Images have to be one of {} for this model.", IMAGES.join(", "));
        Failure::bad_request(place.path(), message)
    })
}
