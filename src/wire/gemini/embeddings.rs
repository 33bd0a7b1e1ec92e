//! Embeddings: `embedContent` for one text, `batchEmbedContents` for several; `predict` where a host has the older models.
//!
//! Sources: <https://ai.google.dev/api/embeddings>; `gemini.embeddings.18d75fd121`;
//! <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>;
//! `vertex.embeddings.f35b53cc77`, `vertex.embeddings.959b9130b0`.

use crate::chat::{EmbeddingsAnswer, EmbeddingsRequest, Usage, Vector};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text, readable};
use crate::provider::Hosting;
use crate::wire::{Adjusted, Format, Outgoing, Target, losses};

use super::path;
use super::types::{Few, UsageMetadata};
use super::usage::usage;

/// Fields of this very protocol that a caller may put beside the others: names they use, and the protocol's own.
const FIELDS: &[(&str, &str)] = &[("taskType", "taskType"), ("task_type", "taskType"), ("title", "title")];

/// Writes a request.
///
/// # Errors
/// `Unsupported` where an input is not text, or there are several and the host's model takes one.
pub fn write_embeddings(
    request: &EmbeddingsRequest<'_>,
    target: &Target<'_>,
    adjusted: &mut Adjusted,
) -> Result<Outgoing, Failure> {
    let (model, hosting) = (target.model, target.quirks.hosting);
    let texts = request.texts()?;
    if request.user.is_some() {
        losses::lose(Format::Gemini, "user", adjusted)?;
    }
    let mut native = Vec::new();
    for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
        match FIELDS.iter().find(|(known, _)| known == name) {
            Some((_, field)) => native.push((*field, value)),
            None => losses::lose(Format::Gemini, name.clone().into_owned(), adjusted)?,
        }
    }
    let write_one = |text: &Text<'_>, object: &mut Object<'_>| {
        object.object("content", |content| {
            content.array("parts", |parts| {
                parts.object(|part| {
                    part.text("text", text);
                });
            });
        });
        for (field, value) in &native {
            object.raw(field, value);
        }
        if let Some(dimensions) = request.dimensions {
            object.number("outputDimensionality", dimensions);
        }
    };
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    let method = if hosting == Hosting::PublisherModel && is_predicted(model) {
        predict(&texts, &native, request.dimensions, &mut body);
        "predict"
    } else if let [text] = texts.as_slice() {
        write_one(text, &mut body);
        "embedContent"
    } else if hosting == Hosting::PublisherModel {
        // <https://github.com/googleapis/python-genai/issues/2165>: there is no batch, and several parts make one vector.
        let message = format!("`{model}` takes one text a call there: send one call for each text.");
        return Err(Failure::unsupported("input", message));
    } else {
        let qualified = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
        body.array("requests", |requests| {
            for text in &texts {
                requests.object(|one| {
                    one.string("model", &qualified);
                    write_one(text, one);
                });
            }
        });
        "batchEmbedContents"
    };
    body.close();
    Ok(Outgoing { path: path(model, method, hosting), headers: Vec::new(), body: out })
}

/// Whether a host has the model from before there was a protocol for embeddings: all but the newer of Gemini's.
fn is_predicted(model: &str) -> bool {
    !model.starts_with("gemini") || model == "gemini-embedding-001"
}

/// A prediction for each text, as the models from before take it.
fn predict(texts: &[&Text<'_>], native: &[(&str, &Raw<'_>)], dimensions: Option<u64>, body: &mut Object<'_>) {
    body.array("instances", |instances| {
        for text in texts {
            instances.object(|instance| {
                instance.text("content", text);
                for (field, value) in native {
                    instance.raw(if *field == "taskType" { "task_type" } else { field }, value);
                }
            });
        }
    });
    if let Some(dimensions) = dimensions {
        body.object("parameters", |parameters| {
            parameters.number("outputDimensionality", dimensions);
        });
    }
}

