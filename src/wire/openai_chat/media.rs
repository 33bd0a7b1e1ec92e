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
