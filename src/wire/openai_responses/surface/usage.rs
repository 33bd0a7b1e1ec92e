//! Writes `usage`.

use crate::chat::Usage;
use crate::json::Object;
use crate::wire::Closing;
use crate::wire::openai_chat::write_cost;

/// Writes the members of `usage`: cached input within the input, reasoning within the output. Cost stands beside them
/// where it is known, as on the other surfaces.
pub(super) fn write(usage: &Usage, closing: &Closing, object: &mut Object<'_>) {
    object.number("input_tokens", usage.prompt_tokens()).object("input_tokens_details", |details| {
        details.number("cached_tokens", usage.input_cache_read.unwrap_or(0));
        let written = [usage.input_cache_write, usage.input_cache_write_1h];
        if written.iter().any(Option::is_some) {
            details.number("cache_write_tokens", written.iter().flatten().sum::<u64>());
        }
    });
    object.number("output_tokens", usage.completion_tokens()).object("output_tokens_details", |details| {
        details.number("reasoning_tokens", usage.output_reasoning.unwrap_or(0));
    });
    object.number("total_tokens", usage.total_tokens());
    write_cost(closing.cost.as_ref(), object);
    if usage.estimated {
        object.boolean("estimated", true);
    }
}
