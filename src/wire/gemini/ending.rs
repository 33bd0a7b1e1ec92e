//! Why Gemini stopped, in the hub's words.

use crate::chat::EndKind;
use crate::json::Text;

use super::types::Word;

/// Names of the numbers that stand for the reasons, from one.
const BY_NUMBER: [&str; 11] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
];

/// The word of a `finishReason`; `None` where it says nothing.
pub(super) fn finish_reason(word: Word<'_>) -> Option<Text<'static>> {
    let number = word.0.escaped().parse::<usize>().ok();
    let name = number.and_then(|number| BY_NUMBER.get(number.checked_sub(1)?));
    let reason = name.map_or_else(|| word.0.into_owned(), |name| Text::from_escaped(*name));
    (!matches!(reason.escaped(), "" | "FINISH_REASON_UNSPECIFIED" | "0")).then_some(reason)
}

/// The unified reason for a `finishReason`.
///
/// `STOP` also ends a turn of tool calls; any reason that is new to us is [`EndKind::Other`].
///
/// Source: <https://ai.google.dev/api/generate-content#FinishReason>; `vertex.tools.3f8918ca3c`,
/// `vertex.safety.8657aa7178`.
pub(super) fn end_kind(finish_reason: &str, has_calls: bool) -> EndKind {
    match finish_reason {
        "STOP" if has_calls => EndKind::ToolCalls,
        "STOP" => EndKind::Stop,
        "MAX_TOKENS" => EndKind::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => EndKind::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE"
        | "NO_IMAGE"
        | "IMAGE_OTHER" => EndKind::Error,
        _ => EndKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        for (reason, has_calls, kind) in [
            ("STOP", false, EndKind::Stop),
            ("STOP", true, EndKind::ToolCalls),
            ("MAX_TOKENS", true, EndKind::Length),
            ("SAFETY", false, EndKind::ContentFilter),
            ("LANGUAGE", false, EndKind::ContentFilter),
            ("MALFORMED_FUNCTION_CALL", false, EndKind::Error),
            ("SOMETHING_NEW", false, EndKind::Other),
        ] {
            assert_eq!(end_kind(reason, has_calls), kind, "{reason}");
        }
    }
}
