//! What Gemini answers, as far as it is read. Fields that are not here are passed by.
//!
//! Source: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>.

use crate::json::{self, FromJson, Raw, Reader, Text, readable};

/// One answer, or one chunk of a stream: both have the same shape.
#[derive(Debug, Default)]
pub(super) struct Response<'a> {
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
readable! { camel Response<'a> {
    candidates, prompt_feedback, usage_metadata, response_id, model_version, create_time, error,
} }

#[derive(Debug, Default)]
pub(super) struct Candidate<'a> {
    pub index: Option<u32>,
    pub content: Option<Content<'a>>,
    pub finish_reason: Option<Word<'a>>,
    pub finish_message: Option<Text<'a>>,
    pub grounding_metadata: Option<GroundingMetadata<'a>>,
    pub citation_metadata: Option<CitationMetadata<'a>>,
    pub logprobs_result: Option<LogprobsResult<'a>>,
}
readable! { camel Candidate<'a> {
    index, content, finish_reason, finish_message, grounding_metadata, citation_metadata, logprobs_result,
} }

#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    /// Missing where the token limit was reached while thinking (`gemini.chat.d16e1a907b`).
    pub parts: Few<Part<'a>>,
}
readable! { Content<'a> { parts } }

/// One of its fields beside `thought` and `thoughtSignature` is set.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub text: Option<Text<'a>>,
    pub thought: Option<bool>,
    pub thought_signature: Option<Text<'a>>,
    pub function_call: Option<FunctionCall<'a>>,
    pub inline_data: Option<InlineData<'a>>,
}
readable! { camel Part<'a> { text, thought, thought_signature, function_call, inline_data } }

#[derive(Debug, Default)]
pub(super) struct FunctionCall<'a> {
    /// Given by the third generation of models, not by older ones.
    pub id: Option<Text<'a>>,
    pub name: Option<Text<'a>>,
    /// May be missing where the function takes none.
    pub args: Option<Raw<'a>>,
}
readable! { FunctionCall<'a> { id, name, args } }

#[derive(Debug, Default)]
pub(super) struct InlineData<'a> {
    pub mime_type: Option<Text<'a>>,
    pub data: Option<Text<'a>>,
}
readable! { camel InlineData<'a> { mime_type, data } }

#[derive(Debug, Default)]
pub(super) struct PromptFeedback<'a> {
    pub block_reason: Option<Word<'a>>,
    pub block_reason_message: Option<Text<'a>>,
}
readable! { camel PromptFeedback<'a> { block_reason, block_reason_message } }

#[derive(Debug, Default)]
pub(super) struct UsageMetadata<'a> {
    pub prompt_token_count: Option<u64>,
    pub cached_content_token_count: Option<u64>,
    pub candidates_token_count: Option<u64>,
    pub thoughts_token_count: Option<u64>,
    pub tool_use_prompt_token_count: Option<u64>,
    pub total_token_count: Option<u64>,
    pub prompt_tokens_details: Few<ModalityCount<'a>>,
    pub cache_tokens_details: Few<ModalityCount<'a>>,
    pub candidates_tokens_details: Few<ModalityCount<'a>>,
    pub tool_use_prompt_tokens_details: Few<ModalityCount<'a>>,
    pub service_tier: Option<Word<'a>>,
    /// Vertex says here what AI Studio says in `serviceTier`.
    pub traffic_type: Option<Word<'a>>,
}
readable! { camel UsageMetadata<'a> {
    prompt_token_count, cached_content_token_count, candidates_token_count, thoughts_token_count,
    tool_use_prompt_token_count, total_token_count, prompt_tokens_details, cache_tokens_details,
    candidates_tokens_details, tool_use_prompt_tokens_details, service_tier, traffic_type,
} }

#[derive(Debug, Default)]
pub(super) struct ModalityCount<'a> {
    pub modality: Option<Word<'a>>,
    pub token_count: Option<u64>,
}
readable! { camel ModalityCount<'a> { modality, token_count } }

#[derive(Debug, Default)]
pub(super) struct GroundingMetadata<'a> {
    pub grounding_chunks: Few<GroundingChunk<'a>>,
    pub grounding_supports: Few<GroundingSupport<'a>>,
    pub web_search_queries: Few<Raw<'a>>,
}
readable! { camel GroundingMetadata<'a> { grounding_chunks, grounding_supports, web_search_queries } }

#[derive(Debug, Default)]
pub(super) struct GroundingChunk<'a> {
    pub web: Option<GroundingSource<'a>>,
    pub retrieved_context: Option<GroundingSource<'a>>,
    pub maps: Option<GroundingSource<'a>>,
}
readable! { camel GroundingChunk<'a> { web, retrieved_context, maps } }

#[derive(Debug, Default)]
pub(super) struct GroundingSource<'a> {
    pub uri: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
}
readable! { GroundingSource<'a> { uri, title } }

#[derive(Debug, Default)]
pub(super) struct GroundingSupport<'a> {
    pub segment: Option<Segment<'a>>,
    pub grounding_chunk_indices: Few<usize>,
}
readable! { camel GroundingSupport<'a> { segment, grounding_chunk_indices } }

/// Offsets count bytes of the answer's text in UTF-8; a missing start is zero.
#[derive(Debug, Default)]
pub(super) struct Segment<'a> {
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
    pub text: Option<Text<'a>>,
}
readable! { camel Segment<'a> { start_index, end_index, text } }

#[derive(Debug, Default)]
pub(super) struct CitationMetadata<'a> {
    pub citations: Few<CitationSource<'a>>,
}
readable! { CitationMetadata<'a> { citations } }

/// Offsets as in [`Segment`].
#[derive(Debug, Default)]
pub(super) struct CitationSource<'a> {
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
    pub uri: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
}
readable! { camel CitationSource<'a> { start_index, end_index, uri, title } }

#[derive(Debug, Default)]
pub(super) struct LogprobsResult<'a> {
    pub chosen_candidates: Few<TokenLogprob<'a>>,
    pub top_candidates: Few<TopCandidates<'a>>,
}
readable! { camel LogprobsResult<'a> { chosen_candidates, top_candidates } }

#[derive(Debug, Default)]
pub(super) struct TopCandidates<'a> {
    pub candidates: Few<TokenLogprob<'a>>,
}
readable! { TopCandidates<'a> { candidates } }

#[derive(Debug, Default)]
pub(super) struct TokenLogprob<'a> {
    pub token: Option<Text<'a>>,
    pub log_probability: Option<Raw<'a>>,
}
readable! { camel TokenLogprob<'a> { token, log_probability } }

/// A word of an enumeration. Old clients ask for their numbers instead (`gemini.structured.6cccf0ac7a`), and what a
/// relay asks for is not ours to choose.
#[derive(Debug)]
pub(super) struct Word<'a>(pub Text<'a>);

impl<'a> FromJson<'a> for Word<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Word<'a>, json::Error> {
        let written = reader.value()?.into_span();
        Ok(Word(Text::from_escaped(
            written.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(written),
        )))
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
impl<'a, T: FromJson<'a>> FromJson<'a> for Few<T> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Few<T>, json::Error> {
        let mut few = Few::default();
        if reader.passed_null()? {
            return Ok(few);
        }
        reader.array(&mut |reader| {
            let item = T::from_json(reader)?;
            if few.first.is_none() {
                few.first = Some(item);
            } else {
                few.rest.push(item);
            }
            Ok(())
        })?;
        Ok(few)
    }
}
