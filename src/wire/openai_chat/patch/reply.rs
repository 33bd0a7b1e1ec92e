//! Changes to what an upstream says, in a whole answer and in a chunk alike.

use crate::json::{Cursor, Edits, Kind, Member, Object, Raw, SyntaxError, Text};
use crate::wire::Closing;

use super::super::types::Function;
use super::super::{tools, usage};

/// What to do to the messages of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'w> {
    /// Take reasoning out.
    pub hide_reasoning: bool,
    /// Put calls right that lack an id or arguments; `None` in streams, where that takes more than one chunk.
    pub calls_of: Option<&'w str>,
    /// Take a message out that repeats beside each delta what was said so far.
    pub no_repeated_message: bool,
}

/// Changes every message or delta of `choices`, which stands at `position`.
pub(super) fn choices(
    text: &str,
    position: usize,
    wanted: Wanted<'_>,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        let open = cursor.position();
        let members = cursor.spans()?;
        let has_delta = find(&members, "delta").is_some();
        if wanted.no_repeated_message && has_delta {
            edits.object(open, &members, |member| member.key == "message", &[]);
        }
        for said in [find(&members, "delta"), find(&members, "message").filter(|_| !has_delta)].into_iter().flatten() {
            message(text, said.value.start, u32::try_from(index).unwrap_or(0), wanted, edits)?;
        }
        Ok(())
    })
}

/// Changes one message: reasoning under the name that callers know (or not at all), content as a string, calls whole.
fn message(
    text: &str,
    position: usize,
    choice: u32,
    wanted: Wanted<'_>,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Object) {
        return Ok(());
    }
    let open = cursor.position();
    let members = cursor.spans()?;
    let value = |key: &str| find(&members, key).and_then(|member| text.get(member.value.clone()));
    let spoken = |key: &str| value(key).filter(|value| value.len() > 2 && value.starts_with('"'));
    let split = value("content").filter(|content| content.starts_with('[')).map(split_content);
    let mut inserted: Vec<(&str, &[u8])> = Vec::new();
    if let Some((said, _)) = &split {
        inserted.push(("content", said));
    }
    let thought = split.as_ref().map(|(_, thought)| thought.as_slice()).filter(|thought| thought.len() > 2);
    let thought = thought.or(spoken("reasoning").map(str::as_bytes));
    let adds_reasoning = !wanted.hide_reasoning && spoken("reasoning_content").is_none();
    if let Some(thought) = thought.filter(|_| adds_reasoning) {
        inserted.push(("reasoning_content", thought));
    }
    let is_removed = |member: &Member<'_>| match &*member.key {
        "reasoning_content" => wanted.hide_reasoning || inserted.iter().any(|(key, _)| *key == "reasoning_content"),
        "reasoning" | "reasoning_details" => wanted.hide_reasoning,
        "content" => split.is_some(),
        _ => false,
    };
    edits.object(open, &members, is_removed, &inserted);
    match (wanted.calls_of, find(&members, "tool_calls")) {
        (Some(answer_id), Some(calls)) => tool_calls(text, calls.value.start, answer_id, choice, edits),
        _ => Ok(()),
    }
}

/// The text and the thinking of content in the form of an array, as two JSON strings.
fn split_content(content: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut said, mut thought) = (Text::EMPTY, Text::EMPTY);
    if let Ok(raw) = Raw::parse(content) {
        super::super::stream::each_part(
            &raw,
            |thinking, text| {
                if thinking { thought.push(&text) } else { said.push(&text) }
            },
        );
    }
    [said, thought]
        .map(|text| {
            let mut out = Vec::with_capacity(text.escaped().len() + 2);
            text.write(&mut out);
            out
        })
        .into()
}

