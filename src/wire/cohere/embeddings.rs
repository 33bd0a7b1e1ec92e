//! Embeddings.

use crate::chat::{EmbeddingsAnswer, EmbeddingsRequest, Usage, Vector};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text, readable};
use crate::wire::{Adjusted, Format, Outgoing, losses};

use super::types::whole;

/// What vectors are for where the caller does not say: the provider wants to know, and those for documents go with
/// those of queries.
const DEFAULT_INPUT_TYPE: &str = "search_document";
/// Fields of this very protocol that a caller may put beside the others.
const FIELDS: [&str; 4] = ["input_type", "truncate", "max_tokens", "priority"];

/// Writes a request.
///
/// # Errors
/// `Unsupported` where an input is not text.
pub fn write_embeddings(
    request: &EmbeddingsRequest<'_>,
    model: &str,
    adjusted: &mut Adjusted,
) -> Result<Outgoing, Failure> {
    if request.user.is_some() {
        losses::lose(Format::Cohere, "user", adjusted)?;
    }
    let inputs = request.texts()?;
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    body.string("model", model);
    body.array("texts", |texts| {
        for text in inputs {
            texts.text(text);
        }
    });
    losses::pass_on(Format::Cohere, &FIELDS, &request.unknown, adjusted, &mut body)?;
    if !request.unknown.iter().any(|(name, value)| name == "input_type" && !value.is_null()) {
        body.string("input_type", DEFAULT_INPUT_TYPE);
    }
    body.array("embedding_types", |types| {
        types.text(&Text::from_escaped("float"));
    });
    if let Some(dimensions) = request.dimensions {
        body.number("output_dimension", dimensions);
    }
    body.close();
    Ok(Outgoing { path: "/v2/embed".to_owned(), headers: Vec::new(), body: out })
}

#[derive(Default)]
struct Body<'a> {
    embeddings: Embeddings<'a>,
    meta: Option<Meta>,
}
readable! { Body<'a> { #[required] embeddings, meta } }

#[derive(Default)]
struct Embeddings<'a> {
    float: Vec<Raw<'a>>,
}
readable! { Embeddings<'a> { #[required] float } }

#[derive(Default)]
struct Meta {
    billed_units: Option<Billed>,
}
readable! { Meta { billed_units } }

#[derive(Default)]
struct Billed {
    /// A whole number, which some versions spell `26.0`.
    input_tokens: Option<f64>,
}
readable! { Billed { input_tokens } }

/// Reads an answer.
///
/// # Errors
/// `BadAnswer` where the body is none.
pub fn read_embeddings(body: &[u8]) -> Result<EmbeddingsAnswer<'_>, Failure> {
    let body: Body<'_> = crate::json::from_slice(body)
        .map_err(|error| Failure::bad_answer("The provider's answer could not be read.").because(error.to_string()))?;
    let billed = body.meta.and_then(|meta| meta.billed_units).and_then(|units| whole(units.input_tokens));
    Ok(EmbeddingsAnswer {
        model: Text::EMPTY,
        vectors: body.embeddings.float.into_iter().map(Vector::Floats).collect(),
        usage: billed.map(|input_fresh| Usage { input_fresh, ..Usage::default() }),
    })
}
