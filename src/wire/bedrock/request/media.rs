//! Pictures, documents, sound and video: inlined as base64, or in S3.

use crate::chat::{Part, Request, Source};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::wire::{InlinedPart, Target};

/// Media types and the protocol's words for them, by kind.
const FORMATS: &[(Medium, &str, &str)] = &[
    (Medium::Image, "image/png", "png"),
    (Medium::Image, "image/jpeg", "jpeg"),
    (Medium::Image, "image/jpg", "jpeg"),
    (Medium::Image, "image/gif", "gif"),
    (Medium::Image, "image/webp", "webp"),
    (Medium::Document, "application/pdf", "pdf"),
    (Medium::Document, "text/csv", "csv"),
    (Medium::Document, "application/msword", "doc"),
    (Medium::Document, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    (Medium::Document, "application/vnd.ms-excel", "xls"),
    (Medium::Document, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    (Medium::Document, "text/html", "html"),
    (Medium::Document, "text/markdown", "md"),
    (Medium::Document, "text/plain", "txt"),
    // Read as text.
    (Medium::Document, "application/json", "txt"),
    (Medium::Video, "video/mp4", "mp4"),
    (Medium::Video, "video/quicktime", "mov"),
    (Medium::Video, "video/webm", "webm"),
    (Medium::Video, "video/x-matroska", "mkv"),
    (Medium::Video, "video/mpeg", "mpeg"),
    (Medium::Video, "video/3gpp", "three_gp"),
    (Medium::Audio, "audio/mpeg", "mp3"),
    (Medium::Audio, "audio/mp3", "mp3"),
    (Medium::Audio, "audio/wav", "wav"),
    (Medium::Audio, "audio/x-wav", "wav"),
    (Medium::Audio, "audio/aac", "aac"),
    (Medium::Audio, "audio/flac", "flac"),
    (Medium::Audio, "audio/ogg", "ogg"),
    (Medium::Audio, "audio/opus", "opus"),
    (Medium::Audio, "audio/mp4", "m4a"),
];

/// What a block shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Image,
    Document,
    Video,
    Audio,
}

impl Medium {
    /// The member of a block that holds it.
    pub fn member(self) -> &'static str {
        match self {
            Medium::Image => "image",
            Medium::Document => "document",
            Medium::Video => "video",
            Medium::Audio => "audio",
        }
    }
}

/// Links in the request that have to be fetched, each once: all but those into S3.
#[must_use]
pub fn links_to_inline(request: &Request<'_>, _: &Target<'_>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    let mut note = |part: &Part<'_>| {
        if let Some(Source::Url(link)) = source(part) {
            let link = link.decode();
            if !is_stored(&link) && !links.iter().any(|known| *known == link) {
                links.push(link.into_owned());
            }
        }
    };
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolResult { parts, .. } => parts.iter().for_each(&mut note),
            part => note(part),
        }
    }
    links
}

/// What a part shows; `None` for words and calls.
fn source<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Source<'a>> {
    match part {
        Part::Image { source, .. } | Part::Audio { source } | Part::Video { source } | Part::File { source, .. } => {
            Some(source)
        }
        _ => None,
    }
}

fn is_stored(link: &str) -> bool {
    link.starts_with("s3://")
}

/// A part's bytes or place, and the protocol's word for its type.
pub(super) struct Shown<'p> {
    pub medium: Medium,
    format: &'static str,
    place: Where<'p>,
}

enum Where<'p> {
    Here(Text<'p>),
    Stored(String),
}

impl<'p> Shown<'p> {
    /// What `part` shows.
    ///
    /// # Errors
    /// `BadRequest` with the place in the request where a type is not taken or a link was not fetched.
    pub fn of(part: &'p Part<'_>, target: &'p Target<'_>, place: &dyn Fn() -> String) -> Result<Shown<'p>, Failure> {
        let expected = match part {
            Part::Image { .. } => Medium::Image,
            Part::Audio { .. } => Medium::Audio,
            Part::Video { .. } => Medium::Video,
            _ => Medium::Document,
        };
        let source = source(part).ok_or_else(|| Failure::bad_request(place(), "There is nothing to show."))?;
        let typed = |media_type: &str, whereabouts| {
            let (medium, format) = format(expected, media_type).ok_or_else(|| {
                let message = format!("`{media_type}` is no type of {} that this model takes.", expected.member());
                Failure::bad_request(place(), message)
            })?;
            Ok(Shown { medium, format, place: whereabouts })
        };
        match source {
            Source::Inline { media_type, data } => typed(&media_type.decode(), Where::Here(data.borrowed())),
            Source::Url(link) | Source::FileId(link) => {
                let link = link.decode();
                match target.inlined.get(&*link) {
                    Some(InlinedPart { media_type, data }) => typed(media_type, Where::Here(Text::escape(data))),
                    None if is_stored(&link) => typed(by_name(expected, &link), Where::Stored(link.into_owned())),
                    None => Err(Failure::bad_request(
                        place(),
                        "Files have to be inlined, linked to, or stored in S3 (`s3://…`) for this model.",
                    )),
                }
            }
        }
    }

    /// Writes the block's members.
    pub fn write(&self, block: &mut Object<'_>) {
        block.string("format", self.format).object("source", |source| match &self.place {
            Where::Here(data) => {
                source.text("bytes", data);
            }
            Where::Stored(uri) => {
                source.object("s3Location", |location| {
                    location.string("uri", uri);
                });
            }
        });
    }
}

/// What a media type is called here. A picture may come as a file.
fn format(expected: Medium, media_type: &str) -> Option<(Medium, &'static str)> {
    let media_type = media_type.to_ascii_lowercase();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let rows = || FORMATS.iter().filter(|(_, known, _)| *known == media_type);
    let row = rows().find(|(medium, ..)| *medium == expected);
    let (medium, _, format) = if expected == Medium::Document { row.or_else(|| rows().next()) } else { row }?;
    Some((*medium, format))
}

/// The media type that one of the protocol's words stands for, in the block `member`. Some clients write the type itself
/// (`bedrock.audio-video.1c86be2016`).
pub fn media_type(member: &str, format: &str) -> Option<&'static str> {
    let mut rows = FORMATS.iter().filter(|(medium, ..)| medium.member() == member);
    rows.find(|(_, media_type, known)| *known == format || *media_type == format).map(|(_, media_type, _)| *media_type)
}

/// The media type that the ending of a stored file's name stands for.
fn by_name(expected: Medium, link: &str) -> &'static str {
    let ending = link.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let ending = if ending == "jpg" { "jpeg" } else { ending.as_str() };
    let is_it = |(medium, _, format): &&(Medium, &str, &str)| {
        *format == ending && (*medium == expected || expected == Medium::Document)
    };
    FORMATS.iter().find(is_it).map_or("", |(_, media_type, _)| media_type)
}
