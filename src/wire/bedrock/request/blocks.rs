//! Content blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::media::{Medium, Shown};
use super::{LONGEST_NAME, changed};
use crate::chat::{CacheMark, Part, Signature, SignatureRole};
use crate::failure::Failure;
use crate::json::{Array, Object, Raw, Text};
use crate::provider::{Capabilities, ModelFacts, StructuredOutput};
use crate::wire::anthropic::request::names;
use crate::wire::anthropic::request::turns::{self, Block, Place, Turn};
use crate::wire::{Adjusted, Change, Format, Target, losses};

/// Stands beside a document where the caller says nothing: it is refused alone, unless a tool gave it.
const NO_WORDS: &str = "(See the document.)";
/// The longest name of a document.
const LONGEST_TITLE: usize = 200;

/// Writes blocks.
pub(super) struct Writer<'w> {
    target: &'w Target<'w>,
    adjusted: &'w mut Adjusted,
    /// Names of documents so far, each of which may be there once.
    titles: Vec<String>,
}

impl<'w> Writer<'w> {
    pub fn new(target: &'w Target<'w>, adjusted: &'w mut Adjusted) -> Writer<'w> {
        Writer { target, adjusted, titles: Vec::new() }
    }

    /// Writes the blocks of a turn. Text at the very end of a message that is to be continued may not end in white
    /// space.
    pub fn blocks(&mut self, turn: &Turn<'_>, to_be_continued: bool, array: &mut Array<'_>) -> Result<(), Failure> {
        let (mut has_words, mut has_documents) = (false, false);
        for (at, block) in turn.blocks.iter().enumerate() {
            let titles = self.titles.len();
            has_words |= matches!(block, Block::Part { part: Part::Text { .. }, .. } | Block::Words(_));
            match block {
                Block::Part { part: Part::Text { text, cache, .. }, .. }
                    if to_be_continued && at + 1 == turn.blocks.len() =>
                {
                    write_text(&names::trim_end(text), array);
                    write_cache(*cache, self.target.facts, self.adjusted, array);
                }
                Block::Part { part, place } => self.part(part, *place, array)?,
                Block::Call { part, id } => self.call(part, id, array),
                Block::Result { id, parts, is_error, cache, place } => {
                    self.result(id, parts, *is_error, *place, array)?;
                    write_cache(*cache, self.target.facts, self.adjusted, array);
                }
                Block::NoResult { id } => {
                    array.object(|block| {
                        block.object("toolResult", |result| {
                            result.string("toolUseId", id).array("content", |content| {
                                write_text(&Text::from_escaped(turns::NO_RESULT), content);
                            });
                            result.string("status", "error");
                        });
                    });
                }
                Block::Words(words) => write_text(&Text::escape(words), array),
            }
            has_documents |= self.titles.len() > titles && !matches!(block, Block::Result { .. });
        }
        if has_documents && !has_words {
            write_text(&Text::from_escaped(NO_WORDS), array);
        }
        Ok(())
    }

    /// Marks the end of all that was written so far.
    pub fn mark(&mut self, mark: CacheMark, array: &mut Array<'_>) {
        write_cache(Some(mark), self.target.facts, self.adjusted, array);
    }

    /// Writes instructions, which are text and nothing else.
    pub fn instructions(&mut self, blocks: &[Block<'_>], array: &mut Array<'_>) -> Result<(), Failure> {
        for block in blocks {
            match block {
                Block::Part { part: part @ Part::Text { .. }, place } => self.part(part, *place, array)?,
                Block::Part { place, .. } => {
                    return Err(Failure::bad_request(place.path(), "System messages are text for this model."));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn part(&mut self, part: &Part<'_>, place: Place, array: &mut Array<'_>) -> Result<(), Failure> {
        match part {
            Part::Text { text, cache, .. } => {
                write_text(text, array);
                write_cache(*cache, self.target.facts, self.adjusted, array);
            }
            Part::Refusal { text } => write_text(text, array),
            Part::Image { detail, cache, .. } => {
                if detail.as_ref().is_some_and(|detail| !detail.is("auto")) {
                    losses::lose(Format::Bedrock, "detail", self.adjusted)?;
                }
                self.show(part, None, place, array)?;
                write_cache(*cache, self.target.facts, self.adjusted, array);
            }
            Part::File { name, cache, .. } => {
                self.show(part, name.as_ref(), place, array)?;
                write_cache(*cache, self.target.facts, self.adjusted, array);
            }
            Part::Audio { .. } | Part::Video { .. } => self.show(part, None, place, array)?,
            Part::Reasoning { text, signature: Some(signature) } => write_thought(text, signature, array),
            // Calls and results stand in blocks of their own; only signed thoughts can go back.
            Part::Reasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {}
        }
        Ok(())
    }

    fn show(
        &mut self,
        part: &Part<'_>,
        name: Option<&Text<'_>>,
        place: Place,
        array: &mut Array<'_>,
    ) -> Result<(), Failure> {
        let shown = Shown::of(part, self.target, &|| place.path())?;
        let title = (shown.medium == Medium::Document).then(|| self.title(name));
        array.object(|block| {
            block.object(shown.medium.member(), |object| {
                if let Some(title) = &title {
                    object.string("name", title);
                }
                shown.write(object);
            });
        });
        Ok(())
    }

    /// A document's name in the letters that are taken, different from those before it. Names are read by the model,
    /// so the dots of file names are left out and not made something else of.
    fn title(&mut self, name: Option<&Text<'_>>) -> String {
        let name = name.map(|name| name.decode()).unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
        let is_taken = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
        let mut title = String::new();
        for word in stem.split(|c: char| !is_taken(c)).filter(|word| !word.is_empty()) {
            if !title.is_empty() {
                title.push(' ');
            }
            title.push_str(word);
        }
        title.truncate(LONGEST_TITLE);
        let title = if title.is_empty() { "document".to_owned() } else { title };
        let mut unique = title.clone();
        let mut times = 1;
        while self.titles.contains(&unique) {
            times += 1;
            unique = format!("{title} {times}");
        }
        self.titles.push(unique.clone());
        unique
    }

    fn call(&mut self, part: &Part<'_>, id: &str, array: &mut Array<'_>) {
        let Part::ToolCall { name, arguments, .. } = part else { return };
        array.object(|block| {
            block.object("toolUse", |call| {
                call.string("toolUseId", id).string("name", &names::clean_to(&name.decode(), LONGEST_NAME));
                match arguments.object() {
                    Ok(input) => {
                        call.raw("input", &input);
                    }
                    // A model wrote this; refusing it would end the conversation for good.
                    Err(_) => {
                        changed(self.adjusted);
                        call.object("input", |input| {
                            input.text("invalid_json", &arguments.quoted());
                        });
                    }
                }
            });
        });
    }

    fn result(
        &mut self,
        id: &str,
        parts: &[Part<'_>],
        is_error: bool,
        place: Place,
        array: &mut Array<'_>,
    ) -> Result<(), Failure> {
        let mut block = Object::open(array.item());
        let mut result = Object::open(block.key("toolResult"));
        result.string("toolUseId", id);
        let mut content = Array::open(result.key("content"));
        for part in parts.iter().filter(|part| !turns::is_blank(part)) {
            // A mark within a result has no place there.
            match part {
                Part::Text { text, .. } => write_text(text, &mut content),
                Part::Image { .. } | Part::File { .. } | Part::Video { .. } => {
                    let name = if let Part::File { name, .. } = part { name.as_ref() } else { None };
                    self.show(part, name, place, &mut content)?;
                }
                part => self.part(part, place, &mut content)?,
            }
        }
        content.close();
        if is_error {
            result.string("status", "error");
        }
        result.close();
        block.close();
        Ok(())
    }
}

/// Writes a mark behind the block that it belongs to. A model that is known to cache nothing answers one with a 403:
/// "You invoked an unsupported model or your request did not allow prompt caching". An hour is for Claude from 4.5 on,
/// as text held to a schema is; others answer "Extended TTL prompt caching is only supported for Anthropic models" or
/// "Extra inputs are not permitted".
///
/// Source: <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>.
pub(super) fn write_cache(
    cache: Option<CacheMark>,
    facts: &ModelFacts,
    adjusted: &mut Adjusted,
    array: &mut Array<'_>,
) {
    let Some(mark) = cache else { return };
    if facts.capabilities.is_some_and(|can| !can.has(Capabilities::PROMPT_CACHING)) {
        adjusted.note("cache_control", Change::Dropped);
        return;
    }
    let lasts = mark == CacheMark::Hour && facts.structured == StructuredOutput::Native;
    if mark == CacheMark::Hour && !lasts {
        adjusted.note("cache_control", Change::Clamped);
    }
    array.object(|block| {
        block.object("cachePoint", |point| {
            point.string("type", "default");
            if lasts {
                point.string("ttl", "1h");
            }
        });
    });
}

/// Writes a text block.
pub(super) fn write_text(text: &Text<'_>, array: &mut Array<'_>) {
    array.object(|block| {
        block.text("text", text);
    });
}

fn write_thought(text: &Text<'_>, signature: &Signature<'_>, array: &mut Array<'_>) {
    array.object(|block| {
        block.object("reasoningContent", |reasoning| match signature.role {
            SignatureRole::Signs => {
                reasoning.object("reasoningText", |shown| {
                    shown.text("text", text).text("signature", &signature.data);
                });
            }
            SignatureRole::Replaces => {
                let wrapped = STANDARD.encode(signature.data.decode().as_bytes());
                reasoning.raw("redactedContent", &Raw::of(&wrapped));
            }
        });
    });
}
