//! Chat Completions in words of other protocols, as Cursor sends it by the name of the model: those of OpenAI's makers are
//! asked in the words of Responses, or with its tools among the others, those of Anthropic's with the tools and blocks of
//! Messages. What comes back is plain Chat Completions all the same: a call of a tool that takes free text is a function's,
//! and its arguments are that text.
//!
//! Source: <https://forum.cursor.com/t/cursor-agent-sends-responses-api-format-to-chat-completions-endpoint/153019>,
//! <https://forum.cursor.com/t/wrong-tools-handling-on-openai-compatible-endpoint/145588>.

use crate::chat::{Answer, Arguments, Event, Part, Request, Sink};
use crate::failure::Failure;
use crate::json::{self, Array, Cursor, Raw, SyntaxError, Text};
use crate::wire::openai_responses::{free_arguments, free_text, is_free_tool};
use crate::wire::place::Place;
use crate::wire::{Closing, StreamWriter};

use super::Writer;

/// Whether a request must be translated even for those who speak Chat Completions. Ordinary requests are told apart
/// by what they do not mention.
#[must_use]
pub fn borrows(messages: Option<&Raw<'_>>, input: Option<&Raw<'_>>, tools: Option<&Raw<'_>>) -> bool {
    (messages.is_none() && input.is_some()) || tools.is_some_and(has_borrowed) || messages.is_some_and(has_blocks)
}

/// Whether a body that is none of Chat Completions is a request of Responses.
#[must_use]
pub fn is_of_responses(body: &[u8]) -> bool {
    let members = Cursor::new(body).and_then(|mut cursor| cursor.spans()).unwrap_or_default();
    let has = |key: &str| members.iter().any(|member| member.key == key);
    has("input") && !has("messages")
}

/// Takes the limit of a request of Responses that has it by Chat Completions' names.
///
/// # Errors
/// `BadRequest` where it is none.
pub(super) fn take_limit<'b>(body: &'b [u8], mut request: Request<'b>) -> Result<Request<'b>, Failure> {
    for name in ["max_completion_tokens", "max_tokens"] {
        let Some(at) = request.unsayable.iter().position(|known| known == name) else { continue };
        request.unsayable.remove(at);
        let mut given = None;
        Cursor::new(body)?.members(|key, cursor| {
            if key == name {
                given = Place::top(name).count(cursor)?;
                return Ok(());
            }
            cursor.value().map(drop).map_err(Failure::from)
        })?;
        request.max_output_tokens = request.max_output_tokens.or(given);
    }
    Ok(request)
}

/// The names of the tools that take free text, as a list; nothing where there are none.
#[must_use]
pub fn free_tools(body: &[u8]) -> Option<Raw<'static>> {
    if !json::mentions(body, b"\"custom\"") {
        return None;
    }
    let mut names = Vec::new();
    let mut list = Array::open(&mut names);
    let mut cursor = Cursor::new(body).ok()?;
    cursor
        .members(|key, cursor| {
            let value = cursor.value()?;
            if key == "tools" && value.is_array() {
                each_free(&value, |name| {
                    list.text(&name);
                })?;
            }
            Ok::<(), SyntaxError>(())
        })
        .ok()?;
    let any = !list.is_empty();
    list.close();
    any.then(|| Raw::written(names))
}

/// Whether some tool is no tool of Chat Completions. A function's own parameters may be called like what tells.
fn has_borrowed(tools: &Raw<'_>) -> bool {
    let may = |word: &[u8]| json::mentions(tools.get().as_bytes(), word);
    if !tools.is_array() || !(may(b"\"input_schema\"") || may(b"\"custom\"")) {
        return false;
    }
    let mut any = false;
    let walked = tools.cursor().items(|_, cursor| {
        let tool = cursor.value()?;
        any |= tool.member("input_schema").is_some() || (is_custom(&tool) && tool.member("name").is_some());
        Ok::<(), SyntaxError>(())
    });
    any && walked.is_ok()
}

