//! The conversation as items.

use crate::chat::{Arguments, Message, Part, Request, Role, Source};
use crate::failure::Failure;
use crate::json::{Array, Object, Text};
use crate::provider::ReasoningBack;
use crate::wire::losses::lose_at;
use crate::wire::openai_chat::fnv;
use crate::wire::{Adjusted, Change, Format, Target};

/// The longest id of a call: "Expected a string with maximum length 64".
const LONGEST_ID: usize = 64;

/// Writes the array of items.
///
/// # Errors
/// `Unsupported`, naming the part, where one cannot be said here.
pub(super) fn write(
    request: &Request<'_>,
    target: &Target<'_>,
    adjusted: &mut Adjusted,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut writing = Writing { target, adjusted, items: Array::open(out) };
    for (at, message) in request.messages.iter().enumerate() {
        writing.message(at, message)?;
    }
    writing.items.close();
    Ok(())
}

/// Whether any part is marked for a prompt cache.
pub(super) fn has_marks(request: &Request<'_>) -> bool {
    request.messages.iter().flat_map(|message| &message.parts).any(|part| {
        matches!(
            part,
            Part::Text { cache: Some(_), .. }
                | Part::Image { cache: Some(_), .. }
                | Part::File { cache: Some(_), .. }
                | Part::ToolResult { cache: Some(_), .. }
        )
    })
}

struct Writing<'w> {
    target: &'w Target<'w>,
    adjusted: &'w mut Adjusted,
    items: Array<'w>,
}