/// Reads the answer of any of these methods. Older models of the maker's own do not say what they used.
///
/// # Errors
/// `BadAnswer` where the body is none.
pub fn read_embeddings(body: &[u8]) -> Result<EmbeddingsAnswer<'_>, Failure> {
    let unreadable =
        |cause: String| Failure::bad_answer("The provider's answer is not what its format promises.").because(cause);
    let answer: Answer<'_> = crate::json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
    let counted = predicted_tokens(&answer.predictions);
    let predicted = answer.predictions.into_iter().filter_map(|prediction| prediction.embeddings);
    let vectors = answer.embedding.into_iter().chain(answer.embeddings).chain(predicted).map(|embedding| {
        let values = embedding.values.filter(Raw::is_array).ok_or_else(|| unreadable("no values".to_owned()))?;
        Ok(Vector::Floats(compact(values)))
    });
    let vectors = vectors.collect::<Result<Vec<_>, Failure>>()?;
    if vectors.is_empty() {
        return Err(unreadable("no embedding".to_owned()));
    }
    let usage = answer.usage_metadata.as_ref().and_then(usage).map(|usage| Usage { output_text: 0, ..usage });
    Ok(EmbeddingsAnswer { model: Text::EMPTY, vectors, usage: usage.or(counted) })
}

/// What all texts had together, where it was told of each.
fn predicted_tokens(predictions: &Few<Prediction<'_>>) -> Option<Usage> {
    let count = |prediction: &Prediction<'_>| prediction.embeddings.as_ref()?.statistics.as_ref()?.token_count;
    let input_fresh = predictions.iter().map(count).try_fold(0u64, |sum, count| Some(sum.saturating_add(count?)))?;
    (!predictions.is_empty()).then(|| Usage { input_fresh, ..Usage::default() })
}

