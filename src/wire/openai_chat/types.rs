//! What an upstream sends: a whole completion and a chunk of a stream are one shape.
//!
//! Every member is optional and a member of an unexpected kind is as good as absent, because the many servers that
//! follow this format agree on little more than names. Unknown members are passed by.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::{Raw, Text};

/// A `chat.completion` or a `chat.completion.chunk`.
#[derive(Debug, Deserialize)]
pub struct Completion<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub model: Option<Text<'a>>,
    #[serde(default, deserialize_with = "count")]
    pub created: Option<u64>,
    #[serde(borrow, default)]
    pub choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub usage: Option<Raw<'a>>,
    /// Where one vendor keeps the usage of a stream: `groq.tools-stream.c89399b5b3`.
    #[serde(borrow, default)]
    pub x_groq: Option<Nested<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub service_tier: Option<Text<'a>>,
    /// An error inside of a 200: `openrouter.error-stream.d7b518fdb7`.
    #[serde(borrow, default, deserialize_with = "present")]
    pub error: Option<Raw<'a>>,
    /// Web addresses, where sources are no annotations: `perplexity.web-search-stream.bee0c3f418`.
    #[serde(borrow, default)]
    pub citations: Option<Raw<'a>>,
    /// The same with titles.
    #[serde(borrow, default)]
    pub search_results: Option<Raw<'a>>,
}

/// Usage beside the usual place.
#[derive(Debug, Deserialize)]
pub struct Nested<'a> {
    #[serde(borrow, default, deserialize_with = "object")]
    pub usage: Option<Raw<'a>>,
}

/// One of the alternatives, whole or in part.
#[derive(Debug, Deserialize)]
pub struct Choice<'a> {
    #[serde(default, deserialize_with = "count")]
    pub index: Option<u64>,
    #[serde(borrow, default)]
    pub delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    pub message: Option<Message<'a>>,
    /// Of a legacy completion; beside a delta it repeats it (`together.chat-stream.8ccea12f32`).
    #[serde(borrow, default, deserialize_with = "text")]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub finish_reason: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub native_finish_reason: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub logprobs: Option<Raw<'a>>,
    /// Where one vendor keeps the usage of a stream: `synthetic.moonshot`.
    #[serde(borrow, default, deserialize_with = "object")]
    pub usage: Option<Raw<'a>>,
}

/// What the model says, whole or in part.
#[derive(Debug, Default, Deserialize)]
pub struct Message<'a> {
    /// A string, or an array where thinking is told apart (`mistral.thinking.6c4415f8f4`).
    #[serde(borrow, default)]
    pub content: Option<Raw<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub reasoning_details: Option<Vec<ReasoningDetail<'a>>>,
    #[serde(borrow, default)]
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    pub function_call: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub annotations: Option<Vec<Annotation<'a>>>,
    #[serde(borrow, default)]
    pub audio: Option<Audio<'a>>,
    #[serde(borrow, default)]
    pub images: Option<Vec<Image<'a>>>,
    #[serde(borrow, default)]
    pub extra_content: Option<Extra<'a>>,
}

/// OpenRouter's structured reasoning.
///
/// Source: <https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure>.
#[derive(Debug, Deserialize)]
pub struct ReasoningDetail<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub summary: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub data: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub signature: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub format: Option<Text<'a>>,
    #[serde(default, deserialize_with = "count")]
    pub index: Option<u64>,
}

/// A tool call, whole or in part.
#[derive(Debug, Deserialize)]
pub struct ToolCall<'a> {
    #[serde(default, deserialize_with = "count")]
    pub index: Option<u64>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub function: Option<Function<'a>>,
    /// A tool with free-form input.
    #[serde(borrow, default)]
    pub custom: Option<Custom<'a>>,
    #[serde(borrow, default)]
    pub extra_content: Option<Extra<'a>>,
}

/// The function of a tool call.
#[derive(Debug, Deserialize)]
pub struct Function<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub name: Option<Text<'a>>,
    /// JSON text in a string; some servers write the object itself.
    #[serde(borrow, default)]
    pub arguments: Option<Raw<'a>>,
}

/// The call of a tool with free-form input.
#[derive(Debug, Deserialize)]
pub struct Custom<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub input: Option<Text<'a>>,
}

/// `extra_content.google.thought_signature`: `gemini.tools.651c069baf`.
#[derive(Debug, Deserialize)]
pub struct Extra<'a> {
    #[serde(borrow, default)]
    pub google: Option<Google<'a>>,
}

/// What Google adds to a message or a tool call.
#[derive(Debug, Deserialize)]
pub struct Google<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub thought_signature: Option<Text<'a>>,
}

/// A source of what was said.
#[derive(Debug, Deserialize)]
pub struct Annotation<'a> {
    #[serde(borrow, default)]
    pub url_citation: Option<UrlCitation<'a>>,
}

/// A source on the web.
#[derive(Debug, Deserialize)]
pub struct UrlCitation<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub url: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub title: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub content: Option<Text<'a>>,
    #[serde(default, deserialize_with = "count")]
    pub start_index: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    pub end_index: Option<u64>,
}

/// Generated speech, whole or in part.
#[derive(Debug, Deserialize)]
pub struct Audio<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub data: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub transcript: Option<Text<'a>>,
    #[serde(default, deserialize_with = "count")]
    pub expires_at: Option<u64>,
}

/// A generated picture, as OpenRouter has it.
#[derive(Debug, Deserialize)]
pub struct Image<'a> {
    #[serde(borrow, default)]
    pub image_url: Option<ImageUrl<'a>>,
}

/// Where a generated picture is: usually a data URL.
#[derive(Debug, Deserialize)]
pub struct ImageUrl<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub url: Option<Text<'a>>,
}

/// A string; anything else is as good as absent.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text<'de>>, D::Error> {
    Ok(Text::from_raw(<&'de RawValue>::deserialize(deserializer)?))
}

/// A number of things; anything else, and less than nothing, is as good as absent.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    Ok(read_count(raw.get()))
}

/// An object; anything else is as good as absent.
pub fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Raw<'de>>, D::Error> {
    Ok(Some(Raw::deserialize(deserializer)?).filter(Raw::is_object))
}

/// Anything but `null`.
pub fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Raw<'de>>, D::Error> {
    Ok(Some(Raw::deserialize(deserializer)?).filter(|raw| !raw.is_null()))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
fn read_count(number: &str) -> Option<u64> {
    number.parse().ok().or_else(|| Some(number.parse::<f64>().ok().filter(|count| *count >= 0.0)? as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_another_kind_are_as_good_as_absent() {
        let json = r#"{"id":5,"created":1.5e9,"choices":null,"usage":"none","error":null,"service_tier":{}}"#;
        let read: Completion<'_> = serde_json::from_str(json).expect("tolerated");
        assert!(read.id.is_none() && read.choices.is_none() && read.usage.is_none() && read.error.is_none());
        assert_eq!(read.created, Some(1_500_000_000));
    }
}