/// Whether some message holds a block of Messages, which no server of Chat Completions knows.
fn has_blocks(messages: &Raw<'_>) -> bool {
    if !json::quotes(messages.get().as_bytes(), &[&["tool_use\"", "tool_result\"", "source\""]]) {
        return false;
    }
    let mut any = false;
    let walked = messages.cursor().items(|_, cursor| {
        let Some(content) = cursor.value()?.member("content").filter(Raw::is_array) else { return Ok(()) };
        content.cursor().items(|_, cursor| {
            let part = cursor.value()?;
            let kind = part.member("type").and_then(Raw::into_text);
            any |= kind.is_some_and(|kind| match kind.escaped() {
                "tool_use" | "tool_result" => true,
                "image" | "document" => part.member("source").is_some(),
                _ => false,
            });
            Ok::<(), SyntaxError>(())
        })
    });
    any && walked.is_ok()
}

fn is_custom(tool: &Raw<'_>) -> bool {
    tool.member("type").and_then(Raw::into_text).is_some_and(|kind| kind.is("custom"))
}

/// Tells of each tool that is written as Responses has those with free text: Chat Completions has its name further inside.
fn each_free(tools: &Raw<'_>, mut found: impl FnMut(Text<'_>)) -> Result<(), SyntaxError> {
    tools.cursor().items(|_, cursor| {
        let tool = cursor.value()?;
        // Messages calls functions that.
        let is_function = ["input_schema", "parameters"].iter().any(|key| tool.member(key).is_some());
        if is_custom(&tool)
            && !is_function
            && let Some(name) = tool.member("name").and_then(Raw::into_text)
        {
            found(name);
        }
        Ok(())
    })
}

/// Has calls of tools that take free text say it as the arguments of a function, wherever the request goes.
pub(super) fn wrap_calls(body: &[u8], request: &mut Request<'_>) {
    if !request.tools.iter().any(is_free_tool) {
        return;
    }
    let Some(names) = free_tools(body) else { return };
    let parts = request.messages.iter_mut().flat_map(|message| &mut message.parts);
    for part in parts {
        if let Part::ToolCall { name, arguments, .. } = part
            && let Arguments::Quoted(text) = arguments
            && is_among(&names, name)
        {
            *arguments = Arguments::Object(free_arguments(text));
        }
    }
}

/// The answer with calls of these tools as their caller wants them.
pub(super) fn unwrap_calls<'a>(answer: &Answer<'a>, names: &Raw<'_>) -> Answer<'a> {
    let mut answer = answer.clone();
    for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Part::ToolCall { name, arguments, .. } = part
            && is_among(names, name)
        {
            *arguments = Arguments::Quoted(free_text(arguments.quoted().into_owned()));
        }
    }
    answer
}

fn is_among(names: &Raw<'_>, name: &Text<'_>) -> bool {
    let mut found = false;
    let walked = names.borrowed().cursor().items(|_, cursor| {
        found |= cursor.value()?.into_text().is_some_and(|known| known == *name);
        Ok::<(), SyntaxError>(())
    });
    found && walked.is_ok()
}

/// Writes a stream in which calls of some tools are told in one piece, once all of their text is there.
#[derive(Debug)]
pub struct FreeTextWriter {
    writer: Writer,
    /// The names of the tools.
    names: Raw<'static>,
    /// Calls of them that have not ended, by choice and block, and their arguments.
    open: Vec<((u32, u32), Text<'static>)>,
}

impl FreeTextWriter {
    /// A writer for one stream, and for calls of the tools that are named.
    #[must_use]
    pub fn new(writer: Writer, names: Raw<'static>) -> FreeTextWriter {
        FreeTextWriter { writer, names, open: Vec::new() }
    }

