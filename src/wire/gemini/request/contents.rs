//! The conversation: `systemInstruction` and `contents`.

use crate::chat::{Arguments, CacheMark, Message, Part, Request, Role, Signature};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::provider::Capabilities;
use crate::sorted::SortedMap;
use crate::wire::anthropic::request::turns::NO_RESULT;
use crate::wire::gemini::{SIGNATURE_FORMAT, UNSIGNED_CALL, names};
use crate::wire::{Adjusted, Change, Format, Target, losses};

use super::turns::{OPENING, Speaker, Turns};
use super::{media, results};

/// Writes the conversation.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the message, where a part of it cannot be said.
pub(super) fn write(
    request: &Request<'_>,
    target: &Target<'_>,
    instruction: Option<&str>,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<(), Failure> {
    let mut system = system(request)?;
    system.extend(instruction.map(Text::escape));
    let has_turns = request.messages.iter().any(|message| !is_system(message) && !message.parts.is_empty());
    // Instructions alone are no conversation, and some models have no place for them: then they are the user's words.
    let is_apart = has_turns && target.facts.capabilities.is_none_or(|known| known.has(Capabilities::SYSTEM));
    if has_turns && !is_apart && !system.is_empty() {
        adjusted.note("messages", Change::Changed);
    }
    let mut writer = Writer {
        turns: Turns::open(body.key("contents")),
        target,
        adjusted,
        names: SortedMap::new(),
        open: Vec::new(),
        behind: Vec::new(),
    };
    if !is_apart {
        system.iter().for_each(|text| writer.text(Speaker::User, text, None));
    }
    for (at, message) in request.messages.iter().enumerate().filter(|(_, message)| !is_system(message)) {
        writer.message(at, message)?;
        writer.answer_forgotten(message, request.messages.get(at + 1..).unwrap_or_default());
    }
    writer.show_behind();
    let Writer { mut turns, .. } = writer;
    if turns.speaker().is_none() {
        // Where the instructions say it all, users say nothing, and Vertex takes no empty text.
        turns.part(Speaker::User, |part| {
            part.string("text", OPENING);
        });
    }
    let speaker = turns.speaker();
    turns.close();
    if speaker == Some(Speaker::Model) && target.facts.refuses_prefill {
        let message = "This model cannot continue an assistant's message: the last one has to be another's.";
        return Err(Failure::bad_request("messages", message));
    }
    if is_apart && !system.is_empty() {
        body.object("systemInstruction", |object| {
            object.array("parts", |parts| system.iter().for_each(|text| write_text(text, parts)));
        });
    }
    Ok(())
}

/// The words of all system and developer messages, in order.
fn system<'r>(request: &'r Request<'_>) -> Result<Vec<Text<'r>>, Failure> {
    let mut texts = Vec::new();
    for (at, message) in request.messages.iter().enumerate().filter(|(_, message)| is_system(message)) {
        for (part_at, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text { text, .. } if text.is_empty() => {}
                Part::Text { text, .. } => texts.push(text.borrowed()),
                _ => {
                    let place = format!("messages.{at}.content.{part_at}");
                    return Err(Failure::unsupported(place, "Instructions can only be text here."));
                }
            }
        }
    }
    Ok(texts)
}

