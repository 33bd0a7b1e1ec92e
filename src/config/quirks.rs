//! Quirks by name, for servers that depart from their format as some vendor does.

use std::sync::{Mutex, PoisonError};

use super::place::Place;
use crate::provider::{Hosting, OutputCap, Quirks, ReasoningBack, ReasoningParameter, ToolCallIds};

/// Fields of [`Quirks`] that a document may set: all of them, under their own names.
const KNOWN: [&str; 30] = [
    "ends_without_done",
    "ends_without_finish_reason",
    "reasoning_apart",
    "odd_tool_call_deltas",
    "stop_beside_calls",
    "content_arrays",
    "repeated_in_chunks",
    "chat_path",
    "output_cap",
    "short_answers",
    "developer_role",
    "refuses",
    "thinkers_refuse",
    "service_tiers",
    "refuses_in_messages",
    "seed",
    "prefill",
    "tool_call_ids",
    "json_schema",
    "answers_are_objects",
    "null_content",
    "reasoning_control",
    "efforts",
    "thinks_unforced",
    "thoughts_demanded",
    "reasoning_back",
    "routes_itself",
    "signed",
    "states_cost",
    "hosting",
];

const OUTPUT_CAPS: [(&str, OutputCap); 3] = [
    ("max_completion_tokens", OutputCap::MaxCompletionTokens),
    ("max_tokens", OutputCap::MaxTokens),
    ("either", OutputCap::Either),
];

const HOSTINGS: [(&str, Hosting); 3] =
    [("own", Hosting::Own), ("invoke_model", Hosting::InvokeModel), ("publisher_model", Hosting::PublisherModel)];

const PREFILLS: [(&str, Option<&str>); 3] = [("none", None), ("prefix", Some("prefix")), ("partial", Some("partial"))];

const TOOL_CALL_IDS: [(&str, ToolCallIds); 2] =
    [("any", ToolCallIds::Any), ("nine_alphanumerics", ToolCallIds::NineAlphanumerics)];

const REASONING_CONTROLS: [(&str, ReasoningParameter); 5] = [
    ("effort", ReasoningParameter::Effort),
    ("object", ReasoningParameter::Object),
    ("thinking_type", ReasoningParameter::ThinkingType),
    ("thinking_alone", ReasoningParameter::ThinkingAlone),
    ("enable_thinking", ReasoningParameter::EnableThinking),
];

const REASONING_BACK: [(&str, ReasoningBack); 5] = [
    ("nowhere", ReasoningBack::Nowhere),
    ("reasoning_content", ReasoningBack::ReasoningContent),
    ("reasoning", ReasoningBack::Reasoning),
    ("details", ReasoningBack::Details),
    ("content_part", ReasoningBack::ContentPart),
];

const SIGNED: [&str; 4] =
    ["openai-responses-v1", "azure-openai-responses-v1", "openrouter-responses-v1", "xai-responses-v1"];

/// `before` with what is written put in its place.
pub(super) fn read(place: &Place<'_>, before: Quirks) -> Quirks {
    let mut quirks = before;
    for (key, place) in place.members(&KNOWN) {
        match key {
            "ends_without_done" => set(&mut quirks.ends_without_done, place.boolean()),
            "ends_without_finish_reason" => set(&mut quirks.ends_without_finish_reason, place.boolean()),
            "reasoning_apart" => set(&mut quirks.reasoning_apart, place.boolean()),
            "odd_tool_call_deltas" => set(&mut quirks.odd_tool_call_deltas, place.boolean()),
            "stop_beside_calls" => set(&mut quirks.stop_beside_calls, place.boolean()),
            "content_arrays" => set(&mut quirks.content_arrays, place.boolean()),
            "short_answers" => set(&mut quirks.short_answers, place.boolean()),
            "developer_role" => set(&mut quirks.developer_role, place.boolean()),
            "routes_itself" => set(&mut quirks.routes_itself, place.boolean()),
            "states_cost" => set(&mut quirks.states_cost, place.boolean()),
            "json_schema" => set(&mut quirks.json_schema, place.boolean()),
            "answers_are_objects" => set(&mut quirks.answers_are_objects, place.boolean()),
            "null_content" => set(&mut quirks.null_content, place.boolean()),
            "repeated_in_chunks" => quirks.repeated_in_chunks = words(&place),
            "refuses" => quirks.refuses = words(&place),
            "thinkers_refuse" => quirks.thinkers_refuse = words(&place),
            "service_tiers" => quirks.service_tiers = words(&place),
            "refuses_in_messages" => quirks.refuses_in_messages = words(&place),
            "efforts" => quirks.efforts = words(&place),
            "thinks_unforced" => set(&mut quirks.thinks_unforced, place.boolean()),
            "thoughts_demanded" => set(&mut quirks.thoughts_demanded, place.boolean()),
            "chat_path" => set(&mut quirks.chat_path, place.word(&same(["/chat/completions", "/chat"]))),
            "signed" => set(&mut quirks.signed, place.word(&same(SIGNED))),
            "seed" => set(&mut quirks.seed, place.word(&same(["seed", "random_seed"]))),
            "prefill" => set(&mut quirks.prefill, place.word(&PREFILLS)),
            "output_cap" => set(&mut quirks.output_cap, place.word(&OUTPUT_CAPS)),
            "tool_call_ids" => set(&mut quirks.tool_call_ids, place.word(&TOOL_CALL_IDS)),
            "hosting" => set(&mut quirks.hosting, place.word(&HOSTINGS)),
            "reasoning_control" => set(&mut quirks.reasoning_control, place.word(&REASONING_CONTROLS)),
            _ => set(&mut quirks.reasoning_back, place.word(&REASONING_BACK)),
        }
    }
    quirks
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn same<const COUNT: usize>(words: [&'static str; COUNT]) -> [(&'static str, &'static str); COUNT] {
    words.map(|word| (word, word))
}

/// Names of fields.
fn words(place: &Place<'_>) -> &'static [&'static str] {
    kept(place.items(32).iter().filter_map(|item| item.text(64)).collect())
}

/// The same list for as long as the program runs, because rows are constants and so are their lists.
///
/// What is kept is never freed, but each list only once: it grows with the different lists an operator tries within
/// the life of one isolate, each of at most two kilobytes.
fn kept(words: Vec<&str>) -> &'static [&'static str] {
    static KEPT: Mutex<Vec<&'static [&'static str]>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.iter().find(|known| **known == words.as_slice()) {
        return known;
    }
    let words = words.into_iter().map(|word| &*Box::leak(word.to_owned().into_boxed_str()));
    let words: &'static [&'static str] = Vec::leak(words.collect());
    kept.push(words);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_has_a_name_here() {
        let shown = format!("{:#?}", Quirks::NONE);
        let fields = shown.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
        let fields: Vec<&str> = fields.map(|(field, _)| field).filter(|field| !field.starts_with(' ')).collect();
        assert_eq!(fields, KNOWN, "a quirk that no document can set");
    }

    #[test]
    fn a_list_is_kept_once() {
        assert!(std::ptr::eq(kept(vec!["seed", "n"]), kept(vec!["seed", "n"])));
    }
}
