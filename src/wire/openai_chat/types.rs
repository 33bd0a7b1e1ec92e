//! What an upstream sends: a whole completion and a chunk of a stream are one shape.
//!
//! Every member is optional and a member of an unexpected kind is as good as absent, because the many servers that
//! follow this format agree on little more than names. Unknown members are passed by.

use crate::json::{self, Raw, Reader, Text, readable};

/// A `chat.completion` or a `chat.completion.chunk`.
#[derive(Debug, Default)]
pub struct Completion<'a> {
    pub id: Option<Text<'a>>,
    pub model: Option<Text<'a>>,
    pub created: Option<u64>,
    pub choices: Option<Vec<Choice<'a>>>,
    pub usage: Option<Raw<'a>>,
    /// Where one vendor keeps the usage of a stream: `groq.tools-stream.c89399b5b3`.
    pub x_groq: Option<Nested<'a>>,
    pub service_tier: Option<Text<'a>>,
    /// An error inside of a 200: `openrouter.error-stream.d7b518fdb7`.
    pub error: Option<Raw<'a>>,
    /// Web addresses, where sources are no annotations: `perplexity.web-search-stream.bee0c3f418`.
    pub citations: Option<Raw<'a>>,
    /// The same with titles.
    pub search_results: Option<Raw<'a>>,
}
readable! { Completion<'a> {
    id: text, model: text, created: count, choices, usage: object, x_groq, service_tier: text, error: present,
    citations, search_results,
} }

/// Usage beside the usual place.
#[derive(Debug, Default)]
pub struct Nested<'a> {
    pub usage: Option<Raw<'a>>,
}
readable! { Nested<'a> { usage: object } }

/// One of the alternatives, whole or in part.
#[derive(Debug, Default)]
pub struct Choice<'a> {
    pub index: Option<u64>,
    pub delta: Option<Message<'a>>,
    pub message: Option<Message<'a>>,
    /// Of a legacy completion; beside a delta it repeats it (`together.chat-stream.8ccea12f32`).
    pub text: Option<Text<'a>>,
    pub finish_reason: Option<Text<'a>>,
    pub native_finish_reason: Option<Text<'a>>,
    /// The stop that ended it: vLLM's word (`synthetic.vllm`), by number where it was a token.
    pub stop_reason: Option<Text<'a>>,
    /// The same, SGLang's (`azure.chat-stream.880fb31cf5`).
    pub matched_stop: Option<Text<'a>>,
    pub logprobs: Option<Raw<'a>>,
    /// Where one vendor keeps the usage of a stream: `synthetic.moonshot`.
    pub usage: Option<Raw<'a>>,
}
readable! { Choice<'a> {
    index: count, delta, message, text: text, finish_reason: text, native_finish_reason: text, stop_reason: text,
    matched_stop: text, logprobs: object, usage: object,
} }

/// What the model says, whole or in part.
#[derive(Debug, Default)]
pub struct Message<'a> {
    /// A string, or an array where thinking is told apart (`mistral.thinking.6c4415f8f4`).
    pub content: Option<Raw<'a>>,
    pub refusal: Option<Text<'a>>,
    pub reasoning_content: Option<Text<'a>>,
    pub reasoning: Option<Text<'a>>,
    pub reasoning_details: Option<Vec<ReasoningDetail<'a>>>,
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    pub function_call: Option<Function<'a>>,
    pub annotations: Option<Vec<Annotation<'a>>>,
    pub audio: Option<Audio<'a>>,
    pub images: Option<Vec<Image<'a>>>,
    pub extra_content: Option<Extra<'a>>,
}
readable! { Message<'a> {
    content, refusal: text, reasoning_content: text, reasoning: text, reasoning_details, tool_calls, function_call,
    annotations, audio, images, extra_content,
} }

/// OpenRouter's structured reasoning.
///
/// Source: <https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure>.
#[derive(Debug, Default)]
pub struct ReasoningDetail<'a> {
    pub text: Option<Text<'a>>,
    pub summary: Option<Text<'a>>,
    pub data: Option<Text<'a>>,
    pub signature: Option<Text<'a>>,
    pub id: Option<Text<'a>>,
    pub format: Option<Text<'a>>,
    pub index: Option<u64>,
}
readable! { ReasoningDetail<'a> {
    text: text, summary: text, data: text, signature: text, id: text, format: text, index: count,
} }

