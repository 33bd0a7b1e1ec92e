//! `:embedContent` and `:batchEmbedContents` as callers ask for them.

use crate::chat::{EmbeddingInput, EmbeddingsAnswer, EmbeddingsRequest, VectorEncoding};
use crate::failure::Failure;
use crate::json::{Cursor, Kind, Object, Raw, Text};
use crate::wire::Closing;
use crate::wire::place::Place;

use super::{camel, usage};

/// What one call may embed.
const MOST_INPUTS: usize = 2048;

/// Reads the body of either method: one text, or a list of `requests` that each hold one.
///
/// # Errors
/// `BadRequest` naming the field that is missing or wrong.
pub fn read_embeddings_request(body: &[u8], batch: bool) -> Result<EmbeddingsRequest<'_>, Failure> {
    let mut cursor = Cursor::new(body)?;
    let mut request = EmbeddingsRequest {
        model: Text::EMPTY,
        inputs: Vec::new(),
        dimensions: None,
        encoding: VectorEncoding::Float,
        user: None,
        unknown: Vec::new(),
    };
    if !batch {
        one(None, &mut cursor, &mut request)?;
    } else {
        cursor.members(|key, cursor| {
            let place = Place::top(&key);
            if &*key != "requests" {
                return cursor.value().map(drop).map_err(Failure::from);
            }
            if !place.array(cursor)? {
                return Ok(());
            }
            cursor.items(|index, cursor| one(Some(&place.item(index)), cursor, &mut request))
        })?;
    }
    cursor.finish()?;
    match request.inputs.len() {
        0 => Err(Place::top(if batch { "requests" } else { "content" }).missing()),
        1..=MOST_INPUTS => Ok(request),
        _ => Err(Failure::bad_request("requests", format!("One call embeds at most {MOST_INPUTS} texts."))),
    }
}

/// `{"content", "taskType", "title", "outputDimensionality"}`
fn one<'a>(
    place: Option<&Place<'_>>,
    cursor: &mut Cursor<'a>,
    request: &mut EmbeddingsRequest<'a>,
) -> Result<(), Failure> {
    if cursor.kind() != Some(Kind::Object) {
        cursor.value()?;
        return Err(Failure::bad_request("requests", "A request for an embedding must be a JSON object."));
    }
    cursor.members(|key, cursor| {
        let top = Place::top(&key);
        let place = place.map_or(top, |place| place.member(&key));
        match &*camel(&key) {
            "content" => request.inputs.push(EmbeddingInput::Text(content(&place, &cursor.value()?)?)),
            "outputDimensionality" => request.dimensions = place.count(cursor)?,
            "taskType" | "title" => {
                let value = cursor.value()?;
                let name = camel(&key).into_owned();
                if !request.unknown.iter().any(|(known, _)| *known == name) {
                    request.unknown.push((name.into(), value));
                }
            }
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })
}

/// The words of a content.
fn content<'a>(place: &Place<'_>, content: &Raw<'a>) -> Result<Text<'a>, Failure> {
    let mut texts: Vec<Text<'a>> = Vec::new();
    if let Some(text) = content.clone().into_text() {
        return Ok(text);
    }
    let parts = content.member("parts").filter(|parts| parts.is_array() || parts.is_object());
    let parts = parts.ok_or_else(|| place.member("parts").missing())?;
    let mut take = |part: Raw<'a>| {
        let text = part.member("text").and_then(Raw::into_text);
        texts.push(text.ok_or_else(|| place.fault("Only text is embedded by this gateway.".to_owned()))?);
        Ok::<(), Failure>(())
    };
    if parts.is_object() {
        take(parts)?;
    } else {
        parts.cursor().items(|_, cursor| take(cursor.value()?))?;
    }
    let mut texts = texts.into_iter();
    let mut all = texts.next().filter(|text| !text.is_empty()).ok_or_else(|| place.member("parts").missing())?;
    texts.for_each(|text| all.push(&text));
    Ok(all)
}

/// Writes the answer of either method.
///
/// # Errors
/// `BadAnswer` where a vector of the upstream is none.
pub fn write_embeddings_answer(
    answer: &EmbeddingsAnswer<'_>,
    batch: bool,
    closing: &Closing,
) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::bad_answer("The provider sent a vector that is none.").because(error);
    let vectors = answer.vectors.iter().map(|vector| vector.floats().map_err(unreadable));
    let vectors = vectors.collect::<Result<Vec<_>, Failure>>()?;
    let mut out = Vec::with_capacity(256);
    let mut body = Object::open(&mut out);
    if batch {
        body.array("embeddings", |list| {
            for vector in &vectors {
                list.object(|embedding| {
                    embedding.raw("values", vector);
                });
            }
        });
    } else if let Some(vector) = vectors.first() {
        body.object("embedding", |embedding| {
            embedding.raw("values", vector);
        });
    }
    body.object("usageMetadata", |object| usage::write(closing, object));
    body.close();
    Ok(out)
}