    fn end(&mut self, at: usize) {
        let ((choice, block), arguments) = self.open.swap_remove(at);
        self.writer.event(Event::ToolCallDelta { choice, block, arguments: free_text(arguments) });
    }
}

impl Sink for FreeTextWriter {
    fn event(&mut self, event: Event<'_>) {
        match &event {
            Event::ToolCallStart { choice, block, name, .. } if is_among(&self.names, name) => {
                self.open.push(((*choice, *block), Text::EMPTY));
            }
            Event::ToolCallDelta { choice, block, arguments } => {
                if let Some((_, told)) = self.open.iter_mut().find(|(of, _)| *of == (*choice, *block)) {
                    return told.push(arguments);
                }
            }
            Event::BlockEnd { choice, block } => {
                if let Some(at) = self.open.iter().position(|(of, _)| *of == (*choice, *block)) {
                    self.end(at);
                }
            }
            Event::End { choice, .. } => {
                while let Some(at) = self.open.iter().position(|((of, _), _)| of == choice) {
                    self.end(at);
                }
            }
            _ => {}
        }
        self.writer.event(event);
    }
}

impl StreamWriter for FreeTextWriter {
    fn take(&mut self, out: &mut Vec<u8>) {
        self.writer.take(out);
    }

    fn close(&mut self, closing: &Closing) {
        self.writer.close(closing);
    }

    fn fail(&mut self, failure: &Failure, closing: &Closing) {
        self.writer.fail(failure, closing);
    }

    fn keep_alive(&mut self) {
        self.writer.keep_alive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_take_free_text_are_told_from_functions() {
        let names = |tools: &str| free_tools(format!(r#"{{"model":"m","tools":{tools}}}"#).as_bytes());
        let flat = r#"[{"type":"function","name":"a"},{"type":"custom","name":"b\u0062","format":{}}]"#;
        assert_eq!(names(flat).map(|names| names.get().to_owned()).as_deref(), Some(r#"["b\u0062"]"#));
        for none in [
            r#"[{"type":"custom","custom":{"name":"a"}}]"#,
            r#"[{"type":"custom","name":"a","input_schema":{}}]"#,
            r#"[{"type":"custom","name":"a","parameters":{}}]"#,
            "[]",
        ] {
            assert!(names(none).is_none(), "{none}");
        }
    }

    #[test]
    fn ordinary_requests_borrow_nothing() {
        let list = |json: &'static str| Raw::parse(json).expect("JSON");
        let messages = list("[]");
        for (tools, borrowed) in [
            (r#"[{"type":"function","function":{"name":"custom","parameters":{"properties":{"custom":{}}}}}]"#, false),
            (r#"[{"type":"custom","custom":{"name":"a"}}]"#, false),
            (r#"[{"type":"function","function":{"name":"a","parameters":{"properties":{"input_schema":{}}}}}]"#, false),
            (r#"[{"type":"custom","name":"a"}]"#, true),
            (r#"[{"name":"a","input_schema":{}}]"#, true),
            ("null", false),
        ] {
            let tools = list(tools);
            assert_eq!(borrows(Some(&messages), None, Some(&tools)), borrowed, "{tools:?}");
        }
        for (content, borrowed) in [
            (r#"[{"type":"tool_use","id":"t","name":"f","input":{}}]"#, true),
            (r#"[{"type":"tool_result","tool_use_id":"t","content":"x"}]"#, true),
            (r#"[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"u"}}]"#, true),
            (r#"[{"type":"image","source":{"type":"url","url":"u"}}, 3]"#, true),
            (r#"[{"type":"image_url","image_url":{"url":"u"},"source":1}]"#, false),
            (r#"[{"type":"text","text":"\"tool_use\" and \"source\""}]"#, false),
            (r#""\"tool_use\"""#, false),
        ] {
            let messages = format!(r#"[{{"role":"user","content":"x"}},{{"role":"user","content":{content}}}]"#);
            let messages = Raw::parse(&messages).expect("JSON");
            assert_eq!(borrows(Some(&messages), None, None), borrowed, "{content}");
        }
        assert!(borrows(None, Some(&messages), None) && !borrows(None, None, None));
        assert!(!borrows(Some(&messages), Some(&messages), None));
    }
}
