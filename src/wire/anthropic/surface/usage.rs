//! Writes `usage`.

use crate::chat::Usage;
use crate::json::Object;
use crate::wire::Closing;
use crate::wire::openai_chat::write_cost;

/// Writes the members of `usage`: input apart from what a cache gave or took, output with thinking within. Cost stands
/// beside them where it is known, as on the other surfaces.
pub(super) fn write(closing: &Closing, object: &mut Object<'_>) {
    let none = Usage::default();
    let usage = closing.usage.as_ref().unwrap_or(&none);
    write_input(usage, object);
    object.number("output_tokens", usage.completion_tokens());
    if let Some(thinking) = usage.output_reasoning {
        object.object("output_tokens_details", |details| {
            details.number("thinking_tokens", thinking);
        });
    }
    if let Some(searches) = usage.tool_requests {
        object.object("server_tool_use", |tools| {
            tools.number("web_search_requests", searches);
        });
    }
    if let Some(tier) = &usage.service_tier {
        object.string("service_tier", tier);
    }
    write_cost(closing.cost.as_ref(), object);
    if usage.estimated {
        object.boolean("estimated", true);
    }
}

/// Writes what is known of the input before the answer is complete.
pub(super) fn write_input(usage: &Usage, object: &mut Object<'_>) {
    let apart = [usage.input_audio, usage.input_image].into_iter().flatten();
    object.number("input_tokens", apart.fold(usage.input_fresh, u64::saturating_add));
    let (short, hour) = (usage.input_cache_write, usage.input_cache_write_1h);
    let written = short.unwrap_or(0).saturating_add(hour.unwrap_or(0));
    object.number("cache_creation_input_tokens", written);
    object.number("cache_read_input_tokens", usage.input_cache_read.unwrap_or(0));
    if short.is_some() || hour.is_some() {
        object.object("cache_creation", |parts| {
            parts.number("ephemeral_5m_input_tokens", short.unwrap_or(0));
            parts.number("ephemeral_1h_input_tokens", hour.unwrap_or(0));
        });
    }
}