#[derive(Default)]
struct Answer<'a> {
    embedding: Option<Embedding<'a>>,
    embeddings: Few<Embedding<'a>>,
    predictions: Few<Prediction<'a>>,
    usage_metadata: Option<UsageMetadata<'a>>,
}
readable! { camel Answer<'a> { embedding, embeddings, predictions, usage_metadata } }

#[derive(Default)]
struct Prediction<'a> {
    embeddings: Option<Embedding<'a>>,
}
readable! { Prediction<'a> { embeddings } }

#[derive(Default)]
struct Statistics {
    token_count: Option<u64>,
}
readable! { Statistics { token_count } }

#[derive(Default)]
struct Embedding<'a> {
    values: Option<Raw<'a>>,
    statistics: Option<Statistics>,
}
readable! { Embedding<'a> { values, statistics } }

/// Plain answers are printed with every number on a line of its own.
fn compact(values: Raw<'_>) -> Raw<'_> {
    match values.compact() {
        std::borrow::Cow::Borrowed(_) => values,
        std::borrow::Cow::Owned(short) => Raw::parse_owned(short).unwrap_or(Raw::NULL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{EmbeddingInput, VectorEncoding};
    use crate::failure::Kind;
    use crate::provider::{ModelFacts, Quirks};
    use crate::wire::InlinedMedia;

    fn asking(inputs: Vec<EmbeddingInput<'static>>, dimensions: Option<u64>) -> EmbeddingsRequest<'static> {
        EmbeddingsRequest {
            model: Text::EMPTY,
            inputs,
            dimensions,
            encoding: VectorEncoding::Float,
            user: None,
            unknown: vec![("task_type".into(), Raw::parse("\"RETRIEVAL_QUERY\"").unwrap())],
        }
    }

    fn write(request: &EmbeddingsRequest<'_>, model: &str, hosting: Hosting) -> Result<Outgoing, Failure> {
        let quirks = Quirks { hosting, ..Quirks::NONE };
        let (facts, inlined) = (ModelFacts::default(), InlinedMedia::new());
        let target = Target { model, quirks: &quirks, facts: &facts, inlined: &inlined };
        write_embeddings(request, &target, &mut Adjusted::default())
    }

    fn texts(inputs: &[&'static str]) -> Vec<EmbeddingInput<'static>> {
        inputs.iter().map(|input| EmbeddingInput::Text(Text::escape(input))).collect()
    }

    fn written(inputs: &[&'static str], dimensions: Option<u64>) -> (String, String) {
        let outgoing = write(&asking(texts(inputs), dimensions), "gemini-embedding-001", Hosting::Own).unwrap();
        (outgoing.path, String::from_utf8(outgoing.body).unwrap())
    }

    #[test]
    fn a_host_predicts_with_older_models() {
        let on_host =
            |inputs: &[&'static str], model| write(&asking(texts(inputs), Some(8)), model, Hosting::PublisherModel);
        let outgoing = on_host(&["a", "b"], "text-embedding-005").unwrap();
        assert_eq!(outgoing.path, "/publishers/google/models/text-embedding-005:predict");
        assert_eq!(
            String::from_utf8(outgoing.body).unwrap(),
            r#"{"instances":[{"content":"a","task_type":"RETRIEVAL_QUERY"},{"content":"b","task_type":"RETRIEVAL_QUERY"}],"parameters":{"outputDimensionality":8}}"#
        );
        assert!(on_host(&["a"], "gemini-embedding-001").unwrap().path.ends_with(":predict"));
        let newer = on_host(&["a"], "gemini-embedding-2").unwrap();
        assert_eq!(newer.path, "/publishers/google/models/gemini-embedding-2:embedContent");
        let refused = on_host(&["a", "b"], "gemini-embedding-2").unwrap_err();
        assert_eq!((refused.kind, refused.param.as_deref()), (Kind::Unsupported, Some("input")));
    }

    #[test]
    fn predictions_say_what_each_text_had() {
        let answer = read_embeddings(
            br#"{"predictions":[{"embeddings":{"statistics":{"token_count":4,"truncated":false},"values":[1]}},
                {"embeddings":{"statistics":{"token_count":3},"values":[2]}}]}"#,
        )
        .unwrap();
        assert_eq!((answer.vectors.len(), answer.usage.unwrap().input_fresh), (2, 7));
        let silent = read_embeddings(br#"{"predictions":[{"embeddings":{"values":[1]}}]}"#).unwrap();
        assert_eq!(silent.usage, None);
    }

    #[test]
    fn one_text_or_several() {
        let (path, body) = written(&["a\"b"], None);
        assert_eq!(path, "/v1beta/models/gemini-embedding-001:embedContent");
        assert_eq!(body, r#"{"content":{"parts":[{"text":"a\"b"}]},"taskType":"RETRIEVAL_QUERY"}"#);
        let (path, body) = written(&["a", "b"], Some(256));
        assert_eq!(path, "/v1beta/models/gemini-embedding-001:batchEmbedContents");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let one = |text: &str| {
            serde_json::json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]},
                "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256})
        };
        assert_eq!(body, serde_json::json!({"requests": [one("a"), one("b")]}));
    }

    #[test]
    fn token_ids_are_refused() {
        let request = asking(vec![EmbeddingInput::Tokens(Raw::parse("[1]").unwrap())], None);
        let refused = write(&request, "gemini-embedding-001", Hosting::Own).unwrap_err();
        assert_eq!((refused.kind, refused.param.as_deref()), (Kind::Unsupported, Some("input.0")));
    }

    #[test]
    fn vectors_come_in_order() {
        let answer = read_embeddings(br#"{"embedding": {"values": [ 0.5, -1 ]}}"#).unwrap();
        assert_eq!(answer.vectors, [Vector::Floats(Raw::parse("[0.5,-1]").unwrap())]);
        assert_eq!(answer.usage, None);
        let answer = read_embeddings(
            br#"{"embeddings":[{"values":[1]},{"values":[2]}],"usageMetadata":{"promptTokenCount":11,"totalTokenCount":11}}"#,
        )
        .unwrap();
        assert_eq!(answer.vectors.len(), 2);
        assert_eq!(answer.usage.unwrap().total_tokens(), 11);
        for body in ["", "{}", r#"{"embeddings":[]}"#, r#"{"embedding":{}}"#, r#"{"embedding":{"values":3}}"#] {
            assert_eq!(read_embeddings(body.as_bytes()).unwrap_err().kind, Kind::BadAnswer, "{body}");
        }
    }
}
