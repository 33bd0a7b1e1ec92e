//! Writes `usage`.

use crate::chat::Usage;
use crate::json::Object;
use crate::wire::Closing;
use crate::wire::openai_chat::write_cost;

/// Writes the members: what is billed and what the model saw are the same here. Cost stands beside them where it is
/// known, as on the other surfaces.
pub(super) fn write(closing: &Closing, object: &mut Object<'_>) {
    let none = Usage::default();
    let usage = closing.usage.as_ref().unwrap_or(&none);
    for key in ["billed_units", "tokens"] {
        object.object(key, |units| {
            units.number("input_tokens", usage.prompt_tokens()).number("output_tokens", usage.completion_tokens());
            if let (Some(reasoning), "tokens") = (usage.output_reasoning, key) {
                units.number("reasoning_tokens", reasoning);
            }
        });
    }
    if let Some(cached) = usage.input_cache_read {
        object.number("cached_tokens", cached);
    }
    write_cost(closing.cost.as_ref(), object);
    if usage.estimated {
        object.boolean("estimated", true);
    }
}