impl<'w> Writing<'w> {
    /// Writes the items of one turn in their order: what is said between calls stands between them.
    fn message(&mut self, at: usize, message: &Message<'_>) -> Result<(), Failure> {
        let mut said: Vec<(usize, &Part<'_>)> = Vec::new();
        for (number, part) in message.parts.iter().enumerate() {
            match part {
                Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {
                    self.said(at, message.role, &mut said)?;
                    self.item(at, number, part)?;
                }
                part => said.push((number, part)),
            }
        }
        self.said(at, message.role, &mut said)
    }

    /// A message of the parts that have gathered.
    fn said(&mut self, at: usize, role: Role, said: &mut Vec<(usize, &Part<'_>)>) -> Result<(), Failure> {
        said.retain(|(_, part)| !matches!(part, Part::Text { text, .. } if text.is_empty()));
        let parts = std::mem::take(said);
        if parts.is_empty() {
            return Ok(());
        }
        let word = match role {
            Role::System => "system",
            Role::Developer if self.target.quirks.developer_role => "developer",
            Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let mut written = Vec::new();
        let mut item = Object::open(&mut written);
        item.string("role", word);
        if let [(_, Part::Text { text, .. })] = parts.as_slice() {
            item.text("content", text);
        } else {
            let mut content = Array::open(item.key("content"));
            for (number, part) in parts {
                self.part(&format!("messages.{at}.content.{number}"), part, role, &mut content)?;
            }
            content.close();
        }
        item.close();
        self.items.item().extend_from_slice(&written);
        Ok(())
    }

    fn part(&mut self, place: &str, part: &Part<'_>, role: Role, content: &mut Array<'_>) -> Result<(), Failure> {
        let answered = role == Role::Assistant;
        match part {
            Part::Text { text, .. } => {
                content.object(|part| {
                    part.string("type", if answered { "output_text" } else { "input_text" }).text("text", text);
                });
            }
            Part::Refusal { text } => {
                content.object(|part| {
                    part.string("type", "refusal").text("refusal", text);
                });
            }
            Part::Image { source, detail, .. } => {
                content.object(|part| {
                    part.string("type", "input_image");
                    match (source, link(source)) {
                        (Source::FileId(id), _) => part.text("file_id", id),
                        (_, url) => part.text("image_url", &url),
                    };
                    if let Some(detail) = detail {
                        part.text("detail", detail);
                    }
                });
            }
            Part::File { source, name, .. } => {
                content.object(|part| {
                    part.string("type", "input_file");
                    match source {
                        Source::FileId(id) => drop(part.text("file_id", id)),
                        Source::Url(url) => drop(part.text("file_url", url)),
                        Source::Inline { .. } => {
                            part.text("filename", name.as_ref().unwrap_or(&Text::from_escaped("document.pdf")));
                            part.text("file_data", &link(source));
                        }
                    }
                });
            }
            Part::Audio { .. } => lose_at(Format::OpenAiResponses, "input_audio", place.to_owned(), self.adjusted)?,
            Part::Video { .. } => lose_at(Format::OpenAiResponses, "video_url", place.to_owned(), self.adjusted)?,
            Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {}
        }
        Ok(())
    }

    /// An item of its own.
    fn item(&mut self, at: usize, number: usize, part: &Part<'_>) -> Result<(), Failure> {
        match part {
            Part::Reasoning { text, signature } => {
                let readable = |format: &Text<'_>| format.is_empty() || format.escaped() == self.target.quirks.signed;
                match signature.as_ref().filter(|signature| readable(&signature.format)) {
                    Some(signature) => {
                        self.items.object(|item| {
                            item.string("type", "reasoning");
                            if let Some(id) = signature.id.as_ref().filter(|id| !id.is_empty()) {
                                item.text("id", id);
                            }
                            item.array("summary", |summary| write_summary(text, summary));
                            item.text("encrypted_content", &signature.data);
                        });
                    }
                    None if signature.is_none() && self.takes_thoughts() && !text.is_empty() => {
                        self.items.object(|item| {
                            item.string("type", "reasoning").array("summary", |_| {}).array("content", |content| {
                                content.object(|part| {
                                    part.string("type", "reasoning_text").text("text", text);
                                });
                            });
                        });
                    }
                    None => self.adjusted.note("reasoning_details", Change::Dropped),
                }
            }
            Part::ToolCall { id, name, arguments, .. } => {
                self.items.object(|item| {
                    item.string("type", "function_call").text("call_id", &call_id(id)).text("name", name);
                    item.text("arguments", &written(arguments));
                });
            }
            Part::ToolResult { call_id: id, parts, .. } => {
                let id = call_id(id);
                let mut output = Vec::new();
                if let [Part::Text { text, .. }] = parts.as_slice() {
                    text.write(&mut output);
                } else {
                    let mut content = Array::open(&mut output);
                    let place = format!("messages.{at}.content.{number}");
                    for part in parts {
                        self.part(&place, part, Role::User, &mut content)?;
                    }
                    content.close();
                }
                if output == b"[]" {
                    output = b"\"\"".to_vec();
                }
                self.items.object(|item| {
                    item.string("type", "function_call_output").text("call_id", &id);
                    item.key("output").extend_from_slice(&output);
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether thoughts come back in the open.
    fn takes_thoughts(&self) -> bool {
        self.target.quirks.reasoning_back != ReasoningBack::Nowhere
    }
}

fn write_summary(text: &Text<'_>, summary: &mut Array<'_>) {
    if !text.is_empty() {
        summary.object(|part| {
            part.string("type", "summary_text").text("text", text);
        });
    }
}

/// An id within the length that is taken: a longer one becomes another, the same each time.
fn call_id<'i>(id: &'i Text<'_>) -> Text<'i> {
    if id.escaped().len() <= LONGEST_ID {
        return id.borrowed();
    }
    Text::from_escaped(format!("call_{:016x}", fnv(id.escaped().bytes())))
}

fn written<'a>(arguments: &'a Arguments<'_>) -> Text<'a> {
    let text = arguments.quoted();
    if text.is_empty() { Text::from_escaped("{}") } else { text }
}

/// A link to it; a data URL where it is here.
fn link<'s>(source: &'s Source<'_>) -> Text<'s> {
    match source {
        Source::Url(url) => url.borrowed(),
        Source::Inline { media_type, data } => {
            Text::from_escaped(format!("data:{};base64,{}", media_type.escaped(), data.escaped()))
        }
        Source::FileId(id) => id.borrowed(),
    }
}
