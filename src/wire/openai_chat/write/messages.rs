//! The conversation.

use std::borrow::Cow;

use crate::chat::{CacheMark, Message, Part, Request, Role};
use crate::failure::Failure;
use crate::json::{Array, Object, Text};
use crate::provider::{ReasoningBack, ToolCallIds};
use crate::wire::carried::Carrier;
use crate::wire::{Adjusted, Change, Target};

use super::content::{takes_links, write_part};
use crate::wire::openai_chat::NO_THOUGHT;
use crate::wire::openai_chat::{details, ids};

/// Writes the array of messages, with `instruction` at its head.
pub(super) fn write<'w>(
    request: &'w Request<'w>,
    instruction: Option<String>,
    target: &'w Target<'_>,
    adjusted: &'w mut Adjusted,
    out: &'w mut Vec<u8>,
) -> Result<(), Failure> {
    let mut list = Array::open(out);
    if let Some(instruction) = instruction {
        list.object(|message| {
            message.string("role", "system").string("content", &instruction);
        });
    }
    let mut writing = Writing { target, adjusted, list, seen: Vec::new() };
    for (index, message) in request.messages.iter().enumerate() {
        writing.message(index, message, index + 1 == request.messages.len())?;
    }
    writing.show(request.messages.len().saturating_sub(1))?;
    writing.list.close();
    Ok(())
}

struct Writing<'w> {
    target: &'w Target<'w>,
    adjusted: &'w mut Adjusted,
    list: Array<'w>,
    /// What results show beside their text.
    seen: Vec<&'w Part<'w>>,
}

impl<'w> Writing<'w> {
    /// Writes one message, and before it the tool results it holds: each is a message of its own here.
    fn message(&mut self, index: usize, message: &'w Message<'w>, is_last: bool) -> Result<(), Failure> {
        if message.role != Role::Tool {
            self.show(index)?;
        }
        for part in &message.parts {
            if let Part::ToolResult { call_id, parts, .. } = part {
                self.result(call_id, parts);
                self.seen.extend(parts.iter().filter(|part| !matches!(part, Part::Text { .. })));
            }
        }
        let own = message.parts.iter().filter(|part| !matches!(part, Part::ToolResult { .. }));
        let parts: Vec<&Part<'_>> = own.collect();
        if parts.is_empty() && message.role == Role::Tool {
            return Ok(());
        }
        if message.role == Role::Assistant && !self.says_anything(&message.parts) {
            // A turn that was cut short over its thoughts: with neither content nor calls it is refused.
            if !parts.is_empty() {
                self.adjusted.note("reasoning_details", Change::Dropped);
            }
            return Ok(());
        }
        let role = match message.role {
            Role::System => "system",
            Role::Developer if self.target.quirks.developer_role => "developer",
            Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let mut written = Vec::new();
        let mut object = Object::open(&mut written);
        object.string("role", role);
        if let Some(name) = &message.name {
            if self.target.quirks.refuses_in_messages.contains(&"name") {
                self.adjusted.note("name", Change::Dropped);
            } else {
                object.text("name", name);
            }
        }
        self.content(index, &parts, message.role, &mut object)?;
        if message.role == Role::Assistant {
            self.reasoning(&message.parts, &mut object);
            self.calls(&message.parts, &mut object);
            if let Some(field) = self.target.quirks.prefill.filter(|_| is_last) {
                object.boolean(field, true);
            }
        }
        object.close();
        self.list.item().extend_from_slice(&written);
        Ok(())
    }

    /// What results show beside their text, a user has to show: behind the last of them, for nothing may stand between
    /// them.
    fn show(&mut self, index: usize) -> Result<(), Failure> {
        let seen = std::mem::take(&mut self.seen);
        if seen.is_empty() {
            return Ok(());
        }
        let mut written = Vec::new();
        let mut object = Object::open(&mut written);
        object.string("role", "user");
        self.content(index, &seen, Role::User, &mut object)?;
        object.close();
        self.list.item().extend_from_slice(&written);
        Ok(())
    }

    fn result(&mut self, call_id: &Text<'_>, parts: &[Part<'_>]) {
        let id = self.id(call_id);
        self.list.object(|message| {
            message.string("role", "tool").text("tool_call_id", &id);
            write_joined(message.key("content"), parts.iter());
        });
    }

