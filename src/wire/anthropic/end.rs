//! Why an answer ended.

use crate::chat::EndKind;

/// The unified reason for a `stop_reason`.
///
/// `called` says whether a tool of the caller's was called: structured output goes through a tool of ours, and its
/// `tool_use` is then no call that anybody waits for.
///
/// Source: <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>.
pub(super) fn kind(stop_reason: &str, called: bool) -> EndKind {
    match stop_reason {
        "end_turn" | "stop_sequence" => EndKind::Stop,
        "tool_use" if called => EndKind::ToolCalls,
        "tool_use" => EndKind::Stop,
        "max_tokens" | "model_context_window_exceeded" => EndKind::Length,
        "pause_turn" => EndKind::Paused,
        "refusal" => EndKind::ContentFilter,
        _ => EndKind::Other,
    }
}
