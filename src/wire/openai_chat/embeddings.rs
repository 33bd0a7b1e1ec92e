//! Embeddings as callers ask for them and get them.
//!
//! Source: <https://platform.openai.com/docs/api-reference/embeddings>.

use std::borrow::Cow;

use crate::chat::{EmbeddingInput, EmbeddingsAnswer, EmbeddingsRequest, Vector, VectorEncoding};
use crate::failure::{Failure, Kind};
use crate::json::{Members, Object, Raw, Text, readable};
use crate::provider::Quirks;
use crate::wire::losses::lose;
use crate::wire::{Adjusted, Closing, Format, Outgoing};

use super::usage;

/// What one call may embed: OpenAI's own limit.
const MOST_INPUTS: usize = 2048;

#[derive(Default)]
struct Written<'a> {
    model: Option<Raw<'a>>,
    input: Option<Raw<'a>>,
    dimensions: Option<Raw<'a>>,
    encoding_format: Option<Raw<'a>>,
    user: Option<Raw<'a>>,
    unknown: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Written<'a> {
    fn read(body: &'a [u8]) -> Result<Written<'a>, Failure> {
        let Members(members) = crate::json::from_slice(body)
            .map_err(|error| Failure::new(Kind::BadRequest, format!("The body must be a JSON object: {error}.")))?;
        let mut written = Written::default();
        for (key, value) in members {
            let field = match key.as_str() {
                "model" => &mut written.model,
                "input" => &mut written.input,
                "dimensions" => &mut written.dimensions,
                "encoding_format" => &mut written.encoding_format,
                "user" => &mut written.user,
                _ => {
                    written.unknown.push((Cow::Owned(key), value));
                    continue;
                }
            };
            *field = Some(value);
        }
        Ok(written)
    }
}

/// Reads a caller's request for embeddings.
///
/// # Errors
/// `BadRequest` naming the field that is missing or wrong.
pub fn read_embeddings_request(body: &[u8]) -> Result<EmbeddingsRequest<'_>, Failure> {
    let written = Written::read(body)?;
    let text = |raw: Option<Raw<'_>>| raw.as_ref().and_then(Raw::text).map(Text::into_owned);
    let encoding = match text(written.encoding_format).as_ref().map(Text::decode).as_deref() {
        None | Some("float") => VectorEncoding::Float,
        Some("base64") => VectorEncoding::Base64,
        Some(_) => return Err(Failure::bad_request("encoding_format", "`encoding_format` must be float or base64.")),
    };
    let dimensions =
        match written.dimensions.filter(|raw| !raw.is_null()) {
            None => None,
            Some(raw) => {
                Some(raw.get().parse().ok().filter(|dimensions| *dimensions > 0).ok_or_else(|| {
                    Failure::bad_request("dimensions", "`dimensions` must be a whole number above 0.")
                })?)
            }
        };
    Ok(EmbeddingsRequest {
        model: text(written.model).unwrap_or(Text::EMPTY),
        inputs: inputs(written.input)?,
        dimensions,
        encoding,
        user: text(written.user),
        unknown: written.unknown,
    })
}

/// Writes a request for an upstream of this format, where the caller speaks another protocol.
///
/// # Errors
/// None so far; what the format has no word for is harmless.
pub fn write_embeddings(
    request: &EmbeddingsRequest<'_>,
    model: &str,
    adjusted: &mut Adjusted,
) -> Result<Outgoing, Failure> {
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    body.string("model", model).array("input", |list| {
        for input in &request.inputs {
            match input {
                EmbeddingInput::Text(text) => list.text(text),
                EmbeddingInput::Tokens(tokens) => list.raw(tokens),
            };
        }
    });
    if let Some(dimensions) = request.dimensions {
        body.number("dimensions", dimensions);
    }
    body.string("encoding_format", "float");
    body.close();
    for (name, _) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
        lose(Format::OpenAiChat, name.clone().into_owned(), adjusted)?;
    }
    Ok(Outgoing { path: "/embeddings".to_owned(), headers: Vec::new(), body: out })
}

/// Reads the answer of an upstream of this format.
///
/// # Errors
/// `BadAnswer` where it is none.
pub fn read_embeddings(body: &[u8]) -> Result<EmbeddingsAnswer<'_>, Failure> {
    #[derive(Default)]
    struct Answer<'a> {
        model: Option<Text<'a>>,
        data: Vec<Item<'a>>,
        usage: Option<Raw<'a>>,
    }
    readable! { Answer<'a> { model, #[required] data, usage } }
    #[derive(Default)]
    struct Item<'a> {
        embedding: Raw<'a>,
        index: Option<u64>,
    }
    readable! { Item<'a> { #[required] embedding, index: super::types::count } }
    let unreadable = |cause: String| Failure::bad_answer("The provider's answer holds no embeddings.").because(cause);
    let mut answer: Answer<'_> = crate::json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
    // Callers of protocols without numbers go by the order.
    crate::sorted::sort_by_key(&mut answer.data, |item| item.index.unwrap_or(0));
    let vectors = answer.data.into_iter().map(|item| match item.embedding.clone().into_text() {
        Some(text) => Ok(Vector::Base64(text)),
        None if item.embedding.is_array() => Ok(Vector::Floats(item.embedding)),
        None => Err(unreadable("a vector is none".to_owned())),
    });
    let vectors = vectors.collect::<Result<Vec<_>, Failure>>()?;
    let usage = answer.usage.as_ref().and_then(|counted| usage::read(counted, &Quirks::NONE));
    Ok(EmbeddingsAnswer { model: answer.model.unwrap_or_default(), vectors, usage })
}

