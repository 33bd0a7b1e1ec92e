//! Embeddings: `{"text": […]}` for vectors in `data`.

use serde_json::value::RawValue;

use crate::chat::{EmbeddingsAnswer, EmbeddingsRequest, Vector};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text, readable};
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
    let inputs = request.texts()?;
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    body.array("text", |texts| {
        for text in inputs {
            texts.text(text);
        }
    });
    losses::pass_on(Format::WorkersAi, &FIELDS, &request.unknown, adjusted, &mut body)?;
    body.close();
    Ok(Outgoing { path: super::path(model), headers: Vec::new(), body: out })
}

#[derive(Default)]
struct Envelope<'a> {
    result: Option<&'a RawValue>,
}
readable! { Envelope<'a> { result } }

#[derive(Default)]
struct Vectors<'a> {
    data: Vec<Raw<'a>>,
}
readable! { Vectors<'a> { #[required] data } }

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