/// Gives whole calls the id and the arguments that clients count on.
fn tool_calls(
    text: &str,
    position: usize,
    answer_id: &str,
    choice: u32,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    cursor.items(|index, cursor| {
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        let open = cursor.position();
        let members = cursor.spans()?;
        let value = |key: &str| find(&members, key).and_then(|member| text.get(member.value.clone()));
        if value("id").is_none_or(|id| id.len() <= 2 || !id.starts_with('"')) {
            let mut id = Vec::new();
            tools::mint(answer_id, choice, index).write(&mut id);
            edits.object(open, &members, |member| member.key == "id", &[("id", &id)]);
        }
        let Some(function) = find(&members, "function") else { return Ok(()) };
        let read = text.get(function.value.clone()).and_then(|json| crate::json::from_str::<Function<'_>>(json).ok());
        let Some(read) = read else { return Ok(()) };
        let arguments = tools::arguments(&read);
        if arguments.is_none() || tools::odd(&read) {
            let mut spelled = Vec::new();
            arguments.unwrap_or(Text::from_escaped("{}")).write(&mut spelled);
            let open = function.value.start;
            let members = Cursor::at(text, open).spans()?;
            edits.object(open, &members, |member| member.key == "arguments", &[("arguments", &spelled)]);
        }
        Ok(())
    })
}

/// Puts cost, and the counts that callers may count on, into the upstream's own usage object at `position`: cached
/// tokens are always told, and what a vendor leaves out of its sums is put back in (`xai.tools-stream.11ddfc18c8`,
/// `vercel-gateway.thinking-stream.bf59d1b775`).
pub(super) fn usage_object(
    text: &str,
    position: usize,
    closing: &Closing,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    let members = cursor.spans()?;
    let mut added = Vec::new();
    let mut object = Object::open(&mut added);
    usage::write_cost(closing.cost.as_ref(), &mut object);
    object.close();
    let costs = Cursor::new(&added)?.spans()?;
    let mut inserted: Vec<(&str, &[u8])> =
        costs.iter().filter_map(|member| Some((member.key.as_ref(), added.get(member.value.clone())?))).collect();
    let cached = closing.usage.as_ref().and_then(|usage| usage.input_cache_read).unwrap_or(0);
    let counted = format!("{{\"cached_tokens\":{cached}}}");
    let details = find(&members, "prompt_tokens_details");
    let no_details = details.is_none_or(|member| !text.get(member.value.clone()).unwrap_or_default().starts_with('{'));
    let is_chat = find(&members, "completion_tokens").is_some();
    if is_chat && no_details {
        inserted.push(("prompt_tokens_details", counted.as_bytes()));
    }
    let thought = closing.usage.as_ref().and_then(|usage| usage.output_reasoning);
    let thought = thought.map(|thought| format!("{{\"reasoning_tokens\":{thought}}}"));
    if let Some(thought) = thought.as_ref().filter(|_| find(&members, "completion_tokens_details").is_none()) {
        inserted.push(("completion_tokens_details", thought.as_bytes()));
    }
    let sums = sums(closing);
    let told = |key: &str| find(&members, key).and_then(|member| text.get(member.value.clone()));
    let corrected = sums.iter().filter(|(key, sum)| told(key).is_some_and(|told| told != sum));
    inserted.extend(corrected.map(|(key, sum)| (*key, sum.as_bytes())));
    let is_replaced = |member: &Member<'_>| inserted.iter().any(|(key, _)| *key == member.key);
    edits.object(position, &members, is_replaced, &inserted);
    match details.filter(|_| !no_details) {
        Some(details) => cached_tokens(text, details.value.start, cached, edits),
        None => Ok(()),
    }
}

fn sums(closing: &Closing) -> Vec<(&'static str, String)> {
    let Some(usage) = &closing.usage else { return Vec::new() };
    [
        ("prompt_tokens", usage.prompt_tokens()),
        ("completion_tokens", usage.completion_tokens()),
        ("total_tokens", usage.total_tokens()),
    ]
    .map(|(key, sum)| (key, sum.to_string()))
    .into()
}

fn cached_tokens(text: &str, position: usize, cached: u64, edits: &mut Edits<'_>) -> Result<(), SyntaxError> {
    let members = Cursor::at(text, position).spans()?;
    let told = find(&members, "cached_tokens").and_then(|member| text.get(member.value.clone()));
    if told.is_none_or(|told| told == "null") {
        let cached = cached.to_string();
        let inserted: [(&str, &[u8]); 1] = [("cached_tokens", cached.as_bytes())];
        edits.object(position, &members, |member| member.key == "cached_tokens", &inserted);
    }
    Ok(())
}

/// The last member of this name, which is the one that readers go by.
pub(super) fn find<'m, 'a>(members: &'m [Member<'a>], key: &str) -> Option<&'m Member<'a>> {
    members.iter().rev().find(|member| member.key == key)
}
