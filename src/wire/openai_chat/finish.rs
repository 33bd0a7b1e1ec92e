//! Why a choice ended, in OpenAI's word and ours.

use crate::chat::{EndKind, EndReason};
use crate::json::Text;

/// Our word for what an upstream wrote. Unknown words are [`EndKind::Other`]: new ones keep coming.
#[must_use]
pub fn read(word: &str) -> EndKind {
    let word = word.to_ascii_lowercase();
    // Gemini says behind it which filter it was: `content_filter: RECITATION`.
    match word.split_once(':').map_or(word.as_str(), |(word, _)| word) {
        // `eos`: together.chat-stream.8ccea12f32; `eos_token`: huggingface.chat-stream.535199531c.
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "complete" => EndKind::Stop,
        // `model_length` is Mistral's, for the end of the context.
        "length" | "max_tokens" | "model_length" => EndKind::Length,
        // `tool_call`: Azure's hosted models; `function_call`: openai.tools.ba48abf73f.
        "tool_calls" | "tool_call" | "function_call" | "tool_use" => EndKind::ToolCalls,
        // `sensitive` is Z.ai's.
        "content_filter" | "safety" | "refusal" | "sensitive" => EndKind::ContentFilter,
        // `abort` is vLLM's and SGLang's, `network_error` Z.ai's, the next DeepSeek's, and the last Gemini's for a call that it
        // cannot read.
        "error" | "abort" | "network_error" | "insufficient_system_resource" | "function_call_filter" => EndKind::Error,
        _ => EndKind::Other,
    }
}

/// Whether what an upstream names beside the end is a stop of the caller's: some put another word for the end there, or
/// the mark by which the model itself ends.
#[must_use]
pub fn is_stop(stop: &str) -> bool {
    let is_word = (!stop.contains(':') && read(stop) != EndKind::Other)
        || matches!(stop, "" | "pause_turn" | "model_context_window_exceeded");
    !is_word && !stop.starts_with("<|")
}

/// OpenAI's word for ours. A choice that calls tools says so even if its upstream said `stop`, because clients decide
/// by this word whether to run them.
#[must_use]
pub fn write(kind: EndKind, calls_tools: bool) -> &'static str {
    match kind {
        EndKind::Stop | EndKind::Other if calls_tools => "tool_calls",
        EndKind::Stop | EndKind::Paused | EndKind::Other => "stop",
        EndKind::Length => "length",
        EndKind::ToolCalls => "tool_calls",
        EndKind::ContentFilter => "content_filter",
        EndKind::Error => "error",
    }
}

/// What stands in an upstream's own answer in the place of the word by which it ends a choice, where clients would go wrong
/// by that. They do not run the calls of a choice that says `stop`, which `keeps_stop` leaves to those who mean it. They stop
/// at words that OpenAI does not have, "Unknown
/// ChatFinishReason value. Actual value was eos" (<https://github.com/openai/openai-dotnet/pull/267>), and at an empty one in
/// chunks that end nothing (<https://github.com/spring-projects/spring-ai/issues/2645>).
#[must_use]
pub fn replacement(word: &str, calls_tools: bool, keeps_stop: bool) -> Option<&'static str> {
    let kind = if word.is_empty() { EndKind::Stop } else { read(word) };
    let known = write(kind, calls_tools);
    match word {
        "stop" if keeps_stop || !calls_tools => None,
        // The last is the word for calls of the format before tools.
        "length" | "tool_calls" | "content_filter" | "error" | "function_call" => None,
        _ => Some(known),
    }
}

/// The end of a choice: `word` as the upstream gave it, `native` as a router quotes its own upstream. Without any word
/// (`snowflake.chat-stream.f7e08e347b`) the choice has stopped.
#[must_use]
pub fn reason<'a>(word: Option<Text<'a>>, native: Option<Text<'a>>, calls_tools: bool) -> EndReason<'a> {
    let kind = match word.as_ref().map_or(EndKind::Stop, |word| read(&word.decode())) {
        EndKind::Stop if calls_tools => EndKind::ToolCalls,
        kind => kind,
    };
    EndReason::new(kind, native.or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks_are_no_stops_of_the_callers() {
        for word in ["", "stop", "end_turn", "EOS", "pause_turn", "model_context_window_exceeded", "<|eot_id|>"] {
            assert!(!is_stop(word), "{word}");
        }
        for stop in ["</block>", "Error:", "length: 3", "\\n\\n"] {
            assert!(is_stop(stop), "{stop}");
        }
    }
}
