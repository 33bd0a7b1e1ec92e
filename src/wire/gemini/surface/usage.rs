//! Writes `usageMetadata`.

use crate::chat::Usage;
use crate::json::Object;
use crate::wire::Closing;
use crate::wire::openai_chat::write_cost;

/// Writes the members: cached tokens within the prompt, thoughts beside the candidates. Cost stands with them where it
/// is known, as on the other surfaces.
pub(super) fn write(closing: &Closing, object: &mut Object<'_>) {
    let none = Usage::default();
    let usage = closing.usage.as_ref().unwrap_or(&none);
    let thoughts = usage.output_reasoning;
    object.number("promptTokenCount", usage.prompt_tokens());
    object.number("candidatesTokenCount", usage.completion_tokens().saturating_sub(thoughts.unwrap_or(0)));
    object.number("totalTokenCount", usage.total_tokens());
    for (key, count) in [("cachedContentTokenCount", usage.input_cache_read), ("thoughtsTokenCount", thoughts)] {
        if let Some(count) = count {
            object.number(key, count);
        }
    }
    for (key, parts) in [
        ("promptTokensDetails", [("AUDIO", usage.input_audio), ("IMAGE", usage.input_image)]),
        ("candidatesTokensDetails", [("AUDIO", usage.output_audio), ("IMAGE", usage.output_image)]),
    ] {
        if parts.iter().any(|(_, count)| count.is_some()) {
            object.array(key, |list| {
                for (modality, count) in parts {
                    if let Some(count) = count {
                        list.object(|detail| {
                            detail.string("modality", modality).number("tokenCount", count);
                        });
                    }
                }
            });
        }
    }
    write_cost(closing.cost.as_ref(), object);
    if usage.estimated {
        object.boolean("estimated", true);
    }
}
