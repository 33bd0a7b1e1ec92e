//! Embeddings.

use crate::chat::{EmbeddingsAnswer, EmbeddingsRequest, Usage, Vector};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text, readable};
use crate::wire::{Adjusted, Format, Outgoing, losses};

/// Fields of this very protocol that a caller may put beside the others.
const FIELDS: [&str; 3] = ["truncate", "keep_alive", "options"];

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
        losses::lose(Format::Ollama, "user", adjusted)?;
    }
    let inputs = request.texts()?;
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    body.string("model", model);
    body.array("input", |texts| {
        for text in inputs {
            texts.text(text);
        }
    });
    losses::pass_on(Format::Ollama, &FIELDS, &request.unknown, adjusted, &mut body)?;
    if let Some(dimensions) = request.dimensions {
        body.number("dimensions", dimensions);
    }
    body.close();
    Ok(Outgoing { path: "/api/embed".to_owned(), headers: Vec::new(), body: out })
}

#[derive(Default)]
struct Body<'a> {
    model: Option<Text<'a>>,
    embeddings: Vec<Raw<'a>>,
    prompt_eval_count: Option<u64>,
}
readable! { Body<'a> { model, #[required] embeddings, prompt_eval_count } }

/// Reads an answer.
///
/// # Errors
/// `BadAnswer` where the body is none.
pub fn read_embeddings(body: &[u8]) -> Result<EmbeddingsAnswer<'_>, Failure> {
    let body: Body<'_> = crate::json::from_slice(body)
        .map_err(|error| Failure::bad_answer("The provider's answer could not be read.").because(error.to_string()))?;
    Ok(EmbeddingsAnswer {
        model: body.model.unwrap_or_default(),
        vectors: body.embeddings.into_iter().map(Vector::Floats).collect(),
        usage: body.prompt_eval_count.map(|input_fresh| Usage { input_fresh, ..Usage::default() }),
    })
}
