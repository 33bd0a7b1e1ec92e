//! Changes to what an upstream says, in a whole answer and in a chunk alike.

use std::ops::Range;

use crate::chat::Usage;
use crate::json::{Cursor, Edits, Kind, Member, Raw, SyntaxError, Text};
use crate::wire::Closing;

use super::super::stream::Decoder;
use super::super::types::Function;
use super::super::{finish, tools, usage as counts};

/// What to do to the messages of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'w> {
    /// Take reasoning out.
    pub hide_reasoning: bool,
    /// Put calls right that lack an id or arguments; `None` in streams, where that takes more than one chunk.
    pub calls_of: Option<&'w str>,
    /// Take a message out that repeats beside each delta what was said so far.
    pub no_repeated_message: bool,
    /// What knows which choices end with calls of tools and do not say so, where some do.
    pub hides_calls: Option<&'w Decoder>,
}

/// An object within a text: where it opens, and where its members stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part<'b> {
    pub open: usize,
    pub members: Vec<Member<'b>>,
}

impl<'b> Part<'b> {
    /// The object that comes next. Passes it.
    pub fn of(cursor: &mut Cursor<'b>) -> Result<Part<'b>, SyntaxError> {
        cursor.kind();
        let open = cursor.position();
        Ok(Part { open, members: cursor.spans()? })
    }

    /// The value of this name, as it is written in `text`.
    pub fn value<'t>(&self, text: &'t str, key: &str) -> Option<&'t str> {
        find(&self.members, key).and_then(|member| text.get(member.value.clone()))
    }
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
        let number = || find(&members, "index").and_then(|index| text.get(index.value.clone())?.parse().ok());
        if let Some(reason) = find(&members, "finish_reason") {
            let has_native = find(&members, "native_finish_reason").is_some();
            let calls_tools = wanted.hides_calls.is_some_and(|decoder| decoder.hides_calls(number().unwrap_or(0)));
            let ending = if calls_tools { Ending::Calls } else { Ending::Chunk };
            finish_reason(text, reason.value.clone(), has_native, ending, edits);
        }
        for said in [find(&members, "delta"), find(&members, "message").filter(|_| !has_delta)].into_iter().flatten() {
            let mut cursor = Cursor::at(text, said.value.start);
            if cursor.kind() == Some(Kind::Object) {
                message(text, &Part::of(&mut cursor)?, u32::try_from(index).unwrap_or(0), wanted, edits)?;
            }
        }
        Ok(())
    })
}

/// What says why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A chunk; without a word its choice goes on.
    Chunk,
    /// A whole answer; without a word it has stopped.
    Whole,
    /// What calls tools, by which clients are to know.
    Calls,
}

/// Puts a word that clients know in the place of one that only its vendor has, or by which they do not run the calls of the
/// choice; the vendor's own is told beside it unless it has told more itself.
pub(super) fn finish_reason(text: &str, place: Range<usize>, has_native: bool, ending: Ending, edits: &mut Edits<'_>) {
    let Some(value) = text.get(place.clone()) else { return };
    let word = Raw::parse(value).ok().and_then(|raw| raw.into_text());
    if word.is_none() && ending != Ending::Calls {
        return;
    }
    let word = word.as_ref().map(Text::decode).unwrap_or_default();
    let Some(known) = finish::replacement(&word, ending == Ending::Calls, false) else { return };
    let with = match word.is_empty() && ending == Ending::Chunk {
        true => "null".to_owned(),
        false if has_native => format!("\"{known}\""),
        false => format!("\"{known}\",\"native_finish_reason\":{value}"),
    };
    edits.replace(place, with.into_bytes());
}

/// Changes one message: reasoning under the name that callers know (or not at all), content as a string, calls whole.
pub(super) fn message(
    text: &str,
    message: &Part<'_>,
    choice: u32,
    wanted: Wanted<'_>,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let spoken = |key: &str| message.value(text, key).filter(|value| value.len() > 2 && value.starts_with('"'));
    let split = message.value(text, "content").filter(|content| content.starts_with('[')).map(split_content);
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
    edits.object(message.open, &message.members, is_removed, &inserted);
    match (wanted.calls_of, find(&message.members, "tool_calls")) {
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

/// Puts cost, and the counts that callers may count on, into the upstream's own `usage`: cached tokens are always told,
/// and what a vendor leaves out of its sums is put back in (`xai.tools-stream.11ddfc18c8`,
/// `vercel-gateway.thinking-stream.bf59d1b775`).
pub(super) fn usage_object(
    text: &str,
    usage: &Part<'_>,
    closing: &Closing,
    edits: &mut Edits<'_>,
) -> Result<(), SyntaxError> {
    let told = |key: &str| usage.value(text, key);
    let mut added: Vec<(&str, Vec<u8>)> = Vec::with_capacity(4);
    added.extend(closing.cost.iter().flat_map(counts::cost_members));
    let cached = closing.usage.as_ref().and_then(|usage| usage.input_cache_read).unwrap_or(0);
    let details = told("prompt_tokens_details").filter(|details| details.starts_with('{'));
    let is_chat = told("completion_tokens").is_some();
    if is_chat && details.is_none() {
        added.push(("prompt_tokens_details", format!("{{\"cached_tokens\":{cached}}}").into_bytes()));
    }
    let thought = closing.usage.as_ref().and_then(|usage| usage.output_reasoning);
    if let Some(thought) = thought.filter(|_| told("completion_tokens_details").is_none()) {
        added.push(("completion_tokens_details", format!("{{\"reasoning_tokens\":{thought}}}").into_bytes()));
    }
    for (key, sum) in closing.usage.iter().flat_map(sums) {
        if told(key).is_some_and(|told| told.parse() != Ok(sum)) {
            added.push((key, sum.to_string().into_bytes()));
        }
    }
    let inserted: Vec<(&str, &[u8])> = added.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    let is_replaced = |member: &Member<'_>| inserted.iter().any(|(key, _)| *key == member.key);
    edits.object(usage.open, &usage.members, is_replaced, &inserted);
    match find(&usage.members, "prompt_tokens_details").filter(|_| details.is_some()) {
        Some(details) => cached_tokens(text, details.value.start, cached, edits),
        None => Ok(()),
    }
}

fn sums(usage: &Usage) -> [(&'static str, u64); 3] {
    [
        ("prompt_tokens", usage.prompt_tokens()),
        ("completion_tokens", usage.completion_tokens()),
        ("total_tokens", usage.total_tokens()),
    ]
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
