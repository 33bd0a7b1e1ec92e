//! Embeddings: `{"text": […]}` for vectors in `data`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{EmbeddingInput, EmbeddingsAnswer, EmbeddingsRequest, Vector};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::wire::{Adjusted, Format, Outgoing, losses};

/// Fields of this very protocol that a caller may put beside the others.
const FIELDS: [&str; 2] = ["pooling", "truncate_inputs"];

/// Writes a request.
///
/// # Errors
/// `Unsupported` where an input is not text, or vectors are wanted in another length.
pub fn write_embeddings(
    request: &EmbeddingsRequest<'_>,
    model: &str,
    adjusted: &mut Adjusted,
) -> Result<Outgoing, Failure> {
    if request.user.is_some() {
        losses::lose(Format::WorkersAi, "user", adjusted)?;
    }
    if request.dimensions.is_some() {
        return Err(Failure::unsupported("dimensions", "This model makes vectors of one length."));
    }
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    let mut texts = Array::open(body.key("text"));
    for (at, input) in request.inputs.iter().enumerate() {
        match input {
            EmbeddingInput::Text(text) => texts.text(text),
            EmbeddingInput::Tokens(_) => {
                let message = "This model embeds texts, not token ids.";
                return Err(Failure::unsupported(format!("input.{at}"), message));
            }
        };
    }
    texts.close();
    for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
        if FIELDS.contains(&name.as_ref()) {
            body.raw(name, value);
        } else {
            losses::lose(Format::WorkersAi, name.clone().into_owned(), adjusted)?;
        }
    }
    body.close();
    Ok(Outgoing { path: super::path(model), headers: Vec::new(), body: out })
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(borrow)]
    data: Vec<Raw<'a>>,
}

/// Reads an answer. What it used is not said.
///
/// # Errors
/// `BadAnswer` where the body is none.
pub fn read_embeddings(body: &[u8]) -> Result<EmbeddingsAnswer<'_>, Failure> {
    let unreadable = |error: crate::json::Error| {
        Failure::bad_answer("The provider's answer could not be read.").because(error.to_string())
    };
    let outer: Envelope<'_> = crate::json::from_slice(body).map_err(unreadable)?;
    let body = outer.result.map_or(body, |result| result.get().as_bytes());
    let vectors: Vectors<'_> = crate::json::from_slice(body).map_err(unreadable)?;
    let vectors = vectors.data.into_iter().map(Vector::Floats).collect();
    Ok(EmbeddingsAnswer { model: Text::EMPTY, vectors, usage: None })
}
