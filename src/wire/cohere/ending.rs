//! Why an answer ended.

use crate::chat::EndKind;
use crate::failure::Failure;
use crate::json::Text;
use crate::wire::error::from_within;

/// The unified reason for a `finish_reason`. Source: <https://docs.cohere.com/reference/chat#response.body.finish_reason>.
pub(super) fn kind(finish_reason: &str) -> EndKind {
    match finish_reason {
        "COMPLETE" | "STOP_SEQUENCE" => EndKind::Stop,
        "MAX_TOKENS" | "ERROR_LIMIT" => EndKind::Length,
        "TOOL_CALL" => EndKind::ToolCalls,
        "ERROR_TOXIC" => EndKind::ContentFilter,
        "ERROR" | "TIMEOUT" => EndKind::Error,
        _ => EndKind::Other,
    }
}

/// The failure that an answer tells of instead of an ending (`cohere.tools-stream.99e67fcab5`): the model failed, and
/// may succeed at the next try.
pub(super) fn failure(error: Option<Text<'_>>, error_type: Option<Text<'_>>) -> Option<Failure> {
    let error = error.filter(|error| !error.is_empty())?;
    let code = error_type.map(|kind| kind.decode().into_owned());
    Some(from_within(None, 502, error.decode().into_owned(), code))
}
