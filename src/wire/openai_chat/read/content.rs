//! Content: a string, or parts.

use crate::chat::{CacheMark, Part, Request, Source};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Raw, Text};

use super::super::media;
use crate::wire::anthropic;
use crate::wire::place::Place;

/// A content part with every member that any kind of part has.
#[derive(Default)]
struct Members<'a> {
    kind: Option<Text<'a>>,
    text: Option<Text<'a>>,
    refusal: Option<Text<'a>>,
    source: Option<Source<'a>>,
    detail: Option<Text<'a>>,
    name: Option<Text<'a>>,
    cache: Option<CacheMark>,
}

const KINDS: &str = "'text', 'image_url', 'input_audio', 'video_url', 'file' and 'refusal'";

/// Reads content; nothing for `null`. Answers the first part that only this format's own servers may know, if any.
pub(super) fn read<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    parts: &mut Vec<Part<'a>>,
) -> Result<Option<Failure>, Failure> {
    let mut foreign = None;
    match cursor.kind() {
        Some(Kind::String | Kind::Null) => {
            if let Some(text) = place.text(cursor)? {
                parts.push(plain(text, None));
            }
        }
        Some(Kind::Array) => cursor.items(|index, cursor| {
            let place = place.item(index);
            match cursor.kind() {
                Some(Kind::Object) => {
                    let mut again = Cursor::at(cursor.text(), cursor.position());
                    match part(&place, cursor)? {
                        Ok(part) => parts.push(part),
                        Err(unknown) => foreign = foreign.take().or(block(&place, &mut again, parts, unknown)),
                    }
                }
                // Some clients list strings.
                Some(Kind::String) => parts.extend(place.text(cursor)?.map(|text| plain(text, None))),
                kind => return Err(place.wrong_type("an object", kind)),
            }
            Ok::<(), Failure>(())
        })?,
        None => drop(cursor.value()?),
        kind => return Err(place.wrong_type("a string or an array of parts", kind)),
    }
    Ok(foreign)
}

/// A block of Messages (see `borrowed`), or why it is none: `unknown` where it is of another kind.
fn block<'a>(
    place: &Place<'_>,
    cursor: &mut Cursor<'a>,
    parts: &mut Vec<Part<'a>>,
    unknown: Failure,
) -> Option<Failure> {
    let mut aside = Request::default();
    match anthropic::read_block(place, cursor, parts, &mut aside, 0) {
        Ok(()) => (aside.untranslatable.is_some() || !aside.unsayable.is_empty()).then_some(unknown),
        Err(failure) => Some(failure),
    }
}

fn plain<'a>(text: Text<'a>, cache: Option<CacheMark>) -> Part<'a> {
    Part::Text { text, cache, citations: Vec::new(), signature: None }
}

/// One part; the inner failure is of a kind that the hub does not know.
fn part<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Result<Part<'a>, Failure>, Failure> {
    let mut members = Members::default();
    cursor.members(|key, cursor| member(&place.member(&key), &key, cursor, &mut members))?;
    let kind_place = place.member("type");
    let kind = members.kind.take().ok_or_else(|| kind_place.missing())?;
    let kind = kind.decode();
    let source = |members: &mut Members<'a>| members.source.take().ok_or_else(|| place.member(&kind).missing());
    Ok(Ok(match &*kind {
        "text" | "input_text" | "output_text" => {
            plain(members.text.ok_or_else(|| place.member("text").missing())?, members.cache)
        }
        "image_url" => Part::Image { source: source(&mut members)?, detail: members.detail, cache: members.cache },
        "input_audio" => Part::Audio { source: source(&mut members)? },
        "video_url" => Part::Video { source: source(&mut members)? },
        "file" => Part::File { source: source(&mut members)?, name: members.name, cache: members.cache },
        "refusal" => Part::Refusal { text: members.refusal.ok_or_else(|| place.member("refusal").missing())? },
        _ => return Ok(Err(kind_place.wrong_word(&kind, KINDS))),
    }))
}

