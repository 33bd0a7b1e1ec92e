//! What answers look like on the wire.

use serde_json::value::RawValue;

use crate::json::{Object, Raw, Text, readable};

/// An answer or a piece of one; over HTTP the whole of it stands in `result`.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    pub result: Option<&'a RawValue>,
    /// There for models that answer in the shape of Chat Completions.
    pub choices: Option<&'a RawValue>,
    pub error: Option<&'a RawValue>,
    /// Text, or an object where JSON was asked for.
    pub response: Option<Raw<'a>>,
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    pub usage: Option<Raw<'a>>,
}
readable! { Answer<'a> { result, choices, error, response, tool_calls, usage } }

#[derive(Debug, Default)]
pub(super) struct ToolCall<'a> {
    pub id: Option<Text<'a>>,
    pub name: Option<Text<'a>>,
    pub arguments: Option<Raw<'a>>,
    /// Some models put name and arguments in here, as Chat Completions does.
    pub function: Option<Function<'a>>,
}
readable! { ToolCall<'a> { id, name, arguments, function } }

#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub name: Option<Text<'a>>,
    pub arguments: Option<Raw<'a>>,
}
readable! { Function<'a> { name, arguments } }

impl Answer<'_> {
    /// Whether it says something in this protocol's own words.
    pub fn is_native(&self) -> bool {
        self.response.is_some() || self.tool_calls.is_some() || self.usage.is_some()
    }

    /// The same as a chunk of Chat Completions. Calls are numbered from `calls` on, and their ids begin with `prefix`
    /// where the model gives none, so that those of different turns stay apart.
    pub fn chunk(&self, prefix: &str, calls: &mut u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let mut chunk = Object::open(&mut out);
        chunk.array("choices", |choices| {
            choices.object(|choice| {
                choice.number("index", 0u32).object("delta", |delta| {
                    match self.response.as_ref().map(|raw| (raw, raw.text())) {
                        Some((_, Some(text))) if !text.is_empty() => {
                            delta.text("content", &text);
                        }
                        Some((raw, None)) if !raw.is_null() => {
                            delta.string("content", raw.get());
                        }
                        _ => {}
                    }
                    let given = self.tool_calls.as_deref().unwrap_or_default();
                    if !given.is_empty() {
                        delta.array("tool_calls", |array| {
                            for call in given {
                                array.object(|object| call.write(prefix, *calls, object));
                                *calls += 1;
                            }
                        });
                    }
                });
            });
        });
        if let Some(usage) = self.usage.as_ref().filter(|usage| usage.is_object()) {
            chunk.raw("usage", usage);
        }
        chunk.close();
        out
    }
}

impl ToolCall<'_> {
    fn write(&self, prefix: &str, number: u32, object: &mut Object<'_>) {
        let inner = self.function.as_ref();
        let name = self.name.as_ref().or_else(|| inner?.name.as_ref());
        let arguments = self.arguments.as_ref().or_else(|| inner?.arguments.as_ref());
        object.number("index", number);
        match self.id.as_ref().filter(|id| !id.is_empty()) {
            Some(id) => object.text("id", id),
            None => object.string("id", &format!("call_{prefix}{number}")),
        };
        object.string("type", "function").object("function", |function| {
            function.text("name", name.unwrap_or(&Text::EMPTY));
            match arguments.map(|raw| (raw, raw.text())) {
                Some((_, Some(text))) => function.text("arguments", &text),
                Some((raw, None)) if raw.is_object() => function.string("arguments", raw.get()),
                _ => function.string("arguments", "{}"),
            };
        });
    }
}
