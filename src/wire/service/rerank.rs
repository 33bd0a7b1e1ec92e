//! Reranking: one request in the words of each provider, and their answers in one shape.
//!
//! Sources: <https://docs.cohere.com/reference/rerank>, <https://docs.voyageai.com/reference/reranker-api>,
//! <https://api.jina.ai/redoc#tag/rerank>, <https://www.alibabacloud.com/help/en/model-studio/text-rerank-api>.

use crate::chat::{Unit, Usage};
use crate::failure::{Failure, Kind};
use crate::json::{Members, Object, Raw, readable};
use crate::provider::{Quirks, Rerank, RerankWords};
use crate::sorted;
use crate::wire::openai_chat::{reported, write_cost};
use crate::wire::{Adjusted, Change, Closing, Outgoing};

use super::read_counts;

/// Members of a request that only some providers know, and none needs.
const RARE: &[&str] = &["max_tokens_per_doc", "max_chunks_per_doc", "rank_fields", "priority"];
/// Members that are the gateway's own, or that it answers itself.
const OURS: &[&str] =
    &["model", "models", "provider", "user", "top_n", "top_k", "return_documents", "query", "documents"];

/// An answer that lacks its cost.
#[derive(Clone, Debug, PartialEq)]
pub struct RerankAnswer {
    /// What the provider says it used.
    pub usage: Option<Usage>,
    /// The most relevant first.
    hits: Vec<Ranked>,
}

#[derive(Clone, Debug, PartialEq)]
struct Ranked {
    index: usize,
    score: f64,
    /// The document, where the caller wants it back.
    document: Option<Raw<'static>>,
}

/// Writes a caller's request in the words of `rerank`.
///
/// Documents never come back from the provider: they are known here, and the answer gets them where they are wanted.
///
/// # Errors
/// `BadRequest` naming the field that is missing or wrong.
pub fn write_rerank(body: &[u8], model: &str, rerank: Rerank, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    let request = Request::read(body)?;
    let only_strings = rerank.words != RerankWords::TopN;
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    object.string("model", model);
    let content = |object: &mut Object<'_>| {
        object.raw("query", &request.query).array("documents", |list| {
            for document in &request.documents {
                match document.member("text").filter(|_| only_strings || is_only_text(document)) {
                    Some(text) => list.raw(&text),
                    None => list.raw(document),
                };
            }
        });
    };
    let mut options = |object: &mut Object<'_>| {
        if let Some(most) = request.most {
            object.number(if rerank.words == RerankWords::TopK { "top_k" } else { "top_n" }, most);
        }
        for (name, value) in &request.more {
            if only_strings && RARE.contains(&name.as_str()) {
                adjusted.note(name.clone(), Change::Dropped);
            } else {
                object.raw(name, value);
            }
        }
    };
    if rerank.words == RerankWords::Nested {
        object.object("input", content).object("parameters", options);
    } else {
        content(&mut object);
        options(&mut object);
    }
    object.close();
    Ok(Outgoing { path: rerank.path.to_owned(), headers: Vec::new(), body: out })
}

/// Reads a successful answer to `request`, in whichever words.
///
/// # Errors
/// `BadAnswer` where it is none; the upstream's own error where a 200 holds one.
pub fn read_rerank(body: &[u8], request: &[u8], quirks: &Quirks) -> Result<RerankAnswer, Failure> {
    let unreadable = || Failure::bad_answer("The provider's answer is no ranking.");
    let body: Body<'_> = crate::json::from_slice(body).map_err(|error| unreadable().because(error.to_string()))?;
    if let Some(error) = body.error.as_ref().filter(|error| !error.is_null()) {
        return Err(reported(error));
    }
    let hits = body.results.or(body.data).or(body.output.and_then(|output| output.results)).ok_or_else(unreadable)?;
    let hits: Option<Vec<Ranked>> = hits.iter().map(Hit::read).collect();
    let mut hits = hits.ok_or_else(unreadable)?;
    sorted::sort_by(&mut hits, |one, other| other.score.total_cmp(&one.score).then(one.index.cmp(&other.index)));
    let request = Request::read(request)?;
    hits.truncate(request.most.unwrap_or(hits.len()));
    if request.return_documents {
        for hit in &mut hits {
            hit.document = request.documents.get(hit.index).map(|document| document.clone().into_owned());
        }
    }
    let billed = body.meta.and_then(|meta| meta.billed_units);
    let usage = body.usage.or(billed).and_then(|counted| read_counts(&counted, quirks));
    Ok(RerankAnswer { usage, hits })
}

