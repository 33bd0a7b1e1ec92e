//! Pictures, sound, video and documents.

use url::Url;

use crate::chat::{Message, Part, Request, Source};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::wire::Target;

/// Where files that were uploaded to the provider are; `fileUri` wants the whole address, whatever the base URL is.
const FILES: &str = "https://generativelanguage.googleapis.com/v1beta/";
/// Hosts whose links the provider follows by itself.
const VIDEO_HOSTS: &[&str] = &["youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"];
/// Types by the ending of a file name, for links that say no more: a file's type has to be given.
const TYPES: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("md", "text/markdown"),
    ("json", "application/json"),
];

/// Links in the request that have to be fetched, each once: all but those to the provider's own files, to its cloud
/// storage and to public videos.
#[must_use]
pub fn links_to_inline(request: &Request<'_>, _: &Target<'_>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for source in request.messages.iter().flat_map(|message: &Message<'_>| &message.parts).flat_map(sources) {
        if let Source::Url(link) = source {
            let link = link.decode();
            if is_web_link(&link) && !is_followed(&link) && !links.iter().any(|known| *known == link) {
                links.push(link.into_owned());
            }
        }
    }
    links
}

/// What a part shows; `None` for words and calls.
pub(super) fn source<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Source<'a>> {
    match part {
        Part::Image { source, .. } | Part::Audio { source } | Part::Video { source } | Part::File { source, .. } => {
            Some(source)
        }
        _ => None,
    }
}

/// Writes a media part. `place` names it in the request.
///
/// # Errors
/// `BadRequest` where a link was not fetched.
pub(super) fn write(
    part: &Part<'_>,
    source: &Source<'_>,
    target: &Target<'_>,
    place: impl FnOnce() -> String,
    object: &mut Object<'_>,
) -> Result<(), Failure> {
    match source {
        Source::Inline { media_type, data } => write_inline(media_type, data, object),
        Source::FileId(id) => {
            let id = id.decode();
            let uri = match &*id {
                whole if whole.contains("://") => whole.to_owned(),
                name if name.starts_with("files/") => format!("{FILES}{name}"),
                name => format!("{FILES}files/{name}"),
            };
            write_file(&uri, type_of(part, &uri), object);
        }
        Source::Url(link) => {
            let link = link.decode();
            match target.inlined.get(&*link) {
                Some(fetched) => {
                    write_inline(&Text::escape(&fetched.media_type), &Text::escape(&fetched.data), object);
                }
                None if !is_web_link(&link) || is_followed(&link) => write_file(&link, type_of(part, &link), object),
                None => return Err(Failure::bad_request(place(), "The link could not be fetched.")),
            }
        }
    }
    Ok(())
}

fn write_inline(media_type: &Text<'_>, data: &Text<'_>, object: &mut Object<'_>) {
    // What callers make of a file's ending; the type is called otherwise.
    let jpeg = Text::from_escaped("image/jpeg");
    let media_type = if media_type.is("image/jpg") { &jpeg } else { media_type };
    object.object("inlineData", |inline| {
        inline.text("mimeType", media_type).text("data", data);
    });
}

fn write_file(uri: &str, media_type: Option<&str>, object: &mut Object<'_>) {
    object.object("fileData", |file| {
        if let Some(media_type) = media_type {
            file.string("mimeType", media_type);
        }
        file.string("fileUri", uri);
    });
}

fn type_of(part: &Part<'_>, uri: &str) -> Option<&'static str> {
    let by_name = |name: &str| {
        let name = name.split(['?', '#']).next().unwrap_or_default();
        let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
        TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| *media_type)
    };
    match part {
        Part::File { name: Some(name), .. } => by_name(&name.decode()).or_else(|| by_name(uri)),
        // Public videos have no ending; they are taken without a type, too.
        _ => by_name(uri),
    }
}

/// The media of a part, those within tool results included.
fn sources<'p, 'a>(part: &'p Part<'a>) -> Vec<&'p Source<'a>> {
    match part {
        Part::ToolResult { parts, .. } => parts.iter().filter_map(source).collect(),
        part => source(part).into_iter().collect(),
    }
}

fn is_web_link(link: &str) -> bool {
    let scheme = link.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

fn is_followed(link: &str) -> bool {
    let Ok(url) = Url::parse(link) else { return false };
    link.starts_with(FILES) || url.host_str().is_some_and(|host| VIDEO_HOSTS.contains(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_webs_own_links_are_fetched() {
        for (link, fetched) in [
            ("https://example.com/a.png", true),
            ("HTTP://example.com", true),
            ("https://www.youtube.com/watch?v=x", false),
            ("https://youtu.be/x", false),
            ("https://youtube.com.example.com/x", true),
            ("https://generativelanguage.googleapis.com/v1beta/files/x", false),
            ("gs://bucket/a.pdf", false),
        ] {
            assert_eq!(is_web_link(link) && !is_followed(link), fetched, "{link}");
        }
    }
}