fn member<'a>(place: &Place<'_>, key: &str, cursor: &mut Cursor<'a>, members: &mut Members<'a>) -> Result<(), Failure> {
    match key {
        "type" => members.kind = place.text(cursor)?,
        "text" => members.text = place.text(cursor)?,
        "refusal" => members.refusal = place.text(cursor)?,
        // The latter is OpenAI's own word for a mark.
        "cache_control" | "prompt_cache_breakpoint" => members.cache = place.cache_mark(cursor)?,
        "image_url" | "video_url" => match cursor.kind() {
            Some(Kind::String) => members.source = place.text(cursor)?.map(linked),
            _ => url_object(place, cursor, members)?,
        },
        "input_audio" => match cursor.kind() {
            Some(Kind::String) => members.source = place.text(cursor)?.map(bare_audio),
            _ => members.source = audio(place, cursor)?,
        },
        "file" => file(place, cursor, members)?,
        _ => drop(cursor.value()?),
    }
    Ok(())
}

/// `{"url", "detail"}`
fn url_object<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, members: &mut Members<'a>) -> Result<(), Failure> {
    if !place.opens(cursor)? {
        return Ok(());
    }
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "url" => members.source = place.text(cursor)?.map(linked),
            "detail" => members.detail = place.text(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    if members.source.is_none() { Err(place.member("url").missing()) } else { Ok(()) }
}

/// A link, or base64 that does not say of what: `mistral.audio-video-stream.6f651445f5`. WAV tells itself by its `RIFF`.
fn bare_audio(audio: Text<'_>) -> Source<'_> {
    let is_link = audio.escaped().contains(':');
    let media_type = if audio.escaped().starts_with("UklGR") { "audio/wav" } else { "audio/mpeg" };
    if is_link { linked(audio) } else { Source::Inline { media_type: Text::from_escaped(media_type), data: audio } }
}

/// `{"data", "format"}`
fn audio<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<Option<Source<'a>>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let (mut data, mut format) = (None, None);
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "data" => data = place.text(cursor)?,
            "format" => format = place.text(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    let data = data.ok_or_else(|| place.member("data").missing())?;
    if let Some((media_type, data)) = media::data_url(&data) {
        return Ok(Some(Source::Inline { media_type, data }));
    }
    let format = format.ok_or_else(|| place.member("format").missing())?;
    Ok(Some(Source::Inline { media_type: media::audio_type(&format), data }))
}

/// `{"file_data", "filename", "file_id"}`
fn file<'a>(place: &Place<'_>, cursor: &mut Cursor<'a>, members: &mut Members<'a>) -> Result<(), Failure> {
    if !place.opens(cursor)? {
        return Ok(());
    }
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "file_data" => members.source = place.text(cursor)?.map(linked).or(members.source.take()),
            "file_id" => members.source = members.source.take().or(place.text(cursor)?.map(Source::FileId)),
            "filename" => members.name = place.text(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    if members.source.is_none() { Err(place.member("file_data").missing()) } else { Ok(()) }
}

/// A data URL is the thing itself.
pub(in crate::wire) fn linked(url: Text<'_>) -> Source<'_> {
    match media::data_url(&url) {
        Some((media_type, data)) => Source::Inline { media_type, data },
        None => Source::Url(url),
    }
}

/// Pictures that an assistant made and its caller sends back (OpenRouter's `images`).
pub(super) fn images<'a>(raw: &Raw<'a>, parts: &mut Vec<Part<'a>>) {
    let mut cursor = raw.cursor();
    let place = Place::top("images");
    // What cannot be read here was no picture of ours; the model can do without it.
    let _ = cursor.items(|index, cursor| {
        if let Ok(part) = part(&place.item(index), cursor)? {
            parts.push(part);
        }
        Ok::<(), Failure>(())
    });
}
