//! Writes `usage`.

use crate::chat::Usage;
use crate::json::Object;
use crate::wire::Closing;
use crate::wire::openai_chat::write_cost;

/// Writes the members: input apart from what a cache gave or took, output with thinking within. Cost stands beside them
/// where it is known, as on the other surfaces.
pub(super) fn write(closing: &Closing, object: &mut Object<'_>) {
    let none = Usage::default();
    let usage = closing.usage.as_ref().unwrap_or(&none);
    let (short, hour) = (usage.input_cache_write, usage.input_cache_write_1h);
    let written = short.unwrap_or(0).saturating_add(hour.unwrap_or(0));
    let read = usage.input_cache_read.unwrap_or(0);
    let fresh = usage.prompt_tokens().saturating_sub(written).saturating_sub(read);
    object.number("inputTokens", fresh).number("outputTokens", usage.completion_tokens());
    object.number("totalTokens", usage.total_tokens());
    if usage.input_cache_read.is_some() || short.is_some() || hour.is_some() {
        object.number("cacheReadInputTokens", read).number("cacheWriteInputTokens", written);
    }
    if hour.is_some() {
        object.array("cacheDetails", |details| {
            for (ttl, tokens) in [("5m", short), ("1h", hour)] {
                details.object(|detail| {
                    detail.string("ttl", ttl).number("inputTokens", tokens.unwrap_or(0));
                });
            }
        });
    }
    write_cost(closing.cost.as_ref(), object);
    if usage.estimated {
        object.boolean("estimated", true);
    }
}
