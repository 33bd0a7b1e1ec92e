//! Why an answer ended.

use crate::chat::EndKind;

/// The unified reason for a `stopReason`. `called` says whether a tool of the caller's was called: structured output
/// goes through a tool of ours.
///
/// Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
pub(super) fn kind(stop_reason: &str, called: bool) -> EndKind {
    match stop_reason {
        "end_turn" | "stop_sequence" => EndKind::Stop,
        "tool_use" if called => EndKind::ToolCalls,
        "tool_use" => EndKind::Stop,
        "max_tokens" | "model_context_window_exceeded" => EndKind::Length,
        "guardrail_intervened" | "content_filtered" | "refusal" => EndKind::ContentFilter,
        "malformed_model_output" | "malformed_tool_use" => EndKind::Error,
        "pause_turn" => EndKind::Paused,
        _ => EndKind::Other,
    }
}
