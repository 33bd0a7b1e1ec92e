//! What Gemini answers, as far as it is read. Fields that are not here are passed by.
//!
//! Source: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Raw, Text};

/// One answer, or one chunk of a stream: both have the same shape.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub candidates: Few<Candidate<'a>>,
    pub prompt_feedback: Option<PromptFeedback<'a>>,
    pub usage_metadata: Option<UsageMetadata<'a>>,
    pub response_id: Option<Text<'a>>,
    pub model_version: Option<Text<'a>>,
    /// RFC 3339; Vertex only.
    pub create_time: Option<Text<'a>>,
    /// An error inside a successful answer.
    pub error: Option<Raw<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Candidate<'a> {
    pub index: Option<u32>,
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    pub finish_reason: Option<Word<'a>>,
    pub finish_message: Option<Text<'a>>,
    pub grounding_metadata: Option<GroundingMetadata<'a>>,
    pub citation_metadata: Option<CitationMetadata<'a>>,
    pub logprobs_result: Option<LogprobsResult<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    /// Missing where the token limit was reached while thinking (`gemini.chat.d16e1a907b`).
    #[serde(borrow)]
    pub parts: Few<Part<'a>>,
}

/// One of its fields beside `thought` and `thoughtSignature` is set.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    pub thought: Option<bool>,
    pub thought_signature: Option<Text<'a>>,
    pub function_call: Option<FunctionCall<'a>>,
    pub inline_data: Option<InlineData<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct FunctionCall<'a> {
    /// Given by the third generation of models, not by older ones.
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    pub name: Option<Text<'a>>,
    /// May be missing where the function takes none.
    pub args: Option<Raw<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InlineData<'a> {
    #[serde(borrow)]
    pub mime_type: Option<Text<'a>>,
    pub data: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PromptFeedback<'a> {
    #[serde(borrow)]
    pub block_reason: Option<Word<'a>>,
    pub block_reason_message: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct UsageMetadata<'a> {
    pub prompt_token_count: Option<u64>,
    pub cached_content_token_count: Option<u64>,
    pub candidates_token_count: Option<u64>,
    pub thoughts_token_count: Option<u64>,
    pub tool_use_prompt_token_count: Option<u64>,
    pub total_token_count: Option<u64>,
    #[serde(borrow)]
    pub prompt_tokens_details: Few<ModalityCount<'a>>,
    pub cache_tokens_details: Few<ModalityCount<'a>>,
    pub candidates_tokens_details: Few<ModalityCount<'a>>,
    pub tool_use_prompt_tokens_details: Few<ModalityCount<'a>>,
    pub service_tier: Option<Word<'a>>,
    /// Vertex says here what AI Studio says in `serviceTier`.
    pub traffic_type: Option<Word<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ModalityCount<'a> {
    #[serde(borrow)]
    pub modality: Option<Word<'a>>,
    pub token_count: Option<u64>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GroundingMetadata<'a> {
    #[serde(borrow)]
    pub grounding_chunks: Few<GroundingChunk<'a>>,
    pub grounding_supports: Few<GroundingSupport<'a>>,
    pub web_search_queries: Few<Raw<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GroundingChunk<'a> {
    #[serde(borrow)]
    pub web: Option<GroundingSource<'a>>,
    pub retrieved_context: Option<GroundingSource<'a>>,
    pub maps: Option<GroundingSource<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct GroundingSource<'a> {
    #[serde(borrow)]
    pub uri: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GroundingSupport<'a> {
    #[serde(borrow)]
    pub segment: Option<Segment<'a>>,
    pub grounding_chunk_indices: Few<usize>,
}

/// Offsets count bytes of the answer's text in UTF-8; a missing start is zero.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Segment<'a> {
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct CitationMetadata<'a> {
    #[serde(borrow)]
    pub citations: Few<CitationSource<'a>>,
}

/// Offsets as in [`Segment`].
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CitationSource<'a> {
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
    #[serde(borrow)]
    pub uri: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogprobsResult<'a> {
    #[serde(borrow)]
    pub chosen_candidates: Few<TokenLogprob<'a>>,
    pub top_candidates: Few<TopCandidates<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct TopCandidates<'a> {
    #[serde(borrow)]
    pub candidates: Few<TokenLogprob<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TokenLogprob<'a> {
    #[serde(borrow)]
    pub token: Option<Text<'a>>,
    pub log_probability: Option<Raw<'a>>,
}

/// A word of an enumeration. Old clients ask for their numbers instead (`gemini.structured.6cccf0ac7a`), and what a
/// relay asks for is not ours to choose.
#[derive(Debug)]
pub(super) struct Word<'a>(pub Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word<'a>, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Word(Text::from_raw(raw).unwrap_or_else(|| Text::from_escaped(raw.get()))))
    }
}

/// A list that seldom holds more than one item, and then needs no memory of its own: a chunk of a stream has one
/// candidate with one part.
#[derive(Debug)]
pub(super) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    pub fn one(item: T) -> Few<T> {
        Few { first: Some(item), rest: Vec::new() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub fn get(&self, index: usize) -> Option<&T> {
        match index.checked_sub(1) {
            None => self.first.as_ref(),
            Some(index) => self.rest.get(index),
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few { first: None, rest: Vec::new() }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

/// An array, or `null` for an empty one.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Few<T>, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Few<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array")
            }

            fn visit_unit<E>(self) -> Result<Few<T>, E> {
                Ok(Few::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
                let mut few = Few { first: items.next_element()?, rest: Vec::new() };
                while let Some(item) = items.next_element()? {
                    few.rest.push(item);
                }
                Ok(few)
            }
        }
        deserializer.deserialize_any(Items(PhantomData))
    }
}
