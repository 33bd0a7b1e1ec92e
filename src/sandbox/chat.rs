//! Chat Completions: what is read and what is answered. How that is written is [`super::answer`]'s part.

use serde_json::{Map, Value};

use super::behaviour::Behaviour;
use super::reply::{self, Limits, Reply, Said};
use super::script::{Script, Stage};
use super::{Fault, answer, schema};
use crate::json::{Raw, Text, readable};

/// What is read of a request; the rest has no bearing on what the sandbox says.
#[derive(Default)]
struct ChatRequest<'b> {
    messages: Vec<Message<'b>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    tools: Option<Vec<Tool<'b>>>,
    tool_choice: Option<Raw<'b>>,
    response_format: Option<ResponseFormat<'b>>,
    reasoning_effort: Option<Text<'b>>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stop: Option<Raw<'b>>,
    n: Option<u64>,
}
readable! { ChatRequest<'a> {
    #[required] messages, stream, stream_options, tools, tool_choice, response_format, reasoning_effort, max_tokens,
    max_completion_tokens, stop, n,
} }

#[derive(Default)]
struct Message<'b> {
    role: Text<'b>,
    /// A string or a list of parts.
    content: Option<Raw<'b>>,
}
readable! { Message<'a> { #[required] role, content } }

#[derive(Default)]
struct Part<'b> {
    text: Option<Text<'b>>,
}
readable! { Part<'a> { text } }

#[derive(Default)]
struct StreamOptions {
    include_usage: Option<bool>,
}
readable! { StreamOptions { include_usage } }

#[derive(Default)]
struct Tool<'b> {
    function: Option<Function<'b>>,
}
readable! { Tool<'a> { function } }

#[derive(Default)]
struct Function<'b> {
    name: Text<'b>,
    parameters: Option<Raw<'b>>,
}
readable! { Function<'a> { #[required] name, parameters } }

#[derive(Default)]
struct NamedChoice<'b> {
    function: Option<Function<'b>>,
}
readable! { NamedChoice<'a> { function } }

#[derive(Default)]
struct ResponseFormat<'b> {
    json_schema: Option<JsonSchema<'b>>,
}
readable! { ResponseFormat<'a> { json_schema } }

#[derive(Default)]
struct JsonSchema<'b> {
    schema: Option<Raw<'b>>,
}
readable! { JsonSchema<'a> { schema } }

/// Answers one request.
pub(super) fn play(behaviour: Behaviour, body: &[u8], stage: &Stage<'_>) -> Result<Script, Fault> {
    let request: ChatRequest<'_> = crate::json::from_slice(body)?;
    let choices = reply::choices(request.n)?;
    let replies = (0..choices).map(|_| request.reply(behaviour)).collect::<Result<Vec<Reply>, Fault>>()?;
    let prompt = reply::tokens(request.messages.iter().map(|message| message.text().len()).sum());
    if request.stream != Some(true) {
        return Ok(Script::plain(answer::whole(stage, &replies, prompt)));
    }
    let include_usage = request.stream_options.is_some_and(|options| options.include_usage == Some(true));
    Ok(Script::stream(answer::stream(stage, &replies, include_usage.then_some(prompt))))
}

impl ChatRequest<'_> {
    fn reply(&self, behaviour: Behaviour) -> Result<Reply, Fault> {
        let reasoning = self.reasoning();
        if behaviour == Behaviour::Tools
            && let Some(tool) = self.tool_to_call()?
        {
            let arguments = match &tool.parameters {
                Some(parameters) => schema::example(&parameters.read::<Value>()?).to_string(),
                None => "{}".to_owned(),
            };
            let said = Said::Call { name: tool.name.decode().into_owned(), arguments };
            return Ok(Reply { reasoning, said, finish: "tool_calls" });
        }
        let text = match behaviour {
            Behaviour::Json => self.json()?,
            _ => self.last_text(),
        };
        let limits = Limits::new(self.max_completion_tokens.or(self.max_tokens), self.stop.as_ref())?;
        let (text, finish) = limits.apply(text, reply::tokens(reasoning.len()));
        Ok(Reply { reasoning, said: Said::Text(text), finish })
    }

    /// More effort, more sentences.
    fn reasoning(&self) -> String {
        let sentences = match self.reasoning_effort.as_ref().map(Text::decode).as_deref() {
            None | Some("none") => 0,
            Some("minimal" | "low") => 1,
            Some("medium") => 2,
            Some(_) => 3,
        };
        ["The user wrote something.", " I was asked to think about it.", " The sandbox always says the same."]
            .into_iter()
            .take(sentences)
            .collect()
    }

    /// The tool to call now, by `tool_choice`, or `None` where it is time to answer in text.
    fn tool_to_call(&self) -> Result<Option<&Function<'_>>, Fault> {
        let mut tools = self.tools.iter().flatten().filter_map(|tool| tool.function.as_ref());
        let choice = self.tool_choice.as_ref();
        if let Some(choice) = choice.filter(|choice| choice.is_object()) {
            let named: NamedChoice<'_> = choice.read_borrowed()?;
            let Some(wanted) = named.function else { return Ok(tools.next()) };
            let wanted = wanted.name.decode();
            let missing = || Fault::new(format!("tool_choice names `{wanted}`, which is not among the tools."));
            return tools.find(|tool| tool.name.decode() == wanted).map(Some).ok_or_else(missing);
        }
        let answered = self.messages.last().is_some_and(|message| message.role.is("tool"));
        Ok(match choice.and_then(Raw::text).as_ref().map(Text::decode).as_deref() {
            Some("none") => None,
            Some("required") => tools.next(),
            _ if answered => None,
            _ => tools.next(),
        })
    }

    /// JSON that fits the schema asked for; without one, an object that holds the user's text.
    fn json(&self) -> Result<String, Fault> {
        let schema = self.response_format.as_ref().and_then(|format| format.json_schema.as_ref()?.schema.as_ref());
        let value = match schema {
            Some(schema) => schema::example(&schema.read()?),
            None => {
                // One by one: made of an iterator, the tree would be sorted, with code that nothing else needs.
                let mut members = Map::new();
                members.insert("text".to_owned(), self.last_text().into());
                Value::Object(members)
            }
        };
        Ok(value.to_string())
    }

    /// What was said last: by a tool if it was one's turn, else by the user.
    fn last_text(&self) -> String {
        let from = |message: &&Message<'_>| message.role.is("user") || message.role.is("tool");
        self.messages.iter().rev().find(from).map(Message::text).unwrap_or_default()
    }
}

impl Message<'_> {
    /// The text of all its parts together.
    fn text(&self) -> String {
        let Some(content) = &self.content else { return String::new() };
        if let Some(text) = content.text() {
            return text.decode().into_owned();
        }
        let parts: Vec<Part<'_>> = content.read_borrowed().unwrap_or_default();
        parts.iter().filter_map(|part| part.text.as_ref()).map(Text::decode).collect()
    }
}