fn is_system(message: &Message<'_>) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

fn write_text(text: &Text<'_>, parts: &mut Array<'_>) {
    parts.object(|part| {
        part.text("text", text);
    });
}

struct Writer<'w, 't> {
    turns: Turns<'w>,
    target: &'t Target<'t>,
    adjusted: &'w mut Adjusted,
    /// The function of each call so far, by the call's id: results are matched by it.
    names: SortedMap<String, Text<'t>>,
    /// The calls of the model's turn that is being written.
    open: Vec<&'t Text<'t>>,
    /// Pictures within results stand behind all results of the turn: a result has no place for them in older models.
    behind: Vec<u8>,
}

impl<'t> Writer<'_, 't> {
    fn message<'r: 't>(&mut self, at: usize, message: &'r Message<'_>) -> Result<(), Failure> {
        if message.name.is_some() && message.role != Role::Tool {
            losses::lose(Format::Gemini, "name", self.adjusted)?;
        }
        if message.role == Role::Assistant {
            self.show_behind();
            return self.assistant(message);
        }
        for (part_at, part) in message.parts.iter().enumerate() {
            self.give_up_cache(part)?;
            let place = || format!("messages.{at}.content.{part_at}");
            if !matches!(part, Part::ToolResult { .. }) {
                self.show_behind();
            }
            match part {
                Part::Text { text, .. } | Part::Refusal { text } => self.text(Speaker::User, text, None),
                Part::ToolResult { call_id, parts, is_error, .. } => {
                    let name = self.name_of(call_id, message, at)?;
                    self.result(call_id, &name, parts, *is_error, &place)?;
                }
                part => {
                    if let Some(source) = media::source(part) {
                        let target = self.target;
                        self.turns
                            .try_part(Speaker::User, |object| media::write(part, source, target, place, object))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn show_behind(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        self.turns.written(Speaker::User, &behind);
    }

    /// Answers those calls of the model's turn that ends with `message` to which none of the messages in `rest` has a
    /// result, where others of them have one: "Please ensure that the number of function response parts is equal to the
    /// number of function call parts of the function call turn". No result at all is taken (`vertex.chat.d5594071d5`).
    fn answer_forgotten(&mut self, message: &Message<'_>, rest: &[Message<'_>]) {
        let mut rest = rest.iter().filter(|message| !is_system(message)).peekable();
        let goes_on = rest.peek().is_none_or(|next| next.role == Role::Assistant);
        if message.role != Role::Assistant || goes_on {
            return;
        }
        let answers = rest.take_while(|message| message.role != Role::Assistant).flat_map(|message| &message.parts);
        let answered = answers.filter_map(|part| match part {
            Part::ToolResult { call_id, .. } => Some((call_id.decode(), ())),
            _ => None,
        });
        let answered = SortedMap::of(answered.collect());
        let open = std::mem::take(&mut self.open);
        if open.iter().all(|id| !answered.contains_key(id.decode().as_ref())) {
            return;
        }
        for id in open {
            let decoded = id.decode();
            let known = self.names.get(decoded.as_ref()).filter(|_| !answered.contains_key(decoded.as_ref()));
            let Some(name) = known.cloned() else { continue };
            self.adjusted.note("messages", Change::Changed);
            self.turns.part(Speaker::User, |part| {
                part.object("functionResponse", |response| {
                    if !id.is_empty() {
                        response.text("id", id);
                    }
                    response.text("name", &name).object("response", |response| {
                        response.string("error", NO_RESULT);
                    });
                });
            });
        }
    }

    /// What the model said. Calls keep the signatures they came with; the first one of a turn has to have one.
    fn assistant<'r: 't>(&mut self, message: &'r Message<'_>) -> Result<(), Failure> {
        let mut unsigned = super::is_level_steered(self.target.facts);
        // A signature without words of its own belongs to what comes next.
        let mut carried: Option<&Text<'_>> = None;
        for part in &message.parts {
            self.give_up_cache(part)?;
            match part {
                Part::Text { text, signature, .. } => {
                    let signature = self.ours(signature.as_ref()).or(carried.take());
                    self.text(Speaker::Model, text, signature);
                }
                Part::Refusal { text } => self.text(Speaker::Model, text, None),
                Part::Reasoning { text, signature } => match self.ours(signature.as_ref()) {
                    // Thoughts are only for their own model, and only needed where they are signed.
                    None => {}
                    signature if text.is_empty() => carried = signature,
                    Some(signature) => self.turns.part(Speaker::Model, |part| {
                        part.text("text", text).boolean("thought", true).text("thoughtSignature", signature);
                    }),
                },
                Part::ToolCall { id, name, arguments, signature } => {
                    let unsigned_call = Text::from_escaped(UNSIGNED_CALL);
                    let signature = self.ours(signature.as_ref()).or(carried.take());
                    let signature = signature.or(unsigned.then_some(&unsigned_call));
                    unsigned = false;
                    self.call(id, name, arguments, signature);
                }
                part => {
                    // Pictures that the model made may stand in its own turn.
                    if let Some(source) = media::source(part) {
                        let target = self.target;
                        let place = || "messages".to_owned();
                        self.turns
                            .try_part(Speaker::Model, |object| media::write(part, source, target, place, object))?;
                    }
                }
            }
        }
        if let Some(signature) = carried {
            self.text(Speaker::Model, &Text::EMPTY, Some(signature));
        }
        Ok(())
    }

    fn call<'r: 't>(
        &mut self,
        id: &'r Text<'_>,
        name: &'r Text<'_>,
        arguments: &Arguments<'_>,
        signature: Option<&Text<'_>>,
    ) {
        let name = names::guard(name);
        self.names.insert(id.decode().into_owned(), name.clone());
        self.open.push(id);
        // A model may have written anything, and a turn that was cut short still has to be sent back.
        let args = arguments.object().unwrap_or_else(|_| {
            self.adjusted.note("tool_calls", Change::Changed);
            let mut out = Vec::new();
            let mut object = Object::open(&mut out);
            object.text("arguments", &arguments.quoted());
            object.close();
            Raw::written(out)
        });
        self.turns.part(Speaker::Model, |part| {
            part.object("functionCall", |call| {
                if !id.is_empty() {
                    call.text("id", id);
                }
                call.text("name", &name).raw("args", &args);
            });
            if let Some(signature) = signature {
                part.text("thoughtSignature", signature);
            }
        });
    }

    fn result(
        &mut self,
        call_id: &Text<'_>,
        name: &Text<'_>,
        parts: &[Part<'_>],
        is_error: bool,
        place: &dyn Fn() -> String,
    ) -> Result<(), Failure> {
        let mut shown = Vec::new();
        for (part, source) in parts.iter().filter_map(|part| Some((part, media::source(part)?))) {
            if !shown.is_empty() {
                shown.push(b',');
            }
            let mut object = Object::open(&mut shown);
            media::write(part, source, self.target, place, &mut object)?;
            object.close();
        }
        let within = super::is_level_steered(self.target.facts) && !shown.is_empty();
        self.turns.part(Speaker::User, |part| {
            part.object("functionResponse", |response| {
                if !call_id.is_empty() {
                    response.text("id", call_id);
                }
                response.text("name", name);
                results::write(parts, is_error, response);
                if within {
                    let out = response.key("parts");
                    out.push(b'[');
                    out.extend_from_slice(&shown);
                    out.push(b']');
                }
            });
        });
        if !within && !shown.is_empty() {
            if !self.behind.is_empty() {
                self.behind.push(b',');
            }
            self.behind.extend_from_slice(&shown);
        }
        Ok(())
    }

    fn text(&mut self, speaker: Speaker, text: &Text<'_>, signature: Option<&Text<'_>>) {
        // Empty parts are refused, unless a signature came on one.
        if text.is_empty() && signature.is_none() {
            return;
        }
        self.turns.part(speaker, |part| {
            part.text("text", text);
            if let Some(signature) = signature {
                part.text("thoughtSignature", signature);
            }
        });
    }

    /// The function whose call a result answers; the message may name it, too.
    fn name_of(&self, call_id: &Text<'_>, message: &Message<'t>, at: usize) -> Result<Text<'t>, Failure> {
        let known = self.names.get(call_id.decode().as_ref()).cloned();
        known.or_else(|| message.name.as_ref().map(|name| names::guard(name).into_owned())).ok_or_else(|| {
            let message = "A tool's result has to follow the call that it answers, by its `tool_call_id`.";
            Failure::bad_request(format!("messages.{at}.tool_call_id"), message)
        })
    }

    /// The signature, if one of this protocol's models made it.
    fn ours<'s>(&mut self, signature: Option<&'s Signature<'_>>) -> Option<&'s Text<'s>> {
        let signature = signature?;
        if signature.format.escaped() == SIGNATURE_FORMAT {
            return Some(&signature.data);
        }
        self.adjusted.note("reasoning_details", Change::Dropped);
        None
    }

    fn give_up_cache(&mut self, part: &Part<'_>) -> Result<(), Failure> {
        match cache(part) {
            Some(_) => losses::lose(Format::Gemini, "cache_control", self.adjusted),
            None => Ok(()),
        }
    }
}

fn cache(part: &Part<'_>) -> Option<CacheMark> {
    match part {
        Part::Text { cache, .. }
        | Part::Image { cache, .. }
        | Part::File { cache, .. }
        | Part::ToolResult { cache, .. } => *cache,
        _ => None,
    }
}
