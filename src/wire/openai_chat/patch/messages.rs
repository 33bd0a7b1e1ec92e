//! Messages and tools of a request.

use crate::failure::Failure;
use crate::json::{self, Array, Cursor, Edits, Kind, Member, Object, Raw, SyntaxError};
use crate::provider::{Quirks, ReasoningBack, ToolCallIds};
use crate::wire::carried::MARK;
use crate::wire::{Adjusted, Change};

use super::super::{NO_THOUGHT, ids};
use super::reply::find;

/// What a model without schemas is told instead.
#[must_use]
pub(in super::super) fn schema_in_words(schema: &str) -> String {
    format!("Answer with a JSON object that matches this JSON Schema, and with nothing else:\n{schema}")
}

/// Changes what the vendor would refuse or misread in the messages at `position`. Nothing is walked that holds none of
/// it.
pub(super) fn patch(
    text: &str,
    position: usize,
    quirks: &Quirks,
    unmarks: bool,
    edits: &mut Edits<'_>,
    adjusted: &mut Adjusted,
) -> Result<(), Failure> {
    let mut cursor = Cursor::at(text, position);
    let written = cursor.value()?;
    // A key may be written with escapes, which no client does; then it stays as it is.
    let ours = [
        MARK,
        if quirks.developer_role { "" } else { "developer" },
        if quirks.tool_call_ids == ToolCallIds::Any { "" } else { "tool_call" },
        if quirks.reasoning_back == ReasoningBack::Details { "" } else { "reasoning" },
        if unmarks { "cache_control" } else { "" },
        if quirks.thoughts_demanded { "assistant" } else { "" },
    ];
    let changes = json::quotes(written.get().as_bytes(), &[&ours, quirks.refuses_in_messages]);
    let mut cursor = Cursor::at(text, position);
    if !changes || cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    cursor.items(|_, cursor| {
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        let open = cursor.position();
        let members = cursor.spans()?;
        let message = Message { text, open, members: &members, quirks };
        message.role(edits);
        message.ids(edits)?;
        message.reasoning(unmarks, edits, adjusted);
        message.unseal(edits, adjusted)?;
        if let Some(content) = find(&members, "content").filter(|_| unmarks) {
            unmark(text, content.value.start, edits, adjusted)?;
        }
        Ok::<(), SyntaxError>(())
    })?;
    Ok(())
}

/// Takes cache marks off the objects of an array.
pub(super) fn unmark(
    text: &str,
    position: usize,
    edits: &mut Edits<'_>,
    adjusted: &mut Adjusted,
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    if cursor.kind() != Some(Kind::Array) {
        return Ok(());
    }
    cursor.items(|_, cursor| {
        if cursor.kind() != Some(Kind::Object) {
            return cursor.value().map(drop);
        }
        let open = cursor.position();
        let members = cursor.spans()?;
        if find(&members, "cache_control").is_some() {
            adjusted.note("cache_control", Change::Dropped);
            edits.object(open, &members, |member| member.key == "cache_control", &[]);
        }
        Ok(())
    })
}

struct Message<'m> {
    text: &'m str,
    open: usize,
    members: &'m [Member<'m>],
    quirks: &'m Quirks,
}

