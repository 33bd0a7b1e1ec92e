//! Why an answer ended, and how it failed.

use super::types::Response;
use crate::chat::{EndKind, EndReason};
use crate::failure::Failure;
use crate::json::Text;
use crate::wire::openai_chat::reported;

/// Why an answer ended that did not fail. `called` says whether a tool of the caller's was called.
pub(super) fn reason<'a>(response: &Response<'a>, called: bool) -> EndReason<'a> {
    let status = response.status.clone();
    let why = response.incomplete_details.as_ref().and_then(|details| details.reason.clone());
    let kind = match (status.as_ref().map(Text::escaped), why.as_ref().map(Text::escaped)) {
        (Some("incomplete"), Some("content_filter")) => EndKind::ContentFilter,
        // `max_output_tokens` or its like; whatever it was, the answer is cut.
        (Some("incomplete"), _) => EndKind::Length,
        (Some("completed") | None, _) if called => EndKind::ToolCalls,
        (Some("completed") | None, _) => EndKind::Stop,
        (Some("cancelled"), _) => EndKind::Error,
        _ => EndKind::Other,
    };
    EndReason::new(kind, why.or(status))
}

/// The failure that an answer reports of itself.
pub(super) fn failure(response: &Response<'_>) -> Option<Failure> {
    let failed = response.status.as_ref().is_some_and(|status| status.is("failed"));
    match &response.error {
        Some(error) => Some(reported(error)),
        None if failed => Some(Failure::bad_answer("The provider says that generation failed.")),
        None => None,
    }
}