/// A string, strings, token ids, or lists of token ids.
fn inputs(input: Option<Raw<'_>>) -> Result<Vec<EmbeddingInput<'static>>, Failure> {
    let wrong = || {
        let message = "`input` must be a string, an array of strings, or token ids, and must not be empty.";
        Failure::bad_request("input", message)
    };
    let input = input.ok_or_else(wrong)?;
    if let Some(text) = input.text() {
        return if text.is_empty() { Err(wrong()) } else { Ok(vec![EmbeddingInput::Text(text.into_owned())]) };
    }
    let items: Vec<Raw<'_>> = input.read_borrowed().map_err(|_| wrong())?;
    if items.is_empty() || items.len() > MOST_INPUTS && items.iter().any(|item| item.number().is_none()) {
        return Err(wrong());
    }
    if items.iter().all(|item| item.number().is_some()) {
        return Ok(vec![EmbeddingInput::Tokens(input.into_owned())]);
    }
    items
        .into_iter()
        .map(|item| match item.text() {
            Some(text) => Ok(EmbeddingInput::Text(text.into_owned())),
            None if item.is_array() => Ok(EmbeddingInput::Tokens(item.into_owned())),
            None => Err(wrong()),
        })
        .collect()
}

/// Writes the answer as `encoding` wants it. `model` is used where the upstream named none.
///
/// # Errors
/// `BadAnswer` where a vector of the upstream is none.
pub fn write_embeddings_answer(
    answer: &EmbeddingsAnswer<'_>,
    model: &str,
    encoding: VectorEncoding,
    closing: &Closing,
) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::bad_answer("The provider sent a vector that is none.").because(error);
    let mut vectors: Vec<Cow<'_, [u8]>> = Vec::with_capacity(answer.vectors.len());
    for vector in &answer.vectors {
        let mut written = Vec::new();
        match encoding {
            VectorEncoding::Float => written.extend_from_slice(vector.floats().map_err(unreadable)?.get().as_bytes()),
            VectorEncoding::Base64 => vector.base64().map_err(unreadable)?.write(&mut written),
        }
        vectors.push(Cow::Owned(written));
    }
    let mut out = Vec::with_capacity(vectors.iter().map(|vector| vector.len() + 64).sum::<usize>() + 256);
    let mut object = Object::open(&mut out);
    object.string("object", "list");
    object.array("data", |data| {
        for (index, vector) in vectors.iter().enumerate() {
            data.object(|item| {
                item.string("object", "embedding").number("index", index);
                item.key("embedding").extend_from_slice(vector);
            });
        }
    });
    if answer.model.is_empty() {
        object.string("model", model)
    } else {
        object.text("model", &answer.model)
    };
    if let Some(used) = &closing.usage {
        object.object("usage", |object| {
            object.number("prompt_tokens", used.prompt_tokens()).number("total_tokens", used.total_tokens());
            usage::write_cost(closing.cost.as_ref(), object);
            if used.estimated {
                object.boolean("estimated", true);
            }
        });
    }
    object.close();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Usage, Vector};

    #[test]
    fn every_kind_of_input_is_read() {
        let count = |input: &str| {
            let body = format!(r#"{{"model":"m","input":{input},"encoding_format":"base64","dimensions":8}}"#);
            read_embeddings_request(body.as_bytes()).map(|request| request.inputs.len())
        };
        assert_eq!(count(r#""a""#), Ok(1));
        assert_eq!(count(r#"["a","b"]"#), Ok(2));
        assert_eq!(count("[1,2,3]"), Ok(1));
        assert_eq!(count("[[1],[2]]"), Ok(2));
        for wrong in ["\"\"", "[]", "{}", "[{}]", "null", "[\"a\",1]"] {
            assert_eq!(count(wrong).map_err(|failure| failure.param.clone()), Err(Some("input".into())), "{wrong}");
        }
    }

    #[test]
    fn what_only_a_provider_knows_is_kept() {
        let body = br#"{"model":"m","input":"a","taskType":"RETRIEVAL_QUERY","user":"u"}"#;
        let request = read_embeddings_request(body).expect("a request");
        assert_eq!(request.unknown, [("taskType".into(), Raw::parse("\"RETRIEVAL_QUERY\"").expect("json"))]);
    }

    #[test]
    fn vectors_are_read_by_their_numbers() {
        let body = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
        let vectors = read_embeddings(body).expect("an answer").vectors;
        let first = vectors.first().and_then(|vector| vector.floats().ok()).map(|floats| floats.get().to_owned());
        assert_eq!(first.as_deref(), Some("[1]"));
        assert_eq!(
            read_embeddings(br#"{"data":[{"index":"x","embedding":[2]}]}"#).expect("an answer").vectors.len(),
            1
        );
    }

    #[test]
    fn vectors_are_written_as_asked() {
        let answer = EmbeddingsAnswer {
            model: Text::EMPTY,
            vectors: vec![Vector::Floats(Raw::parse("[1,-0.5,0]").expect("json"))],
            usage: None,
        };
        let closing = Closing { usage: Some(Usage { input_fresh: 4, ..Usage::default() }), ..Closing::default() };
        let written = write_embeddings_answer(&answer, "m", VectorEncoding::Base64, &closing).expect("a vector");
        let text = String::from_utf8(written).expect("text");
        assert_eq!(
            text,
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8AAAAA"}],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}"#
        );
    }
}