impl Message<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        find(self.members, key).and_then(|member| self.text.get(member.value.clone()))
    }

    fn role(&self, edits: &mut Edits<'_>) {
        let role = find(self.members, "role").filter(|_| self.value("role") == Some("\"developer\""));
        if let Some(role) = role.filter(|_| !self.quirks.developer_role) {
            edits.replace(role.value.clone(), &b"\"system\""[..]);
        }
    }

    /// Ids of calls and of their results, spelled as the vendor wants them.
    fn ids(&self, edits: &mut Edits<'_>) -> Result<(), SyntaxError> {
        if self.quirks.tool_call_ids == ToolCallIds::Any {
            return Ok(());
        }
        let mut respell = |id: &Member<'_>| {
            let inside = self.text.get(id.value.clone()).and_then(|id| id.strip_prefix('"')?.strip_suffix('"'));
            if let Some(id_text) = inside {
                edits.replace(id.value.clone(), format!("\"{}\"", ids::nine(id_text)).into_bytes());
            }
        };
        if let Some(id) = find(self.members, "tool_call_id") {
            respell(id);
        }
        let Some(calls) = find(self.members, "tool_calls") else { return Ok(()) };
        let mut cursor = Cursor::at(self.text, calls.value.start);
        if cursor.kind() != Some(Kind::Array) {
            return Ok(());
        }
        cursor.items(|_, cursor| {
            if cursor.kind() != Some(Kind::Object) {
                return cursor.value().map(drop);
            }
            let members = cursor.spans()?;
            if let Some(id) = find(&members, "id") {
                respell(id);
            }
            Ok(())
        })
    }

    /// Earlier reasoning goes where the vendor wants it back, if anywhere.
    fn reasoning(&self, unmarks: bool, edits: &mut Edits<'_>, adjusted: &mut Adjusted) {
        let told = |key: &str| self.value(key).filter(|value| value.len() > 2 && value.starts_with('"'));
        let thought = told("reasoning_content").or(told("reasoning"));
        let wanted = match self.quirks.reasoning_back {
            ReasoningBack::Details => "",
            ReasoningBack::Nowhere | ReasoningBack::ContentPart => "none",
            ReasoningBack::ReasoningContent => "reasoning_content",
            ReasoningBack::Reasoning => "reasoning",
        };
        let mut inserted: Vec<(&str, Vec<u8>)> = Vec::new();
        if let Some(thought) = thought.filter(|_| self.quirks.reasoning_back == ReasoningBack::ContentPart) {
            inserted.extend(content_part(thought, self.value("content")).map(|content| ("content", content)));
        }
        if let Some(thought) = thought.filter(|_| wanted.starts_with("reasoning") && told(wanted).is_none()) {
            inserted.push((wanted, thought.as_bytes().to_vec()));
        }
        if self.value("role") == Some("\"assistant\"") {
            if self.quirks.thoughts_demanded && thought.is_none() {
                inserted.push((wanted, format!("\"{NO_THOUGHT}\"").into_bytes()));
            }
            // What a model would not say is what it said, where there is no place of its own for it.
            let said = self.value("content").is_some_and(|content| content != "null");
            if let Some(refusal) = told("refusal").filter(|_| !said && self.refuses("refusal")) {
                inserted.push(("content", refusal.as_bytes().to_vec()));
            }
        }
        let is_removed = |member: &Member<'_>| {
            let key = &*member.key;
            let elsewhere = matches!(key, "reasoning_content" | "reasoning" | "reasoning_details") && key != wanted;
            (elsewhere && !wanted.is_empty())
                || inserted.iter().any(|(new, _)| *new == key)
                || (unmarks && key == "cache_control")
                || self.refuses(key)
        };
        if told("name").is_some() && self.refuses("name") {
            adjusted.note("name", Change::Dropped);
        }
        if self.members.iter().any(|member| member.key == "reasoning_details" && is_removed(member)) {
            adjusted.note("reasoning_details", Change::Dropped);
        }
        let inserted: Vec<(&str, &[u8])> = inserted.iter().map(|(key, value)| (*key, value.as_slice())).collect();
        edits.object(self.open, self.members, is_removed, &inserted);
    }

    /// Whether the vendor answers a member with an error, and it can be left out. A call of old or a recording cannot:
    /// of that the vendor has to tell.
    fn refuses(&self, key: &str) -> bool {
        let is_needed = || matches!(key, "function_call" | "audio") && self.value(key) != Some("null");
        self.quirks.refuses_in_messages.contains(&key) && !is_needed()
    }

    /// Takes out the details that are sealed for targets of other protocols, which nobody can read behind this one.
    fn unseal(&self, edits: &mut Edits<'_>, adjusted: &mut Adjusted) -> Result<(), SyntaxError> {
        let goes_back = self.quirks.reasoning_back == ReasoningBack::Details;
        let Some(details) = find(self.members, "reasoning_details").filter(|_| goes_back) else { return Ok(()) };
        let mut cursor = Cursor::at(self.text, details.value.start);
        if cursor.kind() != Some(Kind::Array) {
            return Ok(());
        }
        let mut kept = Vec::new();
        let mut all = 0;
        cursor.items(|_, cursor| {
            let detail = cursor.value()?;
            all += 1;
            if !is_sealed(&detail) {
                kept.push(detail.get().to_owned());
            }
            Ok::<(), SyntaxError>(())
        })?;
        if kept.len() < all {
            adjusted.note("reasoning_details", Change::Dropped);
            edits.replace(details.value.clone(), format!("[{}]", kept.join(",")).into_bytes());
        }
        Ok(())
    }
}

fn is_sealed(detail: &Raw<'_>) -> bool {
    let mut carrying = ["signature", "data"].into_iter().filter_map(|key| detail.member(key)?.into_text());
    carrying.any(|text| text.escaped().starts_with(MARK))
}

/// Content as an array with the thinking at its head; `None` where the content is an array already.
fn content_part(thought: &str, content: Option<&str>) -> Option<Vec<u8>> {
    let said = match content {
        None | Some("null" | "\"\"") => None,
        Some(content) if content.starts_with('"') => Some(content),
        Some(_) => return None,
    };
    let mut out = Vec::new();
    let mut parts = Array::open(&mut out);
    let text = |part: &mut Object<'_>, text: &str| {
        part.string("type", "text").key("text").extend_from_slice(text.as_bytes());
    };
    parts.object(|part| {
        part.string("type", "thinking").array("thinking", |list| {
            list.object(|part| text(part, thought));
        });
    });
    if let Some(said) = said {
        parts.object(|part| text(part, said));
    }
    parts.close();
    Some(out)
}
