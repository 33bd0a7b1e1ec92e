//! Embeddings, which Converse has not: by InvokeModel, in the words of the model's maker.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>.

use crate::chat::{EmbeddingsAnswer, EmbeddingsRequest, Usage, Vector};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text, readable};
use crate::provider::percent_encoded;
use crate::wire::{Adjusted, Format, Outgoing, losses};

/// Models that take one text a call, as `inputText`; all others take lists of `texts`.
const ONE_TEXT: &str = "titan-embed";
/// What vectors are for where the caller does not say.
const DEFAULT_INPUT_TYPE: &str = "search_document";

/// Writes a request.
///
/// # Errors
/// `Unsupported` where an input is not text, or the model takes one and there are several.
pub fn write_embeddings(
    request: &EmbeddingsRequest<'_>,
    model: &str,
    adjusted: &mut Adjusted,
) -> Result<Outgoing, Failure> {
    if request.user.is_some() {
        losses::lose(Format::Bedrock, "user", adjusted)?;
    }
    let inputs = request.texts()?;
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    if model.contains(ONE_TEXT) {
        let mut inputs = inputs.into_iter();
        let (Some(only), None) = (inputs.next(), inputs.next()) else {
            return Err(Failure::unsupported("input", format!("`{model}` takes one text a call.")));
        };
        body.text("inputText", only);
        losses::pass_on(Format::Bedrock, &["normalize"], &request.unknown, adjusted, &mut body)?;
        if let Some(dimensions) = request.dimensions {
            body.number("dimensions", dimensions);
        }
    } else {
        body.array("texts", |texts| {
            for text in inputs {
                texts.text(text);
            }
        });
        losses::pass_on(Format::Bedrock, &["input_type", "truncate"], &request.unknown, adjusted, &mut body)?;
        if !request.unknown.iter().any(|(name, value)| name == "input_type" && !value.is_null()) {
            body.string("input_type", DEFAULT_INPUT_TYPE);
        }
        body.array("embedding_types", |types| {
            types.text(&Text::from_escaped("float"));
        });
        if let Some(dimensions) = request.dimensions {
            body.number("output_dimension", dimensions);
        }
    }
    body.close();
    Ok(Outgoing { path: format!("/model/{}/invoke", percent_encoded(model)), headers: Vec::new(), body: out })
}

#[derive(Default)]
struct Body<'a> {
    embedding: Option<Raw<'a>>,
    embeddings: Option<Raw<'a>>,
    input_text_token_count: Option<u64>,
}
readable! { camel Body<'a> { embedding, embeddings, input_text_token_count } }

/// Reads an answer.
///
/// # Errors
/// `BadAnswer` where the body is none.
pub fn read_embeddings(body: &[u8]) -> Result<EmbeddingsAnswer<'_>, Failure> {
    let unreadable = || Failure::bad_answer("The provider's answer could not be read.");
    let body: Body<'_> = crate::json::from_slice(body).map_err(|error| unreadable().because(error.to_string()))?;
    let vectors = match (body.embedding, body.embeddings) {
        (Some(only), _) => vec![Vector::Floats(only)],
        (None, Some(all)) => {
            // By kind where kinds were asked for; older models give the bare list all the same.
            let list = if all.is_object() { all.member("float").ok_or_else(unreadable)? } else { all };
            let mut vectors = Vec::new();
            let walked = list.cursor().items(|_, cursor| {
                vectors.push(Vector::Floats(cursor.value()?));
                Ok::<(), crate::json::SyntaxError>(())
            });
            walked.map_err(|_| unreadable())?;
            vectors
        }
        (None, None) => return Err(unreadable()),
    };
    let usage = body.input_text_token_count.map(|input_fresh| Usage { input_fresh, ..Usage::default() });
    Ok(EmbeddingsAnswer { model: Text::EMPTY, vectors, usage })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::openai_chat::read_embeddings_request;

    fn written(model: &str, request: &Value) -> Result<(String, Value), Failure> {
        let body = request.to_string();
        let request = read_embeddings_request(body.as_bytes()).expect("a request");
        let outgoing = write_embeddings(&request, model, &mut Adjusted::default())?;
        Ok((outgoing.path, serde_json::from_slice(&outgoing.body).expect("JSON")))
    }

    #[test]
    fn each_maker_is_asked_in_its_own_words() {
        let one = json!({"model": "m", "input": "a", "dimensions": 256});
        let (path, titan) = written("amazon.titan-embed-text-v2:0", &one).expect("a request");
        assert_eq!(path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
        assert_eq!(titan, json!({"inputText": "a", "dimensions": 256}));
        let two = json!({"model": "m", "input": ["a", "b"]});
        assert_eq!(written("amazon.titan-embed-text-v2:0", &two).expect_err("two").param.as_deref(), Some("input"));
        let (_, listed) = written("us.cohere.embed-v4:0", &two).expect("a request");
        let expected = json!({"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]});
        assert_eq!(listed, expected);
    }

    #[test]
    fn answers_of_all_shapes_are_read() {
        for (body, count, tokens) in [
            (r#"{"embedding":[0.5],"inputTextTokenCount":3}"#, 1, Some(3)),
            (r#"{"embeddings":[[0.5],[1]],"id":"x","response_type":"embeddings_floats"}"#, 2, None),
            (r#"{"embeddings":{"float":[[0.5],[1]]},"response_type":"embeddings_by_type"}"#, 2, None),
        ] {
            let answer = read_embeddings(body.as_bytes()).expect(body);
            assert_eq!(answer.vectors.len(), count);
            assert_eq!(answer.usage.map(|usage| usage.input_fresh), tokens);
        }
        assert!(read_embeddings(b"{}").is_err());
    }
}
