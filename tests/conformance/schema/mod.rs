//! What each provider takes, by its own documentation: the members that are there, of the types that they have, and no
//! others. A request that was merely forwarded fails here.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod openai_chat;
mod openai_responses;
mod results;

use latchkey::wire::Format;
use serde_json::Value;

/// What may stand in a place.
pub enum Shape {
    /// What the caller wrote: schemas and arguments.
    Any,
    Text,
    /// A whole number.
    Count,
    Number,
    Flag,
    Null,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Shape),
    Object(&'static [Member]),
    /// An object of exactly one of these members.
    Union(&'static [Member]),
    /// An object whose members depend on the word in the first one named.
    Tagged(&'static str, &'static [(&'static str, &'static [Member])]),
    OneOf(&'static [Shape]),
}

/// Name, whether it has to be there, and what may stand in it.
pub type Member = (&'static str, bool, Shape);

pub const NEED: bool = true;
pub const MAY: bool = false;

/// Where a format's chat is, plain and streamed, and what its body may hold.
pub struct Schema {
    paths: [&'static str; 2],
    body: Shape,
}

/// Holds a request against the schema of its provider.
pub fn check(format: Format, url: &str, stream: bool, body: &Value) -> Result<(), String> {
    let path = of(format).paths[usize::from(stream)];
    if url.strip_prefix("https://up.example") != Some(path) {
        return Err(format!("it asks {url} where it should ask {path}"));
    }
    holds(format, body)
}

/// Holds a body against the schema, and its turns against the laws.
pub fn holds(format: Format, body: &Value) -> Result<(), String> {
    fits(body, &of(format).body, "body")?;
    results::check(format, body)
}

fn of(format: Format) -> &'static Schema {
    match format {
        Format::OpenAiChat => &openai_chat::SCHEMA,
        Format::WorkersAi => &openai_chat::WORKERS_AI,
        Format::OpenAiResponses => &openai_responses::SCHEMA,
        Format::Anthropic => &anthropic::SCHEMA,
        Format::Gemini => &gemini::SCHEMA,
        Format::Bedrock => &bedrock::SCHEMA,
        Format::Cohere => &cohere::SCHEMA,
        Format::Ollama => &ollama::SCHEMA,
    }
}

/// Whether `value` fits, else where it does not.
fn fits(value: &Value, shape: &Shape, place: &str) -> Result<(), String> {
    let wrong = |expected: &str| Err(format!("{place} should be {expected}: {value}"));
    match shape {
        Shape::Any => Ok(()),
        Shape::Text if value.is_string() => Ok(()),
        Shape::Count if value.is_u64() => Ok(()),
        Shape::Number if value.is_number() => Ok(()),
        Shape::Flag if value.is_boolean() => Ok(()),
        Shape::Null if value.is_null() => Ok(()),
        Shape::Word(words) if value.as_str().is_some_and(|word| words.contains(&word)) => Ok(()),
        Shape::Word(words) => wrong(&words.join(" or ")),
        Shape::List(each) => {
            let Some(items) = value.as_array() else { return wrong("a list") };
            items.iter().enumerate().try_for_each(|(at, item)| fits(item, each, &format!("{place}.{at}")))
        }
        Shape::Object(members) => fits_members(value, members, place),
        Shape::Union(members) => {
            fits_members(value, members, place)?;
            if value.as_object().is_some_and(|object| object.len() == 1) { Ok(()) } else { wrong("of one kind") }
        }
        Shape::Tagged(tag, kinds) => match kinds.iter().find(|(kind, _)| value[*tag] == **kind) {
            Some((_, members)) => {
                let mut rest = value.clone();
                rest.as_object_mut().expect("it has a tag").remove(*tag);
                fits_members(&rest, members, place)
            }
            None => wrong(&kinds.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(" or ")),
        },
        Shape::OneOf(shapes) => {
            let faults: Vec<String> = shapes.iter().map_while(|shape| fits(value, shape, place).err()).collect();
            if faults.len() < shapes.len() { Ok(()) } else { Err(faults.join("; ")) }
        }
        Shape::Text => wrong("text"),
        Shape::Count => wrong("a whole number"),
        Shape::Number => wrong("a number"),
        Shape::Flag => wrong("true or false"),
        Shape::Null => wrong("null"),
    }
}

fn fits_members(value: &Value, members: &[Member], place: &str) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Err(format!("{place} should be an object: {value}")) };
    if let Some((name, ..)) = members.iter().find(|(name, needed, _)| *needed && !object.contains_key(*name)) {
        return Err(format!("{place} lacks `{name}`: {value}"));
    }
    object.iter().try_for_each(|(key, value)| match members.iter().find(|(name, ..)| name == key) {
        Some((.., shape)) => fits(value, shape, &format!("{place}.{key}")),
        None => Err(format!("{place} has no member `{key}`")),
    })
}