/// A tool call, whole or in part.
#[derive(Debug, Default)]
pub struct ToolCall<'a> {
    pub index: Option<u64>,
    pub id: Option<Text<'a>>,
    pub function: Option<Function<'a>>,
    /// A tool with free-form input.
    pub custom: Option<Custom<'a>>,
    pub extra_content: Option<Extra<'a>>,
}
readable! { ToolCall<'a> { index: count, id: text, function, custom, extra_content } }

/// The function of a tool call.
#[derive(Debug, Default)]
pub struct Function<'a> {
    pub name: Option<Text<'a>>,
    /// JSON text in a string; some servers write the object itself.
    pub arguments: Option<Raw<'a>>,
}
readable! { Function<'a> { name: text, arguments } }

/// The call of a tool with free-form input.
#[derive(Debug, Default)]
pub struct Custom<'a> {
    pub name: Option<Text<'a>>,
    pub input: Option<Text<'a>>,
}
readable! { Custom<'a> { name: text, input: text } }

/// `extra_content.google.thought_signature`: `gemini.tools.651c069baf`.
#[derive(Debug, Default)]
pub struct Extra<'a> {
    pub google: Option<Google<'a>>,
}
readable! { Extra<'a> { google } }

/// What Google adds to a message or a tool call.
#[derive(Debug, Default)]
pub struct Google<'a> {
    pub thought_signature: Option<Text<'a>>,
}
readable! { Google<'a> { thought_signature: text } }

/// A source of what was said.
#[derive(Debug, Default)]
pub struct Annotation<'a> {
    pub url_citation: Option<UrlCitation<'a>>,
}
readable! { Annotation<'a> { url_citation } }

/// A source on the web.
#[derive(Debug, Default)]
pub struct UrlCitation<'a> {
    pub url: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
    pub content: Option<Text<'a>>,
    pub start_index: Option<u64>,
    pub end_index: Option<u64>,
}
readable! { UrlCitation<'a> { url: text, title: text, content: text, start_index: count, end_index: count } }

/// Generated speech, whole or in part.
#[derive(Debug, Default)]
pub struct Audio<'a> {
    pub id: Option<Text<'a>>,
    pub data: Option<Text<'a>>,
    pub transcript: Option<Text<'a>>,
    pub expires_at: Option<u64>,
}
readable! { Audio<'a> { id: text, data: text, transcript: text, expires_at: count } }

/// A generated picture, as OpenRouter has it.
#[derive(Debug, Default)]
pub struct Image<'a> {
    pub image_url: Option<ImageUrl<'a>>,
}
readable! { Image<'a> { image_url } }

/// Where a generated picture is: usually a data URL.
#[derive(Debug, Default)]
pub struct ImageUrl<'a> {
    pub url: Option<Text<'a>>,
}
readable! { ImageUrl<'a> { url: text } }

/// A string; anything else is as good as absent.
pub fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<Text<'a>>, json::Error> {
    Ok(reader.value()?.into_text())
}

/// A number of things; anything else, and less than nothing, is as good as absent.
pub fn count(reader: &mut Reader<'_>) -> Result<Option<u64>, json::Error> {
    Ok(read_count(reader.value()?.get()))
}

/// An object; anything else is as good as absent.
pub fn object<'a>(reader: &mut Reader<'a>) -> Result<Option<Raw<'a>>, json::Error> {
    Ok(Some(reader.value()?).filter(Raw::is_object))
}

/// Anything but `null`.
pub fn present<'a>(reader: &mut Reader<'a>) -> Result<Option<Raw<'a>>, json::Error> {
    Ok(Some(reader.value()?).filter(|raw| !raw.is_null()))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
fn read_count(number: &str) -> Option<u64> {
    number.parse().ok().or_else(|| Some(json::read_float(number).filter(|count| *count >= 0.0)? as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_another_kind_are_as_good_as_absent() {
        let json = r#"{"id":5,"created":1.5e9,"choices":null,"usage":"none","error":null,"service_tier":{}}"#;
        let read: Completion<'_> = crate::json::from_str(json).expect("tolerated");
        assert!(read.id.is_none() && read.choices.is_none() && read.usage.is_none() && read.error.is_none());
        assert_eq!(read.created, Some(1_500_000_000));
    }
}