impl RerankAnswer {
    /// Writes the answer in the shape of Jina and Cohere, which differ in nothing but where they count.
    #[must_use]
    pub fn write(&self, id: &str, model: &str, closing: &Closing) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.string("id", id).string("object", "list").string("model", model);
        object.array("results", |list| {
            for ranked in &self.hits {
                list.object(|hit| ranked.write(hit));
            }
        });
        let usage = closing.usage.clone().unwrap_or_default();
        let units = usage.counted.filter(|counted| counted.unit == Unit::Query);
        if let Some(units) = units.map(|counted| counted.thousandths.div_ceil(1_000)) {
            object.object("meta", |meta| {
                meta.object("billed_units", |billed| {
                    billed.number("search_units", units);
                });
            });
        }
        object.object("usage", |written| {
            written.number("prompt_tokens", usage.prompt_tokens()).number("total_tokens", usage.total_tokens());
            write_cost(closing.cost.as_ref(), written);
            if usage.estimated {
                written.boolean("estimated", true);
            }
        });
        if let Some(latchkey) = &closing.latchkey {
            object.raw("latchkey", latchkey);
        }
        object.close();
        out
    }
}

impl Ranked {
    fn write(&self, hit: &mut Object<'_>) {
        hit.number("index", self.index).number("relevance_score", self.score);
        let Some(document) = &self.document else { return };
        match document.text() {
            Some(text) => hit.object("document", |inner| {
                inner.text("text", &text);
            }),
            None => hit.raw("document", document),
        };
    }
}

/// A caller's request.
struct Request<'a> {
    query: Raw<'a>,
    documents: Vec<Raw<'a>>,
    most: Option<usize>,
    return_documents: bool,
    more: Vec<(String, Raw<'a>)>,
}

impl<'a> Request<'a> {
    fn read(body: &'a [u8]) -> Result<Request<'a>, Failure> {
        let Members(mut members) = crate::json::from_slice(body)
            .map_err(|error| Failure::new(Kind::BadRequest, format!("The body must be a JSON object: {error}.")))?;
        members.retain(|(_, value)| !value.is_null());
        let find = |name: &str| members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let query = find("query").filter(|query| query.text().is_some());
        let query = query.ok_or_else(|| Failure::bad_request("query", "`query` must be a string."))?;
        let documents = find("documents").and_then(|raw| items(&raw)).filter(|documents| !documents.is_empty());
        let documents = documents
            .filter(|documents| documents.iter().all(|document| document.is_object() || document.text().is_some()))
            .ok_or_else(|| Failure::bad_request("documents", "`documents` must be a list of strings or objects."))?;
        let most = find("top_n").or(find("top_k")).map(|raw| {
            let most = raw.get().parse().ok().filter(|most| *most > 0);
            most.ok_or_else(|| Failure::bad_request("top_n", "`top_n` must be a whole number above 0."))
        });
        let return_documents = find("return_documents").and_then(|raw| raw.boolean()).unwrap_or(false);
        let most = most.transpose()?;
        members.retain(|(name, _)| !OURS.contains(&name.as_str()));
        Ok(Request { query, documents, most, return_documents, more: members })
    }
}

fn items<'a>(raw: &Raw<'a>) -> Option<Vec<Raw<'a>>> {
    let mut items = Vec::new();
    let walked = raw.cursor().items(|_, cursor| {
        items.push(cursor.value()?);
        Ok::<(), crate::json::SyntaxError>(())
    });
    walked.ok().map(|()| items)
}

/// `{"text": "…"}`, which is the same as the string in it and not taken by all.
fn is_only_text(document: &Raw<'_>) -> bool {
    let mut count = 0;
    let walked = document.cursor().members(|_, cursor| {
        count += 1;
        cursor.value().map(drop)
    });
    walked.is_ok_and(|(): ()| count == 1)
}

#[derive(Default)]
struct Body<'a> {
    error: Option<Raw<'a>>,
    results: Option<Vec<Hit<'a>>>,
    data: Option<Vec<Hit<'a>>>,
    output: Option<Output<'a>>,
    usage: Option<Raw<'a>>,
    meta: Option<Meta<'a>>,
}
readable! { Body<'a> { error, results, data, output, usage, meta } }

#[derive(Default)]
struct Output<'a> {
    results: Option<Vec<Hit<'a>>>,
}
readable! { Output<'a> { results } }

#[derive(Default)]
struct Meta<'a> {
    billed_units: Option<Raw<'a>>,
}
readable! { Meta<'a> { billed_units } }

#[derive(Default)]
struct Hit<'a> {
    index: Option<usize>,
    relevance_score: Option<Raw<'a>>,
    score: Option<Raw<'a>>,
}
readable! { Hit<'a> { index, relevance_score, score } }

impl Hit<'_> {
    fn read(&self) -> Option<Ranked> {
        let score = self.relevance_score.as_ref().or(self.score.as_ref())?.number()?;
        Some(Ranked { index: self.index?, score, document: None })
    }
}