    /// A string where words alone are said and nothing is marked, which every vendor takes; else parts.
    fn content(
        &mut self,
        index: usize,
        parts: &[&Part<'_>],
        role: Role,
        object: &mut Object<'_>,
    ) -> Result<(), Failure> {
        let said = || parts.iter().copied().filter(|part| !is_apart(part));
        let marks =
            said().any(|part| matches!(part, Part::Text { cache: Some(_), .. } | Part::Image { cache: Some(_), .. }));
        if marks && !takes_links(self.target.quirks) {
            self.adjusted.note("cache_control", Change::Dropped);
        }
        let thinking = self.thinking_part(parts);
        let plain = said().all(|part| matches!(part, Part::Text { .. }));
        if plain && thinking.is_none() && !(marks && takes_links(self.target.quirks)) {
            let calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
            if said().next().is_none() && role == Role::Assistant && calls && self.target.quirks.null_content {
                object.null("content");
            } else {
                write_joined(object.key("content"), said());
            }
            return Ok(());
        }
        let mut list = Array::open(object.key("content"));
        let has_thinking = thinking.is_some();
        if let Some(thinking) = thinking {
            list.item().extend_from_slice(&thinking);
        }
        // An empty text is refused by some, and comes with pictures: <https://github.com/zed-industries/zed/issues/37302>.
        // It stays where it is all there is: so is a list without parts.
        let is_empty = |part: &Part<'_>| matches!(part, Part::Text { text, .. } if text.is_empty());
        let skips = has_thinking || said().any(|part| !is_empty(part));
        let (left_out, mut kept): (Vec<_>, Vec<_>) =
            said().map(Cow::Borrowed).enumerate().partition(|(_, part)| skips && is_empty(part));
        for (at, part) in &left_out {
            let before = kept.iter().rposition(|(other, _)| other < at).unwrap_or(0);
            if let (Part::Text { cache: Some(mark), .. }, Some((_, kept))) = (part.as_ref(), kept.get_mut(before)) {
                take_mark(*mark, kept);
            }
        }
        for (at, part) in kept {
            write_part(&part, &format!("messages.{index}.content.{at}"), self.target, self.adjusted, &mut list)?;
        }
        list.close();
        Ok(())
    }

    /// Whether anything of an assistant's turn is left here.
    fn says_anything(&self, parts: &[Part<'_>]) -> bool {
        let thinks = match self.target.quirks.reasoning_back {
            ReasoningBack::Nowhere => false,
            ReasoningBack::Details => details::any(parts, false),
            _ => thoughts(parts.iter()).is_some(),
        };
        thinks || parts.iter().any(|part| !matches!(part, Part::Reasoning { .. }))
    }

    /// Earlier thinking as a content part, for a vendor that wants it there.
    fn thinking_part(&self, parts: &[&Part<'_>]) -> Option<Vec<u8>> {
        let wanted = self.target.quirks.reasoning_back == ReasoningBack::ContentPart;
        let thoughts = thoughts(parts.iter().copied()).filter(|_| wanted)?;
        let mut out = Vec::new();
        let mut part = Object::open(&mut out);
        part.string("type", "thinking").array("thinking", |list| {
            list.object(|part| {
                part.string("type", "text").text("text", &thoughts);
            });
        });
        part.close();
        Some(out)
    }

    fn reasoning(&mut self, parts: &[Part<'_>], object: &mut Object<'_>) {
        let thoughts = thoughts(parts.iter());
        match (self.target.quirks.reasoning_back, thoughts) {
            (ReasoningBack::ReasoningContent, Some(text)) => {
                object.text("reasoning_content", &text);
            }
            (ReasoningBack::Reasoning, Some(text)) => {
                object.text("reasoning", &text);
            }
            (ReasoningBack::Details, _) if details::any(parts, false) => {
                object.array("reasoning_details", |list| details::write(parts, false, &Carrier::default(), list));
            }
            (ReasoningBack::ReasoningContent, None) if self.target.quirks.thoughts_demanded => {
                object.text("reasoning_content", &Text::from_escaped(NO_THOUGHT));
            }
            (ReasoningBack::Nowhere, Some(_)) => self.adjusted.note("reasoning_details", Change::Dropped),
            _ => {}
        }
    }

    fn calls(&self, parts: &[Part<'_>], object: &mut Object<'_>) {
        if !parts.iter().any(|part| matches!(part, Part::ToolCall { .. })) {
            return;
        }
        object.array("tool_calls", |calls| {
            for part in parts {
                let Part::ToolCall { id, name, arguments, .. } = part else { continue };
                calls.object(|call| {
                    call.text("id", &self.id(id)).string("type", "function").object("function", |function| {
                        function.text("name", name).text("arguments", &arguments.quoted());
                    });
                });
            }
        });
    }

    fn id<'t>(&self, id: &'t Text<'_>) -> Text<'t> {
        match self.target.quirks.tool_call_ids {
            ToolCallIds::Any => id.borrowed(),
            ToolCallIds::NineAlphanumerics => Text::from_escaped(ids::nine(id.escaped())),
        }
    }
}

/// Whether a part goes elsewhere than into the content.
fn is_apart(part: &Part<'_>) -> bool {
    matches!(part, Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. })
}

/// The prompt cache may cut after this part as it might after one that is left out.
fn take_mark(mark: CacheMark, part: &mut Cow<'_, Part<'_>>) {
    if let Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. } = part.to_mut() {
        cache.get_or_insert(mark);
    }
}

/// All that was thought, where anything was.
fn thoughts<'p>(parts: impl Iterator<Item = &'p Part<'p>>) -> Option<Text<'static>> {
    let mut all = Text::EMPTY;
    for part in parts {
        if let Part::Reasoning { text, .. } = part {
            all.push(text);
        }
    }
    Some(all).filter(|all| !all.is_empty())
}

fn write_joined<'p>(out: &mut Vec<u8>, parts: impl Iterator<Item = &'p Part<'p>>) {
    out.push(b'"');
    for part in parts {
        if let Part::Text { text, .. } = part {
            out.extend_from_slice(text.escaped().as_bytes());
        }
    }
    out.push(b'"');
}
