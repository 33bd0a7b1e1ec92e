//! Data URLs, and the names of audio formats.

use crate::json::Text;

/// Media type and base64 of `data:<media type>;base64,<data>`, both still escaped. `None` where it is another URL or
/// another encoding. Parameters of the media type are left out.
#[must_use]
pub fn data_url<'a>(url: &Text<'a>) -> Option<(Text<'a>, Text<'a>)> {
    // A data URL has no character that needs an escape, except that some escape the slash.
    let escaped = url.clone();
    let (head, data) = escaped.escaped().split_once(',')?;
    let description = head.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and(head.get(5..))?;
    let media_type = description.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    let (start, end) = (5, 5 + media_type.len());
    Some((url.slice(start..end)?, url.slice(url.escaped().len() - data.len()..url.escaped().len())?))
}

/// The media type of what `input_audio.format` names.
#[must_use]
pub fn audio_type<'a>(format: &Text<'a>) -> Text<'a> {
    match format.escaped() {
        "mp3" => Text::from_escaped("audio/mpeg"),
        other => Text::from_escaped(format!("audio/{other}")),
    }
}

/// What `input_audio.format` calls a media type.
#[must_use]
pub fn audio_format(media_type: &str) -> &str {
    match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" => "mp3",
        "wave" | "x-wav" => "wav",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls() {
        let read = |url: &'static str| {
            let parts = data_url(&Text::from_escaped(url));
            parts.map(|(media_type, data)| (media_type.escaped().to_owned(), data.escaped().to_owned()))
        };
        let png = Some(("image/png".to_owned(), "AA==".to_owned()));
        assert_eq!(read("data:image/png;base64,AA=="), png);
        assert_eq!(read("DATA:image/png;name=a;base64,AA=="), png);
        assert_eq!(read(r"data:image\/png;base64,AA=="), Some((r"image\/png".to_owned(), "AA==".to_owned())));
        for other in ["https://x.test/a,b", "data:text/plain,a", "data:,", "", "dätä:a;base64,b"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn audio_formats_and_types_are_inverse() {
        for format in ["wav", "mp3", "flac", "pcm16"] {
            assert_eq!(audio_format(&audio_type(&Text::escape(format)).decode()), format);
        }
    }
}
