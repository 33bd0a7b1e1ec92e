//! The document as it was written: order, repeated keys and the text of numbers kept.

use std::fmt;

use crate::json::{self, FromJson, Kind, Reader};

/// One JSON value of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    /// As written: money must not pass through a float.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order in which they stand there, repeated ones too.
    Members(Vec<(String, Node)>),
}

impl Node {
    /// Reads a whole document, whose depth the caller has checked: this recurses.
    pub(super) fn parse(json: &[u8]) -> Result<Node, json::Error> {
        json::from_slice(json)
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Boolean(_) => "a boolean",
            Node::Number(_) => "a number",
            Node::Text(_) => "a string",
            Node::List(_) => "an array",
            Node::Members(_) => "an object",
        }
    }
}

/// As JSON on one line.
impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = |index| if index == 0 { "" } else { "," };
        match self {
            Node::Null => formatter.write_str("null"),
            Node::Boolean(value) => write!(formatter, "{value}"),
            Node::Number(number) => formatter.write_str(number),
            Node::Text(text) => write_text(formatter, text),
            Node::List(items) => {
                formatter.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(formatter, "{}{item}", separator(index))?;
                }
                formatter.write_str("]")
            }
            Node::Members(members) => {
                formatter.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    formatter.write_str(separator(index))?;
                    write_text(formatter, key)?;
                    write!(formatter, ":{value}")?;
                }
                formatter.write_str("}")
            }
        }
    }
}

fn write_text(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_str(&crate::json::to_string(text))
}

impl<'a> FromJson<'a> for Node {
    fn from_json(reader: &mut Reader<'a>) -> Result<Node, json::Error> {
        Ok(match reader.kind()? {
            Kind::Object => {
                let mut members = Vec::new();
                reader.members(&mut |key, reader| {
                    members.push((key.into_owned(), Node::from_json(reader)?));
                    Ok(())
                })?;
                Node::Members(members)
            }
            Kind::Array => Node::List(Vec::from_json(reader)?),
            Kind::String => Node::Text(String::from_json(reader)?),
            Kind::Boolean => Node::Boolean(bool::from_json(reader)?),
            Kind::Number => Node::Number(reader.value()?.get().to_owned()),
            Kind::Null => reader.value().map(|_| Node::Null)?,
        })
    }
}
